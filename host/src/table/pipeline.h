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
    CSTI_STAGE_ROWS = 6,    // rows between two stages
    CSTI_PIPELINE_LAST = 5, // finish's distance from stage A
    CSTI_PROBES = 64,       // a power of two above 6 * 5
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

// Where the regions are, copied so that a finish's writes do not force them to be read again.
typedef struct csti_view {
    const cst_table *table;
    const csti_directory_row *directory;
    uint8_t *index;
    uint8_t *slots;
    uint64_t row_mask;
    uint32_t entry_bytes;
} csti_view;

CSTI_INLINE void csti_prefetch_bytes(const void *bytes, uint32_t count) {
    const uintptr_t end = (uintptr_t)bytes + count;

    for (uintptr_t at = (uintptr_t)bytes & ~(CSTI_LINE_BYTES - 1); at < end; at += CSTI_LINE_BYTES)
        __builtin_prefetch((const void *)at);
}

CSTI_INLINE uint32_t csti_bucket_number(const csti_directory_row *row, uint32_t bucket) {
    return row->chunk[bucket / CSTI_CHUNK_BUCKETS] * (uint32_t)CSTI_CHUNK_BUCKETS +
           bucket % CSTI_CHUNK_BUCKETS;
}

CSTI_INLINE csti_control_line *csti_line_number(const csti_view *view, uint32_t bucket) {
    return (csti_control_line *)view->index + bucket;
}

CSTI_INLINE csti_entry *csti_slot_number(const csti_view *view, uint32_t slot) {
    return (csti_entry *)(view->slots + (size_t)slot * view->entry_bytes);
}

CSTI_INLINE void csti_stage_row(const csti_view *view, uint64_t hash, csti_probe *probe) {
    probe->row = view->directory + (hash & view->row_mask);
    __builtin_prefetch(probe->row);
}

CSTI_INLINE void csti_stage_line(const csti_view *view, uint64_t hash, csti_probe *probe) {
    const uint32_t buckets = probe->row->chunks * (uint32_t)CSTI_CHUNK_BUCKETS;

    probe->bucket = csti_bucket_number(probe->row, csti_hash_bucket_first(hash, buckets));
    __builtin_prefetch(csti_line_number(view, probe->bucket));
}

CSTI_INLINE void csti_probe_aim(const csti_view *view, csti_probe *probe, uint32_t match) {
    probe->slot = probe->bucket * CSTI_BUCKET_SLOTS + (uint32_t)__builtin_ctz(match);
    csti_prefetch_bytes(csti_slot_number(view, probe->slot), view->entry_bytes);
}

CSTI_INLINE void csti_stage_match(const csti_view *view, uint64_t hash, csti_probe *probe,
                                  bool inserts) {
    const csti_control_line *line = csti_line_number(view, probe->bucket);
    const uint32_t tag = csti_hash_tag(hash);
    uint32_t match = csti_line_match(line, tag);

    probe->slot = CSTI_NO_SLOT;
    probe->second = match == 0 && csti_line_overflowed(line, tag);
    if (__builtin_expect(probe->second, 0)) {
        const uint32_t buckets = probe->row->chunks * (uint32_t)CSTI_CHUNK_BUCKETS;
        const uint32_t first = csti_hash_bucket_first(hash, buckets);

        probe->bucket =
            csti_bucket_number(probe->row, csti_hash_bucket_second(hash, buckets, first));
        __builtin_prefetch(csti_line_number(view, probe->bucket));
        return;
    }
    if (match == 0 && inserts) match = ~(uint32_t)line->occupied & 0xffff; // the new row's slot
    if (match != 0) csti_probe_aim(view, probe, match);
}

CSTI_INLINE void csti_stage_second(const csti_view *view, uint64_t hash, csti_probe *probe) {
    if (__builtin_expect(!probe->second, 1)) return;
    const uint32_t match =
        csti_line_match(csti_line_number(view, probe->bucket), csti_hash_tag(hash));
    if (match != 0) csti_probe_aim(view, probe, match);
}

// What the candidate's bytes point at: a wide row's block, an open record.
CSTI_INLINE void csti_stage_record(const csti_view *view, const csti_probe *probe, bool wide,
                                   bool writes) {
    const cst_table *table = view->table;
    const csti_entry *entry = csti_slot_number(view, probe->slot);
    uint64_t offset;

    if (probe->slot == CSTI_NO_SLOT) return;
    if (wide) __builtin_prefetch(table->slab + ((const csti_wide_entry *)entry)->block);
    if (!writes) return;
    offset = csti_entry_open_record(table, entry);
    if (offset != 0) csti_prefetch_bytes(csti_log_record(table, offset), view->entry_bytes);
}

// The row's place: mostly the candidate; a search where that was a guess gone wrong.
CSTI_INLINE csti_place csti_probe_find(const csti_view *view, const csti_probe *probe,
                                       const csti_key *key, bool wide) {
    if (__builtin_expect(probe->slot != CSTI_NO_SLOT, 1)) {
        csti_control_line *line = csti_line_number(view, probe->slot / CSTI_BUCKET_SLOTS);
        csti_entry *entry = csti_slot_number(view, probe->slot);
        const uint32_t slot = probe->slot % CSTI_BUCKET_SLOTS;

        if (__builtin_expect(csti_entry_holds(view->table, entry, key, wide) &&
                                 (line->occupied >> slot & 1),
                             1))
            return (csti_place){line, entry, slot};
    }
    return csti_find(view->table, probe->row, key, wide);
}

typedef struct csti_pipeline_kind {
    bool inserts; // a row that is not there will be
    bool wide;
    bool writes; // the open record too
} csti_pipeline_kind;

typedef bool (*csti_finish)(void *context, const csti_view *view, uint32_t row,
                            const csti_probe *probe);

// One step: stage A of row `step`, and each later stage of the row that many distances before it.
// Rows outside [first, rows) are passed over where `checked`; below `first` they wrap far above.
CSTI_INLINE bool csti_pipeline_step(const csti_view *view, const uint64_t *hashes,
                                    csti_probe *probes, uint32_t step, uint32_t first,
                                    uint32_t rows, bool checked, csti_pipeline_kind kind,
                                    csti_finish finish, void *context) {
#define CSTI_ROW(LAG) (step - (LAG) * (uint32_t)CSTI_STAGE_ROWS)
#define CSTI_PROBE(LAG) (&probes[CSTI_ROW(LAG) & (CSTI_PROBES - 1)])
#define CSTI_ACTIVE(LAG) (!checked || CSTI_ROW(LAG) - first < rows - first)
    if (CSTI_ACTIVE(0)) csti_stage_row(view, hashes[CSTI_ROW(0)], CSTI_PROBE(0));
    if (CSTI_ACTIVE(1)) csti_stage_line(view, hashes[CSTI_ROW(1)], CSTI_PROBE(1));
    if (CSTI_ACTIVE(2)) csti_stage_match(view, hashes[CSTI_ROW(2)], CSTI_PROBE(2), kind.inserts);
    if (CSTI_ACTIVE(3)) csti_stage_second(view, hashes[CSTI_ROW(3)], CSTI_PROBE(3));
    if ((kind.wide || kind.writes) && CSTI_ACTIVE(4))
        csti_stage_record(view, CSTI_PROBE(4), kind.wide, kind.writes);
    return !CSTI_ACTIVE(5) || finish(context, view, CSTI_ROW(5), CSTI_PROBE(5));
#undef CSTI_ROW
#undef CSTI_PROBE
#undef CSTI_ACTIVE
}

// Rows [first, rows) with hash `hashes[r]`; `finish` is called in row order until it says no.
// `entry_bytes`, `kind` and `finish` are constants at every call, so that all of it inlines.
CSTI_INLINE void csti_pipeline(const cst_table *table, const uint64_t *hashes, uint32_t first,
                               uint32_t rows, uint32_t entry_bytes, csti_pipeline_kind kind,
                               csti_finish finish, void *context) {
    const csti_view view = {
        .table = table,
        .directory = table->directory,
        .index = table->index,
        .slots = table->slots,
        .row_mask = (UINT64_C(1) << table->control->depth_max) - 1,
        .entry_bytes = entry_bytes,
    };
    const uint32_t lag = CSTI_PIPELINE_LAST * CSTI_STAGE_ROWS;
    csti_probe probes[CSTI_PROBES];
    uint32_t step = first;

    for (; step < first + lag && step < rows + lag; step++)
        if (!csti_pipeline_step(&view, hashes, probes, step, first, rows, true, kind, finish,
                                context))
            return;
    for (; step < rows; step++)
        if (!csti_pipeline_step(&view, hashes, probes, step, first, rows, false, kind, finish,
                                context))
            return;
    for (; step < rows + lag; step++)
        if (!csti_pipeline_step(&view, hashes, probes, step, first, rows, true, kind, finish,
                                context))
            return;
}

#endif
