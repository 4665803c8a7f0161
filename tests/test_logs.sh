#!/bin/sh
# test_logs.sh - logs in the layouts of this field, read by the command line with the options of
# tests/logs/expected.tsv
#
# usage: tests/test_logs.sh [PROGRAM]      default: build/sessrec beside this directory
#
# Counts are compared with those of the table, which count_logs.py makes with Python's csv and json modules.

cd "$(dirname "$0")/.." || exit 1
program=${1:-build/sessrec}
case $program in /*) ;; *) program=$PWD/$program ;; esac
. tests/expect.sh
logs=$root/tests/logs
LC_ALL=C
export LC_ALL
cd "$work" || exit 1
tab=$(printf '\t')

# "events sessions items users" of describe.
counts() {
    "$program" describe "$@" 2>err |
        awk '/^events/ { e = $2 } /^sessions/ { s = $2 } /^items/ { i = $2 } /^users/ { u = $2 + 0 } END {
            print e, s, i, u + 0 }'
}
same() { [ "$1" = "$2" ] || { echo "'$1' is not '$2'"; cat err; return 1; }; }
has() { grep -q -e "$1" "$2" || { echo "no '$1' in:"; cat "$2"; return 1; }; }
refused() {
    status=0
    "$program" describe "$@" >out 2>err || status=$?
    same "$status $(wc -c <out | tr -d ' ') $(wc -l <err | tr -d ' ')" '1 0 1'
}

while IFS=$tab read -r file separator options events sessions items users; do
    eval "set -- $options"
    expect "$file is read with: $options" same "$(counts "$logs/$file" "$@")" \
        "$events $sessions $items $users"
done <"$logs/expected.tsv"

if have python3; then
    python3 "$root/tests/count_logs.py" "$logs" >counted
    expect "the table is what Python's csv and json modules count" cmp counted "$logs/expected.tsv"
else
    skip 'an independent reading of the logs' 'there is no python3'
fi

# ---- what is not read, and the sentence that helps ----

gzip -c "$logs/snowplow.tsv" >packed.gz
expect 'U14: a compressed log is refused,' refused packed.gz
expect 'and the command that unpacks it is named' has 'zcat FILE | sessrec' err
expect 'which helps' same "$(gzip -dc packed.gz | counts -)" '40 8 20 0'
expect 'U6: days as digits are refused,' refused "$logs/tmall.csv" --session-column user_id \
    --item-column item_id --time-column time_stamp
expect 'with the option that reads them' has '--time-unit date' err
expect 'U6: dates whose day and month could be exchanged are refused,' \
    refused "$logs/mind.tsv" --session-column 2 --item-column 5 --time-column 3
expect 'with the options that read them' has '--day-first or --month-first' err
printf '{"session":1,"events":[{"aid":2,"ts":3}]}\n' >lists.jsonl
expect 'lists inside of JSON are refused,' refused lists.jsonl --session-column session
expect 'with the command that flattens them' has 'jq -c' err

# ---- what options do ----

expect 'several files are one log' \
    same "$(counts "$logs/snowplow.tsv" "$logs/pandas_tz.csv" "$logs/nowplaying.tsv" --user '')" '120 8 20 0'
expect 'U12: an automatic column can be turned off' same "$(counts "$logs/nowplaying.tsv" --user '')" \
    '40 8 20 0'
expect 'pauses cut sessions' same "$(counts "$logs/taobao.csv" --session-column 1 --item-column 2 \
    --time-column 5 --idle 1h)" '40 8 20 0'
"$program" describe "$logs/microseconds.csv" >out 2>err
expect 'U6: a unit that was recognized is told' has 'microseconds.csv: times are read as microseconds' err
expect 'times are shown as dates' has '^time  *2019-10-01 01:31:25 to 2019-10-01' out
{ cat "$logs/snowplow.tsv"; printf '1\n2\tx\n3\ty\tsoon\n'; } >bad.tsv
"$program" describe bad.tsv --skip-bad-rows >out 2>err
expect 'bad rows are counted by what is wrong, with the first of each' \
    has 'rows skipped because the row has too few fields: 2, the first in line 42' err
expect 'and those of another kind on their own' \
    has 'rows skipped because the time is neither .*: 1, the first in line 44' err

# ---- describe and split ----

awk 'BEGIN { print "SessionId\tItemId\tTime"
    for (s = 0; s < 3000; s++) for (i = 0; i < 3; i++) printf "%d\t%d\t%d\n", s, (s + i) % 50,
        1500000000 + s * 600 + i * 20
    for (i = 0; i < 900; i++) printf "robot\t%d\t%d\n", i % 50, 1500000000 + i * 9
    print "5000\t7\t1600000000"; print "5000\t8\t1600000001"; print "5001\t7.0\t12" }' >odd.tsv
"$program" describe odd.tsv >out 2>err
expect 'U7: describe tells of stray times,' has 'warning: 3 events lie far from the others' out
expect 'of an endless session' has 'session "robot" has 900 clicks' out
expect 'and of ids that look like two types' has '"7" and "7.0"' out
"$program" split odd.tsv --days 1 -o part --min-support 0 --min-length 0 >out 2>err
expect 'U7: a day that holds almost nothing is told' has 'the last 1 days hold 2 of 9,903 events' err
expect 'split cuts at a time' "$program" split odd.tsv --at 2017-07-30T00:00 -o at
expect 'and says where' sh \
    -c "'$program' split odd.tsv --at 2017-07-30T00:00 -o at | grep -q 'cut at 2017-07-30 00:00:00'"
expect 'split takes the last session of each user' "$program" split "$logs/nowplaying.tsv" \
    --last-session -o last --min-support 0 --min-length 0
expect 'each user with two has one in the test log' same "$(awk 'NR > 1 { print $4 }' last_test.tsv |
    sort -u | wc -l | tr -d ' ')" 1
cp odd.tsv again_train.tsv
status=0
"$program" split ./again_train.tsv --days 1 -o again 2>err || status=$?
expect 'U1: split does not write over its log, whatever it is called' same "$status" 2
status=0
"$program" train odd.tsv ./again_train.tsv -o again_train.tsv 2>err || status=$?
expect 'nor train over one of several' same "$status" 2
mkdir locked_test.tsv
status=0
"$program" split odd.tsv --at 1500900000 -o locked >out 2>err || status=$?
expect 'U4: both parts are written or neither' sh -c "[ $status -ne 0 ] && [ ! -e locked_train.tsv ]"

report
