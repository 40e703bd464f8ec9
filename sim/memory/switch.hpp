// switch.hpp: what lies between ports and channels of HBM: groups of four, links between
// neighbours.
//
//   ports    0 1 2 3     4 5 6 7     8 ...
//           [group 0] ══ [group 1] ══ [group 2]     ══: two links each way, for reads and for
//           writes
//   channels 0 1 2 3     4 5 6 7     8 ...
//
// A beat holds each link on its way, and its port, for its bytes; what waits for one is passed by
// nothing behind it on that link. So traffic out of a group reaches half of its ports' rate.
#ifndef CST_SIM_SWITCH_HPP
#define CST_SIM_SWITCH_HPP

#include "memory/line.hpp"

#include <algorithm>

namespace cst_sim {

class Switch {
  public:
    static constexpr uint32_t GROUP = 4; // PG276
    static constexpr uint32_t GROUPS = CST_SIM_CHANNELS_MAX / GROUP;
    static constexpr uint32_t LINKS_MAX = 4;

    void open(const cst_sim_memory_config &config) { config_ = config; }

    // What distance adds to a request's way.
    uint64_t distance_ps(uint32_t port, uint32_t channel) const {
        if (!config_.has_switch) return 0;
        const int hops = (int)(config_.attached[port] / GROUP) - (int)(channel / GROUP);
        return config_.dram.switch_ps + config_.dram.hop_ps * (uint64_t)std::abs(hops);
    }

    // Data that is ready at `at` has passed at the result; the ways of reads and writes are apart.
    uint64_t pass(uint32_t port, uint32_t channel, bool write, uint64_t at) {
        if (!config_.has_switch) return at;
        const uint32_t entry = config_.attached[port];
        const uint32_t lane = entry % GROUP * (uint32_t)config_.dram.lateral_links / GROUP;
        const uint64_t takes = config_.beat_bytes * config_.dram.port_ps / 32;
        const bool up = write ? channel > entry : entry > channel;
        const uint32_t low = std::min(entry, channel) / GROUP,
                       high = std::max(entry, channel) / GROUP;

        at = hold(&port_free_[write][port], at, takes);
        for (uint32_t group = low; group < high; group++)
            at = hold(&link_free_[write][group][up][lane], at, takes);
        return at;
    }

  private:
    static uint64_t hold(uint64_t *free_ps, uint64_t at, uint64_t takes) {
        *free_ps = std::max(at, *free_ps + takes);
        return *free_ps;
    }

    cst_sim_memory_config config_{};
    uint64_t port_free_[2][CST_SIM_PORTS_MAX]{};
    uint64_t link_free_[2][GROUPS][2][LINKS_MAX]{};
};

} // namespace cst_sim

#endif
