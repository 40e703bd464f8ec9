// model: axi_read_64 cst_axi_read -GDataBytes=64 -GBurstBeats=64 -GBufferBeats=256 -GOutstanding=16
// model: axi_read_8 cst_axi_read -GDataBytes=8 -GBurstBeats=16 -GBufferBeats=40 -GOutstanding=3
#include "axi.hpp"

#include <Vaxi_read_64.h>
#include <Vaxi_read_8.h>

struct Command {
    uint64_t address;
    uint32_t beats;
};

struct Beat {
    std::vector<uint8_t> data;
    uint8_t response, last;
    bool operator==(const Beat &other) const {
        return data == other.data && response == other.response && last == other.last;
    }
};

template <class Model, class Data> struct ReadRun {
    static constexpr uint32_t DataBytes = sizeof(Data);
    Bench<Model> bench;
    AxiWires<Data, QData> wires;
    std::unique_ptr<AxiMemory<Data>> memory;
    std::unique_ptr<AxiChecker<Data>> checker;
    std::unique_ptr<Source<Command>> commands;
    std::unique_ptr<Sink<Beat>> out;
    std::vector<Beat> wanted;

    ReadRun(bool stalls, AxiLatency latency, uint32_t beats_max) {
        AXI_READ_WIRES(wires, bench, m_);
        memory = std::make_unique<AxiMemory<Data>>(bench, "memory", wires, stalls, latency);
        checker = std::make_unique<AxiChecker<Data>>(bench, "memory", wires, beats_max);
        commands = std::make_unique<Source<Command>>(
            bench, bench->command_valid_i, bench->command_ready_o,
            [this](const Command &item) {
                bench->command_address_i = item.address;
                bench->command_beats_i = item.beats;
            },
            stalls ? Stalls::drawn("command") : Stalls::none());
        out = std::make_unique<Sink<Beat>>(
            bench, bench->out_valid_o, bench->out_ready_i,
            [this] {
                const uint8_t *data = reinterpret_cast<const uint8_t *>(&bench->out_data_o);
                return Beat{std::vector<uint8_t>(data, data + DataBytes), bench->out_response_o,
                            bench->out_last_o};
            },
            stalls ? Stalls::drawn("out") : Stalls::none());
        bench.reset();
    }

    void read(uint64_t address, uint32_t beats) {
        commands->push({address, beats});
        for (uint32_t i = 0; i < beats; i++) {
            Beat beat = {std::vector<uint8_t>(DataBytes), AxiOkay, uint8_t(i + 1 == beats)};
            for (uint32_t b = 0; b < DataBytes; b++) {
                const uint64_t at = address + uint64_t(i) * DataBytes + b;
                if (!memory->bytes.count(at)) memory->bytes[at] = uint8_t(test_random());
                beat.data[b] = memory->bytes[at];
            }
            if (memory->on_access)
                beat.response = memory->on_access(address + uint64_t(i) * DataBytes, false);
            wanted.push_back(beat);
        }
    }

    void compare() {
        bench.run_until([&] { return out->items.size() == wanted.size(); });
        bench.run(100);
        CHECK(out->items == wanted);
        CHECK_EQ(bench->idle_o, 1);
        checker->check_idle();
    }
};

template <class Model, class Data> void random_commands(uint32_t beats_max) {
    repeat(12, [=] {
        ReadRun<Model, Data> run(true, {1, uint32_t(test_random_below(60))}, beats_max);
        if (test_random() & 1) // some addresses answer with errors
            run.memory->on_access = [](uint64_t address, bool) {
                return uint8_t(address % 7 == 0    ? AxiSlverr
                               : address % 11 == 0 ? AxiDecerr
                               : address % 13 == 0 ? AxiExokay
                                                   : AxiOkay);
            };
        for (int i = 0; i < 30; i++) {
            const uint64_t page = test_random_below(1 << 20) * 4096;
            const uint64_t in_page = test_random_below(4096 / run.DataBytes) * run.DataBytes;
            run.read(page + in_page, 1 + uint32_t(test_random_below(i % 3 ? 4 : 300)));
        }
        run.compare();
    });
}

TEST(beats_come_in_order_whatever_stalls_and_errors_are_told) {
    random_commands<Vaxi_read_64, VlWide<16>>(64);
    random_commands<Vaxi_read_8, QData>(16);
}

TEST(a_beat_a_clock_at_a_latency_of_100_clocks) {
    ReadRun<Vaxi_read_64, VlWide<16>> run(false, {100, 0}, 64);

    run.read(0x1000, 2000);
    run.compare();
    CHECK_EQ(run.out->last_clock - run.out->first_clock, 1999);
    CHECK(run.checker->rules.outstanding_most >= 2);
}

TEST(single_beats_come_one_a_clock_too) {
    ReadRun<Vaxi_read_64, VlWide<16>> run(false, {12, 0}, 64);

    for (uint32_t i = 0; i < 1000; i++) run.read(test_random_below(1 << 20) * 64, 1);
    run.compare();
    CHECK_EQ(run.out->last_clock - run.out->first_clock, 999);
}

TEST(no_more_is_asked_for_than_has_a_place) {
    ReadRun<Vaxi_read_8, QData> run(false, {30, 0}, 16);

    run.read(0, 400);
    for (int i = 0; i < 300; i++) { // nothing is taken, and nothing is refused on the port
        run.commands->drive();
        run.memory->drive();
        run.bench->out_ready_i = 0;
        run.bench->clk_i = 0;
        run.bench->eval();
        CHECK(!run.bench->m_rvalid_i || run.bench->m_rready_o);
        run.commands->sample();
        run.memory->sample();
        run.checker->sample();
        run.bench->clk_i = 1;
        run.bench->eval();
    }
    run.compare();
}

TEST(a_port_with_a_command_under_way_is_not_idle) {
    Bench<Vaxi_read_8> bench;

    bench->m_rvalid_i = bench->command_valid_i = 0;
    bench->m_arready_i = bench->out_ready_i = 1;
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

TEST(a_last_at_the_wrong_beat_is_an_error) {
    Bench<Vaxi_read_8> bench;

    bench->command_valid_i = bench->m_rvalid_i = 0;
    bench->m_arready_i = bench->out_ready_i = 1;
    bench.reset();
    bench->command_valid_i = 1;
    bench->command_address_i = 64;
    bench->command_beats_i = 2;
    bench.tick();
    bench->command_valid_i = 0;
    while (!bench->m_arvalid_o) bench.tick();
    bench.tick();
    bench->m_rvalid_i = bench->m_rlast_i = 1; // of the first of two
    bench->m_rresp_i = AxiOkay;
    bench.tick();
    CHECK_EQ(bench->out_valid_o, 1);
    CHECK_EQ(bench->out_response_o, AxiSlverr);
    CHECK_EQ(bench->out_last_o, 0);
}

TEST_MAIN
