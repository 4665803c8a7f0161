// golden.c - compares the library with golden vectors:  golden DIRECTORY ...
//
// Runs every case file (*.txt) whatever its sizes and settings, which all come from the file;
// golden/README.md is the specification. Prints one line a case with its largest deviation, and exits with 1
// if any is out of tolerance. What the library does not have is named as skipped. Uses the public interface,
// but for the similarities of neighbors.
#define _FILE_OFFSET_BITS 64  // or emulated 32-bit processors cannot list a folder
#define SESSREC_IMPLEMENTATION
#include "../examples/experiment.h"

#include <dirent.h>
#include <setjmp.h>

#include "golden_file.h"

// With SESSREC_CUDA the trajectories are trained on a GPU.
#ifdef SESSREC_CUDA
static const sessrec_device DEVICE = SESSREC_DEVICE_CUDA;
#else
static const sessrec_device DEVICE = SESSREC_DEVICE_CPU;
#endif

// ---- tolerances -------------------------------------------------------------------------------------------
// The files are float64, the library computes in float32. A deviation is |actual - expected| / (|expected| +
// scale), where scale is the largest |value| of the expected tensor, but not above 1 nor below
// `smallest_scale`: a tensor of small gradients is held to its own size, and one of rounding noise to a fixed
// bound.
typedef enum tolerance { SINGLE, EXTREME, TRAJECTORY_LOSS, TRAJECTORY, EXACT } tolerance;

static const struct {
    double deviation, smallest_scale;
} TOLERANCE[] = {
    // SINGLE: one operation, some hundred roundings of 6e-8 at most; 1 - beta2 of Adam, a float, has 1e-5 by
    // itself
    {1e-5, 0.1},
    {1e-4, 0.1},    // EXTREME: scores up to +-80, where a rounding of the score is 4e-6 in every exponent
    // TRAJECTORY_LOSS: the roundings of all steps before; a wrong convention shows as 1e-3 or more
    {1e-4, 1},
    {2e-4, 0.01},   // TRAJECTORY: weights, states, gradients and scores on the way
    {1e-12, 1}      // EXACT: ranks, metrics and counts; the files keep every score far enough from the next
};

// ---- a case -----------------------------------------------------------------------------------------------

// Something to be released when the case is over, however it ends; the last kept goes first.
typedef struct keepsake {
    struct keepsake *next;
    void (*release)(void *object);
    void *object;
} keepsake;

typedef struct golden_case {
    char name[256];
    golden_file file;
    jmp_buf stop;           // a case stops at the first thing that it cannot go on from
    keepsake *keepsakes;
    char problem[512];      // why it stopped; "" if it did not
    int64_t compared;       // numbers
    double worst;           // largest deviation in units of its tolerance,
    double deviation, allowed, actual, expected;    // and what it was
    char where[128];
} golden_case;

static void stop(golden_case *c, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(c->problem, sizeof c->problem, format, arguments);
    va_end(arguments);
    longjmp(c->stop, 1);
}

// `object` will be released with the case.
static void keep(golden_case *c, void (*release)(void *), void *object) {
    keepsake *kept = (keepsake *)malloc(sizeof *kept);
    if (!kept) {
        release(object);
        stop(c, "out of memory");
    }
    kept->next = c->keepsakes;
    kept->release = release;
    kept->object = object;
    c->keepsakes = kept;
}

static void release_log(void *log) { sessrec_log_destroy((sessrec_log *)log); }
static void release_trainer(void *trainer) { sessrec_trainer_destroy((sessrec_trainer *)trainer); }
static void release_batcher(void *batcher) { sessrec_batcher_destroy((sessrec_batcher *)batcher); }

// Zeroed memory that lives as long as the case.
static void *take(golden_case *c, int64_t count, size_t size) {
    void *block = calloc((size_t)(count > 0 ? count : 1), size);
    if (!block) stop(c, "out of memory");
    keep(c, free, block);
    return block;
}

static float *take_floats(golden_case *c, int64_t count) {
    return (float *)take(c, count, sizeof(float));
}

// Stops the case if a call of the library failed.
static void demand(golden_case *c, const char *call, sessrec_result result, const sessrec_error *err) {
    if (result != SESSREC_OK)
        stop(c, "%s: %s", call,
             err && err->code == result && err->text[0] ? err->text : sessrec_result_text(result));
}

// ---- what the file says -----------------------------------------------------------------------------------

static const char *meta(golden_case *c, const char *key) {
    const char *value = golden_value(&c->file, key);
    if (!value) stop(c, "meta %s is missing", key);
    return value;
}

static double meta_number(golden_case *c, const char *key) {
    const char *text = meta(c, key);
    char *rest = NULL;
    double value = strtod(text, &rest);
    if (*rest || !isfinite(value)) stop(c, "meta %s is no number: %.80s", key, text);
    return value;
}

static int32_t meta_count(golden_case *c, const char *key) {
    double value = meta_number(c, key);
    if (value < 0 || value > 1e9 || value != floor(value)) stop(c, "meta %s is no count", key);
    return (int32_t)value;
}

static const golden_tensor *need(golden_case *c, const char *name) {
    const golden_tensor *tensor = golden_find(&c->file, name);
    if (!tensor) stop(c, "tensor %s is missing", name);
    return tensor;
}

// The same, of a given size.
static const golden_tensor *need_sized(golden_case *c, const char *name, int64_t count) {
    const golden_tensor *tensor = need(c, name);
    if (tensor->count != count)
        stop(c, "tensor %s has %lld numbers, not %lld", name, (long long)tensor->count, (long long)count);
    return tensor;
}

static float *floats(golden_case *c, const golden_tensor *tensor) {
    float *copy = take_floats(c, tensor->count);
    for (int64_t i = 0; i < tensor->count; ++i) copy[i] = (float)tensor->data[i];
    return copy;
}

// The integers of a tensor, all in [low,high].
static int32_t *integers(golden_case *c, const golden_tensor *tensor, int64_t low, int64_t high) {
    int32_t *copy = (int32_t *)take(c, tensor->count, sizeof *copy);
    for (int64_t i = 0; i < tensor->count; ++i) {
        double value = tensor->data[i];
        int inside = value >= (double)low && value <= (double)high && value == floor(value);
        if (!inside) stop(c, "tensor %s has a number out of range", tensor->name);
        copy[i] = (int32_t)value;
    }
    return copy;
}

// A number that a word names; stops the case if it is none of them.
typedef struct word {
    const char *text;
    int value;
} word;

static int named(golden_case *c, const char *what, const char *text, const word *words) {
    for (; words->text; ++words)
        if (!strcmp(words->text, text)) return words->value;
    stop(c, "the library has no %s \"%.80s\"", what, text);
    return 0;
}

// ---- comparing --------------------------------------------------------------------------------------------

static void compare(golden_case *c, tolerance kind, const char *where, const double *actual,
                    const double *expected, int64_t count) {
    double scale = TOLERANCE[kind].smallest_scale;
    for (int64_t i = 0; i < count; ++i) scale = fmax(scale, fmin(1, fabs(expected[i])));
    for (int64_t i = 0; i < count; ++i) {
        double deviation = fabs(actual[i] - expected[i]) / (fabs(expected[i]) + scale);
        double units = isnan(deviation) ? INFINITY : deviation / TOLERANCE[kind].deviation;
        ++c->compared;
        if (units <= c->worst && c->where[0]) continue;
        c->worst = units;
        c->deviation = deviation;
        c->allowed = TOLERANCE[kind].deviation;
        c->actual = actual[i];
        c->expected = expected[i];
        snprintf(c->where, sizeof c->where, count > 1 ? "%s[%lld]" : "%s", where, (long long)i);
    }
}

static void compare_one(golden_case *c, tolerance kind, const char *where, double actual, double expected) {
    compare(c, kind, where, &actual, &expected, 1);
}

static void compare_floats(golden_case *c, tolerance kind, const char *where, const float *actual,
                           const double *expected, int64_t count) {
    double *wide = (double *)take(c, count, sizeof *wide);
    for (int64_t i = 0; i < count; ++i) wide[i] = actual[i];
    compare(c, kind, where, wide, expected, count);
}

// With the whole tensor of that name.
static void compare_tensor(golden_case *c, tolerance kind, const char *name, const float *actual,
                           int64_t count) {
    compare_floats(c, kind, name, actual, need_sized(c, name, count)->data, count);
}

// ---- cell -------------------------------------------------------------------------------------------------

// The file has W and U as [3H,D], the library as [D,3H].
static float *transposed(golden_case *c, const float *matrix, int64_t rows, int64_t columns) {
    float *turned = take_floats(c, rows * columns);
    for (int64_t i = 0; i < rows; ++i)
        for (int64_t j = 0; j < columns; ++j) turned[j * rows + i] = matrix[i * columns + j];
    return turned;
}

static sessrec_gru_form gru_form(golden_case *c) {
    static const word FORMS[] = {{"before", SESSREC_RESET_BEFORE}, {"after", SESSREC_RESET_AFTER}, {NULL, 0}};
    return (sessrec_gru_form)named(c, "GRU variant", meta(c, "variant"), FORMS);
}

// The factor of each output unit: the given mask times 1/(1-p); 1 without dropout.
static float *dropout_factor(golden_case *c, int64_t count) {
    double p = meta_number(c, "dropout");
    const golden_tensor *mask = p > 0 ? need_sized(c, "mask", count) : NULL;
    float *factor = take_floats(c, count);
    for (int64_t i = 0; i < count; ++i) factor[i] = mask ? (float)(mask->data[i] / (1 - p)) : 1.0f;
    return factor;
}

static float *multiplied(golden_case *c, const float *a, const float *b, int64_t count) {
    float *product = take_floats(c, count);
    for (int64_t i = 0; i < count; ++i) product[i] = a[i] * b[i];
    return product;
}

// The gates and the candidate stay in the tape of the library; h_new and every gradient depend on all three.
static void run_cell(golden_case *c) {
    int32_t rows = meta_count(c, "B"), D = meta_count(c, "D_in"), H = meta_count(c, "H");
    int64_t states = (int64_t)rows * H, inputs = (int64_t)rows * D, gates = 3 * (int64_t)H;
    sessrec_gru gru;
    gru.form = gru_form(c);
    int two_biases = gru.form == SESSREC_RESET_AFTER;
    gru.input = D;
    gru.hidden = H;
    gru.W = transposed(c, floats(c, need_sized(c, "W", gates * D)), gates, D);
    gru.U = transposed(c, floats(c, need_sized(c, "U", gates * H)), gates, H);
    gru.b = floats(c, need_sized(c, two_biases ? "bx" : "b", gates));
    gru.c = two_biases ? floats(c, need_sized(c, "bh", gates)) : NULL;
    float *x = floats(c, need_sized(c, "x", inputs)), *h = floats(c, need_sized(c, "h", states));
    float *h_new = take_floats(c, states), *tape = take_floats(c, 4 * states),
          *factor = dropout_factor(c, states);
    sessrec_gru_forward(&gru, rows, x, h, h_new, tape);
    compare_tensor(c, SINGLE, "h_new", h_new, states);
    compare_tensor(c, SINGLE, "h_out", multiplied(c, h_new, factor, states), states);

    float *d_h_new = multiplied(c, floats(c, need_sized(c, "upstream", states)), factor, states);
    float *d_x = take_floats(c, inputs), *d_h = take_floats(c, states);
    sessrec_gru_gradient gradient;
    gradient.W = take_floats(c, gates * D);
    gradient.U = take_floats(c, gates * H);
    gradient.b = take_floats(c, gates);
    gradient.c = two_biases ? take_floats(c, gates) : NULL;
    sessrec_gru_backward(&gru, rows, x, h, tape, d_h_new, d_x, d_h, &gradient,
                         take_floats(c, rows * (9 * (int64_t)H + D)));
    compare_tensor(c, SINGLE, "d_x", d_x, inputs);
    compare_tensor(c, SINGLE, "d_h", d_h, states);
    compare_tensor(c, SINGLE, "d_W", transposed(c, gradient.W, D, gates), gates * D);
    compare_tensor(c, SINGLE, "d_U", transposed(c, gradient.U, H, gates), gates * H);
    compare_tensor(c, SINGLE, two_biases ? "d_bx" : "d_b", gradient.b, gates);
    if (two_biases) compare_tensor(c, SINGLE, "d_bh", gradient.c, gates);
}

// ---- loss -------------------------------------------------------------------------------------------------

// "name", "name:A" or "name:A:B"; the numbers stay as they are where they are left out.
static void parse_activation(golden_case *c, sessrec_loss_config *loss) {
    static const word ACTIVATIONS[] = {{"linear", SESSREC_LINEAR},
                                       {"tanh", SESSREC_TANH},
                                       {"relu", SESSREC_RELU},
                                       {"leaky", SESSREC_LEAKY},
                                       {"elu", SESSREC_ELU},
                                       {"selu", SESSREC_SELU},
                                       {NULL, 0}};
    const char *text = meta(c, "activation");
    size_t length = strcspn(text, ":");
    char *name = (char *)take(c, (int64_t)length + 1, 1), *rest = NULL;
    memcpy(name, text, length);
    loss->activation = (sessrec_activation)named(c, "activation", name, ACTIVATIONS);
    if (!text[length]) return;
    float first = (float)strtod(text + length + 1, &rest);
    if (loss->activation == SESSREC_SELU && *rest == ':') {  // lambda, then alpha
        loss->activation_b = first;
        loss->activation_a = (float)strtod(rest + 1, &rest);
    } else {
        loss->activation_a = first;
    }
    if (*rest) stop(c, "meta activation cannot be read: %.80s", text);
}

// Families that do without a setting do not name it.
static float optional_number(golden_case *c, const char *key, float otherwise) {
    return golden_value(&c->file, key) ? (float)meta_number(c, key) : otherwise;
}

static sessrec_loss_config loss_config(golden_case *c) {
    static const word LOSSES[] = {{"xe", SESSREC_LOSS_XE},           {"top1", SESSREC_LOSS_TOP1},
                                  {"bpr", SESSREC_LOSS_BPR},         {"top1max", SESSREC_LOSS_TOP1_MAX},
                                  {"bprmax", SESSREC_LOSS_BPR_MAX},  {"paper_top1", SESSREC_LOSS_TOP1},
                                  {"paper_bpr", SESSREC_LOSS_BPR},   {NULL, 0}};
    sessrec_loss_config loss = sessrec_config_default().loss;
    const char *name = meta(c, "loss");
    loss.kind = (sessrec_loss_kind)named(c, "loss", name, LOSSES);
    loss.with_diagonal = strncmp(name, "paper_", 6) != 0;
    loss.skip_own_target = 0;
    loss.bpreg = optional_number(c, "bpreg", 1);
    loss.smoothing = optional_number(c, "smoothing", 0);
    loss.logq = optional_number(c, "logq", 0);
    parse_activation(c, &loss);
    return loss;
}

static void run_loss(golden_case *c) {
    sessrec_loss_config config = loss_config(c);
    int32_t rows = meta_count(c, "B"), columns = rows + meta_count(c, "N");
    int64_t count = (int64_t)rows * columns;
    tolerance kind = golden_value(&c->file, "extreme") && meta_number(c, "extreme") > 0 ? EXTREME : SINGLE;
    const float *offset = config.logq > 0 ? floats(c, need_sized(c, "col_offset", columns)) : NULL;
    const float *scores = floats(c, need_sized(c, "scores", count));
    float *row_loss = take_floats(c, rows), *gradient = take_floats(c, count);
    demand(c, "sessrec_loss",
           sessrec_loss(&config, 0, rows, columns, NULL, NULL, offset, scores, row_loss, gradient,
                        take_floats(c, 8 * (int64_t)columns)),
           NULL);
    compare_tensor(c, kind, "loss_rows", row_loss, rows);
    compare_tensor(c, kind, "grad_sum", gradient, count);
}

// ---- optim ------------------------------------------------------------------------------------------------

static sessrec_optimizer_config optimizer_config(golden_case *c) {
    static const word KINDS[] = {{"sgd", SESSREC_SGD},         {"adagrad", SESSREC_ADAGRAD},
                                 {"rmsprop", SESSREC_RMSPROP}, {"adadelta", SESSREC_ADADELTA},
                                 {"adam", SESSREC_ADAM},       {NULL, 0}};
    sessrec_optimizer_config optimizer = sessrec_config_default().optimizer;
    optimizer.kind = (sessrec_optimizer_kind)named(c, "optimizer", meta(c, "optimizer"), KINDS);
    optimizer.learning_rate = (float)meta_number(c, "lr");
    optimizer.momentum = (float)meta_number(c, "momentum");
    optimizer.epsilon = (float)meta_number(c, "eps");
    if (golden_value(&c->file, "decay")) optimizer.decay = (float)meta_number(c, "decay");
    if (golden_value(&c->file, "beta1")) optimizer.beta1 = (float)meta_number(c, "beta1");
    if (golden_value(&c->file, "beta2")) optimizer.beta2 = (float)meta_number(c, "beta2");
    optimizer.l2 = 0;
    optimizer.gradient_cap = 0;
    return optimizer;
}

// Compares what a tensor should be after step k, if the file has it.
static void compare_step(golden_case *c, const char *name, int64_t k, const float *actual, int64_t count) {
    const golden_tensor *tensor = golden_find(&c->file, name);
    if (!tensor) return;
    if (tensor->count % count || k >= tensor->count / count)
        stop(c, "tensor %s has another size than p0 in each step", name);
    compare_floats(c, SINGLE, name, actual, tensor->data + k * count, count);
}

static void run_optim(golden_case *c) {
    const golden_tensor *start = need(c, "p0"), *g = need(c, "g");
    static const word FORMS[] = {{"dense", 0}, {"sparse", 1}, {NULL, 0}};
    int sparse = named(c, "optimizer form", meta(c, "form"), FORMS);
    sessrec_optimizer_config config = optimizer_config(c);
    int32_t rows = (int32_t)start->dim[0], columns = (int32_t)(start->count / rows);
    int64_t steps = g->dim[0], given = g->count / steps / columns;
    if (given * steps * columns != g->count || (!sparse && given != rows))
        stop(c, "g has another shape than p0");
    const golden_tensor *idx = sparse ? need_sized(c, "idx", steps * given) : NULL;
    float *p = floats(c, start), *gradients = floats(c, g);
    int32_t *ids = sparse ? integers(c, idx, 0, rows - 1) : NULL;
    sessrec_optimizer_state state;
    state.first = take_floats(c, start->count);
    state.second = take_floats(c, start->count);
    state.velocity = take_floats(c, start->count);
    state.steps = (int32_t *)take(c, rows, sizeof *state.steps);
    float *row_steps = take_floats(c, start->count);  // t, as the file has it: for each element
    int32_t *scratch = (int32_t *)take(c, 6 * given + 2, sizeof *scratch);
    need(c, "p");
    for (int64_t k = 0; k < steps; ++k) {
        float *gradient = gradients + k * given * columns;
        int32_t *row_ids = sparse ? ids + k * given : NULL;
        int32_t distinct =
            sparse ? sessrec_sum_duplicates((int32_t)given, columns, row_ids, gradient, scratch) : rows;
        sessrec_optimizer_update(&config, distinct, columns, row_ids, p, gradient, &state);
        for (int64_t i = 0; i < start->count; ++i) row_steps[i] = (float)state.steps[i / columns];
        compare_step(c, "p", k, p, start->count);
        compare_step(c, "acc", k, state.first, start->count);
        compare_step(c, "upd", k, state.second, start->count);
        compare_step(c, "m", k, state.first, start->count);
        compare_step(c, "v", k, state.second, start->count);
        compare_step(c, "vel", k, state.velocity, start->count);
        compare_step(c, "t", k, row_steps, start->count);
    }
}

// ---- logs -------------------------------------------------------------------------------------------------

// The log in <prefix>_session, <prefix>_item, <prefix>_time and, if it is there, <prefix>_user, row by row.
static sessrec_log *make_log(golden_case *c, const char *prefix) {
    const golden_tensor *column[3];
    static const char *const NAMES[] = {"session", "item", "time"};
    char name[64];
    snprintf(name, sizeof name, "%s_user", prefix);
    const golden_tensor *user = golden_find(&c->file, name);
    for (int i = 0; i < 3; ++i) {
        snprintf(name, sizeof name, "%s_%s", prefix, NAMES[i]);
        column[i] = i ? need_sized(c, name, column[0]->count) : need(c, name);
    }
    sessrec_log *log = NULL;
    sessrec_error err;
    demand(c, "sessrec_log_create", sessrec_log_create(NULL, &log, NULL), NULL);
    keep(c, release_log, log);
    for (int64_t i = 0; i < column[0]->count; ++i)
        demand(c, "sessrec_log_add_numbers",
               sessrec_log_add_numbers(log, user ? (int64_t)user->data[i] : -1, (int64_t)column[0]->data[i],
                                       (int64_t)column[1]->data[i], column[2]->data[i]),
               NULL);
    demand(c, "sessrec_log_finish", sessrec_log_finish(log, &err), &err);
    return log;
}

static int64_t number_of(const char *id) {
    return id ? strtoll(id, NULL, 10) : -1;
}

// The items of the training log are numbered by their first appearance.
static void check_items(golden_case *c, const sessrec_log *log, const char *support) {
    const golden_tensor *ids = need_sized(c, "item_ids", meta_count(c, "n_items"));
    const golden_tensor *pop = support ? need_sized(c, support, ids->count) : NULL;
    sessrec_log_view view = sessrec_log_contents(log);
    if (view.item_count != ids->count)
        stop(c, "the log has %d items, not %lld", view.item_count, (long long)ids->count);
    for (int32_t i = 0; i < view.item_count; ++i) {
        compare_one(c, EXACT, "item_ids", (double)number_of(sessrec_log_item_id(log, i)), ids->data[i]);
        if (pop) compare_one(c, EXACT, support, (double)view.supports[i], pop->data[i]);
    }
}

// ---- gru4rec_traj: what is trained ------------------------------------------------------------------------

typedef struct trajectory {
    golden_case *c;
    sessrec_config config;
    sessrec_log *log;
    int32_t items, steps, width;
    const int32_t *live;                                // [steps] slots
    const int32_t *in, *out, *session, *fresh, *neg;    // as in the file; session by number in the log
    int32_t *previous_rows;                              // [width] of the mini-batch at hand
} trajectory;

static sessrec_config trajectory_config(golden_case *c) {
    static const word MODES[] = {{"shared", SESSREC_EMBEDDING_TIED},
                                 {"separate", SESSREC_EMBEDDING_SEPARATE},
                                 {"onehot", SESSREC_EMBEDDING_NONE},
                                 {NULL, 0}};
    sessrec_config config = sessrec_config_default();
    config.gru = gru_form(c);
    config.embedding = (sessrec_embedding)named(c, "embedding mode", meta(c, "mode"), MODES);
    if (config.embedding == SESSREC_EMBEDDING_SEPARATE) config.embedding_width = meta_count(c, "embedding");
    config.layer_count = meta_count(c, "n_layers");
    if (config.layer_count < 1 || config.layer_count > SESSREC_MAX_LAYERS)
        stop(c, "the library has no model of %d layers", config.layer_count);
    const char *widths = meta(c, "layers");  // as in 6/8
    for (int32_t l = 0; l < config.layer_count; ++l) {
        widths += strcspn(widths, "0123456789");
        config.hidden[l] = (int32_t)strtol(widths, NULL, 10);
        if (config.hidden[l] < 1) stop(c, "meta layers names less than n_layers widths");
        widths += strspn(widths, "0123456789");
    }
    config.loss = loss_config(c);
    config.optimizer = optimizer_config(c);
    config.dropout_input = config.dropout_hidden = 0;
    config.batch_size = meta_count(c, "B");
    config.negatives = meta_count(c, "N");
    config.alpha = (float)meta_number(c, "sample_alpha");
    config.epochs = meta_count(c, "epochs");
    config.threads = 2;
    config.device = DEVICE;
    return config;
}

// The sessions of the slots by their number in the log, where they must stand as in session_order; -1 where
// there is none.
static int32_t *session_numbers(trajectory *t, const golden_tensor *slot_session) {
    golden_case *c = t->c;
    const golden_tensor *order = need_sized(c, "session_order", meta_count(c, "n_sessions"));
    int32_t *number = (int32_t *)take(c, slot_session->count, sizeof *number);
    if (sessrec_log_contents(t->log).session_count != order->count)
        stop(c, "the log has another number of sessions than session_order");
    for (int32_t s = 0; s < order->count; ++s)
        compare_one(c, EXACT, "session_order", (double)number_of(sessrec_log_session_id(t->log, s)),
                    order->data[s]);
    for (int64_t i = 0; i < slot_session->count; ++i) {
        int32_t s = 0;
        while (s < order->count && order->data[s] != slot_session->data[i]) ++s;
        number[i] = s < order->count ? s : -1;
    }
    return number;
}

static void open_trajectory(golden_case *c, trajectory *t) {
    memset(t, 0, sizeof *t);
    t->c = c;
    t->config = trajectory_config(c);
    t->log = make_log(c, "log");
    check_items(c, t->log, "item_pop");
    t->items = meta_count(c, "n_items");
    t->steps = meta_count(c, "steps_per_epoch");
    t->width = meta_count(c, "width");
    int64_t cells = (int64_t)t->steps * t->width;
    t->live = integers(c, need_sized(c, "step_m", t->steps), 1, t->width);
    t->in = integers(c, need_sized(c, "in_idx", cells), -1, t->items - 1);
    t->out = integers(c, need_sized(c, "out_idx", cells), -1, t->items - 1);
    t->fresh = integers(c, need_sized(c, "slot_fresh", cells), -1, 1);
    t->session = session_numbers(t, need_sized(c, "slot_session", cells));
    if (t->config.negatives)
        t->neg = integers(c, need_sized(c, "neg", (int64_t)t->config.epochs * t->steps * t->config.negatives),
                          0, t->items - 1);
    t->previous_rows = (int32_t *)take(c, t->width, sizeof *t->previous_rows);
}

// The mini-batch that the file has for a step. Slots keep their order, so a session that goes on stands in a
// later row before, and a fresh one, whose state starts at zero, follows the row of its upper neighbor.
static sessrec_batch file_batch(const trajectory *t, int32_t epoch, int32_t step) {
    int64_t at = (int64_t)step * t->width;
    sessrec_batch batch;
    batch.epoch = epoch;
    batch.step = step;
    batch.rows = t->live[step];
    batch.negative_count = t->config.negatives;
    batch.inputs = t->in + at;
    batch.targets = t->out + at;
    batch.sessions = t->session + at;
    batch.session_starts = t->fresh + at;
    batch.negatives = t->neg ? t->neg + ((int64_t)epoch * t->steps + step) * t->config.negatives : NULL;
    batch.previous_rows = t->previous_rows;
    for (int32_t i = 0; i < batch.rows; ++i) {
        if (batch.inputs[i] < 0 || batch.targets[i] < 0 || batch.sessions[i] < 0)
            stop(t->c, "step %d has less pairs than step_m says", step);
        int32_t row = i ? t->previous_rows[i - 1] + 1 : 0;
        if (step && !batch.session_starts[i])
            while (row < t->live[step - 1] && t->session[at - t->width + row] != batch.sessions[i]) ++row;
        if (step && row >= t->live[step - 1])
            stop(t->c, "step %d goes on with a session that no slot held before", step);
        t->previous_rows[i] = row;
    }
    return batch;
}

// ---- gru4rec_traj: tensors by name ------------------------------------------------------------------------

// The library's name for a tensor of a snapshot, as "acc.L0.bh" -> "acc.L0.c". NULL for Adam's step counts,
// which it keeps to itself.
static const char *library_name(const char *name, char buffer[128]) {
    static const char *const PREFIX[][2] = {{"acc.", "acc."},  {"m.", "acc."},   {"upd.", "second."},
                                            {"v.", "second."}, {"vel.", "vel."}, {"grad.", "grad."}};
    static const char *const SUFFIX[][2] = {{".bx", ".b"}, {".bh", ".c"}};
    static const char *const USER[][2] = {
        {"ses.W", "L0.W"}, {"ses.U", "L0.U"}, {"ses.b", "L0.b"}, {"ses.C", "C0.W"}, {"usr.W", "U0.W"},
        {"usr.U", "U0.U"}, {"usr.b", "U0.b"}, {"Winit", "I0.W"}, {"binit", "I0.b"}
    };
    const char *prefix = "", *suffix = "";
    if (!strncmp(name, "t.", 2)) return NULL;
    for (size_t i = 0; i < sizeof PREFIX / sizeof *PREFIX; ++i) {
        if (strncmp(name, PREFIX[i][0], strlen(PREFIX[i][0]))) continue;
        name += strlen(PREFIX[i][0]);
        prefix = PREFIX[i][1];
        break;
    }
    for (size_t i = 0; i < sizeof USER / sizeof *USER; ++i)
        if (!strcmp(name, USER[i][0])) name = USER[i][1];
    size_t length = strlen(name);
    for (size_t i = 0; i < sizeof SUFFIX / sizeof *SUFFIX; ++i) {
        size_t tail = strlen(SUFFIX[i][0]);
        if (length < tail || strcmp(name + length - tail, SUFFIX[i][0])) continue;
        length -= tail;
        suffix = SUFFIX[i][1];
        break;
    }
    snprintf(buffer, 128, "%s%.*s%s", prefix, (int)length, name, suffix);
    return buffer;
}

// Where element (row, column) of the library's tensor stands in the file: the matrices of the GRUs are turned
// round there.
static int64_t place_in_file(const golden_tensor *tensor, int32_t columns, int64_t row, int64_t column) {
    static const char *const TURNED[] = {".W", ".U", ".C", "Winit"};
    size_t length = strlen(tensor->name);
    int turned = 0;
    for (size_t i = 0; i < sizeof TURNED / sizeof *TURNED; ++i) {
        size_t tail = strlen(TURNED[i]);
        turned |= length >= tail && !strcmp(tensor->name + length - tail, TURNED[i]);
    }
    return turned ? column * tensor->dim[1] + row : row * columns + column;
}

static const sessrec_model *model_of(const sessrec_trainer *trainer) {
    const sessrec_model *model = NULL;
    return sessrec_trainer_model(trainer, &model, NULL) ? NULL : model;
}

static sessrec_mutable_tensor trainer_tensor(golden_case *c, sessrec_trainer *trainer, const char *name,
                                     const golden_tensor *expected) {
    sessrec_mutable_tensor tensor;
    if (sessrec_trainer_tensor(trainer, name, &tensor, NULL) != SESSREC_OK)
        stop(c, "the trainer has no tensor %s for %s", name, expected->name);
    int same_size = (int64_t)tensor.rows * tensor.columns == expected->count;
    if (!tensor.row_ids && !same_size) stop(c, "%s has another size than %s", name, expected->name);
    return tensor;
}

// The library's tensor in the file's layout, sparse rows at their places; the row id -1 marks a row that was
// added to another.
static float *in_file_layout(golden_case *c, const sessrec_mutable_tensor *tensor,
                             const golden_tensor *expected) {
    float *full = take_floats(c, expected->count);
    for (int64_t i = 0; i < tensor->rows; ++i) {
        int64_t row = tensor->row_ids ? tensor->row_ids[i] : i;
        if (row < 0) continue;
        for (int64_t j = 0; j < tensor->columns; ++j) {
            int64_t at = place_in_file(expected, tensor->columns, row, j);
            if (at >= expected->count) stop(c, "%s has a row that is not in the file", expected->name);
            full[at] += tensor->data[i * tensor->columns + j];
        }
    }
    return full;
}

// Sets every weight from the w0 snapshot, which must name all of them.
static void load_weights(golden_case *c, sessrec_trainer *trainer) {
    const sessrec_model *model = model_of(trainer);
    int32_t weights = 0, set = 0;
    char buffer[128];
    while (sessrec_model_tensor_name(model, weights)) ++weights;
    for (int64_t n = 0; n < c->file.tensors; ++n) {
        const golden_tensor *given = &c->file.tensor[n];
        if (strncmp(given->name, "w0.", 3)) continue;
        sessrec_mutable_tensor tensor =
            trainer_tensor(c, trainer, library_name(given->name + 3, buffer), given);
        for (int64_t i = 0; i < tensor.rows; ++i)
            for (int64_t j = 0; j < tensor.columns; ++j)
                tensor.data[i * tensor.columns + j] =
                    (float)given->data[place_in_file(given, tensor.columns, i, j)];
        ++set;
    }
    if (set != weights) stop(c, "w0 has %d tensors, the model has %d", set, weights);
}

// Which tensors of a snapshot can be compared: those of the step itself before the update, the others after
// it.
typedef enum moment { BEFORE_UPDATE, AFTER_UPDATE } moment;

static void compare_snapshot(golden_case *c, sessrec_trainer *trainer, const char *tag, moment when) {
    size_t tag_length = strlen(tag);
    char buffer[128];
    for (int64_t n = 0; n < c->file.tensors; ++n) {
        const golden_tensor *expected = &c->file.tensor[n];
        const char *name = expected->name + tag_length + 1;
        if (strncmp(expected->name, tag, tag_length) || expected->name[tag_length] != '.' ||
            !strcmp(name, "scores") || !strncmp(name, "state_", 6))
            continue;
        int hidden = !strncmp(name, "hidden", 6);
        if ((hidden || !strncmp(name, "grad.", 5)) != (when == BEFORE_UPDATE)) continue;
        const char *theirs = library_name(name, buffer);
        if (!theirs) continue;
        if (hidden) {  // the trainer has the states of all slots, the file those of the live ones
            sessrec_mutable_tensor tensor;
            demand(c, expected->name, sessrec_trainer_tensor(trainer, theirs, &tensor, NULL), NULL);
            if ((int64_t)tensor.rows * tensor.columns < expected->count)
                stop(c, "%s is larger than the trainer's", expected->name);
            compare_floats(c, TRAJECTORY, expected->name, tensor.data, expected->data, expected->count);
        } else {
            sessrec_mutable_tensor tensor = trainer_tensor(c, trainer, theirs, expected);
            compare_floats(c, TRAJECTORY, expected->name, in_file_layout(c, &tensor, expected),
                           expected->data, expected->count);
        }
    }
}

// ---- gru4rec_traj: training -------------------------------------------------------------------------------

static sessrec_trainer *make_trainer(golden_case *c, const sessrec_config *config, const sessrec_log *log) {
    sessrec_trainer *trainer = NULL;
    sessrec_error err;
    demand(c, "sessrec_trainer_create", sessrec_trainer_create(config, log, &trainer, &err), &err);
    keep(c, release_trainer, trainer);
    load_weights(c, trainer);
    return trainer;
}

// Receives the scores of a mini-batch in place of a loss.
typedef struct score_catcher {
    float *scores;
    int64_t count;
} score_catcher;

static void catch_scores(void *user, int32_t first_row, int32_t rows, int32_t columns, const int32_t *items,
                         const float *scores, float *row_loss, float *gradient) {
    const score_catcher *catcher = (const score_catcher *)user;
    size_t bytes = (size_t)rows * (size_t)columns * sizeof *scores;
    (void)items;
    if ((int64_t)(first_row + rows) * columns <= catcher->count)
        memcpy(catcher->scores + (int64_t)first_row * columns, scores, bytes);
    memset(row_loss, 0, (size_t)rows * sizeof *row_loss);
    memset(gradient, 0, bytes);
}

// The scores of step 0, in a trainer of their own.
static void check_scores(trajectory *t) {
    golden_case *c = t->c;
    sessrec_batch batch = file_batch(t, 0, 0);
    const golden_tensor *expected =
        need_sized(c, "s1.scores", (int64_t)batch.rows * (batch.rows + batch.negative_count));
    score_catcher catcher = {take_floats(c, expected->count), expected->count};
    sessrec_config config = t->config;
    config.loss.kind = SESSREC_LOSS_CUSTOM;
    config.loss.custom = catch_scores;
    config.loss.custom_user = &catcher;
    sessrec_error err;
    demand(c, "sessrec_trainer_grad",
           sessrec_trainer_grad(make_trainer(c, &config, t->log), &batch, NULL, &err), &err);
    compare_floats(c, TRAJECTORY, "s1.scores", catcher.scores, expected->data, expected->count);
}

static void check_row(golden_case *c, const char *what, const sessrec_batch *expected, const int32_t *a,
                      const int32_t *b) {
    for (int32_t i = 0; i < expected->rows; ++i)
        if (a[i] != b[i])
            stop(c, "epoch %d, step %lld: %s of row %d is %d, not %d", expected->epoch,
                 (long long)expected->step, what, i, a[i], b[i]);
}

// The library's own mini-batch, which must be the file's; only the negatives are the file's own.
static sessrec_batch library_batch(golden_case *c, sessrec_batcher *batcher, const sessrec_batch *expected) {
    sessrec_batch batch;
    demand(c, "sessrec_batcher_next", sessrec_batcher_next(batcher, &batch), NULL);
    if (batch.epoch != expected->epoch || batch.step != expected->step || batch.rows != expected->rows)
        stop(c, "the batcher gives epoch %d, step %lld with %d rows for epoch %d, step %lld with %d rows",
             batch.epoch, (long long)batch.step, batch.rows, expected->epoch, (long long)expected->step,
             expected->rows);
    check_row(c, "in_idx", expected, batch.inputs, expected->inputs);
    check_row(c, "out_idx", expected, batch.targets, expected->targets);
    check_row(c, "slot_session", expected, batch.sessions, expected->sessions);
    check_row(c, "slot_fresh", expected, batch.session_starts, expected->session_starts);
    batch.negatives = expected->negatives;
    batch.negative_count = expected->negative_count;
    return batch;
}

// One step; the first of all is taken in its two halves, to see what stands between them.
static void train_step(trajectory *t, sessrec_trainer *trainer, const sessrec_batch *batch) {
    golden_case *c = t->c;
    const golden_tensor *losses = need_sized(c, "loss", (int64_t)t->config.epochs * t->steps);
    double loss = 0;
    char where[64];
    sessrec_error err;
    int first = batch->epoch == 0 && batch->step == 0;
    if (first) {
        demand(c, "sessrec_trainer_grad", sessrec_trainer_grad(trainer, batch, &loss, &err), &err);
        compare_snapshot(c, trainer, "s1", BEFORE_UPDATE);
        demand(c, "sessrec_trainer_apply", sessrec_trainer_apply(trainer, NULL), NULL);
        compare_snapshot(c, trainer, "s1", AFTER_UPDATE);
    } else {
        demand(c, "sessrec_trainer_step", sessrec_trainer_step(trainer, batch, &loss, &err), &err);
    }
    snprintf(where, sizeof where, "loss[%d][%lld]", batch->epoch, (long long)batch->step);
    compare_one(c, TRAJECTORY_LOSS, where, loss, losses->data[batch->epoch * t->steps + batch->step]);
}

static void end_epoch(trajectory *t, sessrec_trainer *trainer, sessrec_batcher *batcher, int32_t epoch) {
    golden_case *c = t->c;
    const golden_tensor *per_pair = need_sized(c, "epoch_loss_per_pair", t->config.epochs);
    sessrec_position position = sessrec_trainer_position(trainer);
    sessrec_batch after;
    char tag[16];
    compare_one(c, EXACT, "pairs_trained", (double)position.pairs, meta_number(c, "pairs_trained"));
    compare_one(c, TRAJECTORY_LOSS, "epoch_loss_per_pair", position.loss_sum / (double)position.pairs,
                per_pair->data[epoch]);
    if (batcher && (sessrec_batcher_next(batcher, &after) || after.rows))
        stop(c, "the batcher goes on after epoch %d", epoch);
    snprintf(tag, sizeof tag, "e%d", epoch + 1);
    compare_snapshot(c, trainer, tag, AFTER_UPDATE);
    sessrec_trainer_next_epoch(trainer);
}

// All epochs, in the file's mini-batches or, with a batcher, in the library's own.
static sessrec_trainer *train(trajectory *t, sessrec_batcher *batcher) {
    sessrec_trainer *trainer = make_trainer(t->c, &t->config, t->log);
    for (int32_t epoch = 0; epoch < t->config.epochs; ++epoch) {
        for (int32_t step = 0; step < t->steps; ++step) {
            sessrec_batch batch = file_batch(t, epoch, step);
            if (batcher) batch = library_batch(t->c, batcher, &batch);
            train_step(t, trainer, &batch);
        }
        end_epoch(t, trainer, batcher, epoch);
    }
    return trainer;
}

static sessrec_batcher *make_batcher(trajectory *t) {
    golden_case *c = t->c;
    sessrec_batcher *batcher = NULL;
    sessrec_error err;
    demand(c, "sessrec_batcher_create", sessrec_batcher_create(&t->config, t->log, NULL, &batcher, &err),
           &err);
    keep(c, release_batcher, batcher);
    compare_one(c, EXACT, "steps_per_epoch", (double)sessrec_batcher_steps(batcher), t->steps);
    compare_one(c, EXACT, "pairs_trained", (double)sessrec_batcher_pairs(batcher),
                meta_number(c, "pairs_trained"));
    return batcher;
}

// ---- metrics ----------------------------------------------------------------------------------------------

// The order of the files.
static const sessrec_ties TIES[] = {SESSREC_TIES_STANDARD, SESSREC_TIES_CONSERVATIVE, SESSREC_TIES_MEDIAN};
enum { TIE_MODES = 3 };

// Compares one row of a metric [TIE_MODES,cutoffs], from cut-off `first` on, if the file has that metric.
static void compare_metric(golden_case *c, const char *name, int mode, int64_t cutoffs, int64_t first,
                           int64_t count, const double *actual) {
    const golden_tensor *expected = golden_find(&c->file, name);
    if (!expected) return;
    need_sized(c, name, TIE_MODES * cutoffs);
    compare(c, EXACT, name, actual, expected->data + mode * cutoffs + first, count);
}

// As many of the cut-offs from `first` on as the library takes at once.
static int32_t cutoffs_at_once(int64_t first, int64_t cutoffs) {
    return (int32_t)(cutoffs - first < SESSREC_MAX_CUTOFFS ? cutoffs - first : SESSREC_MAX_CUTOFFS);
}

// ---- eval -------------------------------------------------------------------------------------------------

static void check_metrics(golden_case *c, int mode, const double *rank, int64_t rows) {
    const golden_tensor *k = need(c, "k");
    const int32_t *cutoff = integers(c, k, 1, INT32_MAX);
    for (int64_t first = 0; first < k->count; first += SESSREC_MAX_CUTOFFS) {
        int32_t count = cutoffs_at_once(first, k->count);
        sessrec_metrics sums;
        memset(&sums, 0, sizeof sums);
        for (int64_t row = 0; row < rows; ++row) sessrec_metrics_add(&sums, rank[row], count, cutoff + first);
        compare_one(c, EXACT, "rows", (double)sums.event_count, (double)rows);
        for (int32_t i = 0; i < count; ++i) {
            sums.recall[i] /= (double)rows;
            sums.mrr[i] /= (double)rows;
            sums.ndcg[i] /= (double)rows;
            sums.precision[i] /= (double)rows;
        }
        compare_metric(c, "recall", mode, k->count, first, count, sums.recall);
        compare_metric(c, "hr", mode, k->count, first, count, sums.recall);
        compare_metric(c, "mrr", mode, k->count, first, count, sums.mrr);
        compare_metric(c, "ndcg", mode, k->count, first, count, sums.ndcg);
        compare_metric(c, "precision", mode, k->count, first, count, sums.precision);
    }
}

static void run_eval(golden_case *c) {
    int32_t rows = meta_count(c, "rows"), items = meta_count(c, "items");
    const float *scores = floats(c, need_sized(c, "scores", (int64_t)rows * items));
    const int32_t *target = integers(c, need_sized(c, "target", rows), 0, items - 1);
    const golden_tensor *ranks = need_sized(c, "ranks", (int64_t)rows * TIE_MODES);
    double *rank = (double *)take(c, rows, sizeof *rank);
    for (int mode = 0; mode < TIE_MODES; ++mode) {
        for (int32_t row = 0; row < rows; ++row) {
            int64_t higher = 0, equal = 0;
            sessrec_rank_counts(scores + (int64_t)row * items, items, target[row], &higher, &equal);
            rank[row] = sessrec_rank(higher, equal, TIES[mode]);
            compare_one(c, EXACT, "ranks", rank[row], ranks->data[row * TIE_MODES + mode]);
        }
        check_metrics(c, mode, rank, rows);
    }
}

// ---- scorers ----------------------------------------------------------------------------------------------

// A scorer with the state of one session.
typedef struct replay {
    sessrec_scorer scorer;
    void *state, *scratch;
} replay;

static void release_replay(void *object) { sessrec_scorer_destroy(&((replay *)object)->scorer); }

static void *take_aligned(golden_case *c, size_t bytes) {
    char *block = (char *)take(c, (int64_t)bytes + 64, 1);
    return block + (64 - ((uintptr_t)block & 63));
}

// `made` says how making the scorer went.
static void begin_replay(golden_case *c, replay *r, sessrec_result made) {
    demand(c, "making a scorer", made, NULL);
    keep(c, release_replay, r);
    r->state = take_aligned(c, r->scorer.state_bytes);
    r->scratch = take_aligned(c, r->scorer.scratch_bytes ? r->scorer.scratch_bytes(r->scorer.self, 1) : 0);
}

static replay *new_replay(golden_case *c) { return (replay *)take(c, 1, sizeof(replay)); }

static void replay_click(const replay *r, int32_t item) {
    r->scorer.click(r->scorer.self, 1, r->state, &item, NULL, r->scratch);
}

// Of all items; a scorer gives at most 1024 scores at once.
static void replay_scores(const replay *r, float *scores) {
    for (int32_t first = 0; first < r->scorer.item_count; first += 1024) {
        int32_t count = r->scorer.item_count - first < 1024 ? r->scorer.item_count - first : 1024;
        if (r->scorer.score)
            r->scorer.score(r->scorer.self, 1, r->state, first, count, scores + first, r->scratch);
    }
    if (!r->scorer.list) return;
    const sessrec_recommendation *list;
    const int32_t count = r->scorer.list(r->scorer.self, r->state, &list, r->scratch);
    for (int32_t i = 0; i < r->scorer.item_count && !r->scorer.score; ++i) scores[i] = -INFINITY;
    for (int32_t i = 0; i < count; ++i)
        scores[list[i].item] = r->scorer.score ? scores[list[i].item] + list[i].score : list[i].score;
}

// ---- gru4rec_traj: evaluation -----------------------------------------------------------------------------

// Checks every event as the evaluation reports it. The file's rows of a session come in the order of its
// events; which session is first does not matter.
typedef struct event_checker {
    golden_case *c;
    const sessrec_log *log;
    int mode;
    const double *event;    // [events,columns] the last three are session, input, target
    int64_t columns;
    const double *rank;     // [events,TIE_MODES]
    int64_t events;
    char *used;             // [events]
    int64_t unexpected;
} event_checker;

static void check_event(void *user, const sessrec_event *event) {
    event_checker *checker = (event_checker *)user;
    double session = (double)number_of(sessrec_log_session_id(checker->log, event->session));
    int64_t row = 0;
    while (row < checker->events &&
           (checker->used[row] || checker->event[(row + 1) * checker->columns - 3] != session))
        ++row;
    if (row == checker->events) {
        ++checker->unexpected;
        return;
    }
    checker->used[row] = 1;
    compare_one(checker->c, EXACT, "eval_events input", event->input,
                checker->event[(row + 1) * checker->columns - 2]);
    compare_one(checker->c, EXACT, "eval_events target", event->target,
                checker->event[(row + 1) * checker->columns - 1]);
    compare_one(checker->c, EXACT, "eval_ranks", event->rank, checker->rank[row * TIE_MODES + checker->mode]);
}

static int64_t unknown_test_items(golden_case *c, const sessrec_log *log) {
    const golden_tensor *item = need(c, "test_item");
    char id[32];
    int64_t unknown = 0;
    for (int64_t i = 0; i < item->count; ++i) {
        snprintf(id, sizeof id, "%lld", (long long)item->data[i]);
        unknown += sessrec_log_find_item(log, id) < 0;
    }
    return unknown;
}

static void evaluate(golden_case *c, const sessrec_model *model, const sessrec_log *log,
                     const sessrec_log *test, int mode, int64_t first) {
    const golden_tensor *k = need(c, "eval_k"), *events = need(c, "eval_events");
    int64_t rows = events->dim[0], columns = events->count / rows;
    const golden_tensor *ranks = need_sized(c, "eval_ranks", rows * TIE_MODES);
    event_checker checker = {
        c, test, mode, events->data, columns, ranks->data, rows, (char *)take(c, rows, 1), 0};
    sessrec_eval_config config = sessrec_eval_config_default();
    config.ties = TIES[mode];
    config.cutoff_count = cutoffs_at_once(first, k->count);
    memcpy(config.cutoffs, integers(c, k, 1, INT32_MAX) + first,
           (size_t)config.cutoff_count * sizeof *config.cutoffs);
    config.threads = 2;
    config.history = log;
    config.on_event = check_event;
    config.on_event_user = &checker;
    sessrec_report report;
    sessrec_error err;
    demand(c, "sessrec_evaluate", sessrec_evaluate(model, test, &config, &report, &err), &err);
    int complete = report.event_count == rows && !checker.unexpected;
    if (!complete)
        stop(c, "the evaluation has %lld events, not %lld", (long long)report.event_count, (long long)rows);
    compare_one(c, EXACT, "unknown items", (double)report.unknown_count, (double)unknown_test_items(c, log));
    compare_metric(c, "eval_recall", mode, k->count, first, config.cutoff_count, report.all.recall);
    compare_metric(c, "eval_mrr", mode, k->count, first, config.cutoff_count, report.all.mrr);
}

// The scores of all items before each event, by replaying the inputs of its session.
static void check_eval_scores(golden_case *c, const sessrec_model *model, int32_t items) {
    const golden_tensor *events = need(c, "eval_events");
    int64_t rows = events->count / 3;
    const golden_tensor *expected = need_sized(c, "eval_scores", rows * items);
    replay *r = new_replay(c);
    begin_replay(c, r, sessrec_scorer_model(model, NULL, &r->scorer, NULL));
    if (r->scorer.item_count != items)
        stop(c, "the scorer of the model has another number of items than the log");
    float *scores = take_floats(c, rows * items);
    for (int64_t row = 0; row < rows; ++row) {
        const double *event = events->data + 3 * row;
        if (event[1] < 0 || event[1] >= items) stop(c, "eval_events has an item out of range");
        if (!row || event[0] != event[-3]) r->scorer.begin(r->scorer.self, r->state, NULL, NAN);
        replay_click(r, (int32_t)event[1]);
        replay_scores(r, scores + row * items);
    }
    compare_floats(c, TRAJECTORY, "eval_scores", scores, expected->data, expected->count);
}

static void run_trajectory(golden_case *c) {
    trajectory t;
    open_trajectory(c, &t);
    check_scores(&t);
    const sessrec_model *model = model_of(train(&t, NULL));
    const sessrec_log *test = make_log(c, "test");
    for (int mode = 0; mode < TIE_MODES; ++mode)
        for (int64_t first = 0; first < need(c, "eval_k")->count; first += SESSREC_MAX_CUTOFFS)
            evaluate(c, model, t.log, test, mode, first);
    check_eval_scores(c, model, t.items);
    train(&t, make_batcher(&t));
}

// ---- hrnn_traj --------------------------------------------------------------------------------------------

typedef struct user_trajectory {
    golden_case *c;
    sessrec_config config;
    sessrec_log *log;
    int32_t items, steps, width;
    // as in the file; sessions and users by their ids
    const int32_t *live, *in, *out, *session, *user, *fresh, *user_fresh;
    const int32_t *neg;     // [epochs,steps,N], NULL without
    int32_t *previous_rows;
} user_trajectory;

static sessrec_config user_config(golden_case *c) {
    static const word MODES[] = {
        {"init", SESSREC_USER_INIT}, {"all", SESSREC_USER_ALL}, {"gates", SESSREC_USER_GATES}, {NULL, 0}};
    sessrec_config config = sessrec_config_default();
    config.gru = gru_form(c);
    config.embedding_width = meta_count(c, "embedding");
    config.embedding = config.embedding_width ? SESSREC_EMBEDDING_SEPARATE : SESSREC_EMBEDDING_NONE;
    config.hidden[0] = meta_count(c, "Hs");
    config.user_hidden = meta_count(c, "Hu");
    config.user_mode = (sessrec_user_mode)named(c, "propagation", meta(c, "propagate"), MODES);
    config.loss = loss_config(c);
    config.optimizer = optimizer_config(c);
    config.dropout_input = config.dropout_hidden = 0;
    config.batch_size = meta_count(c, "B");
    config.negatives = meta_count(c, "N");
    config.epochs = meta_count(c, "epochs");
    config.threads = 2;
    config.device = DEVICE;
    return config;
}

static void open_user_trajectory(golden_case *c, user_trajectory *t) {
    memset(t, 0, sizeof *t);
    t->c = c;
    t->config = user_config(c);
    t->log = make_log(c, "log");
    check_items(c, t->log, NULL);
    t->items = meta_count(c, "n_items");
    t->steps = meta_count(c, "steps_per_epoch");
    t->width = meta_count(c, "width");
    if (t->config.negatives)
        t->neg = integers(c, need_sized(c, "neg", (int64_t)t->config.epochs * t->steps * t->config.negatives),
                          0, t->items - 1);
    int64_t cells = (int64_t)t->steps * t->width;
    t->live = integers(c, need_sized(c, "step_m", t->steps), 1, t->width);
    t->in = integers(c, need_sized(c, "in_idx", cells), -1, t->items - 1);
    t->out = integers(c, need_sized(c, "out_idx", cells), -1, t->items - 1);
    t->session = integers(c, need_sized(c, "slot_session", cells), -1, INT32_MAX);
    t->user = integers(c, need_sized(c, "slot_user", cells), -1, INT32_MAX);
    t->fresh = integers(c, need_sized(c, "ses_start", cells), -1, 1);
    t->user_fresh = integers(c, need_sized(c, "usr_start", cells), -1, 1);
    t->previous_rows = (int32_t *)take(c, t->width, sizeof *t->previous_rows);
}

// As file_batch, but a slot is known again by its user.
static sessrec_batch user_batch(const user_trajectory *t, int32_t epoch, int32_t step) {
    int64_t at = (int64_t)step * t->width;
    sessrec_batch batch;
    memset(&batch, 0, sizeof batch);
    batch.epoch = epoch;
    batch.step = step;
    batch.rows = t->live[step];
    batch.inputs = t->in + at;
    batch.targets = t->out + at;
    batch.sessions = t->session + at;
    batch.session_starts = t->fresh + at;
    batch.user_starts = t->user_fresh + at;
    batch.negative_count = t->config.negatives;
    batch.negatives = t->neg ? t->neg + ((int64_t)epoch * t->steps + step) * t->config.negatives : NULL;
    batch.previous_rows = t->previous_rows;
    for (int32_t i = 0; i < batch.rows; ++i) {
        int32_t row = i ? t->previous_rows[i - 1] + 1 : 0;
        if (step && !batch.user_starts[i])
            while (row < t->live[step - 1] && t->user[at - t->width + row] != t->user[at + i]) ++row;
        if (step && row >= t->live[step - 1])
            stop(t->c, "step %d goes on with a user that no slot held before", step);
        t->previous_rows[i] = row;
    }
    return batch;
}

// The library's own mini-batch, which must be the file's.
static sessrec_batch library_user_batch(user_trajectory *t, sessrec_batcher *batcher,
                                        const sessrec_batch *expected) {
    golden_case *c = t->c;
    sessrec_batch batch;
    demand(c, "sessrec_batcher_next", sessrec_batcher_next(batcher, &batch), NULL);
    if (batch.rows != expected->rows || !batch.user_starts)
        stop(c, "step %lld has %d rows, not %d", (long long)expected->step, batch.rows, expected->rows);
    check_row(c, "in_idx", expected, batch.inputs, expected->inputs);
    check_row(c, "out_idx", expected, batch.targets, expected->targets);
    check_row(c, "ses_start", expected, batch.session_starts, expected->session_starts);
    check_row(c, "usr_start", expected, batch.user_starts, expected->user_starts);
    for (int32_t i = 0; i < batch.rows; ++i)
        compare_one(c, EXACT, "slot_session",
                    (double)number_of(sessrec_log_session_id(t->log, batch.sessions[i])),
                    expected->sessions[i]);
    batch.negatives = expected->negatives;  // only these are the file's own
    batch.negative_count = expected->negative_count;
    return batch;
}

// Keeps the states of the slots' users, so that in the end those after each user's last pair are there;
// states [users,width].
static void keep_states(user_trajectory *t, sessrec_trainer *trainer, const sessrec_batch *batch,
                        const char *tensor_name, float *states) {
    golden_case *c = t->c;
    const golden_tensor *order = need(c, "user_order");
    sessrec_mutable_tensor tensor;
    demand(c, tensor_name, sessrec_trainer_tensor(trainer, tensor_name, &tensor, NULL), NULL);
    for (int32_t i = 0; i < batch->rows; ++i) {
        int64_t u = 0;
        while (u < order->count && order->data[u] != t->user[batch->step * t->width + i]) ++u;
        if (u == order->count) stop(c, "a slot has a user that is not in user_order");
        memcpy(states + u * tensor.columns, tensor.data + (int64_t)i * tensor.columns,
               (size_t)tensor.columns * sizeof *states);
    }
}

static void user_step(user_trajectory *t, sessrec_trainer *trainer, const sessrec_batch *batch) {
    golden_case *c = t->c;
    const golden_tensor *losses = need_sized(c, "loss", (int64_t)t->config.epochs * t->steps);
    const char *tag = batch->epoch                                  ? NULL
                      : batch->step == 0                            ? "s1"
                      : batch->step == meta_count(c, "switch_step") ? "x1"
                                                                    : NULL;
    double loss = 0;
    sessrec_error err;
    demand(c, "sessrec_trainer_grad", sessrec_trainer_grad(trainer, batch, &loss, &err), &err);
    if (tag) compare_snapshot(c, trainer, tag, BEFORE_UPDATE);
    demand(c, "sessrec_trainer_apply", sessrec_trainer_apply(trainer, NULL), NULL);
    if (tag) compare_snapshot(c, trainer, tag, AFTER_UPDATE);
    compare_one(c, TRAJECTORY_LOSS, "loss", loss, losses->data[batch->epoch * t->steps + batch->step]);
}

static sessrec_trainer *train_users(user_trajectory *t, sessrec_batcher *batcher) {
    golden_case *c = t->c;
    sessrec_trainer *trainer = make_trainer(c, &t->config, t->log);
    const golden_tensor *ses = need(c, "e1.state_ses"), *usr = need(c, "e1.state_usr");
    float *ses_states = take_floats(c, ses->count), *usr_states = take_floats(c, usr->count);
    char tag[16];
    for (int32_t epoch = 0; epoch < t->config.epochs; ++epoch) {
        sessrec_batch after;
        for (int32_t step = 0; step < t->steps; ++step) {
            sessrec_batch batch = user_batch(t, epoch, step);
            if (batcher) batch = library_user_batch(t, batcher, &batch);
            user_step(t, trainer, &batch);
            if (epoch) continue;
            keep_states(t, trainer, &batch, "hidden0", ses_states);
            keep_states(t, trainer, &batch, "user", usr_states);
        }
        compare_one(c, EXACT, "pairs_in_log", (double)sessrec_trainer_position(trainer).pairs,
                    meta_number(c, "pairs_in_log"));
        if (batcher && (sessrec_batcher_next(batcher, &after) || after.rows))
            stop(c, "the batcher goes on after epoch %d", epoch);
        snprintf(tag, sizeof tag, "e%d", epoch + 1);
        compare_snapshot(c, trainer, tag, AFTER_UPDATE);
        sessrec_trainer_next_epoch(trainer);
    }
    compare_floats(c, TRAJECTORY, ses->name, ses_states, ses->data, ses->count);
    compare_floats(c, TRAJECTORY, usr->name, usr_states, usr->data, usr->count);
    return trainer;
}

// A session and a user in memory of their own, and their states as bytes.
typedef struct visit {
    sessrec_session *session;
    sessrec_user *user;
    unsigned char *bytes;
} visit;

static visit new_visit(golden_case *c, const sessrec_model *model) {
    visit v;
    size_t session = sessrec_session_size(model, 0), user = sessrec_user_size(model);
    demand(c, "sessrec_session_init",
           sessrec_session_init(model, 0, take(c, (int64_t)session, 1), session, &v.session, NULL), NULL);
    demand(c, "sessrec_user_init",
           sessrec_user_init(model, take(c, (int64_t)user, 1), user, &v.user, NULL), NULL);
    v.bytes = (unsigned char *)take(
        c, (int64_t)(sessrec_session_export_size(v.session) + sessrec_user_export_size(v.user)), 1);
    return v;
}

// Compares the floats at `offset` of a state's bytes, which are little-endian, with row `row` of a tensor.
static void compare_state(golden_case *c, const char *name, int64_t row, const unsigned char *bytes) {
    const golden_tensor *expected = need(c, name);
    int64_t columns = expected->count / expected->dim[0];
    float *state = take_floats(c, columns);
    for (int64_t j = 0; j < columns; ++j) {
        uint32_t bits = 0;
        for (int b = 3; b >= 0; --b) bits = bits << 8 | bytes[4 * j + b];
        memcpy(&state[j], &bits, sizeof bits);
    }
    compare_floats(c, TRAJECTORY, name, state, expected->data + row * columns, columns);
}

// Replays a user's training history. The states after it are taken in his last session, after the input of
// its last pair.
static void replay_user(user_trajectory *t, visit *v, const sessrec_model *model, int64_t row, double id) {
    golden_case *c = t->c;
    const sessrec_log_view view = sessrec_log_contents(t->log);
    int32_t last = -1;
    for (int32_t s = 0; s < view.session_count; ++s)
        if ((double)number_of(sessrec_log_user_id(t->log, view.session_users[s])) == id &&
            view.session_begins[s + 1] - view.session_begins[s] > 1)
            last = s;
    for (int32_t s = 0; s < view.session_count; ++s) {
        if ((double)number_of(sessrec_log_user_id(t->log, view.session_users[s])) != id) continue;
        demand(c, "sessrec_user_begin", sessrec_user_begin(v->user, v->session), NULL);
        for (int64_t e = view.session_begins[s]; e < view.session_begins[s + 1]; ++e) {
            if (s == last && e + 1 == view.session_begins[s + 1]) {
                demand(c, "sessrec_session_export",
                       sessrec_session_export(v->session, v->bytes, sessrec_session_export_size(v->session)),
                       NULL);
                compare_state(c, "boot_ses", row, v->bytes + 48);
                demand(c, "sessrec_user_export",
                       sessrec_user_export(v->user, v->bytes, sessrec_user_export_size(v->user)), NULL);
                compare_state(c, "boot_usr", row, v->bytes + 32);
            }
            demand(c, "sessrec_session_click", sessrec_session_click(v->session, view.items[e]), NULL);
        }
        demand(c, "sessrec_user_fold", sessrec_user_fold(v->user, v->session), NULL);
    }
    (void)model;
}

// The scores before each event of the held-out sessions, each begun from its user's state.
static void check_user_scores(user_trajectory *t, const sessrec_model *model) {
    golden_case *c = t->c;
    const golden_tensor *events = need(c, "eval_events"), *order = need(c, "user_order");
    const int64_t rows = events->dim[0];
    const golden_tensor *expected = need_sized(c, "eval_scores", rows * t->items);
    float *scores = take_floats(c, rows * t->items);
    int32_t *all = (int32_t *)take(c, t->items, sizeof *all);
    visit v = new_visit(c, model);
    for (int32_t i = 0; i < t->items; ++i) all[i] = i;
    for (int64_t row = 0; row < rows; ++row) {
        const double *event = events->data + 4 * row;
        if (!row || event[1] != event[-3]) {
            int64_t u = 0;
            while (u < order->count && order->data[u] != event[0]) ++u;
            if (u == order->count) stop(c, "eval_events has a user that is not in user_order");
            v = new_visit(c, model);
            replay_user(t, &v, model, u, event[0]);
            demand(c, "sessrec_user_begin", sessrec_user_begin(v.user, v.session), NULL);
        }
        demand(c, "sessrec_session_click", sessrec_session_click(v.session, (int32_t)event[2]), NULL);
        demand(c, "sessrec_session_score",
               sessrec_session_score(v.session, all, t->items, scores + row * t->items), NULL);
    }
    compare_floats(c, TRAJECTORY, "eval_scores", scores, expected->data, expected->count);
}

static void run_user_trajectory(golden_case *c) {
    user_trajectory t;
    sessrec_batcher *batcher = NULL;
    sessrec_error err;
    open_user_trajectory(c, &t);
    const sessrec_model *model = model_of(train_users(&t, NULL));
    const sessrec_log *test = make_log(c, "test");
    for (int mode = 0; mode < TIE_MODES; ++mode)
        for (int64_t first = 0; first < need(c, "eval_k")->count; first += SESSREC_MAX_CUTOFFS)
            evaluate(c, model, t.log, test, mode, first);
    check_user_scores(&t, model);
    demand(c, "sessrec_batcher_create", sessrec_batcher_create(&t.config, t.log, NULL, &batcher, &err), &err);
    keep(c, release_batcher, batcher);
    train_users(&t, batcher);
}

// ---- baselines --------------------------------------------------------------------------------------------

// The scores of all items after each prefix [prefixes,length], padded with -1.
static float *prefix_scores(golden_case *c, const replay *r, const golden_tensor *prefix, int32_t items) {
    int64_t prefixes = prefix->dim[0], length = prefix->count / prefixes;
    const int32_t *item = integers(c, prefix, -1, items - 1);
    float *scores = take_floats(c, prefixes * items);
    if (r->scorer.item_count != items) stop(c, "a scorer has another number of items than the log");
    for (int64_t p = 0; p < prefixes; ++p) {
        r->scorer.begin(r->scorer.self, r->state, NULL, NAN);
        for (int64_t i = p * length; i < (p + 1) * length && item[i] >= 0; ++i) replay_click(r, item[i]);
        replay_scores(r, scores + p * items);
    }
    return scores;
}

// PPOP: each prefix after the training history of its user, whose counts alone are what is scored before the
// first click.
static void check_personal_pop(golden_case *c, const sessrec_log *log, const golden_tensor *prefix,
                               int32_t items) {
    const sessrec_log_view view = sessrec_log_contents(log);
    const int64_t prefixes = prefix->dim[0], length = prefix->count / prefixes;
    const int32_t *item = integers(c, prefix, -1, items - 1);
    const golden_tensor *user = need_sized(c, "prefix_user", prefixes), *pop = need_sized(c, "pop", items);
    float *history = take_floats(c, prefixes * items), *full = take_floats(c, prefixes * items);
    replay *r = new_replay(c);
    begin_replay(c, r, experiment_ppop(log, &r->scorer, NULL));
    void *known = take_aligned(c, r->scorer.user_bytes);
    for (int64_t p = 0; p < prefixes; ++p) {
        r->scorer.begin_user(r->scorer.self, known);
        for (int32_t s = 0; s < view.session_count; ++s) {
            if ((double)number_of(sessrec_log_user_id(log, view.session_users[s])) != user->data[p]) continue;
            r->scorer.begin(r->scorer.self, r->state, known, NAN);
            for (int64_t e = view.session_begins[s]; e < view.session_begins[s + 1]; ++e)
                replay_click(r, view.items[e]);
            r->scorer.end(r->scorer.self, r->state, known, r->scratch);
        }
        r->scorer.begin(r->scorer.self, r->state, known, NAN);
        replay_scores(r, history + p * items);
        for (int32_t i = 0; i < items; ++i) history[p * items + i] -= (float)pop->data[i];
        for (int64_t i = p * length; i < (p + 1) * length && item[i] >= 0; ++i) replay_click(r, item[i]);
        replay_scores(r, full + p * items);
    }
    compare_tensor(c, SINGLE, "ppop_history", history, prefixes * items);
    compare_tensor(c, SINGLE, "ppop_full", full, prefixes * items);
}

static void run_pop(golden_case *c) {
    const sessrec_log *log = make_log(c, "log");
    const golden_tensor *prefix = need(c, "prefix");
    int32_t items = meta_count(c, "n_items");
    check_items(c, log, "supp");
    replay *pop = new_replay(c), *s_pop = new_replay(c);
    begin_replay(c, pop, sessrec_scorer_pop(log, NULL, &pop->scorer, NULL));
    begin_replay(c, s_pop, experiment_s_pop(log, &s_pop->scorer, NULL));
    const float *scores = prefix_scores(c, pop, prefix, items);
    for (int64_t p = 0; p < prefix->dim[0]; ++p) compare_tensor(c, SINGLE, "pop", scores + p * items, items);
    compare_tensor(c, SINGLE, "spop", prefix_scores(c, s_pop, prefix, items), prefix->dim[0] * items);
    check_personal_pop(c, log, prefix, items);
}

// Compares with a tensor that has 0 where the scorer has "not scored".
static void compare_scored(golden_case *c, const char *name, float *scores, int64_t count) {
    for (int64_t i = 0; i < count; ++i) scores[i] = scores[i] > -INFINITY ? scores[i] : 0;
    compare_tensor(c, SINGLE, name, scores, count);
}

// Rules uncut. Their scores after every prefix.
static float *rules_scores(golden_case *c, replay *r, sessrec_rules_config config, const sessrec_log *log) {
    const int32_t items = meta_count(c, "n_items");
    config.most = items;
    begin_replay(c, r, sessrec_rules_create(&config, log, &r->scorer, NULL));
    return prefix_scores(c, r, need(c, "prefix"), items);
}

// Item-KNN: the similarities are what one click scores.
static void check_neighbors(golden_case *c, const sessrec_log *log, int32_t events, double lambda,
                            double alpha, const char *similarity, const char *scores) {
    const int32_t items = meta_count(c, "n_items");
    sessrec_rules_config config = sessrec_rules_config_default();
    replay *knn = new_replay(c);
    config.kind = SESSREC_RULES_ITEMKNN;
    config.events = events;
    config.lambda = lambda;
    config.alpha = alpha;
    float *all = take_floats(c, (int64_t)items * items), *after = rules_scores(c, knn, config, log);
    for (int32_t i = 0; i < items; ++i) {
        knn->scorer.begin(knn->scorer.self, knn->state, NULL, NAN);
        replay_click(knn, i);
        replay_scores(knn, all + (ptrdiff_t)i * items);
    }
    compare_scored(c, similarity, all, (int64_t)items * items);
    if (scores) compare_scored(c, scores, after, need(c, "prefix")->dim[0] * items);
}

static void run_itemknn(golden_case *c) {
    const sessrec_log *log = make_log(c, "log");
    const double lambda = meta_number(c, "lambda");
    check_items(c, log, "supp");
    check_neighbors(c, log, 0, 0, 0.5, "set_sim_lambda0", "set_scores_lambda0");
    check_neighbors(c, log, 0, lambda, 0.5, "set_sim_lambda", "set_scores_lambda");
    check_neighbors(c, log, 1, 0, 0.5, "event_sim_lambda0_alpha05", NULL);
    check_neighbors(c, log, 1, lambda, 0.5, "event_sim_lambda_alpha05", "event_scores_lambda_alpha05");
    check_neighbors(c, log, 1, lambda, meta_number(c, "alpha"), "event_sim_lambda_alpha", NULL);
}

static void check_markov(golden_case *c, const sessrec_log *log, int32_t order, const char *name) {
    sessrec_rules_config config = sessrec_rules_config_default();
    config.kind = SESSREC_RULES_MARKOV;
    config.order = order;
    float *scores = rules_scores(c, new_replay(c), config, log);
    compare_scored(c, name, scores, need(c, "prefix")->dim[0] * meta_count(c, "n_items"));
}

static void run_markov(golden_case *c) {
    const sessrec_log *log = make_log(c, "log");
    check_items(c, log, NULL);
    check_markov(c, log, 1, "mc1");
    check_markov(c, log, 2, "mc2_backoff");
}

static sessrec_decay decay_of(golden_case *c, const char *name, double *scale) {
    static const char *const names[5] = {"same", "div", "linear", "log", "quadratic"};
    for (int32_t i = 0; i < 5; ++i)
        if (!strcmp(name, names[i])) return i;
    if (strncmp(name, "exp:", 4)) stop(c, "there is no weight %s", name);
    *scale = strtod(name + 4, NULL);
    return SESSREC_DECAY_EXP;
}

// Sequential rules: every tensor sr_STEPS_WEIGHT.
static void run_rules(golden_case *c) {
    const sessrec_log *log = make_log(c, "log");
    const int64_t count = need(c, "prefix")->dim[0] * meta_count(c, "n_items");
    sessrec_rules_config config = sessrec_rules_config_default();
    check_items(c, log, "supp");
    config.kind = SESSREC_RULES_ASSOCIATION;
    compare_scored(c, "ar", rules_scores(c, new_replay(c), config, log), count);
    config.kind = SESSREC_RULES_SEQUENTIAL;
    for (int64_t t = 0; t < c->file.tensors; ++t) {
        char weight[32];
        const char *name = c->file.tensor[t].name;
        double scale;
        if (sscanf(name, "sr_%d_%31s", &config.steps, weight) != 2) continue;
        config.weight = decay_of(c, weight, &scale);
        compare_scored(c, name, rules_scores(c, new_replay(c), config, log), count);
    }
    check_markov(c, log, 1, "mc1");
    check_markov(c, log, 2, "mc2");
    check_markov(c, log, 3, "mc3");
    check_markov(c, log, 4, "mc4");
}

// k=5,cosine=1,weight=exp:1.02 and so on, as the golden README names them.
static sessrec_knn_config knn_of(golden_case *c, const char *text) {
    sessrec_knn_config config = sessrec_knn_config_default();
    char key[16], value[32];
    int used;
    config.k = config.m = config.cosine = config.last_n = 0;
    config.weight = config.neighbor_weight = SESSREC_DECAY_SAME;
    config.recency = config.spread = config.idf = 0;
    for (; sscanf(text, "%15[^=]=%31[^,]%n", key, value, &used) == 2; text += used, text += *text == ',') {
        const double number = strtod(value, NULL);
        if (!strcmp(key, "k")) config.k = (int32_t)number;
        else if (!strcmp(key, "m")) config.m = (int32_t)number;
        else if (!strcmp(key, "cosine")) config.cosine = (int32_t)number;
        else if (!strcmp(key, "last_n")) config.last_n = (int32_t)number;
        else if (!strcmp(key, "idf")) config.idf = number;
        else if (!strcmp(key, "snh")) config.recency = number;
        else if (!strcmp(key, "inh")) config.spread = number;
        else if (!strcmp(key, "weight")) config.weight = decay_of(c, value, &config.weight_scale);
        else if (!strcmp(key, "nweight")) config.neighbor_weight = decay_of(c, value, &config.neighbor_scale);
        else stop(c, "there is no setting %s", key);
    }
    return config;
}

// The similarity of every candidate after a prefix, by the session's place in the log.
static void similarities(const replay *r, const sessrec_log *log, float *out) {
    const sessrec__knn *knn = (const sessrec__knn *)r->scorer.self;
    const sessrec_log_view view = sessrec_log_contents(log);
    sessrec__layout layout = {(char *)r->scratch, 0, 0};
    sessrec__knn_work work;
    sessrec__knn_place(knn, &work, &layout);
    sessrec__knn_find(knn, (const sessrec__clicks *)r->state, &work);
    for (int32_t s = 0; s < view.session_count; ++s) {
        const double end = view.times[view.session_begins[s + 1] - 1];
        out[s] = 0;
        for (int32_t n = 0; n < work.neighbor_count; ++n) {  // no two sessions of the file end at once
            const double its = knn->ends[INT32_MAX - work.neighbors[n].item];
            if (its >= end && its <= end) out[s] = (float)((double)work.neighbors[n].score * work.scale);
        }
    }
}

static void run_knn(golden_case *c) {
    const sessrec_log *log = make_log(c, "log");
    const int32_t items = meta_count(c, "n_items"), sessions = meta_count(c, "n_sessions");
    const golden_tensor *prefix = need(c, "prefix");
    const int64_t prefixes = prefix->dim[0], length = prefix->count / prefixes;
    const int32_t *item = integers(c, prefix, -1, items - 1);
    char name[128];
    check_items(c, log, "supp");
    for (int64_t m = 0; m < c->file.metas; ++m) {
        if (!strchr(c->file.meta[m].value, '=')) continue;
        sessrec_knn_config config = knn_of(c, c->file.meta[m].value);
        replay *knn = new_replay(c), *all = new_replay(c);
        begin_replay(c, knn, sessrec_knn_create(&config, log, &knn->scorer, NULL));
        config.k = sessions;
        begin_replay(c, all, sessrec_knn_create(&config, log, &all->scorer, NULL));
        snprintf(name, sizeof name, "%s_scores", c->file.meta[m].key);
        compare_scored(c, name, prefix_scores(c, knn, prefix, items), prefixes * items);
        float *sims = take_floats(c, prefixes * sessions);
        for (int64_t p = 0; p < prefixes; ++p) {
            all->scorer.begin(all->scorer.self, all->state, NULL, NAN);
            for (int64_t i = p * length; i < (p + 1) * length && item[i] >= 0; ++i)
                replay_click(all, item[i]);
            similarities(all, log, sims + p * sessions);
        }
        snprintf(name, sizeof name, "%s_sim", c->file.meta[m].key);
        compare_tensor(c, SINGLE, name, sims, prefixes * sessions);
    }
}

// S-KNN and V-SKNN: the older file, whose dot product is not divided by the number of distinct items, and
// whose ties go to the session that began later. Without ties at k, the scores are the same.
static void check_sknn(golden_case *c, const sessrec_log *log, const char *prefix_name,
                       sessrec_knn_config config) {
    const golden_tensor *prefix = need(c, "prefix");
    const int32_t items = meta_count(c, "n_items");
    const int64_t prefixes = prefix->dim[0], length = prefix->count / prefixes;
    char name[64];
    snprintf(name, sizeof name, "%s_tie_at_k", prefix_name);
    const golden_tensor *tie = need_sized(c, name, prefixes);
    for (int cut = 0; cut < 2; ++cut) {
        replay *knn = new_replay(c);
        snprintf(name, sizeof name, "%s_scores%s", prefix_name, cut ? "" : "_all");
        const golden_tensor *expected = need_sized(c, name, prefixes * items);
        config.k = cut ? meta_count(c, "k") : 1000;
        begin_replay(c, knn, sessrec_knn_create(&config, log, &knn->scorer, NULL));
        float *scores = prefix_scores(c, knn, prefix, items);
        for (int64_t p = 0; p < prefixes; ++p) {
            int32_t distinct = 0;
            for (int64_t i = 0; i < length; ++i) {
                int again = prefix->data[p * length + i] < 0;
                for (int64_t j = 0; j < i; ++j)
                    again |= prefix->data[p * length + i] == prefix->data[p * length + j];
                distinct += !again;
            }
            for (int64_t i = p * items; i < (p + 1) * items; ++i)
                scores[i] = scores[i] > -INFINITY ? scores[i] * (float)(config.cosine ? 1 : distinct) : 0;
            if (cut && tie->data[p] > 0) continue;
            compare_floats(c, SINGLE, name, scores + p * items, expected->data + p * items, items);
        }
    }
}

static void run_sknn(golden_case *c) {
    const sessrec_log *log = make_log(c, "log");
    sessrec_knn_config config = knn_of(c, "cosine=1");
    check_items(c, log, NULL);
    check_sknn(c, log, "sknn", config);
    config = knn_of(c, "weight=div");
    check_sknn(c, log, "vsknn", config);
}

// ---- all cases --------------------------------------------------------------------------------------------

// What a family, or the part of one that has a certain tensor, is compared by; or why it is not.
typedef struct family {
    const char *name, *tensor;
    void (*run)(golden_case *c);
    const char *reason;
} family;

static const family FAMILIES[] = {
    {"cell", NULL, run_cell, NULL},
    {"loss", NULL, run_loss, NULL},
    {"optim", NULL, run_optim, NULL},
    {"gru4rec_traj", NULL, run_trajectory, NULL},
    {"eval", NULL, run_eval, NULL},
    {"baselines", "spop", run_pop, NULL},
    {"baselines", "set_co", run_itemknn, NULL},
    {"baselines", "counts1", run_markov, NULL},
    {"baselines", "ar", run_rules, NULL},
    {"baselines", "stan_sim", run_knn, NULL},
    {"baselines", "sknn_sim", run_sknn, NULL},
    {"hrnn_traj", NULL, run_user_trajectory, NULL},
    {"eval_multi", NULL, NULL, "the library has no metrics of several relevant items"}
};

typedef struct tally {
    int passed, failed, skipped;
} tally;

static void release_all(golden_case *c) {
    while (c->keepsakes) {
        keepsake *kept = c->keepsakes;
        c->keepsakes = kept->next;
        kept->release(kept->object);
        free(kept);
    }
}

// Runs one part of a case. A part that compares nothing has not passed.
static void run_part(golden_case *c, const family *part) {
    if (!setjmp(c->stop)) {
        part->run(c);
        if (!c->compared) stop(c, "nothing was compared");
    }
    release_all(c);
}

static void print_verdict(const golden_case *c, tally *total) {
    int failed = c->problem[0] || c->worst > 1;
    ++*(failed ? &total->failed : &total->passed);
    printf("%s %-24s ", failed ? "FAILED " : "ok     ", c->name);
    if (c->problem[0]) printf("%s\n", c->problem);
    else if (failed)
        printf("%s is %.9g, not %.9g: deviation %.1e, allowed %.0e\n", c->where, c->actual, c->expected,
               c->deviation, c->allowed);
    else printf("largest deviation %.1e, allowed %.0e, in %s\n", c->deviation, c->allowed, c->where);
}

static void run_file(const char *path, tally *total) {
    golden_case *c = (golden_case *)calloc(1, sizeof *c);
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    if (!c) {
        printf("FAILED  %s out of memory\n", name);
        ++total->failed;
        return;
    }
    size_t length = strlen(name), suffix = length > 4 && !strcmp(name + length - 4, ".txt") ? 4 : 0;
    snprintf(c->name, sizeof c->name, "%.*s", (int)(length - suffix), name);
    const char *wanted = golden_read(path, &c->file) ? golden_value(&c->file, "family") : NULL;
    int known = 0;
    for (size_t i = 0; wanted && i < sizeof FAMILIES / sizeof *FAMILIES; ++i) {
        if (strcmp(FAMILIES[i].name, wanted) ||
            (FAMILIES[i].tensor && !golden_find(&c->file, FAMILIES[i].tensor)))
            continue;
        known = 1;
        if (FAMILIES[i].run) {
            run_part(c, &FAMILIES[i]);
            print_verdict(c, total);
        } else {
            printf("skipped %-24s %s\n", c->name, FAMILIES[i].reason);
            ++total->skipped;
        }
    }
    if (!known) {
        snprintf(c->problem, sizeof c->problem, "%s",
                 c->file.problem[0] ? c->file.problem : "it belongs to no family that is known here");
        print_verdict(c, total);
    }
    golden_free(&c->file);
    free(c);
}

// ---- the command ------------------------------------------------------------------------------------------

typedef struct path_list {
    char **path;
    size_t count;
} path_list;

// Adds "directory/name"; 0 without memory.
static int add_path(path_list *list, const char *directory, const char *name) {
    size_t size = strlen(directory) + strlen(name) + 2;
    char **longer = (char **)realloc(list->path, (list->count + 1) * sizeof *longer),
         *path = (char *)malloc(size);
    if (longer) list->path = longer;
    if (!longer || !path) {
        free(path);
        return 0;
    }
    snprintf(path, size, "%s/%s", directory, name);
    list->path[list->count++] = path;
    return 1;
}

static int by_name(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

// The *.txt files of a directory, in the order of their names.
static int list_cases(const char *path, path_list *list) {
    DIR *directory = opendir(path);
    int complete = directory != NULL;
    for (struct dirent *entry; complete && (entry = readdir(directory)) != NULL;) {
        const char *suffix = strrchr(entry->d_name, '.');
        if (suffix && !strcmp(suffix, ".txt")) complete = add_path(list, path, entry->d_name);
    }
    if (directory) closedir(directory);
    if (list->count) qsort(list->path, list->count, sizeof *list->path, by_name);
    return complete && list->count;
}

int main(int argc, char **argv) {
    tally total = {0, 0, 0};
    if (argc < 2) {
        fprintf(stderr, "usage: golden DIRECTORY ...\n");
        return 2;
    }
    for (int i = 1; i < argc; ++i) {
        path_list list = {NULL, 0};
        if (!list_cases(argv[i], &list)) {
            printf("FAILED  %s cannot be listed or has no *.txt file\n", argv[i]);
            ++total.failed;
        }
        for (size_t n = 0; n < list.count; ++n) {
            run_file(list.path[n], &total);
            fflush(stdout);
            free(list.path[n]);
        }
        free(list.path);
    }
    printf("%d passed, %d failed, %d skipped\n", total.passed, total.failed, total.skipped);
    return total.failed ? 1 : 0;
}
