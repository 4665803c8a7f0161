// cuda_on_cpu.h - as much of CUDA as sessrec_cuda.cu uses, run by the processor, so that its kernels can be
// tested without a GPU:
//
//     g++ -std=c++17 -x c++ -include tests/cuda_on_cpu.h -c sessrec_cuda.cu
//
// Blocks run one after the other. A thread of a block runs until it ends or comes to __syncthreads, where it
// waits on a stack of its own until all the others have come. What this shows: index arithmetic, formulas,
// the order of the kernels, that a captured graph can be run again, that all threads of a block meet at the
// same barriers. With cuda_on_cpu_backwards blocks and threads take their turns from the last to the first:
// kernels whose result depends on that have a race. What it does not show: races that neither order brings
// out, and anything about speed.
#ifndef SESSREC_TEST_CUDA_ON_CPU_H
#define SESSREC_TEST_CUDA_ON_CPU_H

#include <math.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include <functional>
#include <tuple>
#include <vector>

#define SESSREC_CUDA_ON_CPU
#define __global__
#define __device__
#define __host__
#define __shared__ static
#define fmaf(a, b, c)                                                                                        \
  ((float)((double)(a) * (double)(b) + (double)(c)))  // inlined; a rounding more, once in about 2^29

// What a test turns: bytes that cudaMalloc still has, GPUs that there are and whether the kernels were
// compiled for them, the order of threads, the error that the next copy has; and what it may look at: blocks
// not freed, graphs run.
extern "C" {
int64_t cuda_on_cpu_memory = INT64_MAX;
int cuda_on_cpu_devices = 1, cuda_on_cpu_code = 1, cuda_on_cpu_backwards, cuda_on_cpu_copy_error;
int64_t cuda_on_cpu_blocks, cuda_on_cpu_graphs;
}

struct dim3 {
    unsigned x, y, z;
    dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};
static dim3 threadIdx, blockIdx, blockDim, gridDim;

static inline uint64_t __umul64hi(uint64_t a, uint64_t b) {
    return (uint64_t)((unsigned __int128)a * b >> 64);
}

// ---- threads ----------------------------------------------------------------------------------------------

struct cuda_on_cpu_thread {
    ucontext_t start;
    jmp_buf at;
    char *stack;
    int begun, waits;
};
// a stack each, reused by threads that never wait
static std::vector<cuda_on_cpu_thread *> cuda_on_cpu_threads;
static cuda_on_cpu_thread *cuda_on_cpu_running;
static jmp_buf cuda_on_cpu_scheduler;
static const std::function<void()> *cuda_on_cpu_body;

static void cuda_on_cpu_stop(const char *why) {
    fprintf(stderr, "cuda_on_cpu: %s\n", why);
    abort();
}

static __attribute__((noinline)) void cuda_on_cpu_yield(int waits) {
    cuda_on_cpu_running->waits = waits;
    if (!_setjmp(cuda_on_cpu_running->at)) _longjmp(cuda_on_cpu_scheduler, 1);
}
static void cuda_on_cpu_main() {
    for (;;) {
        (*cuda_on_cpu_body)();
        cuda_on_cpu_yield(0);
    }
}
static void __syncthreads() {
    cuda_on_cpu_yield(1);
}

static __attribute__((noinline)) void cuda_on_cpu_resume(cuda_on_cpu_thread *thread) {
    cuda_on_cpu_running = thread;
    if (_setjmp(cuda_on_cpu_scheduler)) return;
    if (thread->begun) _longjmp(thread->at, 1);
    thread->begun = 1;
    setcontext(&thread->start);
}

static cuda_on_cpu_thread *cuda_on_cpu_take(size_t index) {
    const size_t stack_bytes = 1 << 16;
    while (cuda_on_cpu_threads.size() <= index) {
        cuda_on_cpu_thread *made = (cuda_on_cpu_thread *)calloc(1, sizeof *made);
        if (!made || !(made->stack = (char *)malloc(stack_bytes)) || getcontext(&made->start))
            cuda_on_cpu_stop("no memory for threads");
        made->start.uc_stack.ss_sp = made->stack;
        made->start.uc_stack.ss_size = stack_bytes;
        made->start.uc_link = NULL;
        makecontext(&made->start, cuda_on_cpu_main, 0);
        cuda_on_cpu_threads.push_back(made);
    }
    return cuda_on_cpu_threads[index];
}

static void cuda_on_cpu_block(unsigned threads) {
    static std::vector<std::pair<unsigned, cuda_on_cpu_thread *>> waiting;
    waiting.clear();
    for (unsigned t = 0; t < threads; ++t) {
        threadIdx.x = cuda_on_cpu_backwards ? threads - 1 - t : t;
        cuda_on_cpu_thread *thread = cuda_on_cpu_take(waiting.size());
        cuda_on_cpu_resume(thread);
        if (thread->waits) waiting.push_back(std::make_pair(threadIdx.x, thread));
    }
    if (!waiting.empty() && waiting.size() != threads)
        cuda_on_cpu_stop("a thread ended where others wait for it");
    while (!waiting.empty()) {
        unsigned still = 0;
        for (auto &w : waiting) {
            threadIdx.x = w.first;
            cuda_on_cpu_resume(w.second);
            still += w.second->waits != 0;
        }
        if (!still) break;
        // After a barrier threads may end early only if none of the others comes to another one.
        if (still != threads) cuda_on_cpu_stop("threads of a block meet at different barriers");
    }
}

static void cuda_on_cpu_run(dim3 grid, unsigned threads, const std::function<void()> &body) {
    if (!grid.x || !grid.y || !grid.z || !threads || threads > 1024 || grid.y > 65535 || grid.z > 65535)
        cuda_on_cpu_stop("a launch is out of range");
    const uint64_t blocks = (uint64_t)grid.x * grid.y * grid.z;
    gridDim = grid;
    blockDim = dim3(threads);
    cuda_on_cpu_body = &body;
    for (uint64_t n = 0; n < blocks; ++n) {
        const uint64_t at = cuda_on_cpu_backwards ? blocks - 1 - n : n;
        blockIdx =
            dim3((unsigned)(at % grid.x), (unsigned)(at / grid.x % grid.y), (unsigned)(at / grid.x / grid.y));
        cuda_on_cpu_block(threads);
    }
}

// ---- streams and graphs -----------------------------------------------------------------------------------

typedef std::vector<std::function<void()>> cuda_on_cpu_list;
typedef int *cudaStream_t;
typedef cuda_on_cpu_list *cudaGraph_t, *cudaGraphExec_t;
static cuda_on_cpu_list *cuda_on_cpu_capturing;

static void cuda_on_cpu_do(const std::function<void()> &what) {
    if (cuda_on_cpu_capturing) cuda_on_cpu_capturing->push_back(what);
    else what();
}
template <class... P, class... A>
static void cuda_on_cpu_launch(void (*kernel)(P...), dim3 grid, unsigned threads, A... arguments) {
    const std::tuple<P...> saved(static_cast<P>(arguments)...);
    cuda_on_cpu_do([=] { cuda_on_cpu_run(grid, threads, [&] { std::apply(kernel, saved); }); });
}
#define SESSREC__LAUNCH(kernel, grid, threads, stream, ...)                                                  \
  ((void)(stream), cuda_on_cpu_launch(kernel, grid, threads, __VA_ARGS__))

// ---- the runtime ------------------------------------------------------------------------------------------

enum cudaError_t {
    cudaSuccess = 0,
    cudaErrorInvalidValue = 1,
    cudaErrorMemoryAllocation = 2,
    cudaErrorNoDevice = 100,
    cudaErrorNoKernelImageForDevice = 209
};
enum {
    cudaMemcpyHostToDevice,
    cudaMemcpyDeviceToHost,
    cudaStreamNonBlocking = 1,
    cudaStreamCaptureModeThreadLocal = 1
};
struct cudaDeviceProp {
    char name[256];
};
struct cudaFuncAttributes {};

static inline const char *cudaGetErrorString(cudaError_t error) {
    return error == cudaErrorMemoryAllocation ? "out of memory"
           : error == cudaErrorNoDevice       ? "no CUDA-capable device is detected"
           : error == cudaErrorNoKernelImageForDevice
               ? "no kernel image is available for execution on the device"
               : "an illegal memory access was encountered";
}
static inline cudaError_t cudaGetLastError() { return cudaSuccess; }
static inline cudaError_t cudaGetDeviceCount(int *count) {
    *count = cuda_on_cpu_devices;
    return *count ? cudaSuccess : cudaErrorNoDevice;
}
static inline cudaError_t cudaGetDevice(int *ordinal) { return *ordinal = 0, cudaSuccess; }
static inline cudaError_t cudaSetDevice(int) { return cudaSuccess; }
static inline cudaError_t cudaGetDeviceProperties(cudaDeviceProp *properties, int) {
    snprintf(properties->name, sizeof properties->name, "a GPU played by the processor");
    return cudaSuccess;
}

template <class Kernel> static cudaError_t cudaFuncGetAttributes(cudaFuncAttributes *, Kernel *) {
    return cuda_on_cpu_code ? cudaSuccess : cudaErrorNoKernelImageForDevice;
}

// Memory begins as NaNs. Its size stands in front of it.
static inline cudaError_t cudaMalloc(void **out, size_t bytes) {
    char *block = (int64_t)bytes <= cuda_on_cpu_memory ? (char *)malloc(bytes + 64) : NULL;
    if (!block) return cudaErrorMemoryAllocation;
    memcpy(block, &bytes, sizeof bytes);
    memset(block + 64, 0xff, bytes);
    cuda_on_cpu_memory -= (int64_t)bytes;
    ++cuda_on_cpu_blocks;
    *out = block + 64;
    return cudaSuccess;
}
static inline cudaError_t cudaFree(void *block) {
    size_t bytes;
    memcpy(&bytes, (char *)block - 64, sizeof bytes);
    cuda_on_cpu_memory += (int64_t)bytes;
    --cuda_on_cpu_blocks;
    free((char *)block - 64);
    return cudaSuccess;
}
static inline cudaError_t cudaMallocHost(void **out, size_t bytes) {
    *out = malloc(bytes);
    return *out ? cudaSuccess : cudaErrorMemoryAllocation;
}
static inline cudaError_t cudaFreeHost(void *block) { return free(block), cudaSuccess; }
static inline cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, int, cudaStream_t) {
    if (cuda_on_cpu_copy_error) {
        const cudaError_t error = (cudaError_t)cuda_on_cpu_copy_error;
        cuda_on_cpu_copy_error = 0;
        return error;
    }
    cuda_on_cpu_do([=] { memcpy(to, from, bytes); });
    return cudaSuccess;
}
static inline cudaError_t cudaMemsetAsync(void *to, int value, size_t bytes, cudaStream_t) {
    cuda_on_cpu_do([=] { memset(to, value, bytes); });
    return cudaSuccess;
}
static inline cudaError_t cudaStreamCreateWithFlags(cudaStream_t *out, int) {
    return *out = new int(0), cudaSuccess;
}
static inline cudaError_t cudaStreamDestroy(cudaStream_t stream) { return delete stream, cudaSuccess; }
static inline cudaError_t cudaStreamSynchronize(cudaStream_t) {
    return cuda_on_cpu_capturing ? cudaErrorInvalidValue : cudaSuccess;
}
static inline cudaError_t cudaStreamBeginCapture(cudaStream_t, int) {
    return cuda_on_cpu_capturing = new cuda_on_cpu_list, cudaSuccess;
}
static inline cudaError_t cudaStreamEndCapture(cudaStream_t, cudaGraph_t *out) {
    *out = cuda_on_cpu_capturing;
    cuda_on_cpu_capturing = NULL;
    return cudaSuccess;
}
static inline cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t *out, cudaGraph_t graph, int) {
    return *out = new cuda_on_cpu_list(*graph), cudaSuccess;
}
static inline cudaError_t cudaGraphDestroy(cudaGraph_t graph) { return delete graph, cudaSuccess; }
static inline cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) { return delete exec, cudaSuccess; }
static inline cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t) {
    ++cuda_on_cpu_graphs;
    for (const auto &what : *exec) what();
    return cudaSuccess;
}

#endif // SESSREC_TEST_CUDA_ON_CPU_H
