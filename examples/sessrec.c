// sessrec.c - the command line of sessrec: a thin client of sessrec.h
//
//     sessrec demo                                a made-up shop, from clicks to recommendations in seconds
//     sessrec train LOG -o MODEL [--test LOG2]    learn from a log of clicks
//     sessrec evaluate MODEL... LOG               how good models are on another log
//     sessrec compare MODEL_A MODEL_B LOG         which of two is better, and whether by more than chance
//     sessrec blend MODEL NEIGHBORS LOG -o FILE   a network and neighbors together
//     sessrec recommend MODEL                     clicks on stdin, recommendations on stdout
//     sessrec similar MODEL ITEM                  items like an item
//     sessrec split LOG --days N -o PREFIX        cut a log in time, to train on one part and test on another
//     sessrec describe LOG                        what a log contains, and what looks wrong
//     sessrec tune LOG --valid LOG2               look for good settings
//
// Results go to stdout, progress and errors to stderr. Exit status: 0, or 1 for bad data and failures, or 2
// for a command line that cannot be meant. An error is one line.
//
// Reading order: settings, the table of options and what reads it; help; logs; reports; then each command.

#ifndef _DEFAULT_SOURCE
#  define _DEFAULT_SOURCE  // signals, directories and clocks also under -std=c99
#endif
#ifndef SESSREC_COMMANDS  // see own_files
#  define SESSREC_IMPLEMENTATION
#endif
#include "../sessrec.h"

#include "experiment.h"
#include "logs.h"
#include "shop.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if defined(_WIN32)
#  include <direct.h>
#  include <io.h>
#elif defined(__unix__) || defined(__APPLE__)
#  include <sys/select.h>
#  include <sys/stat.h>
#  include <unistd.h>
#endif

enum { EXIT_DATA = 1, EXIT_USAGE = 2 };

static const char MODEL_BEGINS[] = "SESSREC";  // no other file is replaced by a model

// A program that includes this one, with SESSREC_COMMANDS defined, has all but main() and the library. It can
// have the commands for files of its own, too: it says how they are read, and how a blend with one of them is
// written (examples/zoo/zoo.c).
typedef struct own_files {
    sessrec_result (*read)(const char *path, sessrec_scorer *out, sessrec_error *err);
    sessrec_result (*write_blend)(const char *const *parts, const sessrec_blend_part *how, double epsilon,
                                  const char *path, sessrec_error *err);
} own_files;
static own_files own_file;

// One line for stderr. Ids and names of files may hold anything; what could move the cursor of a terminal or
// end the line becomes a question mark.
static void print_line(const char *format, va_list arguments) {
    char text[1024];
    vsnprintf(text, sizeof text, format, arguments);
    for (char *at = text; *at; ++at)
        if ((unsigned char)*at < 32 || *at == 127 || (*at == '\xc2' && (at[1] & 0xe0) == 0x80))
            *at = '?';
    fprintf(stderr, "sessrec: %s\n", text);
}

static void note(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    print_line(format, arguments);
    va_end(arguments);
}

// Prints the one line of an error, and gives its exit status back.
static int fail(int status, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    print_line(format, arguments);
    va_end(arguments);
    return status;
}

// The exit status for what the library returned, and its error if it is one; path is the file that it is
// about, or NULL.
static int status_of(const char *path, sessrec_result result, const sessrec_error *err) {
    const char *text = err->text[0] ? err->text : sessrec_result_text(result);
    if (result == SESSREC_OK) return 0;
    if (!path) return fail(EXIT_DATA, "%s", text);
    if (err->line > 0) return fail(EXIT_DATA, "%s:%lld: %s", path, (long long)err->line, text);
    return fail(EXIT_DATA, "%s: %s", path, text);
}

static int fail_memory(void) {
    return fail(EXIT_DATA, "out of memory");
}

// ---- text that grows ----

typedef struct buffer {
    char *bytes;
    size_t size, room;
    int failed;             // there was no memory
} buffer;

static void text_add(buffer *t, const char *bytes, size_t size) {
    if (t->size + size > t->room) {
        const size_t room = 2 * (t->size + size) + 256;
        char *larger = (char *)realloc(t->bytes, room);
        if (!larger) {
            t->failed = 1;
            return;
        }
        t->bytes = larger;
        t->room = room;
    }
    memcpy(t->bytes + t->size, bytes, size);
    t->size += size;
}

// Something short.
static void text_put(buffer *t, const char *format, ...) {
    char piece[256];
    va_list arguments;
    va_start(arguments, format);
    const int size = vsnprintf(piece, sizeof piece, format, arguments);
    va_end(arguments);
    if (size > 0) text_add(t, piece, (size_t)size < sizeof piece ? (size_t)size : sizeof piece - 1);
}

// Bytes of the character that begins here, 0 if it is no UTF-8.
static int utf8_size(const unsigned char *at) {
    const int more = *at < 0x80 ? 0 : *at < 0xc2 ? -1 : *at < 0xe0 ? 1 : *at < 0xf0 ? 2 : *at < 0xf5 ? 3 : -1;
    for (int i = 1; i <= more; ++i)
        if ((at[i] & 0xc0) != 0x80) return 0;
    // written longer than needed, half a character, or beyond the last one
    if ((*at == 0xe0 && at[1] < 0xa0) || (*at == 0xf0 && at[1] < 0x90)) return 0;
    if ((*at == 0xed && at[1] > 0x9f) || (*at == 0xf4 && at[1] > 0x8f)) return 0;
    return more + 1;
}

// A text as JSON has it: in quotes, escaped, and what is no UTF-8 replaced.
static void text_quote(buffer *t, const char *from) {
    text_add(t, "\"", 1);
    for (const unsigned char *at = (const unsigned char *)from; *at;) {
        const int size = utf8_size(at);
        if (!size) text_put(t, "\\ufffd");
        else if (*at == '"' || *at == '\\') text_put(t, "\\%c", *at);
        else if (*at < 32 || *at == 127) text_put(t, "\\u%04x", (unsigned)*at);
        else text_add(t, (const char *)at, (size_t)size);
        at += size ? size : 1;
    }
    text_add(t, "\"", 1);
}

// 1234567 as "1,234,567". The last four texts stay as they are.
static const char *grouped(int64_t number) {
    static char texts[4][32];
    static unsigned calls;
    char digits[24], *text = texts[calls++ % 4];
    int length = snprintf(digits, sizeof digits, "%lld", (long long)number), used = 0;
    for (int i = 0; i < length; ++i) {
        if (i > (digits[0] == '-') && (length - i) % 3 == 0) text[used++] = ',';
        text[used++] = digits[i];
    }
    text[used] = 0;
    return text;
}

// ===========================================================================================================
// Settings, and the options that change them
// ===========================================================================================================

#define MAX_OPTIONS 120
enum { MAX_LOGS = 1000 };

typedef struct settings {
    sessrec_config config;
    sessrec_log_format format;
    sessrec_eval_config evaluation;
    sessrec_filter filter;
    const char *input[3];                   // what stands on the command line without an option
    const char *main_log, *more[MAX_LOGS];  // of those: the log, and files that go on with it
    int32_t more_count;
    const char *output, *test, *valid, *from, *history, *json;
    const char *at;                         // where to split
    double days;
    int32_t last_session, no_quotes, day_first, month_first;
    int32_t int8, no_ids;
    int32_t k, allow_seen, json_lines, breakdown, help;
    int32_t kind, order, baselines;         // --model, --order, --baselines
    int32_t last_clicks;                    // --last-clicks, 0: all
    const char *preset, *train;
    double weight, blend_epsilon;           // --weight, 0: to be found
    const char *models[MAX_LOGS];           // of evaluate
    int32_t model_count;
    int32_t trials, by, resume, print_space;  // of tune
    const char *network, *neighbors;
    double idle;                            // seconds
    int64_t visitors;
    const char *states;
    unsigned char given[MAX_OPTIONS];       // by place in the table of options
} settings;

// What a command makes; run_command ends it.
typedef struct work {
    sessrec_model *model, *other;           // other: the one to start from, or to compare with
    sessrec_scorer scorer;                  // instead of a model
    buffer methods;                         // JSON of a table of methods
    sessrec_log *log, *train, *test, *valid, *history;
    sessrec_report report;                  // of model on test
    double *numbers, *validation;           // training: the loss of each epoch, and how it did
    int32_t epochs;                         // of this run
    int64_t pairs, batches;                 // of all of them
    double seconds;
    int terminal;                           // progress is redrawn in place,
    double said;                            // else written when these seconds are long past
} work;

static int is_stdout(const char *path) {
    return path && !strcmp(path, "-");
}

// ---- numbers: the whole text or nothing ----

static int read_whole(const char *text, int64_t least, int64_t most, int64_t *out) {
    const char *digits = text + (*text == '-');
    if (!*digits || strspn(digits, "0123456789") != strlen(digits)) return 0;
    errno = 0;
    *out = strtoll(text, NULL, 10);
    return errno == 0 && *out >= least && *out <= most;
}

static int read_real(const char *text, double *out) {
    char *end;
    if (!*text || strspn(text, "0123456789.eE+-") != strlen(text)) return 0;  // no "nan", no "inf", no blanks
    *out = strtod(text, &end);
    return !*end && *out >= -DBL_MAX && *out <= DBL_MAX;
}

// "100,50" to numbers of at least 1; returns how many, 0 if the text is something else.
static int32_t read_list(const char *text, int32_t most, int32_t *out) {
    int32_t count = 0;
    char piece[16];
    for (;;) {
        size_t length = strcspn(text, ",");
        int64_t number;
        if (count == most || length >= sizeof piece) return 0;
        memcpy(piece, text, length);
        piece[length] = 0;
        if (!read_whole(piece, 1, INT32_MAX, &number)) return 0;
        out[count++] = (int32_t)number;
        if (!text[length]) return count;
        text += length + 1;
    }
}

// Which of the words "a|b|c" the text is, from 0; -1 for none.
static int32_t read_word(const char *words, const char *text) {
    size_t wanted = strlen(text);
    for (int32_t i = 0;; ++i) {
        size_t length = strcspn(words, "|");
        if (length == wanted && !memcmp(words, text, wanted)) return i;
        if (!words[length]) return -1;
        words += length + 1;
    }
}

// ---- options that are more than a number ----

static int read_cutoffs(settings *s, const char *text) {
    sessrec_eval_config *e = &s->evaluation;
    e->cutoff_count = read_list(text, SESSREC_MAX_CUTOFFS, e->cutoffs);
    for (int32_t i = 1; i < e->cutoff_count; ++i)
        if (e->cutoffs[i] <= e->cutoffs[i - 1]) return 0;
    return e->cutoff_count > 0;
}

static int read_weight(settings *s, const char *text) {
    char b[32] = "", epsilon[32] = "1e-4", more;
    const int count = sscanf(text, "%31[^,],%31[^,]%c", b, epsilon, &more);
    return count >= 1 && count <= 2 && read_real(b, &s->weight) && read_real(epsilon, &s->blend_epsilon) &&
           s->weight > 0 && s->blend_epsilon > 0 && s->blend_epsilon <= 1;
}

static int read_separator(settings *s, const char *text) {
    s->format.separator = strcmp(text, "tab") ? text : "\t";
    return *text && strlen(s->format.separator) <= 2;
}

// "90", "90s", "30m", "2h" or "1d" to seconds.
static int read_idle(settings *s, const char *text) {
    static const char units[] = "smhd";
    static const double lengths[] = {1, 60, 3600, 86400};
    char number[32];
    const size_t length = strlen(text);
    const char *unit = length ? strchr(units, text[length - 1]) : NULL;
    if (length >= sizeof number) return 0;
    memcpy(number, text, length + 1);
    if (unit) number[length - 1] = 0;
    if (!read_real(number, &s->idle)) return 0;
    if (unit) s->idle *= lengths[unit - units];
    return 1;
}

// ---- the table ----

enum {
    DEMO = 1,
    TRAIN = 2,
    EVALUATE = 4,
    RECOMMEND = 8,
    SPLIT = 16,
    COMPARE = 32,
    SIMILAR = 64,
    EMBEDDINGS = 128,
    DESCRIBE = 256,
    BLEND = 512,
    TUNE = 1024,
    EXPORT = 2048
};
enum {
    REPORTING = TRAIN | EVALUATE,
    TESTING = REPORTING | COMPARE,
    READING = TESTING | SPLIT | DESCRIBE | BLEND | TUNE,
    NETWORK = TRAIN | TUNE,
    LEARNING = DEMO | NETWORK
};

typedef enum option_kind {
    HEADING,  // no option: a line of the help
    CONFIG,   // one of sessrec_config_set, without the "--"
    SWITCH,   // int32_t becomes 1
    WHOLE,    // int32_t
    WHOLE_64,     // int64_t
    REAL,     // double
    CHOICE,     // an enum of the library: which of the words in `value`
    TEXT,     // const char *
    READ      // handed to `read`
} option_kind;

typedef struct option {
    option_kind kind;
    int commands;           // who knows it
    const char *name, *value, *help;
    size_t at;              // where it goes in settings
    int (*read)(settings *s, const char *text);
} option;

#define AT(field) offsetof(settings, field), NULL
#define BY(function) 0, function

static const option options[] = {
    {HEADING, READING, "files", NULL, NULL, BY(NULL)},
    {TEXT, TRAIN, "-o", "MODEL", "write the model here", AT(output)},
    {TEXT, BLEND, "-o", "FILE", "write the blend here", AT(output)},
    {TEXT, EXPORT, "-o", "FILE", "a C header (.h), assembly and a .bin beside it (.S), or a model file",
     AT(output)},
    {SWITCH, EXPORT, "--int8", NULL, "weights of 8 bits, a quarter of the size", AT(int8)},
    {SWITCH, EXPORT, "--no-ids", NULL, "leave out ids and support: items are known by number", AT(no_ids)},
    {READ, BLEND, "--weight", "B[,EPSILON]", "use these instead of searching; LOG then only evaluates",
     BY(read_weight)},
    {CHOICE, TRAIN, "--model", "gru|knn|rules", "a neural network, session neighbors, or rules", AT(kind)},
    {TEXT, TRAIN, "--preset", "NAME",
     "of knn: sknn, vsknn, stan, vstan (default) or vmis;\nof rules: ar, sr (default), markov or itemknn;\n"
     "a field may differ: vstan,k=200,idf=2",
     AT(preset)},
    {WHOLE, TRAIN, "--order", "N", "markov: the longest chain, 1 to 4", AT(order)},
    {SWITCH, EVALUATE, "--baselines", NULL, "also compare simple methods, made from the log of --train",
     AT(baselines)},
    {WHOLE, EVALUATE, "--last-clicks", "N", "each model sees only the last N clicks of a session; 0: all",
     AT(last_clicks)},
    {TEXT, EVALUATE, "--train", "LOG", "the log that the models were trained on", AT(train)},
    {TEXT, SPLIT, "-o", "PREFIX", "write PREFIX_train.tsv and PREFIX_test.tsv", AT(output)},
    {TEXT, TRAIN, "--test", "LOG", "evaluate on this log after training", AT(test)},
    {TEXT, TRAIN, "--valid", "LOG", "keep the weights of the epoch with the best MRR@20 on this log",
     AT(valid)},
    {CONFIG, TRAIN, "--patience", NULL, "stop after this many epochs without a better one; 0: never",
     BY(NULL)},
    {TEXT, TRAIN, "--from", "MODEL", "start from the weights and items of this model, with its shape",
     AT(from)},
    {CONFIG, TRAIN, "--checkpoint", NULL, "write the state of the run here after every epoch", BY(NULL)},
    {CONFIG, TRAIN, "--checkpoint-steps", NULL, "and after this many mini-batches", BY(NULL)},
    {CONFIG, TRAIN, "--resume", NULL, "continue from the checkpoint if it exists", BY(NULL)},
    {TEXT, EVALUATE | COMPARE, "--history", "LOG", "earlier sessions of the users, for their states",
     AT(history)},
    {TEXT, REPORTING, "--json", "FILE", "write the results here as JSON", AT(json)},
    {TEXT, TUNE, "--valid", "LOG", "judge every trial on this log; never on the one you test on", AT(valid)},
    {CHOICE, TUNE, "--model", "gru|knn|rules|blend", "what to find settings for", AT(kind)},
    {WHOLE, TUNE, "--trials", "N", "how many to try; the first has the defaults", AT(trials)},
    {CHOICE, TUNE, "--by", "both|recall|mrr", "what is best: Recall@20 + MRR@20, or one of them", AT(by)},
    {TEXT, TUNE, "--json", "FILE", "keep the trials here, each as a line of JSON", AT(json)},
    {SWITCH, TUNE, "--resume", NULL, "keep the trials that FILE has, and go on after them", AT(resume)},
    {TEXT, TUNE, "--network", "MODEL", "blend: the network (default: one is trained)", AT(network)},
    {TEXT, TUNE, "--neighbors", "MODEL", "blend: the neighbors or rules (default: vstan)", AT(neighbors)},
    {SWITCH, TUNE, "--print-space", NULL, "only print what is searched, as JSON; LOG is not needed",
     AT(print_space)},

    {HEADING, RECOMMEND | SIMILAR, "list", NULL, NULL, BY(NULL)},
    {WHOLE, RECOMMEND | SIMILAR, "-k", "N", "how many items", AT(k)},
    {SWITCH, RECOMMEND, "--allow-seen", NULL, "also recommend items that the session has clicked",
     AT(allow_seen)},
    {SWITCH, RECOMMEND, "--json", NULL, "answer in JSON, with scores; requests may be JSON too",
     AT(json_lines)},
    {READ, RECOMMEND, "--idle", "TIME",
     "end a session after this long without a click: 90s, 30m, 2h (default never)", BY(read_idle)},
    {WHOLE_64, RECOMMEND, "--visitors", "N", "keep at most this many sessions; forget the oldest first",
     AT(visitors)},
    {TEXT, RECOMMEND, "--states", "DIRECTORY",
     "store forgotten sessions, and all of them at the end, in files here", AT(states)},

    {HEADING, READING, "log", NULL, NULL, BY(NULL)},
    {TEXT, READING, "--session-column", "NAME", "a name of the header line, or a number from 1",
     AT(format.session_column)},
    {TEXT, READING, "--item-column", "NAME", "", AT(format.item_column)},
    {TEXT, READING, "--time-column", "NAME[,NAME]",
     "'' if there is none; two columns are added, such as\na day and an offset",
     AT(format.time_column)},
    {TEXT, READING, "--user", "NAME", "column of the users; '' for none", AT(format.user_column)},
    {TEXT, SPLIT | DESCRIBE, "--categories", "NAME[,NAME]", "one to four more columns to keep",
     AT(format.category_columns)},
    {CHOICE, READING, "--time-unit", "auto|s|ms|us|ns|date",
     "unit of numbers; date: as in 20191001; auto: by their size", AT(format.time_unit)},
    {SWITCH, READING, "--day-first", NULL, "03/04/2019 is in April", AT(day_first)},
    {SWITCH, READING, "--month-first", NULL, "03/04/2019 is in March", AT(month_first)},
    {TEXT, READING, "--where", "NAME=V[,V]", "keep rows with one of these values; separate conditions by ;",
     AT(format.where)},
    {TEXT, READING, "--blank", "V[,V]", "values that mean none, such as NA", AT(format.blank)},
    {READ, READING, "--idle", "TIME", "cut sessions at longer pauses: 90s, 30m, 2h", BY(read_idle)},
    {READ, READING, "--separator", "TEXT",
     "one or two characters, or the word tab (default: found in the first line)", BY(read_separator)},
    {SWITCH, READING, "--no-quotes", NULL, "quotes are plain text", AT(no_quotes)},
    {SWITCH, READING, "--skip-bad-rows", NULL, "count rows that cannot be read, and skip them",
     AT(format.skip_bad_rows)},
    {REAL, SPLIT, "--days", "N", "test on sessions that begin in the last N days,", AT(days)},
    {TEXT, SPLIT, "--at", "TIME", "or at this time or later, as 2019-10-01T12:00,", AT(at)},
    {SWITCH, SPLIT, "--last-session", NULL, "or on the last session of each user", AT(last_session)},
    {WHOLE_64, NETWORK | SPLIT, "--min-support", "N", "leave out items with fewer clicks in the training log",
     AT(filter.min_support)},
    {WHOLE_64, NETWORK | SPLIT, "--min-length", "N", "leave out sessions with fewer clicks",
     AT(filter.min_length)},
    {SWITCH, NETWORK | SPLIT | DESCRIBE, "--drop-repeats", NULL,
     "leave out clicks on the item that was just clicked", AT(filter.drop_repeats)},

    {HEADING, NETWORK, "network", NULL, NULL, BY(NULL)},
    {CONFIG, NETWORK, "--layers", NULL, "widths of one to four GRU layers", BY(NULL)},
    {CONFIG, NETWORK, "--embedding", NULL,
     "what the first layer gets: the item's output weights, one-hot,\nor a table of width N", BY(NULL)},
    {CONFIG, NETWORK, "--gru", NULL, "place of the reset gate", BY(NULL)},
    {CONFIG, NETWORK, "--user-layers", NULL,
     "width of a GRU over each user's sessions; 0: sessions are independent", BY(NULL)},
    {CONFIG, NETWORK, "--hrnn", NULL, "what the user's state does in a session; implies --user-layers 100",
     BY(NULL)},
    {CONFIG, NETWORK, "--dropout-user", NULL, "of the users' states", BY(NULL)},
    {CONFIG, NETWORK, "--dropout-init", NULL, "of the hidden states that start their sessions", BY(NULL)},

    {HEADING, NETWORK, "loss", NULL, NULL, BY(NULL)},
    {CONFIG, NETWORK, "--loss", NULL, "", BY(NULL)},
    {CONFIG, NETWORK, "--activation", NULL,
     "of the output (default by loss: xe, bpr linear; top1, top1-max tanh;\nbpr-max elu:0.5)", BY(NULL)},
    {CONFIG, NETWORK, "--paper-form", NULL, "top1, bpr: mean over the negatives only, as the paper's formula",
     BY(NULL)},
    {CONFIG, NETWORK, "--logq", NULL, "xe: strength of the correction for sampled items; 0: off", BY(NULL)},
    {CONFIG, NETWORK, "--smoothing", NULL, "xe: label smoothing", BY(NULL)},
    {CONFIG, NETWORK, "--bpreg", NULL, "bpr-max: score regularization", BY(NULL)},
    {CONFIG, NETWORK, "--count-own-target", NULL,
     "a negative that is the row's own target counts, as in the papers", BY(NULL)},
    {CONFIG, TRAIN, "--hardest", NULL, "compare only with so many highest-scored negatives; 0: with all",
     BY(NULL)},
    {CONFIG, TRAIN, "--calibration", NULL, "gbce: t, 0 is binary cross-entropy", BY(NULL)},
    {CONFIG, TRAIN, "--sampling-rate", NULL,
     "gbce: negatives / (items - 1); 0: from the mini-batch", BY(NULL)},

    {HEADING, NETWORK, "learning", NULL, NULL, BY(NULL)},
    {CONFIG, NETWORK, "--epochs", NULL, "", BY(NULL)},
    {CONFIG, NETWORK, "--batch", NULL, "sessions side by side in a mini-batch", BY(NULL)},
    {CONFIG, NETWORK, "--negatives", NULL, "items sampled for each mini-batch, in addition to its own",
     BY(NULL)},
    {CONFIG, NETWORK, "--alpha", NULL, "they are drawn with probability ~ support^X", BY(NULL)},
    {CONFIG, NETWORK, "--dropout-input", NULL, "", BY(NULL)},
    {CONFIG, NETWORK, "--dropout-hidden", NULL, "", BY(NULL)},
    {CONFIG, NETWORK, "--shuffle", NULL, "a new order of the sessions each epoch (default: by time)",
     BY(NULL)},
    {CONFIG, NETWORK, "--optimizer", NULL, "", BY(NULL)},
    {CONFIG, NETWORK, "--lr", NULL, "learning rate", BY(NULL)},
    {CONFIG, NETWORK, "--momentum", NULL, "", BY(NULL)},
    {CONFIG, NETWORK, "--decay", NULL, "of rmsprop and adadelta", BY(NULL)},
    {CONFIG, NETWORK, "--beta1", NULL, "of adam", BY(NULL)},
    {CONFIG, NETWORK, "--beta2", NULL, "of adam", BY(NULL)},
    {CONFIG, NETWORK, "--epsilon", NULL, "", BY(NULL)},
    {CONFIG, NETWORK, "--l2", NULL, "weight decay", BY(NULL)},
    {CONFIG, NETWORK, "--gradient-cap", NULL, "largest norm of a tensor's gradient; 0: none", BY(NULL)},

    {HEADING, TESTING, "test", NULL, NULL, BY(NULL)},
    {READ, TESTING, "--cutoffs", "K[,K]", "list lengths to evaluate, ascending (default 1,5,10,20)",
     BY(read_cutoffs)},
    {CHOICE, TESTING, "--ties", "conservative|standard|median", "rank of the target among equal scores",
     AT(evaluation.ties)},
    {SWITCH, REPORTING, "--coverage", NULL, "also what share of the catalog is recommended at all; slower",
     AT(evaluation.coverage)},
    {SWITCH, REPORTING, "--breakdown", NULL,
     "also by position, session length and, with users, history;\nalso in the JSON", AT(breakdown)},

    {HEADING, LEARNING | TESTING, "machine", NULL, NULL, BY(NULL)},
    {CONFIG, LEARNING, "--seed", NULL, "same seed, same model, whatever the number of threads", BY(NULL)},
    {CONFIG, LEARNING | TESTING, "--threads", NULL, "0: one for each processor", BY(NULL)},
    {CONFIG, LEARNING | TESTING, "--device", NULL,
     "cuda needs a build with SESSREC_CUDA; auto: a GPU if there is one", BY(NULL)},
    {SWITCH, DEMO | READING | RECOMMEND | SIMILAR | EMBEDDINGS | EXPORT, "--help", NULL, NULL, AT(help)},
    {SWITCH, DEMO | READING | RECOMMEND | SIMILAR | EMBEDDINGS | EXPORT, "-h", NULL, NULL, AT(help)},
};

#undef AT
#undef BY

enum { OPTIONS = (int)(sizeof options / sizeof options[0]) };

typedef char options_fit[OPTIONS <= MAX_OPTIONS ? 1 : -1];
typedef char words_fit[sizeof(sessrec_loss_kind) == sizeof(int32_t) ? 1 : -1];

// ---- reading the command line ----

typedef struct command {
    int id;
    const char *name;
    const char *usage;          // what follows the name
    const char *purpose;        // one line
    const char *about;          // a paragraph for `sessrec help NAME`
    int inputs;                 // how many arguments without an option
    int (*run)(settings *s, work *w);
} command;

static int given(const settings *s, const char *name) {
    for (int i = 0; i < OPTIONS; ++i)
        if (s->given[i] && !strcmp(options[i].name, name)) return 1;
    return 0;
}

// What an option takes; NULL: nothing.
static const char *value_of(const option *o) {
    const char *name, *takes = o->value;
    for (int32_t i = 0; o->kind == CONFIG && (name = sessrec_config_name(i, &takes)) != NULL; ++i)
        if (!strcmp(name, o->name + 2)) break;
    return takes;
}

// Levenshtein distance between two names, of options or commands.
static int distance(const char *a, const char *b) {
    int row[32], width = (int)strlen(b);  // the longest name, which is ours, has 18 characters
    for (int j = 0; j <= width; ++j) row[j] = j;
    for (int i = 0; a[i]; ++i) {
        int diagonal = row[0];
        row[0] = i + 1;
        for (int j = 1; j <= width; ++j) {
            int best = diagonal + (a[i] != b[j - 1]);
            if (row[j] + 1 < best) best = row[j] + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            diagonal = row[j];
            row[j] = best;
        }
    }
    return row[width];
}

// What other programs, and people in a hurry, call options of this one.
static const char *other_name(const command *c, const char *name) {
    static const char *const names[][2] = {
        {"--k", "--cutoffs"},        {"-k", "--cutoffs"},     {"--top", "--cutoffs"},
        {"--k", "-k"},               {"--top", "-k"},         {"--learning-rate", "--lr"},
        {"--batch-size", "--batch"}, {"--hidden", "--layers"}, {"--dropout", "--dropout-hidden"},
        {"--output", "-o"},          {"--out", "-o"},         {"--validation", "--valid"},
        {"--n-sample", "--negatives"}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; ++i)
        for (const option *o = options; !strcmp(names[i][0], name) && o < options + OPTIONS; ++o)
            if (o->kind != HEADING && (o->commands & c->id) && !strcmp(o->name, names[i][1])) return o->name;
    return NULL;
}

// The option of a command with this name, or NULL after saying that it has none.
static const option *find_option(const command *c, const char *argument) {
    char name[32];
    const char *nearest = NULL;
    int least = 3;  // more than two mistakes: another word
    snprintf(name, sizeof name, "%.*s", (int)strcspn(argument, "="), argument);
    for (const option *o = options; o < options + OPTIONS; ++o) {
        int d = o->kind != HEADING && (o->commands & c->id) ? distance(name, o->name) : least;
        if (d == 0) return o;
        if (d >= least || name[1] != '-') continue;
        least = d;
        nearest = o->name;
    }
    if (other_name(c, name)) nearest = other_name(c, name);
    if (nearest) fail(EXIT_USAGE, "%s has no option %s; did you mean %s?", c->name, name, nearest);
    else fail(EXIT_USAGE, "%s has no option %s; 'sessrec help %s' lists them", c->name, name, c->name);
    return NULL;
}

// Puts the text of an option where it belongs. Returns 0 if it is not what the option takes.
static int store(settings *s, const option *o, const char *text) {
    void *field = (char *)s + o->at;
    int64_t whole = 0;
    switch (o->kind) {
    case SWITCH: *(int32_t *)field = 1; return 1;
    case WHOLE:
        if (!read_whole(text, INT32_MIN, INT32_MAX, &whole)) return 0;
        *(int32_t *)field = (int32_t)whole;
        return 1;
    case WHOLE_64: return read_whole(text, INT64_MIN, INT64_MAX, (int64_t *)field);
    case REAL: return read_real(text, (double *)field);
    case CHOICE: {
        const int32_t word = read_word(o->value, text);
        memcpy(field, &word, sizeof word);
        return word >= 0;
    }
    case TEXT: *(const char **)field = text; return 1;
    case READ: return o->read(s, text);
    case CONFIG:
    case HEADING: break;
    }
    return 0;
}

static const char *what_it_takes(const option *o) {
    switch (o->kind) {
    case WHOLE:
    case WHOLE_64: return "a whole number";
    case REAL: return "a number";
    default: return o->value;
    }
}

// One option and its value, which may be the next argument: *at then moves on.
static int parse_option(settings *s, const command *c, int count, char **arguments, int *at) {
    const char *argument = arguments[*at], *value = strchr(argument, '=');
    const option *o = find_option(c, argument);
    sessrec_error err = {SESSREC_OK, 0, ""};
    if (!o) return EXIT_USAGE;
    const char *takes = value_of(o);
    if (!takes && value) return fail(EXIT_USAGE, "%s takes no value; write it alone", o->name);
    if (takes && value) ++value;
    else if (takes) {
        if (*at + 1 == count || !strncmp(arguments[*at + 1], "--", 2))
            return fail(EXIT_USAGE, "%s needs a value: %s %s", o->name, o->name, takes);
        value = arguments[++*at];
    }
    s->given[o - options] = 1;
    if (o->kind == CONFIG)
        return sessrec_config_set(&s->config, o->name + 2, takes ? value : "1", &err)
                   ? fail(EXIT_USAGE, "--%s", err.text)
                   : 0;
    if (!store(s, o, value))
        return fail(EXIT_USAGE, "%s takes %s, not '%s'", o->name, what_it_takes(o), value);
    return 0;
}

static int parse(settings *s, const command *c, int count, char **arguments) {
    int inputs = 0, status = 0;
    for (int i = 0; i < count && !status && !s->help; ++i) {
        if (arguments[i][0] == '-' && arguments[i][1]) status = parse_option(s, c, count, arguments, &i);
        else if (inputs == c->inputs && (c->id & READING) && s->more_count < MAX_LOGS)
            s->more[s->more_count++] = arguments[i];
        else if (inputs == c->inputs)
            status = fail(EXIT_USAGE, "'%s' is one argument too many: sessrec %s %s", arguments[i], c->name,
                          c->usage);
        else s->input[inputs++] = arguments[i];
    }
    if (!status && !s->help && !s->print_space && inputs < c->inputs)
        return fail(EXIT_USAGE, "an argument is missing: sessrec %s %s", c->name, c->usage);
    if (c->id == EVALUATE && !s->help) {  // all but the last are models
        const char *all[MAX_LOGS + 2] = {s->input[0], s->input[1]};
        const int32_t logs = s->more_count + 1;
        for (int32_t i = 0; i < s->more_count; ++i) all[2 + i] = s->more[i];
        for (int32_t i = 0; i < logs; ++i) s->models[i] = all[i];
        s->model_count = logs;
        s->input[1] = all[logs];
        s->more_count = 0;
    }
    if (c->id & READING) s->main_log = s->input[c->inputs - 1];
    return status;
}

// What options mean together; and the library's own opinion of the numbers.
static int settle(settings *s) {
    sessrec_error err = {SESSREC_OK, 0, ""};
    sessrec_loss_config *loss = &s->config.loss;
    if (given(s, "--hrnn") && !given(s, "--user-layers")) s->config.user_hidden = 100;
    if (s->no_quotes) s->format.quotes = 0;
    if (s->day_first || s->month_first) s->format.day_first = s->day_first;
    if (s->day_first && s->month_first)
        return fail(EXIT_USAGE, "--day-first and --month-first cannot both be given");
    if (s->idle < 0) return fail(EXIT_USAGE, "--idle must not be negative");
    s->evaluation.threads = s->config.threads;
    s->evaluation.device = s->config.device;
    // its a is 0.5 by default
    if (!given(s, "--activation") && loss->kind == SESSREC_LOSS_BPR_MAX) loss->activation = SESSREC_ELU;
    if (!given(s, "--activation") && (loss->kind == SESSREC_LOSS_TOP1 || loss->kind == SESSREC_LOSS_TOP1_MAX))
        loss->activation = SESSREC_TANH;
    if (s->k < 1) return fail(EXIT_USAGE, "-k must be at least 1");
    if (s->filter.min_support < 0 || s->filter.min_length < 0)
        return fail(EXIT_USAGE, "--min-support and --min-length must be at least 0");
    if (sessrec_config_check(&s->config, &err) != SESSREC_OK) return fail(EXIT_USAGE, "%s", err.text);
    return 0;
}

// An output must not be written over an input or another output, whatever either is called.
static int check_outputs(const settings *s) {
    enum { OUTPUTS = 3, FILES = 10 };
    const char *const file[FILES] = {s->output,   s->config.checkpoint, is_stdout(s->json) ? NULL : s->json,
                                     s->input[0], s->input[1],          s->input[2],
                                     s->test,     s->valid,             s->from,
                                     s->history};
    for (int i = 0; i < OUTPUTS; ++i)
        for (int j = i + 1; j < FILES; ++j)
            if (sessrec_same_file(file[i], file[j]))
                return fail(EXIT_USAGE, "%s would be overwritten%s%s; give another name", file[j],
                            strcmp(file[i], file[j]) ? " by " : "", strcmp(file[i], file[j]) ? file[i] : "");
    for (int i = 0; i < OUTPUTS; ++i)
        for (int32_t j = 0; j < s->more_count; ++j)
            if (sessrec_same_file(file[i], s->more[j]))
                return fail(EXIT_USAGE, "%s would be overwritten; give another name", s->more[j]);
    return 0;
}

// Finds out now, not after hours of training, whether a file can be written. What is there stays as it is.
static int check_writable(const char *path, const char *begins) {
    sessrec_error err = {SESSREC_OK, 0, ""};
    sessrec_output output = {path, begins, NULL, NULL, NULL, 0};
    return path ? status_of(path, sessrec_outputs_write(&output, 1, &err), &err) : 0;
}

// ===========================================================================================================
// Help
// ===========================================================================================================

// The default of an option, straight from the settings, so that the help cannot be wrong about it.
static void print_default(const settings *s, const option *o) {
    const void *field = (const char *)s + o->at;
    const char *word = o->value, *gap = *o->help ? " " : "";
    char text[64];
    int32_t chosen;
    switch (o->kind) {
    case CONFIG:
        if (!value_of(o) || strstr(o->help, "(default") ||
            sessrec_config_get(&s->config, o->name + 2, text, sizeof text, NULL) || !*text)
            break;
        printf("%s(default %s)", gap, text);
        break;
    case WHOLE: printf("%s(default %d)", gap, (int)*(const int32_t *)field); break;
    case WHOLE_64: printf("%s(default %lld)", gap, (long long)*(const int64_t *)field); break;
    case TEXT:
        if (*(const char *const *)field) printf("%s(default %s)", gap, *(const char *const *)field);
        break;
    case CHOICE:
        for (memcpy(&chosen, field, sizeof chosen); chosen > 0; --chosen) word += strcspn(word, "|") + 1;
        printf("%s(default %.*s)", gap, (int)strcspn(word, "|"), word);
        break;
    default: break;
    }
}

static void print_option(const settings *s, const option *o) {
    enum { INDENT = 30 };
    const char *takes = value_of(o);
    int width = printf("  %s%s%s", o->name, takes ? " " : "", takes ? takes : "");
    if (width > INDENT - 2) width = 0, putchar('\n');
    printf("%*s", INDENT - width, "");
    for (const char *at = o->help; *at; ++at) {
        putchar(*at);
        if (*at == '\n') printf("%*s", INDENT, "");
    }
    print_default(s, o);
    putchar('\n');
}

static int print_command_help(const command *c, const settings *s) {
    printf("usage: sessrec %s %s\n\n%s\n", c->name, c->usage, c->about);
    for (const option *o = options; o < options + OPTIONS; ++o) {
        if (!(o->commands & c->id)) continue;
        if (o->kind == HEADING) printf("\n%s\n", o->name);
        else if (o->help) print_option(s, o);
    }
    return 0;
}

// ===========================================================================================================
// Logs and models
// ===========================================================================================================

// Adds a file to a log that is being read; the main log goes on in further files.
static int add_files(const settings *s, const char *path, sessrec_log *log) {
    sessrec_error err = {SESSREC_OK, 0, ""};
    int status = status_of(path, sessrec_log_add_file(log, path, &s->format, &err), &err);
    for (int32_t i = 0; i < s->more_count && !status && path == s->main_log; ++i)
        status = status_of(s->more[i], sessrec_log_add_file(log, s->more[i], &s->format, &err), &err);
    return status;
}

// path NULL: there is nothing to load.
static int load_log(const settings *s, const char *path, sessrec_log **out) {
    sessrec_error err = {SESSREC_OK, 0, ""};
    int status = path ? status_of(NULL, sessrec_log_create(&s->format, out, &err), &err) : 0;
    if (!status && path) status = add_files(s, path, *out);
    if (!status && path) status = status_of(path, sessrec_log_finish(*out, &err), &err);
    if (!status && path && s->idle > 0)
        status = status_of(path, sessrec_log_sessionize(*out, s->idle, &err), &err);
    if (status || !path) return status;
    sessrec_log_view view = sessrec_log_contents(*out);
    for (int32_t i = 0; sessrec_log_note(*out, i); ++i)
        fprintf(stderr, "sessrec: %s: %s\n", path, sessrec_log_note(*out, i));
    if (given(s, "--user") && *s->format.user_column && !view.user_count)
        return fail(EXIT_DATA, "%s:1: there is no column '%s' of users", path, s->format.user_column);
    return 0;
}

static int load_model(const char *path, sessrec_model **out) {
    sessrec_error err = {SESSREC_OK, 0, ""};
    const sessrec_result result = sessrec_model_read(path, NULL, out, &err);
    if (result == SESSREC_BAD_FILE && strstr(err.text, "not a sessrec file"))
        return fail(EXIT_DATA, "%s: %s; a model comes from 'sessrec train LOG -o MODEL'", path, err.text);
    return status_of(path, result, &err);
}

// Whether a log can judge what has learned the items of `known`, or of the model: nothing to judge by is an
// error, and little of it is worth a word.
static int check_judge(const char *path, const sessrec_log *log, const char *of, const sessrec_log *known,
                       const sessrec_scorer *model) {
    if (!log) return 0;
    const sessrec_log_view view = sessrec_log_contents(log);
    int64_t unknown = 0;
    int32_t stranger = -1, longest = 0;
    for (int32_t i = 0; i < view.session_count; ++i) {
        int32_t length = 0;
        for (int64_t e = view.session_begins[i]; e < view.session_begins[i + 1]; ++e) {
            const char *id = sessrec_log_item_id(log, view.items[e]);
            const int knows =
                (model ? model->find_item(model->self, id) : sessrec_log_find_item(known, id)) >= 0;
            if (!knows) stranger = view.items[e];
            length += knows;
            unknown += !knows;
        }
        if (length > longest) longest = length;
    }
    if (longest > 1) {
        if (3 * unknown > view.event_count)
            note("%s: %s of %s events are of items that %s does not know, like '%s'; they are left out", path,
                 grouped(unknown), grouped(view.event_count), of, sessrec_log_item_id(log, stranger));
        return 0;
    }
    if (stranger < 0)
        return fail(EXIT_DATA, "%s: there is nothing to evaluate: no session has two clicks", path);
    return fail(EXIT_DATA,
                "%s: there is nothing to evaluate: no session has two clicks on items of %s; here is '%s', "
                "there is '%s'",
                path, of, sessrec_log_item_id(log, stranger),
                model ? model->item_id(model->self, 0) : sessrec_log_item_id(known, 0));
}

static void print_log(const char *name, const sessrec_log *log) {
    sessrec_log_view view = sessrec_log_contents(log);
    printf("%-8s %12s events %12s sessions %10s items\n", name, grouped(view.event_count),
           grouped(view.session_count), grouped(view.item_count));
}

// ===========================================================================================================
// Reports
// ===========================================================================================================

static void print_metric(const char *name, int32_t count, const double *values) {
    printf("%-9s", name);
    for (int32_t i = 0; i < count; ++i) printf("%9.4f", values[i]);
    putchar('\n');
}

static void print_group(const char *title, const char *const *names, const sessrec_metrics *groups,
                        const sessrec_report *r) {
    int32_t last = r->cutoff_count - 1;
    printf("\n%-18s %12s    Recall@%-4d   MRR@%d\n", title, "events", (int)r->cutoffs[last],
           (int)r->cutoffs[last]);
    for (int i = 0; i < SESSREC_GROUPS; ++i) {
        const sessrec_metrics *m = &groups[i];
        if (m->event_count)
            printf("  %-16s %12s %14.4f %8.4f\n", names[i], grouped(m->event_count), m->recall[last],
                   m->mrr[last]);
    }
}

// The parts of a session and of the users that the HRNN paper looks at, as unions of groups of a report.
enum { PARTS_BY_POSITION = 3, PARTS = 5 };

static const struct {
    const char *name;
    int first, count;
} parts[PARTS] = {{"recommendations 1-2", 0, 2},
                  {"recommendations 3-4", 2, 2},
                  {"recommendations 5 or later", 4, 4},
                  {"earlier sessions 0-6", 0, 6},
                  {"earlier sessions 7 or more", 6, 2}};

static sessrec_metrics part_of(const sessrec_report *r, int part) {
    const sessrec_metrics *groups = part < PARTS_BY_POSITION ? r->by_position : r->by_history;
    return sessrec_metrics_merge(groups + parts[part].first, parts[part].count);
}

static void print_part(const sessrec_report *r, int part) {
    const sessrec_metrics m = part_of(r, part);
    if (!m.event_count) return;
    printf("\n%s: %s events\n", parts[part].name, grouped(m.event_count));
    print_metric("Recall", r->cutoff_count, m.recall);
    print_metric("MRR", r->cutoff_count, m.mrr);
    print_metric("Precision", r->cutoff_count, m.precision);
}

static void print_breakdown(const sessrec_report *r, int users) {
    static const char *const positions[SESSREC_GROUPS] = {"1", "2", "3", "4", "5", "6", "7", "8 or more"};
    static const char *const lengths[SESSREC_GROUPS] = {"2",   "3",    "4",     "5",
                                                        "6-7", "8-10", "11-20", "21 or more"};
    static const char *const histories[SESSREC_GROUPS] = {"0", "1",   "2",    "3",
                                                          "4", "5-6", "7-10", "11 or more"};
    print_group("after clicks", positions, r->by_position, r);
    print_group("session length", lengths, r->by_length, r);
    if (users) print_group("earlier sessions", histories, r->by_history, r);
    for (int i = 0; i < (users ? PARTS : PARTS_BY_POSITION); ++i) print_part(r, i);
}

static void print_cutoffs(const sessrec_report *r) {
    printf("%-9s", "");
    for (int32_t i = 0; i < r->cutoff_count; ++i) {
        char name[16];
        snprintf(name, sizeof name, "@%d", (int)r->cutoffs[i]);
        printf("%9s", name);
    }
    putchar('\n');
}

static void print_report(const sessrec_report *r) {
    static const char *const ties[] = {"conservative", "standard", "median"};
    print_cutoffs(r);
    print_metric("Recall", r->cutoff_count, r->all.recall);
    print_metric("MRR", r->cutoff_count, r->all.mrr);
    print_metric("NDCG", r->cutoff_count, r->all.ndcg);
    printf("%s events of %s sessions in %.1f s, ties %s; events of unknown items left out: %s\n",
           grouped(r->event_count), grouped(r->session_count), r->seconds, ties[r->ties],
           grouped(r->unknown_count));
}

static int has_users(const sessrec_log *log) {
    return sessrec_log_contents(log).user_count > 0;
}

// Evaluates on the test log and prints what came out.
static int test_model(const settings *s, const sessrec_log *history, work *w) {
    sessrec_error err = {SESSREC_OK, 0, ""};
    sessrec_eval_config evaluation = s->evaluation;
    evaluation.history = history;
    int status =
        status_of(NULL,
                  w->model ? sessrec_evaluate(w->model, w->test, &evaluation, &w->report, &err)
                           : sessrec_evaluate_scorer(&w->scorer, w->test, &evaluation, &w->report, &err),
                  &err);
    if (status) return status;
    print_report(&w->report);
    if (evaluation.coverage) print_metric("Coverage", w->report.cutoff_count, w->report.coverage);
    if (s->breakdown) print_breakdown(&w->report, has_users(w->test));
    return 0;
}

// ---- JSON ----

static void json_number(buffer *t, double value) {
    if (value >= -DBL_MAX && value <= DBL_MAX) text_put(t, "%.9g", value);
    else text_put(t, "null");  // JSON has no NaN and no infinity
}

static void json_numbers(buffer *t, const char *name, int32_t count, const double *values) {
    text_put(t, ",\"%s\":[", name);
    for (int32_t i = 0; i < count; ++i) {
        if (i) text_put(t, ",");
        json_number(t, values[i]);
    }
    text_put(t, "]");
}

static void json_metric(buffer *t, const char *name, const sessrec_report *r, const double *values) {
    text_put(t, ",\"%s\":{", name);
    for (int32_t i = 0; i < r->cutoff_count; ++i) {
        text_put(t, "%s\"%d\":", i ? "," : "", (int)r->cutoffs[i]);
        json_number(t, values[i]);
    }
    text_put(t, "}");
}

static void json_training(buffer *t, const work *w) {
    text_put(t, "\"train\":{\"events\":%lld,\"batches\":%lld,\"seconds\":", (long long)w->pairs,
             (long long)w->batches);
    json_number(t, w->seconds);
    json_numbers(t, "loss", w->epochs, w->numbers);
    if (w->valid) json_numbers(t, "validation", w->epochs, w->validation);
    text_put(t, "}");
}

static void json_report(buffer *t, const work *w, int parts_shown) {
    const sessrec_report *r = &w->report;
    const int64_t events = sessrec_log_contents(w->test).event_count;
    text_put(t, "\"test\":{\"events\":%lld,\"unknown_items\":%lld", (long long)r->event_count,
             (long long)r->unknown_count);
    json_metric(t, "recall", r, r->all.recall);
    json_metric(t, "mrr", r, r->all.mrr);
    json_metric(t, "ndcg", r, r->all.ndcg);
    text_put(t, ",\"unknown_rate\":");
    json_number(t, events ? (double)r->unknown_count / (double)events : 0);
    for (int i = 0; i < parts_shown; ++i) {
        const sessrec_metrics m = part_of(r, i);
        text_put(t, "%s{\"of\":\"%s\",\"events\":%lld", i ? "," : ",\"breakdown\":[", parts[i].name,
                 (long long)m.event_count);
        json_metric(t, "recall", r, m.recall);
        json_metric(t, "mrr", r, m.mrr);
        json_metric(t, "precision", r, m.precision);
        text_put(t, "}");
    }
    text_put(t, parts_shown ? "]}" : "}");
}

// The configuration, by the names of its options.
static void json_configuration(buffer *t, const settings *s) {
    const char *name, *takes;
    char value[1100];
    double number;
    text_put(t, ",\"configuration\":{");
    for (int32_t i = 0; (name = sessrec_config_name(i, &takes)) != NULL; ++i) {
        if (sessrec_config_get(&s->config, name, value, sizeof value, NULL)) continue;
        text_put(t, "%s\"%s\":", t->bytes[t->size - 1] == '{' ? "" : ",", name);
        if (!takes) text_put(t, strcmp(value, "1") ? "false" : "true");
        else if (!strcmp(name, "layers")) text_put(t, "[%s]", value);
        else if (read_real(value, &number)) text_put(t, "%s", value);
        else text_quote(t, value);
    }
    text_put(t, "}");
}

// Tells logs apart: FNV-1a over the ids and the time of every event, in order.
static uint64_t log_hash(const sessrec_log *log) {
    const sessrec_log_view view = sessrec_log_contents(log);
    uint64_t hash = 0xcbf29ce484222325u;
    for (int32_t i = 0; i < view.session_count; ++i)
        for (int64_t e = view.session_begins[i]; e < view.session_begins[i + 1]; ++e) {
            const char *const ids[3] = {
                sessrec_log_session_id(log, i), sessrec_log_item_id(log, view.items[e]),
                view.session_users ? sessrec_log_user_id(log, view.session_users[i]) : ""};
            uint64_t bits;
            for (int k = 0; k < 3; ++k) {
                for (const char *at = ids[k] ? ids[k] : ""; *at; ++at)
                    hash = (hash ^ (unsigned char)*at) * 0x100000001b3u;
                hash = (hash ^ 9) * 0x100000001b3u;
            }
            memcpy(&bits, &view.times[e], sizeof bits);
            for (int k = 0; k < 64; k += 8) hash = (hash ^ (bits >> k & 255)) * 0x100000001b3u;
        }
    return hash;
}

static void json_log(buffer *t, const char *use, const char *name, const sessrec_log *log) {
    if (!log) return;
    const sessrec_log_view view = sessrec_log_contents(log);
    text_put(t, "%s{\"use\":\"%s\",\"name\":", t->bytes[t->size - 1] == '[' ? "" : ",", use);
    text_quote(t, name);
    text_put(t, ",\"events\":%lld,\"sessions\":%lld,\"items\":%lld,\"hash\":\"%016llx\"}",
             (long long)view.event_count, (long long)view.session_count, (long long)view.item_count,
             (unsigned long long)log_hash(log));
}

// The results for programs: {"train":{...},"test":{...}}, each part if there is one, and what they come from.
// "events" of train are the (input, target) pairs of all epochs of this run, "loss" has one number an epoch.
// With --breakdown the test has a list "breakdown". The hash of a log is that of what was left by filters.
static void json_results(buffer *t, const settings *s, const work *w, int tested) {
    text_put(t, "{");
    const int trained = w->train && !w->methods.size;
    if (trained && w->model) json_training(t, w);
    else if (trained) text_put(t, "\"train\":{\"events\":%lld,\"seconds\":%.3f}",
                               (long long)sessrec_log_contents(w->train).event_count, w->seconds);
    if (trained && tested) text_put(t, ",");
    if (tested) json_report(t, w, !s->breakdown ? 0 : has_users(w->test) ? PARTS : PARTS_BY_POSITION);
    text_put(t, ",\"version\":\"%s\"", sessrec_version());
    if (w->methods.size) text_add(t, w->methods.bytes, w->methods.size);
    if (trained && w->model) json_configuration(t, s);
    if (w->model) text_put(t, ",\"seed\":%llu", (unsigned long long)sessrec_model_describe(w->model).seed);
    text_put(t, ",\"logs\":[");
    json_log(t, "train", s->train ? s->train : s->input[0], w->train);
    json_log(t, "validation", s->valid, w->valid);
    json_log(t, "test", s->test ? s->test : s->input[1], w->test);
    json_log(t, "history", s->history, w->history);
    text_put(t, "]}\n");
}

// Where "-" as the file for results leads; what is for people goes to stderr then.
static FILE *json_stdout;

static int check_json(const settings *s) {
    if (!is_stdout(s->json)) return check_writable(s->json, "{\"");
#if defined(_WIN32)
    json_stdout = _fdopen(_dup(1), "w");
    const int failed = !json_stdout || _dup2(2, 1) < 0;
#else
    json_stdout = fdopen(dup(1), "w");
    const int failed = !json_stdout || dup2(2, 1) < 0;
#endif
    return failed ? fail(EXIT_DATA, "stdout: cannot be written: %s", strerror(errno)) : 0;
}

// Writes the model, if there is a place for it, and the results, if they are asked for: both or none.
static int write_results(const settings *s, const work *w, int tested) {
    sessrec_error err = {SESSREC_OK, 0, ""};
    sessrec_output outputs[2];
    buffer json = {NULL, 0, 0, 0};
    int32_t count = 0;
    memset(outputs, 0, sizeof outputs);
    void *scorer = NULL;
    if (s->output && !w->model) {
        const size_t size = sessrec_scorer_export_size(&w->scorer);
        scorer = malloc(size);
        if (!scorer) return fail_memory();
        const int failed = status_of(s->output, sessrec_scorer_export(&w->scorer, scorer, size), &err);
        if (failed) return free(scorer), failed;
    }
    if (s->json) json_results(&json, s, w, tested);
    if (s->output) {
        outputs[count].path = s->output;
        outputs[count].begins = MODEL_BEGINS;
        outputs[count].bytes = scorer;
        outputs[count].size = sessrec_scorer_export_size(&w->scorer);
        outputs[count++].model = w->model;
    }
    if (s->json && !json_stdout) {
        outputs[count].path = s->json;
        outputs[count].begins = "{\"";
        outputs[count].bytes = json.bytes;
        outputs[count++].size = json.size;
    }
    int status = json.failed ? fail_memory() : 0;
    if (!status && count) status = status_of(NULL, sessrec_outputs_write(outputs, count, &err), &err);
    if (!status && json_stdout) {
        fwrite(json.bytes, 1, json.size, json_stdout);
        if (fflush(json_stdout) || ferror(json_stdout))
            status = fail(EXIT_DATA, "stdout: cannot be written: %s", strerror(errno));
    }
    free(json.bytes);
    free(scorer);
    return status;
}

// ===========================================================================================================
// Training, with progress on stderr
// ===========================================================================================================

static volatile sig_atomic_t interrupted;

// The first Ctrl-C asks the run to stop, the second ends the program.
static void on_interrupt(int number) {
    interrupted = 1;
    signal(number, SIG_DFL);
}

static int is_terminal(int file) {
#if defined(_WIN32)
    return _isatty(file);
#elif defined(__unix__) || defined(__APPLE__)
    return isatty(file);
#else
    return file < 0;
#endif
}

enum { BAR_LINE = 78, BAR = 20 };

static void erase_bar(const work *w) {
    if (w->terminal) fprintf(stderr, "\r%*s\r", BAR_LINE, "");
}

static const char *clock_time(double seconds) {
    static char text[32];
    long long s = seconds > 0 && seconds < 1e9 ? (long long)(seconds + 0.5) : 0;
    if (s < 3600) snprintf(text, sizeof text, "%lld:%02lld", s / 60, s % 60);
    else snprintf(text, sizeof text, "%lld:%02lld:%02lld", s / 3600, s / 60 % 60, s % 60);
    return text;
}

static void draw_bar(const sessrec_progress *p) {
    // BAR of each: a piece of it is a bar
    static const char bar[] = "####################....................";
    char line[BAR_LINE + 1];
    int done = p->steps > 0 ? (int)(p->step * BAR / p->steps) : 0;
    snprintf(line, sizeof line, "epoch %d/%d [%.*s]  loss %.4f  %s events/s  %s left", (int)p->epoch + 1,
             (int)p->epochs, BAR, bar + BAR - done, p->loss, grouped((int64_t)p->events_per_second),
             clock_time(p->seconds_left));
    fprintf(stderr, "\r%-*s", BAR_LINE, line);
    fflush(stderr);
}

// The same as a line, for a file or a pipe.
static void print_progress(const sessrec_progress *p) {
    fprintf(stderr, "epoch %d/%d  %d %%  loss %.4f  %s events/s  %s left\n", (int)p->epoch + 1,
            (int)p->epochs, p->steps > 0 ? (int)(p->step * 100 / p->steps) : 0, p->loss,
            grouped((int64_t)p->events_per_second), clock_time(p->seconds_left));
}

static void print_epoch(const sessrec_progress *p) {
    fprintf(stderr, "epoch %d/%d  loss %.4f  %s events/s  %s", (int)p->epoch + 1, (int)p->epochs, p->loss,
            grouped((int64_t)p->events_per_second), clock_time(p->seconds));
    if (strcmp(p->device, "cpu")) fprintf(stderr, "  on %s", p->device);
    if (p->validation >= 0) fprintf(stderr, "  validation MRR@20 %.4f", p->validation);
    fputc('\n', stderr);
}

static int32_t on_progress(void *user, const sessrec_progress *p) {
    work *w = (work *)user;
    w->seconds = p->seconds;
    if (p->epoch_done) {
        w->pairs += p->events;
        w->batches += p->steps;
        w->validation[w->epochs] = p->validation;
        w->numbers[w->epochs++] = p->loss;
        w->said = p->seconds;
        erase_bar(w);
        print_epoch(p);
    } else if (w->terminal) {
        draw_bar(p);
    } else if (p->seconds - w->said >= 9) {  // it is asked a few times a second
        w->said = p->seconds;
        print_progress(p);
    }
    return interrupted;
}

// Trains on w->train, and stops gracefully on Ctrl-C.
static int train_model(sessrec_config config, work *w) {
    sessrec_error err = {SESSREC_OK, 0, ""};
    w->terminal = is_terminal(2);
    w->numbers = (double *)calloc((size_t)config.epochs, sizeof *w->numbers);
    w->validation = (double *)calloc((size_t)config.epochs, sizeof *w->validation);
    if (!w->numbers || !w->validation) return fail_memory();
    config.progress = on_progress;
    config.progress_user = w;
    void (*before)(int) = signal(SIGINT, on_interrupt);
    if (before == SIG_IGN) signal(SIGINT, SIG_IGN);  // started in the background: Ctrl-C is meant for others
    sessrec_result result = sessrec_train(&config, w->train, w->valid, &w->model, &err);
    if (before != SIG_ERR) signal(SIGINT, before);
    erase_bar(w);
    if (result == SESSREC_MISMATCH && config.start_from && !config.resume)
        return fail(EXIT_DATA, "%s: leave out --layers, --embedding, --gru, --user-layers and --hrnn",
                    err.text);
    const int of_checkpoint = config.resume && (result == SESSREC_BAD_FILE || result == SESSREC_MISMATCH);
    if (result != SESSREC_STOPPED) return status_of(of_checkpoint ? config.checkpoint : NULL, result, &err);
    if (config.checkpoint)
        return fail(EXIT_DATA, "stopped; no model is written. Add --resume to continue from %s",
                    config.checkpoint);
    return fail(EXIT_DATA, "stopped; no model is written");
}

// ===========================================================================================================
// Commands
// ===========================================================================================================

#include "window.h"
#include "methods.h"
#include "export.h"

// ---- sessrec train ----

static int check_train(const settings *s) {
    if (!s->output) return fail(EXIT_USAGE, "train needs an output file: -o MODEL");
    if (s->config.resume && !s->config.checkpoint)
        return fail(EXIT_USAGE, "--resume needs the file to continue from: --checkpoint FILE");
    if (s->config.checkpoint_steps && !s->config.checkpoint)
        return fail(EXIT_USAGE, "--checkpoint-steps needs a file: --checkpoint FILE");
    if (s->config.patience && !s->valid)
        return fail(EXIT_USAGE, "--patience needs a validation log: --valid LOG");
    int status = check_preset(s);
    if (!status) status = check_outputs(s);
    if (!status) status = check_writable(s->output, MODEL_BEGINS);
    if (!status) status = check_writable(s->config.checkpoint, MODEL_BEGINS);
    return status ? status : check_json(s);
}

// --from: the shape of the network is the model's, as far as no option says otherwise (which the library then
// refuses).
static int start_from(settings *s, sessrec_model **from) {
    int status = load_model(s->from, from);
    if (status) return status;
    sessrec_model_info info = sessrec_model_describe(*from);
    s->config.start_from = *from;
    if (!given(s, "--gru")) s->config.gru = info.gru;
    if (!given(s, "--layers")) {
        s->config.layer_count = info.layer_count;
        memcpy(s->config.hidden, info.hidden, sizeof info.hidden);
    }
    if (!given(s, "--user-layers") && !given(s, "--hrnn")) {
        s->config.user_hidden = info.user_hidden;
        s->config.user_mode = info.user_mode;
    }
    if (!given(s, "--embedding")) {
        s->config.embedding = info.embedding;
        if (info.embedding == SESSREC_EMBEDDING_SEPARATE) s->config.embedding_width = info.embedding_width;
    }
    return 0;
}

static int load_logs(settings *s, work *w) {
    s->format.items_of = w->other;
    int status = load_log(s, s->input[0], &w->train);
    s->format.items_of = NULL;
    const int filtered = s->filter.min_support || s->filter.min_length || s->filter.drop_repeats;
    if (!status && filtered && sessrec_log_filter(w->train, &s->filter, NULL)) return fail_memory();
    if (!status && !sessrec_log_contents(w->train).event_count)
        return fail(EXIT_DATA, "%s: there is no event to train on%s", s->input[0],
                    filtered ? "; --min-support and --min-length leave none" : "");
    if (!status) status = load_log(s, s->valid, &w->valid);
    return status ? status : load_log(s, s->test, &w->test);
}

static int check_judges(const settings *s, const work *w) {
    int status = check_judge(s->valid, w->valid, s->input[0], w->train, NULL);
    return status ? status : check_judge(s->test, w->test, s->input[0], w->train, NULL);
}

static void print_training(const work *w) {
    sessrec_log_view view = sessrec_log_contents(w->train);
    if (view.dropped_event_count)
        printf("         %12s events left out by the filters\n", grouped(view.dropped_event_count));
    if (!w->epochs) {
        printf("the checkpoint already had all epochs: nothing was left to train\n");
        return;
    }
    printf("trained  %12s events in %d epochs, %.1f s: %s events per second, last loss %.4f\n",
           grouped(w->pairs), (int)w->epochs, w->seconds,
           grouped(w->seconds > 0 ? (int64_t)((double)w->pairs / w->seconds) : 0), w->numbers[w->epochs - 1]);
}

static int command_train(settings *s, work *w) {
    int status = check_train(s);
    if (!status && s->from) status = start_from(s, &w->other);
    if (!status) status = load_logs(s, w);
    if (!status) status = check_judges(s, w);
    if (status) return status;
    print_log("log", w->train);
    fflush(stdout);
    if (s->kind == MODEL_GRU) {
        status = train_model(s->config, w);
        if (!status) print_training(w);
    } else {
        const clock_t start = clock();
        status = make_scorer(s, w->train, &w->scorer);
        w->seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
        if (!status) printf("made     in %.1f s\n", w->seconds);
    }
    if (status) return status;
    // A test that fails does not cost the model.
    const int tested = s->test ? test_model(s, w->train, w) : 0;
    status = write_results(s, w, s->test && !tested);
    if (!status) printf("model    %s\n", s->output);
    return status ? status : tested;
}

// ---- sessrec evaluate ----

static int command_evaluate(settings *s, work *w) {
    int status = check_outputs(s);
    if (!status) status = check_json(s);
    if (!status) status = load_log(s, s->input[1], &w->test);
    if (!status) status = load_log(s, s->history, &w->history);
    if (!status) status = load_log(s, s->train, &w->train);
    if (status) return status;
    if (s->last_clicks < 0 || s->last_clicks > 1000)
        return fail(EXIT_USAGE, "--last-clicks must be 0 to 1000");
    if (s->model_count > 1 || s->baselines || s->last_clicks) return compare_methods(s, w);
    status = load_scorer(s->input[0], &w->model, &w->scorer);
    if (!status) status = check_judge(s->input[1], w->test, s->input[0], NULL, &w->scorer);
    if (!status) status = test_model(s, w->history, w);
    return status ? status : write_results(s, w, 1);
}

// ---- sessrec compare ----

// How one model ranks every event of the log.
typedef struct ranking {
    const sessrec_model *model;
    sessrec_report report;
    double *rank, *gain;    // [events] and what the event adds to the metric that is looked at
    int64_t events;
} ranking;

static void on_event(void *user, const sessrec_event *event) {
    ranking *r = (ranking *)user;
    r->rank[r->events++] = event->rank;
}

static int rank_events(const settings *s, const char *path, const work *w, ranking *r) {
    sessrec_error err = {SESSREC_OK, 0, ""};
    sessrec_eval_config evaluation = s->evaluation;
    evaluation.history = w->history;
    evaluation.on_event = on_event;
    evaluation.on_event_user = r;
    return status_of(path, sessrec_evaluate(r->model, w->test, &evaluation, &r->report, &err), &err);
}

// Only then are their events the same: those of unknown items are left out.
static int know_the_same(const sessrec_log *log, const sessrec_model *a, const sessrec_model *b) {
    for (int32_t i = sessrec_log_contents(log).item_count - 1; i >= 0; --i) {
        const char *id = sessrec_log_item_id(log, i);
        if ((sessrec_model_find_item(a, id) < 0) != (sessrec_model_find_item(b, id) < 0)) return 0;
    }
    return 1;
}

// The rows of one metric: both models, what B has more, and how likely a difference as large is by chance.
static int compare_metric(const char *const *names, ranking *r, const double *a, const double *b,
                          int is_mrr) {
    const sessrec_report *report = &r->report;
    double more[SESSREC_MAX_CUTOFFS], p[SESSREC_MAX_CUTOFFS];
    for (int32_t c = 0; c < report->cutoff_count; ++c) {
        experiment_signed_ranks test;
        for (ranking *each = r; each < r + 2; ++each)
            for (int64_t i = 0; i < each->events; ++i)
                each->gain[i] = each->rank[i] > report->cutoffs[c] ? 0 : is_mrr ? 1 / each->rank[i] : 1;
        if (experiment_wilcoxon(r[0].gain, r[1].gain, r->events, &test) != SESSREC_OK)
            return fail_memory();
        more[c] = b[c] - a[c];
        p[c] = test.p;
    }
    print_metric(names[0], report->cutoff_count, a);
    print_metric(names[1], report->cutoff_count, b);
    print_metric("  B - A", report->cutoff_count, more);
    printf("%-9s", "  p");
    for (int32_t c = 0; c < report->cutoff_count; ++c)
        printf("%9.2g%s", p[c], c + 1 < report->cutoff_count ? "" : "\n");
    return 0;
}

static int command_compare(settings *s, work *w) {
    static const char *const recall[2] = {"Recall A", "Recall B"}, *const mrr[2] = {"MRR A", "MRR B"};
    const char *const *path = s->input;
    ranking r[2];
    int status = load_log(s, path[2], &w->test);
    if (!status) status = load_log(s, s->history, &w->history);
    if (!status) status = load_model(path[0], &w->model);
    if (!status) status = load_model(path[1], &w->other);
    if (status) return status;
    if (!know_the_same(w->test, w->model, w->other))
        return fail(EXIT_DATA, "%s and %s know different items of %s: their events are not the same", path[0],
                    path[1], path[2]);
    const size_t most = (size_t)sessrec_log_contents(w->test).event_count + 1;
    w->numbers = (double *)calloc(most, 4 * sizeof *w->numbers);
    if (!w->numbers) return fail_memory();
    memset(r, 0, sizeof r);
    for (int m = 0; m < 2 && !status; ++m) {
        r[m].model = m ? w->other : w->model;
        r[m].rank = w->numbers + (size_t)(2 * m) * most;
        r[m].gain = r[m].rank + most;
        status = rank_events(s, path[m], w, &r[m]);
    }
    if (status) return status;
    print_cutoffs(&r->report);
    status = compare_metric(recall, r, r[0].report.all.recall, r[1].report.all.recall, 0);
    if (!status) status = compare_metric(mrr, r, r[0].report.all.mrr, r[1].report.all.mrr, 1);
    printf("%s events; p: Wilcoxon's signed-rank test over events, two-sided\n", grouped(r->events));
    return status;
}

// ---- sessrec recommend ----

// Whether all that was printed has gone out.
static int check_stdout(void) {
    return fflush(stdout) || ferror(stdout)
               ? fail(EXIT_DATA, "stdout: cannot be written: %s", strerror(errno))
               : 0;
}

#include "service.h"

static int command_recommend(settings *s, work *w) {
    static service served;
    if (s->visitors < 1) return fail(EXIT_USAGE, "--visitors must be at least 1");
    if (s->idle < 0) return fail(EXIT_USAGE, "--idle must be at least 0");
    served.path = s->input[0];
    served.k = s->k;
    served.allow_seen = s->allow_seen;
    served.json = s->json_lines;
    served.idle = s->idle;
    served.states = s->states;
    served.sessions.most = served.users.most = (size_t)s->visitors;
    served.terminal = is_terminal(1);
    int status = load_scorer(s->input[0], &w->model, &w->scorer);
    if (status) return status;
    sessrec_model *model = w->model;
    sessrec_scorer scorer = w->scorer;
    w->model = NULL;
    memset(&w->scorer, 0, sizeof w->scorer);
    return service_run(&served, model, &scorer);
}

// ---- sessrec similar, sessrec embeddings ----

#include "similar.h"

// ---- sessrec split ----

// The usual way to test: train on what ended before the cut, test on what began after it. Filters look at the
// training log only; the test log keeps the items that training has seen.
static int split_log(work *w, int last_session, double cut, sessrec_filter filter) {
    sessrec_error err = {SESSREC_OK, 0, ""};
    sessrec_result result = last_session ? sessrec_log_split_last_session(w->log, &w->train, &w->test, &err)
                                         : sessrec_log_split_time(w->log, cut, &w->train, &w->test, &err);
    if (result == SESSREC_OK) result = sessrec_log_filter(w->train, &filter, &err);
    if (result == SESSREC_OK) result = sessrec_log_keep_items(w->test, w->train, &err);
    filter.min_support = 0;
    if (result == SESSREC_OK) result = sessrec_log_filter(w->test, &filter, &err);
    return status_of(NULL, result, &err);
}

// When the last `days` days of a log begin.
static double cut_before_end(const sessrec_log *log, double days) {
    sessrec_log_view view = sessrec_log_contents(log);
    double last = view.event_count ? view.times[0] : 0;
    for (int64_t i = 1; i < view.event_count; ++i)
        if (view.times[i] > last) last = view.times[i];
    return last - days * 86400;
}

// PREFIX with an ending; NULL without memory.
static char *part_path(const char *prefix, const char *ending) {
    char *path = (char *)malloc(strlen(prefix) + strlen(ending) + 1);
    return path ? strcat(strcpy(path, prefix), ending) : NULL;
}

// Writes both parts or neither; finds out whether that can be done before there are any. An input is not
// written over, whatever it is called.
static int write_parts(const settings *s, const work *w) {
    sessrec_error err = {SESSREC_OK, 0, ""};
    char *train = part_path(s->output, "_train.tsv"), *test = part_path(s->output, "_test.tsv");
    const sessrec_output outputs[2] = {{train, "SessionId\t", NULL, w->train, NULL, 0},
                                       {test, "SessionId\t", NULL, w->test, NULL, 0}};
    int status = train && test ? 0 : fail_memory();
    for (int32_t i = -1; i < s->more_count && !status; ++i) {
        const char *input = i < 0 ? s->main_log : s->more[i];
        if (sessrec_same_file(input, train) || sessrec_same_file(input, test))
            status = fail(EXIT_USAGE, "%s would be overwritten; give another PREFIX", input);
    }
    if (!status) status = status_of(NULL, sessrec_outputs_write(outputs, 2, &err), &err);
    if (!status && w->log) printf("%s\n%s\n", train, test);
    free(train);
    free(test);
    return status;
}

// One of three ways to split, and what they need.
static int check_split(const settings *s, double *cut) {
    const int ways = given(s, "--days") + given(s, "--at") + given(s, "--last-session");
    if (ways != 1)
        return fail(EXIT_USAGE, "split needs one way to cut: --days N, --at TIME or --last-session");
    if (given(s, "--days") && !(s->days > 0)) return fail(EXIT_USAGE, "--days must be more than 0");
    if (given(s, "--at") && !read_moment(s->at, &s->format, cut))
        return fail(EXIT_USAGE, "--at takes a time, as 2019-10-01T12:00 or seconds since 1970, not '%s'",
                    s->at);
    if (!s->output) return fail(EXIT_USAGE, "split needs a name for its output files: -o PREFIX");
    if (!*s->format.time_column) return fail(EXIT_USAGE, "split needs times: --time-column NAME");
    return 0;
}

static int command_split(settings *s, work *w) {
    double cut = 0;
    int status = check_split(s, &cut);
    if (!status) status = write_parts(s, w);  // checks the names
    if (!status) status = load_log(s, s->input[0], &w->log);
    if (!status && given(s, "--days")) cut = cut_before_end(w->log, s->days);
    if (!status) status = split_log(w, s->last_session, cut, s->filter);
    if (status) return status;
    sessrec_log_view all = sessrec_log_contents(w->log), before = sessrec_log_contents(w->train),
                     after = sessrec_log_contents(w->test);
    if (!s->last_session) printf("cut at %s UTC (%.0f)\n", moment_text(cut), cut);
    print_log("log", w->log);
    print_log("train", w->train);
    print_log("test", w->test);
    printf("dropped  %12s events: %s before or across the cut, %s after it\n",
           grouped(before.dropped_event_count + after.dropped_event_count),
           grouped(before.dropped_event_count), grouped(after.dropped_event_count));
    if (!before.event_count || !after.event_count)
        return fail(EXIT_DATA, "%s: nothing is left to %s on; change --%s", s->input[0],
                    before.event_count ? "test" : "train",
                    s->at ? "at" : s->last_session ? "last-session" : "days");
    if (s->days > 0 && after.event_count + after.dropped_event_count < all.event_count / 500)
        fprintf(stderr,
                "sessrec: %s: the last %g days hold %s of %s events; if the last times are wrong "
                "(sessrec describe shows them), cut elsewhere: --at TIME\n",
                s->input[0], s->days, grouped(after.event_count + after.dropped_event_count),
                grouped(all.event_count));
    return write_parts(s, w);
}

// ---- sessrec describe ----

static int command_describe(settings *s, work *w) {
    sessrec_error err = {SESSREC_OK, 0, ""};
    int status = load_log(s, s->input[0], &w->log);
    if (!status && s->filter.drop_repeats)
        status = status_of(NULL, sessrec_log_filter(w->log, &s->filter, &err), &err);
    return status ? status : describe_log(w->log) ? 0 : fail_memory();
}

#include "tune.h"

// ---- sessrec demo ----

enum { DEMO_TEST_DAYS = 3 };

static int demo_make(const settings *s, work *w) {
    sessrec_error err = {SESSREC_OK, 0, ""};
    sessrec_filter filter = sessrec_filter_default();
    filter.min_support = 5;
    filter.min_length = 2;
    shop plan = shop_default();
    plan.seed = s->config.seed;
    int status = status_of(NULL, shop_log(plan, &w->log, &err), &err);
    if (status) return status;
    sessrec_log_view view = sessrec_log_contents(w->log);
    printf("A made-up shop: %s clicks on %s items, in %s visits over %d days (seed %llu).\n",
           grouped(view.event_count), grouped(view.item_count), grouped(view.session_count), (int)plan.days,
           (unsigned long long)plan.seed);
    printf("The model learns from the first %d days and is tested on the last %d.\n\n",
           (int)plan.days - DEMO_TEST_DAYS, DEMO_TEST_DAYS);
    fflush(stdout);
    return split_log(w, 0, cut_before_end(w->log, DEMO_TEST_DAYS), filter);
}

static int demo_train(const settings *s, work *w) {
    sessrec_config config = s->config;
    config.epochs = 3;
    config.negatives = 512;
    config.optimizer.learning_rate = 0.1f;
    int status = train_model(config, w);
    if (status) return status;
    printf("A GRU of %d units went through %s pairs of a click and the next, %d times, in %.1f s.\n\n",
           (int)config.hidden[0], grouped(w->pairs / w->epochs), (int)w->epochs, w->seconds);
    return 0;
}

// Evaluates one scorer on the test days and prints its line of the table.
static int demo_compare(const settings *s, const work *w, const char *name, sessrec_result made,
                        sessrec_scorer *scorer) {
    sessrec_error err = {SESSREC_OK, 0, ""};
    sessrec_report report;
    sessrec_eval_config evaluation = s->evaluation;
    if (made != SESSREC_OK) return fail(EXIT_DATA, "%s", sessrec_result_text(made));
    evaluation.cutoff_count = 1;
    evaluation.cutoffs[0] = 20;
    int status = status_of(NULL, sessrec_evaluate_scorer(scorer, w->test, &evaluation, &report, &err), &err);
    sessrec_scorer_destroy(scorer);
    if (!status) printf("  %-28s%10.3f%10.3f\n", name, report.all.recall[0], report.all.mrr[0]);
    return status;
}

static int demo_table(const settings *s, const work *w) {
    sessrec_scorer scorer;
    printf("  %-28s%10s%10s\n", "what is recommended", "Recall@20", "MRR@20");
    int status =
        demo_compare(s, w, "the GRU's best", sessrec_scorer_model(w->model, NULL, &scorer, NULL), &scorer);
    if (!status)
        status = demo_compare(s, w, "most clicked in this visit",
                              experiment_s_pop(w->train, &scorer, NULL), &scorer);
    if (!status)
        status = demo_compare(s, w, "most clicked in the shop",
                              sessrec_scorer_pop(w->train, NULL, &scorer, NULL), &scorer);
    printf("\n  Recall@20: how often the item clicked next was among the 20 recommended.\n"
           "  MRR@20:    1 if it stood first, 1/2 if second, 1/3 if third, 0 if not there; the mean.\n\n");
    return status;
}

// The first visit of the test days with so many clicks; -1 if there is none.
static int32_t find_visit(const sessrec_log_view *view, int64_t clicks) {
    for (int32_t i = 0; i < view->session_count; ++i)
        if (view->session_begins[i + 1] - view->session_begins[i] == clicks) return i;
    return -1;
}

static int demo_visit(const work *w) {
    enum { TOP = 5, CLICKS = 6 };
    sessrec_log_view view = sessrec_log_contents(w->test);
    sessrec_recommendation list[TOP];
    sessrec_query query = sessrec_query_default();
    sessrec_session *session;
    size_t size = sessrec_session_size(w->model, 0);
    int32_t visit = find_visit(&view, CLICKS), count = 0;
    void *memory = malloc(size);
    if (!memory || visit < 0 ||
        sessrec_session_init(w->model, 0, memory, size, &session, NULL) != SESSREC_OK) {
        free(memory);
        return fail(EXIT_DATA, "cannot show a visit");
    }
    query.k = TOP;
    query.skip_seen = 0;
    printf("A visit of the test days, and the five best items after each click (* is what was clicked "
           "next):\n\n");
    for (int64_t i = view.session_begins[visit]; i + 1 < view.session_begins[visit + 1]; ++i) {
        const char *clicked = sessrec_log_item_id(w->test, view.items[i]);
        const char *next = sessrec_log_item_id(w->test, view.items[i + 1]);
        sessrec_session_click_id(session, clicked, NULL);
        sessrec_session_recommend(session, &query, list, &count, NULL);
        printf("  %-10s", clicked);
        for (int32_t j = 0; j < count; ++j) {
            const char *item = sessrec_model_item_id(w->model, list[j].item);
            printf("  %s%-*s", strcmp(item, next) ? " " : "*", j + 1 < count ? 10 : 0, item);
        }
        putchar('\n');
    }
    free(memory);
    return 0;
}

static int command_demo(settings *s, work *w) {
    int status = demo_make(s, w);
    if (!status) status = demo_train(s, w);
    if (!status) status = demo_table(s, w);
    if (!status) status = demo_visit(w);
    if (!status)
        printf("\nNow with your own clicks, a file with the columns SessionId, ItemId and Time:\n\n"
               "  sessrec split clicks.csv --days 1 -o clicks\n"
               "  sessrec train clicks_train.tsv -o clicks.model --test clicks_test.tsv\n"
               "  printf 'visit-1\\tSOME-ITEM\\n' | sessrec recommend clicks.model\n");
    return status;
}

// ---- what there is, and which is meant ----

static const command commands[] = {
    {DEMO, "demo", "[--seed N] [--threads N]", "a made-up shop, from clicks to recommendations in seconds",
     "Makes a log of clicks in a made-up shop, trains a model on it, compares the model with two simple "
     "rules,\n"
     "and shows what it recommends. Needs no file and writes none.",
     0, command_demo},
    {TRAIN, "train", "LOG... -o MODEL [--test LOG2] [options]", "learn from a log of clicks",
     "LOG is a CSV or TSV file with a header line and one click per line, or JSON lines; - is standard\n"
     "input, and several files make one log. It is used as it is unless you ask for a filter.\n"
     "With --from the network has the shape of the model. Ctrl-C stops the run; no model is written "
     "then.",
     1, command_train},
    {EVALUATE, "evaluate", "MODEL... LOG [options]", "how good models are on a log",
     "After each click of a session all items are ranked; the figures tell where the item clicked next "
     "stood.\n"
     "Several models, and simple methods with --baselines, make a table; p is the probability of a "
     "difference\n"
     "to the first at least as large if both were equally good, by Wilcoxon's signed-rank test.",
     2, command_evaluate},
    {BLEND, "blend", "MODEL NEIGHBORS LOG -o FILE", "a network and neighbors combined",
     "An item's score is that of MODEL plus b log(score of NEIGHBORS + epsilon). b and epsilon are the "
     "best by\n"
     "Recall@20 + MRR@20 on LOG, which neither was trained on. FILE contains both parts.",
     3, command_blend},
    {COMPARE, "compare", "MODEL_A MODEL_B LOG [options]",
     "which of two models is better, and whether by more than chance",
     "Both models rank the same events. B - A is the difference; p is the probability of a "
     "difference at least as large if\n"
     "both were equally good, by Wilcoxon's signed-rank test.",
     3, command_compare},
    {RECOMMEND, "recommend", "MODEL [-k 20]", "clicks on stdin, recommendations on stdout",
     "Reads clicks, one SESSION<tab>ITEM a line (and <tab>USER, if the model knows users), and answers\n"
     "each with a line: the session and the recommended items, best first, with tabs between. ITEM END\n"
     "ends the session. Any other line is answered by <tab>error and the reason. Before the\n"
     "first known item the most popular ones are recommended.\n\n"
     "With --json a line may be an object, in which only session is required; the answer is an object, too:\n"
     "  {\"session\":ID, \"item\":ID, \"user\":ID, \"k\":N, \"exclude\":[ID..], \"candidates\":[ID..],\n"
     "   \"allow_seen\":true, \"end\":true}\n\n"
     "SIGTERM ends it cleanly. SIGHUP loads MODEL again and keeps the sessions.",
     1, command_recommend},
    {SIMILAR, "similar", "MODEL ITEM [-k 20]", "items like an item",
     "One item a line, the most similar first, with a tab and a number. For a network that is the cosine of\n"
     "the items' output weights; for neighbors, rules and blends, what is recommended after ITEM alone.",
     2, command_similar},
    {EMBEDDINGS, "embeddings", "MODEL", "a network's items as rows of numbers",
     "One item a line: its id and its output weights, with tabs between.", 1, command_embeddings},
    {SPLIT, "split", "LOG... --days N -o PREFIX [options]",
     "cut a log in time, to train on one part and test on the other",
     "Sessions that end before the last N days go to PREFIX_train.tsv, those that begin in them to "
     "PREFIX_test.tsv;\n"
     "or before and after a time (--at), or each user's last session to the test (--last-session).\n"
     "The test log keeps items that occur in the training log.",
     1, command_split},
    {TUNE, "tune", "LOG... --valid LOG2 [options]", "look for good settings",
     "Random search: settings are drawn from published ranges, and those that start badly are stopped\n"
     "early. Settings given here as options are not searched. Ends with the command that trains the best.\n"
     "The same seed tries the same settings.",
     1, command_tune},
    {EXPORT, "export", "MODEL -o FILE [--int8] [--no-ids]",
     "a model as source code for a device, or with 8 bits",
     "FILE.h is an array NAME_bytes for #include, FILE.S with FILE.bin the same for an assembler; any other\n"
     "name is a model file. A model of 8 bits is used like any other: sessrec evaluate FILE LOG.",
     1, command_export},
    {DESCRIBE, "describe", "LOG... [options]", "what a log contains, and what looks wrong",
     "Counts, times, lengths of sessions, gaps between clicks and where to cut, repeats, popularity, users.",
     1, command_describe},
};

enum { COMMANDS = (int)(sizeof commands / sizeof commands[0]) };

// NULL, after saying so, if there is none of this name.
static const command *find_command(const char *name) {
    for (int i = 0; i < COMMANDS; ++i)
        if (!strcmp(commands[i].name, name)) return &commands[i];
    const char *nearest = NULL;
    for (int i = 0, least = 3; i < COMMANDS; ++i) {
        const int d = strlen(name) < 24 ? distance(name, commands[i].name) : least;
        if (d < least) nearest = commands[i].name, least = d;
    }
    if (nearest) fail(EXIT_USAGE, "there is no command '%s'; did you mean %s?", name, nearest);
    else fail(EXIT_USAGE, "there is no command '%s'; 'sessrec help' lists them", name);
    return NULL;
}

static settings settings_default(const command *c) {
    settings s;
    memset(&s, 0, sizeof s);
    s.config = sessrec_config_default();
    s.format = sessrec_log_format_default();
    s.filter = sessrec_filter_default();
    s.evaluation = sessrec_eval_config_default();
    s.k = sessrec_query_default().k;
    s.order = 1;
    s.trials = 60;
    s.visitors = 1000000;
    if (c->id == SPLIT) {
        s.filter.min_support = 5;
        s.filter.min_length = 2;
    }
    return s;
}

static int print_help(const char *name) {
    if (name) {
        const command *c = find_command(name);
        settings s = settings_default(c ? c : commands);
        return c ? print_command_help(c, &s) : EXIT_USAGE;
    }
    printf("sessrec %s - session-based recommendation\n\n", sessrec_version());
    for (int i = 0; i < COMMANDS; ++i) printf("  sessrec %-10s  %s\n", commands[i].name, commands[i].purpose);
    printf("\n'sessrec help COMMAND' has the options. Try 'sessrec demo' first.\n");
    return 0;
}

static int run_command(const command *c, int count, char **arguments) {
    settings s = settings_default(c);
    work w;
    memset(&w, 0, sizeof w);
    int status = parse(&s, c, count, arguments);
    if (!status && s.help) return print_help(c->name);
    if (!status) status = settle(&s);
    if (!status) status = c->run(&s, &w);
    if (!status) status = check_stdout();
    sessrec_scorer_destroy(&w.scorer);
    sessrec_model_destroy(w.model);
    sessrec_model_destroy(w.other);
    free(w.methods.bytes);
    sessrec_log_destroy(w.log);
    sessrec_log_destroy(w.train);
    sessrec_log_destroy(w.test);
    sessrec_log_destroy(w.valid);
    sessrec_log_destroy(w.history);
    free(w.numbers);
    free(w.validation);
    return status;
}

static int run_arguments(int argc, char **argv) {
    const char *first = argc > 1 ? argv[1] : "help";
    if (!strcmp(first, "help") || !strcmp(first, "--help") || !strcmp(first, "-h"))
        return print_help(argc > 2 ? argv[2] : NULL);
    if (!strcmp(first, "--version")) {
        printf("sessrec %s\n", sessrec_version());
        return 0;
    }
    const command *c = find_command(first);
    return c ? run_command(c, argc - 2, argv + 2) : EXIT_USAGE;
}

#ifndef SESSREC_COMMANDS
int main(int argc, char **argv) {
    return run_arguments(argc, argv);
}
#endif
