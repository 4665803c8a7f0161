#!/bin/sh
# papers.sh - every script of bench/papers runs from a log in the shape of the download to its table:
#
#     papers.sh PATH/TO/sessrec
#
# The logs are made up: visitors walk through a hundred items, mostly to a neighbor.
set -u
. "$(dirname "$0")/expect.sh"
case $1 in /*) SESSREC=$1 ;; *) SESSREC=$PWD/$1 ;; esac
export SESSREC
papers=$root/bench/papers
cd "$work" || exit 1
data=${SESSREC_DATA:-}
unset SESSREC_DATA

# walks SESSIONS DAYS: lines of session, user, day from 0, second of the day, item
walks() {
    awk -v sessions="$1" -v days="$2" 'BEGIN {
        for (s = 0; s < sessions; ++s) {
            item = (s * 37 + int(s / 7)) % 100; second = (s * 7919) % 80000
            for (i = 0; i < 3 + s % 3; ++i) {
                print s, s % 60, int(s * days / sessions), second + 40 * i, item
                item = (item + 1 + (s * 3 + i * 5) % 4) % 100
            }
        }
    }'
}
walks 1500 62 | awk '{
    printf "%d,2014-%02d-%02dT%02d:%02d:%02d.%03dZ,%d,0\n", $1 + 1, 4 + int($3 / 30), 1 + $3 % 30,
        $4 / 3600, $4 % 3600 / 60, $4 % 60, $1 % 1000, 214500000 + $5
}' >yoochoose-clicks.dat
walks 600 20 | awk 'BEGIN {
        print "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session" }
    { printf "2019-10-%02d %02d:%02d:%02d UTC,%s,%d,2053013555631882655,electronics,apple,9.50,%d,a-%d\n",
        1 + $3, $4 / 3600, $4 % 3600 / 60, $4 % 60, NR % 20 ? "view" : "cart", 1000000 + $5,
        500000 + $2, $1 }' >2019-Oct.csv
walks 600 30 | awk 'BEGIN { print "user_id\titem_id\tinteraction_type\tcreated_at" }
    { print $2 "\t" 7000 + $5 "\t" (NR % 25 ? 1 + NR % 3 : 4) "\t" 1440000000 + $3 * 86400 + $4 }' \
    >interactions.csv

rows_of() { awk -F '|' 'NF == 8 && $4 ~ /[01]\.[0-9][0-9][0-9][0-9]/ && $6 ~ /[01]\.[0-9][0-9]/ { ++n }
    END { print n + 0 }' out; }
# runs ROWS SCRIPT OPTIONS ...: its table has that many rows, each with both figures
runs() {
    rows=$1 script=$2
    shift 2
    sh "$papers/$script.sh" "$@" --threads 1 >out 2>err || { cat out err; return 1; }
    cat out
    [ "$(rows_of)" -eq "$rows" ]
}
has() { grep -q -e "$1" out || { echo "no '$1' in:"; cat out; return 1; }; }

expect 'ICLR 2016, 100 units, from the download to the table' runs 3 iclr2016 yoochoose-clicks.dat --seeds 2 \
    --epochs 1 --only '100 units'
expect 'each figure has its spread' has '| 0.5853 | 0\.[0-9]* (0\.[0-9]*-0\.[0-9]*) | 0.2305 | 0.*| 2 |$'
expect 'the hash of the log is printed' has "$(sha256sum <yoochoose-clicks.dat 2>/dev/null | cut -c 1-64)"
expect 'its counts stand beside the published ones' has "downloaded  *events  *$(wc -l <yoochoose-clicks.dat |
    tr -d ' ')  published: 33003944"
expect 'so do those of the parts' has 'test  *sessions  *[1-9][0-9]*  published: 15324'
expect 'ICLR 2016, item-KNN and 1000 units' runs 1 iclr2016 yoochoose-clicks.dat --only item-KNN
expect 'CIKM 2018' runs 8 cikm2018 yoochoose-clicks.dat --seeds 1 --epochs 1
expect 'the study of neighbors of 2018' runs 11 knn2018 yoochoose-clicks.dat --seeds 1 --epochs 1
expect 'its slices are averaged' has '^| sknn .*([01]\.[0-9]*-.* | 2 |$'
expect 'RecSys 2017' runs 7 recsys2017 interactions.csv --seeds 1 --epochs 1
expect 'RecSys 2023' runs 7 recsys2023 2019-Oct.csv --seeds 1 --epochs 1

expect 'equal counts are the same as published' sh -c "
    sh -c '. \"$papers/common.sh\"; compare log \"12 5 3\" \"12 6 -\"' '$papers/x.sh' >out
    grep -q 'log  *events  *12  the same as published' out && grep -q 'sessions  *5  published: 6' out &&
        grep -q 'items  *3  *\$' out"
fails() {
    want=$1
    shift
    sh "$papers/iclr2016.sh" "$@" >out 2>err
    [ $? -ne 0 ] && grep -q -e "$want" err
}
expect 'a log that is not there is an error' fails 'none.dat is not there' none.dat
expect 'an option that is not there is an error' fails 'there is no option --seed' yoochoose-clicks.dat \
    --seed 3
without_log() { sh "$papers/$1.sh" >out && grep -q "^skipped $1: no log was given" out; }
for script in iclr2016 cikm2018 recsys2017 recsys2023 knn2018; do
    expect "$script is skipped by name without a log" without_log $script
done
if [ -n "$data" ] && [ -f "$data/rsc15_100k_test.tsv.gz" ]; then
    SESSREC_DATA=$data
    export SESSREC_DATA
    expect 'a part in SESSREC_DATA is used instead of the download' runs 1 knn2018 --only vsknn
else
    skip 'the papers on real logs' 'SESSREC_DATA names no folder with rsc15_100k_test.tsv.gz'
fi
report
