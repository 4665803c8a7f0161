#!/bin/sh
# faults.sh BUILD [KILLS [KIND ...]]: memory, threads, system calls and processes that fail.
# - Each allocation of a tour of the public calls, and the start of each thread: test_faults.c.
# - Each system call of a save and of a load of each KIND (default: all), by strace, where it is there and may
#   trace: the target is the old file or the new one, byte for byte, and nothing else is left. What is only
#   interrupted is done.
# - Training runs that are killed at random moments, 500 by default.
set -u
. "$(dirname "$0")/expect.sh"
build=$1 kills=${2:-500}
[ $# -lt 2 ] || shift
shift
[ $# -gt 0 ] || set -- model log checkpoint neighbors pair
kinds=$*
CC=${CC:-cc}
folder=$work/folder
[ ! -w /dev/shm ] || folder=$(mktemp -d /dev/shm/sessrec-faults-XXXXXX) || exit 1
trap 'rm -rf "$work" "$folder"' EXIT
faults=$work/faults
mkdir -p "$folder"

# Without shared libraries, whose loading makes the same calls.
build_faults() {
    "$CC" -O1 -static -o "$faults" "$root/tests/faults.c" -lm -lpthread 2>/dev/null ||
        "$CC" -O1 -o "$faults" "$root/tests/faults.c" -lm -lpthread
}

# ---- system calls ----

calls='open openat read write fsync rename renameat link linkat unlink unlinkat close flock stat fstat
    newfstatat readlink readlinkat access faccessat faccessat2 chmod fchmodat chown fchownat statx lseek'

# traced EXPRESSION... COMMAND: what strace prints is of no interest
traced() { strace -f -qq -o "$work/trace" "$@" >"$work/said" 2>&1; }

# count_calls COMMAND ...: "CALL NUMBER" for each of them that the command makes
count_calls() {
    traced "$@"
    for call in $calls; do
        number=$(grep -c "^[0-9]* *$call(" "$work/trace")
        [ "$number" -eq 0 ] || echo "$call $number"
    done
}

files() { (cd "$folder" && ls -A | tr '\n' ' '); }
is_version() {
    for name in $2; do cmp -s "$folder/$name" "$work/$kind.$1/$name" || return 1; done
}

# fail KIND DO CALL N FAULT: the n-th CALL fails. Says what is wrong afterwards.
fail() {
    kind=$1 do=$2 call=$3 n=$4 fault=$5
    rm -rf "${folder:?}"/*
    [ "$old" = none ] || cp "$work/$kind.1"/* "$folder"/
    traced -e trace="$call" -e inject="$call:$fault:when=$n" "$faults" "$do" "$kind" "$folder/target" \
        $([ "$do" = load ] || echo 2)
    status=$?
    names=$(cd "$work/$kind.1" && ls | tr '\n' ' ')
    left=$(files)
    cause="$do $kind, $old before, $call $n $fault, ended with $status: $(cat "$work/said")"
    case $fault$status in
    error=EINTR0) ;;
    error=EINTR*) echo "$cause: it was not made again"; return 1 ;;
    *=E*10 | *=E*0) ;;
    *) echo "$cause: it crashed"; return 1 ;;
    esac
    if [ "$do" = load ]; then
        is_version 1 "$names" && [ "$left" = "$names" ] || { echo "$cause: a load changed files"; return 1; }
    elif [ "$left" = "$names" ] && is_version 2 "$names"; then
        [ "$status" -eq 0 ] || grep -q 'may not survive' "$work/said" ||
            { echo "$cause: it says that it failed, and it did not"; return 1; }
    elif [ "$call" = unlink ] && [ "$status" -eq 0 ] && is_version 2 "$names"; then
        # what could not be removed goes with the next save
        "$faults" save "$kind" "$folder/target" 1 && [ "$(files)" = "$names" ] ||
            { echo "$cause: the next save leaves $(files)"; return 1; }
    elif [ "$status" -eq 0 ]; then
        echo "$cause: it says that all is well; there is $left"
        return 1
    elif [ "$old" = none ]; then
        [ -z "$left" ] || { echo "$cause: it leaves $left"; return 1; }
    else
        [ "$left" = "$names" ] && is_version 1 "$names" ||
            { echo "$cause: neither the old files nor the new ones: $left"; return 1; }
    fi
}

# survives KIND DO OLD: each call of it fails in each way
survives() {
    kind=$1 do=$2 old=$3 bad=0
    rm -rf "${folder:?}"/*
    [ "$old" = none ] || cp "$work/$kind.1"/* "$folder"/
    count_calls "$faults" "$do" "$kind" "$folder/target" $([ "$do" = load ] || echo 2) >"$work/calls"
    while read -r call number; do
        n=0
        while [ "$n" -lt "$number" ]; do
            n=$((n + 1))
            # retval: a read or write of fewer bytes than were asked for. What was not transferred must come
            # with the next call, so nothing is injected for these: see test_file.c, which does.
            for fault in error=EIO error=ENOSPC error=EINTR error=ENOMEM; do
                case $call in
                open* | read | write | fsync | flock) ;;
                *) [ "$fault" != error=EINTR ] || continue ;;
                esac
                tried=$((tried + 1))
                fail "$kind" "$do" "$call" "$n" "$fault" || bad=$((bad + 1))
            done
        done
    done <"$work/calls"
    [ "$bad" -eq 0 ]
}

make_versions() {
    for kind in $kinds; do
        for version in 1 2; do
            mkdir -p "$work/$kind.$version" &&
                "$faults" save "$kind" "$work/$kind.$version/target" "$version" || return 1
        done
    done
}

# ---- the whole ----

[ ! -x "$build/test_faults" ] || expect 'any allocation and any thread may fail' "$build/test_faults"
expect 'the program for faults is built' build_faults
expect 'it writes what is to be replaced' make_versions
tried=0
if have strace && traced -e trace=write -e inject=write:error=EIO:when=9 \
    "$faults" load model "$work/model.1/target"; then
    for kind in $kinds; do
        expect "each call of saving a $kind over an old one may fail" survives "$kind" save old
        expect "each call of saving a new $kind may fail" survives "$kind" save none
        expect "each call of loading a $kind may fail" survives "$kind" load old
    done
    echo "$tried system calls failed"
else
    skip 'failing system calls' 'there is no strace, or it may not trace'
fi
rm -rf "${folder:?}"/*
expect "$kills kills leave files that can be read, and nothing else" "$faults" kill "$folder" "$kills"
grep ' kills in ' "$work/log"
report
