// pipeline.h: rows of a batch through the table with many cache misses in flight.
//
// Each step does stage A of one row and every later stage of a row some way behind it; a stage
// touches only what the one before asked the memory for:
//
//   stage      reads (asked for a stage ago)       asks for
//   A          hash                                 directory row
//   B          directory row                        control line of the first bucket
//   C          control line: tag match              slot of the first candidate, or second line
//   D          second line, if it came to that      slot of its candidate
//   E          slot: its change word                record of the open epoch (APPLY only)
//   finish     everything, in row order             -
//
// A to E only guess, so that they may be wrong about a row that an earlier row of the batch moved,
// inserted or deleted; finish decides alone. docs/decisions/004-stages-a-row-apart.md has figures.
//
// Ring 0.
#ifndef CST_TABLE_PIPELINE_H
#define CST_TABLE_PIPELINE_H

#include "table/log.h"

enum {
    CSTI_STAGE_ROWS = 6,    // rows between two stages
    CSTI_PIPELINE_LAST = 5, // finish's distance from stage A, in stages
    CSTI_PROBES = 64,       // a power of two above 6 * 5
    CSTI_HASH_ROWS = 32,    // hashed at a time where the caller brings no hashes
};

// What is known of a row on its way.
typedef struct csti_probe {
    uint64_t hash;
    const csti_directory_row *row;
    csti_control_line *line; // of the bucket looked at last
    csti_entry *entry;       // the candidate; NULL: none was seen
} csti_probe;

// Where the regions are, copied so that a finish's writes do not force them to be read again.
typedef struct csti_view {
    const cst_table *table;
    const csti_directory_row *directory;
    uint8_t *index;
    uint8_t *slots;
    uint64_t row_mask;
    csti_widths widths;
} csti_view;

// Slots and records begin on 32 bytes, or on 64 if their width is a multiple of it, so that
// stepping by lines from the first byte meets every line.
CSTI_INLINE void csti_prefetch_row(const void *bytes, uint32_t count) {
    for (uint32_t at = 0; at < count; at += CSTI_LINE_BYTES)
        __builtin_prefetch((const uint8_t *)bytes + at);
}

CSTI_INLINE csti_control_line *csti_view_line(const csti_view *view, const csti_directory_row *row,
                                              uint32_t bucket) {
    return (csti_control_line *)view->index +
           (size_t)row->chunk[bucket / CSTI_CHUNK_BUCKETS] * CSTI_CHUNK_BUCKETS +
           bucket % CSTI_CHUNK_BUCKETS;
}

// Slots lie in the order of their control lines.
CSTI_INLINE csti_entry *csti_view_entry(const csti_view *view, const csti_control_line *line,
                                        uint32_t slot) {
    const size_t bucket = (size_t)(line - (const csti_control_line *)view->index);

    return (csti_entry *)(view->slots + (bucket * CSTI_BUCKET_SLOTS + slot) * view->widths.entry);
}

CSTI_INLINE void csti_stage_row(const csti_view *view, uint64_t hash, csti_probe *probe) {
    probe->hash = hash;
    probe->row = view->directory + (hash & view->row_mask);
    __builtin_prefetch(probe->row);
}

CSTI_INLINE void csti_stage_line(const csti_view *view, csti_probe *probe) {
    const uint32_t buckets = probe->row->chunks * (uint32_t)CSTI_CHUNK_BUCKETS;

    probe->line = csti_view_line(view, probe->row, csti_hash_bucket_first(probe->hash, buckets));
    __builtin_prefetch(probe->line);
}

CSTI_INLINE void csti_probe_aim(const csti_view *view, csti_probe *probe, uint32_t match) {
    probe->entry = csti_view_entry(view, probe->line, (uint32_t)__builtin_ctz(match));
    csti_prefetch_row(probe->entry, view->widths.entry);
}

// No candidate in the first bucket: the row is in the second, or new, or absent. Says whether
// stage D has to look in the second.
CSTI_INLINE bool csti_stage_no_match(const csti_view *view, csti_probe *probe, bool inserts) {
    const csti_control_line *line = probe->line;

    probe->entry = NULL;
    if (csti_line_overflowed(line, csti_hash_tag(probe->hash))) {
        const uint32_t buckets = probe->row->chunks * (uint32_t)CSTI_CHUNK_BUCKETS;
        const uint32_t first = csti_hash_bucket_first(probe->hash, buckets);

        probe->line =
            csti_view_line(view, probe->row, csti_hash_bucket_second(probe->hash, buckets, first));
        __builtin_prefetch(probe->line);
        return true;
    }
    if (inserts && line->occupied != 0xffff) csti_probe_aim(view, probe, ~(uint32_t)line->occupied);
    return false;
}

CSTI_INLINE bool csti_stage_match(const csti_view *view, csti_probe *probe, bool inserts) {
    const uint32_t match = csti_line_match(probe->line, csti_hash_tag(probe->hash));

    if (__builtin_expect(match == 0, 0)) return csti_stage_no_match(view, probe, inserts);
    csti_probe_aim(view, probe, match);
    return false;
}

CSTI_INLINE void csti_stage_second(const csti_view *view, csti_probe *probe) {
    const uint32_t match = csti_line_match(probe->line, csti_hash_tag(probe->hash));

    if (match != 0) csti_probe_aim(view, probe, match);
}

// An update of a row that has an open record writes that record's value and nothing else of it.
CSTI_INLINE void csti_stage_open_record(const csti_view *view, const csti_record *record,
                                        bool wide) {
    const uint32_t from = wide ? 0 : view->widths.value_offset & ~(CSTI_LOG_UNIT - 1u);

    csti_prefetch_row((const uint8_t *)record + from, view->widths.entry - from);
}

// What the candidate's bytes point at: a wide row's block, an open record.
CSTI_INLINE void csti_stage_record(const csti_view *view, const csti_probe *probe, bool wide,
                                   bool writes) {
    const cst_table *table = view->table;
    const csti_entry *entry = probe->entry;
    uint64_t offset;

    if (!entry) return;
    if (wide) __builtin_prefetch(table->slab + ((const csti_wide_entry *)entry)->block);
    if (!writes) return;
    offset = csti_entry_open_record(table, entry);
    if (offset != 0) csti_stage_open_record(view, csti_log_record(table, offset), wide);
}

// The row's slot: mostly the candidate; a search where that was a guess gone wrong.
// A free slot is all zeros, so only an empty key could be mistaken to be in one: it is searched.
CSTI_INLINE csti_entry *csti_probe_find(const csti_view *view, const csti_probe *probe,
                                        const csti_key *key, bool wide) {
    csti_entry *entry = probe->entry;

    if (__builtin_expect(entry && key->count != 0, 1) &&
        __builtin_expect(csti_entry_holds(view->table, entry, key, wide), 1))
        return entry;
    return csti_find(view->table, probe->row, key, wide).entry;
}

typedef struct csti_pipeline_kind {
    bool inserts; // a row that is not there will be
    bool wide;
    bool writes; // the open record too
} csti_pipeline_kind;

typedef bool (*csti_finish)(void *context, const csti_view *view, uint32_t row,
                            const csti_probe *probe);

void csti_hash_rows(const cst_table *table, const cst_rows *rows, uint32_t first, uint32_t count,
                    uint64_t *hashes_out);

// Rows on their way. Hashes come from the caller, or are computed a group ahead of stage A: then
// the processor hashes while it waits for memory.
typedef struct csti_flow {
    const cst_rows *rows;
    uint64_t hashes[CSTI_HASH_ROWS];
    uint64_t second; // bit (row mod 64): stage D has to look in the second bucket
    csti_probe probes[CSTI_PROBES];
} csti_flow;

CSTI_INLINE uint64_t csti_flow_hash(const csti_view *view, csti_flow *flow, uint32_t row) {
    const uint32_t at = (row - flow->rows->first_row) % CSTI_HASH_ROWS;

    if (flow->rows->hashes) return flow->rows->hashes[row];
    if (at == 0) {
        const uint32_t rest = flow->rows->rows_count - row;

        csti_hash_rows(view->table, flow->rows, row, rest < CSTI_HASH_ROWS ? rest : CSTI_HASH_ROWS,
                       flow->hashes);
    }
    return flow->hashes[at];
}

// While the stages fill and drain, rows outside the batch are passed over (those below it wrap to
// far above); while they fill, none has come to its finish.
typedef enum csti_phase { CSTI_FILLING, CSTI_FULL, CSTI_DRAINING } csti_phase;

// One step: stage A of row `step`, and each later stage of the row that many distances before it.
CSTI_INLINE bool csti_pipeline_step(const csti_view *view, csti_flow *flow, uint32_t step,
                                    csti_phase phase, csti_pipeline_kind kind, csti_finish finish,
                                    void *context) {
    const uint32_t first = flow->rows->first_row;
    const uint32_t count = flow->rows->rows_count - first;

#define CSTI_ROW(LAG) (step - (LAG) * (uint32_t)CSTI_STAGE_ROWS)
#define CSTI_PROBE(LAG) (&flow->probes[CSTI_ROW(LAG) & (CSTI_PROBES - 1)])
#define CSTI_ACTIVE(LAG) (phase == CSTI_FULL || CSTI_ROW(LAG) - first < count)
    if (CSTI_ACTIVE(0))
        csti_stage_row(view, csti_flow_hash(view, flow, CSTI_ROW(0)), CSTI_PROBE(0));
    if (CSTI_ACTIVE(1)) csti_stage_line(view, CSTI_PROBE(1));
    if (CSTI_ACTIVE(2))
        flow->second |= (uint64_t)csti_stage_match(view, CSTI_PROBE(2), kind.inserts)
                        << (CSTI_ROW(2) & (CSTI_PROBES - 1));
    if (flow->second >> (CSTI_ROW(3) & (CSTI_PROBES - 1)) & 1) {
        flow->second &= ~(UINT64_C(1) << (CSTI_ROW(3) & (CSTI_PROBES - 1)));
        csti_stage_second(view, CSTI_PROBE(3));
    }
    if ((kind.wide || kind.writes) && CSTI_ACTIVE(4))
        csti_stage_record(view, CSTI_PROBE(4), kind.wide, kind.writes);
    if (phase == CSTI_FILLING || !CSTI_ACTIVE(5)) return true;
    return finish(context, view, CSTI_ROW(5), CSTI_PROBE(5));
#undef CSTI_ROW
#undef CSTI_PROBE
#undef CSTI_ACTIVE
}

// A row alone has nothing to overlap with: its stages one after the other.
CSTI_INLINE void csti_pipeline_one(const csti_view *view, const cst_rows *rows,
                                   csti_pipeline_kind kind, csti_finish finish, void *context) {
    const uint32_t row = rows->first_row;
    csti_probe probe;
    uint64_t hash;

    if (rows->hashes)
        hash = rows->hashes[row];
    else
        csti_hash_rows(view->table, rows, row, 1, &hash);
    csti_stage_row(view, hash, &probe);
    csti_stage_line(view, &probe);
    if (csti_stage_match(view, &probe, kind.inserts)) csti_stage_second(view, &probe);
    (void)finish(context, view, row, &probe);
}

// The rows from first_row on; `finish` is called in row order until it says no.
// `widths` (where known), `kind` and `finish` are constants at every call: all of it inlines.
CSTI_INLINE void csti_pipeline(const cst_table *table, const cst_rows *rows, csti_widths widths,
                               csti_pipeline_kind kind, csti_finish finish, void *context) {
    const csti_view view = {
        .table = table,
        .directory = table->directory,
        .index = table->index,
        .slots = table->slots,
        .row_mask = (UINT64_C(1) << table->control->depth_max) - 1,
        .widths = widths,
    };
    const uint32_t lag = CSTI_PIPELINE_LAST * CSTI_STAGE_ROWS;
    const uint32_t filled = rows->first_row + lag;
    csti_flow flow;
    uint32_t step = rows->first_row;

    if (rows->rows_count - rows->first_row == 1) {
        csti_pipeline_one(&view, rows, kind, finish, context);
        return;
    }
    flow.rows = rows;
    flow.second = 0;
    for (; step < filled && step < rows->rows_count + lag; step++)
        if (!csti_pipeline_step(&view, &flow, step, CSTI_FILLING, kind, finish, context)) return;
    for (; step < rows->rows_count; step++)
        if (!csti_pipeline_step(&view, &flow, step, CSTI_FULL, kind, finish, context)) return;
    for (; step < rows->rows_count + lag; step++)
        if (!csti_pipeline_step(&view, &flow, step, CSTI_DRAINING, kind, finish, context)) return;
}

#endif
