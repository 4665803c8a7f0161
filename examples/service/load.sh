#!/bin/sh
# load.sh MODEL - loads one instance of the service with wrk: 1,000 requests a second, then as many as it can.
# PYTHON, WORKERS (1), SECONDS_EACH (10), STORE (a redis-server of its own); the package as for serve.py.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
PYTHON=${PYTHON:-python3}
work=$(mktemp -d)
redis='' service=''
trap 'kill $redis $service 2>/dev/null || true; wait; rm -rf "$work"' EXIT
trap 'exit 1' HUP INT PIPE TERM
if [ -z "${STORE:-}" ]; then
    redis-server --port 6399 --bind 127.0.0.1 --save '' --dir "$work" >/dev/null & redis=$!
    STORE=redis://127.0.0.1:6399
fi
"$PYTHON" "$here/serve.py" --model "$1" --store "$STORE" --port 8099 --workers "${WORKERS:-1}" \
    2>"$work/log" & service=$!
ITEMS=$work/items
export ITEMS RATE CONNECTIONS
"$PYTHON" -c 'import sys, sessrec; print(*sessrec.load(sys.argv[1]).item_ids, sep="\n")' "$1" >"$ITEMS"
for _ in $(seq 100); do
    "$PYTHON" -c 'import urllib.request as w; w.urlopen("http://127.0.0.1:8099/ready")' 2>/dev/null && break
    sleep 0.2
done
for RATE in 1000 0; do
    for CONNECTIONS in 64 128; do
        printf '%s, %s connections: ' "$([ $RATE = 0 ] && echo 'no pauses' || echo "$RATE/s")" $CONNECTIONS
        wrk -t1 -c$CONNECTIONS -d"${SECONDS_EACH:-10}" -s "$here/load.lua" http://127.0.0.1:8099 | tail -n 1
    done
done
uptime
