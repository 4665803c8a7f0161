// What a walk through a log in session-parallel mini-batches promises, on thousands of random logs.
#include "models.h"

enum { MOST_SLOTS = 9, MOST_SESSIONS = 16, MOST_ROWS = 4096 };

static sessrec_config batches_of(int32_t slots, int32_t negatives) {
    sessrec_config config = sessrec_config_default();
    config.batch_size = slots;
    config.negatives = negatives;
    return config;
}

// Sessions 0, 1, ... of the given lengths; event e of the log is item e modulo 10, so that neighbors differ.
static sessrec_log *log_of_lengths(int32_t sessions, const int32_t *length) {
    sessrec_log *log = NULL;
    int failures = sessrec_log_create(NULL, &log, NULL) != SESSREC_OK;
    int64_t event = 0;
    for (int32_t s = 0; s < sessions; ++s)
        for (int32_t i = 0; i < length[s]; ++i, ++event)
            failures += sessrec_log_add_numbers(log, -1, s, event % 10, (double)event) != SESSREC_OK;
    failures += sessrec_log_finish(log, NULL) != SESSREC_OK;
    CHECK_EQ(failures, 0);
    return log;
}

// Up to 16 sessions of 1 to 6 events, one of two or more among them.
static sessrec_log *some_log(uint32_t *random, int with_single_events) {
    int32_t length[MOST_SESSIONS], sessions = 1 + random_below(random, MOST_SESSIONS);
    for (int32_t s = 0; s < sessions; ++s)
        length[s] = with_single_events ? 1 + random_below(random, 6) : 2 + random_below(random, 5);
    length[random_below(random, sessions)] += 2;
    return log_of_lengths(sessions, length);
}

static sessrec_sampler *sampler_of(const sessrec_log *log) {
    sessrec_sampler *sampler = NULL;
    const sessrec_log_view view = sessrec_log_contents(log);
    CHECK_EQ(sessrec_sampler_create(view.supports, view.item_count, 0.5f, NULL, &sampler, NULL), SESSREC_OK);
    return sampler;
}

// ---- an epoch, against what has to come -------------------------------------------------------------------

// How often each promise was broken in a walk.
typedef struct broken {
    int64_t pair;           // a row that is not the next (input, target) pair of its session
    int64_t start;          // session_starts where it is not the first pair, or missing where it is
    int64_t previous;       // previous_rows that is another session's row, or out of order
    int64_t rows;           // fewer rows than there are slots and sessions to fill them
    int64_t order;          // sessions that begin before their turn
    int64_t lost;           // pairs that did not come and had to
    int64_t counts;         // steps and pairs of the epoch are not what was announced
    int64_t negatives;      // not as many as the configuration says, or no item of the log
} broken;

static int64_t sum_of(const broken *b) {
    return b->pair + b->start + b->previous + b->rows + b->order + b->lost + b->counts + b->negatives;
}

// What has come of the epoch so far.
typedef struct walk {
    sessrec_log_view log;
    int32_t slots, negatives;
    int32_t done[MOST_SESSIONS];    // pairs of each session
    int32_t begun;                  // sessions of two or more events, in the order of the log
    int32_t row_session[MOST_SLOTS], rows;
} walk;

static int32_t pairs_of(const sessrec_log_view *log, int32_t session) {
    return (int32_t)(log->session_begins[session + 1] - log->session_begins[session]) - 1;
}

static int32_t unfinished(const walk *w) {
    int32_t count = 0;
    for (int32_t s = 0; s < w->log.session_count; ++s) count += w->done[s] < pairs_of(&w->log, s);
    return count;
}

static void look_at_row(walk *w, const sessrec_batch *batch, int32_t row, broken *b) {
    const int32_t s = batch->sessions[row];
    const int64_t at = w->log.session_begins[s] + w->done[s];
    b->pair += w->done[s] >= pairs_of(&w->log, s) || batch->inputs[row] != w->log.items[at] ||
               batch->targets[row] != w->log.items[at + 1];
    b->start += batch->session_starts[row] != (w->done[s] == 0);
    if (batch->session_starts[row]) {
        b->previous += batch->previous_rows[row] < 0 || batch->previous_rows[row] >= w->slots;
    } else {
        b->previous += batch->previous_rows[row] < 0 || batch->previous_rows[row] >= w->rows ||
                       w->row_session[batch->previous_rows[row]] != s;
    }
    // slots keep their order
    b->previous += row > 0 && batch->previous_rows[row] <= batch->previous_rows[row - 1];
    w->done[s]++;
}

// The sessions that begin in a mini-batch are the next ones of the log, in whatever rows.
static void look_at_order(walk *w, const sessrec_batch *batch, broken *b) {
    int32_t beginning = 0;
    for (int32_t i = 0; i < batch->rows; ++i) beginning += batch->session_starts[i];
    int32_t last = w->begun, left = beginning;
    while (last < w->log.session_count && left > 0) left -= pairs_of(&w->log, last++) > 0;
    for (int32_t i = 0; i < batch->rows; ++i)
        if (batch->session_starts[i]) b->order += batch->sessions[i] < w->begun || batch->sessions[i] >= last;
    w->begun = last;
}

static void look_at_negatives(const walk *w, const sessrec_batch *batch, broken *b) {
    b->negatives += batch->negative_count != w->negatives;
    for (int32_t j = 0; j < batch->negative_count; ++j)
        b->negatives += batch->negatives[j] < 0 || batch->negatives[j] >= w->log.item_count;
}

static broken walk_epoch(sessrec_batcher *batcher, const sessrec_log *log, int32_t slots, int32_t negatives,
                         int32_t epoch) {
    broken b;
    walk w;
    sessrec_batch batch;
    int64_t steps = 0, pairs = 0;
    memset(&b, 0, sizeof b);
    memset(&w, 0, sizeof w);
    w.log = sessrec_log_contents(log);
    w.slots = slots;
    w.negatives = negatives;
    while (!sessrec_batcher_next(batcher, &batch) && batch.rows) {
        const int32_t waiting = unfinished(&w);
        b.rows += batch.rows != (waiting < slots ? waiting : slots);
        b.counts += batch.step != steps || batch.epoch != epoch;
        look_at_order(&w, &batch, &b);
        look_at_negatives(&w, &batch, &b);
        for (int32_t i = 0; i < batch.rows; ++i) look_at_row(&w, &batch, i, &b);
        memcpy(w.row_session, batch.sessions, (size_t)batch.rows * sizeof *batch.sessions);
        w.rows = batch.rows;
        pairs += batch.rows;
        ++steps;
    }
    b.lost = unfinished(&w);
    if (negatives == 0 && b.lost == 1) b.lost = 0;  // the lone last slot's session
    b.counts += steps != sessrec_batcher_steps(batcher) || pairs != sessrec_batcher_pairs(batcher);
    return b;
}

// All that was broken on many logs with every number of slots, in two epochs.
static broken walk_many(int logs, int32_t negatives, int with_single_events) {
    broken total;
    uint32_t random = 2463534242u;
    memset(&total, 0, sizeof total);
    for (int n = 0; n < logs; ++n) {
        sessrec_log *log = some_log(&random, with_single_events);
        sessrec_sampler *sampler = negatives ? sampler_of(log) : NULL;
        for (int32_t slots = negatives ? 1 : 2; slots <= MOST_SLOTS; ++slots) {
            sessrec_config config = batches_of(slots, negatives);
            sessrec_batcher *batcher = NULL;
            sessrec_result result = sessrec_batcher_create(&config, log, sampler, &batcher, NULL);
            // one session alone has nothing to be compared with
            if (result == SESSREC_NO_DATA && !negatives) continue;
            total.counts += result != SESSREC_OK;
            for (int32_t epoch = 0; batcher && epoch < 2; ++epoch) {
                const broken one = walk_epoch(batcher, log, slots, negatives, epoch);
                total.pair += one.pair, total.start += one.start, total.previous += one.previous,
                    total.rows += one.rows;
                total.order += one.order, total.lost += one.lost, total.counts += one.counts,
                    total.negatives += one.negatives;
            }
            sessrec_batcher_destroy(batcher);
        }
        sessrec_sampler_destroy(sampler);
        sessrec_log_destroy(log);
    }
    return total;
}

static void check_broken(const broken *b) {
    CHECK_EQ(b->pair, 0);
    CHECK_EQ(b->start, 0);
    CHECK_EQ(b->previous, 0);
    CHECK_EQ(b->rows, 0);
    CHECK_EQ(b->order, 0);
    CHECK_EQ(b->lost, 0);
    CHECK_EQ(b->counts, 0);
    CHECK_EQ(b->negatives, 0);
}

static void random_logs(void) {
    TEST("with negatives every pair of every session comes exactly once an epoch, whatever the log and the "
         "number of slots") {
        const broken b = walk_many(2000, 3, 1);
        check_broken(&b);
    }
    TEST("without negatives too, but for what a lone last slot has left") {
        const broken b = walk_many(2000, 0, 1);
        check_broken(&b);
    }
    TEST("the same where no session has a single event") {
        const broken b = walk_many(1000, 3, 0);
        check_broken(&b);
    }
    TEST("the oracle of these tests notices a session that is left out") {
        const int32_t walked[3] = {3, 3, 3}, longer[3] = {3, 3, 4};
        sessrec_log *log = log_of_lengths(3, walked), *other = log_of_lengths(3, longer);
        sessrec_sampler *sampler = sampler_of(log);
        sessrec_config config = batches_of(2, 3);
        sessrec_batcher *batcher = batcher_of(&config, log, sampler);
        const broken b = walk_epoch(batcher, other, 2, 3, 0);
        CHECK(sum_of(&b) > 0);
        sessrec_batcher_destroy(batcher);
        sessrec_sampler_destroy(sampler);
        sessrec_log_destroy(log);
        sessrec_log_destroy(other);
    }
}

// ---- by hand ----------------------------------------------------------------------------------------------

// A mini-batch as text: "a>b c>d" and, before a pair that begins a session, a bar: "|a>b".
static void describe(const sessrec_log *log, const sessrec_batch *batch, char *text, size_t size) {
    size_t used = 0;
    text[0] = 0;
    for (int32_t i = 0; i < batch->rows && used + 8 < size; ++i)
        used += (size_t)snprintf(
            text + used, size - used, "%s%s%s>%s", i ? " " : "", batch->session_starts[i] ? "|" : "",
            sessrec_log_item_id(log, batch->inputs[i]), sessrec_log_item_id(log, batch->targets[i]));
}

static void check_walk(sessrec_log *log, const sessrec_config *config, const char *const *expected,
                       int steps) {
    sessrec_sampler *sampler = config->negatives ? sampler_of(log) : NULL;
    sessrec_batch batch;
    char text[256];
    sessrec_batcher *batcher = batcher_of(config, log, sampler);
    CHECK_EQ(sessrec_batcher_steps(batcher), steps);
    for (int i = 0; i < steps; ++i) {
        CHECK_EQ(sessrec_batcher_next(batcher, &batch), SESSREC_OK);
        describe(log, &batch, text, sizeof text);
        CHECK_TEXT(text, expected[i]);
    }
    CHECK_EQ(sessrec_batcher_next(batcher, &batch), SESSREC_OK);
    CHECK_EQ(batch.rows, 0);
    CHECK_EQ(batch.step, steps);
    CHECK(batch.inputs == NULL);
    sessrec_batcher_destroy(batcher);
    sessrec_sampler_destroy(sampler);
    sessrec_log_destroy(log);
}

static void by_hand(void) {
    TEST("the manual's example: the lowest free slot takes the next session, at the end the batch shrinks") {
        // a: a b c   b: d e   c: f g h i j   d: k l m   e: n o
        static const char *const sessions[5] = {"abc", "de", "fghij", "klm", "no"};
        static const char *const expected[4] = {"|a>b |d>e |f>g", "b>c |k>l g>h", "|n>o l>m h>i", "i>j"};
        sessrec_config config = batches_of(3, 2);
        check_walk(letters_log(5, sessions, NULL), &config, expected, 4);
    }
    TEST("without negatives the epoch ends where one slot is left") {
        static const char *const sessions[3] = {"ab", "cd", "efg"}, *const expected[1] = {"|a>b |c>d"};
        sessrec_config config = batches_of(2, 0);
        check_walk(letters_log(3, sessions, NULL), &config, expected, 1);
    }
    TEST("with negatives a lone slot goes on") {
        static const char *const sessions[3] = {"ab", "cd", "efg"}, *const expected[3] = {"|a>b |c>d", "|e>f",
                                                                                          "f>g"};
        sessrec_config config = batches_of(2, 1);
        check_walk(letters_log(3, sessions, NULL), &config, expected, 3);
    }
    TEST("sessions of one event give nothing and hold up nobody") {
        static const char *const sessions[6] = {"a", "bc", "d", "e", "fg", "h"}, *const expected[1] = {
                                                                                     "|f>g |b>c"};
        sessrec_config config = batches_of(2, 1);
        check_walk(letters_log(6, sessions, NULL), &config, expected, 1);
    }
    TEST("fewer sessions than slots") {
        static const char *const sessions[2] = {"abc", "de"}, *const expected[2] = {"|a>b |d>e", "b>c"};
        sessrec_config config = batches_of(8, 1);
        check_walk(letters_log(2, sessions, NULL), &config, expected, 2);
    }
    TEST("one session") {
        static const char *const sessions[1] = {"abab"}, *const expected[3] = {"|a>b", "b>a", "a>b"};
        sessrec_config config = batches_of(4, 1);
        check_walk(letters_log(1, sessions, NULL), &config, expected, 3);
    }
    TEST("without a sampler a mini-batch has no negatives; a lone slot goes on if the configuration says "
         "that the caller adds some") {
        static const char *const sessions[3] = {"ab", "cd", "efg"};
        sessrec_log *log = letters_log(3, sessions, NULL);
        for (int32_t negatives = 0; negatives < 6; negatives += 5) {
            sessrec_config config = batches_of(2, negatives);
            sessrec_batch batch;
            sessrec_batcher *batcher = batcher_of(&config, log, NULL);
            CHECK_EQ(sessrec_batcher_next(batcher, &batch), SESSREC_OK);
            CHECK_EQ(batch.negative_count, 0);
            CHECK_EQ(batch.rows, 2);
            CHECK_EQ(sessrec_batcher_steps(batcher), negatives ? 3 : 1);
            sessrec_batcher_destroy(batcher);
        }
        sessrec_log_destroy(log);
    }
}

static void nothing_to_learn(void) {
    TEST("a log without a pair is NO_DATA") {
        static const char *const singles[3] = {"a", "b", "c"};
        sessrec_log *log = letters_log(3, singles, NULL);
        sessrec_sampler *sampler = sampler_of(log);
        sessrec_config config = batches_of(2, 3);
        sessrec_batcher *batcher = (sessrec_batcher *)(void *)&config;
        sessrec_error err;
        CHECK_EQ(sessrec_batcher_create(&config, log, sampler, &batcher, &err), SESSREC_NO_DATA);
        CHECK(batcher == NULL);
        CHECK_EQ(err.code, SESSREC_NO_DATA);
        CHECK_TEXT(err.text, "the log has nothing to learn from: it needs a session with two events");
        sessrec_sampler_destroy(sampler);
        sessrec_log_destroy(log);
    }
    TEST("one session without negatives is NO_DATA, and the text says what it takes") {
        static const char *const one[2] = {"abc", "d"};
        sessrec_log *log = letters_log(2, one, NULL);
        sessrec_config config = batches_of(2, 0);
        sessrec_batcher *batcher = NULL;
        sessrec_error err;
        CHECK_EQ(sessrec_batcher_create(&config, log, NULL, &batcher, &err), SESSREC_NO_DATA);
        CHECK(strstr(err.text, "or two such sessions without negative samples") != NULL);
        sessrec_log_destroy(log);
    }
    TEST("an empty log is NO_DATA") {
        sessrec_log *log = NULL;
        sessrec_config config = batches_of(2, 0);
        sessrec_batcher *batcher = NULL;
        CHECK_EQ(sessrec_log_create(NULL, &log, NULL), SESSREC_OK);
        CHECK_EQ(sessrec_log_finish(log, NULL), SESSREC_OK);
        CHECK_EQ(sessrec_batcher_create(&config, log, NULL, &batcher, NULL), SESSREC_NO_DATA);
        sessrec_log_destroy(log);
    }
    TEST("bad arguments are refused") {
        sessrec_config config = batches_of(2, 0), zero;
        sessrec_batcher *batcher = NULL;
        sessrec_batch batch;
        memset(&zero, 0, sizeof zero);
        CHECK_EQ(sessrec_batcher_create(&zero, NULL, NULL, &batcher, NULL), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_batcher_create(NULL, NULL, NULL, &batcher, NULL), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_batcher_create(&config, NULL, NULL, &batcher, NULL), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_batcher_create(&config, NULL, NULL, NULL, NULL), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_batcher_next(NULL, &batch), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_batcher_seek(NULL, 0, 0, NULL), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_batcher_steps(NULL), 0);
        CHECK_EQ(sessrec_batcher_pairs(NULL), 0);
        sessrec_batcher_destroy(NULL);
    }
}

// ---- shuffling --------------------------------------------------------------------------------------------

// The order in which sessions come in the batcher's next epoch; with one slot it is the order of the queue.
static int32_t order_of_epoch(sessrec_batcher *batcher, int32_t *order) {
    sessrec_batch batch;
    int32_t count = 0;
    while (!sessrec_batcher_next(batcher, &batch) && batch.rows)
        if (batch.session_starts[0]) order[count++] = batch.sessions[0];
    return count;
}

static sessrec_batcher *shuffled(const sessrec_log *log, const sessrec_sampler *sampler, int32_t slots,
                                 uint64_t seed) {
    sessrec_config config = batches_of(slots, 1);
    config.shuffle_sessions = 1;
    config.seed = seed;
    sessrec_batcher *batcher = batcher_of(&config, log, sampler);
    return batcher;
}

static void shuffling(void) {
    int32_t length[MOST_SESSIONS], first[MOST_SESSIONS], second[MOST_SESSIONS], again[MOST_SESSIONS];
    for (int i = 0; i < MOST_SESSIONS; ++i) length[i] = 2 + i % 3;
    sessrec_log *log = log_of_lengths(MOST_SESSIONS, length);
    sessrec_sampler *sampler = sampler_of(log);
    TEST("shuffled sessions are a permutation of all") {
        sessrec_batcher *batcher = shuffled(log, sampler, 1, 7);
        for (int epoch = 0; epoch < 20; ++epoch) {
            int32_t seen[MOST_SESSIONS] = {0}, repeated = 0;
            CHECK_EQ(order_of_epoch(batcher, first), MOST_SESSIONS);
            for (int i = 0; i < MOST_SESSIONS; ++i) repeated += seen[first[i]]++;
            CHECK_EQ(repeated, 0);
        }
        sessrec_batcher_destroy(batcher);
    }
    TEST("each epoch has another order, the same for the same seed and another for another") {
        sessrec_batcher *a = shuffled(log, sampler, 1, 7), *b = shuffled(log, sampler, 1, 7),
                        *c = shuffled(log, sampler, 1, 8);
        order_of_epoch(a, first);
        order_of_epoch(a, second);
        CHECK(memcmp(first, second, sizeof first) != 0);
        order_of_epoch(b, again);
        CHECK(memcmp(first, again, sizeof first) == 0);
        order_of_epoch(b, again);
        CHECK(memcmp(second, again, sizeof first) == 0);
        order_of_epoch(c, again);
        CHECK(memcmp(first, again, sizeof first) != 0);
        sessrec_batcher_destroy(a);
        sessrec_batcher_destroy(b);
        sessrec_batcher_destroy(c);
    }
    TEST("the mini-batches of a shuffled epoch are as many as announced in the first, and known at the end "
         "of every other") {
        sessrec_batcher *batcher = shuffled(log, sampler, 4, 7);
        sessrec_batch batch;
        const int64_t announced = sessrec_batcher_steps(batcher);
        int others = 0;
        for (int epoch = 0; epoch < 20; ++epoch) {
            int64_t steps = 0;
            while (!sessrec_batcher_next(batcher, &batch) && batch.rows) ++steps;
            CHECK(epoch || steps == announced);
            CHECK_EQ(sessrec_batcher_steps(batcher), steps);
            others += steps != announced;
        }
        CHECK(others > 0);
        const int64_t steps = sessrec_batcher_steps(batcher);
        CHECK_EQ(sessrec_batcher_seek(batcher, 19, steps, NULL), SESSREC_OK);
        CHECK_EQ(sessrec_batcher_next(batcher, &batch), SESSREC_OK);
        CHECK_EQ(batch.rows, 0);
        CHECK_EQ(sessrec_batcher_steps(batcher), steps);
        sessrec_batcher_destroy(batcher);
    }
    TEST("not shuffled, sessions come in the order of the log, in every epoch") {
        sessrec_config config = batches_of(1, 1);
        int wrong = 0;
        sessrec_batcher *batcher = batcher_of(&config, log, sampler);
        for (int epoch = 0; epoch < 3; ++epoch) {
            CHECK_EQ(order_of_epoch(batcher, first), MOST_SESSIONS);
            for (int i = 0; i < MOST_SESSIONS; ++i) wrong += first[i] != i;
        }
        CHECK_EQ(wrong, 0);
        sessrec_batcher_destroy(batcher);
    }
    sessrec_sampler_destroy(sampler);
    sessrec_log_destroy(log);
    TEST("all orders are equally likely") {
        static const int32_t three[3] = {2, 2, 2};
        sessrec_log *small = log_of_lengths(3, three);
        sessrec_sampler *negatives = sampler_of(small);
        sessrec_batcher *batcher = shuffled(small, negatives, 1, 1);
        int count[9] = {0};
        for (int epoch = 0; epoch < 6000; ++epoch) {
            order_of_epoch(batcher, first);
            count[first[0] * 3 + first[1]]++;
        }
        double chi_square = 0;
        for (int i = 0; i < 9; ++i)
            if (i / 3 != i % 3) chi_square += (count[i] - 1000.0) * (count[i] - 1000.0) / 1000;
        CHECK(chi_square < 25.7);  // 5 degrees of freedom, one in 10,000
        sessrec_batcher_destroy(batcher);
        sessrec_sampler_destroy(negatives);
        sessrec_log_destroy(small);
    }
}

// ---- seeking ----------------------------------------------------------------------------------------------

// Everything of a mini-batch as numbers, one after the other. Returns how many.
static int32_t flatten(const sessrec_batch *batch, int32_t *out) {
    int32_t n = 0;
    out[n++] = batch->epoch;
    out[n++] = (int32_t)batch->step;
    out[n++] = batch->rows;
    for (int32_t i = 0; i < batch->rows; ++i) {
        out[n++] = batch->inputs[i];
        out[n++] = batch->targets[i];
        out[n++] = batch->sessions[i];
        out[n++] = batch->session_starts[i];
        out[n++] = batch->session_starts[i] ? -1 : batch->previous_rows[i];
    }
    for (int32_t j = 0; j < batch->negative_count; ++j) out[n++] = batch->negatives[j];
    return n;
}

// Walks `walker` to every step of three epochs and `seeker` by seeking, and counts the mini-batches that
// differ in anything.
static int differing(sessrec_batcher *walker, sessrec_batcher *seeker) {
    int32_t a[128], b[128];
    sessrec_batch batch;
    int different = 0;
    for (int32_t epoch = 0; epoch < 3; ++epoch)
        for (int64_t step = 0;; ++step) {
            different += sessrec_batcher_next(walker, &batch) != SESSREC_OK;
            const int32_t rows = batch.rows, size = rows ? flatten(&batch, a) : 0;
            different += sessrec_batcher_seek(seeker, epoch, step, NULL) != SESSREC_OK;
            different += sessrec_batcher_next(seeker, &batch) || batch.rows != rows;
            if (!rows) break;
            different += flatten(&batch, b) != size || memcmp(a, b, (size_t)size * sizeof *a) != 0;
        }
    return different;
}

static void seeking(void) {
    TEST("seek goes where walking goes: pairs, states and negatives, backwards and forwards, shuffled or "
         "not") {
        uint32_t random = 88172645u;
        int different = 0;
        for (int n = 0; n < 300; ++n) {
            sessrec_log *log = some_log(&random, 1);
            sessrec_config config =
                batches_of(1 + random_below(&random, MOST_SLOTS), 1 + random_below(&random, 5));
            sessrec_sampler *sampler = sampler_of(log);
            sessrec_batcher *walker = NULL, *seeker = NULL;
            config.shuffle_sessions = n % 2;
            config.seed = (uint64_t)n;
            different += sessrec_batcher_create(&config, log, sampler, &walker, NULL) != SESSREC_OK;
            different += sessrec_batcher_create(&config, log, sampler, &seeker, NULL) != SESSREC_OK;
            if (walker && seeker) different += differing(walker, seeker);
            sessrec_batcher_destroy(walker);
            sessrec_batcher_destroy(seeker);
            sessrec_sampler_destroy(sampler);
            sessrec_log_destroy(log);
        }
        CHECK_EQ(different, 0);
    }
    static const char *const sessions[2] = {"abc", "de"};
    sessrec_log *log = letters_log(2, sessions, NULL);
    sessrec_config config = batches_of(2, 0);
    sessrec_batch batch;
    sessrec_batcher *batcher = batcher_of(&config, log, NULL);
    TEST("seeking to the end of an epoch finds it over, and the next one begins after it") {
        CHECK_EQ(sessrec_batcher_seek(batcher, 4, 1, NULL), SESSREC_OK);
        CHECK_EQ(sessrec_batcher_next(batcher, &batch), SESSREC_OK);
        CHECK_EQ(batch.rows, 0);
        CHECK_EQ(batch.epoch, 4);
        CHECK_EQ(sessrec_batcher_next(batcher, &batch), SESSREC_OK);
        CHECK_EQ(batch.epoch, 5);
        CHECK_EQ(batch.step, 0);
        CHECK_EQ(batch.rows, 2);
    }
    TEST("there is no step behind the end of an epoch") {
        for (int64_t step = 2; step < 9; ++step) {
            sessrec_error err;
            CHECK_EQ(sessrec_batcher_seek(batcher, 4, step, &err), SESSREC_INVALID_ARGUMENT);
            if (step == 2) CHECK_TEXT(err.text, "there is no step 2: epoch 5 of this log has 1");
            CHECK_EQ(sessrec_batcher_next(batcher, &batch), SESSREC_OK);
            CHECK_EQ(batch.epoch, 4);
            CHECK_EQ(batch.step, 0);
        }
    }
    TEST("there is no step and no epoch before the first") {
        CHECK_EQ(sessrec_batcher_seek(batcher, -1, 0, NULL), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_batcher_seek(batcher, 0, -1, NULL), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_batcher_next(batcher, NULL), SESSREC_INVALID_ARGUMENT);
    }
    sessrec_batcher_destroy(batcher);
    sessrec_log_destroy(log);
}

// ---- negatives --------------------------------------------------------------------------------------------

static void negatives(void) {
    TEST("every mini-batch of every epoch has negatives of its own") {
        const int32_t length[8] = {5, 5, 5, 5, 5, 5, 5, 5};
        sessrec_log *log = log_of_lengths(8, length);
        sessrec_sampler *sampler = sampler_of(log);
        sessrec_config config = batches_of(4, 24);
        sessrec_batch batch;
        int32_t seen[64][24];
        int batches = 0, repeated = 0;
        sessrec_batcher *batcher = batcher_of(&config, log, sampler);
        for (int epoch = 0; epoch < 3; ++epoch)
            while (!sessrec_batcher_next(batcher, &batch) && batch.rows && batches < 64) {
                for (int other = 0; other < batches; ++other)
                    repeated += !memcmp(seen[other], batch.negatives, sizeof seen[0]);
                memcpy(seen[batches++], batch.negatives, sizeof seen[0]);
            }
        CHECK_EQ(batches, 24);
        CHECK_EQ(repeated, 0);
        sessrec_batcher_destroy(batcher);
        sessrec_sampler_destroy(sampler);
        sessrec_log_destroy(log);
    }
    TEST("a failed allocation is OUT_OF_MEMORY and leaves nothing") {
        const int32_t length[2] = {3, 3};
        sessrec_log *log = log_of_lengths(2, length);
        counting_memory memory = {0, 0, 0};
        sessrec_config config = batches_of(2, 0);
        sessrec_batcher *batcher = NULL;
        config.allocator = counting_allocator(&memory);
        CHECK_EQ(sessrec_batcher_create(&config, log, NULL, &batcher, NULL), SESSREC_OUT_OF_MEMORY);
        CHECK(batcher == NULL);
        memory.fail_from = -1;
        batcher = batcher_of(&config, log, NULL);
        const int64_t requests = memory.requests;
        sessrec_batch batch;
        while (!sessrec_batcher_next(batcher, &batch) && batch.rows) continue;
        CHECK_EQ(memory.requests, requests);
        sessrec_batcher_destroy(batcher);
        CHECK_EQ(memory.blocks, 0);
        sessrec_log_destroy(log);
    }
}

int main(void) {
    random_logs();
    by_hand();
    nothing_to_learn();
    shuffling();
    seeking();
    negatives();
    return test_report("the batcher");
}
