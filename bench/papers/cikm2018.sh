#!/bin/sh
# cikm2018.sh - Hidasi, Karatzoglou: Recurrent Neural Networks with Top-k Gains for Session-based
# Recommendations. CIKM 2018. The losses with additional samples on RSC15.
#
#     cikm2018.sh [yoochoose-clicks.dat] [--seeds N] [--threads N] [--epochs N] [--only TEXT]
#
# Item-KNN and TOP1 without samples are in the paper as in ICLR 2016. The other figures of its Table 2 could
# not be confirmed here; what it says in its abstract is at the end. 100 units, 2,048 samples, alpha 0.5 and
# 10 epochs; learning rate, momentum and dropout are those that the authors published for cross-entropy and,
# for the -max losses, BPR-max later.
. "$(dirname "$0")/common.sh"
arguments "$@"
last_day

samples='--layers 100 --negatives 2048 --alpha 0.5 --epochs 10 --logq 0 --count-own-target'
gentle="$samples --batch 80 --lr 0.05 --momentum 0.4 --dropout-input 0.5 --dropout-hidden 0.05"
table 'RSC15, the last day (CIKM 2018)'
row item-KNN 0.5065 0.2048 --model rules --preset itemknn
row 'TOP1, no samples' 0.5853 0.2305 --embedding none --negatives 0 --logq 0 --count-own-target --epochs 10 \
    --loss top1 --batch 50 --dropout-hidden 0.5 --lr 0.01 --momentum 0
# shellcheck disable=SC2086
{
    row TOP1 - - --embedding none $gentle --loss top1
    row cross-entropy - - --embedding none $samples --loss xe --lr 0.2 --momentum 0.2 --dropout-hidden 0.4
    row TOP1-max - - --embedding none $gentle --loss top1-max
    row BPR-max - - --embedding none $gentle --loss bpr-max --bpreg 1
    row 'cross-entropy, tied embedding' - - --embedding tied $samples --loss xe --lr 0.2 --momentum 0.2 \
        --dropout-hidden 0.4
    row 'BPR-max, tied embedding' - - --embedding tied $gentle --loss bpr-max --bpreg 1
}
echo
echo 'The abstract: up to 35 % more Recall@20 and MRR@20 than the networks before (TOP1, no samples), up to'
echo '53 % more than classical collaborative filtering (item-KNN).'
