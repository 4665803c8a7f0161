// speed.c - how fast training, evaluation and recommendation are on this machine, at published settings and on a made-up log
//
//     speed [ITEMS [LOG]]      37483 items unless given, Zipf popularity; prints medians of five runs, in one process. LOG: a TSV file with
//                              SessionId, ItemId, Time, of which the reading is measured, instead of the made-up log
#define SESSREC_IMPLEMENTATION
#include "../sessrec.h"

enum { RUNS = 5, SESSIONS = 20000, LENGTH = 5 };

static double median(double *value, int count) {
    for (int i = 1; i < count; ++i)
        for (int j = i; j > 0 && value[j - 1] > value[j]; --j) {
            const double other = value[j];
            value[j] = value[j - 1];
            value[j - 1] = other;
        }
    return value[count / 2];
}

// Item i is clicked with probability ~ 1 / (i + 1): the inverse of the distribution function of a continuous Zipf law.
static int64_t zipf(uint64_t *state, int32_t items) {
    *state += 0x9e3779b97f4a7c15u;
    const double unit = (double)(sessrec__mix(*state) >> 11) / 9007199254740992.0;
    return (int64_t)(pow((double)items + 1, unit)) - 1;
}

static sessrec_dataset *make_log(int32_t items) {
    sessrec_dataset *log = NULL;
    uint64_t state = 1;
    if (sessrec_dataset_create(NULL, &log)) return NULL;
    for (int32_t i = 0; i < items; ++i) sessrec_dataset_add_numbers(log, -1, i / LENGTH, i, i);  // so that every item is there
    for (int32_t s = 0; s < SESSIONS; ++s)
        for (int32_t e = 0; e < LENGTH; ++e) sessrec_dataset_add_numbers(log, -1, items + s, zipf(&state, items), items + s * LENGTH + e);
    sessrec_dataset_finish(log, NULL);
    return log;
}

// Mini-batches a second, without the time to set up.
static double train(const sessrec_config *config, const sessrec_dataset *log, int steps, sessrec_model **model) {
    sessrec_trainer *trainer = NULL;
    sessrec_sampler *sampler = NULL;
    sessrec_batcher *batcher = NULL;
    sessrec_batch batch;
    double speed[RUNS];
    if (sessrec_trainer_create(config, log, &trainer, NULL) || sessrec_trainer_sampler(trainer, &sampler, NULL) ||
        sessrec_batcher_create(config, log, sampler, &batcher, NULL))
        return 0;
    for (int run = -1; run < RUNS; ++run) {  // run -1 warms up
        const double start = sessrec__now();
        for (int step = 0; step < steps;) {
            if (sessrec_batcher_next(batcher, &batch) == SESSREC_DONE) continue;
            if (sessrec_trainer_step(trainer, &batch, NULL, NULL)) return 0;
            ++step;
        }
        if (run >= 0) speed[run] = steps / (sessrec__now() - start);
    }
    sessrec_batcher_destroy(batcher);
    sessrec_sampler_destroy(sampler);
    if (model) *model = sessrec_trainer_take_model(trainer);
    sessrec_trainer_destroy(trainer);
    return median(speed, RUNS);
}

typedef struct setting {
    const char *name;
    sessrec_loss_kind loss;
    int32_t width, batch, negatives, steps;
    float dropout_input, dropout_hidden;
} setting;

static const setting SETTINGS[] = {
    {"RSC15          xe       L=100 B=32  n=2048", SESSREC_LOSS_XE, 100, 32, 2048, 300, 0, 0.4f},
    {"no samples     xe       L=100 B=32  n=0", SESSREC_LOSS_XE, 100, 32, 0, 1500, 0, 0.4f},
    {"RetailRocket   bpr-max  L=224 B=80  n=2048", SESSREC_LOSS_BPR_MAX, 224, 80, 2048, 60, 0.5f, 0.05f},
    {"Yoochoose      xe       L=480 B=48  n=2048", SESSREC_LOSS_XE, 480, 48, 2048, 40, 0, 0.2f},
    {"Diginetica     bpr-max  L=512 B=128 n=2048", SESSREC_LOSS_BPR_MAX, 512, 128, 2048, 15, 0.5f, 0.3f},
    {"Rees46         xe       L=512 B=240 n=2048", SESSREC_LOSS_XE, 512, 240, 2048, 10, 0.45f, 0},
};

// ---- what one core of this machine can do at all ----

#if defined(__x86_64__) && defined(__GNUC__)
#define PEAK(name, instructions, bytes)                                                                                                     \
    __attribute__((target(instructions))) static float name(int rounds) {                                                                   \
        typedef float vector __attribute__((vector_size(bytes)));                                                                           \
        vector a = {0}, b = {0}, s0 = a, s1 = a, s2 = a, s3 = a, s4 = a, s5 = a, s6 = a, s7 = a, s8 = a, s9 = a;                            \
        for (int i = 0; i < rounds; ++i) {                                                                                                  \
            s0 = s0 * a + b, s1 = s1 * a + b, s2 = s2 * a + b, s3 = s3 * a + b, s4 = s4 * a + b;                                             \
            s5 = s5 * a + b, s6 = s6 * a + b, s7 = s7 * a + b, s8 = s8 * a + b, s9 = s9 * a + b;                                             \
            __asm__ volatile("" : "+x"(a), "+x"(b));                                                                                        \
        }                                                                                                                                   \
        a = s0 + s1 + s2 + s3 + s4 + s5 + s6 + s7 + s8 + s9;                                                                                 \
        return a[0];                                                                                                                        \
    }
PEAK(peak_avx512, "avx512f,fma", 64)
PEAK(peak_avx2, "avx2,fma", 32)
#endif

static volatile float unused;

// Floating-point operations a second of ten chains of fused multiply-adds; 0 where nobody wrote it down.
static double peak(void) {
    double best = 0;
#if defined(__x86_64__) && defined(__GNUC__)
    const int wide = !strcmp(sessrec_simd(), "avx512"), rounds = 2000000;
    for (int run = 0; run < RUNS && strcmp(sessrec_simd(), "plain") != 0; ++run) {
        const double start = sessrec__now();
        unused = wide ? peak_avx512(rounds) : peak_avx2(rounds);
        const double speed = 2.0 * 10 * (wide ? 16 : 8) * rounds / (sessrec__now() - start);
        best = speed > best ? speed : best;
    }
#endif
    return best;
}

// Seconds to add to one row of weights, Adagrad's sums and velocities, at places that the sampler draws.
static double row_seconds(const sessrec_dataset *log, int32_t width) {
    const sessrec_log_view view = sessrec_dataset_view(log);
    const int draws = 40000;
    sessrec_sampler *sampler = NULL;
    const sessrec_allocator memory = sessrec__allocator(NULL);
    float *table = (float *)sessrec__alloc(&memory, 3 * (uint64_t)view.items * (uint64_t)width, sizeof *table);
    int32_t *row = (int32_t *)malloc((size_t)draws * sizeof *row);
    double best = INFINITY;
    if (table && row && !sessrec_sampler_create(view.support, view.items, 0.5f, NULL, &sampler)) {
        sessrec__sampler_draws(sampler, 1, 0, draws, row);
        for (int run = 0; run < RUNS; ++run) {
            const double start = sessrec__now();
            for (int i = 0; i < draws; ++i)
                for (int t = 0; t < 3; ++t) {
                    float *one = table + (ptrdiff_t)t * view.items * width, *at = one + (ptrdiff_t)row[i] * width;
                    if (i + SESSREC__AHEAD < draws) sessrec__prefetch_row(one, width, row[i + SESSREC__AHEAD]);
                    for (int32_t j = 0; j < width; ++j) at[j] += 1;
                }
            const double seconds = (sessrec__now() - start) / draws;
            best = seconds < best ? seconds : best;
        }
    }
    sessrec_sampler_destroy(sampler);
    sessrec__free(&memory, table);
    free(row);
    return best;
}

// Mini-batches a second of one core that only multiplies and adds, at its peak, and updates rows, one after the other.
static double bound(const setting *s, const sessrec_dataset *log, double flops) {
    const double B = s->batch, L = s->width, C = B + s->negatives;
    return flops > 0 ? 1 / ((36 * B * L * L + 6 * B * C * L) / flops + (C + B) * row_seconds(log, s->width)) : 0;
}

static sessrec_config configured(const setting *s) {
    sessrec_config config = sessrec_config_default();
    config.loss.kind = s->loss;
    config.loss.activation = s->loss == SESSREC_LOSS_BPR_MAX ? SESSREC_ELU : SESSREC_LINEAR;
    config.hidden[0] = s->width;
    config.batch_size = s->batch;
    config.negatives = s->negatives;
    config.dropout_input = s->dropout_input;
    config.dropout_hidden = s->dropout_hidden;
    return config;
}

static void training(const sessrec_dataset *log) {
    const double flops = peak();
    printf("one core, %.0f GFLOP/s of multiply-adds. The bound: one core that does nothing but these and the updates of rows\n", flops / 1e9);
    printf("training, mini-batches a second            1 thread   2 threads       bound\n");
    for (size_t i = 0; i < sizeof SETTINGS / sizeof *SETTINGS; ++i) {
        const setting *s = &SETTINGS[i];
        sessrec_config config = configured(s);
        double speed[2];
        for (config.threads = 1; config.threads <= 2; ++config.threads) speed[config.threads - 1] = train(&config, log, s->steps, NULL);
        printf("  %-43s %6.0f %11.0f %11.0f\n", s->name, speed[0], speed[1], bound(s, log, flops));
    }
}

static void evaluation(const sessrec_model *model, const sessrec_dataset *log) {
    sessrec_eval_config config = sessrec_eval_config_default();
    sessrec_report report;
    printf("evaluation, events a second, L=100\n");
    for (config.threads = 1; config.threads <= 2; ++config.threads) {
        if (sessrec_evaluate(model, log, &config, &report, NULL)) return;
        printf("  %d thread%s %33.0f\n", (int)config.threads, config.threads > 1 ? "s" : " ", (double)report.events / report.seconds);
    }
}

// The same with pandas, in PYTHON or python3: reads, sorts by session and time, counts each session's events. 0: it is not there.
static double pandas(const char *path) {
    const char *python = getenv("PYTHON");
    char command[2048];
    double seconds = 0;
    snprintf(command, sizeof command,
             "'%s' - '%s' >speed_pandas.txt 2>speed_errors.txt <<'END'\n"
             "import sys, time, pandas\n"
             "best = 9e9\n"
             "for run in range(5):\n"
             "    start = time.perf_counter()\n"
             "    log = pandas.read_csv(sys.argv[1], sep='\\t').sort_values(['SessionId', 'Time'])\n"
             "    log.groupby('SessionId', sort=False).size()\n"
             "    best = min(best, time.perf_counter() - start)\n"
             "print(best)\nEND\n",
             python ? python : "python3", path);
    FILE *answer = system(command) == 0 ? fopen("speed_pandas.txt", "r") : NULL;
    if (answer && fscanf(answer, "%lf", &seconds) != 1) seconds = 0;
    if (answer) fclose(answer);
    remove("speed_pandas.txt");
    remove("speed_errors.txt");
    return seconds;
}

// From a file to a log that is ready for training. The best of five: what else the machine does only makes it slower.
static void reading(const sessrec_dataset *log, const char *given) {
    const char *path = given ? given : "speed_log.tsv";
    if (!given && sessrec_dataset_write(log, path, NULL)) return;
    FILE *file = fopen(path, "rb");
    if (!file) return;
    fseek(file, 0, SEEK_END);
    const double megabytes = (double)ftell(file) / 1e6, other = pandas(path);
    fclose(file);
    printf("log reading, MB/s, %.1f MB", megabytes);
    double best = INFINITY;
    for (int run = 0; run < RUNS; ++run) {
        sessrec_dataset *read = NULL;
        const double start = sessrec__now();
        if (sessrec_dataset_load(path, NULL, &read, NULL)) return;
        const double seconds = sessrec__now() - start;
        best = seconds < best ? seconds : best;
        sessrec_dataset_destroy(read);
    }
    printf("  sessrec %.0f", megabytes / best);
    if (other > 0) printf("  pandas %.0f\n", megabytes / other);
    else printf("  (pandas skipped: PYTHON has none)\n");
    if (!given) remove(path);
}

static volatile int64_t unread;  // so that no reading is left out

// Seconds to read so many bytes, with eight sums that do not wait for each other.
static double stream(const void *bytes, size_t size) {
    double seconds[RUNS * 5];
    for (int run = 0; run < RUNS * 5; ++run) {
        const double start = sessrec__now();
        int64_t sum[8] = {0};
        for (const int64_t *at = (const int64_t *)bytes, *end = at + size / 64 * 8; at < end; at += 8)
            for (int i = 0; i < 8; ++i) sum[i] += at[i];
        for (int i = 0; i < 8; ++i) unread += sum[i];
        seconds[run] = sessrec__now() - start;
    }
    return median(seconds, RUNS * 5);
}

static int compare_doubles(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

// One click and the 20 best items, one thread.
static void latency(const sessrec_model *model, const char *how) {
    enum { CLICKS = 5000 };
    static double seconds[CLICKS];
    static unsigned char memory[1 << 16];
    sessrec_session *session = NULL;
    sessrec_query query = sessrec_query_default();
    sessrec_recommendation best[20];
    uint64_t state = 2;
    int32_t count;
    const int32_t items = sessrec_model_describe(model).items;
    const int clicks = items > 100000 ? CLICKS / 5 : CLICKS;
    if (sessrec_session_init(model, 20, memory, sizeof memory, &session)) return;
    for (int i = 0; i < clicks; ++i) {
        const double start = sessrec__now();
        sessrec_session_click(session, (int32_t)zipf(&state, items));
        sessrec_session_recommend(session, &query, best, &count, NULL);
        seconds[i] = sessrec__now() - start;
    }
    qsort(seconds, (size_t)clicks, sizeof *seconds, compare_doubles);
    printf("  %8d %-10s %8.0f %8.0f %8.0f", (int)items, how, 1e6 * seconds[clicks / 2], 1e6 * seconds[clicks * 99 / 100],
           1e6 * seconds[clicks * 999 / 1000]);
}

// Ends the model. The bound: the time to read a byte for each weight of the output, in the same memory.
static void streaming(sessrec_model *model) {
    latency(model, "floats");
    printf("\n");
    if (sessrec_model_prepare(model) == SESSREC_OK) {
        latency(model, "prepared");
        printf("   reading a byte a weight: %.0f\n", 1e6 * stream(model->screen, (size_t)model->info.items * (size_t)model->info.hidden[0]));
    }
    sessrec_model_destroy(model);
}

#ifdef SESSREC_CUDA
// Mini-batches a second in whole epochs, as sessrec_train runs them: single steps would wait for each loss. Negative: an error.
static double train_epochs(const sessrec_config *config, const sessrec_dataset *log, char device[300], sessrec_error *error) {
    sessrec_trainer *trainer = NULL;
    sessrec_sampler *sampler = NULL;
    sessrec_batcher *batcher = NULL;
    double speed[RUNS];
    sessrec_result result = sessrec_trainer_create(config, log, &trainer, error);
    if (!result) result = sessrec_trainer_sampler(trainer, &sampler, error);
    if (!result) result = sessrec_batcher_create(config, log, sampler, &batcher, error);
    if (!result) snprintf(device, 300, "%s", sessrec_trainer_device(trainer));
    for (int run = -1; run < RUNS && !result; ++run) {  // run -1 warms up
        const double start = sessrec__now();
        result = sessrec_trainer_epoch(trainer, batcher, error);
        sessrec_trainer_next_epoch(trainer);
        if (run >= 0) speed[run] = (double)sessrec_batcher_steps(batcher) / (sessrec__now() - start);
    }
    sessrec_batcher_destroy(batcher);
    sessrec_sampler_destroy(sampler);
    sessrec_trainer_destroy(trainer);
    return result ? (double)result : median(speed, RUNS);
}

static int training_on_gpu(const sessrec_dataset *log) {
    char device[300];
    for (size_t i = 0; i < sizeof SETTINGS / sizeof *SETTINGS; ++i) {
        sessrec_config config = configured(&SETTINGS[i]);
        sessrec_error error;
        config.device = SESSREC_DEVICE_CUDA;
        const double speed = train_epochs(&config, log, device, &error);
        if (speed < 0) {
            printf("%s training on a GPU: %s\n", error.code == SESSREC_UNSUPPORTED ? "skipped" : "FAILED ", error.text);
            return error.code != SESSREC_UNSUPPORTED;
        }
        if (i == 0) printf("training on %s, mini-batches a second\n", device);
        printf("  %-43s %6.0f\n", SETTINGS[i].name, speed);
    }
    return 0;
}
#endif

int main(int argc, char **argv) {
    const int32_t items = argc > 1 ? (int32_t)strtol(argv[1], NULL, 10) : 37483;
    sessrec_dataset *log = items > 0 ? make_log(items) : NULL;
    sessrec_config config = sessrec_config_default();
    sessrec_model *model = NULL;
    if (!log) return 1;
#ifdef SESSREC_CUDA
    const int status = training_on_gpu(log);
    sessrec_dataset_destroy(log);
    return status;
#endif
    printf("%d items, kernels %s\n", (int)items, sessrec_simd());
    reading(log, argc > 2 ? argv[2] : NULL);
    training(log);
    config.threads = 1;
    train(&config, log, 20, &model);
    if (!model) return 1;
    evaluation(model, log);
    sessrec_dataset_destroy(log);
    printf("click and top 20, microseconds, L=100, one thread   p50      p99    p99.9\n");
    static const int32_t sizes[2] = {3000, 1000000};
    streaming(model);
    for (int i = 0; i < 2; ++i) {
        log = make_log(sizes[i]);
        if (!log || train(&config, log, 20, &model) <= 0) return 1;
        streaming(model);
        sessrec_dataset_destroy(log);
    }
    return 0;
}
