// selftest.c: known answers. The constants below were made once and are part of the promise: the
// keys by docs/formats.md, the hashes by the reference implementation of SipHash-1-3, the deltas by
// the table's scalar reference (tests/unit/device/selftest_test.c). The scan's is what every
// instruction set and the worker thread agree on.
#include "device/backend.h"

#include <constellation/driver.h>

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    KEY_ROWS = 4,
    KEY_BYTES_MAX = 256,
    TABLE_ROWS = 2048, // a batch; two of them, with a barrier after each
    TABLE_KEYS = 1500, // enough for the table to grow
    VALUE_BYTES = 24,
    SCAN_BYTES = 64 * TABLE_ROWS,
    TEST_TIMEOUT_US = 10 * 1000 * 1000, // of a command
};

static const cst_hash_key test_hash_key = {UINT64_C(0x0706050403020100),
                                           UINT64_C(0x0f0e0d0c0b0a0908)};

// ---- Keys and hashes ----------------------------------------------------------------------------

static const int64_t key_numbers[KEY_ROWS] = {-1, 0, 1, INT64_MIN};
static const char key_text[] = "a\0bzz"; // "a\0b", "", null, "zz"
static const int32_t key_offsets[KEY_ROWS + 1] = {0, 3, 3, 3, 5};
static const uint8_t key_present[1] = {0x0b};

static const struct {
    uint8_t bytes;
    uint8_t key[16];
    uint64_t hash;
} key_answers[KEY_ROWS] = {
    {15,
     {0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0x9e, 0xff, 0x00, 0x9d, 0xff, 0xfe},
     UINT64_C(0x1595e2ee33ee0e2c)},
    {11, {0x80, 0, 0, 0, 0, 0, 0, 0, 0x01, 0xff, 0xfe}, UINT64_C(0xfd9369516dc334a5)},
    {9, {0x80, 0, 0, 0, 0, 0, 0, 1, 0x00}, UINT64_C(0xc41834bb798dab07)},
    {13, {0, 0, 0, 0, 0, 0, 0, 0, 0x01, 0x85, 0x85, 0xff, 0xfe}, UINT64_C(0x1d9148705b67d0ca)},
};

static cst_code keys_compare(const cst_keys *keys, const uint64_t *hashes, cst_err *err) {
    for (uint32_t r = 0; r < KEY_ROWS; r++) {
        const uint32_t bytes = keys->offsets[r + 1] - keys->offsets[r];

        if (bytes != key_answers[r].bytes ||
            memcmp(keys->bytes + keys->offsets[r], key_answers[r].key, bytes) != 0)
            return cst_fail(err, CST_DEVICE_SELFTEST, "key %u has wrong bytes", r);
        if (hashes[r] != key_answers[r].hash)
            return cst_fail(err, CST_DEVICE_SELFTEST, "hash %u is %016" PRIx64 ", not %016" PRIx64,
                            r, hashes[r], key_answers[r].hash);
    }
    return CST_OK;
}

static cst_code keys_test(cst_queue *queue, cst_err *err) {
    uint8_t bytes[KEY_BYTES_MAX];
    uint32_t offsets[KEY_ROWS + 1] = {0};
    uint64_t hashes[KEY_ROWS] = {0};
    cst_keys keys = {.bytes = bytes, .bytes_capacity = sizeof bytes, .offsets = offsets};
    cst_schema schema;
    cst_completion done;
    const cst_column_data columns[2] = {{.values = {key_numbers, sizeof key_numbers}},
                                        {.values = {key_text, sizeof key_text - 1},
                                         .offsets = {key_offsets, sizeof key_offsets},
                                         .validity = {key_present, sizeof key_present}}};
    const cst_batch batch = {.schema = &schema, .rows_count = KEY_ROWS, .columns = columns};
    const cst_command command = {.ops = CST_OP_ENCODE | CST_OP_HASH,
                                 .batch = &batch,
                                 .rows = {.rows_count = KEY_ROWS},
                                 .hash_key = test_hash_key,
                                 .keys_out = &keys,
                                 .hashes_out = hashes};
    cst_code code = cst_schema_parse("i64,desc nullable string", &schema, err);

    if (code == CST_OK) code = cst_device_run(queue, &command, &done, err);
    return code == CST_OK ? keys_compare(&keys, hashes, err) : code;
}

// ---- A table ------------------------------------------------------------------------------------

static const uint64_t table_answers[3] = {UINT64_C(0x0ec4049f617b282f),
                                          UINT64_C(0xc333310ef04d5a74),
                                          UINT64_C(0xf9ccebde9a8d8b39)}; // delta 1, delta 2, scan

static const cst_table_options table_options = {
    .layout = CST_TABLE_INLINE,
    .key_bytes = 8,
    .program = {.value_bytes = VALUE_BYTES,
                .accumulators_count = 3,
                .presence_offset = CST_NO_OFFSET,
                .accumulators = {{CST_COUNT, CST_U64, 0, CST_NO_COLUMN, 0},
                                 {CST_SUM, CST_U64, 8, 0, 0},
                                 {CST_MAX, CST_I64, 16, 1, 0}}},
    .hash_key = {UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)},
    .budget_bytes = UINT64_C(64) << 20,
    .log_segment_bytes = 64 << 10,
    .numa_node = -1,
};

typedef struct table_rows {
    uint64_t keys[TABLE_ROWS];
    uint64_t amounts[TABLE_ROWS];
    int64_t times[TABLE_ROWS];
    uint8_t ops[TABLE_ROWS];
    uint8_t scan[SCAN_BYTES];
} table_rows;

// Rows of batch 0 or 1: a plain sequence, some of it deletes.
static void rows_make(table_rows *rows, uint32_t batch) {
    for (uint32_t r = 0; r < TABLE_ROWS; r++) {
        const uint64_t mixed = (batch * TABLE_ROWS + r + 1) * UINT64_C(0x9e3779b97f4a7c15);

        rows->keys[r] = (mixed >> 33) % TABLE_KEYS;
        rows->amounts[r] = mixed >> 40;
        rows->times[r] = (int64_t)(mixed >> 20) - (INT64_C(1) << 43);
        rows->ops[r] = mixed >> 60 == 0 ? CST_ROW_DELETE : CST_ROW_UPSERT;
    }
}

static cst_code answer_compare(const char *what, uint64_t seen, uint64_t wanted, cst_err *err) {
    if (seen == wanted) return CST_OK;
    return cst_fail(err, CST_DEVICE_SELFTEST, "%s hashes to %016" PRIx64 ", not %016" PRIx64, what,
                    seen, wanted);
}

// The hash of a delta's bytes, range by range.
static uint64_t delta_hash(const cst_table *image, const cst_delta *delta) {
    cst_bytes ranges[8];
    size_t count = 0;
    uint64_t hash = 0;

    cst_table_delta_ranges(image, delta, ranges, 8, &count);
    for (size_t i = 0; i < count && i < 8; i++)
        hash = hash * 3 + cst_hash(&test_hash_key, ranges[i].data, ranges[i].count);
    return hash;
}

static cst_code batch_run(cst_queue *queue, cst_device_table *table, table_rows *rows,
                          cst_delta *delta_out, cst_err *err) {
    const cst_device_table *known = table;
    const cst_column_data column = {.values = {rows->keys, sizeof rows->keys}};
    const cst_batch batch = {.schema = &known->keys, .rows_count = TABLE_ROWS, .columns = &column};
    const cst_source sources[2] = {{rows->amounts, NULL, CST_TYPE_U64},
                                   {rows->times, NULL, CST_TYPE_I64}};
    const cst_command apply = {.ops = CST_OP_ENCODE | CST_OP_HASH | CST_OP_APPLY,
                               .table = table,
                               .batch = &batch,
                               .rows = {.rows_count = TABLE_ROWS,
                                        .ops = rows->ops,
                                        .sources = sources}};
    const cst_command barrier = {.ops = CST_OP_BARRIER, .table = table};
    cst_completion done;
    cst_code code = cst_device_run(queue, &apply, &done, err);

    if (code == CST_OK) code = cst_device_run(queue, &barrier, &done, err);
    if (code == CST_OK) *delta_out = done.delta;
    return code;
}

static cst_code scan_test(cst_queue *queue, cst_device_table *table, table_rows *rows,
                          cst_err *err) {
    cst_scan scan = {0};
    const cst_command command = {.ops = CST_OP_SCAN,
                                 .table = table,
                                 .scan = &scan,
                                 .scan_out = rows->scan,
                                 .scan_bytes = sizeof rows->scan};
    cst_completion done;
    const cst_code code = cst_device_run(queue, &command, &done, err);

    if (code != CST_OK) return code;
    return answer_compare("the scan of the table",
                          cst_hash(&test_hash_key, rows->scan, done.position), table_answers[2],
                          err);
}

static cst_code table_test(cst_queue *queue, table_rows *rows, cst_err *err) {
    cst_device_table *table = NULL;
    const cst_table *image;
    cst_schema keys;
    cst_code code = cst_schema_parse("u64", &keys, err);

    if (code == CST_OK) code = cst_device_table_open(queue, &table_options, &keys, &table, err);
    if (code != CST_OK) return code;
    image = cst_device_table_image(table);
    for (uint32_t i = 0; i < 2 && code == CST_OK; i++) {
        cst_delta delta = {0};

        rows_make(rows, i);
        code = batch_run(queue, table, rows, &delta, err);
        if (code == CST_OK && image)
            code = answer_compare(i == 0 ? "the delta of epoch 1" : "the delta of epoch 2",
                                  delta_hash(image, &delta), table_answers[i], err);
    }
    if (code == CST_OK) code = scan_test(queue, table, rows, err);
    cst_device_table_close(table);
    return code;
}

cst_code cst_device_selftest(cst_device *device, cst_err *err) {
    const cst_queue_options options = {.timeout_us = TEST_TIMEOUT_US};
    cst_queue *queue = NULL;
    table_rows *rows = NULL;
    cst_code code = cst_queue_open(device, &options, &queue, err);

    if (code != CST_OK) return code;
    code = keys_test(queue, err);
    if (code == CST_OK) {
        rows = malloc(sizeof *rows);
        code = rows ? table_test(queue, rows, err)
                    : cst_fail(err, CST_NO_MEMORY, "%zu bytes", sizeof *rows);
    }
    free(rows);
    cst_queue_close(queue);
    return code;
}
