#!/bin/sh
# witness.sh - the losses of the first mini-batches on a real log, ours against those of
# bench/peers/gru4rec_torch.py, which was written from the papers alone and computes in float64 from the same
# weights, mini-batches and negatives.
#
#     witness.sh PROGRAM [STEPS]      PROGRAM is build/witness; STEPS are 1000 unless given
#
# At learning rate 0.02 the two start from the same weights and run freely. At the default 0.2 and without
# dropout the first mini-batches are chaotic: float32 and float64 part within some twenty steps in any
# program, PyTorch against itself as well (leave out --double, and give
# --every 0). There the peer gets our state with every fifth mini-batch, and computes five steps from there,
# updates included.
#
# Wants the folder $SESSREC_DATA with rsc15_100k_train_full.tsv.gz, and a $PYTHON (python3) with PyTorch; is
# skipped without.
set -u

here=$(cd "$(dirname "$0")" && pwd) || exit 1
program=$1 steps=${2:-1000} python=${PYTHON:-python3}
archive=${SESSREC_DATA:-}/rsc15_100k_train_full.tsv.gz
[ -f "$archive" ] || { echo \
    "skipped witness: SESSREC_DATA names no folder with rsc15_100k_train_full.tsv.gz"; exit 0; }
"$python" -c 'import torch' 2>/dev/null || { echo "skipped witness: $python cannot import torch"; exit 0; }

work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
zcat "$archive" >"$work/log.tsv" || exit 1

# compare LOSS FORM RATE EVERY: prints the largest relative difference, fails above 1e-4 or when a loss is
# missing.
compare() {
    "$program" "$work/log.tsv" "$steps" --loss "$1" --gru "$2" --lr "$3" --every "$4" |
        "$python" "$here/peers/gru4rec_torch.py" witness - --double |
        awk -v what="$1, reset-$2, lr $3" -v steps="$steps" '
            NF == 2 {
                difference = ($1 - $2) / $2
                if (difference < 0) difference = -difference
                if (!(difference <= worst)) { worst = difference; at = NR }
                if (!n++) first = $1
                last = $1
            }
            END {
                good = n == steps && worst <= 1e-4
                printf "%s  witness %s: largest relative difference of %d losses %.1e, " \
                    "at mini-batch %d (loss %.4f -> %.4f)\n",
                       good ? "agrees" : "FAILED", what, n, worst, at, first, last
                exit !good
            }'
}

status=0
for loss in xe bpr-max; do
    for form in before after; do
        compare "$loss" "$form" 0.02 0 || status=1
        compare "$loss" "$form" 0.2 5 || status=1
    done
done
exit $status
