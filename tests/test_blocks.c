// The blocks that models of the caller's own are made of: products, functions, draws, threads, and a loss
// whose targets stand anywhere.
#include "models.h"

static void fill(uint32_t seed, int32_t n, float *x) {
    for (int32_t i = 0; i < n; ++i) x[i] = random_float(&seed, 2);
}

static void products(void) {
    enum { M = 13, N = 21, K = 17 };
    static float A[M * K], turned[K * M], B[K * N], B_turned[N * K], bias[N], C[M * N], other[M * N];
    static double expected[M * N];
    fill(1, M * K, A), fill(2, K * N, B), fill(3, N, bias);
    for (int i = 0; i < M; ++i)
        for (int k = 0; k < K; ++k) turned[k * M + i] = A[i * K + k];
    static float scratch[SESSREC_MATMUL_SCRATCH];
    for (int k = 0; k < K; ++k)
        for (int j = 0; j < N; ++j) B_turned[j * K + k] = B[k * N + j];
    for (int i = 0; i < M; ++i)
        for (int j = 0; j < N; ++j)
            for (int k = 0; k < K; ++k) expected[i * N + j] += (double)A[i * K + k] * (double)B[k * N + j];
    TEST("sessrec_matmul is A B, and with the steps of A exchanged its transpose times B") {
        sessrec_matmul(M, N, K, A, K, 1, B, N, C, N, 0);
        for (int i = 0; i < M * N; ++i) CHECK_NEAR(C[i], expected[i], 1e-5);
        sessrec_matmul(M, N, K, turned, 1, M, B, N, other, N, 0);
        CHECK(!memcmp(C, other, sizeof C));
    }
    TEST("accumulate adds to what is there") {
        for (int i = 0; i < M * N; ++i) other[i] = 3;
        sessrec_matmul(M, N, K, A, K, 1, B, N, other, N, 1);
        for (int i = 0; i < M * N; ++i) CHECK_NEAR(other[i], expected[i] + 3, 1e-5);
    }
    TEST("sessrec_matmul_bt is bias + A B^T") {
        sessrec_matmul_bt(M, N, K, A, K, B_turned, K, bias, C, N, scratch);
        for (int i = 0; i < M * N; ++i) CHECK_NEAR(C[i], expected[i] + (double)bias[i % N], 1e-5);
    }
    TEST("a block has the bits that it has in the whole") {
        int different = 0;
        sessrec_matmul(M, N, K, A, K, 1, B, N, C, N, 0);
        for (int i = 0; i < M; i += 5)
            for (int j = 0; j < N; j += 4) {
                const int32_t rows = M - i < 5 ? M - i : 5, columns = N - j < 4 ? N - j : 4;
                sessrec_matmul(rows, columns, K, A + i * K, K, 1, B + j, N, other + i * N + j, N, 0);
            }
        CHECK(!memcmp(C, other, sizeof C));
        sessrec_matmul_bt(M, N, K, A, K, B_turned, K, bias, C, N, scratch);
        for (int i = 0; i < M; ++i)
            for (int j = 0; j < N; ++j) {
                float one;
                sessrec_matmul_bt(1, 1, K, A + i * K, K, B_turned + j * K, K, bias + j, &one, 1, scratch);
                different += memcmp(&one, &C[i * N + j], sizeof one) != 0;
            }
        CHECK_EQ(different, 0);
    }
}

static void functions(void) {
    enum { N = 41 };
    float x[N], y[N];
    for (int i = 0; i < N; ++i) x[i] = (float)(i - 20) * 0.77f;
    TEST("exp, tanh and sigmoid, also in place") {
        sessrec_exp(N, x, y);
        for (int i = 0; i < N; ++i) CHECK_NEAR((double)y[i] / exp((double)x[i]), 1, 3e-7);
        sessrec_tanh(N, x, y);
        for (int i = 0; i < N; ++i) CHECK_NEAR(y[i], tanh((double)x[i]), 3e-7);
        sessrec_sigmoid(N, x, x);
        for (int i = 0; i < N; ++i) CHECK_NEAR(x[i],
                                               1 / (1 + exp(-(double)(float)((float)(i - 20) * 0.77f))),
        3e-7);
    }
}

static void draws(void) {
    TEST("a draw depends on seed, stream and index, and on nothing else") {
        CHECK(sessrec_random(1, 2, 3) == sessrec_random(1, 2, 3));
        CHECK(sessrec_random(1, 2, 3) != sessrec_random(2, 2, 3));
        CHECK(sessrec_random(1, 2, 3) != sessrec_random(1, 3, 3));
        CHECK(sessrec_random(1, 2, 3) != sessrec_random(1, 2, 4));
    }
    TEST("units are in [0,1), uniform, and the high bits of the draw") {
        enum { MANY = 100000 };
        double sum = 0, squares = 0;
        int outside = 0;
        for (uint64_t i = 0; i < MANY; ++i) {
            const float u = sessrec_random_unit(7, 1, i);
            outside += !(u >= 0 && u < 1) || u != (float)(sessrec_random(7, 1, i) >> 40) / 16777216.0f;
            sum += (double)u, squares += (double)u * (double)u;
        }
        CHECK_EQ(outside, 0);
        CHECK_NEAR(sum / MANY, 0.5, 0.004);
        CHECK_NEAR(squares / MANY, 1 / 3.0, 0.004);
    }
}

enum { TASKS = 1000 };
static void count_up(void *context, int32_t index) {
    ((int32_t *)context)[index] += index + 1;
}
static void backwards(void *user, int32_t count, void (*task)(void *context, int32_t index), void *context) {
    ++*(int *)user;
    while (count-- > 0) task(context, count);
}

static void threads(void) {
    static int32_t done[TASKS];
    TEST("every task runs once, on any number of threads, on the caller's jobs, and without a pool") {
        for (int which = 0; which < 5; ++which) {
            static const int32_t asked[4] = {1, 2, 7, 0};
            int calls = 0, wrong = 0;
            const sessrec_jobs jobs = {backwards, &calls};
            sessrec_pool *pool = NULL;
            memset(done, 0, sizeof done);
            if (which < 4)
                CHECK_EQ(sessrec_pool_create(asked[which], which == 3 ? &jobs : NULL, NULL, &pool, NULL),
                         SESSREC_OK);
            CHECK(which == 4 || which == 3 || sessrec_pool_threads(pool) <= asked[which]);
            CHECK(sessrec_pool_threads(pool) >= 1);
            for (int round = 0; round < 3; ++round) sessrec_parallel(pool, TASKS, count_up, done);
            sessrec_parallel(pool, 0, count_up, NULL);
            for (int32_t i = 0; i < TASKS; ++i) wrong += done[i] != 3 * (i + 1);
            CHECK_EQ(wrong, 0);
            CHECK_EQ(calls, which == 3 ? 3 : 0);
            sessrec_pool_destroy(pool);
        }
        sessrec_pool_destroy(NULL);
    }
    TEST("a pool takes its memory from the caller, and says when there is none") {
        counting_memory memory = {0, 0, 0};
        sessrec_allocator allocator = counting_allocator(&memory);
        sessrec_pool *pool;
        CHECK_EQ(sessrec_pool_create(2, NULL, &allocator, &pool, NULL), SESSREC_OUT_OF_MEMORY);
        CHECK(!pool);
        memory.fail_from = -1;
        CHECK_EQ(sessrec_pool_create(2, NULL, &allocator, &pool, NULL), SESSREC_OK);
        CHECK_EQ(memory.blocks, 1);
        sessrec_pool_destroy(pool);
        CHECK_EQ(memory.blocks, 0);
        CHECK_EQ(sessrec_pool_create(2, NULL, NULL, NULL, NULL), SESSREC_INVALID_ARGUMENT);
    }
}

static void targets(void) {
    enum { R = 3, C = 6 };
    static const int32_t at[R] = {5, 0, 5}, items[C] = {4, 8, 5, 8, 9, 4};
    float s[R * C], d[R * C], loss[R], row_d[C], row_loss, scratch[8 * C];
    sessrec_loss_config config = sessrec_config_default().loss;
    fill(5, R * C, s);
    TEST("a target may stand in any column, the same one for two rows") {
        for (config.kind = SESSREC_LOSS_XE; config.kind <= SESSREC_LOSS_GBCE; ++config.kind) {
            CHECK_EQ(sessrec_loss(&config, 0, R, C, at, items, NULL, s, loss, d, scratch), SESSREC_OK);
            for (int i = 0; i < R; ++i) {
                CHECK_EQ(sessrec_loss(&config, at[i], 1, C, NULL, items, NULL, s + i * C, &row_loss, row_d,
                                      scratch),
                         SESSREC_OK);
                CHECK(row_loss == loss[i] && !memcmp(row_d, d + i * C, sizeof row_d));
            }
        }
    }
    TEST("a target outside of the columns, or one for a loss that finds it itself, is refused") {
        static const int32_t wide[R] = {0, C, 1}, below[R] = {0, 1, -1};
        config.kind = SESSREC_LOSS_XE;
        CHECK_EQ(sessrec_loss(&config, 0, R, C, wide, items, NULL, s, loss, d, scratch),
                 SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_loss(&config, 0, R, C, below, items, NULL, s, loss, d, scratch),
                 SESSREC_INVALID_ARGUMENT);
        config.kind = SESSREC_LOSS_CUSTOM;
        CHECK_EQ(sessrec_loss(&config, 0, R, C, at, items, NULL, s, loss, d, scratch),
                 SESSREC_INVALID_ARGUMENT);
    }
}

int main(void) {
    products();
    functions();
    draws();
    threads();
    targets();
    return test_report("blocks");
}
