// What holds whatever the system does with our threads: each task runs once, results are the same, and
// threads that do not pay are not used.
#ifndef _GNU_SOURCE
#  define _GNU_SOURCE  // sched_setaffinity, in strict C
#endif
#include <stdint.h>
#include <stdlib.h>

#define SESSREC_IMPLEMENTATION
#include "models.h"

#if defined(__linux__) && !defined(SESSREC_NO_THREADS)
#  define BINDS
#  include <sched.h>
#  include <sys/stat.h>
#  include <unistd.h>
#endif

// ---- regions ----------------------------------------------------------------------------------------------

enum { MOST_TASKS = 100 };
typedef struct counted {
    int32_t runs[MOST_TASKS];
    int32_t spins;
} counted;

static void count_run(void *context, int32_t index) {
    counted *c = (counted *)context;
    volatile int32_t spin = 0;
    while (spin < c->spins * (index % 16 + 1)) spin = spin + 1;
    c->runs[index]++;
}

static void every_task_once(int32_t threads) {
    static sessrec__pool pool;
    const sessrec_jobs own = {NULL, NULL};
    int64_t wrong = 0;
    uint32_t seed = 5;
    sessrec__pool_init(&pool, threads, &own);
    for (int region = 0; region < 3000; ++region) {
        counted c;
        memset(&c, 0, sizeof c);
        const int32_t count = random_below(&seed, region % 2 ? 17 : MOST_TASKS + 1);
        c.spins = random_below(&seed, 100);
        // some threads are left out now and then
        pool.trial = region % 100 < 50 ? 0 : 1 + random_below(&seed, pool.threads);
#ifndef SESSREC_NO_THREADS
        sessrec__write_shared(&pool.active, pool.trial ? pool.trial : pool.usual);
#endif
        sessrec__pool_run(&pool, count, count_run, &c);
        for (int32_t i = 0; i < MOST_TASKS; ++i) wrong += c.runs[i] != (i < count);
    }
    CHECK_EQ(wrong, 0);
    sessrec__pool_free(&pool);
}

// ---- how many threads pay ---------------------------------------------------------------------------------

// Steps of a machine on which `best` threads take 1 ms and other numbers of them twice that.
static int32_t settled(sessrec__pool *pool, int32_t best, int steps) {
    for (int i = 0; i < steps; ++i) {
        const int32_t level = pool->trial ? pool->trial : pool->usual;
        sessrec__pool_pace(pool, level == best ? 1e-3 : 2e-3);
    }
    return pool->usual;
}

static void pace(void) {
    TEST("a pool finds the number of threads that is fastest, and finds it again when it changes") {
        sessrec__pool pool;
        memset(&pool, 0, sizeof pool);
        pool.threads = pool.usual = 2;
        pool.pause = 1;
        CHECK_EQ(settled(&pool, 2, 1000), 2);
        CHECK_EQ(settled(&pool, 1, 300), 1);
        CHECK_EQ(settled(&pool, 2, 300), 2);
    }
    TEST("trials of what does not pay become rare") {
        sessrec__pool pool;
        int trials = 0;
        memset(&pool, 0, sizeof pool);
        pool.threads = pool.usual = 8;
        pool.pause = 1;
        for (int i = 0; i < 100000; ++i) {
            (void)settled(&pool, 8, 1);
            trials += pool.trial != 0;
        }
        CHECK_EQ(pool.usual, 8);
        CHECK(trials > 0 && trials < 2000);
    }
}

// ---- bound to one processor -------------------------------------------------------------------------------

static void train_steps(run *r, int steps) {
    sessrec_batch batch;
    for (int i = 0; i < steps; ++i) {
        if (sessrec_batcher_next(r->batcher, &batch) != SESSREC_OK || batch.rows == 0) break;
        CHECK_EQ(sessrec_trainer_step(r->trainer, &batch, NULL, NULL), SESSREC_OK);
    }
}

static image trained_with(int32_t threads, const sessrec_log *log, double *seconds) {
    run r;
    sessrec_config config = sessrec_config_default();
    config.batch_size = 32;
    config.negatives = 200;
    config.hidden[0] = 48;
    config.threads = threads;
    CHECK(run_begin(&r, &config, log));
    const double began = sessrec__now();
    train_steps(&r, 300);
    *seconds = sessrec__now() - began;
    const image model = model_bytes(model_of(r.trainer));
    run_end(&r);
    return model;
}

static void bound(void) {
    TEST("eight threads on one processor give the bits of one thread, in less than six times its time") {
#ifdef BINDS
        cpu_set_t before, one;
        size_t first = 0;
        CHECK_EQ(sched_getaffinity(0, sizeof before, &before), 0);
        while (first < CPU_SETSIZE - 1 && !CPU_ISSET(first, &before)) ++first;
        CPU_ZERO(&one);
        CPU_SET(first, &one);
        CHECK_EQ(sched_setaffinity(0, sizeof one, &one), 0);
        CHECK_EQ(sessrec_processor_count(), 1);
        sessrec_log *log = random_log(3000, 400, 7);
        double alone = 1e9, eight = 1e9, seconds;
        for (int round = 0; round < 3; ++round) {
            const image expected = trained_with(1, log, &seconds);
            if (seconds < alone) alone = seconds;
            const image other = trained_with(8, log, &seconds);
            if (seconds < eight) eight = seconds;
            CHECK(same_bytes(&other, &expected));
            free(other.data);
            free(expected.data);
        }
        CHECK(eight < 6 * alone);
        sessrec_log_destroy(log);
        CHECK_EQ(sched_setaffinity(0, sizeof before, &before), 0);
#else
        SKIP("one processor", "there are no threads here, or they cannot be bound");
#endif
    }
}

// ---- quotas -----------------------------------------------------------------------------------------------

#ifdef __linux__
static char folder[] = "/tmp/sessrec-XXXXXX";

static const char *within(const char *name) {
    static char path[2][200];
    static int turn;
    snprintf(path[turn ^= 1], sizeof *path, "%s/%s", folder, name);
    return path[turn];
}
static void put(const char *name, const char *text) {
    FILE *file = fopen(within(name), "w");
    CHECK(file != NULL);
    if (!file) return;
    fputs(text, file);
    fclose(file);
}
static int32_t allowed(const char *groups) {
    put("groups", groups);
    return sessrec__quota(within("groups"), folder, 64);
}

static void quotas(void) {
    static const char *const FILES[] = {"a/b/cpu.max", "a/cpu.max", "cpu.max", "cpu/x/cpu.cfs_quota_us",
                                        "cpu/x/cpu.cfs_period_us", "groups"};
    static const char *const FOLDERS[] = {"a/b", "a", "cpu/x", "cpu"};
    CHECK(mkdtemp(folder) != NULL);
    for (int i = 3; i >= 0; --i) (void)mkdir(within(FOLDERS[i]), 0700);
    TEST("of version 2 the tightest quota of a group and those above it counts, in whole processors") {
        put("a/b/cpu.max", "max 100000\n");
        put("a/cpu.max", "350000 100000\n");
        CHECK_EQ(allowed("0::/a/b\n"), 3);
        CHECK_EQ(allowed("0::/\n"), 64);
        put("a/b/cpu.max", "50000 100000\n");
        CHECK_EQ(allowed("0::/a/b\n"), 1);
        put("cpu.max", "200000 100000\n");
        CHECK_EQ(allowed("0::/a\n"), 2);
        CHECK_EQ(allowed("0::/of/the/host\n"), 2);
        put("cpu.max", "max 100000\n");
    }
    TEST("of version 1 the group of the controller cpu counts") {
        put("cpu/x/cpu.cfs_quota_us", "400000\n");
        put("cpu/x/cpu.cfs_period_us", "100000\n");
        CHECK_EQ(allowed("7:memory:/a\n4:cpu,cpuacct:/x\n1:name=systemd:/a\n"), 4);
        CHECK_EQ(allowed("4:cpuset:/x\n"), 64);
        put("cpu/x/cpu.cfs_quota_us", "-1\n");
        CHECK_EQ(allowed("4:cpuacct,cpu:/x\n"), 64);
    }
    TEST("what is no list of groups is no quota") {
        CHECK_EQ(allowed(""), 64);
        CHECK_EQ(allowed("0:\n:::\n::\n0::"), 64);
        CHECK_EQ(sessrec__quota(within("nothing"), folder, 64), 64);
    }
    for (size_t i = 0; i < sizeof FILES / sizeof *FILES; ++i) (void)remove(within(FILES[i]));
    for (int i = 0; i < 4; ++i) (void)rmdir(within(FOLDERS[i]));
    (void)rmdir(folder);
}
#endif

int main(void) {
    TEST("every task of a region runs once, with one thread, two and sixteen") {
        every_task_once(1);
        every_task_once(2);
        every_task_once(16);
    }
    pace();
    bound();
#ifdef __linux__
    quotas();
#else
    SKIP("quotas", "control groups are Linux");
#endif
    TEST("there is a processor, and a clock that does not go back") {
        CHECK(sessrec_processor_count() >= 1);
        const double first = sessrec__now();
        CHECK(sessrec__now() >= first);
    }
    return test_report("threads");
}
