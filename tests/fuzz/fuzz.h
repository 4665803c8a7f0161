// fuzz.h - what the fuzz targets share. Each target is one file with sessrec_fuzz(); libFuzzer calls it with
// inputs that reach new code (make fuzz), or main() below with the files of the corpus (make test), which
// needs no special compiler.
#ifndef SESSREC_FUZZ_H
#define SESSREC_FUZZ_H

#define SESSREC_IMPLEMENTATION
#include "../../sessrec.h"

#include <stdio.h>
#include <stdlib.h>

// What must hold whatever the input is. The fuzzer keeps the input that breaks it.
#define MUST(condition) \
    ((condition) ? (void)0 : (fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition), abort()))

// Input as a stream of choices: its last byte first, so that a text remains a text; zeros when there are no
// more.
typedef struct choices {
    const uint8_t *at;
    size_t left;
} choices;

static inline int32_t choose(choices *input, int32_t n) {
    return input->left ? input->at[--input->left] % n : 0;
}

// ---- archives: models and checkpoints ----
// Their checksums would stop every changed byte at the door. The mutator seals what it changed, so that the
// checks behind the checksums are the ones that are tried.

static inline uint32_t crc_of(uint32_t sum, const uint8_t *at, size_t size) {  // CRC-32C, bit by bit
    sum = ~sum;
    for (; size; --size) {
        sum ^= *at++;
        for (int bit = 0; bit < 8; ++bit) sum = sum >> 1 ^ (sum & 1 ? 0x82f63b78u : 0);
    }
    return ~sum;
}

static inline uint64_t get_number(const uint8_t *at, int bytes) {
    uint64_t value = 0;
    for (int i = 0; i < bytes; ++i) value |= (uint64_t)at[i] << 8 * i;
    return value;
}

static inline void put_number(uint8_t *at, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) at[i] = (uint8_t)(value >> 8 * i);
}

// The file format of the manual: a header of 64 bytes, records of 64, the checksum of a section at 20 in its
// record.
static inline void seal_archive(uint8_t *file, size_t size) {
    if (size < 64) return;
    uint64_t sections = get_number(file + 24, 4);
    if (sections > (size - 64) / 64) sections = (size - 64) / 64;
    for (uint64_t i = 0; i < sections; ++i) {
        uint8_t *record = file + 64 + 64 * i;
        const uint64_t at = get_number(record + 40, 8), bytes = get_number(record + 48, 8);
        if (at <= size && bytes <= size - at) put_number(record + 20, crc_of(0, file + at, (size_t)bytes), 4);
    }
    put_number(file + 28, crc_of(crc_of(0, file, 28), file + 32, (size_t)(64 * sections + 32)), 4);
}

// ---- a small model to begin with ----

// Letters are items; two users where asked.
static inline sessrec_log *small_log(int users) {
    static const char *const visits[6] = {"abcd", "bcda", "cafe", "fade", "beef", "abba"};
    sessrec_log *log = NULL;
    MUST(!sessrec_log_create(NULL, &log, NULL));
    for (int visit = 0; visit < 6; ++visit)
        for (int click = 0; visits[visit][click]; ++click)
            MUST(!sessrec_log_add_numbers(log, users ? visit % 2 : -1, visit, visits[visit][click],
                                          100 * visit + click));
    MUST(!sessrec_log_finish(log, NULL));
    return log;
}

static inline sessrec_config small_config(int users) {
    sessrec_config config = sessrec_config_default();
    config.hidden[0] = 4;
    config.user_hidden = users ? 3 : 0;
    config.user_mode = SESSREC_USER_ALL;
    config.batch_size = 2;
    config.negatives = 3;
    config.epochs = 1;
    config.threads = 1;
    return config;
}

static inline sessrec_model *small_model(int users) {
    const sessrec_config config = small_config(users);
    sessrec_log *log = small_log(users);
    sessrec_model *model = NULL;
    MUST(!sessrec_train(&config, log, NULL, &model, NULL));
    sessrec_log_destroy(log);
    return model;
}

// ---- the target ----

static void sessrec_fuzz(const uint8_t *data, size_t size);
static void sessrec_fuzz_begin(void);
static void sessrec_fuzz_seal(uint8_t *data, size_t size);      // makes a changed input whole again
static size_t sessrec_fuzz_example(uint8_t *data, size_t room);  // an input that is as it should be

#ifdef SESSREC_LIBFUZZER
#  ifdef __cplusplus
extern "C" {
#  endif
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc, (void)argv;
    sessrec_fuzz_begin();
    return 0;
}
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    sessrec_fuzz(data, size);
    return 0;
}
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed) {
    size = LLVMFuzzerMutate(data, size, max_size);
    if (seed % 8) sessrec_fuzz_seal(data, size);  // one in eight stays as it is: the checksums are tried too
    return size;
}
#  ifdef __cplusplus
}
#  endif
#else

// One input as it is, and with a bit of each of some 256 of its bytes changed.
static int64_t run_around(const uint8_t *input, size_t size) {
    static uint8_t changed[1 << 20];
    int64_t runs = 1;
    sessrec_fuzz(input, size);
    for (size_t at = 0; at < size; at += size / 256 + 1, ++runs) {
        memcpy(changed, input, size);
        changed[at] ^= (uint8_t)(1u << at % 8);
        sessrec_fuzz_seal(changed, size);
        sessrec_fuzz(changed, size);
    }
    return runs;
}

// TARGET FILE ...: runs around the example and each file. TARGET -write FILE: writes the example.
int main(int count, char **names) {
    static uint8_t input[1 << 20];
    sessrec_fuzz_begin();
    size_t size = sessrec_fuzz_example(input, sizeof input);
    if (count == 3 && !strcmp(names[1], "-write")) {
        FILE *file = fopen(names[2], "wb");
        MUST(file && fwrite(input, 1, size, file) == size && !fclose(file));
        return 0;
    }
    int64_t runs = run_around(input, size);
    for (int i = 1; i < count; ++i) {
        FILE *file = fopen(names[i], "rb");
        MUST(file);
        size = fread(input, 1, sizeof input, file);
        fclose(file);
        runs += run_around(input, size);
    }
    printf("%lld inputs\n1 passed, 0 failed, 0 skipped\n", (long long)runs);
    return 0;
}
#endif
#endif
