#!/bin/sh
# test_bench.sh - what the scripts of bench/ do to the tables that are published: nothing, unless they are
# told; and that what they measure is there
#
# Works on a copy of bench/; a stand-in takes the place of the program that trains for hours.

cd "$(dirname "$0")/.." || exit 1
. tests/expect.sh
have gzip || { skip 'the scripts of bench/' 'no gzip'; report; exit; }
cp -R bench "$work/bench" || exit 1
cp "$work/bench/RESULTS.md" "$work/published"
mkdir "$work/data" "$work/build"
for log in rsc15_100k_train_full rsc15_100k_test yoochoose_1_64_train yoochoose_1_64_test globo_4days; do
    printf 'SessionId\tItemId\tTime\n' | gzip >"$work/data/$log.tsv.gz"
done
SESSREC_DATA=$work/data
export SESSREC_DATA

# The settings are `pop` and `xe`; every run gives the same figures.
cat >"$work/build/accuracy" <<'END'
#!/bin/sh
[ "$1" != --list ] || { printf 'pop\tfirst\tlog\tpopularity\t-\t-\t-\t-\n'
    printf 'xe\treference\tlog\tcross-entropy\t.5\t.3\t.6\t.4\n'; exit; }
printf '%s\t%s\t0.1234\t0.2\t0.3\t0.4\t1\n' "$2" "$3"
END
chmod +x "$work/build/accuracy"

unchanged() { cmp "$work/published" "$work/bench/RESULTS.md"; }
accuracy() { sh "$work/bench/accuracy.sh" "$work/build/accuracy" "$@" >"$work/out"; }
# Everything outside of the marks.
outside() { sed '/^<!-- accuracy -->$/,/^<!-- end of accuracy -->$/d' "$1"; }
same_outside() {
    outside "$work/published" >"$work/before"
    outside "$work/bench/RESULTS.md" | cmp - "$work/before"
}

expect 'U16: one setting is run' accuracy --only pop
expect 'U16: its table has a file of its own' grep -q '0.1234' "$work/build/accuracy.md"
expect 'U16: the published tables stay' unchanged
expect 'U16: one setting and --update' accuracy --only pop --update
expect 'U16: tables that lack a setting are not published, even when asked' unchanged
expect 'U16: it is said which setting lacks' grep -q 'xe has not been run' "$work/out"
expect 'U16: all settings are run' accuracy --seeds 1
expect 'U16: without --update the published tables stay' unchanged
expect 'U16: and with it' accuracy --table --update
expect 'U16: they are replaced' grep -q '0.1234' "$work/bench/RESULTS.md"
expect 'U16: nothing else in RESULTS.md changes' same_outside
cp "$work/published" "$work/bench/RESULTS.md"
for script in "$work"/bench/*.sh; do
    case ${script##*/} in accuracy.sh | between.sh | speed.sh) continue ;; esac
    grep -q RESULTS.md "$script" || continue
    expect "U16: ${script##*/} writes tables by publish alone" sh -c \
        "! grep '/RESULTS.md\"' '$script' | grep -qv '^publish '"
done
# Each figure of memory is measured in a process of its own, whose end nobody sees.
peaks() { (cd "$work" && ./speed 300 - memory >peaks) && [ "$(wc -l <"$work/peaks")" -eq 2 ]; }
expect 'the program that measures speed compiles' \
    "${CC:-cc}" -O1 -o "$work/speed" bench/speed.c -lm -lpthread
expect 'the memory of a training is measured, with its limit' peaks
expect 'U16: an unknown option is refused' \
    sh -c "! sh '$work/bench/accuracy.sh' '$work/build/accuracy' --udpate"
expect 'U16: and changes nothing' unchanged
report
