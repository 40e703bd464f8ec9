// model.hpp: ports, wheel, switch and channels put together; memory.h is its face.
//
//   wheel: slot[cycle % 4096] ─► lines that arrive at their channel in that clock
//
// A port's handshakes are noted when they are called and take effect at the tick.
#ifndef CST_SIM_MODEL_HPP
#define CST_SIM_MODEL_HPP

#include "memory/bursts.hpp"
#include "memory/channel.hpp"
#include "memory/faults.hpp"

namespace cst_sim {

// The card's bytes: reserved as a whole, there when touched.
class Backing {
  public:
    Backing() = default;
    Backing(const Backing &) = delete;
    Backing &operator=(const Backing &) = delete;
    ~Backing();
    bool open(uint64_t size);
    uint8_t *bytes() const { return bytes_; }
    uint64_t size() const { return size_; }

  private:
    uint8_t *bytes_ = nullptr;
    uint64_t size_ = 0;
};

struct Port {
    cst_sim_view view{};
    Bursts reads, writes;
    Ring unsent;                              // writes whose data is not all there, in their order
    uint32_t reading = NONE;                  // the burst whose beats are being handed out
    uint32_t answering = NONE;                // the write whose B is shown
    uint32_t read_beats = 0, write_beats = 0; // lines held
    bool ar = false, aw = false, w = false, r = false, b = false; // called since the last tick
    uint32_t given = NONE; // a line whose bytes the view still shows

    uint32_t stall_mask = 0, stall_chance = 0, silence_clocks = 0;
    uint64_t silent_until = 0;
};

class Model {
  public:
    // Beats a port can hold each way: what it has reserved for answers, and sent.
    static constexpr uint32_t PORT_BEATS = 1024;
    static constexpr uint32_t WHEEL = 4096;

    bool open(const cst_sim_memory_config &config);
    void ar(uint32_t port, uint16_t id, uint64_t address, uint32_t beats);
    void aw(uint32_t port, uint16_t id, uint64_t address, uint32_t beats);
    void w(uint32_t port, const uint8_t *data, uint64_t strobe, bool last);
    void r(uint32_t port);
    void b(uint32_t port);
    void tick();
    void reset();
    void stall(uint32_t port, uint32_t handshakes, uint32_t chance, uint32_t silence_clocks);

    // A bit a port: its view may be another one since the last tick.
    uint32_t changed() const { return changed_; }
    const cst_sim_view *view(uint32_t port) const { return &ports_[port].view; }
    Faults &faults() { return faults_; }
    const Faults &faults() const { return faults_; }
    const Backing &backing() const { return backing_; }
    uint64_t cycle() const { return cycle_; }
    cst_sim_counters counters(uint32_t channel) const;

  private:
    // Where the host has them now, NULL: nowhere.
    const uint8_t *at(uint64_t address) const {
        return config_.locate ? config_.locate(config_.locate_context, address)
                              : backing_.bytes() + address;
    }
    uint32_t new_line(uint32_t port, uint32_t burst, uint64_t address, bool write);
    void flip(uint32_t line, uint32_t bit) {
        lines_.data(line)[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    void send(uint32_t index);
    void fly(uint32_t index);
    void land();
    void complete(uint32_t index);
    void taken(Port *port);
    void show(Port *port);
    uint32_t held(Port *port);
    void check_burst(uint64_t address, uint32_t beats) const;
    uint32_t channel_of(uint64_t address, uint64_t *offset_out) const;
    uint64_t time_of(uint64_t cycle) const { return cycle * 1000000000 / config_.clock_khz; }

    cst_sim_memory_config config_{};
    Backing backing_;
    Lines lines_;
    Switch switch_;
    Faults faults_;
    Random stalls_;
    uint64_t cycle_ = 0, now_ps_ = 0;
    uint32_t channels_shift_ = 0, channel_shift_ = 0, stripe_shift_ = 0;
    uint32_t busy_ = 0; // a bit a channel
    // Bits of ports: where something was called since the last tick, or is given back at the next;
    // that hold back handshakes; whose view was made anew at the last tick.
    uint32_t acting_ = 0, stalling_ = 0, changed_ = 0;
    std::vector<Port> ports_;
    std::vector<Channel> channels_;
    std::vector<List> wheel_;
    std::vector<uint32_t> flips_; // a line: the bit that is wrong in what was read, + 1
};

} // namespace cst_sim

#endif
