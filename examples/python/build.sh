#!/bin/sh
# build.sh FOLDER - installs the package into FOLDER with pip, where PYTHONPATH=FOLDER finds it; what is there
# already is not compiled again. For tests and `make service`; elsewhere: pip install ./examples/python.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
header=$here/../../sessrec.h
PYTHON=${PYTHON:-python3}
mkdir -p "$1"
built=$(find "$1/sessrec" -name '_library.*' -newer "$header" -newer "$here/build_sessrec.py" 2>/dev/null |
    grep -E '\.(so|pyd|dylib)$' || true)
if [ -z "$built" ]; then
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    cp -r "$here/." "$work"
    cp "$header" "$work"
    if "$PYTHON" -c 'import pip, wheel' 2>/dev/null; then
        "$PYTHON" -m pip install -q --no-deps --no-build-isolation --upgrade --target "$1" "$work"
    else
        (cd "$work" && "$PYTHON" build_sessrec.py) && cp -r "$work/sessrec" "$1"
    fi
    find "$1/sessrec" -name '_library.*' -exec touch {} +
fi
cp "$here"/sessrec/*.py "$1/sessrec"
