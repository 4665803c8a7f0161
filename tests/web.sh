#!/bin/sh
# web.sh BUILD - the page of examples/web: `make web`, its module in Node, the page in a headless Chromium.
# What needs a tool that is not there is skipped by name.
set -u
. "$(dirname "$0")/expect.sh"
build=${1:-build}

# counted COMMAND ...: a program that counts its own tests
counted() {
    "$@" >"$work/log" 2>&1
    grep -vE '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "$work/log"
    # shellcheck disable=SC2046
    set -- $(grep -E '^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$' "$work/log" ||
        echo '0 passed, 1 failed,')
    passed=$((passed + $1)) failed=$((failed + $3))
}

browser=
for name in chromium chromium-browser google-chrome; do
    if have "$name"; then browser=$name; break; fi
done

MAKEFLAGS= make --no-print-directory -C "$root" BUILD="$build" web >"$work/made" 2>&1
case $build in /*) ;; *) build=$root/$build ;; esac
if grep -q '^skipped' "$work/made"; then
    skip 'the web page' 'clang cannot compile for wasm32-wasi'
else
    expect 'make web builds the page without a warning' sh -c \
        "! grep -i -E 'sessrec.*(warning|error)' '$work/made' && test -s '$build/web/sessrec_train.wasm'"
    if ! have node; then
        skip 'the module of the web page' 'no node'
    else
        counted node "$root/tests/web_module.mjs" "$build/web" "$build/sessrec" "$work"
        if [ -z "$browser" ] || [ ! -s "$work/expected.json" ]; then
            skip 'the web page in a browser' 'no chromium'
        else
            counted node "$root/tests/web_page.mjs" "$browser" "$build/web" "$work/expected.json"
        fi
    fi
fi
report
