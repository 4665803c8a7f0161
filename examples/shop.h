// shop.h - a made-up shop whose visitors can be learned from
//
// A log of clicks that needs no download and no licence. Visitors come with an intent, one kind of thing; some things are clicked far
// more often than others (Zipf); and after a thing people like to look at certain other things. So popularity explains a little, the
// current session more, and the order of the clicks most. Nothing here depends on the platform: integers only, and a session's clicks
// are a function of (seed, number of the session).
//
//     sessrec_dataset *log;
//     if (shop_log(shop_default(), &log, &error) == SESSREC_OK) ...

#ifndef SHOP_H
#define SHOP_H

#include "../sessrec.h"

#include <stdio.h>

#define SHOP_KINDS 40
#define SHOP_OPENING 1704067200     // 2024-01-01 00:00 UTC
#define SHOP_DAY 86400

typedef struct shop {
    int32_t items;      // a multiple of SHOP_KINDS
    int32_t sessions;
    int32_t days;
    uint64_t seed;
} shop;

static shop shop_default(void) {
    shop s;
    s.items = 2000;
    s.sessions = 25000;
    s.days = 30;
    s.seed = 1;
    return s;
}

// Kind k and kind k ^ 1 are companions: who looks at lamps looks at bulbs too.
static const char *shop_kind(int32_t kind) {
    static const char *const names[SHOP_KINDS] = {
        "lamp",   "bulb",  "chair", "table", "sofa",   "rug",   "shelf",  "book",  "bed",   "pillow", "mirror", "brush", "clock", "watch",
        "kettle", "mug",   "pan",   "knife", "plate",  "spoon", "towel",  "soap",  "shirt", "tie",    "coat",   "scarf", "boot",  "sock",
        "bag",    "purse", "ball",  "racket", "tent",  "torch", "bike",   "helmet", "pen",  "paper",  "game",   "dice"};
    return names[kind];
}

// ---- chance ----

typedef struct shop_dice {
    uint64_t state;
} shop_dice;

static uint64_t shop_mix(uint64_t x) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

// Dice that belong to one thing in the shop: a session, or an item.
static shop_dice shop_dice_for(uint64_t seed, uint64_t what, uint64_t number) {
    shop_dice d;
    d.state = shop_mix(shop_mix(seed * 4 + what) + number);
    return d;
}

// Uniform in [0,n).
static int32_t shop_below(shop_dice *d, int32_t n) {
    d->state += 0x9e3779b97f4a7c15u;
    return (int32_t)(((shop_mix(d->state) >> 32) * (uint64_t)n) >> 32);
}

// A rank in [0,n) with probability ~ 1 / (rank + 3), by rejection.
static int32_t shop_zipf(shop_dice *d, int32_t n) {
    int32_t rank;
    do {
        rank = shop_below(d, n);
    } while (shop_below(d, rank + 3) >= 3);
    return rank;
}

// ---- what visitors do ----

static int32_t shop_popular(const shop *s, shop_dice *d, int32_t kind) {
    int32_t each = s->items / SHOP_KINDS;
    return kind * each + shop_zipf(d, each);
}

// What people look at after an item: three things that never change, the first much more often than the last. The third is of the
// companion kind.
static int32_t shop_follower(const shop *s, shop_dice *d, int32_t item) {
    int32_t each = s->items / SHOP_KINDS, kind = item / each, chance = shop_below(d, 10);
    int32_t which = chance < 6 ? 0 : chance < 9 ? 1 : 2;
    shop_dice fixed = shop_dice_for(s->seed, 1, (uint64_t)item * 3 + (uint64_t)which);
    return (which == 2 ? kind ^ 1 : kind) * each + shop_below(&fixed, each);
}

#define SHOP_LONGEST 30

// One visit to clicks [SHOP_LONGEST]; returns how many. Two at least, five on average.
static int32_t shop_visit(const shop *s, int32_t session, int32_t *clicks) {
    shop_dice d = shop_dice_for(s->seed, 0, (uint64_t)session);
    int32_t intent = shop_zipf(&d, SHOP_KINDS), count = 1;
    clicks[0] = shop_popular(s, &d, intent);
    do {
        int32_t mood = shop_below(&d, 100), last = clicks[count - 1], next;
        if (mood < 45) next = shop_follower(s, &d, last);
        else if (mood < 75) next = shop_popular(s, &d, intent);
        else if (mood < 85) next = shop_popular(s, &d, intent ^ 1);
        else next = clicks[shop_below(&d, count)];  // back to something seen before
        clicks[count++] = next;
    } while (count < SHOP_LONGEST && (count < 2 || shop_below(&d, 4)));
    return count;
}

// ---- the log ----

// Item 16 of the first kind is "lamp-17".
static void shop_item_name(const shop *s, int32_t item, char name[32]) {
    int32_t each = s->items / SHOP_KINDS;
    snprintf(name, 32, "%s-%d", shop_kind(item / each), (int)(item % each + 1));
}

static sessrec_result shop_add_visit(const shop *s, int32_t session, sessrec_dataset *log) {
    shop_dice pace = shop_dice_for(s->seed, 2, (uint64_t)session);
    int32_t clicks[SHOP_LONGEST], count = shop_visit(s, session, clicks);
    int64_t time = SHOP_OPENING + (int64_t)s->days * SHOP_DAY * session / s->sessions;
    char visit[32], name[32];
    snprintf(visit, sizeof visit, "visit-%d", (int)(session + 1));
    for (int32_t i = 0; i < count; ++i) {
        shop_item_name(s, clicks[i], name);
        sessrec_result result = sessrec_dataset_add(log, NULL, visit, name, (double)time);
        if (result != SESSREC_OK) return result;
        time += 5 + shop_below(&pace, 116);
    }
    return SESSREC_OK;
}

// Makes the log; the caller destroys it. NULL after a failure.
static sessrec_result shop_log(shop s, sessrec_dataset **out, sessrec_error *err) {
    sessrec_result result = sessrec_dataset_create(NULL, out);
    for (int32_t session = 0; result == SESSREC_OK && session < s.sessions; ++session) result = shop_add_visit(&s, session, *out);
    if (err) snprintf(err->text, sizeof err->text, "%s", sessrec_result_text(result));  // finish says more
    if (result == SESSREC_OK) result = sessrec_dataset_finish(*out, err);
    if (result == SESSREC_OK) return SESSREC_OK;
    if (err) err->code = result;
    sessrec_dataset_destroy(*out);
    *out = NULL;
    return result;
}

#endif // SHOP_H
