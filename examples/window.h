// window.h - a scorer that sees only the last clicks of a session: how much history does a method need?
//
// Part of examples/sessrec.c. A state is that of the scorer inside, then the clicks that are remembered; each
// click begins the state inside anew and repeats them. Times and users are not passed on.

typedef struct window {
    sessrec_scorer inner;
    int32_t size;
} window;
typedef struct window_clicks {
    int32_t count, items[1];  // [size]
} window_clicks;

static const sessrec_scorer *window_inner(const void *self) { return &((const window *)self)->inner; }

static window_clicks *window_clicks_of(const window *w, void *state) {
    return (window_clicks *)(void *)((char *)state + w->inner.state_bytes);
}
static size_t window_state_bytes(const window *w) {
    return (w->inner.state_bytes + (size_t)(1 + w->size) * sizeof(int32_t) + 15) & ~(size_t)15;
}

static size_t window_scratch(const void *self, int32_t rows) {
    const sessrec_scorer *inner = window_inner(self);
    (void)rows;
    return inner->scratch_bytes ? inner->scratch_bytes(inner->self, 1) : 0;
}
static int32_t window_find(const void *self, const char *id) {
    return window_inner(self)->find_item(window_inner(self)->self, id);
}
static const char *window_id(const void *self, int32_t item) {
    return window_inner(self)->item_id(window_inner(self)->self, item);
}
static uint64_t window_support(const void *self, int32_t item) {
    return window_inner(self)->support(window_inner(self)->self, item);
}

static void window_begin(const void *self, void *state, const void *user, double time) {
    const window *w = (const window *)self;
    (void)user;
    w->inner.begin(w->inner.self, state, NULL, time);
    window_clicks_of(w, state)->count = 0;
}
static void window_click(const void *self, int32_t rows, void *states, const int32_t *items,
                         const double *times, void *scratch) {
    const window *w = (const window *)self;
    (void)times;
    for (int32_t r = 0; r < rows; ++r) {
        char *state = (char *)states + (size_t)r * window_state_bytes(w);
        window_clicks *last = window_clicks_of(w, state);
        if (last->count == w->size)
            memmove(last->items, last->items + 1, (size_t)--last->count * sizeof *last->items);
        last->items[last->count++] = items[r];
        w->inner.begin(w->inner.self, state, NULL, NAN);
        for (int32_t i = 0; i < last->count; ++i)
            w->inner.click(w->inner.self, 1, state, &last->items[i], NULL, scratch);
    }
}
static void window_score(const void *self, int32_t rows, const void *states, int32_t first, int32_t count,
                         float *scores, void *scratch) {
    const window *w = (const window *)self;
    for (int32_t r = 0; r < rows; ++r)
        w->inner.score(w->inner.self, 1, (const char *)states + (size_t)r * window_state_bytes(w), first,
                       count, scores + (ptrdiff_t)r * count, scratch);
}
static int32_t window_list(const void *self, const void *state, const sessrec_recommendation **out,
                           void *scratch) {
    return window_inner(self)->list(window_inner(self)->self, state, out, scratch);
}
static void window_destroy(void *self) {
    sessrec_scorer_destroy(&((window *)self)->inner);
    free(self);
}

// The scorer becomes one that sees the last `size` clicks, and owns what it was.
static int window_of(sessrec_scorer *scorer, int32_t size) {
    window *w = (window *)malloc(sizeof *w);
    if (!w) return fail_memory();
    const sessrec_scorer inner = *scorer;
    w->inner = inner;
    w->size = size;
    memset(scorer, 0, sizeof *scorer);
    scorer->self = w;
    scorer->item_count = inner.item_count;
    scorer->list_room = inner.list_room;
    scorer->state_bytes = window_state_bytes(w);
    scorer->scratch_bytes = window_scratch;
    scorer->find_item = inner.find_item ? window_find : NULL;
    scorer->item_id = inner.item_id ? window_id : NULL;
    scorer->support = inner.support ? window_support : NULL;
    scorer->begin = window_begin;
    scorer->click = window_click;
    scorer->score = inner.score ? window_score : NULL;
    scorer->list = inner.list ? window_list : NULL;
    scorer->destroy = window_destroy;
    return 0;
}
