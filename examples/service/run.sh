#!/bin/sh
# run.sh BUILD [OPTION ...] - `make service`: builds the Python package in BUILD/python, starts an instance.
# What Python lacks for that is installed in BUILD/venv.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=$1
shift
PYTHON=${PYTHON:-python3}
needed='cffi numpy setuptools starlette uvicorn redis'
if ! "$PYTHON" -c "import $(echo "$needed" | tr ' ' ',')" 2>/dev/null; then
    [ -x "$build/venv/bin/python" ] || "$PYTHON" -m venv "$build/venv"
    PYTHON=$build/venv/bin/python
    # shellcheck disable=SC2086
    "$PYTHON" -c "import $(echo "$needed" | tr ' ' ',')" 2>/dev/null || "$PYTHON" -m pip install -q $needed
fi
export PYTHON
sh "$here/../python/build.sh" "$build/python"
PYTHONPATH=$build/python exec "$PYTHON" "$here/serve.py" --store "${STORE:-$build/states.sqlite}" \
    ${MODEL:+--model "$MODEL"} ${PORT:+--port "$PORT"} ${WORKERS:+--workers "$WORKERS"} "$@"
