#!/usr/bin/env bash
# pgbench: its own transaction, in every protocol, by several clients at once.
set -euo pipefail
for mode in simple extended prepared; do
    for script in tpcb-like simple-update select-only; do
        said=$(pgbench -n -M "$mode" -b "$script" -c 4 -j 2 -t 25 2>&1) || true
        echo "= $mode $script -> $(grep -E 'actually processed|failed transactions' <<<"$said" | tr '\n' ' ')"
    done
done
