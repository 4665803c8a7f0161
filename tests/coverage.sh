#!/bin/sh
# coverage.sh BUILD [PROGRAM ...]: runs the tests, or these of them, on a build that counts what is run, and
# prints for each section of sessrec.h the share of its lines and branches that some test runs. Plain C
# kernels, one compiler (gcc, with its gcov). Without gcov it is skipped by name. The lines that no test runs
# are listed in BUILD/coverage/missed.txt.
set -u
. "$(dirname "$0")/expect.sh"
build=$1/coverage
shift
[ $# -gt 0 ] || set -- "$root"/tests/test_*.c "$root"/tests/golden.c "$root"/tests/fuzz/*.c \
    "$root/examples/sessrec.c"
case $build in /*) ;; *) build=$PWD/$build ;; esac
CC=${CC:-gcc}
flags='-O0 --coverage -fprofile-update=atomic -DSESSREC_NO_SIMD -Wno-coverage-mismatch'

# One folder a program: what gcov writes is named after the source.
counted() {
    name=$(basename "$1" .c) folder=$build/$(basename "$1" .c)
    mkdir -p "$folder" && cd "$folder" || return 1
    # shellcheck disable=SC2086
    $CC $flags -DSESSREC_IMPLEMENTATION= -w -o "$name" "$1" -lm -lpthread || return 1
    case $name in
    golden) ./golden "$root/tests/golden" ;;
    sessrec) sh "$root/tests/test_cli.sh" "$folder/sessrec" ;;
    *) set -- "$root/tests/fuzz/corpus/$name"/*; [ -e "$1" ] || shift; ./"$name" "$@" ;;
    esac >run.log 2>&1
    gcov -b -c ./*.gcda >gcov.log 2>&1
}

if ! have gcov || ! $CC --version 2>/dev/null | grep -qi gcc; then
    skip 'coverage' 'it needs gcc and gcov'
    report
    exit
fi
rm -rf "$build"
mkdir -p "$build"
for program in "$@"; do
    case $program in /*) ;; *) program=$root/tests/$program.c ;; esac
    expect "$(basename "$program") runs in a build that counts" counted "$program"
    cd "$root" || exit 1
done

# gcov marks a line with its count, ##### if it was never run, - if it is no code; "branch N taken COUNT"
# follows it. What one program does not run another may: counts are added up over all.
awk -v missed="$build/missed.txt" '
    FNR == 1 { line = 0 }
    /^branch / { if (line) { key = line SUBSEP $2; seen[key] = 1;
    if ($4 != "never" && $4 + 0 > 0) taken[key] = 1 } next }
    /^ *[-#=0-9]+\*?: *[0-9]+:/ {
        split($0, part, ":")
        count = part[1]; line = part[2] + 0
        gsub(/[ *]/, "", count)
        text = substr($0, length(part[1]) + length(part[2]) + 3)
        if (text ~ /^\/\/ >>/) { split(text, word, /[> ]+/); section[line] = word[2];
        if (line > last) last = line }
        if (line > last) last = line
        if (count == "-") next
        code[line] = 1
        if (count + 0 > 0) ran[line] = 1
        source[line] = text
    }
    END {
        for (key in seen) { split(key, at, SUBSEP); branches[at[1]]++;
        if (key in taken) branches_taken[at[1]]++ }
        printf "%-14s %22s %24s\n", "section", "lines", "branches"
        for (i = 1; i <= last + 1; i++) {
            if (i in section || i == last + 1) {
                if (name && lines) show(name, lines, lines_ran, all, all_taken)
                name = section[i]; lines = lines_ran = all = all_taken = 0
            }
            if (!(i in code)) continue
            lines++; sum_lines++
            if (i in ran) { lines_ran++; sum_ran++ } else print i ": " source[i] >missed
            all += branches[i]; all_taken += branches_taken[i]; sum_all += branches[i];
            sum_taken += branches_taken[i]
        }
        show("all", sum_lines, sum_ran, sum_all, sum_taken)
    }
    function show(name, lines, ran, all, taken) {
        printf "%-14s %6d of %6d %5.1f %% %7d of %6d %5.1f %%\n", name, ran, lines, 100 * ran / lines,
            taken, all,
            all ? 100 * taken / all : 100
    }' "$build"/*/sessrec.h.gcov
report
