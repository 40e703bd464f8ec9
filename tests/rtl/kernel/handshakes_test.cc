// model: kernel
// ap_ctrl_chain and the interrupt, at the kernel's own registers: a start is taken once, done waits
// for continue, the next run may begin before that, and nothing of it is left after a soft reset.
#include "kernel.hpp"

namespace {

enum : uint32_t { ON_DONE = 1, ON_READY = 2 };

// A run of one command, which ends it.
void run_to_end(Kernel &kernel) {
    kernel.put(Kernel::of(OP_END));
    Completion done;
    CHECK(kernel.wait_done(&done));
    CHECK_EQ(done.code, CST_OK);
}

void wait_interrupt(Kernel &kernel) {
    for (uint32_t i = 0; !kernel.interrupt(); i++) {
        CHECK(i < 20000);
        kernel.bench.tick();
    }
}

} // namespace

TEST(a_start_is_taken_once_and_done_stays_until_continue) {
    repeat(3, [] {
        Kernel kernel;

        while (kernel.read(CTRL) & CTRL_START) kernel.bench.tick(); // until the unit is ready
        (void)kernel.read(CTRL);                                    // that may have shown ready
        CHECK_EQ(kernel.read(CTRL), 0);
        run_to_end(kernel);
        kernel.wait_run_end();
        CHECK_EQ(kernel.read(CTRL), CTRL_DONE | CTRL_IDLE);
        kernel.bench.run(test_random_below(300));
        CHECK_EQ(kernel.read(CTRL), CTRL_DONE | CTRL_IDLE);
        kernel.write(CTRL, CTRL_CONTINUE);
        CHECK_EQ(kernel.read(CTRL), CTRL_IDLE);
        CHECK_EQ(kernel.read(COMPLETED), 1);
        kernel.start();
        kernel.check_works();
    });
}

TEST(ready_is_shown_to_one_read_of_each_start) {
    Kernel kernel;

    for (uint32_t run = 0; run < 3; run++) {
        for (uint32_t i = 0; !(kernel.read(CTRL) & CTRL_READY); i++) CHECK(i < 2000);
        for (uint32_t i = 0; i < 20; i++) CHECK_EQ(kernel.read(CTRL) & CTRL_READY, 0);
        run_to_end(kernel);
        kernel.wait_run_end();
        CHECK_EQ(kernel.read(CTRL) & CTRL_READY, 0);
        kernel.write(CTRL, CTRL_CONTINUE);
        kernel.start();
    }
}

// The next run begins while the last one's done was not acknowledged; its own done waits for that.
TEST(a_run_begins_before_continue_and_its_done_waits) {
    Kernel kernel;

    run_to_end(kernel);
    kernel.wait_run_end();
    kernel.start();
    kernel.check_works();
    run_to_end(kernel);
    for (uint32_t i = 0; kernel.read(STATUS) & RUNNING; i++) {
        CHECK(i < 1000);
        kernel.bench.run(20);
    }
    // XRT may take its time before it acknowledges the first.
    kernel.bench.run(1000);
    CHECK_EQ(kernel.read(CTRL) & (CTRL_DONE | CTRL_IDLE), CTRL_DONE); // of the first; not idle
    kernel.write(CTRL, CTRL_CONTINUE);
    CHECK_EQ(kernel.read(CTRL) & CTRL_DONE, CTRL_DONE); // of the second
    kernel.write(CTRL, CTRL_CONTINUE);
    CHECK_EQ(kernel.read(CTRL) & (CTRL_DONE | CTRL_IDLE), CTRL_IDLE);
}

// A start is written while a run is under way: it is taken, with what the arguments are then, when
// that has ended.
TEST(a_start_written_in_a_run_is_the_next_run) {
    Kernel kernel;

    CHECK_EQ(kernel.load().code, CST_OK);
    kernel.argument(4, 17); // ring bits that cannot be
    kernel.write(CTRL, CTRL_START);
    kernel.check_works();
    CHECK_EQ(kernel.read(CTRL) & CTRL_START, CTRL_START);
    run_to_end(kernel);
    kernel.wait_run_end();
    kernel.write(CTRL, CTRL_CONTINUE);
    kernel.wait_run_end();
    CHECK_EQ(kernel.read(STATUS) >> 16 & 255, CST_USAGE);
    CHECK_EQ(kernel.read(CTRL) & CTRL_START, 0);
}

TEST(the_interrupt_comes_with_what_is_enabled_and_goes_when_it_is_acknowledged) {
    for (uint32_t enabled = 0; enabled < 4; enabled++) {
        Kernel kernel;

        run_to_end(kernel);
        kernel.wait_run_end();
        kernel.write(CTRL, CTRL_CONTINUE);
        CHECK(!kernel.interrupt());
        CHECK_EQ(kernel.read(ISR), 0);
        kernel.write(IER, enabled);
        kernel.start(); // not enabled as a whole yet
        if (enabled & ON_READY)
            for (uint32_t i = 0; kernel.read(ISR) != ON_READY; i++) CHECK(i < 1000);
        CHECK(!kernel.interrupt());
        kernel.write(GIE, 1);
        kernel.bench.run(4);
        CHECK_EQ(kernel.interrupt(), (enabled & ON_READY) != 0);
        kernel.write(ISR, kernel.read(ISR));
        kernel.bench.run(4);
        CHECK(!kernel.interrupt());
        run_to_end(kernel);
        if (enabled & ON_DONE) wait_interrupt(kernel);
        kernel.wait_run_end();
        kernel.bench.run(4);
        CHECK_EQ(kernel.read(ISR), enabled & ON_DONE);
        CHECK_EQ(kernel.interrupt(), (enabled & ON_DONE) != 0);
        kernel.write(ISR, kernel.read(ISR));
        kernel.bench.run(4);
        CHECK(!kernel.interrupt());
    }
}

// Vitis has it so: a bit that comes between a read and its write back stays.
TEST(writing_1_to_isr_toggles_what_stands_there) {
    Kernel kernel;

    run_to_end(kernel);
    kernel.wait_run_end();
    kernel.write(CTRL, CTRL_CONTINUE);
    kernel.write(GIE, 1);
    kernel.write(ISR, ON_DONE | ON_READY);
    CHECK_EQ(kernel.read(ISR), ON_DONE | ON_READY);
    wait_interrupt(kernel);
    kernel.write(ISR, ON_READY);
    CHECK_EQ(kernel.read(ISR), ON_DONE);
    kernel.write(ISR, ON_DONE);
    CHECK_EQ(kernel.read(ISR), 0);
    kernel.write(IER, ON_DONE | ON_READY);
    kernel.start();
    for (uint32_t i = 0; kernel.read(ISR) != ON_READY; i++) CHECK(i < 1000);
    run_to_end(kernel);
    kernel.wait_run_end();
    kernel.write(ISR, ON_READY); // what was read before done came
    CHECK_EQ(kernel.read(ISR), ON_DONE);
    CHECK(kernel.interrupt());
}

// Whoever sleeps until the interrupt is woken by a run that is lost, too.
TEST(a_lost_run_interrupts_like_one_that_ends) {
    for (uint32_t port : {uint32_t(BATCH_PORT), 3u}) {
        Kernel kernel;

        kernel.write(IER, ON_DONE);
        kernel.write(GIE, 1);
        CHECK_EQ(kernel.load().code, CST_OK);
        kernel.fail(port, false, AxiDecerr, 0);
        kernel.put(kernel.rows(60, KIND_UPSERT));
        wait_interrupt(kernel);
        CHECK_EQ(kernel.read(STATUS) & (RUNNING | LOST), LOST);
        CHECK(kernel.read(CTRL) & CTRL_DONE);
        kernel.soft_reset();
        CHECK(!kernel.interrupt());
        kernel.check_works();
    }
}

// Done, ready, a start that waits, the interrupt: none is of the next run.
TEST(a_soft_reset_takes_all_handshakes_back) {
    repeat(4, [] {
        Kernel kernel;
        const bool ends = test_random_below(2);

        kernel.write(IER, ON_DONE | ON_READY);
        kernel.write(GIE, 1);
        if (ends) run_to_end(kernel);
        if (ends && test_random_below(2)) kernel.wait_run_end();
        if (test_random_below(2)) kernel.write(CTRL, CTRL_START);
        kernel.soft_reset(); // checks that it is idle, and nothing else
        CHECK_EQ(kernel.read(GIE), 1);
        CHECK_EQ(kernel.read(IER), ON_DONE | ON_READY);
        kernel.check_works();
        CHECK_EQ(kernel.read(ISR), ON_READY);
        CHECK_EQ(kernel.read(CTRL) & CTRL_DONE, 0);
    });
}

// It waits there until memory has answered what it owes to the run before.
TEST(a_start_right_behind_a_soft_reset_waits_for_it) {
    repeat(4, [] {
        Kernel kernel;

        CHECK_EQ(kernel.load().code, CST_OK);
        kernel.fail(uint32_t(test_random_below(PORTS)), false, AxiSlverr, test_random_below(4));
        kernel.put(kernel.rows(100, KIND_UPSERT));
        kernel.bench.run(test_random_below(1500));
        kernel.write(CTRL, CTRL_SOFT_RESET);
        kernel.no_faults();
        kernel.start();
        kernel.check_works();
    });
}

TEST_MAIN
