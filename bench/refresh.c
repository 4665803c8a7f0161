// refresh.c - a model that learns each night what the day has brought
//
//     refresh LOG FIRST_DAYS [EPOCHS [DAYS [SEEDS]]]
//
// Trains on the first days of a log, then goes on for a night after each day, on that day's sessions, in
// several ways; and trains from scratch on everything so far, which is what the others are compared with. A
// line for each seed, way and day: Recall@20 and MRR@20 on the sessions of the day after, of all their pairs,
// those of items that a model does not know counted as misses. A day is a UTC day, a session belongs to the
// day that it begins on. Results are in RESULTS.md; refresh.sh makes the tables.
#define SESSREC_IMPLEMENTATION
#include "../sessrec.h"

#include <stdio.h>
#include <stdlib.h>

static sessrec_log *all;
static sessrec_log_view view;
static int first_day, day_count;

static void check(sessrec_result result, const sessrec_error *err) {
    if (!result) return;
    fprintf(stderr, "refresh: %s\n", err->text);
    exit(1);
}

static int day_of(int32_t session) {
    return (int)(view.times[view.session_begins[session]] / 86400) - first_day;
}

// The sessions of the days first .. last, with the items of a model first.
static sessrec_log *days(int first, int last, const sessrec_model *items_of) {
    sessrec_log_format format = sessrec_log_format_default();
    sessrec_error err;
    sessrec_log *log = NULL;
    format.items_of = items_of;
    check(sessrec_log_create(&format, &log, NULL), &err);
    for (int32_t s = 0; s < view.session_count; ++s) {
        if (day_of(s) < first || day_of(s) > last) continue;
        for (int64_t e = view.session_begins[s]; e < view.session_begins[s + 1]; ++e)
            check(sessrec_log_add(log, NULL, sessrec_log_session_id(all, s),
                                  sessrec_log_item_id(all, view.items[e]), view.times[e]),
                  &err);
    }
    check(sessrec_log_finish(log, &err), &err);
    return log;
}

static void judge(const char *way, const sessrec_model *model, int day) {
    sessrec_log *log = days(day, day, NULL);
    const sessrec_log_view test = sessrec_log_contents(log);
    sessrec_eval_config eval = sessrec_eval_config_default();
    sessrec_report report;
    sessrec_error err;
    eval.cutoff_count = 1;
    eval.cutoffs[0] = 20;
    check(sessrec_evaluate(model, log, &eval, &report, &err), &err);
    const double known = (double)report.event_count / (double)(test.event_count - test.session_count);
    printf("%s\t%d\t%.4f\t%.4f\t%.3f\n", way, day + 1, report.all.recall[0] * known,
           report.all.mrr[0] * known, 1 - known);
    fflush(stdout);
    sessrec_log_destroy(log);
}

// With warm = 0 as sessrec_train without its warm-up.
static sessrec_model *train(const sessrec_config *config, const sessrec_log *log, int warm) {
    sessrec_trainer *trainer = NULL;
    sessrec_sampler *sampler = NULL;
    sessrec_batcher *batcher = NULL;
    sessrec_model *model = NULL;
    sessrec_error err;
    if (warm) {
        check(sessrec_train(config, log, NULL, &model, &err), &err);
        return model;
    }
    check(sessrec_trainer_create(config, log, &trainer, &err), &err);
    check(sessrec_trainer_sampler(trainer, &sampler, &err), &err);
    check(sessrec_batcher_create(config, log, sampler, &batcher, &err), &err);
    for (int32_t epoch = 0; epoch < config->epochs; ++epoch) {
        check(sessrec_trainer_epoch(trainer, batcher, &err), &err);
        sessrec_trainer_next_epoch(trainer);
    }
    check(sessrec_trainer_take_model(trainer, &model, &err), &err);
    sessrec_batcher_destroy(batcher);
    sessrec_sampler_destroy(sampler);
    sessrec_trainer_destroy(trainer);
    return model;
}

static void go_on(const char *way, const sessrec_model *first, int first_days, sessrec_config config,
                  int warm) {
    const sessrec_model *model = first;
    for (int day = first_days; day + 1 < day_count; ++day) {
        sessrec_log *log = days(day, day, model);
        char stale[40];
        snprintf(stale, sizeof stale, "%s, a day old", way);
        judge(stale, model, day + 1);
        config.start_from = model;
        sessrec_model *next = train(&config, log, warm);
        sessrec_log_destroy(log);
        if (model != first) sessrec_model_destroy((sessrec_model *)(uintptr_t)model);
        model = next;
        judge(way, model, day + 1);
    }
    if (model != first) sessrec_model_destroy((sessrec_model *)(uintptr_t)model);
}

// All ways with one seed.
static void run(sessrec_config config, int first_days) {
    sessrec_log *log = days(0, first_days - 1, NULL);
    sessrec_model *first = train(&config, log, 1);
    sessrec_log_destroy(log);
    for (int day = first_days; day < day_count; ++day) {
        judge("first days only", first, day);
        if (day == first_days) continue;
        sessrec_log *so_far = days(0, day - 1, NULL);
        sessrec_model *scratch = train(&config, so_far, 1);
        judge("from scratch", scratch, day);
        sessrec_model_destroy(scratch);
        sessrec_log_destroy(so_far);
    }
    go_on("default", first, first_days, config, 1);
    sessrec_config one = config;
    one.epochs = 1;
    go_on("default, 1 epoch", first, first_days, one, 1);
    go_on("no warm-up, 1 epoch", first, first_days, one, 0);
    one.optimizer.learning_rate = 0.02f;
    go_on("no warm-up, 1 epoch, lr 0.02", first, first_days, one, 0);
    sessrec_model_destroy(first);
}

int main(int argc, char **argv) {
    sessrec_config config = sessrec_config_default();
    sessrec_error err;
    if (argc < 3) {
        fprintf(stderr, "usage: refresh LOG FIRST_DAYS [EPOCHS [DAYS [SEEDS]]]\n");
        return 2;
    }
    if (argc > 3) config.epochs = atoi(argv[3]);
    check(sessrec_log_read(argv[1], NULL, &all, &err), &err);
    view = sessrec_log_contents(all);
    first_day = (int)(view.times[0] / 86400);
    day_count = argc > 4 ? atoi(argv[4]) : day_of(view.session_count - 1) + 1;
    for (int seed = 1; seed <= (argc > 5 ? atoi(argv[5]) : 1); ++seed) {
        config.seed = (uint64_t)seed;
        run(config, atoi(argv[2]));
    }
    sessrec_log_destroy(all);
    return 0;
}
