// zoo.h - what the architectures of this folder are made of: tensors, and layers forward and backward
//
// Sessions are packed: the clicks of all sessions of a mini-batch stand one behind the other, P places in
// all, and nothing is padded. Every layer has its backward pass beside it. A backward pass gets dy = dL/dy,
// ADDS to the gradients of its weights and OVERWRITES dx. Arrays are row-major, shapes stand in comments.
//
// All of it compiles with every float a double, in which tests/test_zoo.c holds each gradient against finite
// differences. Public domain or MIT-0, as sessrec.h.
#ifndef ZOO_H
#define ZOO_H

#include "../../sessrec.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ZOO_TENSORS = 96, ZOO_ROWS = 64, ZOO_CATEGORIES = 4, ZOO_CHUNK_BYTES = 1 << 20 };

// A matrix of weights, its gradient, and what Adam keeps of it. Of a table only the rows that a step has
// touched have a gradient and are updated; -1: all.
typedef struct zoo_tensor {
    int32_t rows, columns, touched_count;
    float *w, *g;
    int32_t *touched;                           // [rows] of a table, else NULL
    unsigned char *is_touched;                  // [rows]
    sessrec_optimizer_state adam;
} zoo_tensor;

typedef struct zoo_options {
    int32_t width, heads, layers, most_clicks;  // of a session, the last ones
    int32_t epochs, sessions;                   // of a mini-batch
    int32_t samples;                            // of the softmax; 0: the whole catalog
    float dropout, rate, decay, clip, warm_up;  // warm_up: part of all steps
    int32_t loss;                               // sessrec_loss_kind
    int32_t hardest;                            // negatives of a row that count; 0: all
    int32_t gates;                              // 1: what a layer adds passes a gate
} zoo_options;

// Memory of one step, a chain of chunks.
typedef struct zoo_chunk {
    struct zoo_chunk *next;
    size_t size, used;                          // bytes, with this head
} zoo_chunk;

// A network.
typedef struct zoo {
    zoo_options options;
    int32_t items;                              // V
    const int64_t *supports;                    // [V]
    int32_t category_columns, category_count[ZOO_CATEGORIES];
    int32_t *category[ZOO_CATEGORIES];          // [V] of each item
    sessrec_sampler *sampler;                   // with options.samples > 0, by the root of the support
    double support_sum, root_sum;
    uint64_t seed;
    int64_t step, steps;                        // so far, and in all
    int32_t masks;                              // dropout masks drawn in this step
    int32_t show;                               // 1: weights of attention and gates are printed
    sessrec_pool *pool;
    zoo_tensor *tensors[ZOO_TENSORS], *E, *b;   // E [V,W] and b [V,1]: scores = h E^T + b
    int32_t tensor_count;
    zoo_chunk *first, *chunk;
} zoo;

// A mini-batch of packed sessions: session s has the places begins[s] .. begins[s+1]-1.
typedef struct zoo_batch {
    int32_t sessions, places;                   // places: P
    const int32_t *begins;                      // [sessions+1]
    const int32_t *items, *targets;             // [P] clicked, and clicked next
    const double *times;                        // [P] seconds
} zoo_batch;

// An architecture. It is served click by click from a state, whose first floats are h, or by running the
// session anew.
typedef struct zoo_model {
    const char *name;
    zoo_options options;
    void *(*create)(zoo *net);                  // makes its tensors; the block is the caller's to free
    // forward and backward of a mini-batch; the mean loss of its places
    double (*train)(zoo *net, void *model, const zoo_batch *batch);
    size_t (*state_floats)(const zoo *net);     // a state begins as zeros: h [W], how many clicks [1] ..
    int32_t keeps_items;                        // 1: .. and those that are kept [most_clicks]
    void (*click)(zoo *net, const void *model, float *state, int32_t item);
    const float *(*next)(zoo *net, const void *model, const zoo_batch *session);  // h of its last place
} zoo_model;

// ---- memory -----------------------------------------------------------------------------------------------

static inline void *zoo_zeros(size_t count, size_t size) {
    void *block = calloc(count ? count : 1, size);
    if (!block) {
        fprintf(stderr, "zoo: out of memory\n");
        exit(1);
    }
    return block;
}
static inline zoo_chunk *zoo_chunk_at(void *memory, size_t size) {
    zoo_chunk *chunk = (zoo_chunk *)memory;
    chunk->next = NULL, chunk->size = size, chunk->used = 64;
    return chunk;
}
// Zeroed memory that lasts until the step ends.
static inline void *zoo_bytes(zoo *net, size_t bytes) {
    bytes = (bytes + 63) / 64 * 64;
    while (!net->chunk || bytes > net->chunk->size - net->chunk->used) {
        zoo_chunk **next = net->chunk ? &net->chunk->next : &net->first;
        const size_t size = 64 + (bytes > ZOO_CHUNK_BYTES ? bytes : (size_t)ZOO_CHUNK_BYTES);
        if (!*next) *next = zoo_chunk_at(zoo_zeros(size, 1), size);
        net->chunk = *next;
        net->chunk->used = 64;
    }
    void *place = (char *)net->chunk + net->chunk->used;
    net->chunk->used += bytes;
    return memset(place, 0, bytes);
}
static inline float *zoo_floats(zoo *net, int32_t rows, int32_t columns) {
    return (float *)zoo_bytes(net, (size_t)rows * (size_t)columns * sizeof(float));
}
static inline int32_t *zoo_integers(zoo *net, int32_t count) {
    return (int32_t *)zoo_bytes(net, (size_t)count * sizeof(int32_t));
}
// The step is over.
static inline void zoo_forget(zoo *net) {
    if (net->first) net->first->used = 64;
    net->chunk = net->first;
    net->masks = 0;
}
static inline void zoo_free_chunks(zoo_chunk *chunk) {
    while (chunk) {
        zoo_chunk *next = chunk->next;
        free(chunk);
        chunk = next;
    }
}

// Weights [rows,columns], uniform in +-range; add: plus that.
static inline zoo_tensor *zoo_tensor_of(zoo *net, int32_t rows, int32_t columns, double range, double add) {
    const size_t n = (size_t)rows * (size_t)columns;
    zoo_tensor *t = (zoo_tensor *)zoo_zeros(1, sizeof *t);
    net->tensors[net->tensor_count++] = t;  // ZOO_TENSORS is more than any architecture here makes
    t->rows = rows, t->columns = columns, t->touched_count = -1;
    t->w = (float *)zoo_zeros(n, sizeof(float)), t->g = (float *)zoo_zeros(n, sizeof(float));
    t->adam.first = (float *)zoo_zeros(n, sizeof(float));
    t->adam.second = (float *)zoo_zeros(n, sizeof(float));
    t->adam.steps = (int32_t *)zoo_zeros((size_t)rows, sizeof(int32_t));
    for (size_t i = 0; i < n; ++i) {
        const double u = (double)sessrec_random_unit(net->seed, (uint64_t)net->tensor_count, i);
        t->w[i] = (float)(add + range * (2 * u - 1));
    }
    return t;
}
static inline zoo_tensor *zoo_matrix(zoo *net, int32_t rows, int32_t columns) {
    return zoo_tensor_of(net, rows, columns, sqrt(6.0 / ((double)rows + (double)columns)), 0);
}
static inline zoo_tensor *zoo_bias(zoo *net, int32_t columns) {
    return zoo_tensor_of(net, 1, columns, 0, 0);
}
// Vectors [rows,columns] of which a step touches few.
static inline zoo_tensor *zoo_table(zoo *net, int32_t rows, int32_t columns, double range) {
    zoo_tensor *t = zoo_tensor_of(net, rows, columns, range, 0);
    t->touched = (int32_t *)zoo_zeros((size_t)rows, sizeof(int32_t));
    t->is_touched = (unsigned char *)zoo_zeros((size_t)rows, 1);
    t->touched_count = 0;
    return t;
}
// What items are scored with: E [items,columns] and b. Returns E.
static inline zoo_tensor *zoo_scores(zoo *net, int32_t items, int32_t columns) {
    net->b = zoo_table(net, items, 1, 0);
    return net->E = zoo_table(net, items, columns, sqrt(6.0 / ((double)items + (double)columns)));
}
static inline void zoo_touch(zoo_tensor *t, int32_t row) {
    if (t->touched_count < 0 || t->is_touched[row]) return;
    t->is_touched[row] = 1;
    t->touched[t->touched_count++] = row;
}
static inline void zoo_free(zoo *net) {
    for (int32_t i = 0; i < net->tensor_count; ++i) {
        zoo_tensor *t = net->tensors[i];
        free(t->w), free(t->g), free(t->adam.first), free(t->adam.second), free(t->adam.steps);
        free(t->touched), free(t->is_touched), free(t);
    }
    for (int32_t c = 0; c < net->category_columns; ++c) free(net->category[c]);
    zoo_free_chunks(net->first);
    sessrec_sampler_destroy(net->sampler);
    sessrec_pool_destroy(net->pool);
}

#endif // ZOO_H
