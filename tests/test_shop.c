// The made-up shop of the examples: what it makes is fixed, and what it says is the best possible is right.
#include "../examples/experiment.h"
#include "../examples/shop.h"

#include "test.h"

#include <stdlib.h>

static uint64_t hash_of_visits(shop s) {
    uint64_t hash = 0;
    for (int32_t session = 0; session < 2000; ++session) {
        int32_t clicks[SHOP_LONGEST], count = shop_visit(&s, session, clicks);
        for (int32_t i = 0; i < count; ++i) hash = shop_mix(hash + (uint64_t)clicks[i] + 1);
        hash = shop_mix(hash + (uint64_t)s.items);
    }
    return hash;
}

static void visits(void) {
    TEST("the shop of the demo has the visits that it has always had")
    CHECK(hash_of_visits(shop_default()) == 0xb861950918d817a1u);
    TEST("a seed makes the same visits each time, another seed makes others") {
        shop s = shop_with_users(), other = s;
        other.seed = 2;
        CHECK(hash_of_visits(s) == hash_of_visits(s));
        CHECK(hash_of_visits(s) != hash_of_visits(other));
    }
    TEST("the log holds the visits, each with its visitor; some come often and some rarely") {
        shop s = shop_with_users();
        s.sessions = 4000;
        s.users = 500;
        sessrec_log *log;
        CHECK_EQ(shop_log(s, &log, NULL), SESSREC_OK);
        const sessrec_log_view view = sessrec_log_contents(log);
        CHECK_EQ(view.session_count, 4000);
        int32_t sessions[500] = {0}, most = 0, few = 0, wrong = 0;
        for (int32_t i = 0; i < view.session_count; ++i) {
            char name[32];
            int32_t clicks[SHOP_LONGEST], taste, user = shop_visitor(&s, i, &taste);
            snprintf(name, sizeof name, "visitor-%d", (int)user + 1);
            wrong += strcmp(name, sessrec_log_user_id(log, view.session_users[i])) != 0;
            wrong += shop_visit(&s, i, clicks) != view.session_begins[i + 1] - view.session_begins[i];
            ++sessions[user];
        }
        for (int i = 0; i < 500; ++i) {
            most = sessions[i] > most ? sessions[i] : most;
            few += sessions[i] <= 3;
        }
        CHECK_EQ(wrong, 0);
        CHECK(most >= 16 && few >= 50);
        sessrec_log_destroy(log);
    }
}

// What was expected of a number and what came, over the visits of a shop: how many standard errors the
// difference is.
typedef struct tally {
    double expected, got, squares, events;  // squares of the differences, summed up a visit at a time: the
                                            // clicks of one depend on each other
} tally;

static void tally_add(tally *t, double expected, double got) {
    t->expected += expected;
    t->got += got;
    t->squares += (got - expected) * (got - expected);
}
static double tally_z(const tally *t) {
    return (t->got - t->expected) / sqrt(t->squares);
}

// The visits of a shop as somebody sees them who believes that it is like `belief`.
static void look(shop s, shop belief, int known, tally *recall, tally *probability) {
    double *p = (double *)malloc((size_t)s.items * sizeof *p);
    memset(recall, 0, sizeof *recall);
    memset(probability, 0, sizeof *probability);
    for (int32_t session = 0; p && session < s.sessions; ++session) {
        int32_t clicks[SHOP_LONGEST], taste, user = shop_visitor(&s, session, &taste),
                                             count = shop_visit(&s, session, clicks);
        double best = 0, hits = 0, squares = 0, chance = 0;
        for (int32_t i = 1; i < count; ++i) {
            shop_expect(&belief, known ? user : -1, i, clicks, p);
            for (int32_t j = 0; j < s.items; ++j) squares += p[j] * p[j];
            chance += p[clicks[i]];
            best += shop_best(&belief, 5, p);
            hits += p[clicks[i]] < 0;
        }
        tally_add(recall, best, hits);
        tally_add(probability, squares, chance);
        recall->events += count - 1;
    }
    CHECK(p != NULL);
    free(p);
}

static shop small_shop(void) {
    shop s = shop_with_users();
    s.sessions = 6000;
    s.users = 700;
    return s;
}

static void best_possible(void) {
    tally recall, probability;
    TEST("what is expected of the next click is a distribution") {
        const shop kinds[2] = {shop_default(), shop_with_users()};
        double p[2000];
        for (int k = 0; k < 2; ++k)
            for (int32_t session = 0; session < 50; ++session) {
                int32_t clicks[SHOP_LONGEST], taste, count = shop_visit(&kinds[k], session, clicks);
                const int32_t user = shop_visitor(&kinds[k], session, &taste);
                double sum = 0, least = 0;
                shop_expect(&kinds[k], user, count, clicks, p);
                for (int32_t i = 0; i < kinds[k].items; ++i) {
                    sum += p[i];
                    least = p[i] < least ? p[i] : least;
                }
                CHECK_NEAR(sum, 1, 1e-12);
                CHECK(least >= 0);
            }
    }
    TEST("the best list is right as often as it expects, and the click has the probability that it expects") {
        shop s = small_shop(), demo = shop_default();
        demo.sessions = 1500;
        for (int known = 0; known < 2; ++known) {
            look(s, s, known, &recall, &probability);
            CHECK(fabs(tally_z(&recall)) < 3.5);
            CHECK(fabs(tally_z(&probability)) < 3.5);
        }
        look(demo, demo, 0, &recall, &probability);
        CHECK(fabs(tally_z(&recall)) < 3.5);
        CHECK(fabs(tally_z(&probability)) < 3.5);
    }
    TEST("a wrong belief about the shop is noticed by the same measure") {
        shop s = small_shop(), wrong = s;
        wrong.lasting = 60;
        look(s, wrong, 1, &recall, &probability);
        CHECK(fabs(tally_z(&recall)) > 5);
        CHECK(fabs(tally_z(&probability)) > 5);
        wrong = s;
        wrong.follow += 5;
        wrong.intent -= 5;
        look(s, wrong, 0, &recall, &probability);
        CHECK(fabs(tally_z(&probability)) > 3.5);
    }
    TEST("to know the visitor is worth a fifth more where tastes last, and nothing where they do not") {
        shop s = small_shop();
        look(s, s, 0, &recall, &probability);
        const double without = recall.expected / recall.events;
        look(s, s, 1, &recall, &probability);
        CHECK(recall.expected / recall.events > 1.2 * without);
        s.lasting = 0;
        look(s, s, 0, &recall, &probability);
        const double stranger = recall.expected;
        look(s, s, 1, &recall, &probability);
        CHECK_NEAR(recall.expected, stranger, 1e-9);
        CHECK_NEAR(stranger / recall.events, without, 0.02);
    }
}

static double recall_of(sessrec_result made, sessrec_scorer *scorer, const sessrec_log *train,
                        const sessrec_log *test) {
    sessrec_eval_config eval = sessrec_eval_config_default();
    sessrec_report report;
    CHECK_EQ(made, SESSREC_OK);
    eval.history = train;
    eval.cutoff_count = 1;
    eval.cutoffs[0] = 5;
    CHECK_EQ(sessrec_evaluate_scorer(scorer, test, &eval, &report, NULL), SESSREC_OK);
    sessrec_scorer_destroy(scorer);
    return report.all.recall[0];
}

static void bounds(void) {
    TEST("no scorer gets more than what is possible, and a network gets most of it") {
        shop s = small_shop();
        tally known, unknown, unused;
        sessrec_log *log, *train, *test;
        sessrec_model *model;
        sessrec_scorer scorer;
        sessrec_config config = sessrec_config_default();
        look(s, s, 1, &known, &unused);
        look(s, s, 0, &unknown, &unused);
        // the test is a tenth of the visits
        const double noise = 3.5 * sqrt(known.squares) / known.events * sqrt(10);
        const double most = known.expected / known.events + noise, alone = unknown.expected / unknown.events;
        CHECK_EQ(shop_log(s, &log, NULL), SESSREC_OK);
        CHECK_EQ(sessrec_log_split_last_session(log, &train, &test, NULL), SESSREC_OK);
        config.negatives = 256;
        config.epochs = 5;
        config.optimizer.learning_rate = 0.05f;
        config.dropout_hidden = 0.2f;
        CHECK_EQ(sessrec_train(&config, train, NULL, &model, NULL), SESSREC_OK);
        const double of_model =
            recall_of(sessrec_scorer_model(model, NULL, &scorer, NULL), &scorer, train, test);
        CHECK(of_model < alone + noise);
        CHECK(of_model > 0.75 * alone);
        CHECK(recall_of(experiment_ppop(train, &scorer, NULL), &scorer, train, test) < most);
        CHECK(recall_of(experiment_s_pop(train, &scorer, NULL), &scorer, train, test) <
              alone + noise);
        sessrec_rules_config rules = sessrec_rules_config_default();
        rules.kind = SESSREC_RULES_ITEMKNN;
        CHECK(recall_of(sessrec_rules_create(&rules, train, &scorer, NULL),
                        &scorer, train, test) < alone + noise);
        sessrec_model_destroy(model);
        sessrec_log_destroy(log);
        sessrec_log_destroy(train);
        sessrec_log_destroy(test);
    }
}

int main(void) {
    visits();
    best_possible();
    bounds();
    return test_report("shop");
}
