// tune.h - sessrec tune: looks for good settings by random search with successive halving
//
// Part of examples/sessrec.c, which includes it after what it uses.
//
// Trial 1 has the default settings, every other one draws each setting evenly from its range. A trial is
// judged three times, each time with about three times the effort: networks after a ninth, a third and all of
// the epochs; neighbors, rules and blends on a ninth, a third and all of the validation sessions. After each
// of the first two, only a trial in the best third of those that came so far goes on. This is asynchronous
// successive halving that stops instead of pausing (Li et al., MLSys 2020, after Jamieson, Talwalkar 2016).
// A network that was not better in three epochs ends, too; its best counts.
// Each trial depends only on the seed, its number and the trials before it, and is kept as a line of JSON, so
// that a search can go on where it ended.

enum { TUNE_RUNGS = 3, TUNE_REDUCTION = 3, TUNE_PATIENCE = 3 };
enum { TUNE_STREAM = 0x74756e65, TUNE_SETTINGS = 16, TUNE_VALUE = 32 };

// ---- what is searched ----

typedef struct tune_setting {
    const char *name;           // of sessrec_config_set, or a field of --preset
    const char *words;          // one of "a|b|c", or NULL:
    double least, most, step;   // least, least + step, .. most
    const char *when, *is;      // only where an earlier setting has this value; NULL: always
} tune_setting;

// The ranges in which the GRU4Rec authors searched for "The Effect of Third Party Implementations on
// Reproducibility" (RecSys 2023); the three embeddings are their setups. "layers" is the width of the layer.
static const tune_setting gru_space[] = {
    {"loss", "xe|bpr-max", 0, 0, 0, NULL, NULL},
    {"layers", NULL, 64, 512, 32, NULL, NULL},
    {"embedding", "tied|none|layers", 0, 0, 0, NULL, NULL},
    {"batch", NULL, 32, 256, 16, NULL, NULL},
    {"lr", NULL, 0.01, 0.25, 0.005, NULL, NULL},
    {"dropout-input", NULL, 0, 0.5, 0.05, NULL, NULL},
    {"dropout-hidden", NULL, 0, 0.7, 0.05, NULL, NULL},
    {"momentum", NULL, 0, 0.9, 0.05, NULL, NULL},
    {"alpha", NULL, 0, 1, 0.1, NULL, NULL},
    {"bpreg", NULL, 0, 2, 0.05, "loss", "bpr-max"},
    {"activation", "elu:0.5|elu:1|linear", 0, 0, 0, "loss", "bpr-max"},
    {NULL, NULL, 0, 0, 0, NULL, NULL},
};
// Grids as in the studies of session neighbors (Ludewig, Jannach 2018; Ludewig, Mauro, Latifi, Jannach 2019)
// and STAN (Garg et al. 2019); recency in seconds: 2.5 to 100 days.
static const tune_setting knn_space[] = {
    {"k", "50|100|200|500|1000|1500|2000", 0, 0, 0, NULL, NULL},
    {"m", "500|1000|2500|5000|10000", 0, 0, 0, NULL, NULL},
    {"cosine", "0|1", 0, 0, 0, NULL, NULL},
    {"weight", "same|div|linear|log|quadratic|exp", 0, 0, 0, NULL, NULL},
    {"weight-scale", "0.4525|0.905|1.81|3.62|7.24", 0, 0, 0, "weight", "exp"},
    {"neighbor-weight", "same|div|linear|log|quadratic|exp", 0, 0, 0, NULL, NULL},
    {"neighbor-scale", "0.4525|0.905|1.81|3.62|7.24", 0, 0, 0, "neighbor-weight", "exp"},
    {"recency", "0|216000|432000|864000|1728000|3456000|6912000|8640000", 0, 0, 0, NULL, NULL},
    {"spread", "0|0.4525|0.905|1.81|3.62|7.24", 0, 0, 0, NULL, NULL},
    {"idf", "0|1|2|5|10", 0, 0, 0, NULL, NULL},
    {NULL, NULL, 0, 0, 0, NULL, NULL},
};
static const tune_setting rules_space[] = {
    {"kind", "ar|sr|markov|itemknn", 0, 0, 0, NULL, NULL},
    {"most", "20|50|100|200|500", 0, 0, 0, NULL, NULL},
    {"steps", NULL, 1, 20, 1, "kind", "sr"},
    {"weight", "same|div|linear|log|quadratic", 0, 0, 0, "kind", "sr"},
    {"order", NULL, 1, 4, 1, "kind", "markov"},
    {"events", "0|1", 0, 0, 0, "kind", "itemknn"},
    {"lambda", "0|20|50|80", 0, 0, 0, "kind", "itemknn"},
    {"alpha", NULL, 0, 1, 0.25, "kind", "itemknn"},
    {NULL, NULL, 0, 0, 0, NULL, NULL},
};
static const tune_setting blend_space[] = {
    {"b", NULL, 0.05, 3, 0.05, NULL, NULL},
    {"epsilon", "1e-2|1e-3|1e-4|1e-5|1e-6", 0, 0, 0, NULL, NULL},
    {NULL, NULL, 0, 0, 0, NULL, NULL},
};
// By the values of --model.
static const struct {
    const char *model;
    const tune_setting *settings;
} tune_spaces[] = {{"gru", gru_space}, {"knn", knn_space}, {"rules", rules_space}, {"blend", blend_space}};

// Item `index` of "a|b|c".
static void tune_word(const char *words, uint64_t index, char value[TUNE_VALUE]) {
    for (; index > 0; --index) words += strcspn(words, "|") + 1;
    snprintf(value, TUNE_VALUE, "%.*s", (int)strcspn(words, "|"), words);
}

static uint64_t tune_count(const tune_setting *t) {
    uint64_t count = 1;
    if (!t->words) return (uint64_t)((t->most - t->least) / t->step + 1.5);
    for (const char *at = t->words; *at; ++at) count += *at == '|';
    return count;
}

// For other searchers, such as examples/python/tune.py: {"model":"gru","settings":[..]}.
static int tune_print_space(int32_t kind) {
    buffer text = {NULL, 0, 0, 0};
    text_put(&text, "{\"model\":\"%s\",\"settings\":[", tune_spaces[kind].model);
    for (const tune_setting *t = tune_spaces[kind].settings; t->name; ++t) {
        text_put(&text, "%s\n  {\"name\":\"%s\"", t == tune_spaces[kind].settings ? "" : ",", t->name);
        if (!t->words) text_put(&text, ",\"least\":%g,\"most\":%g,\"step\":%g", t->least, t->most, t->step);
        for (uint64_t i = 0, count = t->words ? tune_count(t) : 0; i < count; ++i) {
            char value[TUNE_VALUE];
            tune_word(t->words, i, value);
            text_put(&text, "%s\"%s\"%s", i ? "," : ",\"values\":[", value, i + 1 < count ? "" : "]");
        }
        if (t->when) text_put(&text, ",\"when\":{\"%s\":\"%s\"}", t->when, t->is);
        text_put(&text, "}");
    }
    text_put(&text, "]}\n");
    if (!text.failed) fwrite(text.bytes, 1, text.size, stdout);
    free(text.bytes);
    return text.failed ? fail_memory() : 0;
}

// ---- trials ----

// What a trial has drawn: names and values, in the order of the space.
typedef struct tune_draw {
    int32_t count;
    const char *names[TUNE_SETTINGS];
    char values[TUNE_SETTINGS][TUNE_VALUE];
} tune_draw;

typedef struct tune_trial {
    tune_draw draw;
    int32_t rungs;              // how many it has reached
    double recall[TUNE_RUNGS], mrr[TUNE_RUNGS];     // at 20: the best up to each, in six digits
    int32_t best;               // the epoch of the last of these; 0 without epochs
    int32_t diverged;
    double seconds;
} tune_trial;

typedef struct tuning {
    const settings *s;
    const work *w;
    const sessrec_log *parts[TUNE_RUNGS];   // validation sessions for each rung, the last one all of them
    sessrec_log *shares[TUNE_RUNGS - 1];    // of these, what belongs to us
    sessrec_scorer blended[2];              // of a blend: the network and the neighbors
    tune_trial *trials;
    int32_t count;
    buffer lines;               // the file of trials
} tuning;

static const char *tune_value(const tune_draw *draw, const char *name) {
    for (int32_t i = 0; i < draw->count; ++i)
        if (!strcmp(draw->names[i], name)) return draw->values[i];
    return NULL;
}

// Whether the user has fixed a setting of the network by its option.
static int tune_fixed(const settings *s, const char *name) {
    char name_of[40];
    snprintf(name_of, sizeof name_of, "--%s", name);
    return s->kind == MODEL_GRU && given(s, name_of);
}

static void tune_draw_settings(const settings *s, int32_t trial, tune_draw *out) {
    const tune_setting *space = tune_spaces[s->kind].settings;
    memset(out, 0, sizeof *out);
    for (const tune_setting *t = space; t->name && trial > 0; ++t) {
        const uint64_t index = (uint64_t)trial * TUNE_SETTINGS + (uint64_t)(t - space);
        const uint64_t at = sessrec_random(s->config.seed, TUNE_STREAM, index) % tune_count(t);
        char *value = out->values[out->count];
        if (tune_fixed(s, t->name)) continue;
        const char *chosen = t->when ? tune_value(out, t->when) : NULL;
        char fixed[TUNE_VALUE] = "";
        if (t->when && !chosen && tune_fixed(s, t->when) &&
            !sessrec_config_get(&s->config, t->when, fixed, sizeof fixed, NULL))
            chosen = fixed;
        if (t->when && (!chosen || strcmp(chosen, t->is) != 0)) continue;
        if (t->words) tune_word(t->words, at, value);
        else snprintf(value, TUNE_VALUE, "%g", t->least + (double)at * t->step);
        if (!strcmp(value, "layers")) {
            const char *layers = tune_value(out, "layers");
            if (layers) memmove(value, layers, strlen(layers) + 1);
            else snprintf(value, TUNE_VALUE, "%d", (int)s->config.hidden[0]);
        }
        out->names[out->count++] = t->name;
    }
}

// The line of a trial up to its results: the same settings, the same text.
static void tune_line_begin(buffer *line, const settings *s, int32_t trial, const tune_draw *draw) {
    text_put(line, "{\"trial\":%d,\"model\":\"%s\",\"settings\":{", (int)trial + 1,
             tune_spaces[s->kind].model);
    for (int32_t i = 0; i < draw->count; ++i) {
        double number;
        text_put(line, "%s\"%s\":", i ? "," : "", draw->names[i]);
        if (read_real(draw->values[i], &number)) text_put(line, "%s", draw->values[i]);
        else text_quote(line, draw->values[i]);
    }
    text_put(line, "}");
}

static void tune_line_end(buffer *line, const tune_trial *trial) {
    for (int m = 0; m < 2; ++m) {
        text_put(line, m ? "],\"mrr\":[" : ",\"recall\":[");
        for (int32_t r = 0; r < trial->rungs; ++r)
            text_put(line, "%s%.6f", r ? "," : "", m ? trial->mrr[r] : trial->recall[r]);
    }
    text_put(line, "],\"epochs\":%d,\"diverged\":%s,\"seconds\":%.1f}\n", (int)trial->best,
             trial->diverged ? "true" : "false", trial->seconds);
}

// The first line of the file: what all trials have in common.
static void tune_head(buffer *line, settings *s, const work *w) {
    const int32_t threads = s->config.threads;
    s->config.threads = 0;  // they change nothing
    text_put(line, "{\"tune\":\"%s\",\"seed\":%llu,\"by\":%d", tune_spaces[s->kind].model,
             (unsigned long long)s->config.seed, (int)s->by);
    json_configuration(line, s);
    text_put(line, ",\"logs\":[");
    json_log(line, "train", s->input[0], w->train);
    json_log(line, "validation", s->valid, w->valid);
    text_put(line, "]}\n");
    s->config.threads = threads;
}

static double tune_goodness(const settings *s, double recall, double mrr) {
    return s->by == 1 ? recall : s->by == 2 ? mrr : recall + mrr;
}

static double tune_at(const settings *s, const tune_trial *trial, int32_t rung) {
    return tune_goodness(s, trial->recall[rung], trial->mrr[rung]);
}

// Whether a trial that has just been judged is in the best third of those that were judged as often.
static int tune_promoted(const tuning *t, const tune_trial *trial) {
    const int32_t rung = trial->rungs - 1;
    int32_t judged = 1, better = 0;
    for (int32_t i = 0; i < t->count; ++i) {
        if (t->trials[i].rungs <= rung) continue;
        ++judged;
        better += tune_at(t->s, &t->trials[i], rung) > tune_at(t->s, trial, rung);
    }
    return better * TUNE_REDUCTION < judged;
}

static void tune_judged(const settings *s, tune_trial *trial, const sessrec_report *report, int32_t epoch) {
    const int32_t rung = trial->rungs;
    const double recall = floor(report->all.recall[0] * 1e6 + 0.5) / 1e6;
    const double mrr = floor(report->all.mrr[0] * 1e6 + 0.5) / 1e6;
    if (epoch > 1 && tune_goodness(s, recall, mrr) <= tune_at(s, trial, rung)) return;
    trial->recall[rung] = recall;
    trial->mrr[rung] = mrr;
    trial->best = epoch;
}

// Ends a rung; what is best so far is also the best at the start of the next. Whether the trial goes on.
static int tune_rung_done(const tuning *t, tune_trial *trial) {
    const int32_t rung = trial->rungs++;
    if (trial->rungs == TUNE_RUNGS) return 0;
    trial->recall[rung + 1] = trial->recall[rung];
    trial->mrr[rung + 1] = trial->mrr[rung];
    return tune_promoted(t, trial);
}

static sessrec_eval_config tune_evaluation(const settings *s) {
    sessrec_eval_config evaluation = s->evaluation;
    evaluation.cutoff_count = 1;
    evaluation.cutoffs[0] = 20;
    return evaluation;
}

// ---- a network ----

static int32_t tune_interrupted(void *user, const sessrec_progress *p) {
    (void)user, (void)p;
    return interrupted;
}

// Epochs of the first two judgments, of E: E/9 and E/3, at least 1.
static int32_t tune_epochs(int32_t epochs, int32_t rung) {
    for (; rung + 1 < TUNE_RUNGS; ++rung) epochs = epochs / TUNE_REDUCTION > 1 ? epochs / TUNE_REDUCTION : 1;
    return epochs;
}

static sessrec_result tune_epochs_of(const tuning *t, sessrec_trainer *trainer, sessrec_batcher *batcher,
                                     tune_trial *trial, sessrec_error *err) {
    sessrec_eval_config evaluation = tune_evaluation(t->s);
    sessrec_report report;
    const sessrec_model *model = NULL;
    sessrec_result result = SESSREC_OK;
    evaluation.history = t->w->train;
    for (int32_t epoch = 1; !result && epoch <= t->s->config.epochs; ++epoch) {
        result = sessrec_trainer_epoch(trainer, batcher, err);
        if (!result) result = sessrec_trainer_model(trainer, &model, err);
        if (!result) result = sessrec_evaluate(model, t->w->valid, &evaluation, &report, err);
        if (!result) result = sessrec_trainer_next_epoch(trainer);
        if (result) break;
        tune_judged(t->s, trial, &report, epoch);
        int on = 1;  // with few epochs several rungs end at once
        while (on && trial->rungs < TUNE_RUNGS && epoch >= tune_epochs(t->s->config.epochs, trial->rungs))
            on = tune_rung_done(t, trial);
        if (!on) break;
        if (epoch - trial->best < TUNE_PATIENCE) continue;
        while (trial->rungs < TUNE_RUNGS) (void)tune_rung_done(t, trial);  // it would only get worse
        break;
    }
    return result;
}

static sessrec_result tune_network(const tuning *t, const tune_draw *draw, tune_trial *trial,
                                   sessrec_error *err) {
    sessrec_config config = t->s->config;
    sessrec_trainer *trainer = NULL;
    sessrec_sampler *sampler = NULL;
    sessrec_batcher *batcher = NULL;
    sessrec_result result = SESSREC_OK;
    for (int32_t i = 0; i < draw->count && !result; ++i)
        result = sessrec_config_set(&config, draw->names[i], draw->values[i], err);
    config.progress = tune_interrupted;
    if (!result) result = sessrec_trainer_create(&config, t->w->train, &trainer, err);
    if (!result) result = sessrec_trainer_sampler(trainer, &sampler, err);
    if (!result) result = sessrec_batcher_create(&config, t->w->train, sampler, &batcher, err);
    if (!result) result = tune_epochs_of(t, trainer, batcher, trial, err);
    if (result == SESSREC_DIVERGED) {
        trial->diverged = 1;
        result = SESSREC_OK;
    }
    sessrec_batcher_destroy(batcher);
    sessrec_sampler_destroy(sampler);
    sessrec_trainer_destroy(trainer);
    return result;
}

// ---- neighbors, rules, blends ----

// The value of --preset that stands for what was drawn.
static void tune_preset(const settings *s, const tune_draw *draw, buffer *out) {
    const char *kind = tune_value(draw, "kind");
    text_put(out, "%s", s->kind == MODEL_KNN ? "vstan" : kind ? kind : "sr");
    for (int32_t i = 0; i < draw->count; ++i)
        if (strcmp(draw->names[i], "kind") != 0) text_put(out, ",%s=%s", draw->names[i], draw->values[i]);
    text_add(out, "", 1);
}

static void tune_blend_settings(const tune_draw *draw, double *b, double *epsilon) {
    const char *weight = tune_value(draw, "b"), *text = tune_value(draw, "epsilon");
    *b = weight ? strtod(weight, NULL) : 1;
    *epsilon = text ? strtod(text, NULL) : 1e-4;
}

static int tune_make(const tuning *t, const tune_draw *draw, sessrec_scorer *out) {
    sessrec_error err = {SESSREC_OK, 0, ""};
    if (t->s->kind == MODEL_BLEND) {
        sessrec_blend_part both[2] = {{&t->blended[0], 1, 0}, {&t->blended[1], 1, 1}};
        double b, epsilon;
        tune_blend_settings(draw, &b, &epsilon);
        both[1].weight = (float)b;
        return status_of(NULL, sessrec_blend_create(both, 2, epsilon, NULL, out, &err), &err);
    }
    buffer preset = {NULL, 0, 0, 0};
    tune_preset(t->s, draw, &preset);
    int status = preset.failed ? fail_memory() : 0;
    if (!status) status = t->s->kind == MODEL_KNN ? make_neighbors(preset.bytes, t->w->train, out)
                                                  : make_rules(preset.bytes, 1, t->w->train, out);
    free(preset.bytes);
    return status;
}

static int tune_scorer(const tuning *t, const tune_draw *draw, tune_trial *trial) {
    sessrec_error err = {SESSREC_OK, 0, ""};
    sessrec_eval_config evaluation = tune_evaluation(t->s);
    sessrec_scorer scorer;
    sessrec_report report;
    memset(&scorer, 0, sizeof scorer);
    int status = tune_make(t, draw, &scorer), on = !status;
    while (on && !status) {
        const sessrec_log *part = t->parts[trial->rungs];
        status = status_of(NULL, sessrec_evaluate_scorer(&scorer, part, &evaluation, &report, &err), &err);
        if (!status) tune_judged(t->s, trial, &report, 0);
        on = !status && tune_rung_done(t, trial);
    }
    sessrec_scorer_destroy(&scorer);
    return status;
}

// ---- the search ----

// Every `step`-th session of a log.
static int tune_share(const sessrec_log *log, int32_t step, sessrec_log **out) {
    sessrec_error err = {SESSREC_OK, 0, ""};
    const sessrec_log_view view = sessrec_log_contents(log);
    int status = status_of(NULL, sessrec_log_create(NULL, out, &err), &err);
    for (int32_t i = 0; i < view.session_count && !status; i += step)
        for (int64_t e = view.session_begins[i]; e < view.session_begins[i + 1]; ++e)
            (void)sessrec_log_add(*out, view.session_users ? sessrec_log_user_id(log, view.session_users[i])
                                                           : NULL,
                                  sessrec_log_session_id(log, i), sessrec_log_item_id(log, view.items[e]),
                                  view.times[e]);
    return status ? status : status_of(NULL, sessrec_log_finish(*out, &err), &err);
}

static int tune_shares(tuning *t) {
    int status = 0;
    for (int32_t r = 0, step = 9; r < TUNE_RUNGS; ++r, step /= TUNE_REDUCTION) {
        // of few sessions all are looked at
        const int few = sessrec_log_contents(t->w->valid).session_count < 100 * step;
        t->parts[r] = t->w->valid;
        if (r + 1 == TUNE_RUNGS || few || t->s->kind == MODEL_GRU || status) continue;
        status = tune_share(t->w->valid, step, &t->shares[r]);
        t->parts[r] = t->shares[r];
    }
    return status;
}

// The parts of a blend: from files, or the default network and neighbors.
static int tune_parts(tuning *t, work *w) {
    const settings *s = t->s;
    if (s->kind != MODEL_BLEND) return 0;
    sessrec_error err = {SESSREC_OK, 0, ""};
    int status = s->network ? load_scorer(s->network, &w->model, &t->blended[0]) : train_model(s->config, w);
    if (!status && !s->network)
        status = status_of(NULL, sessrec_scorer_model(w->model, NULL, &t->blended[0], &err), &err);
    if (!status)
        status = s->neighbors ? load_scorer(s->neighbors, &w->other, &t->blended[1])
                              : make_neighbors("vstan", w->train, &t->blended[1]);
    if (!status && (!t->blended[1].list || t->blended[1].score))
        status = fail(EXIT_USAGE, "%s must be neighbors or rules", s->neighbors);
    return status;
}

// Numbers of a list "name":[1,2] of a line; how many.
static int32_t tune_read_list(const char *line, const char *name, double *out) {
    const char *at = strstr(line, name);
    int32_t count = 0;
    if (at) at += strlen(name);
    while (at && *at && *at != ']' && count < TUNE_RUNGS) {
        char *end;
        out[count++] = strtod(at, &end);
        at = *end == ',' ? end + 1 : end;
    }
    return count;
}

static double tune_read_number(const char *line, const char *name) {
    const char *at = strstr(line, name);
    return at ? strtod(at + strlen(name), NULL) : 0;
}

// Takes a trial from its line, which ends with 0; 0 if the line is of another search.
static int tune_read_trial(tuning *t, const char *line) {
    tune_trial *trial = &t->trials[t->count];
    buffer begin = {NULL, 0, 0, 0};
    tune_draw_settings(t->s, t->count, &trial->draw);
    tune_line_begin(&begin, t->s, t->count, &trial->draw);
    const int same = !begin.failed && !strncmp(line, begin.bytes, begin.size);
    free(begin.bytes);
    trial->rungs = tune_read_list(line, "\"recall\":[", trial->recall);
    if (!same || tune_read_list(line, "\"mrr\":[", trial->mrr) != trial->rungs) return 0;
    trial->best = (int32_t)tune_read_number(line, "\"epochs\":");
    trial->diverged = strstr(line, "\"diverged\":true") != NULL;
    trial->seconds = tune_read_number(line, "\"seconds\":");
    return 1;
}

static int tune_read_file(const char *path, buffer *out) {
    char piece[4096];
    size_t got;
    FILE *file = fopen(path, "rb");
    if (!file) return errno == ENOENT ? 0 : fail(EXIT_DATA, "%s: cannot be read: %s", path, strerror(errno));
    while ((got = fread(piece, 1, sizeof piece, file)) > 0) text_add(out, piece, got);
    const int failed = ferror(file);
    fclose(file);
    return failed ? fail(EXIT_DATA, "%s: cannot be read", path) : out->failed ? fail_memory() : 0;
}

// Reads back the trials of the file, as far as it goes; more than are wanted now stay in it.
static int tune_resume(tuning *t, settings *s) {
    buffer head = {NULL, 0, 0, 0}, file = {NULL, 0, 0, 0};
    tune_head(&head, s, t->w);
    int status = s->json ? tune_read_file(s->json, &file) : 0;
    if (!status && file.size && !s->resume)
        status = fail(EXIT_USAGE, "%s holds a search already: add --resume to go on with it, or give another "
                      "name", s->json);
    text_add(&file, "", 1);
    if (!status && (head.failed || file.failed)) status = fail_memory();
    if (!status && file.size > 1 && strncmp(file.bytes, head.bytes, head.size) != 0)
        status = fail(EXIT_USAGE, "%s is of another search: of other logs, settings, --by or --seed",
                      s->json);
    if (!status) text_add(&t->lines, head.bytes, head.size);
    char *at = status || file.size == 1 ? NULL : file.bytes + head.size, *end;
    for (; at && t->count < s->trials && (end = strchr(at, '\n')) != NULL; at = end + 1) {
        *end = 0;
        if (!tune_read_trial(t, at)) {
            status = fail(EXIT_DATA, "%s:%d: this is not trial %d of this search", s->json, (int)t->count + 2,
                          (int)t->count + 1);
            break;
        }
        *end = '\n';
        text_add(&t->lines, at, (size_t)(end + 1 - at));
        ++t->count;
    }
    if (t->count) fprintf(stderr, "%d trials are taken from %s\n", (int)t->count, s->json);
    free(head.bytes);
    free(file.bytes);
    return status;
}

static int tune_best(const tuning *t) {
    int best = 0;
    for (int i = 1; i < t->count; ++i) {
        const tune_trial *a = &t->trials[i], *b = &t->trials[best];
        if (a->rungs == TUNE_RUNGS &&
            (b->rungs < TUNE_RUNGS ||
             tune_at(t->s, a, TUNE_RUNGS - 1) > tune_at(t->s, b, TUNE_RUNGS - 1)))
            best = i;
    }
    return best;
}

static void tune_print_trial(const tuning *t, int32_t index) {
    const tune_trial *trial = &t->trials[index];
    fprintf(stderr, "trial %d/%d  ", (int)index + 1, (int)t->s->trials);
    if (trial->rungs)
        fprintf(stderr, "Recall@20 %.4f  MRR@20 %.4f  ", trial->recall[trial->rungs - 1],
                trial->mrr[trial->rungs - 1]);
    fprintf(stderr, "%s  %.1f s  best: trial %d\n",
            trial->diverged              ? "diverged"
            : trial->rungs < TUNE_RUNGS ? "stopped"
                                         : "complete",
            trial->seconds, tune_best(t) + 1);
}

static double tune_clock(void) {
#if defined(CLOCK_MONOTONIC)
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
#else
    return (double)time(NULL);
#endif
}

// Runs the next trial and keeps its line.
static int tune_run(tuning *t) {
    sessrec_error err = {SESSREC_OK, 0, ""};
    tune_trial *trial = &t->trials[t->count];
    const double start = tune_clock();
    tune_draw_settings(t->s, t->count, &trial->draw);
    tune_line_begin(&t->lines, t->s, t->count, &trial->draw);
    sessrec_result result = SESSREC_OK;
    int status = 0;
    if (t->s->kind == MODEL_GRU) result = tune_network(t, &trial->draw, trial, &err);
    else status = tune_scorer(t, &trial->draw, trial);
    trial->seconds = tune_clock() - start;
    if (result == SESSREC_STOPPED || (interrupted && !status && !result))
        return fail(EXIT_DATA, "stopped%s", t->s->json ? "; --resume goes on from here" : "");
    if (!status) status = status_of(NULL, result, &err);
    if (status) return status;
    tune_line_end(&t->lines, trial);
    if (t->lines.failed) return fail_memory();
    tune_print_trial(t, t->count++);
    const sessrec_output output = {t->s->json, "{\"", NULL, NULL, t->lines.bytes, t->lines.size};
    return t->s->json ? status_of(NULL, sessrec_outputs_write(&output, 1, &err), &err) : 0;
}

// How to make what was found.
static void tune_print_command(const tuning *t, const tune_trial *trial) {
    const settings *s = t->s;
    if (s->kind == MODEL_BLEND) {
        double b, epsilon;
        tune_blend_settings(&trial->draw, &b, &epsilon);
        printf("blend    sessrec blend %s %s %s -o FILE --weight %g,%g\n", s->network ? s->network : "MODEL",
               s->neighbors ? s->neighbors : "NEIGHBORS", s->valid, b, epsilon);
        return;
    }
    printf("train    sessrec train %s -o MODEL", s->input[0]);
    if (s->kind == MODEL_GRU) {
        const char *name, *takes;
        char value[1100];
        for (int32_t i = 0; (name = sessrec_config_name(i, &takes)) != NULL; ++i)  // what the user has fixed
            if (tune_fixed(s, name) && strcmp(name, "epochs") != 0 && strcmp(name, "threads") != 0 &&
                !sessrec_config_get(&s->config, name, value, sizeof value, NULL))
                printf(takes ? " --%s %s" : " --%s", name, value);
        for (int32_t i = 0; i < trial->draw.count; ++i)
            printf(" --%s %s", trial->draw.names[i], trial->draw.values[i]);
        printf(" --epochs %d\n", (int)trial->best);
        return;
    }
    buffer preset = {NULL, 0, 0, 0};
    tune_preset(s, &trial->draw, &preset);
    if (!preset.failed) printf(" --model %s --preset %s\n", tune_spaces[s->kind].model, preset.bytes);
    free(preset.bytes);
}

static int tune_print_best(const tuning *t) {
    const tune_trial *first = &t->trials[0], *best = &t->trials[tune_best(t)];
    if (best->rungs < TUNE_RUNGS) return fail(EXIT_DATA, "no trial got to its end: all networks diverged");
    if (first->rungs == TUNE_RUNGS)
        printf("default  Recall@20 %.4f  MRR@20 %.4f\n", first->recall[TUNE_RUNGS - 1],
               first->mrr[TUNE_RUNGS - 1]);
    printf("best     Recall@20 %.4f  MRR@20 %.4f  trial %d of %d, on %s\n", best->recall[TUNE_RUNGS - 1],
           best->mrr[TUNE_RUNGS - 1], (int)(best - t->trials) + 1, (int)t->count, t->s->valid);
    tune_print_command(t, best);
    return 0;
}

static int check_tune(const settings *s) {
    if (!s->valid) return fail(EXIT_USAGE, "tune needs a log to judge by: --valid LOG");
    if (s->trials < 1) return fail(EXIT_USAGE, "--trials must be at least 1");
    if (is_stdout(s->json)) return fail(EXIT_USAGE, "tune keeps its trials in a file: --json FILE");
    if (s->resume && !s->json) return fail(EXIT_USAGE, "--resume needs the file of the trials: --json FILE");
    if ((s->network || s->neighbors) && s->kind != MODEL_BLEND)
        return fail(EXIT_USAGE, "--network and --neighbors are for --model blend");
    const int status = check_outputs(s);
    return status ? status : check_writable(s->json, "{\"");
}

static int command_tune(settings *s, work *w) {
    tuning t;
    memset(&t, 0, sizeof t);
    if (s->print_space) return tune_print_space(s->kind);
    if (!s->input[0]) return fail(EXIT_USAGE, "an argument is missing: sessrec tune LOG --valid LOG2");
    t.s = s;
    t.w = w;
    int status = check_tune(s);
    if (!status) status = load_logs(s, w);
    if (!status) status = check_judges(s, w);
    if (status) return status;
    t.trials = (tune_trial *)calloc((size_t)s->trials, sizeof *t.trials);
    status = t.trials ? tune_resume(&t, s) : fail_memory();
    if (!status && t.count < s->trials) status = tune_parts(&t, w);
    if (!status && t.count < s->trials) status = tune_shares(&t);
    void (*before)(int) = signal(SIGINT, on_interrupt);
    if (before == SIG_IGN) signal(SIGINT, SIG_IGN);
    while (!status && t.count < s->trials) status = tune_run(&t);
    if (before != SIG_ERR) signal(SIGINT, before);
    if (!status) status = tune_print_best(&t);
    for (int i = 0; i < 2; ++i) sessrec_scorer_destroy(&t.blended[i]);
    for (int i = 0; i + 1 < TUNE_RUNGS; ++i) sessrec_log_destroy(t.shares[i]);
    free(t.lines.bytes);
    free(t.trials);
    return status;
}
