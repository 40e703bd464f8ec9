// Partitions: what is applied, sealed and released, from messages made by hand.
#include "stream/partition.h"

#include "test.h"

enum {
    INPUTS = 2,
    BLOCK_ROWS = 256,
    BLOCKS = 4,
    KEYS = 1000,
    TURNS_MAX = 10000,
    SEALED_MAX = 256,
    HELD_ROWS_MAX = 3 * BLOCK_ROWS,
};

typedef struct fixture {
    csti_clock_sim clock;
    csti_guard guard;
    csti_metrics *metrics;
    cst_device *device;
    cst_queue *queue;
    cst_device_table *table;
    cst_schema key;
    csti_block_shape shape;
    csti_channel *channels[INPUTS];
    csti_partition *partition;
    _Atomic uint32_t paused;
    _Atomic uint64_t aborted_id;
    csti_sealed sealed[SEALED_MAX];
    uint64_t sealed_count, released_count, releasable_count;
    uint64_t given_up_id;
    cst_code given_up_code;
    uint32_t given_up_input;
    cst_code sealed_code;
    uint64_t counts[KEYS], sums[KEYS]; // what the table should hold
    uint64_t applied_rows, latency_ns; // the latter of the last block
    cst_err err;
} fixture;

static cst_code sealed_take(void *context, const csti_sealed *sealed, cst_err *err) {
    fixture *f = context;

    (void)err;
    CHECK(f->sealed_count < SEALED_MAX);
    f->sealed[f->sealed_count++] = *sealed;
    return f->sealed_code;
}

static bool released_give(void *context, csti_released *out) {
    fixture *f = context;

    if (f->released_count >= f->releasable_count) return false;
    *out = (csti_released){.delta = f->sealed[f->released_count++].delta};
    return true;
}

static void given_up_take(void *context, csti_barrier barrier, cst_code code, uint32_t input) {
    fixture *f = context;

    f->given_up_id = barrier.id;
    f->given_up_code = code;
    f->given_up_input = input;
}

static void applied_count(void *context, uint32_t rows_count, uint64_t read_ns,
                          uint64_t applied_ns) {
    fixture *f = context;

    f->applied_rows += rows_count;
    f->latency_ns = applied_ns - read_ns;
}

static void fixture_open_bounded(fixture *f, const char *uri, uint64_t state_bytes,
                                 uint64_t log_bytes, uint64_t table_bytes) {
    const cst_table_options options = {
        .layout = CST_TABLE_INLINE,
        .key_bytes = 8,
        .program = {.value_bytes = 16,
                    .accumulators_count = 2,
                    .presence_offset = CST_NO_OFFSET,
                    .time_offset = CST_NO_OFFSET,
                    .accumulators = {{CST_COUNT, CST_U64, 0, CST_NO_COLUMN, 0},
                                     {CST_SUM, CST_U64, 8, 0, 0}}},
        .hash_key = {1, 2},
        .budget_bytes = table_bytes,
        .log_segment_bytes = 64 << 10,
        .numa_node = -1,
    };
    const csti_aligner_options align = {.inputs_count = INPUTS,
                                        .rows_max = HELD_ROWS_MAX,
                                        .time_max_ns = 1000};

    memset(f, 0, sizeof *f);
    csti_clock_sim_init(&f->clock, 0);
    CHECK_OK(csti_guard_init(&f->guard, 7, 1));
    CHECK_OK(csti_metrics_open(&f->metrics, NULL));
    CHECK_OK(cst_device_open(uri, &f->device, NULL));
    CHECK_OK(cst_queue_open(f->device, NULL, &f->queue, NULL));
    CHECK_OK(cst_device_table_open(f->queue, &options, NULL, &f->table, NULL));
    CHECK_OK(cst_schema_parse("u64", &f->key, NULL));
    f->shape = (csti_block_shape){.rows_capacity = BLOCK_ROWS,
                                  .key_bytes = 8,
                                  .key_bytes_max = 8,
                                  .sources_count = 1,
                                  .source_types = {CST_TYPE_U64}};
    for (int i = 0; i < INPUTS; i++)
        CHECK_OK(csti_channel_open(&f->shape, BLOCKS, -1, &f->channels[i], NULL));
    const csti_partition_options wanted = {
        .partition = 3,
        .clock = &f->clock.clock,
        .guard = &f->guard,
        .queue = f->queue,
        .table = f->table,
        .key = &f->key,
        .inputs = f->channels,
        .align = &align,
        .state_bytes_max = state_bytes,
        .log_bytes_max = log_bytes,
        .paused = &f->paused,
        .aborted_id = &f->aborted_id,
        .rows_before = 100,
        .watermark_us = CSTI_WATERMARK_NONE,
        .events = {.sealed = sealed_take,
                   .released = released_give,
                   .given_up = given_up_take,
                   .applied = applied_count,
                   .context = f},
        .metrics = f->metrics,
    };
    CHECK_OK(csti_partition_open(&wanted, &f->partition, NULL));
}

static void fixture_open(fixture *f, const char *uri) {
    fixture_open_bounded(f, uri, 64 << 20, 64 << 20, 64 << 20);
}

static void fixture_close(fixture *f) {
    csti_partition_close(f->partition);
    cst_device_table_close(f->table);
    cst_queue_close(f->queue);
    cst_device_close(f->device);
    for (int i = 0; i < INPUTS; i++) csti_channel_close(f->channels[i]);
    csti_metrics_close(f->metrics);
}

static void run(fixture *f) {
    int idle = 0;

    // A device with a thread of its own may need a moment.
    for (int turn = 0; turn < TURNS_MAX * 100 && idle < (turn < 1000 ? 1000 : 3); turn++) {
        const cst_code code = csti_partition_poll(f->partition, &f->err);

        if (code != CST_OK && code != CST_AGAIN) TEST_FAIL("%s", f->err.text);
        idle = code == CST_AGAIN && cst_queue_in_flight(f->queue) == 0 ? idle + 1 : 0;
    }
}

// A block of `count` rows with keys from first_key on, each of `amount`; false: the channel is
// full.
static bool send(fixture *f, int input, uint64_t first_key, uint32_t count, uint64_t amount) {
    const cst_hash_key hash_key = {1, 2};
    csti_block *block = csti_channel_block(f->channels[input]);

    CHECK(count <= BLOCK_ROWS);
    if (!block) return false;
    for (uint32_t r = 0; r < count; r++) {
        const uint64_t key = first_key + r;

        cst_key_encode_u64(key, block->keys + 8 * r);
        ((uint64_t *)(uintptr_t)block->sources[0].values)[r] = amount;
        if (key >= KEYS) continue;
        f->counts[key]++;
        f->sums[key] += amount;
    }
    cst_hash_fixed(&hash_key, block->keys, 8, 8, count, block->hashes);
    block->rows_count = count;
    block->bytes = count * 24;
    csti_channel_send_rows(f->channels[input], block);
    return true;
}

static void send_barrier(fixture *f, int input, uint64_t id) {
    const csti_barrier barrier = {.id = id, .epoch = id, .mode = CSTI_BARRIER_ALIGNED};

    CHECK_OK(csti_channel_send_barrier(f->channels[input], barrier));
}

static void check_table(fixture *f) {
    cst_table *image = cst_device_table_image(f->table);

    for (uint64_t key = 0; key < KEYS; key++) {
        uint64_t value[2] = {0};
        uint8_t encoded[8];
        size_t bytes = 0;

        cst_key_encode_u64(key, encoded);
        const cst_code code = cst_table_get(image, encoded, 8, value, sizeof value, &bytes);
        CHECK_CODE(code, f->counts[key] ? CST_OK : CST_NOT_FOUND);
        CHECK_EQ(value[0], f->counts[key]);
        CHECK_EQ(value[1], f->sums[key]);
    }
}

static uint64_t metric(const csti_metric *m) {
    return atomic_load(&m->value);
}

TEST(rows_of_all_inputs_are_applied_and_their_blocks_go_back) {
    static const char *const uris[] = {"cpu:", "cpu:?worker=1"};

    for (int u = 0; u < 2; u++) {
        fixture f;

        fixture_open(&f, uris[u]);
        for (int round = 0; round < 50; round++) {
            for (int i = 0; i < INPUTS; i++)
                CHECK(send(&f, i, test_random_below(KEYS - BLOCK_ROWS), BLOCK_ROWS, 3));
            run(&f);
        }
        check_table(&f);
        CHECK_EQ(metric(csti_partition_metrics_of(f.partition)->rows), 50 * INPUTS * BLOCK_ROWS);
        CHECK_EQ(f.applied_rows, 50 * INPUTS * BLOCK_ROWS);
        fixture_close(&f);
    }
}

TEST(a_block_is_told_of_when_it_is_in_the_table_and_with_its_time_on_the_way) {
    fixture f;

    fixture_open(&f, "cpu:");
    CHECK(send(&f, 0, 0, 10, 1)); // read at 0
    csti_clock_sim_advance(&f.clock, 700);
    CHECK_EQ(f.applied_rows, 0);
    run(&f);
    CHECK_EQ(f.applied_rows, 10);
    CHECK_EQ(f.latency_ns, 700);
    check_table(&f);
    fixture_close(&f);
}

TEST(a_seal_holds_what_came_before_the_barrier_of_every_input) {
    csti_sealed *sealed;
    fixture f;

    fixture_open(&f, "cpu:");
    CHECK(send(&f, 0, 0, 10, 1));
    send_barrier(&f, 0, 5);
    CHECK(send(&f, 0, 100, 10, 1)); // behind the barrier
    CHECK(send(&f, 1, 200, 10, 1));
    run(&f);
    CHECK_EQ(f.sealed_count, 0);
    csti_channel_send_watermark(f.channels[0], 77);
    csti_channel_send_watermark(f.channels[1], 66);
    CHECK(send(&f, 1, 300, 10, 1));
    send_barrier(&f, 1, 5);
    run(&f);
    CHECK_EQ(f.sealed_count, 1);
    sealed = &f.sealed[0];
    CHECK_EQ(sealed->barrier.id, 5);
    CHECK_EQ(sealed->rows_count, 100 + 30);
    CHECK_EQ(sealed->delta.epoch, 1);
    check_table(&f); // what was held came after the seal
    CHECK_EQ(metric(csti_partition_metrics_of(f.partition)->rows), 40);
    fixture_close(&f);
}

TEST(a_barrier_that_does_not_come_in_time_is_given_up) {
    fixture f;

    fixture_open(&f, "cpu:");
    send_barrier(&f, 0, 5);
    CHECK(send(&f, 0, 0, 10, 1));
    run(&f);
    csti_clock_sim_advance(&f.clock, 2000);
    run(&f);
    CHECK_EQ(f.given_up_id, 5);
    CHECK_EQ(f.given_up_code, CST_ALIGN_TIMEOUT);
    CHECK_EQ(f.sealed_count, 0);
    check_table(&f); // the held rows went on
    fixture_close(&f);
}

// Input 0 passes the barrier, and input 1 is waited for.
static void check_given_up(fixture *f, uint64_t id, cst_code code, const csti_metric *counter) {
    run(f);
    CHECK_EQ(f->given_up_id, id);
    CHECK_EQ(f->given_up_code, code);
    CHECK_EQ(f->given_up_input, 1);
    CHECK_EQ(metric(counter), 1);
    CHECK_EQ(f->sealed_count, 0);
}

TEST(each_way_to_give_a_barrier_up_has_its_counter_and_names_the_input) {
    const csti_partition_metrics *m;
    fixture f;

    fixture_open(&f, "cpu:");
    m = csti_partition_metrics_of(f.partition);
    send_barrier(&f, 0, 5);
    run(&f);
    csti_clock_sim_advance(&f.clock, 2000);
    check_given_up(&f, 5, CST_ALIGN_TIMEOUT, m->timeout);
    send_barrier(&f, 0, 6);
    for (int i = 0; i < BLOCKS; i++) CHECK(send(&f, 0, 0, BLOCK_ROWS, 1));
    check_given_up(&f, 6, CST_ALIGN_LIMIT, m->limit);
    send_barrier(&f, 0, 7);
    run(&f);
    atomic_store(&f.aborted_id, 7);
    check_given_up(&f, 7, CST_CHECKPOINT_ABORTED, m->aborted);
    send_barrier(&f, 1, 7);
    csti_clock_sim_advance(&f.clock, 2000000); // gauges are set now and then
    run(&f);
    CHECK_EQ(metric(m->ignored), 1);
    send_barrier(&f, 0, 8);
    run(&f);
    csti_channel_send_end(f.channels[1], CST_SOURCE_RECORD);
    check_given_up(&f, 8, CST_SOURCE_RECORD, m->input_failed);
    CHECK_EQ(metric(m->failed), 1);
    check_table(&f); // all that was held went on
    fixture_close(&f);
}

TEST(a_newer_barrier_gives_the_older_up_and_is_sealed) {
    const csti_partition_metrics *m;
    fixture f;

    fixture_open(&f, "cpu:");
    m = csti_partition_metrics_of(f.partition);
    send_barrier(&f, 0, 5);
    run(&f);
    send_barrier(&f, 1, 6);
    run(&f);
    CHECK_EQ(f.given_up_id, 5);
    CHECK_EQ(f.given_up_code, CST_CHECKPOINT_ORDER);
    CHECK_EQ(metric(m->superseded), 1);
    CHECK_EQ(metric(m->waits_for), 0);
    send_barrier(&f, 0, 6);
    run(&f);
    CHECK_EQ(f.sealed_count, 1);
    CHECK_EQ(f.sealed[0].barrier.id, 6);
    fixture_close(&f);
}

TEST(a_row_that_overflows_stops_the_partition_and_names_its_key) {
    fixture f;
    cst_code code = CST_OK;

    fixture_open(&f, "cpu:");
    CHECK(send(&f, 0, 40, 10, UINT64_MAX - 5));
    run(&f);
    f.counts[40] = f.sums[40] = 0;
    CHECK(send(&f, 0, 2000, 1, 1));
    CHECK(send(&f, 1, 45, 1, 6)); // over the top
    CHECK(send(&f, 1, 46, 1, 1)); // never applied
    f.counts[45]--, f.counts[46]--;
    for (int turn = 0; turn < 10 && (code == CST_OK || code == CST_AGAIN); turn++)
        code = csti_partition_poll(f.partition, &f.err);
    CHECK_CODE(code, CST_SUM_OVERFLOW);
    CHECK(strstr(f.err.text, "partition 3, key 45:"));
    CHECK_CODE(csti_partition_poll(f.partition, &f.err), CST_SUM_OVERFLOW);
    for (uint64_t key = 41; key < 50; key++) {
        uint64_t value[2] = {0};
        uint8_t encoded[8];
        size_t bytes;

        cst_key_encode_u64(key, encoded);
        CHECK_OK(cst_table_get(cst_device_table_image(f.table), encoded, 8, value, 16, &bytes));
        CHECK_EQ(value[0], f.counts[key]);
    }
    fixture_close(&f);
}

TEST(a_fenced_partition_applies_nothing_more) {
    fixture f;

    fixture_open(&f, "cpu:");
    CHECK(send(&f, 0, 0, 10, 1));
    run(&f);
    csti_guard_fence(&f.guard);
    CHECK(send(&f, 0, 0, 10, 1));
    CHECK_CODE(csti_partition_poll(f.partition, &f.err), CST_FENCED);
    CHECK_EQ(metric(csti_partition_metrics_of(f.partition)->rows), 10);
    fixture_close(&f);
}

TEST(an_error_of_the_seal_stops_the_partition) {
    fixture f;
    cst_code code = CST_OK;

    fixture_open(&f, "cpu:");
    f.sealed_code = CST_FENCED;
    for (int i = 0; i < INPUTS; i++) send_barrier(&f, i, 1);
    for (int turn = 0; turn < 10 && (code == CST_OK || code == CST_AGAIN); turn++)
        code = csti_partition_poll(f.partition, &f.err);
    CHECK_CODE(code, CST_FENCED);
    fixture_close(&f);
}

TEST(without_event_time_there_is_no_watermark_to_be_shown) {
    csti_buffer text;
    fixture f;

    fixture_open(&f, "cpu:");
    CHECK(send(&f, 0, 0, BLOCK_ROWS, 1));
    run(&f);
    csti_buffer_init(&text, 1 << 20);
    CHECK_OK(csti_metrics_write_json(f.metrics, &text, NULL));
    CHECK_OK(csti_buffer_append(&text, "", 1, NULL));
    CHECK(strstr((const char *)text.bytes, "constellation_keys{"));
    CHECK(!strstr((const char *)text.bytes, "constellation_watermark"));
    csti_buffer_release(&text);
    fixture_close(&f);
}

// One key again and again in new epochs: only the log grows, and only releases free it.
TEST(above_its_budget_a_partition_pauses_its_readers_until_a_release) {
    enum { LOG_BYTES = 3 << 20 };
    uint64_t id = 0;
    fixture f;

    fixture_open_bounded(&f, "cpu:", 64 << 20, LOG_BYTES, 64 << 20);
    while (f.paused == 0 && id < SEALED_MAX - 2) {
        for (uint64_t first = 0; first + BLOCK_ROWS <= KEYS; first += BLOCK_ROWS)
            CHECK(send(&f, (int)(first / BLOCK_ROWS % INPUTS), first, BLOCK_ROWS, 1));
        id++;
        for (int i = 0; i < INPUTS; i++) send_barrier(&f, i, id);
        run(&f);
    }
    CHECK_EQ(f.paused, 1);
    CHECK(!csti_partition_is_starved(f.partition));
    CHECK_EQ(metric(csti_partition_metrics_of(f.partition)->paused), 1);
    f.releasable_count = f.sealed_count;
    run(&f);
    CHECK_EQ(f.released_count, f.sealed_count);
    CHECK_EQ(f.paused, 0);
    CHECK_EQ(metric(csti_partition_metrics_of(f.partition)->paused), 0);
    check_table(&f);
    fixture_close(&f);
}

// All keys once, as an epoch of their own.
static void send_epoch(fixture *f, uint64_t id) {
    for (uint64_t first = 0; first + BLOCK_ROWS <= KEYS; first += BLOCK_ROWS)
        CHECK(send(f, (int)(first / BLOCK_ROWS % INPUTS), first, BLOCK_ROWS, 1));
    for (int i = 0; i < INPUTS; i++) send_barrier(f, i, id);
    run(f);
}

TEST(a_partition_near_its_budget_says_so_once_until_it_is_far_from_it) {
    enum { STATE_BYTES = 1 << 20, LOG_BYTES = 4 << 20 };
    const csti_partition_metrics *metrics;
    uint64_t id = 0;
    fixture f;

    fixture_open_bounded(&f, "cpu:", STATE_BYTES, LOG_BYTES, 64 << 20);
    metrics = csti_partition_metrics_of(f.partition);
    CHECK_EQ(metric(metrics->budget_bytes), STATE_BYTES + LOG_BYTES);
    for (int64_t round = 1; round <= 2; round++) {
        while (metric(metrics->near) == 0 && id < SEALED_MAX - 2) send_epoch(&f, ++id);
        CHECK_EQ(metric(metrics->near), 1);
        CHECK_EQ(metric(metrics->near_count), round);
        CHECK_EQ(f.paused, 0); // it only says so
        send_epoch(&f, ++id);
        CHECK_EQ(metric(metrics->near_count), round);
        f.releasable_count = f.sealed_count;
        run(&f);
        CHECK_EQ(metric(metrics->near), 0);
    }
    check_table(&f);
    fixture_close(&f);
}

TEST(a_table_without_room_waits_and_goes_on_behind_a_release) {
    enum { BYTES = 4 << 20 };
    uint64_t id = 0;
    fixture f;

    fixture_open_bounded(&f, "cpu:", BYTES, BYTES, BYTES); // no reserve: the table itself refuses
    for (int round = 0; round < SEALED_MAX - 2; round++) {
        for (uint64_t first = 0; first + BLOCK_ROWS <= KEYS; first += BLOCK_ROWS) {
            const int input = (int)(first / BLOCK_ROWS % INPUTS);

            if (!send(&f, input, first, BLOCK_ROWS, 1)) goto full;
        }
        id++;
        for (int i = 0; i < INPUTS; i++)
            if (csti_channel_send_barrier(
                    f.channels[i],
                    (csti_barrier){.id = id, .epoch = id, .mode = CSTI_BARRIER_ALIGNED}) != CST_OK)
                goto full;
        run(&f);
    }
full:
    CHECK(id < SEALED_MAX - 2); // it was full at some time
    run(&f);
    CHECK_EQ(f.paused, 1);
    f.releasable_count = f.sealed_count;
    run(&f);
    f.releasable_count = f.sealed_count;
    run(&f);
    CHECK_EQ(f.paused, 0);
    check_table(&f); // nothing was lost or applied twice
    fixture_close(&f);
}

TEST(state_that_alone_is_above_the_budget_is_starved) {
    fixture f;

    fixture_open_bounded(&f, "cpu:", 1 << 20, 64 << 20, 64 << 20);
    for (uint64_t first = 0; first < 40000; first += BLOCK_ROWS) {
        CHECK(send(&f, 0, KEYS + first, BLOCK_ROWS, 1));
        run(&f);
    }
    CHECK_EQ(f.paused, 1);
    CHECK(!csti_partition_is_starved(f.partition)); // the open epoch can still be sealed
    for (int i = 0; i < INPUTS; i++) send_barrier(&f, i, 1);
    run(&f);
    CHECK(!csti_partition_is_starved(f.partition)); // and its delta released
    f.releasable_count = 1;
    run(&f);
    CHECK_EQ(f.paused, 1);
    CHECK(csti_partition_is_starved(f.partition));
    CHECK_EQ(metric(csti_partition_metrics_of(f.partition)->paused), 2);
    fixture_close(&f);
}

TEST_MAIN
