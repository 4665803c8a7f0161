// sasrec.h - SASRec: self-attentive sequential recommendation (Kang, McAuley, ICDM 2018)
//
// A session is a sentence: each place looks back at all places up to its own and takes from them by attention
//     A = softmax(Q K^T / sqrt(d)), causal     out = A V       [Q K V] = norm(x) Wi + bi
// The paper says that this beats recurrent networks. It was trained with one negative a place; with
// cross-entropy over the catalog or over samples, as here, it is far stronger (Klenitskiy, Vasilev 2023).
// Measured on rsc15_100k: Recall@20 .7051, MRR@20 .3762, the best of this folder. Sampling is faster and less
// accurate: see README.md. --gates 1 is the layer of eSASRec; with --hardest K only the K hardest negatives
// count, as in TRON.
// A session that is served keeps the keys and values of its places: a click is one row of attention.
#ifndef ZOO_SASREC_H
#define ZOO_SASREC_H

#include "encoder.h"

static inline void sasrec_mix(zoo *net, const zoo_batch *batch, const zoo_tensor *rates, const float *in,
                              mixed *m) {
    (void)rates;
    m->attention = zoo_attend(net, batch, 1, in);
    m->out = m->attention.o;
}

static inline void sasrec_mix_back(zoo *net, const zoo_batch *batch, zoo_tensor *rates, const float *in,
                                   mixed *m, const float *d_out, float *d_in) {
    (void)batch, (void)rates, (void)in;
    zoo_attend_back(net, &m->attention, d_out, d_in);
}

static inline void sasrec_mix_click(zoo *net, const zoo_tensor *rates, int32_t layer, int32_t at,
                                    const float *in, float *memory, float *out) {
    const int32_t H = net->options.width, d = H / net->options.heads;
    float *A = zoo_floats(net, 1, at + 1);
    (void)rates;
    memcpy(memory + at * 2 * H, in + H, 2 * (size_t)H * sizeof *in);
    for (int32_t head = 0; head < net->options.heads; ++head) {
        const float *key = memory + head * d;
        zoo_attend_row(d, at + 1, in + head * d, key, key + H, 2 * H, A, out + head * d);
        zoo_show(net, "attention", layer, head, at + 1, A);
    }
}

static const mixer sasrec_mixer = {3, 1, 1, 0, sasrec_mix, sasrec_mix_back, sasrec_mix_click, NULL};

static inline void *sasrec_create(zoo *net) {
    return encoder_of(net, &sasrec_mixer, 0);
}

// The state: h [H], how many clicks [1], their items [most], and keys and values of each layer [most,2H].
static inline size_t sasrec_floats(const zoo *net) {
    const size_t H = (size_t)net->options.width, most = (size_t)net->options.most_clicks;
    return H + 1 + most + (size_t)net->options.layers * most * 2 * H;
}

// A session that has filled its places goes on from its newer half.
static inline void sasrec_click(zoo *net, const void *model, float *state, int32_t item) {
    const int32_t most = net->options.most_clicks;
    float *count = state + net->options.width, *items = count + 1, *memory = items + most;
    const int32_t show = net->show;
    if ((int32_t)*count == most) {
        *count = 0;
        net->show = 0;
        memmove(items, items + most - most / 2, (size_t)(most / 2) * sizeof *items);
        for (int32_t i = 0; i < most / 2; ++i)
            encoder_click(net, (const encoder *)model, state, (int32_t)items[i], memory);
    }
    net->show = show;
    items[(int32_t)*count] = (float)item;
    encoder_click(net, (const encoder *)model, state, item, memory);
}

static const zoo_model zoo_sasrec = {
    "sasrec",
    {100, 2, 2, 50, 8, 64, 0, (float)0.4, (float)0.002, (float)0.01, 1, (float)0.05, SESSREC_LOSS_XE, 0, 0},
    sasrec_create, encoder_train, sasrec_floats, 1, sasrec_click, NULL};

#endif // ZOO_SASREC_H
