// scorer.h - a trained architecture as a sessrec_scorer: from there on nothing knows that it is not the
// library's own
//
// A state is what the architecture keeps of a session: see zoo_model. Where it keeps nothing, the state is
// h [W], how many clicks [1], and of the last most_clicks their items [most], days [most] and seconds of the
// day [most], and each click runs the session anew. Nothing is allocated for a click: the memory of a step
// is scratch.
#ifndef ZOO_SCORER_H
#define ZOO_SCORER_H

#include "layers.h"

typedef struct zoo_served {
    const zoo_model *kind;
    zoo *net;
    void *model;
    char *const *ids;                       // [V] of the items
    int32_t *by_id;                         // [V] items sorted by id
    size_t step_bytes;                      // of memory that the longest session needs
} zoo_served;

// The network without dropout and threads, with memory of `bytes` for a step.
static inline zoo zoo_alone(const zoo *net, void *memory, size_t bytes) {
    zoo own = *net;
    own.pool = NULL;
    own.options.dropout = 0;
    own.first = own.chunk = memory ? zoo_chunk_at(memory, bytes) : NULL;
    return own;
}

static inline size_t zoo_state_floats(const zoo *net, const zoo_model *kind) {
    if (kind->state_floats) return kind->state_floats(net);
    return (size_t)net->E->columns + 1 + 3 * (size_t)net->options.most_clicks;
}
// Adds a click to the state of a session that is run anew, and runs it.
static inline void zoo_run_anew(zoo *net, const zoo_model *kind, const void *model, float *state,
                                int32_t item, double time) {
    const int32_t most = net->options.most_clicks, W = net->E->columns;
    float *count = state + W, *list = count + 1;
    const double day = time - time == 0 ? floor(time / 86400) : (double)NAN;
    if ((int32_t)*count == most) {
        for (int32_t row = 0; row < 3; ++row)
            memmove(list + row * most, list + row * most + 1, (size_t)(most - 1) * sizeof *list);
        *count -= 1;
    }
    const int32_t n = (int32_t)*count + 1, begins[2] = {0, n};
    list[n - 1] = (float)item;
    list[most + n - 1] = (float)day;
    list[2 * most + n - 1] = (float)(time - 86400 * day);
    *count += 1;
    int32_t *items = zoo_integers(net, n);
    double *times = (double *)zoo_bytes(net, (size_t)n * sizeof *times);
    for (int32_t i = 0; i < n; ++i) {
        items[i] = (int32_t)list[i];
        times[i] = 86400 * (double)list[most + i] + (double)list[2 * most + i];
    }
    const zoo_batch session = {1, n, begins, items, NULL, times};
    memcpy(state, kind->next(net, model, &session), (size_t)W * sizeof *state);
}
// One click; net is one of zoo_alone. time: NaN if unknown.
static inline void zoo_click(zoo *net, const zoo_model *kind, const void *model, float *state, int32_t item,
                             double time) {
    zoo_forget(net);
    if (kind->click) kind->click(net, model, state, item);
    else zoo_run_anew(net, kind, model, state, item, time);
}

// ---- the scorer's functions -------------------------------------------------------------------------------

static inline size_t zoo_served_bytes(const zoo_served *s) {
    return (zoo_state_floats(s->net, s->kind) * sizeof(float) + 15) / 16 * 16;
}
static inline int zoo_by_id(const void *a, const void *b) {
    return strcmp(**(char *const *const *)a, **(char *const *const *)b);
}
static inline int32_t zoo_served_find(const void *self, const char *id) {
    const zoo_served *s = (const zoo_served *)self;
    for (int32_t first = 0, end = s->net->items; first < end;) {
        const int32_t middle = first + (end - first) / 2, order = strcmp(id, s->ids[s->by_id[middle]]);
        if (!order) return s->by_id[middle];
        if (order < 0) end = middle;
        else first = middle + 1;
    }
    return -1;
}
static inline const char *zoo_served_id(const void *self, int32_t item) {
    return ((const zoo_served *)self)->ids[item];
}
static inline uint64_t zoo_served_support(const void *self, int32_t item) {
    return (uint64_t)((const zoo_served *)self)->net->supports[item];
}
static inline size_t zoo_served_scratch(const void *self, int32_t rows) {
    const size_t product = SESSREC_MATMUL_SCRATCH * sizeof(float),
                 step = ((const zoo_served *)self)->step_bytes;
    (void)rows;
    return step > product ? step : product;
}
static inline void zoo_served_begin(const void *self, void *state, const void *user, double time) {
    (void)user, (void)time;
    memset(state, 0, zoo_served_bytes((const zoo_served *)self));
}
static inline void zoo_served_click(const void *self, int32_t rows, void *states, const int32_t *items,
                                    const double *times, void *scratch) {
    const zoo_served *s = (const zoo_served *)self;
    zoo own = zoo_alone(s->net, scratch, zoo_served_scratch(self, rows));
    for (int32_t r = 0; r < rows; ++r)
        zoo_click(&own, s->kind, s->model,
                  (float *)(void *)((char *)states + (size_t)r * zoo_served_bytes(s)), items[r],
                  times ? times[r] : (double)NAN);
    zoo_free_chunks(own.first->next);
}
static inline void zoo_served_score(const void *self, int32_t rows, const void *states, int32_t first,
                                    int32_t count, float *scores, void *scratch) {
    const zoo_served *s = (const zoo_served *)self;
    const zoo *net = s->net;
    const int32_t W = net->E->columns;
    sessrec_matmul_bt(rows, count, W, (const float *)states, (ptrdiff_t)(zoo_served_bytes(s) / sizeof(float)),
                      net->E->w + (ptrdiff_t)first * W, W, net->b->w + first, scores, count,
                      (float *)scratch);
}

// A state may come from outside, as the bytes of a session.
static inline int32_t zoo_served_valid(const void *self, const void *state) {
    const zoo_served *s = (const zoo_served *)self;
    const float *x = (const float *)state, *items = x + s->net->E->columns + 1;
    const double most = (double)s->net->options.most_clicks, count = (double)items[-1];
    for (int32_t i = 0; i < s->net->E->columns; ++i)
        if (!((double)x[i] - (double)x[i] == 0)) return 0;
    if (!(count >= 0 && count < 1e9) || floor(count) < count || (s->kind->keeps_items && count > most))
        return 0;
    for (int32_t i = 0; s->kind->keeps_items && i < (int32_t)count; ++i)
        if (!(items[i] >= 0 && (double)items[i] < s->net->items)) return 0;
    return 1;
}

// Items sorted by id, with which they are found.
static inline int32_t *zoo_sort_ids(char *const *ids, int32_t count) {
    int32_t *sorted = (int32_t *)zoo_zeros((size_t)count, sizeof *sorted);
    char *const **at = (char *const **)zoo_zeros((size_t)count, sizeof *at);
    for (int32_t i = 0; i < count; ++i) at[i] = ids + i;
    qsort((void *)at, (size_t)count, sizeof *at, zoo_by_id);
    for (int32_t i = 0; i < count; ++i) sorted[i] = (int32_t)(at[i] - ids);
    free((void *)at);
    return sorted;
}
// The memory of a step of the longest session, of distinct items: what it takes is found by running it.
static inline size_t zoo_measure(const zoo_served *s) {
    zoo own = zoo_alone(s->net, NULL, 0);
    float *state = (float *)zoo_zeros(1, zoo_served_bytes(s));
    size_t bytes = 0;
    own.show = 0;
    for (int32_t i = 0; i <= own.options.most_clicks; ++i)
        zoo_click(&own, s->kind, s->model, state, i % own.items, 0);
    for (const zoo_chunk *chunk = own.first; chunk; chunk = chunk->next) bytes += chunk->size;
    zoo_free_chunks(own.first);
    free(state);
    return bytes;
}
// net, model and ids stay the caller's and must outlive the scorer; `self` is filled in.
static inline sessrec_scorer zoo_scorer(zoo_served *self, const zoo_model *kind, zoo *net, void *model,
                                        char *const *ids) {
    sessrec_scorer scorer;
    self->kind = kind, self->net = net, self->model = model, self->ids = ids;
    self->by_id = zoo_sort_ids(ids, net->items);
    self->step_bytes = zoo_measure(self);
    memset(&scorer, 0, sizeof scorer);
    scorer.self = self;
    scorer.item_count = net->items;
    scorer.state_bytes = zoo_served_bytes(self);
    scorer.scratch_bytes = zoo_served_scratch;
    scorer.find_item = zoo_served_find;
    scorer.item_id = zoo_served_id;
    scorer.support = zoo_served_support;
    scorer.begin = zoo_served_begin;
    scorer.click = zoo_served_click;
    scorer.score = zoo_served_score;
    scorer.valid = zoo_served_valid;
    return scorer;
}

#endif // ZOO_SCORER_H
