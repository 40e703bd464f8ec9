// channel.cc: what a channel does next, and when it can do something again.
#include "memory/channel.hpp"

#include <cstring>

namespace cst_sim {

namespace {

uint32_t log2_of(uint64_t value) {
    assert(value != 0);
    assert((value & (value - 1)) == 0);
    return (uint32_t)__builtin_ctzll(value);
}

} // namespace

void Channel::open(const cst_sim_memory_config &config, uint32_t number, uint64_t first_refresh_ps,
                   Lines *lines, Switch *crossbar, uint8_t *bytes) {
    dram_ = config.dram;
    beat_bytes_ = config.beat_bytes;
    number_ = number;
    burst_shift_ = log2_of(dram_.burst_bytes);
    page_shift_ = log2_of(dram_.page_bytes);
    bank_shift_ = log2_of(dram_.banks);
    group_mask_ = (uint32_t)dram_.bank_groups - 1;
    refresh_ps_ = first_refresh_ps;
    lines_ = lines;
    switch_ = crossbar;
    bytes_ = bytes;
    locate_ = config.locate;
    locate_context_ = config.locate_context;
}

void Channel::place(Line *line, uint64_t offset) const {
    const uint64_t page = offset >> page_shift_;

    line->bank = (uint8_t)(page & (dram_.banks - 1));
    line->row = (uint32_t)(page >> bank_shift_);
    if (dram_.groups_first) {
        // The lowest bits choose the group, which trades places with the low bits of the page.
        const uint32_t group = (uint32_t)(offset >> burst_shift_) & group_mask_;

        line->bank = (uint8_t)((line->bank & ~group_mask_) | group);
    }
}

bool Channel::busy() const {
    return queues_[0].count + queues_[1].count > 0 || done_[0].head != NONE ||
           done_[1].head != NONE;
}

void Channel::forget() {
    for (Queue &queue : queues_) {
        queue.count = 0;
        queue.backlog = List();
    }
    for (List &list : done_) list = List();
    drain_left_ = 0;
    next_ps_ = NEVER;
}

void Channel::enter(Queue *queue, uint32_t index) {
    const Line &line = (*lines_)[index];

    queue->entries[queue->count++] = {index, line.row, line.bank};
}

void Channel::push(uint32_t index) {
    Line &line = (*lines_)[index];
    Queue &queue = queues_[line.write];

    if (queue.count < dram_.window)
        enter(&queue, index);
    else
        lines_->append(&queue.backlog, index);
    next_ps_ = std::min(next_ps_, line.arrive_ps);
}

uint32_t Channel::take_done(uint64_t now_ps) {
    for (List &list : done_)
        if (list.head != NONE && (*lines_)[list.head].done_ps <= now_ps) return lines_->pop(&list);
    return NONE;
}

// Also those that fell due while nobody asked: the last one alone can still be felt.
void Channel::refresh(uint64_t now) {
    const uint64_t passed = (now - refresh_ps_) / dram_.refi_ps;
    uint64_t starts;
    bool open = false;

    refresh_ps_ += passed * dram_.refi_ps;
    starts = refresh_ps_;
    for (const Bank &bank : banks_)
        if (bank.row != NEVER) {
            starts = std::max(starts, bank.precharge_ps);
            open = true;
        }
    if (open) starts += dram_.rp_ps;
    for (Bank &bank : banks_) {
        bank.row = NEVER;
        bank.activate_ps = std::max(bank.activate_ps, starts + dram_.rfc_ps);
    }
    refresh_ps_ += dram_.refi_ps;
    counters_.refreshes += passed + 1;
}

void Channel::choose_direction(uint64_t now) {
    const Queue &reads = queues_[0], &writes = queues_[1];

    if (writing_) {
        if (reads.count == 0 || (writes.count > 0 && drain_left_ > 0)) return;
        writing_ = false;
        column_ps_ = std::max(column_ps_, written_ps_ + dram_.wtr_ps);
    } else {
        if (writes.count == 0) return;
        if (reads.count > 0 && writes.count < dram_.writes_high &&
            now < (*lines_)[writes.entries[0].line].arrive_ps + dram_.write_age_ps)
            return;
        writing_ = true;
        drain_left_ = writes.count;
        column_ps_ += dram_.rtw_ps;
    }
    counters_.turns++;
}

// The hit whose data can be on the bus first, and when. The banks that have a hit keep their row.
uint64_t Channel::find_column(uint64_t now, uint32_t *index_out, uint32_t *hit_banks_out) const {
    const Queue &queue = queues_[writing_];
    const Entry &oldest = queue.entries[0];
    // The oldest has waited too long: nobody else uses its bank's open row.
    const bool overdue = now > (*lines_)[oldest.line].arrive_ps + dram_.wait_ps;
    uint64_t best = NEVER;
    uint32_t hit_banks = 0;

    for (uint32_t i = 0; i < queue.count; i++) {
        const Entry &entry = queue.entries[i];
        const Bank &bank = banks_[entry.bank];

        if (bank.row != entry.row) continue;
        if (overdue && entry.bank == oldest.bank && entry.row != oldest.row) continue;
        hit_banks |= UINT32_C(1) << entry.bank;
        const uint64_t group_ps =
            (entry.bank & group_mask_) == last_group_ ? same_group_ps_ : other_group_ps_;
        const uint64_t ready =
            std::max(std::max(now, bank.column_ps), std::max(column_ps_, group_ps));
        if (ready < best) {
            best = ready;
            *index_out = i;
        }
    }
    *hit_banks_out = hit_banks;
    return best;
}

void Channel::activate(Bank *bank, const Entry &entry, uint64_t now) {
    bank->row = entry.row;
    bank->column_ps = now + dram_.rcd_ps;
    bank->precharge_ps = now + dram_.ras_ps;
    activates_[activates_at_++ % 4] = now;
    activate_ps_ = now + dram_.rrd_ps;
    if (activates_at_ >= 4) // the fourth before the next one
        activate_ps_ = std::max(activate_ps_, activates_[activates_at_ % 4] + dram_.faw_ps);
    (*lines_)[entry.line].opened = true;
    counters_.activates++;
}

// The bus is about to turn: rows for the other way can be opened already.
bool Channel::turns_soon() const {
    if (writing_) return queues_[0].count > 0 && drain_left_ <= PREPARED;
    return queues_[1].count + PREPARED >= dram_.writes_high;
}

// Closes and opens rows for the oldest of each bank that is not in `seen` (has a hit, say); when
// more can be done.
uint64_t Channel::move_rows(const Queue &queue, uint64_t now, uint32_t *seen) {
    uint64_t next = NEVER;

    for (uint32_t i = 0; i < queue.count; i++) {
        const Entry &entry = queue.entries[i];
        Bank &bank = banks_[entry.bank];

        if (*seen & UINT32_C(1) << entry.bank) continue;
        *seen |= UINT32_C(1) << entry.bank;
        if (bank.row == entry.row) continue; // prepared
        if (bank.row != NEVER) {
            if (bank.precharge_ps > now) {
                next = std::min(next, bank.precharge_ps);
                continue;
            }
            bank.row = NEVER;
            bank.activate_ps = std::max(bank.activate_ps, now + dram_.rp_ps);
            counters_.conflicts++;
        }
        const uint64_t ready = std::max(bank.activate_ps, activate_ps_);
        if (ready > now) {
            next = std::min(next, ready);
        } else {
            activate(&bank, entry, now);
            next = std::min(next, bank.column_ps);
        }
    }
    return next;
}

void Channel::move_data(Line *line, uint32_t index) {
    uint8_t *stored = locate_ ? locate_(locate_context_, line->address) : bytes_ + line->address;
    uint8_t *moved = lines_->data(index);
    const uint32_t beat_bytes = beat_bytes_;

    if (!stored) return; // it is there no more: what moves is nothing
    if (!line->write) {
        if (beat_bytes == 64)
            memcpy(moved, stored, 64); // the size of nearly all is one that the compiler knows
        else
            memcpy(moved, stored, beat_bytes);
    } else if (line->strobe == UINT64_MAX) {
        memcpy(stored, moved, 64);
    } else if (!line->masked) {
        for (uint32_t at = 0; at < beat_bytes; at += (uint32_t)dram_.burst_bytes)
            if (line->strobe >> at & 1) memcpy(stored + at, moved + at, dram_.burst_bytes);
    } else {
        for (uint32_t at = 0; at < beat_bytes; at++)
            if (line->strobe >> at & 1) stored[at] = moved[at];
    }
}

// Issues the column of an entry; when the bus takes the next.
uint64_t Channel::column(uint32_t index, uint64_t now) {
    Queue &queue = queues_[writing_];
    const Entry entry = queue.entries[index];
    Line &line = (*lines_)[entry.line];
    Bank &bank = banks_[entry.bank];
    const uint64_t data_ps = line.bursts * dram_.burst_ps;
    // Error correction reads what a masked write leaves, and turns the bus for it.
    const uint64_t takes = line.masked ? 2 * data_ps + dram_.rtw_ps + dram_.wtr_ps : data_ps;
    const uint64_t ends = now + dram_.cl_ps + takes;

    queue.count--;
    memmove(&queue.entries[index], &queue.entries[index + 1],
            (queue.count - index) * sizeof(Entry));
    if (queue.backlog.head != NONE) enter(&queue, lines_->pop(&queue.backlog));

    column_ps_ = now + takes;
    last_group_ = entry.bank & group_mask_;
    same_group_ps_ = now + takes - data_ps + std::max(data_ps, dram_.ccd_l_ps);
    other_group_ps_ = now + dram_.ccd_s_ps;
    bank.precharge_ps = std::max(bank.precharge_ps, line.write ? ends + dram_.wr_ps : now + takes);
    if (line.write) {
        written_ps_ = ends;
        if (drain_left_ > 0) drain_left_--;
    }
    move_data(&line, entry.line);
    line.done_ps = line.write ? ends : switch_->pass(line.port, number_, false, ends);
    line.done_ps = done_ps_[line.write] = std::max(line.done_ps, done_ps_[line.write]);
    lines_->append(&done_[line.write], entry.line);

    (line.write ? counters_.writes : counters_.reads)++;
    counters_.hits += !line.opened;
    counters_.masked += line.masked;
    counters_.bus_ps += takes;
    return column_ps_;
}

uint64_t Channel::step(uint64_t now) {
    uint32_t index = 0, seen = 0;
    uint64_t next, rows_next;

    if (queues_[0].count + queues_[1].count == 0) return NEVER;
    if (now >= refresh_ps_) refresh(now);
    choose_direction(now);
    if (queues_[writing_].count == 0) return NEVER;
    next = find_column(now, &index, &seen);
    rows_next = move_rows(queues_[writing_], now, &seen);
    if (turns_soon()) rows_next = std::min(rows_next, move_rows(queues_[!writing_], now, &seen));
    if (next == now) next = column(index, now);
    next = std::min(next, rows_next);
    assert(next > now);
    return next;
}

} // namespace cst_sim
