#!/bin/sh
# test_cli.sh - what scripts may rely on when they call sessrec
#
# usage: tests/test_cli.sh [PROGRAM]      default: build/sessrec beside this directory
#
# Each test is a sentence (it), then what is run and what must be true. Needs a POSIX shell, awk, grep, sed
# and cmp.

cd "$(dirname "$0")/.." || exit 1
sessrec=${1:-build/sessrec}
case $sessrec in /*) ;; *) sessrec=$PWD/$sessrec ;; esac
tmp=$(mktemp -d "${TMPDIR:-/tmp}/sessrec-cli.XXXXXX") || exit 1
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT PIPE TERM
cd "$tmp" || exit 1
LC_ALL=C
export LC_ALL

passed=0 failed=0 skipped=0 name='' checks=0 bad=0

finish() {
    [ -z "$name" ] && return
    [ "$checks" -gt 0 ] || wrong 'it checks nothing'
    if [ "$bad" -eq 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
}
it() {
    finish
    name=$1 checks=0 bad=0
}
skip() {
    name=''
    skipped=$((skipped + 1))
    echo "skipped $1: $2"
}
wrong() {
    bad=$((bad + 1))
    echo "FAILED  $name"
    echo "        $1"
    [ ! -s err ] || head -n 3 err | sed 's/^/        stderr: /'
}
# Counts a check, which is the rest of the line.
holds() {
    checks=$((checks + 1))
    "$@"
}

: >err
# Runs the program with empty input; out, err and $status are what came of it.
run() { status=0; command="sessrec $*"; "$sessrec" "$@" >out 2>err </dev/null || status=$?; }
# The same with input from the file `in`.
run_with_input() { status=0; command="sessrec $*"; "$sessrec" "$@" <in >out 2>err || status=$?; }

exits() { holds [ "$status" -eq "$1" ] || wrong "$command: exit status $status, not $1"; }
prints() { holds grep -q -e "$1" out || wrong "$command: stdout has no '$1'"; }
says() { holds grep -q -e "$1" err || wrong "$command: stderr has no '$1'"; }
check() { holds "$@" >/dev/null 2>&1 || wrong "not true: $*"; }
check_not() { ! holds "$@" >/dev/null 2>&1 || wrong "true: $*"; }
equal() { holds [ "$1" = "$2" ] || wrong "'$1' is not '$2'"; }
lines() { wc -l <"$1" | tr -d ' '; }

# Bad usage: status 2, nothing on stdout, one line on stderr that has the pattern.
refuses() {
    pattern=$1
    shift
    run "$@"
    exits 2
    says "^sessrec: .*$pattern"
    equal "$(lines err)" 1
    equal "$(lines out)" 0
}
# Bad data: status 1 and one line.
fails() {
    pattern=$1
    shift
    run "$@"
    exits 1
    says "^sessrec: $pattern"
    equal "$(lines err)" 1
}

# Quick training for tests.
train() { run train "$@" --layers 16 --negatives 16 --batch 8; }

# A log of walks round a ring of 12 items, a new visit every half hour for ten days: what comes next is nearly
# certain.
make_log() {
    awk -v seed="$1" -v sessions="$2" 'BEGIN {
        print "SessionId\tItemId\tTime"
        for (s = 0; s < sessions; s++) {
            seed = (seed * 69069 + 12345) % 2147483648
            item = int(seed / 65536) % 12
            clicks = 2 + int(seed / 1024) % 4
            for (i = 0; i < clicks; i++) printf "s%d\titem-%d\t%d\n", s, (item + i) % 12,
                1700000000 + s * 1800 + i * 10
        }
    }'
}
make_log 1 480 >log.tsv
make_log 2 40 >test.tsv

# ---- usage ----

it 'without arguments the program says what it can do'
run; exits 0
for c in demo train evaluate compare recommend similar embeddings split; do prints "sessrec $c "; done
run help; exits 0; prints 'sessrec train '
run --help; exits 0; prints 'sessrec train '

it 'the version is three numbers'
run --version; exits 0; prints '^sessrec [0-9]*\.[0-9]*\.[0-9]*$'

it 'each command has a help that lists its options'
run help train; exits 0; prints '--dropout-hidden'; prints '--resume'; cp out help
run train --help; exits 0; check cmp out help
for c in demo evaluate compare recommend similar embeddings split; do
    run help $c
    exits 0
    prints "usage: sessrec $c"
done

it 'an unknown command or option is refused in one line'
refuses "no command 'tarin'; did you mean train" tarin
refuses "no command 'frobnicate'; 'sessrec help' lists them" frobnicate
refuses 'no command' help tarin
refuses 'did you mean --epochs' train log.tsv -o m --epoch 3
refuses 'no option --frobnicate' train log.tsv -o m --frobnicate
refuses 'no option --days' evaluate m log.tsv --days 3
refuses 'no option --k; did you mean --cutoffs' evaluate m log.tsv --k 5
refuses 'no option --top; did you mean -k' recommend m --top 5
refuses 'no option --batch-size; did you mean --batch' train log.tsv -o m --batch-size 64

it 'what is missing or too much is named'
refuses 'LOG... -o MODEL' train
refuses '-o MODEL' train log.tsv
refuses "'more'" recommend m more
refuses '--epochs needs a value' train log.tsv -o m --epochs
refuses '--epochs needs a value' train log.tsv -o m --epochs --json x
refuses '--shuffle takes no value' train log.tsv -o m --shuffle=1
refuses '--days' split log.tsv -o p
refuses '-o PREFIX' split log.tsv --days 1
refuses 'MODEL\.\.\. LOG' evaluate m
refuses 'MODEL' recommend
refuses '--checkpoint FILE' train log.tsv -o m --resume
refuses '--valid LOG' train log.tsv -o m --patience 2

it 'numbers and words are read as a whole or refused'
for bad_number in 3x '' ' 3' 1e3 0x10 99999999999; do
    refuses '--epochs takes a whole number' train log.tsv -o m --epochs "$bad_number"
done
for bad_number in x '' nan inf 1e99 0.1.2 '1 '; do refuses '--lr takes a number' train log.tsv -o m \
    --lr "$bad_number"; done
refuses 'xe|top1' train log.tsv -o m --loss xf
refuses '--layers takes' train log.tsv -o m --layers 10,
refuses '--layers takes' train log.tsv -o m --layers 10,0
refuses '--layers takes' train log.tsv -o m --layers 1,1,1,1,1
refuses '--embedding takes' train log.tsv -o m --embedding 0
refuses '--activation takes' train log.tsv -o m --activation tanh:1
refuses '--cutoffs takes' train log.tsv -o m --cutoffs 5,5
refuses '--cutoffs takes' train log.tsv -o m --cutoffs 0
refuses 'conservative|' evaluate m log.tsv --ties lucky
refuses '-k must be' recommend m -k 0

it 'numbers out of range are refused before anything is read'
refuses '' train none.tsv -o m --dropout-hidden 1
refuses '' train none.tsv -o m --epochs 0
refuses '' train none.tsv -o m --lr 0
refuses '' train none.tsv -o m --alpha 1.5
refuses '' train none.tsv -o m --threads -1

it 'a log with a header alone, or with rare items alone, has nothing to train on, and that is said'
printf 'SessionId\tItemId\tTime\n' >header.tsv
fails 'header.tsv: there is no event to train on$' train header.tsv -o gone.model
fails 'log.tsv: there is no event to train on; --min-support and --min-length leave none' \
    train log.tsv -o gone.model --min-support 1000000
check_not test -e gone.model

it 'a user-level GRU needs a log with users'
refuses 'hrnn' train none.tsv -o m --hrnn none
fails 'a user-level GRU needs a log with users' train log.tsv -o m --hrnn init
fails 'a user-level GRU needs a log with users' train log.tsv -o m --user-layers 10

it 'U1: an output never overwrites an input, whatever either is called'
cp log.tsv p_train.tsv
refuses 'overwritten' split p_train.tsv --days 1 -o p
check cmp log.tsv p_train.tsv
refuses 'overwritten' train log.tsv -o log.tsv
refuses 'overwritten' train log.tsv -o m --test test.tsv --json test.tsv
refuses 'overwritten' train log.tsv -o m --checkpoint m
mkdir -p place
ln -s ../log.tsv place/soft
ln log.tsv place/hard
refuses 'overwritten by place/../log.tsv' train log.tsv -o place/../log.tsv
refuses 'overwritten by place/soft' train log.tsv -o m --valid test.tsv --checkpoint place/soft
refuses 'overwritten by place/hard' evaluate m log.tsv --json place/hard
refuses 'test.tsv would be overwritten' evaluate m log.tsv --history test.tsv --json ./test.tsv
refuses 'a.model would be overwritten' train log.tsv -o place/../a.model --from a.model
refuses 'overwritten' train log.tsv -o place/new --json place/./new
check cmp log.tsv p_train.tsv

it 'U1: what is no model is not replaced by one, and what is no JSON not by results'
echo 'my notes' >notes
fails 'notes: .*holds something else' train log.tsv -o notes
fails 'notes: .*holds something else' train log.tsv -o m --json notes
fails 'notes: .*holds something else' train log.tsv -o m --checkpoint notes
equal "$(cat notes)" 'my notes'

# ---- train ----

it 'train writes a model, results go to stdout, progress to stderr'
train log.tsv -o a.model --epochs 3; exits 0
check test -s a.model
prints '480 sessions'
prints 'events per second'
equal "$(grep -c '^epoch ' err)" 3
equal "$(lines err)" 3
check_not grep -q "$(printf '\r')" err

number='-*[0-9][0-9.e+-]*'
metric="{\"1\":$number,\"20\":$number}"
test_part="\"test\":{\"events\":[0-9]*,\"unknown_items\":[0-9]*,\
\"recall\":$metric,\"mrr\":$metric,\"ndcg\":$metric,\"unknown_rate\":$number}"
train_part="\"train\":{\"events\":[0-9]*,\"batches\":[0-9]*,\"seconds\":$number,\"loss\":\[$number,$number\]}"
rest=",\"version\":\"[0-9.]*\",.*"

it 'the JSON of a training run has the promised shape'
train log.tsv -o m --epochs 2 --json r.json; exits 0
check grep -qx "{$train_part$rest}" r.json
train log.tsv -o m --epochs 2 --test test.tsv --cutoffs 1,20 --json both.json; exits 0
check grep -qx "{$train_part,$test_part$rest}" both.json
prints '^Recall '; prints '^MRR '; prints '^NDCG '

it 'the events of the JSON are the pairs of all epochs'
pairs=$(awk 'NR > 1 { n++; if (!seen[$1]++) s++ } END { print n - s }' log.tsv)
check grep -q "\"events\":$((2 * pairs)),\"batches\"" both.json

it 'evaluate gives what train gave with --test'
run evaluate m test.tsv --cutoffs 1,20 --json test.json; exits 0
check grep -qx "{$test_part$rest}" test.json
equal "$(sed 's/,"version".*//' test.json)" "$(sed 's/"train":{[^}]*},//; s/,"version".*//' both.json)"

it 'the JSON holds what is needed to repeat the run: version, settings, seed and logs'
train log.tsv -o m --epochs 2 --seed 7 --lr 0.05 --dropout-hidden 0.3 --valid test.tsv --json said.json
exits 0
check grep -q '"validation":\[[0-9.]*,[0-9.]*\]}' said.json
check grep -q "\"version\":\"$("$sessrec" --version | cut -d ' ' -f 2)\"" said.json
check grep -q '"configuration":{"layers":\[16\],"embedding":"tied",.*"dropout-hidden":0.3,.*"lr":0.05,' \
    said.json
check grep -q '"seed":7,"logs":\[{"use":"train","name":"log.tsv","events":[0-9]*,"sessions":480,' said.json
check grep -q '{"use":"validation","name":"test.tsv",' said.json
sed 's/s7	/s8	/' log.tsv >other.tsv
for name in log other; do
    train $name.tsv -o m --epochs 1 --json r.json
    sed 's/.*"hash":"\([0-9a-f]*\)".*/\1/' r.json
done >hashes
equal "$(sort -u hashes | grep -c '^[0-9a-f]\{16\}$')" 2
if command -v python3 >/dev/null
then check python3 -c 'import json; json.load(open("said.json")); json.load(open("both.json"))'; fi

it 'the file "-" for results is standard output, which then has nothing else'
train log.tsv -o m --epochs 2 --test test.tsv --cutoffs 1,20 --json -; exits 0
check grep -qx "{$train_part,$test_part$rest}" out
equal "$(lines out)" 1
says '^MRR '

it 'U3: the mode of a model stays, and a link stays a link'
train log.tsv -o kept.model --epochs 1; chmod 640 kept.model; ln -s kept.model link.model
cp kept.model before.model
train log.tsv -o link.model --epochs 2; exits 0
check test -L link.model
equal "$(ls -l kept.model | cut -c 1-10)" '-rw-r-----'
check_not cmp -s kept.model before.model

it 'U4: a model and its results are both new or both old'
if [ -w /dev/full ]; then
    cp kept.model before.model
    train log.tsv -o kept.model --epochs 1 --json /dev/full; exits 1
    check cmp before.model kept.model
fi

it 'U9: a log that can judge nothing is an error before training, with ids of both'
printf 'SessionId\tItemId\tTime\na\t17\t1\na\t18\t2\n' >foreign.tsv
fails "foreign.tsv: there is nothing to evaluate: .*'18'.*'item-" train log.tsv -o unborn.model \
    --valid foreign.tsv
fails 'foreign.tsv: there is nothing to evaluate' train log.tsv -o unborn.model --test foreign.tsv
fails "foreign.tsv: there is nothing to evaluate: .* of m; .*'18'.*'item-" evaluate m foreign.tsv
printf 'SessionId\tItemId\tTime\na\titem-1\t1\nb\titem-2\t2\n' >lonely.tsv
fails 'lonely.tsv: there is nothing to evaluate: no session has two clicks' train log.tsv -o unborn.model \
    --test lonely.tsv
check_not test -e unborn.model
{ cat foreign.tsv; printf 'b\titem-1\t1\nb\titem-2\t2\nb\titem-3\t3\n'; } >partly.tsv
run evaluate m partly.tsv; exits 0
says "partly.tsv: 2 of 5 events are of items that m does not know, like '18'"

it 'U10: a loss that grows without bound is an error, and nothing is written'
train log.tsv -o unborn.model --loss bpr-max --activation linear --optimizer sgd --lr 10000 --epochs 3
exits 1
says 'the loss grows without bound in epoch 1, step [0-9]*: a smaller learning rate may help'
check_not test -e unborn.model

it 'U9: a loss of nothing is an error'
awk 'NR == 1 { print "UserId\t" $0; next } { print "alone\t" $0 }' log.tsv >alone.tsv
run train alone.tsv -o unborn.model --hrnn init --user-layers 8 --layers 8 --negatives 0 --epochs 1; exits 1
says 'no target has anything to be compared with'
check_not test -e unborn.model

it 'a ring is learned'
train log.tsv -o ring.model --epochs 15 --lr 0.1 --dropout-hidden 0 --test test.tsv --cutoffs 1 \
    --json ring.json; exits 0
recall=$(sed 's/.*"recall":{"1":\([0-9.e+-]*\)}.*/\1/' ring.json)
check awk -v r="$recall" 'BEGIN { exit !(r > 0.9 && r <= 1) }'

it 'any number of threads gives the same model, another seed another one'
train log.tsv -o t1.model --epochs 2 --threads 1; exits 0
train log.tsv -o t2.model --epochs 2 --threads 2; exits 0
train log.tsv -o s2.model --epochs 2 --seed 2; exits 0
check cmp t1.model t2.model
check_not cmp t1.model s2.model

it 'a run that is resumed ends as one that never stopped'
train log.tsv -o whole.model --epochs 4; exits 0
train log.tsv -o half.model --epochs 2 --checkpoint run.ckpt; exits 0
train log.tsv -o resumed.model --epochs 4 --checkpoint run.ckpt --resume; exits 0
equal "$(grep -c '^epoch ' err)" 2
check cmp whole.model resumed.model
check_not cmp whole.model half.model

it '--resume without a checkpoint file begins at the beginning'
train log.tsv -o fresh.model --epochs 4 --checkpoint new.ckpt --resume; exits 0
check cmp whole.model fresh.model

it 'a checkpoint of other settings is refused'
run train log.tsv -o m --epochs 4 --layers 8 --checkpoint run.ckpt --resume; exits 1
says '^sessrec: run.ckpt: '
cp a.model not.ckpt
run train log.tsv -o m --epochs 1 --checkpoint not.ckpt --resume; exits 1
says '^sessrec: not.ckpt: .*not a checkpoint'

it '--from goes on with the items and the shape of a model'
{ cat log.tsv; printf 'x1\titem-3\t1800000000\nx1\tnovelty\t1800000010\n'; } >more.tsv
run train more.tsv -o more.model --from a.model --epochs 1 --negatives 16 --batch 8; exits 0
printf 'v\tnovelty\n' >in
run_with_input recommend more.model -k 1; exits 0
check_not grep -q novelty err
fails '.*leave out --layers' train more.tsv -o m --from a.model --layers 7

it 'a validation log stops a run that gets no better'
train log.tsv -o m --epochs 40 --lr 1e-9 --valid test.tsv --patience 2; exits 0
says 'validation MRR@20'
equal "$(grep -c '^epoch ' err)" 3

it 'every loss, activation, optimizer, embedding and form of the GRU can be trained'
for o in '--loss xe' '--loss top1' '--loss bpr' '--loss top1-max' '--loss bpr-max' \
    '--loss top1 --paper-form' '--loss xe --logq 0' \
    '--activation relu --loss bpr' '--activation leaky:0.1 --loss top1-max' \
        '--activation selu:1.05:1.67 --loss bpr-max --bpreg 0.5' \
    '--optimizer sgd' '--optimizer rmsprop --lr 0.01' '--optimizer adadelta --lr 1 --decay 0.95' \
    '--optimizer adam --lr 0.01 --beta1 0.8' \
    '--embedding none' '--embedding 8' '--embedding tied --layers 12,16' '--gru reset-after' \
        '--smoothing 0.1 --l2 0.001 --gradient-cap 1' \
    '--shuffle --count-own-target --alpha 0 --momentum 0 --dropout-input 0.1'; do
    # shellcheck disable=SC2086
    train log.tsv -o m --epochs 1 $o; exits 0
done

it 'without GPU code a GPU is refused, and the processor is what there is'
train log.tsv -o m --epochs 1 --device cuda; exits 1; says 'SESSREC_CUDA'
train log.tsv -o m --epochs 1 --device auto; exits 0; cp m m1
train log.tsv -o m --epochs 1 --device cpu; exits 0; check cmp m m1
refuses 'cpu|cuda|auto' train log.tsv -o m --device gpu

it 'the output activation follows the loss'
train log.tsv -o m1 --epochs 1 --loss bpr-max; train log.tsv -o m2 --epochs 1 --loss bpr-max \
    --activation elu:0.5; check cmp m1 m2
train log.tsv -o m1 --epochs 1 --loss top1; train log.tsv -o m2 --epochs 1 --loss top1 --activation tanh
check cmp m1 m2

it 'filters are used when asked for, and only then'
train log.tsv -o m --epochs 1 --min-length 3 --min-support 1; exits 0; prints 'left out by the filters'
train log.tsv -o m --epochs 1; check_not grep -q 'left out by' out

it 'columns may have any name, place and separator'
sed '1s/.*/when;visit;thing/; 1!s/^\(.*\)	\(.*\)	\(.*\)$/\3;\1;\2/' log.tsv >other.csv
train other.csv -o m --epochs 1 --session-column visit --item-column thing --time-column when; exits 0
cp m other.model
train log.tsv -o m --epochs 1; check cmp m other.model
train other.csv -o m --epochs 1 --session-column 2 --item-column 3 --time-column 1 --separator ';'; exits 0
check cmp m other.model

# ---- bad data ----

it 'a row that cannot be read is named by file and line, or skipped'
{ sed -n 1,3p log.tsv; echo 'no tabs here'; sed 1,3d log.tsv; } >bad.tsv
fails 'bad.tsv:4: ' train bad.tsv -o bad.model
check_not test -e bad.model
train bad.tsv -o m --epochs 1 --skip-bad-rows; exits 0
says 'rows skipped because the row has too few fields: 1, the first in line 4'

it 'a file that is not there is named'
fails 'none.tsv: ' train none.tsv -o m
fails 'none.model: ' evaluate none.model log.tsv
fails 'none.model: ' recommend none.model

it 'an output that cannot be written is found out before training'
fails 'no-such-directory/m: ' train log.tsv -o no-such-directory/m
fails 'no-such-directory/r.json: ' train log.tsv -o unborn.model --json no-such-directory/r.json
check_not test -e unborn.model

it 'a log without a session of two clicks teaches nothing'
printf 'SessionId\tItemId\tTime\na\tx\t1\nb\ty\t2\n' >lonely.tsv
run train lonely.tsv -o lonely.model; exits 1; says '^sessrec: '
check_not test -e lonely.model

it 'a missing column of users is an error only if it was asked for'
fails 'log.tsv:1: .*Customer' train log.tsv -o m --user Customer

it 'a damaged model is refused'
size=$(wc -c <a.model)
for keep in 0 1 63 64 1000 $((size - 1)); do
    dd if=a.model of=cut.model bs=1 count="$keep" 2>dd.log
    fails 'cut.model: ' evaluate cut.model test.tsv
done
{ cat a.model; echo; } >long.model
fails 'long.model: ' evaluate long.model test.tsv
fails "log.tsv: .*'sessrec train LOG -o MODEL'" recommend log.tsv

# ---- evaluate ----

it 'events of unknown items are counted and left out'
{ cat test.tsv; printf 'u1\titem-1\t1800000000\nu1\tnever-seen\t1800000001\nu1\titem-2\t1800000002\n'
    } >unknown.tsv
run evaluate a.model unknown.tsv --json unknown.json; exits 0
check grep -q '"unknown_items":1,' unknown.json
known=$(awk 'NR > 1 { n++; if (!seen[$1]++) s++ } END { print n - s }' test.tsv)
check grep -q "{\"events\":$((known + 1))," unknown.json

it 'the order of ties is conservative <= median <= standard'
for t in conservative median standard; do
    run evaluate a.model test.tsv --ties $t --cutoffs 1 --json $t.json; exits 0
done
sed 's/.*"recall":{"1":\([0-9.e+-]*\)}.*/\1/' conservative.json median.json standard.json >ties
check awk '$1 + 0 < last + 0 { exit 1 } { last = $1 } END { if (NR != 3) exit 1 }' ties

it 'a breakdown and coverage are printed when asked for'
run evaluate a.model test.tsv --breakdown --coverage; exits 0
prints 'after clicks'; prints 'session length'; prints '^Coverage'; prints '^recommendations 1-2: '
check_not grep -q '^earlier' out

it 'with users the breakdown has their histories, in the JSON too; its parts have all events'
awk -F '\t' 'NR == 1 { print "UserId\t" $0; next } !($1 in user) { user[$1] = "u" n++ % 5 } {
    print user[$1] "\t" $0 }' log.tsv >users.tsv
awk -F '\t' 'NR == 1 { print "UserId\t" $0; next } !($1 in user) { user[$1] = "u" n++ % 7 } {
    print user[$1] "\t" $0 }' test.tsv >users_test.tsv
run evaluate a.model users_test.tsv --history users.tsv --breakdown --cutoffs 5 --json parts.json; exits 0
prints '^recommendations 3-4: '; prints '^earlier sessions 0-6: '; prints '^earlier sessions 7 or more: '
prints '^Precision'
part="\"events\":[0-9]*,\"recall\":{\"5\":$number},\"mrr\":{\"5\":$number},\"precision\":{\"5\":$number}}"
check grep -q "\"breakdown\":\[{\"of\":\"recommendations 1-2\",$part,.*\
{\"of\":\"earlier sessions 7 or more\",$part\]}$rest}\$" parts.json
sed 's/,"version".*//' parts.json | tr '{' '\n' | sed -n 's/.*"events":\([0-9]*\).*/\1/p' >counts
check awk '{ n[NR] = $1 } END { exit !(NR == 6 && n[1] == n[2] + n[3] + n[4] && n[1] == n[5] + n[6] &&
    n[5] > 0 && n[6] > 0) }' counts
run evaluate a.model test.tsv --breakdown --json parts.json; exits 0
check_not grep -q 'earlier sessions' parts.json

# ---- compare ----

it 'compare prints both models, the difference and how likely it is by chance'
train log.tsv -o weak.model --epochs 1 --lr 0.0001; exits 0
run compare weak.model ring.model test.tsv --cutoffs 1,5; exits 0
prints '^Recall A '; prints '^Recall B '; prints '^MRR A '; prints '^MRR B '
awk '$1 == "Recall" { r[$2] = $3 } $1 == "B" && !n++ { d = $4 } $1 == "p" && !m++ { p = $2 } END {
    print r["A"], r["B"], d, p }' out >compared
check awk '{ e = $2 - $1 - $3; exit !($3 > 0 && e < 0.0002 && e > -0.0002 && $4 < 0.01) }' compared
run evaluate ring.model test.tsv --cutoffs 1,5; cp out alone
run compare weak.model ring.model test.tsv --cutoffs 1,5
equal "$(awk '$1 == "MRR" && $2 == "B" { print $3, $4 }' out)" "$(awk '$1 == "MRR" { print $2, $3 }' alone)"

it 'a model compared with itself differs by nothing, with p 1'
run compare a.model a.model test.tsv; exits 0
equal "$(awk '$1 == "p" || $1 == "B" { for (i = $1 == "p" ? 2 : 4; i <= NF; i++) print $1, $i + 0 }' out |
    sort -u | tr '\n' ';')" 'B 0;p 1;'

it 'models that know other items are not compared'
sed '/item-3/d' log.tsv >fewer.tsv
train fewer.tsv -o fewer.model --epochs 1; exits 0
fails 'a.model and fewer.model know different items of test.tsv' compare a.model fewer.model test.tsv
fails 'no.model: ' compare a.model no.model test.tsv
refuses 'an argument is missing' compare a.model test.tsv

# ---- similar, embeddings ----

it 'embeddings has a line for each item, with its id and a number for each hidden unit'
run embeddings ring.model; exits 0; cp out table
equal "$(lines out)" 12; equal "$(awk -F '\t' '{ print NF }' out | sort -u)" 17

it 'similar lists the other items by the cosine of their rows'
run similar ring.model item-3; exits 0
awk -F '\t' '{ for (i = 2; i <= NF; i++) { x[NR, i] = $i; if ($1 == "item-3") own[i] = $i } id[NR] = $1 }
    END { for (r = 1; r <= NR; r++) { d = a = b = 0
        for (i = 2; i <= NF; i++) { d += own[i] * x[r, i]; a += own[i] ^ 2; b += x[r, i] ^ 2 }
        if (id[r] != "item-3") printf "%.4f\t%s\n", d / sqrt(a * b), id[r] } }' table | sort -rn >expected
equal "$(cut -f1 out)" "$(cut -f2 expected)"
equal "$(awk -F '\t' '{ printf "%.4f\n", $2 }' out)" "$(cut -f1 expected)"

it 'similar without a network lists what is recommended after the item'
run train log.tsv -o ring.rules --model rules; exits 0
run similar ring.rules item-3 -k 1; exits 0; prints '^item-4	'

it 'an item that a model does not know, and a model without a table, are errors of one line'
fails "ring.model knows no item 'item-99'" similar ring.model item-99
fails 'ring.rules is no network' embeddings ring.rules
refuses 'MODEL ITEM' similar ring.model

# ---- recommend ----

it 'recommend answers each click with a line: the session, then k items'
printf 'v1\titem-3\nv2\titem-7\nv1\titem-4\n' >in
run_with_input recommend ring.model -k 3; exits 0
equal "$(lines out)" 3
equal "$(cut -f 1 out | tr '\n' ' ')" 'v1 v2 v1 '
check awk -F '\t' 'NF != 4 { exit 1 }' out
prints '^v1	item-4	'; prints '^v2	item-8	'

it 'sessions do not disturb each other'
grep '^v1' out >mixed
printf 'v1\titem-3\nv1\titem-4\n' >in
run_with_input recommend ring.model -k 3; exits 0
check cmp out mixed

it 'many sessions are kept apart'
awk 'BEGIN { for (click = 0; click < 2; click++) for (i = 0; i < 1000; i++) printf "v%d\titem-%d\n", i,
    (i + click) % 12 }' >in
run_with_input recommend ring.model -k 1; exits 0
equal "$(sed '1,1000d' out | awk -F '\t' '$2 == "item-" (NR + 1) % 12' | grep -c .)" 1000

it 'items that the session has clicked come only with --allow-seen'
printf 'v\titem-1\n' >in
run_with_input recommend ring.model -k 20; equal "$(awk -F '\t' '{ print NF - 1 }' out)" 11
check_not grep -q '	item-1	' out
run_with_input recommend ring.model -k 20 --allow-seen; equal "$(awk -F '\t' '{ print NF - 1 }' out)" 12

it 'an unknown item gets a line too, and one note'
printf 'v\tnever-seen\nv\tnever-seen-either\n' >in
run_with_input recommend ring.model -k 3; exits 0
equal "$(lines out)" 2
check awk -F '\t' 'NF != 4 { exit 1 }' out
equal "$(lines err)" 1
says 'never-seen'

it 'U13: a line that is no click is answered by its number and the reason, and the next one as ever'
for line in 'no tab' '' '	item-1' 'v	' 'v	item-1	more'; do
    printf 'v\titem-1\n%s\nv\titem-2\n' "$line" >in
    run_with_input recommend ring.model -k 1; exits 0; equal "$(lines out)" 3
    check awk -F '\t' 'NR == 2 && ($1 != "" || $2 !~ /^error: line 2: a line must be SESSION<tab>ITEM/) {
        exit 1 }' out
    equal "$(sed -n 3p out)" 'v	item-3'
    equal "$(lines err)" 1
done
{ awk 'BEGIN { for (i = 0; i < 600000; i++) printf "long"; print "\titem-1" }'
printf 'v\titem-4\nv\0x\titem-1\nv\titem-5'; } >in
run_with_input recommend ring.model -k 1; exits 0; equal "$(lines out)" 4
prints 'error: line 1: the line is longer than 1 MiB'; prints 'error: line 3: there is a NUL in it'
prints '^v	item-6$'
awk 'BEGIN { for (i = 0; i < 300; i++) printf "v"; print "\titem-1" }' >in
run_with_input recommend ring.model; exits 0; prints 'error: line 1: an id is longer than 255 bytes'

it 'item END ends a session, unless there is such an item'
printf 'v\titem-3\nv\tEND\nv\tunknown\n' >in
run_with_input recommend ring.model -k 2; exits 0; cp out ended
equal "$(sed -n 2p ended)" v
printf 'v\tunknown\n' >in
run_with_input recommend ring.model -k 2; equal "$(sed -n 3p ended)" "$(cat out)"

it 'JSON requests have users, lists and numbers of their own, and JSON answers have scores'
{
    printf '{"session":"v","item":"item-3","k":2}\n'
    printf '{"session":"v","item":"item-4","k":1,"exclude":["item-5","never-seen"]}\n'
    printf '{"k":3,"candidates":["item-9","item-5","item-9"],"session":"v","more":{"a":[1,{}]}}\n'
    printf '{"session":"\\u00e9\\ud83d\\ude00\\"","item":7,"allow_seen":true,"k":1}\n'
    printf 'v\titem-5\n{"session":"v","end":true}\n'
    printf '{"session":"v","k":-1}\n{"session":\n{}\n[1]\n{"session":"v","candidates":[]}\n'
} >in
run_with_input recommend ring.model --json -k 3; exits 0; equal "$(lines out)" 11
sed -n 1p out >first; sed -n 2p out >second
check grep -q '^{"session":"v","source":"model","items":\[{"item":"item-4",'\
'"score":[-0-9.e+]*},{"item":[^}]*}\]}$' first
check_not grep -q item-5 second
equal "$(sed -n 3p out | grep -o 'item-[0-9]*' | tr '\n' ' ')" 'item-5 item-9 '
prints '^{"session":"é😀\\"","unknown":true,"source":"popularity","items":\[{'
equal "$(sed -n 5p out | grep -o 'item-[0-9]*' | head -n 1)" item-6
equal "$(sed -n 6p out)" '{"session":"v","ended":true}'
equal "$(grep -c '^{"error":"[^"]*","line":[0-9]*}$' out)" 4
equal "$(sed -n 11p out)" '{"session":"v","source":"popularity","items":[]}'
if command -v python3 >/dev/null
then check python3 -c 'import json; [json.loads(l) for l in open("out", encoding="utf-8")]'; fi

it 'U13: beyond the bound the oldest session is forgotten, or kept in a directory and taken up again'
printf 'a\titem-1\nb\titem-5\nc\titem-8\na\tnope\n' >in
run_with_input recommend ring.model -k 1 --visitors 2; exits 0; sed -n 4p out >forgotten
run_with_input recommend ring.model -k 1; sed -n 4p out >remembered
check_not cmp -s forgotten remembered
mkdir states
run_with_input recommend ring.model -k 1 --visitors 1 --states states; exits 0
equal "$(sed -n 4p out)" "$(cat remembered)"
equal "$(find states -type f | grep -c .)" 3
printf 'b\tnope\nc\tEND\n' >in
run_with_input recommend ring.model -k 1 --states states; equal "$(sed -n 1p out)" 'b	item-6'
equal "$(find states -type f | grep -c .)" 2
refuses '--visitors must be' recommend ring.model --visitors 0
refuses '--idle takes' recommend ring.model --idle 3w

it 'a session that was idle for too long begins anew'
if sleep 0.1 2>/dev/null; then
    { printf 'a\titem-1\n'; sleep 1.3; printf 'a\tnope\n'; } |
        "$sessrec" recommend ring.model -k 1 --idle 1s >out 2>err
    equal "$(sed -n 1p out)" 'a	item-2'
    check_not test "$(sed -n 2p out)" = 'a	item-2'
fi

it 'a session of a thousand clicks is answered like its last ones, whoever else is there'
awk 'BEGIN { for (i = 0; i < 1000; i++) printf "v\titem-%d\n", i % 12 }' >in
run_with_input recommend ring.model -k 1 --allow-seen; exits 0
equal "$(awk -F '\t' '$2 == "item-" NR % 12' out | grep -c .)" 1000

it 'a model with users knows them again: by the third column, or "user" in JSON'
awk -F '\t' 'NR == 1 { print "UserId\t" $0; next } !($1 in u) { u[$1] = "u" n++ % 40 } {
    print u[$1] "\t" $0 }' log.tsv >served.tsv
train served.tsv -o users.model --epochs 2 --hrnn all --user-layers 8; exits 0
printf 'a\titem-1\tu1\na\titem-2\tu1\na\tEND\tu1\nb\titem-7\tu1\nb\titem-7\tu2\nc\titem-7\n' >in
run_with_input recommend users.model -k 12 --json; exits 0; equal "$(lines out)" 6
score() { sed -n "$1p" out | sed 's/.*"item":"item-3","score":\([^}]*\)}.*/\1/'; }
check_not test "$(score 4)" = "$(score 5)"
equal "$(score 5)" "$(score 6)"
printf '{"session":"a","item":"item-1","user":"u1"}\n{"session":"a","item":"item-2","user":"u1"}\n' >in
printf '{"session":"a","user":"u1","end":true}\n{"session":"b","item":"item-7","user":"u1"}\n' >>in
cp out before
run_with_input recommend users.model -k 12 --json; equal "$(sed -n 4p out |
    sed 's/"user":"u1",//')" "$(sed -n 4p before | sed 's/"user":"u1",//')"

it 'SIGHUP loads the model again and keeps the sessions; SIGTERM ends with status 0'
if mkfifo line 2>/dev/null; then
    cp a.model served.model
    "$sessrec" recommend served.model -k 1 <line >out 2>err &
    server=$!
    exec 9>line
    wait_for() { for _ in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20
    do [ "$(lines "$1")" -ge "$2" ] && return; sleep 0.2; done; }
    printf 'v\titem-3\n' >&9; wait_for out 1
    cp ring.model served.model
    kill -HUP $server; wait_for err 1; says 'served.model is loaded again, with 12 items; 1 sessions continue'
    printf 'v\tnope\n' >&9; wait_for out 2
    equal "$(sed -n 2p out)" 'v	item-4'
    echo junk >served.model
    kill -HUP $server; wait_for err 3; says 'served.model: '
    printf 'v\titem-4\n' >&9; wait_for out 3
    equal "$(sed -n 3p out)" 'v	item-5'
    kill -TERM $server
    status=0; wait $server || status=$?
    exec 9>&-
    command='recommend, terminated'; exits 0
else skip 'signals of recommend' 'there are no named pipes'
fi

it 'an id cannot move the cursor: control characters do not reach stderr'
printf 'v\t\033[2Jnope\n' >in
run_with_input recommend ring.model -k 1; exits 0
check_not grep -q "$(printf '\033')" err; says '?\[2Jnope'

it 'CRLF and a missing last newline are fine'
printf 'v\titem-3\r\nv\titem-4' >in
run_with_input recommend ring.model -k 1; exits 0
equal "$(lines out)" 2
check_not grep -q "$(printf '\r')" out

it 'no input is no output'
run recommend ring.model; exits 0; equal "$(lines out)" 0; equal "$(lines err)" 0

# ---- split ----

it 'split cuts in time, and says what it dropped'
run split log.tsv --days 2 -o parts; exits 0
prints 'train '; prints 'test '; prints 'dropped '
last=$(awk 'NR > 1 && $3 > m { m = $3 } END { printf "%d", m }' parts_train.tsv)
first=$(awk 'NR == 2 { m = $3 } NR > 1 && $3 < m { m = $3 } END { printf "%d", m }' parts_test.tsv)
end=$(awk 'NR > 1 && $3 > m { m = $3 } END { printf "%d", m }' log.tsv)
check test "$last" -lt "$first"
check test "$first" -ge $((end - 2 * 86400))
train parts_train.tsv -o m --epochs 1 --test parts_test.tsv; exits 0
prints 'unknown items left out: 0'

it 'split leaves out rare items, and single clicks'
{ cat log.tsv; printf 'r1\trare\t1700000100\nr1\titem-1\t1700000110\nr2\titem-1\t1700000200\n'; } >rare.tsv
run split rare.tsv --days 2 -o rare; exits 0
check_not grep -q -e rare -e '^r[12]' rare_train.tsv
run split rare.tsv --days 2 -o rare --min-support 1 --min-length 1; exits 0
check grep -q '^r2' rare_train.tsv

it 'describe and split keep the categories that are asked for'
awk '{ print $0 "\t" (NR == 1 ? "Brand" : NR % 3 ? "brand-" NR % 3 : "") }' log.tsv >brands.tsv
run describe brands.tsv --categories Brand; exits 0
prints '^category  Brand: 2 values, 33.. % of clicks have none$'
run split brands.tsv --days 2 -o brands --categories brand; exits 0
check sh -c "head -n 1 brands_test.tsv | grep -q 'Time	brand$'"
check sh -c "cut -f 4 brands_train.tsv | grep -q '^brand-2$'"

it 'a split that leaves nothing is an error and writes nothing'
fails 'log.tsv: nothing is left' split log.tsv --days 1000 -o nothing
check_not test -e nothing_train.tsv

# ---- the rest ----

it 'Ctrl-C stops the run and writes no model; the checkpoint lets it go on'
# --foreground: without it timeout signals the process and its group, which is Ctrl-C twice, and the second
# ends the program at once.
if timeout --foreground --preserve-status 5 true 2>/dev/null; then
    command='sessrec train, interrupted'
    for seconds in 1 4 16; do  # long enough for a first checkpoint, also on a busy machine
        status=0
        timeout --foreground --preserve-status -s INT $seconds "$sessrec" train log.tsv -o never.model \
            --epochs 1000000 \
            --layers 16 --batch 8 --negatives 16 --checkpoint stop.ckpt >out 2>err || status=$?
        [ ! -s stop.ckpt ] || break
    done
    exits 1
    says '^sessrec: stopped'; says '--resume to continue from stop.ckpt'
    check_not test -e never.model
    check test -s stop.ckpt
else
    skip 'Ctrl-C' 'there is no timeout program that keeps the exit status'
fi

it 'a full disk is noticed'
if [ -w /dev/full ]; then
    printf 'v\titem-3\n' >in
    status=0 command='sessrec recommend >/dev/full'
    "$sessrec" recommend ring.model <in >/dev/full 2>err || status=$?
    exits 1; says 'stdout: cannot be written'
    fails 'cannot write /dev/full: ' evaluate a.model test.tsv --json /dev/full
else
    skip 'a full disk' 'there is no /dev/full'
fi

# ---- other methods ----

it 'neighbors and rules are trained, tested and evaluated like a network'
run train log.tsv -o knn.model --model knn --preset stan --test test.tsv --json knn.json; exits 0
prints '^Recall '; check grep -q '"recall":{"1":' knn.json
cp out trained
run evaluate knn.model test.tsv; exits 0
equal "$(grep '^MRR' out)" "$(grep '^MRR' trained)"
run train log.tsv -o rules.model --model rules --preset markov --order 2; exits 0
run evaluate rules.model test.tsv; exits 0; prints '^Recall '
refuses '--preset of knn is' train log.tsv -o x.model --model knn --preset markov
refuses '--preset of rules is' train log.tsv -o x.model --model rules --preset stan
check_not test -e x.model

it 'several models and simple methods make one table, with signed ranks against the first'
run evaluate ring.model knn.model rules.model test.tsv --baselines --train log.tsv --cutoffs 5 \
    --json many.json; exits 0
for m in ring.model knn.model rules.model pop random s-pop itemknn ar sr markov sknn vsknn stan vstan vmis
do prints "^$m "; done
equal "$(awk '$1 == "stan" { print $2, $4 }' out)" "$(awk '$1 == "knn.model" { print $2, $4 }' out)"
check awk '$1 == "random" { exit !($2 < 0.9 && $3 < 0.01) }' out
check grep -q '"methods":\[{"name":"ring.model","recall":{"5":' many.json
refuses '--baselines needs the training log' evaluate ring.model test.tsv --baselines

it 'evaluate can show a model the last clicks alone: all of them change nothing, one changes a network'
run evaluate ring.model knn.model rules.model test.tsv --cutoffs 5; exits 0
awk '/model / { print $2 }' out >all
run evaluate ring.model knn.model rules.model test.tsv --cutoffs 5 --last-clicks 100; exits 0
awk '/model / { print $2 }' out >last
check cmp all last
awk 'BEGIN { print "SessionId\tItemId\tTime"  # what comes after b tells who knows the click before
    for (i = 0; i < 40; ++i) { split(i % 2 ? "a b x" : "c b y", click, " ")
        for (j = 1; j <= 3; ++j) print i "\t" click[j] "\t" 10 * i + j } }' >pairs.tsv
run train pairs.tsv -o pairs.model --model rules --preset markov --order 2; exits 0
run evaluate pairs.model pairs.tsv --cutoffs 1; exits 0; prints '^Recall  *1.0000'
run evaluate pairs.model pairs.tsv --cutoffs 1 --last-clicks 2; exits 0; prints '^pairs.model  *1.0000'
run evaluate pairs.model pairs.tsv --cutoffs 1 --last-clicks 1; exits 0; prints '^pairs.model  *0.5000'
refuses '--last-clicks must be 0 to 1000' evaluate ring.model test.tsv --last-clicks -1

it 'a blend is found on a log, holds its parts and is evaluated'
run blend ring.model knn.model test.tsv -o blend.model; exits 0; prints '^blend  *blend.model: b '
rm -f gone.model; cp blend.model kept.model
run evaluate kept.model ring.model knn.model test.tsv --cutoffs 20; exits 0
check awk '$1 == "kept.model" { a = $2 + $3 } $1 == "ring.model" { b = $2 + $4 } END {
    exit !(a >= b - 0.001) }' out
for m in knn.model rules.model blend.model; do
    printf 'v\titem-3\nv\titem-4\nw\tnothing\n' >in
    run_with_input recommend $m -k 3; exits 0
    equal "$(lines out)" 3
    check awk -F '\t' 'NR == 2 { exit !($1 == "v" && $2 ~ /^item-/ && $2 != "item-3" && $2 != "item-4") }' out
done
refuses 'must be neighbors or rules' blend knn.model ring.model test.tsv -o x.model

it 'the demo beats both simple rules'
if [ "${SESSREC_SKIP_DEMO:-0}" = 0 ]; then
    run demo; exits 0
    check awk '/the GRU/ { gru = $(NF - 1) } /in this visit/ { visit = $(NF - 1) } /in the shop/ {
        shop = $(NF - 1) }
        END { exit !(gru > 1.5 * visit && visit > shop && shop > 0 && gru < 0.95) }' out
else
    skip 'the demo' 'SESSREC_SKIP_DEMO is set'
fi

finish
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
