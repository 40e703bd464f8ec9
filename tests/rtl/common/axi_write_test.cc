// model: axi_write_64 cst_axi_write -GDataBytes=64 -GBurstBeats=64 -GOutstanding=16
// model: axi_write_8 cst_axi_write -GDataBytes=8 -GBurstBeats=16 -GOutstanding=3
#include "axi.hpp"

#include <Vaxi_write_64.h>
#include <Vaxi_write_8.h>

#include <array>

struct Command {
    uint64_t address;
    uint32_t beats;
};

template <uint32_t DataBytes> struct Beat {
    std::array<uint8_t, DataBytes> data;
    uint64_t strobe;
};

template <class Model, class Data, class Strobe> struct WriteRun {
    static constexpr uint32_t DataBytes = sizeof(Data);
    Bench<Model> bench;
    AxiWires<Data, Strobe> wires;
    std::unique_ptr<AxiMemory<Data, Strobe>> memory;
    std::unique_ptr<AxiChecker<Data, Strobe>> checker;
    std::unique_ptr<Source<Command>> commands;
    std::unique_ptr<Source<Beat<DataBytes>>> in;
    std::unique_ptr<Sink<uint8_t>> results;
    std::unordered_map<uint64_t, uint8_t> wanted;
    std::vector<uint8_t> responses;

    WriteRun(bool stalls, AxiLatency latency, uint32_t beats_max) {
        auto drawn = [&](const char *port) {
            return stalls ? Stalls::drawn(port) : Stalls::none();
        };
        AXI_WRITE_WIRES(wires, bench, m_);
        memory = std::make_unique<AxiMemory<Data, Strobe>>(bench, "memory", wires, stalls, latency);
        checker = std::make_unique<AxiChecker<Data, Strobe>>(bench, "memory", wires, beats_max);
        commands = std::make_unique<Source<Command>>(
            bench, bench->command_valid_i, bench->command_ready_o,
            [this](const Command &item) {
                bench->command_address_i = item.address;
                bench->command_beats_i = item.beats;
            },
            drawn("command"));
        in = std::make_unique<Source<Beat<DataBytes>>>(
            bench, bench->in_valid_i, bench->in_ready_o,
            [this](const Beat<DataBytes> &item) {
                memcpy(&bench->in_data_i, item.data.data(), DataBytes);
                bench->in_strobe_i = Strobe(item.strobe);
            },
            drawn("in"));
        results = std::make_unique<Sink<uint8_t>>(
            bench, bench->result_valid_o, bench->result_ready_i,
            [this] { return bench->result_response_o; }, drawn("result"));
        bench.reset();
    }

    // Like the memory: a beat that is refused changes nothing, and the first refused one's burst
    // says so. Addresses do not repeat, so the order of commands does not matter to what is wanted.
    void write(uint64_t address, uint32_t beats, bool whole) {
        uint8_t response = AxiOkay;

        commands->push({address, beats});
        for (uint32_t i = 0; i < beats; i++) {
            const uint64_t at = address + uint64_t(i) * DataBytes;
            const uint8_t one = memory->on_access ? memory->on_access(at, true) : uint8_t(AxiOkay);
            Beat<DataBytes> beat = {};

            beat.strobe = whole ? ~UINT64_C(0) : test_random();
            for (uint32_t b = 0; b < DataBytes; b++) {
                beat.data[b] = uint8_t(test_random());
                if (one == AxiOkay && beat.strobe >> b & 1) wanted[at + b] = beat.data[b];
            }
            if (response == AxiOkay) response = one;
            in->push(beat);
        }
        responses.push_back(response);
    }

    void compare() {
        bench.run_until([&] { return results->items.size() == responses.size(); });
        bench.run(100);
        CHECK(results->items == responses);
        CHECK(memory->bytes == wanted);
        CHECK_EQ(bench->idle_o, 1);
        checker->check_idle();
    }
};

template <class Model, class Data, class Strobe> void random_commands(uint32_t beats_max) {
    repeat(12, [=] {
        WriteRun<Model, Data, Strobe> run(true, {1, uint32_t(test_random_below(60))}, beats_max);
        uint64_t address = 4096 * test_random_below(1 << 20);

        if (test_random() & 1)
            run.memory->on_access = [](uint64_t at, bool) {
                const uint64_t beat = at / sizeof(Data);

                return uint8_t(beat % 97 == 0   ? AxiSlverr
                               : beat % 89 == 0 ? AxiDecerr
                               : beat % 83 == 0 ? AxiExokay
                                                : AxiOkay);
            };
        for (int i = 0; i < 30; i++) {
            const uint32_t beats = 1 + uint32_t(test_random_below(i % 3 ? 4 : 300));
            run.write(address, beats, false);
            address += (beats + test_random_below(100)) * run.DataBytes;
        }
        run.compare();
    });
}

TEST(bytes_arrive_whatever_stalls_and_errors_are_told) {
    random_commands<Vaxi_write_64, VlWide<16>, QData>(64);
    random_commands<Vaxi_write_8, QData, CData>(16);
}

TEST(a_beat_a_clock_at_a_latency_of_100_clocks) {
    WriteRun<Vaxi_write_64, VlWide<16>, QData> run(false, {100, 0}, 64);

    run.write(0x1000, 2000, true);
    run.compare();
    CHECK_EQ(run.in->last_clock - run.in->first_clock, 1999);
    CHECK(run.checker->rules.outstanding_most >= 2);
}

TEST(single_beats_go_one_a_clock_too) {
    WriteRun<Vaxi_write_64, VlWide<16>, QData> run(false, {8, 0}, 64);

    for (uint32_t i = 0; i < 1000; i++) run.write(uint64_t(i) * 4160, 1, true);
    run.compare();
    CHECK_EQ(run.in->last_clock - run.in->first_clock, 999);
}

TEST(no_result_before_the_last_answer) {
    WriteRun<Vaxi_write_8, QData, CData> run(false, {1, 0}, 16);

    run.memory->never_answer = true;
    run.write(0, 20, true);
    run.bench.run(500);
    CHECK_EQ(run.results->items.size(), 0);
    CHECK_EQ(run.bench->idle_o, 0);
    run.memory->never_answer = false;
    run.compare();
}

TEST(a_port_with_a_command_under_way_is_not_idle) {
    Bench<Vaxi_write_8> bench;

    bench->m_bvalid_i = bench->command_valid_i = bench->in_valid_i = 0;
    bench->m_awready_i = bench->m_wready_i = bench->result_ready_i = 1;
    bench.reset();
    CHECK_EQ(bench->idle_o, 1);
    bench->command_valid_i = 1;
    bench->command_address_i = 64;
    bench->command_beats_i = 1;
    bench.run(1);
    bench->command_valid_i = 0;
    for (int clock = 0; clock < 8; clock++) {
        CHECK_EQ(bench->idle_o, 0);
        bench.run(1);
    }
}

TEST_MAIN
