// What training promises: the same bits however it is run, resumed or shared among threads; errors that
// change nothing; and that it learns.
#if defined(__unix__) || defined(__APPLE__)
#include <unistd.h>
#  define fsync(file)                                                                                        \
    ((void)(file), 0)  // thousands of checkpoints; that they reach the disk is for the tests of files
#endif
#define SESSREC_IMPLEMENTATION
#include "models.h"

// ---- logs and runs ----------------------------------------------------------------------------------------

// Sessions of four users that walk round a circle of ten items, now and then with a step more: learnable, and
// not at once.
static sessrec_log *circle_log(int32_t sessions) {
    sessrec_log *log = NULL;
    uint32_t random = 2463534242u;
    int failures = sessrec_log_create(NULL, &log, NULL) != SESSREC_OK;
    for (int32_t s = 0; s < sessions; ++s) {
        int32_t item = random_below(&random, 10), length = 2 + random_below(&random, 4);
        for (int32_t i = 0; i < length; ++i, item = (item + 1 + (random_below(&random, 8) == 0)) % 10)
            failures += sessrec_log_add_numbers(log, s % 4, s, 100 + item, 10.0 * s + i) != SESSREC_OK;
    }
    failures += sessrec_log_finish(log, NULL) != SESSREC_OK;
    CHECK_EQ(failures, 0);
    return log;
}

// One mini-batch, into the next epoch where one is over. Returns 0 after the last epoch or an error.
static int run_step(run *r) {
    sessrec_batch batch;
    sessrec_result result;
    if (sessrec_trainer_position(r->trainer).epoch >= r->config.epochs) return 0;
    while (!(result = sessrec_batcher_next(r->batcher, &batch)) && !batch.rows) {
        sessrec_trainer_next_epoch(r->trainer);
        if (sessrec_trainer_position(r->trainer).epoch >= r->config.epochs) return 0;
    }
    result = result ? result : sessrec_trainer_step(r->trainer, &batch, NULL, &r->err);
    CHECK_EQ(result, SESSREC_OK);
    return result == SESSREC_OK;
}

static image run_to_end(run *r) {
    while (run_step(r)) continue;
    return model_bytes(model_of(r->trainer));
}

static image file_bytes(const char *path) {
    image b = {NULL, 0};
    FILE *file = fopen(path, "rb");
    if (!file) return b;
    fseek(file, 0, SEEK_END);
    b.size = (size_t)ftell(file);
    rewind(file);
    b.data = (unsigned char *)malloc(b.size ? b.size : 1);
    if (fread(b.data, 1, b.size, file) != b.size) b.size = 0;
    fclose(file);
    return b;
}
static void write_file(const char *path, const unsigned char *data, size_t size) {
    FILE *file = fopen(path, "wb");
    CHECK(file != NULL);
    if (!file) return;
    CHECK_EQ(fwrite(data, 1, size, file), size);
    fclose(file);
}

// Everything that a trainer holds, as the bytes of its checkpoint.
static image trainer_bytes(const sessrec_trainer *trainer, const char *path) {
    CHECK_EQ(sessrec_trainer_write(trainer, path, NULL), SESSREC_OK);
    image b = file_bytes(path);
    remove(path);
    return b;
}

// The name of a file that no other run of this program uses.
typedef struct file_name {
    char name[256];
} file_name;
static file_name scratch_file(const char *what) {
    file_name file;
    const char *place = getenv("TMPDIR");
    snprintf(file.name, sizeof file.name, "%s/sessrec_trainer_%ld_%s",
             place && strlen(place) < 100 ? place : "/tmp", (long)getpid(), what);
    return file;
}

// ---- configurations that between them use every part ------------------------------------------------------

enum { VARIANTS = 5 };

static sessrec_config variant(int which) {
    sessrec_config c = small_config(1, 13);
    c.batch_size = 11;
    c.negatives = 120;  // more columns than a task takes
    c.epochs = 2;
    switch (which) {
    case 0: break;
    case 1:
        c = small_config(2, 9);
        c.epochs = 2;
        c.loss.kind = SESSREC_LOSS_BPR_MAX;
        c.loss.activation = SESSREC_ELU;
        c.embedding = SESSREC_EMBEDDING_SEPARATE;
        c.embedding_width = 7;
        c.gru = SESSREC_RESET_AFTER;
        c.dropout_input = 0.2f;
        c.optimizer.l2 = 1e-3f;
        c.shuffle_sessions = 1;
        break;
    case 2:
        c = small_config(3, 6);
        c.epochs = 2;
        c.loss.kind = SESSREC_LOSS_TOP1;
        c.loss.activation = SESSREC_TANH;
        c.embedding = SESSREC_EMBEDDING_NONE;
        c.optimizer.kind = SESSREC_ADAM;
        c.optimizer.learning_rate = 0.02f;
        c.optimizer.momentum = 0;
        c.optimizer.gradient_cap = 0.1f;
        c.dropout_input = 0.1f;
        break;
    case 3:
        c = small_config(2, 7);
        c.epochs = 2;
        c.batch_size = 3;
        c.user_hidden = 5;
        c.user_mode = SESSREC_USER_ALL;
        c.dropout_user = c.dropout_init = 0.1f;
        break;
    default:
        c.negatives = 0;
        c.batch_size = 5;
        c.loss.smoothing = 0.1f;
        c.optimizer.kind = SESSREC_ADADELTA;
        c.optimizer.learning_rate = 1;
        break;
    }
    return c;
}

// ---- the same bits ----------------------------------------------------------------------------------------

static void serial_runner(void *user, int32_t count, void (*task)(void *context, int32_t index),
                          void *context) {
    ++*(int64_t *)user;
    for (int32_t i = 0; i < count; ++i) task(context, i);
}
static void reversed_runner(void *user, int32_t count, void (*task)(void *context, int32_t index),
                            void *context) {
    ++*(int64_t *)user;
    for (int32_t i = count - 1; i >= 0; --i) task(context, i);
}

static image trained(const sessrec_config *config, const sessrec_log *log, const sessrec__kernels *kernels) {
    image b = {NULL, 0};
    run r;
    if (run_begin(&r, config, log)) {
        if (kernels) r.trainer->kernels = r.trainer->model->kernels = kernels;
        b = run_to_end(&r);
    }
    run_end(&r);
    return b;
}

static void check_same(const sessrec_config *config, const sessrec_log *log, const sessrec__kernels *kernels,
                       const image *expected) {
    image b = trained(config, log, kernels);
    CHECK(same_bytes(&b, expected));
    free(b.data);
}

static void same_bits(void) {
    sessrec_log *log = circle_log(24);
    for (int v = 0; v < VARIANTS; ++v) {
        sessrec_config config = variant(v);
        config.threads = 1;
        image expected = trained(&config, log, NULL);
        TEST("the same seed gives the same model, another seed another") {
            check_same(&config, log, NULL, &expected);
            sessrec_config other = config;
            other.seed = 2;
            image b = trained(&other, log, NULL);
            CHECK(!same_bytes(&b, &expected));
            free(b.data);
        }
        TEST("2, 3, 4 and 8 threads give the model of one") {
            static const int32_t threads[4] = {2, 3, 4, 8};
            for (int t = 0; t < 4; ++t) {
                config.threads = threads[t];
                check_same(&config, log, NULL, &expected);
            }
        }
        TEST("a caller's job system gives it too, in whatever order it runs the tasks") {
            int64_t regions = 0;
            for (int32_t threads = 1; threads < 6; threads += 2) {
                config.threads = threads;
                config.jobs.user = &regions;
                config.jobs.run = serial_runner;
                check_same(&config, log, NULL, &expected);
                config.jobs.run = reversed_runner;
                check_same(&config, log, NULL, &expected);
            }
            CHECK(regions > 0);
            memset(&config.jobs, 0, sizeof config.jobs);
        }
        config.threads = 1;
        for (int level = 0; level < KERNELS_LEVELS; ++level) {
            char name[64];
            snprintf(name, sizeof name, "%s kernels give it too", KERNELS_NAME[level]);
            if (!kernels_of(level)) SKIP(name, "this build or this processor does not have them");
            else TEST(name) check_same(&config, log, kernels_of(level), &expected);
        }
        free(expected.data);
    }
    TEST("sessrec_train gives what its parts give") {
        sessrec_config config = variant(1);
        sessrec_model *model = NULL;
        image expected = trained(&config, log, NULL);
        CHECK_EQ(sessrec_train(&config, log, NULL, &model, NULL), SESSREC_OK);
        image b = model_bytes(model);
        CHECK(same_bytes(&b, &expected));
        free(b.data);
        free(expected.data);
        sessrec_model_destroy(model);
    }
    sessrec_log_destroy(log);
}

// ---- learning ---------------------------------------------------------------------------------------------

// The mean loss of the last epoch over that of the first.
static double remaining_loss(const sessrec_config *config, const sessrec_log *log) {
    double first = NAN, last = NAN;
    run r;
    if (run_begin(&r, config, log))
        for (int32_t epoch = 0; epoch < config->epochs; ++epoch) {
            CHECK_EQ(sessrec_trainer_epoch(r.trainer, r.batcher, &r.err), SESSREC_OK);
            const sessrec_position at = sessrec_trainer_position(r.trainer);
            last = at.loss_sum / (double)at.pairs;
            if (epoch == 0) first = last;
            sessrec_trainer_next_epoch(r.trainer);
        }
    run_end(&r);
    return last / first;
}

static sessrec_config learner(void) {
    sessrec_config c = small_config(1, 8);
    c.dropout_hidden = 0;
    c.negatives = 6;
    c.epochs = 12;
    c.loss.bpreg = 0.1f;
    return c;
}

static void learning(void) {
    sessrec_log *log = circle_log(20);
    TEST("every loss falls, with every embedding, one to three layers and both forms of the GRU") {
        sessrec_config c = learner();
        for (int loss = SESSREC_LOSS_XE; loss <= SESSREC_LOSS_GBCE; ++loss)
            for (int embedding = SESSREC_EMBEDDING_TIED; embedding <= SESSREC_EMBEDDING_NONE; ++embedding)
                for (int32_t layers = 1; layers <= 3; ++layers)
                    for (int form = SESSREC_RESET_BEFORE; form <= SESSREC_RESET_AFTER; ++form) {
                        c.loss.kind = (sessrec_loss_kind)loss;
                        c.embedding = (sessrec_embedding)embedding;
                        c.embedding_width = 8;
                        c.layer_count = layers;
                        c.hidden[1] = c.hidden[2] = 8;
                        c.gru = (sessrec_gru_form)form;
                        const double left = remaining_loss(&c, log);
                        CHECK(left < 0.92);
                        if (!(left < 0.92))
                            printf("        loss %d, embedding %d, layers %d, form %d: %g\n", loss, embedding,
                                   (int)layers, form, left);
                    }
    }
    TEST("every optimizer makes every loss fall, with and without momentum and dropout") {
        static const float rate[5] = {0.3f, 0.2f, 0.02f, 1, 0.05f};
        for (int kind = SESSREC_SGD; kind <= SESSREC_ADAM; ++kind)
            for (int loss = SESSREC_LOSS_XE; loss <= SESSREC_LOSS_GBCE; ++loss)
                for (int more = 0; more < 2; ++more) {
                    sessrec_config c = learner();
                    c.loss.kind = (sessrec_loss_kind)loss;
                    c.optimizer.kind = (sessrec_optimizer_kind)kind;
                    c.optimizer.learning_rate = rate[kind];
                    c.optimizer.momentum = more ? 0.3f : 0;
                    c.dropout_hidden = c.dropout_input = more ? 0.1f : 0;
                    if (kind == SESSREC_ADADELTA) c.optimizer.epsilon = 1e-3f;
                    const double left = remaining_loss(&c, log);
                    CHECK(left < 0.97);
                    if (!(left < 0.97))
                        printf("        optimizer %d, loss %d, momentum and dropout %d: %g\n", kind, loss,
                               more, left);
                }
    }
    TEST("with a user-level GRU the loss falls in every mode and both forms") {
        for (int mode = SESSREC_USER_INIT; mode <= SESSREC_USER_GATES; ++mode)
            for (int form = SESSREC_RESET_BEFORE; form <= SESSREC_RESET_AFTER; ++form) {
                sessrec_config c = learner();
                c.user_hidden = 6;
                c.user_mode = (sessrec_user_mode)mode;
                c.gru = (sessrec_gru_form)form;
                CHECK(remaining_loss(&c, log) < 0.92);
            }
    }
    TEST("a circle without chance is learned by heart: the next item comes first") {
        static const char *const sessions[4] = {"abcd", "bcda", "cdab", "dabc"};
        sessrec_log *circle = letters_log(4, sessions, NULL);
        sessrec_config c = learner();
        sessrec_model *model = NULL;
        sessrec_eval_config eval = sessrec_eval_config_default();
        sessrec_report report;
        c.epochs = 40;
        CHECK_EQ(sessrec_train(&c, circle, NULL, &model, NULL), SESSREC_OK);
        CHECK_EQ(sessrec_evaluate(model, circle, &eval, &report, NULL), SESSREC_OK);
        CHECK_NEAR(report.all.recall[0], 1, 0);
        sessrec_model_destroy(model);
        sessrec_log_destroy(circle);
    }
    sessrec_log_destroy(log);
}

// ---- resuming ---------------------------------------------------------------------------------------------

static void resumed_loops(void) {
    sessrec_log *log = circle_log(9);
    for (int v = 0; v < VARIANTS; ++v)
        TEST("a run of one's own that is interrupted at any step and resumed ends as if it had not been, to "
             "the bit") {
            const file_name path_file = scratch_file("resume");
            const char *path = path_file.name;
            sessrec_config config = variant(v);
            run whole, r;
            int64_t steps = 0;
            if (!run_begin(&whole, &config, log)) continue;
            while (run_step(&whole)) ++steps;
            image model = model_bytes(model_of(whole.trainer));
            run_end(&whole);
            CHECK(steps > 4);
            for (int64_t stop = 0; stop <= steps; ++stop) {
                if (!run_begin(&r, &config, log)) break;
                for (int64_t i = 0; i < stop; ++i) run_step(&r);
                CHECK_EQ(sessrec_trainer_write(r.trainer, path, &r.err), SESSREC_OK);
                run_end(&r);
                if (!run_begin(&r, &config, log)) break;
                CHECK_EQ(sessrec_trainer_read(r.trainer, path, &r.err), SESSREC_OK);
                const sessrec_position at = sessrec_trainer_position(r.trainer);
                CHECK_EQ(sessrec_batcher_seek(r.batcher, at.epoch, at.step, NULL), SESSREC_OK);
                image resumed = run_to_end(&r);
                CHECK(same_bytes(&resumed, &model));
                free(resumed.data);
                run_end(&r);
            }
            free(model.data);
            remove(path);
        }
    sessrec_log_destroy(log);
}

// Cross-entropy of the caller's own that breaks once, at a given mini-batch: what a crash of sessrec_train
// there would leave behind.
typedef struct breaking_loss {
    int64_t calls, breaks_at;   // -1: never
} breaking_loss;

static void breaking_xe(void *user, int32_t first_row, int32_t rows, int32_t columns, const int32_t *items,
                        const float *scores, float *row_loss, float *gradient) {
    static float scratch[8 * 64];
    breaking_loss *self = (breaking_loss *)user;
    sessrec_loss_config xe = sessrec_config_default().loss;
    CHECK(columns <= 64);
    sessrec_loss(&xe, first_row, rows, columns, NULL, items, NULL, scores, row_loss, gradient, scratch);
    if (self->calls++ == self->breaks_at) row_loss[0] = NAN;
}

static sessrec_config breaking_config(breaking_loss *loss, const char *path) {
    sessrec_config c = small_config(1, 6);
    c.epochs = 5;
    c.patience = 2;
    c.loss.kind = SESSREC_LOSS_CUSTOM;
    c.loss.custom = breaking_xe;
    c.loss.custom_user = loss;
    c.checkpoint = path;
    c.checkpoint_steps = 1;
    c.resume = 1;
    return c;
}

static void resumed_training(void) {
    sessrec_log *log = circle_log(9), *validation = circle_log(5);
    TEST("sessrec_train that breaks off at any step and is resumed ends as if it had not, with validation "
         "and patience") {
        const file_name path_file = scratch_file("train");
        const char *path = path_file.name;
        breaking_loss loss = {0, -1};
        sessrec_config config = breaking_config(&loss, path);
        sessrec_model *model = NULL;
        sessrec_error err;
        CHECK_EQ(sessrec_train(&config, log, validation, &model, &err), SESSREC_OK);
        remove(path);
        image expected = model_bytes(model);
        sessrec_model_destroy(model);
        const int64_t steps = loss.calls;
        CHECK(steps > 10);
        for (int64_t at = 0; at < steps; ++at) {
            breaking_loss breaks = {0, 0};
            breaks.breaks_at = at;
            config.loss.custom_user = &breaks;
            CHECK_EQ(sessrec_train(&config, log, validation, &model, &err), SESSREC_DIVERGED);
            CHECK(model == NULL);
            const int64_t done = breaks.calls;
            breaks.breaks_at = -1;
            CHECK_EQ(sessrec_train(&config, log, validation, &model, &err), SESSREC_OK);
            CHECK_EQ(breaks.calls - done, steps - at);  // only what was left
            remove(path);
            image resumed = model_bytes(model);
            CHECK(same_bytes(&resumed, &expected));
            free(resumed.data);
            sessrec_model_destroy(model);
        }
        free(expected.data);
    }
    TEST("a run that is over is resumed to the same model without a step") {
        const file_name path_file = scratch_file("over");
        const char *path = path_file.name;
        breaking_loss loss = {0, -1};
        sessrec_config config = breaking_config(&loss, path);
        sessrec_model *model = NULL;
        CHECK_EQ(sessrec_train(&config, log, validation, &model, NULL), SESSREC_OK);
        image expected = model_bytes(model);
        sessrec_model_destroy(model);
        loss.calls = 0;
        CHECK_EQ(sessrec_train(&config, log, validation, &model, NULL), SESSREC_OK);
        CHECK_EQ(loss.calls, 0);
        image again = model_bytes(model);
        CHECK(same_bytes(&again, &expected));
        free(expected.data);
        free(again.data);
        sessrec_model_destroy(model);
        remove(path);
    }
    TEST("a resumed run may be given more epochs: it ends as the longer run") {
        const file_name path_file = scratch_file("longer");
        const char *path = path_file.name;
        sessrec_config config = variant(0);
        sessrec_model *model = NULL;
        config.checkpoint = path;
        CHECK_EQ(sessrec_train(&config, log, NULL, &model, NULL), SESSREC_OK);
        sessrec_model_destroy(model);
        config.epochs = 4;
        config.resume = 1;
        CHECK_EQ(sessrec_train(&config, log, NULL, &model, NULL), SESSREC_OK);
        image longer = model_bytes(model);
        sessrec_model_destroy(model);
        remove(path);
        config.checkpoint = NULL;
        image expected = trained(&config, log, NULL);
        CHECK(same_bytes(&longer, &expected));
        free(longer.data);
        free(expected.data);
    }
    sessrec_log_destroy(log);
    sessrec_log_destroy(validation);
}

// ---- checkpoints that are refused -------------------------------------------------------------------------

enum { CHANGES = 40 };

// The same configuration with one thing changed; 0 if there is no such change.
static int changed_config(int which, sessrec_config *c) {
    switch (which) {
    case 0: c->layer_count = 2; return 1;
    case 1: c->hidden[0] += 1; return 1;
    case 2: c->embedding = SESSREC_EMBEDDING_SEPARATE; return 1;
    case 3: c->embedding = SESSREC_EMBEDDING_NONE; return 1;
    case 4: c->gru = SESSREC_RESET_AFTER; return 1;
    case 5: c->loss.kind = SESSREC_LOSS_BPR; return 1;
    case 6: c->loss.activation = SESSREC_TANH; return 1;
    case 7: c->loss.activation_a = 0.25f; return 1;
    case 8: c->loss.activation_b = 2; return 1;
    case 9: c->loss.with_diagonal = 0; return 1;
    case 10: c->loss.bpreg = 0.5f; return 1;
    case 11: c->loss.logq = 0.5f; return 1;
    case 12: c->loss.smoothing = 0.1f; return 1;
    case 13: c->loss.skip_own_target = 0; return 1;
    case 14: c->optimizer.kind = SESSREC_SGD; return 1;
    case 15: c->optimizer.kind = SESSREC_RMSPROP; return 1;
    case 16: c->optimizer.kind = SESSREC_ADADELTA; return 1;
    case 17: c->optimizer.kind = SESSREC_ADAM; return 1;
    case 18: c->optimizer.learning_rate = 0.1f; return 1;
    case 19: c->optimizer.momentum = 0; return 1;
    case 20: c->optimizer.momentum = 0.3f; return 1;
    case 21: c->optimizer.decay = 0.8f; return 1;
    case 22: c->optimizer.beta1 = 0.8f; return 1;
    case 23: c->optimizer.beta2 = 0.99f; return 1;
    case 24: c->optimizer.epsilon = 1e-5f; return 1;
    case 25: c->optimizer.l2 = 0.1f; return 1;
    case 26: c->optimizer.gradient_cap = 1; return 1;
    case 27: c->dropout_input = 0.1f; return 1;
    case 28: c->dropout_hidden = 0.3f; return 1;
    case 29: c->batch_size -= 1; return 1;
    case 30: c->negatives -= 1; return 1;
    case 31: c->alpha = 1; return 1;
    case 32: c->shuffle_sessions = 1; return 1;
    case 33: c->seed = 2; return 1;
    case 34: c->user_hidden = 4; return 1;
    case 35: c->dropout_user = 0.1f; return 1;
    case 36: c->dropout_init = 0.1f; return 1;
    case 37: c->loss.hardest = 3; return 1;
    case 38: c->loss.calibration = 0.5f; return 1;
    case 39: c->loss.sampling_rate = 0.5f; return 1;
    default: return 0;
    }
}

// Loads what cannot be loaded into a run that has made a few steps, and sees that nothing has changed.
static void check_refused(const sessrec_config *config, const sessrec_log *log, const char *path,
                          sessrec_result expected, sessrec_result also) {
    run r;
    if (run_begin(&r, config, log)) {
        const file_name state_file = scratch_file("kept");
        const char *state = state_file.name;
        for (int i = 0; i < 3; ++i) run_step(&r);
        image before = trainer_bytes(r.trainer, state);
        const sessrec_result result = sessrec_trainer_read(r.trainer, path, &r.err);
        CHECK(result == expected || result == also);
        CHECK_EQ(r.err.code, result);
        CHECK(r.err.text[0] != 0);
        image after = trainer_bytes(r.trainer, state);
        CHECK(same_bytes(&before, &after));
        free(before.data);
        free(after.data);
    }
    run_end(&r);
}

static void refused_checkpoints(void) {
    const file_name path_file = scratch_file("refused");
    const char *path = path_file.name;
    sessrec_log *log = circle_log(9), *other_log = circle_log(10);
    sessrec_config config = variant(0);
    run r;
    TEST("a checkpoint of another configuration is a MISMATCH, and the trainer stays as it was") {
        if (!run_begin(&r, &config, log)) continue;
        for (int i = 0; i < 4; ++i) run_step(&r);
        CHECK_EQ(sessrec_trainer_write(r.trainer, path, NULL), SESSREC_OK);
        run_end(&r);
        sessrec_config other = config;
        int changes = 0;
        for (; changed_config(changes, &other); ++changes, other = config)
            check_refused(&other, log, path, SESSREC_MISMATCH, SESSREC_MISMATCH);
        CHECK_EQ(changes, CHANGES);
    }
    TEST("so is one of another log") {
        check_refused(&config, other_log, path, SESSREC_MISMATCH, SESSREC_MISMATCH);
    }
    TEST("so is one of a log with the same items, as often, in other sessions") {
        static const char *const two[2] = {"abc", "abc"}, *const one[1] = {"abcabc"};
        const file_name split_file = scratch_file("split");
        sessrec_log *apart = letters_log(2, two, NULL), *together = letters_log(1, one, NULL);
        sessrec_config plain = sessrec_config_default();
        plain.hidden[0] = 4;
        if (!run_begin(&r, &plain, apart)) continue;
        CHECK_EQ(sessrec_trainer_write(r.trainer, split_file.name, NULL), SESSREC_OK);
        run_end(&r);
        check_refused(&plain, together, split_file.name, SESSREC_MISMATCH, SESSREC_MISMATCH);
        remove(split_file.name);
        sessrec_log_destroy(apart);
        sessrec_log_destroy(together);
    }
    TEST("so is one that kept best weights, and the other way round where early stopping has begun") {
        const file_name best_file = scratch_file("best");
        const char *best = best_file.name;
        sessrec_config other = config;
        other.hidden[0] = 5;
        if (!run_begin(&r, &other, log)) continue;
        CHECK_EQ(sessrec_trainer_keep_best(r.trainer, 0.5, NULL), SESSREC_OK);
        CHECK_EQ(sessrec_trainer_write(r.trainer, best, NULL), SESSREC_OK);
        run_end(&r);
        check_refused(&config, log, best, SESSREC_MISMATCH, SESSREC_MISMATCH);
        remove(best);
    }
    TEST("a model file is no checkpoint, and a checkpoint no model") {
        const file_name file_file = scratch_file("model");
        const char *file = file_file.name;
        sessrec_model *model = NULL;
        if (!run_begin(&r, &config, log)) continue;
        CHECK_EQ(sessrec_model_write(model_of(r.trainer), file, NULL), SESSREC_OK);
        run_end(&r);
        check_refused(&config, log, file, SESSREC_BAD_FILE, SESSREC_MISMATCH);
        remove(file);
        CHECK_EQ(sessrec_model_read(path, NULL, &model, NULL), SESSREC_BAD_FILE);
        CHECK(model == NULL);
    }
    TEST("no file is NO_FILE") {
        check_refused(&config, log, "no_such_directory/no_such_file", SESSREC_NO_FILE, SESSREC_NO_FILE);
    }
    TEST("a checkpoint that is cut off anywhere or has a wrong byte anywhere is refused, and the trainer "
         "stays as it was") {
        const file_name damaged_file = scratch_file("damaged"), state_file = scratch_file("intact");
        const char *damaged = damaged_file.name, *state = state_file.name;
        image good = file_bytes(path);
        int accepted = 0;
        CHECK(good.size > 1000);
        if (!run_begin(&r, &config, log)) continue;
        for (int i = 0; i < 3; ++i) run_step(&r);
        image before = trainer_bytes(r.trainer, state);
        for (size_t size = 0; size < good.size; size += size < 300 ? 7 : 499) {
            write_file(damaged, good.data, size);
            accepted += sessrec_trainer_read(r.trainer, damaged, NULL) == SESSREC_OK;
        }
        for (size_t at = 0; at < good.size; at += at < 3000 ? 11 : 157) {
            const unsigned char bit = (unsigned char)(1 << (at % 8));
            good.data[at] ^= bit;
            write_file(damaged, good.data, good.size);
            accepted += sessrec_trainer_read(r.trainer, damaged, NULL) == SESSREC_OK;
            good.data[at] ^= bit;
        }
        CHECK_EQ(accepted, 0);
        image after = trainer_bytes(r.trainer, state);
        CHECK(same_bytes(&before, &after));
        write_file(damaged, good.data, good.size);
        CHECK_EQ(sessrec_trainer_read(r.trainer, damaged, NULL), SESSREC_OK);
        remove(damaged);
        free(good.data);
        free(before.data);
        free(after.data);
        run_end(&r);
    }
    TEST("sessrec_train with a checkpoint of another run ends with the reason, and without a model") {
        sessrec_model *model = NULL;
        sessrec_error err;
        sessrec_config other = config;
        other.checkpoint = path;
        other.resume = 1;
        other.alpha = 1;
        image before = file_bytes(path);
        CHECK_EQ(sessrec_train(&other, log, NULL, &model, &err), SESSREC_MISMATCH);
        CHECK(model == NULL);
        CHECK(strstr(err.text, "config") != NULL);
        image after = file_bytes(path);
        CHECK(same_bytes(&before, &after));
        free(before.data);
        free(after.data);
    }
    remove(path);
    sessrec_log_destroy(log);
    sessrec_log_destroy(other_log);
}

// ---- how a run ends ---------------------------------------------------------------------------------------

// Counts the epochs and stops after some.
typedef struct watcher {
    int32_t epochs, stop_after;     // -1: never
    double validation[32], loss[32];
} watcher;

static int32_t watch(void *user, const sessrec_progress *progress) {
    watcher *self = (watcher *)user;
    if (!progress->epoch_done) return 0;
    CHECK_EQ(progress->epoch, self->epochs);
    CHECK_EQ(progress->step, progress->steps);
    if (self->epochs < 32) {
        self->validation[self->epochs] = progress->validation;
        self->loss[self->epochs] = progress->loss;
    }
    return ++self->epochs == self->stop_after;
}

static int32_t stop_at_once(void *user, const sessrec_progress *progress) {
    (void)progress;
    ++*(int32_t *)user;
    return 1;
}

static void slow_xe(void *user, int32_t first_row, int32_t rows, int32_t columns, const int32_t *items,
                    const float *scores, float *row_loss, float *gradient) {
    const double until = sessrec__now() + 0.25;
    breaking_xe(user, first_row, rows, columns, items, scores, row_loss, gradient);
    while (sessrec__now() < until) continue;
}

// Counts the mini-batches' calls; learns nothing.
static void counting_loss(void *user, int32_t first_row, int32_t rows, int32_t columns, const int32_t *items,
                          const float *scores, float *row_loss, float *gradient) {
    (void)first_row, (void)items, (void)scores;
    ++*(int32_t *)user;
    for (int32_t i = 0; i < rows; ++i) row_loss[i] = 1;
    memset(gradient, 0, (size_t)rows * (size_t)columns * sizeof *gradient);
}

static void endings(void) {
    sessrec_log *log = circle_log(20), *validation = circle_log(6);
    sessrec_model *model = NULL;
    sessrec_error err;
    TEST("a loss that grows without bound ends the run with DIVERGED, epoch and step, and the trainer keeps "
         "its weights") {
        sessrec_config c = small_config(1, 8);
        c.loss.kind = SESSREC_LOSS_BPR_MAX;
        c.loss.bpreg = 1000;
        c.optimizer.kind = SESSREC_SGD;
        c.optimizer.learning_rate = 1e6f;
        CHECK_EQ(sessrec_train(&c, log, NULL, &model, &err), SESSREC_DIVERGED);
        CHECK(model == NULL);
        CHECK_EQ(err.code, SESSREC_DIVERGED);
        CHECK(strstr(err.text, "epoch 1, step ") != NULL);
    }
    TEST("the step of the text is the one that diverged, counting from 1; the step changes nothing") {
        breaking_loss loss = {0, 5};
        sessrec_config c = breaking_config(&loss, NULL);
        run r;
        sessrec_batch batch;
        if (!run_begin(&r, &c, log)) continue;
        for (int i = 0; i < 5; ++i) run_step(&r);
        image before = model_bytes(model_of(r.trainer));
        CHECK_EQ(sessrec_batcher_next(r.batcher, &batch), SESSREC_OK);
        CHECK_EQ(sessrec_trainer_step(r.trainer, &batch, NULL, &err), SESSREC_DIVERGED);
        CHECK_TEXT(err.text, "the loss is not finite in epoch 1, step 6: a smaller learning rate may help");
        image after = model_bytes(model_of(r.trainer));
        CHECK(same_bytes(&before, &after));
        CHECK_EQ(sessrec_trainer_position(r.trainer).step, 5);
        free(before.data);
        free(after.data);
        run_end(&r);
    }
    TEST("a run that diverges leaves the last checkpoint as it was") {
        const file_name path_file = scratch_file("diverged");
        const char *path = path_file.name;
        breaking_loss loss = {0, 4};
        sessrec_config c = breaking_config(&loss, path);
        CHECK_EQ(sessrec_train(&c, log, NULL, &model, NULL), SESSREC_DIVERGED);
        loss.breaks_at = -1;
        run r;
        if (!run_begin(&r, &c, log)) continue;
        CHECK_EQ(sessrec_trainer_read(r.trainer, path, NULL), SESSREC_OK);
        CHECK_EQ(sessrec_trainer_position(r.trainer).step, 4);
        run_end(&r);
        remove(path);
    }
    TEST("a callback that stops at the end of an epoch gets STOPPED and the model as it stands") {
        watcher w = {0, 2, {0}, {0}};
        sessrec_config c = variant(0), shorter = variant(0);
        c.epochs = 9;
        c.progress = watch;
        c.progress_user = &w;
        CHECK_EQ(sessrec_train(&c, log, NULL, &model, &err), SESSREC_STOPPED);
        CHECK_EQ(w.epochs, 2);
        CHECK(model != NULL);
        image stopped = model_bytes(model), expected = trained(&shorter, log, NULL);
        CHECK(same_bytes(&stopped, &expected));
        free(stopped.data);
        free(expected.data);
        sessrec_model_destroy(model);
    }
    TEST("a callback can stop in the middle of an epoch, and the text says where") {
        breaking_loss loss = {0, -1};
        sessrec_config c = breaking_config(&loss, NULL);
        int32_t calls = 0;
        c.loss.custom = slow_xe;
        c.progress = stop_at_once;
        c.progress_user = &calls;
        CHECK_EQ(sessrec_train(&c, log, NULL, &model, &err), SESSREC_STOPPED);
        CHECK_EQ(calls, 1);
        CHECK_TEXT(err.text, "stopped in epoch 1, step 1");
        CHECK(model != NULL);
        sessrec_model_destroy(model);
    }
    TEST("every end but OK fills the error") {
        watcher w = {0, 1, {0}, {0}};
        sessrec_config c = variant(0);
        c.progress = watch;
        c.progress_user = &w;
        memset(&err, 0, sizeof err);
        CHECK_EQ(sessrec_train(&c, log, NULL, &model, &err), SESSREC_STOPPED);
        CHECK_EQ(err.code, SESSREC_STOPPED);
        CHECK(err.text[0] != 0);
        sessrec_model_destroy(model);
        memset(&err, 0, sizeof err);
        CHECK_EQ(sessrec_train(&c, log, NULL, NULL, &err), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(err.code, SESSREC_INVALID_ARGUMENT);
    }
    TEST("epochs = n is n epochs, and the loss that is told falls") {
        watcher w = {0, -1, {0}, {0}};
        sessrec_config c = variant(0);
        c.epochs = 5;
        c.progress = watch;
        c.progress_user = &w;
        CHECK_EQ(sessrec_train(&c, log, NULL, &model, NULL), SESSREC_OK);
        CHECK_EQ(w.epochs, 5);
        CHECK(w.loss[4] < w.loss[0]);
        CHECK_NEAR(w.validation[0], -1, 0);
        sessrec_model_destroy(model);
    }
    TEST("patience counts epochs without a better validation") {
        for (int32_t patience = 1; patience <= 3; ++patience) {
            watcher w = {0, -1, {0}, {0}};
            sessrec_config c = variant(0);
            c.epochs = 9;
            c.patience = patience;
            c.optimizer.learning_rate = 1e-30f;  // nothing gets better
            c.progress = watch;
            c.progress_user = &w;
            CHECK_EQ(sessrec_train(&c, log, validation, &model, NULL), SESSREC_OK);
            CHECK_EQ(w.epochs, 1 + patience);
            sessrec_model_destroy(model);
        }
    }
    TEST("the model that is returned is that of the best validation") {
        watcher w = {0, -1, {0}, {0}};
        sessrec_config c = variant(0);
        sessrec_eval_config eval = sessrec_eval_config_default();
        sessrec_report report;
        c.epochs = 20;
        c.dropout_hidden = 0.5f;
        c.progress = watch;
        c.progress_user = &w;
        CHECK_EQ(sessrec_train(&c, log, validation, &model, NULL), SESSREC_OK);
        int best = 0;
        for (int e = 1; e < 20; ++e)
            if (w.validation[e] > w.validation[best]) best = e;
        CHECK_EQ(sessrec_evaluate(model, validation, &eval, &report, NULL), SESSREC_OK);
        CHECK_NEAR(report.all.mrr[3], w.validation[best], 1e-15);
        CHECK(best < 19);  // else the test shows nothing
        c.epochs = best + 1;
        c.progress = NULL;
        image b = model_bytes(model), expected = trained(&c, log, NULL);
        CHECK(same_bytes(&b, &expected));
        free(b.data);
        free(expected.data);
        sessrec_model_destroy(model);
    }
    TEST("U9 a validation log of unknown items is refused before the first epoch, and its ids are named") {
        int32_t trained = 0;
        sessrec_config c = variant(0);
        sessrec_log *other = NULL;
        c.threads = 1;
        c.loss.kind = SESSREC_LOSS_CUSTOM;
        c.loss.custom = counting_loss;
        c.loss.custom_user = &trained;
        CHECK_EQ(sessrec_log_create(NULL, &other, NULL), SESSREC_OK);
        // one known item in each session is nothing to evaluate either
        for (int32_t i = 0; i < 6; ++i)
            CHECK_EQ(sessrec_log_add_numbers(other, 1, i / 3, i % 3 ? 77 : 101, i), SESSREC_OK);
        CHECK_EQ(sessrec_log_finish(other, NULL), SESSREC_OK);
        CHECK_EQ(sessrec_train(&c, log, other, &model, &err), SESSREC_NO_DATA);
        CHECK(model == NULL);
        CHECK_EQ(trained, 0);
        CHECK(strstr(err.text, "4 are of unknown items such as '77'") != NULL);
        CHECK(strstr(err.text, "the model has items such as '10") != NULL);
        sessrec_log_destroy(other);
    }
    sessrec_log_destroy(log);
    sessrec_log_destroy(validation);
}

// ---- from file to file ----

static int count_calls(void *user, const sessrec_progress *progress) {
    (void)progress;
    ++*(int *)user;
    return 0;
}

static void from_file_to_file(void) {
    static const char log_path[] = "train_file.tsv", model_path[] = "train_file.model";
    sessrec_log *log = circle_log(12);
    sessrec_error err;
    int calls = 0;
    sessrec_config c = variant(0);
    c.epochs = 1;
    c.progress = count_calls;
    c.progress_user = &calls;
    CHECK_EQ(sessrec_log_write(log, log_path, NULL), SESSREC_OK);
    const image clicks = file_bytes(log_path);
    TEST("sessrec_train_file makes the model of sessrec_train, and its checkpoint") {
        sessrec_config checkpointed = c;
        checkpointed.checkpoint = "train_file.checkpoint";
        remove(model_path);
        CHECK_EQ(sessrec_train_file(log_path, model_path, &checkpointed, &err), SESSREC_OK);
        image file = file_bytes(model_path), expected = trained(&c, log, NULL);
        image checkpoint = file_bytes(checkpointed.checkpoint);
        CHECK(file.size > 0 && same_bytes(&file, &expected));
        CHECK(checkpoint.size > 0);
        free(file.data);
        free(expected.data);
        free(checkpoint.data);
        remove(checkpointed.checkpoint);
    }
    TEST("U1 no output of sessrec_train_file replaces its log or the other, and that is said before "
         "training") {
        char other[64];
        sessrec_config into = c;
        calls = 0;
        snprintf(other, sizeof other, "./%s", log_path);
        CHECK_EQ(sessrec_train_file(log_path, other, &c, &err), SESSREC_INVALID_ARGUMENT);
        CHECK_TEXT(err.text, "train_file.tsv would be overwritten by ./train_file.tsv; give another name");
        into.checkpoint = other;
        CHECK_EQ(sessrec_train_file(log_path, model_path, &into, &err), SESSREC_INVALID_ARGUMENT);
        CHECK_TEXT(err.text, "train_file.tsv would be overwritten by ./train_file.tsv; give another name");
        into.checkpoint = model_path;
        CHECK_EQ(sessrec_train_file(log_path, model_path, &into, &err), SESSREC_INVALID_ARGUMENT);
        CHECK_TEXT(err.text, "train_file.model would be overwritten by train_file.model; give another name");
        CHECK_EQ(calls, 0);
    }
    TEST("U2 what cannot be written is refused by sessrec_train_file before training, and stays as it is") {
        static const char notes[] = "train_file.notes", text[] = "not a model";
        sessrec_config into = c;
        calls = 0;
        write_file(notes, (const unsigned char *)text, sizeof text - 1);
        CHECK_EQ(sessrec_train_file(log_path, notes, &c, &err), SESSREC_IO_ERROR);
        CHECK(strstr(err.text, "cannot write train_file.notes: it exists and holds something else") != NULL);
        CHECK_EQ(sessrec_train_file(log_path, "no_such_folder/model", &c, &err), SESSREC_IO_ERROR);
        CHECK(strstr(err.text, "no_such_folder/model: No such file") != NULL);
        into.checkpoint = "no_such_folder/checkpoint";
        CHECK_EQ(sessrec_train_file(log_path, model_path, &into, &err), SESSREC_IO_ERROR);
        CHECK(strstr(err.text, "no_such_folder/checkpoint: No such file") != NULL);
        CHECK_EQ(calls, 0);
        image after = file_bytes(notes);
        CHECK(after.size == sizeof text - 1 && !memcmp(after.data, text, after.size));
        free(after.data);
        remove(notes);
    }
    TEST("none of that changed the log") {
        image after = file_bytes(log_path);
        CHECK(same_bytes(&after, &clicks));
        free(after.data);
    }
    free(clicks.data);
    remove(log_path);
    remove(model_path);
    sessrec_log_destroy(log);
}

static void early_stopping(void) {
    sessrec_log *log = circle_log(20);
    sessrec_config config = variant(0);
    run r;
    TEST("the position tells how many calls of keep_best ago the best was, use_best brings it back") {
        if (!run_begin(&r, &config, log)) continue;
        CHECK_EQ(sessrec_trainer_position(r.trainer).best_age, -1);
        image start = model_bytes(model_of(r.trainer));
        sessrec_trainer_use_best(r.trainer, NULL);  // nothing kept: nothing happens
        run_step(&r);
        CHECK_EQ(sessrec_trainer_keep_best(r.trainer, 0.25, NULL), SESSREC_OK);
        image kept = model_bytes(model_of(r.trainer));
        CHECK(!same_bytes(&start, &kept));
        run_step(&r);
        CHECK_EQ(sessrec_trainer_keep_best(r.trainer, 0.25, NULL), SESSREC_OK);
        CHECK_EQ(sessrec_trainer_position(r.trainer).best_age, 1);  // as good is not better
        CHECK_EQ(sessrec_trainer_keep_best(r.trainer, 0.125, NULL), SESSREC_OK);
        CHECK_EQ(sessrec_trainer_position(r.trainer).best_age, 2);
        CHECK_NEAR(sessrec_trainer_position(r.trainer).best, 0.25, 0);
        sessrec_trainer_use_best(r.trainer, NULL);
        image back = model_bytes(model_of(r.trainer));
        CHECK(same_bytes(&back, &kept));
        run_step(&r);
        CHECK_EQ(sessrec_trainer_keep_best(r.trainer, 0.5, NULL), SESSREC_OK);
        image better = model_bytes(model_of(r.trainer));
        run_step(&r);
        sessrec_trainer_use_best(r.trainer, NULL);
        image again = model_bytes(model_of(r.trainer));
        CHECK(same_bytes(&again, &better));
        free(start.data);
        free(kept.data);
        free(back.data);
        free(better.data);
        free(again.data);
        run_end(&r);
    }
    TEST("a model that was taken outlives its trainer, which then refuses to go on") {
        sessrec_batch batch;
        sessrec_mutable_tensor tensor;
        if (!run_begin(&r, &config, log)) continue;
        sessrec_model *model = take_model(r.trainer);
        CHECK(take_model(r.trainer) == NULL);
        CHECK_EQ(sessrec_batcher_next(r.batcher, &batch), SESSREC_OK);
        CHECK_EQ(sessrec_trainer_step(r.trainer, &batch, NULL, NULL), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_trainer_apply(r.trainer, NULL), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_trainer_keep_best(r.trainer, 1, NULL), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_trainer_tensor(r.trainer, "Wy", &tensor, NULL), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_trainer_write(r.trainer, "no_such_directory/never", NULL), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_trainer_read(r.trainer, "no_such_directory/never", NULL), SESSREC_INVALID_ARGUMENT);
        run_end(&r);
        CHECK_EQ(sessrec_model_describe(model).item_count, 10);
        sessrec_model_destroy(model);
    }
    sessrec_log_destroy(log);
}

// ---- training a model further -----------------------------------------------------------------------------

// A log on the items of `model`, which come first, and on two new ones.
static sessrec_log *later_log(const sessrec_model *model) {
    sessrec_log_format format = sessrec_log_format_default();
    sessrec_log *log = NULL;
    format.items_of = model;
    CHECK_EQ(sessrec_log_create(&format, &log, NULL), SESSREC_OK);
    static const char *const item[6] = {"new", "104", "102", "newer", "104", "new"};
    for (int i = 0; i < 6; ++i)
        CHECK_EQ(sessrec_log_add(log, NULL, i < 3 ? "x" : "y", item[i], i), SESSREC_OK);
    CHECK_EQ(sessrec_log_finish(log, NULL), SESSREC_OK);
    return log;
}

static void training_further(void) {
    sessrec_log *log = circle_log(12);
    for (int v = 0; v < 3; ++v) {
        sessrec_config config = variant(v);
        sessrec_model *model = NULL, *further = NULL;
        sessrec_trainer *trainer = NULL;
        sessrec_tensor before, after;
        CHECK_EQ(sessrec_train(&config, log, NULL, &model, NULL), SESSREC_OK);
        sessrec_log *later = later_log(model);
        config.start_from = model;
        TEST("a model that is trained further keeps the numbers of its items and its weights; new items come "
             "after, support is added") {
            CHECK_EQ(sessrec_trainer_create(&config, later, &trainer, NULL), SESSREC_OK);
            const sessrec_model *start = model_of(trainer);
            CHECK_EQ(sessrec_model_describe(start).item_count, 12);
            for (int32_t i = 0; i < 10; ++i)
                CHECK_TEXT(sessrec_model_item_id(start, i), sessrec_model_item_id(model, i));
            CHECK_TEXT(sessrec_model_item_id(start, 10), "new");
            CHECK_TEXT(sessrec_model_item_id(start, 11), "newer");
            const int32_t known = sessrec_model_find_item(model, "104");
            CHECK_EQ(sessrec_model_find_item(start, "104"), known);
            CHECK_EQ(sessrec_model_support(start, known), sessrec_model_support(model, known) + 2);
            CHECK_EQ(sessrec_model_support(start, 10), 2);
            CHECK_EQ(sessrec_model_describe(start).event_count,
                     sessrec_model_describe(model).event_count + 6);
            const char *name;
            for (int32_t t = 0; (name = sessrec_model_tensor_name(model, t)) != NULL; ++t) {
                CHECK_EQ(sessrec_model_tensor(model, name, &before), SESSREC_OK);
                CHECK_EQ(sessrec_model_tensor(start, name, &after), SESSREC_OK);
                CHECK(!memcmp(before.data, after.data,
                              (size_t)before.rows * (size_t)before.columns * sizeof(float)));
            }
            CHECK_EQ(sessrec_model_tensor(start, "Wy", &after), SESSREC_OK);
            double size = 0;
            for (int32_t j = 0; j < after.columns; ++j)
                size += fabs((double)after.data[11 * after.columns + j]);
            CHECK(size > 0);  // new items begin as random as any
            sessrec_trainer_destroy(trainer);
        }
        TEST("and it is trained, while the model that it started from stays as it is") {
            image untouched = model_bytes(model);
            CHECK_EQ(sessrec_train(&config, later, NULL, &further, NULL), SESSREC_OK);
            image still = model_bytes(model);
            CHECK(same_bytes(&still, &untouched));
            CHECK_EQ(sessrec_model_tensor(model, "L0.U", &before), SESSREC_OK);
            CHECK_EQ(sessrec_model_tensor(further, "L0.U", &after), SESSREC_OK);
            CHECK(memcmp(before.data, after.data,
                         (size_t)before.rows * (size_t)before.columns * sizeof(float)) != 0);
            free(untouched.data);
            free(still.data);
            sessrec_model_destroy(further);
        }
        TEST("a log that numbers its items otherwise is a MISMATCH") {
            static const char *const sessions[2] = {"abc", "cab"};
            sessrec_log *other = letters_log(2, sessions, NULL);
            sessrec_error err;
            CHECK_EQ(sessrec_train(&config, other, NULL, &further, &err), SESSREC_MISMATCH);
            CHECK(further == NULL);
            CHECK(strstr(err.text, "format.items_of") != NULL);
            sessrec_log_destroy(other);
        }
        TEST("a network of another shape is a MISMATCH") {
            sessrec_config other = config;
            other.hidden[0] += 1;
            CHECK_EQ(sessrec_trainer_create(&other, later, &trainer, NULL), SESSREC_MISMATCH);
            CHECK(trainer == NULL);
            other = config;
            other.gru = other.gru == SESSREC_RESET_AFTER ? SESSREC_RESET_BEFORE : SESSREC_RESET_AFTER;
            CHECK_EQ(sessrec_trainer_create(&other, later, &trainer, NULL), SESSREC_MISMATCH);
            CHECK(trainer == NULL);
        }
        sessrec_log_destroy(later);
        sessrec_model_destroy(model);
    }
    sessrec_log_destroy(log);
}

// ---- refusals, memory -------------------------------------------------------------------------------------

static void bad_batches(void) {
    sessrec_log *log = circle_log(20);
    sessrec_config config = variant(0);
    run r;
    sessrec_batch good, bad;
    sessrec_error err;
    int32_t numbers[128];
    if (!run_begin(&r, &config, log)) return;
    CHECK_EQ(sessrec_batcher_next(r.batcher, &good), SESSREC_OK);
    image before = model_bytes(model_of(r.trainer));
    TEST("a mini-batch with more rows or negatives than configured, or none or less, is refused") {
        bad = good;
        bad.rows = config.batch_size + 1;
        CHECK_EQ(sessrec_trainer_step(r.trainer, &bad, NULL, &err), SESSREC_INVALID_ARGUMENT);
        bad.rows = 0;
        CHECK_EQ(sessrec_trainer_step(r.trainer, &bad, NULL, &err), SESSREC_INVALID_ARGUMENT);
        bad.rows = -1;
        CHECK_EQ(sessrec_trainer_step(r.trainer, &bad, NULL, &err), SESSREC_INVALID_ARGUMENT);
        bad = good;
        bad.negative_count = config.negatives + 1;
        CHECK_EQ(sessrec_trainer_step(r.trainer, &bad, NULL, &err), SESSREC_INVALID_ARGUMENT);
        bad.negative_count = -1;
        CHECK_EQ(sessrec_trainer_step(r.trainer, &bad, NULL, &err), SESSREC_INVALID_ARGUMENT);
        CHECK_TEXT(err.text, "the mini-batch has more rows or negative samples than the configuration");
    }
    TEST("an item out of range is refused, wherever it stands") {
        static const int32_t wrong[4] = {10, -1, INT32_MAX, INT32_MIN};
        for (int w = 0; w < 4; ++w)
            for (int where = 0; where < 3; ++where) {
                const int32_t *of = where == 0   ? good.inputs
                                    : where == 1 ? good.targets
                                                 : good.negatives,
                              count = where == 2 ? good.negative_count : good.rows;
                for (int32_t at = 0; at < count; at += count - 1) {  // the first and the last
                    memcpy(numbers, of, (size_t)count * sizeof *numbers);
                    numbers[at] = wrong[w];
                    bad = good;
                    if (where == 0) bad.inputs = numbers;
                    else if (where == 1) bad.targets = numbers;
                    else bad.negatives = numbers;
                    CHECK_EQ(sessrec_trainer_step(r.trainer, &bad, NULL, &err), SESSREC_INVALID_ARGUMENT);
                    CHECK_TEXT(err.text, "the mini-batch has an item that the model does not have");
                }
            }
    }
    TEST("a previous row out of range is refused") {
        for (int32_t wrong = -1; wrong <= config.batch_size; wrong += config.batch_size + 1) {
            memcpy(numbers, good.previous_rows, (size_t)good.rows * sizeof *numbers);
            numbers[good.rows - 1] = wrong;
            bad = good;
            bad.previous_rows = numbers;
            CHECK_EQ(sessrec_trainer_step(r.trainer, &bad, NULL, &err), SESSREC_INVALID_ARGUMENT);
        }
    }
    TEST("an array that is NULL is refused, and so are trainer and mini-batch") {
        for (int which = 0; which < 5; ++which) {
            bad = good;
            if (which == 0) bad.inputs = NULL;
            if (which == 1) bad.targets = NULL;
            if (which == 2) bad.negatives = NULL;
            if (which == 3) bad.session_starts = NULL;
            if (which == 4) bad.previous_rows = NULL;
            CHECK_EQ(sessrec_trainer_step(r.trainer, &bad, NULL, NULL), SESSREC_INVALID_ARGUMENT);
        }
        CHECK_EQ(sessrec_trainer_step(r.trainer, NULL, NULL, NULL), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_trainer_step(NULL, &good, NULL, NULL), SESSREC_INVALID_ARGUMENT);
    }
    TEST("to apply before there are gradients is refused") {
        CHECK_EQ(sessrec_trainer_apply(r.trainer, NULL), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_trainer_apply(NULL, NULL), SESSREC_INVALID_ARGUMENT);
    }
    TEST("after all these refusals the trainer is as it was, and takes the good mini-batch") {
        image after = model_bytes(model_of(r.trainer));
        CHECK(same_bytes(&before, &after));
        CHECK_EQ(sessrec_trainer_position(r.trainer).step, 0);
        CHECK_EQ(sessrec_trainer_step(r.trainer, &good, NULL, NULL), SESSREC_OK);
        free(after.data);
    }
    TEST("tensors that are not there are refused") {
        static const char *const wrong[10] = {"",         "Wz",        "grad.", "hidden1", "hidden",
                                              "hidden00", "second.Wy", "L1.W",  "L0.c",    "grad.grad.Wy"};
        sessrec_mutable_tensor tensor;
        for (int i = 0; i < 10; ++i)
            CHECK_EQ(sessrec_trainer_tensor(r.trainer, wrong[i], &tensor, NULL), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_trainer_tensor(r.trainer, "acc.Wy", &tensor, NULL), SESSREC_OK);
        CHECK_EQ(tensor.rows, 10);
        CHECK_EQ(sessrec_trainer_tensor(r.trainer, "vel.L0.b", &tensor, NULL), SESSREC_OK);
        CHECK_EQ(tensor.columns, 39);
    }
    free(before.data);
    run_end(&r);
    sessrec_log_destroy(log);
}

// An allocator that refuses one request, or all from it on.
typedef struct failing_memory {
    int64_t requests, blocks, refuse;
    int from_then_on;
} failing_memory;

static void *failing_alloc(void *user, size_t size) {
    failing_memory *memory = (failing_memory *)user;
    const int64_t number = memory->requests++;
    if (number == memory->refuse || (memory->from_then_on && memory->refuse >= 0 && number > memory->refuse))
        return NULL;
    void *block = malloc(size);
    if (block) ++memory->blocks;
    return block;
}
static void failing_free(void *user, void *block) {
    if (block) --((failing_memory *)user)->blocks;
    free(block);
}

static void out_of_memory(void) {
    sessrec_log *log = circle_log(9), *validation = circle_log(5);
    const file_name path_file = scratch_file("memory");
    const char *path = path_file.name;
    failing_memory memory = {0, 0, -1, 0};
    sessrec_config config = variant(1);
    config.allocator.alloc = failing_alloc;
    config.allocator.free = failing_free;
    config.allocator.user = &memory;
    config.threads = 2;
    config.checkpoint = path;
    config.resume = 1;
    TEST("wherever memory runs out in sessrec_train, once or from then on: OUT_OF_MEMORY, no model, nothing "
         "left behind") {
        sessrec_model *model = NULL;
        sessrec_error err;
        for (int from_then_on = 0; from_then_on < 2; ++from_then_on)
            for (int warm = 0; warm < 2; ++warm) {  // without and with a checkpoint to resume from
                int64_t failed = 0;
                for (int64_t n = 0; n < 200; ++n) {
                    memory.requests = 0;
                    memory.refuse = n;
                    memory.from_then_on = from_then_on;
                    if (!warm) remove(path);
                    memset(&err, 0, sizeof err);
                    const sessrec_result result = sessrec_train(&config, log, validation, &model, &err);
                    if (memory.requests <= n) {
                        CHECK_EQ(result, SESSREC_OK);
                        sessrec_model_destroy(model);
                        CHECK_EQ(memory.blocks, 0);
                        break;
                    }
                    ++failed;
                    CHECK_EQ(result, SESSREC_OUT_OF_MEMORY);
                    CHECK_EQ(err.code, SESSREC_OUT_OF_MEMORY);
                    CHECK(model == NULL);
                    CHECK_EQ(memory.blocks, 0);
                    if (model) sessrec_model_destroy(model);
                }
                CHECK(failed > 4 && failed < 200);
            }
    }
    remove(path);
    memory.refuse = -1;
    for (int v = 0; v < VARIANTS; ++v) TEST("a step allocates nothing, and neither does the epoch") {
        run r;
        sessrec_config c = variant(v);
        c.allocator = config.allocator;
        if (!run_begin(&r, &c, log)) continue;
        const int64_t requests = memory.requests;
        CHECK(memory.blocks > 0);
        for (int i = 0; i < 3; ++i) run_step(&r);
        CHECK_EQ(sessrec_trainer_epoch(r.trainer, r.batcher, NULL), SESSREC_OK);
        CHECK_EQ(memory.requests, requests);
        run_end(&r);
        CHECK_EQ(memory.blocks, 0);
    }
    sessrec_log_destroy(log);
    sessrec_log_destroy(validation);
}

// ---- dropout and initial weights --------------------------------------------------------------------------

// How many of the numbers are 0; all others must be `kept`.
static double share_of_zeros(const float *mask, int64_t count, float kept, int *others) {
    int64_t zeros = 0;
    for (int64_t i = 0; i < count; ++i) {
        zeros += mask[i] == 0;
        *others += mask[i] != 0 && mask[i] != kept;
    }
    return (double)zeros / (double)count;
}

static void dropout(void) {
    sessrec_log *log = circle_log(80);
    TEST("masks drop with the probability of their layer's setting and scale what is left by 1/(1-p), at the "
         "input and in every layer") {
        static const float rate[3] = {0.1f, 0.5f, 0.75f};
        for (int i = 0; i < 3; ++i) {
            sessrec_config c = small_config(2, 100);
            sessrec_batch batch;
            run r;
            int others = 0;
            c.batch_size = 64;
            c.dropout_hidden = rate[i];
            c.dropout_input = rate[2 - i];
            if (!run_begin(&r, &c, log)) continue;
            CHECK_EQ(sessrec_batcher_next(r.batcher, &batch), SESSREC_OK);
            CHECK_EQ(batch.rows, 64);
            CHECK_EQ(sessrec_trainer_grad(r.trainer, &batch, NULL, NULL), SESSREC_OK);
            for (int l = 0; l < 2; ++l)
                CHECK_NEAR(
                    share_of_zeros(r.trainer->layer[l].mask, 64 * c.hidden[l], 1 / (1 - rate[i]), &others),
                    (double)rate[i], 0.02);
            CHECK_NEAR(
                share_of_zeros(r.trainer->input_mask, 64 * c.hidden[1], 1 / (1 - rate[2 - i]), &others),
                (double)rate[2 - i], 0.02);
            CHECK(others == 0 || !strcmp(sessrec_simd(), "x87"));  // which has more digits in 1/(1-p) here
            CHECK(memcmp(r.trainer->layer[0].mask, r.trainer->layer[1].mask, 1000) != 0);
            CHECK(memcmp(r.trainer->layer[1].mask, r.trainer->input_mask, 1000) != 0);
            float first[100];
            memcpy(first, r.trainer->layer[0].mask, sizeof first);
            CHECK(memcmp(first, r.trainer->layer[0].mask + 100, sizeof first) != 0);  // another row
            CHECK_EQ(sessrec_batcher_next(r.batcher, &batch), SESSREC_OK);
            CHECK_EQ(sessrec_trainer_grad(r.trainer, &batch, NULL, NULL), SESSREC_OK);
            CHECK(memcmp(first, r.trainer->layer[0].mask, sizeof first) != 0);  // another step
            run_end(&r);
        }
    }
    TEST("the state that is carried on is the dropped one") {
        sessrec_config c = small_config(1, 50);
        sessrec_batch batch;
        sessrec_mutable_tensor hidden;
        run r;
        c.dropout_hidden = 0.5f;
        if (!run_begin(&r, &c, log)) continue;
        CHECK_EQ(sessrec_batcher_next(r.batcher, &batch), SESSREC_OK);
        CHECK_EQ(sessrec_trainer_grad(r.trainer, &batch, NULL, NULL), SESSREC_OK);
        CHECK_EQ(sessrec_trainer_tensor(r.trainer, "hidden0", &hidden, NULL), SESSREC_OK);
        int differ = 0;
        for (int32_t i = 0; i < batch.rows * 50; ++i)
            differ += (hidden.data[i] == 0) != (r.trainer->layer[0].mask[i] == 0);
        CHECK_EQ(differ, 0);
        run_end(&r);
    }
    TEST("it is off in evaluation: models of the same weights rank alike, whatever dropout they were "
         "configured with") {
        sessrec_config with = small_config(2, 10), without = with;
        sessrec_report reports[2];
        sessrec_eval_config eval = sessrec_eval_config_default();
        run r;
        with.dropout_hidden = with.dropout_input = 0.9f;
        without.dropout_hidden = 0;
        for (int i = 0; i < 2; ++i) {
            if (!run_begin(&r, i ? &without : &with, log)) continue;
            CHECK_EQ(sessrec_evaluate(model_of(r.trainer), log, &eval, &reports[i], NULL),
                     SESSREC_OK);
            run_end(&r);
        }
        CHECK(!memcmp(&reports[0].all, &reports[1].all, sizeof reports[0].all));
    }
    sessrec_log_destroy(log);
}

static void check_range(const sessrec_model *model, const char *name, int32_t gates) {
    sessrec_tensor t;
    CHECK_EQ(sessrec_model_tensor(model, name, &t), SESSREC_OK);
    const int32_t width = t.columns / gates;
    const double range = sqrt(6.0 / (t.rows + width));
    for (int32_t gate = 0; gate < gates; ++gate) {
        double sum = 0, squares = 0, most = 0;
        for (int32_t i = 0; i < t.rows; ++i)
            for (int32_t j = gate * width; j < (gate + 1) * width; ++j) {
                const double w = (double)t.data[i * t.columns + j];
                sum += w;
                squares += w * w;
                most = fmax(most, fabs(w));
            }
        const double n = (double)t.rows * width;
        CHECK(most <= range * (1 + 1e-6));
        CHECK(most > range * 0.98);
        CHECK(fabs(sum / n) < 5 * range / sqrt(3 * n));
        CHECK_NEAR(squares / n, range * range / 3, 0.02);
    }
}

static void initial_weights(void) {
    TEST("weights begin uniform in +-sqrt(6 / (rows + columns)) of each gate's own matrix, biases at 0") {
        static const char *const matrices[5] = {"E", "L0.W", "L0.U", "L1.W", "L1.U"}, *const biases[5] = {
                                                                                          "By", "L0.b",
                                                                                          "L0.c", "L1.b",
                                                                                          "L1.c"};
        sessrec_log *log = random_log(40, 60, 7);
        sessrec_config c = small_config(2, 40);
        sessrec_trainer *trainer = NULL;
        c.embedding = SESSREC_EMBEDDING_SEPARATE;
        c.embedding_width = 30;
        c.gru = SESSREC_RESET_AFTER;
        CHECK_EQ(sessrec_trainer_create(&c, log, &trainer, NULL), SESSREC_OK);
        const sessrec_model *model = model_of(trainer);
        check_range(model, "Wy", 1);
        for (int i = 0; i < 5; ++i) check_range(model, matrices[i], i ? 3 : 1);
        for (int i = 0; i < 5; ++i) {
            sessrec_tensor t;
            int nonzero = 0;
            CHECK_EQ(sessrec_model_tensor(model, biases[i], &t), SESSREC_OK);
            for (int32_t j = 0; j < t.rows * t.columns; ++j) nonzero += t.data[j] != 0;
            CHECK_EQ(nonzero, 0);
        }
        sessrec_trainer_destroy(trainer);
        c.embedding = SESSREC_EMBEDDING_NONE;
        CHECK_EQ(sessrec_trainer_create(&c, log, &trainer, NULL), SESSREC_OK);
        check_range(model_of(trainer), "L0.W", 3);
        sessrec_trainer_destroy(trainer);
        sessrec_log_destroy(log);
    }
}

// ---- sessrec_train is what it says ------------------------------------------------------------------------

static void public_body(void) {
    TEST("sessrec_train names nothing private: its body can be copied into a program") {
        char path[512];
        const char *slash = strrchr(__FILE__, '/');
        snprintf(path, sizeof path, "%.*s../sessrec.h", slash ? (int)(slash - __FILE__ + 1) : 0, __FILE__);
        image header = file_bytes(path);
        CHECK(header.size > 100000);
        if (header.size <= 100000) continue;
        char *text = (char *)malloc(header.size + 1);
        memcpy(text, header.data, header.size);
        text[header.size] = 0;
        char *stop = strstr(text, "Stop here if you only use it"), *begin = NULL;
        // the last is the definition
        for (char *at = text; (at = strstr(at, "SESSREC_API sessrec_result sessrec_train(")) != NULL; ++at)
            begin = at;
        CHECK(stop != NULL && begin != NULL && begin > stop);
        char *end = begin ? strstr(begin, "\n}\n") : NULL;
        CHECK(end != NULL);
        if (end && stop) {
            *end = *stop = 0;
            CHECK(end - begin > 1000);
            CHECK(strstr(begin, "sessrec__") == NULL);
            CHECK(strstr(begin, "SESSREC__") == NULL);
            CHECK(strstr(begin, "static ") == NULL);
            int names = 0;
            // every name stands in the public part
            for (char *at = begin; (at = strstr(at, "sessrec_")) != NULL; ++names) {
                char name[64];
                size_t length = strspn(at, "abcdefghijklmnopqrstuvwxyz_0123456789");
                snprintf(name, sizeof name, "%.*s", (int)length, at);
                CHECK(strstr(text, name) != NULL);
                at += length;
            }
            CHECK(names > 20);
        }
        free(text);
        free(header.data);
    }
}

// ---- where it runs ----

#ifndef SESSREC_CUDA
static void devices(void) {
    sessrec_log *log = random_log(20, 10, 1);
    sessrec_config config = small_config(1, 5);
    sessrec_trainer *trainer;
    sessrec_error err;
    TEST("a program without GPU code refuses CUDA and says how to get it") {
        config.device = SESSREC_DEVICE_CUDA;
        CHECK_EQ(sessrec_trainer_create(&config, log, &trainer, &err), SESSREC_UNSUPPORTED);
        CHECK(trainer == NULL);
        CHECK_TEXT(err.text,
                   "this program has no GPU code: compile it with SESSREC_CUDA and link sessrec_cuda.cu");
    }
    TEST("asked for a GPU or else the processor, it is the processor and says so") {
        config.device = SESSREC_DEVICE_CUDA_OR_CPU;
        CHECK_EQ(sessrec_trainer_create(&config, log, &trainer, &err), SESSREC_OK);
        CHECK_TEXT(sessrec_trainer_device(trainer), "cpu");
        sessrec_trainer_destroy(trainer);
    }
    TEST("a device that there is not is refused") {
        config.device = (sessrec_device)3;
        CHECK_EQ(sessrec_config_check(&config, &err), SESSREC_INVALID_ARGUMENT);
        CHECK_TEXT(err.text, "device takes cpu|cuda|auto, not '3'");
    }
    sessrec_log_destroy(log);
}
#endif

int main(void) {
    same_bits();
    learning();
    resumed_loops();
    resumed_training();
    refused_checkpoints();
    endings();
    from_file_to_file();
    early_stopping();
    training_further();
    bad_batches();
    out_of_memory();
    dropout();
    initial_weights();
    public_body();
#ifndef SESSREC_CUDA
    devices();
#endif
    return test_report("the trainer");
}
