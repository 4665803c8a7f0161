#!/bin/sh
# zoo.sh - trains every architecture of examples/zoo on rsc15_100k and prints one row each:  zoo.sh
# PATH/TO/zoo [MODEL ...]
#
# The log is looked for in the folder SESSREC_DATA. SEEDS (default "1") and THREADS (default: all) may be set.
# The settings are the programs' own.
set -u

zoo=$1
shift
log=${SESSREC_DATA:-}/rsc15_100k
[ -n "${SESSREC_DATA:-}" ] && [ -f "${log}_test.tsv.gz" ] ||
    { echo "skipped the zoo: no rsc15_100k in the folder SESSREC_DATA"; exit 0; }
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
gzip -dc "${log}_train_full.tsv.gz" >"$work/train.tsv" && gzip -dc "${log}_test.tsv.gz" >"$work/test.tsv" ||
    exit 1
[ $# -gt 0 ] || set -- sasrec lru bst sr-gnn stamp caser bert4rec fpmc bpr-mf
echo '| model | seed | Recall@20 | MRR@20 | seconds |'
echo '|---|---|---|---|---|'
for model in "$@"; do
    for seed in ${SEEDS:-1}; do
        begin=$(date +%s)
        line=$("$zoo" "$model" "$work/train.tsv" "$work/test.tsv" --seed "$seed" --threads "${THREADS:-0}" \
            2>/dev/null | tail -n 1)
        # shellcheck disable=SC2086  # the line is words
        set -- $line
        echo "| $model | $seed | $2 | $4 | $(($(date +%s) - begin)) |"
    done
done
