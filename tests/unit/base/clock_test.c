#include "base/clock.h"
#include "test.h"

#include <sys/stat.h>

TEST(the_real_clock_never_goes_back) {
    const csti_clock *clock = csti_clock_real();
    uint64_t before_ns = csti_clock_now_ns(clock);

    for (int i = 0; i < 100000; i++) {
        const uint64_t now_ns = csti_clock_now_ns(clock);
        CHECK(now_ns >= before_ns);
        before_ns = now_ns;
    }
}

// The kernel stamps a new file with the same clock, at the resolution of its tick.
TEST(the_real_wall_clock_is_the_kernels_in_microseconds_since_1970) {
    const int64_t before_us = csti_clock_wall_us(csti_clock_real());
    FILE *file = tmpfile();
    struct stat status;
    int64_t file_us;

    CHECK(file != NULL);
    CHECK_EQ(fstat(fileno(file), &status), 0);
    file_us = (int64_t)status.st_mtim.tv_sec * 1000000 + status.st_mtim.tv_nsec / 1000;
    CHECK(file_us >= before_us - 1000000);
    CHECK(file_us <= csti_clock_wall_us(csti_clock_real()) + 1000000);
    CHECK_EQ(fclose(file), 0);
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
