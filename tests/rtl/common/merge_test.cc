// model: merge cst_merge -GPorts=5 -GWidth=40
#include "bench.hpp"

#include <Vmerge.h>

// Five sources on one vector of valid, ready and data; each item says its port and number.
struct MergeRun {
    static constexpr uint32_t Ports = 5;
    Bench<Vmerge> bench;
    CData valid[Ports] = {}, ready[Ports] = {};
    std::vector<std::unique_ptr<Source<uint64_t>>> in;
    struct Item {
        uint64_t data;
        uint32_t port;
        bool operator==(const Item &other) const {
            return data == other.data && port == other.port;
        }
    };
    struct Wires : Part { // between the sources and the model's vectors
        MergeRun &run;
        explicit Wires(MergeRun &owner) : run(owner) {}
        void idle() override { run.bench->in_valid_i = 0; }
        void drive() override {
            run.bench->in_valid_i = 0;
            for (uint32_t p = 0; p < Ports; p++) run.bench->in_valid_i |= CData(run.valid[p] << p);
        }
        void sample() override {
            for (uint32_t p = 0; p < Ports; p++) run.ready[p] = run.bench->in_ready_o >> p & 1;
        }
    };
    std::vector<uint64_t> taken;
    std::unique_ptr<Wires> drive_wires, sample_wires;
    Sink<Item> out;

    MergeRun(bool stalls)
        : out(
              bench, bench->out_valid_o, bench->out_ready_i,
              [this] {
                  return Item{bench->out_data_o, bench->out_port_o};
              },
              stalls ? Stalls::drawn("out") : Stalls::none()) {
        sample_wires = std::make_unique<Wires>(*this);
        bench.add(sample_wires.get()); // samples before the sources do
        for (uint32_t p = 0; p < Ports; p++)
            in.push_back(std::make_unique<Source<uint64_t>>(
                bench, valid[p], ready[p], [this, p](const uint64_t &item) { put(p, item); },
                stalls ? Stalls::drawn("in" + std::to_string(p)) : Stalls::none()));
        drive_wires = std::make_unique<Wires>(*this);
        bench.add(drive_wires.get()); // drives after the sources did
    }

    void put(uint32_t p, uint64_t item) {
        for (uint32_t bit = 0; bit < 40; bit++) {
            const uint32_t at = p * 40 + bit;
            bench->in_data_i[at / 32] &= ~(EData(1) << at % 32);
            bench->in_data_i[at / 32] |= EData(item >> bit & 1) << at % 32;
        }
    }
};

TEST(every_port_keeps_its_order_and_nothing_is_lost) {
    repeat(30, [] {
        MergeRun run(true);
        std::vector<uint64_t> given[MergeRun::Ports];

        run.bench.reset();
        for (uint32_t i = 0; i < 800; i++) {
            const uint32_t port = uint32_t(test_random_below(MergeRun::Ports));
            given[port].push_back(test_random() & 0xffffffffff);
            run.in[port]->push(given[port].back());
        }
        run.bench.run_until([&] { return run.out.items.size() == 800; });
        run.bench.run(50);
        CHECK_EQ(run.out.items.size(), 800);
        for (uint32_t port = 0; port < MergeRun::Ports; port++) {
            std::vector<uint64_t> came;
            for (const MergeRun::Item &item : run.out.items)
                if (item.port == port) came.push_back(item.data);
            CHECK(came == given[port]);
        }
    });
}

TEST(an_item_a_clock_and_every_port_in_turn) {
    MergeRun run(false);

    run.bench.reset();
    for (uint32_t i = 0; i < 500; i++)
        for (uint32_t port = 0; port < MergeRun::Ports; port++) run.in[port]->push(i);
    run.bench.run_until([&] { return run.out.items.size() == 2500; });
    CHECK_EQ(run.out.last_clock - run.out.first_clock, 2499);
    for (size_t i = MergeRun::Ports; i < 2500; i++)
        CHECK_EQ(run.out.items[i].port, run.out.items[i - MergeRun::Ports].port);
}

TEST(one_port_alone_gets_every_clock) {
    MergeRun run(false);

    run.bench.reset();
    for (uint32_t i = 0; i < 500; i++) run.in[3]->push(i);
    run.bench.run_until([&] { return run.out.items.size() == 500; });
    CHECK_EQ(run.out.last_clock - run.out.first_clock, 499);
    for (const MergeRun::Item &item : run.out.items) CHECK_EQ(item.port, 3);
}

TEST_MAIN
