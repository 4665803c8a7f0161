// checkpoint.c - a checkpoint from anybody, for a run that is ours. One that is accepted trains on.
#include "archive.h"

static sessrec_log *log_with_users;
static sessrec_config config;
static char path[64];

static void sessrec_fuzz_begin(void) {
    log_with_users = small_log(1);
    config = small_config(1);
    config.optimizer.kind = SESSREC_ADAM;
    config.optimizer.learning_rate = 0.01f;
    memory_path(path, sizeof path);
}

// A run that begins, one after an epoch, and one that keeps its best weights.
static size_t sessrec_fuzz_example(int which, uint8_t *data, size_t room) {
    sessrec_trainer *trainer = NULL;
    sessrec_batcher *batcher = NULL;
    sessrec_sampler *sampler = NULL;
    if (which > 2) return 0;
    MUST(!sessrec_trainer_create(&config, log_with_users, &trainer, NULL));
    MUST(!sessrec_trainer_sampler(trainer, &sampler, NULL));
    MUST(!sessrec_batcher_create(&config, log_with_users, sampler, &batcher, NULL));
    if (which) MUST(!sessrec_trainer_epoch(trainer, batcher, NULL));
    if (which > 1) MUST(!sessrec_trainer_keep_best(trainer, 0.5, NULL));
    MUST(!sessrec_trainer_write(trainer, path, NULL));
    FILE *file = fopen(path, "rb");
    MUST(file);
    const size_t size = fread(data, 1, room, file);
    fclose(file);
    unlink(path);
    sessrec_batcher_destroy(batcher);
    sessrec_sampler_destroy(sampler);
    sessrec_trainer_destroy(trainer);
    return size;
}

static void sessrec_fuzz(const uint8_t *data, size_t size) {
    sessrec_trainer *trainer = NULL;
    sessrec_batcher *batcher = NULL;
    sessrec_batch batch;
    sessrec_error error;
    FILE *file = fopen(path, "wb");
    MUST(file && fwrite(data, 1, size, file) == size && !fclose(file));
    MUST(!sessrec_trainer_create(&config, log_with_users, &trainer, NULL));
    const sessrec_result result = sessrec_trainer_read(trainer, path, &error);
    if (result) {
        MUST(error.code == result && error.text[0]);
    } else {
        const sessrec_position position = sessrec_trainer_position(trainer);
        MUST(!sessrec_batcher_create(&config, log_with_users, NULL, &batcher, NULL));
        if (!sessrec_batcher_seek(batcher, position.epoch, position.step, NULL) &&
            !sessrec_batcher_next(batcher, &batch) && batch.rows) {
            int32_t negatives[3] = {0, 1, 2};
            batch.negatives = negatives;
            batch.negative_count = 3;
            const sessrec_result step = sessrec_trainer_step(trainer, &batch, NULL, NULL);
            MUST(!step || step == SESSREC_DIVERGED);
        }
        sessrec_batcher_destroy(batcher);
    }
    sessrec_trainer_destroy(trainer);
    unlink(path);
}
