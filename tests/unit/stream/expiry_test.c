// When a walk is due, and how far it has come.
#include "stream/expiry.h"

#include "test.h"

enum { TTL = 800, ROWS = 16 };

static void check_step(csti_expiry *expiry, uint64_t buckets_count, uint64_t bucket,
                       uint32_t count) {
    cst_command command = {0};

    csti_expiry_step(expiry, buckets_count, &command);
    CHECK_EQ(command.ops, CST_OP_EXPIRE);
    CHECK_EQ(command.rows.now_us, expiry->now_us);
    CHECK_EQ(command.expire_bucket, bucket);
    CHECK_EQ(command.expire_buckets_count, count);
    CHECK(!csti_expiry_is_due(expiry, true)); // one at a time
    csti_expiry_stepped(expiry, &(cst_completion){.rows_done = count,
                                                  .position = (bucket + count) % buckets_count});
}

TEST(nothing_expires_without_a_ttl_or_before_the_time_is_known) {
    csti_expiry expiry;

    CHECK_OK(csti_expiry_open(&expiry, CST_TTL_NONE, CST_NO_COLUMN, 0, 5, NULL));
    csti_expiry_advance(&expiry, 100);
    CHECK(!csti_expiry_is_due(&expiry, true));
    CHECK_OK(csti_expiry_open(&expiry, TTL, CST_NO_COLUMN, 0, INT64_MIN, NULL));
    CHECK(!csti_expiry_is_due(&expiry, true));
    csti_expiry_advance(&expiry, 100);
    CHECK(csti_expiry_is_due(&expiry, false)); // what an earlier life left
    csti_expiry_close(&expiry);
}

TEST(a_walk_comes_round_in_steps_and_is_due_again_an_eighth_of_the_ttl_later) {
    const uint64_t buckets = CSTI_EXPIRY_BUCKETS + 8;
    csti_expiry expiry;

    CHECK_OK(csti_expiry_open(&expiry, TTL, CST_NO_COLUMN, 0, 1000, NULL));
    check_step(&expiry, buckets, 0, CSTI_EXPIRY_BUCKETS);
    CHECK(csti_expiry_is_due(&expiry, false));
    check_step(&expiry, buckets, CSTI_EXPIRY_BUCKETS, 8);
    CHECK(!csti_expiry_is_due(&expiry, true));
    csti_expiry_advance(&expiry, 1100);
    CHECK(!csti_expiry_is_due(&expiry, false));
    CHECK(csti_expiry_is_due(&expiry, true));
    csti_expiry_advance(&expiry, 1101);
    CHECK(csti_expiry_is_due(&expiry, false));
    csti_expiry_close(&expiry);
}

TEST(a_walk_that_begins_anew_sees_every_bucket_also_at_the_same_time) {
    csti_expiry expiry;

    CHECK_OK(csti_expiry_open(&expiry, TTL, CST_NO_COLUMN, 0, 1000, NULL));
    check_step(&expiry, 16, 0, 16);
    CHECK(!csti_expiry_is_due(&expiry, true));
    csti_expiry_restart(&expiry);
    CHECK(csti_expiry_is_due(&expiry, false));
    check_step(&expiry, 16, 0, 16);
    CHECK(!csti_expiry_is_due(&expiry, true));
    csti_expiry_close(&expiry);
}

TEST(time_never_goes_back_and_by_the_clock_it_is_every_rows) {
    csti_expiry expiry;
    cst_source source;

    CHECK_OK(csti_expiry_open(&expiry, TTL, 3, ROWS, INT64_MIN, NULL));
    CHECK(csti_expiry_by_clock(&expiry));
    csti_expiry_advance(&expiry, 2000);
    csti_expiry_advance(&expiry, 1500);
    CHECK_EQ(expiry.now_us, 2000);
    source = csti_expiry_source(&expiry);
    CHECK_EQ(source.type, CST_TYPE_TIMESTAMP);
    for (int r = 0; r < ROWS; r++) CHECK_EQ(((const int64_t *)source.values)[r], 2000);
    csti_expiry_close(&expiry);
}

TEST(times_at_the_end_of_all_time_overflow_nothing) {
    csti_expiry expiry;

    CHECK_OK(csti_expiry_open(&expiry, INT64_MAX, CST_NO_COLUMN, 0, INT64_MAX - 1, NULL));
    check_step(&expiry, 8, 0, 8);
    csti_expiry_advance(&expiry, INT64_MAX);
    CHECK(!csti_expiry_is_due(&expiry, false));
    csti_expiry_close(&expiry);
}

TEST_MAIN
