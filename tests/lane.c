// lane.c - a short tour for machines and tools of all kinds: `lane THREADS` trains six models, and prints a
// hash of each and of what it recommends, and of neighbors, rules and a blend. Every machine prints the same.
#define SESSREC__MOST_THREADS 16
#define SESSREC_IMPLEMENTATION
#include "../sessrec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void must(sessrec_result result) {
    if (result) {
        fprintf(stderr, "%s\n", sessrec_result_text(result));
        exit(1);
    }
}

static uint64_t hash_of(uint64_t hash, const void *bytes, size_t size) {  // FNV-1a
    const unsigned char *at = (const unsigned char *)bytes;
    for (size_t i = 0; i < size; ++i) hash = (hash ^ at[i]) * 1099511628211u;
    return hash;
}
static const uint64_t EMPTY = 14695981039346656037u;

static void print(const char *what, uint64_t hash) {
    printf("%08lx%08lx %s\n", (unsigned long)(hash >> 32), (unsigned long)(hash & 0xffffffffu), what);
}

static sessrec_log *make_log(void) {
    sessrec_log *log = NULL;
    must(sessrec_log_create(NULL, &log, NULL));
    for (int s = 1; s <= 150; ++s)
        for (int i = 0; i < 5; ++i)
            must(sessrec_log_add_numbers(log, s % 40, s, (s * s + 3 * i) % 41, 1000.0 * s + i));
    must(sessrec_log_finish(log, NULL));
    return log;
}

// Item, place and bits of each recommendation after two clicks.
static uint64_t recommend(const sessrec_scorer *scorer) {
    const size_t size = sessrec_scorer_session_size(scorer, 8, NULL);
    void *memory = malloc(size);
    sessrec_session *session = NULL;
    sessrec_recommendation best[10];
    uint64_t hash = EMPTY;
    if (!memory) exit(1);
    must(sessrec_scorer_session_init(scorer, 8, NULL, memory, size, &session, NULL));
    for (int32_t click = 0; click < 2; ++click) must(sessrec_session_click(session, click));
    const int32_t count = sessrec_recommend(session, 10, best);
    for (int32_t i = 0; i < count; ++i) {
        uint32_t word[2] = {(uint32_t)best[i].item, 0};
        memcpy(&word[1], &best[i].score, sizeof word[1]);
        for (int w = 0; w < 2; ++w)
            for (int byte = 0; byte < 4; ++byte) {
                const unsigned char part = (unsigned char)(word[w] >> 8 * byte);
                hash = hash_of(hash, &part, 1);
            }
    }
    free(memory);
    return hash;
}

static uint64_t export_of(const sessrec_scorer *scorer) {
    const size_t size = sessrec_scorer_export_size(scorer);
    void *bytes = malloc(size);
    if (!bytes) exit(1);
    must(sessrec_scorer_export(scorer, bytes, size));
    const uint64_t hash = hash_of(EMPTY, bytes, size);
    free(bytes);
    return hash;
}

static void show(const char *what, const sessrec_scorer *scorer, const sessrec_log *log, int32_t threads) {
    sessrec_eval_config eval = sessrec_eval_config_default();
    sessrec_report report;
    char line[80];
    eval.threads = threads;
    must(sessrec_evaluate_scorer(scorer, log, &eval, &report, NULL));
    snprintf(line, sizeof line, "%s, hits of %ld at 5: %ld", what, (long)report.event_count,
             (long)(report.all.recall[1] * (double)report.event_count + 0.5));
    print(line, export_of(scorer) ^ recommend(scorer));
}

static sessrec_model *train(const char *const *options, const sessrec_log *log, int32_t threads) {
    sessrec_config config = sessrec_config_default();
    sessrec_model *model = NULL;
    config.hidden[0] = 27;
    config.epochs = 2;
    config.negatives = 48;
    config.batch_size = 16;
    config.threads = threads;
    for (; options[0]; options += 2) must(sessrec_config_set(&config, options[0], options[1], NULL));
    must(sessrec_train(&config, log, log, &model, NULL));
    return model;
}

int main(int count, char **words) {
    static const char *const options[6][11] = {
        {"loss", "xe", NULL},
        {"loss", "bpr-max", "gru", "reset-after", "optimizer", "adam", "lr", "0.01", NULL},
        {"loss", "top1-max", "activation", "elu:0.5", "embedding", "12", "momentum", "0.3", NULL},
        {"loss", "bpr", "embedding", "none", "optimizer", "rmsprop", "lr", "0.01", NULL},
        {"layers", "16,12", "loss", "top1", "optimizer", "adadelta", "lr", "1", "shuffle", "1", NULL},
        {"user-layers", "9", "hrnn", "all", "dropout-init", "0.2", "dropout-user", "0.1", NULL}};
    const int32_t threads = count > 1 ? atoi(words[1]) : 1;
    sessrec_log *log = make_log();
    sessrec_model *models[6];
    sessrec_scorer scorers[9];
    sessrec_knn_config knn = sessrec_knn_config_default();
    sessrec_rules_config rules = sessrec_rules_config_default();
    knn.m = 50;
    knn.k = 10;
    for (int m = 0; m < 6; ++m) {
        models[m] = train(options[m], log, threads);
        must(sessrec_scorer_model(models[m], NULL, &scorers[m], NULL));
        show(options[m][1], &scorers[m], log, threads);
    }
    must(sessrec_knn_create(&knn, log, &scorers[6], NULL));
    must(sessrec_rules_create(&rules, log, &scorers[7], NULL));
    const sessrec_blend_part parts[3] = {{&scorers[0], 1, 0}, {&scorers[6], 1, 1}, {&scorers[7], 0.1f, 0}};
    must(sessrec_blend_create(parts, 3, 0, NULL, &scorers[8], NULL));
    show("neighbors", &scorers[6], log, threads);
    show("rules", &scorers[7], log, threads);
    show("blend", &scorers[8], log, threads);
    for (int s = 8; s >= 0; --s) sessrec_scorer_destroy(&scorers[s]);
    for (int m = 0; m < 6; ++m) sessrec_model_destroy(models[m]);
    sessrec_log_destroy(log);
    return 0;
}
