// csv_source_fuzz.c: text as rows of CSV, with and without a header, by the fast parser and by the
// slow one.
#include "fuzz/source_fuzz.h"
#include "stream/csv_rows.h"

static void fast_read(csti_csv_rows *csv, bool header, uint32_t rows_max, csti_text *text,
                      csti_row_columns *columns, rows *out) {
    if (header && text->at < text->end) out->refused = csti_csv_rows_header(csv, text, NULL);
    while (text->at < text->end && !out->refused) {
        const char *from = text->at;
        uint32_t rows_count = 0;
        cst_batch batch;

        csti_columns_reset(columns);
        out->refused = csti_csv_rows_next(csv, text, columns, rows_max, &rows_count, NULL);
        if (!out->refused && text->at == from) abort();
        csti_columns_batch(columns, rows_count, &batch);
        rows_print(out, &batch);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    csti_csv_rows csv = {0};
    csti_row_columns columns = {0};
    rows fast = {0}, slow = {0};
    csti_row_shape shape;
    csti_text text;
    char *block;
    bool header;

    if (count < 2) return 0;
    shape = fuzz_shape(bytes[0]);
    header = bytes[0] / FUZZ_SHAPES_COUNT % 2;
    block = fuzz_text(bytes + 2, count - 2, &text);
    if (csti_csv_rows_open(&csv, &shape, NULL) != CST_OK) abort();
    if (csti_columns_open(&columns, &shape.schema, FUZZ_ROWS_MAX, count, NULL) != CST_OK) abort();
    fast_read(&csv, header, 1 + bytes[1] % FUZZ_ROWS_MAX, &text, &columns, &fast);
    slow_csv(&shape, header, (const char *)bytes + 2, count - 2, &slow);
    fuzz_compare(&fast, &slow);
    csti_columns_close(&columns);
    csti_csv_rows_close(&csv);
    rows_free(&fast);
    rows_free(&slow);
    free(block);
    return 0;
}
