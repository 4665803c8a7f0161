// accuracy - trains one setting of the table below on a real click log with one seed, and prints what it
// reaches on the log's test part.
//
//     accuracy --list                      the settings: name, part, log, what it is, the reference's four
//     figures (or -)
//     accuracy FOLDER NAME SEED [THREADS]  one run: name, seed, Recall@5, MRR@5, Recall@20, MRR@20, events,
//     seconds; separated by tabs
//
// FOLDER holds LOG_train.tsv and LOG_test.tsv. Ties are standard, as in the reference, and the whole
// catalog is ranked. bench/accuracy.sh runs every setting with several seeds and writes the table in
// bench/RESULTS.md.

#define SESSREC_IMPLEMENTATION
#include "../sessrec.h"

#include <stdio.h>

#define METRICS 4

typedef struct setting {
    const char *name, *part, *log;
    int32_t epochs;
    sessrec_loss_kind loss;
    sessrec_activation activation;
    float activation_a, bpreg, logq;
    int32_t hidden, batch_size, negatives;
    float alpha, learning_rate, momentum, dropout_input, dropout_hidden;
    sessrec_gru_form gru;
    int32_t skip_own_target;
    double reference[METRICS];  // Recall@5, MRR@5, Recall@20, MRR@20; 0: there is none
} setting;

#define XE SESSREC_LOSS_XE
#define BPRMAX SESSREC_LOSS_BPR_MAX
#define TOP1 SESSREC_LOSS_TOP1
#define BPR SESSREC_LOSS_BPR
#define LINEAR SESSREC_LINEAR
#define TANH SESSREC_TANH
#define ELU SESSREC_ELU
#define BEFORE SESSREC_RESET_BEFORE
#define AFTER SESSREC_RESET_AFTER
#define RSC15 "rsc15_100k"
#define YOO "yoochoose_1_64"
#define NO_REFERENCE {0, 0, 0, 0}

static const setting settings[] = {
    // name            part       log  epochs loss  activation a bpreg logq  L    B     n  alpha  lr    mom
    //                 drop: in, hidden  gru  skip own
    {"xe", "reference", RSC15, 10,  XE,  LINEAR, 0,   0,     1, 100,
     32,   2048,        .5f,   .2f, .2f, 0,      .4f, AFTER, 1, {.5115, .3411, .6815, .3590}},
    {"bpr-max", "reference", RSC15, 10,   BPRMAX, ELU, .5f,  1.95f, 0, 224,
     80,        2048,        .4f,   .05f, .4f,    .5f, .05f, AFTER, 1, {.5225, .3476, .6893, .3654}},
    {"bpr-max-wide", "reference", RSC15, 1, BPRMAX, ELU, 1, .9f, 0, 512, 128, 2048, .3f, .05f, .15f, .5f, .3f,
     AFTER, 1, {.4778, .3068, .6400, .3239}},
    {"xe-in-batch", "reference", RSC15, 3, XE, LINEAR, 0, 0, 0, 100, 32, 0, 0, .2f, .2f, 0, .4f, AFTER, 1,
     {.3798, .2393, .5398, .2558}},
    {"xe-yoochoose", "reference", YOO, 5, XE, LINEAR, 0, 0, 1, 100, 32, 2048, .5f, .2f, .2f, 0, .4f, AFTER, 1,
     {.4654, .2793, .6977, .3039}},
    {"xe-count", "switch", RSC15, 10,  XE,  LINEAR, 0,   0,     1, 100,
     32,         2048,     .5f,   .2f, .2f, 0,      .4f, AFTER, 0, NO_REFERENCE},
    {"bpr-max-count", "switch", RSC15, 10, BPRMAX, ELU, .5f, 1.95f, 0, 224, 80, 2048, .4f, .05f, .4f, .5f,
     .05f, AFTER, 0, NO_REFERENCE},
    {"bpr-max-wide-count", "switch", RSC15, 1, BPRMAX, ELU, 1, .9f, 0, 512, 128, 2048, .3f, .05f, .15f, .5f,
     .3f, AFTER, 0, NO_REFERENCE},
    {"xe-in-batch-count", "switch", RSC15, 3, XE, LINEAR, 0, 0, 0, 100, 32, 0, 0, .2f, .2f, 0, .4f, AFTER, 0,
     NO_REFERENCE},
    {"xe-yoochoose-count", "switch", YOO, 5, XE, LINEAR, 0, 0, 1, 100, 32, 2048, .5f, .2f, .2f, 0, .4f, AFTER,
     0, NO_REFERENCE},
    {"xe-before", "switch", RSC15, 10,  XE,  LINEAR, 0,   0,      1, 100,
     32,          2048,     .5f,   .2f, .2f, 0,      .4f, BEFORE, 1, NO_REFERENCE},
    {"bpr-max-before", "switch", RSC15, 10, BPRMAX, ELU, .5f, 1.95f, 0, 224, 80, 2048, .4f, .05f, .4f, .5f,
     .05f, BEFORE, 1, NO_REFERENCE},
    {"bpr-max-wide-before", "switch", RSC15, 1, BPRMAX, ELU, 1, .9f, 0, 512, 128, 2048, .3f, .05f, .15f, .5f,
     .3f, BEFORE, 1, NO_REFERENCE},
    {"xe-in-batch-before", "switch", RSC15, 3, XE, LINEAR, 0, 0, 0, 100, 32, 0, 0, .2f, .2f, 0, .4f, BEFORE,
     1, NO_REFERENCE},
    {"xe-yoochoose-before", "switch", YOO, 5, XE, LINEAR, 0, 0, 1, 100, 32, 2048, .5f, .2f, .2f, 0, .4f,
     BEFORE, 1, NO_REFERENCE},
    {"xe-before-count", "switch", RSC15, 10, XE, LINEAR, 0, 0, 1, 100, 32, 2048, .5f, .2f, .2f, 0, .4f,
     BEFORE, 0, NO_REFERENCE},
    {"bpr-max-before-count", "switch", RSC15, 10, BPRMAX, ELU, .5f, 1.95f, 0, 224, 80, 2048, .4f, .05f, .4f,
     .5f, .05f, BEFORE, 0, NO_REFERENCE},
    {"bpr-max-wide-before-count", "switch", RSC15, 1, BPRMAX, ELU, 1, .9f, 0, 512, 128, 2048, .3f, .05f, .15f,
     .5f, .3f, BEFORE, 0, NO_REFERENCE},
    {"xe-in-batch-before-count", "switch", RSC15, 3, XE, LINEAR, 0, 0, 0, 100, 32, 0, 0, .2f, .2f, 0, .4f,
     BEFORE, 0, NO_REFERENCE},
    {"xe-yoochoose-before-count", "switch", YOO, 5, XE, LINEAR, 0, 0, 1, 100, 32, 2048, .5f, .2f, .2f, 0, .4f,
     BEFORE, 0, NO_REFERENCE},
    {"top1", "first", RSC15, 10,  TOP1, TANH, 0,   0,      0, 100,
     32,     512,     .5f,   .1f, 0,    0,    .2f, BEFORE, 0, NO_REFERENCE},
    {"bpr", "first", RSC15, 10,  BPR, LINEAR, 0,   0,      0, 100,
     32,    512,     .5f,   .1f, 0,   0,      .2f, BEFORE, 0, NO_REFERENCE},
};
#define SETTINGS ((int)(sizeof settings / sizeof settings[0]))

static const char *const loss_names[] = {"cross-entropy", "TOP1", "BPR", "TOP1-max", "BPR-max"};
static const char *const activation_names[] = {"", " tanh", " relu", " leaky", " ELU", " SELU"};

static sessrec_config config_of(const setting *s, uint64_t seed, int32_t threads) {
    sessrec_config c = sessrec_config_default();
    c.hidden[0] = s->hidden;
    c.gru = s->gru;
    c.loss.kind = s->loss;
    c.loss.activation = s->activation;
    c.loss.activation_a = s->activation_a;
    c.loss.bpreg = s->bpreg;
    c.loss.logq = s->logq;
    c.loss.skip_own_target = s->skip_own_target;
    c.optimizer.learning_rate = s->learning_rate;
    c.optimizer.momentum = s->momentum;
    c.dropout_input = s->dropout_input;
    c.dropout_hidden = s->dropout_hidden;
    c.batch_size = s->batch_size;
    c.negatives = s->negatives;
    c.alpha = s->alpha;
    c.epochs = s->epochs;
    c.seed = seed;
    c.threads = threads;
    return c;
}

static void print_setting(const setting *s) {
    printf("%s\t%s\t%s\t%s%s", s->name, s->part, s->log, loss_names[s->loss],
           activation_names[s->activation]);
    if (s->activation == ELU) printf(" %g", (double)s->activation_a);
    if (s->loss == BPRMAX) printf(", bpreg %g", (double)s->bpreg);
    if (s->loss == XE) printf(", logQ %g", (double)s->logq);
    printf(", L=%d, B=%d, n=%d", (int)s->hidden, (int)s->batch_size, (int)s->negatives);
    if (s->negatives) printf(", alpha %g", (double)s->alpha);
    printf(", lr %g, momentum %g, dropout %g and %g, ", (double)s->learning_rate, (double)s->momentum,
           (double)s->dropout_input, (double)s->dropout_hidden);
    printf("%d epoch%s", (int)s->epochs, s->epochs == 1 ? "" : "s");
    printf(", reset-%s, own target %s", s->gru == BEFORE ? "before" : "after",
           s->skip_own_target ? "skipped" : "counts");
    for (int m = 0; m < METRICS; ++m) s->reference[m] > 0 ? printf("\t%.4f", s->reference[m]) : printf("\t-");
    printf("\n");
}

static sessrec_result load(const char *folder, const char *log, const char *part, sessrec_log **out,
                           sessrec_error *err) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s_%s.tsv", folder, log, part);
    return sessrec_log_read(path, NULL, out, err);
}

// s NULL: popularity alone, the scorer that the first losses have to beat.
static sessrec_result measure(const setting *s, const sessrec_log *train, const sessrec_log *test,
                              uint64_t seed, int32_t threads, sessrec_report *report, sessrec_error *err) {
    sessrec_eval_config eval = sessrec_eval_config_default();
    eval.ties = SESSREC_TIES_STANDARD;
    eval.cutoff_count = 2;
    eval.cutoffs[0] = 5;
    eval.cutoffs[1] = 20;
    eval.threads = threads;

    sessrec_model *model = NULL;
    sessrec_scorer scorer;
    memset(&scorer, 0, sizeof scorer);
    sessrec_config config = sessrec_config_default();
    if (s) config = config_of(s, seed, threads);
    sessrec_result result =
        s ? sessrec_train(&config, train, NULL, &model, err) : sessrec_scorer_pop(train, NULL, &scorer, NULL);
    if (!result && s) result = sessrec_scorer_model(model, NULL, &scorer, NULL);
    if (!result) result = sessrec_evaluate_scorer(&scorer, test, &eval, report, err);
    sessrec_scorer_destroy(&scorer);
    sessrec_model_destroy(model);
    return result;
}

int main(int argc, char **argv) {
    if (argc == 2 && !strcmp(argv[1], "--list")) {
        for (int i = 0; i < SETTINGS; ++i) print_setting(&settings[i]);
        printf("pop\tfirst\t%s\tPOP: the most popular items of the training log\t-\t-\t-\t-\n", RSC15);
        return 0;
    }
    if (argc < 4) {
        fprintf(stderr, "accuracy --list, or accuracy FOLDER NAME SEED [THREADS]\n");
        return 2;
    }
    const setting *s = NULL;
    for (int i = 0; i < SETTINGS; ++i)
        if (!strcmp(settings[i].name, argv[2])) s = &settings[i];
    if (!s && strcmp(argv[2], "pop")) {
        fprintf(stderr, "accuracy: there is no setting '%s'\n", argv[2]);
        return 2;
    }

    sessrec_log *train = NULL, *test = NULL;
    sessrec_report report;
    sessrec_error error;
    memset(&error, 0, sizeof error);
    const double begin = sessrec__now();
    sessrec_result result = load(argv[1], s ? s->log : RSC15, "train", &train, &error);
    if (!result) result = load(argv[1], s ? s->log : RSC15, "test", &test, &error);
    if (!result)
        result = measure(s, train, test, strtoull(argv[3], NULL, 10), argc > 4 ? atoi(argv[4]) : 1, &report,
                         &error);
    if (result) fprintf(stderr, "accuracy: %s: %s\n", sessrec_result_text(result), error.text);
    else
        printf("%s\t%s\t%.5f\t%.5f\t%.5f\t%.5f\t%lld\t%.1f\n", argv[2], argv[3], report.all.recall[0],
               report.all.mrr[0], report.all.recall[1], report.all.mrr[1], (long long)report.event_count,
               sessrec__now() - begin);
    sessrec_log_destroy(train);
    sessrec_log_destroy(test);
    return result ? 1 : 0;
}
