#!/bin/bash
# Gives Kafka its users (SCRAM-SHA-512) and their rights; run again, it changes passwords and keeps the rights.
# Environment: KAFKA_<USER>_PASSWORD for each. Arguments: how to reach the broker as its administrator.
set -euo pipefail
PATH="/opt/kafka/bin:$PATH"
here="$(dirname "$0")"

login() {
    local variable="KAFKA_${1^^}_PASSWORD" file
    file="$(mktemp)" # readable by us alone, so that no list of processes shows the password
    printf 'SCRAM-SHA-512=password=%s\n' "${!variable:?is not set}" >"$file"
    kafka-configs.sh "${@:2}" --alter --entity-type users --entity-name "$1" --add-config-file "$file" >/dev/null
    rm "$file"
}

# Each call starts a Java machine for a second: three at a time. The first that fails ends the script.
for user in progress recalculator certificates operator screens web; do
    while [ "$(jobs -rp | wc -l)" -ge 3 ]; do wait -n; done
    login "$user" "$@" &
done
while [ -n "$(jobs -p)" ]; do wait -n; done
bash "$here/rights.sh" "$@"
echo "the broker has its users and their rights"
