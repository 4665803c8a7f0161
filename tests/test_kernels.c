// The kernels: the plain ones are what they say, and those of AVX2, AVX-512 and NEON give the same bits.
#ifndef SESSREC_MAX_SIMD
#  define SESSREC_MAX_SIMD 3
#endif
#define SESSREC_IMPLEMENTATION
#include "models.h"

#include <float.h>
#include <stdlib.h>

static const int32_t SIZE[] = {1, 7, 16, 17, 33, 48, 50, 100, 113};
enum { SIZES = (int)(sizeof SIZE / sizeof *SIZE), MARGIN = 5, MOST = 113 + 2 * MARGIN };

// ---- tools ------------------------------------------------------------------------------------------------

static const char *sentence(const char *beginning, const char *end) {
    static char text[160];
    snprintf(text, sizeof text, "%s: %s", beginning, end);
    return text;
}

static float float_of_bits(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

// Equal bits, where one NaN is as good as another.
static int same_float(float x, float y) {
    return !memcmp(&x, &y, sizeof x) || (x != x && y != y);
}
static int64_t differences(int64_t n, const float *x, const float *y) {
    int64_t count = 0;
    for (int64_t i = 0; i < n; ++i) count += !same_float(x[i], y[i]);
    return count;
}

static void fill(float *x, int64_t n, float limit, uint32_t *seed) {
    for (int64_t i = 0; i < n; ++i) x[i] = random_float(seed, limit);
}
// Random numbers, and in between those that kernels get wrong.
static void fill_hard(float *x, int64_t n, uint32_t *seed) {
    static const float hard[] = {0,    -0.0f,  1,       -1,    0.625f,   -87,      87,        88.722f, 200,
                                 -200, 1e-20f, -1e-40f, 1e30f, -FLT_MAX, INFINITY, -INFINITY, NAN};
    for (int64_t i = 0; i < n; ++i)
        x[i] = random_below(seed, 3) ? random_float(seed, 20)
                                     : hard[random_below(seed, (int32_t)(sizeof hard / sizeof *hard))];
}

// ---- a fused multiply-add is rounded once -----------------------------------------------------------------

// Whether the compiler keeps more digits than a float has: then not every sum is rounded as C says.
static int extra_digits(void) {
    return !strcmp(sessrec_simd(), "x87");
}

static float fused(const sessrec__kernels *k, float a, float b, float c) {
    float x[16], y[16], z[16];
    for (int l = 0; l < 16; ++l) x[l] = a, y[l] = b, z[l] = c;  // a whole vector of any set
    k->muladd(16, x, y, z, x);
    return x[0];
}
static void fused_multiply_add(const sessrec__kernels *k) {
    TEST("a product on the middle between two floats goes where the smallest summand pulls it") {
        // a * a = middle + step / 2
        const float a = 1 + 1.0f / 4096, middle = 1 + 1.0f / 2048, step = 1.0f / 8388608;
        CHECK(fused(k, a, a, 0) == middle);
        CHECK(fused(k, a, a, 1e-30f) == middle + step);
        CHECK(fused(k, a, a, -1e-30f) == middle);
        CHECK(fused(k, -a, a, 1e-30f) == -middle);
        CHECK(fused(k, -a, a, -1e-30f) == -middle - step);
        CHECK(fused(k, a + step, a, FLT_MIN) == fmaf(a + step, a, FLT_MIN));
    }
    TEST("what a difference leaves is exact") {
        const float third = 1.0f / 3;
        CHECK(fused(k, third, 3, -1) == 1.0f / 33554432);  // 1/3 is 11184811 / 2^25
        CHECK(fused(k, 1e-30f, 1e-30f, 0) == 0 && fused(k, 1e-30f, -1e-30f, 1e-44f) == 1e-44f);
    }
    TEST("a fused multiply-add equals C's fmaf on any bits, on cancellation and next to a middle") {
        uint32_t seed = 7;
        int64_t wrong = 0;
#ifdef __wasm__
        // its library's fmaf needs other directions of rounding, which WebAssembly lacks
        const int known = 0;
#else
        const int known = !extra_digits();
#endif
        if (!known) SKIP("fmaf", "x87 keeps more digits, and WebAssembly has no exact one");
        for (int i = 0; i < 100000 && known; ++i) {
            float a = float_of_bits(random_bits(&seed)), b = float_of_bits(random_bits(&seed)),
                  c = float_of_bits(random_bits(&seed));
            float p = random_float(&seed, 2), q = random_float(&seed, 2),
                  tiny = ldexpf(random_float(&seed, 1), -random_below(&seed, 140));
            // u * v: often a middle
            float u = 1 + (float)random_below(&seed, 4096) / 4096,
                  v = 1 + (float)random_below(&seed, 8192) / 8192;
            wrong += !same_float(fused(k, a, b, c), fmaf(a, b, c));
            wrong += !same_float(fused(k, p, q, -(p * q)), fmaf(p, q, -(p * q)));
            wrong += !same_float(fused(k, u, v, tiny), fmaf(u, v, tiny));
            wrong += !same_float(fused(k, -u, v, tiny), fmaf(-u, v, tiny));
            // subnormal
            wrong += !same_float(fused(k, tiny, p * 1e-20f, tiny * 1e-18f),
                                 fmaf(tiny, p * 1e-20f, tiny * 1e-18f));
        }
        CHECK_EQ(wrong, 0);
    }
}

// ---- exp, sigmoid, tanh, softplus -------------------------------------------------------------------------

enum { EXP, SIGMOID, TANH, SOFTPLUS, SPECIAL_FUNCTIONS };
static const char *const SPECIAL_NAME[SPECIAL_FUNCTIONS] = {"exp", "sigmoid", "tanh", "softplus"};

static void special_array(const sessrec__kernels *k, int which, int32_t n, const float *x, float *y) {
    if (which == EXP) k->exp(n, x, 0, y);
    else (which == SIGMOID ? k->sigmoid : which == TANH ? k->tanh : k->softplus)(n, x, y);
}
static float special(int which, float x) {
    float y;
    special_array(&sessrec__plain_table, which, 1, &x, &y);
    return y;
}
static double exact_special(int which, double x) {
    switch (which) {
    case EXP: return exp(x);
    case SIGMOID: return 1 / (1 + exp(-x));
    case TANH: return tanh(x);
    default: return (x > 0 ? x : 0) + log1p(exp(-fabs(x)));
    }
}

// The largest relative error over `count` numbers from -limit, or -32, to limit.
static double largest_error(int which, double limit, int count) {
    const double least = limit < 32 ? -limit : -32;
    double largest = 0;
    float x[16], y[16];
    for (int i = 0; i < count; i += 16) {
        for (int l = 0; l < 16; ++l) x[l] = (float)(least + (limit - least) * (i + l) / count);
        special_array(&sessrec__plain_table, which, 16, x, y);
        for (int l = 0; l < 16; ++l) {
            double exact = exact_special(which, (double)x[l]), error = fabs((double)y[l] - exact);
            if (error > largest * fabs(exact)) largest = error / fabs(exact);
        }
    }
    return largest;
}

static void special_functions(void) {
    static const double limit[] = {86.9, 12, 1, 1e-3, 1e-30};
    for (int which = 0; which < SPECIAL_FUNCTIONS; ++which)
        TEST(sentence(SPECIAL_NAME[which],
                      "the relative error is 2e-7 at most from -32 on, for large arguments and for small")) {
            for (int i = 0; i < 5; ++i) CHECK_NEAR(largest_error(which, limit[i], 60000), 0, 2e-7);
        }
    TEST("exp subtracts its shift before anything can overflow") {
        const float x[3] = {1000, 1001, 990};
        float y[3];
        sessrec__plain_table.exp(3, x, 1001, y);
        CHECK_NEAR(y[0], exp(-1), 2e-7);
        CHECK(y[1] == 1);
        CHECK_NEAR(y[2] / exp(-11), 1, 2e-7);
    }
    TEST("below -32 exp, sigmoid and softplus are 0, so that no product of a few of them is denormal") {
        static const int small[] = {EXP, SIGMOID, SOFTPLUS};
        for (int i = 0; i < 3; ++i) {
            CHECK(special(small[i], -32) > 1e-14f);
            CHECK(special(small[i], -32.001f) == 0 && special(small[i], -88) == 0 &&
                  special(small[i], -INFINITY) == 0);
        }
    }
    TEST("where exp leaves the range of floats it is nearly the largest float, and infinite only for "
         "infinity") {
        CHECK(special(EXP, 89) > 3.39e38f && special(EXP, 89) <= FLT_MAX &&
              special(EXP, 1e30f) == special(EXP, 89));
        CHECK(special(EXP, FLT_MAX) <= FLT_MAX && special(EXP, INFINITY) == INFINITY);
        CHECK(special(EXP, 0) == 1);
    }
    TEST("sigmoid, tanh and softplus have their limits at infinity and their values at 0") {
        CHECK(special(SIGMOID, INFINITY) == 1 && special(SIGMOID, 100) == 1 && special(SIGMOID, 0) == 0.5f);
        CHECK(special(TANH, INFINITY) == 1 && special(TANH, -INFINITY) == -1 && special(TANH, 0) == 0);
        CHECK(special(SOFTPLUS, INFINITY) == INFINITY && special(SOFTPLUS, 1e30f) == 1e30f);
        CHECK_NEAR(special(SOFTPLUS, 0), log(2.0), 1e-7);
    }
    TEST("NaN goes through, whatever its sign and payload") {
        static const uint32_t nan_bits[] = {0x7fc00000u, 0xffc00000u, 0x7fc00001u,
                                            0x7fc001ffu, 0xffffffffu, 0x7f800001u};
        for (int which = 0; which < SPECIAL_FUNCTIONS; ++which)
            for (int i = 0; i < 6; ++i) {
                float y = special(which, float_of_bits(nan_bits[i]));
                CHECK(y != y);
            }
    }
    TEST("tanh is odd, to the bit") {
        uint32_t seed = 3;
        int wrong = 0;
        for (int i = 0; i < 10000; ++i) {
            float x = random_float(&seed, i % 2 ? 1 : 10);
            wrong += special(TANH, -x) != -special(TANH, x);
        }
        CHECK_EQ(wrong, 0);
    }
}

// ---- maps: one value an element ---------------------------------------------------------------------------

enum {
    MULADD = SPECIAL_FUNCTIONS,
    AXPY,
    SCALE,
    BLEND,
    BLEND_BACK_Z,
    BLEND_BACK_N,
    GATE_BACK,
    SHIFTED_EXP,
    MAPS
};

static void run_map(const sessrec__kernels *k, int which, int32_t n, const float *x, const float *b,
                    const float *c, float *y) {
    float other[MOST];
    switch (which) {
    case MULADD: k->muladd(n, x, b, c, y); break;
    case AXPY: k->axpy(n, 0.7f, x, y); break;
    case SCALE: k->scale(n, -1.3f, x, y); break;
    case BLEND: k->blend(n, x, b, c, y); break;
    case BLEND_BACK_Z: k->blend_back(n, x, b, c, x, y, other); break;
    case BLEND_BACK_N: k->blend_back(n, x, b, c, x, other, y); break;
    case GATE_BACK: k->gate_back(n, x, b, c, y); break;
    case SHIFTED_EXP: k->exp(n, x, 0.3f, y); break;
    default: special_array(k, which, n, x, y);
    }
}

static void maps(void) {
    TEST("muladd is x b + c, axpy y + a x, scale a x, blend h + z (candidate - h), each sum rounded once") {
        const sessrec__kernels *k = &sessrec__plain_table;
        uint32_t seed = 11;
        float x[113], b[113], c[113], before[113], y[113];
        int64_t wrong = 0;
        fill(x, 113, 3, &seed);
        fill(b, 113, 3, &seed);
        fill(c, 113, 3, &seed);
        fill(before, 113, 3, &seed);
        run_map(k, MULADD, 113, x, b, c, y);
        for (int i = 0; i < 113; ++i) wrong += !same_float(y[i], fmaf(x[i], b[i], c[i]));
        memcpy(y, before, sizeof y);
        run_map(k, AXPY, 113, x, b, c, y);
        for (int i = 0; i < 113; ++i) wrong += !same_float(y[i], fmaf(0.7f, x[i], before[i]));
        run_map(k, SCALE, 113, x, b, c, y);
        for (int i = 0; i < 113; ++i) wrong += !same_float(y[i], -1.3f * x[i]);
        run_map(k, BLEND, 113, x, b, c, y);
        for (int i = 0; i < 113; ++i) wrong += !same_float(y[i], fmaf(x[i], b[i] - c[i], c[i]));
        CHECK(wrong == 0 || extra_digits());
    }
    TEST("blend_back and gate_back are the slopes of blend and of a gate: up (n - h) z (1 - z), up z (1 - "
         "n^2), x a gate (1 - gate)") {
        const float up[1] = {2}, z[1] = {0.25f}, n[1] = {0.5f}, h[1] = {-0.5f};
        float y[1];
        run_map(&sessrec__plain_table, BLEND_BACK_N, 1, up, z, n, y);
        CHECK(y[0] == 0.375f);
        run_map(&sessrec__plain_table, GATE_BACK, 1, up, h, z, y);
        CHECK(y[0] == -0.1875f);
        run_map(&sessrec__plain_table, BLEND_BACK_Z, 1, up, z, n, y);  // h is up here
        CHECK(y[0] == 2 * -1.5f * 0.25f * 0.75f);
    }
    TEST("an array may be its own result, and nothing beyond its end is touched") {
        uint32_t seed = 12;
        for (int which = 0; which < MAPS; ++which)
            for (int s = 0; s < SIZES; ++s) {
                float x[MOST], b[MOST], c[MOST], apart[MOST], before[MOST];
                fill_hard(x, MOST, &seed);
                fill_hard(b, MOST, &seed);
                fill_hard(c, MOST, &seed);
                memcpy(apart, x, sizeof apart);
                memcpy(before, x, sizeof before);
                run_map(&sessrec__plain_table, which, SIZE[s], before, b, c, apart);
                run_map(&sessrec__plain_table, which, SIZE[s], x, b, c, x);
                CHECK_EQ(differences(MOST, x, apart), 0);
                CHECK_EQ(differences(MOST - SIZE[s], x + SIZE[s], before + SIZE[s]), 0);
            }
    }
}

static void maps_agree(const sessrec__kernels *k) {
    TEST(sentence(k->name, "element-wise kernels give the bits of plain, on any size and alignment")) {
        uint32_t seed = 13;
        for (int which = 0; which < MAPS; ++which)
            for (int s = 0; s < SIZES; ++s)
                for (int shift = 0; shift < 3; ++shift) {
                    float x[MOST], b[MOST], c[MOST], plain[MOST], fast[MOST];
                    fill_hard(x, MOST, &seed);
                    fill_hard(b, MOST, &seed);
                    fill_hard(c, MOST, &seed);
                    fill(plain, MOST, 1, &seed);
                    memcpy(fast, plain, sizeof fast);
                    run_map(&sessrec__plain_table, which, SIZE[s], x + shift, b, c + 1, plain + shift);
                    run_map(k, which, SIZE[s], x + shift, b, c + 1, fast + shift);
                    CHECK_EQ(differences(MOST, fast, plain), 0);
                }
    }
}

// ---- reductions -------------------------------------------------------------------------------------------

// Element i goes to lane i mod 16; then halves against halves.
static float lane_sum(int32_t n, const float *a, const float *b) {
    float lane[16] = {0};
    for (int32_t i = 0; i < n; ++i) lane[i % 16] = b ? fmaf(a[i], b[i], lane[i % 16]) : lane[i % 16] + a[i];
    for (int width = 8; width; width /= 2)
        for (int l = 0; l < width; ++l) lane[l] += lane[l + width];
    return lane[0];
}

static void reductions(const sessrec__kernels *k) {
    TEST(sentence(k->name,
                  "max is the largest element, sum and dot add in sixteen lanes and then by halves")) {
        uint32_t seed = 17;
        for (int s = 0; s < SIZES; ++s)
            for (int round = 0; round < 20; ++round) {
                float a[MOST], b[MOST];
                const int32_t n = SIZE[s];
                fill(a, MOST, 5, &seed);
                fill(b, MOST, 5, &seed);
                float largest = a[0];
                for (int32_t i = 1; i < n; ++i) largest = a[i] > largest ? a[i] : largest;
                a[n] = 100;  // just beyond the end
                CHECK(k->max(n, a) == largest);
                CHECK(same_float(k->sum(n, a), lane_sum(n, a, NULL)));
                CHECK(same_float(k->dot(n, a, b), lane_sum(n, a, b)));
            }
    }
    TEST(
        sentence(k->name, "the maximum of negative numbers is negative, and -infinity is smaller than any")) {
        float x[19];
        for (int i = 0; i < 19; ++i) x[i] = i == 17 ? -3.0f : i % 3 ? -4.0f : -INFINITY;
        CHECK(k->max(19, x) == -3);
        CHECK(k->max(17, x) == -4);
        CHECK(k->max(1, x) == -INFINITY);
    }
    TEST(sentence(k->name, "tally counts the numbers above a value and those equal to it; NaN is neither")) {
        uint32_t seed = 17;
        for (int s = 0; s < SIZES; ++s) {
            float x[MOST];
            int32_t higher, equal, expected_higher = 0, expected_equal = 0;
            for (int32_t i = 0; i < SIZE[s]; ++i) {
                // many equal ones, zeros of both signs among them
                x[i] = i % 11 == 10 ? NAN : (float)(int)random_float(&seed, 3);
                expected_higher += x[i] > 0;
                expected_equal += x[i] == 0;
            }
            k->tally(SIZE[s], x, 0, &higher, &equal);
            CHECK(higher == expected_higher && equal == expected_equal);
        }
    }
    TEST(sentence(k->name, "a NaN reaches the sum and the dot product from any place")) {
        float x[50], one[50];
        for (int at = 0; at < 50; ++at) {
            for (int i = 0; i < 50; ++i) x[i] = one[i] = 1;
            x[at] = NAN;
            float sum = k->sum(50, x), dot = k->dot(50, one, x);
            CHECK(sum != sum && dot != dot);
        }
    }
}

// ---- matrices ---------------------------------------------------------------------------------------------

// A [M,K] in rows of its own, or turned, as [K,M]; rows a little apart.
typedef struct product {
    int32_t M, N, K;
    ptrdiff_t a_row, a_col, b_row, c_row;
    float *A, *B, *C, *expected;
} product;

static int64_t result_size(const product *p) {
    return p->M * p->c_row + MARGIN;
}

static product make_product(int32_t M, int32_t N, int32_t K, int turned, uint32_t *seed) {
    product p;
    p.M = M;
    p.N = N;
    p.K = K;
    p.a_row = turned ? 1 : K + 2;
    p.a_col = turned ? M + 3 : 1;
    p.b_row = N + 1;
    p.c_row = N + 3;
    const int64_t a_size = (int64_t)(M + 3) * (K + 2) + 1, b_size = K * p.b_row + 1;
    p.A = (float *)malloc((size_t)a_size * sizeof(float));
    p.B = (float *)malloc((size_t)b_size * sizeof(float));
    p.C = (float *)malloc((size_t)result_size(&p) * sizeof(float));
    p.expected = (float *)malloc((size_t)result_size(&p) * sizeof(float));
    fill(p.A, a_size, 2, seed);
    fill(p.B, b_size, 2, seed);
    fill(p.C, result_size(&p), 2, seed);
    return p;
}
static void free_product(product *p) {
    free(p->A);
    free(p->B);
    free(p->C);
    free(p->expected);
}

// The definition: each element is one chain of fmaf over k in order.
static void multiply_by_definition(product *p, int accumulate) {
    memcpy(p->expected, p->C, (size_t)result_size(p) * sizeof(float));
    for (int32_t i = 0; i < p->M; ++i)
        for (int32_t j = 0; j < p->N; ++j) {
            float sum = accumulate ? p->C[i * p->c_row + j] : 0;
            for (int32_t k = 0; k < p->K; ++k)
                sum = fmaf(p->A[i * p->a_row + k * p->a_col], p->B[k * p->b_row + j], sum);
            p->expected[i * p->c_row + j] = sum;
        }
}

static int64_t wrong_elements(const sessrec__kernels *k, int32_t M, int32_t N, int32_t K, int turned,
                              int accumulate, uint32_t *seed) {
    product p = make_product(M, N, K, turned, seed);
    multiply_by_definition(&p, accumulate);
    k->matmul(p.M, p.N, p.K, p.A, p.a_row, p.a_col, p.B, p.b_row, p.C, p.c_row, accumulate);
    int64_t wrong = differences(result_size(&p), p.C, p.expected);
    free_product(&p);
    return wrong;
}

static void matrices(const sessrec__kernels *k) {
    TEST(sentence(
        k->name,
        "each element of a matrix product is one chain of fmaf; A may be turned; C may be added to")) {
        static const int32_t depth[] = {1, 7, 33, 129};
        uint32_t seed = 19;
        for (int m = 0; m < SIZES; m += 2)
            for (int n = 0; n < SIZES; ++n)
                for (int d = 0; d < 4; ++d)
                    CHECK_EQ(
                        wrong_elements(k, SIZE[m], SIZE[n], depth[d], (m + n + d) % 2, (n + d) & 2, &seed),
                        0);
        for (int options = 0; options < 4; ++options)
            CHECK_EQ(wrong_elements(k, 17, 50, 33, options & 1, options & 2, &seed), 0);
    }
    TEST(sentence(k->name, "a product that is longer than the kernels' blocks is still one chain")) {
        uint32_t seed = 23;
        for (int options = 0; options < 4; ++options) {
            CHECK_EQ(wrong_elements(k, 9, 49, 256, options & 1, options & 2, &seed), 0);
            CHECK_EQ(wrong_elements(k, 7, 65, 257, options & 1, options & 2, &seed), 0);
            CHECK_EQ(wrong_elements(k, 8, 17, 777, options & 1, options & 2, &seed), 0);
        }
    }
    TEST(sentence(k->name, "a product with the rows of B is the same chains, from a bias on")) {
        static const int32_t depth[] = {1, 7, 33, 127, 129, 300};
        uint32_t seed = 27;
        for (int m = 0; m < SIZES; m += 3)
            for (int n = 0; n < SIZES; ++n) {
                const int32_t M = SIZE[m], N = SIZE[n], K = depth[(m + n) % 6];
                product p = make_product(M, N, K, 0, &seed);
                float *turned = (float *)malloc((size_t)N * (size_t)(K + 1) * sizeof(float));
                for (int32_t j = 0; j < N; ++j)
                    for (int32_t i = 0; i < K; ++i) turned[j * (K + 1) + i] = p.B[i * p.b_row + j];
                float *bias = (float *)malloc((size_t)N * sizeof(float));
                memcpy(bias, p.C, (size_t)N * sizeof(float));
                for (int32_t i = 1; i < M; ++i) memcpy(p.C + i * p.c_row, bias, (size_t)N * sizeof(float));
                multiply_by_definition(&p, 1);
                for (int32_t i = 0; i < M; ++i)
                    // what was there does not count
                    for (int32_t j = 0; j < N; ++j) p.C[i * p.c_row + j] = NAN;
                static float panel[SESSREC__PANEL];
                k->matmul_bt(M, N, K, p.A, p.a_row, turned, K + 1, bias, p.C, p.c_row, panel);
                CHECK_EQ(differences(result_size(&p), p.C, p.expected), 0);
                free(bias);
                free(turned);
                free_product(&p);
            }
    }
    TEST(sentence(k->name, "a product over nothing is 0, or what was there")) {
        uint32_t seed = 29;
        product p = make_product(7, 17, 0, 0, &seed);
        memcpy(p.expected, p.C, (size_t)result_size(&p) * sizeof(float));
        k->matmul(7, 17, 0, p.A, p.a_row, p.a_col, p.B, p.b_row, p.C, p.c_row, 1);
        CHECK_EQ(differences(result_size(&p), p.C, p.expected), 0);
        k->matmul(7, 17, 0, p.A, p.a_row, p.a_col, p.B, p.b_row, p.C, p.c_row, 0);
        for (int i = 0; i < 7; ++i)
            for (int j = 0; j < 20; ++j)
                CHECK(same_float(p.C[i * 20 + j], j < 17 ? 0 : p.expected[i * 20 + j]));
        free_product(&p);
    }
    TEST(sentence(k->name, "transpose turns a matrix inside of larger ones and touches nothing else")) {
        uint32_t seed = 31;
        for (int r = 0; r < SIZES; ++r)
            for (int c = 0; c < SIZES; c += 3) {
                const int32_t rows = SIZE[r], columns = SIZE[c];
                static float x[113 * 115 + 1], y[113 * 115 + 1], before[113 * 115 + 1];
                fill(x, 113 * 115, 1, &seed);
                fill(y, 113 * 115, 1, &seed);
                memcpy(before, y, sizeof before);
                k->transpose(rows, columns, x, columns + 2, y, rows + 1);
                int64_t wrong = 0;
                for (int32_t j = 0; j < columns; ++j)
                    for (int32_t i = 0; i <= rows; ++i)
                        wrong += !same_float(y[j * (rows + 1) + i], i < rows ? x[i * (columns + 2) + j]
                                                                             : before[j * (rows + 1) + i]);
                CHECK_EQ(wrong, 0);
            }
    }
    TEST(sentence(k->name, "dots are one chain of fmaf each, from the bias")) {
        uint32_t seed = 37;
        for (int r = 0; r < SIZES; ++r)
            for (int w = 0; w < SIZES; w += 2) {
                const int32_t rows = SIZE[r], width = SIZE[w];
                static float x[113 * 114], h[113], bias[113], y[114];
                fill(x, 113 * 114, 1, &seed);
                fill(h, 113, 1, &seed);
                fill(bias, 113, 1, &seed);
                y[rows] = 42;
                k->dots(rows, width, x, width + 1, h, bias, y);
                int64_t wrong = y[rows] != 42;
                for (int32_t i = 0; i < rows; ++i) {
                    float sum = bias[i];
                    for (int32_t j = 0; j < width; ++j) sum = fmaf(x[i * (width + 1) + j], h[j], sum);
                    wrong += !same_float(y[i], sum);
                }
                CHECK_EQ(wrong, 0);
            }
    }
    TEST(sentence(k->name, "dots of rows that stand anywhere are the same")) {
        uint32_t seed = 38;
        int64_t wrong = 0;
        for (int w = 0; w < SIZES; ++w)
            for (int32_t count = 0; count < 20; ++count) {
                const int32_t width = SIZE[w];
                static float x[50 * 113], h[113], bias[50];
                int32_t row[20];
                float y[21], expected;
                fill(x, 50 * 113, 1, &seed);
                fill(h, 113, 1, &seed);
                fill(bias, 50, 1, &seed);
                for (int32_t i = 0; i < count; ++i) row[i] = random_below(&seed, 50);
                y[count] = 42;
                k->dots_at(count, row, width, x, h, bias, y);
                wrong += y[count] != 42;
                for (int32_t i = 0; i < count; ++i) {
                    sessrec__plain_table.dots(1, width, x + row[i] * width, width, h, bias + row[i],
                                              &expected);
                    wrong += !same_float(y[i], expected);
                }
            }
        CHECK_EQ(wrong, 0);
    }
}

// ---- optimizer steps --------------------------------------------------------------------------------------

typedef struct row_state {
    float weight[MOST], gradient[MOST], first[MOST], second[MOST], velocity[MOST];
} row_state;

static void update_row(const sessrec__kernels *k, const sessrec_optimizer_config *config, int32_t n,
                       row_state *row) {
    sessrec__update u;
    u.config = config;
    u.weight = row->weight;
    u.gradient = row->gradient;
    u.first = config->kind == SESSREC_SGD ? NULL : row->first;
    u.second = config->kind == SESSREC_ADADELTA || config->kind == SESSREC_ADAM ? row->second : NULL;
    u.velocity = config->momentum > 0 ? row->velocity : NULL;
    u.correct1 = 1.9f;
    u.correct2 = 31.5f;
    k->update(&u, n);
}

static void updates_agree(const sessrec__kernels *k) {
    static const char *const kind_name[] = {"SGD", "Adagrad", "RMSProp", "Adadelta", "Adam"};
    for (int kind = SESSREC_SGD; kind <= SESSREC_ADAM; ++kind) {
        char text[80];
        snprintf(text, sizeof text, "%s gives the bits of plain, with momentum, l2, both and neither",
                 kind_name[kind]);
        TEST(sentence(k->name, text)) {
            uint32_t seed = 41;
            sessrec_optimizer_config config = sessrec_config_default().optimizer;
            config.kind = (sessrec_optimizer_kind)kind;
            for (int options = 0; options < 4; ++options)
                for (int s = 0; s < SIZES; ++s) {
                    row_state plain, fast, before;
                    config.momentum = options & 1 ? 0.3f : 0;
                    config.l2 = options & 2 ? 0.01f : 0;
                    fill(plain.weight, MOST, 1, &seed);
                    fill(plain.gradient, MOST, 1, &seed);
                    fill(plain.velocity, MOST, 1, &seed);
                    for (int i = 0; i < MOST; ++i) {
                        plain.first[i] = random_float(&seed, 0.5f) + 0.5f;
                        plain.second[i] = random_float(&seed, 0.5f) + 0.5f;
                    }
                    before = fast = plain;
                    update_row(&sessrec__plain_table, &config, SIZE[s], &plain);
                    update_row(k, &config, SIZE[s], &fast);
                    CHECK_EQ(differences(MOST, fast.weight, plain.weight), 0);
                    CHECK_EQ(differences(MOST, fast.first, plain.first), 0);
                    CHECK_EQ(differences(MOST, fast.second, plain.second), 0);
                    CHECK_EQ(differences(MOST, fast.velocity, plain.velocity), 0);
                    CHECK_EQ(differences(SIZE[s], plain.weight, before.weight), SIZE[s]);
                    CHECK_EQ(differences(MOST - SIZE[s], plain.weight + SIZE[s], before.weight + SIZE[s]), 0);
                }
        }
    }
}

// ---- the instruction sets ---------------------------------------------------------------------------------

static void instruction_sets(void) {
    for (int level = 0; level < KERNELS_LEVELS; ++level) {
        const sessrec__kernels *k = kernels_of(level);
        if (!k) {
            SKIP(KERNELS_NAME[level], "this build or this processor does not have it");
            continue;
        }
        TEST(sentence(KERNELS_NAME[level], "the table has its name")) {
            CHECK_TEXT(k->name, KERNELS_NAME[level]);
        }
        fused_multiply_add(k);
        reductions(k);
        matrices(k);
        if (level == 0) continue;
        maps_agree(k);
        updates_agree(k);
    }
    TEST("the library uses the best that there is") {
        int best = KERNELS_LEVELS - 1;
        while (best > SESSREC_MAX_SIMD || !kernels_of(best)) --best;
        CHECK(!strcmp(sessrec_simd(), KERNELS_NAME[best]) || extra_digits());
    }
}

int main(void) {
    special_functions();
    maps();
    instruction_sets();
    return test_report("kernels");
}
