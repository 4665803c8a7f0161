// models.h - small logs and models for tests. Includes sessrec.h and test.h.
//
// A program that uses nothing private is linked with the one compiled header. One that looks inside says
// #define SESSREC_IMPLEMENTATION before it includes this, as does -DSESSREC_IMPLEMENTATION= for any of them.
#ifndef SESSREC_TEST_MODELS_H
#define SESSREC_TEST_MODELS_H

#define SESSREC__MOST_THREADS 16  // tests start as many threads as they ask for, also on one processor
#include "../sessrec.h"

// The header lets SSE2 compute where a compiler for i386 would use x87. Tests call its private functions, so
// they do the same.
#if defined(__i386__) && defined(__GNUC__) && !defined(__clang__) && !defined(SESSREC_NO_SIMD)
#  pragma GCC target("sse2,fpmath=sse")
#endif
#include "test.h"

#include <stdlib.h>

static inline uint32_t random_bits(uint32_t *state) {  // xorshift (Marsaglia 2003)
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}
static inline int32_t random_below(uint32_t *state, int32_t n) {
    return (int32_t)(random_bits(state) % (uint32_t)n);
}
static inline float random_float(uint32_t *state, float limit) {
    return ((float)(random_bits(state) >> 8) / 8388608.0f - 1) * limit;
}

#ifdef SESSREC_IMPLEMENTATION
// The sets of kernels that an architecture has, and of a level as the header counts: NULL if not in this
// build or not on this processor.
#ifdef __aarch64__
static const char *const KERNELS_NAME[] = {"plain", "neon"};
#else
static const char *const KERNELS_NAME[] = {"plain", "avx2", "avx512"};
#endif
enum { KERNELS_LEVELS = (int)(sizeof KERNELS_NAME / sizeof *KERNELS_NAME) };
static inline const sessrec__kernels *kernels_of(int level) {
    if (level == 0) return &sessrec__plain_table;
#if !defined(SESSREC_NO_SIMD) && defined(__x86_64__)  // as the header decides
    if (level <= sessrec__processor_level())
        return level == 1 ? &sessrec__avx2_table : &sessrec__avx512_table;
#elif !defined(SESSREC_NO_SIMD) && defined(__aarch64__) && defined(__ARM_NEON) && !defined(__AARCH64EB__)
    return &sessrec__neon_table;
#endif
    return NULL;
}
#endif

// A log of sessions s1, s2, ... in this order; each letter of a text is an event on the item of that name.
// users may be NULL.
static inline sessrec_log *letters_log(int sessions, const char *const *text, const char *const *users) {
    sessrec_log *log;
    CHECK_EQ(sessrec_log_create(NULL, &log, NULL), SESSREC_OK);
    for (int s = 0; s < sessions; ++s) {
        char name[16];
        snprintf(name, sizeof name, "s%d", s + 1);
        for (int i = 0; text[s][i]; ++i) {
            char item[2] = {text[s][i], 0};
            CHECK_EQ(sessrec_log_add(log, users ? users[s] : NULL, name, item, 1000.0 * s + i), SESSREC_OK);
        }
    }
    CHECK_EQ(sessrec_log_finish(log, NULL), SESSREC_OK);
    return log;
}

// Sessions of 1 to 9 events on items 0 .. items-1, all of which occur.
static inline sessrec_log *random_log(int32_t sessions, int32_t items, uint32_t seed) {
    sessrec_log *log;
    int failures = sessrec_log_create(NULL, &log, NULL) != SESSREC_OK;
    int32_t next = 0;
    for (int32_t s = 0; s < sessions || next < items; ++s)
        for (int32_t i = random_below(&seed, 9); i >= 0; --i) {
            int32_t item = next < items && i % 2 == 0 ? next++ : random_below(&seed, items);
            failures += sessrec_log_add_numbers(log, -1, s, item, 1000.0 * (s + 1) - i) != SESSREC_OK;
        }
    CHECK_EQ(failures, 0);
    CHECK_EQ(sessrec_log_finish(log, NULL), SESSREC_OK);
    return log;
}

// Sessions of 1 to 9 events, three sessions a user.
static inline sessrec_log *users_log(int32_t sessions, int32_t items, uint32_t seed) {
    sessrec_log *log;
    int failures = sessrec_log_create(NULL, &log, NULL) != SESSREC_OK;
    for (int32_t s = 0; s < sessions; ++s)
        for (int32_t i = random_below(&seed, 9); i >= 0; --i)
            failures += sessrec_log_add_numbers(log, s / 3, s, random_below(&seed, items),
                                                1000.0 * (s + 1) - i) != SESSREC_OK;
    CHECK_EQ(failures, 0);
    CHECK_EQ(sessrec_log_finish(log, NULL), SESSREC_OK);
    return log;
}

// The weights of a trainer, and the model that it leaves; NULL if the library refuses.
static inline const sessrec_model *model_of(const sessrec_trainer *trainer) {
    const sessrec_model *model = NULL;
    return sessrec_trainer_model(trainer, &model, NULL) ? NULL : model;
}
static inline sessrec_model *take_model(sessrec_trainer *trainer) {
    sessrec_model *model = NULL;
    return sessrec_trainer_take_model(trainer, &model, NULL) ? NULL : model;
}

// A model for the items of the log with random weights. Several of its items have the same weights as
// another: their scores tie.
static inline sessrec_model *random_model(const sessrec_config *config, const sessrec_log *log,
                                          uint32_t seed) {
    sessrec_trainer *trainer;
    sessrec_error err;
    err.text[0] = 0;
    CHECK_EQ(sessrec_trainer_create(config, log, &trainer, &err), SESSREC_OK);
    CHECK_TEXT(err.text, "");
    const sessrec_model *weights = model_of(trainer);
    const char *name;
    for (int32_t t = 0; (name = sessrec_model_tensor_name(weights, t)) != NULL; ++t) {
        sessrec_mutable_tensor tensor;
        CHECK_EQ(sessrec_trainer_tensor(trainer, name, &tensor, NULL), SESSREC_OK);
        const size_t columns = (size_t)tensor.columns;
        for (size_t i = 0; i < (size_t)tensor.rows * columns; ++i) tensor.data[i] = random_float(&seed, 0.8f);
        if (strcmp(name, "Wy") && strcmp(name, "By")) continue;
        for (size_t row = 7; row < (size_t)tensor.rows; row += 7)
            memcpy(tensor.data + row * columns, tensor.data + (row - 4) * columns, columns * sizeof(float));
    }
    sessrec_model *model = take_model(trainer);
    sessrec_trainer_destroy(trainer);
    return model;
}

static inline sessrec_config small_config(int32_t layers, int32_t width) {
    sessrec_config config = sessrec_config_default();
    config.layer_count = layers;
    for (int32_t l = 0; l < layers; ++l) config.hidden[l] = width + l;
    config.batch_size = 4;
    config.negatives = 4;
    config.threads = 1;
    return config;
}

static inline sessrec_batcher *batcher_of(const sessrec_config *config, const sessrec_log *log,
                                          const sessrec_sampler *sampler) {
    sessrec_batcher *batcher = NULL;
    CHECK_EQ(sessrec_batcher_create(config, log, sampler, &batcher, NULL), SESSREC_OK);
    return batcher;
}

// A trainer and what feeds it.
typedef struct run {
    sessrec_config config;
    sessrec_trainer *trainer;
    sessrec_sampler *sampler;
    sessrec_batcher *batcher;
    sessrec_error err;
} run;

static inline int run_begin(run *r, const sessrec_config *config, const sessrec_log *log) {
    memset(r, 0, sizeof *r);
    r->config = *config;
    sessrec_result result = sessrec_trainer_create(config, log, &r->trainer, &r->err);
    if (!result) result = sessrec_trainer_sampler(r->trainer, &r->sampler, &r->err);
    if (!result) result = sessrec_batcher_create(config, log, r->sampler, &r->batcher, &r->err);
    CHECK_TEXT(r->err.text, "");
    return result == SESSREC_OK;
}
static inline void run_end(run *r) {
    sessrec_batcher_destroy(r->batcher);
    sessrec_sampler_destroy(r->sampler);
    sessrec_trainer_destroy(r->trainer);
}

// The bytes of a model or of a file.
typedef struct image {
    unsigned char *data;
    size_t size;
} image;

static inline image model_bytes(const sessrec_model *model) {
    image b;
    b.size = sessrec_model_export_size(model);
    b.data = (unsigned char *)malloc(b.size ? b.size : 1);
    CHECK_EQ(sessrec_model_export(model, b.data, b.size), SESSREC_OK);
    return b;
}
static inline int same_bytes(const image *a, const image *b) {
    return a->size == b->size && !memcmp(a->data, b->data, a->size);
}

// The first events of an evaluation, in the order of the log.
typedef struct event_list {
    int count;
    sessrec_event event[64];
} event_list;
static inline void keep_event(void *user, const sessrec_event *event) {
    event_list *list = (event_list *)user;
    if (list->count < 64) list->event[list->count++] = *event;
}
static inline sessrec_eval_config eval_into(event_list *list) {
    sessrec_eval_config config = sessrec_eval_config_default();
    memset(list, 0, sizeof *list);
    config.on_event = keep_event;
    config.on_event_user = list;
    return config;
}

// An allocator that counts, and fails from a certain request on.
typedef struct counting_memory {
    int64_t requests, blocks;  // made so far; not yet given back
    int64_t fail_from;         // requests from this one on get nothing; -1: never
} counting_memory;

static inline void *counting_alloc(void *user, size_t bytes) {
    counting_memory *memory = (counting_memory *)user;
    if (memory->fail_from >= 0 && memory->requests >= memory->fail_from) return NULL;
    ++memory->requests;
    ++memory->blocks;
    return malloc(bytes);
}
static inline void counting_free(void *user, void *block) {
    if (block) --((counting_memory *)user)->blocks;
    free(block);
}
static inline sessrec_allocator counting_allocator(counting_memory *memory) {
    sessrec_allocator allocator;
    allocator.alloc = counting_alloc;
    allocator.free = counting_free;
    allocator.user = memory;
    return allocator;
}

#endif // SESSREC_TEST_MODELS_H
