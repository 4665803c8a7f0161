// A running session: its clicks, its recommendations and its state as bytes.
#define SESSREC_IMPLEMENTATION
#include "models.h"

enum { ITEMS = 300 };

typedef struct shop {
    sessrec_log *log;
    sessrec_model *model;
} shop;

static shop open_shop(uint32_t seed) {
    shop s;
    sessrec_config config = small_config(2, 10);
    s.log = random_log(60, ITEMS, seed);
    s.model = random_model(&config, s.log, seed + 1);
    return s;
}
static void close_shop(shop *s) {
    sessrec_model_destroy(s->model);
    sessrec_log_destroy(s->log);
}
static sessrec_session *new_session(const sessrec_model *model, int32_t remember, void **memory) {
    sessrec_session *session = NULL;
    const size_t size = sessrec_session_size(model, remember);
    *memory = malloc(size);
    CHECK_EQ(sessrec_session_init(model, remember, *memory, size, &session, NULL), SESSREC_OK);
    return session;
}

static sessrec_scratch *new_scratch(const sessrec_model *model, int32_t rows, void **memory) {
    sessrec_scratch *scratch = NULL;
    const size_t size = sessrec_scratch_size(model, rows);
    *memory = malloc(size);
    CHECK_EQ(sessrec_scratch_init(model, rows, *memory, size, &scratch, NULL), SESSREC_OK);
    return scratch;
}

// ---- recommendations against sorting everything -----------------------------------------------------------

static int32_t veto_thirds(void *user, int32_t item) {
    if (user) ++*(int *)user;
    return item % 3 == 0;
}

static int better_first(const void *a, const void *b) {
    const sessrec_recommendation *x = (const sessrec_recommendation *)a,
                                 *y = (const sessrec_recommendation *)b;
    if (x->score != y->score) return x->score > y->score ? -1 : 1;
    return (x->item > y->item) - (x->item < y->item);
}

// Whether the item is among the last `remember` distinct items of the clicks.
static int remembered(const int32_t *clicks, int count, int32_t remember, int32_t item) {
    int32_t distinct = 0;
    for (int i = count - 1; i >= 0 && distinct < remember; --i) {
        int repeated = 0;
        for (int j = i + 1; j < count; ++j) repeated |= clicks[j] == clicks[i];
        if (repeated) continue;
        if (clicks[i] == item) return 1;
        ++distinct;
    }
    return 0;
}

static int32_t sorted_answer(sessrec_session *session, const sessrec_query *query, const int32_t *clicks,
                             int count, int32_t remember, sessrec_recommendation *out) {
    int32_t found = 0;
    for (int32_t i = 0; i < (query->candidates ? query->candidate_count : ITEMS); ++i) {
        const int32_t item = query->candidates ? query->candidates[i] : i;
        if (item < 0 || item >= ITEMS) continue;
        if (query->skip_seen && remembered(clicks, count, remember, item)) continue;
        if (query->veto && query->veto(NULL, item)) continue;
        out[found].item = item;
        CHECK_EQ(sessrec_session_score(session, &item, 1, &out[found].score), SESSREC_OK);
        ++found;
    }
    qsort(out, (size_t)found, sizeof *out, better_first);
    return found < query->k ? found : query->k;
}

static void recommendations(void) {
    TEST("recommendations are the exact top k: ties, seen items, candidates and vetoes in any combination") {
        shop s = open_shop(21);
        uint32_t seed = 5;
        int wrong = 0, ties = 0;
        for (int round = 0; round < 200; ++round) {
            const int32_t remember = random_below(&seed, 5);
            void *memory;
            sessrec_session *session = new_session(s.model, remember, &memory);
            int32_t clicks[12], candidates[40], count;
            const int click_count = random_below(&seed, 12);
            for (int i = 0; i < click_count; ++i) {
                clicks[i] = i && random_below(&seed, 3) == 0 ? clicks[random_below(&seed, i)]
                                                             : random_below(&seed, ITEMS);
                sessrec_session_click(session, clicks[i]);
            }
            // some are outside of the catalogue
            for (int i = 0; i < 40; ++i) candidates[i] = 13 * i - 20 + round % 13;
            sessrec_query query = sessrec_query_default();
            query.k = round % 4 == 0 ? ITEMS + 50 : 1 + random_below(&seed, 40);
            query.skip_seen = random_below(&seed, 2);
            if (random_below(&seed, 2))
                query.candidates = candidates, query.candidate_count = random_below(&seed, 41);
            if (random_below(&seed, 2)) query.veto = veto_thirds;
            sessrec_recommendation actual[ITEMS + 50], expected[ITEMS];
            sessrec_source source;
            wrong += sessrec_session_recommend(session, &query, actual, &count, &source) != SESSREC_OK;
            wrong += source != (click_count ? SESSREC_FROM_MODEL : SESSREC_FROM_POPULARITY);
            wrong += count != sorted_answer(session, &query, clicks, click_count, remember, expected);
            for (int32_t i = 0; i < count; ++i) {
                wrong += actual[i].item != expected[i].item ||
                         memcmp(&actual[i].score, &expected[i].score, sizeof(float));
                ties += i && actual[i].score == actual[i - 1].score;
            }
            free(memory);
        }
        CHECK_EQ(wrong, 0);
        CHECK(ties > 1000);  // the cases are what they are meant to be
        close_shop(&s);
    }
    TEST("a veto is asked only about items that would enter the list, and the list is filled up again") {
        shop s = open_shop(22);
        void *memory;
        sessrec_session *session = new_session(s.model, 4, &memory);
        sessrec_session_click(session, 3);
        int asked = 0;
        int32_t count;
        sessrec_recommendation list[10];
        sessrec_query query = sessrec_query_default();
        query.k = 10;
        query.veto = veto_thirds;
        query.veto_user = &asked;
        CHECK_EQ(sessrec_session_recommend(session, &query, list, &count, NULL), SESSREC_OK);
        CHECK_EQ(count, 10);
        CHECK(asked >= 10 && asked < ITEMS / 2);
        close_shop(&s);
        free(memory);
    }
    TEST("without a click on a known item popularity answers, with support as score and the lower item "
         "first") {
        static const char *const sessions[3] = {"abc", "cb", "db"};  // support a 1, b 3, c 2, d 1
        sessrec_log *log = letters_log(3, sessions, NULL);
        sessrec_config config = small_config(1, 4);
        sessrec_model *model = random_model(&config, log, 1);
        void *memory;
        sessrec_session *session = new_session(model, 4, &memory);
        sessrec_query query = sessrec_query_default();
        static const int32_t item[4] = {1, 2, 0, 3};
        static const float support[4] = {3, 2, 1, 1};
        for (int round = 0; round < 2; ++round) {
            sessrec_recommendation list[20];
            sessrec_source source = SESSREC_FROM_MODEL;
            int32_t count;
            float score;
            CHECK_EQ(sessrec_session_recommend(session, &query, list, &count, &source), SESSREC_OK);
            CHECK_EQ(source, SESSREC_FROM_POPULARITY);
            CHECK_EQ(count, 4);
            for (int i = 0; i < 4; ++i) {
                CHECK_EQ(list[i].item, item[i]);
                CHECK_NEAR(list[i].score, support[i], 0);
            }
            CHECK_EQ(sessrec_session_score(session, &item[0], 1, &score), SESSREC_OK);
            CHECK_NEAR(score, 3, 0);
            int32_t item_of_it = 7;
            CHECK_EQ(sessrec_session_click_id(session, "unheard of", &item_of_it), SESSREC_OK);  // and again
            CHECK_EQ(item_of_it, -1);
        }
        free(memory);
        sessrec_model_destroy(model);
        sessrec_log_destroy(log);
    }
    TEST("a score that is NaN is never recommended") {
        sessrec_log *log = random_log(20, 30, 3);
        sessrec_config config = small_config(1, 4);
        sessrec_trainer *trainer;
        sessrec_mutable_tensor bias;
        CHECK_EQ(sessrec_trainer_create(&config, log, &trainer, NULL), SESSREC_OK);
        CHECK_EQ(sessrec_trainer_tensor(trainer, "By", &bias, NULL), SESSREC_OK);
        bias.data[11] = NAN;
        void *memory;
        sessrec_session *session = new_session(model_of(trainer), 0, &memory);
        sessrec_session_click(session, 2);
        sessrec_recommendation list[30];
        sessrec_query query = sessrec_query_default();
        int32_t count;
        query.k = 30;
        CHECK_EQ(sessrec_session_recommend(session, &query, list, &count, NULL), SESSREC_OK);
        CHECK_EQ(count, 29);
        for (int32_t i = 0; i < count; ++i) CHECK(list[i].item != 11 && list[i].score == list[i].score);
        free(memory);
        sessrec_trainer_destroy(trainer);
        sessrec_log_destroy(log);
    }
    TEST("a query that makes no sense is refused, and no recommendation comes") {
        shop s = open_shop(23);
        void *memory;
        sessrec_session *session = new_session(s.model, 4, &memory);
        sessrec_recommendation list[20];
        const int32_t candidate = 1;
        int32_t count = 7;
        for (int wrong = 0; wrong < 4; ++wrong) {
            sessrec_query query = sessrec_query_default();
            if (wrong == 0) memset(&query, 0, sizeof query), query.k = 20;
            if (wrong == 1) query.k = 0;
            if (wrong == 2) query.k = 65537;
            if (wrong == 3) query.candidates = &candidate, query.candidate_count = -1;
            count = 7;
            CHECK_EQ(sessrec_session_recommend(session, &query, list, &count, NULL),
                     SESSREC_INVALID_ARGUMENT);
            CHECK_EQ(count, 0);
        }
        sessrec_query query = sessrec_query_default();
        CHECK_EQ(sessrec_session_recommend(NULL, &query, list, &count, NULL), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_session_recommend(session, NULL, list, &count, NULL), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_session_recommend(session, &query, NULL, &count, NULL), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_session_recommend(session, &query, list, NULL, NULL), SESSREC_INVALID_ARGUMENT);
        free(memory);
        close_shop(&s);
    }
}

// ---- the screen -------------------------------------------------------------------------------------------

enum { SCREENED_MODELS = 12, SCREENED_QUERIES = 100 };

// What a model is made hard with.
enum {
    SMOOTH,
    EQUAL_SCORES,
    ZERO_ROWS,
    HUGE_ROWS,
    HUGE_BIAS,
    TINY_ROWS,
    SUBNORMAL,
    ONE_LARGE_WEIGHT,
    NOT_FINITE,
    NEARLY_EQUAL,
    HARDSHIPS
};

static void harden(sessrec_model *model, int hardship, uint32_t *seed) {
    static const float not_finite[3] = {NAN, INFINITY, -INFINITY};
    const int32_t V = model->info.item_count, L = sessrec__last_width(model);
    for (int32_t i = 0; i < V; ++i) {
        float *row = model->Wy + (ptrdiff_t)i * L;
        model->By[i] = random_float(seed, 0.5f);
        for (int32_t k = 0; k < L; ++k) {
            row[k] = random_float(seed, 1);
            if (hardship == EQUAL_SCORES) row[k] = (float)(i % 3), model->By[i] = 0;
            if (hardship == ZERO_ROWS && i % 2) row[k] = 0;
            if (hardship == HUGE_ROWS && i % 5 == 0) row[k] *= i % 10 ? 1e37f : 1e12f;
            if (hardship == TINY_ROWS) row[k] *= i % 3 ? 1e-25f : 1e-36f, model->By[i] = 0;
            if (hardship == SUBNORMAL) row[k] *= 1e-39f, model->By[i] *= 1e-39f;
            if (hardship == NEARLY_EQUAL)
                row[k] = 1 + (float)random_below(seed, 4) * 1.2e-7f, model->By[i] = 0;
        }
        if (hardship == ONE_LARGE_WEIGHT) row[random_below(seed, L)] *= 1000;
        if (hardship == HUGE_BIAS && i % 4 == 0) model->By[i] *= i % 8 ? 1e38f : 1e20f;
        if (hardship == NOT_FINITE && i % 6 == 0)
            (i % 12 ? row : &model->By[i])[0] = not_finite[random_below(seed, 3)];
    }
}

// A hidden state as a GRU has it, or none that any has.
static void random_state(sessrec_session *session, uint32_t *seed) {
    static const float limit[8] = {1, 1, 1, 1, 1e-3f, 1e-39f, 30, 1e37f};
    const int32_t L = sessrec__last_width(session->model);
    const float most = limit[random_below(seed, 8)];
    for (int32_t k = 0; k < L; ++k) session->hidden[k] = random_below(seed, 4) ? random_float(seed, most) : 0;
    if (random_below(seed, 10) == 0) session->hidden[random_below(seed, L)] = random_below(seed, 2) ? NAN : 1;
    session->known = 1;
}

// The coded state of a session, NULL if it is scored without a screen.
static const sessrec__screen *screen_begin(const sessrec_session *session) {
    sessrec__walker *walker = session->scratch->walkers;
    sessrec__screen_begin(session, session->scratch->codes, &walker->screen);
    return walker->screen.blocks ? &walker->screen : NULL;
}

// Both lists for a random query; veto calls are counted in asked[2]. Returns how many differences there are.
static int compare_screened(const sessrec_model *model, sessrec_session *session, uint8_t *screen,
                            uint32_t *seed, int64_t *passed_over) {
    sessrec_recommendation list[2][80];
    int32_t count[2], asked[2] = {0, 0}, kept[80];
    sessrec_query query = sessrec_query_default();
    sessrec_model *changing = (sessrec_model *)(uintptr_t)model;
    query.k = 1 + random_below(seed, random_below(seed, 5) ? 10 : 80);
    query.skip_seen = random_below(seed, 2);
    if (random_below(seed, 3) == 0) query.veto = veto_thirds;
    session->seen_count = 0;
    for (int32_t i = random_below(seed, 4); i > 0; --i)
        sessrec__session_remember(session, random_below(seed, model->info.item_count));
    for (int with = 0; with < 2; ++with) {
        changing->screen = with ? screen : NULL;
        query.veto_user = &asked[with];
        sessrec_session_recommend(session, &query, list[with], &count[with], NULL);
    }
    int wrong = count[0] != count[1] || asked[0] != asked[1];
    for (int32_t i = 0; i < count[0] && !wrong; ++i)
        wrong +=
            list[0][i].item != list[1][i].item || memcmp(&list[0][i].score, &list[1][i].score, sizeof(float));
    const sessrec__screen *coded = screen_begin(session);
    if (count[0] == query.k && coded)
        *passed_over += 64 - model->kernels->screen(coded, 0, 64, list[0][count[0] - 1].score, kept);
    return wrong;
}

static void screen_of(const sessrec__kernels *kernels, int32_t width) {
    sessrec_log *log = random_log(20, 75, 3);
    sessrec_config config = small_config(1, width);
    uint32_t seed = 77 + (uint32_t)width;
    int wrong = 0;
    int64_t passed_over[HARDSHIPS] = {0};
    for (int m = 0; m < SCREENED_MODELS * HARDSHIPS; ++m) {
        sessrec_model *model = random_model(&config, log, (uint32_t)m + 1);
        void *memory;
        sessrec_session *session = new_session(model, 5, &memory);
        harden(model, m % HARDSHIPS, &seed);
        model->kernels = kernels;
        wrong += sessrec_model_prepare(model) != SESSREC_OK;
        uint8_t *screen = model->screen;
        for (int q = 0; q < SCREENED_QUERIES; ++q) {
            random_state(session, &seed);
            wrong += compare_screened(model, session, screen, &seed, &passed_over[m % HARDSHIPS]);
        }
        model->screen = screen;
        sessrec_model_destroy(model);
        free(memory);
    }
    CHECK_EQ(wrong, 0);
    for (int h = 0; h < HARDSHIPS; ++h)  // most items are never scored, or this compares nothing
        if (h != EQUAL_SCORES && h != TINY_ROWS && h != SUBNORMAL && h != NEARLY_EQUAL)
            CHECK(passed_over[h] > (h == ONE_LARGE_WEIGHT ? 10 : 20) * SCREENED_MODELS * SCREENED_QUERIES);
    sessrec_log_destroy(log);
}

static void screens(void) {
    static const int32_t widths[5] = {1, 7, 17, 33, 100};
    for (int level = 0; level < KERNELS_LEVELS; ++level)
        for (int w = 0; w < 5; ++w) {
            const sessrec__kernels *kernels = kernels_of(level);
            char name[128];
            snprintf(name, sizeof name,
                     "a prepared model recommends the same to the bit, width %d, kernels %s", (int)widths[w],
                     kernels ? kernels->name : "of this number");
            if (!kernels) SKIP(name, "this build or this processor does not have them");
            else TEST(name) screen_of(kernels, widths[w]);
        }
    TEST("every set of kernels passes over the same items") {
        shop s = open_shop(24);
        uint32_t seed = 9;
        void *memory;
        sessrec_session *session = new_session(s.model, 0, &memory);
        int wrong = 0, passed_over = 0;
        CHECK_EQ(sessrec_model_prepare(s.model), SESSREC_OK);
        CHECK_EQ(sessrec_model_prepare(s.model), SESSREC_OK);  // once is enough
        for (int round = 0; round < 300; ++round) {
            int32_t list[KERNELS_LEVELS][ITEMS], found[KERNELS_LEVELS];
            sessrec_session_click(session, random_below(&seed, ITEMS));
            const sessrec__screen *screen = screen_begin(session);
            CHECK(screen != NULL);
            for (int level = 0; level < KERNELS_LEVELS; ++level) {
                const sessrec__kernels *kernels = kernels_of(level) ? kernels_of(level) : kernels_of(0);
                found[level] = kernels->screen(screen, 0, ITEMS, 0.5f, list[level]);
                wrong += found[level] != found[0] ||
                         memcmp(list[level], list[0], (size_t)found[0] * sizeof(int32_t));
            }
            passed_over += ITEMS - found[0];
        }
        CHECK_EQ(wrong, 0);
        CHECK(passed_over > 300 * ITEMS / 10);
        free(memory);
        close_shop(&s);
    }
    TEST("no item is passed over whose score is reached, also where a state loses all that it can: along "
         "what the codes of a row leave out") {
        shop s = open_shop(25);
        void *memory;
        sessrec_session *session = new_session(s.model, 0, &memory);
        const int32_t L = sessrec__last_width(s.model);
        float *h = session->hidden + sessrec__hidden_width(s.model) - L;
        int missed = 0, passed_over = 0;
        CHECK_EQ(sessrec_model_prepare(s.model), SESSREC_OK);
        sessrec_session_click(session, 1);
        for (int32_t i = 0; i < ITEMS; ++i) {
            const float *row = s.model->Wy + (ptrdiff_t)i * L;
            float most = 0, score, bias;
            int32_t list[ITEMS], there = 0;
            for (int32_t k = 0; k < L; ++k) most = fabsf(row[k]) > most ? fabsf(row[k]) : most;
            for (int32_t k = 0; k < L; ++k)
                h[k] = row[k] / most * 7 - (float)sessrec__nearest(row[k] / most * 7);
            bias = s.model->By[i];
            sessrec__plain_table.dots(1, L, row, L, h, &bias, &score);
            const sessrec__screen *screen = screen_begin(session);
            CHECK(screen != NULL);
            const int32_t found = s.model->kernels->screen(screen, 0, ITEMS, score, list);
            for (int32_t j = 0; j < found; ++j) there += list[j] == i;
            missed += !there;
            passed_over += ITEMS - found;
        }
        CHECK_EQ(missed, 0);
        CHECK(passed_over > ITEMS);
        free(memory);
        close_shop(&s);
    }
    TEST("what rounding adds to a score on top of a large bias is within the bound") {
        sessrec_log *log = random_log(20, 40, 3);
        sessrec_config config = small_config(1, 100);
        sessrec_model *model = random_model(&config, log, 8);
        void *memory;
        sessrec_session *session = new_session(model, 0, &memory);
        float score;
        int32_t list[40], item = 0;
        for (int32_t k = 0; k < 100; ++k) model->Wy[k] = 1.01f, session->hidden[k] = 1;
        model->By[0] = 16777216;  // 2^24: each of the hundred sums goes up by 2 instead of 1.01
        session->known = 1;
        CHECK_EQ(sessrec_session_score(session, &item, 1, &score), SESSREC_OK);
        CHECK_NEAR(score, 16777216 + 200, 0);
        CHECK_EQ(sessrec_model_prepare(model), SESSREC_OK);
        const sessrec__screen *screen = screen_begin(session);
        CHECK(screen != NULL);
        CHECK_EQ(model->kernels->screen(screen, 0, 40, score, list), 1);
        CHECK_EQ(list[0], 0);
        free(memory);
        sessrec_model_destroy(model);
        sessrec_log_destroy(log);
    }
    TEST("the largest codes times the largest states add up without a carry lost, on every path") {
        enum { OCTETS = 9 };
        static float block[OCTETS * 16 + 2 * 16];
        int8_t state[8 * OCTETS];
        for (int sign = -1; sign <= 1; sign += 2) {
            const sessrec__screen screen = {OCTETS, (const uint8_t *)block, state, 1000, 1, 0};
            const float sum = (float)(sign * 15 * 127 * 8 * OCTETS + 1000);
            int32_t list[16];
            memset(block, 0xff, OCTETS * 64);
            memset(state, sign * 127, sizeof state);
            for (int l = 0; l < 32; ++l) block[OCTETS * 16 + l] = (float)(l < 16);  // steps of 1, biases of 0
            for (int level = 0; level < 3; ++level) {
                const sessrec__kernels *kernels = kernels_of(level);
                if (!kernels) continue;
                CHECK_EQ(kernels->screen(&screen, 0, 16, sum, list), 16);
                CHECK_EQ(kernels->screen(&screen, 0, 16, sum + 1, list), 0);
            }
        }
    }
    TEST("a root is never below the true one, and next to it") {
        uint32_t seed = 4;
        int wrong = 0;
        for (int i = 0; i < 100000; ++i) {
            const double x = ldexp(1 + fabs((double)random_float(&seed, 1)), random_below(&seed, 380) - 190),
                         root = sessrec__root_above(x);
            wrong += !(root * root >= x && root * root <= x * (1 + 1e-11));
        }
        CHECK_EQ(wrong, 0);
        CHECK(sessrec__root_above(0) >= 0 && sessrec__root_above(0) < 1e-100);
    }
    TEST("without memory a model stays as it was") {
        counting_memory memory = {0, 0, -1};
        shop s;
        sessrec_config config = small_config(1, 8);
        config.allocator = counting_allocator(&memory);
        s.log = random_log(20, 40, 3);
        s.model = random_model(&config, s.log, 8);
        CHECK_EQ(sessrec_model_prepare(NULL), SESSREC_INVALID_ARGUMENT);
        memory.fail_from = memory.requests;
        CHECK_EQ(sessrec_model_prepare(s.model), SESSREC_OUT_OF_MEMORY);
        CHECK(!s.model->screen);
        memory.fail_from = -1;
        CHECK_EQ(sessrec_model_prepare(s.model), SESSREC_OK);
        CHECK(s.model->screen != NULL);
        close_shop(&s);
        CHECK_EQ(memory.blocks, 0);
    }
}

// ---- several sessions at once -----------------------------------------------------------------------------

enum { AT_ONCE = 70, MANY_ITEMS = 1100 };

typedef struct crowd {
    sessrec_session *session[AT_ONCE];
    void *memory[AT_ONCE];
    sessrec_query query[AT_ONCE];
    int asked[AT_ONCE];
    int32_t candidates[400];
    sessrec_request request[AT_ONCE];
    sessrec_recommendation best[2][AT_ONCE][30];
} crowd;

// Requests for `count` sessions that differ in all that they may: clicks, filters, lengths, and what is wrong
// with them.
static void random_requests(crowd *c, int32_t count, uint32_t *seed) {
    for (int i = 0; i < 400; ++i) c->candidates[i] = random_below(seed, MANY_ITEMS + 20) - 10;
    memset(c->request, 0, sizeof c->request);
    memset(c->best, 0, sizeof c->best);
    for (int32_t i = 0; i < count; ++i) {
        sessrec_query *query = &c->query[i];
        sessrec_session_end(c->session[i]);
        if (random_below(seed, 20)) random_state(c->session[i], seed);  // 1 of 20 is answered from popularity
        for (int32_t click = random_below(seed, 4); click > 0; --click)
            sessrec__session_remember(c->session[i],
                                      random_below(seed, random_below(seed, 2) ? 40 : MANY_ITEMS));
        *query = sessrec_query_default();
        query->k = 1 + random_below(seed, random_below(seed, 4) ? 10 : 30);
        query->skip_seen = random_below(seed, 2);
        query->veto = random_below(seed, 3) ? NULL : veto_thirds;
        query->veto_user = &c->asked[i];
        if (random_below(seed, 10) == 0)
            query->candidates = c->candidates, query->candidate_count = random_below(seed, 401);
        if (random_below(seed, 30) == 0) query->k = 0;
        c->request[i].session = c->session[i];
        c->request[i].query = query;
        c->request[i].out = c->best[1][i];
        if (random_below(seed, 60) == 0) c->request[i].out = NULL;
    }
}

// Asks all at once, then each alone. Returns how many differences there are.
static int compare_with_each(crowd *c, sessrec_scratch *scratch, int32_t count) {
    sessrec_result first = SESSREC_OK;
    int wrong = 0, together[AT_ONCE];
    memset(c->asked, 0, sizeof c->asked);
    const sessrec_result result = sessrec_sessions_recommend(scratch, c->request, count);
    memcpy(together, c->asked, sizeof together);
    memset(c->asked, 0, sizeof c->asked);
    for (int32_t i = 0; i < count; ++i) {
        const sessrec_request *got = &c->request[i];
        sessrec_source source = got->source;
        int32_t came;
        sessrec_result alone = sessrec_session_recommend(got->session, got->query,
                                                         got->out ? c->best[0][i] : NULL, &came, &source);
        wrong +=
            alone != got->result || came != got->count || source != got->source || c->asked[i] != together[i];
        wrong += memcmp(c->best[0][i], c->best[1][i], sizeof c->best[0][i]) != 0;
        if (!first) first = alone;
    }
    return wrong + (result != first);
}

static void many_of(const sessrec_log *log, const sessrec__kernels *kernels, int32_t width) {
    static crowd c;
    sessrec_config config = small_config(1, width);
    uint32_t seed = 99 + (uint32_t)width;
    int wrong = 0;
    for (int m = 0; m < 2 * HARDSHIPS; ++m) {
        sessrec_model *model = random_model(&config, log, (uint32_t)m + 1);
        model->kernels = kernels;
        harden(model, m / 2, &seed);
        if (m % 2) CHECK_EQ(sessrec_model_prepare(model), SESSREC_OK);
        void *shared;
        sessrec_scratch *scratch = new_scratch(model, m % 3 ? 1 + random_below(&seed, 40) : 1, &shared);
        for (int i = 0; i < AT_ONCE; ++i) c.session[i] = new_session(model, 5, &c.memory[i]);
        for (int round = 0; round < (kernels == &sessrec__plain_table ? 1 : 2); ++round) {
            const int32_t count = random_below(&seed, (m / 2 + round) % 2 ? AT_ONCE + 1 : 6);
            random_requests(&c, count, &seed);
            wrong += compare_with_each(&c, scratch, count);
        }
        for (int i = 0; i < AT_ONCE; ++i) free(c.memory[i]);
        free(shared);
        sessrec_model_destroy(model);
    }
    CHECK_EQ(wrong, 0);
}

static void many_sessions(void) {
    static const int32_t widths[4] = {1, 33, 130, 300};
    sessrec_log *log = random_log(20, MANY_ITEMS, 3);
    for (int level = 0; level < KERNELS_LEVELS; ++level)
        for (int w = 0; w < 4; ++w) {
            const sessrec__kernels *kernels = kernels_of(level);
            char name[128];
            snprintf(name, sizeof name,
                     "many sessions at once get to the bit what each gets alone, width %d, kernels %s",
                     (int)widths[w], kernels ? kernels->name : "of this number");
            if (!kernels) SKIP(name, "this build or this processor does not have them");
            else TEST(name) many_of(log, kernels, widths[w]);
        }
    sessrec_log_destroy(log);
    TEST("so do sessions of a very wide model") {
        static const int32_t wide[3] = {1500, 2500, 5000};
        log = random_log(5, 30, 3);
        for (int w = 0; w < 3; ++w) {
            sessrec_config config = small_config(1, wide[w]);
            config.embedding = SESSREC_EMBEDDING_NONE;
            sessrec_model *model = random_model(&config, log, 4);
            sessrec_query query = sessrec_query_default();
            sessrec_request request[5];
            sessrec_recommendation best[2][5][20];
            void *memory[5];
            memset(request, 0, sizeof request);
            for (int i = 0; i < 5; ++i) {
                request[i].session = new_session(model, 0, &memory[i]);
                request[i].query = &query;
                request[i].out = best[1][i];
                sessrec_session_click(request[i].session, 3 * i);
            }
            void *shared;
            sessrec_scratch *scratch = new_scratch(model, 3, &shared);
            CHECK_EQ(sessrec_sessions_recommend(scratch, request, 5), SESSREC_OK);
            free(shared);
            for (int i = 0; i < 5; ++i) {
                int32_t count;
                CHECK_EQ(sessrec_session_recommend(request[i].session, &query, best[0][i], &count, NULL),
                         SESSREC_OK);
                CHECK_EQ(request[i].count, count);
                CHECK(count == 20 && !memcmp(best[0][i], best[1][i], sizeof best[0][i]));
                free(memory[i]);
            }
            sessrec_model_destroy(model);
        }
        sessrec_log_destroy(log);
    }
    TEST("a request of another model or without a session fails alone, and the first failure is returned") {
        shop s[2] = {open_shop(26), open_shop(27)};
        void *memory[2];
        sessrec_query query = sessrec_query_default();
        sessrec_recommendation best[4][20];
        sessrec_request request[4];
        memset(request, 0, sizeof request);
        for (int i = 0; i < 4; ++i) request[i].query = &query, request[i].out = best[i];
        request[1].session = request[3].session = new_session(s[0].model, 4, &memory[0]);
        request[2].session = new_session(s[1].model, 4, &memory[1]);
        void *shared;
        sessrec_scratch *scratch = new_scratch(s[0].model, 32, &shared);
        CHECK_EQ(sessrec_sessions_recommend(scratch, request + 1, 3), SESSREC_MISMATCH);
        CHECK_EQ(sessrec_sessions_recommend(scratch, request, 4), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(request[0].result, SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(request[1].result, SESSREC_OK);
        CHECK_EQ(request[2].result, SESSREC_MISMATCH);
        CHECK_EQ(request[3].result, SESSREC_OK);
        CHECK(request[0].count == 0 && request[1].count == 20 && request[2].count == 0 &&
              request[3].count == 20);
        CHECK_EQ(sessrec_sessions_recommend(scratch, request, 0), SESSREC_OK);
        CHECK_EQ(sessrec_sessions_recommend(scratch, NULL, 0), SESSREC_OK);
        CHECK_EQ(sessrec_sessions_recommend(scratch, NULL, 1), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_sessions_recommend(NULL, request, 4), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_sessions_recommend(scratch, request, -1), SESSREC_INVALID_ARGUMENT);
        free(shared);
        for (int i = 0; i < 2; ++i) close_shop(&s[i]), free(memory[i]);
    }
}

// ---- clicks -----------------------------------------------------------------------------------------------

static const float *weights_of(const sessrec_model *model, const char *name) {
    sessrec_tensor tensor;
    CHECK_EQ(sessrec_model_tensor(model, name, &tensor), SESSREC_OK);
    return tensor.data;
}
static sessrec_gru layer_of(const sessrec_model *model, int layer, int32_t input, int32_t hidden) {
    static const char *const names[2][3] = {{"L0.W", "L0.U", "L0.b"}, {"L1.W", "L1.U", "L1.b"}};
    sessrec_gru gru;
    memset(&gru, 0, sizeof gru);
    gru.input = input;
    gru.hidden = hidden;
    gru.W = weights_of(model, names[layer][0]);
    gru.U = weights_of(model, names[layer][1]);
    gru.b = weights_of(model, names[layer][2]);
    return gru;
}

static void clicks(void) {
    const int32_t items[4] = {5, -1, ITEMS, 250};
    TEST("a click is one step of the GRU of each layer, a score the product with the item's row") {
        enum { LOWER = 6, UPPER = 7 };
        sessrec_log *log = random_log(20, 40, 3);
        sessrec_config config = small_config(2, LOWER);
        sessrec_model *model = random_model(&config, log, 8);
        // the weights are tied: what the lower layer gets is a row of Wy
        const sessrec_gru lower = layer_of(model, 0, UPPER, LOWER), upper = layer_of(model, 1, LOWER, UPPER);
        const float *Wy = weights_of(model, "Wy"), *By = weights_of(model, "By");
        float h0[LOWER] = {0}, h1[UPPER] = {0}, tape[4 * UPPER], score;
        void *memory;
        sessrec_session *session = new_session(model, 0, &memory);
        static const int32_t clicked[3] = {7, 30, 7};
        for (int i = 0; i < 3; ++i) {
            sessrec_gru_forward(&lower, 1, Wy + clicked[i] * UPPER, h0, h0, tape);
            sessrec_gru_forward(&upper, 1, h0, h1, h1, tape);
            CHECK_EQ(sessrec_session_click(session, clicked[i]), SESSREC_OK);
        }
        for (int32_t item = 0; item < 40; ++item) {
            double expected = By[item];
            for (int k = 0; k < UPPER; ++k) expected += (double)Wy[item * UPPER + k] * h1[k];
            CHECK_EQ(sessrec_session_score(session, &item, 1, &score), SESSREC_OK);
            CHECK_NEAR(score, expected, 1e-5);
        }
        free(memory);
        sessrec_model_destroy(model);
        sessrec_log_destroy(log);
    }
    TEST("an unknown item is counted and changes no score") {
        shop s = open_shop(31);
        void *memory;
        sessrec_session *session = new_session(s.model, 4, &memory);
        float before[4], after[4];
        int64_t known, unknown;
        CHECK_EQ(sessrec_session_click(session, 5), SESSREC_OK);
        CHECK_EQ(sessrec_session_score(session, items, 4, before), SESSREC_OK);
        CHECK_EQ(sessrec_session_click(session, -1), SESSREC_OK);
        CHECK_EQ(sessrec_session_click_id(session, "no such item", NULL), SESSREC_OK);
        CHECK_EQ(sessrec_session_score(session, items, 4, after), SESSREC_OK);
        CHECK(!memcmp(before, after, sizeof before));
        sessrec_session_clicks(session, &known, &unknown);
        CHECK_EQ(known, 1);
        CHECK_EQ(unknown, 2);
        free(memory);
        close_shop(&s);
    }
    TEST("a number that no item has is an error and not counted") {
        shop s = open_shop(31);
        void *memory;
        sessrec_session *session = new_session(s.model, 4, &memory);
        int64_t known = 7, unknown = 7;
        CHECK_EQ(sessrec_session_click(session, -2), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_session_click(session, ITEMS), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_session_click_id(session, NULL, NULL), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_session_click(NULL, 1), SESSREC_INVALID_ARGUMENT);
        sessrec_session_clicks(session, &known, &unknown);
        CHECK_EQ(known + unknown, 0);
        free(memory);
        close_shop(&s);
    }
    TEST("an unknown item scores -infinity") {
        shop s = open_shop(31);
        void *memory;
        sessrec_session *session = new_session(s.model, 4, &memory);
        float scores[4];
        CHECK_EQ(sessrec_session_click(session, 5), SESSREC_OK);
        CHECK_EQ(sessrec_session_score(session, items, 4, scores), SESSREC_OK);
        CHECK(scores[1] == -INFINITY && scores[2] == -INFINITY);
        CHECK(scores[0] > -INFINITY && scores[3] > -INFINITY);
        CHECK_EQ(sessrec_session_score(session, items, -1, scores), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_session_score(session, NULL, 1, scores), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_session_score(session, NULL, 0, NULL), SESSREC_OK);
        free(memory);
        close_shop(&s);
    }
    TEST("a click by id is the click on its number") {
        shop s = open_shop(31);
        void *memory[2];
        sessrec_session *a = new_session(s.model, 4, &memory[0]), *b = new_session(s.model, 4, &memory[1]);
        float score_a[4], score_b[4];
        CHECK_EQ(sessrec_session_click(a, 123), SESSREC_OK);
        CHECK_EQ(sessrec_session_click_id(b, sessrec_model_item_id(s.model, 123), NULL), SESSREC_OK);
        sessrec_session_score(a, items, 4, score_a);
        sessrec_session_score(b, items, 4, score_b);
        CHECK(!memcmp(score_a, score_b, sizeof score_a));
        free(memory[0]);
        free(memory[1]);
        close_shop(&s);
    }
    TEST("after its end a session is as new") {
        shop s = open_shop(31);
        void *memory[2];
        sessrec_session *used = new_session(s.model, 4, &memory[0]),
                        *fresh = new_session(s.model, 4, &memory[1]);
        for (int32_t i = 0; i < 9; ++i) sessrec_session_click(used, i * 7 - 1);
        sessrec_session_end(used);
        const size_t size = sessrec_session_export_size(used);
        char *a = (char *)malloc(size), *b = (char *)malloc(size);
        for (int round = 0; round < 2; ++round) {
            CHECK_EQ(sessrec_session_export(used, a, size), SESSREC_OK);
            CHECK_EQ(sessrec_session_export(fresh, b, size), SESSREC_OK);
            CHECK(!memcmp(a, b, size));
            sessrec_session_click(used, 42);
            sessrec_session_click(fresh, 42);
        }
        sessrec_session_end(NULL);
        free(a);
        free(b);
        free(memory[0]);
        free(memory[1]);
        close_shop(&s);
    }
}

// ---- memory -----------------------------------------------------------------------------------------------

static void memory_of_the_caller(void) {
    TEST("a session lives in memory of any alignment and writes to nothing else") {
        sessrec_log *log = random_log(20, 40, 3);
        sessrec_config config = small_config(1, 16);  // so that no part of the session has room to spare
        sessrec_model *model = random_model(&config, log, 8);
        const size_t size = sessrec_session_size(model, 16);
        unsigned char *memory = (unsigned char *)malloc(size + 256);
        unsigned char *aligned = memory + 64 + (64 - (uintptr_t)memory % 64) % 64;
        for (size_t offset = 0; offset < 64; ++offset) {
            sessrec_session *session;
            sessrec_recommendation list[20];
            sessrec_query query = sessrec_query_default();
            int32_t count;
            int touched = 0;
            memset(memory, 0xa5, size + 256);
            CHECK_EQ(sessrec_session_init(model, 16, aligned + offset, size, &session, NULL), SESSREC_OK);
            for (int32_t i = 0; i < 20; ++i) sessrec_session_click(session, i);
            sessrec_session_recommend(session, &query, list, &count, NULL);
            for (unsigned char *at = memory; at < aligned + offset; ++at) touched += *at != 0xa5;
            for (unsigned char *at = aligned + offset + size; at < memory + size + 256; ++at)
                touched += *at != 0xa5;
            CHECK_EQ(touched, 0);
        }
        free(memory);
        sessrec_model_destroy(model);
        sessrec_log_destroy(log);
    }
    TEST("a visitor of 100 hidden units who shares a scratch takes 640 bytes, and a scratch less than 3 KB") {
        sessrec_log *log = random_log(20, 40, 3);
        sessrec_config config = small_config(1, 100);
        sessrec_model *model = random_model(&config, log, 8);
        CHECK(sessrec_session_shared_size(model, 20) <= 640);
        CHECK(sessrec_scratch_size(model, 1) < 3072);
        sessrec_model_destroy(model);
        sessrec_log_destroy(log);
    }
    TEST("sessions that share a scratch, or change it at every call, give the same bits as alone") {
        shop s = open_shop(41);
        void *memory[5], *shared[2];
        sessrec_session *alone[2], *sharing[2];
        sessrec_scratch *scratch[2] = {new_scratch(s.model, 1, &shared[0]),
                                       new_scratch(s.model, 8, &shared[1])};
        const size_t size = sessrec_session_shared_size(s.model, 4);
        for (int i = 0; i < 2; ++i) {
            alone[i] = new_session(s.model, 4, &memory[i]);
            memory[2 + i] = malloc(size);
            CHECK_EQ(sessrec_session_init_shared(s.model, 4, scratch[0], memory[2 + i], size, &sharing[i],
                                                 NULL),
                     SESSREC_OK);
        }
        sessrec_query query = sessrec_query_default();
        sessrec_recommendation list[2][20];
        int32_t count[2];
        for (int32_t click = 0; click < 40; ++click) {
            const int i = click / 2 % 2;
            CHECK_EQ(sessrec_session_use_scratch(sharing[i], scratch[click % 2]), SESSREC_OK);
            memset(scratch[click % 2]->step, 0x7f, sizeof(float));  // not read by the next call
            CHECK_EQ(sessrec_session_click(alone[i], 7 * click), SESSREC_OK);
            CHECK_EQ(sessrec_session_click(sharing[i], 7 * click), SESSREC_OK);
            CHECK_EQ(sessrec_session_recommend(alone[i], &query, list[0], &count[0], NULL), SESSREC_OK);
            CHECK_EQ(sessrec_session_recommend(sharing[i], &query, list[1], &count[1], NULL), SESSREC_OK);
            CHECK(count[0] == count[1] && !memcmp(list[0], list[1], sizeof list[0]));
        }
        for (int i = 0; i < 4; ++i) free(memory[i]);
        for (int i = 0; i < 2; ++i) free(shared[i]);
        close_shop(&s);
    }
    TEST("a refused scratch or session says what it needs") {
        shop s[2] = {open_shop(41), open_shop(42)};
        char memory[4096], expected[128];
        sessrec_error err;
        void *shared;
        sessrec_scratch *scratch = new_scratch(s[0].model, 1, &shared), *none = scratch;
        sessrec_session *session = NULL;
        CHECK_EQ(sessrec_scratch_init(s[0].model, 1, memory, 100, &none, &err), SESSREC_INVALID_ARGUMENT);
        snprintf(expected, sizeof expected, "the scratch needs %d bytes of memory, and got 100",
                 (int)sessrec_scratch_size(s[0].model, 1));
        CHECK_TEXT(err.text, expected);
        CHECK(!none);
        CHECK_EQ(sessrec_scratch_init(s[0].model, 257, memory, sizeof memory, &none, &err),
                 SESSREC_INVALID_ARGUMENT);
        CHECK_TEXT(err.text, "rows is 257, it must be 1 to 256");
        CHECK_EQ(sessrec_scratch_init(s[0].model, 0, memory, sizeof memory, &none, &err),
                 SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_scratch_init(NULL, 1, memory, sizeof memory, &none, &err), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_scratch_init(s[0].model, 1, memory, sizeof memory, NULL, &err),
                 SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_scratch_size(s[0].model, 257), 0);
        CHECK_EQ(sessrec_scratch_size(NULL, 1), 0);
        CHECK_EQ(sessrec_session_init(s[0].model, 65537, memory, sizeof memory, &session, &err),
                 SESSREC_INVALID_ARGUMENT);
        CHECK_TEXT(err.text, "remember is 65537, it must be 0 to 65536");
        CHECK_EQ(sessrec_session_init(s[0].model, 3, memory, 64, &session, &err), SESSREC_INVALID_ARGUMENT);
        snprintf(expected, sizeof expected, "the session needs %d bytes of memory, and got 64",
                 (int)sessrec_session_size(s[0].model, 3));
        CHECK_TEXT(err.text, expected);
        CHECK_EQ(sessrec_session_init_shared(s[1].model, 3, scratch, memory, sizeof memory, &session, &err),
                 SESSREC_MISMATCH);
        CHECK_TEXT(err.text, "the scratch was made for another model");
        CHECK_EQ(sessrec_session_init_shared(s[0].model, 3, NULL, memory, sizeof memory, &session, &err),
                 SESSREC_INVALID_ARGUMENT);
        CHECK(!session);
        CHECK_EQ(sessrec_session_init(s[1].model, 3, memory, sizeof memory, &session, &err), SESSREC_OK);
        CHECK_EQ(sessrec_session_use_scratch(session, scratch), SESSREC_MISMATCH);
        CHECK_EQ(sessrec_session_use_scratch(session, NULL), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_session_use_scratch(NULL, scratch), SESSREC_INVALID_ARGUMENT);
        free(shared);
        for (int i = 0; i < 2; ++i) close_shop(&s[i]);
    }
    TEST("too little memory and impossible sizes are refused") {
        shop s = open_shop(41);
        const size_t size = sessrec_session_size(s.model, 10);
        void *memory = malloc(size);
        sessrec_session *session = (sessrec_session *)memory;
        CHECK_EQ(sessrec_session_init(s.model, 10, memory, size - 1, &session, NULL),
                 SESSREC_INVALID_ARGUMENT);
        CHECK(!session);
        CHECK_EQ(sessrec_session_init(s.model, 10, NULL, size, &session, NULL), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_session_init(NULL, 10, memory, size, &session, NULL), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_session_init(s.model, -1, memory, size, &session, NULL), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_session_init(s.model, 10, memory, size, NULL, NULL), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_session_size(NULL, 10), 0);
        CHECK_EQ(sessrec_session_size(s.model, -1), 0);
        CHECK_EQ(sessrec_session_size(s.model, 65537), 0);
        CHECK(sessrec_session_size(s.model, 65536) > 4 * 65536);
        free(memory);
        close_shop(&s);
    }
    TEST("nothing is allocated once the model is there") {
        shop s = open_shop(41);
        counting_memory counted = {0, 0, -1};
        sessrec_config config = small_config(2, 10);
        config.allocator = counting_allocator(&counted);
        sessrec_model *model = random_model(&config, s.log, 2);
        const int64_t requests = counted.requests;
        CHECK(requests > 0);
        counted.fail_from = 0;
        void *memory;
        sessrec_session *session = new_session(model, 8, &memory);
        char state[4096];
        sessrec_recommendation list[20];
        sessrec_query query = sessrec_query_default();
        int32_t count;
        const int32_t item = 3;
        float score;
        for (int32_t i = 0; i < 30; ++i) {
            CHECK_EQ(sessrec_session_click(session, i), SESSREC_OK);
            CHECK_EQ(sessrec_session_recommend(session, &query, list, &count, NULL), SESSREC_OK);
            CHECK_EQ(sessrec_session_score(session, &item, 1, &score), SESSREC_OK);
        }
        CHECK_EQ(sessrec_session_export(session, state, sizeof state), SESSREC_OK);
        CHECK_EQ(sessrec_session_import(session, state, sessrec_session_export_size(session)), SESSREC_OK);
        sessrec_session_end(session);
        CHECK_EQ(counted.requests, requests);
        sessrec_model_destroy(model);
        CHECK_EQ(counted.blocks, 0);
        free(memory);
        close_shop(&s);
    }
}

// ---- the state as bytes -----------------------------------------------------------------------------------

enum { REMEMBER = 3, STATE_MAX = 512 };

typedef struct saved {
    shop s;
    void *memory[2];
    sessrec_session *session, *other;   // one with clicks, one with others
    size_t size;
    unsigned char bytes[STATE_MAX];     // state of the first
} saved;

static saved open_saved(void) {
    saved v;
    v.s = open_shop(51);
    v.session = new_session(v.s.model, REMEMBER, &v.memory[0]);
    v.other = new_session(v.s.model, REMEMBER, &v.memory[1]);
    static const int32_t clicked[6] = {9, 200, -1, 9, 31, 77};
    for (int i = 0; i < 6; ++i) sessrec_session_click(v.session, clicked[i]);
    sessrec_session_click(v.other, 150);
    v.size = sessrec_session_export_size(v.session);
    CHECK(v.size <= STATE_MAX);
    CHECK_EQ(sessrec_session_export(v.session, v.bytes, STATE_MAX), SESSREC_OK);
    return v;
}
static void close_saved(saved *v) {
    free(v->memory[0]);
    free(v->memory[1]);
    close_shop(&v->s);
}
static int same_state(const sessrec_session *a, const sessrec_session *b) {
    unsigned char x[STATE_MAX], y[STATE_MAX];
    sessrec_session_export(a, x, STATE_MAX);
    sessrec_session_export(b, y, STATE_MAX);
    return !memcmp(x, y, sessrec_session_export_size(a));
}
// Writes the sum anew, so that what stands before it is what is looked at.
static void seal(unsigned char *bytes, size_t size) {
    const uint32_t sum = sessrec__crc32c(0, bytes, size - 4);
    for (int i = 0; i < 4; ++i) bytes[size - 4 + (size_t)i] = (unsigned char)(sum >> (8 * i));
}

static void state_bytes(void) {
    TEST("a session that went through bytes goes on with the same bits") {
        saved v = open_saved();
        CHECK_EQ(sessrec_session_import(v.other, v.bytes, v.size), SESSREC_OK);
        CHECK(same_state(v.session, v.other));
        int64_t known, unknown;
        sessrec_session_clicks(v.other, &known, &unknown);
        CHECK_EQ(known, 5);
        CHECK_EQ(unknown, 1);
        sessrec_session_click(v.session, 64);
        sessrec_session_click(v.other, 64);
        sessrec_query query = sessrec_query_default();
        sessrec_recommendation a[20], b[20];
        int32_t count_a, count_b;
        query.k = 20;
        CHECK_EQ(sessrec_session_recommend(v.session, &query, a, &count_a, NULL), SESSREC_OK);
        CHECK_EQ(sessrec_session_recommend(v.other, &query, b, &count_b, NULL), SESSREC_OK);
        CHECK_EQ(count_a, count_b);
        CHECK(!memcmp(a, b, sizeof a));
        close_saved(&v);
    }
    TEST("a new session goes through bytes too") {
        saved v = open_saved();
        sessrec_session_end(v.other);
        CHECK_EQ(sessrec_session_export(v.other, v.bytes, v.size), SESSREC_OK);
        CHECK_EQ(sessrec_session_import(v.session, v.bytes, v.size), SESSREC_OK);
        CHECK(same_state(v.session, v.other));
        close_saved(&v);
    }
    TEST("every flipped bit is noticed, and the session stays as it was") {
        saved v = open_saved();
        int accepted = 0;
        unsigned char before[STATE_MAX], after[STATE_MAX];
        sessrec_session_export(v.other, before, v.size);
        for (size_t bit = 0; bit < v.size * 8; ++bit) {
            v.bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
            accepted += sessrec_session_import(v.other, v.bytes, v.size) != SESSREC_BAD_FILE;
            v.bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
        }
        sessrec_session_export(v.other, after, v.size);
        CHECK_EQ(accepted, 0);
        CHECK(!memcmp(before, after, v.size));
        close_saved(&v);
    }
    TEST("a state that is cut short or continued is refused") {
        saved v = open_saved();
        for (size_t size = 0; size < STATE_MAX; ++size)
            if (size != v.size) CHECK_EQ(sessrec_session_import(v.other, v.bytes, size), SESSREC_BAD_FILE);
        unsigned char longer[STATE_MAX];
        memset(longer, 0, sizeof longer);
        memcpy(longer, v.bytes, v.size);
        seal(longer, v.size + 4);
        CHECK_EQ(sessrec_session_import(v.other, longer, v.size + 4), SESSREC_BAD_FILE);
        close_saved(&v);
    }
    TEST("a state of another model or another size does not belong here") {
        saved v = open_saved();
        shop stranger = open_shop(52);
        void *memory[2];
        sessrec_session *elsewhere = new_session(stranger.model, REMEMBER, &memory[0]);
        sessrec_session *larger = new_session(v.s.model, REMEMBER + 1, &memory[1]);
        CHECK_EQ(sessrec_session_import(elsewhere, v.bytes, v.size), SESSREC_MISMATCH);
        CHECK_EQ(sessrec_session_import(larger, v.bytes, v.size), SESSREC_MISMATCH);
        free(memory[0]);
        free(memory[1]);
        close_shop(&stranger);
        close_saved(&v);
    }
    TEST("a well-formed state with values that no session has is refused") {
        // where things stand: known 24, unknown 32, items remembered 40, reserved 44, hidden state 48, items
        // at the end
        saved v = open_saved();
        const size_t items = v.size - 4 - 4 * REMEMBER;
        for (int wrong = 0; wrong < 16; ++wrong) {
            unsigned char bytes[STATE_MAX];
            memcpy(bytes, v.bytes, v.size);
            if (wrong == 0) bytes[24 + 7] = 0x80;                              // clicks below 0
            if (wrong == 1) bytes[32 + 7] = 0x80;
            // so many that the next ones would overflow
            if (wrong == 10) memset(bytes + 24, 0xff, 7), bytes[24 + 7] = 0x7f;
            if (wrong == 11) memset(bytes + 32, 0xff, 7), bytes[32 + 7] = 0x7f;
            if (wrong == 12) bytes[48 + 2] = 0x80, bytes[48 + 3] = 0x7f;       // infinite
            // next to 1, and next to -1 in the last of the states: a GRU stays within
            if (wrong == 13) memcpy(bytes + 48, "\1\0\200\77", 4);
            if (wrong == 14) memcpy(bytes + items - 4, "\1\0\200\277", 4);
            if (wrong == 15) memcpy(bytes + 48, "\0\0\177\177", 4);            // 3e38
            if (wrong == 2) bytes[40] = REMEMBER + 1;                          // more items than fit
            if (wrong == 3) bytes[24] = 2;                                     // more items than clicks
            // clicks, but no item
            if (wrong == 4) memset(bytes + 40, 0, 4), memset(bytes + items, 0, 4 * REMEMBER);
            if (wrong == 5) bytes[44] = 1;                                     // reserved
            if (wrong == 6) bytes[48 + 2] = 0xc0, bytes[48 + 3] = 0x7f;        // NaN
            if (wrong == 7) bytes[items + 2] = 1;                              // no such item
            if (wrong == 8) memcpy(bytes + items, bytes + items + 4, 4);       // an item twice
            if (wrong == 9) bytes[7] = '2';                                    // a later version
            seal(bytes, v.size);
            CHECK_EQ(sessrec_session_import(v.other, bytes, v.size), SESSREC_BAD_FILE);
        }
        unsigned char fresh[STATE_MAX];
        sessrec_session_end(v.session);
        sessrec_session_export(v.session, fresh, v.size);
        for (int wrong = 0; wrong < 2; ++wrong) {
            unsigned char bytes[STATE_MAX];
            memcpy(bytes, fresh, v.size);
            // a hidden state, or an item, before the first click
            bytes[wrong ? items : 48] = 1;
            seal(bytes, v.size);
            CHECK_EQ(sessrec_session_import(v.other, bytes, v.size), SESSREC_BAD_FILE);
        }
        close_saved(&v);
    }
    TEST("the ends of the range, 1 and -1, are states of a session") {
        saved v = open_saved();
        const size_t items = v.size - 4 - 4 * REMEMBER;
        memcpy(v.bytes + 48, "\0\0\200\77", 4);
        memcpy(v.bytes + items - 4, "\0\0\200\277", 4);
        seal(v.bytes, v.size);
        CHECK_EQ(sessrec_session_import(v.other, v.bytes, v.size), SESSREC_OK);
        close_saved(&v);
    }
    TEST("a refused state leaves the session as it was: what it skips, too") {
        saved v = open_saved();
        sessrec_query query = sessrec_query_default();
        sessrec_recommendation before[20], after[20];
        int32_t count;
        unsigned char bytes[STATE_MAX];
        memcpy(bytes, v.bytes, v.size);
        memcpy(bytes + v.size - 12, bytes + v.size - 8, 4);  // an item twice
        seal(bytes, v.size);
        CHECK_EQ(sessrec_session_recommend(v.other, &query, before, &count, NULL), SESSREC_OK);
        CHECK_EQ(sessrec_session_import(v.other, bytes, v.size), SESSREC_BAD_FILE);
        memset(v.bytes + v.size, 0, 4);
        seal(v.bytes, v.size + 4);
        CHECK_EQ(sessrec_session_import(v.other, v.bytes, v.size + 4), SESSREC_BAD_FILE);
        CHECK_EQ(sessrec_session_recommend(v.other, &query, after, &count, NULL), SESSREC_OK);
        CHECK(count == 20 && !memcmp(before, after, sizeof before));
        const int32_t seen = 150;
        query.candidates = &seen;
        query.candidate_count = 1;
        CHECK_EQ(sessrec_session_recommend(v.other, &query, after, &count, NULL), SESSREC_OK);
        CHECK_EQ(count, 0);
        close_saved(&v);
    }
    TEST("a session that remembers 65,536 items is taken in, and answers, as fast as such a list is sorted") {
        enum { MANY = 65536, V = 70000 };
        sessrec_log *log = random_log(1, V, 9);
        sessrec_config config = small_config(1, 2);
        sessrec_model *model = random_model(&config, log, 2);
        void *memory[2];
        sessrec_session *session = new_session(model, MANY, &memory[0]),
                        *other = new_session(model, MANY, &memory[1]);
        sessrec_session_click(session, V - 1);
        for (int32_t i = 0; i < MANY; ++i)  // in an order far from sorted
            session->seen[i] = sessrec__session_sorted(session)[i] = (int32_t)((int64_t)i * 7919 % V);
        session->known = session->seen_count = MANY;
        const size_t size = sessrec_session_export_size(session);
        void *bytes = malloc(size);
        CHECK_EQ(sessrec_session_export(session, bytes, size), SESSREC_OK);
        const double begun = sessrec__now();
        sessrec_query query = sessrec_query_default();
        static sessrec_recommendation list[MANY];
        int32_t count = 0;
        query.k = MANY;
        CHECK_EQ(sessrec_session_import(other, bytes, size), SESSREC_OK);
        CHECK_EQ(sessrec_session_recommend(other, &query, list, &count, NULL), SESSREC_OK);
        CHECK(sessrec__now() - begun < 1);  // it was 2.5 s and 0.5 s; now some 50 ms
        CHECK_EQ(count, V - MANY);
        int seen = 0;
        for (int32_t i = 0; i < count; ++i) seen += sessrec__session_seen(other, list[i].item);
        CHECK_EQ(seen, 0);
        for (int32_t i = 0; i < MANY; ++i) seen += sessrec__session_seen(other, session->seen[i]);
        CHECK_EQ(seen, MANY);
        free(bytes);
        for (int i = 0; i < 2; ++i) free(memory[i]);
        sessrec_model_destroy(model);
        sessrec_log_destroy(log);
    }
    TEST("export needs room for the whole state") {
        saved v = open_saved();
        CHECK_EQ(sessrec_session_export(v.session, v.bytes, v.size - 1), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_session_export(v.session, NULL, v.size), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_session_import(v.session, NULL, v.size), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_session_export_size(NULL), 0);
        close_saved(&v);
    }
}

int main(void) {
    recommendations();
    screens();
    many_sessions();
    clicks();
    memory_of_the_caller();
    state_bytes();
    return test_report("streaming");
}
