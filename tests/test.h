// test.h - what a test program needs, C99 and C++11.
//
//     static void addition(void) {
//         TEST("one and one are two") {
//             CHECK_EQ(1 + 1, 2);
//         }
//     }
//     int main(void) {
//         addition();
//         return test_report("addition");
//     }
//
// A test goes on after a failed check, and counts once however many of its checks fail. A test that makes no
// check fails: it proves nothing. SKIP inside a test skips that test, outside it counts on its own.
#ifndef SESSREC_TEST_H
#define SESSREC_TEST_H

#include <math.h>
#include <stdio.h>
#include <string.h>

#define TEST(name) for (test_begin(name); test_running(); test_end())
#define CHECK(condition) test_check((condition) ? 1 : 0, __FILE__, __LINE__, #condition)
#define CHECK_EQ(actual, expected)                                                                           \
  test_check_eq((long long)(actual), (long long)(expected), __FILE__, __LINE__, #actual)
#define CHECK_NEAR(actual, expected, tolerance) \
    test_check_near((double)(actual), (double)(expected), (double)(tolerance), __FILE__, __LINE__, #actual)
#define CHECK_TEXT(actual, expected) test_check_text((actual), (expected), __FILE__, __LINE__, #actual)
#define SKIP(what, why) test_skip((what), (why))

static struct {
    const char *name;               // of the running test, NULL between tests
    int checks, failures, skipped;  // in the running test
    int tests_passed, tests_failed, tests_skipped;
} test_state;

static inline void test_end(void) {
    if (!test_state.name) return;
    if (!test_state.checks && !test_state.skipped) {
        printf("FAILED  %s: it checks nothing\n", test_state.name);
        test_state.failures = 1;
    }
    if (test_state.failures) ++test_state.tests_failed;
    else if (test_state.skipped) ++test_state.tests_skipped;
    else ++test_state.tests_passed;
    test_state.name = NULL;
    fflush(stdout);  // so that a crash in the next test does not take the messages of this one with it
}

// A body that was left by `break` or `return` never reached its end: it is counted here or in test_report.
static inline void test_begin(const char *name) {
    test_end();
    test_state.name = name;
    test_state.checks = test_state.failures = test_state.skipped = 0;
}

static inline int test_running(void) {
    return test_state.name != NULL;
}

// A check that stands outside of a test counts as a test of its own.
static inline int test_record(int holds) {
    if (!test_state.name) {
        *(holds ? &test_state.tests_passed : &test_state.tests_failed) += 1;
        return holds;
    }
    ++test_state.checks;
    if (!holds) ++test_state.failures;
    return holds;
}

// Where a failed check stands; the caller goes on with what it saw.
static inline void test_place(const char *file, int line, const char *text) {
    printf("FAILED  %s\n        %s:%d: %s", test_state.name ? test_state.name : "(outside of a test)", file,
           line, text);
}

static inline void test_check(int holds, const char *file, int line, const char *text) {
    if (test_record(holds)) return;
    test_place(file, line, text);
    printf("\n");
}

static inline void test_check_eq(long long actual, long long expected, const char *file, int line,
                                 const char *text) {
    if (test_record(actual == expected)) return;
    test_place(file, line, text);
    printf(" is %lld, not %lld\n", actual, expected);
}

static inline void test_check_near(double actual, double expected, double tolerance, const char *file,
                                   int line, const char *text) {
    // The first comparison lets equal infinities pass; with a NaN neither holds.
    if (test_record(actual >= expected && actual <= expected
                        ? 1
                        : fabs(actual - expected) <= tolerance * (1 + fabs(expected))))
        return;
    test_place(file, line, text);
    printf(" is %.9g, not %.9g (tolerance %g)\n", actual, expected, tolerance);
}

static inline void test_check_text(const char *actual, const char *expected, const char *file, int line,
                                   const char *text) {
    int same = actual && expected ? !strcmp(actual, expected) : actual == expected;
    if (test_record(same)) return;
    test_place(file, line, text);
    printf(" is \"%s\", not \"%s\"\n", actual ? actual : "(NULL)", expected ? expected : "(NULL)");
}

static inline void test_skip(const char *what, const char *why) {
    printf("skipped %s: %s\n", what, why);
    if (test_state.name) test_state.skipped = 1;
    else ++test_state.tests_skipped;
}

// The closing line, and what main returns.
static inline int test_report(const char *subject) {
    test_end();
    if (test_state.tests_failed) printf("%s: FAILED\n", subject);
    printf("%d passed, %d failed, %d skipped\n", test_state.tests_passed, test_state.tests_failed,
           test_state.tests_skipped);
    return test_state.tests_failed ? 1 : 0;
}

#endif // SESSREC_TEST_H
