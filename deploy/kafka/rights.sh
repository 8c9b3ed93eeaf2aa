#!/bin/bash
# Gives every principal its rights on the broker. Generated: lesson-progress topics rights --gateway web
# rights.sh --bootstrap-server HOST:PORT --command-config ADMIN.properties
set -euo pipefail
PATH="/opt/kafka/bin:$PATH"
admin=("$@")
# Each call starts a Java machine for a second: three at a time. The first that fails ends the script.
running=()
finish() {
    while [ "${#running[@]}" -gt "$1" ]; do
        wait "${running[0]}"
        running=("${running[@]:1}")
    done
}
give() {
    finish 2
    kafka-acls.sh "${admin[@]}" --add "$@" >/dev/null &
    running+=("$!")
}
give --allow-principal User:progress --operation Read --operation DescribeConfigs --topic progress.commands --topic progress.replays
give --allow-principal User:progress --operation Write --operation DescribeConfigs --topic lesson.completed --topic progress.deadletters
give --allow-principal User:progress --operation Write --topic progress.replies --resource-pattern-type prefixed
give --allow-principal User:progress --operation Read --group progress
give --allow-principal User:recalculator --operation Read --operation DescribeConfigs --topic lesson.completed --topic recalculation.commands --topic recalculator.replays
give --allow-principal User:recalculator --operation Write --operation DescribeConfigs --topic enrollment.progressed --topic course.completed --topic recalculator.deadletters
give --allow-principal User:recalculator --operation Write --topic progress.replies --resource-pattern-type prefixed
give --allow-principal User:recalculator --operation Read --group recalculator
give --allow-principal User:certificates --operation Read --operation DescribeConfigs --topic course.completed --topic certificate.commands --topic certificates.replays
give --allow-principal User:certificates --operation Write --operation DescribeConfigs --topic certificate.issued --topic notification.created --topic certificates.deadletters
give --allow-principal User:certificates --operation Write --topic progress.replies --resource-pattern-type prefixed
give --allow-principal User:certificates --operation Read --group certificates
give --allow-principal User:operator --operation Read --operation Create --operation Alter --operation DescribeConfigs --operation AlterConfigs --topic progress.commands --topic lesson.completed --topic recalculation.commands --topic enrollment.progressed --topic course.completed --topic certificate.commands --topic certificate.issued --topic notification.created --topic progress.deadletters --topic progress.replays --topic recalculator.deadletters --topic recalculator.replays --topic certificates.deadletters --topic certificates.replays
give --allow-principal User:operator --operation Read --operation Create --operation Alter --operation DescribeConfigs --operation AlterConfigs --topic progress.replies --resource-pattern-type prefixed
give --allow-principal User:operator --operation Write --topic progress.commands --topic recalculation.commands --topic certificate.commands --topic progress.deadletters --topic progress.replays --topic recalculator.deadletters --topic recalculator.replays --topic certificates.deadletters --topic certificates.replays
give --allow-principal User:operator --operation Describe --group '*'
give --allow-principal User:operator --operation Read --group progress --group recalculator --group certificates
give --allow-principal User:screens --operation Read --topic enrollment.progressed --topic notification.created
give --allow-principal User:screens --operation Read --group screens- --resource-pattern-type prefixed
give --allow-principal User:web --operation Write --topic progress.commands
give --allow-principal User:web --operation Read --topic progress.replies.web
give --allow-principal User:web --operation Read --group web- --resource-pattern-type prefixed
finish 0
