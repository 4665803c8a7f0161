// attention.h - scaled dot-product attention over packed sessions (Vaswani et al. 2017), causal or full
//
// For each session and head, over its n places, with d columns a head:
//     A = softmax(Q K^T / sqrt(d)) [n,n]     O = A V      causal: place i sees places 0 .. i only
#ifndef ZOO_ATTENTION_H
#define ZOO_ATTENTION_H

#include "layers.h"

typedef struct zoo_attention {
    const zoo_batch *batch;
    int32_t width, heads, causal;
    const float *q;                     // [P,3H] Q, K and V side by side; the heads are columns of each
    float *o;                           // [P,H]
    float *weights;                     // the A of all sessions, one behind the other, each [heads,n,n]
    int32_t *begins;                    // [sessions] where in weights each session's stand
    const float *d_o;                   // [P,H] backward
    float *d_q;                         // [P,3H]
} zoo_attention;

// One row of A [sees] and of O [d], from the first place's query on; strides of places are `step`.
static inline void zoo_attend_row(int32_t d, int32_t sees, const float *q, const float *k, const float *v,
                                  ptrdiff_t step, float *A, float *o) {
    const float scale = (float)(1 / sqrt((double)d));
    for (int32_t j = 0; j < sees; ++j) A[j] = scale * zoo_dot(d, q, k + j * step);
    zoo_softmax(sees, A);
    for (int32_t j = 0; j < sees; ++j) zoo_axpy(d, A[j], v + j * step, o);
}

static inline void zoo_attention_task(void *context, int32_t session) {
    const zoo_attention *a = (const zoo_attention *)context;
    const int32_t first = a->batch->begins[session], n = a->batch->begins[session + 1] - first, H = a->width,
                  d = H / a->heads;
    for (int32_t head = 0; head < a->heads; ++head)
        for (int32_t i = 0; i < n; ++i) {
            const float *q = a->q + (ptrdiff_t)first * 3 * H + head * d;
            zoo_attend_row(d, a->causal ? i + 1 : n, q + (ptrdiff_t)i * 3 * H, q + H, q + 2 * H, 3 * H,
                           a->weights + a->begins[session] + (head * n + i) * n,
                           a->o + (first + i) * H + head * d);
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
    a.begins = zoo_integers(net, batch->sessions);
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
// The rows of the last place of the first session.
static inline void zoo_attention_show(const zoo *net, const zoo_attention *a, int32_t layer) {
    const int32_t n = a->batch->begins[1];
    for (int32_t head = 0; head < a->heads; ++head)
        zoo_show(net, "attention", layer, head, n, a->weights + (head * n + n - 1) * n);
}

#endif // ZOO_ATTENTION_H
