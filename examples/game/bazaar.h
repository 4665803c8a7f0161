// bazaar.h - a recommender inside a game, in one block of memory that is taken when the game begins
//
//     bazaar_memory_init     the block, from which everything is taken, the library's objects too
//     bazaar_open            a fixed pool of visitors, and a trainer that goes on from the game's model
//     bazaar_click           a visitor looks at a thing; a search for what they may like next begins
//     bazaar_frame           spends the rest of a frame on searches, slice by slice
//     bazaar_leave           the visitor has gone; the visit waits in a ring to be learned from
//     bazaar_learn           between two levels: learns from the ring
//
// After bazaar_open nothing is allocated. Training runs on the game's own threads (game_jobs).
#ifndef BAZAAR_H
#define BAZAAR_H

#ifndef _POSIX_C_SOURCE
#  define _POSIX_C_SOURCE 200809L  // for pthread.h and clock_gettime
#endif
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

// ---- memory: the first free piece of one block that is large enough ----

static void *bazaar_take(size_t size);
static void bazaar_give(void *piece);
#define SESSREC_MALLOC(size) bazaar_take(size)
#define SESSREC_FREE(piece) bazaar_give(piece)
#define SESSREC_NO_THREADS
#include "../../sessrec.h"

// Stands in front of each piece; pieces follow each other without gaps.
typedef struct bazaar_piece {
    size_t size;                    // with this header; a multiple of PIECE_UNIT
    int32_t taken;
} bazaar_piece;
enum { PIECE_UNIT = 64 };

static struct {
    unsigned char *block;
    size_t size, used, most;        // bytes; `most` that were ever used at once
    int64_t takes;                  // calls so far
} bazaar_memory;

static bazaar_piece *bazaar_piece_at(size_t offset) {
    return (bazaar_piece *)(void *)(bazaar_memory.block + offset);
}

// The block is 64-byte aligned, its size a multiple of 64.
static void bazaar_memory_init(void *block, size_t size) {
    bazaar_memory.block = (unsigned char *)block;
    bazaar_memory.size = size;
    bazaar_memory.used = bazaar_memory.most = 0;
    bazaar_memory.takes = 0;
    bazaar_piece_at(0)->size = size;
    bazaar_piece_at(0)->taken = 0;
}

static void *bazaar_take(size_t size) {
    ++bazaar_memory.takes;
    if (size > bazaar_memory.size) return NULL;
    const size_t need = (size + 2 * PIECE_UNIT - 1) / PIECE_UNIT * PIECE_UNIT;
    for (size_t at = 0; at < bazaar_memory.size; at += bazaar_piece_at(at)->size) {
        bazaar_piece *piece = bazaar_piece_at(at);
        if (piece->taken) continue;
        while (at + piece->size < bazaar_memory.size && !bazaar_piece_at(at + piece->size)->taken)
            piece->size += bazaar_piece_at(at + piece->size)->size;
        if (piece->size < need) continue;
        if (piece->size > need) {
            bazaar_piece_at(at + need)->size = piece->size - need;
            bazaar_piece_at(at + need)->taken = 0;
        }
        piece->size = need;
        piece->taken = 1;
        bazaar_memory.used += need;
        if (bazaar_memory.used > bazaar_memory.most) bazaar_memory.most = bazaar_memory.used;
        return bazaar_memory.block + at + PIECE_UNIT;
    }
    return NULL;
}

static void bazaar_give(void *memory) {
    if (!memory) return;
    const size_t offset = (size_t)((unsigned char *)memory - bazaar_memory.block);
    bazaar_piece *piece = bazaar_piece_at(offset - PIECE_UNIT);
    piece->taken = 0;
    bazaar_memory.used -= piece->size;
}

// ---- jobs: the game's threads, which the library borrows ----

enum { GAME_THREADS = 2 };          // with the one that asks

typedef struct game_jobs {
    pthread_mutex_t lock;
    pthread_cond_t work, finished;
    pthread_t threads[GAME_THREADS - 1];
    void (*task)(void *context, int32_t index);
    void *context;
    int32_t next, count, unfinished, quit;
    int64_t served;                 // tasks so far
} game_jobs;

// Does tasks until none is left. The lock is held at the start and at the end.
static void game_jobs_work(game_jobs *jobs) {
    while (jobs->next < jobs->count) {
        const int32_t index = jobs->next++;
        pthread_mutex_unlock(&jobs->lock);
        jobs->task(jobs->context, index);
        pthread_mutex_lock(&jobs->lock);
        ++jobs->served;
        if (--jobs->unfinished == 0) pthread_cond_signal(&jobs->finished);
    }
}

static void *game_jobs_thread(void *user) {
    game_jobs *jobs = (game_jobs *)user;
    pthread_mutex_lock(&jobs->lock);
    while (!jobs->quit) {
        game_jobs_work(jobs);
        pthread_cond_wait(&jobs->work, &jobs->lock);
    }
    pthread_mutex_unlock(&jobs->lock);
    return NULL;
}

// What sessrec_jobs.run asks for.
static void game_jobs_run(void *user, int32_t count, void (*task)(void *context, int32_t index),
                          void *context) {
    game_jobs *jobs = (game_jobs *)user;
    pthread_mutex_lock(&jobs->lock);
    jobs->task = task;
    jobs->context = context;
    jobs->next = 0;
    jobs->count = jobs->unfinished = count;
    pthread_cond_broadcast(&jobs->work);
    game_jobs_work(jobs);
    while (jobs->unfinished) pthread_cond_wait(&jobs->finished, &jobs->lock);
    pthread_mutex_unlock(&jobs->lock);
}

static int game_jobs_init(game_jobs *jobs) {
    memset(jobs, 0, sizeof *jobs);
    if (pthread_mutex_init(&jobs->lock, NULL) || pthread_cond_init(&jobs->work, NULL) ||
        pthread_cond_init(&jobs->finished, NULL))
        return -1;
    for (int i = 0; i < GAME_THREADS - 1; ++i)
        if (pthread_create(&jobs->threads[i], NULL, game_jobs_thread, jobs)) return -1;
    return 0;
}

static void game_jobs_close(game_jobs *jobs) {
    pthread_mutex_lock(&jobs->lock);
    jobs->quit = 1;
    pthread_cond_broadcast(&jobs->work);
    pthread_mutex_unlock(&jobs->lock);
    for (int i = 0; i < GAME_THREADS - 1; ++i) pthread_join(jobs->threads[i], NULL);
}

// ---- the bazaar ----

enum {
    VISITORS = 256,
    WANTED = 5,                     // recommendations
    SLICE = 256,                    // things that are scored between two looks at the clock
    VISIT_ROOM = 16,                // clicks of a visit that are learned from
    RING = 1024                     // visits that wait to be learned from; older ones are forgotten
};

typedef struct bazaar_visit {
    int32_t count, clicks[VISIT_ROOM];
} bazaar_visit;

// A visitor, and the search for what they may like: things [0,searched) have been looked at, `best` are the
// best of them.
typedef struct bazaar_visitor {
    sessrec_session *session;
    bazaar_visit visit;
    int32_t searching, searched, count;
    sessrec_recommendation best[WANTED];
} bazaar_visitor;

typedef struct bazaar {
    sessrec_trainer *trainer;
    sessrec_sampler *sampler;
    const sessrec_model *model;     // the trainer's, which gets better
    sessrec_scratch *scratch;
    int32_t item_count;
    void *pool;                     // one piece for scratch and sessions
    bazaar_visitor visitors[VISITORS];
    bazaar_visit ring[RING];
    int32_t ring_next, ring_count;
    int32_t turn;                   // whose search goes on
    double slice_seconds;           // what nine slices of ten stay below; an interrupted one moves it little
    double (*now)(void);            // seconds; a test brings its own clock
} bazaar;

static double bazaar_clock(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void bazaar_close(bazaar *b) {
    sessrec_sampler_destroy(b->sampler);
    sessrec_trainer_destroy(b->trainer);
    bazaar_give(b->pool);
    memset(b, 0, sizeof *b);
}

// Scratch and sessions, side by side in one piece.
static sessrec_result bazaar_fill_pool(bazaar *b, sessrec_error *err) {
    const size_t scratch_size = sessrec_scratch_size(b->model, 1);
    const size_t size = sessrec_session_shared_size(b->model, VISIT_ROOM);
    b->pool = bazaar_take(scratch_size + VISITORS * size);
    if (!b->pool) return sessrec_error_set(err, SESSREC_OUT_OF_MEMORY, NULL);
    unsigned char *room = (unsigned char *)b->pool;
    sessrec_result result = sessrec_scratch_init(b->model, 1, room, scratch_size, &b->scratch, err);
    room += scratch_size;
    for (int i = 0; i < VISITORS && !result; ++i, room += size)
        result = sessrec_session_init_shared(b->model, VISIT_ROOM, b->scratch, room, size,
                                             &b->visitors[i].session, err);
    return result;
}

// A trainer goes on from the model in config->start_from; `recent`, some visits with that model's items, tell
// it how large its steps must be (sessrec_trainer_warm_up). Neither is needed afterwards. A failure leaves
// nothing behind.
static sessrec_result bazaar_open(bazaar *b, const sessrec_config *config, const sessrec_log *recent,
                                  sessrec_error *err) {
    sessrec_batcher *batcher = NULL;
    memset(b, 0, sizeof *b);
    b->now = bazaar_clock;
    sessrec_result result = sessrec_trainer_create(config, recent, &b->trainer, err);
    if (!result) result = sessrec_trainer_sampler(b->trainer, &b->sampler, err);
    if (!result) result = sessrec_batcher_create(config, recent, b->sampler, &batcher, err);
    if (!result) result = sessrec_trainer_warm_up(b->trainer, batcher, err);
    if (!result) result = sessrec_trainer_model(b->trainer, &b->model, err);
    if (!result) result = bazaar_fill_pool(b, err);
    sessrec_batcher_destroy(batcher);
    if (result) bazaar_close(b);
    else b->item_count = sessrec_model_describe(b->model).item_count;
    return result;
}

static sessrec_result bazaar_click(bazaar *b, int32_t who, int32_t item) {
    bazaar_visitor *v = &b->visitors[who];
    const sessrec_result result = sessrec_session_click(v->session, item);
    if (result) return result;
    if (v->visit.count == VISIT_ROOM) {
        --v->visit.count;
        memmove(v->visit.clicks, v->visit.clicks + 1, (VISIT_ROOM - 1) * sizeof *v->visit.clicks);
    }
    v->visit.clicks[v->visit.count++] = item;
    v->searching = 1;
    v->searched = v->count = 0;
    return SESSREC_OK;
}

// The best of the next slice and of those that were the best so far: the library ranks both together, so the
// end is what one search through everything finds.
static sessrec_result bazaar_search_slice(bazaar *b, bazaar_visitor *v) {
    int32_t candidates[WANTED + SLICE], count = 0;
    sessrec_query query = sessrec_query_default();
    for (int32_t i = 0; i < v->count; ++i) candidates[count++] = v->best[i].item;
    for (int32_t i = 0; i < SLICE && v->searched < b->item_count; ++i) candidates[count++] = v->searched++;
    query.k = WANTED;
    query.candidates = candidates;
    query.candidate_count = count;
    v->searching = v->searched < b->item_count;
    return sessrec_session_recommend(v->session, &query, v->best, &v->count, NULL);
}

// Works on the visitors' searches, one after the other, while it is likely that one more slice ends within
// `budget` seconds; one slice is always done. Returns how many slices that were, or a negative
// sessrec_result.
static int32_t bazaar_frame(bazaar *b, double budget) {
    const double begin = b->now();
    int32_t slices = 0;
    for (int32_t seen = 0; seen < VISITORS; ++seen, b->turn = (b->turn + 1) % VISITORS) {
        bazaar_visitor *v = &b->visitors[b->turn];
        while (v->searching) {
            const double before = b->now();
            if (slices && before - begin + b->slice_seconds > budget) return slices;
            const sessrec_result result = bazaar_search_slice(b, v);
            if (result) return result;
            const double took = b->now() - before;
            if (b->slice_seconds > 0) b->slice_seconds *= took > b->slice_seconds ? 1.2 : 0.99;
            else b->slice_seconds = took;
            ++slices;
        }
    }
    return slices;
}

static void bazaar_leave(bazaar *b, int32_t who) {
    bazaar_visitor *v = &b->visitors[who];
    if (v->visit.count > 1) {
        b->ring[b->ring_next] = v->visit;
        b->ring_next = (b->ring_next + 1) % RING;
        if (b->ring_count < RING) ++b->ring_count;
    }
    v->visit.count = 0;
    v->searching = v->count = 0;
    sessrec_session_end(v->session);
}

// Learns from the visits of the ring, the oldest first, until `budget` seconds have passed; the others wait.
// Returns how many visits that were, or a negative sessrec_result.
static int32_t bazaar_learn(bazaar *b, double budget) {
    const double begin = b->now();
    int32_t learned = 0;
    for (; b->ring_count && b->now() - begin < budget; --b->ring_count, ++learned) {
        const bazaar_visit *visit = &b->ring[(b->ring_next + RING - b->ring_count) % RING];
        const sessrec_result result =
            sessrec_trainer_learn(b->trainer, b->sampler, visit->clicks, visit->count, NULL, NULL);
        if (result) return result;
    }
    return learned;
}

#endif // BAZAAR_H
