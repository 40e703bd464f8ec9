#include "stream/push_record.h"

#include "base/bytes.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

enum {
    HEAD_BYTES = 16,
    RUN_BYTES = 16,
    FORGOTTEN_BYTES = 4,
    COLUMN_BYTES = 8,
    HAS_VALIDITY = 1,
    HAS_OFFSETS = 2,
};

// ---- Writing ------------------------------------------------------------------------------------

static size_t columns_bytes(const cst_batch *batch) {
    size_t bytes = 0;

    for (uint32_t c = 0; c < batch->schema->columns_count; c++) {
        const cst_column_data *column = &batch->columns[c];

        bytes += COLUMN_BYTES + column->validity.bytes + column->offsets.bytes;
        bytes += column->values.bytes;
    }
    return bytes;
}

static uint8_t *bytes_put(uint8_t *to, const void *data, size_t bytes) {
    if (bytes) memcpy(to, data, bytes);
    return to + bytes;
}

static uint8_t *column_put(uint8_t *to, const cst_column_data *column) {
    const uint32_t kind =
        (column->validity.bytes ? HAS_VALIDITY : 0u) | (column->offsets.bytes ? HAS_OFFSETS : 0u);

    csti_store_le32(to, kind);
    csti_store_le32(to + 4, (uint32_t)column->values.bytes);
    to = bytes_put(to + COLUMN_BYTES, column->validity.data, column->validity.bytes);
    to = bytes_put(to, column->offsets.data, column->offsets.bytes);
    return bytes_put(to, column->values.data, column->values.bytes);
}

cst_code csti_push_record_write(const cst_batch *batch, const csti_push_run *runs,
                                uint32_t runs_count, const csti_push_id *forgotten,
                                uint32_t forgotten_count, csti_buffer *out, cst_err *err) {
    const uint32_t columns_count = batch->rows_count > 0 ? batch->schema->columns_count : 0;
    size_t bytes = HEAD_BYTES + (size_t)runs_count * RUN_BYTES;
    uint8_t *to;
    cst_code code;

    bytes += (size_t)forgotten_count * FORGOTTEN_BYTES;
    for (uint32_t r = 0; r < runs_count; r++) bytes += runs[r].id.bytes;
    for (uint32_t f = 0; f < forgotten_count; f++) bytes += forgotten[f].bytes;
    if (columns_count > 0) bytes += columns_bytes(batch);
    code = csti_buffer_reserve(out, bytes, err);
    if (code != CST_OK) return code;
    to = out->bytes + out->used_bytes;
    csti_store_le32(to, batch->rows_count);
    csti_store_le32(to + 4, runs_count);
    csti_store_le32(to + 8, forgotten_count);
    csti_store_le32(to + 12, 0);
    to += HEAD_BYTES;
    for (uint32_t r = 0; r < runs_count; r++, to += RUN_BYTES) {
        csti_store_le64(to, runs[r].seq_first);
        csti_store_le32(to + 8, runs[r].rows);
        csti_store_le32(to + 12, runs[r].id.bytes);
    }
    for (uint32_t f = 0; f < forgotten_count; f++, to += FORGOTTEN_BYTES)
        csti_store_le32(to, forgotten[f].bytes);
    for (uint32_t r = 0; r < runs_count; r++) to = bytes_put(to, runs[r].id.text, runs[r].id.bytes);
    for (uint32_t f = 0; f < forgotten_count; f++)
        to = bytes_put(to, forgotten[f].text, forgotten[f].bytes);
    for (uint32_t c = 0; c < columns_count; c++) to = column_put(to, &batch->columns[c]);
    assert(to == out->bytes + out->used_bytes + bytes);
    out->used_bytes += bytes;
    return CST_OK;
}

// ---- Reading ------------------------------------------------------------------------------------

// What is left of a payload.
typedef struct payload_rest {
    const uint8_t *at, *end;
} payload_rest;

static const uint8_t *take(payload_rest *rest, size_t bytes) {
    const uint8_t *at = rest->at;

    if (bytes > (size_t)(rest->end - at)) return NULL;
    rest->at += bytes;
    return at;
}

static cst_code corrupt(cst_err *err, const char *what) {
    return cst_fail(err, CST_WAL_CORRUPT, "a record of rows: %s", what);
}

static cst_code ids_read(csti_push_record *out, payload_rest *rest, cst_err *err) {
    uint64_t ids_bytes = 0, rows = 0;
    const char *id;

    for (uint32_t r = 0; r < out->runs_count; r++) {
        const uint8_t *run = out->runs + (size_t)r * RUN_BYTES;
        const uint64_t seq = csti_load_le64(run);
        const uint32_t count = csti_load_le32(run + 8);
        const uint32_t id_bytes = csti_load_le32(run + 12);

        if (count == 0 || id_bytes > CSTI_PRODUCER_ID_BYTES_MAX || (id_bytes == 0) != (seq == 0) ||
            seq > CSTI_PRODUCER_SEQ_MAX - count)
            return corrupt(err, "a run that is none");
        rows += count;
        ids_bytes += id_bytes;
    }
    if (rows != out->rows_count) return corrupt(err, "its runs do not make its rows");
    for (uint32_t f = 0; f < out->forgotten_count; f++)
        ids_bytes += csti_load_le32(out->forgotten + (size_t)f * FORGOTTEN_BYTES);
    id = (const char *)take(rest, ids_bytes);
    if (!id) return corrupt(err, "its ids are cut off");
    out->ids = id;
    for (uint32_t i = 0; i < out->runs_count + out->forgotten_count; i++) {
        const uint32_t f = i - out->runs_count;
        const uint32_t bytes = i < out->runs_count
                                   ? csti_load_le32(out->runs + (size_t)i * RUN_BYTES + 12)
                                   : csti_load_le32(out->forgotten + (size_t)f * FORGOTTEN_BYTES);

        if ((bytes > 0 || i >= out->runs_count) && !csti_producer_id_is_good(id, bytes))
            return corrupt(err, "an id that is none");
        id += bytes;
    }
    return CST_OK;
}

static cst_code column_read(csti_push_record *out, uint32_t c, payload_rest *rest, cst_err *err) {
    const size_t rows = out->rows_count;
    const uint8_t *head = take(rest, COLUMN_BYTES);
    cst_column_data *column = &out->columns[c];
    uint32_t kind;

    *column = (cst_column_data){0};
    if (!head) return corrupt(err, "a column is cut off");
    kind = csti_load_le32(head);
    if (kind > (HAS_VALIDITY | HAS_OFFSETS)) return corrupt(err, "a column of no known kind");
    column->values.bytes = csti_load_le32(head + 4);
    if (kind & HAS_VALIDITY) column->validity.bytes = (rows + 7) / 8;
    if (kind & HAS_OFFSETS) column->offsets.bytes = (rows + 1) * sizeof(int32_t);
    column->validity.data = take(rest, column->validity.bytes);
    column->offsets.data = take(rest, column->offsets.bytes);
    column->values.data = take(rest, column->values.bytes);
    if (!column->validity.data || !column->offsets.data || !column->values.data)
        return corrupt(err, "a column is cut off");
    return CST_OK;
}

cst_code csti_push_record_read(const void *payload, size_t bytes, const cst_schema *schema,
                               csti_push_record *out, cst_err *err) {
    payload_rest rest = {payload, (const uint8_t *)payload + bytes};
    const uint8_t *head = take(&rest, HEAD_BYTES);
    cst_batch batch = {.schema = schema, .columns = out->columns};
    cst_code code;

    if (!head) return corrupt(err, "its head is cut off");
    out->rows_count = csti_load_le32(head);
    out->runs_count = csti_load_le32(head + 4);
    out->forgotten_count = csti_load_le32(head + 8);
    if (csti_load_le32(head + 12) != 0)
        return cst_fail(err, CST_WAL_VERSION,
                        "a record of rows: flags %" PRIx32 ", which a later version writes",
                        csti_load_le32(head + 12));
    if (out->rows_count > CST_BATCH_ROWS_MAX || out->runs_count > out->rows_count ||
        out->forgotten_count > CSTI_PRODUCERS_MAX)
        return corrupt(err, "more than a record has");
    out->runs = take(&rest, (size_t)out->runs_count * RUN_BYTES);
    out->forgotten = take(&rest, (size_t)out->forgotten_count * FORGOTTEN_BYTES);
    if (!out->runs || !out->forgotten) return corrupt(err, "its runs are cut off");
    code = ids_read(out, &rest, err);
    for (uint32_t c = 0; out->rows_count > 0 && c < schema->columns_count && code == CST_OK; c++)
        code = column_read(out, c, &rest, err);
    if (code != CST_OK) return code;
    if (rest.at != rest.end) return corrupt(err, "bytes behind its end");
    if (out->rows_count == 0) return CST_OK;
    batch.rows_count = out->rows_count;
    if (cst_batch_check(&batch, err) != CST_OK)
        return cst_fail_at(err, CST_WAL_CORRUPT, "a record of rows");
    return CST_OK;
}

// ---- Runs ---------------------------------------------------------------------------------------

csti_push_cursor csti_push_record_begin(const csti_push_record *record) {
    return (csti_push_cursor){.id = record->ids};
}

bool csti_push_run_next(const csti_push_record *record, csti_push_cursor *at, csti_push_run *out) {
    const uint8_t *run = record->runs + (size_t)at->run * RUN_BYTES;

    if (at->run == record->runs_count) return false;
    *out = (csti_push_run){.id = {at->id, csti_load_le32(run + 12)},
                           .seq_first = csti_load_le64(run),
                           .rows = csti_load_le32(run + 8)};
    at->id += out->id.bytes;
    at->run++;
    return true;
}

bool csti_push_forgotten_next(const csti_push_record *record, csti_push_cursor *at,
                              csti_push_id *out) {
    assert(at->run == record->runs_count);
    if (at->forgotten == record->forgotten_count) return false;
    *out = (csti_push_id){at->id, csti_load_le32(record->forgotten +
                                                 (size_t)at->forgotten * FORGOTTEN_BYTES)};
    at->id += out->bytes;
    at->forgotten++;
    return true;
}

static void forget(const csti_push_record *record, csti_push_cursor at, csti_producers *producers) {
    csti_push_run run;
    csti_push_id id;

    while (csti_push_run_next(record, &at, &run)) continue;
    while (csti_push_forgotten_next(record, &at, &id)) {
        csti_producer *producer = csti_producers_find(producers, id.text, id.bytes);

        if (producer) csti_producers_remove(producers, producer);
    }
}

cst_code csti_push_record_note(const csti_push_record *record, uint32_t rows_from, uint32_t rows_to,
                               csti_producers *producers, cst_err *err) {
    csti_push_cursor at = csti_push_record_begin(record);
    cst_code code = CST_OK;
    uint32_t row = 0; // of the run's first
    csti_push_run run;

    if (rows_from == 0) forget(record, at, producers);
    while (code == CST_OK && row < rows_to && csti_push_run_next(record, &at, &run)) {
        const uint32_t behind = row + run.rows < rows_to ? row + run.rows : rows_to;

        if (run.id.bytes > 0 && behind > rows_from)
            code = csti_producers_note(producers, run.id.text, run.id.bytes,
                                       run.seq_first + (behind - row) - 1, err);
        row += run.rows;
    }
    return code;
}
