// test_config.c - options as text: the table that C programs, the command line and bindings share.
#include "models.h"

// What a value becomes: the field set to `value`, read back as text; or the sentence that refuses it.
static const char *round_trip(const char *name, const char *value) {
    static char text[400];
    sessrec_config config = sessrec_config_default();
    sessrec_error err;
    if (sessrec_config_set(&config, name, value, &err)) {
        snprintf(text, sizeof text, "%s", err.text);
        CHECK_EQ(err.code, SESSREC_INVALID_ARGUMENT);
        const sessrec_config usual = sessrec_config_default();
        CHECK(!memcmp(&config, &usual, sizeof usual));  // a refused value changes nothing
    } else {
        CHECK_EQ(sessrec_config_get(&config, name, text, sizeof text, NULL), SESSREC_OK);
    }
    return text;
}

static void values(void) {
    static const char *const same[][2] = {
        {"layers", "100"},
        {"layers", "8192,1,7,100"},
        {"embedding", "tied"},
        {"embedding", "none"},
        {"embedding", "64"},
        {"gru", "reset-after"},
        {"user-layers", "0"},
        {"hrnn", "gates"},
        {"loss", "xe"},
        {"loss", "bpr-max"},
        {"loss", "gbce"},
        {"hardest", "100"},
        {"calibration", "0.25"},
        {"sampling-rate", "0.5"},
        {"activation", "linear"},
        {"activation", "elu:0.5"},
        {"activation", "selu:1.0507:1.6733"},
        {"activation", "leaky:0"},
        {"paper-form", "1"},
        {"paper-form", "0"},
        {"count-own-target", "1"},
        {"shuffle", "1"},
        {"epochs", "2147483647"},
        {"batch", "65536"},
        {"negatives", "0"},
        {"alpha", "0.75"},
        {"lr", "1e-30"},
        {"lr", "1000000000"},
        {"lr", "0.1"},
        {"lr", "0.0001"},
        {"lr", "1.5e-5"},
        {"lr", "16777216"},
        {"lr", "0.33333334"},
        {"momentum", "0.999999"},
        {"decay", "1e-6"},
        {"beta2", "0.9999999"},
        {"gradient-cap", "1e30"},
        {"optimizer", "adam"},
        {"seed", "18446744073709551615"},
        {"seed", "0"},
        {"seed", "9"},
        {"checkpoint", "a file, \"so\""},
        {"checkpoint", ""},
        {"checkpoint-steps", "9000000000000000"},
        {"resume", "1"},
        {"device", "cpu"},
        {"threads", "1024"},
    };
    TEST("a value that an option takes is read back as the same text") {
        for (size_t i = 0; i < sizeof same / sizeof same[0]; ++i)
            CHECK_TEXT(round_trip(same[i][0], same[i][1]), same[i][1]);
    }
    TEST("other spellings of a number mean the same") {
        CHECK_TEXT(round_trip("lr", "2E-1"), "0.2");
        CHECK_TEXT(round_trip("lr", "0.2000000001"), "0.2");
        CHECK_TEXT(round_trip("batch", "0032"), "32");
        CHECK_TEXT(round_trip("activation", "elu"), "elu:0.5");
    }
    TEST("what an option does not take is refused with the option's name and range") {
        CHECK_TEXT(round_trip("batch", "0"), "batch takes a whole number from 1 to 65536, not '0'");
        CHECK_TEXT(round_trip("batch", "many"), "batch takes a whole number from 1 to 65536, not 'many'");
        CHECK_TEXT(round_trip("batch", "1e2"), "batch takes a whole number from 1 to 65536, not '1e2'");
        CHECK_TEXT(round_trip("lr", "1e10"), "lr takes a number from 1e-30 to 1000000000, not '1e10'");
        CHECK_TEXT(round_trip("lr", "nan"), "lr takes a number from 1e-30 to 1000000000, not 'nan'");
        CHECK_TEXT(round_trip("dropout-hidden", "1"),
                   "dropout-hidden takes a number from 0 to 0.999999, not '1'");
        CHECK_TEXT(round_trip("loss", "nce"), "loss takes xe|top1|bpr|top1-max|bpr-max|gbce, not 'nce'");
        CHECK_TEXT(round_trip("loss", "bpr-"), "loss takes xe|top1|bpr|top1-max|bpr-max|gbce, not 'bpr-'");
        CHECK_TEXT(round_trip("layers", "10,0"), "layers takes N[,N], numbers from 1 to 8192, not '10,0'");
        CHECK_TEXT(round_trip("layers", "1,2,3,4,5"),
                   "layers takes N[,N], numbers from 1 to 8192, not '1,2,3,4,5'");
        CHECK_TEXT(round_trip("embedding", "8193"),
                   "embedding takes tied|none|N, numbers from 1 to 8192, not '8193'");
        CHECK_TEXT(round_trip("shuffle", "yes"), "shuffle takes a whole number from 0 to 1, not 'yes'");
        CHECK_TEXT(round_trip("seed", "18446744073709551616"),
                   "seed takes a whole number from 0 to 18446744073709551615, not '18446744073709551616'");
        CHECK_TEXT(round_trip("no-such", "1"), "there is no option \"no-such\"");
        static const char *const bad[][2] = {
            {"activation", "tanh:1"},
            {"activation", "elu:"},
            {"activation", "elu:1:2"},
            {"activation", "selu:1"},
            {"activation", "elu:-1"},
            {"layers", ""},
            {"layers", "1,"},
            {"layers", ",1"},
            {"seed", ""},
            {"seed", "-1"},
            {"epochs", "+1"},
            {"epochs", " 1"},
            {"epochs", "4294967297"},
            {"lr", ""},
            {"lr", "0x1p3"},
            {"lr", "0,2"},
            {"device", "gpu"},
            {"device", ""},
        };
        for (size_t i = 0; i < sizeof bad / sizeof bad[0]; ++i)
            CHECK(strstr(round_trip(bad[i][0], bad[i][1]), " takes ") != NULL);
    }
    TEST("a text of any length is looked at without harm") {
        static char digits[100000];
        memset(digits, '1', sizeof digits - 1);
        CHECK(strstr(round_trip("lr", digits), "lr takes") != NULL);
        CHECK(strstr(round_trip("batch", digits), "batch takes") != NULL);
        CHECK(strstr(round_trip("layers", digits), "layers takes") != NULL);
    }
}

static void names(void) {
    TEST("every name that is listed can be read, and its text be set again") {
        sessrec_config config = sessrec_config_default(), copy = config;
        const char *name, *takes;
        int32_t count = 0;
        for (; (name = sessrec_config_name(count, &takes)) != NULL; ++count) {
            char text[64], again[64];
            CHECK_EQ(sessrec_config_get(&config, name, text, sizeof text, NULL), SESSREC_OK);
            if (strcmp(name, "checkpoint")) CHECK_EQ(sessrec_config_set(&copy, name, text, NULL), SESSREC_OK);
            CHECK_EQ(sessrec_config_get(&copy, name, again, sizeof again, NULL), SESSREC_OK);
            CHECK_TEXT(again, text);
            CHECK(!takes == (!strcmp(name, "shuffle") || !strcmp(name, "resume") ||
                             !strcmp(name, "paper-form") || !strcmp(name, "count-own-target")));
        }
        CHECK_EQ(count, 40);
        CHECK(!memcmp(&config, &copy, sizeof copy));
        CHECK(sessrec_config_name(-1, NULL) == NULL);
        CHECK(sessrec_config_name(40, &takes) == NULL && takes == NULL);
    }
    TEST("the names of the fields are understood, and '_' is as good as '-'") {
        static const char *const pair[][3] = {
            {"learning_rate", "lr", "0.05"},      {"batch-size", "batch", "7"},
            {"user_hidden", "user-layers", "9"},  {"user-mode", "hrnn", "all"},
            {"shuffle_sessions", "shuffle", "1"}, {"dropout_hidden", "dropout-hidden", "0.25"}};
        for (size_t i = 0; i < sizeof pair / sizeof pair[0]; ++i) {
            sessrec_config config = sessrec_config_default();
            char text[64];
            CHECK_EQ(sessrec_config_set(&config, pair[i][0], pair[i][2], NULL), SESSREC_OK);
            CHECK_EQ(sessrec_config_get(&config, pair[i][1], text, sizeof text, NULL), SESSREC_OK);
            CHECK_TEXT(text, pair[i][2]);
        }
    }
    TEST("set changes the field that it names and nothing else") {
        sessrec_config config = sessrec_config_default(), usual = config;
        CHECK_EQ(sessrec_config_set(&config, "loss", "bpr-max", NULL), SESSREC_OK);
        CHECK_EQ(config.loss.kind, SESSREC_LOSS_BPR_MAX);
        CHECK_EQ(config.loss.activation, SESSREC_LINEAR);
        config.loss.kind = SESSREC_LOSS_XE;
        CHECK(!memcmp(&config, &usual, sizeof usual));
        CHECK_EQ(sessrec_config_set(&config, "activation", "selu:2:3", NULL), SESSREC_OK);
        CHECK_NEAR(config.loss.activation_b, 2, 0);
        CHECK_NEAR(config.loss.activation_a, 3, 0);
        CHECK_EQ(sessrec_config_set(&config, "count-own-target", "1", NULL), SESSREC_OK);
        CHECK_EQ(config.loss.skip_own_target, 0);
    }
    TEST("a text that does not fit is TOO_LARGE and cut off, not written over what follows") {
        sessrec_config config = sessrec_config_default();
        char text[8] = "1234567";
        sessrec_error err;
        config.checkpoint = "abcdef";
        CHECK_EQ(sessrec_config_get(&config, "checkpoint", text, 6, &err), SESSREC_TOO_LARGE);
        CHECK_TEXT(text, "abcde");
        CHECK_TEXT(err.text, "the value of checkpoint has 6 bytes");
        CHECK_EQ(text[6], '7');
        CHECK_EQ(sessrec_config_get(&config, "checkpoint", text, 7, &err), SESSREC_OK);
        CHECK_TEXT(text, "abcdef");
    }
    TEST("a configuration of zeros is refused, and so is NULL") {
        sessrec_config config;
        char text[16];
        sessrec_error err;
        memset(&config, 0, sizeof config);
        CHECK_EQ(sessrec_config_set(&config, "lr", "1", &err), SESSREC_INVALID_ARGUMENT);
        CHECK(strstr(err.text, "sessrec_config_default") != NULL);
        CHECK_EQ(sessrec_config_get(&config, "lr", text, sizeof text, &err), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_config_check(&config, &err), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_config_check(NULL, &err), SESSREC_INVALID_ARGUMENT);
        CHECK_TEXT(err.text, "a required argument is NULL");
    }
}

static void check(void) {
    TEST("the check says of a field what set says of its text") {
        sessrec_config config = sessrec_config_default();
        sessrec_error err;
        config.batch_size = 0;
        CHECK_EQ(sessrec_config_check(&config, &err), SESSREC_INVALID_ARGUMENT);
        CHECK_TEXT(err.text, "batch takes a whole number from 1 to 65536, not '0'");
        config = sessrec_config_default();
        config.optimizer.learning_rate = (float)NAN;
        CHECK_EQ(sessrec_config_check(&config, &err), SESSREC_INVALID_ARGUMENT);
        CHECK_TEXT(err.text, "lr takes a number from 1e-30 to 1000000000, not 'nan'");
        config.optimizer.learning_rate = -INFINITY;
        CHECK_EQ(sessrec_config_check(&config, &err), SESSREC_INVALID_ARGUMENT);
        CHECK_TEXT(err.text, "lr takes a number from 1e-30 to 1000000000, not '-inf'");
        config = sessrec_config_default();
        config.layer_count = 5;
        CHECK_EQ(sessrec_config_check(&config, &err), SESSREC_INVALID_ARGUMENT);
        CHECK_TEXT(err.text, "layers takes N[,N], numbers from 1 to 8192, not '5 layers'");
        config = sessrec_config_default();
        config.loss.kind = 17;
        CHECK_EQ(sessrec_config_check(&config, &err), SESSREC_INVALID_ARGUMENT);
        CHECK_TEXT(err.text, "loss takes xe|top1|bpr|top1-max|bpr-max|gbce, not '17'");
        config.loss.kind = SESSREC_LOSS_CUSTOM;
        CHECK_EQ(sessrec_config_check(&config, &err), SESSREC_INVALID_ARGUMENT);
        CHECK_TEXT(err.text, "loss is custom, but loss.custom is NULL");
        char text[16];
        CHECK_EQ(sessrec_config_get(&config, "loss", text, sizeof text, NULL), SESSREC_OK);
        CHECK_TEXT(text, "custom");
    }
    TEST("the ends of every range belong to it") {
        static const struct {
            const char *name, *least, *most;
        } range[] = {
            {"lr", "1e-30", "1000000000"}, {"decay", "1e-6", "0.999999"},       {"beta1", "0", "0.9999999"},
            {"epsilon", "1e-30", "1"},     {"dropout-hidden", "0", "0.999999"}, {"alpha", "0", "1"},
            {"gradient-cap", "0", "1e30"}, {"smoothing", "0", "0.999999"},      {"bpreg", "0", "1000000000"}};
        for (size_t i = 0; i < sizeof range / sizeof range[0]; ++i) {
            sessrec_config config = sessrec_config_default();
            CHECK_EQ(sessrec_config_set(&config, range[i].name, range[i].least, NULL), SESSREC_OK);
            CHECK_EQ(sessrec_config_check(&config, NULL), SESSREC_OK);
            CHECK_EQ(sessrec_config_set(&config, range[i].name, range[i].most, NULL), SESSREC_OK);
            CHECK_EQ(sessrec_config_check(&config, NULL), SESSREC_OK);
        }
    }
    TEST("every float is written with as few digits as bring it back") {
        uint32_t random = 3;
        int wrong = 0, long_ones = 0;
        for (int i = 0; i < 20000; ++i) {
            sessrec_config config = sessrec_config_default();
            const uint32_t bits = random_bits(&random) & 0x7fffffffu;
            float value, back;
            char text[32];
            memcpy(&value, &bits, sizeof value);
            if (!(value >= 1e-30f && value <= 1e9f)) continue;
            config.optimizer.learning_rate = value;
            wrong += sessrec_config_get(&config, "lr", text, sizeof text, NULL) != SESSREC_OK;
            wrong += sessrec_config_set(&config, "lr", text, NULL) != SESSREC_OK;
            back = config.optimizer.learning_rate;
            wrong += memcmp(&back, &value, sizeof back) != 0;
            char shortest[32];
            int digits = 1;
            while (snprintf(shortest, sizeof shortest, "%.*g", digits, (double)value),
                   (float)atof(shortest) < value || (float)atof(shortest) > value)
                ++digits;
            int used = 0, counted = 0;
            for (const char *at = text; *at && *at != 'e'; ++at) {
                counted |= *at >= '1' && *at <= '9';
                used += counted && *at != '.';
            }
            for (const char *at = text + strlen(text); at > text && at[-1] == '0' && !strchr(text, '.'); --at)
                --used;  // 120000 has zeros that do not count
            long_ones += used > digits;
        }
        CHECK_EQ(wrong, 0);
        CHECK_EQ(long_ones, 0);
    }
}

int main(void) {
    values();
    names();
    check();
    return test_report("options as text");
}
