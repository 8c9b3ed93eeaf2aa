#!/bin/bash
# Gives Kafka its users (SCRAM-SHA-512) and their rights; run again, it changes passwords and keeps the rights.
# Environment: KAFKA_<USER>_PASSWORD for each. Arguments: how to reach the broker as its administrator.
set -euo pipefail
PATH="/opt/kafka/bin:$PATH"
here="$(dirname "$0")"

for user in progress recalculator certificates operator screens web; do
    variable="KAFKA_${user^^}_PASSWORD"
    # In a file, so that no list of processes shows it.
    (umask 077 && printf 'SCRAM-SHA-512=password=%s\n' "${!variable:?is not set}" >"/tmp/$user.properties")
    kafka-configs.sh "$@" --alter --entity-type users --entity-name "$user" \
        --add-config-file "/tmp/$user.properties" >/dev/null
    rm "/tmp/$user.properties"
done
bash "$here/rights.sh" "$@"
echo "the broker has its users and their rights"
