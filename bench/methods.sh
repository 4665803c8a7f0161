#!/bin/sh
# methods.sh - every method on every real log, with signed ranks against the blend, as one table for each log.
#
#     methods.sh PROGRAM [--log LOG] [--table] [--update]
#
# PROGRAM is build/sessrec. b and epsilon of a blend are found on a validation part, with both parts made from
# the rest of the training part; then they are used with parts made from all of it. What a log gave is kept in
# methods-LOG.json beside PROGRAM; --table runs nothing and makes the tables of what is there. They go to
# methods.md beside PROGRAM; with --update they replace those in bench/RESULTS.md. Wants the folder
# $SESSREC_DATA with the logs, NAME.tsv.gz; is skipped without.
set -u

here=$(cd "$(dirname "$0")" && pwd) || exit 1
# shellcheck source=bench/between.sh
. "$here/between.sh"
program=$1 kept=$(dirname "$1") update='' logs='rsc15_100k yoochoose_1_64 globo_4days'
shift
while [ $# -gt 0 ]; do
    case $1 in
    --table) logs='' ;;
    --update) update=1 ;;
    --log) logs=$2; shift ;;
    *) echo "methods.sh: there is no option $1"; exit 2 ;;
    esac
    shift
done
[ -z "$logs" ] || [ -f "${SESSREC_DATA:-}/globo_4days.tsv.gz" ] || {
    echo "skipped methods: SESSREC_DATA names no folder with globo_4days.tsv.gz and the other logs"
    exit 0
}
case $program in /*) ;; *) program=$PWD/$program kept=$(cd "$kept" && pwd) ;; esac
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1

# train.tsv, test.tsv, and train.tsv again in two parts: rest.tsv and valid.tsv. Fails where one is missing.
parts() {
    case $1 in
    rsc15_100k)
        for part in train_full:train test:test train_tr:rest train_valid:valid; do
            zcat "$SESSREC_DATA/$1_${part%:*}.tsv.gz" >"${part#*:}.tsv" || return 1
        done ;;
    yoochoose_1_64)  # Time is only an order: of its last tenth, every fifth session is for validation
        zcat "$SESSREC_DATA/$1_train.tsv.gz" >train.tsv && zcat "$SESSREC_DATA/$1_test.tsv.gz" >test.tsv &&
            cut -f 3 train.tsv | sed 1d | sort -n |
            awk '{ time[NR] = $1 } END { print time[int(NR * 0.9)] }' >at &&
            "$program" split train.tsv --time-unit s --at "$(cat at)" -o half &&
            mv half_train.tsv rest.tsv && awk 'NR == 1 || $1 % 5 == 0' half_test.tsv >valid.tsv ;;
    *)  # four days: the last is the test; the third, of every tenth visitor, is for validation
        zcat "$SESSREC_DATA/$1.tsv.gz" >all.tsv && "$program" split all.tsv --at 2017-10-04T03:00 -o whole &&
            mv whole_train.tsv train.tsv && mv whole_test.tsv test.tsv &&
            "$program" split train.tsv --at 2017-10-03T03:00 -o half &&
            mv half_train.tsv rest.tsv &&
            awk -F '\t' 'NR == 1 || $4 % 10 == 0' half_test.tsv >valid.tsv ;;
    esac
}

# A network's settings, the first two of the data's reference accuracy: settings NETWORK LOG.
settings() {
    case $2 in
    rsc15_100k) epochs='10 10' ;;
    yoochoose_1_64) epochs='5 3' ;;
    *) epochs='2 1' ;;
    esac
    case $1 in
    xe) echo "--epochs ${epochs% *}" ;;
    *) echo "--epochs ${epochs#* } --loss bpr-max --activation elu:0.5 --bpreg 1.95 --layers 224 --batch 80" \
        '--alpha 0.4 --lr 0.05 --momentum 0.4 --dropout-input 0.5 --dropout-hidden 0.05' ;;
    esac
}

# The network with neighbors: blend-NETWORK, its b and epsilon in NETWORK.weight, and how good the best was on
# the validation part in NETWORK.value.
run_blend() {
    for part in rest train; do
        # shellcheck disable=SC2046  # settings are words
        "$program" train $part.tsv -o "$part.$1" --user '' $(settings "$1" "$2") || return 1
    done
    mv "train.$1" "gru-$1" &&
        "$program" blend "rest.$1" rest.knn valid.tsv -o found.model --user '' >found 2>tried || return 1
    cat found
    sed -n 's/.*: b \(.*\), epsilon \(.*\)/\1,\2/p' found >"$1.weight"
    awk '/^b / && $6 + $8 > most { most = $6 + $8 } END { print most }' tried >"$1.value"
    "$program" blend "gru-$1" vstan test.tsv -o "blend-$1" --weight "$(cat "$1.weight")" --user ''
}

run_log() {
    rm -rf ./* && parts "$1" || return 1
    "$program" train rest.tsv -o rest.knn --model knn --preset vstan --user '' &&
        "$program" train train.tsv -o vstan --model knn --preset vstan --user '' &&
        "$program" train train.tsv -o vmis-quadratic --model knn --preset vmis,neighbor-weight=quadratic \
            --user '' &&
        "$program" train train.tsv -o sr-20 --model rules --preset sr,most=20 --user '' &&
        run_blend xe "$1" && run_blend bpr-max "$1" || return 1
    best=$(cat xe.value bpr-max.value |
        awk 'NR == 1 { x = $1 } NR == 2 { if ($1 > x) print "bpr-max xe"; else print "xe bpr-max" }')
    found="b,epsilon are $(cat xe.weight) with cross-entropy, $(cat bpr-max.weight) with BPR-max"
    "$program" evaluate "blend-${best% *}" "blend-${best#* }" gru-xe gru-bpr-max vmis-quadratic sr-20 \
        test.tsv --user '' --baselines --train train.tsv --cutoffs 20 --json methods.json &&
        sed "s/^{/{\"blend\":\"$found\",/" methods.json >"$kept/methods-$1.json"
}
for log in $logs; do
    echo "$log ..."
    run_log "$log" || { echo "methods.sh: $log failed"; exit 1; }
done

# A row for each method, from the JSON of evaluate.
rows() {
    sed 's/{"name":/\
&/g' "$1" | grep '^{"name":' | sed 's/^{"name":"\([^"]*\)",\("recall":.*\)/\1 \2/
            s/"recall":{"20":\([^}]*\)},"mrr":{"20":\([^}]*\)}/\1 \2 /
            s/,.*"p_recall":\([^,]*\),"p_mrr":\([^}]*\)}.*/\1 \2/' |
        awk '{ p = NR > 1 ? sprintf("%.1g", $4) : ""; q = NR > 1 ? sprintf("%.1g", $5) : ""
            printf "| %s | %.4f | %s | %.4f | %s |\n", $1, $2, p, $3, q }'
}
{
    for log in rsc15_100k yoochoose_1_64 globo_4days; do
        [ -f "$kept/methods-$log.json" ] || continue
        printf '\n### %s\n\nBy Recall@20 + MRR@20 on the validation part, %s.\n\n' "$log" \
            "$(sed 's/^{"blend":"\([^"]*\)".*/\1/' "$kept/methods-$log.json" | head -n 1)"
        printf '| method | Recall@20 | p | MRR@20 | p |\n|---|---|---|---|---|\n'
        rows "$kept/methods-$log.json"
    done
} >tables
publish "$here/RESULTS.md" 'methods' 'Every method on every real log' tables "$update" "$kept/methods.md"
