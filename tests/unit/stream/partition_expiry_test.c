// Partitions whose keys expire: by the watermark, by the clock, and where memory is short.
#include "stream/partition.h"

#include "test.h"

enum { BLOCK_ROWS = 256, BLOCKS = 4, TTL_US = 1000, SEALED_MAX = 4096, TURNS_MAX = 100000 };

typedef struct fixture {
    csti_clock_sim clock;
    csti_guard guard;
    csti_metrics *metrics;
    cst_device *device;
    cst_queue *queue;
    cst_device_table *table;
    cst_schema key;
    csti_channel *channel;
    csti_partition *partition;
    _Atomic uint32_t paused;
    bool by_clock;
    uint64_t id; // of the last barrier
    csti_sealed sealed[SEALED_MAX];
    uint64_t sealed_count, released_count;
    cst_err err;
} fixture;

static cst_code sealed_take(void *context, const csti_sealed *sealed, cst_err *err) {
    fixture *f = context;

    (void)err;
    CHECK(f->sealed_count < SEALED_MAX);
    f->sealed[f->sealed_count++] = *sealed;
    return CST_OK;
}

static bool released_give(void *context, csti_released *out) {
    fixture *f = context;

    if (f->released_count == f->sealed_count) return false;
    *out = (csti_released){.delta = f->sealed[f->released_count++].delta};
    return true;
}

static void given_up_take(void *context, csti_barrier barrier, cst_code code, uint32_t input) {
    (void)context, (void)barrier, (void)code, (void)input;
}

// A count and the time of the last row, which is a column, or the clock.
static void fixture_open(fixture *f, const char *uri, bool by_clock, uint64_t state_bytes) {
    const cst_table_options options = {
        .layout = CST_TABLE_INLINE,
        .key_bytes = 8,
        .program = {.value_bytes = 16,
                    .accumulators_count = 2,
                    .presence_offset = CST_NO_OFFSET,
                    .ttl_us = TTL_US,
                    .time_offset = 8,
                    .accumulators = {{CST_COUNT, CST_U64, 0, CST_NO_COLUMN, 0},
                                     {CST_MAX, CST_I64, 8, 0, 0}}},
        .hash_key = {1, 2},
        .budget_bytes = 64 << 20,
        .log_segment_bytes = 64 << 10,
        .numa_node = -1,
    };
    const csti_aligner_options align = {.inputs_count = 1};
    const csti_block_shape shape = {.rows_capacity = BLOCK_ROWS,
                                    .key_bytes = 8,
                                    .key_bytes_max = 8,
                                    .sources_count = by_clock ? 0 : 1,
                                    .source_types = {CST_TYPE_TIMESTAMP}};

    memset(f, 0, sizeof *f);
    f->by_clock = by_clock;
    csti_clock_sim_init(&f->clock, 1000000);
    CHECK_OK(csti_guard_init(&f->guard, 7, 1));
    CHECK_OK(csti_metrics_open(&f->metrics, NULL));
    CHECK_OK(cst_device_open(uri, &f->device, NULL));
    CHECK_OK(cst_queue_open(f->device, NULL, &f->queue, NULL));
    CHECK_OK(cst_device_table_open(f->queue, &options, NULL, &f->table, NULL));
    CHECK_OK(cst_schema_parse("u64", &f->key, NULL));
    CHECK_OK(csti_channel_open(&shape, BLOCKS, -1, &f->channel, NULL));
    const csti_partition_options wanted = {
        .clock = &f->clock.clock,
        .guard = &f->guard,
        .queue = f->queue,
        .table = f->table,
        .key = &f->key,
        .inputs = &f->channel,
        .align = &align,
        .state_bytes_max = state_bytes,
        .log_bytes_max = 16 << 20,
        .paused = &f->paused,
        .watermark_us = CSTI_WATERMARK_NONE,
        .ttl_us = TTL_US,
        .clock_source = by_clock ? 0 : CST_NO_COLUMN,
        .block_rows_max = BLOCK_ROWS,
        .events = {.sealed = sealed_take,
                   .released = released_give,
                   .given_up = given_up_take,
                   .context = f},
        .metrics = f->metrics,
    };
    CHECK_OK(csti_partition_open(&wanted, &f->partition, NULL));
}

static void fixture_close(fixture *f) {
    csti_partition_close(f->partition);
    cst_device_table_close(f->table);
    cst_queue_close(f->queue);
    cst_device_close(f->device);
    csti_channel_close(f->channel);
    csti_metrics_close(f->metrics);
}

static void run(fixture *f) {
    int idle = 0;

    for (int turn = 0; turn < TURNS_MAX && idle < (turn < 1000 ? 1000 : 3); turn++) {
        const cst_code code = csti_partition_poll(f->partition, &f->err);

        if (code != CST_OK && code != CST_AGAIN) TEST_FAIL("%s", f->err.text);
        idle = code == CST_AGAIN && cst_queue_in_flight(f->queue) == 0 ? idle + 1 : 0;
    }
}

static bool send(fixture *f, uint64_t first_key, uint32_t count, int64_t time_us) {
    const cst_hash_key hash_key = {1, 2};
    csti_block *block = csti_channel_block(f->channel);

    if (!block) return false;
    for (uint32_t r = 0; r < count; r++) {
        cst_key_encode_u64(first_key + r, block->keys + 8 * r);
        if (!f->by_clock) ((int64_t *)(uintptr_t)block->sources[0].values)[r] = time_us;
    }
    cst_hash_fixed(&hash_key, block->keys, 8, 8, count, block->hashes);
    block->rows_count = count;
    block->bytes = count * 24;
    csti_channel_send_rows(f->channel, block);
    return true;
}

static void send_barrier(fixture *f, csti_barrier_mode mode) {
    f->id++;
    CHECK_OK(csti_channel_send_barrier(f->channel,
                                       (csti_barrier){.id = f->id, .epoch = f->id, .mode = mode}));
    run(f);
    CHECK_EQ(f->sealed_count, f->id);
}

// Rows that a scan at `now_us` finds; at INT64_MIN: what lies in the table.
static uint64_t keys_at(fixture *f, int64_t now_us) {
    cst_scan scan = {.now_us = now_us};
    cst_row_ref rows[64];
    uint64_t all = 0;
    uint32_t count = 0;

    do {
        CHECK_OK(cst_table_scan(cst_device_table_image(f->table), &scan, rows, 64, &count));
        all += count;
    } while (count > 0);
    return all;
}

static uint64_t count_of(fixture *f, uint64_t key, int64_t now_us) {
    const cst_hash_key hash_key = {1, 2};
    uint64_t value[2] = {0};
    uint8_t encoded[8];
    uint8_t found = 0;
    uint64_t hash;
    cst_rows keys = {.rows_count = 1, .key_stride = 8, .key_bytes = 8, .now_us = now_us};

    cst_key_encode_u64(key, encoded);
    cst_hash_fixed(&hash_key, encoded, 8, 8, 1, &hash);
    keys.keys = encoded;
    keys.hashes = &hash;
    CHECK_OK(
        cst_table_lookup(cst_device_table_image(f->table), &keys, (uint8_t *)value, 16, &found));
    return found ? value[0] : 0;
}

static int64_t metric(const csti_metric *m) {
    return (int64_t)atomic_load(&m->value);
}

TEST(keys_go_when_the_watermark_passes_their_time_and_not_before) {
    static const char *const uris[] = {"cpu:", "cpu:?worker=1"};

    for (int u = 0; u < 2; u++) {
        fixture f;

        fixture_open(&f, uris[u], false, 64 << 20);
        CHECK(send(&f, 0, 200, 5000));
        CHECK(send(&f, 200, 50, 5500));
        csti_channel_send_watermark(f.channel, 5000 + TTL_US - 1);
        send_barrier(&f, CSTI_BARRIER_FINAL);
        CHECK_EQ(keys_at(&f, INT64_MIN), 250);
        csti_channel_send_watermark(f.channel, 5000 + TTL_US);
        send_barrier(&f, CSTI_BARRIER_FINAL);
        CHECK_EQ(keys_at(&f, INT64_MIN), 50);
        CHECK_EQ(metric(csti_partition_metrics_of(f.partition)->expired), 200);
        CHECK_EQ(f.sealed[1].watermark_us, 5000 + TTL_US);
        CHECK_EQ(f.sealed[1].delta.to - f.sealed[1].delta.from, 200 * 64); // a tombstone each
        fixture_close(&f);
    }
}

TEST(a_row_behind_its_keys_time_begins_the_key_anew) {
    fixture f;

    fixture_open(&f, "cpu:", false, 64 << 20);
    CHECK(send(&f, 0, 2, 5000));
    CHECK(send(&f, 1, 1, 5000 + TTL_US)); // key 1 lives on
    csti_channel_send_watermark(f.channel, 5000 + TTL_US);
    CHECK(send(&f, 0, 2, 5000 + TTL_US + 1));
    run(&f);
    CHECK_EQ(count_of(&f, 0, 5000 + TTL_US), 1);
    CHECK_EQ(count_of(&f, 1, 5000 + TTL_US), 3);
    fixture_close(&f);
}

TEST(a_row_that_is_late_beyond_the_ttl_is_gone_by_the_final_barrier) {
    fixture f;

    fixture_open(&f, "cpu:", false, 64 << 20);
    CHECK(send(&f, 0, 1, 90000));
    csti_channel_send_watermark(f.channel, 90000);
    run(&f); // a walk at 90,000 has ended
    CHECK(send(&f, 1, 1, 10));
    send_barrier(&f, CSTI_BARRIER_FINAL);
    CHECK_EQ(keys_at(&f, INT64_MIN), 1);
    fixture_close(&f);
}

TEST(by_the_clock_keys_go_though_nothing_comes_and_its_time_goes_with_the_seal) {
    const csti_partition_metrics *m;
    fixture f;

    fixture_open(&f, "cpu:", true, 64 << 20);
    m = csti_partition_metrics_of(f.partition);
    CHECK(send(&f, 0, 100, 0));
    run(&f);
    csti_clock_sim_advance(&f.clock, 2000 * TTL_US / 4);
    CHECK(send(&f, 100, 100, 0));
    run(&f);
    CHECK_EQ(keys_at(&f, INT64_MIN), 200);
    csti_clock_sim_advance(&f.clock, 2000 * TTL_US);
    run(&f);
    CHECK_EQ(keys_at(&f, INT64_MIN), 0);
    CHECK_EQ(metric(m->expired), 200);
    csti_clock_sim_step_wall(&f.clock, -500000); // somebody sets it back
    send_barrier(&f, CSTI_BARRIER_ALIGNED);
    CHECK(f.sealed[0].watermark_us >= 1000000 + 2 * TTL_US);
    fixture_close(&f);
}

// Sixteen times the keys that have room, each of them once: by the clock those that came first go.
TEST(a_partition_that_is_full_goes_on_when_keys_have_gone) {
    enum { STATE_BYTES = 4 << 20, ALL_KEYS = 512000 };
    uint64_t pauses = 0, next = 0, state_max = 0;
    fixture f;

    fixture_open(&f, "cpu:", true, STATE_BYTES);
    for (int turn = 0; turn < SEALED_MAX - 1 && next < ALL_KEYS; turn++) {
        cst_table_stats stats;

        while (f.paused == 0 && next < ALL_KEYS && send(&f, next, BLOCK_ROWS, 0)) {
            next += BLOCK_ROWS;
            run(&f);
        }
        pauses += f.paused;
        CHECK(!csti_partition_is_starved(f.partition));
        cst_table_stats_read(cst_device_table_view(f.table), &stats);
        const uint64_t state_bytes = stats.slots_bytes + stats.index_bytes + stats.directory_bytes;

        if (state_bytes > state_max) state_max = state_bytes;
        send_barrier(&f, CSTI_BARRIER_ALIGNED);
        csti_clock_sim_advance(&f.clock, 1000 * TTL_US + 1000000);
        run(&f);
    }
    CHECK_EQ(next, ALL_KEYS);
    CHECK(pauses > 8);
    CHECK(metric(csti_partition_metrics_of(f.partition)->pauses) > 8);
    CHECK(state_max < STATE_BYTES + STATE_BYTES / 20);
    fixture_close(&f);
}

TEST(a_watermark_that_stands_frees_nothing_and_the_partition_says_so) {
    uint64_t next = 0;
    fixture f;

    fixture_open(&f, "cpu:", false, 1 << 20);
    csti_channel_send_watermark(f.channel, 5000);
    while (f.paused == 0) {
        CHECK(send(&f, next, BLOCK_ROWS, 5000));
        next += BLOCK_ROWS;
        run(&f);
    }
    send_barrier(&f, CSTI_BARRIER_ALIGNED);
    CHECK(csti_partition_is_starved(f.partition));
    csti_channel_send_watermark(f.channel, 5000 + TTL_US); // it was under way
    run(&f);
    CHECK(!csti_partition_is_starved(f.partition));
    CHECK_EQ(f.paused, 0);
    fixture_close(&f);
}

TEST_MAIN
