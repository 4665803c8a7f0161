#!/bin/sh
# web.sh BUILD - measures the header as WebAssembly in Node, with plain kernels and with 128-bit vectors
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
build=${1:-build}
make --no-print-directory -C "$root" BUILD="$build" web "$build/web/sessrec_vectors.wasm" \
    "$build/web/sessrec_plain_train.wasm" >/dev/null
cd "$root" && node bench/web.mjs "$build/web"
