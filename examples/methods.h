// methods.h - neighbors, rules and blends for sessrec.c: training them, and a table of many methods
//
// Part of examples/sessrec.c, which includes it after what it uses.

// ---- files of any kind ----

// A model, and its scorer; or another scorer, and no model.
static int load_any(const char *path, sessrec_model **model, sessrec_scorer *scorer) {
    sessrec_error err = {SESSREC_OK, 0, ""};
    sessrec_result result = sessrec_model_read(path, NULL, model, &err);
    if (!result) return status_of(path, sessrec_scorer_model(*model, NULL, scorer, &err), &err);
    if (result == SESSREC_BAD_FILE && strstr(err.text, "not a model"))
        result = sessrec_scorer_read(path, NULL, scorer, &err);
    if (result == SESSREC_BAD_FILE && own_file.read && strstr(err.text, "not a sessrec file"))
        result = own_file.read(path, scorer, &err);
    if (result == SESSREC_BAD_FILE && strstr(err.text, "not a sessrec file"))
        return fail(EXIT_DATA, "%s: %s; a model comes from 'sessrec train LOG -o MODEL'", path, err.text);
    return status_of(path, result, &err);
}
// One whose items have ids.
static int load_scorer(const char *path, sessrec_model **model, sessrec_scorer *scorer) {
    const int status = load_any(path, model, scorer);
    if (status || scorer->item_id) return status;
    sessrec_scorer_destroy(scorer);
    return fail(EXIT_DATA, "%s: this model has no ids of items; export it without --no-ids", path);
}

// ---- neighbors and rules from a log ----

// The kinds of --model, and those of the presets of each.
enum { MODEL_GRU = 0, MODEL_KNN = 1, MODEL_RULES = 2, MODEL_BLEND = 3 };

// The kind of rules that a preset names, -1 for none.
static sessrec_rules_kind rules_kind(const char *preset) {
    static const char *const kinds[4] = {"ar", "sr", "markov", "itemknn"};  // in the order of the enum
    for (sessrec_rules_kind i = 0; i < 4; ++i)
        if (!strcmp(preset, kinds[i])) return i;
    return -1;
}

// A field of sessrec_knn_config or sessrec_rules_config that --preset NAME,FIELD=VALUE changes.
typedef enum field_kind { FIELD_END, FIELD_WHOLE, FIELD_REAL, FIELD_DECAY } field_kind;
typedef struct preset_field {
    field_kind kind;
    const char *name;
    size_t at;
} preset_field;

#define KNN(name) offsetof(sessrec_knn_config, name)
static const preset_field knn_fields[] = {
    {FIELD_WHOLE, "k", KNN(k)},
    {FIELD_WHOLE, "m", KNN(m)},
    {FIELD_WHOLE, "cosine", KNN(cosine)},
    {FIELD_WHOLE, "last-n", KNN(last_n)},
    {FIELD_DECAY, "weight", KNN(weight)},
    {FIELD_REAL, "weight-scale", KNN(weight_scale)},
    {FIELD_DECAY, "neighbor-weight", KNN(neighbor_weight)},
    {FIELD_REAL, "neighbor-scale", KNN(neighbor_scale)},
    {FIELD_REAL, "recency", KNN(recency)},
    {FIELD_REAL, "spread", KNN(spread)},
    {FIELD_REAL, "idf", KNN(idf)},
    {FIELD_END, NULL, 0},
};
#undef KNN
#define RULES(name) offsetof(sessrec_rules_config, name)
static const preset_field rules_fields[] = {
    {FIELD_WHOLE, "most", RULES(most)},
    {FIELD_WHOLE, "steps", RULES(steps)},
    {FIELD_DECAY, "weight", RULES(weight)},
    {FIELD_WHOLE, "order", RULES(order)},
    {FIELD_WHOLE, "events", RULES(events)},
    {FIELD_REAL, "lambda", RULES(lambda)},
    {FIELD_REAL, "alpha", RULES(alpha)},
    {FIELD_END, NULL, 0},
};
#undef RULES

// Sets the field of a pair "name=value"; 0 if there is none, or it takes something else.
static int change_field(const char *pair, const preset_field *fields, void *config) {
    const char *value = strchr(pair, '=');
    int64_t whole = 0;
    if (!value) return 0;
    const size_t length = (size_t)(value++ - pair);
    for (const preset_field *f = fields; f->kind; ++f) {
        void *at = (char *)config + f->at;
        if (strlen(f->name) != length || memcmp(f->name, pair, length)) continue;
        if (f->kind == FIELD_REAL) return read_real(value, (double *)at);
        if (f->kind == FIELD_DECAY) whole = read_word("same|div|linear|log|quadratic|exp", value);
        else if (!read_whole(value, 0, INT32_MAX, &whole)) return 0;
        if (whole >= 0) *(int32_t *)at = (int32_t)whole;
        return whole >= 0;
    }
    return 0;
}

// A preset is its NAME, copied to `name`, and what differs from it: "vstan,k=200,recency=86400". Returns the
// first pair that is no field of this kind, NULL if all are.
static const char *read_preset(const char *preset, char name[16], const preset_field *fields, void *config) {
    static char pair[64];
    size_t length = strcspn(preset, ",");
    snprintf(name, 16, "%.*s", (int)(length < 16 ? length : 15), preset);
    while (preset[length]) {
        preset += length + 1;
        length = strcspn(preset, ",");
        snprintf(pair, sizeof pair, "%.*s", (int)(length < sizeof pair ? length : sizeof pair - 1), preset);
        if (!change_field(pair, fields, config)) return pair;
    }
    return NULL;
}

// The status, after saying what is wrong with a preset.
static int read_neighbors(const char *preset, sessrec_knn_config *out) {
    char name[16];
    sessrec_knn_config changed = *out;
    (void)read_preset(preset, name, knn_fields, &changed);
    if (sessrec_knn_preset(name, out))
        return fail(EXIT_USAGE, "--preset of knn is sknn, vsknn, stan, vstan or vmis, not '%s'", name);
    const char *wrong = read_preset(preset, name, knn_fields, out);
    return wrong ? fail(EXIT_USAGE, "--preset of knn cannot change '%s'; it takes NAME,k=N,m=N,cosine=0|1,"
                        "last-n=N,weight=W,weight-scale=X,neighbor-weight=W,neighbor-scale=X,recency=SECONDS,"
                        "spread=X,idf=X with W same|div|linear|log|quadratic|exp", wrong) : 0;
}

static int read_rules(const char *preset, sessrec_rules_config *out) {
    char name[16];
    const char *wrong = read_preset(preset, name, rules_fields, out);
    out->kind = rules_kind(name);
    if (out->kind < 0)
        return fail(EXIT_USAGE, "--preset of rules is ar, sr, markov or itemknn, not '%s'", name);
    return wrong ? fail(EXIT_USAGE, "--preset of rules cannot change '%s'; it takes NAME,most=N,steps=N,"
                        "weight=W,order=N,events=0|1,lambda=X,alpha=X with W same|div|linear|log|quadratic",
                        wrong) : 0;
}

static int check_preset(const settings *s) {
    sessrec_knn_config knn = sessrec_knn_config_default();
    sessrec_rules_config rules = sessrec_rules_config_default();
    if (!s->preset) return 0;
    if (s->kind == MODEL_KNN) return read_neighbors(s->preset, &knn);
    if (s->kind == MODEL_RULES) return read_rules(s->preset, &rules);
    return fail(EXIT_USAGE, "--preset is for --model knn or rules");
}

static int make_rules(const char *preset, int32_t order, const sessrec_log *log, sessrec_scorer *out) {
    sessrec_error err = {SESSREC_OK, 0, ""};
    sessrec_rules_config config = sessrec_rules_config_default();
    config.order = order;
    const int status = read_rules(preset, &config);
    return status ? status : status_of(NULL, sessrec_rules_create(&config, log, out, &err), &err);
}

static int make_neighbors(const char *preset, const sessrec_log *log, sessrec_scorer *out) {
    sessrec_error err = {SESSREC_OK, 0, ""};
    sessrec_knn_config config = sessrec_knn_config_default();
    const int status = read_neighbors(preset, &config);
    return status ? status : status_of(NULL, sessrec_knn_create(&config, log, out, &err), &err);
}

static int make_scorer(const settings *s, const sessrec_log *log, sessrec_scorer *out) {
    if (s->kind == MODEL_KNN) return make_neighbors(s->preset ? s->preset : "vstan", log, out);
    return make_rules(s->preset ? s->preset : "sr", s->order, log, out);
}

// ---- many methods on one log ----

// Scores that tell nothing: a function of the item and the number of clicks.
static void random_begin(const void *self, void *state, const void *user, double time) {
    (void)self, (void)user, (void)time;
    memset(state, 0, 16);
}
static void random_click(const void *self, int32_t rows, void *states, const int32_t *items,
                         const double *times, void *scratch) {
    (void)self, (void)times, (void)scratch;
    for (int32_t r = 0; r < rows; ++r) ((int32_t *)states)[4 * r] += 1 + items[r];
}
static void random_score(const void *self, int32_t rows, const void *states, int32_t first, int32_t count,
                         float *scores, void *scratch) {
    (void)self, (void)scratch;
    for (int32_t r = 0; r < rows; ++r)
        for (int32_t i = 0; i < count; ++i) {
            uint32_t x = (uint32_t)((const int32_t *)states)[4 * r] * 2654435769u + (uint32_t)(first + i);
            x = (x ^ x >> 16) * 0x45d9f3bu;
            x = (x ^ x >> 16) * 0x45d9f3bu;
            *scores++ = (float)((x ^ x >> 16) >> 8);
        }
}

enum { MOST_METHODS = 40 };

typedef struct method {
    const char *name;
    sessrec_scorer scorer;
    sessrec_model *model;       // of which it is, or NULL
    sessrec_report report;
    double *rank, *gain;        // [events]
    int64_t events;
    double p_recall, p_mrr;     // of the last cutoff, against the first method
} method;

static void on_method_event(void *user, const sessrec_event *event) {
    method *m = (method *)user;
    m->rank[m->events++] = event->rank;
}

static int add_baselines(const sessrec_log *train, method *methods, int *count) {
    static const char *const rules[4] = {"itemknn", "ar", "sr", "markov"};
    static const char *const neighbors[5] = {"sknn", "vsknn", "stan", "vstan", "vmis"};
    sessrec_error err = {SESSREC_OK, 0, ""};
    method *m = &methods[(*count)++];
    m->name = "pop";
    int status = status_of(NULL, sessrec_scorer_pop(train, NULL, &m->scorer, &err), &err);
    if (status) return status;
    const sessrec_scorer pop = m->scorer;
    m = &methods[(*count)++];
    m->name = "random";
    m->scorer.self = pop.self;
    m->scorer.item_count = pop.item_count;
    m->scorer.find_item = pop.find_item;
    m->scorer.state_bytes = 16;
    m->scorer.begin = random_begin;
    m->scorer.click = random_click;
    m->scorer.score = random_score;
    m = &methods[(*count)++];
    m->name = "s-pop";
    status = status_of(NULL, experiment_s_pop(train, &m->scorer, &err), &err);
    for (int i = 0; i < 4 && !status; ++i) {
        m = &methods[(*count)++];
        m->name = rules[i];
        status = make_rules(rules[i], 1, train, &m->scorer);
    }
    for (int i = 0; i < 5 && !status; ++i) {
        m = &methods[(*count)++];
        m->name = neighbors[i];
        status = make_neighbors(neighbors[i], train, &m->scorer);
    }
    return status;
}

// How likely a difference as large to the first method is by chance, in hits or in reciprocal ranks.
static int method_p(method *first, method *m, int32_t cutoff, int is_mrr, double *p) {
    experiment_signed_ranks test;
    for (method *each = first;; each = m) {
        for (int64_t i = 0; i < each->events; ++i)
            each->gain[i] = each->rank[i] > cutoff ? 0 : is_mrr ? 1 / each->rank[i] : 1;
        if (each == m) break;
    }
    const int failed = experiment_wilcoxon(first->gain, m->gain, m->events, &test) != SESSREC_OK;
    *p = test.p;
    return failed ? fail_memory() : 0;
}

static int run_method(const settings *s, const work *w, method *methods, int index) {
    sessrec_error err = {SESSREC_OK, 0, ""};
    sessrec_eval_config config = s->evaluation;
    method *m = &methods[index];
    const size_t most = (size_t)sessrec_log_contents(w->test).event_count + 1;
    config.history = w->history;
    config.on_event = on_method_event;
    config.on_event_user = m;
    m->rank = (double *)calloc(2 * most, sizeof *m->rank);
    if (!m->rank) return fail_memory();
    m->gain = m->rank + most;
    int status = status_of(m->name,
                           m->model && !s->last_clicks
                               ? sessrec_evaluate(m->model, w->test, &config, &m->report, &err)
                               : sessrec_evaluate_scorer(&m->scorer, w->test, &config, &m->report, &err),
                           &err);
    if (status) return status;
    if (m->events != methods->events)
        return fail(EXIT_DATA, "%s and %s know different items of the log: their events are not the same",
                    m->name, methods->name);
    const int32_t last = m->report.cutoff_count - 1, cutoff = m->report.cutoffs[last];
    m->p_recall = m->p_mrr = 1;
    if (index) status = method_p(methods, m, cutoff, 0, &m->p_recall);
    if (index && !status) status = method_p(methods, m, cutoff, 1, &m->p_mrr);
    if (status) return status;
    printf("%-28.28s%10.4f", m->name, m->report.all.recall[last]);
    if (index) printf("%10.2g", m->p_recall);
    printf("%*.4f", index ? 10 : 20, m->report.all.mrr[last]);
    if (index) printf("%10.2g", m->p_mrr);
    printf("%*.1f\n", index ? 8 : 18, m->report.seconds);
    fflush(stdout);
    return 0;
}

static void json_methods(buffer *t, const method *methods, int count) {
    for (int i = 0; i < count; ++i) {
        const sessrec_report *r = &methods[i].report;
        text_put(t, "%s{\"name\":", i ? "," : ",\"methods\":[");
        text_quote(t, methods[i].name);
        json_metric(t, "recall", r, r->all.recall);
        json_metric(t, "mrr", r, r->all.mrr);
        json_metric(t, "ndcg", r, r->all.ndcg);
        text_put(t, ",\"p_recall\":");
        json_number(t, methods[i].p_recall);
        text_put(t, ",\"p_mrr\":");
        json_number(t, methods[i].p_mrr);
        text_put(t, "}");
    }
    text_put(t, "]");
}

// The files of s->models and, with --baselines, simple methods made from the log of --train.
static int compare_methods(settings *s, work *w) {
    static method methods[MOST_METHODS];
    int count = 0, status = s->baselines && !w->train
        ? fail(EXIT_USAGE, "--baselines needs the training log: --train LOG") : 0;
    if (s->model_count + 12 > MOST_METHODS) return fail(EXIT_USAGE, "too many models");
    for (; count < s->model_count && !status; ++count) {
        methods[count].name = s->models[count];
        status = load_scorer(s->models[count], &methods[count].model, &methods[count].scorer);
    }
    if (!status)
        status = check_judge(s->main_log, w->test, methods->name, NULL, &methods->scorer);
    if (!status && s->baselines) status = add_baselines(w->train, methods, &count);
    for (int i = 0; i < count && !status && s->last_clicks; ++i)
        status = window_of(&methods[i].scorer, s->last_clicks);
    if (!status) {
        const int last = (int)s->evaluation.cutoffs[s->evaluation.cutoff_count - 1];
        char recall[24], mrr[24];
        snprintf(recall, sizeof recall, "Recall@%d", last);
        snprintf(mrr, sizeof mrr, "MRR@%d", last);
        printf("%-28s%10s%10s%10s%10s%8s\n", "", recall, "p", mrr, "p", "s");
    }
    for (int i = 0; i < count && !status; ++i) status = run_method(s, w, methods, i);
    if (!status) {
        printf("%s events; p: Wilcoxon's signed-rank test over events against the first, two-sided\n",
               grouped(methods->events));
        w->report = methods->report;
        json_methods(&w->methods, methods, count);
        status = write_results(s, w, 1);
    }
    for (int i = 0; i < count; ++i) {
        sessrec_scorer_destroy(&methods[i].scorer);
        sessrec_model_destroy(methods[i].model);
        free(methods[i].rank);
    }
    return status;
}

// ---- sessrec blend ----

static int try_blend(const settings *s, const work *w, const sessrec_blend_part *both, double epsilon,
                     double *value) {
    sessrec_error err = {SESSREC_OK, 0, ""};
    sessrec_eval_config config = s->evaluation;
    sessrec_scorer blend;
    sessrec_report report;
    memset(&report, 0, sizeof report);
    config.cutoff_count = 1;
    config.cutoffs[0] = 20;
    sessrec_result result = sessrec_blend_create(both, 2, epsilon, NULL, &blend, &err);
    if (!result) result = sessrec_evaluate_scorer(&blend, w->test, &config, &report, &err);
    sessrec_scorer_destroy(&blend);
    *value = report.all.recall[0] + report.all.mrr[0];
    if (!result)
        fprintf(stderr, "b %-6g epsilon %-8g Recall@20 %.4f  MRR@20 %.4f\n", (double)both[1].weight, epsilon,
                report.all.recall[0], report.all.mrr[0]);
    return status_of(NULL, result, &err);
}

// Finds b, then epsilon, by Recall@20 + MRR@20 on a log that neither part was made from, and writes the
// blend.
static int command_blend(settings *s, work *w) {
    static const double weights[] = {0.03, 0.06, 0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.4, 2, 3, 4.5, 7},
                        epsilons[] = {1e-2, 1e-3, 1e-5, 1e-6};
    sessrec_error err = {SESSREC_OK, 0, ""};
    sessrec_scorer scorers[2];
    sessrec_blend_part both[2] = {{&scorers[0], 1, 0}, {&scorers[1], 1, 0}};
    double best = -1, value, b = 1, epsilon = 1e-4;
    memset(scorers, 0, sizeof scorers);
    if (!s->output) return fail(EXIT_USAGE, "blend needs an output file: -o FILE");
    int status = check_outputs(s);
    if (!status) status = check_writable(s->output, own_file.write_blend ? NULL : MODEL_BEGINS);
    if (!status) status = load_scorer(s->input[0], &w->model, &scorers[0]);
    if (!status) status = load_scorer(s->input[1], &w->other, &scorers[1]);
    if (!status) status = load_log(s, s->input[2], &w->test);
    if (!status) status = check_judge(s->input[2], w->test, s->input[0], NULL, &scorers[0]);
    both[1].logarithm = scorers[1].list && !scorers[1].score;
    if (!both[1].logarithm && !status)
        status = fail(EXIT_USAGE, "%s must be neighbors or rules; the network comes first", s->input[1]);
    both[0].logarithm = scorers[0].list && !scorers[0].score;
    for (size_t i = 0; i < sizeof weights / sizeof *weights && !status && !(s->weight > 0); ++i) {
        both[1].weight = (float)weights[i];
        status = try_blend(s, w, both, epsilon, &value);
        if (!status && value > best) best = value, b = weights[i];
    }
    if (s->weight > 0) b = s->weight, epsilon = s->blend_epsilon;
    both[1].weight = (float)b;
    if (s->weight > 0 && !status) status = try_blend(s, w, both, epsilon, &value);
    for (size_t i = 0; i < sizeof epsilons / sizeof *epsilons && !status && !(s->weight > 0); ++i) {
        status = try_blend(s, w, both, epsilons[i], &value);
        if (!status && value > best) best = value, epsilon = epsilons[i];
    }
    if (!status)
        status = status_of(NULL, sessrec_blend_create(both, 2, epsilon, NULL, &w->scorer, &err), &err);
    if (!status && own_file.write_blend && !sessrec_scorer_export_size(&w->scorer))
        status = status_of(s->output, own_file.write_blend(s->input, both, epsilon, s->output, &err), &err);
    else if (!status)
        status = status_of(s->output, sessrec_scorer_write(&w->scorer, s->output, &err), &err);
    if (!status) printf("blend    %s: b %g, epsilon %g\n", s->output, b, epsilon);
    sessrec_scorer_destroy(&w->scorer);
    for (int i = 0; i < 2; ++i) sessrec_scorer_destroy(&scorers[i]);
    return status;
}
