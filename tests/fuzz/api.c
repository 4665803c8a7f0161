// api.c - public calls in any order, with any of the objects that there are, with arguments that are missing,
// too small, too large or no numbers, and after earlier failures. A byte string says which. What a call
// returns is looked at: a failure gives nothing out, and says why where it can.
#include "fuzz.h"

enum { ROOM = 1 << 16, LOGS = 3, MODELS = 2, SCORERS = 8, SESSIONS = 3 };

// Everything that there is. Objects are destroyed after those that use them: models and scorers at the end.
typedef struct world {
    choices input;
    sessrec_config config;
    sessrec_log *log[LOGS];
    sessrec_model *model[MODELS];
    int models, trainings;
    sessrec_scorer scorer[SCORERS];
    int scorers;
    sessrec_session *session[SESSIONS];
    void *memory[SESSIONS], *user_memory;
    sessrec_user *user;
    sessrec_trainer *trainer;
    sessrec_batcher *batcher;
    sessrec_sampler *sampler;
    sessrec_log *trained;  // of the trainer and its batcher
    sessrec_error error;
} world;

static char path[64];
static sessrec_model *users_model;

static void sessrec_fuzz_begin(void) {
    memory_path(path, sizeof path);
    users_model = small_model(1);
}
static void sessrec_fuzz_seal(uint8_t *data, size_t size) {
    (void)data, (void)size;
}
static void sessrec_fuzz_forge(uint8_t *data, size_t size, uint32_t random) {
    if (size) data[random / 256 % size] = (uint8_t)random;
}
static size_t sessrec_fuzz_example(int which, uint8_t *data, size_t room) {
    if (which >= 8) return 0;
    for (size_t i = 0; i < 400 && i < room; ++i)
        data[i] = (uint8_t)(sessrec_random((uint64_t)which, 0, i) >> 20);
    return 400 < room ? 400 : room;
}

// ---- arguments ----

static int32_t pick(world *w, int32_t n) {
    return choose(&w->input, n);
}
static int rarely(world *w) {
    return pick(w, 16) == 1;
}
static int32_t small(world *w) {
    static const int32_t odd[8] = {-1, INT32_MAX, INT32_MIN, 65536, 65537, 1 << 20, 255, 0};
    return rarely(w) ? odd[pick(w, 8)] : pick(w, 6) - 1;
}
static float real(world *w) {
    static const float odd[8] = {NAN, INFINITY, -INFINITY, -1, 1e30f, 3e38f, 1e-40f, 0};
    return rarely(w) ? odd[pick(w, 8)] : (float)pick(w, 64) / 64;
}
static const char *id(world *w) {
    static const char *const ids[8] = {"1", "a", "-3", "9223372036854775807", "", "red\n", "\x1b[2J", NULL};
    return ids[pick(w, 8)];
}
// The object, or rarely NULL.
static void *maybe(world *w, const void *object) {
    return rarely(w) ? NULL : (void *)(uintptr_t)object;
}
static sessrec_error *err(world *w) {
    return (sessrec_error *)maybe(w, &w->error);
}
// A failure says why, where the error was asked for.
static int said(world *w, sessrec_result result) {
    MUST(result <= SESSREC_OK && result >= SESSREC_DEVICE_ERROR && sessrec_result_text(result)[0]);
    if (result && w->error.code) MUST(w->error.code == result && w->error.text[0]);
    memset(&w->error, 0, sizeof w->error);  // the next call may have none
    return result == SESSREC_OK;
}

static sessrec_log *any_log(world *w) {
    return w->log[pick(w, LOGS)];
}
static sessrec_model *any_model(world *w) {
    const int32_t at = pick(w, MODELS + 1);
    return at < MODELS ? w->model[at] : users_model;
}
static sessrec_scorer *any_scorer(world *w) {
    return w->scorers ? &w->scorer[pick(w, w->scorers)] : NULL;
}

// ---- configurations ----

static void change_config(world *w) {
    static const char *const values[8] = {"1", "0", "3,2", "bpr-max", "adam", "tied", "elu:0.5", "nonsense"};
    char text[8];
    const char *name = sessrec_config_name(pick(w, 40), NULL);
    sessrec_config *c = &w->config;
    switch (pick(w, 12)) {
    case 0: c->loss.kind = small(w); break;
    case 1: c->optimizer.kind = small(w); break;
    case 2: c->hidden[0] = rarely(w) ? small(w) : 4; break;
    case 3: c->layer_count = small(w); c->hidden[1] = c->hidden[2] = c->hidden[3] = 3; break;
    case 4: c->embedding = small(w); c->embedding_width = 3; break;
    case 5: c->user_hidden = pick(w, 2) * 3; c->user_mode = small(w); break;
    case 6: c->optimizer.learning_rate = real(w); c->optimizer.momentum = real(w); break;
    case 7: c->dropout_hidden = real(w); c->dropout_input = real(w); break;
    case 8: c->batch_size = pick(w, 5); c->negatives = pick(w, 5); break;
    case 9: c->shuffle_sessions = pick(w, 2); c->alpha = real(w); break;
    case 10: c->start_from = pick(w, 2) ? any_model(w) : NULL; break;
    default:
        // a width or a number of epochs that takes long, or the name of a file, is none of these values
        said(w, sessrec_config_set((sessrec_config *)maybe(w, c), name, values[pick(w, 8)], err(w)));
        said(w, sessrec_config_get(c, name, text, sizeof text, err(w)));
        c->checkpoint = NULL;
        break;
    }
    if (c->epochs > 2) c->epochs = 1;
    c->threads = 1;
    c->device = SESSREC_DEVICE_CPU;
}

// ---- logs ----

static void destroy_log(world *w, int at) {
    if (w->log[at] && w->log[at] == w->trained) {
        sessrec_batcher_destroy(w->batcher);
        sessrec_trainer_destroy(w->trainer);
        w->batcher = NULL;
        w->trainer = NULL;
        w->trained = NULL;
    }
    sessrec_log_destroy(w->log[at]);
    w->log[at] = NULL;
}

static void call_log(world *w) {
    const int at = pick(w, LOGS), to = pick(w, LOGS);
    sessrec_log *log = w->log[at], *one = NULL, *two = NULL;
    sessrec_log_format format = sessrec_log_format_default();
    sessrec_filter filter = sessrec_filter_default();
    static const char text[] = "SessionId,ItemId,Time\n1,a,1\n1,b,2\n2,a,1e3\n";
    int32_t items[4] = {0, 1, 2, -1};
    switch (pick(w, 16)) {
    case 0:
        destroy_log(w, at);
        if (pick(w, 2)) format.items_of = any_model(w);
        said(w, sessrec_log_create((sessrec_log_format *)maybe(w, &format), &w->log[at], err(w)));
        break;
    case 1:
    case 2:
        said(w, sessrec_log_add(log, id(w), id(w), id(w), 100 * (double)real(w)));
        break;
    case 3:
    case 4:
    case 5:
        for (int i = 0; i < 4; ++i)
            said(w, sessrec_log_add_numbers(log, pick(w, 3) - 1, pick(w, 6), 'a' + pick(w, 6),
                                            (double)real(w)));
        break;
    case 6: {
        const int64_t numbers[4] = {1, -1, INT64_MAX, INT64_MIN};
        const double times[4] = {0, 1, (double)real(w), 3};
        said(w, sessrec_log_add_many(log, pick(w, 6) - 1 < 4 ? pick(w, 5) : -1, (int64_t *)maybe(w, numbers),
                                     (int64_t *)maybe(w, numbers), numbers, (double *)maybe(w, times)));
        break;
    }
    case 7:
        said(w, sessrec_log_add_text(log, maybe(w, text), sizeof text - 1 - (size_t)pick(w, 9), NULL,
                                     err(w)));
        break;
    case 8:
    case 9: said(w, sessrec_log_finish(log, err(w))); break;
    case 10:
        if (log == w->trained) break;  // which reads it
        filter.min_support = small(w);
        filter.min_length = small(w);
        filter.drop_repeats = pick(w, 2);
        said(w, sessrec_log_filter(log, (sessrec_filter *)maybe(w, &filter), err(w)));
        break;
    case 11:
        if (log != w->trained) said(w, sessrec_log_sessionize(log, (double)real(w), err(w)));
        break;
    case 12:
    case 13: {
        const sessrec_result result =
            pick(w, 2) ? sessrec_log_split_time(log, 50 * (double)real(w), &one, &two, err(w))
                       : sessrec_log_split_last_session(log, &one, (sessrec_log **)maybe(w, &two), err(w));
        if (!said(w, result)) MUST(!one && !two);
        sessrec_log_destroy(two);
        if (!one) break;
        destroy_log(w, to);
        w->log[to] = one;
        break;
    }
    case 14:
        if (log != w->trained) said(w, sessrec_log_keep_items(log, w->log[to], err(w)));
        break;
    default: {
        const sessrec_log_view view = sessrec_log_contents(log);
        for (int i = 0; i < 4; ++i) {
            const char *item = sessrec_log_item_id(log, items[i]);
            MUST(!item == !(items[i] >= 0 && items[i] < view.item_count));
            MUST(!item || sessrec_log_find_item(log, item) == items[i]);
            (void)sessrec_log_item_number(log, items[i]);
        }
        (void)sessrec_log_note(log, small(w));
        (void)sessrec_log_session_id(log, small(w));
        (void)sessrec_log_user_id(log, small(w));
        (void)sessrec_log_find_number(log, small(w));
        said(w, sessrec_log_write(log, maybe(w, path) ? path : NULL, err(w)));
        remove(path);
    }
    }
}

// ---- models and scorers ----

static void call_model(world *w) {
    const sessrec_model *model = any_model(w);
    sessrec_eval_config eval = sessrec_eval_config_default();
    sessrec_report report;
    sessrec_tensor tensor;
    sessrec_model *made = NULL;
    switch (pick(w, 5)) {
    case 0:
        if (++w->trainings > 3 || w->models == MODELS) break;
        if (!said(w, sessrec_train((sessrec_config *)maybe(w, &w->config), any_log(w), any_log(w), &made,
                                   err(w))))
            MUST(!made);
        if (made) w->model[w->models++] = made;
        break;
    case 1:
        eval.threads = 1;
        eval.batch_size = small(w);
        eval.coverage = pick(w, 2);
        eval.ties = small(w);
        eval.cutoff_count = small(w);
        eval.cutoffs[0] = small(w);
        eval.history = pick(w, 2) ? any_log(w) : NULL;
        if (pick(w, 2)) said(w, sessrec_evaluate(model, any_log(w), &eval, &report, err(w)));
        else said(w, sessrec_evaluate_scorer(any_scorer(w), any_log(w), &eval, &report, err(w)));
        break;
    case 2:
        (void)sessrec_model_item_id(model, small(w));
        (void)sessrec_model_find_item(model, id(w));
        (void)sessrec_model_find_number(model, small(w));
        (void)sessrec_model_item_number(model, small(w));
        (void)sessrec_model_support(model, small(w));
        said(w, sessrec_model_tensor(model, sessrec_model_tensor_name(model, small(w)), &tensor));
        break;
    case 3: {
        static uint8_t room[ROOM + 64];
        uint8_t *bytes = room + (64 - (uintptr_t)room % 64) % 64;
        const size_t size = sessrec_model_export_size(model);
        if (size > ROOM || !said(w, sessrec_model_export(model, bytes, size - (size_t)rarely(w)))) break;
        if (said(w, sessrec_model_import(bytes + rarely(w), size - (size_t)rarely(w), NULL, &made, err(w))))
            MUST(sessrec_model_export_size(made) == size);
        sessrec_model_destroy(made);
        break;
    }
    default:
        if (!w->session[0]) (void)sessrec_model_prepare(w->models ? w->model[0] : NULL);
        break;
    }
}

static void call_scorer(world *w) {
    sessrec_scorer *to = w->scorers < SCORERS ? &w->scorer[w->scorers] : NULL, *scorer = any_scorer(w);
    sessrec_knn_config knn = sessrec_knn_config_default();
    sessrec_rules_config rules = sessrec_rules_config_default();
    int32_t items[4];
    sessrec_result result = SESSREC_STOPPED;
    const int kind = pick(w, 7);
    for (int i = 0; i < 4; ++i) items[i] = small(w);
    if (kind < 5 && !to) return;
    if (to) memset(to, 0, sizeof *to);
    switch (kind) {
    case 0:
        if (pick(w, 2)) said(w, sessrec_knn_preset(pick(w, 2) ? "vmis" : id(w), &knn));
        knn.k = rarely(w) ? small(w) : 3;
        knn.m = small(w);
        knn.last_n = small(w);
        knn.weight = small(w);
        knn.neighbor_weight = small(w);
        knn.recency = (double)real(w);
        knn.idf = (double)real(w);
        result = sessrec_knn_create((sessrec_knn_config *)maybe(w, &knn), any_log(w), to, err(w));
        break;
    case 1:
        rules.kind = small(w);
        rules.most = small(w);
        rules.steps = small(w);
        rules.order = small(w);
        rules.weight = small(w);
        rules.events = pick(w, 2);
        rules.lambda = (double)real(w);
        result = sessrec_rules_create((sessrec_rules_config *)maybe(w, &rules), any_log(w), to, err(w));
        break;
    case 2: result = sessrec_scorer_pop(any_log(w), NULL, to, err(w)); break;
    case 3: result = sessrec_scorer_model(any_model(w), NULL, to, err(w)); break;
    case 4: {
        sessrec_blend_part parts[3];
        for (int i = 0; i < 3; ++i) {
            parts[i].scorer = any_scorer(w);
            parts[i].weight = real(w);
            parts[i].logarithm = pick(w, 2);
        }
        result = sessrec_blend_create((sessrec_blend_part *)maybe(w, parts), small(w) % 4, (double)real(w),
                                      NULL, to, err(w));
        break;
    }
    case 5:
        if (!w->session[0] && !w->session[1] && !w->session[2]) {
            // an index may not change below a session, nor below a blend that found items in it
            said(w, sessrec_knn_append(scorer, items, small(w) % 5, (double)real(w)));
            said(w, sessrec_knn_forget(scorer, (double)real(w)));
        }
        (void)sessrec_knn_session_items(scorer, small(w), items, 4);
        (void)sessrec_knn_events(scorer);
        break;
    default: {
        static uint8_t room[ROOM + 64];
        uint8_t *bytes = room + (64 - (uintptr_t)room % 64) % 64;
        sessrec_scorer copy;
        const size_t size = sessrec_scorer_export_size(scorer);
        if (!size || size > ROOM || !said(w, sessrec_scorer_export(scorer, bytes, size))) break;
        MUST(!sessrec_scorer_import(bytes, size, NULL, &copy, err(w)));
        sessrec_scorer_destroy(&copy);
        break;
    }
    }
    if (kind < 5 && said(w, result)) ++w->scorers;
    else if (kind < 5) MUST(!to->self);
}

// ---- sessions and users ----

static void begin_session(world *w, int at) {
    const sessrec_scorer *scorer = any_scorer(w);
    const int32_t remember = small(w);
    const int of_model = pick(w, 2);
    const sessrec_model *model = any_model(w);
    const size_t size = of_model ? sessrec_session_size(model, remember)
                                 : sessrec_scorer_session_size(scorer, remember, NULL);
    free(w->memory[at]);
    w->session[at] = NULL;
    w->memory[at] = size && size < 1 << 24 ? malloc(size) : NULL;
    if (!w->memory[at]) return;
    const size_t given = size - (size_t)rarely(w);
    const sessrec_result result =
        of_model ? sessrec_session_init(model, remember, w->memory[at], given, &w->session[at], err(w))
                 : sessrec_scorer_session_init(scorer, remember, NULL, w->memory[at], given, &w->session[at],
                                               err(w));
    if (!said(w, result)) MUST(!w->session[at]);
}

static void ask(world *w, sessrec_session *session) {
    sessrec_query query = sessrec_query_default();
    sessrec_recommendation best[8];
    sessrec_reason reasons[3];
    sessrec_source source;
    int32_t candidates[3], count = 0;
    float offsets[64], scores[3];
    int32_t groups[64];
    for (int i = 0; i < 3; ++i) candidates[i] = small(w);
    for (int i = 0; i < 64; ++i) offsets[i] = i % 3 ? 0 : real(w), groups[i] = i % 4 - 1;
    query.k = pick(w, 10) - 1;
    if (query.k > 8) query.k = 8;
    query.skip_seen = pick(w, 2);
    query.candidates = pick(w, 3) ? NULL : candidates;
    query.candidate_count = pick(w, 4);
    query.offsets = pick(w, 3) ? NULL : offsets;
    query.groups = pick(w, 3) ? NULL : groups;
    query.group_limit = small(w);
    query.temperature = pick(w, 3) ? 0 : real(w);
    query.explore = pick(w, 3) ? 0 : real(w);
    const sessrec_result result = sessrec_session_recommend(session, (sessrec_query *)maybe(w, &query),
                                                            (sessrec_recommendation *)maybe(w, best), &count,
                                                            &source);
    MUST(result ? count == 0 : count <= query.k);
    for (int32_t i = 0; i < count; ++i) MUST(best[i].item >= 0 && best[i].score == best[i].score);
    (void)sessrec_session_score(session, candidates, 3, scores);
    if (session && count) MUST(sessrec_session_reasons(session, best[0].item, reasons, 3) >= 0);
    (void)sessrec_session_reasons(session, small(w), reasons, 3);
}

static void call_session(world *w) {
    const int at = pick(w, SESSIONS), other = pick(w, SESSIONS);
    sessrec_session *session = w->session[at];
    static uint8_t state[ROOM];
    int64_t known, unknown;
    int32_t item;
    switch (pick(w, 9)) {
    case 0: begin_session(w, at); break;
    case 1:
    case 2: said(w, sessrec_session_click(session, small(w))); break;
    case 3: said(w, sessrec_session_click_id(session, id(w), &item)); break;
    case 4:
    case 5: ask(w, session); break;
    case 6: {
        const size_t size = sessrec_session_export_size(session);
        if (size && size <= ROOM && said(w, sessrec_session_export(session, state, size)))
            said(w, sessrec_session_import(w->session[other], maybe(w, state), size - (size_t)rarely(w)));
        break;
    }
    case 7:
        if (pick(w, 2)) said(w, sessrec_user_begin(w->user, session));
        else said(w, sessrec_user_fold(w->user, session));
        MUST(sessrec_user_sessions(w->user) >= 0);
        break;
    default:
        sessrec_session_clicks(session, &known, (int64_t *)maybe(w, &unknown));
        sessrec_session_end(session);
        break;
    }
}

// ---- trainers ----

static void call_trainer(world *w) {
    sessrec_log *log = any_log(w);
    sessrec_batch batch;
    sessrec_mutable_tensor tensor;
    sessrec_model *made = NULL;
    double loss;
    int32_t items[3];
    for (int i = 0; i < 3; ++i) items[i] = small(w);
    switch (pick(w, 10)) {
    case 0:
        if (++w->trainings > 3) break;
        sessrec_batcher_destroy(w->batcher);
        sessrec_trainer_destroy(w->trainer);
        sessrec_sampler_destroy(w->sampler);
        w->batcher = NULL;
        w->sampler = NULL;
        w->trained = log;
        if (!said(w, sessrec_trainer_create(&w->config, log, &w->trainer, err(w)))) MUST(!w->trainer);
        said(w, sessrec_trainer_sampler(w->trainer, &w->sampler, err(w)));
        said(w, sessrec_batcher_create(&w->config, log, w->sampler, &w->batcher, err(w)));
        break;
    case 1: said(w, sessrec_batcher_seek(w->batcher, small(w) % 4, pick(w, 4), err(w))); break;
    case 2:
        if (!said(w, sessrec_batcher_next(w->batcher, &batch))) break;
        if (rarely(w)) batch.inputs = NULL;
        if (rarely(w)) batch.rows = -1;
        said(w, sessrec_trainer_step(w->trainer, &batch, &loss, err(w)));
        break;
    case 3:
        if (!said(w, sessrec_batcher_next(w->batcher, &batch))) break;
        said(w, sessrec_trainer_grad(w->trainer, &batch, NULL, err(w)));
        break;
    case 4: said(w, sessrec_trainer_apply(w->trainer, err(w))); break;
    case 5: said(w, sessrec_trainer_learn(w->trainer, w->sampler, items, 3, &loss, err(w))); break;
    case 6:
        if (pick(w, 2)) said(w, sessrec_trainer_keep_best(w->trainer, (double)real(w), err(w)));
        else said(w, sessrec_trainer_use_best(w->trainer, err(w)));
        break;
    case 7:
        said(w, sessrec_trainer_tensor(w->trainer, pick(w, 2) ? "grad.Wy" : id(w), &tensor, err(w)));
        (void)sessrec_trainer_position(w->trainer);
        said(w, sessrec_trainer_warm_up(w->trainer, w->batcher, err(w)));
        break;
    case 8:
        if (said(w, sessrec_trainer_write(w->trainer, path, err(w))))
            MUST(!sessrec_trainer_read(w->trainer, path, err(w)));
        remove(path);
        break;
    default:
        if (w->models < MODELS && rarely(w)) {
            if (!said(w, sessrec_trainer_take_model(w->trainer, &made, err(w)))) MUST(!made);
            if (made) w->model[w->models++] = made;
        } else {
            said(w, sessrec_trainer_epoch(w->trainer, w->batcher, err(w)));
            said(w, sessrec_trainer_next_epoch(w->trainer));
        }
        break;
    }
}

static void sessrec_fuzz(const uint8_t *data, size_t size) {
    world w;
    memset(&w, 0, sizeof w);
    w.input.at = data;
    w.input.left = size < 4096 ? size : 4096;
    w.config = small_config(0);
    w.log[0] = small_log(1);
    const size_t user_size = sessrec_user_size(users_model);
    w.user_memory = malloc(user_size);
    MUST(!sessrec_user_init(users_model, w.user_memory, user_size, &w.user, NULL));
    while (w.input.left) {
        switch (pick(&w, 8)) {
        case 0: change_config(&w); break;
        case 1:
        case 2: call_log(&w); break;
        case 3: call_model(&w); break;
        case 4: call_scorer(&w); break;
        case 5:
        case 6: call_session(&w); break;
        default: call_trainer(&w); break;
        }
    }
    sessrec_batcher_destroy(w.batcher);
    sessrec_trainer_destroy(w.trainer);
    sessrec_sampler_destroy(w.sampler);
    while (w.scorers) sessrec_scorer_destroy(&w.scorer[--w.scorers]);
    while (w.models) sessrec_model_destroy(w.model[--w.models]);
    for (int i = 0; i < LOGS; ++i) sessrec_log_destroy(w.log[i]);
    for (int i = 0; i < SESSIONS; ++i) free(w.memory[i]);
    free(w.user_memory);
}
