// The zoo: every gradient of every architecture against central differences in double precision, packed
// sessions that do not hear of each other, and that what is served is what was trained.
#include "double.h"

#include "../examples/zoo/all.h"
#include "../examples/zoo/scorer.h"

enum { ITEMS = 9, PLACES = 11 };

static const int64_t supports[ITEMS] = {5, 3, 8, 1, 2, 4, 4, 9, 1};
static const int32_t begins[4] = {0, 4, 5, 11}, items[PLACES] = {1, 2, 3, 1, 8, 0, 7, 7, 2, 5, 4},
                     targets[PLACES] = {2, 3, 1, 6, 0, 7, 7, 2, 5, 4, 1};
static const double times[PLACES] = {1, 5, 900, 4000, 7000, 0, 0, 90000, 90001, 90400, 98000};
static const zoo_batch BATCH = {3, PLACES, begins, items, targets, times};
static const int32_t colors[ITEMS] = {0, 1, 1, 2, 0, 2, 1, 0, 2};

// What the gradients are tested with besides the programs' own options.
typedef struct variant {
    const char *name;
    int32_t samples, hardest, gates;
    int32_t kinds;          // of how many architectures; the frame of the first four knows gates
} variant;
static const variant variants[] = {{"over the catalog", 0, 0, 0, ZOO_KINDS},
                                   {"with samples", 5, 0, 0, ZOO_KINDS},
                                   {"with gates", 0, 0, 1, 4},
                                   {"with the hardest of the catalog", 0, 4, 0, 1},
                                   {"with the hardest samples", 5, 3, 0, 1}};
enum { VARIANTS = (int)(sizeof variants / sizeof *variants) };

static void *open_model(zoo *net, const zoo_model *kind, const variant *v, double dropout) {
    memset(net, 0, sizeof *net);
    net->options = kind->options;
    net->options.hardest = v->hardest;
    net->options.gates = v->gates;
    net->category_columns = 1;
    net->category_count[0] = 3;
    net->category[0] = (int32_t *)malloc(sizeof colors);
    memcpy(net->category[0], colors, sizeof colors);
    net->options.width = 8;
    net->options.most_clicks = 8;
    net->options.samples = v->samples;
    net->options.dropout = dropout;
    net->options.loss = SESSREC_LOSS_XE;
    net->items = ITEMS;
    net->supports = supports;
    net->seed = 5;
    net->steps = 10;
    if (v->samples) CHECK_EQ(zoo_sample(net, NULL), SESSREC_OK);
    void *model = kind->create(net);
    // away from where biases and gains begin, or much would be tested at 0 and 1 only
    uint32_t seed = 3;
    for (int32_t t = 0; t < net->tensor_count; ++t)
        for (int32_t i = 0; i < net->tensors[t]->rows * net->tensors[t]->columns; ++i)
            net->tensors[t]->w[i] += random_float(&seed, 0.2);
    return model;
}
static void close_model(zoo *net, void *model) {
    free(model);
    zoo_free(net);
}

// The loss, with the same dropout each time. Gradients are added to those that were.
static double loss_of(zoo *net, const zoo_model *kind, void *model, const zoo_batch *batch) {
    zoo_forget(net);
    return kind->train(net, model, batch);
}

static void gradients(void) {
    for (int k = 0; k < ZOO_KINDS; ++k)
        for (const variant *v = variants; v < variants + VARIANTS; ++v) {
            char name[80];
            if (k >= v->kinds) continue;
            snprintf(name, sizeof name, "the gradients of %s, %s", zoo_kinds[k]->name, v->name);
            TEST(name) {
                zoo net;
                void *model = open_model(&net, zoo_kinds[k], v, 0.3);
                double worst = 0;
                int64_t compared = 0, large = 0;
                double *gradients_of[ZOO_TENSORS];
                loss_of(&net, zoo_kinds[k], model, &BATCH);
                for (int32_t t = 0; t < net.tensor_count; ++t) {
                    const size_t n = (size_t)(net.tensors[t]->rows * net.tensors[t]->columns);
                    gradients_of[t] = (double *)malloc(n * sizeof(double));
                    memcpy(gradients_of[t], net.tensors[t]->g, n * sizeof(double));
                }
                for (int32_t t = 0; t < net.tensor_count; ++t) {
                    const int32_t n = net.tensors[t]->rows * net.tensors[t]->columns;
                    double *analytic = gradients_of[t];
                    for (int32_t i = 0; i < n; ++i) {
                        const double step = 1e-5, w = net.tensors[t]->w[i];
                        net.tensors[t]->w[i] = w + step;
                        const double above = loss_of(&net, zoo_kinds[k], model, &BATCH);
                        net.tensors[t]->w[i] = w - step;
                        const double below = loss_of(&net, zoo_kinds[k], model, &BATCH);
                        net.tensors[t]->w[i] = w;
                        const double numeric = (above - below) / (2 * step),
                                     size = fabs(analytic[i]) + fabs(numeric),
                                     error = fabs(analytic[i] - numeric) / (size > 1e-3 ? size : 1e-3);
                        if (!(error <= worst)) worst = error;
                        ++compared;
                        large += size > 1e-3;
                    }
                    free(analytic);
                }
                CHECK(compared > 100);
                CHECK(large > compared / 4);
                CHECK_NEAR(worst, 0, 1e-6);
                close_model(&net, model);
            }
        }
}

// Not for BERT4Rec, whose loss is of hidden places.
static void sessions(void) {
    for (int k = 0; k < ZOO_KINDS; ++k) {
        char name[80];
        if (!strcmp(zoo_kinds[k]->name, "bert4rec")) continue;
        snprintf(name, sizeof name, "packed sessions of %s do not hear of each other", zoo_kinds[k]->name);
        TEST(name) {
            zoo net;
            void *model = open_model(&net, zoo_kinds[k], variants, 0);
            double sum = 0;
            for (int s = 0; s < 3; ++s) {
                const int32_t alone[2] = {0, begins[s + 1] - begins[s]};
                const zoo_batch batch = {1, alone[1], alone, items + begins[s], targets + begins[s],
                                         times + begins[s]};
                sum += loss_of(&net, zoo_kinds[k], model, &batch) * alone[1];
            }
            CHECK_NEAR(sum / PLACES, loss_of(&net, zoo_kinds[k], model, &BATCH), 1e-12);
            close_model(&net, model);
        }
        snprintf(name, sizeof name, "%s serves what it was trained for", zoo_kinds[k]->name);
        TEST(name) {
            zoo net;
            void *model = open_model(&net, zoo_kinds[k], variants, 0);
            double sum = 0;
            double *state = (double *)calloc(zoo_state_floats(&net, zoo_kinds[k]), sizeof *state);
            zoo alone = zoo_alone(&net, NULL, 0);
            for (int s = 0; s < 3; ++s) {
                memset(state, 0, zoo_state_floats(&net, zoo_kinds[k]) * sizeof *state);
                for (int32_t i = begins[s]; i < begins[s + 1]; ++i) {
                    double total = 0, own = 0;
                    zoo_click(&alone, zoo_kinds[k], model, state, items[i], times[i]);
                    for (int32_t item = 0; item < ITEMS; ++item) {
                        const int32_t W = net.E->columns;
                        const double score = net.b->w[item] + zoo_dot(W, state, net.E->w + item * W);
                        total += exp(score);
                        if (item == targets[i]) own = score;
                    }
                    sum += log(total) - own;
                }
            }
            CHECK_NEAR(sum / PLACES, loss_of(&net, zoo_kinds[k], model, &BATCH), 1e-9);
            free(state);
            zoo_free_chunks(alone.first);
            close_model(&net, model);
        }
    }
}

// BST's h after a click on item 5 and, `gap` seconds later, on another.
static void state_after(const zoo *net, void *model, int32_t item, double gap, double *state) {
    zoo alone = zoo_alone(net, NULL, 0);
    memset(state, 0, zoo_state_floats(net, &zoo_bst) * sizeof *state);
    zoo_click(&alone, &zoo_bst, model, state, 5, 1000);
    zoo_click(&alone, &zoo_bst, model, state, item, 1000 + gap);
    zoo_free_chunks(alone.first);
}
static void features(void) {
    TEST("bst tells items apart by category, and clicks by gap and hour") {
        zoo net;
        void *model = open_model(&net, &zoo_bst, variants, 0);
        const size_t bytes = (size_t)net.E->columns * sizeof(double);
        double *h[5];
        // items 1 and 2 have one color, item 3 another; else they are the same
        for (int32_t item = 2; item < 4; ++item)
            memcpy(net.E->w + item * net.E->columns, net.E->w + net.E->columns, bytes);
        for (int i = 0; i < 5; ++i) {
            h[i] = (double *)calloc(zoo_state_floats(&net, &zoo_bst), sizeof(double));
            state_after(&net, model, i < 3 ? i + 1 : 1, i < 3 ? 60 : i == 3 ? 61 : 600, h[i]);
        }
        CHECK(!memcmp(h[0], h[1], bytes));
        CHECK(memcmp(h[0], h[2], bytes));
        CHECK(!memcmp(h[0], h[3], bytes));
        CHECK(memcmp(h[0], h[4], bytes));
        state_after(&net, model, 1, 90000, h[1]);
        state_after(&net, model, 1, 93600, h[2]);   // as long a gap, an hour later in the day
        CHECK(memcmp(h[1], h[2], bytes));
        for (int i = 0; i < 5; ++i) free(h[i]);
        close_model(&net, model);
    }
}

int main(void) {
    gradients();
    sessions();
    features();
    return test_report("zoo");
}
