#include "unit/state/folder.h"
#include "unit/state/segments.h"

#include <constellation/store.h>
#include <fcntl.h>
#include <lmdb.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

typedef struct disk_store {
    char path[256];
    char uri[300];
    cst_store_options options;
    cst_store *store;
} disk_store;

static cst_code disk_open(disk_store *disk, cst_err *err) {
    disk->store = NULL;
    return cst_store_open(disk->uri, &disk->options, &disk->store, err);
}

static disk_store disk_make(uint64_t map_bytes) {
    disk_store disk = {.options = {.table_id = 5,
                                   .schema = "binary",
                                   .hash_key = {1, 2},
                                   .map_bytes = map_bytes,
                                   .no_sync = true}};
    cst_err err;

    folder_make(disk.path, sizeof disk.path);
    (void)snprintf(disk.uri, sizeof disk.uri, "lmdb:%s", disk.path);
    if (disk_open(&disk, &err) != CST_OK) TEST_FAIL("%s", err.text);
    return disk;
}

static void disk_free(disk_store *disk) {
    cst_store_close(disk->store);
    folder_remove(disk->path);
}

static uint64_t rows_of(const cst_store *store) {
    cst_store_stats stats;

    cst_store_stats_read(store, &stats);
    return stats.rows_count;
}

static uint64_t seal(cst_store *store) {
    uint64_t epoch = 0;

    CHECK_OK(cst_store_seal(store, &epoch, NULL));
    return epoch;
}

static void put_numbers(cst_store *store, uint64_t first, uint64_t count, uint64_t value) {
    for (uint64_t key = first; key < first + count; key++)
        CHECK_OK(cst_store_put(store, &key, 8, &value, 8));
}

// ---- What survives ------------------------------------------------------------------------------

TEST(a_store_opened_again_holds_what_was_sealed_last) {
    disk_store disk = disk_make(0);
    cst_store_stats stats;

    put_numbers(disk.store, 0, 1000, 1);
    CHECK_EQ(seal(disk.store), 1);
    put_numbers(disk.store, 500, 1000, 2); // not sealed
    CHECK_EQ(rows_of(disk.store), 1500);
    cst_store_close(disk.store);
    disk.options.no_sync = false;
    CHECK_OK(disk_open(&disk, NULL));
    cst_store_stats_read(disk.store, &stats);
    CHECK_EQ(stats.rows_count, 1000);
    CHECK_EQ(stats.epoch, 2);
    CHECK_EQ(seal(disk.store), 2);
    disk_free(&disk);
}

// The child writes epochs until it is killed, and says each sealed one through a pipe.
static void child_writes(disk_store *disk, int said) {
    if (disk_open(disk, NULL) != CST_OK) _exit(3);
    for (uint64_t epoch = 1; epoch < 100000; epoch++) {
        for (uint64_t key = 0; key < 50; key++)
            if (cst_store_put(disk->store, &key, 8, &epoch, 8) != CST_OK) _exit(4);
        if (cst_store_put(disk->store, &epoch, 7, "x", 1) != CST_OK) _exit(5);
        if (cst_store_seal(disk->store, &epoch, NULL) != CST_OK) _exit(6);
        if (write(said, &epoch, 8) != 8) _exit(7);
    }
    _exit(8);
}

TEST(a_killed_process_leaves_the_epoch_sealed_last) {
    for (int round = 0; round < 4; round++) {
        disk_store disk = disk_make(0);
        const uint64_t kill_at = 5 + test_random_below(60);
        uint64_t sealed = 0;
        uint64_t value = 0;
        size_t value_bytes;
        int pipes[2];
        int status;
        pid_t child;

        cst_store_close(disk.store);
        CHECK_EQ(pipe(pipes), 0);
        child = fork();
        if (child == 0) child_writes(&disk, pipes[1]);
        (void)close(pipes[1]);
        while (sealed < kill_at) CHECK_EQ(read(pipes[0], &sealed, 8), 8);
        CHECK_EQ(kill(child, SIGKILL), 0);
        CHECK_EQ(waitpid(child, &status, 0), child);
        CHECK(WIFSIGNALED(status));
        while (read(pipes[0], &sealed, 8) == 8) {} // sealed while the signal was on its way
        (void)close(pipes[0]);
        CHECK_OK(disk_open(&disk, NULL));
        cst_store_stats stats;
        cst_store_stats_read(disk.store, &stats);
        // The last seal may have committed without being said.
        CHECK(stats.epoch - 1 == sealed || stats.epoch - 1 == sealed + 1);
        CHECK_EQ(stats.rows_count, 50 + stats.epoch - 1);
        for (uint64_t key = 0; key < 50; key++) {
            CHECK_OK(cst_store_get(disk.store, &key, 8, &value, 8, &value_bytes));
            CHECK_EQ(value, stats.epoch - 1);
        }
        disk_free(&disk);
    }
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) // their shadow is memory too
enum { LARGE_VALUE_BYTES = 1024, LARGE_ROWS = 96 << 10, LARGE_EPOCH_ROWS = 4096 };

static void value_make(uint64_t key, uint8_t value[LARGE_VALUE_BYTES]) {
    memset(value, (int)(key & 0xff), LARGE_VALUE_BYTES);
    memcpy(value, &key, sizeof key);
}

// What the process may have of its own, from now on.
static void memory_limit(uint64_t more_bytes) {
    unsigned long pages_all, pages_here, shared, text, library, data;
    FILE *in = fopen("/proc/self/statm", "r");

    CHECK(in);
    CHECK_EQ(fscanf(in, "%lu %lu %lu %lu %lu %lu", &pages_all, &pages_here, &shared, &text,
                    &library, &data),
             6);
    CHECK_EQ(fclose(in), 0);
    const rlim_t bytes = (rlim_t)data * 4096 + more_bytes;
    CHECK_EQ(setrlimit(RLIMIT_DATA, &(struct rlimit){bytes, bytes}), 0);
}

static cst_code put_large(cst_store *store) {
    uint8_t value[LARGE_VALUE_BYTES];
    cst_code code = CST_OK;
    uint64_t epoch;

    for (uint64_t key = 0; key < LARGE_ROWS && code == CST_OK; key++) {
        value_make(key, value);
        code = cst_store_put(store, &key, 8, value, sizeof value);
        if (code == CST_OK && key % LARGE_EPOCH_ROWS == 0)
            code = cst_store_seal(store, &epoch, NULL);
    }
    return code;
}

// 96 MiB of values where 32 MiB can be had: in the hash store they do not fit.
static int child_keeps_large_state(disk_store *disk) {
    cst_store_options options = disk->options;
    cst_store *hash = NULL;
    uint8_t value[LARGE_VALUE_BYTES], wanted[LARGE_VALUE_BYTES];
    size_t bytes;

    options.budget_bytes = UINT64_C(1) << 30;
    memory_limit(UINT64_C(32) << 20);
    if (cst_store_open("hash:", &options, &hash, NULL) == CST_OK && put_large(hash) == CST_OK)
        return 2;
    cst_store_close(hash);
    if (disk_open(disk, NULL) != CST_OK) return 3;
    if (put_large(disk->store) != CST_OK) return 4;
    for (uint64_t key = 0; key < LARGE_ROWS; key += 7) {
        value_make(key, wanted);
        if (cst_store_get(disk->store, &key, 8, value, sizeof value, &bytes) != CST_OK) return 5;
        if (bytes != sizeof value || memcmp(value, wanted, sizeof value) != 0) return 6;
    }
    cst_store_close(disk->store);
    return 0;
}

TEST(state_larger_than_the_memory_there_is_is_kept) {
    disk_store disk = disk_make(UINT64_C(1) << 30);
    int status;
    pid_t child;

    cst_store_close(disk.store);
    child = fork();
    if (child == 0) _exit(child_keeps_large_state(&disk));
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    disk.store = NULL;
    disk_free(&disk);
}
#endif

TEST(a_rollback_undoes_the_open_epoch) {
    disk_store disk = disk_make(0);
    bytes_sink full = {0};

    put_numbers(disk.store, 0, 10, 1);
    seal(disk.store);
    put_numbers(disk.store, 5, 100, 2);
    CHECK_OK(cst_store_rollback(disk.store, NULL));
    CHECK_EQ(rows_of(disk.store), 10);
    CHECK_OK(cst_store_write_full(disk.store, sink_write, &full, NULL, NULL)); // nothing changed
    CHECK_EQ(seal(disk.store), 2);
    sink_free(&full);
    disk_free(&disk);
}

// ---- No room ------------------------------------------------------------------------------------

TEST(a_full_map_refuses_the_row_and_keeps_all_others) {
    disk_store disk = disk_make(2 << 20);
    uint64_t key = 0;
    uint8_t value[1000] = {0};
    uint8_t read_back[1000];
    size_t value_bytes;
    cst_code code = CST_OK;
    uint64_t epoch;

    for (; code == CST_OK; key++) {
        memcpy(value, &key, 8);
        code = cst_store_put(disk.store, &key, 8, value, sizeof value);
    }
    CHECK_EQ(code, CST_STORE_FULL);
    key--;
    CHECK(key > 500);
    CHECK_EQ(rows_of(disk.store), key);
    for (uint64_t i = 0; i < key; i++) {
        CHECK_OK(cst_store_get(disk.store, &i, 8, read_back, sizeof read_back, &value_bytes));
        CHECK_EQ(load64(read_back), i);
    }
    CHECK_CODE(cst_store_get(disk.store, &key, 8, read_back, sizeof read_back, &value_bytes),
               CST_NOT_FOUND);
    // Room made by deleting is room, after a seal or a rollback at the latest.
    if (cst_store_seal(disk.store, &epoch, NULL) != CST_OK)
        CHECK_OK(cst_store_rollback(disk.store, NULL));
    CHECK_OK(cst_store_put(disk.store, "k", 1, "v", 1));
    disk_free(&disk);
}

TEST(a_big_value_that_does_not_fit_changes_nothing) {
    disk_store disk = disk_make(3 << 19);
    uint8_t *value = calloc(1, CST_WIDE_VALUE_BYTES_MAX);

    CHECK(value);
    put_numbers(disk.store, 0, 10, 1);
    CHECK_OK(cst_store_put(disk.store, "big", 3, value, 900000));
    CHECK_CODE(cst_store_put(disk.store, "big", 3, value, CST_WIDE_VALUE_BYTES_MAX),
               CST_STORE_FULL);
    CHECK_EQ(rows_of(disk.store), 11);
    seal(disk.store);
    free(value);
    disk_free(&disk);
}

TEST(a_full_disk_undoes_the_epoch_and_says_so_until_rolled_back) {
    disk_store disk = disk_make((uint64_t)64 << 20);
    struct rlimit old, little;
    uint8_t value[1000] = {0};
    uint64_t epoch;
    size_t value_bytes;
    cst_bytes ref;
    bytes_sink full = {0};
    cst_err err;

    put_numbers(disk.store, 0, 10, 1);
    CHECK_EQ(seal(disk.store), 1);
    CHECK_EQ(getrlimit(RLIMIT_FSIZE, &old), 0);
    CHECK(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    little = (struct rlimit){.rlim_cur = 1 << 20, .rlim_max = old.rlim_max};
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &little), 0);
    for (uint64_t key = 100; key < 4100; key++)
        CHECK_OK(cst_store_put(disk.store, &key, 8, value, sizeof value));
    CHECK_CODE(cst_store_seal(disk.store, &epoch, &err), CST_STORE_FULL);
    CHECK(strstr(err.text, "undone"));
    CHECK_CODE(cst_store_seal(disk.store, &epoch, &err), CST_ABORTED);
    CHECK_CODE(cst_store_put(disk.store, "a", 1, "b", 1), CST_ABORTED);
    CHECK_CODE(cst_store_delete(disk.store, "a", 1), CST_ABORTED);
    CHECK_CODE(cst_store_get(disk.store, "a", 1, value, 1, &value_bytes), CST_ABORTED);
    CHECK_CODE(cst_store_get_ref(disk.store, "a", 1, &ref), CST_ABORTED);
    CHECK_CODE(cst_store_multi_put(disk.store, &(cst_rows){0}, &(uint32_t){0}), CST_ABORTED);
    CHECK_CODE(cst_store_multi_get(disk.store, &(cst_rows){0}, value, 0, NULL, value), CST_ABORTED);
    CHECK_CODE(cst_store_prefix_scan(disk.store, "", 0, NULL, NULL), CST_ABORTED);
    CHECK_CODE(cst_store_range_scan(disk.store, ref, ref, NULL, NULL), CST_ABORTED);
    CHECK_CODE(cst_store_write_full(disk.store, sink_write, &full, NULL, &err), CST_ABORTED);
    CHECK_CODE(cst_store_restore(disk.store, NULL, 0, NULL, &err), CST_ABORTED);
    CHECK_EQ(setrlimit(RLIMIT_FSIZE, &old), 0);
    CHECK_OK(cst_store_rollback(disk.store, NULL));
    CHECK_EQ(rows_of(disk.store), 10);
    put_numbers(disk.store, 100, 10, 2);
    CHECK_EQ(seal(disk.store), 2);
    cst_store_close(disk.store);
    CHECK_OK(disk_open(&disk, NULL));
    CHECK_EQ(rows_of(disk.store), 20);
    disk_free(&disk);
}

TEST(a_restore_that_does_not_fit_leaves_the_store_empty) {
    disk_store disk = disk_make((uint64_t)64 << 20);
    disk_store small = disk_make(1 << 20);
    bytes_sink full = {0};
    cst_segment *segment;
    cst_err err;

    put_numbers(disk.store, 0, 60000, 1);
    seal(disk.store);
    CHECK_OK(cst_store_write_full(disk.store, sink_write, &full, NULL, NULL));
    segment = open_or_die(&full);
    CHECK_CODE(cst_store_restore(small.store, &segment, 1, NULL, &err), CST_STORE_FULL);
    CHECK_EQ(rows_of(small.store), 0);
    put_numbers(small.store, 0, 10, 1);
    CHECK_EQ(seal(small.store), 1);
    cst_segment_close(segment);
    sink_free(&full);
    disk_free(&disk);
    disk_free(&small);
}

// ---- Somebody else's ----------------------------------------------------------------------------

TEST(a_folder_of_another_store_is_refused) {
    disk_store disk = disk_make(0);
    const cst_store_options good = disk.options;
    cst_err err;

    cst_store_close(disk.store);
#define OTHER(FIELD, VALUE, CODE)                                                                  \
    disk.options = good;                                                                           \
    disk.options.FIELD = VALUE;                                                                    \
    CHECK_CODE(disk_open(&disk, &err), CODE);                                                      \
    CHECK(strstr(err.text, disk.uri))
    OTHER(table_id, 6, CST_SEGMENT_IDENTITY);
    OTHER(schema, "u64", CST_SCHEMA_MISMATCH);
    OTHER(hash_key.k1, 6, CST_SEGMENT_HASH_KEY);
#undef OTHER
    disk.options = good;
    CHECK_OK(disk_open(&disk, NULL));
    disk_free(&disk);
}

TEST(a_store_is_opened_once_at_a_time) {
    disk_store disk = disk_make(0);
    cst_store *second = NULL;
    cst_err err;

    CHECK_CODE(cst_store_open(disk.uri, &disk.options, &second, &err), CST_AGAIN);
    disk_free(&disk);
}

TEST(folders_that_cannot_be_are_refused) {
    disk_store disk = disk_make(0);
    char uri[5000];
    cst_store *store = NULL;
    cst_err err;

    (void)snprintf(uri, sizeof uri, "lmdb:%s/none/deep", disk.path);
    CHECK_CODE(cst_store_open(uri, &disk.options, &store, &err), CST_IO);
    (void)snprintf(uri, sizeof uri, "lmdb:%s/data.mdb", disk.path);
    CHECK_CODE(cst_store_open(uri, &disk.options, &store, &err), CST_IO);
    memset(uri + 5, 'x', 4100);
    uri[4105] = '\0';
    CHECK_CODE(cst_store_open(uri, &disk.options, &store, &err), CST_USAGE);
    disk_free(&disk);
}

// Changes the meta row behind the store's back.
static void meta_break(const disk_store *disk, size_t count, size_t at) {
    uint8_t bytes[64];
    MDB_env *env;
    MDB_txn *txn;
    MDB_dbi meta;
    MDB_val key = {5, (void *)(uintptr_t) "store"};
    MDB_val value;

    CHECK_EQ(mdb_env_create(&env), 0);
    CHECK_EQ(mdb_env_set_maxdbs(env, 2), 0);
    CHECK_EQ(mdb_env_open(env, disk->path, 0, 0666), 0);
    CHECK_EQ(mdb_txn_begin(env, NULL, 0, &txn), 0);
    CHECK_EQ(mdb_dbi_open(txn, "meta", 0, &meta), 0);
    CHECK_EQ(mdb_get(txn, meta, &key, &value), 0);
    CHECK_EQ(value.mv_size, 48);
    memcpy(bytes, value.mv_data, 48);
    bytes[at] ^= 0x55;
    value = (MDB_val){count, bytes};
    CHECK_EQ(mdb_put(txn, meta, &key, &value, 0), 0);
    CHECK_EQ(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
}

TEST(a_damaged_store_is_told_apart) {
    static const struct { size_t count, at; } breaks[] = {{47, 0}, {48, 0}, {48, 8}, {48, 12}};

    for (size_t i = 0; i < sizeof breaks / sizeof breaks[0]; i++) {
        disk_store disk = disk_make(0);
        cst_err err;

        cst_store_close(disk.store);
        meta_break(&disk, breaks[i].count, breaks[i].at);
        CHECK_CODE(disk_open(&disk, &err), CST_STORE_CORRUPT);
        disk_free(&disk);
    }
}

TEST(a_file_that_is_no_database_is_corrupt) {
    disk_store disk = disk_make(0);
    char path[300];
    uint8_t junk[8192];
    FILE *file;
    cst_err err;

    cst_store_close(disk.store);
    (void)snprintf(path, sizeof path, "%s/data.mdb", disk.path);
    memset(junk, 0x5a, sizeof junk);
    file = fopen(path, "wb");
    CHECK(file);
    CHECK_EQ(fwrite(junk, 1, sizeof junk, file), sizeof junk);
    CHECK_EQ(fclose(file), 0);
    CHECK_CODE(disk_open(&disk, &err), CST_STORE_CORRUPT);
    disk_free(&disk);
}

// ---- Keys at the edge ---------------------------------------------------------------------------

static bool first_key(void *context, const cst_bytes *key, const cst_bytes *value) {
    (void)value;
    memcpy(context, key->data, key->count < 4 ? key->count : 4);
    return false;
}

TEST(scans_begin_right_for_keys_longer_than_any) {
    disk_store disk = disk_make(0);
    uint8_t longest[600];
    char seen[4] = "....";

    memset(longest, 'm', sizeof longest);
    CHECK_OK(cst_store_put(disk.store, longest, CST_STORE_LMDB_KEY_BYTES_MAX, "1", 1));
    CHECK_OK(cst_store_put(disk.store, "next", 4, "2", 1));
    CHECK_OK(cst_store_range_scan(disk.store, (cst_bytes){longest, 511}, (cst_bytes){NULL, 0},
                                  first_key, seen));
    CHECK_BYTES(seen, "next", 4);
    CHECK_OK(cst_store_range_scan(disk.store, (cst_bytes){longest, 510}, (cst_bytes){NULL, 0},
                                  first_key, seen));
    CHECK_BYTES(seen, "mmmm", 4);
    memset(seen, '.', 4);
    CHECK_OK(cst_store_prefix_scan(disk.store, longest, 511, first_key, seen));
    CHECK_BYTES(seen, "....", 4);
    disk_free(&disk);
}

TEST(a_key_longer_than_lmdbs_is_not_restored) {
    disk_store disk = disk_make(0);
    cst_store_options options = disk.options;
    cst_store *hash = NULL;
    uint8_t key[600] = {0};
    bytes_sink full = {0};
    cst_segment *segment;
    cst_err err;

    options.numa_node = -1;
    CHECK_OK(cst_store_open("hash:", &options, &hash, NULL));
    CHECK_OK(cst_store_put(hash, key, sizeof key, "v", 1));
    seal(hash);
    CHECK_OK(cst_store_write_full(hash, sink_write, &full, NULL, NULL));
    segment = open_or_die(&full);
    CHECK_CODE(cst_store_restore(disk.store, &segment, 1, NULL, &err), CST_KEY_TOO_LONG);
    CHECK_EQ(rows_of(disk.store), 0);
    cst_segment_close(segment);
    sink_free(&full);
    cst_store_close(hash);
    disk_free(&disk);
}

TEST_MAIN
