# common.sh - sourced by the scripts here: arguments, counts beside the published ones, splits, and the rows
# of a table.
#
#     PAPER.sh [LOG] [--seeds N] [--threads N] [--epochs N] [--only TEXT]
#
# LOG is the file as downloaded. Without it the part of it that SESSREC_DATA has is used, NAME.tsv.gz, or the
# script is skipped by name. --epochs changes those of every network, --only runs the rows whose name contains
# TEXT. SESSREC names the command line, else build/sessrec is used.

set -u
here=$(cd "$(dirname "$0")" && pwd) || exit 1
sessrec=${SESSREC:-$here/../../build/sessrec}
seeds=3 threads=0 epochs='' only='' log='' parts='' cutoff=20
paper=$(basename "$0" .sh)
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
LC_ALL=C
export LC_ALL

stop() {
    echo "$paper: $1" >&2
    exit 1
}

arguments() {
    while [ $# -gt 0 ]; do
        case $1 in
        --seeds) seeds=$2 ;;
        --threads) threads=$2 ;;
        --epochs) epochs=$2 ;;
        --only) only=$2 ;;
        --*) stop "there is no option $1" ;;
        *) log=$1; shift; continue ;;
        esac
        shift 2
    done
    [ -x "$sessrec" ] || stop "$sessrec is not there: make build/sessrec"
    [ -z "$log" ] || [ -f "$log" ] || stop "$log is not there"
}

# unpacked NAME: a log of SESSREC_DATA as a file; the script ends, skipped by name, where there is none.
unpacked() {
    [ -f "${SESSREC_DATA:-}/$1.tsv.gz" ] ||
        { echo "skipped $paper: no log was given, and SESSREC_DATA names no folder with $1.tsv.gz"; exit 0; }
    gzip -dc "$SESSREC_DATA/$1.tsv.gz" >"$work/$1.tsv" || exit 1
}

hash_of() {
    if command -v sha256sum >/dev/null; then sha256sum <"$1" | cut -c 1-64; else cksum <"$1"; fi
}

# "events sessions items" of a log, as describe counts them.
counts() {
    "$sessrec" describe "$@" 2>"$work/err" >"$work/counts" || { cat "$work/err" >&2; exit 1; }
    awk '/^events/ { e = $2 } /^sessions/ { s = $2 } /^items/ { i = $2 } END { print e, s, i }' "$work/counts"
}

# compare WHAT "OURS" "PUBLISHED": counts of events, sessions and items; "-" is not published.
compare() {
    # shellcheck disable=SC2086
    set -- "$1" $2 -- $3
    what=$1 events=$2 sessions=$3 items=$4
    shift 5
    for pair in "events $events $1" "sessions $sessions $2" "items $items $3"; do
        # shellcheck disable=SC2086
        set -- $pair
        case $3 in
        -) verdict='' ;;
        "$2") verdict='the same as published' ;;
        *) verdict="published: $3" ;;
        esac
        printf '%-18s %-9s %14s  %s\n' "$what" "$1" "$2" "$verdict"
    done
}

# downloaded "PUBLISHED" OPTIONS ...: the hash and the counts of $log, which is read with the options.
downloaded() {
    published=$1
    shift
    echo "log                $log"
    echo "sha256             $(hash_of "$log")"
    ours=$(counts "$log" "$@") || exit 1
    compare downloaded "$ours" "$published"
}

# split PREFIX LOG OPTIONS ...: cuts a log into $work/PREFIX_train.tsv and _test.tsv, which are parts from
# then on.
split() {
    prefix=$work/$1
    shift
    "$sessrec" split "$@" -o "$prefix" >"$work/out" 2>"$work/err" || { cat "$work/err" >&2; exit 1; }
    given_parts "$prefix"_train.tsv "$prefix"_test.tsv
}
given_parts() { parts="$parts $1:$2"; }

# count_parts "TRAIN" "TEST": the counts of the last parts beside the published ones.
count_parts() {
    last=${parts##* }
    compare training "$(counts "${last%:*}")" "$1"
    compare test "$(counts "${last#*:}")" "$2"
}

# table TITLE: what the columns are.
table() {
    printf '\n%s\n\n' "$1"
    printf '| method | Recall@%d, paper | ours | MRR@%d, paper | ours | runs |\n' "$cutoff" "$cutoff"
    echo '|---|---|---|---|---|---|'
}

# train_once TRAIN TEST SEED OPTIONS ...: adds a line of Recall and MRR to the runs.
train_once() {
    train=$1 test=$2 seed=$3
    shift 3
    "$sessrec" train "$train" -o "$work/model" --test "$test" --cutoffs "$cutoff" --seed "$seed" \
        --threads "$threads" --json "$work/json" "$@" ${epochs:+--epochs "$epochs"} >"$work/out" 2>&1 ||
        { tail -n 2 "$work/out" >&2; exit 1; }
    value="{\"$cutoff\":\([0-9.e-]*\)}"
    sed -n "s/.*\"recall\":$value.*\"mrr\":$value.*/\1 \2/p" "$work/json" >>"$work/runs"
}

# row NAME RECALL MRR OPTIONS ...: trains with the options, once for each seed and part, and prints the mean,
# the smallest and the largest beside the paper's figures ("-" where they could not be confirmed). Neighbors
# and rules have no seed to vary.
row() {
    name=$1 recall=$2 mrr=$3
    shift 3
    case $name in *"$only"*) ;; *) return 0 ;; esac
    last_seed=$seeds
    case " $* " in *' --model '*) last_seed=1 ;; esac
    : >"$work/runs"
    for part in $parts; do
        seed=1
        while [ "$seed" -le "$last_seed" ]; do
            train_once "${part%:*}" "${part#*:}" "$seed" "$@"
            seed=$((seed + 1))
        done
    done
    awk -v name="$name" -v recall="$recall" -v mrr="$mrr" '
        function figure(m) {
            return NR == 1 ? sprintf("%.4f", sum[m]) : \
                sprintf("%.4f (%.4f-%.4f)", sum[m] / NR, low[m], high[m])
        }
        { for (m = 1; m <= 2; ++m) {
            sum[m] += $m
            if (NR == 1 || $m < low[m]) low[m] = $m
            if (NR == 1 || $m > high[m]) high[m] = $m
        } }
        END { printf "| %s | %s | %s | %s | %s | %d |\n", name, recall, figure(1), mrr, figure(2), NR }' \
        "$work/runs"
}

# What the RecSys Challenge's log is read with: it has no header line.
yoochoose='--session-column 1 --time-column 2 --item-column 3'

# last_day: the RSC15 log as ICLR 2016 and CIKM 2018 cut it, or the last 1/64 of it, of the same test day.
last_day() {
    if [ -z "$log" ]; then
        unpacked yoochoose_1_64_train
        unpacked yoochoose_1_64_test
        given_parts "$work/yoochoose_1_64_train.tsv" "$work/yoochoose_1_64_test.tsv"
        echo 'log                yoochoose_1_64: the last 1/64 of the training part, the same test day'
        count_parts '486026 116167 17376' '71222 15324 -'
        echo "The paper's figures are of models trained on all of the training part."
        return 0
    fi
    # shellcheck disable=SC2086
    downloaded '33003944 9249729 52739' $yoochoose
    # shellcheck disable=SC2086
    split rsc15 "$log" $yoochoose --days 1 --min-support 5 --min-length 2
    count_parts '31637239 7966257 37483' '71222 15324 -'
    echo 'Sessions that cross the cut are in neither part here; the paper has them in the test part.'
}
