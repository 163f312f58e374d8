# Makes the cluster at the first start, then becomes the server.
set -eu
if [ ! -e "$PGDATA" ]; then
    # A start that is killed leaves the partial folder, never half a cluster.
    rm -rf "$PGDATA.partial"
    # The password is in no argument and in no file.
    printf '%s' "$POSTGRES_PASSWORD" | initdb --pgdata="$PGDATA.partial" --username=postgres --pwfile=/dev/stdin \
        --auth=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8
    echo "host all all all scram-sha-256" >> "$PGDATA.partial/pg_hba.conf"
    mv "$PGDATA.partial" "$PGDATA"
fi
unset POSTGRES_PASSWORD
exec postgres -c listen_addresses='*' -c unix_socket_directories=''
