// model: axi_split cst_axi_split -GBurstBeats=16
// model: axi_split_narrow cst_axi_split -GDataBytes=4 -GBurstBeats=256 -GBeatsBits=11
#include "bench.hpp"

#include <Vaxi_split.h>
#include <Vaxi_split_narrow.h>

namespace {

struct Stretch {
    uint64_t address, beats;
};

struct Burst {
    uint64_t address;
    uint32_t beats;
    bool final;

    bool operator==(const Burst &other) const {
        return address == other.address && beats == other.beats && final == other.final;
    }
};

template <class Model> struct SplitRun {
    Bench<Model> bench;
    Source<Stretch> in;
    Sink<Burst> out;

    SplitRun(Stalls in_stalls, Stalls out_stalls)
        : in(
              bench, bench->command_valid_i, bench->command_ready_o,
              [this](const Stretch &item) {
                  bench->command_address_i = item.address;
                  bench->command_beats_i = uint32_t(item.beats);
              },
              in_stalls,
              [this] {
                  bench->command_address_i = test_random();
                  bench->command_beats_i = test_random() & 0x7ff;
              }),
          out(
              bench, bench->burst_valid_o, bench->burst_ready_i,
              [this] {
                  return Burst{bench->burst_address_o, bench->burst_length_o + 1u,
                               bench->burst_final_o != 0};
              },
              out_stalls) {
        bench.reset();
    }
};

// The longest bursts that cross no line of 4 KiB: one address after the other.
std::vector<Burst> bursts_of(const Stretch &stretch, uint32_t data_bytes, uint32_t beats_max) {
    std::vector<Burst> bursts;
    uint64_t address = stretch.address;

    for (uint64_t left = stretch.beats; left > 0;) {
        uint32_t beats = 0;

        do {
            beats++;
        } while (beats < beats_max && beats < left && (address + beats * data_bytes) % 4096 != 0);
        left -= beats;
        bursts.push_back({address, beats, left == 0});
        address += uint64_t(beats) * data_bytes;
    }
    return bursts;
}

template <class Model>
void stretches(uint32_t data_bytes, uint32_t burst_beats, uint32_t beats_most) {
    repeat(30, [=] {
        const Stalls in = Stalls::drawn("in"), out = Stalls::drawn("out");
        SplitRun<Model> run(in, out);
        std::vector<Burst> wanted;

        for (uint32_t i = 0; i < 60; i++) {
            // Near a line of 4 KiB, near the end of a burst, anywhere.
            const uint64_t near[] = {4096, uint64_t(burst_beats) * data_bytes, UINT64_C(1) << 40};
            const uint64_t around = near[test_random_below(3)] * (1 + test_random_below(1u << 20));
            const uint64_t address = around + data_bytes * (test_random_below(5) - 2);
            const uint64_t beats[] = {1, 1 + test_random_below(beats_most),
                                      burst_beats - 1 + test_random_below(3)};
            const Stretch stretch = {address / data_bytes * data_bytes,
                                     std::max<uint64_t>(1, beats[test_random_below(3)])};

            run.in.push(stretch);
            for (const Burst &burst : bursts_of(stretch, data_bytes, burst_beats))
                wanted.push_back(burst);
        }
        run.bench.run_until([&] { return run.out.items.size() == wanted.size(); });
        run.bench.run(50); // no burst too many
        CHECK(run.out.items == wanted);
    });
}

} // namespace

TEST(bursts_cover_each_stretch_in_order_and_cross_no_4_kib_line) {
    stretches<Vaxi_split>(64, 16, 600);
    stretches<Vaxi_split_narrow>(4, 256, 2047);
}

TEST(the_longest_command_there_is) {
    SplitRun<Vaxi_split> run(Stalls::none(), Stalls::none());
    const Stretch stretch = {4096 - 64, (1u << 20) - 1};
    const std::vector<Burst> wanted = bursts_of(stretch, 64, 16);

    run.in.push(stretch);
    run.bench.run_until([&] { return run.out.items.size() == wanted.size(); });
    CHECK(run.out.items == wanted);
}

TEST(a_burst_a_clock_after_two_clocks) {
    SplitRun<Vaxi_split> run(Stalls::none(), Stalls::none());

    for (uint32_t i = 0; i < 200; i++) run.in.push({i * UINT64_C(4096), 1 + i % 2 * 47});
    run.bench.run_until([&] { return run.out.items.size() == 100 + 100 * 3; });
    CHECK_EQ(run.out.last_clock - run.out.first_clock, 399);
    CHECK_EQ(run.out.first_clock - run.in.first_clock, 2);
}

TEST(a_reset_at_any_clock_forgets_what_is_under_way) {
    repeat(10, [] {
        const Stalls in = Stalls::drawn("in"), out = Stalls::drawn("out");
        SplitRun<Vaxi_split> run(in, out);
        const Stretch stretch = {4096 - 64, 3};

        for (uint32_t i = 0; i < 8; i++) {
            run.in.push({4096 * UINT64_C(5) + 64 * i, 100});
            run.bench.run(test_random_below(40));
            run.in.clear();
            run.bench.reset(1);
            run.out.items.clear();
        }
        run.in.push(stretch);
        run.bench.run_until([&] { return run.out.items.size() == 2; });
        run.bench.run(50);
        CHECK(run.out.items == bursts_of(stretch, 64, 16));
    });
}

TEST_MAIN
