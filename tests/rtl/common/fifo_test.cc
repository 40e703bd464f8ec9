// model: fifo_2 cst_fifo -GWidth=40 -GDepth=2
// model: fifo_13 cst_fifo -GWidth=40 -GDepth=13
#include "stream_test.hpp"

#include <Vfifo_13.h>
#include <Vfifo_2.h>

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

TEST_MAIN
