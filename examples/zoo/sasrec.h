// sasrec.h - SASRec: self-attentive sequential recommendation (Kang, McAuley, ICDM 2018)
//
// A session is a sentence: each place looks back at all places before it and takes from them by attention.
// Here with the norm before each part, as transformers are built since, and with cross-entropy over the
// catalog or over samples instead of one negative a place, which is what makes SASRec strong (Klenitskiy,
// Vasilev 2023).
//
//     x_0 = E[item] sqrt(H) + place
//     x'  = x + dropout(attention(norm(x)) Wo + bo)       causal: a place sees itself and what came before
//     x   = x' + dropout(relu(norm(x') W1 + b1) W2 + b2)  for each layer
//     h   = norm(x)         scores = h E^T + b            the table is input and output
#ifndef ZOO_SASREC_H
#define ZOO_SASREC_H

#include "zoo.h"

enum { SASREC_LAYERS = 4 };

typedef struct sasrec {
    zoo_tensor *E, *b, *place, *norm;   // [V,H] [V,1] [most,H] [2,H]
    struct {
        zoo_tensor *norm1, *Wq, *bq, *Wo, *bo;  // [2,H] [H,3H] [1,3H] [H,H] [1,H]
        zoo_tensor *norm2, *W1, *b1, *W2, *b2;
    } layer[SASREC_LAYERS];
} sasrec;

static inline void *sasrec_create(zoo *net) {
    sasrec *m = (sasrec *)zoo_zeros(1, sizeof *m);
    const int32_t H = net->options.width;
    m->E = zoo_matrix(net, net->items, H);
    m->b = zoo_tensor_of(net, net->items, 1, 0, 0);
    m->place = zoo_tensor_of(net, net->options.most_clicks, H, 0.02, 0);
    m->norm = zoo_norm_of(net, H);
    for (int32_t l = 0; l < net->options.layers; ++l) {
        m->layer[l].norm1 = zoo_norm_of(net, H);
        m->layer[l].Wq = zoo_matrix(net, H, 3 * H), m->layer[l].bq = zoo_tensor_of(net, 1, 3 * H, 0, 0);
        m->layer[l].Wo = zoo_matrix(net, H, H), m->layer[l].bo = zoo_tensor_of(net, 1, H, 0, 0);
        m->layer[l].norm2 = zoo_norm_of(net, H);
        m->layer[l].W1 = zoo_matrix(net, H, H), m->layer[l].b1 = zoo_tensor_of(net, 1, H, 0, 0);
        m->layer[l].W2 = zoo_matrix(net, H, H), m->layer[l].b2 = zoo_tensor_of(net, 1, H, 0, 0);
    }
    return m;
}

static inline double sasrec_train(zoo *net, void *model, const zoo_batch *batch) {
    sasrec *m = (sasrec *)model;
    const int32_t H = net->options.width, P = batch->places, n = P * H, layers = net->options.layers;
    const float scale = (float)sqrt((double)H);
    struct {
        float *in, *u, *q, *mask1, *middle, *v, *f, *mask2;
        zoo_attention a;
    } pass[SASREC_LAYERS];
    // ---- forward
    float *x = zoo_floats(net, P, H), *y = zoo_floats(net, P, H), *h = zoo_floats(net, P, H);
    int32_t *places = (int32_t *)zoo_bytes(net, (size_t)P * sizeof *places);
    for (int32_t s = 0; s < batch->sessions; ++s)
        for (int32_t i = batch->begins[s]; i < batch->begins[s + 1]; ++i) places[i] = i - batch->begins[s];
    zoo_embed(P, m->E, batch->items, scale, x);
    zoo_embed(P, m->place, places, 1, y);
    zoo_add(n, y, x);
    const float *mask = zoo_dropout(net, n, x);
    for (int32_t l = 0; l < layers; ++l) {
        pass[l].in = x;
        zoo_norm(P, m->layer[l].norm1, x, pass[l].u = zoo_floats(net, P, H));
        zoo_linear(net, P, m->layer[l].Wq, m->layer[l].bq, pass[l].u, pass[l].q = zoo_floats(net, P, 3 * H));
        pass[l].a = zoo_attend(net, batch, 1, pass[l].q);
        x = zoo_floats(net, P, H);
        zoo_linear(net, P, m->layer[l].Wo, m->layer[l].bo, pass[l].a.o, x);
        pass[l].mask1 = zoo_dropout(net, n, x);
        zoo_add(n, pass[l].in, x);
        pass[l].middle = x;
        zoo_norm(P, m->layer[l].norm2, x, pass[l].v = zoo_floats(net, P, H));
        zoo_linear(net, P, m->layer[l].W1, m->layer[l].b1, pass[l].v, pass[l].f = zoo_floats(net, P, H));
        zoo_relu(n, pass[l].f);
        x = zoo_floats(net, P, H);
        zoo_linear(net, P, m->layer[l].W2, m->layer[l].b2, pass[l].f, x);
        pass[l].mask2 = zoo_dropout(net, n, x);
        zoo_add(n, pass[l].middle, x);
    }
    zoo_norm(P, m->norm, x, h);
    // ---- backward
    float *dh = zoo_floats(net, P, H), *dx = zoo_floats(net, P, H), *dy = zoo_floats(net, P, H),
          *df = zoo_floats(net, P, H), *dq = zoo_floats(net, P, 3 * H);
    const double loss = zoo_loss(net, P, h, batch->targets, m->E, m->b, dh);
    zoo_norm_back(P, m->norm, x, dh, dx);
    for (int32_t l = layers - 1; l >= 0; --l) {
        memcpy(dy, dx, (size_t)n * sizeof *dy);
        zoo_mask(n, pass[l].mask2, dy);
        zoo_linear_back(net, P, m->layer[l].W2, m->layer[l].b2, pass[l].f, dy, df);
        zoo_relu_back(n, pass[l].f, df);
        zoo_linear_back(net, P, m->layer[l].W1, m->layer[l].b1, pass[l].v, df, dy);
        zoo_norm_back(P, m->layer[l].norm2, pass[l].middle, dy, df);
        zoo_add(n, df, dx);
        memcpy(dy, dx, (size_t)n * sizeof *dy);
        zoo_mask(n, pass[l].mask1, dy);
        zoo_linear_back(net, P, m->layer[l].Wo, m->layer[l].bo, pass[l].a.o, dy, df);
        zoo_attend_back(net, &pass[l].a, df, dq);
        zoo_linear_back(net, P, m->layer[l].Wq, m->layer[l].bq, pass[l].u, dq, dy);
        zoo_norm_back(P, m->layer[l].norm1, pass[l].in, dy, df);
        zoo_add(n, df, dx);
    }
    zoo_mask(n, mask, dx);
    zoo_embed_back(P, m->E, batch->items, scale, dx);
    zoo_embed_back(P, m->place, places, 1, dx);
    return loss;
}

// ---- serving: keys and values of all places are kept, a click is one row of attention --------------------
// h [H], count [1], items [most], and for each layer keys and values [most,2H]

static inline size_t sasrec_floats(const zoo *net) {
    const size_t H = (size_t)net->options.width, most = (size_t)net->options.most_clicks;
    return H + 1 + most + (size_t)net->options.layers * most * 2 * H;
}

static inline void sasrec_step(const zoo *net, const sasrec *m, float *state, int32_t item, float *scratch) {
    const int32_t H = net->options.width, most = net->options.most_clicks, heads = net->options.heads,
                  d = H / heads, at = (int32_t)state[H];
    float *cache = state + H + 1 + most, *x = scratch, *u = x + H, *q = u + H, *o = q + 3 * H, *A = o + H;
    const float root = (float)sqrt((double)H), scale = (float)(1 / sqrt((double)d));
    zoo_embed(1, m->E, &item, root, x);
    zoo_add(H, m->place->w + at * H, x);
    for (int32_t l = 0; l < net->options.layers; ++l, cache += most * 2 * H) {
        zoo_norm(1, m->layer[l].norm1, x, u);
        zoo_linear_row(m->layer[l].Wq, m->layer[l].bq, u, q);
        memcpy(cache + at * 2 * H, q + H, 2 * (size_t)H * sizeof *q);
        memset(o, 0, (size_t)H * sizeof *o);
        for (int32_t head = 0; head < heads; ++head) {
            const float *key = cache + head * d;
            for (int32_t j = 0; j <= at; ++j) A[j] = scale * zoo_dot(d, q + head * d, key + j * 2 * H);
            zoo_softmax(at + 1, A);
            for (int32_t j = 0; j <= at; ++j) zoo_axpy(d, A[j], key + j * 2 * H + H, o + head * d);
        }
        zoo_linear_row(m->layer[l].Wo, m->layer[l].bo, o, u);
        zoo_add(H, u, x);
        zoo_norm(1, m->layer[l].norm2, x, u);
        zoo_linear_row(m->layer[l].W1, m->layer[l].b1, u, o);
        zoo_relu(H, o);
        zoo_linear_row(m->layer[l].W2, m->layer[l].b2, o, u);
        zoo_add(H, u, x);
    }
    zoo_norm(1, m->norm, x, state);
    state[H + 1 + at] = (float)item;
    state[H] = (float)(at + 1);
}

// A session that has filled its places goes on from its newer half.
static inline void sasrec_click(const zoo *net, const void *model, float *state, int32_t item,
                                float *scratch) {
    const int32_t H = net->options.width, most = net->options.most_clicks, keep = most / 2;
    if ((int32_t)state[H] == most) {
        state[H] = 0;
        for (int32_t i = most - keep; i < most; ++i)
            sasrec_step(net, (const sasrec *)model, state, (int32_t)state[H + 1 + i], scratch);
    }
    sasrec_step(net, (const sasrec *)model, state, item, scratch);
}

static inline void sasrec_scores(const void *model, const zoo_tensor **vectors, const zoo_tensor **biases) {
    *vectors = ((const sasrec *)model)->E;
    *biases = ((const sasrec *)model)->b;
}

static const zoo_model zoo_sasrec = {"sasrec",
                                     {100, 2, 2, 50, 20, 64, 0, (float)0.3, (float)0.002, (float)0.01, 1,
                                      (float)0.05},
                                     sasrec_create,
                                     sasrec_train,
                                     sasrec_floats,
                                     sasrec_click,
                                     sasrec_scores};

#endif // ZOO_SASREC_H
