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
// The checker holds, each clock: VALID and what goes with it stand still until READY; INCR bursts
// of full width, aligned, within 4 KiB, within the longest allowed; no beat without a request; LAST
// at the right beat; W beats in the order of AW; no answer before the last beat; READY comes within
// SilenceMax clocks of a VALID on R and B (a master must take what it asked for).
//
// The memory answers each burst after a latency of its own, in order (one ID). Responses and
// silence can be injected: on_access says the response to an address, never_take makes it deaf,
// never_answer dumb.
#ifndef CST_RTL_AXI_HPP
#define CST_RTL_AXI_HPP

#include "bench.hpp"

#include <algorithm>
#include <unordered_map>

// References to a port's signals; either half may be absent (NULL).
template <class Data, class Strobe> struct AxiWires {
    CData *arvalid = nullptr, *arready = nullptr;
    QData *araddr = nullptr;
    CData *arlen = nullptr, *arsize = nullptr, *arburst = nullptr;
    CData *rvalid = nullptr, *rready = nullptr;
    Data *rdata = nullptr;
    CData *rresp = nullptr, *rlast = nullptr;
    CData *awvalid = nullptr, *awready = nullptr;
    QData *awaddr = nullptr;
    CData *awlen = nullptr, *awsize = nullptr, *awburst = nullptr;
    CData *wvalid = nullptr, *wready = nullptr;
    Data *wdata = nullptr;
    Strobe *wstrb = nullptr;
    CData *wlast = nullptr;
    CData *bvalid = nullptr, *bready = nullptr, *bresp = nullptr;
};

// Names as modules inside have them: PREFIX arvalid_o and so on.
#define AXI_READ_WIRES(WIRES, TOP, PREFIX)                                                         \
    do {                                                                                           \
        (WIRES).arvalid = &(TOP)->PREFIX##arvalid_o;                                               \
        (WIRES).arready = &(TOP)->PREFIX##arready_i;                                               \
        (WIRES).araddr = &(TOP)->PREFIX##araddr_o;                                                 \
        (WIRES).arlen = &(TOP)->PREFIX##arlen_o;                                                   \
        (WIRES).arsize = &(TOP)->PREFIX##arsize_o;                                                 \
        (WIRES).arburst = &(TOP)->PREFIX##arburst_o;                                               \
        (WIRES).rvalid = &(TOP)->PREFIX##rvalid_i;                                                 \
        (WIRES).rready = &(TOP)->PREFIX##rready_o;                                                 \
        (WIRES).rdata = &(TOP)->PREFIX##rdata_i;                                                   \
        (WIRES).rresp = &(TOP)->PREFIX##rresp_i;                                                   \
        (WIRES).rlast = &(TOP)->PREFIX##rlast_i;                                                   \
    } while (0)
#define AXI_WRITE_WIRES(WIRES, TOP, PREFIX)                                                        \
    do {                                                                                           \
        (WIRES).awvalid = &(TOP)->PREFIX##awvalid_o;                                               \
        (WIRES).awready = &(TOP)->PREFIX##awready_i;                                               \
        (WIRES).awaddr = &(TOP)->PREFIX##awaddr_o;                                                 \
        (WIRES).awlen = &(TOP)->PREFIX##awlen_o;                                                   \
        (WIRES).awsize = &(TOP)->PREFIX##awsize_o;                                                 \
        (WIRES).awburst = &(TOP)->PREFIX##awburst_o;                                               \
        (WIRES).wvalid = &(TOP)->PREFIX##wvalid_o;                                                 \
        (WIRES).wready = &(TOP)->PREFIX##wready_i;                                                 \
        (WIRES).wdata = &(TOP)->PREFIX##wdata_o;                                                   \
        (WIRES).wstrb = &(TOP)->PREFIX##wstrb_o;                                                   \
        (WIRES).wlast = &(TOP)->PREFIX##wlast_o;                                                   \
        (WIRES).bvalid = &(TOP)->PREFIX##bvalid_i;                                                 \
        (WIRES).bready = &(TOP)->PREFIX##bready_o;                                                 \
        (WIRES).bresp = &(TOP)->PREFIX##bresp_i;                                                   \
    } while (0)

// As the top of a kernel has them: PREFIX ARVALID and so on.
#define AXI_KERNEL_WIRES(WIRES, TOP, PREFIX)                                                       \
    do {                                                                                           \
        (WIRES).arvalid = &(TOP)->PREFIX##ARVALID;                                                 \
        (WIRES).arready = &(TOP)->PREFIX##ARREADY;                                                 \
        (WIRES).araddr = &(TOP)->PREFIX##ARADDR;                                                   \
        (WIRES).arlen = &(TOP)->PREFIX##ARLEN;                                                     \
        (WIRES).arsize = &(TOP)->PREFIX##ARSIZE;                                                   \
        (WIRES).arburst = &(TOP)->PREFIX##ARBURST;                                                 \
        (WIRES).rvalid = &(TOP)->PREFIX##RVALID;                                                   \
        (WIRES).rready = &(TOP)->PREFIX##RREADY;                                                   \
        (WIRES).rdata = &(TOP)->PREFIX##RDATA;                                                     \
        (WIRES).rresp = &(TOP)->PREFIX##RRESP;                                                     \
        (WIRES).rlast = &(TOP)->PREFIX##RLAST;                                                     \
        (WIRES).awvalid = &(TOP)->PREFIX##AWVALID;                                                 \
        (WIRES).awready = &(TOP)->PREFIX##AWREADY;                                                 \
        (WIRES).awaddr = &(TOP)->PREFIX##AWADDR;                                                   \
        (WIRES).awlen = &(TOP)->PREFIX##AWLEN;                                                     \
        (WIRES).awsize = &(TOP)->PREFIX##AWSIZE;                                                   \
        (WIRES).awburst = &(TOP)->PREFIX##AWBURST;                                                 \
        (WIRES).wvalid = &(TOP)->PREFIX##WVALID;                                                   \
        (WIRES).wready = &(TOP)->PREFIX##WREADY;                                                   \
        (WIRES).wdata = &(TOP)->PREFIX##WDATA;                                                     \
        (WIRES).wstrb = &(TOP)->PREFIX##WSTRB;                                                     \
        (WIRES).wlast = &(TOP)->PREFIX##WLAST;                                                     \
        (WIRES).bvalid = &(TOP)->PREFIX##BVALID;                                                   \
        (WIRES).bready = &(TOP)->PREFIX##BREADY;                                                   \
        (WIRES).bresp = &(TOP)->PREFIX##BRESP;                                                     \
    } while (0)

enum : uint8_t { AxiOkay = 0, AxiSlverr = 2, AxiDecerr = 3 };
// Handshakes of a memory that never come.
enum : uint32_t { SilentAr = 1, SilentR = 2, SilentAw = 4, SilentW = 8, SilentB = 16 };

// A channel's VALID must stand still, with what goes with it, until READY.
class AxiHold {
  public:
    template <class... Parts>
    void sample(const char *port, const char *channel, bool valid, bool ready,
                const Parts *...parts) {
        const bool was_held = held_;

        if (held_ && !valid) TEST_FAIL("%s: %sVALID fell before %sREADY", port, channel, channel);
        held_ = valid && !ready;
        waited = held_ ? waited + 1 : 0;
        if (!was_held && !held_) return;
        now_.clear();
        (now_.insert(now_.end(), reinterpret_cast<const uint8_t *>(parts),
                     reinterpret_cast<const uint8_t *>(parts) + sizeof *parts),
         ...);
        if (was_held && now_ != payload_)
            TEST_FAIL("%s: what goes with %sVALID changed before %sREADY", port, channel, channel);
        payload_.swap(now_);
    }
    void forget() {
        held_ = false;
        waited = 0;
    }
    uint32_t waited = 0;

  private:
    bool held_ = false;
    std::vector<uint8_t> payload_, now_;
};

template <class Data, class Strobe = QData> class AxiChecker : public Part {
  public:
    static constexpr uint32_t DataBytes = sizeof(Data);
    using Wires = AxiWires<Data, Strobe>;

    AxiChecker(Clocked &bench, std::string port, const Wires &wires, uint32_t burst_beats_max = 256)
        : port_(std::move(port)), wires_(wires), beats_max_(burst_beats_max) {
        bench.add(this);
    }

    // After reset, and when everything should be done.
    void check_idle() const {
        if (!reads_.empty())
            TEST_FAIL("%s: %zu reads are outstanding", port_.c_str(), reads_.size());
        if (!writes_.empty() || sent_ != 0 || !beats_.empty())
            TEST_FAIL("%s: %zu writes are outstanding", port_.c_str(), writes_.size());
    }

    uint64_t read_beats = 0, write_beats = 0, read_bursts = 0, write_bursts = 0;
    size_t outstanding_most = 0;
    uint32_t silence_max = 4096;
    bool data_first = false; // beats may be offered before their address is taken

    void idle() override {
        reads_.clear();
        writes_.clear();
        beats_.clear();
        sent_ = 0;
        read_at_ = beat_at_ = 0;
        for (AxiHold *hold : {&ar_, &r_, &aw_, &w_, &b_}) hold->forget();
    }
    void drive() override {}
    void sample() override {
        if (wires_.arvalid) sample_reads();
        if (wires_.awvalid) sample_writes();
        outstanding_most = std::max({outstanding_most, reads_.size(), writes_.size()});
    }

  private:
    void check_burst(char kind, uint64_t address, uint32_t length, uint32_t size, uint32_t burst) {
        const uint64_t bytes = uint64_t(length + 1) * DataBytes;

        if (burst != 1) TEST_FAIL("%s: A%cBURST %u is not INCR", port_.c_str(), kind, burst);
        if (1u << size != DataBytes)
            TEST_FAIL("%s: A%cSIZE %u is not the full width", port_.c_str(), kind, size);
        if (address % DataBytes)
            TEST_FAIL("%s: A%cADDR %" PRIx64 " is not aligned", port_.c_str(), kind, address);
        if (address / 4096 != (address + bytes - 1) / 4096)
            TEST_FAIL("%s: %u beats from %" PRIx64 " cross 4 KiB", port_.c_str(), length + 1,
                      address);
        if (length + 1 > beats_max_)
            TEST_FAIL("%s: a burst of %u beats", port_.c_str(), length + 1);
    }

    void sample_reads() {
        const Wires &w = wires_;

        ar_.sample(port_.c_str(), "AR", *w.arvalid, *w.arready, w.araddr, w.arlen, w.arsize,
                   w.arburst);
        r_.sample(port_.c_str(), "R", *w.rvalid, *w.rready, w.rdata, w.rresp, w.rlast);
        if (r_.waited > silence_max) TEST_FAIL("%s: RREADY does not come", port_.c_str());
        if (*w.rvalid) {
            if (reads_.empty()) TEST_FAIL("%s: a beat that nobody asked for", port_.c_str());
            const bool ends = read_at_ == reads_.front();
            if (bool(*w.rlast) != ends) TEST_FAIL("%s: RLAST at the wrong beat", port_.c_str());
            if (*w.rready) {
                read_beats++;
                read_at_ = ends ? 0 : read_at_ + 1;
                if (ends) reads_.pop_front();
            }
        }
        if (*w.arvalid) check_burst('R', *w.araddr, *w.arlen, *w.arsize, *w.arburst);
        if (*w.arvalid && *w.arready) {
            reads_.push_back(*w.arlen);
            read_bursts++;
        }
    }

    void sample_writes() {
        const Wires &w = wires_;

        aw_.sample(port_.c_str(), "AW", *w.awvalid, *w.awready, w.awaddr, w.awlen, w.awsize,
                   w.awburst);
        w_.sample(port_.c_str(), "W", *w.wvalid, *w.wready, w.wdata, w.wstrb, w.wlast);
        b_.sample(port_.c_str(), "B", *w.bvalid, *w.bready, w.bresp);
        if (b_.waited > silence_max) TEST_FAIL("%s: BREADY does not come", port_.c_str());
        if (*w.bvalid && sent_ == 0)
            TEST_FAIL("%s: an answer before the burst's last beat", port_.c_str());
        if (*w.bvalid && *w.bready) {
            sent_--;
            writes_.pop_front();
        }
        if (*w.awvalid) check_burst('W', *w.awaddr, *w.awlen, *w.awsize, *w.awburst);
        if (*w.awvalid && *w.awready) {
            writes_.push_back(*w.awlen);
            beats_.push_back(*w.awlen);
            write_bursts++;
        }
        // AXI lets a beat come before its address. Our masters promise that none does, but for
        // those that are told to; of such a beat, while it waits, nothing can be said yet.
        if (*w.wvalid && (!beats_.empty() || *w.wready || !data_first)) {
            if (beats_.empty()) TEST_FAIL("%s: a W beat before its AW", port_.c_str());
            const bool ends = beat_at_ == beats_.front();
            if (bool(*w.wlast) != ends) TEST_FAIL("%s: WLAST at the wrong beat", port_.c_str());
            if (*w.wready) {
                write_beats++;
                beat_at_ = ends ? 0 : beat_at_ + 1;
                if (ends) {
                    beats_.pop_front();
                    sent_++;
                }
            }
        }
    }

    std::string port_;
    Wires wires_;
    uint32_t beats_max_;
    AxiHold ar_, r_, aw_, w_, b_;
    std::deque<uint32_t> reads_;  // lengths of bursts asked for, oldest first
    std::deque<uint32_t> writes_; // of those without an answer
    std::deque<uint32_t> beats_;  // of those whose beats are not all sent
    size_t sent_ = 0;             // bursts sent, without an answer
    uint32_t read_at_ = 0, beat_at_ = 0;
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

        if (response != AxiOkay) front.response = response;
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
