// What holds for every published kind of setting: the same bits on every set of kernels with any number of threads, and a training step or a click
// that neither allocates nor calls the system.
#ifndef _GNU_SOURCE
#  define _GNU_SOURCE  // syscall, in strict C
#endif
#include <stdint.h>
#include <stdlib.h>

static int64_t allocations;
static void *counted_malloc(size_t size) {
    ++allocations;
    return malloc(size);
}
#define malloc(size) counted_malloc(size)
#include "models.h"
#undef malloc

#if defined(__linux__) && !defined(SESSREC_NO_THREADS) && !defined(__SANITIZE_THREAD__)
#  define WATCHED
#  include <signal.h>
#  include <sys/ptrace.h>
#  include <sys/syscall.h>
#  include <sys/wait.h>
#  include <unistd.h>
#endif

// ---- the kinds, smaller than published, but with several tasks for every thread ----------------------------

enum { KINDS = 6 };

static sessrec_config kind(int which) {
    sessrec_config c = sessrec_config_default();
    c.batch_size = 32;
    c.negatives = 300;
    c.loss.skip_own_target = which % 2;
    switch (which) {
    case 0: break;                 // cross-entropy with samples, L = 100, tied
    case 1:                        // BPR-max
        c.loss.kind = SESSREC_LOSS_BPR_MAX;
        c.loss.activation = SESSREC_ELU;
        c.hidden[0] = 48;
        c.batch_size = 40;
        c.dropout_input = 0.5f;
        c.dropout_hidden = 0.05f;
        break;
    case 2:                        // no samples
        c.negatives = 0;
        break;
    case 3:                        // a separate embedding
        c.embedding = SESSREC_EMBEDDING_SEPARATE;
        c.embedding_width = 21;
        c.hidden[0] = 36;
        c.dropout_input = 0.45f;
        break;
    case 4:                        // one-hot inputs, as in the first paper
        c.embedding = SESSREC_EMBEDDING_NONE;
        c.loss.kind = SESSREC_LOSS_TOP1;
        c.loss.activation = SESSREC_TANH;
        c.hidden[0] = 50;
        c.negatives = 0;
        break;
    default:                       // HRNN
        c.embedding = SESSREC_EMBEDDING_NONE;
        c.hidden[0] = 37;
        c.user_hidden = 33;
        c.user_mode = SESSREC_USER_ALL;
        c.dropout_user = c.dropout_init = 0.1f;
        break;
    }
    c.threads = 1;
    return c;
}
static const char *const KIND[KINDS] = {"cross-entropy with samples", "BPR-max", "no samples", "a separate embedding", "one-hot inputs", "HRNN"};

// Sessions of 2 to 5 clicks, three of each user.
static sessrec_dataset *visitors(void) {
    sessrec_dataset *log = NULL;
    uint32_t seed = 7;
    int failures = sessrec_dataset_create(NULL, &log) != SESSREC_OK;
    for (int32_t s = 0; s < 600; ++s)
        for (int32_t i = random_below(&seed, 4) + 1; i >= 0; --i)
            failures += sessrec_dataset_add_numbers(log, s % 200, s, random_below(&seed, 400), 100.0 * s - i) != SESSREC_OK;
    CHECK_EQ(failures, 0);
    CHECK_EQ(sessrec_dataset_finish(log, NULL), SESSREC_OK);
    return log;
}

typedef struct course {
    sessrec_trainer *trainer;
    sessrec_sampler *sampler;
    sessrec_batcher *batcher;
} course;

static course course_begin(const sessrec_config *config, const sessrec_dataset *log) {
    course c = {NULL, NULL, NULL};
    CHECK_EQ(sessrec_trainer_create(config, log, &c.trainer, NULL), SESSREC_OK);
    CHECK_EQ(sessrec_trainer_sampler(c.trainer, &c.sampler, NULL), SESSREC_OK);
    CHECK_EQ(sessrec_batcher_create(config, log, c.sampler, &c.batcher, NULL), SESSREC_OK);
    return c;
}
static void course_end(course *c) {
    sessrec_batcher_destroy(c->batcher);
    sessrec_sampler_destroy(c->sampler);
    sessrec_trainer_destroy(c->trainer);
}
// Returns the sum of the losses of so many mini-batches.
static double course_run(course *c, int steps) {
    double sum = 0, loss = 0;
    for (int i = 0; i < steps; ++i) {
        sessrec_batch batch;
        sessrec_result result;
        do result = sessrec_batcher_next(c->batcher, &batch);
        while (result == SESSREC_DONE);
        if (result || sessrec_trainer_step(c->trainer, &batch, &loss, NULL)) return -1;
        sum += loss;
    }
    return sum;
}

// ---- the same bits -----------------------------------------------------------------------------------------

// The model after eight mini-batches, as bytes, and the losses; NULL without these kernels.
static unsigned char *trained(const sessrec_config *config, const sessrec_dataset *log, const sessrec__kernels *kernels, size_t *size,
                              double *losses) {
    course c = course_begin(config, log);
    if (kernels) c.trainer->kernels = c.trainer->model->kernels = kernels;
    *losses = course_run(&c, 8);
    CHECK(*losses > 0);
    const sessrec_model *model = sessrec_trainer_model(c.trainer);
    *size = sessrec_model_bytes(model);
    unsigned char *bytes = (unsigned char *)malloc(*size);
    CHECK_EQ(sessrec_model_to_memory(model, bytes, *size), SESSREC_OK);
    course_end(&c);
    return bytes;
}

static void same_bits(const sessrec_dataset *log) {
    static const char *const NAME[3] = {"plain C", "AVX2", "AVX-512"};
    for (int level = 0; level < 3; ++level) {
        char name[120];
        snprintf(name, sizeof name, "%s gives the bits of plain C on one thread, with 1, 2, 3 and 4 threads, for every kind", NAME[level]);
        TEST(name) {
            if (!kernels_of(level)) {
                SKIP(NAME[level], "this processor or build does not have it");
                continue;
            }
            for (int k = 0; k < KINDS; ++k) {
                size_t size, other_size;
                double losses, other_losses;
                sessrec_config config = kind(k);
                unsigned char *expected = trained(&config, log, kernels_of(0), &size, &losses);
                for (config.threads = 1; config.threads <= 4; ++config.threads) {
                    unsigned char *bytes = trained(&config, log, kernels_of(level), &other_size, &other_losses);
                    const int same = size == other_size && !memcmp(bytes, expected, size) && !memcmp(&losses, &other_losses, sizeof losses);
                    if (!same) printf("        %s, %d threads:\n", KIND[k], (int)config.threads);
                    CHECK(same);
                    free(bytes);
                }
                config.threads = 1;
                config.dropout_hidden += 1e-6f;  // the scale of what is kept: the comparison sees the last bits
                unsigned char *bytes = trained(&config, log, NULL, &other_size, &other_losses);
                CHECK(memcmp(bytes, expected, size) != 0);
                free(bytes);
                free(expected);
            }
        }
    }
}

// ---- no allocation, no system call -------------------------------------------------------------------------

// What is done between the two marks; ready to run, and run once before.
typedef struct work {
    int (*prepare)(struct work *w);     // 0: it failed
    void (*repeat)(struct work *w);
    void (*clean)(struct work *w);
    const sessrec_dataset *log;
    sessrec_config config;
    course run;
    sessrec_model *model;
    int prepared;
    void *memory;
    sessrec_session *session;
    sessrec_user *user;
} work;

static int prepare_steps(work *w) {
    w->run = course_begin(&w->config, w->log);
    return course_run(&w->run, 2) > 0;
}
static void repeat_steps(work *w) {
    course_run(&w->run, 20);
}
static void clean_steps(work *w) {
    course_end(&w->run);
}

static void repeat_clicks(work *w) {
    sessrec_query query = sessrec_query_default();
    sessrec_recommendation list[20];
    int32_t count = 0;
    for (int32_t i = 0; i < 30; ++i) {
        if (w->user && i % 5 == 0) {
            sessrec_user_fold(w->user, w->session);
            sessrec_user_begin(w->user, w->session);
        }
        sessrec_session_click(w->session, i * 7 % 300);
        sessrec_session_recommend(w->session, &query, list, &count, NULL);
        const sessrec_request one = {w->session, &query, list, 0, SESSREC_FROM_MODEL, SESSREC_OK};
        sessrec_request both[2] = {one, one};
        sessrec_sessions_recommend(both, 2);
    }
}
static int prepare_clicks(work *w) {
    w->model = random_model(&w->config, w->log, 3);
    if (w->prepared && sessrec_model_prepare(w->model)) return 0;
    const size_t session = sessrec_session_size(w->model, 10), user = sessrec_user_size(w->model);
    w->memory = malloc(session + user);
    if (sessrec_session_init(w->model, 10, w->memory, session, &w->session)) return 0;
    if (user && sessrec_user_init(w->model, (char *)w->memory + session, user, &w->user)) return 0;
    repeat_clicks(w);
    return 1;
}
static void clean_clicks(work *w) {
    sessrec_model_destroy(w->model);
    free(w->memory);
}

static work steps_of(int k, int32_t threads, const sessrec_dataset *log) {
    work w;
    memset(&w, 0, sizeof w);
    w.prepare = prepare_steps;
    w.repeat = repeat_steps;
    w.clean = clean_steps;
    w.config = kind(k);
    w.config.threads = threads;
    w.log = log;
    return w;
}
static work clicks_of(int k, int prepared, const sessrec_dataset *log) {
    work w = steps_of(k, 1, log);
    w.prepare = prepare_clicks;
    w.repeat = repeat_clicks;
    w.clean = clean_clicks;
    w.prepared = prepared;
    return w;
}

// How many times memory was asked for while the work was repeated; -1: it could not be prepared.
static int64_t allocations_of(work w) {
    const int64_t none = allocations;
    int64_t before = -1, after = -2;
    if (w.prepare(&w)) {
        CHECK(allocations > none);  // the counter counts
        before = allocations;
        w.repeat(&w);
        after = allocations;
    }
    w.clean(&w);
    return after - before;
}

static void no_allocation(const sessrec_dataset *log) {
    TEST("a training step of any kind allocates nothing, on one thread and on three") {
        for (int k = 0; k < KINDS; ++k)
            for (int32_t threads = 1; threads <= 3; threads += 2) CHECK_EQ(allocations_of(steps_of(k, threads, log)), 0);
    }
    TEST("a click and its recommendation, alone and with others, allocate nothing, prepared or not, nor does a user who comes and goes") {
        for (int k = 0; k < KINDS; ++k)
            for (int prepared = 0; prepared < 2; ++prepared) CHECK_EQ(allocations_of(clicks_of(k, prepared, log)), 0);
    }
}

#ifdef WATCHED

enum { MARK_BEGIN = 0x5e550001, MARK_END = 0x5e550002, UNPREPARED = 9, NOT_PERMITTED = 77 };

typedef struct calls {
    int marks;                      // seen: 2 if all went well
    int permitted;
    int64_t futex, yield, other;    // between the marks
    int64_t first_other;            // its number
} calls;

static void child_main(work *w) {
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0) _exit(NOT_PERMITTED);
    raise(SIGSTOP);
    if (!w->prepare(w)) _exit(UNPREPARED);
    syscall(SYS_getpgid, MARK_BEGIN);
    w->repeat(w);
    syscall(SYS_getpgid, MARK_END);
    _exit(0);
}

// Number and first argument of the call that a stopped thread begins; 0 if it does not begin one. Laid out as PTRACE_GET_SYSCALL_INFO of Linux 5.3.
static int call_begins(pid_t thread, uint64_t *number, uint64_t *argument) {
    enum { GET_SYSCALL_INFO = 0x420e };
    struct {
        uint8_t op, pad[3];
        uint32_t arch;
        uint64_t ip, sp, number, argument[7];
    } info;
    memset(&info, 0, sizeof info);
    if (ptrace((enum __ptrace_request)GET_SYSCALL_INFO, thread, (void *)sizeof info, &info) <= 0) return -1;
    *number = info.number;
    *argument = info.argument[0];
    return info.op == 1;
}

static void count_call(calls *c, uint64_t number, uint64_t argument) {
    if (number == SYS_getpgid && (argument == MARK_BEGIN || argument == MARK_END)) c->marks++;
    else if (c->marks != 1) return;
    else if (number == SYS_futex) c->futex++;
    else if (number == SYS_sched_yield) c->yield++;
    else if (c->other++ == 0) c->first_other = (int64_t)number;
}

// Runs the work in a child, every thread of which stops at every system call.
static calls calls_of(work w) {
    calls c;
    int status = 0;
    memset(&c, 0, sizeof c);
    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) child_main(&w);
    if (child < 0 || waitpid(child, &status, 0) != child || !WIFSTOPPED(status)) return c;
    const long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL;
    c.permitted = ptrace(PTRACE_SETOPTIONS, child, NULL, (void *)options) == 0;
    if (!c.permitted) kill(child, SIGKILL);
    ptrace(PTRACE_SYSCALL, child, NULL, NULL);
    for (pid_t thread; (thread = waitpid(-1, &status, __WALL)) > 0;) {
        uint64_t number = 0, argument = 0;
        if (!WIFSTOPPED(status)) {
            if (thread == child) break;
            continue;
        }
        const int sig = WSTOPSIG(status), at_call = sig == (SIGTRAP | 0x80);
        const int begins = at_call ? call_begins(thread, &number, &argument) : 0;
        if (begins < 0) {  // an older system
            c.permitted = 0;
            kill(child, SIGKILL);
        }
        if (begins > 0) count_call(&c, number, argument);
        ptrace(PTRACE_SYSCALL, thread, NULL, (void *)(long)(at_call || sig == SIGTRAP || sig == SIGSTOP ? 0 : sig));
    }
    return c;
}

static void repeat_getppid(work *w) {
    w->run.trainer = (sessrec_trainer *)(void *)w;
    (void)getppid();
}
static int prepare_nothing(work *w) {
    return w != NULL;
}

static void check_calls(work w, int threads) {
    const calls c = calls_of(w);
    CHECK_EQ(c.marks, 2);
    if (c.other) printf("        system call number %d\n", (int)c.first_other);
    CHECK_EQ(c.other, 0);
    if (threads == 1) CHECK_EQ(c.futex + c.yield, 0);
}

static void no_system_call(const sessrec_dataset *log) {
    work w = steps_of(0, 1, log);
    w.prepare = prepare_nothing;
    w.repeat = repeat_getppid;
    const calls seen = calls_of(w);
    if (!seen.permitted) {
        SKIP("a training step and a click call the system for nothing", "one process may not watch another here");
        return;
    }
    TEST("a system call is seen") {
        CHECK_EQ(seen.marks, 2);
        CHECK_EQ(seen.other, 1);
        CHECK_EQ(seen.first_other, SYS_getppid);
    }
    TEST("a training step of any kind on one thread makes no system call") {
        for (int k = 0; k < KINDS; ++k) check_calls(steps_of(k, 1, log), 1);
    }
    TEST("on three threads it makes none but those by which threads wait for one another") {
        for (int k = 0; k < KINDS; ++k) check_calls(steps_of(k, 3, log), 3);
    }
    TEST("a click and its recommendation, alone and with others, make no system call, prepared or not, nor does a user who comes and goes") {
        for (int k = 0; k < KINDS; ++k)
            for (int prepared = 0; prepared < 2; ++prepared) check_calls(clicks_of(k, prepared, log), 1);
    }
}
#endif

int main(void) {
    sessrec_dataset *log = visitors();
    same_bits(log);
    no_allocation(log);
#ifdef WATCHED
    no_system_call(log);
#else
    SKIP("a training step and a click call the system for nothing", "there is no ptrace here, or a thread sanitizer");
#endif
    sessrec_dataset_destroy(log);
    return test_report("promises");
}
