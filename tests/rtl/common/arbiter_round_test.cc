// model: arbiter_round cst_arbiter_round -GPorts=5
#include "bench.hpp"

#include <Varbiter_round.h>
#include <algorithm>

constexpr uint32_t Ports = 5;

// Asks and takes by chance; the grant must be the next port behind the last that was taken.
class Askers : public Part {
  public:
    explicit Askers(Bench<Varbiter_round> &bench, uint32_t asking)
        : bench_(bench), asking_(asking) {
        bench.add(this);
    }

    uint32_t waited_most = 0, taken_count = 0;

    void idle() override {
        bench_->request_i = bench_->taken_i = 0;
        last_ = Ports - 1;
        std::fill(waited_, waited_ + Ports, 0);
    }
    void drive() override {
        for (uint32_t port = 0; port < Ports; port++) { // a port may withdraw, too
            if (test_random_below(4) != 0) continue;
            bench_->request_i &= CData(~(1u << port));
            bench_->request_i |= CData((test_random_below(8) < asking_) << port);
        }
        bench_->taken_i = bench_->request_i != 0 && test_random_below(2);
    }
    void sample() override {
        uint32_t next = last_;

        CHECK_EQ(bench_->grant_o & (bench_->grant_o - 1), 0);
        CHECK_EQ(bench_->grant_o == 0, bench_->request_i == 0);
        if (bench_->request_i == 0) return;
        do next = (next + 1) % Ports;
        while (!(bench_->request_i >> next & 1));
        CHECK_EQ(bench_->grant_o, 1u << next);
        for (uint32_t port = 0; port < Ports; port++) {
            const bool waits = port != next && (bench_->request_i >> port & 1);
            waited_[port] = waits ? waited_[port] + bench_->taken_i : 0;
            waited_most = std::max(waited_most, waited_[port]);
        }
        if (!bench_->taken_i) return;
        last_ = next;
        taken_count++;
    }

  private:
    Bench<Varbiter_round> &bench_;
    uint32_t asking_, last_ = Ports - 1, waited_[Ports] = {};
};

TEST(the_next_that_asks_behind_the_last_taken_is_granted) {
    uint32_t waited_most = 0;

    repeat(40, [&] {
        Bench<Varbiter_round> bench;
        Askers askers(bench, 1 + uint32_t(test_random_below(8)));

        bench.reset();
        bench.run(1000);
        bench.reset(1); // and begins with the lowest again
        bench.run(1000);
        CHECK(askers.taken_count > 0 && askers.waited_most < Ports);
        waited_most = std::max(waited_most, askers.waited_most);
    });
    CHECK_EQ(waited_most, Ports - 1);
}

TEST_MAIN
