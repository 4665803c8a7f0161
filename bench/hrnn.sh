#!/bin/sh
# hrnn.sh - the experiment of the HRNN paper: runs bench/hrnn.c on its three logs and makes tables.
#
#     hrnn.sh PROGRAM [--seeds N] [--log LOG] [--table] [--update]
#
# The tables go to hrnn.md beside PROGRAM; with --update they replace those in bench/RESULTS.md, and the
# figures are drawn.
#
# PROGRAM is build/hrnn. Seeds are 1..5 unless given. What a log gave is kept in hrnn-LOG.tsv beside PROGRAM;
# --log runs that log alone, --table runs nothing, and both make tables and figures from all that is there.
# The log globo is in the folder $SESSREC_DATA, globo_4days.tsv.gz, and is skipped without; RESULTS.md is then
# left alone. The figures want gnuplot; without it the ones that are there stay.
set -u

here=$(cd "$(dirname "$0")" && pwd) || exit 1
# shellcheck source=bench/between.sh
. "$here/between.sh"
program=$1 kept=$(dirname "$1")
shift
seeds=5 logs='tastes no-tastes globo' update=''
while [ $# -gt 0 ]; do
    case $1 in
    --table) logs=''; shift; continue ;;
    --update) update=1; shift; continue ;;
    --seeds) seeds=$2 ;;
    --log) logs=$2 ;;
    *) echo "hrnn.sh: there is no option $1"; exit 2 ;;
    esac
    shift 2
done
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

run_log() {
    set -- "$1" --seeds "$seeds"
    if [ "$1" = globo ]; then
        [ -f "${SESSREC_DATA:-}/globo_4days.tsv.gz" ] ||
            { echo "skipped globo: SESSREC_DATA names no folder with globo_4days.tsv.gz"; return 0; }
        zcat "$SESSREC_DATA/globo_4days.tsv.gz" >"$work/globo.tsv" || return 1
        set -- "$@" --data "$work/globo.tsv"
    fi
    echo "$1 ..."
    "$program" "$@" >"$work/run" && mv "$work/run" "$kept/hrnn-$1.tsv"
}

# What the tables and figures have in common: means over the seeds, smallest and largest.
# shellcheck disable=SC2016  # awk expands them
common='
    function mean(key, m) { return runs[key] ? sum[key, m] / runs[key] : 0 }
    FNR == NR { model[$1, $2] = $3; setting[$1, $2] = $5; next }
    /^#/ { note[++notes] = substr($0, 3); next }
    $4 == "wilcoxon" { test[$1, $2] = sprintf("%+.1f (%s)", $6, $7 < 1e-9 ? "< 1e-9" : $7); next }
    {
        key = $1 SUBSEP $2 SUBSEP $4
        events[$1, $4] = $5
        if (!(($1, $2) in seen)) { seen[$1, $2]; name[$1, ++names[$1]] = $2 }
        ++runs[key]
        for (m = 1; m <= 3; ++m) {
            x = $(5 + m); sum[key, m] += x
            if (runs[key] == 1 || x < low[key, m]) low[key, m] = x
            if (runs[key] == 1 || x > high[key, m]) high[key, m] = x
        }
    }
    function family(log_) { return log_ == "no-tastes" ? "tastes" : log_ }
    function title(log_, n) {
        if (n == "best") return "best possible, visitor not known"
        if (n == "best-known") return "best possible, visitor known"
        return model[family(log_), n] (n ~ /-xe$/ ? ", cross-entropy" : \
            log_ == "globo" && trained(log_, n) ? ", TOP1" : "")
    }
    function trained(log_, n) { return setting[family(log_), n] != "" }
'

tables() {
    awk -F '\t' -v date="$(date +%Y-%m-%d)" -v cores="$(getconf _NPROCESSORS_ONLN)" \
        -v processor="$(sed -n 's/^model name[[:space:]]*: *//p' /proc/cpuinfo 2>/dev/null |
        head -n 1)" "$common"'
        function figure(key, m) {
            return runs[key] == 1 ? sprintf("%.4f", sum[key, m]) : \
                sprintf("%.4f (%.4f-%.4f)", mean(key, m), low[key, m], high[key, m])
        }
        function whole(log_, what, i, n, m, line) {
            print "\n### " what "\n"
            for (i = 1; i <= notes; ++i) if (note[i] ~ "^" log_ ": training") {
                sub(/^[^:]*: /, "", note[i])
                print "Log `" log_ "`, " note[i] ".\n" }
            print "| model | Recall@5 | MRR@5 | Precision@5 | Recall@5 times RNN |" \
                " signed ranks against RNN: z (p) |\n|---|---|---|---|---|---|"
            for (i = 1; i <= names[log_]; ++i) {
                n = name[log_, i]
                if (model[family(log_), n] == "RNN") rnn = n
                line = "| " title(log_, n)
                for (m = 1; m <= 3; ++m) line = line " | " figure(log_ SUBSEP n SUBSEP "all", m)
                ratio = trained(log_, n) ? sprintf("%.3f", mean(log_ SUBSEP n SUBSEP "all", 1) / \
                    mean(log_ SUBSEP rnn SUBSEP "all", 1)) : ""
                print line " | " ratio " | " test[log_, n] " |"
            }
        }
        function parts(log_, i, n, g, m, line, group) {
            split("history 1-6|history 7-|position 1-2|position 3-4|position 5-", group, "|")
            line = "\n| Recall@5 / MRR@5"
            for (g = 1; g <= 5; ++g) {
                label = group[g]; sub(/-$/, " or more", label)
                sub(/history/, "earlier visits", label); sub(/position/, "recommendation", label)
                line = line " | " label
            }
            print line " |\n|---|---|---|---|---|---|"
            line = "| events"
            for (g = 1; g <= 5; ++g) line = line " | " events[log_, group[g]]
            print line " |"
            for (i = 1; i <= names[log_]; ++i) {
                n = name[log_, i]
                line = "| " title(log_, n)
                for (g = 1; g <= 5; ++g) {
                    key = log_ SUBSEP n SUBSEP group[g]
                    line = line sprintf(" | %.4f / %.4f", mean(key, 1), mean(key, 2))
                }
                print line " |"
            }
        }
        END {
            if (processor == "") processor = "processor unknown"
            print "`make hrnn`, " date ", " processor ", " cores \
                " cores, one thread. Means over the seeds 1, 2, ...,"
            print "in brackets the smallest and the largest. Ties conservative, the whole catalog ranked." \
                " Signed ranks: Wilcoxon, of the"
            print "reciprocal ranks up to 5 of each event, means over the seeds," \
                " against the RNN of the same loss."
            whole("tastes", "Made-up shop, visitors with lasting tastes"); parts("tastes")
            whole("no-tastes", "The same shop, tastes that last for a visit only"); parts("no-tastes")
            if (names["globo"]) {
                whole("globo", \
                    "Globo: a news portal, users with five or more sessions, the last of each is the test")
                parts("globo")
            }
            print "\n### Settings\n\n| log | model | setting |\n|---|---|---|"
            for (l = split("globo tastes", list, " "); l > 0; --l) for (i = 1; i <= names[list[l]]; ++i) {
                n = name[list[l], i]
                if (trained(list[l], n))
                    print "| " (l == 1 ? "globo" : "both made-up") " | " \
                        title(list[l], n) " | " setting[list[l], n] " |"
            }
            print ""
            for (i = 1; i <= notes; ++i) if (note[i] ~ /best possible/) print "- " note[i]
        }' "$work/list" "$@"
}

# Points of one panel, LOG and the group letter h or p: blocks of x, mean, smallest, largest, one for each
# model; then where their names go.
points() {
    log=$1 letter=$2 shown=$3
    shift 3
    awk -F '\t' -v log_="$log" -v letter="$letter" -v shown="$shown" "$common"'
        END {
            split(letter == "h" ? "1 2 3 4 5 6 7-8 9-12 13-" : "1 2 3 4 5 6 7-", bin, " ")
            for (n = split(shown, models, " "); n > 0; --n) if ((log_,
                models[n]) in seen) count = n > count ? n : count
            for (i = 1; i <= count; ++i) {
                n = models[i]
                for (b = 1; b in bin; ++b) {
                    key = log_ SUBSEP n SUBSEP letter " " bin[b]
                    if (!((log_, n) in seen) || events[log_, letter " " bin[b]] < 200) continue
                    print b, mean(key, 1), low[key, 1], high[key, 1]
                    last[i] = mean(key, 1); end = b
                if (high[key, 1] > top) top = high[key, 1]
                if (bottom == "" || low[key, 1] < bottom) bottom = low[key, 1]
                }
                if (!(i in last)) print "1 nan nan nan"
                print "\n"
            }
            # Names stand beside the last points, in the order of these, pushed apart until they do not touch.
            for (i = 1; i <= count; ++i) if (i in last) { rank[++n_last] = i; at[i] = last[i] }
            for (j = 2; j <= n_last; ++j) for (k = j; k > 1 && last[rank[k]] < last[rank[k - 1]]; --k) {
                i = rank[k]; rank[k] = rank[k - 1]; rank[k - 1] = i
            }
            gap = (top - bottom) * 0.065
            for (pass = 0; pass < 100; ++pass) for (k = 2; k <= n_last; ++k) {
                short = gap - (at[rank[k]] - at[rank[k - 1]])
                if (short > 0) { at[rank[k]] += short / 2; at[rank[k - 1]] -= short / 2 }
            }
            for (i = 1; i <= count; ++i) {
                label = title(log_, models[i]); sub(/, cross-entropy/, "", label);
                sub(/possible, visitor/, "if", label)
                print end, (i in at) ? at[i] : "nan", "\"" label "\""
            }
        }' "$work/list" "$@"
}

draw() {
    command -v gnuplot >/dev/null || { echo "hrnn.sh: there is no gnuplot, the figures stay as they are"
        return 0; }
    for letter in h p; do
        points tastes $letter 'rnn concat init all best best-known' "$kept/hrnn-tastes.tsv" \
            >"$work/tastes.$letter"
        figure=history
        [ "$letter" = h ] || figure=position
        points globo $letter 'rnn-xe concat-xe init-xe all-xe itemknn' "$kept/hrnn-globo.tsv" \
            >"$work/globo.$letter"
        gnuplot -e "left='$work/tastes.$letter'; right='$work/globo.$letter'; figure='$figure'; \
            set output '$work/$figure.svg'" "$here/hrnn.gp" &&
            cat "$work/$figure.svg" >"$here/hrnn-$figure.svg"
    done
}

for log in $logs; do run_log "$log" || exit 1; done
"$program" --list >"$work/list"
for log in tastes no-tastes; do
    [ -f "$kept/hrnn-$log.tsv" ] || { echo "hrnn.sh: $log was not run yet, there are no tables"; exit 0; }
done
tables "$kept"/hrnn-*.tsv >"$work/tables"
cat "$work/tables"
if [ ! -f "$kept/hrnn-globo.tsv" ]
then echo "hrnn.sh: globo was not run, RESULTS.md and the figures stay as they are"; exit 0; fi
publish "$here/RESULTS.md" hrnn "Visitors who come back" "$work/tables" "$update" "$kept/hrnn.md"
[ -z "$update" ] || draw
