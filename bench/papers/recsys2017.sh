#!/bin/sh
# recsys2017.sh - Quadrana, Karatzoglou, Hidasi, Cremonesi: Personalizing Session-based Recommendations with
# Hierarchical Recurrent Neural Networks. RecSys 2017. The table of XING.
#
#     recsys2017.sh [interactions.csv] [--seeds N] [--threads N] [--epochs N] [--only TEXT]
#
# The log is that of the RecSys Challenge 2016: user_id, item_id, interaction_type, created_at, with tabs.
# Without it the news log globo_4days is used, whose sessions are given. As in the paper: deletions are left
# out, sessions end after 30 minutes, a kind of interaction with an item counts once a session; items with
# fewer than 20 clicks, then sessions with fewer than 3 and users with fewer than 5 sessions are left out
# (Globo: 5, 2 and 5); the last session of each user is the test. The figures of the paper could not be
# confirmed here.
# make hrnn runs the whole experiment with RNN Concat and PPOP.
. "$(dirname "$0")/common.sh"
arguments "$@"
cutoff=5

# xing: user, session, item and time of what counts, sorted.
xing() {
    awk -F '\t' 'NR > 1 && $3 != 4 { print $1 "\t" $4 "\t" $2 "\t" $3 }' "$log" | sort -k 1,1n -k 2,2n |
        awk -F '\t' '{
            if ($1 != user || $2 - last > 1800) { ++session; split("", seen) }
            user = $1; last = $2
            if (!(($3, $4) in seen)) { seen[$3, $4]; print $1 "\t" session "\t" $3 "\t" $2 }
        }'
}
# frequent ITEM SESSION USER: what is left with that many clicks of an item, clicks of a session and sessions
# of a user, filtered in this order.
frequent() {
    awk -F '\t' -v least="$1" 'NR == FNR { ++n[$3]; next } n[$3] >= least' "$work/log" "$work/log" >"$work/a"
    awk -F '\t' -v least="$2" 'NR == FNR { ++n[$2]; next } n[$2] >= least' "$work/a" "$work/a" >"$work/b"
    awk -F '\t' -v least="$3" 'BEGIN { print "UserId\tSessionId\tItemId\tTime" }
        NR == FNR { if (!(($1, $2) in seen)) { seen[$1, $2]; ++n[$1] } next } n[$1] >= least' \
        "$work/b" "$work/b" >"$work/users.tsv"
}
if [ -n "$log" ]; then
    downloaded '- - -' --session-column user_id --item-column item_id --time-column created_at --user ''
    xing >"$work/log"
    frequent 20 3 5
else
    unpacked globo_4days
    sed 1d "$work/globo_4days.tsv" >"$work/log"
    echo 'log                globo_4days'
    compare downloaded "$(counts "$work/globo_4days.tsv")" '901032 318563 16998'
    frequent 5 2 5
fi
split hrnn "$work/users.tsv" --last-session --min-support 0 --min-length 2
count_parts '- - -' '- - -'

network='--layers 100 --embedding none --batch 100 --epochs 10 --count-own-target'
top1="$network --loss top1 --negatives 0 --lr 0.02 --momentum 0"
xe="$network --loss xe --negatives 512 --lr 0.1 --momentum 0"
table 'The last session of each user (RecSys 2017)'
row item-KNN - - --model rules --preset itemknn
# shellcheck disable=SC2086
{
    row 'RNN, TOP1' - - $top1 --dropout-hidden 0.5 --user ''
    row 'HRNN Init, TOP1' - - $top1 --dropout-hidden 0.2 --hrnn init
    row 'HRNN All, TOP1' - - $top1 --dropout-hidden 0.2 --hrnn all
    row 'RNN, cross-entropy' - - $xe --dropout-hidden 0.4 --user '' --epochs 5
    row 'HRNN Init, cross-entropy' - - $xe --dropout-hidden 0.2 --hrnn init --epochs 5
    row 'HRNN All, cross-entropy' - - $xe --dropout-hidden 0.4 --hrnn all --epochs 5
}
