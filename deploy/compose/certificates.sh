#!/bin/sh
# Makes what deploy/compose/secure.yml needs: an authority, certificates for Kafka and MongoDB, and a random password for
# every user. What is there already is kept; delete the folder to make everything anew.
#
#   sh deploy/compose/certificates.sh [FOLDER | --help]
#
# Without a FOLDER it is deploy/compose/secure/; for another, set SECURE_DIR to its path when you run docker compose.
#
# For development: production's authority and passwords come from its own vault.
set -eu

case "${1:-}" in
    --help | -h) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 0 ;;
    -*) echo "certificates.sh takes no options but --help" >&2; exit 2 ;;
esac
[ "$#" -le 1 ] || { echo "certificates.sh takes one folder, or none" >&2; exit 2; }
folder="${1:-$(dirname "$0")/secure}"
command -v openssl >/dev/null || { echo "certificates.sh needs openssl: install it with your system's packages" >&2; exit 1; }

# The folder is its owner's alone; the files in it are mounted one by one, for users that only their containers have.
umask 022
mkdir -p "$folder"
chmod 700 "$folder"
cd "$folder"

DAYS=825

# quietly COMMAND: what openssl prints on the way is shown only when it fails.
quietly() {
    "$@" 2>openssl.log && rm -f openssl.log && return
    cat openssl.log >&2
    echo "certificates.sh: openssl failed in $folder" >&2
    exit 1
}

authority() {
    [ -s ca.pem ] && [ -s ca.key ] && return
    quietly openssl req -x509 -newkey rsa:3072 -sha256 -days "$DAYS" -nodes -keyout ca.key -out ca.pem \
        -subj "/CN=Lesson Progress development"
    chmod 600 ca.key
}

# Whether NAME.pem is there, is of this authority, and holds for a day at least.
holds() { openssl verify -CAfile ca.pem "$1.pem" >/dev/null 2>&1 && openssl x509 -in "$1.pem" -checkend 86400 >/dev/null 2>&1; }

# certificate NAME ALTERNATIVE-NAMES USES: NAME.pem holds the private key, the certificate and the authority's.
certificate() {
    holds "$1" && return
    quietly openssl req -newkey rsa:3072 -sha256 -nodes -keyout "$1.key" -out "$1.csr" -subj "/CN=$1"
    printf 'subjectAltName=%s\nextendedKeyUsage=%s\n' "$2" "$3" >"$1.ext"
    quietly openssl x509 -req -in "$1.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -days "$DAYS" -sha256 -extfile "$1.ext" \
        -out "$1.crt"
    cat "$1.key" "$1.crt" ca.pem >"$1.new"
    mv "$1.new" "$1.pem"
    rm -f "$1.key" "$1.csr" "$1.ext" "$1.crt"
}

password() { openssl rand -hex 24; }

passwords() {
    [ -s passwords.env ] && return
    {
        echo "# Made by deploy/compose/certificates.sh; for docker compose --env-file."
        for user in ROOT PROGRESS RECALCULATOR CERTIFICATES OPS; do
            echo "MONGO_${user}_PASSWORD=$(password)"
        done
        for user in PROGRESS RECALCULATOR CERTIFICATES OPERATOR SCREENS WEB; do
            echo "KAFKA_${user}_PASSWORD=$(password)"
        done
    } >passwords.new
    chmod 600 passwords.new
    mv passwords.new passwords.env
}

# How the broker's own tools log in as its administrator: with a certificate, on a listener that asks for one.
administrator() {
    cat >admin.properties <<'END'
security.protocol=SSL
ssl.keystore.type=PEM
ssl.keystore.location=/secure/admin.pem
ssl.truststore.type=PEM
ssl.truststore.location=/secure/ca.pem
END
}

authority
certificate kafka "DNS:kafka,DNS:localhost,IP:127.0.0.1" "serverAuth,clientAuth"
certificate admin "DNS:admin" "clientAuth"
certificate mongo "DNS:mongo,DNS:localhost,IP:127.0.0.1" "serverAuth"
passwords
administrator
rm -f ca.srl
echo "$folder has an authority (ca.pem), certificates and passwords (passwords.env)"
