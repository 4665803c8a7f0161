// caser.h - Caser (Tang, Wang, WSDM 2018): the last items as an image, read by convolutions
//
// X [L,H] are the vectors of the last L items times sqrt(H), zeros where there are none.
//     horizontal   filters F [n,height H] for heights 1 .. L:  o = max_p relu(F . X[p .. p+height-1] + f)
//     vertical     filters G [m,L]:  G X [m,H], sums of the items, weighted by how long ago they were clicked
//     h = relu(W [o, G X] + w)        scores = h E^T + b, E being another table than that of X
//
// Patterns of a few clicks wherever they stand. The paper's user vectors are left out: a visitor is new here.
// Measured on rsc15_100k: Recall@20 .6233, MRR@20 .3276.
#ifndef ZOO_CASER_H
#define ZOO_CASER_H

#include "learn.h"

enum { CASER_L = 5, CASER_FILTERS = 16, CASER_VERTICAL = 4 };

typedef struct caser {
    zoo_tensor *X, *F[CASER_L], *f[CASER_L], *G, *W, *w;
} caser;

static inline void *caser_create(zoo *net) {
    caser *m = (caser *)zoo_zeros(1, sizeof *m);
    const int32_t H = net->options.width;
    m->X = zoo_table(net, net->items, H, sqrt(6.0 / ((double)net->items + (double)H)));
    zoo_scores(net, net->items, H);
    for (int32_t l = 0; l < CASER_L; ++l) {
        m->F[l] = zoo_matrix(net, CASER_FILTERS, (l + 1) * H);
        m->f[l] = zoo_bias(net, CASER_FILTERS);
    }
    m->G = zoo_matrix(net, CASER_VERTICAL, CASER_L);
    m->W = zoo_matrix(net, CASER_L * CASER_FILTERS + CASER_VERTICAL * H, H);
    m->w = zoo_bias(net, H);
    return m;
}

typedef struct caser_pass {
    zoo *net;
    const caser *m;
    int32_t width;      // of o and G X together
    int32_t *first;     // [P] the session's first place
    float *x, *mask;    // [P,H] item vectors
    float *X, *o, *h;   // [P,L,H] [P,width] [P,H]
    int32_t *best;      // [P,L,FILTERS] the p of the maximum, -1 where relu is 0
} caser_pass;

static inline void caser_place(void *context, int32_t i) {
    const caser_pass *p = (const caser_pass *)context;
    const caser *m = p->m;
    const int32_t H = m->X->columns, n = i - p->first[i] + 1 < CASER_L ? i - p->first[i] + 1 : CASER_L;
    float *X = p->X + (ptrdiff_t)i * CASER_L * H, *o = p->o + i * p->width;
    int32_t *best = p->best + (ptrdiff_t)i * CASER_L * CASER_FILTERS;
    memcpy(X + (CASER_L - n) * H, p->x + (i - n + 1) * H, (size_t)n * (size_t)H * sizeof *X);
    for (int32_t l = 0; l < CASER_L; ++l)
        for (int32_t k = 0; k < CASER_FILTERS; ++k, ++o, ++best) {
            const float *F = m->F[l]->w + k * (l + 1) * H;
            *best = -1;
            for (int32_t at = 0; at + l < CASER_L; ++at) {
                const float y = zoo_dot((l + 1) * H, F, X + at * H) + m->f[l]->w[k];
                if (y > *o) *o = y, *best = at;
            }
        }
    sessrec_matmul(CASER_VERTICAL, H, CASER_L, m->G->w, CASER_L, 1, X, H, o, H, 0);
}

static inline void caser_run(zoo *net, const caser *m, const zoo_batch *batch, caser_pass *p) {
    const int32_t H = net->options.width, P = batch->places;
    p->net = net, p->m = m, p->width = m->W->rows;
    zoo_embed(P, m->X, batch->items, (float)sqrt((double)H), p->x = zoo_floats(net, P, H));
    p->mask = zoo_dropout(net, P * H, p->x);
    p->first = zoo_integers(net, P);
    for (int32_t s = 0; s < batch->sessions; ++s)
        for (int32_t i = batch->begins[s]; i < batch->begins[s + 1]; ++i) p->first[i] = batch->begins[s];
    p->X = zoo_floats(net, P, CASER_L * H), p->o = zoo_floats(net, P, p->width);
    p->best = zoo_integers(net, P * CASER_L * CASER_FILTERS);
    sessrec_parallel(net->pool, P, caser_place, p);
    zoo_linear(net, P, m->W, m->w, p->o, p->h = zoo_floats(net, P, H));
    zoo_relu(P * H, 0, p->h);
}

static inline double caser_train(zoo *net, void *model, const zoo_batch *batch) {
    caser *m = (caser *)model;
    caser_pass p;
    const int32_t H = net->options.width, P = batch->places;
    caser_run(net, m, batch, &p);
    const float *mask = zoo_dropout(net, P * H, p.h);
    float *dh = zoo_floats(net, P, H), *d_o = zoo_floats(net, P, p.width), *dx = zoo_floats(net, P, H),
          *dX = zoo_floats(net, CASER_L, H);
    const double loss = zoo_loss(net, P, p.h, batch->targets, dh);
    zoo_mask(P * H, mask, dh);
    zoo_relu_back(P * H, 0, p.h, dh);
    zoo_linear_back(net, P, m->W, m->w, p.o, dh, d_o);
    for (int32_t i = 0; i < P; ++i) {
        const float *X = p.X + (ptrdiff_t)i * CASER_L * H, *d = d_o + i * p.width;
        const int32_t *best = p.best + (ptrdiff_t)i * CASER_L * CASER_FILTERS;
        const int32_t n = i - p.first[i] + 1 < CASER_L ? i - p.first[i] + 1 : CASER_L;
        memset(dX, 0, CASER_L * (size_t)H * sizeof *dX);
        // the maximum passes its gradient to the one place where it was found
        for (int32_t l = 0; l < CASER_L; ++l)
            for (int32_t k = 0; k < CASER_FILTERS; ++k, ++d, ++best) {
                if (*best < 0) continue;
                zoo_axpy((l + 1) * H, *d, X + *best * H, m->F[l]->g + k * (l + 1) * H);
                zoo_axpy((l + 1) * H, *d, m->F[l]->w + k * (l + 1) * H, dX + *best * H);
                m->f[l]->g[k] += *d;
            }
        for (int32_t v = 0; v < CASER_VERTICAL; ++v, d += H)
            for (int32_t l = 0; l < CASER_L; ++l) {
                m->G->g[v * CASER_L + l] += zoo_dot(H, d, X + l * H);
                zoo_axpy(H, m->G->w[v * CASER_L + l], d, dX + l * H);
            }
        zoo_add(n * H, dX + (CASER_L - n) * H, dx + (i - n + 1) * H);
    }
    zoo_mask(P * H, p.mask, dx);
    zoo_embed_back(P, m->X, batch->items, (float)sqrt((double)H), dx);
    return loss;
}

// Only the last L clicks count.
static inline const float *caser_next(zoo *net, const void *model, const zoo_batch *session) {
    const int32_t n = session->places < CASER_L ? session->places : CASER_L, begins[2] = {0, n};
    const zoo_batch last = {1, n, begins, session->items + session->places - n, NULL, NULL};
    caser_pass p;
    caser_run(net, (const caser *)model, &last, &p);
    return p.h + (n - 1) * net->options.width;
}

static const zoo_model zoo_caser = {
    "caser",
    {100, 1, 1, 50, 16, 64, 0, (float)0.3, (float)0.002, (float)0.01, 1, (float)0.05, SESSREC_LOSS_XE, 0, 0},
    caser_create, caser_train, NULL, 1, NULL, caser_next};

#endif // ZOO_CASER_H
