#include "base/spsc_ring.h"
#include "test.h"

#include <pthread.h>
#include <sched.h>

_Static_assert(offsetof(csti_spsc_ring, tail) % CSTI_SPSC_LINE_BYTES == 0, "a line of its own");
_Static_assert(offsetof(csti_spsc_ring, head) % CSTI_SPSC_LINE_BYTES == 0, "a line of its own");
_Static_assert(offsetof(csti_spsc_ring, head) != offsetof(csti_spsc_ring, tail), "two lines");

TEST(items_come_out_in_order_and_full_and_empty_are_said) {
    csti_spsc_ring ring;
    uint64_t item = 99;

    CHECK_OK(csti_spsc_ring_open(&ring, 4, sizeof item, NULL));
    CHECK(!csti_spsc_ring_pop(&ring, &item));
    CHECK_EQ(item, 99);
    for (uint64_t i = 0; i < 4; i++) CHECK(csti_spsc_ring_push(&ring, &i));
    CHECK(!csti_spsc_ring_push(&ring, &item));
    CHECK_EQ(csti_spsc_ring_count(&ring), 4);
    for (uint64_t i = 0; i < 4; i++) {
        CHECK(csti_spsc_ring_pop(&ring, &item));
        CHECK_EQ(item, i);
    }
    CHECK(!csti_spsc_ring_pop(&ring, &item));
    CHECK_EQ(csti_spsc_ring_count(&ring), 0);
    csti_spsc_ring_close(&ring);
}

TEST(a_slot_is_invisible_until_published_and_kept_until_consumed) {
    csti_spsc_ring ring;
    uint64_t *slot;

    CHECK_OK(csti_spsc_ring_open(&ring, 1, sizeof *slot, NULL));
    slot = csti_spsc_ring_slot(&ring);
    *slot = 5;
    CHECK(csti_spsc_ring_front(&ring) == NULL);
    csti_spsc_ring_publish(&ring);
    CHECK(csti_spsc_ring_front(&ring) == slot);
    CHECK(csti_spsc_ring_slot(&ring) == NULL);
    csti_spsc_ring_consume(&ring);
    CHECK(csti_spsc_ring_slot(&ring) == slot);
    csti_spsc_ring_close(&ring);
    csti_spsc_ring_close(&ring); // twice is allowed
}

TEST(capacity_is_rounded_up_to_a_power_of_two) {
    csti_spsc_ring ring;

    CHECK_OK(csti_spsc_ring_open(&ring, 5, 3, NULL));
    CHECK_EQ(csti_spsc_ring_capacity(&ring), 8);
    for (int i = 0; i < 8; i++) CHECK(csti_spsc_ring_push(&ring, "abc"));
    CHECK(!csti_spsc_ring_push(&ring, "abc"));
    csti_spsc_ring_close(&ring);
}

TEST(sizes_that_cannot_be_are_refused) {
    csti_spsc_ring ring;

    CHECK_CODE(csti_spsc_ring_open(&ring, 0, 8, NULL), CST_LIMIT);
    CHECK_CODE(csti_spsc_ring_open(&ring, 8, 0, NULL), CST_LIMIT);
    CHECK_CODE(csti_spsc_ring_open(&ring, UINT64_MAX, 8, NULL), CST_LIMIT);
    CHECK_CODE(csti_spsc_ring_open(&ring, 8, SIZE_MAX, NULL), CST_LIMIT);
    CHECK_CODE(csti_spsc_ring_open(&ring, (UINT64_C(1) << 31) + 1, 1, NULL), CST_LIMIT);
}

// A model: a plain array of what was pushed, over random runs of pushes and pops.
TEST(random_pushes_and_pops_equal_a_model) {
    csti_spsc_ring ring;
    uint64_t pushed_count = 0, popped_count = 0;

    CHECK_OK(csti_spsc_ring_open(&ring, 16, 24, NULL));
    for (int i = 0; i < 100000; i++) {
        uint64_t item[3] = {pushed_count, ~pushed_count, pushed_count * 3};
        if (test_random_below(2) == 0) {
            const bool room = pushed_count - popped_count < 16;
            CHECK_EQ(csti_spsc_ring_push(&ring, item), room);
            pushed_count += room;
        } else {
            const bool there = popped_count < pushed_count;
            CHECK_EQ(csti_spsc_ring_pop(&ring, item), there);
            if (!there) continue;
            CHECK_EQ(item[0], popped_count);
            CHECK_EQ(item[1], ~popped_count);
            CHECK_EQ(item[2], popped_count * 3);
            popped_count++;
        }
        CHECK_EQ(csti_spsc_ring_count(&ring), pushed_count - popped_count);
    }
    csti_spsc_ring_close(&ring);
}

enum { ITEMS_COUNT = 300000 };

static void *produce(void *context) {
    csti_spsc_ring *ring = context;

    for (uint64_t i = 0; i < ITEMS_COUNT; i++) {
        const uint64_t item[2] = {i, i * UINT64_C(0x9e3779b97f4a7c15)};
        while (!csti_spsc_ring_push(ring, item)) (void)sched_yield();
    }
    return NULL;
}

TEST(two_threads_keep_order_and_sum) {
    static csti_spsc_ring ring;
    pthread_t producer;
    uint64_t sum = 0;

    CHECK_OK(csti_spsc_ring_open(&ring, 64, 16, NULL));
    CHECK_EQ(pthread_create(&producer, NULL, produce, &ring), 0);
    for (uint64_t i = 0; i < ITEMS_COUNT; i++) {
        uint64_t item[2];
        while (!csti_spsc_ring_pop(&ring, item)) (void)sched_yield();
        CHECK_EQ(item[0], i);
        CHECK(csti_spsc_ring_count(&ring) <= 64);
        sum += item[1];
    }
    CHECK_EQ(pthread_join(producer, NULL), 0);
    CHECK_EQ(sum, UINT64_C(0x9e3779b97f4a7c15) * ((uint64_t)ITEMS_COUNT * (ITEMS_COUNT - 1) / 2));
    CHECK_EQ(csti_spsc_ring_count(&ring), 0);
    csti_spsc_ring_close(&ring);
}

TEST_MAIN
