// examples/gru4rec.c, the method in plain lines, against the library on the same mini-batches.
#define SESSREC_IMPLEMENTATION
#include "models.h"

#define main gru4rec_main
#include "../examples/gru4rec.c"
#undef main

// Trains both for two epochs. The largest relative difference of their losses in a mini-batch, the largest
// difference of the items' vectors at the end, and how many mini-batches there were.
typedef struct difference {
    double loss, weights;
    int64_t steps;
    double recall, plain_recall;
} difference;

static difference compare(const sessrec_config *config) {
    difference d = {0, 0, 0, -1, -2};
    shop plan = shop_default();
    sessrec_log *log = NULL;
    plan.items = 200, plan.sessions = 600;
    CHECK_EQ(shop_log(plan, &log, NULL), SESSREC_OK);
    gru4rec plain = make_network(config, log);
    sessrec_scorer scorer = scorer_of(&plain);
    run r;
    if (!run_begin(&r, config, log)) return d;
    for (int epoch = 0; epoch < 2;) {
        sessrec_batch batch;
        double loss = -1;
        CHECK_EQ(sessrec_batcher_next(r.batcher, &batch), SESSREC_OK);
        if (!batch.rows) {
            ++epoch;
            continue;
        }
        CHECK_EQ(sessrec_trainer_step(r.trainer, &batch, &loss, NULL), SESSREC_OK);
        const double off = fabs(train_step(&plain, &batch) - loss) / loss;
        if (!(off <= d.loss)) d.loss = off;
        ++d.steps;
    }
    const sessrec_model *model = NULL;
    sessrec_tensor Wy;
    CHECK_EQ(sessrec_trainer_model(r.trainer, &model, NULL), SESSREC_OK);
    CHECK_EQ(sessrec_model_tensor(model, "Wy", &Wy), SESSREC_OK);
    for (int32_t i = 0; i < Wy.rows * Wy.columns; ++i) {
        const double off = fabs((double)Wy.data[i] - (double)plain.Wy.weights[i]);
        if (!(off <= d.weights)) d.weights = off;
    }
    const sessrec_eval_config evaluation = sessrec_eval_config_default();
    sessrec_report mine, plains;
    CHECK_EQ(sessrec_evaluate(model, log, &evaluation, &mine, NULL), SESSREC_OK);
    CHECK_EQ(sessrec_evaluate_scorer(&scorer, log, &evaluation, &plains, NULL), SESSREC_OK);
    d.recall = mine.all.recall[2];
    d.plain_recall = plains.all.recall[2];
    run_end(&r);
    free_network(&plain);
    sessrec_log_destroy(log);
    return d;
}

static void lecture(void) {
    sessrec_config config = sessrec_config_default();
    config.hidden[0] = 20;
    config.batch_size = 8;
    config.negatives = 30;
    config.optimizer.learning_rate = 0.05f;
    config.dropout_hidden = 0;
    TEST("the plain program and the library begin with the same weights and have the same losses") {
        for (int which = 0; which < 4; ++which) {
            config.loss = sessrec_config_default().loss;
            config.negatives = which == 1 ? 0 : 30;
            if (which == 2) config.loss.kind = SESSREC_LOSS_BPR_MAX, config.loss.activation = SESSREC_ELU;
            if (which == 3) config.loss.skip_own_target = 0;
            const difference d = compare(&config);
            CHECK(d.steps > 300);
            CHECK_NEAR(d.loss, 0, 1e-4);
            CHECK_NEAR(d.weights, 0, 1e-4);
            CHECK_NEAR(d.plain_recall, d.recall, 2e-3);
        }
    }
    TEST("the comparison notices when one of them drops other units") {
        config.dropout_hidden = 0.3f;  // other masks
        CHECK(compare(&config).loss > 1e-3);
    }
}

int main(void) {
    lecture();
    return test_report("lecture");
}
