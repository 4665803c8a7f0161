// hrnn - what it brings to know the visitor: the experiment of Quadrana, Karatzoglou, Hidasi, Cremonesi
// (RecSys 2017) on one log.
//
//     hrnn --list                     the settings: log, name, what it is
//     hrnn LOG [OPTION ...]           all settings of a log; lines of log, name, seed, group, events,
//     Recall@5, MRR@5, Precision@5, seconds
//
//     --data FILE     the log globo, as tab-separated text
//     --seeds N       seeds 1..N of what has a seed; 5 unless given
//     --only NAMES    these settings, separated by commas
//     --validate      train without the last session of each user and test on the one before; made-up shops:
//                     another shop instead
//     KEY=VALUE       loss=xe|top1, negatives, batch, lr, momentum, hidden, user, init (these three:
//                     dropout), epochs, onehot, logq: changes the settings, to search for better ones
//
// Each user's last session is the test, whatever came before it is training and history. The logs "tastes"
// and "no-tastes" are made up (shop.h) and differ in one number: whether a visit's taste is the visitor's own
// or any. For them the best that is possible is printed too, with and without knowing the visitor.
// bench/hrnn.sh runs all, and writes the tables and figures.

#define SESSREC_IMPLEMENTATION
#include "../examples/experiment.h"
#include "../examples/shop.h"

#include <time.h>

typedef enum kind { POP, PPOP, ITEM_KNN, RNN, CONCAT, INIT, ALL } kind;

typedef struct setting {
    const char *log, *name, *what;
    kind model;
    sessrec_loss_kind loss;
    int32_t negatives, batch;
    float learning_rate, momentum, hidden, user, init;  // the last three: dropout
    int32_t epochs, one_hot;
    float logq;
} setting;

#define XE SESSREC_LOSS_XE
#define TOP1 SESSREC_LOSS_TOP1

static const setting settings[] = {
    // log     name         what          model     loss    n    B  lr   mom  dropout: hidden, user, init
    //         epochs one-hot logq
    {"tastes", "pop", "POP", POP, XE, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
    {"tastes", "ppop", "PPOP", PPOP, XE, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
    {"tastes", "itemknn", "Item-KNN", ITEM_KNN, XE, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
    {"tastes", "rnn", "RNN", RNN, XE, 256, 50, .06f, 0, 0, 0, 0, 5, 0, 1},
    {"tastes", "concat", "RNN Concat", CONCAT, XE, 256, 50, .03f, 0, 0, 0, 0, 5, 0, 1},
    {"tastes", "init", "HRNN Init", INIT, XE, 256, 50, .06f, 0, 0, .2f, .2f, 5, 0, 1},
    {"tastes", "all", "HRNN All", ALL, XE, 256, 50, .06f, 0, .3f, 0, 0, 5, 0, 1},
    {"globo", "pop", "POP", POP, XE, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
    {"globo", "ppop", "PPOP", PPOP, XE, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
    {"globo", "itemknn", "Item-KNN", ITEM_KNN, XE, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0},
    {"globo", "rnn", "RNN", RNN, TOP1, 0, 100, .02f, 0, .5f, 0, 0, 10, 1, 0},
    {"globo", "concat", "RNN Concat", CONCAT, TOP1, 0, 100, .05f, 0, .2f, 0, 0, 10, 1, 0},
    {"globo", "init", "HRNN Init", INIT, TOP1, 0, 100, .02f, 0, .2f, 0, 0, 10, 1, 0},
    {"globo", "all", "HRNN All", ALL, TOP1, 0, 100, .02f, 0, .2f, 0, 0, 10, 1, 0},
    {"globo", "rnn-xe", "RNN", RNN, XE, 512, 100, .1f, 0, .4f, 0, 0, 5, 1, 1},
    {"globo", "concat-xe", "RNN Concat", CONCAT, XE, 512, 100, .1f, 0, .2f, 0, 0, 5, 1, 1},
    {"globo", "init-xe", "HRNN Init", INIT, XE, 512, 100, .1f, 0, .2f, 0, 0, 5, 1, 1},
    {"globo", "all-xe", "HRNN All", ALL, XE, 512, 100, .1f, 0, .4f, 0, 0, 5, 1, 1},
};
#define SETTINGS ((int)(sizeof settings / sizeof settings[0]))

static sessrec_config config_of(const setting *s, uint64_t seed) {
    sessrec_config c = sessrec_config_default();
    if (s->one_hot) c.embedding = SESSREC_EMBEDDING_NONE;
    if (s->loss == TOP1) c.loss.activation = SESSREC_TANH;
    c.loss.kind = s->loss;
    c.loss.logq = s->logq;
    c.loss.skip_own_target = 0;  // as in the paper
    c.negatives = s->negatives;
    c.batch_size = s->batch;
    c.optimizer.learning_rate = s->learning_rate;
    c.optimizer.momentum = s->momentum;
    c.dropout_hidden = s->hidden;
    c.epochs = s->epochs;
    c.seed = seed;
    c.threads = 1;
    if (s->model != INIT && s->model != ALL) return c;
    c.user_hidden = c.hidden[0];
    c.user_mode = s->model == INIT ? SESSREC_USER_INIT : SESSREC_USER_ALL;
    c.dropout_user = s->user;
    c.dropout_init = s->init;
    return c;
}

// One thread computes: its time, not that of others on the machine.
static double cpu_seconds(void) {
    return (double)clock() / CLOCKS_PER_SEC;
}

// ---- logs ----

typedef struct corpus {
    sessrec_log *train, *joined, *test;  // joined: all sessions of a user as one
    shop plan;      // of a made-up log
    int made_up;
} corpus;

static sessrec_result add_session(const sessrec_log *log, int32_t session, const char *as, sessrec_log *to) {
    const sessrec_log_view view = sessrec_log_contents(log);
    const char *user = sessrec_log_user_id(log, view.session_users[session]);
    sessrec_result result = SESSREC_OK;
    // a log is in the order of time already
    for (int64_t i = view.session_begins[session]; !result && i < view.session_begins[session + 1]; ++i)
        result = sessrec_log_add(to, user, as ? as : user, sessrec_log_item_id(log, view.items[i]),
                                 (double)(as ? view.times[i] : (double)i));
    return result;
}

// The sessions of the users who have so many of them, or with `join` all users, each with one session.
static sessrec_result copy_users(const sessrec_log *log, int32_t least, int join, sessrec_log **out,
                                 sessrec_error *err) {
    const sessrec_log_view view = sessrec_log_contents(log);
    int32_t *sessions = (int32_t *)calloc((size_t)view.user_count + 1, sizeof *sessions);
    sessrec_result result = sessions ? sessrec_log_create(NULL, out, NULL) : SESSREC_OUT_OF_MEMORY;
    for (int32_t s = 0; !result && s < view.session_count; ++s) ++sessions[view.session_users[s]];
    for (int32_t s = 0; !result && s < view.session_count; ++s)
        if (sessions[view.session_users[s]] >= least)
            result = add_session(log, s, join ? NULL : sessrec_log_session_id(log, s), *out);
    free(sessions);
    return result ? sessrec_error_set(err, result, NULL) : sessrec_log_finish(*out, err);
}

static const char *const made_up[] = {"tastes", "no-tastes"};

static sessrec_result make_log(const char *name, const char *path, int validate, corpus *c, sessrec_log **log,
                               sessrec_error *err) {
    c->made_up = strcmp(name, "globo") != 0;
    if (c->made_up) {
        c->plan = shop_with_users();
        if (!strcmp(name, made_up[1])) c->plan.lasting = 0;
        if (validate) c->plan.seed += 1000;
        return shop_log(c->plan, log, err);
    }
    sessrec_log *clicks = NULL;
    sessrec_filter no_single_clicks = sessrec_filter_default();
    no_single_clicks.min_length = 2;
    sessrec_result result = sessrec_log_read(path, NULL, &clicks, err);
    if (!result) result = sessrec_log_filter(clicks, &no_single_clicks, err);
    if (!result) result = copy_users(clicks, 5, 0, log, err);
    sessrec_log_destroy(clicks);
    return result;
}

// Items of a real log need five clicks in training.
static sessrec_result split(sessrec_log *log, int validate, corpus *c, sessrec_error *err) {
    sessrec_filter train = sessrec_filter_default(), test = sessrec_filter_default();
    sessrec_log *shorter = NULL, *last = NULL;
    train.min_length = test.min_length = 2;
    if (!c->made_up) train.min_support = 5;
    sessrec_result result = SESSREC_OK;
    if (validate && !c->made_up) result = sessrec_log_split_last_session(log, &shorter, &last, err);
    if (!result) result = sessrec_log_split_last_session(shorter ? shorter : log, &c->train, &c->test, err);
    if (!result) result = sessrec_log_filter(c->train, &train, err);
    if (!result) result = sessrec_log_keep_items(c->test, c->train, err);
    if (!result) result = sessrec_log_filter(c->test, &test, err);
    sessrec_log_destroy(shorter);
    sessrec_log_destroy(last);
    return result ? result : copy_users(c->train, 0, 1, &c->joined, err);
}

// ---- RNN Concat: a user's sessions are one, so a session begins with the state that the one before it has
// left ----

static void concat_begin_user(const void *self, void *user) {
    const sessrec_scorer *rnn = (const sessrec_scorer *)self;
    rnn->begin(rnn->self, user, NULL, 0);
}
static void concat_begin(const void *self, void *state, const void *user, double time) {
    (void)time;
    memcpy(state, user, ((const sessrec_scorer *)self)->state_bytes);
}
static void concat_end(const void *self, const void *state, void *user, void *scratch) {
    (void)scratch;
    memcpy(user, state, ((const sessrec_scorer *)self)->state_bytes);
}
static size_t concat_scratch(const void *self, int32_t rows) {
    const sessrec_scorer *rnn = (const sessrec_scorer *)self;
    return rnn->scratch_bytes ? rnn->scratch_bytes(rnn->self, rows) : 0;
}
static int32_t concat_find(const void *self, const char *id) {
    const sessrec_scorer *rnn = (const sessrec_scorer *)self;
    return rnn->find_item(rnn->self, id);
}
static void concat_click(const void *self, int32_t rows, void *states, const int32_t *items,
                         const double *times, void *scratch) {
    const sessrec_scorer *rnn = (const sessrec_scorer *)self;
    rnn->click(rnn->self, rows, states, items, times, scratch);
}
static void concat_score(const void *self, int32_t rows, const void *states, int32_t first, int32_t count,
                         float *scores, void *scratch) {
    const sessrec_scorer *rnn = (const sessrec_scorer *)self;
    rnn->score(rnn->self, rows, states, first, count, scores, scratch);
}

static sessrec_scorer concat_scorer(sessrec_scorer *rnn) {
    sessrec_scorer s = *rnn;
    s.self = rnn;
    s.scratch_bytes = concat_scratch;
    s.find_item = concat_find;
    s.begin = concat_begin;
    s.click = concat_click;
    s.score = concat_score;
    s.destroy = NULL;
    s.user_bytes = rnn->state_bytes;
    s.begin_user = concat_begin_user;
    s.end = concat_end;
    return s;
}

// ---- the tables ----

static const int32_t cutoff[] = {5};
enum { GROUPS = 22 };
static const char *const group_names[GROUPS] = {
    "all", "history 1-6", "history 7-", "position 1-2", "position 3-4", "position 5-", "h 1",   "h 2",
    "h 3", "h 4",         "h 5",        "h 6",          "h 7-8",        "h 9-12",      "h 13-", "p 1",
    "p 2", "p 3",         "p 4",        "p 5",          "p 6",          "p 7-"};

typedef struct table {
    sessrec_metrics group[GROUPS];
    double expected;    // of the best possible: the sum of the Recall@5 that was to be expected
    double *gain;       // [events] reciprocal ranks up to rank 5, added up over the seeds; may be NULL
} table;

static void count_event(table *t, double rank, int32_t history, int32_t position) {
    static const int32_t place[] = {0, 0, 1, 2, 3, 4, 5, 6, 6, 7, 7, 7, 7, 8};
    const int32_t h = 6 + place[history < 13 ? history : 13], p = 15 + (position < 6 ? position : 6);
    const int32_t in[5] = {0, history <= 6 ? 1 : 2, position < 2 ? 3 : position < 4 ? 4 : 5, h, p};
    if (t->gain) t->gain[t->group[0].event_count] += rank <= cutoff[0] ? 1 / rank : 0;
    for (int i = 0; i < 5; ++i) sessrec_metrics_add(&t->group[in[i]], rank, 1, cutoff);
}

static void on_event(void *user, const sessrec_event *event) {
    count_event((table *)user, event->rank, event->history, event->position);
}

static void print_table(const char *log, const char *name, int seed, const table *t, double seconds) {
    for (int g = 0; g < GROUPS; ++g) {
        const sessrec_metrics *m = &t->group[g];
        const double n = m->event_count ? (double)m->event_count : 1;
        printf("%s\t%s\t%d\t%s\t%lld\t%.5f\t%.5f\t%.5f\t%.1f\n", log, name, seed, group_names[g],
               (long long)m->event_count, m->recall[0] / n, m->mrr[0] / n, m->precision[0] / n, seconds);
    }
    fflush(stdout);
}

static sessrec_result item_knn(const sessrec_log *log, sessrec_scorer *out) {
    sessrec_rules_config config = sessrec_rules_config_default();
    config.kind = SESSREC_RULES_ITEMKNN;
    return sessrec_rules_create(&config, log, out, NULL);
}

static sessrec_result make_scorer(const setting *s, const corpus *c, uint64_t seed, sessrec_model **model,
                                  sessrec_scorer *out, sessrec_error *err) {
    if (s->model == POP) return sessrec_scorer_pop(c->train, NULL, out, NULL);
    if (s->model == PPOP) return experiment_ppop(c->train, out, NULL);
    if (s->model == ITEM_KNN)
        return item_knn(c->train, out);
    const sessrec_config config = config_of(s, seed);
    const sessrec_result result =
        sessrec_train(&config, s->model == CONCAT ? c->joined : c->train, NULL, model, err);
    return result ? result : sessrec_scorer_model(*model, NULL, out, NULL);
}

static sessrec_result measure(const setting *s, const corpus *c, uint64_t seed, table *t,
                              sessrec_error *err) {
    sessrec_eval_config eval = sessrec_eval_config_default();
    sessrec_model *model = NULL;
    sessrec_scorer scorer;
    sessrec_report report;
    memset(&scorer, 0, sizeof scorer);
    eval.history = c->train;
    eval.threads = 1;
    eval.on_event = on_event;
    eval.on_event_user = t;
    sessrec_result result = make_scorer(s, c, seed, &model, &scorer, err);
    const sessrec_scorer used = !result && s->model == CONCAT ? concat_scorer(&scorer) : scorer;
    if (!result) result = sessrec_evaluate_scorer(&used, c->test, &eval, &report, err);
    sessrec_scorer_destroy(&scorer);
    sessrec_model_destroy(model);
    return result;
}

// ---- the best possible ----

// Sessions of each user of a made-up shop in training, to count [users].
static void count_history(const corpus *c, int32_t *count) {
    const sessrec_log_view view = sessrec_log_contents(c->train);
    for (int32_t s = 0; s < view.session_count; ++s)
        ++count[atoi(sessrec_log_user_id(c->train, view.session_users[s]) + strlen("visitor-")) - 1];
}

// Ranks the next click by the shop's own probabilities p, which are used up.
static void best_event(const corpus *c, double *p, int32_t next, int32_t history, int32_t position,
                       table *t) {
    int64_t higher = 0, equal = -1;
    for (int32_t i = 0; i < c->plan.items; ++i) {
        higher += p[i] > p[next];
        equal += !(p[i] > p[next]) && !(p[i] < p[next]);
    }
    count_event(t, sessrec_rank(higher, equal, SESSREC_TIES_CONSERVATIVE), history, position);
    t->expected += shop_best(&c->plan, cutoff[0], p);
}

// All test events; with `known` for one who knows the visitor.
static int best_possible(const char *log, const corpus *c, int known) {
    const sessrec_log_view view = sessrec_log_contents(c->test);
    double *p = (double *)malloc((size_t)c->plan.items * sizeof *p);
    int32_t *history = (int32_t *)calloc((size_t)c->plan.users, sizeof *history);
    table t;
    memset(&t, 0, sizeof t);
    if (history) count_history(c, history);
    for (int32_t s = 0; p && history && s < view.session_count; ++s) {
        int32_t clicks[SHOP_LONGEST], taste,
            visit = atoi(sessrec_log_session_id(c->test, s) + strlen("visit-")) - 1;
        const int32_t count = shop_visit(&c->plan, visit, clicks),
                      user = shop_visitor(&c->plan, visit, &taste);
        for (int32_t i = 1; i < count; ++i) {
            shop_expect(&c->plan, known ? user : -1, i, clicks, p);
            best_event(c, p, clicks[i], history[user], i - 1, &t);
        }
    }
    print_table(log, known ? "best-known" : "best", 1, &t, 0);
    const double events = (double)t.group[0].event_count;
    printf("# %s: best possible Recall@5, visitor %s: expected %.4f, got %.4f\n", log,
           known ? "known" : "not known", t.expected / events, t.group[0].recall[0] / events);
    free(history);
    free(p);
    return p && history ? 0 : 1;
}

// ---- options ----

typedef struct options {
    const char *log, *data, *only;
    int seeds, validate;
    int change[16], changes;    // arguments KEY=VALUE
} options;

static int change(setting *s, const char *text) {
    const char *value = strchr(text, '=');
    const size_t n = value ? (size_t)(value - text) : 0;
    const struct { const char *key; float *number; int32_t *whole;
    } keys[] = {{"lr", &s->learning_rate, NULL},    {"momentum", &s->momentum, NULL},
                {"hidden", &s->hidden, NULL},       {"user", &s->user, NULL},
                {"init", &s->init, NULL},           {"logq", &s->logq, NULL},
                {"negatives", NULL, &s->negatives}, {"batch", NULL, &s->batch},
                {"epochs", NULL, &s->epochs},       {"onehot", NULL, &s->one_hot}};
    if (n == 4 && !strncmp(text, "loss", n)) {
        s->loss = strcmp(value + 1, "top1") ? XE : TOP1;
        return 1;
    }
    for (size_t k = 0; value && k < sizeof keys / sizeof keys[0]; ++k) {
        if (strlen(keys[k].key) != n || strncmp(text, keys[k].key, n)) continue;
        if (keys[k].number) *keys[k].number = (float)atof(value + 1);
        else *keys[k].whole = atoi(value + 1);
        return 1;
    }
    return 0;
}

static int read_options(int argc, char **argv, options *o) {
    setting scratch = settings[0];
    memset(o, 0, sizeof *o);
    o->seeds = 5;
    o->log = argc > 1 ? argv[1] : "";
    for (int i = 2; i < argc; ++i) {
        if (!strcmp(argv[i], "--validate")) o->validate = 1;
        else if (o->changes < 16 && change(&scratch, argv[i])) o->change[o->changes++] = i;
        else if (i + 1 == argc) return 0;
        else if (!strcmp(argv[i], "--data")) o->data = argv[++i];
        else if (!strcmp(argv[i], "--seeds")) o->seeds = atoi(argv[++i]);
        else if (!strcmp(argv[i], "--only")) o->only = argv[++i];
        else return 0;
    }
    return !strcmp(o->log, made_up[0]) || !strcmp(o->log, made_up[1]) ||
           (!strcmp(o->log, "globo") && o->data);
}

static void list_settings(void) {
    for (int i = 0; i < SETTINGS; ++i) {
        const setting *s = &settings[i];
        printf("%s\t%s\t%s\t%d", s->log, s->name, s->what, (int)s->model);
        if (s->epochs) {
            printf("\t%s, %s, ", s->loss == XE ? "cross-entropy" : "TOP1 tanh",
                   s->one_hot ? "one-hot input" : "tied embedding");
            printf("L=100, B=%d, n=%d, ", (int)s->batch, (int)s->negatives);
            if (s->loss == XE) printf("logQ %g, ", (double)s->logq);
            printf("lr %g, momentum %g, %d epochs, dropout hidden %g", (double)s->learning_rate,
                   (double)s->momentum, (int)s->epochs, (double)s->hidden);
            if (s->model == INIT || s->model == ALL)
                printf(", user %g, init %g", (double)s->user, (double)s->init);
        }
        printf("\n");
    }
}

static sessrec_result run_setting(setting s, const options *o, char **argv, const corpus *c, double *gain,
                                  sessrec_error *err) {
    const int seeds = s.epochs ? o->seeds : 1;
    sessrec_result result = SESSREC_OK;
    for (int i = 0; i < o->changes; ++i) change(&s, argv[o->change[i]]);
    for (int seed = 1; !result && seed <= seeds; ++seed) {
        const double begin = cpu_seconds();
        table t;
        memset(&t, 0, sizeof t);
        t.gain = gain;
        result = measure(&s, c, (uint64_t)seed, &t, err);
        if (!result) print_table(o->log, s.name, seed, &t, cpu_seconds() - begin);
    }
    return result;
}

static int listed(const char *names, const char *name) {
    const size_t n = strlen(name);
    for (const char *at = names; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
        if (!strncmp(at, name, n) && (!at[n] || at[n] == ',')) return 1;
    return 0;
}

// Runs the settings of the log; compares each with the plain RNN that is listed last before it.
static sessrec_result run_log(const options *o, char **argv, const corpus *c, sessrec_error *err) {
    const sessrec_log_view test = sessrec_log_contents(c->test);
    const int64_t events = test.event_count - test.session_count;
    int rnn = 0;
    double *of_rnn = (double *)calloc((size_t)events * 2, sizeof *of_rnn), *gain = of_rnn + events;
    sessrec_result result = of_rnn ? SESSREC_OK : sessrec_error_set(err, SESSREC_OUT_OF_MEMORY, NULL);
    for (int i = 0; !result && i < SETTINGS; ++i) {
        const setting *s = &settings[i];
        if (strcmp(s->log, c->made_up ? made_up[0] : o->log) || (o->only && !listed(o->only, s->name)))
            continue;
        double *mine = s->model == RNN ? of_rnn : gain;
        rnn |= s->model == RNN;
        memset(mine, 0, (size_t)events * sizeof *mine);
        result = run_setting(*s, o, argv, c, mine, err);
        if (result || s->model < CONCAT || !rnn) continue;
        experiment_signed_ranks test_of;
        result = experiment_wilcoxon(mine, of_rnn, events, &test_of);
        printf("%s\t%s\t0\twilcoxon\t%lld\t%.2f\t%.2g\n", o->log, s->name, (long long)test_of.used, test_of.z,
               test_of.p);
    }
    free(of_rnn);
    return result;
}

int main(int argc, char **argv) {
    options o;
    if (argc == 2 && !strcmp(argv[1], "--list")) {
        list_settings();
        return 0;
    }
    if (!read_options(argc, argv, &o)) {
        fprintf(stderr, "hrnn --list, or hrnn tastes|no-tastes|globo [--data FILE] [--seeds N] [--only NAME] "
                        "[--validate] [KEY=VALUE ...]\n");
        return 2;
    }
    corpus c;
    sessrec_log *log = NULL;
    sessrec_error error;
    memset(&c, 0, sizeof c);
    memset(&error, 0, sizeof error);
    sessrec_result result = make_log(o.log, o.data, o.validate, &c, &log, &error);
    if (!result) result = split(log, o.validate, &c, &error);
    const sessrec_log_view view = sessrec_log_contents(c.train), test = sessrec_log_contents(c.test);
    if (!result) {
        printf("# %s: training %lld events, %d sessions, %d users, %d items; ", o.log,
               (long long)view.event_count, (int)view.session_count, (int)view.user_count,
               (int)view.item_count);
        printf("test %lld events, %d sessions\n", (long long)test.event_count, (int)test.session_count);
    }
    for (int known = 0; !result && c.made_up && !o.only && known < 2; ++known)
        if (best_possible(o.log, &c, known)) result = SESSREC_OUT_OF_MEMORY;
    if (!result) result = run_log(&o, argv, &c, &error);
    if (result) fprintf(stderr, "hrnn: %s: %s\n", sessrec_result_text(result), error.text);
    sessrec_log_destroy(log);
    sessrec_log_destroy(c.train);
    sessrec_log_destroy(c.joined);
    sessrec_log_destroy(c.test);
    return result ? 1 : 0;
}
