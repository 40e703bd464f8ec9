// The Nth allocation of what readers and partitions open fails: nothing is left behind.
#include "stream/partition.h"
#include "stream/project.h"
#include "stream/reader.h"

#include "nth.h"
#include "test.h"

enum { BATCH_ROWS = 64, NTH_MAX = 1000 };

static csti_source *source_open(void) {
    const csti_source_options options = {.kind = CSTI_SOURCE_GENERATOR,
                                         .generator = "bids",
                                         .generate = {.skew = -1},
                                         .rows = 1000,
                                         .batch_rows = BATCH_ROWS,
                                         .stripes = 2};
    csti_source *source = NULL;

    CHECK_OK(csti_source_open(&options, &source, NULL));
    return source;
}

static csti_block_shape shape_of_blocks(void) {
    return (csti_block_shape){.rows_capacity = BATCH_ROWS,
                              .key_bytes_max = 16,
                              .sources_count = 1,
                              .source_types = {CST_TYPE_U64}};
}

static cst_code cut(void *context, csti_barrier barrier, const csti_reader_position *position,
                    cst_err *err) {
    (void)context, (void)barrier, (void)position, (void)err;
    return CST_OK;
}

typedef struct world {
    csti_source *source;
    cst_device *device;
    cst_queue *queue;
    csti_block_shape shape;
    csti_channel *channel;
    csti_barrier_cell cell;
    csti_reader_key key;
    csti_filter filter;
    _Atomic uint32_t paused;
} world;

static void world_open(world *w) {
    memset(w, 0, sizeof *w);
    w->source = source_open();
    w->shape = shape_of_blocks();
    CHECK_OK(cst_device_open("cpu:", &w->device, NULL));
    CHECK_OK(cst_queue_open(w->device, NULL, &w->queue, NULL));
    CHECK_OK(csti_channel_open(&w->shape, 2, -1, &w->channel, NULL));
    csti_barrier_cell_init(&w->cell);
    CHECK_OK(cst_schema_parse("string", &w->key.schema, NULL));
    w->key.columns[0] = 3;
    w->key.key_bytes_max = 16;
    CHECK_OK(csti_filter_make(csti_source_shape(w->source), "price", CSTI_GREATER, "500",
                              &w->filter, NULL));
}

static void world_close(world *w) {
    csti_channel_close(w->channel);
    cst_queue_close(w->queue);
    cst_device_close(w->device);
    csti_source_close(w->source);
}

// Opens a reader and lets it read a batch; the first failure ends it.
static cst_code reader_run(world *w, cst_err *err) {
    static const uint32_t groups_first[1] = {0};
    static const uint32_t source_columns[1] = {2};
    const csti_steps_options steps_options = {.shape = csti_source_shape(w->source),
                                              .filters = &w->filter,
                                              .filters_count = 1,
                                              .rows_max = BATCH_ROWS};
    const csti_reader_split split = {.name = csti_source_split_name(w->source, 0),
                                     .watermark_us = CSTI_WATERMARK_NONE};
    const csti_router_options route = {.partitions_count = 1,
                                       .groups_first = groups_first,
                                       .channels = &w->channel,
                                       .shape = &w->shape,
                                       .rows_max = BATCH_ROWS};
    csti_reader_options options = {.clock = csti_clock_real(),
                                   .source = w->source,
                                   .splits = &split,
                                   .splits_count = 1,
                                   .key = &w->key,
                                   .source_columns = source_columns,
                                   .event_time_column = UINT32_MAX,
                                   .idle_us = 1000,
                                   .queue = w->queue,
                                   .route = &route,
                                   .barriers = &w->cell,
                                   .paused = &w->paused,
                                   .cut = cut};
    csti_reader *reader = NULL;
    cst_code code = csti_steps_open(&steps_options, &options.steps, err);

    if (code == CST_OK) code = csti_reader_open(&options, &reader, err);
    if (code == CST_OK) code = csti_reader_poll(reader, err);
    csti_reader_close(reader);
    return code;
}

TEST(a_reader_that_finds_no_memory_says_so_and_leaves_nothing) {
    cst_code code = CST_NO_MEMORY;
    uint64_t n = 1;

    for (; n < NTH_MAX; n++) {
        cst_err err = {0};
        world w;

        world_open(&w);
        nth_fail_at(n);
        code = reader_run(&w, &err);
        const bool failed = nth_end();
        world_close(&w);
        if (!failed) break;
        CHECK_CODE(code, CST_NO_MEMORY);
    }
    CHECK_OK(code);
    CHECK(n > 8); // some were tried
}

static cst_code sealed(void *context, const csti_sealed *seal, cst_err *err) {
    (void)context, (void)seal, (void)err;
    return CST_OK;
}

static bool released(void *context, csti_released *out) {
    (void)context, (void)out;
    return false;
}

static void given_up(void *context, csti_barrier barrier, cst_code code, uint32_t input) {
    (void)context, (void)barrier, (void)code;
    (void)input;
}

TEST(a_partition_that_finds_no_memory_says_so_and_leaves_nothing) {
    const cst_table_options table_options = {.layout = CST_TABLE_INLINE,
                                             .key_bytes = 16,
                                             .program = {.value_bytes = 8,
                                                         .accumulators_count = 1,
                                                         .presence_offset = CST_NO_OFFSET,
                                                         .time_offset = CST_NO_OFFSET,
                                                         .accumulators = {{CST_SUM, CST_U64, 0, 0,
                                                                           0}}},
                                             .budget_bytes = 16 << 20,
                                             .numa_node = -1};
    const csti_aligner_options align = {.inputs_count = 1};
    cst_device_table *table = NULL;
    csti_metrics *metrics = NULL;
    csti_guard guard;
    cst_code code = CST_NO_MEMORY;
    uint64_t n = 1;
    world w;

    world_open(&w);
    CHECK_OK(csti_guard_init(&guard, 1, 1));
    CHECK_OK(cst_device_table_open(w.queue, &table_options, NULL, &table, NULL));
    for (; n < NTH_MAX; n++) {
        csti_partition *partition = NULL;
        cst_err err = {0};

        CHECK_OK(csti_metrics_open(&metrics, NULL));
        const csti_partition_options options = {.clock = csti_clock_real(),
                                                .guard = &guard,
                                                .queue = w.queue,
                                                .table = table,
                                                .inputs = &w.channel,
                                                .align = &align,
                                                .state_bytes_max = 16 << 20,
                                                .log_bytes_max = 16 << 20,
                                                .paused = &w.paused,
                                                .watermark_us = CSTI_WATERMARK_NONE,
                                                .ttl_us = 1000,
                                                .clock_source = 0,
                                                .block_rows_max = BATCH_ROWS,
                                                .events = {.sealed = sealed,
                                                           .released = released,
                                                           .given_up = given_up},
                                                .metrics = metrics};
        nth_fail_at(n);
        code = csti_partition_open(&options, &partition, &err);
        const bool failed = nth_end();
        csti_partition_close(partition);
        csti_metrics_close(metrics);
        if (!failed) break;
        CHECK_CODE(code, CST_NO_MEMORY);
    }
    CHECK_OK(code);
    CHECK(n > 3);
    cst_device_table_close(table);
    world_close(&w);
}

TEST_MAIN
