// What a recovery is estimated at, and when a barrier is due for it.
#include "server/pace.h"

#include "test.h"

#define MS UINT64_C(1000000)
#define S (1000 * MS)

static const csti_pace_start START = {.target_ns = 10 * S,
                                      .threads = 2,
                                      .record_bytes = 40,
                                      .begin_ns = 100 * MS,
                                      .restore_ns = 2 * S};

TEST(the_estimate_is_beginning_restoring_and_doing_again) {
    const csti_pace_facts restored = {.chain_bytes_all = 300 << 20, .chain_bytes_max = 200 << 20};
    csti_pace_facts facts = restored;
    csti_pace pace;

    csti_pace_init(&pace, &START, &restored);
    CHECK_EQ(csti_pace_estimate_ns(&pace, &facts) / MS, 2100);
    facts.chain_bytes_all *= 2;
    facts.chain_bytes_max *= 2;
    facts.busy_ns = 3 * S;
    CHECK_EQ(csti_pace_estimate_ns(&pace, &facts) / MS, 100 + 4000 + 3000);
    csti_pace_sent(&pace, 7, 5 * S, facts.busy_ns);
    CHECK_EQ(csti_pace_estimate_ns(&pace, &facts) / MS, 7100); // not committed yet
    facts.busy_ns = 4 * S;
    csti_pace_committed(&pace, 7, 6 * S, facts.busy_ns);
    CHECK_EQ(csti_pace_estimate_ns(&pace, &facts) / MS, 100 + 4000 + 1000);
}

TEST(of_even_chains_as_many_are_restored_at_once_as_there_are_threads) {
    const csti_pace_facts restored = {.chain_bytes_all = 400 << 20, .chain_bytes_max = 100 << 20};
    csti_pace pace;

    csti_pace_init(&pace, &START, &restored); // 200 MiB a thread in 2 s
    const csti_pace_facts facts = {.chain_bytes_all = 100 << 20, .chain_bytes_max = 100 << 20};
    CHECK_EQ(csti_pace_estimate_ns(&pace, &facts) / MS, 1100);
}

TEST(without_a_restore_a_record_takes_as_long_as_a_row_took) {
    const csti_pace_facts nothing = {.rows = 0};
    csti_pace_facts facts = {.chain_bytes_all = 40000000, .chain_bytes_max = 40000000};
    csti_pace pace;

    csti_pace_init(&pace, &START, &nothing);
    CHECK_EQ(csti_pace_estimate_ns(&pace, &facts) / MS, 100 + 250); // 1M records
    facts.rows = 1000000;
    facts.busy_all_ns = 1 * S;
    CHECK_EQ(csti_pace_estimate_ns(&pace, &facts) / MS, 100 + 1000);
}

TEST(a_barrier_goes_before_a_recovery_would_take_the_target) {
    const csti_pace_facts nothing = {.rows = 0};
    csti_pace_facts facts = nothing;
    csti_pace pace;

    csti_pace_init(&pace, &START, &nothing);
    CHECK(!csti_pace_is_due(&pace, &facts, 5 * MS)); // never that close
    facts.busy_ns = 9 * S;
    CHECK(!csti_pace_is_due(&pace, &facts, 9 * S));
    facts.busy_ns = 9900 * MS;
    CHECK(csti_pace_is_due(&pace, &facts, 9900 * MS));
    csti_pace_sent(&pace, 1, 10 * S, facts.busy_ns);
    CHECK(!csti_pace_is_due(&pace, &facts, 10 * S + 20 * MS));
    facts.busy_ns += 500 * MS;
    csti_pace_committed(&pace, 1, 10 * S + 500 * MS, facts.busy_ns);
    facts.busy_ns += 8900 * MS; // and what is done while it commits
    CHECK(csti_pace_is_due(&pace, &facts, 19500 * MS));
}

TEST(an_idle_job_has_a_barrier_once_in_the_time_of_its_target) {
    const csti_pace_facts nothing = {.rows = 0};
    csti_pace pace;

    csti_pace_init(&pace, &START, &nothing);
    CHECK(!csti_pace_is_due(&pace, &nothing, 10 * S - 1));
    CHECK(csti_pace_is_due(&pace, &nothing, 10 * S));
}

TEST(a_target_that_a_restore_alone_takes_brings_no_storm_of_barriers) {
    const csti_pace_facts restored = {.chain_bytes_all = 2000 << 20, .chain_bytes_max = 1500 << 20};
    csti_pace_start start = START;
    csti_pace pace;

    start.restore_ns = 20 * S;
    csti_pace_init(&pace, &start, &restored);
    CHECK(csti_pace_is_out_of_reach(&pace, &restored));
    csti_pace_sent(&pace, 1, 10 * S, 0);
    csti_pace_committed(&pace, 1, 10 * S + 300 * MS, 0);
    CHECK(!csti_pace_is_due(&pace, &restored, 10 * S + 1199 * MS));
    CHECK(csti_pace_is_due(&pace, &restored, 10 * S + 1200 * MS));
}

TEST(barriers_that_were_given_up_and_those_above_the_limit_confuse_nothing) {
    const csti_pace_facts nothing = {.rows = 0};
    csti_pace_facts facts = nothing;
    csti_pace pace;

    csti_pace_init(&pace, &START, &nothing);
    for (uint64_t id = 1; id <= 2 * CSTI_PACE_BARRIERS_MAX; id++)
        csti_pace_sent(&pace, id, id * S, id * MS);
    csti_pace_committed(&pace, 50, 300 * S, 400 * MS);
    facts.busy_ns = 400 * MS;
    CHECK_EQ(csti_pace_estimate_ns(&pace, &facts) / MS, 100 + 350);
    csti_pace_committed(&pace, 2 * CSTI_PACE_BARRIERS_MAX, 300 * S, 400 * MS); // not followed
    CHECK_EQ(csti_pace_estimate_ns(&pace, &facts) / MS, 100 + 350);
    CHECK_EQ(pace.barriers_count, 0);
}

TEST_MAIN
