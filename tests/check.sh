#!/bin/sh
# check.sh - warnings as errors: the header by itself under every compiler, language and set of options, then all our programs.
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
    # Some warnings need the optimiser's view.
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

check_header gcc c99 "$work/header.c"
check_header gcc c17 "$work/header.c"
check_header clang c99 "$work/header.c"
check_header g++ c++11 "$work/header.cc"
check_header g++ c++20 "$work/header.cc"
check_header clang++ c++11 "$work/header.cc"
check_programs gcc c99
check_programs gcc c17
check_programs clang c99
check_kernels g++
check_kernels clang++
report
