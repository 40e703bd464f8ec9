// fixture.h: small tables for the unit tests, rows by number, and an image as bytes.
#ifndef TESTS_UNIT_TABLE_FIXTURE_H
#define TESTS_UNIT_TABLE_FIXTURE_H

#include "table/internal.h"

#include "test.h"

#define FIXTURE_KEY ((cst_hash_key){.k0 = 0x0706050403020100, .k1 = 0x0f0e0d0c0b0a0908})

enum { FIXTURE_ROWS_MAX = 4096, FIXTURE_VALUE_BYTES_MAX = 64 };

// Keys of 8 bytes, values of 8 bytes: entries of 32.
static inline cst_table_options fixture_options(void) {
    return (cst_table_options){
        .layout = CST_TABLE_INLINE,
        .key_bytes = 8,
        .program = {.value_bytes = 8, .presence_offset = CST_NO_OFFSET},
        .hash_key = FIXTURE_KEY,
        .budget_bytes = UINT64_C(16) << 20,
        .log_segment_bytes = 65536,
        .numa_node = -1,
    };
}

static inline cst_table_options fixture_wide_options(void) {
    cst_table_options options = fixture_options();

    options.layout = CST_TABLE_WIDE;
    options.key_bytes = 0;
    options.program.value_bytes = 0;
    return options;
}

static inline cst_table *fixture_open(const cst_table_options *options) {
    cst_table *table = NULL;
    cst_err err = {0};

    if (cst_table_open(options, &table, &err) != CST_OK) TEST_FAIL("open: %s", err.text);
    return table;
}

// Rows number first.. of count: key = number, value = number * 3, hash by the table's key.
typedef struct fixture_rows {
    cst_rows rows;
    uint64_t keys[FIXTURE_ROWS_MAX];
    uint64_t hashes[FIXTURE_ROWS_MAX];
    uint8_t values[FIXTURE_ROWS_MAX][FIXTURE_VALUE_BYTES_MAX];
    uint8_t ops[FIXTURE_ROWS_MAX];
} fixture_rows;

static inline void fixture_fill(fixture_rows *batch, uint64_t first, uint32_t count) {
    CHECK(count <= FIXTURE_ROWS_MAX);
    memset(batch->values, 0, sizeof batch->values);
    for (uint32_t r = 0; r < count; r++) {
        const uint64_t value = (first + r) * 3;

        batch->keys[r] = first + r;
        batch->hashes[r] = cst_hash(&FIXTURE_KEY, &batch->keys[r], 8);
        memcpy(batch->values[r], &value, 8);
    }
    batch->rows = (cst_rows){.rows_count = count,
                             .key_stride = 8,
                             .key_bytes = 8,
                             .value_stride = FIXTURE_VALUE_BYTES_MAX,
                             .hashes = batch->hashes,
                             .keys = (const uint8_t *)batch->keys,
                             .values = batch->values[0]};
}

static inline void fixture_put(cst_table *table, uint64_t first, uint32_t count) {
    static fixture_rows batch;
    uint32_t applied;

    fixture_fill(&batch, first, count);
    batch.rows.hashes = NULL; // the table hashes
    CHECK_OK(cst_table_apply_all(table, &batch.rows, &applied));
    CHECK_EQ(applied, count);
}

static inline void fixture_put_wide(cst_table *table, uint64_t number, size_t value_bytes) {
    uint8_t value[4096];

    CHECK(value_bytes <= sizeof value);
    memset(value, (int)(number & 0xff) | 1, sizeof value);
    CHECK_OK(cst_table_put(table, &number, 1 + number % 8, value, value_bytes));
}

// ---- An image as bytes --------------------------------------------------------------------------

typedef struct fixture_file {
    uint8_t *bytes;
    size_t count, capacity, read;
} fixture_file;

static inline cst_code fixture_write(void *context, const void *bytes, size_t count, cst_err *err) {
    fixture_file *file = context;

    (void)err;
    if (file->count + count > file->capacity) {
        file->capacity = (file->count + count) * 2;
        file->bytes = realloc(file->bytes, file->capacity);
        CHECK(file->bytes);
    }
    if (count > 0) memcpy(file->bytes + file->count, bytes, count);
    file->count += count;
    return CST_OK;
}

static inline cst_code fixture_read(void *context, void *bytes, size_t count, cst_err *err) {
    fixture_file *file = context;

    if (file->count - file->read < count)
        return cst_fail(err, CST_SEGMENT_TRUNCATED, "the file ends at %zu", file->count);
    if (count > 0) memcpy(bytes, file->bytes + file->read, count);
    file->read += count;
    return CST_OK;
}

static inline fixture_file fixture_save(const cst_table *table) {
    fixture_file file = {0};
    cst_err err = {0};

    if (cst_table_save(table, fixture_write, &file, &err) != CST_OK)
        TEST_FAIL("save: %s", err.text);
    return file;
}

// Ends both files.
static inline void fixture_unchanged(fixture_file *before, const cst_table *table) {
    fixture_file after = fixture_save(table);

    CHECK_EQ(before->count, after.count);
    CHECK_BYTES(before->bytes, after.bytes, after.count);
    free(before->bytes);
    free(after.bytes);
}

static inline void fixture_check(const cst_table *table) {
    cst_err err = {0};

    if (cst_table_check(table, &err) != CST_OK) TEST_FAIL("check: %s", err.text);
}

#endif
