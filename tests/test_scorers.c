// Session neighbors, rules and blends: what they score, how an index grows, and how they are ranked.
#define SESSREC_IMPLEMENTATION
#include "models.h"
#include "../examples/experiment.h"

#include <unistd.h>

// ---- helpers ----

// A scorer with the state of one session.
typedef struct visit {
    const sessrec_scorer *scorer;
    char *state, *scratch, *memory;
} visit;

static visit visit_of(const sessrec_scorer *scorer) {
    const size_t scratch = scorer->scratch_bytes ? scorer->scratch_bytes(scorer->self, 1) : 0;
    const size_t state = (scorer->state_bytes + 63) / 64 * 64;
    visit v = {scorer, NULL, NULL, (char *)malloc(state + scratch + 64)};
    v.state = v.memory + (64 - (uintptr_t)v.memory % 64) % 64;
    v.scratch = v.state + state;
    scorer->begin(scorer->self, v.state, NULL, NAN);
    return v;
}
static void visit_click(visit *v, int32_t item) {
    v->scorer->click(v->scorer->self, 1, v->state, &item, NULL, v->scratch);
}

// The score of every item, -INFINITY where there is none.
static void visit_scores(visit *v, float *scores) {
    const sessrec_recommendation *list = NULL;
    const int32_t items = v->scorer->item_count;
    for (int32_t i = 0; i < items; ++i) {
        scores[i] = -INFINITY;
        if (v->scorer->score) v->scorer->score(v->scorer->self, 1, v->state, i, 1, scores + i, v->scratch);
    }
    const int32_t count = v->scorer->list ? v->scorer->list(v->scorer->self, v->state, &list, v->scratch) : 0;
    for (int32_t i = 0; i < count; ++i)
        scores[list[i].item] = list[i].score + (v->scorer->score ? scores[list[i].item] : 0);
}

static sessrec_knn_config knn_preset(const char *name) {
    sessrec_knn_config config = sessrec_knn_config_default();
    CHECK_EQ(sessrec_knn_preset(name, &config), SESSREC_OK);
    return config;
}

static sessrec_scorer knn_of(const sessrec_knn_config *config, const sessrec_log *log) {
    sessrec_scorer scorer;
    sessrec_error err;
    err.text[0] = 0;
    CHECK_EQ(sessrec_knn_create(config, log, &scorer, &err), SESSREC_OK);
    CHECK_TEXT(err.text, "");
    return scorer;
}

// Whether two indexes hold the same bits.
static int same_index(const sessrec_scorer *one, const sessrec_scorer *other) {
    const sessrec__knn *a = (const sessrec__knn *)one->self, *b = (const sessrec__knn *)other->self;
    const size_t sessions = (size_t)a->sessions, items = (size_t)one->item_count;
    if (a->sessions != b->sessions || one->item_count != other->item_count) return 0;
    if (memcmp(a->ends, b->ends, sessions * sizeof *a->ends)) return 0;
    if (memcmp(a->begins, b->begins, (sessions + 1) * sizeof *a->begins)) return 0;
    if (memcmp(a->distinct, b->distinct, sessions * sizeof *a->distinct)) return 0;
    if (memcmp(a->events, b->events, a->begins[sessions] * sizeof *a->events)) return 0;
    if (memcmp(a->catalog.items->support, b->catalog.items->support, items * sizeof(uint64_t))) return 0;
    if (a->catalog.items->info.event_count != b->catalog.items->info.event_count) return 0;
    for (size_t i = 0; i < items; ++i) {
        const sessrec__postings *x = &a->postings[i], *y = &b->postings[i];
        if (x->count != y->count) return 0;
        if (x->count && memcmp(x->sessions, y->sessions, (size_t)x->count * sizeof *x->sessions)) return 0;
    }
    return 1;
}

// ---- the formula, word by word ----

static double plain_weight(sessrec_decay kind, double scale, double d, double L) {
    if (kind == SESSREC_DECAY_DIV) return (L - d) / L;
    if (kind == SESSREC_DECAY_LINEAR) return fmax(0, 1 - 0.1 * d);
    if (kind == SESSREC_DECAY_LOG) return 1 / log10(d + 1.7);
    if (kind == SESSREC_DECAY_QUADRATIC) return (L - d) / L * (L - d) / L;
    return kind == SESSREC_DECAY_EXP ? exp(-d / scale) : 1;
}
static double plain_neighbor(sessrec_decay kind, double scale, double d) {
    if (kind == SESSREC_DECAY_DIV) return 1 / (d + 1);
    if (kind == SESSREC_DECAY_LINEAR) return fmax(0, 1 - 0.1 * (d + 1));
    if (kind == SESSREC_DECAY_LOG) return 1 / log10(d + 2.7);
    if (kind == SESSREC_DECAY_QUADRATIC) return 1 / ((d + 1) * (d + 1));
    return kind == SESSREC_DECAY_EXP ? exp(-d / scale) : 1;
}

// Scores by all sessions of the log (k and m do not cut). 0 where no neighbor holds the item.
static void plain_scores(const sessrec_knn_config *c, const sessrec_log_view *view, const int32_t *clicks,
                         int32_t count, double *scores) {
    const int32_t first = c->last_n && count > c->last_n ? count - c->last_n : 0, L = count - first;
    double squares = 0, distinct = 0, now = -INFINITY;
    for (int32_t i = 0; i < view->item_count; ++i) scores[i] = 0;
    for (int64_t e = 0; e < view->event_count; ++e) now = fmax(now, view->times[e]);
    for (int32_t i = first; i < count; ++i) {
        int again = 0;
        for (int32_t j = i + 1; j < count; ++j) again |= clicks[j] == clicks[i];
        if (again) continue;
        const double w = plain_weight(c->weight, c->weight_scale, count - 1 - i, L);
        squares += w * w;
        distinct += 1;
    }
    for (int32_t s = 0; s < view->session_count; ++s) {
        const int64_t begin = view->session_begins[s], end = view->session_begins[s + 1];
        double sum = 0, size = 0;
        int32_t nearest = INT32_MAX;
        int64_t star = -1;
        for (int64_t e = begin; e < end; ++e) {
            int last = 1;
            for (int64_t f = e + 1; f < end; ++f) last &= view->items[f] != view->items[e];
            size += last;
            for (int32_t i = count - 1; last && i >= first; --i) {
                if (clicks[i] != view->items[e]) continue;
                sum += plain_weight(c->weight, c->weight_scale, count - 1 - i, L);
                if (count - 1 - i < nearest) nearest = count - 1 - i;
                star = e;
                break;
            }
        }
        double sim = sum / (c->cosine ? sqrt(squares * size) : distinct);
        if (c->recency > 0) sim *= exp(-(now - view->times[end - 1]) / c->recency);
        for (int64_t e = begin; e < end && sum > 0; ++e) {
            int last = 1;
            for (int64_t f = e + 1; f < end; ++f) last &= view->items[f] != view->items[e];
            double share = last ? sim * plain_neighbor(c->neighbor_weight, c->neighbor_scale, nearest) : 0;
            if (c->spread > 0) share *= exp(-fabs((double)(e - star)) / c->spread);
            scores[view->items[e]] += share;
        }
    }
    for (int32_t i = 0; i < view->item_count; ++i)
        scores[i] *=
            1 + c->idf * (view->supports[i] ? log(view->session_count / (double)view->supports[i]) : 0);
}

static void formula(void) {
    enum { ITEMS = 40 };
    static const char *const presets[5] = {"sknn", "vsknn", "stan", "vstan", "vmis"};
    TEST("neighbors score by the formula, in sessions of any length; weights never become negative (K1, K4, "
         "K5, K6)") {
        sessrec_log *log = random_log(150, ITEMS, 3);
        const sessrec_log_view view = sessrec_log_contents(log);
        int wrong = 0, scored = 0;
        for (int p = 0; p < 15; ++p) {
            sessrec_knn_config config = knn_preset(presets[p % 5]);
            if (p >= 5) config.weight = p % 6, config.neighbor_weight = (p + 3) % 6;
            if (p >= 10) config.cosine = !config.cosine, config.idf = 0.5;
            config.weight_scale = config.neighbor_scale = 3;
            config.recency *= 0.01;
            sessrec_scorer knn = knn_of(&config, log);
            visit v = visit_of(&knn);
            uint32_t seed = 5;
            int32_t clicks[200];
            for (int32_t n = 0; n < 200; ++n) {
                clicks[n] = n < 30 ? random_below(&seed, ITEMS) : n % ITEMS;
                visit_click(&v, clicks[n]);
                if (n > 4 && n % 39) continue;
                float scores[ITEMS];
                double expected[ITEMS];
                visit_scores(&v, scores);
                plain_scores(&config, &view, clicks, n + 1, expected);
                for (int32_t i = 0; i < ITEMS; ++i) {
                    wrong += scores[i] < 0 && scores[i] > -INFINITY;
                    wrong +=
                        !(fabs((scores[i] > 0 ? scores[i] : 0) - expected[i]) < 1e-5 * (1 + expected[i]));
                    scored += scores[i] > 0;
                }
            }
            free(v.memory);
            sessrec_scorer_destroy(&knn);
        }
        CHECK_EQ(wrong, 0);
        CHECK(scored > 1000);
        sessrec_log_destroy(log);
    }
    TEST("only the m newest sessions are candidates, and of these the k most similar count") {
        // in order of their ends: ax, aby, az, bq; of m = 3 (a and b clicked) the first drops out
        static const char *const sessions[4] = {"ax", "aby", "az", "bq"};
        sessrec_log *log = letters_log(4, sessions, NULL);
        sessrec_knn_config config = knn_preset("sknn");
        float scores[6];
        config.m = 3;
        config.cosine = 0;
        for (int k = 1; k <= 3; ++k) {
            config.k = k;
            sessrec_scorer knn = knn_of(&config, log);
            visit v = visit_of(&knn);
            visit_click(&v, 0);
            visit_click(&v, 2);  // b
            visit_scores(&v, scores);
            CHECK(!(scores[1] > -INFINITY));                        // x
            CHECK_NEAR(scores[3], 1, 1e-7);                         // y, of the session that shares both
            CHECK_EQ(scores[5] > -INFINITY, k >= 2);                // q: of two that share one, the later
            CHECK_EQ(scores[4] > -INFINITY, k >= 3);                // z
            free(v.memory);
            sessrec_scorer_destroy(&knn);
        }
        sessrec_log_destroy(log);
    }
    TEST("K7 an item is not its own neighbor, sets count a pair once a session; a click may follow itself") {
        static const char *const text[2] = {"aab", "aba"};
        static const double expected[3][3] = {{-INFINITY, 4, 4}, {1.5, 2.5, 1}, {-INFINITY, 1, 1}};
        static const sessrec_rules_kind kinds[3] = {SESSREC_RULES_ASSOCIATION, SESSREC_RULES_SEQUENTIAL,
                                                    SESSREC_RULES_ITEMKNN};
        sessrec_log *log = letters_log(2, text, NULL);
        for (int k = 0; k < 3; ++k) {
            sessrec_rules_config config = sessrec_rules_config_default();
            sessrec_scorer rules;
            float of_a[2], of_b[2];
            config.kind = kinds[k];
            config.events = 0;
            config.lambda = 0;
            CHECK_EQ(sessrec_rules_create(&config, log, &rules, NULL), SESSREC_OK);
            visit v = visit_of(&rules);
            visit_click(&v, 0);
            visit_scores(&v, of_a);
            visit_click(&v, 1);
            visit_scores(&v, of_b);
            CHECK(of_a[0] >= expected[k][0] && of_a[0] <= expected[k][0]);
            CHECK_NEAR(of_a[1], expected[k][1], 1e-6);  // a > b
            CHECK_NEAR(of_b[0], expected[k][2], 1e-6);  // b > a
            free(v.memory);
            sessrec_scorer_destroy(&rules);
        }
        sessrec_log_destroy(log);
    }
    TEST("exponentials and logarithms without libm") {
        double worst_exp = 0, worst_log = 0;
        for (double x = -600; x < 600; x += 0.37) {
            worst_exp = fmax(worst_exp, fabs(sessrec__exp64(x) / exp(x) - 1));
            worst_log = fmax(worst_log, fabs(sessrec__log64(exp(x)) - x) / fmax(1, fabs(x)));
        }
        for (double x = 0.4; x < 3; x += 0.001) worst_log = fmax(worst_log, fabs(sessrec__log64(x) - log(x)));
        CHECK(worst_exp < 1e-11);
        CHECK(worst_log < 1e-14);
        CHECK_NEAR(sessrec__exp64(-1e9), 0, 0);
        CHECK_NEAR(sessrec__exp64(0), 1, 0);
        CHECK_NEAR(sessrec__log64(1), 0, 0);
    }
}

// ---- an index that grows ----

typedef struct made_session {
    int32_t items[9], count;
    double start, step;
} made_session;

static double made_end(const made_session *s) { return s->start + s->step * (s->count - 1); }

// A log of the sessions from .. to-1, after one that fixes the numbers of the items.
static sessrec_log *made_log(const made_session *sessions, int32_t from, int32_t to, int32_t items,
                             int numbered) {
    sessrec_log *log;
    CHECK_EQ(sessrec_log_create(NULL, &log, NULL), SESSREC_OK);
    for (int32_t i = 0; i < items && numbered; ++i) sessrec_log_add_numbers(log, -1, 100000, i, -1000);
    for (int32_t s = from; s < to; ++s)
        for (int32_t i = 0; i < sessions[s].count; ++i)
            sessrec_log_add_numbers(log, -1, s, sessions[s].items[i],
                                    sessions[s].start + sessions[s].step * i);
    CHECK_EQ(sessrec_log_finish(log, NULL), SESSREC_OK);
    return log;
}

static void make_sessions(made_session *sessions, int32_t count, int32_t items, uint32_t seed) {
    for (int32_t s = 0; s < count; ++s) {
        sessions[s].count = 1 + random_below(&seed, 9);
        sessions[s].start = s;
        sessions[s].step = random_below(&seed, 40);  // sessions overlap, and some end at once
        for (int32_t i = 0; i < sessions[s].count; ++i) sessions[s].items[i] = random_below(&seed, items);
    }
}

static void growing(void) {
    enum { SESSIONS = 60, ITEMS = 12 };
    static made_session sessions[SESSIONS];
    TEST("an index to which sessions were appended is the one made from all of them, bit by bit") {
        for (uint32_t seed = 1; seed <= 60; ++seed) {
            const int32_t first = (int32_t)seed % SESSIONS;
            make_sessions(sessions, SESSIONS, ITEMS, seed);
            sessrec_knn_config config = knn_preset("stan");
            config.m = seed % 3 ? 7 : 0;
            sessrec_log *some = made_log(sessions, 0, first, ITEMS, 1),
                        *all = made_log(sessions, 0, SESSIONS, ITEMS, 1);
            sessrec_scorer grown = knn_of(&config, some), whole = knn_of(&config, all);
            CHECK_EQ(sessrec_knn_sessions(&grown), first + 1);
            for (int32_t s = first; s < SESSIONS; ++s)
                CHECK_EQ(
                    sessrec_knn_append(&grown, sessions[s].items, sessions[s].count, made_end(&sessions[s])),
                    SESSREC_OK);
            CHECK(same_index(&grown, &whole));
            CHECK_EQ(sessrec_knn_events(&grown), sessrec_log_contents(all).event_count);
            visit a = visit_of(&grown), b = visit_of(&whole);
            for (int32_t click = 0; click < 5; ++click) {
                float x[ITEMS], y[ITEMS];
                visit_click(&a, sessions[click].items[0]);
                visit_click(&b, sessions[click].items[0]);
                visit_scores(&a, x);
                visit_scores(&b, y);
                CHECK(!memcmp(x, y, sizeof x));
            }
            free(a.memory);
            free(b.memory);
            sessrec_scorer_destroy(&grown);
            sessrec_scorer_destroy(&whole);
            sessrec_log_destroy(some);
            sessrec_log_destroy(all);
        }
    }
    TEST("an index that forgot is the one made from what is left, and can grow again") {
        for (uint32_t seed = 1; seed <= 30; ++seed) {
            make_sessions(sessions, SESSIONS, ITEMS, seed);
            for (int32_t s = 0; s < SESSIONS; ++s)
                sessions[s].step = 0.01;  // they end in the order of the log
            sessrec_knn_config config = knn_preset("vstan");
            config.m = seed % 2 ? 5 : 0;
            sessrec_log *all = made_log(sessions, 0, 50, ITEMS, 1),
                        *late = made_log(sessions, 20, SESSIONS, ITEMS, 0);
            const sessrec_log_view view = sessrec_log_contents(late);
            sessrec_scorer kept = knn_of(&config, all), fresh = knn_of(&config, late);
            CHECK_EQ(sessrec_knn_forget(&kept, 19.5), SESSREC_OK);
            CHECK_EQ(sessrec_knn_sessions(&kept), 30);
            for (int32_t s = 50; s < SESSIONS; ++s)
                CHECK_EQ(
                    sessrec_knn_append(&kept, sessions[s].items, sessions[s].count, made_end(&sessions[s])),
                    SESSREC_OK);
            CHECK_EQ(sessrec_knn_sessions(&kept), view.session_count);
            CHECK_EQ(view.item_count, ITEMS);  // numbered otherwise
            visit a = visit_of(&kept), b = visit_of(&fresh);
            for (int32_t click = 0; click < 5; ++click) {
                float x[ITEMS], y[ITEMS];
                const int32_t item = sessions[click].items[0];
                visit_click(&a, item);
                visit_click(&b, fresh.find_item(fresh.self, kept.item_id(kept.self, item)));
                visit_scores(&a, x);
                visit_scores(&b, y);
                for (int32_t i = 0; i < ITEMS; ++i)
                    CHECK_NEAR(x[i], y[fresh.find_item(fresh.self, kept.item_id(kept.self, i))], 1e-6);
            }
            CHECK_EQ(sessrec_knn_forget(&kept, 1e9), SESSREC_OK);  // all
            CHECK_EQ(sessrec_knn_sessions(&kept), 0);
            float x[ITEMS];
            visit_scores(&a, x);
            for (int32_t i = 0; i < ITEMS; ++i) CHECK(!(x[i] > -INFINITY));
            CHECK_EQ(sessrec_knn_append(&kept, sessions[0].items, 1, 0), SESSREC_OK);
            free(a.memory);
            free(b.memory);
            sessrec_scorer_destroy(&kept);
            sessrec_scorer_destroy(&fresh);
            sessrec_log_destroy(all);
            sessrec_log_destroy(late);
        }
    }
    TEST("an append or a forget without memory changes nothing, at any request") {
        make_sessions(sessions, SESSIONS, ITEMS, 7);
        sessrec_log *log = made_log(sessions, 0, 30, ITEMS, 1);
        for (int forget = 0; forget < 2; ++forget) {
            int64_t n = 0;
            sessrec_result result = SESSREC_OUT_OF_MEMORY;
            for (; result && n < 60; ++n) {
                counting_memory memory = {0, 0, -1};
                sessrec_knn_config config = knn_preset("vmis");
                sessrec_scorer reference = knn_of(&config, log);
                config.allocator = counting_allocator(&memory);
                sessrec_scorer knn = knn_of(&config, log);
                memory.fail_from = memory.requests + n;
                result = forget ? sessrec_knn_forget(&knn, 20)
                                : sessrec_knn_append(&knn, sessions[40].items, sessions[40].count, 12);
                CHECK(result == SESSREC_OK || result == SESSREC_OUT_OF_MEMORY);
                if (result) CHECK(same_index(&knn, &reference));
                sessrec_scorer_destroy(&knn);
                sessrec_scorer_destroy(&reference);
                CHECK_EQ(memory.blocks, 0);
            }
            CHECK_EQ(result, SESSREC_OK);
            CHECK(n > 2);
        }
        sessrec_log_destroy(log);
    }
    TEST("a click allocates nothing, in any scorer") {
        sessrec_log *log = random_log(80, 30, 2);
        counting_memory memory = {0, 0, -1};
        sessrec_knn_config config = knn_preset("vstan");
        sessrec_rules_config rules_config = sessrec_rules_config_default();
        sessrec_scorer knn, rules, blend;
        config.allocator = rules_config.allocator = counting_allocator(&memory);
        knn = knn_of(&config, log);
        CHECK_EQ(sessrec_rules_create(&rules_config, log, &rules, NULL), SESSREC_OK);
        const sessrec_blend_part parts[2] = {{&knn, 1, 1}, {&rules, 0.5f, 0}};
        CHECK_EQ(sessrec_blend_create(parts, 2, 0, &config.allocator, &blend, NULL), SESSREC_OK);
        visit v = visit_of(&blend);
        float scores[30];
        const int64_t before = memory.requests;
        for (int32_t i = 0; i < 300; ++i) {
            visit_click(&v, i * 7 % 30);
            visit_scores(&v, scores);
        }
        CHECK_EQ(memory.requests, before);
        free(v.memory);
        sessrec_scorer_destroy(&blend);
        sessrec_scorer_destroy(&rules);
        sessrec_scorer_destroy(&knn);
        sessrec_log_destroy(log);
    }
    TEST("what cannot be appended is refused") {
        sessrec_log *log = random_log(20, 30, 2);
        sessrec_knn_config config = knn_preset("vstan");
        sessrec_scorer knn = knn_of(&config, log), same = knn_of(&config, log), pop;
        static const int32_t good[3] = {1, -1, 2}, bad[2][2] = {{0, 30}, {-2, 1}};
        CHECK_EQ(sessrec_knn_append(&knn, bad[0], 2, 0), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_knn_append(&knn, bad[1], 2, 0), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_knn_append(&knn, good, 3, NAN), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_knn_append(&knn, NULL, 3, 0), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_knn_append(NULL, good, 3, 0), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_knn_forget(NULL, 0), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_knn_append(&knn, good + 1, 1, 0), SESSREC_OK);  // nothing that it knows
        CHECK(same_index(&knn, &same));
        CHECK_EQ(sessrec_knn_append(&knn, good, 3, 0), SESSREC_OK);
        CHECK_EQ(sessrec_knn_events(&knn), sessrec_knn_events(&same) + 2);
        CHECK_EQ(sessrec_scorer_pop(log, NULL, &pop, NULL), SESSREC_OK);
        CHECK_EQ(sessrec_knn_append(&pop, good, 3, 0), SESSREC_INVALID_ARGUMENT);
        sessrec_scorer_destroy(&pop);
        sessrec_scorer_destroy(&same);
        sessrec_scorer_destroy(&knn);
        sessrec_log_destroy(log);
    }
}

// ---- ranks of lists ----

static void ranking(void) {
    TEST("an item that is not in the list ranks last, behind every scored item, whatever the rule for ties "
         "(K8)") {
        // after a: b twice, c once; d and e never
        static const char *const sessions[4] = {"ab", "ab", "ac", "de"}, *const test[3] = {"ab", "ac", "ad"};
        sessrec_log *log = letters_log(4, sessions, NULL), *later = letters_log(3, test, NULL);
        sessrec_rules_config config = sessrec_rules_config_default();
        sessrec_scorer rules;
        CHECK_EQ(sessrec_rules_create(&config, log, &rules, NULL), SESSREC_OK);
        for (int32_t ties = 0; ties < 3; ++ties) {
            event_list events;
            sessrec_eval_config eval = eval_into(&events);
            sessrec_report report;
            eval.ties = ties;
            eval.coverage = 1;
            CHECK_EQ(sessrec_evaluate_scorer(&rules, later, &eval, &report, NULL), SESSREC_OK);
            CHECK_EQ(events.count, 3);
            CHECK_NEAR(events.event[0].rank, 1, 0);
            CHECK_NEAR(events.event[1].rank, 2, 0);
            CHECK_NEAR(events.event[2].rank, 5, 0);
            CHECK_NEAR(report.coverage[0], 1.0 / 5, 0);
            CHECK_NEAR(report.coverage[3], 2.0 / 5, 0);
        }
        sessrec_scorer_destroy(&rules);
        sessrec_log_destroy(log);
        sessrec_log_destroy(later);
    }
    TEST("a target without a score ranks last among scores too, for every rule") {
        const float scores[4] = {1, -INFINITY, -INFINITY, 2};
        int64_t higher, equal;
        sessrec_rank_counts(scores, 4, 1, &higher, &equal);
        CHECK_EQ(higher, 3);
        CHECK_EQ(equal, 0);
        sessrec_rank_counts(scores, 4, 0, &higher, &equal);
        CHECK_EQ(higher, 1);
    }
    TEST("ranks of neighbors are the same for any number of threads and sessions side by side") {
        sessrec_log *log = random_log(200, 50, 4), *later = random_log(60, 50, 9);
        sessrec_knn_config config = knn_preset("vstan");
        sessrec_scorer knn = knn_of(&config, log);
        sessrec_report first, report;
        for (int32_t threads = 1; threads <= 3; ++threads)
            for (int32_t batch = 1; batch < 40; batch += 17) {
                sessrec_eval_config eval = sessrec_eval_config_default();
                eval.threads = threads;
                eval.batch_size = batch;
                CHECK_EQ(sessrec_evaluate_scorer(&knn, later, &eval, &report, NULL), SESSREC_OK);
                if (threads == 1 && batch == 1) first = report;
                CHECK(!memcmp(&first.all, &report.all, sizeof first.all));
            }
        CHECK(first.all.recall[3] > 0.1);
        sessrec_scorer_destroy(&knn);
        sessrec_log_destroy(log);
        sessrec_log_destroy(later);
    }
}

// ---- blends ----

static void blends(void) {
    enum { ITEMS = 60 };
    TEST("a blend of a network and neighbors is s + b log(s_knn / sum + epsilon), up to a constant") {
        sessrec_log *clicks = random_log(120, ITEMS, 6);
        sessrec_config network = small_config(1, 12);
        sessrec_model *model = random_model(&network, clicks, 3);
        sessrec_knn_config config = knn_preset("stan");
        sessrec_scorer gru, knn = knn_of(&config, clicks), blend;
        CHECK_EQ(sessrec_scorer_model(model, NULL, &gru, NULL), SESSREC_OK);
        const sessrec_blend_part parts[2] = {{&gru, 1, 0}, {&knn, 0.7f, 1}};
        CHECK_EQ(sessrec_blend_create(parts, 2, 0.001, NULL, &blend, NULL), SESSREC_OK);
        visit a = visit_of(&gru), b = visit_of(&knn), both = visit_of(&blend);
        for (int32_t click = 0; click < 6; ++click) {
            float x[ITEMS], y[ITEMS], z[ITEMS];
            double sum = 0;
            visit_click(&a, click * 5);
            visit_click(&b, click * 5);
            visit_click(&both, click * 5);
            visit_scores(&a, x);
            visit_scores(&b, y);
            visit_scores(&both, z);
            for (int32_t i = 0; i < ITEMS; ++i) sum += y[i] > 0 ? (double)y[i] : 0;
            for (int32_t i = 0; i < ITEMS; ++i)
                CHECK_NEAR(z[i], x[i] + 0.7 * (log((y[i] > 0 ? y[i] : 0) / sum + 0.001) - log(0.001)), 1e-5);
        }
        free(a.memory);
        free(b.memory);
        free(both.memory);
        // ranked with the same rule, whatever is walked side by side
        event_list events;
        sessrec_eval_config eval = eval_into(&events);
        sessrec_report one, many;
        eval.batch_size = 1;
        CHECK_EQ(sessrec_evaluate_scorer(&blend, clicks, &eval, &one, NULL), SESSREC_OK);
        eval = eval_into(&events);
        eval.batch_size = 30;
        CHECK_EQ(sessrec_evaluate_scorer(&blend, clicks, &eval, &many, NULL), SESSREC_OK);
        CHECK(!memcmp(&one.all, &many.all, sizeof one.all));
        sessrec_scorer_destroy(&blend);
        sessrec_scorer_destroy(&knn);
        sessrec_model_destroy(model);
        sessrec_log_destroy(clicks);
    }
    TEST("parts of other numbers are found by their ids, and items that a part does not know pass it by") {
        static const char *const one[2] = {"abc", "abd"}, *const other[2] = {"dcb", "cbx"};
        sessrec_log *log = letters_log(2, one, NULL), *turned = letters_log(2, other, NULL);
        sessrec_rules_config config = sessrec_rules_config_default();
        sessrec_scorer first, second, blend;
        config.steps = 1;
        CHECK_EQ(sessrec_rules_create(&config, log, &first, NULL), SESSREC_OK);
        CHECK_EQ(sessrec_rules_create(&config, turned, &second, NULL), SESSREC_OK);
        const sessrec_blend_part parts[2] = {{&first, 1, 0}, {&second, 10, 0}};
        CHECK_EQ(sessrec_blend_create(parts, 2, 0, NULL, &blend, NULL), SESSREC_OK);
        visit v = visit_of(&blend);
        float scores[4];
        visit_click(&v, 2);  // c: the first knows no rule, the second c > b twice, and x is not of the blend
        visit_scores(&v, scores);
        CHECK(!(scores[0] > -INFINITY));
        CHECK_NEAR(scores[1], 20, 0);
        visit_click(&v, 0);  // a: the second does not know it, and still looks at c
        visit_scores(&v, scores);
        CHECK_NEAR(scores[1], 22, 0);
        free(v.memory);
        sessrec_scorer_destroy(&blend);
        sessrec_scorer_destroy(&second);
        sessrec_scorer_destroy(&first);
        // the same of parts that score all their items: a b c d, and d c b x
        sessrec_scorer all[2];
        CHECK_EQ(sessrec_scorer_pop(log, NULL, &all[0], NULL), SESSREC_OK);
        CHECK_EQ(sessrec_scorer_pop(turned, NULL, &all[1], NULL), SESSREC_OK);
        const sessrec_blend_part popular[2] = {{&all[0], 1, 0}, {&all[1], 10, 0}};
        CHECK_EQ(sessrec_blend_create(popular, 2, 0, NULL, &blend, NULL), SESSREC_OK);
        v = visit_of(&blend);
        visit_scores(&v, scores);
        CHECK(!(scores[0] > -INFINITY));  // the second does not know a
        CHECK_NEAR(scores[1], 2 / 3.0 + 20 / 3.0, 1e-6);
        CHECK_NEAR(scores[2], 1 / 2.0 + 20 / 3.0, 1e-6);
        CHECK_NEAR(scores[3], 1 / 2.0 + 10 / 2.0, 1e-6);
        free(v.memory);
        sessrec_scorer_destroy(&blend);
        sessrec_scorer_destroy(&all[0]);
        sessrec_scorer_destroy(&all[1]);
        sessrec_log_destroy(log);
        sessrec_log_destroy(turned);
    }
    TEST("many sessions of a blend are answered together with the bits of each alone") {
        enum { VISITORS = 21, MANY = 2500, K = 7 };
        sessrec_log *log = random_log(900, MANY, 6);
        sessrec_config network = small_config(1, 12);
        sessrec_model *model = random_model(&network, log, 3);
        const int32_t items = sessrec_model_describe(model).item_count;
        sessrec_knn_config config = knn_preset("stan");
        config.k = 20;
        sessrec_scorer gru, knn = knn_of(&config, log), blend;
        CHECK_EQ(sessrec_scorer_model(model, NULL, &gru, NULL), SESSREC_OK);
        const sessrec_blend_part parts[2] = {{&gru, 1, 0}, {&knn, 0.7f, 1}};
        CHECK_EQ(sessrec_blend_create(parts, 2, 0.001, NULL, &blend, NULL), SESSREC_OK);
        CHECK(items > 960);  // more than one block
        const size_t room = sessrec_scorer_scratch_size(&blend, 8);
        char *memory = (char *)malloc(room);
        sessrec_scratch *scratch = NULL;
        CHECK_EQ(sessrec_scorer_scratch_init(&blend, 8, memory, room, &scratch, NULL), SESSREC_OK);
        const size_t size = sessrec_scorer_session_size(&blend, 3, scratch);
        char *visitors = (char *)malloc(VISITORS * size);
        sessrec_request requests[VISITORS];
        sessrec_recommendation out[VISITORS][K], alone[K];
        const int32_t candidates[3] = {5, 1, 900};
        sessrec_query all = sessrec_query_default(), few;
        all.k = K;
        few = all;
        few.candidates = candidates;
        few.candidate_count = 3;
        for (int v = 0; v < VISITORS; ++v) {
            memset(&requests[v], 0, sizeof requests[v]);
            CHECK_EQ(sessrec_scorer_session_init(&blend, 3, scratch, visitors + (size_t)v * size, size,
                                                 &requests[v].session, NULL),
                     SESSREC_OK);
            for (int click = 0; click < v % 4; ++click)  // some have not clicked yet
                sessrec_session_click(requests[v].session, (v * 131 + click * 17) % items);
            requests[v].query = v % 5 == 4 ? &few : &all;
            requests[v].out = out[v];
        }
        CHECK_EQ(sessrec_sessions_recommend(scratch, requests, VISITORS), SESSREC_OK);
        CHECK_EQ(sessrec_scorer_scratch_init(&blend, 1, memory, room, &scratch, NULL), SESSREC_OK);
        int32_t different = 0, count;
        for (int v = 0; v < VISITORS; ++v) {
            CHECK_EQ(sessrec_session_use_scratch(requests[v].session, scratch), SESSREC_OK);
            CHECK_EQ(sessrec_session_recommend(requests[v].session, requests[v].query, alone, &count, NULL),
                     SESSREC_OK);
            different += count != requests[v].count || memcmp(alone, out[v], (size_t)count * sizeof *alone);
        }
        CHECK_EQ(different, 0);
        CHECK(out[1][0].item != out[2][0].item);  // they are not all the same
        free(visitors);
        free(memory);
        sessrec_scorer_destroy(&blend);
        sessrec_scorer_destroy(&knn);
        sessrec_model_destroy(model);
        sessrec_log_destroy(log);
    }
    TEST("a session's state of a blend with another network does not belong here") {
        sessrec_log *log = random_log(60, ITEMS, 6);
        sessrec_config network = small_config(1, 12);
        sessrec_model *model[2] = {random_model(&network, log, 3), random_model(&network, log, 4)};
        sessrec_scorer gru, pop, blend[2];
        sessrec_session *visitor[2] = {NULL, NULL};
        static unsigned char memory[2][1 << 16], state[1 << 12];
        CHECK_EQ(sessrec_scorer_pop(log, NULL, &pop, NULL), SESSREC_OK);
        for (int i = 0; i < 2; ++i) {
            CHECK_EQ(sessrec_scorer_model(model[i], NULL, &gru, NULL), SESSREC_OK);
            const sessrec_blend_part parts[2] = {{&gru, 1, 0}, {&pop, 1, 0}};
            CHECK_EQ(sessrec_blend_create(parts, 2, 0, NULL, &blend[i], NULL), SESSREC_OK);
            CHECK_EQ(sessrec_scorer_session_init(&blend[i], 3, NULL, memory[i], sizeof memory[i], &visitor[i],
                                                 NULL),
                     SESSREC_OK);
        }
        const size_t size = sessrec_session_export_size(visitor[0]);
        CHECK(size <= sizeof state);
        CHECK_EQ(sessrec_session_click(visitor[0], 7), SESSREC_OK);
        CHECK_EQ(sessrec_session_export(visitor[0], state, size), SESSREC_OK);
        CHECK_EQ(sessrec_session_import(visitor[0], state, size), SESSREC_OK);
        CHECK_EQ(sessrec_session_import(visitor[1], state, size), SESSREC_MISMATCH);
        for (int i = 0; i < 2; ++i) {
            sessrec_scorer_destroy(&blend[i]);
            sessrec_model_destroy(model[i]);
        }
        sessrec_scorer_destroy(&pop);
        sessrec_log_destroy(log);
    }
    TEST("what cannot be blended is refused with a sentence") {
        sessrec_log *log = random_log(20, 30, 2);
        sessrec_scorer pop, out;
        sessrec_error err;
        CHECK_EQ(sessrec_scorer_pop(log, NULL, &pop, NULL), SESSREC_OK);
        const sessrec_blend_part wrong[5] = {{&pop, 1, 1}, {NULL, 1, 0}, {&pop, NAN, 0}, {&pop, 1e30f, 0},
                                             {&pop, -1e30f, 0}}, good = {&pop, 1, 0};
        for (int i = 0; i < 5; ++i) {
            err.text[0] = 0;
            CHECK_EQ(sessrec_blend_create(&wrong[i], 1, 0, NULL, &out, &err), SESSREC_INVALID_ARGUMENT);
            CHECK(strlen(err.text) > 10 && !out.self);
        }
        CHECK_EQ(sessrec_blend_create(&good, 0, 0, NULL, &out, NULL), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_blend_create(&good, 1, 2, NULL, &out, NULL), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_blend_create(NULL, 1, 0, NULL, &out, NULL), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_blend_create(&good, 1, 0, NULL, NULL, NULL), SESSREC_INVALID_ARGUMENT);
        sessrec_scorer_destroy(&pop);
        sessrec_log_destroy(log);
    }
    TEST("a blend of blends 4 deep is written and read again, a deeper one is refused when it is made") {
        static unsigned char room[(1 << 17) + 64];
        unsigned char *bytes = room + (64 - (uintptr_t)room % 64) % 64;
        sessrec_log *log = random_log(20, 30, 2);
        sessrec_scorer scorers[6], copy;
        const sessrec_rules_config config = sessrec_rules_config_default();
        CHECK_EQ(sessrec_rules_create(&config, log, &scorers[0], NULL), SESSREC_OK);
        for (int deep = 1; deep <= 5; ++deep) {
            const sessrec_blend_part parts[2] = {{&scorers[0], 1, 0}, {&scorers[deep - 1], 0.5f, 0}};
            const sessrec_result result = sessrec_blend_create(parts, 2, 0, NULL, &scorers[deep], NULL);
            CHECK_EQ(result, deep <= 4 ? SESSREC_OK : SESSREC_INVALID_ARGUMENT);
            if (result) break;
            const size_t size = sessrec_scorer_export_size(&scorers[deep]);
            CHECK(size <= 1 << 17);
            CHECK_EQ(sessrec_scorer_export(&scorers[deep], bytes, size), SESSREC_OK);
            CHECK_EQ(sessrec_scorer_import(bytes, size, NULL, &copy, NULL), SESSREC_OK);
            sessrec_scorer_destroy(&copy);
        }
        for (int deep = 4; deep >= 0; --deep) sessrec_scorer_destroy(&scorers[deep]);
        sessrec_log_destroy(log);
    }
}

// ---- sessions of any scorer ----

// The k best of scores by sorting, of the items that may come.
static int32_t best_of(const float *scores, const char *out_of, int32_t items, int32_t k, int32_t *best) {
    int32_t count = 0;
    for (; count < k; ++count) {
        int32_t first = -1;
        for (int32_t i = 0; i < items; ++i) {
            int taken = out_of[i] || !(scores[i] > -INFINITY);
            for (int32_t j = 0; j < count; ++j) taken |= best[j] == i;
            if (!taken && (first < 0 || scores[i] > scores[first])) first = i;
        }
        if (first < 0) break;
        best[count] = first;
    }
    return count;
}

enum { SERVED = 50 };
static int32_t odd(void *user, int32_t item) {
    (void)user;
    return item % 2;
}

static sessrec_session *session_of(const sessrec_scorer *scorer, int32_t remember, void **memory) {
    const size_t size = sessrec_scorer_session_size(scorer, remember, NULL);
    sessrec_session *session = NULL;
    *memory = malloc(size + 1);
    CHECK_EQ(sessrec_scorer_session_init(scorer, remember, NULL, (char *)*memory + 1, size, &session, NULL),
             SESSREC_OK);
    return session;
}

static void check_session(const sessrec_scorer *scorer) {
    void *memory, *other_memory;
    sessrec_session *session = session_of(scorer, 5, &memory), *other = session_of(scorer, 5, &other_memory);
    visit v = visit_of(scorer);
    char none[SERVED] = {0}, seen[SERVED] = {0}, odds[SERVED];
    float scores[SERVED], served[SERVED + 2], offsets[SERVED];
    int32_t expected[SERVED], all[SERVED + 2], groups[SERVED], clicks[5] = {3, 17, 3, 40, 8}, count;
    sessrec_recommendation best[SERVED];
    sessrec_query query = sessrec_query_default(), pick = query, grouped = query;
    sessrec_source source;
    query.k = 10;
    for (int32_t i = 0; i < SERVED; ++i)
        odds[i] = (char)(i % 2), all[i] = i, groups[i] = i % 3, offsets[i] = i == 21 ? 1000.0f : 0;
    all[SERVED] = -1, all[SERVED + 1] = SERVED;
    pick.candidates = all;
    pick.candidate_count = SERVED;
    pick.veto = odd;
    pick.skip_seen = 0;
    grouped.groups = groups;
    grouped.group_limit = 2;
    grouped.k = 10;
    CHECK_EQ(sessrec_session_recommend(session, &query, best, &count, &source), SESSREC_OK);
    CHECK_EQ(source, SESSREC_FROM_POPULARITY);
    for (int32_t i = 0; i < SERVED; ++i) scores[i] = (float)scorer->support(scorer->self, i);
    CHECK_EQ(count, best_of(scores, none, SERVED, 10, expected));
    for (int32_t i = 0; i < count; ++i) CHECK_EQ(best[i].item, expected[i]);
    for (int c = 0; c < 5; ++c) {
        visit_click(&v, clicks[c]);
        seen[clicks[c]] = 1;
        CHECK_EQ(sessrec_session_click(session, clicks[c]), SESSREC_OK);
        visit_scores(&v, scores);
        CHECK_EQ(sessrec_session_recommend(session, &query, best, &count, &source), SESSREC_OK);
        CHECK_EQ(source, SESSREC_FROM_MODEL);
        CHECK_EQ(count, best_of(scores, seen, SERVED, 10, expected));
        for (int32_t i = 0; i < count; ++i)
            CHECK(best[i].item == expected[i] && best[i].score >= scores[expected[i]]);
        CHECK_EQ(sessrec_session_recommend(session, &pick, best, &count, NULL), SESSREC_OK);
        CHECK_EQ(count, best_of(scores, odds, SERVED, 20, expected));
        for (int32_t i = 0; i < count; ++i) CHECK_EQ(best[i].item, expected[i]);
        CHECK_EQ(sessrec_session_score(session, all, SERVED + 2, served), SESSREC_OK);
        CHECK(!memcmp(served, scores, sizeof scores));
        // at most two of a group: the best of each group first
        CHECK_EQ(sessrec_session_recommend(session, &grouped, best, &count, NULL), SESSREC_OK);
        char out[SERVED];
        int32_t left[3] = {2, 2, 2}, n = 0;
        memcpy(out, seen, sizeof out);
        for (int32_t next; best_of(scores, out, SERVED, 1, &next); out[next] = 1)
            if (left[next % 3]-- > 0) CHECK_EQ(best[n++].item, next);
        CHECK_EQ(count, n);
        query.offsets = offsets;
        CHECK_EQ(sessrec_session_recommend(session, &query, best, &count, NULL), SESSREC_OK);
        CHECK_EQ(best[0].item == 21, scores[21] > -INFINITY);
        query.offsets = NULL;
    }
    // states as bytes: into another session, refused when damaged, and by another scorer
    const size_t size = sessrec_session_export_size(session);
    unsigned char *bytes = (unsigned char *)malloc(size);
    CHECK_EQ(sessrec_session_export(session, bytes, size), SESSREC_OK);
    CHECK_EQ(sessrec_session_import(other, bytes, size), SESSREC_OK);
    CHECK_EQ(sessrec_session_score(other, all, SERVED + 2, served), SESSREC_OK);
    CHECK(!memcmp(served, scores, sizeof scores));
    for (size_t i = 0; i < size; i += 3) {
        bytes[i] ^= 0x55;
        CHECK(sessrec_session_import(other, bytes, size) != SESSREC_OK);
        bytes[i] ^= 0x55;
    }
    // with a checksum that fits, whatever was taken in can be used
    for (size_t i = 8; i + 4 < size; ++i) {
        bytes[i] ^= 0xff;
        const uint32_t sum = sessrec__crc32c(0, bytes, size - 4);
        for (int b = 0; b < 4; ++b) bytes[size - 4 + (size_t)b] = (unsigned char)(sum >> 8 * b);
        if (sessrec_session_import(other, bytes, size) == SESSREC_OK) {
            CHECK_EQ(sessrec_session_recommend(other, &query, best, &count, NULL), SESSREC_OK);
            CHECK_EQ(sessrec_session_click(other, 5), SESSREC_OK);
        }
        bytes[i] ^= 0xff;
    }
    sessrec_session_end(session);
    CHECK_EQ(sessrec_session_recommend(session, &query, best, &count, &source), SESSREC_OK);
    CHECK_EQ(source, SESSREC_FROM_POPULARITY);
    free(bytes);
    free(v.memory);
    free(memory);
    free(other_memory);
}

// A scorer whose state is what it was told of times: of the session's begin, and the sum over its clicks.
typedef struct clock_state {
    double begin, sum;
} clock_state;
static void clock_begin(const void *self, void *state, const void *user, double time) {
    clock_state *clock = (clock_state *)state;
    (void)self, (void)user;
    clock->begin = time;
    clock->sum = 0;
}
static void clock_click(const void *self, int32_t rows, void *states, const int32_t *items,
                        const double *times, void *scratch) {
    (void)self, (void)items, (void)scratch;
    for (int32_t r = 0; r < rows; ++r) ((clock_state *)states)[r].sum += times ? times[r] : 0.25;
}
static int32_t clock_list(const void *self, const void *state, const sessrec_recommendation **out,
                          void *scratch) {
    const clock_state *clock = (const clock_state *)state;
    sessrec_recommendation *list = (sessrec_recommendation *)scratch;
    (void)self;
    list[0].item = 0;
    list[0].score = clock->begin >= 0 ? (float)clock->begin : -1;
    list[1].item = 1;
    list[1].score = (float)clock->sum;
    *out = list;
    return 2;
}
static size_t clock_scratch(const void *self, int32_t rows) {
    (void)self, (void)rows;
    return 64;
}
static int32_t clock_find(const void *self, const char *id) {
    (void)self;
    return id[0] >= '0' && id[0] <= '8' && !id[1] ? id[0] - '0' : -1;
}
static const char *clock_id(const void *self, int32_t item) {
    static const char ids[9][2] = {"0", "1", "2", "3", "4", "5", "6", "7", "8"};
    (void)self;
    return ids[item];
}

// The clicks that a session is given, and what its scorer heard of their times.
static void check_times(const sessrec_scorer *scorer) {
    static unsigned char memory[1 << 16];
    static const int32_t both[2] = {0, 1};
    sessrec_session *session;
    float heard[2];
    CHECK_EQ(sessrec_scorer_session_init(scorer, 5, NULL, memory, sizeof memory, &session, NULL), SESSREC_OK);
    for (int again = 0; again < 2; ++again) {
        CHECK_EQ(sessrec_session_click_at(session, -1, 50), SESSREC_OK);  // unknown: not the begin
        CHECK_EQ(sessrec_session_click_at(session, 3, 100), SESSREC_OK);
        CHECK_EQ(sessrec_session_click(session, 4), SESSREC_OK);  // 0.25: a time that is not known
        CHECK_EQ(sessrec_session_click_at(session, 5, 200), SESSREC_OK);
        CHECK_EQ(sessrec_session_click_at(session, 9, 200), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_session_score(session, both, 2, heard), SESSREC_OK);
        CHECK_NEAR(heard[0], 100, 0);
        CHECK_NEAR(heard[1], 300.25, 0);
        sessrec_session_end(session);
    }
    CHECK_EQ(sessrec_session_click(session, 3), SESSREC_OK);
    CHECK_EQ(sessrec_session_score(session, both, 2, heard), SESSREC_OK);
    CHECK_NEAR(heard[0], -1, 0);
    CHECK_NEAR(heard[1], 0.25, 0);
}

static void times(void) {
    sessrec_scorer clock, blend;
    memset(&clock, 0, sizeof clock);
    clock.item_count = 9;
    clock.state_bytes = sizeof(clock_state);
    clock.begin = clock_begin;
    clock.click = clock_click;
    clock.list = clock_list;
    clock.scratch_bytes = clock_scratch;
    clock.find_item = clock_find;
    clock.item_id = clock_id;
    TEST("a session tells its scorer the time of each click, and of the first known one as its begin") {
        check_times(&clock);
    }
    TEST("a blend passes the times on to its parts") {
        const sessrec_blend_part parts[2] = {{&clock, 0.5f, 0}, {&clock, 0.5f, 0}};
        CHECK_EQ(sessrec_blend_create(parts, 2, 0, NULL, &blend, NULL), SESSREC_OK);
        check_times(&blend);
        sessrec_scorer_destroy(&blend);
    }
}

static void sessions(void) {
    sessrec_log *log = random_log(150, SERVED, 8), *other = random_log(20, 9, 1);
    sessrec_knn_config config = knn_preset("vstan");
    sessrec_rules_config rules_config = sessrec_rules_config_default();
    sessrec_config network = small_config(2, 12);
    sessrec_model *model = random_model(&network, log, 3);
    sessrec_scorer knn = knn_of(&config, log), small = knn_of(&config, other), rules, gru, pop, blend, lists;
    rules_config.kind = SESSREC_RULES_MARKOV;
    rules_config.order = 3;
    CHECK_EQ(sessrec_rules_create(&rules_config, log, &rules, NULL), SESSREC_OK);
    CHECK_EQ(sessrec_scorer_model(model, NULL, &gru, NULL), SESSREC_OK);
    CHECK_EQ(experiment_s_pop(log, &pop, NULL), SESSREC_OK);
    const sessrec_blend_part parts[3] = {{&gru, 1, 0}, {&knn, 1, 1}, {&rules, 0.5f, 0}};
    CHECK_EQ(sessrec_blend_create(parts, 3, 0, NULL, &blend, NULL), SESSREC_OK);
    CHECK_EQ(sessrec_blend_create(parts + 1, 2, 0, NULL, &lists, NULL), SESSREC_OK);
    TEST("a session of neighbors, with every filter and as bytes") check_session(&knn);
    TEST("a session of rules, with every filter and as bytes") check_session(&rules);
    TEST("a session of a network as a scorer is one of the model") check_session(&gru);
    TEST("a session of popularity, with every filter and as bytes") check_session(&pop);
    TEST("a session of a blend of a network and lists, with every filter and as bytes") check_session(&blend);
    TEST("a session of a blend of lists, with every filter and as bytes") check_session(&lists);
    TEST("with a temperature the order of the best is drawn from the softmax of their scores") {
        void *memory;
        sessrec_session *session = session_of(&gru, 3, &memory);
        sessrec_query query = sessrec_query_default();
        sessrec_recommendation best[3], drawn[3];
        int32_t count, first[3] = {0, 0, 0}, wrong = 0;
        enum { DRAWS = 20000 };
        query.k = 3;
        sessrec_session_click(session, 7);
        CHECK_EQ(sessrec_session_recommend(session, &query, best, &count, NULL), SESSREC_OK);
        query.temperature = (best[0].score - best[2].score) / 2;
        for (int32_t n = 0; n < DRAWS; ++n) {
            query.random = (uint64_t)n * 77;
            CHECK_EQ(sessrec_session_recommend(session, &query, drawn, &count, NULL), SESSREC_OK);
            for (int i = 0; i < 3; ++i) {
                int found = 0;
                first[i] += drawn[0].item == best[i].item;
                for (int j = 0; j < 3; ++j)
                    found += drawn[j].item == best[i].item && drawn[j].score >= best[i].score;
                wrong += found != 1;
            }
        }
        double sum = 0;
        for (int i = 0; i < 3; ++i) sum += exp((double)(best[i].score / query.temperature));
        for (int i = 0; i < 3; ++i)
            CHECK_NEAR(first[i] / (double)DRAWS, exp((double)(best[i].score / query.temperature)) / sum,
                       0.01);
        CHECK_EQ(wrong, 0);
        query.temperature = 1e-6f;
        CHECK_EQ(sessrec_session_recommend(session, &query, drawn, &count, NULL), SESSREC_OK);
        CHECK(!memcmp(best, drawn, sizeof best));
        query.temperature = NAN;
        CHECK_EQ(sessrec_session_recommend(session, &query, drawn, &count, NULL), SESSREC_INVALID_ARGUMENT);
        free(memory);
    }
    TEST("exploration gives places to other items that may come, as often as asked") {
        void *memory;
        sessrec_session *session = session_of(&blend, 3, &memory);
        sessrec_query query = sessrec_query_default();
        sessrec_recommendation best[4], drawn[4], again[4];
        int32_t count, moved = 0, alone = 0, wrong = 0, seen[SERVED] = {0};
        enum { DRAWS = 4000 };
        query.k = 4;
        query.veto = odd;
        sessrec_session_click(session, 8);
        CHECK_EQ(sessrec_session_recommend(session, &query, best, &count, NULL), SESSREC_OK);
        query.explore = 0.25f;
        for (int32_t n = 0; n < DRAWS; ++n) {
            query.random = (uint64_t)n;
            CHECK_EQ(sessrec_session_recommend(session, &query, drawn, &count, NULL), SESSREC_OK);
            CHECK_EQ(count, 4);
            const int32_t before = moved;
            for (int i = 0; i < 4; ++i) {
                float score;
                sessrec_session_score(session, &drawn[i].item, 1, &score);
                moved += drawn[i].item != best[i].item;
                seen[drawn[i].item]++;
                wrong += drawn[i].item % 2 || drawn[i].item == 8 || score > drawn[i].score ||
                         score < drawn[i].score;
                for (int j = 0; j < i; ++j) wrong += drawn[j].item == drawn[i].item;
            }
            alone += moved == before + 1;
        }
        CHECK_EQ(sessrec_session_recommend(session, &query, again, &count, NULL), SESSREC_OK);
        CHECK(!memcmp(again, drawn, sizeof again));
        CHECK_EQ(wrong, 0);
        CHECK_NEAR(moved / (4.0 * DRAWS), 0.25, 0.02);
        CHECK_NEAR(alone / (double)DRAWS, 4 * 0.25 * 0.75 * 0.75 * 0.75, 0.03);  // each place for itself
        int never = 0;
        for (int32_t i = 0; i < SERVED; i += 2) never += !seen[i];
        CHECK_EQ(never, 1);  // the one that was clicked
        query.explore = 1.5f;
        CHECK_EQ(sessrec_session_recommend(session, &query, drawn, &count, NULL), SESSREC_INVALID_ARGUMENT);
        free(memory);
    }
    TEST("a rule is the reason of its recommendation, with the sessions where it held") {
        static const char *const logged[4] = {"xabc", "abd", "abcb",
                                              "bc"};  // after a, b: c, d, c in three sessions
        sessrec_log *letters = letters_log(4, logged, NULL);
        sessrec_scorer markov;
        void *memory;
        sessrec_reason reason[3];
        rules_config.order = 2;
        CHECK_EQ(sessrec_rules_create(&rules_config, letters, &markov, NULL), SESSREC_OK);
        sessrec_session *session = session_of(&markov, 0, &memory);
        CHECK_EQ(sessrec_session_reasons(session, 3, reason, 3), 0);
        CHECK_EQ(sessrec_session_click_id(session, "a", NULL), SESSREC_OK);
        CHECK_EQ(sessrec_session_click_id(session, "b", NULL), SESSREC_OK);
        CHECK_EQ(sessrec_session_reasons(session, markov.find_item(markov.self, "c"), reason, 3), 1);
        CHECK_EQ(reason->context_count, 2);
        CHECK_TEXT(markov.item_id(markov.self, reason->context[0]), "b");
        CHECK_TEXT(markov.item_id(markov.self, reason->context[1]), "a");
        CHECK(reason->held == 2 && reason->of == 3 && reason->session == -1);
        CHECK_NEAR(reason->part, 2.0 / 3, 1e-6);
        CHECK_EQ(sessrec_session_reasons(session, markov.find_item(markov.self, "x"), reason, 3), 0);
        CHECK_EQ(sessrec_session_reasons(session, -1, reason, 3), SESSREC_INVALID_ARGUMENT);
        free(memory);
        sessrec_scorer_destroy(&markov);
        sessrec_log_destroy(letters);
    }
    TEST("sessions of the index are the reasons of a recommendation, and their parts sum to its score") {
        config = knn_preset("stan");
        sessrec_scorer stan = knn_of(&config, log);
        const sessrec_blend_part all[2] = {{&rules, 1, 0}, {&stan, 1, 0}};
        sessrec_scorer both;
        void *memory, *blend_memory;
        static sessrec_reason reasons[500];
        int32_t items[9];
        CHECK_EQ(sessrec_blend_create(all, 2, 0, NULL, &both, NULL), SESSREC_OK);
        sessrec_session *session = session_of(&stan, 0, &memory),
                        *blended = session_of(&both, 0, &blend_memory);
        int wrong = 0, looked = 0;
        for (int32_t c = 0; c < 4; ++c) {
            sessrec_session_click(session, c * 9);
            sessrec_session_click(blended, c * 9);
            for (int32_t i = 0; i < SERVED; ++i) {
                float score, sum = 0;
                sessrec_session_score(session, &i, 1, &score);
                const int32_t count = sessrec_session_reasons(session, i, reasons, 500);
                for (int32_t r = 0; r < count; ++r) {
                    const int32_t held = sessrec_knn_session_items(&stan, reasons[r].session, items, 9);
                    int holds = 0;
                    for (int32_t k = 0; k < held; ++k) holds |= items[k] == i;
                    sum += reasons[r].part;
                    wrong += !holds || (r && reasons[r].part > reasons[r - 1].part);
                    ++looked;
                }
                wrong += count ? fabs(sum - score) > 1e-5 * (1 + score) : score > -INFINITY;
                const float strongest = reasons->part;
                if (count > 1)
                    wrong +=
                        sessrec_session_reasons(session, i, reasons, 1) != 1 || reasons->part < strongest;
                wrong += sessrec_session_reasons(blended, i, reasons, 500) < count;
            }
        }
        CHECK_EQ(wrong, 0);
        CHECK(looked > 500);
        CHECK_EQ(sessrec_knn_session_items(&stan, 100000, items, 9), 0);
        free(memory);
        free(blend_memory);
        sessrec_scorer_destroy(&both);
        sessrec_scorer_destroy(&stan);
    }
    TEST("sessions of a scorer share a scratch, and not with those of another") {
        void *memory[4];
        sessrec_scratch *scratch = NULL, *of_small = NULL;
        sessrec_session *a = NULL, *b = NULL;
        const size_t room = sessrec_scorer_scratch_size(&knn, 4),
                     less = sessrec_scorer_scratch_size(&small, 4);
        const size_t size = sessrec_scorer_session_size(&knn, 3, NULL);
        for (int i = 0; i < 4; ++i) memory[i] = malloc(room + size);
        CHECK_EQ(sessrec_scorer_scratch_init(&knn, 4, memory[0], room, &scratch, NULL), SESSREC_OK);
        CHECK_EQ(sessrec_scorer_scratch_init(&small, 4, memory[1], less, &of_small, NULL), SESSREC_OK);
        const size_t shared = sessrec_scorer_session_size(&knn, 3, scratch);
        CHECK(shared < 2048 && shared < size);
        CHECK_EQ(sessrec_scorer_session_init(&knn, 3, scratch, memory[2], shared, &a, NULL), SESSREC_OK);
        CHECK_EQ(sessrec_scorer_session_init(&knn, 3, scratch, memory[3], shared, &b, NULL), SESSREC_OK);
        sessrec_recommendation out[2][5], alone[5];
        sessrec_query query = sessrec_query_default();
        query.k = 5;
        sessrec_request requests[2] = {{a, &query, out[0], 0, 0, 0}, {b, &query, out[1], 0, 0, 0}};
        int32_t count;
        sessrec_session_click(a, 4);
        sessrec_session_click(b, 9);
        CHECK_EQ(sessrec_sessions_recommend(scratch, requests, 2), SESSREC_OK);
        for (int r = 0; r < 2; ++r) {
            CHECK_EQ(sessrec_session_recommend(r ? b : a, &query, alone, &count, NULL), SESSREC_OK);
            CHECK_EQ(count, requests[r].count);
            CHECK(!memcmp(alone, out[r], sizeof alone));
        }
        CHECK_EQ(sessrec_sessions_recommend(of_small, requests, 2), SESSREC_MISMATCH);
        CHECK_EQ(sessrec_session_use_scratch(a, of_small), SESSREC_MISMATCH);
        CHECK_EQ(sessrec_scorer_session_init(&knn, 3, of_small, memory[2], shared, &a, NULL),
                 SESSREC_MISMATCH);
        CHECK_EQ(sessrec_scorer_session_init(&knn, 3, scratch, memory[2], shared - 40, &a, NULL),
                 SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_scorer_session_size(NULL, 3, NULL), 0);
        for (int i = 0; i < 4; ++i) free(memory[i]);
    }
    sessrec_scorer_destroy(&lists);
    sessrec_scorer_destroy(&blend);
    sessrec_scorer_destroy(&pop);
    sessrec_scorer_destroy(&rules);
    sessrec_scorer_destroy(&small);
    sessrec_scorer_destroy(&knn);
    sessrec_model_destroy(model);
    sessrec_log_destroy(log);
    sessrec_log_destroy(other);
}

// ---- files ----

static char file_path[160];

static unsigned char *aligned(void *memory) {
    return (unsigned char *)memory + (64 - (uintptr_t)memory % 64) % 64;
}

static uint64_t number_at(const unsigned char *at, int bytes) {
    uint64_t value = 0;
    for (int b = 0; b < bytes; ++b) value |= (uint64_t)at[b] << 8 * b;
    return value;
}
static void put_sum(unsigned char *at, uint32_t sum) {
    for (int b = 0; b < 4; ++b) at[b] = (unsigned char)(sum >> 8 * b);
}

// Makes all checksums right again that can be, in the parts of a blend too.
static void seal(unsigned char *file, uint64_t size) {
    const uint64_t table = 64 * (number_at(file + 24, 4) + 1);
    for (uint64_t record = 64; record < table && table <= size; record += 64) {
        const uint64_t at = number_at(file + record + 40, 8), bytes = number_at(file + record + 48, 8);
        if (at > size || bytes > size - at) continue;
        if (!memcmp(file + record, "part", 4)) seal(file + at, bytes);
        put_sum(file + record + 20, sessrec__crc32c(0, file + at, (size_t)bytes));
    }
    if (table <= size)
        put_sum(file + 28, sessrec__crc32c(sessrec__crc32c(0, file, 28), file + 32, (size_t)table - 32));
}

// A file to be changed in one section, and read under right checksums.
typedef struct forged_file {
    void *memory;
    unsigned char *bytes, *content;  // the file, and the section's place in it
    size_t size;
} forged_file;
static forged_file forged_file_of(const sessrec_scorer *scorer, const char *section) {
    forged_file f;
    f.size = sessrec_scorer_export_size(scorer);
    f.memory = malloc(f.size + 64);
    f.bytes = aligned(f.memory);
    CHECK_EQ(sessrec_scorer_export(scorer, f.bytes, f.size), SESSREC_OK);
    const unsigned char *record = f.bytes + 64;
    while (strcmp((const char *)record, section)) record += 64;
    f.content = f.bytes + number_at(record + 40, 8);
    return f;
}
static void swap_bytes(unsigned char *a, unsigned char *b, size_t size) {
    unsigned char kept[16];
    memcpy(kept, a, size);
    memcpy(a, b, size);
    memcpy(b, kept, size);
}
static void check_refused(forged_file *f, const char *sentence) {
    sessrec_scorer read;
    sessrec_error err;
    seal(f->bytes, f->size);
    CHECK_EQ(sessrec_scorer_import(f->bytes, f->size, NULL, &read, &err), SESSREC_BAD_FILE);
    CHECK_TEXT(err.text, sentence);
    free(f->memory);
}

// Whether two scorers give the same bits in a few sessions.
static int same_scores(const sessrec_scorer *a, const sessrec_scorer *b, int32_t items) {
    visit x = visit_of(a), y = visit_of(b);
    float one[SERVED], other[SERVED];
    int same = a->item_count == b->item_count;
    for (int32_t n = 0; n < 12; ++n) {
        if (n % 4 == 0) a->begin(a->self, x.state, NULL, NAN), b->begin(b->self, y.state, NULL, NAN);
        visit_click(&x, n * 7 % items);
        visit_click(&y, n * 7 % items);
        visit_scores(&x, one);
        visit_scores(&y, other);
        same = same && !memcmp(one, other, (size_t)items * sizeof *one);
    }
    free(x.memory);
    free(y.memory);
    return same;
}

static void check_file(const sessrec_scorer *scorer, const char *path, int32_t items) {
    const size_t size = sessrec_scorer_export_size(scorer);
    void *memory = malloc(size + 64), *copy_memory = malloc(size + 64);
    unsigned char *bytes = aligned(memory), *copy = aligned(copy_memory);
    sessrec_scorer back, again;
    sessrec_error err;
    CHECK_EQ(sessrec_scorer_export(scorer, bytes, size), SESSREC_OK);
    CHECK_EQ(sessrec_scorer_export(scorer, copy, size - 1), SESSREC_INVALID_ARGUMENT);
    memcpy(copy, bytes, size);
    CHECK_EQ(sessrec_scorer_import(bytes, size, NULL, &back, &err), SESSREC_OK);
    CHECK(same_scores(scorer, &back, items));
    CHECK_EQ(sessrec_scorer_export_size(&back), size);
    CHECK_EQ(sessrec_scorer_export(&back, copy, size), SESSREC_OK);
    CHECK(!memcmp(bytes, copy, size));  // one content has one legal layout
    sessrec_scorer_destroy(&back);
    CHECK_EQ(sessrec_scorer_import(bytes + 4, size - 4, NULL, &back, &err), SESSREC_INVALID_ARGUMENT);
    remove(path);
    CHECK_EQ(sessrec_scorer_write(scorer, path, &err), SESSREC_OK);
    CHECK_EQ(sessrec_scorer_read(path, NULL, &again, &err), SESSREC_OK);
    CHECK(same_scores(scorer, &again, items));
    sessrec_scorer_destroy(&again);
    for (int64_t n = 0, result = SESSREC_OUT_OF_MEMORY; result && n < 60; ++n) {
        counting_memory counted = {0, 0, n};
        const sessrec_allocator allocator = counting_allocator(&counted);
        result = sessrec_scorer_read(path, &allocator, &again, NULL);
        CHECK(result == SESSREC_OK || result == SESSREC_OUT_OF_MEMORY);
        sessrec_scorer_destroy(&again);
        CHECK_EQ(counted.blocks, 0);
    }
    remove(path);
    int taken = 0, refused = 0;
    for (size_t i = 0; i < size; i += size < 4000 ? 1 : 1 + i % 7) {  // any damage is seen
        memcpy(copy, bytes, size);
        copy[i] ^= (unsigned char)(1 + i % 255);
        taken += sessrec_scorer_import(copy, size, NULL, &back, &err) == SESSREC_OK;
    }
    for (size_t cut = 0; cut < size; cut += 1 + size / 50)
        taken += sessrec_scorer_import(bytes, cut, NULL, &back, &err) == SESSREC_OK;
    CHECK_EQ(taken, 0);
    // with checksums that fit, a file is refused or can be used
    for (size_t i = 64; i < size; i += 1 + i % 3)
        for (int kind = 0; kind < 3; ++kind) {
            memcpy(copy, bytes, size);
            copy[i] = (unsigned char)(kind == 0 ? copy[i] ^ 1 : kind == 1 ? copy[i] ^ 0x80 : 0xff);
            seal(copy, size);
            if (sessrec_scorer_import(copy, size, NULL, &back, &err) == SESSREC_OK) {
                visit v = visit_of(&back);
                float *scores = (float *)malloc((size_t)back.item_count * sizeof *scores);
                for (int32_t n = 0; n < 5; ++n) visit_click(&v, n * 3 % back.item_count);
                visit_scores(&v, scores);
                free(scores);
                free(v.memory);
                sessrec_scorer_destroy(&back);
                ++taken;
            } else {
                ++refused;
            }
        }
    CHECK(taken > 0 && refused > taken / 4);
    free(memory);
    free(copy_memory);
}

static void files(void) {
    enum { ITEMS = 9 };
    sessrec_log *log = random_log(12, ITEMS, 8), *more = random_log(30, ITEMS, 8);
    sessrec_knn_config config = knn_preset("vstan");
    sessrec_rules_config rules_config = sessrec_rules_config_default();
    sessrec_config network = small_config(1, 4);
    sessrec_model *model = random_model(&network, log, 3);
    config.m = 6;
    sessrec_scorer knn = knn_of(&config, log), rules, gru, blend, pop, int8, bare;
    rules_config.kind = SESSREC_RULES_MARKOV;
    rules_config.order = 2;
    CHECK_EQ(sessrec_rules_create(&rules_config, log, &rules, NULL), SESSREC_OK);
    CHECK_EQ(sessrec_model_quantize(model, 1, NULL, &int8, NULL), SESSREC_OK);
    CHECK_EQ(sessrec_model_quantize(model, 0, NULL, &bare, NULL), SESSREC_OK);
    CHECK_EQ(sessrec_scorer_model(model, NULL, &gru, NULL), SESSREC_OK);
    CHECK_EQ(sessrec_scorer_pop(log, NULL, &pop, NULL), SESSREC_OK);
    const sessrec_blend_part parts[4] = {
        {&gru, 1, 0}, {&knn, 0.75f, 1}, {&rules, 0.5f, 0}, {&int8, 0.25f, 0}};
    CHECK_EQ(sessrec_blend_create(parts, 4, 0, NULL, &blend, NULL), SESSREC_OK);
    TEST("an index of neighbors is written, read and used in place; damage is refused")
    check_file(&knn, file_path, ITEMS);
    TEST("rules are written, read and used in place; damage is refused")
    check_file(&rules, file_path, ITEMS);
    TEST("a model of 8 bits is written, read and used in place; damage is refused")
    check_file(&int8, file_path, ITEMS);
    TEST("one without ids, too")
    check_file(&bare, file_path, ITEMS);
    TEST("a blend is written with its parts, read and used in place; damage is refused")
    check_file(&blend, file_path, ITEMS);
    TEST("the file of an index in which an item has clicks but no support is refused") {
        forged_file f = forged_file_of(&knn, "support");
        f.content[8] = (unsigned char)(f.content[8] + f.content[0]);  // the sum stays
        f.content[0] = 0;
        check_refused(&f, "the file is damaged: events has a value that cannot be");
    }
    TEST("one whose sessions are not in the order of their ends, too") {
        forged_file f = forged_file_of(&knn, "ends");
        swap_bytes(f.content, f.content + 8, 8);
        check_refused(&f, "the file is damaged: ends has a value that cannot be");
    }
    TEST("the file of rules whose contexts do not rise is refused") {
        forged_file f = forged_file_of(&rules, "contexts");
        swap_bytes(f.content, f.content + 16, 16);
        check_refused(&f, "the file is damaged: contexts has a value that cannot be");
    }
    TEST("the file of a blend with a weight that no float can be is refused") {
        const double weight = 1e300;
        forged_file f = forged_file_of(&blend, "scorer");
        memcpy(f.content + 8 * sizeof weight, &weight, sizeof weight);
        check_refused(&f, "the file is damaged: a weight is impossible");
    }
    TEST("an index that was read grows like the one that was made, and leaves the bytes in memory as they "
         "are") {
        const size_t size = sessrec_scorer_export_size(&knn);
        void *memory = malloc(size + 64), *before = malloc(size);
        const sessrec_log_view view = sessrec_log_contents(more);
        sessrec_scorer mapped, grown = knn_of(&config, log);
        CHECK_EQ(sessrec_scorer_export(&knn, aligned(memory), size), SESSREC_OK);
        memcpy(before, aligned(memory), size);
        CHECK_EQ(sessrec_scorer_import(aligned(memory), size, NULL, &mapped, NULL), SESSREC_OK);
        for (int32_t s = 0; s < view.session_count; ++s) {
            const int64_t from = view.session_begins[s], to = view.session_begins[s + 1];
            CHECK_EQ(sessrec_knn_append(&mapped, view.items + from, (int32_t)(to - from), 2500 + 100 * s),
                     SESSREC_OK);
            CHECK_EQ(sessrec_knn_append(&grown, view.items + from, (int32_t)(to - from), 2500 + 100 * s),
                     SESSREC_OK);
        }
        CHECK(same_index(&mapped, &grown));
        CHECK_EQ(sessrec_knn_forget(&mapped, 4000), SESSREC_OK);
        CHECK_EQ(sessrec_knn_forget(&grown, 4000), SESSREC_OK);
        CHECK(same_index(&mapped, &grown));
        CHECK(!memcmp(before, aligned(memory), size));
        sessrec_scorer_destroy(&mapped);
        sessrec_scorer_destroy(&grown);
        free(memory);
        free(before);
    }
    TEST("a scorer without a file says so, and a model is read as a scorer") {
        sessrec_error err;
        sessrec_scorer back;
        CHECK_EQ(sessrec_scorer_export_size(&pop), 0);
        CHECK_EQ(sessrec_scorer_write(&pop, file_path, &err), SESSREC_UNSUPPORTED);
        CHECK_EQ(sessrec_scorer_write(&gru, file_path, &err), SESSREC_OK);
        CHECK_EQ(sessrec_scorer_read(file_path, NULL, &back, &err), SESSREC_OK);
        CHECK(same_scores(&gru, &back, ITEMS));
        sessrec_scorer_destroy(&back);
        remove(file_path);
        CHECK_EQ(sessrec_scorer_read(file_path, NULL, &back, &err), SESSREC_NO_FILE);
        CHECK_EQ(sessrec_scorer_read(NULL, NULL, &back, &err), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_scorer_write(NULL, file_path, &err), SESSREC_INVALID_ARGUMENT);
    }
    sessrec_scorer_destroy(&pop);
    sessrec_scorer_destroy(&blend);
    sessrec_scorer_destroy(&int8);
    sessrec_scorer_destroy(&bare);
    sessrec_scorer_destroy(&rules);
    sessrec_scorer_destroy(&knn);
    sessrec_model_destroy(model);
    sessrec_log_destroy(log);
    sessrec_log_destroy(more);
}

static void settings(void) {
    TEST("settings of neighbors and rules that cannot be are refused with a sentence") {
        sessrec_log *log = random_log(20, 30, 2);
        for (int i = 0; i < 14; ++i) {
            sessrec_knn_config knn = knn_preset("vstan");
            sessrec_rules_config rules = sessrec_rules_config_default();
            sessrec_scorer out;
            sessrec_error err;
            err.text[0] = 0;
            if (i == 0) knn.canary = 0;
            if (i == 1) knn.k = 0;
            if (i == 2) knn.m = -1;
            if (i == 3) knn.weight = 6;
            if (i == 4) knn.neighbor_scale = 0;
            if (i == 5) knn.recency = NAN;
            if (i == 6) knn.idf = -1;
            if (i == 7) rules.canary = 0;
            if (i == 8) rules.kind = 4;
            if (i == 9) rules.most = 0;
            if (i == 10) rules.steps = 0;
            if (i == 11) rules.order = 5;
            if (i == 12) rules.weight = SESSREC_DECAY_EXP;
            if (i == 13) rules.alpha = 2;
            const sessrec_result result = i < 7 ? sessrec_knn_create(&knn, log, &out, &err)
                                                : sessrec_rules_create(&rules, log, &out, &err);
            CHECK_EQ(result, SESSREC_INVALID_ARGUMENT);
            CHECK(strlen(err.text) > 10 && !out.self);
        }
        sessrec_knn_config knn = knn_preset("sknn");
        sessrec_scorer out;
        CHECK_EQ(sessrec_knn_preset("knn", &knn), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_knn_preset(NULL, &knn), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_knn_create(&knn, NULL, &out, NULL), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_rules_create(NULL, log, &out, NULL), SESSREC_INVALID_ARGUMENT);
        sessrec_log_destroy(log);
    }
}

int main(void) {
    const char *place = getenv("TMPDIR");
    snprintf(file_path, sizeof file_path, "%s/sessrec-scorers-%ld",
             place && strlen(place) < 100 ? place : "/tmp", (long)getpid());
    formula();
    growing();
    ranking();
    blends();
    times();
    sessions();
    files();
    settings();
    return test_report("scorers");
}
