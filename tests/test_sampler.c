// That negative samples come as often as support^alpha says, for any catalogue.
#define SESSREC_IMPLEMENTATION
#include "models.h"

// ---- how often items come ---------------------------------------------------------------------------------

static sessrec_sampler *sampler_for(const int64_t *support, int32_t items, double alpha) {
    sessrec_sampler *sampler = NULL;
    CHECK_EQ(sessrec_sampler_create(support, items, (float)alpha, NULL, &sampler, NULL), SESSREC_OK);
    return sampler;
}

static double weight(int64_t support, double alpha) {
    return support > 0 ? pow((double)support, alpha) : 0;
}

// What a sum of squared deviations over so many independent classes does not exceed but once in a million:
// about mean + 5 deviations.
static double chi_square_limit(int classes) {
    const double freedom = classes - 1;
    return freedom + 5 * sqrt(2 * freedom) + 12;
}

// Draws, and compares how often each class of items comes with how often it should. class_of [items] numbers
// the classes; NULL: each item is one. Returns chi square; a class that cannot come and does makes it
// infinite.
static double chi_square(const int64_t *support, int32_t items, double alpha, const int32_t *class_of,
                         int classes, int64_t draws, uint64_t seed) {
    sessrec_sampler *sampler = sampler_for(support, items, alpha);
    double *expected = (double *)calloc((size_t)classes, sizeof *expected), sum = 0, result = 0;
    int64_t *count = (int64_t *)calloc((size_t)classes, sizeof *count);
    for (int32_t i = 0; i < items; ++i) {
        const double w = weight(support[i], alpha);
        expected[class_of ? class_of[i] : i] += w;
        sum += w;
    }
    for (int64_t d = 0; d < draws; ++d) {
        const int32_t item = sessrec_sampler_draw(sampler, seed, (uint64_t)d);
        count[class_of ? class_of[item] : item]++;
    }
    for (int c = 0; c < classes; ++c) {
        const double want = expected[c] / sum * (double)draws, off = (double)count[c] - want;
        if (want > 0) result += off * off / want;
        else if (count[c]) result = INFINITY;
    }
    free(expected);
    free(count);
    sessrec_sampler_destroy(sampler);
    return result;
}

static void small_catalogues(void) {
    static const double alpha[4] = {0, 0.5, 0.75, 1};
    static const int64_t one[1] = {17}, two[2] = {1, 3}, five[5] = {100, 1, 0, 30, 7},
                         twelve[12] = {0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 0};
    TEST("items come as often as support^alpha says, for alpha 0, 0.5, 0.75 and 1") {
        for (int a = 0; a < 4; ++a) {
            CHECK(chi_square(two, 2, alpha[a], NULL, 2, 200000, 1) < chi_square_limit(2));
            CHECK(chi_square(five, 5, alpha[a], NULL, 5, 200000, 2) < chi_square_limit(5));
            CHECK(chi_square(twelve, 12, alpha[a], NULL, 12, 200000, 3) < chi_square_limit(12));
        }
    }
    TEST("a catalogue of one item gives that item") {
        CHECK_NEAR(chi_square(one, 1, 0.5, NULL, 1, 1000, 1), 0, 0);
    }
    TEST("the comparison notices another alpha") {
        sessrec_sampler *sampler = sampler_for(two, 2, 1);
        int64_t count = 0;
        for (uint64_t d = 0; d < 100000; ++d) count += sessrec_sampler_draw(sampler, 1, d);
        CHECK_NEAR((double)count / 100000, 0.75, 0.005);  // with alpha 0.5 it would be 0.634
        sessrec_sampler_destroy(sampler);
    }
    TEST("a random catalogue of hundreds of items") {
        int64_t support[700];
        uint32_t random = 521288629u;
        for (int i = 0; i < 700; ++i) support[i] = 1 + random_below(&random, 1000);
        for (int a = 0; a < 4; ++a)
            CHECK(chi_square(support, 700, alpha[a], NULL, 700, 700000, 5) < chi_square_limit(700));
    }
}

// ---- large and skewed catalogues --------------------------------------------------------------------------

static void large_catalogues(void) {
    enum { ITEMS = 10000000, BINS = 200, DRAWS = 1000000 };
    TEST("ten million items with a heavy tail, in 200 groups from the head to the tail") {
        // Item i has support 1 + 10^7 / (i + 1), as clicks are distributed. Groups of about the same
        // probability each.
        int64_t *support = (int64_t *)malloc(ITEMS * sizeof *support);
        int32_t *bin = (int32_t *)malloc(ITEMS * sizeof *bin);
        double total = 0, before = 0;
        CHECK(support && bin);
        for (int32_t i = 0; i < ITEMS; ++i) total += weight(support[i] = 1 + ITEMS / (i + 1), 0.5);
        for (int32_t i = 0; i < ITEMS; ++i) {
            bin[i] = (int32_t)(before / total * BINS);
            before += weight(support[i], 0.5);
        }
        CHECK(chi_square(support, ITEMS, 0.5, bin, BINS, DRAWS, 9) < chi_square_limit(BINS));
        // Neighbors in the tail have the same support: they come equally often.
        for (int32_t i = 0; i < ITEMS; ++i) bin[i] = i < ITEMS / 2 ? 0 : 1 + i % 16;
        CHECK(chi_square(support, ITEMS, 0.5, bin, 17, DRAWS, 10) < chi_square_limit(17));
        free(support);
        free(bin);
    }
    TEST("in a catalogue of three thousand with a heavy head, every item of support 1 comes") {
        enum { SMALL = 3000 };
        static const double alpha[3] = {0.5, 0.75, 1};
        static int64_t support[SMALL];
        for (int i = 0; i < SMALL; ++i) support[i] = i == SMALL / 2 ? 60000 : 1;
        for (int a = 0; a < 3; ++a) {
            static unsigned char seen[SMALL];
            sessrec_sampler *sampler = sampler_for(support, SMALL, alpha[a]);
            int missing = 0;
            memset(seen, 0, sizeof seen);
            // 23 of each expected, or more
            for (uint64_t d = 0; d < 1500000; ++d) seen[sessrec_sampler_draw(sampler, 4, d)] = 1;
            for (int i = 0; i < SMALL; ++i) missing += !seen[i];
            CHECK_EQ(missing, 0);
            sessrec_sampler_destroy(sampler);
        }
    }
    TEST("one item of support 10^12 among a million of support 1") {
        enum { MANY = 1000001 };
        int64_t *support = (int64_t *)malloc(MANY * sizeof *support);
        int32_t *bin = (int32_t *)malloc(MANY * sizeof *bin);
        CHECK(support && bin);
        for (int32_t i = 0; i < MANY; ++i) {
            support[i] = i == 777777 ? 1000000000000 : 1;
            bin[i] = i == 777777 ? 0 : 1 + i / 50001;
        }
        sessrec_sampler *sampler = sampler_for(support, MANY, 1);
        int64_t rare = 0;
        for (uint64_t d = 0; d < 10000000; ++d) rare += sessrec_sampler_draw(sampler, 6, d) != 777777;
        CHECK(rare >= 1 && rare <= 30);  // 10 expected
        sessrec_sampler_destroy(sampler);
        // half the draws go to the million
        CHECK(chi_square(support, MANY, 0.5, bin, 21, 1000000, 7) < chi_square_limit(21));
        free(support);
        free(bin);
    }
}

// The running sums say exactly how likely each item is: draws x of 0 .. total-1 with sum[i-1] <= x < sum[i]
// give item i.
static void exactness(void) {
    enum { ITEMS = 5000 };
    static int64_t support[ITEMS];
    uint32_t random = 362436069u;
    for (int i = 0; i < ITEMS; ++i) support[i] = i % 7 == 3 ? 0 : 1 + (int64_t)exp(random_below(&random, 30));
    TEST("the share of each item is support^alpha over the sum to one in 2^62; with any support it is not 0, "
         "without it is") {
        static const double alpha[4] = {0, 0.5, 0.75, 1};
        for (int a = 0; a < 4; ++a) {
            sessrec_sampler *sampler = sampler_for(support, ITEMS, alpha[a]);
            double total = 0;
            int impossible = 0, lost = 0, off = 0;
            for (int i = 0; i < ITEMS; ++i) total += weight(support[i], alpha[a]);
            for (int i = 0; i < ITEMS; ++i) {
                const uint64_t share = sampler->sum[i] - (i ? sampler->sum[i - 1] : 0);
                const double expected = weight(support[i], alpha[a]) / total * 4611686018427387904.0;
                lost += support[i] > 0 && share == 0;
                impossible += support[i] == 0 && share != 0;
                off += !(fabs((double)share - expected) <= 1 + 1e-9 * expected);
            }
            CHECK_EQ(lost, 0);
            CHECK_EQ(impossible, 0);
            CHECK_EQ(off, 0);
            sessrec_sampler_destroy(sampler);
        }
    }
    TEST("an item of support 0 never comes, be it the first, the last or between others") {
        static const int64_t holes[9] = {0, 0, 5, 0, 1, 0, 0, 2, 0};
        sessrec_sampler *sampler = sampler_for(holes, 9, 0.5);
        int wrong = 0;
        for (uint64_t d = 0; d < 100000; ++d) wrong += holes[sessrec_sampler_draw(sampler, 3, d)] == 0;
        CHECK_EQ(wrong, 0);
        sessrec_sampler_destroy(sampler);
    }
    TEST("one draw, and many at once, find what a search from end to end finds") {
        enum { MANY = 20001 };
        static int32_t together[MANY];
        sessrec_sampler *sampler = sampler_for(support, ITEMS, 0.75);
        int wrong = 0;
        sessrec__sampler_draws(sampler, 8, 0, MANY, together);
        for (int32_t d = 0; d < MANY; ++d) {
            const uint64_t x = sessrec__mulhi(
                sessrec__draw(sessrec__key(8, SESSREC__STREAM_NEGATIVES), (uint64_t)d), sampler->total);
            int32_t item = 0;
            while (sampler->sum[item] <= x) ++item;
            wrong += sessrec_sampler_draw(sampler, 8, (uint64_t)d) != item || together[d] != item;
        }
        CHECK_EQ(wrong, 0);
        sessrec_sampler_destroy(sampler);
    }
}

// ---- draws are numbered -----------------------------------------------------------------------------------

static void draws(void) {
    enum { DRAWS = 2000 };
    static const int64_t support[6] = {5, 1, 4, 2, 3, 9};
    static int32_t forward[DRAWS];
    sessrec_sampler *sampler = sampler_for(support, 6, 0.5), *other = sampler_for(support, 6, 0.5);
    for (int d = 0; d < DRAWS; ++d) forward[d] = sessrec_sampler_draw(sampler, 42, (uint64_t)d);
    TEST("a draw is a function of seed and number, whatever was drawn before and by which sampler of these "
         "items") {
        int wrong = 0;
        for (int d = DRAWS - 1; d >= 0; --d)
            wrong += sessrec_sampler_draw(sampler, 42, (uint64_t)d) != forward[d];
        for (int d = 0; d < DRAWS; d += 3)
            wrong += sessrec_sampler_draw(other, 42, (uint64_t)d) != forward[d];
        CHECK_EQ(wrong, 0);
    }
    TEST("other seeds give other draws, as alike as chance has it") {
        int same = 0;
        double chance = 0, total = 0;
        for (int i = 0; i < 6; ++i) total += sqrt((double)support[i]);
        for (int i = 0; i < 6; ++i) chance += (double)support[i] / (total * total);
        for (int d = 0; d < DRAWS; ++d) same += sessrec_sampler_draw(sampler, 43, (uint64_t)d) == forward[d];
        CHECK(fabs(same - chance * DRAWS) < 5 * sqrt(DRAWS * chance * (1 - chance)));
    }
    TEST("neighboring draws are independent: pairs come as often as the product of their shares says") {
        enum { PAIRS = 60000 };
        double total = 0, chi = 0;
        int count[36] = {0};
        for (int i = 0; i < 6; ++i) total += sqrt((double)support[i]);
        for (uint64_t d = 0; d < PAIRS; ++d)
            count[sessrec_sampler_draw(sampler, 1, 2 * d) * 6 +
                  sessrec_sampler_draw(sampler, 1, 2 * d + 1)]++;
        for (int i = 0; i < 36; ++i) {
            const double want =
                PAIRS * sqrt((double)support[i / 6]) * sqrt((double)support[i % 6]) / (total * total);
            chi += (count[i] - want) * (count[i] - want) / want;
        }
        CHECK(chi < chi_square_limit(36));
    }
    TEST("numbers near the end of their range are as good as any") {
        int outside = 0;
        for (uint64_t d = 0; d < 1000; ++d) {
            const int32_t item = sessrec_sampler_draw(sampler, UINT64_MAX, UINT64_MAX - d);
            outside += item < 0 || item >= 6;
        }
        CHECK_EQ(outside, 0);
    }
    sessrec_sampler_destroy(sampler);
    sessrec_sampler_destroy(other);
}

static void refusals(void) {
    static const int64_t none[3] = {0, 0, 0}, negative[3] = {-5, 2, -1}, some[3] = {1, 2, 3};
    sessrec_sampler *sampler = NULL;
    TEST("nothing with support is NO_DATA") {
        CHECK_EQ(sessrec_sampler_create(none, 3, 0.5f, NULL, &sampler, NULL), SESSREC_NO_DATA);
        CHECK(sampler == NULL);
    }
    TEST("a support below 0 counts as none") {
        sampler = sampler_for(negative, 3, 0.5);
        int wrong = 0;
        for (uint64_t d = 0; d < 1000; ++d) wrong += sessrec_sampler_draw(sampler, 1, d) != 1;
        CHECK_EQ(wrong, 0);
        sessrec_sampler_destroy(sampler);
    }
    TEST("bad arguments are refused") {
        CHECK_EQ(sessrec_sampler_create(NULL, 3, 0.5f, NULL, &sampler, NULL), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_sampler_create(some, 0, 0.5f, NULL, &sampler, NULL), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_sampler_create(some, 3, -0.1f, NULL, &sampler, NULL), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_sampler_create(some, 3, 1.1f, NULL, &sampler, NULL), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_sampler_create(some, 3, (float)NAN, NULL, &sampler, NULL), SESSREC_INVALID_ARGUMENT);
        CHECK_EQ(sessrec_sampler_create(some, 3, 0.5f, NULL, NULL, NULL), SESSREC_INVALID_ARGUMENT);
        sessrec_sampler_destroy(NULL);
    }
    TEST("a failed allocation is OUT_OF_MEMORY and leaves nothing") {
        counting_memory memory = {0, 0, 0};
        sessrec_allocator allocator = counting_allocator(&memory);
        CHECK_EQ(sessrec_sampler_create(some, 3, 0.5f, &allocator, &sampler, NULL), SESSREC_OUT_OF_MEMORY);
        CHECK(sampler == NULL);
        memory.fail_from = -1;
        CHECK_EQ(sessrec_sampler_create(some, 3, 0.5f, &allocator, &sampler, NULL), SESSREC_OK);
        CHECK_EQ(memory.blocks, 1);
        sessrec_sampler_destroy(sampler);
        CHECK_EQ(memory.blocks, 0);
    }
}

int main(void) {
    small_catalogues();
    large_catalogues();
    exactness();
    draws();
    refusals();
    return test_report("the sampler");
}
