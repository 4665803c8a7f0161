// The losses: values by hand, limits, extremes, and which columns count.
#define SESSREC_IMPLEMENTATION
#include "models.h"

static const sessrec_loss_kind KIND[] = {SESSREC_LOSS_XE, SESSREC_LOSS_TOP1, SESSREC_LOSS_BPR,
                                         SESSREC_LOSS_TOP1_MAX, SESSREC_LOSS_BPR_MAX};
enum { KINDS = 5, ACTIVATIONS = SESSREC_SELU + 1, MOST_COLUMNS = 40 };

static sessrec_loss_config loss_of(sessrec_loss_kind kind) {
    sessrec_loss_config config = sessrec_config_default().loss;
    config.kind = kind;
    config.with_diagonal = 0;
    return config;
}

// A variant of each kind with and without the diagonal: 7 in all.
static sessrec_loss_config variant(int i) {
    sessrec_loss_config config = loss_of(KIND[i % KINDS]);
    if (i >= KINDS) {
        config.kind = i == KINDS ? SESSREC_LOSS_TOP1 : SESSREC_LOSS_BPR;
        config.with_diagonal = 1;
    }
    return config;
}
enum { VARIANTS = 7 };

// The loss of one row whose target is column `target`; gradient may be NULL.
static double row_loss(const sessrec_loss_config *config, int32_t columns, int32_t target,
                       const int32_t *items, const float *scores, float *gradient) {
    float loss = NAN, ignored[MOST_COLUMNS], scratch[8 * MOST_COLUMNS];
    CHECK_EQ(sessrec_loss(config, target, 1, columns, NULL, items, NULL, scores, &loss,
                          gradient ? gradient : ignored, scratch),
             SESSREC_OK);
    return (double)loss;
}

static double sg(double x) {
    return 1 / (1 + exp(-x));
}
static int finite_number(float x) {
    return x - x == 0;
}

// ---- by hand ----------------------------------------------------------------------------------------------
// Scores 1, 0, -1, the target is column 0. The differences s_j - s_t are -1 and -2, the squares 0 and 1; the
// softmax over the two negatives is (w, 1 - w) with w = e^0 / (e^0 + e^-1).

static void by_hand(void) {
    const float s[3] = {1, 0, -1};
    const double w = 1 / (1 + exp(-1.0)), l1 = sg(-1) + 0.5, l2 = sg(-2) + sg(1);
    float d[3];
    TEST("cross-entropy is -log softmax of the target, its gradient softmax minus one-hot") {
        const sessrec_loss_config config = loss_of(SESSREC_LOSS_XE);
        CHECK_NEAR(row_loss(&config, 3, 0, NULL, s, d), 0.40760596, 1e-6);
        CHECK_NEAR(d[0], 0.66524096 - 1, 1e-6);
        CHECK_NEAR(d[1], 0.24472847, 1e-6);
        CHECK_NEAR(d[2], 0.09003057, 1e-6);
        CHECK_NEAR(row_loss(&config, 3, 2, NULL, s, d), 2.40760596, 1e-6);
        CHECK_NEAR(d[2], 0.09003057 - 1, 1e-6);
    }
    TEST("BPR is the mean of -log sigmoid(s_t - s_j), and with the diagonal the sum, the target's log 2 "
         "included") {
        sessrec_loss_config config = loss_of(SESSREC_LOSS_BPR);
        CHECK_NEAR(row_loss(&config, 3, 0, NULL, s, d), (0.31326169 + 0.12692801) / 2, 1e-6);
        CHECK_NEAR(d[1], sg(-1) / 2, 1e-6);
        CHECK_NEAR(d[0], -(sg(-1) + sg(-2)) / 2, 1e-6);
        config.with_diagonal = 1;
        CHECK_NEAR(row_loss(&config, 3, 0, NULL, s, d), 0.31326169 + 0.12692801 + 0.69314718, 1e-6);
        CHECK_NEAR(d[2], sg(-2), 1e-6);
    }
    TEST("TOP1 is the mean of sigmoid(s_j - s_t) + sigmoid(s_j^2); the diagonal adds sigmoid(0) and divides "
         "by one more") {
        sessrec_loss_config config = loss_of(SESSREC_LOSS_TOP1);
        CHECK_NEAR(row_loss(&config, 3, 0, NULL, s, d), (l1 + l2) / 2, 1e-6);
        CHECK_NEAR(d[1], sg(-1) * sg(1) / 2, 1e-6);
        CHECK_NEAR(d[2], (sg(-2) * sg(2) - 2 * sg(1) * sg(-1)) / 2, 1e-6);
        CHECK_NEAR(d[0], -(sg(-1) * sg(1) + sg(-2) * sg(2)) / 2, 1e-6);
        config.with_diagonal = 1;
        CHECK_NEAR(row_loss(&config, 3, 0, NULL, s, d), (l1 + l2 + 0.5) / 3, 1e-6);
        CHECK_NEAR(d[1], sg(-1) * sg(1) / 3, 1e-6);
    }
    TEST("TOP1-max weighs the terms of TOP1 by the softmax over the negatives") {
        const sessrec_loss_config config = loss_of(SESSREC_LOSS_TOP1_MAX);
        CHECK_NEAR(row_loss(&config, 3, 0, NULL, s, d), w * l1 + (1 - w) * l2, 1e-6);
        CHECK_NEAR(d[0], -w * sg(-1) * sg(1) - (1 - w) * sg(-2) * sg(2), 1e-6);
        CHECK_NEAR(d[1], w * (1 - w) * (l1 - l2) + w * sg(-1) * sg(1), 1e-6);
    }
    TEST("BPR-max is -log of the weighed mean of sigmoid(s_t - s_j), plus bpreg times the weighed mean of "
         "s_j^2") {
        sessrec_loss_config config = loss_of(SESSREC_LOSS_BPR_MAX);
        const double mean = w * sg(1) + (1 - w) * sg(2);
        config.bpreg = 0;
        CHECK_NEAR(row_loss(&config, 3, 0, NULL, s, d), -log(mean), 1e-6);
        CHECK_NEAR(d[0], -(w * sg(1) * sg(-1) + (1 - w) * sg(2) * sg(-2)) / mean, 1e-6);
        config.bpreg = 3;
        CHECK_NEAR(row_loss(&config, 3, 0, NULL, s, d), -log(mean) + 3 * (1 - w), 1e-6);
    }
}

static void gbce_by_hand(void) {
    const float s[3] = {1, 0, -1};
    sessrec_loss_config config = loss_of(SESSREC_LOSS_GBCE);
    float d[3];
    TEST("gBCE is -(b log sigmoid(s_t) + sum of log(1 - sigmoid(s_j))) / 3, b = a (t (1 - 1/a) + 1/a)") {
        config.calibration = 0.75f;
        config.sampling_rate = 0.2f;  // b = 0.2 (0.75 (1 - 5) + 5) = 0.4; softplus of -1, 0, -1
        CHECK_NEAR(row_loss(&config, 3, 0, NULL, s, d), (0.4 * 0.31326169 + 0.69314718 + 0.31326169) / 3,
                   1e-6);
        CHECK_NEAR(d[0], -0.4 * 0.26894142 / 3, 1e-6);
        CHECK_NEAR(d[1], 0.5 / 3, 1e-6);
        CHECK_NEAR(d[2], 0.26894142 / 3, 1e-6);
    }
    TEST("t = 0, a rate of 1 and a rate that is not given are binary cross-entropy; t = 1 is b = a") {
        static const float t[4] = {0, 0.75f, 0.75f, 1}, rate[4] = {0.2f, 1, 0, 0.2f};
        static const double beta[4] = {1, 1, 1, 0.2};
        for (int i = 0; i < 4; ++i) {
            config.calibration = t[i];
            config.sampling_rate = rate[i];
            CHECK_NEAR(row_loss(&config, 3, 0, NULL, s, d),
                       (beta[i] * 0.31326169 + 0.69314718 + 0.31326169) / 3, 1e-6);
            CHECK_NEAR(d[0], -beta[i] * 0.26894142 / 3, 1e-6);
        }
    }
    TEST("a trainer computes the rate from its mini-batch and its items; at most 1") {
        sessrec_log *log = random_log(40, 81, 2);
        sessrec_config whole = small_config(1, 5);
        sessrec_trainer *trainer;
        const float expected[4] = {0.25f, 1, 1, 0.125f}, given[4] = {0, 0, 1, 0.125f};
        const int32_t negatives[4] = {17, 500, 17, 17};
        whole.loss.kind = SESSREC_LOSS_GBCE;
        whole.batch_size = 4;
        for (int i = 0; i < 4; ++i) {
            whole.negatives = negatives[i];
            whole.loss.sampling_rate = given[i];
            CHECK_EQ(sessrec_trainer_create(&whole, log, &trainer, NULL), SESSREC_OK);
            CHECK_NEAR(trainer->config.loss.sampling_rate, expected[i], 0);
            sessrec_trainer_destroy(trainer);
        }
        sessrec_log_destroy(log);
    }
}

// ---- the hardest negatives --------------------------------------------------------------------------------

// The columns that stay, by counting for each negative how many score higher.
static int32_t stays(int32_t columns, int32_t target, const int32_t *items, int32_t skip, int32_t hardest,
                     const float *s, char *stay) {
    int32_t count = 0;
    for (int32_t j = 0; j < columns; ++j) {
        int32_t higher = 0;
        stay[j] = j == target;
        if (j == target || (skip && items[j] == items[target])) continue;
        for (int32_t k = 0; k < columns; ++k)
            higher += k != target && !(skip && items[k] == items[target]) && s[k] > s[j];
        stay[j] = higher < hardest;
    }
    for (int32_t j = 0; j < columns; ++j) count += stay[j];
    return count;
}

static void hardest_negatives(void) {
    enum { C = 33 };
    uint32_t seed = 4;
    float s[C];
    int32_t items[C];
    for (int j = 0; j < C; ++j) {
        items[j] = j % 11;
        s[j] = random_float(&seed, 3);
        if (j % 5 == 4) s[j] = s[j - 2];  // ties
    }
    s[7] = -0.0f, s[8] = 0;
    TEST("hardest by hand: of the negatives 2, 0.5, -1 and -3 the first two count, with a tie all that tie") {
        const float row[5] = {1, 0.5f, -1, 2, -3}, tied[5] = {1, 0.5f, 0.5f, 2, -3};
        sessrec_loss_config config = loss_of(SESSREC_LOSS_XE);
        float d[5];
        config.hardest = 2;
        CHECK_NEAR(row_loss(&config, 5, 0, NULL, row, d), log(1 + exp(-0.5) + exp(1.0)), 1e-6);
        CHECK_NEAR(d[3], exp(1.0) / (1 + exp(-0.5) + exp(1.0)), 1e-6);
        CHECK(d[2] == 0 && d[4] == 0);
        CHECK_NEAR(row_loss(&config, 5, 0, NULL, tied, d), log(1 + 2 * exp(-0.5) + exp(1.0)), 1e-6);
        CHECK(d[1] == d[2] && d[4] == 0);
        config.hardest = 1;
        CHECK_NEAR(row_loss(&config, 5, 0, NULL, tied, d), log(1 + exp(1.0)), 1e-6);
    }
    TEST("hardest: the loss and gradient of a row from which the other negatives were removed, those get 0") {
        for (int i = 0; i <= VARIANTS; ++i)
            for (int activation = 0; activation < ACTIVATIONS; ++activation)
                for (int32_t hardest = 1; hardest <= 40; hardest += hardest < 4 ? 1 : 9)
                    for (int32_t target = 0; target < C; target += 4) {
                        sessrec_loss_config config =
                            i < VARIANTS ? variant(i) : loss_of(SESSREC_LOSS_GBCE);
                        float packed[C], d[C], packed_d[C];
                        char stay[C];
                        int32_t kept = 0, new_target = -1;
                        config.activation = (sessrec_activation)activation;
                        config.smoothing = 0.2f;
                        config.skip_own_target = target % 8 == 4;
                        const int32_t left =
                            stays(C, target, items, config.skip_own_target, hardest, s, stay);
                        for (int32_t j = 0; j < C; ++j) {
                            if (!stay[j]) continue;
                            if (j == target) new_target = kept;
                            packed[kept++] = s[j];
                        }
                        CHECK_EQ(kept, left);
                        const double expected = row_loss(&config, kept, new_target, NULL, packed, packed_d);
                        config.hardest = hardest;
                        CHECK_NEAR(row_loss(&config, C, target, items, s, d), expected, 3e-6);
                        for (int32_t j = 0, at = 0; j < C; ++j) {
                            if (stay[j]) CHECK_NEAR(d[j], packed_d[at++], 1e-6);
                            else CHECK(d[j] == 0);
                        }
                    }
    }
    TEST("hardest: as many as there are, or more, change no bit; without negatives there is nothing to do") {
        for (int i = 0; i < VARIANTS; ++i) {
            sessrec_loss_config config = variant(i), all = config;
            float d[C], expected[C];
            config.skip_own_target = all.skip_own_target = 0;
            for (config.hardest = C - 1; config.hardest <= C + 1; ++config.hardest)
                CHECK(row_loss(&config, C, 3, items, s, d) == row_loss(&all, C, 3, items, s, expected) &&
                      !memcmp(d, expected, sizeof d));
            CHECK(row_loss(&config, 1, 0, NULL, s, d) == row_loss(&all, 1, 0, NULL, s, NULL) && d[0] == 0);
        }
    }
    TEST("hardest: a score that is NaN, of either sign, is not left out") {
        for (int sign = 0; sign < 2; ++sign) {
            sessrec_loss_config config = loss_of(SESSREC_LOSS_XE);
            const float row[4] = {1, 2, sign ? -NAN : NAN, 3};
            config.hardest = 1;
            const double loss = row_loss(&config, 4, 0, NULL, row, NULL);
            CHECK(loss != loss);
        }
    }
}

static void output_activations(void) {
    TEST("the loss sees the activation of the scores, its gradient is multiplied by the slope") {
        const float s[3] = {0.5f, -0.5f, 2};
        static const double slope[ACTIVATIONS][3] = {
            {1, 1, 1},
            {0.78644773, 0.78644773, 0.07065082},       // 1 - tanh^2
            {1, 0, 1},
            {1, 0.3, 1},
            {1, 0.18195920, 1},                         // 0.3 e^-0.5
            {1.2, 0.21835104, 1.2}
        };
        static const double value[ACTIVATIONS][3] = {
            {0.5, -0.5, 2},        {0.46211716, -0.46211716, 0.96402758},
            {0.5, 0, 2},           {0.5, -0.15, 2},
            {0.5, -0.11804080, 2}, {0.6, -0.14164896, 2.4}};
        for (int i = 0; i < VARIANTS; ++i)
            for (int activation = 0; activation < ACTIVATIONS; ++activation) {
                sessrec_loss_config config = variant(i);
                float y[3], dy[3], ds[3];
                config.activation_a = 0.3f;
                config.activation_b = 1.2f;
                for (int j = 0; j < 3; ++j) y[j] = (float)value[activation][j];
                const double expected = row_loss(&config, 3, 1, NULL, y, dy);
                config.activation = (sessrec_activation)activation;
                CHECK_NEAR(row_loss(&config, 3, 1, NULL, s, ds), expected, 1e-6);
                for (int j = 0; j < 3; ++j) CHECK_NEAR(ds[j], slope[activation][j] * (double)dy[j], 1e-6);
            }
    }
}

// ---- constant and extreme scores --------------------------------------------------------------------------

static void constant_scores(void) {
    TEST("constant scores: cross-entropy is log C, the others do not depend on where the target is or how "
         "many columns there are") {
        for (int columns = 2; columns <= 33; columns += 31) {
            float s[33], d[33];
            const double y = 0.7;
            for (int j = 0; j < columns; ++j) s[j] = 0.7f;
            const double expected[VARIANTS] = {
                log((double)columns), 0.5 + sg(y * y),  log(2.0),
                0.5 + sg(y * y),      log(2.0) + y * y, ((columns - 1) * (0.5 + sg(y * y)) + 0.5) / columns,
                columns * log(2.0)};
            for (int i = 0; i < VARIANTS; ++i)
                for (int target = 0; target < columns; target += columns - 1) {
                    const sessrec_loss_config config = variant(i);
                    CHECK_NEAR(row_loss(&config, columns, target, NULL, s, d), expected[i], 1e-5);
                    CHECK(d[target] < 0);
                }
        }
    }
    TEST("a loss that is a function of differences has a gradient that sums to 0") {
        uint32_t seed = 3;
        const sessrec_loss_kind kind[3] = {SESSREC_LOSS_XE, SESSREC_LOSS_BPR, SESSREC_LOSS_BPR_MAX};
        for (int i = 0; i < 3; ++i) {
            sessrec_loss_config config = loss_of(kind[i]);
            float s[19], d[19];
            double sum = 0;
            config.bpreg = 0;
            for (int j = 0; j < 19; ++j) s[j] = random_float(&seed, 3);
            row_loss(&config, 19, 4, NULL, s, d);
            for (int j = 0; j < 19; ++j) sum += (double)d[j];
            CHECK_NEAR(sum, 0, 1e-6);
        }
    }
}

static void extreme_scores(void) {
    TEST(
        "scores of +-80 and +-10000 give finite losses and gradients, whatever the loss and the activation") {
        static const float size[] = {80, 10000};
        for (int i = 0; i < VARIANTS; ++i)
            for (int activation = 0; activation < ACTIVATIONS; ++activation)
                for (int shape = 0; shape < 8; ++shape) {
                    sessrec_loss_config config = variant(i);
                    float s[20], d[20];
                    config.activation = (sessrec_activation)activation;
                    config.smoothing = shape & 4 ? 0.1f : 0;
                    for (int j = 0; j < 20; ++j)
                        s[j] = (j % 3 ? 1.0f : -1.0f) * (shape & 1 ? -1.0f : 1.0f) * size[shape / 2 % 2];
                    for (int target = 0; target < 2; ++target) {
                        CHECK(finite_number((float)row_loss(&config, 20, target, NULL, s, d)));
                        for (int j = 0; j < 20; ++j) CHECK(finite_number(d[j]));
                    }
                }
    }
    TEST("a target that is 10000 below the others costs 10000, one that is 10000 above costs nothing") {
        const float s[3] = {0, -10000, -10000};
        float d[3];
        const sessrec_loss_kind kind[3] = {SESSREC_LOSS_XE, SESSREC_LOSS_BPR, SESSREC_LOSS_BPR_MAX};
        for (int i = 0; i < 3; ++i) {
            sessrec_loss_config config = loss_of(kind[i]);
            config.bpreg = 0;
            CHECK(row_loss(&config, 3, 0, NULL, s, d) == 0);
            CHECK(fabsf(d[0]) < 1e-37f && fabsf(d[1]) < 1e-37f);
            CHECK_NEAR(row_loss(&config, 2, 1, NULL, s, d), 10000, 1e-6);
            CHECK(d[0] == 1 && d[1] == -1);
        }
    }
    TEST("a score that is NaN makes the loss NaN: it cannot go unnoticed") {
        for (int i = 0; i < VARIANTS; ++i)
            for (int activation = 0; activation < ACTIVATIONS; ++activation)
                for (int at = 0; at < 20; ++at) {
                    sessrec_loss_config config = variant(i);
                    float s[20];
                    config.activation = (sessrec_activation)activation;
                    for (int j = 0; j < 20; ++j) s[j] = j == at ? NAN : 0.1f * (float)j;
                    const double loss = row_loss(&config, 20, 5, NULL, s, NULL);
                    CHECK(loss != loss);
                }
    }
    TEST("a single column has nothing to be compared with: the loss is a constant, the gradient 0") {
        const float s = 3;
        float d = 1;
        static const double expected[VARIANTS] = {0, 0, 0, 0, 0, 0.5, 0.69314718};
        for (int i = 0; i < VARIANTS; ++i) {
            sessrec_loss_config config = variant(i);
            config.smoothing = 0.2f;
            CHECK_NEAR(row_loss(&config, 1, 0, NULL, &s, &d), expected[i], 1e-6);
            CHECK(d == 0);
        }
    }
}

// ---- rows and columns -------------------------------------------------------------------------------------

static void rows_and_columns(void) {
    enum { R = 5, C = 19 };
    uint32_t seed = 21;
    float s[R * C];
    int32_t items[C];
    for (int i = 0; i < R * C; ++i) s[i] = random_float(&seed, 3);
    for (int j = 0; j < C; ++j) items[j] = j % 7;  // most occur twice or three times
    TEST("rows are independent: together, apart, and with the scores as place for the gradient they have the "
         "same bits") {
        for (int i = 0; i < VARIANTS; ++i)
            for (int activation = 0; activation < ACTIVATIONS; ++activation)
                for (int32_t skip = 0; skip < 2; ++skip) {
                    sessrec_loss_config config = variant(i);
                    float loss[R], d[R * C], in_place[R * C], again[R], scratch[8 * C];
                    config.activation = (sessrec_activation)activation;
                    config.skip_own_target = skip;
                    CHECK_EQ(sessrec_loss(&config, 2, R, C, NULL, items, NULL, s, loss, d, scratch),
                             SESSREC_OK);
                    memcpy(in_place, s, sizeof s);
                    CHECK_EQ(sessrec_loss(&config, 2, R, C, NULL, items, NULL, in_place, again, in_place,
                                          scratch),
                             SESSREC_OK);
                    CHECK(!memcmp(in_place, d, sizeof d) && !memcmp(again, loss, sizeof loss));
                    for (int32_t row = 0; row < R; ++row) {
                        float alone[C];
                        CHECK_EQ(sessrec_loss(&config, 2 + row, 1, C, NULL, items, NULL, s + row * C, again,
                                              alone,
                                              scratch),
                                 SESSREC_OK);
                        CHECK(again[0] == loss[row] && !memcmp(alone, d + row * C, sizeof alone));
                    }
                }
    }
    TEST("skip_own_target: the loss and gradient of a row from which the target's other columns were "
         "removed, those get 0") {
        for (int i = 0; i < VARIANTS; ++i)
            for (int activation = 0; activation < ACTIVATIONS; ++activation)
                for (int32_t target = 0; target < C; ++target) {
                    sessrec_loss_config config = variant(i);
                    float packed[C], d[C], packed_d[C];
                    int32_t kept = 0, new_target = -1;
                    config.activation = (sessrec_activation)activation;
                    for (int32_t j = 0; j < C; ++j)
                        if (j == target || items[j] != items[target]) {
                            if (j == target) new_target = kept;
                            packed[kept++] = s[j];
                        }
                    const double expected = row_loss(&config, kept, new_target, NULL, packed, packed_d);
                    config.skip_own_target = 1;
                    CHECK_NEAR(row_loss(&config, C, target, items, s, d), expected, 2e-6);
                    for (int32_t j = 0, at = 0; j < C; ++j) {
                        if (j == target || items[j] != items[target]) CHECK_NEAR(d[j], packed_d[at++], 1e-6);
                        else CHECK(d[j] == 0);
                    }
                }
    }
    TEST("skip_own_target off: another column with the target's item is a negative like any other") {
        for (int i = 0; i < VARIANTS; ++i) {
            sessrec_loss_config config = variant(i);
            float d[C];
            config.skip_own_target = 0;
            CHECK(row_loss(&config, C, 0, items, s, d) == row_loss(&config, C, 0, NULL, s, NULL));
            CHECK(d[7] != 0 && items[7] == items[0]);
        }
    }
    TEST("skip_own_target without the items: the columns are taken for different ones") {
        for (int i = 0; i < VARIANTS; ++i) {
            sessrec_loss_config config = variant(i), counting = config;
            float d[C], expected[C];
            config.skip_own_target = 1;
            counting.skip_own_target = 0;
            CHECK(row_loss(&config, C, 0, NULL, s, d) == row_loss(&counting, C, 0, NULL, s, expected) &&
                  !memcmp(d, expected, sizeof d));
        }
    }
    TEST("skip_own_target: a row whose negatives are all its own target is a single column") {
        static const int32_t same[4] = {6, 6, 6, 6};
        for (int i = 0; i < KINDS; ++i) {
            sessrec_loss_config config = variant(i);
            float d[4];
            config.skip_own_target = 1;
            CHECK(row_loss(&config, 4, 2, same, s, d) == 0);
            for (int j = 0; j < 4; ++j) CHECK(d[j] == 0);
        }
    }
}

// ---- logQ and smoothing -----------------------------------------------------------------------------------

static double offset_loss(float logq, const float *log_proposal, const float *s, float *d) {
    sessrec_loss_config config = loss_of(SESSREC_LOSS_XE);
    float loss = NAN, scratch[8 * 4];
    config.logq = logq;
    CHECK_EQ(sessrec_loss(&config, 1, 1, 4, NULL, NULL, log_proposal, s, &loss, d, scratch), SESSREC_OK);
    return (double)loss;
}

static void offsets(void) {
    const float s[4] = {0.5f, -1, 2, 0.25f}, q[4] = {1, 3, -2, 0.5f};
    TEST("logQ subtracts logq times the logarithm of the proposal from the scores") {
        float moved[4], d[4], expected_d[4];
        for (int j = 0; j < 4; ++j) moved[j] = s[j] - 0.5f * q[j];
        const double expected = offset_loss(0, NULL, moved, expected_d);
        CHECK_NEAR(offset_loss(0.5f, q, s, d), expected, 1e-6);
        for (int j = 0; j < 4; ++j) CHECK_NEAR(d[j], expected_d[j], 1e-6);
    }
    TEST("logq 0 and no proposal at all are the plain loss, to the bit; so is a constant proposal, nearly") {
        const float constant[4] = {2, 2, 2, 2};
        float d[4], plain_d[4];
        const double plain = offset_loss(0, NULL, s, plain_d);
        CHECK(offset_loss(0, q, s, d) == plain && !memcmp(d, plain_d, sizeof d));
        CHECK(offset_loss(1, NULL, s, d) == plain && !memcmp(d, plain_d, sizeof d));
        CHECK_NEAR(offset_loss(1, constant, s, d), plain, 1e-6);
    }
    TEST("logQ is for cross-entropy: the other losses do not look at the proposal") {
        for (int i = 1; i < VARIANTS; ++i) {
            const sessrec_loss_config config = variant(i);
            float loss, d[4], scratch[8 * 4];
            CHECK_EQ(sessrec_loss(&config, 1, 1, 4, NULL, NULL, q, s, &loss, d, scratch), SESSREC_OK);
            CHECK((double)loss == row_loss(&config, 4, 1, NULL, s, NULL));
        }
    }
    TEST("logQ comes after the output activation, which does not see it") {
        sessrec_loss_config config = loss_of(SESSREC_LOSS_XE);
        float loss, y[4], d[4], expected_d[4], scratch[8 * 4];
        for (int j = 0; j < 4; ++j) y[j] = tanhf(s[j]);
        const double expected = offset_loss(1, q, y, expected_d);
        config.activation = SESSREC_TANH;
        CHECK_EQ(sessrec_loss(&config, 1, 1, 4, NULL, NULL, q, s, &loss, d, scratch), SESSREC_OK);
        CHECK_NEAR(loss, expected, 1e-6);
        for (int j = 0; j < 4; ++j)
            CHECK_NEAR(d[j], (double)expected_d[j] * (1 - tanh((double)s[j]) * tanh((double)s[j])), 1e-6);
    }
    TEST("smoothing e: 1-e of the cross-entropy of the target and e of the mean over the others") {
        sessrec_loss_config config = loss_of(SESSREC_LOSS_XE);
        double each[4], others = 0;
        float d[4], plain_d[4];
        for (int32_t j = 0; j < 4; ++j) each[j] = row_loss(&config, 4, j, NULL, s, NULL);
        for (int j = 0; j < 4; ++j) others += j == 2 ? 0 : each[j] / 3;
        row_loss(&config, 4, 2, NULL, s, plain_d);
        for (int percent = 0; percent < 100; percent += 33) {
            const double e = percent / 100.0;
            config.smoothing = (float)e;
            CHECK_NEAR(row_loss(&config, 4, 2, NULL, s, d), (1 - e) * each[2] + e * others, 1e-6);
            for (int j = 0; j < 4; ++j) CHECK_NEAR(d[j], (double)plain_d[j] + (j == 2 ? e : -e / 3), 1e-6);
        }
    }
    TEST("smoothing of (C-1)/C makes all columns equal: with constant scores the gradient is 0") {
        sessrec_loss_config config = loss_of(SESSREC_LOSS_XE);
        const float constant[4] = {1, 1, 1, 1};
        float d[4];
        config.smoothing = 0.75f;
        CHECK_NEAR(row_loss(&config, 4, 1, NULL, constant, d), log(4.0), 1e-6);
        for (int j = 0; j < 4; ++j) CHECK_NEAR(d[j], 0, 1e-7);
    }
}

// ---- in a training step -----------------------------------------------------------------------------------

// The loss of a new model's step from item 2 to `target` in a mini-batch of one, and its scores of all items.
static double step_loss(const sessrec_config *config, int32_t target, int32_t negatives,
                        const int32_t *negative, float *scores) {
    static const char *const sessions[2] = {"abcdefggg", "gca"};  // support a 2, b 1, c 2, d 1, e 1, f 1, g 4
    static const int32_t input[1] = {2}, all[7] = {0, 1, 2, 3, 4, 5, 6}, start[1] = {1}, previous[1] = {0};
    sessrec_log *clicks = letters_log(2, sessions, NULL);
    sessrec_trainer *trainer = NULL;
    sessrec_session *session = NULL;
    sessrec_batch batch;
    unsigned char memory[4096];
    double loss = NAN;
    CHECK_EQ(sessrec_trainer_create(config, clicks, &trainer, NULL), SESSREC_OK);
    CHECK_EQ(sessrec_session_init(model_of(trainer), 0, memory, sizeof memory, &session, NULL),
             SESSREC_OK);
    sessrec_session_click(session, input[0]);
    CHECK_EQ(sessrec_session_score(session, all, 7, scores), SESSREC_OK);
    memset(&batch, 0, sizeof batch);
    batch.rows = 1;
    batch.negative_count = negatives;
    batch.inputs = input;
    batch.targets = &target;
    batch.negatives = negative;
    batch.session_starts = start;
    batch.previous_rows = previous;
    CHECK_EQ(sessrec_trainer_grad(trainer, &batch, &loss, NULL), SESSREC_OK);
    sessrec_trainer_destroy(trainer);
    sessrec_log_destroy(clicks);
    return loss;
}

static void training_step(void) {
    static const int32_t negative[7] = {0, 1, 2, 3, 4, 5, 6};
    sessrec_config config = small_config(1, 5);
    float scores[7];
    config.batch_size = 1;
    config.negatives = 7;
    config.dropout_hidden = 0;
    TEST("with every item as a negative the cross-entropy is -log of the full softmax") {
        config.loss.logq = 0;
        config.loss.skip_own_target = 1;
        for (int32_t target = 0; target < 7; ++target) {
            const double loss = step_loss(&config, target, 7, negative, scores);
            double sum = 0;
            for (int i = 0; i < 7; ++i) sum += exp((double)scores[i]);
            CHECK_NEAR(loss, log(sum) - (double)scores[target], 1e-6);
        }
    }
    TEST("logQ is the logarithm of the support for a target, alpha times it for a sample") {
        static const int32_t sample[3] = {6, 0, 1};
        config.loss.logq = 0.9f;
        config.loss.skip_own_target = 0;
        config.alpha = 0.25f;
        const double loss = step_loss(&config, 6, 3, sample, scores),
                     own = (double)scores[6] - 0.9 * log(4.0);
        const double sum = exp(own) + exp((double)scores[6] - 0.9 * 0.25 * log(4.0)) +
                           exp((double)scores[0] - 0.9 * 0.25 * log(2.0)) + exp((double)scores[1]);
        CHECK_NEAR(loss, log(sum) - own, 1e-6);
    }
}

// ---- a loss of the caller's own ---------------------------------------------------------------------------

typedef struct witness {
    int calls;
    int32_t first_row, rows, columns;
    int32_t items[8];
    float scores[8];
} witness;

// Writes row i: loss 10 + i, gradient 100 i + j.
static void watch(void *user, int32_t first_row, int32_t rows, int32_t columns, const int32_t *items,
                  const float *scores, float *loss, float *gradient) {
    witness *w = (witness *)user;
    ++w->calls;
    w->first_row = first_row;
    w->rows = rows;
    w->columns = columns;
    memcpy(w->items, items, (size_t)columns * sizeof *items);
    memcpy(w->scores, scores, (size_t)(rows * columns) * sizeof *scores);
    for (int32_t i = 0; i < rows; ++i) {
        loss[i] = 10.0f + (float)i;
        for (int32_t j = 0; j < columns; ++j) gradient[i * columns + j] = (float)(100 * i + j);
    }
}

static void own_loss(void) {
    TEST("a loss of the caller's own gets rows, columns, items and scores as they are, and its results are "
         "taken as they are") {
        witness w;
        sessrec_loss_config config = loss_of(SESSREC_LOSS_CUSTOM);
        const float s[8] = {1, 2, 3, 4, 5, 6, 7, 8};
        const int32_t items[4] = {9, 8, 9, 7}, targets[2] = {0, 1};
        float loss[2], d[8], scratch[8 * 4];
        memset(&w, 0, sizeof w);
        config.custom = watch;
        config.custom_user = &w;
        config.skip_own_target = 1;         // neither this
        config.activation = SESSREC_TANH;   // nor this is done for it
        CHECK_EQ(sessrec_loss(&config, 1, 2, 4, NULL, items, NULL, s, loss, d, scratch), SESSREC_OK);
        CHECK_EQ(w.calls, 1);
        CHECK_EQ(w.first_row, 1);
        CHECK_EQ(w.rows, 2);
        CHECK_EQ(w.columns, 4);
        CHECK(!memcmp(w.items, items, sizeof items) && !memcmp(w.scores, s, sizeof s));
        CHECK(loss[0] == 10 && loss[1] == 11);
        for (int i = 0; i < 8; ++i) CHECK(d[i] == (float)(100 * (i / 4) + i % 4));
        CHECK_EQ(sessrec_loss(&config, 1, 2, 4, targets, items, NULL, s, loss, d, scratch),
                 SESSREC_INVALID_ARGUMENT);  // columns of targets are not told to it
        config.custom = NULL;
        CHECK_EQ(sessrec_loss(&config, 1, 2, 4, NULL, items, NULL, s, loss, d, scratch),
                 SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(w.calls, 1);
    }
    TEST("in training its columns are the targets, then the negatives; the scores are those before the "
         "activation") {
        static const char *const sessions[2] = {"abcdefg", "gca"};
        static const int32_t input[2] = {0, 3}, target[2] = {1, 4}, negative[2] = {6, 1}, start[2] = {1, 1},
                             previous[2] = {0, 1}, columns[4] = {1, 4, 6, 1};
        sessrec_log *log = letters_log(2, sessions, NULL);
        sessrec_config config = small_config(1, 5);
        sessrec_trainer *trainer = NULL;
        sessrec_batch batch;
        sessrec_session *session = NULL;
        unsigned char memory[4096];
        double loss = 0;
        witness w;
        memset(&w, 0, sizeof w);
        config.dropout_hidden = 0;
        config.loss.kind = SESSREC_LOSS_CUSTOM;
        config.loss.custom = watch;
        config.loss.custom_user = &w;
        CHECK_EQ(sessrec_trainer_create(&config, log, &trainer, NULL), SESSREC_OK);
        memset(&batch, 0, sizeof batch);
        batch.rows = 2;
        batch.negative_count = 2;
        batch.inputs = input;
        batch.targets = target;
        batch.negatives = negative;
        batch.session_starts = start;
        batch.previous_rows = previous;
        CHECK_EQ(sessrec_trainer_grad(trainer, &batch, &loss, NULL), SESSREC_OK);
        CHECK(loss == (10 + 11) / 4.0);  // by batch_size, though two slots are live
        CHECK_EQ(w.calls, 1);
        CHECK_EQ(w.rows, 2);
        CHECK_EQ(w.columns, 4);
        CHECK(!memcmp(w.items, columns, sizeof columns));
        for (int i = 0; i < 2; ++i) {
            float scores[4];
            CHECK_EQ(sessrec_session_init(model_of(trainer), 0, memory, sizeof memory, &session, NULL),
                     SESSREC_OK);
            sessrec_session_click(session, input[i]);
            CHECK_EQ(sessrec_session_score(session, columns, 4, scores), SESSREC_OK);
            for (int j = 0; j < 4; ++j) CHECK_NEAR(w.scores[4 * i + j], scores[j], 1e-6);
        }
        sessrec_trainer_destroy(trainer);
        sessrec_log_destroy(log);
    }
}

// ---- what is refused --------------------------------------------------------------------------------------

static void refusals(void) {
    const float s[4] = {1, 2, 3, 4};
    float loss[4], d[4], scratch[32];
    sessrec_loss_config config = loss_of(SESSREC_LOSS_XE);
    TEST("NULL for what is needed is an invalid argument") {
        CHECK_EQ(sessrec_loss(&config, 0, 1, 4, NULL, NULL, NULL, s, loss, d, scratch), SESSREC_OK);
        CHECK_EQ(sessrec_loss(NULL, 0, 1, 4, NULL, NULL, NULL, s, loss, d, scratch),
                 SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_loss(&config, 0, 1, 4, NULL, NULL, NULL, NULL, loss, d, scratch),
                 SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_loss(&config, 0, 1, 4, NULL, NULL, NULL, s, NULL, d, scratch),
                 SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_loss(&config, 0, 1, 4, NULL, NULL, NULL, s, loss, NULL, scratch),
                 SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_loss(&config, 0, 1, 4, NULL, NULL, NULL, s, loss, d, NULL),
                 SESSREC_INVALID_ARGUMENT);
    }
    TEST("a target beyond the columns, no columns and negative counts are invalid arguments; no rows is "
         "nothing to do") {
        CHECK_EQ(sessrec_loss(&config, 4, 1, 4, NULL, NULL, NULL, s, loss, d, scratch),
                 SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_loss(&config, 3, 1, 4, NULL, NULL, NULL, s, loss, d, scratch), SESSREC_OK);
        CHECK_EQ(sessrec_loss(&config, 1, 2, 2, NULL, NULL, NULL, s, loss, d, scratch),
                 SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_loss(&config, INT32_MAX, 1, 4, NULL, NULL, NULL, s, loss, d, scratch),
                 SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_loss(&config, 0, INT32_MAX, 4, NULL, NULL, NULL, s, loss, d, scratch),
                 SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_loss(&config, -1, 1, 4, NULL, NULL, NULL, s, loss, d, scratch),
                 SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_loss(&config, 0, -1, 4, NULL, NULL, NULL, s, loss, d, scratch),
                 SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_loss(&config, 0, 0, 0, NULL, NULL, NULL, s, loss, d, scratch),
                 SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_loss(&config, 0, 0, 4, NULL, NULL, NULL, s, loss, d, scratch), SESSREC_OK);
        for (int32_t target = -1; target <= 4; ++target)
            CHECK_EQ(sessrec_loss(&config, 0, 1, 4, &target, NULL, NULL, s, loss, d, scratch),
                     target < 0 || target > 3 ? SESSREC_INVALID_ARGUMENT : SESSREC_OK);
    }
    TEST("a custom loss without a callback is an invalid argument, by itself and in a configuration") {
        sessrec_config whole = sessrec_config_default();
        config.kind = whole.loss.kind = SESSREC_LOSS_CUSTOM;
        CHECK_EQ(sessrec_loss(&config, 0, 1, 4, NULL, NULL, NULL, s, loss, d, scratch),
                 SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_config_check(&whole, NULL), SESSREC_INVALID_ARGUMENT);
    }
    TEST("a configuration with a loss, an activation or a number that does not exist is refused") {
        static const char *const named[13] = {
            "loss",      "loss",      "activation", "activation_a", "activation_b",  "bpreg", "logq",
            "smoothing", "smoothing", "hardest",    "calibration",  "sampling-rate", "logq"};
        for (int i = 0; i < 13; ++i) {
            sessrec_config whole = sessrec_config_default();
            sessrec_error err;
            switch (i) {
            case 0: whole.loss.kind = (sessrec_loss_kind)7; break;
            case 1: whole.loss.kind = (sessrec_loss_kind)-1; break;
            case 2: whole.loss.activation = (sessrec_activation)6; break;
            case 3: whole.loss.activation_a = -1; break;
            case 4: whole.loss.activation_b = NAN; break;
            case 5: whole.loss.bpreg = -0.5f; break;
            case 6: whole.loss.logq = -1; break;
            case 7: whole.loss.smoothing = 1; break;
            case 8: whole.loss.smoothing = NAN; break;
            case 9: whole.loss.hardest = -1; break;
            case 10: whole.loss.calibration = 1.5f; break;
            case 11: whole.loss.sampling_rate = -0.1f; break;
            default: whole.loss.logq = INFINITY; break;
            }
            err.text[0] = 0;
            CHECK_EQ(sessrec_config_check(&whole, &err), SESSREC_INVALID_ARGUMENT);
            CHECK(strstr(err.text, named[i]) != NULL);
        }
    }
}

int main(void) {
    by_hand();
    gbce_by_hand();
    hardest_negatives();
    output_activations();
    constant_scores();
    extreme_scores();
    rows_and_columns();
    offsets();
    training_step();
    own_loss();
    refusals();
    return test_report("losses");
}
