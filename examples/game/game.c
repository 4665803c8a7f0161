// game.c - a bazaar that learns what its visitors look for, in levels of a minute at 60 frames a second
//
//     game [LEVELS [FRAMES]]
//
// The game comes with a model of last season's visits (made here by sessrec_train, in the studio). In this
// season other things are looked at one after another. Each level prints how often the next thing was among
// the five that were recommended, for the model as it came and for the one that learns between the levels;
// then what the frames cost, and what memory.
#define SESSREC_IMPLEMENTATION
#include "bazaar.h"

#include "../shop.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    MEMORY = 8 << 20,
    LAST_SEASON = 12000,            // visits
    RECENT = 400,                   // of them, that the game brings along for sessrec_trainer_warm_up
    FRAME_US = 50,                  // what a frame may spend on searches
    LEARN_MS = 200                  // and the pause between two levels on learning
};

static void check(sessrec_result result, const sessrec_error *err) {
    if (result >= 0) return;
    fprintf(stderr, "game: %s\n", err ? err->text : sessrec_result_text(result));
    exit(1);
}

// ---- in the studio: a model of last season ----

static sessrec_log *season_log(const shop *s, int32_t sessions, const sessrec_model *items_of) {
    sessrec_log_format format = sessrec_log_format_default();
    sessrec_log *log = NULL;
    sessrec_error err;
    format.items_of = items_of;
    check(sessrec_log_create(&format, &log, &err), &err);
    for (int32_t session = 0; session < sessions; ++session) check(shop_add_visit(s, session, log), NULL);
    check(sessrec_log_finish(log, &err), &err);
    return log;
}

static sessrec_model *last_season(const shop *s, const sessrec_config *config) {
    sessrec_model *model = NULL;
    sessrec_error err;
    sessrec_log *log = season_log(s, LAST_SEASON, NULL);
    check(sessrec_train(config, log, NULL, &model, &err), &err);
    sessrec_log_destroy(log);
    return model;
}

// ---- in play ----

// A visit that is being acted out.
typedef struct guest {
    int32_t clicks[SHOP_LONGEST], count, at;
    int32_t wait;                   // frames until the next click
} guest;

// Clicks whose visitors had a recommendation before, and those that were in it.
typedef struct tally {
    int32_t clicks, hits, frozen_hits;
} tally;

// The bazaar and who is in it; `frozen` are the same visits for the model as it came.
typedef struct stage {
    bazaar market;
    shop season;
    shop_dice dice;
    int32_t sessions;
    guest guests[VISITORS];
    sessrec_session *frozen[VISITORS];
    tally level;
    int32_t frames[10001];          // how many took so many microseconds; the last one: that or more
} stage;

static void open_stage(stage *play, const sessrec_config *settings, sessrec_model *shipped) {
    sessrec_config config = *settings;
    sessrec_error err;
    config.start_from = shipped;
    config.epochs = 1;              // the fewer, the larger are the steps: this season is another
    config.optimizer.learning_rate = 0.6f;
    sessrec_log *recent = season_log(&play->season, RECENT, shipped);
    check(bazaar_open(&play->market, &config, recent, &err), &err);
    sessrec_log_destroy(recent);
    const size_t size = sessrec_session_size(shipped, VISIT_ROOM);
    for (int i = 0; i < VISITORS; ++i) {
        void *room = bazaar_take(size);
        if (!room) check(SESSREC_OUT_OF_MEMORY, NULL);
        check(sessrec_session_init(shipped, VISIT_ROOM, room, size, &play->frozen[i], &err), &err);
    }
    play->dice = shop_dice_for(1, 0, 0);
}

// The number of a thing of the shop in the model; what nobody looked at last season counts as the first.
static int32_t find(const stage *play, int32_t thing) {
    char name[32];
    shop_item_name(&play->season, thing, name);
    const int32_t item = sessrec_model_find_item(play->market.model, name);
    return item < 0 ? 0 : item;
}

static int holds(const sessrec_recommendation *best, int32_t count, int32_t item) {
    for (int32_t i = 0; i < count; ++i)
        if (best[i].item == item) return 1;
    return 0;
}

// A guest's next click. What was recommended before it is counted, for both models.
static void act(stage *play, int32_t who) {
    sessrec_recommendation best[WANTED];
    sessrec_session *frozen = play->frozen[who];
    guest *g = &play->guests[who];
    const int32_t item = g->clicks[g->at++];
    const bazaar_visitor *v = &play->market.visitors[who];
    if (v->visit.count && !v->searching) {
        const int32_t count = sessrec_recommend(frozen, WANTED, best);
        check(count, NULL);
        ++play->level.clicks;
        play->level.hits += holds(v->best, v->count, item);
        play->level.frozen_hits += holds(best, count, item);
    }
    check(bazaar_click(&play->market, who, item), NULL);
    check(sessrec_session_click(frozen, item), NULL);
}

// A guest's turn: they click, or leave and another one comes.
static void take_turn(stage *play, int32_t who) {
    guest *g = &play->guests[who];
    g->wait = 240 + shop_below(&play->dice, 240);
    if (g->at == g->count) {
        bazaar_leave(&play->market, who);
        sessrec_session_end(play->frozen[who]);
        g->count = shop_visit(&play->season, play->sessions++, g->clicks);
        g->at = 0;
        for (int32_t i = 0; i < g->count; ++i) g->clicks[i] = find(play, g->clicks[i]);
    }
    act(play, who);
}

static void play_level(stage *play, int number, int frames) {
    enum { LONGEST = (int)(sizeof play->frames / sizeof *play->frames) - 1 };
    memset(&play->level, 0, sizeof play->level);
    for (int frame = 0; frame < frames; ++frame) {
        for (int32_t who = 0; who < VISITORS; ++who)
            if (play->guests[who].wait-- <= 0) take_turn(play, who);
        const double begin = bazaar_clock();
        check(bazaar_frame(&play->market, (double)FRAME_US * 1e-6), NULL);
        const double took = (bazaar_clock() - begin) * 1e6;
        ++play->frames[took < (double)LONGEST ? (int)took : LONGEST];
    }
    const int32_t learned = bazaar_learn(&play->market, (double)LEARN_MS * 1e-3);
    check(learned, NULL);
    const double clicks = play->level.clicks ? play->level.clicks : 1;
    printf("%5d %8d %13.3f %11.3f %17d\n", number, (int)play->level.clicks, play->level.frozen_hits / clicks,
           play->level.hits / clicks, (int)learned);
    fflush(stdout);
}

// The time that a share of the frames stayed below.
static int frame_time(const stage *play, double share) {
    const int count = (int)(sizeof play->frames / sizeof *play->frames);
    double all = 0, below = 0;
    int us = 0;
    for (int i = 0; i < count; ++i) all += play->frames[i];
    while (us < count && (below += play->frames[us]) < share * all) ++us;
    return us + 1;
}

int main(int argc, char **argv) {
    static unsigned char block[MEMORY + PIECE_UNIT];
    static stage play;
    static game_jobs jobs;
    const int levels = argc > 1 ? atoi(argv[1]) : 6, frames = argc > 2 ? atoi(argv[2]) : 3600;
    sessrec_config config = sessrec_config_default();
    if (levels < 1 || frames < 1) {
        fprintf(stderr, "usage: game [LEVELS [FRAMES]]\n");
        return 2;
    }
    bazaar_memory_init(block + (PIECE_UNIT - (uintptr_t)block % PIECE_UNIT) % PIECE_UNIT, MEMORY);
    if (game_jobs_init(&jobs)) {
        fprintf(stderr, "game: no thread could be started\n");
        return 1;
    }
    config.hidden[0] = 32;
    config.negatives = 64;
    config.epochs = 4;
    config.optimizer.momentum = 0;  // one array less for each matrix
    config.threads = GAME_THREADS;
    config.jobs.run = game_jobs_run;
    config.jobs.user = &jobs;
    play.season = shop_default();
    sessrec_model *shipped = last_season(&play.season, &config);
    open_stage(&play, &config, shipped);

    const int64_t takes = bazaar_memory.takes;
    const size_t studio = bazaar_memory.most;
    play.season.seed = 2;           // this season
    printf("Recall@5 of %d things\nlevel   clicks    as it came    learning    visits learned\n",
           (int)play.market.item_count);
    for (int level = 1; level <= levels; ++level) play_level(&play, level, frames);
    printf("frames       half below %d us, 99 %% below %d us, the longest %d us; allowed are %d us\n",
           frame_time(&play, 0.5), frame_time(&play, 0.99), frame_time(&play, 1), FRAME_US);
    printf("memory       %.2f MB in play, before it up to %.2f MB, of one block of %.2f MB\n",
           (double)bazaar_memory.used / 1e6, (double)studio / 1e6, (double)MEMORY / 1e6);
    printf("allocations  %d in play\n", (int)(bazaar_memory.takes - takes));

    const int allocated = bazaar_memory.takes != takes;
    bazaar_close(&play.market);
    for (int i = 0; i < VISITORS; ++i) bazaar_give(play.frozen[i]);
    sessrec_model_destroy(shipped);
    game_jobs_close(&jobs);
    return allocated || bazaar_memory.used;
}
