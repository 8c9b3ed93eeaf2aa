#!/bin/sh
# Gives every principal its rights on the broker. Generated: lesson-progress topics rights
# rights.sh --bootstrap-server HOST:PORT --command-config ADMIN.properties
set -eu
PATH="/opt/kafka/bin:$PATH"
kafka-acls.sh "$@" --add --allow-principal User:progress --operation Read --operation DescribeConfigs --topic progress.commands --topic progress.replays >/dev/null
kafka-acls.sh "$@" --add --allow-principal User:progress --operation Write --operation DescribeConfigs --topic lesson.completed --topic progress.deadletters >/dev/null
kafka-acls.sh "$@" --add --allow-principal User:progress --operation Write --topic progress.replies --resource-pattern-type prefixed >/dev/null
kafka-acls.sh "$@" --add --allow-principal User:progress --operation Read --group progress >/dev/null
kafka-acls.sh "$@" --add --allow-principal User:recalculator --operation Read --operation DescribeConfigs --topic lesson.completed --topic recalculation.commands --topic recalculator.replays >/dev/null
kafka-acls.sh "$@" --add --allow-principal User:recalculator --operation Write --operation DescribeConfigs --topic enrollment.progressed --topic course.completed --topic recalculator.deadletters >/dev/null
kafka-acls.sh "$@" --add --allow-principal User:recalculator --operation Write --topic progress.replies --resource-pattern-type prefixed >/dev/null
kafka-acls.sh "$@" --add --allow-principal User:recalculator --operation Read --group recalculator >/dev/null
kafka-acls.sh "$@" --add --allow-principal User:certificates --operation Read --operation DescribeConfigs --topic course.completed --topic certificate.commands --topic certificates.replays >/dev/null
kafka-acls.sh "$@" --add --allow-principal User:certificates --operation Write --operation DescribeConfigs --topic certificate.issued --topic notification.created --topic certificates.deadletters >/dev/null
kafka-acls.sh "$@" --add --allow-principal User:certificates --operation Write --topic progress.replies --resource-pattern-type prefixed >/dev/null
kafka-acls.sh "$@" --add --allow-principal User:certificates --operation Read --group certificates >/dev/null
kafka-acls.sh "$@" --add --allow-principal User:operator --operation Read --operation Create --operation Alter --operation DescribeConfigs --operation AlterConfigs --topic '*' >/dev/null
kafka-acls.sh "$@" --add --allow-principal User:operator --operation Write --topic progress.commands --topic recalculation.commands --topic certificate.commands --topic progress.replays --topic recalculator.replays --topic certificates.replays >/dev/null
kafka-acls.sh "$@" --add --allow-principal User:operator --operation Describe --group '*' >/dev/null
kafka-acls.sh "$@" --add --allow-principal User:screens --operation Read --topic enrollment.progressed --topic notification.created >/dev/null
kafka-acls.sh "$@" --add --allow-principal User:screens --operation Read --group screens --resource-pattern-type prefixed >/dev/null
kafka-acls.sh "$@" --add --allow-principal User:web --operation Write --topic progress.commands >/dev/null
kafka-acls.sh "$@" --add --allow-principal User:web --operation Read --topic progress.replies.web >/dev/null
kafka-acls.sh "$@" --add --allow-principal User:web --operation Read --group web --resource-pattern-type prefixed >/dev/null
