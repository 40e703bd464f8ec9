// Projection and gathered rows: what goes out is what went in, column by column, row by row.
#include "../codec/random_batch.h"
#include "stream/project.h"

enum { ROWS = 300, ROUNDS = 200, KEY_BYTES = 4096 };

static csti_row_shape shape_of(const cst_schema *schema) {
    csti_row_shape shape = {.schema = *schema};

    for (uint32_t c = 0; c < schema->columns_count; c++)
        snprintf(shape.names[c], sizeof shape.names[c], "column_%u", c);
    return shape;
}

// Encoded keys of one column of one row: equal bytes, equal values.
static void check_same(const cst_batch *a, uint32_t a_column, uint32_t a_row, const cst_batch *b,
                       uint32_t b_column, uint32_t b_row) {
    const cst_schema schema = {.columns_count = 1, .columns = {a->schema->columns[a_column]}};
    static uint8_t keys[2][KEY_BYTES];
    cst_value values[CST_COLUMNS_MAX];
    uint32_t bytes[2];

    row_values(a, a_row, values);
    CHECK_OK(cst_key_encode(&schema, &values[a_column], keys[0], KEY_BYTES, &bytes[0], NULL));
    row_values(b, b_row, values);
    CHECK_OK(cst_key_encode(&schema, &values[b_column], keys[1], KEY_BYTES, &bytes[1], NULL));
    CHECK_EQ(bytes[0], bytes[1]);
    CHECK_BYTES(keys[0], keys[1], bytes[0]);
}

TEST(gathered_rows_of_chosen_columns_are_the_rows_that_were_chosen) {
    for (int round = 0; round < ROUNDS; round++) {
        random_batch rows = {.schema = random_schema(6, false)};
        char names[CST_COLUMNS_MAX][CSTI_COLUMN_NAME_BYTES];
        uint32_t chosen[ROWS];
        uint32_t chosen_count = 0, names_count = 0;
        uint8_t ops[ROWS];
        csti_projection projection;
        csti_gather gather;
        cst_batch out;
        cst_err err = {0};

        random_batch_fill(&rows, ROWS);
        const csti_row_shape shape = shape_of(&rows.schema);
        for (uint32_t r = 0; r < ROWS; r++) ops[r] = test_random() % 2;
        if (round % 2) rows.batch.ops = (cst_buffer){ops, ROWS};
        for (uint32_t c = rows.schema.columns_count; c-- > 0;) // backwards: another order
            if (test_random() % 2 || (c == 0 && names_count == 0))
                memcpy(names[names_count++], shape.names[c], CSTI_COLUMN_NAME_BYTES);
        for (uint32_t r = 0; r < ROWS; r++)
            if (test_random() % 3 == 0) chosen[chosen_count++] = r;
        CHECK_OK(csti_projection_make(&shape, names[0], names_count, &projection, &err));
        CHECK_OK(csti_gather_open(&projection, ROWS, &gather, &err));
        CHECK_OK(
            csti_gather_rows(&gather, &projection, &rows.batch, chosen, chosen_count, &out, &err));
        if (cst_batch_check(&out, &err) != CST_OK) TEST_FAIL("%s", err.text);
        CHECK_EQ(out.rows_count, chosen_count);
        CHECK_EQ(out.schema->columns_count, names_count);
        for (uint32_t i = 0; i < chosen_count; i++) {
            for (uint32_t c = 0; c < names_count; c++)
                check_same(&out, c, i, &rows.batch, projection.columns[c], chosen[i]);
            if (round % 2) CHECK_EQ(((const uint8_t *)out.ops.data)[i], ops[chosen[i]]);
        }
        csti_gather_close(&gather);
        random_batch_free(&rows);
    }
}

TEST(a_projection_without_chosen_rows_copies_nothing) {
    random_batch rows = {0};
    cst_column_data columns[CST_COLUMNS_MAX];
    csti_projection projection;
    cst_batch out;

    CHECK_OK(cst_schema_parse("u64,string,i32", &rows.schema, NULL));
    random_batch_fill(&rows, ROWS);
    const csti_row_shape shape = shape_of(&rows.schema);
    const char names[2][CSTI_COLUMN_NAME_BYTES] = {"column_2", "column_1"};
    CHECK_OK(csti_projection_make(&shape, names[0], 2, &projection, NULL));
    csti_project(&projection, &rows.batch, columns, &out);
    CHECK_OK(cst_batch_check(&out, NULL));
    CHECK(out.columns[0].values.data == rows.columns[2].values.data);
    CHECK(out.columns[1].offsets.data == rows.columns[1].offsets.data);
    CHECK_TEXT(projection.shape.names[1], "column_1");
    CHECK_OK(csti_projection_make(&shape, NULL, 0, &projection, NULL));
    csti_project(&projection, &rows.batch, columns, &out);
    CHECK(out.columns[1].values.data == rows.columns[1].values.data);
    CHECK_EQ(out.schema->columns_count, 3);
    random_batch_free(&rows);
}

TEST(a_projection_of_no_column_or_of_one_twice_says_which) {
    csti_row_shape shape = {.names = {"a", "b"}};
    const char missing[1][CSTI_COLUMN_NAME_BYTES] = {"c"};
    const char twice[2][CSTI_COLUMN_NAME_BYTES] = {"b", "b"};
    csti_projection projection;
    cst_err err;

    CHECK_OK(cst_schema_parse("u8,u8", &shape.schema, NULL));
    CHECK_CODE(csti_projection_make(&shape, missing[0], 1, &projection, &err), CST_NOT_FOUND);
    CHECK(strstr(err.text, "'c'"));
    CHECK_CODE(csti_projection_make(&shape, twice[0], 2, &projection, &err), CST_USAGE);
    CHECK(strstr(err.text, "'b'"));
}

TEST_MAIN
