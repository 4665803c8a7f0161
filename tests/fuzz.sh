#!/bin/sh
# fuzz.sh BUILD SECONDS [TARGET ...]: lets libFuzzer look for inputs that break a target of tests/fuzz,
# SECONDS for each, under AddressSanitizer and UndefinedBehaviorSanitizer. Needs clang; without it the targets
# are skipped by name. Inputs that reach new code are kept in BUILD/fuzz/corpus/TARGET; one that breaks is
# kept in BUILD/fuzz, and fails.
set -u
. "$(dirname "$0")/expect.sh"
build=$1 seconds=$2
shift 2
CLANG=${CLANG:-clang}
# Plain kernels only: sanitizers take minutes for the others.
flags='-DSESSREC_NO_SIMD -g1 -O1 -fno-omit-frame-pointer'
flags="$flags -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all"
[ $# -gt 0 ] || set -- $(cd "$root/tests/fuzz" && ls ./*.c | sed 's|^\./||; s|\.c$||')

fuzz() {
    target=$1 corpus=$build/fuzz/corpus/$1
    mkdir -p "$corpus"
    # shellcheck disable=SC2086
    $CLANG $flags -DSESSREC_LIBFUZZER -o "$build/fuzz/$target" "$root/tests/fuzz/$target.c" -lm -lpthread &&
        "$build/fuzz/$target" -write "$corpus" || return 1
    kept=
    for folder in "$root/tests/fuzz/corpus/$target" "$root/tests/logs"; do
        case $folder in */logs) [ "$target" = log ] || continue ;; esac
        [ ! -d "$folder" ] || kept="$kept $folder"
    done
    # shellcheck disable=SC2086
    ASAN_OPTIONS=allocator_may_return_null=1:detect_leaks=1 "$build/fuzz/$target" -max_total_time="$seconds" \
        -timeout=10 -max_len=16384 \
        -rss_limit_mb=2048 -artifact_prefix="$build/fuzz/$target-" -print_final_stats=1 "$corpus" $kept \
            >"$build/fuzz/$target.log" 2>&1
    status=$?
    awk -v target="$target" '/cov: / { cov = $0 } /stat::number_of_executed_units/ { runs = $2 }
        END { sub(/.*cov: /, "", cov); sub(/ .*/, "", cov);
        print target ": " runs " inputs, " cov " edges covered" }' \
        "$build/fuzz/$target.log"
    [ "$status" -eq 0 ] || tail -n 20 "$build/fuzz/$target.log"
    return "$status"
}

mkdir -p "$build/fuzz"
echo 'int LLVMFuzzerTestOneInput(const char *d, unsigned long n) { (void)d, (void)n; return 0; }' \
    >"$work/probe.c"
# shellcheck disable=SC2086
if have "$CLANG" && $CLANG $flags -o "$work/probe" "$work/probe.c" 2>/dev/null; then
    for target in "$@"; do
        expect "no input breaks the target $target" fuzz "$target"
        grep "^$target: " "$work/log"
    done
else
    skip 'fuzzing' "$CLANG cannot build a program with -fsanitize=fuzzer"
fi
report
