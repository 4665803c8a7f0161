// fuzz.h - what the fuzz targets share. Each target is one file with sessrec_fuzz(); libFuzzer calls it with
// inputs that reach new code (make fuzz), or main() below with its examples and the files of the corpus (make
// test), which needs no special compiler.
#ifndef SESSREC_FUZZ_H
#define SESSREC_FUZZ_H

#define SESSREC_IMPLEMENTATION
#include "../../sessrec.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

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

// The name of a file of this process: in memory, where the system has a file system in it.
static inline void memory_path(char *path, size_t size) {
    snprintf(path, size, "%s/sessrec-fuzz-%ld", access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm",
             (long)getpid());
}

// ---- archives: models, scorers and checkpoints ----
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

// The file format, see >>archive: a header of 64 bytes, records of 64, the checksum of a section at 20 in its
// record, its place and size at 40 and 48.
static inline uint64_t sections_of(const uint8_t *file, size_t size) {
    if (size < 64) return 0;
    const uint64_t sections = get_number(file + 24, 4), most = (size - 64) / 64;
    return sections < most ? sections : most;
}
// A section that lies within the file; NULL for another.
static inline uint8_t *section_of(uint8_t *file, size_t size, uint64_t index, size_t *bytes) {
    const uint8_t *record = file + 64 + 64 * index;
    const uint64_t at = get_number(record + 40, 8), length = get_number(record + 48, 8);
    *bytes = (size_t)length;
    return at <= size && length <= size - at ? file + at : NULL;
}

// A section may be a file itself: the part of a blend.
static inline void seal_archive(uint8_t *file, size_t size) {
    const uint64_t sections = sections_of(file, size);
    if (size < 64) return;
    for (uint64_t i = 0; i < sections; ++i) {
        size_t bytes;
        uint8_t *section = section_of(file, size, i, &bytes);
        if (!section) continue;
        if (section > file && bytes >= 64 && !memcmp(section, "SESSREC", 8)) seal_archive(section, bytes);
        put_number(file + 64 + 64 * i + 20, crc_of(0, section, bytes), 4);
    }
    put_number(file + 28, crc_of(crc_of(0, file, 28), file + 32, (size_t)(64 * sections + 32)), 4);
}

// Puts a number at the end of its type's range, or one that is none, into one element of one section.
static inline void forge_archive(uint8_t *file, size_t size, uint32_t random) {
    static const uint64_t doubles[8] = {0x7ff8000000000000, 0x7ff0000000000000, 0xfff0000000000000,
                                        0x8000000000000000, 0x43e0000000000000, 0x41dfffffffc00000,
                                        0xbff0000000000000, 0x7fefffffffffffff};
    static const uint64_t words[8] = {0, 1, 0xffffffff, 0x7fffffff, 0x80000000, 0x7f800000, 0x7fc00000,
                                      0x7f7fffff};
    const uint64_t sections = sections_of(file, size), index = sections ? random % sections : 0;
    size_t bytes = 0;
    uint8_t *section = sections ? section_of(file, size, index, &bytes) : NULL;
    if (!section) return;
    random = random / 256 * 2654435761u;
    if (bytes >= 64 && !memcmp(section, "SESSREC", 8)) {
        forge_archive(section, bytes, random);
        return;
    }
    const size_t element = (size_t)(file[64 + 64 * index + 16] & 15) == 8 ? 8 : 4;
    if (bytes < element) return;
    uint8_t *at = section + (random >> 8) % (bytes / element) * element;
    if (element == 4) put_number(at, words[random % 8], 4);
    else put_number(at, file[64 + 64 * index + 16] >= 48 ? doubles[random % 8] : words[random % 8] << 32, 8);
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

static inline sessrec_model *small_model_of(const sessrec_config *config) {
    sessrec_log *log = small_log(config->user_hidden > 0);
    sessrec_model *model = NULL;
    MUST(!sessrec_train(config, log, NULL, &model, NULL));
    sessrec_log_destroy(log);
    return model;
}
static inline sessrec_model *small_model(int users) {
    const sessrec_config config = small_config(users);
    return small_model_of(&config);
}

// What a scorer and its files are tried on: neighbors, two kinds of rules, popularity, and blends of them.
enum { SMALL_SCORERS = 6 };
static inline void small_scorers(const sessrec_model *model, sessrec_scorer *scorers) {
    sessrec_log *log = small_log(0);
    sessrec_knn_config knn = sessrec_knn_config_default();
    sessrec_rules_config rules = sessrec_rules_config_default();
    knn.k = 3;
    knn.m = 4;
    rules.kind = SESSREC_RULES_MARKOV;
    rules.order = 3;
    MUST(!sessrec_knn_create(&knn, log, &scorers[0], NULL));
    MUST(!sessrec_rules_create(&rules, log, &scorers[1], NULL));
    rules.kind = SESSREC_RULES_ITEMKNN;
    MUST(!sessrec_rules_create(&rules, log, &scorers[2], NULL));
    MUST(!sessrec_scorer_model(model, NULL, &scorers[3], NULL));
    const sessrec_blend_part parts[3] = {{&scorers[3], 1, 0}, {&scorers[0], 0.5f, 1}, {&scorers[1], -2, 0}};
    MUST(!sessrec_blend_create(parts, 3, 0, NULL, &scorers[4], NULL));
    const sessrec_blend_part nested[2] = {{&scorers[4], 1, 0}, {&scorers[2], 1, 0}};
    MUST(!sessrec_blend_create(nested, 2, 0.5, NULL, &scorers[5], NULL));
    sessrec_log_destroy(log);
}

// ---- the target ----

static void sessrec_fuzz(const uint8_t *data, size_t size);
static void sessrec_fuzz_begin(void);
static void sessrec_fuzz_seal(uint8_t *data, size_t size);      // makes a changed input whole again
static void sessrec_fuzz_forge(uint8_t *data, size_t size, uint32_t random);  // a value that cannot be
// Input `which` of those that are as they should be; 0 after the last.
static size_t sessrec_fuzz_example(int which, uint8_t *data, size_t room);

// TARGET -write FOLDER writes the examples; 0 if something else is asked for.
static inline int write_examples(int count, char **names) {
    static uint8_t example[1 << 20];
    char name[1024];
    size_t size;
    if (count != 3 || strcmp(names[1], "-write")) return 0;
    for (int i = 0; (size = sessrec_fuzz_example(i, example, sizeof example)) > 0; ++i) {
        snprintf(name, sizeof name, "%s/example%d", names[2], i);
        FILE *file = fopen(name, "wb");
        MUST(file && fwrite(example, 1, size, file) == size && !fclose(file));
    }
    return 1;
}

#ifdef SESSREC_LIBFUZZER
#  ifdef __cplusplus
extern "C" {
#  endif
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed);

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    sessrec_fuzz_begin();
    if (write_examples(*argc, *argv)) exit(0);
    return 0;
}
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    sessrec_fuzz(data, size);
    return 0;
}
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned int seed) {
    if (seed % 4 != 1) size = LLVMFuzzerMutate(data, size, max_size);
    else sessrec_fuzz_forge(data, size, seed / 4);
    if (seed % 8) sessrec_fuzz_seal(data, size);  // one in eight stays as it is: the checksums are tried too
    return size;
}
#  ifdef __cplusplus
}
#  endif
#else

// One input as it is, and with a bit of each of at most `changes` of its bytes changed, or a number forged.
static int64_t run_around(const uint8_t *input, size_t size, size_t changes) {
    static uint8_t changed[1 << 20];
    int64_t runs = 1;
    sessrec_fuzz(input, size);
    for (size_t at = 0; at < size; at += size / changes + 1, ++runs) {
        memcpy(changed, input, size);
        if (runs % 4) changed[at] ^= (uint8_t)(1u << at % 8);
        else sessrec_fuzz_forge(changed, size, (uint32_t)at * 2654435761u);
        sessrec_fuzz_seal(changed, size);
        sessrec_fuzz(changed, size);
    }
    return runs;
}

// TARGET FILE ...: runs around the examples and each file.
int main(int count, char **names) {
    static uint8_t input[1 << 20];
    int64_t runs = 0;
    size_t size;
    sessrec_fuzz_begin();
    if (write_examples(count, names)) return 0;
    for (int i = 0; (size = sessrec_fuzz_example(i, input, sizeof input)) > 0; ++i)
        runs += run_around(input, size, 256);
    for (int i = 1; i < count; ++i) {
        FILE *file = fopen(names[i], "rb");
        MUST(file);
        size = fread(input, 1, sizeof input, file);
        fclose(file);
        runs += run_around(input, size, 8);
    }
    printf("%lld inputs\n1 passed, 0 failed, 0 skipped\n", (long long)runs);
    return 0;
}
#endif
#endif
