#!/bin/sh
# speed.sh - the library's speed beside the machine's limits and beside other programs, as one table:
# speed.sh build/speed [LOG]
#
# Peers, skipped by name where they are not installed: bench/peers/gru4rec_torch.py (PyTorch) and pandas, in
# PYTHON or python3; plain C loops over OpenBLAS (bench/peers/openblas.c), if a program with -lopenblas links.
# LOG: a TSV file whose reading is measured, else a made-up one. `times` is how many times as fast as the peer
# the library is, at the same number of threads; `share` is that of what the machine can do at most. Where
# other programs run, the figures are theirs, too: look at the load.
set -u

speed=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
given=${2:+$(cd "$(dirname "$2")" && pwd)/$(basename "$2")}
bench=$(cd "$(dirname "$0")" && pwd)
folder=$(mktemp -d "$(dirname "$speed")/speed.XXXXXX") || exit 1
trap 'rm -rf "$folder"' EXIT
trap 'exit 1' INT TERM
cd "$folder" || exit 1
cc=${CC:-cc} python=${PYTHON:-python3}
torch=no pandas=no openblas=no
# Threads of PyTorch that wait for one another spin so often before they sleep: when other programs want the
# processors, it takes seconds for a step with the default.
export GOMP_SPINCOUNT="${GOMP_SPINCOUNT:-10000}"

skip() { echo "skipped $1: $2"; }

# Reads lines "WHO <tab> WHAT: WHICH <tab> NUMBER" and puts those of the same WHAT together and of the same
# WHICH side by side.
table() {
    awk -F '\t' '
        function number(x) { return x == "" ? "" : sprintf(x >= 10000 ? "%.0f" : "%.4g", x) }
        function times(a, b) { return a == "" || b == "" ? "" : sprintf("%.2f", bigger ? a / b : b / a) }
        function row(first, who, i, text) {  # number and ratio of the limit and of each peer
            text = sprintf("%-68s", first)
            for (i = 1; i <= 5; ++i) text = text sprintf(" %9s", i == 1 &&
                !who ? "sessrec" : !who ? HEAD[i] : number(value[who, WHO[i]])) \
                (i == 1 ? "" : sprintf(" %6s",
                    !who ? (i == 2 ? "share" : "times") : times(value[who, "ours"], value[who, WHO[i]])))
            sub(/ +$/, "", text)
            print text
        }
        BEGIN { split("ours limit pytorch openblas pandas", WHO, " ");
        split("sessrec limit PyTorch OpenBLAS pandas", HEAD, " ") }
        NF != 3 { notes = notes $0 "\n"; next }
        {
            what = which = $2
            sub(/: .*/, "", what); sub(/[^:]*: /, "", which)
            if (!(what in rows)) subject[++subjects] = what
            if (!(($2) in seen)) { seen[$2] = 1; list[what, ++rows[what]] = which }
            value[$2, $1] = $3
        }
        END {
            for (s = 1; s <= subjects; ++s) {
                bigger = subject[s] ~ /\/s$/
                row(subject[s], "")
                for (r = 1; r <= rows[subject[s]]; ++r) row("  " list[subject[s], r],
                    subject[s] ": " list[subject[s], r])
                print ""
            }
            printf "%s", notes
        }'
}

# Everything at a catalogue of $1 items, of the subjects that follow; the programs one right after the other.
catalogue() {
    items=$1
    shift
    for subject; do
        "$speed" "$items" "${given:--}" "$subject" || skip "$subject at $items items" "it failed"
    done
    case " $* " in *' train '*) settings=settings only= ;; *) settings= only=click ;; esac
    [ $openblas = no ] || ./openblas "$items" $only || skip "OpenBLAS at $items items" "it failed"
    [ $torch = yes ] || return
    "$speed" "$items" log.tsv write
    { [ -z "$settings" ] || "$speed" "$items" - settings; } | "$python" "$bench/peers/gru4rec_torch.py" race \
        log.tsv 2>torch.txt ||
        skip "PyTorch at $items items" "$(tail -n 1 torch.txt)"
}

# Reads, sorts by session and time, counts each session's events and numbers the items: on one thread, however
# many there are.
pandas_reading() {
    "$python" - "$1" <<'END'
import os, sys, time, pandas
seconds = []
for run in range(6):
    start = time.perf_counter()
    log = pandas.read_csv(sys.argv[1], sep="\t").sort_values(["SessionId", "Time"])
    log.groupby("SessionId", sort=False).size()
    pandas.factorize(log.ItemId)
    seconds.append(time.perf_counter() - start)
size = os.path.getsize(sys.argv[1]) / 1e6
count = os.cpu_count() or 1
for threads in ["1 thread"] + [f"{count} threads"] * (count > 1):
    print(f"pandas\treading a log, MB/s: {size:.1f} MB, {threads}\t{size / sorted(seconds[1:])[2]:.6g}")
END
}

size_of_object() {
    printf '#define SESSREC_IMPLEMENTATION\n#include "sessrec.h"\n' >header.c
    for options in '-DSESSREC_NO_TRAINING' '-DSESSREC_NO_TRAINING -DSESSREC_NO_SIMD'; do
        # shellcheck disable=SC2086  # options are words
        if $cc -Os $options -I"$bench/.." -c -o header.o header.c 2>/dev/null &&
            size header.o >size.txt 2>/dev/null; then
            printf 'ours\tinference-only object, bytes: -Os %s\t%s\n' "$options" "$(awk 'NR == 2 {
                print $1 + $2 + $3 }' size.txt)"
        else skip "the size of the inference-only object" "$cc -Os $options or size does not work here"; fi
    done
}

measure() {
    if "$python" -c 'import torch, numpy' 2>/dev/null; then torch=yes
    else skip PyTorch "$python has none (PYTHON=...)"; fi
    if "$python" -c 'import pandas' 2>/dev/null; then pandas=yes
    else skip pandas "$python has none (PYTHON=...)"; fi
    if $cc -O3 -march=native -ffast-math -o openblas "$bench/peers/openblas.c" \
        -lopenblas -lm -lpthread 2>/dev/null; then openblas=yes
    else skip OpenBLAS "$cc cannot link -lopenblas"; fi
    catalogue 37483 memory train evaluate click file
    catalogue 1000000 memory read train click file
    [ $pandas = no ] || { [ -n "$given" ] || "$speed" 1000000 log.tsv write
        pandas_reading "${given:-log.tsv}"; }
    catalogue 3000 click
    size_of_object
}

echo "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo 2>/dev/null | head -n 1), $(getconf _NPROCESSORS_ONLN \
    2>/dev/null) processors, \
$($cc --version | head -n 1), $(date +%F)"
load() { echo "load of the machine $1: $(cut -d ' ' -f 1-3 /proc/loadavg 2>/dev/null || echo unknown)"; }
load before
echo
measure | tee "$speed.txt" | table
load after
