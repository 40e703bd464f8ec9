#include "base/clock.h"
#include "test.h"

TEST(the_real_clock_never_goes_back) {
    const csti_clock *clock = csti_clock_real();
    uint64_t before_ns = csti_clock_now_ns(clock);

    for (int i = 0; i < 100000; i++) {
        const uint64_t now_ns = csti_clock_now_ns(clock);
        CHECK(now_ns >= before_ns);
        before_ns = now_ns;
    }
}

TEST(the_real_wall_clock_counts_microseconds_since_1970) {
    const int64_t wall_us = csti_clock_wall_us(csti_clock_real());
    CHECK(wall_us > INT64_C(1700000000) * 1000000); // November 2023
    CHECK(wall_us < INT64_C(5000000000) * 1000000); // the year 2128
}

TEST(simulated_time_stands_still_until_told) {
    csti_clock_sim sim;

    csti_clock_sim_init(&sim, 5000);
    for (int i = 0; i < 10; i++) CHECK_EQ(csti_clock_now_ns(&sim.clock), 0);
    CHECK_EQ(csti_clock_wall_us(&sim.clock), 5000);
}

TEST(simulated_time_moves_both_clocks_by_what_it_is_told) {
    csti_clock_sim sim;

    csti_clock_sim_init(&sim, 5000);
    csti_clock_sim_advance(&sim, 1999);
    CHECK_EQ(csti_clock_now_ns(&sim.clock), 1999);
    CHECK_EQ(csti_clock_wall_us(&sim.clock), 5001);
    csti_clock_sim_advance(&sim, 1); // fractions of a microsecond are not lost
    CHECK_EQ(csti_clock_wall_us(&sim.clock), 5002);
}

TEST(a_step_of_the_wall_clock_leaves_durations_alone) {
    csti_clock_sim sim;

    csti_clock_sim_init(&sim, INT64_C(600000000));
    csti_clock_sim_advance(&sim, 7000);
    csti_clock_sim_step_wall(&sim, -INT64_C(600000000));
    CHECK_EQ(csti_clock_now_ns(&sim.clock), 7000);
    CHECK_EQ(csti_clock_wall_us(&sim.clock), 7);
}

TEST_MAIN
