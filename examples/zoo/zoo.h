// zoo.h - what the architectures of this folder are made of: tensors, layers forward and backward, an
// optimizer
//
// Sessions are packed: the clicks of all sessions of a mini-batch stand one behind the other, P places in
// all, and nothing is padded. Every layer has its backward pass beside it. A backward pass gets dy = dL/dy,
// ADDS to the gradients of its weights and OVERWRITES dx. Arrays are row-major, shapes stand in comments.
//
// All of it compiles with every float a double, in which tests/test_zoo.c holds each gradient against finite
// differences. Public domain or MIT-0, as sessrec.h.
#ifndef ZOO_H
#define ZOO_H

#include "../../sessrec.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ZOO_TENSORS = 64, ZOO_BLOCKS = 256, ZOO_ROWS = 32, ZOO_BLOCK_BYTES = 1 << 20 };

// A matrix of weights, its gradient, and what Adam keeps of it.
typedef struct zoo_tensor {
    int32_t rows, columns;
    float *w, *g;
    sessrec_optimizer_state adam;
} zoo_tensor;

typedef struct zoo_options {
    int32_t width, heads, layers, most_clicks;  // of a session, the last ones
    int32_t epochs, sessions;                   // of a mini-batch
    int32_t samples;                            // of the softmax; 0: the whole catalog
    float dropout, rate, decay, clip, warm_up;  // warm_up: part of all steps
    int32_t loss;                               // sessrec_loss_kind
} zoo_options;

// A network in training.
typedef struct zoo {
    zoo_options options;
    int32_t items;                      // V
    const int64_t *supports;            // [V]
    sessrec_sampler *sampler;           // with options.samples > 0
    uint64_t seed;
    int64_t step, steps;                // so far, and in all
    int32_t masks;                      // dropout masks drawn in this step
    sessrec_pool *pool;
    zoo_tensor tensors[ZOO_TENSORS];
    int32_t tensor_count;
    char *blocks[ZOO_BLOCKS];           // memory of one step
    size_t block_sizes[ZOO_BLOCKS], used;
    int32_t block;
} zoo;

// A mini-batch of packed sessions: session s has the places begins[s] .. begins[s+1]-1.
typedef struct zoo_batch {
    int32_t sessions, places;           // places: P
    const int32_t *begins;              // [sessions+1]
    const int32_t *items, *targets;     // [P] clicked, and clicked next
} zoo_batch;

// ---- memory -----------------------------------------------------------------------------------------------

static inline void *zoo_check(void *block) {
    if (!block) {
        fprintf(stderr, "zoo: out of memory\n");
        exit(1);
    }
    return block;
}
static inline void *zoo_zeros(size_t count, size_t size) {
    return zoo_check(calloc(count ? count : 1, size));
}
// Zeroed memory that lasts until the step ends.
static inline void *zoo_bytes(zoo *net, size_t bytes) {
    bytes = (bytes + 63) / 64 * 64;
    while (net->blocks[net->block] && net->used + bytes > net->block_sizes[net->block]) {
        if (++net->block == ZOO_BLOCKS) zoo_check(NULL);
        net->used = 0;
    }
    if (!net->blocks[net->block]) {
        net->block_sizes[net->block] = bytes > ZOO_BLOCK_BYTES ? bytes : (size_t)ZOO_BLOCK_BYTES;
        net->blocks[net->block] = (char *)zoo_zeros(net->block_sizes[net->block], 1);
    }
    void *place = net->blocks[net->block] + net->used;
    net->used += bytes;
    return memset(place, 0, bytes);
}
static inline float *zoo_floats(zoo *net, int32_t rows, int32_t columns) {
    return (float *)zoo_bytes(net, (size_t)rows * (size_t)columns * sizeof(float));
}

// Weights [rows,columns], uniform in +-range; add: plus that.
static inline zoo_tensor *zoo_tensor_of(zoo *net, int32_t rows, int32_t columns, double range, double add) {
    const size_t n = (size_t)rows * (size_t)columns;
    zoo_tensor *t = &net->tensors[net->tensor_count++];
    if (net->tensor_count == ZOO_TENSORS) zoo_check(NULL);
    t->rows = rows, t->columns = columns;
    t->w = (float *)zoo_zeros(n, sizeof(float)), t->g = (float *)zoo_zeros(n, sizeof(float));
    t->adam.first = (float *)zoo_zeros(n, sizeof(float));
    t->adam.second = (float *)zoo_zeros(n, sizeof(float));
    t->adam.steps = (int32_t *)zoo_zeros((size_t)rows, sizeof(int32_t));
    for (size_t i = 0; i < n; ++i)
        t->w[i] = (float)(add + range * (2 * (double)sessrec_random_unit(
                                                 net->seed, (uint64_t)net->tensor_count, i) - 1));
    return t;
}
static inline zoo_tensor *zoo_matrix(zoo *net, int32_t rows, int32_t columns) {
    return zoo_tensor_of(net, rows, columns, sqrt(6.0 / ((double)rows + (double)columns)), 0);
}
static inline void zoo_free(zoo *net) {
    for (zoo_tensor *t = net->tensors; t < net->tensors + net->tensor_count; ++t)
        free(t->w), free(t->g), free(t->adam.first), free(t->adam.second), free(t->adam.steps);
    for (int32_t b = 0; b < ZOO_BLOCKS; ++b) free(net->blocks[b]);
    sessrec_sampler_destroy(net->sampler);
    sessrec_pool_destroy(net->pool);
}

// ---- products, by blocks of rows --------------------------------------------------------------------------

typedef struct zoo_product {
    int32_t M, N, K, accumulate;
    ptrdiff_t a_row, a_column, b_row;
    const float *A, *B, *bias;      // bias: A B^T, else A B
    float *C;
} zoo_product;

static inline void zoo_product_task(void *context, int32_t index) {
    const zoo_product *p = (const zoo_product *)context;
    const int32_t i = index * ZOO_ROWS, rows = p->M - i < ZOO_ROWS ? p->M - i : ZOO_ROWS;
    const float *A = p->A + i * p->a_row;
    float *C = p->C + (ptrdiff_t)i * p->N;
    float scratch[SESSREC_MATMUL_SCRATCH];
    if (p->bias)
        sessrec_matmul_bt(rows, p->N, p->K, A, p->a_row, p->B, p->b_row, p->bias, C, p->N, scratch);
    else sessrec_matmul(rows, p->N, p->K, A, p->a_row, p->a_column, p->B, p->b_row, C, p->N, p->accumulate);
}
// C [M,N] = A [M,K] B [K,N], added to C if accumulate.
static inline void zoo_multiply(zoo *net, int32_t M, int32_t N, int32_t K, const float *A, ptrdiff_t a_row,
                                ptrdiff_t a_column, const float *B, float *C, int32_t accumulate) {
    zoo_product p = {M, N, K, accumulate, a_row, a_column, N, A, B, NULL, C};
    sessrec_parallel(net->pool, (M + ZOO_ROWS - 1) / ZOO_ROWS, zoo_product_task, &p);
}
// C [M,N] = bias [N] + A [M,K] B^T with B [N,K].
static inline void zoo_multiply_bt(zoo *net, int32_t M, int32_t N, int32_t K, const float *A, const float *B,
                                   const float *bias, float *C) {
    zoo_product p = {M, N, K, 0, K, 1, K, A, B, bias, C};
    sessrec_parallel(net->pool, (M + ZOO_ROWS - 1) / ZOO_ROWS, zoo_product_task, &p);
}

// ---- layers -----------------------------------------------------------------------------------------------

static inline void zoo_add(int32_t n, const float *x, float *y) {
    for (int32_t i = 0; i < n; ++i) y[i] += x[i];
}

// y [P,n] = x [P,m] W + b; b may be NULL
static inline void zoo_linear(zoo *net, int32_t P, const zoo_tensor *W, const zoo_tensor *b, const float *x,
                              float *y) {
    for (int32_t i = 0; i < P && b; ++i) memcpy(y + i * W->columns, b->w, (size_t)W->columns * sizeof *y);
    zoo_multiply(net, P, W->columns, W->rows, x, W->rows, 1, W->w, y, b != NULL);
}
// dW += x^T dy     db += sum of dy     dx = dy W^T (NULL: not asked for)
static inline void zoo_linear_back(zoo *net, int32_t P, zoo_tensor *W, zoo_tensor *b, const float *x,
                                   const float *dy, float *dx) {
    zoo_multiply(net, W->rows, W->columns, P, x, 1, W->rows, dy, W->g, 1);
    for (int32_t i = 0; i < P && b; ++i) zoo_add(W->columns, dy + i * W->columns, b->g);
    if (dx) zoo_multiply_bt(net, P, W->rows, W->columns, dy, W->w, zoo_floats(net, 1, W->rows), dx);
}

// One row of the same, for serving.
static inline void zoo_linear_row(const zoo_tensor *W, const zoo_tensor *b, const float *x, float *y) {
    memcpy(y, b->w, (size_t)W->columns * sizeof *y);
    sessrec_matmul(1, W->columns, W->rows, x, W->rows, 1, W->w, W->columns, y, W->columns, 1);
}

// y = gain (x - mean) / sqrt(variance + 1e-8) + shift, row by row (Ba et al. 2016); norm [2,n]: gain, shift
static inline void zoo_norm(int32_t P, const zoo_tensor *norm, const float *x, float *y) {
    const int32_t n = norm->columns;
    for (int32_t i = 0; i < P; ++i, x += n, y += n) {
        double mean = 0, variance = 0;
        for (int32_t j = 0; j < n; ++j) mean += (double)x[j] / n;
        for (int32_t j = 0; j < n; ++j) variance += ((double)x[j] - mean) * ((double)x[j] - mean) / n;
        const double scale = 1 / sqrt(variance + 1e-8);
        for (int32_t j = 0; j < n; ++j)
            y[j] = (float)(((double)x[j] - mean) * scale) * norm->w[j] + norm->w[n + j];
    }
}
// With u = (x - mean) / s and du = gain dy:  dx = (du - mean(du) - u mean(u du)) / s
static inline void zoo_norm_back(int32_t P, zoo_tensor *norm, const float *x, const float *dy, float *dx) {
    const int32_t n = norm->columns;
    for (int32_t i = 0; i < P; ++i, x += n, dy += n, dx += n) {
        double mean = 0, variance = 0, sum = 0, product = 0;
        for (int32_t j = 0; j < n; ++j) mean += (double)x[j] / n;
        for (int32_t j = 0; j < n; ++j) variance += ((double)x[j] - mean) * ((double)x[j] - mean) / n;
        const double scale = 1 / sqrt(variance + 1e-8);
        for (int32_t j = 0; j < n; ++j) {
            const double u = ((double)x[j] - mean) * scale, du = (double)(norm->w[j] * dy[j]);
            norm->g[j] += dy[j] * (float)u;
            norm->g[n + j] += dy[j];
            sum += du / n;
            product += u * du / n;
        }
        for (int32_t j = 0; j < n; ++j) {
            const double u = ((double)x[j] - mean) * scale, du = (double)(norm->w[j] * dy[j]);
            dx[j] = (float)((du - sum - u * product) * scale);
        }
    }
}

static inline zoo_tensor *zoo_norm_of(zoo *net, int32_t n) {
    zoo_tensor *norm = zoo_tensor_of(net, 2, n, 0, 0);
    for (int32_t j = 0; j < n; ++j) norm->w[j] = 1;
    return norm;
}

// x *= mask, which is 0 with probability p, else 1/(1-p). The mask does for the backward pass: dx *= mask.
static inline float *zoo_dropout(zoo *net, int32_t n, float *x) {
    const float p = net->options.dropout;
    const uint64_t stream = 1000 + (uint64_t)net->masks++, first = (uint64_t)net->step << 32;
    float *mask = zoo_floats(net, 1, n);
    for (int32_t i = 0; i < n; ++i) {
        mask[i] = p > 0 && sessrec_random_unit(net->seed, stream, first + (uint64_t)i) < p ? 0 : 1 / (1 - p);
        x[i] *= mask[i];
    }
    return mask;
}
static inline void zoo_mask(int32_t n, const float *mask, float *x) {
    for (int32_t i = 0; i < n; ++i) x[i] *= mask[i];
}

// y = max(x, 0), in place, and back from y.
static inline void zoo_relu(int32_t n, float *x) {
    for (int32_t i = 0; i < n; ++i) x[i] = x[i] > 0 ? x[i] : 0;
}
static inline void zoo_relu_back(int32_t n, const float *y, float *dy) {
    for (int32_t i = 0; i < n; ++i)
        if (!(y[i] > 0)) dy[i] = 0;
}

// y_i = E row of item i, times scale.
static inline void zoo_embed(int32_t P, const zoo_tensor *E, const int32_t *items, float scale, float *y) {
    for (int32_t i = 0; i < P; ++i)
        for (int32_t j = 0; j < E->columns; ++j)
            y[i * E->columns + j] = scale * E->w[(ptrdiff_t)items[i] * E->columns + j];
}
static inline void zoo_embed_back(int32_t P, zoo_tensor *E, const int32_t *items, float scale,
                                  const float *dy) {
    for (int32_t i = 0; i < P; ++i)
        for (int32_t j = 0; j < E->columns; ++j)
            E->g[(ptrdiff_t)items[i] * E->columns + j] += scale * dy[i * E->columns + j];
}

// ---- attention --------------------------------------------------------------------------------------------
// For each session and head, over its n places (Vaswani et al. 2017):
//     A = softmax(Q K^T / sqrt(d)) [n,n]     O = A V      causal: place i sees places 0 .. i only
// q holds Q, K and V side by side [P,3H]; the heads are columns of each. weights keeps the A of all sessions.
typedef struct zoo_attention {
    const zoo_batch *batch;
    int32_t width, heads, causal;
    const float *q;                     // [P,3H]
    float *o;                           // [P,H]
    float *weights;                     // [sum of n^2 over sessions, heads]
    int32_t *begins;                    // [sessions] where in weights each session's stand, times heads
    const float *d_o;                   // [P,H] backward
    float *d_q;                         // [P,3H]
} zoo_attention;

static inline float zoo_dot(int32_t n, const float *a, const float *b) {
    float sum = 0;
    for (int32_t i = 0; i < n; ++i) sum += a[i] * b[i];
    return sum;
}
static inline void zoo_axpy(int32_t n, float a, const float *x, float *y) {
    for (int32_t i = 0; i < n; ++i) y[i] += a * x[i];
}
// softmax in place
static inline void zoo_softmax(int32_t n, float *x) {
    float most = x[0], sum = 0;
    for (int32_t i = 1; i < n; ++i) most = x[i] > most ? x[i] : most;
    for (int32_t i = 0; i < n; ++i) x[i] -= most;
    sessrec_exp(n, x, x);
    for (int32_t i = 0; i < n; ++i) sum += x[i];
    for (int32_t i = 0; i < n; ++i) x[i] /= sum;
}

static inline void zoo_attention_task(void *context, int32_t session) {
    const zoo_attention *a = (const zoo_attention *)context;
    const int32_t first = a->batch->begins[session], n = a->batch->begins[session + 1] - first, H = a->width,
                  d = H / a->heads;
    const float scale = (float)(1 / sqrt((double)d));
    for (int32_t head = 0; head < a->heads; ++head)
        for (int32_t i = 0; i < n; ++i) {
            const float *q = a->q + (ptrdiff_t)(first + i) * 3 * H + head * d;
            float *A = a->weights + a->begins[session] + (head * n + i) * n,
        *o = a->o + (first + i) * H + head * d;
            const int32_t sees = a->causal ? i + 1 : n;
            const float *other = a->q + (ptrdiff_t)first * 3 * H + head * d;
            for (int32_t j = 0; j < sees; ++j) A[j] = scale * zoo_dot(d, q, other + H + (ptrdiff_t)j * 3 * H);
            zoo_softmax(sees, A);
            for (int32_t j = 0; j < sees; ++j) zoo_axpy(d, A[j], other + 2 * H + (ptrdiff_t)j * 3 * H, o);
        }
}
// dA = dO V^T     dS = A (dA - sum_j A dA)     dQ = dS K / sqrt(d)     dK = dS^T Q / sqrt(d)     dV = A^T dO
static inline void zoo_attention_back_task(void *context, int32_t session) {
    const zoo_attention *a = (const zoo_attention *)context;
    const int32_t first = a->batch->begins[session], n = a->batch->begins[session + 1] - first, H = a->width,
                  d = H / a->heads;
    const float scale = (float)(1 / sqrt((double)d));
    for (int32_t head = 0; head < a->heads; ++head)
        for (int32_t i = 0; i < n; ++i) {
            const ptrdiff_t at = (ptrdiff_t)(first + i) * 3 * H + head * d,
                            others = (ptrdiff_t)first * 3 * H + head * d;
            const float *A = a->weights + a->begins[session] + (head * n + i) * n,
                        *d_o = a->d_o + (first + i) * H + head * d;
            const int32_t sees = a->causal ? i + 1 : n;
            float mean = 0;
            for (int32_t j = 0; j < sees; ++j)
                mean += A[j] * zoo_dot(d, d_o, a->q + others + 2 * H + (ptrdiff_t)j * 3 * H);
            for (int32_t j = 0; j < sees; ++j) {
                const ptrdiff_t k = others + H + (ptrdiff_t)j * 3 * H, v = k + H;
                const float dS = scale * A[j] * (zoo_dot(d, d_o, a->q + v) - mean);
                zoo_axpy(d, dS, a->q + k, a->d_q + at);
                zoo_axpy(d, dS, a->q + at, a->d_q + k);
                zoo_axpy(d, A[j], d_o, a->d_q + v);
            }
        }
}
static inline zoo_attention zoo_attend(zoo *net, const zoo_batch *batch, int32_t causal, const float *q) {
    zoo_attention a = {batch, net->options.width, net->options.heads, causal, q, NULL, NULL, NULL, NULL,
        NULL};
    int32_t room = 0;
    a.begins = (int32_t *)zoo_bytes(net, (size_t)batch->sessions * sizeof *a.begins);
    for (int32_t s = 0; s < batch->sessions; ++s) {
        const int32_t n = batch->begins[s + 1] - batch->begins[s];
        a.begins[s] = room;
        room += n * n * a.heads;
    }
    a.weights = zoo_floats(net, 1, room);
    a.o = zoo_floats(net, batch->places, a.width);
    sessrec_parallel(net->pool, batch->sessions, zoo_attention_task, &a);
    return a;
}
static inline void zoo_attend_back(zoo *net, zoo_attention *a, const float *d_o, float *d_q) {
    a->d_o = d_o, a->d_q = d_q;
    memset(d_q, 0, (size_t)a->batch->places * 3 * (size_t)a->width * sizeof *d_q);
    sessrec_parallel(net->pool, a->batch->sessions, zoo_attention_back_task, a);
}

// ---- the loss ---------------------------------------------------------------------------------------------
// Cross-entropy of the next item, or another loss, over the whole catalog, or over the targets of the
// mini-batch and samples that all rows share, with the logarithm of how often a column is proposed taken off
// (Bengio, Senecal 2008).

typedef struct zoo_loss_task {
    zoo *net;
    int32_t P, C, H;
    const int32_t *targets, *columns;       // [P] [C]; columns NULL: the catalog
    const float *log_proposal, *h, *Y, *y;  // [C] [P,H] [C,H] [C]
    float *S, *dh, *row_loss, *scratch;
} zoo_loss_task;

static inline void zoo_loss_rows(void *context, int32_t index) {
    const zoo_loss_task *t = (const zoo_loss_task *)context;
    const int32_t i = index * ZOO_ROWS, rows = t->P - i < ZOO_ROWS ? t->P - i : ZOO_ROWS;
    float *S = t->S + (ptrdiff_t)i * t->C;
    sessrec_loss_config config = sessrec_config_default().loss;
    config.kind = t->net->options.loss;
    config.with_diagonal = 0;
    float product[SESSREC_MATMUL_SCRATCH];
    sessrec_matmul_bt(rows, t->C, t->H, t->h + i * t->H, t->H, t->Y, t->H, t->y, S, t->C,
                      product);
    sessrec_loss(&config, i, rows, t->C, t->columns ? NULL : t->targets + i, t->columns, t->log_proposal, S,
                 t->row_loss + i, S, t->scratch + (ptrdiff_t)index * 8 * t->C);
    for (ptrdiff_t e = 0; e < (ptrdiff_t)rows * t->C; ++e) S[e] /= (float)t->P;
    sessrec_matmul(rows, t->H, t->C, S, t->C, 1, t->Y, t->H, t->dh + i * t->H, t->H, 0);
}

// The mean loss of rows h [P,H] with scores h E^T + b; dh [P,H] and the gradients of E [V,H] and b [V,1].
static inline double zoo_loss(zoo *net, int32_t P, const float *h, const int32_t *targets, zoo_tensor *E,
                              zoo_tensor *b, float *dh) {
    const int32_t H = E->columns, N = net->options.samples, C = N ? P + N : net->items;
    zoo_loss_task t = {net, P, C, H, targets, NULL, NULL, h, E->w, b->w, zoo_floats(net, P, C), dh, NULL,
        NULL};
    int32_t *columns = NULL;
    double loss = 0;
    t.row_loss = zoo_floats(net, 1, P);
    t.scratch = zoo_floats(net, (P + ZOO_ROWS - 1) / ZOO_ROWS, 8 * C);
    if (N) {
        float *proposal = zoo_floats(net, 1, C), *Y = zoo_floats(net, C, H), *y = zoo_floats(net, 1, C);
        columns = (int32_t *)zoo_bytes(net, (size_t)C * sizeof *columns);
        for (int32_t j = 0; j < C; ++j) {
            const int32_t item = columns[j] =
                j < P ? targets[j]
                      : sessrec_sampler_draw(net->sampler, net->seed, (uint64_t)(net->step * N + j - P));
            proposal[j] = (float)((j < P ? 1 : 0.5) * log((double)net->supports[item]));
            y[j] = b->w[item];
        }
        zoo_embed(C, E, columns, 1, Y);
        t.columns = columns, t.log_proposal = proposal, t.Y = Y, t.y = y;
    }
    sessrec_parallel(net->pool, (P + ZOO_ROWS - 1) / ZOO_ROWS, zoo_loss_rows, &t);
    for (int32_t i = 0; i < P; ++i) loss += (double)t.row_loss[i] / P;
    // dY = dS^T h
    float *dY = columns ? zoo_floats(net, C, H) : E->g;
    zoo_multiply(net, C, H, P, t.S, 1, C, h, dY, 1);
    for (int32_t i = 0; i < P; ++i)
        for (int32_t j = 0; j < C; ++j) b->g[columns ? columns[j] : j] += t.S[(ptrdiff_t)i * C + j];
    if (columns) zoo_embed_back(C, E, columns, 1, dY);
    return loss;
}

// ---- AdamW (Kingma, Ba 2015; Loshchilov, Hutter 2019) -----------------------------------------------------

typedef struct zoo_update {
    zoo_tensor *tensor;
    sessrec_optimizer_config config;
    float shrink, scale;
} zoo_update;

static inline void zoo_update_task(void *context, int32_t index) {
    const zoo_update *u = (const zoo_update *)context;
    zoo_tensor *t = u->tensor;
    const int32_t i = index * ZOO_ROWS, rows = t->rows - i < ZOO_ROWS ? t->rows - i : ZOO_ROWS;
    const ptrdiff_t at = (ptrdiff_t)i * t->columns, n = (ptrdiff_t)rows * t->columns;
    sessrec_optimizer_state state = {t->adam.first + at, t->adam.second + at, NULL, t->adam.steps + i};
    for (ptrdiff_t e = at; e < at + n; ++e) t->w[e] *= u->shrink, t->g[e] *= u->scale;
    sessrec_optimizer_update(&u->config, rows, t->columns, NULL, t->w + at, t->g + at, &state);
    memset(t->g + at, 0, (size_t)n * sizeof *t->g);
}

// One step with all gradients, which are zero then: clipped to a common norm, the rate rising over the
// warm-up and falling to 0 along a cosine, weights of matrices shrinking.
static inline void zoo_apply(zoo *net) {
    const double done = (double)(net->step + 1) / (double)net->steps, warm = (double)net->options.warm_up;
    const double fall = 0.5 + 0.5 * cos(3.14159265358979 * (done - warm) / (1 - warm)),
                 rate = (double)net->options.rate * (done < warm ? done / warm : fall);
    double norm = 0;
    for (zoo_tensor *t = net->tensors; t < net->tensors + net->tensor_count; ++t)
        for (ptrdiff_t i = 0; i < (ptrdiff_t)t->rows * t->columns; ++i)
            norm += (double)t->g[i] * (double)t->g[i];
    norm = sqrt(norm);
    for (zoo_tensor *t = net->tensors; t < net->tensors + net->tensor_count; ++t) {
        zoo_update u = {t, sessrec_config_default().optimizer, 1, 1};
        u.config.kind = SESSREC_ADAM;
        u.config.momentum = 0;
        u.config.learning_rate = (float)rate;
        u.config.epsilon = (float)1e-8;
        u.config.beta2 = (float)0.98;
        if (t->rows > 2 && t->columns > 1) u.shrink = (float)(1 - rate * (double)net->options.decay);
        if (net->options.clip > 0 && norm > (double)net->options.clip)
            u.scale = (float)((double)net->options.clip / norm);
        sessrec_parallel(net->pool, (t->rows + ZOO_ROWS - 1) / ZOO_ROWS, zoo_update_task, &u);
    }
    net->step++;
    net->masks = 0;
    net->block = 0;
    net->used = 0;
}

// ---- what an architecture is ------------------------------------------------------------------------------

typedef struct zoo_model {
    const char *name;
    zoo_options options;
    void *(*create)(zoo *net);      // makes its tensors
    // forward and backward of a mini-batch; the mean loss of its places
    double (*train)(zoo *net, void *model, const zoo_batch *batch);
    // for sessions that are served: the state, of so many floats, begins as zeros; its first H floats are
    // what items are scored with. A click has scratch of 32 H + most_clicks floats.
    size_t (*state_floats)(const zoo *net);
    void (*click)(const zoo *net, const void *model, float *state, int32_t item, float *scratch);
    // vectors [V,H] and biases [V,1] that items are scored by
    void (*scores)(const void *model, const zoo_tensor **vectors, const zoo_tensor **biases);
} zoo_model;

// ---- serving without a state of one's own -----------------------------------------------------------------
// The state is h [2H], how many clicks [1], and the items [most] of the last ones: the session is run anew
// with each click, and h is its last row [columns].

typedef float *(*zoo_forward)(zoo *net, const void *model, const zoo_batch *batch);

static inline size_t zoo_replay_floats(const zoo *net) {
    return 2 * (size_t)net->options.width + 1 + (size_t)net->options.most_clicks;
}
// Runs items [n] as a session of its own, without dropout.
static inline void zoo_run_alone(const zoo *net, const void *model, zoo_forward forward, int32_t n,
                                 const int32_t *items, int32_t columns, float *h) {
    zoo own = *net;
    const int32_t begins[2] = {0, n};
    const zoo_batch batch = {1, n, begins, items, items};
    memset(own.blocks, 0, sizeof own.blocks);
    own.block = 0, own.used = 0;
    own.pool = NULL;
    own.options.dropout = 0;
    memcpy(h, forward(&own, model, &batch) + (n - 1) * columns, (size_t)columns * sizeof *h);
    for (int32_t b = 0; b < ZOO_BLOCKS; ++b) free(own.blocks[b]);
}
// Adds a click to the state. Returns how many it has then, as integers in `items` [most].
static inline int32_t zoo_remember(const zoo *net, float *state, int32_t item, int32_t *items) {
    const int32_t most = net->options.most_clicks;
    float *count = state + 2 * net->options.width, *list = count + 1;
    if ((int32_t)*count == most) {
        memmove(list, list + 1, (size_t)(most - 1) * sizeof *list);
        *count -= 1;
    }
    list[(int32_t)*count] = (float)item;
    *count += 1;
    for (int32_t i = 0; i < (int32_t)*count; ++i) items[i] = (int32_t)list[i];
    return (int32_t)*count;
}

#endif // ZOO_H
