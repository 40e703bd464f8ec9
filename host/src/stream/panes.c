#include "stream/panes.h"

#include "base/helper.h"
#include "table/image.h"
#include "table/program.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CHUNK_BYTES = 256 << 10, // of the outbox
    SCAN_ROWS = 256,
    FILL_ROWS = 4096,
    CHUNKS_KEPT_MAX = 256, // of those that were freed
    SLOT_LATE = UINT16_MAX,
    PANES_FEW = 4, // so many get huge pages and a helper, the others are small
    LOG_SEGMENT_BYTES = 256 << 10,
    LOG_SEGMENT_BYTES_SMALL = 64 << 10,
    LOG_SEGMENT_BYTES_MAX = 2 << 20,
    LOG_SEGMENTS_CARD = 4096, // that a card's circuit has places for
};
_Static_assert((int)CSTI_PANES_MAX < (int)SLOT_LATE, "slots of a block are numbers of 16 bits");

typedef struct pane pane;
struct pane {
    pane *next; // of those that are gone
    int64_t start_us;
    cst_device_table *table;
    cst_scan scan;
    bool touched;  // since its last seal
    uint32_t pins; // cuts that have ranges of its log
    uint64_t seen; // the block whose rows it has the slot of
    uint16_t slot;
};

typedef struct outbox_chunk outbox_chunk;
struct outbox_chunk {
    outbox_chunk *next;
    size_t used;
    _Alignas(64) uint8_t bytes[CHUNK_BYTES];
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
    outbox_chunk *chunks;
};

// Rows of a block by window: each slot's begin at a multiple of 8, for their bits.
typedef struct pane_scratch {
    uint32_t rows_capacity;
    uint16_t *slots; // of each row of the block
    uint32_t *order;
    uint8_t *keys;
    uint32_t *key_offsets;
    uint64_t *hashes;
    uint8_t *ops;
    void *values[CSTI_BLOCK_SOURCES_MAX];
    uint8_t *validity[CSTI_BLOCK_SOURCES_MAX];
    cst_source *sources; // of each slot, sources_count apart
} pane_scratch;

typedef struct pane_metrics {
    csti_metric *late, *open, *closed, *lines;
} pane_metrics;

struct csti_panes {
    csti_panes_options options;
    csti_block_shape shape;
    uint32_t record_bytes, value_offset;
    int64_t closed_us;
    pane *list[CSTI_PANES_MAX]; // by start
    uint32_t count, hint;
    pane *gone; // closed; their tables wait for cuts
    pane_scratch scratch;
    pane *slots[CSTI_PANES_MAX]; // of the block at work
    uint32_t slots_count;
    uint64_t blocks_count;
    csti_block *block; // whose rows are submitted; NULL: none
    csti_pane_rows pieces[CSTI_PANES_MAX];
    uint32_t pieces_count, pieces_next, pieces_done;
    uint32_t late_rows;
    uint32_t in_flight;
    outbox_chunk *chunks, *last_chunk; // of the open epoch
    outbox_chunk *kept;                // empty: their pages are there
    uint32_t kept_count;
    uint64_t outbox_bytes; // of the open epoch and of cuts
    // The processor's tables are mapped and unmapped by a thread of their own: it takes long.
    csti_helper *helper; // NULL: in place
    csti_helper_job chores;
    pthread_mutex_t chores_lock; // of the next three
    pane *dead;
    cst_device_table *spare; // for the next window, as large as the last one was
    uint64_t spare_rows;     // 0: none is wanted
    pane_cut *cuts;
    pane_metrics metrics;
    _Atomic uint64_t lines_count;
};

// ---- Open ---------------------------------------------------------------------------------------

static cst_code metrics_open(csti_panes *panes, cst_err *err) {
    pane_metrics *m = &panes->metrics;
    const csti_metric_row wanted[] = {
        {&m->late, CSTI_METRIC_COUNTER, "constellation_rows_late_total",
         "Rows whose window was closed, one for each such window."},
        {&m->open, CSTI_METRIC_GAUGE, "constellation_windows_open", "Windows with a table."},
        {&m->closed, CSTI_METRIC_COUNTER, "constellation_windows_closed_total", "Windows closed."},
        {&m->lines, CSTI_METRIC_COUNTER, "constellation_window_lines_total",
         "Keys of closed windows and late rows that went into a checkpoint."},
    };
    char labels[32];

    (void)snprintf(labels, sizeof labels, "partition=\"%" PRIu32 "\"", panes->options.partition);
    return csti_metrics_register_rows(panes->options.metrics, wanted,
                                      sizeof wanted / sizeof *wanted, labels, err);
}

static uint32_t source_bytes(const csti_block_shape *shape, uint32_t source) {
    const cst_column column = {.type = shape->source_types[source]};

    return cst_column_value_bytes(&column);
}

static cst_code scratch_open(csti_panes *panes, cst_err *err) {
    const csti_block_shape *shape = &panes->shape;
    const uint32_t slots =
        shape->rows_capacity < CSTI_PANES_MAX ? shape->rows_capacity : (uint32_t)CSTI_PANES_MAX;
    const size_t rows = shape->rows_capacity + 8 * (size_t)slots;
    const size_t keys = shape->key_bytes    ? rows * shape->key_bytes
                        : shape->keys_bytes ? shape->keys_bytes
                                            : rows * shape->key_bytes_max;
    pane_scratch *scratch = &panes->scratch;
    bool complete;

    scratch->rows_capacity = (uint32_t)rows;
    scratch->slots = malloc(rows * sizeof *scratch->slots);
    scratch->order = malloc(rows * sizeof *scratch->order);
    scratch->keys = malloc(keys);
    scratch->hashes = malloc(rows * sizeof *scratch->hashes);
    scratch->sources = calloc((size_t)slots * shape->sources_count + 1, sizeof *scratch->sources);
    complete =
        scratch->slots && scratch->order && scratch->keys && scratch->hashes && scratch->sources;
    if (!shape->key_bytes) {
        scratch->key_offsets = malloc(rows * sizeof *scratch->key_offsets);
        complete = complete && scratch->key_offsets;
    }
    if (shape->ops) {
        scratch->ops = malloc(rows);
        complete = complete && scratch->ops;
    }
    for (uint32_t s = 0; s < shape->sources_count; s++) {
        scratch->values[s] = malloc(rows * source_bytes(shape, s) + 1);
        complete = complete && scratch->values[s];
        if (!shape->source_nullable[s]) continue;
        scratch->validity[s] = malloc(rows / 8 + 1);
        complete = complete && scratch->validity[s];
    }
    return complete ? CST_OK : cst_fail(err, CST_NO_MEMORY, "windows of %zu rows", rows);
}

static cst_code table_open(const csti_panes *panes, bool large, uint64_t rows_hint,
                           cst_device_table **out, cst_err *err) {
    cst_table_options options = panes->options.table;
    cst_code code;

    options.background = large;
    options.small_pages = !large;
    options.rows_hint = rows_hint;
    options.log_segment_bytes = large ? LOG_SEGMENT_BYTES : LOG_SEGMENT_BYTES_SMALL;
    while (!panes->helper && options.log_segment_bytes < LOG_SEGMENT_BYTES_MAX &&
           options.budget_bytes / options.log_segment_bytes >= LOG_SEGMENTS_CARD)
        options.log_segment_bytes *= 2;
    code = cst_device_table_open(panes->options.queue, &options, NULL, out, err);
    if (code != CST_OK || cst_device_table_image(*out)) return code;
    return cst_fail(err, CST_UNSUPPORTED, "windows on a device whose tables cannot be read");
}

static void pane_close(pane *closed) {
    cst_device_table_close(closed->table);
    free(closed);
}

static void dead_close(csti_panes *panes) {
    pane *dead;

    (void)pthread_mutex_lock(&panes->chores_lock);
    dead = panes->dead;
    panes->dead = NULL;
    (void)pthread_mutex_unlock(&panes->chores_lock);
    while (dead) {
        pane *next = dead->next;

        pane_close(dead);
        dead = next;
    }
}

// Without it, for want of memory say, a window begins small and grows.
static void spare_open(csti_panes *panes) {
    cst_device_table *spare = NULL;
    uint64_t rows;

    (void)pthread_mutex_lock(&panes->chores_lock);
    rows = panes->spare ? 0 : panes->spare_rows;
    (void)pthread_mutex_unlock(&panes->chores_lock);
    if (rows == 0 || table_open(panes, true, rows, &spare, NULL) != CST_OK) return;
    (void)pthread_mutex_lock(&panes->chores_lock);
    panes->spare = spare;
    (void)pthread_mutex_unlock(&panes->chores_lock);
}

static void chores_do(void *context) {
    dead_close(context);
    spare_open(context);
}

static cst_device_table *spare_take(csti_panes *panes) {
    cst_device_table *spare;

    (void)pthread_mutex_lock(&panes->chores_lock);
    spare = panes->spare;
    panes->spare = NULL;
    (void)pthread_mutex_unlock(&panes->chores_lock);
    if (spare) csti_helper_wake(&panes->chores);
    return spare;
}

// Windows are about as large as the one before.
static void spare_want(csti_panes *panes, uint64_t rows) {
    if (!panes->helper) return;
    (void)pthread_mutex_lock(&panes->chores_lock);
    panes->spare_rows = rows;
    (void)pthread_mutex_unlock(&panes->chores_lock);
    csti_helper_wake(&panes->chores);
}

static cst_code helper_open(csti_panes *panes, cst_err *err) {
    const char *uri = cst_device_uri(cst_queue_device(panes->options.queue));
    cst_code code;

    if (strncmp(uri, "cpu:", 4) != 0) return CST_OK;
    code = csti_helper_open(&panes->helper, err);
    if (code != CST_OK) return code;
    panes->spare_rows = 1;
    panes->chores = (csti_helper_job){.prepare = chores_do, .context = panes};
    csti_helper_register(panes->helper, &panes->chores);
    return CST_OK;
}

// Nothing needs it any more.
static void pane_give(csti_panes *panes, pane *closed) {
    if (!panes->helper) {
        pane_close(closed);
        return;
    }
    (void)pthread_mutex_lock(&panes->chores_lock);
    closed->next = panes->dead;
    panes->dead = closed;
    (void)pthread_mutex_unlock(&panes->chores_lock);
    csti_helper_wake(&panes->chores);
}

static void chunks_free(csti_panes *panes, outbox_chunk *first) {
    for (outbox_chunk *next = first; next;) {
        outbox_chunk *chunk = next;

        next = chunk->next;
        panes->outbox_bytes -= CHUNK_BYTES;
        if (panes->kept_count == CHUNKS_KEPT_MAX) {
            free(chunk);
            continue;
        }
        chunk->next = panes->kept;
        panes->kept = chunk;
        panes->kept_count++;
    }
}

static outbox_chunk *chunk_take(csti_panes *panes) {
    outbox_chunk *chunk = panes->kept;

    if (chunk) {
        panes->kept = chunk->next;
        panes->kept_count--;
    } else {
        chunk = aligned_alloc(_Alignof(outbox_chunk), sizeof *chunk);
        if (!chunk) return NULL;
    }
    chunk->next = NULL;
    chunk->used = 0;
    return chunk;
}

cst_code csti_panes_open(const csti_panes_options *options, csti_panes **out, cst_err *err) {
    csti_panes *panes = calloc(1, sizeof *panes);
    cst_table_options *table;
    cst_code code;

    assert(options->window.size_us > 0);
    assert(options->table.layout == CST_TABLE_INLINE);
    if (!panes) return cst_fail(err, CST_NO_MEMORY, "windows");
    panes->options = *options;
    panes->shape = *options->shape;
    panes->options.shape = NULL; // it is copied
    panes->closed_us = options->watermark_us;
    (void)pthread_mutex_init(&panes->chores_lock, NULL); // cannot fail without attributes
    table = &panes->options.table;
    table->rows_hint = 0;
    panes->record_bytes =
        csti_entry_bytes(table->layout, table->key_bytes, table->program.value_bytes);
    panes->value_offset = (uint32_t)sizeof(csti_record) + ((table->key_bytes + 7) & ~7u);
    code = metrics_open(panes, err);
    if (code == CST_OK) code = scratch_open(panes, err);
    if (code == CST_OK) code = helper_open(panes, err);
    if (code != CST_OK) {
        csti_panes_close(panes);
        return code;
    }
    *out = panes;
    return CST_OK;
}

static void cut_free(csti_panes *panes, pane_cut *cut) {
    chunks_free(panes, cut->chunks);
    free(cut->ranges);
    free(cut->deltas);
    free(cut);
}

void csti_panes_close(csti_panes *panes) {
    pane_scratch *scratch;

    if (!panes) return;
    scratch = &panes->scratch;
    if (panes->helper) csti_helper_unregister(&panes->chores);
    csti_helper_close(panes->helper);
    dead_close(panes);
    cst_device_table_close(panes->spare);
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
    chunks_free(panes, panes->chunks);
    while (panes->kept) free(chunk_take(panes));
    (void)pthread_mutex_destroy(&panes->chores_lock);
    for (uint32_t s = 0; s < CSTI_BLOCK_SOURCES_MAX; s++) {
        free(scratch->values[s]);
        free(scratch->validity[s]);
    }
    free(scratch->sources);
    free(scratch->ops);
    free(scratch->hashes);
    free(scratch->key_offsets);
    free(scratch->keys);
    free(scratch->order);
    free(scratch->slots);
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

static cst_code pane_open(csti_panes *panes, int64_t start_us, uint32_t at, cst_err *err) {
    pane *opened;
    cst_code code = CST_OK;

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
    if (panes->count < PANES_FEW) opened->table = spare_take(panes);
    if (!opened->table) code = table_open(panes, panes->count < PANES_FEW, 0, &opened->table, err);
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

// ---- The outbox ---------------------------------------------------------------------------------

// Room for one record, its head written.
static cst_code outbox_take(csti_panes *panes, uint32_t flags, const cst_row_ref *row,
                            uint8_t **out, cst_err *err) {
    const uint32_t bytes = panes->record_bytes;
    outbox_chunk *chunk = panes->last_chunk;
    const csti_record head = {.hash = row->hash,
                              .key_bytes = (uint16_t)row->key_bytes,
                              .units = (uint16_t)(bytes / CSTI_LOG_UNIT),
                              .value_flags = flags | row->value_bytes};

    if (!chunk || chunk->used + bytes > CHUNK_BYTES) {
        chunk = chunk_take(panes);
        if (!chunk) return cst_fail(err, CST_NO_MEMORY, "lines of closed windows");
        if (panes->last_chunk)
            panes->last_chunk->next = chunk;
        else
            panes->chunks = chunk;
        panes->last_chunk = chunk;
        panes->outbox_bytes += CHUNK_BYTES;
    }
    *out = chunk->bytes + chunk->used;
    memcpy(*out, &head, sizeof head);
    chunk->used += bytes;
    return CST_OK;
}

static void lines_count(csti_panes *panes, uint32_t count) {
    // Relaxed: a number that is looked at.
    atomic_store_explicit(&panes->lines_count,
                          atomic_load_explicit(&panes->lines_count, memory_order_relaxed) + count,
                          memory_order_relaxed);
    csti_metric_add(panes->metrics.lines, count);
}

// Rows of a table: key and value stand in a slot as they stand in a record, with the same zeros.
static cst_code outbox_put_slots(csti_panes *panes, const cst_row_ref *rows, uint32_t count,
                                 cst_err *err) {
    const size_t bytes = panes->record_bytes - sizeof(csti_record);

    for (uint32_t r = 0; r < count; r++) {
        uint8_t *to = NULL;
        const cst_code code = outbox_take(panes, CSTI_RECORD_TOMBSTONE, &rows[r], &to, err);

        if (code != CST_OK) return code;
        assert(rows[r].value == rows[r].key + panes->value_offset - sizeof(csti_record));
        memcpy(to + sizeof(csti_record), rows[r].key, bytes);
    }
    lines_count(panes, count);
    return CST_OK;
}

static cst_code outbox_put_late(csti_panes *panes, const cst_row_ref *row, cst_err *err) {
    uint8_t *to = NULL;
    const cst_code code = outbox_take(panes, CSTI_RECORD_GAP, row, &to, err);

    if (code != CST_OK) return code;
    memset(to + sizeof(csti_record), 0, panes->record_bytes - sizeof(csti_record));
    memcpy(to + sizeof(csti_record), row->key, row->key_bytes);
    memcpy(to + panes->value_offset, row->value, row->value_bytes);
    lines_count(panes, 1);
    return CST_OK;
}

uint64_t csti_panes_lines(const csti_panes *panes) {
    return atomic_load_explicit(&panes->lines_count, memory_order_relaxed);
}

// ---- Rows ---------------------------------------------------------------------------------------

static cst_bytes key_of(const cst_rows *rows, uint32_t row) {
    if (!rows->key_offsets)
        return (cst_bytes){rows->keys + (size_t)row * rows->key_stride, rows->key_bytes};
    return (cst_bytes){rows->keys + rows->key_offsets[row],
                       rows->key_offsets[row + 1] - rows->key_offsets[row]};
}

// As the window's only row would read. One that deletes has no line.
static cst_code late_row(csti_panes *panes, const cst_rows *rows, uint32_t row, cst_err *err) {
    const cst_program *program = &panes->options.table.program;
    const cst_bytes key = key_of(rows, row);
    uint8_t value[CST_INLINE_ENTRY_BYTES_MAX] = {0};
    cst_code code;

    panes->late_rows++;
    csti_metric_add(panes->metrics.late, 1);
    if (!panes->options.late_aside || (rows->ops && rows->ops[row] == CST_ROW_DELETE))
        return CST_OK;
    code = csti_program_fold(program, rows, row, true, value);
    if (code != CST_OK) return cst_fail(err, code, "a late row");
    return outbox_put_late(panes,
                           &(cst_row_ref){.hash = rows->hashes[row],
                                          .key = key.data,
                                          .key_bytes = (uint32_t)key.count,
                                          .value = value,
                                          .value_bytes = program->value_bytes},
                           err);
}

// Each row's slot, and how many rows each has.
static cst_code slots_take(csti_panes *panes, const cst_rows *rows, uint32_t *counts,
                           cst_err *err) {
    int64_t last_us = 0;
    uint16_t last = SLOT_LATE;
    bool any = false;

    panes->blocks_count++;
    panes->slots_count = 0;
    panes->late_rows = 0;
    for (uint32_t r = 0; r < rows->rows_count; r++) {
        const cst_bytes key = key_of(rows, r);
        const int64_t start_us = csti_window_of_key(key.data, (uint32_t)key.count);

        if (!any || start_us != last_us) {
            pane *found = NULL;
            cst_code code = CST_OK;

            any = true;
            last_us = start_us;
            last = SLOT_LATE;
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
        panes->scratch.slots[r] = last;
        if (last != SLOT_LATE) {
            counts[last]++;
        } else {
            const cst_code code = late_row(panes, rows, r, err);

            if (code != CST_OK) return code;
        }
    }
    return CST_OK;
}

static void keys_put(pane_scratch *scratch, const cst_rows *rows, uint32_t at,
                     const uint32_t *order, uint32_t count, uint32_t *keys_used) {
    if (!rows->key_offsets) {
        csti_gather_values(scratch->keys + (size_t)at * rows->key_bytes, rows->keys,
                           rows->key_bytes, order, count);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        const cst_bytes key = key_of(rows, order[i]);

        scratch->key_offsets[at + i] = *keys_used;
        memcpy(scratch->keys + *keys_used, key.data, key.count);
        *keys_used += (uint32_t)key.count;
    }
    scratch->key_offsets[at + count] = *keys_used;
}

// A slot's rows, side by side from `at` on.
static void slot_put(csti_panes *panes, const cst_rows *rows, uint32_t slot, uint32_t at,
                     uint32_t count, uint32_t *keys_used) {
    pane_scratch *scratch = &panes->scratch;
    const uint32_t *order = scratch->order + at;
    const uint32_t sources_count = panes->shape.sources_count;
    cst_source *sources = scratch->sources + (size_t)slot * sources_count;
    csti_pane_rows *piece = &panes->pieces[slot];

    keys_put(scratch, rows, at, order, count, keys_used);
    csti_gather_values(scratch->hashes + at, rows->hashes, sizeof *rows->hashes, order, count);
    if (rows->ops) csti_gather_values(scratch->ops + at, rows->ops, 1, order, count);
    for (uint32_t s = 0; s < sources_count; s++) {
        const uint32_t width = source_bytes(&panes->shape, s);
        uint8_t *values = (uint8_t *)scratch->values[s] + (size_t)at * width;

        sources[s] = (cst_source){.values = values, .type = rows->sources[s].type};
        if (width > 0) csti_gather_values(values, rows->sources[s].values, width, order, count);
        if (!rows->sources[s].validity) continue;
        csti_gather_bits(scratch->validity[s] + at / 8, 0, rows->sources[s].validity, order, count);
        sources[s].validity = scratch->validity[s] + at / 8;
    }
    piece->rows =
        (cst_rows){.rows_count = count,
                   .key_stride = rows->key_stride,
                   .key_bytes = rows->key_bytes,
                   .ops = rows->ops ? scratch->ops + at : NULL,
                   .hashes = scratch->hashes + at,
                   .keys = rows->key_offsets ? scratch->keys
                                             : scratch->keys + (size_t)at * rows->key_bytes,
                   .key_offsets = rows->key_offsets ? scratch->key_offsets + at : NULL,
                   .sources = sources};
}

// A counting sort: rows of a window keep their order.
static void slots_part(csti_panes *panes, const cst_rows *rows, const uint32_t *counts) {
    pane_scratch *scratch = &panes->scratch;
    uint32_t starts[CSTI_PANES_MAX] = {0};
    uint32_t next[CSTI_PANES_MAX] = {0};
    uint32_t at = 0;
    uint32_t keys_used = 0;

    for (uint32_t slot = 0; slot < panes->slots_count; slot++) {
        starts[slot] = next[slot] = at;
        at += (counts[slot] + 8) & ~7u; // one more than there are, for offsets
    }
    assert(at <= scratch->rows_capacity);
    for (uint32_t r = 0; r < rows->rows_count; r++)
        if (scratch->slots[r] != SLOT_LATE) scratch->order[next[scratch->slots[r]]++] = r;
    for (uint32_t slot = 0; slot < panes->slots_count; slot++)
        slot_put(panes, rows, slot, starts[slot], counts[slot], &keys_used);
}

static cst_code block_begin(csti_panes *panes, csti_block *block, cst_err *err) {
    const cst_rows rows = csti_block_rows(block);
    uint32_t counts[CSTI_PANES_MAX] = {0};
    const cst_code code = slots_take(panes, &rows, counts, err);

    if (code != CST_OK) return code;
    if (panes->slots_count == 1 && panes->late_rows == 0)
        panes->pieces[0].rows = rows;
    else
        slots_part(panes, &rows, counts);
    for (uint32_t slot = 0; slot < panes->slots_count; slot++) {
        panes->pieces[slot].table = panes->slots[slot]->table;
        panes->slots[slot]->touched = true;
    }
    panes->pieces_count = panes->slots_count;
    panes->pieces_next = panes->pieces_done = 0;
    panes->block = block;
    return CST_OK;
}

cst_code csti_panes_rows(csti_panes *panes, csti_keeper *keeper, csti_block *block, bool *done_out,
                         cst_err *err) {
    cst_code code = CST_OK;

    *done_out = false;
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
    return panes->late_rows;
}

// ---- Closing ------------------------------------------------------------------------------------

void csti_panes_watermark(csti_panes *panes, int64_t watermark_us) {
    if (watermark_us > panes->closed_us) panes->closed_us = watermark_us;
}

bool csti_panes_is_closing(const csti_panes *panes) {
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
        pane_give(panes, gone);
    }
}

static void oldest_end(csti_panes *panes) {
    pane *oldest = panes->list[0];
    cst_table_stats stats;

    cst_table_stats_read(cst_device_table_view(oldest->table), &stats);
    spare_want(panes, panes->count <= PANES_FEW ? stats.rows_count : 0);
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

cst_code csti_panes_close_some(csti_panes *panes, uint32_t rows_count, cst_err *err) {
    uint32_t done = 0;

    while (done < rows_count && csti_panes_is_closing(panes) && csti_panes_are_quiet(panes)) {
        pane *oldest = panes->list[0];
        cst_row_ref rows[SCAN_ROWS];
        uint32_t count = 0;
        cst_code code = cst_table_scan(cst_device_table_image(oldest->table), &oldest->scan, rows,
                                       SCAN_ROWS, &count);

        if (code != CST_OK) return cst_fail(err, code, "closing a window");
        code = outbox_put_slots(panes, rows, count, err);
        if (code != CST_OK) return code;
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
    const cst_table *view = cst_device_table_view(sealed->table);
    cst_delta delta;
    size_t count = 0;

    if (!sealed->touched) return;
    sealed->touched = false;
    delta = cst_table_seal(cst_device_table_image(sealed->table));
    if (delta.from == delta.to) return;
    cst_table_delta_ranges(view, &delta, NULL, 0, &count);
    *ranges_count += count;
    sealed->pins++;
    cut->deltas[cut->deltas_count++] = (cut_delta){sealed, delta};
}

static cst_code ranges_fill(pane_cut *cut, size_t ranges_max, cst_err *err) {
    size_t used = 0;

    for (const outbox_chunk *chunk = cut->chunks; chunk; chunk = chunk->next) ranges_max++;
    cut->ranges = calloc(ranges_max + 1, sizeof *cut->ranges);
    if (!cut->ranges) return cst_fail(err, CST_NO_MEMORY, "%zu ranges of a delta", ranges_max);
    for (uint32_t d = 0; d < cut->deltas_count; d++) {
        const cst_table *view = cst_device_table_view(cut->deltas[d].pane->table);
        size_t count = 0;

        cst_table_delta_ranges(view, &cut->deltas[d].delta, cut->ranges + used, ranges_max - used,
                               &count);
        used += count;
    }
    for (const outbox_chunk *chunk = cut->chunks; chunk; chunk = chunk->next)
        cut->ranges[used++] = (cst_bytes){chunk->bytes, chunk->used};
    assert(used == ranges_max);
    for (size_t r = 0; r < used; r++) cut->given.bytes += cut->ranges[r].count;
    cut->given.ranges = cut->ranges;
    cut->given.ranges_count = used;
    return CST_OK;
}

cst_code csti_panes_seal(csti_panes *panes, const csti_pane_cut **out, cst_err *err) {
    size_t ranges_count = 0;
    uint32_t deltas_max = panes->count;
    pane_cut *cut;

    assert(csti_panes_are_quiet(panes));
    for (const pane *gone = panes->gone; gone; gone = gone->next) deltas_max++;
    cut = cut_make(deltas_max);
    if (!cut) return cst_fail(err, CST_NO_MEMORY, "a cut of %" PRIu32 " windows", deltas_max);
    cut->next = panes->cuts;
    panes->cuts = cut;
    // In front of the outbox: the last record of a key is the one that counts.
    for (pane *gone = panes->gone; gone; gone = gone->next) pane_seal(gone, cut, &ranges_count);
    for (uint32_t i = 0; i < panes->count; i++) pane_seal(panes->list[i], cut, &ranges_count);
    cut->chunks = panes->chunks;
    panes->chunks = panes->last_chunk = NULL;
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

    while (&(*link)->given != given) link = &(*link)->next;
    cut = *link;
    for (; cut->released < cut->deltas_count; cut->released++) {
        const cut_delta *delta = &cut->deltas[cut->released];
        const cst_command command = {.ops = CST_OP_RELEASE,
                                     .fixup = true,
                                     .tag = tag,
                                     .table = delta->pane->table,
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

    cst_table_stats_read(cst_device_table_view(one->table), &stats);
    out->rows_count += stats.rows_count;
    out->slots_bytes += stats.slots_bytes;
    out->index_bytes += stats.index_bytes;
    out->directory_bytes += stats.directory_bytes;
    out->slab_bytes += stats.slab_bytes;
    out->log_bytes += stats.log_bytes;
    out->used_bytes += stats.used_bytes;
}

void csti_panes_stats_read(const csti_panes *panes, cst_table_stats *out) {
    *out = (cst_table_stats){.log_bytes = panes->outbox_bytes, .used_bytes = panes->outbox_bytes};
    for (uint32_t i = 0; i < panes->count; i++) stats_add(panes->list[i], out);
    for (const pane *gone = panes->gone; gone; gone = gone->next) stats_add(gone, out);
}

// ---- Fill ---------------------------------------------------------------------------------------

// Records of the rows of one window that are behind each other.
typedef struct pane_fill {
    uint8_t *records;
    uint32_t count;
    pane *to;
} pane_fill;

static cst_code fill_flush(csti_panes *panes, pane_fill *fill, cst_err *err) {
    const cst_command command = {.ops = CST_OP_RESTORE,
                                 .table = fill->to ? fill->to->table : NULL,
                                 .restore = fill->records,
                                 .restore_bytes = (size_t)fill->count * panes->record_bytes};
    cst_completion done;

    if (fill->count == 0) return CST_OK;
    fill->count = 0;
    return cst_device_run(panes->options.queue, &command, &done, err);
}

static cst_code fill_row(csti_panes *panes, pane_fill *fill, const cst_row_ref *row, cst_err *err) {
    const int64_t start_us = csti_window_of_key(row->key, row->key_bytes);
    const csti_record head = {.hash = row->hash,
                              .key_bytes = (uint16_t)row->key_bytes,
                              .units = (uint16_t)(panes->record_bytes / CSTI_LOG_UNIT),
                              .value_flags = CSTI_RECORD_PRESENT | row->value_bytes};
    uint8_t *to;
    cst_code code = CST_OK;

    if (!fill->to || fill->to->start_us != start_us || fill->count == FILL_ROWS) {
        code = fill_flush(panes, fill, err);
        if (code == CST_OK) code = pane_find(panes, start_us, &fill->to, err);
        if (code != CST_OK) return code;
    }
    to = fill->records + (size_t)fill->count++ * panes->record_bytes;
    memset(to, 0, panes->record_bytes);
    memcpy(to, &head, sizeof head);
    memcpy(to + sizeof head, row->key, row->key_bytes);
    memcpy(to + panes->value_offset, row->value, row->value_bytes);
    return CST_OK;
}

typedef struct row_at {
    int64_t start_us;
    uint32_t row;
} row_at;

static int by_start(const void *a, const void *b) {
    const row_at *x = a;
    const row_at *y = b;

    return (x->start_us > y->start_us) - (x->start_us < y->start_us);
}

static cst_code fill_scanned(csti_panes *panes, pane_fill *fill, const cst_row_ref *rows,
                             uint32_t count, row_at *order, cst_err *err) {
    cst_code code = CST_OK;

    for (uint32_t r = 0; r < count; r++)
        order[r] = (row_at){csti_window_of_key(rows[r].key, rows[r].key_bytes), r};
    qsort(order, count, sizeof *order, by_start);
    for (uint32_t r = 0; r < count && code == CST_OK; r++)
        code = fill_row(panes, fill, &rows[order[r].row], err);
    return code;
}

cst_code csti_panes_fill(csti_panes *panes, cst_table *from, cst_err *err) {
    pane_fill fill = {.records = malloc((size_t)FILL_ROWS * panes->record_bytes)};
    cst_row_ref *rows = calloc(FILL_ROWS, sizeof *rows);
    row_at *order = calloc(FILL_ROWS, sizeof *order);
    cst_scan scan = {0};
    uint32_t count = FILL_ROWS;
    cst_code code = CST_OK;

    if (!fill.records || !rows || !order)
        code = cst_fail(err, CST_NO_MEMORY, "windows of restored rows");
    while (code == CST_OK && count > 0) {
        code = cst_table_scan(from, &scan, rows, FILL_ROWS, &count);
        if (code != CST_OK) (void)cst_fail(err, code, "the rows that were restored");
        if (code == CST_OK) code = fill_scanned(panes, &fill, rows, count, order, err);
    }
    if (code == CST_OK) code = fill_flush(panes, &fill, err);
    free(order);
    free(rows);
    free(fill.records);
    return code;
}
