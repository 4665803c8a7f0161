// zoo.c - trains and measures one architecture of the zoo
//
//     zoo MODEL TRAIN.tsv TEST.tsv [--epochs N] [--threads N] [--seed N] [--OPTION N]
//
// Ends with the line "Recall@20 X MRR@20 Y": all items ranked, the target last among equals, unknown test
// items removed. A model becomes a sessrec_scorer, and from there on nothing knows that it is not the
// library's own.
#include "zoo.h"

#include "bert4rec.h"
#include "bprmf.h"
#include "caser.h"
#include "fpmc.h"
#include "lru.h"
#include "sasrec.h"
#include "srgnn.h"
#include "stamp.h"

static const zoo_model *const MODELS[] = {&zoo_sasrec, &zoo_lru, &zoo_bprmf, &zoo_fpmc, &zoo_stamp,
                                         &zoo_srgnn, &zoo_caser, &zoo_bert4rec};
enum { MODEL_COUNT = (int)(sizeof MODELS / sizeof *MODELS) };

// ---- a model as a scorer ----------------------------------------------------------------------------------

typedef struct served {
    const zoo_model *kind;
    const zoo *net;
    const void *model;
    const sessrec_log *log;
    const zoo_tensor *vectors, *biases;
} served;

static size_t served_bytes(const served *s) {
    return (s->kind->state_floats(s->net) * sizeof(float) + 15) / 16 * 16;
}
static int32_t served_find(const void *self, const char *id) {
    return sessrec_log_find_item(((const served *)self)->log, id);
}
static const char *served_id(const void *self, int32_t item) {
    return sessrec_log_item_id(((const served *)self)->log, item);
}
static size_t served_scratch(const void *self, int32_t rows) {
    const zoo_options *o = &((const served *)self)->net->options;
    (void)rows;
    return ((size_t)o->width * 32 + (size_t)o->most_clicks + SESSREC_MATMUL_SCRATCH) * sizeof(float);
}
static void served_begin(const void *self, void *state, const void *user, double time) {
    (void)user, (void)time;
    memset(state, 0, served_bytes((const served *)self));
}
static void served_click(const void *self, int32_t rows, void *states, const int32_t *items,
                         const double *times, void *scratch) {
    const served *s = (const served *)self;
    (void)times;
    for (int32_t r = 0; r < rows; ++r)
        s->kind->click(s->net, s->model, (float *)(void *)((char *)states + (size_t)r * served_bytes(s)),
                       items[r], (float *)scratch);
}
static void served_score(const void *self, int32_t rows, const void *states, int32_t first, int32_t count,
                         float *scores, void *scratch) {
    const served *s = (const served *)self;
    const int32_t H = s->vectors->columns;
    sessrec_matmul_bt(rows, count, H, (const float *)states, (ptrdiff_t)(served_bytes(s) / sizeof(float)),
                      s->vectors->w + (ptrdiff_t)first * H, H, s->biases->w + first, scores, count,
                      (float *)scratch);
}
static sessrec_scorer scorer_of(served *s) {
    sessrec_scorer scorer;
    memset(&scorer, 0, sizeof scorer);
    s->kind->scores(s->model, &s->vectors, &s->biases);
    scorer.self = s;
    scorer.item_count = s->net->items;
    scorer.state_bytes = served_bytes(s);
    scorer.scratch_bytes = served_scratch;
    scorer.find_item = served_find;
    scorer.item_id = served_id;
    scorer.begin = served_begin;
    scorer.click = served_click;
    scorer.score = served_score;
    return scorer;
}

// ---- training ---------------------------------------------------------------------------------------------

// The clicks of a session that are inputs: the last most_clicks of all but the last.
static int32_t inputs_of(const zoo *net, const sessrec_log_view *log, int32_t session) {
    const int64_t n = log->session_begins[session + 1] - log->session_begins[session] - 1;
    return n < net->options.most_clicks ? (int32_t)n : net->options.most_clicks;
}

// Packs the sessions that come next in `order`. Returns how many of the order are used up.
static int32_t pack(zoo *net, const sessrec_log_view *log, const int32_t *order, int32_t left,
                    zoo_batch *out) {
    int32_t used = 0, places = 0, sessions = 0;
    for (; used < left && used < net->options.sessions; ++used) places += inputs_of(net, log, order[used]);
    int32_t *begins = (int32_t *)zoo_bytes(net, ((size_t)used + 1) * sizeof *begins);
    int32_t *items = (int32_t *)zoo_bytes(net, (size_t)places * sizeof *items);
    int32_t *targets = (int32_t *)zoo_bytes(net, (size_t)places * sizeof *targets);
    for (places = 0; sessions < used; ++sessions) {
        const int32_t n = inputs_of(net, log, order[sessions]);
        const int32_t *last = log->items + log->session_begins[order[sessions] + 1] - 1;
        for (int32_t i = 0; i < n; ++i) items[places + i] = last[i - n],
        targets[places + i] = last[i - n + 1];
        places += n;
        begins[sessions + 1] = places;
    }
    const zoo_batch batch = {sessions, places, begins, items, targets};
    *out = batch;
    return used;
}

static void train(zoo *net, const zoo_model *kind, void *model, const sessrec_log_view *log) {
    int32_t *order = (int32_t *)zoo_zeros((size_t)log->session_count, sizeof *order), count = 0;
    for (int32_t s = 0; s < log->session_count; ++s)
        if (inputs_of(net, log, s) > 0) order[count++] = s;
    net->steps = (int64_t)net->options.epochs * ((count + net->options.sessions - 1) / net->options.sessions);
    for (int32_t epoch = 0; epoch < net->options.epochs; ++epoch) {
        double loss = 0, places = 0;
        for (int32_t i = count - 1; i > 0; --i) {
            const int32_t j = (int32_t)(sessrec_random(net->seed, 900 + (uint64_t)epoch,
                                                       (uint64_t)i) % (uint64_t)(i + 1)),
                          other = order[j];
            order[j] = order[i], order[i] = other;
        }
        for (int32_t at = 0; at < count;) {
            zoo_batch batch;
            at += pack(net, log, order + at, count - at, &batch);
            loss += kind->train(net, model, &batch) * batch.places;
            places += batch.places;
            zoo_apply(net);
        }
        fprintf(stderr, "epoch %d: loss %.4f\n", epoch + 1, loss / places);
    }
    free(order);
}

// ---- the command line -------------------------------------------------------------------------------------

// Sets the option of that name; 0: there is none.
static int set_option(zoo_options *o, const char *name, const char *value) {
    const struct { const char *name; int32_t *whole; float *part; } options[] = {
        {"width", &o->width, NULL}, {"heads", &o->heads, NULL}, {"layers", &o->layers, NULL},
        {"most-clicks", &o->most_clicks, NULL}, {"epochs", &o->epochs, NULL},
        {"sessions", &o->sessions, NULL},
        {"samples", &o->samples, NULL}, {"dropout", NULL, &o->dropout}, {"rate", NULL, &o->rate},
        {"decay", NULL, &o->decay}, {"clip", NULL, &o->clip}, {"warm-up", NULL, &o->warm_up},
        {"loss", &o->loss, NULL}};
    for (size_t i = 0; i < sizeof options / sizeof *options; ++i)
        if (!strcmp(name, options[i].name)) {
            if (options[i].whole) *options[i].whole = (int32_t)strtol(value, NULL, 10);
            else *options[i].part = (float)strtod(value, NULL);
            return 1;
        }
    return 0;
}

static int usage(void) {
    fprintf(stderr, "usage: zoo MODEL TRAIN.tsv TEST.tsv [--epochs N] [--threads N] [--seed N] [--OPTION N]\n"
                    "models:");
    for (int i = 0; i < MODEL_COUNT; ++i) fprintf(stderr, " %s", MODELS[i]->name);
    fprintf(stderr, "\n");
    return 2;
}

int main(int argc, char **argv) {
    static zoo net;
    const zoo_model *kind = NULL;
    sessrec_log *log = NULL, *test = NULL;
    sessrec_error err = {SESSREC_OK, 0, ""};
    sessrec_eval_config evaluation = sessrec_eval_config_default();
    int32_t threads = 0;
    for (int i = 0; i < MODEL_COUNT && argc > 3; ++i)
        if (!strcmp(argv[1], MODELS[i]->name)) kind = MODELS[i];
    if (!kind || argc % 2) return usage();
    net.options = kind->options;
    net.seed = 1;
    for (int i = 4; i < argc; i += 2) {
        if (!strcmp(argv[i], "--threads")) threads = (int32_t)strtol(argv[i + 1], NULL, 10);
        else if (!strcmp(argv[i], "--seed")) net.seed = (uint64_t)strtoull(argv[i + 1], NULL, 10);
        else if (strncmp(argv[i], "--", 2) || !set_option(&net.options, argv[i] + 2, argv[i + 1]))
            return usage();
    }
    sessrec_result result = sessrec_log_read(argv[2], NULL, &log, &err);
    if (!result) result = sessrec_log_read(argv[3], NULL, &test, &err);
    if (!result) result = sessrec_pool_create(threads, NULL, NULL, &net.pool, &err);
    const sessrec_log_view view = sessrec_log_contents(log);
    if (!result && net.options.samples > 0)
        result = sessrec_sampler_create(view.supports, view.item_count, (float)0.5, NULL, &net.sampler, &err);
    if (!result) {
        net.items = view.item_count;
        net.supports = view.supports;
        sessrec_report report;
        served s = {kind, &net, kind->create(&net), log, NULL, NULL};
        train(&net, kind, (void *)s.model, &view);
        const sessrec_scorer scorer = scorer_of(&s);
        evaluation.cutoff_count = 1;
        evaluation.cutoffs[0] = 20;
        evaluation.threads = threads;
        result = sessrec_evaluate_scorer(&scorer, test, &evaluation, &report, &err);
        if (!result) printf("Recall@20 %.4f MRR@20 %.4f\n", report.all.recall[0], report.all.mrr[0]);
        free((void *)s.model);
    }
    if (result) fprintf(stderr, "zoo: %s\n", err.text);
    zoo_free(&net);
    sessrec_log_destroy(log), sessrec_log_destroy(test);
    return result ? 1 : 0;
}
