// stored_partition.h: a partition of the second stage, with a table and three inputs, whose cuts
// need not wait for barriers.
//
//   stored_partition_open ─► (replay is set) ─► stored_partition_start ─► polls ─► _close
#ifndef CST_TEST_STORED_PARTITION_H
#define CST_TEST_STORED_PARTITION_H

#include "stream/partition.h"
#include "unit/stream/stored_rows.h"

enum { INPUTS = 3 };

typedef struct stored_partition {
    csti_clock_sim clock;
    csti_guard guard;
    csti_metrics *metrics;
    cst_device *device;
    cst_queue *queue;
    cst_device_table *table;
    csti_channel *inputs[INPUTS], *replay_blocks;
    csti_partition *partition;
    _Atomic uint32_t paused;
    _Atomic uint64_t aborted_id, unaligned_id;
    csti_stored_reader replay;
} stored_partition;

static inline void stored_partition_table(stored_partition *f) {
    const cst_table_options options = {.layout = CST_TABLE_INLINE,
                                       .key_bytes = 16,
                                       .program = {.value_bytes = 8,
                                                   .accumulators_count = 1,
                                                   .presence_offset = CST_NO_OFFSET,
                                                   .time_offset = CST_NO_OFFSET,
                                                   .accumulators = {{CST_SUM, CST_U64, 0, 0, 0}}},
                                       .hash_key = HASH_KEY,
                                       .budget_bytes = 16 << 20,
                                       .numa_node = -1};

    CHECK_OK(cst_device_table_open(f->queue, &options, NULL, &f->table, NULL));
}

static inline void stored_partition_start(stored_partition *f, uint64_t stored_rows_max,
                                          const csti_partition_events *events,
                                          const uint64_t *applied_before, uint64_t rows_before) {
    const csti_aligner_options align = {.inputs_count = INPUTS};
    const csti_partition_options options = {
        .clock = &f->clock.clock,
        .guard = &f->guard,
        .queue = f->queue,
        .table = f->table,
        .inputs = f->inputs,
        .align = &align,
        .state_bytes_max = 16 << 20,
        .log_bytes_max = 16 << 20,
        .paused = &f->paused,
        .splits_count = INPUTS,
        .applied_before = applied_before,
        .rows_before = rows_before,
        .aborted_id = &f->aborted_id,
        .unaligned_id = &f->unaligned_id,
        .watermark_us = CSTI_WATERMARK_NONE,
        .clock_source = CST_NO_COLUMN,
        .shape = &SHAPE,
        .stored_rows_max = stored_rows_max,
        .stored_bytes_max = BYTES_MAX,
        .replay = f->replay.count > 0 ? &f->replay : NULL,
        .replay_blocks = f->replay_blocks,
        .events = *events,
        .metrics = f->metrics,
    };

    CHECK_OK(csti_partition_open(&options, &f->partition, NULL));
}

static inline void stored_partition_open(stored_partition *f) {
    memset(f, 0, sizeof *f);
    csti_clock_sim_init(&f->clock, 0);
    CHECK_OK(csti_guard_init(&f->guard, 7, 1));
    CHECK_OK(csti_metrics_open(&f->metrics, NULL));
    CHECK_OK(cst_device_open("cpu:", &f->device, NULL));
    CHECK_OK(cst_queue_open(f->device, NULL, &f->queue, NULL));
    stored_partition_table(f);
    for (int i = 0; i < INPUTS; i++) f->inputs[i] = blocks_open(&SHAPE);
    f->replay_blocks = blocks_open(&SHAPE);
}

static inline void stored_partition_close(stored_partition *f) {
    csti_partition_close(f->partition);
    cst_device_table_close(f->table);
    cst_queue_close(f->queue);
    cst_device_close(f->device);
    for (int i = 0; i < INPUTS; i++) csti_channel_close(f->inputs[i]);
    csti_channel_close(f->replay_blocks);
    csti_metrics_close(f->metrics);
}

#endif
