// sessrec.h - session-based recommendation in one C header: from a click log to the next item
//
// In ONE .c or .cpp file of your program:
//     #define SESSREC_IMPLEMENTATION
//     #include "sessrec.h"
// and #include "sessrec.h" wherever you use it. Link -lm and -lpthread where they are separate libraries.
// Public domain or MIT-0, at your choice; both texts are at the end of this file.
//
// CONTENTS        search for
//     manual      this text: 1 a program, 2 concepts, 3 guide, 4 options, 5 guarantees, 6 files
//     >>api       what you call, down to the line "Stop here"
//     the book    how it works, in the order of the papers: >>ground >>gru >>model >>losses >>sampler
//                 >>batcher >>optimizers, the training step (>>trainer >>plan >>forward >>score >>items
//                 >>backward >>weights >>step), >>users >>topk >>evaluation >>scorers
//     the engine  what the book is built on: >>platform >>errors >>memory >>hash >>ids >>threads
//                 >>vectors >>kernels >>dispatch >>matmul >>blocks >>config >>sink >>log >>streaming
//                 >>user_state >>archive >>model_file >>int8 >>scorer_file >>disk >>checkpoint >>train;
//                 behind it >>rng >>device >>compilers
//
// ==== 1. A program =========================================================================================
// clicks.tsv has one click per line: SessionId, ItemId, Time. A visitor clicks red-3: what comes next?
//
// ---- program: first ----
//     #define SESSREC_IMPLEMENTATION
//     #include "sessrec.h"
//     #include <stdio.h>
//     static unsigned char memory[8192];  // of one visitor
//     int main(void) {
//         sessrec_error error;
//         sessrec_model *model = NULL;
//         sessrec_session *visitor = NULL;
//         sessrec_recommendation best[1];
//         if (sessrec_train_file("clicks.tsv", "shop.model", NULL, &error) ||
//             sessrec_model_read("shop.model", NULL, &model, &error)) return puts(error.text), 1;
//         if (sessrec_session_init(model, 10, memory, sizeof memory, &visitor, NULL) ||
//             sessrec_session_click_id(visitor, "red-3", NULL)) return 1;
//         if (sessrec_recommend(visitor, 1, best) == 1) puts(sessrec_model_item_id(model, best[0].item));
//     }
// ---- output ----
//     red-4
// ---- end ----
//
// ==== 2. Concepts ==========================================================================================
// Glossary
//     event        one click: (session, item, time), and the user where users are known
//     session      the clicks of one visit. The task: predict its next item from its clicks so far
//     support      how many events an item has in the training log
//     slot         one of the B rows of a mini-batch; it works through one session after another
//     target       the item that was clicked next; (input, target) is a training pair
//     negative     any other item whose score a target's score is compared with
//     proposal     the distribution that negatives come from; log(proposal) is what logQ subtracts
//     diagonal     the entries (i, i) of a mini-batch's scores: row i's score for its own target
//     hidden state the vector h in which the GRU sums up the clicks of a session so far
//     scorer       anything that scores items after the clicks of a session: GRU, neighbors, rules, blend
//     scratch      working memory of one call, which the sessions of one thread can share
//     letters      B slots   H width of a hidden state, D of a layer's input, Hu of a user's state   V items
//                  N extra negatives   C = B + N columns of scores   M distinct items among these columns
//
// THE GRU (GRU4Rec; Hidasi, Karatzoglou, Baltrunas, Tikk, ICLR 2016). Each click updates the hidden state h.
// sg is the sigmoid, * multiplies element by element:
//     reset gate    r = sg(x Wr + h Ur + br)              how much of the past the candidate sees
//     update gate   z = sg(x Wz + h Uz + bz)              how much of the candidate is taken
//     candidate     n = tanh(x Wn + (r * h) Un + bn)      or, reset-after: tanh(x Wn + bn + r * (h Un + cn))
//     new state     h' = (1 - z) * h + z * n
//     score         s_i = h' . Wy_i + By_i                for every item i
// x stands for the clicked item: a one-hot vector (EMBEDDING_NONE), a row of a table of its own (SEPARATE),
// or the item's row of Wy (TIED: the best on most logs, and one table less). Reset-before is the form of the
// papers and the default; reset-after is the form of cuDNN and PyTorch.
//
// SESSION-PARALLEL MINI-BATCHES. Sessions are short and differ in length. They are not padded. Each of B
// slots works through a session; when it ends, the next session of the log takes the slot, and the slot's
// hidden state starts at zero. At the end of the log the mini-batch shrinks. Every pair is used exactly once
// per epoch.
//     log   a: a1 a2 a3   b: b1 b2   c: c1 c2 c3 c4 c5   d: d1 d2 d3   e: e1 e2
//     slot 0   input a1 a2 | e1            mini-batch 1: a1->a2 b1->b2 c1->c2      | a session begins
//              target a2 a3 | e2           mini-batch 2: a2->a3 d1->d2 c2->c3
//     slot 1   input b1 | d1 d2            mini-batch 3: e1->e2 d2->d3 c3->c4
//              target b2 | d2 d3           mini-batch 4: c4->c5     no session is left for slots 0 and 1
//     slot 2   input c1 c2 c3 c4
//              target c2 c3 c4 c5
//
// NEGATIVES. Scoring all V items in every training step would cost too much. The negatives of a row are the
// targets of the other slots and N more items, drawn with probability ~ support^alpha and shared by the whole
// mini-batch (Hidasi, Karatzoglou, CIKM 2018). So a row of scores has C = B + N columns, the targets first;
// row i's own target is column i, on the diagonal.
//
// LOSSES. y = f(s) after the output activation f, t is the target's column, j runs over the negatives:
//     XE        -log softmax(y)_t. Sampling favors popular items. logQ corrects this by subtracting logq *
//               log(proposal) from the scores: log(support) for targets, alpha * log(support) for samples
//               (Bengio, Senecal 2008)
//     TOP1      mean_j  sg(y_j - y_t) + sg(y_j^2)         the second term keeps negatives' scores near 0
//     BPR       mean_j  -log sg(y_t - y_j)                the authors' sum: see loss.with_diagonal
//     TOP1-max  sum_j w_j (sg(y_j - y_t) + sg(y_j^2))     w is the softmax of y over the negatives, so that
//     BPR-max   -log sum_j w_j sg(y_t - y_j) + bpreg sum_j w_j y_j^2      the hardest ones count most
//     gBCE      -(b log sg(y_t) + sum_j log(1 - sg(y_j))) / (1 + count of j), b = a (t (1 - 1/a) + 1/a): as
//               only a share a of the negatives is seen, the target counts less, so that scores stay right
// The loss of a mini-batch is the sum over its rows divided by batch_size, also after the batch has shrunk,
// so every event has the same weight. Gradients are not propagated to earlier clicks, as published.
//
// USERS. Where users are known, a second GRU keeps a state c for each user (HRNN: Quadrana, Karatzoglou,
// Hidasi, Cremonesi, RecSys 2017). When a session ends, c' = GRU_usr(s, c) takes in its hidden state s; the
// next session starts at h = tanh(c' W + b) instead of zero. USER_ALL also feeds c to the first layer's gates
// at every click. In training a slot works through all sessions of one user; s is the state after the last
// input, because a session's last item is only a target. A user's first session starts at zero.
//
// NEIGHBORS AND RULES score an item by the similar sessions that contain it (sessrec_knn_config has the
// formula), or by how often it followed the last clicks (sessrec_rules_config). They need no training, and on
// many logs they are hard to beat. A BLEND adds up the scores of several scorers.
//
// WHERE THE PAPERS AND THE AUTHORS' PROGRAM DIFFER there is a switch: gru, user_mode, loss.with_diagonal and
// loss.skip_own_target, whose default 1 measures better than the papers' 0. Two differences need no switch:
// the authors' eps = 1e-24 inside logarithms (computed here in a form that needs none), and the momentum that
// their program calls Nesterov's, which is classical momentum in both.
//
// EVALUATION. For every event of a session but the first, the target is ranked among all V items; nothing is
// sampled. Recall@k = [rank <= k] and MRR@k = [rank <= k] / rank, averaged over events. By default the target
// comes last among items of equal score, so that a constant scorer gains nothing. Split by time, test after
// training, not at random. Ratings are not sessions: if shuffling the events within each session leaves the
// accuracy as it was, the log has no order to learn.
//
// ==== 3. Guide =============================================================================================
// Read a log       sessrec_log_read: CSV, TSV, JSON lines; columns by name or number; any ids; times as dates
//                  or as numbers in seconds to nanoseconds. sessrec_log_note lists what deserves a look, for
//                  instance which time unit was assumed. From memory: _import, or _create, _add_many,
//                  _finish. More columns (brand, color) as numbers: format.category_columns
// Clean, split     sessrec_log_filter (rare items, short sessions), _sessionize (cut where a user was idle),
//                  _split_time, _split_last_session
// Train            sessrec_train or, from file to file, sessrec_train_file. The defaults suit a shop with
//                  thousands to hundreds of thousands of items. Another good start: loss.kind = BPR_MAX,
//                  activation = ELU, hidden[0] = 224, batch_size = 80, learning_rate = 0.05, momentum = 0.4,
//                  dropout_input = 0.5, dropout_hidden = 0.05, bpreg = 2
// Set by text      sessrec_config_set(&config, "loss", "bpr-max", &error): the command line's option names
// Stop early       pass a validation log and set patience, or return 1 from the progress callback
// Resume           set checkpoint and resume: the resumed run ends with the same bits
// Keep learning    every night: read the new log with format.items_of = model, set config.start_from = model,
//                  train as before (sessrec_trainer_warm_up explains how). From each session as it ends:
//                  sessrec_trainer_learn, see examples/online.c
// Measure          sessrec_evaluate. Compare with sessrec_scorer_pop, sessrec_rules_create and
//                  sessrec_knn_create; examples/experiment.h tests whether a difference is more than chance
// Blend            sessrec_blend_create: a GRU with neighbors is often better than either
// Recommend        a sessrec_session for each visitor, in memory of yours: _click, _recommend, _end; _export
//                  keeps it between visits. sessrec_scorer_session_init does the same for any scorer
//   to thousands   one sessrec_scratch per thread, sessrec_session_init_shared for each visitor
//   in bulk        sessrec_sessions_recommend answers many visitors in one pass through the item table
//   faster         call sessrec_model_prepare once: same recommendations, an eighth more memory
//   in less memory sessrec_model_quantize: weights of 8 bits, integers only, within a known bound
//   on a device    `sessrec export MODEL --int8 -o model.h` and the functions sessrec_tiny_: see
//                  examples/firmware
//   with reasons   sessrec_session_reasons: the rules or the neighbors behind a recommendation
//   to users       a log with users, user_hidden = 100; keep a sessrec_user for each: _begin starts a session
//                  from it, _fold takes a finished session in
// Save, load       sessrec_model_write, _read; _import uses flash or a mapped file without copying it.
//                  sessrec_scorer_write, _read for neighbors, rules and blends. sessrec_outputs_write writes
//                  several files, all or none
// Your own         scorer: fill in a sessrec_scorer. Loss: loss.kind = CUSTOM and a callback. Training loop:
//                  copy sessrec_train at the end of this file, which calls public functions only.
//                  Network: "building blocks"; examples/gru4rec.c and examples/zoo are made of them
//
// Users who come back:
//
// ---- program: users ----
//     #define SESSREC_IMPLEMENTATION
//     #include "sessrec.h"
//     #include <stdio.h>
//
//     int main(void) {
//         sessrec_config config = sessrec_config_default();
//         sessrec_recommendation best[1];
//         sessrec_log *log = NULL;
//         sessrec_model *model = NULL;
//         sessrec_log_create(NULL, &log, NULL);
//         for (int user = 0; user < 40; ++user)
//             for (int visit = 0; visit < 6; ++visit)
//                 for (int click = 0; click < 4; ++click)  // 10 11 20 13, or 10 11 21 13 by user
//                     sessrec_log_add_numbers(log, user, user * 6 + visit,
//                                             click == 2 ? 20 + user % 2 : 10 + click, visit * 100 + click);
//         config.hidden[0] = config.user_hidden = 16;
//         config.user_mode = SESSREC_USER_ALL;
//         config.batch_size = 8;
//         config.negatives = 0;
//         config.dropout_hidden = 0;
//         if (sessrec_log_finish(log, NULL) || sessrec_train(&config, log, NULL, &model, NULL)) return 1;
//
//         static unsigned char memory[2][8192];
//         sessrec_session *session = NULL;
//         sessrec_user *user = NULL;
//         if (sessrec_session_init(model, 4, memory[0], sizeof memory[0], &session, NULL)) return 1;
//         if (sessrec_user_init(model, memory[1], sizeof memory[1], &user, NULL)) return 1;
//         const char *visits[3][4] = {
//             {"10", "11", "21", "13"}, {"10", "11", "21", "13"}, {"10", "11", "", ""}};
//         for (int visit = 0; visit < 3; ++visit) {
//             sessrec_user_begin(user, session);
//             for (int click = 0; click < 4 && visits[visit][click][0]; ++click)
//                 sessrec_session_click_id(session, visits[visit][click], NULL);
//             if (visit < 2) sessrec_user_fold(user, session);  // the visitor has gone
//         }
//         if (sessrec_recommend(session, 1, best) == 1)
//             printf("%s\n", sessrec_model_item_id(model, best[0].item));
//         sessrec_model_destroy(model);
//         sessrec_log_destroy(log);
//     }
// ---- output ----
//     21
// ---- end ----
//
// The GRU alone, for a network of your own:
//
// ---- program: cell ----
//     #define SESSREC_IMPLEMENTATION
//     #include "sessrec.h"
//     #include <stdio.h>
//
//     int main(void) {
//         // [D,3H], [H,3H], [3H]: D = H = 1
//         const float W[1 * 3] = {0.5f, 1.0f, 2.0f}, U[1 * 3] = {0.1f, 0.2f, 0.3f}, b[3] = {0, 0, 0};
//         sessrec_gru gru = {SESSREC_RESET_BEFORE, 1, 1, W, U, b, NULL};
//         float h = 0, tape[4];
//         for (int click = 1; click <= 3; ++click) {
//             float x = (float)click;
//             sessrec_gru_forward(&gru, 1, &x, &h, &h, tape);
//             printf("h = %.4f\n", (double)h);
//         }
//     }
// ---- output ----
//     h = 0.7048
//     h = 0.9685
//     h = 0.9988
// ---- end ----
//
// ==== 4. Options: #define before the implementation ========================================================
//     SESSREC_NO_TRAINING  recommendation only: models, scorers, sessions, the GRU's forward step. No libm,
//                          no threads
//     SESSREC_NO_STDIO     no files: models and logs come from memory
//     SESSREC_TINY         for a device: NO_TRAINING, NO_STDIO, NO_SIMD and STATIC, no malloc, errors
//                          without sentences. Only what is called is compiled in
//     SESSREC_NO_THREADS   never start a thread; your own job system still works
//     SESSREC_NO_SIMD      plain C kernels only: the same bits (except on x87, see 5), much slower
//     SESSREC_MAX_SIMD     0 plain, 1 at most v128 (SSE2, WebAssembly SIMD, VSX), 2 at most AVX2 or NEON,
//                          3 (default) at most AVX-512. The best one that the processor has is chosen at run
//                          time
//     SESSREC_FMA(a,b,c)   your fused multiply-add, for processors whose own the plain kernels do not know;
//                          anything that is not fused changes the bits
//     SESSREC_MALLOC(size), SESSREC_FREE(block)   replace malloc and free wherever no allocator is given;
//                          malloc and free are then not linked. If you pass an allocator everywhere, define
//                          them as ((void *)0) and ((void)(block))
//     SESSREC_BLAS         large matrix products call cblas_sgemm; link a BLAS and set it to one thread.
//                          Results differ by about 1e-6
//     SESSREC_CUDA         training can run on a GPU: see >>device at the end
//     SESSREC_STATIC       make every function static: a private copy for one file
//     SESSREC_API          linkage of public functions, for instance __declspec(dllexport)
//     SESSREC_HEADER_NAME  the name of this file if you rename it: it includes itself
//
// ==== 5. Guarantees ========================================================================================
// Ownership     What a function returns through a sessrec_X ** is yours; end it with sessrec_X_destroy. What
//               you pass in stays yours. It is only read, and no pointer to it is kept, unless the function's
//               comment says so. Returned texts belong to the object.
// Memory        malloc, or your allocator. Any allocation may fail: the call then returns OUT_OF_MEMORY and
//               leaks nothing. Sessions allocate nothing.
// Stack         With optimization, no frame exceeds 2 KB from a model to a recommendation (open, click,
//               recommend, export, import) or 8 KB elsewhere; `make check` measures this. On a Cortex-M4 with
//               the model in flash, one visitor with scratch needs
//                   items     H     RAM                                            flash: code    model
//                     200    32     4.9 KB (handle 1.7, visitor 2.1, stack 1.0)        27 KB      56 KB
//                    1000    64     5.0 KB (handle 1.7, visitor 2.3, stack 1.0)        27 KB     380 KB
//                    5000   100     5.9 KB (handle 1.7, visitor 3.2, stack 1.0)        27 KB    2366 KB
//               and with the functions sessrec_tiny_ and 8 bits, without ids
//                     200    32     1.1 KB (handle 0.2, visitor 0.3, stack 0.6)         5 KB      18 KB
//                    2000    64     1.2 KB (handle 0.2, visitor 0.4, stack 0.6)         5 KB     180 KB
// Threads       There are no globals. Any number of threads may read one model or one finished log. Anything
//               else belongs to one thread at a time. By default training uses as many threads as the process
//               may use processors, at most 16 (sessrec_processor_count).
// Determinism   The same seed, log and build give the same bits for any number of threads and on plain C,
//               v128, AVX2, AVX-512 and NEON. A random number is a function of (seed, purpose, index). exp,
//               sigmoid and tanh are the library's own. Training also calls libm's log, sqrt and pow, and
//               evaluation log2; apart from these, a build for another processor, also a 32-bit one, gives
//               the same bits: what is fused on one is fused on all, whatever -march says. x87 arithmetic
//               differs. GCC for i386 avoids it by using SSE2 in this file; with SESSREC_NO_SIMD it cannot,
//               and sessrec_simd() returns "x87". On s390x GCC's -std=c99 computes float in double: add
//               -fexcess-precision=fast. SESSREC_BLAS and a GPU give other bits. So does -ffast-math, which
//               also hides NaN: do not compile this file with it.
// Errors        Errors are return values; nothing is printed, nothing exits. When a loss ends training with
//               DIVERGED, the last checkpoint is kept.
// Hostile files Click logs and model files may come from anybody. Every length is checked against the bytes
//               that are there before anything is allocated or read, every index once while loading. See
//               SECURITY.md.
// Limits        Items and sessions < 2^31, all ids together <= 4 GiB, a line of a log <= 1 MiB, k <= 65536,
//               16 threads of its own. The comments of >>api state the others.
// Not included  Item features, approximate search, recommendations other than popular items before the first
//               click.
//
// ==== 6. File format =======================================================================================
// Models, scorers and checkpoints are archives of named arrays: little-endian, nothing compressed or
// executable, no reference to other files, exactly one layout for any content. >>archive has it byte by byte.
#ifndef SESSREC_H
#define SESSREC_H

// ===========================================================================================================
// >>api
// Everything public is between here and the line "Stop here". These conventions hold throughout:
//   - Matrices are row-major float. Shapes are written [rows,columns] with the manual's letters: B H D V N C.
//   - Items, sessions and users are dense int32_t indices from 0; -1 means none or unknown.
//   - *out belongs to the caller; after a failure it is NULL. An allocator, a format or an err may be NULL,
//     and destroy(NULL) does nothing. Any other NULL pointer is INVALID_ARGUMENT; a function that does not
//     return a sessrec_result then returns NULL, -1, 0 or an empty struct.
//   - "Threads: shared" means that any number of threads may make the call on one object at once,
//     "Threads: one" that each object takes one call at a time. Such a line also holds for the functions
//     after it that have none. A _default function is shared, a _destroy function one.
// ===========================================================================================================

#include <stddef.h>
#include <stdint.h>

// Macros of others with the name of a field, in math headers for instance.
#pragma push_macro("U")
#undef U
#pragma push_macro("W")
#undef W

#define SESSREC_VERSION_MAJOR 0
#define SESSREC_VERSION_MINOR 2
#define SESSREC_VERSION_PATCH 0

#ifdef SESSREC_TINY
#  ifndef SESSREC_STATIC
#    define SESSREC_STATIC
#  endif
#  ifndef SESSREC_NO_TRAINING
#    define SESSREC_NO_TRAINING
#  endif
#  ifndef SESSREC_NO_STDIO
#    define SESSREC_NO_STDIO
#  endif
#  ifndef SESSREC_NO_SIMD
#    define SESSREC_NO_SIMD
#  endif
#  if !defined(SESSREC_MALLOC) && !defined(SESSREC_FREE)
#    define SESSREC_MALLOC(size) ((void)(size), (void *)0)
#    define SESSREC_FREE(block) ((void)(block))
#  endif
#endif
#ifndef SESSREC_API
#  ifdef SESSREC_STATIC
#    if defined(__GNUC__) || defined(__clang__)
#      define SESSREC_API static __attribute__((unused))
#    else
#      define SESSREC_API static
#    endif
#  else
#    define SESSREC_API extern
#  endif
#endif

#ifdef __cplusplus
extern "C" {
#endif

// ---- basics -----------------------------------------------------------------------------------------------

// What every function that can fail returns: 0 for success, a negative number for an error.
typedef int32_t sessrec_result;
enum {
    SESSREC_OK = 0,
    SESSREC_INVALID_ARGUMENT = -1,  // a NULL pointer, a value out of range, a config without its canary
    SESSREC_OUT_OF_MEMORY = -2,
    SESSREC_IO_ERROR = -3,          // a file could not be opened, read or written
    SESSREC_BAD_LOG = -4,           // a row of a click log cannot be read; the error has its line
    SESSREC_BAD_FILE = -5,          // a file is damaged, or is not of the expected kind
    SESSREC_UNSUPPORTED = -6,       // a file of a later version, or a feature that this build leaves out
    SESSREC_TOO_LARGE = -7,         // a limit of the library (manual, 5) or of the address space
    SESSREC_DIVERGED = -8,          // the loss became NaN, infinite or 10,000 times that of guessing
    SESSREC_STOPPED = -9,           // a callback stopped the run
    SESSREC_NO_DATA = -10,          // nothing to learn from or to evaluate: no session with two events
    SESSREC_MISMATCH = -11,         // two things do not belong together, like a state and a model
    SESSREC_NO_FILE = -12,          // there is no file of that name
    SESSREC_DEVICE_ERROR = -13      // a GPU failed; the error has its driver's message
};

// Functions that depend on something outside the program fill in a sessrec_error when they fail. `text` is
// one sentence that can be shown to users; `line` counts from 1, and 0 means that there is none.
typedef struct sessrec_error {
    sessrec_result code;
    int64_t line;
    char text[320];
} sessrec_error;

// Fills in err, unless it is NULL, and returns code. text NULL: the phrase for the code. Threads: shared.
SESSREC_API sessrec_result sessrec_error_set(sessrec_error *err, sessrec_result code, const char *text);

// A short English phrase for a code, never NULL. Threads: shared.
SESSREC_API const char *sessrec_result_text(sessrec_result result);

// The version of the linked implementation, "major.minor.patch". Threads: shared.
SESSREC_API const char *sessrec_version(void);

// The instruction set that the kernels use on this processor: "plain", "avx2", "avx512", "neon" or "v128"
// (vectors of four floats: SSE2, WebAssembly SIMD, VSX). "x87": this build keeps more digits than a float
// has, so its bits differ from all others. Threads: shared.
SESSREC_API const char *sessrec_simd(void);

#ifndef SESSREC_NO_TRAINING
// How many processors this process may use, at least 1: those that it is bound to, but no more than the
// quotas of its control groups (Linux) allow. `threads` = 0 stands for this number. Threads: shared.
SESSREC_API int32_t sessrec_processor_count(void);
#endif

// Where an object gets its memory; the struct is copied into the object. All zero: malloc and free. `alloc`
// returns NULL when there is no memory; any alignment will do.
typedef struct sessrec_allocator {
    void *(*alloc)(void *user, size_t bytes);
    void (*free)(void *user, void *block);
    void *user;
} sessrec_allocator;

// Your own job system: run task(context, i) for every i in [0, count), on any threads and in any order, and
// return when all are done. run == NULL: the library starts `threads` - 1 threads of its own.
typedef struct sessrec_jobs {
    void (*run)(void *user, int32_t count, void (*task)(void *context, int32_t index), void *context);
    void *user;
} sessrec_jobs;

// ---- configuration ----------------------------------------------------------------------------------------

#define SESSREC_MAX_LAYERS 4
#define SESSREC_MAX_CUTOFFS 8
#define SESSREC_MAX_ID 255      // bytes of a session, item or user id, and of a category
#define SESSREC_MAX_CATEGORIES 4

// The place of the reset gate in the candidate n of the GRU.
typedef int32_t sessrec_gru_form;
enum {
    SESSREC_RESET_BEFORE = 0,   // n = tanh(W x + U (r * h) + b)         Hidasi 2016, Cho 2014
    SESSREC_RESET_AFTER = 1     // n = tanh(W x + b + r * (U h + c))     cuDNN, PyTorch
};

// How the first GRU layer sees an item.
typedef int32_t sessrec_embedding;
enum {
    SESSREC_EMBEDDING_TIED = 0,         // the item's row of the output matrix Wy: D = width of the last layer
    SESSREC_EMBEDDING_SEPARATE = 1,     // a row of a table of its own, D = embedding_width
    SESSREC_EMBEDDING_NONE = 2          // one-hot input: W has one row per item
};

// What the user's state c does in a session (Quadrana 2017), if user_hidden > 0.
typedef int32_t sessrec_user_mode;
enum {
    SESSREC_USER_INIT = 0,  // it sets the session's first hidden states: h = tanh(c W + b)
    SESSREC_USER_ALL = 1,   // also, all three gates of the first layer get it at every click
    SESSREC_USER_GATES = 2  // the same without the candidate, as in the authors' program
};

typedef int32_t sessrec_loss_kind;
enum {
    SESSREC_LOSS_XE = 0,        // cross-entropy, -log softmax(s)_i
    SESSREC_LOSS_TOP1 = 1,      // Hidasi 2016
    SESSREC_LOSS_BPR = 2,       // Hidasi 2016, after Rendle 2009
    SESSREC_LOSS_TOP1_MAX = 3,  // Hidasi 2018, eq. 8
    SESSREC_LOSS_BPR_MAX = 4,   // Hidasi 2018, eq. 10 and 12
    SESSREC_LOSS_GBCE = 5,      // Petrov, Macdonald, RecSys 2023
    SESSREC_LOSS_CUSTOM = 6     // a callback, sessrec_loss_config.custom
};

// The output activation y = f(s) that the loss sees. XE with LINEAR is the softmax layer.
typedef int32_t sessrec_activation;
enum {
    SESSREC_LINEAR = 0,     // s
    SESSREC_TANH = 1,       // tanh s
    SESSREC_RELU = 2,       // max(s, 0)
    SESSREC_LEAKY = 3,      // s for s >= 0, else a s
    SESSREC_ELU = 4,        // s for s >= 0, else a (e^s - 1)
    SESSREC_SELU = 5        // b times (s for s >= 0, else a (e^s - 1))
};

// A loss of your own. Row i of scores [rows,columns] has its target in column first_row + i; every other
// column is a negative. items [columns] is the item of each column. Write each row's loss to row_loss [rows]
// and d(sum of row_loss)/d(scores) to gradient [rows,columns]. Several threads call it at once, for disjoint
// rows.
typedef void (*sessrec_loss_callback)(void *user, int32_t first_row, int32_t rows, int32_t columns,
                                      const int32_t *items, const float *scores, float *row_loss,
                                      float *gradient);

typedef struct sessrec_loss_config {
    sessrec_loss_kind kind;         // default XE
    sessrec_activation activation;  // default LINEAR
    float activation_a;             // slope of LEAKY, alpha of ELU and SELU; default 0.5
    float activation_b;             // lambda of SELU; default 1.0507
    int32_t with_diagonal;          // TOP1, BPR: what to average over. 0: the negatives, as in the paper. 1
                                    // (default), as in the authors' program: all columns, with the target
                                    // itself (the diagonal) among them; BPR is then a sum instead of a mean
    float bpreg;                    // BPR_MAX: score regularization, >= 0; default 1
    float logq;                     // XE: scores - logq * log(proposal) enter the softmax, >= 0; default 1, 0
                                    // is off. The proposal: how likely the item is drawn as target or sample
    float smoothing;                // XE: label smoothing e in [0,1): target 1-e, others e/(C-1); default 0
    int32_t skip_own_target;        // 1 (default): a row leaves out negative columns that are its own target,
                                    // which measures better on real logs. 0: they count, as in the papers
    int32_t hardest;                // a row compares only with its so many highest-scored negatives, and with
                                    // those that score the same as the last of them (TRON: Wilm et al.,
                                    // RecSys 2023); default 0, with all
    float calibration;              // GBCE: t in [0,1]; default 0.75. 0 is binary cross-entropy
    float sampling_rate;            // GBCE: a, negatives / (V - 1), at most 1. Default 0: in training from
                                    // batch_size and negatives, in sessrec_loss 1
    sessrec_loss_callback custom;   // CUSTOM only
    void *custom_user;
} sessrec_loss_config;

typedef int32_t sessrec_optimizer_kind;
enum {
    SESSREC_SGD = 0,
    SESSREC_ADAGRAD = 1,
    SESSREC_RMSPROP = 2,
    SESSREC_ADADELTA = 3,
    SESSREC_ADAM = 4
};

typedef struct sessrec_optimizer_config {
    sessrec_optimizer_kind kind;    // default ADAGRAD
    float learning_rate;            // > 0; default 0.2 (ADADELTA: 1 is usual)
    float momentum;                 // classical momentum on the scaled gradient, [0,1); default 0.2
    float decay;                    // RMSPROP and ADADELTA, (0,1); default 0.9
    float beta1, beta2;             // ADAM, (0,1); default 0.9, 0.999
    float epsilon;                  // > 0; default 1e-6; inside the root, for ADAM outside
    float l2;                       // adds l2 * w to the gradient of touched weights, >= 0; default 0
    float gradient_cap;             // scales the gradient of a tensor down to this L2 norm; default 0, off
} sessrec_optimizer_config;

// The state of a training run, for the progress callback.
typedef struct sessrec_progress {
    int32_t epoch, epochs;          // epoch counts from 0
    int64_t step, steps;            // mini-batches done, and in all of the epoch (shuffled: the last one)
    int64_t events;                 // (input, target) pairs trained in this epoch so far
    double loss;                    // mean over those pairs
    double events_per_second;
    double seconds, seconds_left;   // since the run began; estimated until its end
    int32_t epoch_done;             // 1 in the call that ends an epoch
    double validation;              // if epoch_done, the MRR@20 on the validation log; else -1
    const char *device;             // "cpu", or the GPU's name
} sessrec_progress;

// Where training runs. CUDA is UNSUPPORTED without SESSREC_CUDA or a GPU; the error has CUDA's message.
typedef int32_t sessrec_device;
enum {
    SESSREC_DEVICE_CPU = 0,
    SESSREC_DEVICE_CUDA = 1,
    SESSREC_DEVICE_CUDA_OR_CPU = 2  // the GPU if there is one: see sessrec_trainer_device
};

// All settings of a model and its training. Start with sessrec_config_default() and change fields. A struct
// filled with zeros is refused, because it lacks the canary: 0 is a legal dropout and momentum.
typedef struct sessrec_config {
    uint32_t canary;                        // set by sessrec_config_default
    // the network
    int32_t layer_count;                    // 1..4; default 1
    int32_t hidden[SESSREC_MAX_LAYERS];     // width H of each layer, 1..8192; default 100
    sessrec_embedding embedding;            // default TIED
    int32_t embedding_width;                // SEPARATE only, 1..8192; default 100
    sessrec_gru_form gru;                   // default RESET_BEFORE
    // the user-level GRU, for logs with users
    int32_t user_hidden;                    // its width, 1..8192; 0 (default): sessions are independent
    sessrec_user_mode user_mode;            // default INIT
    float dropout_user;                     // of the user's state when it is updated, [0,1); default 0
    float dropout_init;                     // of the hidden states that it gives a session, [0,1); default 0
    // learning
    sessrec_loss_config loss;
    sessrec_optimizer_config optimizer;
    float dropout_input;                    // probability of dropping an input unit, [0,1); default 0
    float dropout_hidden;                   // of a hidden unit of each layer, [0,1); default 0.4. The next
                                            // step gets the result, scaled by 1/(1-p)
    int32_t batch_size;                     // slots of a mini-batch, 1..65536; default 32
    int32_t negatives;                      // N, samples shared by a mini-batch, 0..1048576; default 2048
    float alpha;                            // drawn with probability ~ support^alpha, [0,1]; default 0.5
    int32_t epochs;                         // >= 1; default 10
    int32_t shuffle_sessions;               // 1: in a new random order each epoch; 0 (default): by time
    uint64_t seed;                          // default 1
    // validation and checkpoints, used by sessrec_train
    int32_t patience;                       // epochs without a better validation MRR@20; default 0, no stop
    const char *checkpoint;                 // file written after every epoch, NULL (default): none
    int64_t checkpoint_steps;               // also after this many mini-batches; default 0, no
    int32_t resume;                         // 1: continue from `checkpoint` if that file exists; default 0
    const struct sessrec_model *start_from;  // weights to start with, NULL (default): random. See
                                             // sessrec_log_format.items_of and sessrec_trainer_warm_up
    // the machine
    sessrec_device device;                  // default CPU, or CUDA_OR_CPU in a build with SESSREC_CUDA
    int32_t threads;                        // 0 (default): sessrec_processor_count(), at most 16
    sessrec_jobs jobs;                      // default: own threads
    sessrec_allocator allocator;            // default: malloc
    // Called a few times per second and at the end of each epoch; a return value other than 0 stops the run.
    int32_t (*progress)(void *user, const sessrec_progress *progress);
    void *progress_user;
} sessrec_config;

#ifndef SESSREC_NO_TRAINING

// The defaults above, which are the authors' published setting for the RSC15 log. Threads: shared.
SESSREC_API sessrec_config sessrec_config_default(void);

// INVALID_ARGUMENT if a configuration cannot be trained; err says what is wrong with it. Threads: shared.
SESSREC_API sessrec_result sessrec_config_check(const sessrec_config *config, sessrec_error *err);

// Sets a field from text, by the names of the command line: "layers" to "100,50", "embedding" to "tied",
// "none" or a width, "loss" to "bpr-max", "activation" to "elu:0.5", "lr" to "0.2", "shuffle" to "1" and so
// on. '_' works like '-', and "learning-rate", "batch-size", "user-hidden", "user-mode" and
// "shuffle-sessions" work too. An impossible value changes nothing and is INVALID_ARGUMENT, with the range in
// err. The text of "checkpoint" is kept, not copied. Threads: one for set, shared for get and name.
SESSREC_API sessrec_result sessrec_config_set(sessrec_config *config, const char *name, const char *value,
                                              sessrec_error *err);
// The reverse: writes the text that set would take into value [size]. TOO_LARGE if it does not fit; 64 bytes
// hold all but long paths.
SESSREC_API sessrec_result sessrec_config_get(const sessrec_config *config, const char *name, char *value,
                                              size_t size, sessrec_error *err);
// The names, from index 0; NULL after the last. *takes (takes may be NULL) describes the values:
// "xe|top1|bpr|top1-max|bpr-max|gbce"; N is an integer, X any number; NULL for a switch, 0 or 1.
SESSREC_API const char *sessrec_config_name(int32_t index, const char **takes);

// ---- click logs -------------------------------------------------------------------------------------------

// A log of clicks: events (session, item, time and perhaps user), grouped into sessions. Sessions are ordered
// by the time of their first event, events by time within them; equal times keep the order of the input. If
// there are users, a session is (user, session id): two users may each have a session "1".
typedef struct sessrec_log sessrec_log;

// The unit of numbers in a time column.
typedef int32_t sessrec_time_unit;
enum {
    SESSREC_UNIT_AUTO = 0,      // what the size of most numbers in the file suggests; a note says which
    SESSREC_UNIT_SECONDS = 1,   // since 1970
    SESSREC_UNIT_MILLISECONDS = 2,
    SESSREC_UNIT_MICROSECONDS = 3,
    SESSREC_UNIT_NANOSECONDS = 4,
    SESSREC_UNIT_DATE = 5       // digits of a date: YYYYMMDD[HH[MM[SS]]], or MMDD in the year 2000
};

// The layout of a text log. A column is found by its name in the header line (upper or lower case, '_'
// ignored, without a type as in "user_id:token") or, if that is a number, by its position from 1; in JSON a
// key.
typedef struct sessrec_log_format {
    uint32_t canary;                // set by sessrec_log_format_default
    const char *session_column;     // default "SessionId"
    const char *item_column;        // default "ItemId"
    const char *time_column;        // default "Time": numbers or dates, see below. "day,offset": the sum of
                                    // two columns, a date or seconds and a number. "": rows are in order
    const char *user_column;        // default "UserId", which may be absent; "": ignore it. Blank: no user
    const char *category_columns;   // up to four more columns, "Brand,Color"; default NULL, none. A blank
                                    // means none
    const char *separator;          // one or two bytes; NULL (default): tab , ; | :: or a blank, whichever is
                                    // most frequent in the first line, or what Excel's line "sep=;" says
    const char *where;              // rows to keep: "event=view,click;country=DE"; default NULL, all
    const char *blank;              // values that mean none, "NA,NULL"; default NULL
    sessrec_time_unit time_unit;    // default AUTO
    int32_t day_first;              // 1: 03/04/2019 is in April, 0: in March, -1 (default): it is refused
    int32_t quotes;                 // 1 (default): a field that begins with a quote ends at the closing one,
                                    // also across lines; 0: quotes are text
    int32_t skip_bad_rows;          // 0 (default): a row that cannot be read is an error; 1: it is skipped,
                                    // and a note counts such rows by what is wrong
    const struct sessrec_model *items_of;  // give this model's items their numbers, to go on training it
    uint64_t id_key;                // secret key of the tables that find ids, so that nobody can make up ids
                                    // that slow them down; no result depends on it. 0 (default): from address
                                    // and clock
    sessrec_allocator allocator;
} sessrec_log_format;

SESSREC_API sessrec_log_format sessrec_log_format_default(void);

// Reads a file, or standard input if path is "-": one event per line, as CSV, TSV or similar, or as JSON
// lines of flat objects. Ids are integers or text up to SESSREC_MAX_ID bytes and are kept verbatim. Dates are
// ISO-8601 or similar (2014-04-07, 2014/04/07 10:51, 2014-04-07T10:51:09.277Z, 07.04.2014 10:51 +0200,
// 07/Apr/2014:10:51:09 +0000, Mon Apr 07 10:51:09 +0000 2014), in UTC unless they say otherwise. The file is
// opened once and read from start to end, so a pipe works. Memory: while reading about 28 bytes per event, 60
// per session, and the distinct ids; then 12 per event. Errors: NO_FILE, IO_ERROR, BAD_LOG with the line and
// what would help, TOO_LARGE, OUT_OF_MEMORY. Threads: shared.
#ifndef SESSREC_NO_STDIO
SESSREC_API sessrec_result sessrec_log_read(const char *path, const sessrec_log_format *format,
                                            sessrec_log **out, sessrec_error *err);
// Writes events as TSV with a header (SessionId, ItemId, Time, UserId if there are users, and the names of
// the categories), completely or not at all. Reading the file with the defaults, and these categories, gives
// the same log. Threads: shared.
SESSREC_API sessrec_result sessrec_log_write(const sessrec_log *log, const char *path, sessrec_error *err);
#endif
// Reads `size` bytes of such text in memory. Threads: shared.
SESSREC_API sessrec_result sessrec_log_import(const void *text, size_t size, const sessrec_log_format *format,
                                              sessrec_log **out, sessrec_error *err);

// Build a log step by step: create, add events in any order, finish. Of the format, create uses
// category_columns, items_of, id_key and the allocator. user NULL or "": none. The first failure is kept:
// later calls return its code, and finish returns it with its sentence, so the calls in between need no
// check. Adding to a finished log, or using an unfinished one, is INVALID_ARGUMENT. Threads: one.
SESSREC_API sessrec_result sessrec_log_create(const sessrec_log_format *format, sessrec_log **out,
                                              sessrec_error *err);
SESSREC_API sessrec_result sessrec_log_add(sessrec_log *log, const char *user, const char *session,
                                           const char *item, double time);
// The same with integer ids, which are stored as decimal text. user < 0: none.
SESSREC_API sessrec_result sessrec_log_add_numbers(sessrec_log *log, int64_t user, int64_t session,
                                                   int64_t item, double time);
// The same for arrays [count]; users may be NULL.
SESSREC_API sessrec_result sessrec_log_add_many(sessrec_log *log, int64_t count, const int64_t *users,
                                                const int64_t *sessions, const int64_t *items,
                                                const double *times);
// sessrec_log_add with a text for each of format.category_columns, NULL or "" for none.
SESSREC_API sessrec_result sessrec_log_add_categories(sessrec_log *log, const char *user, const char *session,
                                                      const char *item, double time,
                                                      const char *const *categories);
// Adds all events of a text or a file, so that several files, each with its own format, make one log.
SESSREC_API sessrec_result sessrec_log_add_text(sessrec_log *log, const void *text, size_t size,
                                                const sessrec_log_format *format, sessrec_error *err);
#ifndef SESSREC_NO_STDIO
SESSREC_API sessrec_result sessrec_log_add_file(sessrec_log *log, const char *path,
                                                const sessrec_log_format *format, sessrec_error *err);
#endif
SESSREC_API sessrec_result sessrec_log_finish(sessrec_log *log, sessrec_error *err);
SESSREC_API void sessrec_log_destroy(sessrec_log *log);

// The contents of a finished log. The arrays belong to the log, until it is changed or destroyed.
typedef struct sessrec_log_view {
    int32_t item_count, session_count, user_count;  // user_count: 0 if the log has no users
    int64_t event_count;
    const int64_t *session_begins;  // [sessions+1] events of s: session_begins[s] .. session_begins[s+1]-1
    const int32_t *items;           // [events]
    const double *times;            // [events] seconds
    const int32_t *session_users;   // [sessions] -1: none; NULL if the log has no users
    const int64_t *supports;        // [items] how many events each item has
    int64_t bad_row_count;          // rows skipped while reading
    int64_t dropped_event_count;    // events removed by filters and splits so far
    int32_t category_count;         // of format.category_columns
    int32_t value_counts[SESSREC_MAX_CATEGORIES];       // distinct values of each category
    const int32_t *categories[SESSREC_MAX_CATEGORIES];  // [events] number of the value, -1: none
} sessrec_log_view;

// Empty for an unfinished log. Threads: shared.
SESSREC_API sessrec_log_view sessrec_log_contents(const sessrec_log *log);

// What a person should know about the log, one sentence each, from index 0; NULL after the last: the unit of
// times, bad rows by kind, equal times, an item named "NULL". The text belongs to the log. Threads: shared.
SESSREC_API const char *sessrec_log_note(const sessrec_log *log, int32_t index);

// From numbers to ids as in the log, and back (-1: none). Texts belong to the log. Threads: shared.
SESSREC_API const char *sessrec_log_item_id(const sessrec_log *log, int32_t item);
SESSREC_API const char *sessrec_log_session_id(const sessrec_log *log, int32_t session);
SESSREC_API const char *sessrec_log_user_id(const sessrec_log *log, int32_t user);
SESSREC_API int32_t sessrec_log_find_item(const sessrec_log *log, const char *id);
// The same for integer ids; INT64_MIN if the id is not an integer. Threads: shared.
SESSREC_API int64_t sessrec_log_item_number(const sessrec_log *log, int32_t item);
SESSREC_API int32_t sessrec_log_find_number(const sessrec_log *log, int64_t id);
// A category's name: its column, or "Category1" and so on for a column given by number. Its values, from
// number to text and back. Every log numbers its own values. Threads: shared.
SESSREC_API const char *sessrec_log_category(const sessrec_log *log, int32_t category);
SESSREC_API const char *sessrec_log_value(const sessrec_log *log, int32_t category, int32_t value);
SESSREC_API int32_t sessrec_log_find_value(const sessrec_log *log, int32_t category, const char *text);

// Removes, until nothing changes: repeats of an item directly after itself (if drop_repeats), events of items
// with fewer than min_support events, sessions with fewer than min_length or more than max_length events (0:
// no limit). Items without events leave the log; the others keep their order. Items of format.items_of always
// stay, with their numbers, and are never too rare. Threads: one.
typedef struct sessrec_filter {
    uint32_t canary;    // set by sessrec_filter_default; the rest is 0
    int32_t drop_repeats;
    int64_t min_support, min_length, max_length;
} sessrec_filter;
SESSREC_API sessrec_filter sessrec_filter_default(void);
SESSREC_API sessrec_result sessrec_log_filter(sessrec_log *log, const sessrec_filter *filter,
                                              sessrec_error *err);

// Cuts each session wherever more than idle_seconds pass between two events; the pieces after the first are
// named "ID#2", "ID#3" and so on. For logs whose session column identifies users. Threads: one.
SESSREC_API sessrec_result sessrec_log_sessionize(sessrec_log *log, double idle_seconds, sessrec_error *err);

// Splits by time: sessions that end before `time` go to *before, sessions that start at `time` or later to
// *after. Sessions that span it go to neither and count as dropped events of *before. Threads: shared.
SESSREC_API sessrec_result sessrec_log_split_time(const sessrec_log *log, double time, sessrec_log **before,
                                                  sessrec_log **after, sessrec_error *err);

// Puts each user's last session into *last, their earlier ones into *rest. Users with one session, and
// sessions without a user, are only in *rest. The log must have users. Threads: shared.
SESSREC_API sessrec_result sessrec_log_split_last_session(const sessrec_log *log, sessrec_log **rest,
                                                          sessrec_log **last, sessrec_error *err);

// Removes events of `log` whose item (by id) is not in `known`. Threads: one for log, shared for known.
SESSREC_API sessrec_result sessrec_log_keep_items(sessrec_log *log, const sessrec_log *known,
                                                  sessrec_error *err);

#endif // SESSREC_NO_TRAINING

// ---- models -----------------------------------------------------------------------------------------------

// A trained model: weights, item ids, and the items' support. It never changes, so it can be shared.
typedef struct sessrec_model sessrec_model;

typedef struct sessrec_model_info {
    int32_t item_count;
    int32_t layer_count;
    int32_t hidden[SESSREC_MAX_LAYERS];
    sessrec_embedding embedding;
    int32_t embedding_width;        // D of the first layer; 0 with EMBEDDING_NONE
    sessrec_gru_form gru;
    int32_t user_hidden;            // width of the user-level GRU, 0: none
    sessrec_user_mode user_mode;
    sessrec_activation activation;  // of the loss; monotone. Scores are given before it
    uint64_t seed;
    uint64_t event_count;           // training events: the sum of all supports
} sessrec_model_info;

// A matrix that belongs to a model.
typedef struct sessrec_tensor {
    const float *data;
    int32_t rows, columns;
} sessrec_tensor;

#ifndef SESSREC_NO_STDIO
// Reads a model file. BAD_FILE, with the reason, if it is damaged or a weight is not finite; UNSUPPORTED: a
// newer format. Threads: shared.
SESSREC_API sessrec_result sessrec_model_read(const char *path, const sessrec_allocator *allocator,
                                              sessrec_model **out, sessrec_error *err);
// Writes a model file, completely or not at all: see sessrec_outputs_write. Threads: shared.
SESSREC_API sessrec_result sessrec_model_write(const sessrec_model *model, const char *path,
                                               sessrec_error *err);

// A file to write: a model, a log, or bytes. With none of them, only whether the path could be written is
// checked, as far as that can be known, and nothing changes.
typedef struct sessrec_output {
    const char *path;
    const char *begins;     // bytes only: what a file must begin with to be replaced; NULL: anything
    const struct sessrec_model *model;
    const struct sessrec_log *log;
    const void *bytes;
    size_t size;
} sessrec_output;
#define SESSREC_MAX_OUTPUTS 8
// Writes files that belong together. Each goes to PATH.tmpN, a temporary file in the same directory, and is
// synced; then all are renamed, so that a failure at any time leaves all paths as they were. (Only a process
// that is killed between two renames leaves some of them new.) An old file's mode stays, its owner and group
// where that is allowed. A symbolic link stays and the file that it leads to is replaced; other hard links
// keep the old content; a pipe or device is written to. What killed processes left behind is removed. A file
// that is not empty and not of the same kind is not replaced. IO_ERROR; DIVERGED for a weight that is not
// finite, because no reader would accept it. Threads: shared.
SESSREC_API sessrec_result sessrec_outputs_write(const sessrec_output *outputs, int32_t count,
                                                 sessrec_error *err);
// Whether two paths lead to the same file, also through links, or would if it existed. Threads: shared.
SESSREC_API int32_t sessrec_same_file(const char *a, const char *b);
#endif
// Uses a model file in memory (flash, a mapped file) without copying it: `bytes` must be 64-byte aligned and
// outlive the model; only a small handle is allocated. Errors: see sessrec_model_read. Threads: shared.
SESSREC_API sessrec_result sessrec_model_import(const void *bytes, size_t size,
                                                const sessrec_allocator *allocator, sessrec_model **out,
                                                sessrec_error *err);
// The file as bytes: its size, then its content, into a buffer of at least that size. Threads: shared.
SESSREC_API size_t sessrec_model_export_size(const sessrec_model *model);
SESSREC_API sessrec_result sessrec_model_export(const sessrec_model *model, void *bytes, size_t size);
SESSREC_API void sessrec_model_destroy(sessrec_model *model);
// Makes recommendations from the whole catalog several times faster, and the same to the bit. It adds a 4-bit
// copy of "Wy", an eighth of its size, which tells cheaply which items cannot be among the best; only the
// others are scored exactly. OUT_OF_MEMORY leaves the model as it was. On a processor without vector
// instructions it is slower: on a Cortex-M4 1.3 to 2 times. Threads: one, before the model is shared.
SESSREC_API sessrec_result sessrec_model_prepare(sessrec_model *model);

// Shape, form and origin of a model. Threads: shared.
SESSREC_API sessrec_model_info sessrec_model_describe(const sessrec_model *model);
// From items to ids and back; NULL or -1: none. Texts belong to the model. Threads: shared.
SESSREC_API const char *sessrec_model_item_id(const sessrec_model *model, int32_t item);
SESSREC_API int32_t sessrec_model_find_item(const sessrec_model *model, const char *id);
// The same for integer ids; INT64_MIN if the id is not an integer. Threads: shared.
SESSREC_API int64_t sessrec_model_item_number(const sessrec_model *model, int32_t item);
SESSREC_API int32_t sessrec_model_find_number(const sessrec_model *model, int64_t id);
// Training events of an item; 0 for an unknown one. Threads: shared.
SESSREC_API uint64_t sessrec_model_support(const sessrec_model *model, int32_t item);

// Weights by name; gates are side by side in the order r, z, n:
//   "Wy" [V,H] "By" [V,1] output     "E" [V,D] separate embedding
//   "L0.W" [D,3H] input of layer 0, a row per input unit (with EMBEDDING_NONE D = V: a row per item)
//   "L0.U" [H,3H] recurrent     "L0.b" [1,3H] bias     "L0.c" [1,3H] recurrent bias, RESET_AFTER only
// and with a user-level GRU of width Hu, whose input is the last layer's state:
//   "U0.W" [H,3Hu] "U0.U" "U0.b" "U0.c" as above
//   "I0.W" [Hu,H] "I0.b" [1,H] from the user's state to the first hidden state of layer 0; "I1.W" and so on
//   "C0.W" [Hu,3H] from the user's state to the gates of layer 0, USER_ALL and USER_GATES only
// INVALID_ARGUMENT if the model has no such tensor. Threads: shared.
SESSREC_API sessrec_result sessrec_model_tensor(const sessrec_model *model, const char *name,
                                                sessrec_tensor *out);
// The names, one by one from index 0; NULL after the last. Threads: shared.
SESSREC_API const char *sessrec_model_tensor_name(const sessrec_model *model, int32_t index);

// ---- scorers ----------------------------------------------------------------------------------------------

typedef struct sessrec_recommendation {
    int32_t item;
    float score;    // before the output activation; from popularity: the item's support
} sessrec_recommendation;

// Why an item is recommended: because of a rule, or of a session of the index.
typedef struct sessrec_reason {
    float part;             // its share of the score; of neighbors without the factor of idf
    int32_t context_count;  // of a rule: it holds after these clicks, the last one first; else 0
    int32_t context[4];
    int32_t held, of;       // the item was in `held` of the `of` sessions with that context
    int32_t session;        // of neighbors: the session's number in the index, else -1
    double time;            // of neighbors: when the session ended
} sessrec_reason;

// Anything that scores the items of a catalog after the clicks of a session: the GRU, the library's other
// scorers below, or your own. Fill in what you have; the rest stays NULL or 0. Several threads call it at
// once for different states. A call serves `rows` sessions, whose states are state_bytes apart. The caller
// provides 64-byte aligned memory for states and scratch. The same state and item always give the same bits.
typedef struct sessrec_scorer {
    void *self;
    int32_t item_count;     // size of the catalog
    size_t state_bytes;     // of one session's state, a multiple of 16; states are copied as bytes
    // bytes of scratch that a call for `rows` sessions needs; NULL: none
    size_t (*scratch_bytes)(const void *self, int32_t rows);
    // an item's number from its id, or -1, and back; NULL: the scorer has no ids, its numbers are the log's
    int32_t (*find_item)(const void *self, const char *id);
    const char *(*item_id)(const void *self, int32_t item);
    // the item's support, which is its score before a session's first click; may be NULL
    uint64_t (*support)(const void *self, int32_t item);
    // a session begins; user: the user's state, NULL if unknown; time in seconds, NaN if unknown
    void (*begin)(const void *self, void *state, const void *user, double time);
    // one click in each session; times [rows] in seconds, NULL if unknown
    void (*click)(const void *self, int32_t rows, void *states, const int32_t *items, const double *times,
                  void *scratch);
    // scores of items first .. first+count-1 in each session, into scores [rows,count]; higher is better, NaN
    // and -infinity mean "not scored". count is at most 1024.
    void (*score)(const void *self, int32_t rows, const void *states, int32_t first, int32_t count,
                  float *scores, void *scratch);
    // instead of score, where few items have a score: points *out to those of one session, distinct and in
    // any order, and returns how many; all others are not scored. If score is there too, these scores are
    // added to its. They are valid until the next call with this scratch, except calls of score.
    int32_t (*list)(const void *self, const void *state, const sessrec_recommendation **out, void *scratch);
    int32_t list_room;      // the most items that a list can hold; 0: item_count
    // why an item has its score: fills in at most `room` reasons, the strongest first, and returns how many;
    // may be NULL
    int32_t (*reasons)(const void *self, const void *state, int32_t item, sessrec_reason *out, int32_t room,
                       void *scratch);
    // whether bytes from outside are a valid state; NULL: all are
    int32_t (*valid)(const void *self, const void *state);
    void (*destroy)(void *self);
    // for scorers that know users, else user_bytes is 0. User states have a multiple of 16 bytes, too.
    size_t user_bytes;
    void (*begin_user)(const void *self, void *user);  // a user without any session yet
    // a session of two or more clicks is over
    void (*end)(const void *self, const void *state, void *user, void *scratch);
} sessrec_scorer;
SESSREC_API void sessrec_scorer_destroy(sessrec_scorer *scorer);

// The GRU as a scorer. The model must outlive it. Threads: shared.
SESSREC_API sessrec_result sessrec_scorer_model(const sessrec_model *model,
                                                const sessrec_allocator *allocator, sessrec_scorer *out,
                                                sessrec_error *err);

// How a weight falls with the distance d = 0, 1, .. in clicks.
typedef int32_t sessrec_decay;
enum {
    SESSREC_DECAY_SAME = 0,         // 1
    SESSREC_DECAY_DIV = 1,          // 1/(d+1); of a click among L clicks (L-d)/L
    SESSREC_DECAY_LINEAR = 2,       // max(0, 1 - 0.1 (d+1)); of a click max(0, 1 - 0.1 d)
    SESSREC_DECAY_LOG = 3,          // 1/log10(d+2.7); of a click 1/log10(d+1.7)
    SESSREC_DECAY_QUADRATIC = 4,    // the square of DIV
    SESSREC_DECAY_EXP = 5           // exp(-d / scale)
};

// Session neighbors: items from similar sessions (S-KNN and V-SKNN: Ludewig, Jannach 2018; STAN: Garg et al.
// 2019; VMIS: Kersbergen et al. 2022), as one formula with switches. Each distinct item i of the session has
// w_i = W(d), where d counts the clicks since i was last clicked. Candidates are the m sessions n with the
// latest last event that share an item with it:
//     sim(n) = sum of w_i over shared items / D * exp(-(now - end_n) / recency)
//     D = sqrt(sum of w_i^2 * |n|) with cosine, else the number of distinct items of the session
// The neighbors are the k most similar candidates (of equals the later ones). An item's score is the sum over
// those that contain it
//     score_i = sum of sim(n) N(d_n) exp(-|pos_n(i) - pos_n(*)| / spread), times 1 + idf log(S / supp_i)
// where d_n is the smallest d of a shared item, pos_n an item's last place in n, * the shared item that comes
// last in n, and S the number of sessions. `now` is the index's last event and changes no order.
typedef struct sessrec_knn_config {
    uint32_t canary;                // set by sessrec_knn_config_default
    int32_t k;                      // neighbors, 1..65536
    int32_t m;                      // candidates; 0: all. The index keeps the m newest sessions of each item
    int32_t cosine;
    int32_t last_n;                 // only the session's last clicks count; 0 or more than 256: 256
    sessrec_decay weight;           // W
    sessrec_decay neighbor_weight;  // N
    double weight_scale, neighbor_scale;  // of EXP, > 0
    double recency;                 // seconds; 0 turns the factor off, as in the next two
    double spread;                  // clicks
    double idf;
    sessrec_allocator allocator;
} sessrec_knn_config;
// The preset "vstan".
SESSREC_API sessrec_knn_config sessrec_knn_config_default(void);
// The published settings "sknn", "vsknn", "stan", "vstan" and "vmis"; out->allocator stays. INVALID_ARGUMENT
// for another name. Threads: shared.
SESSREC_API sessrec_result sessrec_knn_preset(const char *name, sessrec_knn_config *out);
#ifndef SESSREC_NO_TRAINING
// Indexes all sessions of a log, which is not needed afterwards; end it with sessrec_scorer_destroy. Memory:
// 8 bytes per event and 16 per session, more while it is built. A click allocates nothing. Its scratch has
// room for 64 k items: if the neighbors have more, the least similar ones lose theirs. Threads: shared.
SESSREC_API sessrec_result sessrec_knn_create(const sessrec_knn_config *config, const sessrec_log *log,
                                              sessrec_scorer *out, sessrec_error *err);
#endif
// Adds a finished session that ended at `time`, with items of the index (-1, unknown, is left out). It is a
// neighbor from then on, and the index has the same bits as one built from all sessions in this order. A late
// session may come too; newer ones then move up. Memory grows by an eighth at a time. _forget removes the
// sessions that ended before `time`. Errors leave the index as it was: INVALID_ARGUMENT for a scorer that is
// no such index, or for an impossible item or time; OUT_OF_MEMORY, TOO_LARGE. Threads: one, no other call
// meanwhile.
SESSREC_API sessrec_result sessrec_knn_append(const sessrec_scorer *knn, const int32_t *items, int32_t count,
                                              double time);
SESSREC_API sessrec_result sessrec_knn_forget(const sessrec_scorer *knn, double time);
// The items of a session of the index in the order of its clicks, into items [room]. Returns how many it has,
// 0 if there is no such session. Threads: shared.
SESSREC_API int32_t sessrec_knn_session_items(const sessrec_scorer *knn, int32_t session, int32_t *items,
                                              int32_t room);
// Sessions and events in the index. Threads: shared.
SESSREC_API int32_t sessrec_knn_sessions(const sessrec_scorer *knn);
SESSREC_API int64_t sessrec_knn_events(const sessrec_scorer *knn);

#ifndef SESSREC_NO_TRAINING
typedef int32_t sessrec_rules_kind;
enum {
    // scores of j after i; ASSOCIATION and ITEMKNN leave out j = i:
    SESSREC_RULES_ASSOCIATION = 0,  // how many pairs of places in sessions hold i and j
    SESSREC_RULES_SEQUENTIAL = 1,   // the sum of W(d) where j comes d + 1 <= `steps` clicks after i
    SESSREC_RULES_MARKOV = 2,       // the share of j among what came next after the last o clicks, for the
                                    // largest o <= order that was ever followed by anything
    SESSREC_RULES_ITEMKNN = 3       // c_ij / ((n_i + lambda)^alpha (n_j + lambda)^(1-alpha))
};
// Rules: for each context, the last click or clicks, a list of at most `most` items. Of equal scores the
// lower item comes first.
typedef struct sessrec_rules_config {
    uint32_t canary;            // set by sessrec_rules_config_default
    sessrec_rules_kind kind;    // default SEQUENTIAL
    int32_t most;               // 1..65536; default 100
    int32_t steps;              // SEQUENTIAL, >= 1; default 10
    sessrec_decay weight;       // SEQUENTIAL, default DIV; not EXP
    int32_t order;              // MARKOV, 1..4; default 1
    int32_t events;             // ITEMKNN. 0: c counts sessions with both items, n sessions with the item:
                                // the cosine of two sets. 1 (default): c counts events of i in sessions with
                                // j, n events: the GRU4Rec authors' baseline
    double lambda, alpha;       // ITEMKNN: 0..10^15, lowers rare items, default 20; 0..1, default 0.5
    sessrec_allocator allocator;
} sessrec_rules_config;
SESSREC_API sessrec_rules_config sessrec_rules_config_default(void);
// Time: proportional to the pairs within sessions, for ITEMKNN to length times distinct items. The log is not
// needed afterwards. Threads: shared.
SESSREC_API sessrec_result sessrec_rules_create(const sessrec_rules_config *config, const sessrec_log *log,
                                                sessrec_scorer *out, sessrec_error *err);

// Popularity: support / (1 + support); where two supports would round to the same float, the smaller one gets
// the next float below. The log is not needed afterwards. Threads: shared.
SESSREC_API sessrec_result sessrec_scorer_pop(const sessrec_log *log, const sessrec_allocator *allocator,
                                              sessrec_scorer *out, sessrec_error *err);
#endif // SESSREC_NO_TRAINING

// A blend: the weighted sum of several scorers' scores s, each as b s or, with `logarithm`, as b log(s / sum
// of s + epsilon), for a scorer that lists positive scores. A network with neighbors is {gru, 1, 0}, {knn, 1,
// 1}: the network's scores are logarithms of probabilities up to a constant; so the neighbors' become.
typedef struct sessrec_blend_part {
    const sessrec_scorer *scorer;   // must outlive the blend
    float weight;                   // b
    int32_t logarithm;
} sessrec_blend_part;
// The items are those of the first part and are found by id in the others. Items that no part scores are not
// scored, unless one part scores all. count: 1..8 parts, which may be blends, 4 deep. epsilon > 0; 0: 1e-4.
// Weights are between -1e30 and 1e30. Threads: shared.
SESSREC_API sessrec_result sessrec_blend_create(const sessrec_blend_part *parts, int32_t count,
                                                double epsilon, const sessrec_allocator *allocator,
                                                sessrec_scorer *out, sessrec_error *err);

// Files. _read takes any kind, also a model, which then belongs to its scorer; a blend contains its parts.
// Written like models, with the same errors; UNSUPPORTED for a scorer of your own. _import uses the bytes in
// place; they are 64-byte aligned and outlive the scorer; an index copies what it changes. Threads: shared.
#  ifndef SESSREC_NO_STDIO
SESSREC_API sessrec_result sessrec_scorer_read(const char *path, const sessrec_allocator *allocator,
                                               sessrec_scorer *out, sessrec_error *err);
SESSREC_API sessrec_result sessrec_scorer_write(const sessrec_scorer *scorer, const char *path,
                                                sessrec_error *err);
#endif
SESSREC_API sessrec_result sessrec_scorer_import(const void *bytes, size_t size,
                                                 const sessrec_allocator *allocator, sessrec_scorer *out,
                                                 sessrec_error *err);
// 0 for a scorer of your own.
SESSREC_API size_t sessrec_scorer_export_size(const sessrec_scorer *scorer);
SESSREC_API sessrec_result sessrec_scorer_export(const sessrec_scorer *scorer, void *bytes, size_t size);

// ---- 8-bit models and tiny machines -----------------------------------------------------------------------

// The model with weights of 8 bits, as a scorer: 127 steps between 0 and the largest weight of each row of
// "Wy", of the embedding and, transposed, of the gates. Clicks and scores are computed in integers, with
// sigmoid and tanh from a table, so every processor gives the same scores. It takes a quarter of the memory
// and is written, read and used in place like other scorers; it cannot be trained. ids 0: without ids and
// support, for a device that knows items by their numbers. UNSUPPORTED: a model with users, or with weights
// that are too large; DIVERGED: a weight that is not finite. Threads: shared.
SESSREC_API sessrec_result sessrec_model_quantize(const sessrec_model *model, int32_t ids,
                                                  const sessrec_allocator *allocator, sessrec_scorer *out,
                                                  sessrec_error *err);
// An upper bound of |s - t|, where s is the score of an item of the float model for the hidden state h of the
// 8-bit model, and t the score of the 8-bit model; -1 if the scorer is none. Threads: shared.
SESSREC_API float sessrec_quantized_bound(const sessrec_scorer *scorer, int32_t item);

// A model in flash and one visitor with a few hundred bytes of RAM: define SESSREC_TINY, and what you call is
// all that is compiled. The items are those of a session on the same file, in the same order.
typedef struct sessrec_tiny {       // private
    sessrec_model_info info;
    int32_t exponent, extra, widest;
    const void *data[3 + 4 * SESSREC_MAX_LAYERS + 8];
    void (*click)(const struct sessrec_tiny *model, int32_t item, void *state, void *scratch);
    int32_t (*score)(const struct sessrec_tiny *model, const void *vector, int32_t item);
} sessrec_tiny;
typedef struct sessrec_tiny_item {
    int32_t item;
    int32_t score;  // higher is better. 8 bits: 2^exponent times the score. Floats: the bits of the score,
                    // all but the first inverted if it is negative
} sessrec_tiny_item;
// Opens the file of an 8-bit model, or of a float model without users, in place: `bytes` are 64-byte aligned
// and outlive the model. BAD_FILE for a file that is damaged, of another kind or version. Numbers are not
// checked: whoever can write a file with right checksums can make scores wrong, but nothing else. Threads:
// shared.
SESSREC_API sessrec_result sessrec_tiny_open(const void *bytes, size_t size, sessrec_tiny *out);
SESSREC_API sessrec_result sessrec_tiny_open_float(const void *bytes, size_t size, sessrec_tiny *out);
// Bytes of a visitor to whom the last `remember` (0..65536) distinct items are not recommended; 0 for a bad
// argument. Threads: shared.
SESSREC_API size_t sessrec_tiny_size(const sessrec_tiny *model, int32_t remember);
// Begins a session in such memory, which is aligned for int32_t, or ends one and begins the next. Threads:
// one visitor.
SESSREC_API sessrec_result sessrec_tiny_begin(const sessrec_tiny *model, int32_t remember, void *visitor);
SESSREC_API sessrec_result sessrec_tiny_click(const sessrec_tiny *model, void *visitor, int32_t item);
// The best k items that the visitor does not remember, the best first, into out [k]. Returns how many, or a
// negative sessrec_result. Before the first click the score is the item's bias.
SESSREC_API int32_t sessrec_tiny_recommend(const sessrec_tiny *model, const void *visitor, int32_t k,
                                           sessrec_tiny_item *out);

// ---- train and evaluate -----------------------------------------------------------------------------------
#ifndef SESSREC_NO_TRAINING

// Trains a model on a log: config->epochs passes of session-parallel mini-batches (Hidasi 2016, section 3.1).
// With a validation log (may be NULL) the result has the weights of the epoch with the best MRR@20, and
// patience may end the run early. If a callback stops the run, *out is the model as it stands and the result
// is STOPPED. DIVERGED, with epoch and step, if the loss is not finite; NO_DATA, before the first epoch, if
// no session of the validation log has two items of the log. Threads: shared.
SESSREC_API sessrec_result sessrec_train(const sessrec_config *config, const sessrec_log *log,
                                         const sessrec_log *validation, sessrec_model **out,
                                         sessrec_error *err);

#  ifndef SESSREC_NO_STDIO
// From a log file to a model file: sessrec_log_read, sessrec_train, sessrec_model_write. config NULL: the
// defaults. A STOPPED run writes its model, too. Before the log is read, a model or checkpoint that cannot be
// written is IO_ERROR, and one that would replace the log or the other INVALID_ARGUMENT. Threads: shared.
SESSREC_API sessrec_result sessrec_train_file(const char *log_path, const char *model_path,
                                              const sessrec_config *config, sessrec_error *err);
#  endif

// The rank of a target among items with the same score.
typedef int32_t sessrec_ties;
enum {
    SESSREC_TIES_CONSERVATIVE = 0,  // #(score >= target), with the target itself: last among equals
    SESSREC_TIES_STANDARD = 1,      // 1 + #(score > target): first among equals
    SESSREC_TIES_MEDIAN = 2         // 1 + #(score > target) + #(other equals) / 2
};

// One evaluated event. With MEDIAN, rank can end in .5.
typedef struct sessrec_event {
    int32_t session;        // of the log
    int32_t position;       // of the input in its session, from 0, without unknown items
    int32_t length;         // events of the session, without unknown items
    int32_t history;        // earlier sessions of the user, in eval.history and in the log
    int32_t input, target;  // items of the scorer
    double rank;
} sessrec_event;

typedef struct sessrec_eval_config {
    uint32_t canary;                // set by sessrec_eval_config_default
    sessrec_ties ties;              // default CONSERVATIVE
    int32_t cutoff_count;           // default 4
    int32_t cutoffs[SESSREC_MAX_CUTOFFS];  // k >= 1; default 1, 5, 10, 20
    int32_t coverage;               // 1: fill in report.coverage too: a top-k list per event, k <= 65536
    int32_t batch_size;             // sessions scored side by side, which only affects speed; default 256
    int32_t threads;                // 0 (default): sessrec_processor_count()
    sessrec_device device;          // where sessrec_evaluate ranks, default as in sessrec_config. CUDA
                                    // supports no coverage and keeps a hidden state per event in memory
    sessrec_jobs jobs;
    sessrec_allocator allocator;
    const sessrec_log *history;     // earlier sessions of the log's users, matched by user id, from which
                                    // scorers that know users make their states; default NULL
    void (*on_event)(void *user, const sessrec_event *event);  // called for every event in the log's order;
                                                               // default NULL
    void *on_event_user;
} sessrec_eval_config;
SESSREC_API sessrec_eval_config sessrec_eval_config_default(void);

// Metrics averaged over events, one value per cutoff. With one relevant item HR@k is Recall@k.
typedef struct sessrec_metrics {
    int64_t event_count;
    double recall[SESSREC_MAX_CUTOFFS];     // [rank <= k]
    double mrr[SESSREC_MAX_CUTOFFS];        // [rank <= k] / rank
    double ndcg[SESSREC_MAX_CUTOFFS];       // [rank <= k] / log2(1 + rank)
    double precision[SESSREC_MAX_CUTOFFS];  // [rank <= k] / k
} sessrec_metrics;

#define SESSREC_GROUPS 8
typedef struct sessrec_report {
    int32_t cutoff_count, cutoffs[SESSREC_MAX_CUTOFFS];
    sessrec_ties ties;
    int64_t session_count, event_count;     // sessions with an evaluated event, and events
    int64_t unknown_count;                  // events left out because the scorer does not know their item
    sessrec_metrics all;
    double coverage[SESSREC_MAX_CUTOFFS];   // share of the catalog that is in at least one event's top k
    sessrec_metrics by_position[SESSREC_GROUPS];  // input position 0, 1, ..., 6, and 7 or later
    sessrec_metrics by_length[SESSREC_GROUPS];  // session length 2, 3, 4, 5, 6-7, 8-10, 11-20, more
    sessrec_metrics by_history[SESSREC_GROUPS];  // event.history 0, 1, 2, 3, 4, 5-6, 7-10, more: users with a
                                                 // short history (Quadrana 2017: up to 6 sessions) are groups
                                                 // 0..5, with a long one 6..7. See sessrec_metrics_merge
    double seconds;
} sessrec_report;

// Ranks the target of every (input, target) pair of every session among the whole catalog. States start at
// zero in each session. Events of items that the model does not know are removed first, and counted. NO_DATA,
// with ids of both sides in err, if no event is left. Threads: shared.
SESSREC_API sessrec_result sessrec_evaluate(const sessrec_model *model, const sessrec_log *log,
                                            const sessrec_eval_config *config, sessrec_report *report,
                                            sessrec_error *err);

// The same for any scorer, on the processor. Threads: shared.
SESSREC_API sessrec_result sessrec_evaluate_scorer(const sessrec_scorer *scorer, const sessrec_log *log,
                                                   const sessrec_eval_config *config, sessrec_report *report,
                                                   sessrec_error *err);

#endif // SESSREC_NO_TRAINING

// ---- streaming recommendation -----------------------------------------------------------------------------

// A running session: the hidden state of every layer and the last `remember` distinct items, in memory of
// yours. It makes no allocation and no system call. The model must outlive it.
typedef struct sessrec_session sessrec_session;

// Scratch: the working memory of a call on a session, also yours; it keeps nothing between calls. A program
// with one visitor can ignore it. One with many gives each thread a scratch that its visitors' sessions
// share: with 100 hidden units and 20 remembered items a session then takes 640 bytes instead of 3.3 KB.
typedef struct sessrec_scratch sessrec_scratch;

// Bytes of memory for a session that remembers so many items (0..65536) for skip_seen, and its scratch; 0:
// bad argument. Threads: shared.
SESSREC_API size_t sessrec_session_size(const sessrec_model *model, int32_t remember);
// Makes an empty session in `memory` of that size, of any alignment; nothing is to be freed. Threads: shared.
SESSREC_API sessrec_result sessrec_session_init(const sessrec_model *model, int32_t remember, void *memory,
                                                size_t size, sessrec_session **out, sessrec_error *err);

// The same with a scratch that sessions of the same model share; MISMATCH if it is of another model.
// use_scratch replaces it when another thread continues the session. The scratch must outlive its sessions.
// Threads: shared; one for calls on sessions of the same scratch.
SESSREC_API size_t sessrec_session_shared_size(const sessrec_model *model, int32_t remember);
SESSREC_API sessrec_result sessrec_session_init_shared(const sessrec_model *model, int32_t remember,
                                                       sessrec_scratch *scratch, void *memory, size_t size,
                                                       sessrec_session **out, sessrec_error *err);
SESSREC_API sessrec_result sessrec_session_use_scratch(sessrec_session *session, sessrec_scratch *scratch);
// A scratch, and its size, 0 for a bad argument. rows (1..256): how many requests sessrec_sessions_recommend
// answers in one pass through the item table; 32 is enough, and 1 if you do not call it. Threads: shared.
SESSREC_API size_t sessrec_scratch_size(const sessrec_model *model, int32_t rows);
SESSREC_API sessrec_result sessrec_scratch_init(const sessrec_model *model, int32_t rows, void *memory,
                                                size_t size, sessrec_scratch **out, sessrec_error *err);

// The same for sessions of any scorer, which must outlive them: everything below works on them too. With the
// GRU's scorer they are sessions of the model. scratch NULL: the session gets its own. Threads: shared.
SESSREC_API size_t sessrec_scorer_session_size(const sessrec_scorer *scorer, int32_t remember,
                                               const sessrec_scratch *scratch);
SESSREC_API sessrec_result sessrec_scorer_session_init(const sessrec_scorer *scorer, int32_t remember,
                                                       sessrec_scratch *scratch, void *memory, size_t size,
                                                       sessrec_session **out, sessrec_error *err);
SESSREC_API size_t sessrec_scorer_scratch_size(const sessrec_scorer *scorer, int32_t rows);
SESSREC_API sessrec_result sessrec_scorer_scratch_init(const sessrec_scorer *scorer, int32_t rows,
                                                       void *memory, size_t size, sessrec_scratch **out,
                                                       sessrec_error *err);

// The visitor clicked an item: h = GRU(item, h). Item -1, or an id that the model does not know, is only
// counted. *item (may be NULL) is the id's item, or -1. INVALID_ARGUMENT: no such item. Threads: one.
SESSREC_API sessrec_result sessrec_session_click(sessrec_session *session, int32_t item);
// The same at a time in seconds, NaN: unknown, for scorers that look at times (the GRU does not). The time of
// the first known click is also that of the session's begin.
SESSREC_API sessrec_result sessrec_session_click_at(sessrec_session *session, int32_t item, double time);
SESSREC_API sessrec_result sessrec_session_click_id(sessrec_session *session, const char *id, int32_t *item);

// The source of a recommendation.
typedef int32_t sessrec_source;
enum {
    SESSREC_FROM_MODEL = 0,
    SESSREC_FROM_POPULARITY = 1     // no known item has been clicked yet
};

// What to recommend. Start with sessrec_query_default().
typedef struct sessrec_query {
    uint32_t canary;
    int32_t k;                  // how many; default 20
    int32_t skip_seen;          // 1 (default): leave out items that the session remembers
    const int32_t *candidates;  // only these items, without duplicates; NULL (default): all
    int32_t candidate_count;
    int32_t (*veto)(void *user, int32_t item);  // not 0: leave out this item. Called only for items that
                                                // would enter the list; others take their place. Default NULL
    void *veto_user;
    const float *offsets;       // [items] added to the scores; -infinity leaves an item out; default NULL
    const int32_t *groups;      // [items] the group of each, negative: none. Default NULL
    int32_t group_limit;        // at most this many items of each group, >= 1; default 1
    // exploration, so that other items than the best get a chance; the same `random` gives the same answer
    uint64_t random;            // your random number, a new one for each answer; default 0
    float temperature;          // T > 0: the k best in an order drawn from the softmax of score / T. The
                                // first place goes to item i with probability ~ exp(score_i / T), the second
                                // to one of the others, and so on; k <= 256. Default 0: by score
    float explore;              // 0..1: then each place goes with this probability to an item drawn evenly
                                // from all items or candidates that may come, whatever its group. Default 0
} sessrec_query;
SESSREC_API sessrec_query sessrec_query_default(void);

// The exact top k of the catalog, the best first (equal scores: lower number first). out has room for
// query->k; *count is how many were found; the other places get item -1. source may be NULL. Threads: one.
SESSREC_API sessrec_result sessrec_session_recommend(sessrec_session *session, const sessrec_query *query,
                                                     sessrec_recommendation *out, int32_t *count,
                                                     sessrec_source *source);

// The short form: the best k items that the session has not seen, into out [k]. Returns how many, or a
// negative sessrec_result. Threads: one.
SESSREC_API int32_t sessrec_recommend(sessrec_session *session, int32_t k, sessrec_recommendation *out);

// One request of many: the arguments of sessrec_session_recommend and its results.
typedef struct sessrec_request {
    sessrec_session *session;
    const sessrec_query *query;     // requests may share one
    sessrec_recommendation *out;    // [query->k]
    int32_t count;                  // result: how many were found
    sessrec_source source;          // result
    sessrec_result result;          // what sessrec_session_recommend would have returned
} sessrec_request;
// Answers many sessions of the scratch's model, with the same bits as one by one. It reads each part of the
// item table once for as many requests as the scratch has rows, which is several times faster (a little
// faster with a prepared model); a blend with a network does so for as many as have room for their lists in
// 4 MB. Requests may differ in everything but the model (MISMATCH); a failed request
// does not affect the others. Returns the first failure. Vetoes are called for one session after another and
// must not use the scratch. Threads: one for the scratch and for each session.
SESSREC_API sessrec_result sessrec_sessions_recommend(sessrec_scratch *scratch, sessrec_request *requests,
                                                      int32_t count);
// Scores of items [count], from popularity where recommend uses it; -infinity: unknown. Threads: one.
SESSREC_API sessrec_result sessrec_session_score(sessrec_session *session, const int32_t *items,
                                                 int32_t count, float *scores);
// Why an item is recommended, the strongest reasons first, into out [room]. Returns how many, 0 if the scorer
// gives none, or a negative sessrec_result. Threads: one.
SESSREC_API int32_t sessrec_session_reasons(sessrec_session *session, int32_t item, sessrec_reason *out,
                                            int32_t room);
// Ends the session: forgets its clicks, ready for the next one. Threads: one.
SESSREC_API void sessrec_session_end(sessrec_session *session);
// Clicks so far on known and on unknown items. Threads: one.
SESSREC_API void sessrec_session_clicks(const sessrec_session *session, int64_t *known, int64_t *unknown);

// The state as bytes, to keep it between visits or move it to another machine: the same on every platform,
// and bound to the model. After a failed import the session is as it was: BAD_FILE for damaged bytes or
// impossible values, MISMATCH for bytes of another model or size. Threads: one.
SESSREC_API size_t sessrec_session_export_size(const sessrec_session *session);
SESSREC_API sessrec_result sessrec_session_export(const sessrec_session *session, void *bytes, size_t size);
SESSREC_API sessrec_result sessrec_session_import(sessrec_session *session, const void *bytes, size_t size);

// ---- users ----

// The state of a user between sessions, for models with a user-level GRU (Quadrana 2017), in memory of yours,
// like a session. A new user's first session starts as it would without the state.
typedef struct sessrec_user sessrec_user;

// Bytes for a user's state; 0 if the model has no user-level GRU. Threads: shared.
SESSREC_API size_t sessrec_user_size(const sessrec_model *model);
SESSREC_API sessrec_result sessrec_user_init(const sessrec_model *model, void *memory, size_t size,
                                             sessrec_user **out, sessrec_error *err);
// The user comes back: the session's clicks are forgotten, and it starts from the user's state. MISMATCH if
// the two belong to different models. Threads: one.
SESSREC_API sessrec_result sessrec_user_begin(const sessrec_user *user, sessrec_session *session);
// The user leaves: c = GRU_usr(s, c), then the session is ended. As in training, s is the hidden state before
// the last click, and sessions of fewer than two known clicks do not change the state. Threads: one.
SESSREC_API sessrec_result sessrec_user_fold(sessrec_user *user, sessrec_session *session);
// How many sessions the state has taken in. Threads: one.
SESSREC_API int64_t sessrec_user_sessions(const sessrec_user *user);
// The state as bytes, as for sessions. Threads: one.
SESSREC_API size_t sessrec_user_export_size(const sessrec_user *user);
SESSREC_API sessrec_result sessrec_user_export(const sessrec_user *user, void *bytes, size_t size);
SESSREC_API sessrec_result sessrec_user_import(sessrec_user *user, const void *bytes, size_t size);

// ---- building blocks --------------------------------------------------------------------------------------

// The weights of one GRU layer, wherever they are stored; gates are side by side in the order r, z, n.
typedef struct sessrec_gru {
    sessrec_gru_form form;
    int32_t input, hidden;  // D, H
    const float *W;         // [D,3H]
    const float *U;         // [H,3H]
    const float *b;         // [3H]
    const float *c;         // [3H] recurrent bias, RESET_AFTER only
} sessrec_gru;

// One time step (Cho 2014; Hidasi 2016, eq. 1-4; manual, 2) for B rows: x [B,D], h [B,H] in, h_new [B,H] out
// (may be h itself). tape [B,4H], required, is for the backward pass. Threads: shared, with distinct outputs.
SESSREC_API sessrec_result sessrec_gru_forward(const sessrec_gru *gru, int32_t rows, const float *x,
                                               const float *h, float *h_new, float *tape);

#ifndef SESSREC_NO_TRAINING

// Receives the gradients of the weights, in the shapes of sessrec_gru; overwritten, not added to.
typedef struct sessrec_gru_gradient {
    float *W, *U, *b, *c;
} sessrec_gru_gradient;

// The gradients of L through one step, from d_h_new = dL/dh' [B,H]; x and h as given to forward, tape as
// filled in by it. d_x [B,D], d_h [B,H]: or NULL. scratch [B,9H+D]. Threads: shared, with distinct outputs.
SESSREC_API sessrec_result sessrec_gru_backward(const sessrec_gru *gru, int32_t rows, const float *x,
                                                const float *h, const float *tape, const float *d_h_new,
                                                float *d_x, float *d_h, const sessrec_gru_gradient *gradient,
                                                float *scratch);

// Loss (manual, 2) and gradient of scores [rows,columns]; rows, items and outputs as in
// sessrec_loss_callback. target_columns [rows]: the column of each row's target; NULL: first_row + i, as
// CUSTOM requires. gradient may be the scores themselves, except for CUSTOM. items NULL: all are distinct.
// log_proposal [columns], times logq, is subtracted before the softmax of XE (NULL: nothing). scratch
// [8*columns]. Threads: shared, with distinct outputs.
SESSREC_API sessrec_result sessrec_loss(const sessrec_loss_config *config, int32_t first_row, int32_t rows,
                                        int32_t columns, const int32_t *target_columns,
                                        const int32_t *items, const float *log_proposal,
                                        const float *scores, float *row_loss, float *gradient,
                                        float *scratch);

// c [m,n] = a [m,k] b [k,n], added to c if accumulate is not 0. Element (i,l) of a is at a[i * a_row + l *
// a_column], where one of the two steps is 1: steps 1 and m read a [k,m] matrix transposed. Rows of b and c
// are b_row and c_row apart. Every element is one chain of fused multiply-adds in the order of l, so its bits
// do not depend on the part that a call computes (SESSREC_BLAS apart). Threads: shared, other outputs.
SESSREC_API sessrec_result sessrec_matmul(int32_t m, int32_t n, int32_t k, const float *a, ptrdiff_t a_row,
                                          ptrdiff_t a_column, const float *b, ptrdiff_t b_row, float *c,
                                          ptrdiff_t c_row, int32_t accumulate);
// c [m,n] = bias [n] + a [m,k] b^T with b [n,k]: the same chain, which starts with the bias. scratch
// [SESSREC_MATMUL_SCRATCH] is overwritten. Threads: shared, with distinct outputs.
#define SESSREC_MATMUL_SCRATCH 6144
SESSREC_API sessrec_result sessrec_matmul_bt(int32_t m, int32_t n, int32_t k, const float *a, ptrdiff_t a_row,
                                             const float *b, ptrdiff_t b_row, const float *bias, float *c,
                                             ptrdiff_t c_row, float *scratch);

// y = exp(x), tanh(x), 1 / (1 + exp(-x)) of n numbers; y may be x. They give the same bits on every
// processor; results below e^-32 are 0. Threads: shared, with distinct outputs.
SESSREC_API sessrec_result sessrec_exp(int32_t n, const float *x, float *y);
SESSREC_API sessrec_result sessrec_tanh(int32_t n, const float *x, float *y);
SESSREC_API sessrec_result sessrec_sigmoid(int32_t n, const float *x, float *y);

// Draw `index` of stream `stream` of a seed: 64 random bits that depend on these three numbers only, so that
// threads and resumed runs see the same draws. Threads: shared.
SESSREC_API uint64_t sessrec_random(uint64_t seed, uint64_t stream, uint64_t index);
// The same draw as a number in [0,1), a multiple of 2^-24. Threads: shared.
SESSREC_API float sessrec_random_unit(uint64_t seed, uint64_t stream, uint64_t index);

// Threads that share work, or your job system (may be NULL), as in sessrec_config. Threads: one.
typedef struct sessrec_pool sessrec_pool;
SESSREC_API sessrec_result sessrec_pool_create(int32_t threads, const sessrec_jobs *jobs,
                                               const sessrec_allocator *allocator, sessrec_pool **out,
                                               sessrec_error *err);
// How many tasks can run at once.
SESSREC_API int32_t sessrec_pool_threads(const sessrec_pool *pool);
// Calls task(context, i) for every i in [0,count), in any order and on any thread; returns when all are done.
// A task must not call it for the same pool. pool NULL: one after the other.
SESSREC_API sessrec_result sessrec_parallel(sessrec_pool *pool, int32_t count,
                                            void (*task)(void *context, int32_t index), void *context);
SESSREC_API void sessrec_pool_destroy(sessrec_pool *pool);

// Optimizer state of one tensor: arrays of its shape, all zero at the start; NULL where the kind needs none.
typedef struct sessrec_optimizer_state {
    float *first;       // all but SGD (Adagrad, RMSProp, Adadelta: mean of g^2; Adam: m)
    float *second;      // Adadelta (mean of d^2), Adam (v)
    float *velocity;    // momentum > 0
    int32_t *steps;     // [rows] Adam: how often each row was updated
} sessrec_optimizer_state;

// w -= learning_rate * d(g) or, with momentum, v = momentum v - learning_rate d(g), w += v; d(g) depends on
// the kind. Updates rows row_ids[0..rows-1] (NULL: rows 0 .. rows-1) of the table w [*,columns] with gradient
// [rows,columns], overwritten. Ids are distinct (sessrec_sum_duplicates). Threads: shared, with distinct
// rows.
SESSREC_API sessrec_result sessrec_optimizer_update(const sessrec_optimizer_config *config, int32_t rows,
                                                    int32_t columns, const int32_t *row_ids, float *weights,
                                                    float *gradient, const sessrec_optimizer_state *state);

// Adds the rows of gradient [rows,columns] that have the same row id into the first of them, in order, and
// moves the distinct rows and their ids to the front. Returns how many there are, or a negative
// sessrec_result. scratch [6*rows+2]. Threads: shared.
SESSREC_API int32_t sessrec_sum_duplicates(int32_t rows, int32_t columns, int32_t *row_ids, float *gradient,
                                           int32_t *scratch);

// Draws items with probability support^alpha / sum(support^alpha) from an exact integer cumulative table:
// every item with support > 0 can be drawn, however large the catalog. Draw `index` of `seed` is always the
// same item. NO_DATA if no item has support. Threads: one for create, shared for draw.
typedef struct sessrec_sampler sessrec_sampler;
SESSREC_API sessrec_result sessrec_sampler_create(const int64_t *supports, int32_t item_count, float alpha,
                                                  const sessrec_allocator *allocator, sessrec_sampler **out,
                                                  sessrec_error *err);
// -1 if sampler is NULL.
SESSREC_API int32_t sessrec_sampler_draw(const sessrec_sampler *sampler, uint64_t seed, uint64_t index);
SESSREC_API void sessrec_sampler_destroy(sessrec_sampler *sampler);

// One session-parallel mini-batch: `rows` slots, each with the next (input, target) pair of its session.
typedef struct sessrec_batch {
    int32_t epoch;
    int64_t step;                   // in the epoch, from 0
    int32_t rows;                   // live slots, <= config.batch_size
    int32_t negative_count;
    const int32_t *inputs;          // [rows] items
    const int32_t *targets;         // [rows]
    const int32_t *negatives;       // [negative_count] shared by all rows
    const int32_t *sessions;        // [rows] sessions of the log
    const int32_t *session_starts;  // [rows] 1: its session's first pair; h starts at 0, or from the user's
    const int32_t *user_starts;     // [rows] 1: also its user's first, both start at 0. NULL: no users
    const int32_t *previous_rows;   // [rows] the slot's row in the last mini-batch; slots move up
} sessrec_batch;

// Walks through a log in session-parallel mini-batches (manual, 2; Hidasi 2016, figure 3). Slots 0.. take the
// first sessions; the lowest slot whose session has ended takes the next one. If only one slot is left and
// there are no extra negatives, the epoch ends, because its row has no negatives; with user_hidden it
// continues. sampler NULL: no negatives are drawn; with config.negatives > 0 add your own to each mini-batch.
// Log and sampler must outlive the batcher. Threads: one.
typedef struct sessrec_batcher sessrec_batcher;
SESSREC_API sessrec_result sessrec_batcher_create(const sessrec_config *config, const sessrec_log *log,
                                                  const sessrec_sampler *sampler, sessrec_batcher **out,
                                                  sessrec_error *err);
// The next mini-batch; its arrays are valid until the next call. rows is 0 once after each epoch.
SESSREC_API sessrec_result sessrec_batcher_next(sessrec_batcher *batcher, sessrec_batch *out);
// Goes to a step of an epoch, as after a resume. INVALID_ARGUMENT if that is shorter: its first is next.
SESSREC_API sessrec_result sessrec_batcher_seek(sessrec_batcher *batcher, int32_t epoch, int64_t step,
                                                sessrec_error *err);
// Mini-batches and pairs per epoch. With shuffle_sessions the number of mini-batches varies a little: it is
// the first epoch's until that ends, then the last epoch's that ended. Pairs are the first's.
SESSREC_API int64_t sessrec_batcher_steps(const sessrec_batcher *batcher);
SESSREC_API int64_t sessrec_batcher_pairs(const sessrec_batcher *batcher);
SESSREC_API void sessrec_batcher_destroy(sessrec_batcher *batcher);

// A model in training: weights, optimizer state, and the hidden state of every slot. Its items are those of
// the log (after those of config->start_from; MISMATCH for a log without format.items_of). Threads: one.
typedef struct sessrec_trainer sessrec_trainer;
SESSREC_API sessrec_result sessrec_trainer_create(const sessrec_config *config, const sessrec_log *log,
                                                  sessrec_trainer **out, sessrec_error *err);
SESSREC_API void sessrec_trainer_destroy(sessrec_trainer *trainer);
// Forward and backward for one mini-batch, then the update. *loss (may be NULL) is the mini-batch's loss
// (manual, 2). DIVERGED if it is not finite; the weights then keep their last values.
SESSREC_API sessrec_result sessrec_trainer_step(sessrec_trainer *trainer, const sessrec_batch *batch,
                                                double *loss, sessrec_error *err);
// The two halves of a step: gradients and new hidden states, then the update.
SESSREC_API sessrec_result sessrec_trainer_grad(sessrec_trainer *trainer, const sessrec_batch *batch,
                                                double *loss, sessrec_error *err);
SESSREC_API sessrec_result sessrec_trainer_apply(sessrec_trainer *trainer, sessrec_error *err);
// A matrix that belongs to a trainer. row_ids: items of the rows of a sparse gradient, else NULL.
typedef struct sessrec_mutable_tensor {
    float *data;
    int32_t rows, columns;
    const int32_t *row_ids;
} sessrec_mutable_tensor;
// Tensors by name, writable: weights as in sessrec_model_tensor; "grad.NAME" after sessrec_trainer_grad (of
// tables only the rows that were used, with row_ids; on a GPU -1 where a row was added to an earlier one of
// the same item); optimizer state "acc.NAME", "second.NAME", "vel.NAME"; the slots' states "hidden0" ..
// [batch_size,H] and "user" [batch_size,Hu]. (To see the scores, use a custom loss.) On a GPU they are
// copies: ask again after each step. What you write into them goes back with the next call.
SESSREC_API sessrec_result sessrec_trainer_tensor(sessrec_trainer *trainer, const char *name,
                                                  sessrec_mutable_tensor *out, sessrec_error *err);
// The current weights as a model that belongs to the trainer and changes with it (on a GPU, at the next
// call).
SESSREC_API sessrec_result sessrec_trainer_model(const sessrec_trainer *trainer, const sessrec_model **out,
                                                 sessrec_error *err);
// Hands the model over to the caller, who destroys it. The trainer can then only be destroyed.
SESSREC_API sessrec_result sessrec_trainer_take_model(sessrec_trainer *trainer, sessrec_model **out,
                                                      sessrec_error *err);
// Early stopping: tell the trainer how good its weights are (higher is better). It keeps a copy of the best;
// use_best restores them, and does nothing if none were kept.
SESSREC_API sessrec_result sessrec_trainer_keep_best(sessrec_trainer *trainer, double value,
                                                     sessrec_error *err);
SESSREC_API sessrec_result sessrec_trainer_use_best(sessrec_trainer *trainer, sessrec_error *err);
// The state of the run: the next epoch and step; pairs and summed row loss of the epoch so far; the best
// value that keep_best got, and how many calls ago (0: the last one; -1: none yet).
typedef struct sessrec_position {
    int32_t epoch, best_age;
    int64_t step, pairs;
    double loss_sum, best;
} sessrec_position;
SESSREC_API sessrec_position sessrec_trainer_position(const sessrec_trainer *trainer);
// For continuing from a model. Adagrad divides a step by the root of the sum of all squared gradients so far.
// Without that sum the first steps would be as large as those of an untrained network and would undo what was
// learned. A model does not contain the sums, only its items' supports. So this measures what one click adds,
// on the first 300 mini-batches and without updating weights. It then sets the sums of items that
// config.start_from knows, and of all dense matrices, as if the model's clicks had been seen 10 *
// config.epochs times: 10 because gradients were larger when the model knew less. Sums of new items start at
// zero. The weights also shrink, known items' rows to 0.9 of their size and dense matrices to 0.7: a network
// that starts near an old optimum stays there and generalizes worse than one trained from scratch (Ash and
// Adams, NeurIPS 2020). Call it before the first step, as sessrec_train does; the batcher starts again.
// Nothing without start_from and Adagrad.
SESSREC_API sessrec_result sessrec_trainer_warm_up(sessrec_trainer *trainer, sessrec_batcher *batcher,
                                                   sessrec_error *err);
// Learns from one session that has just ended, click by click: a mini-batch of one row for each pair, with
// config.negatives samples (sampler NULL: none, and then only a custom loss learns anything). Items -1 are
// left out. *loss (may be NULL) is the mean over the pairs, 0 if there are none.
SESSREC_API sessrec_result sessrec_trainer_learn(sessrec_trainer *trainer, const sessrec_sampler *sampler,
                                                 const int32_t *items, int32_t count, double *loss,
                                                 sessrec_error *err);
// The sampler that the configuration asks for, from the items' supports; NULL with negatives == 0.
SESSREC_API sessrec_result sessrec_trainer_sampler(const sessrec_trainer *trainer, sessrec_sampler **out,
                                                   sessrec_error *err);
// Trains on the rest of the batcher's epoch. Calls config.progress a few times per second and writes
// config.checkpoint every config.checkpoint_steps. STOPPED if the callback said so.
SESSREC_API sessrec_result sessrec_trainer_epoch(sessrec_trainer *trainer, sessrec_batcher *batcher,
                                                 sessrec_error *err);
// Ends the epoch: moves the position to the start of the next.
SESSREC_API sessrec_result sessrec_trainer_next_epoch(sessrec_trainer *trainer);
// Fills in the state of the run for a progress callback.
SESSREC_API sessrec_result sessrec_trainer_progress(const sessrec_trainer *trainer,
                                                    const sessrec_batcher *batcher, sessrec_progress *out);
// Where it runs: "cpu", or the GPU's name, which belongs to the trainer.
SESSREC_API const char *sessrec_trainer_device(const sessrec_trainer *trainer);
#ifndef SESSREC_NO_STDIO
// Checkpoints hold everything that the rest of the run depends on: a resumed run ends with the same bits as
// one that never stopped. Written like models. _read wants a trainer of the same configuration and log, else
// MISMATCH.
SESSREC_API sessrec_result sessrec_trainer_write(const sessrec_trainer *trainer, const char *path,
                                                 sessrec_error *err);
SESSREC_API sessrec_result sessrec_trainer_read(sessrec_trainer *trainer, const char *path,
                                                sessrec_error *err);
#  endif

// The definition of rank, from how many items score higher and how many others the same. Threads: shared.
SESSREC_API double sessrec_rank(int64_t higher, int64_t equal, sessrec_ties ties);
// Counts both in scores [item_count]. A target of NaN or -infinity ranks last (every other item is higher);
// other NaNs are never higher. Threads: shared.
SESSREC_API sessrec_result sessrec_rank_counts(const float *scores, int32_t item_count, int32_t target,
                                               int64_t *higher, int64_t *equal);
// Adds one event of that rank to metrics whose values are sums; divide them by the events at the end.
SESSREC_API sessrec_result sessrec_metrics_add(sessrec_metrics *metrics, double rank, int32_t cutoff_count,
                                               const int32_t *cutoffs);
// Averages `count` neighboring groups of a report over all their events; all zero without events. For example
// (by_position, 2) are the recommendations after a session's first and second click, (by_position + 2, 2) the
// third and fourth, (by_position + 4, 4) all later ones. Threads: shared.
SESSREC_API sessrec_metrics sessrec_metrics_merge(const sessrec_metrics *groups, int32_t count);

#endif // SESSREC_NO_TRAINING

#ifdef __cplusplus
}
#endif
#pragma pop_macro("U")
#pragma pop_macro("W")

// ================================ Stop here if you only use it. The rest is how it works. ==================
#endif // SESSREC_H

#if defined(SESSREC_IMPLEMENTATION) && (defined(SESSREC__SET) || !defined(SESSREC__IMPLEMENTED))
#define SESSREC__IMPLEMENTED
#ifndef SESSREC__SET  // defined while this file includes itself, see >>vectors

// ===========================================================================================================
// >>ground   what the book stands on
// The engine room behind the book does the plumbing. What differs from compiler to compiler and the engine's
// own types are in >>compilers: this file includes itself, here for that section and in >>dispatch once for
// each instruction set. Random numbers are in >>rng.
// ===========================================================================================================
#ifndef SESSREC_HEADER_NAME
#  define SESSREC_HEADER_NAME "sessrec.h"  // define it if you rename this file
#endif
#define SESSREC__GROUND
#include SESSREC_HEADER_NAME

// Fills in err, with a sentence in the manner of printf, and returns code.
SESSREC__SENTENCE sessrec_result sessrec__fail(sessrec_error *err, sessrec_result code, int64_t line,
                                               const char *format, ...);
static sessrec_result sessrec__invalid(sessrec_error *err, const char *text);
static sessrec_result sessrec__no_memory(sessrec_error *err);
// The task for every index below count, on all threads of a pool.
#ifndef SESSREC_NO_TRAINING
static void sessrec__pool_run(sessrec__pool *pool, int32_t count, sessrec__task task, void *context);
static int64_t sessrec__count_of(double number, double most);
#endif

static void *sessrec__alloc_unset(const sessrec_allocator *memory, uint64_t count, uint64_t size);
static void *sessrec__alloc(const sessrec_allocator *memory, uint64_t count, uint64_t size);  // zeroed
static void sessrec__free(const sessrec_allocator *memory, void *block);

// Kernels: k->exp, k->axpy and so on work on arrays of n numbers. The table at the head of >>kernels has the
// formulas; these are the best ones for this processor, and products with them.
typedef struct sessrec__kernels sessrec__kernels;
static const sessrec__kernels *sessrec__best_kernels(void);
static void sessrec__matmul(const sessrec__kernels *kernels, int32_t M, int32_t N, int32_t K, const float *A,
                            ptrdiff_t a_row, ptrdiff_t a_col, const float *B, ptrdiff_t b_row, float *C,
                            ptrdiff_t c_row, int accumulate);

// ===========================================================================================================
// >>gru   one time step of a gated recurrent unit, forward and backward
//   r = sg(x Wr + h Ur + br)     reset gate      z = sg(x Wz + h Uz + bz)     update gate
//   n = tanh(x Wn + (r * h) Un + bn)             candidate, reset-before (Cho 2014; Hidasi 2016, eq. 4)
//   n = tanh(x Wn + bn + r * (h Un + cn))        candidate, reset-after (cuDNN): r and z have cr, cz too
//   h' = h + z * (n - h)                         (1-z) * h + z * n
// Gates are side by side: W [D,3H], U [H,3H]. The tape [B,4H] holds r, z, n and one more: r * h (before) or h
// Un + cn (after).
// ===========================================================================================================

// a = x W + b, the input's part of the gates: the first 3H columns of the tape. With one-hot input, items !=
// NULL, x W is a row of W. keep (NULL: 1) then scales it, which is all that input dropout can do to a one-hot
// vector.
static void sessrec__gru_input(const sessrec__kernels *k, const sessrec_gru *gru, int32_t rows,
                               const float *x, const int32_t *items, const float *keep, float *tape) {
    const int32_t H = gru->hidden;
    for (int32_t i = 0; i < rows; ++i) {
        float *a = tape + (ptrdiff_t)i * 4 * H;
        memcpy(a, gru->b, (size_t)H * 3 * sizeof *a);
        if (items) k->axpy(3 * H, keep ? keep[i] : 1, gru->W + (ptrdiff_t)items[i] * 3 * H, a);
    }
    if (!items)
        sessrec__matmul(k, rows, 3 * H, gru->input, x, gru->input, 1, gru->W, 3 * (ptrdiff_t)H, tape,
                        4 * (ptrdiff_t)H, 1);
}

// The recurrent part: tape holds a in, the gates out.
static void sessrec__gru_recurrent(const sessrec__kernels *k, const sessrec_gru *gru, int32_t rows,
                                   const float *h, float *h_new, float *tape) {
    const int32_t H = gru->hidden;
    const ptrdiff_t T = 4 * (ptrdiff_t)H, G = 3 * (ptrdiff_t)H;
    const int after = gru->form == SESSREC_RESET_AFTER;
    sessrec__matmul(k, rows, 2 * H, H, h, H, 1, gru->U, G, tape, T, 1);
    for (int32_t i = 0; i < rows; ++i) {
        float *r = tape + i * T, *extra = r + G;
        if (after) {
            k->axpy(2 * H, 1, gru->c, r);
            memcpy(extra, gru->c + 2 * H, (size_t)H * sizeof *extra);
        }
        k->sigmoid(2 * H, r, r);
    }
    if (after) {
        sessrec__matmul(k, rows, H, H, h, H, 1, gru->U + 2 * H, G, tape + G, T, 1);
        for (int32_t i = 0; i < rows; ++i) {
            float *r = tape + i * T, *n = r + 2 * H;
            k->muladd(H, r, r + G, n, n);
        }
    } else {
        for (int32_t i = 0; i < rows; ++i)
            k->multiply(H, tape + i * T, h + (ptrdiff_t)i * H, tape + i * T + G);
        sessrec__matmul(k, rows, H, H, tape + G, T, 1, gru->U + 2 * H, G, tape + 2 * H, T, 1);
    }
    for (int32_t i = 0; i < rows; ++i) {
        float *r = tape + i * T, *z = r + H, *n = z + H;
        k->tanh(H, n, n);
        k->blend(H, z, n, h + (ptrdiff_t)i * H, h_new + (ptrdiff_t)i * H);
    }
}

// Whether every array that the form needs is there.
static int sessrec__gru_ready(const sessrec_gru *gru) {
    return gru && gru->input > 0 && gru->hidden > 0 && gru->W && gru->U && gru->b &&
           (gru->c || gru->form != SESSREC_RESET_AFTER);
}

SESSREC_API sessrec_result sessrec_gru_forward(const sessrec_gru *gru, int32_t rows, const float *x,
                                               const float *h, float *h_new, float *tape) {
    if (!sessrec__gru_ready(gru) || rows < 0 || !x || !h || !h_new || !tape) return SESSREC_INVALID_ARGUMENT;
    const sessrec__kernels *k = sessrec__best_kernels();
    sessrec__gru_input(k, gru, rows, x, NULL, NULL, tape);
    sessrec__gru_recurrent(k, gru, rows, h, h_new, tape);
    return SESSREC_OK;
}

// What a matrix of a model is for, in the order of files.
typedef enum sessrec__role {
    SESSREC__WY,        // [V,L] what scores the items
    SESSREC__BY,        // [V,1]
    SESSREC__E,         // [V,D] their rows as inputs, with SEPARATE
    SESSREC__GRU_W,     // of a layer, or of the user-level GRU; without an embedding, the W of layer 0 is a
    SESSREC__GRU_U,     // table of the items
    SESSREC__GRU_B,
    SESSREC__GRU_C,
    SESSREC__INIT_W,    // [Hu,H] user's state -> first hidden state of a layer
    SESSREC__INIT_B,
    SESSREC__CONTEXT    // [Hu,3H] user's state -> gates of layer 0, but with USER_INIT
} sessrec__role;

#  ifndef SESSREC_NO_TRAINING

// y [rows,columns] = g [rows,K] M^T for M [columns,K] (row distance m_row), added to y if asked. Transposing
// g and the result is cheaper than transposing M, because they have few rows. scratch [(K + columns) * rows].
static void sessrec__matmul_transposed(const sessrec__kernels *k, int32_t rows, int32_t columns, int32_t K,
                                   const float *g, ptrdiff_t g_row, const float *M, ptrdiff_t m_row, float *y,
                                   ptrdiff_t y_row, int accumulate, float *scratch) {
    float *g_t = scratch, *y_t = scratch + (ptrdiff_t)K * rows;
    k->transpose(rows, K, g, g_row, g_t, rows);
    if (accumulate) k->transpose(rows, columns, y, y_row, y_t, rows);
    sessrec__matmul(k, columns, rows, K, M, m_row, 1, g_t, rows, y_t, rows, accumulate);
    k->transpose(columns, rows, y_t, rows, y, y_row);
}

// The row-wise part of the backward step: from d_h_new to the gradients of the gates before their activation,
// d_gates [B,4H] = dr, dz, dn and one more: d(r * h) (before) or d(h Un + cn) (after); then d_x. scratch [4H
// + D] a row.
static void sessrec__gru_backward_rows(const sessrec__kernels *k, const sessrec_gru *gru, int32_t rows,
                                       const float *h, const float *tape, const float *d_h_new, float *d_x,
                                       float *d_gates, float *scratch) {
    const int32_t H = gru->hidden;
    const ptrdiff_t T = 4 * (ptrdiff_t)H, G = 3 * (ptrdiff_t)H;
    const int after = gru->form == SESSREC_RESET_AFTER;
    for (int32_t i = 0; i < rows; ++i) {
        const float *r = tape + i * T, *z = r + H, *n = z + H, *extra = n + H;
        float *dr = d_gates + i * T, *dz = dr + H, *dn = dz + H, *d_extra = dn + H;
        k->blend_back(H, d_h_new + (ptrdiff_t)i * H, z, n, h + (ptrdiff_t)i * H, dz, dn);
        if (!after) continue;
        k->multiply(H, dn, r, d_extra);
        k->gate_back(H, dn, extra, r, dr);
    }
    if (!after) {
        sessrec__matmul_transposed(k, rows, H, H, d_gates + 2 * H, T, gru->U + 2 * H, G, d_gates + G, T, 0,
                               scratch);
        for (int32_t i = 0; i < rows; ++i)
            k->gate_back(H, d_gates + i * T + G, h + (ptrdiff_t)i * H, tape + i * T, d_gates + i * T);
    }
    if (d_x)
        sessrec__matmul_transposed(k, rows, gru->input, 3 * H, d_gates, T, gru->W, G, d_x, gru->input, 0,
                               scratch);
}

// Also dL/dh of the states that entered, for the rows row[0 .. count-1] (NULL: all): d_h [count,H]. scratch
// [7H] per row.
static void sessrec__gru_backward_states(const sessrec__kernels *k, const sessrec_gru *gru, int32_t count,
                                         const int32_t *row, const float *tape, const float *d_h_new,
                                         const float *d_gates, float *d_h, float *scratch) {
    const int32_t H = gru->hidden;
    const ptrdiff_t T = 4 * (ptrdiff_t)H, G = 3 * (ptrdiff_t)H;
    const int after = gru->form == SESSREC_RESET_AFTER;
    float *gathered = scratch;
    if (row) scratch += count * T;
    for (int32_t i = 0; i < count; ++i) {
        const ptrdiff_t from = row ? row[i] : i;
        const float *r = tape + from * T, *z = r + H, *up = d_h_new + from * H,
                    *d_rh = d_gates + from * T + G;
        float *dh = d_h + (ptrdiff_t)i * H;
        for (int32_t j = 0; j < H; ++j) dh[j] = up[j] * (1 - z[j]) + (after ? 0 : d_rh[j] * r[j]);
        if (row) memcpy(gathered + i * T, d_gates + from * T, (size_t)T * sizeof *gathered);
    }
    if (row) d_gates = gathered;
    sessrec__matmul_transposed(k, count, H, 2 * H, d_gates, T, gru->U, G, d_h, H, 1, scratch);
    if (after)
        sessrec__matmul_transposed(k, count, H, H, d_gates + G, T, gru->U + 2 * H, G, d_h, H, 1, scratch);
}

// Rows first .. last-1 of the gradient of one of the four, summed over the B rows of the mini-batch in order:
// dW = x^T (dr dz dn), dU = h^T (dr dz), and for the candidate (r * h)^T dn or h^T d(h Un + cn); db = the sum
// of dr, dz, dn, and dc the same with d(h Un + cn) for the candidate.
static void sessrec__gru_gradient(const sessrec__kernels *k, const sessrec_gru *gru, sessrec__role role,
                                  int32_t first, int32_t last, int32_t rows, const float *x, const float *h,
                                  const float *tape, const float *d_gates, float *out) {
    const int32_t H = gru->hidden, count = last - first;
    const ptrdiff_t T = 4 * (ptrdiff_t)H, G = 3 * (ptrdiff_t)H;
    const int after = gru->form == SESSREC_RESET_AFTER;
    if (role == SESSREC__GRU_W) {
        sessrec__matmul(k, count, 3 * H, rows, x + first, 1, gru->input, d_gates, T, out, G, 0);
    } else if (role == SESSREC__GRU_U) {
        sessrec__matmul(k, count, 2 * H, rows, h + first, 1, H, d_gates, T, out, G, 0);
        sessrec__matmul(k, count, H, rows, (after ? h : tape + G) + first, 1, after ? H : T,
                        d_gates + (after ? G : 2 * H), T, out + 2 * H, G, 0);
    } else {
        const float *candidate = d_gates + (role == SESSREC__GRU_C ? G : 2 * H);
        memset(out, 0, (size_t)H * 3 * sizeof *out);
        for (int32_t i = 0; i < rows; ++i) {
            k->axpy(2 * H, 1, d_gates + i * T, out);
            k->axpy(H, 1, candidate + i * T, out + 2 * H);
        }
    }
}

SESSREC_API sessrec_result sessrec_gru_backward(const sessrec_gru *gru, int32_t rows, const float *x,
                                                const float *h, const float *tape, const float *d_h_new,
                                                float *d_x, float *d_h, const sessrec_gru_gradient *gradient,
                                                float *scratch) {
    if (!sessrec__gru_ready(gru) || rows < 0 || !x || !h || !tape || !d_h_new || !gradient || !scratch ||
        !gradient->W || !gradient->U || !gradient->b || (gru->form == SESSREC_RESET_AFTER && !gradient->c))
        return SESSREC_INVALID_ARGUMENT;
    const sessrec__kernels *k = sessrec__best_kernels();
    float *d_gates = scratch, *rest = scratch + (ptrdiff_t)rows * 4 * gru->hidden;
    sessrec__gru_backward_rows(k, gru, rows, h, tape, d_h_new, d_x, d_gates, rest);
    if (d_h) sessrec__gru_backward_states(k, gru, rows, NULL, tape, d_h_new, d_gates, d_h, rest);
    float *const out[] = {gradient->W, gradient->U, gradient->b, gradient->c};
    for (int32_t i = 0; i < (gru->form == SESSREC_RESET_AFTER ? 4 : 3); ++i)
        sessrec__gru_gradient(k, gru, (sessrec__role)(SESSREC__GRU_W + i), 0, i ? gru->hidden : gru->input,
                              rows, x, h, tape, d_gates, out[i]);
    return SESSREC_OK;
}

#  endif  // SESSREC_NO_TRAINING

// ===========================================================================================================
// >>model   weights, item ids, support
// A model is a list of named matrices and a table of items. One function defines which matrices there are and
// their sizes; memory, files, optimizer state and sessrec_model_tensor all follow it.
// ===========================================================================================================

enum { SESSREC__MAX_TENSORS = 3 + 4 * SESSREC_MAX_LAYERS + 4 + 2 * SESSREC_MAX_LAYERS + 1 };

// The roles of Wy and By are also their indices.
enum { SESSREC__INPUT_TABLE = 2 };  // the index of E, or of the first W, which come next to Wy and By

// One matrix of a model. A table has a row for each item, of which a training step touches a few; all other
// matrices are dense.
typedef struct sessrec__shape {
    char name[8];   // "Wy"; "L0.W": what it belongs to, its layer, which one
    sessrec__role role;
    int32_t layer, of_user;     // of_user: of the user-level GRU
    int32_t rows, columns;
    int32_t table;
    int32_t gates;  // this many matrices are side by side, each drawn from a range of its own (F19: Glorot,
                    // Bengio 2010); 0: it starts at zero
} sessrec__shape;

struct sessrec_model {
    sessrec_allocator memory;
    sessrec_model_info info;
    const sessrec__kernels *kernels;
    uint64_t fingerprint;       // of the content, 0 while a trainer still changes it
    int32_t tensors;
    sessrec__shape shape[SESSREC__MAX_TENSORS];
    float *tensor[SESSREC__MAX_TENSORS];
    // the same by their roles
    float *Wy, *By, *E;
    sessrec_gru gru[SESSREC_MAX_LAYERS];
    sessrec_gru user;           // the user-level GRU
    float *init_W[SESSREC_MAX_LAYERS], *init_b[SESSREC_MAX_LAYERS];     // user's state -> first hidden state
    float *context;             // [Hu,3H] user's state -> gates of layer 0, NULL with USER_INIT
    // items
    const uint64_t *support;    // [V]
    const uint32_t *id_offset;  // [V+1] where each id begins in id_text; each ends with a NUL
    const char *id_text;
    const int32_t *id_order;    // [V] items sorted by the bytes of their ids, for finding them
    uint8_t *screen;            // blocks of sessrec__screen, NULL until sessrec_model_prepare
    double screen_whole, screen_rest;   // longest row of codes, and of what they leave out, in steps
};

static void sessrec__add_shape(sessrec__shape *list, int32_t *count, sessrec__role role, int32_t layer,
                               int32_t of_user, int32_t rows, int32_t columns, int32_t table,
                               int32_t gates) {
    static const char names[][5] = {"Wy", "By", "E", "L0.W", "L0.U", "L0.b", "L0.c", "I0.W", "I0.b", "C0.W"};
    const sessrec__shape shape = {"", role, layer, of_user, rows, columns, table, gates};
    char *name = list[*count].name;
    list[(*count)++] = shape;
    memcpy(name, names[role], sizeof names[role]);
    name[1] = (char)(name[1] + layer);
    if (of_user) name[0] = 'U';
}

// The four matrices of one GRU. One-hot input makes W a table.
static void sessrec__add_gru(sessrec__shape *list, int32_t *count, const sessrec_model_info *info,
                             int32_t layer, int32_t of_user, int32_t D, int32_t H) {
    const int32_t onehot = !of_user && layer == 0 && info->embedding == SESSREC_EMBEDDING_NONE;
    sessrec__add_shape(list, count, SESSREC__GRU_W, layer, of_user, onehot ? info->item_count : D, 3 * H,
                       onehot, 3);
    sessrec__add_shape(list, count, SESSREC__GRU_U, layer, of_user, H, 3 * H, 0, 3);
    sessrec__add_shape(list, count, SESSREC__GRU_B, layer, of_user, 1, 3 * H, 0, 0);
    if (info->gru == SESSREC_RESET_AFTER)
        sessrec__add_shape(list, count, SESSREC__GRU_C, layer, of_user, 1, 3 * H, 0, 0);
}

// The matrices of a network. Returns their number.
static int32_t sessrec__shapes(const sessrec_model_info *info, sessrec__shape *list) {
    const int32_t V = info->item_count, Hu = info->user_hidden, L = info->hidden[info->layer_count - 1];
    int32_t count = 0;
    sessrec__add_shape(list, &count, SESSREC__WY, 0, 0, V, L, 1, 1);
    sessrec__add_shape(list, &count, SESSREC__BY, 0, 0, V, 1, 1, 0);
    if (info->embedding == SESSREC_EMBEDDING_SEPARATE)
        sessrec__add_shape(list, &count, SESSREC__E, 0, 0, V, info->embedding_width, 1, 1);
    for (int32_t l = 0; l < info->layer_count; ++l)
        sessrec__add_gru(list, &count, info, l, 0, l ? info->hidden[l - 1] : info->embedding_width,
                         info->hidden[l]);
    if (!Hu) return count;
    sessrec__add_gru(list, &count, info, 0, 1, L, Hu);
    for (int32_t l = 0; l < info->layer_count; ++l) {
        sessrec__add_shape(list, &count, SESSREC__INIT_W, l, 0, Hu, info->hidden[l], 0, 1);
        sessrec__add_shape(list, &count, SESSREC__INIT_B, l, 0, 1, info->hidden[l], 0, 0);
    }
    if (info->user_mode != SESSREC_USER_INIT)
        sessrec__add_shape(list, &count, SESSREC__CONTEXT, 0, 0, Hu, 3 * info->hidden[0], 0, 3);
    return count;
}

static int32_t sessrec__find_shape(const sessrec_model *model, const char *name) {
    for (int32_t t = 0; t < model->tensors; ++t)
        if (!strcmp(model->shape[t].name, name)) return t;
    return -1;
}

// Fills the pointers by purpose, once model->info, shape and tensor are known.
static void sessrec__model_wire(sessrec_model *model) {
    model->kernels = sessrec__best_kernels();
    for (int32_t t = 0; t < model->tensors; ++t) {
        const sessrec__shape *shape = &model->shape[t];
        float *data = model->tensor[t];
        sessrec_gru *gru = shape->of_user ? &model->user : &model->gru[shape->layer];
        switch (shape->role) {
        case SESSREC__WY: model->Wy = data; break;
        case SESSREC__BY: model->By = data; break;
        case SESSREC__E: model->E = data; break;
        case SESSREC__GRU_W:
            gru->form = model->info.gru;
            gru->input = shape->rows;
            gru->hidden = shape->columns / 3;
            gru->W = data;
            break;
        case SESSREC__GRU_U: gru->U = data; break;
        case SESSREC__GRU_B: gru->b = data; break;
        case SESSREC__GRU_C: gru->c = data; break;
        case SESSREC__INIT_W: model->init_W[shape->layer] = data; break;
        case SESSREC__INIT_B: model->init_b[shape->layer] = data; break;
        case SESSREC__CONTEXT: model->context = data; break;
        }
    }
}

SESSREC__INLINE const char *sessrec__item_text(const sessrec_model *model, int32_t item) {
    return model->id_text + model->id_offset[item];
}
SESSREC__INLINE size_t sessrec__item_text_size(const sessrec_model *model, int32_t item) {
    return model->id_offset[item + 1] - model->id_offset[item] - 1;
}
SESSREC__INLINE int32_t sessrec__last_width(const sessrec_model *model) {
    return model->info.hidden[model->info.layer_count - 1];
}

SESSREC_API void sessrec_model_destroy(sessrec_model *model) {
    if (!model) return;
    sessrec_allocator memory = model->memory;
    sessrec__free(&memory, model->screen);
    sessrec__free(&memory, model);  // one block: the tensors of a model that owns any follow it
}

SESSREC_API sessrec_model_info sessrec_model_describe(const sessrec_model *model) {
    sessrec_model_info none;
    memset(&none, 0, sizeof none);
    return model ? model->info : none;
}

SESSREC_API const char *sessrec_model_item_id(const sessrec_model *model, int32_t item) {
    return model && item >= 0 && item < model->info.item_count ? sessrec__item_text(model, item) : NULL;
}

SESSREC_API int32_t sessrec_model_find_item(const sessrec_model *model, const char *id) {
    if (!model || !id) return -1;
    const size_t size = strlen(id);
    int32_t low = 0, high = model->info.item_count;  // the answer is in [low, high) of id_order
    while (low < high) {
        int32_t middle = low + (high - low) / 2, item = model->id_order[middle];
        int order = sessrec__compare_text(id, size, sessrec__item_text(model, item),
                                          sessrec__item_text_size(model, item));
        if (order == 0) return item;
        if (order < 0) high = middle;
        else low = middle + 1;
    }
    return -1;
}
SESSREC_API int64_t sessrec_model_item_number(const sessrec_model *model, int32_t item) {
    return sessrec__id_number(sessrec_model_item_id(model, item));
}
SESSREC_API int32_t sessrec_model_find_number(const sessrec_model *model, int64_t id) {
    char text[24];
    return sessrec_model_find_item(model, sessrec__decimal(id, text));
}

SESSREC_API uint64_t sessrec_model_support(const sessrec_model *model, int32_t item) {
    return model && item >= 0 && item < model->info.item_count ? model->support[item] : 0;
}

SESSREC_API sessrec_result sessrec_model_tensor(const sessrec_model *model, const char *name,
                                                sessrec_tensor *out) {
    if (!out) return SESSREC_INVALID_ARGUMENT;
    memset(out, 0, sizeof *out);
    int32_t t = model && name ? sessrec__find_shape(model, name) : -1;
    if (t < 0) return SESSREC_INVALID_ARGUMENT;
    out->data = model->tensor[t];
    out->rows = model->shape[t].rows;
    out->columns = model->shape[t].columns;
    return SESSREC_OK;
}

SESSREC_API const char *sessrec_model_tensor_name(const sessrec_model *model, int32_t index) {
    return model && index >= 0 && index < model->tensors ? model->shape[index].name : NULL;
}

#ifndef SESSREC_NO_TRAINING
// ---- a new model, for a log ----

static uint64_t sessrec__tensor_elements(const sessrec__shape *shape) {
    return (uint64_t)shape->rows * (uint64_t)shape->columns;  // < 2^31 * 2^15
}

// All of a model in one block, including the arrays that are constant later.
typedef struct sessrec__new_model {
    sessrec_model model;
    uint64_t text_bytes;
    uint64_t *support;
    uint32_t *id_offset;
    char *id_text;
    int32_t *id_order;
} sessrec__new_model;

static void sessrec__model_place(void *object, sessrec__layout *layout) {
    sessrec__new_model *plan = (sessrec__new_model *)object;
    sessrec_model *model = &plan->model;
    const uint64_t V = (uint64_t)model->info.item_count;
    (void)sessrec__place(layout, 1, sizeof *model);
    for (int32_t t = 0; t < model->tensors; ++t)
        model->tensor[t] = sessrec__place_floats(layout, sessrec__tensor_elements(&model->shape[t]));
    model->support = plan->support = (uint64_t *)sessrec__place(layout, V, sizeof(uint64_t));
    model->id_offset = plan->id_offset = (uint32_t *)sessrec__place(layout, V + 1, sizeof(uint32_t));
    model->id_text = plan->id_text = (char *)sessrec__place(layout, plan->text_bytes, 1);
    model->id_order = plan->id_order = sessrec__place_ints(layout, V);
}

// Heap sort of the items by their ids: in place, and not slow for any input.
static int sessrec__item_before(const sessrec_model *model, int32_t a, int32_t b) {
    return sessrec__compare_text(sessrec__item_text(model, a), sessrec__item_text_size(model, a),
                                 sessrec__item_text(model, b), sessrec__item_text_size(model, b)) < 0;
}
static void sessrec__sift_down(const sessrec_model *model, int32_t *heap, int32_t root, int32_t count) {
    for (int64_t child; (child = 2 * (int64_t)root + 1) < count; root = (int32_t)child) {
        if (child + 1 < count && sessrec__item_before(model, heap[child], heap[child + 1])) child++;
        if (!sessrec__item_before(model, heap[root], heap[child])) return;
        int32_t item = heap[root];
        heap[root] = heap[child];
        heap[child] = item;
    }
}
static void sessrec__sort_items(const sessrec_model *model, int32_t *order) {
    const int32_t count = model->info.item_count;
    for (int32_t i = 0; i < count; ++i) order[i] = i;
    for (int32_t i = count / 2 - 1; i >= 0; --i) sessrec__sift_down(model, order, i, count);
    for (int32_t i = count - 1; i > 0; --i) {
        int32_t item = order[0];
        order[0] = order[i];
        order[i] = item;
        sessrec__sift_down(model, order, 0, i);
    }
}

static sessrec_model_info sessrec__info_of(const sessrec_config *c, int32_t items) {
    sessrec_model_info info;
    memset(&info, 0, sizeof info);
    info.item_count = items;
    info.layer_count = c->layer_count;
    for (int32_t l = 0; l < c->layer_count; ++l) info.hidden[l] = c->hidden[l];
    info.embedding = c->embedding;
    if (c->embedding == SESSREC_EMBEDDING_TIED) info.embedding_width = c->hidden[c->layer_count - 1];
    if (c->embedding == SESSREC_EMBEDDING_SEPARATE) info.embedding_width = c->embedding_width;
    info.gru = c->gru;
    info.user_hidden = c->user_hidden;
    info.user_mode = c->user_hidden ? c->user_mode : SESSREC_USER_INIT;
    info.activation = c->loss.activation;
    info.seed = c->seed;
    return info;
}

// Items, ids and support from the log, whose support is added to that of a model that is trained further.
static void sessrec__model_take_items(sessrec_model *model, const sessrec_log *log, const sessrec_model *base,
                                      const sessrec__new_model *items) {
    const sessrec_log_view view = sessrec_log_contents(log);
    uint32_t at = 0;
    for (int32_t i = 0; i < view.item_count; ++i) {
        const char *id = sessrec_log_item_id(log, i);
        const size_t size = strlen(id) + 1;
        items->id_offset[i] = at;
        memcpy(items->id_text + at, id, size);
        at += (uint32_t)size;
        items->support[i] = (uint64_t)view.supports[i] + sessrec_model_support(base, i);
        model->info.event_count += items->support[i];
    }
    items->id_offset[view.item_count] = at;
    sessrec__sort_items(model, items->id_order);
}

// Uniform in +-sqrt(6 / (rows + columns)) for each of the matrices side by side; biases stay 0.
static void sessrec__init_tensor(const sessrec__shape *shape, int32_t t, uint64_t seed, float *data) {
    if (!shape->gates) return;
    const uint64_t key = sessrec__key(seed, SESSREC__STREAM_WEIGHTS + (uint64_t)t),
                   elements = sessrec__tensor_elements(shape);
    const float range = (float)sqrt(6.0 / ((double)shape->rows + (double)(shape->columns / shape->gates)));
    for (uint64_t i = 0; i < elements; ++i) data[i] = (2 * sessrec__unit(sessrec__draw(key, i)) - 1) * range;
}

static sessrec_result sessrec__check_base(const sessrec_model *base, const sessrec_model_info *info,
                                          const sessrec_log *log, sessrec_error *err) {
    const sessrec_model_info *b = &base->info;
    int same = b->layer_count == info->layer_count && b->embedding == info->embedding &&
               b->embedding_width == info->embedding_width && b->gru == info->gru &&
               b->user_hidden == info->user_hidden && b->user_mode == info->user_mode;
    for (int32_t l = 0; l < info->layer_count; ++l) same = same && b->hidden[l] == info->hidden[l];
    if (!same)
        return sessrec_error_set(err, SESSREC_MISMATCH,
                                 "the model to start from and the configuration differ in layers, widths "
                                 "or forms");
    for (int32_t i = 0; i < b->item_count; ++i)
        if (i >= info->item_count || strcmp(sessrec__item_text(base, i), sessrec_log_item_id(log, i)))
            return sessrec_error_set(err, SESSREC_MISMATCH,
                                     "the log does not number its items like the model to start from: read "
                                     "it with format.items_of = the model");
    return SESSREC_OK;
}

// The block of a model, with the items of the log in it.
static sessrec_result sessrec__model_block(sessrec__new_model *plan, const sessrec_log *log,
                                           const sessrec_model *base, sessrec_model **out,
                                           sessrec_error *err) {
    const sessrec_allocator memory = plan->model.memory;
    const int32_t items = sessrec_log_contents(log).item_count;
    for (int32_t i = 0; i < items; ++i) plan->text_bytes += strlen(sessrec_log_item_id(log, i)) + 1;
    if (plan->text_bytes > UINT32_MAX)
        return sessrec_error_set(err, SESSREC_TOO_LARGE, "all item ids together exceed 4 GiB");
    *out = (sessrec_model *)sessrec__layout_block(&memory, sessrec__model_place, plan);
    if (!*out) return sessrec__no_memory(err);
    **out = plan->model;
    sessrec__model_take_items(*out, log, base, plan);
    return SESSREC_OK;
}

static sessrec_result sessrec__model_create(const sessrec_config *config, const sessrec_log *log,
                                            const sessrec_allocator *memory, sessrec_model **out,
                                            sessrec_error *err) {
    const sessrec_log_view view = sessrec_log_contents(log);
    sessrec__new_model plan;
    if (view.item_count < 1)
        return sessrec_error_set(err, SESSREC_NO_DATA, "the log has no items, or is not finished");
    memset(&plan, 0, sizeof plan);
    plan.model.memory = *memory;
    plan.model.info = sessrec__info_of(config, view.item_count);
    plan.model.tensors = sessrec__shapes(&plan.model.info, plan.model.shape);
    const sessrec_model *base = config->start_from;
    sessrec_result result = base ? sessrec__check_base(base, &plan.model.info, log, err) : SESSREC_OK;
    if (result) return result;
    result = sessrec__model_block(&plan, log, base, out, err);
    if (result) return result;
    sessrec_model *model = *out;
    sessrec__model_wire(model);
    for (int32_t t = 0; t < model->tensors; ++t) {
        sessrec__init_tensor(&model->shape[t], t, config->seed, model->tensor[t]);
        if (base)
            memcpy(model->tensor[t], base->tensor[t],
                   // new items keep theirs
                   (size_t)sessrec__tensor_elements(&base->shape[t]) * sizeof(float));
    }
    return SESSREC_OK;
}

#endif

// ---- one click, for one or many sessions ----

static int32_t sessrec__widest(const sessrec_model *model) {
    int32_t widest = model->info.embedding_width > model->info.user_hidden ? model->info.embedding_width
                                                                           : model->info.user_hidden;
    for (int32_t l = 0; l < model->info.layer_count; ++l)
        if (model->info.hidden[l] > widest) widest = model->info.hidden[l];
    return widest;
}

// Floats that sessrec__model_step needs for so many rows: two states and a tape of the widest layer.
static uint64_t sessrec__step_scratch(const sessrec_model *model, int32_t rows) {
    return (uint64_t)rows * 6 * (uint64_t)sessrec__widest(model);  // rows < 2^31, widths <= 8192
}

// Copies `rows` vectors of `width` floats, which start from_stride floats apart, to_stride apart.
static void sessrec__copy_rows(int32_t rows, int32_t width, const float *from, ptrdiff_t from_stride,
                               float *to, ptrdiff_t to_stride) {
    for (int32_t i = 0; i < rows; ++i)
        memcpy(to + i * to_stride, from + i * from_stride, (size_t)width * sizeof *to);
}

// The first layer's input: row i of x [rows,D] is the embedding of items[i].
static void sessrec__embed(const sessrec_model *model, int32_t rows, const int32_t *items, float *x) {
    const int32_t D = model->info.embedding_width;
    const float *table = model->info.embedding == SESSREC_EMBEDDING_SEPARATE ? model->E : model->Wy;
    for (int32_t i = 0; i < rows; ++i)
        memcpy(x + (ptrdiff_t)i * D, table + (ptrdiff_t)items[i] * D, (size_t)D * sizeof *x);
}

// The state of a session is the hidden states of its layers, one after the other. With a user-level GRU two
// more vectors follow: the last layer's state before the last click, which is what the user's state takes in,
// and the user's state c.
static int32_t sessrec__hidden_width(const sessrec_model *model) {
    int32_t width = 0;
    for (int32_t l = 0; l < model->info.layer_count; ++l) width += model->info.hidden[l];
    return width;
}
static int32_t sessrec__state_width(const sessrec_model *model) {
    return sessrec__hidden_width(model) +
           (model->info.user_hidden ? sessrec__last_width(model) + model->info.user_hidden : 0);
}

static void sessrec__add_context(const sessrec_model *model, int32_t rows, const float *c, ptrdiff_t c_stride,
                                 float *tape);  // see >>users

// Advances the states of `rows` sessions by one click each. States start `stride` floats apart.
static void sessrec__model_step(const sessrec_model *model, int32_t rows, const int32_t *items, float *states,
                                ptrdiff_t stride, float *scratch) {
    const int32_t widest = sessrec__widest(model), L = sessrec__last_width(model),
                  hidden = sessrec__hidden_width(model);
    const int onehot = model->info.embedding == SESSREC_EMBEDDING_NONE;
    float *x = scratch, *h = x + (ptrdiff_t)rows * widest, *tape = h + (ptrdiff_t)rows * widest;
    const float *c = states + hidden + L;
    if (model->info.user_hidden)
        sessrec__copy_rows(rows, L, states + hidden - L, stride, states + hidden, stride);
    if (!onehot) sessrec__embed(model, rows, items, x);
    for (int32_t l = 0; l < model->info.layer_count; ++l) {
        const sessrec_gru *gru = &model->gru[l];
        sessrec__copy_rows(rows, gru->hidden, states, stride, h, gru->hidden);
        sessrec__gru_input(model->kernels, gru, rows, x, onehot && l == 0 ? items : NULL, NULL, tape);
        if (l == 0 && model->context) sessrec__add_context(model, rows, c, stride, tape);
        // x is no longer needed, and the new state is the input of the next layer
        sessrec__gru_recurrent(model->kernels, gru, rows, h, x, tape);
        sessrec__copy_rows(rows, gru->hidden, x, gru->hidden, states, stride);
        states += gru->hidden;
    }
}

// ===========================================================================================================
// >>losses   what a row of scores costs, and which way to push each score
// A row has the scores s_1 .. s_M of M distinct items. One of them is the target t, and item j represents n_j
// negatives: sums over j run over these, so an item that was drawn three times is scored once. y = f(s) is
// the output activation. Each function computes dL/dy from y and returns L; the chain rule through f is the
// same for all, in sessrec__loss_row. sg is the sigmoid, w the softmax over the negatives.
//   XE        L = -log P_t, P = softmax(y) over target and negatives
//             dL/dy_j = n_j P_j - [j = t]
//   BPR       L = sum_j softplus(y_j - y_t)
//             dL/dy_j = n_j sg(y_j - y_t), target: minus their sum
//   TOP1      L = mean_j sg(y_j - y_t) + sg(y_j^2)
//             dL/dy_j = n_j (sg'(y_j - y_t) + 2 y_j sg'(y_j^2)) / count
//   TOP1-max  L = sum_j w_j l_j, l_j as in TOP1
//             dL/dy_j = w_j (l_j - L) + w_j dl_j/dy_j
//   BPR-max   L = -log sum_j w_j sg(y_t - y_j) + bpreg R, R = sum_j w_j y_j^2
//             with u_j the share of j in the first sum: dL/dy_j = w_j - u_j sg(y_t - y_j)
//             + bpreg w_j (y_j^2 - R + 2 y_j), target: - sum_j u_j sg(y_j - y_t)
//   gBCE      L = (b softplus(-y_t) + sum_j softplus(y_j)) / (1 + count), b = a (t (1 - 1/a) + 1/a)
//             = 1 - t (1 - a); dL/dy_j = n_j sg(y_j) / (1 + count), target: - b sg(-y_t) / (1 + count)
// With logQ, XE counts each of the 1 + sum n_j columns 1 / proposal times, which equals subtracting
// log(proposal) from its score. The proposal is how likely the column's item is drawn. Nothing is clipped and
// no epsilon is added: where the papers' code has log(x + 1e-24), the logarithm is taken before anything can
// become 0.
// ===========================================================================================================

#ifndef SESSREC_NO_TRAINING

// What the M distinct items of a mini-batch represent; a row removes its target and what else it leaves out.
typedef struct sessrec__columns {
    int32_t count;          // M
    float *times;           // [M] how many columns, that is targets and negative samples, are this item
    // with logQ:
    float *weight;          // [M] sum of 1 / proposal over these columns; else the same as times
    float *log_weight;      // [M] sum of its logarithms; NULL without
    float *log_own;         // [rows] logarithm of the target's own
} sessrec__columns;

// One row. Arrays have M elements; a, b and w are scratch, gradient receives dL/dy.
typedef struct sessrec__loss_row_data {
    const sessrec__kernels *kernels;
    const sessrec_loss_config *config;
    int32_t M, target;
    float negatives;                        // sum of n_j
    const float *n, *weight, *log_weight;   // n_j, and what they are with logQ
    float log_own;                          // of the target
    float *y, *a, *b, *w, *gradient;
} sessrec__loss_row_data;

// y = f(s)
static void sessrec__activate(const sessrec__kernels *kernels, const sessrec_loss_config *config, int32_t n,
                              const float *s, float *y) {
    const float a = config->activation_a, b = config->activation_b;
    switch (config->activation) {
    case SESSREC_LINEAR: memcpy(y, s, (size_t)n * sizeof *y); break;
    case SESSREC_TANH: kernels->tanh(n, s, y); break;
    case SESSREC_RELU:
    case SESSREC_LEAKY:
        for (int32_t j = 0; j < n; ++j)
            y[j] = s[j] >= 0 ? s[j] : (config->activation == SESSREC_RELU ? 0 : a) * s[j];
        break;
    case SESSREC_ELU: kernels->elu(n, s, a, 1, y); break;
    case SESSREC_SELU: kernels->elu(n, s, a, b, y); break;
    }
}

// gradient *= f'(s), from s and y = f(s)
static void sessrec__activate_backward(const sessrec__kernels *kernels, const sessrec_loss_config *config,
                                       int32_t n, const float *s, const float *y, float *gradient) {
    const float a = config->activation_a, b = config->activation_b;
    switch (config->activation) {
    case SESSREC_LINEAR: break;
    case SESSREC_TANH:
        for (int32_t j = 0; j < n; ++j) gradient[j] *= 1 - y[j] * y[j];
        break;
    case SESSREC_RELU:
    case SESSREC_LEAKY:
        for (int32_t j = 0; j < n; ++j)
            gradient[j] *= s[j] >= 0 ? (float)(s[j] > 0 || config->activation == SESSREC_LEAKY)
                           : config->activation == SESSREC_RELU ? 0
                                                                : a;
        break;
    case SESSREC_ELU: kernels->elu_slope(n, s, y, a, 1, gradient); break;
    case SESSREC_SELU: kernels->elu_slope(n, s, y, a, b, gradient); break;
    }
}

static float sessrec__loss_xe(const sessrec__loss_row_data *row) {
    const sessrec__kernels *k = row->kernels;
    const float smoothing = row->config->smoothing;
    const int32_t M = row->M, t = row->target;
    float *g = row->gradient, most = k->max(M, row->y);
    (k->exp)(M, row->y, most, g);
    const float own = g[t] * (row->log_weight ? (float)exp((double)row->log_own) : 1);
    k->multiply(M, row->weight, g, g);
    const float total = k->sum(M, g) + own, share = 1 / total, log_total = most + (float)log((double)total);
    float loss = log_total - row->y[t] - row->log_own;
    k->scale(M, share, g, g);
    g[t] += own * share - 1;
    // the target gets 1 - smoothing of the weight, the negatives share the rest
    if (smoothing > 0 && row->negatives > 0) {
        float sum = k->dot(M, row->n, row->y) + (row->log_weight ? k->sum(M, row->log_weight) : 0),
              mean = log_total - sum / row->negatives;
        loss = (1 - smoothing) * loss + smoothing * mean;
        k->axpy(M, -smoothing / row->negatives, row->n, g);
        g[t] += smoothing;
    }
    return loss;
}

// a_j = y_j - y_t
static void sessrec__differences(const sessrec__loss_row_data *row) {
    row->kernels->add(row->M, row->y, -row->y[row->target], row->a);
}

// The mean over the negatives, or over all columns as in the authors' program, where the target against
// itself (the diagonal) costs log 2; BPR is then a sum, not a mean.
static float sessrec__loss_bpr(const sessrec__loss_row_data *row) {
    const sessrec__kernels *k = row->kernels;
    const int diagonal = row->config->with_diagonal != 0;
    const float scale = diagonal ? 1 : 1 / row->negatives;
    sessrec__differences(row);
    k->softplus(row->M, row->a, row->b);  // -log sg(y_t - y_j)
    k->sigmoid(row->M, row->a, row->gradient);
    k->multiply(row->M, row->n, row->gradient, row->gradient);
    k->scale(row->M, scale, row->gradient, row->gradient);
    row->gradient[row->target] -= k->sum(row->M, row->gradient);
    return (k->dot(row->M, row->n, row->b) + (diagonal ? 0.693147181f : 0)) * scale;
}

// a_j = l_j = sg(y_j - y_t) + sg(y_j^2), b_j = sg'(y_j - y_t), gradient_j = dl_j/dy_j
static void sessrec__top1_terms(const sessrec__loss_row_data *row) {
    float *square = row->gradient;
    sessrec__differences(row);
    row->kernels->multiply(row->M, row->y, row->y, square);
    row->kernels->sigmoid(row->M, row->a, row->a);
    row->kernels->sigmoid(row->M, square, square);
    for (int32_t j = 0; j < row->M; ++j) {
        float rank = row->a[j], size = square[j];
        row->b[j] = rank * (1 - rank);
        row->a[j] = rank + size;
        row->gradient[j] = row->b[j] + 2 * row->y[j] * size * (1 - size);
    }
}

static float sessrec__loss_top1(const sessrec__loss_row_data *row) {
    const sessrec__kernels *k = row->kernels;
    const int diagonal = row->config->with_diagonal != 0;
    const float scale = 1 / (row->negatives + (float)diagonal);
    sessrec__top1_terms(row);
    k->multiply(row->M, row->n, row->gradient, row->gradient);
    k->scale(row->M, scale, row->gradient, row->gradient);
    row->gradient[row->target] -= scale * k->dot(row->M, row->n, row->b);
    // the target against itself: sg(0) + sg(y_t^2) - sg(y_t^2)
    return (k->dot(row->M, row->n, row->a) + (diagonal ? 0.5f : 0)) * scale;
}

// w = n_j e^y_j / sum. Returns the logarithm of the sum. An item without negatives must not have the greatest
// y.
static float sessrec__negative_softmax(const sessrec__loss_row_data *row, float *y, float *w) {
    const sessrec__kernels *k = row->kernels;
    const float y_t = y[row->target];
    if (row->n[row->target] == 0) y[row->target] = -INFINITY;
    const float most = k->max(row->M, y);
    (k->exp)(row->M, y, most, w);
    y[row->target] = y_t;
    k->multiply(row->M, row->n, w, w);
    const float total = k->sum(row->M, w), share = 1 / total;
    k->scale(row->M, share, w, w);
    return most + (float)log((double)total);
}

static float sessrec__loss_top1_max(const sessrec__loss_row_data *row) {
    const sessrec__kernels *k = row->kernels;
    float *w = row->w;
    sessrec__negative_softmax(row, row->y, w);
    sessrec__top1_terms(row);
    float loss = k->dot(row->M, w, row->a), push = k->dot(row->M, w, row->b);
    for (int32_t j = 0; j < row->M; ++j) row->gradient[j] = w[j] * (row->a[j] - loss + row->gradient[j]);
    row->gradient[row->target] -= push;
    return loss;
}

static float sessrec__loss_bpr_max(const sessrec__loss_row_data *row) {
    const sessrec__kernels *k = row->kernels;
    const float bpreg = row->config->bpreg;
    const int32_t M = row->M;
    float *w = row->w, *u = row->gradient;
    const float log_divisor = sessrec__negative_softmax(row, row->y, w);
    sessrec__differences(row);
    k->softplus(M, row->a, row->b);
    k->sigmoid(M, row->a, row->a);  // sg(y_j - y_t)
    k->scale(M, -1, row->b, row->b);
    k->axpy(M, 1, row->y, row->b);  // log(w_j sg(y_t - y_j)) but for n_j and the divisor
    const float log_sum = sessrec__negative_softmax(row, row->b, u);
    k->multiply(M, row->y, row->y, row->b);
    const float R = k->dot(M, w, row->b), pull = k->dot(M, u, row->a);
    k->bpr_max(M, row->a, w, row->y, R, bpreg, u);
    u[row->target] -= pull;
    return log_divisor - log_sum + bpreg * R;
}

static float sessrec__loss_gbce(const sessrec__loss_row_data *row) {
    const sessrec__kernels *k = row->kernels;
    const sessrec_loss_config *c = row->config;
    const float beta = c->sampling_rate > 0 ? 1 - c->calibration * (1 - c->sampling_rate) : 1,
                scale = 1 / (row->negatives + 1), y = -row->y[row->target];
    float own, push;
    k->softplus(1, &y, &own);
    k->sigmoid(1, &y, &push);
    k->softplus(row->M, row->y, row->b);
    k->sigmoid(row->M, row->y, row->gradient);
    k->multiply(row->M, row->n, row->gradient, row->gradient);
    k->scale(row->M, scale, row->gradient, row->gradient);
    row->gradient[row->target] -= beta * push * scale;
    return (beta * own + k->dot(row->M, row->n, row->b)) * scale;
}

// A target without negatives has nothing to be compared with: only the two formulas with the diagonal have a
// value then, a constant.
static float sessrec__loss_by_kind(const sessrec__loss_row_data *row) {
    const int pairwise = row->config->kind == SESSREC_LOSS_TOP1 || row->config->kind == SESSREC_LOSS_BPR;
    if (row->negatives < 1 && !(pairwise && row->config->with_diagonal)) {
        memset(row->gradient, 0, (size_t)row->M * sizeof(float));
        return 0;
    }
    switch (row->config->kind) {
    case SESSREC_LOSS_TOP1: return sessrec__loss_top1(row);
    case SESSREC_LOSS_BPR: return sessrec__loss_bpr(row);
    case SESSREC_LOSS_TOP1_MAX: return sessrec__loss_top1_max(row);
    case SESSREC_LOSS_BPR_MAX: return sessrec__loss_bpr_max(row);
    case SESSREC_LOSS_GBCE: return sessrec__loss_gbce(row);
    default: return sessrec__loss_xe(row);
    }
}

#ifdef SESSREC__DOUBLE
typedef uint64_t sessrec__bits;
#else
typedef uint32_t sessrec__bits;
#endif

// Bits in the order of the numbers; NaN comes last, so that no loss hides it.
static sessrec__bits sessrec__ordered(float x) {
    const sessrec__bits sign = (sessrec__bits)1 << (8 * sizeof sign - 1);
    sessrec__bits bits;
    x += 0;  // a negative zero becomes an ordinary one
    memcpy(&bits, &x, sizeof bits);
    return x != x ? ~(sessrec__bits)0 : bits & sign ? ~bits : bits | sign;
}

// Leaves out the negatives that score lower than number `hardest` of them, of which there are more. Returns
// how many stay. The bits of that score are found eight at a time, the highest first.
static float sessrec__keep_hardest(const sessrec__columns *columns, float hardest, const float *s) {
    sessrec__bits least = 0;
    float higher = 0, stay = 0;
    for (int shift = 8 * (int)sizeof least - 8; shift >= 0; shift -= 8) {
        float counts[256];
        int digit = 255;
        memset(counts, 0, sizeof counts);
        for (int32_t j = 0; j < columns->count; ++j) {
            const sessrec__bits bits = sessrec__ordered(s[j]);
            if (!((bits ^ least) >> shift >> 8)) counts[bits >> shift & 255] += columns->times[j];
        }
        while (higher + counts[digit] < hardest) higher += counts[digit--];  // ends: there are more
        least |= (sessrec__bits)digit << shift;
    }
    for (int32_t j = 0; j < columns->count; ++j) {
        if (sessrec__ordered(s[j]) < least) {
            columns->times[j] = columns->weight[j] = 0;
            if (columns->log_weight) columns->log_weight[j] = 0;
        }
        stay += columns->times[j];
    }
    return stay;
}

// One row from scores s [M] to gradient dL/ds [M], which may be the same array. all: the columns of the
// mini-batch. Takes the target and, with skip_own_target, its other columns out of `columns`. scratch [5C].
static float sessrec__loss_row(const sessrec__kernels *kernels, const sessrec_loss_config *config,
                               const sessrec__columns *columns, int32_t all, int32_t i, int32_t target,
                               const float *s, float *gradient, float *scratch) {
    sessrec__loss_row_data row;
    const int linear = config->activation == SESSREC_LINEAR, skip = config->skip_own_target,
              logq = columns->log_weight != NULL;
    const int32_t M = columns->count;
    const float times = columns->times[target];
    row.kernels = kernels;
    row.config = config;
    row.M = M;
    row.target = target;
    row.negatives = (float)all - (skip ? times : 1);
    row.n = columns->times;
    row.weight = columns->weight;
    row.log_weight = columns->log_weight;
    row.log_own = logq ? columns->log_own[i] : 0;
    row.y = scratch;
    row.a = scratch + M;
    row.b = scratch + 2 * (ptrdiff_t)M;
    row.w = scratch + 3 * (ptrdiff_t)M;
    row.gradient = linear ? gradient : scratch + 4 * (ptrdiff_t)M;
    columns->times[target] = skip ? 0 : times - 1;
    if (logq) {
        const float others =
            skip || times <= 1 ? 0 : columns->weight[target] - (float)exp((double)row.log_own);
        columns->weight[target] = others > 0 ? others : 0;
        columns->log_weight[target] = skip ? 0 : columns->log_weight[target] - row.log_own;
    }
    if (config->hardest > 0 && row.negatives > (float)config->hardest)
        row.negatives = sessrec__keep_hardest(columns, (float)config->hardest, s);
    sessrec__activate(kernels, config, M, s, row.y);
    const float loss = sessrec__loss_by_kind(&row);
    if (!linear) {
        sessrec__activate_backward(kernels, config, M, s, row.y, row.gradient);
        memcpy(gradient, row.gradient, (size_t)M * sizeof *gradient);
    }
    return loss;
}

// log_weight [C]: -logq * log proposal of each column, shifted so that the greatest is 0; weight [C]: the
// exponential of that.
static void sessrec__logq_weights(const sessrec__kernels *kernels, float logq, int32_t C,
                                  const float *log_proposal, float *log_weight, float *weight) {
    kernels->scale(C, -logq, log_proposal, log_weight);
    const float most = kernels->max(C, log_weight);
    for (int32_t j = 0; j < C; ++j) log_weight[j] -= most;
    (kernels->exp)(C, log_weight, 0, weight);
}

SESSREC_API sessrec_result sessrec_loss(const sessrec_loss_config *config, int32_t first_row, int32_t rows,
                                        int32_t columns, const int32_t *target_columns,
                                        const int32_t *items, const float *log_proposal,
                                        const float *scores, float *row_loss, float *gradient,
                                        float *scratch) {
    const sessrec__kernels *kernels = sessrec__best_kernels();
    if (!config || !scores || !row_loss || !gradient || !scratch || first_row < 0 || rows < 0 ||
        columns < 1 || (!target_columns && first_row > columns - rows))
        return SESSREC_INVALID_ARGUMENT;
    for (int32_t i = 0; i < rows && target_columns; ++i)
        if (target_columns[i] < 0 || target_columns[i] >= columns) return SESSREC_INVALID_ARGUMENT;
    if (config->kind == SESSREC_LOSS_CUSTOM) {
        if (!config->custom || target_columns) return SESSREC_INVALID_ARGUMENT;
        config->custom(config->custom_user, first_row, rows, columns, items, scores, row_loss, gradient);
        return SESSREC_OK;
    }
    const int logq = log_proposal && config->kind == SESSREC_LOSS_XE && config->logq > 0;
    float *times = scratch + 5 * (ptrdiff_t)columns, *weight = logq ? times + columns : times,
          *log_weight = logq ? weight + columns : NULL;
    for (int32_t i = 0; i < rows; ++i) {
        const int32_t t = target_columns ? target_columns[i] : first_row + i;
        const ptrdiff_t at = (ptrdiff_t)i * columns;
        int32_t all = 0;
        const float *s = scores + at;
        if (logq) sessrec__logq_weights(kernels, config->logq, columns, log_proposal, log_weight, weight);
        float log_own = logq ? log_weight[t] : 0;
        // each column by itself, except those that are the target and are skipped
        for (int32_t j = 0; j < columns; ++j) {
            const int counts = j == t || !config->skip_own_target || !items || items[j] != items[t];
            times[j] = (float)counts;
            all += counts;
            if (logq && !counts) weight[j] = log_weight[j] = 0;
        }
        const sessrec__columns each = {columns, times, weight, log_weight, &log_own};
        row_loss[i] =
            sessrec__loss_row(kernels, config, &each, all, 0, t, s, gradient + at, scratch);
    }
    return SESSREC_OK;
}

#  endif  // SESSREC_NO_TRAINING

// ===========================================================================================================
// >>sampler   negative samples by support^alpha
// The probabilities become integers q_i >= 1 that sum to T < 2^63, stored as running sums. A draw maps 64
// random bits to x in [0,T) and finds the first item whose running sum exceeds x. A guide table says where to
// look for each value of the leading bits (Chen, Asau 1974); a binary search finds the item between two of
// its entries. Everything is an integer, so no item is lost to rounding, however many there are.
// ===========================================================================================================
#ifndef SESSREC_NO_TRAINING

struct sessrec_sampler {
    sessrec_allocator memory;
    int32_t items, guide_bits;
    uint64_t total;
    uint64_t *sum;      // [items] q_0 + .. + q_i
    int32_t *guide;     // [2^guide_bits + 1] first item that a draw with these leading bits can give
};

static void sessrec__sampler_place(void *object, sessrec__layout *layout) {
    sessrec_sampler *sampler = (sessrec_sampler *)object;
    (void)sessrec__place(layout, 1, sizeof *sampler);
    sampler->sum = (uint64_t *)sessrec__place(layout, (uint64_t)sampler->items, sizeof *sampler->sum);
    sampler->guide = sessrec__place_ints(layout, ((uint64_t)1 << sampler->guide_bits) + 1);
}

static double sessrec__weight_of_support(int64_t support, float alpha) {
    if (support <= 0) return 0;
    return alpha == 0      ? 1
           : alpha == 0.5f ? sqrt((double)support)
           : alpha == 1    ? (double)support
                           : pow((double)support, (double)alpha);
}

SESSREC_API sessrec_result sessrec_sampler_create(const int64_t *supports, int32_t item_count, float alpha,
                                                  const sessrec_allocator *allocator, sessrec_sampler **out,
                                                  sessrec_error *err) {
    if (out) *out = NULL;
    if (!out || !supports) return sessrec__null(err);
    if (item_count < 1 || !(alpha >= 0 && alpha <= 1))
        return sessrec__invalid(err, "a sampler needs at least one item and an alpha between 0 and 1");
    double total = 0;
    for (int32_t i = 0; i < item_count; ++i) total += sessrec__weight_of_support(supports[i], alpha);
    if (!(total > 0))
        return sessrec_error_set(err, SESSREC_NO_DATA, "no negatives can be drawn: no item has an event");
    sessrec_sampler plan = {sessrec__allocator(allocator), item_count, 4, 0, NULL, NULL};
    while (plan.guide_bits < 30 && ((int64_t)1 << plan.guide_bits) < item_count) ++plan.guide_bits;
    sessrec_sampler *sampler =
        (sessrec_sampler *)sessrec__layout_block(&plan.memory, sessrec__sampler_place, &plan);
    if (!sampler) return sessrec__no_memory(err);
    *sampler = plan;
    for (int32_t i = 0; i < item_count; ++i) {
        double share = sessrec__weight_of_support(supports[i], alpha) / total;
        // 2^62: with 2^31 items of at least 1 still < 2^63
        uint64_t q = (uint64_t)(share * 4611686018427387904.0);
        sampler->total += q || supports[i] <= 0 ? q : 1;
        sampler->sum[i] = sampler->total;
    }
    const int32_t entries = (int32_t)1 << plan.guide_bits;
    for (int32_t g = 0, item = 0; g <= entries; ++g) {
        uint64_t x = g < entries ? sessrec__mulhi((uint64_t)g << (64 - plan.guide_bits), sampler->total)
                                 : sampler->total - 1;
        while (sampler->sum[item] <= x) ++item;  // ends: the last sum is the total, and x is less
        sampler->guide[g] = item;
    }
    *out = sampler;
    return SESSREC_OK;
}

// Draws first .. first + count - 1. Each reads another place of the tables, so a block of them is prefetched
// before it is read. A step of the search halves the range of items [low,high] of each draw, with arithmetic,
// because no processor can predict which half; a range of one item stays.
static void sessrec__sampler_draws(const sessrec_sampler *sampler, uint64_t seed, uint64_t first,
                                   int32_t count, int32_t *item) {
    enum { block = 32 };
    const uint64_t key = sessrec__key(seed, SESSREC__STREAM_NEGATIVES), *sum = sampler->sum;
    uint64_t x[block];
    int32_t high[block];
    for (int32_t *low = item; count > 0; low += block, first += block, count -= block) {
        const int32_t some = count < block ? count : block;
        int32_t widest = 0;
        for (int32_t i = 0; i < some; ++i) {
            x[i] = sessrec__draw(key, first + (uint64_t)i);
            SESSREC__PREFETCH(&sampler->guide[x[i] >> (64 - sampler->guide_bits)]);
        }
        for (int32_t i = 0; i < some; ++i) {
            const int32_t *range = &sampler->guide[x[i] >> (64 - sampler->guide_bits)];
            SESSREC__PREFETCH(&sum[range[0]]);
            widest |= range[1] - range[0];
            low[i] = range[0];
            high[i] = range[1];
            x[i] = sessrec__mulhi(x[i], sampler->total);
        }
        for (; widest; widest /= 2)
            for (int32_t i = 0; i < some; ++i) {
                const int32_t middle = low[i] + (high[i] - low[i]) / 2, above = -(sum[middle] <= x[i]);
                low[i] += (middle + 1 - low[i]) & above;
                high[i] += (middle - high[i]) & ~above;
            }
    }
}

SESSREC_API int32_t sessrec_sampler_draw(const sessrec_sampler *sampler, uint64_t seed, uint64_t index) {
    int32_t item = -1;
    if (sampler) sessrec__sampler_draws(sampler, seed, index, 1, &item);
    return item;
}

SESSREC_API void sessrec_sampler_destroy(sessrec_sampler *sampler) {
    if (sampler) sessrec__free(&sampler->memory, sampler);
}

#endif // SESSREC_NO_TRAINING

// ===========================================================================================================
// >>batcher   session-parallel mini-batches (Hidasi 2016, section 3.1.1 and figure 3)
//   slot 0   a1 a2 a3 | e1 e2 ...          a mini-batch is a column: slot i gives the pair (input, target) =
//            (event p, event p+1)
//   slot 1   b1 b2 | d1 d2 d3 | f1 ...     of its session; where a new session begins, session_starts is 1
//   slot 2   c1 c2 c3 c4 c5 | g1 ...
// With a user-level GRU a slot works through all sessions of a user before it takes the next user; sessions
// without a user come last, each like the only one of a user (Quadrana 2017, figure 2). Both are the same
// walk: a slot takes a chain of sessions, which is one session or all those of a user. Evaluation works in
// the same way.
// ===========================================================================================================
#ifndef SESSREC_NO_TRAINING

// A slot has the pair (event at, event at + 1) of a session, which is number `link` of its chain.
typedef struct sessrec__walk_slot {
    int64_t at, end;    // end: one past the session's last event
    int32_t session, link, last_link, start, user_starts;
} sessrec__walk_slot;

typedef struct sessrec__walk {
    const int64_t *session_begins;   // [sessions+1] of the log
    int32_t *chain_begin, *chain;   // [chains+1], [sessions] chain c: sessions chain[chain_begin[c]] .. NULL:
                                    // session c
    int32_t *order;                 // [chains] in which they are taken, NULL: as they are numbered
    int32_t chains, stride;         // every stride-th is taken
    int64_t next, step;             // next: place in the order
    int32_t rows;                   // slots 0 .. rows-1 have a pair
    sessrec__walk_slot *slot;       // [slots]
    int32_t *previous;              // [slots] where the slot was before others went and it moved up
} sessrec__walk;

SESSREC__INLINE int sessrec__slot_has_pair(const sessrec__walk_slot *slot) {
    return slot->at + 1 < slot->end;
}
static void sessrec__slot_open(const sessrec__walk *walk, sessrec__walk_slot *slot, int32_t link) {
    slot->link = link;
    slot->session = walk->chain ? walk->chain[link] : link;
    slot->at = walk->session_begins[slot->session];
    slot->end = walk->session_begins[slot->session + 1];
    slot->start = 1;
}
// Moves on in the slot's chain to a session with a pair, if there is one.
static void sessrec__slot_follow_chain(const sessrec__walk *walk, sessrec__walk_slot *slot) {
    while (!sessrec__slot_has_pair(slot) && slot->link < slot->last_link)
        sessrec__slot_open(walk, slot, slot->link + 1);
}
static void sessrec__slot_take_next(sessrec__walk *walk, sessrec__walk_slot *slot) {
    const int32_t chain = walk->order ? walk->order[walk->next] : (int32_t)walk->next;
    walk->next += walk->stride;
    slot->last_link = walk->chain ? walk->chain_begin[chain + 1] - 1 : chain;
    slot->user_starts = 1;
    sessrec__slot_open(walk, slot, walk->chain ? walk->chain_begin[chain] : chain);
    sessrec__slot_follow_chain(walk, slot);
}

// Slots without a pair take the next chains, lowest slot first. A chain without a pair (a session of one
// event) leaves its slot waiting for the next round. When no chain is left, such slots are removed and the
// others move up.
static void sessrec__walk_refill(sessrec__walk *walk) {
    for (int waiting = 1; waiting && walk->next < walk->chains;) {
        waiting = 0;
        for (int32_t i = 0; i < walk->rows && walk->next < walk->chains; ++i) {
            if (sessrec__slot_has_pair(&walk->slot[i])) continue;
            sessrec__slot_take_next(walk, &walk->slot[i]);
            waiting |= !sessrec__slot_has_pair(&walk->slot[i]);
        }
    }
    int32_t kept = 0;
    for (int32_t i = 0; i < walk->rows; ++i) {
        if (!sessrec__slot_has_pair(&walk->slot[i])) continue;
        walk->previous[kept] = i;
        walk->slot[kept++] = walk->slot[i];
    }
    walk->rows = kept;
}

static void sessrec__walk_begin(sessrec__walk *walk, int32_t slots, int32_t first) {
    memset(walk->slot, 0, (size_t)slots * sizeof *walk->slot);
    walk->rows = slots;
    walk->next = first;
    walk->step = 0;
    sessrec__walk_refill(walk);
}

static void sessrec__walk_advance(sessrec__walk *walk) {
    for (int32_t i = 0; i < walk->rows; ++i) {
        walk->slot[i].at++;
        walk->slot[i].start = walk->slot[i].user_starts = 0;
        sessrec__slot_follow_chain(walk, &walk->slot[i]);
    }
    walk->step++;
    sessrec__walk_refill(walk);
}

// The sessions of each user in the order of time, by a counting sort. If `lone` is 1, sessions without a user
// follow, each a chain of its own; else they are left out. begin [chains+1] must be zero, chain [sessions].
static void sessrec__chain_by(int32_t sessions, const int32_t *user, int32_t users, int lone, int32_t *begin,
                              int32_t *chain) {
    for (int32_t s = 0; s < sessions; ++s)
        if (user[s] >= 0) begin[user[s]]++;
    // where each user's sessions end: filled from the back,
    for (int32_t u = 0; u < users; ++u) begin[u + 1] += begin[u];
    for (int32_t s = sessions - 1; s >= 0; --s)                     // they move to where they begin
        if (user[s] >= 0) chain[--begin[user[s]]] = s;
    for (int32_t s = 0, at = begin[users], next = users; s < sessions && lone; ++s) {
        if (user[s] >= 0) continue;
        chain[at++] = s;
        begin[++next] = at;
    }
}

// The number of chains.
static int32_t sessrec__chains(const sessrec_log_view *view) {
    int32_t chains = view->user_count;
    for (int32_t s = 0; s < view->session_count && view->session_users; ++s)
        chains += view->session_users[s] < 0;
    return chains;
}

struct sessrec_batcher {
    sessrec_allocator memory;
    sessrec_log_view log;
    const sessrec_sampler *sampler;
    int32_t slots, negatives, lone_slot_ends, shuffle, by_user;
    uint64_t seed;
    int64_t steps, pairs;       // of an epoch
    int32_t epoch, started;     // the current position
    sessrec__walk walk;
    int32_t *session, *start, *user_starts, *input, *target;  // [slots]
    int32_t *negative;          // [negatives]
};

static void sessrec__batcher_place(void *object, sessrec__layout *layout) {
    sessrec_batcher *b = (sessrec_batcher *)object;
    sessrec__walk *walk = &b->walk;
    const uint64_t n = (uint64_t)b->slots, chains = (uint64_t)walk->chains,
                   sessions = (uint64_t)b->log.session_count;
    (void)sessrec__place(layout, 1, sizeof *b);
    if (b->shuffle) walk->order = sessrec__place_ints(layout, chains);
    if (b->by_user)
        walk->chain_begin = sessrec__place_ints(layout, chains + 1);
    if (b->by_user) walk->chain = sessrec__place_ints(layout, sessions);
    walk->slot = (sessrec__walk_slot *)sessrec__place(layout, n, sizeof *walk->slot);
    walk->previous = sessrec__place_ints(layout, n);
    b->session = sessrec__place_ints(layout, n);
    b->start = sessrec__place_ints(layout, n);
    b->user_starts = sessrec__place_ints(layout, n);
    b->input = sessrec__place_ints(layout, n);
    b->target = sessrec__place_ints(layout, n);
    b->negative = sessrec__place_ints(layout, (uint64_t)b->negatives);
}

// Fisher and Yates' shuffle, redrawn from (seed, epoch).
static void sessrec__batcher_shuffle(sessrec_batcher *b) {
    const uint64_t key = sessrec__key(b->seed, SESSREC__STREAM_SHUFFLE), base = (uint64_t)b->epoch << 32;
    int32_t *order = b->walk.order;
    for (int32_t i = 0; i < b->walk.chains; ++i) order[i] = i;
    for (int32_t i = b->walk.chains - 1; i > 0; --i) {
        int32_t j = (int32_t)sessrec__mulhi(sessrec__draw(key, base + (uint64_t)i), (uint64_t)i + 1),
                other = order[j];
        order[j] = order[i];
        order[i] = other;
    }
}

static void sessrec__batcher_begin(sessrec_batcher *b) {
    if (b->shuffle) sessrec__batcher_shuffle(b);
    sessrec__walk_begin(&b->walk, b->slots, 0);
    b->started = 1;
}

// Whether the epoch has another mini-batch. The last slot alone has one only if its target has negatives.
SESSREC__INLINE int sessrec__batcher_has_rows(const sessrec_batcher *b) {
    return b->walk.rows > (b->lone_slot_ends ? 1 : 0);
}

SESSREC_API sessrec_result sessrec_batcher_create(const sessrec_config *config, const sessrec_log *log,
                                                  const sessrec_sampler *sampler, sessrec_batcher **out,
                                                  sessrec_error *err) {
    sessrec_batcher plan;
    if (out) *out = NULL;
    if (!out || !log) return sessrec__null(err);
    sessrec_result result = sessrec_config_check(config, err);
    if (result) return result;
    memset(&plan, 0, sizeof plan);
    plan.memory = sessrec__allocator(&config->allocator);
    plan.log = sessrec_log_contents(log);
    plan.sampler = sampler;
    plan.slots = config->batch_size;
    plan.negatives = sampler ? config->negatives : 0;
    plan.shuffle = config->shuffle_sessions;
    plan.by_user = config->user_hidden > 0;
    if (plan.by_user && !plan.log.user_count)
        return sessrec__invalid(err, "a user-level GRU needs a log with users");
    plan.walk.session_begins = plan.log.session_begins;
    plan.walk.chains = plan.by_user ? sessrec__chains(&plan.log) : plan.log.session_count;
    plan.walk.stride = 1;
    plan.lone_slot_ends = config->negatives == 0 && !plan.by_user;
    plan.seed = config->seed;
    sessrec_batcher *b =
        (sessrec_batcher *)sessrec__layout_block(&plan.memory, sessrec__batcher_place, &plan);
    if (!b) return sessrec__no_memory(err);
    *b = plan;
    if (b->by_user)
        sessrec__chain_by(b->log.session_count, b->log.session_users, b->log.user_count, 1,
                          b->walk.chain_begin, b->walk.chain);
    int compares = 0;  // some target with something else
    for (sessrec__batcher_begin(b); sessrec__batcher_has_rows(b); sessrec__walk_advance(&b->walk)) {
        b->pairs += b->walk.rows;
        compares |= b->walk.rows > 1 || config->negatives > 0;
    }
    b->steps = b->walk.step;
    b->started = 0;
    if (b->steps == 0) {
        sessrec_batcher_destroy(b);
        return sessrec__fail(err, SESSREC_NO_DATA, 0,
                             "the log has nothing to learn from: it needs a session with two events%s",
                             config->negatives ? "" : ", or two such sessions without negative samples");
    }
    if (!compares || b->log.item_count < 2) {
        sessrec_batcher_destroy(b);
        if (compares)
            return sessrec__fail(err, SESSREC_NO_DATA, 0, "the log has one item only, '%s'",
                                 sessrec_log_item_id(log, 0));
        return sessrec__fail(err, SESSREC_NO_DATA, 0,
                             "no target has anything to be compared with: mini-batches have one user, such "
                             "as '%s', and no negative samples",
                             sessrec_log_user_id(log, 0));
    }
    *out = b;
    return SESSREC_OK;
}

static void sessrec__batcher_go(sessrec_batcher *b, int draw, sessrec_batch *out) {
    if (!b->started) sessrec__batcher_begin(b);
    else sessrec__walk_advance(&b->walk);
    memset(out, 0, sizeof *out);
    out->epoch = b->epoch;
    out->step = b->walk.step;
    if (!sessrec__batcher_has_rows(b)) {
        b->steps = b->walk.step;
        b->started = 0;
        b->epoch++;
        return;
    }
    for (int32_t i = 0; i < b->walk.rows; ++i) {
        const sessrec__walk_slot *slot = &b->walk.slot[i];
        b->input[i] = b->log.items[slot->at];
        b->target[i] = b->log.items[slot->at + 1];
        b->session[i] = slot->session;
        b->start[i] = slot->start;
        b->user_starts[i] = slot->user_starts;
    }
    // an epoch draws less than 2^44
    const uint64_t base = ((uint64_t)b->epoch << 44) + (uint64_t)b->walk.step * (uint64_t)b->negatives;
    if (b->negatives && draw) sessrec__sampler_draws(b->sampler, b->seed, base, b->negatives, b->negative);
    out->rows = b->walk.rows;
    out->negative_count = b->negatives;
    out->inputs = b->input;
    out->targets = b->target;
    out->negatives = draw ? b->negative : NULL;
    out->sessions = b->session;
    out->session_starts = b->start;
    out->user_starts = b->by_user ? b->user_starts : NULL;
    out->previous_rows = b->walk.previous;
}

SESSREC_API sessrec_result sessrec_batcher_next(sessrec_batcher *b, sessrec_batch *out) {
    if (!b || !out) return SESSREC_INVALID_ARGUMENT;
    sessrec__batcher_go(b, 1, out);
    return SESSREC_OK;
}

SESSREC_API sessrec_result sessrec_batcher_seek(sessrec_batcher *b, int32_t epoch, int64_t step,
                                                sessrec_error *err) {
    if (!b) return sessrec__null(err);
    if (epoch < 0 || step < 0)
        return sessrec__invalid(err, "epoch and step must be 0 or more");
    b->epoch = epoch;
    b->started = 0;
    if (step == 0) return SESSREC_OK;
    sessrec__batcher_begin(b);
    while (b->walk.step + 1 < step && sessrec__batcher_has_rows(b)) sessrec__walk_advance(&b->walk);
    if (sessrec__batcher_has_rows(b)) return SESSREC_OK;
    b->started = 0;
    return sessrec__fail(err, SESSREC_INVALID_ARGUMENT, 0,
                         "there is no step %d: epoch %d of this log has %d", step, (int64_t)epoch + 1,
                         b->walk.step);
}

SESSREC_API int64_t sessrec_batcher_steps(const sessrec_batcher *b) {
    return b ? b->steps : 0;
}
SESSREC_API int64_t sessrec_batcher_pairs(const sessrec_batcher *b) {
    return b ? b->pairs : 0;
}

SESSREC_API void sessrec_batcher_destroy(sessrec_batcher *b) {
    if (b) sessrec__free(&b->memory, b);
}

#endif // SESSREC_NO_TRAINING

// ===========================================================================================================
// >>optimizers   from a gradient g to a step of the weights w
//   SGD       d = g
//   Adagrad   a += g^2                     d = g / sqrt(a + eps)                      Duchi 2011
//   RMSProp   a = rho a + (1-rho) g^2      d = g / sqrt(a + eps)                      Tieleman, Hinton 2012
//   Adadelta  a as RMSProp                 d = g sqrt((u + eps) / (a + eps)), and     Zeiler 2012
//                                          then u = rho u + (1-rho) d^2
//   Adam      m = b1 m + (1-b1) g,         d = (m / (1-b1^t)) /                       Kingma, Ba 2015
//             v = b2 v + (1-b2) g^2            (sqrt(v / (1-b2^t)) + eps)
// Then w -= rate d, or with momentum mu: v = mu v - rate d, w += v. This is classical momentum on the scaled
// gradient, not Nesterov's. Rows of a table that a step does not touch keep their whole state: nothing
// decays, and Adam's t counts the updates of each row.
// ===========================================================================================================
#ifndef SESSREC_NO_TRAINING

enum { SESSREC__MOST_UPDATES = (1 << 30) - 1 };  // that Adam counts of a row; by then its corrections are 1

// Rows row .. row+rows-1 of a tensor [.,columns], from gradient [rows,columns].
static void sessrec__update_rows(const sessrec__kernels *kernels, const sessrec_optimizer_config *config,
                                 const sessrec_optimizer_state *state, int32_t columns, int32_t row,
                                 int32_t rows, float *weights, float *gradient) {
    // with Adam every row counts its own updates
    const int32_t each = config->kind == SESSREC_ADAM || rows > INT32_MAX / columns ? 1 : rows;
    for (int32_t end = row + rows; row < end; row += each, gradient += columns) {
        const ptrdiff_t at = (ptrdiff_t)row * columns;
        sessrec__update u = {config, weights + at, gradient, NULL, NULL, NULL, 1, 1};
        if (state->first) u.first = state->first + at;
        if (state->second) u.second = state->second + at;
        if (state->velocity) u.velocity = state->velocity + at;
        if (config->kind == SESSREC_ADAM) {
            state->steps[row] += state->steps[row] < SESSREC__MOST_UPDATES;
            const double t = (double)state->steps[row];
            u.correct1 = (float)(1 / (1 - pow((double)config->beta1, t)));
            u.correct2 = (float)(1 / (1 - pow((double)config->beta2, t)));
        }
        kernels->update(&u, each * columns);
    }
}

// Scales down a gradient [rows,columns] whose norm exceeds the cap.
static void sessrec__cap_rows(const sessrec__kernels *k, const sessrec_optimizer_config *config, int32_t rows,
                              int32_t columns, float *gradient) {
    const double cap = (double)config->gradient_cap;
    double squares = 0;
    for (int32_t i = 0; i < rows; ++i) {
        const float *row = gradient + (ptrdiff_t)i * columns;
        squares += (double)k->dot(columns, row, row);
    }
    const double norm = sqrt(squares);
    for (int32_t i = 0; i < rows && norm > cap; ++i) {
        float *row = gradient + (ptrdiff_t)i * columns;
        k->scale(columns, (float)(cap / norm), row, row);
    }
}

SESSREC_API sessrec_result sessrec_optimizer_update(const sessrec_optimizer_config *config, int32_t rows,
                                                    int32_t columns, const int32_t *row_ids, float *weights,
                                                    float *gradient, const sessrec_optimizer_state *state) {
    if (!config || rows < 0 || columns < 1 || !weights || !gradient || !state ||
        (config->kind != SESSREC_SGD && !state->first) || (config->momentum > 0 && !state->velocity) ||
        ((config->kind == SESSREC_ADADELTA || config->kind == SESSREC_ADAM) && !state->second) ||
        (config->kind == SESSREC_ADAM && !state->steps))
        return SESSREC_INVALID_ARGUMENT;
    const sessrec__kernels *k = sessrec__best_kernels();
    if (config->gradient_cap > 0) sessrec__cap_rows(k, config, rows, columns, gradient);
    for (int32_t i = 0; i < rows; ++i)
        sessrec__update_rows(k, config, state, columns, row_ids ? row_ids[i] : i, 1, weights,
                             gradient + (ptrdiff_t)i * columns);
    return SESSREC_OK;
}

// ---- rows that occur twice ----

// The number of slots in a hash table of `count` ids: the power of two in (2 * count, 4 * count].
static int32_t sessrec__hash_slots(int32_t count) {
    int32_t slots = 2;
    while (slots <= 2 * count) slots *= 2;
    return slots;
}

SESSREC_API int32_t sessrec_sum_duplicates(int32_t rows, int32_t columns, int32_t *row_ids, float *gradient,
                                           int32_t *scratch) {
    if (rows < 0 || columns < 1 || !row_ids || !gradient || !scratch) return SESSREC_INVALID_ARGUMENT;
    const sessrec__kernels *k = sessrec__best_kernels();
    const int32_t slots = sessrec__hash_slots(rows);
    int32_t *table = scratch, distinct = 0;  // 1 + the place of an id among the distinct ones
    memset(table, 0, (size_t)slots * sizeof *table);
    for (int32_t i = 0; i < rows; ++i) {
        const int32_t id = row_ids[i];
        const float *row = gradient + (ptrdiff_t)i * columns;
        uint32_t at =
            (uint32_t)(((uint64_t)(uint32_t)id * 0x9e3779b97f4a7c15u) >> 32) & (uint32_t)(slots - 1);
        // ends: at most half full
        while (table[at] && row_ids[table[at] - 1] != id) at = (at + 1) & (uint32_t)(slots - 1);
        if (table[at]) {
            k->axpy(columns, 1, row, gradient + (ptrdiff_t)(table[at] - 1) * columns);
            continue;
        }
        memmove(gradient + (ptrdiff_t)distinct * columns, row, (size_t)columns * sizeof *row);
        row_ids[distinct] = id;
        table[at] = ++distinct;
    }
    return distinct;
}

enum { SESSREC__DIGITS = 2048 };

// Sorts the numbers of `count` ids below `ids` by id, those of equal ids ascending, some bits at a time.
// order and other [count]; digits [SESSREC__DIGITS]; the result is one of the two.
static int32_t *sessrec__sort_by_id(int32_t count, const int32_t *id, int32_t ids, int32_t *order,
                                    int32_t *other, int32_t *digits) {
    int bits = 1, width;
    while (ids > 1 && (ids - 1) >> bits) bits++;
    for (int passes = 1; (width = (bits + passes - 1) / passes, 1 << width) > SESSREC__DIGITS;) passes++;
    const int32_t mask = (1 << width) - 1;
    for (int32_t i = 0; i < count; ++i) order[i] = i;
    for (int shift = 0; shift < bits; shift += width) {
        int32_t at = 0;
        memset(digits, 0, (size_t)(mask + 1) * sizeof *digits);
        for (int32_t i = 0; i < count; ++i) digits[id[i] >> shift & mask]++;
        for (int32_t d = 0; d <= mask; ++d) {
            const int32_t begin = at;
            at += digits[d];
            digits[d] = begin;
        }
        for (int32_t i = 0; i < count; ++i) other[digits[id[order[i]] >> shift & mask]++] = order[i];
        int32_t *const sorted = other;
        other = order;
        order = sorted;
    }
    return order;
}

#  endif  // SESSREC_NO_TRAINING

// ===========================================================================================================
// >>trainer   what a training step works with
// B live slots, L the width of the last layer. The C = B + N columns of scores, targets and negatives,
// contain M distinct items, and each of these is scored once. A step is six parallel regions:
//   forward    by rows     x -> GRU layers -> h [B,L]
//   score      by items    Y [M,L] = the items' rows of Wy, S [B,M] = h Y^T + By
//   loss       by rows     loss and dS
//   items      by items    their parts of dh = dS Y; dY = dS^T h, and the update of their rows
//   backward   by rows     dh = the sum of its parts, back through the layers to dx [B,D]
//   weights    by weights  dW, dU, db of each layer, and their update; the rows of tables that inputs use
// Every sum has one order within one task, so the result does not depend on how threads share the work. The
// items are sorted, and a thread always takes the same places among them, so that it finds many of the same
// rows in its cache in the next step. As published, gradients stop at one time step: the hidden state that
// enters a step is a constant.
//
// From a mini-batch to a matrix product in ten steps:
//   1  sessrec_trainer_step     >>step     checks the mini-batch and decides when weights are updated
//   2  sessrec__cpu_gradients   >>step     plans the step, then runs the six regions
//   3  sessrec__plan            >>plan     fills a sessrec__step, which every region reads and none changes
//   4  sessrec__run             here       cuts a region into tasks, one for each thread
//   5  sessrec__pool_run        >>threads  wakes the threads; each calls
//   6  sessrec__task_of_region  here       which does every tasks-th part of the region
//   7  sessrec__score_part      >>score    S = h Y^T + By for a block of items, whose rows it gathers in Y
//   8  sessrec__matmul_bt       >>matmul   goes to a BLAS if there is one, or else to
//   9  matmul_bt                >>kernels  of the chosen instruction set: Y^T, panel by panel
//  10  tile                     >>kernels  sums of some rows and vectors in registers, one fma for each k
// ===========================================================================================================
#ifndef SESSREC_NO_TRAINING

enum { SESSREC__PARTS = 8 };   // tasks of a region by items, each with a part of dh
enum { SESSREC__BLOCK = 96 };  // items that a task takes at a time: two tiles of the widest matrix kernel
enum { SESSREC__INPUTS = 16 }; // distinct inputs in a task
enum { SESSREC__AHEAD = 4 };   // rows of a table by which a prefetch is ahead
enum { SESSREC__SMALL = 65536 };  // numbers of a matrix that fit a cache together with others

// ---- a step ----

// One step. Arrays have room for the largest mini-batch.
typedef struct sessrec__step {
    const sessrec_batch *batch;
    int at_once;                // weights are updated where their gradients are found, not by a later
                                // sessrec_trainer_apply
    int32_t rows;               // B
    int32_t columns;            // C
    int32_t distinct;           // M
    int32_t stride;             // from one row of S to the next: M up to a multiple of the widest register
    int32_t chunk;              // rows of a task
    int32_t parts;              // of the M items, one for each task
    int32_t *item, *place;      // [C] the item of each column, and its place among the M
    sessrec__columns stands_for;    // what each of the M represents
    unsigned char *is_input;    // [M] with TIED: the item is an input, too, so that its gradient is complete
                                // when all else is done
    // the inputs, sorted by item
    int32_t inputs;             // distinct ones
    int32_t *input_row;         // [B] rows of the mini-batch, those of one input side by side
    int32_t *input_begin;       // [inputs+1] where in input_row each begins
    int32_t *input_place;       // [inputs] its row among those that the step touches
    // with a user-level GRU, the R rows in which a later session of a user begins
    int32_t begins;             // R
    int32_t *begin_row;         // [R] ascending
    int32_t *begins_before;     // [B+1] how many of them come before each row
} sessrec__step;

// The distinct rows of a table that a step touches: first those of the columns' items, then those of items
// that are only inputs.
typedef struct sessrec__touched {
    int32_t tensor, count;
    int32_t *id;                // [count] items, of the columns ascending
    float *gradient;            // [count,width]
} sessrec__touched;

// A layer's data of one step.
typedef struct sessrec__layer {
    float *state, *next;        // [batch_size,H] the slots' hidden states before the step and after it
    float *h;                   // [B,H] the states that enter the step
    float *mask;                // [B,H] hidden dropout: 0 or 1/(1-p); NULL without
    float *tape, *d_gates;      // [B,4H]
    float *d_out;               // [B,H] gradient of the layer's output
    // with a user-level GRU only:
    float *d_h;                 // [R,H] gradient of the state that entered
    float *begun, *begun_mask;  // [R,H] that state, before dropout, and its mask
    float *d_begun;             // [R,H] gradient before the tanh
} sessrec__layer;

// The same for the user-level GRU, which runs for R rows, side by side in arrays [R,..].
typedef struct sessrec__user {
    float *state, *next;        // [batch_size,Hu] of every slot's user, before and after
    float *s, *c;               // [R,L] [R,Hu] what enters: the session's last state and the user's
    float *c_new, *mask;        // [R,Hu] the new state of the user, after dropout
    float *tape, *d_gates;      // [R,4Hu]
    float *d_c;                 // [R,Hu]
} sessrec__user;

// Rows first .. last-1 of a dense matrix; one task computes their gradient and updates them.
typedef struct sessrec__piece {
    int32_t tensor, first, last;
} sessrec__piece;

#ifdef SESSREC_CUDA
// Which copy of the state between steps is newer, if a device trains.
typedef enum sessrec__newer {
    SESSREC__BOTH_EQUAL,
    SESSREC__HOST_NEWER,
    SESSREC__DEVICE_NEWER
} sessrec__newer;
// Whether a trainer or an evaluation runs on a device, and a call to that.
#  define SESSREC__HAS_DEVICE(of) ((of)->table != NULL)
#  define SESSREC__DEVICE(of, call) (of)->table->call
#else
#  define SESSREC__HAS_DEVICE(of) 0
#  define SESSREC__DEVICE(of, call) SESSREC_OK
#endif
typedef enum sessrec__access { SESSREC__TO_READ, SESSREC__TO_WRITE } sessrec__access;

struct sessrec_trainer {
    sessrec_allocator memory;
    sessrec_config config;
    const sessrec__kernels *kernels;
    sessrec__pool pool;
    int32_t tasks;              // of a region at most
    sessrec_model *model;
    sessrec_position position;
    // by tensor of the model
    sessrec_optimizer_state state[SESSREC__MAX_TENSORS];
    float *gradient[SESSREC__MAX_TENSORS];      // of dense matrices, whole
    sessrec__piece *piece;
    int32_t pieces;
    sessrec__touched output, input;             // Wy (with TIED the inputs, too); E or one-hot W
    float *bias_gradient;                       // [M] of By
    // the step under way
    sessrec__step step;
    int has_gradients;          // that sessrec_trainer_apply has not applied yet
    float *x, *d_x;             // [B,D] input of the first layer after dropout, and its gradient
    float *input_mask;          // [B,D] ([B] with one-hot input); NULL without
    sessrec__layer layer[SESSREC_MAX_LAYERS];
    sessrec__user user;
    float *S;                   // [B,M], then dS
    float *wide, *d_wide;       // [B,C] the same with repeats, for a custom loss
    float *row_loss;            // [B]
    float *d_part;              // [parts,B,L] parts of dh
    // [V] and 1 / proposal of an item as target and as sample; NULL unless logQ needs them
    float *log_support, *target_weight, *sample_weight;
    int32_t *sorting;           // [2C + SESSREC__DIGITS]
    int32_t *drawn;             // [N] negatives of sessrec_trainer_learn
    float *scratch;             // a part for each task of a region
    uint64_t scratch_part;
    // early stopping
    float *best[SESSREC__MAX_TENSORS];
    void *best_block;
    double started;             // when the trainer was made, and the pairs that it has trained since
    int64_t pairs_run;
    uint64_t log_hash;          // of the log's events, so that a checkpoint knows its log again
#ifdef SESSREC_CUDA
    const sessrec_device_table *table;  // where it runs: NULL on the processor
    void *device;
    sessrec__newer newer;
#endif
};

// Every call on a trainer begins with this.
static sessrec_result sessrec__trainer_ready(const sessrec_trainer *tr, sessrec_error *err) {
    if (!tr) return sessrec__null(err);
    return tr->model ? SESSREC_OK
                     : sessrec__invalid(err, "the trainer's model has been taken: create another trainer");
}

// ---- regions ----

// One chunk of rows, part of the items, or piece of the weights, with the scratch of its task.
typedef void (*sessrec__work)(sessrec_trainer *tr, const sessrec__step *step, int32_t index, float *scratch);
typedef struct sessrec__region {
    sessrec_trainer *tr;
    sessrec__work work;
    int32_t count;
} sessrec__region;

// Task t takes t, t + tasks, ..., the same in every step.
static void sessrec__task_of_region(void *context, int32_t task) {
    const sessrec__region *region = (const sessrec__region *)context;
    sessrec_trainer *tr = region->tr;
    for (int32_t i = task; i < region->count; i += tr->tasks)
        region->work(tr, &tr->step, i, tr->scratch + (uint64_t)task * tr->scratch_part);
}
static void sessrec__run(sessrec_trainer *tr, int32_t count, sessrec__work work) {
    sessrec__region region = {tr, work, count};
    sessrec__pool_run(&tr->pool, count < tr->tasks ? count : tr->tasks, sessrec__task_of_region, &region);
}

SESSREC__INLINE int32_t sessrec__smaller(int32_t a, int32_t b) {
    return a < b ? a : b;
}
SESSREC__INLINE void sessrec__swap(float **a, float **b) {
    float *const other = *a;
    *a = *b;
    *b = other;
}
// The next multiple of the widest register.
SESSREC__INLINE int32_t sessrec__aligned(int32_t n) {
    return (n + 15) & ~15;
}
SESSREC__INLINE int32_t sessrec__blocks(int32_t count, int32_t each) {
    return (count + each - 1) / each;
}
static void sessrec__prefetch_row(const float *table, int32_t width, int32_t row) {
    for (int32_t j = 0; j < width; j += 16) SESSREC__PREFETCH(table + (ptrdiff_t)row * width + j);
}
// The hidden states of the last layer after the step: h [B,L].
SESSREC__INLINE const float *sessrec__output(const sessrec_trainer *tr) {
    return tr->layer[tr->config.layer_count - 1].next;
}
// The rows that the inputs touch.
SESSREC__INLINE sessrec__touched *sessrec__of_inputs(sessrec_trainer *tr) {
    return tr->config.embedding == SESSREC_EMBEDDING_TIED ? &tr->output : &tr->input;
}

// ---- memory ----

// The user-level GRU in a step: see >>users.
static void sessrec__place_user(sessrec_trainer *tr, sessrec__layout *layout);
static void sessrec__plan_users(const sessrec_trainer *tr, sessrec__step *step);
static void sessrec__forward_users(sessrec_trainer *tr, const sessrec__step *step, int32_t first,
                                   int32_t rows);
static void sessrec__begin_layer(sessrec_trainer *tr, const sessrec__step *step, int32_t l, int32_t first,
                                 int32_t rows);
static void sessrec__backward_users(sessrec_trainer *tr, const sessrec__step *step, int32_t first,
                                    int32_t rows, float *scratch);
static void sessrec__gradient_users(const sessrec_trainer *tr, const sessrec__step *step,
                                    const sessrec__piece *piece, float *gradient);

static void sessrec__place_state(sessrec_trainer *tr, sessrec__layout *layout, int32_t t) {
    const sessrec_optimizer_config *o = &tr->config.optimizer;
    const sessrec__shape *shape = &tr->model->shape[t];
    const uint64_t n = sessrec__tensor_elements(shape);
    const int adam = o->kind == SESSREC_ADAM;
    sessrec_optimizer_state *s = &tr->state[t];
    s->first = o->kind != SESSREC_SGD ? sessrec__place_floats(layout, n) : NULL;
    s->second = adam || o->kind == SESSREC_ADADELTA ? sessrec__place_floats(layout, n) : NULL;
    s->velocity = o->momentum > 0 ? sessrec__place_floats(layout, n) : NULL;
    s->steps = adam ? sessrec__place_ints(layout, (uint64_t)shape->rows) : NULL;
    tr->gradient[t] = shape->table ? NULL : sessrec__place_floats(layout, n);
}

static void sessrec__place_touched(sessrec__touched *touched, sessrec__layout *layout, int32_t tensor,
                                   int32_t most, int32_t width) {
    touched->tensor = tensor;
    touched->id = sessrec__place_ints(layout, (uint64_t)most);
    touched->gradient = sessrec__place_floats(layout, (uint64_t)most * (uint64_t)width);
}

static void sessrec__place_step(sessrec_trainer *tr, sessrec__layout *layout) {
    const sessrec_config *c = &tr->config;
    const uint64_t B = (uint64_t)c->batch_size, C = B + (uint64_t)c->negatives,
                   V = (uint64_t)tr->model->info.item_count;
    sessrec__step *step = &tr->step;
    step->item = sessrec__place_ints(layout, C);
    step->place = sessrec__place_ints(layout, C);
    tr->sorting = sessrec__place_ints(layout, 2 * C + SESSREC__DIGITS);
    tr->drawn = sessrec__place_ints(layout, (uint64_t)c->negatives);
    step->input_row = sessrec__place_ints(layout, B);
    step->input_begin = sessrec__place_ints(layout, B + 1);
    step->input_place = sessrec__place_ints(layout, B);
    step->is_input = (unsigned char *)sessrec__place(layout, C, 1);
    step->stands_for.weight = step->stands_for.times = sessrec__place_floats(layout, C);
    if (c->loss.kind != SESSREC_LOSS_XE || !(c->loss.logq > 0)) return;
    step->stands_for.weight = sessrec__place_floats(layout, C);
    step->stands_for.log_weight = sessrec__place_floats(layout, C);
    step->stands_for.log_own = sessrec__place_floats(layout, B);
    tr->log_support = sessrec__place_floats(layout, V);
    tr->target_weight = sessrec__place_floats(layout, V);
    tr->sample_weight = sessrec__place_floats(layout, V);
}

static void sessrec__place_layer(sessrec_trainer *tr, sessrec__layout *layout, int32_t l) {
    const uint64_t n = (uint64_t)tr->config.batch_size * (uint64_t)tr->config.hidden[l];
    sessrec__layer *layer = &tr->layer[l];
    layer->state = sessrec__place_floats(layout, n);
    layer->next = sessrec__place_floats(layout, n);
    layer->h = sessrec__place_floats(layout, n);
    layer->mask = tr->config.dropout_hidden > 0 ? sessrec__place_floats(layout, n) : NULL;
    layer->tape = sessrec__place_floats(layout, 4 * n);
    layer->d_gates = sessrec__place_floats(layout, 4 * n);
    layer->d_out = sessrec__place_floats(layout, n);
    if (!tr->config.user_hidden) return;
    layer->d_h = sessrec__place_floats(layout, n);
    layer->begun = sessrec__place_floats(layout, n);
    layer->begun_mask = tr->config.dropout_init > 0 ? sessrec__place_floats(layout, n) : NULL;
    layer->d_begun = sessrec__place_floats(layout, n);
}

// Rows of a dense matrix that make a piece of about 16,000 numbers.
static int32_t sessrec__piece_rows(const sessrec__shape *shape) {
    const int32_t rows = 16384 / shape->columns;
    return rows < 8 ? 8 : rows & ~7;
}

// Counts the pieces, and lists them once there is memory for it.
static void sessrec__list_pieces(sessrec_trainer *tr) {
    tr->pieces = 0;
    for (int32_t t = 0; t < tr->model->tensors; ++t) {
        const sessrec__shape *shape = &tr->model->shape[t];
        const int32_t each = sessrec__piece_rows(shape);
        for (int32_t first = 0; !shape->table && first < shape->rows; first += each) {
            const sessrec__piece piece = {t, first, first + sessrec__smaller(each, shape->rows - first)};
            if (tr->piece) tr->piece[tr->pieces] = piece;
            tr->pieces++;
        }
    }
}

static void sessrec__trainer_place(void *object, sessrec__layout *layout) {
    sessrec_trainer *tr = (sessrec_trainer *)object;
    const sessrec_config *c = &tr->config;
    const int32_t L = sessrec__last_width(tr->model), D = tr->model->info.embedding_width,
                  C = c->batch_size + c->negatives;
    const uint64_t B = (uint64_t)c->batch_size;
    const int tied = c->embedding == SESSREC_EMBEDDING_TIED, onehot = c->embedding == SESSREC_EMBEDDING_NONE;
    (void)sessrec__place(layout, 1, sizeof *tr);
    for (int32_t t = 0; t < tr->model->tensors; ++t) sessrec__place_state(tr, layout, t);
    tr->piece = (sessrec__piece *)sessrec__place(layout, (uint64_t)tr->pieces, sizeof *tr->piece);
    sessrec__place_step(tr, layout);
    sessrec__place_touched(&tr->output, layout, SESSREC__WY, C + (tied ? c->batch_size : 0), L);
    tr->bias_gradient = sessrec__place_floats(layout, (uint64_t)C);
    if (!tied)
        sessrec__place_touched(&tr->input, layout, SESSREC__INPUT_TABLE, c->batch_size,
                               onehot ? 3 * c->hidden[0] : D);
    tr->S = sessrec__place_floats(layout, B * (uint64_t)sessrec__aligned(C));
    if (c->loss.kind == SESSREC_LOSS_CUSTOM) {
        tr->wide = sessrec__place_floats(layout, B * (uint64_t)C);
        tr->d_wide = sessrec__place_floats(layout, B * (uint64_t)C);
    }
    tr->d_part = sessrec__place_floats(layout, SESSREC__PARTS * B * (uint64_t)L);
    tr->row_loss = sessrec__place_floats(layout, B);
    tr->x = sessrec__place_floats(layout, B * (uint64_t)D);
    tr->d_x = sessrec__place_floats(layout, B * (uint64_t)D);
    if (c->dropout_input > 0)
        tr->input_mask = sessrec__place_floats(layout, B * (uint64_t)(onehot ? 1 : D));
    for (int32_t l = 0; l < c->layer_count; ++l) sessrec__place_layer(tr, layout, l);
    if (c->user_hidden) sessrec__place_user(tr, layout);
    tr->scratch = sessrec__place_floats(layout, tr->scratch_part * (uint64_t)tr->tasks);
}

// Scratch of a task: what the columns represent, and one row of the loss; a backward step for its rows, which
// needs gates gathered [4H], transposed [2H] and their results [H]; a block of items, whose rows start at
// multiples of a register; a piece.
static uint64_t sessrec__scratch_part(const sessrec_trainer *tr) {
    const sessrec_config *c = &tr->config;
    const uint64_t rows = (uint64_t)c->batch_size / (uint64_t)tr->tasks + 9;
    const uint64_t widest = (uint64_t)sessrec__widest(tr->model);
    uint64_t need[4] = {8 * ((uint64_t)c->batch_size + (uint64_t)c->negatives), 7 * rows * widest,
                        SESSREC__BLOCK * (widest + 15) + SESSREC__PANEL, 0}, most = 0;
    for (int32_t t = 0; t < tr->model->tensors; ++t) {
        const sessrec__shape *shape = &tr->model->shape[t];
        const uint64_t piece = (uint64_t)sessrec__piece_rows(shape) * (uint64_t)shape->columns;
        if (!shape->table && need[3] < piece) need[3] = piece;
    }
    for (int i = 0; i < 4; ++i) most = need[i] > most ? need[i] : most;
    return (most + 15) & ~(uint64_t)15;
}

SESSREC_API void sessrec_trainer_destroy(sessrec_trainer *tr) {
    if (!tr) return;
    sessrec_allocator memory = tr->memory;
#ifdef SESSREC_CUDA
    if (tr->table) tr->table->destroy(tr->device);
#endif
    sessrec__pool_free(&tr->pool);
    sessrec_model_destroy(tr->model);
    sessrec__free(&memory, tr->best_block);
    sessrec__free(&memory, tr);
}

// A target occurs in proportion to its support, a sample to a power of it.
static void sessrec__fill_log_support(sessrec_trainer *tr) {
    const double logq = (double)tr->config.loss.logq, alpha = (double)tr->config.alpha;
    for (int32_t i = 0; i < tr->model->info.item_count && tr->log_support; ++i) {
        const double log_support = tr->model->support[i] ? log((double)tr->model->support[i]) : 0;
        tr->log_support[i] = (float)log_support;
        tr->target_weight[i] = (float)exp(-logq * log_support);
        tr->sample_weight[i] = (float)exp(-logq * alpha * log_support);
    }
}

static uint64_t sessrec__log_hash(const sessrec_log *log) {
    const sessrec_log_view view = sessrec_log_contents(log);
    uint64_t hash = 0;
    for (int32_t s = 0; s < view.session_count; ++s)
        hash = sessrec__mix(hash ^ (uint64_t)view.session_begins[s + 1] ^
                            (view.session_users ? (uint64_t)view.session_users[s] << 40 : 0));
    for (int64_t e = 0; e < view.event_count; ++e) hash = sessrec__mix(hash ^ (uint64_t)view.items[e]);
    return hash;
}

static sessrec_result sessrec__choose_device(sessrec_trainer *tr, sessrec_error *err);

// The pool must not move once its threads run, so it starts when the trainer is in its place; `plan` only
// needs their number.
SESSREC_API sessrec_result sessrec_trainer_create(const sessrec_config *config, const sessrec_log *log,
                                                  sessrec_trainer **out, sessrec_error *err) {
    if (out) *out = NULL;
    if (!out || !log) return sessrec__null(err);
    sessrec_result result = sessrec_config_check(config, err);
    if (result) return result;
    sessrec_allocator memory = sessrec__allocator(&config->allocator);
    sessrec_trainer *plan = (sessrec_trainer *)sessrec__alloc(&memory, 1, sizeof *plan);
    if (!plan) return sessrec__no_memory(err);
    plan->memory = memory;
    plan->config = *config;
    plan->kernels = sessrec__best_kernels();
    plan->position.best_age = -1;
    plan->tasks = sessrec__pool_threads(config->threads, &config->jobs);
    result = sessrec__model_create(config, log, &memory, &plan->model, err);
    if (!result && !(config->loss.sampling_rate > 0)) {
        const double others = (double)plan->model->info.item_count - 1,
                     rate = ((double)config->batch_size - 1 + (double)config->negatives) / others;
        plan->config.loss.sampling_rate = rate < 1 ? (float)rate : 1;
    }
    if (!result) {
        plan->scratch_part = sessrec__scratch_part(plan);
        sessrec__list_pieces(plan);
        sessrec_trainer *tr = (sessrec_trainer *)sessrec__layout_block(&memory, sessrec__trainer_place, plan);
        if (tr) {
            *tr = *plan;
            sessrec__list_pieces(tr);
            sessrec__fill_log_support(tr);
            tr->log_hash = sessrec__log_hash(log);
            tr->started = sessrec__now();
            result = sessrec__choose_device(tr, err);
            sessrec__pool_init(&tr->pool, SESSREC__HAS_DEVICE(tr) ? 1 : config->threads, &config->jobs);
            if (result) sessrec_trainer_destroy(tr);
            else *out = tr;
        } else {
            sessrec_model_destroy(plan->model);
            result = sessrec__no_memory(err);
        }
    }
    sessrec__free(&memory, plan);
    return result;
}

// ===========================================================================================================
// >>plan   what a step is: distinct columns, distinct inputs
// ===========================================================================================================

// Far from what one more could overflow: what a run may come to, and what a checkpoint may hold.
enum { SESSREC__MOST_EPOCHS = INT32_MAX / 2 };
static const double sessrec__most_steps = 4e15;

static sessrec_result sessrec__check_batch(const sessrec_trainer *tr, const sessrec_batch *b,
                                           sessrec_error *err) {
    if (b->rows < 1 || b->rows > tr->config.batch_size || b->negative_count < 0 ||
        b->negative_count > tr->config.negatives)
        return sessrec__invalid(err,
                                "the mini-batch has more rows or negative samples than the configuration");
    if (b->epoch < 0 || b->epoch > SESSREC__MOST_EPOCHS ||
        sessrec__count_of((double)b->step, sessrec__most_steps) < 0)
        return sessrec__invalid(err, "the mini-batch is of an impossible epoch or step");
    if (tr->config.user_hidden && !b->user_starts)
        return sessrec__invalid(err, "the mini-batch has no user_starts, which a user-level GRU needs");
    if (!b->inputs || !b->targets || !b->session_starts || !b->previous_rows ||
        (b->negative_count && !b->negatives))
        return sessrec__invalid(err, "an array of the mini-batch is NULL");
    uint32_t most = 0;
    for (int32_t i = 0; i < b->rows; ++i) {
        if ((uint32_t)b->inputs[i] > most) most = (uint32_t)b->inputs[i];
        if ((uint32_t)b->targets[i] > most) most = (uint32_t)b->targets[i];
        if (b->previous_rows[i] < 0 || b->previous_rows[i] >= tr->config.batch_size)
            return sessrec__invalid(err, "previous_rows of the mini-batch is out of range");
    }
    for (int32_t j = 0; j < b->negative_count; ++j)
        // a negative number is a large unsigned one
        if ((uint32_t)b->negatives[j] > most) most = (uint32_t)b->negatives[j];
    if (most >= (uint32_t)tr->model->info.item_count)
        return sessrec__invalid(err, "the mini-batch has an item that the model does not have");
    return SESSREC_OK;
}

// The number with all repeats, which a device does not merge.
static void sessrec__plan_sizes(sessrec_trainer *tr, const sessrec_batch *b) {
    sessrec__step *step = &tr->step;
    step->batch = b;
    step->rows = b->rows;
    step->columns = step->distinct = tr->output.count = b->rows + b->negative_count;
    tr->input.count = 0;
    sessrec__of_inputs(tr)->count += b->rows;
}

// Finds the distinct items among the columns, ascending, and what each represents.
static void sessrec__plan_columns(sessrec_trainer *tr, sessrec__step *step) {
    const sessrec_batch *b = step->batch;
    const int32_t C = step->columns;
    int32_t M = 0, *id = tr->output.id, *end = tr->sorting;
    memcpy(step->item, b->targets, (size_t)b->rows * sizeof(int32_t));
    if (b->negative_count)
        memcpy(step->item + b->rows, b->negatives, (size_t)b->negative_count * sizeof(int32_t));
    const int32_t *order = sessrec__sort_by_id(C, step->item, tr->model->info.item_count, tr->sorting,
                                               tr->sorting + C, tr->sorting + 2 * (ptrdiff_t)C);
    if (order == end) end += C;
    for (int32_t k = 0, last = -1; k < C; ++k) {
        const int32_t item = step->item[order[k]];
        M += item != last;
        step->place[order[k]] = M - 1;
        id[M - 1] = last = item;
        end[M - 1] = k + 1;
    }
    for (int32_t c = 0; c < M; ++c) step->stands_for.times[c] = (float)(end[c] - (c ? end[c - 1] : 0));
    step->distinct = step->stands_for.count = tr->output.count = M;
    step->stride = sessrec__aligned(M);
    step->parts = M < 2 * SESSREC__BLOCK ? 1 : sessrec__smaller(M / SESSREC__BLOCK, SESSREC__PARTS);
}

// Finds the distinct items among the inputs, and their rows of the table: the ones that columns touch, or new
// ones after these.
static void sessrec__plan_inputs(sessrec_trainer *tr, sessrec__step *step) {
    const int32_t *input = step->batch->inputs, B = step->rows,
                  *order = sessrec__sort_by_id(B, input, tr->model->info.item_count, tr->sorting,
                                               tr->sorting + B, tr->sorting + 2 * (ptrdiff_t)B);
    sessrec__touched *touched = sessrec__of_inputs(tr);
    const int32_t columns = touched == &tr->output ? step->distinct : 0;
    int32_t column = 0;
    memset(step->is_input, 0, (size_t)step->distinct);
    touched->count = columns;
    step->inputs = 0;
    for (int32_t k = 0; k < B; ++k) {
        const int32_t item = input[order[k]];
        step->input_row[k] = order[k];
        if (k > 0 && input[order[k - 1]] == item) continue;
        while (column < columns && touched->id[column] < item) column++;
        const int known = column < columns && touched->id[column] == item;
        const int32_t place = known ? column : touched->count++;
        touched->id[place] = item;
        if (known) step->is_input[place] = 1;
        step->input_place[step->inputs] = place;
        step->input_begin[step->inputs++] = k;
    }
    step->input_begin[step->inputs] = B;
}

static void sessrec__plan(sessrec_trainer *tr, sessrec__step *step) {
    step->chunk = (sessrec__blocks(step->rows, tr->tasks) + 7) & ~7;
    sessrec__plan_columns(tr, step);
    sessrec__plan_inputs(tr, step);
    if (tr->config.user_hidden) sessrec__plan_users(tr, step);
}

SESSREC__INLINE int32_t sessrec__chunks(const sessrec__step *step) {
    return sessrec__blocks(step->rows, step->chunk);
}
SESSREC__INLINE int32_t sessrec__chunk_size(const sessrec__step *step, int32_t first) {
    return sessrec__smaller(step->chunk, step->rows - first);
}
// The first item of part p: a multiple of the widest register.
SESSREC__INLINE int32_t sessrec__part_begin(const sessrec__step *step, int32_t p) {
    return p == step->parts ? step->distinct
                            : (int32_t)((int64_t)step->distinct * p / step->parts + 8) & ~15;
}

// ===========================================================================================================
// >>forward   from items to hidden states
// Reads the mini-batch's inputs, the embedding, the layers' weights, and the state. Each task writes for its
// rows x and input_mask, and of each layer h, mask, tape, next.
// ===========================================================================================================

// Dropout in one row: mask = 0 with probability p, else 1/(1-p), and x *= mask. Element (row, j) of a step is
// always the same draw.
static void sessrec__drop(const sessrec_trainer *tr, const sessrec__step *step, int32_t stream, float p,
                          int32_t row, int32_t width, float *mask, float *x) {
    const sessrec_batch *b = step->batch;
    const uint64_t key = sessrec__key(sessrec__mix(tr->config.seed + (uint64_t)b->epoch), (uint64_t)stream);
    const uint64_t base =
        ((uint64_t)b->step * (uint64_t)tr->config.batch_size + (uint64_t)row) * (uint64_t)width;
    const float kept = 1 / (1 - p);
    for (int32_t j = 0; j < width; ++j)
        mask[j] = sessrec__unit(sessrec__draw(key, base + (uint64_t)j)) < p ? 0 : kept;
    if (x) tr->kernels->multiply(width, x, mask, x);
}

// The first layer's input. One-hot vectors are not stored: their dropout is one factor each.
static void sessrec__forward_input(sessrec_trainer *tr, const sessrec__step *step, int32_t first,
                                   int32_t rows) {
    const int onehot = tr->config.embedding == SESSREC_EMBEDDING_NONE;
    const int32_t D = tr->model->info.embedding_width, width = onehot ? 1 : D;
    if (!onehot) sessrec__embed(tr->model, rows, step->batch->inputs + first, tr->x + (ptrdiff_t)first * D);
    for (int32_t i = first; i < first + rows && tr->input_mask; ++i)
        sessrec__drop(tr, step, SESSREC__STREAM_DROPOUT_INPUT, tr->config.dropout_input, i, width,
                      tr->input_mask + (ptrdiff_t)i * width, onehot ? NULL : tr->x + (ptrdiff_t)i * D);
}

// The states that enter a layer: the slots' own, or where a session starts, zero or what its user's state
// gives it.
static void sessrec__forward_states(sessrec_trainer *tr, const sessrec__step *step, int32_t l, int32_t first,
                                    int32_t rows) {
    const int32_t H = tr->config.hidden[l];
    const sessrec__layer *layer = &tr->layer[l];
    for (int32_t i = first; i < first + rows; ++i) {
        float *h = layer->h + (ptrdiff_t)i * H;
        if (step->batch->session_starts[i]) memset(h, 0, (size_t)H * sizeof *h);
        else
            memcpy(h, layer->state + (ptrdiff_t)step->batch->previous_rows[i] * H, (size_t)H * sizeof *h);
    }
    if (tr->config.user_hidden) sessrec__begin_layer(tr, step, l, first, rows);
}

// Other threads changed the gates' weights at the end of the last step. As much as fits into the second-level
// cache is prefetched now.
static void sessrec__prefetch_gates(const sessrec_trainer *tr) {
    for (int32_t t = 0; t < tr->model->tensors; ++t) {
        const sessrec__shape *shape = &tr->model->shape[t];
        const uint64_t elements = sessrec__tensor_elements(shape);
        for (uint64_t i = 0; !shape->table && elements <= SESSREC__SMALL && i < elements; i += 16)
            SESSREC__PREFETCH(tr->model->tensor[t] + i);
    }
}

static void sessrec__forward_chunk(sessrec_trainer *tr, const sessrec__step *step, int32_t index,
                                   float *scratch) {
    const int onehot = tr->config.embedding == SESSREC_EMBEDDING_NONE;
    const int32_t first = index * step->chunk, rows = sessrec__chunk_size(step, first);
    const float *x = tr->x + (ptrdiff_t)first * tr->model->info.embedding_width;
    (void)scratch;
    if (tr->tasks > 1) sessrec__prefetch_gates(tr);
    sessrec__forward_input(tr, step, first, rows);
    if (tr->config.user_hidden) sessrec__forward_users(tr, step, first, rows);
    for (int32_t l = 0; l < tr->config.layer_count; ++l) {
        const sessrec_gru *gru = &tr->model->gru[l];
        const sessrec__layer *layer = &tr->layer[l];
        const int32_t H = gru->hidden;
        const ptrdiff_t at = (ptrdiff_t)first * H;
        float *tape = layer->tape + 4 * at, *out = layer->next + at;
        sessrec__forward_states(tr, step, l, first, rows);
        sessrec__gru_input(tr->kernels, gru, rows, x, onehot && l == 0 ? step->batch->inputs + first : NULL,
                           onehot && tr->input_mask ? tr->input_mask + first : NULL, tape);
        if (l == 0 && tr->model->context)
            sessrec__add_context(tr->model, rows, tr->user.next + (ptrdiff_t)first * tr->config.user_hidden,
                                 tr->config.user_hidden, tape);
        sessrec__gru_recurrent(tr->kernels, gru, rows, layer->h + at, out, tape);
        for (int32_t i = 0; i < rows && layer->mask; ++i)
            sessrec__drop(tr, step, SESSREC__STREAM_DROPOUT_HIDDEN + l, tr->config.dropout_hidden, first + i,
                          H, layer->mask + at + (ptrdiff_t)i * H, out + (ptrdiff_t)i * H);
        x = out;
    }
}

// ===========================================================================================================
// >>score   from hidden states to scores, and from these to a loss and its gradient
// score: reads h and the items' rows of Wy and By; each task writes the columns of S of its items. loss:
// reads S; each task writes row_loss and, over S, dS of its rows.
// ===========================================================================================================

// C = bias + A B^T, see >>matmul.
static void sessrec__matmul_bt(const sessrec__kernels *kernels, int32_t M, int32_t N, int32_t K,
                               const float *A, ptrdiff_t a_row, const float *B, ptrdiff_t b_row,
                               const float *bias, float *C, ptrdiff_t c_row, float *panel);

// The items' rows of Wy, contiguous and padded to whole registers. Later rows are prefetched, because they
// are scattered over a large table.
static void sessrec__gather_items(const sessrec_trainer *tr, const sessrec__step *step, int32_t first,
                                  int32_t count, float *Y) {
    const int32_t L = sessrec__last_width(tr->model), *id = tr->output.id;
    for (int32_t c = first; c < first + count; ++c) {
        if (c + SESSREC__AHEAD < step->distinct)
            sessrec__prefetch_row(tr->model->Wy, L, id[c + SESSREC__AHEAD]);
        memcpy(Y + (ptrdiff_t)(c - first) * sessrec__aligned(L), tr->model->Wy + (ptrdiff_t)id[c] * L,
               (size_t)L * sizeof(float));
    }
}

// weight and log_weight of the items begin .. end-1: first as if all columns were samples.
static void sessrec__logq_columns(const sessrec_trainer *tr, const sessrec__step *step, int32_t begin,
                                  int32_t end) {
    const float logq = tr->config.loss.logq, alpha = tr->config.alpha;
    const sessrec__columns *c = &step->stands_for;
    for (int32_t j = begin; j < end; ++j) {
        const int32_t item = tr->output.id[j];
        c->weight[j] = c->times[j] * tr->sample_weight[item];
        c->log_weight[j] = -logq * alpha * c->times[j] * tr->log_support[item];
    }
    for (int32_t i = 0; i < step->rows; ++i) {
        const int32_t item = step->batch->targets[i], j = step->place[i];
        if (j < begin || j >= end) continue;
        c->log_own[i] = -logq * tr->log_support[item];
        c->weight[j] += tr->target_weight[item] - tr->sample_weight[item];
        c->log_weight[j] += logq * (alpha - 1) * tr->log_support[item];
    }
}

static void sessrec__score_part(sessrec_trainer *tr, const sessrec__step *step, int32_t index, float *Y) {
    const int32_t L = sessrec__last_width(tr->model), begin = sessrec__part_begin(step, index),
                  end = sessrec__part_begin(step, index + 1);
    if (tr->log_support) sessrec__logq_columns(tr, step, begin, end);
    for (int32_t first = begin, count; first < end; first += count) {
        float bias[SESSREC__BLOCK];
        count = sessrec__smaller(SESSREC__BLOCK, end - first);
        sessrec__gather_items(tr, step, first, count, Y);
        for (int32_t c = 0; c < count; ++c) bias[c] = tr->model->By[tr->output.id[first + c]];
        sessrec__matmul_bt(tr->kernels, step->rows, count, L, sessrec__output(tr), L, Y, sessrec__aligned(L),
                           bias, tr->S + first, step->stride,
                           Y + SESSREC__BLOCK * (ptrdiff_t)sessrec__aligned(L));
    }
}

// A custom loss sees every column, including repeats.
static void sessrec__custom_rows(sessrec_trainer *tr, const sessrec__step *step, int32_t first,
                                 int32_t rows) {
    const sessrec_loss_config *c = &tr->config.loss;
    const int32_t C = step->columns;
    float *wide = tr->wide + (ptrdiff_t)first * C, *d_wide = tr->d_wide + (ptrdiff_t)first * C;
    for (int32_t i = 0; i < rows; ++i)
        for (int32_t j = 0; j < C; ++j)
            wide[(ptrdiff_t)i * C + j] = tr->S[(ptrdiff_t)(first + i) * step->stride + step->place[j]];
    c->custom(c->custom_user, first, rows, C, step->item, wide, tr->row_loss + first, d_wide);
    for (int32_t i = 0; i < rows; ++i) {
        float *d = tr->S + (ptrdiff_t)(first + i) * step->stride;
        memset(d, 0, (size_t)step->distinct * sizeof *d);
        for (int32_t j = 0; j < C; ++j) d[step->place[j]] += d_wide[(ptrdiff_t)i * C + j];
    }
}

static void sessrec__loss_chunk(sessrec_trainer *tr, const sessrec__step *step, int32_t index,
                                float *scratch) {
    const sessrec_config *c = &tr->config;
    const int32_t first = index * step->chunk, rows = sessrec__chunk_size(step, first), M = step->distinct;
    const size_t size = (size_t)M * sizeof(float);
    if (c->loss.kind == SESSREC_LOSS_CUSTOM) sessrec__custom_rows(tr, step, first, rows);
    for (int32_t i = first; i < first + rows; ++i) {
        float *s = tr->S + (ptrdiff_t)i * step->stride;
        sessrec__columns mine = step->stands_for;  // a copy: each row takes its target out
        mine.weight = mine.times = (float *)memcpy(scratch, mine.times, size);
        if (mine.log_weight) {
            mine.weight = (float *)memcpy(scratch + M, step->stands_for.weight, size);
            mine.log_weight = (float *)memcpy(scratch + 2 * (ptrdiff_t)M, mine.log_weight, size);
        }
        if (c->loss.kind != SESSREC_LOSS_CUSTOM)
            tr->row_loss[i] = sessrec__loss_row(tr->kernels, &c->loss, &mine, step->columns, i,
                                                step->place[i], s, s, scratch + 3 * (ptrdiff_t)M);
        tr->kernels->scale(M, 1 / (float)c->batch_size, s, s);
    }
}

// ===========================================================================================================
// >>items   the gradients of the items' rows, and their update
// Reads dS, h and the items' rows of Wy. Each task writes for its items d_part, output.gradient and
// bias_gradient. In a step without a cap it also updates the rows of Wy and By whose gradients are complete.
// ===========================================================================================================

// Row i of the touched rows of a table.
static void sessrec__update_touched(sessrec_trainer *tr, const sessrec__touched *touched, int32_t i,
                                    float *gradient) {
    const int32_t t = touched->tensor;
    sessrec__update_rows(tr->kernels, &tr->config.optimizer, &tr->state[t], tr->model->shape[t].columns,
                         touched->id[i], 1, tr->model->tensor[t], gradient);
}

// The biases of count <= SESSREC__BLOCK items. They are scattered: gathered, they are updated like a row.
static void sessrec__update_biases(sessrec_trainer *tr, int32_t first, int32_t count) {
    const int32_t *id = tr->output.id + first;
    const sessrec_optimizer_state *state = &tr->state[SESSREC__BY];
    float *table[4] = {tr->model->By, state->first, state->second, state->velocity},
          row[4][SESSREC__BLOCK];
    if (tr->config.optimizer.kind == SESSREC_ADAM) {  // each has a time of its own
        for (int32_t c = 0; c < count; ++c)
            sessrec__update_rows(tr->kernels, &tr->config.optimizer, state, 1, id[c], 1, table[0],
                                 tr->bias_gradient + first + c);
        return;
    }
    for (int k = 0; k < 4; ++k)
        for (int32_t c = 0; c < count && table[k]; ++c) row[k][c] = table[k][id[c]];
    const sessrec__update u = {
        &tr->config.optimizer, row[0], tr->bias_gradient + first, row[1], row[2], row[3], 1, 1};
    tr->kernels->update(&u, count);
    for (int k = 0; k < 4; ++k)
        for (int32_t c = 0; c < count && table[k]; ++c) table[k][id[c]] = row[k][c];
}

// The block of count items from `first` on. Rows that are updated at once have their gradients in Y, over
// rows that are no longer needed.
static void sessrec__item_block(sessrec_trainer *tr, const sessrec__step *step, int32_t first, int32_t count,
                                float *d_part, int accumulate, float *Y) {
    const int32_t L = sessrec__last_width(tr->model), wide = sessrec__aligned(L), B = step->rows,
                  *id = tr->output.id;
    const sessrec_optimizer_state *state = &tr->state[SESSREC__WY];
    const float one = 1, *dS = tr->S + first;
    float *dY = tr->output.gradient + (ptrdiff_t)first * L;
    sessrec__gather_items(tr, step, first, count, Y);
    sessrec__matmul(tr->kernels, B, L, count, dS, step->stride, 1, Y, wide, d_part, L, accumulate);
    sessrec__matmul(tr->kernels, count, L, B, dS, 1, step->stride, sessrec__output(tr), L,
                    step->at_once ? Y : dY, step->at_once ? wide : L, 0);
    // sums of columns
    sessrec__matmul(tr->kernels, 1, count, B, &one, 0, 0, dS, step->stride, tr->bias_gradient + first, 0, 0);
    if (!step->at_once) return;
    for (int32_t c = 0; c < count; ++c) {
        const int32_t ahead = first + c + SESSREC__AHEAD;
        if (ahead < step->distinct && state->first) sessrec__prefetch_row(state->first, L, id[ahead]);
        if (ahead < step->distinct && state->velocity) sessrec__prefetch_row(state->velocity, L, id[ahead]);
        if (step->is_input[first + c])
            memcpy(dY + (ptrdiff_t)c * L, Y + (ptrdiff_t)c * wide, (size_t)L * sizeof *dY);
        else sessrec__update_touched(tr, &tr->output, first + c, Y + (ptrdiff_t)c * wide);
    }
    sessrec__update_biases(tr, first, count);
}

static void sessrec__item_part(sessrec_trainer *tr, const sessrec__step *step, int32_t index,
                               float *scratch) {
    const int32_t begin = sessrec__part_begin(step, index), end = sessrec__part_begin(step, index + 1);
    float *d_part = tr->d_part + (ptrdiff_t)index * step->rows * sessrec__last_width(tr->model);
    for (int32_t first = begin; first < end; first += SESSREC__BLOCK)
        sessrec__item_block(tr, step, first, sessrec__smaller(SESSREC__BLOCK, end - first), d_part,
                            first > begin, scratch);
}

// ===========================================================================================================
// >>backward   from the gradient of the last layer's output back to the inputs
// Reads d_part, the layers' weights, and of each layer h, mask, tape. Each task writes for its rows d_out and
// d_gates of each layer, and d_x.
// ===========================================================================================================

static void sessrec__backward_chunk(sessrec_trainer *tr, const sessrec__step *step, int32_t index,
                                    float *scratch) {
    const sessrec_config *c = &tr->config;
    const sessrec__kernels *k = tr->kernels;
    const int onehot = c->embedding == SESSREC_EMBEDDING_NONE;
    const int32_t first = index * step->chunk, rows = sessrec__chunk_size(step, first),
                  L = sessrec__last_width(tr->model), D = tr->model->info.embedding_width;
    float *d_x = onehot ? NULL : tr->d_x + (ptrdiff_t)first * D,
          *d_out = tr->layer[c->layer_count - 1].d_out + (ptrdiff_t)first * L;
    memset(d_out, 0, (size_t)rows * (size_t)L * sizeof *d_out);
    for (int32_t p = 0; p < step->parts; ++p)
        k->axpy(rows * L, 1, tr->d_part + ((ptrdiff_t)p * step->rows + first) * L, d_out);
    for (int32_t l = c->layer_count - 1; l >= 0; --l) {
        const int32_t H = c->hidden[l];
        const ptrdiff_t at = (ptrdiff_t)first * H;
        const sessrec__layer *layer = &tr->layer[l];
        float *below = l > 0 ? tr->layer[l - 1].d_out + (ptrdiff_t)first * c->hidden[l - 1] : d_x;
        if (layer->mask) k->multiply(rows * H, layer->d_out + at, layer->mask + at, layer->d_out + at);
        sessrec__gru_backward_rows(k, &tr->model->gru[l], rows, layer->h + at, layer->tape + 4 * at,
                                   layer->d_out + at, below, layer->d_gates + 4 * at, scratch);
    }
    if (c->user_hidden) sessrec__backward_users(tr, step, first, rows, scratch);
    if (tr->input_mask && d_x) k->multiply(rows * D, d_x, tr->input_mask + (ptrdiff_t)first * D, d_x);
}

// ===========================================================================================================
// >>weights   the gradients of everything else, and their update
// Reads what forward and backward have written. Each task writes for its pieces and inputs gradient and the
// rows of output.gradient or input.gradient. It may also update these weights at once, in the task that
// computed their gradient, which then need not leave the cache.
// ===========================================================================================================

static void sessrec__gradient_piece(const sessrec_trainer *tr, const sessrec__step *step,
                                    const sessrec__piece *piece, float *gradient) {
    const sessrec__shape *shape = &tr->model->shape[piece->tensor];
    const int32_t l = shape->layer;
    const sessrec__layer *layer = &tr->layer[l];
    const sessrec__user *user = &tr->user;
    const int of_user = shape->of_user;
    const sessrec_gru *gru = of_user ? &tr->model->user : &tr->model->gru[l];
    const int32_t rows = of_user ? step->begins : step->rows;
    const float *x = of_user ? user->s : l ? tr->layer[l - 1].next : tr->x, *h = of_user ? user->c : layer->h,
                *tape = of_user ? user->tape : layer->tape,
                *d_gates = of_user ? user->d_gates : layer->d_gates;
    if (shape->role >= SESSREC__INIT_W) sessrec__gradient_users(tr, step, piece, gradient);
    else
        sessrec__gru_gradient(tr->kernels, gru, shape->role, piece->first, piece->last, rows, x, h, tape,
                              d_gates, gradient);
}

static void sessrec__update_piece(sessrec_trainer *tr, const sessrec__piece *piece, float *gradient) {
    const int32_t t = piece->tensor;
    sessrec__update_rows(tr->kernels, &tr->config.optimizer, &tr->state[t], tr->model->shape[t].columns,
                         piece->first, piece->last - piece->first, tr->model->tensor[t], gradient);
}
SESSREC__INLINE float *sessrec__gradient_of(const sessrec_trainer *tr, const sessrec__piece *piece) {
    return tr->gradient[piece->tensor] + (ptrdiff_t)piece->first * tr->model->shape[piece->tensor].columns;
}

// Adds the gradients of the inputs first .. last-1 to the rows of their table.
static void sessrec__finish_inputs(sessrec_trainer *tr, const sessrec__step *step, int32_t first,
                                   int32_t last) {
    const int onehot = tr->config.embedding == SESSREC_EMBEDDING_NONE;
    const sessrec__touched *touched = sessrec__of_inputs(tr);
    const int32_t H = tr->config.hidden[0], width = tr->model->shape[touched->tensor].columns,
                  columns = touched == &tr->output ? step->distinct : 0;
    for (int32_t i = first; i < last; ++i) {
        const int32_t place = step->input_place[i];
        float *sum = touched->gradient + (ptrdiff_t)place * width;
        if (place >= columns) memset(sum, 0, (size_t)width * sizeof *sum);
        for (int32_t at = step->input_begin[i]; at < step->input_begin[i + 1]; ++at) {
            const ptrdiff_t row = step->input_row[at];
            tr->kernels->axpy(width, onehot && tr->input_mask ? tr->input_mask[row] : 1,
                              onehot ? tr->layer[0].d_gates + row * 4 * H : tr->d_x + row * width, sum);
        }
        if (step->at_once) sessrec__update_touched(tr, touched, place, sum);
    }
}

// A piece, or a part of the inputs.
static void sessrec__weight_piece(sessrec_trainer *tr, const sessrec__step *step, int32_t index,
                                  float *scratch) {
    if (index >= tr->pieces) {
        const int32_t first = (index - tr->pieces) * SESSREC__INPUTS;
        sessrec__finish_inputs(tr, step, first, sessrec__smaller(first + SESSREC__INPUTS, step->inputs));
        return;
    }
    const sessrec__piece *piece = &tr->piece[index];
    sessrec__gradient_piece(tr, step, piece, step->at_once ? scratch : sessrec__gradient_of(tr, piece));
    if (step->at_once) sessrec__update_piece(tr, piece, scratch);
}

// The update alone: of a piece, or of a block of touched rows of the output table, then of the input table.
static void sessrec__update_block(sessrec_trainer *tr, const sessrec__step *step, int32_t index,
                                  float *scratch) {
    const int32_t output_blocks = sessrec__blocks(tr->output.count, SESSREC__BLOCK);
    int32_t block = index - tr->pieces;
    const sessrec__touched *touched = block < output_blocks ? &tr->output : &tr->input;
    (void)scratch;
    if (block < 0) {
        sessrec__update_piece(tr, &tr->piece[index], sessrec__gradient_of(tr, &tr->piece[index]));
        return;
    }
    if (touched == &tr->input) block -= output_blocks;
    const int32_t width = tr->model->shape[touched->tensor].columns, first = block * SESSREC__BLOCK,
                  last = sessrec__smaller(first + SESSREC__BLOCK, touched->count);
    for (int32_t i = first; i < last; ++i)
        sessrec__update_touched(tr, touched, i, touched->gradient + (ptrdiff_t)i * width);
    if (touched == &tr->output && first < step->distinct)
        sessrec__update_biases(tr, first, sessrec__smaller(SESSREC__BLOCK, step->distinct - first));
}

// ===========================================================================================================
// >>step   the whole step, on the processor or on a device
// ===========================================================================================================

SESSREC_API sessrec_result sessrec_trainer_sampler(const sessrec_trainer *tr, sessrec_sampler **out,
                                                   sessrec_error *err) {
    if (out) *out = NULL;
    sessrec_result result = out ? sessrec__trainer_ready(tr, err) : sessrec__null(err);
    if (result || tr->config.negatives == 0) return result;
    // counts of events, far below 2^63
    const int64_t *supports = (const int64_t *)(const void *)tr->model->support;
    return sessrec_sampler_create(supports, tr->model->info.item_count, tr->config.alpha, &tr->memory, out,
                                  err);
}

// Before a device runs: uploads what was written into the processor's memory. From then on the device's copy
// is newer.
static sessrec_result sessrec__give(sessrec_trainer *tr, sessrec_error *err) {
    sessrec_result result = SESSREC_OK;
#ifdef SESSREC_CUDA
    if (tr->newer == SESSREC__HOST_NEWER) result = tr->table->upload(tr->device, err);
    if (!result && tr->table) tr->newer = SESSREC__DEVICE_NEWER;
#else
    (void)tr;
    (void)err;
#endif
    return result;
}

// Before the state between steps is read from the processor's memory or changed there.
static sessrec_result sessrec__fetch(const sessrec_trainer *trainer, sessrec__access access,
                                     sessrec_error *err) {
    sessrec_result result = SESSREC_OK;
#ifdef SESSREC_CUDA
    // what a trainer is does not change, only where its numbers lie
    sessrec_trainer *tr = (sessrec_trainer *)trainer;
    if (tr->newer == SESSREC__DEVICE_NEWER) result = tr->table->download(tr->device, 0, err);
    if (result || !tr->table) return result;
    if (tr->newer == SESSREC__DEVICE_NEWER) tr->newer = SESSREC__BOTH_EQUAL;
    if (access == SESSREC__TO_WRITE) tr->newer = SESSREC__HOST_NEWER;
#else
    (void)trainer;
    (void)access;
    (void)err;
#endif
    return result;
}

// The largest sum of row losses after which training continues: 10,000 times that of guessing. A custom loss
// may have any size.
static double sessrec__most_loss(const sessrec_trainer *tr, const sessrec_batch *batch) {
    const sessrec_loss_config *loss = &tr->config.loss;
    const double columns = (double)batch->rows + (double)batch->negative_count;
    const double guess = loss->kind == SESSREC_LOSS_BPR && loss->with_diagonal ? columns
                         : loss->kind == SESSREC_LOSS_XE                       ? 1 + log(columns)
                                                                               : 1 + (double)loss->bpreg;
    return loss->kind == SESSREC_LOSS_CUSTOM ? (double)INFINITY : 1e4 * guess * (double)batch->rows;
}
static int sessrec__loss_is_sound(const sessrec_trainer *tr, const sessrec_batch *batch, double sum) {
    return sum - sum == 0 && sum <= sessrec__most_loss(tr, batch);
}

// The states after the step take their place. Rows that no slot has any more are zero, so that a resumed run
// writes the same checkpoints.
static void sessrec__next_state(const sessrec__step *step, int32_t slots, int32_t width, float **state,
                                float **next) {
    sessrec__swap(state, next);
    memset(*state + (ptrdiff_t)step->rows * width, 0,
           (size_t)(slots - step->rows) * (size_t)width * sizeof **state);
}

// The six regions. Returns the sum of the row losses; if it is not sound, no weight is changed.
static double sessrec__cpu_gradients(sessrec_trainer *tr, sessrec__step *step) {
    const double began = sessrec__now();
    double sum = 0;
    sessrec__plan(tr, step);
    sessrec__run(tr, sessrec__chunks(step), sessrec__forward_chunk);
    sessrec__run(tr, step->parts, sessrec__score_part);
    sessrec__run(tr, sessrec__chunks(step), sessrec__loss_chunk);
    for (int32_t i = 0; i < step->rows; ++i) sum += (double)tr->row_loss[i];
    if (!sessrec__loss_is_sound(tr, step->batch, sum)) return sum;
    sessrec__run(tr, step->parts, sessrec__item_part);
    sessrec__run(tr, sessrec__chunks(step), sessrec__backward_chunk);
    sessrec__run(tr, tr->pieces + sessrec__blocks(step->inputs, SESSREC__INPUTS), sessrec__weight_piece);
    const sessrec_config *c = &tr->config;
    for (int32_t l = 0; l < c->layer_count; ++l)
        sessrec__next_state(step, c->batch_size, c->hidden[l], &tr->layer[l].state, &tr->layer[l].next);
    if (c->user_hidden)
        sessrec__next_state(step, c->batch_size, c->user_hidden, &tr->user.state, &tr->user.next);
    if (step->rows == tr->config.batch_size) sessrec__pool_pace(&tr->pool, sessrec__now() - began);
    return sum;
}

// A mini-batch is done.
static sessrec_result sessrec__count_step(sessrec_trainer *tr, const sessrec_batch *batch, double sum,
                                          sessrec_error *err) {
    tr->has_gradients = sessrec__loss_is_sound(tr, batch, sum);
    if (!tr->has_gradients)
        return sessrec__fail(err, SESSREC_DIVERGED, 0,
                             "the loss %s in epoch %d, step %d: a smaller learning rate may help",
                             sum - sum == 0 ? "grows without bound" : "is not finite",
                             (int64_t)batch->epoch + 1, batch->step + 1);
    tr->position.epoch = batch->epoch;
    tr->position.step = batch->step + 1;
    tr->position.pairs += batch->rows;
    tr->pairs_run += batch->rows;
    tr->position.loss_sum += sum;
    return SESSREC_OK;
}

static sessrec_result sessrec__gradients(sessrec_trainer *tr, const sessrec_batch *batch, int at_once,
                                         double *loss, sessrec_error *err) {
    double sum = 0;
    sessrec_result result = batch ? sessrec__trainer_ready(tr, err) : sessrec__null(err);
    if (!result) result = sessrec__check_batch(tr, batch, err);
    if (!result) result = sessrec__give(tr, err);
    if (result) return result;
    sessrec__plan_sizes(tr, batch);
    tr->step.at_once = at_once;
    if (SESSREC__HAS_DEVICE(tr)) result = SESSREC__DEVICE(tr, grad(tr->device, batch, &sum, err));
    else sum = sessrec__cpu_gradients(tr, &tr->step);
    tr->step.batch = NULL;
    if (result) return result;
    if (loss) *loss = sum / (double)tr->config.batch_size;
    return sessrec__count_step(tr, batch, sum, err);
}

SESSREC_API sessrec_result sessrec_trainer_grad(sessrec_trainer *tr, const sessrec_batch *batch, double *loss,
                                                sessrec_error *err) {
    return sessrec__gradients(tr, batch, 0, loss, err);
}

// The cap applies to the norm of each matrix's gradient.
static void sessrec__cap_gradients(sessrec_trainer *tr) {
    const sessrec__shape *shape = tr->model->shape;
    const sessrec_optimizer_config *o = &tr->config.optimizer;
    const sessrec__touched *touched[2] = {&tr->output, &tr->input};
    for (int i = 0; i < 2; ++i)
        sessrec__cap_rows(tr->kernels, o, touched[i]->count, shape[touched[i]->tensor].columns,
                          touched[i]->gradient);
    sessrec__cap_rows(tr->kernels, o, tr->step.distinct, 1, tr->bias_gradient);
    for (int32_t t = 0; t < tr->model->tensors; ++t)
        if (!shape[t].table)
            sessrec__cap_rows(tr->kernels, o, shape[t].rows, shape[t].columns, tr->gradient[t]);
}

static sessrec_result sessrec__trainer_apply(sessrec_trainer *tr, sessrec_error *err) {
    sessrec_result result = sessrec__give(tr, err);
    if (!result && SESSREC__HAS_DEVICE(tr)) result = SESSREC__DEVICE(tr, apply(tr->device, err));
    if (!SESSREC__HAS_DEVICE(tr) && !tr->step.at_once) {
        if (tr->config.optimizer.gradient_cap > 0) sessrec__cap_gradients(tr);
        sessrec__run(tr,
                     tr->pieces + sessrec__blocks(tr->output.count, SESSREC__BLOCK) +
                         sessrec__blocks(tr->input.count, SESSREC__BLOCK),
                     sessrec__update_block);
    }
    tr->has_gradients = 0;
    return result;
}

SESSREC_API sessrec_result sessrec_trainer_apply(sessrec_trainer *tr, sessrec_error *err) {
    sessrec_result result = sessrec__trainer_ready(tr, err);
    if (!result && !tr->has_gradients)
        result = sessrec__invalid(err, "there are no gradients to apply: call sessrec_trainer_grad first");
    return result ? result : sessrec__trainer_apply(tr, err);
}

// The same bits as sessrec_trainer_grad and _apply, with less memory traffic. A cap needs all gradients
// before the first update.
SESSREC_API sessrec_result sessrec_trainer_step(sessrec_trainer *tr, const sessrec_batch *batch, double *loss,
                                                sessrec_error *err) {
    const int at_once = tr && !(tr->config.optimizer.gradient_cap > 0);
    sessrec_result result = sessrec__gradients(tr, batch, at_once, loss, err);
    return result ? result : sessrec__trainer_apply(tr, err);
}

// ---- where it runs ----

#ifdef SESSREC_CUDA
static void sessrec__describe(sessrec_trainer *tr, sessrec_device_tensor *list, sessrec_device_view *view) {
    memset(view, 0, sizeof *view);
    view->config = &tr->config;
    view->info = tr->model->info;
    view->tensor_count = tr->model->tensors;
    view->tensors = list;
    for (int32_t t = 0; t < view->tensor_count; ++t) {
        const sessrec__shape *shape = &tr->model->shape[t];
        const sessrec_device_tensor tensor = {shape->name,    shape->rows,          shape->columns,
                                              shape->table,   tr->model->tensor[t], tr->state[t],
                                              tr->gradient[t]};
        list[t] = tensor;
    }
    view->log_support = tr->log_support;
    for (int32_t l = 0; l < tr->config.layer_count; ++l) view->hidden[l] = tr->layer[l].state;
    view->user = tr->user.state;
    view->output_gradient = tr->output.gradient;
    view->bias_gradient = tr->bias_gradient;
    view->output_id = tr->output.id;
    view->input_gradient = tr->input.gradient;
    view->input_id = tr->input.id;
}
#endif

static sessrec_result sessrec__choose_device(sessrec_trainer *tr, sessrec_error *err) {
    sessrec_result result = SESSREC_OK;
    if (tr->config.device == SESSREC_DEVICE_CPU) return SESSREC_OK;
#ifdef SESSREC_CUDA
    sessrec_device_tensor list[SESSREC__MAX_TENSORS];
    sessrec_device_view view;
    void *device = NULL;
    sessrec__describe(tr, list, &view);
    result = sessrec_cuda()->create(&view, &device, err);
    if (!result) {
        tr->table = sessrec_cuda();
        tr->device = device;
    }
#else
    result = sessrec__fail(err, SESSREC_UNSUPPORTED, 0, SESSREC__NO_GPU_CODE);
#endif
    return result == SESSREC_UNSUPPORTED && tr->config.device == SESSREC_DEVICE_CUDA_OR_CPU ? SESSREC_OK
                                                                                            : result;
}

SESSREC_API const char *sessrec_trainer_device(const sessrec_trainer *tr) {
    if (!tr) return "";
#ifdef SESSREC_CUDA
    if (tr->table) return tr->table->name(tr->device);
#endif
    return "cpu";
}

// ---- looking in, and early stopping ----

static sessrec_result sessrec__diverged(const sessrec_trainer *tr, const char *what, sessrec_error *err) {
    return sessrec__fail(err, SESSREC_DIVERGED, 0,
                         "%s in epoch %d, after step %d: a smaller learning rate may help", what,
                         (int64_t)tr->position.epoch + 1, tr->position.step);
}

// Before weights in the processor's memory are kept or given out.
static sessrec_result sessrec__check_trained(const sessrec_trainer *tr, sessrec_error *err) {
    for (int32_t t = 0; t < tr->model->tensors; ++t)
        if (!sessrec__all_below(tr->model->tensor[t], sessrec__tensor_elements(&tr->model->shape[t]),
                                0x80000000u, 0x7f800000u))
            return sessrec__diverged(tr, "a weight is NaN or infinite", err);
    return SESSREC_OK;
}

static void sessrec__set_tensor(sessrec_mutable_tensor *out, float *data, int32_t rows, int32_t columns,
                                const int32_t *row_ids) {
    out->data = data;
    out->rows = rows;
    out->columns = columns;
    out->row_ids = row_ids;
}

static void sessrec__gradient_tensor(const sessrec_trainer *tr, int32_t t, sessrec_mutable_tensor *out) {
    const sessrec__shape *shape = &tr->model->shape[t];
    const sessrec__touched *touched = t == SESSREC__WY ? &tr->output : &tr->input;
    if (t == SESSREC__BY)
        sessrec__set_tensor(out, tr->bias_gradient, tr->step.distinct, 1, tr->output.id);
    else if (shape->table)
        sessrec__set_tensor(out, touched->gradient, touched->count, shape->columns, touched->id);
    else sessrec__set_tensor(out, tr->gradient[t], shape->rows, shape->columns, NULL);
}

SESSREC_API sessrec_result sessrec_trainer_tensor(sessrec_trainer *tr, const char *name,
                                                  sessrec_mutable_tensor *out, sessrec_error *err) {
    if (out) memset(out, 0, sizeof *out);
    sessrec_result result = out && name ? sessrec__trainer_ready(tr, err) : sessrec__null(err);
    if (!result) result = sessrec__fetch(tr, SESSREC__TO_WRITE, err);
    if (!result && !strncmp(name, "grad.", 5) && tr->has_gradients && SESSREC__HAS_DEVICE(tr))
        result = SESSREC__DEVICE(tr, download(tr->device, 1, err));
    if (result) return result;
    const sessrec_config *c = &tr->config;
    const int32_t l = !strncmp(name, "hidden", 6) && name[6] && !name[7] ? name[6] - '0' : -1;
    if (l >= 0 && l < c->layer_count)
        sessrec__set_tensor(out, tr->layer[l].state, c->batch_size, c->hidden[l], NULL);
    if (!strcmp(name, "user") && c->user_hidden)
        sessrec__set_tensor(out, tr->user.state, c->batch_size, c->user_hidden, NULL);
    static const char *const prefix[] = {"", "acc.", "second.", "vel.", "grad."};
    for (int kind = 0; kind < 5 && !out->data; ++kind) {
        const size_t length = strlen(prefix[kind]);
        const int32_t t =
            strncmp(name, prefix[kind], length) ? -1 : sessrec__find_shape(tr->model, name + length);
        if (t < 0) continue;
        const sessrec__shape *shape = &tr->model->shape[t];
        float *const data[] = {tr->model->tensor[t], tr->state[t].first, tr->state[t].second,
                               tr->state[t].velocity};
        if (kind == 4) sessrec__gradient_tensor(tr, t, out);
        else sessrec__set_tensor(out, data[kind], shape->rows, shape->columns, NULL);
    }
    if (out->data) return SESSREC_OK;
    return sessrec__fail(err, SESSREC_INVALID_ARGUMENT, 0, "the trainer has no tensor \"%s\"", name);
}

SESSREC_API sessrec_result sessrec_trainer_model(const sessrec_trainer *tr, const sessrec_model **out,
                                                 sessrec_error *err) {
    if (out) *out = NULL;
    sessrec_result result = out ? sessrec__trainer_ready(tr, err) : sessrec__null(err);
    if (!result) result = sessrec__fetch(tr, SESSREC__TO_READ, err);
    if (!result) *out = tr->model;
    return result;
}

SESSREC_API sessrec_result sessrec_trainer_take_model(sessrec_trainer *tr, sessrec_model **out,
                                                      sessrec_error *err) {
    const sessrec_model *model;
    if (out) *out = NULL;
    sessrec_result result = out ? sessrec_trainer_model(tr, &model, err) : sessrec__null(err);
    if (!result) result = sessrec__check_trained(tr, err);
    if (result) return result;
    *out = tr->model;
    tr->model = NULL;
    (*out)->fingerprint = sessrec__model_fingerprint(*out);  // from now on it does not change
    return SESSREC_OK;
}

static void sessrec__best_place(void *object, sessrec__layout *layout) {
    sessrec_trainer *tr = (sessrec_trainer *)object;
    for (int32_t t = 0; t < tr->model->tensors; ++t)
        tr->best[t] = sessrec__place_floats(layout, sessrec__tensor_elements(&tr->model->shape[t]));
}

static int sessrec__best_ready(sessrec_trainer *tr) {
    if (!tr->best_block) tr->best_block = sessrec__layout_block(&tr->memory, sessrec__best_place, tr);
    return tr->best_block != NULL;
}

SESSREC_API sessrec_result sessrec_trainer_keep_best(sessrec_trainer *tr, double value, sessrec_error *err) {
    sessrec_result result = sessrec__trainer_ready(tr, err);
    if (result) return result;
    if (!(fabs(value) <= 1e300))
        return sessrec__invalid(err, "the value for sessrec_trainer_keep_best must be finite, below 1e300");
    if (!sessrec__best_ready(tr)) return sessrec__no_memory(err);
    if (tr->position.best_age >= 0 && value <= tr->position.best) {
        if (tr->position.best_age < INT32_MAX) tr->position.best_age++;
        return SESSREC_OK;
    }
    result = sessrec__fetch(tr, SESSREC__TO_READ, err);
    if (!result) result = sessrec__check_trained(tr, err);
    if (result) return result;
    for (int32_t t = 0; t < tr->model->tensors; ++t)
        memcpy(tr->best[t], tr->model->tensor[t],
               (size_t)sessrec__tensor_elements(&tr->model->shape[t]) * sizeof(float));
    tr->position.best = value;
    tr->position.best_age = 0;
    return SESSREC_OK;
}

SESSREC_API sessrec_result sessrec_trainer_use_best(sessrec_trainer *tr, sessrec_error *err) {
    sessrec_result result = sessrec__trainer_ready(tr, err);
    if (result || tr->position.best_age < 0) return result;
    result = sessrec__fetch(tr, SESSREC__TO_WRITE, err);
    if (result) return result;
    for (int32_t t = 0; t < tr->model->tensors; ++t)
        memcpy(tr->model->tensor[t], tr->best[t],
               (size_t)sessrec__tensor_elements(&tr->model->shape[t]) * sizeof(float));
    return SESSREC_OK;
}

SESSREC_API sessrec_position sessrec_trainer_position(const sessrec_trainer *tr) {
    const sessrec_position nowhere = {0, -1, 0, 0, 0, 0};
    return tr ? tr->position : nowhere;
}

SESSREC_API sessrec_result sessrec_trainer_next_epoch(sessrec_trainer *tr) {
    if (!tr) return SESSREC_INVALID_ARGUMENT;
    tr->position.epoch++;
    tr->position.step = tr->position.pairs = 0;
    tr->position.loss_sum = 0;
    return SESSREC_OK;
}

#endif // SESSREC_NO_TRAINING

// ===========================================================================================================
// >>users   the user-level GRU: hierarchical recurrent networks (HRNN; Quadrana 2017, section 3)
//   c_m = GRU_usr(s_m, c_m-1)                when a session ends, from its last hidden state
//   h_0 = tanh(c_m W_init + b_init)          begins the next session, each layer with a matrix of its own
//   a += c_m C                               All: and it is fed to the gates of the first layer at every
//   click
// Both happen in the step in which the next session starts, so that its gradient reaches GRU_usr, within that
// step.
// ===========================================================================================================

// The number of layer 0's gates that the user's state reaches, times H.
SESSREC__INLINE int32_t sessrec__context_width(const sessrec_model *model) {
    return (model->info.user_mode == SESSREC_USER_ALL ? 3 : 2) * model->info.hidden[0];
}

// c [rows,Hu] adds to the gates of the first layer, in tape [rows,4H].
static void sessrec__add_context(const sessrec_model *model, int32_t rows, const float *c, ptrdiff_t c_stride,
                                 float *tape) {
    const ptrdiff_t H = model->info.hidden[0];
    sessrec__matmul(model->kernels, rows, sessrec__context_width(model), model->info.user_hidden, c, c_stride,
                    1, model->context, 3 * H, tape, 4 * H, 1);
}

// begun [count,H] = tanh(c W_init + b_init): the first hidden states of layer l in sessions of users in state
// c [count,Hu].
static void sessrec__begin_states(const sessrec_model *model, int32_t l, int32_t count, const float *c,
                                  float *begun) {
    const int32_t H = model->info.hidden[l], Hu = model->info.user_hidden;
    for (int32_t r = 0; r < count; ++r)
        memcpy(begun + (ptrdiff_t)r * H, model->init_b[l], (size_t)H * sizeof *begun);
    sessrec__matmul(model->kernels, count, H, Hu, c, Hu, 1, model->init_W[l], H, begun, H, 1);
    model->kernels->tanh(count * H, begun, begun);
}

// The state of a session that begins: zero without a user's state c (NULL) or for a new user.
static void sessrec__begin_session(const sessrec_model *model, const float *c, float *state) {
    memset(state, 0, (size_t)sessrec__state_width(model) * sizeof *state);
    if (!c) return;
    memcpy(state + sessrec__hidden_width(model) + sessrec__last_width(model), c,
           (size_t)model->info.user_hidden * sizeof *c);
    for (int32_t l = 0; l < model->info.layer_count; ++l) {
        sessrec__begin_states(model, l, 1, c, state);
        state += model->info.hidden[l];
    }
}

// c = GRU_usr(s, c), with the state that a session of two or more clicks left. scratch as for one row of a
// step.
static void sessrec__fold_session(const sessrec_model *model, const float *state, float *c, float *scratch) {
    sessrec__gru_input(model->kernels, &model->user, 1, state + sessrec__hidden_width(model), NULL, NULL,
                       scratch);
    sessrec__gru_recurrent(model->kernels, &model->user, 1, c, c, scratch);
}

#ifndef SESSREC_NO_TRAINING
// ---- in a training step ----
// All of it happens in the step in which the next session starts, so that its gradient reaches GRU_usr within
// that step.

static void sessrec__place_user(sessrec_trainer *tr, sessrec__layout *layout) {
    const uint64_t B = (uint64_t)tr->config.batch_size, n = B * (uint64_t)tr->config.user_hidden;
    sessrec__user *user = &tr->user;
    tr->step.begin_row = sessrec__place_ints(layout, B);
    tr->step.begins_before = sessrec__place_ints(layout, B + 1);
    user->state = sessrec__place_floats(layout, n);
    user->next = sessrec__place_floats(layout, n);
    user->s = sessrec__place_floats(layout, B * (uint64_t)sessrec__last_width(tr->model));
    user->c = sessrec__place_floats(layout, n);
    user->c_new = sessrec__place_floats(layout, n);
    user->mask = tr->config.dropout_user > 0 ? sessrec__place_floats(layout, n) : NULL;
    user->tape = sessrec__place_floats(layout, 4 * n);
    user->d_gates = sessrec__place_floats(layout, 4 * n);
    user->d_c = sessrec__place_floats(layout, n);
}

// The rows in which a session starts that is not its user's first.
static void sessrec__plan_users(const sessrec_trainer *tr, sessrec__step *step) {
    (void)tr;
    step->begins = 0;
    for (int32_t i = 0; i < step->rows; ++i) {
        step->begins_before[i] = step->begins;
        if (step->batch->session_starts[i] && !step->batch->user_starts[i])
            step->begin_row[step->begins++] = i;
    }
    step->begins_before[step->rows] = step->begins;
}

// The users' states of a chunk of rows: updated where a later session begins, zero for a new user, else
// unchanged.
static void sessrec__forward_users(sessrec_trainer *tr, const sessrec__step *step, int32_t first,
                                   int32_t rows) {
    const sessrec__user *user = &tr->user;
    const sessrec_gru *gru = &tr->model->user;
    const int32_t Hu = gru->hidden, L = gru->input, begin = step->begins_before[first],
                  end = step->begins_before[first + rows];
    const ptrdiff_t at = (ptrdiff_t)begin * Hu;
    const size_t size = (size_t)Hu * sizeof(float);
    const float *last = tr->layer[tr->config.layer_count - 1].state;
    for (int32_t i = first; i < first + rows; ++i) {
        float *c = user->next + (ptrdiff_t)i * Hu;
        if (step->batch->user_starts[i]) memset(c, 0, size);
        else memcpy(c, user->state + (ptrdiff_t)step->batch->previous_rows[i] * Hu, size);
    }
    for (int32_t r = begin; r < end; ++r) {
        const ptrdiff_t row = step->begin_row[r], from = step->batch->previous_rows[row];
        memcpy(user->s + (ptrdiff_t)r * L, last + from * L, (size_t)L * sizeof(float));
        memcpy(user->c + (ptrdiff_t)r * Hu, user->next + row * Hu, size);
    }
    sessrec__gru_input(tr->kernels, gru, end - begin, user->s + (ptrdiff_t)begin * L, NULL, NULL,
                       user->tape + 4 * at);
    sessrec__gru_recurrent(tr->kernels, gru, end - begin, user->c + at, user->c_new + at,
                           user->tape + 4 * at);
    for (int32_t r = begin; r < end; ++r) {
        float *c = user->c_new + (ptrdiff_t)r * Hu;
        if (user->mask)
            sessrec__drop(tr, step, SESSREC__STREAM_DROPOUT_USER, tr->config.dropout_user,
                          step->begin_row[r], Hu, user->mask + (ptrdiff_t)r * Hu, c);
        memcpy(user->next + (ptrdiff_t)step->begin_row[r] * Hu, c, size);
    }
}

// Layer l's first states in those sessions.
static void sessrec__begin_layer(sessrec_trainer *tr, const sessrec__step *step, int32_t l, int32_t first,
                                 int32_t rows) {
    const sessrec__layer *layer = &tr->layer[l];
    const int32_t H = tr->config.hidden[l], begin = step->begins_before[first],
                  end = step->begins_before[first + rows];
    sessrec__begin_states(tr->model, l, end - begin,
                          tr->user.c_new + (ptrdiff_t)begin * tr->config.user_hidden,
                          layer->begun + (ptrdiff_t)begin * H);
    for (int32_t r = begin; r < end; ++r) {
        const int32_t row = step->begin_row[r];
        float *h = layer->h + (ptrdiff_t)row * H;
        memcpy(h, layer->begun + (ptrdiff_t)r * H, (size_t)H * sizeof *h);
        if (layer->begun_mask)
            sessrec__drop(tr, step, SESSREC__STREAM_DROPOUT_INIT + l, tr->config.dropout_init, row, H,
                          layer->begun_mask + (ptrdiff_t)r * H, h);
    }
}

// From the gradients of the states that entered the layers, back through the start of the session to GRU_usr.
static void sessrec__backward_users(sessrec_trainer *tr, const sessrec__step *step, int32_t first,
                                    int32_t rows, float *scratch) {
    const sessrec__user *user = &tr->user;
    const sessrec_model *model = tr->model;
    const sessrec__kernels *k = tr->kernels;
    const int32_t Hu = tr->config.user_hidden, begin = step->begins_before[first],
                  count = step->begins_before[first + rows] - begin, *row = step->begin_row + begin;
    const ptrdiff_t at = (ptrdiff_t)begin * Hu;
    if (!count) return;
    memset(user->d_c + at, 0, (size_t)count * (size_t)Hu * sizeof(float));
    for (int32_t l = 0; l < tr->config.layer_count; ++l) {
        const int32_t H = tr->config.hidden[l];
        const sessrec__layer *layer = &tr->layer[l];
        const ptrdiff_t from = (ptrdiff_t)begin * H;
        const float *begun = layer->begun + from, *d_h = layer->d_h + from;
        float *d = layer->d_begun + from;
        sessrec__gru_backward_states(k, &model->gru[l], count, row, layer->tape, layer->d_out, layer->d_gates,
                                     layer->d_h + from, scratch);
        for (int32_t j = 0; j < count * H; ++j) d[j] = d_h[j] * (1 - begun[j] * begun[j]);
        if (layer->begun_mask) k->multiply(count * H, d, layer->begun_mask + from, d);
        sessrec__matmul_transposed(k, count, Hu, H, d, H, model->init_W[l], H, user->d_c + at, Hu, 1,
                                   scratch);
    }
    if (model->context) {
        const int32_t H = tr->config.hidden[0], width = sessrec__context_width(model);
        for (int32_t r = 0; r < count; ++r)
            memcpy(scratch + (ptrdiff_t)r * width, tr->layer[0].d_gates + (ptrdiff_t)row[r] * 4 * H,
                   (size_t)width * sizeof(float));
        sessrec__matmul_transposed(k, count, Hu, width, scratch, width, model->context, 3 * (ptrdiff_t)H,
                                   user->d_c + at, Hu, 1, scratch + (ptrdiff_t)count * width);
    }
    if (user->mask) k->multiply(count * Hu, user->d_c + at, user->mask + at, user->d_c + at);
    sessrec__gru_backward_rows(k, &model->user, count, user->c + at, user->tape + 4 * at, user->d_c + at,
                               NULL, user->d_gates + 4 * at, scratch);
}

// The gradients of the matrices that start a session, and of layer 0's context. GRU_usr's are computed like
// any layer's.
static void sessrec__gradient_users(const sessrec_trainer *tr, const sessrec__step *step,
                                    const sessrec__piece *piece, float *gradient) {
    const sessrec__shape *shape = &tr->model->shape[piece->tensor];
    const int32_t l = shape->layer, H = tr->config.hidden[l], Hu = tr->config.user_hidden,
                  first = piece->first, count = piece->last - first;
    const float *d_begun = tr->layer[l].d_begun;
    memset(gradient, 0, (size_t)count * (size_t)shape->columns * sizeof *gradient);
    if (shape->role == SESSREC__INIT_W)
        sessrec__matmul(tr->kernels, count, H, step->begins, tr->user.c_new + first, 1, Hu, d_begun, H,
                        gradient, H, 0);
    else if (shape->role == SESSREC__INIT_B)
        for (int32_t r = 0; r < step->begins; ++r)
            tr->kernels->axpy(H, 1, d_begun + (ptrdiff_t)r * H, gradient);
    else  // the gates that the user's state does not reach keep 0
        sessrec__matmul(tr->kernels, count, sessrec__context_width(tr->model), step->rows,
                        tr->user.next + first, 1, Hu, tr->layer[0].d_gates, 4 * (ptrdiff_t)H, gradient,
                        3 * (ptrdiff_t)H, 0);
}

#endif // SESSREC_NO_TRAINING

// ===========================================================================================================
// >>topk   the best k of many scores
// A heap of k entries whose root is the worst of them: a score that does not beat the root, which is nearly
// every one, costs one comparison. At first all entries are item -1 with -infinity. NaN and -infinity mean
// "not scored" and never enter.
// ===========================================================================================================

enum { SESSREC__MAX_TOP = 65536 };

// The order of every list: falling score, among equals the lower item first.
SESSREC__INLINE int sessrec__before(float score_a, int32_t item_a, const sessrec_recommendation *b) {
    return score_a > b->score || (score_a == b->score && item_a < b->item);
}

static void sessrec__top_begin(sessrec_recommendation *entry, int32_t count) {
    for (int32_t i = 0; i < count; ++i) {
        entry[i].item = -1;
        entry[i].score = -INFINITY;
    }
}

// Replaces an entry that ranks behind the item, among the first `count`, and moves the item down past all
// that rank behind it.
static void sessrec__top_put(sessrec_recommendation *entry, int32_t count, int32_t hole, int32_t item,
                             float score) {
    for (int32_t child; (child = 2 * hole + 1) < count; hole = child) {
        if (child + 1 < count && sessrec__before(entry[child].score, entry[child].item, &entry[child + 1]))
            ++child;
        if (!sessrec__before(score, item, &entry[child])) break;
        entry[hole] = entry[child];
    }
    entry[hole].item = item;
    entry[hole].score = score;
}

// The same for the root.
static void sessrec__top_insert(sessrec_recommendation *entry, int32_t count, int32_t item, float score) {
    sessrec__top_put(entry, count, 0, item, score);
}

// Turns the heap into a list, best first, into which nothing can be inserted any more. Returns the number of
// items.
static int32_t sessrec__top_sort(sessrec_recommendation *entry, int32_t count) {
    for (int32_t last = count - 1; last > 0; --last) {
        const sessrec_recommendation worst = entry[0];
        sessrec__top_insert(entry, last, entry[last].item, entry[last].score);
        entry[last] = worst;
    }
    while (count > 0 && entry[count - 1].item < 0) --count;
    return count;
}

// ===========================================================================================================
// >>evaluation   ranks, metrics, and the walk through a test log
// The rank of a target follows from two counts over the whole catalog: items that score higher, and others
// that score the same. Sessions are processed side by side, as in training, and the catalog is scored in
// blocks, so memory does not grow with items x events. The two counts of every event are kept, and one thread
// then sums the metrics in the order of the log, so neither the number of threads nor of sessions side by
// side changes a bit of the report.
// ===========================================================================================================
#ifndef SESSREC_NO_TRAINING

enum { SESSREC__SCORE_BLOCK = 480 };  // items scored at a time: whole strips of the matrix kernels

typedef struct sessrec__tally {
    int32_t higher, equal;
} sessrec__tally;

// Compares the target, which scores `value`, with items first .. first+count-1 except itself. A target
// without a score ranks behind all of them.
static void sessrec__tally_block(const sessrec__kernels *kernels, sessrec__tally *tally, const float *scores,
                                 int32_t first, int32_t count, int32_t target, float value) {
    const int32_t at = target - first;
    const int inside = at >= 0 && at < count;
    if (!(value > -INFINITY)) {
        tally->higher += count - inside;
        return;
    }
    for (int32_t begin = 0, end = inside ? at : count; begin < count; begin = end + 1, end = count) {
        int32_t higher, equal;
        kernels->tally(end - begin, scores + begin, value, &higher, &equal);
        tally->higher += higher;
        tally->equal += equal;
    }
}

SESSREC_API sessrec_result sessrec_rank_counts(const float *scores, int32_t item_count, int32_t target,
                                               int64_t *higher, int64_t *equal) {
    sessrec__tally tally = {0, 0};
    if (!scores || !higher || !equal || target < 0 || target >= item_count) return SESSREC_INVALID_ARGUMENT;
    sessrec__tally_block(sessrec__best_kernels(), &tally, scores, 0, item_count, target, scores[target]);
    *higher = tally.higher;
    *equal = tally.equal;
    return SESSREC_OK;
}

SESSREC_API double sessrec_rank(int64_t higher, int64_t equal, sessrec_ties ties) {
    const double first = 1 + (double)higher, others = (double)equal;
    return ties == SESSREC_TIES_STANDARD ? first
           : ties == SESSREC_TIES_MEDIAN ? first + others / 2
                                         : first + others;
}

SESSREC_API sessrec_result sessrec_metrics_add(sessrec_metrics *metrics, double rank, int32_t cutoff_count,
                                               const int32_t *cutoffs) {
    if (!metrics || !cutoffs || !(rank >= 1) || cutoff_count < 0 || cutoff_count > SESSREC_MAX_CUTOFFS)
        return SESSREC_INVALID_ARGUMENT;
    const double gain = 1 / log2(1 + rank);
    metrics->event_count++;
    for (int32_t c = 0; c < cutoff_count; ++c) {
        if (rank > cutoffs[c]) continue;
        metrics->recall[c] += 1;
        metrics->mrr[c] += 1 / rank;
        metrics->ndcg[c] += gain;
        metrics->precision[c] += 1.0 / cutoffs[c];
    }
    return SESSREC_OK;
}

static void sessrec__metrics_average(sessrec_metrics *metrics) {
    const double events = metrics->event_count ? (double)metrics->event_count : 1;
    for (int32_t c = 0; c < SESSREC_MAX_CUTOFFS; ++c) {
        metrics->recall[c] /= events;
        metrics->mrr[c] /= events;
        metrics->ndcg[c] /= events;
        metrics->precision[c] /= events;
    }
}

SESSREC_API sessrec_metrics sessrec_metrics_merge(const sessrec_metrics *groups, int32_t count) {
    sessrec_metrics all;
    memset(&all, 0, sizeof all);
    for (int32_t g = 0; groups && g < count; ++g) {
        const double events = (double)groups[g].event_count;
        all.event_count += groups[g].event_count;
        for (int32_t c = 0; c < SESSREC_MAX_CUTOFFS; ++c) {
            all.recall[c] += groups[g].recall[c] * events;
            all.mrr[c] += groups[g].mrr[c] * events;
            all.ndcg[c] += groups[g].ndcg[c] * events;
            all.precision[c] += groups[g].precision[c] * events;
        }
    }
    sessrec__metrics_average(&all);
    return all;
}

// ---- configuration ----

SESSREC_API sessrec_eval_config sessrec_eval_config_default(void) {
    static const int32_t cutoff[4] = {1, 5, 10, 20};
    sessrec_eval_config c;
    memset(&c, 0, sizeof c);
    c.canary = SESSREC__CANARY_EVAL;
    c.ties = SESSREC_TIES_CONSERVATIVE;
    c.cutoff_count = 4;
    memcpy(c.cutoffs, cutoff, sizeof cutoff);
    c.batch_size = 256;
#ifdef SESSREC_CUDA
    c.device = SESSREC_DEVICE_CUDA_OR_CPU;
#endif
    return c;
}

static sessrec_result sessrec__eval_check(const sessrec_eval_config *c, sessrec_error *err) {
    const sessrec_result bad = SESSREC_INVALID_ARGUMENT;
    if (!c || c->canary != SESSREC__CANARY_EVAL)
        return sessrec__invalid(err,
                                "the configuration was not made by sessrec_eval_config_default(): call it, "
                                "then change fields");
    if ((int)c->device < 0 || c->device > SESSREC_DEVICE_CUDA_OR_CPU)
        return sessrec__fail(err, bad, 0, "device is %d, which is not a sessrec_device", (int64_t)c->device);
    if ((int)c->ties < 0 || c->ties > SESSREC_TIES_MEDIAN)
        return sessrec__fail(err, bad, 0, "ties is %d, which is not a sessrec_ties", (int64_t)c->ties);
    if (sessrec__in_range(err, "cutoffs", c->cutoff_count, 1, SESSREC_MAX_CUTOFFS))
        return SESSREC_INVALID_ARGUMENT;
    for (int32_t i = 0; i < c->cutoff_count; ++i)
        if (c->cutoffs[i] < 1 || (c->coverage && c->cutoffs[i] > SESSREC__MAX_TOP))
            return sessrec__fail(err, bad, 0,
                                 "cutoff[%d] is %d, it must be 1 or more, with coverage %d at most",
                                 (int64_t)i, (int64_t)c->cutoffs[i], (int64_t)SESSREC__MAX_TOP);
    if (sessrec__in_range(err, "batch_size", c->batch_size, 1, SESSREC__MAX_BATCH))
        return SESSREC_INVALID_ARGUMENT;
    if (c->threads < 0 || c->threads > 1024)
        return sessrec__fail(err, bad, 0, "threads is %d, it must be 0 (one for each processor) to 1024",
                             (int64_t)c->threads);
    return SESSREC_OK;
}

// ---- the walk ----

// The data of one task.
typedef struct sessrec__eval_task {
    sessrec__walk walk;         // through eval.click
    int32_t *input;             // [batch]
    double *time;               // [batch]
    float *value;               // [batch] scores of the targets
    float *row;                 // [items] of one session, for scorers with both score and list
    char *states;               // [batch, state_bytes]
    char *users;                // [batch, user_bytes]
    char *scratch;
    float *scores;              // [batch, SCORE_BLOCK]
    sessrec_recommendation *list;   // [batch, top] for coverage
    uint8_t *occurs;            // [items] bit c: the item was in a list of cutoff[c]
} sessrec__eval_task;

#ifdef SESSREC_CUDA
// Events that wait until a device ranks them.
typedef struct sessrec__ranked {
    int64_t place[SESSREC_DEVICE_RANKS];
    int32_t target[SESSREC_DEVICE_RANKS], higher[SESSREC_DEVICE_RANKS], equal[SESSREC_DEVICE_RANKS];
} sessrec__ranked;
#endif

typedef struct sessrec__eval {
    const sessrec__kernels *kernels;
    const sessrec_scorer *scorer;
    const sessrec_eval_config *config;
    const sessrec_log *log;
    sessrec_log_view view;
    int32_t tasks, batch, top;  // top: length of the lists for coverage, else 0
    int32_t *item;              // [view.items] the scorer's number for each item of the log, -1 unknown
    int64_t *begin;             // [sessions+1] clicks on known items of each session, in
    int32_t *click;             // [events]
    double *time;               // [events] of each click
    sessrec__tally *tally;      // [events] of the event whose input is that click; unused at the last of a
                                // session
    int32_t *history;           // [sessions] earlier sessions of the user
    int by_user;                    // the scorer knows users: a chain is all sessions of one
    int32_t *chain_begin, *chain;   // [chains+1], [sessions] the sessions of each user, and those of nobody
    int32_t chains;
    sessrec_log_view before;        // config.history
    int32_t *before_item;           // [before.items] the scorer's numbers
    int32_t *before_user;           // [before.sessions] the log's numbers, -1 for users that it does not have
    int32_t *past_begin, *past;     // [users+1], [before.sessions] the sessions of the users before
    sessrec__eval_task *task;   // [tasks]
#ifdef SESSREC_CUDA
    // with a device: the last layer's state of each event, `h_at` bytes after the start of a session's
    const sessrec_device_table *table;
    void *ranks;
    int32_t h_width;
    size_t h_at;
    float *h;                   // [events,h_width]
    sessrec__ranked *waiting;
#endif
} sessrec__eval;

static void sessrec__eval_place_task(const sessrec__eval *e, sessrec__eval_task *task,
                                     sessrec__layout *layout) {
    const uint64_t batch = (uint64_t)e->batch;
    task->walk.slot = (sessrec__walk_slot *)sessrec__place(layout, batch, sizeof *task->walk.slot);
    task->walk.previous = sessrec__place_ints(layout, batch);
    task->input = sessrec__place_ints(layout, batch);
    task->time = sessrec__place_doubles(layout, batch);
    task->value = sessrec__place_floats(layout, batch);
    const uint64_t row = e->scorer->score && e->scorer->list ? (uint64_t)e->scorer->item_count : 0;
    task->row = sessrec__place_floats(layout, row);
    task->states = (char *)sessrec__place(layout, batch, e->scorer->state_bytes);
    task->users = (char *)sessrec__place(layout, batch, e->scorer->user_bytes);
    task->scratch = (char *)sessrec__place(
        layout, e->scorer->scratch_bytes ? e->scorer->scratch_bytes(e->scorer->self, e->batch) : 0, 1);
    task->scores = sessrec__place_floats(layout, batch * SESSREC__SCORE_BLOCK);
    task->list =
        (sessrec_recommendation *)sessrec__place(layout, batch * (uint64_t)e->top, sizeof *task->list);
    task->occurs = (uint8_t *)sessrec__place(layout, e->top ? (uint64_t)e->scorer->item_count : 0, 1);
}

static void sessrec__eval_place(void *object, sessrec__layout *layout) {
    sessrec__eval *e = (sessrec__eval *)object;
    const uint64_t sessions = (uint64_t)e->view.session_count, events = (uint64_t)e->view.event_count,
                   users = (uint64_t)e->view.user_count;
    const uint64_t before = (uint64_t)e->before.session_count;
    e->item = sessrec__place_ints(layout, (uint64_t)e->view.item_count);
    e->begin = sessrec__place_longs(layout, sessions + 1);
    e->click = sessrec__place_ints(layout, events);
    e->time = sessrec__place_doubles(layout, events);
    e->tally = (sessrec__tally *)sessrec__place(layout, events, sizeof *e->tally);
    e->history = sessrec__place_ints(layout, sessions);
    e->chain_begin = sessrec__place_ints(layout, (uint64_t)e->chains + 1);
    e->chain = sessrec__place_ints(layout, sessions);
    e->before_item = sessrec__place_ints(layout, (uint64_t)e->before.item_count);
    e->before_user = sessrec__place_ints(layout, before);
    e->past_begin = sessrec__place_ints(layout, users + 1);
    e->past = sessrec__place_ints(layout, before);
#ifdef SESSREC_CUDA
    e->h = sessrec__place_floats(layout, e->table ? events * (uint64_t)e->h_width : 0);
    e->waiting = (sessrec__ranked *)sessrec__place(layout, e->table ? 1 : 0, sizeof *e->waiting);
#endif
    e->task = (sessrec__eval_task *)sessrec__place(layout, (uint64_t)e->tasks, sizeof *e->task);
    for (int32_t t = 0; t < e->tasks; ++t) {
        sessrec__eval_task measured;
        sessrec__eval_place_task(e, e->task ? &e->task[t] : &measured, layout);
    }
}

// number [items] = the scorer's number of each item of a log, -1 if unknown. A scorer without find_item has
// the same numbers.
static void sessrec__eval_numbers(const sessrec_scorer *scorer, const sessrec_log *log, int32_t items,
                                  int32_t *number) {
    for (int32_t i = 0; i < items; ++i) {
        const int32_t item =
            scorer->find_item ? scorer->find_item(scorer->self, sessrec_log_item_id(log, i)) : i;
        number[i] = item < scorer->item_count ? item : -1;
    }
}

// An evaluation without an event is an error, not a figure.
static sessrec_result sessrec__eval_nothing(const sessrec__eval *e, const sessrec_model *model,
                                            int64_t unknown, sessrec_error *err) {
    int32_t i = 0;
    if (!unknown)
        return sessrec__fail(err, SESSREC_NO_DATA, 0,
                             "there is nothing to evaluate: none of the %d sessions has two events",
                             (int64_t)e->view.session_count);
    while (e->item[i] >= 0) ++i;  // ends: one is not known
    return sessrec__fail(err, SESSREC_NO_DATA, 0,
                         "there is nothing to evaluate: of %d events %d are of unknown items such as "
                         "'%s'%s%s%s, and no session has two others",
                         e->view.event_count, unknown, sessrec_log_item_id(e->log, i),
                         model ? " (the model has items such as '" : "",
                         model ? sessrec_model_item_id(model, 0) : "", model ? "')" : "");
}

// Closes the gaps left by clicks on unknown items.
static void sessrec__eval_map(sessrec__eval *e) {
    int64_t known = 0;
    sessrec__eval_numbers(e->scorer, e->log, e->view.item_count, e->item);
    sessrec__eval_numbers(e->scorer, e->config->history, e->before.item_count, e->before_item);
    for (int32_t s = 0; s < e->view.session_count; ++s) {
        e->begin[s] = known;
        for (int64_t i = e->view.session_begins[s]; i < e->view.session_begins[s + 1]; ++i)
            if (e->item[e->view.items[i]] >= 0) {
                e->time[known] = e->view.times[i];
                e->click[known++] = e->item[e->view.items[i]];
            }
    }
    e->begin[e->view.session_count] = known;
}

// Finds the sessions of each user, in the log and, by the user's id, before it. Counts the earlier ones of
// each session.
static sessrec_result sessrec__eval_users(sessrec__eval *e, const sessrec_allocator *memory,
                                          sessrec_error *err) {
    if (!e->view.session_users) return SESSREC_OK;
    sessrec_result result = SESSREC_OK;
    sessrec__ids users;
    sessrec__ids_init(&users, memory, 0);
    for (int32_t u = 0, number; u < e->view.user_count && !result; ++u) {
        const char *id = sessrec_log_user_id(e->log, u);
        result = sessrec__ids_intern(&users, id, strlen(id), &number);  // ids are distinct: number == u
    }
    for (int32_t s = 0; s < e->before.session_count && !result; ++s) {
        const char *id = e->before.session_users
                             ? sessrec_log_user_id(e->config->history, e->before.session_users[s])
                             : NULL;
        e->before_user[s] = id ? sessrec__ids_find(&users, id, strlen(id)) : -1;
    }
    sessrec__ids_free(&users);
    if (result)
        return sessrec__fail(err, result, 0, "the users of the log could not be matched: %s",
                             sessrec_result_text(result));
    sessrec__chain_by(e->before.session_count, e->before_user, e->view.user_count, 0, e->past_begin, e->past);
    sessrec__chain_by(e->view.session_count, e->view.session_users, e->view.user_count, 1, e->chain_begin,
                      e->chain);
    for (int32_t u = 0; u < e->view.user_count; ++u)
        for (int32_t i = e->chain_begin[u]; i < e->chain_begin[u + 1]; ++i)
            e->history[e->chain[i]] = e->past_begin[u + 1] - e->past_begin[u] + i - e->chain_begin[u];
    return SESSREC_OK;
}

SESSREC__INLINE char *sessrec__eval_state(const sessrec__eval *e, const sessrec__eval_task *task,
                                          int32_t row) {
    return task->states + (size_t)row * e->scorer->state_bytes;
}
SESSREC__INLINE char *sessrec__eval_user(const sessrec__eval *e, const sessrec__eval_task *task,
                                         int32_t row) {
    return e->by_user ? task->users + (size_t)row * e->scorer->user_bytes : NULL;
}

// A user enters a row: their state is computed from their sessions before the log.
static void sessrec__eval_meet(const sessrec__eval *e, sessrec__eval_task *task, int32_t row,
                               int32_t number) {
    const sessrec_scorer *scorer = e->scorer;
    char *state = sessrec__eval_state(e, task, row), *user = sessrec__eval_user(e, task, row);
    scorer->begin_user(scorer->self, user);
    if (number < 0) return;  // nobody
    for (int32_t i = e->past_begin[number]; i < e->past_begin[number + 1]; ++i) {
        int64_t clicks = 0;
        const int64_t begin = e->before.session_begins[e->past[i]];
        scorer->begin(scorer->self, state, user, e->before.times[begin]);
        for (int64_t at = begin; at < e->before.session_begins[e->past[i] + 1]; ++at) {
            const int32_t item = e->before_item[e->before.items[at]];
            if (item < 0) continue;
            scorer->click(scorer->self, 1, state, &item, &e->before.times[at], task->scratch);
            ++clicks;
        }
        if (clicks >= 2) scorer->end(scorer->self, state, user, task->scratch);
    }
}

// Rows that move up take their states with them; users and sessions begin.
static void sessrec__eval_arrive(const sessrec__eval *e, sessrec__eval_task *task) {
    for (int32_t i = 0; i < task->walk.rows; ++i) {
        const sessrec__walk_slot *slot = &task->walk.slot[i];
        const int32_t from = task->walk.previous[i];
        char *state = sessrec__eval_state(e, task, i), *user = sessrec__eval_user(e, task, i);
        if (from != i) memcpy(state, sessrec__eval_state(e, task, from), e->scorer->state_bytes);
        if (from != i && e->by_user) memcpy(user, sessrec__eval_user(e, task, from), e->scorer->user_bytes);
        if (slot->user_starts && e->by_user)
            sessrec__eval_meet(e, task, i, e->view.session_users[slot->session]);
        if (slot->start) e->scorer->begin(e->scorer->self, state, user, e->time[slot->at]);
    }
}

// Their users' states take in the sessions that have ended, including the last click, which no target
// follows.
static void sessrec__eval_leave(const sessrec__eval *e, sessrec__eval_task *task) {
    for (int32_t i = 0; i < task->walk.rows && e->by_user; ++i) {
        char *state = sessrec__eval_state(e, task, i);
        const int64_t last = task->walk.slot[i].at + 1;
        if (last + 1 < task->walk.slot[i].end) continue;
        e->scorer->click(e->scorer->self, 1, state, &e->click[last], &e->time[last], task->scratch);
        e->scorer->end(e->scorer->self, state, sessrec__eval_user(e, task, i), task->scratch);
    }
}

static void sessrec__eval_offer(const sessrec__eval *e, sessrec_recommendation *list, int32_t first,
                                int32_t count, const float *scores) {
    for (int32_t j = 0; e->top && j < count; ++j)
        if (sessrec__before(scores[j], first + j, list))
            sessrec__top_insert(list, e->top, first + j, scores[j]);
}

// Tallies every open event against one block of items.
static void sessrec__eval_block(const sessrec__eval *e, sessrec__eval_task *task, int32_t first,
                                int32_t count) {
    e->scorer->score(e->scorer->self, task->walk.rows, task->states, first, count, task->scores,
                     task->scratch);
    for (int32_t i = 0; i < task->walk.rows; ++i) {
        const int64_t at = task->walk.slot[i].at;
        const float *scores = task->scores + (ptrdiff_t)i * count;
        sessrec__tally_block(e->kernels, &e->tally[at], scores, first, count, e->click[at + 1],
                             task->value[i]);
        sessrec__eval_offer(e, task->list + (ptrdiff_t)i * e->top, first, count, scores);
    }
}

// Tallies the event of one row against the items that its scorer lists; all others have no score or, where
// the list is added to scores, their score alone.
static void sessrec__eval_listed(const sessrec__eval *e, sessrec__eval_task *task, int32_t i) {
    const sessrec_scorer *scorer = e->scorer;
    const int64_t at = task->walk.slot[i].at;
    const int32_t target = e->click[at + 1], items = scorer->item_count;
    const char *state = sessrec__eval_state(e, task, i);
    sessrec_recommendation *top = task->list + (ptrdiff_t)i * e->top;
    const sessrec_recommendation *list;
    const int32_t listed = scorer->list(scorer->self, state, &list, task->scratch);
    if (scorer->score) {
        for (int32_t first = 0, count; first < items; first += count) {
            count = items - first < SESSREC__SCORE_BLOCK ? items - first : SESSREC__SCORE_BLOCK;
            scorer->score(scorer->self, 1, state, first, count, task->row + first, task->scratch);
        }
        for (int32_t j = 0; j < listed; ++j) task->row[list[j].item] += list[j].score;
        sessrec__tally_block(e->kernels, &e->tally[at], task->row, 0, items, target, task->row[target]);
        sessrec__eval_offer(e, top, 0, items, task->row);
        return;
    }
    float value = -INFINITY;
    for (int32_t j = 0; j < listed; ++j) {
        if (list[j].item == target) value = list[j].score;
        sessrec__eval_offer(e, top, list[j].item, 1, &list[j].score);
    }
    if (!(value > -INFINITY)) e->tally[at].higher = items - 1;
    for (int32_t j = 0; j < listed && value > -INFINITY; ++j) {
        e->tally[at].higher += list[j].score > value;
        e->tally[at].equal += list[j].item != target && list[j].score >= value && list[j].score <= value;
    }
}

// Notes which items are in a list, for each cutoff that reaches that far.
static void sessrec__eval_cover(const sessrec__eval *e, sessrec_recommendation *list, uint8_t *occurs) {
    const int32_t count = sessrec__top_sort(list, e->top);
    for (int32_t place = 0; place < count; ++place)
        for (int32_t c = 0; c < e->config->cutoff_count; ++c)
            if (place < e->config->cutoffs[c]) occurs[list[place].item] |= (uint8_t)(1 << c);  // c < 8
}

static void sessrec__eval_step(const sessrec__eval *e, sessrec__eval_task *task) {
    const sessrec_scorer *scorer = e->scorer;
    const int32_t rows = task->walk.rows;
    const int32_t walked = SESSREC__HAS_DEVICE(e) || scorer->list ? 0 : scorer->item_count;
    for (int32_t i = 0; i < rows; ++i) {
        task->input[i] = e->click[task->walk.slot[i].at];
        task->time[i] = e->time[task->walk.slot[i].at];
    }
    scorer->click(scorer->self, rows, task->states, task->input, task->time, task->scratch);
    for (int32_t i = 0; i < rows; ++i) {
        const int64_t at = task->walk.slot[i].at;
        const char *state = sessrec__eval_state(e, task, i);
        sessrec__top_begin(task->list + (ptrdiff_t)i * e->top, e->top);
        if (walked) {
            scorer->score(scorer->self, 1, state, e->click[at + 1], 1, &task->value[i], task->scratch);
        } else if (!SESSREC__HAS_DEVICE(e)) {
            sessrec__eval_listed(e, task, i);
        } else {
#ifdef SESSREC_CUDA
            memcpy(e->h + at * e->h_width, state + e->h_at, (size_t)e->h_width * sizeof *e->h);
            e->tally[at].higher = 1;  // until the device has ranked it
#endif
        }
    }
    for (int32_t first = 0, count; first < walked; first += count) {
        count = walked - first < SESSREC__SCORE_BLOCK ? walked - first : SESSREC__SCORE_BLOCK;
        sessrec__eval_block(e, task, first, count);
    }
    for (int32_t i = 0; e->top && i < rows; ++i)
        sessrec__eval_cover(e, task->list + (ptrdiff_t)i * e->top, task->occurs);
}

// Task t takes chains t, t + tasks, ...
static void sessrec__eval_run(void *context, int32_t index) {
    const sessrec__eval *e = (const sessrec__eval *)context;
    sessrec__eval_task *task = &e->task[index];
    sessrec__walk *walk = &task->walk;
    walk->session_begins = e->begin;
    walk->chain_begin = e->chain_begin;
    walk->chain = e->by_user ? e->chain : NULL;
    walk->chains = e->by_user ? e->chains : e->view.session_count;
    walk->stride = e->tasks;
    for (sessrec__walk_begin(walk, e->batch, index); walk->rows; sessrec__walk_advance(walk)) {
        sessrec__eval_arrive(e, task);
        sessrec__eval_step(e, task);
        sessrec__eval_leave(e, task);
    }
}

// ---- the report ----

// The group of a value: the first whose bound it does not exceed, the eighth beyond all.
static int32_t sessrec__eval_group(int32_t value, const int32_t bound[SESSREC_GROUPS - 1]) {
    int32_t group = 0;
    while (group < SESSREC_GROUPS - 1 && value > bound[group]) ++group;
    return group;
}

static void sessrec__eval_sum(const sessrec__eval *e, sessrec_report *report) {
    static const int32_t position[] = {0, 1, 2, 3, 4, 5, 6}, length[] = {2, 3, 4, 5, 7, 10, 20},
                         history[] = {0, 1, 2, 3, 4, 6, 10};
    const int32_t cutoffs = report->cutoff_count, *cutoff = report->cutoffs;
    for (int32_t s = 0; s < e->view.session_count; ++s) {
        const int32_t clicks = (int32_t)(e->begin[s + 1] - e->begin[s]);
        report->session_count += clicks >= 2;
        for (int32_t p = 0; p + 1 < clicks; ++p) {
            const int64_t at = e->begin[s] + p;
            const double rank = sessrec_rank(e->tally[at].higher, e->tally[at].equal, e->config->ties);
            const sessrec_event event = {s, p, clicks, e->history[s], e->click[at], e->click[at + 1], rank};
            sessrec_metrics *const sums[4] = {
                &report->all, report->by_position + sessrec__eval_group(p, position),
                report->by_length + sessrec__eval_group(clicks, length),
                report->by_history + sessrec__eval_group(event.history, history)};
            for (int i = 0; i < 4; ++i) sessrec_metrics_add(sums[i], rank, cutoffs, cutoff);
            if (e->config->on_event) e->config->on_event(e->config->on_event_user, &event);
        }
    }
    report->event_count = report->all.event_count;
    sessrec__metrics_average(&report->all);
    for (int32_t g = 0; g < SESSREC_GROUPS; ++g) {
        sessrec__metrics_average(&report->by_position[g]);
        sessrec__metrics_average(&report->by_length[g]);
        sessrec__metrics_average(&report->by_history[g]);
    }
}

static void sessrec__eval_coverage(const sessrec__eval *e, sessrec_report *report) {
    const int32_t items = e->scorer->item_count;
    for (int32_t i = 0; e->top && i < items; ++i) {
        int occurs = 0;
        for (int32_t t = 0; t < e->tasks; ++t) occurs |= e->task[t].occurs[i];
        for (int32_t c = 0; c < report->cutoff_count; ++c) report->coverage[c] += occurs >> c & 1;
    }
    for (int32_t c = 0; c < report->cutoff_count; ++c) report->coverage[c] /= items;
}

#ifdef SESSREC_CUDA
// The ranks of all events, a number of rows at a time.
static sessrec_result sessrec__eval_device(sessrec__eval *e, sessrec_error *err) {
    sessrec__ranked *w = e->waiting;
    int32_t rows = 0;
    sessrec_result result = SESSREC_OK;
    for (int64_t at = 0; at < e->view.event_count && !result; ++at) {
        // waiting rows are at the start of h: their states move up, never past their own place
        if (e->tally[at].higher) {
            memmove(e->h + (ptrdiff_t)rows * e->h_width, e->h + at * e->h_width,
                    (size_t)e->h_width * sizeof *e->h);
            w->place[rows] = at;
            w->target[rows++] = e->click[at + 1];
        }
        if (!rows || (rows < SESSREC_DEVICE_RANKS && at + 1 < e->view.event_count)) continue;
        result = e->table->rank(e->ranks, rows, e->h, w->target, w->higher, w->equal, err);
        for (int32_t i = 0; i < rows && !result; ++i) {
            e->tally[w->place[i]].higher = w->higher[i];
            e->tally[w->place[i]].equal = w->equal[i];
        }
        rows = 0;
    }
    return result;
}
#endif

static sessrec_result sessrec__eval_all(sessrec__eval *e, const sessrec_model *model, sessrec__pool *pool,
                                        sessrec_report *report, sessrec_error *err) {
    const sessrec_allocator memory = sessrec__allocator(&e->config->allocator);
    e->before = sessrec_log_contents(e->config->history);
    e->by_user = e->scorer->user_bytes > 0 && e->view.session_users;
    e->chains = sessrec__chains(&e->view);
    e->tasks = e->view.session_count < pool->threads ? e->view.session_count : pool->threads;
    e->batch = e->view.session_count < e->config->batch_size ? e->view.session_count : e->config->batch_size;
    for (int32_t c = 0; c < e->config->cutoff_count && e->config->coverage; ++c)
        if (e->config->cutoffs[c] > e->top) e->top = e->config->cutoffs[c];
    if (e->top > e->scorer->item_count) e->top = e->scorer->item_count;
    void *block = sessrec__layout_block(&memory, sessrec__eval_place, e);
    if (!block) return sessrec__no_memory(err);
    sessrec__eval_map(e);
    sessrec_result result = sessrec__eval_users(e, &memory, err);
    int64_t pairs = 0;
    for (int32_t s = 0; s < e->view.session_count; ++s)
        pairs += e->begin[s + 1] > e->begin[s] ? e->begin[s + 1] - e->begin[s] - 1 : 0;
    report->unknown_count = e->view.event_count - e->begin[e->view.session_count];
    if (!result && !pairs) result = sessrec__eval_nothing(e, model, report->unknown_count, err);
    if (!result) {
        sessrec__pool_run(pool, e->tasks, sessrec__eval_run, e);
#ifdef SESSREC_CUDA
        if (e->table) result = sessrec__eval_device(e, err);
#endif
        sessrec__eval_sum(e, report);
        sessrec__eval_coverage(e, report);
    }
    sessrec__free(&memory, block);
    return result;
}

// Opens a device for ranking if the configuration asks for one and there is one.
static sessrec_result sessrec__eval_open_device(sessrec__eval *e, const sessrec_model *model,
                                                sessrec_error *err) {
    const sessrec_device device = e->config->device;
    sessrec_result result = SESSREC_OK;
    if (device == SESSREC_DEVICE_CPU) return SESSREC_OK;
    if (e->config->coverage) {
        result = sessrec_error_set(err, SESSREC_UNSUPPORTED,
                                   "coverage is counted on the processor only: set device to CPU");
    } else {
#ifdef SESSREC_CUDA
        const sessrec_device_table *table = sessrec_cuda();
        e->h_width = sessrec__last_width(model);
        e->h_at = (size_t)(sessrec__hidden_width(model) - e->h_width) * sizeof(float);
        result = table->open_ranks(model->Wy, model->By, model->info.item_count, e->h_width, &e->ranks, err);
        if (!result) e->table = table;
#    else
        (void)model;
        result = sessrec__fail(err, SESSREC_UNSUPPORTED, 0, SESSREC__NO_GPU_CODE);
#    endif
    }
    return result == SESSREC_UNSUPPORTED && device == SESSREC_DEVICE_CUDA_OR_CPU ? SESSREC_OK : result;
}

// model: the scorer's model, which a device may rank and whose ids are shown; else NULL.
static sessrec_result sessrec__evaluate(const sessrec_scorer *scorer, const sessrec_model *model,
                                        const sessrec_log *log, const sessrec_eval_config *config,
                                        sessrec_report *report, sessrec_error *err) {
    sessrec__eval e;
    sessrec__pool pool;
    if (!log || !report)
        return sessrec__invalid(err, "an evaluation needs a log and a report");
    memset(report, 0, sizeof *report);
    memset(&e, 0, sizeof e);
    e.scorer = scorer;
    e.config = config;
    e.log = log;
    sessrec_result result = sessrec__eval_check(config, err);
    if (!result) result = sessrec__scorer_check(scorer, err);
    if (!result && model) result = sessrec__eval_open_device(&e, model, err);
    if (!result) {
        const double start = sessrec__now();
        report->cutoff_count = config->cutoff_count;
        report->ties = config->ties;
        memcpy(report->cutoffs, config->cutoffs, (size_t)config->cutoff_count * sizeof *config->cutoffs);
        e.kernels = sessrec__best_kernels();
        e.view = sessrec_log_contents(log);
        sessrec__pool_init(&pool, config->threads, &config->jobs);
        result = sessrec__eval_all(&e, model, &pool, report, err);
        sessrec__pool_free(&pool);
        report->seconds = sessrec__now() - start;
    }
#ifdef SESSREC_CUDA
    if (e.table) e.table->close_ranks(e.ranks);
#endif
    return result;
}

SESSREC_API sessrec_result sessrec_evaluate_scorer(const sessrec_scorer *scorer, const sessrec_log *log,
                                                   const sessrec_eval_config *config, sessrec_report *report,
                                                   sessrec_error *err) {
    return sessrec__evaluate(scorer, NULL, log, config, report, err);
}

SESSREC_API sessrec_result sessrec_evaluate(const sessrec_model *model, const sessrec_log *log,
                                            const sessrec_eval_config *config, sessrec_report *report,
                                            sessrec_error *err) {
    sessrec_scorer scorer;
    const sessrec_result result = sessrec_scorer_model(model, NULL, &scorer, err);
    return result ? result : sessrec__evaluate(&scorer, model, log, config, report, err);
}

#  endif  // SESSREC_NO_TRAINING

// ===========================================================================================================
// >>scorers   the model, session neighbors, rules, popularity, and blends of them
// ===========================================================================================================

SESSREC_API void sessrec_scorer_destroy(sessrec_scorer *scorer) {
    if (!scorer) return;
    if (scorer->destroy) scorer->destroy(scorer->self);
    memset(scorer, 0, sizeof *scorer);
}

static sessrec_result sessrec__scorer_check(const sessrec_scorer *s, sessrec_error *err) {
    if (!s || !s->begin || !s->click || !(s->score || s->list))
        return sessrec__invalid(err, "a scorer needs begin, click, and score or list");
    if (s->item_count < 1)
        return sessrec__fail(err, SESSREC_INVALID_ARGUMENT, 0, "the scorer has %d items, it needs 1 or more",
                             (int64_t)s->item_count);
    if (s->state_bytes % 16 || s->user_bytes % 16)
        return sessrec__invalid(err, "state_bytes and user_bytes of the scorer must be multiples of 16");
    if (s->user_bytes && (!s->begin_user || !s->end))
        return sessrec__invalid(err, "a scorer that knows users needs begin_user and end");
    return SESSREC_OK;
}

// ---- the model ----
// scores [rows,count] = H Wy^T + By, computed transposed, as Wy H^T, so that Wy is read as it is stored.
// Every score is the chain By_i, then + Wy_ik h_k in the order of k, as in the kernel `dots`, so the bits are
// the same for any number of rows, for any block, and in a session.

// The distance of two states in floats.
static ptrdiff_t sessrec__model_stride(const sessrec_model *model) {
    return ((ptrdiff_t)sessrec__state_width(model) + 3) / 4 * 4;
}

static int32_t sessrec__model_find(const void *self, const char *id) {
    return sessrec_model_find_item((const sessrec_model *)self, id);
}

static const char *sessrec__model_id(const void *self, int32_t item) {
    return sessrec_model_item_id((const sessrec_model *)self, item);
}
static uint64_t sessrec__model_support(const void *self, int32_t item) {
    return sessrec_model_support((const sessrec_model *)self, item);
}

static size_t sessrec__model_scratch(const void *self, int32_t rows) {
    const sessrec_model *model = (const sessrec_model *)self;
    const uint64_t step = sessrec__step_scratch(model, rows),
                   floats = step > SESSREC__PANEL ? step : (uint64_t)SESSREC__PANEL;
    const uint64_t bytes = floats * sizeof(float);  // < 2^31 * 6 * 2^13 * 4
    return bytes > SIZE_MAX ? SIZE_MAX : (size_t)bytes;
}

// The state of a user: c [Hu] and one more float, 1 if it has taken in a session.
static size_t sessrec__model_user_bytes(const sessrec_model *model) {
    return model->info.user_hidden ? ((size_t)model->info.user_hidden + 4) / 4 * 16 : 0;
}

static void sessrec__model_begin(const void *self, void *state, const void *user, double time) {
    const sessrec_model *model = (const sessrec_model *)self;
    const float *c = (const float *)user;
    (void)time;
    sessrec__begin_session(model, c && c[model->info.user_hidden] > 0 ? c : NULL, (float *)state);
}

static int32_t sessrec__model_valid(const void *self, const void *state) {
    const int32_t width = sessrec__state_width((const sessrec_model *)self);
    int32_t valid = 1;
    for (int32_t i = 0; i < width; ++i)
        valid &= ((const float *)state)[i] >= -1 && ((const float *)state)[i] <= 1;
    return valid;
}

static void sessrec__model_begin_user(const void *self, void *user) {
    memset(user, 0, sessrec__model_user_bytes((const sessrec_model *)self));
}

static void sessrec__model_end(const void *self, const void *state, void *user, void *scratch) {
    const sessrec_model *model = (const sessrec_model *)self;
    float *c = (float *)user;
    sessrec__fold_session(model, (const float *)state, c, (float *)scratch);
    c[model->info.user_hidden] = 1;
}

static void sessrec__model_click(const void *self, int32_t rows, void *states, const int32_t *items,
                                 const double *times, void *scratch) {
    const sessrec_model *model = (const sessrec_model *)self;
    (void)times;
    sessrec__model_step(model, rows, items, (float *)states, sessrec__model_stride(model), (float *)scratch);
}

static void sessrec__model_score(const void *self, int32_t rows, const void *states, int32_t first,
                                 int32_t count, float *scores, void *scratch) {
    const sessrec_model *model = (const sessrec_model *)self;
    const sessrec__kernels *kernels = model->kernels;
    const int32_t L = sessrec__last_width(model);
    const float *h = (const float *)states + sessrec__hidden_width(model) - L,
                *Wy = model->Wy + (ptrdiff_t)first * L, *By = model->By + first;
    if (rows == 1) kernels->dots(count, L, Wy, L, h, By, scores);
    // not sessrec__matmul_bt, because a BLAS may give other bits for another number of rows
    else
        kernels->matmul_bt(rows, count, L, h, sessrec__model_stride(model), Wy, L, By, scores, count,
                           (float *)scratch);
}

SESSREC_API sessrec_result sessrec_scorer_model(const sessrec_model *model,
                                                const sessrec_allocator *allocator, sessrec_scorer *out,
                                                sessrec_error *err) {
    (void)allocator;  // the model is all that is needed
    if (out) memset(out, 0, sizeof *out);
    if (!out || !model) return sessrec__null(err);
    out->self = (void *)model;  // only ever read
    out->item_count = model->info.item_count;
    out->state_bytes = (size_t)sessrec__model_stride(model) * sizeof(float);
    out->scratch_bytes = sessrec__model_scratch;
    out->find_item = sessrec__model_find;
    out->item_id = sessrec__model_id;
    out->support = sessrec__model_support;
    out->begin = sessrec__model_begin;
    out->click = sessrec__model_click;
    out->score = sessrec__model_score;
    out->valid = sessrec__model_valid;
    out->user_bytes = sessrec__model_user_bytes(model);
    out->begin_user = sessrec__model_begin_user;
    out->end = sessrec__model_end;
    return SESSREC_OK;
}

// ---- numbers without libm ----

// exp x: 2^n e^r with |r| <= log(2)/2, of which eleven terms leave 2e-13; 0 below -700. x <= 700.
static double sessrec__exp64(double x) {
    static const double term[10] = {1 / 362880.0, 1 / 40320.0, 1 / 5040.0, 1 / 720.0, 1 / 120.0,
                                    1 / 24.0,     1 / 6.0,     0.5,        1,         1};
    double sum = 1 / 3628800.0, power;
    if (!(x > -700)) return 0;
    const int32_t n = (int32_t)(x * 1.4426950408889634 + (x < 0 ? -0.5 : 0.5));
    const double r = x - n * 0.6931471805599453;
    for (int i = 0; i < 10; ++i) sum = sum * r + term[i];
    const uint64_t bits = (uint64_t)(1023 + n) << 52;
    memcpy(&power, &bits, sizeof power);
    return sum * power;
}

// log x of a normal x > 0: x = 2^n y with y^2 in [1/2, 2), and log y = 2 (s + s^3/3 + s^5/5 + ..) with
// s = (y - 1) / (y + 1), |s| < 0.172.
static double sessrec__log64(double x) {
    uint64_t bits;
    double sum = 0;
    memcpy(&bits, &x, sizeof bits);
    const int32_t n = (int32_t)((bits + ((uint64_t)1023 << 52) - 0x3fe6a09e667f3bcdu) >> 52) - 1023;
    bits -= (uint64_t)(int64_t)n << 52;
    memcpy(&x, &bits, sizeof x);
    const double s = (x - 1) / (x + 1);
    for (int i = 21; i > 0; i -= 2) sum = sum * s * s + 1.0 / i;
    return 2 * s * sum + n * 0.6931471805599453;
}

// W of a click at distance d among L clicks, or with L = 0 N of a neighbor.
static double sessrec__decay(sessrec_decay kind, double scale, double d, double L) {
    const double part = L > 0 ? (L - d) / L : 1 / (d + 1);
    if (L <= 0 && kind != SESSREC_DECAY_EXP) ++d;
    switch (kind) {
    case SESSREC_DECAY_DIV: return part;
    case SESSREC_DECAY_QUADRATIC: return part * part;
    case SESSREC_DECAY_LINEAR: return d < 10 ? 1 - 0.1 * d : 0;
    case SESSREC_DECAY_LOG: return 2.302585092994046 / sessrec__log64(d + 1.7);
    case SESSREC_DECAY_EXP: return sessrec__exp64(-d / scale);
    default: return 1;
    }
}

// ---- what scorers with lists have in common ----

// A number for each of some items, found by item: a list, and each item's place in it.
typedef struct sessrec__bag {
    int32_t *places;                    // [mask+1] a place in the list + 1, 0: free
    uint32_t mask;
    int32_t count, room;
    sessrec_recommendation *entries;    // [room]
} sessrec__bag;

static void sessrec__bag_place(sessrec__bag *bag, int32_t room, sessrec__layout *layout) {
    for (bag->mask = 1; bag->mask < 2 * (uint32_t)room; bag->mask = 2 * bag->mask + 1) continue;
    bag->room = room;
    bag->places = sessrec__place_ints(layout, (uint64_t)bag->mask + 1);
    bag->entries = (sessrec_recommendation *)sessrec__place(layout, (uint64_t)room, sizeof *bag->entries);
}

static void sessrec__bag_clear(sessrec__bag *bag) {
    bag->count = 0;
    memset(bag->places, 0, ((size_t)bag->mask + 1) * sizeof *bag->places);
}

// The entry of an item. If there is none, a new one of 0 if `add` and there is room, else NULL.
SESSREC__INLINE sessrec_recommendation *sessrec__bag_at(sessrec__bag *bag, int32_t item, int add) {
    uint32_t at = ((uint32_t)item * 2654435769u >> 7) & bag->mask;
    for (; bag->places[at]; at = (at + 1) & bag->mask)  // ends: at most half the places are taken
        if (bag->entries[bag->places[at] - 1].item == item) return &bag->entries[bag->places[at] - 1];
    if (!add || bag->count == bag->room) return NULL;
    sessrec_recommendation *entry = &bag->entries[bag->count++];
    bag->places[at] = bag->count;
    entry->item = item;
    entry->score = 0;
    return entry;
}

// Every scorer of the library but the model starts with its items, a model without tensors; those that use
// the last clicks continue with how many.
typedef struct sessrec__catalog {
    sessrec_model *items;
    int32_t window;
} sessrec__catalog;

static int32_t sessrec__catalog_find(const void *self, const char *id) {
    return sessrec_model_find_item(((const sessrec__catalog *)self)->items, id);
}
static const char *sessrec__catalog_id(const void *self, int32_t item) {
    return sessrec_model_item_id(((const sessrec__catalog *)self)->items, item);
}
static uint64_t sessrec__catalog_support(const void *self, int32_t item) {
    return sessrec_model_support(((const sessrec__catalog *)self)->items, item);
}

// The last clicks of a session, at most `window`, the newest at the end. The items are behind the count.
typedef struct sessrec__clicks {
    int32_t count;
} sessrec__clicks;
SESSREC__INLINE int32_t *sessrec__clicks_items(const sessrec__clicks *clicks) {
    return (int32_t *)(uintptr_t)(clicks + 1);
}

static size_t sessrec__clicks_bytes(int32_t window) {
    return ((size_t)window + 4) / 4 * 16;
}

static void sessrec__clicks_begin(const void *self, void *state, const void *user, double time) {
    (void)user, (void)time;
    memset(state, 0, sessrec__clicks_bytes(((const sessrec__catalog *)self)->window));
}

static void sessrec__clicks_click(const void *self, int32_t rows, void *states, const int32_t *items,
                                  const double *times, void *scratch) {
    const int32_t window = ((const sessrec__catalog *)self)->window;
    (void)times, (void)scratch;
    for (int32_t r = 0; r < rows; ++r) {
        char *state = (char *)states + (size_t)r * sessrec__clicks_bytes(window);
        sessrec__clicks *clicks = (sessrec__clicks *)(void *)state;
        int32_t *kept = sessrec__clicks_items(clicks);
        if (clicks->count == window) memmove(kept, kept + 1, (size_t)--clicks->count * sizeof *kept);
        kept[clicks->count++] = items[r];
    }
}

static int32_t sessrec__clicks_valid(const void *self, const void *state) {
    const sessrec__catalog *catalog = (const sessrec__catalog *)self;
    const sessrec__clicks *clicks = (const sessrec__clicks *)state;
    const int32_t *items = sessrec__clicks_items(clicks);
    if (clicks->count < 0 || clicks->count > catalog->window) return 0;
    for (int32_t i = 0; i < clicks->count; ++i)
        if (items[i] < 0 || items[i] >= catalog->items->info.item_count) return 0;
    return 1;
}

static void sessrec__scorer_fill(sessrec__catalog *self, sessrec_scorer *out) {
    memset(out, 0, sizeof *out);
    out->self = self;
    out->item_count = self->items->info.item_count;
    out->state_bytes = sessrec__clicks_bytes(self->window);
    out->find_item = sessrec__catalog_find;
    out->item_id = sessrec__catalog_id;
    out->support = sessrec__catalog_support;
    out->begin = sessrec__clicks_begin;
    out->click = sessrec__clicks_click;
    out->valid = sessrec__clicks_valid;
}

// ---- session neighbors ----
// Sessions are numbered by the time of their last event. Each item has a list of its newest sessions. The
// lists of the clicked items are merged from their ends, so that candidates come in descending order, each
// with all items that it shares, and need not be stored.

enum {
    SESSREC__KNN_CLICKS = 256,      // most clicks that count; so many distances have their factors in a table
    SESSREC__KNN_ITEMS = 64,        // scored items for each neighbor that there is room for
    SESSREC__KNN_AGAIN = 31         // bit of an event whose item comes again in the session
};

typedef struct sessrec__postings {
    int32_t *sessions;      // of an item, rising
    int32_t count, room;    // room 0: they lie where they were made or read, and move before they change
} sessrec__postings;

typedef struct sessrec__knn {
    sessrec__catalog catalog;
    sessrec_allocator memory;
    sessrec_knn_config config;
    int32_t sessions;
    double *ends;           // [sessions] time of the last event, rising
    uint32_t *begins;       // [sessions+1] events of each session, in
    int32_t *distinct;      // [sessions] different items of each
    uint32_t *events;       // items, with bit AGAIN
    int64_t room[5];        // of these arrays and the support of the items; 0: they belong to somebody else
    sessrec__postings *postings;    // [V]
    int32_t *block;         // where postings were made
    void *file;             // that it was read from, or NULL
    double neighbor[SESSREC__KNN_CLICKS], spread[SESSREC__KNN_CLICKS];  // N(d), exp(-d / spread),
    double root[SESSREC__KNN_CLICKS];                                   // 1 / sqrt(d)
} sessrec__knn;

typedef struct sessrec__cursor {
    const int32_t *first, *at;  // sessions that are left of an item
    int32_t session;            // *at, -1: none is left
    double weight;
} sessrec__cursor;

// The scratch memory of a click.
typedef struct sessrec__knn_work {
    sessrec__bag clicked;               // distinct items of the session, with the distance of each
    sessrec__bag scored;
    sessrec__cursor *cursors;           // [window]
    // [k] with the similarity as score; item is INT32_MAX - session, so that of equals the later comes first
    sessrec_recommendation *neighbors;
    int32_t neighbor_count;
    double scale;                       // what similarities still have to be multiplied with
} sessrec__knn_work;

static void sessrec__knn_place(const sessrec__knn *knn, sessrec__knn_work *work, sessrec__layout *layout) {
    const int32_t k = knn->config.k, V = knn->catalog.items->info.item_count, window = knn->catalog.window;
    sessrec__bag_place(&work->clicked, window, layout);
    sessrec__bag_place(&work->scored, k * SESSREC__KNN_ITEMS < V ? k * SESSREC__KNN_ITEMS : V, layout);
    work->cursors = (sessrec__cursor *)sessrec__place(layout, (uint64_t)window, sizeof *work->cursors);
    work->neighbors = (sessrec_recommendation *)sessrec__place(layout, (uint64_t)k, sizeof *work->neighbors);
}

static size_t sessrec__knn_scratch(const void *self, int32_t rows) {
    sessrec__layout layout = {NULL, 0, 0};
    sessrec__knn_work work;
    (void)rows;
    sessrec__knn_place((const sessrec__knn *)self, &work, &layout);
    return layout.overflow ? SIZE_MAX : (size_t)layout.size;
}

// A cursor for each distinct item of the session. Returns D without the factor |n|.
static double sessrec__knn_open(const sessrec__knn *knn, const sessrec__clicks *clicks,
                                sessrec__knn_work *work, int32_t *cursors) {
    const sessrec_knn_config *c = &knn->config;
    const int32_t *items = sessrec__clicks_items(clicks);
    double squares = 0;
    *cursors = 0;
    for (int32_t d = 0; d < clicks->count; ++d) {
        const int32_t item = items[clicks->count - 1 - d], before = work->clicked.count;
        sessrec_recommendation *entry = sessrec__bag_at(&work->clicked, item, 1);
        if (work->clicked.count == before) continue;  // clicked again later
        const sessrec__postings *list = &knn->postings[item];
        const double weight = sessrec__decay(c->weight, c->weight_scale, d, clicks->count);
        entry->score = (float)d;
        squares += weight * weight;
        if (!list->count) continue;
        sessrec__cursor *cursor = &work->cursors[(*cursors)++];
        cursor->first = list->sessions;
        cursor->at = list->sessions + list->count - 1;
        cursor->session = *cursor->at;
        cursor->weight = weight;
    }
    return c->cosine ? sessrec__exp64(0.5 * sessrec__log64(squares > 0 ? squares : 1)) : work->clicked.count;
}

// Finds the neighbors. The recency factor is relative to the newest candidate, so that old ones do not all
// vanish. As it only decreases, most candidates can be skipped without being looked at.
static void sessrec__knn_find(const sessrec__knn *knn, const sessrec__clicks *clicks,
                              sessrec__knn_work *work) {
    const sessrec_knn_config *c = &knn->config;
    int32_t cursors;
    double newest = 0, factor = 1;
    sessrec__bag_clear(&work->clicked);
    const double D = sessrec__knn_open(knn, clicks, work, &cursors);
    sessrec__top_begin(work->neighbors, c->k);
    for (int32_t taken = 0; taken < c->m || !c->m; ++taken) {
        int32_t session = -1;
        double sim = 0;
        for (int32_t i = 0; i < cursors; ++i)
            if (work->cursors[i].session > session) session = work->cursors[i].session;
        if (session < 0) break;
        for (int32_t i = 0; i < cursors; ++i) {
            sessrec__cursor *cursor = &work->cursors[i];
            if (cursor->session != session) continue;
            sim += cursor->weight;
            cursor->session = cursor->at > cursor->first ? *--cursor->at : -1;
        }
        sim /= D;
        if (c->cosine) {
            const int32_t n = knn->distinct[session];
            sim *= n < SESSREC__KNN_CLICKS ? knn->root[n] : sessrec__exp64(-0.5 * sessrec__log64(n));
        }
        if (!taken) newest = knn->ends[session];
        if ((float)(sim * factor) < work->neighbors->score) continue;
        if (c->recency > 0) factor = sessrec__exp64((knn->ends[session] - newest) / c->recency);
        sim *= factor;
        if (sim > 0 && sessrec__before((float)sim, INT32_MAX - session, work->neighbors))
            sessrec__top_insert(work->neighbors, c->k, INT32_MAX - session, (float)sim);
    }
    work->neighbor_count = sessrec__top_sort(work->neighbors, c->k);
    work->scale = 1;
    if (c->recency > 0 && work->neighbor_count)
        work->scale = sessrec__exp64((newest - knn->ends[knn->sessions - 1]) / c->recency);
    if (work->scale < 1e-30) work->scale = 1e-30;
}

// What neighbor number n adds to an item, without the factor of its place, which is counted from *star.
static double sessrec__knn_share(const sessrec__knn *knn, sessrec__knn_work *work, int32_t n, int32_t *star) {
    const sessrec_knn_config *c = &knn->config;
    const int32_t session = INT32_MAX - work->neighbors[n].item;
    const uint32_t *events = knn->events + knn->begins[session];
    const int32_t length = (int32_t)(knn->begins[session + 1] - knn->begins[session]);
    int32_t nearest = SESSREC__KNN_CLICKS - 1;
    *star = 0;
    if (c->spread <= 0 && c->neighbor_weight == SESSREC_DECAY_SAME) return (double)work->neighbors[n].score;
    for (int32_t p = 0; p < length; ++p) {
        if (events[p] >> SESSREC__KNN_AGAIN) continue;
        const sessrec_recommendation *click = sessrec__bag_at(&work->clicked, (int32_t)events[p], 0);
        if (!click) continue;
        *star = p;
        if ((int32_t)click->score < nearest) nearest = (int32_t)click->score;
    }
    return (double)work->neighbors[n].score * knn->neighbor[nearest];
}

SESSREC__INLINE double sessrec__knn_spread(const sessrec__knn *knn, int32_t p, int32_t star) {
    const int32_t apart = p < star ? star - p : p - star;
    return apart < SESSREC__KNN_CLICKS ? knn->spread[apart] : sessrec__exp64(-apart / knn->config.spread);
}

static int32_t sessrec__knn_list(const void *self, const void *state, const sessrec_recommendation **out,
                                 void *scratch) {
    const sessrec__knn *knn = (const sessrec__knn *)self;
    sessrec__layout layout = {(char *)scratch, 0, 0};
    sessrec__knn_work work;
    sessrec__knn_place(knn, &work, &layout);
    sessrec__knn_find(knn, (const sessrec__clicks *)state, &work);
    sessrec__bag_clear(&work.scored);
    for (int32_t n = 0, star; n < work.neighbor_count; ++n) {
        const int32_t session = INT32_MAX - work.neighbors[n].item;
        const double share = sessrec__knn_share(knn, &work, n, &star);
        for (uint32_t e = knn->begins[session]; e < knn->begins[session + 1]; ++e) {
            if (knn->events[e] >> SESSREC__KNN_AGAIN) continue;
            sessrec_recommendation *entry = sessrec__bag_at(&work.scored, (int32_t)knn->events[e], 1);
            const int32_t p = (int32_t)(e - knn->begins[session]);
            if (entry) entry->score += (float)(share * sessrec__knn_spread(knn, p, star));
        }
    }
    for (int32_t i = 0; i < work.scored.count; ++i) {
        sessrec_recommendation *entry = &work.scored.entries[i];
        const double supp = (double)knn->catalog.items->support[entry->item], S = knn->sessions;
        const double rare = knn->config.idf > 0 ? 1 + knn->config.idf * sessrec__log64(S / supp) : 1;
        entry->score = (float)((double)entry->score * (work.scale * rare));
    }
    *out = work.scored.entries;
    return work.scored.count;
}

// Inserts a reason among the strongest.
static int32_t sessrec__reason_add(sessrec_reason *out, int32_t count, int32_t room,
                                   const sessrec_reason *reason) {
    int32_t at = count < room ? count++ : room;
    for (; at > 0 && reason->part > out[at - 1].part; --at)
        if (at < room) out[at] = out[at - 1];
    if (at < room) out[at] = *reason;
    return count;
}

static int32_t sessrec__knn_reasons(const void *self, const void *state, int32_t item, sessrec_reason *out,
                                    int32_t room, void *scratch) {
    const sessrec__knn *knn = (const sessrec__knn *)self;
    sessrec__layout layout = {(char *)scratch, 0, 0};
    sessrec__knn_work work;
    int32_t count = 0;
    sessrec__knn_place(knn, &work, &layout);
    sessrec__knn_find(knn, (const sessrec__clicks *)state, &work);
    for (int32_t n = 0, star; n < work.neighbor_count; ++n) {
        sessrec_reason reason = {0, 0, {-1, -1, -1, -1}, 0, 0, INT32_MAX - work.neighbors[n].item, 0};
        const double share = sessrec__knn_share(knn, &work, n, &star);
        const uint32_t begin = knn->begins[reason.session], end = knn->begins[reason.session + 1];
        uint32_t e = begin;
        while (e < end && knn->events[e] != (uint32_t)item) ++e;  // not where it comes again
        if (e == end) continue;
        reason.part = (float)(share * sessrec__knn_spread(knn, (int32_t)(e - begin), star) * work.scale);
        reason.time = knn->ends[reason.session];
        count = sessrec__reason_add(out, count, room, &reason);
    }
    return count;
}

SESSREC_API sessrec_result sessrec_knn_preset(const char *name, sessrec_knn_config *out) {
    static const struct {
        const char *name;
        sessrec_knn_config config;
    } presets[5] = {
        {"sknn",
         {0, 500, 1000, 1, 0, SESSREC_DECAY_SAME, SESSREC_DECAY_SAME, 1, 1, 0, 0, 0, {NULL, NULL, NULL}}},
        {"vsknn", {0, 1000, 5000, 0, 0, SESSREC_DECAY_LOG, SESSREC_DECAY_QUADRATIC, 1, 1, 0, 0, 2, {NULL,
         NULL, NULL}}},
        {"stan", {0, 500, 5000, 1, 0, SESSREC_DECAY_EXP, SESSREC_DECAY_SAME, 1.02, 1, 432000, 2.05, 0, {NULL,
         NULL, NULL}}},
        {"vstan", {0, 500, 5000, 1, 0, SESSREC_DECAY_EXP, SESSREC_DECAY_EXP, 1.02, 1.02, 432000, 2.05, 5,
         {NULL, NULL, NULL}}},
        {"vmis",
         {0, 288, 1502, 0, 4, SESSREC_DECAY_DIV, SESSREC_DECAY_LINEAR, 1, 1, 0, 0, 2, {NULL, NULL, NULL}}},
    };
    for (int i = 0; i < 5 && name && out; ++i)
        if (!strcmp(presets[i].name, name)) {
            const sessrec_allocator allocator = out->allocator;
            *out = presets[i].config;
            out->canary = SESSREC__CANARY_KNN;
            out->allocator = allocator;
            return SESSREC_OK;
        }
    return SESSREC_INVALID_ARGUMENT;
}

SESSREC_API sessrec_knn_config sessrec_knn_config_default(void) {
    sessrec_knn_config config;
    memset(&config, 0, sizeof config);
    (void)sessrec_knn_preset("vstan", &config);
    return config;
}

static sessrec_result sessrec__knn_check(const sessrec_knn_config *c, sessrec_error *err) {
    if (!c || c->canary != SESSREC__CANARY_KNN)
        return sessrec__invalid(err,
                                "the configuration was not made by sessrec_knn_config_default(): call it, "
                                "then change fields");
    if (sessrec__in_range(err, "k", c->k, 1, SESSREC__MAX_TOP)) return SESSREC_INVALID_ARGUMENT;
    if (c->m < 0 || c->last_n < 0) return sessrec__invalid(err, "m and last_n must not be negative");
    if (c->weight < 0 || c->weight > SESSREC_DECAY_EXP || c->neighbor_weight < 0 ||
        c->neighbor_weight > SESSREC_DECAY_EXP)
        return sessrec__invalid(err, "weight and neighbor_weight must be one of sessrec_decay");
    if ((c->weight == SESSREC_DECAY_EXP && !(c->weight_scale > 0 && c->weight_scale < 1e9)) ||
        (c->neighbor_weight == SESSREC_DECAY_EXP && !(c->neighbor_scale > 0 && c->neighbor_scale < 1e9)))
        return sessrec__invalid(err, "the scale of an exponential weight must be above 0 and below 1e9");
    if (!(c->recency >= 0 && c->recency < 1e15 && c->spread >= 0 && c->spread < 1e9 && c->idf >= 0 &&
          c->idf < 1e9))
        return sessrec__invalid(err, "recency, spread and idf must be numbers from 0 on");
    return SESSREC_OK;
}

static void sessrec__knn_destroy(void *self) {
    sessrec__knn *knn = (sessrec__knn *)self;
    const sessrec_allocator memory = knn->memory;
    void *arrays[5] = {knn->ends, knn->begins, knn->distinct, knn->events, NULL};
    if (knn->catalog.items) arrays[4] = (void *)knn->catalog.items->support;
    for (int i = 0; i < 5; ++i)
        if (knn->room[i]) sessrec__free(&memory, arrays[i]);
    for (int32_t i = 0; knn->postings && i < knn->catalog.items->info.item_count; ++i)
        if (knn->postings[i].room) sessrec__free(&memory, knn->postings[i].sessions);
    sessrec__free(&memory, knn->postings);
    sessrec__free(&memory, knn->block);
    sessrec__free(&memory, knn->file);
    sessrec_model_destroy(knn->catalog.items);
    sessrec__free(&memory, knn);
}

// Fills in the scorer and what follows from the configuration.
static void sessrec__knn_wire(sessrec__knn *knn, sessrec_scorer *out) {
    const sessrec_knn_config *c = &knn->config;
    knn->catalog.window = c->last_n && c->last_n < SESSREC__KNN_CLICKS ? c->last_n : SESSREC__KNN_CLICKS;
    for (int32_t d = 0; d < SESSREC__KNN_CLICKS; ++d) {
        knn->neighbor[d] = sessrec__decay(c->neighbor_weight, c->neighbor_scale, d, 0);
        knn->spread[d] = c->spread > 0 ? sessrec__exp64(-d / c->spread) : 1;
        knn->root[d] = sessrec__exp64(-0.5 * sessrec__log64(d ? d : 1));
    }
    sessrec__scorer_fill(&knn->catalog, out);
    out->scratch_bytes = sessrec__knn_scratch;
    out->list = sessrec__knn_list;
    out->reasons = sessrec__knn_reasons;
    out->list_room = c->k * SESSREC__KNN_ITEMS;
    out->destroy = sessrec__knn_destroy;
}

// ---- an index that grows ----

// Makes room for `needed` elements in an array of the index, growing by an eighth, and makes the array our
// own. The first `used` are kept.
static int sessrec__knn_room(sessrec__knn *knn, int which, int64_t used, int64_t needed) {
    static const size_t sizes[5] = {sizeof(double), sizeof(uint32_t), sizeof(int32_t), sizeof(uint32_t),
                                    sizeof(uint64_t)};
    void *arrays[5] = {knn->ends, knn->begins, knn->distinct, knn->events, NULL};
    if (needed <= knn->room[which]) return 1;
    if (knn->catalog.items) arrays[4] = (void *)knn->catalog.items->support;
    const int64_t larger = used && which < 4 ? needed + needed / 8 : needed;
    void *moved = sessrec__alloc_unset(&knn->memory, (uint64_t)larger, sizes[which]);
    if (!moved) return 0;
    if (used) memcpy(moved, arrays[which], (size_t)used * sizes[which]);
    if (knn->room[which]) sessrec__free(&knn->memory, arrays[which]);
    knn->room[which] = larger;
    switch (which) {
    case 0: knn->ends = (double *)moved; break;
    case 1: knn->begins = (uint32_t *)moved; break;
    case 2: knn->distinct = (int32_t *)moved; break;
    case 3: knn->events = (uint32_t *)moved; break;
    default: knn->catalog.items->support = (const uint64_t *)moved;
    }
    return 1;
}

static sessrec__knn *sessrec__knn_of(const sessrec_scorer *scorer) {
    return scorer && scorer->list == sessrec__knn_list ? (sessrec__knn *)scorer->self : NULL;
}

SESSREC_API int32_t sessrec_knn_session_items(const sessrec_scorer *scorer, int32_t session, int32_t *items,
                                              int32_t room) {
    const sessrec__knn *knn = sessrec__knn_of(scorer);
    if (!knn || session < 0 || session >= knn->sessions) return 0;
    const int32_t count = (int32_t)(knn->begins[session + 1] - knn->begins[session]);
    for (int32_t i = 0; i < count && i < room && items; ++i)
        items[i] = (int32_t)(knn->events[knn->begins[session] + (uint32_t)i] & INT32_MAX);
    return count;
}

SESSREC_API int32_t sessrec_knn_sessions(const sessrec_scorer *scorer) {
    const sessrec__knn *knn = sessrec__knn_of(scorer);
    return knn ? knn->sessions : 0;
}
SESSREC_API int64_t sessrec_knn_events(const sessrec_scorer *scorer) {
    const sessrec__knn *knn = sessrec__knn_of(scorer);
    return knn ? (int64_t)knn->begins[knn->sessions] : 0;
}

// Makes a list our own, with room for one more unless it is full.
static int sessrec__postings_own(const sessrec__knn *knn, sessrec__postings *list) {
    const int32_t most = knn->config.m ? knn->config.m : INT32_MAX;
    if (list->room && (list->count < list->room || list->room == most)) return 1;
    const int32_t room = most - list->count > list->count / 2 + 4 ? list->count + list->count / 2 + 4 : most;
    int32_t *moved = (int32_t *)sessrec__alloc_unset(&knn->memory, (uint64_t)room, sizeof *moved);
    if (!moved) return 0;
    if (list->count) memcpy(moved, list->sessions, (size_t)list->count * sizeof *moved);
    if (list->room) sessrec__free(&knn->memory, list->sessions);
    list->sessions = moved;
    list->room = room;
    return 1;
}

// Inserts a session into a list. The oldest one leaves a full list.
static void sessrec__postings_add(sessrec__postings *list, int32_t session) {
    int32_t place = list->count, *sessions = list->sessions;
    while (place > 0 && sessions[place - 1] > session) --place;
    if (list->count < list->room) {
        memmove(sessions + place + 1, sessions + place, (size_t)(list->count++ - place) * sizeof *sessions);
    } else {
        if (--place < 0) return;
        memmove(sessions, sessions + 1, (size_t)place * sizeof *sessions);
    }
    sessions[place] = session;
}

// Increments the numbers of the sessions from `first` on, starting with the last, and leaves a gap of
// `events`.
static void sessrec__knn_shift(sessrec__knn *knn, int32_t first, uint32_t events) {
    const int32_t S = knn->sessions;
    const uint32_t from = knn->begins[first], total = knn->begins[S];
    for (int32_t s = S - 1; s >= first; --s)
        for (uint32_t e = knn->begins[s]; e < knn->begins[s + 1]; ++e) {
            sessrec__postings *list = &knn->postings[knn->events[e] & INT32_MAX];
            int32_t at = list->count - 1;
            while (at >= 0 && list->sessions[at] > s) --at;
            if (at >= 0 && list->sessions[at] == s)
                list->sessions[at] = s + 1;  // else it is too old for the list
        }
    memmove(knn->ends + first + 1, knn->ends + first, (size_t)(S - first) * sizeof *knn->ends);
    memmove(knn->distinct + first + 1, knn->distinct + first, (size_t)(S - first) * sizeof *knn->distinct);
    memmove(knn->events + from + events, knn->events + from, (size_t)(total - from) * sizeof *knn->events);
    for (int32_t s = S; s >= first; --s) knn->begins[s + 1] = knn->begins[s] + events;
}

// Makes everything that appending such a session would change our own and large enough.
static int sessrec__knn_own(sessrec__knn *knn, int32_t first, const int32_t *items, int32_t count,
                            uint32_t known) {
    const int64_t S = knn->sessions, total = knn->begins[S], V = knn->catalog.items->info.item_count;
    int ready = sessrec__knn_room(knn, 0, S, S + 1) && sessrec__knn_room(knn, 1, S + 1, S + 2) &&
                sessrec__knn_room(knn, 2, S, S + 1) && sessrec__knn_room(knn, 3, total, total + known) &&
                sessrec__knn_room(knn, 4, V, V);
    for (int32_t i = 0; i < count && ready; ++i)
        if (items[i] >= 0) ready = sessrec__postings_own(knn, &knn->postings[items[i]]);
    for (int64_t e = knn->begins[first]; e < total && ready; ++e)
        ready = sessrec__postings_own(knn, &knn->postings[knn->events[e] & INT32_MAX]);
    return ready;
}

SESSREC_API sessrec_result sessrec_knn_append(const sessrec_scorer *scorer, const int32_t *items,
                                              int32_t count, double time) {
    sessrec__knn *knn = sessrec__knn_of(scorer);
    uint32_t known = 0;
    if (!knn || count < 0 || (count && !items) || !(time - time <= 0)) return SESSREC_INVALID_ARGUMENT;
    for (int32_t i = 0; i < count; ++i) {
        if (items[i] < -1 || items[i] >= scorer->item_count) return SESSREC_INVALID_ARGUMENT;
        known += items[i] >= 0;
    }
    int32_t place = knn->sessions;
    while (place > 0 && knn->ends[place - 1] > time) --place;
    if (!known) return SESSREC_OK;
    if (knn->sessions == INT32_MAX - 1 || knn->begins[knn->sessions] > UINT32_MAX - known)
        return SESSREC_TOO_LARGE;
    if (!sessrec__knn_own(knn, place, items, count, known)) return SESSREC_OUT_OF_MEMORY;
    sessrec__knn_shift(knn, place, known);
    knn->sessions++;
    knn->ends[place] = time;
    knn->distinct[place] = 0;
    const uint32_t *end = knn->events + knn->begins[place] + known;
    uint32_t *to = knn->events + knn->begins[place] + known;
    uint64_t *support = (uint64_t *)knn->catalog.items->support;
    knn->catalog.items->info.event_count += known;
    for (int32_t i = count - 1; i >= 0; --i) {
        uint32_t again = 0;
        if (items[i] < 0) continue;
        for (const uint32_t *later = to; later < end && !again; ++later)
            again = (*later & INT32_MAX) == (uint32_t)items[i];
        *--to = (uint32_t)items[i] | again << SESSREC__KNN_AGAIN;
        support[items[i]]++;
        if (again) continue;
        knn->distinct[place]++;
        sessrec__postings_add(&knn->postings[items[i]], place);
    }
    return SESSREC_OK;
}

// Makes the five arrays and the postings our own, without the sessions before `first`. Returns 0 without
// memory; they are then as they were.
static int sessrec__knn_drop(sessrec__knn *knn, int32_t first) {
    const int32_t S = knn->sessions, V = knn->catalog.items->info.item_count;
    const int64_t used[5] = {S, (int64_t)S + 1, S, knn->begins[S], V};
    int64_t total = 0;
    for (int i = 0; i < 5; ++i)
        if (!sessrec__knn_room(knn, i, used[i], used[i])) return 0;
    for (int32_t i = 0; i < V; ++i) total += knn->postings[i].count;
    int32_t *block = (int32_t *)sessrec__alloc_unset(&knn->memory, (uint64_t)total, sizeof *block),
            *at = block;
    if (!block) return 0;
    for (int32_t i = 0; i < V; ++i) {
        const sessrec__postings old = knn->postings[i];
        sessrec__postings *list = &knn->postings[i];
        list->sessions = at;
        list->count = list->room = 0;
        for (int32_t j = 0; j < old.count; ++j)
            if (old.sessions[j] >= first) list->sessions[list->count++] = old.sessions[j] - first;
        at += list->count;
        if (old.room) sessrec__free(&knn->memory, old.sessions);
    }
    sessrec__free(&knn->memory, knn->block);
    knn->block = block;
    return 1;
}

SESSREC_API sessrec_result sessrec_knn_forget(const sessrec_scorer *scorer, double time) {
    sessrec__knn *knn = sessrec__knn_of(scorer);
    int32_t first = 0;
    if (!knn || time != time) return SESSREC_INVALID_ARGUMENT;
    while (first < knn->sessions && knn->ends[first] < time) ++first;
    if (!first) return SESSREC_OK;
    if (!sessrec__knn_drop(knn, first)) return SESSREC_OUT_OF_MEMORY;
    const int32_t left = knn->sessions - first;
    const uint32_t gone = knn->begins[first], events = knn->begins[knn->sessions] - gone;
    uint64_t *support = (uint64_t *)knn->catalog.items->support;
    for (uint32_t e = 0; e < gone; ++e) support[knn->events[e] & INT32_MAX]--;
    knn->catalog.items->info.event_count -= gone;
    memmove(knn->ends, knn->ends + first, (size_t)left * sizeof *knn->ends);
    memmove(knn->distinct, knn->distinct + first, (size_t)left * sizeof *knn->distinct);
    memmove(knn->events, knn->events + gone, (size_t)events * sizeof *knn->events);
    for (int32_t s = 0; s <= left; ++s) knn->begins[s] = knn->begins[s + first] - gone;
    knn->sessions = left;
    return SESSREC_OK;
}

// ---- rules ----
// A context is the last click or, for Markov chains, the last `order` clicks. Places of the log are sorted by
// the clicks that end there, the last one first, so that each context is a run of places, and so is each
// longer context within it. The table is sorted in the same way and searched by bisection.

enum { SESSREC__MAX_ORDER = 4 };

typedef struct sessrec__rules {
    sessrec__catalog catalog;
    sessrec_allocator memory;
    int32_t contexts;
    int32_t (*context)[SESSREC__MAX_ORDER];     // [contexts] the last click first, then -1
    uint32_t *begins;                           // [contexts+1] the rules of each, in
    sessrec_recommendation *rules;              // the best first
    uint32_t *sessions;                         // of the log: those where the rule held,
    uint32_t *context_sessions;                 // [contexts] of those that had the context
    int32_t in_file;                            // 1: the arrays lie in a file,
    void *file;                                 // which is this one, or NULL
} sessrec__rules;

// The number of a context, -1 if there is none.
static int32_t sessrec__rules_find(const sessrec__rules *rules, const int32_t key[SESSREC__MAX_ORDER]) {
    int32_t low = 0, high = rules->contexts;
    while (low < high) {
        const int32_t middle = low + (high - low) / 2, *context = rules->context[middle];
        int32_t i = 0;
        while (i < SESSREC__MAX_ORDER && context[i] == key[i]) ++i;
        if (i == SESSREC__MAX_ORDER) return middle;
        if (context[i] < key[i]) low = middle + 1;
        else high = middle;
    }
    return -1;
}

// The longest context of a session that has rules, -1 if there is none.
static int32_t sessrec__rules_context(const sessrec__rules *rules, const sessrec__clicks *clicks) {
    int32_t key[SESSREC__MAX_ORDER] = {-1, -1, -1, -1}, best = -1;
    for (int32_t o = 0, found = 0; o < clicks->count && found >= 0; ++o) {
        key[o] = sessrec__clicks_items(clicks)[clicks->count - 1 - o];
        found = sessrec__rules_find(rules, key);  // what followed a context also followed its end
        if (found >= 0) best = found;
    }
    return best;
}

static int32_t sessrec__rules_list(const void *self, const void *state, const sessrec_recommendation **out,
                                   void *scratch) {
    const sessrec__rules *rules = (const sessrec__rules *)self;
    const int32_t context = sessrec__rules_context(rules, (const sessrec__clicks *)state);
    (void)scratch;
    *out = rules->rules;
    if (context < 0) return 0;
    *out += rules->begins[context];
    return (int32_t)(rules->begins[context + 1] - rules->begins[context]);
}

static int32_t sessrec__rules_reasons(const void *self, const void *state, int32_t item, sessrec_reason *out,
                                      int32_t room, void *scratch) {
    const sessrec__rules *rules = (const sessrec__rules *)self;
    const int32_t context = sessrec__rules_context(rules, (const sessrec__clicks *)state);
    (void)scratch;
    for (uint32_t r = context < 0 ? 0 : rules->begins[context];
         context >= 0 && r < rules->begins[context + 1]; ++r) {
        if (rules->rules[r].item != item || room < 1) continue;
        memset(out, 0, sizeof *out);
        out->part = rules->rules[r].score;
        memcpy(out->context, rules->context[context], sizeof out->context);
        while (out->context_count < SESSREC__MAX_ORDER && out->context[out->context_count] >= 0)
            out->context_count++;
        out->held = (int32_t)rules->sessions[r];
        out->of = (int32_t)rules->context_sessions[context];
        out->session = -1;
        return 1;
    }
    return 0;
}

static void sessrec__rules_destroy(void *self) {
    sessrec__rules *rules = (sessrec__rules *)self;
    const sessrec_allocator memory = rules->memory;
    if (!rules->in_file) {
        sessrec__free(&memory, rules->context);
        sessrec__free(&memory, rules->begins);
        sessrec__free(&memory, rules->rules);
        sessrec__free(&memory, rules->sessions);
        sessrec__free(&memory, rules->context_sessions);
    }
    sessrec__free(&memory, rules->file);
    sessrec_model_destroy(rules->catalog.items);
    sessrec__free(&memory, rules);
}

static void sessrec__rules_wire(sessrec__rules *rules, sessrec_scorer *out) {
    uint32_t most = 1;
    for (int32_t c = 0; c < rules->contexts; ++c)
        if (rules->begins[c + 1] - rules->begins[c] > most) most = rules->begins[c + 1] - rules->begins[c];
    sessrec__scorer_fill(&rules->catalog, out);
    out->list = sessrec__rules_list;
    out->reasons = sessrec__rules_reasons;
    out->list_room = (int32_t)most;
    out->destroy = sessrec__rules_destroy;
}

// ---- blends ----

enum { SESSREC__MAX_PARTS = 8, SESSREC__BLEND_DEPTH = 4 };  // of blends in a blend

typedef struct sessrec__blend_member {
    sessrec_scorer scorer;
    float weight;
    int32_t logarithm;
    size_t state_at, user_at;   // where its state is in that of the blend
    int32_t *to,
        *from;  // [V of the blend] its number for an item of the blend, and the other way; NULL: the same
} sessrec__blend_member;

typedef struct sessrec__blend {
    sessrec_allocator memory;
    double epsilon;
    int32_t count, item_count, list_room, depth;
    size_t state_bytes, user_bytes;
    sessrec__blend_member members[SESSREC__MAX_PARTS];
    int32_t *maps;
    int32_t owns;       // 1: its parts, and
    void *file;         // the file that they were read from
} sessrec__blend;

typedef struct sessrec__blend_work {
    char *states;       // [rows, state of the largest part]
    int32_t *items;     // [rows]
    double *times;      // [rows]
    float *scores;      // [rows,1024]
    char *scratch;      // of the part
    sessrec__bag bag;
} sessrec__blend_work;

static void sessrec__blend_place(const sessrec__blend *blend, int32_t rows, sessrec__blend_work *work,
                                 sessrec__layout *layout) {
    size_t states = 0, scratch = 0;
    for (int32_t p = 0; p < blend->count; ++p) {
        const sessrec_scorer *s = &blend->members[p].scorer;
        const size_t needs = s->scratch_bytes ? s->scratch_bytes(s->self, rows) : 0;
        if (s->state_bytes > states) states = s->state_bytes;
        if (needs > scratch) scratch = needs;
    }
    work->states = (char *)sessrec__place(layout, (uint64_t)rows, states);
    work->items = sessrec__place_ints(layout, (uint64_t)rows);
    work->times = sessrec__place_doubles(layout, (uint64_t)rows);
    work->scores = sessrec__place_floats(layout, (uint64_t)rows * 1024);
    work->scratch = (char *)sessrec__place(layout, scratch, 1);
    sessrec__bag_place(&work->bag, blend->list_room, layout);
}

static size_t sessrec__blend_scratch(const void *self, int32_t rows) {
    sessrec__layout layout = {NULL, 0, 0};
    sessrec__blend_work work;
    sessrec__blend_place((const sessrec__blend *)self, rows, &work, &layout);
    return layout.overflow ? SIZE_MAX : (size_t)layout.size;
}

static sessrec__blend_work sessrec__blend_open(const sessrec__blend *blend, int32_t rows, void *scratch) {
    sessrec__layout layout = {(char *)scratch, 0, 0};
    sessrec__blend_work work;
    sessrec__blend_place(blend, rows, &work, &layout);
    return work;
}

// The state of part p in row r of states of the blend.
SESSREC__INLINE char *sessrec__blend_state(const sessrec__blend *blend, const void *states, int32_t r,
                                           int32_t p) {
    return (char *)states + (size_t)r * blend->state_bytes + blend->members[p].state_at;
}

static int32_t sessrec__blend_find(const void *self, const char *id) {
    const sessrec_scorer *first = &((const sessrec__blend *)self)->members->scorer;
    return first->find_item(first->self, id);
}
static const char *sessrec__blend_id(const void *self, int32_t item) {
    const sessrec_scorer *first = &((const sessrec__blend *)self)->members->scorer;
    return first->item_id(first->self, item);
}
static uint64_t sessrec__blend_support(const void *self, int32_t item) {
    const sessrec_scorer *first = &((const sessrec__blend *)self)->members->scorer;
    return first->support(first->self, item);
}

static void sessrec__blend_begin(const void *self, void *state, const void *user, double time) {
    const sessrec__blend *blend = (const sessrec__blend *)self;
    for (int32_t p = 0; p < blend->count; ++p) {
        const sessrec__blend_member *member = &blend->members[p];
        const char *its = user && member->scorer.user_bytes ? (const char *)user + member->user_at : NULL;
        member->scorer.begin(member->scorer.self, sessrec__blend_state(blend, state, 0, p), its, time);
    }
}

static void sessrec__blend_begin_user(const void *self, void *user) {
    const sessrec__blend *blend = (const sessrec__blend *)self;
    for (int32_t p = 0; p < blend->count; ++p) {
        const sessrec__blend_member *member = &blend->members[p];
        if (member->scorer.user_bytes)
            member->scorer.begin_user(member->scorer.self, (char *)user + member->user_at);
    }
}

static void sessrec__blend_end(const void *self, const void *state, void *user, void *scratch) {
    const sessrec__blend *blend = (const sessrec__blend *)self;
    const sessrec__blend_work work = sessrec__blend_open(blend, 1, scratch);
    for (int32_t p = 0; p < blend->count; ++p) {
        const sessrec__blend_member *member = &blend->members[p];
        const char *its = sessrec__blend_state(blend, state, 0, p);
        if (member->scorer.user_bytes)
            member->scorer.end(member->scorer.self, its, (char *)user + member->user_at, work.scratch);
    }
}

// Those of its parts, one after another.
static int32_t sessrec__blend_reasons(const void *self, const void *state, int32_t item, sessrec_reason *out,
                                      int32_t room, void *scratch) {
    const sessrec__blend *blend = (const sessrec__blend *)self;
    const sessrec__blend_work work = sessrec__blend_open(blend, 1, scratch);
    int32_t count = 0;
    for (int32_t p = 0; p < blend->count && count < room; ++p) {
        const sessrec__blend_member *member = &blend->members[p];
        const int32_t its = member->to ? member->to[item] : item, first = count;
        if (!member->scorer.reasons || its < 0) continue;
        count += member->scorer.reasons(member->scorer.self, sessrec__blend_state(blend, state, 0, p), its,
                                        out + count, room - count, work.scratch);
        for (int32_t i = first; i < count; ++i)  // clicks of the part are items of the blend
            for (int32_t c = 0; c < out[i].context_count && member->from; ++c)
                out[i].context[c] = member->from[out[i].context[c]];
    }
    return count;
}

static int32_t sessrec__blend_valid(const void *self, const void *state) {
    const sessrec__blend *blend = (const sessrec__blend *)self;
    int32_t valid = 1;
    for (int32_t p = 0; p < blend->count; ++p) {
        const sessrec_scorer *s = &blend->members[p].scorer;
        valid = valid && (!s->valid || s->valid(s->self, sessrec__blend_state(blend, state, 0, p)));
    }
    return valid;
}

// Parts get their states one after another.
static void sessrec__blend_click(const void *self, int32_t rows, void *states, const int32_t *items,
                                 const double *times, void *scratch) {
    const sessrec__blend *blend = (const sessrec__blend *)self;
    const sessrec__blend_work work = sessrec__blend_open(blend, rows, scratch);
    for (int32_t p = 0; p < blend->count; ++p) {
        const sessrec__blend_member *member = &blend->members[p];
        const size_t size = member->scorer.state_bytes;
        int32_t known = 0;
        for (int32_t r = 0; r < rows; ++r) {
            work.items[known] = member->to ? member->to[items[r]] : items[r];
            if (times) work.times[known] = times[r];
            if (work.items[known] >= 0)
                memcpy(work.states + (size_t)known++ * size, sessrec__blend_state(blend, states, r, p), size);
        }
        member->scorer.click(member->scorer.self, known, work.states, work.items, times ? work.times : NULL,
                             work.scratch);
        for (int32_t r = 0, k = 0; r < rows; ++r)
            if (!member->to || member->to[items[r]] >= 0)
                memcpy(sessrec__blend_state(blend, states, r, p), work.states + (size_t)k++ * size, size);
    }
}

static void sessrec__blend_score(const void *self, int32_t rows, const void *states, int32_t first,
                                 int32_t count, float *scores, void *scratch) {
    const sessrec__blend *blend = (const sessrec__blend *)self;
    const sessrec__blend_work work = sessrec__blend_open(blend, rows, scratch);
    for (ptrdiff_t i = 0; i < (ptrdiff_t)rows * count; ++i) scores[i] = 0;
    for (int32_t p = 0; p < blend->count; ++p) {
        const sessrec__blend_member *member = &blend->members[p];
        const sessrec_scorer *s = &member->scorer;
        const int32_t step = member->to ? 1 : count;  // with other numbers, item by item
        for (int32_t r = 0; r < rows && s->score; ++r)
            memcpy(work.states + (size_t)r * s->state_bytes, sessrec__blend_state(blend, states, r, p),
                   s->state_bytes);
        for (int32_t at = 0; at < count && s->score; at += step) {
            const int32_t item = member->to ? member->to[first + at] : first;
            for (int32_t r = 0; r < rows; ++r) work.scores[r] = -INFINITY;
            if (item >= 0) s->score(s->self, rows, work.states, item, step, work.scores, work.scratch);
            for (int32_t r = 0; r < rows; ++r)
                for (int32_t j = 0; j < step; ++j)
                    scores[(ptrdiff_t)r * count + at + j] +=
                        member->weight * work.scores[(ptrdiff_t)r * step + j];
        }
    }
}

// log(s / sum + epsilon) - log(epsilon) is 0 for an item that is not in the list.
static int32_t sessrec__blend_list(const void *self, const void *state, const sessrec_recommendation **out,
                                   void *scratch) {
    const sessrec__blend *blend = (const sessrec__blend *)self;
    sessrec__blend_work work = sessrec__blend_open(blend, 1, scratch);
    sessrec__bag_clear(&work.bag);
    for (int32_t p = 0; p < blend->count; ++p) {
        const sessrec__blend_member *member = &blend->members[p];
        const sessrec_scorer *s = &member->scorer;
        const sessrec_recommendation *list = NULL;
        if (!s->list) continue;
        const void *its = sessrec__blend_state(blend, state, 0, p);
        const int32_t count = s->list(s->self, its, &list, work.scratch);
        double sum = 0;
        for (int32_t i = 0; i < count && member->logarithm; ++i)
            if (list[i].score > 0 && list[i].score < INFINITY) sum += (double)list[i].score;
        for (int32_t i = 0; i < count; ++i) {
            const int32_t item = member->from ? member->from[list[i].item] : list[i].item;
            double score = (double)list[i].score;
            if (item < 0 || !(score > -INFINITY)) continue;
            if (member->logarithm) score = score > 0 ? sessrec__log64(1 + score / (sum * blend->epsilon)) : 0;
            sessrec_recommendation *entry = sessrec__bag_at(&work.bag, item, 1);
            if (entry) entry->score += (float)((double)member->weight * score);
        }
    }
    *out = work.bag.entries;
    return work.bag.count;
}

static void sessrec__blend_destroy(void *self) {
    sessrec__blend *blend = (sessrec__blend *)self;
    const sessrec_allocator memory = blend->memory;
    for (int32_t p = 0; p < blend->count && blend->owns; ++p)
        sessrec_scorer_destroy(&blend->members[p].scorer);
    sessrec__free(&memory, blend->maps);
    sessrec__free(&memory, blend->file);
    sessrec__free(&memory, blend);
}

// Finds the items of the blend in part p: `to` and `from` are the places of its maps. MISMATCH if that is
// impossible.
static sessrec_result sessrec__blend_map(sessrec__blend_member *member, const sessrec_scorer *first,
                                         int32_t *to, int32_t *from, sessrec_error *err) {
    const sessrec_scorer *s = &member->scorer;
    int same = s->item_count == first->item_count;
    if (!first->item_id || !s->find_item)
        return same ? SESSREC_OK
                    : sessrec_error_set(err, SESSREC_MISMATCH,
                                        "two parts of the blend have different items, and no ids to match "
                                        "them");
    for (int32_t i = 0; i < s->item_count; ++i) from[i] = -1;
    for (int32_t i = 0; i < first->item_count; ++i) {
        to[i] = s->find_item(s->self, first->item_id(first->self, i));
        same &= to[i] == i;
        if (to[i] >= 0) from[to[i]] = i;
    }
    if (same) return SESSREC_OK;
    member->to = to;
    member->from = from;
    return SESSREC_OK;
}

static sessrec_result sessrec__member_check(const sessrec__blend_member *member, sessrec_error *err) {
    const sessrec_result result = sessrec__scorer_check(&member->scorer, err);
    if (result) return result;
    if (!(member->weight > -1e30f && member->weight < 1e30f))
        return sessrec__invalid(err, "a weight of the blend is not a number between -1e30 and 1e30");
    if (member->logarithm && (!member->scorer.list || member->scorer.score))
        return sessrec__invalid(err, "logarithm is only for scorers that have a list");
    return SESSREC_OK;
}

static void sessrec__blend_wire(sessrec__blend *blend, sessrec_scorer *out) {
    const sessrec_scorer *first = &blend->members->scorer;
    int64_t room = 0;
    memset(out, 0, sizeof *out);
    out->self = blend;
    out->item_count = blend->item_count;
    out->scratch_bytes = sessrec__blend_scratch;
    if (first->find_item) out->find_item = sessrec__blend_find;
    if (first->item_id) out->item_id = sessrec__blend_id;
    if (first->support) out->support = sessrec__blend_support;
    out->begin = sessrec__blend_begin;
    out->click = sessrec__blend_click;
    out->valid = sessrec__blend_valid;
    for (int32_t p = 0; p < blend->count; ++p) {
        sessrec__blend_member *member = &blend->members[p];
        const sessrec_scorer *s = &member->scorer;
        member->state_at = blend->state_bytes;
        member->user_at = blend->user_bytes;
        blend->state_bytes += s->state_bytes;
        blend->user_bytes += s->user_bytes;
        if (s->score) out->score = sessrec__blend_score;
        if (s->list) out->list = sessrec__blend_list;
        if (s->reasons) out->reasons = sessrec__blend_reasons;
        if (s->list) room += s->list_room ? s->list_room : s->item_count;
    }
    out->state_bytes = blend->state_bytes;
    out->user_bytes = blend->user_bytes;
    out->begin_user = sessrec__blend_begin_user;
    out->end = sessrec__blend_end;
    out->list_room = blend->list_room = room < blend->item_count ? (int32_t)room : blend->item_count;
    out->destroy = sessrec__blend_destroy;
}

// Finds the items of all parts; destroys the blend on failure.
static sessrec_result sessrec__blend_finish(sessrec__blend *blend, sessrec_scorer *out, sessrec_error *err) {
    const sessrec_scorer *first = &blend->members->scorer;
    uint64_t maps = 1;
    sessrec_result result = SESSREC_OK;
    for (int32_t p = 0; p < blend->count && !result; ++p) {
        const sessrec_scorer *s = &blend->members[p].scorer;
        const int32_t below = s->destroy == sessrec__blend_destroy ? ((sessrec__blend *)s->self)->depth : 0;
        result = sessrec__member_check(&blend->members[p], err);
        if (blend->depth <= below) blend->depth = below + 1;
    }
    if (!result && blend->depth > SESSREC__BLEND_DEPTH)
        result = sessrec__fail(err, SESSREC_INVALID_ARGUMENT, 0, "blends of blends are at most %d deep",
                               (int64_t)SESSREC__BLEND_DEPTH);
    for (int32_t p = 1; p < blend->count && !result; ++p)
        maps += (uint64_t)first->item_count + (uint64_t)blend->members[p].scorer.item_count;
    if (!result) {
        blend->item_count = first->item_count;
        blend->maps = (int32_t *)sessrec__alloc_unset(&blend->memory, maps, sizeof *blend->maps);
        if (!blend->maps) result = sessrec__no_memory(err);
    }
    int32_t *at = blend->maps;
    for (int32_t p = 1; p < blend->count && !result; ++p) {
        result = sessrec__blend_map(&blend->members[p], first, at, at + first->item_count, err);
        at += (ptrdiff_t)first->item_count + blend->members[p].scorer.item_count;
    }
    if (result) sessrec__blend_destroy(blend);
    else sessrec__blend_wire(blend, out);
    return result;
}

SESSREC_API sessrec_result sessrec_blend_create(const sessrec_blend_part *parts, int32_t count,
                                                double epsilon, const sessrec_allocator *allocator,
                                                sessrec_scorer *out, sessrec_error *err) {
    const sessrec_allocator memory = sessrec__allocator(allocator);
    if (out) memset(out, 0, sizeof *out);
    if (!out || !parts) return sessrec__null(err);
    if (count < 1 || count > SESSREC__MAX_PARTS)
        return sessrec__fail(err, SESSREC_INVALID_ARGUMENT, 0, "a blend has 1 to %d parts",
                             (int64_t)SESSREC__MAX_PARTS);
    if (!(epsilon >= 0 && epsilon <= 1)) return sessrec__invalid(err, "epsilon must be 0 to 1");
    for (int32_t p = 0; p < count; ++p)
        if (!parts[p].scorer) return sessrec__null(err);
    sessrec__blend *blend = (sessrec__blend *)sessrec__alloc(&memory, 1, sizeof *blend);
    if (!blend) return sessrec__no_memory(err);
    blend->memory = memory;
    blend->epsilon = epsilon > 0 ? epsilon : 1e-4;
    blend->count = count;
    for (int32_t p = 0; p < count; ++p) {
        blend->members[p].scorer = *parts[p].scorer;
        blend->members[p].weight = parts[p].weight;
        blend->members[p].logarithm = parts[p].logarithm;
    }
    return sessrec__blend_finish(blend, out, err);
}

#  ifndef SESSREC_NO_TRAINING
// ---- making them from a log ----

static sessrec_result sessrec__catalog_create(const sessrec_log *log, const sessrec_allocator *memory,
                                              sessrec_model **out, sessrec_error *err) {
    sessrec__new_model plan;
    if (!log || sessrec_log_contents(log).item_count < 1)
        return sessrec__fail(err, log ? SESSREC_NO_DATA : SESSREC_INVALID_ARGUMENT, 0,
                             "the log has no items, or is not finished");
    memset(&plan, 0, sizeof plan);
    plan.model.memory = *memory;
    plan.model.info.item_count = sessrec_log_contents(log).item_count;
    return sessrec__model_block(&plan, log, NULL, out, err);
}

// The postings of all items, in one block.
static int sessrec__knn_post(sessrec__knn *knn) {
    sessrec__postings *postings = knn->postings;
    const int32_t most = knn->config.m ? knn->config.m : INT32_MAX, V = knn->catalog.items->info.item_count;
    int64_t total = 0;
    for (uint32_t e = 0; e < knn->begins[knn->sessions]; ++e)
        if (!(knn->events[e] >> SESSREC__KNN_AGAIN)) postings[knn->events[e]].count++;
    for (int32_t i = 0; i < V; ++i) {
        if (postings[i].count > most) postings[i].count = most;
        total += postings[i].count;
    }
    int32_t *at = knn->block = (int32_t *)sessrec__alloc_unset(&knn->memory, (uint64_t)total, sizeof *at);
    for (int32_t i = 0; i < V && at; ++i) {
        postings[i].sessions = at;
        postings[i].room = postings[i].count;  // what is left to fill, 0 in the end
        at += postings[i].count;
    }
    for (int32_t s = knn->sessions - 1; s >= 0 && at; --s)
        for (uint32_t e = knn->begins[s]; e < knn->begins[s + 1]; ++e) {
            sessrec__postings *list = &postings[knn->events[e] & INT32_MAX];
            if (!(knn->events[e] >> SESSREC__KNN_AGAIN) && list->room) list->sessions[--list->room] = s;
        }
    return at != NULL;
}

SESSREC_API sessrec_result sessrec_knn_create(const sessrec_knn_config *config, const sessrec_log *log,
                                              sessrec_scorer *out, sessrec_error *err) {
    if (!out) return sessrec__invalid(err, "out must not be NULL");
    memset(out, 0, sizeof *out);
    sessrec_result result = sessrec__knn_check(config, err);
    if (result) return result;
    const sessrec_allocator memory = sessrec__allocator(&config->allocator);
    const sessrec_log_view view = sessrec_log_contents(log);
    const int64_t S = view.session_count, V = view.item_count;
    if (view.event_count > INT64_C(4000000000))
        return sessrec_error_set(err, SESSREC_TOO_LARGE, "an index holds at most 4,000,000,000 events");
    sessrec__knn *knn = (sessrec__knn *)sessrec__alloc(&memory, 1, sizeof *knn);
    if (!knn) return sessrec__no_memory(err);
    knn->memory = memory;
    knn->config = *config;
    knn->sessions = view.session_count;
    result = sessrec__catalog_create(log, &memory, &knn->catalog.items, err);
    int32_t *order = (int32_t *)sessrec__alloc_unset(&memory, (uint64_t)S + 1, sizeof *order);
    int32_t *seen =
        (int32_t *)sessrec__alloc(&memory, (uint64_t)V + 1, sizeof *seen);  // the last session, from 1
    if (!result)
        knn->postings = (sessrec__postings *)sessrec__alloc(&memory, (uint64_t)V, sizeof *knn->postings);
    if (!result && !(order && seen && knn->postings && sessrec__knn_room(knn, 0, 0, S) &&
                     sessrec__knn_room(knn, 1, 0, S + 1) && sessrec__knn_room(knn, 2, 0, S) &&
                     sessrec__knn_room(knn, 3, 0, view.event_count)))
        result = sessrec__no_memory(err);
    for (int32_t s = 0; s < S && !result; ++s) {
        order[s] = s;
        knn->ends[s] = view.times[view.session_begins[s + 1] - 1];
    }
    if (!result && sessrec__sort_by_time(&memory, knn->ends, order, S)) result = sessrec__no_memory(err);
    uint32_t at = 0;
    for (int32_t s = 0; s < S && !result; ++s) {
        const int64_t begin = view.session_begins[order[s]], end = view.session_begins[order[s] + 1];
        knn->begins[s] = at;
        knn->distinct[s] = 0;
        at += (uint32_t)(end - begin);
        for (int64_t e = end - 1, to = at; e >= begin; --e) {
            const int32_t item = view.items[e], again = seen[item] == s + 1;
            knn->events[--to] = (uint32_t)item | (uint32_t)again << SESSREC__KNN_AGAIN;
            knn->distinct[s] += !again;
            seen[item] = s + 1;
        }
    }
    if (!result) knn->begins[S] = at;
    if (!result && !sessrec__knn_post(knn)) result = sessrec__no_memory(err);
    sessrec__free(&memory, order);
    sessrec__free(&memory, seen);
    if (result) sessrec__knn_destroy(knn);
    else sessrec__knn_wire(knn, out);
    return result;
}

SESSREC_API sessrec_rules_config sessrec_rules_config_default(void) {
    sessrec_rules_config c;
    memset(&c, 0, sizeof c);
    c.canary = SESSREC__CANARY_RULES;
    c.kind = SESSREC_RULES_SEQUENTIAL;
    c.most = 100;
    c.steps = 10;
    c.weight = SESSREC_DECAY_DIV;
    c.order = 1;
    c.events = 1;
    c.lambda = 20;
    c.alpha = 0.5;
    return c;
}

static sessrec_result sessrec__rules_check(const sessrec_rules_config *c, sessrec_error *err) {
    if (!c || c->canary != SESSREC__CANARY_RULES)
        return sessrec__invalid(err,
                                "the configuration was not made by sessrec_rules_config_default(): call "
                                "it, then change fields");
    if (c->kind < 0 || c->kind > SESSREC_RULES_ITEMKNN)
        return sessrec__fail(err, SESSREC_INVALID_ARGUMENT, 0,
                             "kind is %d, which is not a sessrec_rules_kind", (int64_t)c->kind);
    if (sessrec__in_range(err, "most", c->most, 1, SESSREC__MAX_TOP)) return SESSREC_INVALID_ARGUMENT;
    if (c->steps < 1)
        return sessrec__fail(err, SESSREC_INVALID_ARGUMENT, 0, "steps is %d, it must be 1 or more",
                             (int64_t)c->steps);
    if (c->weight < 0 || c->weight >= SESSREC_DECAY_EXP)
        return sessrec__invalid(err, "weight must be one of sessrec_decay, not EXP");
    if (sessrec__in_range(err, "order", c->order, 1, SESSREC__MAX_ORDER)) return SESSREC_INVALID_ARGUMENT;
    if (!(c->lambda >= 0 && c->lambda <= 1e15)) return sessrec__invalid(err, "lambda must be 0 to 1e15");
    if (!(c->alpha >= 0 && c->alpha <= 1)) return sessrec__invalid(err, "alpha must be 0 to 1");
    return SESSREC_OK;
}

// The builder's data.
typedef struct sessrec__rules_build {
    const sessrec_rules_config *config;
    sessrec_log_view view;
    sessrec__rules *rules;
    int32_t order, most;
    int32_t *session;           // [events]
    uint32_t *places, *others;  // [events] of the log, sorted by context; room for sorting
    int64_t *digits;            // [V+2]
    double *supports;           // [V] n_i
    double *sums;               // [V] of the context that is counted, for the items
    uint32_t *sessions;         // [V]
    int32_t *last;              // [V] the last session that counted, from 1
    int64_t *stamps;            // [V] the last place that counted, from 1
    int32_t *touched;           // [V]
    int32_t touched_count;
    sessrec_recommendation *best;   // [most]
    int64_t rule_room, sessions_room, context_room, begins_room, totals_room, rule_count;
} sessrec__rules_build;

static void sessrec__rules_place(void *object, sessrec__layout *layout) {
    sessrec__rules_build *b = (sessrec__rules_build *)object;
    const uint64_t V = (uint64_t)b->view.item_count, events = (uint64_t)b->view.event_count;
    b->session = sessrec__place_ints(layout, events);
    b->places = (uint32_t *)sessrec__place(layout, events, sizeof *b->places);
    b->others = (uint32_t *)sessrec__place(layout, events, sizeof *b->others);
    b->digits = sessrec__place_longs(layout, V + 2);
    b->supports = sessrec__place_doubles(layout, V);
    b->sums = sessrec__place_doubles(layout, V);
    b->sessions = (uint32_t *)sessrec__place(layout, V, sizeof *b->sessions);
    b->last = sessrec__place_ints(layout, V);
    b->stamps = sessrec__place_longs(layout, V);
    b->touched = sessrec__place_ints(layout, V);
    b->best = (sessrec_recommendation *)sessrec__place(layout, (uint64_t)b->most, sizeof *b->best);
}

// The item `back` places before a place, -1 if its session begins later than that.
SESSREC__INLINE int32_t sessrec__rules_item(const sessrec__rules_build *b, int64_t place, int32_t back) {
    return place - back >= b->view.session_begins[b->session[place]] ? b->view.items[place - back] : -1;
}

// Lists the relevant places and sorts them, the oldest click first, with stable passes. Returns how many.
static int64_t sessrec__rules_sort(sessrec__rules_build *b) {
    const sessrec_rules_config *c = b->config;
    int64_t count = 0;
    for (int32_t s = 0; s < b->view.session_count; ++s)
        for (int64_t e = b->view.session_begins[s], end = b->view.session_begins[s + 1]; e < end; ++e) {
            const int32_t item = b->view.items[e], again = b->last[item] == s + 1;
            b->session[e] = s;
            b->last[item] = s + 1;
            if (c->kind == SESSREC_RULES_MARKOV && e + 1 == end) continue;
            if (c->kind == SESSREC_RULES_ITEMKNN && !c->events && again) continue;
            b->supports[item] += 1;
            b->places[count++] = (uint32_t)e;
        }
    memset(b->last, 0, (size_t)b->view.item_count * sizeof *b->last);
    for (int32_t back = b->order - 1; back >= 0; --back) {
        memset(b->digits, 0, ((size_t)b->view.item_count + 2) * sizeof *b->digits);
        for (int64_t i = 0; i < count; ++i) b->digits[sessrec__rules_item(b, b->places[i], back) + 2]++;
        for (int32_t i = 1; i < b->view.item_count + 2; ++i) b->digits[i] += b->digits[i - 1];
        for (int64_t i = 0; i < count; ++i)
            b->others[b->digits[sessrec__rules_item(b, b->places[i], back) + 1]++] = b->places[i];
        uint32_t *sorted = b->others;
        b->others = b->places;
        b->places = sorted;
    }
    return count;
}

static void sessrec__rules_add(sessrec__rules_build *b, int64_t place, int32_t item, double weight) {
    if (!b->last[item]) b->touched[b->touched_count++] = item;
    if (b->last[item] != b->session[place] + 1) b->sessions[item]++;
    b->last[item] = b->session[place] + 1;
    b->sums[item] += weight;
}

// Counts one place for its context.
static void sessrec__rules_count(sessrec__rules_build *b, int64_t place) {
    const sessrec_rules_config *c = b->config;
    const int32_t *items = b->view.items, item = items[place];
    const int64_t begin = b->view.session_begins[b->session[place]];
    const int64_t end = b->view.session_begins[b->session[place] + 1];
    if (c->kind == SESSREC_RULES_MARKOV) {
        sessrec__rules_add(b, place, items[place + 1], 1);
    } else if (c->kind == SESSREC_RULES_SEQUENTIAL) {
        for (int64_t e = place + 1; e < end && e - place <= c->steps; ++e)
            sessrec__rules_add(b, place, items[e], sessrec__decay(c->weight, 1, (double)(e - place - 1), 0));
    } else {
        for (int64_t e = begin; e < end; ++e) {
            if (items[e] == item || (c->kind == SESSREC_RULES_ITEMKNN && b->stamps[items[e]] == place + 1))
                continue;
            b->stamps[items[e]] = place + 1;
            sessrec__rules_add(b, place, items[e], 1);
        }
    }
}

static double sessrec__rules_score(const sessrec__rules_build *b, int32_t item, int32_t j, int64_t places) {
    const sessrec_rules_config *c = b->config;
    if (c->kind == SESSREC_RULES_MARKOV) return b->sums[j] / (double)places;
    if (c->kind != SESSREC_RULES_ITEMKNN) return b->sums[j];
    const double n_i = b->supports[item] + c->lambda, n_j = b->supports[j] + c->lambda;
    if (c->alpha >= 0.5 && c->alpha <= 0.5) return b->sums[j] / sqrt(n_i * n_j);
    return b->sums[j] / (pow(n_i, c->alpha) * pow(n_j, 1 - c->alpha));
}

// Makes the list of the context of `order` clicks shared by the places from .. to-1. Returns 0 without
// memory.
static int sessrec__rules_emit(sessrec__rules_build *b, int64_t from, int64_t to, int32_t order) {
    sessrec__rules *rules = b->rules;
    const sessrec_allocator *memory = &rules->memory;
    uint32_t total = 0;
    b->touched_count = 0;
    for (int64_t i = from; i < to; ++i) {
        total += i == from || b->session[b->places[i]] != b->session[b->places[i - 1]];
        sessrec__rules_count(b, b->places[i]);
    }
    const int32_t most = b->touched_count < b->most ? b->touched_count : b->most;
    const int32_t item = b->view.items[b->places[from]], n = rules->contexts;
    sessrec__top_begin(b->best, most);
    for (int32_t i = 0; i < b->touched_count; ++i) {
        const int32_t j = b->touched[i];
        const float score = (float)sessrec__rules_score(b, item, j, to - from);
        if (sessrec__before(score, j, b->best)) sessrec__top_insert(b->best, most, j, score);
    }
    sessrec__top_sort(b->best, most);
    const int ready =
        sessrec__grow(memory, (void **)&rules->rules, &b->rule_room, b->rule_count + most,
                      sizeof *rules->rules) &&
        sessrec__grow(memory, (void **)&rules->sessions, &b->sessions_room, b->rule_count + most, 4) &&
        sessrec__grow(memory, (void **)&rules->context, &b->context_room, n + 1, sizeof *rules->context) &&
        sessrec__grow(memory, (void **)&rules->begins, &b->begins_room, n + 2, 4) &&
        sessrec__grow(memory, (void **)&rules->context_sessions, &b->totals_room, n + 1, 4);
    for (int32_t i = 0; i < most && ready; ++i) {
        rules->rules[b->rule_count + i] = b->best[i];
        rules->sessions[b->rule_count + i] = b->sessions[b->best[i].item];
    }
    if (ready && most) {
        for (int32_t o = 0; o < SESSREC__MAX_ORDER; ++o)
            rules->context[n][o] = o < order ? sessrec__rules_item(b, b->places[from], o) : -1;
        rules->begins[n] = (uint32_t)b->rule_count;
        rules->begins[n + 1] = (uint32_t)(b->rule_count += most);
        rules->context_sessions[n] = total;
        rules->contexts++;
    }
    for (int32_t i = 0; i < b->touched_count; ++i) {
        b->last[b->touched[i]] = 0;
        b->sums[b->touched[i]] = 0;
        b->sessions[b->touched[i]] = 0;
    }
    return ready && b->rule_count < UINT32_MAX - SESSREC__MAX_TOP;
}

// The contexts of `order` clicks among the places from .. to-1, which share the last order-1 clicks, and
// after each the longer ones.
static int sessrec__rules_walk(sessrec__rules_build *b, int64_t from, int64_t to, int32_t order) {
    for (int64_t end; from < to; from = end) {
        const int32_t item = sessrec__rules_item(b, b->places[from], order - 1);
        for (end = from + 1; end < to && sessrec__rules_item(b, b->places[end], order - 1) == item;) ++end;
        if (item < 0) continue;
        if (!sessrec__rules_emit(b, from, end, order)) return 0;
        if (order < b->order && !sessrec__rules_walk(b, from, end, order + 1)) return 0;
    }
    return 1;
}

SESSREC_API sessrec_result sessrec_rules_create(const sessrec_rules_config *config, const sessrec_log *log,
                                                sessrec_scorer *out, sessrec_error *err) {
    sessrec__rules_build b;
    if (!out) return sessrec__invalid(err, "out must not be NULL");
    memset(out, 0, sizeof *out);
    sessrec_result result = sessrec__rules_check(config, err);
    if (result) return result;
    const sessrec_allocator memory = sessrec__allocator(&config->allocator);
    memset(&b, 0, sizeof b);
    b.config = config;
    b.view = sessrec_log_contents(log);
    b.order = config->kind == SESSREC_RULES_MARKOV ? config->order : 1;
    b.most = config->most < b.view.item_count ? config->most : b.view.item_count;
    if (b.view.event_count > INT64_C(4000000000))
        return sessrec_error_set(err, SESSREC_TOO_LARGE,
                                 "rules can be made from at most 4,000,000,000 events");
    sessrec__rules *rules = (sessrec__rules *)sessrec__alloc(&memory, 1, sizeof *rules);
    if (!rules) return sessrec__no_memory(err);
    rules->memory = memory;
    rules->catalog.window = b.order;
    b.rules = rules;
    result = sessrec__catalog_create(log, &memory, &rules->catalog.items, err);
    void *block = result ? NULL : sessrec__layout_block(&memory, sessrec__rules_place, &b);
    if (!result && !(block && sessrec__grow(&memory, (void **)&rules->begins, &b.begins_room, 1, 4)))
        result = sessrec__no_memory(err);
    if (!result) rules->begins[0] = 0;
    if (!result && !sessrec__rules_walk(&b, 0, sessrec__rules_sort(&b), 1)) result = sessrec__no_memory(err);
    sessrec__free(&memory, block);
    if (result) sessrec__rules_destroy(rules);
    else sessrec__rules_wire(rules, out);
    return result;
}

// ---- popularity ----
// pop_i = supp_i / (1 + supp_i), below 1. Rounded to float, supports from about 4096 on would coincide, and
// all items of a large shop would tie at 1. So, from the most popular item down, each value is at most the
// next float below the previous one.

typedef struct sessrec__pop {
    sessrec__catalog catalog;
    sessrec_allocator memory;
    float *scores;  // [items]
} sessrec__pop;

static void sessrec__pop_destroy(void *self) {
    sessrec__pop *pop = (sessrec__pop *)self;
    sessrec_model_destroy(pop->catalog.items);
    sessrec__free(&pop->memory, pop->scores);
    sessrec__free(&pop->memory, pop);
}

static void sessrec__pop_begin(const void *self, void *state, const void *user, double time) {
    (void)self, (void)state, (void)user, (void)time;
}

static void sessrec__pop_click(const void *self, int32_t rows, void *states, const int32_t *items,
                               const double *times, void *scratch) {
    (void)self, (void)rows, (void)states, (void)items, (void)times, (void)scratch;
}

static void sessrec__pop_score(const void *self, int32_t rows, const void *states, int32_t first,
                               int32_t count, float *scores, void *scratch) {
    (void)states, (void)scratch;
    for (int32_t r = 0; r < rows; ++r, scores += count)
        memcpy(scores, ((const sessrec__pop *)self)->scores + first, (size_t)count * sizeof *scores);
}

// The scores of items in ascending order of less[i] = -supp_i.
static void sessrec__pop_values(const double *less, const int32_t *item, int32_t items, float *score) {
    float value = 1;
    for (int32_t i = 0; i < items; ++i) {
        const float highest = nextafterf(value, 0), quotient = (float)(less[i] / (less[i] - 1));
        if (!i || less[i - 1] < less[i]) value = quotient < highest ? quotient : highest;
        score[item[i]] = value;
    }
}

SESSREC_API sessrec_result sessrec_scorer_pop(const sessrec_log *log, const sessrec_allocator *allocator,
                                              sessrec_scorer *out, sessrec_error *err) {
    if (out) memset(out, 0, sizeof *out);
    if (!out || !log) return sessrec__null(err);
    const sessrec_allocator memory = sessrec__allocator(allocator);
    sessrec__pop *pop = (sessrec__pop *)sessrec__alloc(&memory, 1, sizeof *pop);
    if (!pop) return sessrec__no_memory(err);
    pop->memory = memory;
    sessrec_result result = sessrec__catalog_create(log, &memory, &pop->catalog.items, err);
    const int32_t V = result ? 0 : pop->catalog.items->info.item_count;
    pop->scores = (float *)sessrec__alloc(&memory, (uint64_t)V, sizeof *pop->scores);
    double *less = (double *)sessrec__alloc(&memory, (uint64_t)V, sizeof *less + sizeof(int32_t));
    int32_t *item = less ? (int32_t *)(void *)(less + V) : NULL;
    if (!result && !(less && pop->scores)) result = sessrec__no_memory(err);
    for (int32_t i = 0; i < V && !result; ++i) {
        less[i] = -(double)pop->catalog.items->support[i];
        item[i] = i;
    }
    if (!result) result = sessrec__sort_by_time(&memory, less, item, V);
    if (result) {
        sessrec__pop_destroy(pop);
    } else {
        sessrec__pop_values(less, item, V, pop->scores);
        sessrec__scorer_fill(&pop->catalog, out);
        out->state_bytes = 0;
        out->begin = sessrec__pop_begin;
        out->click = sessrec__pop_click;
        out->valid = NULL;
        out->score = sessrec__pop_score;
        out->destroy = sessrec__pop_destroy;
    }
    sessrec__free(&memory, less);
    return result ? sessrec_error_set(err, result, NULL) : SESSREC_OK;
}

#endif // SESSREC_NO_TRAINING

// ===========================================================================================================
// >>platform   clocks and processors
// ===========================================================================================================
#ifndef SESSREC_NO_TRAINING

// Seconds since some moment, only for durations: no result depends on them. Under -std=c99 Linux has the
// monotonic clock but does not declare it.
#if defined(CLOCK_MONOTONIC) && !(defined(__wasi__) && defined(__STRICT_ANSI__))  // there it is not declared
#  define SESSREC__CLOCK CLOCK_MONOTONIC
#elif defined(__linux__) && (defined(__LP64__) || (defined(__GLIBC__) && !defined(__USE_TIME_BITS64)))
extern int clock_gettime(int clock, struct timespec *now);
#  define SESSREC__CLOCK 1
#endif
static double sessrec__now(void) {
#if defined(SESSREC__WINDOWS)
    LARGE_INTEGER ticks, frequency;
    QueryPerformanceCounter(&ticks);
    QueryPerformanceFrequency(&frequency);
    return (double)ticks.QuadPart / (double)frequency.QuadPart;
#elif defined(SESSREC__CLOCK)
    struct timespec now;
    clock_gettime(SESSREC__CLOCK, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
#elif defined(SESSREC__POSIX)
    struct timeval now;
    gettimeofday(&now, NULL);
    return (double)now.tv_sec + 1e-6 * (double)now.tv_usec;
#else
    return 0.0;
#endif
}

#ifdef __linux__
// The text of a small file; empty if there is none.
static void sessrec__read_small(const char *path, char *text, size_t size) {
    const int file = open(path, O_RDONLY);
    if (file >= 0) (void)fcntl(file, F_SETFD, FD_CLOEXEC);
    const ssize_t got = file >= 0 ? read(file, text, size - 1) : 0;
    text[got > 0 ? got : 0] = 0;
    if (file >= 0) close(file);
}

// A control group's quota in processors: "quota period" of cpu.max, or the two files of version 1. 0: no
// limit.
static int64_t sessrec__group_quota(const char *folder, size_t length, int version) {
    char path[1024], text[64], *end = text;
    const char *name = version == 1 ? "/cpu.cfs_quota_us" : "/cpu.max";
    size_t used = 0;
    sessrec__append(path, sizeof path, &used, folder, length);
    sessrec__append(path, sizeof path, &used, name, strlen(name));
    sessrec__read_small(path, text, sizeof text);
    const long quota = strtol(text, &end, 10);
    if (version == 1) {
        used = length;
        sessrec__append(path, sizeof path, &used, "/cpu.cfs_period_us", 18);
        sessrec__read_small(path, text, sizeof text);
        end = text;
    }
    const long period = strtol(end, NULL, 10);
    return quota <= 0 || period <= 0 ? 0 : quota < period ? 1 : quota / period;
}

// The smallest quota of this process' control groups and those above them, at most `count`. `groups` is
// /proc/self/cgroup: lines "number:controllers:path", of version 2 "0::path". In a container the path may be
// the host's, and the topmost folder the container's own.
static int32_t sessrec__quota(const char *groups, const char *mount, int32_t count) {
    char text[2048], path[1024];
    sessrec__read_small(groups, text, sizeof text);
    for (char *line = text, *next; *line; line = next) {
        char *controllers = strchr(line, ':'), *group = controllers ? strchr(controllers + 1, ':') : NULL;
        next = line + strcspn(line, "\n");
        if (*next) *next++ = 0;
        if (!group || group >= next) continue;
        *group++ = 0;
        int version = controllers[1] ? 0 : 2;
        for (const char *at = controllers; at && !version; at = strchr(at + 1, ','))
            version = !strncmp(at + 1, "cpu", 3) && (!at[4] || at[4] == ',');
        if (!version) continue;
        size_t used = 0;
        sessrec__append(path, sizeof path, &used, mount, strlen(mount));
        if (version == 1) sessrec__append(path, sizeof path, &used, "/cpu", 4);
        const size_t top = used;
        sessrec__append(path, sizeof path, &used, group, strlen(group));
        for (; used >= top; --used) {  // the group, then those above it
            if (used > top && path[used] && path[used] != '/') continue;
            const int64_t quota = sessrec__group_quota(path, used, version);
            if (quota && quota < count) count = (int32_t)quota;
        }
    }
    return count;
}

#  ifndef CPU_SETSIZE  // under -std=c99 it is not declared
extern int sched_getaffinity(pid_t process, size_t size, unsigned long *mask);
#    define SESSREC__MASK(mask) mask
#  else
#    define SESSREC__MASK(mask) (cpu_set_t *)(void *)mask
#  endif
#endif // __linux__

SESSREC_API int32_t sessrec_processor_count(void) {
    int64_t count = 0;
#if defined(SESSREC__WINDOWS)
    DWORD_PTR mine = 0, all = 0;
    for (GetProcessAffinityMask(GetCurrentProcess(), &mine, &all); mine; mine &= mine - 1) ++count;
    if (!count) {  // the process runs in several groups of processors
        SYSTEM_INFO info;
        GetSystemInfo(&info);
        count = (int64_t)info.dwNumberOfProcessors;
    }
#elif defined(__linux__)
    unsigned long mask[128];
    memset(mask, 0, sizeof mask);
    if (sched_getaffinity(0, sizeof mask, SESSREC__MASK(mask)) >= 0)
        for (size_t i = 0; i < sizeof mask / sizeof *mask; ++i)
            for (unsigned long rest = mask[i]; rest; rest &= rest - 1) ++count;
#endif
#if defined(SESSREC__POSIX) && defined(_SC_NPROCESSORS_ONLN)
    if (!count) count = (int64_t)sysconf(_SC_NPROCESSORS_ONLN);
#endif
    count = count < 1 ? 1 : count < 65536 ? count : 65536;
#ifdef __linux__
    count = sessrec__quota("/proc/self/cgroup", "/sys/fs/cgroup", (int32_t)count);
#endif
    return (int32_t)count;
}

#endif // SESSREC_NO_TRAINING

// ===========================================================================================================
// >>errors   one sentence for the user, one code for the program
// ===========================================================================================================

#define SESSREC__TEXT2(x) #x
#define SESSREC__TEXT(x) SESSREC__TEXT2(x)
SESSREC_API const char *sessrec_version(void) {
    return SESSREC__TEXT(SESSREC_VERSION_MAJOR) "." SESSREC__TEXT(SESSREC_VERSION_MINOR) "." SESSREC__TEXT(
        SESSREC_VERSION_PATCH);
}

SESSREC_API const char *sessrec_result_text(sessrec_result result) {
    switch (result) {
    case SESSREC_OK: return "ok";
    case SESSREC_INVALID_ARGUMENT: return "an argument is invalid";
    case SESSREC_OUT_OF_MEMORY: return "out of memory";
    case SESSREC_IO_ERROR: return "a file could not be read or written";
    case SESSREC_BAD_LOG: return "the click log has a row that cannot be read";
    case SESSREC_BAD_FILE: return "the file is damaged or of another kind";
    case SESSREC_UNSUPPORTED: return "this build does not support it";
    case SESSREC_TOO_LARGE: return "a size is over the library's limit";
    case SESSREC_DIVERGED: return "the loss became NaN or infinite";
    case SESSREC_STOPPED: return "stopped by a callback";
    case SESSREC_NO_DATA: return "there is nothing to learn from";
    case SESSREC_NO_FILE: return "there is no such file";
    case SESSREC_DEVICE_ERROR: return "the GPU failed";
    case SESSREC_MISMATCH: return "these two do not belong together";
    }
    return "unknown result";
}

// Appends to text [size] at *used, never past its end; the text is always terminated.
static void sessrec__append(char *text, size_t size, size_t *used, const char *piece, size_t length) {
    for (size_t i = 0; i < length && *used + 1 < size; ++i) text[(*used)++] = piece[i];
    text[*used] = 0;
}

// Writes value in decimal to the end of buffer [24]; returns where it begins. snprintf would need stdio.
static char *sessrec__decimal(int64_t value, char buffer[24]) {
    uint64_t rest = value < 0 ? 0u - (uint64_t)value : (uint64_t)value;
    char *at = buffer + 23;
    *at = 0;
    do {
        *--at = (char)('0' + (int)(rest % 10));
        rest /= 10;
    } while (rest);
    if (value < 0) *--at = '-';
    return at;
}

// The integer that sessrec__decimal writes as this text; INT64_MIN if there is none, or no text.
static int64_t sessrec__id_number(const char *text) {
    char digits[24];
    uint64_t number = 0;
    const int negative = text && *text == '-';
    for (const char *at = text; at && *at && number < UINT64_MAX / 10 - 1; ++at)
        if (at > text || !negative) number = number * 10 + (uint64_t)(unsigned char)*at - '0';
    const int64_t value = (int64_t)(negative ? 0 - number : number);
    return text && !strcmp(sessrec__decimal(value, digits), text) ? value : INT64_MIN;
}

// Fills in err (if there is one) and returns code, so that a failing function ends in one statement. format
// knows only %s (const char *) and %d (int64_t).
SESSREC__SENTENCE sessrec_result sessrec__fail(sessrec_error *err, sessrec_result code, int64_t line,
                                               const char *format, ...) {
#ifdef SESSREC_TINY  // no sentences
    (void)err, (void)line, (void)format;
#else
    if (!err) return code;
    va_list arguments;
    va_start(arguments, format);
    size_t used = 0;
    char digits[24];
    err->code = code;
    err->line = line;
    for (const char *at = format; *at; ++at) {
        const char *piece = at;
        if (*at == '%')
            piece = *++at == 's' ? va_arg(arguments, const char *)
                                 : sessrec__decimal(va_arg(arguments, int64_t), digits);
        sessrec__append(err->text, sizeof err->text, &used, piece, piece == at ? 1 : strlen(piece));
    }
    va_end(arguments);
#endif
    return code;
}

SESSREC_API sessrec_result sessrec_error_set(sessrec_error *err, sessrec_result code, const char *text) {
    return sessrec__fail(err, code, 0, "%s", text ? text : sessrec_result_text(code));
}

static sessrec_result sessrec__invalid(sessrec_error *err, const char *text) {
    return sessrec_error_set(err, SESSREC_INVALID_ARGUMENT, text);
}

static sessrec_result sessrec__in_range(sessrec_error *err, const char *name, int64_t value, int64_t least,
                                        int64_t most) {
    if (value >= least && value <= most) return SESSREC_OK;
    return sessrec__fail(err, SESSREC_INVALID_ARGUMENT, 0, "%s is %d, it must be %d to %d", name, value,
                         least, most);
}

static sessrec_result sessrec__no_memory(sessrec_error *err) {
    return sessrec_error_set(err, SESSREC_OUT_OF_MEMORY, "out of memory");
}

static sessrec_result sessrec__null(sessrec_error *err) {
    return sessrec__invalid(err, "a required argument is NULL");
}

// ===========================================================================================================
// >>memory   one block an object, every size checked
// ===========================================================================================================

// The three operations for sizes. Each returns 0 if the result does not fit, and then leaves *out unchanged.
SESSREC__INLINE int sessrec__mul(uint64_t a, uint64_t b, uint64_t *out) {
    if (a && b > UINT64_MAX / a) return 0;
    *out = a * b;
    return 1;
}
SESSREC__INLINE int sessrec__add(uint64_t a, uint64_t b, uint64_t *out) {
    if (b > UINT64_MAX - a) return 0;
    *out = a + b;
    return 1;
}
SESSREC__INLINE int sessrec__align64(uint64_t a, uint64_t *out) {
    const int fits = sessrec__add(a, 63, &a);
    if (fits) *out = a & ~(uint64_t)63;
    return fits;
}

static void *sessrec__malloc(void *user, size_t bytes) {
    (void)user;
    (void)bytes;  // a program without memory defines SESSREC_MALLOC as ((void *)0)
#ifdef SESSREC_MALLOC
    return SESSREC_MALLOC(bytes);
#else
    return malloc(bytes);
#endif
}
static void sessrec__mfree(void *user, void *block) {
    (void)user;
#ifdef SESSREC_FREE
    SESSREC_FREE(block);
#else
    free(block);
#endif
}
// A step touches rows all over a table. With pages of 2 MB the processor finds most of them without reading
// its page tables, which saves a tenth of a step with 37,000 items. What is filled from front to back gains
// nothing, and the system clears such pages slowly: see sessrec__log_new. A strict C99 build does not get
// them, because <sys/mman.h> hides the name from it.
static void *sessrec__malloc_large(void *user, size_t bytes) {
#if defined(MADV_HUGEPAGE) && !defined(SESSREC_MALLOC)
    const size_t page = (size_t)1 << 21;
    void *block = NULL;
    if (bytes >= page) {
        if (posix_memalign(&block, page, bytes)) return NULL;
        (void)madvise(block, bytes & ~(page - 1), MADV_HUGEPAGE);
        return block;
    }
#endif
    return sessrec__malloc(user, bytes);
}

// The allocator to store in an object: the caller's, or malloc.
static sessrec_allocator sessrec__allocator(const sessrec_allocator *given) {
    const sessrec_allocator own = {sessrec__malloc_large, sessrec__mfree, NULL};
    return given && given->alloc && given->free ? *given : own;
}

// count * size bytes, 64-byte aligned; NULL if there is no memory or the product overflows. The allocator's
// address is stored before the block.
static void *sessrec__alloc_unset(const sessrec_allocator *memory, uint64_t count, uint64_t size) {
    uint64_t bytes, total;
    if (!sessrec__mul(count, size, &bytes) || !sessrec__add(bytes, 64 + sizeof(void *), &total) ||
        total > SIZE_MAX / 2)
        return NULL;
    char *given = (char *)memory->alloc(memory->user, (size_t)total);
    if (!given) return NULL;
    // <= given + 63 + sizeof(void *)
    char *block = (char *)(((uintptr_t)given + sizeof(void *) + 63) & ~(uintptr_t)63);
    memcpy(block - sizeof(void *), &given, sizeof given);
    return block;
}

// The same, zeroed.
static void *sessrec__alloc(const sessrec_allocator *memory, uint64_t count, uint64_t size) {
    void *block = sessrec__alloc_unset(memory, count, size);
    if (block) memset(block, 0, (size_t)(count * size));
    return block;
}

// The allocator may be in the block itself.
static void sessrec__free(const sessrec_allocator *memory, void *block) {
    void *given;
    if (!block) return;
    memcpy(&given, (char *)block - sizeof(void *), sizeof given);
    (memory->free)(memory->user, given);
}

// Makes room for `needed` elements in a growing array: at least doubles. *capacity counts elements; new ones
// hold anything. Returns 0 without memory; the array is then as it was.
static SESSREC__UNUSED int sessrec__grow(const sessrec_allocator *memory, void **array, int64_t *capacity,
                                         int64_t needed, size_t size) {
    if (needed <= *capacity) return 1;
    int64_t larger = *capacity < 32 ? 64 : *capacity > INT64_MAX / 2 ? needed : *capacity * 2;
    if (larger < needed) larger = needed;
    void *moved = sessrec__alloc_unset(memory, (uint64_t)larger, size);
    if (!moved) return 0;
    if (*array) memcpy(moved, *array, (size_t)*capacity * size);
    sessrec__free(memory, *array);
    *array = moved;
    *capacity = larger;
    return 1;
}

static void *sessrec__place(sessrec__layout *layout, uint64_t count, uint64_t size) {
    uint64_t bytes, at = layout->size, end;
    if (!sessrec__mul(count, size, &bytes) || !sessrec__add(at, bytes, &end) ||
        !sessrec__align64(end, &end) || end > SIZE_MAX / 2) {
        layout->overflow = 1;
        return NULL;
    }
    layout->size = end;
    return layout->base ? layout->base + at : NULL;
}

// Runs such a function twice. Returns the block, zeroed, or NULL without memory.
static SESSREC__UNUSED void *sessrec__layout_block(const sessrec_allocator *memory,
                                                   void (*place)(void *object, sessrec__layout *layout),
                                                   void *object) {
    sessrec__layout layout = {NULL, 0, 0};
    place(object, &layout);
    layout.base = layout.overflow ? NULL : (char *)sessrec__alloc(memory, layout.size, 1);
    layout.size = 0;
    if (layout.base) place(object, &layout);
    return layout.base;
}

// ===========================================================================================================
// >>hash   texts, eight bytes at a time
// ===========================================================================================================

#define SESSREC__EACH_BYTE 0x0101010101010101u

SESSREC__INLINE uint64_t sessrec__swap_word(uint64_t word) {
    word = (word & 0x00ff00ff00ff00ffu) << 8 | (word >> 8 & 0x00ff00ff00ff00ffu);
    word = (word & 0x0000ffff0000ffffu) << 16 | (word >> 16 & 0x0000ffff0000ffffu);
    return word << 32 | word >> 32;
}

// Eight bytes, the first at the low end on any processor.
SESSREC__INLINE uint64_t sessrec__load_word(const char *at) {
    uint64_t word;
    memcpy(&word, at, 8);
    return SESSREC__BIG_ENDIAN ? sessrec__swap_word(word) : word;
}

// The number of the lowest bit that is set.
SESSREC__INLINE int sessrec__first_bit(uint64_t bits) {
#if defined(__GNUC__) || defined(__clang__)
    return __builtin_ctzll(bits);
#else
    uint64_t below = (bits & (0 - bits)) - 1;  // its ones are counted in pairs, fours and bytes
    below -= below >> 1 & 0x5555555555555555u;
    below = (below & 0x3333333333333333u) + (below >> 2 & 0x3333333333333333u);
    return (int)(((below + (below >> 4)) & 15 * SESSREC__EACH_BYTE) * SESSREC__EACH_BYTE >> 56);
#endif
}

// Texts are hashed, compared and copied eight bytes at a time. The 8 bytes after a text must be readable,
// whatever they are. A text's last word has 1 to 8 of its bytes, and zeros.
SESSREC__INLINE uint64_t sessrec__last_word(const char *at, size_t size) {
    return sessrec__load_word(at) & ~(uint64_t)0 >> (64 - 8 * size);
}

// The hash of a text with at least one byte and no NUL. Each step folds a 128-bit product.
SESSREC__INLINE uint64_t sessrec__hash(uint64_t key, const char *at, size_t size) {
    const uint64_t factor = 0x9e3779b97f4a7c15u;
    for (; size > 8; size -= 8, at += 8) {
        key ^= sessrec__load_word(at);
        key = key * factor ^ sessrec__mulhi(key, factor);
    }
    key ^= sessrec__last_word(at, size);
    return key * factor ^ sessrec__mulhi(key, factor);
}

SESSREC__INLINE int sessrec__same_text(const char *a, const char *b, size_t size) {
    for (; size > 8; size -= 8, a += 8, b += 8)
        if (sessrec__load_word(a) != sessrec__load_word(b)) return 0;
    return sessrec__last_word(a, size) == sessrec__last_word(b, size);
}

// Orders two ids by their bytes, as strcmp does, for texts that need no terminator.
static SESSREC__UNUSED int sessrec__compare_text(const char *a, size_t a_size, const char *b, size_t b_size) {
    int order = memcmp(a, b, a_size < b_size ? a_size : b_size);
    return order ? order : (a_size > b_size) - (a_size < b_size);
}

// ===========================================================================================================
// >>ids   ids as the log held them, and their dense numbers
// An open-addressing table (linear probing, at most three quarters full) over one blob of terminated texts.
// ===========================================================================================================
#ifndef SESSREC_NO_TRAINING

// key 0: another one in every run, as far as addresses or the clock differ.
static void sessrec__ids_init(sessrec__ids *ids, const sessrec_allocator *given, uint64_t key) {
    const sessrec_allocator memory = *given;  // which may be the table's own
    const double now = sessrec__now();
    memset(ids, 0, sizeof *ids);
    ids->memory = memory;
    memcpy(&ids->key, &now, sizeof now);
    ids->key = key ? key : sessrec__mix(ids->key ^ sessrec__mix((uint64_t)(uintptr_t)ids));
}

static void sessrec__ids_forget_slots(sessrec__ids *ids) {
    sessrec__free(&ids->memory, ids->slot);
    ids->slot = NULL;
    ids->slots = 0;
}

static void sessrec__ids_free(sessrec__ids *ids) {
    sessrec__free(&ids->memory, ids->blob);
    sessrec__free(&ids->memory, ids->offset);
    sessrec__ids_forget_slots(ids);
    sessrec__ids_init(ids, &ids->memory, ids->key);
}

SESSREC__INLINE const char *sessrec__ids_text(const sessrec__ids *ids, int32_t index) {
    return ids->blob + ids->offset[index];
}

// A text ends with a NUL, and may have some inside: see sessrec__flush.
SESSREC__INLINE size_t sessrec__ids_size(const sessrec__ids *ids, int32_t index) {
    return (size_t)((index + 1 < ids->count ? ids->offset[index + 1] : ids->blob_used) -
                    ids->offset[index]) - 1;
}

SESSREC__INLINE uint32_t sessrec__ids_hash(const sessrec__ids *ids, const char *text, size_t size) {
    return (uint32_t)sessrec__hash(ids->key, text, size);
}

// The slot that holds the text, or the empty one where it belongs.
SESSREC__INLINE sessrec__slot *sessrec__ids_slot(const sessrec__ids *ids, const char *text, size_t size,
                                                 uint32_t hash) {
    const uint32_t mask = (uint32_t)(ids->slots - 1);  // slots <= 2^32: less than 2^31 ids
    uint32_t at = hash & mask;
    for (; ids->slot[at].number; at = (at + 1) & mask) {  // ends: the table is never full
        if (ids->slot[at].hash != hash) continue;
        const int32_t known = ids->slot[at].number - 1;
        if (sessrec__ids_size(ids, known) == size &&
            sessrec__same_text(sessrec__ids_text(ids, known), text, size))
            break;
    }
    return &ids->slot[at];
}

// Copies a text to where the bytes after it can be read.
static const char *sessrec__padded(char padded[SESSREC_MAX_ID + 9], const char *text, size_t size) {
    memcpy(padded, text, size);
    memset(padded + size, 0, 8);
    return padded;
}

static int32_t sessrec__ids_find(const sessrec__ids *ids, const char *text, size_t size) {
    char padded[SESSREC_MAX_ID + 9];
    if (!ids->slots || !size || size > SESSREC_MAX_ID) return -1;
    text = sessrec__padded(padded, text, size);
    return sessrec__ids_slot(ids, text, size, sessrec__ids_hash(ids, text, size))->number - 1;
}

static void sessrec__ids_place(sessrec__ids *ids, uint32_t hash, int32_t number) {
    const uint32_t mask = (uint32_t)(ids->slots - 1);
    uint32_t at = hash & mask;
    while (ids->slot[at].number) at = (at + 1) & mask;
    ids->slot[at].hash = hash;
    ids->slot[at].number = number;
}

// Makes room for `more` ids of `bytes` in total, with their NULs. SESSREC_MAX_ID + 1 bytes after the last
// text can be read and written.
static sessrec_result sessrec__ids_room(sessrec__ids *ids, int64_t more, int64_t bytes) {
    return sessrec__grow(&ids->memory, (void **)&ids->offset, &ids->offset_capacity, ids->count + more,
                         sizeof *ids->offset) &&
                   sessrec__grow(&ids->memory, (void **)&ids->blob, &ids->blob_capacity,
                                 ids->blob_used + bytes + SESSREC_MAX_ID + 1, 1)
               ? SESSREC_OK
               : SESSREC_OUT_OF_MEMORY;
}

// The same, and slots; the calls of intern then allocate nothing. Slots are made for all ids: those that were
// only pushed are found from then on.
static sessrec_result sessrec__ids_reserve(sessrec__ids *ids, int64_t more, int64_t bytes) {
    int64_t slots = ids->slots ? ids->slots : 256;
    if (sessrec__ids_room(ids, more, bytes)) return SESSREC_OUT_OF_MEMORY;
    while (3 * slots < 4 * (ids->count + more)) slots *= 2;
    if (slots == ids->slots) return SESSREC_OK;
    sessrec__slot *old = ids->slot;
    const int64_t old_slots = ids->slots;
    sessrec__slot *fresh = (sessrec__slot *)sessrec__alloc(&ids->memory, (uint64_t)slots, sizeof *fresh);
    if (!fresh) return SESSREC_OUT_OF_MEMORY;
    ids->slot = fresh;
    ids->slots = slots;
    for (int64_t i = 0; i < old_slots; ++i)
        if (old[i].number) sessrec__ids_place(ids, old[i].hash, old[i].number);
    for (int32_t i = 0; i < ids->count && !old_slots; ++i) {
        const char *text = sessrec__ids_text(ids, i);
        sessrec__ids_place(ids, sessrec__ids_hash(ids, text, sessrec__ids_size(ids, i)), i + 1);
    }
    sessrec__free(&ids->memory, old);
    return SESSREC_OK;
}

// Adds a text for which there is room in blob and offset.
SESSREC__INLINE sessrec_result sessrec__ids_push(sessrec__ids *ids, const char *text, size_t size) {
    if (ids->count == INT32_MAX - 1 || ids->blob_used > (int64_t)UINT32_MAX - 2 * SESSREC_MAX_ID)
        return SESSREC_TOO_LARGE;
    char *to = ids->blob + ids->blob_used;
    for (size_t i = 0; i < size; i += 8) memcpy(to + i, text + i, 8);
    to[size] = 0;
    ids->offset[ids->count++] = (uint32_t)ids->blob_used;
    ids->blob_used += (int64_t)size + 1;
    return SESSREC_OK;
}

// The number of a text with that hash, assigned at first sight, in a table that has room for it.
SESSREC__INLINE sessrec_result sessrec__ids_intern_hashed(sessrec__ids *ids, const char *text, size_t size,
                                                          uint32_t hash, int32_t *out) {
    sessrec__slot *slot = sessrec__ids_slot(ids, text, size, hash);
    if (!slot->number) {
        const sessrec_result result = sessrec__ids_push(ids, text, size);
        if (result) return result;
        slot->hash = hash;
        slot->number = ids->count;
    }
    *out = slot->number - 1;
    return SESSREC_OK;
}

// The same in any table. Texts have no NUL inside and at most SESSREC_MAX_ID bytes (the caller checks).
static sessrec_result sessrec__ids_intern(sessrec__ids *ids, const char *text, size_t size, int32_t *out) {
    char padded[SESSREC_MAX_ID + 9];
    const sessrec_result result = sessrec__ids_reserve(ids, 1, (int64_t)size + 1);
    text = sessrec__padded(padded, text, size);
    return result ? result
                  : sessrec__ids_intern_hashed(ids, text, size, sessrec__ids_hash(ids, text, size), out);
}

#endif // SESSREC_NO_TRAINING

// ===========================================================================================================
// >>threads   run count tasks, return when all are done
// Task i always has the same work, whoever runs it, so results do not depend on the number of threads. Thread
// t starts with task t, whose memory may still be in its cache, and continues with any task that nobody has
// started, so a thread that the system does not run delays nothing. Workers spin for some microseconds before
// they sleep, because a training step has six regions and takes less than a millisecond.
// ===========================================================================================================
#ifndef SESSREC_NO_TRAINING

#ifndef SESSREC_NO_THREADS
#  if defined(_MSC_VER) && !defined(__clang__)
SESSREC__INLINE int32_t sessrec__read_shared(int32_t *shared) {
    return (int32_t)InterlockedCompareExchange((volatile LONG *)shared, 0, 0);
}
SESSREC__INLINE void sessrec__write_shared(int32_t *shared, int32_t value) {
    InterlockedExchange((volatile LONG *)shared, (LONG)value);
}
// Each returns what was there before.
SESSREC__INLINE int32_t sessrec__add_shared(int32_t *shared, int32_t value) {
    return (int32_t)InterlockedExchangeAdd((volatile LONG *)shared, (LONG)value);
}
SESSREC__INLINE int32_t sessrec__and_shared(int32_t *shared, int32_t value) {
    return (int32_t)InterlockedAnd((volatile LONG *)shared, (LONG)value);
}
SESSREC__INLINE void sessrec__pause(void) { YieldProcessor(); }
#  else
SESSREC__INLINE int32_t sessrec__read_shared(int32_t *shared) {
    return __atomic_load_n(shared, __ATOMIC_SEQ_CST);
}
// An exchange, because emulators of AArch64 on x86 let a load overtake a plain store. On x86 it is the same
// instruction.
SESSREC__INLINE void sessrec__write_shared(int32_t *shared, int32_t value) {
    (void)__atomic_exchange_n(shared, value, __ATOMIC_SEQ_CST);
}
// Each returns what was there before.
SESSREC__INLINE int32_t sessrec__add_shared(int32_t *shared, int32_t value) {
    return __atomic_fetch_add(shared, value, __ATOMIC_SEQ_CST);
}
SESSREC__INLINE int32_t sessrec__and_shared(int32_t *shared, int32_t value) {
    return __atomic_fetch_and(shared, value, __ATOMIC_SEQ_CST);
}
SESSREC__INLINE void sessrec__pause(void) {
#    ifdef SESSREC__X86
    _mm_pause();
#    endif
}
#  endif
#  ifdef SESSREC__WINDOWS
#    define SESSREC__THREAD_MAIN static DWORD WINAPI
#        define SESSREC__START(thread, main, argument)                                                       \
          ((*(thread) = CreateThread(NULL, 0, main, argument, 0, NULL)) != NULL)
SESSREC__INLINE void sessrec__join_thread(HANDLE thread) {
    WaitForSingleObject(thread, INFINITE), CloseHandle(thread);
}
SESSREC__INLINE void sessrec__make_lock(sessrec__lock *lock) { InitializeCriticalSection(lock); }
SESSREC__INLINE void sessrec__end_lock(sessrec__lock *lock) { DeleteCriticalSection(lock); }
SESSREC__INLINE void sessrec__take_lock(sessrec__lock *lock) { EnterCriticalSection(lock); }
SESSREC__INLINE void sessrec__leave_lock(sessrec__lock *lock) { LeaveCriticalSection(lock); }
SESSREC__INLINE void sessrec__make_bell(sessrec__bell *bell) { InitializeConditionVariable(bell); }
SESSREC__INLINE void sessrec__end_bell(sessrec__bell *bell) { (void)bell; }
SESSREC__INLINE void sessrec__sleep(sessrec__bell *bell, sessrec__lock *lock) {
    SleepConditionVariableCS(bell, lock, INFINITE);
}
SESSREC__INLINE void sessrec__ring(sessrec__bell *bell) { WakeConditionVariable(bell); }
SESSREC__INLINE void sessrec__yield(void) { SwitchToThread(); }
#  else
#    define SESSREC__THREAD_MAIN static void *
#    define SESSREC__START(thread, main, argument) (pthread_create(thread, NULL, main, argument) == 0)
SESSREC__INLINE void sessrec__join_thread(pthread_t thread) { pthread_join(thread, NULL); }
SESSREC__INLINE void sessrec__make_lock(sessrec__lock *lock) { pthread_mutex_init(lock, NULL); }
SESSREC__INLINE void sessrec__end_lock(sessrec__lock *lock) { pthread_mutex_destroy(lock); }
SESSREC__INLINE void sessrec__take_lock(sessrec__lock *lock) { pthread_mutex_lock(lock); }
SESSREC__INLINE void sessrec__leave_lock(sessrec__lock *lock) { pthread_mutex_unlock(lock); }
SESSREC__INLINE void sessrec__make_bell(sessrec__bell *bell) { pthread_cond_init(bell, NULL); }
SESSREC__INLINE void sessrec__end_bell(sessrec__bell *bell) { pthread_cond_destroy(bell); }
SESSREC__INLINE void sessrec__sleep(sessrec__bell *bell, sessrec__lock *lock) {
    pthread_cond_wait(bell, lock);
}
SESSREC__INLINE void sessrec__ring(sessrec__bell *bell) { pthread_cond_signal(bell); }
SESSREC__INLINE void sessrec__yield(void) { sched_yield(); }
#  endif

#endif

#ifndef SESSREC_NO_THREADS

// Claims an open task for a thread, its own first; -1: there is none for it. Between the look and the claim
// the region may have ended and another begun; the claimed task then belongs to that one, which is just as
// good.
static int32_t sessrec__pool_claim(sessrec__pool *pool, int32_t number) {
    uint32_t open;
    const int32_t active = sessrec__read_shared(&pool->active);
    while (number < active && (open = (uint32_t)sessrec__read_shared(&pool->open)) != 0) {
        int32_t i = number;
        while (i < SESSREC__MAX_THREADS && !(open >> i & 1)) i += active;
        if (i >= SESSREC__MAX_THREADS)
            for (i = 0; !(open >> i & 1);) ++i;
        if ((uint32_t)sessrec__and_shared(&pool->open, ~(1 << i)) >> i & 1) return i;
    }
    return -1;
}

// Whether a worker has a reason to be awake.
static int sessrec__pool_calls(sessrec__pool *pool, int32_t number) {
    return sessrec__read_shared(&pool->stop) ||
           (sessrec__read_shared(&pool->open) && number < sessrec__read_shared(&pool->active));
}

// The caller opens tasks before it looks for sleepers, and a worker announces its sleep before it looks for
// tasks, so one of them sees the other. The same holds for `done` and `waiting`.
static void sessrec__pool_wait(sessrec__worker *self) {
    sessrec__pool *pool = self->pool;
    for (int32_t spin = 0; spin < SESSREC__SPINS; ++spin) {
        if (sessrec__pool_calls(pool, self->number)) return;
        sessrec__pause();
    }
    sessrec__take_lock(&pool->lock);
    sessrec__write_shared(&self->asleep, 1);
    while (!sessrec__pool_calls(pool, self->number)) sessrec__sleep(&self->bell, &pool->lock);
    sessrec__write_shared(&self->asleep, 0);
    sessrec__leave_lock(&pool->lock);
}

// Bit i of `open` represents the tasks i, i + MAX_THREADS, ...
static void sessrec__pool_do(sessrec__pool *pool, int32_t i) {
    for (int64_t task = i; task < pool->count; task += SESSREC__MAX_THREADS)
        pool->task(pool->context, (int32_t)task);
}

static void sessrec__pool_ring(sessrec__pool *pool, sessrec__bell *bell) {
    sessrec__take_lock(&pool->lock);
    sessrec__ring(bell);
    sessrec__leave_lock(&pool->lock);
}

SESSREC__THREAD_MAIN sessrec__pool_main(void *argument) {
    sessrec__worker *self = (sessrec__worker *)argument;
    sessrec__pool *pool = self->pool;
    while (!sessrec__read_shared(&pool->stop)) {
        const int32_t i = sessrec__pool_claim(pool, self->number);
        if (i < 0) {
            sessrec__pool_wait(self);
            continue;
        }
        sessrec__pool_do(pool, i);
        (void)sessrec__add_shared(&pool->done, 1);
        if (sessrec__read_shared(&pool->waiting)) sessrec__pool_ring(pool, &pool->bell);
    }
    return 0;
}

// A worker that has begun a task may have lost its processor: who sleeps leaves it his own.
static void sessrec__pool_await(sessrec__pool *pool, int32_t done) {
    for (int32_t spin = 0; spin < SESSREC__SPINS + SESSREC__YIELDS; ++spin) {
        if (sessrec__read_shared(&pool->done) == done) return;
        if (spin < SESSREC__SPINS) sessrec__pause();
        else sessrec__yield();
    }
    sessrec__take_lock(&pool->lock);
    sessrec__write_shared(&pool->waiting, 1);
    while (sessrec__read_shared(&pool->done) != done) sessrec__sleep(&pool->bell, &pool->lock);
    sessrec__write_shared(&pool->waiting, 0);
    sessrec__leave_lock(&pool->lock);
}

#endif // SESSREC_NO_THREADS

#ifndef SESSREC__MOST_THREADS  // a test may want more
#  define SESSREC__MOST_THREADS sessrec_processor_count()
#endif
// How many threads a configuration asks for. The library starts no more than there are processors, because
// more would only take turns.
static int32_t sessrec__pool_threads(int32_t asked, const sessrec_jobs *jobs) {
    if (asked <= 0 || (!jobs->run && asked > SESSREC__MOST_THREADS)) asked = SESSREC__MOST_THREADS;
    return asked < SESSREC__MAX_THREADS ? asked : SESSREC__MAX_THREADS;
}

// If a thread cannot start, fewer are used.
static void sessrec__pool_init(sessrec__pool *pool, int32_t asked, const sessrec_jobs *jobs) {
    const int32_t threads = sessrec__pool_threads(asked, jobs);
    memset(pool, 0, sizeof *pool);
    pool->jobs = *jobs;
    pool->threads = pool->usual = jobs->run ? threads : 1;
    pool->pause = 1;
    if (jobs->run) return;
#ifndef SESSREC_NO_THREADS
    pool->active = threads;
    sessrec__make_lock(&pool->lock);
    sessrec__make_bell(&pool->bell);
    for (; pool->threads < threads; pool->threads++) {
        sessrec__worker *worker = &pool->worker[pool->threads];
        worker->pool = pool;
        worker->number = pool->threads;
        sessrec__make_bell(&worker->bell);
        if (SESSREC__START(&worker->thread, sessrec__pool_main, worker)) continue;
        sessrec__end_bell(&worker->bell);
        break;
    }
    pool->usual = pool->threads;
    sessrec__write_shared(&pool->active, pool->threads);
#endif
}

static void sessrec__pool_free(sessrec__pool *pool) {
#ifndef SESSREC_NO_THREADS
    if (pool->jobs.run || !pool->threads) return;  // own threads were never started
    sessrec__write_shared(&pool->stop, 1);
    for (int32_t i = 1; i < pool->threads; ++i) {
        sessrec__pool_ring(pool, &pool->worker[i].bell);
        sessrec__join_thread(pool->worker[i].thread);
        sessrec__end_bell(&pool->worker[i].bell);
    }
    sessrec__end_bell(&pool->bell);
    sessrec__end_lock(&pool->lock);
#endif
    pool->threads = 0;
}

static void sessrec__pool_run(sessrec__pool *pool, int32_t count, sessrec__task task, void *context) {
    const int32_t threads = pool->trial ? pool->trial : pool->usual;
    if (pool->jobs.run && count > 1) {
        pool->jobs.run(pool->jobs.user, count, task, context);
        return;
    }
    if (threads <= 1 || count <= 1) {
        for (int32_t i = 0; i < count; ++i) task(context, i);
        return;
    }
#ifndef SESSREC_NO_THREADS
    const int32_t bits = count < SESSREC__MAX_THREADS ? count : SESSREC__MAX_THREADS;
    int32_t mine = 0;
    pool->task = task;
    pool->context = context;
    pool->count = count;
    sessrec__write_shared(&pool->done, 0);
    sessrec__write_shared(&pool->open, (int32_t)(((uint32_t)1 << bits) - 1));
    for (int32_t i = 1; i < threads && i < bits; ++i)
        if (sessrec__read_shared(&pool->worker[i].asleep)) sessrec__pool_ring(pool, &pool->worker[i].bell);
    for (int32_t i; (i = sessrec__pool_claim(pool, 0)) >= 0; ++mine) sessrec__pool_do(pool, i);
    sessrec__pool_await(pool, bits - mine);
#endif
}

// Called after each of many similar steps, with its time, to find out how many threads are worth using. If
// the processors are far apart or busy, fewer can be faster. Now and then half or twice as many are tried for
// a window of steps, and kept if they are faster. The more trials have failed, the rarer they become.
static void sessrec__pool_pace(sessrec__pool *pool, double seconds) {
    const int32_t skipped = 2;  // until memory is where the threads are that use it now
    if (pool->jobs.run || pool->threads < 2) return;
    if (++pool->steps > skipped) pool->seconds += seconds;
    const int32_t steps = pool->steps - skipped;
    if (steps < 8 || pool->seconds < 0.02) return;
    const double step = pool->seconds / steps;
    int32_t next = 0;
    if (pool->trial) {
        if (step < 0.97 * pool->usual_step) pool->usual = pool->trial;
        else if (pool->pause < 128) pool->pause *= 2;
        pool->paused = 0;
    } else {
        if (++pool->paused >= pool->pause || step > 1.3 * pool->usual_step) {
            pool->up = !pool->up && pool->usual < pool->threads;
            next = pool->up || pool->usual == 1 ? 2 * pool->usual : pool->usual / 2;
            if (next > pool->threads) next = pool->threads;
        }
        pool->usual_step = step;
    }
    pool->trial = next;
    pool->steps = 0;
    pool->seconds = 0;
#ifndef SESSREC_NO_THREADS
    sessrec__write_shared(&pool->active, next ? next : pool->usual);
#endif
}

#endif // SESSREC_NO_TRAINING

// ===========================================================================================================
// >>vectors   a few operations on a vector of floats, in plain C, NEON, AVX2 and AVX-512
// The kernels below are written once, in two dozen operations on a vector of LANES floats: 1 in plain C, 4 in
// NEON, 8 in AVX2, 16 in AVX-512. To build them this file includes itself once per instruction set; V(fma, a,
// b, c) is then sessrec__plain_fma(a, b, c), sessrec__avx2_fma(a, b, c), and so on. So every path does the
// same operations on each number and gives the same bits. One rule guarantees this: a product that is added
// to something is always an fma. A compiler may or may not fuse a * b + c, but here nothing is left to fuse.
// ===========================================================================================================

// a * b + c, rounded once. Without a fused instruction the product is exact in double, the sum is rounded to
// odd in double, and then the rounding to float is correct (Boldo, Melquiond 2008).
SESSREC__INLINE float sessrec__fma(float a, float b, float c) {
#if defined(SESSREC__DOUBLE)
    return fma(a, b, c);
#elif defined(SESSREC_FMA)
    return SESSREC_FMA(a, b, c);
#elif defined(SESSREC__HAS_FMA)
    return __builtin_fmaf(a, b, c);
#else
    double product = (double)a * (double)b, sum = product + (double)c;
    double virtual_c = sum - product, lost = (product - (sum - virtual_c)) + ((double)c - virtual_c);
    if (lost != 0 && sum - sum == 0) {
        uint64_t bits;
        memcpy(&bits, &sum, sizeof bits);
        if (!(bits & 1)) bits = (lost > 0) == (sum > 0) ? bits + 1 : bits - 1;
        memcpy(&sum, &bits, sizeof bits);
    }
    return (float)sum;
#endif
}

#endif // !SESSREC__SET
#ifdef SESSREC__SET

#define SESSREC__JOIN2(a, b) sessrec__##a##_##b
#define SESSREC__JOIN(a, b) SESSREC__JOIN2(a, b)
#define V(operation, ...) SESSREC__JOIN(SESSREC__SET, operation)(__VA_ARGS__)
#define sessrec__vec SESSREC__VECTOR
// OP defines an operation; OP1 to OP4 one from one to four vectors to a vector.
#define SESSREC__OP(type, name, arguments)                                                                   \
  SESSREC__INLINE SESSREC__TARGET type SESSREC__JOIN(SESSREC__SET, name) arguments
#define SESSREC__OP1(name, value)                                                                            \
  SESSREC__OP(sessrec__vec, name, (sessrec__vec a)) { return value; }
#define SESSREC__OP2(name, value)                                                                            \
  SESSREC__OP(sessrec__vec, name, (sessrec__vec a, sessrec__vec b)) { return value; }
#define SESSREC__OP3(name, value)                                                                            \
  SESSREC__OP(sessrec__vec, name, (sessrec__vec a, sessrec__vec b, sessrec__vec c)) { return value; }
#define SESSREC__OP4(name, value)                                                                            \
  SESSREC__OP(sessrec__vec, name, (sessrec__vec a, sessrec__vec b, sessrec__vec c, sessrec__vec d)) {        \
    return value;                                                                                            \
  }

#if SESSREC__LANES == 1

// ---- plain C: what the operations mean ----

SESSREC__OP(float, all, (float x)) { return x; }
SESSREC__OP(float, load, (const float *p)) { return *p; }
// lanes from n on are 0, and not read
SESSREC__OP(float, load_some, (const float *p, int32_t n)) { return n > 0 ? *p : 0; }
SESSREC__OP(void, store, (float *p, float a)) { *p = a; }
SESSREC__OP(void, store_some, (float *p, float a, int32_t n)) { if (n > 0) *p = a; }
// LANES vectors are the rows of a square matrix
SESSREC__OP(void, transpose, (float *row)) { (void)row; }
// the first four columns of LANES rows
SESSREC__OP(void, load_columns, (const float *x, ptrdiff_t x_row, float *column)) {
    memcpy(column, x, 4 * sizeof *x);
    (void)x_row;
}
SESSREC__OP2(add, a + b)
SESSREC__OP2(sub, a - b)
SESSREC__OP2(mul, a * b)
SESSREC__OP2(div, a / b)
SESSREC__OP3(fma, sessrec__fma(a, b, c))
// of a NaN and another the second, as the processors do
SESSREC__OP2(max, a > b ? a : b)
SESSREC__OP2(min, a < b ? a : b)
SESSREC__OP4(less, a < b ? c : d)
SESSREC__OP4(equal, a == b ? c : d)
#  ifndef SESSREC_NO_TRAINING
SESSREC__OP1(sqrt, (float)sqrt(a))  // of a float in double, then rounded: the same as sqrtf
#  endif
SESSREC__OP(int32_t, whole, (int32_t n)) { return n; }
// Lane l: part + the eight 4-bit codes in x[4l .. 4l+3], low ones first, times h[0 .. 7]. Two parts of 16
// bits where vectors have them, which have room for four such sums before they are added to a sum of 32 bits.
SESSREC__OP(int32_t, octet, (const uint8_t *x, const int8_t *h, int32_t part)) {
    for (int i = 0; i < 4; ++i) part += (x[i] & 15) * h[i] + (x[i] >> 4) * h[4 + i];
    return part;
}
SESSREC__OP(int32_t, widen, (int32_t part, int32_t sum)) { return sum + part; }
SESSREC__OP(float, floats, (int32_t a)) { return (float)a; }
// whether any lane has a >= b, or a NaN
SESSREC__OP(int, any, (float a, float b)) { return !(a < b); }
// p * 2^n, where n is in the low bits of t = n + 1.5 * 2^23; p and the result are normal numbers
SESSREC__OP(float, scale2, (float p, float t)) {
    uint32_t bits, shift;
    memcpy(&bits, &p, sizeof bits);
    memcpy(&shift, &t, sizeof shift);
    bits += shift << 23;
    memcpy(&p, &bits, sizeof bits);
    return p;
}

#elif SESSREC__LANES == 4

// ---- vectors of GCC and clang: NEON, SSE2, WebAssembly SIMD, VSX ----

SESSREC__OP(sessrec__vec, all, (float x)) {
    const sessrec__vec a = {x, x, x, x};
    return a;
}
SESSREC__OP(sessrec__vec, load, (const float *p)) {
    sessrec__vec a;
    memcpy(&a, p, sizeof a);
    return a;
}
SESSREC__OP(sessrec__vec, load_some, (const float *p, int32_t n)) {
    float lane[4] = {0, 0, 0, 0};
    for (int32_t l = 0; l < n && l < 4; ++l) lane[l] = p[l];
    return V(load, lane);
}
SESSREC__OP(void, store, (float *p, sessrec__vec a)) { memcpy(p, &a, sizeof a); }
SESSREC__OP(void, store_some, (float *p, sessrec__vec a, int32_t n)) {
    for (int32_t l = 0; l < n && l < 4; ++l) p[l] = a[l];
}
SESSREC__OP2(add, a + b)
SESSREC__OP2(sub, a - b)
SESSREC__OP2(mul, a * b)
SESSREC__OP2(div, a / b)
SESSREC__OP(sessrec__vec, choose, (SESSREC__INTEGERS mask, sessrec__vec a, sessrec__vec b)) {
    return (sessrec__vec)(((SESSREC__INTEGERS)a & mask) | ((SESSREC__INTEGERS)b & ~mask));
}
SESSREC__OP2(max, V(choose, (SESSREC__INTEGERS)(a > b), a, b))
SESSREC__OP2(min, V(choose, (SESSREC__INTEGERS)(a < b), a, b))
SESSREC__OP4(less, V(choose, (SESSREC__INTEGERS)(a < b), c, d))
SESSREC__OP4(equal, V(choose, (SESSREC__INTEGERS)(a == b), c, d))
SESSREC__OP(SESSREC__INTEGERS, whole, (int32_t n)) {
    const SESSREC__INTEGERS a = {n, n, n, n};
    return a;
}
SESSREC__OP2(scale2, (sessrec__vec)((sessrec__unsigned4)a + ((sessrec__unsigned4)b << 23)))
SESSREC__OP(SESSREC__INTEGERS, widen, (SESSREC__INTEGERS part, SESSREC__INTEGERS sum)) { return sum + part; }
#  if defined(SESSREC__NEON)
SESSREC__OP1(sqrt, vsqrtq_f32(a))
SESSREC__OP3(fma, vfmaq_f32(c, a, b))
SESSREC__OP(sessrec__vec, floats, (int32x4_t a)) { return vcvtq_f32_s32(a); }
SESSREC__OP(int, any, (sessrec__vec a, sessrec__vec b)) { return vminvq_u32(vcltq_f32(a, b)) == 0; }
SESSREC__OP(void, transpose, (sessrec__vec * row)) {
    // 00 20 01 21, 02 22 ...; 10 30 11 31, ...
    const float32x4x2_t even = vzipq_f32(row[0], row[2]), odd = vzipq_f32(row[1], row[3]);
    const float32x4x2_t low = vzipq_f32(even.val[0], odd.val[0]), high = vzipq_f32(even.val[1], odd.val[1]);
    row[0] = low.val[0];
    row[1] = low.val[1];
    row[2] = high.val[0];
    row[3] = high.val[1];
}
SESSREC__OP(int32x4_t, octet, (const uint8_t *x, const int8_t *h, int32x4_t part)) {
    const uint8x16_t codes = vld1q_u8(x);
    const int8x16_t low = vreinterpretq_s8_u8(vandq_u8(codes, vdupq_n_u8(15))),
                    high = vreinterpretq_s8_u8(vshrq_n_u8(codes, 4));
    int32_t half[2];
    memcpy(half, h, sizeof half);
    const int8x8_t h0 = vreinterpret_s8_s32(vdup_n_s32(half[0]));
    const int8x8_t h1 = vreinterpret_s8_s32(vdup_n_s32(half[1]));
    const int16x8_t a = vmlal_s8(vmull_s8(vget_low_s8(low), h0), vget_low_s8(high), h1),
                    b = vmlal_s8(vmull_s8(vget_high_s8(low), h0), vget_high_s8(high), h1);
    return vaddq_s32(part, vpaddq_s32(vpaddlq_s16(a), vpaddlq_s16(b)));
}
#  else
SESSREC__OP(void, transpose, (sessrec__vec * row)) {
    const sessrec__vec a = row[0], b = row[1], c = row[2], d = row[3];
    SESSREC__UNROLL for (int i = 0; i < 4; ++i) {
        const sessrec__vec column = {a[i], b[i], c[i], d[i]};
        row[i] = column;
    }
}
SESSREC__OP(sessrec__vec, floats, (SESSREC__INTEGERS a)) {
    const sessrec__vec y = {(float)a[0], (float)a[1], (float)a[2], (float)a[3]};
    return y;
}
// What differs: the halves as doubles and back, the low halves of four doubles, whether a mask is not empty,
// the sums of two products of 16 bits each.
#  if defined(__SSE2__)
SESSREC__OP1(sqrt, _mm_sqrt_ps(a))
#    define SESSREC__LOW(a) _mm_cvtps_pd(a)
#    define SESSREC__HIGH(a) _mm_cvtps_pd(_mm_movehl_ps(a, a))
#    define SESSREC__NARROW(a, b) _mm_movelh_ps(_mm_cvtpd_ps(a), _mm_cvtpd_ps(b))
#    define SESSREC__BOTTOM(a, b) _mm_shuffle_ps(_mm_castpd_ps(a), _mm_castpd_ps(b), 0x88)
#    define SESSREC__SOME(mask) _mm_movemask_ps((__m128)(mask))
#    define SESSREC__PAIRS(a, b) _mm_madd_epi16((__m128i)(a), (__m128i)(b))
#  elif defined(__wasm_simd128__)
SESSREC__OP1(sqrt, (sessrec__vec)wasm_f32x4_sqrt((v128_t)a))
#    define SESSREC__LOW(a) (sessrec__doubles) wasm_f64x2_promote_low_f32x4((v128_t)(a))
#    define SESSREC__HIGH(a) SESSREC__LOW(wasm_i32x4_shuffle((v128_t)(a), (v128_t)(a), 2, 3, 2, 3))
#    define SESSREC__NARROW(a, b)                                                                            \
      (sessrec__vec) wasm_i32x4_shuffle(wasm_f32x4_demote_f64x2_zero((v128_t)(a)),                           \
                                        wasm_f32x4_demote_f64x2_zero((v128_t)(b)), 0, 1, 4, 5)
#    define SESSREC__BOTTOM(a, b) wasm_i32x4_shuffle((v128_t)(a), (v128_t)(b), 0, 2, 4, 6)
#    define SESSREC__SOME(mask) wasm_v128_any_true((v128_t)(mask))
#    define SESSREC__PAIRS(a, b) wasm_i32x4_dot_i16x8((v128_t)(a), (v128_t)(b))
#  else
SESSREC__OP(sessrec__vec, sqrt, (sessrec__vec a)) {
    for (int l = 0; l < 4; ++l) a[l] = (float)sqrt(a[l]);
    return a;
}
#    define SESSREC__SOME(mask) ((mask)[0] | (mask)[1] | (mask)[2] | (mask)[3])
SESSREC__OP(SESSREC__INTEGERS, pairs, (SESSREC__INTEGERS a, SESSREC__INTEGERS b)) {
    return (a & 0xffff) * ((b << 16) >> 16) + (a >> 16) * (b >> 16);
}
#    define SESSREC__PAIRS(a, b) V(pairs, a, b)
#  endif
SESSREC__OP(int, any, (sessrec__vec a, sessrec__vec b)) {
    return SESSREC__SOME(~(SESSREC__INTEGERS)(a < b)) != 0;
}
// In bits 0-3 and 16-19 of a lane are codes 0 and 2, if the machine counts bytes from the low end.
SESSREC__OP(SESSREC__INTEGERS, octet, (const uint8_t *x, const int8_t *h, SESSREC__INTEGERS part)) {
    SESSREC__INTEGERS codes;
    memcpy(&codes, x, sizeof codes);
    for (int i = 0; i < 4; ++i) {
        const int odd = (i / 2) ^ SESSREC__BIG_ENDIAN, at = 4 * (i % 2) + odd;
        const int low = h[at + (SESSREC__BIG_ENDIAN ? 2 : 0)], high = h[at + (SESSREC__BIG_ENDIAN ? 0 : 2)];
        part += (SESSREC__INTEGERS)SESSREC__PAIRS((codes >> (4 * i)) & 0x000f000f,
                                                  V(whole, (int32_t)((uint32_t)high << 16 | (uint16_t)low)));
    }
    return part;
}
#  ifndef SESSREC__HAS_FMA
// Lane by lane, for those that the vector cannot round.
static __attribute__((noinline)) sessrec__vec sessrec__v128_fma_one_by_one(sessrec__vec a, sessrec__vec b,
                                                                             sessrec__vec c) {
    for (int l = 0; l < 4; ++l) a[l] = sessrec__fma(a[l], b[l], c[l]);
    return a;
}
#  endif
// The product is exact in double. Rounding the sum to double and then to float gives what one rounding gives,
// unless the double is in the middle between two floats, where it ends in 1 and 28 zeros, or the result is so
// small that floats lie farther apart. Both are rare. A sum that becomes 0 was exact.
SESSREC__OP(sessrec__vec, fma, (sessrec__vec a, sessrec__vec b, sessrec__vec c)) {
#  ifdef SESSREC__HAS_FMA
    for (int l = 0; l < 4; ++l) a[l] = __builtin_fmaf(a[l], b[l], c[l]);
    return a;
#  else
    const sessrec__doubles low = SESSREC__LOW(a) * SESSREC__LOW(b) + SESSREC__LOW(c),
                           high = SESSREC__HIGH(a) * SESSREC__HIGH(b) + SESSREC__HIGH(c);
    const sessrec__vec y = SESSREC__NARROW(low, high);
    const SESSREC__INTEGERS middle =
        ((SESSREC__INTEGERS)SESSREC__BOTTOM(low, high) & 0x1fffffff) == 0x10000000;
    const SESSREC__INTEGERS size = (SESSREC__INTEGERS)y & 0x7fffffff;
    const SESSREC__INTEGERS tiny = (size > 0) & (size <= 0x00800000);
    return __builtin_expect(SESSREC__SOME(middle | tiny), 0) ? V(fma_one_by_one, a, b, c) : y;
#  endif
}
#  undef SESSREC__LOW
#  undef SESSREC__HIGH
#  undef SESSREC__NARROW
#  undef SESSREC__BOTTOM
#  undef SESSREC__SOME
#  undef SESSREC__PAIRS
#  endif  // SESSREC__NEON
SESSREC__OP(void, load_columns, (const float *x, ptrdiff_t x_row, sessrec__vec *column)) {
    SESSREC__UNROLL for (int r = 0; r < 4; ++r) column[r] = V(load, x + r * x_row);
    V(transpose, column);
}

#else

// ---- AVX2 and AVX-512, which differ in little but their width ----
// MM(name) is _mm256_name or _mm512_name. MM_ALL is the form of AVX-512 with a mask, of all lanes: some
// versions of gcc warn about their own headers where the one without is used.

SESSREC__OP(sessrec__vec, all, (float x)) { return SESSREC__MM(set1_ps)(x); }
SESSREC__OP(sessrec__vec, load, (const float *p)) { return SESSREC__MM(loadu_ps)(p); }
SESSREC__OP(void, store, (float *p, sessrec__vec a)) { SESSREC__MM(storeu_ps)(p, a); }
SESSREC__OP2(add, SESSREC__MM(add_ps)(a, b))
SESSREC__OP2(sub, SESSREC__MM(sub_ps)(a, b))
SESSREC__OP2(mul, SESSREC__MM(mul_ps)(a, b))
SESSREC__OP2(div, SESSREC__MM(div_ps)(a, b))
SESSREC__OP3(fma, SESSREC__MM(fmadd_ps)(a, b, c))
SESSREC__OP2(max, SESSREC__MM_ALL(max_ps, a, b))
SESSREC__OP2(min, SESSREC__MM_ALL(min_ps, a, b))
SESSREC__OP1(sqrt, SESSREC__MM_ALL(sqrt_ps, a))
SESSREC__OP(sessrec__vec, floats, (SESSREC__INTEGERS a)) { return SESSREC__MM_ALL(cvtepi32_ps, a); }
SESSREC__OP(SESSREC__INTEGERS, whole, (int32_t n)) { return SESSREC__MM(set1_epi32)(n); }
SESSREC__OP2(scale2, SESSREC__MM_FLOATS(SESSREC__MM(add_epi32)(
                         SESSREC__MM_INTEGERS(a), SESSREC__MM_ALL(slli_epi32, SESSREC__MM_INTEGERS(b), 23))))
SESSREC__OP(SESSREC__INTEGERS, octet, (const uint8_t *x, const int8_t *h, SESSREC__INTEGERS part)) {
    SESSREC__INTEGERS codes;
    int32_t half[2];
    memcpy(&codes, x, sizeof codes);
    memcpy(half, h, sizeof half);
    const SESSREC__INTEGERS low = V(whole, 0x0f0f0f0f), odd = SESSREC__MM(srli_epi16)(codes, 4);
    part = SESSREC__MM(add_epi16)(
        part, SESSREC__MM(maddubs_epi16)(SESSREC__MM_AND(codes, low), V(whole, half[0])));
    return SESSREC__MM(add_epi16)(
        part, SESSREC__MM(maddubs_epi16)(SESSREC__MM_AND(odd, low), V(whole, half[1])));
}
SESSREC__OP(SESSREC__INTEGERS, widen, (SESSREC__INTEGERS part, SESSREC__INTEGERS sum)) {
    return SESSREC__MM(add_epi32)(sum, SESSREC__MM(madd_epi16)(part, SESSREC__MM(set1_epi16)(1)));
}
// Transposes the 4 x 4 floats in each 128 bits of four vectors: row[i] then has column i of four rows in its
// first 128 bits, column i + 4 in the next, and so on.
SESSREC__OP(void, transpose_quarters, (sessrec__vec * row)) {
    sessrec__vec t[4];
    SESSREC__UNROLL for (int i = 0; i < 4; i += 2) {
        t[i] = SESSREC__MM_ALL(unpacklo_ps, row[i], row[i + 1]);
        t[i + 1] = SESSREC__MM_ALL(unpackhi_ps, row[i], row[i + 1]);
    }
    SESSREC__UNROLL for (int i = 0; i < 4; i += 2) {
        row[i] = SESSREC__MM_ALL(shuffle_ps, t[i / 2], t[i / 2 + 2], 0x44);
        row[i + 1] = SESSREC__MM_ALL(shuffle_ps, t[i / 2], t[i / 2 + 2], 0xee);
    }
}
#  if SESSREC__LANES == 8

SESSREC__OP(__m256i, first, (int32_t n)) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
SESSREC__OP(__m256, load_some, (const float *p, int32_t n)) { return _mm256_maskload_ps(p, V(first, n)); }
SESSREC__OP(void, store_some, (float *p, __m256 a, int32_t n)) { _mm256_maskstore_ps(p, V(first, n), a); }
SESSREC__OP4(less, _mm256_blendv_ps(d, c, _mm256_cmp_ps(a, b, _CMP_LT_OQ)))
SESSREC__OP4(equal, _mm256_blendv_ps(d, c, _mm256_cmp_ps(a, b, _CMP_EQ_OQ)))
SESSREC__OP(int, any, (__m256 a, __m256 b)) { return _mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_NLT_UQ)); }
SESSREC__OP(void, load_columns, (const float *x, ptrdiff_t x_row, __m256 *column)) {
    SESSREC__UNROLL for (int r = 0; r < 4; ++r, x += x_row) column[r] =
        _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(x)), _mm_loadu_ps(x + 4 * x_row), 1);
    V(transpose_quarters, column);
}
SESSREC__OP(void, transpose, (__m256 * row)) {
    SESSREC__UNROLL for (int i = 0; i < 8; i += 4) V(transpose_quarters, row + i);
    SESSREC__UNROLL for (int i = 0; i < 4; ++i) {
        const __m256 a = row[i], b = row[i + 4];
        row[i] = _mm256_permute2f128_ps(a, b, 0x20);
        row[i + 4] = _mm256_permute2f128_ps(a, b, 0x31);
    }
}

#  else

SESSREC__OP(__mmask16, first, (int32_t n)) {
    return (__mmask16)(n >= 16 ? 0xffff : n > 0 ? (1 << n) - 1 : 0);
}
SESSREC__OP(__m512, load_some, (const float *p, int32_t n)) { return _mm512_maskz_loadu_ps(V(first, n), p); }
SESSREC__OP(void, store_some, (float *p, __m512 a, int32_t n)) { _mm512_mask_storeu_ps(p, V(first, n), a); }
SESSREC__OP4(less, _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), d, c))
SESSREC__OP4(equal, _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ), d, c))
SESSREC__OP(int, any, (__m512 a, __m512 b)) { return _mm512_cmp_ps_mask(a, b, _CMP_NLT_UQ); }
SESSREC__OP(void, load_columns, (const float *x, ptrdiff_t x_row, __m512 *column)) {
    SESSREC__UNROLL for (int r = 0; r < 4; ++r, x += x_row) {
        column[r] = _mm512_castps128_ps512(_mm_loadu_ps(x));
        column[r] = _mm512_insertf32x4(column[r], _mm_loadu_ps(x + 4 * x_row), 1);
        column[r] = _mm512_insertf32x4(column[r], _mm_loadu_ps(x + 8 * x_row), 2);
        column[r] = _mm512_insertf32x4(column[r], _mm_loadu_ps(x + 12 * x_row), 3);
    }
    V(transpose_quarters, column);
}
SESSREC__OP(void, transpose, (__m512 * row)) {
    __m512 t[16];
    SESSREC__UNROLL for (int i = 0; i < 16; i += 4) V(transpose_quarters, row + i);
    // the even quarters of two go to one vector, the odd ones to another; and again
    SESSREC__UNROLL for (int step = 0; step < 2; ++step) {
        SESSREC__UNROLL for (int i = 0; i < 8; ++i) {
            const __m512 a = row[i / 4 * 8 + i % 4], b = row[i / 4 * 8 + i % 4 + 4];
            t[i] = SESSREC__MM_ALL(shuffle_f32x4, a, b, 0x88);
            t[i + 8] = SESSREC__MM_ALL(shuffle_f32x4, a, b, 0xdd);
        }
        SESSREC__UNROLL for (int i = 0; i < 16; ++i) row[i] = t[i];
    }
}

#  endif
#endif

// The next LANES floats, or as many as are left; lanes beyond are 0.
SESSREC__OP(sessrec__vec, get, (const float *p, int32_t left)) {
    return left >= SESSREC__LANES ? V(load, p) : V(load_some, p, left);
}
SESSREC__OP(void, put, (float *p, sessrec__vec a, int32_t left)) {
    if (left >= SESSREC__LANES) V(store, p, a);
    else V(store_some, p, a, left);
}
SESSREC__OP1(minus, V(sub, V(all, 0), a))

// ===========================================================================================================
// >>kernels   written once, built for each instruction set
// k->NAME(...) calls what SESSREC__KERNEL(type, NAME, ...) or SESSREC__MAP(NAME, ...) defines here:
//   matrices       matmul  matmul_bt  transpose  dots  dots_at  screen
//   element-wise   exp  sigmoid  tanh  softplus  elu  elu_slope  add  scale  axpy  multiply  muladd
//   the cell       blend  blend_back  gate_back              a loss       bpr_max
//   reductions     max  sum  dot  tally                      optimizers   update: sgd ... adam
// sessrec__avx2_kernel_exp is that of AVX2, sessrec__avx2_exp the operation on one vector.
// ===========================================================================================================

#define SESSREC__K(name) SESSREC__JOIN(SESSREC__SET, kernel_##name)
#define SESSREC__KERNEL(type, name, arguments)                                                               \
  static SESSREC__TARGET type SESSREC__JOIN(SESSREC__SET, kernel_##name) arguments

// ---- matrix product: C [M,N] = A [M,K] B [K,N], added to C if asked ----
// The plain kernel is the definition: each element is one chain of fused multiply-adds over k in order. The
// tiled one computes the same chains, ROWS x VECTORS at a time in registers: a row of B is loaded once for
// ROWS rows of A. It goes through K in blocks, so that the current part of B stays in the first-level cache;
// continuing from the stored sum does not change the chain.

#ifndef SESSREC__TILE_ROWS

SESSREC__KERNEL(void, matmul, (int32_t M, int32_t N, int32_t K, const float *A, ptrdiff_t a_row,
                               ptrdiff_t a_col, const float *B, ptrdiff_t b_row, float *C, ptrdiff_t c_row,
                               int accumulate)) {
    for (int32_t i = 0; i < M; ++i) {
        if (!accumulate)
            for (int32_t j = 0; j < N; ++j) C[i * c_row + j] = 0;
        for (int32_t k = 0; k < K; ++k)
            for (int32_t j = 0; j < N; ++j)
                C[i * c_row + j] = V(fma, A[i * a_row + k * a_col], B[k * b_row + j], C[i * c_row + j]);
    }
}

// C [M,N] = bias + A [M,K] B^T for B [N,K]; bias [N] is the same for all rows.
SESSREC__KERNEL(void, matmul_bt, (int32_t M, int32_t N, int32_t K, const float *A, ptrdiff_t a_row,
                                  const float *B, ptrdiff_t b_row, const float *bias, float *C,
                                  ptrdiff_t c_row, float *panel)) {
    (void)panel;
    for (int32_t i = 0; i < M; ++i)
        for (int32_t j = 0; j < N; ++j) {
            C[i * c_row + j] = bias[j];
            for (int32_t k = 0; k < K; ++k)
                C[i * c_row + j] = V(fma, A[i * a_row + k], B[j * b_row + k], C[i * c_row + j]);
        }
}

#  else

// rows and vectors are constants wherever this is inlined. The last vector may have fewer columns than lanes.
// The sums continue from `start`, which may be C, or a row for all with start_row 0; NULL: from 0.
SESSREC__OP(void, tile, (const int rows, const int vectors, int32_t columns, int32_t K, const float *A,
                         ptrdiff_t a_row, ptrdiff_t a_col, const float *B, ptrdiff_t b_row,
                         const float *start, ptrdiff_t start_row, float *C, ptrdiff_t c_row)) {
    sessrec__vec sum[SESSREC__TILE_ROWS][SESSREC__TILE_VECTORS];
    SESSREC__UNROLL for (int r = 0; r < rows; ++r) SESSREC__UNROLL for (int v = 0; v < vectors; ++v) {
        const int at = SESSREC__LANES * v;
        sum[r][v] = start ? V(get, start + r * start_row + at, columns - at) : V(all, 0);
    }
    for (int32_t k = 0; k < K; ++k) {
        const float *row = B + k * b_row;
        sessrec__vec b[SESSREC__TILE_VECTORS];
        SESSREC__UNROLL for (int v = 0; v < vectors; ++v) {
            const int at = SESSREC__LANES * v;
            b[v] = v < vectors - 1 ? V(load, row + at) : V(get, row + at, columns - at);
        }
        SESSREC__UNROLL for (int r = 0; r < rows; ++r) {
            sessrec__vec a = V(all, A[r * a_row + k * a_col]);
            SESSREC__UNROLL for (int v = 0; v < vectors; ++v) sum[r][v] = V(fma, a, b[v], sum[r][v]);
        }
    }
    SESSREC__UNROLL for (int r = 0; r < rows; ++r) SESSREC__UNROLL for (int v = 0; v < vectors; ++v)
        V(put, C + r * c_row + SESSREC__LANES * v, sum[r][v], columns - SESSREC__LANES * v);
}

// All rows of a strip of columns: TILE_ROWS of them at a time, then half as many, then one by one.
#    define SESSREC__ROWS(rows, vectors)                                                                     \
      for (; i + (rows) <= M; i += (rows))                                                                   \
        V(tile, rows, vectors, columns, K, A + i * a_row, a_row, a_col, B + j, b_row,                        \
          start ? start + i * start_row + j : NULL, start_row, C + i * c_row + j, c_row)
#    define SESSREC__STRIP(vectors)                                                                          \
      SESSREC__ROWS(SESSREC__TILE_ROWS, vectors);                                                            \
      SESSREC__ROWS(SESSREC__TILE_ROWS / 2, vectors);                                                        \
      SESSREC__ROWS(1, vectors)

// A block of K, strip by strip, so that no strip has a single vector.
SESSREC__KERNEL(void, strips, (int32_t M, int32_t N, int32_t K, const float *A, ptrdiff_t a_row,
                               ptrdiff_t a_col, const float *B, ptrdiff_t b_row, const float *start,
                               ptrdiff_t start_row, float *C, ptrdiff_t c_row)) {
    for (int32_t j = 0, columns; j < N; j += columns) {
        const int32_t vectors = (N - j + SESSREC__LANES - 1) / SESSREC__LANES, most = SESSREC__TILE_VECTORS;
        const int32_t strip = vectors == most + 1 ? most / 2 + 1 : vectors < most ? vectors : most;
        int32_t i = 0;
        columns = N - j < strip * SESSREC__LANES ? N - j : strip * SESSREC__LANES;
        if (strip == 1) { SESSREC__STRIP(1); }
        else if (strip == 2) { SESSREC__STRIP(2); }
#    if SESSREC__TILE_VECTORS == 3
        else { SESSREC__STRIP(3); }
#    endif
    }
}
#    undef SESSREC__STRIP
#    undef SESSREC__ROWS

enum { SESSREC__K(depth) = 128 };  // of a block of K

SESSREC__KERNEL(void, matmul, (int32_t M, int32_t N, int32_t K, const float *A, ptrdiff_t a_row,
                               ptrdiff_t a_col, const float *B, ptrdiff_t b_row, float *C, ptrdiff_t c_row,
                               int accumulate)) {
    int32_t k = 0;
    do {  // once even for K = 0, which makes C zero
        const int32_t depth = K - k < SESSREC__K(depth) ? K - k : SESSREC__K(depth);
        SESSREC__K(strips)(M, N, depth, A + k * a_col, a_row, a_col, B + k * b_row, b_row,
                           accumulate || k > 0 ? C : NULL, c_row, C, c_row);
        k += depth;
    } while (k < K);
}

#  endif  // SESSREC__TILE_ROWS

// y [columns,rows] = x^T for x [rows,columns], a square of vectors at a time; whole means that the square
// lies inside.
SESSREC__OP(void, transpose_square, (const int whole, int32_t rows, int32_t columns, const float *x,
                                     ptrdiff_t x_row, float *y, ptrdiff_t y_row)) {
    sessrec__vec row[SESSREC__LANES];
    SESSREC__UNROLL for (int l = 0; l < SESSREC__LANES; ++l) row[l] =
        whole ? V(load, x + l * x_row) : l < rows ? V(get, x + l * x_row, columns) : V(all, 0);
    V(transpose, row);
    SESSREC__UNROLL for (int l = 0; l < SESSREC__LANES; ++l) {
        if (whole) V(store, y + l * y_row, row[l]);
        else if (l < columns) V(put, y + l * y_row, row[l], rows);
    }
}
SESSREC__KERNEL(void, transpose, (int32_t rows, int32_t columns, const float *x, ptrdiff_t x_row, float *y,
                                  ptrdiff_t y_row)) {
    for (int32_t i = 0; i < rows; i += SESSREC__LANES)
        for (int32_t j = 0; j < columns; j += SESSREC__LANES) {
            const float *from = x + i * x_row + j;
            float *to = y + j * y_row + i;
            if (rows - i >= SESSREC__LANES && columns - j >= SESSREC__LANES)
                V(transpose_square, 1, SESSREC__LANES, SESSREC__LANES, from, x_row, to, y_row);
            else V(transpose_square, 0, rows - i, columns - j, from, x_row, to, y_row);
        }
}

#  ifdef SESSREC__TILE_ROWS
// C [M,N] = bias + A [M,K] B^T for B [N,K]: a piece of B at a time is transposed into a panel that fits the
// first-level cache.
SESSREC__KERNEL(void, matmul_bt, (int32_t M, int32_t N, int32_t K, const float *A, ptrdiff_t a_row,
                                  const float *B, ptrdiff_t b_row, const float *bias, float *C,
                                  ptrdiff_t c_row, float *panel)) {
    enum { wide = SESSREC__LANES * SESSREC__TILE_VECTORS, deep = SESSREC__PANEL / 48 };  // wide <= 48
    for (int32_t k = 0; k < K; k += deep)
        for (int32_t j = 0; j < N; j += wide) {
            const int32_t depth = K - k < deep ? K - k : deep, columns = N - j < wide ? N - j : wide;
            SESSREC__K(transpose)(columns, depth, B + j * b_row + k, b_row, panel, wide);
            SESSREC__K(strips)(M, columns, depth, A + k, a_row, 1, panel, wide, k ? C + j : bias + j,
                               k ? c_row : 0, C + j, c_row);
        }
}
#  endif

// sum + x h for four columns of LANES rows, one column at a time; the first `skip` columns are left out.
SESSREC__OP(sessrec__vec, dots_columns, (const int32_t skip, const float *x, ptrdiff_t x_row, const float *h,
                                         sessrec__vec sum)) {
    sessrec__vec column[4];
    V(load_columns, x, x_row, column);
    SESSREC__UNROLL for (int k = 0; k < 4; ++k) if (k >= skip) sum = V(fma, column[k], V(all, h[k]), sum);
    return sum;
}
// y_i = bias_i + sum_k x[i,k] h_k, k in order: the same chain as a matrix product that starts from the bias.
// One row is one lane. Two chains run at a time, so that neither waits for its own sums.
SESSREC__KERNEL(void, dots, (int32_t rows, int32_t width, const float *x, ptrdiff_t x_row, const float *h,
                             const float *bias, float *y)) {
    enum { block = 2 * SESSREC__LANES };
    int32_t i = 0, k;
    for (; width >= 4 && i + block <= rows; i += block) {
        const float *from[2] = {x + i * x_row, x + (i + SESSREC__LANES) * x_row};
        sessrec__vec sum[2] = {V(load, bias + i), V(load, bias + i + SESSREC__LANES)};
        for (k = 0; k + 4 <= width; k += 4) {
            for (int32_t ahead = 0; ahead < 4 * block; ahead += 16)  // a share of the next block
                SESSREC__PREFETCH(from[0] + block * (x_row + k) + ahead);
            SESSREC__UNROLL for (int r = 0; r < 2; ++r) sum[r] =
                V(dots_columns, 0, from[r] + k, x_row, h + k, sum[r]);
        }
        if (k < width) SESSREC__UNROLL for (int r = 0; r < 2; ++r) sum[r] =
            V(dots_columns, k + 4 - width, from[r] + width - 4, x_row, h + width - 4, sum[r]);
        SESSREC__UNROLL for (int r = 0; r < 2; ++r) V(store, y + i + r * SESSREC__LANES, sum[r]);
    }
    for (; i < rows; ++i) {
        sessrec__vec sum = V(all, bias[i]);  // the same number in all lanes
        for (k = 0; k < width; ++k) sum = V(fma, V(all, x[i * x_row + k]), V(all, h[k]), sum);
        V(store_some, y + i, sum, 1);
    }
}

// The same for rows that are scattered, with their own elements of bias. Eight chains run at a time, so that
// none waits for its own sums.
SESSREC__KERNEL(void, dots_at, (int32_t count, const int32_t *row, int32_t width, const float *x,
                                const float *h, const float *bias, float *y)) {
    for (int32_t i = 0; i < count; i += 8) {
        const float *at[8];
        sessrec__vec sum[8];  // each the same number in all lanes
        SESSREC__UNROLL for (int32_t r = 0; r < 8; ++r) {
            const int32_t item = row[i + r < count ? i + r : i];
            at[r] = x + (ptrdiff_t)item * width;
            sum[r] = V(all, bias[item]);
        }
        for (int32_t k = 0; k < width; ++k)
            SESSREC__UNROLL for (int32_t r = 0; r < 8; ++r) sum[r] =
                V(fma, V(all, at[r][k]), V(all, h[k]), sum[r]);
        SESSREC__UNROLL for (int32_t r = 0; r < 8; ++r) if (i + r < count)
            V(store_some, y + i + r, sum[r], 1);
    }
}

// The screen of >>streaming: which of the items first .. first+count-1 may score `least` or more; first is a
// multiple of 16. Writes them to out [count] and returns how many. Integer sums are exact, so every path
// finds the same items.
SESSREC__KERNEL(int32_t, screen, (const sessrec__screen *s, int32_t first, int32_t count, float least,
                                  int32_t *out)) {
    enum { VECTORS = 16 / SESSREC__LANES };
    const ptrdiff_t codes = (ptrdiff_t)s->octets * 64, bytes = codes + 2 * 16 * (ptrdiff_t)sizeof(float);
    int32_t found = 0;
    for (int32_t i = 0; i < count; i += 16) {
        const uint8_t *block = s->blocks + (first + i) / 16 * bytes;
        const float *steps = (const float *)(const void *)(block + codes), *bias = steps + 16;
        SESSREC__INTEGERS sum[VECTORS], part[VECTORS];
        float most[16];
        int any = 0;
        SESSREC__UNROLL for (int v = 0; v < VECTORS; ++v) sum[v] = V(whole, s->start);
        for (int32_t o = 0; o < s->octets; o += 4) {
            SESSREC__UNROLL for (int v = 0; v < VECTORS; ++v) part[v] = V(whole, 0);
            for (int32_t p = o; p < s->octets && p < o + 4; ++p) {
                const uint8_t *at = block + 64 * (ptrdiff_t)p;
                SESSREC__PREFETCH((uintptr_t)at + 2048);
                SESSREC__UNROLL for (int v = 0; v < VECTORS; ++v) part[v] =
                    V(octet, at + 4 * SESSREC__LANES * v, s->state + 8 * (ptrdiff_t)p, part[v]);
            }
            SESSREC__UNROLL for (int v = 0; v < VECTORS; ++v) sum[v] = V(widen, part[v], sum[v]);
        }
        SESSREC__UNROLL for (int v = 0; v < VECTORS; ++v) {
            const int at = SESSREC__LANES * v;
            // bias + steps (sum step + radius)
            const sessrec__vec highest =
                V(fma, V(load, steps + at), V(fma, V(floats, sum[v]), V(all, s->step), V(all, s->radius)),
                  V(load, bias + at));
            V(store, most + at, highest);
            any |= V(any, highest, V(all, least));
        }
        for (int32_t l = 0; any && l < 16 && i + l < count; ++l)
            if (!(most[l] < least)) out[found++] = first + i + l;
    }
    return found;
}

// ---- exp, sigmoid, tanh, softplus of a vector: largest relative error 2e-7 ----
// Below -32 exp and sigmoid are 0. A millionth of the last digit of 1 changes no sum, but products of a few
// such factors are denormal numbers, which take a processor a hundred times as long.
#define SESSREC__LOWEST V(all, -32)

// c_0 + x (c_1 + x (c_2 + ...)), of `count` constants
SESSREC__OP(sessrec__vec, polynomial, (sessrec__vec x, const int count, const float *c)) {
    sessrec__vec y = V(all, c[count - 1]);
    SESSREC__UNROLL for (int i = count - 2; i >= 0; --i) y = V(fma, y, x, V(all, c[i]));
    return y;
}

// e^x = 2^n e^r with n the integer nearest to x / ln 2, |r| <= ln 2 / 2, e^r = 1 + r + r^2 q(r). From 88.7 on
// it is nearly the largest float, and infinite only for infinity. NaN stays NaN.
SESSREC__OP(sessrec__vec, exp, (sessrec__vec x)) {
#ifdef SESSREC__DOUBLE
    return exp(x);
#else
    static const float c[] = {0.5f, 0.166665182f, 0.041666206f, 0.0083688898f, 0.00139504916f};
    const sessrec__vec magic = V(all, 12582912.0f);  // 1.5 * 2^23: adding it rounds to an integer
    const sessrec__vec inside = V(max, SESSREC__LOWEST, V(min, V(all, 88.722f), x));
    const sessrec__vec t = V(fma, inside, V(all, 1.44269504f), magic), n = V(sub, t, magic);
    const sessrec__vec r =  // x - n ln 2, which is there in two parts
        V(fma, n, V(all, -1.42860677e-6f), V(fma, n, V(all, -0.693145752f), inside));
    const sessrec__vec q = V(polynomial, r, 5, c), y = V(add, V(fma, V(mul, r, r), q, r), V(all, 1));
    return V(less, x, V(all, 3e38f), V(less, x, SESSREC__LOWEST, V(all, 0), V(scale2, y, t)),
             x);  // infinity, and NaN whatever its bits
#endif
}
// 1 / (1 + e^-x)
SESSREC__OP(sessrec__vec, sigmoid, (sessrec__vec x)) {
    const sessrec__vec one = V(all, 1), y = V(div, one, V(add, one, V(exp, V(minus, x))));
    return V(less, x, SESSREC__LOWEST, V(all, 0), y);
}
// 1 - 2 / (e^2|x| + 1) with the sign of x; for small x, where that cancels, x + x^3 p(x^2)
SESSREC__OP(sessrec__vec, tanh, (sessrec__vec x)) {
#ifdef SESSREC__DOUBLE
    return tanh(x);
#else
    static const float c[] = {-0.333332837f, 0.133314908f, -0.0537434965f, 0.0206505861f, -0.0057170447f};
    const sessrec__vec one = V(all, 1), a = V(max, x, V(minus, x)), z = V(mul, x, x),
                       large = V(sub, one, V(div, V(all, 2), V(add, V(exp, V(add, a, a)), one)));
    return V(less, a, V(all, 0.625f), V(fma, V(mul, z, x), V(polynomial, z, 5, c), x),
             V(less, x, V(all, 0), V(minus, large), large));
#endif
}
// log(1 + e^x) = max(x, 0) + log(1 + t), t = e^-|x| in (0,1], log(1 + t) = t p(t)
SESSREC__OP(sessrec__vec, softplus, (sessrec__vec x)) {
#ifdef SESSREC__DOUBLE
    return (x > 0 ? x : 0) + log1p(exp(-fabs(x)));
#else
    static const float c[] = {1, -0.499999851f, 0.33332634f, -0.24988237f, 0.198970199f, -0.161290988f,
                              0.124716133f, -0.0831894949f, 0.0421136282f, -0.013706468f, 0.00209001545f};
    const sessrec__vec t = V(exp, V(min, x, V(minus, x)));
    return V(fma, V(polynomial, t, 11, c), t, V(max, V(all, 0), x));
#endif
}

// ---- element-wise ----

// y_i = value, in which AT(x) is x_i
#  define SESSREC__AT(x) V(get, (x) + i, n - i)
#  define SESSREC__MAP(name, arguments, value)                                                               \
    SESSREC__KERNEL(void, name, arguments) {                                                                 \
      for (int32_t i = 0; i < n; i += SESSREC__LANES) V(put, y + i, value, n - i);                           \
    }

// e^(x - shift)
SESSREC__MAP(exp, (int32_t n, const float *x, float shift, float *y),
             V(exp, V(sub, SESSREC__AT(x), V(all, shift))))
SESSREC__MAP(sigmoid, (int32_t n, const float *x, float *y), V(sigmoid, SESSREC__AT(x)))
SESSREC__MAP(tanh, (int32_t n, const float *x, float *y), V(tanh, SESSREC__AT(x)))
SESSREC__MAP(softplus, (int32_t n, const float *x, float *y), V(softplus, SESSREC__AT(x)))
// b x, or b a (e^x - 1) below 0
SESSREC__MAP(elu, (int32_t n, const float *x, float a, float b, float *y),
             V(mul, V(all, b),
               V(less, SESSREC__AT(x), V(all, 0),
                 V(mul, V(all, a), V(sub, V(exp, SESSREC__AT(x)), V(all, 1))), SESSREC__AT(x))))
// y times the slope at x: b, or f + a b below 0, where f is what elu made of x
SESSREC__MAP(elu_slope, (int32_t n, const float *x, const float *f, float a, float b, float *y),
             V(mul, SESSREC__AT(y),
               V(less, SESSREC__AT(x), V(all, 0), V(add, SESSREC__AT(f), V(all, a * b)), V(all, b))))
// the gradient of BPR-max: w + y (x - 1) + bpreg w (s^2 + 2 s - R)
SESSREC__MAP(bpr_max, (int32_t n, const float *x, const float *w, const float *s, float R, float bpreg,
                       float *y),
             V(fma, V(mul, V(all, bpreg), SESSREC__AT(w)),
               V(fma, SESSREC__AT(s), V(add, SESSREC__AT(s), V(all, 2)), V(all, -R)),
               V(fma, SESSREC__AT(y), V(sub, SESSREC__AT(x), V(all, 1)), SESSREC__AT(w))))
// x + a
SESSREC__MAP(add, (int32_t n, const float *x, float a, float *y), V(add, SESSREC__AT(x), V(all, a)))
// a x
SESSREC__MAP(scale, (int32_t n, float a, const float *x, float *y), V(mul, V(all, a), SESSREC__AT(x)))
// y + a x
SESSREC__MAP(axpy, (int32_t n, float a, const float *x, float *y),
             V(fma, V(all, a), SESSREC__AT(x), SESSREC__AT(y)))
// x a
SESSREC__MAP(multiply, (int32_t n, const float *x, const float *a, float *y),
             V(mul, SESSREC__AT(x), SESSREC__AT(a)))
// a b + c
SESSREC__MAP(muladd, (int32_t n, const float *a, const float *b, const float *c, float *y),
             V(fma, SESSREC__AT(a), SESSREC__AT(b), SESSREC__AT(c)))
// h + z (candidate - h)
SESSREC__MAP(blend, (int32_t n, const float *z, const float *candidate, const float *h, float *y),
             V(fma, SESSREC__AT(z), V(sub, SESSREC__AT(candidate), SESSREC__AT(h)), SESSREC__AT(h)))
// d a gate (1 - gate): the gradient before the sigmoid of a gate that a is multiplied by
SESSREC__MAP(gate_back, (int32_t n, const float *d, const float *a, const float *gate, float *y),
             V(mul, V(mul, V(mul, SESSREC__AT(d), SESSREC__AT(a)), SESSREC__AT(gate)),
               V(sub, V(all, 1), SESSREC__AT(gate))))
// What blend does, back to the gates before their activation:
// dz = up z (candidate - h) (1 - z), dn = up z (1 - candidate^2)
SESSREC__KERNEL(void, blend_back, (int32_t n, const float *up, const float *z, const float *candidate,
                                   const float *h, float *dz, float *dn)) {
    const sessrec__vec one = V(all, 1);
    for (int32_t i = 0; i < n; i += SESSREC__LANES) {
        const sessrec__vec c = SESSREC__AT(candidate), gate = SESSREC__AT(z),
                           d = V(mul, SESSREC__AT(up), gate);
        V(put, dz + i, V(mul, V(mul, d, V(sub, c, SESSREC__AT(h))), V(sub, one, gate)), n - i);
        V(put, dn + i, V(mul, d, V(fma, V(minus, c), c, one)), n - i);
    }
}

// ---- reductions ----
// Sixteen running sums for any width of a vector: element i goes to number i mod 16. They are then added half
// to half.

#  define SESSREC__REDUCE(name, arguments, value)                                                            \
    SESSREC__KERNEL(float, name, arguments) {                                                                \
      sessrec__vec sum[16 / SESSREC__LANES];                                                                 \
      float part[16];                                                                                        \
      for (int r = 0; r < 16 / SESSREC__LANES; ++r) sum[r] = V(all, 0);                                      \
      for (int32_t first = 0; first < n; first += 16)                                                        \
        for (int32_t r = 0, i = first; r < 16 / SESSREC__LANES; ++r, i += SESSREC__LANES) sum[r] = value;    \
      for (int r = 0; r < 16 / SESSREC__LANES; ++r) V(store, part + r * SESSREC__LANES, sum[r]);             \
      for (int width = 8; width; width /= 2)                                                                 \
        for (int l = 0; l < width; ++l) part[l] += part[l + width];                                          \
      return part[0];                                                                                        \
    }
SESSREC__REDUCE(sum, (int32_t n, const float *x), V(add, sum[r], SESSREC__AT(x)))
SESSREC__REDUCE(dot, (int32_t n, const float *a, const float *b),
                V(fma, SESSREC__AT(a), SESSREC__AT(b), sum[r]))

// A maximum does not depend on the order.
SESSREC__KERNEL(float, max, (int32_t n, const float *x)) {
    sessrec__vec most = V(all, x[0]);
    float lane[SESSREC__LANES], result = x[0];
    int32_t i = 0;
    for (; i + SESSREC__LANES <= n; i += SESSREC__LANES) most = V(max, most, V(load, x + i));
    V(store, lane, most);
    for (int l = 0; l < SESSREC__LANES; ++l) result = result > lane[l] ? result : lane[l];
    for (; i < n; ++i) result = result > x[i] ? result : x[i];
    return result;
}

// How many of n numbers are higher than a value and how many are equal to it. Each lane counts in ones, for
// at most 2^20 of them: exact.
SESSREC__KERNEL(void, tally, (int32_t n, const float *x, float value, int32_t *higher, int32_t *equal)) {
    const sessrec__vec v = V(all, value), zero = V(all, 0), one = V(all, 1);
    int32_t i = 0;
    *higher = *equal = 0;
    while (i + SESSREC__LANES <= n) {
        const int32_t end = n - i > 1 << 20 ? i + (1 << 20) : n;
        sessrec__vec above = zero, same = zero;
        float lane[2][SESSREC__LANES];
        for (; i + SESSREC__LANES <= end; i += SESSREC__LANES) {
            above = V(add, above, V(less, v, V(load, x + i), one, zero));
            same = V(add, same, V(equal, v, V(load, x + i), one, zero));
        }
        V(store, lane[0], above);
        V(store, lane[1], same);
        for (int l = 0; l < SESSREC__LANES; ++l) {
            *higher += (int32_t)lane[0][l];
            *equal += (int32_t)lane[1][l];
        }
    }
    for (; i < n; ++i) {
        *higher += x[i] > value;
        *equal += x[i] == value;
    }
}

// ---- an optimizer step; the formulas are at >>optimizers ----
#ifndef SESSREC_NO_TRAINING

// Each computes from the gradient g the new first and second, and the step d; then
// w -= rate d, or with momentum v = mu v - rate d, w += v. The configuration is copied, so that no store into
// the arrays can change it.
#  define SESSREC__FIRST V(get, u->first + i, n - i)
#  define SESSREC__SECOND V(get, u->second + i, n - i)
#  define SESSREC__UPDATE(name, ...)                                                                         \
    SESSREC__KERNEL(void, name, (const sessrec__update *u, int32_t n)) {                                     \
      const sessrec_optimizer_config o = *u->config;                                                         \
      const sessrec__vec epsilon = V(all, o.epsilon), rate = V(all, -o.learning_rate);                       \
      (void)epsilon;                                                                                         \
      for (int32_t i = 0; i < n; i += SESSREC__LANES) {                                                      \
        sessrec__vec w = V(get, u->weight + i, n - i), g = V(get, u->gradient + i, n - i), d = g;            \
        if (o.l2 > 0) d = g = V(fma, V(all, o.l2), w, g);                                                    \
        __VA_ARGS__                                                                                          \
        if (o.momentum > 0) {                                                                                \
          d = V(fma, V(all, o.momentum), V(get, u->velocity + i, n - i), V(mul, rate, d));                   \
          V(put, u->velocity + i, d, n - i);                                                                 \
          w = V(add, w, d);                                                                                  \
        } else {                                                                                             \
          w = V(fma, rate, d, w);                                                                            \
        }                                                                                                    \
        V(put, u->weight + i, w, n - i);                                                                     \
      }                                                                                                      \
    }
// rho a + (1 - rho) b
#  define SESSREC__MEAN(rho, a, b) V(fma, V(all, rho), a, V(mul, V(all, 1 - (rho)), b))

SESSREC__UPDATE(sgd, )
SESSREC__UPDATE(adagrad, {
    const sessrec__vec a = V(fma, g, g, SESSREC__FIRST);
    V(put, u->first + i, a, n - i);
    d = V(div, g, V(sqrt, V(add, a, epsilon)));
})
SESSREC__UPDATE(rmsprop, {
    const sessrec__vec a = SESSREC__MEAN(o.decay, SESSREC__FIRST, V(mul, g, g));
    V(put, u->first + i, a, n - i);
    d = V(div, g, V(sqrt, V(add, a, epsilon)));
})
SESSREC__UPDATE(adadelta, {
    const sessrec__vec past = SESSREC__SECOND, a = SESSREC__MEAN(o.decay, SESSREC__FIRST, V(mul, g, g));
    V(put, u->first + i, a, n - i);
    d = V(mul, g, V(sqrt, V(div, V(add, past, epsilon), V(add, a, epsilon))));
    V(put, u->second + i, SESSREC__MEAN(o.decay, past, V(mul, d, d)), n - i);
})
SESSREC__UPDATE(adam, {
    const sessrec__vec m = SESSREC__MEAN(o.beta1, SESSREC__FIRST, g),
                       v = SESSREC__MEAN(o.beta2, SESSREC__SECOND, V(mul, g, g));
    V(put, u->first + i, m, n - i);
    V(put, u->second + i, v, n - i);
    d = V(div, V(mul, m, V(all, u->correct1)), V(add, V(sqrt, V(mul, v, V(all, u->correct2))), epsilon));
})
SESSREC__KERNEL(void, update, (const sessrec__update *u, int32_t n)) {
    switch (u->config->kind) {
    case SESSREC_SGD: SESSREC__K(sgd)(u, n); break;
    case SESSREC_ADAGRAD: SESSREC__K(adagrad)(u, n); break;
    case SESSREC_RMSPROP: SESSREC__K(rmsprop)(u, n); break;
    case SESSREC_ADADELTA: SESSREC__K(adadelta)(u, n); break;
    default: SESSREC__K(adam)(u, n); break;
    }
}
#  undef SESSREC__FIRST
#  undef SESSREC__SECOND
#  undef SESSREC__UPDATE
#  undef SESSREC__MEAN
#endif // SESSREC_NO_TRAINING

// Kernels that only training and evaluation need are unused elsewhere, without a warning.
#ifdef SESSREC_NO_TRAINING
#  define SESSREC__TRAINS(name) (0 ? SESSREC__K(name) : NULL)
#else
#  define SESSREC__TRAINS(name) SESSREC__K(name)
#endif
static const sessrec__kernels SESSREC__JOIN(SESSREC__SET, table) = {
    SESSREC__TEXT(SESSREC__SET),
    SESSREC__K(matmul),
    SESSREC__K(matmul_bt),
    SESSREC__K(transpose),
    SESSREC__K(dots),
    SESSREC__K(dots_at),
    SESSREC__K(screen),
    SESSREC__TRAINS(exp),
    SESSREC__K(sigmoid),
    SESSREC__K(tanh),
    SESSREC__TRAINS(softplus),
    SESSREC__TRAINS(elu),
    SESSREC__TRAINS(elu_slope),
    SESSREC__TRAINS(bpr_max),
    SESSREC__TRAINS(add),
    SESSREC__K(axpy),
    SESSREC__TRAINS(scale),
    SESSREC__K(multiply),
    SESSREC__K(muladd),
    SESSREC__K(blend),
    SESSREC__TRAINS(gate_back),
    SESSREC__TRAINS(blend_back),
    SESSREC__TRAINS(max),
    SESSREC__TRAINS(sum),
    SESSREC__TRAINS(dot),
    SESSREC__K(tally),
#ifndef SESSREC_NO_TRAINING
    SESSREC__K(update)
#else
    NULL
#endif
};

#undef V
#undef sessrec__vec
#undef SESSREC__AT
#undef SESSREC__INTEGERS
#undef SESSREC__JOIN
#undef SESSREC__JOIN2
#undef SESSREC__K
#undef SESSREC__KERNEL
#undef SESSREC__LANES
#undef SESSREC__LOWEST
#undef SESSREC__MAP
#undef SESSREC__MM
#undef SESSREC__MM_ALL
#undef SESSREC__MM_AND
#undef SESSREC__MM_FLOATS
#undef SESSREC__MM_INTEGERS
#undef SESSREC__OP
#undef SESSREC__OP1
#undef SESSREC__OP2
#undef SESSREC__OP3
#undef SESSREC__OP4
#undef SESSREC__REDUCE
#undef SESSREC__SET
#undef SESSREC__TARGET
#undef SESSREC__TILE_ROWS
#undef SESSREC__TILE_VECTORS
#undef SESSREC__TRAINS
#undef SESSREC__VECTOR

#else // !SESSREC__SET

// ===========================================================================================================
// >>dispatch   build the kernels, choose among them at run time
// ===========================================================================================================

#define SESSREC__SET plain
#define SESSREC__TARGET
#define SESSREC__LANES 1
#define SESSREC__VECTOR float
#define SESSREC__INTEGERS int32_t
#include SESSREC_HEADER_NAME

#ifdef SESSREC__X86
#  define SESSREC__SET avx2
#  define SESSREC__TARGET SESSREC__TARGET_OF("avx2,fma")
#  define SESSREC__MM(name) _mm256_##name
#  define SESSREC__MM_ALL(name, ...) _mm256_##name(__VA_ARGS__)
#  define SESSREC__MM_INTEGERS _mm256_castps_si256
#  define SESSREC__MM_FLOATS _mm256_castsi256_ps
#  define SESSREC__MM_AND _mm256_and_si256
#  define SESSREC__LANES 8
#  define SESSREC__VECTOR __m256
#  define SESSREC__INTEGERS __m256i
#  define SESSREC__TILE_ROWS 6
#  define SESSREC__TILE_VECTORS 2
#  include SESSREC_HEADER_NAME

#  define SESSREC__SET avx512
#  define SESSREC__TARGET SESSREC__TARGET_OF("avx512f,avx512dq,avx512bw,avx512vl,avx2,fma")
#  define SESSREC__MM(name) _mm512_##name
#  define SESSREC__MM_ALL(name, ...) _mm512_maskz_##name((__mmask16)-1, __VA_ARGS__)
#  define SESSREC__MM_INTEGERS _mm512_castps_si512
#  define SESSREC__MM_FLOATS _mm512_castsi512_ps
#  define SESSREC__MM_AND _mm512_and_si512
#  define SESSREC__LANES 16
#  define SESSREC__VECTOR __m512
#  define SESSREC__INTEGERS __m512i
#  define SESSREC__TILE_ROWS 8
#  define SESSREC__TILE_VECTORS 3
#  include SESSREC_HEADER_NAME
#endif
#if defined(SESSREC__NEON) || defined(SESSREC__V128)
typedef uint32_t sessrec__unsigned4 __attribute__((vector_size(16)));
#endif
#ifdef SESSREC__NEON
#  define SESSREC__SET neon
#  define SESSREC__TARGET
#  define SESSREC__LANES 4
#  define SESSREC__VECTOR float32x4_t
#  define SESSREC__INTEGERS int32x4_t
#  define SESSREC__TILE_ROWS 6
#  define SESSREC__TILE_VECTORS 3
#  include SESSREC_HEADER_NAME
#endif

#ifdef SESSREC__V128
typedef float sessrec__floats4 __attribute__((vector_size(16)));
typedef int32_t sessrec__integers4 __attribute__((vector_size(16)));
typedef double sessrec__doubles __attribute__((vector_size(16)));
#  define SESSREC__SET v128
#  define SESSREC__TARGET
#  define SESSREC__LANES 4
#  define SESSREC__VECTOR sessrec__floats4
#  define SESSREC__INTEGERS sessrec__integers4
#  define SESSREC__TILE_ROWS 4
#  define SESSREC__TILE_VECTORS 2
#  include SESSREC_HEADER_NAME
#endif

#ifndef SESSREC_MAX_SIMD
#  define SESSREC_MAX_SIMD 3
#  define SESSREC__OWN_MAX_SIMD
#endif

#ifdef SESSREC__X86
// 3: AVX-512 F, DQ, BW, VL. 2: AVX2 and FMA. The operating system must save the registers too.
static int sessrec__processor_level(void) {
#  if defined(__GNUC__) || defined(__clang__)
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return 1;
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                   __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl")
               ? 3
               : 2;
#  else
    int id[4];
    __cpuid(id, 1);
    // OSXSAVE, FMA; the system saves xmm, ymm
    if (!(id[2] & (1 << 27)) || !(id[2] & (1 << 12)) || (_xgetbv(0) & 6) != 6) return 1;
    __cpuidex(id, 7, 0);
    if (!(id[1] & (1 << 5))) return 1;  // AVX2
    const int avx512 = (int)0xC0030000;   // F 16, DQ 17, BW 30, VL 31
    return (id[1] & avx512) == avx512 && (_xgetbv(0) & 0xe0) == 0xe0 ? 3 : 2;
#  endif
}
#endif

// The kernels of a level as SESSREC_MAX_SIMD counts them; NULL where this build or this processor has none.
static const sessrec__kernels *sessrec__kernels_of(int level) {
    if (level == 0) return &sessrec__plain_table;
#ifdef SESSREC__V128
    if (level == 1) return &sessrec__v128_table;
#endif
#if defined(SESSREC__X86)
    if (level > 1 && level <= sessrec__processor_level())
        return level == 2 ? &sessrec__avx2_table : &sessrec__avx512_table;
#elif defined(SESSREC__NEON)
    if (level == 2) return &sessrec__neon_table;
#endif
    return NULL;
}

static const sessrec__kernels *sessrec__best_kernels(void) {
    int level = SESSREC_MAX_SIMD < 3 ? SESSREC_MAX_SIMD : 3;
    while (level > 0 && !sessrec__kernels_of(level)) --level;
    return sessrec__kernels_of(level);
}

SESSREC_API const char *sessrec_simd(void) {
#ifdef SESSREC__X87
    return "x87";
#else
    return sessrec__best_kernels()->name;
#endif
}

// ===========================================================================================================
// >>matmul   the one place where matrices are multiplied, and the seam for a BLAS
// With SESSREC_BLAS large products go to cblas_sgemm. Its sums have another order, so results then differ in
// the last bits (by about 1e-6 relative for a product) from those of a build without.
// ===========================================================================================================

#ifdef SESSREC_BLAS
#  ifdef __cplusplus
extern "C"
#  else
extern
#  endif
    void
    cblas_sgemm(int order, int transpose_a, int transpose_b, int m, int n, int k, float alpha, const float *a,
                int lda, const float *b, int ldb, float beta, float *c, int ldc);
enum { SESSREC__ROW_MAJOR = 101, SESSREC__PLAIN = 111, SESSREC__TRANSPOSE = 112 };
static int sessrec__worth_blas(int32_t M, int32_t N, int32_t K) {
    return (int64_t)M * N * K >= 64 * 64 * 64;
}
#endif

// C [M,N] = A [M,K] B [K,N] (added to C if accumulate). Element (i,k) of A is at A[i*a_row + k*a_col],
// one of which is 1; rows of B and C are b_row and c_row apart.
static void sessrec__matmul(const sessrec__kernels *kernels, int32_t M, int32_t N, int32_t K, const float *A,
                            ptrdiff_t a_row, ptrdiff_t a_col, const float *B, ptrdiff_t b_row, float *C,
                            ptrdiff_t c_row, int accumulate) {
#ifdef SESSREC_BLAS
    if (sessrec__worth_blas(M, N, K) && (a_row == 1 || a_col == 1)) {
        cblas_sgemm(SESSREC__ROW_MAJOR, a_col == 1 ? SESSREC__PLAIN : SESSREC__TRANSPOSE, SESSREC__PLAIN,
                    M, N, K, 1.0f, A, (int)(a_col == 1 ? a_row : a_col), B, (int)b_row,
                    accumulate ? 1.0f : 0.0f, C, (int)c_row);
        return;
    }
#endif
    kernels->matmul(M, N, K, A, a_row, a_col, B, b_row, C, c_row, accumulate);
}

#ifndef SESSREC_NO_TRAINING
// C [M,N] = bias + A [M,K] B^T for B [N,K]
static void sessrec__matmul_bt(const sessrec__kernels *kernels, int32_t M, int32_t N, int32_t K,
                               const float *A, ptrdiff_t a_row, const float *B, ptrdiff_t b_row,
                               const float *bias, float *C, ptrdiff_t c_row, float *panel) {
#ifdef SESSREC_BLAS
    if (sessrec__worth_blas(M, N, K)) {
        for (int32_t i = 0; i < M; ++i) memcpy(C + i * c_row, bias, (size_t)N * sizeof *bias);
        cblas_sgemm(SESSREC__ROW_MAJOR, SESSREC__PLAIN, SESSREC__TRANSPOSE, M, N, K, 1.0f, A, (int)a_row, B,
                    (int)b_row, 1.0f, C, (int)c_row);
        return;
    }
#endif
    kernels->matmul_bt(M, N, K, A, a_row, B, b_row, bias, C, c_row, panel);
}
#endif

// ===========================================================================================================
// >>blocks   matrix products, functions, draws and threads for your own models
// ===========================================================================================================
#ifndef SESSREC_NO_TRAINING

SESSREC_API sessrec_result sessrec_matmul(int32_t M, int32_t N, int32_t K, const float *A, ptrdiff_t a_row,
                                          ptrdiff_t a_column, const float *B, ptrdiff_t b_row, float *C,
                                          ptrdiff_t c_row, int32_t accumulate) {
    if (M < 0 || N < 0 || K < 0 || !A || !B || !C) return SESSREC_INVALID_ARGUMENT;
    sessrec__matmul(sessrec__best_kernels(), M, N, K, A, a_row, a_column, B, b_row, C, c_row, accumulate);
    return SESSREC_OK;
}

SESSREC_API sessrec_result sessrec_matmul_bt(int32_t M, int32_t N, int32_t K, const float *A, ptrdiff_t a_row,
                                             const float *B, ptrdiff_t b_row, const float *bias, float *C,
                                             ptrdiff_t c_row, float *scratch) {
    if (M < 0 || N < 0 || K < 0 || !A || !B || !bias || !C || !scratch) return SESSREC_INVALID_ARGUMENT;
    sessrec__matmul_bt(sessrec__best_kernels(), M, N, K, A, a_row, B, b_row, bias, C, c_row, scratch);
    return SESSREC_OK;
}

SESSREC_API sessrec_result sessrec_exp(int32_t n, const float *x, float *y) {
    if (n < 0 || !x || !y) return SESSREC_INVALID_ARGUMENT;
    (sessrec__best_kernels()->exp)(n, x, 0, y);
    return SESSREC_OK;
}
SESSREC_API sessrec_result sessrec_tanh(int32_t n, const float *x, float *y) {
    if (n < 0 || !x || !y) return SESSREC_INVALID_ARGUMENT;
    (sessrec__best_kernels()->tanh)(n, x, y);
    return SESSREC_OK;
}
SESSREC_API sessrec_result sessrec_sigmoid(int32_t n, const float *x, float *y) {
    if (n < 0 || !x || !y) return SESSREC_INVALID_ARGUMENT;
    sessrec__best_kernels()->sigmoid(n, x, y);
    return SESSREC_OK;
}

SESSREC_API uint64_t sessrec_random(uint64_t seed, uint64_t stream, uint64_t index) {
    return sessrec__draw(sessrec__key(seed, stream), index);
}
SESSREC_API float sessrec_random_unit(uint64_t seed, uint64_t stream, uint64_t index) {
    return sessrec__unit(sessrec_random(seed, stream, index));
}

struct sessrec_pool {
    sessrec_allocator memory;
    sessrec__pool threads;
};

SESSREC_API sessrec_result sessrec_pool_create(int32_t threads, const sessrec_jobs *jobs,
                                               const sessrec_allocator *allocator, sessrec_pool **out,
                                               sessrec_error *err) {
    static const sessrec_jobs none = {NULL, NULL};
    const sessrec_allocator memory = sessrec__allocator(allocator);
    if (!out) return sessrec__null(err);
    *out = (sessrec_pool *)sessrec__alloc(&memory, 1, sizeof **out);
    if (!*out) return sessrec__no_memory(err);
    (*out)->memory = memory;
    sessrec__pool_init(&(*out)->threads, threads, jobs ? jobs : &none);
    return SESSREC_OK;
}

SESSREC_API int32_t sessrec_pool_threads(const sessrec_pool *pool) {
    return pool ? pool->threads.threads : 1;
}

SESSREC_API sessrec_result sessrec_parallel(sessrec_pool *pool, int32_t count,
                                            void (*task)(void *context, int32_t index), void *context) {
    if (!task) return SESSREC_INVALID_ARGUMENT;
    if (pool) sessrec__pool_run(&pool->threads, count, task, context);
    else
        for (int32_t i = 0; i < count; ++i) task(context, i);
    return SESSREC_OK;
}

SESSREC_API void sessrec_pool_destroy(sessrec_pool *pool) {
    if (!pool) return;
    sessrec_allocator memory = pool->memory;
    sessrec__pool_free(&pool->threads);
    sessrec__free(&memory, pool);
}

#endif // SESSREC_NO_TRAINING

// ===========================================================================================================
// >>config   defaults, what may be asked for, and both as text
// ===========================================================================================================

// Comparisons are written so that NaN fails them.
static SESSREC__UNUSED int sessrec__within(double value, double low, double high) {
    return value >= low && value <= high;
}

#ifndef SESSREC_NO_TRAINING

SESSREC_API sessrec_config sessrec_config_default(void) {
    sessrec_config c;
    memset(&c, 0, sizeof c);  // which is TIED, RESET_BEFORE, XE and LINEAR, too
    c.canary = SESSREC__CANARY_CONFIG;
    c.layer_count = 1;
    for (int l = 0; l < SESSREC_MAX_LAYERS; ++l) c.hidden[l] = 100;
    c.embedding_width = 100;
    c.loss.activation_a = 0.5f;
    c.loss.activation_b = 1.0507f;
    c.loss.with_diagonal = 1;
    c.loss.skip_own_target = 1;
    c.loss.calibration = 0.75f;
    c.loss.bpreg = 1;
    c.loss.logq = 1;
    c.optimizer.kind = SESSREC_ADAGRAD;
    c.optimizer.learning_rate = 0.2f;
    c.optimizer.momentum = 0.2f;
    c.optimizer.decay = 0.9f;
    c.optimizer.beta1 = 0.9f;
    c.optimizer.beta2 = 0.999f;
    c.optimizer.epsilon = 1e-6f;
    c.dropout_hidden = 0.4f;
    c.batch_size = 32;
    c.negatives = 2048;
    c.alpha = 0.5f;
    c.epochs = 10;
    c.seed = 1;
#ifdef SESSREC_CUDA
    c.device = SESSREC_DEVICE_CUDA_OR_CPU;
#endif
    return c;
}

// ---- the table of options ----

enum {
    SESSREC__WHOLE,      // int32_t
    SESSREC__LONG,       // int64_t
    SESSREC__SEED,       // uint64_t
    SESSREC__NUMBER,     // float
    SESSREC__SWITCH,     // int32_t, 0 or 1
    SESSREC__UNSET,      // the same upside down
    SESSREC__WORD,       // an enum: which of the words in `takes`
    SESSREC__PATH,       // const char *
    SESSREC__LAYERS,     // layer_count and hidden
    SESSREC__EMBEDDING,  // embedding and embedding_width
    SESSREC__ACTIVATION  // activation, activation_a and _b
};

typedef struct sessrec__option {
    const char *name;
    int kind;
    const void *field;  // of the configuration
    double least, most;
    const char *takes, *also;
} sessrec__option;

// Option number `index` of a configuration; 0 after the last.
static int sessrec__option_at(const sessrec_config *c, int32_t index, sessrec__option *out) {
    const double below_one = 0.999999;
    const sessrec__option list[] = {
        {"layers", SESSREC__LAYERS, c, 1, SESSREC__MAX_WIDTH, "N[,N]", NULL},
        {"embedding", SESSREC__EMBEDDING, c, 1, SESSREC__MAX_WIDTH, "tied|none|N", NULL},
        {"gru", SESSREC__WORD, &c->gru, 0, 0, "reset-before|reset-after", NULL},
        {"user-layers", SESSREC__WHOLE, &c->user_hidden, 0, SESSREC__MAX_WIDTH, "N", "user-hidden"},
        {"hrnn", SESSREC__WORD, &c->user_mode, 0, 0, "init|all|gates", "user-mode"},
        {"dropout-user", SESSREC__NUMBER, &c->dropout_user, 0, below_one, "X", NULL},
        {"dropout-init", SESSREC__NUMBER, &c->dropout_init, 0, below_one, "X", NULL},
        {"loss", SESSREC__WORD, &c->loss.kind, 0, 0, "xe|top1|bpr|top1-max|bpr-max|gbce", NULL},
        {"activation", SESSREC__ACTIVATION, c, 0, 1e6, "linear|tanh|relu|leaky:X|elu:X|selu:X:X", NULL},
        {"paper-form", SESSREC__UNSET, &c->loss.with_diagonal, 0, 1, NULL, NULL},
        {"logq", SESSREC__NUMBER, &c->loss.logq, 0, 1e6, "X", NULL},
        {"smoothing", SESSREC__NUMBER, &c->loss.smoothing, 0, below_one, "X", NULL},
        {"bpreg", SESSREC__NUMBER, &c->loss.bpreg, 0, 1e9, "X", NULL},
        {"count-own-target", SESSREC__UNSET, &c->loss.skip_own_target, 0, 1, NULL, NULL},
        {"hardest", SESSREC__WHOLE, &c->loss.hardest, 0, SESSREC__MAX_NEGATIVES, "N", NULL},
        {"calibration", SESSREC__NUMBER, &c->loss.calibration, 0, 1, "X", NULL},
        {"sampling-rate", SESSREC__NUMBER, &c->loss.sampling_rate, 0, 1, "X", NULL},
        {"epochs", SESSREC__WHOLE, &c->epochs, 1, INT32_MAX, "N", NULL},
        {"batch", SESSREC__WHOLE, &c->batch_size, 1, SESSREC__MAX_BATCH, "N", "batch-size"},
        {"negatives", SESSREC__WHOLE, &c->negatives, 0, SESSREC__MAX_NEGATIVES, "N", NULL},
        {"alpha", SESSREC__NUMBER, &c->alpha, 0, 1, "X", NULL},
        {"dropout-input", SESSREC__NUMBER, &c->dropout_input, 0, below_one, "X", NULL},
        {"dropout-hidden", SESSREC__NUMBER, &c->dropout_hidden, 0, below_one, "X", NULL},
        {"shuffle", SESSREC__SWITCH, &c->shuffle_sessions, 0, 1, NULL, "shuffle-sessions"},
        {"optimizer", SESSREC__WORD, &c->optimizer.kind, 0, 0, "sgd|adagrad|rmsprop|adadelta|adam", NULL},
        {"lr", SESSREC__NUMBER, &c->optimizer.learning_rate, 1e-30, 1e9, "X", "learning-rate"},
        {"momentum", SESSREC__NUMBER, &c->optimizer.momentum, 0, below_one, "X", NULL},
        {"decay", SESSREC__NUMBER, &c->optimizer.decay, 1e-6, below_one, "X", NULL},
        {"beta1", SESSREC__NUMBER, &c->optimizer.beta1, 0, 0.9999999, "X", NULL},
        {"beta2", SESSREC__NUMBER, &c->optimizer.beta2, 0, 0.9999999, "X", NULL},
        {"epsilon", SESSREC__NUMBER, &c->optimizer.epsilon, 1e-30, 1, "X", NULL},
        {"l2", SESSREC__NUMBER, &c->optimizer.l2, 0, 1e6, "X", NULL},
        {"gradient-cap", SESSREC__NUMBER, &c->optimizer.gradient_cap, 0, 1e30, "X", NULL},
        {"seed", SESSREC__SEED, &c->seed, 0, 0, "N", NULL},
        {"patience", SESSREC__WHOLE, &c->patience, 0, INT32_MAX, "N", NULL},
        {"checkpoint", SESSREC__PATH, &c->checkpoint, 0, 0, "FILE", NULL},
        {"checkpoint-steps", SESSREC__LONG, &c->checkpoint_steps, 0, 9e15, "N", NULL},
        {"resume", SESSREC__SWITCH, &c->resume, 0, 1, NULL, NULL},
        {"device", SESSREC__WORD, &c->device, 0, 0, "cpu|cuda|auto", NULL},
        {"threads", SESSREC__WHOLE, &c->threads, 0, 1024, "N", NULL},
    };
    if (index < 0 || index >= (int32_t)(sizeof list / sizeof list[0])) return 0;
    *out = list[index];
    return 1;
}

static int sessrec__same_option(const char *a, const char *b) {
    while (*a && *a == (*b == '_' ? '-' : *b)) ++a, ++b;
    return !*a && !*b;
}

static sessrec_result sessrec__find_option(const sessrec_config *config, const char *name,
                                           sessrec__option *out, sessrec_error *err) {
    if (config->canary != SESSREC__CANARY_CONFIG)
        return sessrec__invalid(err,
                                "the configuration was not made by sessrec_config_default(): call it, then "
                                "change fields");
    for (int32_t i = 0; sessrec__option_at(config, i, out); ++i)
        if (sessrec__same_option(out->name, name) || (out->also && sessrec__same_option(out->also, name)))
            return SESSREC_OK;
    return sessrec__fail(err, SESSREC_INVALID_ARGUMENT, 0, "there is no option \"%s\"", name);
}

SESSREC_API const char *sessrec_config_name(int32_t index, const char **takes) {
#ifdef __cplusplus
    static const sessrec_config any = {};  // names do not depend on it
#else
    static const sessrec_config any = {0};
#endif
    sessrec__option option = {NULL, 0, NULL, 0, 0, NULL, NULL};
    (void)sessrec__option_at(&any, index, &option);
    if (takes) *takes = option.takes;
    return option.name;
}

// ---- values to text ----

// A text that is being written into a buffer.
typedef struct sessrec__spelling {
    char *text;
    size_t size, used, wanted;
} sessrec__spelling;

static void sessrec__spell(sessrec__spelling *w, const char *piece, size_t length) {
    w->wanted += length;
    sessrec__append(w->text, w->size, &w->used, piece, length);
}

static void sessrec__spell_whole(sessrec__spelling *w, int64_t value) {
    char digits[24];
    const char *at = sessrec__decimal(value, digits);
    sessrec__spell(w, at, strlen(at));
}

// As few digits as give the same float when read, at most nine. snprintf would use the locale's decimal
// point.
static void sessrec__spell_number(sessrec__spelling *w, double value) {
    const double size = fabs(value);
    if (!(size < HUGE_VAL)) {
        sessrec__spell(w, value < 0 ? "-inf" : value > 0 ? "inf" : "nan", value < 0 ? 4 : 3);
        return;
    }
    int power = size > 0 ? (int)floor(log10(size)) : 0;  // of the last of the digits
    int64_t digits = 0;
    for (const int least = power - 9; power > least; --power) {
        digits = (int64_t)floor(size * pow(10.0, -power) + 0.5);
        if ((float)((double)digits * pow(10.0, power)) == (float)size) break;
    }
    for (; digits && digits % 10 == 0; ++power) digits /= 10;
    if (value < 0) sessrec__spell(w, "-", 1);
    char text[24];
    const char *at = sessrec__decimal(digits, text);
    int left = (int)strlen(at), point = power + left;  // digits before the point
    const int scientific = point > 10 || point < -3;
    if (scientific) {
        sessrec__spell(w, at++, 1);
        if (--left) sessrec__spell(w, ".", 1);
    } else if (point <= 0) {
        sessrec__spell(w, "0.0000", (size_t)(2 - point));
    } else {
        for (; point > 0; --point) sessrec__spell(w, left ? at++ : "0", 1), left -= left > 0;
        if (left) sessrec__spell(w, ".", 1);
    }
    sessrec__spell(w, at, (size_t)left);
    if (!scientific) return;
    sessrec__spell(w, "e", 1);
    sessrec__spell_whole(w, point - 1);
}

// Word number `index` of "a|b|c", the number itself if there is none.
static void sessrec__spell_word(sessrec__spelling *w, const char *words, int32_t index) {
    int32_t left = index;
    for (; left > 0 && strchr(words, '|'); --left) words = strchr(words, '|') + 1;
    if (left) sessrec__spell_whole(w, index);
    else sessrec__spell(w, words, strcspn(words, ":|"));
}

static void sessrec__spell_option(sessrec__spelling *w, const sessrec__option *o) {
    const sessrec_config *c = (const sessrec_config *)o->field;
    const int32_t *whole = (const int32_t *)o->field;
    switch (o->kind) {
    case SESSREC__WHOLE: sessrec__spell_whole(w, *whole); break;
    case SESSREC__LONG: sessrec__spell_whole(w, *(const int64_t *)o->field); break;
    case SESSREC__SEED: {
        const uint64_t seed = *(const uint64_t *)o->field;
        if (seed > 9) sessrec__spell_whole(w, (int64_t)(seed / 10));
        sessrec__spell_whole(w, (int64_t)(seed % 10));
        break;
    }
    case SESSREC__NUMBER: sessrec__spell_number(w, (double)*(const float *)o->field); break;
    case SESSREC__SWITCH: sessrec__spell_whole(w, *whole != 0); break;
    case SESSREC__UNSET: sessrec__spell_whole(w, *whole == 0); break;
    case SESSREC__WORD: sessrec__spell_word(w, o->takes, *whole); break;
    case SESSREC__PATH: {
        const char *path = *(const char *const *)o->field;
        if (path) sessrec__spell(w, path, strlen(path));
        break;
    }
    case SESSREC__LAYERS:
        if (c->layer_count < 1 || c->layer_count > SESSREC_MAX_LAYERS) {
            sessrec__spell_whole(w, c->layer_count);
            sessrec__spell(w, " layers", 7);
        } else {
            for (int32_t l = 0; l < c->layer_count; ++l) {
                if (l) sessrec__spell(w, ",", 1);
                sessrec__spell_whole(w, c->hidden[l]);
            }
        }
        break;
    case SESSREC__EMBEDDING:
        if (c->embedding == SESSREC_EMBEDDING_SEPARATE) sessrec__spell_whole(w, c->embedding_width);
        else if (c->embedding == SESSREC_EMBEDDING_NONE) sessrec__spell(w, "none", 4);
        else if (c->embedding == SESSREC_EMBEDDING_TIED) sessrec__spell(w, "tied", 4);
        else sessrec__spell(w, "?", 1);
        break;
    default:
        sessrec__spell_word(w, o->takes, c->loss.activation);
        if (c->loss.activation == SESSREC_SELU) {
            sessrec__spell(w, ":", 1);
            sessrec__spell_number(w, (double)c->loss.activation_b);
        }
        if (c->loss.activation >= SESSREC_LEAKY && c->loss.activation <= SESSREC_SELU) {
            sessrec__spell(w, ":", 1);
            sessrec__spell_number(w, (double)c->loss.activation_a);
        }
    }
}

SESSREC_API sessrec_result sessrec_config_get(const sessrec_config *config, const char *name, char *value,
                                              size_t size, sessrec_error *err) {
    sessrec__option option;
    if (value && size) *value = 0;
    if (!config || !name || !value || !size) return sessrec__null(err);
    sessrec_result result = sessrec__find_option(config, name, &option, err);
    if (result) return result;
    sessrec__spelling writing = {value, size, 0, 0};
    if (option.field == &config->loss.kind && config->loss.kind == SESSREC_LOSS_CUSTOM)
        sessrec__spell(&writing, "custom", 6);
    else sessrec__spell_option(&writing, &option);
    return writing.wanted < size ? SESSREC_OK
                                 : sessrec__fail(err, SESSREC_TOO_LARGE, 0, "the value of %s has %d bytes",
                                                 option.name, (int64_t)writing.wanted);
}

// ---- text to values ----

static int sessrec__parse_number(const char *at, const char *end, double *out);

// Digits up to `end`, with a '-' before them if the range allows it.
static int sessrec__take_whole(const char *at, const char *end, double least, double most, int64_t *out) {
    double value;
    int64_t whole = 0;
    const int negative = at < end && *at == '-';
    if (end - at > 18 + negative || !sessrec__parse_number(at, end, &value) ||
        !sessrec__within(value, least, most))
        return 0;
    for (at += negative; at < end; ++at) {
        if (*at < '0' || *at > '9') return 0;
        whole = whole * 10 + (*at - '0');
    }
    *out = negative ? -whole : whole;
    return 1;
}

static int sessrec__take_number(const char *at, const char *end, const sessrec__option *o, float *out) {
    double value;
    if (end - at > 64 || strspn(at, "+-.0123456789eE") < (size_t)(end - at) ||
        !sessrec__parse_number(at, end, &value) ||
        !sessrec__within(value, o->least, o->most))
        return 0;
    *out = (float)value;
    return 1;
}

static int sessrec__take_seed(const char *text, uint64_t *out) {
    uint64_t seed = 0;
    if (!*text) return 0;
    for (; *text; ++text) {
        if (*text < '0' || *text > '9') return 0;
        const uint64_t digit = (uint64_t)(*text - '0');
        if (seed > (UINT64_MAX - digit) / 10) return 0;
        seed = seed * 10 + digit;
    }
    *out = seed;
    return 1;
}

// Which of the words "a|b:X|c" the text up to `end` is, from 0; -1 for none.
static int32_t sessrec__take_word(const char *words, const char *text, const char *end) {
    for (int32_t i = 0;; ++i) {
        const size_t length = strcspn(words, ":|");
        if (length == (size_t)(end - text) && !memcmp(words, text, length)) return i;
        words += strcspn(words, "|");
        if (!*words++) return -1;
    }
}

static int sessrec__take_layers(const char *text, const sessrec__option *o, sessrec_config *c) {
    int32_t count = 0, widths[SESSREC_MAX_LAYERS];
    for (;; ++text) {
        const char *end = text + strcspn(text, ",");
        int64_t width;
        if (count == SESSREC_MAX_LAYERS || !sessrec__take_whole(text, end, o->least, o->most, &width))
            return 0;
        widths[count++] = (int32_t)width;
        text = end;
        if (!*text) break;
    }
    memcpy(c->hidden, widths, (size_t)count * sizeof *widths);
    c->layer_count = count;
    return 1;
}

static int sessrec__take_embedding(const char *text, const sessrec__option *o, sessrec_config *c) {
    const int32_t word = sessrec__take_word("tied|none", text, text + strlen(text));
    int64_t width = c->embedding_width;
    if (word < 0 && !sessrec__take_whole(text, text + strlen(text), o->least, o->most, &width)) return 0;
    c->embedding = word == 0   ? SESSREC_EMBEDDING_TIED
                   : word == 1 ? SESSREC_EMBEDDING_NONE
                               : SESSREC_EMBEDDING_SEPARATE;
    c->embedding_width = (int32_t)width;
    return 1;
}

// "elu:0.5": a word, and the numbers that it may have; without them the fields stay.
static int sessrec__take_activation(const char *text, const sessrec__option *o, sessrec_loss_config *loss) {
    const char *end = text + strcspn(text, ":");
    const int32_t kind = sessrec__take_word(o->takes, text, end);
    float a = loss->activation_a, b = loss->activation_b;
    if (kind < 0) return 0;
    if (*end) {
        text = end + 1;
        end = text + strcspn(text, ":");
        if (kind < SESSREC_LEAKY || (kind == SESSREC_SELU) != (*end == ':')) return 0;
        if (*end && !sessrec__take_number(text, end, o, &b)) return 0;
        if (*end) text = end + 1;
        if (!sessrec__take_number(text, text + strlen(text), o, &a)) return 0;
    }
    loss->activation = kind;
    loss->activation_a = a;
    loss->activation_b = b;
    return 1;
}

static int sessrec__take_option(const char *text, const sessrec__option *o) {
    void *field = (void *)o->field;  // the caller's configuration is not const
    const char *end = text + strlen(text);
    int64_t whole = 0;
    int taken;
    switch (o->kind) {
    case SESSREC__NUMBER: return sessrec__take_number(text, end, o, (float *)field);
    case SESSREC__SEED: return sessrec__take_seed(text, (uint64_t *)field);
    case SESSREC__PATH: *(const char **)field = *text ? text : NULL; return 1;
    case SESSREC__LAYERS: return sessrec__take_layers(text, o, (sessrec_config *)field);
    case SESSREC__EMBEDDING: return sessrec__take_embedding(text, o, (sessrec_config *)field);
    case SESSREC__ACTIVATION: return sessrec__take_activation(text, o, &((sessrec_config *)field)->loss);
    case SESSREC__WORD: whole = sessrec__take_word(o->takes, text, end); break;
    default:
        taken = sessrec__take_whole(text, end, o->least, o->most, &whole);
        if (taken && o->kind == SESSREC__LONG) *(int64_t *)field = whole;
        if (!taken || o->kind == SESSREC__LONG) return taken;
    }
    if (whole < 0) return 0;
    *(int32_t *)field = (int32_t)(o->kind == SESSREC__UNSET ? !whole : whole);
    return 1;
}

static sessrec_result sessrec__refuse_value(const sessrec__option *o, const char *value, sessrec_error *err) {
    char range[64];
    sessrec__spelling w = {range, sizeof range, 0, 0};
    const char *what = o->kind == SESSREC__NUMBER ? "a number"
                       : o->kind == SESSREC__SEED ? "a whole number from 0 to 18446744073709551615"
                       : o->takes && o->takes[1]  ? o->takes
                                                  : "a whole number";
    range[0] = 0;
    if (o->most > 0) {
        const int real = o->kind == SESSREC__NUMBER;
        sessrec__spell(&w, what == o->takes ? ", numbers" : "", what == o->takes ? 9 : 0);
        sessrec__spell(&w, " from ", 6);
        if (real) sessrec__spell_number(&w, o->least);
        else sessrec__spell_whole(&w, (int64_t)o->least);
        sessrec__spell(&w, " to ", 4);
        if (real) sessrec__spell_number(&w, o->most);
        else sessrec__spell_whole(&w, (int64_t)o->most);
    }
    return sessrec__fail(err, SESSREC_INVALID_ARGUMENT, 0, "%s takes %s%s, not '%s'", o->name, what, range,
                         value);
}

SESSREC_API sessrec_result sessrec_config_set(sessrec_config *config, const char *name, const char *value,
                                              sessrec_error *err) {
    sessrec__option option;
    if (!config || !name || !value) return sessrec__null(err);
    sessrec_result result = sessrec__find_option(config, name, &option, err);
    if (!result && !sessrec__take_option(value, &option)) result = sessrec__refuse_value(&option, value, err);
    return result;
}

// Every field has a value that its text could set, and the values are consistent.
SESSREC_API sessrec_result sessrec_config_check(const sessrec_config *c, sessrec_error *err) {
    sessrec__option option;
    if (!c) return sessrec__null(err);
    sessrec_result result = sessrec__find_option(c, "loss", &option, err);
    sessrec_config copy = *c;
    const int custom = c->loss.kind == SESSREC_LOSS_CUSTOM;
    for (int32_t i = 0; !result && sessrec__option_at(&copy, i, &option); ++i) {
        char value[64];
        sessrec__spelling writing = {value, sizeof value, 0, 0};
        if (option.kind == SESSREC__PATH || (custom && option.field == &copy.loss.kind)) continue;
        value[0] = 0;
        sessrec__spell_option(&writing, &option);
        if (!sessrec__take_option(value, &option)) result = sessrec__refuse_value(&option, value, err);
    }
    if (result) return result;
    if (custom && !c->loss.custom)
        return sessrec__invalid(err, "loss is custom, but loss.custom is NULL");
    if (!sessrec__within(c->loss.activation_a, 0, 1e6) || !sessrec__within(c->loss.activation_b, 0, 1e6))
        return sessrec__invalid(err, "activation_a and activation_b must be from 0 to 1000000");
    if (c->batch_size == 1 && !c->negatives)
        return sessrec__invalid(err,
                                "with batch 1 and negatives 0 a target has nothing to be compared with: "
                                "raise one of them");
    return SESSREC_OK;
}

#endif // SESSREC_NO_TRAINING

// ===========================================================================================================
// >>sink   bytes that go to memory, to a checksum or to a file
// ===========================================================================================================

typedef struct sessrec__sink {
    // returns 0 when it cannot, from then on every time
    int (*put)(struct sessrec__sink *sink, const unsigned char *bytes, size_t size);
} sessrec__sink;

static int sessrec__sink_write(sessrec__sink *sink, const void *bytes, size_t size) {
    return sink->put(sink, (const unsigned char *)bytes, size);
}

// Further down: >>model_file, >>disk.
// writes everything; 0 after a failure
typedef int (*sessrec__producer)(sessrec__sink *sink, const void *what);
#ifndef SESSREC_NO_STDIO
#  ifdef SESSREC__POSIX
typedef int sessrec__handle;
#    define SESSREC__NO_HANDLE (-1)
#  else
typedef FILE *sessrec__handle;
#    define SESSREC__NO_HANDLE NULL
#  endif
// A file to write: its path and content, and how a file that it may replace begins (NULL: any). The rest is
// for >>disk.
typedef struct sessrec__save {
    const char *path, *begins;
    sessrec__producer produce;
    const void *what;
    int check;                          // only find out whether it can be written
    int32_t number;                     // of the temporary name; -1: written in its place
    int replaces, kept, published;      // there is an old file; it has a second name; the new one has its own
    sessrec__handle file;
} sessrec__save;
static sessrec_result sessrec__save_files(sessrec__save *saves, int32_t count, sessrec_error *err);
static sessrec_result sessrec__save_file(const char *path, sessrec__producer produce, const void *what,
                                         sessrec_error *err);
#endif

typedef struct sessrec__memory_sink {
    sessrec__sink sink;
    unsigned char *at;
    size_t room;
} sessrec__memory_sink;

static int sessrec__memory_put(sessrec__sink *sink, const unsigned char *bytes, size_t size) {
    sessrec__memory_sink *memory = (sessrec__memory_sink *)sink;
    if (size > memory->room) return 0;
    if (size) memcpy(memory->at, bytes, size);
    memory->at += size;
    memory->room -= size;
    return 1;
}

// CRC-32C with the reflected polynomial 0x82f63b78 (Castagnoli 1993). after[n] is what the four bits n leave
// when 28 zero bits follow them. x86-64 has an instruction for eight bytes, AArch64 nearly always too.
static uint32_t sessrec__crc_plain(uint32_t rest, const unsigned char *at, size_t size) {
    static const uint32_t after[16] = {0x00000000u, 0x105ec76fu, 0x20bd8edeu, 0x30e349b1u,
                                       0x417b1dbcu, 0x5125dad3u, 0x61c69362u, 0x7198540du,
                                       0x82f63b78u, 0x92a8fc17u, 0xa24bb5a6u, 0xb21572c9u,
                                       0xc38d26c4u, 0xd3d3e1abu, 0xe330a81au, 0xf36e6f75u};
    for (; size; --size) {
        rest ^= *at++;
        rest = rest >> 4 ^ after[rest & 15];
        rest = rest >> 4 ^ after[rest & 15];
    }
    return rest;
}

#ifdef SESSREC__X86
#  if defined(__GNUC__) || defined(__clang__)
#    define SESSREC__HAS_CRC() (__builtin_cpu_init(), __builtin_cpu_supports("sse4.2"))
#  else
#    define SESSREC__HAS_CRC() (sessrec__processor_level() > 0)  // every processor with AVX2 has it
#  endif
#  define SESSREC__CRC_WORD(rest, word) ((uint32_t)_mm_crc32_u64(rest, word))
#elif defined(SESSREC__NEON) && defined(__ARM_FEATURE_CRC32)
#  include <arm_acle.h>
#  define SESSREC__HAS_CRC() 1
#  define SESSREC__CRC_WORD(rest, word) __crc32cd(rest, word)
#endif
#ifdef SESSREC__CRC_WORD
#  ifdef SESSREC__X86
SESSREC__TARGET_OF("sse4.2")
#  endif
static uint32_t sessrec__crc_words(uint32_t rest, const unsigned char *at, size_t words) {
    for (; words; --words, at += 8) {
        uint64_t word;
        memcpy(&word, at, sizeof word);
        rest = SESSREC__CRC_WORD(rest, word);
    }
    return rest;
}
#endif

// The checksum of some bytes. `seed` is 0 or the checksum of the preceding bytes.
static uint32_t sessrec__crc32c(uint32_t seed, const void *bytes, size_t size) {
    const unsigned char *at = (const unsigned char *)bytes;
    uint32_t rest = ~seed;
#ifdef SESSREC__CRC_WORD
    if (SESSREC_MAX_SIMD > 0 && size >= 8 && SESSREC__HAS_CRC()) {
        rest = sessrec__crc_words(rest, at, size / 8);
        at += size & ~(size_t)7;
        size &= 7;
    }
#endif
    return ~sessrec__crc_plain(rest, at, size);
}
#undef SESSREC__HAS_CRC
#undef SESSREC__CRC_WORD

// Whether `count` 32-bit numbers are below a limit of at most 2^31; the highest bit of each must be 0 unless
// it is in `sign`. Floats are checked by their bits, because -ffast-math compilers assume that there are no
// NaNs. Eight at a time, so that compilers vectorize it.
static int sessrec__all_below(const void *numbers, uint64_t count, uint32_t sign, uint32_t limit) {
    const char *at = (const char *)numbers;
    const uint32_t high = 0x80000000u, carry = high - limit;  // carries into the highest bit from limit on
    uint32_t bits[8], found = 0;
    for (; count >= 8; count -= 8, at += sizeof bits) {
        uint32_t any = 0;
        memcpy(bits, at, sizeof bits);
        for (int j = 0; j < 8; ++j) any |= ((bits[j] & ~high) + carry) | (bits[j] & ~sign);
        found |= any;
    }
    for (; count; --count, at += sizeof *bits) {
        memcpy(bits, at, sizeof *bits);
        found |= ((bits[0] & ~high) + carry) | (bits[0] & ~sign);
    }
    return !(found >> 31);
}

// ===========================================================================================================
// >>log   click logs
// Rows of a file, single events and arrays all become events (session, item, time) in the order of the input.
// Tables number their ids; a session's key is its id and, if the event has a user, the user's number.
// sessrec__group then sorts sessions by the time of their first event and events within a session by time,
// both stably, and drops ids without events. Filters, cuts and splits group the events of a log again, with
// another session, or none, for each.
//   items [events], times [events], session_begins [sessions+1], session_users [sessions], supports [items]
// Reading keeps 16 bytes per event until the grouped form of 12 bytes is made; grouping needs about 28 bytes
// per session.
// ===========================================================================================================
#ifndef SESSREC_NO_TRAINING

// The kinds of ids, and what else a reader looks for in a row.
enum {
    SESSREC__SESSION,
    SESSREC__ITEM,
    SESSREC__USER,
    SESSREC__CATEGORY,
    SESSREC__IDS = SESSREC__CATEGORY + SESSREC_MAX_CATEGORIES,
    SESSREC__TIME = SESSREC__IDS,
    SESSREC__OFFSET,
    SESSREC__WHERE,
    SESSREC__WANTED = SESSREC__WHERE + 4
};
// Rows whose ids are numbered together; room for an id, its NUL, a user's number and 8 more bytes; notes.
enum { SESSREC__ROWS = 64, SESSREC__ID_ROOM = SESSREC_MAX_ID + 16, SESSREC__NOTES = 16 };

// Bytes in someone else's memory: a field of a line, an id.
typedef struct sessrec__text {
    const char *at;
    size_t size;
} sessrec__text;

// An id whose slot is being prefetched. at == NULL: there is none.
typedef struct sessrec__waiting {
    const char *at;
    uint32_t size, hash;
} sessrec__waiting;

// What a log collects before it is finished.
typedef struct sessrec__intake {
    int64_t count, room;    // events
    double *time, *offset;  // [room]; offset, to be added to the time, only while a file has one
    int32_t *label, *item;  // [room] numbers in the tables
    int32_t *category[SESSREC_MAX_CATEGORIES];
    int32_t rows;           // that wait after those events
    sessrec__waiting id[SESSREC__IDS][SESSREC__ROWS];
    char session[SESSREC__ROWS][SESSREC__ID_ROOM];      // keys of sessions of users
    char number[SESSREC__CATEGORY][SESSREC__ROWS][32];  // ids that are integers
    sessrec_error failure;  // the first; finishing returns it
} sessrec__intake;

struct sessrec_log {
    sessrec_allocator memory;
    int32_t known_items;  // of format.items_of: items 0 .. known_items-1
    int32_t roles;        // kinds of ids that this log has: CATEGORY + its categories
    char names[SESSREC_MAX_CATEGORIES][SESSREC_MAX_ID + 1];  // of the categories
    sessrec__intake *in;  // NULL when the log is finished
    sessrec__ids ids[SESSREC__IDS];
    sessrec_log_view view;  // of the finished log
    void *block;            // of its arrays
    int32_t notes;
    sessrec_error note[SESSREC__NOTES];  // only the texts are used
};

SESSREC_API sessrec_log_format sessrec_log_format_default(void) {
    sessrec_log_format format;
    memset(&format, 0, sizeof format);
    format.canary = SESSREC__CANARY_LOG;
    format.session_column = "SessionId";
    format.item_column = "ItemId";
    format.time_column = "Time";
    format.user_column = "UserId";
    format.quotes = 1;
    format.day_first = -1;
    return format;
}

SESSREC_API sessrec_filter sessrec_filter_default(void) {
    sessrec_filter filter;
    memset(&filter, 0, sizeof filter);
    filter.canary = SESSREC__CANARY_FILTER;
    return filter;
}

static sessrec_log *sessrec__log_new(const sessrec_allocator *memory, int32_t known_items, int32_t roles,
                                     uint64_t key) {
    sessrec_log *log = (sessrec_log *)sessrec__alloc(memory, 1, sizeof *log);
    if (!log) return NULL;
    log->memory = *memory;
    if (memory->alloc == sessrec__malloc_large) log->memory.alloc = sessrec__malloc;  // of events, not of ids
    log->known_items = known_items;
    log->roles = roles;
    log->view.category_count = roles - SESSREC__CATEGORY;
    for (int role = 0; role < SESSREC__IDS; ++role) sessrec__ids_init(&log->ids[role], memory, key);
    return log;
}

// Frees what a log holds, but not the log itself.
static void sessrec__log_clear(sessrec_log *log) {
    const sessrec_allocator memory = log->memory;
    if (log->in) {
        sessrec__free(&memory, log->in->time);
        sessrec__free(&memory, log->in->offset);
        sessrec__free(&memory, log->in->label);
        sessrec__free(&memory, log->in->item);
        for (int c = 0; c < SESSREC_MAX_CATEGORIES; ++c) sessrec__free(&memory, log->in->category[c]);
        sessrec__free(&memory, log->in);
    }
    for (int role = 0; role < SESSREC__IDS; ++role) sessrec__ids_free(&log->ids[role]);
    sessrec__free(&memory, log->block);
}

SESSREC_API void sessrec_log_destroy(sessrec_log *log) {
    if (!log) return;
    const sessrec_allocator memory = log->memory;
    sessrec__log_clear(log);
    sessrec__free(&memory, log);
}

// Copies ids to an empty table in the given order. Their texts are scattered, so some are prefetched.
static sessrec_result sessrec__copy_ids(const sessrec__ids *from, const int32_t *index, int32_t count,
                                        sessrec__ids *to) {
    const int32_t ahead = 16;
    sessrec_result result = sessrec__ids_room(to, count, from->blob_used);
    for (int32_t i = 0; i < count && !result; ++i) {
        const char *text = sessrec__ids_text(from, index[i]);
        if (i + ahead < count) SESSREC__PREFETCH(sessrec__ids_text(from, index[i + ahead]));
        result = sessrec__ids_push(to, text, strlen(text));
    }
    return result;
}

// The sentence for errors that belong to no row.
static sessrec_result sessrec__log_failed(sessrec_error *err, sessrec_result result) {
    if (result == SESSREC_OUT_OF_MEMORY) return sessrec__no_memory(err);
    if (result == SESSREC_TOO_LARGE)
        return sessrec_error_set(err, result, "the log has too many ids, or events in one session");
    return result;
}

// Where the text of the next note goes: sessrec__fail writes it. NULL when there are too many.
static sessrec_error *sessrec__note(sessrec_log *log) {
    return log->notes < SESSREC__NOTES ? &log->note[log->notes++] : NULL;
}

// ---- grouping ----

// Stable merge sort by time: first runs of 32 by insertion, then wider ones. Runs that are in order already
// cost one look.
static sessrec_result sessrec__sort_by_time(const sessrec_allocator *memory, double *time, int32_t *value,
                                            int64_t count) {
    const int64_t run = 32;
    int64_t sorted = 1;
    while (sorted < count && time[sorted - 1] <= time[sorted]) ++sorted;
    for (int64_t i = sorted; i < count; ++i) {
        const double moving = time[i];
        const int32_t its_value = value[i];
        int64_t to = i;
        for (; to % run && time[to - 1] > moving; --to) {
            time[to] = time[to - 1];
            value[to] = value[to - 1];
        }
        time[to] = moving;
        value[to] = its_value;
    }
    if (sorted >= count || count <= run) return SESSREC_OK;
    double *spare = (double *)sessrec__alloc_unset(memory, (uint64_t)count, sizeof *time + sizeof *value);
    if (!spare) return SESSREC_OUT_OF_MEMORY;
    int32_t *spare_value = (int32_t *)(void *)(spare + count);
    for (int64_t width = run; width < count; width *= 2)
        for (int64_t to = 0, middle = width; middle < count; to = middle + width, middle = to + width) {
            const int64_t end = count - middle < width ? count : middle + width;
            int64_t left = 0, right = middle;
            if (time[middle - 1] <= time[middle]) continue;
            memcpy(spare, time + to, (size_t)width * sizeof *time);
            memcpy(spare_value, value + to, (size_t)width * sizeof *value);
            for (; left < width; ++to) {  // to < right: what is left of the right half is in its place
                const int take_left = right == end || spare[left] <= time[right];
                time[to] = take_left ? spare[left] : time[right];
                value[to] = take_left ? spare_value[left++] : value[right++];
            }
        }
    sessrec__free(memory, spare);
    return SESSREC_OK;
}

// Events to group, and what grouping needs. A label is a session's number before sessions are sorted.
typedef struct sessrec__grouping {
    sessrec_log *log;  // that is made
    int64_t count;
    const double *time;             // [count]
    const int32_t *label, *item;    // [count]; a negative label: left out
    const int32_t *category[SESSREC_MAX_CATEGORIES];
    const int32_t *user;            // [labels] -1: nobody; NULL: the log has no users
    int32_t all[SESSREC__IDS];      // labels, items, users, values
    int64_t *at;                    // [labels] events, then where the next one goes
    double *start;                  // [labels] time of the earliest event
    int64_t *events;                // [items]
    int32_t *number[SESSREC__IDS];  // [all] of items, users and values in the log that is made
    int32_t *kept[SESSREC__IDS];    // [count_of] those that it has, sessions by start
    int32_t count_of[SESSREC__IDS];
    int64_t *session_begins, *supports;  // its arrays
    int32_t *log_items, *session_users, *categories[SESSREC_MAX_CATEGORIES];
    double *times, *spare;  // spare [longest]: times to sort categories by
    int64_t longest;        // events of a session
} sessrec__grouping;

static void sessrec__group_layout(void *object, sessrec__layout *layout) {
    sessrec__grouping *g = (sessrec__grouping *)object;
    g->at = sessrec__place_longs(layout, (uint64_t)g->all[SESSREC__SESSION]);
    g->start = sessrec__place_doubles(layout, (uint64_t)g->all[SESSREC__SESSION]);
    g->events = sessrec__place_longs(layout, (uint64_t)g->all[SESSREC__ITEM]);
    for (int role = 0; role < SESSREC__IDS; ++role) {
        const uint64_t all = (uint64_t)g->all[role];
        g->kept[role] = sessrec__place_ints(layout, all);
        if (role != SESSREC__SESSION)
            g->number[role] = sessrec__place_ints(layout, all);
    }
}

static void sessrec__log_layout(void *object, sessrec__layout *layout) {
    sessrec__grouping *g = (sessrec__grouping *)object;
    sessrec_log_view *view = &g->log->view;
    const uint64_t sessions = (uint64_t)view->session_count, events = (uint64_t)view->event_count;
    view->session_begins = g->session_begins = sessrec__place_longs(layout, sessions + 1);
    view->times = g->times = sessrec__place_doubles(layout, events);
    view->items = g->log_items = sessrec__place_ints(layout, events);
    view->supports = g->supports = sessrec__place_longs(layout, (uint64_t)view->item_count);
    if (view->user_count)
        view->session_users = g->session_users = sessrec__place_ints(layout, sessions);
    for (int c = 0; c < view->category_count; ++c)
        view->categories[c] = g->categories[c] = sessrec__place_ints(layout, events);
    if (view->category_count)
        g->spare = sessrec__place_doubles(layout, (uint64_t)g->longest);
}

// Lists what the log will have: items with events and known ones, users with sessions, and the sessions by
// start, equal ones in the order of labels.
static sessrec_result sessrec__group_count(sessrec__grouping *g) {
    sessrec_log_view *view = &g->log->view;
    int32_t *sessions = &g->count_of[SESSREC__SESSION], *user = g->number[SESSREC__USER];
    for (int64_t e = 0; e < g->count; ++e) {
        const int32_t s = g->label[e];
        if (s < 0) continue;
        if (!g->at[s]++ || g->time[e] < g->start[s]) g->start[s] = g->time[e];
        ++g->events[g->item[e]];
        for (int c = 0; c < view->category_count; ++c)
            if (g->category[c][e] >= 0) g->number[SESSREC__CATEGORY + c][g->category[c][e]] = 1;
    }
    for (int32_t s = 0; s < g->all[SESSREC__SESSION]; ++s) {
        if (!g->at[s]) continue;
        if (g->longest < g->at[s]) g->longest = g->at[s];
        view->event_count += g->at[s];
        g->start[*sessions] = g->start[s];  // *sessions <= s
        g->kept[SESSREC__SESSION][(*sessions)++] = s;
        if (g->user && g->user[s] >= 0) user[g->user[s]] = 1;
    }
    for (int32_t i = 0; i < g->all[SESSREC__ITEM]; ++i)
        g->number[SESSREC__ITEM][i] = g->events[i] || i < g->log->known_items;
    for (int role = SESSREC__ITEM; role < g->log->roles; ++role)
        for (int32_t i = 0; i < g->all[role]; ++i) {
            if (!g->number[role][i]) continue;
            g->number[role][i] = g->count_of[role];
            g->kept[role][g->count_of[role]++] = i;
        }
    view->session_count = *sessions;
    view->item_count = g->count_of[SESSREC__ITEM];
    view->user_count = g->count_of[SESSREC__USER];
    memcpy(view->value_counts, g->count_of + SESSREC__CATEGORY, sizeof view->value_counts);
    if (g->longest > INT32_MAX) return SESSREC_TOO_LARGE;  // filters count inside a session in 32 bits
    return sessrec__sort_by_time(&g->log->memory, g->start, g->kept[SESSREC__SESSION], view->session_count);
}

// Moves events to their sessions, and sorts them there.
static sessrec_result sessrec__group_move(sessrec__grouping *g) {
    const int32_t sessions = g->log->view.session_count, categories = g->log->view.category_count;
    int64_t begin = 0;
    for (int32_t i = 0; i < g->count_of[SESSREC__ITEM]; ++i)
        g->supports[i] = g->events[g->kept[SESSREC__ITEM][i]];
    for (int32_t s = 0; s < sessions; ++s) {
        const int32_t label = g->kept[SESSREC__SESSION][s], user = g->user ? g->user[label] : -1;
        const int64_t events = g->at[label];
        g->session_begins[s] = g->at[label] = begin;
        begin += events;
        if (g->session_users) g->session_users[s] = user < 0 ? -1 : g->number[SESSREC__USER][user];
    }
    g->session_begins[sessions] = begin;
    for (int64_t e = 0; e < g->count; ++e) {
        if (g->label[e] < 0) continue;
        const int64_t to = g->at[g->label[e]]++;
        g->log_items[to] = g->number[SESSREC__ITEM][g->item[e]];
        g->times[to] = g->time[e];
        for (int c = 0; c < categories; ++c) {
            const int32_t value = g->category[c][e];
            g->categories[c][to] = value < 0 ? -1 : g->number[SESSREC__CATEGORY + c][value];
        }
    }
    sessrec_result result = SESSREC_OK;
    for (int32_t s = 0; s < sessions && !result; ++s) {
        const int64_t from = g->session_begins[s], events = g->session_begins[s + 1] - from;
        for (int c = 0; c < categories && !result; ++c) {
            memcpy(g->spare, g->times + from, (size_t)events * sizeof *g->spare);
            result = sessrec__sort_by_time(&g->log->memory, g->spare, g->categories[c] + from, events);
        }
        if (!result)
            result = sessrec__sort_by_time(&g->log->memory, g->times + from, g->log_items + from, events);
    }
    return result;
}

// Makes a finished log from events; names are the tables that their numbers refer to.
static sessrec_result sessrec__group(const sessrec_log *source, sessrec__grouping *g,
                                     const sessrec__ids *names, sessrec_log **out) {
    for (int role = 0; role < SESSREC__IDS; ++role) g->all[role] = names[role].count;
    g->log = sessrec__log_new(&source->memory, source->known_items, source->roles, source->ids[0].key);
    if (g->log) memcpy(g->log->names, source->names, sizeof source->names);
    void *block = g->log ? sessrec__layout_block(&source->memory, sessrec__group_layout, g) : NULL;
    sessrec_result result = block ? sessrec__group_count(g) : SESSREC_OUT_OF_MEMORY;
    if (!result) {
        sessrec__layout layout = {NULL, 0, 0};
        sessrec__log_layout(g, &layout);
        layout.base =
            (char *)sessrec__alloc_unset(&source->memory, layout.overflow ? UINT64_MAX : layout.size, 1);
        layout.size = 0;
        if (layout.base) sessrec__log_layout(g, &layout);
        g->log->block = layout.base;
        result = g->log->block ? sessrec__group_move(g) : SESSREC_OUT_OF_MEMORY;
    }
    for (int role = 0; role < SESSREC__IDS && !result; ++role) {
        result = sessrec__copy_ids(&names[role], g->kept[role], g->count_of[role], &g->log->ids[role]);
        if (!result && (role == SESSREC__ITEM || role >= SESSREC__CATEGORY))  // to be searched
            result = sessrec__ids_reserve(&g->log->ids[role], 0, 0);
    }
    sessrec__free(&source->memory, block);
    if (result) sessrec_log_destroy(g->log);
    *out = result ? NULL : g->log;
    return result;
}

// The log becomes `fresh`, which was made from it; what is missing in it was dropped.
static void sessrec__log_become(sessrec_log *log, sessrec_log *fresh) {
    fresh->view.bad_row_count = log->view.bad_row_count;
    fresh->view.dropped_event_count =
        log->view.dropped_event_count + log->view.event_count - fresh->view.event_count;
    fresh->notes = log->notes;
    memcpy(fresh->note, log->note, sizeof log->note);
    sessrec__log_clear(log);
    *log = *fresh;
    sessrec__free(&log->memory, fresh);
}

// ---- adding events ----

SESSREC__INLINE void sessrec__wait(const sessrec__ids *ids, const char *at, size_t size,
                                   sessrec__waiting *id) {
    id->at = at;
    id->size = (uint32_t)size;
    id->hash = sessrec__ids_hash(ids, at, size);
    SESSREC__PREFETCH(&ids->slot[id->hash & (uint32_t)(ids->slots - 1)]);
}

static sessrec_result sessrec__number_ids(sessrec__ids *ids, const sessrec__waiting *id, int32_t rows,
                                          int32_t *number) {
    int64_t bytes = 0;
    for (int32_t i = 0; i < rows; ++i) bytes += id[i].size + 1;
    sessrec_result result = sessrec__ids_reserve(ids, rows, bytes);
    for (int32_t i = 0; i < rows && !result; ++i) {
        if (!id[i].at) number[i] = -1;
        else if (i && id[i].at == id[i - 1].at) number[i] = number[i - 1];
        else result = sessrec__ids_intern_hashed(ids, id[i].at, id[i].size, id[i].hash, &number[i]);
    }
    return result;
}

// Numbers the ids of the waiting rows and makes them events. A user's session has the user's number after the
// NUL of its id.
static sessrec_result sessrec__flush(sessrec_log *log) {
    sessrec__intake *in = log->in;
    sessrec__waiting *session = in->id[SESSREC__SESSION];
    const int32_t rows = in->rows;
    int32_t user[SESSREC__ROWS];
    if (!rows) return SESSREC_OK;
    in->rows = 0;
    sessrec_result result = sessrec__number_ids(&log->ids[SESSREC__USER], in->id[SESSREC__USER], rows, user);
    for (int32_t i = rows - 1; i >= 0 && !result;
         --i) {  // downwards: a later row may have the text of an earlier one
        char *text = in->session[i];
        if (user[i] < 0) continue;
        memcpy(text, session[i].at, session[i].size);
        text[session[i].size] = 0;
        memcpy(text + session[i].size + 1, &user[i], sizeof *user);
        sessrec__wait(&log->ids[SESSREC__SESSION], text, session[i].size + 1 + sizeof *user, &session[i]);
    }
    if (!result)
        result =
            sessrec__number_ids(&log->ids[SESSREC__ITEM], in->id[SESSREC__ITEM], rows, in->item + in->count);
    if (!result)
        result = sessrec__number_ids(&log->ids[SESSREC__SESSION], session, rows, in->label + in->count);
    for (int c = SESSREC__CATEGORY; c < log->roles && !result; ++c)
        result = sessrec__number_ids(&log->ids[c], in->id[c], rows,
                                     in->category[c - SESSREC__CATEGORY] + in->count);
    if (!result) in->count += rows;
    return result;
}

// Makes room for so many events; returns 0 without memory.
static int sessrec__reserve_events(sessrec_log *log, int64_t events) {
    sessrec__intake *in = log->in;
    int64_t room[4] = {in->room, in->room, in->room, in->offset ? in->room : INT64_MAX};
    for (int c = 0; c < log->roles - SESSREC__CATEGORY; ++c) {
        int64_t values = in->room;
        if (!sessrec__grow(&log->memory, (void **)&in->category[c], &values, events, sizeof(int32_t)))
            return 0;
    }
    if (!sessrec__grow(&log->memory, (void **)&in->label, &room[0], events, sizeof *in->label) ||
        !sessrec__grow(&log->memory, (void **)&in->item, &room[1], events, sizeof *in->item) ||
        !sessrec__grow(&log->memory, (void **)&in->time, &room[2], events, sizeof *in->time) ||
        !sessrec__grow(&log->memory, (void **)&in->offset, &room[3], events, sizeof *in->offset))
        return 0;
    in->room = room[0];
    return 1;
}

// Queues a row. Its ids have been checked; an empty user is none. 8 bytes after each id can be read.
static sessrec_result sessrec__take_event(sessrec_log *log, const sessrec__text *id, double time,
                                          double offset) {
    sessrec__intake *in = log->in;
    const int64_t e = in->count + in->rows;
    if (e >= in->room && !sessrec__reserve_events(log, e + 1)) return SESSREC_OUT_OF_MEMORY;
    for (int role = 0; role < log->roles; ++role) {
        sessrec__waiting *to = &in->id[role][in->rows];
        if (!id[role].size) to->at = NULL;
        else if (in->rows && to[-1].at && to[-1].size == id[role].size &&
                 sessrec__same_text(to[-1].at, id[role].at, id[role].size))
            *to = to[-1];  // often so
        else sessrec__wait(&log->ids[role], id[role].at, id[role].size, to);
    }
    in->time[e] = time + 0.0;  // a negative zero becomes an ordinary one
    if (in->offset) in->offset[e] = offset;
    return ++in->rows < SESSREC__ROWS ? SESSREC_OK : sessrec__flush(log);
}

// Keeps the first failure. The error of sessrec_log_add is read when the log is finished.
static sessrec_result sessrec__add_failed(sessrec_log *log, sessrec_result code, const char *why) {
    sessrec_error *failure = &log->in->failure;
    if (why) return sessrec__fail(failure, code, 0, "event %d was not added: %s", log->in->count + 1, why);
    failure->code = code;
    return sessrec__log_failed(failure, code);
}

SESSREC_API sessrec_result sessrec_log_add_categories(sessrec_log *log, const char *user, const char *session,
                                                      const char *item, double time,
                                                      const char *const *categories) {
    sessrec__text id[SESSREC__IDS] = {{session, 0}, {item, 0}, {user, 0}};
    char text[SESSREC__IDS][SESSREC_MAX_ID + 9];
    if (!log || !log->in) return SESSREC_INVALID_ARGUMENT;
    if (log->in->failure.code) return log->in->failure.code;
    for (int role = 0; role < log->roles; ++role) {
        if (role >= SESSREC__CATEGORY) id[role].at = categories ? categories[role - SESSREC__CATEGORY] : NULL;
        if (!id[role].at) id[role].at = "";
        id[role].size = strlen(id[role].at);
        if ((!id[role].size && role <= SESSREC__ITEM) || id[role].size > SESSREC_MAX_ID)
            return sessrec__add_failed(log, SESSREC_INVALID_ARGUMENT,
                                       "an id is empty or longer than 255 bytes");
        id[role].at = sessrec__padded(text[role], id[role].at, id[role].size);
    }
    if (!(fabs(time) < HUGE_VAL))
        return sessrec__add_failed(log, SESSREC_INVALID_ARGUMENT, "its time is not finite");
    sessrec_result result = sessrec__take_event(log, id, time, 0);
    if (!result) result = sessrec__flush(log);
    return result ? sessrec__add_failed(log, result, NULL) : SESSREC_OK;
}

SESSREC_API sessrec_result sessrec_log_add(sessrec_log *log, const char *user, const char *session,
                                           const char *item, double time) {
    return sessrec_log_add_categories(log, user, session, item, time, NULL);
}

SESSREC_API sessrec_result sessrec_log_add_many(sessrec_log *log, int64_t count, const int64_t *users,
                                                const int64_t *sessions, const int64_t *items,
                                                const double *times) {
    const int64_t *const number[SESSREC__CATEGORY] = {sessions, items, users};
    sessrec_result result = SESSREC_OK;
    if (!log || !log->in) return SESSREC_INVALID_ARGUMENT;
    if (log->in->failure.code) return log->in->failure.code;
    if (count < 0 || (count && (!sessions || !items || !times)))
        return sessrec__add_failed(log, SESSREC_INVALID_ARGUMENT, "an array is missing");
    for (int64_t e = 0; e < count && !result; ++e) {
        sessrec__text id[SESSREC__IDS];
        memset(id, 0, sizeof id);
        for (int role = 0; role < SESSREC__CATEGORY; ++role) {
            char *text = log->in->number[role][log->in->rows];
            if (!number[role] || (role == SESSREC__USER && users[e] < 0)) continue;
            id[role].at = sessrec__decimal(number[role][e], text);
            id[role].size = (size_t)(text + 23 - id[role].at);
        }
        if (!(fabs(times[e]) < HUGE_VAL))
            return sessrec__add_failed(log, SESSREC_INVALID_ARGUMENT, "its time is not finite");
        result = sessrec__take_event(log, id, times[e], 0);
    }
    if (!result) result = sessrec__flush(log);
    return result ? sessrec__add_failed(log, result, NULL) : SESSREC_OK;
}

SESSREC_API sessrec_result sessrec_log_add_numbers(sessrec_log *log, int64_t user, int64_t session,
                                                   int64_t item, double time) {
    return sessrec_log_add_many(log, 1, &user, &session, &item, &time);
}

// Notes about the finished log.
static void sessrec__log_remarks(sessrec_log *log) {
    static const char *const none[6] = {"NA", "NULL", "null", "nan", "None", "\\N"};
    const sessrec_log_view *v = &log->view;
    int64_t equal = 0, anonymous = 0, pairs = v->event_count - v->session_count;
    double starts = 0, spans = 0;
    for (int32_t s = 0; s < v->session_count; ++s) {
        const int64_t begin = v->session_begins[s], end = v->session_begins[s + 1];
        for (int64_t e = begin + 1; e < end; ++e) equal += v->times[e] <= v->times[e - 1];
        starts += fabs(v->times[begin]);
        spans += v->times[end - 1] - v->times[begin];
        anonymous += v->session_users && v->session_users[s] < 0;
    }
    if (pairs >= 10 && equal > pairs / 2)
        sessrec__fail(
            sessrec__note(log), SESSREC_OK, 0,
            "%d of %d clicks have the same time as the one before in their session, and follow it as the "
            "rows do; if another column has the order, add it: --time-column day,order",
            equal, pairs);
    if (v->session_count >= 10 && 4 * starts < spans)
        sessrec__fail(sessrec__note(log), SESSREC_OK, 0,
                      "nearly all sessions begin at time 0: these times seem to count from the start of each "
                      "session. Splits and the order of sessions need a day too: --time-column day,offset");
    if (anonymous)
        sessrec__fail(sessrec__note(log), SESSREC_OK, 0, "%d of %d sessions have no user", anonymous,
                      (int64_t)v->session_count);
    for (int i = 0; i < 6; ++i) {
        int32_t user = 0;
        while (user < v->user_count && strcmp(sessrec__ids_text(&log->ids[SESSREC__USER], user), none[i]))
            ++user;
        if (user < v->user_count ||
            sessrec__ids_find(&log->ids[SESSREC__ITEM], none[i], strlen(none[i])) >= 0)
            sessrec__fail(sessrec__note(log), SESSREC_OK, 0,
                          "there is %s \"%s\"; if that stands for none, say so: --blank %s",
                          user < v->user_count ? "a user" : "an item", none[i], none[i]);
    }
}

// The users of the sessions in a table of session keys; NULL without memory.
static int32_t *sessrec__label_users(const sessrec__ids *names) {
    int32_t *user = (int32_t *)sessrec__alloc_unset(&names->memory, (uint64_t)names->count + 1, sizeof *user);
    for (int32_t s = 0; s < names->count && user; ++s) {
        const char *text = sessrec__ids_text(names, s);
        const size_t size = strlen(text);
        if (sessrec__ids_size(names, s) > size) memcpy(&user[s], text + size + 1, sizeof *user);
        else user[s] = -1;
    }
    return user;
}

SESSREC_API sessrec_result sessrec_log_finish(sessrec_log *log, sessrec_error *err) {
    sessrec__grouping g;
    sessrec_log *fresh = NULL;
    int32_t *user = NULL;
    if (!log || !log->in)
        return sessrec__invalid(err, "there is no log, or it is already finished");
    if (log->in->failure.code) {
        if (err) *err = log->in->failure;
        return log->in->failure.code;
    }
    memset(&g, 0, sizeof g);
    g.count = log->in->count;
    g.time = log->in->time;
    g.label = log->in->label;
    g.item = log->in->item;
    memcpy(g.category, log->in->category, sizeof g.category);
    sessrec__ids_forget_slots(&log->ids[SESSREC__SESSION]);  // memory for what comes
    if (log->ids[SESSREC__USER].count) g.user = user = sessrec__label_users(&log->ids[SESSREC__SESSION]);
    sessrec_result result = SESSREC_OUT_OF_MEMORY;
    if (user || !log->ids[SESSREC__USER].count) result = sessrec__group(log, &g, log->ids, &fresh);
    sessrec__free(&log->memory, user);
    if (result) return sessrec__log_failed(err, result);
    log->view.event_count = fresh->view.event_count;  // nothing was dropped
    sessrec__log_become(log, fresh);
    sessrec__log_remarks(log);
    return SESSREC_OK;
}

// ---- looking into a log ----

SESSREC_API sessrec_log_view sessrec_log_contents(const sessrec_log *log) {
    sessrec_log_view none;
    memset(&none, 0, sizeof none);
    return log && !log->in ? log->view : none;
}

SESSREC_API const char *sessrec_log_note(const sessrec_log *log, int32_t index) {
    return log && index >= 0 && index < log->notes ? log->note[index].text : NULL;
}

// Before a log is finished its numbers are not final, and the caller has not seen them.
static const char *sessrec__log_id(const sessrec_log *log, int role, int32_t index) {
    const int known = log && !log->in && index >= 0 && index < log->ids[role].count;
    return known ? sessrec__ids_text(&log->ids[role], index) : NULL;
}
SESSREC_API const char *sessrec_log_item_id(const sessrec_log *log, int32_t item) {
    return sessrec__log_id(log, SESSREC__ITEM, item);
}
SESSREC_API const char *sessrec_log_session_id(const sessrec_log *log, int32_t session) {
    return sessrec__log_id(log, SESSREC__SESSION, session);
}
SESSREC_API const char *sessrec_log_user_id(const sessrec_log *log, int32_t user) {
    return sessrec__log_id(log, SESSREC__USER, user);
}
SESSREC_API int32_t sessrec_log_find_item(const sessrec_log *log, const char *id) {
    return log && !log->in && id ? sessrec__ids_find(&log->ids[SESSREC__ITEM], id, strlen(id)) : -1;
}
SESSREC_API const char *sessrec_log_category(const sessrec_log *log, int32_t category) {
    return category >= 0 && category < sessrec_log_contents(log).category_count ? log->names[category] : NULL;
}
SESSREC_API const char *sessrec_log_value(const sessrec_log *log, int32_t category, int32_t value) {
    return sessrec_log_category(log, category) ? sessrec__log_id(log, SESSREC__CATEGORY + category, value)
                                               : NULL;
}
SESSREC_API int32_t sessrec_log_find_value(const sessrec_log *log, int32_t category, const char *text) {
    return text && sessrec_log_category(log, category)
               ? sessrec__ids_find(&log->ids[SESSREC__CATEGORY + category], text, strlen(text))
               : -1;
}
SESSREC_API int64_t sessrec_log_item_number(const sessrec_log *log, int32_t item) {
    return sessrec__id_number(sessrec_log_item_id(log, item));
}
SESSREC_API int32_t sessrec_log_find_number(const sessrec_log *log, int64_t id) {
    char text[24];
    return sessrec_log_find_item(log, sessrec__decimal(id, text));
}

// ---- times ----

// The part of a time that is read: more than this library writes.
enum { SESSREC__MAX_TIME = 400 };

SESSREC__INLINE int sessrec__is_digit(char c) {
    return c >= '0' && c <= '9';
}

static char sessrec__lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

// These read from the front of a text: its first byte in lower case, 0 at its end; a word, if it begins with
// that; blanks; and from `least` to `most` digits. What is read is cut off.
static char sessrec__peek(const sessrec__text *text) {
    return (char)(text->size ? sessrec__lower(*text->at) : 0);
}
static int sessrec__accept(sessrec__text *text, const char *word, size_t size) {
    size_t i = 0;
    while (i < size && i < text->size && sessrec__lower(text->at[i]) == word[i]) ++i;
    if (i < size) return 0;
    text->at += size;
    text->size -= size;
    return 1;
}
static void sessrec__skip_blanks(sessrec__text *text) {
    while (sessrec__accept(text, " ", 1)) {
    }
}
static int sessrec__digits(sessrec__text *text, int least, int most, int *out) {
    int count = 0, number = 0;
    for (; count < most && (size_t)count < text->size && sessrec__is_digit(text->at[count]); ++count)
        number = number * 10 + (text->at[count] - '0');
    if (count < least) return 0;
    text->at += count;
    text->size -= (size_t)count;
    *out = number;
    return 1;
}

// The double nearest to digits * 10^exponent. strtod gets a text without a decimal point, which each locale
// writes in its own way.
static double sessrec__to_double(int64_t exponent, const char *digits, size_t size) {
    char text[SESSREC__MAX_TIME + 32], decimal[24];
    size_t used = 0;
    for (size_t i = 0; i < size && used < SESSREC__MAX_TIME; ++i)
        if (sessrec__is_digit(digits[i])) text[used++] = digits[i];
    text[used++] = 'e';
    strcpy(text + used, sessrec__decimal(exponent, decimal));
    return strtod(text, NULL);
}

// The same for digits in a number: one rounding if it and the power are exact as doubles.
SESSREC__INLINE double sessrec__scale(uint64_t number, int64_t exponent, const char *digits, size_t size) {
    static const double power[23] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                     1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    if (number >= (uint64_t)1 << 53 || exponent < -22 || exponent > 22)
        return sessrec__to_double(exponent, digits, size);
    return exponent < 0 ? (double)number / power[-exponent] : (double)number * power[exponent];
}

// [+-]digits[.digits][e[+-]digits]; a comma is a point too, where it separates no fields.
static int sessrec__parse_number(const char *at, const char *end, double *out) {
    const int negative = at < end && *at == '-';
    const char *const digits = at += at < end && (*at == '-' || *at == '+'), *point = NULL;
    uint64_t number = 0;
    int64_t exponent = 0, power = 0;
    for (; at < end; ++at) {
        const unsigned digit = (unsigned char)*at - (unsigned)'0';
        if (digit < 10) number = number * 10 + digit;
        else if (!point && (*at == '.' || *at == ',')) point = at;
        else break;
    }
    const size_t size = (size_t)(at - digits), count = size - (point != NULL);
    if (point) exponent = point + 1 - at;
    if (at < end && count && (*at == 'e' || *at == 'E')) {
        const int down = end - at > 1 && at[1] == '-';
        at += down || (end - at > 1 && at[1] == '+') ? 2 : 1;
        if (at == end) return 0;
        for (; at < end && sessrec__is_digit(*at); ++at)
            if (power < 100000000) power = power * 10 + (*at - '0');
        exponent += down ? -power : power;
    }
    if (!count || at < end) return 0;
    *out = sessrec__scale(count < 20 ? number : UINT64_MAX, exponent, digits, size);
    if (negative) *out = -*out;
    return fabs(*out) < HUGE_VAL;
}

// What a date says.
typedef struct sessrec__date {
    int year, month, day, hour, minute, second, zone;  // zone: minutes east of UTC
    int64_t fraction;                                  // of a second, in units of 10^-places
    int places;
} sessrec__date;

// Seconds since 1970 in UTC; 0 if there is no such day or time.
static int sessrec__date_seconds(const sessrec__date *d, double *out) {
    static const int before[14] = {0, 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365};
    const int past = d->year - 1;
    const int leap = d->year % 4 == 0 && (d->year % 100 != 0 || d->year % 400 == 0);
    char digits[24];
    if (d->year < 1 || d->month < 1 || d->month > 12 || d->day < 1 ||
        d->day > before[d->month + 1] - before[d->month] + (leap && d->month == 2) || d->hour > 23 ||
        d->minute > 59 || d->second > 60)
        return 0;
    int64_t total = (int64_t)365 * past + past / 4 - past / 100 + past / 400 + before[d->month] +
                    (leap && d->month > 2) + d->day - 1 - 719162;  // days since 1970-01-01
    total = ((total * 24 + d->hour) * 60 + d->minute - d->zone) * 60 + d->second;
    for (int i = 0; i < d->places; ++i) total *= 10;  // below 2.6e11 * 10^7, which 64 bits hold
    total += d->fraction;
    const uint64_t size = total < 0 ? 0 - (uint64_t)total : (uint64_t)total;
    const char *text = sessrec__decimal((int64_t)size, digits);
    *out = sessrec__scale(size, -d->places, text, strlen(text));
    if (total < 0) *out = -*out;
    return 1;
}

// A time of day after a date, if there is one: H:MM[:SS[.fff]], [AM|PM], and UTC, GMT, Z, +HH, +HH:MM or
// +HHMM. Seven digits of a fraction are used: a double of today's seconds has no more.
static int sessrec__parse_clock(sessrec__text *text, sessrec__date *d) {
    sessrec__text t = *text;
    int hours = 0, minutes = 0, digit;
    sessrec__accept(&t, ",", 1);
    const int basic = sessrec__accept(&t, "t", 1);
    if (!basic && !sessrec__accept(&t, " ", 1) && !sessrec__accept(&t, ":", 1)) return 1;
    sessrec__skip_blanks(&t);
    if (!sessrec__digits(&t, 1, 2, &hours)) return 1;
    if (!sessrec__accept(&t, ":", 1) && !basic) return 1;  // a year
    d->hour = hours;
    if (!sessrec__digits(&t, 2, 2, &d->minute)) return 0;
    if (sessrec__accept(&t, ":", 1) || (basic && sessrec__is_digit(sessrec__peek(&t)))) {
        if (!sessrec__digits(&t, 2, 2, &d->second)) return 0;
        if (sessrec__accept(&t, ".", 1) || sessrec__accept(&t, ",", 1)) {
            if (!sessrec__is_digit(sessrec__peek(&t))) return 0;
            while (sessrec__digits(&t, 1, 1, &digit))
                if (d->places < 7) d->fraction = d->fraction * 10 + digit, ++d->places;
        }
    }
    *text = t;
    sessrec__skip_blanks(&t);
    const int morning = sessrec__accept(&t, "am", 2), afternoon = !morning && sessrec__accept(&t, "pm", 2);
    if (morning || afternoon) {
        if (d->hour < 1 || d->hour > 12) return 0;
        d->hour = d->hour % 12 + (afternoon ? 12 : 0);
        *text = t;
        sessrec__skip_blanks(&t);
    }
    const char sign = sessrec__peek(&t);
    if (sign == '+' || sign == '-') {
        sessrec__accept(&t, &sign, 1);
        if (!sessrec__digits(&t, 2, 2, &hours)) return 0;
        if ((sessrec__accept(&t, ":", 1) || sessrec__is_digit(sessrec__peek(&t))) &&
            !sessrec__digits(&t, 2, 2, &minutes))
            return 0;
        if (hours > 23 || minutes > 59) return 0;
        d->zone = (hours * 60 + minutes) * (sign == '-' ? -1 : 1);
        *text = t;
    } else if (sessrec__accept(&t, "z", 1) || sessrec__accept(&t, "utc", 3) ||
               sessrec__accept(&t, "gmt", 3)) {
        *text = t;
    }
    return 1;
}

// How dates may be written: Y year, m month, b its name, d day, a day of the week, C time of day; a blank is
// any number of them. In the last four forms day and month could be swapped.
enum { SESSREC__DATE_FORMS = 16, SESSREC__EITHER_ORDER = 12 };
static int sessrec__match_date(int form, sessrec__text text, double *out) {
    static const char *const forms[SESSREC__DATE_FORMS] = {
        "Y-m-dC",   "Y/m/dC", "Y.m.dC",   "YmdC",    "d.m.YC", "d/b/YC", "d-b-YC", "d b YC",
        "a d b YC", "b d YC", "a b dC Y", "a b d Y", "d/m/YC", "d-m-YC", "m/d/YC", "m-d-YC"};
    static const char months[] = "janfebmaraprmayjunjulaugsepoctnovdec";
    sessrec__date d;
    memset(&d, 0, sizeof d);
    for (const char *want = forms[form]; *want; ++want) {
        const char *const name = text.at;
        int good = 1;
        switch (*want) {
        case 'Y': good = sessrec__digits(&text, 4, 4, &d.year); break;
        case 'm': good = sessrec__digits(&text, 1, 2, &d.month); break;
        case 'd': good = sessrec__digits(&text, 1, 2, &d.day); break;
        case 'C': good = sessrec__parse_clock(&text, &d); break;
        case ' ':
            sessrec__accept(&text, ",", 1);
            sessrec__skip_blanks(&text);
            break;
        case 'a':
        case 'b':
            for (d.month = 1; *want == 'b' && d.month <= 12; ++d.month)
                if (sessrec__accept(&text, months + 3 * (d.month - 1), 3)) break;
            while (sessrec__peek(&text) >= 'a' && sessrec__peek(&text) <= 'z') ++text.at, --text.size;
            good = d.month <= 12 && text.at - name >= 3;
            break;
        default: good = sessrec__accept(&text, want, 1); break;
        }
        if (!good) return 0;
    }
    return !text.size && sessrec__date_seconds(&d, out);
}

// Digits without separators: YYYYMMDD[HH[MM[SS]]], or MMDD in the year 2000, which has a February 29.
static int sessrec__parse_date_digits(sessrec__text text, double *out) {
    sessrec__date d;
    memset(&d, 0, sizeof d);
    d.year = 2000;
    if (text.size > 4 && !sessrec__digits(&text, 4, 4, &d.year)) return 0;
    if (!sessrec__digits(&text, 2, 2, &d.month) || !sessrec__digits(&text, 2, 2, &d.day)) return 0;
    sessrec__digits(&text, 2, 2, &d.hour);
    sessrec__digits(&text, 2, 2, &d.minute);
    sessrec__digits(&text, 2, 2, &d.second);
    return !text.size && d.year >= 1900 && d.year <= 2100 && sessrec__date_seconds(&d, out);
}

// ---- lines and fields ----

// Bytes: the most of a row; read at a time; readable after a row.
enum { SESSREC__MAX_ROW = 1 << 20, SESSREC__MAX_BLOCK = 1 << 22, SESSREC__SLACK = 16 };

// What bad rows are counted by: where they are bad, and why; and what helps.
enum { SESSREC__OF_ROW = SESSREC__WHERE, SESSREC__PLACES };
static const char *const sessrec__places[SESSREC__PLACES] = {
    "session id", "item id", "user id", "category", "category", "category", "category", "time", "offset",
    "row"};
enum {
    SESSREC__GOOD,
    SESSREC__SHORT,
    SESSREC__UNCLOSED,
    SESSREC__BEHIND_QUOTE,
    SESSREC__TOO_LONG,
    SESSREC__NO_JSON,
    SESSREC__NO_KEY,
    SESSREC__BLANK,
    SESSREC__LONG_ID,
    SESSREC__HAS_NUL,
    SESSREC__NO_TIME,
    SESSREC__WHICH_DAY,
    SESSREC__OTHER_TIME,
    SESSREC__PROBLEMS
};
static const char *const sessrec__problems[SESSREC__PROBLEMS][2] = {
    {"", ""},
    {"has too few fields", ""},
    {"has a quote that is not closed", "; if quotes are plain text in this log: --no-quotes"},
    {"has text after a closing quote", "; if quotes are plain text in this log: --no-quotes"},
    {"is longer than 1 MiB", ""},
    {"is not a JSON object on one line", ""},
    {"has no key of the session, item or time",
     " (--session-column, --item-column, --time-column); flatten lists first: "
     "jq -c '.session as $s | .events[] | {session: $s, item: .aid, time: .ts}'"},
    {"is blank", "; --skip-bad-rows skips such rows"},
    {"is longer than 255 bytes", ""},
    {"has a NUL byte in it", ""},
    {"is neither a number nor a date like 2014-04-07T10:51:09Z", ""},
    {"is a date whose day and month could be swapped", ": --day-first or --month-first"},
    {"is a date where earlier rows have numbers, or the other way round", ""}};

// A text that is being read into a log.
typedef struct sessrec__reader {
    sessrec_log *log;
    sessrec_log_format format;
    sessrec_error *err;
    const char *name;  // of the file, or NULL
    void *file;        // FILE *; without one the text lies in memory
    const char *memory;
    size_t memory_left;
    double size, bytes;  // of the text, 0: not known; of it that were read
    char *block;                 // [room] the part of the text that is looked at
    size_t room;
    char *at, *end;              // what is not read yet; a line end and more bytes follow it
    int more, unended, has_nul;  // there is more to come; the last line has no end; a NUL byte came
    int64_t line;                // number of the line at `at`
    char separator[3], newline;  // the separator's second byte: 0, or it has two
    uint64_t separators, newlines;  // the first byte in each byte of a word
    int json, blanks;            // rows are JSON objects; a blank follows each separator
    uint64_t header;             // hash of the header line, 0: none
    sessrec__text name_of[SESSREC__WANTED], value[SESSREC__WANTED];  // columns by name or number; of WHERE
    int column[SESSREC__WANTED];                                     // from 0; -1: not there
    int order[SESSREC__WANTED], wanted;  // those that are there, from left to right
    int asked[SESSREC__WANTED + 1];      // their places, then -1
    int32_t roles;                       // CATEGORY + categories of the format
    int form, dates, digits;  // of dates, the last; 1 dates, -1 numbers; length if all numbers are dates
    int64_t first_event, rows, sizes[4], other_rows, spanning, headers;  // numbers of times by their size
    double most_offset;
    int64_t bad[SESSREC__PLACES][SESSREC__PROBLEMS], first_bad[SESSREC__PLACES][SESSREC__PROBLEMS];
    int64_t first_spanning;
} sessrec__reader;

// A row's field for each column that is needed, at == NULL if it has none.
typedef struct sessrec__row {
    sessrec__text field[SESSREC__WANTED], raw;
    int problem, unfinished;  // unfinished: the block does not hold all of it
    int64_t line;
} sessrec__row;

// The beginning of a line, safe for any terminal: UTF-8 without control characters.
static const char *sessrec__excerpt(sessrec__text text, size_t most, char *shown, size_t room) {
    size_t used = 0, i = 0;
    while (i < text.size && i < most) {
        const unsigned char c = (unsigned char)text.at[i];
        size_t size = c < 0x80                ? 1
                      : c >= 0xc2 && c < 0xe0 ? 2
                      : c >= 0xe0 && c < 0xf0 ? 3
                      : c >= 0xf0 && c < 0xf5 ? 4
                                              : 0;
        int good = size && i + size <= text.size;
        if (good && i + size > most) break;
        for (size_t k = 1; k < size && good; ++k) good = ((unsigned char)text.at[i + k] & 0xc0) == 0x80;
        if (good && c == 0xc2 && (unsigned char)text.at[i + 1] < 0xa0) good = 0;  // control characters, too
        if (c < 32 || c == 127) sessrec__append(shown, room, &used, " ", 1);
        else sessrec__append(shown, room, &used, good ? text.at + i : "?", good ? size : 1);
        i += good ? size : 1;
    }
    shown[used] = 0;
    sessrec__append(shown, room, &used, "...", i < text.size ? 3 : 0);
    return shown;
}

// Reads on until a whole row is there, if the text has one. Waiting rows point into the block.
static sessrec_result sessrec__fill(sessrec__reader *r) {
    size_t left = (size_t)(r->end - r->at), got = 1;
    if (!r->more || left > SESSREC__MAX_ROW + 2) return SESSREC_OK;
    const sessrec_result result = sessrec__flush(r->log);
    if (result) return sessrec__log_failed(r->err, result);
    if (left) memmove(r->block, r->at, left);
    for (; got && left + SESSREC__SLACK < r->room; left += got) {
        const size_t most = r->room - SESSREC__SLACK - left;
        got = r->memory_left < most ? r->memory_left : most;  // of a file: 0
        if (got) memcpy(r->block + left, r->memory, got);
        if (got) r->memory += got;
        r->memory_left -= got;
#ifndef SESSREC_NO_STDIO
        for (int again = r->file != NULL; again;) {
            got = fread(r->block + left, 1, most, (FILE *)r->file);
            again = !got && ferror((FILE *)r->file);
            if (again && errno != EINTR)
                return sessrec__fail(r->err, SESSREC_IO_ERROR, 0, "the log cannot be read: %s",
                                     strerror(errno));
            if (again) clearerr((FILE *)r->file);
        }
#endif
        r->has_nul |= memchr(r->block + left, 0, got) != NULL;
        r->bytes += (double)got;
    }
    r->more = got > 0;
    r->at = r->block;
    r->end = r->at + left;
    memset(r->end, 0, SESSREC__SLACK);
    if (!r->more && left && r->end[-1] != r->newline) {
        r->unended = 1;
        *r->end++ = r->newline;
    }
    *r->end = r->newline;
    return SESSREC_OK;
}

// Where the field that begins at `at` ends: at a separator or a line end.
SESSREC__INLINE char *sessrec__find_stop(const sessrec__reader *r, char *at) {
    const uint64_t separators = r->separators, newlines = r->newlines;
    for (;; at += 8) {  // ends: a line end follows the text
        const uint64_t word = sessrec__load_word(at), a = word ^ separators, b = word ^ newlines;
        const uint64_t marks =
            (((a - SESSREC__EACH_BYTE) & ~a) | ((b - SESSREC__EACH_BYTE) & ~b)) & 128 * SESSREC__EACH_BYTE;
        if (!marks) continue;
        at += sessrec__first_bit(marks) / 8;
        if (!r->separator[1] || *at == r->newline || at[1] == r->separator[1]) return at;
        at -= 7;  // half a separator: continue after it
    }
}

// Whether a field may end here; *at moves past a carriage return.
static int sessrec__ends_field(const sessrec__reader *r, char **at) {
    if (**at == '\r' && (*at)[1] == r->newline) ++*at;
    return **at == r->newline ||
           (**at == r->separator[0] && (!r->separator[1] || (*at)[1] == r->separator[1]));
}

// Cuts a field and returns where it ends. A field in quotes ends with the first quote that is not doubled,
// possibly in another line. If no separator or line end follows, or there is no such quote, the quotes are
// plain text in a column that nobody needs, and a problem in any other.
static char *sessrec__cut_quoted(const sessrec__reader *r, char *at, int asked, sessrec__text *field,
                                 int *problem) {
    char *stop = at, *to;
    if (r->format.quotes && at - r->at < SESSREC__MAX_ROW) {
        char *const limit = r->end - r->at > SESSREC__MAX_ROW ? r->at + SESSREC__MAX_ROW : r->end;
        int doubled = 0;
        for (++stop; (stop = (char *)memchr(stop, '"', (size_t)(limit - stop))) != NULL;
             stop += 2, doubled = 1)
            if (stop + 1 >= limit || stop[1] != '"') break;
        field->at = at + 1;
        field->size = stop ? (size_t)(stop - field->at) : 0;
        to = stop ? stop + 1 : limit;
        if (stop && sessrec__ends_field(r, &to)) {
            if (asked && doubled) {  // each pair becomes one, in place
                char *put = at + 1;
                for (const char *get = at + 1; get < stop; ++get) {
                    *put++ = *get;
                    get += *get == '"';
                }
                field->size = (size_t)(put - field->at);
            }
            return to;
        }
        if (asked) {  // the row goes on to the end of the line, so that what is in quotes becomes no row
            *problem = stop ? SESSREC__BEHIND_QUOTE : SESSREC__UNCLOSED;
            return (char *)memchr(to, r->newline, (size_t)(r->end + 1 - to));
        }
    }
    return NULL;
}

SESSREC__INLINE char *sessrec__cut_field(const sessrec__reader *r, char *at, int asked, sessrec__text *field,
                                         int *problem) {
    char *stop;
    if (*at == '"' && (stop = sessrec__cut_quoted(r, at, asked, field, problem)) != NULL) return stop;
    stop = sessrec__find_stop(r, at);
    field->at = at;
    field->size = (size_t)(stop - at);
    if (*stop == r->newline && stop > at && stop[-1] == '\r') --field->size;
    return stop;
}

// Cuts the next row, and gives each needed column its field.
static void sessrec__cut_row(sessrec__reader *r, sessrec__row *row) {
    char *at = r->at, *stop;
    const int *asked = r->asked;
    int multiline = 0;
    row->problem = 0;
    row->line = r->line;
    for (int column = 0;; ++column) {
        sessrec__text field;
        stop = sessrec__cut_field(r, at, column == *asked, &field, &row->problem);
        multiline |= *at == '"';
        for (; column == *asked; ++asked) row->field[r->order[asked - r->asked]] = field;
        if (*stop == r->newline || row->problem) break;
        at = stop + (r->separator[1] ? 2 : 1);
        if (r->blanks && *at == ' ') ++at;
    }
    if (*asked >= 0 && !row->problem) row->problem = SESSREC__SHORT;
    row->raw.at = r->at;
    row->raw.size = (size_t)(stop - r->at);
    if (row->raw.size && stop[-1] == '\r') --row->raw.size;
    for (const char *p = r->at; multiline && p < stop; ++p) r->line += *p == r->newline;
    if (row->raw.size > SESSREC__MAX_ROW) row->problem = SESSREC__TOO_LONG;
    if (row->line < r->line++ && !row->problem && !r->spanning++) r->first_spanning = row->line;
    row->unfinished = stop == r->end && r->more;
    r->at = stop == r->end ? r->end : stop + 1;
}

// ---- JSON lines ----

// The end of the JSON string that begins at `at`; `text` is its content. NULL if it does not end.
static char *sessrec__json_string(char *at, const char *end, sessrec__text *text) {
    text->at = ++at;
    for (; at < end && *at != '"'; ++at) at += *at == '\\';
    if (at >= end) return NULL;
    text->size = (size_t)(at - text->at);
    return at + 1;
}

// Replaces escapes, in place. A character beyond the first 65536 may be two of \u.
static void sessrec__json_unescape(sessrec__text *text) {
    static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
    char *put = (char *)(uintptr_t)text->at;
    const char *const end = text->at + text->size;
    uint32_t high = 0;
    for (const char *at = text->at; at < end; ++at) {
        uint32_t code = 0;
        if (*at != '\\') {
            *put++ = *at;
            continue;
        }
        const char *const named = strchr(from, *++at);
        if (*at != 'u' || end - at < 5) {
            *put++ = named && *at ? to[named - from] : *at;
            continue;
        }
        for (int i = 0; i < 4; ++i) {
            static const char digits[] = "0123456789abcdef";
            const char *const digit = strchr(digits, sessrec__lower(*++at));
            code = code * 16 + (uint32_t)(digit && *digit ? digit - digits : 0);
        }
        if (code >= 0xd800 && code < 0xdc00) {
            high = code;
            continue;
        }
        if (high && code >= 0xdc00 && code < 0xe000)
            code = 0x10000 + ((high - 0xd800) << 10) + (code - 0xdc00);
        high = 0;
        // at most 4 bytes where 6 or 12 stood: how many follow is in the first bits of the first
        int more = (code >= 0x80) + (code >= 0x800) + (code >= 0x10000);
        *put++ = (char)(more ? (0xff00 >> (more + 1) & 0xff) | code >> 6 * more : code);
        while (more--) *put++ = (char)(0x80 | (code >> 6 * more & 63));
    }
    text->size = (size_t)(put - text->at);
}

// Ignores case, '_' and blanks; after a colon comes a type (user_id:token).
static int sessrec__same_name(sessrec__text a, sessrec__text b) {
    size_t i = 0, j = 0;
    for (;; ++i, ++j) {
        while (i < a.size && (a.at[i] == '_' || a.at[i] == ' ')) ++i;
        while (j < b.size && (b.at[j] == '_' || b.at[j] == ' ')) ++j;
        if (i == a.size || j == b.size) break;
        if (sessrec__lower(a.at[i]) != sessrec__lower(b.at[j])) break;
    }
    return j == b.size && (i == a.size || a.at[i] == ':');
}

static char *sessrec__behind_space(char *at, const char *end) {
    while (at < end && (unsigned char)*at <= ' ') ++at;
    return at;
}

// Cuts a line that is one object. Lists and objects in it are skipped.
static void sessrec__cut_json(sessrec__reader *r, sessrec__row *row) {
    char *end = (char *)memchr(r->at, r->newline, (size_t)(r->end + 1 - r->at)), *at = r->at;
    memset(row, 0, sizeof *row);
    row->line = r->line++;
    row->unfinished = end == r->end && r->more;
    row->raw.at = at;
    row->raw.size = (size_t)(end - at);
    r->at = end == r->end ? r->end : end + 1;
    if (row->raw.size > SESSREC__MAX_ROW) row->problem = SESSREC__TOO_LONG;
    while (end > at && (unsigned char)end[-1] <= ' ') --end;
    at = sessrec__behind_space(at, end);
    if (at == end) row->raw.size = 0;
    if (at == end || row->problem) return;
    row->problem = SESSREC__NO_JSON;
    if (*at != '{') return;
    do {
        sessrec__text key, value;
        at = sessrec__behind_space(at + 1, end);
        if (*at == '}' && at + 1 == end) break;
        if (*at != '"' || !(at = sessrec__json_string(at, end, &key))) return;
        while (at < end && ((unsigned char)*at <= ' ' || *at == ':')) ++at;
        value.at = at;
        if (*at == '"') {
            if (!(at = sessrec__json_string(at, end, &value))) return;
            if (memchr(value.at, '\\', value.size)) sessrec__json_unescape(&value);
        } else {
            sessrec__text inside;
            for (int depth = 0; at < end && (depth || (*at != ',' && *at != '}'));) {
                depth += (*at == '{' || *at == '[') - (*at == '}' || *at == ']');
                at = *at == '"' ? sessrec__json_string(at, end, &inside) : at + 1;
                if (!at) return;
            }
            value.size = (size_t)(at - value.at);
            while (value.size && (unsigned char)value.at[value.size - 1] <= ' ') --value.size;
            if (value.size == 4 && !memcmp(value.at, "null", 4)) value.size = 0;
            if (*value.at == '{' || *value.at == '[') continue;
        }
        for (int c = 0; c < SESSREC__WANTED; ++c)
            if (r->name_of[c].size && !row->field[c].at && sessrec__same_name(key, r->name_of[c]))
                row->field[c] = value;
        at = sessrec__behind_space(at, end);
    } while (at < end && *at == ',');
    if (at + 1 == end && *at == '}') row->problem = SESSREC__GOOD;
}

// ---- columns ----

static sessrec__text sessrec__text_of(const char *at, size_t size) {
    sessrec__text text;
    text.at = at;
    text.size = size;
    return text;
}

// Whether a list "a,b" has a word.
static int sessrec__is_listed(sessrec__text list, sessrec__text word) {
    for (size_t from = 0, to; from <= list.size; from = to + 1) {
        for (to = from; to < list.size && list.at[to] != ',';) ++to;
        if (to - from == word.size && (!word.size || !memcmp(list.at + from, word.at, word.size))) return 1;
    }
    return 0;
}

static int sessrec__is_digits(sessrec__text text) {
    size_t i = 0;
    while (i < text.size && sessrec__is_digit(text.at[i])) ++i;
    return i && i == text.size;
}

// Notes the name of a needed column, or its number.
static sessrec_result sessrec__want(sessrec__reader *r, int column, const char *at, size_t size) {
    int64_t number = 0;
    const sessrec__text name = sessrec__text_of(at, size);
    r->name_of[column] = name;
    r->column[column] = -1;
    if (!sessrec__is_digits(name)) return SESSREC_OK;
    for (size_t i = 0; i < size && number <= SESSREC__MAX_ROW; ++i) number = number * 10 + (at[i] - '0');
    if (number < 1 || number > SESSREC__MAX_ROW)
        return sessrec__fail(r->err, SESSREC_INVALID_ARGUMENT, 0,
                             "\"%s\" is not a column: columns are counted from 1", at);
    r->column[column] = (int)number - 1;
    return SESSREC_OK;
}

// Checks a format and notes which columns are needed.
static sessrec_result sessrec__check_format(sessrec__reader *r, const sessrec_log_format *given) {
    if (given) r->format = *given;
    else r->format = sessrec_log_format_default();
    const sessrec_log_format *f = &r->format;
    const char *const name[3] = {f->session_column, f->item_column, f->user_column};
    const char *where = f->where && *f->where ? f->where : NULL;
    const char *more = f->category_columns ? f->category_columns : "";
    sessrec_result result = SESSREC_OK;
    for (int c = 0; c < SESSREC__WANTED; ++c) r->column[c] = -1;
    if (f->canary != SESSREC__CANARY_LOG)
        return sessrec__fail(r->err, SESSREC_INVALID_ARGUMENT, 0,
                             "the log format was not made by sessrec_log_format_default()");
    if (f->separator && (strpbrk(f->separator, "\"\r\n") || strlen(f->separator) > 2))
        return sessrec__fail(r->err, SESSREC_INVALID_ARGUMENT, 0,
                             "fields are separated by one byte or two, not by quotes or line ends");
    if (f->time_unit < SESSREC_UNIT_AUTO || f->time_unit > SESSREC_UNIT_DATE)
        return sessrec__fail(r->err, SESSREC_INVALID_ARGUMENT, 0, "there is no such unit of time");
    r->roles = SESSREC__CATEGORY;
    for (int c = 0; c <= SESSREC__TIME && !result; ++c) {
        const int category = c >= SESSREC__CATEGORY && c < SESSREC__TIME;
        const char *at = category ? more : c == SESSREC__TIME ? f->time_column : name[c];
        if (!at) at = "";
        const char *comma = c >= SESSREC__CATEGORY ? strchr(at, ',') : NULL;
        if (!*at && c <= SESSREC__ITEM)
            return sessrec__fail(r->err, SESSREC_INVALID_ARGUMENT, 0,
                                 "the log format names no column for the %s",
                                 c == SESSREC__ITEM ? "item" : "session");
        result = sessrec__want(r, c, at, comma ? (size_t)(comma - at) : strlen(at));
        if (c == SESSREC__TIME && comma && !result)
            result = sessrec__want(r, SESSREC__OFFSET, comma + 1, strlen(comma + 1));
        if (!category || !*at) continue;
        more = comma ? comma + 1 : at + strlen(at);
        r->roles = c + 1;
        if (comma == at || r->name_of[c].size > SESSREC_MAX_ID) more = at;  // no name, or too long
        if (more == at) break;
    }
    if (*more && !result)
        return sessrec__fail(r->err, SESSREC_INVALID_ARGUMENT, 0,
                             "category columns are one to four names of at most 255 bytes, separated by "
                             "commas");
    for (int c = SESSREC__WHERE; where && !result; ++c) {
        const size_t size = strcspn(where, ";"), column = strcspn(where, "=");
        if (column >= size || !column || c == SESSREC__WANTED)
            return sessrec__fail(r->err, SESSREC_INVALID_ARGUMENT, 0,
                                 "a condition reads COLUMN=VALUE,VALUE, up to four are separated by ;");
        result = sessrec__want(r, c, where, column);
        r->value[c] = sessrec__text_of(where + column + 1, size - column - 1);
        where = where[size] ? where + size + 1 : NULL;
    }
    return result;
}

// The user may be missing, unless another name than the default asks for it.
static int sessrec__is_required(const sessrec__reader *r, int column) {
    return r->name_of[column].size &&
           (column != SESSREC__USER || strcmp(r->format.user_column, "UserId") != 0);
}

// How files that are not text begin, and what turns them into text.
static sessrec_result sessrec__check_kind(const sessrec__reader *r) {
    static const struct {
        const char *magic, *name, *command;
    } kinds[11] = {
        {"\x1f\x8b", "compressed by gzip", "zcat FILE"},
        {"\x28\xb5\x2f\xfd", "compressed by zstd", "zstdcat FILE"},
        {"\xfd"
         "7zXZ",
         "compressed by xz", "xzcat FILE"},
        {"BZh", "compressed by bzip2", "bzcat FILE"},
        {"PK\x03\x04", "a zip archive or a workbook", "unzip -p FILE"},
        {"PAR1", "Parquet", "duckdb -csv -c \"from 'FILE'\""},
        {"ARROW1", "Arrow",
         "python3 -c \"import pandas,sys; pandas.read_feather('FILE').to_csv(sys.stdout)\""},
        {"\xff\xfe", "UTF-16", "iconv -f UTF-16 -t UTF-8 FILE"},
        {"\xfe\xff", "UTF-16", "iconv -f UTF-16 -t UTF-8 FILE"},
        {"SQLite format 3", "a SQLite database", "sqlite3 -csv -header FILE 'select * from clicks'"},
        {"[", "a JSON list", "jq -c '.[]' FILE"}};
    const size_t size = (size_t)(r->end - r->at);
    for (int i = 0; i < 11; ++i) {
        const size_t length = strlen(kinds[i].magic);
        if (size > length && !memcmp(r->at, kinds[i].magic, length))
            return sessrec__fail(
                r->err, SESSREC_BAD_LOG, 0,
                "this is %s, not lines of text; read the output of a command: %s | sessrec ... -",
                kinds[i].name, kinds[i].command);
    }
    const char *const line = (const char *)memchr(r->at, '\n', size);
    if (memchr(r->at, 0, line ? (size_t)(line - r->at) : size))
        return sessrec__fail(
            r->err, SESSREC_BAD_LOG, 0,
            "this is not text: it has NUL bytes. If it is UTF-16, read the output of a command: "
            "iconv -f UTF-16LE -t UTF-8 FILE | sessrec ... -");
    return SESSREC_OK;
}

// The most frequent separator of a line; among equals, the first of this list.
static void sessrec__find_separator(sessrec__reader *r, sessrec__text line) {
    static const char *const candidates[6] = {"\t", ",", ";", "|", "::", " "};
    size_t most = 0;
    strcpy(r->separator, "\t");
    for (int c = 0; c < 6 && !(c == 5 && most); ++c) {
        size_t count = 0;
        for (size_t i = 0; i < line.size; ++i)
            count += line.at[i] == *candidates[c] &&
                     (!candidates[c][1] || (i + 1 < line.size && line.at[i + 1] == candidates[c][1]));
        if (count <= most) continue;
        most = count;
        strcpy(r->separator, candidates[c]);
    }
}

// Lists the needed columns from left to right, by insertion.
static void sessrec__order_columns(sessrec__reader *r) {
    r->wanted = 0;
    for (int c = 0; c < SESSREC__WANTED; ++c) {
        int to = r->wanted;
        if (r->column[c] < 0) continue;
        for (; to > 0 && r->column[r->order[to - 1]] > r->column[c]; --to) r->order[to] = r->order[to - 1];
        r->order[to] = c;
        ++r->wanted;
    }
    for (int k = 0; k <= r->wanted; ++k) r->asked[k] = k < r->wanted ? r->column[r->order[k]] : -1;
}

// Finds the columns needed by name in a header line. Returns the first that is missing, or -1.
static int sessrec__read_header(sessrec__reader *r) {
    char *at = r->at;
    int problem = 0, blanks = 1, found[SESSREC__WANTED];
    memcpy(found, r->column, sizeof found);
    for (int column = 0;; ++column) {
        sessrec__text name;
        char *stop = sessrec__cut_field(r, at, 0, &name, &problem);
        for (int c = 0; c < SESSREC__WANTED; ++c)
            if (found[c] < 0 && r->name_of[c].size && sessrec__same_name(name, r->name_of[c])) {
                found[c] = column;
                // what this library writes where its times could be taken for others
                if (c == SESSREC__TIME && name.size > 2 && !memcmp(name.at + name.size - 2, ":s", 2) &&
                    r->format.time_unit == SESSREC_UNIT_AUTO)
                    r->format.time_unit = SESSREC_UNIT_SECONDS;
            }
        if (*stop == r->newline) break;
        at = stop + (r->separator[1] ? 2 : 1);
        blanks = blanks && *at == ' ' && at[1] != ' ';
    }
    r->blanks = blanks && at != r->at && r->separator[0] != ' ';
    for (int c = 0; c < SESSREC__WANTED; ++c)
        if (found[c] < 0 && sessrec__is_required(r, c)) return c;
    memcpy(r->column, found, sizeof found);
    return -1;
}

// If all columns are given by number, the first line is a header if its time is a word and no field is a
// number.
static int sessrec__is_header(const sessrec__reader *r, const sessrec__row *row) {
    const sessrec__text time = row->field[SESSREC__TIME];
    if (!time.size || sessrec__is_listed(sessrec__text_of("NULL,null,NaN,nan,NA,None", 25), time)) return 0;
    for (size_t i = 0; i < time.size; ++i)
        if (sessrec__is_digit(time.at[i]) || (unsigned char)time.at[i] < ' ') return 0;
    for (int c = 0; c < SESSREC__WANTED; ++c)
        if (r->column[c] >= 0 && (!row->field[c].at || sessrec__is_digits(row->field[c]))) return 0;
    return 1;
}

// ---- reading rows ----

// A row that cannot be read: counted if the caller wants that, else the end of reading. A repeated header
// line, from concatenated files, is neither.
static sessrec_result sessrec__bad_row(sessrec__reader *r, const sessrec__row *row, int place, int problem) {
    char shown[48];
    sessrec__text text = place < SESSREC__OF_ROW ? row->field[place] : row->raw;
    const char *const end = (const char *)memchr(text.at, r->newline, text.size);
    if (end) text.size = (size_t)(end - text.at);
    if (r->header && row->raw.size && sessrec__hash(1, row->raw.at, row->raw.size) == r->header) {
        ++r->headers;
        return SESSREC_OK;
    }
    if (r->format.skip_bad_rows) {
        if (!r->bad[place][problem]++) r->first_bad[place][problem] = row->line;
        ++r->log->view.bad_row_count;
        return SESSREC_OK;
    }
    return sessrec__fail(r->err, SESSREC_BAD_LOG, row->line, "the %s \"%s\" %s%s", sessrec__places[place],
                         sessrec__excerpt(text, 40, shown, sizeof shown), sessrec__problems[problem][0],
                         sessrec__problems[problem][1]);
}

// Reads a field of a time or an offset; returns what is wrong with it.
static int sessrec__parse_time(sessrec__reader *r, int column, sessrec__text field, double *out) {
    while (field.size && *field.at == ' ') ++field.at, --field.size;
    while (field.size && field.at[field.size - 1] == ' ') --field.size;
    const int is_day = r->name_of[SESSREC__OFFSET].size && column == SESSREC__TIME;
    const int unit_is_date = r->format.time_unit == SESSREC_UNIT_DATE && column == SESSREC__TIME;
    int form = r->form, dates = 1;
    if (!field.size) return SESSREC__BLANK;
    if (field.size > SESSREC__MAX_TIME) return SESSREC__NO_TIME;
    if (!(unit_is_date || (is_day && field.size == 8)) || !sessrec__parse_date_digits(field, out)) {
        if (!unit_is_date && sessrec__parse_number(field.at, field.at + field.size, out)) {
            dates = -1;
        } else if (column == SESSREC__OFFSET) {
            return SESSREC__NO_TIME;
        } else if (!sessrec__match_date(form, field, out)) {
            const int not_from = r->format.day_first ? 14 : 12;
            for (form = 0; form < SESSREC__DATE_FORMS; ++form) {
                if (r->format.day_first >= 0 && (form == not_from || form == not_from + 1)) continue;
                if (sessrec__match_date(form, field, out)) break;
            }
            if (form == SESSREC__DATE_FORMS) return SESSREC__NO_TIME;
            if (form >= SESSREC__EITHER_ORDER && r->format.day_first < 0) return SESSREC__WHICH_DAY;
            r->form = form;
        }
    }
    if (column == SESSREC__OFFSET) {
        if (fabs(*out) > r->most_offset) r->most_offset = fabs(*out);
        return SESSREC__GOOD;
    }
    if (r->dates && r->dates != dates) return SESSREC__OTHER_TIME;
    r->dates = dates;
    return SESSREC__GOOD;
}

// Counts a number by its size, and notes whether all could be dates.
static void sessrec__size_time(sessrec__reader *r, sessrec__text field, double time) {
    const double size = fabs(time);
    double date;
    ++r->sizes[size < 1e11 ? 0 : size < 1e14 ? 1 : size < 1e17 ? 2 : 3];
    if (!r->digits) return;
    if ((r->digits > 0 && (size_t)r->digits != field.size) ||
        !sessrec__parse_date_digits(field, &date) || (field.size > 4 && date < 0))
        r->digits = 0;
    else r->digits = (int)field.size;
}

// What is wrong with an id.
static int sessrec__id_problem(const sessrec__reader *r, sessrec__text id) {
    if (!id.size) return SESSREC__BLANK;
    if (id.size > SESSREC_MAX_ID) return SESSREC__LONG_ID;
    return r->has_nul && memchr(id.at, 0, id.size) ? SESSREC__HAS_NUL : SESSREC__GOOD;
}

// Makes an event from a cut row, if the conditions are met.
static sessrec_result sessrec__take_row(sessrec__reader *r, sessrec__row *row) {
    sessrec__text *field = row->field;
    double time = (double)(r->log->in->count + r->log->in->rows), offset = 0;
    int problem = row->problem;
    if (!row->raw.size) return SESSREC_OK;
    if (problem) return sessrec__bad_row(r, row, SESSREC__OF_ROW, problem);
    for (int c = SESSREC__WHERE; c < SESSREC__WANTED && r->name_of[c].size; ++c)
        if (!sessrec__is_listed(r->value[c], field[c])) return ++r->other_rows, SESSREC_OK;
    ++r->rows;
    for (int k = 0; k < r->wanted; ++k) {
        const int c = r->order[k];
        const int may_miss = c >= SESSREC__USER && c < SESSREC__IDS;
        if (c >= SESSREC__WHERE || (may_miss && !field[c].at)) continue;
        if (!field[c].at) return sessrec__bad_row(r, row, SESSREC__OF_ROW, SESSREC__NO_KEY);
        if (r->format.blank &&
            sessrec__is_listed(sessrec__text_of(r->format.blank, strlen(r->format.blank)), field[c]))
            field[c].size = 0;
        if (c < SESSREC__IDS)
            problem = may_miss && !field[c].size ? 0 : sessrec__id_problem(r, field[c]);
        else problem = sessrec__parse_time(r, c, field[c], c == SESSREC__TIME ? &time : &offset);
        if (problem) return sessrec__bad_row(r, row, c, problem);
    }
    if (r->dates < 0 && r->format.time_unit == SESSREC_UNIT_AUTO)
        sessrec__size_time(r, field[SESSREC__TIME], time);
    return sessrec__log_failed(r->err, sessrec__take_event(r->log, field, time, offset));
}

// Finds the layout of the text from its first line that is neither blank nor a comment.
static sessrec_result sessrec__start(sessrec__reader *r) {
    char shown[128], name[64];
    int names = 0, missing = -1;
    sessrec_result result = sessrec__fill(r);
    if (!result && r->end - r->at >= 3 && !memcmp(r->at, "\xef\xbb\xbf", 3)) r->at += 3;  // a byte order mark
    if (!result) result = sessrec__check_kind(r);
    if (result) return result;
    const size_t size = (size_t)(r->end - r->at);
    if (!memchr(r->at, '\n', size - (size_t)r->unended) && memchr(r->at, '\r', size)) {
        r->newline = *r->end = '\r';
        if (r->unended) r->end[-1] = '\r';
        r->unended = r->unended && r->end[-2] != '\r';
    }
    for (int c = 0; c < SESSREC__WANTED; ++c) names |= r->column[c] < 0 && sessrec__is_required(r, c);
    for (r->line = 1;; ++r->line) {
        char *end = (char *)memchr(r->at, r->newline, (size_t)(r->end + 1 - r->at));
        sessrec__text line = sessrec__text_of(r->at, (size_t)(end - r->at));
        if (line.size && line.at[line.size - 1] == '\r') --line.size;
        if (r->at == r->end)
            return sessrec__fail(r->err, SESSREC_BAD_LOG, 0, "the log is empty: not even a header is there");
        if (line.size > SESSREC__MAX_ROW)
            return sessrec__fail(r->err, SESSREC_BAD_LOG, r->line, "the first line is longer than 1 MiB");
        r->json = line.size && *line.at == '{';
        for (int c = 0; c < SESSREC__WANTED && r->json; ++c)
            if (r->name_of[c].size) r->order[r->wanted++] = c;
        if (r->json) return SESSREC_OK;
        if (line.size >= 5 && line.size <= 6 && !memcmp(line.at, "sep=", 4)) {  // Excel
            if (!r->format.separator) memcpy(r->separator, line.at + 4, line.size - 4);
        } else if (line.size) {
            const int comment = *line.at == '#';
            r->at += comment;
            if (!r->separator[0]) sessrec__find_separator(r, line);
            r->separators = (unsigned char)r->separator[0] * SESSREC__EACH_BYTE;
            r->newlines = (unsigned char)r->newline * SESSREC__EACH_BYTE;
            missing = names ? sessrec__read_header(r) : -1;
            if (missing < 0 && (names || !comment)) break;
            if (!comment)
                return sessrec__fail(
                    r->err, SESSREC_BAD_LOG, r->line,
                    "the header has no column \"%s\", it reads \"%s\"; name the columns that it has: "
                    "--session-column, --item-column, --time-column",
                    sessrec__excerpt(r->name_of[missing], 50, name, sizeof name),
                    sessrec__excerpt(line, 100, shown, sizeof shown));
            if (!r->format.separator) r->separator[0] = 0;
        }
        r->at = end == r->end ? r->end : end + 1;
        result = sessrec__fill(r);
        if (result) return result;
    }
    sessrec__order_columns(r);
    if (!names && r->column[SESSREC__TIME] < 0) return SESSREC_OK;
    sessrec__row row;
    memset(&row, 0, sizeof row);
    sessrec__cut_row(r, &row);
    if (names || sessrec__is_header(r, &row))
        r->header = row.raw.size ? sessrec__hash(1, row.raw.at, row.raw.size) : 0;
    else result = sessrec__take_row(r, &row);
    return result;
}

// Skips the rest of a row that is longer than the block.
static sessrec_result sessrec__drop_row(sessrec__reader *r) {
    sessrec_result result = SESSREC_OK;
    char *stop = NULL;
    while (!result && !stop && r->more) {
        r->at = r->end;
        result = sessrec__fill(r);
        stop = (char *)memchr(r->at, r->newline, (size_t)(r->end - r->at));
    }
    r->at = stop ? stop + 1 : r->end;
    return result;
}

// When room for events runs out, makes enough for the whole text, if the rest is like what was read; if
// little was read, for less. Without memory for so many, room grows in small steps.
static void sessrec__foresee(const sessrec__reader *r) {
    const int64_t known = r->log->in->count + r->log->in->rows, events = known - r->first_event;
    if (known < r->log->in->room || r->size <= 0) return;
    double all = 1.02 * (double)events * (r->size / (r->bytes - (double)(r->end - r->at)));
    if (all > 16.0 * (double)events) all = 16.0 * (double)events;
    (void)sessrec__reserve_events(r->log, r->first_event + (int64_t)all);
}

static sessrec_result sessrec__read_rows(sessrec__reader *r) {
    sessrec_result result = sessrec__start(r);
    sessrec__row row;
    memset(&row, 0, sizeof row);
    if (!result) result = sessrec__fill(r);
    while (!result && r->at < r->end) {
        if (r->json) sessrec__cut_json(r, &row);
        else sessrec__cut_row(r, &row);
        result = sessrec__take_row(r, &row);
        sessrec__foresee(r);
        if (!result && row.unfinished) result = sessrec__drop_row(r);
        if (!result && r->end - r->at <= SESSREC__MAX_ROW + 2) result = sessrec__fill(r);
    }
    return result ? result : sessrec__log_failed(r->err, sessrec__flush(r->log));
}

// Converts the times of a file to seconds. A unit that was not given is found by the size of most numbers:
// today's seconds have 10 digits, milliseconds 13; an offset is within two days.
static sessrec_result sessrec__scale_times(sessrec__reader *r) {
    static const struct {
        const char *name;
        double in_a_second;
    } units[5] = {
        {"", 1}, {"seconds", 1}, {"milliseconds", 1e3}, {"microseconds", 1e6}, {"nanoseconds", 1e9}};
    sessrec__intake *in = r->log->in;
    const int64_t numbers = r->sizes[0] + r->sizes[1] + r->sizes[2] + r->sizes[3];
    int unit = r->format.time_unit, most = 0;
    if (r->format.time_unit == SESSREC_UNIT_AUTO && r->digits > 0 && numbers &&
        (r->digits > 4 || numbers >= 20))
        return sessrec__fail(
            r->err, SESSREC_BAD_LOG, 0,
            "the times look like dates without separators (%s), as seconds they would be other days: "
            "--time-unit date reads them as dates, --time-unit s as seconds",
            r->digits == 4   ? "MMDD"
            : r->digits == 8 ? "YYYYMMDD"
                             : "YYYYMMDDHHMMSS");
    if (unit == SESSREC_UNIT_AUTO || (unit == SESSREC_UNIT_DATE && in->offset)) {
        for (int i = 1; i < 4; ++i)
            if (r->sizes[i] > r->sizes[most]) most = i;
        if (in->offset)
            for (most = 0; most < 3 && r->most_offset >= 2 * 86400 * units[most + 1].in_a_second;) ++most;
        unit = most + 1;
        if (in->offset || most)
            sessrec__fail(sessrec__note(r->log), SESSREC_OK, 0,
                          "%s are read as %s, by their size; --time-unit overrides this",
                          in->offset ? "the numbers of the second time column" : "times", units[unit].name);
        if (most && r->sizes[most] < numbers)
            sessrec__fail(sessrec__note(r->log), SESSREC_OK, 0,
                          "%d of %d times differ in magnitude from the others", numbers - r->sizes[most],
                          numbers);
    }
    for (int64_t e = r->first_event; e < in->count && in->offset; ++e)
        in->time[e] += in->offset[e] / units[unit].in_a_second;
    for (int64_t e = r->first_event;
         e < in->count && !in->offset && r->dates < 0 && unit > SESSREC_UNIT_SECONDS; ++e)
        in->time[e] /= units[unit].in_a_second;
    sessrec__free(&r->log->memory, in->offset);
    in->offset = NULL;
    return SESSREC_OK;
}

// Notes what was skipped, and what may be wrong.
static void sessrec__remark_rows(sessrec__reader *r) {
    sessrec_log *log = r->log;
    const char *const of = r->name ? " of " : "", *const name = r->name ? r->name : "";
    for (int p = 0; p < SESSREC__PLACES; ++p)
        for (int k = 0; k < SESSREC__PROBLEMS; ++k)
            if (r->bad[p][k])
                sessrec__fail(sessrec__note(log), SESSREC_OK, 0,
                              "rows skipped because the %s %s: %d, the first in line %d%s%s",
                              sessrec__places[p], sessrec__problems[k][0], r->bad[p][k], r->first_bad[p][k],
                              of, name);
    if (r->spanning)
        sessrec__fail(sessrec__note(log), SESSREC_OK, 0,
                      "rows with line ends in quotes: %d, the first in line %d%s%s; if quotes are plain "
                      "text in this log: --no-quotes",
                      r->spanning, r->first_spanning, of, name);
    if (r->headers)
        sessrec__fail(sessrec__note(log), SESSREC_OK, 0, "repeated header lines skipped: %d",
                      r->headers);
    if (r->other_rows && !r->rows)
        sessrec__fail(sessrec__note(log), SESSREC_OK, 0, "no row has %s: --where", r->format.where);
    if (r->unended)
        sessrec__fail(sessrec__note(log), SESSREC_OK, 0,
                      "the last line%s%s has no line end; if the file was cut off, its last row is wrong", of,
                      name);
}

// Reads the text that a reader was given. The first failure of a log stays with it.
static sessrec_result sessrec__read_text(sessrec__reader *r, sessrec_log *log,
                                         const sessrec_log_format *format, sessrec_error *err) {
    sessrec__intake *in = log->in;
    sessrec_result result = in->failure.code;
    r->log = log;
    r->err = &in->failure;
    if (!result) result = sessrec__check_format(r, format);
    if (!result && r->roles > log->roles)
        result = sessrec__fail(r->err, SESSREC_INVALID_ARGUMENT, 0,
                               "the text has more category columns than the log was created with");
    r->more = 1;
    r->newline = '\n';
    r->digits = -1;
    r->first_event = in->count;
    if (!result && r->format.separator) strcpy(r->separator, r->format.separator);
    const size_t all = r->memory_left + 2 * SESSREC__SLACK;
    r->room = r->file || all > SESSREC__MAX_BLOCK ? (size_t)SESSREC__MAX_BLOCK : all;
    r->block = (char *)sessrec__alloc_unset(&log->memory, r->room, 1);
    if (!result && !r->block) result = sessrec__no_memory(r->err);
    if (!result && r->name_of[SESSREC__OFFSET].size) {
        in->offset = (double *)sessrec__alloc_unset(&log->memory, (uint64_t)in->room + 1, sizeof *in->offset);
        if (!in->offset) result = sessrec__no_memory(r->err);
    }
    if (!result) result = sessrec__read_rows(r);
    if (!result) result = sessrec__scale_times(r);
    if (!result) sessrec__remark_rows(r);
    sessrec__free(&log->memory, r->block);
    if (result && err) *err = in->failure;
    return result;
}

SESSREC_API sessrec_result sessrec_log_create(const sessrec_log_format *format, sessrec_log **out,
                                              sessrec_error *err) {
    static const char *const written[4] = {"SessionId", "ItemId", "Time", "UserId"};  // names of columns
    sessrec__reader r;
    if (!out) return sessrec__invalid(err, "out is NULL: no place for the log");
    *out = NULL;
    memset(&r, 0, sizeof r);
    r.err = err;
    sessrec_result result = sessrec__check_format(&r, format);
    if (result) return result;
    const sessrec_allocator memory = sessrec__allocator(&r.format.allocator);
    const sessrec_model *model = r.format.items_of;
    sessrec_log *log = sessrec__log_new(&memory, model ? sessrec_model_describe(model).item_count : 0,
                                        r.roles, r.format.id_key);
    if (log) log->in = (sessrec__intake *)sessrec__alloc(&memory, 1, sizeof *log->in);
    if (!log || !log->in) result = SESSREC_OUT_OF_MEMORY;
    for (int c = 0; !result && c < r.roles - SESSREC__CATEGORY; ++c) {
        const sessrec__text name = r.name_of[SESSREC__CATEGORY + c];
        int taken = sessrec__is_digits(name);
        for (int i = 0; i < 4; ++i)
            taken |= sessrec__same_name(name, sessrec__text_of(written[i], strlen(written[i])));
        strcpy(log->names[c], "CategoryN");
        log->names[c][8] = (char)('1' + c);
        if (taken) continue;
        memcpy(log->names[c], name.at, name.size);
        log->names[c][name.size] = 0;
    }
    for (int role = 0; role < r.roles && !result; ++role)
        result = sessrec__ids_reserve(&log->ids[role], 0, 0);
    for (int32_t i = 0; !result && i < log->known_items; ++i) {
        const char *id = sessrec_model_item_id(model, i);
        int32_t number;  // ids of a model are distinct: i
        result = sessrec__ids_intern(&log->ids[SESSREC__ITEM], id, strlen(id), &number);
    }
    if (result) sessrec_log_destroy(log);
    else *out = log;
    return sessrec__log_failed(err, result);
}

SESSREC_API sessrec_result sessrec_log_add_text(sessrec_log *log, const void *text, size_t size,
                                                const sessrec_log_format *format, sessrec_error *err) {
    sessrec__reader r;
    if (!log || !log->in || (!text && size))
        return sessrec__invalid(err, "there is no text, or no log that is not finished");
    memset(&r, 0, sizeof r);
    r.memory = (const char *)text;
    r.memory_left = size;
    r.size = (double)size;
    return sessrec__read_text(&r, log, format, err);
}

// The begin and end of reading one text.
static sessrec_result sessrec__read_end(sessrec_result result, sessrec_log **log, sessrec_error *err) {
    if (!result) result = sessrec_log_finish(*log, err);
    if (!result) return result;
    sessrec_log_destroy(*log);
    *log = NULL;
    return result;
}

SESSREC_API sessrec_result sessrec_log_import(const void *text, size_t size, const sessrec_log_format *format,
                                              sessrec_log **out, sessrec_error *err) {
    sessrec_result result = sessrec_log_create(format, out, err);
    if (!result) result = sessrec__read_end(sessrec_log_add_text(*out, text, size, format, err), out, err);
    return result;
}

#ifndef SESSREC_NO_STDIO

#ifdef SESSREC__POSIX
#  define SESSREC__READ_ONLY "rbe"  // e: programs that are started meanwhile do not get it
#else
#  define SESSREC__READ_ONLY "rb"
#endif

SESSREC_API sessrec_result sessrec_log_add_file(sessrec_log *log, const char *path,
                                                const sessrec_log_format *format, sessrec_error *err) {
    sessrec__reader r;
    if (!log || !log->in || !path)
        return sessrec__invalid(err, "there is no path, or no log that is not finished");
    memset(&r, 0, sizeof r);
    const int is_input = !strcmp(path, "-");
    do r.file = is_input ? stdin : fopen(path, SESSREC__READ_ONLY);
    while (!r.file && errno == EINTR);
    r.name = path;
    if (!r.file) {
        const sessrec_result missing = errno == ENOENT   ? SESSREC_NO_FILE
                                       : errno == ENOMEM ? SESSREC_OUT_OF_MEMORY
                                                         : SESSREC_IO_ERROR;
        sessrec__fail(&log->in->failure, missing, 0, "the log cannot be opened: %s", strerror(errno));
        if (err) *err = log->in->failure;
        return missing;
    }
    const long begin = ftell((FILE *)r.file);
    if (begin >= 0 && !fseek((FILE *)r.file, 0, SEEK_END)) {  // not so in a pipe
        r.size = (double)(ftell((FILE *)r.file) - begin);
        fseek((FILE *)r.file, begin, SEEK_SET);
    }
    const sessrec_result result = sessrec__read_text(&r, log, format, err);
    if (!is_input) fclose((FILE *)r.file);
    return result;
}

SESSREC_API sessrec_result sessrec_log_read(const char *path, const sessrec_log_format *format,
                                            sessrec_log **out, sessrec_error *err) {
    sessrec_result result = sessrec_log_create(format, out, err);
    if (!result) result = sessrec__read_end(sessrec_log_add_file(*out, path, format, err), out, err);
    return result;
}

// ---- writing a log ----

// An id as a field; in quotes if a reader could take part of it for something else. Returns where the field
// ends.
static char *sessrec__put_id(char *to, const char *id) {
    const int quoted = strpbrk(id, "\t\"\r\n") != NULL;
    if (quoted) *to++ = '"';
    for (; *id; ++id) {
        if (*id == '"') *to++ = '"';
        *to++ = *id;
    }
    if (quoted) *to++ = '"';
    return to;
}

// A time with as few decimals as give the same double when read, at most 324. snprintf would use the locale's
// decimal point.
static char *sessrec__put_time(char *to, double time) {
    const double size = fabs(time);
    // begins with the first digit that is not 0
    for (int places = size > 0 && size < 1 ? (int)-log10(size) : 0;; ++places) {
        char text[SESSREC__MAX_TIME], *end = to;
        double back;
        snprintf(text, sizeof text, "%.*f", places, time);
        for (const char *at = text; *at; ++at) {
            if (sessrec__is_digit(*at) || *at == '-') *end++ = *at;
            else if (end[-1] != '.') *end++ = '.';
        }
        if (places > 324 || (sessrec__parse_number(to, end, &back) && back == time)) return end;
    }
}

static const char sessrec__log_begins[] = "SessionId\t";

static int sessrec__write_log(sessrec__sink *sink, const void *what) {
    const sessrec_log *log = (const sessrec_log *)what;
    char row[SESSREC__IDS * (2 * SESSREC_MAX_ID + 3) + SESSREC__MAX_TIME], *to = row;
    const sessrec_log_view *v = &log->view;
    double least = HUGE_VAL, most = -HUGE_VAL;
    for (int64_t e = 0; e < v->event_count; ++e) {
        if (least > v->times[e]) least = v->times[e];
        if (most < v->times[e]) most = v->times[e];
    }
    // numbers that a reader would take for another unit or for dates are called seconds
    const int plain =
        most < 1e11 && least > -1e11 && (least < 1000 || (least > 21001231 && most < 1970010100));
    strcpy(row, "SessionId\tItemId\tTime");
    strcat(row, plain || !v->event_count ? "" : ":s");
    strcat(row, v->session_users ? "\tUserId" : "");
    to += strlen(row);
    for (int32_t c = 0; c < v->category_count; ++c) {
        *to++ = '\t';
        to = sessrec__put_id(to, log->names[c]);
    }
    *to++ = '\n';
    if (!sessrec__sink_write(sink, row, (size_t)(to - row))) return 0;
    for (int32_t s = 0; s < v->session_count; ++s) {
        for (int64_t e = v->session_begins[s]; e < v->session_begins[s + 1]; ++e) {
            to = sessrec__put_id(row, sessrec__ids_text(&log->ids[SESSREC__SESSION], s));
            *to++ = '\t';
            to = sessrec__put_id(to, sessrec__ids_text(&log->ids[SESSREC__ITEM], v->items[e]));
            *to++ = '\t';
            to = sessrec__put_time(to, v->times[e]);
            if (v->session_users) {
                *to++ = '\t';
                if (v->session_users[s] >= 0)
                    to =
                        sessrec__put_id(to, sessrec__ids_text(&log->ids[SESSREC__USER], v->session_users[s]));
            }
            for (int32_t c = 0; c < v->category_count; ++c) {
                *to++ = '\t';
                if (v->categories[c][e] >= 0)
                    to = sessrec__put_id(to, sessrec_log_value(log, c, v->categories[c][e]));
            }
            *to++ = '\n';
            if (!sessrec__sink_write(sink, row, (size_t)(to - row))) return 0;
        }
    }
    return 1;
}

SESSREC_API sessrec_result sessrec_log_write(const sessrec_log *log, const char *path, sessrec_error *err) {
    if (!log || log->in || !path)
        return sessrec__invalid(err, "there is no path, or no finished log");
    const sessrec_output output = {path, NULL, NULL, log, NULL, 0};
    return sessrec_outputs_write(&output, 1, err);
}

#endif  // SESSREC_NO_STDIO

// ---- filters ----

// The rule removes events until nothing changes. Round by round that would be quadratic for a log in which
// each round removes one session. Instead, after the first round a queue of what violates the rule is
// processed. Except for max_length, which nothing can violate after the first round, the order does not
// matter: counts only decrease, and neighbors that are the same item stay neighbors.
typedef struct sessrec__sieve {
    const sessrec_log *log;
    sessrec_filter rule;
    int32_t *label;          // [events] the session; dropped: minus the length of the run of dropped events,
                             // at both ends of the run
    int64_t *support;        // [items] events left
    int64_t *length;         // [sessions] events left
    int64_t *first, *later;  // [items], [events] the events of an item as a list: event + 1, 0 ends
    int32_t *list;           // [items + sessions] an item, or ~session, that fell below the rule
    int64_t listed;
    int listing;  // list what falls below the rule; not in the first round, until its sessions go
    int joining;  // drop also the second of two neighbors that become the same item
} sessrec__sieve;

static void sessrec__sieve_layout(void *object, sessrec__layout *layout) {
    sessrec__sieve *v = (sessrec__sieve *)object;
    const uint64_t items = (uint64_t)v->log->view.item_count, sessions = (uint64_t)v->log->view.session_count;
    v->support = sessrec__place_longs(layout, items);
    v->length = sessrec__place_longs(layout, sessions);
    v->first = sessrec__place_longs(layout, items);
    v->later = sessrec__place_longs(layout, (uint64_t)v->log->view.event_count);
    v->list = sessrec__place_ints(layout, items + sessions);
}

// Removes an event. Items and sessions are queued when they fall below the rule, so at most once.
static void sessrec__sieve_drop(sessrec__sieve *v, int64_t e) {
    const sessrec_log *log = v->log;
    const int32_t s = v->label[e], item = log->view.items[e];
    const int64_t begin = log->view.session_begins[s], end = log->view.session_begins[s + 1];
    const int32_t left = e > begin && v->label[e - 1] < 0 ? -v->label[e - 1] : 0;
    const int32_t right = e + 1 < end && v->label[e + 1] < 0 ? -v->label[e + 1] : 0;
    const int64_t from = e - left, to = e + right;
    v->label[e] = -1;
    v->label[from] = v->label[to] = -(left + 1 + right);  // a session has at most INT32_MAX events
    if (--v->support[item] == v->rule.min_support - 1 && item >= log->known_items && v->listing)
        v->list[v->listed++] = item;
    if (--v->length[s] == v->rule.min_length - 1 && v->listing) v->list[v->listed++] = ~s;
    if (v->joining && from > begin && to + 1 < end && log->view.items[from - 1] == log->view.items[to + 1])
        sessrec__sieve_drop(v, to + 1);  // goes no deeper: the event after that one is another item
}

static void sessrec__sieve_repeats(sessrec__sieve *v) {
    const sessrec_log *log = v->log;
    for (int32_t s = 0; s < log->view.session_count; ++s) {
        int32_t last = -1;
        for (int64_t e = log->view.session_begins[s]; e < log->view.session_begins[s + 1]; ++e) {
            if (v->label[e] < 0) continue;
            if (log->view.items[e] == last) sessrec__sieve_drop(v, e);
            last = log->view.items[e];
        }
    }
}

// Removes the remaining events of an item, or of ~session.
static void sessrec__sieve_all(sessrec__sieve *v, int32_t what) {
    if (what >= 0) {
        for (int64_t e = v->first[what]; e; e = v->later[e - 1])
            if (v->label[e - 1] >= 0) sessrec__sieve_drop(v, e - 1);
    } else {
        for (int64_t e = v->log->view.session_begins[~what]; e < v->log->view.session_begins[~what + 1]; ++e)
            if (v->label[e] >= 0) sessrec__sieve_drop(v, e);
    }
}

// The first round in the order of the rule, then what follows from it.
static void sessrec__sieve_run(sessrec__sieve *v) {
    const sessrec_log *log = v->log;
    const sessrec_filter rule = v->rule;
    for (int64_t e = 0; e < log->view.event_count; ++e) {
        v->later[e] = v->first[log->view.items[e]];
        v->first[log->view.items[e]] = e + 1;
        ++v->support[log->view.items[e]];
        ++v->length[v->label[e]];
    }
    if (rule.drop_repeats) sessrec__sieve_repeats(v);
    for (int32_t i = log->known_items; i < log->view.item_count; ++i)
        if (v->support[i] < rule.min_support) sessrec__sieve_all(v, i);
    v->listing = 1;
    for (int32_t s = 0; s < log->view.session_count; ++s)
        if (v->length[s] < rule.min_length || (rule.max_length && v->length[s] > rule.max_length))
            sessrec__sieve_all(v, ~s);
    if (rule.drop_repeats) sessrec__sieve_repeats(v);
    v->joining = rule.drop_repeats;
    while (v->listed) sessrec__sieve_all(v, v->list[--v->listed]);
}

// The session of each event, for a caller that leaves some out or cuts sessions up; NULL without memory.
static int32_t *sessrec__log_labels(const sessrec_log *log) {
    int32_t *label = (int32_t *)sessrec__alloc(&log->memory, (uint64_t)log->view.event_count, sizeof *label);
    for (int32_t s = 0; s < log->view.session_count && label; ++s)
        for (int64_t e = log->view.session_begins[s]; e < log->view.session_begins[s + 1]; ++e) label[e] = s;
    return label;
}

// Makes a log from the events of another whose label is not negative. names has the id of each label, user
// its user. Frees the labels, which may be NULL.
static sessrec_result sessrec__log_select(const sessrec_log *log, int32_t *label,
                                          const sessrec__ids *sessions, const int32_t *user,
                                          sessrec_log **out) {
    sessrec__ids names[SESSREC__IDS];
    sessrec__grouping g;
    memcpy(names, log->ids, sizeof names);
    names[SESSREC__SESSION] = *sessions;
    memset(&g, 0, sizeof g);
    g.count = log->view.event_count;
    g.time = log->view.times;
    g.label = label;
    g.item = log->view.items;
    memcpy(g.category, log->view.categories, sizeof g.category);
    g.user = user;
    const sessrec_result result = label ? sessrec__group(log, &g, names, out) : SESSREC_OUT_OF_MEMORY;
    sessrec__free(&log->memory, label);
    return result;
}

// The log becomes that.
static sessrec_result sessrec__log_keep(sessrec_log *log, int32_t *label, sessrec_error *err) {
    sessrec_log *fresh;
    const sessrec_result result =
        sessrec__log_select(log, label, &log->ids[SESSREC__SESSION], log->view.session_users, &fresh);
    if (!result) sessrec__log_become(log, fresh);
    return sessrec__log_failed(err, result);
}

static sessrec_result sessrec__need_log(const sessrec_log *log, sessrec_error *err) {
    if (log && !log->in) return SESSREC_OK;
    return sessrec__invalid(err, "there is no log, or it is not finished");
}

SESSREC_API sessrec_result sessrec_log_filter(sessrec_log *log, const sessrec_filter *filter,
                                              sessrec_error *err) {
    sessrec__sieve sieve;
    if (sessrec__need_log(log, err)) return SESSREC_INVALID_ARGUMENT;
    if (!filter || filter->canary != SESSREC__CANARY_FILTER)
        return sessrec__invalid(err, "the filter was not made by sessrec_filter_default()");
    if (filter->min_support < 0 || filter->min_length < 0 || filter->max_length < 0)
        return sessrec__invalid(err, "a limit of the filter is below 0");
    memset(&sieve, 0, sizeof sieve);
    sieve.log = log;
    sieve.rule = *filter;
    sieve.label = sessrec__log_labels(log);
    void *block = sieve.label ? sessrec__layout_block(&log->memory, sessrec__sieve_layout, &sieve) : NULL;
    if (block) sessrec__sieve_run(&sieve);
    sessrec__free(&log->memory, block);
    if (block) return sessrec__log_keep(log, sieve.label, err);
    sessrec__free(&log->memory, sieve.label);
    return sessrec__no_memory(err);
}

// An item that `known` has from a model counts as known, with or without events.
SESSREC_API sessrec_result sessrec_log_keep_items(sessrec_log *log, const sessrec_log *known,
                                                  sessrec_error *err) {
    if (sessrec__need_log(log, err) || sessrec__need_log(known, err)) return SESSREC_INVALID_ARGUMENT;
    int32_t *label = sessrec__log_labels(log);
    for (int64_t e = 0; e < log->view.event_count && label; ++e)
        if (sessrec_log_find_item(known, sessrec__ids_text(&log->ids[SESSREC__ITEM], log->view.items[e])) < 0)
            label[e] = -1;
    return sessrec__log_keep(log, label, err);
}

// ---- cuts ----

// Names a piece of a session: the first like the session, later ones "ID#2" and so on, without numbers that
// the user's other sessions already have. The user's number follows the NUL, as in sessrec__flush.
static sessrec_result sessrec__name_piece(sessrec__ids *names, const char *id, int32_t user, int64_t *piece) {
    char text[SESSREC_MAX_ID + 64], digits[24];
    const int32_t count = names->count;
    int32_t number;
    sessrec_result result = sessrec__ids_reserve(names, 1, SESSREC_MAX_ID + 16);
    while (!result && names->count == count) {
        memset(text, 0, sizeof text);
        strcpy(text, id);
        if (++*piece > 1) strcat(strcat(text, "#"), sessrec__decimal(*piece, digits));
        size_t size = strlen(text);
        if (size > SESSREC_MAX_ID) return SESSREC_TOO_LARGE;
        if (user >= 0) memcpy(text + size + 1, &user, sizeof user), size += 1 + sizeof user;
        result = sessrec__ids_intern_hashed(names, text, size, sessrec__ids_hash(names, text, size), &number);
    }
    return result;
}

SESSREC_API sessrec_result sessrec_log_sessionize(sessrec_log *log, double idle_seconds, sessrec_error *err) {
    sessrec__ids names;
    sessrec_log *fresh;
    int64_t piece = 1;
    int32_t *user = NULL;
    if (sessrec__need_log(log, err)) return SESSREC_INVALID_ARGUMENT;
    if (!(idle_seconds >= 0))
        return sessrec__invalid(err, "an idle time must be 0 or more seconds");
    const sessrec_log_view *v = &log->view;
    int32_t *label = sessrec__log_labels(log);
    sessrec_result result = label ? SESSREC_OK : SESSREC_OUT_OF_MEMORY;
    sessrec__ids_init(&names, &log->memory, log->ids[0].key);
    for (int32_t s = 0; s < v->session_count && !result; ++s) {
        piece = 0;
        result = sessrec__name_piece(&names, sessrec__ids_text(&log->ids[SESSREC__SESSION], s),
                                     v->session_users ? v->session_users[s] : -1, &piece);
    }
    for (int64_t e = 1; e < v->event_count && !result; ++e) {
        const int32_t s = label[e];
        if (e == v->session_begins[s]) {
            piece = 1;
        } else if (v->times[e] - v->times[e - 1] > idle_seconds) {
            result = sessrec__name_piece(&names, sessrec__ids_text(&log->ids[SESSREC__SESSION], s),
                                         v->session_users ? v->session_users[s] : -1, &piece);
            label[e] = names.count - 1;
        } else {
            label[e] = label[e - 1];
        }
    }
    if (!result && v->session_users && !(user = sessrec__label_users(&names))) result = SESSREC_OUT_OF_MEMORY;
    if (result) sessrec__free(&log->memory, label);
    else result = sessrec__log_select(log, label, &names, user, &fresh);
    if (!result) sessrec__log_become(log, fresh);
    sessrec__free(&log->memory, user);
    sessrec__ids_free(&names);
    if (result == SESSREC_TOO_LARGE)
        return sessrec_error_set(err, result, "the id of a piece would be longer than 255 bytes");
    return sessrec__log_failed(err, result);
}

// ---- splits ----

enum { SESSREC__FIRST = 0, SESSREC__SECOND = 1, SESSREC__NEITHER = 2 };

// Splits by part [sessions], which it frees. Earlier dropped events, and those in neither part, are counted
// in the first.
static sessrec_result sessrec__log_split(const sessrec_log *log, char *part, sessrec_log **first,
                                         sessrec_log **second, sessrec_error *err) {
    sessrec_log **const out[2] = {first, second};
    sessrec_result result = part ? SESSREC_OK : SESSREC_OUT_OF_MEMORY;
    for (int wanted = SESSREC__FIRST; wanted <= SESSREC__SECOND && !result; ++wanted) {
        int32_t *label = sessrec__log_labels(log);
        for (int64_t e = 0; e < log->view.event_count && label; ++e)
            if (part[label[e]] != wanted) label[e] = -1;
        result = sessrec__log_select(log, label, &log->ids[SESSREC__SESSION], log->view.session_users,
                                     out[wanted]);
    }
    sessrec__free(&log->memory, part);
    if (result) {
        sessrec_log_destroy(*first);
        *first = NULL;
        return sessrec__log_failed(err, result);
    }
    (*first)->view.bad_row_count = log->view.bad_row_count;
    (*first)->view.dropped_event_count = log->view.dropped_event_count + log->view.event_count -
                                         (*first)->view.event_count - (*second)->view.event_count;
    return SESSREC_OK;
}

// What both splits check first.
static sessrec_result sessrec__begin_split(const sessrec_log *log, sessrec_log **first, sessrec_log **second,
                                           sessrec_error *err) {
    if (first) *first = NULL;
    if (second) *second = NULL;
    if (sessrec__need_log(log, err)) return SESSREC_INVALID_ARGUMENT;
    if (first && second && first != second) return SESSREC_OK;
    return sessrec__invalid(err, "a split needs places for two logs");
}

SESSREC_API sessrec_result sessrec_log_split_time(const sessrec_log *log, double time, sessrec_log **before,
                                                  sessrec_log **after, sessrec_error *err) {
    if (sessrec__begin_split(log, before, after, err)) return SESSREC_INVALID_ARGUMENT;
    if (time != time)
        return sessrec__invalid(err, "the time of the split is not a number");
    char *part = (char *)sessrec__alloc(&log->memory, (uint64_t)log->view.session_count, 1);
    for (int32_t s = 0; s < log->view.session_count && part; ++s) {
        const double start = log->view.times[log->view.session_begins[s]],
                     end = log->view.times[log->view.session_begins[s + 1] - 1];
        part[s] = end < time ? SESSREC__FIRST : start >= time ? SESSREC__SECOND : SESSREC__NEITHER;
    }
    return sessrec__log_split(log, part, before, after, err);
}

SESSREC_API sessrec_result sessrec_log_split_last_session(const sessrec_log *log, sessrec_log **rest,
                                                          sessrec_log **last, sessrec_error *err) {
    if (sessrec__begin_split(log, rest, last, err)) return SESSREC_INVALID_ARGUMENT;
    const int32_t *user = log->view.session_users;
    if (log->view.event_count && !user)
        return sessrec__invalid(err,
                                "the log has no users whose last sessions could be split off; --user names "
                                "their column");
    const uint64_t sessions = (uint64_t)log->view.session_count;
    // after that: sessions of each user, 2 for more
    char *part = (char *)sessrec__alloc(&log->memory, sessions + (uint64_t)log->view.user_count, 1);
    for (uint64_t s = sessions; s-- > 0 && part;) {
        if (user[s] < 0) continue;
        char *count = &part[sessions + (uint64_t)user[s]];
        part[s] = *count ? SESSREC__FIRST : SESSREC__SECOND;
        *count = *count ? 2 : 1;
    }
    for (uint64_t s = 0; s < sessions && part; ++s)
        if (user[s] >= 0 && part[sessions + (uint64_t)user[s]] == 1) part[s] = SESSREC__FIRST;
    return sessrec__log_split(log, part, rest, last, err);
}

#endif  // SESSREC_NO_TRAINING

// ===========================================================================================================
// >>streaming   one running session and what to recommend in it
// The state of a session is the hidden state h of every layer. A click costs one GRU step, a recommendation
// one product Wy h + By with the whole catalog, of which only a block of scores and the best k exist at any
// time. All memory is the caller's: what a session keeps between calls, and the scratch of a call, which
// sessions can share.
// ===========================================================================================================

enum {
    SESSREC__SCAN_BLOCK = 192,      // items scored at a time: whole strips of the matrix kernels
    SESSREC__SCORER_BLOCK = 960,    // the same for a scorer: its list is gone through for each block
    SESSREC__MAX_ROWS = 256,        // requests answered in one walk through the catalog
    SESSREC__STATE_ALIGN = 16       // of sessions and users in the caller's memory
};

// A request during the walk through the catalog.
typedef struct sessrec__walker {
    sessrec_request *request;
    sessrec__screen screen;         // blocks: NULL if all items are scored
    int32_t row;                    // of its hidden state in scratch->states, -1: in none
    int32_t listed;                 // items that a scorer lists for it
} sessrec__walker;

struct sessrec_scratch {
    const sessrec_model *model;
    const sessrec_scorer *scorer;   // of sessions that are not of a model, which is then NULL
    uint64_t fingerprint;           // of the scorer
    int32_t rows;                   // requests that one walk can answer
    int32_t matrix_rows;            // of this walk: states that are multiplied together
    float *step;                    // for a click. In the same place, for recommendations:
    float *scores;                  // [rows,SCAN_BLOCK], of a scorer [rows,SCORER_BLOCK]
    int32_t *list;                  // [SCAN_BLOCK] items that a screen lets through, or [SCORER_BLOCK]
    char *state;                    // of a scorer: [rows]; the first also while one is checked
    sessrec_recommendation *lists;  // of a scorer: [rows,list_room]
    int32_t list_room;
    float *states;                  // [rows,L] hidden states of the last layer, and
    float *panel;                   // [PANEL] for the product; neither if rows is 1
    int8_t *codes;                  // [rows,8 octets] of hidden states, for screens
    sessrec__walker *walkers;       // [rows]
};

struct sessrec_session {
    const sessrec_model *model;     // NULL for another scorer
    sessrec_scratch *scratch;       // which knows it
    int32_t width;                  // floats of the hidden state of all layers, or of the scorer's state
    int32_t remember, seen_count;
    int64_t known, unknown;         // clicks
    float *hidden;                  // [width], after this
    int32_t *seen;                  // [remember] distinct items, the last clicked at the end; after them
                                    // [remember] the same, sorted
};

SESSREC__INLINE char *sessrec__align(void *memory, size_t to) {
    return (char *)memory + (to - (uintptr_t)memory % to) % to;
}

static sessrec_result sessrec__bad_memory(sessrec_error *err, const char *what, size_t needed, size_t size) {
    return sessrec__fail(err, SESSREC_INVALID_ARGUMENT, 0, "%s needs %d bytes of memory, and got %d", what,
                         (int64_t)needed, (int64_t)size);
}

// ---- scratch ----

SESSREC__INLINE int32_t sessrec__octets(const sessrec_model *model) {
    return (sessrec__last_width(model) + 7) / 8;
}

static sessrec_scratch sessrec__scratch_place(const sessrec_model *model, int32_t rows,
                                              sessrec__layout *layout) {
    sessrec_scratch s;
    const uint64_t count = (uint64_t)rows, L = (uint64_t)sessrec__last_width(model);
    memset(&s, 0, sizeof s);
    s.model = model;
    s.rows = rows;
    (void)sessrec__place(layout, 1, sizeof s);
    sessrec__layout same = *layout;
    s.step = sessrec__place_floats(&same, sessrec__step_scratch(model, 1));
    s.scores = sessrec__place_floats(layout, count * SESSREC__SCAN_BLOCK);
    s.list = sessrec__place_ints(layout, SESSREC__SCAN_BLOCK);
    s.states = sessrec__place_floats(layout, rows > 1 ? count * L : 0);
    s.panel = sessrec__place_floats(layout, rows > 1 ? SESSREC__PANEL : 0);
    s.codes = (int8_t *)sessrec__place(layout, count * 8, (uint64_t)sessrec__octets(model));
    s.walkers = (sessrec__walker *)sessrec__place(layout, count, sizeof *s.walkers);
    if (layout->size < same.size) layout->size = same.size;
    return s;
}

SESSREC_API size_t sessrec_scratch_size(const sessrec_model *model, int32_t rows) {
    sessrec__layout layout = {NULL, 0, 0};
    if (!model || rows < 1 || rows > SESSREC__MAX_ROWS) return 0;
    sessrec__scratch_place(model, rows, &layout);
    return (size_t)layout.size + 63;  // the largest step to a multiple of 64
}

SESSREC_API sessrec_result sessrec_scratch_init(const sessrec_model *model, int32_t rows, void *memory,
                                                size_t size, sessrec_scratch **out, sessrec_error *err) {
    const size_t needed = sessrec_scratch_size(model, rows);
    if (out) *out = NULL;
    if (!out || !model || !memory)
        return sessrec__invalid(err, "model, memory and out must not be NULL");
    if (!needed)
        return sessrec__fail(err, SESSREC_INVALID_ARGUMENT, 0, "rows is %d, it must be 1 to %d",
                             (int64_t)rows, (int64_t)SESSREC__MAX_ROWS);
    if (size < needed) return sessrec__bad_memory(err, "the scratch", needed, size);
    sessrec__layout layout = {sessrec__align(memory, 64), 0, 0};
    *out = (sessrec_scratch *)(void *)layout.base;
    **out = sessrec__scratch_place(model, rows, &layout);
    return SESSREC_OK;
}

// ---- sessions ----

SESSREC_API size_t sessrec_session_shared_size(const sessrec_model *model, int32_t remember) {
    if (!model || remember < 0 || remember > SESSREC__MAX_REMEMBER) return 0;
    return sizeof(sessrec_session) + (size_t)sessrec__state_width(model) * sizeof(float) +
           2 * (size_t)remember * sizeof(int32_t) + SESSREC__STATE_ALIGN - 1;
}

SESSREC_API size_t sessrec_session_size(const sessrec_model *model, int32_t remember) {
    const size_t shared = sessrec_session_shared_size(model, remember);
    return shared ? shared + sessrec_scratch_size(model, 1) : 0;
}

static void sessrec__session_begin(sessrec_session *session, double time) {
    const sessrec_scorer *scorer = session->scratch->scorer;  // NULL for a model
    memset(session->hidden, 0, (size_t)session->width * sizeof *session->hidden);
    if (scorer) scorer->begin(scorer->self, session->hidden, NULL, time);
}

SESSREC_API void sessrec_session_end(sessrec_session *session) {
    if (!session) return;
    session->seen_count = 0;
    session->known = session->unknown = 0;
    sessrec__session_begin(session, (double)NAN);
}

SESSREC_API sessrec_result sessrec_session_init_shared(const sessrec_model *model, int32_t remember,
                                                       sessrec_scratch *scratch, void *memory, size_t size,
                                                       sessrec_session **out, sessrec_error *err) {
    const size_t needed = sessrec_session_shared_size(model, remember);
    if (out) *out = NULL;
    if (!out || !model || !memory || !scratch)
        return sessrec__invalid(err, "model, scratch, memory and out must not be NULL");
    if (!needed)
        return sessrec__fail(err, SESSREC_INVALID_ARGUMENT, 0, "remember is %d, it must be 0 to %d",
                             (int64_t)remember, (int64_t)SESSREC__MAX_REMEMBER);
    if (size < needed) return sessrec__bad_memory(err, "the session", needed, size);
    if (scratch->model != model)
        return sessrec_error_set(err, SESSREC_MISMATCH, "the scratch was made for another model");
    sessrec_session *session = (sessrec_session *)(void *)sessrec__align(memory, SESSREC__STATE_ALIGN);
    session->model = model;
    session->scratch = scratch;
    session->width = sessrec__state_width(model);
    session->remember = remember;
    session->hidden = (float *)(void *)(session + 1);
    session->seen = (int32_t *)(void *)(session->hidden + session->width);
    sessrec_session_end(session);
    *out = session;
    return SESSREC_OK;
}

SESSREC_API sessrec_result sessrec_session_init(const sessrec_model *model, int32_t remember, void *memory,
                                                size_t size, sessrec_session **out, sessrec_error *err) {
    const size_t shared = sessrec_session_shared_size(model, remember),
                 needed = sessrec_session_size(model, remember);
    sessrec_scratch *scratch = NULL;
    if (out) *out = NULL;
    if (memory && needed && size < needed) return sessrec__bad_memory(err, "the session", needed, size);
    char *rest = memory ? (char *)memory + shared : NULL;
    const sessrec_result result = sessrec_scratch_init(model, 1, rest, size - shared, &scratch, err);
    return result ? result
                  : sessrec_session_init_shared(model, remember, scratch, memory, shared, out, err);
}

SESSREC_API sessrec_result sessrec_session_use_scratch(sessrec_session *session, sessrec_scratch *scratch) {
    if (!session || !scratch) return SESSREC_INVALID_ARGUMENT;
    if (scratch->model != session->model || scratch->scorer != session->scratch->scorer)
        return SESSREC_MISMATCH;
    session->scratch = scratch;
    return SESSREC_OK;
}

// ---- sessions of other scorers ----

SESSREC__INLINE const sessrec_model *sessrec__model_of(const sessrec_scorer *scorer) {
    return scorer && scorer->score == sessrec__model_score ? (const sessrec_model *)scorer->self : NULL;
}

// A scorer that scores all items answers as many requests at once as have room for their lists in 4 MB.
static sessrec_scratch sessrec__scorer_scratch(const sessrec_scorer *scorer, int32_t rows,
                                               sessrec__layout *layout) {
    sessrec_scratch s;
    memset(&s, 0, sizeof s);
    s.scorer = scorer;
    if (scorer->list) s.list_room = scorer->list_room ? scorer->list_room : scorer->item_count;
    s.rows = scorer->score ? rows : 1;
    while (s.rows > 1 && (int64_t)s.rows * s.list_room > 1 << 19) s.rows /= 2;
    const uint64_t count = (uint64_t)s.rows;
    (void)sessrec__place(layout, 1, sizeof s);
    s.scores = sessrec__place_floats(layout, count * SESSREC__SCORER_BLOCK);
    s.list = sessrec__place_ints(layout, SESSREC__SCORER_BLOCK);
    s.walkers = (sessrec__walker *)sessrec__place(layout, count, sizeof *s.walkers);
    s.state = (char *)sessrec__place(layout, count, scorer->state_bytes);
    if (s.rows > 1)
        s.lists = (sessrec_recommendation *)sessrec__place(layout, count * (uint64_t)s.list_room,
                                                           sizeof *s.lists);
    s.step = (float *)sessrec__place(
        layout, scorer->scratch_bytes ? scorer->scratch_bytes(scorer->self, s.rows) : 0, 1);
    return s;
}

SESSREC_API size_t sessrec_scorer_scratch_size(const sessrec_scorer *scorer, int32_t rows) {
    sessrec__layout layout = {NULL, 0, 0};
    const sessrec_model *model = sessrec__model_of(scorer);
    if (model) return sessrec_scratch_size(model, rows);
    if (sessrec__scorer_check(scorer, NULL) || rows < 1 || rows > SESSREC__MAX_ROWS) return 0;
    sessrec__scorer_scratch(scorer, rows, &layout);
    return layout.overflow ? 0 : (size_t)layout.size + 63;
}

// Of a model's weights; else of the items, the size of a state, and a blend's parts.
static uint64_t sessrec__scorer_fingerprint(const sessrec_scorer *s) {
    const sessrec_model *model = sessrec__model_of(s);
    const sessrec__blend *blend = (const sessrec__blend *)s->self;
    const int32_t parts = s->destroy == sessrec__blend_destroy ? blend->count : 0;
    if (model) return sessrec__model_fingerprint(model);
    uint64_t hash = sessrec__mix(((uint64_t)s->item_count << 32) + s->state_bytes);
    for (int32_t i = 0; i < s->item_count && s->item_id; ++i) {
        const char *id = s->item_id(s->self, i);
        hash = sessrec__mix(hash + sessrec__crc32c(0, id, strlen(id)));
    }
    for (int32_t p = 0; p < parts; ++p)
        hash = sessrec__mix(hash + sessrec__scorer_fingerprint(&blend->members[p].scorer));
    return hash;
}

SESSREC_API sessrec_result sessrec_scorer_scratch_init(const sessrec_scorer *scorer, int32_t rows,
                                                       void *memory, size_t size, sessrec_scratch **out,
                                                       sessrec_error *err) {
    const sessrec_model *model = sessrec__model_of(scorer);
    if (model) return sessrec_scratch_init(model, rows, memory, size, out, err);
    if (out) *out = NULL;
    const sessrec_result result = sessrec__scorer_check(scorer, err);
    if (result) return result;
    const size_t needed = sessrec_scorer_scratch_size(scorer, rows);
    if (!out || !memory) return sessrec__null(err);
    if (!needed || size < needed) return sessrec__bad_memory(err, "the scratch", needed, size);
    sessrec__layout layout = {sessrec__align(memory, 64), 0, 0};
    *out = (sessrec_scratch *)(void *)layout.base;
    **out = sessrec__scorer_scratch(scorer, rows, &layout);
    (*out)->fingerprint = sessrec__scorer_fingerprint(scorer);
    return SESSREC_OK;
}

SESSREC_API size_t sessrec_scorer_session_size(const sessrec_scorer *scorer, int32_t remember,
                                               const sessrec_scratch *scratch) {
    const sessrec_model *model = sessrec__model_of(scorer);
    if (model)
        return scratch ? sessrec_session_shared_size(model, remember) : sessrec_session_size(model, remember);
    const size_t own = scratch ? 0 : sessrec_scorer_scratch_size(scorer, 1);
    if (sessrec__scorer_check(scorer, NULL) || remember < 0 || remember > SESSREC__MAX_REMEMBER) return 0;
    if (!scratch && !own) return 0;
    return sizeof(sessrec_session) + scorer->state_bytes + 2 * (size_t)remember * sizeof(int32_t) + own +
           2 * SESSREC__STATE_ALIGN;
}

SESSREC_API sessrec_result sessrec_scorer_session_init(const sessrec_scorer *scorer, int32_t remember,
                                                       sessrec_scratch *scratch, void *memory, size_t size,
                                                       sessrec_session **out, sessrec_error *err) {
    const sessrec_model *model = sessrec__model_of(scorer);
    if (model)
        return scratch ? sessrec_session_init_shared(model, remember, scratch, memory, size, out, err)
                       : sessrec_session_init(model, remember, memory, size, out, err);
    if (out) *out = NULL;
    sessrec_result result = sessrec__scorer_check(scorer, err);
    if (result) return result;
    const size_t needed = sessrec_scorer_session_size(scorer, remember, scratch);
    if (!out || !memory) return sessrec__null(err);
    if (!needed || size < needed) return sessrec__bad_memory(err, "the session", needed, size);
    sessrec_session *session = (sessrec_session *)(void *)sessrec__align(memory, SESSREC__STATE_ALIGN);
    session->model = NULL;
    session->remember = remember;
    session->width = (int32_t)(scorer->state_bytes / sizeof(float));
    session->hidden = (float *)(void *)sessrec__align(session + 1, SESSREC__STATE_ALIGN);
    session->seen = (int32_t *)(void *)(session->hidden + session->width);
    if (!scratch) {
        char *rest = (char *)(session->seen + 2 * (ptrdiff_t)remember);
        result = sessrec_scorer_scratch_init(scorer, 1, rest, size - (size_t)(rest - (char *)memory),
                                             &scratch, err);
        if (result) return result;
    }
    if (scratch->scorer != scorer)
        return sessrec_error_set(err, SESSREC_MISMATCH, "the scratch was made for another scorer");
    session->scratch = scratch;
    sessrec_session_end(session);
    *out = session;
    return SESSREC_OK;
}

SESSREC__INLINE int32_t sessrec__session_items(const sessrec_session *session) {
    return session->model ? session->model->info.item_count : session->scratch->scorer->item_count;
}

// The list of a session's scorer, if it has one.
static int32_t sessrec__session_list(const sessrec_session *session, const sessrec_recommendation **list) {
    const sessrec_scorer *s = session->scratch->scorer;
    *list = NULL;
    return s->list && session->known ? s->list(s->self, session->hidden, list, session->scratch->step) : 0;
}

// Scores of items [count], or if that is NULL of first .. first+count-1; their support before the first
// click.
static void sessrec__scorer_scores(const sessrec_session *session, const int32_t *items, int32_t first,
                                   int32_t count, const sessrec_recommendation *list, int32_t listed,
                                   float *scores) {
    const sessrec_scorer *s = session->scratch->scorer;
    void *scratch = session->scratch->step;
    for (int32_t i = 0; i < count; ++i) {
        const int32_t item = items ? items[i] : first + i;
        scores[i] = -INFINITY;
        if (item < 0 || item >= s->item_count) continue;
        if (!session->known && s->support) scores[i] = (float)s->support(s->self, item);
        if (session->known && s->score && items)
            s->score(s->self, 1, session->hidden, item, 1, &scores[i], scratch);
    }
    if (session->known && s->score && !items)
        s->score(s->self, 1, session->hidden, first, count, scores, scratch);
    for (int32_t l = 0; l < listed; ++l) {
        int32_t at = list[l].item - first;
        for (at = items ? 0 : at; items && at < count && items[at] != list[l].item; ++at) continue;
        if (at >= 0 && at < count) scores[at] = list[l].score + (s->score ? scores[at] : 0);
    }
}

// The vector that the catalog is multiplied with: the hidden state of the last layer.
static const float *sessrec__session_state(const sessrec_session *session) {
    return session->hidden + sessrec__hidden_width(session->model) - sessrec__last_width(session->model);
}

// ---- clicks ----

// Heapsort: no memory, and n log n for any input.
static void sessrec__sort_seen(int32_t *items, int32_t count) {
    for (int32_t next = count / 2 - 1, last = count; last > 1;) {
        int32_t hole = 0, item;
        if (next >= 0) {  // the heap grows from its leaves
            item = items[hole = next--];
        } else {          // the largest goes after it
            item = items[--last];
            items[last] = items[0];
        }
        for (int32_t child; (child = 2 * hole + 1) < last; hole = child) {
            if (child + 1 < last && items[child] < items[child + 1]) ++child;
            if (items[child] <= item) break;
            items[hole] = items[child];
        }
        items[hole] = item;
    }
}

// The remembered items in ascending order.
SESSREC__INLINE int32_t *sessrec__session_sorted(const sessrec_session *session) {
    return session->seen + session->remember;
}

// How many of the remembered items are smaller than this one.
static int32_t sessrec__session_find(const sessrec_session *session, int32_t item) {
    const int32_t *sorted = sessrec__session_sorted(session);
    int32_t low = 0, high = session->seen_count;
    while (low < high) {
        const int32_t middle = low + (high - low) / 2;
        if (sorted[middle] < item) low = middle + 1;
        else high = middle;
    }
    return low;
}

static int sessrec__session_seen(const sessrec_session *session, int32_t item) {
    const int32_t place = sessrec__session_find(session, item);
    return place < session->seen_count && sessrec__session_sorted(session)[place] == item;
}

// Makes the item the last remembered one, from an earlier place or instead of the oldest item.
static void sessrec__session_remember(sessrec_session *session, int32_t item) {
    int32_t *seen = session->seen, *sorted = sessrec__session_sorted(session), place = 0;
    const size_t size = sizeof *seen;
    if (!session->remember) return;
    if (sessrec__session_seen(session, item)) {
        place = session->seen_count - 1;
        while (seen[place] != item) --place;
    } else {
        int32_t count = session->seen_count;
        if (count == session->remember) {
            const int32_t oldest = sessrec__session_find(session, seen[0]);
            memmove(sorted + oldest, sorted + oldest + 1, (size_t)(--count - oldest) * size);
            session->seen_count = count;
        } else {
            place = count;
        }
        const int32_t at = sessrec__session_find(session, item);
        memmove(sorted + at + 1, sorted + at, (size_t)(count - at) * size);
        sorted[at] = item;
        session->seen_count = count + 1;
    }
    const int32_t last = session->seen_count - 1;
    memmove(seen + place, seen + place + 1, (size_t)(last - place) * size);
    seen[last] = item;
}

SESSREC_API sessrec_result sessrec_session_click(sessrec_session *session, int32_t item) {
    return sessrec_session_click_at(session, item, (double)NAN);
}

SESSREC_API sessrec_result sessrec_session_click_at(sessrec_session *session, int32_t item, double time) {
    if (!session || item < -1 || item >= sessrec__session_items(session)) return SESSREC_INVALID_ARGUMENT;
    if (item < 0) {
        session->unknown++;
        return SESSREC_OK;
    }
    if (session->model)
        sessrec__model_step(session->model, 1, &item, session->hidden, session->width,
                            session->scratch->step);
    else {
        const sessrec_scorer *scorer = session->scratch->scorer;
        const int has_time = time <= 0 || time > 0;
        if (has_time && !session->known) sessrec__session_begin(session, time);
        scorer->click(scorer->self, 1, session->hidden, &item, has_time ? &time : NULL,
                      session->scratch->step);
    }
    sessrec__session_remember(session, item);
    session->known++;
    return SESSREC_OK;
}

SESSREC_API sessrec_result sessrec_session_click_id(sessrec_session *session, const char *id, int32_t *item) {
    if (item) *item = -1;
    if (!session || !id) return SESSREC_INVALID_ARGUMENT;
    const sessrec_scorer *scorer = session->scratch->scorer;
    const int32_t found = session->model       ? sessrec_model_find_item(session->model, id)
                          : scorer->find_item ? scorer->find_item(scorer->self, id)
                                              : -1;
    if (item) *item = found;
    return sessrec_session_click(session, found);
}

SESSREC_API void sessrec_session_clicks(const sessrec_session *session, int64_t *known, int64_t *unknown) {
    if (known) *known = session ? session->known : 0;
    if (unknown) *unknown = session ? session->unknown : 0;
}

// ---- the screen ----
// Reading Wy takes nearly all the time of a recommendation. 4-bit weights tell almost as much. Let row e = a
// c + d, with integer codes c up to 7 and step a = max|e| / 7, and state h = b g + f, with integer codes g up
// to 127. Then
//     e.h = a b (c.g) + a (c.f) + d.h       and, by Cauchy-Schwarz,
//     |e.h - a b (c.g)| <= a (|c| |f| + |d| / a |h|)
// The largest |c| and |d| / a of all rows replace each row's. Rounding changes the score and this bound by
// less than eps = (L + 16) 2^-23 times |b_e| + |e| |h|, so eps |h| is added to |f| and to |h|, and eps |b_e|
// to the bias. An item whose upper bound is below the last score of a full list is skipped; all others get
// their true score.

enum { SESSREC__CODES = 7, SESSREC__STATE_CODES = 127 };

SESSREC__INLINE double sessrec__screen_eps(int32_t L) {
    return (L + 16) / 8388608.0;
}

// At least the root of a number that is 0 or in 1e-60 .. 1e60: Newton's method comes from above.
static double sessrec__root_above(double x) {
    uint64_t bits;
    double root;
    memcpy(&bits, &x, sizeof bits);
    bits = (bits >> 1) + ((uint64_t)1023 << 51);  // half the exponent: the first guess
    memcpy(&root, &bits, sizeof root);
    for (int i = 0; i < 5; ++i) root = 0.5 * (root + x / root);
    return root * (1 + 1e-12);
}

// The nearest integer, or either of two that are almost equally near; |x| < 1024. Truncation is the same
// everywhere.
SESSREC__INLINE int32_t sessrec__nearest(float x) {
    return (int32_t)(x + 1024.5f) - 1024;
}

// Codes of one row, four bytes every 64, and the greatest |c| and |d| / a so far. Rows that are not finite,
// or so large that sums could overflow, are never skipped; the contribution of tiny rows fits into the 1e-20.
static void sessrec__screen_row(sessrec_model *model, int32_t item, uint8_t *codes, float *step,
                                float *highest) {
    const int32_t L = sessrec__last_width(model);
    const float *e = model->Wy + (ptrdiff_t)item * L, bias = model->By[item];
    double squares = 0, size = bias < 0 ? -(double)bias : (double)bias, rest = 0, whole = 0;
    float most = 0;
    for (int32_t k = 0; k < L; ++k) {
        const float x = e[k] < 0 ? -e[k] : e[k];
        squares += (double)x * (double)x;
        most = x > most ? x : most;
    }
    const int good = squares < 1e30 && size < 1e30;  // not for NaN
    *step = good && most > 1e-30f ? most / (float)SESSREC__CODES : 0;
    *highest = good ? (float)((double)bias + sessrec__screen_eps(L) * size + 1e-20) : INFINITY;
    if (*step <= 0) return;
    const float inverse = 1 / *step;
    for (int32_t k = 0; k < L; ++k) {
        const int32_t code = sessrec__nearest(e[k] * inverse);
        const double left = ((double)e[k] - (double)*step * code) / (double)*step;
        codes[k / 8 * 64 + k % 4] |= (uint8_t)((code + 8) << (k % 8 < 4 ? 0 : 4));
        rest += left * left;
        whole += (double)(code * code);
    }
    rest = sessrec__root_above(rest), whole = sessrec__root_above(whole);
    if (rest > model->screen_rest) model->screen_rest = rest;
    if (whole > model->screen_whole) model->screen_whole = whole;
}

SESSREC_API sessrec_result sessrec_model_prepare(sessrec_model *model) {
    if (!model) return SESSREC_INVALID_ARGUMENT;
    if (model->screen) return SESSREC_OK;
    const int32_t octets = (sessrec__last_width(model) + 7) / 8, V = model->info.item_count;
    const uint64_t bytes = (uint64_t)octets * 64 + 2 * 16 * sizeof(float);
    uint8_t *screen = (uint8_t *)sessrec__alloc(&model->memory, (uint64_t)V / 16 + 1, bytes);
    if (!screen) return SESSREC_OUT_OF_MEMORY;
    for (int32_t i = 0; i < V; ++i) {
        uint8_t *block = screen + (uint64_t)i / 16 * bytes;
        float *steps = (float *)(void *)(block + (ptrdiff_t)octets * 64) + i % 16;
        sessrec__screen_row(model, i, block + i % 16 * 4, steps, steps + 16);
    }
    model->screen = screen;
    return SESSREC_OK;
}

// Codes the hidden state of the request's session. blocks stays NULL without a screen, or if the state is
// almost zero or not one that a GRU can have.
static void sessrec__screen_begin(const sessrec_session *session, int8_t *codes, sessrec__screen *screen) {
    const sessrec_model *model = session->model;
    const int32_t L = sessrec__last_width(model);
    const float *h = sessrec__session_state(session);
    double squares = 0, left = 1e-60;
    float most = 0;
    screen->blocks = NULL;
    if (!model->screen || !session->known) return;
    for (int32_t k = 0; k < L; ++k) {
        const float x = h[k] < 0 ? -h[k] : h[k];
        squares += (double)x * (double)x;
        most = x > most ? x : most;
    }
    if (!(squares > 1e-20 && squares < 1e10)) return;  // not for NaN
    screen->octets = sessrec__octets(model);
    screen->blocks = model->screen;
    screen->state = codes;
    screen->step = most / (float)SESSREC__STATE_CODES;
    screen->start = 0;
    memset(codes, 0, 8 * (size_t)screen->octets);
    const float inverse = 1 / screen->step;
    for (int32_t k = 0; k < L; ++k) {
        const int32_t code = sessrec__nearest(h[k] * inverse);
        const double f = (double)h[k] - (double)screen->step * code;
        codes[k] = (int8_t)code;
        screen->start -= 8 * code;
        left += f * f;
    }
    const double length = sessrec__root_above(squares), more = sessrec__screen_eps(L) * length;
    screen->radius = (float)((model->screen_whole * (sessrec__root_above(left) + more) +
                              model->screen_rest * (length + more)) *
                             (1 + 1e-6));
}

// ---- scores ----

// Scores of items first .. first+count-1: Wy h + By, or their support while no known item has been clicked.
static void sessrec__session_scores(const sessrec_session *session, int32_t first, int32_t count,
                                    float *scores) {
    const sessrec_model *model = session->model;
    const int32_t L = sessrec__last_width(model);
    if (session->known)
        model->kernels->dots(count, L, model->Wy + (ptrdiff_t)first * L, L, sessrec__session_state(session),
                             model->By + first, scores);
    else
        for (int32_t i = 0; i < count; ++i) scores[i] = (float)model->support[first + i];
}

SESSREC_API sessrec_result sessrec_session_score(sessrec_session *session, const int32_t *items,
                                                 int32_t count, float *scores) {
    if (!session || count < 0 || (count && (!items || !scores))) return SESSREC_INVALID_ARGUMENT;
    if (session->scratch->scorer) {
        const sessrec_recommendation *list;
        const int32_t listed = sessrec__session_list(session, &list);
        sessrec__scorer_scores(session, items, 0, count, list, listed, scores);
        return SESSREC_OK;
    }
    for (int32_t i = 0; i < count; ++i) {
        scores[i] = -INFINITY;
        if (items[i] >= 0 && items[i] < session->model->info.item_count)
            sessrec__session_scores(session, items[i], 1, &scores[i]);
    }
    return SESSREC_OK;
}

SESSREC_API int32_t sessrec_session_reasons(sessrec_session *session, int32_t item, sessrec_reason *out,
                                            int32_t room) {
    if (!session || room < 0 || (room && !out) || item < 0 || item >= sessrec__session_items(session))
        return SESSREC_INVALID_ARGUMENT;
    const sessrec_scorer *s = session->scratch->scorer;
    if (!s || !s->reasons || !session->known || !room) return 0;
    return s->reasons(s->self, session->hidden, item, out, room, session->scratch->step);
}

SESSREC_API sessrec_query sessrec_query_default(void) {
    sessrec_query query;
    memset(&query, 0, sizeof query);
    query.canary = SESSREC__CANARY_QUERY;
    query.k = 20;
    query.skip_seen = 1;
    query.group_limit = 1;
    return query;
}

// The place of an item whose group is full: that of the worst of the group; -1 if it does not beat it; 0, the
// worst of all, if the group has room.
static int32_t sessrec__group_place(const sessrec_query *query, const sessrec_recommendation *out,
                                    int32_t item, float score) {
    const int32_t group = query->groups ? query->groups[item] : -1;
    int32_t worst = -1, members = 0;
    for (int32_t i = 0; i < query->k && group >= 0; ++i) {
        if (out[i].item < 0 || query->groups[out[i].item] != group) continue;
        if (!members++ || sessrec__before(out[worst].score, out[worst].item, &out[i])) worst = i;
    }
    if (members < query->group_limit || group < 0) return 0;
    return sessrec__before(score, item, &out[worst]) ? worst : -1;
}

// Adds offsets to the scores of items, and inserts those that belong there into the list of a request:
// item[i], or first + i if the array is NULL.
static void sessrec__offer(sessrec_request *request, const int32_t *items, int32_t first, int32_t count,
                           float *scores) {
    const sessrec_session *session = request->session;
    const sessrec_query *query = request->query;
    int32_t higher = 1, equal;
    const sessrec__kernels *kernels = session->model ? session->model->kernels : sessrec__best_kernels();
    if (!items && !query->offsets) kernels->tally(count, scores, request->out[0].score, &higher, &equal);
    if (!higher && !equal) return;  // nearly always all are skipped
    for (int32_t i = 0; i < count; ++i) {
        const int32_t item = items ? items[i] : first + i;
        if (query->offsets && scores[i] > -INFINITY) scores[i] += query->offsets[item];
        if (!sessrec__before(scores[i], item, request->out)) continue;
        if (query->skip_seen && sessrec__session_seen(session, item)) continue;
        const int32_t place = sessrec__group_place(query, request->out, item, scores[i]);
        if (place < 0 || (query->veto && query->veto(query->veto_user, item))) continue;
        sessrec__top_put(request->out, query->k, place, item, scores[i]);
    }
}

// The whole answer of a scorer that is not a model.
static void sessrec__offer_scorer(sessrec_request *request, sessrec_scratch *scratch) {
    const sessrec_session *session = request->session;
    const sessrec_query *query = request->query;
    const sessrec_scorer *s = session->scratch->scorer;
    const sessrec_recommendation *list;
    const int32_t listed = sessrec__session_list(session, &list);
    const int only = s->list && !s->score && session->known && !query->candidates;
    const int32_t all = only ? listed : query->candidates ? query->candidate_count : s->item_count;
    for (int32_t first = 0, count; first < all; first += count) {
        const int32_t *items = only ? scratch->list : query->candidates ? query->candidates + first : NULL;
        count = all - first < SESSREC__SCORER_BLOCK ? all - first : SESSREC__SCORER_BLOCK;
        for (int32_t i = 0; i < count && only; ++i) {
            scratch->list[i] = list[first + i].item;
            scratch->scores[i] = list[first + i].score;
        }
        if (!only) sessrec__scorer_scores(session, items, first, count, list, listed, scratch->scores);
        sessrec__offer(request, items, first, count, scratch->scores);
    }
}

static void sessrec__offer_candidates(sessrec_request *request, float *scores) {
    const sessrec_query *query = request->query;
    for (int32_t first = 0, count; first < query->candidate_count; first += count) {
        count = query->candidate_count - first < SESSREC__SCAN_BLOCK ? query->candidate_count - first
                                                                     : SESSREC__SCAN_BLOCK;
        sessrec_session_score(request->session, query->candidates + first, count, scores);
        sessrec__offer(request, query->candidates + first, 0, count, scores);
    }
}

// Joins the walk if all items are to be scored; else the request is answered at once, and 0 is returned.
static int sessrec__begin_scorer(sessrec_scratch *scratch, sessrec_request *request, int32_t number) {
    const sessrec_scorer *s = scratch->scorer;
    const sessrec_recommendation *list;
    sessrec__walker *walker = &scratch->walkers[number];
    if (scratch->rows == 1 || !request->session->known || request->query->candidates) {
        sessrec__offer_scorer(request, scratch);
        return 0;
    }
    walker->request = request;
    walker->listed = s->list ? s->list(s->self, request->session->hidden, &list, scratch->step) : 0;
    if (walker->listed)
        memcpy(scratch->lists + (ptrdiff_t)number * scratch->list_room, list,
               (size_t)walker->listed * sizeof *list);
    memcpy(scratch->state + (size_t)number * s->state_bytes, request->session->hidden, s->state_bytes);
    return 1;
}

// Offers these items to all requests of the walk through a scorer's.
static void sessrec__offer_scored(sessrec_scratch *scratch, int32_t count, int32_t first, int32_t items) {
    const sessrec_scorer *s = scratch->scorer;
    s->score(s->self, count, scratch->state, first, items, scratch->scores, scratch->step);
    for (int32_t i = 0; i < count; ++i) {
        const sessrec_recommendation *list = scratch->lists + (ptrdiff_t)i * scratch->list_room;
        float *scores = scratch->scores + (ptrdiff_t)i * items;
        for (int32_t l = 0; l < scratch->walkers[i].listed; ++l) {
            const int32_t at = list[l].item - first;
            if (at >= 0 && at < items) scores[at] += list[l].score;
        }
        sessrec__offer(scratch->walkers[i].request, NULL, first, items, scores);
    }
}

// Checks a request and starts its answer. Returns 1 if this walker has to go through the catalog for it.
static int sessrec__request_begin(sessrec_scratch *scratch, sessrec_request *request, int32_t number) {
    const sessrec_query *query = request->query;
    sessrec__walker *walker = &scratch->walkers[number];
    const int32_t L = scratch->model ? sessrec__last_width(scratch->model) : 0;
    request->count = 0;
    request->result = SESSREC_INVALID_ARGUMENT;
    if (!request->session || !query || !request->out || query->canary != SESSREC__CANARY_QUERY) return 0;
    if (query->k < 1 || query->k > SESSREC__MAX_TOP || (query->candidates && query->candidate_count < 0) ||
        (query->groups && query->group_limit < 1) || !(query->explore >= 0 && query->explore <= 1) ||
        !(query->temperature >= 0) || (query->temperature > 0 && query->k > 256))
        return 0;
    request->result = SESSREC_OK;
    if (request->session->model != scratch->model || request->session->scratch->scorer != scratch->scorer)
        request->result = SESSREC_MISMATCH;
    if (request->result) return 0;
    sessrec__top_begin(request->out, query->k);
    request->source = request->session->known ? SESSREC_FROM_MODEL : SESSREC_FROM_POPULARITY;
    if (scratch->scorer) return sessrec__begin_scorer(scratch, request, number);
    if (query->candidates) {
        // the walk has not started, so all of the scores are free
        sessrec__offer_candidates(request, scratch->scores);
        return 0;
    }
    walker->request = request;
    walker->row = -1;
    walker->screen.blocks = NULL;
    if (!query->offsets) sessrec__screen_begin(request->session,
                          scratch->codes + (ptrdiff_t)number * 8 * sessrec__octets(scratch->model),
                          &walker->screen);
    if (scratch->rows > 1 && request->session->known && !walker->screen.blocks) {
        walker->row = scratch->matrix_rows++;
        memcpy(scratch->states + (ptrdiff_t)walker->row * L, sessrec__session_state(request->session),
               (size_t)L * sizeof *scratch->states);
    }
    return 1;
}

// Offers these items to all requests of the walk. Hidden states that are multiplied together give the same
// sums as alone. Row r of the scores belongs to walker r or a later one; the others' data is after these
// rows.
static void sessrec__offer_block(sessrec_scratch *scratch, int32_t count, int32_t first, int32_t items) {
    if (scratch->scorer) {
        sessrec__offer_scored(scratch, count, first, items);
        return;
    }
    const sessrec_model *model = scratch->model;
    const int32_t L = sessrec__last_width(model), rows = scratch->matrix_rows;
    float *scores = scratch->scores + (ptrdiff_t)rows * SESSREC__SCAN_BLOCK;
    if (rows)
        model->kernels->matmul_bt(rows, items, L, scratch->states, L, model->Wy + (ptrdiff_t)first * L, L,
                                  model->By + first, scratch->scores, SESSREC__SCAN_BLOCK, scratch->panel);
    for (int32_t i = 0; i < count; ++i) {
        const sessrec__walker *walker = &scratch->walkers[i];
        sessrec_request *request = walker->request;
        const sessrec_session *session = request->session;
        if (walker->row >= 0) {
            sessrec__offer(request, NULL, first, items,
                           scratch->scores + (ptrdiff_t)walker->row * SESSREC__SCAN_BLOCK);
        } else if (walker->screen.blocks) {
            const int32_t found = model->kernels->screen(&walker->screen, first, items,
                                                         request->out[0].score, scratch->list);
            model->kernels->dots_at(found, scratch->list, L, model->Wy, sessrec__session_state(session),
                                    model->By, scores);
            sessrec__offer(request, scratch->list, 0, found, scores);
        } else {
            sessrec__session_scores(session, first, items, scores);
            sessrec__offer(request, NULL, first, items, scores);
        }
    }
}

// ---- exploration ----

// log(-log(u)) for a uniform u: s/T minus this is largest for item i with probability softmax(s/T)_i, and in
// the order of these values items are drawn without replacement (Gumbel; Plackett, Luce).
static double sessrec__gumbel(const sessrec_query *query, int32_t item) {
    const uint64_t draw = sessrec__draw(sessrec__mix(query->random), (uint64_t)item);
    const double u = ((double)(draw >> 11) + 0.5) / 9007199254740992.0;
    return sessrec__log64(-sessrec__log64(u));
}

static void sessrec__shuffle(const sessrec_query *query, sessrec_recommendation *out, int32_t count) {
    const double T = (double)query->temperature;
    for (int32_t place = 0; place < count; ++place) {
        int32_t best = place;
        for (int32_t i = place + 1; i < count; ++i)
            if ((double)out[i].score / T - sessrec__gumbel(query, out[i].item) >
                (double)out[best].score / T - sessrec__gumbel(query, out[best].item))
                best = i;
        const sessrec_recommendation moved = out[best];
        out[best] = out[place];
        out[place] = moved;
    }
}

// An item for a place, which keeps its own when none of a few drawn may come.
static void sessrec__explore(sessrec_request *request, int32_t place) {
    const sessrec_query *query = request->query;
    const int32_t items =
        query->candidates ? query->candidate_count : sessrec__session_items(request->session);
    const uint64_t key = sessrec__mix(query->random ^ (uint64_t)(place + 1) << 32);
    if (!(sessrec__unit(sessrec__draw(key, 0)) < query->explore)) return;
    for (uint64_t attempt = 1; attempt <= 16; ++attempt) {
        const int32_t drawn = (int32_t)sessrec__mulhi(sessrec__draw(key, attempt), (uint64_t)items);
        const int32_t item = query->candidates ? query->candidates[drawn] : drawn;
        float score;
        int32_t listed = 0;
        while (listed < request->count && request->out[listed].item != item) ++listed;
        if (listed < request->count || (query->skip_seen && sessrec__session_seen(request->session, item)) ||
            sessrec_session_score(request->session, &item, 1, &score))
            continue;
        if (query->offsets && score > -INFINITY) score += query->offsets[item];
        if (!(score > -INFINITY) || (query->veto && query->veto(query->veto_user, item))) continue;
        request->out[place].item = item;
        request->out[place].score = score;
        return;
    }
}

static void sessrec__request_end(sessrec_request *request) {
    const sessrec_query *query = request->query;
    request->count = sessrec__top_sort(request->out, query->k);
    if (query->temperature > 0) sessrec__shuffle(query, request->out, request->count);
    for (int32_t place = 0; place < request->count && query->explore > 0; ++place)
        sessrec__explore(request, place);
}

SESSREC_API sessrec_result sessrec_sessions_recommend(sessrec_scratch *scratch, sessrec_request *requests,
                                                      int32_t count) {
    sessrec_result result = SESSREC_OK;
    if (!scratch || count < 0 || (count && !requests)) return SESSREC_INVALID_ARGUMENT;
    for (int32_t next = 0; next < count;) {
        int32_t walkers = 0;
        scratch->matrix_rows = 0;
        sessrec_request *begun = &requests[next];
        for (; next < count && walkers < scratch->rows; ++next) {
            walkers += sessrec__request_begin(scratch, &requests[next], walkers);
            if (!result) result = requests[next].result;
        }
        const int32_t V = !walkers         ? 0
                          : scratch->model ? scratch->model->info.item_count
                                           : scratch->scorer->item_count;
        for (int32_t first = 0, items; V - first > 0; first += items) {  // first <= V, no overflow
            // a screen lets everything through until the list is full
            items = scratch->scorer ? SESSREC__SCORER_BLOCK : first < 64 ? 64 : SESSREC__SCAN_BLOCK;
            if (items > V - first) items = V - first;
            sessrec__offer_block(scratch, walkers, first, items);
        }
        for (; begun < requests + next; ++begun)
            if (!begun->result) sessrec__request_end(begun);
    }
    return result;
}

SESSREC_API sessrec_result sessrec_session_recommend(sessrec_session *session, const sessrec_query *query,
                                                     sessrec_recommendation *out, int32_t *count,
                                                     sessrec_source *source) {
    sessrec_request request = {session, query, out, 0, SESSREC_FROM_MODEL, SESSREC_OK};
    if (count) *count = 0;
    if (!session || !count) return SESSREC_INVALID_ARGUMENT;
    const sessrec_result result = sessrec_sessions_recommend(session->scratch, &request, 1);
    *count = request.count;
    if (source && !result) *source = request.source;
    return result;
}

SESSREC_API int32_t sessrec_recommend(sessrec_session *session, int32_t k, sessrec_recommendation *out) {
    sessrec_query query = sessrec_query_default();
    int32_t count;
    query.k = k;
    const sessrec_result result = sessrec_session_recommend(session, &query, out, &count, NULL);
    return result ? result : count;
}

// ---- states as bytes ----
// Everything is little-endian, with CRC-32C of the rest at the end. One function goes over the fields of a
// state: to add up their size, to write them, to check what is in the place of each, and to read it.

typedef int32_t sessrec__fields_mode;
enum { SESSREC__FIELDS_SIZE, SESSREC__FIELDS_EXPORT, SESSREC__FIELDS_CHECK, SESSREC__FIELDS_IMPORT };

typedef struct sessrec__fields {
    sessrec__fields_mode mode;
    sessrec_result result;          // of a check: the first thing that is wrong
    size_t size;                    // of the fields so far
    unsigned char *to;              // EXPORT
    const unsigned char *from;      // CHECK and IMPORT: `left` bytes
    size_t left;
} sessrec__fields;
typedef void (*sessrec__fields_of)(void *object, sessrec__fields *fields);

static void sessrec__put(unsigned char **at, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) *(*at)++ = (unsigned char)(value >> (8 * i));
}
static uint64_t sessrec__take(const unsigned char **at, int bytes) {
    uint64_t value = 0;
    for (int i = 0; i < bytes; ++i) value |= (uint64_t)*(*at)++ << (8 * i);
    return value;
}

static void sessrec__field_wrong(sessrec__fields *fields, sessrec_result result) {
    if (!fields->result) fields->result = result;
}

// The next field: `mine`, or what is in its place; no more than `most`.
static uint64_t sessrec__field(sessrec__fields *fields, uint64_t mine, int bytes, uint64_t most) {
    fields->size += (size_t)bytes;
    if (fields->mode == SESSREC__FIELDS_EXPORT) sessrec__put(&fields->to, mine, bytes);
    if (fields->mode < SESSREC__FIELDS_CHECK) return mine;
    if (fields->left >= (size_t)bytes) {
        fields->left -= (size_t)bytes;
        const uint64_t value = sessrec__take(&fields->from, bytes);
        if (value <= most) return value;
    }
    sessrec__field_wrong(fields, SESSREC_BAD_FILE);
    return 0;
}

// A field that must have this value; if it has another, the result is `otherwise`.
static void sessrec__field_is(sessrec__fields *fields, uint64_t value, int bytes, sessrec_result otherwise) {
    if (sessrec__field(fields, value, bytes, UINT64_MAX) != value) sessrec__field_wrong(fields, otherwise);
}

// The state of a scorer, as words. A check looks at it in the scratch, which has room for it.
static void sessrec__field_words(sessrec__fields *fields, const sessrec_session *s) {
    char *to = fields->mode == SESSREC__FIELDS_CHECK ? s->scratch->state : (char *)s->hidden;
    for (int32_t i = 0; i < s->width; ++i) {
        uint32_t word;
        memcpy(&word, &s->hidden[i], sizeof word);
        word = (uint32_t)sessrec__field(fields, word, 4, UINT32_MAX);
        if (fields->mode >= SESSREC__FIELDS_CHECK) memcpy(to + 4 * (size_t)i, &word, sizeof word);
    }
    if (fields->mode == SESSREC__FIELDS_CHECK && s->scratch->scorer->valid &&
        !s->scratch->scorer->valid(s->scratch->scorer->self, s->scratch->state))
        sessrec__field_wrong(fields, SESSREC_BAD_FILE);
}

// Hidden states of a GRU: within [-1,1], and 0 before the first click.
static void sessrec__field_states(sessrec__fields *fields, float *x, int32_t n, int begun) {
    for (int32_t i = 0; i < n; ++i) {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        bits = (uint32_t)sessrec__field(fields, bits, 4, UINT32_MAX);
        if ((bits & 0x7fffffffu) > 0x3f800000u || (bits && !begun))
            sessrec__field_wrong(fields, SESSREC_BAD_FILE);
        if (fields->mode == SESSREC__FIELDS_IMPORT) memcpy(&x[i], &bits, sizeof bits);
    }
}

// Nothing comes after the last field.
static void sessrec__fields_end(sessrec__fields *fields) {
    if (fields->left) sessrec__field_wrong(fields, SESSREC_BAD_FILE);
}

static size_t sessrec__state_size(sessrec__fields_of run, const void *object) {
    sessrec__fields fields = {SESSREC__FIELDS_SIZE, SESSREC_OK, 0, NULL, NULL, 0};
    run((void *)(uintptr_t)object, &fields);  // which changes the object in IMPORT only
    return fields.size + 4;
}

static sessrec_result sessrec__state_export(sessrec__fields_of run, const void *object, void *bytes,
                                            size_t size) {
    sessrec__fields fields = {SESSREC__FIELDS_EXPORT, SESSREC_OK, 0, (unsigned char *)bytes, NULL, 0};
    if (!object || !bytes || size < sessrec__state_size(run, object)) return SESSREC_INVALID_ARGUMENT;
    run((void *)(uintptr_t)object, &fields);
    sessrec__put(&fields.to, sessrec__crc32c(0, bytes, fields.size), 4);
    return SESSREC_OK;
}

static sessrec_result sessrec__state_import(sessrec__fields_of run, void *object, const void *bytes,
                                            size_t size) {
    if (!object || !bytes) return SESSREC_INVALID_ARGUMENT;
    if (size < 4) return SESSREC_BAD_FILE;
    sessrec__fields fields = {SESSREC__FIELDS_CHECK, SESSREC_OK, 0, NULL, (const unsigned char *)bytes,
                              size - 4};
    const unsigned char *sum = fields.from + fields.left;
    if (sessrec__take(&sum, 4) != sessrec__crc32c(0, bytes, fields.left)) return SESSREC_BAD_FILE;
    run(object, &fields);
    if (fields.result) return fields.result;
    fields.mode = SESSREC__FIELDS_IMPORT;
    fields.from = (const unsigned char *)bytes;
    fields.left = size - 4;
    run(object, &fields);
    return SESSREC_OK;
}

// "SRstate1", whose last digit is the version, fingerprint of the model [8], remember [4], width [4], clicks
// on known [8] and unknown [8] items, items remembered [4], reserved 0 [4], the hidden state [4 * width], the
// items [4 * remember], 0 where there are fewer. The size depends on the model and `remember` only.
static void sessrec__session_fields(void *object, sessrec__fields *fields) {
    sessrec_session *s = (sessrec_session *)object;
    const uint64_t clicks = INT64_MAX / 2;  // so that no click can overflow a counter
    int32_t *sorted = sessrec__session_sorted(s);
    sessrec__field_is(fields, sessrec__load_word("SRstate1"), 8, SESSREC_BAD_FILE);
    sessrec__field_is(fields, s->model ? sessrec__model_fingerprint(s->model) : s->scratch->fingerprint, 8,
                      SESSREC_MISMATCH);
    sessrec__field_is(fields, (uint64_t)s->remember, 4, SESSREC_MISMATCH);
    sessrec__field_is(fields, (uint64_t)s->width, 4, SESSREC_MISMATCH);
    const uint64_t known = sessrec__field(fields, (uint64_t)s->known, 8, clicks),
                   unknown = sessrec__field(fields, (uint64_t)s->unknown, 8, clicks),
                   most = known < (uint64_t)s->remember ? known : (uint64_t)s->remember;
    const int32_t count = (int32_t)sessrec__field(fields, (uint64_t)s->seen_count, 4, most);
    if (!count && most) sessrec__field_wrong(fields, SESSREC_BAD_FILE);
    sessrec__field_is(fields, 0, 4, SESSREC_BAD_FILE);
    if (s->model) sessrec__field_states(fields, s->hidden, s->width, known > 0);
    else sessrec__field_words(fields, s);
    for (int32_t i = 0; i < s->remember; ++i) {
        const uint64_t mine = i < s->seen_count ? (uint64_t)s->seen[i] : 0,
                       last = i < count ? (uint64_t)sessrec__session_items(s) - 1 : 0;
        const int32_t item = (int32_t)sessrec__field(fields, mine, 4, last);
        if (fields->mode >= SESSREC__FIELDS_CHECK) sorted[i] = item;
        if (fields->mode == SESSREC__FIELDS_IMPORT) s->seen[i] = item;
    }
    sessrec__fields_end(fields);
    if (fields->mode < SESSREC__FIELDS_CHECK) return;
    sessrec__sort_seen(sorted, count);
    for (int32_t i = 1; i < count; ++i)
        if (sorted[i] == sorted[i - 1]) sessrec__field_wrong(fields, SESSREC_BAD_FILE);
    if (fields->mode == SESSREC__FIELDS_IMPORT) {
        s->known = (int64_t)known;
        s->unknown = (int64_t)unknown;
        s->seen_count = count;
    } else if (fields->result) {  // the session stays as it was
        memcpy(sorted, s->seen, (size_t)s->seen_count * sizeof *sorted);
        sessrec__sort_seen(sorted, s->seen_count);
    }
}

SESSREC_API size_t sessrec_session_export_size(const sessrec_session *session) {
    return session ? sessrec__state_size(sessrec__session_fields, session) : 0;
}
SESSREC_API sessrec_result sessrec_session_export(const sessrec_session *session, void *bytes, size_t size) {
    return sessrec__state_export(sessrec__session_fields, session, bytes, size);
}
SESSREC_API sessrec_result sessrec_session_import(sessrec_session *session, const void *bytes, size_t size) {
    return sessrec__state_import(sessrec__session_fields, session, bytes, size);
}

// ===========================================================================================================
// >>user_state   what stays of a user between sessions
// c_m = GRU_usr(s_m, c_m-1), and h_0 = tanh(c W_init + b_init) starts the next session (Quadrana 2017). A
// user without sessions starts at zero, as in training.
// ===========================================================================================================

struct sessrec_user {
    const sessrec_model *model;
    int64_t sessions;
    float *c;       // [Hu] after this
};

SESSREC_API size_t sessrec_user_size(const sessrec_model *model) {
    if (!model || !model->info.user_hidden) return 0;
    return sizeof(sessrec_user) + (size_t)model->info.user_hidden * sizeof(float) + SESSREC__STATE_ALIGN - 1;
}

SESSREC_API sessrec_result sessrec_user_init(const sessrec_model *model, void *memory, size_t size,
                                             sessrec_user **out, sessrec_error *err) {
    const size_t needed = sessrec_user_size(model);
    if (out) *out = NULL;
    if (!out || !model || !memory)
        return sessrec__invalid(err, "model, memory and out must not be NULL");
    if (!needed)
        return sessrec__invalid(err, "the model knows no users: it was trained with user_hidden = 0");
    if (size < needed) return sessrec__bad_memory(err, "the user", needed, size);
    sessrec_user *user = (sessrec_user *)(void *)sessrec__align(memory, SESSREC__STATE_ALIGN);
    user->model = model;
    user->sessions = 0;
    user->c = (float *)(void *)(user + 1);
    memset(user->c, 0, (size_t)model->info.user_hidden * sizeof(float));
    *out = user;
    return SESSREC_OK;
}

SESSREC_API sessrec_result sessrec_user_begin(const sessrec_user *user, sessrec_session *session) {
    if (!user || !session) return SESSREC_INVALID_ARGUMENT;
    if (user->model != session->model) return SESSREC_MISMATCH;
    sessrec_session_end(session);
    sessrec__begin_session(user->model, user->sessions ? user->c : NULL, session->hidden);
    return SESSREC_OK;
}

SESSREC_API sessrec_result sessrec_user_fold(sessrec_user *user, sessrec_session *session) {
    if (!user || !session) return SESSREC_INVALID_ARGUMENT;
    if (user->model != session->model) return SESSREC_MISMATCH;
    if (session->known >= 2) {
        sessrec__fold_session(user->model, session->hidden, user->c, session->scratch->step);
        user->sessions++;
    }
    sessrec_session_end(session);
    return SESSREC_OK;
}

SESSREC_API int64_t sessrec_user_sessions(const sessrec_user *user) {
    return user ? user->sessions : 0;
}

// "SRuser_1", whose last digit is the version, fingerprint of the model [8], width [4], reserved 0 [4],
// sessions [8], c [4 * width].
static void sessrec__user_fields(void *object, sessrec__fields *fields) {
    sessrec_user *user = (sessrec_user *)object;
    const int32_t width = user->model->info.user_hidden;
    sessrec__field_is(fields, sessrec__load_word("SRuser_1"), 8, SESSREC_BAD_FILE);
    sessrec__field_is(fields, sessrec__model_fingerprint(user->model), 8, SESSREC_MISMATCH);
    sessrec__field_is(fields, (uint64_t)width, 4, SESSREC_MISMATCH);
    sessrec__field_is(fields, 0, 4, SESSREC_BAD_FILE);
    const uint64_t sessions = sessrec__field(fields, (uint64_t)user->sessions, 8, INT64_MAX / 2);
    sessrec__field_states(fields, user->c, width, sessions > 0);
    sessrec__fields_end(fields);
    if (fields->mode == SESSREC__FIELDS_IMPORT) user->sessions = (int64_t)sessions;
}

SESSREC_API size_t sessrec_user_export_size(const sessrec_user *user) {
    return user ? sessrec__state_size(sessrec__user_fields, user) : 0;
}
SESSREC_API sessrec_result sessrec_user_export(const sessrec_user *user, void *bytes, size_t size) {
    return sessrec__state_export(sessrec__user_fields, user, bytes, size);
}
SESSREC_API sessrec_result sessrec_user_import(sessrec_user *user, const void *bytes, size_t size) {
    return sessrec__state_import(sessrec__user_fields, user, bytes, size);
}

// ===========================================================================================================
// >>archive   named arrays as one run of bytes One function per kind of file describes its sections by
// number: the writer writes what it describes, and the reader compares it with the file, so the two cannot
// disagree, and no list of sections needs memory. A file is checked from the outside in: its beginning, the
// checksum of header and table, place and checksum of every section, names and shapes, and at last the range
// of every number. What has passed is used without further checks. Models, scorers and checkpoints are
// archives of named arrays: little-endian, offsets from the start of the file, nothing compressed or
// executable, no reference to other files. Any content has exactly one layout.
//     header [64]   0 "SESSREC\0"   8 u32 major version (1)   12 u32 minor version (0)   16 u32
//                   must-understand flags (0)   20 u32 kind: 1 model, 2 checkpoint, 3 neighbors, 4 rules,
//                   5 blend, 6 model of 8 bits   24 u32 number of sections   28 u32 CRC-32C of header and
//                   table without these four bytes   32 u64 size of the file   40 zeros
//     table         one record [64] per section: 0 name [16], zero-filled   16 u32 type: bytes of an element,
//                   plus 16 for signed, 32 for unsigned integers, 48 for floats   20 u32 CRC-32C of the
//                   content   24 u64 rows   32 u64 columns   40 u64 offset   48 u64 bytes, = rows * columns *
//                   element   56 zeros
//     contents      each at the next multiple of 64, zeros in between; the file ends with the last one
// Model: "info", bytes [72]: u32 items, layers, widths of 4 layers (0 if absent), embedding, embedding width,
// GRU form, activation, user width, user mode; u64 seed, events, bytes of id_text. Then the matrices in the
// order of sessrec_model_tensor_name, float32; "support" u64 [V]; "id_offset" u32 [V+1], where each id begins
// in "id_text", bytes, each id with a NUL; "id_order" i32 [V], the items sorted by the bytes of their ids.
// Checkpoint: a model, then "config" and "position", float64; "acc.", "second.", "vel.", "steps." and "best."
// + NAME as the optimizer needs them; "hidden0" .. and "user".
// Neighbors, rules and blends begin with "scorer", float64 [32]: (0), items, bytes of id_text, events. Then
// neighbors: sessions, events, postings, (0), the eleven settings k .. idf; rules: contexts, rules, longest
// context; a blend: parts, epsilon, from the eighth on the weights, from the sixteenth on the logarithm
// switches. Neighbors and rules go on with the last four sections of a model. Neighbors: "ends" float64,
// "begins" u32 and "distinct" i32 of the sessions in order of their ends; "events" u32 (item; bit 31: it
// occurs again later in the session); "list_begins" u32 [V+1] and "lists" i32, each item's newest sessions.
// Rules: "contexts" i32 [,4], the last click first; "begins" u32; "seen" u32 (sessions); "rules" [,2] (u32
// item, float32 score); "rule_seen" u32. A blend: "part0" .., each a whole file.
// A model of 8 bits: see >>int8.
// A reader refuses another major version and any must-understand flag that it does not know (UNSUPPORTED). It
// accepts sections after those that it knows if the minor version is later than its own.
// ===========================================================================================================

enum { SESSREC__FORMAT_MAJOR = 1, SESSREC__FORMAT_MINOR = 0 };
enum {
    SESSREC__FILE_MODEL = 1,
    SESSREC__FILE_CHECKPOINT = 2,
    SESSREC__FILE_KNN = 3,
    SESSREC__FILE_RULES = 4,
    SESSREC__FILE_BLEND = 5,
    SESSREC__FILE_INT8 = 6
};
enum {
    SESSREC__MAX_SECTIONS = 208,    // a model has at most 37; of its 32 tensors a trainer has up to five more
    SESSREC__RECORD = 64,           // bytes of the header and of a record of the table
    SESSREC__INFO = 72              // and of section "info"
};

// What a section holds. The low digit is the size of an element in bytes, the high one tells bytes, signed,
// unsigned and float apart.
enum {
    SESSREC__BYTES = 0x01,
    SESSREC__INT8 = 0x11,
    SESSREC__INT32 = 0x14,
    SESSREC__INT64 = 0x18,
    SESSREC__UINT32 = 0x24,
    SESSREC__UINT64 = 0x28,
    SESSREC__FLOAT = 0x34,
    SESSREC__FLOAT64 = 0x38
};

typedef struct sessrec__section {
    char name[16];                  // 1 to 15 visible characters, then zeros
    uint32_t type, crc;
    uint64_t rows, columns;
    uint64_t offset, bytes;         // place in the file
    const void *data;
    // of what is expected: the range of its numbers, as sessrec__all_below takes it; 0, 0: not looked at
    uint32_t sign, limit;
} sessrec__section;

// Section `index` of what is written or expected. 0 after the last.
typedef int (*sessrec__sections)(const void *what, int32_t index, sessrec__section *out);

// A file in memory whose header, table and checksums are right.
typedef struct sessrec__archive {
    const unsigned char *file;
    uint32_t kind, minor;
    int32_t count;
} sessrec__archive;

// Describes a section; returns 1. Floats are finite unless something else is said.
static int sessrec__section_is(sessrec__section *section, const char *name, uint32_t type, int64_t rows,
                               int64_t columns, const void *data) {
    memset(section, 0, sizeof *section);
    memcpy(section->name, name, strlen(name));
    section->type = type;
    section->rows = (uint64_t)rows;
    section->columns = (uint64_t)columns;
    section->data = data;
    if (type == SESSREC__FLOAT) section->sign = 0x80000000u, section->limit = 0x7f800000u;
    return 1;
}

// The place of a section after `*end` bytes follows from its shape alone; *end moves to its end. 0 if there
// is no such place.
static int sessrec__section_place(sessrec__section *section, uint64_t *end) {
    uint64_t elements;
    return sessrec__mul(section->rows, section->columns, &elements) &&
           sessrec__mul(elements, section->type & 15, &section->bytes) &&
           sessrec__align64(*end, &section->offset) && sessrec__add(section->offset, section->bytes, end);
}

static sessrec_result sessrec__section_check(const sessrec__section *section, const void *data,
                                             sessrec_result code, sessrec_error *err) {
    if (!section->limit || sessrec__all_below(data, section->rows * section->columns, section->sign,
                                              section->limit))
        return SESSREC_OK;
    return sessrec__fail(err, code, 0,
                         section->limit == 0x7f800000u && section->sign
                             ? "%s has a value that is NaN or infinite"
                             : "%s has a value that is out of its range",
                         section->name);
}

// Whether all numbers that would be written can be read again.
static sessrec_result sessrec__archive_check(sessrec__sections sections, const void *what,
                                             sessrec_result code, sessrec_error *err) {
    sessrec__section section;
    sessrec_result result = SESSREC_OK;
    for (int32_t i = 0; !result && sections(what, i, &section); ++i)
        result = sessrec__section_check(&section, section.data, code, err);
    return result;
}

// The number of sections; *size is that of the file, which does not overflow, because the sections are in
// memory.
static int32_t sessrec__archive_size(sessrec__sections sections, const void *what, uint64_t *size) {
    sessrec__section section;
    int32_t count = 0;
    while (sections(what, count, &section)) ++count;
    *size = SESSREC__RECORD * (uint64_t)(count + 1);
    for (int32_t i = 0; i < count && sections(what, i, &section); ++i) sessrec__section_place(&section, size);
    return count;
}

// Identifies sections by their checksums, one after the other, from 0 on.
static uint64_t sessrec__fingerprint_of(uint64_t before, uint32_t crc) {
    return sessrec__mix((before ^ crc) + 0x9e3779b97f4a7c15u);
}

// ---- writing ----

static void sessrec__swap_elements(unsigned char *bytes, uint64_t size, uint32_t element) {
    for (uint64_t i = 0; i < size; i += element)
        for (uint64_t low = i, high = i + element - 1; low < high; ++low, --high) {
            const unsigned char byte = bytes[low];
            bytes[low] = bytes[high];
            bytes[high] = byte;
        }
}

// Sums up the elements of a section in the byte order of files, and writes them unless sink is NULL.
static int sessrec__section_write(sessrec__sink *sink, const sessrec__section *section, uint32_t *crc) {
    const unsigned char *bytes = (const unsigned char *)section->data;
    unsigned char piece[512];
    *crc = 0;
    if (!SESSREC__BIG_ENDIAN) {
        *crc = sink ? 0 : sessrec__crc32c(0, bytes, (size_t)section->bytes);
        return !sink || sessrec__sink_write(sink, bytes, (size_t)section->bytes);
    }
    for (uint64_t at = 0; at < section->bytes; at += sizeof piece) {
        const size_t left = (size_t)(section->bytes - at), size = left < sizeof piece ? left : sizeof piece;
        memcpy(piece, bytes + at, size);
        sessrec__swap_elements(piece, size, section->type & 15);
        if (!sink) *crc = sessrec__crc32c(*crc, piece, size);
        else if (!sessrec__sink_write(sink, piece, size)) return 0;
    }
    return 1;
}

static const char sessrec__magic[8] = {'S', 'E', 'S', 'S', 'R', 'E', 'C', 0};

static void sessrec__put_record(const sessrec__section *section, unsigned char record[SESSREC__RECORD]) {
    unsigned char *at = record + sizeof section->name;
    memset(record, 0, SESSREC__RECORD);
    memcpy(record, section->name, sizeof section->name);
    sessrec__put(&at, section->type, 4);
    sessrec__put(&at, section->crc, 4);
    sessrec__put(&at, section->rows, 8);
    sessrec__put(&at, section->columns, 8);
    sessrec__put(&at, section->offset, 8);
    sessrec__put(&at, section->bytes, 8);
}

// Writes a file. Returns 0 if the sink has failed.
static int sessrec__archive_write(sessrec__sink *sink, uint32_t kind, sessrec__sections sections,
                                  const void *what) {
    static const unsigned char zeros[64] = {0};
    unsigned char head[SESSREC__RECORD], record[SESSREC__RECORD], *at = head;
    uint32_t crc[SESSREC__MAX_SECTIONS], sum, unused;
    sessrec__section section;
    uint64_t size, end;
    const int32_t count = sessrec__archive_size(sections, what, &size);
    memset(head, 0, sizeof head);
    memcpy(head, sessrec__magic, sizeof sessrec__magic);
    at += sizeof sessrec__magic;
    sessrec__put(&at, SESSREC__FORMAT_MAJOR, 4);
    sessrec__put(&at, SESSREC__FORMAT_MINOR, 4);
    sessrec__put(&at, 0, 4);  // features that a reader must know
    sessrec__put(&at, kind, 4);
    sessrec__put(&at, (uint64_t)count, 8);  // the upper half is the place of the checksum
    sessrec__put(&at, size, 8);
    sum = sessrec__crc32c(sessrec__crc32c(0, head, 28), head + 32, sizeof head - 32);
    // twice over the table: for its checksum, which is in the header, and to write it
    for (int written = 0; written < 2; ++written) {
        end = SESSREC__RECORD * (uint64_t)(count + 1);
        for (int32_t i = 0; i < count && sections(what, i, &section); ++i) {
            sessrec__section_place(&section, &end);
            if (!written) sessrec__section_write(NULL, &section, &crc[i]);
            section.crc = crc[i];
            sessrec__put_record(&section, record);
            if (!written) sum = sessrec__crc32c(sum, record, sizeof record);
            else if (!sessrec__sink_write(sink, record, sizeof record)) return 0;
        }
        at = head + 28;
        sessrec__put(&at, sum, 4);
        if (!written && !sessrec__sink_write(sink, head, sizeof head)) return 0;
    }
    end = SESSREC__RECORD * (uint64_t)(count + 1);
    for (int32_t i = 0; i < count && sections(what, i, &section); ++i) {
        const uint64_t before = end;
        sessrec__section_place(&section, &end);
        if (!sessrec__sink_write(sink, zeros, (size_t)(section.offset - before)) ||
            !sessrec__section_write(sink, &section, &unused))
            return 0;
    }
    return 1;
}

// ---- reading ----

static sessrec_result sessrec__damaged(sessrec_error *err, const char *where, const char *what) {
    return sessrec__fail(err, SESSREC_BAD_FILE, 0, "the file is damaged: %s %s", where, what);
}

static int sessrec__all_zero(const void *bytes, uint64_t size) {
    const unsigned char *at = (const unsigned char *)bytes;
    for (uint64_t i = 0; i < size; ++i)
        if (at[i]) return 0;
    return 1;
}

// The part of the header that is at the same place in every version.
static sessrec_result sessrec__check_start(const unsigned char *file, uint64_t size, sessrec_error *err) {
    if (size < SESSREC__RECORD || memcmp(file, sessrec__magic, sizeof sessrec__magic))
        return sessrec_error_set(err, SESSREC_BAD_FILE, "this is not a sessrec file");
    const unsigned char *at = file + sizeof sessrec__magic;
    const int64_t major = (int64_t)sessrec__take(&at, 4), known = SESSREC__FORMAT_MAJOR;
    if (major == known) return SESSREC_OK;
    return sessrec__fail(err, SESSREC_UNSUPPORTED, 0,
                         "the file has format version %d, this build reads version %d", major, known);
}

// The rest of it, and the checksum of the table.
static sessrec_result sessrec__check_header(sessrec__archive *archive, uint64_t size, sessrec_error *err) {
    const unsigned char *file = archive->file, *at = file + 12;
    archive->minor = (uint32_t)sessrec__take(&at, 4);
    const uint64_t features = sessrec__take(&at, 4);
    archive->kind = (uint32_t)sessrec__take(&at, 4);
    const uint64_t count = sessrec__take(&at, 4), sum = sessrec__take(&at, 4),
                   table_end = SESSREC__RECORD * (count + 1);
    archive->count = (int32_t)count;
    if (sessrec__take(&at, 8) != size)
        return sessrec__damaged(err, "its length", "is not the one that its header says");
    if (count < 1 || count > SESSREC__MAX_SECTIONS || table_end > size)
        return sessrec__damaged(err, "the number of its sections", "is impossible");
    if (sum != sessrec__crc32c(sessrec__crc32c(0, file, 28), file + 32, (size_t)table_end - 32))
        return sessrec__damaged(err, "the checksum of its header", "is wrong");
    if (features)
        return sessrec_error_set(err, SESSREC_UNSUPPORTED,
                                 "the file uses a feature that this build does not know");
    return sessrec__all_zero(at, 24) ? SESSREC_OK
                                     : sessrec__damaged(err, "a reserved byte of its header", "is not zero");
}

static int sessrec__good_name(const char name[16]) {
    size_t length = 0;
    while (length < 16 && name[length] > ' ' && name[length] < 127) ++length;
    return length > 0 && length < 16 && sessrec__all_zero(name + length, 16 - length);
}

static int sessrec__good_type(uint32_t type) {
    return type == SESSREC__BYTES || type == SESSREC__INT8 || type == SESSREC__INT32 ||
           type == SESSREC__INT64 || type == SESSREC__UINT32 || type == SESSREC__UINT64 ||
           type == SESSREC__FLOAT || type == SESSREC__FLOAT64;
}

// Section `index` of a file, as its table has it.
static sessrec__section sessrec__archive_section(const sessrec__archive *archive, int32_t index) {
    const unsigned char *at = archive->file + SESSREC__RECORD * ((size_t)index + 1);
    sessrec__section section;
    memset(&section, 0, sizeof section);
    memcpy(section.name, at, sizeof section.name);
    at += sizeof section.name;
    section.type = (uint32_t)sessrec__take(&at, 4);
    section.crc = (uint32_t)sessrec__take(&at, 4);
    section.rows = sessrec__take(&at, 8);
    section.columns = sessrec__take(&at, 8);
    section.offset = sessrec__take(&at, 8);
    section.bytes = sessrec__take(&at, 8);
    return section;
}

// Where it lies, once that has been checked.
static const unsigned char *sessrec__archive_data(const sessrec__archive *archive, int32_t index) {
    return archive->file + sessrec__archive_section(archive, index).offset;
}

// Its name, which ends with a NUL once that has been checked.
static const char *sessrec__archive_name(const sessrec__archive *archive, int32_t index) {
    return (const char *)archive->file + SESSREC__RECORD * ((size_t)index + 1);
}

// Checks a section of a file of `size` bytes, and its content. Returns NULL if all is well, else what is
// wrong. *end is the end of the section before it, then its own.
static const char *sessrec__wrong_section(const sessrec__archive *archive, int32_t index, uint64_t size,
                                          uint64_t *end) {
    const sessrec__section section = sessrec__archive_section(archive, index);
    sessrec__section placed = section;
    const uint64_t before = *end;
    if (!sessrec__good_type(section.type)) return "has elements of an unknown type";
    if (!sessrec__section_place(&placed, end) || *end > size) return "is larger than the file";
    if (placed.offset != section.offset || placed.bytes != section.bytes)
        return "is not where its shape puts it";
    if (!sessrec__all_zero(archive->file + SESSREC__RECORD * ((size_t)index + 1) + 56, 8))
        return "has a reserved byte that is not zero";
    if (!sessrec__all_zero(archive->file + before, section.offset - before))
        return "has a byte in front of it that is not zero";
    const uint32_t sum = sessrec__crc32c(0, archive->file + section.offset, (size_t)section.bytes);
    return sum == section.crc ? NULL : "has a wrong checksum";
}

// Checks a file that lies in memory; its bytes must outlive the archive.
static sessrec_result sessrec__archive_open(sessrec__archive *archive, const void *bytes, uint64_t size,
                                            uint32_t kind, sessrec_error *err) {
    archive->file = (const unsigned char *)bytes;
    sessrec_result result = sessrec__check_start(archive->file, size, err);
    if (!result) result = sessrec__check_header(archive, size, err);
    if (result) return result;
    if (kind && archive->kind != kind)
        return sessrec__fail(err, SESSREC_BAD_FILE, 0, "the file is not a %s",
                             kind == SESSREC__FILE_MODEL ? "model" : "checkpoint");
    if (!kind && archive->kind == SESSREC__FILE_CHECKPOINT)
        return sessrec_error_set(err, SESSREC_BAD_FILE, "the file is a checkpoint, which cannot recommend");
    uint64_t end = SESSREC__RECORD * (uint64_t)(archive->count + 1);
    for (int32_t i = 0; i < archive->count; ++i) {
        const char *name = sessrec__archive_name(archive, i);
        if (!sessrec__good_name(name)) return sessrec__damaged(err, "a section", "has no proper name");
        const char *wrong = sessrec__wrong_section(archive, i, size, &end);
        if (wrong) return sessrec__damaged(err, name, wrong);
    }
    return end == size ? SESSREC_OK
                       : sessrec__damaged(err, "its last section", "does not end where the file ends");
}

// Compares the sections of a file with the expected ones: names, types and shapes, and that nothing follows
// but what a later minor version may have added.
static sessrec_result sessrec__archive_match(const sessrec__archive *archive, sessrec__sections sections,
                                             const void *what, sessrec_result code, sessrec_error *err) {
    sessrec__section want, found;
    int32_t i = 0;
    for (; sections(what, i, &want); ++i) {
        if (i < archive->count) found = sessrec__archive_section(archive, i);
        if (i >= archive->count || memcmp(want.name, found.name, sizeof want.name))
            return sessrec__fail(err, code, 0, "the file has no %s at its place", want.name);
        if (want.type != found.type)
            return sessrec__fail(err, code, 0, "%s has elements of another type than it should have",
                                 want.name);
        if (want.rows != found.rows || want.columns != found.columns)
            return sessrec__fail(err, code, 0, "%s is [%d,%d] in the file and should be [%d,%d]", want.name,
                                 (int64_t)found.rows, (int64_t)found.columns, (int64_t)want.rows,
                                 (int64_t)want.columns);
    }
    if (archive->count <= i || archive->minor > SESSREC__FORMAT_MINOR) return SESSREC_OK;
    return sessrec__damaged(err, sessrec__archive_name(archive, i), "does not belong there");
}

// Then the range of every number, which must be in the byte order of the machine.
static sessrec_result sessrec__archive_ranges(const sessrec__archive *archive, sessrec__sections sections,
                                              const void *what, sessrec_error *err) {
    sessrec__section want;
    sessrec_result result = SESSREC_OK;
    for (int32_t i = 0; !result && sections(what, i, &want); ++i)
        result = sessrec__section_check(&want, sessrec__archive_data(archive, i), SESSREC_BAD_FILE, err);
    return result;
}

// ===========================================================================================================
// >>model_file   a model as an archive
// Sections: "info", the tensors in the order of sessrec__shapes, "support", "id_offset", "id_text",
// "id_order". A checkpoint begins with the same.
// ===========================================================================================================

// Section "info": twelve numbers of 32 bits, then three of 64. Widths of layers that are not there are 0.
static void sessrec__put_info(const sessrec_model_info *info, uint64_t id_bytes, unsigned char *at) {
    int32_t word[12] = {info->item_count,
                        info->layer_count,
                        0,
                        0,
                        0,
                        0,
                        (int32_t)info->embedding,
                        info->embedding_width,
                        (int32_t)info->gru,
                        (int32_t)info->activation,
                        info->user_hidden,
                        (int32_t)info->user_mode};
    memcpy(word + 2, info->hidden, (size_t)info->layer_count * sizeof *word);
    for (int i = 0; i < 12; ++i) sessrec__put(&at, (uint64_t)word[i], 4);
    sessrec__put(&at, info->seed, 8);
    sessrec__put(&at, info->event_count, 8);
    sessrec__put(&at, id_bytes, 8);
}

// The other way. Returns 0 unless all values are those of a possible model.
static int sessrec__get_info(const unsigned char *at, sessrec_model_info *info, uint64_t *id_bytes) {
    enum { width = SESSREC__MAX_WIDTH };
    static const int32_t most[12] = {INT32_MAX - 1,
                                     SESSREC_MAX_LAYERS,
                                     width,
                                     width,
                                     width,
                                     width,
                                     SESSREC_EMBEDDING_NONE,
                                     width,
                                     SESSREC_RESET_AFTER,
                                     SESSREC_SELU,
                                     width,
                                     SESSREC_USER_GATES};
    int32_t word[12];
    for (int i = 0; i < 12; ++i) {
        const uint64_t value = sessrec__take(&at, 4);
        if (value > (uint64_t)most[i]) return 0;
        word[i] = (int32_t)value;
    }
    info->item_count = word[0];
    info->layer_count = word[1];
    memcpy(info->hidden, word + 2, sizeof info->hidden);
    info->embedding = (sessrec_embedding)word[6];
    info->embedding_width = word[7];
    info->gru = (sessrec_gru_form)word[8];
    info->activation = (sessrec_activation)word[9];
    info->user_hidden = word[10];
    info->user_mode = (sessrec_user_mode)word[11];
    info->seed = sessrec__take(&at, 8);
    info->event_count = sessrec__take(&at, 8);
    *id_bytes = sessrec__take(&at, 8);
    if (!info->item_count || !info->layer_count || *id_bytes > UINT32_MAX ||
        (!info->user_hidden && info->user_mode))
        return 0;
    for (int32_t l = 0; l < SESSREC_MAX_LAYERS; ++l)
        if ((info->hidden[l] > 0) != (l < info->layer_count)) return 0;
    if (info->embedding == SESSREC_EMBEDDING_SEPARATE) return info->embedding_width > 0;
    return info->embedding_width ==
           (info->embedding == SESSREC_EMBEDDING_TIED ? info->hidden[info->layer_count - 1] : 0);
}

// The description of a model: it and its section "info".
typedef struct sessrec__model_view {
    const sessrec_model *model;
    uint64_t id_bytes;
    unsigned char info[SESSREC__INFO];
} sessrec__model_view;

static void sessrec__view_model(sessrec__model_view *view, const sessrec_model *model, uint64_t id_bytes) {
    view->model = model;
    view->id_bytes = id_bytes;
    sessrec__put_info(&model->info, id_bytes, view->info);
}

// The four sections about items.
static int sessrec__item_sections(int32_t index, int64_t V, uint64_t id_bytes, const void *data,
                                  sessrec__section *out) {
    switch (index) {
    case 0: return sessrec__section_is(out, "support", SESSREC__UINT64, V, 1, data);
    case 1: return sessrec__section_is(out, "id_offset", SESSREC__UINT32, V + 1, 1, data);
    case 2: return sessrec__section_is(out, "id_text", SESSREC__BYTES, (int64_t)id_bytes, 1, data);
    case 3: return sessrec__section_is(out, "id_order", SESSREC__INT32, V, 1, data);
    default: return 0;
    }
}

// The sections of a model, of which the data may still be missing.
static int sessrec__model_sections(const void *what, int32_t index, sessrec__section *out) {
    const sessrec__model_view *view = (const sessrec__model_view *)what;
    const sessrec_model *model = view->model;
    const int64_t V = model->info.item_count;
    const int32_t t = index - 1;
    if (!index) return sessrec__section_is(out, "info", SESSREC__BYTES, 1, SESSREC__INFO, view->info);
    if (t < model->tensors)
        return sessrec__section_is(out, model->shape[t].name, SESSREC__FLOAT, model->shape[t].rows,
                                   model->shape[t].columns, model->tensor[t]);
    const void *const items[4] = {model->support, model->id_offset, model->id_text, model->id_order};
    const int32_t i = t - model->tensors;
    return sessrec__item_sections(i, V, view->id_bytes, i < 4 ? items[i] : NULL, out);
}

// The view of a whole model.
static sessrec__model_view sessrec__whole_model(const sessrec_model *model) {
    sessrec__model_view view;
    sessrec__view_model(&view, model, model->id_offset[model->info.item_count]);
    return view;
}

// From the checksums of all sections.
static SESSREC__UNUSED uint64_t sessrec__model_fingerprint(const sessrec_model *model) {
    if (model->fingerprint) return model->fingerprint;
    const sessrec__model_view view = sessrec__whole_model(model);
    sessrec__section section;
    uint64_t hash = 0, end = 0;
    for (int32_t i = 0; sessrec__model_sections(&view, i, &section); ++i) {
        sessrec__section_place(&section, &end);
        sessrec__section_write(NULL, &section, &section.crc);
        hash = sessrec__fingerprint_of(hash, section.crc);
    }
    return hash ? hash : 1;
}

static sessrec_result sessrec__check_weights(const sessrec_model *model, sessrec_result code,
                                             sessrec_error *err) {
    const sessrec__model_view view = sessrec__whole_model(model);
    return sessrec__archive_check(sessrec__model_sections, &view, code, err);
}

// V items whose ids rise strictly: so each item occurs once, and no two have the same id.
static int sessrec__good_order(const sessrec_model *model) {
    const int32_t V = model->info.item_count, *order = model->id_order;
    for (int32_t i = 0; i < V; ++i) {
        if ((uint32_t)order[i] >= (uint32_t)V) return 0;
        if (i && strcmp(sessrec__item_text(model, order[i - 1]), sessrec__item_text(model, order[i])) >= 0)
            return 0;
    }
    return 1;
}

// Every id has 1 to SESSREC_MAX_ID bytes, and then the first NUL.
static int sessrec__good_ids(const sessrec_model *model, uint64_t id_bytes) {
    const uint32_t *offset = model->id_offset;
    const int32_t V = model->info.item_count;
    if (offset[0] || offset[V] != id_bytes) return 0;
    for (int32_t i = 0; i < V; ++i) {
        const char *text = model->id_text + offset[i];
        const uint32_t size = offset[i + 1] - offset[i];  // with the NUL
        if (offset[i + 1] < offset[i] || offset[i + 1] > id_bytes || size < 2 || size > SESSREC_MAX_ID + 1 ||
            (const char *)memchr(text, 0, size) != text + size - 1)
            return 0;
    }
    return 1;
}

static int sessrec__good_support(const sessrec_model *model) {
    uint64_t sum = 0;
    for (int32_t i = 0; i < model->info.item_count; ++i)
        if (!sessrec__add(sum, model->support[i], &sum)) return 0;
    return sum == model->info.event_count;
}

static sessrec_result sessrec__good_items(const sessrec_model *model, uint64_t id_bytes, sessrec_error *err) {
    if (!sessrec__good_ids(model, id_bytes))
        return sessrec__damaged(err, "an item id", "is not a text of 1 to 255 bytes");
    if (!sessrec__good_order(model))
        return sessrec__damaged(err, "id_order", "does not sort the items by their ids, or two have the same "
                                                 "id");
    return sessrec__good_support(model)
               ? SESSREC_OK
               : sessrec__damaged(err, "support", "does not sum to the number of events");
}

// Points a model at the sections of a file, which must be in the byte order of the machine, and checks every
// value in them.
static sessrec_result sessrec__model_from_archive(const sessrec__archive *archive, sessrec_model *model,
                                                  sessrec_error *err) {
    const sessrec__section info = sessrec__archive_section(archive, 0);
    sessrec__model_view view;
    uint64_t id_bytes, hash = 0;
    if (strcmp(info.name, "info") || info.bytes != SESSREC__INFO ||
        !sessrec__get_info(sessrec__archive_data(archive, 0), &model->info, &id_bytes))
        return sessrec__damaged(err, "its first section", "does not describe a model");
    model->tensors = sessrec__shapes(&model->info, model->shape);
    sessrec__view_model(&view, model, id_bytes);
    sessrec_result result =
        sessrec__archive_match(archive, sessrec__model_sections, &view, SESSREC_BAD_FILE, err);
    if (result) return result;
    const int32_t tensors = model->tensors;
    for (int32_t t = 0; t < tensors; ++t)
        model->tensor[t] = (float *)(uintptr_t)sessrec__archive_data(archive, t + 1);
    model->support = (const uint64_t *)(const void *)sessrec__archive_data(archive, tensors + 1);
    model->id_offset = (const uint32_t *)(const void *)sessrec__archive_data(archive, tensors + 2);
    model->id_text = (const char *)sessrec__archive_data(archive, tensors + 3);
    model->id_order = (const int32_t *)(const void *)sessrec__archive_data(archive, tensors + 4);
    result = sessrec__good_items(model, id_bytes, err);
    if (result) return result;
    for (int32_t i = 0; i < tensors + 5; ++i)
        hash = sessrec__fingerprint_of(hash, sessrec__archive_section(archive, i).crc);
    model->fingerprint = hash ? hash : 1;
    sessrec__model_wire(model);
    return sessrec__archive_ranges(archive, sessrec__model_sections, &view, err);
}

// Makes a model from an archive, in a block that begins with room for it. The block is freed on failure.
static sessrec_result sessrec__model_finish(const sessrec__archive *archive, const sessrec_allocator *memory,
                                            void *block, sessrec_model **out, sessrec_error *err) {
    sessrec_model *model = (sessrec_model *)block;
    memset(model, 0, sizeof *model);
    model->memory = *memory;
    sessrec_result result = sessrec__model_from_archive(archive, model, err);
    if (result) sessrec_model_destroy(model);
    else *out = model;
    return result;
}

SESSREC_API sessrec_result sessrec_model_import(const void *bytes, size_t size,
                                                const sessrec_allocator *allocator, sessrec_model **out,
                                                sessrec_error *err) {
    const sessrec_allocator memory = sessrec__allocator(allocator);
    sessrec__archive archive;
    if (out) *out = NULL;
    if (!out || !bytes) return sessrec__invalid(err, "bytes and out must not be NULL");
    if ((uintptr_t)bytes & 63)
        return sessrec__invalid(err, "the bytes of a model must begin at a multiple of 64");
    if (SESSREC__BIG_ENDIAN)
        return sessrec_error_set(err, SESSREC_UNSUPPORTED,
                                 "files are little-endian: this machine can load one, but not use it in "
                                 "place");
    sessrec_result result = sessrec__archive_open(&archive, bytes, size, SESSREC__FILE_MODEL, err);
    if (result) return result;
    void *block = sessrec__alloc(&memory, 1, sizeof **out);
    return block ? sessrec__model_finish(&archive, &memory, block, out, err) : sessrec__no_memory(err);
}

SESSREC_API size_t sessrec_model_export_size(const sessrec_model *model) {
    uint64_t size = 0;
    if (!model) return 0;
    const sessrec__model_view view = sessrec__whole_model(model);
    sessrec__archive_size(sessrec__model_sections, &view, &size);
    return (size_t)size;
}

static int sessrec__write_model(sessrec__sink *sink, const void *what) {
    const sessrec__model_view view = sessrec__whole_model((const sessrec_model *)what);
    return sessrec__archive_write(sink, SESSREC__FILE_MODEL, sessrec__model_sections, &view);
}

SESSREC_API sessrec_result sessrec_model_export(const sessrec_model *model, void *bytes, size_t size) {
    sessrec__memory_sink memory;
    if (!model || !bytes || size < sessrec_model_export_size(model)) return SESSREC_INVALID_ARGUMENT;
    // it could not be read again
    sessrec_result result = sessrec__check_weights(model, SESSREC_DIVERGED, NULL);
    if (result) return result;
    memory.sink.put = sessrec__memory_put;
    memory.at = (unsigned char *)bytes;
    memory.room = size;
    sessrec__write_model(&memory.sink, model);
    return SESSREC_OK;
}

// ===========================================================================================================
// >>int8   models of 8-bit weights, and models for tiny machines
// A row of weights is w = a q: a float a, and codes q from -127 to 127. With the codes g = 128 h of a state,
// row i of U gives u_i (q . g) / 128, where q . g is an integer. Everything else is fixed-point: states and
// gates have 15 bits after the point, the sums that go into a gate 12, scores `exponent`. tanh is linear
// between 129 points in [0,8]; sg(x) = (1 + tanh(x/2)) / 2. No float is computed with, only scales are read,
// as an integer and a shift; so all processors get the same integers. |h| is at most 32639/32768, which the
// code 127 stands for as well as it can.
// File: "info" as in a model; its tensors in their order, with codes for matrices, those of the gates
// transposed, and integers for biases; "scales" of all rows in order; "bounds" of the scores; "tanh",
// "exponent"; and the last four sections of a model, unless they were left out.
//     |h.w_i + b_i - t_i| <= sum_k |w_ik - a_i q_ik| + a_i (sum_k |q_ik| + 2^extra) / 256 + 2^-exponent
// where 2^extra is the step to which q . g is rounded, so that its product with a_i fits into 32 bits.
// ===========================================================================================================

static const char sessrec__no_users[] = "a model with users has no 8-bit form";
enum {
    SESSREC__GATE_BITS = 12,
    SESSREC__TANH_POINTS = 129,
    SESSREC__LARGEST_STATE = 32639,
    SESSREC__LARGEST_BIAS = 1 << 23
};

// The first tensor of a layer; behind the last layer, the first section after the tensors.
static int32_t sessrec__tiny_layer(const sessrec_model_info *info, int32_t layer) {
    return 2 + (info->embedding == SESSREC_EMBEDDING_SEPARATE) +
           layer * (3 + (info->gru == SESSREC_RESET_AFTER));
}

// Tensor t, in the order of sessrec__shapes. Returns whether it is a matrix that 8 bits store transposed.
static int sessrec__tiny_tensor(const sessrec_tiny *m, int32_t t, sessrec__section *out) {
    const sessrec_model_info *info = &m->info;
    const int32_t V = info->item_count, first = sessrec__tiny_layer(info, 0),
                  each = sessrec__tiny_layer(info, 1) - first, layer = (t - first) / each,
                  part = (t - first) % each;
    const uint32_t integers = m->exponent < 0 ? SESSREC__FLOAT : SESSREC__INT32,
                   codes = m->exponent < 0 ? SESSREC__FLOAT : SESSREC__INT8;
    if (t == SESSREC__BY) return !sessrec__section_is(out, "By", integers, V, 1, m->data[t]);
    if (t < first)
        return !sessrec__section_is(out, t ? "E" : "Wy", codes, V,
                                    t ? info->embedding_width : info->hidden[info->layer_count - 1],
                                    m->data[t]);
    const int32_t G = 3 * info->hidden[layer], D = layer ? info->hidden[layer - 1] : info->embedding_width,
                  input = part ? G / 3 : D ? D : V, transposed = part == 1 || (!part && D);
    char name[5] = "L0.W";
    name[1] = (char)(name[1] + layer);
    name[3] = "WUbc"[part];
    (void)sessrec__section_is(out, name, part < 2 ? codes : integers, part < 2 ? input : 1, G, m->data[t]);
    if (transposed && m->exponent >= 0) out->rows = (uint64_t)G, out->columns = (uint64_t)input;
    return transposed;
}

// What describes a file: the model, its section "info", and whether there are ids.
typedef struct sessrec__tiny_view {
    const sessrec_tiny *tiny;
    uint64_t id_bytes;  // 0: no ids
    int64_t scales;     // rows of all matrices
    unsigned char info[SESSREC__INFO];
} sessrec__tiny_view;

static int sessrec__tiny_sections(const void *what, int32_t index, sessrec__section *out) {
    const sessrec__tiny_view *v = (const sessrec__tiny_view *)what;
    const sessrec_tiny *m = v->tiny;
    const int32_t tensors = sessrec__tiny_layer(&m->info, m->info.layer_count);
    const void *data = index ? m->data[index - 1] : NULL;
    if (!index) return sessrec__section_is(out, "info", SESSREC__BYTES, 1, SESSREC__INFO, v->info);
    if (--index < tensors) {
        (void)sessrec__tiny_tensor(m, index, out);
        return 1;
    }
    switch (m->exponent < 0 ? -1 : index - tensors) {
    case 0:
        (void)sessrec__section_is(out, "scales", SESSREC__FLOAT, v->scales, 1, data);
        out->sign = 0, out->limit = 0x3f800000u;  // below 1
        return 1;
    case 1: return sessrec__section_is(out, "bounds", SESSREC__FLOAT, m->info.item_count, 1, data);
    case 2:
        (void)sessrec__section_is(out, "tanh", SESSREC__UINT32, SESSREC__TANH_POINTS, 1, data);
        out->limit = 32768;
        return 1;
    case 3:
        (void)sessrec__section_is(out, "exponent", SESSREC__UINT32, 1, 1, data);
        out->limit = 17;
        return 1;
    default: return 0;
    }
}

// The same with the four sections about items, if they are there.
static int sessrec__int8_sections(const void *what, int32_t index, sessrec__section *out) {
    const sessrec__tiny_view *v = (const sessrec__tiny_view *)what;
    const sessrec_model_info *info = &v->tiny->info;
    const int32_t i = index - 5 - sessrec__tiny_layer(info, info->layer_count);
    if (i < 0 || !v->id_bytes) return sessrec__tiny_sections(what, index, out);
    return i < 4 && sessrec__item_sections(i, info->item_count, v->id_bytes, v->tiny->data[index - 1], out);
}

// ---- 8-bit arithmetic ----

// The scale mantissa * 2^-exponent as exponent * 2^15 + mantissa, with a mantissa of 14 bits. The quantizer
// makes scales that have no more.
static int32_t sessrec__row_scale(const float *scale) {
    uint32_t number;
    memcpy(&number, scale, sizeof number);
    return (int32_t)((140 - (number >> 23)) << 15 | 0x2000 | (number >> 10 & 0x1fff));
}
static int32_t sessrec__row_scale_product(int32_t a, int32_t b) {
    return ((a >> 15) + (b >> 15) - 14) * 32768 + ((a & 0x7fff) * (b & 0x7fff) >> 14);
}

// The bits that a sum of n products of codes, below 2^14 n, has above 16.
static int32_t sessrec__extra_bits(int32_t n) {
    int32_t extra = 0;
    for (; n > 4; n = (n + 1) / 2) ++extra;
    return extra;
}
// value * scale * 2^bits, rounded, with `extra` bits of value left out, |value| < 2^(16+extra); below 2^29,
// to which it only comes if it is out of every range.
static int32_t sessrec__scaled(int32_t value, int32_t extra, int32_t scale, int32_t bits) {
    const int32_t kept = (value + (1 << extra >> 1)) >> extra, shift = (scale >> 15) - bits - extra;
    if (shift > 30) return 0;
    return shift < 1 ? kept * 8192 : (kept * (scale & 0x7fff) + (1 << (shift - 1))) >> shift;
}

static int32_t sessrec__int8_dot(int32_t n, const int8_t *a, const int8_t *b) {
    int32_t sum = 0;
#ifdef SESSREC_TINY
    for (; n >= 4; n -= 4, a += 4, b += 4) sum += a[0] * b[0] + a[1] * b[1] + a[2] * b[2] + a[3] * b[3];
#else  // compilers make vector operations of this
    for (; n >= 16; n -= 16, a += 16, b += 16)
        for (int32_t i = 0; i < 16; ++i) sum += a[i] * b[i];
#endif
    for (int32_t i = 0; i < n; ++i) sum += a[i] * b[i];
    return sum;
}

static int32_t sessrec__int8_tanh(const uint32_t *points, int32_t x) {
    const int32_t last = (SESSREC__TANH_POINTS - 1) * 256 - 1;
    int32_t size = x < 0 ? -x : x;
    if (size > last) size = last;
    const int32_t low = (int32_t)points[size / 256], high = (int32_t)points[size / 256 + 1],
                  y = low + ((high - low) * (size % 256) + 128) / 256;
    return x < 0 ? -y : y;
}
static int32_t sessrec__int8_sigmoid(const uint32_t *points, int32_t x) {
    return (32768 + sessrec__int8_tanh(points, x >> 1)) >> 1;
}

SESSREC__INLINE int8_t sessrec__state_code(int32_t h) {
    return (int8_t)((h + 128) >> 8);
}
static void sessrec__state_codes(int32_t n, const int16_t *h, int8_t *codes) {
    for (int32_t j = 0; j < n; ++j) codes[j] = sessrec__state_code(h[j]);
}

// One layer and its input: W transposed [3H,D], or with one-hot input the item's row of W, where D is 0.
typedef struct sessrec__int8_layer {
    int32_t D, H, D_extra, H_extra, x_scale;
    const int8_t *x, *W, *U;
    const float *W_scales, *U_scales;
    const int32_t *b, *c;
} sessrec__int8_layer;

// (x W + b)_j
static int32_t sessrec__int8_input(const sessrec__int8_layer *l, int32_t j) {
    const int32_t sum = l->D ? sessrec__int8_dot(l->D, l->x, l->W + (ptrdiff_t)j * l->D) : l->x[j];
    const int32_t scale =
        l->D ? sessrec__row_scale_product(l->x_scale, sessrec__row_scale(&l->W_scales[j])) : l->x_scale;
    return l->b[j] + sessrec__scaled(sum, l->D_extra, scale, SESSREC__GATE_BITS);
}
// (h U + c)_j
static int32_t sessrec__int8_recurrent(const sessrec__int8_layer *l, const int8_t *codes, int32_t j) {
    const int32_t sum = sessrec__int8_dot(l->H, codes, l->U + (ptrdiff_t)j * l->H);
    return (l->c ? l->c[j] : 0) +
           sessrec__scaled(sum, l->H_extra, sessrec__row_scale(&l->U_scales[j]), SESSREC__GATE_BITS - 7);
}

// One step of a layer; codes [2H] begins with those of h.
static void sessrec__int8_step(const sessrec__int8_layer *l, const uint32_t *points, int16_t *h,
                               int8_t *codes) {
    const int32_t H = l->H, most = SESSREC__LARGEST_STATE;
    int8_t *reset = codes + H;
    for (int32_t j = 0; j < H && !l->c; ++j) {
        const int32_t r = sessrec__int8_input(l, j) + sessrec__int8_recurrent(l, codes, j);
        reset[j] = sessrec__state_code((sessrec__int8_sigmoid(points, r) * h[j] + 16384) >> 15);
    }
    for (int32_t j = 0; j < H; ++j) {
        const int32_t z = sessrec__int8_input(l, H + j) + sessrec__int8_recurrent(l, codes, H + j);
        int32_t n = sessrec__int8_recurrent(l, l->c ? codes : reset, 2 * H + j);
        if (l->c) {
            const int32_t r = sessrec__int8_input(l, j) + sessrec__int8_recurrent(l, codes, j);
            n = n > 65535 ? 65535 : n < -65535 ? -65535 : n;
            n = (n * sessrec__int8_sigmoid(points, r) + 16384) >> 15;
        }
        n = sessrec__int8_tanh(points, n + sessrec__int8_input(l, 2 * H + j));
        n = n > most ? most : n < -most ? -most : n;
        // |n - h| < 2^16, z < 2^15
        h[j] = (int16_t)(h[j] + ((sessrec__int8_sigmoid(points, z) * (n - h[j]) + 16384) >> 15));
    }
}

// scratch [3 widest]: the codes of the last layer end up in its last third.
static void sessrec__int8_click(const sessrec_tiny *m, int32_t item, void *state, void *scratch) {
    static const float step = 1.0f / 128;
    const sessrec_model_info *info = &m->info;
    const int32_t end = sessrec__tiny_layer(info, info->layer_count), G = 3 * info->hidden[0],
                  own = info->embedding == SESSREC_EMBEDDING_SEPARATE,
                  onehot = info->embedding == SESSREC_EMBEDDING_NONE;
    const float *scales = (const float *)m->data[end];
    const int8_t *table = (const int8_t *)m->data[onehot || own ? 2 : 0];
    int16_t *h = (int16_t *)state;
    int8_t *codes = (int8_t *)scratch, *low = codes + 2 * m->widest;
    sessrec__int8_layer l;
    l.D = info->embedding_width;
    l.x = table + (ptrdiff_t)item * (onehot ? G : l.D);
    l.x_scale = sessrec__row_scale(scales + item + (onehot || own ? info->item_count : 0));
    scales += (ptrdiff_t)info->item_count * (1 + (onehot || own));
    for (int32_t layer = 0; layer < info->layer_count; ++layer) {
        const void *const *data = m->data + sessrec__tiny_layer(info, layer);
        l.H = info->hidden[layer];
        l.D_extra = sessrec__extra_bits(l.D), l.H_extra = sessrec__extra_bits(l.H);
        l.W = (const int8_t *)data[0], l.U = (const int8_t *)data[1];
        l.b = (const int32_t *)data[2];
        l.c = info->gru == SESSREC_RESET_AFTER ? (const int32_t *)data[3] : NULL;
        l.W_scales = scales;
        if (l.D) scales += 3 * l.H;
        l.U_scales = scales;
        scales += 3 * l.H;
        sessrec__state_codes(l.H, h, codes);
        sessrec__int8_step(&l, (const uint32_t *)m->data[end + 2], h, codes);
        sessrec__state_codes(l.H, h, low);
        h += l.H;
        l.D = l.H;
        l.x = low;
        l.x_scale = sessrec__row_scale(&step);
    }
}

// The score of an item in units of 2^-exponent: |a q.g| < 2^23 is checked, |b| <= 2^23.
static int32_t sessrec__int8_score(const sessrec_tiny *m, const void *vector, int32_t item) {
    const sessrec_model_info *info = &m->info;
    const int32_t L = info->hidden[info->layer_count - 1];
    const float *scales = (const float *)m->data[sessrec__tiny_layer(info, info->layer_count)];
    const int8_t *row = (const int8_t *)m->data[0] + (ptrdiff_t)item * L;
    const int32_t sum = sessrec__int8_dot(L, row, (const int8_t *)vector);
    return sessrec__scaled(sum, m->extra, sessrec__row_scale(&scales[item]), m->exponent - 7) +
           ((const int32_t *)m->data[SESSREC__BY])[item];
}

// ---- opening ----

// The bits of the float 2^n below which scales are such that L products of codes stay below 2^23 units.
static uint32_t sessrec__scale_limit(int32_t L, int32_t exponent) {
    int32_t n = 127 + 16 - exponent;
    while (L > 1) L = (L + 1) / 2, --n;
    return (uint32_t)n << 23;
}

// Fills in what follows from m->info.
static void sessrec__tiny_describe(sessrec_tiny *m, int quantized, uint64_t id_bytes, sessrec__tiny_view *v) {
    const sessrec_model_info *info = &m->info;
    sessrec__section section;
    v->tiny = m;
    v->id_bytes = id_bytes;
    v->scales = 0;
    m->exponent = quantized ? 0 : -1;
    m->extra = sessrec__extra_bits(info->hidden[info->layer_count - 1]);
    for (int32_t t = sessrec__tiny_layer(info, info->layer_count) - 1; t >= 0; --t) {
        (void)sessrec__tiny_tensor(m, t, &section);
        if (section.type == SESSREC__INT8) v->scales += (int64_t)section.rows;
    }
    for (int32_t l = 0; l < info->layer_count; ++l)
        if (info->hidden[l] > m->widest) m->widest = info->hidden[l];
}

// Whether no number of a section can lead to an undefined sum.
static int sessrec__int8_good(const sessrec__section *section) {
    const int bias = section->type == SESSREC__INT32;
    const int32_t most = bias ? SESSREC__LARGEST_BIAS : 127;
    const uint64_t count = section->rows * section->columns;
    int good = !section->limit || sessrec__all_below(section->data, count, section->sign, section->limit);
    for (uint64_t i = 0; i < count && (bias || section->type == SESSREC__INT8); ++i) {
        const int32_t value = bias ? ((const int32_t *)section->data)[i] : ((const int8_t *)section->data)[i];
        good &= value <= most && value >= -most;
    }
    return good;
}

static int32_t sessrec__tiny_exponent(const sessrec_tiny *m) {
    return *(const int32_t *)m->data[sessrec__tiny_layer(&m->info, m->info.layer_count) + 3];
}

// Points a tiny model at the sections of a file and checks every value in them.
static sessrec_result sessrec__tiny_from_archive(const sessrec__archive *archive, sessrec_tiny *m,
                                                 sessrec__tiny_view *v, sessrec_error *err) {
    const sessrec__section first = sessrec__archive_section(archive, 0);
    uint64_t id_bytes;
    sessrec__section section;
    if (strcmp(first.name, "info") || first.bytes != SESSREC__INFO ||
        !sessrec__get_info(sessrec__archive_data(archive, 0), &m->info, &id_bytes) || m->info.user_hidden)
        return sessrec__damaged(err, "its first section", "does not describe an 8-bit model");
    sessrec__tiny_describe(m, 1, id_bytes, v);
    const sessrec_result result =
        sessrec__archive_match(archive, sessrec__int8_sections, v, SESSREC_BAD_FILE, err);
    if (result) return result;
    for (int32_t i = 1; sessrec__int8_sections(v, i, &section); ++i)
        m->data[i - 1] = sessrec__archive_data(archive, i);
    for (int32_t i = 1; sessrec__tiny_sections(v, i, &section); ++i)
        if (!sessrec__int8_good(&section))
            return sessrec__damaged(err, section.name, "has a value that is out of its range");
    m->exponent = sessrec__tiny_exponent(m);
    const int32_t L = m->info.hidden[m->info.layer_count - 1];
    const void *scales = m->data[sessrec__tiny_layer(&m->info, m->info.layer_count)];
    return sessrec__all_below(scales, (uint64_t)m->info.item_count, 0, sessrec__scale_limit(L, m->exponent))
               ? SESSREC_OK
               : sessrec__damaged(err, "scales", "has a value that is out of its range");
}

// ---- the same in floats ----
// The chains of fused multiply-adds of >>gru and of the kernel `dots`, so the bits are those of a session.

static float sessrec__tiny_chain(float sum, int32_t n, const float *x, const float *W, ptrdiff_t step) {
    for (int32_t k = 0; k < n; ++k) sum = sessrec__fma(x[k], W[k * step], sum);
    return sum;
}

static void sessrec__tiny_click(const sessrec_tiny *m, int32_t item, void *state, void *scratch) {
    const sessrec_model_info *info = &m->info;
    const int onehot = info->embedding == SESSREC_EMBEDDING_NONE,
              after = info->gru == SESSREC_RESET_AFTER;
    int32_t D = info->embedding_width;
    float *h = (float *)state;
    const float one = 1, *x = (const float *)m->data[info->embedding == SESSREC_EMBEDDING_TIED ? 0 : 2];
    x = onehot ? &one : x + (ptrdiff_t)item * D;
    for (int32_t layer = 0; layer < info->layer_count; ++layer) {
        const void *const *data = m->data + sessrec__tiny_layer(info, layer);
        const int32_t H = info->hidden[layer];
        const ptrdiff_t G = 3 * (ptrdiff_t)H;
        const float *W = (const float *)data[0], *U = (const float *)data[1], *b = (const float *)data[2],
                    *c = after ? (const float *)data[3] : NULL;
        float *r = (float *)scratch, *z = r + H, *h_new = z + H;
        if (onehot && !layer) W += item * G, D = 1;
        for (int32_t j = 0; j < 2 * H; ++j) {
            float a = sessrec__tiny_chain(b[j], D, x, W + j, G);
            a = sessrec__tiny_chain(a, H, h, U + j, G);
            if (after) a = sessrec__fma(1, c[j], a);
            r[j] = sessrec__plain_sigmoid(a);
            if (!after && j < H) r[j] *= h[j];
        }
        for (int32_t j = 0; j < H; ++j) {
            const int32_t at = 2 * H + j;
            float n = sessrec__tiny_chain(b[at], D, x, W + at, G);
            n = after ? sessrec__fma(r[j], sessrec__tiny_chain(c[at], H, h, U + at, G), n)
                      : sessrec__tiny_chain(n, H, r, U + at, G);
            h_new[j] = sessrec__fma(z[j], sessrec__plain_tanh(n) - h[j], h[j]);
        }
        memcpy(h, h_new, (size_t)H * sizeof *h);
        x = h;
        D = H;
        h += H;
    }
}

static int32_t sessrec__tiny_score(const sessrec_tiny *m, const void *vector, int32_t item) {
    const int32_t L = m->info.hidden[m->info.layer_count - 1];
    const float score = sessrec__tiny_chain(((const float *)m->data[1])[item], L, (const float *)vector,
                                            (const float *)m->data[0] + (ptrdiff_t)item * L, 1) + 0.0f;
    int32_t bits;
    memcpy(&bits, &score, sizeof bits);
    return bits < 0 ? bits ^ INT32_MAX : bits;
}

// ---- a visitor of a tiny machine ----
// visitor: remember, how many items it has, [remember] the items, the last clicked one first; the state; the
// scratch of a click.

// A file has one legal layout, so it is right if its header and table are those that a writer would make:
// shapes follow from "info", places from the shapes, checksums from the content. Ids are not looked at, and
// numbers only as far as memory depends on them. On little-endian machines a record begins like a section.
static sessrec_result sessrec__tiny_open(const void *bytes, size_t size, uint32_t kind, sessrec_tiny *m) {
    const unsigned char *file = (const unsigned char *)bytes;
    const uint64_t size64 = size;
    sessrec__tiny_view view;
    sessrec__section section;
    uint32_t head[SESSREC__RECORD / 4];
    uint64_t id_bytes;
    if (!bytes || !m || (uintptr_t)bytes & 63 || size < sizeof head) return SESSREC_INVALID_ARGUMENT;
    memset(m, 0, sizeof *m);
    memset(&view, 0, sizeof view);
    memset(head, 0, sizeof head);
    memcpy(head, file, 28);
    const uint32_t count = head[6];
    uint64_t end = SESSREC__RECORD * ((uint64_t)count + 1);
    if (SESSREC__BIG_ENDIAN || memcmp(head, sessrec__magic, sizeof sessrec__magic) || head[5] != kind ||
        head[2] != SESSREC__FORMAT_MAJOR || head[3] || head[4] || end > size)
        return SESSREC_BAD_FILE;
    memcpy(&head[8], &size64, sizeof size64);
    head[7] = sessrec__crc32c(sessrec__crc32c(0, head, 28), file + 32, (size_t)end - 32);
    if (memcmp(head, file, sizeof head)) return SESSREC_BAD_FILE;
    view.tiny = m;
    for (uint32_t i = 0; sessrec__tiny_sections(&view, (int32_t)i, &section); ++i) {
        section.bytes = section.rows * section.columns * (section.type & 15);  // < 2^47
        section.offset = (end + 63) & ~(uint64_t)63;
        end = section.offset + section.bytes;
        if (end > size || i >= count) return SESSREC_BAD_FILE;
        section.data = file + section.offset;
        section.crc = sessrec__crc32c(0, section.data, (size_t)section.bytes);
        if (memcmp(&section, file + SESSREC__RECORD * (i + 1), offsetof(sessrec__section, data)))
            return SESSREC_BAD_FILE;
        if (i) {
            m->data[i - 1] = section.data;
        } else {
            if (!sessrec__get_info((const unsigned char *)section.data, &m->info, &id_bytes) ||
                m->info.user_hidden)
                return SESSREC_BAD_FILE;
            sessrec__tiny_describe(m, kind == SESSREC__FILE_INT8, id_bytes, &view);
        }
    }
    if (m->exponent < 0) return SESSREC_OK;  // floats
    m->exponent = sessrec__tiny_exponent(m);
    return m->exponent < 0 || m->exponent > 16 ? SESSREC_BAD_FILE : SESSREC_OK;
}
SESSREC_API sessrec_result sessrec_tiny_open(const void *bytes, size_t size, sessrec_tiny *out) {
    const sessrec_result result = sessrec__tiny_open(bytes, size, SESSREC__FILE_INT8, out);
    if (!result) out->click = sessrec__int8_click, out->score = sessrec__int8_score;
    return result;
}
SESSREC_API sessrec_result sessrec_tiny_open_float(const void *bytes, size_t size, sessrec_tiny *out) {
    const sessrec_result result = sessrec__tiny_open(bytes, size, SESSREC__FILE_MODEL, out);
    if (!result) out->click = sessrec__tiny_click, out->score = sessrec__tiny_score;
    return result;
}

// Where the parts of a visitor begin: the state, the scratch of a click, what is multiplied with the items.
typedef struct sessrec__tiny_parts {
    size_t state, scratch, vector, size;
} sessrec__tiny_parts;

static sessrec__tiny_parts sessrec__tiny_place(const sessrec_tiny *m, int32_t remember) {
    const int32_t last = m->info.layer_count - 1, quantized = m->exponent >= 0;
    const size_t L = (size_t)m->info.hidden[last], widest = (size_t)m->widest;
    sessrec__tiny_parts parts;
    size_t hidden = 0;
    for (int32_t l = 0; l <= last; ++l) hidden += (size_t)m->info.hidden[l];
    parts.state = ((size_t)remember + 2) * sizeof(int32_t);
    parts.scratch = parts.state + ((hidden * (quantized ? 2 : 4) + 3) & ~(size_t)3);
    parts.vector = quantized ? parts.scratch + 2 * widest : parts.scratch - 4 * L;
    parts.size = (parts.scratch + widest * (quantized ? 3 : 12) + 3) & ~(size_t)3;
    return parts;
}

SESSREC_API size_t sessrec_tiny_size(const sessrec_tiny *model, int32_t remember) {
    const int good = model && model->info.item_count > 0 && remember >= 0 &&
                     remember <= SESSREC__MAX_REMEMBER;
    return good ? sessrec__tiny_place(model, remember).size : 0;
}

SESSREC_API sessrec_result sessrec_tiny_begin(const sessrec_tiny *model, int32_t remember, void *visitor) {
    const size_t size = sessrec_tiny_size(model, remember);
    if (!size || !visitor) return SESSREC_INVALID_ARGUMENT;
    memset(visitor, 0, size);
    *(int32_t *)visitor = remember;
    return SESSREC_OK;
}

// The place of an item among the remembered ones; their number if it is not there.
static int32_t sessrec__tiny_seen(const int32_t *visitor, int32_t item) {
    int32_t place = 0;
    while (place < visitor[1] && visitor[2 + place] != item) ++place;
    return place;
}

SESSREC_API sessrec_result sessrec_tiny_click(const sessrec_tiny *model, void *visitor, int32_t item) {
    int32_t *v = (int32_t *)visitor;
    if (!model || !v || item < 0 || item >= model->info.item_count) return SESSREC_INVALID_ARGUMENT;
    const sessrec__tiny_parts parts = sessrec__tiny_place(model, v[0]);
    model->click(model, item, (char *)visitor + parts.state, (char *)visitor + parts.scratch);
    int32_t place = sessrec__tiny_seen(v, item);
    if (!v[0]) return SESSREC_OK;
    if (place == v[1] && v[1] < v[0]) v[1]++;
    if (place == v[0]) --place;  // the oldest goes
    memmove(v + 3, v + 2, (size_t)place * sizeof *v);
    v[2] = item;
    return SESSREC_OK;
}

SESSREC_API int32_t sessrec_tiny_recommend(const sessrec_tiny *model, const void *visitor, int32_t k,
                                           sessrec_tiny_item *out) {
    const int32_t *v = (const int32_t *)visitor;
    int32_t count = 0;
    if (!model || model->info.item_count < 1 || !v || !out || k < 1) return SESSREC_INVALID_ARGUMENT;
    const char *vector = (const char *)visitor + sessrec__tiny_place(model, v[0]).vector;
    for (int32_t item = 0; item < model->info.item_count; ++item) {
        const int32_t score = model->score(model, vector, item);
        if ((count == k && score <= out[k - 1].score) || sessrec__tiny_seen(v, item) < v[1]) continue;
        int32_t place = count < k ? count++ : k - 1;
        for (; place > 0 && score > out[place - 1].score; --place) out[place] = out[place - 1];
        out[place].item = item;
        out[place].score = score;
    }
    return count;
}

// ---- as a scorer ----

typedef struct sessrec__int8 {
    sessrec_model items;    // ids and support only, so that their functions for models serve here
    sessrec_allocator memory;
    sessrec_tiny tiny;
    sessrec__tiny_view view;
    void *file;             // the block that holds the sections; NULL: they are the caller's
} sessrec__int8;

static const sessrec_tiny *sessrec__tiny_of(const void *self) {
    return &((const sessrec__int8 *)self)->tiny;
}
static size_t sessrec__int8_state_bytes(const sessrec_tiny *m) {
    const sessrec__tiny_parts parts = sessrec__tiny_place(m, 0);
    return (parts.scratch - parts.state + 15) & ~(size_t)15;
}
static void sessrec__int8_destroy(void *self) {
    sessrec__int8 *s = (sessrec__int8 *)self;
    const sessrec_allocator memory = s->memory;
    sessrec__free(&memory, s->file);
    sessrec__free(&memory, s);
}
static size_t sessrec__int8_scratch(const void *self, int32_t rows) {
    (void)rows;
    return 3 * (size_t)sessrec__tiny_of(self)->widest;
}
static void sessrec__int8_begin(const void *self, void *state, const void *user, double time) {
    (void)user, (void)time;
    memset(state, 0, sessrec__int8_state_bytes(sessrec__tiny_of(self)));
}
static void sessrec__int8_clicks(const void *self, int32_t rows, void *states, const int32_t *items,
                                 const double *times, void *scratch) {
    const sessrec_tiny *m = sessrec__tiny_of(self);
    (void)times;
    for (int32_t i = 0; i < rows; ++i)
        sessrec__int8_click(m, items[i], (char *)states + (size_t)i * sessrec__int8_state_bytes(m), scratch);
}
static void sessrec__int8_scores(const void *self, int32_t rows, const void *states, int32_t first,
                                 int32_t count, float *scores, void *scratch) {
    const sessrec_tiny *m = sessrec__tiny_of(self);
    const int32_t last = m->info.layer_count - 1, L = m->info.hidden[last];
    const float unit = 1.0f / (float)(1 << m->exponent);
    int32_t before = 0;
    for (int32_t l = 0; l < last; ++l) before += m->info.hidden[l];
    for (int32_t i = 0; i < rows; ++i) {
        const void *state = (const char *)states + (size_t)i * sessrec__int8_state_bytes(m);
        sessrec__state_codes(L, (const int16_t *)state + before, (int8_t *)scratch);
        for (int32_t j = 0; j < count; ++j)
            scores[(ptrdiff_t)i * count + j] = (float)sessrec__int8_score(m, scratch, first + j) * unit;
    }
}
static int32_t sessrec__int8_valid(const void *self, const void *state) {
    const size_t count = sessrec__int8_state_bytes(sessrec__tiny_of(self)) / sizeof(int16_t);
    const int16_t *h = (const int16_t *)state;
    int32_t valid = 1;
    for (size_t j = 0; j < count; ++j)
        valid &= h[j] >= -SESSREC__LARGEST_STATE && h[j] <= SESSREC__LARGEST_STATE;
    return valid;
}

static void sessrec__int8_wire(sessrec__int8 *s, sessrec_scorer *out) {
    sessrec__put_info(&s->tiny.info, s->view.id_bytes, s->view.info);
    memset(out, 0, sizeof *out);
    out->self = s;
    out->item_count = s->tiny.info.item_count;
    out->state_bytes = sessrec__int8_state_bytes(&s->tiny);
    out->scratch_bytes = sessrec__int8_scratch;
    if (s->view.id_bytes) {
        out->find_item = sessrec__model_find;
        out->item_id = sessrec__model_id;
        out->support = sessrec__model_support;
    }
    out->begin = sessrec__int8_begin;
    out->click = sessrec__int8_clicks;
    out->score = sessrec__int8_scores;
    out->valid = sessrec__int8_valid;
    out->destroy = sessrec__int8_destroy;
}

// The four sections about items, if they are there.
static sessrec_result sessrec__int8_items(sessrec__int8 *s, sessrec_error *err) {
    const sessrec_model_info *info = &s->tiny.info;
    const void *const *data = s->tiny.data + sessrec__tiny_layer(info, info->layer_count) + 4;
    if (!s->view.id_bytes) return SESSREC_OK;
    s->items.info = s->tiny.info;
    s->items.support = (const uint64_t *)data[0];
    s->items.id_offset = (const uint32_t *)data[1];
    s->items.id_text = (const char *)data[2];
    s->items.id_order = (const int32_t *)data[3];
    return sessrec__good_items(&s->items, s->view.id_bytes, err);
}

static sessrec_result sessrec__int8_from(const sessrec__archive *archive, const sessrec_allocator *memory,
                                         void *file, sessrec_scorer *out, sessrec_error *err) {
    sessrec__int8 *s = (sessrec__int8 *)sessrec__alloc(memory, 1, sizeof *s);
    if (!s) return sessrec__no_memory(err);
    s->memory = *memory;
    sessrec_result result = sessrec__tiny_from_archive(archive, &s->tiny, &s->view, err);
    if (!result) result = sessrec__int8_items(s, err);
    if (result) {
        sessrec__int8_destroy(s);
        return result;
    }
    s->file = file;
    sessrec__int8_wire(s, out);
    return SESSREC_OK;
}

// ---- from floats to 8 bits ----

// The next number with a mantissa of 14 bits.
static float sessrec__scale_above(float scale) {
    uint32_t number;
    memcpy(&number, &scale, sizeof number);
    number = (number + 0x3ff) & ~(uint32_t)0x3ff;
    memcpy(&scale, &number, sizeof number);
    return scale;
}

// Codes of n weights that are w_step apart, and their scale, which is below 1 for weights up to 126. Returns
// their part of the bound.
static double sessrec__quantize_row(int32_t n, const float *w, ptrdiff_t w_step, int8_t *codes,
                                    float *scale) {
    float most = 0;
    double error = 0;
    for (int32_t k = 0; k < n; ++k) {
        const float size = w[k * w_step] < 0 ? -w[k * w_step] : w[k * w_step];
        if (size > most) most = size;
    }
    *scale = most > 1e-30f ? sessrec__scale_above(most / 127) : 0;
    for (int32_t k = 0; k < n; ++k) {
        const double weight = (double)w[k * w_step], a = (double)*scale;
        codes[k] = (int8_t)(a > 0 ? sessrec__nearest(w[k * w_step] / *scale) : 0);
        const double lost = weight - a * codes[k];
        error += (lost < 0 ? -lost : lost) + a * (codes[k] < 0 ? -codes[k] : codes[k]) / 256;
    }
    return error;
}

// Biases in units of 2^-bits. Returns 0 if one is too large.
static int sessrec__quantize_biases(int64_t n, const float *b, int32_t bits, int32_t *out) {
    int fits = 1;
    for (int64_t i = 0; i < n; ++i) {
        const double value = (double)b[i] * (double)(1 << bits), most = SESSREC__LARGEST_BIAS;
        const int good = value <= most && value >= -most;
        out[i] = good ? (int32_t)(value + (value < 0 ? -0.5 : 0.5)) : 0;
        fits &= good;
    }
    return fits;
}

static void sessrec__int8_place(void *object, sessrec__layout *layout) {
    sessrec__int8 *s = (sessrec__int8 *)object;
    sessrec__section section;
    for (int32_t i = 1; sessrec__int8_sections(&s->view, i, &section); ++i)
        s->tiny.data[i - 1] = sessrec__place(layout, section.rows * section.columns, section.type & 15);
}

// Fills in what sessrec__int8_place has placed. Returns 0 if a weight is too large.
static int sessrec__quantize(const sessrec_model *model, sessrec__int8 *s) {
    const sessrec__tiny_view *v = &s->view;
    const int32_t V = model->info.item_count, L = sessrec__last_width(model), tensors = model->tensors;
    void *data[sizeof s->tiny.data / sizeof *s->tiny.data];
    sessrec__section section;
    memcpy(data, s->tiny.data, sizeof data);
    float *scales = (float *)data[tensors], *scale = scales, *bounds = (float *)data[tensors + 1];
    uint32_t *points = (uint32_t *)data[tensors + 2];
    int32_t exponent = 16, fits = 1;
    for (int32_t t = 0; t < tensors; ++t) {
        const int transposed = sessrec__tiny_tensor(&s->tiny, t, &section);
        const ptrdiff_t rows = (ptrdiff_t)section.rows, n = (ptrdiff_t)section.columns;
        if (section.type == SESSREC__INT32 && t != SESSREC__BY)
            fits &= sessrec__quantize_biases(n, model->tensor[t], SESSREC__GATE_BITS, (int32_t *)data[t]);
        for (ptrdiff_t i = 0; i < rows && section.type == SESSREC__INT8; ++i, ++scale) {
            const double lost = sessrec__quantize_row(
                (int32_t)n, model->tensor[t] + i * (transposed ? 1 : n), transposed ? rows : 1,
                (int8_t *)data[t] + i * n, scale);
            const double left_out = (double)*scale * (1 << sessrec__extra_bits((int32_t)n)) / 256;
            if (t == SESSREC__WY) bounds[i] = (float)((lost + left_out) * 1.000001);
        }
    }
    fits &= sessrec__all_below(scales, (uint64_t)v->scales, 0, 0x3f800000u);
    while (exponent >= 0 && (!sessrec__all_below(scales, (uint64_t)V, 0, sessrec__scale_limit(L, exponent)) ||
                             !sessrec__quantize_biases(V, model->By, exponent, (int32_t *)data[SESSREC__BY])))
        --exponent;
    if (!fits || exponent < 0) return 0;
    for (int32_t i = 0; i < V; ++i) bounds[i] += 1.000001f / (float)(1 << exponent);
    for (int32_t i = 0; i < SESSREC__TANH_POINTS; ++i) {
        float x = (float)i / 16;
        model->kernels->tanh(1, &x, &x);
        points[i] = x < 0.99998f ? (uint32_t)(x * 32768 + 0.5f) : 32767;
    }
    *(uint32_t *)data[tensors + 3] = (uint32_t)(s->tiny.exponent = exponent);
    return 1;
}

SESSREC_API sessrec_result sessrec_model_quantize(const sessrec_model *model, int32_t ids,
                                                  const sessrec_allocator *allocator, sessrec_scorer *out,
                                                  sessrec_error *err) {
    sessrec__section section;
    if (out) memset(out, 0, sizeof *out);
    if (!out || !model) return sessrec__null(err);
    if (model->info.user_hidden) return sessrec__fail(err, SESSREC_UNSUPPORTED, 0, sessrec__no_users);
    sessrec_result result = sessrec__check_weights(model, SESSREC_DIVERGED, err);
    if (result) return result;
    const sessrec_allocator memory = sessrec__allocator(allocator);
    sessrec__int8 *s = (sessrec__int8 *)sessrec__alloc(&memory, 1, sizeof *s);
    if (!s) return sessrec__no_memory(err);
    s->memory = memory;
    s->tiny.info = model->info;
    sessrec__tiny_describe(&s->tiny, 1, ids ? model->id_offset[model->info.item_count] : 0, &s->view);
    s->file = sessrec__layout_block(&memory, sessrec__int8_place, s);
    if (!s->file || !sessrec__quantize(model, s)) {
        result = s->file ? sessrec__fail(err, SESSREC_UNSUPPORTED, 0,
                                         "the model's weights are too large for 8 bits")
                         : sessrec__no_memory(err);
        sessrec__int8_destroy(s);
        return result;
    }
    const void *const items[4] = {model->support, model->id_offset, model->id_text, model->id_order};
    for (int32_t i = 0; i < 4; ++i)
        if (sessrec__int8_sections(&s->view, model->tensors + 5 + i, &section))
            memcpy((void *)(uintptr_t)section.data, items[i],
                   (size_t)(section.rows * section.columns * (section.type & 15)));
    result = sessrec__int8_items(s, err);
    sessrec__int8_wire(s, out);
    return result;
}

SESSREC_API float sessrec_quantized_bound(const sessrec_scorer *scorer, int32_t item) {
    if (!scorer || scorer->score != sessrec__int8_scores || item < 0 || item >= scorer->item_count) return -1;
    const sessrec_tiny *m = sessrec__tiny_of(scorer->self);
    return ((const float *)m->data[sessrec__tiny_layer(&m->info, m->info.layer_count) + 1])[item];
}

// ===========================================================================================================
// >>scorer_file   neighbors, rules and blends as archives
// Sections: "scorer", the numbers of sessrec__scorer_view; of neighbors and rules then the last four of a
// model, and their arrays; of a blend its parts, each a whole file.
// ===========================================================================================================

enum { SESSREC__SCORER_NUMBERS = 32 };

// The description of a scorer.
typedef struct sessrec__scorer_view {
    uint32_t kind;
    const sessrec__tiny_view *int8;     // NULL but for an 8-bit model, which needs nothing else
    double numbers[SESSREC__SCORER_NUMBERS];
    sessrec__model_view items;
    const void *arrays[6];
    int64_t sizes[SESSREC__MAX_PARTS];  // of the arrays, or of the parts
    const void *parts[SESSREC__MAX_PARTS];
    void *owned[SESSREC__MAX_PARTS];    // memory of what was made to be written
    sessrec_allocator memory;
} sessrec__scorer_view;

static int sessrec__scorer_sections(const void *what, int32_t index, sessrec__section *out) {
    static const char *const names[2][6] = {{"ends", "begins", "distinct", "events", "list_begins", "lists"},
                                            {"contexts", "begins", "seen", "rules", "rule_seen", ""}};
    static const uint32_t types[2][6] = {
        {SESSREC__FLOAT64, SESSREC__UINT32, SESSREC__INT32, SESSREC__UINT32, SESSREC__UINT32, SESSREC__INT32},
        {SESSREC__INT32, SESSREC__UINT32, SESSREC__UINT32, SESSREC__UINT32, SESSREC__UINT32, 0}};
    const sessrec__scorer_view *v = (const sessrec__scorer_view *)what;
    const int rules = v->kind == SESSREC__FILE_RULES, at = index - 5;
    if (v->int8) return sessrec__int8_sections(v->int8, index, out);
    if (!index)
        return sessrec__section_is(out, "scorer", SESSREC__FLOAT64, SESSREC__SCORER_NUMBERS, 1, v->numbers);
    if (v->kind == SESSREC__FILE_BLEND) {
        char name[6] = "part0";
        if (index > (int32_t)v->numbers[4]) return 0;
        name[4] = (char)('0' + index - 1);
        return sessrec__section_is(out, name, SESSREC__BYTES, v->sizes[index - 1], 1, v->parts[index - 1]);
    }
    if (index < 5) return sessrec__model_sections(&v->items, index, out);
    if (at > 5 || !types[rules][at]) return 0;
    return sessrec__section_is(out, names[rules][at], types[rules][at], v->sizes[at],
                               !rules ? 1 : at == 0 ? SESSREC__MAX_ORDER : at == 3 ? 2 : 1, v->arrays[at]);
}

// Sizes that follow from the numbers.
static void sessrec__scorer_shape(sessrec__scorer_view *v, const sessrec_model *items) {
    const int64_t V = (int64_t)v->numbers[1], a = (int64_t)v->numbers[4], b = (int64_t)v->numbers[5];
    const int64_t knn[6] = {a, a + 1, a, b, V + 1, (int64_t)v->numbers[6]}, rules[6] = {a, a + 1, a, b, b, 0};
    sessrec__view_model(&v->items, items, (uint64_t)v->numbers[2]);
    memcpy(v->sizes, v->kind == SESSREC__FILE_KNN ? knn : rules, sizeof knn);
}

static void sessrec__knn_numbers(const sessrec_knn_config *c, double *to) {
    const int32_t whole[6] = {c->k, c->m, c->cosine, c->last_n, c->weight, c->neighbor_weight};
    const double real[5] = {c->weight_scale, c->neighbor_scale, c->recency, c->spread, c->idf};
    for (int i = 0; i < 6; ++i) to[i] = (double)whole[i];
    memcpy(to + 6, real, sizeof real);
}

static void sessrec__scorer_close(sessrec__scorer_view *v) {
    for (int32_t i = 0; i < SESSREC__MAX_PARTS; ++i) sessrec__free(&v->memory, v->owned[i]);
}

// The view of a scorer. Its arrays are not there when only the size is asked for.
static sessrec_result sessrec__scorer_view_of(const sessrec_scorer *scorer, int arrays,
                                              sessrec__scorer_view *v, sessrec_error *err) {
    memset(v, 0, sizeof *v);
    if (!scorer) return sessrec__null(err);
    if (scorer->score == sessrec__int8_scores) {
        v->kind = SESSREC__FILE_INT8;
        v->int8 = &((const sessrec__int8 *)scorer->self)->view;
        return SESSREC_OK;
    }
    if (scorer->list == sessrec__knn_list) {
        const sessrec__knn *knn = (const sessrec__knn *)scorer->self;
        const int32_t V = scorer->item_count;
        int64_t total = 0;
        v->kind = SESSREC__FILE_KNN;
        v->memory = knn->memory;
        for (int32_t i = 0; i < V; ++i) total += knn->postings[i].count;
        v->numbers[4] = knn->sessions;
        v->numbers[5] = knn->begins[knn->sessions];
        v->numbers[6] = (double)total;
        sessrec__knn_numbers(&knn->config, v->numbers + 8);
        v->arrays[0] = knn->ends, v->arrays[1] = knn->begins, v->arrays[2] = knn->distinct,
        v->arrays[3] = knn->events;
        if (arrays) {
            uint32_t *begins = (uint32_t *)sessrec__alloc_unset(&v->memory, (uint64_t)V + 1, sizeof *begins);
            int32_t *lists = (int32_t *)sessrec__alloc_unset(&v->memory, (uint64_t)total, sizeof *lists);
            v->arrays[4] = v->owned[0] = begins;
            v->arrays[5] = v->owned[1] = lists;
            if (!begins || !lists) return sessrec__no_memory(err);
            begins[0] = 0;
            for (int32_t i = 0; i < V; ++i) {
                const sessrec__postings *list = &knn->postings[i];
                if (list->count)
                    memcpy(lists + begins[i], list->sessions, (size_t)list->count * sizeof *lists);
                begins[i + 1] = begins[i] + (uint32_t)list->count;
            }
        }
    } else if (scorer->list == sessrec__rules_list) {
        const sessrec__rules *rules = (const sessrec__rules *)scorer->self;
        v->kind = SESSREC__FILE_RULES;
        v->numbers[4] = rules->contexts;
        v->numbers[5] = rules->begins[rules->contexts];
        v->numbers[6] = rules->catalog.window;
        v->arrays[0] = rules->context, v->arrays[1] = rules->begins, v->arrays[2] = rules->context_sessions;
        v->arrays[3] = rules->rules, v->arrays[4] = rules->sessions;
    } else if (scorer->destroy == sessrec__blend_destroy) {
        const sessrec__blend *blend = (const sessrec__blend *)scorer->self;
        v->kind = SESSREC__FILE_BLEND;
        v->memory = blend->memory;
        v->numbers[4] = blend->count;
        v->numbers[5] = blend->epsilon;
        for (int32_t p = 0; p < blend->count; ++p) {
            const sessrec__blend_member *member = &blend->members[p];
            const size_t size = sessrec_scorer_export_size(&member->scorer);
            v->numbers[8 + p] = (double)member->weight;
            v->numbers[16 + p] = member->logarithm;
            v->sizes[p] = (int64_t)size;
            if (!size)
                return sessrec_error_set(err, SESSREC_UNSUPPORTED,
                                         "a part of the blend is of a kind that no file holds");
            if (!arrays) continue;
            v->parts[p] = v->owned[p] = sessrec__alloc_unset(&v->memory, size, 1);
            if (!v->owned[p]) return sessrec__no_memory(err);
            const sessrec_result result = sessrec_scorer_export(&member->scorer, v->owned[p], size);
            if (result) return sessrec_error_set(err, result, "a part of the blend cannot be written");
        }
        return SESSREC_OK;
    } else {
        return sessrec_error_set(err, SESSREC_UNSUPPORTED, "a scorer of this kind has no file");
    }
    const sessrec_model *items = ((const sessrec__catalog *)scorer->self)->items;
    v->numbers[1] = items->info.item_count;
    v->numbers[2] = items->id_offset[items->info.item_count];
    v->numbers[3] = (double)items->info.event_count;
    sessrec__scorer_shape(v, items);
    return SESSREC_OK;
}

SESSREC_API size_t sessrec_scorer_export_size(const sessrec_scorer *scorer) {
    const sessrec_model *model = sessrec__model_of(scorer);
    sessrec__scorer_view v;
    uint64_t size = 0;
    if (model) return sessrec_model_export_size(model);
    if (!sessrec__scorer_view_of(scorer, 0, &v, NULL))
        sessrec__archive_size(sessrec__scorer_sections, &v, &size);
    return (size_t)size;
}

static int sessrec__write_scorer(sessrec__sink *sink, const void *what) {
    return sessrec__archive_write(sink, ((const sessrec__scorer_view *)what)->kind, sessrec__scorer_sections,
                                  what);
}

SESSREC_API sessrec_result sessrec_scorer_export(const sessrec_scorer *scorer, void *bytes, size_t size) {
    const sessrec_model *model = sessrec__model_of(scorer);
    sessrec__memory_sink memory;
    sessrec__scorer_view v;
    if (model) return sessrec_model_export(model, bytes, size);
    const size_t needed = sessrec_scorer_export_size(scorer);
    if (!bytes || !needed || size < needed) return SESSREC_INVALID_ARGUMENT;
    const sessrec_result result = sessrec__scorer_view_of(scorer, 1, &v, NULL);
    memory.sink.put = sessrec__memory_put;
    memory.at = (unsigned char *)bytes;
    memory.room = size;
    if (!result) sessrec__write_scorer(&memory.sink, &v);
    sessrec__scorer_close(&v);
    return result;
}

// ---- reading ----

// A number of a file as a count, -1 if it is none.
static int64_t sessrec__count_of(double number, double most) {
    return number >= 0 && number <= most && (double)(int64_t)number >= number ? (int64_t)number : -1;
}

static int sessrec__rising(const uint32_t *begins, int64_t count, int64_t end, int64_t least) {
    int good = !begins[0] && begins[count] == end;
    for (int64_t i = 0; i < count; ++i)
        good &= begins[i + 1] >= begins[i] && begins[i + 1] - begins[i] >= least;
    return good;
}

// What is wrong with the arrays of an index, NULL if nothing is.
static const char *sessrec__knn_wrong(sessrec__knn *knn, const uint32_t *list_begins, int32_t *lists,
                                      int64_t total) {
    const int32_t S = knn->sessions, V = knn->catalog.items->info.item_count, m = knn->config.m;
    const int64_t events = (int64_t)knn->catalog.items->info.event_count;
    for (int32_t s = 0; s < S; ++s)
        if (!(knn->ends[s] - knn->ends[s] <= 0) || (s && knn->ends[s] < knn->ends[s - 1])) return "ends";
    if (!sessrec__rising(knn->begins, S, events, 1)) return "begins";
    for (int32_t s = 0; s < S; ++s) {
        int32_t distinct = 0;
        for (uint32_t e = knn->begins[s]; e < knn->begins[s + 1]; ++e) {
            const int32_t item = (int32_t)(knn->events[e] & INT32_MAX);
            if (item >= V || !knn->catalog.items->support[item]) return "events";
            distinct += !(knn->events[e] >> SESSREC__KNN_AGAIN);
        }
        if (distinct < 1 || distinct != knn->distinct[s]) return "distinct";
    }
    if (!sessrec__rising(list_begins, V, total, 0)) return "list_begins";
    for (int32_t i = 0; i < V; ++i) {
        sessrec__postings *list = &knn->postings[i];
        list->sessions = lists + list_begins[i];
        list->count = (int32_t)(list_begins[i + 1] - list_begins[i]);
        if (list->count < 0 || (m && list->count > m)) return "list_begins";
        for (int32_t j = 0; j < list->count; ++j)
            if (list->sessions[j] >= S || list->sessions[j] < (j ? list->sessions[j - 1] + 1 : 0))
                return "lists";
    }
    return NULL;
}

static const char *sessrec__rules_wrong(const sessrec__rules *rules, int64_t total) {
    const int32_t V = rules->catalog.items->info.item_count;
    if (!sessrec__rising(rules->begins, rules->contexts, total, 1)) return "begins";
    for (int32_t c = 0; c < rules->contexts; ++c) {
        const int32_t *key = rules->context[c];
        int32_t order = 1;
        for (int32_t o = 0, ended = 0; o < SESSREC__MAX_ORDER; ++o) {
            if (key[o] < (o ? -1 : 0) || key[o] >= V || (ended && key[o] >= 0)) return "contexts";
            ended |= key[o] < 0;
            if (c && order > 0)
                order = key[o] > key[o - SESSREC__MAX_ORDER] ? -1 : key[o] == key[o - SESSREC__MAX_ORDER];
        }
        if (c && order >= 0) return "contexts";
    }
    for (int64_t r = 0; r < total; ++r)
        if (rules->rules[r].item < 0 || rules->rules[r].item >= V ||
            !(rules->rules[r].score - rules->rules[r].score <= 0))
            return "rules";
    return NULL;
}

static const void *sessrec__scorer_data(const sessrec__archive *archive, int32_t index) {
    return sessrec__archive_data(archive, index);
}

// The items of a file, sections 1 to 4 of those that `v` expects. Owner: the caller.
static sessrec_result sessrec__items_from(const sessrec__archive *archive, sessrec__scorer_view *v,
                                          const sessrec_allocator *memory, sessrec_model **out,
                                          sessrec_error *err) {
    const int64_t V = sessrec__count_of(v->numbers[1], INT32_MAX - 1),
                  bytes = sessrec__count_of(v->numbers[2], UINT32_MAX);
    const int64_t events = sessrec__count_of(v->numbers[3], 9e15);
    if (V < 1 || bytes < 0 || events < 0 || sessrec__count_of(v->numbers[4], INT32_MAX - 1) < 0 ||
        sessrec__count_of(v->numbers[5], UINT32_MAX - 1) < 0 ||
        sessrec__count_of(v->numbers[6], UINT32_MAX - 1) < 0)
        return sessrec__damaged(err, "its first section", "does not describe a scorer");
    sessrec_model *items = (sessrec_model *)sessrec__alloc(memory, 1, sizeof *items);
    if (!(*out = items)) return sessrec__no_memory(err);
    items->memory = *memory;
    items->info.item_count = (int32_t)V;
    items->info.event_count = (uint64_t)events;
    sessrec__scorer_shape(v, items);
    const sessrec_result result =
        sessrec__archive_match(archive, sessrec__scorer_sections, v, SESSREC_BAD_FILE, err);
    if (result) return result;
    items->support = (const uint64_t *)sessrec__scorer_data(archive, 1);
    items->id_offset = (const uint32_t *)sessrec__scorer_data(archive, 2);
    items->id_text = (const char *)sessrec__scorer_data(archive, 3);
    items->id_order = (const int32_t *)sessrec__scorer_data(archive, 4);
    return sessrec__good_items(items, (uint64_t)bytes, err);
}

static sessrec_result sessrec__knn_from(const sessrec__archive *archive, sessrec__scorer_view *v,
                                        const sessrec_allocator *memory, void *file, sessrec_scorer *out,
                                        sessrec_error *err) {
    sessrec__knn *knn = (sessrec__knn *)sessrec__alloc(memory, 1, sizeof *knn);
    if (!knn) return sessrec__no_memory(err);
    knn->memory = *memory;
    sessrec_knn_config *c = &knn->config;
    const double *n = v->numbers + 8;
    sessrec_result result = sessrec__items_from(archive, v, memory, &knn->catalog.items, err);
    for (int i = 0; i < 6 && !result; ++i)
        if (sessrec__count_of(n[i], INT32_MAX) < 0)
            result = sessrec__damaged(err, "its setting", "is impossible");
    if (!result) {
        *c = sessrec_knn_config_default();
        c->k = (int32_t)n[0], c->m = (int32_t)n[1], c->cosine = (int32_t)n[2], c->last_n = (int32_t)n[3];
        c->weight = (int32_t)n[4], c->neighbor_weight = (int32_t)n[5];
        c->weight_scale = n[6], c->neighbor_scale = n[7], c->recency = n[8], c->spread = n[9], c->idf = n[10];
        if (sessrec__knn_check(c, NULL)) result = sessrec__damaged(err, "its setting", "is impossible");
    }
    if (!result) {
        knn->postings =
            (sessrec__postings *)sessrec__alloc(memory, (uint64_t)v->numbers[1], sizeof *knn->postings);
        if (!knn->postings) result = sessrec__no_memory(err);
    }
    if (!result) {
        knn->sessions = (int32_t)v->numbers[4];
        knn->ends = (double *)(uintptr_t)sessrec__scorer_data(archive, 5);
        knn->begins = (uint32_t *)(uintptr_t)sessrec__scorer_data(archive, 6);
        knn->distinct = (int32_t *)(uintptr_t)sessrec__scorer_data(archive, 7);
        knn->events = (uint32_t *)(uintptr_t)sessrec__scorer_data(archive, 8);
        const uint32_t *begins = (const uint32_t *)sessrec__scorer_data(archive, 9);
        int32_t *lists = (int32_t *)(uintptr_t)sessrec__scorer_data(archive, 10);
        const char *wrong = v->numbers[5] < v->numbers[3] || v->numbers[5] > v->numbers[3]
                                ? "support" : sessrec__knn_wrong(knn, begins, lists, (int64_t)v->numbers[6]);
        if (wrong) result = sessrec__damaged(err, wrong, "has a value that cannot be");
    }
    if (result) {
        sessrec__knn_destroy(knn);
        return result;
    }
    knn->file = file;
    sessrec__knn_wire(knn, out);
    return SESSREC_OK;
}

static sessrec_result sessrec__rules_from(const sessrec__archive *archive, sessrec__scorer_view *v,
                                          const sessrec_allocator *memory, void *file, sessrec_scorer *out,
                                          sessrec_error *err) {
    sessrec__rules *rules = (sessrec__rules *)sessrec__alloc(memory, 1, sizeof *rules);
    if (!rules) return sessrec__no_memory(err);
    rules->memory = *memory;
    rules->in_file = 1;
    sessrec_result result = sessrec__items_from(archive, v, memory, &rules->catalog.items, err);
    if (!result && (v->numbers[6] < 1 || v->numbers[6] > (double)SESSREC__MAX_ORDER))
        result = sessrec__damaged(err, "its setting", "is impossible");
    if (!result) {
        rules->catalog.window = (int32_t)v->numbers[6];
        rules->contexts = (int32_t)v->numbers[4];
        rules->context = (int32_t (*)[SESSREC__MAX_ORDER])(uintptr_t)sessrec__scorer_data(archive, 5);
        rules->begins = (uint32_t *)(uintptr_t)sessrec__scorer_data(archive, 6);
        rules->context_sessions = (uint32_t *)(uintptr_t)sessrec__scorer_data(archive, 7);
        rules->rules = (sessrec_recommendation *)(uintptr_t)sessrec__scorer_data(archive, 8);
        rules->sessions = (uint32_t *)(uintptr_t)sessrec__scorer_data(archive, 9);
        const char *wrong = sessrec__rules_wrong(rules, (int64_t)v->numbers[5]);
        if (wrong) result = sessrec__damaged(err, wrong, "has a value that cannot be");
    }
    if (result) {
        sessrec__rules_destroy(rules);
        return result;
    }
    rules->file = file;
    sessrec__rules_wire(rules, out);
    return SESSREC_OK;
}

static sessrec_result sessrec__scorer_from(const sessrec__archive *archive, const sessrec_allocator *memory,
                                           void *file, int depth, sessrec_scorer *out, sessrec_error *err);

static sessrec_result sessrec__blend_from(const sessrec__archive *archive, sessrec__scorer_view *v,
                                          const sessrec_allocator *memory, void *file, int depth,
                                          sessrec_scorer *out, sessrec_error *err) {
    const int64_t count = sessrec__count_of(v->numbers[4], SESSREC__MAX_PARTS);
    if (SESSREC__BIG_ENDIAN)
        return sessrec_error_set(err, SESSREC_UNSUPPORTED, "blends are read on little-endian machines only");
    if (count < 1 || archive->count != count + 1 || !(v->numbers[5] > 0 && v->numbers[5] <= 1) || depth < 1)
        return sessrec__damaged(err, "its first section", "does not describe a blend");
    sessrec__blend *blend = (sessrec__blend *)sessrec__alloc(memory, 1, sizeof *blend);
    if (!blend) return sessrec__no_memory(err);
    blend->memory = *memory;
    blend->epsilon = v->numbers[5];
    blend->owns = 1;
    for (int32_t p = 0; p < (int32_t)count; ++p)
        v->sizes[p] = (int64_t)sessrec__archive_section(archive, p + 1).bytes;
    sessrec_result result =
        sessrec__archive_match(archive, sessrec__scorer_sections, v, SESSREC_BAD_FILE, err);
    for (int32_t p = 0; p < (int32_t)count && !result; ++p) {
        sessrec__blend_member *member = &blend->members[p];
        sessrec__archive part;
        const double weight = v->numbers[8 + p];
        if (!(weight > -1e30 && weight < 1e30)) result = sessrec__damaged(err, "a weight", "is impossible");
        if (!result)
            result = sessrec__archive_open(&part, sessrec__scorer_data(archive, p + 1), (uint64_t)v->sizes[p],
                                           0, err);
        if (!result) result = sessrec__scorer_from(&part, memory, NULL, depth - 1, &member->scorer, err);
        if (result) break;
        member->weight = (float)weight;
        member->logarithm = v->numbers[16 + p] > 0;
        blend->count = p + 1;
    }
    if (!result) result = sessrec__blend_finish(blend, out, err);
    else sessrec__blend_destroy(blend);
    if (!result) blend->file = file;
    return result;
}

static void sessrec__own_model_destroy(void *self) {
    sessrec_model_destroy((sessrec_model *)self);
}

static int sessrec__begins_as_scorer(const sessrec__archive *archive, uint64_t bytes) {
    const sessrec__section first = sessrec__archive_section(archive, 0);
    return archive->kind >= SESSREC__FILE_KNN && archive->kind <= SESSREC__FILE_BLEND &&
           !strcmp(first.name, "scorer") && first.type == SESSREC__FLOAT64 && first.bytes == bytes;
}

// A scorer of any kind from a file in memory. file: the block that holds it, if the scorer is to own it; it
// begins with room for a model, and is not freed by a failure.
static sessrec_result sessrec__scorer_from(const sessrec__archive *archive, const sessrec_allocator *memory,
                                           void *file, int depth, sessrec_scorer *out, sessrec_error *err) {
    sessrec__scorer_view v;
    if (archive->kind == SESSREC__FILE_MODEL) {
        sessrec_model *model = NULL;
        void *block = file ? file : sessrec__alloc(memory, 1, sizeof *model);
        if (!block) return sessrec__no_memory(err);
        sessrec_result result = sessrec__model_finish(archive, memory, block, &model, err);
        if (!result) result = sessrec_scorer_model(model, NULL, out, err);
        if (!result) out->destroy = sessrec__own_model_destroy;
        return result;
    }
    if (archive->kind == SESSREC__FILE_INT8) {
        const sessrec_result result = sessrec__int8_from(archive, memory, file, out, err);
        if (result) sessrec__free(memory, file);
        return result;
    }
    memset(&v, 0, sizeof v);
    v.kind = archive->kind;
    sessrec_result result = SESSREC_OK;
    if (!sessrec__begins_as_scorer(archive, sizeof v.numbers))
        result = sessrec__damaged(err, "its first section", "does not describe a scorer");
    else
        memcpy(v.numbers, sessrec__scorer_data(archive, 0), sizeof v.numbers);
    if (!result && v.kind == SESSREC__FILE_KNN)
        result = sessrec__knn_from(archive, &v, memory, file, out, err);
    else if (!result && v.kind == SESSREC__FILE_RULES)
        result = sessrec__rules_from(archive, &v, memory, file, out, err);
    else if (!result && v.kind == SESSREC__FILE_BLEND)
        result = sessrec__blend_from(archive, &v, memory, file, depth, out, err);
    if (result) sessrec__free(memory, file);
    return result;
}

SESSREC_API sessrec_result sessrec_scorer_import(const void *bytes, size_t size,
                                                 const sessrec_allocator *allocator, sessrec_scorer *out,
                                                 sessrec_error *err) {
    const sessrec_allocator memory = sessrec__allocator(allocator);
    sessrec__archive archive;
    if (out) memset(out, 0, sizeof *out);
    if (!out || !bytes) return sessrec__null(err);
    if ((uintptr_t)bytes & 63)
        return sessrec__invalid(err, "the bytes must begin at a multiple of 64");
    if (SESSREC__BIG_ENDIAN)
        return sessrec_error_set(err, SESSREC_UNSUPPORTED,
                                 "files are little-endian: this machine can read one, but not use it in "
                                 "place");
    const sessrec_result result = sessrec__archive_open(&archive, bytes, size, 0, err);
    return result ? result : sessrec__scorer_from(&archive, &memory, NULL, SESSREC__BLEND_DEPTH, out, err);
}

// ===========================================================================================================
// >>disk   files that are written as a whole or not at all
// ===========================================================================================================
#ifndef SESSREC_NO_STDIO

#if defined(SESSREC__WINDOWS)
#  include <io.h>
#elif defined(SESSREC__POSIX)
#  include <sys/file.h>
#  if defined(__STRICT_ANSI__) && !defined(__cplusplus)
extern ssize_t readlink(const char *path, char *to, size_t size);  // -std=c99 hides it
#  endif
#endif

// A file that is written next to the one that it replaces.
typedef struct sessrec__file_sink {
    sessrec__sink sink;
    sessrec__handle file;
    int error;                      // errno of the first failure; nothing is written after it
    size_t used;                    // of the buffer, which gathers small pieces
    unsigned char buffer[2048];     // for a third name where nothing is gathered
    char target[2048], name[2048];  // what it is to replace, links followed; what it is called now
} sessrec__file_sink;

enum { SESSREC__TRIES = 1000, SESSREC__ENDING = 16 };  // names that are tried; bytes of what they add

static int sessrec__file_failed(sessrec__file_sink *file) {
    if (!file->error) file->error = errno ? errno : -1;
    return 0;
}

static void sessrec__file_name(sessrec__file_sink *file, int32_t number) {
    snprintf(file->name, sizeof file->name, "%.*s.tmp%d", (int)(sizeof file->name - SESSREC__ENDING),
             file->target, (int)number);
}

// Cuts a path down to its directory, "." for a bare name.
static SESSREC__UNUSED char *sessrec__directory_of(char *path) {
    char *slash = strrchr(path, '/');
    if (!slash) strcpy(path, ".");
    else slash[slash == path] = 0;
    return path;
}

#ifdef SESSREC__POSIX

static int sessrec__file_open(const char *path, int flags, mode_t mode) {
    int file;
#ifdef O_CLOEXEC
    flags |= O_CLOEXEC;
#endif
    do file = open(path, flags, mode);
    while (file < 0 && errno == EINTR);
#ifndef O_CLOEXEC
    if (file >= 0) (void)fcntl(file, F_SETFD, FD_CLOEXEC);
#endif
    return file;
}

// As many bytes as there are, `size` at most; -1 after a failure.
static int64_t sessrec__read(int file, void *bytes, uint64_t size) {
    uint64_t have = 0;
    while (have < size) {
        const uint64_t most = size - have < 0x40000000 ? size - have : 0x40000000;
        const ssize_t more = read(file, (char *)bytes + have, (size_t)most);
        if (more < 0 && errno == EINTR) continue;
        if (more < 0) return -1;
        if (!more) break;
        have += (uint64_t)more;
    }
    return (int64_t)have;
}

// Whether an open file may be replaced: it is empty, or begins as this library's files of the kind do.
static int sessrec__is_ours(int file, const char *begins) {
    char start[16];
    const size_t size = begins ? strlen(begins) : 0;
    const int64_t have = size ? sessrec__read(file, start, size) : 0;
    return !have || (have == (int64_t)size && !memcmp(start, begins, size));
}

static int sessrec__same_inode(const struct stat *a, const struct stat *b) {
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

// Whether the name still leads to the open file: others may have moved or removed it.
static int sessrec__still_there(int file, const char *name) {
    struct stat mine, there;
    return !fstat(file, &mine) && !stat(name, &there) && sessrec__same_inode(&mine, &there);
}

// A temporary file that nobody has locked was left by a process that was killed. Returns whether it is gone.
static int sessrec__remove_left(const char *name, const char *begins) {
    const int file = sessrec__file_open(name, O_RDONLY | O_NONBLOCK, 0);
    struct stat status;
    if (file < 0) return errno == ENOENT;
    const int gone = !fstat(file, &status) && S_ISREG(status.st_mode) && !flock(file, LOCK_EX | LOCK_NB) &&
                     sessrec__still_there(file, name) && sessrec__is_ours(file, begins) && !unlink(name);
    close(file);
    return gone;
}

// Creates and locks TARGET.tmpN with the first N that nobody uses, and returns N, or -1. Where files cannot
// be locked, leftovers of killed processes are skipped.
static int32_t sessrec__file_create(sessrec__file_sink *file, const char *begins, mode_t mode) {
    for (int32_t n = 0, tries = 0; n < SESSREC__TRIES && tries < 2 * SESSREC__TRIES; ++tries) {
        sessrec__file_name(file, n);
        file->file = sessrec__file_open(file->name, O_WRONLY | O_CREAT | O_EXCL, mode);
        if (file->file >= 0) {
            const int locked = !flock(file->file, LOCK_EX | LOCK_NB) || errno != EWOULDBLOCK;
            if (locked && sessrec__still_there(file->file, file->name)) return n;
            close(file->file);  // somebody took it for a file that was left
        } else if (errno != EEXIST) return -1;
        else if (!sessrec__remove_left(file->name, begins)) ++n;
    }
    errno = EEXIST;
    return -1;
}

static int sessrec__file_out(sessrec__file_sink *file, const unsigned char *bytes, size_t size) {
    while (size && !file->error) {
        // some systems refuse 2 GiB and more
        const ssize_t written = write(file->file, bytes, size < 0x40000000 ? size : 0x40000000);
        if (written < 0 && errno != EINTR) return sessrec__file_failed(file);
        if (written < 0) continue;
        bytes += written;
        size -= (size_t)written;
    }
    return !file->error;
}

static int sessrec__sync(int file) {
    int failed;
    do failed = fsync(file);
    while (failed && errno == EINTR);
    return !failed;
}

// After EINTR a file is closed too.
static int sessrec__file_close(sessrec__file_sink *file) {
    if (close(file->file) && errno != EINTR) sessrec__file_failed(file);
    return !file->error;
}

// Follows links from a path to its target, which may not exist yet.
static int sessrec__follow(sessrec__file_sink *file, const char *path) {
    if (strlen(path) >= sizeof file->target - SESSREC__ENDING) return 0;
    strcpy(file->target, path);
    for (int links = 0; links < 40; ++links) {
        const ssize_t size = readlink(file->target, file->name, sizeof file->name - 1);
        if (size < 0) return 1;
        file->name[size] = 0;
        char *slash = file->name[0] == '/' ? NULL : strrchr(file->target, '/'),
             *to = slash ? slash + 1 : file->target;
        if ((size_t)(to - file->target) + (size_t)size >= sizeof file->target - SESSREC__ENDING) return 0;
        strcpy(to, file->name);
    }
    return 0;
}

// The new file gets the mode of the old one, and its owner and group where that is allowed. If it cannot have
// the group, no other group gets that group's rights.
static void sessrec__take_owner(const char *name, const struct stat *old) {
    struct stat mine;
    mode_t mode = old->st_mode & 0777;
    if (stat(name, &mine)) return;
    if ((mine.st_uid != old->st_uid || mine.st_gid != old->st_gid) && chown(name, old->st_uid, old->st_gid) &&
        mine.st_gid != old->st_gid && chown(name, mine.st_uid, old->st_gid))
        mode &= ~(mode_t)070;
    (void)chmod(name, mode);
}

// In such a directory, like /tmp, only the owners of a file and of the directory may replace the file.
static int sessrec__sticky(sessrec__file_sink *file, const struct stat *old) {
    struct stat status;
    strcpy(file->name, file->target);
    return geteuid() && old->st_uid != geteuid() && !stat(sessrec__directory_of(file->name), &status) &&
           (status.st_mode & 01000) && status.st_uid != geteuid();
}

#else

static int64_t sessrec__read(FILE *file, void *bytes, uint64_t size) {
    const size_t have = fread(bytes, 1, (size_t)size, file);
    return ferror(file) ? -1 : (int64_t)have;
}

static int sessrec__file_out(sessrec__file_sink *file, const unsigned char *bytes, size_t size) {
    if (!file->error && fwrite(bytes, 1, size, file->file) != size) sessrec__file_failed(file);
    return !file->error;
}

static int sessrec__sync(FILE *file) {
    int failed = fflush(file);
#ifdef SESSREC__WINDOWS
    if (!failed) failed = _commit(_fileno(file));
#endif
    return !failed;
}

static int sessrec__file_close(sessrec__file_sink *file) {
    if (fclose(file->file)) sessrec__file_failed(file);
    return !file->error;
}

#endif // SESSREC__POSIX

static int sessrec__file_put(sessrec__sink *sink, const unsigned char *bytes, size_t size) {
    sessrec__file_sink *file = (sessrec__file_sink *)sink;
    const size_t used = file->used;
    if (size <= sizeof file->buffer - used) {
        if (size) memcpy(file->buffer + used, bytes, size);
        file->used += size;
        return !file->error;
    }
    file->used = 0;
    return sessrec__file_out(file, file->buffer, used) && sessrec__file_out(file, bytes, size);
}

static sessrec_result sessrec__unwritten(sessrec_error *err, const char *path, int error) {
    return sessrec__fail(err, error == ENOMEM ? SESSREC_OUT_OF_MEMORY : SESSREC_IO_ERROR, 0,
                         "cannot write %s: %s", path, strerror(error));
}

// Opens the file that is to become `save->path`, in the same directory. A pipe or a device is opened itself.
static sessrec_result sessrec__file_begin(sessrec__file_sink *file, sessrec__save *save, sessrec_error *err) {
    const sessrec_result bad = SESSREC_IO_ERROR;
    const char *path = save->path;
    file->sink.put = sessrec__file_put;
    file->error = 0;
    file->used = 0;
    save->number = -1;
#ifdef SESSREC__POSIX
    struct stat there;
    if (!path || !sessrec__follow(file, path))
        return sessrec__invalid(err, "the path is NULL or too long, or its links lead nowhere");
    save->replaces = !stat(file->target, &there);
    if (save->replaces && S_ISDIR(there.st_mode))
        return sessrec__fail(err, bad, 0, "cannot write %s: it exists and is not a file", path);
    if (save->replaces && !S_ISREG(there.st_mode)) {
        file->file = save->check ? 0 : sessrec__file_open(file->target, O_WRONLY, 0);
        return file->file < 0 ? sessrec__unwritten(err, path, errno) : SESSREC_OK;
    }
    if (save->replaces) {
        const int old = access(file->target, W_OK) ? -1 : sessrec__file_open(file->target, O_RDONLY, 0);
        if (old < 0 || sessrec__sticky(file, &there))
            return sessrec__unwritten(err, path, old < 0 ? errno : EPERM);
        const int ours = sessrec__is_ours(old, save->begins);
        close(old);
        if (!ours)
            return sessrec__fail(err, bad, 0,
                                 "cannot write %s: it exists and holds something else; remove it first or "
                                 "choose another name",
                                 path);
    }
    save->number =
        sessrec__file_create(file, save->begins, save->replaces ? (there.st_mode & 0700) | 0600 : 0666);
    if (save->number >= 0 && save->replaces) sessrec__take_owner(file->name, &there);
#else
    if (!path || strlen(path) >= sizeof file->target - SESSREC__ENDING)
        return sessrec__invalid(err, "the path is NULL or too long");
    strcpy(file->target, path);
#ifdef SESSREC__WINDOWS
    save->number = (int32_t)(GetCurrentProcessId() & INT32_MAX);
#else
    save->number = 0;
#endif
    sessrec__file_name(file, save->number);
    file->file = fopen(file->name, "wb");
    if (!file->file) save->number = -1;
#endif
    if (save->number >= 0) return SESSREC_OK;
    return sessrec__fail(err, errno == ENOMEM ? SESSREC_OUT_OF_MEMORY : bad, 0,
                         "cannot create a file beside %s: %s", path, strerror(errno));
}

// Writes everything under the temporary name. The file stays open, and so locked.
static sessrec_result sessrec__file_stage(sessrec__file_sink *file, sessrec__save *save, sessrec_error *err) {
    sessrec_result result = sessrec__file_begin(file, save, err);
    if (result || (save->check && save->number < 0)) return result;
    save->file = file->file;
    if (save->check) return SESSREC_OK;
    const int produced =
        save->produce(&file->sink, save->what) && sessrec__file_out(file, file->buffer, file->used);
    if (produced && save->number >= 0 && !sessrec__sync(file->file)) sessrec__file_failed(file);
    if (produced && !file->error) return SESSREC_OK;
    return sessrec__unwritten(err, save->path, file->error);
}

static int sessrec__file_rename(sessrec__file_sink *file, const char *from, const char *to) {
#ifdef SESSREC__WINDOWS
    if (MoveFileExA(from, to, MOVEFILE_REPLACE_EXISTING | MOVEFILE_WRITE_THROUGH)) return 1;
    errno = EACCES;  // by far the most frequent reason
    return sessrec__file_failed(file);
#else
#ifndef SESSREC__POSIX
    remove(to);  // C alone has no rename that replaces, so for a moment there is no file
#endif
    return !rename(from, to) || sessrec__file_failed(file);
#endif
}

// The names of a file that was begun.
static void sessrec__file_again(sessrec__file_sink *file, const sessrec__save *save) {
#ifdef SESSREC__POSIX
    sessrec__follow(file, save->path);
#else
    strcpy(file->target, save->path);
#endif
    sessrec__file_name(file, save->number);
    file->file = save->file;
    file->error = 0;
}

// Gives the file its name. If others follow that may fail, the old file keeps a second name until all are
// done: TARGET.tmp1000, which no temporary file has.
static int sessrec__file_publish(sessrec__file_sink *file, sessrec__save *save, int keep) {
#ifdef SESSREC__POSIX
    char *old = (char *)file->buffer;  // whose bytes are written
    memcpy(old, file->name, sizeof file->name);
    sessrec__file_name(file, SESSREC__TRIES);
    if (keep && save->replaces) {
        (void)sessrec__remove_left(file->name, save->begins);
        if (link(file->target, file->name)) return sessrec__file_failed(file);
        save->kept = 1;
    }
    save->published = sessrec__file_rename(file, old, file->target);
    return save->published;
#else
    (void)keep;
    // an open file cannot be renamed on Windows
    if (sessrec__file_close(file)) save->published = sessrec__file_rename(file, file->name, file->target);
    save->file = NULL;
    return save->published;
#endif
}

// Ends a file: as it is now if all are well, else as it was before.
static void sessrec__file_end(sessrec__file_sink *file, sessrec__save *save, int well) {
    if (save->number < 0) return;
    sessrec__file_again(file, save);
    if (!save->published) remove(file->name);
    sessrec__file_name(file, SESSREC__TRIES);
    if (save->kept && (well || !save->published)) remove(file->name);
    else if (save->kept) (void)sessrec__file_rename(file, file->name, file->target);
    else if (save->published && !well && !save->replaces) remove(file->target);
}

// The new name lasts once the directory is on disk. If it cannot be read or synced, this is left to the
// system.
static void sessrec__file_settle(sessrec__file_sink *file) {
#ifdef SESSREC__POSIX
    const int directory = sessrec__file_open(sessrec__directory_of(file->name), O_RDONLY, 0);
    if (directory < 0) return;
    if (!sessrec__sync(directory) && errno == EIO) sessrec__file_failed(file);
    close(directory);
#else
    (void)file;
#endif
}

// Whatever happens, either every path is as it was afterwards, or all are new and complete. (A process that
// is killed between two renames leaves some new.)
static sessrec_result sessrec__save_files(sessrec__save *saves, int32_t count, sessrec_error *err) {
    sessrec__file_sink file;
    sessrec_result result = SESSREC_OK;
    int32_t begun = 0;
    for (; begun < count && !result; ++begun) {
        sessrec__save *save = &saves[begun];
        save->kept = save->published = save->replaces = 0;
        save->file = SESSREC__NO_HANDLE;
        result = sessrec__file_stage(&file, save, err);
    }
    for (int32_t i = 0; i < begun && !result; ++i) {
        sessrec__save *save = &saves[i];
        if (save->check || save->number < 0) continue;
        sessrec__file_again(&file, save);
        if (!sessrec__file_publish(&file, save, count > 1))
            result = sessrec__unwritten(err, save->path, file.error);
    }
    for (int32_t i = 0; i < begun; ++i) sessrec__file_end(&file, &saves[i], !result);
    // The locks end here, when no file has a temporary name any more.
    for (int32_t i = 0; i < begun; ++i) {
        sessrec__save *save = &saves[i];
        file.file = save->file;
        file.error = 0;
        if (save->file != SESSREC__NO_HANDLE) sessrec__file_close(&file);
        if (save->published && !file.error && !result) {
            sessrec__file_again(&file, save);
            sessrec__file_settle(&file);
        }
        if (result || save->check || !file.error) continue;
        if (save->number < 0) result = sessrec__unwritten(err, save->path, file.error);
        else
            result = sessrec__fail(err, SESSREC_IO_ERROR, 0,
                                   "%s is written, but may not survive a power failure: %s", save->path,
                                   strerror(file.error));
    }
    return result;
}

static sessrec_result sessrec__save_file(const char *path, sessrec__producer produce, const void *what,
                                         sessrec_error *err) {
    sessrec__save save;
    memset(&save, 0, sizeof save);
    save.path = path;
    save.begins = sessrec__magic;
    save.produce = produce;
    save.what = what;
    return sessrec__save_files(&save, 1, err);
}

static int sessrec__write_output(sessrec__sink *sink, const void *what) {
    const sessrec_output *output = (const sessrec_output *)what;
    return sessrec__sink_write(sink, output->bytes, output->size);
}

SESSREC_API sessrec_result sessrec_outputs_write(const sessrec_output *outputs, int32_t count,
                                                 sessrec_error *err) {
    sessrec__save saves[SESSREC_MAX_OUTPUTS];
    if (!outputs || count < 1 || count > SESSREC_MAX_OUTPUTS)
        return sessrec__fail(err, SESSREC_INVALID_ARGUMENT, 0, "there are no outputs, or more than %d",
                             SESSREC_MAX_OUTPUTS);
    memset(saves, 0, sizeof saves);
    for (int32_t i = 0; i < count; ++i) {
        const sessrec_output *output = &outputs[i];
        saves[i].path = output->path;
        saves[i].begins = output->begins;
        saves[i].produce = sessrec__write_output;
        saves[i].what = output;
        saves[i].check = !output->model && !output->log && !output->bytes;
        if (output->model) {
            sessrec_result result = sessrec__check_weights(output->model, SESSREC_DIVERGED, err);
            if (result) return result;
            saves[i].begins = sessrec__magic;
            saves[i].produce = sessrec__write_model;
            saves[i].what = output->model;
        }
#ifndef SESSREC_NO_TRAINING
        if (output->log) {
            if (output->log->in) return sessrec__invalid(err, "a log is not finished");
            saves[i].begins = sessrec__log_begins;
            saves[i].produce = sessrec__write_log;
            saves[i].what = output->log;
        }
#endif
    }
    return sessrec__save_files(saves, count, err);
}

#ifdef SESSREC__POSIX
SESSREC_API int32_t sessrec_same_file(const char *a, const char *b) {
    sessrec__file_sink file;
    char *first = (char *)file.buffer, *second = file.target;
    struct stat left, right;
    if (!a || !b || !sessrec__follow(&file, a)) return 0;
    memcpy(first, file.target, sizeof file.target);
    if (!sessrec__follow(&file, b)) return 0;
    const int missing = stat(first, &left) != 0;
    if (missing != (stat(second, &right) != 0)) return 0;
    if (!missing) return sessrec__same_inode(&left, &right);
    // neither is there: the same name in the same directory
    const char *slash = strrchr(first, '/'), *other = strrchr(second, '/');
    if (strcmp(slash ? slash + 1 : first, other ? other + 1 : second)) return 0;
    return !stat(sessrec__directory_of(first), &left) && !stat(sessrec__directory_of(second), &right) &&
           sessrec__same_inode(&left, &right);
}
#else
SESSREC_API int32_t sessrec_same_file(const char *a, const char *b) {
    if (!a || !b) return 0;
#  ifdef SESSREC__WINDOWS
    char first[2048], second[2048];
    if (GetFullPathNameA(a, sizeof first, first, NULL) - 1u < sizeof first - 1 &&
        GetFullPathNameA(b, sizeof second, second, NULL) - 1u < sizeof second - 1)
        return !lstrcmpiA(first, second);
#  endif
    return !strcmp(a, b);
}
#endif

// Reads a file whose header has its size to *block + prefix. Memory is allocated for what the file system
// reports, or else as the bytes arrive: the header alone is not trusted. The caller always frees *block.
static sessrec_result sessrec__read_stream(sessrec__handle file, uint64_t on_disk,
                                           const sessrec_allocator *memory, uint64_t prefix, void **block,
                                           uint64_t *size, sessrec_error *err) {
    int64_t room = 0, more;
    unsigned char next;
    if (!sessrec__grow(memory, block, &room, (int64_t)prefix + SESSREC__RECORD, 1))
        return sessrec__no_memory(err);
    const unsigned char *head = (unsigned char *)*block + prefix, *length = head + 32;
    more = sessrec__read(file, (char *)*block + prefix, SESSREC__RECORD);
    uint64_t have = more > 0 ? (uint64_t)more : 0;
    sessrec_result result = more < 0 ? SESSREC_OK : sessrec__check_start(head, have, err);
    if (result) return result;
    if (more >= 0) *size = sessrec__take(&length, 8);
    if (more >= 0 && (*size < have || *size > INT64_MAX / 2))
        return sessrec__damaged(err, "its length", "is impossible");
    while (more >= 0 && have < *size) {
        const uint64_t piece = have + 65536, known = on_disk > piece ? on_disk : piece,
                       want = known < *size ? known : *size;
        if (!sessrec__grow(memory, block, &room, (int64_t)(prefix + want), 1)) return sessrec__no_memory(err);
        more = sessrec__read(file, (char *)*block + prefix + have, want - have);
        if (more >= 0) have += (uint64_t)more;
        if (more >= 0 && have < want) return sessrec__damaged(err, "its end", "is missing");
    }
    if (more >= 0) more = sessrec__read(file, &next, 1);
    if (more < 0) return sessrec__fail(err, SESSREC_IO_ERROR, 0, "cannot read the file: %s", strerror(errno));
    return !more ? SESSREC_OK : sessrec__damaged(err, "its length", "is not the one that its header says");
}

// Reads and checks a whole file. *block, which the caller frees, holds its bytes after `prefix` bytes, a
// multiple of 64.
static sessrec_result sessrec__read_archive(const char *path, uint32_t kind, const sessrec_allocator *memory,
                                            uint64_t prefix, void **block, sessrec__archive *archive,
                                            sessrec_error *err) {
    uint64_t size = 0, on_disk = 0;
    *block = NULL;
#ifdef SESSREC__POSIX
    struct stat status;
    sessrec__handle file = sessrec__file_open(path, O_RDONLY, 0);
    if (file >= 0 && !fstat(file, &status) && S_ISREG(status.st_mode)) on_disk = (uint64_t)status.st_size;
#else
    sessrec__handle file = fopen(path, "rb");
    if (file && !fseek(file, 0, SEEK_END)) on_disk = ftell(file) > 0 ? (uint64_t)ftell(file) : 0;
    if (file) rewind(file);
#endif
    const sessrec_result unopened = errno == ENOENT   ? SESSREC_NO_FILE
                                    : errno == ENOMEM ? SESSREC_OUT_OF_MEMORY
                                                      : SESSREC_IO_ERROR;
    if (file == SESSREC__NO_HANDLE)
        return sessrec__fail(err, unopened, 0, "cannot open the file: %s", strerror(errno));
    sessrec_result result = sessrec__read_stream(file, on_disk, memory, prefix, block, &size, err);
#ifdef SESSREC__POSIX
    close(file);
#else
    fclose(file);
#endif
    if (!result) result = sessrec__archive_open(archive, (char *)*block + prefix, size, kind, err);
    if (result) {
        sessrec__free(memory, *block);
        *block = NULL;
        return result;
    }
    for (int32_t i = 0; SESSREC__BIG_ENDIAN && i < archive->count; ++i) {
        const sessrec__section section = sessrec__archive_section(archive, i);
        sessrec__swap_elements((unsigned char *)*block + prefix + section.offset, section.bytes,
                               section.type & 15);
    }
    return SESSREC_OK;
}

SESSREC_API sessrec_result sessrec_model_write(const sessrec_model *model, const char *path,
                                               sessrec_error *err) {
    if (!model) return sessrec__invalid(err, "model must not be NULL");
    sessrec_result result = sessrec__check_weights(model, SESSREC_DIVERGED, err);
    return result ? result : sessrec__save_file(path, sessrec__write_model, model, err);
}

SESSREC_API sessrec_result sessrec_model_read(const char *path, const sessrec_allocator *allocator,
                                              sessrec_model **out, sessrec_error *err) {
    const sessrec_allocator memory = sessrec__allocator(allocator);
    sessrec__archive archive;
    void *block;
    if (out) *out = NULL;
    if (!out || !path)
        return sessrec__invalid(err, "path and out must not be NULL");
    sessrec_result result = sessrec__read_archive(path, SESSREC__FILE_MODEL, &memory,
                                                  (sizeof **out + 63) / 64 * 64, &block, &archive, err);
    return result ? result : sessrec__model_finish(&archive, &memory, block, out, err);
}

SESSREC_API sessrec_result sessrec_scorer_write(const sessrec_scorer *scorer, const char *path,
                                                sessrec_error *err) {
    const sessrec_model *model = sessrec__model_of(scorer);
    sessrec__scorer_view v;
    if (model) return sessrec_model_write(model, path, err);
    sessrec_result result = sessrec__scorer_view_of(scorer, 1, &v, err);
    if (!result) result = sessrec__save_file(path, sessrec__write_scorer, &v, err);
    sessrec__scorer_close(&v);
    return result;
}

SESSREC_API sessrec_result sessrec_scorer_read(const char *path, const sessrec_allocator *allocator,
                                               sessrec_scorer *out, sessrec_error *err) {
    const sessrec_allocator memory = sessrec__allocator(allocator);
    sessrec__archive archive;
    void *block;
    if (out) memset(out, 0, sizeof *out);
    if (!out || !path) return sessrec__null(err);
    const sessrec_result result = sessrec__read_archive(
        path, 0, &memory, (sizeof(sessrec_model) + 63) / 64 * 64, &block, &archive, err);
    return result ? result : sessrec__scorer_from(&archive, &memory, block, SESSREC__BLEND_DEPTH, out, err);
}

#endif // SESSREC_NO_STDIO
#undef SESSREC__BIG_ENDIAN

// ===========================================================================================================
// >>checkpoint   a trainer as an archive
// Sections: those of the model, "config" and "position", the optimizer's arrays of each tensor, the hidden
// states of the slots, and the best weights if some were kept. The mini-batches to come follow from the log
// and the position, the random numbers from the seed, so nothing else is needed to continue with the same
// bits.
// ===========================================================================================================
#if !defined(SESSREC_NO_TRAINING) && !defined(SESSREC_NO_STDIO)

enum { SESSREC__CONFIG_NUMBERS = 31, SESSREC__POSITION_NUMBERS = 6 };

typedef struct sessrec__run_record {
    double config[SESSREC__CONFIG_NUMBERS];     // what a checkpoint must have in common with the trainer that
                                                // takes it up
    double position[SESSREC__POSITION_NUMBERS];
} sessrec__run_record;

// Everything that the bits of later steps depend on and the model's info does not contain. The number of
// epochs and threads is not part of it.
static void sessrec__record_run(const sessrec_trainer *tr, sessrec__run_record *out) {
    const sessrec_config *c = &tr->config;
    const sessrec_loss_config *l = &c->loss;
    const sessrec_optimizer_config *o = &c->optimizer;
    const sessrec_position *p = &tr->position;
    const double config[SESSREC__CONFIG_NUMBERS] = {
        (double)l->kind,
        (double)l->activation,
        (double)l->activation_a,
        (double)l->activation_b,
        (double)(l->with_diagonal != 0),
        (double)l->bpreg,
        (double)l->logq,
        (double)l->smoothing,
        (double)(l->skip_own_target != 0),
        (double)l->hardest,
        (double)l->calibration,
        (double)l->sampling_rate,
        (double)o->kind,
        (double)o->learning_rate,
        (double)o->momentum,
        (double)o->decay,
        (double)o->beta1,
        (double)o->beta2,
        (double)o->epsilon,
        (double)o->l2,
        (double)o->gradient_cap,
        (double)c->dropout_input,
        (double)c->dropout_hidden,
        (double)c->dropout_user,
        (double)c->dropout_init,
        (double)c->batch_size,
        (double)c->negatives,
        (double)c->alpha,
        (double)(c->shuffle_sessions != 0),
        (double)(uint32_t)(tr->log_hash >> 32),
        (double)(uint32_t)tr->log_hash,
    };
    const double position[SESSREC__POSITION_NUMBERS] = {
        (double)p->epoch, (double)p->step, (double)p->pairs, p->loss_sum, p->best, (double)p->best_age,
    };
    memcpy(out->config, config, sizeof config);
    memcpy(out->position, position, sizeof position);
}

// The other way; 0 if a number is none that a trainer writes. The caller of sessrec_trainer_step may have
// gone back, and one of sessrec_trainer_learn never ends an epoch: steps and pairs say little about each
// other.
static int sessrec__take_position(const double *in, sessrec_position *p) {
    const double epochs = SESSREC__MOST_EPOCHS, steps = sessrec__most_steps;
    if (sessrec__count_of(in[0], epochs) < 0 || sessrec__count_of(in[1], steps) < 0 ||
        sessrec__count_of(in[2], steps) < 0 || !sessrec__within(in[3], -1e300, 1e300) ||
        !sessrec__within(in[4], -1e300, 1e300) || sessrec__count_of(in[5] + 1, epochs) < 0)
        return 0;
    p->epoch = (int32_t)in[0];
    p->step = (int64_t)in[1];
    p->pairs = (int64_t)in[2];
    p->loss_sum = in[3];
    p->best = in[4];
    p->best_age = (int32_t)in[5];
    return 1;
}

// The description of a trainer.
typedef struct sessrec__trainer_view {
    sessrec__model_view model;
    const sessrec_trainer *tr;
    sessrec__run_record record;
    int with_best;
} sessrec__trainer_view;

static int32_t sessrec__model_section_count(const sessrec_model *model) {
    return model->tensors + 5;
}

// One of the arrays of a tensor, by number, its name and range; NULL if there is no such array.
static const void *sessrec__state_of(const sessrec__trainer_view *view, int32_t t, int32_t number,
                                     sessrec__section *out) {
    static const char *const prefix[5] = {"acc.", "second.", "vel.", "steps.", "best."};
    const sessrec_optimizer_state *s = &view->tr->state[t];
    const void *const data[5] = {s->first, s->second, s->velocity, s->steps,
                                 view->with_best ? view->tr->best[t] : NULL};
    const sessrec__shape *shape = &view->tr->model->shape[t];
    const int steps = number == 3;
    char name[16];
    if (!data[number]) return NULL;
    snprintf(name, sizeof name, "%s%s", prefix[number], shape->name);
    sessrec__section_is(out, name, steps ? SESSREC__INT32 : SESSREC__FLOAT, shape->rows,
                        steps ? 1 : shape->columns, data[number]);
    // sums of squares, but for Adam's first
    if (number == 1 || (number == 0 && view->tr->config.optimizer.kind != SESSREC_ADAM)) out->sign = 0;
    if (steps) out->limit = SESSREC__MOST_UPDATES + 1;
    return data[number];
}

static int sessrec__trainer_sections(const void *what, int32_t index, sessrec__section *out) {
    const sessrec__trainer_view *view = (const sessrec__trainer_view *)what;
    const sessrec_trainer *tr = view->tr;
    const int32_t of_model = sessrec__model_section_count(tr->model), slots = tr->config.batch_size;
    if (index < of_model) return sessrec__model_sections(&view->model, index, out);
    index -= of_model;
    if (index == 0)
        return sessrec__section_is(out, "config", SESSREC__FLOAT64, 1, SESSREC__CONFIG_NUMBERS,
                                   view->record.config);
    if (index == 1)
        return sessrec__section_is(out, "position", SESSREC__FLOAT64, 1, SESSREC__POSITION_NUMBERS,
                                   view->record.position);
    index -= 2;
    // convex sums of a tanh, unless dropout scales them up
    const uint32_t above_one = 0x3f800001u;
    const sessrec_config *c = &tr->config;
    for (int32_t i = 0; i < 5 * tr->model->tensors; ++i)
        if (sessrec__state_of(view, i / 5, i % 5, out) && index-- == 0) return 1;
    if (index < c->layer_count) {
        const char name[8] = {'h', 'i', 'd', 'd', 'e', 'n', (char)('0' + index), 0};
        sessrec__section_is(out, name, SESSREC__FLOAT, slots, c->hidden[index], tr->layer[index].state);
        if (!(c->dropout_hidden > 0) && !(c->dropout_init > 0)) out->limit = above_one;
        return 1;
    }
    if (index > c->layer_count || !c->user_hidden) return 0;
    sessrec__section_is(out, "user", SESSREC__FLOAT, slots, c->user_hidden, tr->user.state);
    if (!(c->dropout_user > 0)) out->limit = above_one;
    return 1;
}

static void sessrec__view_trainer(sessrec__trainer_view *view, const sessrec_trainer *tr, int with_best) {
    view->model = sessrec__whole_model(tr->model);
    view->tr = tr;
    view->with_best = with_best;
    sessrec__record_run(tr, &view->record);
}

static int sessrec__write_trainer(sessrec__sink *sink, const void *what) {
    const sessrec_trainer *tr = (const sessrec_trainer *)what;
    sessrec__trainer_view view;
    sessrec__view_trainer(&view, tr, tr->position.best_age >= 0);
    return sessrec__archive_write(sink, SESSREC__FILE_CHECKPOINT, sessrec__trainer_sections, &view);
}

SESSREC_API sessrec_result sessrec_trainer_write(const sessrec_trainer *tr, const char *path,
                                                 sessrec_error *err) {
    sessrec__trainer_view view;
    sessrec_error cause;
    sessrec_result result = path ? sessrec__trainer_ready(tr, err) : sessrec__null(err);
    if (!result) result = sessrec__fetch(tr, SESSREC__TO_READ, err);
    if (result) return result;
    sessrec__view_trainer(&view, tr, tr->position.best_age >= 0);
    if (sessrec__archive_check(sessrec__trainer_sections, &view, SESSREC_DIVERGED, &cause))
        return sessrec__diverged(tr, cause.text, err);
    return sessrec__save_file(path, sessrec__write_trainer, tr, err);
}

// What must be equal to the byte: everything in the model but its weights (so the items and their support),
// and the configuration.
static sessrec_result sessrec__same_run(const sessrec__archive *archive, const sessrec__trainer_view *view,
                                        sessrec_error *err) {
    sessrec__section mine;
    const int32_t of_model = sessrec__model_section_count(view->tr->model);
    for (int32_t i = 0; i <= of_model && sessrec__trainer_sections(view, i, &mine); ++i) {
        if (mine.type == SESSREC__FLOAT) continue;
        if (memcmp(mine.data, sessrec__archive_data(archive, i),
                   (size_t)sessrec__archive_section(archive, i).bytes))
            return sessrec__fail(err, SESSREC_MISMATCH, 0,
                                 "the checkpoint is of another log or configuration: its section %s differs",
                                 mine.name);
    }
    return SESSREC_OK;
}

// Everything is compared and checked before anything of the trainer changes.
static sessrec_result sessrec__trainer_restore(sessrec_trainer *tr, const sessrec__archive *archive,
                                               sessrec_error *err) {
    sessrec__trainer_view view;
    sessrec__section section;
    sessrec_position position;
    const int32_t at = sessrec__model_section_count(tr->model) + 1;
    if (at < archive->count) section = sessrec__archive_section(archive, at);
    if (at >= archive->count || section.type != SESSREC__FLOAT64 ||
        section.bytes != sizeof view.record.position)
        return sessrec_error_set(err, SESSREC_MISMATCH,
                                 "the checkpoint is of another configuration: it has no position where "
                                 "this one would");
    if (!sessrec__take_position((const double *)(const void *)sessrec__archive_data(archive, at), &position))
        return sessrec_error_set(err, SESSREC_BAD_FILE, "the checkpoint has a position that no run reaches");
    if (position.best_age >= 0 && !sessrec__best_ready(tr)) return sessrec__no_memory(err);
    sessrec__view_trainer(&view, tr, position.best_age >= 0);
    sessrec_result result =
        sessrec__archive_match(archive, sessrec__trainer_sections, &view, SESSREC_MISMATCH, err);
    if (!result) result = sessrec__same_run(archive, &view, err);
    if (!result) result = sessrec__archive_ranges(archive, sessrec__trainer_sections, &view, err);
    if (!result) result = sessrec__fetch(tr, SESSREC__TO_WRITE, err);
    if (result) return result;
    for (int32_t i = 0; sessrec__trainer_sections(&view, i, &section); ++i)
        memcpy((void *)(uintptr_t)section.data, sessrec__archive_data(archive, i),
               (size_t)sessrec__archive_section(archive, i).bytes);
    tr->position = position;
    return SESSREC_OK;
}

SESSREC_API sessrec_result sessrec_trainer_read(sessrec_trainer *tr, const char *path, sessrec_error *err) {
    sessrec__archive archive;
    void *block;
    sessrec_result result = path ? sessrec__trainer_ready(tr, err) : sessrec__null(err);
    if (!result)
        result = sessrec__read_archive(path, SESSREC__FILE_CHECKPOINT, &tr->memory, 0, &block, &archive, err);
    if (result) return result;
    result = sessrec__trainer_restore(tr, &archive, err);
    sessrec__free(&tr->memory, block);
    return result;
}

#endif // !SESSREC_NO_TRAINING && !SESSREC_NO_STDIO

// ===========================================================================================================
// >>train   the whole of it, from public functions only: copy it into your program and change it
// ===========================================================================================================
#ifndef SESSREC_NO_TRAINING

// ---- going on from a model ----

// Adds the squares of a matrix's gradient to its accumulators; of a table, those of all items that the model
// knows to the first row.
static sessrec_result sessrec__add_squares(sessrec_trainer *tr, const char *name, int32_t known,
                                           sessrec_error *err) {
    sessrec_mutable_tensor gradient, sum;
    char of[24];
    size_t used = 0;
    sessrec__append(of, sizeof of, &used, "grad.", 5);
    sessrec__append(of, sizeof of, &used, name, strlen(name));
    sessrec_result result = sessrec_trainer_tensor(tr, of, &gradient, err);
    used = 0;
    sessrec__append(of, sizeof of, &used, "acc.", 4);
    sessrec__append(of, sizeof of, &used, name, strlen(name));
    if (!result) result = sessrec_trainer_tensor(tr, of, &sum, err);
    if (result) return result;
    for (int32_t i = 0; i < gradient.rows; ++i) {
        const int32_t *item = gradient.row_ids ? &gradient.row_ids[i] : NULL, n = sum.columns;
        const float *g = gradient.data + (ptrdiff_t)i * n;
        float *to = sum.data + (item ? 0 : (ptrdiff_t)i * n);
        if (item && (*item < 0 || *item >= known)) continue;
        for (int32_t j = 0; j < n; ++j) to[j] += g[j] * g[j];
    }
    return SESSREC_OK;
}

// Scales those sums over `pairs` clicks to what the model's clicks would have left.
static sessrec_result sessrec__spread_squares(sessrec_trainer *tr, const sessrec__shape *shape, double pairs,
                                              sessrec_error *err) {
    const sessrec_model *base = tr->config.start_from;
    sessrec_mutable_tensor sum, weights;
    char of[24];
    size_t used = 0;
    sessrec__append(of, sizeof of, &used, "acc.", 4);
    sessrec__append(of, sizeof of, &used, shape->name, strlen(shape->name));
    sessrec_result result = sessrec_trainer_tensor(tr, of, &sum, err);
    if (!result) result = sessrec_trainer_tensor(tr, shape->name, &weights, err);
    const double passes = 10.0 * (double)tr->config.epochs / pairs;
    const int32_t n = sum.columns, rows = shape->table ? base->info.item_count : sum.rows;
    for (int32_t i = rows - 1; i >= 0 && !result; --i) {  // the first row, which has the sums, comes last
        const double clicks = (double)(shape->table ? base->support[i] : base->info.event_count);
        const float *from = sum.data + (shape->table ? 0 : (ptrdiff_t)i * n);
        for (int32_t j = 0; j < n; ++j) {
            sum.data[(ptrdiff_t)i * n + j] = (float)((double)from[j] * passes * clicks);
            weights.data[(ptrdiff_t)i * n + j] *= shape->table ? 0.9f : 0.7f;
        }
    }
    return result;
}

SESSREC_API sessrec_result sessrec_trainer_warm_up(sessrec_trainer *tr, sessrec_batcher *batcher,
                                                   sessrec_error *err) {
    enum { STEPS = 300 };
    sessrec_batch batch;
    int64_t pairs = 0;
    sessrec_result result = batcher ? sessrec__trainer_ready(tr, err) : sessrec__null(err);
    if (result || !tr->config.start_from || tr->config.optimizer.kind != SESSREC_ADAGRAD) return result;
    const sessrec_model *model = tr->model;
    for (int step = 0; step < STEPS && !result; ++step) {
        result = sessrec_batcher_next(batcher, &batch);
        if (result || !batch.rows) break;
        result = sessrec_trainer_grad(tr, &batch, NULL, err);
        pairs += batch.rows;
        for (int32_t t = 0; t < model->tensors && !result; ++t)
            result = sessrec__add_squares(tr, model->shape[t].name,
                                          tr->config.start_from->info.item_count, err);
    }
    for (int32_t t = 0; t < model->tensors && pairs && !result; ++t)
        result = sessrec__spread_squares(tr, &model->shape[t], (double)pairs, err);
    // Back to the start: no step, no gradients, no hidden states.
    for (int32_t l = 0; l < tr->config.layer_count && !result; ++l) {
        const char name[8] = {'h', 'i', 'd', 'd', 'e', 'n', (char)('0' + l), 0};
        sessrec_mutable_tensor hidden;
        result = sessrec_trainer_tensor(tr, name, &hidden, err);
        if (!result) memset(hidden.data, 0, sizeof(float) * (size_t)hidden.rows * (size_t)hidden.columns);
    }
    sessrec_mutable_tensor user;
    if (!result && tr->config.user_hidden) {
        result = sessrec_trainer_tensor(tr, "user", &user, err);
        if (!result) memset(user.data, 0, sizeof(float) * (size_t)user.rows * (size_t)user.columns);
    }
    memset(&tr->position, 0, sizeof tr->position);
    tr->position.best_age = -1;
    tr->pairs_run = 0;
    tr->has_gradients = 0;
    return result ? result : sessrec_batcher_seek(batcher, 0, 0, err);
}

SESSREC_API sessrec_result sessrec_trainer_learn(sessrec_trainer *tr, const sessrec_sampler *sampler,
                                                 const int32_t *items, int32_t count, double *loss,
                                                 sessrec_error *err) {
    static const int32_t yes = 1, no = 0;
    double sum = 0, one;
    int64_t pairs = 0;
    int32_t input = -1;
    if (loss) *loss = 0;
    sessrec_result result = items && count >= 0 ? sessrec__trainer_ready(tr, err) : sessrec__null(err);
    for (int32_t i = 0; i < count && !result; ++i) {
        const int32_t target = items[i];
        if (target < 0) continue;
        if (input >= 0) {
            const int64_t step = tr->position.step;
            const int32_t drawn = sampler ? tr->config.negatives : 0;
            sessrec_batch batch;
            memset(&batch, 0, sizeof batch);
            batch.epoch = tr->position.epoch;
            batch.step = step;
            batch.rows = 1;
            batch.inputs = &input;
            batch.targets = &target;
            batch.negative_count = drawn;
            batch.negatives = tr->drawn;
            batch.sessions = batch.previous_rows = &no;
            batch.session_starts = pairs ? &no : &yes;
            batch.user_starts = tr->config.user_hidden ? batch.session_starts : NULL;
            for (int32_t j = 0; j < drawn; ++j)
                tr->drawn[j] = sessrec_sampler_draw(sampler, tr->config.seed,
                                                    (uint64_t)step * (uint64_t)drawn + (uint64_t)j);
            result = sessrec_trainer_step(tr, &batch, &one, err);
            if (!result) sum += one * (double)tr->config.batch_size;
            ++pairs;
        }
        input = target;
    }
    if (loss && pairs && !result) *loss = sum / (double)pairs;
    return result;
}

SESSREC_API sessrec_result sessrec_trainer_progress(const sessrec_trainer *tr, const sessrec_batcher *batcher,
                                                    sessrec_progress *out) {
    if (out) memset(out, 0, sizeof *out);
    if (!tr || !batcher || !out) return SESSREC_INVALID_ARGUMENT;
    const sessrec_position *at = &tr->position;
    const double seconds = sessrec__now() - tr->started;
    out->epoch = at->epoch;
    out->epochs = tr->config.epochs;
    out->step = at->step;
    // shuffled, they are an estimate
    out->steps = sessrec_batcher_steps(batcher) > at->step ? sessrec_batcher_steps(batcher) : at->step;
    out->events = at->pairs;
    out->loss = at->pairs ? at->loss_sum / (double)at->pairs : 0;
    out->seconds = seconds;
    out->events_per_second = seconds > 0 ? (double)tr->pairs_run / seconds : 0;
    const double left =
        (double)(tr->config.epochs - at->epoch) * (double)sessrec_batcher_pairs(batcher) - (double)at->pairs;
    out->seconds_left = out->events_per_second > 0 && left > 0 ? left / out->events_per_second : 0;
    out->validation = -1;
    out->device = sessrec_trainer_device(tr);
    return SESSREC_OK;
}

#ifdef SESSREC_CUDA
// Prepares a device for mini-batches in advance, if it and the configuration allow it.
static sessrec_result sessrec__can_go_ahead(sessrec_trainer *tr, const sessrec_batcher *batcher, int *ahead,
                                            sessrec_error *err) {
    const sessrec_sampler *s = batcher->sampler;
    *ahead = tr->table && tr->table->run && tr->config.loss.kind != SESSREC_LOSS_CUSTOM &&
             batcher->negatives <= tr->config.negatives && (!s || s->items == tr->model->info.item_count);
    if (!*ahead || !s) return SESSREC_OK;
    const sessrec_device_sampler view = {s->items, s->guide_bits, s->total, s->sum, s->guide};
    return tr->table->sampler(tr->device, &view, err);
}

// Trains on the mini-batches before the next checkpoint, at most as many as a device takes at once. *last is
// the last of them; it has no rows at the end of the epoch.
static sessrec_result sessrec__steps_ahead(sessrec_trainer *tr, sessrec_batcher *batcher, sessrec_batch *last,
                                           sessrec_error *err) {
    const int64_t each = tr->config.checkpoint ? tr->config.checkpoint_steps : 0;
    const int64_t most = each > 0 ? each - tr->position.step % each : SESSREC_DEVICE_AHEAD;
    sessrec_batch batch[SESSREC_DEVICE_AHEAD];
    double sum[SESSREC_DEVICE_AHEAD];
    int32_t count = 0;
    sessrec_result result = sessrec__give(tr, err);
    while (!result && count < most && count < SESSREC_DEVICE_AHEAD) {
        sessrec__batcher_go(batcher, 0, &batch[count]);
        *last = batch[count];
        if (!last->rows) break;
        sessrec_batch pairs = *last;
        pairs.negative_count = 0;
        result = sessrec__check_batch(tr, &pairs, err);
        if (!result) tr->table->put(tr->device, count, last, sessrec__most_loss(tr, last));
        count += !result;
    }
    if (result || !count) return result;
    sessrec__plan_sizes(tr, &batch[count - 1]);
    result = tr->table->run(tr->device, count, sum, err);
    for (int32_t i = 0; i < count && !result; ++i) result = sessrec__count_step(tr, &batch[i], sum[i], err);
    return result;
}
#endif

SESSREC_API sessrec_result sessrec_trainer_epoch(sessrec_trainer *tr, sessrec_batcher *batcher,
                                                 sessrec_error *err) {
    double shown = sessrec__now();
    sessrec_batch batch;
    sessrec_progress progress;
    int ahead = 0;
    sessrec_result result = batcher ? sessrec__trainer_ready(tr, err) : sessrec__null(err);
#ifdef SESSREC_CUDA
    if (!result) result = sessrec__can_go_ahead(tr, batcher, &ahead, err);
#endif
    if (result) return result;
    const sessrec_config *c = &tr->config;
    for (;;) {
#ifdef SESSREC_CUDA
        if (ahead) result = sessrec__steps_ahead(tr, batcher, &batch, err);
#endif
        if (!ahead) {
            result = sessrec_batcher_next(batcher, &batch);
            if (!result && batch.rows) result = sessrec_trainer_step(tr, &batch, NULL, err);
        }
        if (!result && !batch.rows) return SESSREC_OK;
#ifndef SESSREC_NO_STDIO
        if (!result && c->checkpoint && c->checkpoint_steps > 0 &&
            (batch.step + 1) % c->checkpoint_steps == 0)
            result = sessrec_trainer_write(tr, c->checkpoint, err);
#endif
        if (result) return result;
        if (!c->progress || sessrec__now() - shown < 0.2) continue;
        shown = sessrec__now();
        sessrec_trainer_progress(tr, batcher, &progress);
        if (c->progress(c->progress_user, &progress))
            return sessrec__fail(err, SESSREC_STOPPED, 0, "stopped in epoch %d, step %d",
                                 (int64_t)batch.epoch + 1, batch.step + 1);
    }
}

SESSREC_API sessrec_result sessrec_train(const sessrec_config *config, const sessrec_log *log,
                                         const sessrec_log *validation, sessrec_model **out,
                                         sessrec_error *err) {
    sessrec_trainer *trainer = NULL;
    sessrec_sampler *sampler = NULL;
    sessrec_batcher *batcher = NULL;
    if (out) *out = NULL;
    if (!out || !log) return sessrec_error_set(err, SESSREC_INVALID_ARGUMENT, "a required argument is NULL");

    sessrec_result result = sessrec_trainer_create(config, log, &trainer, err);
    if (!result) result = sessrec_trainer_sampler(trainer, &sampler, err);
    if (!result) result = sessrec_batcher_create(config, log, sampler, &batcher, err);
#ifndef SESSREC_NO_STDIO
    if (!result && config->checkpoint && config->resume) {
        result = sessrec_trainer_read(trainer, config->checkpoint, err);
        if (result == SESSREC_NO_FILE) result = SESSREC_OK;  // the first run
        sessrec_position at = sessrec_trainer_position(trainer);
        if (!result) result = sessrec_batcher_seek(batcher, at.epoch, at.step, err);
    }
#endif
    if (!result && config->start_from) {
        sessrec_position at = sessrec_trainer_position(trainer);
        if (!at.epoch && !at.step) result = sessrec_trainer_warm_up(trainer, batcher, err);
    }

    sessrec_eval_config eval = sessrec_eval_config_default();
    sessrec_report report;
    const sessrec_model *model;
    if (!result && validation) {
        eval.threads = config->threads;
        eval.device = config->device;
        eval.jobs = config->jobs;
        eval.allocator = config->allocator;
        eval.history = log;  // makes the states of users
        eval.cutoff_count = 1;
        eval.cutoffs[0] = 20;
        // With nothing to evaluate the evaluation fails at once: now is the time, not after an epoch.
        const sessrec_log_view view = sessrec_log_contents(validation);
        int known = 0;
        for (int32_t s = 0; s < view.session_count && known < 2; ++s) {
            known = 0;
            for (int64_t e = view.session_begins[s]; e < view.session_begins[s + 1] && known < 2; ++e)
                known += sessrec_log_find_item(log, sessrec_log_item_id(validation, view.items[e])) >= 0;
        }
        if (known < 2) {
            result = sessrec_trainer_model(trainer, &model, err);
            if (!result) result = sessrec_evaluate(model, validation, &eval, &report, err);
        }
    }

    while (!result) {
        sessrec_position at = sessrec_trainer_position(trainer);
        sessrec_progress progress;
        if (at.epoch >= config->epochs || (config->patience > 0 && at.best_age >= config->patience)) break;
        result = sessrec_trainer_epoch(trainer, batcher, err);
        if (result) break;
        sessrec_trainer_progress(trainer, batcher, &progress);
        progress.epoch_done = 1;
        if (validation) {
            result = sessrec_trainer_model(trainer, &model, err);
            if (!result) result = sessrec_evaluate(model, validation, &eval, &report, err);
            if (result) break;
            progress.validation = report.all.mrr[0];
            result = sessrec_trainer_keep_best(trainer, progress.validation, err);
        }
        if (!result) result = sessrec_trainer_next_epoch(trainer);
#ifndef SESSREC_NO_STDIO
        if (!result && config->checkpoint) result = sessrec_trainer_write(trainer, config->checkpoint, err);
#endif
        if (!result && config->progress && config->progress(config->progress_user, &progress))
            result = sessrec_error_set(err, SESSREC_STOPPED, "stopped at the end of an epoch");
    }

    if (!result && validation) result = sessrec_trainer_use_best(trainer, err);
    if (result == SESSREC_OK || result == SESSREC_STOPPED) {
        const sessrec_result taken = sessrec_trainer_take_model(trainer, out, err);
        if (taken) result = taken;
    }
    sessrec_batcher_destroy(batcher);
    sessrec_sampler_destroy(sampler);
    sessrec_trainer_destroy(trainer);
    return result;
}

#ifndef SESSREC_NO_STDIO
SESSREC_API sessrec_result sessrec_train_file(const char *log_path, const char *model_path,
                                              const sessrec_config *config, sessrec_error *err) {
    const sessrec_config usual = sessrec_config_default();
    sessrec_log *log = NULL;
    sessrec_model *model = NULL;
    if (!config) config = &usual;
    if (!log_path || !model_path) return sessrec__null(err);
    sessrec_result result = sessrec_config_check(config, err);
    if (result) return result;
    const char *const names[3] = {model_path, config->checkpoint, log_path};
    const sessrec_output outputs[2] = {{model_path, sessrec__magic, NULL, NULL, NULL, 0},
                                       {config->checkpoint, sessrec__magic, NULL, NULL, NULL, 0}};
    for (int i = 0; i < 2; ++i)
        for (int j = i + 1; j < 3; ++j)
            if (sessrec_same_file(names[i], names[j]))
                return sessrec__fail(err, SESSREC_INVALID_ARGUMENT, 0,
                                     "%s would be overwritten by %s; give another name", names[j], names[i]);
    // what cannot be written is refused now, not after hours of training
    result = sessrec_outputs_write(outputs, config->checkpoint ? 2 : 1, err);
    if (!result) result = sessrec_log_read(log_path, NULL, &log, err);
    if (!result) result = sessrec_train(config, log, NULL, &model, err);
    if (model) {
        const sessrec_result written = sessrec_model_write(model, model_path, err);
        if (written) result = written;
    }
    sessrec_model_destroy(model);
    sessrec_log_destroy(log);
    return result;
}
#endif

#endif // SESSREC_NO_TRAINING

#if defined(__GNUC__) && !defined(__clang__)
#  pragma GCC pop_options
#elif !defined(_MSC_VER) || defined(__clang__)
#  pragma STDC FP_CONTRACT DEFAULT
#endif
#pragma pop_macro("A")
#pragma pop_macro("B")
#pragma pop_macro("C")
#pragma pop_macro("D")
#pragma pop_macro("E")
#pragma pop_macro("G")
#pragma pop_macro("H")
#pragma pop_macro("K")
#pragma pop_macro("L")
#pragma pop_macro("M")
#pragma pop_macro("N")
#pragma pop_macro("R")
#pragma pop_macro("S")
#pragma pop_macro("T")
#pragma pop_macro("U")
#pragma pop_macro("V")
#pragma pop_macro("W")
#pragma pop_macro("Y")
#pragma pop_macro("max")
#pragma pop_macro("slots")
#ifdef SESSREC__OWN_NO_THREADS
#  undef SESSREC_NO_THREADS
#  undef SESSREC__OWN_NO_THREADS
#endif
#ifdef SESSREC__OWN_MAX_SIMD
#  undef SESSREC_MAX_SIMD
#  undef SESSREC__OWN_MAX_SIMD
#endif
#undef SESSREC__CLOCK
#undef SESSREC__MASK
#undef SESSREC__MOST_THREADS
#undef SESSREC__INLINE
#undef SESSREC__PREFETCH
#undef SESSREC__READ_ONLY
#undef SESSREC__DEVICE
#undef SESSREC__EACH_BYTE
#undef SESSREC__HAS_DEVICE
#undef SESSREC__NEON
#undef SESSREC__NO_HANDLE
#undef SESSREC__NO_GPU_CODE
#undef SESSREC__POSIX
#undef SESSREC__START
#undef SESSREC__TARGET_OF
#undef SESSREC__TEXT
#undef SESSREC__TEXT2
#undef SESSREC__THREAD_MAIN
#undef SESSREC__WINDOWS
#undef SESSREC__UNROLL
#undef SESSREC__X86
#undef SESSREC__X87
#undef SESSREC__V128
#undef SESSREC__HAS_FMA
#undef SESSREC__UNUSED
#undef SESSREC__SENTENCE
#endif // !SESSREC__SET
#endif // SESSREC_IMPLEMENTATION

#if defined(SESSREC__GROUND) || (defined(SESSREC__COMPANION) && !defined(SESSREC__IMPLEMENTED))
// ===========================================================================================================
// >>rng   random numbers that can be computed anywhere
// A draw depends on (seed, stream, index) only, so that threads, a resumed run and a GPU see the same
// numbers. The mixer is the finalizer of SplitMix64 (Steele, Lea, Flood 2014): draw i of a key is output i of
// that generator.
// ===========================================================================================================

// What a stream of draws is for. A seed gives the same model only as long as these numbers stay: never
// renumber.
enum {
    SESSREC__STREAM_NEGATIVES = 1,
    SESSREC__STREAM_SHUFFLE = 2,
    SESSREC__STREAM_DROPOUT_INPUT = 3,
    SESSREC__STREAM_DROPOUT_HIDDEN = 4,  // + layer, 4..7
    SESSREC__STREAM_DROPOUT_USER = 8,
    SESSREC__STREAM_DROPOUT_INIT = 9,    // + layer, 9..12
    SESSREC__STREAM_WEIGHTS = 16         // + number of the tensor
};

#ifdef __CUDACC__
#  define SESSREC__ANYWHERE static __host__ __device__ inline
#else
#  define SESSREC__ANYWHERE static inline
#endif
SESSREC__ANYWHERE uint64_t sessrec__mix(uint64_t x) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

// The key of one stream of a seed.
SESSREC__ANYWHERE uint64_t sessrec__key(uint64_t seed, uint64_t stream) {
    return sessrec__mix(sessrec__mix(seed + 0x9e3779b97f4a7c15u) ^ (stream * 0xd1342543de82ef95u));
}
SESSREC__ANYWHERE uint64_t sessrec__draw(uint64_t key, uint64_t index) {
    return sessrec__mix(key + (index + 1) * 0x9e3779b97f4a7c15u);
}
// Uniform in [0,1), a multiple of 2^-24: exact in float.
SESSREC__ANYWHERE float sessrec__unit(uint64_t draw) {
    return (float)(uint32_t)(draw >> 40) * (1.0f / 16777216.0f);
}
#undef SESSREC__ANYWHERE
#endif // for sessrec_cuda.cu, too

// ===========================================================================================================
// >>device   training on a GPU, and the seam for it, which sessrec_cuda.cu fills in
// Training and evaluation can run on an NVIDIA GPU (compute capability 8.0 or later) without a change to the
// program. config.device chooses; a trainer runs on the GPU that is current when it is created.
//     nvcc -O3 -arch=native -c sessrec_cuda.cu
//     cc -O2 -DSESSREC_CUDA -c program.c
//     nvcc -o program program.o sessrec_cuda.o -lm -lpthread
// The same      every network, loss (a custom loss runs on the processor in between), optimizer and dropout;
//               the bits of mini-batches, negatives and dropout masks; checkpoints, which a trainer on either
//               side can resume; the same bits on every run on one GPU.
// Different     the bits of results: sums are split differently, and exp, tanh and log are CUDA's, so a run
//               drifts from the processor's by rounding. With the kernels run on the processor, golden
//               trajectories deviated by at most 1e-5. On a GPU neither this nor speed has been measured yet;
//               make test-cuda and make bench-cuda do so. float32 throughout, no TF32.
// The processor prepares the mini-batches: 64 ahead in sessrec_train and sessrec_trainer_epoch, one at a time
// in sessrec_trainer_step. The GPU draws an epoch's negatives; progress is reported and losses are checked
// every 64 steps. sessrec_evaluate computes hidden states on the processor and ranks on the GPU; sessions,
// recommendations and coverage stay on the processor. A CUDA failure is DEVICE_ERROR, too little GPU memory
// is OUT_OF_MEMORY; both carry CUDA's message, and CUDA_OR_CPU does not hide them. GPU memory does not come
// from config.allocator. A trainer on a GPU also allocates the processor's memory for a step.
// ===========================================================================================================
#if defined(SESSREC_CUDA) && !defined(SESSREC_NO_TRAINING) && !defined(SESSREC__IMPLEMENTED_SEAM)
#define SESSREC__IMPLEMENTED_SEAM

// One matrix of a model in training, in the processor's memory. A table has a row per item, of which a step
// touches a few.
typedef struct sessrec_device_tensor {
    const char *name;   // as in sessrec_model_tensor
    int32_t rows, columns, table;
    float *weights;     // [rows,columns]
    sessrec_optimizer_state state;
    float *gradient;    // [rows,columns]; NULL for tables
} sessrec_device_tensor;

// What a device sees of a trainer. All pointers but `tensors` are valid as long as the trainer.
typedef struct sessrec_device_view {
    const sessrec_config *config;
    sessrec_model_info info;
    int32_t tensor_count;
    const sessrec_device_tensor *tensors;
    const float *log_support;           // [V] for logQ, else NULL
    float *hidden[SESSREC_MAX_LAYERS];  // [batch_size,H]
    float *user;                        // [batch_size,Hu], NULL without users
    // gradients of tables, a row per use: columns (then, with TIED, inputs) for Wy; columns for By; inputs
    // for E or one-hot W, else NULL
    float *output_gradient, *bias_gradient, *input_gradient;
    int32_t *output_id, *input_id;      // the item of each row, -1 where it was added to an earlier row of
                                        // the same item
} sessrec_device_view;

// A sessrec_sampler, for drawing on a device.
typedef struct sessrec_device_sampler {
    int32_t item_count, guide_bits;
    uint64_t total;
    const uint64_t *sums;   // [items]
    const int32_t *guide;   // [2^guide_bits + 1]
} sessrec_device_sampler;

#define SESSREC_DEVICE_AHEAD 64  // mini-batches that are given at once

// Functions fail as those of the library do, except destroy. A device starts with what the processor's memory
// holds.
typedef struct sessrec_device_table {
    sessrec_result (*create)(const sessrec_device_view *view, void **device, sessrec_error *err);
    const char *(*name)(const void *device);
    // Forward and backward for a checked mini-batch; *sum is the sum of the row losses, which may be infinite
    // or NaN here.
    sessrec_result (*grad)(void *device, const sessrec_batch *batch, double *sum, sessrec_error *err);
    sessrec_result (*apply)(void *device, sessrec_error *err);
    // An epoch, some mini-batches at a time. sampler: for those that follow. put: the next mini-batch is
    // number `index` < AHEAD of those to come; its negatives (batch->negatives is NULL) are drawn on the
    // device. run: trains on the first `count` and stops changing weights at a sum that is infinite, NaN
    // or above the `most` of its mini-batch. All three are NULL if there is nothing to gain.
    sessrec_result (*sampler)(void *device, const sessrec_device_sampler *sampler, sessrec_error *err);
    void (*put)(void *device, int32_t index, const sessrec_batch *batch, double most);
    sessrec_result (*run)(void *device, int32_t count, double *sums, sessrec_error *err);
    // the gradients, or else all that stays between steps
    sessrec_result (*download)(void *device, int gradients, sessrec_error *err);
    sessrec_result (*upload)(void *device, sessrec_error *err);     // all that stays
    void (*destroy)(void *device);
    // Ranks for evaluation, with scores h Wy^T + By of all items [items,width]: for up to
    // SESSREC_DEVICE_RANKS rows of h [rows,width], how many items score higher than the target and how many
    // others the same (sessrec_rank_counts).
    sessrec_result (*open_ranks)(const float *Wy, const float *By, int32_t items, int32_t width, void **ranks,
                                 sessrec_error *err);
    sessrec_result (*rank)(void *ranks, int32_t rows, const float *h, const int32_t *target, int32_t *higher,
                           int32_t *equal, sessrec_error *err);
    void (*close_ranks)(void *ranks);
} sessrec_device_table;
#define SESSREC_DEVICE_RANKS 1024
#ifdef __cplusplus
extern "C" const sessrec_device_table *sessrec_cuda(void);
#else
extern const sessrec_device_table *sessrec_cuda(void);  // in sessrec_cuda.cu
#endif
#endif

#ifdef SESSREC__GROUND
#undef SESSREC__GROUND
// ===========================================================================================================
// >>compilers   what compilers and processors differ in, and the types of the engine
// ===========================================================================================================

#include <limits.h>
#include <math.h>
#include <stdarg.h>
#if defined(SESSREC_MALLOC) != defined(SESSREC_FREE)
#  error "define both SESSREC_MALLOC and SESSREC_FREE, or neither"
#endif
#if !defined(SESSREC_MALLOC) || !defined(SESSREC_NO_TRAINING)
#  include <stdlib.h>
#endif
#include <string.h>
#ifndef SESSREC_NO_STDIO
#  include <errno.h>
#  include <stdio.h>
#endif

#if defined(_WIN32)
#  define SESSREC__WINDOWS
#  ifndef WIN32_LEAN_AND_MEAN
#    define WIN32_LEAN_AND_MEAN
#  endif
#  include <windows.h>
#elif defined(__unix__) || defined(__APPLE__)
#  define SESSREC__POSIX
#  include <fcntl.h>
#  include <sched.h>
#  include <sys/mman.h>
#  include <sys/time.h>
#  include <unistd.h>
#  ifndef SESSREC_NO_STDIO
#    include <sys/stat.h>
#  endif
#endif
#ifndef SESSREC_NO_TRAINING
#  include <time.h>
#endif
#  if !defined(SESSREC_NO_THREADS) &&                                                                        \
      (defined(SESSREC_NO_TRAINING) || !(defined(SESSREC__WINDOWS) || defined(SESSREC__POSIX)))
#    define SESSREC_NO_THREADS
#    define SESSREC__OWN_NO_THREADS
#  endif

#  if !defined(SESSREC_NO_SIMD) && (defined(__x86_64__) || defined(_M_X64)) && !defined(__CUDACC__)
#    define SESSREC__X86
#    include <immintrin.h>
#    ifdef _MSC_VER
#      include <intrin.h>
#    endif
#  elif !defined(SESSREC_NO_SIMD) && defined(__aarch64__) && defined(__ARM_NEON) &&                          \
      !defined(__AARCH64EB__) && !defined(__CUDACC__)
#    define SESSREC__NEON
#    include <arm_neon.h>
#  endif

// Other headers' macros with the name of something here (stb_vorbis has L, windows.h max, Qt slots) are set
// aside until the end.
#pragma push_macro("A")
#undef A
#pragma push_macro("B")
#undef B
#pragma push_macro("C")
#undef C
#pragma push_macro("D")
#undef D
#pragma push_macro("E")
#undef E
#pragma push_macro("G")
#undef G
#pragma push_macro("H")
#undef H
#pragma push_macro("K")
#undef K
#pragma push_macro("L")
#undef L
#pragma push_macro("M")
#undef M
#pragma push_macro("N")
#undef N
#pragma push_macro("R")
#undef R
#pragma push_macro("S")
#undef S
#pragma push_macro("T")
#undef T
#pragma push_macro("U")
#undef U
#pragma push_macro("V")
#undef V
#pragma push_macro("W")
#undef W
#pragma push_macro("Y")
#undef Y
#pragma push_macro("max")
#undef max
#pragma push_macro("slots")
#undef slots

// On a processor with a fused multiply-add, a compiler may fuse any a * b + c, which changes the bits. From
// here to the end of this file it may not; sessrec__fma marks what is to be fused. Nor may the x87 unit of
// i386 keep more digits than a float has: unless SIMD is forbidden, SSE2 computes instead.
#if defined(__FLT_EVAL_METHOD__) && __FLT_EVAL_METHOD__ != 0 && __FLT_EVAL_METHOD__ != 16
#  define SESSREC__X87
#endif
#if defined(__GNUC__) && !defined(__clang__)
#  pragma GCC push_options
#  ifdef __FP_FAST_FMAF  // others cannot, and GCC does not hear the pragma of the standard
#    pragma GCC optimize("fp-contract=off")
#  endif
#  if defined(SESSREC__X87) && defined(__i386__) && !defined(SESSREC_NO_SIMD)
#    undef SESSREC__X87
#    pragma GCC target("sse2,fpmath=sse")
#  endif
#elif defined(_MSC_VER) && !defined(__clang__)
#  pragma fp_contract(off)
#else
#  pragma STDC FP_CONTRACT OFF
#endif

// Vectors of four floats in the notation of GCC and clang, for processors without AVX2 and NEON.
#if defined(__GNUC__) && !defined(SESSREC_NO_SIMD) && !defined(SESSREC__NEON) &&                             \
    !defined(SESSREC__X87) && !defined(__CUDACC__)
#  if defined(__SSE2__)
#    define SESSREC__V128
#    include <emmintrin.h>
#  elif defined(__wasm_simd128__)
#    define SESSREC__V128
#    include <wasm_simd128.h>
#  elif defined(__VSX__)
#    define SESSREC__V128
#  endif
#endif
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA) || defined(__aarch64__) || defined(FP_FAST_FMAF)
#  define SESSREC__HAS_FMA
#endif

// PREFETCH fetches a cache line that will be read soon; any address will do.
#if defined(__GNUC__) || defined(__clang__)
#  define SESSREC__INLINE static inline __attribute__((always_inline, unused))
#  define SESSREC__UNUSED __attribute__((unused))
#  define SESSREC__TARGET_OF(features) __attribute__((target(features)))
#  define SESSREC__PREFETCH(address) __builtin_prefetch((const void *)(uintptr_t)(address))
#  ifdef __clang__
#    define SESSREC__UNROLL _Pragma("clang loop unroll(full)")
#  else
#    define SESSREC__UNROLL _Pragma("GCC unroll 16")
#  endif
#else
#  ifdef _MSC_VER
#    define SESSREC__INLINE static __forceinline
#  else
#    define SESSREC__INLINE static inline
#  endif
#  define SESSREC__UNUSED
#  define SESSREC__TARGET_OF(features)
#  ifdef SESSREC__X86
#    define SESSREC__PREFETCH(address) _mm_prefetch((const char *)(uintptr_t)(address), _MM_HINT_T0)
#  else
#    define SESSREC__PREFETCH(address) ((void)(address))
#  endif
#  define SESSREC__UNROLL
#endif

#ifdef SESSREC_TINY  // what makes sentences leaves them out
#  define SESSREC__SENTENCE SESSREC__INLINE
#else
#  define SESSREC__SENTENCE static
#endif

#if defined(__BYTE_ORDER__) && defined(__ORDER_BIG_ENDIAN__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#  define SESSREC__BIG_ENDIAN 1
#else
#  define SESSREC__BIG_ENDIAN 0
#endif

#  define SESSREC__NO_GPU_CODE                                                                               \
    "this program has no GPU code: compile it with SESSREC_CUDA and link sessrec_cuda.cu"
enum {
    SESSREC__CANARY_CONFIG = 0x5e55c0f1,
    SESSREC__CANARY_LOG = 0x5e5510f1,
    SESSREC__CANARY_EVAL = 0x5e55e0a1,
    SESSREC__CANARY_QUERY = 0x5e550e51,
    SESSREC__CANARY_KNN = 0x5e55a991,
    SESSREC__CANARY_RULES = 0x5e55b1e5,
    SESSREC__CANARY_FILTER = 0x5e55f117
};

enum {
    SESSREC__MAX_WIDTH = 8192,
    SESSREC__MAX_BATCH = 65536,
    SESSREC__MAX_NEGATIVES = 1048576,
    SESSREC__MAX_REMEMBER = 65536
};

// High half of a 64 x 64 bit product: maps a draw to [0,n) with a bias below n / 2^64.
SESSREC__INLINE uint64_t sessrec__mulhi(uint64_t a, uint64_t b) {
#if defined(__SIZEOF_INT128__)
    __extension__ typedef unsigned __int128 sessrec__u128;
    return (uint64_t)(((sessrec__u128)a * b) >> 64);
#else
    uint64_t al = a & 0xffffffffu, ah = a >> 32, bl = b & 0xffffffffu, bh = b >> 32;
    uint64_t low = al * bl, mid1 = ah * bl, mid2 = al * bh;
    // each summand < 2^32
    uint64_t carry = ((low >> 32) + (mid1 & 0xffffffffu) + (mid2 & 0xffffffffu)) >> 32;
    return ah * bh + (mid1 >> 32) + (mid2 >> 32) + carry;
#endif
}

// ---- errors and memory ----
static sessrec_result sessrec__scorer_check(const sessrec_scorer *s, sessrec_error *err);
static SESSREC__UNUSED sessrec_result sessrec__null(sessrec_error *err);
static sessrec_result sessrec__in_range(sessrec_error *err, const char *name, int64_t value, int64_t least,
                                        int64_t most);
static char *sessrec__decimal(int64_t value, char buffer[24]);
static int64_t sessrec__id_number(const char *text);
static SESSREC__UNUSED void sessrec__append(char *text, size_t size, size_t *used, const char *piece,
                                            size_t length);
static SESSREC__UNUSED int sessrec__all_below(const void *numbers, uint64_t count, uint32_t sign,
                                              uint32_t limit);
static sessrec_allocator sessrec__allocator(const sessrec_allocator *given);
static SESSREC__UNUSED int sessrec__grow(const sessrec_allocator *memory, void **array, int64_t *capacity,
                                         int64_t needed, size_t size);

// Places arrays one after the other, each 64-byte aligned. Every object has one function that places all its
// arrays; it runs twice, first with base == NULL to find the size, then with the block.
typedef struct sessrec__layout {
    char *base;
    uint64_t size;
    int overflow;
} sessrec__layout;
static void *sessrec__place(sessrec__layout *layout, uint64_t count, uint64_t size);
SESSREC__INLINE float *sessrec__place_floats(sessrec__layout *layout, uint64_t count) {
    return (float *)sessrec__place(layout, count, sizeof(float));
}
SESSREC__INLINE int32_t *sessrec__place_ints(sessrec__layout *layout, uint64_t count) {
    return (int32_t *)sessrec__place(layout, count, sizeof(int32_t));
}
SESSREC__INLINE int64_t *sessrec__place_longs(sessrec__layout *layout, uint64_t count) {
    return (int64_t *)sessrec__place(layout, count, sizeof(int64_t));
}
SESSREC__INLINE double *sessrec__place_doubles(sessrec__layout *layout, uint64_t count) {
    return (double *)sessrec__place(layout, count, sizeof(double));
}
static SESSREC__UNUSED void *sessrec__layout_block(const sessrec_allocator *memory,
                                                   void (*place)(void *object, sessrec__layout *layout),
                                                   void *object);

// ---- ids ----
static SESSREC__UNUSED int sessrec__compare_text(const char *a, size_t a_size, const char *b, size_t b_size);
// of its content, never 0
static SESSREC__UNUSED uint64_t sessrec__model_fingerprint(const sessrec_model *model);
#ifndef SESSREC_NO_TRAINING
typedef struct sessrec__slot {
    uint32_t hash;              // of the text: its low bits are where the search begins
    int32_t number;             // index + 1, 0 is empty
} sessrec__slot;

typedef struct sessrec__ids {
    sessrec_allocator memory;
    int32_t count;
    char *blob;
    int64_t blob_used, blob_capacity;
    uint32_t *offset;           // [count] where each text begins, in units of one byte; the blob stays below
                                // 4 GiB
    int64_t offset_capacity;
    sessrec__slot *slot;        // [slots] a power of two
    int64_t slots;
    uint64_t key;               // differs from run to run, so that nobody can make up ids that all want one
                                // slot; no result depends on it
} sessrec__ids;
static void sessrec__ids_init(sessrec__ids *ids, const sessrec_allocator *given, uint64_t key);
static void sessrec__ids_free(sessrec__ids *ids);
static int32_t sessrec__ids_find(const sessrec__ids *ids, const char *text, size_t size);
static sessrec_result sessrec__ids_reserve(sessrec__ids *ids, int64_t more, int64_t bytes);
static sessrec_result sessrec__ids_intern(sessrec__ids *ids, const char *text, size_t size, int32_t *out);
static sessrec_result sessrec__copy_ids(const sessrec__ids *from, const int32_t *index, int32_t count,
                                        sessrec__ids *to);
static sessrec_result sessrec__sort_by_time(const sessrec_allocator *memory, double *time, int32_t *value,
                                            int64_t count);

// ---- threads ----
typedef void (*sessrec__task)(void *context, int32_t index);
enum { SESSREC__MAX_THREADS = 16, SESSREC__SPINS = 4000, SESSREC__YIELDS = 100 };
#ifndef SESSREC_NO_THREADS
#  ifdef SESSREC__WINDOWS
typedef HANDLE sessrec__thread;
typedef CRITICAL_SECTION sessrec__lock;
typedef CONDITION_VARIABLE sessrec__bell;
#  else
#    include <pthread.h>
typedef pthread_t sessrec__thread;
typedef pthread_mutex_t sessrec__lock;
typedef pthread_cond_t sessrec__bell;
#  endif
struct sessrec__pool;
typedef struct sessrec__worker {
    struct sessrec__pool *pool;
    int32_t number, asleep;         // asleep: atomic
    sessrec__thread thread;
    sessrec__bell bell;             // wakes this worker
} sessrec__worker;
#endif

typedef struct sessrec__pool {
    sessrec_jobs jobs;
    int32_t threads;                // that share the work, the caller included
    // how many of these are worth it, see sessrec__pool_pace
    int32_t usual, trial;           // the best number so far, and the one on trial, or 0
    int32_t steps, pause, paused, up;
    double seconds, usual_step;     // of the steps of this window; of one step in the last window
#ifndef SESSREC_NO_THREADS
    sessrec__task task;             // the region that runs
    void *context;
    int32_t count;
    char apart1[64];                // from here on shared: atomic, and on lines of their own
    int32_t open;                   // bits of tasks that nobody has begun
    int32_t active, stop;           // threads that may begin one; the pool ends
    char apart2[64];
    int32_t done, waiting;          // tasks that workers have finished; the caller sleeps
    char apart3[64];
    sessrec__worker worker[SESSREC__MAX_THREADS];
    sessrec__lock lock;
    sessrec__bell bell;             // wakes the caller
#endif
} sessrec__pool;
static int32_t sessrec__pool_threads(int32_t asked, const sessrec_jobs *jobs);
static void sessrec__pool_init(sessrec__pool *pool, int32_t asked, const sessrec_jobs *jobs);
static void sessrec__pool_free(sessrec__pool *pool);
static void sessrec__pool_pace(sessrec__pool *pool, double seconds);

static double sessrec__now(void);
#endif

// ---- kernels and matrix products ----
// The optimizer kernel's configuration and arrays.
typedef struct sessrec__update {
    const sessrec_optimizer_config *config;
    float *weight, *gradient, *first, *second, *velocity;
    float correct1, correct2;   // Adam: 1 / (1 - beta^t)
} sessrec__update;

// Input of the kernel `screen`: the screen of a model, see >>streaming, and a hidden state.
typedef struct sessrec__screen {
    int32_t octets;         // of codes in a row
    const uint8_t *blocks;  // for each 16 items: codes [octets,16,4], then in floats their steps [16] and
                            // their biases [16]
    const int8_t *state;    // [8*octets] codes of the hidden state, filled up with 0
    int32_t start;          // what makes up for items' codes being stored 8 higher
    float step, radius;     // of the state's codes; what the codes may leave out, in steps of an item
} sessrec__screen;

// Floats that matmul_bt wants for a piece of B^T, 128 rows of the widest strip; best 64-byte aligned.
enum { SESSREC__PANEL = 6144 };  // SESSREC_MATMUL_SCRATCH, which training builds have

typedef void sessrec__map(int32_t n, const float *x, float *y);
typedef void sessrec__scaled_map(int32_t n, float a, const float *x, float *y);
typedef void sessrec__map_of_three(int32_t n, const float *a, const float *b, const float *c, float *y);
// One set of kernels: see the table at the head of >>kernels.
struct sessrec__kernels {
    const char *name;
    void (*matmul)(int32_t M, int32_t N, int32_t K, const float *A, ptrdiff_t a_row, ptrdiff_t a_col,
                   const float *B, ptrdiff_t b_row, float *C, ptrdiff_t c_row, int accumulate);
    void (*matmul_bt)(int32_t M, int32_t N, int32_t K, const float *A, ptrdiff_t a_row, const float *B,
                      ptrdiff_t b_row, const float *bias, float *C, ptrdiff_t c_row, float *panel);
    void (*transpose)(int32_t rows, int32_t columns, const float *x, ptrdiff_t x_row, float *y,
                      ptrdiff_t y_row);
    void (*dots)(int32_t rows, int32_t width, const float *x, ptrdiff_t x_row, const float *h,
                 const float *bias, float *y);
    void (*dots_at)(int32_t count, const int32_t *row, int32_t width, const float *x, const float *h,
                    const float *bias, float *y);
    int32_t (*screen)(const sessrec__screen *s, int32_t first, int32_t count, float least, int32_t *out);
    void (*exp)(int32_t n, const float *x, float shift, float *y);
    sessrec__map *sigmoid, *tanh, *softplus;
    void (*elu)(int32_t n, const float *x, float a, float b, float *y);
    void (*elu_slope)(int32_t n, const float *x, const float *f, float a, float b, float *y);
    void (*bpr_max)(int32_t n, const float *x, const float *w, const float *scores, float R, float bpreg,
                    float *y);
    void (*add)(int32_t n, const float *x, float a, float *y);
    sessrec__scaled_map *axpy, *scale;
    void (*multiply)(int32_t n, const float *x, const float *a, float *y);
    sessrec__map_of_three *muladd, *blend, *gate_back;
    void (*blend_back)(int32_t n, const float *up, const float *z, const float *candidate, const float *h,
                       float *dz, float *dn);
    float (*max)(int32_t n, const float *x), (*sum)(int32_t n, const float *x);
    float (*dot)(int32_t n, const float *a, const float *b);
    void (*tally)(int32_t n, const float *x, float value, int32_t *higher, int32_t *equal);
    void (*update)(const sessrec__update *u, int32_t n);
};
#endif // SESSREC__GROUND

// ===========================================================================================================
// LICENSE
// ===========================================================================================================
// sessrec is available under two licenses. Choose whichever you prefer.
//
// --------------------------------------------------------------------------------
// ALTERNATIVE A - Public Domain (www.unlicense.org)
//
// This is free and unencumbered software released into the public domain.
//
// Anyone is free to copy, modify, publish, use, compile, sell, or distribute this
// software, either in source code form or as a compiled binary, for any purpose,
// commercial or non-commercial, and by any means.
//
// In jurisdictions that recognize copyright laws, the author or authors of this
// software dedicate any and all copyright interest in the software to the public
// domain. We make this dedication for the benefit of the public at large and to
// the detriment of our heirs and successors. We intend this dedication to be an
// overt act of relinquishment in perpetuity of all present and future rights to
// this software under copyright law.
//
// THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
// IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
// FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
// AUTHORS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN
// ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION
// WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
//
// For more information, please refer to <https://unlicense.org>
//
// --------------------------------------------------------------------------------
// ALTERNATIVE B - MIT No Attribution (MIT-0)
//
// Copyright 2026 sessrec contributors
//
// Permission is hereby granted, free of charge, to any person obtaining a copy of
// this software and associated documentation files (the "Software"), to deal in
// the Software without restriction, including without limitation the rights to
// use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of
// the Software, and to permit persons to whom the Software is furnished to do so.
//
// THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
// IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
// FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
// AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
// LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
// OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE
// SOFTWARE.
