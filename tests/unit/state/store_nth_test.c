#include "nth.h"

#include "unit/state/folder.h"
#include "unit/state/segments.h"

#include <constellation/store.h>
#include <malloc.h>

static cst_store_options nth_options(void) {
    return (cst_store_options){
        .table_id = 5,
        .hash_key = {1, 2},
        .inline_rows = true,
        .inline_key_bytes = 8,
        .value_bytes = 16,
        .numa_node = -1,
        .budget_bytes = (uint64_t)32 << 20,
        .map_bytes = (uint64_t)64 << 20,
        .no_sync = true,
    };
}

static void put_some(cst_store *store, uint64_t first, uint64_t count, uint64_t value) {
    const uint64_t values[2] = {value, value};

    for (uint64_t key = first; key < first + count; key++) {
        CHECK_OK(cst_store_put(store, &key, 8, values, 16));
        if (key % 10 == 0) CHECK_OK(cst_store_put(store, &key, 7, "wide", 4));
    }
}

static uint64_t rows_of(const cst_store *store) {
    cst_store_stats stats;

    cst_store_stats_read(store, &stats);
    return stats.rows_count;
}

// A full in memory that the cases start from.
static bytes_sink full_make(void) {
    const cst_store_options options = nth_options();
    bytes_sink full = {0};
    cst_store *store = NULL;
    uint64_t epoch;

    CHECK_OK(cst_store_open("hash:", &options, &store, NULL));
    put_some(store, 1, 1000, 1);
    CHECK_OK(cst_store_seal(store, &epoch, NULL));
    CHECK_OK(
        cst_store_write_delta(store, (cst_store_base){0, 0}, 1, sink_write, &full, NULL, NULL));
    cst_store_close(store);
    return full;
}

// A sink whose own memory is there before: only the code under test allocates.
static cst_code count_only(void *context, const void *bytes, size_t count, cst_err *err) {
    (void)bytes;
    (void)err;
    *(size_t *)context += count;
    return CST_OK;
}

// ---- Each call, with its Nth allocation failing -------------------------------------------------

// Runs CALL until no allocation fails; every failure must be CST_NO_MEMORY, and leave UNCHANGED.
#define FAIL_EACH(CALL, UNCHANGED)                                                                 \
    do {                                                                                           \
        cst_code nth_code;                                                                         \
        uint64_t n = 1;                                                                            \
                                                                                                   \
        for (;; n++) {                                                                             \
            nth_fail_at(n);                                                                        \
            nth_code = (CALL);                                                                     \
            if (!nth_end()) break;                                                                 \
            CHECK_CODE(nth_code, CST_NO_MEMORY);                                                   \
            CHECK(UNCHANGED);                                                                      \
        }                                                                                          \
        CHECK_OK(nth_code);                                                                        \
        CHECK(n > 1);                                                                              \
    } while (0)

TEST(opening_a_hash_store) {
    const cst_store_options options = nth_options();
    cst_store *store = NULL;
    cst_err err;

    FAIL_EACH(cst_store_open("hash:", &options, &store, &err), store == NULL);
    cst_store_close(store);
}

TEST(the_first_wide_row) {
    const cst_store_options options = nth_options();
    cst_store *store = NULL;

    CHECK_OK(cst_store_open("hash:", &options, &store, NULL));
    FAIL_EACH(cst_store_put(store, "a key too long", 14, "v", 1), rows_of(store) == 0);
    CHECK_EQ(rows_of(store), 1);
    cst_store_close(store);
}

TEST(opening_an_lmdb_store) {
    const cst_store_options options = nth_options();
    char path[256], uri[300];
    cst_store *store = NULL;
    cst_err err;

    folder_make(path, sizeof path);
    (void)snprintf(uri, sizeof uri, "lmdb:%s", path);
    FAIL_EACH(cst_store_open(uri, &options, &store, &err), store == NULL);
    cst_store_close(store);
    folder_remove(path);
}

TEST(opening_a_segment) {
    bytes_sink full = full_make();
    cst_segment *segment = NULL;
    cst_err err;

    FAIL_EACH(cst_segment_open_bytes("s", full.bytes, full.count, NULL, &segment, &err),
              segment == NULL);
    cst_segment_close(segment);
    sink_free(&full);
}

TEST(opening_a_segments_file) {
    const char *path = CST_BINARY_DIR "/store_nth_test.seg";
    bytes_sink full = full_make();
    FILE *file = fopen(path, "wb");
    cst_segment *segment = NULL;
    cst_code code = CST_IO;
    cst_err err;

    CHECK(file);
    CHECK_EQ(fwrite(full.bytes, 1, full.count, file), full.count);
    CHECK_EQ(fclose(file), 0);
    for (uint64_t n = 1;; n++) { // a mapping that fails is CST_IO
        nth_fail_at(n);
        code = cst_segment_open_file(path, NULL, &segment, &err);
        if (!nth_end()) break;
        CHECK(code == CST_NO_MEMORY || code == CST_IO);
        CHECK(segment == NULL);
    }
    CHECK_OK(code);
    cst_segment_close(segment);
    sink_free(&full);
    CHECK_EQ(unlink(path), 0);
}

TEST(snapshots_of_a_hash_store) {
    const cst_store_options options = nth_options();
    cst_store *store = NULL;
    uint64_t epoch;
    size_t bytes = 0;
    cst_err err;

    CHECK_OK(cst_store_open("hash:", &options, &store, NULL));
    put_some(store, 1, 1000, 1);
    CHECK_OK(cst_store_seal(store, &epoch, NULL));
    FAIL_EACH(cst_store_write_delta(store, (cst_store_base){0, 0}, 1, count_only, &bytes, NULL,
                                    &err),
              rows_of(store) == 1100);
    FAIL_EACH(cst_store_write_full(store, count_only, &bytes, NULL, &err), rows_of(store) == 1100);
    cst_store_close(store);
}

TEST(a_delta_of_many_ranges) {
    cst_store_options options = nth_options();
    cst_store *store = NULL;
    uint64_t epoch;
    size_t bytes = 0;
    cst_err err;

    options.budget_bytes = (uint64_t)512 << 20;
    CHECK_OK(cst_store_open("hash:", &options, &store, NULL));
    put_some(store, 1, 600000, 1);
    CHECK_OK(cst_store_seal(store, &epoch, NULL));
    FAIL_EACH(cst_store_write_delta(store, (cst_store_base){0, 0}, 1, count_only, &bytes, NULL,
                                    &err),
              rows_of(store) == 660000);
    cst_store_close(store);
}

TEST(the_full_of_an_lmdb_store) {
    const cst_store_options options = nth_options();
    char path[256], uri[300];
    cst_store *store = NULL;
    uint64_t epoch;
    size_t bytes = 0;
    cst_err err;

    folder_make(path, sizeof path);
    (void)snprintf(uri, sizeof uri, "lmdb:%s", path);
    CHECK_OK(cst_store_open(uri, &options, &store, NULL));
    put_some(store, 1, 100, 1);
    CHECK_OK(cst_store_seal(store, &epoch, NULL));
    FAIL_EACH(cst_store_write_full(store, count_only, &bytes, NULL, &err), rows_of(store) == 110);
    cst_store_close(store);
    folder_remove(path);
}

TEST(restoring_a_hash_store) {
    const cst_store_options options = nth_options();
    const cst_restore_options some = {.group_from = 0, .group_to = 4000};
    bytes_sink full = full_make();
    cst_segment *segment = open_or_die(&full);
    cst_store *store = NULL;
    cst_err err;

    CHECK_OK(cst_store_open("hash:", &options, &store, NULL));
    FAIL_EACH(cst_store_restore(store, &segment, 1, &some, &err), rows_of(store) == 0);
    CHECK(rows_of(store) > 900);
    cst_segment_close(segment);
    cst_store_close(store);
    sink_free(&full);
}

TEST(folding) {
    bytes_sink full = full_make();
    cst_segment *segment = open_or_die(&full);
    size_t bytes = 0;
    cst_err err;

    FAIL_EACH(cst_segment_fold(&segment, 1, NULL, count_only, &bytes, NULL, &err), true);
    cst_segment_close(segment);
    sink_free(&full);
}

// ---- Calls that allocate nothing ----------------------------------------------------------------

static void no_allocation_in(cst_store *store) {
    uint8_t value[16];
    uint64_t values[2] = {9, 9};
    uint8_t found[64];
    uint8_t read_values[64 * 16];
    uint64_t keys[64];
    size_t value_bytes;
    cst_bytes ref;
    uint64_t epoch;

    put_some(store, 1, 1000, 1);
    for (uint64_t i = 0; i < 64; i++) keys[i] = i * 7;
    const cst_rows batch = {.rows_count = 64,
                            .keys = (const uint8_t *)keys,
                            .key_stride = 8,
                            .key_bytes = 8};
    // Ours are counted; what a library takes inside shows as bytes in use.
    const size_t in_use = mallinfo2().uordblks;
    nth_fail_at(0);
    for (uint64_t key = 1; key <= 1000; key++) {
        CHECK_OK(cst_store_get(store, &key, 8, value, 16, &value_bytes));
        CHECK_OK(cst_store_get_ref(store, &key, 8, &ref));
        values[0] = key;
        CHECK_OK(cst_store_put(store, &key, 8, values, 16));
        if (key % 10 == 0) CHECK_OK(cst_store_put(store, &key, 7, "edit", 4));
    }
    CHECK_OK(cst_store_multi_get(store, &batch, read_values, 16, NULL, found));
    CHECK_EQ(nth_count(), 0);
    CHECK(mallinfo2().uordblks <= in_use);
    CHECK_OK(cst_store_seal(store, &epoch, NULL));
    CHECK_EQ(nth_count(), 0);
}

TEST(gets_and_puts_in_place_allocate_nothing_in_a_hash_store) {
    const cst_store_options options = nth_options();
    cst_store *store = NULL;

    CHECK_OK(cst_store_open("hash:", &options, &store, NULL));
    no_allocation_in(store);
    cst_store_close(store);
}

TEST(gets_and_puts_in_place_allocate_nothing_in_an_lmdb_store) {
    const cst_store_options options = nth_options();
    char path[256], uri[300];
    cst_store *store = NULL;

    folder_make(path, sizeof path);
    (void)snprintf(uri, sizeof uri, "lmdb:%s", path);
    CHECK_OK(cst_store_open(uri, &options, &store, NULL));
    no_allocation_in(store);
    cst_store_close(store);
    folder_remove(path);
}

TEST_MAIN
