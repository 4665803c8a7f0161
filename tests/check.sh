#!/bin/sh
# check.sh - warnings as errors: the header by itself under every compiler, language and set of options, then
# all our programs.
set -u
. "$(dirname "$0")/expect.sh"

warnings='-Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror'
printf '#define SESSREC_IMPLEMENTATION\n#include "%s/sessrec.h"\n' "$root" >"$work/header.c"
cp "$work/header.c" "$work/header.cc"

# check_header COMPILER STANDARD FILE
check_header() {
    echo '#include <math.h>' >"$work/probe.c"
    if ! "$1" -fsyntax-only "$work/probe.c" 2>/dev/null; then
        skip "the header under $1 -std=$2" "no $1 with a C library"
        return
    fi
    for options in '' NO_TRAINING NO_STDIO NO_THREADS NO_SIMD 'NO_TRAINING NO_STDIO' \
        'NO_TRAINING NO_STDIO NO_THREADS NO_SIMD' STATIC TINY; do
        defines=
        for option in $options; do defines="$defines -DSESSREC_$option"; done
        # shellcheck disable=SC2086
        expect "the header is silent under $1 -std=$2$defines" "$1" "-std=$2" $warnings $defines \
            -fsyntax-only "$3"
    done
    # Some warnings need the optimizer's view.
    # shellcheck disable=SC2086
    expect "the header is silent under $1 -std=$2 -O2" "$1" "-std=$2" $warnings -O2 -c -o "$work/header.o" \
        "$3"
}

# check_mpi COMPILER STANDARD PROGRAM: mpicc knows where its header is.
check_mpi() {
    have mpicc || { skip "examples/mpi_train.c under $1 -std=$2" 'no mpicc'; return; }
    # shellcheck disable=SC2086
    expect "examples/mpi_train.c is silent under $1 -std=$2" env OMPI_CC="$1" MPICH_CC="$1" mpicc "-std=$2" \
        $warnings -c -o "$work/mpi.o" "$3"
}

# check_programs COMPILER STANDARD
check_programs() {
    have "$1" || { skip "the programs under $1 -std=$2" "no $1"; return; }
    for program in "$root"/tests/*.c "$root"/examples/*.c "$root"/examples/zoo/*.c \
        "$root"/examples/game/*.c "$root"/bench/*.c; do
        [ -f "$program" ] || continue
        case $program in */mpi_train.c) check_mpi "$1" "$2" "$program"; continue ;; esac
        # shellcheck disable=SC2086
        expect "${program#"$root/"} is silent under $1 -std=$2" "$1" "-std=$2" $warnings \
            -fsyntax-only "$program"
    done
}

# check_kernels COMPILER: the code for the GPU, as the test on the processor compiles it. nvcc sees it in make
# cuda.
check_kernels() {
    have "$1" || { skip "sessrec_cuda.cu under $1" "no $1"; return; }
    expect "sessrec_cuda.cu is silent under $1" "$1" -std=c++17 \
        -Wall -Wextra -Wconversion -Wshadow -Werror -x c++ \
        -include "$root/tests/cuda_on_cpu.h" -fsyntax-only "$root/sessrec_cuda.cu"
}

# fuses_nothing COMPILER ...: no product and sum becomes a fused multiply-add but where the code says so,
# though the processor has one. Otherwise other processors, or another -march, would give other bits.
fuses_nothing() {
    "$@" -w -O2 -DSESSREC_NO_SIMD -S -o "$work/free.s" "$work/header.c" &&
        "$@" -w -O2 -DSESSREC_NO_SIMD -ffp-contract=off -S -o "$work/off.s" "$work/header.c" &&
        cmp "$work/free.s" "$work/off.s"
}
check_fusing() {
    have "$1" || { skip "what $1 fuses" "no $1"; return; }
    expect "$* fuses nothing by itself" fuses_nothing "$@"
}

# silent WHAT FILE COMMAND ...: where there is such a compiler, and it has a C library, FILE is silent under
# it.
silent() {
    what=$1 file=$2
    shift 2
    have "$1" && "$@" -fsyntax-only "$work/probe.c" 2>/dev/null || { skip "$what" "no $1, or not for this"
        return; }
    # shellcheck disable=SC2086
    expect "$what is silent" "$@" $warnings -fsyntax-only "$file"
}

expect 'every fault of mutate.sh can be made' sh "$root/tests/mutate.sh" --check
check_header gcc c99 "$work/header.c"
check_header gcc c17 "$work/header.c"
check_header clang c99 "$work/header.c"
check_header g++ c++11 "$work/header.cc"
check_header g++ c++20 "$work/header.cc"
check_header clang++ c++11 "$work/header.cc"
for compiler in aarch64-linux-gnu-gcc i686-linux-gnu-gcc arm-linux-gnueabihf-gcc; do
    check_header "$compiler" c99 "$work/header.c"
done
check_fusing aarch64-linux-gnu-gcc
for options in '' -DSESSREC_NO_TRAINING '-DSESSREC_NO_TRAINING -DSESSREC_NO_STDIO'; do
    # shellcheck disable=SC2086
    {
        silent "the header for Windows $options" "$work/header.c" x86_64-w64-mingw32-gcc -std=c99 $options
        silent "the header for Windows, as C++ $options" "$work/header.cc" x86_64-w64-mingw32-g++ -std=c++11 \
            $options
        silent "the header with musl $options" "$work/header.c" musl-gcc -std=c99 $options
        silent "the header for WebAssembly $options" "$work/header.c" clang --target=wasm32-wasi -std=c99 \
            $options
    }
done
silent 'the header for WebAssembly with SIMD' "$work/header.c" clang --target=wasm32-wasi -std=c99 -msimd128
silent 'the C of the web page' "$root/examples/web/sessrec_web.c" clang --target=wasm32-wasi \
    -std=gnu99
silent 'the C of the web page, with training,' "$root/examples/web/sessrec_web.c" clang \
    --target=wasm32-wasi -std=gnu99 -DWEB_TRAINING
silent 'the command line for Windows' "$root/examples/sessrec.c" x86_64-w64-mingw32-gcc -std=c99
silent 'the command line for Windows, as C++' "$root/examples/sessrec.c" x86_64-w64-mingw32-g++ -std=c++11 \
    -x c++
silent 'the header with small enums and unsigned char' "$work/header.c" gcc -std=c99 \
    -fshort-enums -funsigned-char
if have gcc; then
    small='gcc -fshort-enums -funsigned-char'
    # shellcheck disable=SC2086
    expect 'golden passes with small enums and unsigned char' sh -c \
        "$small -O2 -o '$work/golden' '$root/tests/golden.c' -lm -lpthread &&
            '$work/golden' '$root/tests/golden'"
fi
case $(uname -m) in x86_64) check_fusing gcc -mfma; check_fusing clang -mfma ;; esac
check_programs gcc c99
check_programs gcc c17
check_programs clang c99
silent 'the peer over OpenBLAS' "$root/bench/peers/openblas.c" gcc -std=c99 -Wno-sign-conversion
check_kernels g++
check_kernels clang++
report
