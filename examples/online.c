// online.c - predict, then learn: a model that takes in every session as it ends, beside one of last night
//
//     online LOG [DAYS [EPOCHS]]
//
// All but the last days of a log make a model. Then, day by day, every click of every session is predicted by
//     frozen    that model
//     nightly   what it has become by learning each night from the sessions of the day (start_from)
//     online    the model of the night before, which learns from each session of the day once it is over
// A session of the day is predicted with what had ended when it began: nothing is looked up in the future.
// Prints Recall@20 and MRR@20 of each day, of all pairs; items that a model does not know yet are misses.
#define SESSREC_IMPLEMENTATION
#include "../sessrec.h"

#include <stdio.h>
#include <stdlib.h>

static const sessrec_log *all;
static sessrec_log_view view;

static void check(sessrec_result result, const sessrec_error *err) {
    if (!result) return;
    fprintf(stderr, "online: %s\n", err ? err->text : sessrec_result_text(result));
    exit(1);
}

static double begin_of(int32_t session) {
    return view.times[view.session_begins[session]];
}

static double end_of(int32_t session) {
    return view.times[view.session_begins[session + 1] - 1];
}

// The sessions that begin in [from, to), with the items of a model first.
static sessrec_log *between(double from, double to, const sessrec_model *items_of) {
    sessrec_log_format format = sessrec_log_format_default();
    sessrec_error err;
    sessrec_log *log = NULL;
    format.items_of = items_of;
    check(sessrec_log_create(&format, &log, &err), &err);
    for (int32_t s = 0; s < view.session_count; ++s)
        for (int64_t e = view.session_begins[s]; e < view.session_begins[s + 1]; ++e)
            if (begin_of(s) >= from && begin_of(s) < to)
                check(sessrec_log_add(log, NULL, sessrec_log_session_id(all, s),
                                      sessrec_log_item_id(all, view.items[e]), view.times[e]),
                      &err);
    check(sessrec_log_finish(log, &err), &err);
    return log;
}

typedef struct score {
    double recall, mrr, pairs;
} score;

static void count_rank(score *sum, double rank) {
    sum->recall += rank <= 20;
    sum->mrr += rank <= 20 ? 1 / rank : 0;
}

// A model that does not change for a day.
static score predict(const sessrec_model *model, const sessrec_log *day) {
    const sessrec_log_view test = sessrec_log_contents(day);
    sessrec_eval_config eval = sessrec_eval_config_default();
    sessrec_report report;
    sessrec_error err;
    eval.cutoff_count = 1;
    eval.cutoffs[0] = 20;
    check(sessrec_evaluate(model, day, &eval, &report, &err), &err);
    const double events = (double)report.event_count;
    const score sum = {report.all.recall[0] * events, report.all.mrr[0] * events,
                       (double)(test.event_count - test.session_count)};
    return sum;
}

// What a session's clicks are in a model: -1 for what it does not know.
static int32_t *items_in(const sessrec_model *model, int32_t session, int32_t *count) {
    const int64_t begin = view.session_begins[session];
    *count = (int32_t)(view.session_begins[session + 1] - begin);
    int32_t *items = (int32_t *)malloc((size_t)*count * sizeof *items);
    for (int32_t i = 0; items && i < *count; ++i)
        items[i] = sessrec_model_find_item(model, sessrec_log_item_id(all, view.items[begin + i]));
    if (!items) exit(1);
    return items;
}

// One that learns from the sessions of [from, to) as they end. `before` is the log of the day before.
static score predict_and_learn(const sessrec_config *config, const sessrec_log *before, double from,
                               double to) {
    sessrec_trainer *trainer = NULL;
    sessrec_sampler *sampler = NULL;
    sessrec_batcher *batcher = NULL;
    const sessrec_model *model = NULL;
    sessrec_session *visitor = NULL;
    sessrec_error err;
    score sum = {0, 0, 0};
    check(sessrec_trainer_create(config, before, &trainer, &err), &err);
    check(sessrec_trainer_sampler(trainer, &sampler, &err), &err);
    check(sessrec_batcher_create(config, before, sampler, &batcher, &err), &err);
    check(sessrec_trainer_warm_up(trainer, batcher, &err), &err);
    check(sessrec_trainer_model(trainer, &model, &err), &err);
    const int32_t item_count = sessrec_model_describe(model).item_count;
    const size_t size = sessrec_session_size(model, 0);
    void *memory = malloc(size);
    int32_t *everything = (int32_t *)malloc((size_t)item_count * sizeof *everything);
    float *scores = (float *)malloc((size_t)item_count * sizeof *scores);
    int32_t *waiting = (int32_t *)malloc((size_t)view.session_count * sizeof *waiting), waits = 0;
    if (!memory || !everything || !scores || !waiting) exit(1);
    for (int32_t i = 0; i < item_count; ++i) everything[i] = i;
    check(sessrec_session_init(model, 0, memory, size, &visitor, &err), &err);
    for (int32_t s = 0; s < view.session_count; ++s) {
        if (begin_of(s) < from || begin_of(s) >= to) continue;
        int32_t count, still = 0;
        for (int32_t w = 0; w < waits; ++w) {
            if (end_of(waiting[w]) >= begin_of(s)) waiting[still++] = waiting[w];
            else {
                int32_t *items = items_in(model, waiting[w], &count);
                check(sessrec_trainer_learn(trainer, sampler, items, count, NULL, &err), &err);
                free(items);
            }
        }
        waits = still;
        waiting[waits++] = s;
        int32_t *items = items_in(model, s, &count);
        for (int32_t i = 0, clicks = 0; i < count; ++i) {
            if (i) sum.pairs++;
            if (items[i] < 0) continue;
            if (clicks++) {
                int64_t higher, equal;
                check(sessrec_session_score(visitor, everything, item_count, scores), NULL);
                sessrec_rank_counts(scores, item_count, items[i], &higher, &equal);
                count_rank(&sum, sessrec_rank(higher, equal, SESSREC_TIES_CONSERVATIVE));
            }
            check(sessrec_session_click(visitor, items[i]), NULL);
        }
        sessrec_session_end(visitor);
        free(items);
    }
    free(waiting);
    free(scores);
    free(everything);
    free(memory);
    sessrec_batcher_destroy(batcher);
    sessrec_sampler_destroy(sampler);
    sessrec_trainer_destroy(trainer);
    return sum;
}

static void print_score(score s) {
    printf("%10.4f %8.4f", s.pairs > 0 ? s.recall / s.pairs : 0, s.pairs > 0 ? s.mrr / s.pairs : 0);
}

int main(int argc, char **argv) {
    enum { DAY = 86400 };
    sessrec_config config = sessrec_config_default();
    sessrec_error err;
    sessrec_log *log = NULL;
    if (argc < 2) {
        fprintf(stderr, "usage: online LOG [DAYS [EPOCHS]]\n");
        return 2;
    }
    const int days = argc > 2 ? atoi(argv[2]) : 2;
    if (argc > 3) config.epochs = atoi(argv[3]);
    check(sessrec_log_read(argv[1], NULL, &log, &err), &err);
    all = log;
    view = sessrec_log_contents(all);
    double last = 0;
    for (int32_t s = 0; s < view.session_count; ++s)
        if (begin_of(s) > last) last = begin_of(s);
    double midnight = (floor(last / DAY) + 1 - days) * DAY;
    sessrec_model *frozen = NULL, *nightly = NULL;
    sessrec_log *past = between(-1e300, midnight, NULL);
    check(sessrec_train(&config, past, NULL, &frozen, &err), &err);
    sessrec_log_destroy(past);
    printf("%-12s %9s %22s %22s %22s\n", "day", "pairs", "frozen", "nightly", "online");
    for (int day = 0; day < days; ++day, midnight += DAY) {
        const sessrec_model *model = nightly ? nightly : frozen;
        sessrec_log *today = between(midnight, midnight + DAY, NULL),
                    *before = between(midnight - DAY, midnight, model);
        const score of_frozen = predict(frozen, today), of_nightly = predict(model, today);
        config.start_from = model;
        const score of_online = predict_and_learn(&config, before, midnight, midnight + DAY);
        printf("%-12.0f %9.0f ", midnight, of_frozen.pairs);
        print_score(of_frozen);
        printf("   ");
        print_score(of_nightly);
        printf("   ");
        print_score(of_online);
        printf("\n");
        fflush(stdout);
        sessrec_log_destroy(today);
        sessrec_log_destroy(before);
        if (day + 1 == days) break;
        sessrec_log *night = between(midnight, midnight + DAY, model);
        sessrec_model *next = NULL;
        check(sessrec_train(&config, night, NULL, &next, &err), &err);
        sessrec_log_destroy(night);
        sessrec_model_destroy(nightly);
        nightly = next;
    }
    sessrec_model_destroy(nightly);
    sessrec_model_destroy(frozen);
    sessrec_log_destroy(log);
    return 0;
}
