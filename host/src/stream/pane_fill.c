#include "stream/pane_fill.h"

#include "stream/window.h"
#include "table/image.h"

#include <constellation/driver.h>
#include <stdlib.h>
#include <string.h>

enum { FILL_ROWS = 4096 };

typedef struct row_at {
    int64_t start_us;
    uint32_t row;
} row_at;

// Records of the rows of one window that are behind each other.
typedef struct filler {
    const csti_pane_fill *fill;
    cst_row_ref *rows; // that were scanned
    row_at *order;
    uint8_t *records;
    uint32_t count;
    cst_device_table *to;
    int64_t start_us; // of its window
} filler;

static cst_code flush(filler *at, cst_err *err) {
    const cst_command command = {.ops = CST_OP_RESTORE,
                                 .table = at->to,
                                 .restore = at->records,
                                 .restore_bytes = (size_t)at->count * at->fill->record_bytes};
    cst_completion done;

    if (at->count == 0) return CST_OK;
    at->count = 0;
    return cst_device_run(at->fill->queue, &command, &done, err);
}

static cst_code row_put(filler *at, int64_t start_us, const cst_row_ref *row, cst_err *err) {
    const csti_pane_fill *fill = at->fill;
    const csti_record head = {.hash = row->hash,
                              .key_bytes = (uint16_t)row->key_bytes,
                              .units = (uint16_t)(fill->record_bytes / CSTI_LOG_UNIT),
                              .value_flags = CSTI_RECORD_PRESENT | row->value_bytes};
    uint8_t *to;
    cst_code code = CST_OK;

    if (!at->to || at->start_us != start_us || at->count == FILL_ROWS) {
        code = flush(at, err);
        if (code == CST_OK) code = fill->find(fill->context, start_us, &at->to, err);
        if (code != CST_OK) return code;
        at->start_us = start_us;
    }
    to = at->records + (size_t)at->count++ * fill->record_bytes;
    memset(to, 0, fill->record_bytes);
    memcpy(to, &head, sizeof head);
    memcpy(to + sizeof head, row->key, row->key_bytes);
    memcpy(to + fill->value_offset, row->value, row->value_bytes);
    return CST_OK;
}

static int by_start(const void *a, const void *b) {
    const row_at *x = a;
    const row_at *y = b;

    return (x->start_us > y->start_us) - (x->start_us < y->start_us);
}

static cst_code scanned_put(filler *at, uint32_t count, cst_err *err) {
    cst_code code = CST_OK;

    for (uint32_t r = 0; r < count; r++)
        at->order[r] = (row_at){csti_window_of_key(at->rows[r].key, at->rows[r].key_bytes), r};
    qsort(at->order, count, sizeof *at->order, by_start);
    for (uint32_t r = 0; r < count && code == CST_OK; r++)
        code = row_put(at, at->order[r].start_us, &at->rows[at->order[r].row], err);
    return code;
}

cst_code csti_pane_fill_from(const csti_pane_fill *fill, cst_table *from, cst_err *err) {
    filler at = {.fill = fill,
                 .rows = calloc(FILL_ROWS, sizeof *at.rows),
                 .order = calloc(FILL_ROWS, sizeof *at.order),
                 .records = malloc((size_t)FILL_ROWS * fill->record_bytes)};
    cst_scan scan = {0};
    uint32_t count = FILL_ROWS;
    cst_code code = CST_OK;

    if (!at.rows || !at.order || !at.records)
        code = cst_fail(err, CST_NO_MEMORY, "windows of restored rows");
    while (code == CST_OK && count > 0) {
        code = cst_table_scan(from, &scan, at.rows, FILL_ROWS, &count);
        if (code != CST_OK) (void)cst_fail(err, code, "the rows that were restored");
        if (code == CST_OK) code = scanned_put(&at, count, err);
    }
    if (code == CST_OK) code = flush(&at, err);
    free(at.records);
    free(at.order);
    free(at.rows);
    return code;
}
