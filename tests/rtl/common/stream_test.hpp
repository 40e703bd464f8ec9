// stream_test.hpp: what every queue between a valid/ready input and output promises.
#ifndef CST_RTL_STREAM_TEST_HPP
#define CST_RTL_STREAM_TEST_HPP

#include "bench.hpp"

constexpr uint64_t StreamMask = 0xffffffffff; // models are 40 bits wide

template <class Model> struct StreamRun {
    Bench<Model> bench;
    Source<uint64_t> in;
    Sink<uint64_t> out;

    StreamRun(Stalls in_stalls, Stalls out_stalls)
        : in(
              bench, bench->in_valid_i, bench->in_ready_o,
              [this](const uint64_t &item) { bench->in_data_i = item; }, in_stalls,
              [this] { bench->in_data_i = test_random() & StreamMask; }),
          out(
              bench, bench->out_valid_o, bench->out_ready_i,
              [this] { return uint64_t(bench->out_data_o); }, out_stalls) {}

    void compare(uint32_t items_count) {
        std::vector<uint64_t> items;

        bench.reset();
        for (uint32_t i = 0; i < items_count; i++) {
            items.push_back(test_random() & StreamMask);
            in.push(items[i]);
        }
        bench.run_until([&] { return out.items.size() == items_count; });
        bench.run(100); // nothing comes twice
        CHECK(out.items == items);
    }
};

template <class Model> void stream_random() {
    repeat(40, [] {
        const Stalls in = Stalls::drawn("in"), out = Stalls::drawn("out");
        StreamRun<Model>(in, out).compare(600);
    });
}

template <class Model> void stream_reset() {
    repeat(10, [] {
        const Stalls in = Stalls::drawn("in"), out = Stalls::drawn("out");
        StreamRun<Model> run(in, out);

        run.bench.reset();
        for (uint32_t i = 0; i < 8; i++) {
            for (uint32_t n = 0; n < 50; n++) run.in.push(test_random() & StreamMask);
            run.bench.run(test_random_below(40));
            run.in.clear();
            run.bench.reset(1);
            run.out.items.clear();
        }
        run.compare(20);
    });
}

template <class Model> void stream_full_rate() {
    StreamRun<Model> run(Stalls::none(), Stalls::none());

    run.compare(1000);
    CHECK_EQ(run.in.last_clock - run.in.first_clock, 999);
    CHECK_EQ(run.out.last_clock - run.out.first_clock, 999);
    CHECK_EQ(run.out.first_clock - run.in.first_clock, 1);
}

#endif
