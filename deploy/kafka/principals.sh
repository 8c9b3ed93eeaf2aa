#!/bin/bash
# Gives Kafka its users (SCRAM-SHA-512) and their rights; run again, it changes passwords and adds rights. What a newer
# version no longer gives is taken away by hand (kafka-acls.sh --remove).
# Environment: KAFKA_<USER>_PASSWORD for each. Arguments: how to reach the broker as its administrator.
set -euo pipefail
PATH="/opt/kafka/bin:$PATH"
here="$(dirname "$0")"

users=(progress recalculator certificates operator screens web)
folder="$(mktemp -d)" # readable by us alone
trap 'rm -rf "$folder"' EXIT

for user in "${users[@]}"; do
    variable="KAFKA_${user^^}_PASSWORD"
    [ -n "${!variable:-}" ] || { echo "$variable is not set: run deploy/compose/certificates.sh" >&2; exit 1; }
    # In a file, so that no list of processes shows it.
    printf 'SCRAM-SHA-512=password=%s\n' "${!variable}" >"$folder/$user"
done

# Each call starts a Java machine for a second: three at a time. The first that fails ends the script.
running=()
finish() {
    while [ "${#running[@]}" -gt "$1" ]; do
        wait "${running[0]}"
        running=("${running[@]:1}")
    done
}
for user in "${users[@]}"; do
    finish 2
    kafka-configs.sh "$@" --alter --entity-type users --entity-name "$user" \
        --add-config-file "$folder/$user" >/dev/null &
    running+=("$!")
done
finish 0
bash "$here/rights.sh" "$@"
echo "the broker has its users and their rights"
