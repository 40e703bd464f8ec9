// traffic.cc: a master a port that asks as fast as it may.
#include "memory/traffic.h"

#include "memory/line.hpp"

#include <algorithm>
#include <vector>

namespace {

using cst_sim::Random;

class Master {
  public:
    Master(cst_sim_memory *memory, uint32_t port, uint32_t beat_bytes,
           const cst_sim_traffic &traffic)
        : memory_(memory), view_(cst_sim_memory_view(memory, port)), port_(port),
          beats_(traffic.bytes / beat_bytes), traffic_(traffic), random_(traffic.seed + port),
          strobe_(beat_bytes == 64 ? UINT64_MAX : (UINT64_C(1) << beat_bytes) - 1),
          base_(port * traffic.port_bytes) {
        draw();
    }
    bool over() const { return answered_ == traffic_.accesses; }

    void step(uint64_t cycle, std::vector<uint32_t> *latencies) {
        if (view_->r_valid) {
            if (view_->r_last) answer(&reads_, cycle, latencies);
            cst_sim_memory_r(memory_, port_);
        }
        if (view_->b_valid) {
            answer(&writes_, cycle, latencies);
            cst_sim_memory_b(memory_, port_);
        }
        if (owed_ > 0 && view_->w_ready) {
            static const cst_sim::Bytes zeros{};

            owed_--;
            cst_sim_memory_w(memory_, port_, zeros.byte, strobe_, owed_ % beats_ == 0);
        }
        if (asked_ == traffic_.accesses) return;
        const Asked &list = read_ ? reads_ : writes_;
        if (list.tail - list.head >= traffic_.outstanding) return;
        if (read_ && view_->ar_ready) {
            cst_sim_memory_ar(memory_, port_, 0, address_, beats_);
            ask(&reads_, cycle);
        } else if (!read_ && view_->aw_ready) {
            cst_sim_memory_aw(memory_, port_, 0, address_, beats_);
            owed_ += beats_;
            ask(&writes_, cycle);
        }
    }

  private:
    // When the unanswered were asked: one ID, so answers come in order.
    struct Asked {
        std::vector<uint64_t> cycles = std::vector<uint64_t>(512);
        uint64_t head = 0, tail = 0;
    };

    void ask(Asked *list, uint64_t cycle) {
        list->cycles[list->tail++ % list->cycles.size()] = cycle;
        asked_++;
        draw();
    }
    void answer(Asked *list, uint64_t cycle, std::vector<uint32_t> *latencies) {
        latencies->push_back((uint32_t)(cycle - list->cycles[list->head++ % list->cycles.size()]));
        answered_++;
    }
    void draw() {
        const uint64_t mask = traffic_.span_bytes - 1;

        switch (traffic_.pattern) {
        case CST_SIM_SEQUENTIAL:
            address_ = asked_ * traffic_.bytes & mask;
            break;
        case CST_SIM_STRIDE:
            address_ = asked_ * traffic_.stride_bytes & mask;
            break;
        case CST_SIM_RANDOM:
            address_ = (random_.next() & mask) / traffic_.bytes * traffic_.bytes;
            break;
        }
        address_ += base_;
        read_ = random_.next() % 256 < traffic_.reads_in_256;
    }

    cst_sim_memory *memory_;
    const cst_sim_view *view_;
    uint32_t port_, beats_;
    cst_sim_traffic traffic_;
    Random random_;
    uint64_t strobe_, base_;
    uint64_t address_ = 0;
    bool read_ = true;
    uint64_t asked_ = 0, answered_ = 0, owed_ = 0;
    Asked reads_, writes_;
};

} // namespace

extern "C" cst_sim_played cst_sim_play(cst_sim_memory *memory, const cst_sim_memory_config *config,
                                       const cst_sim_traffic *traffic) {
    const uint64_t from = cst_sim_memory_cycle(memory);
    std::vector<uint32_t> latencies;
    std::vector<Master> masters;
    cst_sim_played played = {};
    bool over = false;

    for (uint32_t port = 0; port < config->ports; port++)
        masters.emplace_back(memory, port, config->beat_bytes, *traffic);
    latencies.reserve((size_t)traffic->accesses * config->ports);
    while (!over) {
        over = true;
        for (Master &master : masters) {
            if (master.over()) continue;
            master.step(cst_sim_memory_cycle(memory), &latencies);
            over = false;
        }
        cst_sim_memory_tick(memory);
    }
    played.cycles = cst_sim_memory_cycle(memory) - from;
    const double us = (double)played.cycles * 1000.0 / config->clock_khz;
    played.accesses_per_us = (double)latencies.size() / us;
    played.gb_per_s = played.accesses_per_us * traffic->bytes / 1000.0;
    auto middle = latencies.begin() + (long)(latencies.size() / 2);
    std::nth_element(latencies.begin(), middle, latencies.end());
    played.latency_ns = *middle * 1000000.0 / config->clock_khz;
    return played;
}
