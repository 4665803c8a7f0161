// stamp.h - STAMP: short-term attention and memory priority (Liu et al., KDD 2018)
//
//     m_s = mean of x_0 .. x_t                                 the session in general, x_j the items' vectors
//     a_j = w0 . sigmoid(W1 x_j + W2 x_t + W3 m_s + b)         how much click j matters now, 0 <= j <= t
//     m_a = sum of a_j x_j
//     h   = tanh(Ws m_a + bs) * tanh(Wt x_t + bt)              scores = h E^T + b
//
// No recurrence at all: the last click asks, the earlier ones answer. The paper puts it above NARM and
// GRU4Rec.
// Measured on rsc15_100k: Recall@20 .6177, MRR@20 .3197, below GRU4Rec.
#ifndef ZOO_STAMP_H
#define ZOO_STAMP_H

#include "learn.h"

typedef struct stamp {
    zoo_tensor *W1, *W2, *W3, *b1, *w0, *Ws, *bs, *Wt, *bt;
} stamp;

static inline void *stamp_create(zoo *net) {
    stamp *m = (stamp *)zoo_zeros(1, sizeof *m);
    const int32_t H = net->options.width;
    zoo_scores(net, net->items, H);
    m->W1 = zoo_matrix(net, H, H), m->W2 = zoo_matrix(net, H, H), m->W3 = zoo_matrix(net, H, H);
    m->b1 = zoo_bias(net, H), m->w0 = zoo_matrix(net, 1, H);
    m->Ws = zoo_matrix(net, H, H), m->bs = zoo_bias(net, H);
    m->Wt = zoo_matrix(net, H, H), m->bt = zoo_bias(net, H);
    return m;
}

typedef struct stamp_pass {
    float *x, *mask, *mean, *u1, *u2, *u3, *a, *memory, *s, *t, *h;
    int32_t *at;    // [P] where in a [pairs] and g [pairs,H] those of a place begin
    float *g;       // sigmoid(..) of each pair (t, j)
} stamp_pass;

static inline void stamp_run(zoo *net, const stamp *m, const zoo_batch *batch, stamp_pass *p) {
    const int32_t H = net->options.width, P = batch->places;
    int32_t pairs = 0;
    p->at = zoo_integers(net, P);
    zoo_embed(P, net->E, batch->items, 1, p->x = zoo_floats(net, P, H));
    p->mask = zoo_dropout(net, P * H, p->x);
    p->mean = zoo_floats(net, P, H);
    for (int32_t s = 0; s < batch->sessions; ++s)
        for (int32_t i = batch->begins[s], n = 1; i < batch->begins[s + 1]; ++i, ++n) {
            for (int32_t j = batch->begins[s]; j <= i; ++j)
                zoo_axpy(H, 1 / (float)n, p->x + j * H, p->mean + i * H);
            p->at[i] = pairs;
            pairs += n;
        }
    zoo_linear(net, P, m->W1, NULL, p->x, p->u1 = zoo_floats(net, P, H));
    zoo_linear(net, P, m->W2, m->b1, p->x, p->u2 = zoo_floats(net, P, H));
    zoo_linear(net, P, m->W3, NULL, p->mean, p->u3 = zoo_floats(net, P, H));
    p->a = zoo_floats(net, 1, pairs), p->g = zoo_floats(net, pairs, H), p->memory = zoo_floats(net, P, H);
    for (int32_t s = 0; s < batch->sessions; ++s)
        for (int32_t i = batch->begins[s]; i < batch->begins[s + 1]; ++i)
            for (int32_t j = batch->begins[s]; j <= i; ++j) {
                const int32_t pair = p->at[i] + j - batch->begins[s];
                float *g = p->g + (ptrdiff_t)pair * H;
                for (int32_t k = 0; k < H; ++k) g[k] = p->u1[j * H + k] + p->u2[i * H + k] + p->u3[i * H + k];
                sessrec_sigmoid(H, g, g);
                p->a[pair] = zoo_dot(H, m->w0->w, g);
                zoo_axpy(H, p->a[pair], p->x + j * H, p->memory + i * H);
            }
    zoo_linear(net, P, m->Ws, m->bs, p->memory, p->s = zoo_floats(net, P, H));
    zoo_linear(net, P, m->Wt, m->bt, p->x, p->t = zoo_floats(net, P, H));
    sessrec_tanh(P * H, p->s, p->s);
    sessrec_tanh(P * H, p->t, p->t);
    p->h = zoo_floats(net, P, H);
    for (int32_t k = 0; k < P * H; ++k) p->h[k] = p->s[k] * p->t[k];
}

static inline double stamp_train(zoo *net, void *model, const zoo_batch *batch) {
    stamp *m = (stamp *)model;
    const int32_t H = net->options.width, P = batch->places;
    stamp_pass p;
    stamp_run(net, m, batch, &p);
    float *dh = zoo_floats(net, P, H), *ds = zoo_floats(net, P, H), *dt = zoo_floats(net, P, H),
          *dx = zoo_floats(net, P, H), *dy = zoo_floats(net, P, H), *d1 = zoo_floats(net, P, H),
          *d2 = zoo_floats(net, P, H), *dg = zoo_floats(net, 1, H);
    const double loss = zoo_loss(net, P, p.h, batch->targets, dh);
    for (int32_t k = 0; k < P * H; ++k) {
        ds[k] = dh[k] * p.t[k] * (1 - p.s[k] * p.s[k]);
        dt[k] = dh[k] * p.s[k] * (1 - p.t[k] * p.t[k]);
    }
    zoo_linear_back(net, P, m->Wt, m->bt, p.x, dt, dx);
    zoo_linear_back(net, P, m->Ws, m->bs, p.memory, ds, dy);
    // da_j = dm_a . x_j     dx_j += a_j dm_a     dw0 += da_j g_j     before the sigmoid: da_j w0 g_j (1-g_j)
    for (int32_t s = 0; s < batch->sessions; ++s)
        for (int32_t i = batch->begins[s]; i < batch->begins[s + 1]; ++i)
            for (int32_t j = batch->begins[s]; j <= i; ++j) {
                const int32_t pair = p.at[i] + j - batch->begins[s];
                const float *g = p.g + (ptrdiff_t)pair * H, da = zoo_dot(H, dy + i * H, p.x + j * H);
                zoo_axpy(H, p.a[pair], dy + i * H, dx + j * H);
                zoo_axpy(H, da, g, m->w0->g);
                for (int32_t k = 0; k < H; ++k) dg[k] = da * m->w0->w[k] * g[k] * (1 - g[k]);
                zoo_add(H, dg, d1 + j * H);
                zoo_add(H, dg, d2 + i * H);
            }
    zoo_linear_back(net, P, m->W1, NULL, p.x, d1, dy);
    zoo_add(P * H, dy, dx);
    zoo_linear_back(net, P, m->W2, m->b1, p.x, d2, dy);
    zoo_add(P * H, dy, dx);
    zoo_linear_back(net, P, m->W3, NULL, p.mean, d2, dy);
    for (int32_t s = 0; s < batch->sessions; ++s)
        for (int32_t i = batch->begins[s], n = 1; i < batch->begins[s + 1]; ++i, ++n)
            for (int32_t j = batch->begins[s]; j <= i; ++j) zoo_axpy(H, 1 / (float)n, dy + i * H, dx + j * H);
    zoo_mask(P * H, p.mask, dx);
    zoo_embed_back(P, net->E, batch->items, 1, dx);
    return loss;
}

static inline const float *stamp_next(zoo *net, const void *model, const zoo_batch *session) {
    const int32_t last = session->places - 1;
    stamp_pass p;
    stamp_run(net, (const stamp *)model, session, &p);
    zoo_show(net, "attention", 0, 0, last + 1, p.a + p.at[last]);
    return p.h + last * net->options.width;
}

static const zoo_model zoo_stamp = {
    "stamp",
    {100, 1, 1, 50, 8, 64, 0, (float)0.3, (float)0.003, (float)0.01, 1, (float)0.05, SESSREC_LOSS_XE, 0, 0},
    stamp_create, stamp_train, NULL, 1, NULL, stamp_next};

#endif // ZOO_STAMP_H
