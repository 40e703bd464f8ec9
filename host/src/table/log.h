// log.h: the change log. A record is appended at a row's first touch in an epoch, and rewritten
// where it is at later ones; sealing an epoch is noting the tail.
//
//        line 1024          line 2048                    segment end
//   ... | r0 | r1 | r2 |gap| r3 | r4 |pad|r5 ...          |
//                                        ^ seal: the tail, rounded up to 64
//
// Promises   an append is checked before anything of its row changes, and then cannot fail.
// Ring       0.
#ifndef CST_TABLE_LOG_H
#define CST_TABLE_LOG_H

#include "table/find.h"

enum { CSTI_LOG_BEGIN = 1024 };

// Whether a record of `bytes` has its place now: CST_OK, CST_TABLE_BUDGET or CST_TABLE_NOT_READY.
cst_code csti_log_check_slow(const cst_table *table, uint32_t bytes);
// Gaps and a new segment as the record's place demands; returns the record's offset.
uint64_t csti_log_open_slow(cst_table *table, uint32_t bytes);

// Where the segments end that are taken when the log ends at `tail`.
uint64_t csti_log_mapped_end(const cst_table *table, uint64_t tail);
// The records up to the new tail were appended by a device: the segments that they lie in are
// taken, as by appends of the host.
void csti_log_extend(cst_table *table, uint64_t tail);

// In the middle of a line the rest of the line is there.
CSTI_INLINE bool csti_log_fits_line(uint64_t tail, uint32_t bytes) {
    const uint64_t in_line = tail & (CSTI_LOG_LINE - 1);

    return in_line != 0 && in_line + bytes <= CSTI_LOG_LINE;
}

CSTI_INLINE cst_code csti_log_check(const cst_table *table, uint32_t bytes) {
    if (__builtin_expect(csti_log_fits_line(table->control->log_tail, bytes), 1)) return CST_OK;
    return csti_log_check_slow(table, bytes);
}

// The place of a new record; its change word in *offset_out. Checked before.
CSTI_INLINE csti_record *csti_log_append(cst_table *table, uint32_t bytes, uint64_t *offset_out) {
    uint64_t offset = table->control->log_tail;

    if (__builtin_expect(!csti_log_fits_line(offset, bytes), 0))
        offset = csti_log_open_slow(table, bytes);
    table->control->log_tail = offset + bytes;
    *offset_out = offset;
    return csti_log_record(table, offset);
}

// Offset of the row's record if it has one in the open epoch, else 0.
CSTI_INLINE uint64_t csti_entry_open_record(const cst_table *table, const csti_entry *entry) {
    const uint64_t offset = (entry->change >> 8) * CSTI_LOG_UNIT;

    return offset >= table->control->epoch_first ? offset : 0;
}

CSTI_INLINE uint64_t csti_change_word(uint64_t offset, uint32_t key_bytes) {
    return offset / CSTI_LOG_UNIT << 8 | key_bytes;
}

#endif
