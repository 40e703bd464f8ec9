// pipeline.h: rows of a batch through the table with many cache misses in flight.
//
// Each stage touches only what the one before it asked the memory for, and a group of 16 rows is
// one step behind in each:
//
//   stage      reads (asked for one step ago)       asks for
//   A          hash                                 directory row
//   B          directory row                        control line of the first bucket
//   C          control line: tag match              slot of the first candidate, or second line
//   D          second line, if it came to that      slot of its candidate
//   E          slot: its change word                record of the open epoch (APPLY only)
//   finish     everything, in row order             -
//
// A to E only guess, so that they may be wrong about a row that an earlier row of the batch moved,
// inserted or deleted; finish decides alone. Measured: distances above one group gain nothing.
//
// Ring 0.
#ifndef CST_TABLE_PIPELINE_H
#define CST_TABLE_PIPELINE_H

#include "table/log.h"

enum {
    CSTI_GROUP_ROWS = 16,
    CSTI_PIPELINE_STAGES = 6,
    CSTI_PROBES = 128, // a power of two above 16 * 6
};
#define CSTI_LINE_BYTES ((uintptr_t)64)

typedef struct csti_probe {
    const csti_directory_row *row;
    csti_control_line *line;
    csti_entry *candidate; // NULL: none was seen
    uint32_t buckets;
    uint32_t first;
    bool second; // stage D has work
} csti_probe;

CSTI_INLINE void csti_prefetch_entry(const csti_entry *entry, uint32_t bytes) {
    const uintptr_t end = (uintptr_t)entry + bytes;

    for (uintptr_t at = (uintptr_t)entry & ~(CSTI_LINE_BYTES - 1); at < end; at += CSTI_LINE_BYTES)
        __builtin_prefetch((const void *)at);
}

CSTI_INLINE void csti_stage_line(const cst_table *table, uint64_t hash, csti_probe *probe) {
    const csti_directory_row *row = probe->row;

    probe->buckets = row->chunks * (uint32_t)CSTI_CHUNK_BUCKETS;
    probe->first = csti_hash_bucket_first(hash, probe->buckets);
    probe->line = csti_bucket_line(table, row, probe->first);
    __builtin_prefetch(probe->line);
}

CSTI_INLINE void csti_stage_match(const cst_table *table, uint64_t hash, csti_probe *probe,
                                  uint32_t entry_bytes, bool inserts) {
    const uint32_t tag = csti_hash_tag(hash);
    uint32_t match = csti_line_match(probe->line, tag);

    probe->second = false;
    probe->candidate = NULL;
    if (match == 0 && csti_line_overflowed(probe->line, tag)) {
        const uint32_t second = csti_hash_bucket_second(hash, probe->buckets, probe->first);

        probe->second = true;
        probe->line = csti_bucket_line(table, probe->row, second);
        __builtin_prefetch(probe->line);
        probe->first = second;
        return;
    }
    if (match == 0) {
        if (!inserts) return;
        match = ~(uint32_t)probe->line->occupied & 0xffff; // likely the new row's slot
        if (match == 0) return;
    }
    csti_entry *slots = csti_bucket_slots(table, probe->row, probe->first);
    probe->candidate = csti_slot(table, slots, (uint32_t)__builtin_ctz(match));
    csti_prefetch_entry(probe->candidate, entry_bytes);
}

CSTI_INLINE void csti_stage_second(const cst_table *table, uint64_t hash, csti_probe *probe,
                                   uint32_t entry_bytes) {
    if (!probe->second) return;
    const uint32_t match = csti_line_match(probe->line, csti_hash_tag(hash));
    if (match == 0) return;
    csti_entry *slots = csti_bucket_slots(table, probe->row, probe->first);
    probe->candidate = csti_slot(table, slots, (uint32_t)__builtin_ctz(match));
    csti_prefetch_entry(probe->candidate, entry_bytes);
}

// What the candidate's bytes point at: a wide row's block, an open record.
CSTI_INLINE void csti_stage_record(const cst_table *table, const csti_probe *probe,
                                   uint32_t entry_bytes, bool wide, bool writes) {
    const csti_entry *entry = probe->candidate;
    uint64_t offset;

    if (!entry) return;
    if (wide) __builtin_prefetch(table->slab + ((const csti_wide_entry *)entry)->block);
    if (!writes) return;
    offset = csti_entry_open_record(table, entry);
    if (offset != 0) csti_prefetch_entry((csti_entry *)csti_log_record(table, offset), entry_bytes);
}

// Rows [first, rows) with hash `hashes[r]`; `finish(context, r)` is called in order until it says no.
// `finish`, `inserts`, `wide` and `writes` are constants at every call, so that all of it inlines.
CSTI_INLINE void csti_pipeline(const cst_table *table, const uint64_t *hashes, uint32_t first, uint32_t rows,
                               uint32_t entry_bytes, bool inserts, bool wide, bool writes,
                               bool (*finish)(void *context, uint32_t row), void *context) {
    const uint64_t mask = (UINT64_C(1) << table->control->directory_depth) - 1;
    csti_probe probes[CSTI_PROBES];

    const uint32_t end = rows + CSTI_PIPELINE_STAGES * CSTI_GROUP_ROWS;

    // `step` is the first row of stage A's group; `r` wraps below `first` until a stage has begun.
    for (uint32_t step = first; step < end; step += CSTI_GROUP_ROWS) {
#define CSTI_STAGE(LAG, ACTION)                                                                    \
    for (uint32_t i = 0; i < CSTI_GROUP_ROWS; i++) {                                               \
        const uint32_t r = step + i - (LAG) * (uint32_t)CSTI_GROUP_ROWS;                           \
        csti_probe *probe = &probes[r & (CSTI_PROBES - 1)];                                        \
        if (r - first >= rows - first) break;                                                      \
        ACTION;                                                                                    \
    }
        CSTI_STAGE(0, probe->row = table->directory + (hashes[r] & mask);
                   __builtin_prefetch(probe->row))
        CSTI_STAGE(1, csti_stage_line(table, hashes[r], probe))
        CSTI_STAGE(2, csti_stage_match(table, hashes[r], probe, entry_bytes, inserts))
        CSTI_STAGE(3, csti_stage_second(table, hashes[r], probe, entry_bytes))
        if (wide || writes) {
            CSTI_STAGE(4, csti_stage_record(table, probe, entry_bytes, wide, writes))
        }
        CSTI_STAGE(5, (void)probe; if (!finish(context, r)) return)
#undef CSTI_STAGE
    }
}

#endif
