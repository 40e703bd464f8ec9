// The checker of AXI ports checks: each rule is broken once, by hand, on a port without a model.
#include "axi.hpp"

#include <sys/wait.h>
#include <unistd.h>

// A port of 8 bytes whose signals a case sets itself.
struct Port : Clocked {
    CData arvalid = 0, arready = 0, arlen = 0, arsize = 3, arburst = 1;
    QData araddr = 0, rdata = 0;
    CData rvalid = 0, rready = 0, rresp = 0, rlast = 0;
    CData awvalid = 0, awready = 0, awlen = 0, awsize = 3, awburst = 1;
    QData awaddr = 0, wdata = 0;
    CData wvalid = 0, wready = 0, wstrb = 0, wlast = 0;
    CData bvalid = 0, bready = 0, bresp = 0;
    AxiChecker<QData, CData> checker;

    Port() : checker(*this, "port", wires(), 16) { checker.rules.silence_max = 20; }

    AxiWires<QData, CData> wires() {
        AxiWires<QData, CData> all;
        all.arvalid = &arvalid;
        all.arready = &arready;
        all.araddr = &araddr;
        all.arlen = &arlen;
        all.arsize = &arsize;
        all.arburst = &arburst;
        all.rvalid = &rvalid;
        all.rready = &rready;
        all.rdata = &rdata;
        all.rresp = &rresp;
        all.rlast = &rlast;
        all.awvalid = &awvalid;
        all.awready = &awready;
        all.awaddr = &awaddr;
        all.awlen = &awlen;
        all.awsize = &awsize;
        all.awburst = &awburst;
        all.wvalid = &wvalid;
        all.wready = &wready;
        all.wdata = &wdata;
        all.wstrb = &wstrb;
        all.wlast = &wlast;
        all.bvalid = &bvalid;
        all.bready = &bready;
        all.bresp = &bresp;
        return all;
    }

    void clock() {
        checker.sample();
        arvalid = rvalid = awvalid = wvalid = bvalid = 0;
    }
    void ask_read(uint64_t address, uint32_t beats) {
        arvalid = arready = 1;
        araddr = address;
        arlen = CData(beats - 1);
        clock();
    }
    void give_read(bool last) {
        rvalid = rready = 1;
        rlast = last;
        clock();
    }
    void ask_write(uint64_t address, uint32_t beats) {
        awvalid = awready = 1;
        awaddr = address;
        awlen = CData(beats - 1);
        clock();
    }
    void give_write(bool last) {
        wvalid = wready = 1;
        wlast = last;
        clock();
    }
    void read(uint64_t address, uint32_t beats) {
        ask_read(address, beats);
        for (uint32_t i = 0; i < beats; i++) give_read(i + 1 == beats);
    }
    void write(uint64_t address, uint32_t beats) {
        ask_write(address, beats);
        for (uint32_t i = 0; i < beats; i++) give_write(i + 1 == beats);
        answer();
    }
    void answer() {
        bvalid = bready = 1;
        clock();
    }
    void check_idle() { checker.check_idle(); }
};

// A control port of the same kind.
struct ControlPort : Clocked {
    CData awvalid = 0, awready = 1, wvalid = 0, wready = 1, bvalid = 0, bready = 1, bresp = 0;
    CData arvalid = 0, arready = 1, rvalid = 0, rready = 1, rresp = 0;
    IData rdata = 0;
    AxilChecker checker;

    ControlPort()
        : checker(*this, "control",
                  {&awvalid, &awready, &wvalid, &wready, &bvalid, &bready, &bresp, &arvalid,
                   &arready, &rvalid, &rready, &rresp, &rdata}) {}

    void clock() {
        checker.sample();
        awvalid = wvalid = bvalid = arvalid = rvalid = 0;
    }
    void write() {
        awvalid = 1;
        clock();
        wvalid = 1;
        clock();
    }
    void answer() {
        bvalid = 1;
        clock();
    }
    void read() {
        arvalid = 1;
        clock();
    }
    void give() {
        rvalid = 1;
        clock();
    }
    void check_idle() {}
};

// Whether the checker ends a process in which this happens.
template <class Ports> static bool ends(void (*steps)(Ports &)) {
    int status = 0;

    fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
        fclose(stderr);
        Ports port;
        steps(port);
        port.check_idle();
        _exit(0);
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    return !(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
static bool refused(void (*steps)(Port &)) {
    return ends(steps);
}
static bool control_refused(void (*steps)(ControlPort &)) {
    return ends(steps);
}

TEST(bursts_by_the_rules_are_accepted) {
    CHECK(!refused([](Port &port) {
        port.read(4096 - 16, 2);
        port.write(4096 - 8, 1);
        port.ask_read(4096 - 16, 2);
        port.ask_read(0, 1);
        port.give_read(false);
        port.give_read(true);
        port.give_read(true);
        port.ask_write(64, 2);
        port.ask_write(0, 1);
        port.give_write(false);
        port.give_write(true);
        port.answer();
        port.give_write(true);
        port.answer();
    }));
}

TEST(a_burst_of_the_wrong_shape_is_refused) {
    CHECK(refused([](Port &port) { port.read(4096 - 8, 2); }));
    CHECK(refused([](Port &port) { port.read(4, 1); }));
    CHECK(refused([](Port &port) { port.read(0, 17); }));
    CHECK(refused([](Port &port) {
        port.arburst = 2;
        port.read(0, 1);
    }));
    CHECK(refused([](Port &port) {
        port.awsize = 2;
        port.write(0, 1);
    }));
    CHECK(refused([](Port &port) { port.write(8192 - 8, 2); }));
}

TEST(a_valid_that_falls_or_a_payload_that_changes_is_refused) {
    CHECK(refused([](Port &port) {
        port.arvalid = 1;
        port.clock();
        port.clock();
    }));
    CHECK(refused([](Port &port) {
        port.awvalid = 1;
        port.clock();
        port.awaddr = 8;
        port.awvalid = 1;
        port.clock();
    }));
    CHECK(refused([](Port &port) {
        port.ask_write(0, 1);
        port.wvalid = port.wlast = 1;
        port.clock();
        port.wdata = 7;
        port.give_write(true);
        port.answer();
    }));
}

TEST(a_beat_without_a_request_or_a_last_at_the_wrong_beat_is_refused) {
    CHECK(refused([](Port &port) { port.give_read(true); }));
    CHECK(refused([](Port &port) { port.give_write(true); }));
    CHECK(refused([](Port &port) {
        port.ask_read(0, 2);
        port.give_read(true);
        port.give_read(true);
    }));
    CHECK(refused([](Port &port) {
        port.ask_write(0, 1);
        port.give_write(false);
        port.answer();
    }));
}

TEST(an_answer_that_is_early_or_missing_is_refused) {
    CHECK(refused([](Port &port) {
        port.ask_write(0, 2);
        port.give_write(false);
        port.answer();
    }));
    CHECK(refused([](Port &port) {
        port.ask_write(0, 1);
        port.give_write(true);
    }));
    CHECK(refused([](Port &port) { port.ask_read(0, 1); }));
}

TEST(a_master_that_does_not_take_what_it_asked_for_is_refused) {
    CHECK(refused([](Port &port) {
        port.ask_read(0, 1);
        for (int i = 0; i < 30; i++) {
            port.rvalid = port.rlast = 1;
            port.rready = 0;
            port.clock();
        }
        port.give_read(true);
    }));
}

TEST(a_control_port_answers_each_access_once_and_stands_still) {
    CHECK(!control_refused([](ControlPort &port) {
        port.write();
        port.read();
        port.bready = port.rready = 0;
        for (int i = 0; i < 3; i++) {
            port.bvalid = port.rvalid = 1;
            port.clock();
        }
        port.bready = port.rready = 1;
        port.bvalid = port.rvalid = 1;
        port.clock();
    }));
    CHECK(control_refused([](ControlPort &port) { port.answer(); }));
    CHECK(control_refused([](ControlPort &port) { port.give(); }));
    CHECK(control_refused([](ControlPort &port) { // no data yet
        port.awvalid = 1;
        port.clock();
        port.answer();
    }));
    CHECK(control_refused([](ControlPort &port) {
        port.write();
        port.answer();
        port.answer();
    }));
    CHECK(control_refused([](ControlPort &port) {
        port.read();
        port.rresp = AxiSlverr;
        port.give();
    }));
    CHECK(control_refused([](ControlPort &port) {
        port.read();
        port.rready = 0;
        port.give();
        port.rdata = 1;
        port.rready = 1;
        port.give();
    }));
    CHECK(control_refused([](ControlPort &port) {
        port.write();
        port.bready = 0;
        port.answer();
        port.clock();
    }));
}

TEST_MAIN
