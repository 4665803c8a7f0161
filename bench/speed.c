// speed.c - how fast the library is on this machine, and how fast the machine is: medians of five runs at
// published settings, on a made-up log
//
//     speed [ITEMS [LOG [SUBJECT ...]]]     37483 items with Zipf popularity unless given, the made-up log
//     for "-", every subject:
//         memory     the peak of a process that reads a log and trains
//         read       from a text file to a log that is ready for training; of LOG if there is one
//         train      mini-batches a second at published settings
//         evaluate   events a second, against the whole catalog
//         click      from a click to the 20 best items, and these for several sessions at once
//         file       saving a model, loading it, from a file to the first recommendation
//     speed ITEMS PATH write                the made-up log as a file, for others to train on
//     speed ITEMS - settings                the published settings, a line each
//     speed ITEMS - cores                   how long two processors take to answer each other
//
// Each line says who ("ours", or "limit" for what the machine can do at most), what, and how much. `make
// bench` runs it beside other programs.
#include "speed.h"

#if defined(__unix__) || defined(__APPLE__)
#define POSIX
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __APPLE__
#define RSS_UNITS 1048576  // ru_maxrss has bytes there, kilobytes elsewhere
#else
#define RSS_UNITS 1024
#endif
#endif

// ---- what this machine can do at all, with so many threads ----

// Seconds of the fastest of RUNS runs in which each thread does the task once.
static double together(int32_t threads, sessrec__task task, void *context) {
    static sessrec__pool pool;
    sessrec_jobs own;
    double best = INFINITY;
    memset(&own, 0, sizeof own);
    sessrec__pool_init(&pool, threads, &own);
    for (int run = 0; run < RUNS; ++run) {
        const double start = now();
        sessrec__pool_run(&pool, threads, task, context);
        const double seconds = now() - start;
        best = seconds < best ? seconds : best;
    }
    sessrec__pool_free(&pool);
    return best;
}

#if defined(__x86_64__) && defined(__GNUC__)
#  define PEAK(name, instructions, bytes)                                                                    \
    __attribute__((target(instructions))) static float name(int rounds) {                                    \
      typedef float vector __attribute__((vector_size(bytes)));                                              \
      vector a = {0}, b = {0}, s0 = a, s1 = a, s2 = a, s3 = a, s4 = a, s5 = a, s6 = a, s7 = a, s8 = a,       \
             s9 = a;                                                                                         \
      for (int i = 0; i < rounds; ++i) {                                                                     \
        s0 = s0 * a + b, s1 = s1 * a + b, s2 = s2 * a + b, s3 = s3 * a + b, s4 = s4 * a + b;                 \
        s5 = s5 * a + b, s6 = s6 * a + b, s7 = s7 * a + b, s8 = s8 * a + b, s9 = s9 * a + b;                 \
        __asm__ volatile(""                                                                                  \
                         : "+x"(a), "+x"(b), "+x"(s0), "+x"(s1), "+x"(s2), "+x"(s3),                         \
                           "+x"(s4)); /* chains that stay apart */                                           \
        __asm__ volatile("" : "+x"(s5), "+x"(s6), "+x"(s7), "+x"(s8), "+x"(s9));                             \
      }                                                                                                      \
      a = s0 + s1 + s2 + s3 + s4 + s5 + s6 + s7 + s8 + s9;                                                   \
      return a[0];                                                                                           \
    }
PEAK(peak_avx512, "avx512f,fma", 64)
PEAK(peak_avx2, "avx2,fma", 32)

enum { ROUNDS = 2000000 };
static void peak_task(void *result, int32_t index) {
    ((float *)result)[index] = !strcmp(sessrec_simd(), "avx512") ? peak_avx512(ROUNDS) : peak_avx2(ROUNDS);
}
#endif

// Floating-point operations a second of ten chains of fused multiply-adds; 0 where nobody wrote it down.
static double peak(int32_t threads) {
#if defined(__x86_64__) && defined(__GNUC__)
    static float result[SESSREC__MAX_THREADS];
    const int lanes = !strcmp(sessrec_simd(), "avx512") ? 16 : 8;
    if (!strncmp(sessrec_simd(), "avx", 3))
        return 2.0 * 10 * lanes * ROUNDS * threads / together(threads, peak_task, result);
#endif
    return 0;
}

// Adds to one row of weights, Adagrad's sums and velocities, at places that the sampler draws.
typedef struct rows_work {
    float *table[3];
    int32_t *row;
    int32_t draws, width, threads;
} rows_work;

static void rows_task(void *context, int32_t index) {
    const rows_work *w = (const rows_work *)context;
    const int32_t first = w->draws / w->threads * index, last = w->draws / w->threads * (index + 1);
    for (int32_t i = first; i < last; ++i)
        for (int t = 0; t < 3; ++t) {
            float *at = w->table[t] + (ptrdiff_t)w->row[i] * w->width;
            if (i + SESSREC__AHEAD < last)
                sessrec__prefetch_row(w->table[t], w->width, w->row[i + SESSREC__AHEAD]);
            for (int32_t j = 0; j < w->width; ++j) at[j] += 1;
        }
}

// Seconds for one row; 0 without memory.
static double row_seconds(const sessrec_log *log, int32_t width, int32_t threads) {
    const sessrec_log_view view = sessrec_log_contents(log);
    const sessrec_allocator memory = sessrec__allocator(NULL);
    sessrec_sampler *sampler = NULL;
    rows_work w = {{NULL, NULL, NULL}, NULL, 80000, width, threads};
    int ready = !sessrec_sampler_create(view.supports, view.item_count, 0.5f, NULL, &sampler, NULL);
    for (int t = 0; t < 3; ++t)
        ready &= !!(w.table[t] = (float *)sessrec__alloc(&memory, (uint64_t)view.item_count * (uint64_t)width,
                                                         sizeof(float)));
    ready &= !!(w.row = (int32_t *)malloc((size_t)w.draws * sizeof *w.row));
    if (ready) sessrec__sampler_draws(sampler, 1, 0, w.draws, w.row);
    for (int32_t i = 0; i < w.draws && ready; ++i) {  // no two threads have a row in common
        const int32_t own = w.row[i] / threads * threads + i / (w.draws / threads);
        w.row[i] = own < view.item_count ? own : w.row[i];
    }
    const double seconds = ready ? together(threads, rows_task, &w) / w.draws : 0;
    sessrec_sampler_destroy(sampler);
    for (int t = 0; t < 3; ++t) sessrec__free(&memory, w.table[t]);
    free(w.row);
    return seconds;
}

static volatile int64_t unread;  // so that no reading is left out

// Reads so many bytes, with eight sums that do not wait for each other.
static void read_all(const void *bytes, size_t size) {
    int64_t sum[8] = {0};
    for (const int64_t *at = (const int64_t *)bytes, *end = at + size / 64 * 8; at < end; at += 8)
        for (int i = 0; i < 8; ++i) sum[i] += at[i];
    for (int i = 0; i < 8; ++i) unread += sum[i];
}

// Seconds that takes on one thread.
static double stream(const void *bytes, size_t size) {
    double seconds[RUNS * 5];
    for (int run = 0; run < RUNS * 5; ++run) {
        const double start = now();
        read_all(bytes, size);
        seconds[run] = now() - start;
    }
    return median(seconds, RUNS * 5);
}

// ---- the subjects ----

typedef struct bench {
    int32_t items, threads[2];      // one, and as many as there are processors
    int counts;                     // of threads: 1 on a machine with one processor
    const char *path;               // of a log, or NULL
    const sessrec_log *log;
    sessrec_model *model;           // L=100, nearly untrained
} bench;

typedef struct training_run {
    sessrec_trainer *trainer;
    sessrec_sampler *sampler;
    sessrec_batcher *batcher;
} training_run;

static int open_run(training_run *r, const sessrec_config *config, const sessrec_log *log) {
    memset(r, 0, sizeof *r);
    return !sessrec_trainer_create(config, log, &r->trainer, NULL) &&
           !sessrec_trainer_sampler(r->trainer, &r->sampler, NULL) &&
           !sessrec_batcher_create(config, log, r->sampler, &r->batcher, NULL);
}
static void close_run(training_run *r) {
    sessrec_batcher_destroy(r->batcher);
    sessrec_sampler_destroy(r->sampler);
    sessrec_trainer_destroy(r->trainer);
}
static double train_step(void *context) {
    training_run *r = (training_run *)context;
    sessrec_batch batch;
    do
        if (sessrec_batcher_next(r->batcher, &batch)) return 0;
    while (!batch.rows);
    return !sessrec_trainer_step(r->trainer, &batch, NULL, NULL);
}

// The limit: threads that only multiply and add, at their peak, and update rows, one after the other.
static void training(const bench *b) {
    const double flops[2] = {peak(b->threads[0]), peak(b->threads[1])};
    for (int i = 0; i < settings_for(b->items); ++i)
        for (int t = 0; t < b->counts; ++t) {
            const setting *s = &SETTINGS[i];
            const int32_t threads = b->threads[t];
            const double B = s->batch, L = s->width, C = B + s->negatives;
            const char *what = "training, mini-batches/s: %d items, %s, %d thread%s";
            const sessrec_config config = configured(s, threads);
            training_run r;
            if (open_run(&r, &config, b->log))
                record("ours", speed_of(train_step, &r), what, (int)b->items, s->name, (int)threads,
                       threads > 1 ? "s" : "");
            close_run(&r);
            const double rows = (C + B) * row_seconds(b->log, s->width, threads);
            if (flops[t] > 0 && rows > 0)
                record("limit", 1 / ((36 * B * L * L + 6 * B * C * L) / flops[t] + rows), what, (int)b->items,
                       s->name, (int)threads, threads > 1 ? "s" : "");
        }
}

typedef struct evaluation_run {
    const sessrec_model *model;
    sessrec_log *log;
    sessrec_eval_config config;
} evaluation_run;

static double evaluate_all(void *context) {
    evaluation_run *r = (evaluation_run *)context;
    sessrec_report report;
    return sessrec_evaluate(r->model, r->log, &r->config, &report, NULL) ? 0 : (double)report.event_count;
}

// The limit: multiply-adds at their peak.
static void evaluation(const bench *b) {
    const double L = 100, operations = 2 * L * b->items + 12 * L * L;
    evaluation_run r = {b->model, make_log(b->items, 1000, 0), sessrec_eval_config_default()};
    for (int t = 0; t < b->counts && r.log; ++t) {
        const char *what = "evaluation, events/s: %d items, L=100, %d thread%s";
        const int32_t threads = r.config.threads = b->threads[t];
        record("ours", speed_of(evaluate_all, &r), what, (int)b->items, (int)threads, threads > 1 ? "s" : "");
        record("limit", peak(threads) / operations, what, (int)b->items, (int)threads,
               threads > 1 ? "s" : "");
    }
    sessrec_log_destroy(r.log);
}

static void click_and_recommend(void *context, int32_t item) {
    static const int32_t k = 20;
    sessrec_recommendation best[20];
    sessrec_query query = sessrec_query_default();
    int32_t count;
    query.k = k;
    sessrec_session_click((sessrec_session *)context, item);
    sessrec_session_recommend((sessrec_session *)context, &query, best, &count, NULL);
}

// Several sessions at once, and the 20 best items for each.
enum { AT_ONCE = 64 };

typedef struct visitors {
    int32_t at_once;
    sessrec_scratch *scratch;
    sessrec_session *session[AT_ONCE];
    sessrec_query query;
    sessrec_recommendation best[AT_ONCE][20];
} visitors;

static double recommend_to_all(void *context) {
    visitors *v = (visitors *)context;
    sessrec_request requests[AT_ONCE];
    memset(requests, 0, sizeof requests);
    for (int i = 0; i < AT_ONCE; ++i) {
        requests[i].session = v->session[i];
        requests[i].query = &v->query;
        requests[i].out = v->best[i];
    }
    for (int i = 0; i < AT_ONCE; i += v->at_once)
        if (sessrec_sessions_recommend(v->scratch, requests + i, v->at_once)) return 0;
    return AT_ONCE;
}

// The limit from floats: to read the table once, or multiply-adds at their peak, whichever takes longer.
static void recommend_at_once(const bench *b, const char *form, double reading, int prepared) {
    static const int32_t AT[4] = {1, 4, 16, AT_ONCE};
    static unsigned char memory[AT_ONCE][1 << 13];
    static unsigned char shared[1 << 17];
    static visitors v;
    const double computing = 2 * 100.0 * b->items / peak(1);
    uint64_t state = 3;
    v.query = sessrec_query_default();
    if (sessrec_scratch_init(b->model, 32, shared, sizeof shared, &v.scratch, NULL)) return;
    for (int i = 0; i < AT_ONCE; ++i) {
        if (sessrec_session_init(b->model, 20, memory[i], sizeof memory[i], &v.session[i], NULL)) return;
        for (int click = 0; click < 3; ++click) sessrec_session_click(v.session[i], zipf(&state, b->items));
    }
    for (int i = 0; i < 4; ++i) {
        const char *what = "top 20, sessions/s: %d items, %s%d at once, 1 thread";
        v.at_once = AT[i];
        record("ours", speed_of(recommend_to_all, &v), what, (int)b->items, form, (int)AT[i]);
        if (prepared) continue;
        record("limit", 1 / (reading / AT[i] > computing ? reading / AT[i] : computing), what, (int)b->items,
               form, (int)AT[i]);
    }
}

// First from the floats, then from the bytes of a prepared model. The limit: the time to read those, in the
// same memory.
static void clicks(const bench *b) {
    static const char *const FORM[2] = {"from floats, ", ""};
    static unsigned char memory[1 << 16];
    sessrec_session *session = NULL;
    const size_t weights = (size_t)b->items * 100;
    for (int prepared = 0; prepared < 2; ++prepared) {
        if (prepared && sessrec_model_prepare(b->model)) return;
        if (sessrec_session_init(b->model, 20, memory, sizeof memory, &session, NULL)) return;
        latency("ours", FORM[prepared], b->items, 1, click_and_recommend, session);
        // a byte a weight, or four
        const double read = stream(b->model->Wy, prepared ? weights : weights * sizeof(float));
        record("limit", 1e6 * read, "click and top 20, microseconds: %d items, %s1 thread, p50",
               (int)b->items, FORM[prepared]);
        recommend_at_once(b, FORM[prepared], read, prepared);
    }
}

// From a file to a log that is ready for training. The limit: to read the file's bytes, on one thread.
static double load_log(void *context) {
    const bench *b = (const bench *)context;
    sessrec_log *log = NULL;
    sessrec_log_format format = sessrec_log_format_default();
    const int good = !sessrec_log_read(b->path, &format, &log, NULL);
    sessrec_log_destroy(log);
    return good;
}
static double read_bytes(void *context) {
    static char piece[1 << 18];
    FILE *file = fopen(((const bench *)context)->path, "rb");
    while (file && fread(piece, 1, sizeof piece, file) == sizeof piece) {}
    if (file) fclose(file);
    return file != NULL;
}

static void reading(const bench *b) {
    const char *made = "speed_log.tmp", *what = "reading a log, MB/s: %.1f MB, 1 thread";
    bench one = *b;
    if (!b->path) one.path = sessrec_log_write(b->log, made, NULL) ? NULL : made;
    FILE *file = one.path ? fopen(one.path, "rb") : NULL;
    if (!file) return;
    fseek(file, 0, SEEK_END);
    const double size = (double)ftell(file) / 1e6;
    fclose(file);
    record("ours", size * speed_of(load_log, &one), what, size);
    record("limit", size * speed_of(read_bytes, &one), what, size);
    if (!b->path) remove(made);
}

static const char MODEL[] = "speed_model.tmp";

static void first_recommendation(sessrec_model *model) {
    static unsigned char memory[1 << 16];
    sessrec_session *session = NULL;
    if (!sessrec_session_init(model, 20, memory, sizeof memory, &session, NULL))
        click_and_recommend(session, 0);
}
static double save_model(void *context) {
    return !sessrec_model_write(((const bench *)context)->model, MODEL, NULL);
}
static double load_model(void *context) {
    sessrec_model *model = NULL;
    (void)context;
    const int good = !sessrec_model_read(MODEL, NULL, &model, NULL);
    sessrec_model_destroy(model);
    return good;
}
static double load_and_recommend(void *context) {
    sessrec_model *model = NULL;
    (void)context;
    const int good = !sessrec_model_read(MODEL, NULL, &model, NULL);
    if (good) first_recommendation(model);
    sessrec_model_destroy(model);
    return good;
}
#ifdef POSIX
static double write_bytes(void *context) {
    const bench *b = (const bench *)context;
    const char *at = (const char *)b->model->Wy;
    size_t left = (size_t)b->items * 100 * sizeof(float);
    const int file = open(MODEL, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    while (file >= 0 && left) {
        const ssize_t written = write(file, at, left);
        if (written <= 0) break;
        at += written, left -= (size_t)written;
    }
    if (file < 0) return 0;
    const int good = !left && !fsync(file);
    close(file);
    return good;
}
static double with_mapped(const bench *b, int (*work)(const bench *b, const void *bytes, size_t size)) {
    const size_t size = sessrec_model_export_size(b->model);
    const int file = open(MODEL, O_RDONLY);
    void *bytes = file >= 0 ? mmap(NULL, size, PROT_READ, MAP_PRIVATE, file, 0) : MAP_FAILED;
    const int good = bytes != MAP_FAILED && work(b, bytes, size);
    if (bytes != MAP_FAILED) munmap(bytes, size);
    if (file >= 0) close(file);
    return good;
}
static int use_mapped(const bench *b, const void *bytes, size_t size) {
    sessrec_model *model = NULL;
    const int good = !sessrec_model_import(bytes, size, NULL, &model, NULL);
    (void)b;
    if (good) first_recommendation(model);
    sessrec_model_destroy(model);
    return good;
}
static int scan_mapped(const bench *b, const void *bytes, size_t size) {
    (void)size;
    read_all(bytes, (size_t)b->items * 100 * sizeof(float));
    return 1;
}
static double map_and_recommend(void *context) {
    return with_mapped((const bench *)context, use_mapped);
}
static double map_and_scan(void *context) {
    return with_mapped((const bench *)context, scan_mapped);
}
#endif

// The limit of saving: to write the item table alone, and to wait for the disk as the library does. Of all
// others: to scan that table once, of a mapped file with the mapping.
static void files(const bench *b) {
    static const struct {
        const char *what;
        double (*work)(void *);
    } USE[] = {
        {"save a model", save_model},
        {"load a model", load_model},
        {"load a model to the first recommendation", load_and_recommend},
#ifdef POSIX
        {"use a mapped file in place to the first recommendation", map_and_recommend},
#endif
    };
    const double scan = 1e3 * stream(b->model->Wy, (size_t)b->items * 100 * sizeof(float));
    const char *what = "model files, milliseconds: %d items x 100, %s";
    bench copy = *b;
    for (size_t i = 0; i < sizeof USE / sizeof *USE; ++i) {
        const double speed = speed_of(USE[i].work, &copy);
        if (speed > 0) record("ours", 1e3 / speed, what, (int)b->items, USE[i].what);
        if (i == 1 || i == 2) record("limit", scan, what, (int)b->items, USE[i].what);
    }
#ifdef POSIX
    record("limit", 1e3 / speed_of(map_and_scan, &copy), what, (int)b->items, USE[3].what);
    record("limit", 1e3 / speed_of(write_bytes, &copy), what, (int)b->items, USE[0].what);
#endif
    remove(MODEL);
}

// ---- memory: a process that does nothing else ----

#ifdef POSIX
// Counts the bytes that are in use.
static void *counted_alloc(void *used, size_t bytes) {
    char *block = (char *)malloc(bytes + 64);
    if (!block) return NULL;
    memcpy(block, &bytes, sizeof bytes);
    *(double *)used += (double)bytes;
    return block + 64;
}
static void counted_free(void *used, void *block) {
    size_t bytes;
    if (!block) return;
    memcpy(&bytes, (char *)block - 64, sizeof bytes);
    *(double *)used -= (double)bytes;
    free((char *)block - 64);
}

// Reads the log and trains. The limit: weights, what the optimizer keeps of each, the log as it lies in
// memory, and 64 MB.
static void train_from_file(const bench *b) {
    sessrec_log *log = NULL;
    const sessrec_config config = configured(&SETTINGS[0], 1);
    const char *what = "peak memory of training, MB: %d items, %s";
    training_run r;
    struct rusage used;
    if (sessrec_log_read(b->path, NULL, &log, NULL) || !open_run(&r, &config, log)) _exit(1);
    const int32_t items = sessrec_log_contents(log).item_count;
    for (int i = 0; i < 100; ++i) train_step(&r);
    getrusage(RUSAGE_SELF, &used);
    double weights = 0, in_log = 0;
    sessrec_log_format format = sessrec_log_format_default();
    format.allocator.alloc = counted_alloc;
    format.allocator.free = counted_free;
    format.allocator.user = &in_log;
    sessrec_log_destroy(log);
    if (sessrec_log_read(b->path, &format, &log, NULL)) _exit(1);
    for (int32_t t = 0; t < r.trainer->model->tensors; ++t)
        weights += (double)sessrec__tensor_elements(&r.trainer->model->shape[t]) * sizeof(float);
    record("ours", (double)used.ru_maxrss / RSS_UNITS, what, (int)items, SETTINGS[0].name);
    record("limit", (3 * weights + in_log) / 1048576 + 64, what, (int)items, SETTINGS[0].name);
}

static void write_log(const bench *b) {
    sessrec_log *log = make_log(b->items, SESSIONS, 1);
    if (log && sessrec_log_write(log, b->path, NULL)) fprintf(stderr, "cannot write %s\n", b->path);
}

// In a process of its own, whose memory nothing else has touched.
static void apart(void (*work)(const bench *), const bench *b) {
    int status = 1;
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        work(b);
        fflush(stdout);
        _exit(0);
    }
    if (child > 0) waitpid(child, &status, 0);
    if (status) {
        fprintf(stderr, "a process that measures memory has failed\n");
        exit(1);
    }
}

static void memory_of_training(const bench *b) {
    bench one = *b;
    if (!b->path) {
        one.path = "speed_log.tmp";
        apart(write_log, &one);
    }
    apart(train_from_file, &one);
    if (!b->path) remove(one.path);
}
#endif

// ---- how far the processors are from one another ----

#if defined(POSIX) && defined(__GNUC__)
enum { ANSWERS = 20000 };
// Answers an odd number by the next even one.
static void *answer(void *ball) {
    for (int i = 0; i < ANSWERS; ++i) {
        while (__atomic_load_n((int *)ball, __ATOMIC_ACQUIRE) != 2 * i + 1) {}
        __atomic_store_n((int *)ball, 2 * i + 2, __ATOMIC_RELEASE);
    }
    return NULL;
}
// The fastest of five runs: in a slower one another program had a processor.
static void print_cores(void) {
    double best = INFINITY;
    for (int run = 0; run < RUNS && sessrec_processor_count() > 1; ++run) {
        static int ball;
        pthread_t other;
        ball = 0;
        if (pthread_create(&other, NULL, answer, &ball)) break;
        const double start = now();
        for (int i = 0; i < ANSWERS; ++i) {
            __atomic_store_n(&ball, 2 * i + 1, __ATOMIC_RELEASE);
            while (__atomic_load_n(&ball, __ATOMIC_ACQUIRE) != 2 * i + 2) {}
        }
        const double seconds = now() - start;
        pthread_join(other, NULL);
        best = seconds < best ? seconds : best;
    }
    if (best < INFINITY) printf("one processor has another's answer after %.0f ns\n", 1e9 * best / ANSWERS);
    else printf("skipped the latency between processors: there is one\n");
}
#else
static void print_cores(void) { printf("skipped the latency between processors: not on this system\n"); }
#endif

#ifdef SESSREC_CUDA
// Whole epochs, as sessrec_train runs them: single steps would wait for each loss.
static double train_epoch(void *context) {
    training_run *r = (training_run *)context;
    if (sessrec_trainer_epoch(r->trainer, r->batcher, NULL)) return 0;
    sessrec_trainer_next_epoch(r->trainer);
    return (double)sessrec_batcher_steps(r->batcher);
}

static int training_on_gpu(const sessrec_log *log, int32_t items) {
    for (int i = 0; i < settings_for(items); ++i) {
        sessrec_config config = configured(&SETTINGS[i], 1);
        training_run r;
        sessrec_error error;
        config.device = SESSREC_DEVICE_CUDA;
        if (sessrec_trainer_create(&config, log, &r.trainer, &error)) {
            printf("%s training on a GPU: %s\n", error.code == SESSREC_UNSUPPORTED ? "skipped" : "FAILED ",
                   error.text);
            return error.code != SESSREC_UNSUPPORTED;
        }
        sessrec_trainer_destroy(r.trainer);
        if (open_run(&r, &config, log))
            record("ours", speed_of(train_epoch, &r), "training on %s, mini-batches/s: %d items, %s",
                   sessrec_trainer_device(r.trainer), (int)items, SETTINGS[i].name);
        close_run(&r);
    }
    return 0;
}
#endif

static const struct subject {
    const char *name;
    void (*measure)(const bench *b);
    int needs_model;
} SUBJECTS[] = {{"read", reading, 0},
                {"train", training, 0},
                {"evaluate", evaluation, 1},
                {"file", files, 1},
                {"click", clicks, 1}};

static int wanted(int argc, char **argv, const char *subject) {
    for (int i = 3; i < argc; ++i)
        if (!strcmp(argv[i], subject)) return 1;
    return argc <= 3;
}

static void print_settings(int32_t items) {
    for (int i = 0; i < settings_for(items); ++i)
        printf("%s\t%g\t%g\n", SETTINGS[i].name, (double)SETTINGS[i].dropout_input,
               (double)SETTINGS[i].dropout_hidden);
}

int main(int argc, char **argv) {
    const int32_t items = argc > 1 ? (int32_t)strtol(argv[1], NULL, 10) : 37483,
                  processors = sessrec_processor_count();
    bench b = {items,
               {1, processors},
               processors > 1 ? 2 : 1,
               argc > 2 && strcmp(argv[2], "-") ? argv[2] : NULL,
               NULL,
               NULL};
    if (items <= 0) return 1;
    if (argc > 3 && !strcmp(argv[3], "settings")) return print_settings(items), 0;
    if (argc > 3 && !strcmp(argv[3], "cores")) return print_cores(), 0;
#ifdef POSIX
    if (argc > 3 && b.path && !strcmp(argv[3], "write")) return write_log(&b), 0;
    if (wanted(argc, argv, "memory")) memory_of_training(&b);  // first, while this process is small
#else
    printf("skipped memory: this system has no fork\n");
#endif
    sessrec_log *log = make_log(items, SESSIONS, 1);
    const setting *plain = &SETTINGS[0];
    const sessrec_config config = configured(plain, 1);
    training_run r;
    b.log = log;
    if (!log) return 1;
#ifdef SESSREC_CUDA
    return training_on_gpu(log, items);
#endif
    for (size_t i = 0; i < sizeof SUBJECTS / sizeof *SUBJECTS; ++i) {
        if (!wanted(argc, argv, SUBJECTS[i].name)) continue;
        if (SUBJECTS[i].needs_model && !b.model) {
            if (!open_run(&r, &config, log)) return 1;
            for (int step = 0; step < 20; ++step) train_step(&r);
            if (sessrec_trainer_take_model(r.trainer, &b.model, NULL)) return 1;
            close_run(&r);
        }
        SUBJECTS[i].measure(&b);
    }
    sessrec_model_destroy(b.model);
    sessrec_log_destroy(log);
    return 0;
}
