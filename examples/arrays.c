// arrays.c - learn from clicks that lie in memory, then recommend
#define SESSREC_IMPLEMENTATION
#include "../sessrec.h"
#include <stdio.h>

int main(void) {
    // Nine visits to a kitchen shop: the visit and the item of each click, in the order of time.
    enum { FLOUR, EGGS, WHISK, COFFEE, FILTER, MUG, TEA, KETTLE, CLICKS = 27 };
    static const char *const name[] = {"flour", "eggs", "whisk", "coffee", "filter", "mug", "tea", "kettle"};
    static const int64_t visit[CLICKS] = {1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5,
                                      5, 6, 6, 6, 7, 7, 7, 8, 8, 8, 9, 9, 9};
    static const int64_t item[CLICKS] = {FLOUR, EGGS, WHISK, COFFEE, FILTER, MUG, TEA, KETTLE, MUG,
                                     FLOUR, EGGS, WHISK, COFFEE, FILTER, MUG, TEA, KETTLE, MUG,
                                     FLOUR, EGGS, WHISK, COFFEE, FILTER, MUG, TEA, KETTLE, MUG};
    sessrec_config config = sessrec_config_default();
    sessrec_query query = sessrec_query_default();
    sessrec_recommendation best[2];
    sessrec_error error = {SESSREC_OK, 0, ""};
    sessrec_log *log = NULL;
    sessrec_model *model = NULL;
    sessrec_session *session;
    double time[CLICKS];
    int32_t count = 0;
    static unsigned char memory[4096];  // the state of one visitor

    config.batch_size = 3;      // so little data wants a small mini-batch,
    config.negatives = 0;       // no items beside those in it
    config.dropout_hidden = 0;  // and no noise
    query.k = 2;
    if (sessrec_log_create(NULL, &log, NULL) != SESSREC_OK) return 1;
    for (int i = 0; i < CLICKS; ++i) time[i] = i;
    sessrec_log_add_many(log, CLICKS, NULL, visit, item, time);  // sessrec_log_finish tells what went wrong
    if (sessrec_log_finish(log, &error) == SESSREC_OK &&
        sessrec_train(&config, log, NULL, &model, &error) == SESSREC_OK &&
        sessrec_session_init(model, 8, memory, sizeof memory, &session, &error) == SESSREC_OK) {
        sessrec_session_click(session, sessrec_model_find_number(model, COFFEE));
        sessrec_session_recommend(session, &query, best, &count, NULL);
        for (int32_t i = 0; i < count; ++i)
            printf("after coffee: %s\n", name[sessrec_model_item_number(model, best[i].item)]);
    }
    if (!count) fprintf(stderr, "%s\n", error.text);
    sessrec_model_destroy(model);
    sessrec_log_destroy(log);
    return count > 0 ? 0 : 1;
}
