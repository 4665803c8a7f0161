// files.h - architectures of the zoo in files
//
// Text, then numbers:
//     zoo model 1 NAME\n   OPTION VALUE\n ..   items V\n   categories C COUNT ..\n
//     V lines SUPPORT CATEGORY .. LENGTH ID\n   tensors N\n   float32 of each, little-endian
// The last 8 bytes are a sum over all others: a damaged file is refused, and nothing is allocated for a file
// that promises more than it has.
#ifndef ZOO_FILES_H
#define ZOO_FILES_H

#include "scorer.h"

#include <stddef.h>

// ---- options by name --------------------------------------------------------------------------------------

typedef struct zoo_option {
    const char *name;
    size_t at;                      // in zoo_options
    int32_t is_whole;
    double least, most;
} zoo_option;
#define ZOO_WHOLE(name, field, least, most) {name, offsetof(zoo_options, field), 1, least, most}
#define ZOO_PART(name, field, least, most) {name, offsetof(zoo_options, field), 0, least, most}
static const zoo_option zoo_option_table[] = {
    ZOO_WHOLE("width", width, 1, 4096), ZOO_WHOLE("heads", heads, 1, 64), ZOO_WHOLE("layers", layers, 1, 4),
    ZOO_WHOLE("most-clicks", most_clicks, 1, 1024), ZOO_WHOLE("epochs", epochs, 1, 1e6),
    ZOO_WHOLE("sessions", sessions, 1, 1e6), ZOO_WHOLE("samples", samples, 0, 1e6),
    ZOO_PART("dropout", dropout, 0, 0.99), ZOO_PART("rate", rate, 0, 10), ZOO_PART("decay", decay, 0, 10),
    ZOO_PART("clip", clip, 0, 1e6), ZOO_PART("warm-up", warm_up, 0, 0.99),
    ZOO_WHOLE("loss", loss, SESSREC_LOSS_XE, SESSREC_LOSS_BPR_MAX), ZOO_WHOLE("hardest", hardest, 0, 1e6),
    ZOO_WHOLE("gates", gates, 0, 1)};
enum { ZOO_OPTIONS = (int)(sizeof zoo_option_table / sizeof *zoo_option_table) };

// Sets an option. NULL, or what is wrong with it.
static inline const char *zoo_set_option(zoo_options *o, const char *name, const char *value) {
    for (const zoo_option *each = zoo_option_table; each < zoo_option_table + ZOO_OPTIONS; ++each) {
        char *end, *field = (char *)o + each->at;
        const double x = strtod(value, &end);
        if (strcmp(name, each->name)) continue;
        if (end == value || *end || !(x >= each->least && x <= each->most)) return "is out of its range";
        if (!each->is_whole) *(float *)(void *)field = (float)x;
        else if (floor(x) < x) return "must be a whole number";
        else *(int32_t *)(void *)field = (int32_t)x;
        return NULL;
    }
    return "is not an option";
}

// ---- writing ----------------------------------------------------------------------------------------------

typedef struct zoo_buffer {
    unsigned char *bytes;
    size_t size, room;
} zoo_buffer;

static inline void zoo_put(zoo_buffer *out, const void *bytes, size_t size) {
    if (size > out->room - out->size) {
        zoo_buffer larger = {NULL, out->size, 2 * (out->size + size) + 1024};
        larger.bytes = (unsigned char *)zoo_zeros(larger.room, 1);
        if (out->size) memcpy(larger.bytes, out->bytes, out->size);
        free(out->bytes);
        *out = larger;
    }
    if (size) memcpy(out->bytes + out->size, bytes, size);
    out->size += size;
}
static inline void zoo_print(zoo_buffer *out, const char *text, double number) {
    char line[64];
    const int size = snprintf(line, sizeof line, "%s%.9g", text, number);
    zoo_put(out, line, (size_t)size);
}
static inline void zoo_number_bytes(uint64_t number, int size, unsigned char *bytes) {
    for (int i = 0; i < size; ++i) bytes[i] = (unsigned char)(number >> 8 * i & 255);
}
static inline uint64_t zoo_bytes_number(const unsigned char *bytes, int size) {
    uint64_t number = 0;
    for (int i = 0; i < size; ++i) number |= (uint64_t)bytes[i] << 8 * i;
    return number;
}
static inline uint64_t zoo_sum(const unsigned char *bytes, size_t size) {
    uint64_t sum = 0xcbf29ce484222325u;
    while (size--) sum = (sum ^ *bytes++) * 0x100000001b3u;     // FNV-1a
    return sum;
}
// Ends the file with its sum and writes it, completely or not at all.
static inline sessrec_result zoo_write(zoo_buffer *out, const char *path, sessrec_error *err) {
    unsigned char sum[8];
    zoo_number_bytes(zoo_sum(out->bytes, out->size), 8, sum);
    zoo_put(out, sum, sizeof sum);
    const sessrec_output output = {path, "zoo ", NULL, NULL, out->bytes, out->size};
    const sessrec_result result = sessrec_outputs_write(&output, 1, err);
    free(out->bytes);
    return result;
}

static inline sessrec_result zoo_model_write(const zoo_served *s, const char *path, sessrec_error *err) {
    const zoo *net = s->net;
    zoo_buffer out = {NULL, 0, 0};
    zoo_put(&out, "zoo model 1 ", 12);
    zoo_put(&out, s->kind->name, strlen(s->kind->name));
    for (const zoo_option *o = zoo_option_table; o < zoo_option_table + ZOO_OPTIONS; ++o) {
        const char *field = (const char *)&net->options + o->at;
        zoo_put(&out, "\n", 1);
        zoo_put(&out, o->name, strlen(o->name));
        zoo_print(&out, " ", o->is_whole ? (double)*(const int32_t *)(const void *)field
                                         : (double)*(const float *)(const void *)field);
    }
    zoo_print(&out, "\nitems ", net->items);
    zoo_print(&out, "\ncategories ", net->category_columns);
    for (int32_t c = 0; c < net->category_columns; ++c) zoo_print(&out, " ", net->category_count[c]);
    for (int32_t i = 0; i < net->items; ++i) {
        zoo_print(&out, "\n", (double)net->supports[i]);
        for (int32_t c = 0; c < net->category_columns; ++c) zoo_print(&out, " ", net->category[c][i]);
        zoo_print(&out, " ", (double)strlen(s->ids[i]));
        zoo_put(&out, " ", 1);
        zoo_put(&out, s->ids[i], strlen(s->ids[i]));
    }
    zoo_print(&out, "\ntensors ", net->tensor_count);
    zoo_put(&out, "\n", 1);
    for (int32_t t = 0; t < net->tensor_count; ++t)
        for (ptrdiff_t i = 0; i < (ptrdiff_t)net->tensors[t]->rows * net->tensors[t]->columns; ++i) {
            const float w = net->tensors[t]->w[i];
            unsigned char bytes[4];
            uint32_t bits;
            memcpy(&bits, &w, sizeof bits);
            zoo_number_bytes(bits, 4, bytes);
            zoo_put(&out, bytes, 4);
        }
    return zoo_write(&out, path, err);
}

// ---- reading ----------------------------------------------------------------------------------------------

typedef struct zoo_cursor {
    const unsigned char *at, *end;
    int failed;
} zoo_cursor;

// What comes next must be `text`.
static inline void zoo_expect(zoo_cursor *c, const char *text) {
    const size_t size = strlen(text);
    if ((size_t)(c->end - c->at) < size || memcmp(c->at, text, size)) c->failed = 1;
    else c->at += size;
}
// A word of at most 63 bytes, up to a blank or line end, which stays.
static inline const char *zoo_word(zoo_cursor *c, char *word) {
    size_t size = 0;
    while (size < 63 && c->at < c->end && *c->at != ' ' && *c->at != '\n') word[size++] = (char)*c->at++;
    word[size] = 0;
    if (!size) c->failed = 1;
    return word;
}
static inline double zoo_number(zoo_cursor *c, double least, double most) {
    char word[64], *end;
    const double number = strtod(zoo_word(c, word), &end);
    if (*end || !(number >= least && number <= most)) c->failed = 1;
    return c->failed ? least : number;
}

// A network that was read, all of it; `served` is what its scorer calls itself.
typedef struct zoo_loaded {
    zoo_served served;
    zoo net;
    void *model;
    int64_t *supports;
    char **ids;
} zoo_loaded;

static inline void zoo_loaded_destroy(void *self) {
    zoo_loaded *l = (zoo_loaded *)self;
    for (int32_t i = 0; l->ids && i < l->net.items; ++i) free(l->ids[i]);
    free(l->ids), free(l->supports), free(l->served.by_id), free(l->model);
    zoo_free(&l->net);
    free(l);
}

static inline void zoo_read_head(zoo_cursor *c, zoo_loaded *l) {
    char name[64], value[64];
    zoo *net = &l->net;
    for (int i = 0; i < ZOO_OPTIONS && !c->failed; ++i) {
        zoo_expect(c, "\n");
        zoo_word(c, name);
        zoo_expect(c, " ");
        if (zoo_set_option(&net->options, name, zoo_word(c, value))) c->failed = 1;
    }
    if (net->options.width % net->options.heads) c->failed = 1;
    zoo_expect(c, "\nitems ");
    // every item has 4 width bytes of weights at least, so nothing larger than the file is allocated for it
    const double most = (double)(c->end - c->at) / 4 / (double)net->options.width;
    net->items = (int32_t)zoo_number(c, 1, most < 16777216 ? most : 16777216);
    zoo_expect(c, "\ncategories ");
    net->category_columns = (int32_t)zoo_number(c, 0, ZOO_CATEGORIES);
    for (int32_t k = 0; k < net->category_columns; ++k) {
        zoo_expect(c, " ");
        net->category_count[k] = (int32_t)zoo_number(c, 1, most + 1);
        net->category[k] = (int32_t *)zoo_zeros((size_t)net->items, sizeof(int32_t));
    }
}
static inline void zoo_read_items(zoo_cursor *c, zoo_loaded *l) {
    zoo *net = &l->net;
    net->supports = l->supports = (int64_t *)zoo_zeros((size_t)net->items, sizeof *l->supports);
    l->ids = (char **)zoo_zeros((size_t)net->items, sizeof *l->ids);
    for (int32_t i = 0; i < net->items && !c->failed; ++i) {
        zoo_expect(c, "\n");
        l->supports[i] = (int64_t)zoo_number(c, 0, 1e15);
        for (int32_t k = 0; k < net->category_columns; ++k) {
            zoo_expect(c, " ");
            net->category[k][i] = (int32_t)zoo_number(c, 0, net->category_count[k] - 1);
        }
        zoo_expect(c, " ");
        const size_t size = (size_t)zoo_number(c, 1, SESSREC_MAX_ID);
        zoo_expect(c, " ");
        if (c->failed || size > (size_t)(c->end - c->at)) {
            c->failed = 1;
            return;
        }
        l->ids[i] = (char *)zoo_zeros(size + 1, 1);
        memcpy(l->ids[i], c->at, size);
        c->at += size;
    }
}
static inline void zoo_read_tensors(zoo_cursor *c, zoo *net) {
    zoo_expect(c, "\ntensors ");
    zoo_number(c, net->tensor_count, net->tensor_count);
    zoo_expect(c, "\n");
    for (int32_t t = 0; t < net->tensor_count && !c->failed; ++t) {
        const ptrdiff_t n = (ptrdiff_t)net->tensors[t]->rows * net->tensors[t]->columns;
        if ((c->end - c->at) / 4 < n) c->failed = 1;
        for (ptrdiff_t i = 0; i < n && !c->failed; ++i, c->at += 4) {
            const uint32_t bits = (uint32_t)zoo_bytes_number(c->at, 4);
            float w;
            memcpy(&w, &bits, sizeof w);
            net->tensors[t]->w[i] = w;
            if (!((double)w - (double)w == 0)) c->failed = 1;
        }
    }
    if (c->at != c->end) c->failed = 1;
}
static inline sessrec_result zoo_read_model(zoo_cursor *c, const zoo_model *const *kinds, int kind_count,
                                            sessrec_scorer *out, sessrec_error *err) {
    char name[64];
    const zoo_model *kind = NULL;
    zoo_word(c, name);
    for (int i = 0; i < kind_count; ++i)
        if (!strcmp(name, kinds[i]->name)) kind = kinds[i];
    if (!kind) return sessrec_error_set(err, SESSREC_UNSUPPORTED, "it holds an architecture unknown here");
    zoo_loaded *l = (zoo_loaded *)zoo_zeros(1, sizeof *l);
    zoo_read_head(c, l);
    if (!c->failed) zoo_read_items(c, l);
    if (!c->failed) l->model = kind->create(&l->net);
    if (!c->failed) zoo_read_tensors(c, &l->net);
    if (c->failed) {
        zoo_loaded_destroy(l);
        return sessrec_error_set(err, SESSREC_BAD_FILE, "the file is damaged");
    }
    *out = zoo_scorer(&l->served, kind, &l->net, l->model, l->ids);
    out->destroy = zoo_loaded_destroy;
    return SESSREC_OK;
}

#endif // ZOO_FILES_H
