// scorer.c - neighbors, rules, a blend or a model from anybody. What is accepted recommends items that it
// has, says why, takes sessions up and forgets them, and is written as bytes that are accepted again.
#include "archive.h"

static sessrec_model *model;
static sessrec_scorer scorers[SMALL_SCORERS];

static void sessrec_fuzz_begin(void) {
    model = small_model(0);
    small_scorers(model, scorers);
}
static size_t sessrec_fuzz_example(int which, uint8_t *data, size_t room) {
    if (which >= SMALL_SCORERS) return 0;
    const size_t size = sessrec_scorer_export_size(&scorers[which]);
    MUST(size && size <= room && !sessrec_scorer_export(&scorers[which], data, size));
    return size;
}

static void check_list(const sessrec_scorer *scorer, const sessrec_recommendation *best, int32_t count) {
    for (int32_t i = 0; i < count; ++i) {
        MUST(best[i].item >= 0 && best[i].item < scorer->item_count && best[i].score == best[i].score);
        MUST(!i || best[i].score <= best[i - 1].score);
    }
}

static void recommend(const sessrec_scorer *scorer) {
    const size_t size = sessrec_scorer_session_size(scorer, 4, NULL);
    sessrec_session *session = NULL;
    sessrec_query query = sessrec_query_default();
    sessrec_recommendation best[5];
    sessrec_reason reasons[4];
    int32_t count = 0;
    if (!size || size > 1 << 28) return;  // a list of up to 64 k items is part of it
    void *memory = malloc(size);
    MUST(memory && !sessrec_scorer_session_init(scorer, 4, NULL, memory, size, &session, NULL));
    query.k = 5;
    for (int32_t click = 0; click < 5; ++click) {
        MUST(!sessrec_session_click(session, 3 * click % scorer->item_count));
        MUST(!sessrec_session_recommend(session, &query, best, &count, NULL));
        check_list(scorer, best, count);
        if (count) MUST(sessrec_session_reasons(session, best[0].item, reasons, 4) >= 0);
    }
    const size_t bytes = sessrec_session_export_size(session);
    void *state = malloc(bytes);
    MUST(state && !sessrec_session_export(session, state, bytes));
    MUST(!sessrec_session_import(session, state, bytes));
    free(state);
    free(memory);
}

// At a multiple of 64, as a file in flash or a mapped one; the block to free comes back.
static void *aligned(size_t size, uint8_t **out) {
    void *room = malloc(size + 64);
    MUST(room);
    *out = (uint8_t *)room + (64 - (uintptr_t)room % 64) % 64;
    return room;
}

static void write_again(const sessrec_scorer *scorer) {
    sessrec_scorer copy;
    uint8_t *bytes;
    const size_t size = sessrec_scorer_export_size(scorer);
    void *room = aligned(size, &bytes);
    MUST(size && !sessrec_scorer_export(scorer, bytes, size));
    MUST(!sessrec_scorer_import(bytes, size, NULL, &copy, NULL) && copy.item_count == scorer->item_count);
    MUST(sessrec_scorer_export_size(&copy) == size);
    sessrec_scorer_destroy(&copy);
    free(room);
}

static void sessrec_fuzz(const uint8_t *data, size_t size) {
    sessrec_scorer scorer;
    sessrec_error error;
    uint8_t *file;
    void *room = aligned(size, &file);
    memcpy(file, data, size);
    const sessrec_result result = sessrec_scorer_import(file, size, NULL, &scorer, &error);
    if (result) {
        MUST(error.code == result && error.text[0] && !scorer.self);
    } else {
        const int32_t items[3] = {0, -1, scorer.item_count - 1};
        recommend(&scorer);
        write_again(&scorer);
        const int32_t sessions = sessrec_knn_sessions(&scorer);
        const sessrec_result grown = sessrec_knn_append(&scorer, items, 3, 1e9);
        MUST(grown || sessrec_knn_sessions(&scorer) == sessions + 1);
        if (!grown) recommend(&scorer);
        if (!sessrec_knn_forget(&scorer, 350)) recommend(&scorer);
        write_again(&scorer);
        sessrec_scorer_destroy(&scorer);
    }
    free(room);
}
