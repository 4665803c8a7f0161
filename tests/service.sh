#!/bin/sh
# service.sh - the service of examples/service: its requests, a store that goes away, another model under
# load, and an instance behind nginx that is killed. Skipped by name without Python, or what it runs on.
set -u
. "$(dirname "$0")/expect.sh"
PYTHON=${PYTHON:-python3}
package=$root/build/python

in_python() { "$PYTHON" -c "$1" 2>/dev/null; }
tested() { PYTHONPATH=$package "$PYTHON" -m pytest -q -p no:cacheprovider "$root/examples/service/tests"; }
starts() { # make service by hand: it answers, and ends when told to
    port=$("$PYTHON" -c 'import socket
with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    print(probe.getsockname()[1])')
    PORT=$port MODEL='' STORE=$work/states sh "$root/examples/service/run.sh" "$root/build" &
    service=$!
    for _ in $(seq 100); do
        sleep 0.2
        "$PYTHON" -c "from urllib.request import urlopen as ask
asked = b'{\"clicks\": [\"kettle\", \"tea\"], \"k\": 1}'
assert b'honey' in ask('http://127.0.0.1:$port/recommend', asked).read()" 2>/dev/null && break
    done
    answered=$?
    kill "$service" && wait "$service"
    [ "$answered" -eq 0 ]
}
modules='cffi setuptools numpy pytest starlette uvicorn redis'
missing=
for module in $modules; do in_python "import $module" || missing="$missing $module"; done
if ! have "$PYTHON"; then skip 'the service' "there is no $PYTHON"
elif [ -n "$missing" ]; then skip 'the service' "$PYTHON has no$missing"
elif ! sh "$root/examples/python/build.sh" "$package" >"$work/built" 2>&1; then
    expect "the Python package is built for the service" cat "$work/built" /nowhere
else
    expect "make service starts with a made-up shop and a file of states" starts
    expect "the service passes its tests" tested
    have redis-server || skip 'the service with Redis' 'there is no redis-server'
    have nginx || skip 'the service behind nginx, an instance of which is killed' 'there is no nginx'
fi
report
