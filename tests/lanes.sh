#!/bin/sh
# lanes.sh - the library on machines and under tools of all kinds, where a compiler, an emulator or the tool
# is: processors under qemu-user, musl, Windows, ThreadSanitizer and valgrind. Each takes the tour of lane.c,
# whose nine hashes must be those of this machine's own build.
set -u
. "$(dirname "$0")/expect.sh"
slow=
if have timeout; then slow='timeout 300'; fi

# builds NAME COMPILER [FLAG ...]
builds() {
    name=$1
    shift
    "$@" -std=c99 -w -o "$work/$name" "$root/tests/lane.c" -lm -lpthread
}
# same NAME [EMULATOR ...]: three threads come to what one comes to here
same() {
    name=$1
    shift
    $slow "$@" "$work/$name" 3 >"$work/$name.said" && tr -d '\r' <"$work/$name.said" |
        diff - "$work/here.said"
}
# lane WHAT NAME "EMULATOR" COMPILER [FLAG ...]
lane() {
    what=$1 name=$2 emulator=$3
    shift 3
    printf '#include <math.h>\nint main(void) { return (int)sin(0); }\n' >"$work/probe.c"
    if ! "$@" -o "$work/probe" "$work/probe.c" -lm 2>/dev/null; then
        skip "$what" "no $1 that can do that"
        return
    fi
    expect "the tour is built for $what" builds "$name" "$@"
    # shellcheck disable=SC2086
    if ! $emulator "$work/probe" 2>/dev/null; then
        skip "the tour on $what" "${emulator:-the machine} does not run it"
        return
    fi
    # shellcheck disable=SC2086
    expect "$what comes to the same models, neighbors, rules and blend" same "$name" $emulator
}

# passes COMPILER EMULATOR PROGRAM [ARGUMENT ...]
passes() {
    compiler=$1 emulator=$2 program=$3
    shift 3
    # shellcheck disable=SC2086
    "$compiler" -O2 -DSESSREC_IMPLEMENTATION= -static -o "$work/$program" "$root/tests/$program.c" \
        -lm -lpthread &&
        $slow $emulator "$work/$program" "$@"
}
# processor NAME COMPILER EMULATOR TEST ...: the tour, and whole tests
processor() {
    what=$1 compiler=$2 emulator=$3
    shift 3
    ran=$passed flags=
    # with -std=c99 GCC computes float as double there
    [ "$compiler" != s390x-linux-gnu-gcc ] || flags=-fexcess-precision=fast
    # shellcheck disable=SC2086
    lane "$what" "$compiler" "$emulator" "$compiler" -O1 -static $flags
    [ "$passed" -eq $((ran + 2)) ] || return
    for test in "$@"; do
        arguments=
        [ "$test" != golden ] || arguments=$root/tests/golden
        # shellcheck disable=SC2086
        expect "$test passes on $what" passes "$compiler" "$emulator" "$test" $arguments
    done
}

expect 'the tour is built here' builds here "${CC:-cc}" -O2
"$work/here" 1 >"$work/here.said"
expect 'three threads come to the same as one' same here
native=
[ "$(uname -m)" = x86_64 ] || native=qemu-i386
processor AArch64 aarch64-linux-gnu-gcc qemu-aarch64 test_kernels test_stream golden
processor i386 i686-linux-gnu-gcc "$native" test_kernels golden
processor ARM arm-linux-gnueabihf-gcc qemu-arm golden
processor RISC-V riscv64-linux-gnu-gcc qemu-riscv64
processor 's390x, which is big-endian,' s390x-linux-gnu-gcc qemu-s390x
lane musl musl '' musl-gcc -O1 -static
lane 'Windows' windows.exe "$(command -v wine64 || command -v wine || echo wine)" x86_64-w64-mingw32-gcc -O1 \
    -static
lane ThreadSanitizer tsan '' "${CC:-cc}" -O1 -g1 -fsanitize=thread -DSESSREC_NO_SIMD
if have valgrind; then
    expect 'valgrind finds nothing on the tour' same here valgrind -q --error-exitcode=1 --leak-check=full
else
    skip 'the tour under valgrind' 'no valgrind'
fi
report
