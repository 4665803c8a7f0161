#!/bin/sh
# knn2018.sh - Ludewig, Jannach: Evaluation of Session-based Recommendation Algorithms. User Modeling and
# User-Adapted Interaction 28, 2018. Neighbors, rules and GRU4Rec on slices of RSC15.
#
#     knn2018.sh [yoochoose-clicks.dat] [--seeds N] [--threads N] [--epochs N] [--only TEXT]
#
# The log is cut into five slices of 31 days; the last day of each is its test. Figures are means over the
# slices. Without the log rsc15_100k is used, one slice. The figures of the study could not be confirmed here.
. "$(dirname "$0")/common.sh"
arguments "$@"

# slice N: the rows of 31 days from day 31 N of the log on, by the date in column 2; none if the log is
# shorter.
slice() {
    awk -F , -v n="$1" '
        function day(date, y, m, d) {
            y = substr(date, 1, 4); m = substr(date, 6, 2); d = substr(date, 9, 2) + 0
            if (m <= 2) { --y; m += 12 }
            return 365 * y + int(y / 4) - int(y / 100) + int(y / 400) + int((153 * m - 457) / 5) + d
        }
        NR == FNR { d = day($2); if (first == "" || d < first) first = d; if (d > last) last = d; next }
        last - first + 1 < 31 * (n + 1) { exit }
        { d = day($2) - first; if (d >= 31 * n && d < 31 * (n + 1)) print }' "$log" "$log"
}
if [ -n "$log" ]; then
    # shellcheck disable=SC2086
    downloaded '33003944 9249729 52739' $yoochoose
    for n in 0 1 2 3 4; do
        slice $n >"$work/slice.csv"
        [ -s "$work/slice.csv" ] || break
        # shellcheck disable=SC2086
        split "slice$n" "$work/slice.csv" $yoochoose --days 1 --min-support 5 --min-length 2
    done
else
    unpacked rsc15_100k_train_full
    unpacked rsc15_100k_test
    given_parts "$work/rsc15_100k_train_full.tsv" "$work/rsc15_100k_test.tsv"
    echo 'log                rsc15_100k'
fi
count_parts '- - -' '- - -'

table 'RSC15, slices of 31 days (Ludewig, Jannach 2018)'
for method in sknn vsknn stan vstan vmis; do row "$method" - - --model knn --preset $method; done
for method in sr ar markov itemknn; do row "$method" - - --model rules --preset $method; done
row 'GRU4Rec, cross-entropy' - - --loss xe
row 'GRU4Rec, BPR-max' - - --loss bpr-max --batch 80 --lr 0.05 --momentum 0.4 --dropout-input 0.5 \
    --dropout-hidden 0.05 --bpreg 2 --layers 224
