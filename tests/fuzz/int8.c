// int8.c - a model of 8-bit weights from anybody. One that is accepted recommends items that it has, in a
// session and in the core for tiny machines the same, and is written as the same bytes.
#include "archive.h"

static void sessrec_fuzz_begin(void) {}
// Example 0 has ids, example 1 has not.
static size_t sessrec_fuzz_example(int which, uint8_t *data, size_t room) {
    if (which > 1) return 0;
    sessrec_model *model = small_model(0);
    sessrec_scorer q;
    MUST(!sessrec_model_quantize(model, which == 0, NULL, &q, NULL));
    const size_t size = sessrec_scorer_export_size(&q);
    MUST(size <= room && !sessrec_scorer_export(&q, data, size));
    sessrec_scorer_destroy(&q);
    sessrec_model_destroy(model);
    return size;
}

static void recommend(const sessrec_scorer *q, const sessrec_tiny *tiny) {
    enum { K = 3, REMEMBER = 4 };
    const size_t needed = sessrec_scorer_session_size(q, REMEMBER, NULL);
    void *memory = malloc(needed), *visitor = malloc(sessrec_tiny_size(tiny, REMEMBER));
    sessrec_session *session = NULL;
    sessrec_recommendation best[K];
    sessrec_tiny_item same[K];
    MUST(memory && visitor && !sessrec_tiny_begin(tiny, REMEMBER, visitor));
    MUST(!sessrec_scorer_session_init(q, REMEMBER, NULL, memory, needed, &session, NULL));
    for (int32_t click = 0; click < 3; ++click) {
        MUST(!sessrec_session_click(session, click % q->item_count));
        MUST(!sessrec_tiny_click(tiny, visitor, click % q->item_count));
        const int32_t count = sessrec_recommend(session, K, best);
        MUST(count == sessrec_tiny_recommend(tiny, visitor, K, same));
        for (int32_t i = 0; i < count; ++i)
            MUST(best[i].item == same[i].item && best[i].item < q->item_count);
    }
    free(memory);
    free(visitor);
}

static void sessrec_fuzz(const uint8_t *data, size_t size) {
    sessrec_scorer q;
    sessrec_tiny tiny;
    sessrec_error error;
    void *room = malloc(size + 64);
    MUST(room);
    uint8_t *file = (uint8_t *)room + (64 - (uintptr_t)room % 64) % 64;  // where it may be used in place
    memcpy(file, data, size);
    const sessrec_result opened = sessrec_tiny_open(file, size, &tiny);
    if (!opened) MUST(tiny.info.item_count > 0 && sessrec_tiny_size(&tiny, 0) > 0);
    const sessrec_result result = sessrec_scorer_import(file, size, NULL, &q, &error);
    MUST(!q.self == !!result);
    if (result) {
        MUST(error.code == result && error.text[0]);
    } else {
        const size_t bytes = sessrec_scorer_export_size(&q);
        uint8_t *again = (uint8_t *)malloc(bytes);
        MUST(again && !sessrec_scorer_export(&q, again, bytes));
        MUST(bytes > size || !memcmp(again, file, 12));
        if (!opened) recommend(&q, &tiny);
        free(again);
    }
    sessrec_scorer_destroy(&q);
    free(room);
}
