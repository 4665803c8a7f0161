// The game of examples/game: searches that are cut into slices, one block of memory, the game's own threads,
// and learning in play.
#define SESSREC_IMPLEMENTATION
#include "../examples/game/bazaar.h"

#include "../examples/shop.h"

#include "test.h"

enum { MEMORY = 4 << 20, ITEMS = 2000 };

static unsigned char block[MEMORY + PIECE_UNIT];
static game_jobs jobs;
static bazaar b;

static void new_memory(size_t size) {
    bazaar_memory_init(block + (PIECE_UNIT - (uintptr_t)block % PIECE_UNIT) % PIECE_UNIT, size);
}

static sessrec_config small_config(void) {
    sessrec_config config = sessrec_config_default();
    config.hidden[0] = 16;
    config.negatives = 32;
    config.epochs = 1;
    config.optimizer.momentum = 0;
    config.threads = GAME_THREADS;
    config.jobs.run = game_jobs_run;
    config.jobs.user = &jobs;
    return config;
}

static sessrec_log *visits(int32_t sessions) {
    shop s = shop_default();
    sessrec_log *log = NULL;
    s.items = ITEMS;
    s.sessions = sessions;
    return shop_log(s, &log, NULL) ? NULL : log;
}

static sessrec_model *trained(const sessrec_config *config) {
    sessrec_model *model = NULL;
    sessrec_log *log = visits(2000);
    if (log) sessrec_train(config, log, NULL, &model, NULL);
    sessrec_log_destroy(log);
    return model;
}

// Opens the bazaar with a model that has just been trained, which is forgotten again.
static sessrec_result open_bazaar(size_t memory) {
    sessrec_config config = small_config();
    sessrec_log_format format = sessrec_log_format_default();
    sessrec_log *recent = NULL;
    sessrec_error err;
    new_memory(MEMORY);
    sessrec_model *model = trained(&config);
    if (!model) return SESSREC_OUT_OF_MEMORY;
    shop s = shop_default();
    s.items = ITEMS;
    config.start_from = format.items_of = model;
    sessrec_log_create(&format, &recent, NULL);
    for (int32_t session = 0; session < 50; ++session) shop_add_visit(&s, session, recent);
    sessrec_result result = sessrec_log_finish(recent, &err);
    void *rest = NULL;              // all but `memory` bytes are somebody else's
    if (memory < MEMORY) {
        for (size_t size = MEMORY; size > memory; size -= PIECE_UNIT) {
            if ((rest = bazaar_take(size - memory)) != NULL) break;
        }
    }
    if (!result) result = bazaar_open(&b, &config, recent, &err);
    bazaar_give(rest);
    sessrec_log_destroy(recent);
    sessrec_model_destroy(model);
    return result;
}

// ---- a clock that goes on by `tick` with every look ----

static double clock_time, clock_tick;
static double test_clock(void) {
    return clock_time += clock_tick;
}

// Frames until every search has ended; how many, or -1.
static int32_t all_frames(double budget) {
    for (int32_t frames = 0; frames < 100000; ++frames) {
        int32_t searching = 0;
        for (int32_t who = 0; who < VISITORS; ++who) searching += b.visitors[who].searching;
        if (!searching) return frames;
        if (bazaar_frame(&b, budget) < 0) return -1;
    }
    return -1;
}

static void searches(void) {
    CHECK_EQ(open_bazaar(MEMORY), SESSREC_OK);
    b.now = test_clock;
    TEST("a search that is cut into slices finds what one search finds, in order and to the bit") {
        for (double budget = 0; budget < 100; budget = budget * 3 + 1) {
            int wrong = 0;
            clock_tick = 1;
            for (int32_t who = 0; who < VISITORS; ++who)
                for (int32_t click = 0; click <= who % 4; ++click)
                    wrong += bazaar_click(&b, who, (who * who * 31 + click * 977) % b.item_count) != 0;
            CHECK(all_frames(budget) > 0);
            for (int32_t who = 0; who < VISITORS; ++who) {
                sessrec_recommendation best[WANTED];
                const bazaar_visitor *v = &b.visitors[who];
                wrong += sessrec_recommend(v->session, WANTED, best) != WANTED || v->count != WANTED ||
                         memcmp(best, v->best, sizeof best) != 0;
                bazaar_leave(&b, who);
            }
            CHECK_EQ(wrong, 0);
        }
    }
    TEST("a click in the middle of a search begins it anew") {
        sessrec_recommendation best[WANTED];
        clock_tick = 1;
        CHECK_EQ(bazaar_click(&b, 3, 11), SESSREC_OK);
        CHECK_EQ(bazaar_frame(&b, 0), 1);
        CHECK_EQ(b.visitors[3].searched, SLICE);
        CHECK_EQ(bazaar_click(&b, 3, 12), SESSREC_OK);
        CHECK(all_frames(0) > 0);
        CHECK_EQ(sessrec_recommend(b.visitors[3].session, WANTED, best), WANTED);
        CHECK(!memcmp(best, b.visitors[3].best, sizeof best));
        bazaar_leave(&b, 3);
    }
    TEST("no slice begins that is not expected to end within the frame") {
        clock_tick = 5;             // a slice takes 5, and so does a look at the clock before it
        CHECK_EQ(bazaar_click(&b, 0, 1), SESSREC_OK);
        CHECK_EQ(bazaar_click(&b, 1, 2), SESSREC_OK);
        CHECK(all_frames(1e9) == 1);  // the clock has been learned
        CHECK_EQ(bazaar_click(&b, 0, 3), SESSREC_OK);
        CHECK_EQ(bazaar_click(&b, 1, 4), SESSREC_OK);
        for (int frame = 0; frame < 3; ++frame) {
            CHECK_EQ(bazaar_frame(&b, 48), 4);  // they end at 10, 20, 30, 40; a fifth would at 50
        }
    }
    TEST("a frame without time still does one slice, so that searches end") {
        CHECK_EQ(bazaar_click(&b, 5, 7), SESSREC_OK);
        CHECK_EQ(bazaar_frame(&b, 0), 1);
        CHECK(all_frames(0) > 0);
    }
    bazaar_close(&b);
}

static void memory(void) {
    TEST("nothing is allocated in play") {
        CHECK_EQ(open_bazaar(MEMORY), SESSREC_OK);
        const int64_t takes = bazaar_memory.takes;
        const size_t used = bazaar_memory.used, most = bazaar_memory.most;
        int failed = 0;
        for (int32_t turn = 0; turn < 4000; ++turn) {
            failed += bazaar_click(&b, turn % VISITORS, (turn * 7) % b.item_count) != 0;
            failed += bazaar_frame(&b, 1e-4) < 0;
            if (turn % 3 == 0) bazaar_leave(&b, (turn * 5) % VISITORS);
            if (turn % 500 == 499) failed += bazaar_learn(&b, 1) < 0;
        }
        CHECK_EQ(failed, 0);
        CHECK_EQ(bazaar_memory.takes - takes, 0);
        CHECK_EQ(bazaar_memory.used, used);
        CHECK_EQ(bazaar_memory.most, most);
        bazaar_close(&b);
        CHECK_EQ(bazaar_memory.used, 0);
    }
    TEST("what does not fit into the block is OUT_OF_MEMORY, and nothing is left behind") {
        int fitted = 0, refused = 0;
        for (size_t memory_size = 1 << 15; memory_size <= 3u << 20; memory_size += memory_size / 3) {
            const sessrec_result result = open_bazaar(memory_size);
            if (!result) {
                ++fitted;
                bazaar_close(&b);
            } else {
                refused += result == SESSREC_OUT_OF_MEMORY;
                CHECK_EQ(result, SESSREC_OUT_OF_MEMORY);
            }
            CHECK_EQ(bazaar_memory.used, 0);
        }
        CHECK(fitted > 0 && refused > 2);
    }
    TEST("pieces do not overlap, and make one block again when all have been given back") {
        unsigned char *pieces[50] = {NULL};
        shop_dice dice = shop_dice_for(7, 0, 0);
        int wrong = 0;
        new_memory(1 << 16);
        for (int step = 0; step < 5000; ++step) {
            const int i = shop_below(&dice, 50), size = 1 + shop_below(&dice, 3000);
            if (pieces[i]) {
                const int length = pieces[i][0] | pieces[i][1] << 8;
                for (int k = 2; k < length; ++k) wrong += pieces[i][k] != (unsigned char)i;
                bazaar_give(pieces[i]);
                pieces[i] = NULL;
            } else if (size >= 2 && (pieces[i] = (unsigned char *)bazaar_take((size_t)size)) != NULL) {
                memset(pieces[i], i, (size_t)size);
                pieces[i][0] = (unsigned char)size;
                pieces[i][1] = (unsigned char)(size >> 8);
                wrong += (uintptr_t)pieces[i] % PIECE_UNIT != 0;
            }
        }
        for (int i = 0; i < 50; ++i) bazaar_give(pieces[i]);
        CHECK_EQ(wrong, 0);
        CHECK_EQ(bazaar_memory.used, 0);
        CHECK(bazaar_take((1 << 16) - PIECE_UNIT) != NULL);
        CHECK(!bazaar_take(1));
    }
}

static void learning(void) {
    TEST("what visitors did is recommended after the level in which they did it") {
        CHECK_EQ(open_bazaar(MEMORY), SESSREC_OK);
        const int32_t item = 17, next = 1234;
        bazaar_click(&b, 0, item);
        CHECK(all_frames(1) > 0);
        for (int32_t i = 0; i < WANTED; ++i) CHECK(b.visitors[0].best[i].item != next);
        bazaar_leave(&b, 0);
        for (int visit = 0; visit < 200; ++visit) {
            bazaar_click(&b, 1, item);
            bazaar_click(&b, 1, next);
            bazaar_leave(&b, 1);
        }
        CHECK_EQ(bazaar_learn(&b, 100), 200);
        CHECK_EQ(b.ring_count, 0);
        bazaar_click(&b, 0, item);
        CHECK(all_frames(1) > 0);
        CHECK_EQ(b.visitors[0].best[0].item, next);
        bazaar_leave(&b, 0);
    }
    TEST("the ring forgets the oldest visits, and learning stops with its time") {
        for (int visit = 0; visit < RING + 50; ++visit) {
            bazaar_click(&b, 1, visit % b.item_count);
            bazaar_click(&b, 1, (visit + 1) % b.item_count);
            bazaar_leave(&b, 1);
        }
        CHECK_EQ(b.ring_count, RING);
        CHECK_EQ(b.ring[b.ring_next].clicks[0], 50);
        b.now = test_clock;
        clock_tick = 1;
        CHECK_EQ(bazaar_learn(&b, 9), 8);
        CHECK_EQ(b.ring_count, RING - 8);
        bazaar_close(&b);
    }
    TEST("of a long visit the last clicks are kept") {
        CHECK_EQ(open_bazaar(MEMORY), SESSREC_OK);
        for (int32_t click = 0; click < VISIT_ROOM + 5; ++click) bazaar_click(&b, 0, click);
        CHECK_EQ(b.visitors[0].visit.count, VISIT_ROOM);
        CHECK_EQ(b.visitors[0].visit.clicks[0], 5);
        CHECK_EQ(b.visitors[0].visit.clicks[VISIT_ROOM - 1], VISIT_ROOM + 4);
        bazaar_close(&b);
    }
    TEST("the game's threads train the same model as one thread") {
        sessrec_config config = small_config();
        new_memory(MEMORY);
        const int64_t served = jobs.served;
        sessrec_model *together = trained(&config);
        CHECK(jobs.served > served);
        config.threads = 1;
        config.jobs.run = NULL;
        sessrec_model *alone = trained(&config);
        sessrec_tensor x, y;
        CHECK(!sessrec_model_tensor(together, "Wy", &x) && !sessrec_model_tensor(alone, "Wy", &y));
        CHECK(!memcmp(x.data, y.data, sizeof(float) * (size_t)x.rows * (size_t)x.columns));
        sessrec_model_destroy(together);
        sessrec_model_destroy(alone);
    }
}

int main(void) {
    if (game_jobs_init(&jobs)) {
        SKIP("the game", "no thread can be started");
        return test_report("game");
    }
    searches();
    memory();
    learning();
    game_jobs_close(&jobs);
    return test_report("game");
}
