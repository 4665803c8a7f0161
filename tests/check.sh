#!/bin/sh
# check.sh - warnings as errors: the header by itself under every compiler, language and set of options, then all our programs;
# and the library on another processor, where a compiler and an emulator for it are.
set -u
. "$(dirname "$0")/expect.sh"

warnings='-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror'
printf '#define SESSREC_IMPLEMENTATION\n#include "%s/sessrec.h"\n' "$root" >"$work/header.c"
cp "$work/header.c" "$work/header.cc"

# check_header COMPILER STANDARD FILE
check_header() {
    have "$1" || { skip "the header under $1 -std=$2" "no $1"; return; }
    for options in '' NO_TRAINING NO_STDIO NO_THREADS NO_SIMD 'NO_TRAINING NO_STDIO' 'NO_TRAINING NO_STDIO NO_THREADS NO_SIMD' STATIC; do
        defines=
        for option in $options; do defines="$defines -DSESSREC_$option"; done
        # shellcheck disable=SC2086
        expect "the header is silent under $1 -std=$2$defines" "$1" "-std=$2" $warnings $defines -fsyntax-only "$3"
    done
    # Some warnings need the optimizer's view.
    # shellcheck disable=SC2086
    expect "the header is silent under $1 -std=$2 -O2" "$1" "-std=$2" $warnings -O2 -c -o "$work/header.o" "$3"
}

# check_programs COMPILER STANDARD
check_programs() {
    have "$1" || { skip "the programs under $1 -std=$2" "no $1"; return; }
    for program in "$root"/tests/*.c "$root"/examples/*.c "$root"/bench/*.c; do
        [ -f "$program" ] || continue
        # shellcheck disable=SC2086
        expect "${program#"$root/"} is silent under $1 -std=$2" "$1" "-std=$2" $warnings -fsyntax-only "$program"
    done
}

# check_kernels COMPILER: the code for the GPU, as the test on the processor compiles it. nvcc sees it in make cuda.
check_kernels() {
    have "$1" || { skip "sessrec_cuda.cu under $1" "no $1"; return; }
    expect "sessrec_cuda.cu is silent under $1" "$1" -std=c++17 -Wall -Wextra -Wconversion -Wshadow -Werror -x c++ \
        -include "$root/tests/cuda_on_cpu.h" -fsyntax-only "$root/sessrec_cuda.cu"
}

# fuses_nothing COMPILER ...: no product and sum becomes a fused multiply-add but where the code says so, though the processor has one.
# Otherwise other processors, or another -march, would give other bits.
fuses_nothing() {
    "$@" -w -O2 -DSESSREC_NO_SIMD -S -o "$work/free.s" "$work/header.c" &&
        "$@" -w -O2 -DSESSREC_NO_SIMD -ffp-contract=off -S -o "$work/off.s" "$work/header.c" && cmp "$work/free.s" "$work/off.s"
}
check_fusing() {
    have "$1" || { skip "what $1 fuses" "no $1"; return; }
    expect "$* fuses nothing by itself" fuses_nothing "$@"
}

# Another processor, emulated: the header, the kernels, and models that must be the same byte for byte.
# arm_passes PROGRAM [ARGUMENT ...]
arm=aarch64-linux-gnu-gcc emulate=qemu-aarch64
if have timeout; then emulate='timeout 300 qemu-aarch64'; fi
arm_passes() {
    program=$1
    shift
    # shellcheck disable=SC2086
    "$arm" -O2 -DSESSREC_IMPLEMENTATION= -static -o "$work/$program" "$root/tests/$program.c" \
        -lm -lpthread && $emulate "$work/$program" "$@"
}
arm_trains() {
    awk 'BEGIN {
        print "SessionId\tItemId\tTime"
        for (s = 1; s <= 300; ++s) for (i = 0; i < 5; ++i) print s "\t" (s * s + 3 * i) % 41 "\t" s * 1000 + i
    }' >"$work/clicks.tsv"
    gcc -O2 -o "$work/here" "$root/examples/sessrec.c" -lm -lpthread &&
        "$arm" -O2 -static -o "$work/there" "$root/examples/sessrec.c" -lm -lpthread || return 1
    for options in '--loss xe' '--loss bpr-max --gru reset-after --optimizer adam'; do
        # shellcheck disable=SC2086
        "$work/here" train "$work/clicks.tsv" -o "$work/here.model" --layers 27 --epochs 2 $options &&
            $emulate "$work/there" train "$work/clicks.tsv" -o "$work/there.model" --layers 27 --epochs 2 $options &&
            cmp "$work/here.model" "$work/there.model" || return 1
    done
}
arm_links() { "$arm" -static -o "$work/probe" "$work/probe.c" -lm 2>/dev/null; }
check_arm() {
    printf '#include <math.h>\nint main(void) { return (int)sin(0); }\n' >"$work/probe.c"
    arm_links || { skip 'everything on AArch64' "no $arm with a C library"; return; }
    check_header "$arm" c99 "$work/header.c"
    check_fusing "$arm"
    have gcc && have qemu-aarch64 && qemu-aarch64 "$work/probe" || { skip 'the tests on AArch64' 'no gcc or no qemu-aarch64'; return; }
    expect 'test_kernels passes on AArch64' arm_passes test_kernels
    expect 'test_stream passes on AArch64' arm_passes test_stream
    expect 'golden passes on AArch64' arm_passes golden "$root/tests/golden"
    expect 'AArch64 trains the same models, byte for byte' arm_trains
}

expect 'every fault of mutate.sh can be made' sh "$root/tests/mutate.sh" --check
check_header gcc c99 "$work/header.c"
check_header gcc c17 "$work/header.c"
check_header clang c99 "$work/header.c"
check_header g++ c++11 "$work/header.cc"
check_header g++ c++20 "$work/header.cc"
check_header clang++ c++11 "$work/header.cc"
check_arm
case $(uname -m) in x86_64) check_fusing gcc -mfma; check_fusing clang -mfma ;; esac
check_programs gcc c99
check_programs gcc c17
check_programs clang c99
check_kernels g++
check_kernels clang++
report
