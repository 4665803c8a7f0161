// bst.h - BST: the behavior sequence transformer (Chen et al., DLP-KDD 2019)
//
// A click is more than its item: attention over the session reads
//     x_i = E[item] sqrt(H) + place + C[category] + G[gap to the click before] + T[hour of the day]
//     h   = relu(y W1 + b1) W2 + b2        y: what the encoder says at the last place; slope 0.01 below 0
// for every category column of the log. The paper puts the candidate into the sequence and runs all of it for
// each, to rate a few that another model has found. Here the whole catalog is ranked, scores = h E^T + b, so
// the candidate stays out. Gaps go by powers of 2 seconds; a log whose times are only an order, like
// yoochoose_1_64, has none worth reading.
// Measured on rsc15_100k, which has no categories: Recall@20 .6880, MRR@20 .3661, below SASRec, which knows
// none of it.
#ifndef ZOO_BST_H
#define ZOO_BST_H

#include "sasrec.h"

enum { BST_GAPS = 24, BST_HOURS = 25 };     // the first gap and the last hour: unknown

static inline void *bst_create(zoo *net) {
    encoder *m = encoder_of(net, &sasrec_mixer, 0);
    const int32_t H = net->options.width;
    encoder_side(net, m, BST_GAPS);
    encoder_side(net, m, BST_HOURS);
    for (int32_t c = 0; c < net->category_columns; ++c) encoder_side(net, m, net->category_count[c]);
    m->head[0] = zoo_matrix(net, H, 2 * H), m->head[1] = zoo_bias(net, 2 * H);
    m->head[2] = zoo_matrix(net, 2 * H, H), m->head[3] = zoo_bias(net, H);
    return m;
}

// 1 + log2(1 + seconds), or 0 if one of the times is unknown or it is the first click.
static inline int32_t bst_gap(double seconds) {
    int32_t gap = 1;
    if (!(seconds >= 0)) return 0;
    while (gap < BST_GAPS - 1 && seconds >= 1) seconds = (seconds - 1) / 2, ++gap;
    return gap;
}
static inline int32_t bst_hour(double time) {
    return time - time == 0 ? (int32_t)(floor(time / 3600) - 24 * floor(time / 86400)) : BST_HOURS - 1;
}

static inline float *bst_encode(zoo *net, const encoder *m, const zoo_batch *batch, encoder_pass *p) {
    memset(p, 0, sizeof *p);
    for (int32_t k = 1; k < m->sides; ++k) p->side[k] = zoo_integers(net, batch->places);
    for (int32_t s = 0; s < batch->sessions; ++s)
        for (int32_t i = batch->begins[s]; i < batch->begins[s + 1]; ++i) {
            p->side[1][i] = i > batch->begins[s] ? bst_gap(batch->times[i] - batch->times[i - 1]) : 0;
            p->side[2][i] = bst_hour(batch->times[i]);
            for (int32_t c = 0; c < net->category_columns; ++c)
                p->side[3 + c][i] = net->category[c][batch->items[i]];
        }
    return encoder_forward(net, m, batch, p);
}
static inline float *bst_head(zoo *net, const encoder *m, int32_t P, const float *y, float **hidden) {
    float *h = zoo_floats(net, P, net->options.width);
    zoo_linear(net, P, m->head[0], m->head[1], y, *hidden = zoo_floats(net, P, m->head[0]->columns));
    zoo_relu(P * m->head[0]->columns, (float)0.01, *hidden);
    zoo_linear(net, P, m->head[2], m->head[3], *hidden, h);
    return h;
}

static inline double bst_train(zoo *net, void *model, const zoo_batch *batch) {
    encoder *m = (encoder *)model;
    encoder_pass pass;
    const int32_t P = batch->places, H = net->options.width, n = P * m->head[0]->columns;
    float *y = bst_encode(net, m, batch, &pass), *hidden, *dh = zoo_floats(net, P, H),
          *dy = zoo_floats(net, P, H), *d_hidden = zoo_floats(net, 1, n);
    const float *mask = zoo_dropout(net, P * H, y), *h = bst_head(net, m, P, y, &hidden);
    const double loss = zoo_loss(net, P, h, batch->targets, dh);
    zoo_linear_back(net, P, m->head[2], m->head[3], hidden, dh, d_hidden);
    zoo_relu_back(n, (float)0.01, hidden, d_hidden);
    zoo_linear_back(net, P, m->head[0], m->head[1], y, d_hidden, dy);
    zoo_mask(P * H, mask, dy);
    encoder_backward(net, m, batch, &pass, dy);
    return loss;
}

static inline const float *bst_next(zoo *net, const void *model, const zoo_batch *session) {
    const encoder *m = (const encoder *)model;
    encoder_pass pass;
    float *hidden, *y = bst_encode(net, m, session, &pass);
    return bst_head(net, m, 1, y + (session->places - 1) * net->options.width, &hidden);
}

static const zoo_model zoo_bst = {
    "bst",
    {100, 2, 1, 50, 8, 64, 0, (float)0.3, (float)0.002, (float)0.01, 1, (float)0.05, SESSREC_LOSS_XE, 0, 0},
    bst_create, bst_train, NULL, 1, NULL, bst_next};

#endif // ZOO_BST_H
