// Times in their order, against a plain list.
#include "stream/session_timers.h"

#include "test.h"

enum { TIMERS = 3000 };

typedef struct plain {
    int64_t due_us[TIMERS];
    uint32_t count;
} plain;

static void plain_take(plain *p, int64_t due_us) {
    uint32_t at = 0;

    while (at < p->count && p->due_us[at] != due_us) at++;
    CHECK(at < p->count);
    p->due_us[at] = p->due_us[--p->count];
}

static bool plain_is_due(const plain *p, int64_t now_us) {
    for (uint32_t at = 0; at < p->count; at++)
        if (p->due_us[at] <= now_us) return true;
    return false;
}

// Takes some; all that are due, where there are steps for it.
static void some_take(csti_timers *timers, plain *p, int64_t now_us, uint32_t steps) {
    csti_timer taken;
    int64_t before_us = INT64_MIN;

    do {
        CHECK_OK(csti_timers_take(timers, now_us, &steps, &taken, NULL));
        if (!taken.of) break;
        CHECK(taken.due_us <= now_us);
        CHECK(taken.due_us >= before_us);
        before_us = taken.due_us;
        plain_take(p, taken.due_us);
    } while (true);
    if (steps > 0) CHECK(!plain_is_due(p, now_us));
    if (plain_is_due(p, now_us)) CHECK(csti_timers_are_due(timers, now_us));
}

TEST(times_come_in_their_order_when_they_are_due) {
    static plain p;
    static const int64_t spreads_us[] = {1, 30, 5000, INT64_C(1) << 40};

    for (size_t s = 0; s < sizeof spreads_us / sizeof *spreads_us; s++) {
        int64_t now_us = -2 * spreads_us[s];
        csti_timers timers;

        p.count = 0;
        csti_timers_open(&timers);
        for (int round = 0; round < 300; round++) {
            for (uint64_t n = test_random_below(20); n > 0 && p.count < TIMERS; n--) {
                const int64_t due_us =
                    now_us + 1 + (int64_t)test_random_below((uint64_t)spreads_us[s]);

                CHECK_OK(csti_timers_put(&timers, (csti_timer){due_us, &p}, NULL));
                p.due_us[p.count++] = due_us;
            }
            now_us += (int64_t)test_random_below((uint64_t)spreads_us[s] / 4 + 2);
            some_take(&timers, &p, now_us, (uint32_t)test_random_below(40));
        }
        some_take(&timers, &p, INT64_MAX, UINT32_MAX);
        CHECK_EQ(p.count, 0);
        CHECK(!csti_timers_are_due(&timers, INT64_MAX));
        csti_timers_close(&timers);
    }
}

enum { A_TURN = 100, TURNS = 3000, TURN_US = 10000, WAIT_US = 3000000 };

// Each row begins a session that no other row goes on with, and is over WAIT_US later.
TEST(times_go_out_as_fast_as_they_come_in) {
    uint64_t waiting = 0, bytes_max = 0;
    csti_timers timers;
    csti_timer taken;

    csti_timers_open(&timers);
    for (int64_t now_us = 0; now_us < (int64_t)TURNS * TURN_US; now_us += TURN_US) {
        uint32_t steps = A_TURN + A_TURN / 2; // as sessions have them

        for (uint32_t i = 0; i < A_TURN; i++) {
            const int64_t due_us = now_us + WAIT_US + (int64_t)test_random_below(TURN_US);

            CHECK_OK(csti_timers_put(&timers, (csti_timer){due_us, &timers}, NULL));
        }
        waiting += A_TURN;
        do {
            CHECK_OK(csti_timers_take(&timers, now_us, &steps, &taken, NULL));
            waiting -= taken.of != NULL;
        } while (taken.of);
        if (csti_timers_bytes(&timers) > bytes_max) bytes_max = csti_timers_bytes(&timers);
    }
    CHECK(waiting < 2 * A_TURN * (WAIT_US / TURN_US));
    CHECK(bytes_max < 3 * A_TURN * (WAIT_US / TURN_US) * sizeof(csti_timer) + (1 << 18));
    while (waiting > 0) {
        uint32_t steps = 1;

        CHECK_OK(csti_timers_take(&timers, INT64_MAX, &steps, &taken, NULL));
        waiting -= taken.of != NULL;
    }
    CHECK_EQ(csti_timers_bytes(&timers), 0);
    csti_timers_close(&timers);
}

TEST_MAIN
