// A partition of windows in front of a second stage: what goes on to it, and when.
#include "stream/partition.h"

#include "test.h"

enum {
    SIZE = 10, // of a window
    KEY_BYTES = 16,
    VALUE_BYTES = 8,
    ROWS = 256,
    BLOCKS = 4,
    THEN_ROWS = 64,
    THEN_BLOCKS = 2,
    EMIT_ROWS = 32,
    TURNS = 200,
    SEALED_MAX = 16,
};

static const cst_hash_key hash_key = {1, 2};

typedef struct fixture {
    csti_clock_sim clock;
    csti_guard guard;
    csti_metrics *metrics;
    cst_device *device;
    cst_queue *queue;
    csti_channel *in, *out;
    csti_reader_key key; // of the second stage: the window's start
    csti_emitter *emitter;
    csti_panes *panes;
    csti_partition *partition;
    _Atomic uint32_t paused, paused_then;
    csti_barrier sealed[SEALED_MAX];
    uint64_t cut[SEALED_MAX]; // rows that the cut took out of windows
    bool closing[SEALED_MAX];
    uint32_t sealed_count;
    uint64_t keys; // sent
    // What came out, up to now.
    uint64_t rows;
    int64_t watermark_us;
    csti_barrier barrier;
} fixture;

static cst_code sealed_take(void *context, const csti_sealed *sealed, cst_err *err) {
    fixture *f = context;

    (void)err;
    CHECK(f->sealed_count < SEALED_MAX);
    f->closing[f->sealed_count] = sealed->closing;
    f->cut[f->sealed_count] = csti_panes_lines(f->panes);
    f->sealed[f->sealed_count++] = sealed->barrier;
    return CST_OK;
}

static bool released_give(void *context, csti_released *out) {
    (void)context;
    (void)out;
    return false;
}

static void given_up_take(void *context, csti_barrier barrier, cst_code code, uint32_t input) {
    (void)context;
    (void)barrier;
    (void)code;
    (void)input;
}

static void emitter_open(fixture *f) {
    static const uint32_t groups_first[] = {0};
    const csti_block_shape shape = {.rows_capacity = THEN_ROWS, .key_bytes = 8, .key_bytes_max = 8};
    csti_render_plan from = {
        .window_us = SIZE,
        .presence_offset = CST_NO_OFFSET,
        .fields_count = 1,
        .fields = {{.name = "rows", .number = CST_U64, .accumulator = CSTI_ALWAYS_PRESENT}}};
    CHECK_OK(cst_schema_parse("u64,timestamp", &from.key, NULL));
    CHECK_OK(cst_schema_parse("timestamp", &f->key.schema, NULL));
    f->key.columns[0] = 1;
    f->key.key_bytes = f->key.key_bytes_max = 8;
    f->key.hash_key = hash_key;
    CHECK_OK(csti_channel_open(&shape, THEN_BLOCKS, -1, &f->out, NULL));
    const csti_router_options route = {.partitions_count = 1,
                                       .groups_first = groups_first,
                                       .channels = &f->out,
                                       .shape = &shape};
    const csti_emitter_options options = {.clock = &f->clock.clock,
                                          .from = &from,
                                          .key = &f->key,
                                          .source_columns = groups_first,
                                          .route = &route,
                                          .rows_max = EMIT_ROWS,
                                          .paused = &f->paused_then,
                                          .metrics = f->metrics};
    CHECK_OK(csti_emitter_open(&options, &f->emitter, NULL));
}

static void panes_open(fixture *f, const csti_block_shape *shape) {
    const csti_panes_options options = {
        .window = {.size_us = SIZE, .hop_us = SIZE},
        .queue = f->queue,
        .table = {.layout = CST_TABLE_INLINE,
                  .key_bytes = KEY_BYTES,
                  .program = {.value_bytes = VALUE_BYTES,
                              .accumulators_count = 1,
                              .presence_offset = CST_NO_OFFSET,
                              .time_offset = CST_NO_OFFSET,
                              .accumulators = {{CST_COUNT, CST_U64, 0, CST_NO_COLUMN, 0}}},
                  .hash_key = hash_key,
                  .budget_bytes = 64 << 20,
                  .numa_node = -1},
        .shape = shape,
        .watermark_us = CSTI_WATERMARK_NONE,
        .emitter = f->emitter,
        .metrics = f->metrics,
    };
    CHECK_OK(csti_panes_open(&options, &f->panes, NULL));
}

static void fixture_open(fixture *f) {
    const csti_block_shape shape = {.rows_capacity = ROWS,
                                    .key_bytes = KEY_BYTES,
                                    .key_bytes_max = KEY_BYTES};
    const csti_aligner_options align = {.inputs_count = 1};

    memset(f, 0, sizeof *f);
    f->watermark_us = CSTI_WATERMARK_NONE;
    csti_clock_sim_init(&f->clock, 0);
    CHECK_OK(csti_guard_init(&f->guard, 7, 1));
    CHECK_OK(csti_metrics_open(&f->metrics, NULL));
    CHECK_OK(cst_device_open("cpu:", &f->device, NULL));
    CHECK_OK(cst_queue_open(f->device, NULL, &f->queue, NULL));
    CHECK_OK(csti_channel_open(&shape, BLOCKS, -1, &f->in, NULL));
    emitter_open(f);
    panes_open(f, &shape);
    const csti_partition_options options = {
        .clock = &f->clock.clock,
        .guard = &f->guard,
        .queue = f->queue,
        .panes = f->panes,
        .emitter = f->emitter,
        .inputs = &f->in,
        .align = &align,
        .state_bytes_max = 64 << 20,
        .log_bytes_max = 64 << 20,
        .paused = &f->paused,
        .watermark_us = CSTI_WATERMARK_NONE,
        .events = {.sealed = sealed_take,
                   .released = released_give,
                   .given_up = given_up_take,
                   .context = f},
        .metrics = f->metrics,
    };
    CHECK_OK(csti_partition_open(&options, &f->partition, NULL));
}

static void fixture_close(fixture *f) {
    csti_partition_close(f->partition);
    csti_panes_close(f->panes);
    csti_emitter_close(f->emitter);
    cst_queue_close(f->queue);
    cst_device_close(f->device);
    csti_channel_close(f->in);
    csti_channel_close(f->out);
    csti_metrics_close(f->metrics);
}

static void run(fixture *f) {
    cst_err err = {.code = CST_OK};

    for (int turn = 0; turn < TURNS; turn++) {
        const cst_code code = csti_partition_poll(f->partition, &err);

        if (code != CST_OK && code != CST_AGAIN) TEST_FAIL("%s", err.text);
    }
}

// New keys of the window that starts there.
static void send(fixture *f, int64_t start_us, uint32_t count) {
    csti_block *block = csti_channel_block(f->in);

    CHECK(block);
    block->rows_count = count;
    block->runs_count = 0;
    for (uint32_t r = 0; r < count; r++) {
        uint8_t *key = block->keys + (size_t)r * KEY_BYTES;

        cst_key_encode_u64(f->keys++, key);
        csti_window_to_key(start_us, key + 8);
        block->hashes[r] = cst_hash(&hash_key, key, KEY_BYTES);
    }
    csti_channel_send_rows(f->in, block);
}

static void barrier_send(fixture *f, uint64_t id, csti_barrier_mode mode) {
    CHECK_OK(csti_channel_send_barrier(f->in, (csti_barrier){.id = id, .mode = mode}));
}

// As much as is there; rows that come behind a barrier stay.
static void take(fixture *f) {
    csti_message message;

    f->barrier = (csti_barrier){0};
    while (f->barrier.id == 0 && csti_channel_receive(f->out, &message)) {
        if (message.kind == CSTI_MESSAGE_ROWS) {
            f->rows += message.block->rows_count;
            csti_channel_recycle(f->out, message.block);
        } else if (message.kind == CSTI_MESSAGE_WATERMARK) {
            f->watermark_us = message.watermark_us;
        } else {
            f->barrier = message.barrier;
        }
    }
}

TEST(rows_that_a_cut_took_out_are_in_front_of_its_barrier_and_the_watermark_behind_them) {
    fixture f;

    fixture_open(&f);
    send(&f, 0, 20);
    send(&f, 10, 7);
    csti_channel_send_watermark(f.in, 12); // the first window is closed
    barrier_send(&f, 1, CSTI_BARRIER_ALIGNED);
    run(&f);
    CHECK_EQ(f.sealed_count, 1);
    take(&f);
    CHECK_EQ(f.barrier.id, 1);
    CHECK_EQ(f.rows, f.cut[0]);
    run(&f);
    take(&f);
    CHECK_EQ(f.rows, 20);
    CHECK_EQ(f.watermark_us, 12);
    fixture_close(&f);
}

TEST(a_full_second_stage_stops_closing_and_then_loses_nothing) {
    fixture f;
    uint64_t sent = 0;

    fixture_open(&f);
    for (int64_t window = 0; window < 3; window++, sent += ROWS) send(&f, window * SIZE, ROWS);
    csti_channel_send_watermark(f.in, 3 * SIZE);
    run(&f);
    CHECK(csti_panes_is_closing(f.panes));
    CHECK(csti_panes_lines(f.panes) < sent);
    send(&f, 3 * SIZE, 5);
    barrier_send(&f, 1, CSTI_BARRIER_ALIGNED);
    run(&f);
    CHECK_EQ(f.sealed_count, 0); // what was emitted is not in front of it yet
    for (int turn = 0; turn < 50 && f.barrier.id == 0; turn++) {
        take(&f);
        if (f.barrier.id == 0) run(&f);
    }
    CHECK_EQ(f.barrier.id, 1);
    CHECK_EQ(f.rows, f.cut[0]);
    for (int turn = 0; turn < 50; turn++) {
        run(&f);
        take(&f);
    }
    CHECK_EQ(f.rows, sent);
    CHECK_EQ(f.watermark_us, 3 * SIZE);
    fixture_close(&f);
}

TEST(above_its_budget_a_second_stage_gets_barriers_and_no_rows) {
    fixture f;

    fixture_open(&f);
    atomic_store(&f.paused_then, 1);
    send(&f, 0, 20);
    csti_channel_send_watermark(f.in, SIZE);
    barrier_send(&f, 1, CSTI_BARRIER_ALIGNED);
    run(&f);
    take(&f);
    CHECK_EQ(f.barrier.id, 1);
    CHECK_EQ(f.rows, 0);
    CHECK_EQ(f.watermark_us, CSTI_WATERMARK_NONE);
    CHECK(f.closing[0]);
    barrier_send(&f, 2, CSTI_BARRIER_FINAL); // else nothing would ever be freed
    run(&f);
    take(&f);
    CHECK_EQ(f.barrier.id, 2);
    CHECK(f.closing[1]);
    atomic_store(&f.paused_then, 0);
    barrier_send(&f, 3, CSTI_BARRIER_FINAL);
    run(&f);
    take(&f);
    CHECK_EQ(f.barrier.id, 3);
    CHECK(!f.closing[2]);
    CHECK_EQ(f.rows, 20);
    CHECK_EQ(f.watermark_us, SIZE); // in front of the final barrier
    fixture_close(&f);
}

TEST_MAIN
