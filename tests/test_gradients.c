// Gradients against central differences, with the whole library computing in double precision: relative error
// 1e-6 at most, signs included.
#include "double.h"

// A central difference over 2e-5 is off by 1e-10 of the third derivative and by about 1e-11 of rounding.
// Gradients are compared relatively down to 1e-3, below that by 1e-9.
static const double STEP = 1e-5;

static double relative_error(double analytic, double numeric) {
    double size = fabs(analytic) + fabs(numeric);
    return fabs(analytic - numeric) / (size > 1e-3 ? size : 1e-3);
}

// The largest error met, and that there was something to meet.
typedef struct verdict {
    double worst, largest, largest_of_users;
    int64_t compared;
} verdict;

static void compare(verdict *v, double analytic, double numeric) {
    double error = relative_error(analytic, numeric);
    if (!(error <= v->worst)) v->worst = error;  // NaN stays, and fails
    if (fabs(analytic) > v->largest) v->largest = fabs(analytic);
    ++v->compared;
}

// ---- losses by themselves ---------------------------------------------------------------------------------

typedef struct loss_variant {
    const char *name;
    sessrec_loss_kind kind;
    int32_t with_diagonal, skip_own_target;
    double logq, smoothing;
    int32_t hardest;
} loss_variant;

static const loss_variant LOSS[] = {
    {"XE", SESSREC_LOSS_XE, 1, 0, 0, 0, 0},
    {"XE with logQ", SESSREC_LOSS_XE, 1, 0, 0.8, 0, 0},
    {"XE with smoothing", SESSREC_LOSS_XE, 1, 0, 0, 0.2, 0},
    {"XE with logQ, smoothing and own targets skipped", SESSREC_LOSS_XE, 1, 1, 1, 0.3, 0},
    {"TOP1", SESSREC_LOSS_TOP1, 0, 0, 0, 0, 0},
    {"TOP1 with the diagonal", SESSREC_LOSS_TOP1, 1, 0, 0, 0, 0},
    {"BPR", SESSREC_LOSS_BPR, 0, 0, 0, 0, 0},
    {"BPR with the diagonal", SESSREC_LOSS_BPR, 1, 0, 0, 0, 0},
    {"TOP1-max", SESSREC_LOSS_TOP1_MAX, 1, 0, 0, 0, 0},
    {"BPR-max", SESSREC_LOSS_BPR_MAX, 1, 0, 0, 0, 0},
    {"BPR-max with own targets skipped", SESSREC_LOSS_BPR_MAX, 1, 1, 0, 0, 0},
    {"gBCE", SESSREC_LOSS_GBCE, 0, 0, 0, 0, 0},
    {"gBCE of the three hardest negatives", SESSREC_LOSS_GBCE, 0, 1, 0, 0, 3},
    {"XE with logQ and smoothing of the two hardest negatives", SESSREC_LOSS_XE, 0, 0, 0.8, 0.3, 2},
    {"TOP1 with the diagonal of the two hardest negatives", SESSREC_LOSS_TOP1, 1, 1, 0, 0, 2},
    {"BPR of the two hardest negatives", SESSREC_LOSS_BPR, 0, 0, 0, 0, 2},
    {"TOP1-max of the four hardest negatives", SESSREC_LOSS_TOP1_MAX, 1, 0, 0, 0, 4},
    {"BPR-max of the two hardest negatives", SESSREC_LOSS_BPR_MAX, 1, 1, 0, 0, 2}
};
enum { LOSSES = (int)(sizeof LOSS / sizeof *LOSS), ACTIVATIONS = SESSREC_SELU + 1 };

static sessrec_loss_config loss_config(const loss_variant *variant, int activation) {
    sessrec_loss_config config = sessrec_config_default().loss;
    config.kind = variant->kind;
    config.activation = (sessrec_activation)activation;
    config.activation_a = 0.4;
    config.activation_b = 1.1;
    config.with_diagonal = variant->with_diagonal;
    config.skip_own_target = variant->skip_own_target;
    config.bpreg = 0.7;
    config.logq = variant->logq;
    config.smoothing = variant->smoothing;
    config.hardest = variant->hardest;
    config.calibration = 0.6;
    config.sampling_rate = 0.3;
    return config;
}

enum { ROWS = 3, COLUMNS = 7, FIRST_ROW = 1 };

static double total_loss(const sessrec_loss_config *config, const double *log_proposal, const double *scores,
                         double *gradient) {
    static const int32_t item[COLUMNS] = {4, 2, 5, 2, 6, 5, 0};  // columns 1 and 3, 2 and 5 are the same item
    double row_loss[ROWS], scratch[8 * COLUMNS], sum = 0;
    CHECK_EQ(sessrec_loss(config, FIRST_ROW, ROWS, COLUMNS, NULL, item, log_proposal, scores, row_loss,
                          gradient,
                          scratch),
             SESSREC_OK);
    for (int i = 0; i < ROWS; ++i) sum += row_loss[i];
    return sum;
}

static void losses_alone(void) {
    for (int l = 0; l < LOSSES; ++l)
        TEST(LOSS[l].name) {
            uint32_t seed = 5;
            for (int activation = 0; activation < ACTIVATIONS; ++activation) {
                const sessrec_loss_config config = loss_config(&LOSS[l], activation);
                double scores[ROWS * COLUMNS], log_proposal[COLUMNS], gradient[ROWS * COLUMNS],
                    ignored[ROWS * COLUMNS];
                verdict v = {0, 0, 0, 0};
                for (int i = 0; i < ROWS * COLUMNS; ++i) scores[i] = random_float(&seed, 2);
                for (int i = 0; i < COLUMNS; ++i) log_proposal[i] = random_float(&seed, 2);
                total_loss(&config, log_proposal, scores, gradient);
                for (int i = 0; i < ROWS * COLUMNS; ++i) {
                    const double score = scores[i];
                    scores[i] = score + STEP;
                    double above = total_loss(&config, log_proposal, scores, ignored);
                    scores[i] = score - STEP;
                    double below = total_loss(&config, log_proposal, scores, ignored);
                    scores[i] = score;
                    compare(&v, gradient[i], (above - below) / (2 * STEP));
                }
                CHECK(v.worst <= 1e-6);
                CHECK(v.largest > 0.05);
            }
        }
}

// ---- the GRU by itself ------------------------------------------------------------------------------------

enum { B = 4, D = 3, H = 5 };

// Everything that L = sum(weigh * h') depends on, in one array, so that each number can be moved in turn.
typedef struct cell_case {
    double W[D * 3 * H], U[H * 3 * H], b[3 * H], c[3 * H], x[B * D], h[B * H];
} cell_case;
enum { CELL_NUMBERS = (int)(sizeof(cell_case) / sizeof(double)) };

static sessrec_gru cell_of(const cell_case *at, sessrec_gru_form form) {
    sessrec_gru gru;
    gru.form = form;
    gru.input = D;
    gru.hidden = H;
    gru.W = at->W;
    gru.U = at->U;
    gru.b = at->b;
    gru.c = form == SESSREC_RESET_AFTER ? at->c : NULL;
    return gru;
}

static double cell_loss(const cell_case *at, sessrec_gru_form form, const double *weigh, double *tape) {
    const sessrec_gru gru = cell_of(at, form);
    double h_new[B * H], sum = 0;
    sessrec_gru_forward(&gru, B, at->x, at->h, h_new, tape);
    for (int i = 0; i < B * H; ++i) sum += weigh[i] * h_new[i];
    return sum;
}

static void check_cell(sessrec_gru_form form) {
    cell_case at, gradient;
    double weigh[B * H], tape[B * 4 * H], ignored[B * 4 * H], scratch[B * (9 * H + D)],
        *number = (double *)&at, *analytic = (double *)&gradient;
    uint32_t seed = 9;
    verdict v = {0, 0, 0, 0};
    for (int i = 0; i < CELL_NUMBERS; ++i) number[i] = random_float(&seed, 0.9);
    for (int i = 0; i < B * H; ++i) weigh[i] = random_float(&seed, 2);
    memset(&gradient, 0, sizeof gradient);
    cell_loss(&at, form, weigh, tape);
    const sessrec_gru gru = cell_of(&at, form);
    sessrec_gru_gradient into = {gradient.W, gradient.U, gradient.b, gradient.c};
    sessrec_gru_backward(&gru, B, at.x, at.h, tape, weigh, gradient.x, gradient.h, &into, scratch);
    for (int i = 0; i < CELL_NUMBERS; ++i) {
        const double value = number[i];
        number[i] = value + STEP;
        double above = cell_loss(&at, form, weigh, ignored);
        number[i] = value - STEP;
        double below = cell_loss(&at, form, weigh, ignored);
        number[i] = value;
        compare(&v, analytic[i], (above - below) / (2 * STEP));
    }
    CHECK(v.worst <= 1e-6);
    CHECK(v.largest > 0.5);
    for (int i = 0; i < 3 * H; ++i) CHECK((gradient.c[i] != 0) == (form == SESSREC_RESET_AFTER));
}

static void cell_alone(void) {
    TEST("the reset-before GRU: weights, biases, input and state") { check_cell(SESSREC_RESET_BEFORE); }
    TEST("the reset-after GRU: weights, both biases, input and state") { check_cell(SESSREC_RESET_AFTER); }
}

// ---- a whole training step --------------------------------------------------------------------------------

// How the step is taken: from zero states or from states with a history, with dropout or without. The masks
// of a (seed, epoch, step) are always the same, so that the loss is a function of the weights.
typedef enum setting {
    FIRST_EVENT,
    LATER_EVENT,
    LATER_EVENT_WITH_DROPOUT
} setting;

typedef struct step_case {
    sessrec_trainer *trainer;
    sessrec_batch batch;
    uint32_t state_seed;
} step_case;

// Three of four slots are live. Items come more than once: as input and target, as target and negative, as
// target of two slots.
static const int32_t INPUT[3] = {0, 3, 0}, TARGET[3] = {1, 2, 1}, NEGATIVE[3] = {4, 2, 4},
                     NO_START[3] = {0, 1, 0}, ALL_START[3] = {1, 1, 1}, PREVIOUS[3] = {0, 1, 3},
                     NO_USER[3] = {0, 0, 0}, ONE_USER[3] = {1, 0, 0};

static sessrec_batch make_batch(setting s) {
    sessrec_batch batch;
    memset(&batch, 0, sizeof batch);
    batch.epoch = 1;
    batch.step = 2;
    batch.rows = 3;
    batch.negative_count = 3;
    batch.inputs = INPUT;
    batch.targets = TARGET;
    batch.negatives = NEGATIVE;
    batch.session_starts = s == FIRST_EVENT ? ALL_START : NO_START;
    batch.user_starts = s == FIRST_EVENT ? ONE_USER : NO_USER;
    batch.previous_rows = PREVIOUS;
    return batch;
}

static sessrec_config step_config(int layers, int form, int embedding, setting s) {
    sessrec_config config = sessrec_config_default();
    config.layer_count = layers;
    config.hidden[0] = 3;
    config.hidden[1] = 4;
    config.hidden[2] = 2;
    config.hidden[3] = 3;
    config.embedding = (sessrec_embedding)embedding;
    config.embedding_width = 2;
    config.gru = (sessrec_gru_form)form;
    config.batch_size = 4;
    config.negatives = 3;
    config.dropout_input = config.dropout_hidden = s == LATER_EVENT_WITH_DROPOUT ? 0.3 : 0;
    config.dropout_user = config.dropout_init = config.dropout_input;
    config.seed = 4;
    config.threads = 1;
    return config;
}

static sessrec_mutable_tensor tensor_of(sessrec_trainer *trainer, const char *prefix, const char *name) {
    char full[32];
    sessrec_mutable_tensor tensor;
    snprintf(full, sizeof full, "%s%s", prefix, name);
    CHECK_EQ(sessrec_trainer_tensor(trainer, full, &tensor, NULL), SESSREC_OK);
    return tensor;
}

static void randomise(const sessrec_mutable_tensor *tensor, uint32_t *seed, double limit) {
    for (int64_t i = 0; i < (int64_t)tensor->rows * tensor->columns; ++i)
        tensor->data[i] = random_float(seed, limit);
}

static step_case make_step(const sessrec_config *config, const sessrec_log *log, setting s, uint32_t seed) {
    step_case step;
    const char *name;
    sessrec_error err;
    err.text[0] = 0;
    step.batch = make_batch(s);
    step.state_seed = seed;
    CHECK_EQ(sessrec_trainer_create(config, log, &step.trainer, &err), SESSREC_OK);
    CHECK_TEXT(err.text, "");
    for (int32_t t = 0; (name = sessrec_model_tensor_name(model_of(step.trainer), t)) != NULL;
         ++t) {
        sessrec_mutable_tensor weights = tensor_of(step.trainer, "", name);
        randomise(&weights, &seed, 1);
    }
    return step;
}

// The loss of the step, always from the same states, the user's too.
static double step_loss(const step_case *step, const sessrec_config *config) {
    static const char *const state_name[5] = {"hidden0", "hidden1", "hidden2", "hidden3", "user"};
    uint32_t seed = step->state_seed;
    double loss = NAN;
    for (int32_t l = 0; l < 5; ++l) {
        if (l < 4 ? l >= config->layer_count : !config->user_hidden) continue;
        sessrec_mutable_tensor state = tensor_of(step->trainer, "", state_name[l]);
        randomise(&state, &seed, 0.9);
    }
    CHECK_EQ(sessrec_trainer_grad(step->trainer, &step->batch, &loss, NULL), SESSREC_OK);
    return loss;
}

enum { MOST_NUMBERS = 128 };  // of one tensor

// The gradient that the trainer has now, with every row at its place.
static void scattered_gradient(const step_case *step, const char *name, double *dense) {
    const sessrec_mutable_tensor gradient = tensor_of(step->trainer, "grad.", name);
    memset(dense, 0, MOST_NUMBERS * sizeof *dense);
    for (int32_t i = 0; i < gradient.rows; ++i) {
        const int32_t row = gradient.row_ids ? gradient.row_ids[i] : i;
        // -1: summed into another
        if (row >= 0)
            memcpy(dense + row * gradient.columns, gradient.data + i * gradient.columns,
                   (size_t)gradient.columns * sizeof *dense);
    }
}

// The change of the loss when the tensor moves along a direction.
static double difference_along(const step_case *step, const sessrec_config *config,
                               const sessrec_mutable_tensor *weights, const double *direction) {
    double kept[MOST_NUMBERS], loss[2];
    const int32_t n = weights->rows * weights->columns;
    memcpy(kept, weights->data, (size_t)n * sizeof *kept);
    for (int side = 0; side < 2; ++side) {
        for (int32_t i = 0; i < n; ++i) weights->data[i] = kept[i] + (side ? STEP : -STEP) * direction[i];
        loss[side] = step_loss(step, config);
    }
    memcpy(weights->data, kept, (size_t)n * sizeof *kept);
    return (loss[1] - loss[0]) / (2 * STEP);
}

static double along(const double *gradient, const double *direction, int32_t n) {
    double sum = 0;
    for (int32_t i = 0; i < n; ++i) sum += gradient[i] * direction[i];
    return sum;
}

// Compares each tensor's gradient along random directions, or number by number.
static verdict check_step(const sessrec_config *config, setting s, uint32_t seed, int number_by_number) {
    static const char *const sessions[3] = {"abcdef", "aabbc", "abad"}, *const users[3] = {"u", "v", "u"};
    sessrec_log *log = letters_log(3, sessions, config->user_hidden ? users : NULL);
    verdict v = {0, 0, 0, 0};
    step_case step = make_step(config, log, s, seed);
    const char *name;
    for (int32_t t = 0; (name = sessrec_model_tensor_name(model_of(step.trainer), t)) != NULL;
         ++t) {
        const sessrec_mutable_tensor weights = tensor_of(step.trainer, "", name);
        const int32_t n = weights.rows * weights.columns;
        double gradient[MOST_NUMBERS], direction[MOST_NUMBERS] = {0};
        verdict here = {0, 0, 0, 0};
        step_loss(&step, config);
        scattered_gradient(&step, name, gradient);
        for (int32_t i = 0; i < (number_by_number ? n : 1); ++i) {
            for (int32_t j = 0; j < n; ++j) direction[j] = number_by_number ? i == j : random_float(&seed, 1);
            compare(&here, along(gradient, direction, n),
                    difference_along(&step, config, &weights, direction));
        }
        v.compared += here.compared;
        if (!(here.worst <= v.worst)) v.worst = here.worst;
        if (here.largest > v.largest) v.largest = here.largest;
        if (*name == 'U' && here.largest > v.largest_of_users) v.largest_of_users = here.largest;
        if (!(here.worst <= 1e-6)) printf("        %s: relative error %.2e\n", name, here.worst);
    }
    sessrec_trainer_destroy(step.trainer);
    sessrec_log_destroy(log);
    return v;
}

static const char *const FORM_NAME[] = {"reset-before", "reset-after"};
static const char *const EMBEDDING_NAME[] = {"tied", "separate", "one-hot"};
static const char *const SETTING_NAME[] = {"the first event of sessions", "later events",
                                           "later events with dropout"};

// Every kind of network, number by number, with one loss.
static void networks(void) {
    for (int layers = 1; layers <= 4; ++layers)
        for (int form = 0; form < 2; ++form)
            for (int embedding = 0; embedding < 3; ++embedding) {
                char text[120];
                snprintf(text, sizeof text, "every weight of %d %s layer(s) with %s input", layers,
                         FORM_NAME[form], EMBEDDING_NAME[embedding]);
                TEST(text) {
                    for (int s = FIRST_EVENT; s <= LATER_EVENT_WITH_DROPOUT; ++s) {
                        sessrec_config config = step_config(layers, form, embedding, (setting)s);
                        config.loss = loss_config(&LOSS[1], SESSREC_TANH);
                        verdict v = check_step(&config, (setting)s, 77, 1);
                        CHECK(v.worst <= 1e-6);
                        CHECK(v.largest > 1e-2 && v.compared > 60);
                    }
                }
            }
}

// Every form of a user-level GRU, number by number: sessions that begin from the user's state, with its
// dropouts, users that begin, and sessions that go on.
static void users(void) {
    static const char *const mode_name[] = {"init", "all", "gates"};
    for (int mode = SESSREC_USER_INIT; mode <= SESSREC_USER_GATES; ++mode)
        for (int form = 0; form < 2; ++form) {
            char text[120];
            snprintf(text, sizeof text, "every weight of HRNN %s, %s, with 1 to 4 layers and every input",
                     mode_name[mode], FORM_NAME[form]);
            TEST(text) {
                double of_users = 0;
                for (int which = 0; which < 4 * 3 * 3; ++which) {
                    const setting s = (setting)(which % 3);
                    sessrec_config config = step_config(1 + which / 9, form, which / 3 % 3, s);
                    config.loss = loss_config(&LOSS[1], SESSREC_TANH);
                    config.user_hidden = 3;
                    config.user_mode = mode;
                    verdict v = check_step(&config, s, 77, 1);
                    CHECK(v.worst <= 1e-6);
                    CHECK(v.largest > 1e-2 && v.compared > 100);
                    of_users += v.largest_of_users;
                }
                CHECK(of_users > 1e-2);
            }
        }
}

// Every loss and activation with every network, each tensor along a random direction.
static void combinations(setting s) {
    for (int l = 0; l < LOSSES; ++l) {
        char text[160];
        snprintf(text, sizeof text, "%s, %s, with every activation, form, embedding and 1 to 3 layers",
                 LOSS[l].name, SETTING_NAME[s]);
        TEST(text) {
            int flat = 0;  // a rectifier may happen to give 0 for every score
            for (int which = 0; which < ACTIVATIONS * 2 * 3 * 3; ++which) {
                const int activation = which % 6, form = which / 6 % 2, embedding = which / 12 % 3,
                          layers = 1 + which / 36;
                sessrec_config config = step_config(layers, form, embedding, s);
                config.loss = loss_config(&LOSS[l], activation);
                verdict v = check_step(&config, s, (uint32_t)(1000 + which), 0);
                CHECK(v.worst <= 1e-6);
                flat += !(v.largest > 1e-4);
            }
            CHECK(flat <= 4);
        }
    }
}

int main(void) {
    losses_alone();
    cell_alone();
    networks();
    users();
    combinations(FIRST_EVENT);
    combinations(LATER_EVENT);
    combinations(LATER_EVENT_WITH_DROPOUT);
    return test_report("gradients");
}
