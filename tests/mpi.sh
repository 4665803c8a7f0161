#!/bin/sh
# mpi.sh - examples/mpi_train.c: one model, trained by several ranks:  mpi.sh PATH/TO/sessrec
#
# Builds it with mpicc; skipped by name where there is no mpicc or mpirun.
set -u
. "$(dirname "$0")/expect.sh"
case $1 in /*) sessrec=$1 ;; *) sessrec=$PWD/$1 ;; esac
cd "$work" || exit 1
if ! have mpicc || ! have mpirun; then
    skip 'examples/mpi_train.c' 'there is no mpicc or mpirun'
    report
    exit
fi
# Root may start it, and more ranks than processors may share them, each under its name in Open MPI.
OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_mpi_yield_when_idle=1 OMPI_MCA_btl_base_warn_component_unused=0
export OMPI_ALLOW_RUN_AS_ROOT OMPI_ALLOW_RUN_AS_ROOT_CONFIRM OMPI_MCA_rmaps_base_oversubscribe \
    OMPI_MCA_mpi_yield_when_idle OMPI_MCA_btl_base_warn_component_unused
awk 'BEGIN {
    print "SessionId\tItemId\tTime"
    for (s = 1; s <= 301; ++s)
        for (i = 0; i < 3 + s % 4; ++i) print s "\t" (s * s + 3 * i) % 41 "\t" s * 1000 + i
}' >log.tsv
small='layers=24 epochs=2 batch=15 negatives=40'
on_ranks() {
    count=$1
    shift
    mpirun -n "$count" ./mpi_train log.tsv "$@" >out 2>err || { cat err; return 1; }
}
expect 'it builds' mpicc ${CFLAGS:--O2} -o mpi_train "$root/examples/mpi_train.c" -lm -lpthread

# same_as_train OPTIONS OF TRAIN -- SETTINGS: one rank gives the model of sessrec train
same_as_train() {
    # shellcheck disable=SC2086
    "$sessrec" train log.tsv -o train.model --layers 24 --epochs 2 --batch 15 --negatives 40 $1 >out 2>err &&
        on_ranks 1 one.model --test log.tsv $small $2 && grep -q '^test  *Recall@20 ' out &&
        cmp train.model one.model
}
expect 'one rank gives the bytes of sessrec train' same_as_train '' ''
expect 'with every kind of embedding' same_as_train '--embedding none' 'embedding=none'
expect 'and of loss, GRU and optimizer' \
    same_as_train '--embedding 12 --loss bpr-max --gru reset-after --optimizer rmsprop --lr 0.01' \
    'embedding=12 loss=bpr-max activation=elu:0.5 gru=reset-after optimizer=rmsprop lr=0.01'
twice() {
    # shellcheck disable=SC2086
    on_ranks "$1" a.model $small threads=1 && on_ranks "$1" b.model $small threads=2 && cmp a.model b.model
}
expect 'two ranks give the same bytes twice' twice 2
expect 'so do three, on any number of threads' twice 3

# Every session twice, so that two ranks have the same ones: their gradients add up to those of one rank that
# has half of the sessions, half of the slots and so twice the gradient. SGD does not forgive another sum.
awk -F '\t' 'NR == 1 { print; next } { session[NR] = $1; rest[NR] = $2 "\t" $3 }
    END { for (i = 2; i <= NR; ++i) print session[i] "\t" rest[i] "\n" session[i] + 1000 "\t" rest[i] }' \
    log.tsv >twice.tsv
sums() {
    exact='layers=24 epochs=4 negatives=40 dropout-hidden=0 logq=0 optimizer=sgd lr=0.5 momentum=0'
    # shellcheck disable=SC2086
    {
        mpirun -n 1 ./mpi_train log.tsv half.model batch=8 $exact >one 2>&1 &&
            mpirun -n 2 ./mpi_train twice.tsv twice.model batch=16 $exact >two 2>&1
    } || { cat one two; return 1; }
    for count in one two; do sed -n 's/^\(epoch .* loss [0-9.]*\) .*/\1/p' $count >$count.said; done
    cat one.said two.said && [ "$(wc -l <one.said)" -eq 4 ] && cmp one.said two.said
}
expect 'what two ranks apply is the sum of their gradients' sums
refuses() {
    want=$1
    shift
    mpirun -n 2 ./mpi_train "$@" >out 2>err
    [ $? -ne 0 ] && grep -q -e "$want" err
}
expect 'adam is refused' refuses 'another one than adam' log.tsv x.model optimizer=adam
expect 'a log that is not there is an error' refuses 'none.tsv' none.tsv x.model
report
