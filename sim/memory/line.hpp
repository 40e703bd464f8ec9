// line.hpp: one beat on its way through the memory, and the pool that all of them come from.
//
//   port: reserve ─► wheel: flies to its channel ─► channel: queued, moved ─► port: handed out,
//   free
//
// Promises   taking and giving back are O(1), and what was given back last is taken first.
#ifndef CST_SIM_LINE_HPP
#define CST_SIM_LINE_HPP

#include "memory/memory.h"

#include <cassert>
#include <cstdint>
#include <vector>

namespace cst_sim {

constexpr uint32_t NONE = UINT32_MAX;
constexpr uint64_t NEVER = UINT64_MAX;
constexpr uint8_t NO_CHANNEL = UINT8_MAX; // answered without memory: an error

struct alignas(64) Line { // of the processor's cache too
    uint64_t address;
    uint64_t strobe;
    uint64_t arrive_ps, done_ps;
    uint32_t next;    // in the list that it is in: wheel, backlog, done
    uint32_t sibling; // the next beat of its burst
    uint32_t burst;
    uint32_t row;
    uint8_t port, channel, bank;
    uint8_t bursts; // of the memory
    uint8_t response;
    bool write, masked, opened, done;
};

struct Bytes {
    alignas(64) uint8_t byte[CST_SIM_BEAT_BYTES_MAX];
};

// A queue of lines, linked through `next`.
struct List {
    uint32_t head = NONE, tail = NONE;
};

class Lines {
  public:
    void open(uint32_t count) {
        lines_.resize(count);
        data_.resize(count);
        free_.reserve(count);
        forget();
    }
    void forget() {
        free_.clear();
        for (uint32_t i = (uint32_t)lines_.size(); i-- > 0;) free_.push_back(i);
    }
    uint32_t take() {
        assert(!free_.empty());
        const uint32_t index = free_.back();
        free_.pop_back();
        return index;
    }
    void give(uint32_t index) { free_.push_back(index); }
    Line &operator[](uint32_t index) { return lines_[index]; }
    uint8_t *data(uint32_t index) { return data_[index].byte; }

    void append(List *list, uint32_t index) {
        lines_[index].next = NONE;
        if (list->head == NONE)
            list->head = index;
        else
            lines_[list->tail].next = index;
        list->tail = index;
    }
    uint32_t pop(List *list) {
        const uint32_t index = list->head;
        list->head = lines_[index].next;
        return index;
    }

  private:
    std::vector<Line> lines_;
    std::vector<Bytes> data_;
    std::vector<uint32_t> free_;
};

// splitmix64: the same seed gives the same stream on any machine.
class Random {
  public:
    explicit Random(uint64_t seed = 0) : state_(seed) {}
    uint64_t next() {
        uint64_t z = (state_ += UINT64_C(0x9e3779b97f4a7c15));
        z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
        return z ^ (z >> 31);
    }
    uint64_t below(uint64_t bound) { return next() % bound; }

  private:
    uint64_t state_;
};

} // namespace cst_sim

#endif
