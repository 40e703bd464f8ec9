// model: skid cst_skid -GWidth=40
#include "stream_test.hpp"

#include <Vskid.h>

TEST(items_pass_in_order_whatever_stalls) {
    stream_random<Vskid>();
}

TEST(an_item_a_clock_with_latency_1) {
    stream_full_rate<Vskid>();
}

TEST(ready_does_not_follow_the_output_in_the_same_clock) {
    StreamRun<Vskid> run(Stalls::none(), Stalls::none());
    Vskid &top = *run.bench.operator->();

    run.bench.reset();
    for (int i = 0; i < 200; i++) {
        for (int j = 0; j < 4; j++) {
            const CData ready = top.in_ready_o, valid = top.out_valid_o;
            top.out_ready_i = CData(j & 1);
            top.eval();
            CHECK_EQ(top.in_ready_o, ready);
            CHECK_EQ(top.out_valid_o, valid);
        }
        if (i % 3 == 0) run.in.push(uint64_t(i));
        run.bench.tick();
    }
}

TEST(an_offer_that_is_withdrawn_is_caught) {
    // The model's own assertion stands guard over what drives it.
    VerilatedContext context;
    context.fatalOnError(false);
    Vskid top(&context);
    auto clock = [&](CData reset, CData valid) {
        top.rst_ni = reset;
        top.in_valid_i = valid;
        for (CData level : {0, 1}) {
            top.clk_i = level;
            top.eval();
        }
    };
    top.out_ready_i = 0;
    clock(0, 0);
    clock(0, 0);
    for (int i = 0; i < 4; i++) clock(1, 1);
    CHECK(!context.gotError());
    clock(1, 0);
    CHECK(context.gotError());
}

TEST(a_reset_at_any_clock_empties_it) {
    stream_reset<Vskid>();
}

TEST_MAIN
