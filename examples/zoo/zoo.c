// zoo.c - trains and measures one architecture of the zoo
//
//     zoo MODEL TRAIN.tsv TEST.tsv [--epochs N] [--threads N] [--seed N] [--OPTION N] [--categories A,B]
//                                  [--save FILE] [--show SESSION]
//     zoo evaluate FILE.. LOG [--baselines --train LOG]     compared, with signed ranks
//     zoo blend FILE NEIGHBORS LOG -o FILE                  with neighbors or rules
//     zoo recommend FILE                                    clicks on stdin, recommendations on stdout
//
// The first ends with the line "Recall@20 X MRR@20 Y": all items ranked, the target last among equals,
// unknown test items removed. --save keeps what was trained; --show prints the weights of attention, or
// gates, after the last click of a session of the test log. The others, and all that sessrec has, are the
// commands of examples/sessrec.c, which take files of the zoo here as well.
#define SESSREC_COMMANDS
#include "../sessrec.c"

#include "all.h"
#include "blends.h"

static sessrec_result zoo_read_file(const char *path, sessrec_scorer *out, sessrec_error *err) {
    return zoo_scorer_read(path, zoo_kinds, ZOO_KINDS, out, err);
}

typedef struct zoo_run {
    const char *train, *test, *save, *show, *categories;
    const zoo_model *kind;
    int32_t threads;
    zoo net;
} zoo_run;

static int zoo_usage(const char *about, const char *wrong) {
    if (about) fprintf(stderr, "zoo: %s %s\n", about, wrong);
    fprintf(stderr, "usage: zoo MODEL TRAIN.tsv TEST.tsv [--save FILE] [--show SESSION] [--categories A,B]\n"
                    "           [--threads N] [--seed N] [--OPTION N]\nmodels: ");
    for (int i = 0; i < ZOO_KINDS; ++i) fprintf(stderr, " %s", zoo_kinds[i]->name);
    fprintf(stderr, "\noptions:");
    for (int i = 0; i < ZOO_OPTIONS; ++i) fprintf(stderr, " %s", zoo_option_table[i].name);
    fprintf(stderr, "\nzoo evaluate, blend, recommend and help are the commands of sessrec\n");
    return 2;
}

static int zoo_is_command(const char *name) {
    for (int i = 0; i < COMMANDS; ++i)
        if (!strcmp(name, commands[i].name)) return 1;
    return !strcmp(name, "help");
}

// 0, or the exit status after saying what is wrong.
static int zoo_parse(zoo_run *run, int argc, char **argv) {
    if (argc < 4) return zoo_usage(NULL, NULL);
    run->train = argv[2], run->test = argv[3];
    run->net.options = run->kind->options;
    run->net.seed = 1;
    for (int i = 4; i < argc; i += 2) {
        const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL, *wrong = NULL;
        char *end = NULL;
        if (strncmp(name, "--", 2) || !value)
            return zoo_usage(name, value ? "is not an option" : "wants a value");
        if (!strcmp(name, "--save")) run->save = value;
        else if (!strcmp(name, "--show")) run->show = value;
        else if (!strcmp(name, "--categories")) run->categories = value;
        else if (!strcmp(name, "--threads")) run->threads = (int32_t)strtol(value, &end, 10);
        else if (!strcmp(name, "--seed")) run->net.seed = (uint64_t)strtoull(value, &end, 10);
        else wrong = zoo_set_option(&run->net.options, name + 2, value);
        if (end && (end == value || *end || *value == '-')) wrong = "must be a whole number";
        if (wrong) return zoo_usage(name, wrong);
    }
    if (run->net.options.width % run->net.options.heads) return zoo_usage("--heads", "must divide the width");
    return 0;
}

// Prints the clicks of a session, and what the network looks at after the last one.
static sessrec_result zoo_show_session(const zoo_served *served, const sessrec_log *test, const char *id,
                                       sessrec_error *err) {
    const sessrec_log_view view = sessrec_log_contents(test);
    const size_t bytes = zoo_served_bytes(served);
    int32_t session = 0, item = -1;
    double time = 0;
    while (session < view.session_count && strcmp(sessrec_log_session_id(test, session), id)) ++session;
    if (session == view.session_count)
        return sessrec_error_set(err, SESSREC_INVALID_ARGUMENT, "--show: no such session in the test log");
    zoo alone = zoo_alone(served->net, NULL, 0);
    float *state = (float *)zoo_zeros(1, bytes);
    printf("clicks");
    for (int64_t e = view.session_begins[session]; e < view.session_begins[session + 1]; ++e) {
        const char *name = sessrec_log_item_id(test, view.items[e]);
        const int32_t known = zoo_served_find(served, name);
        if (known < 0) continue;
        if (item >= 0) zoo_click(&alone, served->kind, served->model, state, item, time);
        item = known, time = view.times[e];
        printf("\t%s", name);
    }
    putchar('\n');
    alone.show = 1;
    if (item >= 0) zoo_click(&alone, served->kind, served->model, state, item, time);
    free(state);
    zoo_free_chunks(alone.first);
    return SESSREC_OK;
}

// The categories of each item: those of its last click that has any, counted from 1; 0: none.
static void zoo_take_categories(zoo *net, const sessrec_log_view *log) {
    net->category_columns = log->category_count;
    for (int32_t c = 0; c < log->category_count; ++c) {
        net->category_count[c] = log->value_counts[c] + 1;
        net->category[c] = (int32_t *)zoo_zeros((size_t)log->item_count, sizeof(int32_t));
        for (int64_t e = 0; e < log->event_count; ++e)
            if (log->categories[c][e] >= 0) net->category[c][log->items[e]] = log->categories[c][e] + 1;
    }
}

// Trains on one log and measures on the other.
static sessrec_result zoo_run_logs(zoo_run *run, const sessrec_log *train, const sessrec_log *test,
                                   sessrec_error *err) {
    zoo *net = &run->net;
    const sessrec_log_view view = sessrec_log_contents(train);
    zoo_served served;
    sessrec_report report;
    sessrec_eval_config evaluation = sessrec_eval_config_default();
    net->items = view.item_count;
    net->supports = view.supports;
    zoo_take_categories(net, &view);
    const sessrec_result sampled = net->options.samples > 0 ? zoo_sample(net, err) : SESSREC_OK;
    if (sampled) return sampled;
    char **ids = (char **)zoo_zeros((size_t)net->items, sizeof *ids);
    for (int32_t i = 0; i < net->items; ++i) ids[i] = (char *)(uintptr_t)sessrec_log_item_id(train, i);
    void *model = run->kind->create(net);
    zoo_train(net, run->kind, model, &view);
    const sessrec_scorer scorer = zoo_scorer(&served, run->kind, net, model, ids);
    evaluation.cutoff_count = 1;
    evaluation.cutoffs[0] = 20;
    evaluation.threads = run->threads;
    sessrec_result result = run->save ? zoo_model_write(&served, run->save, err) : SESSREC_OK;
    if (!result && run->show) result = zoo_show_session(&served, test, run->show, err);
    if (!result) result = sessrec_evaluate_scorer(&scorer, test, &evaluation, &report, err);
    if (!result) printf("Recall@20 %.4f MRR@20 %.4f\n", report.all.recall[0], report.all.mrr[0]);
    free(served.by_id), free(model), free(ids);
    return result;
}

int main(int argc, char **argv) {
    static zoo_run run;
    sessrec_log *train = NULL, *test = NULL;
    sessrec_error err = {SESSREC_OK, 0, ""};
    own_file.read = zoo_read_file;
    own_file.write_blend = zoo_blend_write;
    for (int i = 0; i < ZOO_KINDS && argc > 1; ++i)
        if (!strcmp(argv[1], zoo_kinds[i]->name)) run.kind = zoo_kinds[i];
    if (!run.kind && argc > 1 && zoo_is_command(argv[1])) return run_arguments(argc, argv);
    if (!run.kind) return zoo_usage(argc > 1 ? argv[1] : NULL, "is no model");
    const int status = zoo_parse(&run, argc, argv);
    if (status) return status;
    sessrec_log_format format = sessrec_log_format_default();
    const sessrec_output output = {run.save, "zoo ", NULL, NULL, NULL, 0};
    sessrec_result result = run.save ? sessrec_outputs_write(&output, 1, &err) : SESSREC_OK;
    if (!result) result = sessrec_log_read(run.test, &format, &test, &err);
    format.category_columns = run.categories;
    if (!result) result = sessrec_log_read(run.train, &format, &train, &err);
    if (!result) result = sessrec_pool_create(run.threads, NULL, NULL, &run.net.pool, &err);
    if (!result) result = zoo_run_logs(&run, train, test, &err);
    if (result) fprintf(stderr, "zoo: %s\n", err.text);
    zoo_free(&run.net);
    sessrec_log_destroy(train), sessrec_log_destroy(test);
    return result ? 1 : 0;
}
