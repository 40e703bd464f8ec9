// model: read_guard cst_axi_read_guard -GSilenceBits=5 -GOwedBits=3
#include "guard_test.hpp"

#include <Vread_guard.h>

// Says in each clock what every output must be, from what went through the ports before.
class ReadReference : public Part {
  public:
    ReadReference(Bench<Vread_guard> &bench, const QData &data) : bench_(bench), data_(data) {
        bench.add(this);
    }

    GuardRange range = GuardRange::drawn();
    std::vector<QData> passed; // beats that the master must get
    uint32_t errors_count = 0, outside_count = 0;
    GuardSilence silence;

    void idle() override {}
    void drive() override {}
    void sample() override {
        Vread_guard &top = *bench_.operator->();
        const bool take = top.in_valid_i && top.in_ready_o;
        const bool okay = top.r_resp_i == AxiOkay, beat = top.r_valid_i && top.r_ready_o;
        const bool owes = !waiting_.empty() || owed_ > 0, goes = top.ar_valid_o && top.ar_ready_i;
        const bool outside = top.in_valid_i && !range.holds(top.in_address_i) && !top.stop_i;

        CHECK_EQ(top.quiet_o, !owes);
        CHECK_EQ(top.outside_o, outside);
        CHECK_EQ(top.error_o, beat && !okay);
        CHECK_EQ(top.silent_o, silence.tells(owes, top.r_valid_i || goes));
        CHECK_EQ(top.r_ready_o, top.beat_ready_i || top.stop_i);
        CHECK_EQ(top.beat_valid_o, top.r_valid_i && okay && !top.stop_i);
        CHECK_EQ(top.ar_valid_o, !waiting_.empty());
        if (top.ar_valid_o) {
            CHECK_EQ(top.ar_address_o, waiting_.front().address);
            CHECK_EQ(top.ar_len_o, waiting_.front().len);
        }
        if (top.beat_valid_o && beat) passed.push_back(data_);
        errors_count += top.error_o;
        outside_count += outside;
        owed_ += goes;
        owed_ -= beat && top.r_last_i;
        if (goes) waiting_.pop_front();
        if (!take) return;
        CHECK(!top.stop_i && range.holds(top.in_address_i));
        waiting_.push_back({top.in_address_i, top.in_len_i});
        CHECK(waiting_.size() + owed_ <= GuardOwedMost);
    }

  private:
    Bench<Vread_guard> &bench_;
    const QData &data_;
    std::deque<GuardBurst> waiting_; // taken from the master, not yet by memory
    uint32_t owed_ = 0;
};

struct ReadGuardRun {
    Bench<Vread_guard> bench;
    CData size = 3, incr = 1;
    QData data = 0;
    AxiWires<QData, CData> wires;
    std::unique_ptr<AxiMemory<QData, CData>> memory;
    std::unique_ptr<AxiChecker<QData, CData>> checker;
    Source<GuardBurst> requests;
    Sink<QData> beats;
    ReadReference reference;
    uint64_t beats_asked = 0;

    ReadGuardRun(bool stalls, AxiLatency latency)
        : requests(
              bench, bench->in_valid_i, bench->in_ready_o,
              [this](const GuardBurst &burst) { put(burst); },
              stalls ? Stalls::drawn("in") : Stalls::none(),
              [this] { put(test_random() & 1 ? reference.range.outside() : GuardBurst()); }),
          beats(
              bench, bench->beat_valid_o, bench->beat_ready_i, [this] { return data; },
              stalls ? Stalls::drawn("beat") : Stalls::none()),
          reference(bench, data) {
        wires.arvalid = &bench->ar_valid_o;
        wires.arready = &bench->ar_ready_i;
        wires.araddr = &bench->ar_address_o;
        wires.arlen = &bench->ar_len_o;
        wires.arsize = &size;
        wires.arburst = &incr;
        wires.rvalid = &bench->r_valid_i;
        wires.rready = &bench->r_ready_o;
        wires.rdata = &data;
        wires.rresp = &bench->r_resp_i;
        wires.rlast = &bench->r_last_i;
        memory = std::make_unique<AxiMemory<QData, CData>>(bench, "memory", wires, stalls, latency);
        checker = std::make_unique<AxiChecker<QData, CData>>(bench, "memory", wires);
        bench->stop_i = 0;
        set_range(reference.range);
        bench.reset();
    }

    void set_range(const GuardRange &range) {
        reference.range = range;
        bench->first_page_i = range.first();
        bench->end_page_i = range.end();
    }

    void put(const GuardBurst &burst) {
        bench->in_address_i = burst.address;
        bench->in_len_i = CData(burst.len);
    }

    void read(const GuardBurst &burst) {
        for (uint32_t i = 0; i < (burst.len + 1) * GuardBeatBytes; i++)
            memory->bytes[burst.address + i] = uint8_t(test_random());
        requests.push(burst);
        beats_asked += burst.len + 1;
    }

    void stop() {
        bench->stop_i = 1;
        beats.idle(); // an offer may be withdrawn by this
    }
    // While stopped: what the master offers is withdrawn.
    void reset_master() {
        requests.clear();
        requests.idle();
    }
    void resume() {
        reset_master();
        bench.run_until([this] { return bench->quiet_o; });
        checker->check_idle();
        bench->stop_i = 0;
        compare();
        beats_asked = 0;
        beats.items.clear();
        reference.passed.clear();
    }

    void compare() { CHECK(beats.items == reference.passed); }
    void compare_all() {
        bench.run_until([this] { return beats.items.size() == beats_asked; });
        bench.run(20);
        CHECK(bench->quiet_o);
        checker->check_idle();
        compare();
    }
};

// Lives of three rounds: the first two may end in faults, or in a stop at any clock; what is
// asked for behind that comes.
TEST(a_master_gets_what_it_asks_for_and_another_one_after_faults_and_stops) {
    uint32_t errors = 0, outside = 0, silent = 0;

    repeat(60, [&] {
        ReadGuardRun run(true, {1, uint32_t(test_random_below(60))});
        for (uint32_t round = 0; round < 3; round++) {
            const bool whole = round == 2;

            run.set_range(GuardRange::drawn());
            run.memory->on_access = guard_errors(whole ? 0 : uint32_t(test_random_below(2)) * 40);
            for (uint32_t i = 0; i < 20; i++)
                run.read(whole || test_random_below(24) ? run.reference.range.inside()
                                                        : run.reference.range.outside());
            if (!whole) {
                run.bench.run(test_random_below(600));
                run.stop();
                run.bench.run(test_random_below(30));
                run.resume();
            }
        }
        run.compare_all();
        errors += run.reference.errors_count;
        outside += run.reference.outside_count;
        silent += run.reference.silence.told_count;
    });
    CHECK(errors > 0 && outside > 0 && silent > 0);
}

TEST(a_burst_a_clock_and_beats_as_they_come) {
    ReadGuardRun run(false, {1, 0});

    for (uint32_t i = 0; i < 1000; i++)
        run.read({uint64_t(run.reference.range.first()) * 4096 + i % 512 * 8, 0});
    run.compare_all();
    CHECK_EQ(run.requests.last_clock - run.requests.first_clock, 999);
    CHECK_EQ(run.beats.last_clock - run.beats.first_clock, 999);
}

TEST(no_more_bursts_are_out_than_it_can_count) {
    ReadGuardRun run(false, {100, 0});

    for (uint32_t i = 0; i < 30; i++) run.read(run.reference.range.inside());
    run.compare_all();
    CHECK_EQ(run.checker->rules.outstanding_most, GuardOwedMost);
}

TEST(a_burst_outside_is_told_and_not_asked_for) {
    repeat(40, [] {
        ReadGuardRun run(true, {1, 10});

        run.set_range(GuardRange::drawn());
        run.read(run.reference.range.outside());
        run.bench.run_until([&] { return run.reference.outside_count == 1; });
        run.bench.run(50);
        CHECK_EQ(run.checker->rules.read_bursts, 0);
        CHECK(!run.requests.empty() && run.bench->quiet_o);
        run.stop();
        run.resume();
        run.read(run.reference.range.inside());
        run.compare_all();
    });
}

TEST(a_memory_that_falls_silent_is_told_and_waited_for) {
    for (const bool takes : {false, true}) {
        ReadGuardRun run(false, {1, 0});

        run.memory->never_take = !takes;
        run.memory->never_answer = true;
        for (uint32_t i = 0; i < 3; i++) run.read(run.reference.range.inside());
        run.bench.run_until([&] { return run.bench->silent_o; });
        CHECK_EQ(run.checker->rules.read_bursts, takes ? 3 : 0);
        run.stop();
        run.bench.run(20);
        run.reset_master();
        run.bench.run(200);
        CHECK(!run.bench->quiet_o && run.reference.silence.told_count > 3);
        CHECK_EQ(run.bench->ar_valid_o, !takes); // it stays offered
        run.memory->never_take = run.memory->never_answer = false;
        run.resume();
        CHECK_EQ(run.checker->rules.read_bursts, takes ? 3 : 1);
        for (uint32_t i = 0; i < 3; i++) run.read(run.reference.range.inside());
        run.compare_all();
    }
}

TEST(a_stop_in_the_middle_of_a_burst_takes_what_is_left_of_it) {
    ReadGuardRun run(false, {1, 0});
    const uint64_t address = uint64_t(run.reference.range.first()) * 4096;

    run.read({address, 63});
    run.read({address + 512, 15});
    run.bench.run_until([&] { return run.beats.items.size() == 20; });
    run.stop();
    run.resume();
    CHECK_EQ(run.checker->rules.read_beats, 80);
    run.read({address + 8, 3});
    run.compare_all();
    CHECK_EQ(run.checker->rules.read_beats, 84);
}

TEST_MAIN
