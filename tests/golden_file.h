// golden_file.h - reads one file of golden vectors; the format stands in golden/README.md, section 1.
//
// Nothing has a fixed maximum: all sizes come from the file, and a header that promises more numbers than the
// rest of the file can hold is refused before anything is allocated for it. Keys, values and names point into
// the text that was read.
#ifndef SESSREC_GOLDEN_FILE_H
#define SESSREC_GOLDEN_FILE_H

#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct golden_tensor {
    const char *name;
    int is_integer;
    int64_t dims;
    int64_t *dim;   // [dims], each >= 1
    int64_t count;  // their product
    double *data;   // [count] row-major
} golden_tensor;

typedef struct golden_meta {
    const char *key, *value;
} golden_meta;

typedef struct golden_file {
    char *text;
    golden_meta *meta;
    int64_t metas;
    golden_tensor *tensor;
    int64_t tensors;
    char problem[256];  // why it could not be read, one sentence
} golden_file;

// Where the reader stands.
typedef struct golden_cursor {
    char *at;   // in a terminated text
    char *end;
    long line;
    long word_line;  // where the last word began, for messages
    golden_file *file;
} golden_cursor;

static inline int golden_fail(golden_cursor *cursor, const char *format, ...) {
    char *problem = cursor->file->problem;
    size_t size = sizeof cursor->file->problem;
    int used = cursor->word_line ? snprintf(problem, size, "line %ld: ", cursor->word_line) : 0;
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(problem + used, size - (size_t)used, format, arguments);
    va_end(arguments);
    return 0;
}

static inline void golden_skip_blanks(golden_cursor *cursor) {
    for (; *cursor->at && strchr(" \t\r\n", *cursor->at); ++cursor->at) cursor->line += *cursor->at == '\n';
}

// The next word, terminated in place; "" at the end of the file.
static inline char *golden_word(golden_cursor *cursor) {
    golden_skip_blanks(cursor);
    char *word = cursor->at;
    cursor->word_line = cursor->line;
    cursor->at += strcspn(word, " \t\r\n");
    if (*cursor->at) {
        cursor->line += *cursor->at == '\n';
        *cursor->at++ = 0;
    }
    return word;
}

// The first word of the next record; comments may stand before it.
static inline char *golden_record(golden_cursor *cursor) {
    golden_skip_blanks(cursor);
    while (*cursor->at == '#') {
        cursor->at += strcspn(cursor->at, "\n");
        golden_skip_blanks(cursor);
    }
    return golden_word(cursor);
}

static inline int golden_number(golden_cursor *cursor, int is_integer, double *out) {
    const char *word = golden_word(cursor);
    char *rest = NULL;
    *out = strtod(word, &rest);
    if (!*word) return golden_fail(cursor, "the file ends within the numbers of a tensor");
    if (*rest || !isfinite(*out) || word[strspn(word, is_integer ? "+-0123456789" : "+-0123456789.eE")])
        return golden_fail(cursor, "\"%.40s\" is no %s", word, is_integer ? "integer" : "number");
    return 1;
}

static inline int golden_dimensions(golden_cursor *cursor, golden_tensor *tensor) {
    // a number and its blank take two bytes, so a count above this cannot be true
    int64_t room = cursor->end - cursor->at;
    double value;
    if (!golden_number(cursor, 1, &value)) return 0;
    if (value < 1 || value > (double)room)
        return golden_fail(cursor, "tensor %s has an impossible number of dimensions", tensor->name);
    tensor->dims = (int64_t)value;
    tensor->dim = (int64_t *)calloc((size_t)tensor->dims, sizeof *tensor->dim);
    if (!tensor->dim) return golden_fail(cursor, "out of memory");
    tensor->count = 1;
    for (int64_t i = 0; i < tensor->dims; ++i) {
        if (!golden_number(cursor, 1, &value)) return 0;
        if (value < 1 || value > (double)(room / tensor->count))
            return golden_fail(cursor, "tensor %s is empty or larger than the rest of the file",
                               tensor->name);
        tensor->dim[i] = (int64_t)value;
        tensor->count *= tensor->dim[i];
    }
    return 1;
}

static inline const golden_tensor *golden_find(const golden_file *file, const char *name) {
    for (int64_t i = 0; i < file->tensors; ++i)
        if (!strcmp(file->tensor[i].name, name)) return &file->tensor[i];
    return NULL;
}

// NULL if there is no such key.
static inline const char *golden_value(const golden_file *file, const char *key) {
    for (int64_t i = 0; i < file->metas; ++i)
        if (!strcmp(file->meta[i].key, key)) return file->meta[i].value;
    return NULL;
}

static inline int golden_read_meta(golden_cursor *cursor) {
    golden_file *file = cursor->file;
    if (file->tensors) return golden_fail(cursor, "a meta line stands behind a tensor");
    golden_meta *meta = (golden_meta *)realloc(file->meta, (size_t)(file->metas + 1) * sizeof *meta);
    if (!meta) return golden_fail(cursor, "out of memory");
    file->meta = meta;
    const char *key = golden_word(cursor), *value = golden_word(cursor);
    if (!*value) return golden_fail(cursor, "the file ends within a meta line");
    if (golden_value(file, key)) return golden_fail(cursor, "meta %.80s stands there twice", key);
    meta[file->metas].key = key;
    meta[file->metas++].value = value;
    return 1;
}

static inline int golden_read_tensor(golden_cursor *cursor, int is_integer) {
    golden_file *file = cursor->file;
    golden_tensor *all = (golden_tensor *)realloc(file->tensor, (size_t)(file->tensors + 1) * sizeof *all);
    if (!all) return golden_fail(cursor, "out of memory");
    file->tensor = all;
    const char *name = golden_word(cursor);
    if (!*name) return golden_fail(cursor, "the file ends within a tensor line");
    if (golden_find(file, name)) return golden_fail(cursor, "tensor %.80s stands there twice", name);
    golden_tensor *tensor = &all[file->tensors++];
    memset(tensor, 0, sizeof *tensor);
    tensor->name = name;
    tensor->is_integer = is_integer;
    if (!golden_dimensions(cursor, tensor)) return 0;
    tensor->data = (double *)calloc((size_t)tensor->count, sizeof *tensor->data);
    if (!tensor->data) return golden_fail(cursor, "out of memory");
    for (int64_t i = 0; i < tensor->count; ++i)
        if (!golden_number(cursor, is_integer, &tensor->data[i])) return 0;
    return 1;
}

// Reads `size` bytes of text, followed by a 0, that file->text owns. Returns 0 with file->problem when they
// are malformed.
static inline int golden_parse(golden_file *file, size_t size) {
    golden_cursor cursor = {file->text, file->text + size, 1, 1, file};
    if (strlen(file->text) != size) return golden_fail(&cursor, "there is a NUL byte in the file");
    if (strcmp(golden_word(&cursor), "sessrec-golden") || strcmp(golden_word(&cursor), "1"))
        return golden_fail(&cursor, "the file does not begin with \"sessrec-golden 1\"");
    for (;;) {
        const char *record = golden_record(&cursor);
        int read = 0;
        if (!*record) return file->tensors ? 1 : golden_fail(&cursor, "the file has no tensor");
        if (!strcmp(record, "meta")) read = golden_read_meta(&cursor);
        else if (!strcmp(record, "tensor")) read = golden_read_tensor(&cursor, 0);
        else if (!strcmp(record, "itensor")) read = golden_read_tensor(&cursor, 1);
        else return golden_fail(&cursor, "\"%.40s\" begins no record", record);
        if (!read) return 0;
    }
}

// Reads a file. Whatever the outcome, golden_free it.
static inline int golden_read(const char *path, golden_file *file) {
    golden_cursor start = {NULL, NULL, 0, 0, file};
    memset(file, 0, sizeof *file);
    FILE *stream = fopen(path, "rb");
    size_t size = 0, capacity = 0, got = 1;
    if (!stream) return golden_fail(&start, "cannot open %.200s", path);
    while (got) {
        if (size + 1 >= capacity) {
            char *larger = (char *)realloc(file->text, capacity = capacity ? capacity * 2 : 65536);
            if (!larger) break;
            file->text = larger;
        }
        got = fread(file->text + size, 1, capacity - 1 - size, stream);
        size += got;
    }
    int broken = ferror(stream);
    fclose(stream);
    if (got || broken) return golden_fail(&start, got ? "out of memory" : "cannot read %.200s", path);
    file->text[size] = 0;
    return golden_parse(file, size);
}

static inline void golden_free(golden_file *file) {
    for (int64_t i = 0; i < file->tensors; ++i) {
        free(file->tensor[i].dim);
        free(file->tensor[i].data);
    }
    free(file->tensor);
    free(file->meta);
    free(file->text);
    memset(file, 0, sizeof *file);
}

#endif // SESSREC_GOLDEN_FILE_H
