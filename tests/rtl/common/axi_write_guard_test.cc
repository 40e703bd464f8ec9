// model: write_guard cst_axi_write_guard -GDataBytes=8 -GSilenceBits=5 -GOwedBits=3
#include "guard_test.hpp"

#include <Vwrite_guard.h>

struct WriteBeat {
    QData data = 0;
    CData strobe = 0;
};

// Says in each clock what every output must be, from what went through the ports before.
class WriteReference : public Part {
  public:
    explicit WriteReference(Bench<Vwrite_guard> &bench) : bench_(bench) { bench.add(this); }

    GuardRange range = GuardRange::drawn();
    std::unordered_map<uint64_t, uint8_t> bytes; // that memory must hold, if it answers no error
    uint32_t passed_count = 0, errors_count = 0, outside_count = 0, empty_count = 0;
    GuardSilence silence;

    void idle() override {}
    void drive() override {}
    void sample() override {
        Vwrite_guard &top = *bench_.operator->();

        sample_answers(top);
        sample_faults(top);
        sample_address(top);
        sample_beats(top);
    }

  private:
    void sample_answers(const Vwrite_guard &top) {
        const bool okay = top.b_resp_i == AxiOkay;

        CHECK_EQ(top.b_ready_o, top.answer_ready_i || top.stop_i);
        CHECK_EQ(top.answer_valid_o, top.b_valid_i && okay && !top.stop_i);
        CHECK_EQ(top.error_o, top.b_valid_i && top.b_ready_o && !okay);
        passed_count += top.answer_valid_o && top.answer_ready_i;
        errors_count += top.error_o;
    }

    void sample_faults(const Vwrite_guard &top) {
        const bool outside = top.in_valid_i && !range.holds(top.in_address_i) && !top.stop_i;
        const bool moved =
            top.b_valid_i || (top.aw_valid_o && top.aw_ready_i) || (top.w_valid_o && top.w_ready_i);
        // Beats that the master has not given yet are nothing that memory owes, nor is the next
        // address before them.
        const bool owes = top.w_valid_o || sent_ > 0 || (top.aw_valid_o && begun_.empty());

        CHECK_EQ(top.quiet_o, waiting_.empty() && begun_.empty() && !top.w_valid_o && sent_ == 0);
        CHECK_EQ(top.outside_o, outside);
        CHECK_EQ(top.silent_o, silence.tells(owes, moved));
        outside_count += outside;
        sent_ -= top.b_valid_i && top.b_ready_o;
    }

    void sample_address(const Vwrite_guard &top) {
        CHECK_EQ(top.aw_valid_o, !waiting_.empty());
        if (top.aw_valid_o) {
            CHECK_EQ(top.aw_address_o, waiting_.front().address);
            CHECK_EQ(top.aw_len_o, waiting_.front().len);
        }
        if (top.in_valid_i && top.in_ready_o) {
            CHECK(!top.stop_i && range.holds(top.in_address_i));
            waiting_.push_back({top.in_address_i, top.in_len_i});
            CHECK(waiting_.size() + begun_.size() + sent_ + unsent_ends_ <= GuardOwedMost);
        }
    }

    // A beat is the master's, or writes nothing; nothing comes before the address is taken.
    void sample_beats(const Vwrite_guard &top) {
        const bool gives = top.beat_valid_i && top.beat_ready_o;

        CHECK_EQ(top.w_valid_o, !beats_.empty());
        if (top.w_valid_o) {
            CHECK_EQ(top.w_strb_o, beats_.front().strobe);
            if (beats_.front().strobe) CHECK_EQ(top.w_data_o, beats_.front().data);
            CHECK_EQ(top.w_last_o, last_);
        }
        const bool moves = !top.w_valid_o || top.w_ready_i;
        if (top.w_valid_o && top.w_ready_i) {
            beats_.pop_front();
            unsent_ends_ -= last_;
            sent_ += last_;
        }
        CHECK_EQ(top.beat_ready_o, moves && !begun_.empty() && !top.stop_i);
        if (moves && !begun_.empty() && (gives || top.stop_i))
            load(top.stop_i ? WriteBeat() : WriteBeat{top.beat_data_i, top.beat_strb_i});
        if (top.aw_valid_o && top.aw_ready_i) {
            begun_.push_back(waiting_.front());
            waiting_.pop_front();
        }
    }

    void load(const WriteBeat &beat) {
        GuardBurst &burst = begun_.front();

        for (uint32_t i = 0; i < GuardBeatBytes; i++)
            if (beat.strobe >> i & 1) bytes[burst.address + i] = uint8_t(beat.data >> 8 * i);
        beats_.push_back(beat);
        empty_count += beat.strobe == 0;
        last_ = burst.len == 0;
        burst.address += GuardBeatBytes;
        burst.len--;
        if (!last_) return;
        begun_.pop_front();
        unsent_ends_++;
    }

    Bench<Vwrite_guard> &bench_;
    std::deque<GuardBurst> waiting_; // taken from the master, not yet by memory
    std::deque<GuardBurst> begun_;   // whose address memory has: what is left of their beats
    std::deque<WriteBeat> beats_;    // offered to memory: one
    bool last_ = false;              // it is its burst's last
    uint32_t unsent_ends_ = 0;       // the same, as a number
    uint32_t sent_ = 0;              // bursts without an answer
};

struct WriteGuardRun {
    Bench<Vwrite_guard> bench;
    CData size = 3, incr = 1;
    AxiWires<QData, CData> wires;
    std::unique_ptr<AxiMemory<QData, CData>> memory;
    std::unique_ptr<AxiChecker<QData, CData>> checker;
    Source<GuardBurst> requests;
    Source<WriteBeat> beats;
    Sink<CData> answers;
    WriteReference reference;
    uint32_t bursts_asked = 0;

    WriteGuardRun(bool stalls, AxiLatency latency)
        : requests(
              bench, bench->in_valid_i, bench->in_ready_o,
              [this](const GuardBurst &burst) { put(burst); }, drawn("in", stalls),
              [this] { put(test_random() & 1 ? reference.range.outside() : GuardBurst()); }),
          beats(
              bench, bench->beat_valid_i, bench->beat_ready_o,
              [this](const WriteBeat &beat) { put_beat(beat); }, drawn("beat", stalls),
              [this] {
                  put_beat({test_random(), CData(test_random())});
              }),
          answers(
              bench, bench->answer_valid_o, bench->answer_ready_i, [] { return CData(0); },
              drawn("answer", stalls)),
          reference(bench) {
        wires.awvalid = &bench->aw_valid_o;
        wires.awready = &bench->aw_ready_i;
        wires.awaddr = &bench->aw_address_o;
        wires.awlen = &bench->aw_len_o;
        wires.awsize = &size;
        wires.awburst = &incr;
        wires.wvalid = &bench->w_valid_o;
        wires.wready = &bench->w_ready_i;
        wires.wdata = &bench->w_data_o;
        wires.wstrb = &bench->w_strb_o;
        wires.wlast = &bench->w_last_o;
        wires.bvalid = &bench->b_valid_i;
        wires.bready = &bench->b_ready_o;
        wires.bresp = &bench->b_resp_i;
        memory = std::make_unique<AxiMemory<QData, CData>>(bench, "memory", wires, stalls, latency);
        checker = std::make_unique<AxiChecker<QData, CData>>(bench, "memory", wires);
        bench->stop_i = 0;
        set_range(reference.range);
        bench.reset();
    }

    static Stalls drawn(const char *port, bool stalls) {
        return stalls ? Stalls::drawn(port) : Stalls::none();
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
    void put_beat(const WriteBeat &beat) {
        bench->beat_data_i = beat.data;
        bench->beat_strb_i = beat.strobe;
    }

    void ask(const GuardBurst &burst) {
        requests.push(burst);
        bursts_asked++;
    }
    void give(uint32_t beats_count) {
        for (uint32_t i = 0; i < beats_count; i++)
            beats.push({test_random(), CData(1 + test_random_below(255))});
    }
    void write(const GuardBurst &burst) {
        ask(burst);
        give(burst.len + 1);
    }
    GuardBurst inside() const { return reference.range.inside(); }

    void stop() {
        bench->stop_i = 1;
        answers.idle(); // an offer may be withdrawn by this
    }
    // While stopped: what the master offers is withdrawn.
    void reset_master() {
        requests.clear();
        requests.idle();
        beats.clear();
        beats.idle();
    }
    void resume() {
        reset_master();
        bench.run_until([this] { return bench->quiet_o; });
        checker->check_idle();
        bench->stop_i = 0;
        answers.items.clear();
        bursts_asked = reference.passed_count = 0;
    }

    void compare_all() {
        bench.run_until([this] { return answers.items.size() == bursts_asked; });
        bench.run(20);
        CHECK(bench->quiet_o);
        CHECK_EQ(answers.items.size(), reference.passed_count);
        checker->check_idle();
    }
};

// Lives of three rounds: the first two may end in faults, or in a stop at any clock; what is
// written behind that is all answered.
TEST(a_master_writes_what_it_asks_for_and_another_one_after_faults_and_stops) {
    uint32_t errors = 0, outside = 0, silent = 0, empty = 0;

    repeat(60, [&] {
        WriteGuardRun run(true, {1, uint32_t(test_random_below(60))});
        const uint32_t chance = uint32_t(test_random_below(2)) * 40;

        for (uint32_t round = 0; round < 3; round++) {
            const bool whole = round == 2;

            run.set_range(GuardRange::drawn());
            run.memory->on_access = guard_errors(whole ? 0 : chance);
            for (uint32_t i = 0; i < 20; i++)
                run.write(whole || test_random_below(24) ? run.inside()
                                                         : run.reference.range.outside());
            if (!whole) {
                run.bench.run(test_random_below(600));
                run.stop();
                run.bench.run(test_random_below(30));
                run.resume();
            }
        }
        run.compare_all();
        if (chance == 0) CHECK(run.memory->bytes == run.reference.bytes);
        errors += run.reference.errors_count;
        outside += run.reference.outside_count;
        silent += run.reference.silence.told_count;
        empty += run.reference.empty_count;
    });
    CHECK(errors > 0 && outside > 0 && silent > 0 && empty > 0);
}

TEST(a_burst_of_one_beat_a_clock) {
    WriteGuardRun run(false, {1, 0});

    for (uint32_t i = 0; i < 1000; i++)
        run.write({uint64_t(run.reference.range.first()) * 4096 + i % 512 * 8, 0});
    run.compare_all();
    CHECK_EQ(run.requests.last_clock - run.requests.first_clock, 999);
    CHECK_EQ(run.beats.last_clock - run.beats.first_clock, 999);
    CHECK_EQ(run.answers.last_clock - run.answers.first_clock, 999);
}

TEST(no_more_bursts_are_out_than_it_can_count) {
    WriteGuardRun run(false, {100, 0});

    for (uint32_t i = 0; i < 30; i++)
        run.write({uint64_t(run.reference.range.first()) * 4096 + i * 8, 0});
    run.compare_all();
    CHECK_EQ(run.checker->rules.outstanding_most, GuardOwedMost);
}

TEST(a_burst_outside_is_told_and_not_begun) {
    repeat(40, [] {
        WriteGuardRun run(true, {1, 10});

        run.set_range(GuardRange::drawn());
        run.write(run.reference.range.outside());
        run.bench.run_until([&] { return run.reference.outside_count == 1; });
        run.bench.run(50);
        CHECK_EQ(run.checker->rules.write_bursts, 0);
        CHECK(!run.requests.empty() && run.bench->quiet_o);
        run.stop();
        run.resume();
        run.write(run.inside());
        run.compare_all();
        CHECK(run.memory->bytes == run.reference.bytes);
    });
}

TEST(a_memory_that_falls_silent_is_told_and_waited_for) {
    for (const bool takes : {false, true}) {
        WriteGuardRun run(false, {1, 0});

        run.memory->never_take = !takes;
        run.memory->never_answer = true;
        for (uint32_t i = 0; i < 3; i++) run.write(run.inside());
        run.bench.run_until([&] { return run.bench->silent_o; });
        CHECK_EQ(run.checker->rules.write_bursts, takes ? 3 : 0);
        run.stop();
        run.bench.run(20);
        run.reset_master();
        run.bench.run(200);
        CHECK(!run.bench->quiet_o && run.reference.silence.told_count > 3);
        CHECK_EQ(run.bench->aw_valid_o, !takes); // it stays offered
        run.memory->never_take = run.memory->never_answer = false;
        run.resume();
        CHECK_EQ(run.checker->rules.write_bursts, takes ? 3 : 1);
        for (uint32_t i = 0; i < 3; i++) run.write(run.inside());
        run.compare_all();
    }
}

TEST(a_master_slow_with_its_beats_is_no_silent_memory) {
    WriteGuardRun run(false, {1, 0});
    const uint64_t address = uint64_t(run.reference.range.first()) * 4096;

    run.ask({address, 15});
    run.ask({address + 256, 0});
    run.bench.run(GuardSilenceClocks * 3);
    run.give(5);
    run.bench.run(GuardSilenceClocks * 3);
    CHECK_EQ(run.reference.silence.told_count, 0);
    run.give(12);
    run.compare_all();
    CHECK(run.memory->bytes == run.reference.bytes);
}

TEST(a_stop_in_the_middle_of_a_burst_ends_it_with_beats_that_write_nothing) {
    WriteGuardRun run(false, {1, 0});
    const uint64_t address = uint64_t(run.reference.range.first()) * 4096;

    run.ask({address, 63});
    run.ask({address + 512, 15});
    run.give(20);
    run.bench.run(100);
    run.stop();
    run.resume();
    CHECK_EQ(run.checker->rules.write_beats, 80);
    CHECK_EQ(run.reference.empty_count, 60);
    run.write({address + 8, 3});
    run.compare_all();
    CHECK_EQ(run.checker->rules.write_beats, 84);
    CHECK(run.memory->bytes == run.reference.bytes);
}

TEST_MAIN
