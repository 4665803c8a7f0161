// One test for each mistake that reimplementations of GRU4Rec are known for (Hidasi, Czapp: "The Effect of
// Third Party Implementations on Reproducibility" and "Widespread Flaws in Offline Evaluation of Recommender
// Systems", both RecSys 2023) and for each that was found in published programs. A test's name begins with
// its number in the table of tests/README.md. Most are short: other files go deeper.
#define SESSREC_IMPLEMENTATION
#include "models.h"

// ---- helpers ----------------------------------------------------------------------------------------------

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }

// One row of a loss by sessrec_loss: the target is column 0.
static double row_loss(const sessrec_loss_config *config, int32_t columns, const float *scores,
                       const int32_t *items, const float *proposal, float *gradient) {
    float loss, scratch[8 * 16];
    CHECK_EQ(sessrec_loss(config, 0, 1, columns, NULL, items, proposal, scores, &loss, gradient, scratch),
             SESSREC_OK);
    return (double)loss;
}

static sessrec_loss_config loss_of(sessrec_loss_kind kind) {
    sessrec_loss_config config = sessrec_config_default().loss;
    config.kind = kind;
    config.bpreg = 0;
    return config;
}

static sessrec_trainer *trainer_of(const sessrec_config *config, const sessrec_log *log) {
    sessrec_trainer *trainer = NULL;
    CHECK_EQ(sessrec_trainer_create(config, log, &trainer, NULL), SESSREC_OK);
    return trainer;
}

static sessrec_mutable_tensor tensor_of(sessrec_trainer *trainer, const char *name) {
    sessrec_mutable_tensor tensor;
    CHECK_EQ(sessrec_trainer_tensor(trainer, name, &tensor, NULL), SESSREC_OK);
    return tensor;
}

static sessrec_model *train(const sessrec_config *config, const sessrec_log *log) {
    sessrec_model *model = NULL;
    sessrec_error err;
    const sessrec_result result = sessrec_train(config, log, NULL, &model, &err);
    CHECK_EQ(result, SESSREC_OK);
    if (result) printf("        %s\n", err.text);
    return model;
}

// A mini-batch that begins as many sessions as it has rows.
static sessrec_batch first_batch(int32_t rows, const int32_t *input, const int32_t *target, int32_t negatives,
                                 const int32_t *negative) {
    static const int32_t ones[8] = {1, 1, 1, 1, 1, 1, 1, 1}, numbers[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    sessrec_batch batch;
    memset(&batch, 0, sizeof batch);
    batch.rows = rows;
    batch.inputs = input;
    batch.targets = target;
    batch.negative_count = negatives;
    batch.negatives = negative;
    batch.sessions = numbers;
    batch.session_starts = ones;
    batch.previous_rows = numbers;
    return batch;
}

// nothing random but the first weights, nothing but plain gradient steps
static sessrec_config plain_config(void) {
    sessrec_config config = small_config(1, 5);
    config.dropout_hidden = 0;
    config.optimizer.kind = SESSREC_SGD;
    config.optimizer.momentum = 0;
    config.loss.logq = 0;
    config.negatives = 3;
    config.epochs = 2;
    return config;
}

static sessrec_log *abc_log(void) {
    static const char *const sessions[6] = {"abcd", "bcd", "dabcef", "ef", "fedc", "cfa"};
    return letters_log(6, sessions, NULL);
}

static sessrec_report evaluate(const sessrec_model *model, const sessrec_log *log,
                               const sessrec_eval_config *config) {
    sessrec_report report;
    sessrec_error err;
    memset(&report, 0, sizeof report);
    CHECK_EQ(sessrec_evaluate(model, log, config, &report, &err), SESSREC_OK);
    return report;
}

// Events of an evaluation in the order of the log.
static event_list events_of(const sessrec_model *model, const sessrec_log *log) {
    event_list list;
    const sessrec_eval_config eval = eval_into(&list);
    evaluate(model, log, &eval);
    return list;
}

// ---- training ---------------------------------------------------------------------------------------------

// The state of every slot after each step of an epoch is what the GRU makes of the session's items so far,
// from zero.
static void states_follow_sessions(void) {
    TEST("F1 the reset of a hidden state applies once, where a new session enters the slot; the others keep "
         "their state") {
        sessrec_log *log = abc_log();
        const sessrec_log_view view = sessrec_log_contents(log);
        sessrec_config config = plain_config();
        config.batch_size = 2;
        sessrec_trainer *trainer = trainer_of(&config, log);
        sessrec_batch batch;
        float expected[6][5] = {{0}}, tape[20];
        int32_t clicks[6] = {0};
        sessrec_batcher *batcher = batcher_of(&config, log, NULL);
        const sessrec_gru *gru = &model_of(trainer)->gru[0];
        const sessrec_mutable_tensor Wy = tensor_of(trainer, "Wy");
        while (!sessrec_batcher_next(batcher, &batch) && batch.rows) {
            // no update: the weights stay
            CHECK_EQ(sessrec_trainer_grad(trainer, &batch, NULL, NULL), SESSREC_OK);
            const sessrec_mutable_tensor hidden = tensor_of(trainer, "hidden0");
            for (int32_t i = 0; i < batch.rows; ++i) {
                const int32_t s = batch.sessions[i], item = view.items[view.session_begins[s] + clicks[s]++];
                sessrec_gru_forward(gru, 1, Wy.data + item * 5, expected[s], expected[s], tape);
                for (int j = 0; j < 5; ++j) CHECK_NEAR(hidden.data[i * 5 + j], expected[s][j], 1e-6);
            }
        }
        for (int s = 0; s < 6; ++s)
            CHECK_EQ(clicks[s] + 1, view.session_begins[s + 1] - view.session_begins[s]);
        sessrec_batcher_destroy(batcher);
        sessrec_trainer_destroy(trainer);
        sessrec_log_destroy(log);
    }
}

static int64_t pairs_of_epoch(const char *const *text, int sessions, int32_t slots, int32_t negatives) {
    sessrec_log *log = letters_log(sessions, text, NULL);
    sessrec_config config = plain_config();
    config.batch_size = slots;
    config.negatives = negatives;
    sessrec_batcher *batcher = batcher_of(&config, log, NULL);
    const int64_t pairs = sessrec_batcher_pairs(batcher);
    sessrec_batcher_destroy(batcher);
    sessrec_log_destroy(log);
    return pairs;
}

static void batches(void) {
    TEST("F3 tail sessions are never dropped: the batch shrinks; fewer sessions than slots and one session "
         "work") {
        static const char *const sessions[3] = {"abcd", "ab", "cdefa"};
        CHECK_EQ(pairs_of_epoch(sessions, 3, 2, 1), 8);
        CHECK_EQ(pairs_of_epoch(sessions, 3, 32, 1), 8);
        CHECK_EQ(pairs_of_epoch(sessions, 1, 32, 1), 3);
        // without negatives a lone slot has nothing to be compared with
        CHECK_EQ(pairs_of_epoch(sessions, 2, 2, 0), 2);
        sessrec_log *one = letters_log(1, sessions, NULL);
        sessrec_config config = plain_config();
        sessrec_model_destroy(train(&config, one));
        sessrec_log_destroy(one);
    }
    TEST("F6 sessions are not padded: all rows of an epoch together are its pairs") {
        static const char *const sessions[3] = {"ab", "abcdefabcdef", "cd"};
        CHECK_EQ(pairs_of_epoch(sessions, 3, 3, 1), 13);
        sessrec_log *log = letters_log(3, sessions, NULL);
        sessrec_config config = plain_config();
        sessrec_batch batch;
        int64_t rows = 0;
        config.batch_size = 3;
        sessrec_batcher *batcher = batcher_of(&config, log, NULL);
        while (!sessrec_batcher_next(batcher, &batch) && batch.rows) rows += batch.rows;
        CHECK_EQ(rows, 13);
        sessrec_batcher_destroy(batcher);
        sessrec_log_destroy(log);
    }
}

// Sets the n-th hyper-parameter to another value, and whatever it needs to have an effect in both
// configurations. 0 if there is none.
static int change(int n, sessrec_config *base, sessrec_config *other) {
    switch (n) {
    case 0: base->layer_count = 2; *other = *base; other->layer_count = 1; return 1;
    case 1: *other = *base; other->hidden[0] = 6; return 1;
    case 2: *other = *base; other->embedding = SESSREC_EMBEDDING_NONE; return 1;
    case 3:
        base->embedding = SESSREC_EMBEDDING_SEPARATE;
        base->embedding_width = 3;
        *other = *base;
        other->embedding_width = 4;
        return 1;
    case 4: *other = *base; other->gru = SESSREC_RESET_AFTER; return 1;
    case 5: *other = *base; other->loss.kind = SESSREC_LOSS_BPR_MAX; return 1;
    case 6: *other = *base; other->loss.activation = SESSREC_TANH; return 1;
    case 7: base->loss.activation = SESSREC_ELU; *other = *base; other->loss.activation_a = 1; return 1;
    case 8: base->loss.activation = SESSREC_SELU; *other = *base; other->loss.activation_b = 2; return 1;
    case 9: base->loss.kind = SESSREC_LOSS_BPR; *other = *base; other->loss.with_diagonal = 0; return 1;
    case 10: base->loss.kind = SESSREC_LOSS_BPR_MAX; *other = *base; other->loss.bpreg = 2; return 1;
    case 11: *other = *base; other->loss.logq = 1; return 1;
    case 12: *other = *base; other->loss.smoothing = 0.1f; return 1;
    case 13: *other = *base; other->loss.skip_own_target = 0; return 1;
    case 14: *other = *base; other->optimizer.kind = SESSREC_ADAGRAD; return 1;
    case 15: *other = *base; other->optimizer.learning_rate = 0.1f; return 1;
    case 16: *other = *base; other->optimizer.momentum = 0.1f; return 1;
    case 17: base->optimizer.kind = SESSREC_RMSPROP; *other = *base; other->optimizer.decay = 0.8f; return 1;
    case 18: base->optimizer.kind = SESSREC_ADAM; *other = *base; other->optimizer.beta1 = 0.8f; return 1;
    case 19: base->optimizer.kind = SESSREC_ADAM; *other = *base; other->optimizer.beta2 = 0.9f; return 1;
    case 20:
        base->optimizer.kind = SESSREC_ADAGRAD;
        *other = *base;
        other->optimizer.epsilon = 1e-4f;
        return 1;
    case 21: *other = *base; other->optimizer.l2 = 0.01f; return 1;
    case 22: *other = *base; other->optimizer.gradient_cap = 0.01f; return 1;
    case 23: *other = *base; other->dropout_input = 0.2f; return 1;
    case 24: *other = *base; other->dropout_hidden = 0.2f; return 1;
    case 25: *other = *base; other->batch_size = 3; return 1;
    case 26: *other = *base; other->negatives = 4; return 1;
    case 27: *other = *base; other->alpha = 1; return 1;
    case 28: *other = *base; other->epochs = 3; return 1;
    case 29: *other = *base; other->shuffle_sessions = 1; return 1;
    case 30: *other = *base; other->seed = 2; return 1;
    case 31: *other = *base; other->loss.hardest = 2; return 1;
    case 32: base->loss.kind = SESSREC_LOSS_GBCE; *other = *base; other->loss.sampling_rate = 0.1f; return 1;
    case 33:
        base->loss.kind = SESSREC_LOSS_GBCE;
        base->loss.sampling_rate = 0.5f;
        *other = *base;
        other->loss.calibration = 0.25f;
        return 1;
    default: return 0;
    }
}

// The weights alone: what the file says about the model is not what is compared.
static int same_weights(const sessrec_model *a, const sessrec_model *b) {
    const char *name;
    for (int32_t t = 0; (name = sessrec_model_tensor_name(a, t)) != NULL; ++t) {
        sessrec_tensor x, y;
        if (sessrec_model_tensor(a, name, &x) || sessrec_model_tensor(b, name, &y)) return 0;
        if (x.rows != y.rows || x.columns != y.columns ||
            memcmp(x.data, y.data, (size_t)x.rows * (size_t)x.columns * sizeof(float)))
            return 0;
    }
    return 1;
}

static void settings(void) {
    TEST("F4 no hyper-parameter is fixed in the code: each one that is changed changes the weights") {
        sessrec_log *log = abc_log();
        sessrec_config base = plain_config(), other;
        int n = 0;
        for (; change(n, &base, &other); ++n, base = plain_config()) {
            sessrec_model *a = train(&base, log), *b = train(&other, log);
            const int same = same_weights(a, b);
            CHECK(!same);
            if (same) printf("        change %d has no effect\n", n);
            sessrec_model_destroy(a);
            sessrec_model_destroy(b);
        }
        CHECK_EQ(n, 34);
        sessrec_log_destroy(log);
    }
    TEST("F20 the default optimizer is Adagrad; momentum is a parameter, and it is classical momentum") {
        CHECK_EQ(sessrec_config_default().optimizer.kind, SESSREC_ADAGRAD);
        sessrec_optimizer_config config = sessrec_config_default().optimizer;
        config.kind = SESSREC_SGD;
        config.learning_rate = 0.5f;
        config.momentum = 0.25f;
        float w = 1, g = 2, velocity = 0;
        sessrec_optimizer_state state;
        memset(&state, 0, sizeof state);
        state.velocity = &velocity;
        sessrec_optimizer_update(&config, 1, 1, NULL, &w, &g, &state);
        CHECK_NEAR(velocity, -1, 0);    // v = 0.25 * 0 - 0.5 * 2; Nesterov's w would be 1 + 0.25 * -1 - 1
        CHECK_NEAR(w, 0, 0);
        g = 2;
        sessrec_optimizer_update(&config, 1, 1, NULL, &w, &g, &state);
        CHECK_NEAR(velocity, -1.25, 0);
        CHECK_NEAR(w, -1.25, 0);
    }
    TEST("P9 the dropout that is configured is the one that is applied: input and hidden each with its own") {
        sessrec_log *log = random_log(30, 20, 3);
        for (int input = 0; input < 2; ++input) {
            sessrec_config config = small_config(1, 60);
            sessrec_batch batch;
            int zeros[2] = {0, 0};
            config.batch_size = 16;
            config.dropout_input = input ? 0.5f : 0;
            config.dropout_hidden = input ? 0 : 0.25f;
            sessrec_trainer *trainer = trainer_of(&config, log);
            sessrec_batcher *batcher = batcher_of(&config, log, NULL);
            CHECK_EQ(sessrec_batcher_next(batcher, &batch), SESSREC_OK);
            CHECK_EQ(sessrec_trainer_grad(trainer, &batch, NULL, NULL), SESSREC_OK);
            const sessrec_mutable_tensor hidden = tensor_of(trainer, "hidden0");
            for (int i = 0; i < batch.rows * 60; ++i) {
                zeros[0] += trainer->x[i] == 0;
                zeros[1] += hidden.data[i] == 0;
            }
            CHECK_NEAR(zeros[0] / (60.0 * batch.rows), input ? 0.5 : 0, 0.06);
            CHECK_NEAR(zeros[1] / (60.0 * batch.rows), input ? 0 : 0.25, 0.06);
            sessrec_batcher_destroy(batcher);
            sessrec_trainer_destroy(trainer);
        }
        sessrec_log_destroy(log);
    }
    TEST("F14 F15 F16 dropout takes the probability of dropping, works on a single layer, on the last of "
         "several and on the input") {
        sessrec_log *log = random_log(30, 20, 4);
        for (int32_t layers = 1; layers <= 2; ++layers) {
            sessrec_config config = small_config(layers, 80);
            sessrec_batch batch;
            config.batch_size = 16;
            config.dropout_hidden = 0.75f;
            sessrec_trainer *trainer = trainer_of(&config, log);
            sessrec_batcher *batcher = batcher_of(&config, log, NULL);
            CHECK_EQ(sessrec_batcher_next(batcher, &batch), SESSREC_OK);
            CHECK_EQ(sessrec_trainer_grad(trainer, &batch, NULL, NULL), SESSREC_OK);
            for (int32_t l = 0; l < layers; ++l) {
                const sessrec_mutable_tensor hidden = tensor_of(trainer, l ? "hidden1" : "hidden0");
                int zeros = 0;
                for (int i = 0; i < batch.rows * hidden.columns; ++i) zeros += hidden.data[i] == 0;
                CHECK_NEAR(zeros / ((double)hidden.columns * batch.rows), 0.75, 0.04);
            }
            sessrec_batcher_destroy(batcher);
            sessrec_trainer_destroy(trainer);
        }
        sessrec_log_destroy(log);
    }
    TEST("F14 dropout is off in evaluation") {
        sessrec_log *log = abc_log();
        sessrec_config config = plain_config();
        config.dropout_hidden = config.dropout_input = 0.9f;
        sessrec_model *model = train(&config, log);
        const event_list a = events_of(model, log), b = events_of(model, log);
        sessrec_tensor Wy;
        float h[5] = {0}, tape[20], score;
        static unsigned char memory[4096];
        sessrec_session *session = NULL;
        CHECK(a.count > 0 && !memcmp(&a, &b, sizeof a));
        CHECK_EQ(sessrec_session_init(model, 0, memory, sizeof memory, &session, NULL), SESSREC_OK);
        CHECK_EQ(sessrec_session_click(session, 2), SESSREC_OK);
        CHECK_EQ(sessrec_model_tensor(model, "Wy", &Wy), SESSREC_OK);
        sessrec_gru_forward(&model->gru[0], 1, Wy.data + 2 * 5, h, h, tape);  // without any mask
        double expected = (double)model->By[4];
        for (int j = 0; j < 5; ++j) expected += (double)h[j] * (double)Wy.data[4 * 5 + j];
        const int32_t item = 4;
        CHECK_EQ(sessrec_session_score(session, &item, 1, &score), SESSREC_OK);
        CHECK_NEAR(score, expected, 1e-6);
        sessrec_model_destroy(model);
        sessrec_log_destroy(log);
    }
}

// ---- losses -----------------------------------------------------------------------------------------------

static void losses(void) {
    float gradient[16];
    TEST("F7 softmax is applied once: the loss is -log of the target's share, the gradient share minus "
         "target") {
        const float s[3] = {1, 3, -2};
        const double total = exp(1) + exp(3) + exp(-2);
        sessrec_loss_config xe = loss_of(SESSREC_LOSS_XE);
        CHECK_NEAR(row_loss(&xe, 3, s, NULL, NULL, gradient), -log(exp(1) / total), 1e-6);
        CHECK_NEAR(gradient[0], exp(1) / total - 1, 1e-6);
        CHECK_NEAR(gradient[1], exp(3) / total, 1e-6);
        CHECK_NEAR(gradient[2], exp(-2) / total, 1e-6);
    }
    TEST("F9 BPR-max is -log of the weighted sum plus bpreg times the weighted squares, weights over the "
         "negatives only") {
        const float s[4] = {0.5f, 1, -1, 2};
        double total = exp(1) + exp(-1) + exp(2), sum = 0, squares = 0;
        for (int j = 1; j < 4; ++j) {
            const double w = exp((double)s[j]) / total;
            sum += w * sigmoid((double)s[0] - (double)s[j]);
            squares += w * (double)s[j] * (double)s[j];
        }
        sessrec_loss_config bpr_max = loss_of(SESSREC_LOSS_BPR_MAX);
        bpr_max.bpreg = 0.5f;
        CHECK_NEAR(row_loss(&bpr_max, 4, s, NULL, NULL, gradient), -log(sum) + 0.5 * squares, 1e-6);
    }
    TEST("F10 no logarithm meets a zero: scores 160 apart give a loss of 160 and a finite gradient") {
        const float s[2] = {-80, 80};
        for (int kind = SESSREC_LOSS_XE; kind <= SESSREC_LOSS_BPR_MAX; ++kind) {
            sessrec_loss_config config = loss_of((sessrec_loss_kind)kind);
            config.with_diagonal = 0;
            const double loss = row_loss(&config, 2, s, NULL, NULL, gradient);
            if (kind == SESSREC_LOSS_TOP1 || kind == SESSREC_LOSS_TOP1_MAX) CHECK_NEAR(loss, 2, 1e-6);
            else CHECK_NEAR(loss, 160, 1e-6);
            CHECK(isfinite(gradient[0]) && isfinite(gradient[1]));
            // with eps = 1e-24 it would be 0
            if (kind == SESSREC_LOSS_XE || kind == SESSREC_LOSS_BPR_MAX) CHECK_NEAR(gradient[0], -1, 1e-6);
        }
    }
    TEST("F11 bpreg is a parameter, and TOP1 has both its terms") {
        const float s[2] = {1, 2};
        sessrec_loss_config config = loss_of(SESSREC_LOSS_BPR_MAX);
        const double without = row_loss(&config, 2, s, NULL, NULL, gradient);
        config.bpreg = 3;
        CHECK_NEAR(row_loss(&config, 2, s, NULL, NULL, gradient), without + 3 * 4, 1e-6);
        sessrec_loss_config top1 = loss_of(SESSREC_LOSS_TOP1);
        top1.with_diagonal = 0;
        CHECK_NEAR(row_loss(&top1, 2, s, NULL, NULL, gradient), sigmoid(1) + sigmoid(4), 1e-6);
    }
    TEST("P10 whether a negative that is the row's own target counts is a switch; by default it does not") {
        const float s[3] = {1, 2, 0.5f};
        const int32_t items[3] = {7, 9, 7};
        sessrec_loss_config xe = loss_of(SESSREC_LOSS_XE);
        CHECK_EQ(sessrec_config_default().loss.skip_own_target, 1);
        xe.skip_own_target = 0;
        CHECK_NEAR(row_loss(&xe, 3, s, items, NULL, gradient), log(exp(1) + exp(2) + exp(0.5)) - 1, 1e-6);
        CHECK(gradient[2] > 0);
        xe.skip_own_target = 1;
        CHECK_NEAR(row_loss(&xe, 3, s, items, NULL, gradient), log(exp(1) + exp(2)) - 1, 1e-6);
        CHECK_NEAR(gradient[2], 0, 0);
    }
}

// ---- a step -----------------------------------------------------------------------------------------------

static void ones_loss(void *user, int32_t first_row, int32_t rows, int32_t columns, const int32_t *items,
                      const float *scores, float *loss, float *gradient) {
    (void)user, (void)first_row, (void)items, (void)scores;
    for (int32_t i = 0; i < rows; ++i) loss[i] = 1;
    memset(gradient, 0, (size_t)rows * (size_t)columns * sizeof *gradient);
}
static void nan_loss(void *user, int32_t first_row, int32_t rows, int32_t columns, const int32_t *items,
                     const float *scores, float *loss, float *gradient) {
    ones_loss(user, first_row, rows, columns, items, scores, loss, gradient);
    if (--*(int32_t *)user == 0) loss[0] = NAN;
}

static void steps(void) {
    static const int32_t input[3] = {0, 1, 2}, target[3] = {3, 4, 3}, negative[3] = {5, 3, 5};
    sessrec_log *clicks = random_log(60, 200, 9);
    TEST("F8 F12 only the rows of the sampled items are gathered, scored and changed, not the catalogue") {
        sessrec_config config = plain_config();
        config.optimizer.kind = SESSREC_ADAGRAD;
        sessrec_trainer *trainer = trainer_of(&config, clicks);
        sessrec_batch batch = first_batch(3, input, target, 3, negative);
        const sessrec_mutable_tensor Wy = tensor_of(trainer, "Wy");
        CHECK_EQ(Wy.rows, 200);
        float *before = (float *)malloc(200 * 5 * sizeof *before);
        memcpy(before, Wy.data, 200 * 5 * sizeof *before);
        CHECK_EQ(sessrec_trainer_step(trainer, &batch, NULL, NULL), SESSREC_OK);
        // items 3, 4, 5, and the inputs, whose table it is too
        CHECK_EQ(tensor_of(trainer, "grad.Wy").rows, 3 + 3);
        CHECK_EQ(tensor_of(trainer, "grad.By").rows, 3);
        int changed[2] = {0, 0};
        for (int i = 0; i < 200; ++i)
            changed[i < 6] += memcmp(before + i * 5, Wy.data + i * 5, 5 * sizeof *before) != 0;
        CHECK_EQ(changed[1], 6);
        CHECK_EQ(changed[0], 0);
        free(before);
        sessrec_trainer_destroy(trainer);
    }
    TEST("F17 Adagrad's accumulator starts at 0: the first step is the learning rate times the gradient's "
         "sign") {
        sessrec_config config = plain_config();
        config.optimizer.kind = SESSREC_ADAGRAD;
        config.optimizer.epsilon = 1e-20f;
        sessrec_trainer *trainer = trainer_of(&config, clicks);
        sessrec_batch batch = first_batch(3, input, target, 3, negative);
        sessrec_mutable_tensor b = tensor_of(trainer, "L0.b"), acc = tensor_of(trainer, "acc.L0.b"),
                       all = tensor_of(trainer, "acc.Wy");
        int nonzero = 0;
        for (int i = 0; i < all.rows * all.columns; ++i) nonzero += all.data[i] != 0;
        for (int j = 0; j < 15; ++j) nonzero += acc.data[j] != 0;
        CHECK_EQ(nonzero, 0);
        CHECK_EQ(sessrec_trainer_grad(trainer, &batch, NULL, NULL), SESSREC_OK);
        float g[15];
        memcpy(g, tensor_of(trainer, "grad.L0.b").data, sizeof g);
        CHECK_EQ(sessrec_trainer_apply(trainer, NULL), SESSREC_OK);
        for (int j = 5; j < 15; ++j) {  // the reset gate has no gradient where the state is 0
            CHECK_NEAR(b.data[j], g[j] > 0 ? -0.2 : 0.2, 1e-5);
            CHECK_NEAR(acc.data[j], (double)g[j] * (double)g[j], 1e-6);
        }
        sessrec_trainer_destroy(trainer);
    }
    TEST("F18 no hidden decay of the learning rate: a step in epoch 1,000,000 is as large as one in the "
         "first") {
        sessrec_config config = plain_config();
        sessrec_trainer *early = trainer_of(&config, clicks), *late = trainer_of(&config, clicks);
        sessrec_batch batch = first_batch(3, input, target, 3, negative);
        CHECK_EQ(sessrec_trainer_step(early, &batch, NULL, NULL), SESSREC_OK);
        batch.epoch = 1000000;
        batch.step = 1000000000;
        CHECK_EQ(sessrec_trainer_step(late, &batch, NULL, NULL), SESSREC_OK);
        CHECK(same_weights(model_of(early), model_of(late)));
        sessrec_trainer_destroy(early);
        sessrec_trainer_destroy(late);
        float w = 0, g, previous = 0;
        sessrec_optimizer_state none;
        memset(&none, 0, sizeof none);
        for (int i = 0; i < 1000; ++i, previous = w) {
            g = 1;
            sessrec_optimizer_update(&config.optimizer, 1, 1, NULL, &w, &g, &none);
            if (i % 100 == 0) CHECK_NEAR(w - previous, -0.2, 1e-4);
        }
    }
    TEST("F19 weights start uniform in +-sqrt(6 / (rows + columns)), each gate's matrix on its own") {
        sessrec_config config = small_config(1, 40);
        config.embedding = SESSREC_EMBEDDING_SEPARATE;
        config.embedding_width = 20;
        sessrec_trainer *trainer = trainer_of(&config, clicks);
        const sessrec_mutable_tensor W = tensor_of(trainer, "L0.W");
        for (int gate = 0; gate < 3; ++gate) {
            float most = 0;
            for (int i = 0; i < 20; ++i)
                for (int j = 0; j < 40; ++j) most = fmaxf(most, fabsf(W.data[i * 120 + gate * 40 + j]));
            // were the three one matrix, it would be sqrt(6 / 140)
            CHECK_NEAR(most, sqrt(6.0 / (20 + 40)), 0.01);
        }
        sessrec_trainer_destroy(trainer);
    }
    TEST("P4 the logQ split between targets and samples follows the live width of the batch") {
        sessrec_config config = plain_config();
        double loss = 0;
        config.loss.logq = 1;
        config.loss.skip_own_target = 0;
        config.alpha = 0.75f;  // other than the default
        config.batch_size = 4;
        sessrec_trainer *trainer = trainer_of(&config, clicks);
        sessrec_mutable_tensor Wy = tensor_of(trainer, "Wy"), By = tensor_of(trainer, "By");
        memset(Wy.data, 0, 200 * 5 * sizeof(float));
        for (int i = 0; i < 6; ++i) By.data[i] = 0.1f * (float)i;
        sessrec_batch batch = first_batch(1, input, target, 3, negative);  // one live row of four
        CHECK_EQ(sessrec_trainer_grad(trainer, &batch, &loss, NULL), SESSREC_OK);
        double s[4], total = 0;
        for (int c = 0; c < 4; ++c) {
            const int32_t item = c ? negative[c - 1] : target[0];
            const double log_support =
                log((double)sessrec_model_support(model_of(trainer), item));
            s[c] = (double)By.data[item] - (c ? 0.75 : 1) * log_support;
            total += exp(s[c]);
        }
        CHECK_NEAR(loss, (log(total) - s[0]) / 4, 1e-5);
        sessrec_trainer_destroy(trainer);
    }
    TEST("P6 rows that occur twice: gradients summed, then one update") {
        int32_t ids[4] = {8, 3, 8, 8}, scratch[26];
        float g[8] = {1, 2, 10, 20, 100, 200, 1000, 2000};
        CHECK_EQ(sessrec_sum_duplicates(4, 2, ids, g, scratch), 2);
        CHECK_EQ(ids[0], 8);
        CHECK_EQ(ids[1], 3);
        CHECK_NEAR(g[0], 1101, 0);
        CHECK_NEAR(g[1], 2202, 0);
        CHECK_NEAR(g[2], 10, 0);
        sessrec_config config = plain_config();
        config.optimizer.kind = SESSREC_ADAGRAD;
        sessrec_trainer *trainer = trainer_of(&config, clicks);
        sessrec_batch batch = first_batch(3, input, target, 3, negative);
        CHECK_EQ(sessrec_trainer_grad(trainer, &batch, NULL, NULL), SESSREC_OK);
        // item 3 is the target of rows 0 and 2, and a negative
        const sessrec_mutable_tensor grad = tensor_of(trainer, "grad.By");
        int rows_of_3 = 0, row = -1;
        for (int c = 0; c < grad.rows; ++c)
            if (grad.row_ids[c] == 3) ++rows_of_3, row = c;
        CHECK_EQ(rows_of_3, 1);
        const double sum = (double)grad.data[row];
        CHECK_EQ(sessrec_trainer_apply(trainer, NULL), SESSREC_OK);
        CHECK_NEAR(tensor_of(trainer, "acc.By").data[3], sum * sum, 1e-6);  // one update with the sum
        sessrec_trainer_destroy(trainer);
    }
    TEST("P11 the loss of a mini-batch is the sum of its rows over the nominal batch size, also when it has "
         "shrunk") {
        sessrec_config config = plain_config();
        double loss = 0;
        config.batch_size = 8;
        config.loss.kind = SESSREC_LOSS_CUSTOM;
        config.loss.custom = ones_loss;
        sessrec_trainer *trainer = trainer_of(&config, clicks);
        for (int32_t rows = 1; rows <= 3; ++rows) {
            sessrec_batch batch = first_batch(rows, input, target, 3, negative);
            CHECK_EQ(sessrec_trainer_step(trainer, &batch, &loss, NULL), SESSREC_OK);
            CHECK_NEAR(loss, rows / 8.0, 0);
        }
        sessrec_trainer_destroy(trainer);
    }
    TEST("P11 and an event's gradient does not depend on how many rows are left: one row alone weighs what "
         "it weighs among eight") {
        sessrec_config config = plain_config();
        config.batch_size = 8;
        // a sum over columns, so a row stands by itself when the columns are the same
        config.loss.kind = SESSREC_LOSS_BPR;
        sessrec_trainer *alone = trainer_of(&config, clicks), *twice = trainer_of(&config, clicks);
        static const int32_t same_input[2] = {0, 0}, same_target[2] = {3, 3}, one[2] = {5, 3}, none[1] = {5};
        sessrec_batch a = first_batch(1, same_input, same_target, 2, one),
                      b = first_batch(2, same_input, same_target, 1, none);
        CHECK_EQ(sessrec_trainer_grad(alone, &a, NULL, NULL), SESSREC_OK);
        CHECK_EQ(sessrec_trainer_grad(twice, &b, NULL, NULL), SESSREC_OK);
        const sessrec_mutable_tensor g = tensor_of(alone, "grad.L0.b"), h = tensor_of(twice, "grad.L0.b");
        for (int j = 0; j < 15; ++j) CHECK_NEAR(h.data[j], 2 * (double)g.data[j], 1e-6);
        sessrec_trainer_destroy(alone);
        sessrec_trainer_destroy(twice);
    }
    sessrec_log_destroy(clicks);
}

// ---- runs -------------------------------------------------------------------------------------------------

typedef struct watcher {
    int32_t epochs;
    double loss;
    int64_t events;
} watcher;
static int32_t watch(void *user, const sessrec_progress *progress) {
    watcher *w = (watcher *)user;
    w->epochs += progress->epoch_done;
    w->loss = progress->loss;
    w->events = progress->events;
    return 0;
}

static void runs(void) {
    sessrec_log *log = abc_log();
    TEST("O1 the loss of an epoch is the mean over its events, not over mini-batches") {
        sessrec_config config = plain_config();
        watcher w = {0, 0, 0};
        config.loss.kind = SESSREC_LOSS_CUSTOM;
        config.loss.custom = ones_loss;  // 1 an event, whatever the size of its mini-batch
        config.progress = watch;
        config.progress_user = &w;
        sessrec_model_destroy(train(&config, log));
        CHECK_NEAR(w.loss, 1, 0);
        CHECK_EQ(w.events, 16);
    }
    TEST("O3 epochs = n runs n epochs") {
        for (int32_t n = 1; n <= 3; ++n) {
            sessrec_config config = plain_config();
            watcher w = {0, 0, 0};
            config.epochs = n;
            config.progress = watch;
            config.progress_user = &w;
            sessrec_model_destroy(train(&config, log));
            CHECK_EQ(w.epochs, n);
        }
    }
    TEST("O4 a loss of NaN is an error with epoch and step, never skipped") {
        sessrec_config config = plain_config();
        sessrec_model *model = NULL;
        sessrec_error err;
        int32_t left = 3;
        config.loss.kind = SESSREC_LOSS_CUSTOM;
        config.loss.custom = nan_loss;
        config.loss.custom_user = &left;
        CHECK_EQ(sessrec_train(&config, log, NULL, &model, &err), SESSREC_DIVERGED);
        CHECK(strstr(err.text, "epoch 1, step 3") != NULL);
        CHECK(model == NULL);
    }
    TEST("P13 every item with support can be drawn: integers of 64 bits, a million items beside one that is "
         "10^9 times as frequent") {
        enum { ITEMS = 1000000 };
        int64_t *support = (int64_t *)malloc(ITEMS * sizeof *support);
        int64_t lost = 0;
        sessrec_sampler *sampler = NULL;
        for (int i = 0; i < ITEMS; ++i) support[i] = i ? 1 : 1000000000;
        CHECK_EQ(sessrec_sampler_create(support, ITEMS, 1, NULL, &sampler, NULL), SESSREC_OK);
        for (int i = 1; i < ITEMS; ++i) lost += sampler->sum[i] == sampler->sum[i - 1];
        CHECK_EQ(lost, 0);
        sessrec_sampler_destroy(sampler);
        free(support);
    }
    TEST("P15 the input is never modified: log, configuration, mini-batch and text are the same afterwards") {
        const char *text = "SessionId\tItemId\tTime\n1\t7\t5\n1\t8\t6\n2\t7\t7\n2\t9\t8\n";
        char copy[128];
        sessrec_log_format format = sessrec_log_format_default();
        sessrec_log *parsed = NULL;
        strcpy(copy, text);
        CHECK_EQ(sessrec_log_import(copy, strlen(copy), &format, &parsed, NULL), SESSREC_OK);
        CHECK_TEXT(copy, text);
        sessrec_log_destroy(parsed);
        sessrec_config config = plain_config(), config_before = config;
        const sessrec_log_view view = sessrec_log_contents(log);
        int32_t items[64];
        double times[64];
        memcpy(items, view.items, (size_t)view.event_count * sizeof *items);
        memcpy(times, view.times, (size_t)view.event_count * sizeof *times);
        sessrec_model *model = train(&config, log);
        sessrec_eval_config eval = sessrec_eval_config_default();
        evaluate(model, log, &eval);
        CHECK(!memcmp(&config, &config_before, sizeof config));
        CHECK(!memcmp(items, view.items, (size_t)view.event_count * sizeof *items));
        CHECK(!memcmp(times, view.times, (size_t)view.event_count * sizeof *times));
        int32_t input[2] = {0, 1}, target[2] = {1, 2}, negative[1] = {3};
        sessrec_trainer *trainer = trainer_of(&config, log);
        sessrec_batch batch = first_batch(2, input, target, 1, negative);
        CHECK_EQ(sessrec_trainer_step(trainer, &batch, NULL, NULL), SESSREC_OK);
        CHECK(input[0] == 0 && input[1] == 1 && target[0] == 1 && target[1] == 2 && negative[0] == 3);
        sessrec_trainer_destroy(trainer);
        sessrec_model_destroy(model);
    }
    sessrec_log_destroy(log);
}

// ---- evaluation -------------------------------------------------------------------------------------------

static sessrec_model *some_model(const sessrec_log *log) {
    sessrec_config config = small_config(1, 6);
    return random_model(&config, log, 77);
}

static void ranking(void) {
    const float scores[6] = {5, 4, 4, 4, 3, NAN};
    int64_t higher, equal;
    TEST("F21 rank <= k is a hit") {
        static const int32_t cutoff[2] = {2, 3};
        sessrec_metrics m;
        memset(&m, 0, sizeof m);
        sessrec_metrics_add(&m, 3, 2, cutoff);
        CHECK_NEAR(m.recall[0], 0, 0);
        CHECK_NEAR(m.recall[1], 1, 0);
    }
    TEST("O8 E5 ties: conservative by default, standard and median on request; NaN ranks last") {
        sessrec_rank_counts(scores, 6, 2, &higher, &equal);
        CHECK_EQ(sessrec_eval_config_default().ties, SESSREC_TIES_CONSERVATIVE);
        CHECK_NEAR(sessrec_rank(higher, equal, SESSREC_TIES_CONSERVATIVE), 4, 0);
        CHECK_NEAR(sessrec_rank(higher, equal, SESSREC_TIES_STANDARD), 2, 0);
        CHECK_NEAR(sessrec_rank(higher, equal, SESSREC_TIES_MEDIAN), 3, 0);
        sessrec_rank_counts(scores, 6, 5, &higher, &equal);
        CHECK_NEAR(sessrec_rank(higher, equal, SESSREC_TIES_STANDARD), 6, 0);
    }
    TEST("O8 E5 constant scores have recall 0 when ties are conservative and 1 when they are standard") {
        sessrec_log *log = random_log(30, 60, 5);
        sessrec_config config = small_config(1, 6);
        sessrec_trainer *trainer = trainer_of(&config, log);
        memset(tensor_of(trainer, "Wy").data, 0, 60 * 6 * sizeof(float));
        sessrec_eval_config eval = sessrec_eval_config_default();
        CHECK_NEAR(evaluate(model_of(trainer), log, &eval).all.recall[3], 0, 0);
        eval.ties = SESSREC_TIES_STANDARD;
        CHECK_NEAR(evaluate(model_of(trainer), log, &eval).all.recall[3], 1, 0);
        sessrec_trainer_destroy(trainer);
        sessrec_log_destroy(log);
    }
    TEST("E4 E13 the whole catalogue is ranked: among 60 items with the same score the target is the 60th") {
        sessrec_log *log = random_log(30, 60, 5);
        sessrec_config config = small_config(1, 6);
        sessrec_trainer *trainer = trainer_of(&config, log);
        memset(tensor_of(trainer, "Wy").data, 0, 60 * 6 * sizeof(float));
        const event_list list = events_of(model_of(trainer), log);
        CHECK(list.count > 10);
        for (int i = 0; i < 10; ++i) CHECK_NEAR(list.event[i].rank, 60, 0);
        sessrec_trainer_destroy(trainer);
        sessrec_log_destroy(log);
    }
    TEST("P1 there is one definition of rank: an evaluation gives what sessrec_rank says of the session's "
         "scores") {
        sessrec_log *log = abc_log();
        sessrec_model *model = some_model(log);
        const sessrec_log_view view = sessrec_log_contents(log);
        const event_list list = events_of(model, log);
        static unsigned char memory[4096];
        static const int32_t all[6] = {0, 1, 2, 3, 4, 5};
        sessrec_session *session = NULL;
        CHECK_EQ(sessrec_session_init(model, 0, memory, sizeof memory, &session, NULL), SESSREC_OK);
        for (int i = 0; i < list.count; ++i) {
            const sessrec_event *e = &list.event[i];
            float s[6];
            if (e->position == 0) sessrec_session_end(session);
            CHECK_EQ(e->input, view.items[view.session_begins[e->session] + e->position]);
            sessrec_session_click(session, e->input);
            sessrec_session_score(session, all, 6, s);
            sessrec_rank_counts(s, 6, e->target, &higher, &equal);
            CHECK_NEAR(e->rank, sessrec_rank(higher, equal, SESSREC_TIES_CONSERVATIVE), 0);
        }
        sessrec_model_destroy(model);
        sessrec_log_destroy(log);
    }
}

static void walking(void) {
    static const char *const two[2] = {"abcd", "dcbaf"}, *const second[1] = {"dcbaf"};
    sessrec_log *log = abc_log(), *both = letters_log(2, two, NULL), *alone = letters_log(1, second, NULL);
    sessrec_model *model = some_model(log);
    TEST("F2 E11 states start at zero with each session: one that comes after others ranks as one that comes "
         "alone") {
        sessrec_eval_config eval = sessrec_eval_config_default();
        event_list list[2];
        memset(list, 0, sizeof list);
        eval.batch_size = 1;  // both in the same row
        eval.threads = 1;
        eval.on_event = keep_event;
        eval.on_event_user = &list[0];
        evaluate(model, both, &eval);
        eval.on_event_user = &list[1];
        evaluate(model, alone, &eval);
        CHECK_EQ(list[0].count, 7);
        CHECK_EQ(list[1].count, 4);
        for (int i = 0; i < 4; ++i) CHECK_NEAR(list[0].event[3 + i].rank, list[1].event[i].rank, 0);
    }
    TEST("F23 every position of a session is predicted, none skipped") {
        const event_list list = events_of(model, both);
        CHECK_EQ(list.count, 7);
        for (int i = 0; i < 7; ++i) {
            CHECK_EQ(list.event[i].session, i < 3 ? 0 : 1);
            CHECK_EQ(list.event[i].position, i < 3 ? i : i - 3);
        }
    }
    TEST("E9 it is the next item that is predicted, not any later one") {
        const event_list list = events_of(model, both);
        static const char target[7] = {'b', 'c', 'd', 'c', 'b', 'a', 'f'};
        for (int i = 0; i < 7; ++i)
            CHECK_EQ(sessrec_model_item_id(model, list.event[i].target)[0], target[i]);
    }
    TEST("E14 the rank of every event can be written out, and the metrics are the means over them (O1)") {
        const event_list list = events_of(model, both);
        sessrec_eval_config eval = sessrec_eval_config_default();
        const sessrec_report report = evaluate(model, both, &eval);
        double mrr = 0, recall = 0;
        for (int i = 0; i < list.count; ++i) {
            mrr += list.event[i].rank <= 5 ? 1 / list.event[i].rank : 0;
            recall += list.event[i].rank <= 5;
        }
        CHECK_EQ(report.event_count, 7);
        CHECK_NEAR(report.all.mrr[1], mrr / 7, 1e-12);
        CHECK_NEAR(report.all.recall[1], recall / 7, 1e-12);
    }
    TEST("P3 a last batch of one row is evaluated") {
        static const char *const three[3] = {"ab", "cd", "ef"};
        sessrec_log *odd = letters_log(3, three, NULL);
        sessrec_eval_config eval = sessrec_eval_config_default();
        eval.batch_size = 2;
        CHECK_EQ(evaluate(model, odd, &eval).event_count, 3);
        sessrec_log_destroy(odd);
    }
    TEST("P19 results depend neither on the evaluation's batch size nor on threads") {
        sessrec_eval_config eval = sessrec_eval_config_default();
        sessrec_report expected = evaluate(model, log, &eval);
        for (int32_t size = 1; size <= 7; size += 2)
            for (int32_t threads = 1; threads <= 3; ++threads) {
                eval.batch_size = size;
                eval.threads = threads;
                const sessrec_report report = evaluate(model, log, &eval);
                CHECK(!memcmp(&report.all, &expected.all, sizeof report.all));
            }
    }
    sessrec_model_destroy(model);
    sessrec_log_destroy(log);
    sessrec_log_destroy(both);
    sessrec_log_destroy(alone);
}

static void unknown_count(void) {
    static const char *const clean[2] = {"abc", "dc"}, *const dirty[2] = {"axbcx", "xdyc"};
    sessrec_log *log = abc_log(), *test = letters_log(2, clean, NULL), *with = letters_log(2, dirty, NULL);
    sessrec_model *model = some_model(log);
    TEST("F5 P16 events of items that the model does not know are counted and shift nothing") {
        sessrec_eval_config eval = sessrec_eval_config_default();
        const sessrec_report a = evaluate(model, test, &eval), b = evaluate(model, with, &eval);
        CHECK_EQ(a.unknown_count, 0);
        CHECK_EQ(b.unknown_count, 4);
        CHECK_EQ(b.event_count, 3);
        CHECK(!memcmp(&a.all, &b.all, sizeof a.all));
    }
    TEST("O7 item ids belong to the model: a log that numbers its items otherwise gives the same ranks") {
        static const char *const turned[2] = {"dc", "abc"};
        sessrec_log *other = letters_log(2, turned, NULL);
        CHECK(sessrec_log_find_item(other, "a") != sessrec_log_find_item(test, "a"));
        const event_list a = events_of(model, test), b = events_of(model, other);
        CHECK_EQ(a.event[0].input, b.event[1].input);
        CHECK_NEAR(a.event[0].rank, b.event[1].rank, 0);
        CHECK_NEAR(a.event[1].rank, b.event[2].rank, 0);
        CHECK_NEAR(a.event[2].rank, b.event[0].rank, 0);
        sessrec_log_destroy(other);
    }
    TEST("K3 a missing score is not scored, rather than 0: it ranks behind every score") {
        static unsigned char memory[4096];
        static const int32_t item[2] = {0, -1};
        const float scores[4] = {-5, -INFINITY, -7, NAN};
        sessrec_session *session = NULL;
        float s[2];
        int64_t higher, equal;
        CHECK_EQ(sessrec_session_init(model, 0, memory, sizeof memory, &session, NULL), SESSREC_OK);
        sessrec_session_click(session, 1);
        CHECK_EQ(sessrec_session_score(session, item, 2, s), SESSREC_OK);
        CHECK(isfinite(s[0]) && isinf(s[1]) && s[1] < 0);
        sessrec_rank_counts(scores, 4, 2, &higher, &equal);
        CHECK_NEAR(sessrec_rank(higher, equal, SESSREC_TIES_CONSERVATIVE), 2, 0);
    }
    sessrec_model_destroy(model);
    sessrec_log_destroy(log);
    sessrec_log_destroy(test);
    sessrec_log_destroy(with);
}

// ---- logs -------------------------------------------------------------------------------------------------

static void logs(void) {
    TEST("E3 the split is by time: training ends before the test begins, and what runs across is counted") {
        sessrec_log *log = NULL, *before = NULL, *after = NULL;
        CHECK_EQ(sessrec_log_create(NULL, &log, NULL), SESSREC_OK);
        // session 2 runs across 30
        static const int when[8][2] = {{1, 10}, {1, 20}, {2, 15}, {2, 35}, {3, 30}, {3, 40}, {4, 5}, {4, 29}};
        for (int i = 0; i < 8; ++i)
            CHECK_EQ(sessrec_log_add_numbers(log, -1, when[i][0], i, when[i][1]), SESSREC_OK);
        CHECK_EQ(sessrec_log_finish(log, NULL), SESSREC_OK);
        CHECK_EQ(sessrec_log_split_time(log, 30, &before, &after, NULL), SESSREC_OK);
        const sessrec_log_view a = sessrec_log_contents(before), b = sessrec_log_contents(after);
        double last = 0, first = 1e9;
        for (int64_t i = 0; i < a.event_count; ++i) last = fmax(last, a.times[i]);
        for (int64_t i = 0; i < b.event_count; ++i) first = fmin(first, b.times[i]);
        CHECK_EQ(a.event_count, 4);
        CHECK_EQ(b.event_count, 2);
        CHECK(last < 30 && first >= 30);
        CHECK_EQ(a.dropped_event_count, 2);
        sessrec_log_destroy(log);
        sessrec_log_destroy(before);
        sessrec_log_destroy(after);
    }
    TEST("E6 E7 one rule of filtering, again until nothing changes") {
        // x occurs twice; without the session "xd" (d is rare) only once, and then "axb" is "ab"
        static const char *const sessions[5] = {"axb", "xd", "aab", "ba", "a"};
        sessrec_filter filter = sessrec_filter_default();
        filter.drop_repeats = 1;
        filter.min_support = filter.min_length = 2;
        sessrec_log *log = letters_log(5, sessions, NULL);
        CHECK_EQ(sessrec_log_filter(log, &filter, NULL), SESSREC_OK);
        sessrec_log_view view = sessrec_log_contents(log);
        CHECK_EQ(view.item_count, 2);
        CHECK_EQ(view.session_count, 3);
        CHECK_EQ(view.event_count, 6);
        CHECK_EQ(view.dropped_event_count, 5);
        for (int i = 0; i < 2; ++i) CHECK(view.supports[i] >= 2);
        CHECK_EQ(sessrec_log_filter(log, &filter, NULL), SESSREC_OK);
        view = sessrec_log_contents(log);
        CHECK_EQ(view.event_count, 6);
        sessrec_log_destroy(log);
    }
    TEST("E17 what was dropped, what was unknown and the seed can be reported") {
        sessrec_log *log = abc_log(), *bad = NULL;
        sessrec_log_format format = sessrec_log_format_default();
        const char *text = "SessionId\tItemId\tTime\n1\t7\t5\nbroken\n1\t8\t6\n";
        format.skip_bad_rows = 1;
        CHECK_EQ(sessrec_log_import(text, strlen(text), &format, &bad, NULL), SESSREC_OK);
        CHECK_EQ(sessrec_log_contents(bad).bad_row_count, 1);
        CHECK_EQ(sessrec_log_contents(bad).dropped_event_count, 0);
        sessrec_config config = plain_config();
        config.seed = 4711;
        sessrec_model *model = train(&config, log);
        sessrec_eval_config eval = sessrec_eval_config_default();
        sessrec_report report;
        CHECK_EQ(sessrec_evaluate(model, bad, &eval, &report, NULL), SESSREC_NO_DATA);
        CHECK_EQ(report.unknown_count, 2);
        CHECK_EQ(sessrec_model_describe(model).seed, 4711);
        image bytes = model_bytes(model);
        CHECK(bytes.size > 0);
        free(bytes.data);
        sessrec_model_destroy(model);
        sessrec_log_destroy(log);
        sessrec_log_destroy(bad);
    }
}

// ---- users ------------------------------------------------------------------------------------------------

static const char *const visits[5] = {"abcd", "bcd", "dab", "fe", "ca"}, *const visitor[5] = {"ann", "bob",
                                                                                              "ann", "ann",
                                                                                              "bob"};

static sessrec_config user_config(int32_t layers, sessrec_user_mode mode) {
    sessrec_config config = small_config(layers, 5);
    config.dropout_hidden = 0;
    config.batch_size = 1;
    config.user_hidden = 3;
    config.user_mode = mode;
    return config;
}

// tanh(c W + b), what begins a session in a layer
static void begun(sessrec_trainer *trainer, int layer, const float *c, float *h) {
    const sessrec_mutable_tensor W = tensor_of(trainer, layer ? "I1.W" : "I0.W"),
                         b = tensor_of(trainer, layer ? "I1.b" : "I0.b");
    for (int32_t j = 0; j < W.columns; ++j) {
        double sum = (double)b.data[j];
        for (int32_t i = 0; i < W.rows; ++i) sum += (double)c[i] * (double)W.data[i * W.columns + j];
        h[j] = (float)tanh(sum);
    }
}

// One slot walks through the log; every state is compared with one that is computed here, layer by layer,
// with the cell alone.
static void check_user_states(int32_t layers) {
    sessrec_log *log = letters_log(5, visits, visitor);
    sessrec_config config = user_config(layers, SESSREC_USER_INIT);
    sessrec_trainer *trainer = trainer_of(&config, log);
    sessrec_batch batch;
    float h[2][8] = {{0}}, c[3] = {0}, tape[32];
    int later = 0;
    sessrec_batcher *batcher = batcher_of(&config, log, NULL);
    const sessrec_model *model = model_of(trainer);
    const sessrec_mutable_tensor Wy = tensor_of(trainer, "Wy");
    while (!sessrec_batcher_next(batcher, &batch) && batch.rows) {
        if (batch.user_starts[0]) {
            memset(h, 0, sizeof h);
            memset(c, 0, sizeof c);
        } else if (batch.session_starts[0]) {
            sessrec_gru_forward(&model->user, 1, h[layers - 1], c, c, tape);
            for (int l = 0; l < layers; ++l) begun(trainer, l, c, h[l]);
            ++later;
        }
        const float *x = Wy.data + batch.inputs[0] * Wy.columns;
        for (int l = 0; l < layers; ++l, x = h[l - 1])
            sessrec_gru_forward(&model->gru[l], 1, x, h[l], h[l], tape);
        CHECK_EQ(sessrec_trainer_grad(trainer, &batch, NULL, NULL), SESSREC_OK);
        for (int l = 0; l < layers; ++l) {
            const sessrec_mutable_tensor hidden = tensor_of(trainer, l ? "hidden1" : "hidden0");
            for (int j = 0; j < hidden.columns; ++j) CHECK_NEAR(hidden.data[j], h[l][j], 1e-5);
        }
        for (int j = 0; j < 3; ++j) CHECK_NEAR(tensor_of(trainer, "user").data[j], c[j], 1e-5);
    }
    CHECK_EQ(later, 3);
    sessrec_batcher_destroy(batcher);
    sessrec_trainer_destroy(trainer);
    sessrec_log_destroy(log);
}

static void users(void) {
    TEST("H1 the session's state comes from the user's at every session start but the user's first, where "
         "both are zero") {
        check_user_states(1);
    }
    TEST("H7 every session layer starts anew at a session's start") {
        check_user_states(2);
    }
    TEST("H2 with ALL the user's state reaches all three gates, the candidate too; with GATES only reset and "
         "update") {
        for (int mode = SESSREC_USER_ALL; mode <= SESSREC_USER_GATES; ++mode) {
            sessrec_log *log = letters_log(5, visits, visitor);
            sessrec_config config = user_config(1, (sessrec_user_mode)mode);
            sessrec_trainer *trainer = trainer_of(&config, log);
            sessrec_batch batch;
            static const int32_t negative[1] = {4};
            double size[3] = {0, 0, 0};
            sessrec_batcher *batcher = batcher_of(&config, log, NULL);
            while (!sessrec_batcher_next(batcher, &batch) && batch.rows) {
                batch.negatives = negative;
                batch.negative_count = 1;
                CHECK_EQ(sessrec_trainer_grad(trainer, &batch, NULL, NULL), SESSREC_OK);
                const sessrec_mutable_tensor g = tensor_of(trainer, "grad.C0.W");
                for (int i = 0; i < 3; ++i)
                    for (int j = 0; j < 15; ++j) size[j / 5] += fabs((double)g.data[i * 15 + j]);
            }
            CHECK(size[0] > 0 && size[1] > 0);
            CHECK_EQ(size[2] > 0, mode == SESSREC_USER_ALL);
            sessrec_batcher_destroy(batcher);
            sessrec_trainer_destroy(trainer);
            sessrec_log_destroy(log);
        }
    }
    TEST("H4 the last user and the last session are trained on") {
        sessrec_log *log = letters_log(5, visits, visitor);
        for (int32_t slots = 1; slots <= 4; ++slots) {
            sessrec_config config = user_config(1, SESSREC_USER_INIT);
            sessrec_batch batch;
            int pairs[5] = {0};
            config.batch_size = slots;
            sessrec_batcher *batcher = batcher_of(&config, log, NULL);
            while (!sessrec_batcher_next(batcher, &batch) && batch.rows)
                for (int32_t i = 0; i < batch.rows; ++i) pairs[batch.sessions[i]]++;
            for (int i = 0; i < 5; ++i) CHECK_EQ(pairs[i] + 1, strlen(visits[i]));
            sessrec_batcher_destroy(batcher);
        }
        sessrec_log_destroy(log);
    }
    TEST("H5 a user's sessions are ordered by time, not by id") {
        sessrec_log *log = NULL;
        static const struct { const char *session, *item; int time;
        } row[6] = {{"1", "late", 30}, {"1", "later", 31},  {"9", "early", 10},
                    {"9", "next", 11}, {"5", "middle", 20}, {"5", "after", 21}};
        CHECK_EQ(sessrec_log_create(NULL, &log, NULL), SESSREC_OK);
        for (int i = 0; i < 6; ++i)
            CHECK_EQ(sessrec_log_add(log, "ann", row[i].session, row[i].item, row[i].time), SESSREC_OK);
        CHECK_EQ(sessrec_log_finish(log, NULL), SESSREC_OK);
        sessrec_config config = user_config(1, SESSREC_USER_INIT);
        sessrec_batch batch;
        static const char *const expected[3] = {"early", "middle", "late"};
        sessrec_batcher *batcher = batcher_of(&config, log, NULL);
        for (int i = 0; i < 3; ++i) {
            CHECK_EQ(sessrec_batcher_next(batcher, &batch), SESSREC_OK);
            CHECK_TEXT(sessrec_log_item_id(log, batch.inputs[0]), expected[i]);
            CHECK_EQ(batch.user_starts[0], i == 0);
        }
        sessrec_batcher_destroy(batcher);
        sessrec_log_destroy(log);
    }
    sessrec_log *log = letters_log(5, visits, visitor);
    sessrec_eval_config eval = sessrec_eval_config_default();
    TEST("H6 validation runs without dropout, of users too") {
        sessrec_config with = user_config(1, SESSREC_USER_ALL), without = with;
        with.dropout_user = with.dropout_init = with.dropout_hidden = 0.9f;
        sessrec_trainer *a = trainer_of(&with, log), *b = trainer_of(&without, log);
        const event_list x = events_of(model_of(a), log),
                         y = events_of(model_of(b), log);
        CHECK_EQ(x.count, 9);
        CHECK(!memcmp(&x, &y, sizeof x));
        sessrec_trainer_destroy(a);
        sessrec_trainer_destroy(b);
    }
    TEST("H8 memory does not grow with the run, and users that nobody has seen start from zero") {
        counting_memory memory = {0, 0, -1};
        sessrec_config config = user_config(1, SESSREC_USER_INIT);
        int64_t requests[2];
        config.allocator = counting_allocator(&memory);
        for (int i = 0; i < 2; ++i) {
            config.epochs = i ? 20 : 1;
            memory.requests = 0;
            sessrec_model_destroy(train(&config, log));
            requests[i] = memory.requests;
        }
        CHECK_EQ(requests[0], requests[1]);
        CHECK_EQ(memory.blocks, 0);
        static const char *const one[1] = {"abcdf"}, *const ann[1] = {"ann"}, *const eve[1] = {"eve"};
        sessrec_log *known = letters_log(1, one, ann), *unknown = letters_log(1, one, eve),
                    *nobody = letters_log(1, one, NULL);
        const sessrec_log *test[3] = {known, unknown, nobody};
        sessrec_model *model = random_model(&config, log, 5);
        event_list list[3];
        memset(list, 0, sizeof list);
        eval.history = log;
        eval.on_event = keep_event;
        for (int i = 0; i < 3; ++i) {
            eval.on_event_user = &list[i];
            evaluate(model, test[i], &eval);
            CHECK_EQ(list[i].count, 4);
        }
        for (int i = 0; i < 4; ++i) CHECK_NEAR(list[1].event[i].rank, list[2].event[i].rank, 0);
        CHECK_EQ(list[0].event[0].history, 3);
        CHECK_EQ(list[1].event[0].history, 0);
        sessrec_model_destroy(model);
        sessrec_log_destroy(known);
        sessrec_log_destroy(unknown);
        sessrec_log_destroy(nobody);
    }
    sessrec_log_destroy(log);
    TEST("H9 column names are parameters; repeats inside a session stay unless asked to go") {
        const char *text = "who,visit,what,when\nann,1,a,5\nann,1,a,6\nann,1,b,7\n";
        sessrec_log_format format = sessrec_log_format_default();
        sessrec_log *named = NULL;
        format.user_column = "who";
        format.session_column = "visit";
        format.item_column = "what";
        format.time_column = "when";
        CHECK_EQ(sessrec_log_import(text, strlen(text), &format, &named, NULL), SESSREC_OK);
        CHECK_EQ(sessrec_log_contents(named).event_count, 3);
        CHECK_EQ(sessrec_log_contents(named).user_count, 1);
        sessrec_filter no_repeats = sessrec_filter_default();
        no_repeats.drop_repeats = 1;
        CHECK_EQ(sessrec_log_filter(named, &no_repeats, NULL), SESSREC_OK);
        CHECK_EQ(sessrec_log_contents(named).event_count, 2);
        sessrec_log_destroy(named);
    }
}

int main(void) {
    states_follow_sessions();
    batches();
    settings();
    losses();
    steps();
    runs();
    ranking();
    walking();
    unknown_count();
    logs();
    users();
    return test_report("known flaws");
}
