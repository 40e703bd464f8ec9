// axi_rules.hpp: the rules of AXI4, and of AXI4-Lite's answers, at a port of a Verilated module.
//
//   cst_sim::AxiRules<VlWide<16>, QData> rules(pins, 16);     pins: axi_pins.hpp, all but IDs
//   one clock:  inputs, top->eval() with the clock low
//               if (const char *broken = rules.sample()) fail(broken);
//               top->eval() with the clock high
//
// Both sides are held to them: VALID and what goes with it stand still until READY; INCR bursts of
// full width, aligned, within 4 KiB, within the longest allowed; no beat without a request; LAST at
// the right beat; W beats in the order of AW; no answer before the last beat; READY comes within
// silence_max clocks of a VALID on R and B (a master must take what it asked for).
//
// Promises   a port at rest costs a look at its five VALIDs. Behind a broken rule a text; nothing
//            holds after it.
// Thread     the model's.
#ifndef CST_SIM_AXI_RULES_HPP
#define CST_SIM_AXI_RULES_HPP

#include "memory/axi_pins.hpp"

#include <algorithm>
#include <cassert>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <deque>

namespace cst_sim {

// A channel's VALID must stand still, with the BYTES that go with it, until READY.
template <size_t BYTES> class AxiHold {
  public:
    // NULL, or what is wrong.
    template <class... Parts> const char *sample(bool valid, bool ready, const Parts *...parts) {
        static_assert((sizeof(Parts) + ...) == BYTES, "all of it");
        const bool was_held = held_;
        uint8_t now[BYTES], *to = now;

        held_ = valid && !ready;
        waited = held_ ? waited + 1 : 0;
        if (was_held && !valid) return "VALID fell before READY";
        if (!was_held && !held_) return nullptr;
        ((memcpy(to, parts, sizeof *parts), to += sizeof *parts), ...);
        if (was_held && memcmp(now, offer_, BYTES) != 0)
            return "what goes with VALID changed before READY";
        memcpy(offer_, now, BYTES);
        return nullptr;
    }
    bool held() const { return held_; }
    void forget() {
        held_ = false;
        waited = 0;
    }
    uint32_t waited = 0; // clocks

  private:
    bool held_ = false;
    uint8_t offer_[BYTES];
};

template <class Data, class Strobe> class AxiRules {
  public:
    static constexpr uint32_t DATA_BYTES = sizeof(Data);
    using Pins = AxiPins<Data, Strobe>;

    explicit AxiRules(const Pins &pins, uint32_t burst_beats_max = 256)
        : pins_(pins), beats_max_(burst_beats_max) {
        assert(!pins.arvalid || (pins.arsize && pins.arburst));
        assert(!pins.awvalid || (pins.awsize && pins.awburst));
    }

    uint64_t read_beats = 0, write_beats = 0, read_bursts = 0, write_bursts = 0;
    size_t outstanding_most = 0;
    uint32_t silence_max = 4096;

    // While in reset: what is outstanding is forgotten.
    void forget() {
        reads_.clear();
        writes_.clear();
        beats_.clear();
        sent_ = 0;
        read_at_ = beat_at_ = 0;
        ar_.forget(), r_.forget(), aw_.forget(), w_.forget(), b_.forget();
    }
    // NULL, or the rule that is broken in this clock: valid until the next call.
    const char *sample() {
        const char *broken = nullptr;

        if (pins_.arvalid && (*pins_.arvalid | *pins_.rvalid | ar_.held() | r_.held()))
            broken = sample_reads();
        if (!broken && pins_.awvalid &&
            (*pins_.awvalid | *pins_.wvalid | *pins_.bvalid | aw_.held() | w_.held() | b_.held()))
            broken = sample_writes();
        return broken;
    }
    // Something was offered and not taken: the next clock has to be looked at, whatever is offered.
    bool holds() const { return ar_.held() | r_.held() | aw_.held() | w_.held() | b_.held(); }
    // NULL, or what is outstanding.
    const char *idle() {
        if (!reads_.empty()) return tell("%zu reads are outstanding", reads_.size());
        if (!writes_.empty() || sent_ != 0 || !beats_.empty())
            return tell("%zu writes are outstanding", writes_.size());
        return nullptr;
    }

  private:
    template <class... Values> const char *tell(const char *format, Values... values) {
        (void)snprintf(text_, sizeof text_, format, values...);
        return text_;
    }
    const char *held(const char *channel, const char *broken) {
        return broken ? tell("%s: %s", channel, broken) : nullptr;
    }

    const char *burst(char kind, uint64_t address, uint32_t length, uint32_t size, uint32_t type) {
        const uint64_t bytes = uint64_t(length + 1) * DATA_BYTES;

        if (type != 1) return tell("A%cBURST %u is not INCR", kind, type);
        if (1u << size != DATA_BYTES) return tell("A%cSIZE %u is not the full width", kind, size);
        if (address % DATA_BYTES) return tell("A%cADDR %" PRIx64 " is not aligned", kind, address);
        if (address / 4096 != (address + bytes - 1) / 4096)
            return tell("%u beats from %" PRIx64 " cross 4 KiB", length + 1, address);
        if (length + 1 > beats_max_) return tell("a burst of %u beats", length + 1);
        return nullptr;
    }

    const char *sample_reads() {
        const Pins &p = pins_;
        const char *broken =
            held("AR", ar_.sample(*p.arvalid, *p.arready, p.araddr, p.arlen, p.arsize, p.arburst));

        if (!broken) broken = held("R", r_.sample(*p.rvalid, *p.rready, p.rdata, p.rresp, p.rlast));
        if (!broken && r_.waited > silence_max) broken = "RREADY does not come";
        if (!broken && *p.rvalid) broken = read_beat();
        if (!broken && *p.arvalid) broken = burst('R', *p.araddr, *p.arlen, *p.arsize, *p.arburst);
        if (broken || !*p.arvalid || !*p.arready) return broken;
        reads_.push_back(*p.arlen);
        read_bursts++;
        outstanding_most = std::max(outstanding_most, reads_.size());
        return nullptr;
    }

    const char *read_beat() {
        if (reads_.empty()) return "a beat that nobody asked for";
        const bool ends = read_at_ == reads_.front();
        if (bool(*pins_.rlast) != ends) return "RLAST at the wrong beat";
        if (!*pins_.rready) return nullptr;
        read_beats++;
        read_at_ = ends ? 0 : read_at_ + 1;
        if (ends) reads_.pop_front();
        return nullptr;
    }

    const char *sample_writes() {
        const Pins &p = pins_;
        const char *broken =
            held("AW", aw_.sample(*p.awvalid, *p.awready, p.awaddr, p.awlen, p.awsize, p.awburst));

        if (!broken) broken = held("W", w_.sample(*p.wvalid, *p.wready, p.wdata, p.wstrb, p.wlast));
        if (!broken) broken = held("B", b_.sample(*p.bvalid, *p.bready, p.bresp));
        if (!broken && b_.waited > silence_max) broken = "BREADY does not come";
        if (!broken && *p.bvalid && sent_ == 0) broken = "an answer before the burst's last beat";
        if (!broken && *p.awvalid) broken = burst('W', *p.awaddr, *p.awlen, *p.awsize, *p.awburst);
        if (broken) return broken;
        if (*p.bvalid && *p.bready) {
            sent_--;
            writes_.pop_front();
        }
        if (*p.awvalid && *p.awready) {
            writes_.push_back(*p.awlen);
            beats_.push_back(*p.awlen);
            write_bursts++;
            outstanding_most = std::max(outstanding_most, writes_.size());
        }
        return *p.wvalid ? write_beat() : nullptr;
    }

    // AXI lets a beat come before its address; our masters promise that none does.
    const char *write_beat() {
        if (beats_.empty()) return "a W beat before its AW";
        const bool ends = beat_at_ == beats_.front();
        if (bool(*pins_.wlast) != ends) return "WLAST at the wrong beat";
        if (!*pins_.wready) return nullptr;
        write_beats++;
        beat_at_ = ends ? 0 : beat_at_ + 1;
        if (ends) {
            beats_.pop_front();
            sent_++;
        }
        return nullptr;
    }

    Pins pins_;
    uint32_t beats_max_;
    AxiHold<11> ar_, aw_; // address, length, size, burst
    AxiHold<DATA_BYTES + 2> r_;
    AxiHold<DATA_BYTES + sizeof(Strobe) + 1> w_;
    AxiHold<1> b_;
    std::deque<uint32_t> reads_;  // lengths of bursts asked for, oldest first
    std::deque<uint32_t> writes_; // of those without an answer
    std::deque<uint32_t> beats_;  // of those whose beats are not all sent
    size_t sent_ = 0;             // bursts sent, without an answer
    uint32_t read_at_ = 0, beat_at_ = 0;
    char text_[96];
};

// A control port's answers: they stand still, one for each access and none besides, always OKAY.
class AxilRules {
  public:
    explicit AxilRules(const AxilPins &pins) : pins_(pins) {}

    void forget() {
        b_.forget(), r_.forget();
        addresses_ = beats_ = reads_ = 0;
    }
    // NULL, or the rule that is broken in this clock.
    const char *sample() {
        const AxilPins &p = pins_;
        const char *broken = b_.sample(*p.bvalid, *p.bready, p.bresp);

        if (!broken) broken = r_.sample(*p.rvalid, *p.rready, p.rresp, p.rdata);
        if (broken) return broken;
        if (*p.bvalid && (addresses_ == 0 || beats_ == 0)) return "BVALID without a write";
        if (*p.rvalid && reads_ == 0) return "RVALID without a read";
        if ((*p.bvalid && *p.bresp != 0) || (*p.rvalid && *p.rresp != 0))
            return "an answer that is not OKAY";
        if (*p.bvalid && *p.bready) addresses_--, beats_--;
        if (*p.rvalid && *p.rready) reads_--;
        addresses_ += *p.awvalid && *p.awready;
        beats_ += *p.wvalid && *p.wready;
        reads_ += *p.arvalid && *p.arready;
        return nullptr;
    }

  private:
    AxilPins pins_;
    AxiHold<1> b_;
    AxiHold<5> r_;
    uint32_t addresses_ = 0, beats_ = 0, reads_ = 0; // taken, without an answer
};

} // namespace cst_sim

#endif
