#!/bin/sh
# Makes the secrets that compose.yaml mounts, once, from the system's random source.
# The folder is for its owner only; the files in it can be read by the containers' users.
set -eu
cd "$(dirname "$0")"
umask 077
mkdir -p secrets

random() {
    head -c "$1" /dev/urandom | base64 | tr -d '\n'
}

# Letters and digits only: they end up in addresses and JSON.
password() {
    random 48 | tr -dc 'A-Za-z0-9' | cut -c 1-40
}

# keep NAME TEXT: a file that exists stays as it is
keep() {
    if [ ! -e "secrets/$1" ]; then
        printf '%s' "$2" > "secrets/$1"
        chmod 444 "secrets/$1"
        echo "made secrets/$1"
    fi
}

keep postgres_password "$(password)"
keep database_url "postgresql://ampwave:$(cat secrets/postgres_password)@postgres:5432/ampwave"
keep s3_access_key "$(password | cut -c 1-20)"
keep s3_secret_key "$(password)"
keep s3_identities.json "$(printf '{"identities": [{"name": "ampwave", "credentials": [{"accessKey": "%s", "secretKey": "%s"}], "actions": ["Admin"]}]}' \
    "$(cat secrets/s3_access_key)" "$(cat secrets/s3_secret_key)")"
keep payload_key "$(random 32)"
keep charger_pepper "$(random 32)"
