// channel.hpp: one memory channel: queues of reads and writes, banks, one data bus.
//
//            reads  [o o o o .. 32] + backlog      first ready first: a hit whose bus slot is the
//   push ──►                                 ──►   earliest, the oldest among equals; beside it
//            writes [o o .. 32]     + backlog      rows are closed and opened for the oldest of
//                                                  their bank, as activates allow
//   bank: closed ─activate, rcd─► row open ─columns, ras, wr─► precharge, rp ─► closed
//
// Reads go first; writes when 24 wait, one is old, or nothing reads. Then all that are there go,
// and the bus turns twice. A refresh closes every row and stops all banks.
//
// Promises   time moves in picoseconds, from event to event: a clock in which nothing can happen
//            costs a compare. Data moves at the column command.
#ifndef CST_SIM_CHANNEL_HPP
#define CST_SIM_CHANNEL_HPP

#include "memory/line.hpp"
#include "memory/switch.hpp"

#include <array>

namespace cst_sim {

class Channel {
  public:
    static constexpr uint32_t WINDOW_MAX = 64;
    static constexpr uint32_t BANKS_MAX = 32;
    static constexpr uint32_t PREPARED = 16; // columns before a turn

    void open(const cst_sim_memory_config &config, uint32_t number, uint64_t first_refresh_ps,
              Lines *lines, Switch *crossbar, uint8_t *bytes);
    // The line's address within the channel becomes bank and row.
    void place(Line *line, uint64_t offset) const;
    void push(uint32_t index); // arrived, no earlier than the last advance
    void advance(uint64_t now_ps) {
        while (next_ps_ <= now_ps) next_ps_ = step(next_ps_);
    }
    // A line whose data has reached its port, NONE: no more by now.
    uint32_t take_done(uint64_t now_ps);
    bool busy() const;
    void forget();
    const cst_sim_counters &counters() const { return counters_; }

  private:
    struct Entry {
        uint32_t line, row;
        uint32_t bank;
    };
    struct Queue {
        std::array<Entry, WINDOW_MAX> entries;
        uint32_t count = 0;
        List backlog;
    };
    struct Bank {
        uint64_t row = NEVER;      // NEVER: closed
        uint64_t column_ps = 0;    // a column of the open row is allowed from here
        uint64_t precharge_ps = 0; // closing it
        uint64_t activate_ps = 0;  // opening one
    };

    uint64_t step(uint64_t now);
    void refresh(uint64_t now);
    void choose_direction(uint64_t now);
    uint64_t find_column(uint64_t now, uint32_t *index_out, uint32_t *hit_banks_out) const;
    bool turns_soon() const;
    uint64_t move_rows(const Queue &queue, uint64_t now, uint32_t *seen);
    void activate(Bank *bank, const Entry &entry, uint64_t now);
    uint64_t column(uint32_t index, uint64_t now);
    void move_data(Line *line, uint32_t index);
    void enter(Queue *queue, uint32_t index);

    cst_sim_dram dram_{};
    uint32_t number_ = 0, beat_bytes_ = 0;
    uint32_t page_shift_ = 0, bank_shift_ = 0, group_mask_ = 0, burst_shift_ = 0;
    Lines *lines_ = nullptr;
    Switch *switch_ = nullptr;
    uint8_t *bytes_ = nullptr;
    uint8_t *(*locate_)(void *context, uint64_t address) = nullptr;
    void *locate_context_ = nullptr;

    Queue queues_[2]; // reads, writes
    bool writing_ = false;
    uint32_t drain_left_ = 0;
    std::array<Bank, BANKS_MAX> banks_{};
    uint64_t next_ps_ = NEVER; // when something can happen
    uint64_t refresh_ps_ = 0;  // due
    uint64_t activates_[4]{};  // the last four, a ring
    uint32_t activates_at_ = 0;
    uint64_t activate_ps_ = 0; // allowed, by all banks' sum
    uint64_t column_ps_ = 0;   // the bus takes the next column's data
    uint64_t same_group_ps_ = 0, other_group_ps_ = 0;
    uint32_t last_group_ = 0;
    uint64_t written_ps_ = 0; // end of the last write's data
    List done_[2];
    uint64_t done_ps_[2]{};
    cst_sim_counters counters_{};
};

} // namespace cst_sim

#endif
