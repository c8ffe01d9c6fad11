#!/usr/bin/env bash
# pg_dump of what is granted as it is: definitions and rows must be those a direct dump has.
set -euo pipefail
for options in "-t app.items -t app.types" "-t app.items --inserts" "-t app.types --data-only --column-inserts" "-t app.items --schema-only"; do
    # shellcheck disable=SC2086
    dumped=$(pg_dump --no-owner --no-privileges $options | grep -vE '^(--|\\(un)?restrict)')
    echo "= $options -> $(wc -l <<<"$dumped") lines, $(sha256sum <<<"$dumped" | cut -c1-16)"
done
