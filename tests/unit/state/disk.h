// disk.h: a keeper of rows on disk beside one of a table, and the chain that their deltas make.
//
//   rows ─► pair_apply ─┬─► table ─► delta ─┐
//                       └─► disk  ─► delta ─┴─ equal, record for record ─► segment of the chain
#ifndef CST_TEST_DISK_H
#define CST_TEST_DISK_H

#include "state/disk_rows.h"
#include "state/keeper_lmdb.h"
#include "unit/state/deltas.h"
#include "unit/state/folder.h"

enum {
    DISK_ROWS_MAX = 512, // of a block
    DISK_EPOCHS_MAX = 64,
    DISK_VALUE_BYTES = 56,
    DISK_TIMES = 500, // rows of a block differ by
    DISK_SETTLE_ROWS = 100,
};
#define DISK_BUDGET ((uint64_t)64 << 20)

static const cst_segment_part disk_part = {CST_TABLE_INLINE, 8, DISK_VALUE_BYTES};

static uint64_t disk_ttl_us = CST_TTL_NONE; // a test's own

static inline cst_program disk_program(void) {
    return (cst_program){.value_bytes = DISK_VALUE_BYTES,
                         .accumulators_count = 6,
                         .presence_offset = 40,
                         .ttl_us = disk_ttl_us,
                         .time_offset = disk_ttl_us ? 48 : CST_NO_OFFSET,
                         .accumulators = {{CST_COUNT, CST_U64, 0, CST_NO_COLUMN, 0},
                                          {CST_SUM, CST_U64, 8, 0, 0},
                                          {CST_MIN, CST_U64, 16, 0, 0},
                                          {CST_MAX, CST_U64, 24, 0, 0},
                                          {CST_LAST, CST_U64, 32, 0, 0},
                                          {CST_MAX, CST_I64, 48, 1, 0}}};
}

static inline csti_disk_options disk_options(void) {
    const cst_program program = disk_program();

    return (csti_disk_options){.identity = {.table_id = 42,
                                            .schema_hash = cst_segment_schema_hash("u64"),
                                            .program_hash = cst_segment_program_hash(&program),
                                            .hash_key_check =
                                                cst_segment_hash_key_check(&TEST_HASH_KEY),
                                            .value_bytes = DISK_VALUE_BYTES,
                                            .group_to = CST_KEY_GROUPS_COUNT},
                               .boot = "this boot"};
}

typedef struct disk_pair {
    char folder[256];
    char why[CSTI_DISK_WHY_BYTES];
    cst_device *device;
    cst_queue *queue;
    cst_device_table *table;
    csti_keeper *keepers[2]; // of the table; of the disk
    bytes_sink chain_bytes[DISK_EPOCHS_MAX];
    cst_segment *chain[DISK_EPOCHS_MAX];
    uint32_t checksums[DISK_EPOCHS_MAX];
    size_t chain_count;
    uint64_t budget_bytes;
    // A block
    uint64_t keys[DISK_ROWS_MAX], hashes[DISK_ROWS_MAX], values[DISK_ROWS_MAX];
    uint8_t ops[DISK_ROWS_MAX], validity[DISK_ROWS_MAX / 8];
    int64_t times[DISK_ROWS_MAX], now_us; // now_us: a test's
    cst_source sources[2];
    cst_rows rows;
} disk_pair;

static inline cst_code disk_keeper_open(disk_pair *pair, csti_disk_rows *rows, cst_err *err) {
    const csti_keeper_lmdb_options options = {.rows = rows,
                                              .part = disk_part,
                                              .program = disk_program(),
                                              .hash_key = TEST_HASH_KEY,
                                              .epoch = pair->chain_count + 1,
                                              .budget_bytes = pair->budget_bytes,
                                              .settle_rows = DISK_SETTLE_ROWS};

    return csti_keeper_lmdb_open(&options, &pair->keepers[1], err);
}

// The disk, at the end of the chain, with a keeper that goes on from there.
static inline void disk_open(disk_pair *pair) {
    const csti_disk_options options = disk_options();
    const cst_restore_options all = {0};
    csti_disk_rows *rows = NULL;
    char why[CSTI_DISK_WHY_BYTES];
    cst_err err;

    if (csti_disk_rows_open(pair->folder, &options, pair->why, &rows, &err) != CST_OK)
        TEST_FAIL("%s", err.text);
    if (csti_disk_rows_restore(rows, pair->chain, pair->chain_count, &all, CSTI_DISK_BATCH_ROWS_MIN,
                               why, NULL, &err) != CST_OK)
        TEST_FAIL("%s", err.text);
    if (*why) (void)snprintf(pair->why, sizeof pair->why, "%s", why);
    CHECK_EQ(csti_disk_rows_mark(rows).whole.epoch, pair->chain_count);
    CHECK_OK(disk_keeper_open(pair, rows, &err));
}

static inline void pair_open(disk_pair *pair, uint64_t budget_bytes) {
    const cst_table_options options = {.layout = CST_TABLE_INLINE,
                                       .key_bytes = 8,
                                       .program = disk_program(),
                                       .hash_key = TEST_HASH_KEY,
                                       .budget_bytes = DISK_BUDGET,
                                       .log_segment_bytes = 64 << 10,
                                       .numa_node = -1};

    memset(pair, 0, sizeof *pair);
    folder_make(pair->folder, sizeof pair->folder);
    pair->budget_bytes = budget_bytes;
    CHECK_OK(cst_device_open("cpu:", &pair->device, NULL));
    CHECK_OK(cst_queue_open(pair->device, NULL, &pair->queue, NULL));
    CHECK_OK(cst_device_table_open(pair->queue, &options, NULL, &pair->table, NULL));
    CHECK_OK(csti_keeper_table_open(pair->queue, pair->table, &pair->keepers[0], NULL));
    disk_open(pair);
}

static inline void pair_close(disk_pair *pair) {
    csti_keeper_close(pair->keepers[1]);
    csti_keeper_close(pair->keepers[0]);
    cst_device_table_close(pair->table);
    cst_queue_close(pair->queue);
    cst_device_close(pair->device);
    for (size_t i = 0; i < pair->chain_count; i++) {
        cst_segment_close(pair->chain[i]);
        sink_free(&pair->chain_bytes[i]);
    }
    folder_remove(pair->folder);
}

// `count` rows with keys below keys_max; deletes are one in `deletes_of`, 0: none.
static inline void block_draw(disk_pair *pair, uint32_t count, uint64_t keys_max,
                              uint64_t deletes_of) {
    memset(pair->validity, 0, sizeof pair->validity);
    for (uint32_t r = 0; r < count; r++) {
        const uint64_t number = test_random_below(keys_max);

        cst_key_encode_u64(number, (uint8_t *)&pair->keys[r]);
        pair->values[r] = test_random_below(1000);
        pair->times[r] = pair->now_us + (int64_t)test_random_below(DISK_TIMES);
        pair->ops[r] =
            deletes_of && test_random_below(deletes_of) == 0 ? CST_ROW_DELETE : CST_ROW_UPSERT;
        if (test_random_below(10) > 0) pair->validity[r / 8] |= (uint8_t)(1u << r % 8);
    }
    cst_hash_fixed(&TEST_HASH_KEY, (const uint8_t *)pair->keys, 8, 8, count, pair->hashes);
    pair->sources[0] = (cst_source){pair->values, pair->validity, CST_TYPE_U64};
    pair->sources[1] = (cst_source){pair->times, NULL, CST_TYPE_TIMESTAMP};
    pair->rows = (cst_rows){.rows_count = count,
                            .key_stride = 8,
                            .key_bytes = 8,
                            .ops = pair->ops,
                            .hashes = pair->hashes,
                            .keys = (const uint8_t *)pair->keys,
                            .now_us = pair->now_us,
                            .sources = pair->sources};
}

// One command to its end.
static inline cst_completion keeper_run(csti_keeper *keeper, const cst_command *command) {
    cst_completion done[32];
    uint32_t count = 0;
    bool worked = false;
    cst_err err;

    CHECK_OK(csti_keeper_submit(keeper, command, &err));
    for (int turn = 0; count == 0; turn++) {
        CHECK(turn < 10000);
        if (csti_keeper_poll(keeper, done, 32, &count, &worked, &err) != CST_OK)
            TEST_FAIL("%s", err.text);
    }
    CHECK_EQ(count, 1);
    return done[0];
}

static inline cst_completion keeper_apply(disk_pair *pair, int which) {
    const cst_command command = {.ops = CST_OP_APPLY, .table = pair->table, .rows = pair->rows};

    return keeper_run(pair->keepers[which], &command);
}

// The block into both; they say the same.
static inline cst_code pair_apply(disk_pair *pair) {
    const cst_completion table = keeper_apply(pair, 0);
    const cst_completion disk = keeper_apply(pair, 1);

    CHECK_EQ(table.code, disk.code);
    CHECK_EQ(table.stopped, disk.stopped);
    CHECK_EQ(table.rows_done, disk.rows_done);
    return disk.code;
}

static inline void chain_add(disk_pair *pair, const cst_delta *delta) {
    const csti_disk_options options = disk_options();
    const size_t at = pair->chain_count;
    cst_segment_info info = {
        .kind = at == 0 ? CST_SEGMENT_FULL_UNORDERED : CST_SEGMENT_DELTA,
        .table_id = options.identity.table_id,
        .epoch_from = at + 1,
        .epoch_to = at + 1,
        .base_epoch = at,
        .base_checksum = at == 0 ? 0 : pair->checksums[at - 1],
        .schema_hash = options.identity.schema_hash,
        .program_hash = options.identity.program_hash,
        .hash_key_check = options.identity.hash_key_check,
        .parts_count = 1,
        .parts = {disk_part},
    };
    cst_bytes ranges[DELTA_RANGES_MAX];
    const cst_bytes *parts[1] = {ranges};
    cst_segment_summary summary;
    size_t count;

    CHECK(at < DISK_EPOCHS_MAX);
    csti_keeper_delta_ranges(pair->keepers[1], delta, ranges, DELTA_RANGES_MAX, &count);
    CHECK_OK(cst_segment_write(&info, parts, &count, sink_write, &pair->chain_bytes[at], &summary,
                               NULL));
    CHECK_OK(cst_segment_open_bytes("delta", pair->chain_bytes[at].bytes,
                                    pair->chain_bytes[at].count, NULL, &pair->chain[at], NULL));
    pair->checksums[at] = summary.checksum;
    pair->chain_count++;
}

static inline int records_compare(const void *a, const void *b) {
    const csti_record_shape shape = csti_record_shape_of(&disk_part);

    return memcmp(a, b, shape.record_bytes);
}

static inline void records_sort(bytes_sink *records) {
    const csti_record_shape shape = csti_record_shape_of(&disk_part);

    if (records->count > 0)
        qsort(records->bytes, records->count / shape.record_bytes, shape.record_bytes,
              records_compare);
}

// Seals both: equal deltas, but for the order of what expired. The table's is released, the disk's
// is the caller's to.
static inline cst_delta pair_seal(disk_pair *pair) {
    const cst_command barrier = {.ops = CST_OP_BARRIER, .table = pair->table};
    cst_delta deltas[2];
    bytes_sink records[2];
    cst_command release;

    for (int i = 0; i < 2; i++) {
        deltas[i] = keeper_run(pair->keepers[i], &barrier).delta;
        records[i] = records_of(pair->keepers[i], &deltas[i]);
        if (disk_ttl_us != CST_TTL_NONE) records_sort(&records[i]);
    }
    CHECK_EQ(records[0].count, records[1].count);
    CHECK_BYTES(records[0].bytes, records[1].bytes, records[0].count);
    sink_free(&records[0]);
    sink_free(&records[1]);
    chain_add(pair, &deltas[1]);
    release = (cst_command){.ops = CST_OP_RELEASE,
                            .fixup = true,
                            .table = pair->table,
                            .release = deltas[0]};
    (void)keeper_run(pair->keepers[0], &release);
    return deltas[1];
}

static inline cst_command release_of(disk_pair *pair, const cst_delta *delta) {
    csti_keeper_committed(pair->keepers[1], pair->checksums[delta->epoch - 1]);
    return (cst_command){.ops = CST_OP_RELEASE, .fixup = true, .release = *delta};
}

static inline void pair_release(disk_pair *pair, const cst_delta *delta) {
    const cst_command release = release_of(pair, delta);

    (void)keeper_run(pair->keepers[1], &release);
}

static inline csti_keeper_stats stats_of(const disk_pair *pair, int which) {
    csti_keeper_stats stats;

    CHECK(csti_keeper_stats_read(pair->keepers[which], &stats));
    return stats;
}

typedef struct disk_visit {
    cst_table *table;
    uint64_t count;
} disk_visit;

static inline cst_code row_compare(void *context, const cst_row_ref *row, cst_err *err) {
    disk_visit *visit = context;
    uint8_t value[DISK_VALUE_BYTES];
    size_t value_bytes;

    (void)err;
    CHECK_OK(
        cst_table_get(visit->table, row->key, row->key_bytes, value, sizeof value, &value_bytes));
    CHECK_BYTES(row->value, value, DISK_VALUE_BYTES);
    visit->count++;
    return CST_OK;
}

// The rows on disk, all of them settled, are the table's.
static inline void check_disk(disk_pair *pair) {
    const csti_disk_options options = disk_options();
    const cst_restore_options all = {0};
    disk_visit visit = {cst_device_table_image(pair->table), 0};
    csti_disk_rows *rows = NULL;
    char why[CSTI_DISK_WHY_BYTES];

    csti_keeper_close(pair->keepers[1]);
    CHECK_OK(csti_disk_rows_open(pair->folder, &options, pair->why, &rows, NULL));
    CHECK_OK(csti_disk_rows_restore(rows, pair->chain, pair->chain_count, &all,
                                    CSTI_DISK_BATCH_ROWS_MIN, why, NULL, NULL));
    CHECK_OK(csti_disk_rows_scan(rows, row_compare, &visit, NULL));
    CHECK_EQ(visit.count, stats_of(pair, 0).rows_count);
    CHECK_EQ(csti_disk_rows_count(rows), visit.count);
    csti_disk_rows_close(rows);
    disk_open(pair);
}

#endif
