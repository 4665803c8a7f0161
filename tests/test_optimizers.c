// The optimizers: two steps of each by hand, and which rows of a table they touch.
#include "models.h"

#include <stdlib.h>

static sessrec_optimizer_config optimizer(sessrec_optimizer_kind kind) {
    sessrec_optimizer_config config = sessrec_config_default().optimizer;
    config.kind = kind;
    config.learning_rate = 0.5f;
    config.momentum = 0;
    config.decay = 0.75f;
    config.beta1 = 0.5f;
    config.beta2 = 0.75f;
    config.epsilon = 0.01f;
    return config;
}

// ---- one weight, two steps, by hand -----------------------------------------------------------------------
// The weight is 1 at first, the gradients are 2 and then -1; rate 0.5, epsilon 0.01.

typedef struct two_steps {
    double w1, w2;                      // after each step
    double first, second, velocity;     // in the end
    int32_t steps;
} two_steps;

static two_steps take_two_steps(const sessrec_optimizer_config *config) {
    float weight = 1, gradient, first = 0, second = 0, velocity = 0;
    int32_t steps = 0;
    sessrec_optimizer_state state;
    two_steps result;
    state.first = &first;
    state.second = &second;
    state.velocity = &velocity;
    state.steps = &steps;
    gradient = 2;
    sessrec_optimizer_update(config, 1, 1, NULL, &weight, &gradient, &state);
    result.w1 = (double)weight;
    gradient = -1;
    sessrec_optimizer_update(config, 1, 1, NULL, &weight, &gradient, &state);
    result.w2 = (double)weight;
    result.first = (double)first;
    result.second = (double)second;
    result.velocity = (double)velocity;
    result.steps = steps;
    return result;
}

static void by_hand(void) {
    TEST("SGD goes rate times the gradient") {
        const sessrec_optimizer_config config = optimizer(SESSREC_SGD);
        const two_steps t = take_two_steps(&config);
        CHECK(t.w1 == 0 && t.w2 == 0.5);
        CHECK(t.first == 0 && t.second == 0 && t.velocity == 0 && t.steps == 0);
    }
    TEST("Adagrad divides by the root of the sum of squares, epsilon inside") {
        const sessrec_optimizer_config config = optimizer(SESSREC_ADAGRAD);
        const two_steps t = take_two_steps(&config);
        CHECK_NEAR(t.w1, 1 - 0.5 * 2 / sqrt(4.01), 1e-6);
        CHECK_NEAR(t.w2, t.w1 + 0.5 / sqrt(5.01), 1e-6);
        CHECK(t.first == 5 && t.second == 0);
    }
    TEST("RMSProp divides by the root of a decaying mean of squares, epsilon inside") {
        const sessrec_optimizer_config config = optimizer(SESSREC_RMSPROP);
        const two_steps t = take_two_steps(&config);
        CHECK_NEAR(t.w1, 1 - 0.5 * 2 / sqrt(1.01), 1e-6);       // 0.25 * 4
        CHECK_NEAR(t.w2, t.w1 + 0.5 / sqrt(1.01), 1e-6);        // 0.75 * 1 + 0.25 * 1
        CHECK_NEAR(t.first, 1, 1e-6);
    }
    TEST("Adadelta multiplies by the root of the mean of squared steps over that of squared gradients") {
        const sessrec_optimizer_config config = optimizer(SESSREC_ADADELTA);
        const two_steps t = take_two_steps(&config);
        const double d1 = 2 * sqrt(0.01 / 1.01), mean = 0.25 * d1 * d1, d2 = -sqrt((mean + 0.01) / 1.01);
        CHECK_NEAR(t.w1, 1 - 0.5 * d1, 1e-6);
        CHECK_NEAR(t.w2, t.w1 - 0.5 * d2, 1e-6);
        CHECK_NEAR(t.first, 1, 1e-6);
        CHECK_NEAR(t.second, 0.75 * mean + 0.25 * d2 * d2, 1e-6);
    }
    TEST("Adam corrects both means for their beginning at zero, epsilon outside of the root") {
        const sessrec_optimizer_config config = optimizer(SESSREC_ADAM);
        const two_steps t = take_two_steps(&config);
        CHECK_NEAR(t.w1, 1 - 0.5 * 2 / (2 + 0.01), 1e-6);       // m = 1, corrected 2; v = 1, corrected 4
        CHECK_NEAR(t.w2, t.w1 - 0, 1e-6);                       // m = 0.5 * 1 + 0.5 * -1
        CHECK_NEAR(t.first, 0, 1e-6);
        CHECK_NEAR(t.second, 0.75 + 0.25, 1e-6);
        CHECK_EQ(t.steps, 2);
    }
    TEST("momentum is classical: v = mu v - rate d, w += v, for every kind") {
        for (int kind = SESSREC_SGD; kind <= SESSREC_ADAM; ++kind) {
            sessrec_optimizer_config config = optimizer((sessrec_optimizer_kind)kind);
            const two_steps plain = take_two_steps(&config);
            config.momentum = 0.25f;
            const two_steps t = take_two_steps(&config);
            CHECK_NEAR(t.w1, plain.w1, 1e-6);
            CHECK_NEAR(t.w2 - t.w1, 0.25 * (plain.w1 - 1) + (plain.w2 - plain.w1), 1e-6);
            CHECK_NEAR(t.velocity, t.w2 - t.w1, 1e-6);
        }
    }
    TEST("l2 adds l2 times the weight to the gradient, also in what the optimizer remembers") {
        sessrec_optimizer_config config = optimizer(SESSREC_SGD);
        config.l2 = 0.5f;
        CHECK_NEAR(take_two_steps(&config).w1, 1 - 0.5 * 2.5, 1e-6);
        CHECK_NEAR(take_two_steps(&config).w2, -0.25 - 0.5 * (-1 + 0.5 * -0.25), 1e-6);
        config.kind = SESSREC_ADAGRAD;
        const double w1 = 1 - 0.5 * 2.5 / sqrt(6.26), g2 = -1 + 0.5 * w1;
        CHECK_NEAR(take_two_steps(&config).w1, w1, 1e-6);
        CHECK_NEAR(take_two_steps(&config).first, 6.25 + g2 * g2, 1e-6);
    }
    TEST("a gradient of 0 moves nothing but what momentum carries on") {
        for (int kind = SESSREC_SGD; kind <= SESSREC_ADAM; ++kind) {
            const sessrec_optimizer_config config = optimizer((sessrec_optimizer_kind)kind);
            float weight = 3, gradient = 0, first = 0, second = 0;
            int32_t steps = 0;
            sessrec_optimizer_state state = {&first, &second, NULL, &steps};
            sessrec_optimizer_update(&config, 1, 1, NULL, &weight, &gradient, &state);
            CHECK(weight == 3 && first == 0 && second == 0);
        }
    }
}

// ---- the cap ----------------------------------------------------------------------------------------------

static void cap(void) {
    sessrec_optimizer_config config = optimizer(SESSREC_SGD);
    const sessrec_optimizer_state state = {NULL, NULL, NULL, NULL};
    config.learning_rate = 1;
    TEST("a gradient whose norm over all rows is above the cap is scaled down to it") {
        float w[4] = {0, 0, 0, 0}, g[4] = {3, 0, 0, -4};
        config.gradient_cap = 2.5f;
        sessrec_optimizer_update(&config, 2, 2, NULL, w, g, &state);
        CHECK_NEAR(w[0], -1.5, 1e-6);
        CHECK_NEAR(w[3], 2, 1e-6);
        CHECK(w[1] == 0 && w[2] == 0);
    }
    TEST("one that is not above it, or has no cap, stays as it is") {
        for (int i = 0; i < 2; ++i) {
            float w[2] = {0, 0}, g[2] = {3, -4};
            config.gradient_cap = i ? 5.0f : 0;
            sessrec_optimizer_update(&config, 1, 2, NULL, w, g, &state);
            CHECK(w[0] == -3 && w[1] == 4);
        }
    }
    TEST("the cap comes before l2") {
        float w[1] = {2}, g[1] = {10};
        config.gradient_cap = 1;
        config.l2 = 0.5f;
        sessrec_optimizer_update(&config, 1, 1, NULL, w, g, &state);
        CHECK_NEAR(w[0], 2 - (1 + 0.5 * 2), 1e-6);
    }
}

// ---- tables -----------------------------------------------------------------------------------------------

enum { V = 23, WIDTH = 19 };

typedef struct table {
    float weight[V * WIDTH], first[V * WIDTH], second[V * WIDTH], velocity[V * WIDTH];
    int32_t steps[V];
} table;

static void fill_table(table *t, uint32_t seed) {
    for (int i = 0; i < V * WIDTH; ++i) {
        t->weight[i] = random_float(&seed, 1);
        t->first[i] = 0.5f + random_float(&seed, 0.5f);
        t->second[i] = 0.5f + random_float(&seed, 0.5f);
        t->velocity[i] = random_float(&seed, 1);
    }
    for (int i = 0; i < V; ++i) t->steps[i] = random_below(&seed, 5);
}
static void update_table(const sessrec_optimizer_config *config, table *t, int32_t rows,
                         const int32_t *row_ids, const float *gradient) {
    float used_up[V * WIDTH];
    sessrec_optimizer_state state;
    state.first = t->first;
    state.second = t->second;
    state.velocity = t->velocity;
    state.steps = t->steps;
    memcpy(used_up, gradient, (size_t)rows * WIDTH * sizeof *used_up);
    sessrec_optimizer_update(config, rows, WIDTH, row_ids, t->weight, used_up, &state);
}
static int same_row(const table *a, const table *b, int32_t row) {
    const size_t at = (size_t)row * WIDTH, bytes = WIDTH * sizeof(float);
    return !memcmp(a->weight + at, b->weight + at, bytes) && !memcmp(a->first + at, b->first + at, bytes) &&
           !memcmp(a->second + at, b->second + at, bytes) &&
           !memcmp(a->velocity + at, b->velocity + at, bytes) && a->steps[row] == b->steps[row];
}

static sessrec_optimizer_config table_optimizer(int kind) {
    sessrec_optimizer_config config = optimizer((sessrec_optimizer_kind)kind);
    config.momentum = 0.3f;
    config.l2 = 0.01f;
    config.gradient_cap = 4;
    return config;
}

static void tables(void) {
    float gradient[V * WIDTH];
    uint32_t seed = 3;
    for (int i = 0; i < V * WIDTH; ++i) gradient[i] = random_float(&seed, 1);
    TEST("updating all rows by their ids, in any order, is updating the whole: the same bits") {
        for (int kind = SESSREC_SGD; kind <= SESSREC_ADAM; ++kind) {
            sessrec_optimizer_config config = table_optimizer(kind);
            table whole, by_id;
            float shuffled[V * WIDTH];
            int32_t id[V];
            config.gradient_cap = 0;
            fill_table(&whole, 7);
            fill_table(&by_id, 7);
            for (int i = 0; i < V; ++i) {
                id[i] = (i * 5 + 2) % V;
                memcpy(shuffled + i * WIDTH, gradient + id[i] * WIDTH, WIDTH * sizeof(float));
            }
            update_table(&config, &whole, V, NULL, gradient);
            update_table(&config, &by_id, V, id, shuffled);
            for (int32_t row = 0; row < V; ++row) CHECK(same_row(&whole, &by_id, row));
        }
    }
    TEST("rows that a step does not touch keep their weights and all their state; the others do not") {
        static const int32_t id[4] = {17, 0, 22, 9};
        for (int kind = SESSREC_SGD; kind <= SESSREC_ADAM; ++kind) {
            const sessrec_optimizer_config config = table_optimizer(kind);
            table before, after;
            fill_table(&before, 9);
            fill_table(&after, 9);
            update_table(&config, &after, 4, id, gradient);
            for (int32_t row = 0; row < V; ++row)
                CHECK_EQ(same_row(&before, &after, row), row != 17 && row != 0 && row != 22 && row != 9);
        }
    }
    TEST("Adam counts the updates of each row: a row that is touched for the first time is corrected as in a "
         "first step") {
        const sessrec_optimizer_config config = optimizer(SESSREC_ADAM);
        static const int32_t often[1] = {4}, both[2] = {4, 6};
        table t;
        float g[2 * WIDTH];
        memset(&t, 0, sizeof t);
        for (int i = 0; i < 2 * WIDTH; ++i) g[i] = 2;
        for (int step = 0; step < 3; ++step) update_table(&config, &t, 1, often, g);
        update_table(&config, &t, 2, both, g);
        CHECK_EQ(t.steps[4], 4);
        CHECK_EQ(t.steps[6], 1);
        CHECK_EQ(t.steps[5], 0);
        CHECK_NEAR(t.weight[6 * WIDTH], -0.5 * 2 / 2.01, 1e-6);
        // a constant gradient has the same corrected means every time
        CHECK_NEAR(t.weight[4 * WIDTH], 4 * -0.5 * 2 / 2.01, 1e-6);
    }
    TEST("what a kind does not need may be NULL") {
        float w[2] = {1, 1}, g[2] = {1, 1}, first[2] = {0, 0}, second[2] = {0, 0};
        sessrec_optimizer_state state = {NULL, NULL, NULL, NULL};
        sessrec_optimizer_config config = optimizer(SESSREC_SGD);
        sessrec_optimizer_update(&config, 2, 1, NULL, w, g, &state);
        CHECK(w[0] == 0.5f && w[1] == 0.5f);
        state.first = first;
        config.kind = SESSREC_ADAGRAD;
        sessrec_optimizer_update(&config, 2, 1, NULL, w, g, &state);
        config.kind = SESSREC_RMSPROP;
        sessrec_optimizer_update(&config, 2, 1, NULL, w, g, &state);
        state.second = second;
        config.kind = SESSREC_ADADELTA;
        sessrec_optimizer_update(&config, 2, 1, NULL, w, g, &state);
        CHECK(w[0] == w[1] && w[0] < 0 && second[1] > 0);
    }
}

// ---- rows that occur twice --------------------------------------------------------------------------------

// By definition: for every id, in the order of their first rows, the sum in order.
static int32_t sum_by_definition(int32_t rows, int32_t columns, const int32_t *id, const float *gradient,
                                 int32_t *distinct_id, float *sum) {
    int32_t distinct = 0;
    for (int32_t i = 0; i < rows; ++i) {
        int32_t at = 0;
        while (at < distinct && distinct_id[at] != id[i]) ++at;
        for (int32_t j = 0; j < columns; ++j)
            sum[at * columns + j] =
                at < distinct ? sum[at * columns + j] + gradient[i * columns + j] : gradient[i * columns + j];
        if (at == distinct) distinct_id[distinct++] = id[i];
    }
    return distinct;
}

static void check_sums(int32_t rows, int32_t columns, int32_t ids, int32_t stride, uint32_t *seed) {
    const size_t r = (size_t)rows, n = r * (size_t)columns;
    int32_t *id = (int32_t *)malloc(r * sizeof *id), *distinct_id = (int32_t *)malloc(r * sizeof *id),
            *scratch = (int32_t *)malloc((6 * r + 2) * sizeof *id);
    float *gradient = (float *)malloc(n * sizeof *gradient), *sum = (float *)malloc(n * sizeof *sum);
    for (int32_t i = 0; i < rows; ++i) id[i] = random_below(seed, ids) * stride;
    for (size_t i = 0; i < n; ++i) gradient[i] = random_float(seed, 1);
    const int32_t expected = sum_by_definition(rows, columns, id, gradient, distinct_id, sum);
    const int32_t distinct = sessrec_sum_duplicates(rows, columns, id, gradient, scratch);
    CHECK_EQ(distinct, expected);
    CHECK(!memcmp(id, distinct_id, (size_t)expected * sizeof *id));
    CHECK(!memcmp(gradient, sum, (size_t)expected * (size_t)columns * sizeof *sum));
    free(id);
    free(distinct_id);
    free(scratch);
    free(gradient);
    free(sum);
}

static void duplicates(void) {
    TEST("rows with the same id are summed once, in order, into the first; distinct rows keep their order") {
        int32_t id[6] = {5, 2, 5, 9, 2, 5}, scratch[6 * 6 + 2];
        float gradient[12] = {1, 10, 2, 20, 3, 30, 4, 40, 5, 50, 6, 60};
        static const float expected[6] = {10, 100, 7, 70, 4, 40};
        CHECK_EQ(sessrec_sum_duplicates(6, 2, id, gradient, scratch), 3);
        CHECK(id[0] == 5 && id[1] == 2 && id[2] == 9);
        for (int i = 0; i < 6; ++i) CHECK(gradient[i] == expected[i]);
    }
    TEST("random ids, few and many, close and far apart, equal the definition to the bit") {
        uint32_t seed = 17;
        for (int32_t rows = 1; rows <= 400; rows = rows * 2 + 1)
            for (int32_t ids = 1; ids <= 1000; ids *= 10) {
                check_sums(rows, 1, ids, 1, &seed);
                check_sums(rows, 21, ids, 65536, &seed);
                check_sums(rows, 3, ids, 2000003, &seed);
            }
    }
    TEST("no rows are no distinct rows") {
        int32_t id[1] = {7}, scratch[2];
        float gradient[1] = {1};
        CHECK_EQ(sessrec_sum_duplicates(0, 1, id, gradient, scratch), 0);
        CHECK(id[0] == 7 && gradient[0] == 1);
    }
    TEST("an item that is used twice takes one step with the sum, not two") {
        const sessrec_optimizer_config config = optimizer(SESSREC_ADAGRAD);
        int32_t id[2] = {1, 1}, scratch[14];
        float gradient[2] = {1, 3}, weight[2] = {0, 0}, first[2] = {0, 0};
        sessrec_optimizer_state state = {first, NULL, NULL, NULL};
        const int32_t distinct = sessrec_sum_duplicates(2, 1, id, gradient, scratch);
        CHECK_EQ(distinct, 1);
        sessrec_optimizer_update(&config, distinct, 1, id, weight, gradient, &state);
        CHECK_NEAR(weight[1], -0.5 * 4 / sqrt(16.01), 1e-6);
        CHECK(weight[0] == 0 && first[1] == 16);
    }
}

// ---- in training ------------------------------------------------------------------------------------------

// A trainer's update against the same update made from its gradient, tensor by tensor.
static void check_training_step(int kind, float gradient_cap) {
    static const char *const sessions[3] = {"abcdef", "aabbc", "abad"};
    static const int32_t input[3] = {0, 3, 0}, target[3] = {1, 2, 1}, negative[3] = {4, 2, 4},
                         start[3] = {1, 1, 1}, previous[3] = {0, 1, 2};
    enum { MOST = 256 };
    sessrec_log *clicks = letters_log(3, sessions, NULL);
    sessrec_config config = small_config(1, 4);
    sessrec_trainer *trainer = NULL;
    sessrec_batch batch;
    const char *name;
    config.optimizer = table_optimizer(kind);
    config.optimizer.gradient_cap = gradient_cap;
    CHECK_EQ(sessrec_trainer_create(&config, clicks, &trainer, NULL), SESSREC_OK);
    memset(&batch, 0, sizeof batch);
    batch.rows = batch.negative_count = 3;
    batch.inputs = input;
    batch.targets = target;
    batch.negatives = negative;
    batch.session_starts = start;
    batch.previous_rows = previous;
    CHECK_EQ(sessrec_trainer_grad(trainer, &batch, NULL, NULL), SESSREC_OK);
    float expected[8][MOST];
    int32_t tensors = 0;
    for (; (name = sessrec_model_tensor_name(model_of(trainer), tensors)) != NULL; ++tensors) {
        char full[32];
        sessrec_mutable_tensor weights, g;
        float packed[MOST], first[MOST] = {0}, second[MOST] = {0}, velocity[MOST] = {0};
        int32_t id[64], rows = 0, steps[64] = {0};
        sessrec_optimizer_state state = {first, second, velocity, steps};
        snprintf(full, sizeof full, "grad.%s", name);
        CHECK_EQ(sessrec_trainer_tensor(trainer, name, &weights, NULL), SESSREC_OK);
        CHECK_EQ(sessrec_trainer_tensor(trainer, full, &g, NULL), SESSREC_OK);
        for (int32_t i = 0; i < g.rows; ++i) {
            if (g.row_ids && g.row_ids[i] < 0) continue;  // summed into another
            memcpy(packed + rows * g.columns, g.data + i * g.columns, (size_t)g.columns * sizeof(float));
            id[rows++] = g.row_ids ? g.row_ids[i] : i;
        }
        memcpy(expected[tensors], weights.data, (size_t)(weights.rows * weights.columns) * sizeof(float));
        sessrec_optimizer_update(&config.optimizer, rows, weights.columns, id, expected[tensors], packed,
                                 &state);
        CHECK(memcmp(expected[tensors], weights.data,
                     (size_t)(weights.rows * weights.columns) * sizeof(float)));
    }
    CHECK_EQ(sessrec_trainer_apply(trainer, NULL), SESSREC_OK);
    for (int32_t t = 0; t < tensors; ++t) {
        sessrec_mutable_tensor weights;
        CHECK_EQ(sessrec_trainer_tensor(trainer, sessrec_model_tensor_name(model_of(trainer), t),
                                        &weights, NULL),
                 SESSREC_OK);
        CHECK(!memcmp(expected[t], weights.data, (size_t)(weights.rows * weights.columns) * sizeof(float)));
    }
    sessrec_trainer_destroy(trainer);
    sessrec_log_destroy(clicks);
}

static void in_training(void) {
    TEST("a training step updates every tensor as sessrec_optimizer_update does from its gradient, bit for "
         "bit") {
        for (int kind = SESSREC_SGD; kind <= SESSREC_ADAM; ++kind) check_training_step(kind, 0);
    }
    TEST("in training, too, the cap is on the norm of each tensor's gradient") {
        for (int kind = SESSREC_SGD; kind <= SESSREC_ADAM; ++kind) check_training_step(kind, 0.01f);
    }
}

int main(void) {
    by_hand();
    cap();
    tables();
    duplicates();
    in_training();
    return test_report("optimizers");
}
