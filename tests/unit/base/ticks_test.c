#include "base/ticks.h"
#include "test.h"

TEST(ticks_never_go_down) {
    uint64_t before = csti_ticks();

    for (int i = 0; i < 100000; i++) {
        const uint64_t now = csti_ticks();
        CHECK(now >= before);
        before = now;
    }
}

TEST(ticks_run_at_a_rate_that_processors_have) {
    const double rate = csti_ticks_per_ns();

    CHECK(rate > 0.01);
    CHECK(rate < 10.0);
}

TEST(a_spin_adds_once_a_cycle_asked_for) {
    CHECK_EQ(csti_ticks_spin_cycles(0), 0);
    CHECK_EQ(csti_ticks_spin_cycles(16), 16);
    CHECK_EQ(csti_ticks_spin_cycles(1600000), 1600000);
}

TEST_MAIN
