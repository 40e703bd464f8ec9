// model: axil_control cst_axil_control -GArgWords=6 -GStatusWords=3
#include "axi.hpp"

#include <Vaxil_control.h>

enum : uint32_t {
    Ctrl = 0x000,
    Gie = 0x004,
    Ier = 0x008,
    Isr = 0x00c,
    Args = 0x010,
    Status = 0x800,
    Start = 1,
    Done = 2,
    Idle = 4,
    Ready = 8,
    Continue = 16,
    SoftReset = 256,
};

// A host that writes and reads one register after the other; address and data of a write come in
// random order, answers are taken with random delay. A kernel that takes starts when it is told to.
struct ControlRun {
    struct Write {
        uint32_t address;
        uint32_t data;
        uint8_t strobe = 15;
    };
    Bench<Vaxil_control> bench;
    Source<Write> aw, w;
    Source<uint32_t> ar;
    Sink<uint32_t> b, r;
    AxilChecker checker;

    ControlRun()
        : aw(
              bench, bench->s_awvalid_i, bench->s_awready_o,
              [this](const Write &item) { bench->s_awaddr_i = SData(item.address); },
              Stalls::drawn("aw"), [this] { bench->s_awaddr_i = test_random() & 0xfff; }),
          w(
              bench, bench->s_wvalid_i, bench->s_wready_o,
              [this](const Write &item) {
                  bench->s_wdata_i = item.data;
                  bench->s_wstrb_i = item.strobe;
              },
              Stalls::drawn("w"), [this] { bench->s_wdata_i = IData(test_random()); }),
          ar(
              bench, bench->s_arvalid_i, bench->s_arready_o,
              [this](const uint32_t &item) { bench->s_araddr_i = SData(item); },
              Stalls::drawn("ar"), [this] { bench->s_araddr_i = test_random() & 0xfff; }),
          b(
              bench, bench->s_bvalid_o, bench->s_bready_i, [this] { return bench->s_bresp_o; },
              Stalls::drawn("b")),
          r(
              bench, bench->s_rvalid_o, bench->s_rready_i,
              [this] {
                  CHECK_EQ(bench->s_rresp_o, 0);
                  return bench->s_rdata_o;
              },
              Stalls::drawn("r")),
          checker(bench, "s", pins()) {
        bench->start_ready_i = bench->done_valid_i = 0;
        bench->idle_i = 1;
        bench.reset();
    }

    cst_sim::AxilPins pins() {
        cst_sim::AxilPins all;

        CST_SIM_AXIL_PINS(all, bench, s_);
        return all;
    }

    void write(uint32_t address, uint32_t data, uint8_t strobe = 15) {
        const size_t before = b.items.size();
        aw.push({address, data, strobe});
        w.push({address, data, strobe});
        bench.run_until([&] { return b.items.size() > before; });
        CHECK_EQ(b.items.back(), 0);
    }
    uint32_t read(uint32_t address) {
        const size_t before = r.items.size();
        ar.push(address);
        bench.run_until([&] { return r.items.size() > before; });
        return r.items.back();
    }
    // The kernel takes the start that waits.
    void take() {
        CHECK_EQ(bench->start_valid_o, 1);
        bench->start_ready_i = 1;
        bench.tick();
        bench->start_ready_i = 0;
        CHECK_EQ(bench->start_valid_o, 0);
    }
    // The kernel offers a completion for some clocks; says whether it was taken.
    bool complete(uint32_t clocks) {
        bench->done_valid_i = 1;
        for (uint32_t i = 0; i < clocks; i++) {
            const bool taken = bench->done_ready_o;
            bench.tick();
            if (taken) {
                bench->done_valid_i = 0;
                return true;
            }
        }
        return false;
    }
};

TEST(arguments_hold_and_everything_else_reads_as_0) {
    repeat(20, [] {
        ControlRun run;
        uint32_t words[6] = {};

        for (int i = 0; i < 60; i++) {
            const uint32_t at = 4 * uint32_t(test_random_below(0x400)); // gaps too, but not CTRL
            const uint32_t data = uint32_t(test_random());
            const uint32_t address =
                i % 2 ? Args + 4 * uint32_t(test_random_below(6)) : (at < Args ? 0x3fc : at);
            run.write(address, data);
            if (address >= Args && address < Args + 24) words[(address - Args) / 4] = data;
        }
        for (uint32_t i = 0; i < 6; i++) CHECK_EQ(run.read(Args + 4 * i), words[i]);
        CHECK_EQ(run.read(Args + 24), 0);
        CHECK_EQ(run.read(0xffc), 0);
        CHECK_EQ(run.bench->start_valid_o, 0);
    });
}

TEST(a_byte_strobe_writes_its_byte_alone) {
    ControlRun run;

    run.write(Args, 0x11223344);
    run.write(Args, 0xaabbccdd, 4);
    CHECK_EQ(run.read(Args), 0x11bb3344);
}

TEST(a_start_takes_the_arguments_and_the_next_set_may_be_written) {
    ControlRun run;

    run.write(Args, 7);
    run.write(Ctrl, Start);
    CHECK_EQ(run.read(Ctrl), Start); // not idle: XRT takes that for the end of the run
    run.take();
    CHECK_EQ(run.bench->args_o[0], 7);
    CHECK_EQ(run.read(Ctrl), Idle | Ready);
    CHECK_EQ(run.read(Ctrl), Idle); // ready was read
    run.write(Args, 8);
    CHECK_EQ(run.bench->args_o[0], 7);
    run.write(Ctrl, Start); // a second start, the first still runs
    CHECK_EQ(run.bench->args_o[0], 7);
    run.take();
    CHECK_EQ(run.bench->args_o[0], 8);
}

TEST(ready_stays_until_ctrl_is_read) {
    ControlRun run;

    run.write(Ctrl, Start);
    run.take();
    run.bench.run(20);
    CHECK_EQ(run.read(Args), 0); // another register
    (void)run.read(Status);      // CTRL's offset but for its highest bit
    CHECK_EQ(run.read(Ctrl), Idle | Ready);
    CHECK_EQ(run.read(Ctrl), Idle);
    run.write(Status, Start);
    CHECK_EQ(run.bench->start_valid_o, 0);
    CHECK_EQ(run.read(Isr), 0); // neither was enabled
}

TEST(reads_that_are_asked_for_at_once_come_in_order) {
    repeat(20, [] {
        ControlRun run;

        for (uint32_t i = 0; i < 6; i++) run.write(Args + 4 * i, 100 + i);
        for (uint32_t i = 0; i < 30; i++) run.ar.push(Args + 4 * (i % 6));
        run.bench.run_until([&] { return run.r.items.size() == 30; });
        for (uint32_t i = 0; i < 30; i++) CHECK_EQ(run.r.items[i], 100 + i % 6);
    });
}

TEST(writes_that_are_asked_for_at_once_are_done_in_order) {
    repeat(20, [] {
        ControlRun run;

        for (uint32_t i = 0; i < 30; i++) {
            run.aw.push({Args + 4 * (i % 6), i});
            run.w.push({Args + 4 * (i % 6), i});
        }
        run.bench.run_until([&] { return run.b.items.size() == 30; });
        for (uint32_t i = 0; i < 6; i++) CHECK_EQ(run.read(Args + 4 * i), 24 + i);
    });
}

TEST(done_stays_until_continue_and_the_next_completion_waits) {
    ControlRun run;

    run.bench->idle_i = 0;
    CHECK(run.complete(1));
    CHECK_EQ(run.read(Ctrl), Done);
    CHECK(!run.complete(1000)); // held for long
    CHECK_EQ(run.read(Ctrl), Done);
    run.write(Ctrl, Continue);
    CHECK_EQ(run.bench->done_ready_o, 0); // the one that waited was taken
    run.bench->done_valid_i = 0;
    CHECK_EQ(run.read(Ctrl), Done);
    run.write(Ctrl, Continue);
    CHECK_EQ(run.read(Ctrl), 0);
}

TEST(interrupts_come_when_enabled_and_a_write_toggles_them) {
    ControlRun run;

    CHECK(run.complete(1));
    run.bench.run(3);
    CHECK_EQ(run.bench->interrupt_o, 0);
    CHECK_EQ(run.read(Isr), 0);
    run.write(Ctrl, Continue);
    run.write(Ier, 3);
    CHECK(run.complete(1));
    run.bench.run(3);
    CHECK_EQ(run.read(Isr), 1);
    CHECK_EQ(run.bench->interrupt_o, 0); // not enabled as a whole
    run.write(Gie, 1);
    run.bench.run(2);
    CHECK_EQ(run.bench->interrupt_o, 1);
    run.write(Isr, run.read(Isr)); // what XRT does
    run.bench.run(2);
    CHECK_EQ(run.bench->interrupt_o, 0);
    run.write(Ctrl, Start);
    run.take();
    run.bench.run(2);
    CHECK_EQ(run.read(Isr), 2);
    CHECK_EQ(run.bench->interrupt_o, 1);
    run.write(Isr, 1); // toggles: sets
    CHECK_EQ(run.read(Isr), 3);
}

TEST(status_is_read_while_running_and_cannot_be_written) {
    ControlRun run;

    for (uint32_t i = 0; i < 3; i++) run.bench->status_i[i] = 100 + i;
    run.write(Status + 4, 5);
    for (uint32_t i = 0; i < 3; i++) CHECK_EQ(run.read(Status + 4 * i), 100 + i);
}

TEST(a_soft_reset_is_one_clock_long) {
    ControlRun run;
    uint32_t clocks = 0;

    run.aw.push({Ctrl, SoftReset});
    run.w.push({Ctrl, SoftReset});
    for (int i = 0; i < 1000; i++) {
        run.bench.tick();
        clocks += run.bench->soft_reset_o;
    }
    CHECK_EQ(clocks, 1);
    CHECK_EQ(run.read(Ctrl), Idle);
}

TEST(a_soft_reset_takes_start_done_ready_and_interrupts_back) {
    repeat(20, [] {
        ControlRun run;

        run.write(Gie, 1);
        run.write(Ier, 3);
        run.write(Args, 77);
        run.write(Ctrl, Start);
        run.take();
        CHECK(run.complete(10));
        run.write(Ctrl, Start); // the next one waits
        run.bench.run(4);
        CHECK_EQ(run.bench->interrupt_o, 1);
        run.write(Ctrl, SoftReset | Start); // a start with it is of the run before
        run.bench.run(4);
        CHECK_EQ(run.bench->interrupt_o, 0);
        CHECK_EQ(run.bench->start_valid_o, 0);
        CHECK_EQ(run.read(Ctrl), Idle);
        CHECK_EQ(run.read(Isr), 0);
        // What the host has set stays.
        CHECK_EQ(run.read(Gie), 1);
        CHECK_EQ(run.read(Ier), 3);
        CHECK_EQ(run.read(Args), 77);
        run.write(Ctrl, Start);
        run.take();
        CHECK(run.complete(10));
        run.bench.run(4);
        CHECK_EQ(run.bench->interrupt_o, 1);
    });
}

// Whatever software and kernel do in any clock, a reset leaves nothing of it.
TEST(a_reset_at_any_clock_leaves_every_register_at_0) {
    repeat(40, [] {
        ControlRun run;

        run.write(Ier, 3);
        run.write(Gie, 1);
        for (uint32_t i = 0; i < 40; i++) {
            const uint32_t words[] = {Ctrl, Ctrl, Isr, Args, Args + 8, Args + 24, Status};
            const uint32_t at = words[test_random_below(7)];

            run.aw.push({at, 0});
            run.w.push({at, at == Ctrl ? (test_random_below(3) ? Start : Continue) : uint32_t(i)});
            run.ar.push(words[test_random_below(7)]);
        }
        for (uint64_t clocks = 20 + test_random_below(150); clocks > 0; clocks--) {
            run.bench->start_ready_i = test_random_below(4) == 0;
            if (!run.bench->done_valid_i || run.bench->done_ready_o)
                run.bench->done_valid_i = test_random_below(4) == 0;
            run.bench.tick();
        }
        run.aw.clear();
        run.w.clear();
        run.ar.clear();
        run.bench->start_ready_i = run.bench->done_valid_i = 0;
        run.bench.reset(1);
        CHECK_EQ(run.bench->start_valid_o, 0);
        CHECK_EQ(run.bench->done_ready_o, 1);
        CHECK_EQ(run.read(Ctrl), Idle);
        for (uint32_t at : {uint32_t(Gie), uint32_t(Ier), uint32_t(Isr)}) CHECK_EQ(run.read(at), 0);
        for (uint32_t i = 0; i < 6; i++) CHECK_EQ(run.read(Args + 4 * i), 0);
        CHECK_EQ(run.bench->interrupt_o, 0);
    });
}

TEST_MAIN
