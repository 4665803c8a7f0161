#!/bin/sh
# cuda.sh - tests sessrec_cuda.cu:  cuda.sh cpu | gpu
#
# cpu: its kernels run on the processor (cuda_on_cpu.h), with small blocks so that it takes seconds; needs a
# C++17 compiler. gpu: on a GPU, built with nvcc. Both run cuda.c and the golden trajectories. Uses CC, CXX,
# NVCC and NVCC_FLAGS from the environment.
set -u
. "$(dirname "$0")/expect.sh"

CC=${CC:-cc} CXX=${CXX:-c++} NVCC=${NVCC:-nvcc}
tests=$root/tests

# The trajectories alone: the rest of the golden vectors has nothing to do with a GPU.
mkdir "$work/trajectories" && cp "$tests"/golden/*_traj_* "$work/trajectories" || exit 1

on_cpu() {
    have "${CXX%% *}" || { skip 'the GPU kernels on the processor' "no $CXX"; report; return; }
    # shellcheck disable=SC2086  # compilers are words
    $CXX -std=c++17 -x c++ -include "$tests/cuda_on_cpu.h" -c -o "$work/probe.o" /dev/null 2>/dev/null ||
        { skip 'the GPU kernels on the processor' "$CXX has no C++17 or the system no ucontext"; report
            return; }
    # shellcheck disable=SC2086
    $CXX -std=c++17 -O2 -DSESSREC_CUDA_THREADS=32 -x c++ -include "$tests/cuda_on_cpu.h" \
        -c -o "$work/kernels.o" "$root/sessrec_cuda.cu" ||
        return 1
    for program in cuda golden; do
        # shellcheck disable=SC2086
        $CC -O1 -DSESSREC_NO_SIMD -DSESSREC_CUDA -DSESSREC_IMPLEMENTATION= -c -o "$work/$program.o" \
            "$tests/$program.c" || return 1
        # shellcheck disable=SC2086
        $CXX -o "$work/$program" "$work/$program.o" "$work/kernels.o" -lm -lpthread || return 1
    done
    cd "$work" && sh "$tests/run.sh" ./cuda './golden trajectories'
}

on_gpu() {
    have "$NVCC" || { skip 'training on a GPU' "no $NVCC"; report; return; }
    for program in cuda golden; do
        # shellcheck disable=SC2086
        "$NVCC" $NVCC_FLAGS -DSESSREC_CUDA -DSESSREC_IMPLEMENTATION= -DSESSREC_TEST_GPU -o "$work/$program" \
            "$tests/$program.c" "$root/sessrec_cuda.cu" -lm -lpthread ||
            return 1
    done
    cd "$work" || return 1
    # Without a GPU the first says so, and the second could only fail.
    if ./cuda | grep '^skipped training on a GPU'; then skip 'the golden trajectories on a GPU' 'the same'
        skipped=2; report
    else sh "$tests/run.sh" ./cuda './golden trajectories'; fi
}

case ${1:-} in
cpu) on_cpu ;;
gpu) on_gpu ;;
*) echo "usage: cuda.sh cpu | gpu" && exit 2 ;;
esac
