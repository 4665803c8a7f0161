// The GPU against the processor: both train the same model on the same log, side by side.
//
// Built with SESSREC_TEST_GPU for a real GPU (make test-cuda), without for kernels that the processor runs
// (cuda_on_cpu.h, make test). The golden trajectories run on both as well: golden.c.
#ifndef SESSREC_CUDA
#  define SESSREC_CUDA
#endif
#define SESSREC_IMPLEMENTATION
#include "models.h"

#ifdef SESSREC_TEST_GPU
#  include <cuda_runtime_api.h>
#else
extern int64_t cuda_on_cpu_memory, cuda_on_cpu_blocks, cuda_on_cpu_graphs;
extern int cuda_on_cpu_devices, cuda_on_cpu_code, cuda_on_cpu_backwards, cuda_on_cpu_copy_error;
#endif

static run new_run(sessrec_config config, const sessrec_log *log, sessrec_device device) {
    run r;
    config.device = device;
    CHECK(run_begin(&r, &config, log));
    return r;
}

// One step; 0 at the end of the epoch.
static int step(run *r, double *loss) {
    sessrec_batch batch;
    if (sessrec_batcher_next(r->batcher, &batch) || !batch.rows) return 0;
    CHECK_EQ(sessrec_trainer_step(r->trainer, &batch, loss, NULL), SESSREC_OK);
    return 1;
}

// The largest difference between the tensors of two models, relative to 1 + the value.
static double largest_difference(const sessrec_model *a, const sessrec_model *b) {
    const char *name;
    double worst = 0;
    for (int32_t t = 0; (name = sessrec_model_tensor_name(a, t)) != NULL; ++t) {
        sessrec_tensor x, y;
        CHECK_EQ(sessrec_model_tensor(a, name, &x), SESSREC_OK);
        CHECK_EQ(sessrec_model_tensor(b, name, &y), SESSREC_OK);
        for (int64_t i = 0; i < (int64_t)x.rows * x.columns; ++i) {
            const double difference =
                fabs((double)x.data[i] - (double)y.data[i]) / (1 + fabs((double)y.data[i]));
            if (!(difference <= worst)) worst = difference;  // NaN too
        }
    }
    return worst;
}

// An epoch on both. Losses within 1e-4 of each other, weights within `tolerance`.
static void side_by_side(const sessrec_config *config, const sessrec_log *log, double tolerance) {
    run cpu = new_run(*config, log, SESSREC_DEVICE_CPU), gpu = new_run(*config, log, SESSREC_DEVICE_CUDA);
    double a = 0, b = 0, worst = 0;
    int steps = 0;
    while (step(&cpu, &a) && step(&gpu, &b)) {
        const double difference = fabs(a - b) / (fabs(a) + 1e-3);
        if (!(difference <= worst)) worst = difference;
        ++steps;
    }
    CHECK(steps > 5);
    CHECK_NEAR(worst, 0, 1e-4);
    CHECK_NEAR(largest_difference(model_of(gpu.trainer), model_of(cpu.trainer)), 0,
               tolerance);
    run_end(&cpu);
    run_end(&gpu);
}

static sessrec_config own_config(void) {
    sessrec_config config = small_config(1, 12);
    config.batch_size = 6;
    config.negatives = 20;
    config.dropout_hidden = 0.3f;
    config.optimizer.learning_rate = 0.05f;
    return config;
}

static void losses(const sessrec_log *log) {
    static const char *const names[] = {"XE", "TOP1", "BPR", "TOP1-max", "BPR-max", "gBCE"};
    for (int kind = 0; kind < 6; ++kind) {
        char name[120];
        snprintf(name, sizeof name, "%s is the same loss on the GPU, for every activation and switch",
                 names[kind]);
        TEST(name) {
            for (int activation = 0; activation < 6; ++activation) {
                sessrec_config config = own_config();
                config.loss.kind = (sessrec_loss_kind)kind;
                config.loss.activation = (sessrec_activation)activation;
                config.loss.with_diagonal = activation % 2;
                config.loss.skip_own_target = activation / 2 % 2;
                config.loss.smoothing = activation == 3 ? 0.1f : 0;
                config.loss.logq = activation == 4 ? 0 : 0.7f;
                config.negatives = activation == 5 ? 0 : 20;
                config.loss.hardest = activation % 3 ? 4 * activation : 0;
                side_by_side(&config, log, 1e-3);
            }
        }
    }
}

static void optimizers(const sessrec_log *log) {
    TEST("every optimizer updates as the processor does, with and without momentum, L2 and a cap") {
        for (int kind = 0; kind < 5; ++kind)
            for (int extra = 0; extra < 2; ++extra) {
                sessrec_config config = own_config();
                config.optimizer.kind = (sessrec_optimizer_kind)kind;
                config.optimizer.learning_rate = kind == SESSREC_ADADELTA ? 1.0f
                                                 : kind == SESSREC_ADAM   ? 0.01f
                                                                          : 0.05f;
                config.optimizer.epsilon = 1e-4f;
                config.optimizer.momentum = extra ? 0.3f : 0;
                config.optimizer.l2 = extra ? 1e-3f : 0;
                config.optimizer.gradient_cap = extra ? 0.5f : 0;
                side_by_side(&config, log, 2e-3);
            }
    }
}

static void networks(const sessrec_log *log) {
    TEST("every embedding, form of the GRU and number of layers gives the processor's model, with every "
         "dropout") {
        for (int embedding = 0; embedding < 3; ++embedding)
            for (int form = 0; form < 2; ++form)
                for (int32_t layers = 1; layers <= 3; layers += 2) {
                    sessrec_config config = small_config(layers, 9);
                    config.embedding = (sessrec_embedding)embedding;
                    config.embedding_width = 7;
                    config.gru = (sessrec_gru_form)form;
                    config.dropout_input = 0.25f;
                    config.dropout_hidden = 0.3f;
                    config.optimizer.learning_rate = 0.05f;
                    side_by_side(&config, log, 1e-3);
                }
    }
    TEST("widths beyond a tile, and products that are cut along k") {
        sessrec_config config = own_config();
        config.hidden[0] = 70;
        config.batch_size = 37;
        config.negatives = 700;
        side_by_side(&config, log, 1e-3);
    }
    TEST("more repeated rows than one block sorts") {
        sessrec_config config = own_config();
        config.hidden[0] = 3;
        config.batch_size = 40;
        config.negatives = 9000;
        side_by_side(&config, log, 1e-3);
    }
}

static void users(void) {
    sessrec_log *log = users_log(45, 20, 5);
    TEST("a user-level GRU gives the processor's model, in every mode, form and number of layers") {
        for (int mode = 0; mode < 3; ++mode)
            for (int32_t layers = 1; layers <= 2; ++layers) {
                sessrec_config config = small_config(layers, 8);
                config.user_hidden = 5;
                config.user_mode = (sessrec_user_mode)mode;
                config.gru = layers == 2 ? SESSREC_RESET_AFTER : SESSREC_RESET_BEFORE;
                config.dropout_user = 0.2f;
                config.dropout_init = 0.3f;
                config.optimizer.learning_rate = 0.05f;
                side_by_side(&config, log, 1e-3);
            }
    }
    sessrec_log_destroy(log);
}

static void metrics(const sessrec_log *log) {
    TEST("after two epochs recall and MRR are the processor's to the third digit, and the callback says "
         "where it ran") {
        sessrec_config config = own_config();
        sessrec_eval_config eval = sessrec_eval_config_default();
        sessrec_report report[2];
        config.epochs = 2;
        for (int device = 0; device < 2; ++device) {
            sessrec_model *model = NULL;
            config.device = device ? SESSREC_DEVICE_CUDA : SESSREC_DEVICE_CPU;
            CHECK_EQ(sessrec_train(&config, log, log, &model, NULL), SESSREC_OK);
            eval.device = config.device;
            CHECK_EQ(sessrec_evaluate(model, log, &eval, &report[device], NULL), SESSREC_OK);
            sessrec_model_destroy(model);
        }
        CHECK(report[0].cutoff_count > 0);
        for (int32_t c = 0; c < report[0].cutoff_count; ++c) {
            CHECK_NEAR(report[1].all.recall[c], report[0].all.recall[c], 1e-3);
            CHECK_NEAR(report[1].all.mrr[c], report[0].all.mrr[c], 1e-3);
        }
    }
}

static void keep_rank(void *user, const sessrec_event *event) {
    double **next = (double **)user;
    *(*next)++ = event->rank;
}

static void evaluation(void) {
    static double rank[3][9 * 700];
    sessrec_config config = small_config(2, 8);
    sessrec_log *log = users_log(600, 300, 7);
    config.user_hidden = 4;
    sessrec_model *model = random_model(&config, log, 5);
    sessrec_eval_config eval = sessrec_eval_config_default();
    sessrec_report report;
    TEST("the GPU gives every event the processor's rank, ties and the order of the events included") {
        for (int ties = 0; ties < 2; ++ties) {
            int64_t events = 0, tied = 0, other = 0;
            for (int device = 0; device < 2; ++device) {
                double *next = rank[device];
                eval.ties = ties ? SESSREC_TIES_STANDARD : SESSREC_TIES_CONSERVATIVE;
                eval.device = device ? SESSREC_DEVICE_CUDA : SESSREC_DEVICE_CPU;
                eval.on_event = keep_rank;
                eval.on_event_user = &next;
                eval.threads = 2;
                CHECK_EQ(sessrec_evaluate(model, log, &eval, &report, NULL), SESSREC_OK);
                events = next - rank[device];
            }
            CHECK(events > SESSREC_DEVICE_RANKS);  // more than go to the GPU at once
            for (int64_t i = 0; i < events; ++i) {
                // two scores that rounding brings into another order
                other += fabs(rank[0][i] - rank[1][i]) > (ties ? 1 : 2);
                tied += ties && fabs(rank[1][i] - rank[2][i]) >= 1;
                if (!ties) rank[2][i] = rank[1][i];
            }
            CHECK_EQ(other, 0);
            CHECK(!ties || tied > 100);  // the model has items that always tie
        }
    }
    TEST("a target whose score is NaN ranks last on the GPU too") {
        sessrec_tensor By;
        CHECK_EQ(sessrec_model_tensor(model, "By", &By), SESSREC_OK);
        ((float *)By.data)[0] = NAN;
        double *next = rank[0];
        eval.on_event_user = &next;
        CHECK_EQ(sessrec_evaluate(model, log, &eval, &report, NULL), SESSREC_OK);
        int last = 0;
        for (const double *r = rank[0]; r < next; ++r) last += *r == 300;
        CHECK(last > 0);
    }
    TEST("coverage is refused on the GPU, and counted on the processor where that is allowed") {
        sessrec_error err;
        eval.on_event = NULL;
        eval.coverage = 1;
        CHECK_EQ(sessrec_evaluate(model, log, &eval, &report, &err), SESSREC_UNSUPPORTED);
        CHECK_TEXT(err.text, "coverage is counted on the processor only: set device to CPU");
        eval.device = SESSREC_DEVICE_CUDA_OR_CPU;
        CHECK_EQ(sessrec_evaluate(model, log, &eval, &report, &err), SESSREC_OK);
    }
    sessrec_model_destroy(model);
    sessrec_log_destroy(log);
}

// ---- an epoch at once ----

// The same bits as step by step, so the same negatives too: they are drawn on the GPU here, and by the
// processor there.
static void ahead(const sessrec_log *log) {
    TEST("an epoch that is given ahead ends with the bits and the losses of one that is taken step by step") {
        for (int users = 0; users < 2; ++users) {
            sessrec_config config = own_config();
            sessrec_log *with_users = users_log(45, 20, 5);
            config.user_hidden = users ? 5 : 0;
            config.negatives = users ? 0 : 20;
            const sessrec_log *chosen = users ? with_users : log;
            run a = new_run(config, chosen, SESSREC_DEVICE_CUDA),
                b = new_run(config, chosen, SESSREC_DEVICE_CUDA);
            for (int epoch = 0; epoch < 2; ++epoch) {
                while (step(&a, NULL)) continue;
                CHECK_EQ(sessrec_trainer_epoch(b.trainer, b.batcher, NULL), SESSREC_OK);
                const sessrec_position at = sessrec_trainer_position(a.trainer),
                                       and_at = sessrec_trainer_position(b.trainer);
                CHECK_EQ(and_at.step, at.step);
                CHECK_EQ(and_at.pairs, at.pairs);
                CHECK_NEAR(and_at.loss_sum, at.loss_sum, 0);
                sessrec_trainer_next_epoch(a.trainer);
                sessrec_trainer_next_epoch(b.trainer);
            }
            CHECK(largest_difference(model_of(a.trainer), model_of(b.trainer)) ==
                  0);
            run_end(&a);
            run_end(&b);
            sessrec_log_destroy(with_users);
        }
    }
    TEST("of a loss that is not finite the epoch and the step are known, and the weights keep their values "
         "from there on") {
        sessrec_config config = own_config();
        sessrec_error err;
        config.optimizer.kind = SESSREC_SGD;
        config.optimizer.learning_rate = 1e9f;
        config.loss.kind = SESSREC_LOSS_BPR_MAX;
        run a = new_run(config, log, SESSREC_DEVICE_CUDA), b = new_run(config, log, SESSREC_DEVICE_CUDA);
        sessrec_batch batch;
        char text[sizeof err.text];
        sessrec_result result = SESSREC_OK;
        while (!result && !sessrec_batcher_next(a.batcher, &batch) && batch.rows)
            result = sessrec_trainer_step(a.trainer, &batch, NULL, &err);
        CHECK_EQ(result, SESSREC_DIVERGED);
        snprintf(text, sizeof text, "%s", err.text);
        CHECK_EQ(sessrec_trainer_epoch(b.trainer, b.batcher, &err), SESSREC_DIVERGED);
        CHECK_TEXT(err.text, text);
        sessrec_mutable_tensor x, y;
        CHECK_EQ(sessrec_trainer_tensor(a.trainer, "L0.U", &x, NULL), SESSREC_OK);
        CHECK_EQ(sessrec_trainer_tensor(b.trainer, "L0.U", &y, NULL), SESSREC_OK);
        CHECK(memcmp(x.data, y.data, (size_t)x.rows * (size_t)x.columns * sizeof *x.data) == 0);
        run_end(&a);
        run_end(&b);
    }
    TEST("a checkpoint every three steps is written after the third") {
        static const char path[] = "cuda_test.checkpoint";
        sessrec_config config = own_config();
        config.checkpoint = path;
        config.checkpoint_steps = 3;
        remove(path);
        run a = new_run(config, log, SESSREC_DEVICE_CUDA);
        const int64_t steps = sessrec_batcher_steps(a.batcher);
        CHECK_EQ(sessrec_trainer_epoch(a.trainer, a.batcher, NULL), SESSREC_OK);
        CHECK_EQ(sessrec_trainer_read(a.trainer, path, NULL), SESSREC_OK);
        CHECK_EQ(sessrec_trainer_position(a.trainer).step, steps - steps % 3);
        remove(path);
        run_end(&a);
    }
}

// ---- what a trainer promises ----

// The weights after an epoch, in a trainer that is stopped and taken up again after `stop` steps, if stop >
// 0.
static sessrec_model *after_an_epoch(const sessrec_config *config, const sessrec_log *log, int stop) {
    static const char path[] = "cuda_test.checkpoint";
    run r = new_run(*config, log, SESSREC_DEVICE_CUDA);
    for (int steps = 0; step(&r, NULL); ++steps) {
        if (steps + 1 != stop) continue;
        CHECK_EQ(sessrec_trainer_write(r.trainer, path, NULL), SESSREC_OK);
        run_end(&r);
        r = new_run(*config, log, SESSREC_DEVICE_CUDA);
        CHECK_EQ(sessrec_trainer_read(r.trainer, path, NULL), SESSREC_OK);
        CHECK_EQ(sessrec_batcher_seek(r.batcher, 0, stop, NULL), SESSREC_OK);
        remove(path);
    }
    sessrec_model *model = take_model(r.trainer);
    run_end(&r);
    return model;
}

static int32_t watch(void *user, const sessrec_progress *progress) {
    *(const char **)user = progress->device;
    return 1;
}

static void promises(const sessrec_log *log) {
    sessrec_config config = own_config();
    sessrec_model *once = NULL;
    TEST("the same bits on every run") {
        once = after_an_epoch(&config, log, 0);
        sessrec_model *again = after_an_epoch(&config, log, 0);
        CHECK(largest_difference(once, again) == 0);
        sessrec_model_destroy(again);
    }
    TEST("a run that is resumed from a checkpoint ends with the same bits") {
        sessrec_model *resumed = after_an_epoch(&config, log, 4);
        CHECK(largest_difference(once, resumed) == 0);
        sessrec_model_destroy(resumed);
    }
    TEST("two trainers on one GPU take turns and do not disturb each other") {
        sessrec_config other = config;
        other.seed = 2;
        run a = new_run(config, log, SESSREC_DEVICE_CUDA), b = new_run(other, log, SESSREC_DEVICE_CUDA);
        int going;
        do {
            going = step(&a, NULL);
            going |= step(&b, NULL);
        } while (going);
        CHECK(largest_difference(once, model_of(a.trainer)) == 0);
        CHECK(largest_difference(once, model_of(b.trainer)) > 1e-3);
        run_end(&a);
        run_end(&b);
    }
    sessrec_model_destroy(once);
    TEST("what is written into a tensor goes to the GPU, and the best weights come back") {
        run r = new_run(config, log, SESSREC_DEVICE_CUDA);
        sessrec_mutable_tensor By;
        step(&r, NULL);
        CHECK_EQ(sessrec_trainer_tensor(r.trainer, "By", &By, NULL), SESSREC_OK);
        By.data[3] = 40;  // so that the item's score is above all others
        CHECK_EQ(sessrec_trainer_keep_best(r.trainer, 1, NULL), SESSREC_OK);
        double loss = 0;
        step(&r, &loss);
        CHECK(loss > 5);
        CHECK_EQ(sessrec_trainer_tensor(r.trainer, "By", &By, NULL), SESSREC_OK);
        CHECK(By.data[3] < 40 && By.data[3] > 30);
        sessrec_trainer_use_best(r.trainer, NULL);
        CHECK_EQ(sessrec_trainer_tensor(r.trainer, "By", &By, NULL), SESSREC_OK);
        CHECK_NEAR(By.data[3], 40, 0);
        run_end(&r);
    }
    TEST("a loss that is not finite is DIVERGED") {
        run r = new_run(config, log, SESSREC_DEVICE_CUDA);
        sessrec_batch batch;
        sessrec_mutable_tensor Wy;
        CHECK_EQ(sessrec_trainer_tensor(r.trainer, "Wy", &Wy, NULL), SESSREC_OK);
        for (int64_t i = 0; i < (int64_t)Wy.rows * Wy.columns; ++i) Wy.data[i] = 3e38f;
        CHECK_EQ(sessrec_batcher_next(r.batcher, &batch), SESSREC_OK);
        sessrec_result result = sessrec_trainer_step(r.trainer, &batch, NULL, NULL);
        for (int more = 0; more < 3 && !result && !sessrec_batcher_next(r.batcher, &batch); ++more)
            result = sessrec_trainer_step(r.trainer, &batch, NULL, NULL);
        CHECK_EQ(result, SESSREC_DIVERGED);
        run_end(&r);
    }
    TEST("the progress callback and the trainer name the GPU") {
        const char *seen = NULL;
        sessrec_model *model = NULL;
        sessrec_config watched = config;
        watched.device = SESSREC_DEVICE_CUDA_OR_CPU;
        watched.progress = watch;
        watched.progress_user = &seen;
        run r = new_run(config, log, SESSREC_DEVICE_CUDA);
        CHECK(strcmp(sessrec_trainer_device(r.trainer), "cpu") != 0);
        CHECK_EQ(sessrec_train(&watched, log, NULL, &model, NULL), SESSREC_STOPPED);
        CHECK(seen != NULL);
        sessrec_model_destroy(model);
        run_end(&r);
    }
}

// ---- what goes wrong ----

static void out_of_memory(const sessrec_log *log) {
    TEST("without memory on the GPU there is an error that says how much was asked for, and CUDA_OR_CPU does "
         "not hide it") {
        sessrec_config config = own_config();
        sessrec_trainer *trainer;
        sessrec_error err;
#ifdef SESSREC_TEST_GPU
        void *hoard[4096];
        int held = 0;
        // takes nearly all that there is
        for (size_t bytes = (size_t)1 << 36; bytes >= (size_t)1 << 20; bytes /= 2)
            while (held < 4096 && cudaMalloc(&hoard[held], bytes) == cudaSuccess) ++held;
        config.negatives = 20000;
#else
        cuda_on_cpu_memory = 1000;
#endif
        for (int device = SESSREC_DEVICE_CUDA; device <= SESSREC_DEVICE_CUDA_OR_CPU; ++device) {
            config.device = (sessrec_device)device;
            CHECK_EQ(sessrec_trainer_create(&config, log, &trainer, &err), SESSREC_OUT_OF_MEMORY);
            CHECK(!trainer && strstr(err.text, "MiB of the GPU's memory: out of memory") != NULL);
        }
#ifdef SESSREC_TEST_GPU
        while (held) cudaFree(hoard[--held]);
#else
        cuda_on_cpu_memory = INT64_MAX;
        CHECK_EQ(cuda_on_cpu_blocks, 0);
#endif
        CHECK_EQ(sessrec_trainer_create(&config, log, &trainer, &err), SESSREC_OK);
        sessrec_trainer_destroy(trainer);
    }
}

#ifndef SESSREC_TEST_GPU
static void played(const sessrec_log *log) {
    sessrec_config config = own_config();
    sessrec_error err;
    TEST("the order in which blocks and threads run does not change a bit") {
        sessrec_log *with_users = users_log(45, 20, 5);
        for (int hierarchical = 0; hierarchical < 2; ++hierarchical) {
            const sessrec_log *chosen = hierarchical ? with_users : log;
            config.user_hidden = hierarchical ? 5 : 0;
            config.optimizer.gradient_cap = 0.5f;
            sessrec_model *model[2];
            for (cuda_on_cpu_backwards = 0; cuda_on_cpu_backwards < 2; ++cuda_on_cpu_backwards)
                model[cuda_on_cpu_backwards] = after_an_epoch(&config, chosen, 0);
            cuda_on_cpu_backwards = 0;
            CHECK(largest_difference(model[0], model[1]) == 0);
            sessrec_model_destroy(model[0]);
            sessrec_model_destroy(model[1]);
        }
        sessrec_log_destroy(with_users);
    }
    TEST("most steps of an epoch are run from a graph") {
        config = own_config();
        const int64_t before = cuda_on_cpu_graphs;
        sessrec_model_destroy(after_an_epoch(&config, log, 0));
        CHECK(cuda_on_cpu_graphs - before > 40);
    }
    TEST("without a GPU, CUDA is refused in CUDA's words and CUDA_OR_CPU trains on the processor") {
        sessrec_trainer *trainer;
        cuda_on_cpu_devices = 0;
        config.device = SESSREC_DEVICE_CUDA;
        CHECK_EQ(sessrec_trainer_create(&config, log, &trainer, &err), SESSREC_UNSUPPORTED);
        CHECK_TEXT(err.text, "there is no GPU that CUDA can use: no CUDA-capable device is detected");
        config.device = SESSREC_DEVICE_CUDA_OR_CPU;
        CHECK_EQ(sessrec_trainer_create(&config, log, &trainer, &err), SESSREC_OK);
        CHECK_TEXT(sessrec_trainer_device(trainer), "cpu");
        sessrec_trainer_destroy(trainer);
        cuda_on_cpu_devices = 1;
    }
    TEST("a GPU that the kernels were not compiled for is as none") {
        sessrec_trainer *trainer;
        cuda_on_cpu_code = 0;
        config.device = SESSREC_DEVICE_CUDA;
        CHECK_EQ(sessrec_trainer_create(&config, log, &trainer, &err), SESSREC_UNSUPPORTED);
        CHECK_TEXT(err.text, "sessrec_cuda.cu was not compiled for the GPU a GPU played by the processor: no "
                             "kernel image is available for "
                             "execution on the device");
        config.device = SESSREC_DEVICE_CUDA_OR_CPU;
        CHECK_EQ(sessrec_trainer_create(&config, log, &trainer, &err), SESSREC_OK);
        sessrec_trainer_destroy(trainer);
        cuda_on_cpu_code = 1;
    }
    TEST("a failure of CUDA in a step comes back as an error with its words, also where there is no place "
         "for them") {
        sessrec_batch batch;
        run r = new_run(config, log, SESSREC_DEVICE_CUDA);
        CHECK_EQ(sessrec_batcher_next(r.batcher, &batch), SESSREC_OK);
        cuda_on_cpu_copy_error = 700;
        CHECK_EQ(sessrec_trainer_step(r.trainer, &batch, NULL, &err), SESSREC_DEVICE_ERROR);
        CHECK_TEXT(err.text, "CUDA: a mini-batch: an illegal memory access was encountered");
        CHECK_EQ(sessrec_trainer_step(r.trainer, &batch, NULL, &err), SESSREC_OK);
        cuda_on_cpu_copy_error = 700;
        CHECK(model_of(r.trainer) == NULL);
        CHECK(model_of(r.trainer) != NULL);
        run_end(&r);
    }
    TEST("nothing is left on the GPU") {
        CHECK_EQ(cuda_on_cpu_blocks, 0);
    }
}
#endif

int main(void) {
    sessrec_log *log = random_log(40, 30, 3);
    sessrec_config config = own_config();
    sessrec_trainer *trainer = NULL;
    sessrec_error err;
    config.device = SESSREC_DEVICE_CUDA;
    const sessrec_result result = sessrec_trainer_create(&config, log, &trainer, &err);
    sessrec_trainer_destroy(trainer);
    if (result == SESSREC_UNSUPPORTED) {
        SKIP("training on a GPU", err.text);
    } else {
        losses(log);
        optimizers(log);
        networks(log);
        users();
        metrics(log);
        evaluation();
        ahead(log);
        promises(log);
        out_of_memory(log);
#ifndef SESSREC_TEST_GPU
        played(log);
#endif
    }
    sessrec_log_destroy(log);
    return test_report("training on a GPU");
}
