// test.h: the tests' harness: named cases, checks that say both values, a seed that is printed.
//
//   TEST(seal_of_an_untouched_table_is_empty) { CHECK_EQ(delta.ranges_count, 0); }
//   TEST_MAIN
//
//   thing_test               runs every case
//   thing_test seal          those whose name holds "seal"
//   thing_test --list        names them
//   CST_SEED=7 thing_test    replays a random case
//
// A failed check prints file, line and values, and ends the program with status 1.
#ifndef CST_TEST_H
#define CST_TEST_H

#include <constellation/error.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct test_case {
    const char *name;
    void (*run)(void);
    struct test_case *next;
} test_case;

static test_case *test_cases;
static uint64_t test_seed_value;
static uint64_t test_random_state;
static const char *test_case_now = ""; // its name

#define TEST(NAME)                                                                                 \
    static void test_##NAME(void);                                                                 \
    __attribute__((constructor)) static void test_add_##NAME(void) {                               \
        static test_case entry = {#NAME, test_##NAME, NULL};                                       \
        entry.next = test_cases;                                                                   \
        test_cases = &entry;                                                                       \
    }                                                                                              \
    static void test_##NAME(void)

#define TEST_FAIL(...)                                                                             \
    do {                                                                                           \
        fprintf(stderr, "%s:%d: ", __FILE__, __LINE__);                                            \
        fprintf(stderr, __VA_ARGS__);                                                              \
        fprintf(stderr, "\n(CST_SEED=%" PRIu64 ")\n", test_seed_value);                            \
        fflush(stderr);                                                                            \
        exit(1);                                                                                   \
    } while (0)

#define CHECK(CONDITION)                                                                           \
    do {                                                                                           \
        if (!(CONDITION)) TEST_FAIL("CHECK(%s)", #CONDITION);                                      \
    } while (0)

#define CHECK_EQ(A, B)                                                                             \
    do {                                                                                           \
        const int64_t check_a = (int64_t)(A);                                                      \
        const int64_t check_b = (int64_t)(B);                                                      \
        if (check_a != check_b)                                                                    \
            TEST_FAIL("CHECK_EQ(%s, %s): %" PRId64 " (0x%" PRIx64 ") and %" PRId64 " (0x%" PRIx64  \
                      ")",                                                                         \
                      #A, #B, check_a, (uint64_t)check_a, check_b, (uint64_t)check_b);             \
    } while (0)

#define CHECK_CODE(CALL, WANTED)                                                                   \
    do {                                                                                           \
        const cst_code check_code = (CALL);                                                        \
        if (check_code != (WANTED))                                                                \
            TEST_FAIL("%s: %s, wanted %s", #CALL, cst_code_name(check_code),                       \
                      cst_code_name(WANTED));                                                      \
    } while (0)

#define CHECK_OK(CALL) CHECK_CODE(CALL, CST_OK)

#define CHECK_BYTES(A, B, COUNT)                                                                   \
    do {                                                                                           \
        const uint8_t *check_x = (const uint8_t *)(A);                                             \
        const uint8_t *check_y = (const uint8_t *)(B);                                             \
        for (size_t check_i = 0; check_i < (size_t)(COUNT); check_i++)                             \
            if (check_x[check_i] != check_y[check_i])                                              \
                TEST_FAIL("CHECK_BYTES(%s, %s): byte %zu is %02x and %02x", #A, #B, check_i,       \
                          check_x[check_i], check_y[check_i]);                                     \
    } while (0)

#define CHECK_TEXT(A, B)                                                                           \
    do {                                                                                           \
        if (strcmp((A), (B)) != 0) TEST_FAIL("CHECK_TEXT: \"%s\" and \"%s\"", (A), (B));           \
    } while (0)

// Under a sanitizer a step costs many times what it costs otherwise, and what it looks for is in
// the paths: tests of many steps, all of which are taken without one, take a share of them there.
#if defined(__SANITIZE_THREAD__)
#define TEST_SHARE(COUNT) ((COUNT) / 8)
#define TEST_EACH(STEP) ((STEP)*8) // every STEPth
#elif defined(__SANITIZE_ADDRESS__)
#define TEST_SHARE(COUNT) ((COUNT) / 4)
#define TEST_EACH(STEP) ((STEP)*4)
#else
#define TEST_SHARE(COUNT) (COUNT)
#define TEST_EACH(STEP) (STEP)
#endif

// The program is not run under ThreadSanitizer; what starts a thread in it belongs there.
#ifdef CST_TEST_WITHOUT_THREADS
int __wrap_pthread_create(void);
int __wrap_pthread_create(void) {
    TEST_FAIL("a thread is started: CST_TESTS_OF_THREADS in tests/CMakeLists.txt has to name "
              "%s",
              CST_TEST_NAME);
}
#endif

// Another thread makes it true; where processors are few it needs this one's.
#define TEST_WAIT_UNTIL(CONDITION)                                                                 \
    do {                                                                                           \
        while (!(CONDITION)) (void)usleep(200);                                                    \
    } while (0)

// splitmix64: every random test draws from here, so that its printed seed replays it.
static inline uint64_t test_random(void) {
    uint64_t z = (test_random_state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static inline uint64_t test_random_below(uint64_t bound) {
    return test_random() % bound;
}

static int test_main(int argc, char **argv) {
    const char *seed = getenv("CST_SEED");
    const char *pattern = argc > 1 ? argv[1] : "";
    const bool list = strcmp(pattern, "--list") == 0;
    int run_count = 0;
    test_case *in_order = NULL;

    test_seed_value = seed ? strtoull(seed, NULL, 0) : UINT64_C(20260101);
    while (test_cases) { // constructors put them last first
        test_case *entry = test_cases;
        test_cases = entry->next;
        entry->next = in_order;
        in_order = entry;
    }
    for (test_case *entry = in_order; entry; entry = entry->next) {
        if (list) {
            puts(entry->name);
            continue;
        }
        if (!strstr(entry->name, pattern)) continue;
        printf("%-64s ", entry->name);
        fflush(stdout);
        test_random_state = test_seed_value;
        test_case_now = entry->name;
        entry->run();
        puts("ok");
        run_count++;
    }
    if (!list) printf("%d cases, seed %" PRIu64 "\n", run_count, test_seed_value);
    return list || run_count > 0 ? 0 : 2;
}

#define TEST_MAIN                                                                                  \
    int main(int argc, char **argv) {                                                              \
        return test_main(argc, argv);                                                              \
    }

#endif
