// One time step of the GRU: by hand, in its limits, and as a whole against the equations in double precision.
#include "models.h"

#include <stdlib.h>

static double sg(double x) {
    return 1 / (1 + exp(-x));
}

// ---- one unit, by hand ------------------------------------------------------------------------------------
// x = 0.5, h = 0.8; for r, z, n:  W = 1, -2, 0.5   U = 0.3, 0.4, -0.6   b = 0.1, 0.2, 0.3   c = 0.05, -0.1,
// 0.7

static const float X = 0.5f, STATE = 0.8f;
static const float W1[3] = {1, -2, 0.5f}, U1[3] = {0.3f, 0.4f, -0.6f}, B1[3] = {0.1f, 0.2f, 0.3f},
                   C1[3] = {0.05f, -0.1f, 0.7f}, ZERO[3] = {0, 0, 0};

static sessrec_gru one_unit(sessrec_gru_form form, const float *W, const float *U, const float *b,
                            const float *c) {
    sessrec_gru gru;
    gru.form = form;
    gru.input = gru.hidden = 1;
    gru.W = W;
    gru.U = U;
    gru.b = b;
    gru.c = c;
    return gru;
}

static float step(const sessrec_gru *gru, float x, float h) {
    float h_new, tape[4];
    sessrec_gru_forward(gru, 1, &x, &h, &h_new, tape);
    return h_new;
}

static void one_unit_by_hand(void) {
    TEST("reset-before: r = sg(0.84), z = sg(-0.48), n = tanh(0.55 - 0.48 r), h' = (1-z) h + z n") {
        const sessrec_gru gru = one_unit(SESSREC_RESET_BEFORE, W1, U1, B1, NULL);
        CHECK_NEAR(step(&gru, X, STATE), 0.57504303, 1e-6);
    }
    TEST("reset-after: r = sg(0.89), z = sg(-0.58), n = tanh(0.55 + 0.22 r), h' = (1-z) h + z n") {
        const sessrec_gru gru = one_unit(SESSREC_RESET_AFTER, W1, U1, B1, C1);
        CHECK_NEAR(step(&gru, X, STATE), 0.73113325, 1e-6);
    }
    TEST("the tape holds r, z, n and r * h, or h Un + cn") {
        sessrec_gru gru = one_unit(SESSREC_RESET_BEFORE, W1, U1, B1, NULL);
        float h_new, tape[4];
        sessrec_gru_forward(&gru, 1, &X, &STATE, &h_new, tape);
        CHECK_NEAR(tape[0], sg(0.84), 1e-6);
        CHECK_NEAR(tape[1], sg(-0.48), 1e-6);
        CHECK_NEAR(tape[2], tanh(0.55 - 0.48 * sg(0.84)), 1e-6);
        CHECK_NEAR(tape[3], 0.8 * sg(0.84), 1e-6);
        gru = one_unit(SESSREC_RESET_AFTER, W1, U1, B1, C1);
        sessrec_gru_forward(&gru, 1, &X, &STATE, &h_new, tape);
        CHECK_NEAR(tape[3], 0.22, 1e-6);
    }
    TEST("three clicks from the zero state") {
        const float W[3] = {0.5f, 1, 2}, U[3] = {0.1f, 0.2f, 0.3f};
        const sessrec_gru gru = one_unit(SESSREC_RESET_BEFORE, W, U, ZERO, NULL);
        float h = step(&gru, 1, 0);
        CHECK_NEAR(h, sg(1) * tanh(2.0), 1e-6);
        h = step(&gru, 2, h);
        h = step(&gru, 3, h);
        CHECK_NEAR(h, 0.99875186, 1e-6);
    }
}

// ---- limits of the gates ----------------------------------------------------------------------------------

static void limits(void) {
    static const sessrec_gru_form form[2] = {SESSREC_RESET_BEFORE, SESSREC_RESET_AFTER};
    TEST("a closed update gate keeps the state, bit for bit") {
        const float b[3] = {0.1f, -1000, 0.3f};
        for (int f = 0; f < 2; ++f) {
            const sessrec_gru gru = one_unit(form[f], W1, U1, b, C1);
            CHECK(step(&gru, X, STATE) == STATE);
            CHECK(step(&gru, X, -0.01f) == -0.01f);
        }
    }
    TEST("an open update gate takes the candidate alone") {
        const float b[3] = {0.1f, 1000, 0.3f};
        const sessrec_gru before = one_unit(SESSREC_RESET_BEFORE, W1, U1, b, NULL),
                          after = one_unit(SESSREC_RESET_AFTER, W1, U1, b, C1);
        CHECK_NEAR(step(&before, X, STATE), tanh(0.55 - 0.48 * sg(0.84)), 1e-6);
        CHECK_NEAR(step(&after, X, STATE), tanh(0.55 + 0.22 * sg(0.89)), 1e-6);
    }
    TEST("a closed reset gate hides the past from the candidate, its recurrent bias too") {
        const float b[3] = {-1000, 1000, 0.3f};
        for (int f = 0; f < 2; ++f) {
            const sessrec_gru gru = one_unit(form[f], W1, U1, b, C1);
            CHECK_NEAR(step(&gru, X, STATE), tanh(0.55), 1e-6);
            CHECK(step(&gru, X, STATE) - step(&gru, X, -STATE) < 1e-6f);
        }
    }
    TEST("inputs and weights that are very large give a state in [-1,1]") {
        const float W[3] = {1e6f, 1e6f, -1e6f}, U[3] = {1e6f, -1e6f, 1e6f};
        for (int f = 0; f < 2; ++f)
            for (int sign = -1; sign <= 1; ++sign) {
                const sessrec_gru gru = one_unit(form[f], W, U, B1, C1);
                float h = step(&gru, (float)sign * 1e6f, 0.5f);
                CHECK(h >= -1 && h <= 1);
            }
    }
}

// ---- larger cells -----------------------------------------------------------------------------------------

typedef struct cell {
    sessrec_gru gru;
    int32_t rows;
    float *W, *U, *b, *c, *x, *h, *h_new, *tape;
} cell;

static float *random_floats(int64_t count, float limit, uint32_t *seed) {
    float *data = (float *)malloc((size_t)count * sizeof *data);
    for (int64_t i = 0; i < count; ++i) data[i] = random_float(seed, limit);
    return data;
}

static cell make_cell(sessrec_gru_form form, int32_t rows, int32_t D, int32_t H, uint32_t seed) {
    cell at;
    at.gru.W = at.W = random_floats(D * 3 * H, 0.5f, &seed);
    at.gru.U = at.U = random_floats(H * 3 * H, 0.5f, &seed);
    at.gru.b = at.b = random_floats(3 * H, 0.5f, &seed);
    at.gru.c = at.c = random_floats(3 * H, 0.5f, &seed);
    at.gru.form = form;
    at.gru.input = D;
    at.gru.hidden = H;
    at.rows = rows;
    at.x = random_floats(rows * D, 1, &seed);
    at.h = random_floats(rows * H, 0.9f, &seed);
    at.h_new = random_floats(rows * H, 1, &seed);
    at.tape = random_floats(rows * 4 * H, 1, &seed);
    return at;
}
static void free_cell(cell *at) {
    float *const block[] = {at->W, at->U, at->b, at->c, at->x, at->h, at->h_new, at->tape};
    for (int i = 0; i < 8; ++i) free(block[i]);
}
static void forward(cell *at) {
    sessrec_gru_forward(&at->gru, at->rows, at->x, at->h, at->h_new, at->tape);
}

// x W + b or h U (+ c) of one gate, one unit and one row, in double. first: where the gate's columns begin.
static double product(const float *x, int32_t width, const float *weights, int32_t column, int32_t columns) {
    double sum = 0;
    for (int32_t k = 0; k < width; ++k) sum += (double)x[k] * (double)weights[k * columns + column];
    return sum;
}

static void expected_row(const cell *at, int32_t row, double *h_new) {
    enum { MOST_HIDDEN = 128 };
    const int32_t H = at->gru.hidden, D = at->gru.input, after = at->gru.form == SESSREC_RESET_AFTER;
    const float *x = at->x + row * D, *h = at->h + row * H;
    double r[MOST_HIDDEN], z[MOST_HIDDEN];
    for (int32_t j = 0; j < H; ++j) {
        r[j] = sg(product(x, D, at->W, j, 3 * H) + product(h, H, at->U, j, 3 * H) + (double)at->b[j] +
                  (after ? (double)at->c[j] : 0));
        z[j] = sg(product(x, D, at->W, H + j, 3 * H) + product(h, H, at->U, H + j, 3 * H) +
                  (double)at->b[H + j] + (after ? (double)at->c[H + j] : 0));
    }
    for (int32_t j = 0; j < H; ++j) {
        double past = after ? (double)at->c[2 * H + j] : 0;
        for (int32_t k = 0; k < H; ++k)
            past += (after ? 1 : r[k]) * (double)h[k] * (double)at->U[k * 3 * H + 2 * H + j];
        double n = tanh(product(x, D, at->W, 2 * H + j, 3 * H) + (double)at->b[2 * H + j] +
                        (after ? r[j] : 1) * past);
        h_new[j] = (1 - z[j]) * (double)h[j] + z[j] * n;
    }
}

static void whole_cells(void) {
    // rows, D, H
    static const int32_t size[6][3] = {{1, 1, 1},    {3, 2, 5},    {7, 17, 16},
                                       {33, 16, 17}, {5, 50, 100}, {9, 113, 33}};
    static const sessrec_gru_form form[2] = {SESSREC_RESET_BEFORE, SESSREC_RESET_AFTER};
    TEST("a step equals its equations in double precision, for any sizes") {
        for (int s = 0; s < 6; ++s)
            for (int f = 0; f < 2; ++f) {
                cell at = make_cell(form[f], size[s][0], size[s][1], size[s][2], 3);
                double h_new[128], worst = 0;
                forward(&at);
                for (int32_t row = 0; row < at.rows; ++row) {
                    expected_row(&at, row, h_new);
                    for (int32_t j = 0; j < at.gru.hidden; ++j)
                        worst = fmax(worst, fabs((double)at.h_new[row * at.gru.hidden + j] - h_new[j]));
                }
                CHECK_NEAR(worst, 0, 2e-6);
                free_cell(&at);
            }
    }
    TEST("a row has the same bits alone, among others, and when the new state takes the old one's place") {
        for (int s = 0; s < 6; ++s)
            for (int f = 0; f < 2; ++f) {
                cell at = make_cell(form[f], size[s][0], size[s][1], size[s][2], 5);
                const int32_t H = at.gru.hidden, D = at.gru.input;
                float alone[128], tape[4 * 128];
                forward(&at);
                for (int32_t row = 0; row < at.rows; ++row) {
                    sessrec_gru_forward(&at.gru, 1, at.x + row * D, at.h + row * H, alone, tape);
                    CHECK(!memcmp(alone, at.h_new + row * H, (size_t)H * sizeof(float)));
                    CHECK(!memcmp(tape, at.tape + row * 4 * H, (size_t)(4 * H) * sizeof(float)));
                }
                sessrec_gru_forward(&at.gru, at.rows, at.x, at.h, at.h, at.tape);
                CHECK(!memcmp(at.h, at.h_new, (size_t)(at.rows * H) * sizeof(float)));
                free_cell(&at);
            }
    }
}

// ---- the two forms ----------------------------------------------------------------------------------------

// The states of both forms from the same weights.
static double distance_of_forms(cell *at, int *same_bits) {
    const int32_t n = at->rows * at->gru.hidden;
    float *before = (float *)malloc((size_t)n * sizeof *before);
    double worst = 0;
    at->gru.form = SESSREC_RESET_BEFORE;
    forward(at);
    memcpy(before, at->h_new, (size_t)n * sizeof *before);
    at->gru.form = SESSREC_RESET_AFTER;
    forward(at);
    *same_bits = !memcmp(before, at->h_new, (size_t)n * sizeof *before);
    for (int32_t i = 0; i < n; ++i) worst = fmax(worst, fabs((double)before[i] - (double)at->h_new[i]));
    free(before);
    return worst;
}

static void forms(void) {
    enum { ROWS = 6, D = 9, H = 21 };
    int same;
    TEST("the forms differ") {
        cell at = make_cell(SESSREC_RESET_BEFORE, ROWS, D, H, 7);
        memset(at.c, 0, 3 * H * sizeof(float));
        CHECK(distance_of_forms(&at, &same) > 0.01);
        free_cell(&at);
    }
    TEST("without recurrent candidate weights and second bias both forms give the same bits") {
        cell at = make_cell(SESSREC_RESET_BEFORE, ROWS, D, H, 7);
        memset(at.c, 0, 3 * H * sizeof(float));
        for (int32_t k = 0; k < H; ++k) memset(at.U + k * 3 * H + 2 * H, 0, H * sizeof(float));
        CHECK(distance_of_forms(&at, &same) == 0);
        CHECK(same);
        free_cell(&at);
    }
    TEST("with an open reset gate and no second bias both forms are the same function") {
        cell at = make_cell(SESSREC_RESET_BEFORE, ROWS, D, H, 7);
        memset(at.c, 0, 3 * H * sizeof(float));
        for (int32_t j = 0; j < H; ++j) at.b[j] = 1000;
        CHECK_NEAR(distance_of_forms(&at, &same), 0, 1e-6);
        free_cell(&at);
    }
    TEST("from the zero state, without a second bias, both forms give the same bits") {
        cell at = make_cell(SESSREC_RESET_BEFORE, ROWS, D, H, 7);
        memset(at.c, 0, 3 * H * sizeof(float));
        memset(at.h, 0, ROWS * H * sizeof(float));
        CHECK(distance_of_forms(&at, &same) == 0);
        free_cell(&at);
    }
    TEST("reset-before does not look at the second bias, which may be NULL") {
        cell at = make_cell(SESSREC_RESET_BEFORE, ROWS, D, H, 7);
        float with_c[ROWS * H];
        forward(&at);
        memcpy(with_c, at.h_new, sizeof with_c);
        at.gru.c = NULL;
        forward(&at);
        CHECK(!memcmp(with_c, at.h_new, sizeof with_c));
        free_cell(&at);
    }
}

// ---- backward: what is written; the values are checked in test_gradients.c --------------------------------

enum { B = 5, D = 4, H = 6 };
typedef struct gradients {
    float W[D * 3 * H], U[H * 3 * H], b[3 * H], c[3 * H], d_x[B * D], d_h[B * H];
} gradients;

static void backward(const cell *at, const float *d_h_new, gradients *g, int inputs) {
    sessrec_gru_gradient into;
    float scratch[B * (9 * H + D)];
    into.W = g->W;
    into.U = g->U;
    into.b = g->b;
    into.c = at->gru.form == SESSREC_RESET_AFTER ? g->c : NULL;
    sessrec_gru_backward(&at->gru, at->rows, at->x, at->h, at->tape, d_h_new, inputs ? g->d_x : NULL,
                         inputs ? g->d_h : NULL, &into, scratch);
}

static void backward_step(void) {
    static const sessrec_gru_form form[2] = {SESSREC_RESET_BEFORE, SESSREC_RESET_AFTER};
    for (int f = 0; f < 2; ++f) {
        cell at = make_cell(form[f], B, D, H, 11);
        uint32_t seed = 13;
        float *d_h_new = random_floats(B * H, 1, &seed);
        gradients g, again;
        forward(&at);
        TEST(f ? "reset-after: gradients are overwritten, those of x and h may be left out"
               : "reset-before: gradients are overwritten, those of x and h may be left out") {
            memset(&g, 0, sizeof g);
            memset(&again, 0x7f, sizeof again);
            memset(again.c, 0, sizeof again.c);
            backward(&at, d_h_new, &g, 1);
            backward(&at, d_h_new, &again, 1);
            CHECK(!memcmp(&g, &again, sizeof g));
            CHECK((g.c[0] != 0) == f);
            memset(&again, 0, sizeof again);
            backward(&at, d_h_new, &again, 0);
            CHECK(!memcmp(g.W, again.W, sizeof g.W) && !memcmp(g.U, again.U, sizeof g.U) &&
                  !memcmp(g.b, again.b, sizeof g.b) && !memcmp(g.c, again.c, sizeof g.c));
            CHECK(again.d_x[0] == 0 && again.d_h[0] == 0);
        }
        TEST(f ? "reset-after: the gradients of x and h belong to their row alone"
               : "reset-before: the gradients of x and h belong to their row alone") {
            backward(&at, d_h_new, &g, 1);
            for (int32_t row = 0; row < B; ++row) {
                cell one = at;
                one.rows = 1;
                one.x = at.x + row * D;
                one.h = at.h + row * H;
                one.tape = at.tape + row * 4 * H;
                backward(&one, d_h_new + row * H, &again, 1);
                CHECK(!memcmp(again.d_x, g.d_x + row * D, D * sizeof(float)) &&
                      !memcmp(again.d_h, g.d_h + row * H, H * sizeof(float)));
            }
        }
        TEST(f ? "reset-after: no gradient from above, none below"
               : "reset-before: no gradient from above, none below") {
            const float *number = (const float *)&g;
            int wrong = 0;
            memset(d_h_new, 0, B * H * sizeof(float));
            memset(&g, 0, sizeof g);
            backward(&at, d_h_new, &g, 1);
            for (size_t i = 0; i < sizeof g / sizeof(float); ++i) wrong += number[i] != 0;
            CHECK_EQ(wrong, 0);
        }
        free(d_h_new);
        free_cell(&at);
    }
}

int main(void) {
    one_unit_by_hand();
    limits();
    whole_cells();
    forms();
    backward_step();
    return test_report("gru");
}
