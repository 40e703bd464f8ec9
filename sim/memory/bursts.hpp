// bursts.hpp: the bursts of one direction of one port, answered in order within an ID.
//
//   id 3: [burst 7] ─► [burst 2] ─► ...      only the first of an ID may be answered
//   id 9: [burst 4]
//   ready: 4, ...                            first of their ID and answerable, as they became so
//
// Promises   O(1) each; no more than `bursts_max` at a time.
#ifndef CST_SIM_BURSTS_HPP
#define CST_SIM_BURSTS_HPP

#include "memory/line.hpp"

namespace cst_sim {

struct Burst {
    uint64_t address; // of its next beat
    List beats;       // reads: in order, linked through `sibling`
    uint32_t next;    // of its ID
    uint16_t id;
    uint16_t unsent;  // writes: beats that the master still owes
    uint16_t unmoved; // writes: beats that are not yet in memory
    uint8_t response; // writes: the worst of its beats
    bool silent;
};

// A ring of burst numbers.
class Ring {
  public:
    void open(uint32_t count) {
        uint32_t size = 1;
        while (size < count) size *= 2;
        ring_.assign(size, NONE);
        head_ = tail_ = 0;
    }
    bool empty() const { return head_ == tail_; }
    void push(uint32_t value) { ring_[tail_++ & (ring_.size() - 1)] = value; }
    uint32_t front() const { return ring_[head_ & (ring_.size() - 1)]; }
    uint32_t pop() { return ring_[head_++ & (ring_.size() - 1)]; }

  private:
    std::vector<uint32_t> ring_;
    uint32_t head_ = 0, tail_ = 0;
};

class Bursts {
  public:
    void open(uint32_t bursts_max) {
        bursts_.resize(bursts_max);
        of_id_.resize(CST_SIM_IDS);
        free_.reserve(bursts_max);
        forget();
    }
    void forget() {
        free_.clear();
        for (uint32_t i = (uint32_t)bursts_.size(); i-- > 0;) free_.push_back(i);
        for (List &list : of_id_) list = List();
        ready_.open((uint32_t)bursts_.size());
    }
    bool full() const { return free_.empty(); }
    Burst &operator[](uint32_t index) { return bursts_[index]; }

    uint32_t add(uint16_t id, uint64_t address, uint32_t beats) {
        assert(id < CST_SIM_IDS);
        const uint32_t index = free_.back();
        List &list = of_id_[id];

        free_.pop_back();
        bursts_[index] = {address, List(), NONE, id, (uint16_t)beats, (uint16_t)beats, 0, false};
        if (list.head == NONE)
            list.head = index;
        else
            bursts_[list.tail].next = index;
        list.tail = index;
        return index;
    }
    bool first_of_id(uint32_t index) const { return of_id_[bursts_[index].id].head == index; }
    void make_ready(uint32_t index) { ready_.push(index); }
    bool any_ready() const { return !ready_.empty(); }
    uint32_t take_ready() { return ready_.pop(); }

    // The burst was answered whole; the next of its ID, or NONE.
    uint32_t remove(uint32_t index) {
        List &list = of_id_[bursts_[index].id];

        assert(list.head == index);
        list.head = bursts_[index].next;
        free_.push_back(index);
        return list.head;
    }

  private:
    std::vector<Burst> bursts_;
    std::vector<List> of_id_;
    std::vector<uint32_t> free_;
    Ring ready_;
};

} // namespace cst_sim

#endif
