// What an evaluation counts, and that nothing but the model and the log changes it.
#include "../examples/experiment.h"
#include "models.h"

// ---- ranks and metrics ------------------------------------------------------------------------------------

static void ranks(void) {
    TEST("conservative ties put the target last among equals, standard first, median in the middle") {
        CHECK_NEAR(sessrec_rank(3, 2, SESSREC_TIES_CONSERVATIVE), 6, 0);
        CHECK_NEAR(sessrec_rank(3, 2, SESSREC_TIES_STANDARD), 4, 0);
        CHECK_NEAR(sessrec_rank(3, 2, SESSREC_TIES_MEDIAN), 5, 0);
        CHECK_NEAR(sessrec_rank(0, 1, SESSREC_TIES_MEDIAN), 1.5, 0);
    }
    TEST("without ties all three give the same rank") {
        CHECK_NEAR(sessrec_rank(7, 0, SESSREC_TIES_CONSERVATIVE), 8, 0);
        CHECK_NEAR(sessrec_rank(7, 0, SESSREC_TIES_STANDARD), 8, 0);
        CHECK_NEAR(sessrec_rank(7, 0, SESSREC_TIES_MEDIAN), 8, 0);
    }
    TEST("the counts leave out the target itself and NaN") {
        const float scores[6] = {0.5f, 0.9f, 0.5f, NAN, 0.1f, 0.5f};
        static const int higher_expected[6] = {1, 0, 1, 5, 4, 1}, equal_expected[6] = {2, 0, 2, 0, 0, 2};
        for (int32_t target = 0; target < 6; ++target) {
            int64_t higher = -1, equal = -1;
            sessrec_rank_counts(scores, 6, target, &higher, &equal);
            CHECK_EQ(higher, higher_expected[target]);
            CHECK_EQ(equal, equal_expected[target]);
        }
    }
    TEST("a NaN target ranks last, also among NaN only") {
        const float scores[3] = {NAN, NAN, NAN};
        int64_t higher, equal;
        sessrec_rank_counts(scores, 3, 1, &higher, &equal);
        CHECK_NEAR(sessrec_rank(higher, equal, SESSREC_TIES_STANDARD), 3, 0);
    }
    TEST("a catalogue of one item ranks it first") {
        const float score = -INFINITY;
        int64_t higher, equal;
        sessrec_rank_counts(&score, 1, 0, &higher, &equal);
        CHECK_EQ(higher, 0);
        CHECK_EQ(equal, 0);
    }
}

static void metrics(void) {
    static const int32_t cutoff[3] = {1, 3, 20};
    TEST("a rank of 3 is a hit at 3 and beyond") {
        sessrec_metrics m;
        memset(&m, 0, sizeof m);
        sessrec_metrics_add(&m, 3, 3, cutoff);
        CHECK_EQ(m.event_count, 1);
        static const double recall[3] = {0, 1, 1}, mrr[3] = {0, 1.0 / 3, 1.0 / 3};
        static const double ndcg[3] = {0, 0.5, 0.5}, precision[3] = {0, 1.0 / 3, 0.05};
        for (int c = 0; c < 3; ++c) {
            CHECK_NEAR(m.recall[c], recall[c], 1e-15);
            CHECK_NEAR(m.mrr[c], mrr[c], 1e-15);
            CHECK_NEAR(m.ndcg[c], ndcg[c], 1e-15);
            CHECK_NEAR(m.precision[c], precision[c], 1e-15);
        }
    }
    TEST("events add up") {
        sessrec_metrics m;
        memset(&m, 0, sizeof m);
        sessrec_metrics_add(&m, 1, 3, cutoff);
        sessrec_metrics_add(&m, 2, 3, cutoff);
        sessrec_metrics_add(&m, 21, 3, cutoff);
        CHECK_EQ(m.event_count, 3);
        CHECK_NEAR(m.recall[0], 1, 0);
        CHECK_NEAR(m.recall[2], 2, 0);
        CHECK_NEAR(m.mrr[1], 1.5, 1e-15);
        CHECK_NEAR(m.ndcg[1], 1 + 1 / log2(3), 1e-15);
    }
    TEST("a median rank of 3.5 is no hit at 3 and counts as it is at 20") {
        sessrec_metrics m;
        memset(&m, 0, sizeof m);
        sessrec_metrics_add(&m, 3.5, 3, cutoff);
        CHECK_NEAR(m.recall[1], 0, 0);
        CHECK_NEAR(m.mrr[2], 1 / 3.5, 1e-15);
        CHECK_NEAR(m.ndcg[2], 1 / log2(4.5), 1e-15);
    }
}

// ---- a scorer whose scores stand in a table ---------------------------------------------------------------

enum { LETTERS = 4 };  // items a, b, c, d

typedef struct table {
    float score[LETTERS][LETTERS];  // [last click, item]
} table;
typedef struct table_state {
    int32_t last, pad[3];
} table_state;

static int32_t table_find(const void *self, const char *id) {
    (void)self;
    return id[0] >= 'a' && id[0] < 'a' + LETTERS ? id[0] - 'a' : -1;
}
static void table_begin(const void *self, void *state, const void *user, double time) {
    (void)self, (void)user, (void)time;
    ((table_state *)state)->last = -1;
}
static void table_click(const void *self, int32_t rows, void *states, const int32_t *items,
                        const double *times, void *scratch) {
    (void)self, (void)times, (void)scratch;
    for (int32_t i = 0; i < rows; ++i) ((table_state *)states)[i].last = items[i];
}
static void table_score(const void *self, int32_t rows, const void *states, int32_t first, int32_t count,
                        float *scores, void *scratch) {
    (void)scratch;
    for (int32_t i = 0; i < rows; ++i) {
        const float *row = ((const table *)self)->score[((const table_state *)states)[i].last];
        memcpy(scores + i * count, row + first, (size_t)count * sizeof(float));
    }
}
static sessrec_scorer table_scorer(table *self) {
    sessrec_scorer scorer;
    memset(&scorer, 0, sizeof scorer);
    scorer.self = self;
    scorer.item_count = LETTERS;
    scorer.state_bytes = sizeof(table_state);
    scorer.find_item = table_find;
    scorer.begin = table_begin;
    scorer.click = table_click;
    scorer.score = table_score;
    return scorer;
}

// After a: b, c, d, a in falling order; after b: c first, then a and d with the same score, b; after c: all
// alike; after d: all NaN.
static table example_table(void) {
    table t = {{{0, 3, 2, 1}, {2, 1, 3, 2}, {5, 5, 5, 5}, {NAN, NAN, NAN, NAN}}};
    return t;
}

static sessrec_report evaluate_table(table *t, const sessrec_log *log, const sessrec_eval_config *config) {
    sessrec_scorer scorer = table_scorer(t);
    sessrec_report report;
    CHECK_EQ(sessrec_evaluate_scorer(&scorer, log, config, &report, NULL), SESSREC_OK);
    return report;
}

static sessrec_report evaluate_letters(table *t, int sessions, const char *const *text,
                                       const char *const *users) {
    sessrec_log *log = letters_log(sessions, text, users);
    const sessrec_eval_config config = sessrec_eval_config_default();
    const sessrec_report report = evaluate_table(t, log, &config);
    sessrec_log_destroy(log);
    return report;
}

static void by_hand(void) {
    static const char *const sessions[3] = {"abd", "ac", "cb"};
    table t = example_table();
    TEST("every pair of every session is ranked against the whole catalogue") {
        // a > b: rank 1.  b > d: c is higher, a equal: 3, 2 or 2.5.  a > c: 2.  c > b: all alike: 4, 1 or 2.5
        static const double rank[3][4] = {{1, 3, 2, 4}, {1, 2, 2, 1}, {1, 2.5, 2, 2.5}};
        sessrec_log *log = letters_log(3, sessions, NULL);
        for (int ties = SESSREC_TIES_CONSERVATIVE; ties <= SESSREC_TIES_MEDIAN; ++ties) {
            event_list list;
            sessrec_eval_config config = eval_into(&list);
            config.ties = (sessrec_ties)ties;
            sessrec_report report = evaluate_table(&t, log, &config);
            CHECK_EQ(report.session_count, 3);
            CHECK_EQ(report.event_count, 4);
            CHECK_EQ(report.unknown_count, 0);
            CHECK_EQ(report.ties, ties);
            CHECK_EQ(list.count, 4);
            double mrr = 0;
            for (int i = 0; i < 4; ++i) {
                CHECK_NEAR(list.event[i].rank, rank[ties][i], 0);
                mrr += 1 / rank[ties][i] / 4;
            }
            CHECK_NEAR(report.all.mrr[3], mrr, 1e-15);
            CHECK_NEAR(report.all.recall[3], 1, 0);
            CHECK_NEAR(report.all.recall[0], ties == SESSREC_TIES_STANDARD ? 0.5 : 0.25, 0);
        }
        sessrec_log_destroy(log);
    }
    TEST("an event says where it stands, in the order of the log") {
        sessrec_log *log = letters_log(3, sessions, NULL);
        event_list list;
        sessrec_eval_config config = eval_into(&list);
        evaluate_table(&t, log, &config);
        // session, position, length, input, target
        static const int expected[4][5] = {
            {0, 0, 3, 0, 1}, {0, 1, 3, 1, 3}, {1, 0, 2, 0, 2}, {2, 0, 2, 2, 1}};
        CHECK_EQ(list.count, 4);
        for (int i = 0; i < 4; ++i) {
            CHECK_EQ(list.event[i].session, expected[i][0]);
            CHECK_EQ(list.event[i].position, expected[i][1]);
            CHECK_EQ(list.event[i].length, expected[i][2]);
            CHECK_EQ(list.event[i].input, expected[i][3]);
            CHECK_EQ(list.event[i].target, expected[i][4]);
            CHECK_EQ(list.event[i].history, 0);
        }
        sessrec_log_destroy(log);
    }
    TEST("constant scores have recall 0 with conservative ties and 1 with standard ones (O8)") {
        table constant;
        for (int i = 0; i < LETTERS; ++i)
            for (int j = 0; j < LETTERS; ++j) constant.score[i][j] = 0.25f;
        sessrec_log *log = letters_log(3, sessions, NULL);
        sessrec_eval_config config = sessrec_eval_config_default();
        config.cutoff_count = 1;
        config.cutoffs[0] = LETTERS - 1;
        CHECK_NEAR(evaluate_table(&constant, log, &config).all.recall[0], 0, 0);
        config.ties = SESSREC_TIES_STANDARD;
        CHECK_NEAR(evaluate_table(&constant, log, &config).all.recall[0], 1, 0);
        sessrec_log_destroy(log);
    }
    TEST("a target that scores NaN ranks last whatever the ties") {
        static const char *const nan_session[1] = {"dab"};  // d > a is NaN, a > b has rank 1
        sessrec_log *log = letters_log(1, nan_session, NULL);
        for (int ties = SESSREC_TIES_CONSERVATIVE; ties <= SESSREC_TIES_MEDIAN; ++ties) {
            sessrec_eval_config config = sessrec_eval_config_default();
            config.ties = (sessrec_ties)ties;
            CHECK_NEAR(evaluate_table(&t, log, &config).all.mrr[3], (1.0 / LETTERS + 1) / 2, 1e-15);
        }
        sessrec_log_destroy(log);
    }
    TEST("unknown items are counted, and their neighbors become adjacent (F5)") {
        static const char *const unknown[4] = {"axb", "xy", "xxc", "bc"};
        sessrec_log *log = letters_log(4, unknown, NULL);
        event_list list;
        sessrec_eval_config config = eval_into(&list);
        sessrec_report report = evaluate_table(&t, log, &config);
        CHECK_EQ(report.unknown_count, 5);
        CHECK_EQ(report.event_count, 2);
        CHECK_EQ(report.session_count, 2);
        CHECK_EQ(list.event[0].length, 2);
        CHECK_EQ(list.event[0].input, 0);
        CHECK_EQ(list.event[0].target, 1);
        CHECK_EQ(list.event[1].session, 3);
        CHECK_NEAR(report.all.recall[0], 1, 0);
        sessrec_log_destroy(log);
    }
    TEST("U9 an evaluation of nothing is an error that says why, never a figure") {
        static const char *const single[2] = {"a", "b"}, *const unknown[2] = {"axy", "x"};
        sessrec_log *pairless = letters_log(2, single, NULL), *strange = letters_log(2, unknown, NULL);
        sessrec_eval_config config = sessrec_eval_config_default();
        sessrec_scorer scorer = table_scorer(&t);
        sessrec_report report;
        sessrec_error err;
        CHECK_EQ(sessrec_evaluate_scorer(&scorer, pairless, &config, &report, &err), SESSREC_NO_DATA);
        CHECK_TEXT(err.text, "there is nothing to evaluate: none of the 2 sessions has two events");
        CHECK_EQ(sessrec_evaluate_scorer(&scorer, strange, &config, &report, &err), SESSREC_NO_DATA);
        CHECK_TEXT(err.text, "there is nothing to evaluate: of 4 events 3 are of unknown items such as 'x', "
                             "and no session has two others");
        CHECK_EQ(report.unknown_count, 3);
        CHECK_EQ(report.event_count, 0);
        sessrec_config small = small_config(1, 4);
        static const char *const other[2] = {"pqr", "prq"};
        sessrec_log *trained_on = letters_log(2, other, NULL);
        sessrec_model *model = random_model(&small, trained_on, 1);
        CHECK_EQ(sessrec_evaluate(model, strange, &config, &report, &err), SESSREC_NO_DATA);
        CHECK(strstr(err.text, "of 4 events 4 are of unknown items such as 'a' (the model has items such as "
                               "'p')") != NULL);
        sessrec_model_destroy(model);
        CHECK_EQ(sessrec_train(&small, trained_on, strange, &model, &err), SESSREC_NO_DATA);
        CHECK(strstr(err.text, "'a'") != NULL && strstr(err.text, "'p'") != NULL);
        CHECK(model == NULL);
        sessrec_log_destroy(trained_on);
        sessrec_log_destroy(pairless);
        sessrec_log_destroy(strange);
    }
    TEST("the last batch may have one row (P3)") {
        static const char *const three[3] = {"ab", "ab", "ab"};
        sessrec_log *log = letters_log(3, three, NULL);
        sessrec_eval_config config = sessrec_eval_config_default();
        config.batch_size = 2;
        config.threads = 1;
        sessrec_report report = evaluate_table(&t, log, &config);
        CHECK_EQ(report.event_count, 3);
        CHECK_NEAR(report.all.recall[0], 1, 0);
        sessrec_log_destroy(log);
    }
    TEST("a scorer without find_item has the numbers of the log, those beyond its catalogue are unknown") {
        static const char *const ordered[1] = {"abcdex"};
        sessrec_log *log = letters_log(1, ordered, NULL);
        sessrec_scorer scorer = table_scorer(&t);
        sessrec_eval_config config = sessrec_eval_config_default();
        sessrec_report report;
        scorer.find_item = NULL;
        CHECK_EQ(sessrec_evaluate_scorer(&scorer, log, &config, &report, NULL), SESSREC_OK);
        CHECK_EQ(report.unknown_count, 2);
        CHECK_EQ(report.event_count, 3);
        sessrec_log_destroy(log);
    }
}

// ---- users ------------------------------------------------------------------------------------------------

// Knows of a user how many sessions he had, and scores so many items higher than the rest: with standard ties
// the last item has rank 1 + that.
typedef struct visits {
    int32_t sessions, clicks, pad[2];
} visits;

typedef struct clicks_seen {
    int32_t *last;  // clicks of the user whose session ended last
} clicks_seen;

static void visits_begin_user(const void *self, void *user) {
    (void)self;
    memset(user, 0, sizeof(visits));
}
static void visits_begin(const void *self, void *state, const void *user, double time) {
    (void)self, (void)time;
    ((visits *)state)->sessions = user ? ((const visits *)user)->sessions : 0;
    ((visits *)state)->clicks = 0;
}
static void visits_click(const void *self, int32_t rows, void *states, const int32_t *items,
                         const double *times, void *scratch) {
    (void)self, (void)items, (void)times, (void)scratch;
    for (int32_t i = 0; i < rows; ++i) ((visits *)states)[i].clicks++;
}
static void visits_end(const void *self, const void *state, void *user, void *scratch) {
    (void)scratch;
    ((visits *)user)->sessions++;
    ((visits *)user)->clicks += ((const visits *)state)->clicks;
    *((const clicks_seen *)self)->last = ((visits *)user)->clicks;
}
static void visits_score(const void *self, int32_t rows, const void *states, int32_t first, int32_t count,
                         float *scores, void *scratch) {
    (void)self, (void)scratch;
    for (int32_t i = 0; i < rows; ++i)
        for (int32_t j = 0; j < count; ++j)
            scores[i * count + j] = first + j < ((const visits *)states)[i].sessions ? 1.0f : 0.0f;
}
static sessrec_scorer counting_scorer(void *self) {
    table unused;
    sessrec_scorer scorer = table_scorer(&unused);
    scorer.self = self;
    scorer.state_bytes = scorer.user_bytes = sizeof(visits);
    scorer.begin = visits_begin;
    scorer.click = visits_click;
    scorer.score = visits_score;
    scorer.begin_user = visits_begin_user;
    scorer.end = visits_end;
    return scorer;
}

static void users(void) {
    static const char *const before[4] = {"ad", "abd", "d", "axd"}, *const before_user[4] = {"bob", "bob",
                                                                                             "bob", "zoe"};
    static const char *const sessions[7] = {"ad", "bd", "cd", "a", "xdx", "ad", "add"};
    static const char *const user[7] = {"zoe", "bob", "new", "zoe", "zoe", "zoe", "new"};
    TEST("a scorer that knows users gets their sessions of two or more known clicks in order, those before "
         "the log first") {
        // zoe has one before and one in the log that count; bob two before; new none, then one
        static const double rank[6] = {2, 3, 1, 3, 2, 2};
        sessrec_log *past = letters_log(4, before, before_user), *log = letters_log(7, sessions, user);
        for (int32_t batch = 1; batch <= 4; ++batch) {
            int32_t clicks = 0;
            clicks_seen seen = {&clicks};
            sessrec_scorer scorer = counting_scorer(&seen);
            event_list list;
            sessrec_eval_config config = eval_into(&list);
            sessrec_report report;
            config.ties = SESSREC_TIES_STANDARD;
            config.history = past;
            config.batch_size = batch;
            config.threads = 1;
            CHECK_EQ(sessrec_evaluate_scorer(&scorer, log, &config, &report, NULL), SESSREC_OK);
            CHECK_EQ(list.count, 6);
            for (int i = 0; i < 6; ++i) CHECK_NEAR(list.event[i].rank, rank[i], 0);
            // the last user is new: every click counts, the one that no target follows too
            if (batch == 1) CHECK_EQ(clicks, 5);
        }
        sessrec_log_destroy(past);
        sessrec_log_destroy(log);
    }
    TEST("without users in the log every session is that of a stranger") {
        sessrec_log *past = letters_log(4, before, before_user), *log = letters_log(7, sessions, NULL);
        sessrec_scorer scorer = counting_scorer(NULL);
        sessrec_eval_config config = sessrec_eval_config_default();
        sessrec_report report;
        config.ties = SESSREC_TIES_STANDARD;
        config.history = past;
        CHECK_EQ(sessrec_evaluate_scorer(&scorer, log, &config, &report, NULL), SESSREC_OK);
        CHECK_EQ(report.event_count, 6);
        CHECK_NEAR(report.all.recall[0], 1, 0);
        sessrec_log_destroy(past);
        sessrec_log_destroy(log);
    }
}

// ---- groups and coverage ----------------------------------------------------------------------------------

static void groups(void) {
    table t = example_table();
    TEST("events are grouped by session length 2, 3, 4, 5, 6-7, 8-10, 11-20 and more") {
        static const char *const sessions[13] = {"a",
                                                 "ab",
                                                 "abc",
                                                 "abcd",
                                                 "abcda",
                                                 "abcdab",
                                                 "abcdabc",
                                                 "abcdabcd",
                                                 "abcdabcdab",
                                                 "abcdabcdabc",
                                                 "abcdabcdabcdabcdabcd",
                                                 "abcdabcdabcdabcdabcda",
                                                 "abcdabcdabcdabcdabcdab"};
        static const int events[SESSREC_GROUPS] = {1, 2, 3, 4, 5 + 6, 7 + 9, 10 + 19, 20 + 21};
        const sessrec_report report = evaluate_letters(&t, 13, sessions, NULL);
        for (int g = 0; g < SESSREC_GROUPS; ++g) CHECK_EQ(report.by_length[g].event_count, events[g]);
        CHECK_EQ(report.event_count, 107);
    }
    TEST("events are grouped by position 0 to 6, and 7 or later; each group has its own averages") {
        // a > b has rank 1, b > a rank 3, a > c rank 2
        static const char *const sessions[2] = {"abababababab", "ac"};
        const sessrec_report report = evaluate_letters(&t, 2, sessions, NULL);
        CHECK_EQ(report.by_position[0].event_count, 2);
        for (int g = 1; g < 7; ++g) CHECK_EQ(report.by_position[g].event_count, 1);
        CHECK_EQ(report.by_position[7].event_count, 4);
        CHECK_NEAR(report.by_position[0].mrr[3], 0.75, 1e-15);
        CHECK_NEAR(report.by_position[1].mrr[3], 1.0 / 3, 1e-15);
        CHECK_NEAR(report.by_position[7].mrr[3], (1.0 / 3 + 1 + 1.0 / 3 + 1) / 4, 1e-15);
    }
    TEST("history counts the user's sessions in the other log and earlier in this one") {
        static const char *const before[4] = {"ab", "b", "cd", "ab"}, *const before_user[4] = {"ann", "bob",
                                                                                               "bob", "eve"};
        static const char *const sessions[5] = {"ab", "ab", "a", "ab", "ab"}, *const user[5] = {"zoe", "bob",
                                                                                                "zoe", "bob",
                                                                                                "zoe"};
        // zoe: none; bob: 2 before; bob; zoe, whose session without a pair counts
        static const int history[4] = {0, 2, 3, 2};
        sessrec_log *past = letters_log(4, before, before_user), *log = letters_log(5, sessions, user);
        event_list list;
        sessrec_eval_config config = eval_into(&list);
        config.history = past;
        sessrec_report report = evaluate_table(&t, log, &config);
        CHECK_EQ(list.count, 4);
        for (int i = 0; i < 4; ++i) CHECK_EQ(list.event[i].history, history[i]);
        CHECK_EQ(report.by_history[0].event_count, 1);
        CHECK_EQ(report.by_history[2].event_count, 2);
        CHECK_EQ(report.by_history[3].event_count, 1);
        sessrec_log_destroy(past);
        sessrec_log_destroy(log);
    }
    TEST("histories are grouped 0, 1, 2, 3, 4, 5-6, 7-10 and more") {
        const char *sessions[13], *user[13];
        static const int events[SESSREC_GROUPS] = {1, 1, 1, 1, 1, 2, 4, 2};
        for (int s = 0; s < 13; ++s) {
            sessions[s] = "ab";
            user[s] = "ann";
        }
        const sessrec_report report = evaluate_letters(&t, 13, sessions, user);
        for (int g = 0; g < SESSREC_GROUPS; ++g) CHECK_EQ(report.by_history[g].event_count, events[g]);
    }
}

static void merged_groups(void) {
    table t = example_table();
    TEST("merged groups have the averages over their events, the first two recommendations for one (Quadrana "
         "2017)") {
        // a > b has rank 1, b > a rank 3, a > c rank 2
        static const char *const sessions[2] = {"abababababab", "ac"};
        sessrec_log *log = letters_log(2, sessions, NULL);
        sessrec_eval_config config = sessrec_eval_config_default();
        config.cutoff_count = 2;
        config.cutoffs[0] = 1, config.cutoffs[1] = 2;
        sessrec_report report = evaluate_table(&t, log, &config);
        const sessrec_metrics begin = sessrec_metrics_merge(report.by_position, 2),
                              middle = sessrec_metrics_merge(report.by_position + 2, 2),
                              later = sessrec_metrics_merge(report.by_position + 4, 4);
        CHECK_EQ(begin.event_count, 3);  // ranks 1 and 3 of the first session, 2 of the second
        CHECK_NEAR(begin.recall[0], 1.0 / 3, 1e-15);
        CHECK_NEAR(begin.recall[1], 2.0 / 3, 1e-15);
        CHECK_NEAR(begin.mrr[1], (1 + 0.5) / 3, 1e-15);
        CHECK_NEAR(begin.ndcg[1], (1 + 1 / log2(3)) / 3, 1e-15);
        CHECK_NEAR(begin.precision[1], (0.5 + 0.5) / 3, 1e-15);
        CHECK_EQ(middle.event_count, 2);
        CHECK_NEAR(middle.mrr[1], 0.5, 1e-15);
        CHECK_EQ(later.event_count, 7);
        CHECK_NEAR(later.recall[1], 4.0 / 7, 1e-15);
        sessrec_log_destroy(log);
    }
    TEST("histories of up to six sessions are the first six groups, longer ones the rest") {
        const char *sessions[9], *user[9];
        for (int s = 0; s < 9; ++s) {
            sessions[s] = s < 7 ? "ab" : "ac";  // the eighth session has seven before it
            user[s] = "ann";
        }
        const sessrec_report report = evaluate_letters(&t, 9, sessions, user);
        const sessrec_metrics few = sessrec_metrics_merge(report.by_history, 6),
                              many = sessrec_metrics_merge(report.by_history + 6, 2);
        CHECK_EQ(few.event_count, 7);
        CHECK_NEAR(few.mrr[3], 1, 0);
        CHECK_EQ(many.event_count, 2);
        CHECK_NEAR(many.mrr[3], 0.5, 0);
    }
    TEST("groups without events merge to zeros") {
        sessrec_metrics none[3];
        memset(none, 0, sizeof none);
        const sessrec_metrics merged = sessrec_metrics_merge(none, 3),
                              nothing = sessrec_metrics_merge(none, 0);
        CHECK(!memcmp(&merged, none, sizeof merged) && !memcmp(&nothing, none, sizeof nothing));
    }
}

// ---- the signed-rank test ---------------------------------------------------------------------------------

static experiment_signed_ranks wilcoxon(const double *a, const double *b, int64_t n) {
    experiment_signed_ranks out;
    CHECK_EQ(experiment_wilcoxon(a, b, n, &out), SESSREC_OK);
    return out;
}

// The expected numbers are those of scipy 1.17.1: wilcoxon(a, b, zero_method='wilcox', correction=True,
// method='asymptotic').
static void signed_ranks(void) {
    static const double a[10] = {125, 115, 130, 140, 140, 115, 140, 125, 140, 135},
                        b[10] = {110, 122, 125, 120, 140, 124, 123, 137, 135, 145};
    TEST("a difference of 0 is dropped, two of equal magnitude share their ranks") {
        const experiment_signed_ranks out = wilcoxon(a, b, 10), turned = wilcoxon(b, a, 10);
        CHECK_EQ(out.used, 9);
        CHECK_NEAR(out.w, 18, 0);
        CHECK_NEAR(out.z, 0.4742953333830018, 1e-14);
        CHECK_NEAR(out.p, 0.6352893188352069, 1e-14);
        CHECK_EQ(turned.used, 9);
        CHECK_NEAR(turned.w, 18, 0);
        CHECK_NEAR(turned.z, -out.z, 0);
        CHECK_NEAR(turned.p, out.p, 0);
    }
    TEST("ties narrow the spread") {
        static const double x[9] = {1, 2, 3, 4, 5, 6, 7, 8, 9},
                            y[9] = {0.5, 2.25, 2.875, 3, 5, 4, 7.125, 5, 1};
        const experiment_signed_ranks out = wilcoxon(x, y, 9);
        CHECK_EQ(out.used, 8);
        CHECK_NEAR(out.w, 4.5, 0);
        CHECK_NEAR(out.z, 1.8225990568052322, 1e-14);
        CHECK_NEAR(out.p, 0.06836413860052828, 1e-14);
    }
    TEST("reciprocal ranks of two thousand events, many of them tied") {
        static double x[2000], y[2000];
        uint32_t seed = 12345;
        for (int i = 0; i < 2000; ++i) {
            x[i] = 1.0 / (1 + random_below(&seed, 20));
            y[i] = 1.0 / (1 + (double)(random_bits(&seed) % 21));
        }
        const experiment_signed_ranks out = wilcoxon(x, y, 2000);
        CHECK_EQ(out.used, 1910);
        CHECK_NEAR(out.w, 828237.5, 0);
        CHECK_NEAR(out.z, 3.4955589474572655, 1e-12);
        CHECK_NEAR(out.p, 0.00047306994660123116, 1e-12);
    }
    TEST("nothing to compare, or one difference, proves nothing") {
        static const double x[1] = {1}, y[1] = {3};
        const experiment_signed_ranks none = wilcoxon(NULL, NULL, 0), same = wilcoxon(a, a, 10),
                                   one = wilcoxon(x, y, 1);
        CHECK(none.used == 0 && same.used == 0 && one.used == 1);
        CHECK_NEAR(none.p, 1, 0);
        CHECK_NEAR(same.p, 1, 0);
        CHECK_NEAR(same.z, 0, 0);
        CHECK_NEAR(one.p, 1, 0);
        CHECK_NEAR(one.w, 0, 0);
    }
    TEST("under chance alone p is below 0.05 in about one comparison of twenty") {
        enum { TRIALS = 2000, EVENTS = 60 };
        uint32_t seed = 4;
        int below = 0;
        for (int trial = 0; trial < TRIALS; ++trial) {
            double x[EVENTS], y[EVENTS];
            for (int i = 0; i < EVENTS; ++i)
                x[i] = 1.0 / (1 + random_below(&seed, 30)), y[i] = 1.0 / (1 + random_below(&seed, 30));
            below += wilcoxon(x, y, EVENTS).p < 0.05;
        }
        CHECK_NEAR((double)below / TRIALS, 0.05, 0.015);  // the spread of such a share is 0.005
    }
    TEST("NaN and NULL are errors") {
        static const double bad[2] = {1, NAN};
        experiment_signed_ranks out;
        CHECK_EQ(experiment_wilcoxon(a, bad, 2, &out), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(experiment_wilcoxon(a, NULL, 2, &out), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(experiment_wilcoxon(a, b, -1, &out), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(experiment_wilcoxon(a, b, 2, NULL), SESSREC_INVALID_ARGUMENT);
    }
}

static void coverage(void) {
    table t = example_table();
    // after a: b c d a, after b: c a d b, after c: a b c d by their numbers
    static const char *const sessions[2] = {"ab", "bca"};
    TEST("coverage is the part of the catalogue in some list of k") {
        sessrec_log *log = letters_log(2, sessions, NULL);
        sessrec_eval_config config = sessrec_eval_config_default();
        config.coverage = 1;
        config.cutoff_count = 4;
        config.cutoffs[0] = 1, config.cutoffs[1] = 2, config.cutoffs[2] = 3, config.cutoffs[3] = 100;
        sessrec_report report = evaluate_table(&t, log, &config);
        CHECK_NEAR(report.coverage[0], 0.75, 0);  // b, c, a
        CHECK_NEAR(report.coverage[1], 0.75, 0);
        CHECK_NEAR(report.coverage[2], 1, 0);
        CHECK_NEAR(report.coverage[3], 1, 0);
        config.coverage = 0;
        CHECK_NEAR(evaluate_table(&t, log, &config).coverage[3], 0, 0);
        sessrec_log_destroy(log);
    }
    TEST("an item that is not scored is in no list") {
        static const char *const after_d[1] = {"db"};
        sessrec_log *log = letters_log(1, after_d, NULL);
        sessrec_eval_config config = sessrec_eval_config_default();
        config.coverage = 1;
        t.score[3][0] = -INFINITY;
        t.score[3][1] = 1;
        CHECK_NEAR(evaluate_table(&t, log, &config).coverage[3], 0.25, 0);
        sessrec_log_destroy(log);
    }
    TEST("coverage of a model equals that of the lists that its sessions recommend") {
        sessrec_log *log = random_log(60, 90, 5);
        sessrec_config network = small_config(1, 9);
        sessrec_model *model = random_model(&network, log, 3);
        sessrec_eval_config config = sessrec_eval_config_default();
        config.coverage = 1;
        config.batch_size = 7;
        config.threads = 3;
        sessrec_report report;
        CHECK_EQ(sessrec_evaluate(model, log, &config, &report, NULL), SESSREC_OK);
        char occurs[4][90] = {{0}};
        void *memory = malloc(sessrec_session_size(model, 0));
        sessrec_session *session;
        CHECK_EQ(sessrec_session_init(model, 0, memory, sessrec_session_size(model, 0), &session, NULL),
                 SESSREC_OK);
        sessrec_log_view view = sessrec_log_contents(log);
        for (int32_t s = 0; s < view.session_count; ++s) {
            for (int64_t i = view.session_begins[s]; i + 1 < view.session_begins[s + 1]; ++i) {
                sessrec_recommendation list[20];
                sessrec_query query = sessrec_query_default();
                int32_t count;
                sessrec_session_click(session, view.items[i]);
                sessrec_session_recommend(session, &query, list, &count, NULL);
                for (int c = 0; c < 4; ++c)
                    for (int32_t place = 0; place < config.cutoffs[c]; ++place)
                        occurs[c][list[place].item] = 1;
            }
            sessrec_session_end(session);
        }
        for (int c = 0; c < 4; ++c) {
            int items = 0;
            for (int i = 0; i < 90; ++i) items += occurs[c][i];
            CHECK_NEAR(report.coverage[c], items / 90.0, 1e-15);
        }
        free(memory);
        sessrec_model_destroy(model);
        sessrec_log_destroy(log);
    }
}

// ---- what must not change a result ------------------------------------------------------------------------

static void jobs_backwards(void *user, int32_t count, void (*task)(void *context, int32_t index),
                           void *context) {
    *(int *)user += 1;
    for (int32_t i = count - 1; i >= 0; --i) task(context, i);
}

static sessrec_report evaluate_model(const sessrec_model *model, const sessrec_log *log,
                                     const sessrec_eval_config *config) {
    sessrec_report report;
    CHECK_EQ(sessrec_evaluate(model, log, config, &report, NULL), SESSREC_OK);
    report.seconds = 0;
    return report;
}

static void invariance(void) {
    TEST("sessions side by side and threads change no bit of the report (P19)") {
        sessrec_log *train = random_log(50, 600, 1), *log = random_log(90, 640, 2);
        for (int kind = 0; kind < 6; ++kind) {
            sessrec_config network = small_config(1 + kind % 2, 17);
            network.embedding = (sessrec_embedding)(kind % 3);
            network.embedding_width = 5;
            network.gru = (sessrec_gru_form)(kind / 3);
            sessrec_model *model = random_model(&network, train, 7);
            sessrec_eval_config config = sessrec_eval_config_default();
            config.coverage = 1;
            config.batch_size = 1;
            config.threads = 1;
            const sessrec_report expected = evaluate_model(model, log, &config);
            CHECK(expected.event_count > 100 && expected.unknown_count > 0);
            static const int32_t batch[5] = {2, 7, 33, 64, 65536}, threads[5] = {1, 2, 3, 8, 16};
            for (int i = 0; i < 5; ++i) {
                config.batch_size = batch[i];
                config.threads = threads[i];
                const sessrec_report report = evaluate_model(model, log, &config);
                CHECK(!memcmp(&report, &expected, sizeof report));
            }
            int regions = 0;
            config.jobs.run = jobs_backwards;
            config.jobs.user = &regions;
            const sessrec_report report = evaluate_model(model, log, &config);
            CHECK(!memcmp(&report, &expected, sizeof report));
#ifndef SESSREC_NO_THREADS
            CHECK_EQ(regions, 1);
#endif
            sessrec_model_destroy(model);
        }
        sessrec_log_destroy(train);
        sessrec_log_destroy(log);
    }
    TEST("the rank of every event is the rank in a running session, to the bit") {
        enum { ITEMS = 700 };
        sessrec_log *log = random_log(40, ITEMS, 11);
        sessrec_config network = small_config(2, 12);
        sessrec_model *model = random_model(&network, log, 13);
        event_list list;
        sessrec_eval_config config = eval_into(&list);
        evaluate_model(model, log, &config);
        CHECK_EQ(list.count, 64);
        void *memory = malloc(sessrec_session_size(model, 3));
        sessrec_session *session;
        CHECK_EQ(sessrec_session_init(model, 3, memory, sessrec_session_size(model, 3), &session, NULL),
                 SESSREC_OK);
        int32_t all[ITEMS];
        float scores[ITEMS];
        for (int32_t i = 0; i < ITEMS; ++i) all[i] = i;
        int tied = 0;
        for (int i = 0; i < list.count; ++i) {
            int64_t higher, equal;
            // F2: a session starts from nothing
            if (list.event[i].position == 0) sessrec_session_end(session);
            CHECK_EQ(sessrec_session_click(session, list.event[i].input), SESSREC_OK);
            CHECK_EQ(sessrec_session_score(session, all, ITEMS, scores), SESSREC_OK);
            sessrec_rank_counts(scores, ITEMS, list.event[i].target, &higher, &equal);
            CHECK_NEAR(list.event[i].rank, sessrec_rank(higher, equal, SESSREC_TIES_CONSERVATIVE), 0);
            tied += equal > 0;
        }
        CHECK(tied > 0);
        free(memory);
        sessrec_model_destroy(model);
        sessrec_log_destroy(log);
    }
}

// ---- errors -----------------------------------------------------------------------------------------------

static void errors(void) {
    static const char *const sessions[1] = {"ab"};
    table t = example_table();
    TEST("what cannot be evaluated is refused with a sentence") {
        sessrec_log *log = letters_log(1, sessions, NULL);
        sessrec_error err;
        sessrec_report report;
        for (int wrong = 0; wrong < 21; ++wrong) {
            sessrec_eval_config config = sessrec_eval_config_default();
            sessrec_scorer scorer = table_scorer(&t);
            if (wrong == 0) memset(&config, 0, sizeof config);
            if (wrong == 1) config.ties = (sessrec_ties)3;
            if (wrong == 2) config.cutoff_count = 0;
            if (wrong == 3) config.cutoff_count = SESSREC_MAX_CUTOFFS + 1;
            if (wrong == 4) config.cutoffs[3] = 0;
            if (wrong == 5) config.batch_size = 0;
            if (wrong == 6) config.batch_size = 65537;
            if (wrong == 7) config.threads = -1;
            if (wrong == 8) scorer.begin = NULL;
            if (wrong == 9) scorer.click = NULL;
            if (wrong == 10) scorer.score = NULL;
            if (wrong == 11) scorer.item_count = 0;
            if (wrong == 12) scorer.state_bytes = 8;
            if (wrong == 13) config.coverage = 1, config.cutoffs[0] = 65537;
            if (wrong == 14) config.ties = (sessrec_ties)-1;
            if (wrong == 15) config.device = (sessrec_device)-1;
            if (wrong == 16) config.device = (sessrec_device)(SESSREC_DEVICE_CUDA_OR_CPU + 1);
            if (wrong == 17) config.threads = 1025;
            if (wrong >= 18) scorer = counting_scorer(&t);
            if (wrong == 18) scorer.user_bytes = 8;
            if (wrong == 19) scorer.begin_user = NULL;
            if (wrong == 20) scorer.end = NULL;
            err.text[0] = 0;
            report.event_count = 77;
            CHECK_EQ(sessrec_evaluate_scorer(&scorer, log, &config, &report, &err), SESSREC_INVALID_ARGUMENT);
            CHECK(strlen(err.text) > 10);
            CHECK_EQ(report.event_count, 0);
        }
        sessrec_log_destroy(log);
    }
    TEST("NULL is refused") {
        sessrec_log *log = letters_log(1, sessions, NULL);
        sessrec_scorer scorer = table_scorer(&t);
        sessrec_eval_config config = sessrec_eval_config_default();
        sessrec_report report;
        CHECK_EQ(sessrec_evaluate_scorer(NULL, log, &config, &report, NULL), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_evaluate_scorer(&scorer, NULL, &config, &report, NULL), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_evaluate_scorer(&scorer, log, NULL, &report, NULL), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_evaluate_scorer(&scorer, log, &config, NULL, NULL), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_evaluate(NULL, log, &config, &report, NULL), SESSREC_INVALID_ARGUMENT);
        sessrec_log_destroy(log);
    }
    TEST("out of memory is an error at any request, and nothing leaks (R2)") {
        static const char *const two[2] = {"ab", "abc"}, *const user[2] = {"ann", "bob"};
        sessrec_log *log = letters_log(2, two, user);
        sessrec_scorer scorer = table_scorer(&t);
        sessrec_result result = SESSREC_OUT_OF_MEMORY;
        int64_t n = 0;
        for (; result && n < 20; ++n) {
            counting_memory memory = {0, 0, n};
            sessrec_eval_config config = sessrec_eval_config_default();
            config.allocator = counting_allocator(&memory);
            config.history = log;
            config.coverage = 1;
            sessrec_report report;
            sessrec_error err;
            result = sessrec_evaluate_scorer(&scorer, log, &config, &report, &err);
            CHECK(result == SESSREC_OUT_OF_MEMORY || n > 1);
            CHECK_EQ(memory.blocks, 0);
        }
        CHECK_EQ(result, SESSREC_OK);
        sessrec_log_destroy(log);
    }
}

static void arguments(void) {
    TEST("a rank and a metric need all their arguments, in their ranges") {
        const float scores[2] = {1, 2};
        const int32_t cutoff[1] = {5};
        int64_t higher, equal;
        sessrec_metrics m;
        CHECK_EQ(sessrec_rank_counts(NULL, 2, 0, &higher, &equal), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_rank_counts(scores, 2, 0, NULL, &equal), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_rank_counts(scores, 2, 0, &higher, NULL), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_rank_counts(scores, 2, -1, &higher, &equal), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_rank_counts(scores, 2, 2, &higher, &equal), SESSREC_INVALID_ARGUMENT);
        memset(&m, 0, sizeof m);
        CHECK_EQ(sessrec_metrics_add(NULL, 1, 1, cutoff), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_metrics_add(&m, 1, 1, NULL), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_metrics_add(&m, .5, 1, cutoff), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_metrics_add(&m, NAN, 1, cutoff), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_metrics_add(&m, 1, -1, cutoff), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_metrics_add(&m, 1, SESSREC_MAX_CUTOFFS + 1, cutoff), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(m.event_count, 0);
    }
}

#ifndef SESSREC_CUDA
static void without_gpu(void) {
    TEST("a build without GPU code evaluates on the processor, and says so where that was not allowed") {
        static const char *const two[2] = {"abca", "bcab"};
        sessrec_log *log = letters_log(2, two, NULL);
        const sessrec_config small = small_config(1, 4);
        sessrec_model *model = random_model(&small, log, 1);
        sessrec_report there, here;
        for (int coverage = 0; coverage < 2; ++coverage) {
            sessrec_eval_config config = sessrec_eval_config_default();
            sessrec_error err;
            config.coverage = coverage;
            CHECK_EQ(sessrec_evaluate(model, log, &config, &here, &err), SESSREC_OK);
            config.device = SESSREC_DEVICE_CUDA_OR_CPU;
            CHECK_EQ(sessrec_evaluate(model, log, &config, &there, &err), SESSREC_OK);
            CHECK(!memcmp(&there.all, &here.all, sizeof here.all));
            config.device = SESSREC_DEVICE_CUDA;
            CHECK_EQ(sessrec_evaluate(model, log, &config, &there, &err), SESSREC_UNSUPPORTED);
            CHECK(strstr(err.text, coverage ? "coverage" : "GPU") != NULL);
        }
        sessrec_model_destroy(model);
        sessrec_log_destroy(log);
    }
}
#endif

int main(void) {
    ranks();
    metrics();
    by_hand();
    users();
    groups();
    merged_groups();
    signed_ranks();
    coverage();
    invariance();
    errors();
    arguments();
#ifndef SESSREC_CUDA
    without_gpu();
#endif
    return test_report("evaluation");
}
