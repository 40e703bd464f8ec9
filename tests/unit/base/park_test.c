#define _GNU_SOURCE 1 // RUSAGE_THREAD
#include "base/park.h"

#include "base/clock.h"
#include "test.h"

#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>

TEST(a_wake_that_comes_first_is_kept_once) {
    csti_parker parker;

    csti_parker_init(&parker);
    csti_unpark(&parker);
    csti_unpark(&parker);
    csti_park(&parker);
    CHECK(!csti_park_until(&parker, 0));
}

TEST(a_deadline_in_the_past_still_takes_a_token) {
    csti_parker parker;

    csti_parker_init(&parker);
    csti_unpark(&parker);
    CHECK(csti_park_until(&parker, 0));
    CHECK(!csti_park_until(&parker, 0));
    CHECK_EQ(atomic_load(&parker.state), CSTI_PARK_EMPTY);
}

static long sleeps_of_this_thread(void) {
    struct rusage usage;
    CHECK_EQ(getrusage(RUSAGE_THREAD, &usage), 0);
    return usage.ru_nvcsw;
}

TEST(a_deadline_ends_the_wait_and_not_before_its_time) {
    const uint64_t deadline_ns = csti_clock_now_ns(csti_clock_real()) + 20000000;
    const long sleeps_count = sleeps_of_this_thread();
    csti_parker parker;

    csti_parker_init(&parker);
    CHECK(!csti_park_until(&parker, deadline_ns));
    CHECK(sleeps_of_this_thread() > sleeps_count); // it waited in the kernel, not in a loop
    CHECK(csti_clock_now_ns(csti_clock_real()) >= deadline_ns);
    CHECK_EQ(atomic_load(&parker.state), CSTI_PARK_EMPTY);
}

typedef struct pair {
    csti_parker there, back;
    csti_park_fd there_fd, back_fd;
    uint64_t
        value; // handed over by the wakes alone: the sanitizer sees a race if they do not order
} pair;

static void *park_once(void *context) {
    pair *both = context;

    csti_park(&both->there);
    CHECK_EQ(both->value, 42);
    return NULL;
}

TEST(a_thread_that_sleeps_in_the_kernel_is_woken) {
    static pair both;
    pthread_t thread;

    csti_parker_init(&both.there);
    CHECK_EQ(pthread_create(&thread, NULL, park_once, &both), 0);
    while (atomic_load(&both.there.state) != CSTI_PARK_PARKED) (void)sched_yield();
    both.value = 42;
    csti_unpark(&both.there);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(atomic_load(&both.there.state), CSTI_PARK_EMPTY);
}

enum { ROUNDS_COUNT = 20000 };

static void *answer(void *context) {
    pair *both = context;

    for (uint64_t round = 0; round < ROUNDS_COUNT; round++) {
        csti_park(&both->there);
        CHECK_EQ(both->value, 2 * round);
        both->value = 2 * round + 1;
        csti_unpark(&both->back);
    }
    return NULL;
}

TEST(no_wake_is_lost_between_two_threads) {
    static pair both;
    pthread_t thread;

    csti_parker_init(&both.there);
    csti_parker_init(&both.back);
    CHECK_EQ(pthread_create(&thread, NULL, answer, &both), 0);
    for (uint64_t round = 0; round < ROUNDS_COUNT; round++) {
        both.value = 2 * round;
        csti_unpark(&both.there);
        csti_park(&both.back);
        CHECK_EQ(both.value, 2 * round + 1);
    }
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

TEST(an_fd_is_readable_exactly_while_a_token_is_there) {
    csti_park_fd parker;
    struct pollfd entry = {.events = POLLIN};

    CHECK_OK(csti_park_fd_open(&parker, NULL));
    entry.fd = parker.fd;
    CHECK_EQ(poll(&entry, 1, 0), 0);
    CHECK(!csti_park_fd_wait(&parker, 0));
    csti_park_fd_wake(&parker);
    csti_park_fd_wake(&parker);
    CHECK_EQ(poll(&entry, 1, 0), 1);
    CHECK(csti_park_fd_wait(&parker, -1));
    CHECK_EQ(poll(&entry, 1, 0), 0);
    CHECK(!csti_park_fd_wait(&parker, 1));
    csti_park_fd_close(&parker);
    CHECK_EQ(parker.fd, -1);
    csti_park_fd_close(&parker);
}

static void *answer_by_fd(void *context) {
    pair *both = context;

    for (uint64_t round = 0; round < ROUNDS_COUNT; round++) {
        CHECK(csti_park_fd_wait(&both->there_fd, -1));
        csti_park_fd_wake(&both->back_fd);
    }
    return NULL;
}

TEST(no_wake_is_lost_between_two_threads_by_fd) {
    static pair both;
    pthread_t thread;

    CHECK_OK(csti_park_fd_open(&both.there_fd, NULL));
    CHECK_OK(csti_park_fd_open(&both.back_fd, NULL));
    CHECK_EQ(pthread_create(&thread, NULL, answer_by_fd, &both), 0);
    for (uint64_t round = 0; round < ROUNDS_COUNT; round++) {
        csti_park_fd_wake(&both.there_fd);
        CHECK(csti_park_fd_wait(&both.back_fd, 60000));
    }
    CHECK_EQ(pthread_join(thread, NULL), 0);
    csti_park_fd_close(&both.there_fd);
    csti_park_fd_close(&both.back_fd);
}

TEST_MAIN
