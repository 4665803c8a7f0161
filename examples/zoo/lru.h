// lru.h - the linear recurrent unit (Orvieto et al., ICML 2023) for recommendation (LRURec: Yue et al., WSDM
// 2024)
//
// A recurrence without a nonlinearity: H complex numbers that turn and fade, one by one,
//     s_t = l s_(t-1) + c u_t     l = exp(-e^a + i e^b)     c = sqrt(1 - |l|^2)     out = [Re s, Im s]
// u, complex too, and what is made of the states are products with matrices, for all places at once; a
// session that is served keeps s alone: constant memory and time, like a GRU, but what fades and how fast is
// learned for each number and does not depend on the click. The paper promises the accuracy of attention.
// Measured on rsc15_100k: Recall@20 .7013, MRR@20 .3757, next to SASRec.
#ifndef ZOO_LRU_H
#define ZOO_LRU_H

#include "encoder.h"

// rates [2,H]: a and b. First |l| uniform in a ring up to 0.99, and the angle in a circle.
static inline void lru_rates(zoo_tensor *rates) {
    for (int32_t j = 0; j < rates->columns; ++j) {
        rates->w[j] = (float)log(-log(0.05 + 0.94 * (double)rates->w[j]));
        rates->w[rates->columns + j] = (float)log(0.01 + 6.27 * (double)rates->w[rates->columns + j]);
    }
}

typedef struct lru_rate {
    double size, angle, re, im, c;  // |l|, its angle, l, c
} lru_rate;

static inline lru_rate lru_rate_of(const zoo_tensor *rates, int32_t j) {
    lru_rate r;
    r.size = exp(-exp((double)rates->w[j]));
    r.angle = exp((double)rates->w[rates->columns + j]);
    r.re = r.size * cos(r.angle), r.im = r.size * sin(r.angle);
    r.c = sqrt(1 - r.size * r.size);
    return r;
}

// How much of each number is left after one click.
static inline void lru_show(zoo *net, const zoo_tensor *rates, int32_t layer) {
    float *sizes = zoo_floats(net, 1, rates->columns);
    for (int32_t j = 0; j < rates->columns; ++j) sizes[j] = (float)lru_rate_of(rates, j).size;
    zoo_show(net, "left", layer, 0, rates->columns, sizes);
}

static inline void lru_mix(zoo *net, const zoo_batch *batch, const zoo_tensor *rates, const float *in,
                           mixed *m) {
    const int32_t H = rates->columns;
    float *s = m->out = zoo_floats(net, batch->places, 2 * H);
    for (int32_t j = 0; j < H; ++j) {
        const lru_rate r = lru_rate_of(rates, j);
        for (int32_t session = 0; session < batch->sessions; ++session) {
            double re = 0, im = 0;
            for (int32_t i = batch->begins[session]; i < batch->begins[session + 1]; ++i) {
                const double next = r.re * re - r.im * im + r.c * (double)in[i * 2 * H + j];
                im = r.re * im + r.im * re + r.c * (double)in[i * 2 * H + H + j];
                re = next;
                s[i * 2 * H + j] = (float)re;
                s[i * 2 * H + H + j] = (float)im;
            }
        }
    }
}

// Back in time through the session: g_t = ds_t + conj(l) g_(t+1)
//     du_t = c g_t     dl = sum of g_t conj(s_(t-1))     dc = sum of Re(conj(g_t) u_t)
static inline void lru_mix_back(zoo *net, const zoo_batch *batch, zoo_tensor *rates, const float *in,
                                mixed *m, const float *d_out, float *d_in) {
    const int32_t H = rates->columns;
    const float *s = m->out;
    (void)net;
    for (int32_t j = 0; j < H; ++j) {
        const lru_rate r = lru_rate_of(rates, j);
        double d_re = 0, d_im = 0, d_c = 0;
        for (int32_t session = 0; session < batch->sessions; ++session) {
            double re = 0, im = 0;  // g
            for (int32_t i = batch->begins[session + 1] - 1; i >= batch->begins[session]; --i) {
                const int32_t at = i * 2 * H + j;
                const double next = r.re * re + r.im * im + (double)d_out[at];
                im = r.re * im - r.im * re + (double)d_out[at + H];
                re = next;
                d_in[at] = (float)(r.c * re);
                d_in[at + H] = (float)(r.c * im);
                d_c += re * (double)in[at] + im * (double)in[at + H];
                if (i == batch->begins[session]) continue;
                const double before_re = (double)s[at - 2 * H], before_im = (double)s[at - H];
                d_re += re * before_re + im * before_im;
                d_im += im * before_re - re * before_im;
            }
        }
        // l = size e^(i angle), size = exp(-e^a), angle = e^b, c = sqrt(1 - size^2)
        const double d_size = d_re * cos(r.angle) + d_im * sin(r.angle) - d_c * r.size / r.c,
                     d_angle = d_im * r.re - d_re * r.im;
        rates->g[j] += (float)(-d_size * r.size * exp((double)rates->w[j]));
        rates->g[H + j] += (float)(d_angle * r.angle);
    }
}

static inline void lru_mix_click(zoo *net, const zoo_tensor *rates, int32_t layer, int32_t at,
                                 const float *in, float *memory, float *out) {
    const int32_t H = rates->columns;
    (void)at;
    for (int32_t j = 0; j < H; ++j) {
        const lru_rate r = lru_rate_of(rates, j);
        const double re = (double)memory[j], im = (double)memory[H + j];
        out[j] = memory[j] = (float)(r.re * re - r.im * im + r.c * (double)in[j]);
        out[H + j] = memory[H + j] = (float)(r.re * im + r.im * re + r.c * (double)in[H + j]);
    }
    if (net->show) lru_show(net, rates, layer);
}

static const mixer lru_mixer = {2, 2, 0, 2, lru_mix, lru_mix_back, lru_mix_click, lru_rates};

static inline void *lru_create(zoo *net) {
    return encoder_of(net, &lru_mixer, 0);
}
// The state: h [H], how many clicks [1], and s of each layer [2H]
static inline size_t lru_floats(const zoo *net) {
    return (size_t)net->options.width * (1 + 2 * (size_t)net->options.layers) + 1;
}
static inline void lru_click(zoo *net, const void *model, float *state, int32_t item) {
    encoder_click(net, (const encoder *)model, state, item, state + net->options.width + 1);
}

static const zoo_model zoo_lru = {
    "lru",
    {100, 1, 2, 50, 8, 64, 0, (float)0.4, (float)0.002, (float)0.01, 1, (float)0.05, SESSREC_LOSS_XE, 0, 0},
    lru_create, encoder_train, lru_floats, 0, lru_click, NULL};

#endif // ZOO_LRU_H
