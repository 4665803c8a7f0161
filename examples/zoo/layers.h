// layers.h - the layers that all architectures share: products, linear, norm, dropout, relu, embedding,
// softmax
#ifndef ZOO_LAYERS_H
#define ZOO_LAYERS_H

#include "zoo.h"

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

// Eight numbers at a time, of which a compiler makes vectors.
static inline void zoo_axpy(int32_t n, float a, const float *x, float *y) {
    int32_t i = 0;
    for (; i + 8 <= n; i += 8) {
        float sum[8];
        for (int32_t k = 0; k < 8; ++k) sum[k] = y[i + k] + a * x[i + k];
        for (int32_t k = 0; k < 8; ++k) y[i + k] = sum[k];
    }
    for (; i < n; ++i) y[i] += a * x[i];
}
static inline void zoo_add(int32_t n, const float *x, float *y) {
    zoo_axpy(n, 1, x, y);
}
static inline void zoo_scale(int32_t n, float a, float *x) {
    int32_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (int32_t k = 0; k < 8; ++k) x[i + k] *= a;
    for (; i < n; ++i) x[i] *= a;
}
// y *= x
static inline void zoo_mask(int32_t n, const float *x, float *y) {
    int32_t i = 0;
    for (; i + 8 <= n; i += 8) {
        float product[8];
        for (int32_t k = 0; k < 8; ++k) product[k] = y[i + k] * x[i + k];
        for (int32_t k = 0; k < 8; ++k) y[i + k] = product[k];
    }
    for (; i < n; ++i) y[i] *= x[i];
}
static inline float zoo_dot(int32_t n, const float *a, const float *b) {
    float sum[8] = {0, 0, 0, 0, 0, 0, 0, 0};
    int32_t i = 0;
    for (; i + 8 <= n; i += 8)
        for (int32_t k = 0; k < 8; ++k) sum[k] += a[i + k] * b[i + k];
    for (; i < n; ++i) sum[0] += a[i] * b[i];
    return ((sum[0] + sum[4]) + (sum[2] + sum[6])) + ((sum[1] + sum[5]) + (sum[3] + sum[7]));
}
// softmax in place
static inline void zoo_softmax(int32_t n, float *x) {
    float most = x[0], sum = 0;
    for (int32_t i = 1; i < n; ++i) most = x[i] > most ? x[i] : most;
    for (int32_t i = 0; i < n; ++i) x[i] -= most;
    sessrec_exp(n, x, x);
    for (int32_t i = 0; i < n; ++i) sum += x[i];
    zoo_scale(n, 1 / sum, x);
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

// y = gain (x - mean) / sqrt(variance + 1e-8) + shift, row by row (Ba et al. 2016); norm [2,n]: gain, shift
// u = (x - mean) / sqrt(..) [n], and 1 / sqrt(..)
static inline float zoo_normed(int32_t n, const float *x, float *u) {
    float mean = 0;
    for (int32_t j = 0; j < n; ++j) mean += x[j];
    mean /= (float)n;
    for (int32_t j = 0; j < n; ++j) u[j] = x[j] - mean;
    const float scale = (float)(1 / sqrt((double)(zoo_dot(n, u, u) / (float)n) + 1e-8));
    zoo_scale(n, scale, u);
    return scale;
}
static inline void zoo_norm(int32_t P, const zoo_tensor *norm, const float *x, float *y) {
    const int32_t n = norm->columns;
    for (int32_t i = 0; i < P; ++i, x += n, y += n) {
        zoo_normed(n, x, y);
        zoo_mask(n, norm->w, y);
        zoo_add(n, norm->w + n, y);
    }
}
// With du = gain dy:  dx = (du - mean(du) - u mean(u du)) / sqrt(..); scratch [2n]
static inline void zoo_norm_back(int32_t P, zoo_tensor *norm, const float *x, const float *dy, float *dx,
                                 float *scratch) {
    const int32_t n = norm->columns;
    float *u = scratch, *u_dy = scratch + n;
    for (int32_t i = 0; i < P; ++i, x += n, dy += n, dx += n) {
        const float scale = zoo_normed(n, x, u), sum = zoo_dot(n, norm->w, dy) / (float)n;
        memcpy(u_dy, u, (size_t)n * sizeof *u);
        zoo_mask(n, dy, u_dy);
        zoo_add(n, u_dy, norm->g);
        zoo_add(n, dy, norm->g + n);
        const float product = zoo_dot(n, norm->w, u_dy) / (float)n;
        for (int32_t j = 0; j < n; ++j) dx[j] = scale * (norm->w[j] * dy[j] - sum - u[j] * product);
    }
}

static inline zoo_tensor *zoo_norm_of(zoo *net, int32_t n) {
    zoo_tensor *norm = zoo_tensor_of(net, 2, n, 0, 0);
    for (int32_t j = 0; j < n; ++j) norm->w[j] = 1;
    return norm;
}

// x *= mask, which is 0 with probability p (a multiple of 1/65,536), else 1/(1-p). A random number has bits
// for four. The mask does for the backward pass: dx *= mask.
static inline float *zoo_dropout(zoo *net, int32_t n, float *x) {
    const float p = net->options.dropout, values[2] = {0, 1 / (1 - p)};
    const uint64_t stream = 1000 + (uint64_t)net->masks++, first = (uint64_t)net->step << 32;
    const uint64_t limit = (uint64_t)(65536 * (double)p);
    float *mask = zoo_floats(net, 1, n + 3);
    for (int32_t i = 0; i < n; i += 4) {
        const uint64_t bits = limit ? sessrec_random(net->seed, stream, first + (uint64_t)i) : 0;
        for (int32_t k = 0; k < 4; ++k) mask[i + k] = values[(bits >> 16 * k & 65535) >= limit];
    }
    zoo_mask(n, mask, x);
    return mask;
}

// y = x where x > 0, else slope x, in place, and back from y.
static inline void zoo_relu(int32_t n, float slope, float *x) {
    for (int32_t i = 0; i < n; ++i)
        if (!(x[i] > 0)) x[i] *= slope;
}
static inline void zoo_relu_back(int32_t n, float slope, const float *y, float *dy) {
    for (int32_t i = 0; i < n; ++i)
        if (!(y[i] > 0)) dy[i] *= slope;
}

// y_i = scale times the row of E that belongs to item i
static inline void zoo_embed(int32_t P, const zoo_tensor *E, const int32_t *items, float scale, float *y) {
    memset(y, 0, (size_t)P * (size_t)E->columns * sizeof *y);
    for (int32_t i = 0; i < P; ++i)
        zoo_axpy(E->columns, scale, E->w + (ptrdiff_t)items[i] * E->columns, y + i * E->columns);
}
static inline void zoo_embed_back(int32_t P, zoo_tensor *E, const int32_t *items, float scale,
                                  const float *dy) {
    for (int32_t i = 0; i < P; ++i) {
        zoo_touch(E, items[i]);
        zoo_axpy(E->columns, scale, dy + i * E->columns, E->g + (ptrdiff_t)items[i] * E->columns);
    }
}

// Prints the n weights of attention, or a gate, that came about after the last click.
static inline void zoo_show(const zoo *net, const char *what, int32_t layer, int32_t head, int32_t n,
                            const float *weights) {
    if (!net->show) return;
    printf("%s %d.%d", what, (int)layer + 1, (int)head + 1);
    for (int32_t i = 0; i < n; ++i) printf("\t%.3f", (double)weights[i]);
    putchar('\n');
}

#endif // ZOO_LAYERS_H
