#!/bin/sh
# zoo-length.sh - how much of a session does a method need? Accuracy when models see the last clicks alone.
#
#     zoo-length.sh PATH/TO/zoo [FIGURE]
#
# Trains a Markov chain, the GRU and SASRec on rsc15_100k in the folder SESSREC_DATA, prints a table, and draws
# it with gnuplot as FIGURE (default: zoo-length.svg beside PATH/TO/zoo).
set -u

bench=$(cd "$(dirname "$0")" && pwd)
zoo=$1 figure=${2:-$(dirname "$1")/zoo-length.svg} log=${SESSREC_DATA:-}/rsc15_100k
[ -n "${SESSREC_DATA:-}" ] && [ -f "${log}_test.tsv.gz" ] ||
    { echo "skipped the lengths: no rsc15_100k in the folder SESSREC_DATA"; exit 0; }
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
train=$work/train.tsv test=$work/test.tsv
gzip -dc "${log}_train_full.tsv.gz" >"$train" && gzip -dc "${log}_test.tsv.gz" >"$test" || exit 1
gru='--layers 100 --batch 32 --negatives 2048 --alpha 0.5 --lr 0.2 --momentum 0.2 --logq 1 --dropout-hidden 0.4'
# shellcheck disable=SC2086  # the settings are words
"$zoo" train "$train" -o "$work/gru" $gru --epochs 10 >/dev/null &&
    "$zoo" train "$train" -o "$work/markov" --model rules --preset markov --order 3 >/dev/null &&
    "$zoo" sasrec "$train" "$test" --save "$work/sasrec" >/dev/null || exit 1

echo '| last clicks | Markov, order 3 | | GRU4Rec | | SASRec | |'
echo '|---|---|---|---|---|---|---|'
for clicks in 1 2 3 4 6 8 12 20; do
    "$zoo" evaluate "$work/markov" "$work/gru" "$work/sasrec" "$test" --cutoffs 20 --last-clicks $clicks \
        >"$work/table" || exit 1
    awk -v clicks=$clicks -v points="$work/points" '
        /^\/.*(markov|gru|sasrec) / { n = split($0, word, " +"); recall[++rows] = word[2]
            mrr[rows] = rows == 1 ? word[3] : word[4] }
        END {
            row = "| " clicks
            for (i = 1; i <= 3; ++i) row = row " | " recall[i] " | " mrr[i]
            print row " |"
            print clicks, recall[1], recall[2], recall[3], mrr[1], mrr[2], mrr[3] >points
        }' "$work/table"
    cat "$work/points" >>"$work/all"
done
if command -v gnuplot >/dev/null 2>&1; then
    gnuplot -e "points = '$work/all'; set output '$figure'" "$bench/zoo-length.gp" && echo "drawn as $figure"
else echo "skipped the figure: there is no gnuplot"; fi
