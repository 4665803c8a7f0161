#!/bin/sh
# build.sh FOLDER - builds the package in FOLDER, where PYTHONPATH=FOLDER finds it, unless it is there already.
# For tests and `make service`; elsewhere: pip install.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
header=$here/../../sessrec.h
mkdir -p "$1"
cd "$1"
built=$(find sessrec -name '_library.*' -newer "$header" -newer "$here/build_sessrec.py" 2>/dev/null |
    grep -E '\.(so|pyd|dylib)$' || true)
cp -r "$here/." .
[ -z "$built" ] || exit 0
cp "$header" .
"${PYTHON:-python3}" build_sessrec.py
