// sasrec.h - SASRec: self-attentive sequential recommendation (Kang, McAuley, ICDM 2018)
//
// A session is a sentence: each place looks back at all places up to its own and takes from them by attention
//     A = softmax(Q K^T / sqrt(d)), causal     out = A V       [Q K V] = norm(x) Wi + bi
// The paper says that this beats recurrent networks. It was trained with one negative a place; with
// cross-entropy over the catalog or over samples, as here, it is far stronger (Klenitskiy, Vasilev 2023).
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

static inline void sasrec_mix_click(const zoo *net, const zoo_tensor *rates, int32_t at, const float *in,
                                    float *memory, float *out, float *A) {
    const int32_t H = net->options.width, d = H / net->options.heads;
    const float scale = (float)(1 / sqrt((double)d));
    (void)rates;
    memcpy(memory + at * 2 * H, in + H, 2 * (size_t)H * sizeof *in);
    memset(out, 0, (size_t)H * sizeof *out);
    for (int32_t head = 0; head < H; head += d) {
        const float *key = memory + head;
        for (int32_t j = 0; j <= at; ++j) A[j] = scale * zoo_dot(d, in + head, key + j * 2 * H);
        zoo_softmax(at + 1, A);
        for (int32_t j = 0; j <= at; ++j) zoo_axpy(d, A[j], key + j * 2 * H + H, out + head);
    }
}

static const mixer sasrec_mixer = {3, 1, 1, 0, sasrec_mix, sasrec_mix_back, sasrec_mix_click, NULL};

static inline void *sasrec_create(zoo *net) {
    return encoder_of(net, &sasrec_mixer, 0);
}

// A session that has filled its places goes on from its newer half.
static inline void sasrec_click(const zoo *net, const void *model, float *state, int32_t item,
                                float *scratch) {
    const int32_t H = net->options.width, most = net->options.most_clicks;
    if ((int32_t)state[H] == most) {
        state[H] = 0;
        for (int32_t i = most - most / 2; i < most; ++i)
            encoder_step(net, (const encoder *)model, state, (int32_t)state[H + 1 + i], scratch);
    }
    encoder_step(net, (const encoder *)model, state, item, scratch);
}

static const zoo_model zoo_sasrec = {
    "sasrec",
    {100, 2, 2, 50, 8, 64, 0, (float)0.4, (float)0.002, (float)0.01, 1, (float)0.05, SESSREC_LOSS_XE},
    sasrec_create, encoder_train, encoder_floats, sasrec_click, encoder_scores};

#endif // ZOO_SASREC_H
