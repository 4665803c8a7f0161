// speed.c - how fast training, evaluation and recommendation are on this machine, at published settings and on a made-up log
//
//     speed [ITEMS]      37483 items unless given, Zipf popularity; prints medians of five runs, in one process
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
    printf("training, mini-batches a second            1 thread   2 threads\n");
    for (size_t i = 0; i < sizeof SETTINGS / sizeof *SETTINGS; ++i) {
        const setting *s = &SETTINGS[i];
        sessrec_config config = configured(s);
        double speed[2];
        for (config.threads = 1; config.threads <= 2; ++config.threads) speed[config.threads - 1] = train(&config, log, s->steps, NULL);
        printf("  %-43s %6.0f %11.0f\n", s->name, speed[0], speed[1]);
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

// One click and the 20 best items, one thread.
static void latency(const sessrec_model *model) {
    enum { CLICKS = 2001 };
    static double seconds[CLICKS];
    static unsigned char memory[1 << 16];
    sessrec_session *session = NULL;
    sessrec_query query = sessrec_query_default();
    sessrec_recommendation best[20];
    uint64_t state = 2;
    int32_t count;
    if (sessrec_session_init(model, 20, memory, sizeof memory, &session)) return;
    for (int i = 0; i < CLICKS; ++i) {
        const double start = sessrec__now();
        sessrec_session_click(session, (int32_t)zipf(&state, sessrec_model_describe(model).items));
        sessrec_session_recommend(session, &query, best, &count, NULL);
        seconds[i] = sessrec__now() - start;
    }
    const double p50 = median(seconds, CLICKS);  // which sorts them
    printf("click and top 20, microseconds, L=100, one thread: p50 %.0f, p99 %.0f, p99.9 %.0f\n", 1e6 * p50, 1e6 * seconds[CLICKS * 99 / 100],
           1e6 * seconds[CLICKS * 999 / 1000]);
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
    training(log);
    config.threads = 1;
    train(&config, log, 20, &model);
    if (model) {
        evaluation(model, log);
        latency(model);
    }
    sessrec_model_destroy(model);
    sessrec_dataset_destroy(log);
    return model ? 0 : 1;
}
