// blends.h - a blend of an architecture of the zoo with neighbors or rules, in a file, and reading any file
//
//     zoo blend 1 WEIGHT WEIGHT LOGARITHM LOGARITHM EPSILON SIZE SIZE\n    the two files, bytes and all
// and 8 bytes, as behind a model. The parts are a file of the zoo and one of the library.
#ifndef ZOO_BLENDS_H
#define ZOO_BLENDS_H

#include "files.h"

static inline sessrec_result zoo_file_bytes(const char *path, zoo_buffer *out, sessrec_error *err) {
    FILE *file = fopen(path, "rb");
    unsigned char block[4096];
    if (!file) return sessrec_error_set(err, SESSREC_IO_ERROR, "the file cannot be opened");
    for (size_t size; (size = fread(block, 1, sizeof block, file)) > 0;) zoo_put(out, block, size);
    const int failed = ferror(file);
    fclose(file);
    return failed ? sessrec_error_set(err, SESSREC_IO_ERROR, "the file cannot be read") : SESSREC_OK;
}

static inline sessrec_result zoo_blend_write(const char *const *paths, const sessrec_blend_part *how,
                                             double epsilon, const char *path, sessrec_error *err) {
    zoo_buffer part[2] = {{NULL, 0, 0}, {NULL, 0, 0}}, out = {NULL, 0, 0};
    sessrec_result result = zoo_file_bytes(paths[0], &part[0], err);
    if (!result) result = zoo_file_bytes(paths[1], &part[1], err);
    zoo_put(&out, "zoo blend 1", 11);
    for (int i = 0; i < 2; ++i) zoo_print(&out, " ", (double)how[i].weight);
    for (int i = 0; i < 2; ++i) zoo_print(&out, " ", how[i].logarithm);
    zoo_print(&out, " ", epsilon);
    for (int i = 0; i < 2; ++i) zoo_print(&out, " ", (double)part[i].size);
    zoo_put(&out, "\n", 1);
    for (int i = 0; i < 2; ++i) zoo_put(&out, part[i].bytes, part[i].size), free(part[i].bytes);
    if (!result) return zoo_write(&out, path, err);
    free(out.bytes);
    return result;
}

// The parts of a blend. Its own memory comes from here, so that with the last block the parts go, too.
typedef struct zoo_parts {
    sessrec_scorer part[2];
    void *memory;           // of the second
    int32_t blocks;
} zoo_parts;

static inline void zoo_parts_destroy(zoo_parts *p) {
    for (int i = 0; i < 2; ++i) sessrec_scorer_destroy(&p->part[i]);
    free(p->memory);
    free(p);
}
static inline void *zoo_parts_alloc(void *user, size_t bytes) {
    void *block = malloc(bytes);
    ((zoo_parts *)user)->blocks += block != NULL;
    return block;
}
static inline void zoo_parts_free(void *user, void *block) {
    zoo_parts *p = (zoo_parts *)user;
    free(block);
    if (block && --p->blocks == 0) zoo_parts_destroy(p);
}

static inline sessrec_result zoo_read_bytes(const unsigned char *bytes, size_t size,
                                            const zoo_model *const *kinds, int kind_count,
                                            sessrec_scorer *out, sessrec_error *err);

static inline sessrec_result zoo_read_blend(zoo_cursor *c, const zoo_model *const *kinds, int kind_count,
                                            sessrec_scorer *out, sessrec_error *err) {
    zoo_parts *p = (zoo_parts *)zoo_zeros(1, sizeof *p);
    const sessrec_allocator memory = {zoo_parts_alloc, zoo_parts_free, p};
    sessrec_blend_part how[2];
    double sizes[2], epsilon;
    for (int i = 0; i < 2; ++i) {
        how[i].scorer = &p->part[i];
        how[i].weight = (float)zoo_number(c, 0, 1e6);
        zoo_expect(c, " ");
    }
    for (int i = 0; i < 2; ++i) how[i].logarithm = (int32_t)zoo_number(c, 0, 1), zoo_expect(c, " ");
    epsilon = zoo_number(c, 0, 1);
    for (int i = 0; i < 2; ++i) zoo_expect(c, " "), sizes[i] = zoo_number(c, 8, (double)(c->end - c->at));
    zoo_expect(c, "\n");
    sessrec_result result = SESSREC_OK;
    if (c->failed || sizes[0] + sizes[1] < (double)(c->end - c->at) ||
        sizes[0] + sizes[1] > (double)(c->end - c->at))
        result = sessrec_error_set(err, SESSREC_BAD_FILE, "the file is damaged");
    const size_t first = (size_t)sizes[0], second = (size_t)sizes[1];
    if (!result && c->at[4] == 'b') result = sessrec_error_set(err, SESSREC_UNSUPPORTED, "a blend of blends");
    if (!result) result = zoo_read_bytes(c->at, first, kinds, kind_count, &p->part[0], err);
    if (!result) {
        p->memory = zoo_zeros(second + 64, 1);
        void *aligned = (char *)p->memory + (64 - (uintptr_t)p->memory % 64);
        memcpy(aligned, c->at + first, second);
        result = sessrec_scorer_import(aligned, second, NULL, &p->part[1], err);
    }
    p->blocks = 1;  // until the blend stands
    if (!result) result = sessrec_blend_create(how, 2, epsilon, &memory, out, err);
    if (result) zoo_parts_destroy(p);
    else p->blocks--;
    return result;
}

// A scorer from the bytes of a file of the zoo.
static inline sessrec_result zoo_read_bytes(const unsigned char *bytes, size_t size,
                                            const zoo_model *const *kinds, int kind_count,
                                            sessrec_scorer *out, sessrec_error *err) {
    zoo_cursor c = {bytes, bytes + size, 0};
    if (size < 18 || memcmp(bytes, "zoo ", 4))
        return sessrec_error_set(err, SESSREC_BAD_FILE, "it is no file of the zoo");
    c.end -= 8;
    if (zoo_sum(bytes, size - 8) != zoo_bytes_number(c.end, 8))
        return sessrec_error_set(err, SESSREC_BAD_FILE, "the file is damaged");
    const int is_blend = bytes[4] == 'b';
    zoo_expect(&c, is_blend ? "zoo blend 1 " : "zoo model 1 ");
    if (c.failed) return sessrec_error_set(err, SESSREC_UNSUPPORTED, "it is of a newer zoo");
    return is_blend ? zoo_read_blend(&c, kinds, kind_count, out, err)
                    : zoo_read_model(&c, kinds, kind_count, out, err);
}

// A file of the zoo, or else one of the library.
static inline sessrec_result zoo_scorer_read(const char *path, const zoo_model *const *kinds, int kind_count,
                                             sessrec_scorer *out, sessrec_error *err) {
    zoo_buffer file = {NULL, 0, 0};
    sessrec_result result = zoo_file_bytes(path, &file, err);
    if (!result && (file.size < 4 || memcmp(file.bytes, "zoo ", 4)))
        result = sessrec_scorer_read(path, NULL, out, err);
    else if (!result) result = zoo_read_bytes(file.bytes, file.size, kinds, kind_count, out, err);
    free(file.bytes);
    return result;
}

#endif // ZOO_BLENDS_H
