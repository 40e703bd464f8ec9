#include "unit/state/model.h"
#include "unit/state/segments.h"

#include <constellation/store.h>

static cst_store_options hash_options(void) {
    return (cst_store_options){
        .table_id = 5,
        .schema = "u64",
        .hash_key = {1, 2},
        .inline_rows = true,
        .inline_key_bytes = 8,
        .value_bytes = 16,
        .numa_node = -1,
        .budget_bytes = (uint64_t)64 << 20,
    };
}

static cst_store *hash_open(const cst_store_options *options) {
    cst_store *store = NULL;
    cst_err err;

    if (cst_store_open("hash:", options, &store, &err) != CST_OK) TEST_FAIL("%s", err.text);
    return store;
}

static cst_store *open_default(void) {
    const cst_store_options options = hash_options();

    return hash_open(&options);
}

static uint64_t seal(cst_store *store) {
    uint64_t epoch = 0;

    CHECK_OK(cst_store_seal(store, &epoch, NULL));
    return epoch;
}

static cst_segment_summary delta(cst_store *store, uint64_t base_epoch, uint32_t base_checksum,
                                 uint64_t to, bytes_sink *out) {
    cst_segment_summary summary;
    cst_err err;

    if (cst_store_write_delta(store, (cst_store_base){base_epoch, base_checksum}, to, sink_write,
                              out, &summary, &err) != CST_OK)
        TEST_FAIL("%s", err.text);
    return summary;
}

static void put_number(cst_store *store, uint64_t key, uint64_t value) {
    const uint64_t values[2] = {value, key};

    CHECK_OK(cst_store_put(store, &key, 8, values, 16));
}

static uint64_t rows_of(const cst_store *store) {
    cst_store_stats stats;

    cst_store_stats_read(store, &stats);
    return stats.rows_count;
}

// ---- One key, one place -------------------------------------------------------------------------

TEST(a_key_that_changes_its_kind_moves_and_the_delta_has_two_parts) {
    cst_store *store = open_default();
    bytes_sink out = {0};
    cst_segment_summary summary;
    uint8_t value[64];
    size_t value_bytes;

    CHECK_OK(cst_store_put(store, "key", 3, "0123456789abcdef", 16)); // inline
    CHECK_EQ(seal(store), 1);
    CHECK_OK(cst_store_put(store, "key", 3, "short", 5)); // wide
    CHECK_EQ(rows_of(store), 1);
    CHECK_OK(cst_store_get(store, "key", 3, value, sizeof value, &value_bytes));
    CHECK_EQ(value_bytes, 5);
    CHECK_EQ(seal(store), 2);
    CHECK_OK(cst_store_put(store, "key", 3, "fedcba9876543210", 16)); // and back
    CHECK_EQ(rows_of(store), 1);
    CHECK_EQ(seal(store), 3);
    summary = delta(store, 1, 9, 2, &out);
    CHECK_EQ(summary.tombstones[0], 1);
    CHECK_EQ(summary.rows[1], 1);
    out.count = 0;
    summary = delta(store, 2, 9, 3, &out);
    CHECK_EQ(summary.rows[0], 1);
    CHECK_EQ(summary.tombstones[1], 1);
    sink_free(&out);
    cst_store_close(store);
}

TEST(a_store_without_inline_rows_keeps_all_of_them) {
    cst_store_options options = hash_options();
    const uint32_t offsets[4] = {0, 1, 2, 3};
    uint8_t values[12];
    uint8_t found[3];
    uint32_t applied;
    bytes_sink full = {0};
    cst_segment *segment;
    cst_store *store, *other;

    options.inline_rows = false;
    options.inline_key_bytes = 0;
    options.value_bytes = 0;
    store = hash_open(&options);
    const cst_rows rows = {.rows_count = 3,
                           .keys = (const uint8_t *)"abc",
                           .key_stride = 1,
                           .key_bytes = 1,
                           .values = (const uint8_t *)"xyz",
                           .value_offsets = offsets};
    CHECK_OK(cst_store_multi_put(store, &rows, &applied));
    CHECK_EQ(applied, 3);
    CHECK_OK(cst_store_multi_get(store, &rows, values, 4, NULL, found));
    CHECK_EQ(values[4], 'y');
    seal(store);
    CHECK_OK(cst_store_write_full(store, sink_write, &full, NULL, NULL));
    segment = open_or_die(&full);
    other = hash_open(&options);
    CHECK_OK(cst_store_restore(other, &segment, 1, NULL, NULL));
    CHECK_EQ(rows_of(other), 3);
    cst_segment_close(segment);
    sink_free(&full);
    cst_store_close(store);
    cst_store_close(other);
}

// ---- Deltas -------------------------------------------------------------------------------------

TEST(an_untouched_epoch_gives_an_empty_delta) {
    cst_store *store = open_default();
    bytes_sink out = {0};
    cst_segment *segment;

    put_number(store, 1, 1);
    seal(store);
    seal(store);
    CHECK_EQ(delta(store, 1, 5, 2, &out).body_bytes, 0);
    segment = open_or_die(&out);
    CHECK_OK(cst_segment_verify(segment, NULL, NULL));
    cst_segment_close(segment);
    sink_free(&out);
    cst_store_close(store);
}

TEST(a_delta_over_several_epochs_is_the_deltas_one_after_another) {
    cst_store *store = open_default();
    bytes_sink single[3] = {{0}, {0}, {0}};
    bytes_sink span = {0};
    cst_segment_summary summary;
    uint64_t body = 0;

    put_number(store, 0, 0);
    seal(store);
    for (uint64_t epoch = 2; epoch <= 4; epoch++) {
        for (uint64_t key = 0; key < 1000 * epoch; key++) put_number(store, key, epoch);
        seal(store);
        delta(store, epoch - 1, 1, epoch, &single[epoch - 2]);
    }
    summary = delta(store, 1, 1, 4, &span);
    for (int i = 0; i < 3; i++) {
        const uint64_t bytes = load64(single[i].bytes + single[i].count - 128 + 24);

        CHECK_BYTES(span.bytes + 128 + body, single[i].bytes + 128, bytes);
        body += bytes;
        sink_free(&single[i]);
    }
    CHECK_EQ(summary.body_bytes, body);
    CHECK_EQ(summary.rows[0], 9000);
    sink_free(&span);
    cst_store_close(store);
}

TEST(equal_histories_give_equal_deltas) {
    bytes_sink out[2] = {{0}, {0}};
    const uint64_t seed = test_random();

    for (int i = 0; i < 2; i++) {
        cst_store *store = open_default();

        test_random_state = seed;
        for (uint64_t epoch = 1; epoch <= 4; epoch++) {
            for (int change = 0; change < 3000; change++)
                put_number(store, test_random_below(1000), test_random());
            CHECK_OK(cst_store_put(store, "wide one", 8, &epoch, 8));
            seal(store);
        }
        delta(store, 1, 3, 4, &out[i]);
        cst_store_close(store);
    }
    CHECK_EQ(out[0].count, out[1].count);
    CHECK_BYTES(out[0].bytes, out[1].bytes, out[0].count);
    sink_free(&out[0]);
    sink_free(&out[1]);
}

TEST(epochs_that_are_open_or_released_have_no_delta) {
    cst_store *store = open_default();
    bytes_sink out = {0};
    cst_err err;

    for (uint64_t i = 0; i < 4; i++) {
        put_number(store, i, i);
        seal(store);
    }
    CHECK_OK(cst_store_release(store, 2, NULL));
#define REFUSED(FROM, TO)                                                                          \
    CHECK_CODE(cst_store_write_delta(store, (cst_store_base){FROM, 1}, TO, sink_write, &out, NULL, \
                                     &err),                                                        \
               CST_EPOCH)
    REFUSED(0, 4);
    REFUSED(1, 4);
    REFUSED(2, 2);
    REFUSED(2, 5);
    REFUSED(3, 2);
#undef REFUSED
    CHECK_EQ(out.calls, 0);
    delta(store, 2, 1, 4, &out);
    sink_free(&out);
    cst_store_close(store);
}

TEST(only_so_many_epochs_wait_for_release) {
    cst_store *store = open_default();
    uint64_t epoch;
    cst_err err;

    for (int i = 0; i < CST_STORE_EPOCHS_MAX; i++) {
        put_number(store, 1, (uint64_t)i);
        seal(store);
    }
    CHECK_CODE(cst_store_seal(store, &epoch, &err), CST_LIMIT);
    CHECK_OK(cst_store_release(store, 1, NULL));
    CHECK_EQ(seal(store), CST_STORE_EPOCHS_MAX + 1);
    CHECK_CODE(cst_store_seal(store, &epoch, &err), CST_LIMIT);
    cst_store_close(store);
}

TEST(a_long_delta_has_many_ranges) {
    cst_store_options options = hash_options();
    cst_store *store;
    bytes_sink out = {0};
    cst_segment *segment;

    options.budget_bytes = (uint64_t)1 << 30;
    store = hash_open(&options);
    for (uint64_t key = 0; key < 700000; key++) put_number(store, key, key);
    seal(store);
    CHECK_EQ(delta(store, 0, 0, 1, &out).rows[0], 700000); // 45 MB: above 16 log segments
    segment = open_or_die(&out);
    CHECK_OK(cst_segment_verify(segment, NULL, NULL));
    cst_segment_close(segment);
    sink_free(&out);
    cst_store_close(store);
}

// ---- Chains -------------------------------------------------------------------------------------

enum { CHAIN = 6 };

TEST(a_chain_of_deltas_restores_alone_folded_and_with_helpers) {
    cst_store *store = open_default();
    bytes_sink bytes[CHAIN + 1] = {{0}};
    cst_segment *chain[CHAIN + 1] = {NULL};
    bytes_sink full[4] = {{0}};
    cst_store *restored[4];
    uint32_t checksum = 0;

    for (uint64_t epoch = 1; epoch <= CHAIN; epoch++) {
        for (int change = 0; change < 20000; change++) {
            const uint64_t key = test_random_below(30000);

            if (test_random_below(5) == 0)
                CHECK_OK(cst_store_delete(store, &key, 8));
            else if (test_random_below(5) == 0)
                CHECK_OK(cst_store_put(store, &key, 8, "w", 1));
            else
                put_number(store, key, test_random());
        }
        seal(store);
        checksum = delta(store, epoch - 1, checksum, epoch, &bytes[epoch - 1]).checksum;
        chain[epoch - 1] = open_or_die(&bytes[epoch - 1]);
        CHECK_OK(cst_store_release(store, epoch > 2 ? epoch - 2 : 0, NULL));
    }
    CHECK_OK(cst_store_write_full(store, sink_write, &full[0], NULL, NULL));
    CHECK_OK(cst_segment_fold(chain, 4, NULL, sink_write, &bytes[CHAIN], NULL, NULL));
    chain[CHAIN] = open_or_die(&bytes[CHAIN]);
    for (uint32_t i = 1; i < 4; i++) {
        const cst_restore_options options = {.threads_count = i == 2 ? 3 : 0};
        cst_segment *folded[3] = {chain[CHAIN], chain[4], chain[5]};

        restored[i] = open_default();
        CHECK_OK(cst_store_restore(restored[i], i == 3 ? folded : chain, i == 3 ? 3 : CHAIN,
                                   &options, NULL));
        CHECK_EQ(rows_of(restored[i]), rows_of(store));
        CHECK_OK(cst_store_write_full(restored[i], sink_write, &full[i], NULL, NULL));
        CHECK_EQ(full[i].count, full[0].count);
        CHECK_BYTES(full[i].bytes, full[0].bytes, full[0].count);
        sink_free(&full[i]);
        cst_store_close(restored[i]);
    }
    sink_free(&full[0]);
    for (int i = 0; i <= CHAIN; i++) {
        cst_segment_close(chain[i]);
        sink_free(&bytes[i]);
    }
    cst_store_close(store);
}

TEST(a_restored_store_goes_on_with_deltas_on_the_chain) {
    cst_store *store = open_default();
    cst_store *other = open_default();
    cst_store *third = open_default();
    bytes_sink bytes[2] = {{0}, {0}};
    cst_segment *chain[2];
    uint32_t checksum;

    for (uint64_t key = 0; key < 100; key++) put_number(store, key, 1);
    seal(store);
    seal(store);
    checksum = delta(store, 0, 0, 2, &bytes[0]).checksum;
    chain[0] = open_or_die(&bytes[0]);
    CHECK_OK(cst_store_restore(other, chain, 1, NULL, NULL));
    for (uint64_t key = 50; key < 150; key++) put_number(other, key, 2);
    CHECK_EQ(seal(other), 3);
    CHECK_EQ(delta(other, 2, checksum, 3, &bytes[1]).rows[0], 100);
    chain[1] = open_or_die(&bytes[1]);
    CHECK_OK(cst_store_restore(third, chain, 2, NULL, NULL));
    CHECK_EQ(rows_of(third), 150);
    for (int i = 0; i < 2; i++) {
        cst_segment_close(chain[i]);
        sink_free(&bytes[i]);
    }
    cst_store_close(store);
    cst_store_close(other);
    cst_store_close(third);
}

TEST(damage_in_a_chain_is_found_by_helpers_too) {
    cst_store *store = open_default();
    bytes_sink out = {0};
    cst_segment *segment;

    for (uint64_t key = 0; key < 30000; key++) put_number(store, key, key);
    seal(store);
    delta(store, 0, 0, 1, &out);
    out.bytes[128 + 17 * 65536 + 77] ^= 0x10;
    segment = open_or_die(&out);
    for (uint32_t threads = 0; threads <= 4; threads += 2) {
        const cst_restore_options options = {.threads_count = threads};
        cst_store *other = open_default();
        cst_err err;

        CHECK_CODE(cst_store_restore(other, &segment, 1, &options, &err), CST_SEGMENT_CHECKSUM);
        CHECK(strstr(err.text, "block 17 "));
        CHECK_EQ(rows_of(other), 0);
        cst_store_close(other);
    }
    cst_segment_close(segment);
    sink_free(&out);
    cst_store_close(store);
}

TEST(restores_refuse_what_they_cannot_do) {
    cst_store *store = open_default();
    cst_store_options options = hash_options();
    bytes_sink out = {0};
    bytes_sink broken;
    cst_segment *segment;
    cst_store *other;
    cst_err err;

    for (uint64_t key = 0; key < 20000; key++) put_number(store, key, key);
    CHECK_OK(cst_store_put(store, "wide", 4, "w", 1));
    seal(store);
    delta(store, 0, 0, 1, &out);
    segment = open_or_die(&out);
    other = open_default();
#define RESTORE(CODE, ...)                                                                         \
    CHECK_CODE(cst_store_restore(other, &segment, 1, &(cst_restore_options){__VA_ARGS__}, &err),   \
               CODE)
    RESTORE(CST_USAGE, .group_from = 2, .group_to = 1);
    RESTORE(CST_USAGE, .group_from = 2, .group_to = 4097);
    RESTORE(CST_USAGE, .threads_count = CST_RESTORE_THREADS_MAX + 1);
    CHECK_CODE(cst_store_restore(other, &segment, 0, NULL, &err), CST_USAGE);
    CHECK_CODE(cst_segment_restore(&segment, 1, NULL, NULL, NULL, NULL, &err), CST_SEGMENT_SCHEMA);
    broken = sink_copy(&out);
    CHECK(broken.bytes);
    broken.bytes[128 + 100 * 64 + 15] = 0;
    segment_fix(broken.bytes, broken.count);
    cst_segment_close(segment);
    segment = open_or_die(&broken);
    RESTORE(CST_SEGMENT_RECORD, .threads_count = 1);
    cst_segment_close(segment);
    segment = open_or_die(&out);
    RESTORE(CST_OK, .threads_count = 1);
    CHECK_EQ(rows_of(other), 20001);
    cst_store_close(other);
    options.budget_bytes = 256 << 10;
    other = hash_open(&options);
    RESTORE(CST_TABLE_BUDGET, .threads_count = 0);
    CHECK_EQ(rows_of(other), 0);
#undef RESTORE
    cst_store_close(other);
    cst_segment_close(segment);
    sink_free(&out);
    sink_free(&broken);
    cst_store_close(store);
}

TEST(wide_records_of_all_sizes_are_chosen_by_key_group) {
    cst_store *store = open_default();
    cst_store *halves[2] = {open_default(), open_default()};
    bytes_sink out = {0};
    cst_segment *segment;
    uint8_t *value = calloc(1, 400000);

    CHECK(value);
    for (uint64_t i = 0; i < 40; i++)
        CHECK_OK(cst_store_put(store, &i, 8, value, 1 + (size_t)i * 10000));
    seal(store);
    delta(store, 0, 0, 1, &out);
    segment = open_or_die(&out);
    for (uint32_t i = 0; i < 2; i++) {
        const cst_restore_options options = {.group_from = i ? 2048 : 0,
                                             .group_to = i ? 4096 : 2048,
                                             .threads_count = 1};

        CHECK_OK(cst_store_restore(halves[i], &segment, 1, &options, NULL));
        CHECK(rows_of(halves[i]) > 5);
    }
    CHECK_EQ(rows_of(halves[0]) + rows_of(halves[1]), 40);
    cst_segment_close(segment);
    sink_free(&out);
    free(value);
    cst_store_close(store);
    cst_store_close(halves[0]);
    cst_store_close(halves[1]);
}

// ---- Limits -------------------------------------------------------------------------------------

TEST(a_row_over_the_budget_is_refused_and_nothing_changes) {
    cst_store_options options = hash_options();
    cst_store *store;
    uint64_t key = 0;
    uint64_t values[2] = {0, 0};
    cst_code code = CST_OK;
    uint8_t value[16];
    size_t value_bytes;
    const size_t wide_bytes = 3000;
    uint8_t *wide = calloc(1, wide_bytes);

    CHECK(wide);
    options.budget_bytes = 5 << 20;
    store = hash_open(&options);
    for (; code == CST_OK; key++) code = cst_store_put(store, &key, 8, values, 16);
    CHECK_EQ(code, CST_TABLE_BUDGET);
    key--;
    CHECK_EQ(rows_of(store), key);
    CHECK_CODE(cst_store_get(store, &key, 8, value, 16, &value_bytes), CST_NOT_FOUND);
    // A move out of a table without room for the tombstone: the row stays where it was.
    seal(store);
    for (key = 100, code = CST_OK; code == CST_OK; key++) {
        const uint64_t number = key % 5000;

        code = cst_store_put(store, &number, 8, values, 16);
        if (number == 4999) seal(store);
    }
    CHECK_EQ(code, CST_TABLE_BUDGET);
    seal(store);
    key = 7;
    code = cst_store_put(store, &key, 8, "wide now", 8);
    CHECK_EQ(code, CST_TABLE_BUDGET);
    CHECK_OK(cst_store_get(store, &key, 8, value, 16, &value_bytes));
    CHECK_EQ(value_bytes, 16);
    // The wide table has its own budget.
    for (key = 1000000, code = CST_OK; code == CST_OK; key++)
        code = cst_store_put(store, &key, 8, wide, wide_bytes);
    CHECK_EQ(code, CST_TABLE_BUDGET);
    free(wide);
    cst_store_close(store);
}

TEST(uris_and_options_that_contradict_are_refused) {
    cst_store_options options = hash_options();
    cst_store *store = NULL;
    cst_err err;

    CHECK_CODE(cst_store_open("hash:x", &options, &store, &err), CST_USAGE);
    CHECK_CODE(cst_store_open("map:", &options, &store, &err), CST_USAGE);
    CHECK(strstr(err.text, "map:"));
    CHECK_CODE(cst_store_open("lmdb:", &options, &store, &err), CST_USAGE);
    options.inline_rows = false;
    CHECK_CODE(cst_store_open("hash:", &options, &store, &err), CST_USAGE);
    options = hash_options();
    options.inline_key_bytes = CST_INLINE_KEY_BYTES_MAX + 1;
    CHECK_CODE(cst_store_open("hash:", &options, &store, &err), CST_USAGE);
    options = hash_options();
    options.value_bytes = CST_INLINE_ENTRY_BYTES_MAX + 1;
    CHECK_CODE(cst_store_open("hash:", &options, &store, &err), CST_USAGE);
    options.value_bytes = CST_INLINE_ENTRY_BYTES_MAX;
    CHECK_CODE(cst_store_open("hash:", &options, &store, &err), CST_USAGE);
    options = hash_options();
    options.schema = NULL;
    options.budget_bytes = 0;
    CHECK_OK(cst_store_open("hash:", &options, &store, &err));
    CHECK_CODE(cst_store_rollback(store, &err), CST_UNSUPPORTED);
    cst_store_close(store);
    cst_store_close(NULL);
}

TEST_MAIN
