#!/bin/sh
# accuracy.sh - trains the settings of bench/accuracy.c on real logs with several seeds, and makes tables.
#
#     accuracy.sh PROGRAM [--seeds N] [--only NAME] [--threads N] [--jobs N] [--table] [--update]
#
# PROGRAM is build/accuracy. Seeds are 1..5 unless given, threads of a run 1, runs side by side 1. Each run
# leaves a line in accuracy.tsv beside PROGRAM; --only replaces the lines of that setting and keeps the rest,
# --table trains nothing and writes the tables from what is there. The tables go to accuracy.md beside
# PROGRAM; with --update they replace those in bench/RESULTS.md, if every setting has been run. Wants the
# folder $SESSREC_DATA with the logs, NAME.tsv.gz; is skipped without.
set -u

here=$(cd "$(dirname "$0")" && pwd) || exit 1
# shellcheck source=bench/between.sh
. "$here/between.sh"
program=$1
shift
results=$(dirname "$program")/accuracy.tsv
seeds=5 only='' threads=1 jobs=1 table='' update=''
while [ $# -gt 0 ]; do
    case $1 in
    --table) table=1; shift; continue ;;
    --update) update=1; shift; continue ;;
    --seeds) seeds=$2 ;;
    --only) only=$2 ;;
    --threads) threads=$2 ;;
    --jobs) jobs=$2 ;;
    *) echo "accuracy.sh: there is no option $1"; exit 2 ;;
    esac
    shift 2
done
[ -n "$table" ] || [ -f "${SESSREC_DATA:-}/rsc15_100k_train_full.tsv.gz" ] || {
    echo "skipped accuracy: SESSREC_DATA names no folder with rsc15_100k_train_full.tsv.gz and the other logs"
    exit 0
}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

# Every run of the chosen settings, one line each: NAME SEED. Popularity has no seed to vary.
list_runs() {
    "$program" --list | cut -f 1 | while read -r name; do
        if [ -n "$only" ] && [ "$name" != "$only" ]; then continue; fi
        if [ "$name" = pop ]; then echo "pop 1"; continue; fi
        seed=1
        while [ "$seed" -le "$seeds" ]; do
            echo "$name $seed"
            seed=$((seed + 1))
        done
    done
}

train_all() {
    zcat "$SESSREC_DATA/rsc15_100k_train_full.tsv.gz" >"$work/rsc15_100k_train.tsv" || exit 1
    zcat "$SESSREC_DATA/rsc15_100k_test.tsv.gz" >"$work/rsc15_100k_test.tsv" || exit 1
    for part in train test; do zcat "$SESSREC_DATA/yoochoose_1_64_$part.tsv.gz" \
        >"$work/yoochoose_1_64_$part.tsv" || exit 1; done
    list_runs >"$work/runs"
    [ -s "$work/runs" ] || { echo "accuracy.sh: there is no setting $only"; exit 2; }
    touch "$results"
    awk 'NR == FNR { again[$1]; next } !($1 in again)' "$work/runs" "$results" >"$work/kept" &&
        mv "$work/kept" "$results"
    # shellcheck disable=SC2016  # the inner shell expands them
    xargs -P "$jobs" -L 1 sh -c 'line=$("$0" "$1" "$4" "$5" "$2") && echo "$line" | tee -a "$3"' "$program" \
        "$work" "$threads" "$results" <"$work/runs"
}

# tables LIST RESULTS: markdown on stdout; of every setting the mean over the seeds, with smallest and
# largest.
tables() {
    awk -F '\t' -v date="$(date +%Y-%m-%d)" -v cores="$(getconf _NPROCESSORS_ONLN)" \
        -v processor="$(sed -n 's/^model name[[:space:]]*: *//p' /proc/cpuinfo 2>/dev/null | head -n 1)" '
        function figure(name, m) { return runs[name] == 1 ? sprintf("%.4f", sum[name, m]) : \
            sprintf("%.4f (%.4f-%.4f)", sum[name, m] / runs[name], low[name, m], high[name, m]) }
        function row(name, m, cells) {
            for (m = 1; m <= 4; ++m) cells = cells " | " figure(name, m)
            print "| `" name "` | " runs[name] cells " |"
        }
        function compare(what, other, name, digits, m, cells) {
            for (m = 1; m <= 4; ++m) cells = cells " | " sprintf(digits, sum[name, m] / runs[name] / other[m])
            print "| " what " | " cells " |"
        }
        function head(title) {
            print "\n### " title "\n\n" \
                "| setting | seeds | Recall@5 | MRR@5 | Recall@20 | MRR@20 |\n|---|---|---|---|---|---|"
        }
        NR == FNR { name[++n] = $1; part[$1] = $2; log_[$1] = $3; what[$1] = $4
            for (m = 1; m <= 4; ++m) reference[$1, m] = $(4 + m)
            next }
        {
            ++runs[$1]
            for (m = 1; m <= 4; ++m) {
                x = $(2 + m); sum[$1, m] += x
                if (runs[$1] == 1 || x < low[$1, m]) low[$1, m] = x
                if (runs[$1] == 1 || x > high[$1, m]) high[$1, m] = x
            }
        }
        END {
            print "`make accuracy`, " date ", " (processor == "" ? "processor unknown" : processor) \
                ", " cores " cores. Seeds 1, 2, ...; each figure is the mean over"
            print "the seeds, in brackets the smallest and the largest. Ties standard," \
                " the whole catalog ranked.\n\n" \
                "| setting | log | what |\n|---|---|---|"
            for (i = 1; i <= n; ++i) if (runs[name[i]])
                print "| `" name[i] "` | " log_[name[i]] " | " what[name[i]] " |"

            head("Against the reference (the GRU4Rec authors'"'"' PyTorch program, one seed, reset-after)")
            for (i = 1; i <= n; ++i) if (part[name[i]] == "reference" && runs[name[i]]) {
                for (m = 1; m <= 4; ++m) other[m] = reference[name[i], m]
                row(name[i])
                print "| reference | 1 | " \
                    sprintf("%.4f | %.4f | %.4f | %.4f |", other[1], other[2], other[3], other[4])
                compare("ratio", other, name[i], "%.3f")
            }
            head("Switches: form of the GRU, and a negative that is the row'"'"'s own target")
            split(" -count -before -before-count", variant, / /)
            for (i = 1; i <= n; ++i) for (v = 1; part[name[i]] == "reference" && v <= 4; ++v)
                if (runs[name[i] variant[v]]) row(name[i] variant[v])
            head("The losses of 2016 against popularity")
            for (m = 1; m <= 4; ++m) other[m] = sum["pop", m]
            for (i = 1; i <= n; ++i) if (part[name[i]] == "first" && runs[name[i]]) {
                row(name[i])
                if (name[i] != "pop" && runs["pop"]) compare("times POP", other, name[i], "%.1f")
            }
        }' "$1" "$2"
}

[ -n "$table" ] || train_all || exit 1
"$program" --list >"$work/list"
tables "$work/list" "$results" >"$work/tables"
cat "$work/tables"
missing=$(awk -F '\t' 'NR == FNR { seen[$1]; next } !($1 in seen) { print $1; exit }' "$results" "$work/list")
if [ -n "$update" ] && [ -n "$missing" ]; then
    echo "accuracy.sh: RESULTS.md stays as it is: $missing has not been run"
    update=''
fi
publish "$here/RESULTS.md" accuracy Accuracy "$work/tables" "$update" "$(dirname "$program")/accuracy.md"
