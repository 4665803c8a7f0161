// state.c - the state of a session or of a user from anybody, for a model that is ours. One that is accepted
// goes on, and is exported as the same bytes.
#include "fuzz.h"

static sessrec_model *model;
static size_t session_size, user_size;
static void *session_memory, *user_memory, *copy;

static void sessrec_fuzz_begin(void) {
    model = small_model(1);
    session_size = sessrec_session_size(model, 8);
    user_size = sessrec_user_size(model);
    session_memory = malloc(session_size);
    user_memory = malloc(user_size);
    copy = malloc(session_size + user_size);
    MUST(session_memory && user_memory && copy);
}

// States end with the checksum of what is before it.
static void sessrec_fuzz_seal(uint8_t *data, size_t size) {
    if (size > 5) put_number(data + size - 4, crc_of(0, data + 1, size - 5), 4);
}
static size_t sessrec_fuzz_example(uint8_t *data, size_t room) {
    sessrec_session *session = NULL;
    MUST(!sessrec_session_init(model, 8, session_memory, session_size, &session, NULL));
    for (int32_t click = 0; click < 5; ++click) MUST(!sessrec_session_click(session, click));
    const size_t size = sessrec_session_export_size(session);
    MUST(size + 1 <= room && !sessrec_session_export(session, data + 1, size));
    data[0] = 1;
    return size + 1;
}

// The first byte says whose state it is.
static void sessrec_fuzz(const uint8_t *data, size_t size) {
    sessrec_session *session = NULL;
    sessrec_user *user = NULL;
    sessrec_query query = sessrec_query_default();
    sessrec_recommendation best[3];
    int32_t count = 0;
    if (!size) return;
    MUST(!sessrec_session_init(model, 8, session_memory, session_size, &session, NULL));
    MUST(!sessrec_user_init(model, user_memory, user_size, &user, NULL));
    query.k = 3;
    const uint8_t *bytes = data + 1;
    if (data[0] % 2) {
        if (!sessrec_session_import(session, bytes, size - 1)) {
            MUST(sessrec_session_export_size(session) == size - 1);
            MUST(!sessrec_session_export(session, copy, size - 1) && !memcmp(copy, bytes, size - 1));
        }
    } else if (!sessrec_user_import(user, bytes, size - 1)) {
        MUST(sessrec_user_export_size(user) == size - 1);
        MUST(!sessrec_user_export(user, copy, size - 1) && !memcmp(copy, bytes, size - 1));
        MUST(!sessrec_user_begin(user, session));
    }
    for (int32_t click = 0; click < 3; ++click) {
        MUST(!sessrec_session_click(session, click));
        MUST(!sessrec_session_recommend(session, &query, best, &count, NULL));
        for (int32_t i = 0; i < count; ++i) MUST(best[i].item >= 0 && best[i].score == best[i].score);
    }
    MUST(!sessrec_user_fold(user, session));
}
