// test_diverged.c - what a run that goes wrong leaves behind, and what a checkpoint may claim: a run that
// diverges keeps its last good checkpoint and gives no model away, and numbers that no run comes to are
// refused although the file is well sealed.
#define SESSREC_IMPLEMENTATION
#include "models.h"

#include <unistd.h>

typedef struct file_name {
    char name[160];
} file_name;
static file_name scratch_file(const char *what) {
    file_name file;
    const char *place = getenv("TMPDIR");
    snprintf(file.name, sizeof file.name, "%s/sessrec_diverged_%ld_%s",
             place && strlen(place) < 100 ? place : "/tmp", (long)getpid(), what);
    return file;
}

static image file_bytes(const char *path) {
    image b = {NULL, 0};
    FILE *file = fopen(path, "rb");
    CHECK(file != NULL);
    if (!file) return b;
    fseek(file, 0, SEEK_END);
    b.size = (size_t)ftell(file);
    rewind(file);
    b.data = (unsigned char *)malloc(b.size ? b.size : 1);
    CHECK_EQ(fread(b.data, 1, b.size, file), b.size);
    fclose(file);
    return b;
}

static int all_finite(const sessrec_model *model) {
    const char *name;
    int finite = model != NULL;
    for (int32_t t = 0; finite && (name = sessrec_model_tensor_name(model, t)) != NULL; ++t) {
        sessrec_tensor tensor;
        finite = sessrec_model_tensor(model, name, &tensor) == SESSREC_OK;
        for (int32_t i = 0; finite && i < tensor.rows * tensor.columns; ++i)
            finite = tensor.data[i] - tensor.data[i] == 0;
    }
    return finite;
}

// ---- runs that diverge ----

static sessrec_config wild_config(int which) {
    sessrec_config c = small_config(1, 8);
    c.seed = (uint64_t)which + 1;
    c.epochs = 3;
    c.loss.kind = (sessrec_loss_kind)(which % 6);
    if (c.loss.kind >= SESSREC_LOSS_TOP1_MAX) c.loss.activation = SESSREC_ELU;
    c.optimizer.kind = which % 3 ? SESSREC_SGD : SESSREC_ADAGRAD;
    c.optimizer.learning_rate = which % 2 ? 1e4f : 1e9f;
    c.dropout_hidden = 0;
    return c;
}

static void wild_runs(void) {
    const file_name file = scratch_file("wild");
    sessrec_log *log = random_log(30, 12, 7);
    TEST(
        "whatever the learning rate, the last checkpoint can be read again, and a model that is given out is "
        "finite") {
        int diverged = 0, fine = 0;
        for (int which = 0; which < 60; ++which) {
            sessrec_config config = wild_config(which);
            sessrec_model *model = NULL;
            sessrec_error err;
            run r;
            config.checkpoint = file.name;
            config.checkpoint_steps = 1;
            const sessrec_result result = sessrec_train(&config, log, NULL, &model, &err);
            CHECK(result == SESSREC_OK || result == SESSREC_DIVERGED);
            if (result == SESSREC_OK) CHECK(all_finite(model));
            else CHECK(model == NULL && strstr(err.text, "epoch ") && strstr(err.text, "step "));
            diverged += result == SESSREC_DIVERGED;
            fine += result == SESSREC_OK;
            sessrec_model_destroy(model);
            FILE *left = fopen(file.name, "rb");
            if (!left) continue;  // it diverged in its first step
            fclose(left);
            config.checkpoint = NULL;
            if (run_begin(&r, &config, log)) {
                CHECK_EQ(sessrec_trainer_read(r.trainer, file.name, &r.err), SESSREC_OK);
                CHECK_TEXT(r.err.text, "");
            }
            run_end(&r);
            remove(file.name);
        }
        CHECK(diverged > 10);
        CHECK(fine > 0);
    }
    TEST("U10 a finite loss that grows without bound is DIVERGED, with epoch and step") {
        sessrec_config config = small_config(1, 8);
        sessrec_model *model = NULL;
        sessrec_error err;
        config.optimizer.kind = SESSREC_SGD;
        config.optimizer.learning_rate = 1e7f;
        config.dropout_hidden = 0;
        CHECK_EQ(sessrec_train(&config, log, NULL, &model, &err), SESSREC_DIVERGED);
        CHECK(strstr(err.text, "the loss grows without bound in epoch 1, step ") != NULL);
        CHECK(model == NULL);
    }
    sessrec_log_destroy(log);
}

static void poisoned(void) {
    const file_name file = scratch_file("poisoned");
    sessrec_log *log = random_log(30, 12, 7);
    static const struct {
        const char *tensor;
        float value;
        int of_model;
    } poison[] = {{"Wy", INFINITY, 1},       {"L0.b", (float)NAN, 1},   {"acc.Wy", -1e-6f, 0},
                  {"acc.L0.U", INFINITY, 0}, {"vel.By", (float)NAN, 0}, {"hidden0", 1.5f, 0}};
    TEST("a checkpoint is not replaced while a weight, the optimizer or a hidden state is not what it can "
         "be") {
        for (size_t i = 0; i < sizeof poison / sizeof poison[0]; ++i) {
            sessrec_config config = small_config(1, 8);
            sessrec_batch batch;
            sessrec_mutable_tensor tensor;
            sessrec_model *model = NULL;
            run r;
            config.dropout_hidden = 0;
            if (!run_begin(&r, &config, log)) continue;
            for (int step = 0; step < 3; ++step) {
                CHECK_EQ(sessrec_batcher_next(r.batcher, &batch), SESSREC_OK);
                CHECK_EQ(sessrec_trainer_step(r.trainer, &batch, NULL, NULL), SESSREC_OK);
            }
            CHECK_EQ(sessrec_trainer_write(r.trainer, file.name, NULL), SESSREC_OK);
            const image good = file_bytes(file.name);
            CHECK_EQ(sessrec_trainer_tensor(r.trainer, poison[i].tensor, &tensor, NULL), SESSREC_OK);
            tensor.data[3] = poison[i].value;
            CHECK_EQ(sessrec_trainer_write(r.trainer, file.name, &r.err), SESSREC_DIVERGED);
            CHECK(!strncmp(r.err.text, poison[i].tensor, strlen(poison[i].tensor)));
            CHECK(strstr(r.err.text, "in epoch 1, after step 3") != NULL);
            const image still = file_bytes(file.name);
            CHECK(same_bytes(&good, &still));
            const sessrec_result expected = poison[i].of_model ? SESSREC_DIVERGED : SESSREC_OK;
            CHECK_EQ(sessrec_trainer_keep_best(r.trainer, 1, &r.err), expected);
            CHECK_EQ(sessrec_trainer_position(r.trainer).best_age, poison[i].of_model ? -1 : 0);
            CHECK_EQ(sessrec_trainer_take_model(r.trainer, &model, &r.err), expected);
            CHECK((model == NULL) == poison[i].of_model);
            sessrec_model_destroy(model);
            free(good.data);
            free(still.data);
            run_end(&r);
            remove(file.name);
        }
    }
    sessrec_log_destroy(log);
}

// ---- checkpoints that claim what no run comes to ----

// Writes whatever the trainer holds, sealed as it should be; extra: with a section more behind it.
static int produce_anything(sessrec__sink *sink, const void *what) {
    return sessrec__write_trainer(sink, what);
}

// The sections of a trainer, and one more.
static int extra_sections(const void *what, int32_t index, sessrec__section *out) {
    static const float nothing[1] = {0};
    int32_t known = 0;
    if (sessrec__trainer_sections(what, index, out)) return 1;
    while (sessrec__trainer_sections(what, known, out)) ++known;
    return index == known && sessrec__section_is(out, "extra", SESSREC__FLOAT, 1, 1, nothing);
}
static int produce_extra(sessrec__sink *sink, const void *what) {
    sessrec__trainer_view view;
    sessrec__view_trainer(&view, (const sessrec_trainer *)what, 0);
    return sessrec__archive_write(sink, SESSREC__FILE_CHECKPOINT, extra_sections, &view);
}

static sessrec_config forged_config(int adam) {
    sessrec_config config = small_config(1, 8);
    config.dropout_hidden = 0;
    if (adam) config.optimizer.kind = SESSREC_ADAM;
    return config;
}

static run three_steps(const sessrec_config *config, const sessrec_log *log) {
    run r;
    sessrec_batch batch;
    if (!run_begin(&r, config, log)) return r;
    for (int step = 0; step < 3; ++step) {
        CHECK_EQ(sessrec_batcher_next(r.batcher, &batch), SESSREC_OK);
        CHECK_EQ(sessrec_trainer_step(r.trainer, &batch, NULL, NULL), SESSREC_OK);
    }
    return r;
}

static int64_t run_steps(const sessrec_config *config, const sessrec_log *log) {
    run r;
    const int64_t steps = run_begin(&r, config, log) ? sessrec_batcher_steps(r.batcher) : 0;
    run_end(&r);
    return steps;
}

enum { FORGERIES = 29 };

// One wrong number in a trainer after three steps.
static void forge(sessrec_trainer *tr, int which) {
    sessrec_position *p = &tr->position;
    float *first = tr->state[0].first, *second = tr->state[0].second;
    switch (which) {
    case 0: tr->state[0].steps[1] = -1; break;
    case 1: tr->state[0].steps[1] = INT32_MAX; break;
    case 2: second[0] = -1e-9f; break;
    case 3: second[5] = (float)NAN; break;
    case 4: first[5] = -INFINITY; break;
    case 5: tr->model->tensor[0][3] = (float)NAN; break;
    case 6: tr->layer[0].state[3] = 3e38f; break;
    case 7: tr->layer[0].state[3] = -1.0000001f; break;
    case 8: p->epoch = -1; break;
    case 9: p->epoch = INT32_MAX; break;
    case 10: p->step = -1; break;
    case 11: p->step = 5000000000000000; break;
    case 12: p->pairs = 5000000000000000; break;
    case 13: p->pairs = -1; break;
    case 14: p->best_age = INT32_MAX; break;
    case 15: p->loss_sum = 2e300; break;
    case 16: p->loss_sum = NAN; break;
    case 17: p->loss_sum = INFINITY; break;
    case 18: p->best = NAN; break;
    case 19: p->best = -INFINITY; break;
    case 20: p->best_age = -2; break;
    case 21: tr->state[1].steps[0] = 1 << 30; break;
    // of Adagrad
    case 22: first[7] = -1; break;
    case 23: first[7] = INFINITY; break;
    case 24: tr->state[0].velocity[7] = (float)NAN; break;
    case 25: tr->layer[0].state[0] = (float)NAN; break;
    case 26: p->pairs = INT64_MAX; break;
    case 27: p->step = p->pairs = INT64_MAX; break;
    default: tr->model->tensor[2][0] = -INFINITY; break;
    }
}

static void forged(void) {
    const file_name file = scratch_file("forged"), state = scratch_file("state");
    sessrec_log *log = random_log(30, 12, 7);
    TEST("a checkpoint with a number that no run comes to is BAD_FILE, however well it is sealed, and the "
         "trainer stays as it was") {
        for (int which = 0; which < FORGERIES; ++which) {
            const sessrec_config config = forged_config(which < 22);
            run forger = three_steps(&config, log), r = three_steps(&config, log);
            forge(forger.trainer, which);
            CHECK_EQ(sessrec__save_file(file.name, produce_anything, forger.trainer, NULL), SESSREC_OK);
            CHECK_EQ(sessrec_trainer_write(r.trainer, state.name, NULL), SESSREC_OK);
            const image before = file_bytes(state.name);
            const sessrec_result result = sessrec_trainer_read(r.trainer, file.name, &r.err);
            if (result != SESSREC_BAD_FILE) printf("        forgery %d:\n", which);
            CHECK_EQ(result, SESSREC_BAD_FILE);
            CHECK_EQ(sessrec_trainer_write(r.trainer, state.name, NULL), SESSREC_OK);
            const image after = file_bytes(state.name);
            CHECK(same_bytes(&before, &after));
            free(before.data);
            free(after.data);
            run_end(&forger);
            run_end(&r);
        }
    }
    TEST("without a forgery the same way of writing makes a checkpoint that is taken up") {
        for (int adam = 0; adam < 2; ++adam) {
            const sessrec_config config = forged_config(adam);
            run forger = three_steps(&config, log), r = three_steps(&config, log);
            forger.trainer->position.best_age = -1;
            forger.trainer->layer[0].state[3] = -1;  // the ends of the range are in it
            if (adam) forger.trainer->state[0].steps[1] = (1 << 30) - 1;
            CHECK_EQ(sessrec__save_file(file.name, produce_anything, forger.trainer, NULL), SESSREC_OK);
            CHECK_EQ(sessrec_trainer_read(r.trainer, file.name, &r.err), SESSREC_OK);
            run_end(&forger);
            run_end(&r);
        }
    }
    TEST("R9 a run that is resumed after any step ends with the same checkpoint, to the byte") {
        for (int kind = 0; kind < 4; ++kind) {
            sessrec_config config = forged_config(kind % 2);
            sessrec_batch batch;
            image ends[2];
            config.layer_count = 1 + kind / 2;
            config.hidden[1] = 3;
            config.user_hidden = kind < 2 ? 0 : 5;
            config.user_mode = SESSREC_USER_ALL;
            sessrec_log *with_users = kind < 2 ? random_log(30, 12, 7) : users_log(30, 12, 7);
            const int steps = (int)run_steps(&config, with_users);
            int differ = 0;
            for (int stop = 0; stop <= steps; ++stop) {
                for (int resumed = 0; resumed < 2; ++resumed) {
                    run r;
                    if (!run_begin(&r, &config, with_users)) break;
                    for (int step = 0; step < steps; ++step) {
                        if (resumed && step == stop) {  // a new trainer goes on
                            CHECK_EQ(sessrec_trainer_write(r.trainer, state.name, NULL), SESSREC_OK);
                            run_end(&r);
                            if (!run_begin(&r, &config, with_users)) break;
                            CHECK_EQ(sessrec_trainer_read(r.trainer, state.name, NULL), SESSREC_OK);
                            CHECK_EQ(sessrec_batcher_seek(r.batcher, 0, step, NULL), SESSREC_OK);
                        }
                        CHECK_EQ(sessrec_batcher_next(r.batcher, &batch), SESSREC_OK);
                        CHECK_EQ(sessrec_trainer_step(r.trainer, &batch, NULL, NULL), SESSREC_OK);
                    }
                    CHECK_EQ(sessrec_trainer_write(r.trainer, state.name, NULL), SESSREC_OK);
                    ends[resumed] = file_bytes(state.name);
                    run_end(&r);
                }
                differ += !same_bytes(&ends[0], &ends[1]);
                free(ends[0].data);
                free(ends[1].data);
            }
            CHECK_EQ(differ, 0);
            sessrec_log_destroy(with_users);
        }
    }
    TEST("a run that went back, or learned for longer than its log, leaves a checkpoint that is taken up") {
        const sessrec_config config = forged_config(0);
        const int32_t items[5] = {0, 1, 2, 3, 4};
        run r = three_steps(&config, log);
        sessrec_batch batch;
        for (int again = 0; again < 5; ++again) {
            CHECK_EQ(sessrec_batcher_seek(r.batcher, 0, 0, NULL), SESSREC_OK);
            CHECK_EQ(sessrec_batcher_next(r.batcher, &batch), SESSREC_OK);
            CHECK_EQ(sessrec_trainer_step(r.trainer, &batch, NULL, NULL), SESSREC_OK);
        }
        CHECK(sessrec_trainer_position(r.trainer).pairs > 4 * sessrec_trainer_position(r.trainer).step);
        CHECK_EQ(sessrec_trainer_write(r.trainer, file.name, NULL), SESSREC_OK);
        CHECK_EQ(sessrec_trainer_read(r.trainer, file.name, &r.err), SESSREC_OK);
        sessrec_sampler *sampler = NULL;
        CHECK_EQ(sessrec_trainer_sampler(r.trainer, &sampler, NULL), SESSREC_OK);
        const int64_t events = sessrec_log_contents(log).event_count;
        while (sessrec_trainer_position(r.trainer).pairs <= events)
            CHECK_EQ(sessrec_trainer_learn(r.trainer, sampler, items, 5, NULL, &r.err), SESSREC_OK);
        CHECK_EQ(sessrec_trainer_write(r.trainer, file.name, NULL), SESSREC_OK);
        CHECK_EQ(sessrec_trainer_read(r.trainer, file.name, &r.err), SESSREC_OK);
        sessrec_sampler_destroy(sampler);
        run_end(&r);
    }
    TEST("a mini-batch of an impossible epoch or step, and a best value beyond 1e300, are refused") {
        const sessrec_config config = forged_config(0);
        run r = three_steps(&config, log);
        sessrec_batch batch;
        CHECK_EQ(sessrec_batcher_next(r.batcher, &batch), SESSREC_OK);
        sessrec_batch wrong[4] = {batch, batch, batch, batch};
        wrong[0].epoch = -1;
        wrong[1].epoch = INT32_MAX;
        wrong[2].step = -1;
        wrong[3].step = INT64_MAX;
        for (int i = 0; i < 4; ++i)
            CHECK_EQ(sessrec_trainer_step(r.trainer, &wrong[i], NULL, NULL), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_trainer_keep_best(r.trainer, 2e300, NULL), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_trainer_keep_best(r.trainer, NAN, NULL), SESSREC_INVALID_ARGUMENT);
        run_end(&r);
    }
    TEST("Adam counts no further than 2^30 - 1 updates of a row") {
        const sessrec_config config = forged_config(1);
        run r = three_steps(&config, log);
        sessrec_batch batch;
        r.trainer->state[2].steps[0] = (1 << 30) - 1;
        CHECK_EQ(sessrec_batcher_next(r.batcher, &batch), SESSREC_OK);
        CHECK_EQ(sessrec_trainer_step(r.trainer, &batch, NULL, NULL), SESSREC_OK);
        CHECK_EQ(r.trainer->state[2].steps[0], (1 << 30) - 1);
        CHECK_EQ(sessrec_trainer_write(r.trainer, file.name, NULL), SESSREC_OK);
        run_end(&r);
    }
    TEST("a checkpoint is neither a scorer nor a model, and a model no checkpoint") {
        const sessrec_config config = forged_config(0);
        run r = three_steps(&config, log);
        sessrec_scorer scorer;
        sessrec_model *model = NULL;
        CHECK_EQ(sessrec_trainer_write(r.trainer, file.name, NULL), SESSREC_OK);
        CHECK_EQ(sessrec_scorer_read(file.name, NULL, &scorer, &r.err), SESSREC_BAD_FILE);
        CHECK_TEXT(r.err.text, "the file is a checkpoint, which cannot recommend");
        CHECK_EQ(sessrec_model_read(file.name, NULL, &model, &r.err), SESSREC_BAD_FILE);
        CHECK_EQ(sessrec_model_write(model_of(r.trainer), file.name, NULL), SESSREC_OK);
        CHECK_EQ(sessrec_trainer_read(r.trainer, file.name, &r.err), SESSREC_BAD_FILE);
        CHECK_EQ(sessrec_scorer_read(file.name, NULL, &scorer, &r.err), SESSREC_OK);
        sessrec_scorer_destroy(&scorer);
        run_end(&r);
    }
    TEST("a section behind the end of a checkpoint is refused, as no such version writes one") {
        const sessrec_config config = forged_config(0);
        run r = three_steps(&config, log);
        CHECK_EQ(sessrec__save_file(file.name, produce_extra, r.trainer, NULL), SESSREC_OK);
        CHECK_EQ(sessrec_trainer_read(r.trainer, file.name, &r.err), SESSREC_BAD_FILE);
        CHECK(strstr(r.err.text, "extra") != NULL);
        run_end(&r);
    }
    TEST("a position behind the end of the log's epoch is told when training is to go on from it") {
        sessrec_config config = forged_config(0);
        sessrec_model *model = NULL;
        run r = three_steps(&config, log);
        r.trainer->position.step = sessrec_batcher_steps(r.batcher) + 1;
        r.trainer->position.pairs = r.trainer->position.step;
        CHECK_EQ(sessrec_trainer_write(r.trainer, file.name, NULL), SESSREC_OK);
        config.checkpoint = file.name;
        config.resume = 1;
        CHECK_EQ(sessrec_train(&config, log, NULL, &model, &r.err), SESSREC_INVALID_ARGUMENT);
        CHECK(strstr(r.err.text, "there is no step ") != NULL);
        CHECK(model == NULL);
        run_end(&r);
    }
    remove(file.name);
    remove(state.name);
    sessrec_log_destroy(log);
}

// ---- the streams of dropout ----

// The places in which a mask is not what its stream says: element (row, j) of step s is 0 where draw
// (s * batch_size + row) * width + j of the stream is below p.
static int differing(const sessrec_config *c, const sessrec_batch *batch, uint64_t stream, float p,
                     int32_t rows, const int32_t *row_of, int32_t width, const float *mask) {
    const uint64_t key = sessrec__key(sessrec__mix(c->seed + (uint64_t)batch->epoch), stream);
    int differ = 0;
    for (int32_t i = 0; i < rows; ++i)
        for (int32_t j = 0; j < width; ++j) {
            const uint64_t row = (uint64_t)(row_of ? row_of[i] : i),
                           index = ((uint64_t)batch->step * (uint64_t)c->batch_size + row) * (uint64_t)width;
            const float expected =
                sessrec__unit(sessrec__draw(key, index + (uint64_t)j)) < p ? 0 : 1 / (1 - p);
            differ += memcmp(&expected, &mask[i * width + j], sizeof expected) != 0;
        }
    return differ;
}

static void streams(void) {
    sessrec_log *log = users_log(60, 12, 7);
    TEST("every dropout draws from its own stream, whose number is part of the promise of a seed") {
        sessrec_config c = small_config(3, 8);
        sessrec_batch batch;
        run r;
        int begun = 0;
        c.user_hidden = 7;
        c.dropout_input = 0.1f;
        c.dropout_hidden = 0.2f;
        c.dropout_user = 0.3f;
        c.dropout_init = 0.4f;
        if (!run_begin(&r, &c, log)) continue;
        for (int step = 0; step < 12; ++step) {
            CHECK_EQ(sessrec_batcher_next(r.batcher, &batch), SESSREC_OK);
            CHECK_EQ(sessrec_trainer_step(r.trainer, &batch, NULL, NULL), SESSREC_OK);
            const sessrec_trainer *tr = r.trainer;
            CHECK_EQ(differing(&c, &batch, 3, 0.1f, batch.rows, NULL, c.hidden[2], tr->input_mask), 0);
            int32_t rows[8], count = 0;  // in which a later session of a user begins
            for (int32_t i = 0; i < batch.rows; ++i)
                if (batch.session_starts[i] && !batch.user_starts[i]) rows[count++] = i;
            CHECK_EQ(differing(&c, &batch, 8, 0.3f, count, rows, 7, tr->user.mask), 0);
            for (int32_t l = 0; l < 3; ++l) {
                CHECK_EQ(differing(&c, &batch, 4 + (uint64_t)l, 0.2f, batch.rows, NULL, c.hidden[l],
                                   tr->layer[l].mask),
                         0);
                CHECK_EQ(differing(&c, &batch, 9 + (uint64_t)l, 0.4f, count, rows, c.hidden[l],
                                   tr->layer[l].begun_mask),
                         0);
            }
            begun += count;
        }
        CHECK(begun > 3);
        run_end(&r);
    }
    sessrec_log_destroy(log);
}

int main(void) {
    wild_runs();
    poisoned();
    forged();
    streams();
    return test_report("runs that go wrong");
}
