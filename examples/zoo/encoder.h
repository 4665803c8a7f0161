// encoder.h - the frame that SASRec, LRU and BERT4Rec share: layers of a mixer, which is where places hear of
// each other, and of a small network for each place, both with a norm in front and added to what was there
//
//     x_0 = E[item] sqrt(H) (+ place)
//     x'  = x + dropout(mix(norm(x) Wi + bi) Wo + bo)
//     x   = x' + dropout(relu(norm(x') W1 + b1) W2 + b2)      for each layer
//     h   = norm(x)         scores = h E^T + b                the table is input and output
//
// The mixer is all that differs: attention or a linear recurrence. Norms stand in front since transformers
// are trained without tricks (Xiong et al. 2020).
#ifndef ZOO_ENCODER_H
#define ZOO_ENCODER_H

#include "zoo.h"

enum { ENCODER_LAYERS = 4 };

// What a mixer keeps of a mini-batch for its backward pass.
typedef struct mixed {
    zoo_attention attention;    // attention only
    float *out;                 // [P,out H]
} mixed;

typedef struct mixer {
    int32_t in, out;            // widths of what goes in and comes out, in multiples of H
    int32_t places;             // 1: places have vectors of their own
    int32_t rates;              // rows of a tensor [rates,H] of its own; 0: none
    void (*forward)(zoo *net, const zoo_batch *batch, const zoo_tensor *rates, const float *in, mixed *m);
    void (*backward)(zoo *net, const zoo_batch *batch, zoo_tensor *rates, const float *in, mixed *m,
                     const float *d_out, float *d_in);
    // One click: `memory` of a layer [most, 2H] is kept between clicks, `at` counts them; scratch [most].
    void (*click)(const zoo *net, const zoo_tensor *rates, int32_t at, const float *in, float *memory,
                  float *out, float *scratch);
    void (*create)(zoo_tensor *rates);
} mixer;

typedef struct encoder_layer {
    zoo_tensor *norm1, *Wi, *bi, *Wo, *bo, *rates;  // [2,H] [H,in H] [1,in H] [out H,H] [1,H] [rates,H]
    zoo_tensor *norm2, *W1, *b1, *W2, *b2;          // [2,H] [H,H] [1,H] [H,H] [1,H]
} encoder_layer;

typedef struct encoder {
    const mixer *mix;
    zoo_tensor *E, *b, *place, *norm;                   // [V,H] [V,1] [most,H] [2,H]
    encoder_layer layer[ENCODER_LAYERS];
} encoder;

// What a mini-batch leaves for the backward pass.
typedef struct encoder_pass {
    int32_t *places;
    float *mask, *last;
    struct {
        float *x, *u, *in, *mask1, *middle, *v, *f, *mask2;
        mixed m;
    } layer[ENCODER_LAYERS];
} encoder_pass;

// extra: more items than the catalog has, as BERT4Rec's mask
static inline encoder *encoder_of(zoo *net, const mixer *mix, int32_t extra) {
    encoder *m = (encoder *)zoo_zeros(1, sizeof *m);
    const int32_t H = net->options.width;
    if (net->options.layers > ENCODER_LAYERS) net->options.layers = ENCODER_LAYERS;
    m->mix = mix;
    m->E = zoo_matrix(net, net->items + extra, H);
    m->b = zoo_tensor_of(net, net->items + extra, 1, 0, 0);
    if (mix->places) m->place = zoo_tensor_of(net, net->options.most_clicks + extra, H, 0.02, 0);
    m->norm = zoo_norm_of(net, H);
    for (int32_t l = 0; l < net->options.layers; ++l) {
        encoder_layer *e = &m->layer[l];
        e->norm1 = zoo_norm_of(net, H);
        e->Wi = zoo_matrix(net, H, mix->in * H), e->bi = zoo_tensor_of(net, 1, mix->in * H, 0, 0);
        e->Wo = zoo_matrix(net, mix->out * H, H), e->bo = zoo_tensor_of(net, 1, H, 0, 0);
        if (mix->rates) mix->create(e->rates = zoo_tensor_of(net, mix->rates, H, 0.5, 0.5));
        e->norm2 = zoo_norm_of(net, H);
        e->W1 = zoo_matrix(net, H, H), e->b1 = zoo_tensor_of(net, 1, H, 0, 0);
        e->W2 = zoo_matrix(net, H, H), e->b2 = zoo_tensor_of(net, 1, H, 0, 0);
    }
    return m;
}

// h [P,H] of a mini-batch
static inline float *encoder_forward(zoo *net, const encoder *m, const zoo_batch *batch, encoder_pass *p) {
    const int32_t H = net->options.width, P = batch->places, n = P * H;
    float *x = zoo_floats(net, P, H), *y = zoo_floats(net, P, H), *h = zoo_floats(net, P, H);
    zoo_embed(P, m->E, batch->items, (float)sqrt((double)H), x);
    p->places = (int32_t *)zoo_bytes(net, (size_t)P * sizeof *p->places);
    for (int32_t s = 0; s < batch->sessions; ++s)
        for (int32_t i = batch->begins[s]; i < batch->begins[s + 1]; ++i) p->places[i] = i - batch->begins[s];
    if (m->place) {
        zoo_embed(P, m->place, p->places, 1, y);
        zoo_add(n, y, x);
    }
    p->mask = zoo_dropout(net, n, x);
    for (int32_t l = 0; l < net->options.layers; ++l) {
        const encoder_layer *e = &m->layer[l];
        p->layer[l].x = x;
        zoo_norm(P, e->norm1, x, p->layer[l].u = zoo_floats(net, P, H));
        zoo_linear(net, P, e->Wi, e->bi, p->layer[l].u, p->layer[l].in = zoo_floats(net, P, m->mix->in * H));
        m->mix->forward(net, batch, e->rates, p->layer[l].in, &p->layer[l].m);
        x = zoo_floats(net, P, H);
        zoo_linear(net, P, e->Wo, e->bo, p->layer[l].m.out, x);
        p->layer[l].mask1 = zoo_dropout(net, n, x);
        zoo_add(n, p->layer[l].x, x);
        p->layer[l].middle = x;
        zoo_norm(P, e->norm2, x, p->layer[l].v = zoo_floats(net, P, H));
        zoo_linear(net, P, e->W1, e->b1, p->layer[l].v, p->layer[l].f = zoo_floats(net, P, H));
        zoo_relu(n, p->layer[l].f);
        x = zoo_floats(net, P, H);
        zoo_linear(net, P, e->W2, e->b2, p->layer[l].f, x);
        p->layer[l].mask2 = zoo_dropout(net, n, x);
        zoo_add(n, p->layer[l].middle, x);
    }
    zoo_norm(P, m->norm, p->last = x, h);
    return h;
}

static inline void encoder_backward(zoo *net, encoder *m, const zoo_batch *batch, encoder_pass *p,
                                    const float *dh) {
    const int32_t H = net->options.width, P = batch->places, n = P * H;
    float *dx = zoo_floats(net, P, H), *dy = zoo_floats(net, P, H), *df = zoo_floats(net, P, H),
          *d_in = zoo_floats(net, P, m->mix->in * H), *d_out = zoo_floats(net, P, m->mix->out * H);
    zoo_norm_back(P, m->norm, p->last, dh, dx);
    for (int32_t l = net->options.layers - 1; l >= 0; --l) {
        encoder_layer *e = &m->layer[l];
        memcpy(dy, dx, (size_t)n * sizeof *dy);
        zoo_mask(n, p->layer[l].mask2, dy);
        zoo_linear_back(net, P, e->W2, e->b2, p->layer[l].f, dy, df);
        zoo_relu_back(n, p->layer[l].f, df);
        zoo_linear_back(net, P, e->W1, e->b1, p->layer[l].v, df, dy);
        zoo_norm_back(P, e->norm2, p->layer[l].middle, dy, df);
        zoo_add(n, df, dx);
        memcpy(dy, dx, (size_t)n * sizeof *dy);
        zoo_mask(n, p->layer[l].mask1, dy);
        zoo_linear_back(net, P, e->Wo, e->bo, p->layer[l].m.out, dy, d_out);
        m->mix->backward(net, batch, e->rates, p->layer[l].in, &p->layer[l].m, d_out, d_in);
        zoo_linear_back(net, P, e->Wi, e->bi, p->layer[l].u, d_in, dy);
        zoo_norm_back(P, e->norm1, p->layer[l].x, dy, df);
        zoo_add(n, df, dx);
    }
    zoo_mask(n, p->mask, dx);
    zoo_embed_back(P, m->E, batch->items, (float)sqrt((double)H), dx);
    if (m->place) zoo_embed_back(P, m->place, p->places, 1, dx);
}

// Each place says what comes next.
static inline double encoder_train(zoo *net, void *model, const zoo_batch *batch) {
    encoder *m = (encoder *)model;
    encoder_pass pass;
    const float *h = encoder_forward(net, m, batch, &pass);
    float *dh = zoo_floats(net, batch->places, net->options.width);
    const double loss = zoo_loss(net, batch->places, h, batch->targets, m->E, m->b, dh);
    encoder_backward(net, m, batch, &pass, dh);
    return loss;
}

// ---- serving ----------------------------------------------------------------------------------------------
// The state: h [H], how many clicks [1], their items [most], and for each layer what its mixer keeps
// [most,2H].

static inline size_t encoder_floats(const zoo *net) {
    const size_t H = (size_t)net->options.width, most = (size_t)net->options.most_clicks;
    return H + 1 + most + (size_t)net->options.layers * most * 2 * H;
}

static inline void encoder_step(const zoo *net, const encoder *m, float *state, int32_t item,
                                float *scratch) {
    const int32_t H = net->options.width, most = net->options.most_clicks, at = (int32_t)state[H];
    float *memory = state + H + 1 + most, *x = scratch, *u = x + H, *in = u + H, *out = in + 3 * H,
          *more = out + 2 * H;
    zoo_embed(1, m->E, &item, (float)sqrt((double)H), x);
    if (m->place) zoo_add(H, m->place->w + at * H, x);
    for (int32_t l = 0; l < net->options.layers; ++l, memory += most * 2 * H) {
        const encoder_layer *e = &m->layer[l];
        zoo_norm(1, e->norm1, x, u);
        zoo_linear_row(e->Wi, e->bi, u, in);
        m->mix->click(net, e->rates, at, in, memory, out, more);
        zoo_linear_row(e->Wo, e->bo, out, u);
        zoo_add(H, u, x);
        zoo_norm(1, e->norm2, x, u);
        zoo_linear_row(e->W1, e->b1, u, in);
        zoo_relu(H, in);
        zoo_linear_row(e->W2, e->b2, in, u);
        zoo_add(H, u, x);
    }
    zoo_norm(1, m->norm, x, state);
    if (at < most) state[H + 1 + at] = (float)item;
    state[H] = (float)(at + 1);
}

static inline void encoder_scores(const void *model, const zoo_tensor **vectors, const zoo_tensor **biases) {
    *vectors = ((const encoder *)model)->E;
    *biases = ((const encoder *)model)->b;
}

#endif // ZOO_ENCODER_H
