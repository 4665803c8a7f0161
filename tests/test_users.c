// Users: whose sessions a mini-batch takes, that their states never mix, and that a state survives as bytes.
#include "../examples/experiment.h"
#include "models.h"

enum { USERS = 9, ITEMS = 40, STATE_MAX = 256 };

// CRC-32C as its definition has it, bit by bit.
static uint32_t crc32c(const unsigned char *bytes, size_t size) {
    uint32_t sum = 0xffffffffu;
    for (size_t i = 0; i < size; ++i) {
        sum ^= bytes[i];
        for (int bit = 0; bit < 8; ++bit) sum = sum >> 1 ^ (sum & 1 ? 0x82f63b78u : 0);
    }
    return ~sum;
}

typedef struct visit {
    int32_t user, length;
} visit;

// Sessions of the given users and lengths, in this order of time, on random items; only those of one user if
// `only` is not -1. The seed is of the whole: what a user does is the same with and without the others.
static sessrec_log *log_of(int32_t sessions, const visit *v, int32_t items, int32_t only, uint32_t seed) {
    sessrec_log *log = NULL;
    int failures = sessrec_log_create(NULL, &log, NULL) != SESSREC_OK;
    for (int32_t s = 0; s < sessions; ++s)
        for (int32_t i = 0; i < v[s].length; ++i) {
            const int32_t item = random_below(&seed, items);
            if (only >= 0 && v[s].user != only) continue;
            failures += sessrec_log_add_numbers(log, v[s].user, 1000 + s, item, 100.0 * s + i) != SESSREC_OK;
        }
    failures += sessrec_log_finish(log, NULL) != SESSREC_OK;
    CHECK_EQ(failures, 0);
    return log;
}

static int32_t random_visits(uint32_t *seed, int32_t most_sessions, int32_t users, visit *v) {
    const int32_t sessions = 1 + random_below(seed, most_sessions);
    for (int32_t s = 0; s < sessions; ++s) {
        v[s].user = random_below(seed, users);
        v[s].length = 1 + random_below(seed, 5);
    }
    v[random_below(seed, sessions)].length += 1;  // a pair at least
    return sessions;
}

// ---- user-parallel mini-batches ---------------------------------------------------------------------------

enum { MOST_SESSIONS = 24, MOST_SLOTS = 6 };

// How often each promise was broken.
typedef struct broken {
    int64_t pair;       // a row that is not its user's next pair
    int64_t twice;      // a user in two rows of one mini-batch
    int64_t start;      // session_starts or user_starts where it is not the first pair, or missing where it
                        // is
    int64_t previous;   // previous_rows that is another user's row
    int64_t rows;       // a slot that is empty while a user waits
    int64_t lost;       // pairs that did not come
    int64_t counts;     // steps or pairs are not what was announced
} broken;

static int64_t sum_of(const broken *b) {
    return b->pair + b->twice + b->start + b->previous + b->rows + b->lost + b->counts;
}

// Where every user stands: the event that is his next input, and how many pairs he has had.
typedef struct walk {
    sessrec_log_view log;
    int64_t next[USERS], taken[USERS];
    int32_t row_user[MOST_SLOTS], rows;
} walk;

// The user's first pair at or after an event; -1 if there is none.
static int64_t pair_from(const sessrec_log_view *log, int32_t user, int64_t event) {
    for (int32_t s = 0; s < log->session_count; ++s)
        for (int64_t at = log->session_begins[s]; at + 1 < log->session_begins[s + 1]; ++at)
            if (log->session_users[s] == user && at >= event) return at;
    return -1;
}

static void look_at_row(walk *w, const sessrec_batch *batch, int32_t row, broken *b) {
    const int32_t s = batch->sessions[row], user = w->log.session_users[s];
    const int64_t at = w->next[user];
    for (int32_t other = 0; other < row; ++other)
        b->twice += w->log.session_users[batch->sessions[other]] == user;
    if (at < 0 || at < w->log.session_begins[s] || at + 1 >= w->log.session_begins[s + 1] ||
        batch->inputs[row] != w->log.items[at] || batch->targets[row] != w->log.items[at + 1]) {
        b->pair++;
        return;
    }
    b->start += batch->session_starts[row] != (at == w->log.session_begins[s]) ||
                batch->user_starts[row] != (w->taken[user] == 0);
    if (!batch->user_starts[row])
        b->previous += batch->previous_rows[row] < 0 || batch->previous_rows[row] >= w->rows ||
                       w->row_user[batch->previous_rows[row]] != user;
    b->previous += row > 0 && batch->previous_rows[row] <= batch->previous_rows[row - 1];
    w->next[user] = pair_from(&w->log, user, at + 1);
    w->taken[user]++;
}

// `announced`: whether the number of mini-batches is; where users are shuffled only that of the first epoch
// is.
static broken walk_epoch(sessrec_batcher *batcher, const sessrec_log *log, int32_t slots, int announced) {
    broken b;
    walk w;
    sessrec_batch batch;
    int64_t steps = 0, pairs = 0;
    memset(&b, 0, sizeof b);
    memset(&w, 0, sizeof w);
    w.log = sessrec_log_contents(log);
    for (int32_t u = 0; u < w.log.user_count; ++u) w.next[u] = pair_from(&w.log, u, 0);
    while (!sessrec_batcher_next(batcher, &batch) && batch.rows) {
        int32_t waiting = 0;
        for (int32_t u = 0; u < w.log.user_count; ++u) waiting += w.next[u] >= 0;
        b.rows += batch.rows != (waiting < slots ? waiting : slots);
        for (int32_t i = 0; i < batch.rows; ++i) look_at_row(&w, &batch, i, &b);
        for (int32_t i = 0; i < batch.rows; ++i) w.row_user[i] = w.log.session_users[batch.sessions[i]];
        w.rows = batch.rows;
        pairs += batch.rows;
        ++steps;
    }
    for (int32_t u = 0; u < w.log.user_count; ++u) b.lost += w.next[u] >= 0;
    b.counts +=
        (announced && steps != sessrec_batcher_steps(batcher)) || pairs != sessrec_batcher_pairs(batcher);
    return b;
}

static sessrec_config batches_of(int32_t slots, int shuffled) {
    sessrec_config config = sessrec_config_default();
    config.batch_size = slots;
    config.negatives = 1;  // of the caller; without any, one user alone is refused
    config.user_hidden = 3;
    config.shuffle_sessions = shuffled;
    return config;
}

static void batches(void) {
    TEST("every pair of every user comes exactly once an epoch, whatever the log, the number of slots and "
         "the order of the users") {
        uint32_t random = 521288629u;
        broken total;
        int64_t mini_batches = 0;
        memset(&total, 0, sizeof total);
        for (int n = 0; n < 600; ++n) {
            visit v[MOST_SESSIONS];
            sessrec_log *log =
                log_of(random_visits(&random, MOST_SESSIONS, USERS, v), v, 7, -1, random_bits(&random));
            for (int32_t slots = 1; slots <= MOST_SLOTS; ++slots) {
                sessrec_config config = batches_of(slots, n % 2);
                sessrec_batcher *batcher = NULL;
                total.counts += sessrec_batcher_create(&config, log, NULL, &batcher, NULL) !=
                                (sessrec_log_contents(log).item_count > 1 ? SESSREC_OK : SESSREC_NO_DATA);
                mini_batches += sessrec_batcher_steps(batcher);
                for (int epoch = 0; batcher && epoch < 2; ++epoch) {
                    const broken one = walk_epoch(batcher, log, slots, !epoch || !config.shuffle_sessions);
                    total.pair += one.pair, total.twice += one.twice, total.start += one.start,
                        total.previous += one.previous;
                    total.rows += one.rows, total.lost += one.lost, total.counts += one.counts;
                }
                sessrec_batcher_destroy(batcher);
            }
            sessrec_log_destroy(log);
        }
        CHECK_EQ(total.pair, 0);
        CHECK_EQ(total.twice, 0);
        CHECK_EQ(total.start, 0);
        CHECK_EQ(total.previous, 0);
        CHECK_EQ(total.rows, 0);
        CHECK_EQ(total.lost, 0);
        CHECK_EQ(total.counts, 0);
        CHECK(mini_batches > 10000);
    }
    TEST("the oracle notices a last session that is left out, and a session given to another user") {
        static const visit walked[3] = {{0, 3}, {1, 3}, {0, 2}}, longer[3] = {{0, 3}, {1, 3}, {0, 3}},
                           other[3] = {{0, 3}, {1, 3}, {1, 2}};
        const visit *expected[2] = {longer, other};
        for (int i = 0; i < 2; ++i) {
            sessrec_log *log = log_of(3, walked, 7, -1, 3), *instead = log_of(3, expected[i], 7, -1, 3);
            sessrec_config config = batches_of(2, 0);
            sessrec_batcher *batcher = batcher_of(&config, log, NULL);
            const broken b = walk_epoch(batcher, instead, 2, 1);
            CHECK(sum_of(&b) > 0);
            sessrec_batcher_destroy(batcher);
            sessrec_log_destroy(log);
            sessrec_log_destroy(instead);
        }
    }
}

// ---- evaluation -------------------------------------------------------------------------------------------

typedef struct ranks {
    int32_t count;
    struct {
        int32_t session;
        double rank;
    } event[512];
} ranks;

static void keep_rank(void *user, const sessrec_event *event) {
    ranks *r = (ranks *)user;
    if (r->count == 512) return;
    r->event[r->count].session = event->session;
    r->event[r->count++].rank = event->rank;
}

static void evaluate(const sessrec_scorer *scorer, const sessrec_log *history, const sessrec_log *log,
                     int32_t batch, ranks *out) {
    sessrec_eval_config config = sessrec_eval_config_default();
    sessrec_report report;
    out->count = 0;
    config.history = history;
    config.batch_size = batch;
    config.threads = 1 + batch % 3;
    config.on_event = keep_rank;
    config.on_event_user = out;
    CHECK_EQ(sessrec_evaluate_scorer(scorer, log, &config, &report, NULL), SESSREC_OK);
}

static sessrec_config user_config(sessrec_user_mode mode) {
    sessrec_config config = small_config(2, 6);
    config.user_hidden = 5;
    config.user_mode = mode;
    return config;
}

static sessrec_model *user_model(sessrec_user_mode mode, const sessrec_log *log, uint32_t seed) {
    const sessrec_config config = user_config(mode);
    return random_model(&config, log, seed);
}

enum { BEFORE = 30, AFTER = 40 };

// A history and a log of the same users, on items of which the catalogue does not have the last five.
typedef struct shop {
    visit before[BEFORE], after[AFTER];
    sessrec_log *catalogue, *history, *log;
} shop;

static shop open_shop(uint32_t seed) {
    shop s;
    for (int i = 0; i < BEFORE; ++i)
        s.before[i].user = random_below(&seed, USERS), s.before[i].length = 1 + random_below(&seed, 6);
    for (int i = 0; i < AFTER; ++i)
        s.after[i].user = random_below(&seed, USERS), s.after[i].length = 1 + random_below(&seed, 6);
    s.catalogue = random_log(20, ITEMS, 3);
    s.history = log_of(BEFORE, s.before, ITEMS + 5, -1, 11);
    s.log = log_of(AFTER, s.after, ITEMS + 5, -1, 12);
    return s;
}
static void close_shop(shop *s) {
    sessrec_log_destroy(s->catalogue);
    sessrec_log_destroy(s->history);
    sessrec_log_destroy(s->log);
}

// In how many events a user who is alone has other ranks than among the others.
static int changed_alone(const shop *s, const sessrec_scorer *scorer, const ranks *together) {
    static ranks alone;
    const sessrec_log_view view = sessrec_log_contents(s->log);
    int changed = 0, compared = 0;
    for (int32_t u = 0; u < view.user_count; ++u) {
        const int32_t user = atoi(sessrec_log_user_id(s->log, u));
        sessrec_log *past = log_of(BEFORE, s->before, ITEMS + 5, user, 11),
                    *own = log_of(AFTER, s->after, ITEMS + 5, user, 12);
        int32_t at = 0;
        evaluate(scorer, past, own, 4, &alone);
        for (int32_t i = 0; i < together->count; ++i) {
            if (view.session_users[together->event[i].session] != u) continue;
            changed += at >= alone.count || fabs(alone.event[at].rank - together->event[i].rank) > 0;
            ++at;
        }
        changed += at != alone.count;
        compared += at;
        sessrec_log_destroy(past);
        sessrec_log_destroy(own);
    }
    CHECK_EQ(compared, together->count);
    return changed;
}

static int different(const ranks *a, const ranks *b) {
    int count = a->count != b->count;
    for (int32_t i = 0; i < a->count && i < b->count; ++i)
        count += fabs(a->event[i].rank - b->event[i].rank) > 0;
    return count;
}

// Ranks as a shop would get them: a state for each user, all of them at work at the same time.
static void run_visitors(const shop *s, const sessrec_model *model, ranks *out) {
    const sessrec_log *part[2] = {s->history, s->log};
    void *memory[USERS + 1];
    sessrec_user *user[USERS];
    sessrec_session *session;
    int32_t all[ITEMS];
    float scores[ITEMS];
    out->count = 0;
    for (int u = 0; u < USERS; ++u) {
        memory[u] = malloc(sessrec_user_size(model));
        CHECK_EQ(sessrec_user_init(model, memory[u], sessrec_user_size(model), &user[u], NULL), SESSREC_OK);
    }
    memory[USERS] = malloc(sessrec_session_size(model, 0));
    CHECK_EQ(sessrec_session_init(model, 0, memory[USERS], sessrec_session_size(model, 0), &session, NULL),
             SESSREC_OK);
    for (int32_t i = 0; i < ITEMS; ++i) all[i] = i;
    for (int p = 0; p < 2; ++p) {
        const sessrec_log_view view = sessrec_log_contents(part[p]);
        for (int32_t n = 0; n < view.session_count; ++n) {
            sessrec_user *visitor = user[atoi(sessrec_log_user_id(part[p], view.session_users[n]))];
            int clicks = 0;
            CHECK_EQ(sessrec_user_begin(visitor, session), SESSREC_OK);
            for (int64_t at = view.session_begins[n]; at < view.session_begins[n + 1]; ++at) {
                const int32_t item =
                    sessrec_model_find_item(model, sessrec_log_item_id(part[p], view.items[at]));
                int64_t higher, equal;
                if (p && clicks && item >= 0) {
                    sessrec_session_score(session, all, ITEMS, scores);
                    sessrec_rank_counts(scores, ITEMS, item, &higher, &equal);
                    out->event[out->count].session = n;
                    out->event[out->count++].rank = sessrec_rank(higher, equal, SESSREC_TIES_CONSERVATIVE);
                }
                CHECK_EQ(sessrec_session_click(session, item), SESSREC_OK);
                clicks += item >= 0;
            }
            CHECK_EQ(sessrec_user_fold(visitor, session), SESSREC_OK);
        }
    }
    for (int u = 0; u <= USERS; ++u) free(memory[u]);
}

static void no_leaks(void) {
    static ranks together, other;
    TEST("a user has the same ranks alone and among others, in every mode, and with personal popularity") {
        for (int kind = 0; kind < 4; ++kind) {
            shop s = open_shop(70 + (uint32_t)kind);
            sessrec_model *model = user_model((sessrec_user_mode)(kind % 3), s.catalogue, 9);
            sessrec_scorer scorer;
            if (kind < 3) CHECK_EQ(sessrec_scorer_model(model, NULL, &scorer, NULL), SESSREC_OK);
            else CHECK_EQ(experiment_ppop(s.catalogue, &scorer, NULL), SESSREC_OK);
            for (int32_t batch = 1; batch <= 7; batch += 3) {
                evaluate(&scorer, s.history, s.log, batch, &together);
                CHECK(together.count > 60 && together.count < 512);
                CHECK_EQ(changed_alone(&s, &scorer, &together), 0);
            }
            evaluate(&scorer, NULL, s.log, 4, &other);
            CHECK(different(&together, &other) > 10);                  // the history matters,
            // and the comparison notices when it is another's
            CHECK(changed_alone(&s, &scorer, &other) > 10);
            sessrec_scorer_destroy(&scorer);
            sessrec_model_destroy(model);
            close_shop(&s);
        }
    }
    TEST("an evaluation ranks as the running sessions and states of the users do, to the bit") {
        for (int mode = 0; mode < 3; ++mode) {
            shop s = open_shop(80 + (uint32_t)mode);
            sessrec_model *model = user_model((sessrec_user_mode)mode, s.catalogue, 10);
            sessrec_scorer scorer;
            CHECK_EQ(sessrec_scorer_model(model, NULL, &scorer, NULL), SESSREC_OK);
            evaluate(&scorer, s.history, s.log, 5, &together);
            run_visitors(&s, model, &other);
            CHECK(together.count > 60);
            CHECK_EQ(different(&together, &other), 0);
            sessrec_scorer_destroy(&scorer);
            sessrec_model_destroy(model);
            close_shop(&s);
        }
    }
}

// ---- the state of a user ----------------------------------------------------------------------------------

// A user and a session in memory of their own.
typedef struct visitor {
    const sessrec_model *model;
    void *memory[2];
    sessrec_user *user;
    sessrec_session *session;
} visitor;

static visitor new_visitor(const sessrec_model *model) {
    visitor v;
    v.model = model;
    v.memory[0] = malloc(sessrec_user_size(model));
    v.memory[1] = malloc(sessrec_session_size(model, 0));
    CHECK_EQ(sessrec_user_init(model, v.memory[0], sessrec_user_size(model), &v.user, NULL), SESSREC_OK);
    CHECK_EQ(sessrec_session_init(model, 0, v.memory[1], sessrec_session_size(model, 0), &v.session, NULL),
             SESSREC_OK);
    return v;
}
static void close_visitor(visitor *v) {
    free(v->memory[0]);
    free(v->memory[1]);
}
static void go_through(visitor *v, int clicks, uint32_t seed) {
    CHECK_EQ(sessrec_user_begin(v->user, v->session), SESSREC_OK);
    for (int i = 0; i < clicks; ++i)
        CHECK_EQ(sessrec_session_click(v->session, random_below(&seed, ITEMS)), SESSREC_OK);
    CHECK_EQ(sessrec_user_fold(v->user, v->session), SESSREC_OK);
}
static int same_state(const sessrec_user *a, const sessrec_user *b) {
    unsigned char x[STATE_MAX], y[STATE_MAX];
    CHECK_EQ(sessrec_user_export(a, x, STATE_MAX), SESSREC_OK);
    CHECK_EQ(sessrec_user_export(b, y, STATE_MAX), SESSREC_OK);
    return sessrec_user_export_size(a) == sessrec_user_export_size(b) &&
           !memcmp(x, y, sessrec_user_export_size(a));
}
// Whether two visitors' next sessions score the same bits.
static int same_scores(visitor *a, visitor *b) {
    int32_t all[ITEMS];
    float x[ITEMS], y[ITEMS];
    for (int32_t i = 0; i < ITEMS; ++i) all[i] = i;
    sessrec_user_begin(a->user, a->session);
    sessrec_user_begin(b->user, b->session);
    sessrec_session_click(a->session, 3);
    sessrec_session_click(b->session, 3);
    sessrec_session_score(a->session, all, ITEMS, x);
    sessrec_session_score(b->session, all, ITEMS, y);
    return !memcmp(x, y, sizeof x);
}

static void *reload(const sessrec_model *model, sessrec_model **out) {
    const size_t size = sessrec_model_export_size(model);
    char *block = (char *)malloc(size + 64), *bytes = block + (64 - (uintptr_t)block % 64);
    CHECK_EQ(sessrec_model_export(model, bytes, size), SESSREC_OK);
    CHECK_EQ(sessrec_model_import(bytes, size, NULL, out, NULL), SESSREC_OK);
    return block;
}

static void states(void) {
    sessrec_log *log = NULL;
    sessrec_model *model = NULL;
    unsigned char bytes[STATE_MAX];
    TEST("a model with a user-level GRU has states of users") {
        log = random_log(20, ITEMS, 3);
        model = user_model(SESSREC_USER_ALL, log, 21);
        CHECK(sessrec_user_size(model) > 5 * sizeof(float));
    }
    TEST("a session of two known clicks or more changes the state and counts, a shorter one does neither") {
        visitor a = new_visitor(model), fresh = new_visitor(model);
        go_through(&a, 0, 1);
        go_through(&a, 1, 1);
        CHECK_EQ(sessrec_user_sessions(a.user), 0);
        CHECK(same_state(a.user, fresh.user));
        go_through(&a, 2, 1);
        CHECK_EQ(sessrec_user_sessions(a.user), 1);
        CHECK(!same_state(a.user, fresh.user));
        CHECK(!same_scores(&a, &fresh));
        close_visitor(&a);
        close_visitor(&fresh);
    }
    TEST("a session that was folded has ended: it holds nothing, and folding it again changes nothing") {
        visitor a = new_visitor(model), b = new_visitor(model);
        sessrec_recommendation out[3];
        const size_t size = sessrec_session_export_size(a.session);
        unsigned char *left = (unsigned char *)malloc(size), *ended = (unsigned char *)malloc(size);
        for (int clicks = 0; clicks <= 3; ++clicks) {  // too short to count, and long enough
            go_through(&a, clicks, 1);
            sessrec_session_end(b.session);
            CHECK_EQ(sessrec_session_export_size(a.session), sessrec_session_export_size(b.session));
            CHECK_EQ(sessrec_session_export(a.session, left, size), SESSREC_OK);
            CHECK_EQ(sessrec_session_export(b.session, ended, size), SESSREC_OK);
            CHECK(memcmp(left, ended, size) == 0);
            CHECK_EQ(sessrec_recommend(a.session, 3, out), sessrec_recommend(b.session, 3, out));
            const int64_t sessions = sessrec_user_sessions(a.user);
            CHECK_EQ(sessrec_user_fold(a.user, a.session), SESSREC_OK);
            CHECK_EQ(sessrec_user_sessions(a.user), sessions);
        }
        free(left);
        free(ended);
        close_visitor(&a);
        close_visitor(&b);
    }
    TEST("a session that is refused by another model's user stays open") {
        sessrec_model *other = user_model(SESSREC_USER_ALL, log, 22);
        visitor a = new_visitor(model), b = new_visitor(other);
        CHECK_EQ(sessrec_user_begin(a.user, a.session), SESSREC_OK);
        CHECK_EQ(sessrec_session_click(a.session, 1), SESSREC_OK);
        CHECK_EQ(sessrec_session_click(a.session, 2), SESSREC_OK);
        CHECK_EQ(sessrec_user_fold(b.user, a.session), SESSREC_MISMATCH);
        CHECK_EQ(sessrec_user_fold(a.user, a.session), SESSREC_OK);
        CHECK_EQ(sessrec_user_sessions(a.user), 1);
        close_visitor(&a);
        close_visitor(&b);
        sessrec_model_destroy(other);
    }
    TEST("a user who went through bytes, and through a model that was saved and loaded, goes on with the "
         "same bits") {
        sessrec_model *loaded = NULL;
        void *block = reload(model, &loaded);
        visitor a = new_visitor(model), b = new_visitor(model), c = new_visitor(loaded);
        for (uint32_t n = 1; n <= 4; ++n) go_through(&a, 2 + (int)n, n);
        go_through(&b, 3, 77);  // another past, which import forgets
        CHECK_EQ(sessrec_user_export(a.user, bytes, STATE_MAX), SESSREC_OK);
        CHECK_EQ(sessrec_user_import(b.user, bytes, sessrec_user_export_size(a.user)), SESSREC_OK);
        CHECK_EQ(sessrec_user_import(c.user, bytes, sessrec_user_export_size(a.user)), SESSREC_OK);
        CHECK_EQ(sessrec_user_sessions(c.user), 4);
        CHECK(same_state(a.user, b.user) && same_state(a.user, c.user));
        CHECK(same_scores(&a, &b) && same_scores(&a, &c));
        go_through(&a, 4, 9);
        go_through(&b, 4, 9);
        go_through(&c, 4, 9);
        CHECK(same_state(a.user, b.user) && same_state(a.user, c.user));
        close_visitor(&a);
        close_visitor(&b);
        close_visitor(&c);
        sessrec_model_destroy(loaded);
        free(block);
    }
    TEST("a new user goes through bytes too, and stays new") {
        visitor a = new_visitor(model), b = new_visitor(model), fresh = new_visitor(model);
        go_through(&b, 3, 5);
        CHECK_EQ(sessrec_user_export(a.user, bytes, STATE_MAX), SESSREC_OK);
        CHECK_EQ(sessrec_user_import(b.user, bytes, sessrec_user_export_size(a.user)), SESSREC_OK);
        CHECK_EQ(sessrec_user_sessions(b.user), 0);
        CHECK(same_scores(&b, &fresh));
        close_visitor(&a);
        close_visitor(&b);
        close_visitor(&fresh);
    }
    TEST("a state of other weights, another width or another catalogue is refused, and the user stays as he "
         "was") {
        sessrec_config wider = user_config(SESSREC_USER_ALL);
        wider.user_hidden = 6;
        sessrec_log *larger = random_log(20, ITEMS + 1, 3);
        sessrec_model *other[3] = {user_model(SESSREC_USER_ALL, log, 22), random_model(&wider, log, 21),
                                   user_model(SESSREC_USER_ALL, larger, 21)};
        visitor a = new_visitor(model);
        go_through(&a, 3, 5);
        CHECK_EQ(sessrec_user_export(a.user, bytes, STATE_MAX), SESSREC_OK);
        for (int i = 0; i < 3; ++i) {
            visitor b = new_visitor(other[i]), c = new_visitor(other[i]);
            go_through(&b, 4, 6);
            go_through(&c, 4, 6);
            CHECK_EQ(sessrec_user_import(b.user, bytes, sessrec_user_export_size(a.user)), SESSREC_MISMATCH);
            CHECK(same_state(b.user, c.user));
            CHECK_EQ(sessrec_user_begin(b.user, a.session), SESSREC_MISMATCH);
            CHECK_EQ(sessrec_user_fold(b.user, a.session), SESSREC_MISMATCH);
            close_visitor(&b);
            close_visitor(&c);
            sessrec_model_destroy(other[i]);
        }
        sessrec_log_destroy(larger);
        close_visitor(&a);
    }
    TEST("every flipped bit is noticed, and so is a state that is cut short or continued") {
        visitor a = new_visitor(model), b = new_visitor(model), c = new_visitor(model);
        const size_t size = sessrec_user_export_size(a.user);
        int accepted = 0;
        memset(bytes, 0, sizeof bytes);
        go_through(&a, 3, 5);
        go_through(&b, 4, 6);
        go_through(&c, 4, 6);
        CHECK_EQ(sessrec_user_export(a.user, bytes, size), SESSREC_OK);
        for (size_t bit = 0; bit < size * 8; ++bit) {
            bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
            accepted += sessrec_user_import(b.user, bytes, size) != SESSREC_BAD_FILE;
            bytes[bit / 8] ^= (unsigned char)(1 << bit % 8);
        }
        for (size_t cut = 0; cut < STATE_MAX; ++cut)
            accepted += cut != size && sessrec_user_import(b.user, bytes, cut) != SESSREC_BAD_FILE;
        CHECK_EQ(accepted, 0);
        CHECK(same_state(b.user, c.user));
        close_visitor(&a);
        close_visitor(&b);
        close_visitor(&c);
    }
    TEST("a well-formed state with values that no user has is refused") {
        // where things stand: reserved 20, sessions 24, the user's hidden state 32
        visitor a = new_visitor(model), b = new_visitor(model), fresh = new_visitor(model);
        const size_t size = sessrec_user_export_size(a.user);
        go_through(&a, 3, 5);
        for (int wrong = 0; wrong < 9; ++wrong) {
            CHECK_EQ(sessrec_user_export(wrong == 4 ? fresh.user : a.user, bytes, size), SESSREC_OK);
            if (wrong == 0) bytes[20] = 1;
            if (wrong == 1) bytes[24 + 7] = 0x80;                           // sessions below 0
            if (wrong == 2) bytes[32 + 2] = 0xc0, bytes[32 + 3] = 0x7f;     // NaN
            if (wrong == 3) bytes[7] = '2';                                 // a later version
            // a hidden state before the first session
            if (wrong == 4) bytes[32] = 1;
            // so many sessions that the next would overflow
            if (wrong == 5) memset(bytes + 24, 0xff, 7), bytes[24 + 7] = 0x7f;
            // beyond 1 or -1, which no GRU leaves, and infinite
            if (wrong == 6) memcpy(bytes + 32, "\1\0\200\77", 4);
            if (wrong == 7) memcpy(bytes + size - 8, "\1\0\200\277", 4);
            if (wrong == 8) memcpy(bytes + 32, "\0\0\200\177", 4);
            const uint32_t sum = crc32c(bytes, size - 4);
            for (int i = 0; i < 4; ++i) bytes[size - 4 + (size_t)i] = (unsigned char)(sum >> (8 * i));
            CHECK_EQ(sessrec_user_import(b.user, bytes, size), SESSREC_BAD_FILE);
        }
        CHECK(same_state(b.user, fresh.user));
        close_visitor(&a);
        close_visitor(&b);
        close_visitor(&fresh);
    }
    TEST("a user lives in memory of any alignment and writes to nothing else") {
        const size_t size = sessrec_user_size(model);
        char *memory = (char *)malloc(size + 128);
        visitor a = new_visitor(model);
        go_through(&a, 5, 8);
        for (size_t offset = 0; offset < 64; ++offset) {
            visitor b = a;
            int touched = 0;
            memset(memory, 0x5a, size + 128);
            CHECK_EQ(sessrec_user_init(model, memory + offset, size, &b.user, NULL), SESSREC_OK);
            go_through(&b, 5, 8);
            CHECK(same_state(a.user, b.user));
            for (size_t i = 0; i < size + 128; ++i)
                touched += (i < offset || i >= offset + size) && memory[i] != 0x5a;
            CHECK_EQ(touched, 0);
        }
        free(memory);
        close_visitor(&a);
    }
    TEST("a model without users has no states, and what cannot be is refused") {
        sessrec_config config = small_config(1, 6);
        sessrec_model *without = random_model(&config, log, 4);
        visitor a = new_visitor(model);
        sessrec_user *user;
        CHECK_EQ(sessrec_user_size(without), 0);
        CHECK_EQ(sessrec_user_size(NULL), 0);
        CHECK_EQ(sessrec_user_init(without, a.memory[0], 4096, &user, NULL), SESSREC_INVALID_ARGUMENT);
        CHECK(!user);
        CHECK_EQ(sessrec_user_init(model, a.memory[0], sessrec_user_size(model) - 1, &user, NULL),
                 SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_user_init(model, NULL, sessrec_user_size(model), &user, NULL),
                 SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_user_export(a.user, bytes, sessrec_user_export_size(a.user) - 1),
                 SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_user_export(a.user, NULL, STATE_MAX), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_user_import(a.user, NULL, STATE_MAX), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_user_begin(NULL, a.session), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_user_fold(a.user, NULL), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_user_export_size(NULL), 0);
        CHECK_EQ(sessrec_user_sessions(NULL), 0);
        close_visitor(&a);
        sessrec_model_destroy(without);
    }
    sessrec_model_destroy(model);
    sessrec_log_destroy(log);
}

int main(void) {
    batches();
    no_leaks();
    states();
    return test_report("users");
}
