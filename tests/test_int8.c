// Models of 8-bit weights: their scores stay within the stored bound of the float model's, and the core for
// tiny machines gives what sessions give.
#define SESSREC_IMPLEMENTATION
#include "models.h"

// ---- helpers ----

enum { ITEMS = 23, CLICKS = 9, WIDEST = 64 };

typedef struct form {
    sessrec_embedding embedding;
    sessrec_gru_form gru;
    int32_t layers, width;
} form;

static const form FORMS[] = {
    {SESSREC_EMBEDDING_TIED, SESSREC_RESET_BEFORE, 1, 1},
    {SESSREC_EMBEDDING_TIED, SESSREC_RESET_BEFORE, 1, 33},
    {SESSREC_EMBEDDING_TIED, SESSREC_RESET_AFTER, 1, 7},
    {SESSREC_EMBEDDING_NONE, SESSREC_RESET_BEFORE, 1, 16},
    {SESSREC_EMBEDDING_NONE, SESSREC_RESET_AFTER, 4, 5},
    {SESSREC_EMBEDDING_SEPARATE, SESSREC_RESET_BEFORE, 2, 17},
    {SESSREC_EMBEDDING_SEPARATE, SESSREC_RESET_AFTER, 1, 32},
    {SESSREC_EMBEDDING_TIED, SESSREC_RESET_BEFORE, 4, 8},
};
enum { FORM_COUNT = (int)(sizeof FORMS / sizeof *FORMS) };

static sessrec_model *model_of_form(const form *f, const sessrec_log *log, uint32_t seed) {
    sessrec_config config = small_config(f->layers, f->width);
    config.embedding = f->embedding;
    if (f->embedding == SESSREC_EMBEDDING_SEPARATE) config.embedding_width = 11;
    config.gru = f->gru;
    return random_model(&config, log, seed);
}

typedef struct file {
    void *memory;
    unsigned char *bytes;  // aligned
    size_t size;
} file;

static file file_of(const sessrec_scorer *scorer) {
    file f;
    f.size = sessrec_scorer_export_size(scorer);
    f.memory = malloc(f.size + 64);
    f.bytes = (unsigned char *)f.memory + (64 - (uintptr_t)f.memory % 64) % 64;
    CHECK_EQ(sessrec_scorer_export(scorer, f.bytes, f.size), SESSREC_OK);
    return f;
}

static int32_t click_of(int32_t i) {  // now and then an item that was just clicked
    return (i % 4 == 3 ? (i - 2) * (i - 2) * 7 + 3 * (i - 2) + 2 : i * i * 7 + 3 * i + 2) % ITEMS;
}

// ---- the bound ----

// The largest |s - t| / bound of all items after some clicks, and the mean of the bounds.
static double worst_share(const sessrec_model *model, const sessrec_scorer *q, double *mean) {
    int16_t state[4 * WIDEST + 16];
    int8_t scratch[3 * WIDEST + 64];
    float scores[ITEMS];
    sessrec_tensor Wy, By;
    const sessrec_model_info info = sessrec_model_describe(model);
    double worst = 0;
    int32_t before = 0;
    for (int32_t l = 0; l + 1 < info.layer_count; ++l) before += info.hidden[l];
    sessrec_model_tensor(model, "Wy", &Wy);
    sessrec_model_tensor(model, "By", &By);
    CHECK(q->state_bytes <= sizeof state && q->scratch_bytes(q->self, 1) <= sizeof scratch);
    q->begin(q->self, state, NULL, 0);
    for (int32_t c = 0; c < CLICKS; ++c) {
        const int32_t item = click_of(c);
        q->click(q->self, 1, state, &item, NULL, scratch);
        q->score(q->self, 1, state, 0, ITEMS, scores, scratch);
        for (int32_t i = 0; i < ITEMS; ++i) {
            double score = (double)By.data[i];
            for (int32_t k = 0; k < Wy.columns; ++k)
                score += (double)Wy.data[i * Wy.columns + k] * state[before + k] / 32768;
            const double share = fabs(score - (double)scores[i]) / (double)sessrec_quantized_bound(q, i);
            if (share > worst) worst = share;
        }
    }
    *mean = 0;
    for (int32_t i = 0; i < ITEMS; ++i) *mean += (double)sessrec_quantized_bound(q, i) / ITEMS;
    return worst;
}

static void bounds(const sessrec_log *log) {
    TEST("no score leaves its bound, in any form, and the bounds are not idle") {
        for (int f = 0; f < FORM_COUNT; ++f)
            for (uint32_t seed = 1; seed < 6; ++seed) {
                sessrec_model *model = model_of_form(&FORMS[f], log, seed);
                sessrec_scorer q;
                double mean;
                const int32_t L = FORMS[f].width + FORMS[f].layers - 1;
                CHECK_EQ(sessrec_model_quantize(model, 1, NULL, &q, NULL), SESSREC_OK);
                const double worst = worst_share(model, &q, &mean);
                CHECK(worst <= 1);
                CHECK(worst > 0.01);
                // weights are below 0.8: two halves of 1/127 of it, and a little more
                CHECK(mean < 0.006 * L + 0.002);
                sessrec_scorer_destroy(&q);
                sessrec_model_destroy(model);
            }
    }
    TEST("a session of 8 bits stays near that of floats") {
        for (int f = 0; f < FORM_COUNT; ++f) {
            sessrec_model *model = model_of_form(&FORMS[f], log, 9);
            sessrec_scorer q, floats;
            float a[ITEMS], b[ITEMS], state[4 * WIDEST], scratch[8192];
            int16_t small[4 * WIDEST];
            int8_t codes[3 * WIDEST];
            double worst = 0, most = 0;
            CHECK_EQ(sessrec_model_quantize(model, 1, NULL, &q, NULL), SESSREC_OK);
            CHECK_EQ(sessrec_scorer_model(model, NULL, &floats, NULL), SESSREC_OK);
            CHECK(floats.scratch_bytes(floats.self, 1) <= sizeof scratch);
            floats.begin(floats.self, state, NULL, 0);
            q.begin(q.self, small, NULL, 0);
            for (int32_t c = 0; c < CLICKS; ++c) {
                const int32_t item = click_of(c);
                floats.click(floats.self, 1, state, &item, NULL, scratch);
                q.click(q.self, 1, small, &item, NULL, codes);
                floats.score(floats.self, 1, state, 0, ITEMS, a, scratch);
                q.score(q.self, 1, small, 0, ITEMS, b, codes);
                for (int32_t i = 0; i < ITEMS; ++i) {
                    if (fabs((double)a[i] - (double)b[i]) > worst) worst = fabs((double)a[i] - (double)b[i]);
                    if (fabs((double)a[i]) > most) most = fabs((double)a[i]);
                }
            }
            CHECK(worst > 0);
            CHECK(worst < 0.04 * most);
            sessrec_scorer_destroy(&q);
            sessrec_model_destroy(model);
        }
    }
}

// ---- fixed points ----

static void fixed_points(void) {
    TEST("tanh and sigmoid from the table are within 1/2000 of the functions, symmetric, and rise") {
        uint32_t points[SESSREC__TANH_POINTS];
        int32_t before = -40000;
        for (int32_t i = 0; i < SESSREC__TANH_POINTS; ++i)
            points[i] = (uint32_t)fmin(32767, floor(tanh(i / 16.0) * 32768 + 0.5));
        for (int32_t x = -70000; x <= 70000; x += 7) {
            const int32_t y = sessrec__int8_tanh(points, x);
            CHECK(y >= before);
            CHECK_NEAR(y / 32768.0, tanh(x / 4096.0), 5e-4);
            CHECK_NEAR(sessrec__int8_sigmoid(points, x) / 32768.0, 1 / (1 + exp(-x / 4096.0)), 5e-4);
            CHECK_EQ(sessrec__int8_tanh(points, -x), -y);
            before = y;
        }
    }
    TEST("a scale multiplies as a float does, whatever its size, and what is too small is 0") {
        uint32_t state = 5;
        for (int n = 0; n < 20000; ++n) {
            const float scale = sessrec__scale_above(ldexpf(1 + random_float(&state, 0.999f) / 2 + 0.5f,
                                                            -random_below(&state, 40) - 2));
            const int32_t terms = 1 << random_below(&state, 13), extra = sessrec__extra_bits(terms);
            const int32_t value = random_below(&state, 2 * 127 * 127 * terms + 1) - 127 * 127 * terms;
            const double exact = (double)value * (double)scale * 32;
            const double lost = 0.501 + (double)scale * 32 * (1 << extra) / 2;
            const double got = sessrec__scaled(value, extra, sessrec__row_scale(&scale), 5);
            CHECK_NEAR(got, exact, lost);
        }
    }
}

// ---- the tiny core ----

// Compares the tiny core with sessions of a scorer, click by click.
static void same_as_sessions(const sessrec_tiny *tiny, const sessrec_scorer *scorer, int quantized) {
    enum { REMEMBER = 3, K = 6 };
    int32_t visitor[4096];
    const size_t bytes = sessrec_scorer_session_size(scorer, REMEMBER, NULL);
    void *memory = malloc(bytes);
    sessrec_session *session = NULL;
    CHECK(sessrec_tiny_size(tiny, REMEMBER) <= sizeof visitor);
    CHECK_EQ(sessrec_tiny_begin(tiny, REMEMBER, visitor), SESSREC_OK);
    CHECK_EQ(sessrec_scorer_session_init(scorer, REMEMBER, NULL, memory, bytes, &session, NULL), SESSREC_OK);
    for (int32_t c = 0; c < 2 * CLICKS; ++c) {
        sessrec_recommendation want[K];
        sessrec_tiny_item got[K];
        if (c == CLICKS) {  // a new session
            CHECK_EQ(sessrec_tiny_begin(tiny, REMEMBER, visitor), SESSREC_OK);
            sessrec_session_end(session);
        }
        CHECK_EQ(sessrec_session_click(session, click_of(c)), SESSREC_OK);
        CHECK_EQ(sessrec_tiny_click(tiny, visitor, click_of(c)), SESSREC_OK);
        CHECK_EQ(sessrec_recommend(session, K, want), K);
        CHECK_EQ(sessrec_tiny_recommend(tiny, visitor, K, got), K);
        for (int32_t i = 0; i < K; ++i) {
            int32_t score = (int32_t)(want[i].score * (float)(1 << (quantized ? tiny->exponent : 0)));
            if (!quantized) {
                memcpy(&score, &want[i].score, sizeof score);
                if (score < 0) score ^= INT32_MAX;
            }
            CHECK_EQ(got[i].item, want[i].item);
            CHECK_EQ(got[i].score, score);
        }
    }
    free(memory);
}

static void tiny(const sessrec_log *log) {
    TEST("the tiny core recommends what a session does, with the same integers, in any form") {
        for (int f = 0; f < FORM_COUNT; ++f)
            for (int32_t ids = 0; ids < 2; ++ids) {
                sessrec_model *model = model_of_form(&FORMS[f], log, 4);
                sessrec_scorer q;
                sessrec_tiny small;
                CHECK_EQ(sessrec_model_quantize(model, ids, NULL, &q, NULL), SESSREC_OK);
                file bytes = file_of(&q);
                CHECK_EQ(sessrec_tiny_open(bytes.bytes, bytes.size, &small), SESSREC_OK);
                same_as_sessions(&small, &q, 1);
                CHECK_EQ(sessrec_tiny_open_float(bytes.bytes, bytes.size, &small), SESSREC_BAD_FILE);
                free(bytes.memory);
                sessrec_scorer_destroy(&q);
                sessrec_model_destroy(model);
            }
    }
    TEST("and with floats the same bits") {
        for (int f = 0; f < FORM_COUNT; ++f) {
            sessrec_model *model = model_of_form(&FORMS[f], log, 4);
            sessrec_scorer floats;
            sessrec_tiny small;
            CHECK_EQ(sessrec_scorer_model(model, NULL, &floats, NULL), SESSREC_OK);
            file bytes = file_of(&floats);
            CHECK_EQ(sessrec_tiny_open_float(bytes.bytes, bytes.size, &small), SESSREC_OK);
            same_as_sessions(&small, &floats, 0);
            CHECK_EQ(sessrec_tiny_open(bytes.bytes, bytes.size, &small), SESSREC_BAD_FILE);
            free(bytes.memory);
            sessrec_model_destroy(model);
        }
    }
    TEST("before the first click the biases decide; a list is as long as there are items; bad items are "
         "refused") {
        sessrec_model *model = model_of_form(&FORMS[1], log, 4);
        sessrec_scorer q;
        sessrec_tiny small;
        sessrec_tiny_item all[ITEMS + 1];
        int32_t visitor[256];
        CHECK_EQ(sessrec_model_quantize(model, 0, NULL, &q, NULL), SESSREC_OK);
        file bytes = file_of(&q);
        CHECK_EQ(sessrec_tiny_open(bytes.bytes, bytes.size, &small), SESSREC_OK);
        CHECK_EQ(sessrec_tiny_begin(&small, 2, visitor), SESSREC_OK);
        CHECK_EQ(sessrec_tiny_recommend(&small, visitor, ITEMS + 1, all), ITEMS);
        sessrec_tensor By;
        sessrec_model_tensor(model, "By", &By);
        for (int32_t i = 0; i < ITEMS; ++i)
            CHECK_NEAR(all[i].score / (double)(1 << small.exponent), (double)By.data[all[i].item], 1e-4);
        for (int32_t c = 0; c < 3; ++c) CHECK_EQ(sessrec_tiny_click(&small, visitor, c), SESSREC_OK);
        CHECK_EQ(sessrec_tiny_recommend(&small, visitor, ITEMS + 1, all), ITEMS - 2);
        for (int32_t i = 0; i < ITEMS - 2; ++i) CHECK(all[i].item != 1 && all[i].item != 2);
        CHECK_EQ(sessrec_tiny_click(&small, visitor, ITEMS), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_tiny_click(&small, visitor, -1), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_tiny_recommend(&small, visitor, 0, all), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_tiny_size(&small, -1), 0);
        CHECK_EQ(sessrec_tiny_begin(&small, 65537, visitor), SESSREC_INVALID_ARGUMENT);
        // any damage is seen, in any byte that it reads, and at any length
        int taken = 0;
        for (size_t i = 0; i < bytes.size; ++i) {
            bytes.bytes[i] ^= (unsigned char)(1 + i % 255);
            taken += sessrec_tiny_open(bytes.bytes, bytes.size, &small) == SESSREC_OK;
            bytes.bytes[i] ^= (unsigned char)(1 + i % 255);
        }
        CHECK(taken < 64 * 14);  // but between the sections
        for (size_t cut = 0; cut < bytes.size; ++cut)
            CHECK(sessrec_tiny_open(bytes.bytes, cut, &small) != SESSREC_OK);
        CHECK_EQ(sessrec_tiny_open(bytes.bytes + 4, bytes.size - 4, &small), SESSREC_INVALID_ARGUMENT);
        free(bytes.memory);
        sessrec_scorer_destroy(&q);
        sessrec_model_destroy(model);
    }
}

// ---- what is refused ----

static void refusals(const sessrec_log *log) {
    TEST("an exponent that no score has is refused, also by the tiny core, whatever the checksums say") {
        sessrec_model *model = model_of_form(&FORMS[1], log, 4);
        sessrec_scorer q, read;
        sessrec_tiny small;
        CHECK_EQ(sessrec_model_quantize(model, 0, NULL, &q, NULL), SESSREC_OK);
        const sessrec_tiny *made = sessrec__tiny_of(q.self);
        const int32_t at = sessrec__tiny_layer(&made->info, made->info.layer_count) + 3;
        int32_t *exponent = (int32_t *)(uintptr_t)made->data[at], forged[3] = {-1, 17, INT32_MAX};
        for (int i = 0; i < 3; ++i) {
            *exponent = forged[i];
            file bytes = file_of(&q);
            CHECK_EQ(sessrec_tiny_open(bytes.bytes, bytes.size, &small), SESSREC_BAD_FILE);
            CHECK_EQ(sessrec_scorer_import(bytes.bytes, bytes.size, NULL, &read, NULL), SESSREC_BAD_FILE);
            free(bytes.memory);
        }
        sessrec_scorer_destroy(&q);
        sessrec_model_destroy(model);
    }
    TEST("users, weights that are too large or not finite are refused with a sentence") {
        sessrec_log *with_users = users_log(12, ITEMS, 3);
        sessrec_config config = small_config(1, 4);
        sessrec_error err;
        sessrec_scorer q;
        config.user_hidden = 4;
        sessrec_model *model = random_model(&config, with_users, 2);
        CHECK_EQ(sessrec_model_quantize(model, 1, NULL, &q, &err), SESSREC_UNSUPPORTED);
        CHECK(strstr(err.text, "users") && !q.self);
        sessrec_model_destroy(model);
        sessrec_log_destroy(with_users);
        for (int t = 0; t < 4; ++t) {
            static const char *const names[] = {"Wy", "By", "L0.U", "L0.b"};
            sessrec_tensor tensor;
            model = model_of_form(&FORMS[1], log, 2);
            CHECK_EQ(sessrec_model_tensor(model, names[t], &tensor), SESSREC_OK);
            float *weight = (float *)(uintptr_t)&tensor.data[3];
            *weight = 1e9f;
            CHECK_EQ(sessrec_model_quantize(model, 1, NULL, &q, &err), SESSREC_UNSUPPORTED);
            CHECK(strstr(err.text, "too large"));
            *weight = (float)NAN;
            CHECK_EQ(sessrec_model_quantize(model, 1, NULL, &q, &err), SESSREC_DIVERGED);
            *weight = 30;
            CHECK_EQ(sessrec_model_quantize(model, 1, NULL, &q, &err), SESSREC_OK);
            double mean;
            CHECK(worst_share(model, &q, &mean) <= 1);
            sessrec_scorer_destroy(&q);
            sessrec_model_destroy(model);
        }
        CHECK(sessrec_quantized_bound(NULL, 0) < 0);
    }
    TEST("out of memory is survived") {
        sessrec_model *model = model_of_form(&FORMS[1], log, 2);
        sessrec_scorer q;
        for (int64_t n = 0, result = SESSREC_OUT_OF_MEMORY; result && n < 9; ++n) {
            counting_memory counted = {0, 0, n};
            const sessrec_allocator allocator = counting_allocator(&counted);
            result = sessrec_model_quantize(model, 1, &allocator, &q, NULL);
            CHECK(result == (n > 1 ? SESSREC_OK : SESSREC_OUT_OF_MEMORY));  // the object, its arrays
            sessrec_scorer_destroy(&q);
            CHECK_EQ(counted.blocks, 0);
        }
        sessrec_model_destroy(model);
    }
}

// ---- evaluation ----

static void evaluation(void) {
    TEST("a trained model of 8 bits recalls as much as the floats, within 1 %") {
        sessrec_log *log = random_log(400, 40, 5);
        sessrec_config config = small_config(1, 24);
        sessrec_eval_config eval = sessrec_eval_config_default();
        sessrec_report floats, small;
        sessrec_model *model;
        sessrec_scorer q;
        config.epochs = 5;
        CHECK_EQ(sessrec_train(&config, log, NULL, &model, NULL), SESSREC_OK);
        CHECK_EQ(sessrec_model_quantize(model, 1, NULL, &q, NULL), SESSREC_OK);
        CHECK_EQ(sessrec_evaluate(model, log, &eval, &floats, NULL), SESSREC_OK);
        CHECK_EQ(sessrec_evaluate_scorer(&q, log, &eval, &small, NULL), SESSREC_OK);
        CHECK_NEAR(small.all.recall[3], floats.all.recall[3], 0.01 * floats.all.recall[3]);
        CHECK_NEAR(small.all.mrr[3], floats.all.mrr[3], 0.01 * floats.all.mrr[3]);
        sessrec_scorer_destroy(&q);
        sessrec_model_destroy(model);
        sessrec_log_destroy(log);
    }
}

int main(void) {
    sessrec_log *log = random_log(60, ITEMS, 8);
    fixed_points();
    bounds(log);
    tiny(log);
    refusals(log);
    evaluation();
    sessrec_log_destroy(log);
    return test_report("int8");
}
