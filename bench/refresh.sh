#!/bin/sh
# refresh.sh - a model that goes on learning night after night, on two real logs, as tables.
#
#     refresh.sh PROGRAM [--table] [--update]
#
# PROGRAM is build/refresh. Each log leaves refresh-LOG.tsv beside it; --table runs nothing and makes tables
# of what is there. They go to refresh.md beside PROGRAM; with --update they replace those in
# bench/RESULTS.md. Wants the folder $SESSREC_DATA with the logs, NAME.tsv.gz; is skipped without.
set -u

here=$(cd "$(dirname "$0")" && pwd) || exit 1
# shellcheck source=bench/between.sh
. "$here/between.sh"
program=$1 kept=$(dirname "$1") update='' table=''
shift
while [ $# -gt 0 ]; do
    case $1 in
    --table) table=1 ;;
    --update) update=1 ;;
    *) echo "refresh.sh: there is no option $1"; exit 2 ;;
    esac
    shift
done
[ -n "$table" ] || [ -f "${SESSREC_DATA:-}/globo_4days.tsv.gz" ] || {
    echo "skipped refresh: SESSREC_DATA names no folder with globo_4days.tsv.gz and the other logs"
    exit 0
}
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

if [ -z "$table" ]; then
    # The test part of rsc15_100k is the days after its training part; its sessions have numbers of their own.
    {
        zcat "$SESSREC_DATA/rsc15_100k_train_full.tsv.gz"
        zcat "$SESSREC_DATA/rsc15_100k_test.tsv.gz" | sed '1d; s/^/test-/'
    } >"$work/rsc15.tsv"
    # Of every fifth visitor: the whole log takes hours.
    zcat "$SESSREC_DATA/globo_4days.tsv.gz" | awk -F '\t' 'NR == 1 || $1 % 5 == 0' >"$work/globo.tsv"
    "$program" "$work/rsc15.tsv" 2 10 7 3 >"$work/run" && mv "$work/run" "$kept/refresh-rsc15.tsv" || exit 1
    "$program" "$work/globo.tsv" 1 3 5 3 >"$work/run" && mv "$work/run" "$kept/refresh-globo.tsv" || exit 1
fi

# table FILE: a row for each way, a column for each day; means over the seeds.
table() {
    awk -F '\t' '
        !($1 in row) { row[$1] = ++rows; way[rows] = $1 }
        !($2 in day) { day[$2]; last = $2 > last ? $2 : last; first = !first || $2 < first ? $2 : first }
        { recall[$1, $2] += $3; mrr[$1, $2] += $4; ++seeds[$1, $2] }
        END {
            line = "| Recall@20 / MRR@20 on day"; rule = "|---"
            for (d = first; d <= last; ++d) { line = line " | " d; rule = rule "|---" }
            print line " |\n" rule "|"
            for (r = 1; r <= rows; ++r) {
                line = "| " way[r]
                for (d = first; d <= last; ++d) {
                    n = seeds[way[r], d]
                    cell = n ? sprintf("%.4f / %.4f", recall[way[r], d] / n, mrr[way[r], d] / n) : ""
                    line = line " | " cell
                }
                print line " |"
            }
        }' "$1"
}

{
    echo "\`bench/refresh.sh build/refresh --update\`, $(date +%F),"
    echo "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)."
    echo "Default settings, means over three seeds."
    echo "After the first days a model goes on for a night after each day, from that day's sessions alone,"
    echo "and is judged on the day after; of all pairs, items that a model does not know are misses. \"A day"
    echo "old\" is the model of the night before; \"no warm-up\" begins Adagrad's accumulators at zero."
    echo
    echo "rsc15_100k, seven days, the first two to begin with, 10 epochs:"
    echo
    table "$kept/refresh-rsc15.tsv"
    echo
    echo "Globo, every fifth visitor, the first day to begin with, 3 epochs;" \
        "clicks go to articles of the day:"
    echo
    table "$kept/refresh-globo.tsv"
} >"$work/tables"
cat "$work/tables"
publish "$here/RESULTS.md" refresh "Night after night" "$work/tables" "$update" "$kept/refresh.md"
