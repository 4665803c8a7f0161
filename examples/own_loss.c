// own_loss.c - train with a loss of one's own
//
// The sampled logistic loss: the target's score should say yes, those of the negatives no, each by itself.
// For row i with target t and negatives j
//     L_i = log(1 + exp(-s_t)) + w * sum_j log(1 + exp(s_j))      dL/ds_t = -sigmoid(-s_t)      dL/ds_j = w *
//     sigmoid(s_j)
// It is compared with the built-in cross-entropy on a small made-up log.

#define SESSREC_IMPLEMENTATION
#include "../sessrec.h"

#include "shop.h"

#include <math.h>
#include <stdio.h>

static double sigmoid(double x) {
    return 1 / (1 + exp(-x));
}

// log(1 + exp(x)), which must not overflow.
static double softplus(double x) {
    return x > 30 ? x : log(1 + exp(x));
}

static void logistic_loss(void *user, int32_t first_row, int32_t rows, int32_t columns, const int32_t *items,
                          const float *scores, float *row_loss, float *gradient) {
    double weight = *(const double *)user / columns;
    for (int32_t i = 0; i < rows; ++i) {
        const float *s = scores + (size_t)i * (size_t)columns;      // [columns]
        float *g = gradient + (size_t)i * (size_t)columns;          // [columns]
        int32_t target = first_row + i;
        double loss = 0;
        for (int32_t j = 0; j < columns; ++j) {
            // the target may have been drawn as a negative too: no vote
            int negative = items[j] != items[target];
            if (negative) loss += weight * softplus(s[j]);
            g[j] = negative ? (float)(weight * sigmoid(s[j])) : 0;
        }
        row_loss[i] = (float)(loss + softplus(-s[target]));
        g[target] = (float)-sigmoid(-s[target]);
    }
}

// Trains with the loss and prints how well the model does on the test log.
static int try_loss(const char *name, sessrec_loss_config loss, const sessrec_log *train,
                    const sessrec_log *test) {
    sessrec_error error = {SESSREC_OK, 0, ""};
    sessrec_report report;
    sessrec_model *model = NULL;
    sessrec_config config = sessrec_config_default();
    sessrec_eval_config evaluation = sessrec_eval_config_default();
    config.loss = loss;
    config.hidden[0] = 32;
    config.negatives = 128;
    config.epochs = 5;
    evaluation.cutoff_count = 1;
    evaluation.cutoffs[0] = 5;
    int ok = sessrec_train(&config, train, NULL, &model, &error) == SESSREC_OK &&
             sessrec_evaluate(model, test, &evaluation, &report, &error) == SESSREC_OK;
    if (ok) printf("%-22s Recall@5 %.2f  MRR@5 %.2f\n", name, report.all.recall[0], report.all.mrr[0]);
    else fprintf(stderr, "%s: %s\n", name, error.text);
    sessrec_model_destroy(model);
    return ok;
}

int main(void) {
    sessrec_error error = {SESSREC_OK, 0, ""};
    sessrec_log *log = NULL, *train = NULL, *test = NULL;
    sessrec_loss_config built_in = sessrec_config_default().loss, own = built_in;
    double weight = 10;     // of all negatives of a row together
    shop plan = shop_default();
    plan.items = 400;
    plan.sessions = 4000;
    own.kind = SESSREC_LOSS_CUSTOM;
    own.custom = logistic_loss;
    own.custom_user = &weight;
    if (shop_log(plan, &log, &error) != SESSREC_OK) return 1;
    int ok = !sessrec_log_split_time(log, SHOP_OPENING + 26.0 * SHOP_DAY, &train, &test, &error) &&
             try_loss("cross-entropy", built_in, train, test) &&
             try_loss("logistic (our own)", own, train, test);
    sessrec_log_destroy(log);
    sessrec_log_destroy(train);
    sessrec_log_destroy(test);
    return ok ? 0 : 1;
}
