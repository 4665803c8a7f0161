// encoder.h - the frame that SASRec, LRU, BERT4Rec and BST share: layers of a mixer, which is where places
// hear of each other, and of a small network for each place, both with a norm in front and added to what was
// there
//
//     x_0 = E[item] sqrt(H) + vectors of its place, category and so on
//     x'  = x + g dropout(mix(norm(x) Wi + bi) Wo + bo)
//     x   = x' + g' dropout(relu(norm(x') W1 + b1) W2 + b2)   for each layer
//     h   = norm(x)         scores = h E^T + b                the table is input and output
//
// The mixer is all that differs: attention or a linear recurrence. Norms stand in front since transformers
// are trained without tricks (Xiong et al. 2020). Without options.gates g is 1; with it g = sigmoid(x G + c)
// and g' = sigmoid(x' G' + c'), the gated layers of LiGR (Borisyuk et al. 2025) that eSASRec takes over.
#ifndef ZOO_ENCODER_H
#define ZOO_ENCODER_H

#include "attention.h"
#include "learn.h"

enum { ENCODER_LAYERS = 4, ENCODER_SIDES = 3 + ZOO_CATEGORIES };

// What a mixer keeps of a mini-batch for its backward pass.
typedef struct mixed {
    zoo_attention attention;                            // attention only
    float *out;                                         // [P,out H]
} mixed;

typedef struct mixer {
    int32_t in, out;                                    // widths, in multiples of H
    int32_t places;                                     // 1: places have vectors, and what is kept of each
    int32_t rates;                                      // rows of a tensor [rates,H] of its own; 0: none
    void (*forward)(zoo *net, const zoo_batch *batch, const zoo_tensor *rates, const float *in, mixed *m);
    void (*backward)(zoo *net, const zoo_batch *batch, zoo_tensor *rates, const float *in, mixed *m,
                     const float *d_out, float *d_in);
    // One click, the at-th, of a session of which `memory` is kept: [most,2H] with places, else [2H].
    void (*click)(zoo *net, const zoo_tensor *rates, int32_t layer, int32_t at, const float *in,
                  float *memory, float *out);
    void (*create)(zoo_tensor *rates);
} mixer;

// The norm in front of what a layer adds, and the gate behind it.
typedef struct encoder_joint {
    zoo_tensor *norm, *G, *c;                           // [2,H] [H,H] [1,H]
} encoder_joint;
typedef struct encoder_layer {
    encoder_joint joint[2];
    zoo_tensor *Wi, *bi, *Wo, *bo, *rates;              // [H,in H] [1,in H] [out H,H] [1,H] [rates,H]
    zoo_tensor *W1, *b1, *W2, *b2;                      // [H,H] [1,H] [H,H] [1,H]
} encoder_layer;

typedef struct encoder {
    const mixer *mix;
    zoo_tensor *norm, *side[ENCODER_SIDES];             // [2,H] [..,H]: vectors that are added to the item's
    int32_t sides;
    encoder_layer layer[ENCODER_LAYERS];
    zoo_tensor *head[4];                                // of BST
} encoder;

// What a mini-batch leaves for the backward pass.
typedef struct encoder_joint_pass {
    float *x, *u, *f, *mask, *gate;                     // [P,H] before, behind the norm, what is added
} encoder_joint_pass;
typedef struct encoder_pass {
    int32_t at;                                         // a session that is served: its clicks so far,
    float *memory;                                      // and what mixers keep of it; NULL in training
    int32_t *side[ENCODER_SIDES];                       // [P] rows of the encoder's sides, places first
    float *mask, *last;
    struct {
        encoder_joint_pass joint[2];
        float *in, *hidden;
        mixed m;
    } layer[ENCODER_LAYERS];
} encoder_pass;

static inline zoo_tensor *encoder_side(zoo *net, encoder *m, int32_t rows) {
    return m->side[m->sides++] = zoo_table(net, rows, net->options.width, 0.02);
}
static inline encoder_joint encoder_joint_of(zoo *net) {
    const int32_t H = net->options.width;
    encoder_joint j = {zoo_norm_of(net, H), NULL, NULL};
    if (net->options.gates) j.G = zoo_matrix(net, H, H), j.c = zoo_bias(net, H);
    return j;
}
// extra: more items than the catalog has, as BERT4Rec's mask
static inline encoder *encoder_of(zoo *net, const mixer *mix, int32_t extra) {
    encoder *m = (encoder *)zoo_zeros(1, sizeof *m);
    const int32_t H = net->options.width;
    m->mix = mix;
    zoo_scores(net, net->items + extra, H);
    if (mix->places) encoder_side(net, m, net->options.most_clicks + extra);
    m->norm = zoo_norm_of(net, H);
    for (int32_t l = 0; l < net->options.layers; ++l) {
        encoder_layer *e = &m->layer[l];
        e->joint[0] = encoder_joint_of(net);
        e->Wi = zoo_matrix(net, H, mix->in * H), e->bi = zoo_bias(net, mix->in * H);
        e->Wo = zoo_matrix(net, mix->out * H, H), e->bo = zoo_bias(net, H);
        if (mix->rates) mix->create(e->rates = zoo_tensor_of(net, mix->rates, H, 0.5, 0.5));
        e->joint[1] = encoder_joint_of(net);
        e->W1 = zoo_matrix(net, H, H), e->b1 = zoo_bias(net, H);
        e->W2 = zoo_matrix(net, H, H), e->b2 = zoo_bias(net, H);
    }
    return m;
}

// x + gate dropout(f), where f [P,H] is what the layer adds; f and the masks are kept in p
static inline float *encoder_join(zoo *net, int32_t P, const encoder_joint *j, int32_t layer, int32_t which,
                                  encoder_joint_pass *p) {
    const int32_t H = net->options.width, n = P * H;
    float *y = zoo_floats(net, P, H);
    p->mask = zoo_dropout(net, n, p->f);
    memcpy(y, p->x, (size_t)n * sizeof *y);
    if (!j->G) {
        zoo_add(n, p->f, y);
        return y;
    }
    zoo_linear(net, P, j->G, j->c, p->x, p->gate = zoo_floats(net, P, H));
    sessrec_sigmoid(n, p->gate, p->gate);
    zoo_show(net, "gate", layer, which, H, p->gate + (P - 1) * H);
    for (int32_t i = 0; i < n; ++i) y[i] += p->gate[i] * p->f[i];
    return y;
}
// df [P,H] from dy, which is then dx as far as it does not come through the norm
//     df = dy g mask     dx = dy + (dy f g (1 - g)) G^T
static inline void encoder_join_back(zoo *net, int32_t P, const encoder_joint *j, const encoder_joint_pass *p,
                                     float *dy, float *df) {
    const int32_t H = net->options.width, n = P * H;
    memcpy(df, dy, (size_t)n * sizeof *dy);
    if (j->G) {
        float *dg = zoo_floats(net, P, H), *dx = zoo_floats(net, P, H);
        for (int32_t i = 0; i < n; ++i) {
            dg[i] = dy[i] * p->f[i] * p->gate[i] * (1 - p->gate[i]);
            df[i] *= p->gate[i];
        }
        zoo_linear_back(net, P, j->G, j->c, p->x, dg, dx);
        zoo_add(n, dx, dy);
    }
    zoo_mask(n, p->mask, df);
}

// The places of a mini-batch in their sessions.
static inline void encoder_places(zoo *net, const zoo_batch *batch, encoder_pass *p) {
    p->side[0] = zoo_integers(net, batch->places);
    for (int32_t s = 0; s < batch->sessions; ++s)
        for (int32_t i = batch->begins[s]; i < batch->begins[s + 1]; ++i)
            p->side[0][i] = p->at + i - batch->begins[s];
}

// h [P,H] of a mini-batch, or of one click with p->memory; rows of sides beyond the places are in p.
static inline float *encoder_forward(zoo *net, const encoder *m, const zoo_batch *batch, encoder_pass *p) {
    const int32_t H = net->options.width, P = batch->places, n = P * H, most = net->options.most_clicks;
    float *x = zoo_floats(net, P, H), *y = zoo_floats(net, P, H), *h = zoo_floats(net, P, H);
    zoo_embed(P, net->E, batch->items, (float)sqrt((double)H), x);
    if (m->mix->places) encoder_places(net, batch, p);
    for (int32_t k = 0; k < m->sides; ++k) {
        zoo_embed(P, m->side[k], p->side[k], 1, y);
        zoo_add(n, y, x);
    }
    p->mask = zoo_dropout(net, n, x);
    for (int32_t l = 0; l < net->options.layers; ++l) {
        const encoder_layer *e = &m->layer[l];
        encoder_joint_pass *a = &p->layer[l].joint[0], *b = &p->layer[l].joint[1];
        mixed *mix = &p->layer[l].m;
        zoo_norm(P, e->joint[0].norm, a->x = x, a->u = zoo_floats(net, P, H));
        zoo_linear(net, P, e->Wi, e->bi, a->u, p->layer[l].in = zoo_floats(net, P, m->mix->in * H));
        if (!p->memory) m->mix->forward(net, batch, e->rates, p->layer[l].in, mix);
        else m->mix->click(net, e->rates, l, p->at, p->layer[l].in,
                           p->memory + l * (m->mix->places ? most : 1) * 2 * H,
                           mix->out = zoo_floats(net, P, m->mix->out * H));
        if (mix->attention.weights) zoo_attention_show(net, &mix->attention, l);
        zoo_linear(net, P, e->Wo, e->bo, mix->out, a->f = zoo_floats(net, P, H));
        x = encoder_join(net, P, &e->joint[0], l, 0, a);
        zoo_norm(P, e->joint[1].norm, b->x = x, b->u = zoo_floats(net, P, H));
        zoo_linear(net, P, e->W1, e->b1, b->u, p->layer[l].hidden = zoo_floats(net, P, H));
        zoo_relu(n, 0, p->layer[l].hidden);
        zoo_linear(net, P, e->W2, e->b2, p->layer[l].hidden, b->f = zoo_floats(net, P, H));
        x = encoder_join(net, P, &e->joint[1], l, 1, b);
    }
    zoo_norm(P, m->norm, p->last = x, h);
    return h;
}

static inline void encoder_backward(zoo *net, encoder *m, const zoo_batch *batch, encoder_pass *p,
                                    const float *dh) {
    const int32_t H = net->options.width, P = batch->places, n = P * H;
    float *dx = zoo_floats(net, P, H), *dy = zoo_floats(net, P, H), *df = zoo_floats(net, P, H),
          *d_in = zoo_floats(net, P, m->mix->in * H), *d_out = zoo_floats(net, P, m->mix->out * H),
          *scratch = zoo_floats(net, 2, H);
    zoo_norm_back(P, m->norm, p->last, dh, dx, scratch);
    for (int32_t l = net->options.layers - 1; l >= 0; --l) {
        encoder_layer *e = &m->layer[l];
        const encoder_joint_pass *a = &p->layer[l].joint[0], *b = &p->layer[l].joint[1];
        encoder_join_back(net, P, &e->joint[1], b, dx, dy);
        zoo_linear_back(net, P, e->W2, e->b2, p->layer[l].hidden, dy, df);
        zoo_relu_back(n, 0, p->layer[l].hidden, df);
        zoo_linear_back(net, P, e->W1, e->b1, b->u, df, dy);
        zoo_norm_back(P, e->joint[1].norm, b->x, dy, df, scratch);
        zoo_add(n, df, dx);
        encoder_join_back(net, P, &e->joint[0], a, dx, dy);
        zoo_linear_back(net, P, e->Wo, e->bo, p->layer[l].m.out, dy, d_out);
        m->mix->backward(net, batch, e->rates, p->layer[l].in, &p->layer[l].m, d_out, d_in);
        zoo_linear_back(net, P, e->Wi, e->bi, a->u, d_in, dy);
        zoo_norm_back(P, e->joint[0].norm, a->x, dy, df, scratch);
        zoo_add(n, df, dx);
    }
    zoo_mask(n, p->mask, dx);
    zoo_embed_back(P, net->E, batch->items, (float)sqrt((double)H), dx);
    for (int32_t k = 0; k < m->sides; ++k) zoo_embed_back(P, m->side[k], p->side[k], 1, dx);
}

// Each place says what comes next.
static inline double encoder_train(zoo *net, void *model, const zoo_batch *batch) {
    encoder *m = (encoder *)model;
    encoder_pass pass;
    memset(&pass, 0, sizeof pass);
    const float *h = encoder_forward(net, m, batch, &pass);
    float *dh = zoo_floats(net, batch->places, net->options.width);
    const double loss = zoo_loss(net, batch->places, h, batch->targets, dh);
    encoder_backward(net, m, batch, &pass, dh);
    return loss;
}

// ---- serving ----------------------------------------------------------------------------------------------
// The state: h [H], how many clicks [1], and for each layer what its mixer keeps.

static inline void encoder_click(zoo *net, const encoder *m, float *state, int32_t item, float *memory) {
    const int32_t H = net->options.width, begins[2] = {0, 1};
    const zoo_batch one = {1, 1, begins, &item, NULL, NULL};
    encoder_pass pass;
    memset(&pass, 0, sizeof pass);
    pass.at = (int32_t)state[H];
    pass.memory = memory;
    memcpy(state, encoder_forward(net, m, &one, &pass), (size_t)H * sizeof *state);
    state[H] += 1;
}

#endif // ZOO_ENCODER_H
