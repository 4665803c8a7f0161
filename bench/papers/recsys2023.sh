#!/bin/sh
# recsys2023.sh - Hidasi, Czapp: The Effect of Third Party Implementations on Reproducibility. RecSys 2023.
# What GRU4Rec loses when a part of it is missing, as in the versions that the paper examines.
#
#     recsys2023.sh [2019-Oct.csv] [--seeds N] [--threads N] [--epochs N] [--only TEXT]
#
# The log is Rees46 (eCommerce behavior data from multi category store, Kaggle): views alone. Without it
# rsc15_100k is used. With cross-entropy on Rees46 the paper has MRR@20 of .20 for the authors' versions and
# .06 to .16 for the third-party ones that run, in two digits.
. "$(dirname "$0")/common.sh"
arguments "$@"
authors='- -' note=''
if [ -n "$log" ]; then
    read_rees46="--session-column user_session --item-column product_id --time-column event_time --user ''"
    rows=$(($(wc -l <"$log") - 1))
    echo "rows               $rows  (2019-Oct.csv has 42448764)"
    eval "downloaded '- - -' --where event_type=view $read_rees46"
    eval "split rees46 \"\$log\" --where event_type=view $read_rees46 --days 1 --min-support 5 --min-length 2"
    authors='- .20' note=', MRR of the authors in two digits'
else
    unpacked rsc15_100k_train_full
    unpacked rsc15_100k_test
    given_parts "$work/rsc15_100k_train_full.tsv" "$work/rsc15_100k_test.tsv"
    echo 'log                rsc15_100k'
    authors='.6815 .3590' note=', the authors'"'"' PyTorch version run on the same parts'
fi
count_parts '- - -' '- - -'

full='--loss xe --layers 100 --batch 32 --alpha 0.5 --lr 0.2 --momentum 0.2 --epochs 10 --gru reset-after'
tied="$full --embedding tied --dropout-hidden 0.4"
table "Parts that third-party versions lack (RecSys 2023$note)"
# shellcheck disable=SC2086
{
    row 'complete' $authors $tied --negatives 2048
    row 'no additional samples' - - $tied --negatives 0 --logq 0
    row 'no logQ correction' - - $tied --negatives 2048 --logq 0
    row 'no tied embedding' - - $full --embedding 100 --dropout-hidden 0.4 --negatives 2048
    row 'no dropout' - - $full --embedding tied --dropout-hidden 0 --negatives 2048
    row 'Adam instead of Adagrad' - - $tied --negatives 2048 --optimizer adam --lr 0.001 --momentum 0
    row 'none of these' - - $full --embedding 100 --dropout-hidden 0 --negatives 0 --logq 0 --optimizer adam \
        --lr 0.001 --momentum 0
}
