// sessrec_web.c - the library for a web page: what sessrec.js calls, compiled to WebAssembly by `make web`
//
//     sessrec.wasm        opens a file that C, Python or the command line wrote (a model, neighbors, rules or
//                         a blend) and recommends
//     sessrec_train.wasm  -DWEB_TRAINING: also reads click logs, trains, and evaluates
//
// An instance opens one file at most: the page makes an instance for each, and drops it to forget the file.
// So sessrec.wasm needs no malloc; its memory only grows. A function that fails returns NULL or a negative
// code, and web_error says why in one sentence.
#define SESSREC_IMPLEMENTATION
#define SESSREC_NO_STDIO
#define SESSREC_NO_THREADS
#include <stddef.h>
#include <stdint.h>
#ifndef WEB_TRAINING
#  define SESSREC_NO_TRAINING
static void *take(size_t size);
#  define SESSREC_MALLOC(size) take(size)
#  define SESSREC_FREE(block) ((void)(block))
#endif
#include "../../sessrec.h"

#define EXPORT(name) __attribute__((export_name(#name))) name

static sessrec_error error;
static sessrec_scorer scorer;

const char *EXPORT(web_error)(void) {
    return error.text;
}

const char *EXPORT(web_simd)(void) {
    return sessrec_simd();
}

// ---- memory ----

#ifdef WEB_TRAINING
static void *take(size_t size) {
    return aligned_alloc(64, (size + 63) / 64 * 64);
}

void EXPORT(web_give)(void *block) {
    free(block);
}
#else
// From the end of the program's own data upward; never given back.
static void *take(size_t size) {
    enum { PAGE = 65536 };
    extern unsigned char __heap_base;  // from wasm-ld
    static uintptr_t next;
    if (!next) next = ((uintptr_t)&__heap_base + 63) / 64 * 64;
    const size_t have = __builtin_wasm_memory_size(0) * PAGE - next;
    const size_t pages = size > have ? (size - have + PAGE - 1) / PAGE : 0;
    if (pages && __builtin_wasm_memory_grow(0, pages) == SIZE_MAX) return NULL;
    void *block = (void *)next;
    next += (size + 63) / 64 * 64;
    return block;
}
#endif

// 64-byte aligned, for what JavaScript passes in and reads back.
void *EXPORT(web_take)(size_t size) {
    return size < SIZE_MAX / 2 ? take(size) : NULL;
}

// ---- recommend ----

// The bytes are used in place: they must stay.
sessrec_result EXPORT(web_open)(const void *bytes, size_t size) {
    return sessrec_scorer_import(bytes, size, NULL, &scorer, &error);
}

int32_t EXPORT(web_item_count)(void) {
    return scorer.item_count;
}

// Whether the file holds its items' ids; the two functions after it may be called only then.
int32_t EXPORT(web_has_ids)(void) {
    return scorer.find_item && scorer.item_id;
}

const char *EXPORT(web_item_id)(int32_t item) {
    return item >= 0 && item < scorer.item_count ? scorer.item_id(scorer.self, item) : NULL;
}

int32_t EXPORT(web_find_item)(const char *id) {
    return scorer.find_item(scorer.self, id);
}

sessrec_session *EXPORT(web_session)(int32_t remember) {
    sessrec_session *session = NULL;
    const size_t size = sessrec_scorer_session_size(&scorer, remember, NULL);
    void *memory = size ? take(size) : NULL;
    if (!memory) sessrec_error_set(&error, size ? SESSREC_OUT_OF_MEMORY : SESSREC_INVALID_ARGUMENT, NULL);
    else sessrec_scorer_session_init(&scorer, remember, NULL, memory, size, &session, &error);
    return session;
}

sessrec_result EXPORT(web_click)(sessrec_session *session, int32_t item) {
    return sessrec_session_click(session, item);
}

int32_t EXPORT(web_recommend)(sessrec_session *session, int32_t k, int32_t skip_seen,
                              sessrec_recommendation *out) {
    sessrec_query query = sessrec_query_default();
    int32_t count = 0;
    query.k = k;
    query.skip_seen = skip_seen;
    const sessrec_result result = sessrec_session_recommend(session, &query, out, &count, NULL);
    return result ? sessrec_error_set(&error, result, NULL) : count;
}

int32_t EXPORT(web_reasons)(sessrec_session *session, int32_t item, sessrec_reason *out, int32_t room) {
    return sessrec_session_reasons(session, item, out, room);
}

// What a session of the index clicked, for a reason that names it.
int32_t EXPORT(web_session_items)(int32_t session, int32_t *items, int32_t room) {
    return sessrec_knn_session_items(&scorer, session, items, room);
}

void EXPORT(web_end)(sessrec_session *session) {
    sessrec_session_end(session);
}

// ---- train and evaluate ----
#ifdef WEB_TRAINING

static sessrec_config config;
static size_t file_size;

// Calls back into the page, a few times per second and at the end of each epoch; 1 stops the training.
__attribute__((import_module("page"), import_name("progress"))) int32_t page_progress(
    int32_t epoch, int32_t epochs, double step, double steps, double events, double loss,
    double events_per_second);

static int32_t report_progress(void *user, const sessrec_progress *p) {
    (void)user;
    return page_progress(p->epoch, p->epochs, (double)p->step, (double)p->steps,
                         (double)p->events, p->loss, p->events_per_second);
}

sessrec_log *EXPORT(web_log)(const char *text, size_t size) {
    sessrec_log *log = NULL;
    sessrec_log_import(text, size, NULL, &log, &error);
    return log;
}

void EXPORT(web_log_destroy)(sessrec_log *log) {
    sessrec_log_destroy(log);
}

// The numbers that describe a log: events, sessions, items, first and last time.
void EXPORT(web_log_numbers)(const sessrec_log *log, double out[5]) {
    const sessrec_log_view view = sessrec_log_contents(log);
    const int64_t events = view.event_count;
    out[0] = (double)events;
    out[1] = view.session_count;
    out[2] = view.item_count;
    out[3] = events ? view.times[0] : 0;
    out[4] = out[3];
    for (int64_t e = 0; e < events; ++e)
        if (view.times[e] > out[4]) out[4] = view.times[e];
}

sessrec_result EXPORT(web_log_split)(const sessrec_log *log, double time, sessrec_log *out[2]) {
    return sessrec_log_split_time(log, time, &out[0], &out[1], &error);
}

void EXPORT(web_defaults)(void) {
    config = sessrec_config_default();
    config.threads = 1;
    config.progress = report_progress;
}

sessrec_result EXPORT(web_set)(const char *name, const char *value) {
    return sessrec_config_set(&config, name, value, &error);
}

// The bytes of the last file that a function below made.
size_t EXPORT(web_file_size)(void) {
    return file_size;
}

static void *file_of(sessrec_scorer *made) {
    file_size = sessrec_scorer_export_size(made);
    void *bytes = take(file_size);
    const sessrec_result result =
        bytes ? sessrec_scorer_export(made, bytes, file_size) : SESSREC_OUT_OF_MEMORY;
    if (result) {
        sessrec_error_set(&error, result, NULL);
        free(bytes);
        bytes = NULL;
    }
    sessrec_scorer_destroy(made);
    return bytes;
}

// A model, with the settings of web_set; also that of a training that was stopped.
void *EXPORT(web_train)(const sessrec_log *log) {
    sessrec_model *model = NULL;
    sessrec_scorer network;
    void *bytes = NULL;
    sessrec_train(&config, log, NULL, &model, &error);
    if (model && !sessrec_scorer_model(model, NULL, &network, &error)) bytes = file_of(&network);
    sessrec_model_destroy(model);
    return bytes;
}

void *EXPORT(web_neighbors)(const sessrec_log *log, const char *preset) {
    sessrec_knn_config settings = sessrec_knn_config_default();
    sessrec_scorer knn;
    const sessrec_result result = sessrec_knn_preset(preset, &settings);
    if (result) {
        sessrec_error_set(&error, result, "the presets are sknn, vsknn, stan, vstan and vmis");
        return NULL;
    }
    return sessrec_knn_create(&settings, log, &knn, &error) ? NULL : file_of(&knn);
}

// A network's scores and the logarithms of its neighbors', times `weight`. Both files are at `files`.
void *EXPORT(web_blend)(const void *network_file, size_t network_size, const void *knn_file, size_t knn_size,
                        double weight) {
    sessrec_scorer network, knn, blend;
    void *bytes = NULL;
    if (sessrec_scorer_import(network_file, network_size, NULL, &network, &error)) return NULL;
    if (!sessrec_scorer_import(knn_file, knn_size, NULL, &knn, &error)) {
        const sessrec_blend_part parts[2] = {{&network, 1, 0}, {&knn, (float)weight, 1}};
        if (!sessrec_blend_create(parts, 2, 0, NULL, &blend, &error)) bytes = file_of(&blend);
        sessrec_scorer_destroy(&knn);
    }
    sessrec_scorer_destroy(&network);
    return bytes;
}

// Evaluates a file on a log: events, events of unknown items, Recall@cutoff, MRR@cutoff.
sessrec_result EXPORT(web_evaluate)(const void *bytes, size_t size, const sessrec_log *log, int32_t cutoff,
                                    double out[4]) {
    sessrec_eval_config settings = sessrec_eval_config_default();
    sessrec_report report;
    sessrec_scorer judged;
    sessrec_result result = sessrec_scorer_import(bytes, size, NULL, &judged, &error);
    if (result) return result;
    settings.cutoff_count = 1;
    settings.cutoffs[0] = cutoff;
    result = sessrec_evaluate_scorer(&judged, log, &settings, &report, &error);
    sessrec_scorer_destroy(&judged);
    if (result) return result;
    out[0] = (double)report.event_count;
    out[1] = (double)report.unknown_count;
    out[2] = report.all.recall[0];
    out[3] = report.all.mrr[0];
    return SESSREC_OK;
}
#endif // WEB_TRAINING
