// model.c - a model file from anybody. One that is accepted has finite weights, recommends items that it has,
// and is written as the same bytes.
#include "archive.h"

static void sessrec_fuzz_begin(void) {}
static size_t sessrec_fuzz_example(int which, uint8_t *data, size_t room) {
    if (which > 2) return 0;
    sessrec_config config = small_config(which == 0);
    config.layer_count = which == 1 ? 2 : 1;
    config.hidden[1] = 3;
    config.embedding = which;
    config.embedding_width = 3;
    config.gru = which ? SESSREC_RESET_AFTER : SESSREC_RESET_BEFORE;
    sessrec_model *model = small_model_of(&config);
    const size_t size = sessrec_model_export_size(model);
    MUST(size <= room && !sessrec_model_export(model, data, size));
    sessrec_model_destroy(model);
    return size;
}

static void recommend(const sessrec_model *model) {
    const sessrec_model_info info = sessrec_model_describe(model);
    const size_t needed = sessrec_session_size(model, 4);
    void *memory = malloc(needed);
    sessrec_session *session = NULL;
    sessrec_query query = sessrec_query_default();
    sessrec_recommendation best[3];
    int32_t count = 0;
    MUST(memory && !sessrec_session_init(model, 4, memory, needed, &session, NULL));
    query.k = 3;
    for (int32_t click = 0; click < 3; ++click) {
        MUST(!sessrec_session_click(session, click % info.item_count));
        MUST(!sessrec_session_recommend(session, &query, best, &count, NULL));
        for (int32_t i = 0; i < count; ++i) MUST(best[i].item >= 0 && best[i].item < info.item_count);
    }
    free(memory);
}

static void sessrec_fuzz(const uint8_t *data, size_t size) {
    sessrec_model *model = NULL;
    sessrec_error error;
    void *room = malloc(size + 64);
    MUST(room);
    uint8_t *file = (uint8_t *)room + (64 - (uintptr_t)room % 64) % 64;  // where a model may be used in place
    memcpy(file, data, size);
    const sessrec_result result = sessrec_model_import(file, size, NULL, &model, &error);
    MUST(!model == !!result);
    if (result) {
        MUST(error.code == result && error.text[0]);
    } else {
        const size_t bytes = sessrec_model_export_size(model);
        uint8_t *again = (uint8_t *)malloc(bytes);
        MUST(again && !sessrec_model_export(model, again, bytes));
        MUST(bytes > size || !memcmp(again, file, 12));
        recommend(model);
        MUST(!sessrec_model_prepare(model));
        recommend(model);
        free(again);
    }
    sessrec_model_destroy(model);
    free(room);
}
