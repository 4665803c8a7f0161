// Model files: what is written, what is read, what is refused, and what happens when the system fails in
// between.
#ifndef _DEFAULT_SOURCE
#define _DEFAULT_SOURCE  // fork, kill and usleep also under -std=c99
#endif
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The system calls of the library go through these, so that a test can say which one fails.
#if defined(__unix__) || defined(__APPLE__)
#define HAVE_POSIX 1
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OPEN, WRITE, SYNC, CLOSE, RENAME, READ, CALLS };
static struct {
    int countdown[CALLS];   // the call of each kind that fails: 1 is the next one, 0 none
    int error;              // errno it fails with
    size_t most;            // bytes that a write takes, 0: all
    int calls[CALLS];       // made so far
    int leaked;             // files that a program run meanwhile would inherit
} faults;

static int fails(int call) {
    ++faults.calls[call];
    if (!faults.countdown[call] || --faults.countdown[call]) return 0;
    errno = faults.error;
    return 1;
}
static int planned_open(const char *path, int flags, int mode) {
    return fails(OPEN) ? -1 : open(path, flags, mode);
}
static ssize_t planned_write(int file, const void *bytes, size_t size) {
    return fails(WRITE) ? -1 : write(file, bytes, faults.most && size > faults.most ? faults.most : size);
}
static int planned_fsync(int file) {
    faults.leaked += !(fcntl(file, F_GETFD) & FD_CLOEXEC);
    return fails(SYNC) ? -1 : fsync(file);
}
static int planned_close(int file) {
    int failed = close(file);
    return fails(CLOSE) ? -1 : failed;
}
static int planned_rename(const char *from, const char *to) {
    return fails(RENAME) ? -1 : rename(from, to);
}
static ssize_t planned_read(int file, void *bytes, size_t size) {
    return fails(READ) ? -1 : read(file, bytes, size);
}
static int pick_mode(int flags, ...) {
    va_list arguments;
    int mode = 0;
    va_start(arguments, flags);
    if (flags & O_CREAT) mode = va_arg(arguments, int);
    va_end(arguments);
    return mode;
}
#define FLAGS_OF(flags, ...) (flags)
#define open(path, ...) planned_open(path, FLAGS_OF(__VA_ARGS__, 0), pick_mode(__VA_ARGS__, 0))
#define write(file, bytes, size) planned_write(file, bytes, size)
#define fsync(file) planned_fsync(file)
#define close(file) planned_close(file)
#define rename(from, to) planned_rename(from, to)
#define read(file, bytes, size) planned_read(file, bytes, size)
#endif

#define SESSREC_IMPLEMENTATION
#include "../sessrec.h"
#include "test.h"

#ifdef HAVE_POSIX
#undef open
#undef write
#undef fsync
#undef close
#undef rename
#undef read
#endif

// ---- models made by hand ----

typedef struct weights {
    float *data;
    size_t count;
} weights;

static int by_text(const void *a, const void *b) {
    return strcmp(((const char *const *)a)[0], ((const char *const *)b)[0]);
}

// A model with these ids, of which item i has support i + 1. It is freed with sessrec_model_destroy.
static sessrec_model *make_model(const char *const *ids, int32_t items, int32_t layers,
                                 sessrec_embedding embedding, sessrec_gru_form gru) {
    sessrec_allocator memory = sessrec__allocator(NULL);
    sessrec_model plain;
    memset(&plain, 0, sizeof plain);
    plain.memory = memory;
    plain.info.item_count = items;
    plain.info.layer_count = layers;
    for (int32_t l = 0; l < layers; ++l) plain.info.hidden[l] = 2 + l;
    plain.info.embedding = embedding;
    plain.info.embedding_width = embedding == SESSREC_EMBEDDING_TIED       ? 1 + layers
                                 : embedding == SESSREC_EMBEDDING_SEPARATE ? 5
                                                                           : 0;
    plain.info.gru = gru;
    plain.info.activation = SESSREC_ELU;
    plain.info.seed = 0x0102030405060708u;
    plain.info.event_count = (uint64_t)items * ((uint64_t)items + 1) / 2;
    plain.tensors = sessrec__shapes(&plain.info, plain.shape);
    size_t text_size = 0;
    for (int32_t i = 0; i < items; ++i) text_size += strlen(ids[i]) + 1;
    sessrec_model *model = NULL;
    sessrec__layout layout;
    memset(&layout, 0, sizeof layout);
    for (int pass = 0; pass < 2; ++pass) {
        layout.size = 0;
        model = (sessrec_model *)sessrec__place(&layout, 1, sizeof *model);
        if (model) *model = plain;
        sessrec_model *to = model ? model : &plain;
        for (int32_t t = 0; t < plain.tensors; ++t)
            to->tensor[t] = (float *)sessrec__place(
                &layout, (uint64_t)(plain.shape[t].rows * plain.shape[t].columns), sizeof(float));
        to->support = (const uint64_t *)sessrec__place(&layout, (uint64_t)items, 8);
        to->id_offset = (const uint32_t *)sessrec__place(&layout, (uint64_t)items + 1, 4);
        to->id_text = (const char *)sessrec__place(&layout, text_size, 1);
        to->id_order = (const int32_t *)sessrec__place(&layout, (uint64_t)items, 4);
        if (!model) layout.base = (char *)sessrec__alloc(&memory, layout.size, 1);
    }
    const char **sorted = (const char **)malloc((size_t)items * sizeof *sorted);
    char *text = (char *)model->id_text;
    for (int32_t i = 0; i < items; ++i) {
        sorted[i] = strcpy(text, ids[i]);
        text += strlen(ids[i]) + 1;
        ((uint32_t *)model->id_offset)[i + 1] = (uint32_t)(text - model->id_text);
        ((uint64_t *)model->support)[i] = (uint64_t)i + 1;
    }
    qsort((void *)sorted, (size_t)items, sizeof *sorted, by_text);
    for (int32_t i = 0; i < items; ++i)
        for (int32_t item = 0; item < items; ++item)
            if (model->id_text + model->id_offset[item] == sorted[i]) ((int32_t *)model->id_order)[i] = item;
    free((void *)sorted);
    for (int32_t t = 0, k = 0; t < model->tensors; ++t)
        for (int32_t i = 0; i < model->shape[t].rows * model->shape[t].columns; ++i)
            model->tensor[t][i] = (float)(++k % 37 - 18) / 16;
    sessrec__model_wire(model);
    return model;
}

static const char *const kitchen[3] = {"mug", "kettle", "1001"};

static sessrec_model *small_model(void) {
    return make_model(kitchen, 3, 1, SESSREC_EMBEDDING_TIED, SESSREC_RESET_BEFORE);
}

// ---- files on disk ----

static char directory[200];

static const char *in_directory(const char *name) {
    static char path[2][300];
    static int turn;
    turn = !turn;
    snprintf(path[turn], sizeof path[turn], "%s%s", directory, name);
    return path[turn];
}

static int write_file(const char *path, const void *content, size_t size) {
    FILE *file = fopen(path, "wb");
    if (!file) return 0;
    size_t written = fwrite(content, 1, size, file);
    return !fclose(file) && written == size;
}

// ---- bytes in memory ----

static uint32_t get32(const unsigned char *at) { return (uint32_t)sessrec__take(&at, 4); }
static uint64_t get64(const unsigned char *at) { return sessrec__take(&at, 8); }
static void put32(unsigned char *at, uint32_t value) { sessrec__put(&at, value, 4); }
static void put64(unsigned char *at, uint64_t value) { sessrec__put(&at, value, 8); }

typedef struct bytes {
    unsigned char *at;  // 64-byte aligned
    size_t size;
} bytes;

static bytes make_bytes(size_t size) {
    sessrec_allocator memory = sessrec__allocator(NULL);
    bytes made;
    made.at = (unsigned char *)sessrec__alloc(&memory, size + 1, 1);
    made.size = size;
    return made;
}

static void free_bytes(bytes *b) {
    sessrec_allocator memory = sessrec__allocator(NULL);
    sessrec__free(&memory, b->at);
    b->at = NULL;
}

static bytes copy_bytes(const bytes *from, size_t room) {  // room >= from->size
    bytes made = make_bytes(room);
    memcpy(made.at, from->at, from->size);
    made.size = from->size;
    return made;
}

static bytes bytes_of(const sessrec_model *model) {
    bytes made = make_bytes(sessrec_model_export_size(model));
    CHECK_EQ(sessrec_model_export(model, made.at, made.size), SESSREC_OK);
    return made;
}

static bytes small_bytes(void) {
    sessrec_model *model = small_model();
    bytes made = bytes_of(model), roomy = copy_bytes(&made, made.size + 64);
    sessrec_model_destroy(model);
    free_bytes(&made);
    return roomy;
}

static int same_bytes(const bytes *a, const bytes *b) {
    return a->size == b->size && !memcmp(a->at, b->at, a->size);
}

// Where section `name` has its record of the table; NULL if there is none.
static unsigned char *record_of(const bytes *file, const char *name) {
    const uint32_t count = get32(file->at + 24);
    for (uint32_t i = 1; i <= count; ++i)
        if (!strcmp((const char *)file->at + 64 * i, name)) return file->at + 64 * i;
    return NULL;
}

static unsigned char *section_of(const bytes *file, const char *name) {
    unsigned char *record = record_of(file, name);
    return record ? file->at + get64(record + 40) : NULL;
}

// Makes all checksums right again, as someone who forges a file would.
static void forge(bytes *file) {
    uint64_t table = 64 * ((uint64_t)get32(file->at + 24) + 1);
    if (table > file->size) table = 64;
    for (uint64_t record = 64; record < table; record += 64) {
        const uint64_t offset = get64(file->at + record + 40), size = get64(file->at + record + 48);
        if (offset > file->size || size > file->size - offset) continue;
        put32(file->at + record + 20, sessrec__crc32c(0, file->at + offset, (size_t)size));
    }
    put32(file->at + 28,
          sessrec__crc32c(sessrec__crc32c(0, file->at, 28), file->at + 32, (size_t)table - 32));
}

static int big_endian(void) {
    const uint16_t one = 1;
    return !*(const unsigned char *)&one;
}

// Opens a file in memory; on a big-endian machine, where that is not supported, by way of the disk.
static sessrec_result open_bytes(const bytes *file, sessrec_model **out, sessrec_error *err) {
    memset(err, 0, sizeof *err);
    *out = (sessrec_model *)file->at;  // so that a test sees that it is set to NULL
    if (big_endian()) {
        CHECK(write_file(in_directory("opened"), file->at, file->size));
        return sessrec_model_read(in_directory("opened"), NULL, out, err);
    }
    return sessrec_model_import(file->at, file->size, NULL, out, err);
}

static void check_refused_bytes(const bytes *file, sessrec_result code, const char *sentence) {
    sessrec_model *model;
    sessrec_error err;
    CHECK_EQ(open_bytes(file, &model, &err), code);
    CHECK_EQ(err.code, code);
    CHECK_TEXT(err.text, sentence);
    CHECK(model == NULL);
    sessrec_model_destroy(model);
}

static void forge_and_refuse(bytes *file, const char *sentence) {
    forge(file);
    check_refused_bytes(file, SESSREC_BAD_FILE, sentence);
}

// The small model, changed by `change`, with right checksums.
static void check_forged(void (*change)(bytes *file), sessrec_result code, const char *sentence) {
    bytes file = small_bytes();
    change(&file);
    forge(&file);
    check_refused_bytes(&file, code, sentence);
    free_bytes(&file);
}

// ---- an allocator that counts and fails ----

typedef struct counter {
    int calls, live, fail_at;   // fail_at: the call that fails, 0 none
    size_t largest;
} counter;

static void *counted_alloc(void *user, size_t size) {
    counter *c = (counter *)user;
    if (++c->calls == c->fail_at) return NULL;
    if (size > c->largest) c->largest = size;
    if (size > (size_t)1 << 30) return NULL;
    ++c->live;
    return malloc(size);
}
static void counted_free(void *user, void *block) {
    --((counter *)user)->live;
    free(block);
}
static sessrec_allocator counting(counter *c) {
    sessrec_allocator allocator;
    memset(c, 0, sizeof *c);
    allocator.alloc = counted_alloc;
    allocator.free = counted_free;
    allocator.user = c;
    return allocator;
}

// ---- files as bytes ----

static bytes read_file(const char *path) {
    FILE *file = fopen(path, "rb");
    bytes made = make_bytes(0);
    if (!file) return made;
    fseek(file, 0, SEEK_END);
    free_bytes(&made);
    made = make_bytes((size_t)ftell(file));
    rewind(file);
    made.size = fread(made.at, 1, made.size, file);
    fclose(file);
    return made;
}

static void check_load_refused(const char *path, sessrec_result code, const char *sentence) {
    sessrec_error err;
    sessrec_model *model = (sessrec_model *)directory;
    CHECK_EQ(sessrec_model_read(path, NULL, &model, &err), code);
    CHECK_TEXT(err.text, sentence);
    CHECK(model == NULL);
}

// ---- what a file keeps ----

static void check_same_model(const sessrec_model *a, const sessrec_model *b) {
    const sessrec_model_info x = sessrec_model_describe(a), y = sessrec_model_describe(b);
    CHECK_EQ(x.item_count, y.item_count);
    CHECK_EQ(x.layer_count, y.layer_count);
    for (int l = 0; l < SESSREC_MAX_LAYERS; ++l) CHECK_EQ(x.hidden[l], y.hidden[l]);
    CHECK_EQ(x.embedding, y.embedding);
    CHECK_EQ(x.embedding_width, y.embedding_width);
    CHECK_EQ(x.gru, y.gru);
    CHECK_EQ(x.activation, y.activation);
    CHECK(x.seed == y.seed);
    CHECK(x.event_count == y.event_count);
    for (int32_t i = 0; i < x.item_count; ++i) {
        CHECK_TEXT(sessrec_model_item_id(a, i), sessrec_model_item_id(b, i));
        CHECK(sessrec_model_support(a, i) == sessrec_model_support(b, i));
    }
    const char *name;
    for (int32_t t = 0; (name = sessrec_model_tensor_name(a, t)) != NULL; ++t) {
        sessrec_tensor p, q;
        CHECK_TEXT(sessrec_model_tensor_name(b, t), name);
        CHECK_EQ(sessrec_model_tensor(a, name, &p), SESSREC_OK);
        CHECK_EQ(sessrec_model_tensor(b, name, &q), SESSREC_OK);
        CHECK_EQ(p.rows, q.rows);
        CHECK_EQ(p.columns, q.columns);
        CHECK_EQ(memcmp(p.data, q.data, (size_t)p.rows * (size_t)p.columns * sizeof(float)), 0);
    }
    CHECK(sessrec_model_tensor_name(b, a->tensors) == NULL);
}

static void keeping(void) {
    sessrec_error err;
    TEST("models of every kind come back as they were, and give the same bytes again") {
        for (int embedding = 0; embedding < 3; ++embedding)
            for (int gru = 0; gru < 2; ++gru)
                for (int layers = 1; layers <= 4; layers += layers == 1 ? 1 : 2) {
                    sessrec_model *model =
                        make_model(kitchen, 3, layers, (sessrec_embedding)embedding, (sessrec_gru_form)gru);
                    sessrec_model *loaded = NULL;
                    bytes memory = bytes_of(model);
                    CHECK_EQ(sessrec_model_write(model, in_directory("kind.model"), &err), SESSREC_OK);
                    bytes file = read_file(in_directory("kind.model"));
                    CHECK(same_bytes(&memory, &file));
                    CHECK_EQ(sessrec_model_read(in_directory("kind.model"), NULL, &loaded, &err), SESSREC_OK);
                    if (loaded) {
                        check_same_model(model, loaded);
                        bytes again = bytes_of(loaded);
                        CHECK(same_bytes(&memory, &again));
                        free_bytes(&again);
                    }
                    sessrec_model_destroy(loaded);
                    sessrec_model_destroy(model);
                    free_bytes(&memory);
                    free_bytes(&file);
                }
    }
    TEST(
        "a model in memory is used in place: its weights are those bytes, and one small block is allocated") {
        counter c;
        sessrec_allocator allocator = counting(&c);
        bytes file = small_bytes();
        sessrec_model *model = NULL;
        sessrec_tensor tensor;
        const sessrec_result result = sessrec_model_import(file.at, file.size, &allocator, &model, &err);
        CHECK_EQ(result, big_endian() ? SESSREC_UNSUPPORTED : SESSREC_OK);
        if (result) {
            free_bytes(&file);
            continue;
        }
        CHECK_EQ(sessrec_model_tensor(model, "L0.U", &tensor), SESSREC_OK);
        CHECK((unsigned char *)tensor.data == section_of(&file, "L0.U"));
        CHECK_EQ(c.calls, 1);
        CHECK(c.largest < sizeof(sessrec_model) + 128);
        sessrec_model_destroy(model);
        CHECK_EQ(c.live, 0);
        free_bytes(&file);
    }
    TEST("every id is found again, and what is not there is not") {
        char text[300][8];
        const char *ids[300];
        for (int i = 0; i < 300; ++i) {
            snprintf(text[i], sizeof text[i], "%d", (i * 77 + 5) % 300);
            ids[i] = text[i];
        }
        sessrec_model *model = make_model(ids, 300, 1, SESSREC_EMBEDDING_TIED, SESSREC_RESET_BEFORE),
                      *loaded = NULL;
        CHECK_EQ(sessrec_model_write(model, in_directory("ids.model"), &err), SESSREC_OK);
        CHECK_EQ(sessrec_model_read(in_directory("ids.model"), NULL, &loaded, &err), SESSREC_OK);
        for (int32_t i = 0; loaded && i < 300; ++i) {
            CHECK_EQ(sessrec_model_find_item(loaded, ids[i]), i);
            CHECK_TEXT(sessrec_model_item_id(loaded, i), ids[i]);
        }
        CHECK_EQ(sessrec_model_find_item(loaded, "300"), -1);
        CHECK_EQ(sessrec_model_find_item(loaded, ""), -1);
        CHECK_EQ(sessrec_model_find_item(loaded, "00"), -1);
        CHECK_EQ(sessrec_model_find_item(loaded, NULL), -1);
        sessrec_model_destroy(loaded);
        sessrec_model_destroy(model);
    }
    TEST("ids of one byte, of 255 bytes and of bytes above 127 are kept") {
        char longest[SESSREC_MAX_ID + 1];
        memset(longest, 'x', SESSREC_MAX_ID);
        longest[SESSREC_MAX_ID] = 0;
        const char *ids[3] = {"\xc3\xa9", longest, "x"};
        sessrec_model *model = make_model(ids, 3, 1, SESSREC_EMBEDDING_NONE, SESSREC_RESET_AFTER),
                      *opened = NULL;
        bytes file = bytes_of(model);
        CHECK_EQ(open_bytes(&file, &opened, &err), SESSREC_OK);
        for (int32_t i = 0; i < 3; ++i) {
            CHECK_TEXT(sessrec_model_item_id(opened, i), ids[i]);
            CHECK_EQ(sessrec_model_find_item(opened, ids[i]), i);
        }
        sessrec_model_destroy(opened);
        sessrec_model_destroy(model);
        free_bytes(&file);
    }
    TEST("the fingerprint is the same for a model, its file and its bytes, and another one for other "
         "content") {
        sessrec_model *model = small_model(), *loaded = NULL, *opened = NULL;
        bytes file = bytes_of(model);
        const uint64_t print = sessrec__model_fingerprint(model);
        CHECK_EQ(sessrec_model_write(model, in_directory("print.model"), &err), SESSREC_OK);
        CHECK_EQ(sessrec_model_read(in_directory("print.model"), NULL, &loaded, &err), SESSREC_OK);
        CHECK_EQ(open_bytes(&file, &opened, &err), SESSREC_OK);
        CHECK(print != 0);
        CHECK(loaded && loaded->fingerprint == print);
        CHECK(opened && opened->fingerprint == print);
        CHECK(opened && sessrec__model_fingerprint(opened) == print);
        model->Wy[0] += 1;
        CHECK(sessrec__model_fingerprint(model) != print);
        model->Wy[0] -= 1;
        CHECK(sessrec__model_fingerprint(model) == print);
        model->info.seed += 1;
        CHECK(sessrec__model_fingerprint(model) != print);
        sessrec_model_destroy(opened);
        sessrec_model_destroy(loaded);
        sessrec_model_destroy(model);
        free_bytes(&file);
    }
    TEST("widths of layers that are not there leave no trace in a file") {
        sessrec_model *model = small_model();
        bytes clean = bytes_of(model);
        model->info.hidden[1] = model->info.hidden[3] = 100;
        bytes file = bytes_of(model);
        CHECK(same_bytes(&clean, &file));
        free_bytes(&clean);
        free_bytes(&file);
        sessrec_model_destroy(model);
    }
    TEST("to_memory wants room for all of it") {
        sessrec_model *model = small_model();
        bytes room = make_bytes(sessrec_model_export_size(model));
        CHECK_EQ(sessrec_model_export(model, room.at, room.size - 1), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_model_export(model, NULL, room.size), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_model_export(NULL, room.at, room.size), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_model_export_size(NULL), 0);
        CHECK_EQ(sessrec_model_export(model, room.at, room.size), SESSREC_OK);
        free_bytes(&room);
        sessrec_model_destroy(model);
    }
}

// ---- the format, read by its specification ----

// CRC-32C bit by bit.
static uint32_t slow_crc(uint32_t sum, const unsigned char *at, size_t size) {
    sum = ~sum;
    while (size--) {
        sum ^= *at++;
        for (int bit = 0; bit < 8; ++bit) sum = sum & 1 ? sum >> 1 ^ 0x82f63b78u : sum >> 1;
    }
    return ~sum;
}

static int are_finite(const float *values, uint64_t count) {
    return sessrec__all_below(values, count, 0x80000000u, 0x7f800000u);
}

static void format(void) {
    TEST("the checksum is CRC-32C, for any length and in pieces") {
        // eight bytes at a time where the processor has an instruction for them
        enum { MOST = 700 };
        unsigned char data[MOST];
        for (int i = 0; i < MOST; ++i) data[i] = (unsigned char)(i * 37 + i / 7 * 11);
        CHECK_EQ(sessrec__crc32c(0, "123456789", 9), 0xe3069283u);
        int64_t wrong = 0;
        for (size_t size = 0; size <= MOST; ++size) {
            wrong += sessrec__crc32c(0, data, size) != slow_crc(0, data, size);
            wrong += ~sessrec__crc_plain(~0u, data, size) != slow_crc(0, data, size);
            wrong += sessrec__crc32c(sessrec__crc32c(0, data, size), data + size, MOST - size) !=
                     slow_crc(0, data, MOST);
        }
        CHECK_EQ(wrong, 0);
    }
    TEST("a float that is not finite is found at any place among any number, and no other is") {
        static const uint32_t bad[4] = {0x7f800000u, 0xff800000u, 0x7fc00000u, 0xff800001u};
        float values[75];
        int64_t wrong = 0;
        for (int i = 0; i < 75; ++i)
            values[i] = i % 3 == 0 ? 3.4028235e38f : i % 3 == 1 ? -3.4028235e38f : -0.0f;
        for (uint64_t count = 0; count <= 75; ++count) {
            wrong += !are_finite(values, count);
            for (uint64_t at = 0; at < 75; ++at)
                for (int b = 0; b < 4; ++b) {
                    const float good = values[at];
                    memcpy(&values[at], &bad[b], sizeof *bad);
                    wrong += are_finite(values, count) != (at >= count);
                    memcpy(&values[at], &good, sizeof good);
                }
        }
        CHECK_EQ(wrong, 0);
    }
    TEST("so is a number beyond any other range, by one or by a sign") {
        static const uint32_t limits[4] = {1, 0x3f800001u, 0x7f800000u, 0x80000000u};
        int wrong = 0;
        for (int l = 0; l < 4; ++l)
            for (int at = 0; at < 9; ++at) {
                const uint32_t last = limits[l] - 1, high = 0x80000000u;
                uint32_t numbers[9] = {0};
                numbers[at] = last;
                wrong += !sessrec__all_below(numbers, 9, 0, limits[l]);
                wrong += !sessrec__all_below(numbers, 9, high, limits[l]);
                numbers[at] = last | high;
                wrong += sessrec__all_below(numbers, 9, 0, limits[l]);
                wrong += !sessrec__all_below(numbers, 9, high, limits[l]);
                if (l == 3) continue;
                numbers[at] = limits[l];
                wrong += sessrec__all_below(numbers, 9, 0, limits[l]);
                numbers[at] = limits[l] | high;
                wrong += sessrec__all_below(numbers, 9, high, limits[l]);
            }
        CHECK_EQ(wrong, 0);
    }
    TEST("header, table and sections stand where the specification says") {
        static const char *const names[10] = {"info", "Wy",      "By",        "L0.W",    "L0.U",
                                              "L0.b", "support", "id_offset", "id_text", "id_order"};
        static const int shapes[10][3] = {{0x01, 1, 72}, {0x34, 3, 2}, {0x34, 3, 1}, {0x34, 2, 6},
                                          {0x34, 2, 6},  {0x34, 1, 6}, {0x28, 3, 1}, {0x24, 4, 1},
                                          {0x01, 16, 1}, {0x14, 3, 1}};
        bytes file = small_bytes();
        CHECK_EQ(memcmp(file.at, "SESSREC\0", 8), 0);
        CHECK_EQ(get32(file.at + 8), 1);
        CHECK_EQ(get32(file.at + 12), 0);
        CHECK_EQ(get32(file.at + 16), 0);
        CHECK_EQ(get32(file.at + 20), 1);
        CHECK_EQ(get32(file.at + 24), 10);
        CHECK_EQ(get32(file.at + 28), slow_crc(slow_crc(0, file.at, 28), file.at + 32, 64 * 11 - 32));
        CHECK_EQ(get64(file.at + 32), file.size);
        for (int i = 40; i < 64; ++i) CHECK_EQ(file.at[i], 0);
        uint64_t end = 64 * 11;
        for (int i = 0; i < 10; ++i) {
            const unsigned char *record = file.at + 64 * (i + 1);
            const uint64_t offset = (end + 63) / 64 * 64,
                           size = (uint64_t)((shapes[i][0] & 15) * shapes[i][1] * shapes[i][2]);
            CHECK_TEXT((const char *)record, names[i]);
            CHECK_EQ(get32(record + 16), shapes[i][0]);
            CHECK_EQ(get32(record + 20), slow_crc(0, file.at + offset, (size_t)size));
            CHECK_EQ(get64(record + 24), shapes[i][1]);
            CHECK_EQ(get64(record + 32), shapes[i][2]);
            CHECK_EQ(get64(record + 40), offset);
            CHECK_EQ(get64(record + 48), size);
            CHECK_EQ(get64(record + 56), 0);
            while (end < offset) CHECK_EQ(file.at[end++], 0);
            end = offset + size;
        }
        CHECK_EQ(end, file.size);
        CHECK_EQ(memcmp(section_of(&file, "id_text"), "mug\0kettle\0" "1001", 16), 0);
        CHECK_EQ(get32(section_of(&file, "id_order")), 2);
        CHECK_EQ(get32(section_of(&file, "id_order") + 4), 1);
        CHECK_EQ(get32(section_of(&file, "Wy")), 0xbf880000u);  // -17/16
        const unsigned char *info = section_of(&file, "info");
        static const int words[12] = {
            3, 1, 2, 0, 0, 0, SESSREC_EMBEDDING_TIED, 2, SESSREC_RESET_BEFORE, SESSREC_ELU, 0, 0};
        for (int i = 0; i < 12; ++i) CHECK_EQ(get32(info + 4 * i), words[i]);
        CHECK_EQ(get64(info + 48), 0x0102030405060708u);
        CHECK_EQ(get64(info + 56), 6);
        CHECK_EQ(get64(info + 64), 16);
        free_bytes(&file);
    }
    TEST("bytes and fingerprint of this model are the same in every build") {
        bytes file = small_bytes();
        sessrec_model *model = small_model();
        CHECK(sessrec__model_fingerprint(model) == 0x9954de613aeada0fu);
        sessrec_model_destroy(model);
        CHECK_EQ(file.size, 1356);
        CHECK_EQ(sessrec__crc32c(0, file.at, file.size), 1647579807u);
        free_bytes(&file);
    }
}

// ---- what is refused ----

static void later_major(bytes *f) { f->at[8] = 2; }
static void later_feature(bytes *f) { f->at[16] = 1; }
static void other_kind(bytes *f) { f->at[20] = 2; }
static void no_sections(bytes *f) { f->at[24] = 0; }
static void many_sections(bytes *f) { f->at[24] = 209; }
static void longer_than_said(bytes *f) { ++f->size; }
static void reserved_in_header(bytes *f) { f->at[63] = 1; }
static void reserved_in_record(bytes *f) { record_of(f, "Wy")[63] = 1; }
static void name_without_end(bytes *f) { memset(record_of(f, "Wy"), 'W', 16); }
static void name_with_tail(bytes *f) { record_of(f, "Wy")[15] = 'W'; }
static void name_of_blank(bytes *f) { record_of(f, "Wy")[0] = ' '; }
static void name_of_delete(bytes *f) { record_of(f, "Wy")[0] = 127; }
static void name_of_control(bytes *f) { record_of(f, "Wy")[0] = 27; }
static void no_name(bytes *f) { memset(record_of(f, "Wy"), 0, 16); }
static void other_name(bytes *f) { record_of(f, "By")[0] = 'C'; }
static void unknown_type(bytes *f) { record_of(f, "Wy")[16] = 0x44; }
static void other_type(bytes *f) { record_of(f, "Wy")[16] = SESSREC__INT32; }
static void other_shape(bytes *f) { record_of(f, "L0.W")[24] = 6, record_of(f, "L0.W")[32] = 2; }
static void overflowing_rows(bytes *f) { record_of(f, "Wy")[31] = 0x80; }
static void more_rows(bytes *f) { record_of(f, "Wy")[30] = 1; }
static void other_offset(bytes *f) { record_of(f, "By")[40] ^= 64; }
static void other_size(bytes *f) { record_of(f, "By")[48] ^= 4; }
static void padding(bytes *f) { section_of(f, "By")[-1] = 1; }
static void fewer_sections(bytes *f) {
    const uint64_t table = get64(record_of(f, "info") + 40) - 64, cut = get64(record_of(f, "id_order") + 40);
    for (uint64_t i = 64; i < table; i += 64) put64(f->at + i + 40, get64(f->at + i + 40) - 64);
    memmove(f->at + table, f->at + table + 64, (size_t)(cut - table - 64));
    f->size = (size_t)cut - 64 - 48;  // id_text has 16 bytes
    f->at[24] = 9;
    put64(f->at + 32, f->size);
}
static void bytes_at_the_end(bytes *f) {
    f->size += 64;  // of which small_bytes has room
    put64(f->at + 32, f->size);
}
static void first_name(bytes *f) { record_of(f, "info")[0] = 'I'; }
static void first_size(bytes *f) {
    record_of(f, "info")[32] = record_of(f, "info")[48] = 66;
    memset(section_of(f, "info") + 66, 0, 6);
}
static void more_columns(bytes *f) { record_of(f, "By")[32] = 2, record_of(f, "By")[48] = 24; }
static void no_items(bytes *f) { put32(section_of(f, "info"), 0); }
static void negative_items(bytes *f) { put32(section_of(f, "info"), 0xffffffffu); }
static void most_items(bytes *f) { put32(section_of(f, "info"), 0x7ffffffeu); }
static void no_layers(bytes *f) { section_of(f, "info")[4] = 0; }
static void five_layers(bytes *f) { section_of(f, "info")[4] = 5; }
static void none_with_width(bytes *f) { section_of(f, "info")[24] = SESSREC_EMBEDDING_NONE; }
static void no_width(bytes *f) {
    section_of(f, "info")[8] = 0, none_with_width(f), section_of(f, "info")[28] = 0;
}
static void wide(bytes *f) { put32(section_of(f, "info") + 8, 8193); }
static void second_width(bytes *f) { section_of(f, "info")[12] = 2; }
static void fourth_embedding(bytes *f) { section_of(f, "info")[24] = 3; }
static void tied_width(bytes *f) { section_of(f, "info")[28] = 3; }
static void separate_without_width(bytes *f) {
    section_of(f, "info")[24] = SESSREC_EMBEDDING_SEPARATE, section_of(f, "info")[28] = 0;
}
static void third_gru(bytes *f) { section_of(f, "info")[32] = 2; }
static void seventh_activation(bytes *f) { section_of(f, "info")[36] = 6; }
static void text_above_4_gib(bytes *f) { section_of(f, "info")[68] = 1; }
static void other_gru(bytes *f) { section_of(f, "info")[32] = 1; }
static void not_a_number(bytes *f) { put32(section_of(f, "L0.b") + 20, 0xffc00000u); }
static void infinite(bytes *f) { put32(section_of(f, "Wy"), 0xff800000u); }
static void first_offset(bytes *f) { section_of(f, "id_offset")[0] = 1; }
static void last_offset(bytes *f) { section_of(f, "id_offset")[12] = 15; }
static void falling_offset(bytes *f) { put32(section_of(f, "id_offset") + 4, 0x7fffffffu); }
static void empty_id(bytes *f) { section_of(f, "id_offset")[8] = 5; }
static void nul_in_id(bytes *f) { section_of(f, "id_text")[6] = 0; }
static void id_without_end(bytes *f) { section_of(f, "id_text")[15] = '1'; }
static void order_too_high(bytes *f) { section_of(f, "id_order")[0] = 3; }
static void order_negative(bytes *f) { memset(section_of(f, "id_order"), 255, 4); }
static void order_twice(bytes *f) { section_of(f, "id_order")[4] = 2; }
static void order_wrong(bytes *f) { section_of(f, "id_order")[0] = 1, section_of(f, "id_order")[4] = 2; }
static void other_support(bytes *f) { section_of(f, "support")[0] = 2; }
static void support_wraps(bytes *f) {
    memset(section_of(f, "support"), 255, 8), section_of(f, "support")[8] = 4;
}

static void refusing(void) {
    sessrec_model *model;
    sessrec_error err;
    TEST("what is no file of ours is refused: nothing, text, too little") {
        CHECK(write_file(in_directory("x"), "", 0));
        check_load_refused(in_directory("x"), SESSREC_BAD_FILE, "this is not a sessrec file");
        CHECK(write_file(in_directory("x"), "SessionId,ItemId,Time\n1,2,3\n", 28));
        check_load_refused(in_directory("x"), SESSREC_BAD_FILE, "this is not a sessrec file");
        bytes file = small_bytes();
        CHECK(write_file(in_directory("x"), file.at, 63));
        check_load_refused(in_directory("x"), SESSREC_BAD_FILE, "this is not a sessrec file");
        free_bytes(&file);
    }
    TEST("a file that is not there is NO_FILE, a directory an IO_ERROR, both with the reason") {
        check_load_refused(in_directory("not there"), SESSREC_NO_FILE,
                           "cannot open the file: No such file or directory");
#ifdef HAVE_POSIX
        check_load_refused(directory, SESSREC_IO_ERROR, "cannot read the file: Is a directory");
#endif
    }
    TEST("every truncation is refused, in memory and on disk") {
        bytes file = small_bytes();
        const size_t size = file.size;
        for (file.size = 0; file.size < size; ++file.size) {
            CHECK_EQ(open_bytes(&file, &model, &err), SESSREC_BAD_FILE);
            CHECK(model == NULL);
            CHECK(write_file(in_directory("x"), file.at, file.size));
            CHECK_EQ(sessrec_model_read(in_directory("x"), NULL, &model, &err), SESSREC_BAD_FILE);
            CHECK(model == NULL);
        }
        free_bytes(&file);
    }
    TEST("a byte too many is refused, in memory and on disk") {
        bytes file = small_bytes();
        CHECK(write_file(in_directory("x"), file.at, file.size + 1));
        check_load_refused(in_directory("x"), SESSREC_BAD_FILE,
                           "the file is damaged: its length is not the one that its header says");
        ++file.size;
        check_refused_bytes(&file, SESSREC_BAD_FILE,
                            "the file is damaged: its length is not the one that its header says");
        free_bytes(&file);
    }
    TEST("every flipped bit is refused with a sentence") {
        bytes file = small_bytes();
        for (size_t bit = 0; bit < file.size * 8; ++bit) {
            file.at[bit / 8] ^= (unsigned char)(1 << bit % 8);
            const sessrec_result result = open_bytes(&file, &model, &err);
            // the major version
            CHECK(result == SESSREC_BAD_FILE ||
                  (result == SESSREC_UNSUPPORTED && bit / 8 >= 8 && bit / 8 < 12));
            CHECK(err.code == result && strlen(err.text) > 20);
            CHECK(model == NULL);
            file.at[bit / 8] ^= (unsigned char)(1 << bit % 8);
        }
        CHECK_EQ(open_bytes(&file, &model, &err), SESSREC_OK);
        sessrec_model_destroy(model);
        free_bytes(&file);
    }
    TEST("every changed byte with right checksums gives a usable model or is refused, and takes no more "
         "memory than a good file") {
        static const unsigned char change[] = {1, 2, 4, 8, 16, 32, 64, 128, 255};
        bytes good = small_bytes(), file = copy_bytes(&good, good.size);
        int opened = 0, refused = 0;
        counter c;
        sessrec_allocator allocator = counting(&c);
        for (size_t at = 0; at < file.size; ++at)
            for (size_t k = 0; k < sizeof change; ++k) {
                memcpy(file.at, good.at, good.size);
                file.at[at] ^= change[k];
                forge(&file);
                model = NULL;
                if (sessrec_model_import(file.at, file.size, &allocator, &model, &err)) {
                    ++refused;
                    CHECK(model == NULL);
                    CHECK(strlen(err.text) > 20);
                    continue;
                }
                ++opened;
                for (int32_t i = 0; i < model->info.item_count; ++i)
                    CHECK_EQ(sessrec_model_find_item(model, sessrec_model_item_id(model, i)), i);
                sessrec_model_destroy(model);
            }
        CHECK(opened > 1000);
        CHECK(refused > 1000);
        CHECK_EQ(c.live, 0);
        CHECK(c.largest < sizeof(sessrec_model) + 128);
        free_bytes(&good);
        free_bytes(&file);
    }
    TEST("a later major version and an unknown feature are UNSUPPORTED") {
        check_forged(later_major, SESSREC_UNSUPPORTED,
                     "the file has format version 2, this build reads version 1");
        check_forged(later_feature, SESSREC_UNSUPPORTED,
                     "the file uses a feature that this build does not know");
    }
    TEST("a forged header is refused") {
        check_forged(other_kind, SESSREC_BAD_FILE, "the file is not a model");
        check_forged(no_sections, SESSREC_BAD_FILE,
                     "the file is damaged: the number of its sections is impossible");
        check_forged(many_sections, SESSREC_BAD_FILE,
                     "the file is damaged: the number of its sections is impossible");
        check_forged(longer_than_said, SESSREC_BAD_FILE,
                     "the file is damaged: its length is not the one that its header says");
        check_forged(reserved_in_header, SESSREC_BAD_FILE,
                     "the file is damaged: a reserved byte of its header is not zero");
    }
    TEST("more sections than a file can have are refused also where there is room for their table") {
        bytes small = small_bytes(), file = copy_bytes(&small, 64 * 200);
        file.size = 64 * 200;
        file.at[24] = 209;
        put64(file.at + 32, file.size);
        forge(&file);
        check_refused_bytes(&file, SESSREC_BAD_FILE,
                            "the file is damaged: the number of its sections is impossible");
        free_bytes(&small);
        free_bytes(&file);
    }
    TEST("a forged table is refused") {
        check_forged(reserved_in_record, SESSREC_BAD_FILE,
                     "the file is damaged: Wy has a reserved byte that is not zero");
        check_forged(name_without_end, SESSREC_BAD_FILE, "the file is damaged: a section has no proper name");
        check_forged(name_with_tail, SESSREC_BAD_FILE, "the file is damaged: a section has no proper name");
        check_forged(name_of_control, SESSREC_BAD_FILE, "the file is damaged: a section has no proper name");
        check_forged(name_of_blank, SESSREC_BAD_FILE, "the file is damaged: a section has no proper name");
        check_forged(name_of_delete, SESSREC_BAD_FILE, "the file is damaged: a section has no proper name");
        check_forged(no_name, SESSREC_BAD_FILE, "the file is damaged: a section has no proper name");
        check_forged(other_name, SESSREC_BAD_FILE, "the file has no By at its place");
        check_forged(unknown_type, SESSREC_BAD_FILE,
                     "the file is damaged: Wy has elements of an unknown type");
        check_forged(other_type, SESSREC_BAD_FILE, "Wy has elements of another type than it should have");
        check_forged(other_shape, SESSREC_BAD_FILE, "L0.W is [6,2] in the file and should be [2,6]");
        check_forged(overflowing_rows, SESSREC_BAD_FILE, "the file is damaged: Wy is larger than the file");
        check_forged(more_rows, SESSREC_BAD_FILE, "the file is damaged: Wy is larger than the file");
        check_forged(other_offset, SESSREC_BAD_FILE,
                     "the file is damaged: By is not where its shape puts it");
        check_forged(other_size, SESSREC_BAD_FILE, "the file is damaged: By is not where its shape puts it");
        check_forged(more_columns, SESSREC_BAD_FILE, "By is [3,2] in the file and should be [3,1]");
        check_forged(bytes_at_the_end, SESSREC_BAD_FILE,
                     "the file is damaged: its last section does not end where the file ends");
        check_forged(padding, SESSREC_BAD_FILE,
                     "the file is damaged: By has a byte in front of it that is not zero");
        check_forged(fewer_sections, SESSREC_BAD_FILE, "the file has no id_order at its place");
    }
    TEST("a network that cannot be is refused") {
        static void (*const changes[])(bytes *) = {no_items,
                                                   negative_items,
                                                   no_layers,
                                                   five_layers,
                                                   no_width,
                                                   wide,
                                                   second_width,
                                                   tied_width,
                                                   third_gru,
                                                   none_with_width,
                                                   separate_without_width,
                                                   first_name,
                                                   fourth_embedding,
                                                   text_above_4_gib,
                                                   first_size,
                                                   seventh_activation};
        for (size_t i = 0; i < sizeof changes / sizeof *changes; ++i)
            check_forged(changes[i], SESSREC_BAD_FILE,
                         "the file is damaged: its first section does not describe a model");
        check_forged(most_items, SESSREC_BAD_FILE, "Wy is [3,2] in the file and should be [2147483646,2]");
        check_forged(other_gru, SESSREC_BAD_FILE, "the file has no L0.c at its place");
    }
    TEST("weights that are no numbers are refused by name") {
        check_forged(not_a_number, SESSREC_BAD_FILE, "L0.b has a value that is NaN or infinite");
        check_forged(infinite, SESSREC_BAD_FILE, "Wy has a value that is NaN or infinite");
    }
    TEST("ids that are no texts, are there twice or are not sorted are refused") {
        static const char unsorted[] =
            "the file is damaged: id_order does not sort the items by their ids, or two have the same id";
        static void (*const no_texts[])(bytes *) = {first_offset, last_offset, falling_offset,
                                                    empty_id,     nul_in_id,   id_without_end};
        static void (*const no_orders[])(bytes *) = {order_too_high, order_negative, order_twice,
                                                     order_wrong};
        for (size_t i = 0; i < sizeof no_texts / sizeof *no_texts; ++i)
            check_forged(no_texts[i], SESSREC_BAD_FILE,
                         "the file is damaged: an item id is not a text of 1 to 255 bytes");
        for (size_t i = 0; i < sizeof no_orders / sizeof *no_orders; ++i)
            check_forged(no_orders[i], SESSREC_BAD_FILE, unsorted);
    }
    TEST("two items with the same id are refused in any order") {
        static const char unsorted[] =
            "the file is damaged: id_order does not sort the items by their ids, or two have the same id";
        static const char *const twins[3] = {"a", "twin", "twix"};
        sessrec_model *other = make_model(twins, 3, 1, SESSREC_EMBEDDING_TIED, SESSREC_RESET_BEFORE);
        bytes file = bytes_of(other);
        section_of(&file, "id_text")[10] = 'n';
        forge(&file);
        check_refused_bytes(&file, SESSREC_BAD_FILE, unsorted);
        section_of(&file, "id_order")[4] = 2;
        section_of(&file, "id_order")[8] = 1;
        forge(&file);
        check_refused_bytes(&file, SESSREC_BAD_FILE, unsorted);
        free_bytes(&file);
        sessrec_model_destroy(other);
    }
    TEST("an id of 256 bytes is refused") {
        char text[SESSREC_MAX_ID + 2];
        memset(text, 'y', sizeof text);
        text[SESSREC_MAX_ID + 1] = 0;
        const char *id = text;
        sessrec_model *other = make_model(&id, 1, 1, SESSREC_EMBEDDING_TIED, SESSREC_RESET_BEFORE);
        bytes file = bytes_of(other);
        check_refused_bytes(&file, SESSREC_BAD_FILE,
                            "the file is damaged: an item id is not a text of 1 to 255 bytes");
        free_bytes(&file);
        sessrec_model_destroy(other);
    }
    TEST("among many ids a fault is found in each: a NUL too many or too few, a size, an entry of the order, "
         "two that are the wrong way round") {
        enum { MANY = 200 };
        static const char no_text[] = "the file is damaged: an item id is not a text of 1 to 255 bytes";
        static const char unsorted[] =
            "the file is damaged: id_order does not sort the items by their ids, or two have the same id";
        static char text[MANY][24];
        const char *ids[MANY];
        for (int i = 0; i < MANY; ++i)
            snprintf(text[i], sizeof text[i], "%.*s%d", i % 12, "same beginning", 10 + i * 37 % MANY),
                ids[i] = text[i];
        sessrec_model *other = make_model(ids, MANY, 1, SESSREC_EMBEDDING_TIED, SESSREC_RESET_BEFORE);
        bytes file = bytes_of(other);
        for (int i = 0; i < MANY; ++i) {
            const uint32_t end = get32(section_of(&file, "id_offset") + 4 * (i + 1));
            unsigned char *last = section_of(&file, "id_text") + end - 2,
                          *order = section_of(&file, "id_order") + 4 * i;
            const uint32_t item = get32(order), next = i + 1 < MANY ? get32(order + 4) : 0;
            const unsigned char letter = *last;
            *last = 0;
            forge_and_refuse(&file, no_text);
            *last = letter, last[1] = 'x';
            forge_and_refuse(&file, no_text);
            last[1] = 0;
            put32(section_of(&file, "id_offset") + 4 * (i + 1), end + 256);
            forge_and_refuse(&file, no_text);
            put32(section_of(&file, "id_offset") + 4 * (i + 1), end);
            put32(order, MANY);
            forge_and_refuse(&file, unsorted);
            put32(order, item);
            if (i + 1 == MANY) continue;
            put32(order, next), put32(order + 4, item);
            forge_and_refuse(&file, unsorted);
            put32(order, item), put32(order + 4, next);
        }
        forge(&file);
        CHECK_EQ(open_bytes(&file, &model, &err), SESSREC_OK);  // as at first
        sessrec_model_destroy(model);
        free_bytes(&file);
        sessrec_model_destroy(other);
    }
    TEST("support must sum to the number of events, also when the sum would wrap round") {
        check_forged(other_support, SESSREC_BAD_FILE,
                     "the file is damaged: support does not sum to the number of events");
        check_forged(support_wraps, SESSREC_BAD_FILE,
                     "the file is damaged: support does not sum to the number of events");
    }
    TEST("bytes that are not aligned, and missing arguments, are INVALID_ARGUMENT") {
        bytes good = small_bytes(), file = make_bytes(good.size + 64);
        for (size_t shift = 1; shift < 64; shift += 7) {
            memcpy(file.at + shift, good.at, good.size);
            model = (sessrec_model *)file.at;
            CHECK_EQ(sessrec_model_import(file.at + shift, good.size, NULL, &model, &err),
                     SESSREC_INVALID_ARGUMENT);
            CHECK(model == NULL);
        }
        CHECK_EQ(sessrec_model_import(NULL, 0, NULL, &model, NULL), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_model_import(good.at, good.size, NULL, NULL, NULL), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_model_read(NULL, NULL, &model, NULL), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_model_read("x", NULL, NULL, NULL), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_model_write(NULL, "x", NULL), SESSREC_INVALID_ARGUMENT);
        free_bytes(&good);
        free_bytes(&file);
    }
}

// The sections of a model and one more.
static int sections_and_more(const void *what, int32_t index, sessrec__section *out) {
    const sessrec_model *model = ((const sessrec__model_view *)what)->model;
    if (sessrec__model_sections(what, index, out)) return 1;
    return index == model->tensors + 5 &&
           sessrec__section_is(out, "color", SESSREC__INT32, 3, 1, model->id_order);
}

// A file with one more section at its end, of minor version `minor`.
static bytes with_more(uint32_t minor) {
    sessrec_model *model = small_model();
    const sessrec__model_view view = sessrec__whole_model(model);
    sessrec__memory_sink memory;
    uint64_t size;
    CHECK_EQ(sessrec__archive_size(sections_and_more, &view, &size), 11);
    bytes file = make_bytes((size_t)size);
    memory.sink.put = sessrec__memory_put;
    memory.at = file.at;
    memory.room = file.size;
    CHECK(sessrec__archive_write(&memory.sink, SESSREC__FILE_MODEL, sections_and_more, &view));
    CHECK_EQ(memory.room, 0);
    put32(file.at + 12, minor);
    forge(&file);
    sessrec_model_destroy(model);
    return file;
}

// A checkpoint of a few steps, one number of it changed: of 64 bits if high is not 0, else of 32.
static void check_forged_checkpoint(sessrec_optimizer_kind kind, const char *section, int at, uint32_t low,
                                    uint32_t high, sessrec_result code) {
    static const char *const items[4] = {"a", "b", "c", "d"};
    sessrec_log *log = NULL;
    sessrec_trainer *trainer = NULL;
    sessrec_batcher *batcher = NULL;
    sessrec_batch batch;
    sessrec_error err;
    sessrec_config config = sessrec_config_default();
    config.hidden[0] = 4;
    config.batch_size = 2;
    config.negatives = 0;
    config.optimizer.kind = kind;
    CHECK_EQ(sessrec_log_create(NULL, &log, &err), SESSREC_OK);
    for (int i = 0; i < 24; ++i) {
        char session[8];
        snprintf(session, sizeof session, "%d", i / 3);
        CHECK_EQ(sessrec_log_add(log, NULL, session, items[i * 5 % 4], i), SESSREC_OK);
    }
    CHECK_EQ(sessrec_log_finish(log, &err), SESSREC_OK);
    CHECK_EQ(sessrec_trainer_create(&config, log, &trainer, &err), SESSREC_OK);
    CHECK_EQ(sessrec_batcher_create(&config, log, NULL, &batcher, &err), SESSREC_OK);
    for (int step = 0; step < 3; ++step) {
        CHECK_EQ(sessrec_batcher_next(batcher, &batch), SESSREC_OK);
        CHECK_EQ(sessrec_trainer_step(trainer, &batch, NULL, &err), SESSREC_OK);
    }
    CHECK_EQ(sessrec_trainer_write(trainer, in_directory("forged"), &err), SESSREC_OK);
    bytes file = read_file(in_directory("forged"));
    unsigned char *found = section_of(&file, section);
    CHECK(found != NULL);
    if (found) {
        if (high) put32(found + 8 * at, low), put32(found + 8 * at + 4, high);
        else put32(found + 4 * at, low);
        forge(&file);
        CHECK(write_file(in_directory("forged"), file.at, file.size));
        CHECK_EQ(sessrec_trainer_read(trainer, in_directory("forged"), &err), code);
        if (code == SESSREC_BAD_FILE && strcmp(section, "position"))
            CHECK(strstr(err.text, section) == err.text);
    }
    free_bytes(&file);
    sessrec_batcher_destroy(batcher);
    sessrec_trainer_destroy(trainer);
    sessrec_log_destroy(log);
}

static void ranges(void) {
    TEST("a checkpoint with a number that no training leaves is refused by the name of its section") {
        check_forged_checkpoint(SESSREC_ADAGRAD, "acc.Wy", 1, 0x3f000000u, 0, SESSREC_OK);        // 0.5
        check_forged_checkpoint(SESSREC_ADAGRAD, "acc.Wy", 1, 0xbf000000u, 0, SESSREC_BAD_FILE);  // -0.5
        check_forged_checkpoint(SESSREC_ADAGRAD, "acc.Wy", 1, 0x7fc00000u, 0, SESSREC_BAD_FILE);
        check_forged_checkpoint(SESSREC_ADAGRAD, "vel.By", 0, 0xbf000000u, 0, SESSREC_OK);
        check_forged_checkpoint(SESSREC_ADAGRAD, "vel.By", 0, 0xff800000u, 0, SESSREC_BAD_FILE);
        check_forged_checkpoint(SESSREC_ADAGRAD, "hidden0", 2, 0x7f800000u, 0, SESSREC_BAD_FILE);
        check_forged_checkpoint(SESSREC_ADAGRAD, "Wy", 3, 0x7f800001u, 0, SESSREC_BAD_FILE);
        check_forged_checkpoint(SESSREC_ADAM, "acc.Wy", 1, 0xbf000000u, 0, SESSREC_OK);  // a mean
        check_forged_checkpoint(SESSREC_ADAM, "second.Wy", 1, 0xbf000000u, 0, SESSREC_BAD_FILE);
        check_forged_checkpoint(SESSREC_ADAM, "steps.Wy", 0, 7, 0, SESSREC_OK);
        check_forged_checkpoint(SESSREC_ADAM, "steps.Wy", 0, 0xffffffffu, 0, SESSREC_BAD_FILE);
        check_forged_checkpoint(SESSREC_ADAM, "steps.Wy", 0, 0x7fffffffu, 0, SESSREC_BAD_FILE);
    }
    TEST("so is an impossible position: an epoch or an age at the end of what fits, a sum that is NaN") {
        check_forged_checkpoint(SESSREC_ADAGRAD, "position", 0, 0, 0x40000000u, SESSREC_OK);
        check_forged_checkpoint(SESSREC_ADAGRAD, "position", 0, 0xffc00000u, 0x41dfffffu, SESSREC_BAD_FILE);
        check_forged_checkpoint(SESSREC_ADAGRAD, "position", 1, 0, 0xbff00000u, SESSREC_BAD_FILE);
        check_forged_checkpoint(SESSREC_ADAGRAD, "position", 3, 0, 0x7ff80000u, SESSREC_BAD_FILE);
        check_forged_checkpoint(SESSREC_ADAGRAD, "position", 4, 0, 0x7ff00000u, SESSREC_BAD_FILE);
        check_forged_checkpoint(SESSREC_ADAGRAD, "position", 5, 0xffc00000u, 0x41dfffffu, SESSREC_BAD_FILE);
    }
}

static void versions(void) {
    TEST("writing to a sink that cannot take it all fails, wherever it ends") {
        bytes file = small_bytes();
        sessrec_model *model = small_model();
        for (size_t room = 0; room <= file.size; ++room) {
            sessrec__memory_sink memory;
            memory.sink.put = sessrec__memory_put;
            memory.at = file.at;
            memory.room = room;
            CHECK_EQ(sessrec__write_model(&memory.sink, model), room == file.size);
        }
        sessrec_model_destroy(model);
        free_bytes(&file);
    }
    TEST("a later minor version may add sections, which are ignored; this version may not") {
        sessrec_model *model, *known = small_model();
        sessrec_error err;
        bytes later = with_more(1), same = with_more(0);
        CHECK_EQ(open_bytes(&later, &model, &err), SESSREC_OK);
        if (model) check_same_model(model, known);
        CHECK(model && model->fingerprint == sessrec__model_fingerprint(known));
        sessrec_model_destroy(model);
        sessrec_model_destroy(known);
        check_refused_bytes(&same, SESSREC_BAD_FILE, "the file is damaged: color does not belong there");
        free_bytes(&later);
        free_bytes(&same);
    }
}

// ---- memory ----

static void memory_use(void) {
    sessrec_model *model;
    sessrec_error err;
    TEST("when the n-th allocation of a load fails, it is OUT_OF_MEMORY and nothing leaks") {
        bytes file = small_bytes();
        CHECK(write_file(in_directory("x"), file.at, file.size));
        sessrec_result result = SESSREC_OUT_OF_MEMORY;
        int fail_at = 1;
        for (; result && fail_at < 10; ++fail_at) {
            counter c;
            sessrec_allocator allocator = counting(&c);
            c.fail_at = fail_at;
            model = (sessrec_model *)file.at;
            result = sessrec_model_read(in_directory("x"), &allocator, &model, &err);
            CHECK_EQ(result, model ? SESSREC_OK : SESSREC_OUT_OF_MEMORY);
            sessrec_model_destroy(model);
            CHECK_EQ(c.live, 0);
        }
        CHECK_EQ(result, SESSREC_OK);
        CHECK(fail_at > 2);
        counter c;
        sessrec_allocator allocator = counting(&c);
        c.fail_at = 1;
        CHECK_EQ(sessrec_model_import(file.at, file.size, &allocator, &model, &err), SESSREC_OUT_OF_MEMORY);
        CHECK(model == NULL);
        free_bytes(&file);
    }
    TEST("a header that promises more than there is costs no memory") {
        static const uint64_t sizes[] = {
            1u << 30, (uint64_t)1 << 40, (uint64_t)1 << 61, (uint64_t)1 << 63, UINT64_MAX, 0, 63};
        bytes file = small_bytes();
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; ++i) {
            counter c;
            sessrec_allocator allocator = counting(&c);
            put64(file.at + 32, sizes[i]);
            forge(&file);
            CHECK(write_file(in_directory("x"), file.at, file.size));
            CHECK_EQ(sessrec_model_read(in_directory("x"), &allocator, &model, &err), SESSREC_BAD_FILE);
            CHECK(c.largest < 70000);
            CHECK_EQ(c.live, 0);
        }
        free_bytes(&file);
    }
    TEST("a file of known length is read into one block of its size") {
        sessrec_model *wide = make_model(kitchen, 3, 4, SESSREC_EMBEDDING_SEPARATE, SESSREC_RESET_AFTER);
        counter c;
        sessrec_allocator allocator = counting(&c);
        CHECK_EQ(sessrec_model_write(wide, in_directory("x"), &err), SESSREC_OK);
        CHECK_EQ(sessrec_model_read(in_directory("x"), &allocator, &model, &err), SESSREC_OK);
        CHECK(c.largest < sizeof(sessrec_model) + sessrec_model_export_size(wide) + 256);
        CHECK_EQ(c.live, 1);
        sessrec_model_destroy(model);
        CHECK_EQ(c.live, 0);
        sessrec_model_destroy(wide);
    }
}

// ---- a system that fails ----
#ifdef HAVE_POSIX

static int files_in_directory(int and_remove) {
    int count = 0;
    DIR *d = opendir(directory);
    for (struct dirent *entry; d && (entry = readdir(d)) != NULL;)
        if (entry->d_name[0] != '.') {
            ++count;
            if (and_remove) remove(in_directory(entry->d_name));
        }
    if (d) closedir(d);
    return count;
}

// A save over an old file, with one call that fails: either the old or the new file is there afterwards, and
// nothing else.
static void check_failing(int call, int nth, int error, const char *sentence, int new_stands) {
    static const char old[] = "SESSREC\0and what was there before";
    sessrec_model *model = small_model();
    bytes expected = bytes_of(model), found;
    sessrec_error err;
    files_in_directory(1);
    CHECK(write_file(in_directory("target"), old, sizeof old));
    memset(&faults, 0, sizeof faults);
    faults.countdown[call] = nth;
    faults.error = error;
    const sessrec_result result = sessrec_model_write(model, in_directory("target"), &err);
    memset(&faults, 0, sizeof faults);
    CHECK_EQ(result, sentence ? SESSREC_IO_ERROR : SESSREC_OK);
    if (sentence) {
        char text[600];
        snprintf(text, sizeof text, sentence, in_directory("target"));
        CHECK_TEXT(err.text, text);
    }
    found = read_file(in_directory("target"));
    if (new_stands) CHECK(same_bytes(&found, &expected));
    else CHECK(found.size == sizeof old && !memcmp(found.at, old, sizeof old));
    CHECK_EQ(files_in_directory(0), 1);
    free_bytes(&found);
    free_bytes(&expected);
    sessrec_model_destroy(model);
}

static void failing_system(void) {
    sessrec_error err;
    TEST("a call that fails leaves the old file as it was, and no other; the error names file and reason") {
        check_failing(OPEN, 1, EACCES, "cannot write %s: Permission denied", 0);
        check_failing(OPEN, 2, EMFILE, "cannot create a file beside %s: Too many open files", 0);
        check_failing(WRITE, 1, ENOSPC, "cannot write %s: No space left on device", 0);
        check_failing(SYNC, 1, EIO, "cannot write %s: Input/output error", 0);
        check_failing(RENAME, 1, EACCES, "cannot write %s: Permission denied", 0);
    }
    TEST("calls that are interrupted are made again") {
        for (int i = 1; i <= 3; ++i) check_failing(OPEN, i, EINTR, NULL, 1);
        check_failing(READ, 1, EINTR, NULL, 1);
        check_failing(WRITE, 1, EINTR, NULL, 1);
        check_failing(SYNC, 1, EINTR, NULL, 1);
        check_failing(CLOSE, 2, EINTR, NULL, 1);
    }
    TEST("when only closing or the directory fails, the new file stands and the error says so") {
        check_failing(CLOSE, 2, EIO, "%s is written, but may not survive a power failure: Input/output error",
                      1);
        check_failing(SYNC, 2, EIO, "%s is written, but may not survive a power failure: Input/output error",
                      1);
        check_failing(SYNC, 2, EINVAL, NULL, 1);
        check_failing(OPEN, 3, EACCES, NULL, 1);
    }
    TEST("a read that fails is an IO_ERROR with the reason, and nothing leaks") {
        sessrec_model *model = small_model(), *loaded;
        CHECK_EQ(sessrec_model_write(model, in_directory("target"), &err), SESSREC_OK);
        for (int i = 1; i <= 3; ++i) {
            counter c;
            sessrec_allocator allocator = counting(&c);
            memset(&faults, 0, sizeof faults);
            faults.countdown[READ] = i;
            faults.error = EIO;
            loaded = model;
            CHECK_EQ(sessrec_model_read(in_directory("target"), &allocator, &loaded, &err), SESSREC_IO_ERROR);
            CHECK_TEXT(err.text, "cannot read the file: Input/output error");
            CHECK(loaded == NULL);
            CHECK_EQ(c.live, 0);
        }
        memset(&faults, 0, sizeof faults);
        faults.countdown[READ] = 1;
        faults.error = EINTR;
        CHECK_EQ(sessrec_model_read(in_directory("target"), NULL, &loaded, &err), SESSREC_OK);
        CHECK_EQ(faults.countdown[READ], 0);
        sessrec_model_destroy(loaded);
        memset(&faults, 0, sizeof faults);
        faults.countdown[OPEN] = 1;
        faults.error = ENOMEM;
        CHECK_EQ(sessrec_model_read(in_directory("target"), NULL, &loaded, &err), SESSREC_OUT_OF_MEMORY);
        memset(&faults, 0, sizeof faults);
        sessrec_model_destroy(model);
    }
    TEST("every write of a larger model may fail, and writes may take any number of bytes") {
        char text[2000][8];
        const char *ids[2000];
        for (int i = 0; i < 2000; ++i) {
            snprintf(text[i], sizeof text[i], "i%d", i);
            ids[i] = text[i];
        }
        sessrec_model *model = make_model(ids, 2000, 1, SESSREC_EMBEDDING_NONE, SESSREC_RESET_AFTER);
        bytes expected = bytes_of(model);
        files_in_directory(1);
        memset(&faults, 0, sizeof faults);
        CHECK_EQ(sessrec_model_write(model, in_directory("target"), &err), SESSREC_OK);
        const int writes = faults.calls[WRITE];
        CHECK(writes > 3);
        CHECK_EQ(faults.calls[SYNC], 2);
        for (int i = 1; i <= writes; ++i) {
            memset(&faults, 0, sizeof faults);
            faults.countdown[WRITE] = i;
            faults.error = EIO;
            CHECK_EQ(sessrec_model_write(model, in_directory("other"), &err), SESSREC_IO_ERROR);
            CHECK_EQ(faults.calls[RENAME], 0);
        }
        for (size_t most = 999; most < 9999; most += 1234) {
            memset(&faults, 0, sizeof faults);
            faults.most = most;
            CHECK_EQ(sessrec_model_write(model, in_directory("target"), &err), SESSREC_OK);
            bytes found = read_file(in_directory("target"));
            CHECK(same_bytes(&found, &expected));
            free_bytes(&found);
        }
        memset(&faults, 0, sizeof faults);
        CHECK_EQ(files_in_directory(0), 1);
        free_bytes(&expected);
        sessrec_model_destroy(model);
    }
    TEST("a full device is an error") {
        static sessrec__file_sink file;
        static unsigned char content[40000];
        file.sink.put = sessrec__file_put;
        file.file = open("/dev/full", O_WRONLY);
        if (file.file < 0) SKIP("saving to a full device", "there is no /dev/full");
        else {
            CHECK(sessrec__sink_write(&file.sink, content, 100));
            CHECK(!sessrec__sink_write(&file.sink, content, sizeof content));
            CHECK_EQ(file.error, ENOSPC);
            CHECK(!sessrec__sink_write(&file.sink, content, 1));
            close(file.file);
        }
    }
    TEST("a directory that is missing, or stands in the place of the file, is an IO_ERROR") {
        sessrec_model *model = small_model();
        files_in_directory(1);
        CHECK_EQ(sessrec_model_write(model, in_directory("no/where"), &err), SESSREC_IO_ERROR);
        CHECK(strstr(err.text, "No such file or directory") != NULL);
        CHECK_EQ(mkdir(in_directory("taken"), 0700), 0);
        CHECK_EQ(sessrec_model_write(model, in_directory("taken"), &err), SESSREC_IO_ERROR);
        CHECK(strstr(err.text, "it exists and is not a file") != NULL);
        CHECK_EQ(files_in_directory(0), 1);
        CHECK_EQ(rmdir(in_directory("taken")), 0);
        CHECK_EQ(sessrec_model_write(model, NULL, &err), SESSREC_INVALID_ARGUMENT);
        char path[5000];
        memset(path, 'p', sizeof path);
        path[sizeof path - 1] = 0;
        CHECK_EQ(sessrec_model_write(model, path, &err), SESSREC_INVALID_ARGUMENT);
        sessrec_model_destroy(model);
    }
    TEST("a name without a directory is saved in the current one") {
        sessrec_model *model = small_model();
        char before[500];
        CHECK(getcwd(before, sizeof before) != NULL);
        files_in_directory(1);
        CHECK_EQ(chdir(directory), 0);
        CHECK_EQ(sessrec_model_write(model, "plain", &err), SESSREC_OK);
        CHECK_EQ(chdir(before), 0);
        CHECK_EQ(files_in_directory(0), 1);
        sessrec_model_destroy(model);
    }
    TEST("what a killed process left is removed; what another one writes, or is not ours, is stepped over") {
        sessrec_model *model = small_model();
        files_in_directory(1);
        CHECK(write_file(in_directory("target.tmp0"), "SESSREC\0half", 12));
        CHECK_EQ(sessrec_model_write(model, in_directory("target"), &err), SESSREC_OK);
        CHECK_EQ(files_in_directory(0), 1);
        CHECK(write_file(in_directory("target.tmp0"), "a diary", 7));
        CHECK(write_file(in_directory("target.tmp1"), "SESSREC\0half", 12));
        const int other = open(in_directory("target.tmp1"), O_RDONLY);
        CHECK_EQ(flock(other, LOCK_EX), 0);
        CHECK_EQ(sessrec_model_write(model, in_directory("target"), &err), SESSREC_OK);
        CHECK_EQ(files_in_directory(0), 3);
        close(other);
        sessrec_model_destroy(model);
    }
    TEST("a model that is not finite is not saved, because it could not be loaded; the old file stays") {
        sessrec_model *model = small_model();
        bytes before = bytes_of(model);
        CHECK_EQ(sessrec_model_write(model, in_directory("target"), &err), SESSREC_OK);
        model->By[1] = NAN;
        CHECK_EQ(sessrec_model_write(model, in_directory("target"), &err), SESSREC_DIVERGED);
        CHECK_TEXT(err.text, "By has a value that is NaN or infinite");
        bytes after = read_file(in_directory("target"));
        CHECK(same_bytes(&before, &after));
        CHECK_EQ(sessrec_model_export(model, after.at, after.size), SESSREC_DIVERGED);
        free_bytes(&before);
        free_bytes(&after);
        sessrec_model_destroy(model);
    }
    TEST("a process that is killed while it saves leaves a whole file") {
        sessrec_model *model = small_model(), *loaded;
        files_in_directory(1);
        CHECK_EQ(sessrec_model_write(model, in_directory("target"), &err), SESSREC_OK);
        for (int i = 0; i < 60; ++i) {
            const pid_t child = fork();
            if (!child)
                for (int k = 0;; ++k) {
                    model->info.seed = (uint64_t)k;
                    sessrec_model_write(model, in_directory("target"), NULL);
                }
            usleep((useconds_t)(i * 37 % 50 * 40));
            CHECK_EQ(kill(child, SIGKILL), 0);
            CHECK_EQ(waitpid(child, NULL, 0), child);
            CHECK_EQ(sessrec_model_read(in_directory("target"), NULL, &loaded, &err), SESSREC_OK);
            sessrec_model_destroy(loaded);
        }
        CHECK_EQ(sessrec_model_write(model, in_directory("target"), &err), SESSREC_OK);
        CHECK_EQ(files_in_directory(0), 1);
        sessrec_model_destroy(model);
    }
}

static sessrec_result write_two(const sessrec_model *model, const char *text, sessrec_error *err) {
    static char first[600], second[600];
    strcpy(first, in_directory("one.model"));
    strcpy(second, in_directory("two.json"));
    const sessrec_output outputs[2] = {{first, NULL, model, NULL, NULL, 0},
                                       {second, "{\"", NULL, NULL, text, strlen(text)}};
    return sessrec_outputs_write(outputs, 2, err);
}

static int holds(const char *name, const void *content, size_t size) {
    bytes found = read_file(in_directory(name));
    const int same = found.size == size && !memcmp(found.at, content, size);
    free_bytes(&found);
    return same;
}

static int mode_of(const char *name) {
    struct stat status;
    return stat(in_directory(name), &status) ? -1 : (int)(status.st_mode & 07777);
}

static void outputs(void) {
    sessrec_error err;
    sessrec_model *model = small_model();
    bytes file = bytes_of(model);
    char linked[600];
    struct stat status;
    TEST("U1: a save does not replace what somebody else wrote; an empty file it does") {
        files_in_directory(1);
        CHECK(write_file(in_directory("notes.txt"), "buy milk", 8));
        CHECK_EQ(sessrec_model_write(model, in_directory("notes.txt"), &err), SESSREC_IO_ERROR);
        CHECK(strstr(err.text, "it exists and holds something else") != NULL);
        CHECK(holds("notes.txt", "buy milk", 8));
        CHECK(write_file(in_directory("notes.txt"), "", 0));
        CHECK_EQ(sessrec_model_write(model, in_directory("notes.txt"), &err), SESSREC_OK);
        CHECK_EQ(files_in_directory(0), 1);
    }
    TEST("U1: two names of one file are recognized, whether it is there or not") {
        char other[600];
        files_in_directory(1);
        CHECK(write_file(in_directory("a"), "x", 1));
        CHECK(write_file(in_directory("b"), "x", 1));
        strcpy(linked, in_directory("a"));
        CHECK_EQ(link(linked, in_directory("hard")), 0);
        CHECK_EQ(symlink("a", in_directory("soft")), 0);
        CHECK_EQ(symlink("new", in_directory("soft-new")), 0);
        CHECK_EQ(symlink("loop", in_directory("loop")), 0);
        CHECK(sessrec_same_file(linked, in_directory("hard")));
        CHECK(sessrec_same_file(linked, in_directory("./soft")));
        CHECK(!sessrec_same_file(linked, in_directory("b")));
        CHECK(!sessrec_same_file(linked, in_directory("new")));
        CHECK(!sessrec_same_file(linked, in_directory("loop")));
        CHECK(!sessrec_same_file(NULL, linked));
        strcpy(other, in_directory("new"));
        CHECK(sessrec_same_file(other, in_directory(".//new")));
        CHECK(sessrec_same_file(other, in_directory("soft-new")));
        CHECK(!sessrec_same_file(other, in_directory("newer")));
    }
    TEST("U2: what could not be written in the end is found out before, and nothing changes by that") {
        sessrec_output output = {NULL, "SESSREC", NULL, NULL, NULL, 0};
        files_in_directory(1);
        strcpy(linked, in_directory("m"));
        output.path = linked;
        CHECK_EQ(sessrec_outputs_write(&output, 1, &err), SESSREC_OK);
        CHECK_EQ(files_in_directory(0), 0);
        CHECK(write_file(linked, "SESSREC and more", 16));
        CHECK_EQ(sessrec_outputs_write(&output, 1, &err), SESSREC_OK);
        CHECK(holds("m", "SESSREC and more", 16));
        CHECK(write_file(linked, "a,b,c", 5));
        CHECK_EQ(sessrec_outputs_write(&output, 1, &err), SESSREC_IO_ERROR);
        memset(&faults, 0, sizeof faults);
        faults.countdown[OPEN] = 1;
        faults.error = EROFS;
        CHECK(write_file(linked, "", 0));
        CHECK_EQ(sessrec_outputs_write(&output, 1, &err), SESSREC_IO_ERROR);
        memset(&faults, 0, sizeof faults);
        CHECK_EQ(files_in_directory(0), 1);
        CHECK_EQ(sessrec_outputs_write(&output, 0, &err), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_outputs_write(NULL, 1, &err), SESSREC_INVALID_ARGUMENT);
        output.path = NULL;
        CHECK_EQ(sessrec_outputs_write(&output, 1, &err), SESSREC_INVALID_ARGUMENT);
    }
    TEST("U3: the mode of a file stays, and a link stays a link, also one whose file is not there yet") {
        files_in_directory(1);
        CHECK_EQ(sessrec_model_write(model, in_directory("m"), &err), SESSREC_OK);
        const int plain = mode_of("m");
        CHECK_EQ(chmod(in_directory("m"), 0640), 0);
        CHECK_EQ(sessrec_model_write(model, in_directory("m"), &err), SESSREC_OK);
        CHECK_EQ(mode_of("m"), 0640);
        CHECK_EQ(mkdir(in_directory("current"), 0700), 0);
        CHECK_EQ(symlink("../m", in_directory("current/m")), 0);
        CHECK_EQ(symlink("current/m2", in_directory("m2")), 0);
        model->By[0] += 1;
        bytes changed = bytes_of(model);
        CHECK_EQ(sessrec_model_write(model, in_directory("current/m"), &err), SESSREC_OK);
        CHECK(!lstat(in_directory("current/m"), &status) && S_ISLNK(status.st_mode));
        CHECK(holds("m", changed.at, changed.size));
        CHECK_EQ(mode_of("m"), 0640);
        CHECK_EQ(sessrec_model_write(model, in_directory("m2"), &err), SESSREC_OK);
        CHECK(!lstat(in_directory("m2"), &status) && S_ISLNK(status.st_mode));
        CHECK(holds("current/m2", changed.at, changed.size));
        CHECK_EQ(mode_of("m2"), plain);
        model->By[0] -= 1;
        CHECK_EQ(remove(in_directory("current/m")) | remove(in_directory("current/m2")), 0);
        CHECK_EQ(rmdir(in_directory("current")), 0);
        free_bytes(&changed);
    }
    TEST("U4: of two files that belong together both are new or both old, whichever call fails") {
        for (int there = 0; there < 2; ++there)
            for (int call = OPEN; call <= RENAME; ++call)
                for (int nth = 1;; ++nth) {
                    files_in_directory(1);
                    if (there) {
                        CHECK(write_file(in_directory("one.model"), "SESSREC, old", 12));
                        CHECK(write_file(in_directory("two.json"), "{\"old\"}", 7));
                    }
                    memset(&faults, 0, sizeof faults);
                    faults.countdown[call] = nth;
                    faults.error = EIO;
                    const sessrec_result result = write_two(model, "{\"new\"}\n", &err);
                    const int done = faults.countdown[call] > 0, may_be_new = call == CLOSE || call == SYNC;
                    CHECK_EQ(faults.leaked, 0);
                    memset(&faults, 0, sizeof faults);
                    const int is_new = holds("one.model", file.at, file.size);
                    CHECK_EQ(is_new, holds("two.json", "{\"new\"}\n", 8));
                    if (result && is_new) CHECK(may_be_new && strstr(err.text, "is written, but") != NULL);
                    if (!result) CHECK(is_new);
                    if (!is_new && there)
                        CHECK(holds("one.model", "SESSREC, old", 12) && holds("two.json", "{\"old\"}", 7));
                    CHECK_EQ(files_in_directory(0), is_new || there ? 2 : 0);
                    if (done) break;
                }
        CHECK_EQ(write_two(model, "{\"again\"}", &err), SESSREC_OK);
        CHECK(holds("two.json", "{\"again\"}", 9));
    }
    TEST("a device is written to and not replaced") {
        const sessrec_output output = {"/dev/null", NULL, NULL, NULL, "x", 1};
        CHECK_EQ(sessrec_outputs_write(&output, 1, &err), SESSREC_OK);
        CHECK(!stat("/dev/null", &status) && S_ISCHR(status.st_mode));
        const sessrec_output full = {"/dev/full", NULL, NULL, NULL, "x", 1};
        if (!stat("/dev/full", &status)) CHECK_EQ(sessrec_outputs_write(&full, 1, &err), SESSREC_IO_ERROR);
    }
    free_bytes(&file);
    sessrec_model_destroy(model);
}

// What cannot tell its length is read as it comes.
static void pipes(void) {
    TEST("a model comes through a pipe, and one that stops half way is refused") {
        char text[20000][8];
        const char **ids = (const char **)malloc(20000 * sizeof *ids);
        for (int i = 0; i < 20000; ++i) {
            snprintf(text[i], sizeof text[i], "i%d", i);
            ids[i] = text[i];
        }
        sessrec_model *model = make_model(ids, 20000, 1, SESSREC_EMBEDDING_TIED, SESSREC_RESET_BEFORE),
                      *loaded = NULL;
        bytes file = bytes_of(model);
        free((void *)ids);
        for (size_t size = file.size; size; size = size == file.size ? size / 2 : 0) {
            int ends[2];
            char path[40];
            sessrec_error err;
            CHECK_EQ(pipe(ends), 0);
            const pid_t child = fork();
            if (!child) {
                close(ends[0]);
                for (size_t at = 0; at < size;) {
                    const ssize_t written = write(ends[1], file.at + at, size - at);
                    if (written <= 0) _exit(1);
                    at += (size_t)written;
                }
                _exit(0);
            }
            close(ends[1]);
            snprintf(path, sizeof path, "/dev/fd/%d", ends[0]);
            const sessrec_result result = sessrec_model_read(path, NULL, &loaded, &err);
            if (result == SESSREC_IO_ERROR) SKIP("loading from a pipe", "there is no /dev/fd");
            else {
                CHECK_EQ(result, size == file.size ? SESSREC_OK : SESSREC_BAD_FILE);
                CHECK((loaded != NULL) == (size == file.size));
                if (loaded) check_same_model(model, loaded);
            }
            sessrec_model_destroy(loaded);
            close(ends[0]);
            waitpid(child, NULL, 0);
        }
        sessrec_model_destroy(model);
        free_bytes(&file);
    }
}
#endif // HAVE_POSIX

int main(void) {
#ifdef HAVE_POSIX
    const char *place = getenv("TMPDIR");
    snprintf(directory, sizeof directory, "%s/sessrec-test-%ld/",
             place && strlen(place) < 100 ? place : "/tmp", (long)getpid());
    if (mkdir(directory, 0700)) return printf("cannot make %s\n", directory), 1;
#endif
    keeping();
    format();
    if (big_endian()) {
        test_skip("damaged files", "their sentences are compared where a file is used in place");
    } else {
        refusing();
        memory_use();
    }
    versions();
    ranges();
#ifdef HAVE_POSIX
    failing_system();
    outputs();
    pipes();
    files_in_directory(1);
    rmdir(directory);
#else
    test_skip("faults of the system, pipes", "they are tested on POSIX systems");
#endif
    return test_report("model files");
}
