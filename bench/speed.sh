#!/bin/sh
# speed.sh - the library's speed beside the machine's limits and beside other programs, as one table:
# speed.sh build/speed [LOG]
#
# Peers, skipped by name where they are not installed (`pip install torch faiss-cpu numpy pandas duckdb
# polars`): bench/peers/gru4rec_torch.py (PyTorch) and bench/peers/others.py, in PYTHON or python3; plain C
# loops over OpenBLAS (bench/peers/openblas.c), if a program with -lopenblas links. The search of faiss and
# numpy has no click in it.
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
torch=no numpy= openblas=no
processors=$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1)
# Threads of PyTorch that wait for one another spin so often before they sleep: when other programs want the
# processors, it takes seconds for a step with the default.
export GOMP_SPINCOUNT="${GOMP_SPINCOUNT:-10000}"

skip() { echo "skipped $1: $2"; }

# Reads lines "WHO <tab> WHAT: WHICH <tab> NUMBER" and puts those of the same WHAT together and of the same
# WHICH side by side, with a column for each who measured it. A limit that the library beats is none.
table() {
    awk -F '\t' '
        function number(x) { return x == "" ? "" : sprintf(x >= 10000 ? "%.0f" : "%.4g", x) }
        function times(a, b) { return a == "" || b == "" ? "" : sprintf("%.2f", bigger ? a / b : b / a) }
        function heads(what, i, text) {
            text = sprintf("%-68s %9s", what, "sessrec")
            for (i = 2; i <= COLUMNS; ++i) if ((what, WHO[i]) in measured)
                text = text sprintf(" %9s %6s", WHO[i], i == 2 ? "share" : "times")
            print text
        }
        function row(what, which, i, key, ours, theirs, text) {
            key = what ": " which
            ours = value[key, "ours"]
            text = sprintf("%-68s %9s", "  " which, number(ours))
            for (i = 2; i <= COLUMNS; ++i) if ((what, WHO[i]) in measured) {
                theirs = value[key, WHO[i]]
                if (i == 2 && times(ours, theirs) + 0 > 1) { theirs = ""; beaten = beaten "\n  " key }
                text = text sprintf(" %9s %6s", number(theirs), times(ours, theirs))
            }
            sub(/ +$/, "", text)
            print text
        }
        BEGIN { COLUMNS = split("ours limit PyTorch OpenBLAS faiss numpy pandas duckdb polars", WHO, " ") }
        NF != 3 { notes = notes $0 "\n"; next }
        {
            who = $1 == "pytorch" ? "PyTorch" : $1 == "openblas" ? "OpenBLAS" : $1
            what = which = $2
            sub(/: .*/, "", what); sub(/[^:]*: /, "", which)
            if (!(what in rows)) subject[++subjects] = what
            if (!(($2) in seen)) { seen[$2] = 1; list[what, ++rows[what]] = which }
            value[$2, who] = $3
            measured[what, who] = 1
        }
        END {
            for (s = 1; s <= subjects; ++s) {
                bigger = subject[s] ~ /\/s$/
                heads(subject[s])
                for (r = 1; r <= rows[subject[s]]; ++r) row(subject[s], list[subject[s], r])
                print ""
            }
            printf "%s", notes
            if (beaten) print "The library beats what was taken for a limit, which is none then:" beaten
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

# others SUBJECT WHAT: the peers that are measured in a few lines, with one thread and with all
others() {
    [ -z "$numpy" ] || for threads in 1 "$processors"; do
        OMP_NUM_THREADS=$threads "$python" "$bench/peers/others.py" "$1" "$2" ||
            skip "others at $2" "they failed"
        [ "$processors" -gt 1 ] || return 0
    done
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
    if "$python" -c 'import numpy' 2>/dev/null; then numpy=yes
    else skip "faiss, numpy, pandas, duckdb, polars" "$python has no numpy (PYTHON=...)"; fi
    if $cc -O3 -march=native -ffast-math -o openblas "$bench/peers/openblas.c" \
        -lopenblas -lm -lpthread 2>/dev/null; then openblas=yes
    else skip OpenBLAS "$cc cannot link -lopenblas"; fi
    "$speed" 1 - cores
    catalogue 37483 memory train evaluate click file
    others search 37483
    catalogue 1000000 memory read train click file
    others search 1000000
    [ -n "$given" ] || "$speed" 1000000 log.tsv write
    others read "${given:-log.tsv}"
    catalogue 3000 click
    size_of_object
}

echo "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo 2>/dev/null | head -n 1), $processors processors, \
$($cc --version | head -n 1), $(date +%F)"
load() { echo "load of the machine $1: $(cut -d ' ' -f 1-3 /proc/loadavg 2>/dev/null || echo unknown)"; }
load before
echo
measure | tee "$speed.txt" | table
load after
