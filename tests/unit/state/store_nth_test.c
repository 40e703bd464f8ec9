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

TEST(restoring_an_lmdb_store) {
    const cst_store_options options = nth_options();
    bytes_sink full = full_make();
    cst_segment *segment = open_or_die(&full);
    char path[256], uri[300];
    cst_store *store = NULL;
    cst_err err;

    folder_make(path, sizeof path);
    (void)snprintf(uri, sizeof uri, "lmdb:%s", path);
    CHECK_OK(cst_store_open(uri, &options, &store, NULL));
    for (uint64_t n = 1;; n++) {
        cst_code code;

        nth_fail_at(n);
        code = cst_store_restore(store, &segment, 1, NULL, &err);
        if (!nth_end()) {
            CHECK_OK(code);
            break;
        }
        CHECK_CODE(code, CST_NO_MEMORY);
        CHECK_EQ(rows_of(store), 0);
    }
    CHECK_EQ(rows_of(store), 1100);
    cst_segment_close(segment);
    cst_store_close(store);
    folder_remove(path);
    sink_free(&full);
}

TEST(restoring_with_helpers) {
    const cst_store_options options = nth_options();
    const cst_restore_options helped = {.threads_count = 2};
    bytes_sink full = full_make();
    cst_segment *segment = open_or_die(&full);
    cst_store *store = NULL;
    cst_err err;

    CHECK_OK(cst_store_open("hash:", &options, &store, NULL));
    FAIL_EACH(cst_store_restore(store, &segment, 1, &helped, &err), rows_of(store) == 0);
    CHECK_EQ(rows_of(store), 1100);
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

// ---- A long history, with its Nth allocation failing --------------------------------------------

enum {
    HISTORY_KEYS = 2000,
    HISTORY_STEPS = 6000,
    HISTORY_BATCH = 16,
    HISTORY_VALUE_BYTES_MAX = 400
};

typedef struct history {
    cst_store *store;
    uint16_t value_bytes[HISTORY_KEYS]; // 0: no such row
    uint8_t fill[HISTORY_KEYS];
    uint64_t failing; // 0: it has failed
} history;

// Every third key is as short, and its value as long, as slots take.
static size_t history_key_bytes(uint64_t key) {
    return key % 3 == 0 ? 8 : 11;
}

static void history_compare(const history *h) {
    for (uint64_t key = 0; key < HISTORY_KEYS; key++) {
        uint8_t name[11] = {0}, value[HISTORY_VALUE_BYTES_MAX], wanted[HISTORY_VALUE_BYTES_MAX];
        size_t bytes = 0;
        cst_code code;

        memcpy(name, &key, sizeof key);
        code = cst_store_get(h->store, name, history_key_bytes(key), value, sizeof value, &bytes);
        CHECK_CODE(code, h->value_bytes[key] ? CST_OK : CST_NOT_FOUND);
        if (code != CST_OK) continue;
        memset(wanted, h->fill[key], sizeof wanted);
        CHECK_EQ(bytes, h->value_bytes[key]);
        CHECK_BYTES(value, wanted, bytes);
    }
}

// CST_NO_MEMORY is believed once, if the state is as before; then the same call must succeed.
static bool history_again(history *h, cst_code code) {
    if (code == CST_OK) return false;
    CHECK_CODE(code, CST_NO_MEMORY);
    CHECK(h->failing != 0);
    CHECK(nth_end());
    h->failing = 0;
    history_compare(h);
    return true;
}

static void history_put(history *h, uint64_t key) {
    const bool in_slots = key % 3 == 0;
    const size_t bytes = in_slots ? 16 : 1 + test_random_below(HISTORY_VALUE_BYTES_MAX);
    uint8_t name[11] = {0}, value[HISTORY_VALUE_BYTES_MAX];
    const uint8_t fill = (uint8_t)test_random();
    const bool delete = test_random_below(5) == 0;

    memcpy(name, &key, sizeof key);
    memset(value, fill, sizeof value);
    while (history_again(h, delete ? cst_store_delete(h->store, name, history_key_bytes(key))
                                   : cst_store_put(h->store, name, history_key_bytes(key), value,
                                                   bytes))) {}
    h->value_bytes[key] = delete ? 0 : (uint16_t)bytes;
    h->fill[key] = fill;
}

static void history_batch(history *h) {
    uint64_t keys[HISTORY_BATCH], values[HISTORY_BATCH][2];
    cst_rows rows = {.rows_count = HISTORY_BATCH,
                     .key_stride = 8,
                     .key_bytes = 8,
                     .value_stride = 16,
                     .keys = (const uint8_t *)keys,
                     .values = (const uint8_t *)values};
    cst_code code;

    for (uint32_t r = 0; r < HISTORY_BATCH; r++) {
        keys[r] = test_random_below(HISTORY_KEYS / 3) * 3;
        memset(values[r], (int)(keys[r] & 0x7f), 16);
    }
    do {
        uint32_t applied = 0;

        code = cst_store_multi_put(h->store, &rows, &applied);
        for (uint32_t r = rows.first_row; r < rows.first_row + applied; r++) {
            h->value_bytes[keys[r]] = 16;
            h->fill[keys[r]] = keys[r] & 0x7f;
        }
        rows.first_row += applied;
    } while (history_again(h, code));
}

// Ends an epoch, takes its snapshot, and lets it go.
static void history_epoch(history *h) {
    cst_store_capabilities can;
    uint64_t epoch = 0;
    size_t bytes = 0;
    cst_err err;

    cst_store_capabilities_read(h->store, &can);
    while (history_again(h, cst_store_seal(h->store, &epoch, &err))) {}
    while (history_again(h, can.incremental
                                ? cst_store_write_delta(h->store, (cst_store_base){epoch - 1, 0},
                                                        epoch, count_only, &bytes, NULL, &err)
                                : cst_store_write_full(h->store, count_only, &bytes, NULL, &err))) {
    }
    while (history_again(h, cst_store_release(h->store, epoch, &err))) {}
}

// Lives through all of it; returns whether the Nth allocation came.
static bool history_live(cst_store *store, uint64_t n) {
    static history h;

    memset(&h, 0, sizeof h);
    h.store = store;
    h.failing = n;
    test_random_state = test_seed_value;
    nth_fail_at(n);
    for (uint32_t step = 1; step <= HISTORY_STEPS; step++) {
        if (step % 1000 == 0)
            history_epoch(&h);
        else if (step % 20 == 0)
            history_batch(&h);
        else
            history_put(&h, test_random_below(HISTORY_KEYS));
    }
    if (h.failing == 0) return true;
    history_compare(&h);
    return nth_end();
}

TEST(whichever_allocation_fails_a_long_history_of_a_hash_store_equals_the_map) {
    const cst_store_options options = nth_options();
    uint64_t n = 1;
    bool failed = true;

    nth_count_pages();
    for (; failed; n++) {
        cst_store *store = NULL;

        nth_fail_at(0);
        CHECK_OK(cst_store_open("hash:", &options, &store, NULL));
        failed = history_live(store, n);
        cst_store_close(store);
    }
    CHECK(n > 20); // pages were made ready on the way
}

TEST(whichever_allocation_fails_a_long_history_of_an_lmdb_store_equals_the_map) {
    const cst_store_options options = nth_options();
    bool failed = true;

    for (uint64_t n = 1; failed; n++) {
        char path[256], uri[300];
        cst_store *store = NULL;

        folder_make(path, sizeof path);
        (void)snprintf(uri, sizeof uri, "lmdb:%s", path);
        nth_fail_at(0);
        CHECK_OK(cst_store_open(uri, &options, &store, NULL));
        failed = history_live(store, n);
        cst_store_close(store);
        folder_remove(path);
    }
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
