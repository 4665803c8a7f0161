// state.c - the state of a session of any scorer, or of a user, from anybody, for a model or a scorer that is
// ours. One that is accepted goes on, and is exported as the same bytes.
#include "fuzz.h"

enum { OF_USER = 0, OF_MODEL = 1, OF_SCORER = 2, KINDS = OF_SCORER + SMALL_SCORERS };

static sessrec_model *model;
static sessrec_scorer scorers[SMALL_SCORERS];
static size_t session_size[KINDS], user_size;
static void *session_memory, *user_memory, *copy;

static void sessrec_fuzz_begin(void) {
    size_t most = 0;
    model = small_model(1);
    small_scorers(model, scorers);
    for (int kind = 0; kind < KINDS; ++kind) {
        const sessrec_scorer *scorer = kind < OF_SCORER ? NULL : &scorers[kind - OF_SCORER];
        session_size[kind] = scorer ? sessrec_scorer_session_size(scorer, 8, NULL)
                                    : sessrec_session_size(model, 8);
        MUST(session_size[kind]);
        if (session_size[kind] > most) most = session_size[kind];
    }
    user_size = sessrec_user_size(model);
    session_memory = malloc(most);
    user_memory = malloc(user_size);
    copy = malloc(most + user_size);
    MUST(session_memory && user_memory && copy);
}

static sessrec_session *begin(int kind) {
    sessrec_session *session = NULL;
    if (kind < OF_SCORER)
        MUST(!sessrec_session_init(model, 8, session_memory, session_size[kind], &session, NULL));
    else
        MUST(!sessrec_scorer_session_init(&scorers[kind - OF_SCORER], 8, NULL, session_memory,
                                          session_size[kind], &session, NULL));
    return session;
}

// States end with the checksum of what is before it.
static void sessrec_fuzz_seal(uint8_t *data, size_t size) {
    if (size > 5) put_number(data + size - 4, crc_of(0, data + 1, size - 5), 4);
}
static void sessrec_fuzz_forge(uint8_t *data, size_t size, uint32_t random) {
    static const uint32_t words[8] = {0, 1, 0xffffffff, 0x7fffffff, 0x80000000, 0x7f800000, 0x3f800001, 8};
    if (size > 9) put_number(data + 1 + random / 8 % ((size - 5) / 4) * 4, words[random % 8], 4);
}

// The first byte says whose state it is. After five clicks, and a user after a session of three.
static size_t sessrec_fuzz_example(int which, uint8_t *data, size_t room) {
    sessrec_user *user = NULL;
    size_t size;
    if (which >= KINDS) return 0;
    sessrec_session *session = begin(which);
    MUST(!sessrec_user_init(model, user_memory, user_size, &user, NULL));
    for (int32_t click = 0; click < 5; ++click) MUST(!sessrec_session_click(session, click));
    data[0] = (uint8_t)which;
    if (which == OF_USER) {
        MUST(!sessrec_user_fold(user, session));
        size = sessrec_user_export_size(user);
        MUST(size < room && !sessrec_user_export(user, data + 1, size));
    } else {
        size = sessrec_session_export_size(session);
        MUST(size < room && !sessrec_session_export(session, data + 1, size));
    }
    return size + 1;
}

static void sessrec_fuzz(const uint8_t *data, size_t size) {
    sessrec_user *user = NULL;
    sessrec_query query = sessrec_query_default();
    sessrec_recommendation best[3];
    sessrec_reason reasons[2];
    int32_t count = 0;
    if (!size) return;
    const int kind = data[0] % KINDS;
    sessrec_session *session = begin(kind);
    MUST(!sessrec_user_init(model, user_memory, user_size, &user, NULL));
    query.k = 3;
    const uint8_t *bytes = data + 1;
    if (kind != OF_USER) {
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
        if (count) MUST(sessrec_session_reasons(session, best[0].item, reasons, 2) >= 0);
    }
    const sessrec_result folded = sessrec_user_fold(user, session);
    MUST(kind < OF_SCORER ? !folded : folded == SESSREC_MISMATCH || !folded);
}
