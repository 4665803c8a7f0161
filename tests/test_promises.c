// What holds for every published kind of setting: the same bits on every set of kernels with any number of
// threads, and a training step or a click that neither allocates nor calls the system.
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
#define SESSREC_IMPLEMENTATION
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

// ---- the kinds, smaller than published, but with several tasks for every thread ---------------------------

enum { KINDS = 7 };

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
    case 5:                        // the hardest negatives
        c.loss.hardest = 40;
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
static const char *const KIND[KINDS] = {"cross-entropy with samples", "BPR-max",        "no samples",
                                        "a separate embedding",       "one-hot inputs", "hardest negatives",
                                        "HRNN"};

// Returns the sum of the losses of so many mini-batches.
static double run_steps(run *r, int steps) {
    double sum = 0, loss = 0;
    for (int i = 0; i < steps; ++i) {
        sessrec_batch batch;
        sessrec_result result;
        do result = sessrec_batcher_next(r->batcher, &batch);
        while (!result && !batch.rows);
        if (result || sessrec_trainer_step(r->trainer, &batch, &loss, NULL)) return -1;
        sum += loss;
    }
    return sum;
}

// ---- the same bits ----------------------------------------------------------------------------------------

// The model after eight mini-batches, and the losses.
static image trained(const sessrec_config *config, const sessrec_log *log, const sessrec__kernels *kernels,
                     double *losses) {
    run r;
    CHECK(run_begin(&r, config, log));
    if (kernels) r.trainer->kernels = r.trainer->model->kernels = kernels;
    *losses = run_steps(&r, 8);
    CHECK(*losses > 0);
    const image model = model_bytes(model_of(r.trainer));
    run_end(&r);
    return model;
}

static void same_bits(const sessrec_log *log) {
    for (int level = 0; level < KERNELS_LEVELS; ++level) {
        char name[120];
        snprintf(name, sizeof name,
                 "%s gives the bits of plain C on one thread, with 1, 2, 3 and 4 threads, for every kind",
                 KERNELS_NAME[level]);
        TEST(name) {
            if (!kernels_of(level)) {
                SKIP(KERNELS_NAME[level], "this processor or build does not have it");
                continue;
            }
            for (int k = 0; k < KINDS; ++k) {
                double losses, other_losses;
                sessrec_config config = kind(k);
                const image expected = trained(&config, log, kernels_of(0), &losses);
                for (config.threads = 1; config.threads <= 4; ++config.threads) {
                    const image other = trained(&config, log, kernels_of(level), &other_losses);
                    const int same =
                        same_bytes(&other, &expected) && !memcmp(&losses, &other_losses, sizeof losses);
                    if (!same) printf("        %s, %d threads:\n", KIND[k], (int)config.threads);
                    CHECK(same);
                    free(other.data);
                }
                config.threads = 1;
                // the scale of what is kept: the comparison sees the last bits
                config.dropout_hidden += 1e-6f;
                const image other = trained(&config, log, NULL, &other_losses);
                CHECK(!same_bytes(&other, &expected));
                free(other.data);
                free(expected.data);
            }
        }
    }
}

// ---- no allocation, no system call ------------------------------------------------------------------------

// What is done between the two marks; ready to run, and run once before.
typedef struct work {
    int (*prepare)(struct work *w);     // 0: it failed
    void (*repeat)(struct work *w);
    void (*clean)(struct work *w);
    const sessrec_log *log;
    sessrec_config config;
    run training;
    sessrec_model *model;
    int prepared;
    void *memory;
    sessrec_session *session;
    sessrec_user *user;
} work;

static int prepare_steps(work *w) {
    return run_begin(&w->training, &w->config, w->log) && run_steps(&w->training, 2) > 0;
}
static void repeat_steps(work *w) {
    run_steps(&w->training, 20);
}
static void clean_steps(work *w) {
    run_end(&w->training);
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
        sessrec_sessions_recommend(w->session->scratch, both, 2);
    }
}
static int prepare_clicks(work *w) {
    w->model = random_model(&w->config, w->log, 3);
    if (w->prepared && sessrec_model_prepare(w->model)) return 0;
    const size_t session = sessrec_session_size(w->model, 10), user = sessrec_user_size(w->model);
    w->memory = malloc(session + user);
    if (sessrec_session_init(w->model, 10, w->memory, session, &w->session, NULL)) return 0;
    if (user && sessrec_user_init(w->model, (char *)w->memory + session, user, &w->user, NULL)) return 0;
    repeat_clicks(w);
    return 1;
}
static void clean_clicks(work *w) {
    sessrec_model_destroy(w->model);
    free(w->memory);
}

static work steps_of(int k, int32_t threads, const sessrec_log *log) {
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
static work clicks_of(int k, int prepared, const sessrec_log *log) {
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

static void no_allocation(const sessrec_log *log) {
    TEST("a training step of any kind allocates nothing, on one thread and on three") {
        for (int k = 0; k < KINDS; ++k)
            for (int32_t threads = 1; threads <= 3; threads += 2)
                CHECK_EQ(allocations_of(steps_of(k, threads, log)), 0);
    }
    TEST("a click and its recommendation, alone and with others, allocate nothing, prepared or not, nor does "
         "a user who comes and goes") {
        for (int k = 0; k < KINDS; ++k)
            for (int prepared = 0; prepared < 2; ++prepared)
                CHECK_EQ(allocations_of(clicks_of(k, prepared, log)), 0);
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
    const struct timespec moment = {0, 100000000};  // threads make calls while they start
    nanosleep(&moment, NULL);
    syscall(SYS_getpgid, MARK_BEGIN);
    w->repeat(w);
    syscall(SYS_getpgid, MARK_END);
    _exit(0);
}

// Number and first argument of the call that a stopped thread begins; 0 if it does not begin one. Laid out as
// PTRACE_GET_SYSCALL_INFO of Linux 5.3.
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

// Whether a thread makes this call when it starts; on a busy machine that may be late.
static int begins_thread(uint64_t number) {
#ifdef SYS_rseq
    if (number == SYS_rseq) return 1;
#endif
    return number == SYS_set_robust_list || number == SYS_rt_sigprocmask;
}

static void count_call(calls *c, uint64_t number, uint64_t argument) {
    if (number == SYS_getpgid && (argument == MARK_BEGIN || argument == MARK_END)) c->marks++;
    else if (c->marks != 1) return;
    else if (number == SYS_futex) c->futex++;
    else if (number == SYS_sched_yield) c->yield++;
    else if (begins_thread(number)) return;
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
        ptrace(PTRACE_SYSCALL, thread, NULL,
               (void *)(long)(at_call || sig == SIGTRAP || sig == SIGSTOP ? 0 : sig));
    }
    return c;
}

static void repeat_getppid(work *w) {
    w->training.trainer = (sessrec_trainer *)(void *)w;
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

static void no_system_call(const sessrec_log *log) {
    work w = steps_of(0, 1, log);
    w.prepare = prepare_nothing;
    w.repeat = repeat_getppid;
    const calls seen = calls_of(w);
    if (!seen.permitted) {
        SKIP("a training step and a click call the system for nothing",
             "one process may not watch another here");
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
    TEST("a click and its recommendation, alone and with others, make no system call, prepared or not, nor "
         "does a user who comes and goes") {
        for (int k = 0; k < KINDS; ++k)
            for (int prepared = 0; prepared < 2; ++prepared) check_calls(clicks_of(k, prepared, log), 1);
    }
}
#endif

int main(void) {
    sessrec_log *log = users_log(600, 400, 7);
    same_bits(log);
    no_allocation(log);
#ifdef WATCHED
    no_system_call(log);
#else
    SKIP("a training step and a click call the system for nothing",
         "there is no ptrace here, or a thread sanitizer");
#endif
    sessrec_log_destroy(log);
    return test_report("promises");
}
