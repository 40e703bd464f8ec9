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
    CSTI_STAGE_ROWS = 6, // rows between two stages
    CSTI_PIPELINE_STAGES = 6,
    CSTI_PIPELINE_LAST = 5,
    CSTI_PROBES = 128, // a power of two above 16 * 6
};
#define CSTI_LINE_BYTES ((uintptr_t)64)

// What is known of a row on its way. Buckets and slots are counted over all chunks.
typedef struct csti_probe {
    const csti_directory_row *row;
    uint32_t bucket;
    uint32_t slot; // the candidate; CSTI_NO_SLOT: none was seen
    bool second;   // stage D has work
} csti_probe;
#define CSTI_NO_SLOT UINT32_MAX

CSTI_INLINE void csti_prefetch_bytes(const void *bytes, uint32_t count) {
    const uintptr_t end = (uintptr_t)bytes + count;

    for (uintptr_t at = (uintptr_t)bytes & ~(CSTI_LINE_BYTES - 1); at < end; at += CSTI_LINE_BYTES)
        __builtin_prefetch((const void *)at);
}

CSTI_INLINE uint32_t csti_bucket_number(const csti_directory_row *row, uint32_t bucket) {
    return row->chunk[bucket / CSTI_CHUNK_BUCKETS] * (uint32_t)CSTI_CHUNK_BUCKETS +
           bucket % CSTI_CHUNK_BUCKETS;
}

CSTI_INLINE csti_control_line *csti_line_number(const cst_table *table, uint32_t bucket) {
    return (csti_control_line *)table->index + bucket;
}

CSTI_INLINE csti_entry *csti_slot_number(const cst_table *table, uint32_t slot,
                                         uint32_t entry_bytes) {
    return (csti_entry *)(table->slots + (size_t)slot * entry_bytes);
}

CSTI_INLINE void csti_stage_row(const cst_table *table, uint64_t index, csti_probe *probe) {
    probe->row = table->directory + index;
    __builtin_prefetch(probe->row);
}

CSTI_INLINE void csti_stage_line(const cst_table *table, uint64_t hash, csti_probe *probe) {
    const uint32_t buckets = probe->row->chunks * (uint32_t)CSTI_CHUNK_BUCKETS;

    probe->bucket = csti_bucket_number(probe->row, csti_hash_bucket_first(hash, buckets));
    __builtin_prefetch(csti_line_number(table, probe->bucket));
}

CSTI_INLINE void csti_probe_aim(const cst_table *table, csti_probe *probe, uint32_t match,
                                uint32_t entry_bytes) {
    probe->slot = probe->bucket * CSTI_BUCKET_SLOTS + (uint32_t)__builtin_ctz(match);
    csti_prefetch_bytes(csti_slot_number(table, probe->slot, entry_bytes), entry_bytes);
}

CSTI_INLINE void csti_stage_match(const cst_table *table, uint64_t hash, csti_probe *probe,
                                  uint32_t entry_bytes, bool inserts) {
    const csti_control_line *line = csti_line_number(table, probe->bucket);
    const uint32_t tag = csti_hash_tag(hash);
    uint32_t match = csti_line_match(line, tag);

    probe->slot = CSTI_NO_SLOT;
    probe->second = false;
    if (match == 0 && csti_line_overflowed(line, tag)) {
        const uint32_t buckets = probe->row->chunks * (uint32_t)CSTI_CHUNK_BUCKETS;
        const uint32_t first = csti_hash_bucket_first(hash, buckets);

        probe->second = true;
        probe->bucket =
            csti_bucket_number(probe->row, csti_hash_bucket_second(hash, buckets, first));
        __builtin_prefetch(csti_line_number(table, probe->bucket));
        return;
    }
    if (match == 0 && inserts) match = ~(uint32_t)line->occupied & 0xffff; // the new row's slot
    if (match != 0) csti_probe_aim(table, probe, match, entry_bytes);
}

CSTI_INLINE void csti_stage_second(const cst_table *table, uint64_t hash, csti_probe *probe,
                                   uint32_t entry_bytes) {
    if (__builtin_expect(!probe->second, 1)) return;
    const uint32_t match =
        csti_line_match(csti_line_number(table, probe->bucket), csti_hash_tag(hash));
    if (match != 0) csti_probe_aim(table, probe, match, entry_bytes);
}

// What the candidate's bytes point at: a wide row's block, an open record.
CSTI_INLINE void csti_stage_record(const cst_table *table, const csti_probe *probe,
                                   uint32_t entry_bytes, bool wide, bool writes) {
    const csti_entry *entry = csti_slot_number(table, probe->slot, entry_bytes);
    uint64_t offset;

    if (probe->slot == CSTI_NO_SLOT) return;
    if (wide) __builtin_prefetch(table->slab + ((const csti_wide_entry *)entry)->block);
    if (!writes) return;
    offset = csti_entry_open_record(table, entry);
    if (offset != 0) csti_prefetch_bytes(csti_log_record(table, offset), entry_bytes);
}

// The row's place: mostly the candidate; a search where that was a guess gone wrong.
CSTI_INLINE csti_place csti_probe_find(const cst_table *table, const csti_probe *probe,
                                       const csti_key *key, uint32_t entry_bytes, bool wide) {
    if (__builtin_expect(probe->slot != CSTI_NO_SLOT, 1)) {
        csti_control_line *line = csti_line_number(table, probe->slot / CSTI_BUCKET_SLOTS);
        csti_entry *entry = csti_slot_number(table, probe->slot, entry_bytes);
        const uint32_t slot = probe->slot % CSTI_BUCKET_SLOTS;

        if (__builtin_expect(csti_entry_holds(table, entry, key, wide) &&
                                 (line->occupied >> slot & 1),
                             1))
            return (csti_place){line, entry, slot};
    }
    return csti_find(table, probe->row, key, wide);
}

// Rows [first, rows) with hash `hashes[r]`; `finish(context, r, probe)` is called in order until it
// says no. `finish`, `inserts`, `wide` and `writes` are constants at every call, so that all of it
// inlines.
CSTI_INLINE void csti_pipeline(const cst_table *table, const uint64_t *hashes, uint32_t first,
                               uint32_t rows, uint32_t entry_bytes, bool inserts, bool wide,
                               bool writes,
                               bool (*finish)(void *context, uint32_t row, const csti_probe *probe),
                               void *context) {
    const uint64_t mask = (UINT64_C(1) << table->control->directory_depth) - 1;
    const uint32_t end = rows + CSTI_PIPELINE_STAGES * CSTI_STAGE_ROWS;
    csti_probe probes[CSTI_PROBES];

    // `step` is stage A's row; the others' wrap to far above `rows` until they have begun.
    for (uint32_t step = first; step < end; step++) {
#define CSTI_STAGE(LAG, ACTION)                                                                    \
    do {                                                                                           \
        const uint32_t r = step - (LAG) * (uint32_t)CSTI_STAGE_ROWS;                               \
        csti_probe *probe = &probes[r & (CSTI_PROBES - 1)];                                        \
        if (r - first < rows - first) ACTION;                                                      \
    } while (0)
        CSTI_STAGE(0, csti_stage_row(table, hashes[r] & mask, probe));
        CSTI_STAGE(1, csti_stage_line(table, hashes[r], probe));
        CSTI_STAGE(2, csti_stage_match(table, hashes[r], probe, entry_bytes, inserts));
        CSTI_STAGE(3, csti_stage_second(table, hashes[r], probe, entry_bytes));
        if (wide || writes)
            CSTI_STAGE(4, csti_stage_record(table, probe, entry_bytes, wide, writes));
        const uint32_t last = step - CSTI_PIPELINE_LAST * (uint32_t)CSTI_STAGE_ROWS;
        if (last - first < rows - first &&
            !finish(context, last, &probes[last & (CSTI_PROBES - 1)]))
            return;
#undef CSTI_STAGE
    }
}

#endif
