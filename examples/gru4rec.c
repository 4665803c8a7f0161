// gru4rec.c - the whole method in one plain program: GRU4Rec (Hidasi et al., ICLR 2016; Hidasi, Karatzoglou,
// CIKM 2018), made of the public blocks of sessrec.h and of nothing else
//
//     gru4rec                                a made-up shop
//     gru4rec TRAIN.tsv TEST.tsv [EPOCHS]    logs of yours
//
// sessrec_train does the same with any number of layers, all losses, and many times faster. From the same
// seed both begin with the same weights, and without dropout they have the same losses, but for rounding.
//
// Shapes   B rows of a mini-batch, one session each      H width of the hidden state
//          N samples that serve all rows as negatives    V items of the catalog
//          C = B + N columns of scores

#define SESSREC_IMPLEMENTATION
#include "../sessrec.h"

#include "shop.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// A matrix of the network, its gradient, and what the optimizer keeps: Adagrad the sum of squares of all
// gradients so far, momentum a velocity. Of a table with a row an item only the rows that a step uses have a
// gradient.
typedef struct matrix {
    int32_t columns;
    float *weights, *gradient;
    sessrec_optimizer_state state;
} matrix;

typedef struct gru4rec {
    sessrec_config config;
    const sessrec_log *log;     // trained on; knows the items by name
    sessrec_log_view view;
    int32_t H, V;
    matrix Wy, By;              // [V,H] [V,1] the items' vectors, both input and output, and their biases
    matrix W, U, b;             // [H,3H] [H,3H] [1,3H] the GRU; gates side by side: reset, update, candidate
    float *hidden;              // [B,H] the state of each slot after the last mini-batch
    // of one mini-batch
    int32_t *columns, *ids;     // [C] the item of each column; [C+B] the item of each gradient row
    float *log_proposal;        // [C] how often a column is proposed, as a logarithm
    float *x, *h, *h_new;       // [B,H] input, state before and after
    float *mask, *tape;         // [B,H] [B,4H] dropout; what the GRU's backward step needs
    float *Y, *y;               // [C,H] [C] vectors and biases of the columns' items
    float *S, *dS;              // [B,C] scores, their gradient
    float *dh, *dx;             // [B,H]
    float *row_loss;            // [B]
    float *scratch;
    int32_t *sorting;
    void *blocks[48];           // all of that, to be freed
    int32_t block_count;
} gru4rec;

static float *floats(gru4rec *m, int32_t rows, int32_t columns) {
    float *block = (float *)calloc((size_t)rows * (size_t)columns, sizeof *block);
    if (!block) {
        fprintf(stderr, "out of memory\n");
        exit(1);
    }
    return (float *)(m->blocks[m->block_count++] = block);
}
static int32_t *integers(gru4rec *m, int32_t count) {
    return (int32_t *)(void *)floats(m, 1, count);  // of the same size
}

// First weights: uniform in +-sqrt(6 / (rows + columns)), for each of the `gates` matrices side by side on
// its own. `number` tells the matrices apart: 16, 17, .. are what the library uses.
static matrix make_matrix(gru4rec *m, int32_t rows, int32_t columns, int32_t used, int32_t gates,
                          uint64_t number) {
    matrix a = {columns, floats(m, rows, columns), floats(m, used, columns), {NULL, NULL, NULL, NULL}};
    a.state.first = floats(m, rows, columns);
    a.state.velocity = floats(m, rows, columns);
    const float range = gates ? (float)sqrt(6.0 / ((double)rows + (double)(columns / gates))) : 0;
    for (int64_t i = 0; i < (int64_t)rows * columns; ++i)
        a.weights[i] = (2 * sessrec_random_unit(m->config.seed, number, (uint64_t)i) - 1) * range;
    return a;
}

// A network for the items of a log. The width must be a multiple of 4, see scorer_of.
static gru4rec make_network(const sessrec_config *config, const sessrec_log *log) {
    gru4rec m;
    memset(&m, 0, sizeof m);
    m.config = *config;
    m.log = log;
    m.view = sessrec_log_contents(log);
    const int32_t H = m.H = config->hidden[0], B = config->batch_size, C = B + config->negatives,
                  V = m.V = m.view.item_count;
    m.Wy = make_matrix(&m, V, H, C + B, 1, 16);
    m.By = make_matrix(&m, V, 1, C, 0, 17);
    m.W = make_matrix(&m, H, 3 * H, H, 3, 18);
    m.U = make_matrix(&m, H, 3 * H, H, 3, 19);
    m.b = make_matrix(&m, 1, 3 * H, 1, 0, 20);
    m.columns = integers(&m, C), m.ids = integers(&m, C + B), m.sorting = integers(&m, 6 * (C + B) + 2);
    m.log_proposal = floats(&m, 1, C), m.row_loss = floats(&m, 1, B);
    m.x = floats(&m, B, H), m.h = floats(&m, B, H), m.h_new = floats(&m, B, H), m.hidden = floats(&m, B, H);
    m.mask = floats(&m, B, H), m.tape = floats(&m, B, 4 * H);
    m.Y = floats(&m, C, H), m.y = floats(&m, 1, C);
    m.S = floats(&m, B, C), m.dS = floats(&m, B, C), m.dh = floats(&m, B, H), m.dx = floats(&m, B, H);
    m.scratch = floats(&m, 8, (C > 2 * B * H ? C : 2 * B * H) + SESSREC_MATMUL_SCRATCH);
    return m;
}

static void free_network(gru4rec *m) {
    while (m->block_count > 0) free(m->blocks[--m->block_count]);
}

static sessrec_gru cell_of(const gru4rec *m) {
    sessrec_gru cell = {m->config.gru, m->H, m->H, m->W.weights, m->U.weights, m->b.weights, NULL};
    return cell;
}

// Row `item` of the items' vectors.
static float *vector_of(const gru4rec *m, int32_t item) {
    return m->Wy.weights + (size_t)item * (size_t)m->H;
}

// ---- forward ----------------------------------------------------------------------------------------------

// Which items are scored in this mini-batch: each row's target is a negative of the other rows, and the
// samples are negatives of all. A target comes as often as it is clicked, a sample with its support to the
// power of alpha; the softmax takes the logarithm of that off, or popular items would be pushed down too
// often.
static void choose_columns(gru4rec *m, const sessrec_batch *batch) {
    for (int32_t j = 0; j < batch->rows + batch->negative_count; ++j) {
        const int is_target = j < batch->rows;
        const int32_t item = is_target ? batch->targets[j] : batch->negatives[j - batch->rows];
        m->columns[j] = item;
        m->log_proposal[j] =
            (float)((is_target ? 1.0 : (double)m->config.alpha) * log((double)m->view.supports[item]));
        memcpy(m->Y + (size_t)j * (size_t)m->H, vector_of(m, item), (size_t)m->H * sizeof(float));
        m->y[j] = m->By.weights[item];
    }
}

// h' = GRU(x, h), then dropout.
static void forward(gru4rec *m, const sessrec_batch *batch) {
    const int32_t B = batch->rows, H = m->H;
    const size_t row = (size_t)H * sizeof(float);
    const float p = m->config.dropout_hidden;
    const sessrec_gru cell = cell_of(m);
    for (int32_t i = 0; i < B; ++i) {
        // a session that begins has an empty state; the others go on from where their slot stood before
        if (batch->session_starts[i]) memset(m->h + i * H, 0, row);
        else memcpy(m->h + i * H, m->hidden + batch->previous_rows[i] * H, row);
        memcpy(m->x + i * H, vector_of(m, batch->inputs[i]), row);
    }
    //   r = sg(x Wr + h Ur + br)             reset gate
    //   z = sg(x Wz + h Uz + bz)             update gate
    //   n = tanh(x Wn + (r * h) Un + bn)     candidate
    //   h' = (1 - z) * h + z * n
    sessrec_gru_forward(&cell, B, m->x, m->h, m->h_new, m->tape);
    for (int32_t i = 0; i < B * H; ++i) {
        const uint64_t step = (uint64_t)batch->epoch << 40 | (uint64_t)batch->step << 24;
        const int dropped = p > 0 && sessrec_random_unit(m->config.seed, 4, step + (uint64_t)i) < p;
        m->mask[i] = dropped ? 0 : 1 / (1 - p);
        m->h_new[i] *= m->mask[i];
    }
    memcpy(m->hidden, m->h_new, (size_t)B * row);
}

// ---- backward ---------------------------------------------------------------------------------------------

static void update(const gru4rec *m, matrix *a, int32_t rows, const int32_t *ids) {
    // a += g^2     v = momentum v - rate g / sqrt(a + epsilon)     w += v
    sessrec_optimizer_update(&m->config.optimizer, rows, a->columns, ids, a->weights, a->gradient, &a->state);
}

// An item may have several columns and be an input as well: what they say is added up, and it is moved once.
static void update_table(const gru4rec *m, matrix *a, int32_t rows, int32_t *ids) {
    update(m, a, sessrec_sum_duplicates(rows, a->columns, ids, a->gradient, m->sorting), ids);
}

static void backward(gru4rec *m, const sessrec_batch *batch) {
    const int32_t B = batch->rows, C = B + batch->negative_count, H = m->H;
    const sessrec_gru cell = cell_of(m);
    const sessrec_gru_gradient gradient = {m->W.gradient, m->U.gradient, m->b.gradient, NULL};
    // S = h' Y^T + y    so    dh' = dS Y     dY = dS^T h'     dy = the sum of dS over rows
    sessrec_matmul(B, H, C, m->dS, C, 1, m->Y, H, m->dh, H, 0);
    sessrec_matmul(C, H, B, m->dS, 1, C, m->h_new, H, m->Wy.gradient, H, 0);
    for (int32_t j = 0; j < C; ++j) {
        m->By.gradient[j] = 0;
        for (int32_t i = 0; i < B; ++i) m->By.gradient[j] += m->dS[i * C + j];
    }
    for (int32_t i = 0; i < B * H; ++i) m->dh[i] *= m->mask[i];
    // Through the cell, and no further back in time than this one step:
    //   dn = dh' z (1 - n^2)     dz = dh' (n - h) z (1 - z)     dr = (dn Un^T) h r (1 - r)
    //   dW = x^T [dr dz dn]      dU = [h^T dr, h^T dz, (r h)^T dn]      dx = [dr dz dn] W^T
    sessrec_gru_backward(&cell, B, m->x, m->h, m->tape, m->dh, m->dx, NULL, &gradient, m->scratch);
    memcpy(m->Wy.gradient + (size_t)C * (size_t)H, m->dx, (size_t)B * (size_t)H * sizeof(float));
    memcpy(m->ids, m->columns, (size_t)C * sizeof *m->ids);
    update_table(m, &m->By, C, m->ids);
    memcpy(m->ids, m->columns, (size_t)C * sizeof *m->ids);
    memcpy(m->ids + C, batch->inputs, (size_t)B * sizeof *m->ids);
    update_table(m, &m->Wy, C + B, m->ids);
    update(m, &m->W, H, NULL);
    update(m, &m->U, H, NULL);
    update(m, &m->b, 1, NULL);
}

// One mini-batch. Returns its loss: the sum over rows, divided by the full batch size also when the batch has
// shrunk, so that an event weighs the same wherever it comes.
static double train_step(gru4rec *m, const sessrec_batch *batch) {
    const int32_t B = batch->rows, C = B + batch->negative_count;
    double loss = 0;
    choose_columns(m, batch);
    forward(m, batch);
    // S = h' Y^T + y: row i has its target in column i
    sessrec_matmul_bt(B, C, m->H, m->h_new, m->H, m->Y, m->H, m->y, m->S, C, m->scratch);
    // cross-entropy: -log softmax(s - log proposal)_target, and its gradient, softmax - [target]
    if (sessrec_loss(&m->config.loss, 0, B, C, NULL, m->columns, m->log_proposal, m->S, m->row_loss, m->dS,
                     m->scratch))
        return NAN;
    for (int32_t i = 0; i < B; ++i) loss += (double)m->row_loss[i];
    for (int32_t i = 0; i < B * C; ++i) m->dS[i] /= (float)m->config.batch_size;
    backward(m, batch);
    return loss / m->config.batch_size;
}

// All epochs. Session-parallel mini-batches: each slot walks through a session, and takes the next one of the
// log where one ends.
static sessrec_result train(gru4rec *m, sessrec_error *err) {
    sessrec_sampler *sampler = NULL;
    sessrec_batcher *batcher = NULL;
    sessrec_result result = SESSREC_OK;
    if (m->config.negatives > 0)
        result = sessrec_sampler_create(m->view.supports, m->V, m->config.alpha, NULL, &sampler, err);
    if (!result) result = sessrec_batcher_create(&m->config, m->log, sampler, &batcher, err);
    for (int32_t epoch = 0; epoch < m->config.epochs && !result; ++epoch) {
        sessrec_batch batch;
        double loss = 0;
        int64_t pairs = 0;
        while (!(result = sessrec_batcher_next(batcher, &batch)) && batch.rows > 0) {
            loss += train_step(m, &batch) * m->config.batch_size;
            pairs += batch.rows;
        }
        if (!(loss - loss == 0)) result = sessrec_error_set(err, SESSREC_DIVERGED, NULL);
        else printf("epoch %d: loss %.4f\n", epoch + 1, loss / (double)pairs);
        fflush(stdout);
    }
    sessrec_batcher_destroy(batcher);
    sessrec_sampler_destroy(sampler);
    return result;
}

// ---- evaluation -------------------------------------------------------------------------------------------
// The network as something that scores items after clicks. States stand one behind the other: their size, the
// width times 4 bytes, must be a multiple of 16.

static int32_t find_item(const void *self, const char *id) {
    return sessrec_log_find_item(((const gru4rec *)self)->log, id);
}
static size_t scratch_bytes(const void *self, int32_t rows) {
    return ((size_t)rows * 5 * (size_t)((const gru4rec *)self)->H + SESSREC_MATMUL_SCRATCH) * sizeof(float);
}
static void begin(const void *self, void *state, const void *user, double time) {
    (void)user, (void)time;
    memset(state, 0, (size_t)((const gru4rec *)self)->H * sizeof(float));
}
static void click(const void *self, int32_t rows, void *states, const int32_t *items, const double *times,
                  void *scratch) {
    const gru4rec *m = (const gru4rec *)self;
    const sessrec_gru cell = cell_of(m);
    float *x = (float *)scratch, *h = (float *)states;
    (void)times;
    for (int32_t i = 0; i < rows; ++i)
        memcpy(x + i * m->H, vector_of(m, items[i]), (size_t)m->H * sizeof(float));
    sessrec_gru_forward(&cell, rows, x, h, h, x + rows * m->H);  // without dropout
}
static void score(const void *self, int32_t rows, const void *states, int32_t first, int32_t count,
                  float *scores, void *scratch) {
    const gru4rec *m = (const gru4rec *)self;
    sessrec_matmul_bt(rows, count, m->H, (const float *)states, m->H, vector_of(m, first), m->H,
                      m->By.weights + first, scores, count, (float *)scratch);
}
static sessrec_scorer scorer_of(gru4rec *m) {
    sessrec_scorer scorer;
    memset(&scorer, 0, sizeof scorer);
    scorer.self = m;
    scorer.item_count = m->V;
    scorer.state_bytes = (size_t)m->H * sizeof(float);
    scorer.scratch_bytes = scratch_bytes;
    scorer.find_item = find_item;
    scorer.begin = begin;
    scorer.click = click;
    scorer.score = score;
    return scorer;
}

int main(int argc, char **argv) {
    sessrec_error err = {SESSREC_OK, 0, ""};
    sessrec_log *whole = NULL, *log = NULL, *test = NULL;
    sessrec_config config = sessrec_config_default();
    sessrec_result result = SESSREC_OK;
    if (argc == 2 || argc > 4) {
        fprintf(stderr, "usage: gru4rec [TRAIN.tsv TEST.tsv [EPOCHS]]\n");
        return 2;
    }
    if (argc > 3) config.epochs = (int32_t)strtol(argv[3], NULL, 10);
    if (argc > 2) {
        result = sessrec_log_read(argv[1], NULL, &log, &err);
        if (!result) result = sessrec_log_read(argv[2], NULL, &test, &err);
    } else {
        shop plan = shop_default();
        plan.items = 400, plan.sessions = 4000;
        config.hidden[0] = 32, config.negatives = 128, config.epochs = 5;
        result = shop_log(plan, &whole, &err);
        if (!result) result = sessrec_log_split_time(whole, SHOP_OPENING + 26.0 * SHOP_DAY, &log, &test,
                                                     &err);
    }
    if (!result) {
        sessrec_eval_config evaluation = sessrec_eval_config_default();
        sessrec_report report;
        gru4rec m = make_network(&config, log);
        sessrec_scorer scorer = scorer_of(&m);
        evaluation.cutoff_count = 1;
        evaluation.cutoffs[0] = 20;
        result = train(&m, &err);
        if (!result) result = sessrec_evaluate_scorer(&scorer, test, &evaluation, &report, &err);
        if (!result) printf("Recall@20 %.4f  MRR@20 %.4f\n", report.all.recall[0], report.all.mrr[0]);
        free_network(&m);
    }
    if (result) fprintf(stderr, "gru4rec: %s\n", err.text);
    sessrec_log_destroy(whole), sessrec_log_destroy(log), sessrec_log_destroy(test);
    return result ? 1 : 0;
}
