// experiment.h - what an experiment compares a model with: popularity in the session and with the user, as
// scorers of their own, and a test whether one of two models is better by more than chance. Copy it into your
// program.
//
//     sessrec_scorer s_pop;
//     if (experiment_s_pop(train, &s_pop, &error)) ...
//     sessrec_evaluate_scorer(&s_pop, test, NULL, &report, &error);
//     sessrec_scorer_destroy(&s_pop);
//
// Public domain or MIT-0, as sessrec.h.
#ifndef SESSREC_EXPERIMENT_H
#define SESSREC_EXPERIMENT_H

#include "../sessrec.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

// ---- popularity in the session, and with the user ---------------------------------------------------------
//   s_pop_i = clicks on i in this session + pop_i
//   ppop_i  = clicks of the user on i, in this session and in earlier ones of two or more clicks, + pop_i
// pop_i < 1 (sessrec_scorer_pop) breaks ties; the clicks are a list that is added to it. The sum is a float,
// too: of two items clicked n times each, those whose pop differs by less than about n * 10^-7 tie.

// Distinct items that are counted; with one more, the one that came first is forgotten.
enum { EXPERIMENT_CLICKED = 1024 };

// What a session has clicked, and what a user has.
typedef struct experiment_clicks {
    int32_t used, next;     // items listed, and the place where the next one goes
    int32_t pad[2];         // the size must be a multiple of 16
    sessrec_recommendation list[EXPERIMENT_CLICKED];  // the item and how many clicks it got
} experiment_clicks;

static inline int32_t experiment_find(const void *self, const char *id) {
    const sessrec_scorer *pop = (const sessrec_scorer *)self;
    return pop->find_item(pop->self, id);
}

static inline const char *experiment_id(const void *self, int32_t item) {
    const sessrec_scorer *pop = (const sessrec_scorer *)self;
    return pop->item_id(pop->self, item);
}

static inline uint64_t experiment_support(const void *self, int32_t item) {
    const sessrec_scorer *pop = (const sessrec_scorer *)self;
    return pop->support(pop->self, item);
}

static inline void experiment_begin_user(const void *self, void *user) {
    (void)self;
    ((experiment_clicks *)user)->used = ((experiment_clicks *)user)->next = 0;
}

static inline void experiment_begin(const void *self, void *state, const void *user, double time) {
    (void)time;
    if (user) memcpy(state, user, sizeof(experiment_clicks));
    else experiment_begin_user(self, state);
}

static inline void experiment_end(const void *self, const void *state, void *user, void *scratch) {
    (void)self, (void)scratch;
    memcpy(user, state, sizeof(experiment_clicks));
}

static inline void experiment_count(experiment_clicks *state, int32_t item) {
    int32_t at = 0;
    while (at < state->used && state->list[at].item != item) ++at;
    if (at == state->used) {
        at = state->next;
        state->next = (at + 1) % EXPERIMENT_CLICKED;
        if (state->used < EXPERIMENT_CLICKED) state->used++;
        state->list[at].item = item;
        state->list[at].score = 0;
    }
    state->list[at].score += 1;
}

static inline void experiment_click(const void *self, int32_t rows, void *states, const int32_t *items,
                                    const double *times, void *scratch) {
    (void)self, (void)times, (void)scratch;
    for (int32_t r = 0; r < rows; ++r) experiment_count((experiment_clicks *)states + r, items[r]);
}

static inline void experiment_score(const void *self, int32_t rows, const void *states, int32_t first,
                                    int32_t count, float *scores, void *scratch) {
    const sessrec_scorer *pop = (const sessrec_scorer *)self;
    pop->score(pop->self, rows, states, first, count, scores, scratch);
}

static inline int32_t experiment_list(const void *self, const void *state, const sessrec_recommendation **out,
                                      void *scratch) {
    (void)self, (void)scratch;
    *out = ((const experiment_clicks *)state)->list;
    return ((const experiment_clicks *)state)->used;
}

// A state may come from outside, as the bytes of a session.
static inline int32_t experiment_valid(const void *self, const void *state) {
    const experiment_clicks *clicks = (const experiment_clicks *)state;
    const int32_t items = ((const sessrec_scorer *)self)->item_count;
    if (clicks->used < 0 || clicks->used > EXPERIMENT_CLICKED || clicks->next < 0 ||
        clicks->next >= EXPERIMENT_CLICKED)
        return 0;
    for (int32_t i = 0; i < clicks->used; ++i)
        if (clicks->list[i].item < 0 || clicks->list[i].item >= items) return 0;
    return 1;
}

static inline void experiment_destroy(void *self) {
    sessrec_scorer_destroy((sessrec_scorer *)self);
    free(self);
}

// The log need not outlive the scorer. End it with sessrec_scorer_destroy. Errors as sessrec_scorer_pop.
static inline sessrec_result experiment_s_pop(const sessrec_log *log, sessrec_scorer *out,
                                              sessrec_error *err) {
    if (!out) return sessrec_error_set(err, SESSREC_INVALID_ARGUMENT, NULL);
    memset(out, 0, sizeof *out);
    sessrec_scorer *pop = (sessrec_scorer *)malloc(sizeof *pop);
    if (!pop) return sessrec_error_set(err, SESSREC_OUT_OF_MEMORY, NULL);
    const sessrec_result result = sessrec_scorer_pop(log, NULL, pop, err);
    if (result) {
        free(pop);
        return result;
    }
    out->self = pop;
    out->item_count = pop->item_count;
    out->state_bytes = sizeof(experiment_clicks);
    out->find_item = experiment_find;
    out->item_id = experiment_id;
    out->support = experiment_support;
    out->begin = experiment_begin;
    out->click = experiment_click;
    out->score = experiment_score;
    out->list = experiment_list;
    out->list_room = EXPERIMENT_CLICKED;
    out->valid = experiment_valid;
    out->destroy = experiment_destroy;
    return SESSREC_OK;
}

// The same, but a session begins with what its user has clicked before, also in eval.history.
static inline sessrec_result experiment_ppop(const sessrec_log *log, sessrec_scorer *out,
                                             sessrec_error *err) {
    const sessrec_result result = experiment_s_pop(log, out, err);
    if (result) return result;
    out->user_bytes = sizeof(experiment_clicks);
    out->begin_user = experiment_begin_user;
    out->end = experiment_end;
    return SESSREC_OK;
}

// ---- are two models different? ----------------------------------------------------------------------------
// Wilcoxon's signed-rank test (1945), two-sided: do a and b [n] differ more than by chance? For two models, a
// and b are the reciprocal ranks, or hits, of the same events, gathered through on_event. Differences of 0
// are left out; the others are ranked by magnitude, equals get their mean rank.

typedef struct experiment_signed_ranks {
    int64_t used;   // m, differences that are not 0
    double w;       // the smaller of the two rank sums W+ (where a > b) and W-
    double z;       // W+ - m(m+1)/4, 1/2 nearer to 0 (continuity), over sqrt(m(m+1)(2m+1)/24 - sum over ties
                    // (t^3-t)/48); > 0: a is larger
    double p;       // of |z| or more under a normal distribution: an approximation, good from about 20 used
                    // differences on; 1 without any
} experiment_signed_ranks;

static inline int experiment_compare(const void *a, const void *b) {
    const double x = fabs(*(const double *)a), y = fabs(*(const double *)b);
    return (x > y) - (x < y);
}

// Ranks differences [m] that are sorted by magnitude.
static inline experiment_signed_ranks experiment_rank(const double *difference, int64_t m) {
    const double n = (double)m, mean = n * (n + 1) / 4;
    experiment_signed_ranks out = {m, 0, 0, 1};
    double above = 0, ties = 0;
    for (int64_t i = 0, end; i < m; i = end) {
        int64_t positive = 0;
        for (end = i; end < m && fabs(difference[end]) <= fabs(difference[i]); ++end)
            positive += difference[end] > 0;
        const double equal = (double)(end - i);
        above += (double)positive * ((double)(i + 1 + end) / 2);    // ranks i+1 .. end
        ties += equal * equal * equal - equal;
    }
    // a multiple of 1/2: the correction does not reach beyond 0
    const double excess = above - mean, distance = fabs(excess) - 0.5;
    out.w = mean - fabs(excess);
    if (distance <= 0) return out;
    out.z = (excess > 0 ? distance : -distance) / sqrt(n * (n + 1) * (2 * n + 1) / 24 - ties / 48);
    out.p = erfc(fabs(out.z) / sqrt(2.0));
    return out;
}

// Fills *out. A NaN among the differences is INVALID_ARGUMENT.
static inline sessrec_result experiment_wilcoxon(const double *a, const double *b, int64_t n,
                                                 experiment_signed_ranks *out) {
    int64_t used = 0;
    if (!out) return SESSREC_INVALID_ARGUMENT;
    memset(out, 0, sizeof *out);
    if (n < 0 || (n && (!a || !b))) return SESSREC_INVALID_ARGUMENT;
    if ((uint64_t)n >= SIZE_MAX / sizeof(double)) return SESSREC_OUT_OF_MEMORY;
    double *difference = (double *)malloc(((size_t)n + 1) * sizeof *difference);
    if (!difference) return SESSREC_OUT_OF_MEMORY;
    sessrec_result result = SESSREC_OK;
    for (int64_t i = 0; i < n; ++i) {
        const double d = a[i] - b[i];
        if (d != d) result = SESSREC_INVALID_ARGUMENT;
        if (d < 0 || d > 0) difference[used++] = d;
    }
    if (!result) {
        qsort(difference, (size_t)used, sizeof *difference, experiment_compare);
        *out = experiment_rank(difference, used);
    }
    free(difference);
    return result;
}

#endif // SESSREC_EXPERIMENT_H
