// own_scorer.c - a method of your own in 25 lines: evaluated, blended with another, and served like any
#define SESSREC_IMPLEMENTATION
#include "../sessrec.h"
#include "shop.h"

#include <stdio.h>
#include <string.h>

// "People go back": the last four clicks of a session score 4, 3, 2 and 1, the newest most, nothing else
// does.
typedef struct back_state {
    sessrec_recommendation last[4];  // the newest first; item -1: none
} back_state;
static void back_begin(const void *self, void *state, const void *user, double time) {
    (void)self, (void)user, (void)time;
    for (int i = 0; i < 4; ++i) ((back_state *)state)->last[i].item = -1;
}
static void back_click(const void *self, int32_t rows, void *states, const int32_t *items,
                       const double *times, void *scratch) {
    (void)self, (void)times, (void)scratch;
    for (int32_t r = 0; r < rows; ++r) {
        sessrec_recommendation *last = ((back_state *)states)[r].last;
        int at = 0;
        while (at < 3 && last[at].item >= 0 && last[at].item != items[r]) ++at;
        for (; at > 0; --at) last[at].item = last[at - 1].item;
        last[0].item = items[r];
        for (int i = 0; i < 4; ++i) last[i].score = (float)(4 - i);
    }
}
static int32_t back_list(const void *self, const void *state, const sessrec_recommendation **out,
                         void *scratch) {
    (void)self, (void)scratch;
    *out = ((const back_state *)state)->last;
    int32_t count = 0;
    while (count < 4 && (*out)[count].item >= 0) ++count;
    return count;
}
static int32_t back_find(const void *self, const char *id) {  // its items are those of another scorer
    return ((const sessrec_scorer *)self)->find_item(((const sessrec_scorer *)self)->self, id);
}

static void say(const char *name, const sessrec_scorer *scorer, const sessrec_log *test) {
    sessrec_eval_config config = sessrec_eval_config_default();
    sessrec_report report;
    if (sessrec_evaluate_scorer(scorer, test, &config, &report, NULL)) return;
    printf("%-8s Recall@20 %.3f  MRR@20 %.3f\n", name, report.all.recall[3], report.all.mrr[3]);
}

int main(void) {
    static unsigned char memory[1 << 20];  // the visitor's state and scratch
    sessrec_knn_config config = sessrec_knn_config_default();
    sessrec_log *log = NULL, *train = NULL, *test = NULL;
    sessrec_scorer knn, own, blend;
    sessrec_session *visitor = NULL;
    sessrec_recommendation best[3];
    sessrec_error err;
    if (shop_log(shop_default(), &log, &err)) return printf("%s\n", err.text), 1;
    const sessrec_log_view view = sessrec_log_contents(log);
    const double cut = view.times[view.event_count / 10 * 9];
    if (sessrec_log_split_time(log, cut, &train, &test, &err)) return printf("%s\n", err.text), 1;

    if (sessrec_knn_create(&config, train, &knn, &err)) return printf("%s\n", err.text), 1;
    memset(&own, 0, sizeof own);
    own.self = &knn;
    own.item_count = knn.item_count;
    own.state_bytes = sizeof(back_state);
    own.begin = back_begin;
    own.click = back_click;
    own.list = back_list;
    own.list_room = 4;
    own.find_item = back_find;
    const sessrec_blend_part parts[2] = {{&knn, 1, 1}, {&own, 0.2f, 0}};
    if (sessrec_blend_create(parts, 2, 0, NULL, &blend, &err)) return printf("%s\n", err.text), 1;
    say("knn", &knn, test);
    say("own", &own, test);
    say("blend", &blend, test);

    const size_t size = sessrec_scorer_session_size(&blend, 10, NULL);
    if (size > sizeof memory ||
        sessrec_scorer_session_init(&blend, 10, NULL, memory, sizeof memory, &visitor, &err))
        return 1;
    sessrec_session_click(visitor, 7);
    const int32_t count = sessrec_recommend(visitor, 3, best);
    for (int32_t i = 0; i < count; ++i) printf("%s\n", blend.item_id(blend.self, best[i].item));
    sessrec_scorer_destroy(&blend);
    sessrec_scorer_destroy(&knn);
    sessrec_log_destroy(test);
    sessrec_log_destroy(train);
    sessrec_log_destroy(log);
    return 0;
}
