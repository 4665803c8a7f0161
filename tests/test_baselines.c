// The scorers of the library: the same item and state give the same bits, and the baselines count right.
#define SESSREC_IMPLEMENTATION
#include "../examples/experiment.h"
#include "models.h"

static sessrec_result item_knn(const sessrec_log *log, int32_t events, int32_t most, double lambda,
                               const sessrec_allocator *allocator, sessrec_scorer *out) {
    sessrec_rules_config config = sessrec_rules_config_default();
    config.kind = SESSREC_RULES_ITEMKNN;
    config.events = events;
    config.most = most;
    config.lambda = lambda;
    if (allocator) config.allocator = *allocator;
    return sessrec_rules_create(&config, log, out, NULL);
}

enum { BLOCK = 1024 };

// Scores of all items after the clicks of a session, one by one.
static void scores_after(const sessrec_scorer *scorer, const int32_t *clicks, int count, float *scores) {
    char *state = (char *)malloc(scorer->state_bytes + 16);
    char *scratch = (char *)malloc((scorer->scratch_bytes ? scorer->scratch_bytes(scorer->self, 1) : 0) + 16);
    scorer->begin(scorer->self, state, NULL, NAN);
    for (int i = 0; i < count; ++i) scorer->click(scorer->self, 1, state, &clicks[i], NULL, scratch);
    for (int32_t first = 0; first < scorer->item_count; first += BLOCK) {
        const int32_t left = scorer->item_count - first;
        const int32_t block = left < BLOCK ? left : BLOCK;
        if (scorer->score) scorer->score(scorer->self, 1, state, first, block, scores + first, scratch);
        for (int32_t i = 0; i < block && !scorer->score; ++i) scores[first + i] = -INFINITY;
    }
    const sessrec_recommendation *list = NULL;
    const int32_t listed = scorer->list ? scorer->list(scorer->self, state, &list, scratch) : 0;
    for (int32_t i = 0; i < listed; ++i)
        scores[list[i].item] = list[i].score + (scorer->score ? scores[list[i].item] : 0);
    free(state);
    free(scratch);
}

static void add_events(sessrec_log *log, int64_t session, int64_t item, int32_t events) {
    int failures = 0;
    for (int32_t i = 0; i < events; ++i)
        failures += sessrec_log_add_numbers(log, -1, session, item, 0) != SESSREC_OK;
    CHECK_EQ(failures, 0);
}

static void popularity(void) {
    static const char *const sessions[3] = {"abab", "a", "ca"};  // a 4 events, b 2, c 1
    TEST("pop is supp / (1 + supp), whatever was clicked") {
        sessrec_log *log = letters_log(3, sessions, NULL);
        sessrec_scorer pop;
        CHECK_EQ(sessrec_scorer_pop(log, NULL, &pop, NULL), SESSREC_OK);
        sessrec_log_destroy(log);  // the scorer does not need it
        static const int32_t clicks[2] = {2, 2};
        float scores[3];
        for (int n = 0; n <= 2; ++n) {
            scores_after(&pop, clicks, n, scores);
            CHECK_NEAR(scores[0], 4.0 / 5, 1e-7);
            CHECK_NEAR(scores[1], 2.0 / 3, 1e-7);
            CHECK_NEAR(scores[2], 1.0 / 2, 1e-7);
        }
        CHECK_EQ(pop.item_count, 3);
        CHECK_EQ(pop.find_item(pop.self, "b"), 1);
        CHECK_EQ(pop.find_item(pop.self, "z"), -1);
        sessrec_scorer_destroy(&pop);
    }
    TEST("items with different support never tie, items with the same always do") {
        static const int32_t support[5] = {8001, 8000, 8002, 8001, 3};
        sessrec_log *log;
        CHECK_EQ(sessrec_log_create(NULL, &log, NULL), SESSREC_OK);
        for (int i = 0; i < 5; ++i) add_events(log, i, i, support[i]);
        CHECK_EQ(sessrec_log_finish(log, NULL), SESSREC_OK);
        sessrec_scorer pop;
        CHECK_EQ(sessrec_scorer_pop(log, NULL, &pop, NULL), SESSREC_OK);
        CHECK((float)(8000.0 / 8001) == (float)(8001.0 / 8002));  // the formula alone would tie
        float scores[5];
        scores_after(&pop, NULL, 0, scores);
        CHECK(scores[2] > scores[0]);
        CHECK(scores[0] == scores[3]);
        CHECK(scores[0] > scores[1]);
        CHECK(scores[2] < 1);
        CHECK_NEAR(scores[1], 8000.0 / 8001, 3e-7);
        CHECK_NEAR(scores[4], 0.75, 0);
        sessrec_scorer_destroy(&pop);
        sessrec_log_destroy(log);
    }
    TEST("values of huge supports are different too, and below 1") {
        static const double less[5] = {-1099511627776.0, -1099511627775.0, -1099511627775.0, -16777216, 0};
        static const int32_t item[5] = {0, 1, 2, 3, 4};
        float value[5];
        sessrec__pop_values(less, item, 5, value);
        CHECK(value[0] < 1 && value[0] > value[1] && value[1] == value[2] && value[2] > value[3]);
        CHECK_NEAR(value[3], 1, 3e-7);
        CHECK_NEAR(value[4], 0, 0);
    }
    TEST("s_pop adds one for every click in the session, repeats too, and forgets them at the next session") {
        sessrec_log *log = letters_log(3, sessions, NULL);
        sessrec_scorer s_pop;
        CHECK_EQ(experiment_s_pop(log, &s_pop, NULL), SESSREC_OK);
        sessrec_log_destroy(log);
        static const int32_t clicks[3] = {2, 1, 2};
        static const double expected[4][3] = {
            {0.8, 2 / 3.0, 0.5}, {0.8, 2 / 3.0, 1.5}, {0.8, 5 / 3.0, 1.5}, {0.8, 5 / 3.0, 2.5}};
        for (int n = 3; n >= 0; --n) {
            float scores[3];
            scores_after(&s_pop, clicks, n, scores);
            for (int i = 0; i < 3; ++i) CHECK_NEAR(scores[i], expected[n][i], 1e-7);
        }
        sessrec_scorer_destroy(&s_pop);
    }
    TEST("s_pop counts the last 1024 distinct items of a session") {
        enum { ITEMS = 1026 };
        sessrec_log *log = random_log(1, ITEMS, 9);
        sessrec_scorer s_pop;
        CHECK_EQ(experiment_s_pop(log, &s_pop, NULL), SESSREC_OK);
        static int32_t clicks[ITEMS];
        static float scores[ITEMS];
        for (int32_t i = 0; i < ITEMS; ++i) clicks[i] = i;
        scores_after(&s_pop, clicks, 1024, scores);
        for (int32_t i = 0; i < ITEMS; ++i) CHECK_EQ(scores[i] >= 1, i < 1024);
        scores_after(&s_pop, clicks, ITEMS, scores);
        for (int32_t i = 0; i < ITEMS; ++i) CHECK_EQ(scores[i] >= 1, i >= 2);
        sessrec_scorer_destroy(&s_pop);
        sessrec_log_destroy(log);
    }
    TEST("an evaluation with s_pop: what was clicked before is expected again") {
        static const char *const test[2] = {"bbc", "cac"};
        // b > b: b 1.67 is first.  b > c: b 2.67, a 0.8, c 0.5: 3.  c > a: c 1.5, a 0.8: 2.  a > c: a 1.8, c
        // 1.5: 2
        sessrec_log *log = letters_log(3, sessions, NULL), *later = letters_log(2, test, NULL);
        sessrec_scorer s_pop;
        sessrec_eval_config config = sessrec_eval_config_default();
        sessrec_report report;
        CHECK_EQ(experiment_s_pop(log, &s_pop, NULL), SESSREC_OK);
        CHECK_EQ(sessrec_evaluate_scorer(&s_pop, later, &config, &report, NULL), SESSREC_OK);
        CHECK_EQ(report.event_count, 4);
        CHECK_NEAR(report.all.mrr[3], (1 + 1.0 / 3 + 0.5 + 0.5) / 4, 1e-15);
        sessrec_scorer_destroy(&s_pop);
        sessrec_log_destroy(log);
        sessrec_log_destroy(later);
    }
}

static event_list evaluate_scorer(const sessrec_scorer *scorer, const sessrec_log *log,
                                  const sessrec_log *history) {
    event_list events;
    sessrec_eval_config config = eval_into(&events);
    sessrec_report report;
    config.history = history;
    CHECK_EQ(sessrec_evaluate_scorer(scorer, log, &config, &report, NULL), SESSREC_OK);
    return events;
}

static void personal_popularity(void) {
    static const char *const sessions[5] = {"aaaaab", "cb", "c", "cd", "dd"}, *const user[5] = {"ann", "bob",
                                                                                                "bob", "bob",
                                                                                                "eve"};
    TEST("ppop counts the user's own clicks, those of eval.history first, and pop breaks ties") {
        // Of bob, the history knows c 2, b 1, d 1 (his session of one click does not count). Support: a 5, c
        // 3, d 3, b 2.
        static const char *const test[3] = {"acb", "dad", "ab"}, *const test_user[3] = {"bob", "bob", "new"};
        sessrec_log *log = letters_log(5, sessions, user), *later = letters_log(3, test, test_user);
        sessrec_scorer ppop;
        CHECK_EQ(experiment_ppop(log, &ppop, NULL), SESSREC_OK);
        const event_list events = evaluate_scorer(&ppop, later, log);
        // bob, a > c: c 2 is first. ac > b: c 3; a, b, d 1 each, and pop puts a, d, b in this order: 4.
        // then c 3, b 2, a 1, d 1: d > a: c, b, d 2 each, d before b: a is 4. da > d: c 3, then a, d, b with
        // 2 each: d 3. the new user, a > b: a 1, then c = d > b by pop: 4
        static const double expected[5] = {1, 4, 4, 3, 4};
        CHECK_EQ(events.count, 5);
        for (int i = 0; i < 5; ++i) CHECK_NEAR(events.event[i].rank, expected[i], 0);
        sessrec_scorer_destroy(&ppop);
        sessrec_log_destroy(log);
        sessrec_log_destroy(later);
    }
    TEST("without users in the log ppop is s_pop") {
        static const char *const test[2] = {"bbc", "cac"};
        sessrec_log *log = letters_log(5, sessions, user), *later = letters_log(2, test, NULL);
        sessrec_scorer ppop, s_pop;
        CHECK_EQ(experiment_ppop(log, &ppop, NULL), SESSREC_OK);
        CHECK_EQ(experiment_s_pop(log, &s_pop, NULL), SESSREC_OK);
        const event_list events = evaluate_scorer(&ppop, later, log),
                         expected = evaluate_scorer(&s_pop, later, NULL);
        CHECK_EQ(events.count, 4);
        for (int i = 0; i < 4; ++i) CHECK_NEAR(events.event[i].rank, expected.event[i].rank, 0);
        sessrec_scorer_destroy(&ppop);
        sessrec_scorer_destroy(&s_pop);
        sessrec_log_destroy(log);
        sessrec_log_destroy(later);
    }
}

// Item-KNN by the definition: for every pair of items, all events of the log.
static double similarity(const sessrec_log_view *view, int32_t i, int32_t j, int32_t form,
                         double lambda) {
    double together = 0, with_i = 0, with_j = 0;
    for (int32_t s = 0; s < view->session_count; ++s) {
        int of_i = 0, of_j = 0;
        for (int64_t at = view->session_begins[s]; at < view->session_begins[s + 1]; ++at) {
            of_i += view->items[at] == i;
            of_j += view->items[at] == j;
        }
        const int events = form == 1;
        with_i += events ? of_i : of_i > 0;
        with_j += events ? of_j : of_j > 0;
        if (of_j) together += events ? of_i : of_i > 0;
    }
    return together / sqrt((with_i + lambda) * (with_j + lambda));
}

static void neighbors(void) {
    TEST("itemknn scores the nearest neighbors of the last click by the formula, and nothing else (K3)") {
        enum { ITEMS = 60 };
        sessrec_log *log = random_log(80, ITEMS, 12);
        const sessrec_log_view view = sessrec_log_contents(log);
        int wrong = 0, scored = 0, left_out = 0;
        for (int kind = 0; kind < 6; ++kind) {
            const int32_t form = kind % 2;
            const int32_t most = kind < 2 ? 1 : kind < 4 ? 7 : 65536;
            const double lambda = kind < 4 ? 20 : 0;
            sessrec_scorer knn;
            CHECK_EQ(item_knn(log, form, most, lambda, NULL, &knn), SESSREC_OK);
            for (int32_t i = 0; i < ITEMS; ++i) {
                const int32_t clicks[2] = {(i + 5) % ITEMS, i};
                float scores[ITEMS];
                scores_after(&knn, clicks, 2, scores);
                for (int32_t j = 0; j < ITEMS; ++j) {
                    const double exact = similarity(&view, i, j, form, lambda);
                    int nearer = 0;  // partners that rank before j
                    for (int32_t k = 0; k < ITEMS; ++k) {
                        const float other = (float)similarity(&view, i, k, form, lambda);
                        nearer += k != i && (other > (float)exact || (other >= (float)exact && k < j));
                    }
                    const int expected = j != i && exact > 0 && nearer < most;
                    wrong += (scores[j] > -INFINITY) != expected;
                    wrong += expected && fabs(scores[j] - exact) > 1e-6;
                    scored += expected;
                    left_out += exact > 0 && !expected && j != i;
                }
            }
            sessrec_scorer_destroy(&knn);
        }
        CHECK_EQ(wrong, 0);
        CHECK(scored > 1000 && left_out > 1000);
        sessrec_log_destroy(log);
    }
    TEST("before the first click, and after an item that was always alone, itemknn scores nothing") {
        static const char *const sessions[2] = {"abba", "c"};
        sessrec_log *log = letters_log(2, sessions, NULL);
        sessrec_scorer knn;
        CHECK_EQ(item_knn(log, 0, 10, 0, NULL, &knn), SESSREC_OK);
        static const int32_t clicks[3] = {0, 2, 1};
        float scores[3];
        for (int n = 0; n <= 3; ++n) {
            scores_after(&knn, clicks, n, scores);
            CHECK_EQ(scores[0] > -INFINITY, n == 3);
            CHECK_EQ(scores[1] > -INFINITY, n == 1);
            CHECK_EQ(scores[2] > -INFINITY, 0);
        }
        sessrec_scorer_destroy(&knn);
        sessrec_log_destroy(log);
    }
    TEST("the log of a large shop takes itemknn no table of items times items") {
        enum { ITEMS = 200000 };  // 4 * 10^10 pairs, 160 GB as floats
        sessrec_log *log;
        int failures = sessrec_log_create(NULL, &log, NULL) != SESSREC_OK;
        for (int32_t i = 0; i < ITEMS; ++i)
            failures += sessrec_log_add_numbers(log, -1, i / 4, i, i) != SESSREC_OK;
        failures += sessrec_log_finish(log, NULL) != SESSREC_OK;
        CHECK_EQ(failures, 0);
        sessrec_scorer knn;
        CHECK_EQ(item_knn(log, 1, 100, 20, NULL, &knn), SESSREC_OK);
        static float scores[ITEMS];
        static const int32_t last[1] = {ITEMS - 1};
        int scored = 0;
        scores_after(&knn, last, 1, scores);
        for (int32_t i = 0; i < ITEMS; ++i) scored += scores[i] > -INFINITY;
        CHECK_EQ(scored, 3);
        CHECK_NEAR(scores[ITEMS - 4], 1 / 21.0, 1e-7);
        sessrec_scorer_destroy(&knn);
        sessrec_log_destroy(log);
    }
}

static void model(void) {
    TEST("a score of the model has the same bits for any rows and any block") {
        enum { ITEMS = 150, ROWS = 37 };
        sessrec_log *log = random_log(30, ITEMS, 3);
        sessrec_config network = small_config(2, 21);
        sessrec_model *weights = random_model(&network, log, 4);
        sessrec_scorer scorer;
        CHECK_EQ(sessrec_scorer_model(weights, NULL, &scorer, NULL), SESSREC_OK);
        CHECK_EQ(scorer.item_count, ITEMS);
        CHECK_EQ(scorer.state_bytes % 16, 0);
        char *states = (char *)malloc(scorer.state_bytes * ROWS);
        void *scratch = malloc(scorer.scratch_bytes(scorer.self, ROWS));
        int32_t clicks[2][ROWS];
        uint32_t seed = 8;
        for (int32_t r = 0; r < ROWS; ++r) {
            scorer.begin(scorer.self, states + (size_t)r * scorer.state_bytes, NULL, NAN);
            for (int c = 0; c < 2; ++c) clicks[c][r] = random_below(&seed, ITEMS);
        }
        for (int c = 0; c < 2; ++c) scorer.click(scorer.self, ROWS, states, clicks[c], NULL, scratch);
        static float expected[ROWS][ITEMS], together[ROWS * ITEMS];
        for (int32_t r = 0; r < ROWS; ++r) {
            const int32_t own[2] = {clicks[0][r], clicks[1][r]};
            scores_after(&scorer, own, 2, expected[r]);
        }
        static const int32_t first[5] = {0, 3, 0, 149, 10}, count[5] = {ITEMS, 64, 65, 1, 129};
        static const int32_t rows[5] = {ROWS, 2, 16, 5, 33};
        for (int k = 0; k < 5; ++k) {
            scorer.score(scorer.self, rows[k], states, first[k], count[k], together, scratch);
            for (int32_t r = 0; r < rows[k]; ++r)
                CHECK(!memcmp(together + r * count[k], expected[r] + first[k],
                              (size_t)count[k] * sizeof(float)));
        }
        CHECK_EQ(scorer.find_item(scorer.self, sessrec_model_item_id(weights, 77)), 77);
        CHECK_EQ(scorer.find_item(scorer.self, "no such item"), -1);
        free(states);
        free(scratch);
        sessrec_scorer_destroy(&scorer);
        sessrec_model_destroy(weights);
        sessrec_log_destroy(log);
    }
}

static void errors(void) {
    TEST("a scorer of nothing is refused and left empty") {
        sessrec_scorer scorer;
        memset(&scorer, 1, sizeof scorer);
        CHECK_EQ(sessrec_scorer_model(NULL, NULL, &scorer, NULL), SESSREC_INVALID_ARGUMENT);
        CHECK(!scorer.self && !scorer.score);
        memset(&scorer, 1, sizeof scorer);
        CHECK_EQ(sessrec_scorer_pop(NULL, NULL, &scorer, NULL), SESSREC_INVALID_ARGUMENT);
        CHECK(!scorer.self && !scorer.score);
        memset(&scorer, 1, sizeof scorer);
        CHECK_EQ(experiment_s_pop(NULL, &scorer, NULL), SESSREC_INVALID_ARGUMENT);
        CHECK(!scorer.self && !scorer.score);
        memset(&scorer, 1, sizeof scorer);
        CHECK_EQ(experiment_ppop(NULL, &scorer, NULL), SESSREC_INVALID_ARGUMENT);
        CHECK(!scorer.self && !scorer.score);
        CHECK_EQ(sessrec_scorer_pop(NULL, NULL, NULL, NULL), SESSREC_INVALID_ARGUMENT);
        sessrec_scorer_destroy(&scorer);
        sessrec_scorer_destroy(NULL);
    }
    TEST("itemknn refuses other numbers and leaves the scorer empty") {
        static const struct {
            int form;
            int32_t neighbors;
            double lambda;
        } wrong[5] = {{0, 0, 0}, {0, 65537, 0}, {0, 5, -1}, {0, 5, 1e16}, {0, 5, NAN}};
        sessrec_log *log = random_log(5, 9, 2);
        for (int i = 0; i < 5; ++i) {
            sessrec_scorer scorer;
            CHECK_EQ(item_knn(log, wrong[i].form, wrong[i].neighbors,
                                            wrong[i].lambda, NULL, &scorer),
                     SESSREC_INVALID_ARGUMENT);
            CHECK(!scorer.self && !scorer.score);
        }
        sessrec_log_destroy(log);
    }
    TEST("a log without events has no popularity") {
        sessrec_log *log;
        sessrec_scorer scorer;
        CHECK_EQ(sessrec_log_create(NULL, &log, NULL), SESSREC_OK);
        CHECK_EQ(sessrec_scorer_pop(log, NULL, &scorer, NULL), SESSREC_NO_DATA);
        sessrec_log_destroy(log);
    }
    TEST("out of memory is an error at any request, and nothing leaks (R2)") {
        sessrec_log *log = random_log(20, 300, 2);
        for (int kind = 0; kind < 3; ++kind) {
            sessrec_result result = SESSREC_OUT_OF_MEMORY;
            int64_t n = 0;
            for (; result && n < 60; ++n) {
                counting_memory memory = {0, 0, n};
                sessrec_knn_config config = sessrec_knn_config_default();
                config.allocator = counting_allocator(&memory);
                sessrec_scorer scorer;
                result = kind == 0   ? sessrec_scorer_pop(log, &config.allocator, &scorer, NULL)
                         : kind == 1 ? item_knn(log, 0, 5, 20, &config.allocator, &scorer)
                                     : sessrec_knn_create(&config, log, &scorer, NULL);
                CHECK(result == SESSREC_OK || result == SESSREC_OUT_OF_MEMORY);
                sessrec_scorer_destroy(&scorer);
                CHECK_EQ(memory.blocks, 0);
            }
            CHECK_EQ(result, SESSREC_OK);
            CHECK(n > 4);
        }
        sessrec_log_destroy(log);
    }
}

int main(void) {
    popularity();
    personal_popularity();
    neighbors();
    model();
    errors();
    return test_report("baselines");
}
