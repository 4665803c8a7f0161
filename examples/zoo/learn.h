// learn.h - what an architecture is trained with: the loss, AdamW, mini-batches of packed sessions
#ifndef ZOO_LEARN_H
#define ZOO_LEARN_H

#include "layers.h"

// ---- the loss ---------------------------------------------------------------------------------------------
// Cross-entropy of the next item, or another loss, over the whole catalog, or over the targets of the
// mini-batch and samples that all rows share, with the logarithm of how often an item is proposed by both
// taken off (Bengio, Senecal 2008). With options.hardest only the negatives with the highest scores count
// (TRON: Wilm et al., RecSys 2023).

// What is drawn when options.samples > 0; supports are known.
static inline sessrec_result zoo_sample(zoo *net, sessrec_error *err) {
    for (int32_t i = 0; i < net->items; ++i) {
        net->support_sum += (double)net->supports[i];
        net->root_sum += sqrt((double)net->supports[i]);
    }
    return sessrec_sampler_create(net->supports, net->items, (float)0.5, NULL, &net->sampler, err);
}

typedef struct zoo_loss_task {
    zoo *net;
    int32_t P, C, H;
    const int32_t *targets, *columns;       // [P] [C]; columns NULL: the catalog
    const float *log_proposal, *h, *Y, *y;  // [C] [P,H] [C,H] [C]
    float *S, *dh, *row_loss, *scratch;
} zoo_loss_task;

// The k-th largest of x [n], which is reordered (Hoare 1961); 1 <= k <= n.
static inline float zoo_kth(int32_t n, float *x, int32_t k) {
    for (int32_t first = 0, last = n - 1;;) {
        const float middle = x[first + (last - first) / 2];
        int32_t i = first, j = last;
        while (i <= j) {
            while (x[i] > middle) ++i;
            while (x[j] < middle) --j;
            if (i > j) break;
            const float other = x[i];
            x[i++] = x[j], x[j--] = other;
        }
        if (k - 1 <= j) last = j;
        else if (k - 1 >= i) first = i;
        else return middle;
    }
}
// Keeps the target's score and the k highest others of scores [C]; the rest is out of the softmax.
static inline void zoo_keep_hardest(int32_t C, int32_t k, int32_t own, const int32_t *columns, float *scores,
                                    float *scratch) {
    const float out = -(float)1e9, target = scores[own];
    for (int32_t j = 0; j < C; ++j)
        if (j == own || (columns && columns[j] == columns[own])) scores[j] = out;
    if (k < C) {
        memcpy(scratch, scores, (size_t)C * sizeof *scores);
        const float least = zoo_kth(C, scratch, k);
        for (int32_t j = 0; j < C; ++j)
            if (scores[j] < least) scores[j] = out;
    }
    scores[own] = target;
}

static inline void zoo_loss_rows(void *context, int32_t index) {
    const zoo_loss_task *t = (const zoo_loss_task *)context;
    const zoo_options *o = &t->net->options;
    const int32_t i = index * ZOO_ROWS, rows = t->P - i < ZOO_ROWS ? t->P - i : ZOO_ROWS;
    float *S = t->S + (ptrdiff_t)i * t->C, *scratch = t->scratch + (ptrdiff_t)index * 8 * t->C;
    sessrec_loss_config config = sessrec_config_default().loss;
    config.kind = o->loss;
    config.with_diagonal = 0;
    float product[SESSREC_MATMUL_SCRATCH];
    sessrec_matmul_bt(rows, t->C, t->H, t->h + i * t->H, t->H, t->Y, t->H, t->y, S, t->C, product);
    for (int32_t r = 0; r < rows && o->hardest > 0; ++r)
        zoo_keep_hardest(t->C, o->hardest, t->columns ? i + r : t->targets[i + r], t->columns,
                         S + (ptrdiff_t)r * t->C, scratch);
    sessrec_loss(&config, i, rows, t->C, t->columns ? NULL : t->targets + i, t->columns, t->log_proposal, S,
                 t->row_loss + i, S, scratch);
    // dS of the mean over rows
    zoo_scale(rows * t->C, 1 / (float)t->P, S);
    sessrec_matmul(rows, t->H, t->C, S, t->C, 1, t->Y, t->H, t->dh + i * t->H, t->H, 0);
}

// The mean loss of rows h [P,H] with scores h E^T + b; dh [P,H] and the gradients of E and b.
static inline double zoo_loss(zoo *net, int32_t P, const float *h, const int32_t *targets, float *dh) {
    zoo_tensor *E = net->E, *b = net->b;
    const int32_t H = E->columns, N = net->options.samples, C = N ? P + N : net->items;
    zoo_loss_task t = {net, P, C, H, targets, NULL, NULL, h, E->w, b->w, zoo_floats(net, P, C), dh, NULL,
                       NULL};
    int32_t *columns = NULL;
    double loss = 0;
    t.row_loss = zoo_floats(net, 1, P);
    t.scratch = zoo_floats(net, (P + ZOO_ROWS - 1) / ZOO_ROWS, 8 * C);
    if (N) {
        float *proposal = zoo_floats(net, 1, C), *Y = zoo_floats(net, C, H), *y = zoo_floats(net, 1, C);
        columns = zoo_integers(net, C);
        for (int32_t j = 0; j < C; ++j) {
            const uint64_t draw = (uint64_t)(net->step * N + j - P);
            columns[j] = j < P ? targets[j] : sessrec_sampler_draw(net->sampler, net->seed, draw);
            const double support = (double)net->supports[columns[j]];
            proposal[j] = (float)log(P * support / net->support_sum + N * sqrt(support) / net->root_sum);
        }
        zoo_embed(C, E, columns, 1, Y);
        zoo_embed(C, b, columns, 1, y);
        t.columns = columns, t.log_proposal = proposal, t.Y = Y, t.y = y;
    } else E->touched_count = b->touched_count = -1;
    sessrec_parallel(net->pool, (P + ZOO_ROWS - 1) / ZOO_ROWS, zoo_loss_rows, &t);
    for (int32_t i = 0; i < P; ++i) loss += (double)t.row_loss[i] / P;
    // dY = dS^T h     dy = sum of dS
    float *dY = columns ? zoo_floats(net, C, H) : E->g, *dy = columns ? zoo_floats(net, 1, C) : b->g;
    zoo_multiply(net, C, H, P, t.S, 1, C, h, dY, 1);
    for (int32_t i = 0; i < P; ++i) zoo_add(C, t.S + (ptrdiff_t)i * C, dy);
    if (columns) zoo_embed_back(C, E, columns, 1, dY), zoo_embed_back(C, b, columns, 1, dy);
    return loss;
}

// ---- AdamW (Kingma, Ba 2015; Loshchilov, Hutter 2019) -----------------------------------------------------

typedef struct zoo_update {
    zoo_tensor *tensor;
    sessrec_optimizer_config config;
    float shrink, scale;
} zoo_update;

static inline int32_t zoo_rows(const zoo_tensor *t) {
    return t->touched_count < 0 ? t->rows : t->touched_count;
}
static inline double zoo_squares(const zoo_tensor *t) {
    const int32_t n = t->columns;
    double sum = 0;
    if (t->touched_count < 0) return (double)zoo_dot(t->rows * n, t->g, t->g);
    for (int32_t r = 0; r < t->touched_count; ++r) {
        const float *g = t->g + (ptrdiff_t)t->touched[r] * n;
        sum += (double)zoo_dot(n, g, g);
    }
    return sum;
}

// Rows `row` .. of the tensor, `rows` of them.
static inline void zoo_update_rows(const zoo_update *u, ptrdiff_t row, int32_t rows) {
    zoo_tensor *t = u->tensor;
    const ptrdiff_t at = row * t->columns;
    const int32_t n = rows * t->columns;
    sessrec_optimizer_state state = {t->adam.first + at, t->adam.second + at, NULL, t->adam.steps + row};
    zoo_scale(n, u->shrink, t->w + at);
    zoo_scale(n, u->scale, t->g + at);
    sessrec_optimizer_update(&u->config, rows, t->columns, NULL, t->w + at, t->g + at, &state);
    memset(t->g + at, 0, (size_t)n * sizeof *t->g);
    if (t->is_touched) memset(t->is_touched + row, 0, (size_t)rows);
}
static inline void zoo_update_task(void *context, int32_t index) {
    const zoo_update *u = (const zoo_update *)context;
    const zoo_tensor *t = u->tensor;
    const int32_t first = index * ZOO_ROWS, left = zoo_rows(t) - first,
                  rows = left < ZOO_ROWS ? left : ZOO_ROWS;
    if (t->touched_count < 0) zoo_update_rows(u, first, rows);
    for (int32_t r = first; r < first + rows && t->touched_count >= 0; ++r)
        zoo_update_rows(u, t->touched[r], 1);
}

// One step with all gradients, which are zero then: clipped to a common norm, the rate rising over the
// warm-up and falling to 0 along a cosine, weights of matrices shrinking.
static inline void zoo_apply(zoo *net) {
    const zoo_options *o = &net->options;
    const double done = (double)(net->step + 1) / (double)net->steps, warm = (double)o->warm_up;
    const double fall = 0.5 + 0.5 * cos(3.14159265358979 * (done - warm) / (1 - warm)),
                 rate = (double)o->rate * (done < warm ? done / warm : fall);
    double norm = 0;
    for (int32_t i = 0; i < net->tensor_count; ++i) norm += zoo_squares(net->tensors[i]);
    norm = sqrt(norm);
    for (int32_t i = 0; i < net->tensor_count; ++i) {
        zoo_tensor *t = net->tensors[i];
        zoo_update u = {t, sessrec_config_default().optimizer, 1, 1};
        u.config.kind = SESSREC_ADAM;
        u.config.momentum = 0;
        u.config.learning_rate = (float)rate;
        u.config.epsilon = (float)1e-8;
        u.config.beta2 = (float)0.98;
        if (t->rows > 2 && t->columns > 1) u.shrink = (float)(1 - rate * (double)o->decay);
        if (o->clip > 0 && norm > (double)o->clip) u.scale = (float)((double)o->clip / norm);
        sessrec_parallel(net->pool, (zoo_rows(t) + ZOO_ROWS - 1) / ZOO_ROWS, zoo_update_task, &u);
        if (t->touched) t->touched_count = 0;
    }
    net->step++;
    zoo_forget(net);
}

// ---- mini-batches -----------------------------------------------------------------------------------------

// The clicks of a session that are inputs: the last most_clicks of all but the last.
static inline int32_t zoo_inputs(const zoo *net, const sessrec_log_view *log, int32_t session) {
    const int64_t n = log->session_begins[session + 1] - log->session_begins[session] - 1;
    return n < net->options.most_clicks ? (int32_t)n : net->options.most_clicks;
}

// Packs the next sessions of `order`, at most `left`. Returns how many.
static inline int32_t zoo_pack(zoo *net, const sessrec_log_view *log, const int32_t *order, int32_t left,
                               zoo_batch *out) {
    const int32_t sessions = left < net->options.sessions ? left : net->options.sessions;
    int32_t *begins = zoo_integers(net, sessions + 1);
    for (int32_t s = 0; s < sessions; ++s) begins[s + 1] = begins[s] + zoo_inputs(net, log, order[s]);
    const int32_t places = begins[sessions];
    int32_t *items = zoo_integers(net, places), *targets = zoo_integers(net, places);
    double *times = (double *)zoo_bytes(net, (size_t)places * sizeof *times);
    for (int32_t s = 0; s < sessions; ++s) {
        const int64_t end = log->session_begins[order[s] + 1] - 1;
        for (int32_t i = begins[s]; i < begins[s + 1]; ++i) {
            const int64_t event = end - begins[s + 1] + i;
            items[i] = log->items[event], targets[i] = log->items[event + 1], times[i] = log->times[event];
        }
    }
    const zoo_batch batch = {sessions, places, begins, items, targets, times};
    *out = batch;
    return sessions;
}

// All epochs. Returns the loss of the last one.
static inline double zoo_train(zoo *net, const zoo_model *kind, void *model, const sessrec_log_view *log) {
    const zoo_options *o = &net->options;
    int32_t *order = (int32_t *)zoo_zeros((size_t)log->session_count, sizeof *order), count = 0;
    double mean = 0;
    for (int32_t s = 0; s < log->session_count; ++s)
        if (zoo_inputs(net, log, s) > 0) order[count++] = s;
    net->steps = (int64_t)o->epochs * ((count + o->sessions - 1) / o->sessions);
    for (int32_t epoch = 0; epoch < o->epochs; ++epoch) {
        double loss = 0, places = 0;
        for (int32_t i = count - 1; i > 0; --i) {
            const uint64_t draw = sessrec_random(net->seed, 900 + (uint64_t)epoch, (uint64_t)i);
            const int32_t j = (int32_t)(draw % (uint64_t)(i + 1)), other = order[j];
            order[j] = order[i], order[i] = other;
        }
        for (int32_t at = 0; at < count;) {
            zoo_batch batch;
            at += zoo_pack(net, log, order + at, count - at, &batch);
            loss += kind->train(net, model, &batch) * batch.places;
            places += batch.places;
            zoo_apply(net);
        }
        fprintf(stderr, "epoch %d: loss %.4f\n", (int)epoch + 1, mean = loss / places);
    }
    free(order);
    return mean;
}

#endif // ZOO_LEARN_H
