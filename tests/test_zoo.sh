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
    print "SessionId\tItemId\tTime\tColor"
    for (s = 1; s <= 900; ++s) {
        item = (s * 37) % 60; up = s % 2 ? 7 : 53
        for (i = 0; i < 3 + s % 4; ++i) { print s "\t" item "\t" s * 1000 + i "\t" item % 3
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
for model in sasrec lru bst fpmc stamp sr-gnn caser; do
    expect "$model learns what follows what, alike on any number of threads" learns "$model" 0.5
done
expect 'bert4rec learns what follows what, alike on any number of threads' learns bert4rec 0.2
expect 'bpr-mf learns what goes together, alike on any number of threads' learns bpr-mf 0.1

# What is kept is what was trained: the commands find the same figures. kept MODEL
kept() {
    "$zoo" "$1" "$work/train.tsv" "$work/test.tsv" --threads 1 --width 8 --epochs 2 --rate 0.01 --gates 1 \
        --categories Color --save "$work/$1.zoo" 2>/dev/null | tail -n 1 >"$work/trained" &&
        (cd "$work" && "$zoo" evaluate "$1.zoo" "$1.zoo" test.tsv --threads 1) >"$work/table" &&
        cat "$work/table" &&
        awk 'NR == FNR { recall = $2; mrr = $4; next }
            /zoo / && $2 == recall { same += $3 == mrr || $4 == mrr }
            END { exit same != 2 }' "$work/trained" "$work/table"
}
for model in sasrec lru bst bert4rec sr-gnn stamp caser fpmc bpr-mf; do
    expect "$model is written and read" kept "$model"
done
neighbors() {
    "$(dirname "$zoo")/sessrec" train "$work/train.tsv" -o "$work/neighbors" --model knn >"$work/said" 2>&1
}
expect 'neighbors to compare and blend with' neighbors
signed_ranks() {
    (cd "$work" && "$zoo" evaluate lru.zoo neighbors test.tsv --baselines --train train.tsv --threads 1) \
        >"$work/table" 2>&1 && cat "$work/table" && grep -q '^neighbors ' "$work/table" &&
        grep -q "Wilcoxon's signed-rank test" "$work/table"
}
expect 'a model is compared with neighbors and baselines by signed ranks' signed_ranks
blended() {
    "$zoo" blend "$work/lru.zoo" "$work/neighbors" "$work/test.tsv" -o "$work/both.zoo" \
        >/dev/null 2>&1 &&
        (cd "$work" && "$zoo" evaluate both.zoo lru.zoo test.tsv --threads 1) >"$work/table" &&
        cat "$work/table" &&
        awk '/both.zoo/ { both = $2 + $3 } /lru.zoo/ { alone = $2 + $4 } END { exit !(both > alone) }' \
            "$work/table"
}
expect 'a blend with neighbors is better than the model, and stands in a file' blended
served() {
    printf 'a\t37\nb\t7\na\t40\na\tEND\nno tab\n' | "$zoo" recommend "$1" -k 3 >"$work/answers" 2>/dev/null
    cat "$work/answers" && awk -F '\t' 'NR <= 3 { good += NF == 4 } NR == 5 { good += /error/ }
        END { exit !(NR == 5 && good == 4) }' "$work/answers"
}
for model in sasrec bst both; do expect "$model serves clicks from stdin" served "$work/$model.zoo"; done
damaged() {
    for size in 3 17 200 2000; do
        head -c "$size" "$work/sasrec.zoo" >"$work/cut.zoo"
        "$zoo" evaluate "$work/cut.zoo" "$work/test.tsv" >/dev/null 2>"$work/said" && return 1
        [ "$(wc -l <"$work/said")" -eq 1 ] || return 1
    done
    { head -c 2000 "$work/sasrec.zoo"; printf x; tail -c +2002 "$work/sasrec.zoo"; } >"$work/cut.zoo"
    ! "$zoo" evaluate "$work/cut.zoo" "$work/test.tsv" >/dev/null 2>"$work/said" &&
        grep -q 'the file is damaged' "$work/said"
}
expect 'a damaged file is refused in one line' damaged
no_loss() {
    ! "$zoo" lru "$work/train.tsv" "$work/test.tsv" --save "$work/train.tsv" 2>/dev/null &&
        grep -q SessionId "$work/train.tsv"
}
expect 'a model is not written over a log' no_loss
shown() {
    "$zoo" "$1" "$work/train.tsv" "$work/test.tsv" --threads 1 --width 8 --epochs 1 --show 803 2>/dev/null |
        awk -F '\t' '/^clicks/ { clicks = NF } /^attention/ { sum = 0; for (i = 2; i <= NF; ++i) sum += $i
            rows += NF - clicks == more && sum > 0.99 && sum < 1.01 } END { exit rows < 2 }' more="$2"
}
expect 'attention over the clicks of a session is shown, and sums up to 1' shown sasrec 0
expect 'bert4rec also looks at its mask' shown bert4rec 1

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
