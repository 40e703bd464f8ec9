// fixture.h: a device, a queue, a table that counts and sums, and commands on them.
#ifndef CST_TEST_DEVICE_FIXTURE_H
#define CST_TEST_DEVICE_FIXTURE_H

#include "test.h"

#include <constellation/device.h>
#include <constellation/driver.h>

enum { FIXTURE_DEPTH = 8, FIXTURE_TIMEOUT_US = 20 * 1000 * 1000, FIXTURE_ROWS_MAX = 8192 };

// Where this build has the simulated card, it keeps the same promises.
#ifdef CST_HAS_SIM
#define FIXTURE_SIM , "sim:"
#else
#define FIXTURE_SIM
#endif

typedef struct fixture {
    cst_device *device;
    cst_queue *queue;
    cst_device_table *table;
    cst_schema keys;
} fixture;

// What a row adds: count, sum of amounts, greatest amount. Amounts near 2^64 overflow the sum.
typedef struct fixture_rows {
    uint32_t rows_count;
    uint64_t keys[FIXTURE_ROWS_MAX];
    uint64_t amounts[FIXTURE_ROWS_MAX];
    uint8_t ops[FIXTURE_ROWS_MAX];
    uint64_t hashes[FIXTURE_ROWS_MAX];
    cst_column_data column;
    cst_batch batch;
    cst_source source;
} fixture_rows;

static inline cst_table_options fixture_options(void) {
    return (cst_table_options){
        .layout = CST_TABLE_INLINE,
        .key_bytes = 8,
        .program = {.value_bytes = 24,
                    .accumulators_count = 3,
                    .presence_offset = CST_NO_OFFSET,
                    .accumulators = {{CST_COUNT, CST_U64, 0, CST_NO_COLUMN, 0},
                                     {CST_SUM, CST_U64, 8, 0, 0},
                                     {CST_MAX, CST_U64, 16, 0, 0}}},
        .hash_key = {1, 2},
        .budget_bytes = UINT64_C(256) << 20,
        .log_segment_bytes = 64 << 10,
        .numa_node = -1,
    };
}

static inline void fixture_open_options(fixture *f, const char *uri,
                                        const cst_table_options *options) {
    const cst_queue_options queue_options = {.depth = FIXTURE_DEPTH};

    CHECK_OK(cst_device_open(uri, &f->device, NULL));
    CHECK_OK(cst_queue_open(f->device, &queue_options, &f->queue, NULL));
    CHECK_OK(cst_schema_parse("u64", &f->keys, NULL));
    CHECK_OK(cst_device_table_open(f->queue, options, &f->keys, &f->table, NULL));
}

static inline void fixture_open(fixture *f, const char *uri) {
    const cst_table_options options = fixture_options();

    fixture_open_options(f, uri, &options);
}

static inline void fixture_close(fixture *f) {
    cst_device_table_close(f->table);
    cst_queue_close(f->queue);
    cst_device_close(f->device);
}

// Rows with keys first_key, first_key + 1, ... and amounts of 1.
static inline fixture_rows *fixture_rows_make(uint32_t rows_count, uint64_t first_key) {
    fixture_rows *rows = calloc(1, sizeof *rows);

    CHECK(rows && rows_count <= FIXTURE_ROWS_MAX);
    rows->rows_count = rows_count;
    for (uint32_t r = 0; r < rows_count; r++) {
        rows->keys[r] = first_key + r;
        rows->amounts[r] = 1;
    }
    return rows;
}

static inline cst_command fixture_apply(fixture *f, fixture_rows *rows) {
    rows->column = (cst_column_data){.values = {rows->keys, sizeof(uint64_t) * rows->rows_count}};
    rows->batch =
        (cst_batch){.schema = &f->keys, .rows_count = rows->rows_count, .columns = &rows->column};
    rows->source = (cst_source){rows->amounts, NULL, CST_TYPE_U64};
    return (cst_command){
        .ops = CST_OP_ENCODE | CST_OP_HASH | CST_OP_APPLY,
        .table = f->table,
        .batch = &rows->batch,
        .rows = {.rows_count = rows->rows_count, .ops = rows->ops, .sources = &rows->source},
    };
}

static inline void fixture_submit(fixture *f, const cst_command *command) {
    CHECK_OK(cst_queue_submit(f->queue, command, NULL, NULL));
}

static inline cst_completion fixture_next(fixture *f) {
    cst_completion done = {0};

    CHECK_OK(cst_queue_wait(f->queue, FIXTURE_TIMEOUT_US));
    CHECK_EQ(cst_queue_poll(f->queue, &done, 1), 1);
    return done;
}

static inline cst_completion fixture_run(fixture *f, const cst_command *command) {
    cst_completion done = {0};

    cst_err err = {0};

    if (cst_device_run(f->queue, command, &done, &err) != CST_OK) TEST_FAIL("%s", err.text);
    return done;
}

// count, sum, max of a key; false: absent.
static inline bool fixture_get(fixture *f, uint64_t key, uint64_t value[3]) {
    const uint64_t encoded = __builtin_bswap64(key);
    size_t bytes = 0;
    const cst_code code = cst_table_get(cst_device_table_image(f->table), &encoded, sizeof encoded,
                                        value, 24, &bytes);

    CHECK(code == CST_OK || code == CST_NOT_FOUND);
    return code == CST_OK;
}

#endif
