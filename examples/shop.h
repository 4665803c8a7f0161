// shop.h - a made-up shop whose visitors can be learned from
//
// A log of clicks that needs no download and no licence. Visitors come with an intent, one kind of thing;
// some things are clicked far more often than others (Zipf); and after a thing people like to look at certain
// other things. So popularity explains a little, the current session more, and the order of the clicks most.
// Nothing here depends on the platform: integers only, and a session's clicks are a function of (seed, number
// of the session).
//
// With users, visitors come back, some often, some rarely. Each has a lasting taste: whatever he comes for,
// he also looks at things of that one kind. As the shop is made up, the best that any recommender could do in
// it can be computed: see "the best there is".
//
//     sessrec_log *log;
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
    // Of a hundred clicks after the first, how many go to what follows the last item, to the kind that the
    // visit is for, to its companion, and to the kind that the visitor has a taste for on that day. The
    // others go back to something seen in the visit.
    int32_t follow, intent, companion, taste;
    int32_t stay;       // a visit ends after a click with one chance in so many, so it is longer the higher
                        // the number
    int32_t users;      // 0: nobody is known
    int32_t lasting;    // of a hundred visits, how many have the visitor's lasting taste; in the others it is
                        // any kind. 0: who comes says nothing
} shop;

static shop shop_default(void) {
    shop s;
    s.items = 2000;
    s.sessions = 25000;
    s.days = 30;
    s.seed = 1;
    s.follow = 45;
    s.intent = 30;
    s.companion = 10;
    s.stay = 4;
    s.taste = s.users = s.lasting = 0;
    return s;
}

// A shop with visitors who come back.
static inline shop shop_with_users(void) {
    shop s = shop_default();
    s.items = 200;
    s.sessions = 60000;
    s.stay = 3;
    s.follow = 10;
    s.intent = 10;
    s.companion = 0;
    s.taste = 65;
    s.users = 7500;
    s.lasting = 90;
    return s;
}

// Kind k and kind k ^ 1 are companions: who looks at lamps looks at bulbs too.
static const char *shop_kind(int32_t kind) {
    static const char *const names[SHOP_KINDS] = {
        "lamp",   "bulb",   "chair", "table", "sofa",   "rug",    "shelf", "book",  "bed",   "pillow",
        "mirror", "brush",  "clock", "watch", "kettle", "mug",    "pan",   "knife", "plate", "spoon",
        "towel",  "soap",   "shirt", "tie",   "coat",   "scarf",  "boot",  "sock",  "bag",   "purse",
        "ball",   "racket", "tent",  "torch", "bike",   "helmet", "pen",   "paper", "game",  "dice"};
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

// Dice that belong to one thing in the shop: 0 a session, 1 an item, 2 the pace of a session, 3 who comes,
// and their taste.
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

// What people look at after an item: three things that never change. The third is of the companion kind.
static int32_t shop_follows(const shop *s, int32_t item, int32_t which) {
    int32_t each = s->items / SHOP_KINDS, kind = item / each;
    shop_dice fixed = shop_dice_for(s->seed, 1, (uint64_t)item * 3 + (uint64_t)which);
    return (which == 2 ? kind ^ 1 : kind) * each + shop_below(&fixed, each);
}

// One of them, the first much more often than the last.
static int32_t shop_follower(const shop *s, shop_dice *d, int32_t item) {
    int32_t chance = shop_below(d, 10);
    return shop_follows(s, item, chance < 6 ? 0 : chance < 9 ? 1 : 2);
}

// The kind that a user has a lasting taste for.
static int32_t shop_taste(const shop *s, int32_t user) {
    shop_dice d = shop_dice_for(s->seed, 3, (uint64_t)user * 2 + 1);
    return shop_below(&d, SHOP_KINDS);
}

// Who comes (-1: an unknown visitor), and into *taste the kind that they like on that day. The lower a user's
// number, the more often they come.
static int32_t shop_visitor(const shop *s, int32_t session, int32_t *taste) {
    shop_dice d = shop_dice_for(s->seed, 3, (uint64_t)session * 2);
    int32_t a, b, user;
    *taste = shop_below(&d, SHOP_KINDS);
    if (!s->users) return -1;
    a = shop_below(&d, s->users);
    b = shop_below(&d, s->users);
    user = a < b ? a : b;
    if (shop_below(&d, 100) < s->lasting) *taste = shop_taste(s, user);
    return user;
}

#define SHOP_LONGEST 30

// One visit to clicks [SHOP_LONGEST]; returns how many. Two at least, five on average.
static int32_t shop_visit(const shop *s, int32_t session, int32_t *clicks) {
    shop_dice d = shop_dice_for(s->seed, 0, (uint64_t)session);
    int32_t intent = shop_zipf(&d, SHOP_KINDS), taste, count = 1;
    shop_visitor(s, session, &taste);
    clicks[0] = shop_popular(s, &d, intent);
    do {
        int32_t mood = shop_below(&d, 100), last = clicks[count - 1], next;
        if (mood < s->follow) next = shop_follower(s, &d, last);
        else if ((mood -= s->follow) < s->intent) next = shop_popular(s, &d, intent);
        else if ((mood -= s->intent) < s->companion) next = shop_popular(s, &d, intent ^ 1);
        else if ((mood -= s->companion) < s->taste) next = shop_popular(s, &d, taste);
        else next = clicks[shop_below(&d, count)];  // back to something seen before
        clicks[count++] = next;
    } while (count < SHOP_LONGEST && (count < 2 || shop_below(&d, s->stay)));
    return count;
}

// ---- the best there is ----
// Who knows how the shop works still does not know what comes next, only how probable each item is. No list
// of five items can be right more often than the five most probable ones, so the mean of their probability is
// the best possible Recall@5. The kind of the first click is the visit's intent; only the taste of the day is
// hidden, and Bayes' rule says what the clicks tell about it.

// How probable it is that shop_popular comes to an item if the kind is right: the mean of 3 / (rank + 3) over
// the ranks is the part that the rejection lets through.
static inline double shop_popularity(const shop *s, int32_t item) {
    int32_t each = s->items / SHOP_KINDS;
    double all = 0;
    for (int32_t rank = 0; rank < each; ++rank) all += 1.0 / (rank + 3);
    return 1.0 / (item % each + 3) / all;
}

// P(next = item | clicks, taste) but for the part that the taste explains, to p [items].
static inline void shop_expect_visit(const shop *s, int32_t count, const int32_t *clicks, double *p) {
    static const double chance[3] = {0.6, 0.3, 0.1};
    int32_t each = s->items / SHOP_KINDS, intent = clicks[0] / each, last = clicks[count - 1];
    int32_t back = 100 - s->follow - s->intent - s->companion - s->taste;
    for (int32_t i = 0; i < s->items; ++i) p[i] = 0;
    for (int32_t i = 0; i < each; ++i) {
        p[intent * each + i] += s->intent * 0.01 * shop_popularity(s, i);
        p[(intent ^ 1) * each + i] += s->companion * 0.01 * shop_popularity(s, i);
    }
    for (int32_t which = 0; which < 3; ++which)
        p[shop_follows(s, last, which)] += s->follow * 0.01 * chance[which];
    for (int32_t i = 0; i < count; ++i) p[clicks[i]] += back * 0.01 / count;
}

// P(next = item | clicks, user) to p [items]. user -1: for one who does not know who it is.
static inline void shop_expect(const shop *s, int32_t user, int32_t count, const int32_t *clicks, double *p) {
    double weight[SHOP_KINDS], sum = 0;  // P(taste, clicks)
    int32_t each = s->items / SHOP_KINDS;
    for (int32_t k = 0; k < SHOP_KINDS; ++k) weight[k] = (user < 0 ? 1 : 1 - s->lasting * 0.01) / SHOP_KINDS;
    if (user >= 0) weight[shop_taste(s, user)] += s->lasting * 0.01;
    for (int32_t seen = 1; seen < count; ++seen) {
        int32_t next = clicks[seen];
        shop_expect_visit(s, seen, clicks, p);
        for (int32_t k = 0; k < SHOP_KINDS; ++k)
            weight[k] *= p[next] + (next / each == k ? s->taste * 0.01 * shop_popularity(s, next) : 0);
    }
    shop_expect_visit(s, count, clicks, p);
    for (int32_t k = 0; k < SHOP_KINDS; ++k) sum += weight[k];
    for (int32_t i = 0; i < each; ++i) {
        const double popularity = shop_popularity(s, i);
        for (int32_t k = 0; k < SHOP_KINDS; ++k)
            p[k * each + i] += s->taste * 0.01 * weight[k] / sum * popularity;
    }
}

// The best possible Recall@k: the sum of the k largest of p [items], which are set to -1.
static inline double shop_best(const shop *s, int32_t k, double *p) {
    double sum = 0;
    for (; k > 0; --k) {
        int32_t best = 0;
        for (int32_t i = 1; i < s->items; ++i)
            if (p[i] > p[best]) best = i;
        sum += p[best];
        p[best] = -1;
    }
    return sum;
}

// ---- the log ----

// Item 16 of the first kind is "lamp-17".
static void shop_item_name(const shop *s, int32_t item, char name[32]) {
    int32_t each = s->items / SHOP_KINDS;
    snprintf(name, 32, "%s-%d", shop_kind(item / each), (int)(item % each + 1));
}

static sessrec_result shop_add_visit(const shop *s, int32_t session, sessrec_log *log) {
    shop_dice pace = shop_dice_for(s->seed, 2, (uint64_t)session);
    int32_t clicks[SHOP_LONGEST], count = shop_visit(s, session, clicks), taste,
                                  user = shop_visitor(s, session, &taste);
    int64_t time = SHOP_OPENING + (int64_t)s->days * SHOP_DAY * session / s->sessions;
    char visit[32], name[32], visitor[32];
    snprintf(visit, sizeof visit, "visit-%d", (int)(session + 1));
    snprintf(visitor, sizeof visitor, "visitor-%d", (int)(user + 1));
    for (int32_t i = 0; i < count; ++i) {
        shop_item_name(s, clicks[i], name);
        sessrec_result result = sessrec_log_add(log, user < 0 ? NULL : visitor, visit, name, (double)time);
        if (result != SESSREC_OK) return result;
        time += 5 + shop_below(&pace, 116);
    }
    return SESSREC_OK;
}

// Makes the log; the caller destroys it. NULL after a failure.
static inline sessrec_result shop_log(shop s, sessrec_log **out, sessrec_error *err) {
    sessrec_result result = sessrec_log_create(NULL, out, NULL);
    for (int32_t session = 0; result == SESSREC_OK && session < s.sessions; ++session)
        result = shop_add_visit(&s, session, *out);
    if (err) snprintf(err->text, sizeof err->text, "%s", sessrec_result_text(result));  // finish says more
    if (result == SESSREC_OK) result = sessrec_log_finish(*out, err);
    if (result == SESSREC_OK) return SESSREC_OK;
    if (err) err->code = result;
    sessrec_log_destroy(*out);
    *out = NULL;
    return result;
}

#endif // SHOP_H
