// bench.hpp: the harness of the test benches in tests/rtl: one clock, reset, chance, waves.
//
//   // model: fifo_4 cst_fifo -GDepth=4                     the CMake list makes class Vfifo_4
//   TEST(what_the_module_promises) {
//       Bench<Vfifo_4> bench;
//       Source<uint64_t> in(bench, bench->in_valid_i, bench->in_ready_o,
//                           [&](uint64_t item) { bench->in_data_i = item; }, Stalls::drawn("in"));
//       Sink<uint64_t> out(bench, bench->out_valid_o, bench->out_ready_i,
//                          [&] { return bench->out_data_o; }, Stalls::drawn("out"));
//       bench.reset();
//       in.push(7);
//       bench.run_until([&] { return out.items.size() == 1; });
//       CHECK_EQ(out.items[0], 7);
//   }
//
//   one clock:  parts drive -> eval, clock low -> parts sample -> eval, clock high
//                inputs          outputs settle     handshakes       registers change
//
// A part drives from what it knows of earlier clocks only, and samples what both sides show before
// the edge: no part depends on the order of parts. Declare parts before reset().
//
// Chance     test_random() alone, so CST_SEED=7 replays a run; the model's unreset registers and
//            unknown values are drawn from the same seed. Every draw of a stall is told when a case
//            fails. Items that are not valid are driven with chance, if the source is given noise.
// Power-up   CST_POWER_UP=2 draws other values of unreset registers and memories, nothing else, and
//            has each bench tell its end: what it did in which clock may not hang on them.
// Waves      CST_SEED=7 scripts/waves NAME CASE builds the bench with tracing, in a folder of its
// own,
//            and runs it so. A program built like that writes to CST_WAVES=FILE, from the clock
//            CST_WAVES_FROM=N on if that is set, the bench that lived last.
// Ends       a case that takes more clocks than it may, an assertion inside the model, a failing
//            check: each ends the program, with the clock, the draws, and how to see it again.
#ifndef CST_RTL_BENCH_HPP
#define CST_RTL_BENCH_HPP

#include "test.h"

#include <verilated.h>
#if VM_TRACE
#include <verilated_fst_c.h>
#endif

#include <csignal>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

// Whether a port holds back in this clock. Drawn once a run: one chance of {0, 1/8, 1/2, 7/8}, and
// for one port in four bursts of silence of up to 200 clocks beside it.
class Stalls {
  public:
    static Stalls none() { return Stalls(0, false); }

    static Stalls drawn(const std::string &port);

    bool now() {
        if (silent_clocks_ > 0) {
            silent_clocks_--;
            return true;
        }
        if (bursts_ && test_random_below(256) == 0) silent_clocks_ = test_random_below(200);
        return eighths_ > 0 && test_random_below(8) < eighths_;
    }

  private:
    Stalls(uint32_t eighths, bool bursts) : eighths_(eighths), bursts_(bursts) {}

    uint32_t eighths_;
    bool bursts_;
    uint64_t silent_clocks_ = 0;
};

// Something at a port of the model.
class Part {
  public:
    virtual ~Part() = default;
    virtual void idle() = 0;   // while in reset: nothing is offered, nothing taken
    virtual void drive() = 0;  // sets inputs, from what was sampled in earlier clocks
    virtual void sample() = 0; // sees inputs and outputs as the next edge will
};

// What a failing case tells, and what must be closed then. One bench lives at a time.
struct BenchReport {
    static constexpr uint64_t WavesClocks = 20000; // are drawn before the one that failed

    std::string draws;
    uint64_t clock = 0;
    bool live = false;
    std::function<void()> close;

    static BenchReport &get() {
        static BenchReport *report = [] {
            std::atexit([] { get().tell(); });
            (void)std::signal(SIGABRT, [](int) { get().tell(); }); // an assert of the bench itself
            return new BenchReport; // never destroyed: exit() runs destructors before tell()
        }();
        return *report;
    }

    void tell() {
        if (!live) return;
        live = false;
        if (close) close();
        fprintf(stderr, "at clock %" PRIu64 "; stalls:%s\n", clock,
                draws.empty() ? " none" : draws.c_str());
        const uint64_t from = clock < WavesClocks ? 0 : clock - WavesClocks;
        fprintf(stderr,
                "waves: CST_SEED=%" PRIu64 " CST_WAVES_FROM=%" PRIu64 " scripts/waves %s %s\n",
                test_seed_value, from, CST_TEST_NAME, test_case_now);
    }
};

inline Stalls Stalls::drawn(const std::string &port) {
    static const uint32_t chances[] = {0, 1, 4, 7};
    const Stalls stalls(chances[test_random_below(4)], test_random_below(4) == 0);

    BenchReport::get().draws += " " + port + " " + std::to_string(stalls.eighths_) + "/8" +
                                (stalls.bursts_ ? " with silences" : "");
    return stalls;
}

// The clock and reset of a module inside (clk_i, rst_ni) or of a kernel's top (ap_clk, ap_rst_n).
template <class Model> auto clock_of(Model &top, int) -> decltype((top.clk_i)) {
    return top.clk_i;
}
template <class Model> auto clock_of(Model &top, long) -> decltype((top.ap_clk)) {
    return top.ap_clk;
}
template <class Model> auto reset_of(Model &top, int) -> decltype((top.rst_ni)) {
    return top.rst_ni;
}
template <class Model> auto reset_of(Model &top, long) -> decltype((top.ap_rst_n)) {
    return top.ap_rst_n;
}

class Clocked {
  public:
    void add(Part *part) { parts_.push_back(part); }
    uint64_t clock() const { return clock_; }

  protected:
    std::vector<Part *> parts_;
    uint64_t clock_ = 0;
};

template <class Model> class Bench : public Clocked {
  public:
    explicit Bench(uint64_t clocks_max = 1000000) : clocks_max_(clocks_max) {
        context_.randReset(2);
        const char *power_up = getenv("CST_POWER_UP");
        const uint64_t other = power_up ? strtoull(power_up, nullptr, 10) * 0x9e3779b97f4a7c15u : 0;
        tells_end_ = power_up != nullptr;
        context_.randSeed(static_cast<int>((test_random() ^ other >> 32) & 0x7fffffff) | 1);
        context_.fatalOnError(false);
        context_.commandArgs(0, static_cast<const char **>(nullptr)); // a model may ask for some
        BenchReport &report = BenchReport::get();
        report.clock = 0;
        report.live = true;
#if VM_TRACE
        const char *waves = getenv("CST_WAVES");
        if (waves) context_.traceEverOn(true);
        top_ = std::make_unique<Model>(&context_);
        if (waves) {
            const char *from = getenv("CST_WAVES_FROM");
            waves_from_ = from ? strtoull(from, nullptr, 0) : 0;
            top_->trace(&waves_, 99);
            waves_.open(waves);
            report.close = [this] { waves_.close(); };
        }
#else
        top_ = std::make_unique<Model>(&context_);
#endif
    }

    ~Bench() {
        top_->final();
        // Stalls are drawn clock by clock: the next number tells whether all of them were the same.
        if (tells_end_) printf("end: clock %" PRIu64 ", next %" PRIx64 "\n", clock_, test_random());
#if VM_TRACE
        waves_.close();
#endif
        BenchReport::get().live = false;
        BenchReport::get().close = nullptr;
        BenchReport::get().draws.clear(); // what the next one draws may be drawn before it is made
    }

    Bench(const Bench &) = delete;
    Bench &operator=(const Bench &) = delete;

    Model *operator->() {
        return top_.get();
    }

    // Holds reset for some clocks; parts are idle. May be called again at any time.
    void reset(uint32_t clocks = 4) {
        reset_of(*top_, 0) = 0;
        for (uint32_t i = 0; i < clocks; i++) edge([](Part *part) { part->idle(); }, nullptr);
        reset_of(*top_, 0) = 1;
    }

    void tick() {
        edge([](Part *part) { part->drive(); }, [](Part *part) { part->sample(); });
    }

    void run(uint64_t clocks) {
        for (uint64_t i = 0; i < clocks; i++) tick();
    }

    template <class Done> void run_until(Done done) {
        while (!done()) tick();
    }

  private:
    void edge(void (*before)(Part *), void (*between)(Part *)) {
        for (Part *part : parts_) before(part);
        clock_of(*top_, 0) = 0;
        eval();
        if (between)
            for (Part *part : parts_) between(part);
        clock_of(*top_, 0) = 1;
        eval();
        clock_++;
        BenchReport::get().clock = clock_;
        if (clock_ > clocks_max_) TEST_FAIL("not done after %" PRIu64 " clocks", clocks_max_);
    }

    void eval() {
        top_->eval();
        context_.timeInc(1);
#if VM_TRACE
        if (waves_.isOpen() && clock_ >= waves_from_) waves_.dump(context_.time());
#endif
        if (context_.gotError()) TEST_FAIL("an assertion of the model failed (see above)");
    }

    VerilatedContext context_;
    std::unique_ptr<Model> top_;
    uint64_t clocks_max_;
    bool tells_end_ = false;
#if VM_TRACE
    VerilatedFstC waves_;
    uint64_t waves_from_ = 0;
#endif
};

// Offers items in order at a valid/ready port; a payload stands still until it is taken.
template <class Item> class Source : public Part {
  public:
    using Put = std::function<void(const Item &)>;

    Source(Clocked &bench, CData &valid, const CData &ready, Put put, Stalls stalls,
           std::function<void()> noise = nullptr)
        : valid_(valid), ready_(ready), put_(std::move(put)), stalls_(stalls),
          noise_(std::move(noise)), bench_(bench) {
        bench.add(this);
    }

    void push(const Item &item) { waiting_.push_back(item); }
    bool empty() const { return waiting_.empty(); }
    void clear() { waiting_.clear(); } // only before a reset: an offer may not be withdrawn

    void idle() override {
        valid_ = 0;
        offered_ = false;
    }
    void drive() override {
        if (!offered_ && !waiting_.empty() && !stalls_.now()) {
            offered_ = true;
            put_(waiting_.front());
        }
        valid_ = offered_;
        if (!offered_ && noise_) noise_();
    }
    void sample() override {
        if (!valid_ || !ready_) return;
        waiting_.pop_front();
        offered_ = false;
        if (taken_count++ == 0) first_clock = bench_.clock();
        last_clock = bench_.clock();
    }

    uint64_t taken_count = 0, first_clock = 0, last_clock = 0;

  private:
    CData &valid_;
    const CData &ready_;
    Put put_;
    Stalls stalls_;
    std::function<void()> noise_;
    Clocked &bench_;
    std::deque<Item> waiting_;
    bool offered_ = false;
};

// Takes items from a valid/ready port and keeps them; checks that an offer stands still until it is
// taken. Item needs ==.
template <class Item> class Sink : public Part {
  public:
    using Get = std::function<Item()>;

    Sink(Clocked &bench, const CData &valid, CData &ready, Get get, Stalls stalls)
        : valid_(valid), ready_(ready), get_(std::move(get)), stalls_(stalls), bench_(bench) {
        bench.add(this);
    }

    void idle() override {
        ready_ = 0;
        held_ = false;
    }
    void drive() override { ready_ = !stalls_.now() && !holds; }
    void sample() override {
        if (held_ && !valid_) TEST_FAIL("an offer was withdrawn");
        if (!valid_) return;
        const Item item = get_();
        if (held_ && !(item == offer_)) TEST_FAIL("an offer changed before it was taken");
        held_ = !ready_;
        offer_ = item;
        if (!ready_) return;
        if (items.empty()) first_clock = bench_.clock();
        last_clock = bench_.clock();
        items.push_back(item);
    }

    // Clocks an item from the first to the last; 1.0 is one a clock.
    double clocks_each() const {
        return items.size() < 2
                   ? 0
                   : static_cast<double>(last_clock - first_clock) / double(items.size() - 1);
    }

    std::vector<Item> items;
    bool holds = false; // takes nothing, until the bench says so
    uint64_t first_clock = 0, last_clock = 0;

  private:
    const CData &valid_;
    CData &ready_;
    Get get_;
    Stalls stalls_;
    Clocked &bench_;
    bool held_ = false;
    Item offer_{};
};

// A wide port's words and bytes: byte i of `bytes` is bits 8i + 7 to 8i of the port.
template <std::size_t Words>
void wide_from_bytes(VlWide<Words> &port, const uint8_t *bytes, std::size_t count) {
    for (std::size_t i = 0; i < Words; i++) port[i] = 0;
    for (std::size_t i = 0; i < count; i++) port[i / 4] |= EData(bytes[i]) << (8 * (i % 4));
}

template <std::size_t Words>
void wide_to_bytes(const VlWide<Words> &port, uint8_t *bytes, std::size_t count) {
    for (std::size_t i = 0; i < count; i++) bytes[i] = uint8_t(port[i / 4] >> (8 * (i % 4)));
}

template <std::size_t Words> void wide_noise(VlWide<Words> &port, uint32_t bits) {
    for (std::size_t i = 0; i < Words; i++) port[i] = EData(test_random());
    if (bits % 32) port[Words - 1] &= (EData(1) << bits % 32) - 1;
}

// Random cases are run this often, each from numbers of their own; CST_ROUNDS times as often where
// there is time (scripts/soak).
template <class Case> void repeat(uint32_t times, Case run) {
    const char *rounds = getenv("CST_ROUNDS");
    const uint32_t count = times * (rounds ? uint32_t(strtoul(rounds, nullptr, 10)) : 1);

    for (uint32_t i = 0; i < count; i++) run();
}

#endif
