// witness - trains some mini-batches and writes down everything that a second program needs to compute the
// same losses.
//
//     witness LOG STEPS [--loss xe|bpr-max] [--gru before|after] [--lr X] [--every N] >DUMP
//
// Standard output gets, numbers as they lie in memory (little-endian):
//     text lines: options, "tensor NAME ROWS COLUMNS" for each tensor, "end"; then support, int64, the events
//     of each item of each mini-batch: int32 rows, negatives, 1 if the state of the trainer follows;
//         float32 state: of each tensor the weights, Adagrad's sums and the velocities, then the hidden
//         state, all before the step;
//         int32 inputs, targets, starts, previous rows, negatives;   float64 our loss
// The state comes with every N-th mini-batch (0: with the first only). There is no dropout, so that only
// arithmetic is left to differ.

#define SESSREC_IMPLEMENTATION
#include "../sessrec.h"

#include <stdio.h>

static void write_head(const sessrec_config *c, const sessrec_model *model, const sessrec_log *log) {
    printf("batch %d\nalpha %.9g\nlogq %.9g\nbpreg %.9g\n", (int)c->batch_size, (double)c->alpha,
           (double)c->loss.logq, (double)c->loss.bpreg);
    printf("rate %.9g\nmomentum %.9g\n", (double)c->optimizer.learning_rate, (double)c->optimizer.momentum);
    printf("form %s\n", c->gru == SESSREC_RESET_BEFORE ? "before" : "after");
    if (c->loss.kind == SESSREC_LOSS_XE) printf("loss xe\nactivation linear\n");
    else printf("loss bpr-max\nactivation elu:%.9g\n", (double)c->loss.activation_a);

    const char *name;
    for (int32_t i = 0; (name = sessrec_model_tensor_name(model, i)) != NULL; ++i) {
        sessrec_tensor tensor;
        if (!sessrec_model_tensor(model, name, &tensor))
            printf("tensor %s %d %d\n", name, (int)tensor.rows, (int)tensor.columns);
    }
    printf("end\n");
    const sessrec_log_view view = sessrec_log_contents(log);
    fwrite(view.supports, sizeof(int64_t), (size_t)view.item_count, stdout);
}

static void write_tensor(sessrec_trainer *trainer, const char *prefix, const char *name) {
    char full_name[64];
    sessrec_mutable_tensor tensor;
    snprintf(full_name, sizeof full_name, "%s%s", prefix, name);
    if (!sessrec_trainer_tensor(trainer, full_name, &tensor, NULL))
        fwrite(tensor.data, sizeof(float), (size_t)tensor.rows * (size_t)tensor.columns, stdout);
}

static void write_state(sessrec_trainer *trainer) {
    const sessrec_model *model;
    const char *name;
    if (sessrec_trainer_model(trainer, &model, NULL)) return;
    for (int32_t i = 0; (name = sessrec_model_tensor_name(model, i)) != NULL; ++i) {
        write_tensor(trainer, "", name);
        write_tensor(trainer, "acc.", name);
        write_tensor(trainer, "vel.", name);
    }
    write_tensor(trainer, "", "hidden0");
}

static void write_integers(const int32_t *values, int32_t count) {
    fwrite(values, sizeof *values, (size_t)count, stdout);
}

static void write_batch(const sessrec_batch *b) {
    write_integers(b->inputs, b->rows);
    write_integers(b->targets, b->rows);
    write_integers(b->session_starts, b->rows);
    write_integers(b->previous_rows, b->rows);
    write_integers(b->negatives, b->negative_count);
}

static sessrec_result train(sessrec_trainer *trainer, sessrec_batcher *batcher, long steps, long every,
                            sessrec_error *err) {
    for (long step = 0; step < steps;) {
        sessrec_batch batch;
        double loss = 0;
        sessrec_result result = sessrec_batcher_next(batcher, &batch);
        if (result) return result;
        if (!batch.rows) continue;  // the next call begins another epoch
        const int with_state = every > 0 ? step % every == 0 : step == 0;
        const int32_t head[3] = {batch.rows, batch.negative_count, with_state};
        write_integers(head, 3);
        if (with_state) write_state(trainer);
        write_batch(&batch);
        result = sessrec_trainer_step(trainer, &batch, &loss, err);
        if (result) return result;
        fwrite(&loss, sizeof loss, 1, stdout);
        ++step;
    }
    return SESSREC_OK;
}

int main(int argc, char **argv) {
    // tied, cross-entropy with logQ 1, L=100, B=32, n=2048, lr 0.2, momentum 0.2
    sessrec_config config = sessrec_config_default();
    config.dropout_hidden = 0;
    config.loss.skip_own_target = 0;  // as the papers, and as the other side
    long every = 5;
    for (int i = 3; i + 1 < argc; i += 2) {
        if (!strcmp(argv[i], "--gru") && !strcmp(argv[i + 1], "after")) config.gru = SESSREC_RESET_AFTER;
        if (!strcmp(argv[i], "--lr")) config.optimizer.learning_rate = strtof(argv[i + 1], NULL);
        if (!strcmp(argv[i], "--every")) every = strtol(argv[i + 1], NULL, 10);
        if (!strcmp(argv[i], "--loss") && !strcmp(argv[i + 1], "bpr-max")) {
            config.loss.kind = SESSREC_LOSS_BPR_MAX;
            config.loss.activation = SESSREC_ELU;
        }
    }
    if (argc < 3) {
        fprintf(stderr, "witness LOG STEPS [--loss xe|bpr-max] [--gru before|after] [--every N] >DUMP\n");
        return 2;
    }

    sessrec_log *log = NULL;
    sessrec_trainer *trainer = NULL;
    sessrec_sampler *sampler = NULL;
    sessrec_batcher *batcher = NULL;
    sessrec_error error;
    memset(&error, 0, sizeof error);
    sessrec_result result = sessrec_log_read(argv[1], NULL, &log, &error);
    if (!result) result = sessrec_trainer_create(&config, log, &trainer, &error);
    if (!result) result = sessrec_trainer_sampler(trainer, &sampler, &error);
    if (!result) result = sessrec_batcher_create(&config, log, sampler, &batcher, &error);
    const sessrec_model *model = NULL;
    if (!result) result = sessrec_trainer_model(trainer, &model, &error);
    if (!result) write_head(&config, model, log);
    if (!result) result = train(trainer, batcher, strtol(argv[2], NULL, 10), every, &error);
    if (result) fprintf(stderr, "witness: %s: %s\n", sessrec_result_text(result), error.text);
    sessrec_batcher_destroy(batcher);
    sessrec_sampler_destroy(sampler);
    sessrec_trainer_destroy(trainer);
    sessrec_log_destroy(log);
    return result || fflush(stdout) || ferror(stdout) ? 1 : 0;
}
