// stream.c - serve recommendations to visitors whose clicks come in mixed up
//
// One model is shared by all visitors, and so is the scratch of a thread. Each visitor's state lies in memory
// of ours, here two fixed slots of a pool as a game would have them: a click allocates nothing. Then a
// visitor leaves, and the state goes on as bytes in another slot.

#define SESSREC_IMPLEMENTATION
#include "../sessrec.h"

#include "shop.h"

#include <stdio.h>
#include <string.h>

enum { SLOTS = 2, SLOT_BYTES = 512, SCRATCH_BYTES = 4096, REMEMBER = 16, TOP = 4 };

static unsigned char pool[SLOTS + 1][SLOT_BYTES], scratch_bytes[SCRATCH_BYTES];

// A model of a small made-up shop.
static sessrec_model *learn(void) {
    sessrec_error error = {SESSREC_OK, 0, ""};
    sessrec_log *log = NULL;
    sessrec_model *model = NULL;
    sessrec_config config = sessrec_config_default();
    shop plan = shop_default();
    plan.items = 400;
    plan.sessions = 4000;
    config.hidden[0] = 32;
    config.negatives = 64;
    config.epochs = 5;
    if (shop_log(plan, &log, &error) != SESSREC_OK ||
        sessrec_train(&config, log, NULL, &model, &error) != SESSREC_OK)
        fprintf(stderr, "%s\n", error.text);
    sessrec_log_destroy(log);
    return model;
}

// Never recommend what is out of stock. Asked only about items that would be shown.
static int32_t out_of_stock(void *user, int32_t item) {
    return !strcmp(sessrec_model_item_id((const sessrec_model *)user, item), "lamp-3");
}

static void show(const char *who, const char *clicked, const sessrec_model *model, sessrec_session *session) {
    sessrec_query query = sessrec_query_default();
    sessrec_recommendation best[TOP];
    int32_t count = 0;
    query.k = TOP;          // skip_seen is on: not what this visitor has clicked
    query.veto = out_of_stock;
    query.veto_user = (void *)model;
    sessrec_session_recommend(session, &query, best, &count, NULL);
    printf("%-5s  %-8s ->", who, clicked);
    for (int32_t i = 0; i < count; ++i) printf("  %s", sessrec_model_item_id(model, best[i].item));
    printf("\n");
}

int main(void) {
    static const char *const who[SLOTS] = {"ann", "ben"};
    static const struct { int visitor; const char *item;
    } clicks[] = {{0, "lamp-2"},   {1, "sofa-1"}, {0, "lamp-1"}, {1, "rug-3"},
                  {1, "poster-1"}, {0, "bulb-3"}, {1, "sofa-2"}};
    sessrec_session *session[SLOTS + 1], *moved;
    sessrec_scratch *scratch;
    sessrec_error error;
    unsigned char bytes[SLOT_BYTES];
    int64_t known, unknown;
    sessrec_model *model = learn();
    if (!model) return 1;

    sessrec_result result =
        sessrec_scratch_init(model, 1, scratch_bytes, sizeof scratch_bytes, &scratch, &error);
    for (int i = 0; i <= SLOTS && result == SESSREC_OK; ++i)
        result = sessrec_session_init_shared(model, REMEMBER, scratch, pool[i], SLOT_BYTES, &session[i],
                                             &error);
    if (result != SESSREC_OK) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    moved = session[SLOTS];
    for (size_t i = 0; i < sizeof clicks / sizeof clicks[0]; ++i) {
        int v = clicks[i].visitor;
        int32_t item;
        if (sessrec_session_click_id(session[v], clicks[i].item, &item) != SESSREC_OK) return 1;
        if (item >= 0) show(who[v], clicks[i].item, model, session[v]);
        else printf("%-5s  %-8s is not known\n", who[v], clicks[i].item);
    }

    // Ben continues elsewhere: the state travels as bytes.
    size_t size = sessrec_session_export_size(session[1]);
    if (size > sizeof bytes || sessrec_session_export(session[1], bytes, size) != SESSREC_OK ||
        sessrec_session_import(moved, bytes, size) != SESSREC_OK)
        return 1;
    sessrec_session_clicks(moved, &known, &unknown);
    printf("\nben's state is %d bytes; it knows of %d clicks and %d on an unknown item\n", (int)size,
           (int)known, (int)unknown);
    show("ben", "(moved)", model, moved);

    sessrec_session_end(session[0]);  // ann has left: slot 0 is ready for the next visitor
    show("carl", "(new)", model, session[0]);
    sessrec_model_destroy(model);
    return 0;
}
