#!/bin/sh
# iclr2016.sh - Hidasi, Karatzoglou, Baltrunas, Tikk: Session-based Recommendations with Recurrent Neural
# Networks. ICLR 2016. Table 1 (item-KNN) and Table 3 (networks) on RSC15, with the settings of Table 2.
#
#     iclr2016.sh [yoochoose-clicks.dat] [--seeds N] [--threads N] [--epochs N] [--only TEXT]
#
# One-hot input, Adagrad, negatives from the mini-batch alone. The paper does not say how many epochs; here it
# is 10. Table 2 has the settings found for the networks of 100 units; those of 1000 use them, too.
. "$(dirname "$0")/common.sh"
arguments "$@"
last_day

network='--embedding none --negatives 0 --logq 0 --count-own-target --epochs 10'
top1="$network --loss top1 --batch 50 --dropout-hidden 0.5 --lr 0.01 --momentum 0"
bpr="$network --loss bpr --batch 50 --dropout-hidden 0.2 --lr 0.05 --momentum 0.2"
xe="$network --loss xe --batch 500 --dropout-hidden 0 --lr 0.01 --momentum 0"
table 'RSC15, the last day (ICLR 2016, Tables 1 to 3)'
row item-KNN 0.5065 0.2048 --model rules --preset itemknn
for units in 100 1000; do
    case $units in
    100) paper_top1='0.5853 0.2305' paper_bpr='0.6069 0.2407' paper_xe='0.6074 0.2430' ;;
    *) paper_top1='0.6206 0.2693' paper_bpr='0.6322 0.2467' paper_xe='0.5777 0.2153' ;;
    esac
    # shellcheck disable=SC2086
    {
        row "TOP1, $units units" $paper_top1 --layers $units $top1
        row "BPR, $units units" $paper_bpr --layers $units $bpr
        row "cross-entropy, $units units" $paper_xe --layers $units $xe
    }
done
