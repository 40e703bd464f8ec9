#include "stream/panes.h"

#include "stream/outbox.h"
#include "stream/pane_fill.h"
#include "stream/pane_parts.h"
#include "stream/pane_tables.h"
#include "stream/sessions.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SCAN_ROWS = 256,
    PIECE_ROWS = 4096,
    PIECE_SESSIONS = 512,
    PANES_FEW = 4, // so many get huge pages and a helper, the others are small
    FILLS_MAX = 8, // into ever larger tables, see csti_panes_fill
    FILL_STEP = 4, // so much larger each
};
_Static_assert((int)CSTI_PANES_MAX < (int)CSTI_PART_NONE,
               "slots of a block are numbers of 16 bits");

typedef struct pane pane;
struct pane {
    csti_pane_table of; // first: it is freed by this
    pane *next;         // of those that are gone
    int64_t start_us;
    cst_scan scan;
    bool touched;  // since its last seal
    uint32_t pins; // cuts that have ranges of its log
    uint64_t seen; // the block whose rows it has the slot of
    uint16_t slot;
};

typedef struct cut_delta {
    pane *pane;
    cst_delta delta;
} cut_delta;

typedef struct pane_cut pane_cut;
struct pane_cut {
    csti_pane_cut given; // first: it is known by this
    pane_cut *next;
    cst_bytes *ranges;
    cut_delta *deltas;
    uint32_t deltas_count, released; // those whose release was submitted
    csti_outbox_chunk *chunks;
};

struct csti_panes {
    csti_panes_options options;
    csti_block_shape shape;
    int64_t closed_us;
    uint64_t fill_rows;         // tables of closed windows are for so many; 0: as ever
    pane *list[CSTI_PANES_MAX]; // by start
    uint32_t count, hint;
    pane *gone; // closed; their tables wait for cuts
    csti_pane_parts parts;
    pane *slots[CSTI_PANES_MAX]; // of the block at work
    uint32_t slots_count;
    uint64_t blocks_count;
    csti_block *block; // whose rows are submitted; NULL: none
    csti_pane_rows pieces[CSTI_PANES_MAX];
    uint32_t pieces_count, pieces_next, pieces_done;
    uint32_t late_rows;
    uint32_t in_flight;
    csti_outbox outbox;
    csti_pane_tables *tables;
    pane_cut *cuts;
    csti_panes_metrics metrics;
    csti_sessions *sessions; // NULL: none; else lists, tables and outbox are not used
    uint32_t failed_row;
    _Atomic uint64_t lines_count;
};

// ---- Open ---------------------------------------------------------------------------------------

static cst_code metrics_open(csti_panes *panes, cst_err *err) {
    csti_panes_metrics *m = &panes->metrics;
    const csti_metric_row wanted[] = {
        {&m->late, CSTI_METRIC_COUNTER, "constellation_rows_late_total",
         "Rows whose window was closed, one for each such window."},
        {&m->open, CSTI_METRIC_GAUGE, "constellation_windows_open",
         "Windows that are open, or are being closed."},
        {&m->closed, CSTI_METRIC_COUNTER, "constellation_windows_closed_total", "Windows closed."},
        {&m->lines, CSTI_METRIC_COUNTER, "constellation_window_lines_total",
         "Keys of closed windows and late rows that went into a checkpoint."},
    };
    char labels[32];

    (void)snprintf(labels, sizeof labels, "partition=\"%" PRIu32 "\"", panes->options.partition);
    return csti_metrics_register_rows(panes->options.metrics, wanted,
                                      sizeof wanted / sizeof *wanted, labels, err);
}

static void pane_close(pane *closed) {
    cst_device_table_close(closed->of.table);
    free(closed);
}

static cst_code tables_open(csti_panes *panes, cst_err *err) {
    cst_table_options *table = &panes->options.table;
    cst_code code = csti_pane_parts_open(&panes->parts, &panes->shape, CSTI_PANES_MAX, err);

    table->rows_hint = 0;
    csti_outbox_open(&panes->outbox, table);
    if (code == CST_OK)
        code = csti_pane_tables_open(panes->options.queue, table, &panes->tables, err);
    return code;
}

cst_code csti_panes_open(const csti_panes_options *options, csti_panes **out, cst_err *err) {
    csti_panes *panes = calloc(1, sizeof *panes);
    cst_code code;

    assert(options->window.size_us > 0);
    if (!panes) return cst_fail(err, CST_NO_MEMORY, "windows");
    panes->options = *options;
    panes->shape = *options->shape;
    panes->options.shape = NULL; // it is copied
    panes->closed_us = options->watermark_us;
    panes->failed_row = UINT32_MAX;
    code = metrics_open(panes, err);
    if (code == CST_OK)
        code = options->window.sessions
                   ? csti_sessions_open(options, &panes->metrics, &panes->sessions, err)
                   : tables_open(panes, err);
    if (code != CST_OK) {
        csti_panes_close(panes);
        return code;
    }
    *out = panes;
    return CST_OK;
}

static void cut_free(csti_panes *panes, pane_cut *cut) {
    csti_outbox_free(&panes->outbox, cut->chunks);
    free(cut->ranges);
    free(cut->deltas);
    free(cut);
}

void csti_panes_close(csti_panes *panes) {
    if (!panes) return;
    csti_sessions_close(panes->sessions);
    csti_pane_tables_close(panes->tables);
    for (uint32_t i = 0; i < panes->count; i++) pane_close(panes->list[i]);
    for (pane *next = panes->gone; next;) {
        pane *gone = next;

        next = gone->next;
        pane_close(gone);
    }
    for (pane_cut *next = panes->cuts; next;) {
        pane_cut *cut = next;

        next = cut->next;
        cut_free(panes, cut);
    }
    csti_outbox_close(&panes->outbox);
    csti_pane_parts_close(&panes->parts);
    free(panes);
}

// ---- Panes --------------------------------------------------------------------------------------

static bool is_closed(const csti_panes *panes, int64_t start_us) {
    return start_us + panes->options.window.size_us <= panes->closed_us;
}

// Where the pane of that start is, or would be.
static uint32_t place_of(const csti_panes *panes, int64_t start_us) {
    uint32_t from = 0, to = panes->count;

    while (from < to) {
        const uint32_t middle = from + (to - from) / 2;

        if (panes->list[middle]->start_us < start_us)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

static cst_code table_take(const csti_panes *panes, int64_t start_us, cst_device_table **out,
                           cst_err *err) {
    if (panes->fill_rows > 0 && is_closed(panes, start_us))
        return csti_pane_tables_take_sized(panes->tables, panes->fill_rows, out, err);
    return panes->count < PANES_FEW ? csti_pane_tables_take_large(panes->tables, out, err)
                                    : csti_pane_tables_take_small(panes->tables, out, err);
}

static cst_code pane_open(csti_panes *panes, int64_t start_us, uint32_t at, cst_err *err) {
    pane *opened;
    cst_code code;

    if (panes->count == CSTI_PANES_MAX)
        return cst_fail(err, CST_LIMIT,
                        "partition %" PRIu32 ": %d windows are open, from %" PRId64
                        " us on, and a row is of one more, at %" PRId64
                        " us: its time is too far from the others'. A [[filter]] keeps it out",
                        panes->options.partition, CSTI_PANES_MAX, panes->list[0]->start_us,
                        start_us);
    opened = calloc(1, sizeof *opened);
    if (!opened) return cst_fail(err, CST_NO_MEMORY, "a window");
    opened->start_us = start_us;
    code = table_take(panes, start_us, &opened->of.table, err);
    if (code != CST_OK) {
        pane_close(opened);
        return code;
    }
    memmove(&panes->list[at + 1], &panes->list[at], (panes->count - at) * sizeof *panes->list);
    panes->list[at] = opened;
    panes->count++;
    csti_metric_set(panes->metrics.open, panes->count);
    return CST_OK;
}

// The pane of the window, opened if there is none.
static cst_code pane_find(csti_panes *panes, int64_t start_us, pane **out, cst_err *err) {
    // Rows lie in order of their windows, or nearly.
    for (uint32_t i = panes->hint; i < panes->count && i < panes->hint + 2; i++)
        if (panes->list[i]->start_us == start_us) {
            panes->hint = i;
            *out = panes->list[i];
            return CST_OK;
        }
    panes->hint = place_of(panes, start_us);
    if (panes->hint == panes->count || panes->list[panes->hint]->start_us != start_us) {
        const cst_code code = pane_open(panes, start_us, panes->hint, err);

        if (code != CST_OK) return code;
    }
    *out = panes->list[panes->hint];
    return CST_OK;
}

// ---- Rows ---------------------------------------------------------------------------------------

static void lines_count(csti_panes *panes, uint32_t count) {
    // Relaxed: a number that is looked at.
    atomic_store_explicit(&panes->lines_count,
                          atomic_load_explicit(&panes->lines_count, memory_order_relaxed) + count,
                          memory_order_relaxed);
    csti_metric_add(panes->metrics.lines, count);
}

uint64_t csti_panes_lines(const csti_panes *panes) {
    if (panes->sessions) return csti_sessions_lines(panes->sessions);
    return atomic_load_explicit(&panes->lines_count, memory_order_relaxed);
}

// One that deletes has no line.
static cst_code late_row(csti_panes *panes, const cst_rows *rows, uint32_t row, cst_err *err) {
    cst_code code;

    panes->late_rows++;
    csti_metric_add(panes->metrics.late, 1);
    if (!panes->options.late_aside || (rows->ops && rows->ops[row] == CST_ROW_DELETE))
        return CST_OK;
    code = csti_outbox_put_late(&panes->outbox, &panes->options.table.program, rows, row,
                                csti_key_at(rows, row), rows->hashes[row], err);
    if (code == CST_OK) lines_count(panes, 1);
    return code;
}

// Each row's slot, and how many rows each has.
static cst_code slots_take(csti_panes *panes, const cst_rows *rows, uint32_t *counts,
                           cst_err *err) {
    int64_t last_us = 0;
    uint16_t last = CSTI_PART_NONE;
    bool any = false;

    panes->blocks_count++;
    panes->slots_count = 0;
    panes->late_rows = 0;
    for (uint32_t r = 0; r < rows->rows_count; r++) {
        const cst_bytes key = csti_key_at(rows, r);
        const int64_t start_us = csti_window_of_key(key.data, (uint32_t)key.count);

        if (!any || start_us != last_us) {
            pane *found = NULL;
            cst_code code = CST_OK;

            any = true;
            last_us = start_us;
            last = CSTI_PART_NONE;
            if (!is_closed(panes, start_us)) code = pane_find(panes, start_us, &found, err);
            if (code != CST_OK) return code;
            if (found && found->seen != panes->blocks_count) {
                found->seen = panes->blocks_count;
                found->slot = (uint16_t)panes->slots_count;
                counts[panes->slots_count] = 0;
                panes->slots[panes->slots_count++] = found;
            }
            if (found) last = found->slot;
        }
        panes->parts.slots[r] = last;
        if (last != CSTI_PART_NONE) {
            counts[last]++;
        } else {
            const cst_code code = late_row(panes, rows, r, err);

            if (code != CST_OK) return code;
        }
    }
    return CST_OK;
}

static void block_part(csti_panes *panes, const cst_rows *rows, const uint32_t *counts) {
    csti_pane_parts_order(&panes->parts, rows, counts, panes->slots_count);
    for (uint32_t slot = 0; slot < panes->slots_count; slot++)
        panes->pieces[slot].rows = csti_pane_parts_take(&panes->parts, rows, slot, counts[slot]);
}

static cst_code block_begin(csti_panes *panes, csti_block *block, cst_err *err) {
    const cst_rows rows = csti_block_rows(block);
    uint32_t counts[CSTI_PANES_MAX] = {0};
    const cst_code code = slots_take(panes, &rows, counts, err);

    if (code != CST_OK) return code;
    if (panes->slots_count == 1 && panes->late_rows == 0)
        panes->pieces[0].rows = rows;
    else
        block_part(panes, &rows, counts);
    for (uint32_t slot = 0; slot < panes->slots_count; slot++) {
        panes->pieces[slot].table = panes->slots[slot]->of.table;
        panes->slots[slot]->touched = true;
    }
    panes->pieces_count = panes->slots_count;
    panes->pieces_next = panes->pieces_done = 0;
    panes->block = block;
    return CST_OK;
}

static cst_code sessions_rows(csti_panes *panes, const csti_block *block, bool *done_out,
                              cst_err *err) {
    const cst_rows rows = csti_block_rows(block);
    uint32_t done = 0;
    const cst_code code = csti_sessions_rows(panes->sessions, &rows, &done, err);

    *done_out = code == CST_OK;
    panes->failed_row = code == CST_OK ? UINT32_MAX : done;
    return code;
}

uint32_t csti_panes_failed_row(const csti_panes *panes) {
    return panes->failed_row;
}

cst_code csti_panes_rows(csti_panes *panes, csti_keeper *keeper, csti_block *block, bool *done_out,
                         cst_err *err) {
    cst_code code = CST_OK;

    *done_out = false;
    if (panes->sessions) return sessions_rows(panes, block, done_out, err);
    if (panes->block != block) {
        if (panes->block || panes->in_flight > 0) return CST_AGAIN; // the scratch is in use
        code = block_begin(panes, block, err);
        if (code != CST_OK) return code;
    }
    while (panes->pieces_next < panes->pieces_count) {
        csti_pane_rows *piece = &panes->pieces[panes->pieces_next];
        const cst_command command = {.ops = CST_OP_APPLY,
                                     .tag = (uintptr_t)piece,
                                     .table = piece->table,
                                     .rows = piece->rows};

        code = csti_keeper_submit(keeper, &command, err);
        if (code != CST_OK) return code;
        panes->pieces_next++;
        panes->in_flight++;
    }
    *done_out = panes->pieces_count == 0;
    if (*done_out) panes->block = NULL;
    return CST_OK;
}

csti_block *csti_panes_rows_done(csti_panes *panes) {
    csti_block *block = panes->block;

    assert(panes->in_flight > 0);
    panes->in_flight--;
    if (++panes->pieces_done < panes->pieces_count) return NULL;
    panes->block = NULL;
    return block;
}

uint32_t csti_panes_late_rows(const csti_panes *panes) {
    return panes->sessions ? csti_sessions_late_rows(panes->sessions) : panes->late_rows;
}

// ---- Closing ------------------------------------------------------------------------------------

void csti_panes_watermark(csti_panes *panes, int64_t watermark_us) {
    if (panes->sessions) csti_sessions_watermark(panes->sessions, watermark_us);
    if (watermark_us > panes->closed_us) panes->closed_us = watermark_us;
}

bool csti_panes_is_closing(const csti_panes *panes) {
    if (panes->sessions) return csti_sessions_is_closing(panes->sessions);
    return panes->count > 0 && is_closed(panes, panes->list[0]->start_us);
}

bool csti_panes_are_quiet(const csti_panes *panes) {
    return panes->in_flight == 0 && !panes->block;
}

// Tables that no cut reads any more. One with deletes is in the next cut, too.
static void gone_sweep(csti_panes *panes) {
    pane **link = &panes->gone;

    while (*link) {
        pane *gone = *link;

        if (gone->pins > 0 || gone->touched) {
            link = &gone->next;
            continue;
        }
        *link = gone->next;
        csti_pane_tables_give(panes->tables, &gone->of);
    }
}

static void oldest_end(csti_panes *panes) {
    pane *oldest = panes->list[0];
    cst_table_stats stats;

    cst_table_stats_read(cst_device_table_view(oldest->of.table), &stats);
    csti_pane_tables_want(panes->tables, panes->count <= PANES_FEW ? stats.rows_count : 0);
    // What is in its log of this epoch is in the outbox now, but for keys that were deleted.
    if (!panes->shape.ops) oldest->touched = false;
    oldest->next = panes->gone;
    panes->gone = oldest;
    panes->count--;
    panes->hint = 0;
    memmove(&panes->list[0], &panes->list[1], panes->count * sizeof *panes->list);
    csti_metric_set(panes->metrics.open, panes->count);
    csti_metric_add(panes->metrics.closed, 1);
    gone_sweep(panes);
}

uint32_t csti_panes_piece(const csti_panes *panes) {
    return panes->sessions ? PIECE_SESSIONS : PIECE_ROWS;
}

static uint32_t scan_room(const csti_panes *panes) {
    const csti_emitter *emitter = panes->options.emitter;
    const uint32_t room = emitter ? csti_emitter_room(emitter) : (uint32_t)SCAN_ROWS;

    return room < SCAN_ROWS ? room : (uint32_t)SCAN_ROWS;
}

static cst_code rows_emit(const csti_panes *panes, const cst_row_ref *rows, uint32_t count,
                          cst_err *err) {
    cst_code code = CST_OK;

    if (!panes->options.emitter) return CST_OK;
    for (uint32_t r = 0; r < count && code == CST_OK; r++)
        code = csti_emitter_put(panes->options.emitter, &rows[r], err);
    return code;
}

cst_code csti_panes_close_some(csti_panes *panes, uint32_t rows_count, cst_err *err) {
    uint32_t done = 0;

    if (panes->sessions) return csti_sessions_close_some(panes->sessions, rows_count, err);
    while (done < rows_count && csti_panes_is_closing(panes) && csti_panes_are_quiet(panes)) {
        pane *oldest = panes->list[0];
        const uint32_t room = scan_room(panes);
        cst_row_ref rows[SCAN_ROWS];
        uint32_t count = 0;
        cst_code code = CST_OK;

        if (room == 0) break;
        code = cst_table_scan(cst_device_table_image(oldest->of.table), &oldest->scan, rows, room,
                              &count);
        if (code != CST_OK) return cst_fail(err, code, "closing a window");
        code = csti_outbox_put_slots(&panes->outbox, rows, count, err);
        if (code == CST_OK) code = rows_emit(panes, rows, count, err);
        if (code != CST_OK) return code;
        lines_count(panes, count);
        if (count == 0) oldest_end(panes);
        done += count + 1;
    }
    return CST_OK;
}

// ---- Epochs -------------------------------------------------------------------------------------

static pane_cut *cut_make(uint32_t deltas_max) {
    pane_cut *cut = calloc(1, sizeof *cut);

    if (cut) cut->deltas = calloc((size_t)deltas_max + 1, sizeof *cut->deltas);
    if (cut && cut->deltas) return cut;
    free(cut);
    return NULL;
}

// The pane's changes since its last seal.
static void pane_seal(pane *sealed, pane_cut *cut, size_t *ranges_count) {
    const cst_table *view = cst_device_table_view(sealed->of.table);
    cst_delta delta;
    size_t count = 0;

    if (!sealed->touched) return;
    sealed->touched = false;
    delta = cst_table_seal(cst_device_table_image(sealed->of.table));
    if (delta.from == delta.to) return;
    cst_table_delta_ranges(view, &delta, NULL, 0, &count);
    *ranges_count += count;
    sealed->pins++;
    cut->deltas[cut->deltas_count++] = (cut_delta){sealed, delta};
}

static cst_code ranges_fill(pane_cut *cut, size_t ranges_max, cst_err *err) {
    size_t used = 0;

    ranges_max += csti_outbox_ranges_count(cut->chunks);
    cut->ranges = calloc(ranges_max + 1, sizeof *cut->ranges);
    if (!cut->ranges) return cst_fail(err, CST_NO_MEMORY, "%zu ranges of a delta", ranges_max);
    for (uint32_t d = 0; d < cut->deltas_count; d++) {
        const cst_table *view = cst_device_table_view(cut->deltas[d].pane->of.table);
        size_t count = 0;

        cst_table_delta_ranges(view, &cut->deltas[d].delta, cut->ranges + used, ranges_max - used,
                               &count);
        used += count;
    }
    csti_outbox_ranges(cut->chunks, cut->ranges + used);
    for (size_t r = 0; r < ranges_max; r++) cut->given.bytes += cut->ranges[r].count;
    cut->given.ranges = cut->ranges;
    cut->given.ranges_count = ranges_max;
    return CST_OK;
}

cst_code csti_panes_seal(csti_panes *panes, const csti_pane_cut **out, cst_err *err) {
    size_t ranges_count = 0;
    uint32_t deltas_max = panes->count;
    pane_cut *cut;

    assert(csti_panes_are_quiet(panes));
    if (panes->sessions) return csti_sessions_seal(panes->sessions, out, err);
    for (const pane *gone = panes->gone; gone; gone = gone->next) deltas_max++;
    cut = cut_make(deltas_max);
    if (!cut) return cst_fail(err, CST_NO_MEMORY, "a cut of %" PRIu32 " windows", deltas_max);
    cut->next = panes->cuts;
    panes->cuts = cut;
    // In front of the outbox: the last record of a key is the one that counts.
    for (pane *gone = panes->gone; gone; gone = gone->next) pane_seal(gone, cut, &ranges_count);
    for (uint32_t i = 0; i < panes->count; i++) pane_seal(panes->list[i], cut, &ranges_count);
    cut->chunks = csti_outbox_cut(&panes->outbox);
    *out = &cut->given;
    return ranges_fill(cut, ranges_count, err);
}

static bool is_gone(const csti_panes *panes, const pane *asked) {
    return place_of(panes, asked->start_us) == panes->count ||
           panes->list[place_of(panes, asked->start_us)] != asked;
}

cst_code csti_panes_release(csti_panes *panes, csti_keeper *keeper, const csti_pane_cut *given,
                            uint64_t tag, cst_err *err) {
    pane_cut **link = &panes->cuts;
    pane_cut *cut;

    if (panes->sessions) {
        csti_sessions_release(panes->sessions, given);
        return CST_OK;
    }
    while (&(*link)->given != given) link = &(*link)->next;
    cut = *link;
    for (; cut->released < cut->deltas_count; cut->released++) {
        const cut_delta *delta = &cut->deltas[cut->released];
        const cst_command command = {.ops = CST_OP_RELEASE,
                                     .fixup = true,
                                     .tag = tag,
                                     .table = delta->pane->of.table,
                                     .release = delta->delta};
        cst_code code;

        if (is_gone(panes, delta->pane)) continue; // all of it goes
        code = csti_keeper_submit(keeper, &command, err);
        if (code != CST_OK) return code;
        panes->in_flight++;
    }
    for (uint32_t d = 0; d < cut->deltas_count; d++) cut->deltas[d].pane->pins--;
    *link = cut->next;
    cut_free(panes, cut);
    if (csti_panes_are_quiet(panes)) gone_sweep(panes);
    return CST_OK;
}

void csti_panes_release_done(csti_panes *panes) {
    assert(panes->in_flight > 0);
    panes->in_flight--;
    if (csti_panes_are_quiet(panes)) gone_sweep(panes);
}

// ---- Stats --------------------------------------------------------------------------------------

static void stats_add(const pane *one, cst_table_stats *out) {
    cst_table_stats stats;

    cst_table_stats_read(cst_device_table_view(one->of.table), &stats);
    out->rows_count += stats.rows_count;
    out->slots_bytes += stats.slots_bytes;
    out->index_bytes += stats.index_bytes;
    out->directory_bytes += stats.directory_bytes;
    out->slab_bytes += stats.slab_bytes;
    out->log_bytes += stats.log_bytes;
    out->used_bytes += stats.used_bytes;
    out->misplaced_bytes += stats.misplaced_bytes;
}

void csti_panes_stats_read(const csti_panes *panes, cst_table_stats *out) {
    if (panes->sessions) {
        csti_sessions_stats_read(panes->sessions, out);
        return;
    }
    *out = (cst_table_stats){.log_bytes = panes->outbox.bytes, .used_bytes = panes->outbox.bytes};
    for (uint32_t i = 0; i < panes->count; i++) stats_add(panes->list[i], out);
    for (const pane *gone = panes->gone; gone; gone = gone->next) stats_add(gone, out);
}

// ---- Fill ---------------------------------------------------------------------------------------

static cst_code fill_find(void *context, int64_t start_us, cst_device_table **out, cst_err *err) {
    pane *found = NULL;
    const cst_code code = pane_find(context, start_us, &found, err);

    if (code == CST_OK) *out = found->of.table;
    return code;
}

// A window that was closed in part has what is left in the last buckets of a table that was large:
// rows that share bits, for which a small table has no place. Of the size that it had, it has.
cst_code csti_panes_fill(csti_panes *panes, cst_table *from, cst_err *err) {
    const csti_pane_fill fill = {.queue = panes->options.queue,
                                 .record_bytes = panes->outbox.record_bytes,
                                 .value_offset = panes->outbox.value_offset,
                                 .find = fill_find,
                                 .context = panes};

    cst_table_stats stats;
    cst_code code = CST_TABLE_SKEW;

    if (panes->sessions) return csti_sessions_fill(panes->sessions, from, err);
    cst_table_stats_read(from, &stats);
    for (int turn = 0; turn < FILLS_MAX && code == CST_TABLE_SKEW; turn++) {
        while (panes->count > 0) pane_close(panes->list[--panes->count]);
        code = csti_pane_fill_from(&fill, from, err);
        panes->fill_rows = panes->fill_rows ? panes->fill_rows * FILL_STEP : stats.rows_count;
    }
    panes->fill_rows = 0;
    return code;
}
