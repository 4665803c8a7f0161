// neighbors.c - an index of session neighbors with many events: how long it takes to build, what a click
// costs, and a finished session that is appended.
//     build/neighbors [EVENTS [PRESET]]      10 million and stan by default
#define SESSREC_IMPLEMENTATION
#include "../sessrec.h"

#include <stdio.h>
#include <stdlib.h>

enum { ITEMS = 100000, CLICKS = 20000, MOST = 200 };

static uint64_t drawn;

static double uniform(void) {
    return (double)sessrec_random_unit(1, 1, drawn++);
}

// Zipf's law: item i is clicked in proportion to 1 / (i + 1).
static int32_t popular_item(void) {
    static double sums[ITEMS];
    if (!drawn)
        for (int32_t i = 0; i < ITEMS; ++i) sums[i] = (i ? sums[i - 1] : 0) + 1.0 / (i + 1);
    const double wanted = uniform() * sums[ITEMS - 1];
    int32_t low = 0, high = ITEMS - 1;
    while (low < high) {
        const int32_t middle = (low + high) / 2;
        if (sums[middle] > wanted) high = middle;
        else low = middle + 1;
    }
    return low;
}

// Sessions of about five clicks, half of them near an item that the session is about.
static sessrec_log *made_up_log(int64_t events) {
    sessrec_log *log = NULL;
    if (sessrec_log_create(NULL, &log, NULL)) return NULL;
    int64_t e = 0;
    for (int64_t session = 0; e < events; ++session) {
        const int32_t about = popular_item();
        int32_t click = 0;
        do {
            const int32_t near_it = (about + (int32_t)(uniform() * 50)) % ITEMS;
            sessrec_log_add_numbers(log, -1, session, uniform() < 0.5 ? popular_item() : near_it,
                                    (double)session + 20 * click);
            ++e;
        } while (++click < MOST && uniform() < 0.8);
    }
    if (!sessrec_log_finish(log, NULL)) return log;
    sessrec_log_destroy(log);
    return NULL;
}

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print_times(const char *what, double *seconds, int32_t count, double unit, const char *name) {
    double sum = 0;
    for (int32_t i = 0; i < count; ++i) sum += seconds[i];
    qsort(seconds, (size_t)count, sizeof *seconds, ascending);
    printf("%-20s mean %.3g, p50 %.3g, p90 %.3g, p99 %.3g, most %.3g %s\n", what, sum / count * unit,
           seconds[count / 2] * unit, seconds[count * 9 / 10] * unit, seconds[count * 99 / 100] * unit,
           seconds[count - 1] * unit, name);
}

// Sessions of the log again, as those of visitors who click now; of each click the 20 best items.
static int measure_clicks(const sessrec_scorer *knn, const sessrec_log_view *view) {
    static double seconds[CLICKS];
    sessrec_query query = sessrec_query_default();
    sessrec_recommendation best[20];
    sessrec_session *visitor = NULL;
    const size_t size = sessrec_scorer_session_size(knn, 20, NULL) + sessrec_scorer_scratch_size(knn, 1);
    void *memory = malloc(size), *room = malloc(sessrec_scorer_scratch_size(knn, 1));
    sessrec_scratch *scratch = NULL;
    int32_t clicks = 0, count;
    if (!memory || !room ||
        sessrec_scorer_scratch_init(knn, 1, room, sessrec_scorer_scratch_size(knn, 1), &scratch, NULL) ||
        sessrec_scorer_session_init(knn, 20, scratch, memory, size, &visitor, NULL))
        return 0;
    while (clicks < CLICKS) {
        const int32_t s = (int32_t)(uniform() * view->session_count);
        for (int64_t e = view->session_begins[s]; e < view->session_begins[s + 1] && clicks < CLICKS; ++e) {
            const double began = sessrec__now();
            if (sessrec_session_click(visitor, view->items[e]) ||
                sessrec_session_recommend(visitor, &query, best, &count, NULL))
                return 0;
            seconds[clicks++] = sessrec__now() - began;
        }
        sessrec_session_end(visitor);
    }
    print_times("click and recommend", seconds, CLICKS, 1e3, "ms");
    free(memory);
    free(room);
    return 1;
}

static int measure_appending(sessrec_scorer *knn, const sessrec_log_view *view) {
    static double seconds[CLICKS];
    const double end = view->times[view->event_count - 1] + 1e6;
    for (int32_t i = 0; i < CLICKS; ++i) {
        const int32_t s = (int32_t)(uniform() * view->session_count);
        const int64_t begin = view->session_begins[s];
        const int32_t length = (int32_t)(view->session_begins[s + 1] - begin);
        const double began = sessrec__now();
        if (sessrec_knn_append(knn, view->items + begin, length, end + i))
            return 0;
        seconds[i] = sessrec__now() - began;
    }
    print_times("append a session", seconds, CLICKS, 1e6, "us");
    return 1;
}

typedef struct meter {
    size_t bytes;
} meter;

static void *metered_alloc(void *user, size_t bytes) {
    ((meter *)user)->bytes += bytes;
    return malloc(bytes);
}
static void metered_free(void *user, void *block) {
    (void)user;
    free(block);
}

int main(int count, char **words) {
    const int64_t events = count > 1 ? atoll(words[1]) : 10000000;
    sessrec_log *log = made_up_log(events);
    sessrec_knn_config config = sessrec_knn_config_default();
    sessrec_scorer knn;
    meter used = {0};
    if (!log || sessrec_knn_preset(count > 2 ? words[2] : "stan", &config)) return 1;
    config.allocator.alloc = metered_alloc;
    config.allocator.free = metered_free;
    config.allocator.user = &used;
    const sessrec_log_view view = sessrec_log_contents(log);
    printf("%lld events, %d sessions, %d items\n", (long long)view.event_count, (int)view.session_count,
           (int)view.item_count);
    const double began = sessrec__now();
    if (sessrec_knn_create(&config, log, &knn, NULL)) return 1;
    printf("built in %.2f s; %.1f bytes an event were asked for\n", sessrec__now() - began,
           (double)used.bytes / (double)view.event_count);
    const int fine = measure_clicks(&knn, &view) && measure_appending(&knn, &view);
    sessrec_scorer_destroy(&knn);
    sessrec_log_destroy(log);
    return !fine;
}
