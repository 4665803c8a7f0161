// mpi_train.c - one model, trained by several machines: data-parallel with MPI, through public calls only
//
//     mpicc -O2 -o mpi_train mpi_train.c -lm -lpthread
//     mpirun -n 4 mpi_train LOG MODEL [--test LOG2] [NAME=VALUE ...]     names as in sessrec_config_set
//
// Every rank holds the whole model and a share of the sessions: rank r of R has sessions r, r + R, .. and
// works through them in batch/R slots. In each step the ranks compute their gradients, exchange them and
// apply the same sum, so their weights stay equal bit for bit. The gradients are those of one mini-batch of
// `batch` rows, except that rows of different ranks are not each other's negatives; the N samples are the
// same on all ranks. So accuracy is that of one machine with the same batch, as long as there are samples.
//
// Sums run in the order of the ranks, whatever the network does: the same number of ranks gives the same
// bits, and one rank those of `sessrec train`. It trains sessions, not users, with any optimizer but Adam,
// whose counters of updates are not public. bench/RESULTS.md has what it costs.

#define SESSREC_IMPLEMENTATION
#include "../sessrec.h"

#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_TENSORS = 32, MOST_RANKS = 1024 };

static int rank, ranks;

// Every rank fails in the same place, or a rank alone: MPI ends the others.
static void fail(const char *what, const char *why) {
    fprintf(stderr, "mpi_train: rank %d: %s: %s\n", rank, what, why);
    MPI_Abort(MPI_COMM_WORLD, 1);
    exit(1);
}

static void need(const char *what, sessrec_result result, const sessrec_error *err) {
    if (result) fail(what, err->text[0] ? err->text : sessrec_result_text(result));
}

// An array that grows; what it held is lost.
typedef struct room {
    void *bytes;
    size_t size;
} room;

static void *reserve(room *r, size_t size) {
    if (size <= r->size) return r->bytes;
    free(r->bytes);
    r->bytes = malloc(size);
    if (!r->bytes) fail("memory", "there is not enough");
    r->size = size;
    return r->bytes;
}

// ---- a run ----

// One tensor: its weights and the optimizer's state, and in each step the gradient of this rank.
typedef struct tensor {
    const char *name;
    sessrec_mutable_tensor weights, gradient;
    sessrec_optimizer_state state;
    int is_table, is_output;    // a row for each item, of which a step uses some; all samples among them
    int at;                     // where its part of the sums begins
} tensor;

// The samples that all ranks have in a step, and where each item stands among the distinct ones.
typedef struct samples {
    int32_t count;
    int32_t *ids;               // [N]
    int32_t *place;             // [V], valid where ids[place] is the item
} samples;

typedef struct run {
    sessrec_config config;
    sessrec_log *log, *part;    // all sessions, and those of this rank
    sessrec_trainer *trainer;
    sessrec_sampler *sampler;
    sessrec_batcher *batcher;
    tensor tensors[MOST_TENSORS];
    int tensor_count;
    samples samples;
    double loss, pairs;         // summed over rows, of this rank in this epoch
    double exchanged;           // seconds for exchange and updates, of the whole run
} run;

static int is_sample(const samples *s, int32_t item) {
    return s->count && s->place[item] < s->count && s->ids[s->place[item]] == item;
}

static void find_samples(samples *s, const sessrec_batch *batch) {
    s->count = 0;
    for (int32_t i = 0; i < batch->negative_count; ++i) {
        if (is_sample(s, batch->negatives[i])) continue;
        s->place[batch->negatives[i]] = s->count;
        s->ids[s->count++] = batch->negatives[i];
    }
}

// ---- the exchange ----
// What every rank has a gradient of, matrices and the rows of the samples, is one array that is summed. The
// other rows of tables are sent to all as a message of 32-bit words: for each table how many, their items,
// their values.

// values [count] become their sums over the ranks, in the order of the ranks: each rank adds up one piece and
// sends it to all. So 2 * count numbers leave each rank, however many there are.
static void sum_over_ranks(float *values, int count) {
    static room pieces, sums;
    const int piece = (count + ranks - 1) / ranks;
    const size_t size = (size_t)piece * (size_t)ranks;
    float *all = (float *)reserve(&sums, size * sizeof *all);
    float *own = (float *)reserve(&pieces, size * sizeof *own);
    memcpy(all, values, (size_t)count * sizeof *all);
    memset(all + count, 0, (size - (size_t)count) * sizeof *all);
    MPI_Alltoall(all, piece, MPI_FLOAT, own, piece, MPI_FLOAT, MPI_COMM_WORLD);
    for (int r = 1; r < ranks; ++r)
        for (int i = 0; i < piece; ++i) own[i] += own[(size_t)r * (size_t)piece + (size_t)i];
    MPI_Allgather(own, piece, MPI_FLOAT, all, piece, MPI_FLOAT, MPI_COMM_WORLD);
    memcpy(values, all, (size_t)count * sizeof *values);
}

// Rows of a table that are sent as they are: all, or with `summed` those that are no samples. Writes them to
// the message at `to` unless it is NULL, and returns how many words they take.
static int pack_rows(const tensor *t, const samples *s, int summed, int32_t *to) {
    const sessrec_mutable_tensor *g = &t->gradient;
    const size_t row = (size_t)t->weights.columns;
    int32_t count = 0;
    for (int32_t i = 0; i < g->rows; ++i) count += !(summed && t->is_output && is_sample(s, g->row_ids[i]));
    if (to) {
        int32_t *ids = to + 1, *values = ids + count;
        *to = count;
        for (int32_t i = 0; i < g->rows; ++i) {
            if (summed && t->is_output && is_sample(s, g->row_ids[i])) continue;
            *ids++ = g->row_ids[i];
            memcpy(values, g->data + (size_t)i * row, row * sizeof *values);
            values += row;
        }
    }
    return 1 + count * (1 + (int)row);
}

static int pack(const run *r, int summed, int32_t *to) {
    int words = 0;
    for (int i = 0; i < r->tensor_count; ++i)
        if (r->tensors[i].is_table)
            words += pack_rows(&r->tensors[i], &r->samples, summed, to ? to + words : NULL);
    return words;
}

// Sums matrices and, with `summed`, the rows of samples; returns the array of sums.
static float *sum_shared(run *r, int summed) {
    static room values;
    int count = 0;
    for (int i = 0; i < r->tensor_count; ++i) {
        tensor *t = &r->tensors[i];
        const int32_t rows_summed = t->is_table ? summed && t->is_output ? r->samples.count : 0
                                                : t->weights.rows;
        t->at = count;
        count += (int)(rows_summed * t->weights.columns);
    }
    float *sums = (float *)reserve(&values, ((size_t)count + 1) * sizeof *sums);
    memset(sums, 0, (size_t)count * sizeof *sums);
    for (int i = 0; i < r->tensor_count; ++i) {
        const tensor *t = &r->tensors[i];
        const sessrec_mutable_tensor *g = &t->gradient;
        const size_t row = (size_t)t->weights.columns;
        for (int32_t k = 0; k < g->rows; ++k) {
            const int32_t item = t->is_table ? g->row_ids[k] : k;
            const int taken = !t->is_table || (summed && t->is_output && is_sample(&r->samples, item));
            const int32_t to = t->is_table && taken ? r->samples.place[item] : k;
            if (taken) memcpy(sums + t->at + (size_t)to * row, g->data + (size_t)k * row, row * sizeof *sums);
        }
    }
    if (ranks > 1) sum_over_ranks(sums, count);
    return sums;
}

// Updates a table from the sums and from the messages of all ranks; at [ranks] is where its part of each
// message begins, and then where that of the next table does.
static void update_table(const run *r, const tensor *t, const float *sums, int summed, const int32_t **at) {
    static room ids_room, values_room, scratch;
    const size_t row = (size_t)t->weights.columns;
    const int32_t first = summed && t->is_output ? r->samples.count : 0;
    int32_t count = first;
    for (int k = 0; k < ranks; ++k) count += *at[k];
    int32_t *ids = (int32_t *)reserve(&ids_room, ((size_t)count + 1) * sizeof *ids);
    float *values = (float *)reserve(&values_room, ((size_t)count + 1) * row * sizeof *values);
    int32_t *work = (int32_t *)reserve(&scratch, (6 * (size_t)count + 2) * sizeof *work);
    memcpy(ids, r->samples.ids, (size_t)first * sizeof *ids);
    memcpy(values, sums + t->at, (size_t)first * row * sizeof *values);
    count = first;
    for (int k = 0; k < ranks; ++k) {
        const int32_t more = *at[k];
        memcpy(ids + count, at[k] + 1, (size_t)more * sizeof *ids);
        memcpy(values + (size_t)count * row, at[k] + 1 + more, (size_t)more * row * sizeof *values);
        at[k] += 1 + (size_t)more * (1 + row);
        count += more;
    }
    count = sessrec_sum_duplicates(count, t->weights.columns, ids, values, work);
    if (count < 0 || sessrec_optimizer_update(&r->config.optimizer, count, t->weights.columns, ids,
                                              t->weights.data, values, &t->state))
        fail(t->name, "cannot be updated");
}

// Exchanges the gradients of all ranks and applies their sum; a rank whose epoch is over has none. Returns 0,
// without doing anything, if that is so for all.
static int exchange(run *r, int live) {
    static room own_room, all_room;
    static int told[3 * MOST_RANKS], sizes[MOST_RANKS], starts[MOST_RANKS];
    static const int32_t *at[MOST_RANKS];
    const int mine[3] = {live, pack(r, 0, NULL), pack(r, 1, NULL)};
    int live_count = 0, words = 0;
    MPI_Allgather(mine, 3, MPI_INT, told, 3, MPI_INT, MPI_COMM_WORLD);
    for (int k = 0; k < ranks; ++k) live_count += told[3 * k];
    if (!live_count) return 0;
    const int summed = ranks > 1 && live_count == ranks;  // else some rank has no samples
    for (int k = 0; k < ranks; ++k) {
        starts[k] = words;
        sizes[k] = told[3 * k + 1 + summed];
        words += sizes[k];
    }
    int32_t *own = (int32_t *)reserve(&own_room, (size_t)sizes[rank] * sizeof *own);
    int32_t *all = (int32_t *)reserve(&all_room, (size_t)words * sizeof *all);
    pack(r, summed, own);
    MPI_Allgatherv(own, sizes[rank], MPI_INT32_T, all, sizes, starts, MPI_INT32_T, MPI_COMM_WORLD);
    for (int k = 0; k < ranks; ++k) at[k] = all + starts[k];
    float *sums = sum_shared(r, summed);
    for (int i = 0; i < r->tensor_count; ++i) {
        const tensor *t = &r->tensors[i];
        if (t->is_table) update_table(r, t, sums, summed, at);
        else if (sessrec_optimizer_update(&r->config.optimizer, t->weights.rows, t->weights.columns, NULL,
                                          t->weights.data, sums + t->at, &t->state))
            fail(t->name, "cannot be updated");
    }
    return 1;
}

// ---- beginning ----

static float *state_of(sessrec_trainer *trainer, const char *prefix, const char *name) {
    char full[64];
    sessrec_mutable_tensor found;
    snprintf(full, sizeof full, "%s.%s", prefix, name);
    return sessrec_trainer_tensor(trainer, full, &found, NULL) ? NULL : found.data;
}

// The weights of rank 0 for all, a piece at a time: a message holds less than 2^31 numbers.
static void share_weights(const sessrec_mutable_tensor *t) {
    const int32_t most = (1 << 24) / t->columns + 1;
    for (int32_t row = 0; row < t->rows; row += most)
        MPI_Bcast(t->data + (ptrdiff_t)row * t->columns,
                  (int)((t->rows - row < most ? t->rows - row : most) * t->columns), MPI_FLOAT, 0,
                  MPI_COMM_WORLD);
}

static void find_tensors(run *r, const sessrec_model *model) {
    sessrec_error err = {SESSREC_OK, 0, ""};
    const char *name;
    while ((name = sessrec_model_tensor_name(model, r->tensor_count)) != NULL) {
        tensor *t = &r->tensors[r->tensor_count++];
        t->name = name;
        need(name, sessrec_trainer_tensor(r->trainer, name, &t->weights, &err), &err);
        t->state.first = state_of(r->trainer, "acc", name);
        t->state.second = state_of(r->trainer, "second", name);
        t->state.velocity = state_of(r->trainer, "vel", name);
        t->is_output = !strcmp(name, "Wy") || !strcmp(name, "By");
        t->is_table = t->is_output || !strcmp(name, "E") ||
                      (!strcmp(name, "L0.W") && r->config.embedding == SESSREC_EMBEDDING_NONE);
        share_weights(&t->weights);
    }
}

// The sessions of this rank, with the items' numbers in the model.
static void take_share(run *r, const sessrec_model *model) {
    sessrec_error err = {SESSREC_OK, 0, ""};
    const sessrec_log_view all = sessrec_log_contents(r->log);
    sessrec_log_format format = sessrec_log_format_default();
    format.items_of = model;
    need("log", sessrec_log_create(&format, &r->part, &err), &err);
    for (int32_t i = rank; i < all.session_count; i += ranks)
        for (int64_t e = all.session_begins[i]; e < all.session_begins[i + 1]; ++e)
            (void)sessrec_log_add(r->part, NULL, sessrec_log_session_id(r->log, i),
                                  sessrec_log_item_id(r->log, all.items[e]), all.times[e]);
    need("log", sessrec_log_finish(r->part, &err), &err);
}

static void begin(run *r, const char *path) {
    sessrec_error err = {SESSREC_OK, 0, ""};
    const sessrec_model *model;
    sessrec_config config = r->config;
    need(path, sessrec_log_read(path, NULL, &r->log, &err), &err);
    config.seed += (uint64_t)rank;  // of dropout; the samples of all ranks are the same
    need("settings", sessrec_trainer_create(&config, r->log, &r->trainer, &err), &err);
    need("model", sessrec_trainer_model(r->trainer, &model, &err), &err);
    need("sampler", sessrec_trainer_sampler(r->trainer, &r->sampler, &err), &err);
    find_tensors(r, model);
    take_share(r, model);
    config = r->config;
    config.batch_size = r->config.batch_size / ranks + (rank < r->config.batch_size % ranks);
    need("log", sessrec_batcher_create(&config, r->part, r->sampler, &r->batcher, &err), &err);
    r->samples.ids = (int32_t *)calloc((size_t)config.negatives + 1, sizeof(int32_t));
    r->samples.place = (int32_t *)calloc((size_t)sessrec_model_describe(model).item_count, sizeof(int32_t));
    if (!r->samples.ids || !r->samples.place) fail("memory", "there is not enough");
}

// ---- training ----

// The gradients of this rank's next mini-batch; 0 if its epoch is over.
static int find_gradients(run *r) {
    sessrec_error err = {SESSREC_OK, 0, ""};
    sessrec_batch batch;
    double loss;
    need("mini-batch", sessrec_batcher_next(r->batcher, &batch), &err);
    if (!batch.rows) return 0;
    need("training", sessrec_trainer_grad(r->trainer, &batch, &loss, &err), &err);
    r->loss += loss * (double)r->config.batch_size;
    r->pairs += (double)batch.rows;
    find_samples(&r->samples, &batch);
    for (int i = 0; i < r->tensor_count; ++i) {
        char name[64];
        snprintf(name, sizeof name, "grad.%s", r->tensors[i].name);
        need(name, sessrec_trainer_tensor(r->trainer, name, &r->tensors[i].gradient, &err), &err);
    }
    return 1;
}

// Returns 0 if no rank has a mini-batch left in this epoch.
static int step(run *r, int *over) {
    if (!*over) *over = !find_gradients(r);
    for (int i = 0; i < r->tensor_count && *over; ++i) r->tensors[i].gradient.rows = 0;
    const double start = MPI_Wtime();
    const int more = exchange(r, !*over);
    r->exchanged += MPI_Wtime() - start;
    return more;
}

// All ranks have the same weights, or something is broken: FNV-1a over their bytes.
static void check_equal(const run *r) {
    uint64_t hash = 0xcbf29ce484222325u, first;
    for (int i = 0; i < r->tensor_count; ++i) {
        const sessrec_mutable_tensor *t = &r->tensors[i].weights;
        const ptrdiff_t count = (ptrdiff_t)t->rows * t->columns;
        for (ptrdiff_t k = 0; k < count; ++k) {
            uint32_t bits;
            memcpy(&bits, &t->data[k], sizeof bits);
            hash = (hash ^ bits) * 0x100000001b3u;
        }
    }
    first = hash;
    MPI_Bcast(&first, 1, MPI_UINT64_T, 0, MPI_COMM_WORLD);
    if (first != hash) fail("weights", "they are not those of rank 0");
}

static void train(run *r) {
    sessrec_error err = {SESSREC_OK, 0, ""};
    const double start = MPI_Wtime();
    for (int32_t epoch = 0; epoch < r->config.epochs; ++epoch) {
        int over = 0;
        r->loss = r->pairs = 0;
        while (step(r, &over)) {}
        need("epoch", sessrec_trainer_next_epoch(r->trainer), &err);
        double mine[2] = {r->loss, r->pairs}, sums[2];
        MPI_Reduce(mine, sums, 2, MPI_DOUBLE, MPI_SUM, 0, MPI_COMM_WORLD);
        if (rank) continue;
        const double seconds = MPI_Wtime() - start;
        fprintf(stderr, "epoch %d/%d  loss %.4f  %.0f events/s\n", (int)epoch + 1, (int)r->config.epochs,
                sums[0] / sums[1], sums[1] * (epoch + 1) / seconds);
    }
    check_equal(r);
    if (!rank)
        printf("trained  %d epochs on %d ranks in %.1f s, of which %.1f s for exchange and updates\n",
               (int)r->config.epochs, ranks, MPI_Wtime() - start, r->exchanged);
}

static void end(run *r, const char *path, const char *test) {
    sessrec_error err = {SESSREC_OK, 0, ""};
    sessrec_model *model = NULL;
    sessrec_log *log = NULL;
    sessrec_eval_config evaluation = sessrec_eval_config_default();
    sessrec_report report;
    need("model", sessrec_trainer_take_model(r->trainer, &model, &err), &err);
    need(path, sessrec_model_write(model, path, &err), &err);
    if (test) {
        need(test, sessrec_log_read(test, NULL, &log, &err), &err);
        need(test, sessrec_evaluate(model, log, &evaluation, &report, &err), &err);
        const int32_t last = report.cutoff_count - 1;
        printf("test     Recall@%d %.4f  MRR@%d %.4f  %lld events\n", (int)report.cutoffs[last],
               report.all.recall[last], (int)report.cutoffs[last], report.all.mrr[last],
               (long long)report.event_count);
    }
    sessrec_log_destroy(log);
    sessrec_model_destroy(model);
}

static void check(const sessrec_config *config) {
    sessrec_error err = {SESSREC_OK, 0, ""};
    need("settings", sessrec_config_check(config, &err), &err);
    if (config->optimizer.kind == SESSREC_ADAM) fail("optimizer", "it must be another one than adam");
    if (config->user_hidden) fail("user-layers", "users are not trained here");
    if (ranks > MOST_RANKS || config->batch_size < ranks)
        fail("batch", "every rank needs a slot of it, and there can be at most 1024 ranks");
}

int main(int argc, char **argv) {
    sessrec_error err = {SESSREC_OK, 0, ""};
    run r;
    const char *test = NULL;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    memset(&r, 0, sizeof r);
    r.config = sessrec_config_default();
    r.config.threads = 1;
    if (argc < 3) fail("usage", "mpi_train LOG MODEL [--test LOG2] [NAME=VALUE ...]");
    for (int i = 3; i < argc; ++i) {
        char *value = strchr(argv[i], '=');
        if (!strcmp(argv[i], "--test") && i + 1 < argc) {
            test = argv[++i];
            continue;
        }
        if (!value) fail(argv[i], "settings are NAME=VALUE");
        *value = 0;
        need("settings", sessrec_config_set(&r.config, argv[i], value + 1, &err), &err);
    }
    check(&r.config);
    begin(&r, argv[1]);
    train(&r);
    if (!rank) end(&r, argv[2], test);
    sessrec_batcher_destroy(r.batcher);
    sessrec_sampler_destroy(r.sampler);
    sessrec_trainer_destroy(r.trainer);
    sessrec_log_destroy(r.part);
    sessrec_log_destroy(r.log);
    free(r.samples.ids);
    free(r.samples.place);
    MPI_Finalize();
    return 0;
}
