// test_null.c - one rule for NULL: a pointer that a function needs and does not get is INVALID_ARGUMENT, or
// nothing (NULL, 0, -1, an empty struct) where no sessrec_result is returned; never a crash. Every public
// function is called here; header.sh looks whether one is missing.
#include "models.h"

#define REFUSES(call) CHECK_EQ(call, SESSREC_INVALID_ARGUMENT)

static void nothing(void *context, int32_t index) {
    (void)context, (void)index;
}

// What is made by a library function that fails is NULL afterwards.
#define REFUSES_AND_CLEARS(call, out)                                                                        \
  do {                                                                                                       \
    REFUSES(call);                                                                                           \
    CHECK((out) == NULL);                                                                                    \
  } while (0)

static void values(void) {
    TEST("what describes nothing is an empty text, no number or an empty struct") {
        const char *takes = "x";
        CHECK(sessrec_result_text(SESSREC_OK) && sessrec_version() && sessrec_simd());
        CHECK(sessrec_processor_count() > 0);
        CHECK_EQ(sessrec_error_set(NULL, SESSREC_IO_ERROR, NULL), SESSREC_IO_ERROR);
        CHECK(sessrec_config_name(-1, &takes) == NULL && takes == NULL);
        CHECK_EQ(sessrec_log_contents(NULL).event_count, 0);
        CHECK(sessrec_log_note(NULL, 0) == NULL);
        CHECK(sessrec_log_item_id(NULL, 0) == NULL);
        CHECK(sessrec_log_session_id(NULL, 0) == NULL);
        CHECK(sessrec_log_user_id(NULL, 0) == NULL);
        CHECK_EQ(sessrec_log_find_item(NULL, "a"), -1);
        CHECK_EQ(sessrec_log_find_number(NULL, 1), -1);
        CHECK(sessrec_log_item_number(NULL, 0) < 0);
        CHECK(sessrec_log_category(NULL, 0) == NULL);
        CHECK(sessrec_log_value(NULL, 0, 0) == NULL);
        CHECK_EQ(sessrec_log_find_value(NULL, 0, "a"), -1);
        CHECK_EQ(sessrec_model_export_size(NULL), 0);
        CHECK_EQ(sessrec_model_describe(NULL).item_count, 0);
        CHECK(sessrec_model_item_id(NULL, 0) == NULL);
        CHECK_EQ(sessrec_model_find_item(NULL, "a"), -1);
        CHECK_EQ(sessrec_model_find_number(NULL, 1), -1);
        CHECK(sessrec_model_item_number(NULL, 0) < 0);
        CHECK_EQ(sessrec_model_support(NULL, 0), 0);
        CHECK(sessrec_model_tensor_name(NULL, 0) == NULL);
        CHECK_EQ(sessrec_session_size(NULL, 1), 0);
        CHECK_EQ(sessrec_session_shared_size(NULL, 1), 0);
        CHECK_EQ(sessrec_scratch_size(NULL, 1), 0);
        CHECK_EQ(sessrec_session_export_size(NULL), 0);
        CHECK_EQ(sessrec_user_size(NULL), 0);
        CHECK_EQ(sessrec_user_sessions(NULL), 0);
        CHECK_EQ(sessrec_user_export_size(NULL), 0);
        CHECK_EQ(sessrec_sampler_draw(NULL, 1, 2), -1);
        CHECK_EQ(sessrec_batcher_steps(NULL), 0);
        CHECK_EQ(sessrec_batcher_pairs(NULL), 0);
        CHECK_EQ(sessrec_trainer_position(NULL).best_age, -1);
        CHECK_TEXT(sessrec_trainer_device(NULL), "");
        CHECK_EQ(sessrec_metrics_merge(NULL, 3).event_count, 0);
        CHECK_EQ(sessrec_pool_threads(NULL), 1);
        CHECK_EQ(sessrec_knn_sessions(NULL), 0);
        CHECK_EQ(sessrec_knn_events(NULL), 0);
        CHECK_EQ(sessrec_same_file(NULL, NULL), 0);
        CHECK(sessrec_random_unit(1, 2, 3) < 1 && sessrec_random(1, 2, 3) != 0);
        CHECK_NEAR(sessrec_rank(1, 0, SESSREC_TIES_MEDIAN), 2, 0);
    }
    TEST("to end nothing is fine") {
        sessrec_log_destroy(NULL);
        sessrec_model_destroy(NULL);
        sessrec_scorer_destroy(NULL);
        sessrec_sampler_destroy(NULL);
        sessrec_batcher_destroy(NULL);
        sessrec_trainer_destroy(NULL);
        sessrec_pool_destroy(NULL);
        sessrec_session_end(NULL);
        int64_t known = 7, unknown = 7;
        sessrec_session_clicks(NULL, &known, &unknown);
        CHECK_EQ(known, 0);
        CHECK_EQ(unknown, 0);
        sessrec_session_clicks(NULL, NULL, NULL);
    }
}

static void logs(const sessrec_log *log) {
    TEST("logs") {
        sessrec_log *a = (sessrec_log *)&a, *b = (sessrec_log *)&b, *own = NULL;
        const int64_t number[1] = {1};
        const double time[1] = {1};
        const sessrec_filter filter = sessrec_filter_default();
        const sessrec_log_format format = sessrec_log_format_default();
        CHECK_EQ(sessrec_log_create(&format, &own, NULL), SESSREC_OK);
        REFUSES_AND_CLEARS(sessrec_log_read(NULL, NULL, &a, NULL), a);
        REFUSES(sessrec_log_read("x", NULL, NULL, NULL));
        REFUSES(sessrec_log_write(NULL, "x", NULL));
        REFUSES(sessrec_log_write(log, NULL, NULL));
        a = b;
        REFUSES_AND_CLEARS(sessrec_log_import(NULL, 4, NULL, &a, NULL), a);
        REFUSES(sessrec_log_import("x", 1, NULL, NULL, NULL));
        REFUSES(sessrec_log_create(NULL, NULL, NULL));
        REFUSES(sessrec_log_add(NULL, NULL, "s", "i", 0));
        REFUSES(sessrec_log_add(own, NULL, NULL, "i", 0));
        REFUSES(sessrec_log_add_categories(NULL, NULL, "s", "i", 0, NULL));
        REFUSES(sessrec_log_add_numbers(NULL, -1, 1, 1, 0));
        REFUSES(sessrec_log_add_many(NULL, 1, NULL, number, number, time));
        REFUSES(sessrec_log_add_text(NULL, "x", 1, NULL, NULL));
        REFUSES(sessrec_log_add_file(NULL, "x", NULL, NULL));
        REFUSES(sessrec_log_finish(NULL, NULL));
        REFUSES(sessrec_log_filter(NULL, &filter, NULL));
        REFUSES(sessrec_log_sessionize(NULL, 1, NULL));
        a = b;
        REFUSES_AND_CLEARS(sessrec_log_split_time(NULL, 1, &a, &b, NULL), a);
        REFUSES(sessrec_log_split_time(log, 1, NULL, &b, NULL));
        REFUSES(sessrec_log_split_time(log, 1, &a, NULL, NULL));
        a = (sessrec_log *)&a;
        REFUSES_AND_CLEARS(sessrec_log_split_last_session(NULL, &a, &b, NULL), a);
        REFUSES(sessrec_log_split_last_session(log, NULL, &b, NULL));
        REFUSES(sessrec_log_keep_items(NULL, log, NULL));
        CHECK_EQ(sessrec_log_find_item(log, NULL), -1);
        sessrec_log_destroy(own);
    }
}

static void models(const sessrec_log *log, sessrec_model *model) {
    TEST("models, training and evaluation in one call") {
        sessrec_model *out = (sessrec_model *)&out;
        sessrec_tensor tensor;
        sessrec_report report;
        sessrec_scorer scorer;
        sessrec_config config = small_config(1, 4);
        sessrec_eval_config eval = sessrec_eval_config_default();
        char byte[64], text[8];
        REFUSES_AND_CLEARS(sessrec_model_read(NULL, NULL, &out, NULL), out);
        REFUSES(sessrec_model_read("x", NULL, NULL, NULL));
        REFUSES(sessrec_model_write(NULL, "x", NULL));
        REFUSES(sessrec_model_write(model, NULL, NULL));
        REFUSES(sessrec_outputs_write(NULL, 1, NULL));
        out = (sessrec_model *)&out;
        REFUSES_AND_CLEARS(sessrec_model_import(NULL, 64, NULL, &out, NULL), out);
        REFUSES(sessrec_model_import(byte, 64, NULL, NULL, NULL));
        REFUSES(sessrec_model_export(NULL, byte, sizeof byte));
        REFUSES(sessrec_model_export(model, NULL, 1 << 20));
        REFUSES(sessrec_model_prepare(NULL));
        REFUSES(sessrec_model_tensor(NULL, "Wy", &tensor));
        REFUSES(sessrec_model_tensor(model, NULL, &tensor));
        REFUSES(sessrec_model_tensor(model, "Wy", NULL));
        CHECK_EQ(sessrec_model_find_item(model, NULL), -1);
        REFUSES(sessrec_train(NULL, log, NULL, &out, NULL));
        out = (sessrec_model *)&out;
        REFUSES_AND_CLEARS(sessrec_train(&config, NULL, NULL, &out, NULL), out);
        REFUSES(sessrec_train(&config, log, NULL, NULL, NULL));
        REFUSES(sessrec_train_file(NULL, "x", NULL, NULL));
        REFUSES(sessrec_train_file("x", NULL, NULL, NULL));
        REFUSES(sessrec_config_check(NULL, NULL));
        REFUSES(sessrec_config_set(NULL, "lr", "1", NULL));
        REFUSES(sessrec_config_set(&config, NULL, "1", NULL));
        REFUSES(sessrec_config_set(&config, "lr", NULL, NULL));
        REFUSES(sessrec_config_get(NULL, "lr", text, sizeof text, NULL));
        REFUSES(sessrec_config_get(&config, NULL, text, sizeof text, NULL));
        REFUSES(sessrec_config_get(&config, "lr", NULL, 8, NULL));
        REFUSES(sessrec_evaluate(NULL, log, &eval, &report, NULL));
        REFUSES(sessrec_evaluate(model, NULL, &eval, &report, NULL));
        REFUSES(sessrec_evaluate(model, log, NULL, &report, NULL));
        REFUSES(sessrec_evaluate(model, log, &eval, NULL, NULL));
        REFUSES(sessrec_evaluate_scorer(NULL, log, &eval, &report, NULL));
        REFUSES(sessrec_scorer_model(NULL, NULL, &scorer, NULL));
        REFUSES(sessrec_scorer_model(model, NULL, NULL, NULL));
    }
    TEST("other scorers") {
        sessrec_scorer scorer;
        const int32_t item[2] = {0, 1};
        sessrec_knn_config knn = sessrec_knn_config_default();
        sessrec_rules_config rules = sessrec_rules_config_default();
        sessrec_blend_part part;
        memset(&part, 0, sizeof part);
        REFUSES(sessrec_scorer_pop(NULL, NULL, &scorer, NULL));
        REFUSES(sessrec_scorer_pop(log, NULL, NULL, NULL));
        char bytes[64];
        sessrec_session *session = NULL;
        sessrec_scratch *scratch = NULL;
        REFUSES(sessrec_scorer_read(NULL, NULL, &scorer, NULL));
        REFUSES(sessrec_scorer_read("x", NULL, NULL, NULL));
        REFUSES(sessrec_scorer_write(NULL, "x", NULL));
        REFUSES(sessrec_scorer_import(NULL, 64, NULL, &scorer, NULL));
        CHECK_EQ(sessrec_scorer_export_size(NULL), 0);
        REFUSES(sessrec_scorer_export(NULL, bytes, sizeof bytes));
        REFUSES(sessrec_model_quantize(NULL, 1, NULL, &scorer, NULL));
        REFUSES(sessrec_model_quantize(model, 1, NULL, NULL, NULL));
        CHECK_EQ(sessrec_quantized_bound(NULL, 0), -1);
        sessrec_tiny tiny;
        sessrec_tiny_item best;
        memset(&tiny, 0, sizeof tiny);
        REFUSES(sessrec_tiny_open(NULL, 64, &tiny));
        REFUSES(sessrec_tiny_open(bytes, sizeof bytes, NULL));
        REFUSES(sessrec_tiny_open_float(NULL, 64, &tiny));
        REFUSES(sessrec_tiny_open_float(bytes, sizeof bytes, NULL));
        CHECK_EQ(sessrec_tiny_size(NULL, 1), 0);
        REFUSES(sessrec_tiny_begin(NULL, 1, bytes));
        REFUSES(sessrec_tiny_begin(&tiny, 1, NULL));
        REFUSES(sessrec_tiny_click(NULL, bytes, 0));
        REFUSES(sessrec_tiny_click(&tiny, NULL, 0));
        REFUSES(sessrec_tiny_recommend(NULL, bytes, 1, &best));
        REFUSES(sessrec_tiny_recommend(&tiny, NULL, 1, &best));
        REFUSES(sessrec_tiny_recommend(&tiny, bytes, 1, NULL));
        CHECK_EQ(sessrec_scorer_session_size(NULL, 1, NULL), 0);
        REFUSES(sessrec_scorer_session_init(NULL, 1, NULL, bytes, sizeof bytes, &session, NULL));
        CHECK_EQ(sessrec_scorer_scratch_size(NULL, 1), 0);
        REFUSES(sessrec_scorer_scratch_init(NULL, 1, bytes, sizeof bytes, &scratch, NULL));
        REFUSES(sessrec_knn_preset(NULL, &knn));
        REFUSES(sessrec_knn_preset("sknn", NULL));
        REFUSES(sessrec_knn_create(NULL, log, &scorer, NULL));
        REFUSES(sessrec_knn_create(&knn, NULL, &scorer, NULL));
        REFUSES(sessrec_knn_create(&knn, log, NULL, NULL));
        REFUSES(sessrec_knn_append(NULL, item, 2, 1));
        REFUSES(sessrec_knn_forget(NULL, 1));
        int32_t found[2];
        CHECK_EQ(sessrec_knn_session_items(NULL, 0, found, 2), 0);
        REFUSES(sessrec_rules_create(NULL, log, &scorer, NULL));
        REFUSES(sessrec_rules_create(&rules, NULL, &scorer, NULL));
        REFUSES(sessrec_rules_create(&rules, log, NULL, NULL));
        REFUSES(sessrec_blend_create(NULL, 1, 0, NULL, &scorer, NULL));
        REFUSES(sessrec_blend_create(&part, 1, 0, NULL, NULL, NULL));
    }
}

static void visitors(const sessrec_model *model) {
    TEST("sessions and users") {
        static unsigned char memory[65536], bytes[65536];
        sessrec_session *session = (sessrec_session *)&session, *good = NULL;
        sessrec_scratch *scratch = (sessrec_scratch *)&scratch;
        sessrec_user *user = (sessrec_user *)&user;
        sessrec_query query = sessrec_query_default();
        sessrec_recommendation list[20];
        sessrec_request request;
        int32_t count = 7, item = 0;
        float score;
        memset(&request, 0, sizeof request);
        CHECK_EQ(sessrec_session_init(model, 4, memory, sizeof memory, &good, NULL), SESSREC_OK);
        REFUSES_AND_CLEARS(sessrec_session_init(NULL, 4, bytes, sizeof bytes, &session, NULL), session);
        REFUSES(sessrec_session_init(model, 4, NULL, sizeof bytes, &session, NULL));
        REFUSES(sessrec_session_init(model, 4, bytes, sizeof bytes, NULL, NULL));
        REFUSES(sessrec_session_init_shared(NULL, 4, NULL, bytes, sizeof bytes, &session, NULL));
        REFUSES(sessrec_session_use_scratch(NULL, NULL));
        REFUSES(sessrec_session_use_scratch(good, NULL));
        REFUSES_AND_CLEARS(sessrec_scratch_init(NULL, 1, bytes, sizeof bytes, &scratch, NULL), scratch);
        REFUSES(sessrec_session_click(NULL, 0));
        REFUSES(sessrec_session_click_at(NULL, 0, 1));
        REFUSES(sessrec_session_click_id(NULL, "a", NULL));
        REFUSES(sessrec_session_click_id(good, NULL, NULL));
        REFUSES(sessrec_session_recommend(NULL, &query, list, &count, NULL));
        CHECK_EQ(count, 0);
        REFUSES(sessrec_session_recommend(good, NULL, list, &count, NULL));
        REFUSES(sessrec_session_recommend(good, &query, NULL, &count, NULL));
        REFUSES(sessrec_session_recommend(good, &query, list, NULL, NULL));
        REFUSES(sessrec_recommend(NULL, 1, list));
        REFUSES(sessrec_recommend(good, 1, NULL));
        REFUSES(sessrec_session_reasons(NULL, 0, NULL, 0));
        REFUSES(sessrec_session_reasons(good, 0, NULL, 1));
        REFUSES(sessrec_sessions_recommend(NULL, &request, 1));
        REFUSES(sessrec_session_score(NULL, &item, 1, &score));
        REFUSES(sessrec_session_score(good, NULL, 1, &score));
        REFUSES(sessrec_session_score(good, &item, 1, NULL));
        REFUSES(sessrec_session_export(NULL, bytes, sizeof bytes));
        REFUSES(sessrec_session_export(good, NULL, sizeof bytes));
        REFUSES(sessrec_session_import(NULL, bytes, 8));
        REFUSES(sessrec_session_import(good, NULL, 8));
        REFUSES_AND_CLEARS(sessrec_user_init(NULL, bytes, sizeof bytes, &user, NULL), user);
        REFUSES(sessrec_user_begin(NULL, good));
        REFUSES(sessrec_user_fold(NULL, good));
        REFUSES(sessrec_user_export(NULL, bytes, sizeof bytes));
        REFUSES(sessrec_user_import(NULL, bytes, 8));
    }
}

static void blocks(void) {
    TEST("building blocks, each pointer in turn") {
        float x[64] = {0};
        int32_t id[8] = {0};
        int64_t number = 0;
        const sessrec_gru gru = {SESSREC_RESET_AFTER, 1, 1, x, x, x, x};
        sessrec_gru without[4] = {gru, gru, gru, gru};
        const sessrec_gru_gradient gradient = {x, x, x, x};
        sessrec_config config = sessrec_config_default();
        const sessrec_optimizer_state none = {NULL, NULL, NULL, NULL};
        sessrec_metrics metrics;
        without[0].W = without[1].U = without[2].b = without[3].c = NULL;
        REFUSES(sessrec_gru_forward(NULL, 1, x, x, x, x));
        REFUSES(sessrec_gru_forward(&gru, 1, NULL, x, x, x));
        REFUSES(sessrec_gru_forward(&gru, 1, x, NULL, x, x));
        REFUSES(sessrec_gru_forward(&gru, 1, x, x, NULL, x));
        REFUSES(sessrec_gru_forward(&gru, 1, x, x, x, NULL));
        for (int i = 0; i < 4; ++i) REFUSES(sessrec_gru_forward(&without[i], 1, x, x, x, x));
        REFUSES(sessrec_gru_backward(NULL, 1, x, x, x, x, x, x, &gradient, x));
        REFUSES(sessrec_gru_backward(&gru, 1, NULL, x, x, x, x, x, &gradient, x));
        REFUSES(sessrec_gru_backward(&gru, 1, x, x, x, x, x, x, NULL, x));
        REFUSES(sessrec_gru_backward(&gru, 1, x, x, x, x, x, x, &gradient, NULL));
        REFUSES(sessrec_loss(NULL, 0, 1, 2, NULL, NULL, NULL, x, x, x, x));
        REFUSES(sessrec_loss(&config.loss, 0, 1, 2, NULL, NULL, NULL, NULL, x, x, x));
        REFUSES(sessrec_loss(&config.loss, 0, 1, 2, NULL, NULL, NULL, x, NULL, x, x));
        REFUSES(sessrec_loss(&config.loss, 0, 1, 2, NULL, NULL, NULL, x, x, NULL, x));
        REFUSES(sessrec_loss(&config.loss, 0, 1, 2, NULL, NULL, NULL, x, x, x, NULL));
        REFUSES(sessrec_optimizer_update(NULL, 1, 1, id, x, x, &none));
        REFUSES(sessrec_optimizer_update(&config.optimizer, 1, 1, id, x, x, NULL));
        REFUSES(sessrec_optimizer_update(&config.optimizer, 1, 1, id, NULL, x, &none));
        REFUSES(sessrec_optimizer_update(&config.optimizer, 1, 1, id, x, NULL, &none));
        REFUSES(sessrec_optimizer_update(&config.optimizer, 1, 1, id, x, x, &none));  // Adagrad needs one
        REFUSES(sessrec_sum_duplicates(1, 1, NULL, x, id));
        REFUSES(sessrec_sum_duplicates(1, 1, id, NULL, id));
        REFUSES(sessrec_sum_duplicates(1, 1, id, x, NULL));
        REFUSES(sessrec_rank_counts(NULL, 1, 0, &number, &number));
        REFUSES(sessrec_rank_counts(x, 1, 0, NULL, &number));
        REFUSES(sessrec_rank_counts(x, 1, 0, &number, NULL));
        REFUSES(sessrec_rank_counts(x, 1, 1, &number, &number));
        REFUSES(sessrec_metrics_add(NULL, 1, 1, id));
        REFUSES(sessrec_metrics_add(&metrics, 1, 1, NULL));
        REFUSES(sessrec_matmul(1, 1, 1, NULL, 1, 1, x, 1, x, 1, 0));
        REFUSES(sessrec_matmul(1, 1, 1, x, 1, 1, NULL, 1, x, 1, 0));
        REFUSES(sessrec_matmul(1, 1, 1, x, 1, 1, x, 1, NULL, 1, 0));
        REFUSES(sessrec_matmul_bt(1, 1, 1, x, 1, x, 1, NULL, x, 1, x));
        REFUSES(sessrec_matmul_bt(1, 1, 1, x, 1, x, 1, x, x, 1, NULL));
        REFUSES(sessrec_exp(1, NULL, x));
        REFUSES(sessrec_tanh(1, x, NULL));
        REFUSES(sessrec_sigmoid(1, NULL, NULL));
        REFUSES(sessrec_parallel(NULL, 1, NULL, NULL));
        CHECK_EQ(sessrec_parallel(NULL, 1, nothing, NULL), SESSREC_OK);
        REFUSES(sessrec_pool_create(1, NULL, NULL, NULL, NULL));
    }
}

static void training(const sessrec_log *log) {
    TEST("what a training loop is made of") {
        sessrec_config config = small_config(1, 4);
        sessrec_sampler *sampler = (sessrec_sampler *)&sampler;
        sessrec_batcher *batcher = (sessrec_batcher *)&batcher;
        sessrec_trainer *trainer = (sessrec_trainer *)&trainer;
        sessrec_model *taken = (sessrec_model *)&taken;
        const sessrec_model *model = taken;
        sessrec_mutable_tensor tensor;
        sessrec_batch batch;
        sessrec_progress progress;
        int64_t support[2] = {1, 1};
        const int32_t items[2] = {0, 1};
        run r;
        if (!run_begin(&r, &config, log)) continue;
        REFUSES_AND_CLEARS(sessrec_sampler_create(NULL, 2, 1, NULL, &sampler, NULL), sampler);
        REFUSES(sessrec_sampler_create(support, 2, 1, NULL, NULL, NULL));
        REFUSES_AND_CLEARS(sessrec_batcher_create(NULL, log, NULL, &batcher, NULL), batcher);
        REFUSES(sessrec_batcher_create(&config, NULL, NULL, &batcher, NULL));
        REFUSES(sessrec_batcher_create(&config, log, NULL, NULL, NULL));
        REFUSES(sessrec_batcher_next(NULL, &batch));
        REFUSES(sessrec_batcher_next(r.batcher, NULL));
        REFUSES(sessrec_batcher_seek(NULL, 0, 0, NULL));
        REFUSES_AND_CLEARS(sessrec_trainer_create(NULL, log, &trainer, NULL), trainer);
        trainer = (sessrec_trainer *)&trainer;
        REFUSES_AND_CLEARS(sessrec_trainer_create(&config, NULL, &trainer, NULL), trainer);
        REFUSES(sessrec_trainer_create(&config, log, NULL, NULL));
        REFUSES(sessrec_trainer_step(NULL, &batch, NULL, NULL));
        REFUSES(sessrec_trainer_step(r.trainer, NULL, NULL, NULL));
        REFUSES(sessrec_trainer_grad(NULL, &batch, NULL, NULL));
        REFUSES(sessrec_trainer_grad(r.trainer, NULL, NULL, NULL));
        REFUSES(sessrec_trainer_apply(NULL, NULL));
        REFUSES(sessrec_trainer_tensor(NULL, "Wy", &tensor, NULL));
        REFUSES(sessrec_trainer_tensor(r.trainer, NULL, &tensor, NULL));
        REFUSES(sessrec_trainer_tensor(r.trainer, "Wy", NULL, NULL));
        REFUSES_AND_CLEARS(sessrec_trainer_model(NULL, &model, NULL), model);
        REFUSES(sessrec_trainer_model(r.trainer, NULL, NULL));
        REFUSES_AND_CLEARS(sessrec_trainer_take_model(NULL, &taken, NULL), taken);
        REFUSES(sessrec_trainer_take_model(r.trainer, NULL, NULL));
        REFUSES(sessrec_trainer_keep_best(NULL, 1, NULL));
        REFUSES(sessrec_trainer_use_best(NULL, NULL));
        REFUSES(sessrec_trainer_warm_up(NULL, r.batcher, NULL));
        REFUSES(sessrec_trainer_warm_up(r.trainer, NULL, NULL));
        REFUSES(sessrec_trainer_learn(NULL, r.sampler, items, 2, NULL, NULL));
        REFUSES(sessrec_trainer_learn(r.trainer, r.sampler, NULL, 2, NULL, NULL));
        REFUSES_AND_CLEARS(sessrec_trainer_sampler(NULL, &sampler, NULL), sampler);
        REFUSES(sessrec_trainer_sampler(r.trainer, NULL, NULL));
        REFUSES(sessrec_trainer_epoch(NULL, r.batcher, NULL));
        REFUSES(sessrec_trainer_epoch(r.trainer, NULL, NULL));
        REFUSES(sessrec_trainer_next_epoch(NULL));
        REFUSES(sessrec_trainer_progress(NULL, r.batcher, &progress));
        REFUSES(sessrec_trainer_progress(r.trainer, NULL, &progress));
        REFUSES(sessrec_trainer_progress(r.trainer, r.batcher, NULL));
        REFUSES(sessrec_trainer_write(NULL, "x", NULL));
        REFUSES(sessrec_trainer_write(r.trainer, NULL, NULL));
        REFUSES(sessrec_trainer_read(NULL, "x", NULL));
        REFUSES(sessrec_trainer_read(r.trainer, NULL, NULL));
        run_end(&r);
    }
}

int main(void) {
    sessrec_log *log = random_log(20, 12, 3);
    const sessrec_config config = small_config(1, 4);
    sessrec_model *model = random_model(&config, log, 5);
    values();
    logs(log);
    models(log, model);
    visitors(model);
    blocks();
    training(log);
    sessrec_model_destroy(model);
    sessrec_log_destroy(log);
    return test_report("NULL");
}
