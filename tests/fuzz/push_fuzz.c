// push_fuzz.c: what producers send, and records of a push source's log.
//
//   byte 0   its lowest bit: lines or a record; the others choose the columns
#include "fuzz/source_fuzz.h"
#include "stream/push_line.h"
#include "stream/push_record.h"

// What reading accepts is written again as it was read.
static void record_again(const cst_schema *schema, const uint8_t *bytes, size_t count) {
    csti_push_record record, again;
    csti_push_cursor at;
    csti_push_run *runs;
    csti_push_id *forgotten;
    csti_buffer out;
    cst_batch batch;
    uint32_t r = 0, f = 0;

    if (csti_push_record_read(bytes, count, schema, &record, NULL) != CST_OK) return;
    runs = calloc(record.runs_count + 1, sizeof *runs);
    forgotten = calloc(record.forgotten_count + 1, sizeof *forgotten);
    if (!runs || !forgotten) abort();
    at = csti_push_record_begin(&record);
    while (csti_push_run_next(&record, &at, &runs[r])) r++;
    while (csti_push_forgotten_next(&record, &at, &forgotten[f])) f++;
    batch =
        (cst_batch){.schema = schema, .rows_count = record.rows_count, .columns = record.columns};
    csti_buffer_init(&out, count + 1);
    if (csti_push_record_write(&batch, runs, r, forgotten, f, &out, NULL) != CST_OK) abort();
    if (csti_push_record_read(out.bytes, out.used_bytes, schema, &again, NULL) != CST_OK) abort();
    if (again.rows_count != record.rows_count || again.runs_count != r) abort();
    csti_buffer_release(&out);
    free(runs);
    free(forgotten);
}

static void lines(const csti_row_shape *shape, const uint8_t *bytes, size_t count) {
    csti_ndjson_rows json = {0};
    csti_row_columns columns = {0};
    csti_push_line line;
    cst_code code = CST_OK;
    uint32_t row = 0;
    csti_buffer out;
    cst_batch batch;
    csti_text text;
    char *block = fuzz_text(bytes, count, &text);

    if (csti_ndjson_rows_open(&json, shape, NULL) != CST_OK) abort();
    if (csti_columns_open(&columns, &shape->schema, FUZZ_ROWS_MAX, count + 1, NULL) != CST_OK)
        abort();
    while (text.at < text.end && row < FUZZ_ROWS_MAX && code == CST_OK) {
        const char *from = text.at;

        code = csti_push_line_read(&json, &text, &columns, row, &line, NULL);
        if (code == CST_OK && text.at == from) abort();
        if (code == CST_OK && line.said == CSTI_PUSH_ROW) row++;
        if (line.seq > CSTI_PRODUCER_SEQ_MAX) abort();
    }
    if (code != CST_OK) csti_columns_row_undo(&columns, row % FUZZ_ROWS_MAX);
    csti_columns_batch(&columns, row, &batch);
    csti_buffer_init(&out, 1 << 24);
    if (row > 0) {
        const csti_push_run run = {{"a", 1}, 1, row};

        if (csti_push_record_write(&batch, &run, 1, NULL, 0, &out, NULL) != CST_OK) abort();
        record_again(&shape->schema, out.bytes, out.used_bytes);
    }
    csti_buffer_release(&out);
    csti_columns_close(&columns);
    csti_ndjson_rows_close(&json);
    free(block);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    csti_row_shape shape;

    if (count < 2) return 0;
    shape = fuzz_shape(bytes[0] >> 1);
    if (bytes[0] & 1)
        record_again(&shape.schema, bytes + 1, count - 1);
    else
        lines(&shape, bytes + 1, count - 1);
    return 0;
}
