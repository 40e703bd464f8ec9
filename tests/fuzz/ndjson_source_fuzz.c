// ndjson_source_fuzz.c: text as rows of NDJSON, by the fast parser and by the slow one.
#include "fuzz/source_fuzz.h"
#include "stream/ndjson_rows.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    csti_ndjson_rows json = {0};
    csti_row_columns columns = {0};
    rows fast = {0}, slow = {0};
    csti_row_shape shape;
    csti_text text;
    char *block;

    if (count < 2) return 0;
    shape = fuzz_shape(bytes[0]);
    block = fuzz_text(bytes + 2, count - 2, &text);
    if (csti_ndjson_rows_open(&json, &shape, NULL) != CST_OK) abort();
    if (csti_columns_open(&columns, &shape.schema, FUZZ_ROWS_MAX, count, NULL) != CST_OK) abort();
    while (text.at < text.end && !fast.refused) {
        const char *from = text.at;
        uint32_t rows_count = 0;
        cst_batch batch;

        csti_columns_reset(&columns);
        fast.refused = csti_ndjson_rows_next(&json, &text, &columns, 1 + bytes[1] % FUZZ_ROWS_MAX,
                                             &rows_count, NULL) != CST_OK;
        if (!fast.refused && text.at == from) abort();
        csti_columns_batch(&columns, rows_count, &batch);
        rows_print(&fast, &batch);
    }
    slow_ndjson(&shape, (const char *)bytes + 2, count - 2, &slow);
    fuzz_compare(&fast, &slow);
    csti_columns_close(&columns);
    csti_ndjson_rows_close(&json);
    rows_free(&fast);
    rows_free(&slow);
    free(block);
    return 0;
}
