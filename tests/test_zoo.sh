#!/bin/sh
# test_zoo.sh - the architectures of examples/zoo learn:  test_zoo.sh PATH/TO/sessrec
#
# Each is trained on a made-up log in which the next item follows from the last two; one that learns the order
# of clicks comes far above popularity. Then the same with another number of threads: the last line must be
# the same, digit by digit.
set -u
. "$(dirname "$0")/expect.sh"

zoo=$(cd "$(dirname "$1")" && pwd)/zoo
# Sessions walk up or down among 60 items, in steps that alternate; session s begins anywhere.
awk 'BEGIN {
    print "SessionId\tItemId\tTime"
    for (s = 1; s <= 900; ++s) {
        item = (s * 37) % 60; up = s % 2 ? 7 : 53
        for (i = 0; i < 3 + s % 4; ++i) { print s "\t" item "\t" s * 1000 + i;
        item = (item + (i % 2 ? up : 3)) % 60 }
    }
}' >"$work/all.tsv"
awk -F '\t' 'NR == 1 || $1 <= 800' "$work/all.tsv" >"$work/train.tsv"
awk -F '\t' 'NR == 1 || $1 > 800' "$work/all.tsv" >"$work/test.tsv"

# mrr MODEL THREADS: the last line of a short training
last_line() {
    "$zoo" "$1" "$work/train.tsv" "$work/test.tsv" --threads "$2" --width 24 --epochs 8 --rate 0.01 \
        --dropout 0.1 2>/dev/null | tail -n 1
}
# learns MODEL LEAST
learns() {
    last_line "$1" 1 >"$work/one" && last_line "$1" 3 >"$work/three" && cmp "$work/one" "$work/three" &&
        cat "$work/one" &&
        awk -v least="$2" '$1 != "Recall@20" || $3 != "MRR@20" || $4 < least { exit 1 }' "$work/one"
}
for model in sasrec lru fpmc stamp sr-gnn caser; do
    expect "$model learns what follows what, alike on any number of threads" learns "$model" 0.5
done
expect 'bert4rec learns what follows what, alike on any number of threads' learns bert4rec 0.2
expect 'bpr-mf learns what goes together, alike on any number of threads' learns bpr-mf 0.1

bad_usage() {
    "$zoo" "$@" 2>/dev/null
    [ $? -eq 2 ]
}
expect 'a model that does not exist is bad usage' bad_usage narm "$work/train.tsv" "$work/test.tsv"
expect 'an option that does not exist is bad usage' bad_usage lru "$work/train.tsv" "$work/test.tsv" --depth 3
no_file() {
    "$zoo" lru "$work/none.tsv" "$work/test.tsv" 2>/dev/null
    [ $? -eq 1 ]
}
expect 'a log that does not exist is an error' no_file
report
