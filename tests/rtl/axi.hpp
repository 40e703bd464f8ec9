// axi.hpp: an AXI4 port of a model: a checker of both sides' rules, and a memory behind it.
//
//   AxiWires<VlWide<16>, QData> wires;                           512 bits and their strobes
//   AXI_READ_WIRES(wires, bench, m_);                            m_arvalid_o ... m_rlast_i
//   AxiMemory<VlWide<16>> memory(bench, "memory", wires);        its stalls are drawn
//   AxiChecker<VlWide<16>> checker(bench, "memory", wires);
//   memory.bytes[address] = 7;
//   ... run ...
//   checker.check_idle();                                        nothing is outstanding
//
// The checker holds both sides to the rules of sim/memory/axi_rules.hpp, each clock.
//
// The memory answers each burst after a latency of its own, in order (one ID). Responses and
// silence can be injected: on_access says the response to an address, never_take makes it deaf,
// never_answer dumb.
#ifndef CST_RTL_AXI_HPP
#define CST_RTL_AXI_HPP

#include "bench.hpp"
#include "memory/axi_rules.hpp"

#include <unordered_map>

template <class Data, class Strobe> using AxiWires = cst_sim::AxiPins<Data, Strobe>;

// Names as modules inside have them: PREFIX arvalid_o and so on.
#define AXI_READ_WIRES(WIRES, TOP, PREFIX)                                                         \
    do {                                                                                           \
        CST_SIM_AXI_READ_PINS(WIRES, TOP, PREFIX);                                                 \
        (WIRES).arsize = &(TOP)->PREFIX##arsize_o;                                                 \
        (WIRES).arburst = &(TOP)->PREFIX##arburst_o;                                               \
    } while (0)
#define AXI_WRITE_WIRES(WIRES, TOP, PREFIX)                                                        \
    do {                                                                                           \
        CST_SIM_AXI_WRITE_PINS(WIRES, TOP, PREFIX);                                                \
        (WIRES).awsize = &(TOP)->PREFIX##awsize_o;                                                 \
        (WIRES).awburst = &(TOP)->PREFIX##awburst_o;                                               \
    } while (0)

// As the top of a kernel has them: PREFIX ARVALID and so on.
#define AXI_KERNEL_WIRES(WIRES, TOP, PREFIX)                                                       \
    do {                                                                                           \
        CST_SIM_AXI_KERNEL_READ_PINS(WIRES, TOP, PREFIX);                                          \
        CST_SIM_AXI_KERNEL_WRITE_PINS(WIRES, TOP, PREFIX);                                         \
    } while (0)

// EXOKAY is an error where nothing exclusive was asked for.
enum : uint8_t { AxiOkay = 0, AxiExokay = 1, AxiSlverr = 2, AxiDecerr = 3 };
// Handshakes of a memory that never come.
enum : uint32_t {
    SilentAr = 1,
    SilentR = 2,
    SilentAw = 4,
    SilentW = 8,
    SilentB = 16,
    SilentAll = 31
};

template <class Data, class Strobe = QData> class AxiChecker : public Part {
  public:
    using Wires = AxiWires<Data, Strobe>;

    AxiChecker(Clocked &bench, std::string port, const Wires &wires, uint32_t burst_beats_max = 256)
        : rules(wires, burst_beats_max), port_(std::move(port)) {
        bench.add(this);
    }

    // After reset, and when everything should be done.
    void check_idle() { check(rules.idle()); }

    cst_sim::AxiRules<Data, Strobe> rules;

    void idle() override { rules.forget(); }
    void drive() override {}
    void sample() override { check(rules.sample()); }

  private:
    void check(const char *broken) const {
        if (broken) TEST_FAIL("%s: %s", port_.c_str(), broken);
    }

    std::string port_;
};

// A slave's control port: TOP's PREFIX awvalid_i and so on, or AWVALID and so on.
class AxilChecker : public Part {
  public:
    AxilChecker(Clocked &bench, std::string port, const cst_sim::AxilPins &pins)
        : rules_(pins), port_(std::move(port)) {
        bench.add(this);
    }

    void idle() override { rules_.forget(); }
    void drive() override {}
    void sample() override {
        const char *broken = rules_.sample();

        if (broken) TEST_FAIL("%s: %s", port_.c_str(), broken);
    }

  private:
    cst_sim::AxilRules rules_;
    std::string port_;
};

struct AxiLatency {
    uint32_t clocks_min = 1, clocks_more = 0; // each burst: min + below (more + 1)
};

template <class Data, class Strobe = QData> class AxiMemory : public Part {
  public:
    static constexpr uint32_t DataBytes = sizeof(Data);
    using Wires = AxiWires<Data, Strobe>;

    AxiMemory(Clocked &bench, const std::string &port, const Wires &wires, bool stalls = true,
              AxiLatency latency = {})
        : bench_(bench), wires_(wires), latency_(latency), ar_(drawn(port + ".ar", stalls)),
          r_(drawn(port + ".r", stalls)), aw_(drawn(port + ".aw", stalls)),
          w_(drawn(port + ".w", stalls)), b_(drawn(port + ".b", stalls)) {
        bench.add(this);
    }

    std::unordered_map<uint64_t, uint8_t> bytes;
    std::function<uint8_t(uint64_t address, bool write)> on_access; // NULL: all OKAY
    // Where a beat lies, if not in `bytes`; only bytes whose strobe is set are written there.
    std::function<uint8_t *(uint64_t address, bool write)> place;
    bool never_take = false, never_answer = false;
    uint32_t silent = 0;

    uint8_t byte(uint64_t address) const {
        const auto found = bytes.find(address);
        return found == bytes.end() ? 0 : found->second;
    }

    void idle() override {
        reads_.clear();
        writes_.clear();
        answers_.clear();
        offered_r_ = offered_b_ = false;
        if (wires_.arvalid) *wires_.arready = *wires_.rvalid = 0;
        if (wires_.awvalid) *wires_.awready = *wires_.wready = *wires_.bvalid = 0;
    }

    void drive() override {
        if (wires_.arvalid) drive_reads();
        if (wires_.awvalid) drive_writes();
    }

    void sample() override {
        if (wires_.arvalid) sample_reads();
        if (wires_.awvalid) sample_writes();
    }

  private:
    struct Burst {
        uint64_t address;
        uint32_t length, at;
        uint64_t ready_clock;
        uint8_t response;
    };

    static Stalls drawn(const std::string &port, bool stalls) {
        return stalls ? Stalls::drawn(port) : Stalls::none();
    }

    Burst burst(uint64_t address, uint32_t length) {
        return {address, length, 0,
                bench_.clock() + latency_.clocks_min + test_random_below(latency_.clocks_more + 1),
                AxiOkay};
    }

    uint8_t respond(uint64_t address, bool write) const {
        return on_access ? on_access(address, write) : uint8_t(AxiOkay);
    }

    void drive_reads() {
        *wires_.arready = !ar_.now() && !never_take && !(silent & SilentAr);
        if (!offered_r_ && !reads_.empty() && bench_.clock() >= reads_.front().ready_clock &&
            !never_answer && !(silent & SilentR) && !r_.now()) {
            const Burst &front = reads_.front();
            const uint64_t address = front.address + uint64_t(front.at) * DataBytes;
            uint8_t *data = reinterpret_cast<uint8_t *>(wires_.rdata);

            if (place) memcpy(data, place(address, false), DataBytes);
            for (uint32_t i = 0; i < DataBytes && !place; i++) data[i] = byte(address + i);
            *wires_.rresp = respond(address, false);
            *wires_.rlast = front.at == front.length;
            offered_r_ = true;
        }
        *wires_.rvalid = offered_r_;
    }

    void sample_reads() {
        if (*wires_.rvalid && *wires_.rready) {
            offered_r_ = false;
            if (reads_.front().at++ == reads_.front().length) reads_.pop_front();
        }
        if (*wires_.arvalid && *wires_.arready)
            reads_.push_back(burst(*wires_.araddr, *wires_.arlen));
    }

    void drive_writes() {
        *wires_.awready = !aw_.now() && !never_take && !(silent & SilentAw);
        *wires_.wready = !w_.now() && !never_take && !(silent & SilentW);
        if (!offered_b_ && !answers_.empty() && bench_.clock() >= answers_.front().ready_clock &&
            !never_answer && !(silent & SilentB) && !b_.now()) {
            *wires_.bresp = answers_.front().response;
            offered_b_ = true;
        }
        *wires_.bvalid = offered_b_;
    }

    void sample_writes() {
        if (*wires_.bvalid && *wires_.bready) {
            offered_b_ = false;
            answers_.pop_front();
        }
        if (*wires_.awvalid && *wires_.awready)
            writes_.push_back(burst(*wires_.awaddr, *wires_.awlen));
        if (*wires_.wvalid && *wires_.wready) take_beat();
    }

    void take_beat() {
        Burst &front = writes_.front(); // the checker sees that there is one
        const uint64_t address = front.address + uint64_t(front.at) * DataBytes;
        const uint8_t *data = reinterpret_cast<const uint8_t *>(wires_.wdata);
        const uint8_t *strobe = reinterpret_cast<const uint8_t *>(wires_.wstrb);
        const uint8_t response = respond(address, true);

        if (front.response == AxiOkay) front.response = response;
        for (uint32_t i = 0; i < DataBytes && response == AxiOkay; i++)
            if (strobe[i / 8] >> (i % 8) & 1)
                (place ? place(address, true)[i] : bytes[address + i]) = data[i];
        if (front.at++ != front.length) return;
        front.ready_clock = bench_.clock() + latency_.clocks_min;
        answers_.push_back(front);
        writes_.pop_front();
    }

    Clocked &bench_;
    Wires wires_;
    AxiLatency latency_;
    Stalls ar_, r_, aw_, w_, b_;
    std::deque<Burst> reads_, writes_, answers_;
    bool offered_r_ = false, offered_b_ = false;
};

#endif
