// A model that goes on learning: night after night, and from session to session.
#include "../examples/shop.h"

#include "test.h"

#include <stdlib.h>

// Sessions that begin on the days first .. last of a shop, with the items of a model first.
static sessrec_log *days(const sessrec_log *all, int first, int last, const sessrec_model *items_of) {
    sessrec_log_format format = sessrec_log_format_default();
    const sessrec_log_view view = sessrec_log_contents(all);
    sessrec_log *log = NULL;
    format.items_of = items_of;
    CHECK_EQ(sessrec_log_create(&format, &log, NULL), SESSREC_OK);
    for (int32_t s = 0; s < view.session_count; ++s) {
        const int day = (int)((view.times[view.session_begins[s]] - SHOP_OPENING) / SHOP_DAY);
        if (day < first || day > last) continue;
        for (int64_t e = view.session_begins[s]; e < view.session_begins[s + 1]; ++e)
            sessrec_log_add(log, NULL, sessrec_log_session_id(all, s),
                            sessrec_log_item_id(all, view.items[e]), view.times[e]);
    }
    CHECK_EQ(sessrec_log_finish(log, NULL), SESSREC_OK);
    return log;
}

// Of all pairs, also those that the model cannot know.
static double recall_of(const sessrec_model *model, const sessrec_log *log) {
    const sessrec_log_view view = sessrec_log_contents(log);
    sessrec_eval_config eval = sessrec_eval_config_default();
    sessrec_report report;
    eval.cutoff_count = 1;
    eval.cutoffs[0] = 20;
    CHECK_EQ(sessrec_evaluate(model, log, &eval, &report, NULL), SESSREC_OK);
    const double known = (double)report.event_count / (double)(view.event_count - view.session_count);
    return report.all.recall[0] * known;
}

static sessrec_config small_config(void) {
    sessrec_config config = sessrec_config_default();
    config.hidden[0] = 32;
    config.negatives = 128;
    config.epochs = 5;
    return config;
}

static sessrec_model *train(const sessrec_config *config, const sessrec_log *log) {
    sessrec_model *model = NULL;
    CHECK_EQ(sessrec_train(config, log, NULL, &model, NULL), SESSREC_OK);
    return model;
}

static sessrec_mutable_tensor tensor_of(sessrec_trainer *trainer, const char *name) {
    sessrec_mutable_tensor tensor;
    CHECK_EQ(sessrec_trainer_tensor(trainer, name, &tensor, NULL), SESSREC_OK);
    return tensor;
}

static uint64_t hash_of(const sessrec_mutable_tensor *tensor) {
    const size_t size = (size_t)tensor->rows * (size_t)tensor->columns * sizeof(float);
    const unsigned char *bytes = (const unsigned char *)tensor->data;
    uint64_t hash = 0;
    for (size_t i = 0; i < size; ++i) hash = (hash ^ bytes[i]) * 0x100000001b3u;
    return hash;
}

// What one click adds to the squares of the items that the model knows, in the first column of Wy.
static double square_of_a_click(const sessrec_config *config, const sessrec_log *log, int32_t known) {
    sessrec_trainer *trainer = NULL;
    sessrec_batcher *batcher = NULL;
    sessrec_batch batch;
    double squares = 0, pairs = 0;
    CHECK_EQ(sessrec_trainer_create(config, log, &trainer, NULL), SESSREC_OK);
    CHECK_EQ(sessrec_batcher_create(config, log, NULL, &batcher, NULL), SESSREC_OK);
    while (!sessrec_batcher_next(batcher, &batch) && batch.rows) {
        CHECK_EQ(sessrec_trainer_grad(trainer, &batch, NULL, NULL), SESSREC_OK);
        const sessrec_mutable_tensor g = tensor_of(trainer, "grad.Wy");
        for (int32_t i = 0; i < g.rows; ++i) if (g.row_ids[i] < known)
            squares += (double)g.data[i * g.columns] * (double)g.data[i * g.columns];
        pairs += batch.rows;
    }
    sessrec_batcher_destroy(batcher);
    sessrec_trainer_destroy(trainer);
    return squares / pairs;
}

static void nights(void) {
    shop plan = shop_default();
    plan.items = 400;
    plan.sessions = 6000;
    plan.days = 12;
    sessrec_log *all = NULL;
    CHECK_EQ(shop_log(plan, &all, NULL), SESSREC_OK);
    sessrec_log *before = days(all, 0, 7, NULL), *after = days(all, 9, 11, NULL);
    sessrec_config config = small_config();
    sessrec_model *model = train(&config, before);
    const double old = recall_of(model, after);
    sessrec_log *night = days(all, 8, 8, model);
    config.start_from = model;
    TEST("U15: going on with the defaults does not make a model worse, whatever the number of epochs") {
        for (int32_t epochs = 1; epochs <= 9; epochs += 4) {
            config.epochs = epochs;
            sessrec_model *fresh = train(&config, night);
            CHECK(recall_of(fresh, after) > 0.995 * old);
            sessrec_model_destroy(fresh);
        }
    }
    TEST("U15: without the warm-up it does") {
        sessrec_trainer *trainer = NULL;
        sessrec_sampler *sampler = NULL;
        sessrec_batcher *batcher = NULL;
        const sessrec_model *fresh = NULL;
        config.epochs = 1;
        CHECK_EQ(sessrec_trainer_create(&config, night, &trainer, NULL), SESSREC_OK);
        CHECK_EQ(sessrec_trainer_sampler(trainer, &sampler, NULL), SESSREC_OK);
        CHECK_EQ(sessrec_batcher_create(&config, night, sampler, &batcher, NULL), SESSREC_OK);
        CHECK_EQ(sessrec_trainer_epoch(trainer, batcher, NULL), SESSREC_OK);
        CHECK_EQ(sessrec_trainer_model(trainer, &fresh, NULL), SESSREC_OK);
        CHECK(recall_of(fresh, after) < 0.95 * old);
        sessrec_batcher_destroy(batcher);
        sessrec_sampler_destroy(sampler);
        sessrec_trainer_destroy(trainer);
    }
    TEST("the warm-up begins what the model knew by its clicks, smaller, new items at zero, else no trace") {
        sessrec_log *more = NULL;
        sessrec_log_format format = sessrec_log_format_default();
        format.items_of = model;
        CHECK_EQ(sessrec_log_create(&format, &more, NULL), SESSREC_OK);
        for (int i = 0; i < 40; ++i) {
            char session[16];
            snprintf(session, sizeof session, "s%d", i);
            sessrec_log_add(more, NULL, session, "new", i);
            sessrec_log_add(more, NULL, session, sessrec_model_item_id(model, i), i);
        }
        CHECK_EQ(sessrec_log_finish(more, NULL), SESSREC_OK);
        sessrec_trainer *trainer[2];
        sessrec_batcher *batcher[2];
        for (int i = 0; i < 2; ++i) {
            config.threads = i ? 3 : 1;
            CHECK_EQ(sessrec_trainer_create(&config, more, &trainer[i], NULL), SESSREC_OK);
            CHECK_EQ(sessrec_batcher_create(&config, more, NULL, &batcher[i], NULL), SESSREC_OK);
            CHECK_EQ(sessrec_trainer_warm_up(trainer[i], batcher[i], NULL), SESSREC_OK);
        }
        const sessrec_mutable_tensor acc = tensor_of(trainer[0], "acc.Wy"),
                                     other = tensor_of(trainer[1], "acc.Wy");
        const int32_t items = sessrec_model_describe(model).item_count;
        CHECK_EQ(acc.rows, items + 1);
        for (int32_t j = 0; j < acc.columns; ++j) CHECK_NEAR(acc.data[items * acc.columns + j], 0, 0);
        const double each = acc.data[0] / (double)sessrec_model_support(model, 0);
        const double click = square_of_a_click(&config, more, items);
        CHECK(click > 0);
        CHECK_NEAR(each, 10 * config.epochs * click, 1e-5 * each);
        for (int32_t i = 1; i < items; ++i)
            CHECK_NEAR(acc.data[i * acc.columns] / each, (double)sessrec_model_support(model, i), 1e-5);
        CHECK(hash_of(&acc) == hash_of(&other));
        static const struct {
            const char *name;
            double shrunk;
        } weights[2] = {{"Wy", 0.9}, {"L0.U", 0.7}};
        for (int i = 0; i < 2; ++i) {
            sessrec_tensor was;
            CHECK_EQ(sessrec_model_tensor(model, weights[i].name, &was), SESSREC_OK);
            const sessrec_mutable_tensor is = tensor_of(trainer[0], weights[i].name);
            for (int32_t j = 0; j < was.rows * was.columns; ++j)
                CHECK_NEAR(is.data[j], weights[i].shrunk * was.data[j], 1e-6);
        }
        const sessrec_mutable_tensor dense = tensor_of(trainer[0], "acc.L0.U"),
                                     hidden = tensor_of(trainer[0], "hidden0");
        double sum = 0, states = 0;
        for (int32_t i = 0; i < dense.rows * dense.columns; ++i) sum += dense.data[i];
        for (int32_t i = 0; i < hidden.rows * hidden.columns; ++i) states += fabs(hidden.data[i]);
        CHECK(sum >= 0);
        CHECK_NEAR(states, 0, 0);
        const sessrec_position at = sessrec_trainer_position(trainer[0]);
        CHECK(at.step == 0 && at.pairs == 0 && at.epoch == 0 && at.best_age == -1 && !(at.loss_sum > 0));
        sessrec_batch batch;
        CHECK_EQ(sessrec_batcher_next(batcher[0], &batch), SESSREC_OK);
        CHECK(batch.step == 0 && batch.rows == config.batch_size);
        CHECK_EQ(sessrec_trainer_warm_up(NULL, batcher[0], NULL), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_trainer_warm_up(trainer[0], NULL, NULL), SESSREC_INVALID_ARGUMENT);
        for (int i = 0; i < 2; ++i) {
            sessrec_batcher_destroy(batcher[i]);
            sessrec_trainer_destroy(trainer[i]);
        }
        sessrec_log_destroy(more);
    }
    sessrec_model_destroy(model);
    sessrec_log_destroy(night);
    sessrec_log_destroy(after);
    sessrec_log_destroy(before);
    sessrec_log_destroy(all);
}

static void sessions(void) {
    sessrec_log *log = NULL;
    CHECK_EQ(sessrec_log_create(NULL, &log, NULL), SESSREC_OK);
    for (int s = 0; s < 60; ++s)
        for (int i = 0; i < 3; ++i) sessrec_log_add_numbers(log, -1, s, (s + i) % 30, s * 10 + i);
    CHECK_EQ(sessrec_log_finish(log, NULL), SESSREC_OK);
    sessrec_config config = small_config();
    config.dropout_hidden = 0;
    TEST("what is learned from a session is known after it, the same for any number of threads") {
        const int32_t session[5] = {3, 17, -1, 8, 21};
        uint64_t hash[2];
        for (int i = 0; i < 2; ++i) {
            sessrec_trainer *trainer = NULL;
            sessrec_sampler *sampler = NULL;
            double first = 0, last = 0;
            config.threads = i ? 3 : 1;
            CHECK_EQ(sessrec_trainer_create(&config, log, &trainer, NULL), SESSREC_OK);
            CHECK_EQ(sessrec_trainer_sampler(trainer, &sampler, NULL), SESSREC_OK);
            CHECK_EQ(sessrec_trainer_learn(trainer, sampler, session, 5, &first, NULL), SESSREC_OK);
            for (int again = 0; again < 40; ++again)
                CHECK_EQ(sessrec_trainer_learn(trainer, sampler, session, 5, &last, NULL), SESSREC_OK);
            CHECK(first > 2 && last < 0.2 * first);
            CHECK_EQ(sessrec_trainer_position(trainer).pairs, 41 * 3);
            const sessrec_mutable_tensor Wy = tensor_of(trainer, "Wy");
            hash[i] = hash_of(&Wy);
            CHECK_EQ(sessrec_trainer_learn(trainer, sampler, session, 1, &last, NULL), SESSREC_OK);
            CHECK_NEAR(last, 0, 0);
            const int32_t strange[2] = {3, 30};
            const sessrec_result bad = SESSREC_INVALID_ARGUMENT;
            CHECK_EQ(sessrec_trainer_learn(trainer, sampler, strange, 2, NULL, NULL), bad);
            CHECK_EQ(sessrec_trainer_learn(trainer, sampler, NULL, 2, NULL, NULL), bad);
            CHECK_EQ(sessrec_trainer_learn(NULL, sampler, session, 5, NULL, NULL), bad);
            sessrec_sampler_destroy(sampler);
            sessrec_trainer_destroy(trainer);
        }
        CHECK(hash[0] == hash[1]);
    }
    sessrec_log_destroy(log);
}

int main(void) {
    nights();
    sessions();
    return test_report("going on learning");
}
