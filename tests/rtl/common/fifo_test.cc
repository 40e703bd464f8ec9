// model: fifo_2 cst_fifo -GWidth=40 -GDepth=2
// model: fifo_13 cst_fifo -GWidth=40 -GDepth=13
#include "stream_test.hpp"

#include <Vfifo_13.h>
#include <Vfifo_2.h>
#include <sys/wait.h>
#include <unistd.h>

TEST(items_pass_in_order_whatever_stalls) {
    stream_random<Vfifo_2>();
    stream_random<Vfifo_13>();
}

TEST(an_item_a_clock_with_latency_1) {
    stream_full_rate<Vfifo_2>();
    stream_full_rate<Vfifo_13>();
}

TEST(all_of_its_depth_is_used_and_fill_says_how_much) {
    StreamRun<Vfifo_13> run(Stalls::none(), Stalls::none());

    run.bench.reset();
    for (int fill = 0; fill < 13; fill++) { // by hand: nothing is taken
        run.bench->in_valid_i = 1;
        run.bench->out_ready_i = 0;
        for (CData level : {0, 1}) {
            run.bench->clk_i = level;
            run.bench->eval();
        }
        if (fill > 0) CHECK_EQ(run.bench->fill_o, fill);
    }
    CHECK_EQ(run.bench->in_ready_o, 1);
}

TEST(a_bench_that_fails_tells_its_draws_and_how_to_see_its_waves) {
    char text[4096] = {}, wanted[256];
    int ends[2], status = 0;

    fflush(stdout);
    CHECK_EQ(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], 2);
        const Stalls in = Stalls::drawn("in"), out = Stalls::drawn("out");
        StreamRun<Vfifo_2> run(in, out);
        run.bench.reset(7);
        TEST_FAIL("on purpose");
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    CHECK(read(ends[0], text, sizeof text - 1) > 0);
    CHECK(strstr(text, "at clock 7; stalls: in ") && strstr(text, " out "));
    snprintf(wanted, sizeof wanted,
             "\nwaves: CST_SEED=%" PRIu64 " CST_WAVES_FROM=0 scripts/waves rtl.common.fifo "
             "a_bench_that_fails_tells_its_draws_and_how_to_see_its_waves\n",
             test_seed_value);
    CHECK(strstr(text, wanted));
    close(ends[0]);
    close(ends[1]);
}

TEST(a_reset_at_any_clock_forgets_its_items) {
    stream_reset<Vfifo_2>();
    stream_reset<Vfifo_13>();
}

TEST_MAIN
