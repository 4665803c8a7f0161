// faults.c - what tests/faults.sh lets fail: saves and loads whose system calls do not do what they should,
// and runs that are killed at random moments.
//
//     faults save KIND PATH N     writes version N of a model, log, checkpoint, neighbors or pair (of files)
//     faults load KIND PATH       0: what is there can be read
//     faults kill FOLDER RUNS     kills a training run RUNS times; see below
//
// save and load end with 0, or with 10 and one line of the result's name and sentence.
#define _DEFAULT_SOURCE  // fork, kill and usleep also under -std=c99
#define SESSREC_IMPLEMENTATION
#include "../sessrec.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static sessrec_log *letters(int version) {
    static const char *const visits[6] = {"abcd", "bcda", "cafe", "fade", "beef", "abba"};
    sessrec_log *log = NULL;
    if (sessrec_log_create(NULL, &log, NULL)) exit(3);
    for (int visit = 0; visit < 60; ++visit)
        for (int click = 0; visits[visit % 6][click]; ++click)
            (void)sessrec_log_add_numbers(log, -1, visit, visits[visit % 6][click] + visit / 6 % 3,
                                          100 * visit + click + version);
    if (sessrec_log_finish(log, NULL)) exit(3);
    return log;
}

static sessrec_config setting(int version) {
    sessrec_config config = sessrec_config_default();
    config.hidden[0] = 16;
    config.batch_size = 4;
    config.negatives = 8;
    config.epochs = 3;
    config.threads = 1;
    config.seed = (uint64_t)version;
    return config;
}

static sessrec_trainer *beginner(int version, sessrec_log *log) {
    const sessrec_config config = setting(version);
    sessrec_trainer *trainer = NULL;
    if (sessrec_trainer_create(&config, log, &trainer, NULL)) exit(3);
    return trainer;
}

static int ended(sessrec_result result, const sessrec_error *error) {
    if (!result) return 0;
    printf("%s: %s\n", sessrec_result_text(result), error->text);
    return 10;
}

// The model of a trainer, in its first state.
static const sessrec_model *model_of(const sessrec_trainer *trainer) {
    const sessrec_model *model = NULL;
    if (sessrec_trainer_model(trainer, &model, NULL)) exit(3);
    return model;
}

static int save(const char *kind, const char *path, int version) {
    sessrec_log *log = letters(version);
    sessrec_trainer *trainer = beginner(version, log);
    sessrec_error error;
    sessrec_result result = SESSREC_STOPPED;
    char second[1024];
    if (!strcmp(kind, "model")) result = sessrec_model_write(model_of(trainer), path, &error);
    if (!strcmp(kind, "log")) result = sessrec_log_write(log, path, &error);
    if (!strcmp(kind, "checkpoint")) result = sessrec_trainer_write(trainer, path, &error);
    if (!strcmp(kind, "neighbors")) {
        sessrec_scorer scorer;
        const sessrec_knn_config knn = sessrec_knn_config_default();
        if (sessrec_knn_create(&knn, log, &scorer, NULL)) exit(3);
        result = sessrec_scorer_write(&scorer, path, &error);
        sessrec_scorer_destroy(&scorer);
    }
    if (!strcmp(kind, "pair")) {
        sessrec_output outputs[2];
        memset(outputs, 0, sizeof outputs);
        snprintf(second, sizeof second, "%s.log", path);
        outputs[0].path = path;
        outputs[0].model = model_of(trainer);
        outputs[1].path = second;
        outputs[1].log = log;
        result = sessrec_outputs_write(outputs, 2, &error);
    }
    sessrec_trainer_destroy(trainer);
    sessrec_log_destroy(log);
    return ended(result, &error);
}

static int load(const char *kind, const char *path) {
    sessrec_error error;
    sessrec_result result = SESSREC_STOPPED;
    sessrec_model *model = NULL;
    sessrec_log *log = NULL;
    if (!strcmp(kind, "model") || !strcmp(kind, "pair"))
        result = sessrec_model_read(path, NULL, &model, &error);
    if (!strcmp(kind, "log")) result = sessrec_log_read(path, NULL, &log, &error);
    if (!strcmp(kind, "checkpoint")) {
        log = letters(1);
        sessrec_trainer *trainer = beginner(1, log);
        result = sessrec_trainer_read(trainer, path, &error);
        if (result == SESSREC_MISMATCH) result = SESSREC_OK;  // the other version: it was read as a whole
        sessrec_trainer_destroy(trainer);
    }
    if (!strcmp(kind, "neighbors")) {
        sessrec_scorer scorer;
        result = sessrec_scorer_read(path, NULL, &scorer, &error);
        sessrec_scorer_destroy(&scorer);
    }
    sessrec_model_destroy(model);
    sessrec_log_destroy(log);
    return ended(result, &error);
}

// ---- runs that are killed ----

// Trains from the checkpoint, if there is one, to the end; a checkpoint after every step.
static sessrec_result run(const sessrec_log *log, const char *path, sessrec_model **model) {
    sessrec_config config = setting(1);
    sessrec_error error;
    config.checkpoint = path;
    config.checkpoint_steps = path ? 1 : 0;
    config.resume = 1;
    const sessrec_result result = sessrec_train(&config, log, NULL, model, &error);
    if (result) printf("%s\n", error.text);
    return result;
}

static int same_models(const sessrec_model *a, const sessrec_model *b) {
    const size_t size = sessrec_model_export_size(a);
    unsigned char *left = (unsigned char *)malloc(size), *right = (unsigned char *)malloc(size);
    const int same = left && right && size == sessrec_model_export_size(b) &&
                     !sessrec_model_export(a, left, size) && !sessrec_model_export(b, right, size) &&
                     !memcmp(left, right, size);
    free(left);
    free(right);
    return same;
}

static int files_in(const char *folder) {
    int files = 0;
    DIR *open = opendir(folder);
    for (const struct dirent *entry; open && (entry = readdir(open)) != NULL;)
        files += entry->d_name[0] != '.';
    if (open) closedir(open);
    return files;
}

// Each run goes on from the checkpoint that the one before left, is killed at a random moment, and leaves a
// checkpoint that can be read; each tenth is continued to its end here, which gives the bits of a run that
// nobody killed. Then the next begins anew.
static int kill_runs(const char *folder, int runs) {
    char path[1024];
    sessrec_log *log = letters(1);
    sessrec_model *whole = NULL, *model = NULL;
    const uint64_t seed = (uint64_t)getpid();
    int unreadable = 0, different = 0, litter = 0, killed = 0, ended_runs = 0;
    snprintf(path, sizeof path, "%s/checkpoint", folder);
    if (run(log, NULL, &whole)) return 3;
    const double began = sessrec__now();
    for (int i = 0; killed < runs && i < 4 * runs; ++i) {
        const pid_t child = fork();
        int status;
        if (!child) {
            run(log, path, &model);
            _exit(0);
        }
        usleep((useconds_t)sessrec__mulhi(sessrec__draw(seed, (uint64_t)i), 8000));
        kill(child, SIGKILL);
        if (waitpid(child, &status, 0) != child) return 3;
        killed += WIFSIGNALED(status);
        ended_runs += !WIFSIGNALED(status);
        if (!access(path, F_OK) && load("checkpoint", path)) ++unreadable;
        if (files_in(folder) > 2) ++litter;  // a checkpoint, and what one killed process left
        if (i % 10 != 9 && WIFSIGNALED(status)) continue;
        if (run(log, path, &model) || !same_models(model, whole)) ++different;
        if (files_in(folder) > 1) ++litter;
        sessrec_model_destroy(model);
        model = NULL;
        remove(path);
    }
    printf("%d kills in %.1f s, %d runs came to their end before: %d unreadable, %d with other bits, %d with "
           "litter\n", killed, sessrec__now() - began, ended_runs, unreadable, different, litter);
    sessrec_model_destroy(whole);
    sessrec_log_destroy(log);
    return unreadable || different || litter || killed < runs;
}

int main(int count, char **words) {
    if (count == 5 && !strcmp(words[1], "save")) return save(words[2], words[3], atoi(words[4]));
    if (count == 4 && !strcmp(words[1], "load")) return load(words[2], words[3]);
    if (count == 4 && !strcmp(words[1], "kill")) return kill_runs(words[2], atoi(words[3]));
    fprintf(stderr, "faults save KIND PATH N | load KIND PATH | kill FOLDER RUNS\n");
    return 2;
}
