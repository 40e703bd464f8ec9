// batch_test.c: every contradiction in a batch is found, and named.
#include "test.h"

#include <constellation/batch.h>

#include "unit/codec/random_batch.h"

enum { ROWS = 3 };

// A batch of three rows and one column, that a case then breaks.
typedef struct fixture {
    cst_schema schema;
    cst_column_data column;
    cst_batch batch;
    uint8_t values[64];
    int32_t offsets[ROWS + 1];
    uint8_t validity[1];
    uint8_t ops[ROWS];
} fixture;

static void fixture_open(fixture *f, const char *schema) {
    memset(f, 0, sizeof *f);
    CHECK_OK(cst_schema_parse(schema, &f->schema, NULL));
    f->column.values = (cst_buffer){f->values, sizeof f->values};
    if (cst_column_value_bytes(&f->schema.columns[0]) == 0) {
        memcpy(f->offsets, (int32_t[]){0, 1, 1, 3}, sizeof f->offsets);
        f->column.offsets = (cst_buffer){f->offsets, sizeof f->offsets};
    }
    f->batch = (cst_batch){&f->schema, ROWS, {NULL, 0}, &f->column};
    CHECK_OK(cst_batch_check(&f->batch, NULL));
}

static void check_refused(const fixture *f, cst_code code, const char *wanted) {
    cst_err err = {.text = ""};
    CHECK_CODE(cst_batch_check(&f->batch, &err), code);
    CHECK_TEXT(err.text, wanted);
}

TEST(random_batches_pass) {
    for (int round = 0; round < 300; round++) {
        random_batch random = {.schema = random_schema(4, false)};
        random_batch_fill(&random, (uint32_t)test_random_below(50));
        CHECK_OK(cst_batch_check(&random.batch, NULL));
        random_batch_free(&random);
    }
}

TEST(a_batch_needs_schema_and_columns) {
    fixture f;
    fixture_open(&f, "u8");
    f.batch.columns = NULL;
    check_refused(&f, CST_BATCH, "batch check failed: columns is NULL");
    f.batch.schema = NULL;
    check_refused(&f, CST_BATCH, "batch check failed: there is no schema");
    fixture_open(&f, "u8");
    f.schema.columns_count = 0;
    CHECK_CODE(cst_batch_check(&f.batch, NULL), CST_SCHEMA);
}

TEST(too_many_rows_are_refused) {
    fixture f;
    fixture_open(&f, "u8");
    f.batch.rows_count = CST_BATCH_ROWS_MAX + 1;
    check_refused(&f, CST_LIMIT, "batch check failed: 1048577 rows, a batch has at most 1048576");
}

TEST(short_or_missing_values_are_refused) {
    fixture f;
    fixture_open(&f, "u64");
    f.column.values.bytes = 23;
    check_refused(&f, CST_BATCH,
                  "batch check failed: column 0: values has 23 bytes, the rows need 24");
    f.column.values = (cst_buffer){NULL, 24};
    check_refused(&f, CST_BATCH, "batch check failed: column 0: values is NULL");
    f.batch.rows_count = 0;
    CHECK_OK(cst_batch_check(&f.batch, NULL));
}

TEST(offsets_on_a_fixed_width_column_are_refused) {
    fixture f;
    fixture_open(&f, "u64");
    f.column.offsets = (cst_buffer){f.offsets, sizeof f.offsets};
    check_refused(&f, CST_BATCH, "batch check failed: column 0: a fixed-width type has no offsets");
}

TEST(bad_offsets_are_refused) {
    fixture f;
    fixture_open(&f, "binary");
    f.column.offsets.bytes--;
    check_refused(&f, CST_BATCH,
                  "batch check failed: column 0: offsets has 15 bytes, the rows need 16");
    fixture_open(&f, "binary");
    f.column.offsets.data = NULL;
    check_refused(&f, CST_BATCH, "batch check failed: column 0: offsets is NULL");
    fixture_open(&f, "binary");
    f.offsets[0] = -1;
    check_refused(&f, CST_BATCH,
                  "batch check failed: column 0: row 0: an offset is negative or goes down");
    fixture_open(&f, "binary");
    f.offsets[2] = 0;
    check_refused(&f, CST_BATCH,
                  "batch check failed: column 0: row 2: an offset is negative or goes down");
    fixture_open(&f, "binary");
    f.offsets[3] = 65;
    check_refused(&f, CST_BATCH,
                  "batch check failed: column 0: values has 64 bytes, the rows need 65");
    f.offsets[3] = 64;
    CHECK_OK(cst_batch_check(&f.batch, NULL));
    f.batch.rows_count = 0; // Arrow may leave out the one offset of no rows
    f.column.offsets = (cst_buffer){NULL, 0};
    CHECK_OK(cst_batch_check(&f.batch, NULL));
}

TEST(a_first_offset_above_zero_is_legal) {
    fixture f;
    uint8_t bytes[16];
    uint32_t offsets[ROWS + 1];
    cst_keys keys = {.bytes = bytes, .bytes_capacity = sizeof bytes, .offsets = offsets};

    fixture_open(&f, "binary");
    memcpy(f.values, "..abc", 5);
    memcpy(f.offsets, (int32_t[]){2, 3, 3, 5}, sizeof f.offsets);
    CHECK_OK(cst_batch_check(&f.batch, NULL));
    CHECK_EQ(cst_keys_bytes_bound(&f.batch), 2 * 3 + 3 * 2);
    CHECK_OK(cst_keys_encode(&f.batch, &keys));
    CHECK_EQ(offsets[ROWS], 9);
    CHECK_BYTES(bytes, "a\0\1\0\1bc\0\1", 9);
}

TEST(nulls_where_the_schema_has_none_are_refused) {
    fixture f;
    fixture_open(&f, "u8");
    f.validity[0] = 0x05;
    f.column.validity = (cst_buffer){f.validity, 1};
    check_refused(&f, CST_SCHEMA_MISMATCH,
                  "batch check failed: column 0: row 1: null, and the column is not nullable");
    f.validity[0] = 0x07; // all present: no contradiction
    CHECK_OK(cst_batch_check(&f.batch, NULL));
    fixture_open(&f, "nullable u8");
    f.column.validity = (cst_buffer){NULL, 1};
    check_refused(&f, CST_BATCH, "batch check failed: column 0: validity is NULL");
    f.batch.rows_count = 9;
    f.column.validity.data = f.validity;
    check_refused(&f, CST_BATCH,
                  "batch check failed: column 0: validity has 1 bytes, the rows need 2");
}

TEST(operations_are_checked) {
    fixture f;
    fixture_open(&f, "u8");
    memcpy(f.ops, (uint8_t[]){CST_ROW_UPSERT, CST_ROW_DELETE, 2}, 3);
    f.batch.ops = (cst_buffer){f.ops, 3};
    check_refused(&f, CST_BATCH, "batch check failed: ops: row 2: 2 is no operation");
    f.ops[2] = CST_ROW_DELETE;
    CHECK_OK(cst_batch_check(&f.batch, NULL));
    f.batch.ops.bytes = 2;
    check_refused(&f, CST_BATCH, "batch check failed: ops: 2 bytes for 3 rows");
    f.batch.ops = (cst_buffer){NULL, 3};
    check_refused(&f, CST_BATCH, "batch check failed: ops: 3 bytes for 3 rows");
}

TEST(values_outside_their_type_are_refused_unless_null) {
    fixture f;
    fixture_open(&f, "nullable bool");
    f.values[1] = 2;
    check_refused(&f, CST_VALUE_RANGE, "batch check failed: column 0: row 1: a bool is 0 or 1");
    f.validity[0] = 0x05;
    f.column.validity = (cst_buffer){f.validity, 1};
    CHECK_OK(cst_batch_check(&f.batch, NULL));
    fixture_open(&f, "nullable decimal128(0)");
    memset(f.values + 16, 0xff, 15);
    f.values[31] = 0x7f;
    check_refused(&f, CST_VALUE_RANGE, "batch check failed: column 0: row 1: more than 38 digits");
    f.values[16] = 1;
    f.values[31] = 0x80;
    check_refused(&f, CST_VALUE_RANGE, "batch check failed: column 0: row 1: more than 38 digits");
    f.column.validity = (cst_buffer){(const uint8_t[]){0x05}, 1};
    CHECK_OK(cst_batch_check(&f.batch, NULL));
}

TEST(text_is_checked_row_by_row) {
    fixture f;
    fixture_open(&f, "nullable string");
    memcpy(f.values,
           "\xc3\xa4"
           "b",
           3); // the character's halves lie in different rows
    check_refused(&f, CST_UTF8, "batch check failed: column 0: row 0: not UTF-8");
    f.offsets[1] = f.offsets[2] = 2;
    CHECK_OK(cst_batch_check(&f.batch, NULL));
    f.values[2] = 0xff;
    check_refused(&f, CST_UTF8, "batch check failed: column 0: row 2: not UTF-8");
    f.column.validity = (cst_buffer){(const uint8_t[]){0x03}, 1};
    CHECK_OK(cst_batch_check(&f.batch, NULL));
    fixture_open(&f, "binary");
    memset(f.values, 0xff, 3);
    CHECK_OK(cst_batch_check(&f.batch, NULL));
}

TEST(values_longer_than_a_key_holds_are_refused) {
    static const uint8_t bytes[CST_VARIABLE_BYTES_MAX + 1];
    fixture f;
    fixture_open(&f, "binary");
    f.column.values = (cst_buffer){bytes, sizeof bytes};
    memcpy(f.offsets, (int32_t[]){0, 0, 32768, 32769}, sizeof f.offsets);
    CHECK_OK(cst_batch_check(&f.batch, NULL));
    f.offsets[2] = 32769;
    check_refused(&f, CST_VALUE_RANGE,
                  "batch check failed: column 0: row 1: longer than 32768 bytes");
}

TEST_MAIN
