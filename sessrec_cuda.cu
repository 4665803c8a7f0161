// sessrec_cuda.cu - trains the models of sessrec.h on an NVIDIA GPU
//
// Compile your program with -DSESSREC_CUDA and link this file, compiled by nvcc: see >>device at the end of
// sessrec.h. Nothing else in the program changes. What it computes is what >>trainer in sessrec.h computes,
// and each kernel here names its counterpart there: read that first. Public domain or MIT-0, as sessrec.h.
//
// A step is a fixed list of kernels. Whatever changes from step to step (items, which sessions begin, the
// number of the step) lies in one record in the GPU's memory, so that the list can be captured once as a
// graph and launched again as long as the mini-batch keeps its size. In an epoch (sessrec_trainer_epoch,
// sessrec_train) SESSREC_DEVICE_AHEAD records are sent ahead, the negatives are drawn on the GPU, and the
// losses come back after the last of them.
//
// There are no atomics, and every sum has a fixed order: the same program on the same GPU gives the same bits
// on every run. They are not the bits of the processor, because sums are cut into other pieces and exp, tanh
// and log are CUDA's.
#ifndef SESSREC_CUDA
#  define SESSREC_CUDA
#endif
#define SESSREC__COMPANION  // >>rng and >>device, too
#include "sessrec.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef SESSREC_CUDA_ON_CPU  // a test compiles this file with a C++ compiler, which has no <<< >>>
#  include <cuda_runtime.h>
#  define SESSREC__LAUNCH(kernel, grid, threads, stream, ...)                                                \
    kernel<<<(grid), (threads), 0, (stream)>>>(__VA_ARGS__)
#endif

// Every launch; the first failure is kept until somebody looks.
#define LAUNCH(cu, kernel, grid, threads, ...)                            \
    do {                                                                  \
        SESSREC__LAUNCH(kernel, grid, threads, (cu)->stream, __VA_ARGS__); \
        sessrec__note(cu, cudaGetLastError());                            \
    } while (0)

#ifndef SESSREC_CUDA_THREADS
#  define SESSREC_CUDA_THREADS 256
#endif
enum {
    THREADS = SESSREC_CUDA_THREADS,  // of a block: a power of two, 32 to 512
    SORT_CHUNK = 4096,  // keys that a block sorts in its own memory
    NORM_PARTS = 64,    // pieces of a sum of squares
    TILE_M = 32, TILE_N = 64, TILE_K = 16,  // of a matrix product
    ROWS_EACH = TILE_M * 16 / THREADS       // a tile's rows, and 4 columns, for each thread
};

// ===========================================================================================================
// what lies on the GPU
// ===========================================================================================================

// A mini-batch as it is copied to the GPU. Behind it: int32 input [B], target [B], session_starts [B],
// user_starts [B], previous_rows [B].
typedef struct sessrec__record {
    uint64_t epoch_seed, first_draw;    // for dropout; of its negatives
    double most;                        // a larger sum of row losses has diverged
    int64_t step, draw;                 // draw: 1: the negatives are to be drawn, 0: they have been copied
} sessrec__record;

typedef struct sessrec__status {
    int32_t next, diverged;     // which of the records comes next; whether a sum of row losses was
                                // infinite, NaN or too large
    double sum[SESSREC_DEVICE_AHEAD];   // of row losses
} sessrec__status;

typedef struct sessrec__draws {  // sessrec_sampler
    uint64_t key;
    int32_t guide_bits;
    uint64_t total;
    const uint64_t *sum;
    const int32_t *guide;
} sessrec__draws;

typedef struct sessrec__tensor {
    sessrec_device_tensor host;
    float *weights;
    float *gradient;  // dense tensors
    sessrec_optimizer_state state;
} sessrec__tensor;

typedef struct sessrec__cell {  // the matrices of one GRU; c is NULL in the reset-before form
    int32_t input, hidden;
    const sessrec__tensor *W, *U, *b, *c;
} sessrec__cell;

typedef struct sessrec__level {  // sessrec__layer
    sessrec__cell cell;
    const sessrec__tensor *init_W, *init_b;
    float *state;           // [B,H] of the slots
    float *h;               // [B,H] the states that enter the step
    float *tape, *d_gates;  // [B,4H]
    float *d_out, *d_rh;    // [B,H]
    float *d_h, *begun, *d_begun;  // [B,H] with a user-level GRU only
} sessrec__level;

// a table's gradient: a row for each use of an item, where the processor has one for each item
typedef struct sessrec__rows {
    int32_t count;
    int32_t *id;
    uint64_t *key;  // item and place, sorted
    float *gradient, *bias;
} sessrec__rows;

typedef struct sessrec__graph {
    int32_t rows, columns;  // of the mini-batch that it was captured for, 0: none
    cudaGraphExec_t exec;
} sessrec__graph;

typedef struct sessrec__cuda {
    sessrec_config config;
    sessrec_model_info info;
    sessrec_device_view host;
    int ordinal;
    char name[300];
    cudaStream_t stream;
    cudaError_t failed;
    char *block;            // all of the GPU's memory
    uint64_t block_bytes;
    int32_t tensors;
    sessrec__tensor *tensor;
    const sessrec__tensor *Wy, *By, *inputs, *context;  // inputs: E or one-hot W, NULL with TIED
    sessrec__level level[SESSREC_MAX_LAYERS];
    sessrec__level user;    // h: the user's states that enter
    float *user_s, *user_new, *user_dc;     // [B,L] [B,Hu] [B,Hu]
    sessrec__rows output, input;
    char *schedule, *staged;                // [AHEAD] records on the GPU, and where they are copied from
    uint64_t record_bytes;
    // sizes of those that were put
    int32_t put_rows[SESSREC_DEVICE_AHEAD], put_columns[SESSREC_DEVICE_AHEAD];
    sessrec__record *record;                // the one under way
    const int32_t *in, *target, *start, *user_starts, *previous;  // inside it
    sessrec__status *status;
    int32_t *negative;      // [N]
    uint64_t *draw_sum;     // [V]
    int32_t *draw_guide;    // [2 V + 17]
    sessrec__draws draws;
    int32_t *item;          // [C]
    float *log_support, *log_proposal;      // [V] [C], NULL without logQ
    float *Y, *bias, *S;    // [C,L] [C] [B,C]; S becomes its gradient
    float *x, *row_loss;    // [B,D] [B]
    double *norm;           // [NORM_PARTS]
    float *partial;         // for products that are cut along k
    uint64_t partial_count;
    int32_t rows, columns;  // of the step under way
    int again;              // whether the mini-batch before had this size
    sessrec__graph graph[2];
} sessrec__cuda;

static void sessrec__note(sessrec__cuda *cu, cudaError_t error) {
    if (cu->failed == cudaSuccess) cu->failed = error;
}

static sessrec_result sessrec__cuda_fail(sessrec_error *err, cudaError_t error, const char *what) {
    char text[320];
    const char *const words = cudaGetErrorString(error);
    snprintf(text, sizeof text, "CUDA: %s: %s", what, words ? words : "unknown error");
    return sessrec_error_set(
        err, error == cudaErrorMemoryAllocation ? SESSREC_OUT_OF_MEMORY : SESSREC_DEVICE_ERROR, text);
}

// What went wrong since the last look, launches included.
static sessrec_result sessrec__look(sessrec__cuda *cu, const char *what, sessrec_error *err) {
    const cudaError_t error = cu->failed;
    cu->failed = cudaSuccess;
    return error == cudaSuccess ? SESSREC_OK : sessrec__cuda_fail(err, error, what);
}

// ===========================================================================================================
// dropout: sessrec__drop, the same bits
// ===========================================================================================================

typedef struct sessrec__dropout {
    const sessrec__record *record;
    uint64_t stream;
    float p;
    int32_t batch_size;
} sessrec__dropout;

// 0 with probability p, else 1/(1-p), for element (row, column) of an array [batch_size,width]
static __device__ float sessrec__kept(sessrec__dropout d, int64_t row, int64_t width, int64_t column) {
    if (!(d.p > 0)) return 1;
    const uint64_t key = sessrec__key(d.record->epoch_seed, d.stream);
    const uint64_t index =
        ((uint64_t)d.record->step * (uint64_t)d.batch_size + (uint64_t)row) * (uint64_t)width +
        (uint64_t)column;
    return sessrec__unit(sessrec__draw(key, index)) < d.p ? 0 : 1 / (1 - d.p);
}

// ===========================================================================================================
// one thread an element
// ===========================================================================================================

#define FOR_EACH(i, n)                                                                                       \
  for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; i < (n);                                  \
       i += (int64_t)gridDim.x * blockDim.x)

static unsigned sessrec__blocks(int64_t elements) {
    const int64_t blocks = (elements + THREADS - 1) / THREADS;
    return (unsigned)(blocks < 1 ? 1 : blocks > 65535 ? 65535 : blocks);
}

static __device__ float sessrec__sigmoid(float x) {
    return 1 / (1 + expf(-x));
}
static __device__ float sessrec__softplus(float x) {
    return fmaxf(x, 0) + log1pf(expf(-fabsf(x)));
}

// The next of the records becomes the one under way.
static __global__ void sessrec__k_next(int64_t words, const uint32_t *schedule, const sessrec__status *status,
                                       uint32_t *record) {
    FOR_EACH(i, words) record[i] = schedule[status->next * words + i];
}

// sessrec_sampler_draw
static __device__ int32_t sessrec__draw_item(const sessrec__draws &d, uint64_t index) {
    const uint64_t draw = sessrec__draw(d.key, index), x = __umul64hi(draw, d.total);
    const uint64_t at = draw >> (64 - d.guide_bits);
    int32_t low = d.guide[at], high = d.guide[at + 1];
    while (low < high) {
        const int32_t middle = low + (high - low) / 2;
        if (d.sum[middle] > x) high = middle;
        else low = middle + 1;
    }
    return low;
}

typedef struct sessrec__begin_step {
    const sessrec__record *record;
    sessrec__draws draws;
    int32_t rows, columns, tied, output_keys, input_keys;
    float alpha;
    const int32_t *target, *negative, *input;
    const float *log_support;
    int32_t *item, *output_id, *input_id;
    float *log_proposal;
    uint64_t *output_key, *input_key;
} sessrec__begin_step;

// sessrec__plan_columns: the item of each column, its logQ, and the keys by which repeated items find each
// other.
static __global__ void sessrec__k_begin(sessrec__begin_step b) {
    const int32_t uses = b.columns + (b.tied ? b.rows : 0);
    FOR_EACH(c, b.output_keys > b.input_keys ? b.output_keys : b.input_keys) {
        if (c < uses) {
            const int32_t id =
                c < b.rows       ? b.target[c]
                : c >= b.columns ? b.input[c - b.columns]
                : b.record->draw ? sessrec__draw_item(b.draws, b.record->first_draw + (uint64_t)(c - b.rows))
                                 : b.negative[c - b.rows];
            b.output_id[c] = id;
            if (c < b.columns) b.item[c] = id;
            if (c < b.columns && b.log_support)
                b.log_proposal[c] = (c < b.rows ? 1 : b.alpha) * b.log_support[id];
        }
        if (c < b.output_keys)
            b.output_key[c] = c < uses ? (uint64_t)b.output_id[c] << 32 | (uint64_t)c : UINT64_MAX;
        if (c < b.input_keys)
            b.input_key[c] = c < b.rows ? (uint64_t)b.input[c] << 32 | (uint64_t)c : UINT64_MAX;
        if (c < b.rows && b.input_keys) b.input_id[c] = b.input[c];
    }
}

// y [rows,width] = rows of a table, times a mask. sessrec__embed, _forward_input, _gather_items
static __global__ void sessrec__k_gather(int64_t rows, int64_t width, const float *table, const int32_t *id,
                                         sessrec__dropout dropout, float *y) {
    FOR_EACH(i, rows * width) {
        y[i] = table[id[i / width] * width + i % width] * sessrec__kept(dropout, i / width, width, i % width);
    }
}

// x *= mask
static __global__ void sessrec__k_drop(int64_t rows, int64_t width, sessrec__dropout dropout, float *x) {
    FOR_EACH(i, rows * width) x[i] *= sessrec__kept(dropout, i / width, width, i % width);
}

// sessrec__gru_input with one-hot items: a = b + W[item], times what input dropout leaves of a one-hot vector
static __global__ void sessrec__k_onehot(int64_t rows, int64_t H, const float *W, const float *b,
                                         const int32_t *item, sessrec__dropout dropout, float *tape) {
    FOR_EACH(i, rows * 3 * H) {
        const int64_t row = i / (3 * H), j = i % (3 * H);
        tape[row * 4 * H + j] = b[j] + sessrec__kept(dropout, row, 1, 0) * W[item[row] * 3 * H + j];
    }
}

// and the gradient of those rows: sessrec__finish_inputs
static __global__ void sessrec__k_onehot_gradient(int64_t rows, int64_t H, const float *d_gates,
                                                  sessrec__dropout dropout, float *gradient) {
    FOR_EACH(i, rows * 3 * H) {
        gradient[i] = sessrec__kept(dropout, i / (3 * H), 1, 0) * d_gates[i / (3 * H) * 4 * H + i % (3 * H)];
    }
}

// Which rows begin a later session of a user: sessrec__plan_users
static __device__ int sessrec__begins(const int32_t *start, const int32_t *user_starts, int64_t row) {
    return user_starts && start[row] && !user_starts[row];
}

// sessrec__forward_states. begun (NULL without users) holds c W_init + b_init and gets its tanh.
static __global__ void sessrec__k_states(int64_t rows, int64_t H, const int32_t *start,
                                         const int32_t *user_starts, const int32_t *previous,
                                         const float *state, float *begun, sessrec__dropout dropout,
                                         float *h) {
    FOR_EACH(i, rows * H) {
        const int64_t row = i / H, j = i % H;
        if (begun) begun[i] = tanhf(begun[i]);
        if (begun && sessrec__begins(start, user_starts, row))
            h[i] = begun[i] * sessrec__kept(dropout, row, H, j);
        else h[i] = start[row] ? 0 : state[previous[row] * H + j];
    }
}

// The gates r and z, in the reset-after form with their second bias; then what the candidate needs.
// sessrec__gru_recurrent, first half
static __global__ void sessrec__k_gates(int64_t rows, int64_t H, const float *c, const float *h,
                                        float *tape) {
    FOR_EACH(i, rows * H) {
        float *t = tape + i / H * 4 * H + i % H;
        const int64_t j = i % H;
        t[0] = sessrec__sigmoid(t[0] + (c ? c[j] : 0));
        t[H] = sessrec__sigmoid(t[H] + (c ? c[H + j] : 0));
        if (c) t[2 * H] += t[0] * t[3 * H];
        else t[3 * H] = t[0] * h[i];
    }
}

// The candidate and the new state, with dropout. sessrec__gru_recurrent, second half
static __global__ void sessrec__k_candidate(int64_t rows, int64_t H, const float *h, float *tape,
                                            sessrec__dropout dropout, float *out) {
    FOR_EACH(i, rows * H) {
        float *t = tape + i / H * 4 * H + i % H;
        t[2 * H] = tanhf(t[2 * H]);
        out[i] = fmaf(t[H], t[2 * H] - h[i], h[i]) * sessrec__kept(dropout, i / H, H, i % H);
    }
}

// sessrec__gru_backward_rows up to the product with Un; d_out gets the mask first
static __global__ void sessrec__k_gates_backward(int64_t rows, int64_t H, int after, const float *h,
                                                 const float *tape, sessrec__dropout dropout, float *d_out,
                                                 float *d_gates) {
    FOR_EACH(i, rows * H) {
        const int64_t at = i / H * 4 * H + i % H;
        const float r = tape[at], z = tape[at + H], n = tape[at + 2 * H],
                    up = d_out[i] * sessrec__kept(dropout, i / H, H, i % H);
        const float dn = up * z * (1 - n * n);
        d_out[i] = up;
        d_gates[at + H] = up * (n - h[i]) * z * (1 - z);
        d_gates[at + 2 * H] = dn;
        if (!after) continue;
        d_gates[at + 3 * H] = dn * r;
        d_gates[at] = dn * tape[at + 3 * H] * r * (1 - r);
    }
}

// The reset gate's gradient in the reset-before form, from d_rh = dL/d(r * h)
static __global__ void sessrec__k_reset_backward(int64_t rows, int64_t H, const float *h, const float *tape,
                                                 const float *d_rh, float *d_gates) {
    FOR_EACH(i, rows * H) {
        const int64_t at = i / H * 4 * H + i % H;
        d_gates[at] = d_rh[i] * h[i] * tape[at] * (1 - tape[at]);
    }
}

// d_h before the products with U
static __global__ void sessrec__k_state_backward(int64_t rows, int64_t H, const float *tape, const float *up,
                                                 const float *d_rh, float *d_h) {
    FOR_EACH(i, rows * H) {
        const int64_t at = i / H * 4 * H + i % H;
        d_h[i] = up[i] * (1 - tape[at + H]) + (d_rh ? d_rh[i] * tape[at] : 0);
    }
}

// sessrec__forward_users: what enters GRU_usr. It runs for every row; only rows where a later session begins
// make use of it, and of the gradients of the others 0 is left.
static __global__ void sessrec__k_users_enter(int64_t rows, int64_t width, const int32_t *previous,
                                              const float *from, float *to) {
    FOR_EACH(i, rows * width) to[i] = from[previous[i / width] * width + i % width];
}
static __global__ void sessrec__k_users_leave(int64_t rows, int64_t Hu, const int32_t *start,
                                              const int32_t *user_starts, const float *old, const float *made,
                                              float *state) {
    FOR_EACH(i, rows * Hu) {
        const int64_t row = i / Hu;
        state[i] = user_starts[row] ? 0 : sessrec__begins(start, user_starts, row) ? made[i] : old[i];
    }
}

// sessrec__backward_users: through the beginning of the session, and 0 elsewhere
static __global__ void sessrec__k_begun_backward(int64_t rows, int64_t H, const int32_t *start,
                                                 const int32_t *user_starts, const float *begun,
                                                 const float *d_h, sessrec__dropout dropout, float *d_begun) {
    FOR_EACH(i, rows * H) {
        const int64_t row = i / H;
        d_begun[i] = sessrec__begins(start, user_starts, row)
                         ? d_h[i] * (1 - begun[i] * begun[i]) * sessrec__kept(dropout, row, H, i % H)
                         : 0;
    }
}
static __global__ void sessrec__k_only_beginning(int64_t rows, int64_t Hu, const int32_t *start,
                                                 const int32_t *user_starts, float *d) {
    FOR_EACH(i, rows * Hu) if (!sessrec__begins(start, user_starts, i / Hu)) d[i] = 0;
}

// sum [columns] of the rows of x, in order; rows of x lie `stride` apart. sessrec__sum_rows
static __global__ void sessrec__k_sum_rows(int64_t rows, int64_t columns, const float *x, int64_t stride,
                                           float *sum) {
    FOR_EACH(j, columns) {
        float total = 0;
        for (int64_t i = 0; i < rows; ++i) total += x[i * stride + j];
        sum[j] = total;
    }
}

// ===========================================================================================================
// matrix products: sessrec__matmul and sessrec__matmul_transposed
// C [M,N] = A [M,K] B [K,N], added to C or to a bias. A block computes a tile of C, a thread ROWS_EACH x 4
// elements of it; each sum runs over k in order. A product with few tiles and a long k is cut along k, and
// the parts are added in their order afterwards.
// ===========================================================================================================

typedef struct sessrec__matrix {  // element (i,j) is at[i * row + j * column]
    const float *at;
    int64_t row, column;
} sessrec__matrix;

static sessrec__matrix sessrec__as_is(const float *at, int64_t row) {
    const sessrec__matrix m = {at, row, 1};
    return m;
}
static sessrec__matrix sessrec__turned(const float *at, int64_t row) {
    const sessrec__matrix m = {at, 1, row};
    return m;
}

typedef struct sessrec__product {
    int32_t M, N, K, depth;  // depth: of one part
    sessrec__matrix A, B;
    const float *bias;       // [N], NULL: none
    float *C;
    int64_t c_row;
    int32_t add;
    float *partial;          // [parts,M,N], NULL: a single part
} sessrec__product;

static __device__ float sessrec__product_start(const sessrec__product &p, int64_t i, int64_t j) {
    return p.add ? p.C[i * p.c_row + j] : p.bias ? p.bias[j] : 0;
}

static __global__ void sessrec__k_product(sessrec__product p) {
    __shared__ float a[TILE_K][TILE_M + 1], b[TILE_K][TILE_N + 1];
    const int32_t t = (int32_t)threadIdx.x, ti = t / 16, tj = t % 16;
    const int64_t i0 = (int64_t)blockIdx.y * TILE_M, j0 = (int64_t)blockIdx.x * TILE_N,
                  begin = (int64_t)blockIdx.z * p.depth, end = begin + p.depth < p.K ? begin + p.depth : p.K;
    float sum[ROWS_EACH][4];
    for (int32_t r = 0; r < ROWS_EACH; ++r)
        for (int32_t q = 0; q < 4; ++q) sum[r][q] = 0;
    for (int64_t k0 = begin; k0 < end; k0 += TILE_K) {
        // neighbors in memory go to neighboring threads
        for (int32_t e = t; e < TILE_M * TILE_K; e += THREADS) {
            const int32_t i = p.A.column == 1 ? e / TILE_K : e % TILE_M,
                          k = p.A.column == 1 ? e % TILE_K : e / TILE_M;
            a[k][i] = i0 + i < p.M && k0 + k < end ? p.A.at[(i0 + i) * p.A.row + (k0 + k) * p.A.column] : 0;
        }
        for (int32_t e = t; e < TILE_N * TILE_K; e += THREADS) {
            const int32_t j = p.B.column == 1 ? e % TILE_N : e / TILE_K,
                          k = p.B.column == 1 ? e / TILE_N : e % TILE_K;
            b[k][j] = j0 + j < p.N && k0 + k < end ? p.B.at[(k0 + k) * p.B.row + (j0 + j) * p.B.column] : 0;
        }
        __syncthreads();
        for (int32_t k = 0; k < TILE_K; ++k)
            for (int32_t r = 0; r < ROWS_EACH; ++r)
                for (int32_t q = 0; q < 4; ++q)
                    sum[r][q] = fmaf(a[k][ti + THREADS / 16 * r], b[k][tj + 16 * q], sum[r][q]);
        __syncthreads();
    }
    for (int32_t r = 0; r < ROWS_EACH; ++r)
        for (int32_t q = 0; q < 4; ++q) {
            const int64_t i = i0 + ti + THREADS / 16 * r, j = j0 + tj + 16 * q;
            if (i >= p.M || j >= p.N) continue;
            if (p.partial) p.partial[((int64_t)blockIdx.z * p.M + i) * p.N + j] = sum[r][q];
            else p.C[i * p.c_row + j] = sessrec__product_start(p, i, j) + sum[r][q];
        }
}

static __global__ void sessrec__k_product_parts(sessrec__product p, int32_t parts) {
    const int64_t size = (int64_t)p.M * p.N;
    FOR_EACH(e, size) {
        const int64_t i = e / p.N, j = e % p.N;
        float sum = sessrec__product_start(p, i, j);
        for (int64_t part = 0; part < parts; ++part) sum += p.partial[part * size + e];
        p.C[i * p.c_row + j] = sum;
    }
}

static void sessrec__multiply_add(sessrec__cuda *cu, sessrec__product p) {
    const int64_t tiles_n = (p.N + TILE_N - 1) / TILE_N, tiles_m = (p.M + TILE_M - 1) / TILE_M,
                  size = (int64_t)p.M * p.N;
    int64_t parts = 128 / (tiles_n * tiles_m);  // as many as fill the GPU, none shorter than 128
    if (parts > p.K / 128) parts = p.K / 128;
    if (parts * size > (int64_t)cu->partial_count) parts = (int64_t)cu->partial_count / size;
    if (parts < 1) parts = 1;
    p.depth = (int32_t)((p.K + parts - 1) / parts + TILE_K - 1) / TILE_K * TILE_K;
    parts = p.depth ? (p.K + p.depth - 1) / p.depth : 1;
    p.partial = parts > 1 ? cu->partial : NULL;
    const dim3 grid((unsigned)tiles_n, (unsigned)tiles_m, (unsigned)parts);
    LAUNCH(cu, sessrec__k_product, grid, THREADS, p);
    if (parts > 1) LAUNCH(cu, sessrec__k_product_parts, sessrec__blocks(size), THREADS, p, (int32_t)parts);
}

// C = A B + bias
static void sessrec__multiply(sessrec__cuda *cu, int32_t M, int32_t N, int32_t K, sessrec__matrix A,
                              sessrec__matrix B, const float *bias, float *C, int64_t c_row) {
    const sessrec__product p = {M, N, K, 0, A, B, bias, C, c_row, 0, NULL};
    sessrec__multiply_add(cu, p);
}
// C += A B
static void sessrec__multiply_onto(sessrec__cuda *cu, int32_t M, int32_t N, int32_t K, sessrec__matrix A,
                                   sessrec__matrix B, float *C, int64_t c_row) {
    const sessrec__product p = {M, N, K, 0, A, B, NULL, C, c_row, 1, NULL};
    sessrec__multiply_add(cu, p);
}

// ===========================================================================================================
// the losses, one block a row: >>losses
// No row is copied: activations are computed anew in each walk over the row, which costs less than memory for
// them would.
// ===========================================================================================================

// Sum or largest of a value of each thread, for all of them.
static __device__ float sessrec__join(float value, int largest) {
    __shared__ float part[THREADS];
    const unsigned t = threadIdx.x;
    part[t] = value;
    __syncthreads();
    for (unsigned width = THREADS / 2; width; width /= 2) {
        if (t < width) part[t] = largest ? fmaxf(part[t], part[t + width]) : part[t] + part[t + width];
        __syncthreads();
    }
    value = part[0];
    __syncthreads();
    return value;
}
static __device__ float sessrec__total(float value) {
    return sessrec__join(value, 0);
}
static __device__ float sessrec__largest(float value) {
    return sessrec__join(value, 1);
}

typedef struct sessrec__loss_task {
    sessrec_loss_kind kind;
    sessrec_activation activation;
    float a, b, bpreg, logq, smoothing, beta, scale;  // scale: 1 / batch_size
    int32_t with_diagonal, skip_own_target, hardest, columns;
    const int32_t *item;
    const float *log_proposal;
    float *S;         // [B,C] scores in, gradients out
    float *row_loss;  // [B]
} sessrec__loss_task;

typedef struct sessrec__loss_line {
    const sessrec__loss_task *task;
    float *s;
    int32_t target;
    float y_t;
    int32_t others;  // negatives that count
} sessrec__loss_line;

// Every thread walks over the columns that are its own.
#define FOR_COLUMNS(j, line) for (int32_t j = (int32_t)threadIdx.x; j < (line).task->columns; j += THREADS)
#define FOR_NEGATIVES(j, line) FOR_COLUMNS(j, line) if (sessrec__is_negative(line, j))

static __device__ int sessrec__is_negative(const sessrec__loss_line &line, int32_t j) {
    const sessrec__loss_task *task = line.task;
    return j != line.target && !(task->skip_own_target && task->item[j] == task->item[line.target]) &&
           !(line.s[j] == -INFINITY);  // left out by sessrec__keep_hardest
}

// y = f(s): sessrec__activate
static __device__ float sessrec__activated(const sessrec__loss_task *task, float s) {
    switch (task->activation) {
    case SESSREC_TANH: return tanhf(s);
    case SESSREC_RELU: return s >= 0 ? s : 0 * s;
    case SESSREC_LEAKY: return s >= 0 ? s : task->a * s;
    case SESSREC_ELU: return s >= 0 ? s : task->a * (expf(s) - 1);
    case SESSREC_SELU: return task->b * (s >= 0 ? s : task->a * (expf(s) - 1));
    default: return s;
    }
}

// f'(s): sessrec__activate_backward
static __device__ float sessrec__slope(const sessrec__loss_task *task, float s) {
    const float y = sessrec__activated(task, s);
    switch (task->activation) {
    case SESSREC_TANH: return 1 - y * y;
    case SESSREC_RELU: return s > 0;
    case SESSREC_LEAKY: return s >= 0 ? 1 : task->a;
    case SESSREC_ELU: return s >= 0 ? 1 : y + task->a;
    case SESSREC_SELU: return s >= 0 ? task->b : y + task->a * task->b;
    default: return 1;
    }
}

// What the loss sees of column j.
static __device__ float sessrec__seen(const sessrec__loss_line &line, int32_t j) {
    const float y = sessrec__activated(line.task, line.s[j]);
    return line.task->kind == SESSREC_LOSS_XE && line.task->log_proposal
               ? fmaf(-line.task->logq, line.task->log_proposal[j], y)
               : y;
}

static __device__ void sessrec__put(const sessrec__loss_line &line, int32_t j, float d) {
    line.s[j] = d * line.task->scale * sessrec__slope(line.task, line.s[j]);
}

// Columns that were left out have no gradient, the target gets its own.
static __device__ void sessrec__put_rest(const sessrec__loss_line &line, float d_target) {
    FOR_COLUMNS(j, line) {
        if (j == line.target) sessrec__put(line, j, d_target);
        else if (!sessrec__is_negative(line, j)) line.s[j] = 0;
    }
}

static __device__ float sessrec__row_xe(const sessrec__loss_line &line) {
    const float e = line.task->smoothing, others = (float)line.others;
    float most = line.y_t, total = 0, sum = 0;
    FOR_NEGATIVES(j, line) most = fmaxf(most, sessrec__seen(line, j));
    most = sessrec__largest(most);
    FOR_NEGATIVES(j, line) {
        const float y = sessrec__seen(line, j);
        total += expf(y - most);
        sum += y;
    }
    const float own = expf(line.y_t - most);
    total = sessrec__total(total) + own;
    sum = sessrec__total(sum);
    const float log_total = most + (float)log((double)total), loss = log_total - line.y_t;
    FOR_NEGATIVES(j, line) sessrec__put(line, j, expf(sessrec__seen(line, j) - most) / total - e / others);
    sessrec__put_rest(line, own / total - (1 - e));
    return e > 0 ? (1 - e) * loss + e * (log_total - sum / others) : loss;
}

static __device__ float sessrec__row_bpr(const sessrec__loss_line &line) {
    const int diagonal = line.task->with_diagonal != 0;
    const float scale = diagonal ? 1 : 1 / (float)line.others;
    float loss = 0, push = 0;
    FOR_NEGATIVES(j, line) {
        const float d = sessrec__seen(line, j) - line.y_t;
        loss += sessrec__softplus(d);
        push += sessrec__sigmoid(d);
    }
    loss = sessrec__total(loss);
    push = sessrec__total(push);
    FOR_NEGATIVES(j, line) sessrec__put(line, j, scale * sessrec__sigmoid(sessrec__seen(line, j) - line.y_t));
    sessrec__put_rest(line, -scale * push);
    return (loss + (diagonal ? 0.693147181f : 0)) * scale;
}

// l = sg(y_j - y_t) + sg(y_j^2), its derivatives by the difference and by y_j: sessrec__top1_terms
typedef struct sessrec__top1 {
    float l, rank_slope, slope;
} sessrec__top1;
static __device__ sessrec__top1 sessrec__top1_of(const sessrec__loss_line &line, float y) {
    const float rank = sessrec__sigmoid(y - line.y_t), size = sessrec__sigmoid(y * y);
    const sessrec__top1 t = {rank + size, rank * (1 - rank), rank * (1 - rank) + 2 * y * size * (1 - size)};
    return t;
}

static __device__ float sessrec__row_top1(const sessrec__loss_line &line) {
    const int diagonal = line.task->with_diagonal != 0;
    const float scale = 1 / (float)(line.others + diagonal);
    float loss = 0, push = 0;
    FOR_NEGATIVES(j, line) {
        const sessrec__top1 t = sessrec__top1_of(line, sessrec__seen(line, j));
        loss += t.l;
        push += t.rank_slope;
    }
    loss = sessrec__total(loss);
    push = sessrec__total(push);
    FOR_NEGATIVES(j, line)
    sessrec__put(line, j, scale * sessrec__top1_of(line, sessrec__seen(line, j)).slope);
    sessrec__put_rest(line, -scale * push);
    return (loss + (diagonal ? 0.5f : 0)) * scale;
}

// The softmax over the negatives, w_j = exp(y_j - most) / total: sessrec__negative_softmax
static __device__ void sessrec__negatives(const sessrec__loss_line &line, float *most, float *total) {
    float value = -INFINITY;
    FOR_NEGATIVES(j, line) value = fmaxf(value, sessrec__seen(line, j));
    *most = sessrec__largest(value);
    value = 0;
    FOR_NEGATIVES(j, line) value += expf(sessrec__seen(line, j) - *most);
    *total = sessrec__total(value);
}

static __device__ float sessrec__row_top1_max(const sessrec__loss_line &line) {
    float most, total, loss = 0, push = 0;
    sessrec__negatives(line, &most, &total);
    FOR_NEGATIVES(j, line) {
        const float y = sessrec__seen(line, j), w = expf(y - most) / total;
        const sessrec__top1 t = sessrec__top1_of(line, y);
        loss += w * t.l;
        push += w * t.rank_slope;
    }
    loss = sessrec__total(loss);
    push = sessrec__total(push);
    FOR_NEGATIVES(j, line) {
        const float y = sessrec__seen(line, j), w = expf(y - most) / total;
        const sessrec__top1 t = sessrec__top1_of(line, y);
        sessrec__put(line, j, w * (t.l - loss + t.slope));
    }
    sessrec__put_rest(line, -push);
    return loss;
}

// log(w_j sg(y_t - y_j)) but for the divisor of w
static __device__ float sessrec__log_share(const sessrec__loss_line &line, float y) {
    return y - sessrec__softplus(y - line.y_t);
}

static __device__ float sessrec__row_bpr_max(const sessrec__loss_line &line) {
    const float bpreg = line.task->bpreg;
    float most, total, most_share = -INFINITY, shares = 0, pull = 0, R = 0;
    sessrec__negatives(line, &most, &total);
    FOR_NEGATIVES(j, line) most_share = fmaxf(most_share, sessrec__log_share(line, sessrec__seen(line, j)));
    most_share = sessrec__largest(most_share);
    FOR_NEGATIVES(j, line) {
        const float y = sessrec__seen(line, j), share = expf(sessrec__log_share(line, y) - most_share);
        shares += share;
        pull += share * sessrec__sigmoid(y - line.y_t);
        R += expf(y - most) / total * y * y;
    }
    shares = sessrec__total(shares);
    pull = sessrec__total(pull) / shares;
    R = sessrec__total(R);
    FOR_NEGATIVES(j, line) {
        const float y = sessrec__seen(line, j), w = expf(y - most) / total,
                    u = expf(sessrec__log_share(line, y) - most_share) / shares;
        sessrec__put(line, j, w - u * (1 - sessrec__sigmoid(y - line.y_t)) + bpreg * w * (y * y - R + 2 * y));
    }
    sessrec__put_rest(line, -pull);
    return most + (float)log((double)total) - (most_share + (float)log((double)shares)) + bpreg * R;
}

static __device__ float sessrec__row_gbce(const sessrec__loss_line &line) {
    const float scale = 1 / (float)(line.others + 1), beta = line.task->beta;
    float loss = 0;
    FOR_NEGATIVES(j, line) loss += sessrec__softplus(sessrec__seen(line, j));
    loss = sessrec__total(loss);
    FOR_NEGATIVES(j, line) sessrec__put(line, j, scale * sessrec__sigmoid(sessrec__seen(line, j)));
    sessrec__put_rest(line, -scale * beta * sessrec__sigmoid(-line.y_t));
    return (beta * sessrec__softplus(-line.y_t) + loss) * scale;
}

static __device__ int32_t sessrec__count_negatives(const sessrec__loss_line &line) {
    float count = 0;
    FOR_NEGATIVES(j, line) count += 1;  // below 2^24 in all, so exact
    return (int32_t)sessrec__total(count);
}

// sessrec__ordered
static __device__ uint32_t sessrec__ordered_bits(float x) {
    uint32_t bits;
    x += 0;
    memcpy(&bits, &x, sizeof bits);
    return x != x ? UINT32_MAX : bits >> 31 ? ~bits : bits | 1u << 31;
}

// Marks the negatives that score lower than number `hardest` of them by a score of -infinity: bit by bit, the
// largest bound that so many reach.
static __device__ void sessrec__mark_easy(const sessrec__loss_line &line) {
    uint32_t least = 0;
    for (uint32_t bit = 1u << 31; bit; bit >>= 1) {
        float reach = 0;
        FOR_NEGATIVES(j, line) reach += sessrec__ordered_bits(line.s[j]) >= (least | bit);
        if (sessrec__total(reach) >= (float)line.task->hardest) least |= bit;
    }
    FOR_NEGATIVES(j, line) if (sessrec__ordered_bits(line.s[j]) < least) line.s[j] = -INFINITY;
}

// sessrec__loss_by_kind
static __device__ float sessrec__row_loss(const sessrec__loss_line &line) {
    const int pairwise = line.task->kind == SESSREC_LOSS_TOP1 || line.task->kind == SESSREC_LOSS_BPR;
    if (line.others == 0 && !(pairwise && line.task->with_diagonal)) {
        sessrec__put_rest(line, 0);
        return 0;
    }
    switch (line.task->kind) {
    case SESSREC_LOSS_TOP1: return sessrec__row_top1(line);
    case SESSREC_LOSS_BPR: return sessrec__row_bpr(line);
    case SESSREC_LOSS_TOP1_MAX: return sessrec__row_top1_max(line);
    case SESSREC_LOSS_BPR_MAX: return sessrec__row_bpr_max(line);
    case SESSREC_LOSS_GBCE: return sessrec__row_gbce(line);
    default: return sessrec__row_xe(line);
    }
}

static __global__ void sessrec__k_loss(sessrec__loss_task task) {
    sessrec__loss_line line = {&task, task.S + (int64_t)blockIdx.x * task.columns, (int32_t)blockIdx.x, 0, 0};
    line.y_t = sessrec__seen(line, line.target);
    line.others = sessrec__count_negatives(line);  // and after it every thread has y_t
    if (task.hardest > 0 && line.others > task.hardest) {
        sessrec__mark_easy(line);
        line.others = sessrec__count_negatives(line);
    }
    const float loss = sessrec__row_loss(line);
    if (threadIdx.x == 0) task.row_loss[blockIdx.x] = loss;
}

// The sum of the row losses, in one block, which ends the record.
static __global__ void sessrec__k_loss_sum(int32_t rows, const float *row_loss, const sessrec__record *record,
                                           sessrec__status *status) {
    __shared__ double part[THREADS];
    double value = 0;
    for (int32_t i = (int32_t)threadIdx.x; i < rows; i += THREADS) value += (double)row_loss[i];
    part[threadIdx.x] = value;
    __syncthreads();
    if (threadIdx.x) return;
    for (int32_t i = 1; i < THREADS; ++i) value += part[i];
    status->sum[status->next++] = value;
    if (!(value - value == 0 && value <= record->most)) status->diverged = 1;
}

// ===========================================================================================================
// rows that occur twice (the processor scores and differentiates each item once: sessrec__plan_columns)
// Keys (item, place) are sorted, so the uses of an item come to stand side by side, in the order of their
// places. Batcher's bitonic network is the same list of comparisons whatever the keys. Keys differ, so there
// is one sorted order.
// ===========================================================================================================

static __device__ void sessrec__order(uint64_t *key, int64_t i, int64_t j, int up) {
    const uint64_t a = key[i], b = key[j];
    if ((a > b) == up) key[i] = b, key[j] = a;
}

// The steps of sizes from .. to whose partners lie in one chunk of SORT_CHUNK keys, a block for each chunk.
static __global__ void sessrec__k_sort_chunk(uint64_t *keys, int32_t count, int64_t from, int64_t to) {
    __shared__ uint64_t key[SORT_CHUNK];
    const int32_t n = count < SORT_CHUNK ? count : SORT_CHUNK, t0 = (int32_t)threadIdx.x;
    const int64_t base = (int64_t)blockIdx.x * SORT_CHUNK;
    for (int32_t t = t0; t < n; t += THREADS) key[t] = keys[base + t];
    __syncthreads();
    for (int64_t size = from; size <= to; size *= 2)
        for (int32_t stride = (int32_t)(size < n ? size : n) / 2; stride; stride /= 2) {
            for (int32_t t = t0; t < n / 2; t += THREADS) {
                const int32_t i = 2 * t - (t & (stride - 1));
                sessrec__order(key, i, i + stride, ((base + i) & size) == 0);
            }
            __syncthreads();
        }
    for (int32_t t = t0; t < n; t += THREADS) keys[base + t] = key[t];
}

// One step whose partners lie farther apart.
static __global__ void sessrec__k_sort_far(uint64_t *keys, int32_t count, int64_t size, int64_t stride) {
    FOR_EACH(t, count / 2) {
        const int64_t i = 2 * t - (t & (stride - 1));
        sessrec__order(keys, i, i + stride, (i & size) == 0);
    }
}

// The power of two that so many keys are filled up to.
static int32_t sessrec__sorted_size(int32_t count) {
    int32_t size = 2;
    while (size < count) size *= 2;
    return size;
}

static void sessrec__sort(sessrec__cuda *cu, uint64_t *keys, int32_t count) {
    const unsigned chunks = (unsigned)(count > SORT_CHUNK ? count / SORT_CHUNK : 1);
    LAUNCH(cu, sessrec__k_sort_chunk, chunks, THREADS, keys, count, (int64_t)2,
           (int64_t)(count < SORT_CHUNK ? count : SORT_CHUNK));
    for (int64_t size = 2 * SORT_CHUNK; size <= count; size *= 2) {
        for (int64_t stride = size / 2; stride >= SORT_CHUNK; stride /= 2)
            LAUNCH(cu, sessrec__k_sort_far, sessrec__blocks(count / 2), THREADS, keys, count, size, stride);
        LAUNCH(cu, sessrec__k_sort_chunk, chunks, THREADS, keys, count, size, size);
    }
}

// One block a use, in sorted order: the first use of an item takes in the gradients of the others, whose id
// becomes -1. Of By only the first `columns` uses have a gradient.
static __global__ void sessrec__k_merge(int32_t count, int32_t columns, int64_t width, const uint64_t *key,
                                        int32_t *id, float *gradient, float *bias) {
    const int32_t at = (int32_t)blockIdx.x;
    const uint64_t item = key[at] >> 32;
    const int64_t first = (int64_t)(key[at] & 0xffffffffu);
    if (at > 0 && key[at - 1] >> 32 == item) {
        if (threadIdx.x == 0) id[first] = -1;
        return;
    }
    for (int32_t next = at + 1; next < count && key[next] >> 32 == item; ++next) {
        const int64_t use = (int64_t)(key[next] & 0xffffffffu);
        for (int64_t j = threadIdx.x; j < width; j += blockDim.x)
            gradient[first * width + j] += gradient[use * width + j];
        if (bias && use < columns && threadIdx.x == 0) bias[first] += bias[use];
    }
}

// ===========================================================================================================
// the update: >>optimizers, sessrec__update_rows and sessrec__cap_rows
// ===========================================================================================================

typedef struct sessrec__update_task {
    int64_t rows, columns;
    const int32_t *id;  // of the rows, -1: not this one; NULL: row i is row i
    const sessrec__status *status;  // diverged: weights keep their values
    sessrec_optimizer_config optimizer;
    float *weights, *gradient;
    sessrec_optimizer_state state;
} sessrec__update_task;

static __device__ int64_t sessrec__row_of(const sessrec__update_task &task, int64_t i) {
    return task.id ? task.id[i] : i;
}

static __global__ void sessrec__k_count_steps(sessrec__update_task task) {
    if (task.status->diverged) return;
    FOR_EACH(i, task.rows) {
        const int64_t row = sessrec__row_of(task, i);
        if (row >= 0) task.state.steps[row]++;
    }
}

static __global__ void sessrec__k_update(sessrec__update_task task) {
    const sessrec_optimizer_config &o = task.optimizer;
    if (task.status->diverged) return;
    FOR_EACH(i, task.rows * task.columns) {
        const int64_t row = sessrec__row_of(task, i / task.columns),
                      at = row * task.columns + i % task.columns;
        if (row < 0) continue;
        float w = task.weights[at], g = fmaf(o.l2, w, task.gradient[i]), d = g;
        if (o.kind != SESSREC_SGD) {
            float a = task.state.first[at];
            if (o.kind == SESSREC_ADAGRAD) a = fmaf(g, g, a);
            else if (o.kind == SESSREC_ADAM) a = fmaf(o.beta1, a, (1 - o.beta1) * g);
            else a = fmaf(o.decay, a, (1 - o.decay) * (g * g));
            task.state.first[at] = a;
            d = g / sqrtf(a + o.epsilon);
            if (o.kind == SESSREC_ADAM) {
                const double t = (double)task.state.steps[row];
                const float v = fmaf(o.beta2, task.state.second[at], (1 - o.beta2) * (g * g));
                const float correct1 = (float)(1 / (1 - pow((double)o.beta1, t))),
                            correct2 = (float)(1 / (1 - pow((double)o.beta2, t)));
                task.state.second[at] = v;
                d = a * correct1 / (sqrtf(v * correct2) + o.epsilon);
            } else if (o.kind == SESSREC_ADADELTA) {
                const float past = task.state.second[at];
                d = g * sqrtf((past + o.epsilon) / (a + o.epsilon));
                task.state.second[at] = fmaf(o.decay, past, (1 - o.decay) * (d * d));
            }
        }
        if (o.momentum > 0) {
            const float v = fmaf(o.momentum, task.state.velocity[at], -o.learning_rate * d);
            task.state.velocity[at] = v;
            w += v;
        } else {
            w = fmaf(-o.learning_rate, d, w);
        }
        task.weights[at] = w;
    }
}

// NORM_PARTS blocks each sum the squares of their share.
static __global__ void sessrec__k_squares(sessrec__update_task task, double *norm) {
    __shared__ double part[THREADS];
    double sum = 0;
    FOR_EACH(i, task.rows * task.columns) {
        const double g = (double)task.gradient[i];
        if (sessrec__row_of(task, i / task.columns) >= 0) sum += g * g;
    }
    part[threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.x) return;
    for (int32_t t = 1; t < THREADS; ++t) sum += part[t];
    norm[blockIdx.x] = sum;
}
static __global__ void sessrec__k_cap(sessrec__update_task task, const double *norm) {
    double squares = 0;
    for (int32_t p = 0; p < NORM_PARTS; ++p) squares += norm[p];
    const double length = sqrt(squares), cap = (double)task.optimizer.gradient_cap;
    if (!(length > cap)) return;
    FOR_EACH(i, task.rows * task.columns) task.gradient[i] *= (float)(cap / length);
}

// ===========================================================================================================
// memory
// ===========================================================================================================

// The next array of the block; with block == NULL only its size counts. No overflow: widths are at most 2^13
// and rows below 2^31, so that no array is larger than 2^48 bytes, and there are about a hundred.
static void *sessrec__room(sessrec__cuda *cu, uint64_t count, uint64_t size) {
    void *at = cu->block ? cu->block + cu->block_bytes : NULL;
    cu->block_bytes += (count * size + 255) / 256 * 256;
    return at;
}
static float *sessrec__floats(sessrec__cuda *cu, int64_t rows, int64_t columns) {
    return (float *)sessrec__room(cu, (uint64_t)rows * (uint64_t)columns, sizeof(float));
}

static void sessrec__room_tensor(sessrec__cuda *cu, sessrec__tensor *tensor) {
    const sessrec_device_tensor *h = &tensor->host;
    tensor->weights = sessrec__floats(cu, h->rows, h->columns);
    tensor->gradient = h->gradient ? sessrec__floats(cu, h->rows, h->columns) : NULL;
    tensor->state.first = h->state.first ? sessrec__floats(cu, h->rows, h->columns) : NULL;
    tensor->state.second = h->state.second ? sessrec__floats(cu, h->rows, h->columns) : NULL;
    tensor->state.velocity = h->state.velocity ? sessrec__floats(cu, h->rows, h->columns) : NULL;
    tensor->state.steps =
        h->state.steps ? (int32_t *)sessrec__room(cu, (uint64_t)h->rows, sizeof(int32_t)) : NULL;
}

static void sessrec__room_rows(sessrec__cuda *cu, sessrec__rows *rows, int32_t most, int32_t width) {
    rows->id = (int32_t *)sessrec__room(cu, (uint64_t)most, sizeof(int32_t));
    rows->key = (uint64_t *)sessrec__room(cu, (uint64_t)sessrec__sorted_size(most), sizeof(uint64_t));
    rows->gradient = sessrec__floats(cu, most, width);
}

static void sessrec__room_record(sessrec__cuda *cu) {
    const int64_t B = cu->config.batch_size;
    cu->record_bytes = (sizeof(sessrec__record) + (uint64_t)(5 * B) * sizeof(int32_t) + 7) / 8 * 8;
    cu->schedule = (char *)sessrec__room(cu, SESSREC_DEVICE_AHEAD, cu->record_bytes);
    cu->record = (sessrec__record *)sessrec__room(cu, 1, cu->record_bytes);
    cu->status = (sessrec__status *)sessrec__room(cu, 1, sizeof *cu->status);
    if (cu->config.negatives) {
        cu->negative = (int32_t *)sessrec__room(cu, (uint64_t)cu->config.negatives, sizeof(int32_t));
        cu->draw_sum = (uint64_t *)sessrec__room(cu, (uint64_t)cu->info.item_count, sizeof(uint64_t));
        cu->draw_guide =
            (int32_t *)sessrec__room(cu, 2 * (uint64_t)cu->info.item_count + 17, sizeof(int32_t));
    }
    if (!cu->record) return;
    cu->in = (const int32_t *)(cu->record + 1);
    cu->target = cu->in + B;
    cu->start = cu->target + B;
    cu->user_starts = cu->info.user_hidden ? cu->start + B : NULL;
    cu->previous = cu->start + 2 * B;
}

static void sessrec__room_level(sessrec__cuda *cu, sessrec__level *level, int users) {
    const int64_t B = cu->config.batch_size, H = level->cell.hidden;
    level->state = sessrec__floats(cu, B, H);
    level->h = sessrec__floats(cu, B, H);
    level->tape = sessrec__floats(cu, B, 4 * H);
    level->d_gates = sessrec__floats(cu, B, 4 * H);
    level->d_out = sessrec__floats(cu, B, H);
    level->d_rh = sessrec__floats(cu, B, H);
    level->d_h = users ? sessrec__floats(cu, B, H) : NULL;
    level->begun = users ? sessrec__floats(cu, B, H) : NULL;
    level->d_begun = users ? sessrec__floats(cu, B, H) : NULL;
}

static int32_t sessrec__width(const sessrec__cuda *cu) {
    return cu->info.hidden[cu->info.layer_count - 1];
}

static void sessrec__room_all(sessrec__cuda *cu) {
    const sessrec_config *c = &cu->config;
    const int32_t B = c->batch_size, C = B + c->negatives, L = sessrec__width(cu), Hu = c->user_hidden,
                  tied = c->embedding == SESSREC_EMBEDDING_TIED;
    cu->block_bytes = 0;
    sessrec__room_record(cu);
    for (int32_t t = 0; t < cu->tensors; ++t) sessrec__room_tensor(cu, &cu->tensor[t]);
    for (int32_t l = 0; l < c->layer_count; ++l) sessrec__room_level(cu, &cu->level[l], Hu > 0);
    if (Hu) {
        sessrec__room_level(cu, &cu->user, 0);
        cu->user_s = sessrec__floats(cu, B, L);
        cu->user_new = sessrec__floats(cu, B, Hu);
        cu->user_dc = sessrec__floats(cu, B, Hu);
    }
    sessrec__room_rows(cu, &cu->output, C + (tied ? B : 0), L);
    cu->output.bias = sessrec__floats(cu, C, 1);
    if (!tied) sessrec__room_rows(cu, &cu->input, B, cu->inputs->host.columns);
    cu->item = (int32_t *)sessrec__room(cu, (uint64_t)C, sizeof(int32_t));
    cu->log_support = cu->host.log_support ? sessrec__floats(cu, cu->info.item_count, 1) : NULL;
    cu->log_proposal = cu->host.log_support ? sessrec__floats(cu, C, 1) : NULL;
    cu->Y = sessrec__floats(cu, C, L);
    cu->bias = sessrec__floats(cu, C, 1);
    cu->S = sessrec__floats(cu, B, C);
    cu->x = sessrec__floats(cu, B, cu->info.embedding_width);
    cu->row_loss = sessrec__floats(cu, B, 1);
    cu->norm = (double *)sessrec__room(cu, NORM_PARTS, sizeof(double));
    cu->partial_count = (uint64_t)B * (uint64_t)L * 16;
    cu->partial = sessrec__floats(cu, B, (int64_t)L * 16);
}

// ===========================================================================================================
// a step, kernel by kernel; the names are those of >>trainer
// ===========================================================================================================

static sessrec__dropout sessrec__dropped(const sessrec__cuda *cu, int stream, float p) {
    const sessrec__dropout d = {cu->record, (uint64_t)stream, p, cu->config.batch_size};
    return d;
}
static sessrec__dropout sessrec__no_dropout(const sessrec__cuda *cu) {
    return sessrec__dropped(cu, 0, 0);
}

// From the input part of the gates, in the tape, to the new states.
static void sessrec__recurrent(sessrec__cuda *cu, sessrec__level *level, sessrec__dropout dropout,
                               float *out) {
    const int32_t H = level->cell.hidden, rows = cu->rows;
    const sessrec__cell *cell = &level->cell;
    const sessrec__matrix h = sessrec__as_is(level->h, H), U = sessrec__as_is(cell->U->weights, 3 * H),
                          Un = sessrec__as_is(cell->U->weights + 2 * H, 3 * H);
    sessrec__multiply_onto(cu, rows, 2 * H, H, h, U, level->tape, 4 * H);
    if (cell->c)
        sessrec__multiply(cu, rows, H, H, h, Un, cell->c->weights + 2 * H, level->tape + 3 * H, 4 * H);
    LAUNCH(cu, sessrec__k_gates, sessrec__blocks((int64_t)rows * H), THREADS, rows, H,
           cell->c ? cell->c->weights : NULL, level->h, level->tape);
    if (!cell->c)
        sessrec__multiply_onto(cu, rows, H, H, sessrec__as_is(level->tape + 3 * H, 4 * H), Un,
                               level->tape + 2 * H, 4 * H);
    LAUNCH(cu, sessrec__k_candidate, sessrec__blocks((int64_t)rows * H), THREADS, rows, H, level->h,
           level->tape, dropout, out);
}

// x [rows,D] W + b
static void sessrec__input_gates(sessrec__cuda *cu, const sessrec__level *level, const float *x) {
    const int32_t H = level->cell.hidden, D = level->cell.input;
    sessrec__multiply(cu, cu->rows, 3 * H, D, sessrec__as_is(x, D),
                      sessrec__as_is(level->cell.W->weights, 3 * H), level->cell.b->weights, level->tape,
                      4 * H);
}

static void sessrec__forward_users(sessrec__cuda *cu) {
    const int32_t Hu = cu->config.user_hidden, L = sessrec__width(cu), rows = cu->rows;
    const sessrec__level *last = &cu->level[cu->config.layer_count - 1];
    LAUNCH(cu, sessrec__k_users_enter, sessrec__blocks((int64_t)rows * L), THREADS, rows, L, cu->previous,
           last->state, cu->user_s);
    LAUNCH(cu, sessrec__k_users_enter, sessrec__blocks((int64_t)rows * Hu), THREADS, rows, Hu, cu->previous,
           cu->user.state, cu->user.h);
    sessrec__input_gates(cu, &cu->user, cu->user_s);
    sessrec__recurrent(cu, &cu->user,
                       sessrec__dropped(cu, SESSREC__STREAM_DROPOUT_USER, cu->config.dropout_user),
                       cu->user_new);
    LAUNCH(cu, sessrec__k_users_leave, sessrec__blocks((int64_t)rows * Hu), THREADS, rows, Hu, cu->start,
           cu->user_starts, cu->user.h, cu->user_new, cu->user.state);
}

// How many gates of layer 0 the user's state reaches, times H.
static int32_t sessrec__context_columns(const sessrec__cuda *cu) {
    return (cu->config.user_mode == SESSREC_USER_ALL ? 3 : 2) * cu->config.hidden[0];
}

static void sessrec__forward_level(sessrec__cuda *cu, int32_t l, const float *x) {
    const sessrec_config *c = &cu->config;
    const int32_t H = c->hidden[l], rows = cu->rows, Hu = c->user_hidden;
    sessrec__level *level = &cu->level[l];
    const unsigned blocks = sessrec__blocks((int64_t)rows * H);
    if (Hu)
        sessrec__multiply(cu, rows, H, Hu, sessrec__as_is(cu->user_new, Hu),
                          sessrec__as_is(level->init_W->weights, H), level->init_b->weights, level->begun, H);
    LAUNCH(cu, sessrec__k_states, blocks, THREADS, rows, H, cu->start, cu->user_starts, cu->previous,
           level->state, level->begun,
           sessrec__dropped(cu, SESSREC__STREAM_DROPOUT_INIT + l, c->dropout_init), level->h);
    if (x) sessrec__input_gates(cu, level, x);
    else
        LAUNCH(cu, sessrec__k_onehot, sessrec__blocks((int64_t)rows * 3 * H), THREADS, rows, H,
               level->cell.W->weights, level->cell.b->weights, cu->in,
               sessrec__dropped(cu, SESSREC__STREAM_DROPOUT_INPUT, c->dropout_input), level->tape);
    if (l == 0 && cu->context)
        sessrec__multiply_onto(cu, rows, sessrec__context_columns(cu), Hu, sessrec__as_is(cu->user.state, Hu),
                               sessrec__as_is(cu->context->weights, 3 * H), level->tape, 4 * H);
    sessrec__recurrent(cu, level,
                       sessrec__dropped(cu, SESSREC__STREAM_DROPOUT_HIDDEN + l, c->dropout_hidden),
                       level->state);
}

static void sessrec__begin(sessrec__cuda *cu) {
    const int tied = cu->config.embedding == SESSREC_EMBEDDING_TIED;
    cu->output.count = cu->columns + (tied ? cu->rows : 0);
    cu->input.count = tied ? 0 : cu->rows;
    const int32_t output_keys = sessrec__sorted_size(cu->output.count),
                  input_keys = tied ? 0 : sessrec__sorted_size(cu->input.count);
    const sessrec__begin_step b = {
        cu->record, cu->draws,        cu->rows,     cu->columns,      tied,           output_keys,
        input_keys, cu->config.alpha, cu->target,   cu->negative,     cu->in,         cu->log_support,
        cu->item,   cu->output.id,    cu->input.id, cu->log_proposal, cu->output.key, cu->input.key};
    const int64_t words = (int64_t)(cu->record_bytes / 4);
    LAUNCH(cu, sessrec__k_next, sessrec__blocks(words), THREADS, words,
           (const uint32_t *)(const void *)cu->schedule, cu->status, (uint32_t *)(void *)cu->record);
    LAUNCH(cu, sessrec__k_begin, sessrec__blocks(output_keys > input_keys ? output_keys : input_keys),
           THREADS, b);
    sessrec__sort(cu, cu->output.key, output_keys);
    if (!tied) sessrec__sort(cu, cu->input.key, input_keys);
}

// sessrec__forward_chunk and sessrec__score_part
static void sessrec__forward(sessrec__cuda *cu) {
    const sessrec_config *c = &cu->config;
    const int32_t L = sessrec__width(cu), D = cu->info.embedding_width, rows = cu->rows, C = cu->columns;
    const float *x = NULL, *table = cu->inputs ? cu->inputs->weights : cu->Wy->weights;
    sessrec__begin(cu);
    if (D) {
        LAUNCH(cu, sessrec__k_gather, sessrec__blocks((int64_t)rows * D), THREADS, rows, D, table, cu->in,
               sessrec__dropped(cu, SESSREC__STREAM_DROPOUT_INPUT, c->dropout_input), cu->x);
        x = cu->x;
    }
    if (c->user_hidden) sessrec__forward_users(cu);
    for (int32_t l = 0; l < c->layer_count; ++l) {
        sessrec__forward_level(cu, l, x);
        x = cu->level[l].state;
    }
    LAUNCH(cu, sessrec__k_gather, sessrec__blocks((int64_t)C * L), THREADS, C, L, cu->Wy->weights, cu->item,
           sessrec__no_dropout(cu), cu->Y);
    LAUNCH(cu, sessrec__k_gather, sessrec__blocks(C), THREADS, C, 1, cu->By->weights, cu->item,
           sessrec__no_dropout(cu), cu->bias);
    sessrec__multiply(cu, rows, C, L, sessrec__as_is(x, L), sessrec__turned(cu->Y, L), cu->bias, cu->S, C);
}

// sessrec__loss_chunk
static void sessrec__losses(sessrec__cuda *cu) {
    const sessrec_loss_config *l = &cu->config.loss;
    const sessrec__loss_task task = {l->kind,
                                     l->activation,
                                     l->activation_a,
                                     l->activation_b,
                                     l->bpreg,
                                     l->logq,
                                     l->smoothing,
                                     1 - l->calibration * (1 - l->sampling_rate),  // a trainer sets the rate
                                     1 / (float)cu->config.batch_size,
                                     l->with_diagonal,
                                     l->skip_own_target,
                                     l->hardest,
                                     cu->columns,
                                     cu->item,
                                     cu->log_proposal,
                                     cu->S,
                                     cu->row_loss};
    LAUNCH(cu, sessrec__k_loss, (unsigned)cu->rows, THREADS, task);
}

// sessrec__gru_backward_rows; d_x and d_h may be NULL
static void sessrec__backward_level(sessrec__cuda *cu, sessrec__level *level, sessrec__dropout dropout,
                                    float *d_out, float *d_x, float *d_h) {
    const int32_t H = level->cell.hidden, D = level->cell.input, rows = cu->rows;
    const unsigned blocks = sessrec__blocks((int64_t)rows * H);
    const int after = level->cell.c != NULL;
    const float *W = level->cell.W->weights, *U = level->cell.U->weights;
    LAUNCH(cu, sessrec__k_gates_backward, blocks, THREADS, rows, H, after, level->h, level->tape, dropout,
           d_out, level->d_gates);
    if (!after) {
        sessrec__multiply(cu, rows, H, H, sessrec__as_is(level->d_gates + 2 * H, 4 * H),
                          sessrec__turned(U + 2 * H, 3 * H), NULL, level->d_rh, H);
        LAUNCH(cu, sessrec__k_reset_backward, blocks, THREADS, rows, H, level->h, level->tape, level->d_rh,
               level->d_gates);
    }
    if (d_x)
        sessrec__multiply(cu, rows, D, 3 * H, sessrec__as_is(level->d_gates, 4 * H),
                          sessrec__turned(W, 3 * H), NULL, d_x, D);
    if (!d_h) return;
    LAUNCH(cu, sessrec__k_state_backward, blocks, THREADS, rows, H, level->tape, d_out,
           after ? NULL : level->d_rh, d_h);
    sessrec__multiply_onto(cu, rows, H, 2 * H, sessrec__as_is(level->d_gates, 4 * H),
                           sessrec__turned(U, 3 * H), d_h, H);
    if (after)
        sessrec__multiply_onto(cu, rows, H, H, sessrec__as_is(level->d_gates + 3 * H, 4 * H),
                               sessrec__turned(U + 2 * H, 3 * H), d_h, H);
}

static void sessrec__sum_rows(sessrec__cuda *cu, int32_t rows, int32_t columns, const float *x,
                              int64_t stride, float *sum) {
    LAUNCH(cu, sessrec__k_sum_rows, sessrec__blocks(columns), THREADS, rows, columns, x, stride, sum);
}

// sessrec__gru_gradient_W, _U and _bias; x is NULL with one-hot input
static void sessrec__gradient_cell(sessrec__cuda *cu, const sessrec__level *level, const float *x) {
    const int32_t H = level->cell.hidden, D = level->cell.input, rows = cu->rows;
    const sessrec__cell *cell = &level->cell;
    const float *d_gates = level->d_gates;
    const sessrec__matrix h = sessrec__turned(level->h, H),
                          extra = sessrec__turned(level->tape + 3 * H, 4 * H);
    if (x)
        sessrec__multiply(cu, D, 3 * H, rows, sessrec__turned(x, D), sessrec__as_is(d_gates, 4 * H), NULL,
                          cell->W->gradient, 3 * H);
    sessrec__multiply(cu, H, 2 * H, rows, h, sessrec__as_is(d_gates, 4 * H), NULL, cell->U->gradient, 3 * H);
    sessrec__multiply(cu, H, H, rows, cell->c ? h : extra,
                      sessrec__as_is(d_gates + (cell->c ? 3 : 2) * H, 4 * H), NULL, cell->U->gradient + 2 * H,
                      3 * H);
    sessrec__sum_rows(cu, rows, 3 * H, d_gates, 4 * H, cell->b->gradient);
    if (!cell->c) return;
    sessrec__sum_rows(cu, rows, 2 * H, d_gates, 4 * H, cell->c->gradient);
    sessrec__sum_rows(cu, rows, H, d_gates + 3 * H, 4 * H, cell->c->gradient + 2 * H);
}

// sessrec__backward_users and sessrec__gradient_users
static void sessrec__backward_users(sessrec__cuda *cu) {
    const sessrec_config *c = &cu->config;
    const int32_t Hu = c->user_hidden, rows = cu->rows, H0 = c->hidden[0];
    for (int32_t l = 0; l < c->layer_count; ++l) {
        const int32_t H = c->hidden[l];
        sessrec__level *level = &cu->level[l];
        const sessrec__product back = {rows,
                                       Hu,
                                       H,
                                       0,
                                       sessrec__as_is(level->d_begun, H),
                                       sessrec__turned(level->init_W->weights, H),
                                       NULL,
                                       cu->user_dc,
                                       Hu,
                                       l > 0,
                                       NULL};
        LAUNCH(cu, sessrec__k_begun_backward, sessrec__blocks((int64_t)rows * H), THREADS, rows, H, cu->start,
               cu->user_starts, level->begun, level->d_h,
               sessrec__dropped(cu, SESSREC__STREAM_DROPOUT_INIT + l, c->dropout_init), level->d_begun);
        sessrec__multiply_add(cu, back);
        sessrec__multiply(cu, Hu, H, rows, sessrec__turned(cu->user_new, Hu),
                          sessrec__as_is(level->d_begun, H), NULL, level->init_W->gradient, H);
        sessrec__sum_rows(cu, rows, H, level->d_begun, H, level->init_b->gradient);
    }
    if (cu->context) {
        const int32_t width = sessrec__context_columns(cu);
        const sessrec__matrix d_gates = sessrec__as_is(cu->level[0].d_gates, 4 * H0);
        sessrec__multiply_onto(cu, rows, Hu, width, d_gates, sessrec__turned(cu->context->weights, 3 * H0),
                               cu->user_dc, Hu);
        sessrec__multiply(cu, Hu, width, rows, sessrec__turned(cu->user.state, Hu), d_gates, NULL,
                          cu->context->gradient, 3 * H0);
    }
    LAUNCH(cu, sessrec__k_only_beginning, sessrec__blocks((int64_t)rows * Hu), THREADS, rows, Hu, cu->start,
           cu->user_starts, cu->user_dc);
    sessrec__backward_level(cu, &cu->user,
                            sessrec__dropped(cu, SESSREC__STREAM_DROPOUT_USER, c->dropout_user), cu->user_dc,
                            NULL, NULL);
    sessrec__gradient_cell(cu, &cu->user, cu->user_s);
}

// sessrec__finish_inputs: where the first layer's d_x goes, as rows of a table
static float *sessrec__input_gradient(sessrec__cuda *cu) {
    return cu->config.embedding == SESSREC_EMBEDDING_TIED
               ? cu->output.gradient + (int64_t)cu->columns * sessrec__width(cu)
               : cu->input.gradient;
}

// sessrec__item_part, sessrec__backward_chunk and sessrec__weight_piece
static void sessrec__backward(sessrec__cuda *cu) {
    const sessrec_config *c = &cu->config;
    const int32_t L = sessrec__width(cu), C = cu->columns, rows = cu->rows, D = cu->info.embedding_width;
    const sessrec__dropout of_input = sessrec__dropped(cu, SESSREC__STREAM_DROPOUT_INPUT, c->dropout_input);
    sessrec__level *top = &cu->level[c->layer_count - 1];
    float *d_x = sessrec__input_gradient(cu);
    LAUNCH(cu, sessrec__k_loss_sum, 1, THREADS, rows, cu->row_loss, cu->record, cu->status);
    sessrec__multiply(cu, rows, L, C, sessrec__as_is(cu->S, C), sessrec__as_is(cu->Y, L), NULL, top->d_out,
                      L);
    sessrec__multiply(cu, C, L, rows, sessrec__turned(cu->S, C), sessrec__as_is(top->state, L), NULL,
                      cu->output.gradient, L);
    sessrec__sum_rows(cu, rows, C, cu->S, C, cu->output.bias);
    for (int32_t l = c->layer_count - 1; l >= 0; --l) {
        sessrec__level *level = &cu->level[l];
        sessrec__backward_level(cu, level,
                                sessrec__dropped(cu, SESSREC__STREAM_DROPOUT_HIDDEN + l, c->dropout_hidden),
                                level->d_out,
                                l > 0 ? cu->level[l - 1].d_out
                                : D   ? d_x
                                      : NULL,
                                level->d_h);
        sessrec__gradient_cell(cu, level,
                               l > 0 ? cu->level[l - 1].state
                               : D   ? cu->x
                                     : NULL);
    }
    if (c->user_hidden) sessrec__backward_users(cu);
    if (!D)
        LAUNCH(cu, sessrec__k_onehot_gradient, sessrec__blocks((int64_t)rows * 3 * c->hidden[0]), THREADS,
               rows, c->hidden[0], cu->level[0].d_gates, of_input, d_x);
    else if (c->dropout_input > 0)
        LAUNCH(cu, sessrec__k_drop, sessrec__blocks((int64_t)rows * D), THREADS, rows, D, of_input, d_x);
    LAUNCH(cu, sessrec__k_merge, (unsigned)cu->output.count, 128, cu->output.count, C, L, cu->output.key,
           cu->output.id, cu->output.gradient, cu->output.bias);
    if (cu->input.count)
        LAUNCH(cu, sessrec__k_merge, (unsigned)cu->input.count, 128, cu->input.count, 0,
               cu->inputs->host.columns, cu->input.key, cu->input.id, cu->input.gradient, (float *)NULL);
}

static void sessrec__update(sessrec__cuda *cu, const sessrec__tensor *tensor, int32_t rows, const int32_t *id,
                            float *gradient) {
    const sessrec__update_task task = {rows,       tensor->host.columns, id,
                                       cu->status, cu->config.optimizer, tensor->weights,
                                       gradient,   tensor->state};
    const unsigned blocks = sessrec__blocks(task.rows * task.columns);
    if (task.optimizer.gradient_cap > 0) {
        LAUNCH(cu, sessrec__k_squares, NORM_PARTS, THREADS, task, cu->norm);
        LAUNCH(cu, sessrec__k_cap, blocks, THREADS, task, cu->norm);
    }
    if (task.optimizer.kind == SESSREC_ADAM)
        LAUNCH(cu, sessrec__k_count_steps, sessrec__blocks(rows), THREADS, task);
    LAUNCH(cu, sessrec__k_update, blocks, THREADS, task);
}

// sessrec__update_block
static void sessrec__updates(sessrec__cuda *cu) {
    sessrec__update(cu, cu->Wy, cu->output.count, cu->output.id, cu->output.gradient);
    sessrec__update(cu, cu->By, cu->columns, cu->output.id, cu->output.bias);
    if (cu->input.count) sessrec__update(cu, cu->inputs, cu->input.count, cu->input.id, cu->input.gradient);
    for (int32_t t = 0; t < cu->tensors; ++t)
        if (!cu->tensor[t].host.table)
            sessrec__update(cu, &cu->tensor[t], cu->tensor[t].host.rows, NULL, cu->tensor[t].gradient);
}

// ===========================================================================================================
// running it: the table of sessrec.h
// ===========================================================================================================

static void sessrec__to_sum(sessrec__cuda *cu) {
    sessrec__forward(cu);
    sessrec__losses(cu);
    sessrec__backward(cu);
}

static void sessrec__forget_graph(sessrec__cuda *cu, sessrec__graph *graph) {
    if (!graph->rows) return;
    sessrec__note(cu, cudaStreamSynchronize(cu->stream));  // it may still run
    sessrec__note(cu, cudaGraphExecDestroy(graph->exec));
    graph->rows = 0;
}

// A list of kernels, from the graph if there is one for this size of the mini-batch. It is captured when a
// size comes a second time in a row.
static void sessrec__launch(sessrec__cuda *cu, int which, void (*list)(sessrec__cuda *)) {
    sessrec__graph *graph = &cu->graph[which];
    if (graph->rows != cu->rows || graph->columns != cu->columns) {
        if (!cu->again) {
            list(cu);
            return;
        }
        sessrec__forget_graph(cu, graph);
        cudaGraph_t captured = NULL;
        sessrec__note(cu, cudaStreamBeginCapture(cu->stream, cudaStreamCaptureModeThreadLocal));
        list(cu);
        const cudaError_t error = cudaStreamEndCapture(cu->stream, &captured);
        sessrec__note(cu, error);
        if (error != cudaSuccess) return;
        const cudaError_t made = cudaGraphInstantiateWithFlags(&graph->exec, captured, 0);
        sessrec__note(cu, made);
        sessrec__note(cu, cudaGraphDestroy(captured));
        if (made != cudaSuccess) return;
        graph->rows = cu->rows;
        graph->columns = cu->columns;
    }
    sessrec__note(cu, cudaGraphLaunch(graph->exec, cu->stream));
}

// Lays a mini-batch where it will be copied from.
static void sessrec__cuda_put(void *device, int32_t index, const sessrec_batch *batch, double most) {
    sessrec__cuda *cu = (sessrec__cuda *)device;
    const size_t B = (size_t)cu->config.batch_size, rows = (size_t)batch->rows, size = sizeof(int32_t);
    sessrec__record *record = (sessrec__record *)(void *)(cu->staged + (size_t)index * cu->record_bytes);
    int32_t *at = (int32_t *)(record + 1);
    record->epoch_seed = sessrec__mix(cu->config.seed + (uint64_t)batch->epoch);
    record->first_draw =
        ((uint64_t)batch->epoch << 44) + (uint64_t)batch->step * (uint64_t)batch->negative_count;
    record->most = most;
    record->step = batch->step;
    record->draw = batch->negatives == NULL;
    memcpy(at, batch->inputs, rows * size);
    memcpy(at + B, batch->targets, rows * size);
    memcpy(at + 2 * B, batch->session_starts, rows * size);
    if (batch->user_starts) memcpy(at + 3 * B, batch->user_starts, rows * size);
    memcpy(at + 4 * B, batch->previous_rows, rows * size);
    cu->put_rows[index] = batch->rows;
    cu->put_columns[index] = batch->rows + batch->negative_count;
}

// And copies `count` of them.
static void sessrec__send(sessrec__cuda *cu, int32_t count) {
    sessrec__note(cu, cudaMemsetAsync(cu->status, 0, sizeof *cu->status, cu->stream));
    sessrec__note(cu, cudaMemcpyAsync(cu->schedule, cu->staged, (size_t)count * cu->record_bytes,
                                      cudaMemcpyHostToDevice, cu->stream));
}

// The size of the mini-batch that comes next. Returns whether it is that of the one before.
static int sessrec__resize(sessrec__cuda *cu, int32_t index) {
    const int again = cu->rows == cu->put_rows[index] && cu->columns == cu->put_columns[index];
    cu->rows = cu->put_rows[index];
    cu->columns = cu->put_columns[index];
    return again;
}

static sessrec_result sessrec__receive(sessrec__cuda *cu, int32_t count, double *sums, sessrec_error *err) {
    sessrec__note(cu, cudaMemcpyAsync(sums, cu->status->sum, (size_t)count * sizeof *sums,
                                      cudaMemcpyDeviceToHost, cu->stream));
    sessrec__note(cu, cudaStreamSynchronize(cu->stream));
    return sessrec__look(cu, "a mini-batch", err);
}

// A loss of the caller's own runs on the processor: scores down, gradients and row losses up.
static sessrec_result sessrec__custom_loss(sessrec__cuda *cu, sessrec_error *err) {
    const size_t rows = (size_t)cu->rows, count = rows * (size_t)cu->columns,
                 items = (size_t)cu->columns * sizeof(int32_t);
    const sessrec_loss_config *loss = &cu->config.loss;
    float *scores = (float *)malloc((2 * count + rows) * sizeof *scores + items);
    if (!scores) return sessrec_error_set(err, SESSREC_OUT_OF_MEMORY, NULL);
    float *gradient = scores + count, *row_loss = gradient + count;
    int32_t *item = (int32_t *)(void *)(row_loss + rows);
    sessrec__note(cu,
                  cudaMemcpyAsync(scores, cu->S, count * sizeof *scores, cudaMemcpyDeviceToHost, cu->stream));
    sessrec__note(cu, cudaMemcpyAsync(item, cu->item, items, cudaMemcpyDeviceToHost, cu->stream));
    sessrec__note(cu, cudaStreamSynchronize(cu->stream));
    sessrec_result result = sessrec__look(cu, "the scores of a mini-batch", err);
    if (!result) {
        loss->custom(loss->custom_user, 0, cu->rows, cu->columns, item, scores, row_loss, gradient);
        for (size_t i = 0; i < count; ++i) gradient[i] *= 1 / (float)cu->config.batch_size;
        sessrec__note(cu, cudaMemcpyAsync(cu->S, gradient, count * sizeof *gradient, cudaMemcpyHostToDevice,
                                          cu->stream));
        sessrec__note(cu, cudaMemcpyAsync(cu->row_loss, row_loss, rows * sizeof *row_loss,
                                          cudaMemcpyHostToDevice, cu->stream));
        sessrec__note(cu, cudaStreamSynchronize(cu->stream));
        result = sessrec__look(cu, "the gradient of a loss", err);
    }
    free(scores);
    return result;
}

static sessrec_result sessrec__cuda_grad(void *device, const sessrec_batch *batch, double *sum,
                                         sessrec_error *err) {
    sessrec__cuda *cu = (sessrec__cuda *)device;
    sessrec_result result = SESSREC_OK;
    sessrec__note(cu, cudaSetDevice(cu->ordinal));
    sessrec__cuda_put(cu, 0, batch, INFINITY);  // the trainer looks itself
    sessrec__send(cu, 1);
    if (batch->negative_count)
        sessrec__note(cu, cudaMemcpyAsync(cu->negative, batch->negatives,
                                          (size_t)batch->negative_count * sizeof *cu->negative,
                                          cudaMemcpyHostToDevice, cu->stream));
    cu->again = sessrec__resize(cu, 0);
    if (cu->config.loss.kind == SESSREC_LOSS_CUSTOM) {
        sessrec__forward(cu);
        result = sessrec__custom_loss(cu, err);
        if (!result) sessrec__backward(cu);
    } else {
        sessrec__launch(cu, 0, sessrec__to_sum);
    }
    return result ? result : sessrec__receive(cu, 1, sum, err);
}

static sessrec_result sessrec__cuda_apply(void *device, sessrec_error *err) {
    sessrec__cuda *cu = (sessrec__cuda *)device;
    sessrec__note(cu, cudaSetDevice(cu->ordinal));
    sessrec__launch(cu, 1, sessrec__updates);
    return sessrec__look(cu, "an update", err);
}

// The processor looks only when all of them are done.
static sessrec_result sessrec__cuda_run(void *device, int32_t count, double *sums, sessrec_error *err) {
    sessrec__cuda *cu = (sessrec__cuda *)device;
    sessrec__note(cu, cudaSetDevice(cu->ordinal));
    sessrec__send(cu, count);
    for (int32_t i = 0; i < count; ++i) {
        cu->again = sessrec__resize(cu, i);
        sessrec__launch(cu, 0, sessrec__to_sum);
        sessrec__launch(cu, 1, sessrec__updates);
    }
    return sessrec__receive(cu, count, sums, err);
}

static sessrec_result sessrec__cuda_sampler(void *device, const sessrec_device_sampler *sampler,
                                            sessrec_error *err) {
    sessrec__cuda *cu = (sessrec__cuda *)device;
    // at most 2 items, or 17: sessrec_sampler_create
    const size_t entries = ((size_t)1 << sampler->guide_bits) + 1;
    sessrec__note(cu, cudaSetDevice(cu->ordinal));
    if (!cu->draw_sum || entries > 2 * (size_t)cu->info.item_count + 17)
        return sessrec_error_set(err, SESSREC_MISMATCH, "the sampler is of another catalog");
    // A graph holds the numbers of the sampler that it was captured with.
    if (cu->draws.guide_bits != sampler->guide_bits || cu->draws.total != sampler->total)
        sessrec__forget_graph(cu, &cu->graph[0]);
    cu->draws.guide_bits = sampler->guide_bits;
    cu->draws.total = sampler->total;
    sessrec__note(cu, cudaMemcpyAsync(cu->draw_sum, sampler->sums,
                                      (size_t)sampler->item_count * sizeof *sampler->sums,
                                      cudaMemcpyHostToDevice, cu->stream));
    sessrec__note(cu, cudaMemcpyAsync(cu->draw_guide, sampler->guide, entries * sizeof *sampler->guide,
                                      cudaMemcpyHostToDevice, cu->stream));
    sessrec__note(cu, cudaStreamSynchronize(cu->stream));
    return sessrec__look(cu, "a copy of the sampler", err);
}

typedef struct sessrec__copying {
    sessrec__cuda *cu;
    int up;
} sessrec__copying;

static void sessrec__copy(sessrec__copying c, void *host, void *device, int64_t rows, int64_t columns) {
    if (!host || !device || !rows) return;
    sessrec__note(
        c.cu, cudaMemcpyAsync(c.up ? device : host, c.up ? host : device, (size_t)rows * (size_t)columns * 4,
                              // floats and int32: 4 bytes
                              c.up ? cudaMemcpyHostToDevice : cudaMemcpyDeviceToHost, c.cu->stream));
}

// All that stays from step to step.
static void sessrec__copy_state(sessrec__cuda *cu, int up) {
    const sessrec__copying c = {cu, up};
    for (int32_t t = 0; t < cu->tensors; ++t) {
        const sessrec__tensor *tensor = &cu->tensor[t];
        const sessrec_device_tensor *h = &tensor->host;
        sessrec__copy(c, h->weights, tensor->weights, h->rows, h->columns);
        sessrec__copy(c, h->state.first, tensor->state.first, h->rows, h->columns);
        sessrec__copy(c, h->state.second, tensor->state.second, h->rows, h->columns);
        sessrec__copy(c, h->state.velocity, tensor->state.velocity, h->rows, h->columns);
        sessrec__copy(c, h->state.steps, tensor->state.steps, h->rows, 1);
    }
    for (int32_t l = 0; l < cu->config.layer_count; ++l)
        sessrec__copy(c, cu->host.hidden[l], cu->level[l].state, cu->config.batch_size, cu->config.hidden[l]);
    sessrec__copy(c, cu->host.user, cu->user.state, cu->config.batch_size, cu->config.user_hidden);
}

static sessrec_result sessrec__cuda_download(void *device, int gradients, sessrec_error *err) {
    sessrec__cuda *cu = (sessrec__cuda *)device;
    const sessrec__copying c = {cu, 0};
    sessrec__note(cu, cudaSetDevice(cu->ordinal));
    if (!gradients) {
        sessrec__copy_state(cu, 0);
    } else {
        sessrec__copy(c, cu->host.output_gradient, cu->output.gradient, cu->output.count, sessrec__width(cu));
        sessrec__copy(c, cu->host.output_id, cu->output.id, cu->output.count, 1);
        sessrec__copy(c, cu->host.bias_gradient, cu->output.bias, cu->columns, 1);
        sessrec__copy(c, cu->host.input_gradient, cu->input.gradient, cu->input.count,
                      cu->inputs ? cu->inputs->host.columns : 0);
        sessrec__copy(c, cu->host.input_id, cu->input.id, cu->input.count, 1);
        for (int32_t t = 0; t < cu->tensors; ++t)
            sessrec__copy(c, cu->tensor[t].host.gradient, cu->tensor[t].gradient, cu->tensor[t].host.rows,
                          cu->tensor[t].host.columns);
    }
    sessrec__note(cu, cudaStreamSynchronize(cu->stream));
    return sessrec__look(cu, "a copy from the GPU", err);
}

static sessrec_result sessrec__cuda_upload(void *device, sessrec_error *err) {
    sessrec__cuda *cu = (sessrec__cuda *)device;
    sessrec__note(cu, cudaSetDevice(cu->ordinal));
    sessrec__copy_state(cu, 1);
    sessrec__note(cu, cudaStreamSynchronize(cu->stream));
    return sessrec__look(cu, "a copy to the GPU", err);
}

static const char *sessrec__cuda_name(const void *device) {
    return ((const sessrec__cuda *)device)->name;
}

static void sessrec__give_back(const sessrec_allocator *memory, void *block) {
    if (memory->alloc && memory->free) memory->free(memory->user, block);
    else free(block);
}

static void sessrec__cuda_destroy(void *device) {
    sessrec__cuda *cu = (sessrec__cuda *)device;
    const sessrec_allocator memory = cu->config.allocator;
    cudaSetDevice(cu->ordinal);
    sessrec__forget_graph(cu, &cu->graph[0]);
    sessrec__forget_graph(cu, &cu->graph[1]);
    if (cu->block) cudaFree(cu->block);
    if (cu->staged) cudaFreeHost(cu->staged);
    if (cu->stream) cudaStreamDestroy(cu->stream);
    sessrec__give_back(&memory, cu);
}

// ---- setting up ----

static const sessrec__tensor *sessrec__named(const sessrec__cuda *cu, const char *part, int32_t layer,
                                             const char *role) {
    char name[16];
    snprintf(name, sizeof name, "%s%d.%s", part, (int)layer, role);
    for (int32_t t = 0; t < cu->tensors; ++t)
        if (!strcmp(cu->tensor[t].host.name, layer < 0 ? part : name)) return &cu->tensor[t];
    return NULL;
}

static void sessrec__wire_cell(const sessrec__cuda *cu, const char *part, int32_t layer,
                               sessrec__cell *cell) {
    cell->W = sessrec__named(cu, part, layer, "W");
    cell->U = sessrec__named(cu, part, layer, "U");
    cell->b = sessrec__named(cu, part, layer, "b");
    cell->c = sessrec__named(cu, part, layer, "c");
    cell->input = cell->W->host.rows;
    cell->hidden = cell->U->host.rows;
}

static void sessrec__wire(sessrec__cuda *cu) {
    cu->Wy = sessrec__named(cu, "Wy", -1, "");
    cu->By = sessrec__named(cu, "By", -1, "");
    for (int32_t l = 0; l < cu->config.layer_count; ++l) {
        sessrec__wire_cell(cu, "L", l, &cu->level[l].cell);
        cu->level[l].init_W = sessrec__named(cu, "I", l, "W");
        cu->level[l].init_b = sessrec__named(cu, "I", l, "b");
    }
    if (cu->config.user_hidden) sessrec__wire_cell(cu, "U", 0, &cu->user.cell);
    cu->context = sessrec__named(cu, "C", 0, "W");
    cu->inputs = cu->config.embedding == SESSREC_EMBEDDING_NONE ? cu->level[0].cell.W
                                                                : sessrec__named(cu, "E", -1, "");
}

// The GPU that is current; SESSREC_UNSUPPORTED if there is none, or none that this file was compiled for.
static sessrec_result sessrec__find_gpu(sessrec__cuda *cu, sessrec_error *err) {
    cudaDeviceProp properties;
    cudaFuncAttributes attributes;
    char text[700];
    int count = 0;
    const cudaError_t error = cudaGetDeviceCount(&count);
    if (error != cudaSuccess || count < 1) {
        snprintf(text, sizeof text, "there is no GPU that CUDA can use: %s",
                 error != cudaSuccess ? cudaGetErrorString(error) : "none was found");
        return sessrec_error_set(err, SESSREC_UNSUPPORTED, text);
    }
    sessrec__note(cu, cudaGetDevice(&cu->ordinal));
    sessrec__note(cu, cudaGetDeviceProperties(&properties, cu->ordinal));
    sessrec_result result = sessrec__look(cu, "the current GPU", err);
    if (result) return result;
    snprintf(cu->name, sizeof cu->name, "%s", properties.name);
    const cudaError_t code = cudaFuncGetAttributes(&attributes, sessrec__k_next);
    if (code == cudaSuccess) return SESSREC_OK;
    (void)cudaGetLastError();
    snprintf(text, sizeof text, "sessrec_cuda.cu was not compiled for the GPU %s: %s", cu->name,
             cudaGetErrorString(code));
    return sessrec_error_set(err, SESSREC_UNSUPPORTED, text);
}

static sessrec_result sessrec__claim_stream(sessrec__cuda *cu, sessrec_error *err) {
    const cudaError_t error = cudaStreamCreateWithFlags(&cu->stream, cudaStreamNonBlocking);
    if (error == cudaSuccess) return SESSREC_OK;
    cu->stream = NULL;
    return sessrec__cuda_fail(err, error, "a stream");
}

static sessrec_result sessrec__claim_block(sessrec__cuda *cu, sessrec_error *err) {
    char text[80];
    const cudaError_t error = cudaMalloc((void **)&cu->block, cu->block_bytes);
    if (error == cudaSuccess) return SESSREC_OK;
    snprintf(text, sizeof text, "%.1f MiB of the GPU's memory", (double)cu->block_bytes / 1048576.0);
    cu->block = NULL;
    (void)cudaGetLastError();  // so that the next launch does not find it
    return sessrec__cuda_fail(err, error, text);
}

static sessrec_result sessrec__claim(sessrec__cuda *cu, sessrec_error *err) {
    sessrec_result result = sessrec__claim_stream(cu, err);
    if (result) return result;
    sessrec__room_all(cu);
    result = sessrec__claim_block(cu, err);
    if (result) return result;
    sessrec__room_all(cu);
    const cudaError_t error = cudaMallocHost((void **)&cu->staged, SESSREC_DEVICE_AHEAD * cu->record_bytes);
    if (error != cudaSuccess) {
        cu->staged = NULL;
        (void)cudaGetLastError();
        return sessrec__cuda_fail(err, error, "pinned memory");
    }
    memset(cu->staged, 0, SESSREC_DEVICE_AHEAD * cu->record_bytes);
    cu->draws.key = sessrec__key(cu->config.seed, SESSREC__STREAM_NEGATIVES);
    cu->draws.sum = cu->draw_sum;
    cu->draws.guide = cu->draw_guide;
    sessrec__note(cu, cudaMemsetAsync(cu->block, 0, cu->block_bytes, cu->stream));
    if (cu->log_support)
        sessrec__note(cu, cudaMemcpyAsync(cu->log_support, cu->host.log_support,
                                          (size_t)cu->info.item_count * sizeof(float), cudaMemcpyHostToDevice,
                                          cu->stream));
    return sessrec__cuda_upload(cu, err);
}

static sessrec_result sessrec__cuda_create(const sessrec_device_view *view, void **device,
                                           sessrec_error *err) {
    const sessrec_allocator *memory = &view->config->allocator;
    const size_t bytes = sizeof(sessrec__cuda) + (size_t)view->tensor_count * sizeof(sessrec__tensor);
    sessrec__cuda *cu =
        (sessrec__cuda *)(memory->alloc && memory->free ? memory->alloc(memory->user, bytes) : malloc(bytes));
    *device = NULL;
    if (!cu) return sessrec_error_set(err, SESSREC_OUT_OF_MEMORY, NULL);
    memset((void *)cu, 0, bytes);
    cu->config = *view->config;
    cu->info = view->info;
    cu->host = *view;
    cu->host.tensors = NULL;  // lives no longer than this call
    cu->tensors = view->tensor_count;
    cu->tensor = (sessrec__tensor *)(void *)(cu + 1);
    for (int32_t t = 0; t < cu->tensors; ++t) cu->tensor[t].host = view->tensors[t];
    sessrec__wire(cu);
    sessrec_result result = sessrec__find_gpu(cu, err);
    if (!result) result = sessrec__claim(cu, err);
    if (result) sessrec__cuda_destroy(cu);
    else *device = cu;
    return result;
}

// ===========================================================================================================
// ranks for evaluation: sessrec_rank_counts of the scores of sessrec__model_score
// The scores of some rows exist for a block of items at a time. The target's own score is the same chain of
// sums as in the product, so that it is equal to the bit to what the product has for it, and items with the
// same weights tie.
// ===========================================================================================================

enum { RANK_ITEMS = 32768 };  // of a block

typedef struct sessrec__ranks {
    sessrec__cuda cu;       // its stream and its memory
    int32_t items, width, block;
    float *Wy, *By, *h, *S, *value;
    int32_t *target, *counts;  // counts [2,rows]: higher, equal
} sessrec__ranks;

static __global__ void sessrec__k_target_score(int32_t rows, int64_t width, const float *Wy, const float *By,
                                               const float *h, const int32_t *target, float *value) {
    FOR_EACH(i, rows) {
        float sum = 0;
        for (int64_t k = 0; k < width; ++k) sum = fmaf(h[i * width + k], Wy[target[i] * width + k], sum);
        value[i] = By[target[i]] + sum;
    }
}

// A block a row: items first .. first+count-1, of which S has the scores. A NaN target ranks behind all of
// them.
static __global__ void sessrec__k_rank(int32_t rows, int32_t first, int32_t count, const float *S,
                                       const float *value, const int32_t *target, int32_t *counts) {
    const int32_t row = (int32_t)blockIdx.x;
    const float own = value[row];
    float higher = 0, equal = 0;  // at most RANK_ITEMS: exact
    for (int32_t j = (int32_t)threadIdx.x; j < count; j += THREADS) {
        const float s = S[(int64_t)row * count + j];
        if (first + j == target[row]) continue;
        higher += s > own || own != own;
        equal += s == own;
    }
    higher = sessrec__total(higher);
    equal = sessrec__total(equal);
    if (threadIdx.x) return;
    counts[row] += (int32_t)higher;
    counts[rows + row] += (int32_t)equal;
}

static void sessrec__room_ranks(sessrec__ranks *r) {
    sessrec__cuda *cu = &r->cu;
    const int32_t R = SESSREC_DEVICE_RANKS;
    cu->block_bytes = 0;
    r->Wy = sessrec__floats(cu, r->items, r->width);
    r->By = sessrec__floats(cu, r->items, 1);
    r->h = sessrec__floats(cu, R, r->width);
    r->S = sessrec__floats(cu, R, r->block);
    r->value = sessrec__floats(cu, R, 1);
    r->target = (int32_t *)sessrec__room(cu, (uint64_t)R, sizeof(int32_t));
    r->counts = (int32_t *)sessrec__room(cu, 2 * (uint64_t)R, sizeof(int32_t));
}

static void sessrec__close_ranks(void *ranks) {
    sessrec__cuda *cu = &((sessrec__ranks *)ranks)->cu;
    cudaSetDevice(cu->ordinal);
    if (cu->block) cudaFree(cu->block);
    if (cu->stream) cudaStreamDestroy(cu->stream);
    free(ranks);
}

static sessrec_result sessrec__open_ranks(const float *Wy, const float *By, int32_t items, int32_t width,
                                          void **ranks, sessrec_error *err) {
    sessrec__ranks *r = (sessrec__ranks *)calloc(1, sizeof *r);
    *ranks = NULL;
    if (!r) return sessrec_error_set(err, SESSREC_OUT_OF_MEMORY, NULL);
    r->items = items;
    r->width = width;
    r->block = items < RANK_ITEMS ? items : RANK_ITEMS;
    sessrec_result result = sessrec__find_gpu(&r->cu, err);
    if (!result) result = sessrec__claim_stream(&r->cu, err);
    if (!result) {
        sessrec__room_ranks(r);
        result = sessrec__claim_block(&r->cu, err);
    }
    if (!result) {
        sessrec__room_ranks(r);
        sessrec__note(&r->cu, cudaMemcpyAsync(r->Wy, Wy, (size_t)items * (size_t)width * sizeof *Wy,
                                              cudaMemcpyHostToDevice, r->cu.stream));
        sessrec__note(&r->cu, cudaMemcpyAsync(r->By, By, (size_t)items * sizeof *By, cudaMemcpyHostToDevice,
                                              r->cu.stream));
        sessrec__note(&r->cu, cudaStreamSynchronize(r->cu.stream));
        result = sessrec__look(&r->cu, "a copy to the GPU", err);
    }
    if (result) sessrec__close_ranks(r);
    else *ranks = r;
    return result;
}

static sessrec_result sessrec__rank(void *ranks, int32_t rows, const float *h, const int32_t *target,
                                    int32_t *higher, int32_t *equal, sessrec_error *err) {
    sessrec__ranks *r = (sessrec__ranks *)ranks;
    sessrec__cuda *cu = &r->cu;
    const int32_t L = r->width;
    const size_t bytes = (size_t)rows * sizeof(int32_t);
    sessrec__note(cu, cudaSetDevice(cu->ordinal));
    sessrec__note(cu, cudaMemcpyAsync(r->h, h, (size_t)rows * (size_t)L * sizeof *h, cudaMemcpyHostToDevice,
                                      cu->stream));
    sessrec__note(cu, cudaMemcpyAsync(r->target, target, bytes, cudaMemcpyHostToDevice, cu->stream));
    sessrec__note(cu, cudaMemsetAsync(r->counts, 0, 2 * bytes, cu->stream));
    LAUNCH(cu, sessrec__k_target_score, sessrec__blocks(rows), THREADS, rows, L, r->Wy, r->By, r->h,
           r->target, r->value);
    for (int32_t first = 0, count; first < r->items; first += count) {
        count = r->items - first < r->block ? r->items - first : r->block;
        sessrec__multiply(cu, rows, count, L, sessrec__as_is(r->h, L),
                          sessrec__turned(r->Wy + (int64_t)first * L, L), r->By + first, r->S, count);
        LAUNCH(cu, sessrec__k_rank, (unsigned)rows, THREADS, rows, first, count, r->S, r->value, r->target,
               r->counts);
    }
    sessrec__note(cu, cudaMemcpyAsync(higher, r->counts, bytes, cudaMemcpyDeviceToHost, cu->stream));
    sessrec__note(cu, cudaMemcpyAsync(equal, r->counts + rows, bytes, cudaMemcpyDeviceToHost, cu->stream));
    sessrec__note(cu, cudaStreamSynchronize(cu->stream));
    return sessrec__look(cu, "the ranks of some events", err);
}

extern "C" const sessrec_device_table *sessrec_cuda(void) {
    static const sessrec_device_table table = {
        sessrec__cuda_create,  sessrec__cuda_name,    sessrec__cuda_grad,  sessrec__cuda_apply,
        sessrec__cuda_sampler, sessrec__cuda_put,     sessrec__cuda_run,   sessrec__cuda_download,
        sessrec__cuda_upload,  sessrec__cuda_destroy, sessrec__open_ranks, sessrec__rank,
        sessrec__close_ranks};
    return &table;
}
