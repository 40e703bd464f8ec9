#include "stream/window.h"

#include "base/bytes.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct csti_window_step {
    csti_window window;
    uint32_t overlap;
    uint32_t time_column;
    uint32_t rows_max;
    uint32_t bad_row;
    csti_projection all; // of what comes in
    csti_gather gather;  // with an overlap
    uint32_t *rows;      // with an overlap: 0 0 0 1 1 1 ...
    int64_t *starts;
    csti_row_shape shape; // of what comes out
    cst_column_data columns[CST_COLUMNS_MAX];
};

int64_t csti_window_of_key(const uint8_t *key, uint32_t key_bytes) {
    uint64_t bits;

    assert(key_bytes >= CSTI_WINDOW_KEY_BYTES);
    memcpy(&bits, key + key_bytes - CSTI_WINDOW_KEY_BYTES, sizeof bits);
    bits = __builtin_bswap64(bits) ^ UINT64_C(1) << 63; // as keys have it: big endian, sign turned
    return (int64_t)bits;
}

void csti_window_to_key(int64_t start_us, uint8_t *out) {
    const uint64_t bits = __builtin_bswap64((uint64_t)start_us ^ UINT64_C(1) << 63);

    memcpy(out, &bits, sizeof bits);
}

static cst_code shape_make(csti_window_step *step, const csti_row_shape *in, cst_err *err) {
    const uint32_t count = in->schema.columns_count;

    if (count == CST_COLUMNS_MAX)
        return cst_fail(err, CST_LIMIT, "windows: one column more than %d", CST_COLUMNS_MAX);
    step->all.shape = *in;
    for (uint32_t c = 0; c < count; c++) step->all.columns[c] = c;
    step->shape = *in;
    step->shape.schema.columns[count] = (cst_column){.type = CST_TYPE_TIMESTAMP};
    memcpy(step->shape.names[count], CSTI_WINDOW_START, sizeof CSTI_WINDOW_START);
    step->shape.schema.columns_count++;
    return CST_OK;
}

static cst_code rows_make(csti_window_step *step, cst_err *err) {
    const size_t rows_out = (size_t)step->rows_max * step->overlap;
    const bool is_copied = step->overlap > 1;

    step->starts = malloc(rows_out * sizeof *step->starts);
    if (is_copied) step->rows = malloc(rows_out * sizeof *step->rows);
    if (!step->starts || (is_copied && !step->rows))
        return cst_fail(err, CST_NO_MEMORY, "windows of %zu rows", rows_out);
    if (!is_copied) return CST_OK;
    for (size_t r = 0; r < rows_out; r++) step->rows[r] = (uint32_t)(r / step->overlap);
    return csti_gather_open(&step->all, (uint32_t)rows_out, &step->gather, err);
}

cst_code csti_window_step_open(csti_window window, const csti_row_shape *shape,
                               uint32_t time_column, uint32_t rows_max, csti_window_step **out,
                               cst_err *err) {
    csti_window_step *step = calloc(1, sizeof *step);
    cst_code code;

    assert(window.size_us > 0 && window.hop_us > 0 && window.size_us % window.hop_us == 0);
    assert(csti_window_overlap(window) <= CSTI_WINDOW_OVERLAP_MAX);
    assert(time_column < shape->schema.columns_count);
    if (!step) return cst_fail(err, CST_NO_MEMORY, "windows");
    step->window = window;
    step->overlap = csti_window_overlap(window);
    step->time_column = time_column;
    step->rows_max = rows_max;
    code = shape_make(step, shape, err);
    if (code == CST_OK) code = rows_make(step, err);
    if (code != CST_OK) {
        csti_window_step_close(step);
        return code;
    }
    *out = step;
    return CST_OK;
}

void csti_window_step_close(csti_window_step *step) {
    if (!step) return;
    if (step->gather.rows_capacity) csti_gather_close(&step->gather);
    free(step->rows);
    free(step->starts);
    free(step);
}

const csti_row_shape *csti_window_step_shape(const csti_window_step *step) {
    return &step->shape;
}

bool csti_window_step_bad_row(const csti_window_step *step, uint32_t *row_out) {
    if (step->bad_row == UINT32_MAX) return false;
    *row_out = step->bad_row;
    return true;
}

// Earliest window first.
static cst_code starts_fill(csti_window_step *step, const cst_batch *in, cst_err *err) {
    const uint8_t *times = in->columns[step->time_column].values.data;
    const uint8_t *ops = in->ops.bytes ? in->ops.data : NULL;
    const int64_t behind_us = step->window.size_us - step->window.hop_us;
    int64_t *to = step->starts;

    for (uint32_t r = 0; r < in->rows_count; r++) {
        int64_t time_us, start_us;

        if (step->window.sessions && ops && ops[r] == CST_ROW_DELETE) {
            step->bad_row = r;
            return cst_fail(err, CST_SOURCE_RECORD,
                            "an operator deletes it, and what it added to a session cannot be "
                            "taken out again. Windows of one length take it.");
        }
        memcpy(&time_us, times + (size_t)r * sizeof time_us, sizeof time_us);
        if (time_us > CSTI_WINDOW_TIME_MAX_US || time_us < -CSTI_WINDOW_TIME_MAX_US) {
            step->bad_row = r;
            return cst_fail(err, CST_SOURCE_RECORD,
                            "its event time, %lld us from 1970 on, is beyond all windows. A "
                            "[[filter]] keeps the row out.",
                            (long long)time_us);
        }
        start_us =
            step->window.sessions ? time_us : csti_window_last(step->window, time_us) - behind_us;
        for (uint32_t w = 0; w < step->overlap; w++, start_us += step->window.hop_us)
            *to++ = start_us;
    }
    return CST_OK;
}

cst_code csti_window_step_run(csti_window_step *step, const cst_batch *in, cst_batch *out,
                              cst_err *err) {
    const uint32_t rows_count = in->rows_count * step->overlap;
    const uint32_t count = step->all.shape.schema.columns_count;
    cst_batch each = *in;
    cst_code code;

    assert(in->rows_count <= step->rows_max);
    step->bad_row = UINT32_MAX;
    code = starts_fill(step, in, err);
    if (code == CST_OK && step->overlap > 1)
        code = csti_gather_rows(&step->gather, &step->all, in, step->rows, rows_count, &each, err);
    if (code != CST_OK) return code;
    memcpy(step->columns, each.columns, count * sizeof *step->columns);
    step->columns[count] =
        (cst_column_data){.values = {step->starts, rows_count * sizeof *step->starts}};
    *out = (cst_batch){.schema = &step->shape.schema,
                       .rows_count = rows_count,
                       .ops = each.ops,
                       .columns = step->columns};
    return CST_OK;
}
