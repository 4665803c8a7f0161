// openblas.c - the same training, evaluation and recommendation as plain C loops over OpenBLAS: what one gets
// without this library's kernels
//
//     openblas ITEMS           prints lines as bench/speed.c does; sampling and mini-batches come from
//     sessrec.h, all else is here
//
// Compile with -O3 -march=native -ffast-math, so that the loops beside the products are vectors too. Before
// it measures, it trains beside the library, from the same weights and without dropout, and compares the
// losses: a peer that computes something else is no peer.
#include "../speed.h"

enum { ROW_MAJOR = 101, AS_IT_IS = 111, TURNED = 112 };
extern void cblas_sgemm(int order, int turn_a, int turn_b, int m, int n, int k, float alpha, const float *a,
                        int lda, const float *b, int ldb, float beta, float *c, int ldc);
extern void cblas_sgemv(int order, int turn, int m, int n, float alpha, const float *a, int lda,
                        const float *x, int step_x, float beta, float *y, int step_y);
extern void openblas_set_num_threads(int threads);

// C [m,n] = A B + beta C; turn says which of A and B are turned.
static void product(int turn_a, int turn_b, int m, int n, int k, const float *a, int lda, const float *b,
                    int ldb, float beta, float *c, int ldc) {
    cblas_sgemm(ROW_MAJOR, turn_a ? TURNED : AS_IT_IS, turn_b ? TURNED : AS_IT_IS, m, n, k, 1, a, lda, b, ldb,
                beta, c, ldc);
}

typedef struct table {
    float *w, *acc, *vel;
} table;

typedef struct peer {
    sessrec_config config;
    int items, L, B, C;             // C columns at most
    table Wy, By, W, U, b;
    float *log_support, *state, *h, *x, *x_mask, *h_mask, *gates, *rh, *out, *Y, *S, *dY, *d_by, *d_out,
        *d_gates, *dW, *dU, *d_b, *sum;
    // item of a column; of an item: the row of dY that its gradient is summed in, -1
    int32_t *column, *first;
    uint64_t random;
    sessrec_sampler *sampler;
    sessrec_batcher *batcher;
} peer;

static float *zeros(size_t count) {
    const sessrec_allocator memory = sessrec__allocator(NULL);  // aligned, and in large pages
    float *block = (float *)sessrec__alloc(&memory, count, sizeof *block);
    if (!block) exit(1);
    return block;
}
static table make_table(const sessrec_model *from, const char *name) {
    sessrec_tensor tensor;
    if (sessrec_model_tensor(from, name, &tensor)) exit(1);
    const size_t count = (size_t)tensor.rows * (size_t)tensor.columns;
    table t = {zeros(count), zeros(count), zeros(count)};
    memcpy(t.w, tensor.data, count * sizeof *t.w);
    return t;
}

static void open_peer(peer *p, const sessrec_config *config, const sessrec_log *log) {
    sessrec_trainer *trainer;
    memset(p, 0, sizeof *p);
    const sessrec_model *model;
    if (sessrec_trainer_create(config, log, &trainer, NULL) || sessrec_trainer_model(trainer, &model, NULL))
        exit(1);
    const size_t L = (size_t)config->hidden[0], B = (size_t)config->batch_size,
                 C = B + (size_t)config->negatives, V = (size_t)model->info.item_count;
    p->config = *config;
    p->items = (int)V, p->L = (int)L, p->B = (int)B, p->C = (int)C, p->random = 1;
    p->Wy = make_table(model, "Wy"), p->By = make_table(model, "By");
    p->W = make_table(model, "L0.W"), p->U = make_table(model, "L0.U"), p->b = make_table(model, "L0.b");
    struct {
        float **array;
        size_t count;
    } arrays[] = {{&p->log_support, V},
                  {&p->state, B * L},
                  {&p->h, B * L},
                  {&p->x, B * L},
                  {&p->x_mask, B * L},
                  {&p->h_mask, B * L},
                  {&p->gates, 3 * B * L},
                  {&p->rh, B * L},
                  {&p->out, B * L},
                  {&p->Y, C * L},
                  {&p->S, B * C},
                  {&p->dY, (C + B) * L},
                  {&p->d_by, C},
                  {&p->d_out, B * L},
                  {&p->d_gates, 3 * B * L},
                  {&p->dW, 3 * L * L},
                  {&p->dU, 3 * L * L},
                  {&p->d_b, 3 * L},
                  {&p->sum, L}};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; ++i) *arrays[i].array = zeros(arrays[i].count);
    p->column = (int32_t *)malloc((C + B) * sizeof *p->column);
    p->first = (int32_t *)malloc(V * sizeof *p->first);
    for (size_t i = 0; i < V; ++i)
        p->first[i] = -1, p->log_support[i] = logf((float)sessrec_model_support(model, (int32_t)i));
    if (sessrec_trainer_sampler(trainer, &p->sampler, NULL) ||
        sessrec_batcher_create(config, log, p->sampler, &p->batcher, NULL))
        exit(1);
    sessrec_trainer_destroy(trainer);
}

static float sigmoid(float x) {
    return 1 / (1 + expf(-x));
}

static void draw_mask(peer *p, float probability, int count, float *mask) {
    const uint32_t below = (uint32_t)(probability * 4294967295.0f);
    const float kept = 1 / (1 - probability);
    const uint64_t seed = p->random++;
    for (int i = 0; i < count; ++i) {
        uint32_t x = (uint32_t)(seed * 2654435761u) + (uint32_t)i * 0x9e3779b9u;
        x ^= x >> 16, x *= 0x21f0aaadu, x ^= x >> 15, x *= 0x735a2d97u, x ^= x >> 15;
        mask[i] = x < below ? 0 : kept;
    }
}

// One time step for `rows` rows of x and h: the new states in out.
static void gru(peer *p, int rows) {
    const int L = p->L;
    for (int i = 0; i < rows; ++i) memcpy(p->gates + i * 3 * L, p->b.w, 3 * (size_t)L * sizeof(float));
    product(0, 0, rows, 3 * L, L, p->x, L, p->W.w, 3 * L, 1, p->gates, 3 * L);
    product(0, 0, rows, 2 * L, L, p->h, L, p->U.w, 3 * L, 1, p->gates, 3 * L);
    for (int i = 0; i < rows; ++i) {
        float *restrict g = p->gates + i * 3 * L, *restrict rh = p->rh + i * L;
        const float *restrict h = p->h + i * L;
        for (int j = 0; j < 2 * L; ++j) g[j] = sigmoid(g[j]);
        for (int j = 0; j < L; ++j) rh[j] = g[j] * h[j];
    }
    product(0, 0, rows, L, L, p->rh, L, p->U.w + 2 * L, 3 * L, 1, p->gates + 2 * L, 3 * L);
    for (int i = 0; i < rows; ++i) {
        float *restrict g = p->gates + i * 3 * L, *restrict out = p->out + i * L;
        const float *restrict h = p->h + i * L;
        for (int j = 0; j < L; ++j)
            g[2 * L + j] = tanhf(g[2 * L + j]), out[j] = (1 - g[L + j]) * h[j] + g[L + j] * g[2 * L + j];
    }
}

// Scores s [C] of a row to their gradient in place; returns the loss.
static float loss_xe(const peer *p, int C, int target, float *restrict s) {
    float most = -INFINITY, total = 0;
    for (int j = 0; j < C; ++j) s[j] -= p->log_support[p->column[j]] * (j < p->B ? 1 : p->config.alpha);
    const float own = s[target];
    for (int j = 0; j < C; ++j) most = s[j] > most ? s[j] : most;
    for (int j = 0; j < C; ++j) s[j] = expf(s[j] - most), total += s[j];
    for (int j = 0; j < C; ++j) s[j] *= 1 / total;
    s[target] -= 1;
    return most + logf(total) - own;
}
static float loss_bpr_max(const peer *p, int C, int target, float *restrict s) {
    const float a = p->config.loss.activation_a, own_score = s[target],
                own = own_score >= 0 ? own_score : a * (expf(own_score) - 1);
    float most = -INFINITY, total = 0, good = 0, size = 0, pull = 0;
    for (int j = 0; j < C; ++j) s[j] = s[j] >= 0 ? s[j] : a * (expf(s[j]) - 1);
    s[target] = -INFINITY;
    for (int j = 0; j < C; ++j) most = s[j] > most ? s[j] : most;
    s[target] = -1e9f;  // its weight is 0 and it stays finite
    for (int j = 0; j < C; ++j) {
        const float w = expf(s[j] - most);
        total += w, good += w * sigmoid(own - s[j]), size += w > 0 ? w * s[j] * s[j] : 0;
    }
    const float mean = size / total, bpreg = p->config.loss.bpreg;
    for (int j = 0; j < C; ++j) {
        const float y = s[j], w = expf(y - most), g = sigmoid(own - y), u = w * g / good;
        const float d = w / total - u * g + (w > 0 ? bpreg * w / total * (y * y - mean + 2 * y) : 0);
        pull += u * (1 - g);
        s[j] = d * (y >= 0 ? 1 : y + a);
    }
    s[target] = -pull * (own_score >= 0 ? 1 : own + a);
    return logf(total) - logf(good) + bpreg * mean;
}

static void adagrad(const peer *p, int count, float *restrict w, float *restrict acc, float *restrict vel,
                    const float *restrict gradient) {
    const float rate = p->config.optimizer.learning_rate, momentum = p->config.optimizer.momentum,
                epsilon = p->config.optimizer.epsilon;
    for (int j = 0; j < count; ++j) {
        acc[j] += gradient[j] * gradient[j];
        vel[j] = momentum * vel[j] - rate * gradient[j] / sqrtf(acc[j] + epsilon);
        w[j] += vel[j];
    }
}

// Gradients of rows that several columns share are added first. `bias` of the first C of them.
static void update_rows(peer *p, int rows, int C) {
    const int L = p->L;
    for (int i = 0; i < rows; ++i) {
        const int item = p->column[i], at = p->first[item];
        if (at < 0) {
            p->first[item] = i;
            continue;
        }
        for (int j = 0; j < L; ++j) p->dY[(size_t)at * L + j] += p->dY[(size_t)i * L + j];
        if (i < C) p->d_by[at] += p->d_by[i];
    }
    for (int i = 0; i < rows; ++i) {
        const size_t item = (size_t)p->column[i], at = item * (size_t)L;
        if (i + 4 < rows)
            for (int j = 0; j < L; j += 16) {
                const size_t ahead = (size_t)p->column[i + 4] * (size_t)L + (size_t)j;
                __builtin_prefetch(p->Wy.w + ahead), __builtin_prefetch(p->Wy.acc + ahead),
                    __builtin_prefetch(p->Wy.vel + ahead);
            }
        if (p->first[item] != i) continue;
        adagrad(p, L, p->Wy.w + at, p->Wy.acc + at, p->Wy.vel + at, p->dY + (size_t)i * L);
        if (i < C) adagrad(p, 1, p->By.w + item, p->By.acc + item, p->By.vel + item, p->d_by + i);
    }
    for (int i = 0; i < rows; ++i) p->first[p->column[i]] = -1;
}

static void backward(peer *p, int rows) {
    const int L = p->L;
    float *dg = p->d_gates;
    for (int i = 0; i < rows; ++i) {
        float *restrict g = p->gates + i * 3 * L, *restrict d = dg + i * 3 * L;
        const float *restrict h = p->h + i * L, *restrict d_out = p->d_out + i * L;
        for (int j = 0; j < L; ++j) {
            const float z = g[L + j], n = g[2 * L + j];
            d[L + j] = d_out[j] * (n - h[j]) * z * (1 - z);
            d[2 * L + j] = d_out[j] * z * (1 - n * n);
        }
    }
    product(0, 1, rows, L, L, dg + 2 * L, 3 * L, p->U.w + 2 * L, 3 * L, 0, p->d_out, L);  // of r * h
    for (int i = 0; i < rows; ++i)
        for (int j = 0; j < L; ++j) {
            const float r = p->gates[i * 3 * L + j];
            dg[i * 3 * L + j] = p->d_out[i * L + j] * p->h[i * L + j] * r * (1 - r);
        }
    product(1, 0, L, 3 * L, rows, p->x, L, dg, 3 * L, 0, p->dW, 3 * L);
    product(1, 0, L, 2 * L, rows, p->h, L, dg, 3 * L, 0, p->dU, 3 * L);
    product(1, 0, L, L, rows, p->rh, L, dg + 2 * L, 3 * L, 0, p->dU + 2 * L, 3 * L);
    memset(p->d_b, 0, 3 * (size_t)L * sizeof(float));
    for (int i = 0; i < rows; ++i)
        for (int j = 0; j < 3 * L; ++j) p->d_b[j] += dg[i * 3 * L + j];
}

// One mini-batch; returns its loss.
static double step(peer *p, const sessrec_batch *batch) {
    const int L = p->L, rows = batch->rows, C = rows + batch->negative_count;
    const size_t row_bytes = (size_t)L * sizeof(float);
    double loss = 0;
    for (int i = 0; i < rows; ++i) {
        memcpy(p->x + i * L, p->Wy.w + (size_t)batch->inputs[i] * L, row_bytes);
        if (batch->session_starts[i]) memset(p->h + i * L, 0, row_bytes);
        else memcpy(p->h + i * L, p->state + batch->previous_rows[i] * L, row_bytes);
    }
    if (p->config.dropout_input > 0) {
        draw_mask(p, p->config.dropout_input, rows * L, p->x_mask);
        for (int i = 0; i < rows * L; ++i) p->x[i] *= p->x_mask[i];
    }
    gru(p, rows);
    if (p->config.dropout_hidden > 0) {
        draw_mask(p, p->config.dropout_hidden, rows * L, p->h_mask);
        for (int i = 0; i < rows * L; ++i) p->out[i] *= p->h_mask[i];
    }
    memcpy(p->state, p->out, (size_t)rows * row_bytes);
    memcpy(p->column, batch->targets, (size_t)rows * sizeof(int32_t));
    if (batch->negative_count)
        memcpy(p->column + rows, batch->negatives, (size_t)batch->negative_count * sizeof(int32_t));
    for (int j = 0; j < C; ++j) {
        for (int k = 0; k < L && j + 8 < C; k += 16)
            __builtin_prefetch(p->Wy.w + (size_t)p->column[j + 8] * L + k);
        memcpy(p->Y + (size_t)j * L, p->Wy.w + (size_t)p->column[j] * L, row_bytes);
    }
    for (int j = 0; j < C; ++j) p->S[j] = p->By.w[p->column[j]];
    for (int i = 1; i < rows; ++i) memcpy(p->S + (size_t)i * C, p->S, (size_t)C * sizeof(float));
    product(0, 1, rows, C, L, p->out, L, p->Y, L, 1, p->S, C);
    float (*row_loss)(const peer *, int, int, float *) =
        p->config.loss.kind == SESSREC_LOSS_XE ? loss_xe : loss_bpr_max;
    for (int i = 0; i < rows; ++i) loss += row_loss(p, C, i, p->S + (size_t)i * C);
    memset(p->d_by, 0, (size_t)C * sizeof(float));
    for (int i = 0; i < rows; ++i)
        for (int j = 0; j < C; ++j) p->d_by[j] += p->S[(size_t)i * C + j] /= (float)p->B;
    product(0, 0, rows, L, C, p->S, C, p->Y, L, 0, p->d_out, L);
    product(1, 0, C, L, rows, p->S, C, p->out, L, 0, p->dY, L);
    for (int i = 0; i < rows * L && p->config.dropout_hidden > 0; ++i) p->d_out[i] *= p->h_mask[i];
    backward(p, rows);
    // of the inputs: tied
    product(0, 1, rows, L, 3 * L, p->d_gates, 3 * L, p->W.w, 3 * L, 0, p->dY + (size_t)C * L, L);
    for (int i = 0; i < rows * L && p->config.dropout_input > 0; ++i)
        p->dY[(size_t)C * L + i] *= p->x_mask[i];
    memcpy(p->column + C, batch->inputs, (size_t)rows * sizeof(int32_t));
    update_rows(p, C + rows, C);
    adagrad(p, 3 * L * L, p->W.w, p->W.acc, p->W.vel, p->dW);
    adagrad(p, 3 * L * L, p->U.w, p->U.acc, p->U.vel, p->dU);
    adagrad(p, 3 * L, p->b.w, p->b.acc, p->b.vel, p->d_b);
    return loss / p->B;
}

// Mini-batches of the library and of this file, from the same weights: 1 if no loss differs.
static int same_losses(const setting *s, const sessrec_log *log) {
    sessrec_config config = configured(s, 1);
    sessrec_trainer *trainer;
    sessrec_batch batch;
    peer p;
    double most = 0, loss;
    config.dropout_input = config.dropout_hidden = 0;
    open_peer(&p, &config, log);
    if (sessrec_trainer_create(&config, log, &trainer, NULL)) return 0;
    for (int i = 0; i < 20; ++i) {
        if (sessrec_batcher_next(p.batcher, &batch) || sessrec_trainer_step(trainer, &batch, &loss, NULL))
            return 0;
        const double other = fabs(step(&p, &batch) / loss - 1);
        most = other > most ? other : most;
    }
    sessrec_trainer_destroy(trainer);
    if (most > 1e-3) fprintf(stderr, "openblas: %s: a loss differs by %g\n", s->name, most);
    return most <= 1e-3;
}

static double train_step(void *context) {
    sessrec_batch batch;
    do
        if (sessrec_batcher_next(((peer *)context)->batcher, &batch)) return 0;
    while (!batch.rows);
    step((peer *)context, &batch);
    return 1;
}

// ---- ranks and recommendations: scores of all items in blocks that stay in the cache ----

enum { EVENTS = 64, BLOCK = 2048 };

// Ranks of EVENTS targets; the states are whatever stands there.
static double rank_events(void *context) {
    static float scores[EVENTS * BLOCK], own[EVENTS];
    static int64_t rank[EVENTS];
    peer *p = (peer *)context;
    const int L = p->L;
    int32_t item[EVENTS];
    for (int i = 0; i < EVENTS; ++i) {
        item[i] = zipf(&p->random, p->items);
        memcpy(p->x + i * L, p->Wy.w + (size_t)item[i] * L, (size_t)L * sizeof(float));
    }
    gru(p, EVENTS);
    memcpy(p->h, p->out, EVENTS * (size_t)L * sizeof(float));
    for (int i = 0; i < EVENTS; ++i) {
        own[i] = p->By.w[item[i]];
        for (int j = 0; j < L; ++j) own[i] += p->out[i * L + j] * p->Wy.w[(size_t)item[i] * L + j];
    }
    for (int first = 0; first < p->items; first += BLOCK) {
        const int count = p->items - first < BLOCK ? p->items - first : BLOCK;
        product(0, 1, EVENTS, count, L, p->out, L, p->Wy.w + (size_t)first * L, L, 0, scores, BLOCK);
        for (int i = 0; i < EVENTS; ++i) {
            int higher = 0;
            for (int j = 0; j < count; ++j) higher += scores[i * BLOCK + j] + p->By.w[first + j] > own[i];
            rank[i] = (first ? rank[i] : 0) + higher;
        }
    }
    return rank[0] >= 0 ? EVENTS : 0;
}

// The 20 best in the order that they were found, the least first to go.
static void click(void *context, int32_t item) {
    static float scores[BLOCK];
    static float best[20];
    static int32_t best_item[20];
    peer *p = (peer *)context;
    int32_t least = 0, have = 0;
    memcpy(p->x, p->Wy.w + (size_t)item * p->L, (size_t)p->L * sizeof(float));
    gru(p, 1);
    memcpy(p->h, p->out, (size_t)p->L * sizeof(float));
    for (int first = 0; first < p->items; first += BLOCK) {
        const int count = p->items - first < BLOCK ? p->items - first : BLOCK;
        memcpy(scores, p->By.w + first, (size_t)count * sizeof(float));
        cblas_sgemv(ROW_MAJOR, AS_IT_IS, count, p->L, 1, p->Wy.w + (size_t)first * p->L, p->L, p->out, 1, 1,
                    scores, 1);
        for (int j = 0; j < count; ++j) {
            if (have == 20 && scores[j] <= best[least]) continue;
            const int at = have < 20 ? have++ : least;
            best[at] = scores[j], best_item[at] = first + j;
            for (int k = least = 0; k < have; ++k) least = best[k] < best[least] ? k : least;
        }
    }
    if (best_item[least] < 0) exit(1);  // so that nothing is left out
}

int main(int argc, char **argv) {
    const int32_t items = argc > 1 ? (int32_t)strtol(argv[1], NULL, 10) : 37483,
                  processors = sessrec_processor_count();
    const int only_clicks = argc > 2 && !strcmp(argv[2], "click");
    sessrec_log *log = items > 0 ? make_log(items, SESSIONS, 1) : NULL;
    if (!log) return 1;
    for (int32_t threads = 1; threads <= processors; threads += processors > 1 ? processors - 1 : 1) {
        openblas_set_num_threads(threads);
        for (int i = 0; i < settings_for(items) && !only_clicks; ++i) {
            const sessrec_config config = configured(&SETTINGS[i], 1);
            peer p;
            if (threads == 1 && items < 100000 && !same_losses(&SETTINGS[i], log)) return 1;
            open_peer(&p, &config, log);
            record("openblas", speed_of(train_step, &p),
                   "training, mini-batches/s: %d items, %s, %d thread%s", (int)items, SETTINGS[i].name,
                   (int)threads, threads > 1 ? "s" : "");
        }
        sessrec_config config = configured(&SETTINGS[0], 1);
        peer p;
        config.batch_size = EVENTS;
        open_peer(&p, &config, log);
        if (items < 100000 && !only_clicks)
            record("openblas", speed_of(rank_events, &p),
                   "evaluation, events/s: %d items, L=100, %d thread%s", (int)items, (int)threads,
                   threads > 1 ? "s" : "");
        latency("openblas", "", items, threads, click, &p);
    }
    return 0;
}
