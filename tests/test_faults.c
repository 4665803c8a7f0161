// test_faults.c - a tour of the public calls, again and again, in which each allocation fails in turn: once,
// or that one and all after it; on one thread and on three. Whatever fails says OUT_OF_MEMORY, gives nothing
// out, and leaks nothing. And a tour in which each thread in turn cannot start: the others do its work.
#if !defined(_WIN32) && !defined(SESSREC_NO_THREADS)
#  include <pthread.h>
static int threads_started, threads_fail_at, threads_fail_after;
static inline int start_thread(pthread_t *thread, const pthread_attr_t *kind, void *(*run)(void *),
                               void *argument) {
    const int n = threads_started++;
    if (n == threads_fail_at || (threads_fail_after && n > threads_fail_at)) return 11;  // EAGAIN
    return pthread_create(thread, kind, run, argument);
}
#  define pthread_create start_thread
#endif
#define SESSREC_IMPLEMENTATION
#define SESSREC__MOST_THREADS 16  // also on one processor
#include "../sessrec.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- memory that fails ----

typedef struct faulty {
    int64_t calls, live;
    int64_t fail_at;    // the number of the call that fails, from 0
    int fail_after;     // 1: and all after it
} faulty;

static void *faulty_alloc(void *user, size_t bytes) {
    faulty *memory = (faulty *)user;
    const int64_t call = memory->calls++;
    if (call == memory->fail_at || (memory->fail_after && call > memory->fail_at)) return NULL;
    void *block = malloc(bytes);
    memory->live += block != NULL;
    return block;
}

static void faulty_free(void *user, void *block) {
    ((faulty *)user)->live -= block != NULL;
    free(block);
}

// ---- the tour ----

typedef struct tour {
    sessrec_allocator allocator;
    int32_t threads;
    const char *folder;
    int surprises;      // results that are neither OK nor OUT_OF_MEMORY, and what failed calls gave out
} tour;

// Whether the tour can go on from here.
static int went(tour *t, sessrec_result result) {
    t->surprises += result != SESSREC_OK && result != SESSREC_OUT_OF_MEMORY;
    return result == SESSREC_OK;
}
// The same for a call that makes something, and then gives it out: only then.
static int gave(tour *t, sessrec_result result, void *out_address) {
    const void *out;
    memcpy(&out, out_address, sizeof out);
    t->surprises += (result == SESSREC_OK) != (out != NULL);
    return went(t, result);
}

static sessrec_log *make_log(tour *t) {
    static const char *const visits[8] = {"abcd", "bcda", "cafe", "fade", "beef", "abba", "dead", "face"};
    sessrec_log_format format = sessrec_log_format_default();
    sessrec_log *log = NULL;
    format.allocator = t->allocator;
    if (!gave(t, sessrec_log_create(&format, &log, NULL), &log)) return NULL;
    for (int visit = 0; visit < 8; ++visit)
        for (int click = 0; visits[visit][click]; ++click)  // the first failure stays: finish returns it
            (void)sessrec_log_add_numbers(log, visit % 3, visit, visits[visit][click], 100.0 * visit + click);
    if (went(t, sessrec_log_finish(log, NULL))) return log;
    sessrec_log_destroy(log);
    return NULL;
}

static void visit_logs(tour *t, sessrec_log *log) {
    sessrec_log *one = NULL, *two = NULL;
    sessrec_log_format format = sessrec_log_format_default();
    sessrec_filter filter = sessrec_filter_default();
    format.allocator = t->allocator;
    filter.min_support = 2;
    filter.min_length = 2;
    filter.drop_repeats = 1;
    if (gave(t, sessrec_log_split_time(log, 350, &one, &two, NULL), &one)) {
        went(t, sessrec_log_filter(one, &filter, NULL));
        went(t, sessrec_log_sessionize(two, 1.5, NULL));
        went(t, sessrec_log_keep_items(two, one, NULL));
    }
    sessrec_log_destroy(one);
    sessrec_log_destroy(two);
    if (gave(t, sessrec_log_split_last_session(log, &one, &two, NULL), &one)) {
        sessrec_log_destroy(one);
        sessrec_log_destroy(two);
    }
    static const char text[] = "SessionId,ItemId,Time,Shop\n1,x,1,\n1,\"y,z\",2,b\n2,x,3.5,a\n";
    format.category_columns = "Shop,ItemId";
    if (gave(t, sessrec_log_import(text, sizeof text - 1, &format, &one, NULL), &one)) {
        went(t, sessrec_log_sessionize(one, 0.5, NULL));
        sessrec_log_destroy(one);
    }
}

static void visit_sessions(tour *t, const sessrec_model *model) {
    static unsigned char memory[1 << 16], state[4096];
    sessrec_session *session = NULL;
    sessrec_query query = sessrec_query_default();
    sessrec_recommendation best[3];
    int32_t count;
    query.k = 3;
    went(t, sessrec_session_init(model, 4, memory, sizeof memory, &session, NULL));
    went(t, sessrec_session_click(session, 0));
    went(t, sessrec_session_recommend(session, &query, best, &count, NULL));
    went(t, sessrec_session_export(session, state, sizeof state));
    went(t, sessrec_session_import(session, state, sessrec_session_export_size(session)));
}

static void visit_scorer_session(tour *t, const sessrec_scorer *scorer) {
    static unsigned char memory[1 << 16];
    const size_t size = sessrec_scorer_session_size(scorer, 4, NULL);
    sessrec_session *session = NULL;
    sessrec_recommendation best[3];
    sessrec_reason reasons[2];
    t->surprises += !size || size > sizeof memory;
    if (!size || size > sizeof memory) return;
    went(t, sessrec_scorer_session_init(scorer, 4, NULL, memory, sizeof memory, &session, NULL));
    for (int32_t click = 0; click < 3; ++click) went(t, sessrec_session_click(session, click));
    const int32_t count = sessrec_recommend(session, 3, best);
    t->surprises += count < 0 || (count && sessrec_session_reasons(session, best[0].item, reasons, 2) < 0);
}

// A scorer's file and its bytes. What is read is destroyed; the scorer stays.
static void visit_scorer_file(tour *t, const sessrec_scorer *scorer) {
    char path[512];
    sessrec_scorer copy;
    snprintf(path, sizeof path, "%s/scorer", t->folder);
    remove(path);
    if (went(t, sessrec_scorer_write(scorer, path, NULL))) {
        const sessrec_result result = sessrec_scorer_read(path, &t->allocator, &copy, NULL);
        t->surprises += (result == SESSREC_OK) != (copy.self != NULL);
        if (went(t, result)) {
            visit_scorer_session(t, &copy);
            sessrec_scorer_destroy(&copy);
        }
    }
    const size_t size = sessrec_scorer_export_size(scorer);
    void *room = malloc(size + 64);
    unsigned char *bytes = room ? (unsigned char *)room + (64 - (uintptr_t)room % 64) % 64 : NULL;
    if (bytes && went(t, sessrec_scorer_export(scorer, bytes, size)) &&
        went(t, sessrec_scorer_import(bytes, size, &t->allocator, &copy, NULL))) {
        const int32_t items[2] = {0, 1};
        if (sessrec_knn_sessions(&copy)) {
            for (int i = 0; i < 10; ++i) went(t, sessrec_knn_append(&copy, items, 2, 1e6 + i));
            went(t, sessrec_knn_forget(&copy, 500));
        }
        visit_scorer_session(t, &copy);
        sessrec_scorer_destroy(&copy);
    }
    free(room);
}

// Neighbors, rules, popularity, the model, and a blend of them; each is made, asked, written and read.
static void visit_scorers(tour *t, const sessrec_model *model, const sessrec_log *log) {
    sessrec_scorer scorers[4], blend;
    sessrec_blend_part parts[4];
    sessrec_knn_config knn = sessrec_knn_config_default();
    sessrec_rules_config rules = sessrec_rules_config_default();
    sessrec_eval_config eval = sessrec_eval_config_default();
    sessrec_report report;
    int made[4];
    knn.allocator = rules.allocator = eval.allocator = t->allocator;
    knn.k = 4;
    eval.threads = t->threads;
    rules.kind = SESSREC_RULES_MARKOV;
    rules.order = 2;
    memset(scorers, 0, sizeof scorers);
    made[0] = went(t, sessrec_scorer_model(model, &t->allocator, &scorers[0], NULL));
    made[1] = went(t, sessrec_knn_create(&knn, log, &scorers[1], NULL));
    made[2] = went(t, sessrec_rules_create(&rules, log, &scorers[2], NULL));
    rules.kind = SESSREC_RULES_ITEMKNN;
    made[3] = went(t, sessrec_rules_create(&rules, log, &scorers[3], NULL));
    for (int i = 0; i < 4; ++i) {
        parts[i].scorer = &scorers[i];
        parts[i].weight = 1;
        parts[i].logarithm = i == 1;
        t->surprises += made[i] != (scorers[i].self != NULL);
        if (i && made[i]) visit_scorer_session(t, &scorers[i]);
        if (i && made[i]) visit_scorer_file(t, &scorers[i]);
    }
    if (made[0] && made[1] && made[2] && made[3] &&
        went(t, sessrec_blend_create(parts, 4, 0, &t->allocator, &blend, NULL))) {
        visit_scorer_session(t, &blend);
        visit_scorer_file(t, &blend);
        went(t, sessrec_evaluate_scorer(&blend, log, &eval, &report, NULL));
        sessrec_scorer_destroy(&blend);
    }
    for (int i = 0; i < 4; ++i) sessrec_scorer_destroy(&scorers[i]);
}

static void visit_models(tour *t, sessrec_model *model, const sessrec_log *log) {
    char path[512];
    sessrec_model *copy = NULL;
    sessrec_eval_config eval = sessrec_eval_config_default();
    sessrec_report report;
    sessrec_scorer scorer;
    eval.allocator = t->allocator;
    eval.threads = t->threads;
    eval.coverage = 1;
    snprintf(path, sizeof path, "%s/model", t->folder);
    went(t, sessrec_evaluate(model, log, &eval, &report, NULL));
    if (went(t, sessrec_scorer_pop(log, &t->allocator, &scorer, NULL))) {
        went(t, sessrec_evaluate_scorer(&scorer, log, &eval, &report, NULL));
        sessrec_scorer_destroy(&scorer);
    }
    if (went(t, sessrec_scorer_model(model, &t->allocator, &scorer, NULL))) sessrec_scorer_destroy(&scorer);
    if (went(t, sessrec_model_write(model, path, NULL)) &&
        gave(t, sessrec_model_read(path, &t->allocator, &copy, NULL), &copy)) {
        went(t, sessrec_model_prepare(copy));
        visit_sessions(t, copy);
        sessrec_model_destroy(copy);
    }
    const size_t size = sessrec_model_export_size(model);
    void *room = malloc(size + 64);
    unsigned char *bytes = room ? (unsigned char *)room + (64 - (uintptr_t)room % 64) % 64 : NULL;
    if (bytes && went(t, sessrec_model_export(model, bytes, size)) &&
        gave(t, sessrec_model_import(bytes, size, &t->allocator, &copy, NULL), &copy)) {
        visit_sessions(t, copy);
        sessrec_model_destroy(copy);
    }
    free(room);
}

static void go_around(tour *t) {
    char path[512];
    sessrec_log *log = make_log(t);
    sessrec_config config = sessrec_config_default();
    sessrec_model *model = NULL, *later = NULL;
    if (!log) return;
    snprintf(path, sizeof path, "%s/checkpoint", t->folder);
    remove(path);
    config.hidden[0] = config.user_hidden = 4;
    config.user_mode = SESSREC_USER_ALL;
    config.optimizer.kind = SESSREC_ADAM;
    config.optimizer.learning_rate = 0.01f;
    config.batch_size = 3;
    config.negatives = 4;
    config.epochs = 2;
    config.patience = 1;
    config.checkpoint = path;
    config.resume = 1;
    config.threads = t->threads;
    config.allocator = t->allocator;
    visit_logs(t, log);
    if (gave(t, sessrec_train(&config, log, log, &model, NULL), &model)) {
        visit_models(t, model, log);
        visit_scorers(t, model, log);
        config.checkpoint = NULL;
        config.start_from = model;
        sessrec_log_format format = sessrec_log_format_default();
        sessrec_log *new_log = NULL;
        format.items_of = model;
        format.allocator = t->allocator;
        if (gave(t, sessrec_log_create(&format, &new_log, NULL), &new_log)) {
            for (int click = 0; click < 4; ++click)
                (void)sessrec_log_add_numbers(new_log, 0, 0, "axay"[click], click);
            if (went(t, sessrec_log_finish(new_log, NULL)) &&
                gave(t, sessrec_train(&config, new_log, NULL, &later, NULL), &later))
                sessrec_model_destroy(later);
            sessrec_log_destroy(new_log);
        }
    }
    sessrec_model_destroy(model);
    sessrec_log_destroy(log);
}

// Each allocation of the tour fails in turn; ends when one goes around without a failure.
static void fail_each(int32_t threads, int fail_after) {
    static const char *const folders[2] = {"/dev/shm", "."};
    faulty memory;
    tour t;
    int64_t leaks = 0;
    FILE *probe = fopen("/dev/shm/sessrec-probe", "wb");
    memset(&t, 0, sizeof t);
    if (probe) {
        fclose(probe);
        remove("/dev/shm/sessrec-probe");
    }
    char folder[64], command[128];
    snprintf(folder, sizeof folder, "%s/sessrec-faults-%d-%d", folders[!probe], (int)threads, fail_after);
    snprintf(command, sizeof command, "mkdir -p %s", folder);
    CHECK_EQ(system(command), 0);
    t.folder = folder;
    t.threads = threads;
    t.allocator.alloc = faulty_alloc;
    t.allocator.free = faulty_free;
    t.allocator.user = &memory;
    int64_t allocations = 0;
    do {
        memset(&memory, 0, sizeof memory);
        memory.fail_at = allocations;
        memory.fail_after = fail_after;
        go_around(&t);
        leaks += memory.live != 0;
        ++allocations;
    } while (memory.calls >= allocations && allocations < 100000);
    CHECK_EQ(t.surprises, 0);
    CHECK_EQ(leaks, 0);
    CHECK(allocations > 100);
    printf("%lld allocations of the tour failed, %s, with %d thread%s\n", (long long)allocations - 1,
           fail_after ? "and all after them" : "each once", (int)threads, threads > 1 ? "s" : "");
    snprintf(command, sizeof command, "rm -r %s", folder);
    CHECK_EQ(system(command), 0);
}

#ifdef pthread_create
// The bytes of a model that was trained while some threads did not start.
static size_t trained_without(int at, int after, unsigned char *out, size_t room) {
    faulty memory;
    tour t;
    size_t size = 0;
    sessrec_model *model = NULL;
    sessrec_config config = sessrec_config_default();
    memset(&memory, 0, sizeof memory);
    memset(&t, 0, sizeof t);
    memory.fail_at = -1;
    t.allocator.alloc = faulty_alloc;
    t.allocator.free = faulty_free;
    t.allocator.user = &memory;
    threads_started = 0;
    threads_fail_at = at;
    threads_fail_after = after;
    sessrec_log *log = make_log(&t);
    config.hidden[0] = 4;
    config.batch_size = 3;
    config.negatives = 70;
    config.epochs = 2;
    config.threads = 4;
    config.allocator = t.allocator;
    if (!sessrec_train(&config, log, log, &model, NULL)) {
        size = sessrec_model_export_size(model);
        if (size > room || sessrec_model_export(model, out, size)) size = 0;
    }
    sessrec_model_destroy(model);
    sessrec_log_destroy(log);
    return memory.live ? 0 : size;
}

static void fail_threads(void) {
    static unsigned char whole[1 << 16], without[1 << 16];
    const size_t size = trained_without(-1, 0, whole, sizeof whole);
    const int started = threads_started;
    CHECK(size > 0);
    CHECK(started >= 3);
    for (int at = 0; at < started; ++at)
        for (int after = 0; after < 2; ++after) {
            CHECK_EQ(trained_without(at, after, without, sizeof without), size);
            CHECK(!memcmp(whole, without, size));
        }
    threads_fail_at = -1;
    threads_fail_after = 0;
}
#endif

int main(void) {
#ifdef pthread_create
    threads_fail_at = -1;
    TEST("R2 any thread may fail to start: the same bits, no leak") fail_threads();
#else
    SKIP("threads that cannot start", "there are none here");
#endif
    TEST("R2 any allocation may fail, once: OUT_OF_MEMORY, no crash, no leak") fail_each(1, 0);
    TEST("R2 memory may end at any allocation: OUT_OF_MEMORY, no crash, no leak") fail_each(1, 1);
    TEST("R2 the same with three threads") {
        fail_each(3, 0);
        fail_each(3, 1);
    }
    return test_report("faults");
}
