// pipeline.h: rows of a batch through the table with many cache misses in flight.
//
// Each step does stage A of one row and every later stage of a row some way behind it; a stage
// touches only what the one before asked the memory for:
//
//   stage      reads (asked for a stage ago)       asks for
//   A          hash                                 directory row
//   B          directory row                        control line of the first bucket
//   C          control line: tag match              slot of the first candidate, or second line
//   D          (APPLY only waits here)              -
//   E          slot: its change word; second line   record of the open epoch; slot of its candidate
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
    CSTI_PROBES = 64,       // a power of two, at least twice CSTI_HASH_ROWS
    CSTI_HASH_ROWS = 32,    // hashed at a time; above 6 * 5: rows on their way keep their hashes
};

// What is known of a row on its way; its hash is the flow's.
typedef struct csti_probe {
    const csti_directory_row *row; // A to B
    csti_control_line *line; // from B: of the bucket to look at; NULL: no bucket is left to look at
    csti_entry *entry;       // from C: the candidate; NULL: none was seen
    csti_record *record;     // from E: the candidate's open record; NULL: it has none
    uint64_t change;         // from E: the candidate's change word, of which `record` was made
    uint64_t reserved[3];    // a line a probe
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

CSTI_INLINE const csti_directory_row *csti_view_row(const csti_view *view, uint64_t hash) {
    return view->directory + (hash & view->row_mask);
}

CSTI_INLINE void csti_stage_row(const csti_view *view, uint64_t hash, csti_probe *probe) {
    probe->row = csti_view_row(view, hash);
    __builtin_prefetch(probe->row);
}

CSTI_INLINE void csti_stage_line(const csti_view *view, uint64_t hash, csti_probe *probe) {
    const uint32_t buckets = probe->row->chunks * (uint32_t)CSTI_CHUNK_BUCKETS;

    probe->line = csti_view_line(view, probe->row, csti_hash_bucket_first(hash, buckets));
    __builtin_prefetch(probe->line);
}

CSTI_INLINE void csti_probe_aim(const csti_view *view, csti_probe *probe, uint32_t match) {
    probe->entry = csti_view_entry(view, probe->line, (uint32_t)__builtin_ctz(match));
    csti_prefetch_row(probe->entry, view->widths.entry);
}

// No candidate in the first bucket: the row is in the second, or new, or absent.
CSTI_INLINE void csti_stage_no_match(const csti_view *view, uint64_t hash, csti_probe *probe,
                                     bool inserts) {
    const csti_control_line *line = probe->line;

    probe->entry = NULL;
    if (csti_line_overflowed(line, csti_hash_tag(hash))) {
        const csti_directory_row *row = csti_view_row(view, hash);
        const uint32_t buckets = row->chunks * (uint32_t)CSTI_CHUNK_BUCKETS;
        const uint32_t first = csti_hash_bucket_first(hash, buckets);

        probe->line = csti_view_line(view, row, csti_hash_bucket_second(hash, buckets, first));
        __builtin_prefetch(probe->line);
        return;
    }
    if (inserts && line->occupied != 0xffff) csti_probe_aim(view, probe, ~(uint32_t)line->occupied);
    probe->line = NULL;
}

CSTI_INLINE void csti_stage_match(const csti_view *view, uint64_t hash, csti_probe *probe,
                                  bool inserts) {
    const uint32_t match = csti_line_match(probe->line, csti_hash_tag(hash));

    if (__builtin_expect(match != 0, 1))
        csti_probe_aim(view, probe, match);
    else
        csti_stage_no_match(view, hash, probe, inserts);
}

CSTI_INLINE void csti_stage_second(const csti_view *view, uint64_t hash, csti_probe *probe) {
    uint32_t match = 0;

    if (probe->line) match = csti_line_match(probe->line, csti_hash_tag(hash));
    if (match != 0) csti_probe_aim(view, probe, match);
}

// What the candidate's bytes point at: a wide row's block, an open record. An update of an inline
// row that has an open record writes that record's value and nothing else of it.
CSTI_INLINE void csti_stage_record(const csti_view *view, csti_probe *probe, bool wide,
                                   bool writes) {
    const cst_table *table = view->table;
    const csti_entry *entry = probe->entry;
    const uint32_t from = wide ? 0 : view->widths.value_offset & ~(CSTI_LOG_UNIT - 1u);
    uint64_t offset;

    if (wide) __builtin_prefetch(table->slab + ((const csti_wide_entry *)entry)->block);
    if (!writes) return;
    probe->change = entry->change;
    probe->record = NULL;
    offset = csti_entry_open_record(table, entry);
    if (offset == 0) return;
    probe->record = csti_log_record(table, offset);
    csti_prefetch_row((const uint8_t *)probe->record + from, view->widths.entry - from);
}

CSTI_INLINE void csti_probe_forget_record(csti_probe *probe) {
    probe->change = 0; // of no record: finish looks for itself
    probe->record = NULL;
}

// The record of the open epoch that `entry` has, or NULL. What stage E found holds as long as the
// change word is the same: a log offset names one record for good.
CSTI_INLINE csti_record *csti_probe_record(const csti_view *view, const csti_probe *probe,
                                           const csti_entry *entry) {
    uint64_t offset;

    if (__builtin_expect(entry->change == probe->change, 1)) return probe->record;
    offset = csti_entry_open_record(view->table, entry);
    return offset != 0 ? csti_log_record(view->table, offset) : NULL;
}

// The row's slot: mostly the candidate; a search where that was a guess gone wrong.
// A free slot is all zeros, so only an empty key could be mistaken to be in one: it is searched.
CSTI_INLINE csti_entry *csti_probe_find(const csti_view *view, const csti_probe *probe,
                                        const csti_key *key, bool wide) {
    csti_entry *entry = probe->entry;

    if (__builtin_expect(entry && key->count != 0, 1) &&
        __builtin_expect(csti_entry_holds(view->table, entry, key, wide), 1))
        return entry;
    return csti_find(view->table, csti_view_row(view, key->hash), key, wide).entry;
}

typedef struct csti_pipeline_kind {
    bool inserts; // a row that is not there will be
    bool wide;
    bool writes; // the open record too
} csti_pipeline_kind;

typedef bool (*csti_finish)(void *context, const csti_view *view, uint32_t row, uint64_t hash,
                            const csti_probe *probe);

void csti_hash_rows(const cst_table *table, const cst_rows *rows, uint32_t first, uint32_t count,
                    uint64_t *hashes_out);

// Rows on their way. Hashes come from the caller, or are computed a group ahead of stage A: then
// the processor hashes while it waits for memory.
typedef struct csti_flow {
    const cst_rows *rows;
    const uint64_t *hashes; // row r's is hashes[r & hash_mask]
    uint32_t hash_mask;
    uint64_t own_hashes[CSTI_PROBES];
    _Alignas(64) csti_probe probes[CSTI_PROBES];
} csti_flow;

// Rows from `row` to the end of its group.
CSTI_INLINE void csti_flow_hash(const csti_view *view, csti_flow *flow, uint32_t row) {
    const uint32_t rest = flow->rows->rows_count - row;
    const uint32_t group = CSTI_HASH_ROWS - row % CSTI_HASH_ROWS;

    if (flow->rows->hashes) return;
    csti_hash_rows(view->table, flow->rows, row, rest < group ? rest : group,
                   flow->own_hashes + row % CSTI_PROBES);
}

CSTI_INLINE void csti_flow_open(const csti_view *view, csti_flow *flow, const cst_rows *rows) {
    flow->rows = rows;
    flow->hashes = rows->hashes ? rows->hashes : flow->own_hashes;
    flow->hash_mask = rows->hashes ? UINT32_MAX : CSTI_PROBES - 1;
    if (rows->first_row % CSTI_HASH_ROWS != 0 && rows->first_row < rows->rows_count)
        csti_flow_hash(view, flow, rows->first_row);
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
#define CSTI_HASH(LAG) (flow->hashes[CSTI_ROW(LAG) & flow->hash_mask])
#define CSTI_PROBE(LAG) (&flow->probes[CSTI_ROW(LAG) & (CSTI_PROBES - 1)])
#define CSTI_ACTIVE(LAG) (phase == CSTI_FULL || CSTI_ROW(LAG) - first < count)
    if (CSTI_ACTIVE(0)) {
        if (__builtin_expect(CSTI_ROW(0) % CSTI_HASH_ROWS == 0, 0))
            csti_flow_hash(view, flow, CSTI_ROW(0));
        csti_stage_row(view, CSTI_HASH(0), CSTI_PROBE(0));
    }
    if (CSTI_ACTIVE(1)) csti_stage_line(view, CSTI_HASH(1), CSTI_PROBE(1));
    if (CSTI_ACTIVE(2)) csti_stage_match(view, CSTI_HASH(2), CSTI_PROBE(2), kind.inserts);
    if (CSTI_ACTIVE(4)) {
        csti_probe *probe = CSTI_PROBE(4);

        if (__builtin_expect(probe->entry != NULL, 1)) {
            csti_stage_record(view, probe, kind.wide, kind.writes);
        } else {
            csti_stage_second(view, CSTI_HASH(4), probe);
            csti_probe_forget_record(probe);
        }
    }
    if (phase == CSTI_FILLING || !CSTI_ACTIVE(5)) return true;
    return finish(context, view, CSTI_ROW(5), CSTI_HASH(5), CSTI_PROBE(5));
#undef CSTI_ROW
#undef CSTI_HASH
#undef CSTI_PROBE
#undef CSTI_ACTIVE
}

// A row alone has nothing to overlap with: its stages one after the other.
CSTI_INLINE uint32_t csti_pipeline_one(const csti_view *view, const cst_rows *rows,
                                       csti_pipeline_kind kind, csti_finish finish, void *context) {
    const uint32_t row = rows->first_row;
    csti_probe probe;
    uint64_t hash;

    if (rows->hashes)
        hash = rows->hashes[row];
    else
        csti_hash_rows(view->table, rows, row, 1, &hash);
    csti_stage_row(view, hash, &probe);
    csti_stage_line(view, hash, &probe);
    csti_stage_match(view, hash, &probe, kind.inserts);
    if (!probe.entry) csti_stage_second(view, hash, &probe);
    csti_probe_forget_record(&probe);
    return finish(context, view, row, hash, &probe) ? row + 1 : row;
}

// The rows from first_row on; `finish` is called in row order until it says no. Returns the row it
// said no to, or rows_count.
// `widths` (where known), `kind` and `finish` are constants at every call: all of it inlines.
CSTI_INLINE uint32_t csti_pipeline(const cst_table *table, const cst_rows *rows, csti_widths widths,
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
    const uint32_t end = rows->rows_count + lag;
    const uint32_t filled = rows->first_row + lag;
    csti_flow flow;
    uint32_t step = rows->first_row;

    if (rows->first_row >= rows->rows_count) return rows->rows_count;
    if (rows->rows_count - rows->first_row == 1)
        return csti_pipeline_one(&view, rows, kind, finish, context);
    csti_flow_open(&view, &flow, rows);
    for (; step < filled && step < end; step++)
        (void)csti_pipeline_step(&view, &flow, step, CSTI_FILLING, kind, finish, context);
    for (; step < rows->rows_count; step++)
        if (!csti_pipeline_step(&view, &flow, step, CSTI_FULL, kind, finish, context))
            return step - lag;
    for (; step < end; step++)
        if (!csti_pipeline_step(&view, &flow, step, CSTI_DRAINING, kind, finish, context))
            return step - lag;
    return rows->rows_count;
}

#endif
