#!/bin/sh
# test_tune.sh - sessrec tune finds settings, and keeps its word about seeds and files:
#
#     test_tune.sh PATH/TO/sessrec
#
# The log is made up: the next item follows from the last one, most of the time.
set -u
. "$(dirname "$0")/expect.sh"
case $1 in /*) sessrec=$1 ;; *) sessrec=$PWD/$1 ;; esac
cd "$work" || exit 1
awk 'BEGIN {
    print "SessionId\tItemId\tTime"
    for (s = 1; s <= 700; ++s) {
        item = (s * 37) % 150
        for (i = 0; i < 3 + s % 4; ++i) {
            print s "\t" item "\t" s * 1000 + i
            item = (s * 7 + i * 3) % 5 ? (item * 3 + 1) % 150 : (item + s) % 150
        }
    }
}' >all.tsv
awk -F '\t' 'NR == 1 || $1 <= 600' all.tsv >train.tsv
awk -F '\t' 'NR == 1 || $1 > 600' all.tsv >valid.tsv

tune() { "$sessrec" tune train.tsv --valid valid.tsv --threads 1 "$@" >out 2>err || { cat err; return 1; }; }
small='--layers 16 --batch 16 --negatives 32 --epochs 4'
# The lines without how long they took.
lines() { sed 's/,"seconds":[^}]*//' "$1"; }
value() { awk -v name="$1" '$1 == name { print $3 + $5 }' out; }
better() { awk -v a="$1" -v b="$2" 'BEGIN { exit !(a >= b && b > 0) }'; }

# searches MODEL OPTIONS ...: the best is at least as good as the default
searches() {
    model=$1
    shift
    tune --model "$model" --json "$model.jsonl" "$@" && better "$(value best)" "$(value default)" &&
        grep -q '^train  *sessrec train train.tsv -o MODEL' out
}
# shellcheck disable=SC2086
expect 'networks are searched' searches gru --trials 7 $small
expect 'neighbors are searched' searches knn --trials 12
expect 'rules are searched' searches rules --trials 12
expect 'bad starts are stopped' grep -q '"recall":\[[0-9.]*\]' gru.jsonl
expect 'settings given as options are not searched' \
    sh -c 'grep -q lr gru.jsonl && ! sed 1d gru.jsonl | grep -q -e "\"layers\"" -e "\"batch\""'

# The best settings, used as the last line says, are as good as the search said.
uses_best() {
    tune --model knn --json knn.jsonl --trials 12 --resume && said=$(value best) &&
        command=$(sed -n 's/^train *sessrec //p' out) &&
        "$sessrec" ${command%MODEL*}best.model ${command#*MODEL} --test valid.tsv --cutoffs 20 >out &&
        got=$(awk '$1 == "Recall" || $1 == "MRR" { sum += $2 } END { print sum }' out) &&
        echo "$said $got" && awk -v a="$said" -v b="$got" 'BEGIN { exit !(a - b < 2e-4 && b - a < 2e-4) }'
}
expect 'the last line makes what was found' uses_best

blends() {
    "$sessrec" train train.tsv -o net.model $small >/dev/null 2>&1 &&
        "$sessrec" train train.tsv -o knn.model --model knn >/dev/null &&
        tune --model blend --network net.model --neighbors knn.model --trials 9 --json blend.jsonl &&
        better "$(value best)" "$(value default)" &&
        grep -q '^blend  *sessrec blend net.model knn.model valid.tsv -o FILE --weight [0-9.]*,[0-9.e-]*$' out
}
expect 'the weight of a blend is searched' blends

same_seed() {
    # shellcheck disable=SC2086
    tune --trials 4 --json again.jsonl $small --threads 2 && lines gru.jsonl | head -n 5 >first &&
        lines again.jsonl | cmp - first
}
expect 'the same seed gives the same trials, on any number of threads' same_seed
goes_on() {
    head -n 3 gru.jsonl >part.jsonl &&
        head -n 4 gru.jsonl | tail -n 1 | cut -c 1-40 | tr -d '\n' >>part.jsonl &&
        tune --trials 7 --json part.jsonl --resume $small && grep -q '^2 trials are taken' err &&
        lines gru.jsonl >whole && lines part.jsonl | cmp - whole
}
expect 'a search that was cut off ends as if it had not been' goes_on

# refuses WHAT OPTIONS ...: with one line on stderr that holds WHAT
refuses() {
    what=$1
    shift
    "$sessrec" tune "$@" >out 2>err </dev/null
    status=$?
    cat err
    [ "$status" -ne 0 ] && grep -q -e "$what" err
}
expect 'a search is not overwritten' refuses 'holds a search already' train.tsv --valid valid.tsv \
    --model knn --json knn.jsonl
expect 'a search with another seed is not gone on with' refuses 'of another search' train.tsv \
    --valid valid.tsv --model knn --json knn.jsonl --resume --seed 2
sed 's/"k":/"m":/' knn.jsonl >wrong.jsonl
expect 'trials of another search are refused' refuses 'wrong.jsonl:3: this is not trial 2' train.tsv \
    --valid valid.tsv --model knn --json wrong.jsonl --resume
expect 'a validation log is needed' refuses 'needs a log to judge by' train.tsv
expect 'the log is not overwritten' refuses 'would be overwritten' train.tsv --valid valid.tsv \
    --json valid.tsv
refuses_preset() {
    "$sessrec" train train.tsv -o x --model "$1" --preset "$2" 2>err
    [ $? -ne 0 ] && grep -q -e "$3" err
}
expect 'a field that neighbors do not have is refused' refuses_preset knn vstan,q=3 "cannot change 'q=3'"
expect 'a field that takes something else is refused' refuses_preset rules sr,weight=4 "change 'weight=4'"
expect 'a value out of range is refused' refuses_preset knn vstan,k=0 'k is 0'

with_optuna() {
    for model in gru rules; do
        python3 "$root/examples/python/tune.py" train.tsv --valid valid.tsv --sessrec "$sessrec" \
            --model $model --trials 3 --epochs 2 --threads 1 --storage sqlite:///tune.db 2>err >out ||
            { tail -n 5 err; return 1; }
        grep -q '^best  *Recall@20 [01]\.[0-9]*  MRR@20 0\.' out &&
            grep -q '^train .*sessrec train' out || { cat out; return 1; }
    done
}
if python3 -c 'import optuna' 2>/dev/null; then
    expect 'Optuna searches the same spaces' with_optuna
else
    skip 'examples/python/tune.py' 'python3 has no optuna'
fi
report
