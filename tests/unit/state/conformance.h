// conformance.h: what every state store has to do, whatever keeps the rows.
//
// The file that includes it defines, before:
//   static cst_store *fixture_open(const cst_store_options *options);   a fresh, empty store
//   static void fixture_close(cst_store *store);                        and all it left
//
// Promises   every case compares with a plain sorted map, or with a value written down here.
#ifndef CST_TEST_CONFORMANCE_H
#define CST_TEST_CONFORMANCE_H

#include "unit/state/model.h"
#include "unit/state/segments.h"

#include <constellation/store.h>
#include <limits.h>

enum { SUITE_KEY_BYTES = 16, SUITE_VALUE_BYTES = 24, SUITE_VALUE_BYTES_MAX = 120 };

static cst_store_options suite_options(void) {
    return (cst_store_options){
        .table_id = 77,
        .schema = "binary",
        .hash_key = {3, 4},
        .inline_rows = true,
        .inline_key_bytes = SUITE_KEY_BYTES,
        .value_bytes = SUITE_VALUE_BYTES,
        .numa_node = -1,
        .budget_bytes = (uint64_t)64 << 20,
        .map_bytes = (uint64_t)256 << 20,
        .no_sync = true,
    };
}

static cst_store *suite_open(void) {
    const cst_store_options options = suite_options();

    return fixture_open(&options);
}

static cst_store_capabilities suite_capabilities(const cst_store *store) {
    cst_store_capabilities capabilities;

    cst_store_capabilities_read(store, &capabilities);
    return capabilities;
}

static uint64_t suite_rows(const cst_store *store) {
    cst_store_stats stats;

    cst_store_stats_read(store, &stats);
    return stats.rows_count;
}

// Few enough keys that they meet again, of lengths on both sides of the inline limit.
static size_t suite_key(uint8_t out[40]) {
    const size_t key_bytes = test_random_below(10) ? test_random_below(6) : test_random_below(40);

    for (size_t i = 0; i < key_bytes; i++) out[i] = (uint8_t)(test_random_below(3) * 127);
    return key_bytes;
}

static size_t suite_value(uint8_t out[SUITE_VALUE_BYTES_MAX]) {
    const size_t value_bytes =
        test_random_below(2) ? SUITE_VALUE_BYTES : test_random_below(SUITE_VALUE_BYTES_MAX);

    for (size_t i = 0; i < value_bytes; i++) out[i] = (uint8_t)test_random();
    return value_bytes;
}

static void suite_compare_key(cst_store *store, const model *rows, const void *key,
                              size_t key_bytes) {
    const model_row *wanted = model_get(rows, key, key_bytes);
    uint8_t value[SUITE_VALUE_BYTES_MAX];
    size_t value_bytes = 0;
    cst_bytes ref;

    if (!wanted) {
        CHECK_CODE(cst_store_get(store, key, key_bytes, value, sizeof value, &value_bytes),
                   CST_NOT_FOUND);
        CHECK_CODE(cst_store_get_ref(store, key, key_bytes, &ref), CST_NOT_FOUND);
        return;
    }
    CHECK_OK(cst_store_get(store, key, key_bytes, value, sizeof value, &value_bytes));
    CHECK_EQ(value_bytes, wanted->value_bytes);
    CHECK_BYTES(value, wanted->value, value_bytes);
    CHECK_OK(cst_store_get_ref(store, key, key_bytes, &ref));
    CHECK_EQ(ref.count, wanted->value_bytes);
    CHECK_BYTES(ref.data, wanted->value, ref.count);
}

static void suite_compare(cst_store *store, const model *rows) {
    CHECK_EQ(suite_rows(store), rows->count);
    for (size_t i = 0; i < rows->count; i++)
        suite_compare_key(store, rows, rows->rows[i].key, rows->rows[i].key_bytes);
}

// ---- Changes, done to a store and to a map ------------------------------------------------------

static void suite_change(cst_store *store, model *rows) {
    uint8_t key[40];
    uint8_t value[SUITE_VALUE_BYTES_MAX];
    const size_t key_bytes = suite_key(key);

    if (test_random_below(3) == 0) {
        CHECK_OK(cst_store_delete(store, key, key_bytes));
        model_delete(rows, key, key_bytes);
    } else {
        const size_t value_bytes = suite_value(value);

        CHECK_OK(cst_store_put(store, key, key_bytes, value, value_bytes));
        model_put(rows, key, key_bytes, value, value_bytes);
    }
}

enum { SUITE_BATCH = 600 };

// One multi_put of rows of any length, upserts and deletes mixed.
static void suite_change_batch(cst_store *store, model *rows) {
    static uint8_t keys[SUITE_BATCH * 40];
    static uint8_t values[SUITE_BATCH * SUITE_VALUE_BYTES_MAX];
    static uint32_t key_offsets[SUITE_BATCH + 1];
    static uint32_t value_offsets[SUITE_BATCH + 1];
    static uint8_t ops[SUITE_BATCH];
    const uint32_t count = (uint32_t)test_random_below(SUITE_BATCH);
    const uint32_t first = count ? (uint32_t)test_random_below(count) / 4 : 0;
    uint32_t applied = 0;

    for (uint32_t row = 0; row < count; row++) {
        const size_t key_bytes = suite_key(keys + key_offsets[row]);
        const size_t value_bytes = suite_value(values + value_offsets[row]);

        ops[row] = test_random_below(3) == 0 ? CST_ROW_DELETE : CST_ROW_UPSERT;
        key_offsets[row + 1] = key_offsets[row] + (uint32_t)key_bytes;
        value_offsets[row + 1] = value_offsets[row] + (uint32_t)value_bytes;
        if (row < first) continue;
        if (ops[row] == CST_ROW_DELETE)
            model_delete(rows, keys + key_offsets[row], key_bytes);
        else
            model_put(rows, keys + key_offsets[row], key_bytes, values + value_offsets[row],
                      value_bytes);
    }
    const cst_rows batch = {
        .rows_count = count,
        .first_row = first,
        .ops = ops,
        .keys = keys,
        .key_offsets = key_offsets,
        .values = values,
        .value_offsets = value_offsets,
    };
    CHECK_OK(cst_store_multi_put(store, &batch, &applied));
    CHECK_EQ(applied, count - first);
}

// Keys of one length and values of the fixed one: what a stream's hot path sends.
static void suite_change_fixed(cst_store *store, model *rows, size_t key_bytes) {
    static uint8_t keys[SUITE_BATCH * 40];
    static uint8_t values[SUITE_BATCH * SUITE_VALUE_BYTES];
    static uint64_t hashes[SUITE_BATCH];
    const cst_hash_key hash_key = suite_options().hash_key;
    const uint32_t count = (uint32_t)test_random_below(SUITE_BATCH);
    uint32_t applied = 0;

    for (uint32_t row = 0; row < count; row++) {
        uint8_t *key = keys + row * 40;

        for (size_t i = 0; i < key_bytes; i++) key[i] = (uint8_t)test_random_below(2);
        for (size_t i = 0; i < SUITE_VALUE_BYTES; i++)
            values[row * SUITE_VALUE_BYTES + i] = (uint8_t)test_random();
        hashes[row] = cst_hash(&hash_key, key, key_bytes);
        model_put(rows, key, key_bytes, values + row * SUITE_VALUE_BYTES, SUITE_VALUE_BYTES);
    }
    const cst_rows batch = {
        .rows_count = count,
        .key_stride = 40,
        .key_bytes = (uint32_t)key_bytes,
        .keys = keys,
        .value_stride = SUITE_VALUE_BYTES,
        .values = values,
        .hashes = test_random_below(2) ? hashes : NULL,
    };
    CHECK_OK(cst_store_multi_put(store, &batch, &applied));
    CHECK_EQ(applied, count);
}

static void suite_read_batch(cst_store *store, const model *rows, bool with_lengths) {
    static uint8_t keys[SUITE_BATCH * 40];
    static uint8_t values[SUITE_BATCH * SUITE_VALUE_BYTES_MAX];
    static uint32_t key_offsets[SUITE_BATCH + 1];
    static uint32_t lengths[SUITE_BATCH];
    static uint8_t found[SUITE_BATCH];
    const uint32_t count = (uint32_t)test_random_below(SUITE_BATCH);

    for (uint32_t row = 0; row < count; row++)
        key_offsets[row + 1] = key_offsets[row] + (uint32_t)suite_key(keys + key_offsets[row]);
    const cst_rows batch = {.rows_count = count, .keys = keys, .key_offsets = key_offsets};
    CHECK_OK(cst_store_multi_get(store, &batch, values, SUITE_VALUE_BYTES_MAX,
                                 with_lengths ? lengths : NULL, found));
    for (uint32_t row = 0; row < count; row++) {
        const model_row *wanted =
            model_get(rows, keys + key_offsets[row], key_offsets[row + 1] - key_offsets[row]);

        CHECK_EQ(found[row], wanted != NULL);
        if (!wanted) continue;
        if (with_lengths) CHECK_EQ(lengths[row], wanted->value_bytes);
        CHECK_BYTES(values + row * SUITE_VALUE_BYTES_MAX, wanted->value, wanted->value_bytes);
    }
}

// ---- Single rows --------------------------------------------------------------------------------

TEST(an_empty_key_and_an_empty_value_are_a_row) {
    cst_store *store = suite_open();
    uint8_t value[4];
    size_t value_bytes = 9;

    CHECK_OK(cst_store_put(store, NULL, 0, NULL, 0));
    CHECK_OK(cst_store_get(store, "", 0, value, 0, &value_bytes));
    CHECK_EQ(value_bytes, 0);
    CHECK_EQ(suite_rows(store), 1);
    CHECK_OK(cst_store_put(store, "", 0, "abcd", 4));
    CHECK_OK(cst_store_get(store, NULL, 0, value, 4, &value_bytes));
    CHECK_BYTES(value, "abcd", 4);
    CHECK_OK(cst_store_put(store, "k", 1, "", 0));
    CHECK_OK(cst_store_get(store, "k", 1, value, 4, &value_bytes));
    CHECK_EQ(value_bytes, 0);
    CHECK_OK(cst_store_delete(store, NULL, 0));
    CHECK_CODE(cst_store_get(store, "", 0, value, 4, &value_bytes), CST_NOT_FOUND);
    CHECK_EQ(suite_rows(store), 1);
    fixture_close(store);
}

TEST(the_largest_key_and_value_are_a_row_and_longer_ones_are_refused) {
    cst_store *store = suite_open();
    const cst_store_capabilities limits = suite_capabilities(store);
    uint8_t *key = malloc(limits.key_bytes_max + 1);
    uint8_t *value = malloc(limits.value_bytes_max + 1);
    uint8_t *read = malloc(limits.value_bytes_max);
    size_t value_bytes;
    cst_bytes ref;

    CHECK(key && value && read);
    for (size_t i = 0; i <= limits.key_bytes_max; i++) key[i] = (uint8_t)test_random();
    for (size_t i = 0; i <= limits.value_bytes_max; i++) value[i] = (uint8_t)test_random();
    CHECK_OK(cst_store_put(store, key, limits.key_bytes_max, value, limits.value_bytes_max));
    CHECK_OK(cst_store_get(store, key, limits.key_bytes_max, read, limits.value_bytes_max,
                           &value_bytes));
    CHECK_EQ(value_bytes, limits.value_bytes_max);
    CHECK_BYTES(read, value, value_bytes);
    CHECK_CODE(cst_store_put(store, key, limits.key_bytes_max + 1, value, 1), CST_KEY_TOO_LONG);
    CHECK_CODE(cst_store_put(store, key, 1, value, limits.value_bytes_max + 1), CST_VALUE_TOO_LONG);
    CHECK_CODE(cst_store_get(store, key, limits.key_bytes_max + 1, read, 1, &value_bytes),
               CST_NOT_FOUND);
    CHECK_CODE(cst_store_get_ref(store, key, limits.key_bytes_max + 1, &ref), CST_NOT_FOUND);
    CHECK_OK(cst_store_delete(store, key, limits.key_bytes_max + 1));
    CHECK_EQ(suite_rows(store), 1);
    CHECK_OK(cst_store_delete(store, key, limits.key_bytes_max));
    CHECK_EQ(suite_rows(store), 0);
    free(key);
    free(value);
    free(read);
    fixture_close(store);
}

TEST(a_buffer_that_is_too_small_is_told_the_length) {
    cst_store *store = suite_open();
    uint8_t value[3] = {1, 2, 3};
    size_t value_bytes = 0;

    CHECK_OK(cst_store_put(store, "key", 3, "value", 5));
    CHECK_CODE(cst_store_get(store, "key", 3, value, 3, &value_bytes), CST_LIMIT);
    CHECK_EQ(value_bytes, 5);
    CHECK_EQ(value[0], 1);
    fixture_close(store);
}

TEST(deleting_a_missing_key_is_no_error_and_leaves_nothing_behind) {
    cst_store *store = suite_open();
    bytes_sink out = {0};
    cst_segment_summary summary;
    uint64_t epoch;

    for (uint64_t key = 0; key < 100; key++) CHECK_OK(cst_store_delete(store, &key, 8));
    CHECK_OK(cst_store_delete(store, "a key longer than the inline ones", 33));
    CHECK_EQ(suite_rows(store), 0);
    CHECK_OK(cst_store_seal(store, &epoch, NULL));
    if (suite_capabilities(store).incremental)
        CHECK_OK(cst_store_write_delta(store, (cst_store_base){0, 0}, epoch, sink_write, &out,
                                       &summary, NULL));
    else
        CHECK_OK(cst_store_write_full(store, sink_write, &out, &summary, NULL));
    CHECK_EQ(summary.body_bytes, 0);
    sink_free(&out);
    fixture_close(store);
}

TEST(a_long_random_history_equals_the_maps) {
    cst_store *store = suite_open();
    model rows = {0};
    uint64_t epoch;

    for (int step = 0; step < 400; step++) {
        for (int i = 0; i < 20; i++) suite_change(store, &rows);
        if (step % 5 == 0) suite_change_batch(store, &rows);
        if (step % 7 == 0) suite_read_batch(store, &rows, step % 2);
        if (step % 11 == 0) suite_change_fixed(store, &rows, 9);
        if (step % 13 == 0) suite_change_fixed(store, &rows, 20);
        if (step % 10 == 0) CHECK_OK(cst_store_seal(store, &epoch, NULL));
        if (step % 30 == 0) CHECK_OK(cst_store_release(store, epoch, NULL));
        for (int i = 0; i < 5; i++) {
            uint8_t key[40];
            const size_t key_bytes = suite_key(key);

            suite_compare_key(store, &rows, key, key_bytes);
        }
        if (step % 50 == 0) suite_compare(store, &rows);
    }
    suite_compare(store, &rows);
    CHECK(rows.count > 100);
    model_free(&rows);
    fixture_close(store);
}

TEST(batches_of_inline_rows_only_equal_the_maps) {
    cst_store *store = suite_open();
    model rows = {0};
    static uint8_t keys[SUITE_BATCH * 8];
    static uint8_t values[SUITE_BATCH * SUITE_VALUE_BYTES];
    static uint32_t lengths[SUITE_BATCH];
    static uint32_t offsets[SUITE_BATCH + 1];
    static uint8_t found[SUITE_BATCH];

    for (int step = 0; step < 20; step++) suite_change_fixed(store, &rows, 7);
    for (uint32_t row = 0; row < SUITE_BATCH; row++) {
        for (uint32_t i = 0; i < 7; i++) keys[row * 7 + i] = (uint8_t)test_random_below(3);
        offsets[row + 1] = offsets[row] + 7;
    }
    for (int pass = 0; pass < 4; pass++) {
        const cst_rows batch = {.rows_count = SUITE_BATCH,
                                .first_row = pass == 3 ? 300u : 0u,
                                .keys = keys,
                                .key_stride = pass % 2 ? 0 : 7,
                                .key_bytes = pass % 2 ? 0 : 7,
                                .key_offsets = pass % 2 ? offsets : NULL};

        CHECK_OK(cst_store_multi_get(store, &batch, values, SUITE_VALUE_BYTES,
                                     pass ? lengths : NULL, found));
        for (uint32_t row = batch.first_row; row < SUITE_BATCH; row++) {
            const model_row *wanted = model_get(&rows, keys + row * 7, 7);

            CHECK_EQ(found[row], wanted != NULL);
            if (pass) CHECK_EQ(lengths[row], wanted ? (int)SUITE_VALUE_BYTES : 0);
            if (wanted)
                CHECK_BYTES(values + row * SUITE_VALUE_BYTES, wanted->value, SUITE_VALUE_BYTES);
        }
    }
    suite_compare(store, &rows);
    model_free(&rows);
    fixture_close(store);
}

TEST(a_batch_that_reads_a_longer_value_than_the_stride_says_limit) {
    cst_store *store = suite_open();
    uint8_t values[8];
    uint8_t found[2];
    const cst_rows batch = {.rows_count = 2,
                            .keys = (const uint8_t *)"ab",
                            .key_stride = 1,
                            .key_bytes = 1};

    CHECK_OK(cst_store_put(store, "b", 1, "12345", 5));
    CHECK_CODE(cst_store_multi_get(store, &batch, values, 4, NULL, found), CST_LIMIT);
    fixture_close(store);
}

TEST(a_batch_stops_at_the_row_that_cannot_be_applied) {
    cst_store *store = suite_open();
    const uint32_t too_long = suite_capabilities(store).key_bytes_max + 1;
    uint8_t *keys = calloc(1, too_long + 4);
    const uint32_t key_offsets[4] = {0, 1, 1 + too_long, 2 + too_long};
    const uint32_t value_offsets[4] = {0, 1, 2, 3};
    const cst_rows batch = {.rows_count = 3,
                            .keys = keys,
                            .key_offsets = key_offsets,
                            .values = (const uint8_t *)"xyz",
                            .value_offsets = value_offsets};
    uint32_t applied = 9;

    CHECK_CODE(cst_store_multi_put(store, &batch, &applied), CST_KEY_TOO_LONG);
    CHECK_EQ(applied, 1);
    CHECK_EQ(suite_rows(store), 1);
    free(keys);
    fixture_close(store);
}

// ---- Scans --------------------------------------------------------------------------------------

typedef struct seen_rows {
    const model *rows;
    size_t next;
    size_t count;
    size_t count_max;
} seen_rows;

static bool see_row(void *context, const cst_bytes *key, const cst_bytes *value) {
    seen_rows *seen = context;
    const model_row *wanted = &seen->rows->rows[seen->next++];

    CHECK_EQ(key->count, wanted->key_bytes);
    CHECK_BYTES(key->data, wanted->key, key->count);
    CHECK_EQ(value->count, wanted->value_bytes);
    CHECK_BYTES(value->data, wanted->value, value->count);
    return ++seen->count < seen->count_max;
}

TEST(scans_are_in_key_order_or_unsupported) {
    cst_store *store = suite_open();
    model rows = {0};
    const cst_bytes none = {NULL, 0};

    if (!suite_capabilities(store).ordered) {
        CHECK_CODE(cst_store_prefix_scan(store, "", 0, see_row, NULL), CST_UNSUPPORTED);
        CHECK_CODE(cst_store_range_scan(store, none, none, see_row, NULL), CST_UNSUPPORTED);
        fixture_close(store);
        return;
    }
    for (int i = 0; i < 3000; i++) suite_change(store, &rows);
    for (int i = 0; i < 300; i++) {
        uint8_t from[40];
        uint8_t to[40];
        const size_t from_bytes = suite_key(from);
        const size_t to_bytes = suite_key(to);
        const size_t begin = model_find(&rows, from, from_bytes);
        const size_t end = model_find(&rows, to, to_bytes);
        seen_rows seen = {&rows, begin, 0, i % 3 ? SIZE_MAX : 5};
        size_t wanted = end > begin ? end - begin : 0;

        CHECK_OK(cst_store_range_scan(store, (cst_bytes){from, from_bytes},
                                      (cst_bytes){to, to_bytes}, see_row, &seen));
        CHECK_EQ(seen.count, wanted < seen.count_max ? wanted : seen.count_max);
        seen = (seen_rows){&rows, begin, 0, SIZE_MAX};
        for (wanted = 0; begin + wanted < rows.count; wanted++) {
            const model_row *row = &rows.rows[begin + wanted];

            if (row->key_bytes < from_bytes || memcmp(row->key, from, from_bytes) != 0) break;
        }
        CHECK_OK(cst_store_prefix_scan(store, from, from_bytes, see_row, &seen));
        CHECK_EQ(seen.count, wanted);
    }
    seen_rows all = {&rows, 0, 0, SIZE_MAX};
    CHECK_OK(cst_store_range_scan(store, none, none, see_row, &all));
    CHECK_EQ(all.count, rows.count);
    model_free(&rows);
    fixture_close(store);
}

static bool count_row(void *context, const cst_bytes *key, const cst_bytes *value) {
    (void)key;
    (void)value;
    ++*(uint64_t *)context;
    return true;
}

TEST(a_scan_costs_what_it_returns) {
    cst_store *store = suite_open();
    cst_store_stats before, after;
    uint64_t seen = 0;
    const uint8_t prefix[2] = {0x12, 0x34};

    if (suite_capabilities(store).ordered) {
        for (uint32_t i = 0; i < 20000; i++) {
            const uint8_t key[4] = {(uint8_t)(i >> 13), (uint8_t)(i >> 5), (uint8_t)i, 0};

            CHECK_OK(cst_store_put(store, key, 4, "v", 1));
        }
        for (uint8_t i = 0; i < 10; i++) {
            const uint8_t key[4] = {0x12, 0x34, i, 9};

            CHECK_OK(cst_store_put(store, key, 4, "v", 1));
        }
        cst_store_stats_read(store, &before);
        CHECK_OK(cst_store_prefix_scan(store, prefix, 2, count_row, &seen));
        cst_store_stats_read(store, &after);
        CHECK_EQ(seen, 10);
        CHECK(after.scan_visited_count - before.scan_visited_count <= seen + 1);
    }
    fixture_close(store);
}

// ---- Epochs and snapshots -----------------------------------------------------------------------

TEST(epochs_count_from_one_and_are_released_in_order) {
    cst_store *store = suite_open();
    cst_store_stats stats;
    uint64_t epoch = 0;
    cst_err err;

    CHECK_CODE(cst_store_release(store, 1, &err), CST_EPOCH);
    for (uint64_t wanted = 1; wanted <= 5; wanted++) {
        CHECK_OK(cst_store_put(store, &wanted, 8, &wanted, 8));
        CHECK_OK(cst_store_seal(store, &epoch, NULL));
        CHECK_EQ(epoch, wanted);
    }
    CHECK_OK(cst_store_release(store, 3, NULL));
    CHECK_OK(cst_store_release(store, 2, NULL)); // again: nothing
    CHECK_CODE(cst_store_release(store, 6, &err), CST_EPOCH);
    cst_store_stats_read(store, &stats);
    CHECK_EQ(stats.epoch, 6);
    CHECK_EQ(stats.pinned_epochs, suite_capabilities(store).incremental ? 2 : 0);
    CHECK(stats.used_bytes > 0);
    CHECK(stats.budget_bytes >= stats.used_bytes);
    fixture_close(store);
}

TEST(a_full_is_of_a_sealed_epoch) {
    cst_store *store = suite_open();
    bytes_sink out = {0};
    uint64_t epoch;
    cst_err err;

    CHECK_CODE(cst_store_write_full(store, sink_write, &out, NULL, &err), CST_EPOCH);
    CHECK_OK(cst_store_put(store, "a", 1, "b", 1));
    CHECK_OK(cst_store_seal(store, &epoch, NULL));
    CHECK_OK(cst_store_write_full(store, sink_write, &out, NULL, NULL));
    out.count = 0;
    CHECK_OK(cst_store_delete(store, "a", 1));
    CHECK_CODE(cst_store_write_full(store, sink_write, &out, NULL, &err), CST_EPOCH);
    CHECK_EQ(out.count, 0);
    sink_free(&out);
    fixture_close(store);
}

// Random changes, sealed, and the full of it.
static cst_segment_summary suite_history(cst_store *store, model *rows, bytes_sink *full) {
    cst_segment_summary summary;
    uint64_t epoch;

    for (int i = 0; i < 3; i++) {
        for (int change = 0; change < 400; change++) suite_change(store, rows);
        suite_change_batch(store, rows);
        CHECK_OK(cst_store_seal(store, &epoch, NULL));
    }
    CHECK_OK(cst_store_write_full(store, sink_write, full, &summary, NULL));
    return summary;
}

TEST(a_full_restores_to_an_equal_store) {
    cst_store *store = suite_open();
    cst_store *other = suite_open();
    model rows = {0};
    bytes_sink full = {0};
    bytes_sink again = {0};
    cst_store_stats stats;
    cst_segment *segment;
    uint64_t epoch;

    suite_history(store, &rows, &full);
    segment = open_or_die(&full);
    CHECK_OK(cst_segment_verify(segment, &(cst_hash_key){3, 4}, NULL));
    CHECK_OK(cst_store_restore(other, &segment, 1, NULL, NULL));
    suite_compare(other, &rows);
    cst_store_stats_read(other, &stats);
    CHECK_EQ(stats.epoch, 4);
    CHECK_OK(cst_store_write_full(other, sink_write, &again, NULL, NULL));
    CHECK_EQ(full.count, again.count);
    CHECK_BYTES(full.bytes, again.bytes, full.count);
    for (int change = 0; change < 400; change++) suite_change(other, &rows);
    CHECK_OK(cst_store_seal(other, &epoch, NULL));
    CHECK_EQ(epoch, 4);
    suite_compare(other, &rows);
    cst_segment_close(segment);
    sink_free(&full);
    sink_free(&again);
    model_free(&rows);
    fixture_close(store);
    fixture_close(other);
}

TEST(equal_histories_give_equal_fulls) {
    bytes_sink full[2] = {{0}, {0}};
    const uint64_t seed = test_random();

    for (int i = 0; i < 2; i++) {
        cst_store *store = suite_open();
        model rows = {0};

        test_random_state = seed;
        suite_history(store, &rows, &full[i]);
        model_free(&rows);
        fixture_close(store);
    }
    CHECK_EQ(full[0].count, full[1].count);
    CHECK_BYTES(full[0].bytes, full[1].bytes, full[0].count);
    sink_free(&full[0]);
    sink_free(&full[1]);
}

TEST(a_restore_takes_only_the_key_groups_asked_for) {
    cst_store *store = suite_open();
    cst_store *parts[2] = {suite_open(), suite_open()};
    model rows = {0};
    bytes_sink full = {0};
    cst_segment *segment;

    suite_history(store, &rows, &full);
    segment = open_or_die(&full);
    for (uint32_t i = 0; i < 2; i++) {
        const cst_restore_options options = {.group_from = i ? 1500 : 0,
                                             .group_to = i ? 4096 : 1500};

        CHECK_OK(cst_store_restore(parts[i], &segment, 1, &options, NULL));
    }
    CHECK_EQ(suite_rows(parts[0]) + suite_rows(parts[1]), rows.count);
    for (size_t i = 0; i < rows.count; i++) {
        const model_row *row = &rows.rows[i];
        const cst_hash_key key = {3, 4};
        const bool second = cst_key_group(cst_hash(&key, row->key, row->key_bytes)) >= 1500;
        cst_bytes ref;

        CHECK_OK(cst_store_get_ref(parts[second], row->key, row->key_bytes, &ref));
        CHECK_CODE(cst_store_get_ref(parts[!second], row->key, row->key_bytes, &ref),
                   CST_NOT_FOUND);
    }
    cst_segment_close(segment);
    sink_free(&full);
    model_free(&rows);
    fixture_close(store);
    fixture_close(parts[0]);
    fixture_close(parts[1]);
}

TEST(what_is_not_the_stores_is_not_restored) {
    cst_store *store = suite_open();
    model rows = {0};
    bytes_sink full = {0};
    cst_segment *segment;

    suite_history(store, &rows, &full);
    segment = open_or_die(&full);
    CHECK_CODE(cst_store_restore(store, &segment, 1, NULL, NULL), CST_USAGE); // not empty
#define OTHER(FIELD, VALUE, CODE, OFFSET)                                                          \
    do {                                                                                           \
        cst_store_options options = suite_options();                                               \
        cst_store *other;                                                                          \
        cst_err err = {0};                                                                         \
                                                                                                   \
        options.FIELD = VALUE;                                                                     \
        other = fixture_open(&options);                                                            \
        CHECK_CODE(cst_store_restore(other, &segment, 1, NULL, &err), CODE);                       \
        CHECK(strstr(err.text, "segment test: offset " OFFSET ": "));                              \
        CHECK_EQ(suite_rows(other), 0);                                                            \
        fixture_close(other);                                                                      \
    } while (0)
    OTHER(table_id, 78, CST_SEGMENT_IDENTITY, "24");
    OTHER(schema, "string", CST_SEGMENT_SCHEMA, "56");
    OTHER(value_bytes, 32, CST_SEGMENT_SCHEMA, "64");
    OTHER(inline_key_bytes, 32, CST_SEGMENT_SCHEMA, "88");
    OTHER(hash_key.k0, 9, CST_SEGMENT_HASH_KEY, "72");
#undef OTHER
    cst_segment_close(segment);
    sink_free(&full);
    model_free(&rows);
    fixture_close(store);
}

static uint64_t suite_bytes_read;

static cst_code suite_step(void *context, uint64_t bytes_read, cst_err *err) {
    int *steps_left = context;

    CHECK(bytes_read >= suite_bytes_read);
    suite_bytes_read = bytes_read;
    return (*steps_left)-- > 0 ? (cst_code)CST_OK : cst_fail(err, CST_DEADLINE, "no more");
}

TEST(a_restore_ends_at_the_step_that_fails_and_the_store_stays_in_use) {
    cst_store *store = suite_open();
    cst_store *other = suite_open();
    int steps_left = 0;
    const cst_restore_options options = {.step = suite_step, .step_context = &steps_left};
    model rows = {0};
    bytes_sink full = {0};
    cst_segment *segment;
    cst_err err;

    suite_history(store, &rows, &full);
    segment = open_or_die(&full);
    CHECK_CODE(cst_store_restore(other, &segment, 1, &options, &err), CST_DEADLINE);
    CHECK(strcmp(err.text, "no more") == 0);
    CHECK_EQ(suite_rows(other), 0);
    CHECK_EQ(suite_bytes_read, 0);
    steps_left = INT_MAX;
    CHECK_OK(cst_store_restore(other, &segment, 1, &options, NULL));
    CHECK(steps_left < INT_MAX);
    CHECK(suite_bytes_read <= full.count);
    suite_compare(other, &rows);
    cst_segment_close(segment);
    sink_free(&full);
    model_free(&rows);
    fixture_close(store);
    fixture_close(other);
}

TEST(a_damaged_full_leaves_the_store_empty_and_in_use) {
    cst_store *store = suite_open();
    cst_store *other = suite_open();
    model rows = {0};
    bytes_sink full = {0};
    cst_segment *segment;
    cst_err err;

    suite_history(store, &rows, &full);
    full.bytes[128 + 64 * 100] ^= 1;
    segment = open_or_die(&full);
    CHECK_CODE(cst_store_restore(other, &segment, 1, NULL, &err), CST_SEGMENT_CHECKSUM);
    CHECK(strstr(err.text, "block 0"));
    CHECK_EQ(suite_rows(other), 0);
    full.bytes[128 + 64 * 100] ^= 1;
    CHECK_OK(cst_store_restore(other, &segment, 1, NULL, NULL));
    suite_compare(other, &rows);
    cst_segment_close(segment);
    sink_free(&full);
    model_free(&rows);
    fixture_close(store);
    fixture_close(other);
}

TEST(a_chain_is_restored_in_order_whatever_wrote_it) {
    cst_segment_info first = {
        .kind = CST_SEGMENT_FULL_UNORDERED,
        .table_id = 77,
        .epoch_from = 1,
        .epoch_to = 2,
        .schema_hash = cst_segment_schema_hash("binary"),
        .program_hash = cst_segment_program_hash(&(cst_program){.value_bytes = SUITE_VALUE_BYTES,
                                                                .presence_offset = CST_NO_OFFSET,
                                                                .time_offset = CST_NO_OFFSET}),
        .hash_key_check = cst_segment_hash_key_check(&(cst_hash_key){3, 4}),
        .parts_count = 1,
        .parts = {{CST_TABLE_WIDE, 0, 0}},
    };
    cst_segment_info second = first;
    const cst_hash_key key = {3, 4};
    bytes_sink records[2] = {{0}, {0}};
    bytes_sink bytes[2] = {{0}, {0}};
    cst_segment *chain[2];
    cst_store *store = suite_open();
    uint8_t value[8];
    size_t value_bytes;
    uint64_t epoch;

    record_add(&records[0], cst_hash(&key, "a", 1), "a", 1, 8, "one", 3, 32, FLAG_ROW);
    record_add(&records[0], cst_hash(&key, "b", 1), "b", 1, 8, "two", 3, 32, FLAG_ROW);
    record_add(&records[1], cst_hash(&key, "a", 1), "a", 1, 8, NULL, 0, 32, FLAG_TOMBSTONE);
    record_add(&records[1], cst_hash(&key, "b", 1), "b", 1, 8, "three", 5, 32, FLAG_ROW);
    second.kind = CST_SEGMENT_DELTA;
    second.epoch_from = 3;
    second.epoch_to = 3;
    second.base_epoch = 2;
    second.base_checksum = write_parts(&bytes[0], &first, &records[0], NULL).checksum;
    write_parts(&bytes[1], &second, &records[1], NULL);
    for (int i = 0; i < 2; i++) chain[i] = open_or_die(&bytes[i]);
    CHECK_OK(cst_store_restore(store, chain, 2, NULL, NULL));
    CHECK_EQ(suite_rows(store), 1);
    CHECK_OK(cst_store_get(store, "b", 1, value, 8, &value_bytes));
    CHECK_EQ(value_bytes, 5);
    CHECK_BYTES(value, "three", 5);
    CHECK_OK(cst_store_seal(store, &epoch, NULL));
    CHECK_EQ(epoch, 4);
    for (int i = 0; i < 2; i++) {
        cst_segment_close(chain[i]);
        sink_free(&records[i]);
        sink_free(&bytes[i]);
    }
    fixture_close(store);
}

TEST(a_sink_that_fails_is_the_snapshots_error) {
    cst_store *store = suite_open();
    model rows = {0};
    bytes_sink full = {0};
    cst_code code = CST_IO;

    suite_history(store, &rows, &full);
    sink_free(&full);
    for (uint64_t fail_at = 1; code == CST_IO; fail_at++) {
        full = (bytes_sink){.fail_at = fail_at};
        code = cst_store_write_full(store, sink_write, &full, NULL, NULL);
        sink_free(&full);
    }
    CHECK_OK(code);
    suite_compare(store, &rows);
    model_free(&rows);
    fixture_close(store);
}

TEST(a_store_without_increments_says_so) {
    cst_store *store = suite_open();
    bytes_sink out = {0};
    uint64_t epoch;
    cst_err err;

    CHECK_OK(cst_store_seal(store, &epoch, NULL));
    if (!suite_capabilities(store).incremental)
        CHECK_CODE(cst_store_write_delta(store, (cst_store_base){0, 0}, epoch, sink_write, &out,
                                         NULL, &err),
                   CST_UNSUPPORTED);
    CHECK_EQ(out.calls, 0);
    fixture_close(store);
}

enum { SUITE_CHAIN = 4 };

TEST(a_coordinator_takes_increments_or_a_full_as_the_store_has_them) {
    cst_store *store = suite_open();
    cst_store *other = suite_open();
    const bool incremental = suite_capabilities(store).incremental;
    model rows = {0};
    bytes_sink bytes[SUITE_CHAIN] = {{0}};
    cst_segment *chain[SUITE_CHAIN];
    size_t count = 0; // of the chain
    cst_store_base base = {0, 0};
    cst_segment_summary summary;
    cst_segment_kind kind;
    uint64_t epoch;
    cst_err err;

    for (size_t i = 0; i < SUITE_CHAIN; i++) {
        for (int change = 0; change < 100; change++) suite_change(store, &rows);
        CHECK_OK(cst_store_seal(store, &epoch, NULL));
        CHECK_OK(
            cst_store_write_next(store, base, epoch, sink_write, &bytes[i], &kind, &summary, NULL));
        CHECK_EQ(kind == CST_SEGMENT_DELTA, incremental && i > 0);
        if (kind != CST_SEGMENT_DELTA) {
            for (size_t c = 0; c < count; c++) cst_segment_close(chain[c]);
            count = 0;
        }
        chain[count++] = open_or_die(&bytes[i]);
        base = (cst_store_base){epoch, summary.checksum};
    }
    CHECK_EQ(count, incremental ? SUITE_CHAIN : 1);
    CHECK_CODE(cst_store_write_next(store, base, epoch + 1, sink_write, &bytes[0], &kind, &summary,
                                    &err),
               CST_EPOCH);
    CHECK_OK(cst_store_restore(other, chain, count, NULL, NULL));
    suite_compare(other, &rows);
    for (size_t c = 0; c < count; c++) cst_segment_close(chain[c]);
    for (size_t i = 0; i < SUITE_CHAIN; i++) sink_free(&bytes[i]);
    model_free(&rows);
    fixture_close(store);
    fixture_close(other);
}

#endif
