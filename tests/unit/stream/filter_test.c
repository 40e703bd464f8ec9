// Filters, against the order of encoded keys: what a comparison means is defined there.
#include "../codec/random_batch.h"
#include "stream/filter.h"
#include "stream/value_text.h"

enum { ROWS = 200, ROUNDS = 400, KEY_BYTES = 4096 };

static int order_of(const cst_column *column, const cst_value *a, const cst_value *b) {
    const cst_schema schema = {.columns_count = 1, .columns = {*column}};
    static uint8_t keys[2][KEY_BYTES];
    uint32_t bytes[2];

    CHECK_OK(cst_key_encode(&schema, a, keys[0], KEY_BYTES, &bytes[0], NULL));
    CHECK_OK(cst_key_encode(&schema, b, keys[1], KEY_BYTES, &bytes[1], NULL));
    const int order = memcmp(keys[0], keys[1], bytes[0] < bytes[1] ? bytes[0] : bytes[1]);
    return order ? order : (bytes[0] > bytes[1]) - (bytes[0] < bytes[1]);
}

static bool keeps(csti_compare compare, int order) {
    switch (compare) {
    case CSTI_EQUAL:
        return order == 0;
    case CSTI_NOT_EQUAL:
        return order != 0;
    case CSTI_LESS:
        return order < 0;
    case CSTI_LESS_EQUAL:
        return order <= 0;
    case CSTI_GREATER:
        return order > 0;
    case CSTI_GREATER_EQUAL:
        return order >= 0;
    }
    return false;
}

TEST(a_row_stays_if_its_key_compares_as_asked_and_is_no_null) {
    uint64_t kept_count = 0;

    for (int round = 0; round < ROUNDS; round++) {
        random_batch rows = {.schema = random_schema(3, false)};
        csti_row_shape shape = {.names = {"a", "b", "c"}};
        uint32_t selected[ROWS];
        uint32_t expected = 0;
        char text[2048];
        size_t text_bytes;
        cst_err err = {0};

        random_batch_fill(&rows, ROWS);
        CHECK(rows.schema.columns_count <= 3);
        shape.schema = rows.schema;
        const uint32_t c = (uint32_t)test_random_below(rows.schema.columns_count);
        cst_column plain = rows.schema.columns[c];
        plain.nullable = plain.descending = plain.nulls_last = false;
        const csti_compare compare = (csti_compare)(1 + test_random_below(6));
        cst_value values[CST_COLUMNS_MAX];
        row_values(&rows.batch, (uint32_t)test_random_below(ROWS), values);
        if (values[c].is_null || values[c].bytes_count > CST_FIXED_BYTES_MAX) {
            random_batch_free(&rows);
            continue;
        }
        CHECK_OK(csti_value_write(&plain, &values[c], text, sizeof text - 1, &text_bytes));
        text[text_bytes] = 0;
        csti_filter filter;
        if (csti_filter_make(&shape, shape.names[c], compare, text, &filter, &err) != CST_OK)
            TEST_FAIL("%s", err.text);
        for (uint32_t r = 0; r < ROWS; r++) selected[r] = r;
        const uint32_t count = csti_filter_rows(&filter, &rows.batch, selected, ROWS);
        for (uint32_t r = 0; r < ROWS; r++) {
            row_values(&rows.batch, r, values);
            if (values[c].is_null) continue;
            if (!keeps(compare, order_of(&plain, &values[c], &filter.value))) continue;
            CHECK(expected < count);
            CHECK_EQ(selected[expected], r);
            expected++;
        }
        CHECK_EQ(count, expected);
        kept_count += count;
        random_batch_free(&rows);
    }
    CHECK(kept_count > 1000);
}

TEST(a_second_filter_looks_at_what_the_first_left) {
    csti_row_shape shape = {.names = {"a"}};
    uint32_t numbers[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    uint32_t rows[8] = {0, 1, 2, 3, 4, 5, 6, 7};
    csti_filter above, below;

    CHECK_OK(cst_schema_parse("u32", &shape.schema, NULL));
    const cst_column_data column = {.values = {numbers, sizeof numbers}};
    const cst_batch batch = {.schema = &shape.schema, .rows_count = 8, .columns = &column};
    CHECK_OK(csti_filter_make(&shape, "a", CSTI_GREATER, "2", &above, NULL));
    CHECK_OK(csti_filter_make(&shape, "a", CSTI_LESS_EQUAL, "5", &below, NULL));
    CHECK_EQ(csti_filter_rows(&above, &batch, rows, 8), 5);
    CHECK_EQ(csti_filter_rows(&below, &batch, rows, 5), 3);
    CHECK_EQ(rows[0], 3);
    CHECK_EQ(rows[2], 5);
}

TEST(a_filter_on_no_column_or_on_no_value_says_which) {
    csti_row_shape shape = {.names = {"price"}};
    csti_filter filter;
    cst_err err;

    CHECK_OK(cst_schema_parse("u8", &shape.schema, NULL));
    CHECK_CODE(csti_filter_make(&shape, "cost", CSTI_EQUAL, "1", &filter, &err), CST_NOT_FOUND);
    CHECK(strstr(err.text, "'cost'"));
    CHECK_CODE(csti_filter_make(&shape, "price", CSTI_EQUAL, "1x", &filter, &err), CST_PARSE);
    CHECK(strstr(err.text, "'price'"));
    CHECK_CODE(csti_filter_make(&shape, "price", CSTI_EQUAL, "256", &filter, &err),
               CST_VALUE_RANGE);
}

TEST_MAIN
