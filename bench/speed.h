// speed.h - what speed.c and its peers in C share: the settings, the made-up log, medians, and the lines that
// bench/speed.sh reads
#ifndef SESSREC_BENCH_SPEED_H
#define SESSREC_BENCH_SPEED_H

#define SESSREC_IMPLEMENTATION
#include "../sessrec.h"

#include <time.h>

enum { RUNS = 5, SESSIONS = 20000, LENGTH = 5 };

// Published settings: the widths, mini-batches and losses of the authors' parameter files for each log.
typedef struct setting {
    const char *name;
    sessrec_loss_kind loss;
    int32_t width, batch, negatives;
    float dropout_input, dropout_hidden;
} setting;

static const setting SETTINGS[] = {
    {"RSC15 xe L=100 B=32 n=2048", SESSREC_LOSS_XE, 100, 32, 2048, 0, 0.4f},
    {"no samples xe L=100 B=32 n=0", SESSREC_LOSS_XE, 100, 32, 0, 0, 0.4f},
    {"RetailRocket bpr-max L=224 B=80 n=2048", SESSREC_LOSS_BPR_MAX, 224, 80, 2048, 0.5f, 0.05f},
    {"Yoochoose xe L=480 B=48 n=2048", SESSREC_LOSS_XE, 480, 48, 2048, 0, 0.2f},
    {"Diginetica bpr-max L=512 B=128 n=2048", SESSREC_LOSS_BPR_MAX, 512, 128, 2048, 0.5f, 0.3f},
    {"Rees46 xe L=512 B=240 n=2048", SESSREC_LOSS_XE, 512, 240, 2048, 0.45f, 0},
};
enum { ALL_SETTINGS = sizeof SETTINGS / sizeof *SETTINGS, NARROW_SETTINGS = 2 };

// With a million items the wide settings would fill 6 GB: the narrow ones only.
static int settings_for(int32_t items) {
    return items > 100000 ? NARROW_SETTINGS : ALL_SETTINGS;
}

static sessrec_config configured(const setting *s, int32_t threads) {
    sessrec_config config = sessrec_config_default();
    config.loss.kind = s->loss;
    config.loss.activation = s->loss == SESSREC_LOSS_BPR_MAX ? SESSREC_ELU : SESSREC_LINEAR;
    config.loss.skip_own_target = 0;  // as published, and as the peers do
    config.hidden[0] = s->width;
    config.batch_size = s->batch;
    config.negatives = s->negatives;
    config.dropout_input = s->dropout_input;
    config.dropout_hidden = s->dropout_hidden;
    config.threads = threads;
    return config;
}

static double now(void) {
#ifdef CLOCK_MONOTONIC
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
#else
    return sessrec__now();
#endif
}

static int compare_doubles(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}
static double median(double *value, int count) {
    qsort(value, (size_t)count, sizeof *value, compare_doubles);
    return value[count / 2];
}

// A line "WHO <tab> WHAT <tab> NUMBER". What ends in a number a second is better when it is more, all else
// when it is less.
static void record(const char *who, double value, const char *what, ...) {
    va_list arguments;
    va_start(arguments, what);
    printf("%s\t", who);
    vprintf(what, arguments);
    printf("\t%.6g\n", value);
    va_end(arguments);
    fflush(stdout);
}

// Median of RUNS values of some work's speed: each run repeats it for 0.4 s at least. work returns how much
// it did, 0: it failed.
static double speed_of(double (*work)(void *context), void *context) {
    double speed[RUNS];
    for (int run = -1; run < RUNS; ++run) {  // run -1 warms up
        const double start = now();
        double done = 0, seconds;
        do {
            const double more = work(context);
            if (more <= 0) return 0;
            done += more;
            seconds = now() - start;
        } while (seconds < 0.4);
        if (run >= 0) speed[run] = done / seconds;
    }
    return median(speed, RUNS);
}

// Item i is clicked with probability ~ 1 / (i + 1): the inverse of the distribution function of a continuous
// Zipf law.
static int32_t zipf(uint64_t *state, int32_t items) {
    *state += 0x9e3779b97f4a7c15u;
    const double unit = (double)(sessrec__mix(*state) >> 11) / 9007199254740992.0;
    return (int32_t)(pow((double)items + 1, unit)) - 1;
}

// Sessions of Zipf clicks. With `whole`, every item occurs: there are sessions before those that walk the
// catalogue.
static sessrec_log *make_log(int32_t items, int32_t sessions, int whole) {
    sessrec_log *log = NULL;
    uint64_t state = 1;
    if (sessrec_log_create(NULL, &log, NULL)) return NULL;
    for (int32_t i = 0; i < items && whole; ++i) sessrec_log_add_numbers(log, -1, i / LENGTH, i, i);
    for (int32_t s = 0; s < sessions; ++s)
        for (int32_t e = 0; e < LENGTH; ++e)
            sessrec_log_add_numbers(log, -1, items + s, zipf(&state, items), items + s * LENGTH + e);
    if (sessrec_log_finish(log, NULL)) {
        sessrec_log_destroy(log);
        return NULL;
    }
    return log;
}

// Seconds of clicks and of the 20 best items after each, one after the other: prints p50, p99 and p99.9.
static void latency(const char *who, const char *how, int32_t items, int32_t threads,
                    void (*click)(void *context, int32_t item), void *context) {
    enum { CLICKS = 4000 };
    static double seconds[CLICKS];
    static const struct {
        const char *name;
        int of_1000;
    } SHARE[3] = {{"p50", 500}, {"p99", 990}, {"p99.9", 999}};
    const int clicks = items > 100000 ? CLICKS / 4 : CLICKS;
    uint64_t state = 2;
    for (int i = -20; i < clicks; ++i) {  // the first ones warm up
        const double start = now();
        click(context, zipf(&state, items));
        if (i >= 0) seconds[i] = now() - start;
    }
    qsort(seconds, (size_t)clicks, sizeof *seconds, compare_doubles);
    for (int i = 0; i < 3; ++i)
        record(who, 1e6 * seconds[clicks * SHARE[i].of_1000 / 1000],
               "click and top 20, microseconds: %d items, %s%d thread%s, %s", (int)items, how, (int)threads,
               threads > 1 ? "s" : "", SHARE[i].name);
}

#endif // SESSREC_BENCH_SPEED_H
