#include "server/job_internal.h"

#include "base/crc32c.h"
#include "base/fault_point.h"
#include "base/pages.h"
#include "stream/project.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    GROWTH_SHARE = 4, // a step of growth adds a quarter to a segment
    LOG_SHARE = 4,    // a quarter of a partition's budget is its change log's
    BLOCK_ROWS_MIN = 256,
    READ_ROWS_MIN = 64,
    BLOCKS = 8,           // of a channel
    EMIT_ROWS_MAX = 256,  // of closed windows, together
    RESTORES_MAX = 8,     // of windows, into ever larger tables
    RESTORE_STEP = 4,     // so much larger each
    BLOCKS_MANY = 4,      // and of each of many
    PARTITIONS_MANY = 32, // from here on
    SLOTS_A_ROW_MAX = 4,  // a segment grows from a quarter full on (docs/formats.md)
    LOG_SEGMENTS_RESERVED = 4,
    ENTRY_HEAD_BYTES = 16, // of a slot and of a record
    LOG_SEGMENT_BYTES = 2 << 20,
    PARTITION_BUDGET_BYTES = 64 << 20,
};

// ---- What the job file alone decides ------------------------------------------------------------

static uint32_t overlap_of(csti_window window) {
    return window.size_us > 0 ? csti_window_overlap(window) : 1;
}

// Of a batch: as many as batch_rows become, nearly, where each is in many windows.
static uint32_t rows_sent(const csti_job *job, csti_window window) {
    const uint32_t rows = job->config->batch_rows / overlap_of(window);

    return rows > READ_ROWS_MIN ? rows : (uint32_t)READ_ROWS_MIN;
}

uint32_t csti_job_rows_read(const csti_job *job) {
    return rows_sent(job, job->config->window);
}

// The same of what closed windows give.
static uint32_t rows_emitted(const csti_job *job) {
    const uint32_t rows = rows_sent(job, job->config->then.window);

    return rows < EMIT_ROWS_MAX ? rows : (uint32_t)EMIT_ROWS_MAX;
}

// Of a batch at the key of a stage.
uint32_t csti_job_rows_keyed(const csti_job *job, uint32_t stage) {
    const uint32_t rows = stage == 0 ? csti_job_rows_read(job) : rows_emitted(job);

    return rows * overlap_of(job->stages[stage].window);
}

// stripes: splits of a generator; 0: as the job file says.
static cst_code source_open(csti_job *job, uint32_t stripes, cst_err *err) {
    csti_source_options options = job->config->source;

    options.batch_rows = csti_job_rows_read(job);
    if (stripes > 0) options.stripes = stripes;
    if (options.stripes == 0) options.stripes = job->partitions;
    options.until_end = job->options.until == CSTI_UNTIL_CAUGHT_UP || job->settling;
    if (job->options.source_open)
        return job->options.source_open(job->options.source_context, &options, &job->source, err);
    return csti_source_open(&options, &job->source, err);
}

static cst_code filters_make(csti_job *job, cst_err *err) {
    cst_code code = CST_OK;

    for (uint32_t f = 0; f < job->config->filters_count && code == CST_OK; f++) {
        const csti_filter_config *filter = &job->config->filters[f];

        code = csti_filter_make(csti_source_shape(job->source), filter->column, filter->compare,
                                filter->value, &job->filters[f], err);
    }
    return code;
}

static cst_code operator_process(void *instance, const cst_batch *in, cst_batch *out,
                                 cst_err *err) {
    return csti_operator_process(instance, in, out, err);
}

// Each takes what the one before hands out, the first what the projection leaves.
static cst_code operators_open(const csti_job *job, csti_operator **operators, csti_step *steps,
                               cst_err *err) {
    const csti_job_config *config = job->config;
    cst_operator_shape projected = {0};
    const cst_operator_shape *in = &projected;
    csti_projection projection;
    cst_code code = csti_projection_make(csti_source_shape(job->source), config->project[0],
                                         config->project_count, &projection, err);

    if (code != CST_OK) return code;
    projected.schema = projection.shape.schema;
    memcpy(projected.names, projection.shape.names, sizeof projected.names);
    for (uint32_t i = 0; i < config->operators_count; i++) {
        code = csti_operator_open(&config->operators[i], in, &operators[i], err);
        if (code != CST_OK) return code;
        in = csti_operator_shape_out(operators[i]);
        steps[i] =
            (csti_step){csti_operator_name(operators[i]), in, operator_process, operators[i]};
    }
    return CST_OK;
}

static void operators_close(csti_operator **operators) {
    for (uint32_t i = 0; i < CSTI_CONFIG_OPERATORS_MAX; i++) {
        csti_operator_close(operators[i]);
        operators[i] = NULL;
    }
}

cst_code csti_job_steps_open(const csti_job *job, csti_operator **operators, csti_steps **out,
                             cst_err *err) {
    csti_step steps[CSTI_CONFIG_OPERATORS_MAX];
    const cst_code code = operators_open(job, operators, steps, err);
    const csti_steps_options options = {
        .shape = csti_source_shape(job->source),
        .filters = job->filters,
        .filters_count = job->config->filters_count,
        .project = job->config->project[0],
        .project_count = job->config->project_count,
        .operators = steps,
        .operators_count = job->config->operators_count,
        .window = job->config->window,
        .window_time = job->config->event_time,
        .rows_max = csti_job_rows_read(job),
    };

    return code == CST_OK ? csti_steps_open(&options, out, err) : code;
}

static uint32_t rows_of_a_block(const csti_job *job) {
    const uint32_t batch_rows = job->config->batch_rows;
    uint32_t rows;

    assert(job->partitions > 0);
    rows = batch_rows / job->partitions;
    if (rows < BLOCK_ROWS_MIN) rows = BLOCK_ROWS_MIN;
    return rows < batch_rows ? rows : batch_rows;
}

// `columns` are those of its rows, key_bytes_max is the job file's.
static void stage_fill(const csti_job *job, job_stage *stage, const cst_schema *columns,
                       uint32_t key_bytes_max) {
    const csti_job_shape *shape = &stage->shape;

    stage->key = (csti_reader_key){.schema = shape->key,
                                   .key_bytes = shape->key_bytes,
                                   .key_bytes_max = shape->table.layout == CST_TABLE_INLINE
                                                        ? shape->table.key_bytes
                                                        : CST_WIDE_KEY_BYTES_MAX};
    if (shape->key_bytes == 0 && key_bytes_max > 0 && key_bytes_max < stage->key.key_bytes_max)
        stage->key.key_bytes_max = key_bytes_max;
    // Rows of a key that may be of one session go to one partition.
    if (stage->window.sessions) stage->key.hash_tail_bytes = CSTI_WINDOW_KEY_BYTES;
    memcpy(stage->key.columns, shape->key_columns, sizeof stage->key.columns);
    stage->block = (csti_block_shape){.rows_capacity = rows_of_a_block(job),
                                      .key_bytes = shape->key_bytes,
                                      .key_bytes_max = stage->key.key_bytes_max,
                                      .sources_count = shape->sources_count};
    for (uint32_t s = 0; s < shape->sources_count; s++) {
        const cst_column *column = &columns->columns[shape->source_columns[s]];

        stage->block.source_types[s] = column->type;
        stage->block.source_nullable[s] = column->nullable;
    }
}

// Behind the shape of the first one.
static cst_code then_open(csti_job *job, cst_err *err) {
    job_stage *then = &job->stages[1];
    csti_row_shape columns;
    cst_code code = CST_OK;

    if (job->stages_count == 1) return CST_OK;
    if (!job->shape_made)
        code =
            csti_job_then_make(job->config, &job->stages[0].shape, &job->arena, &then->shape, err);
    if (code == CST_OK) code = csti_emitter_shape(&job->stages[0].shape.render, &columns, err);
    if (code != CST_OK) return code;
    job->stages[0].shape.identity.then = &then->shape.identity;
    stage_fill(job, then, &columns.schema, job->config->then.key_bytes_max);
    return CST_OK;
}

// Who sends rows to its partition.
static uint32_t senders_count(const job_worker *worker) {
    return worker->stage == 0 ? worker->job->readers_count : worker->job->partitions;
}

static uint32_t blocks_of_a_channel(const csti_job *job) {
    return job->partitions < PARTITIONS_MANY ? BLOCKS : BLOCKS_MANY;
}

// Rows that are already under way to a partition, at most, as their records.
static uint64_t under_way_bytes(const job_worker *worker) {
    const csti_job *job = worker->job;
    const job_stage *stage = &job->stages[worker->stage];
    const uint64_t rows = (uint64_t)senders_count(worker) *
                          ((uint64_t)blocks_of_a_channel(job) * stage->block.rows_capacity +
                           csti_job_rows_keyed(job, worker->stage));
    const uint64_t row_bytes =
        ENTRY_HEAD_BYTES + stage->key.key_bytes_max + stage->shape.program.value_bytes;

    return rows * row_bytes;
}

// What they can take above the partition's bounds: their own slots and records, and a step of
// growth of every segment that they come to.
static uint64_t reserve_bytes(const job_worker *worker) {
    return under_way_bytes(worker) * (SLOTS_A_ROW_MAX + 1) +
           (uint64_t)LOG_SEGMENTS_RESERVED * LOG_SEGMENT_BYTES +
           worker->job->partition_budget_bytes / GROWTH_SHARE;
}

// The checkpoint's partitions may be more than the budget was checked for.
static uint64_t partition_budget(const csti_job *job) {
    const uint64_t bytes = job->config->budget_bytes / job->workers_count;
    const uint64_t as_checked =
        job->config->budget_bytes / job->config->partitions / job->stages_count;

    if (!job->settling || bytes >= PARTITION_BUDGET_BYTES) return bytes;
    return as_checked < PARTITION_BUDGET_BYTES ? as_checked : PARTITION_BUDGET_BYTES;
}

cst_code csti_job_rows_open(csti_job *job, cst_err *err) {
    csti_operator *operators[CSTI_CONFIG_OPERATORS_MAX] = {NULL};
    csti_steps *steps = NULL;
    cst_code code = csti_topology_take(NULL, &job->topology, err);

    if (code == CST_OK) code = source_open(job, 0, err);
    if (code == CST_OK) code = filters_make(job, err);
    if (code == CST_OK) code = csti_job_steps_open(job, operators, &steps, err);
    job->stages_count = csti_job_stages_count(job->config);
    job->stages[0].window = job->config->window;
    job->stages[1].window = job->config->then.window;
    job->workers_count = job->stages_count * job->partitions;
    if (code == CST_OK && !job->shape_made)
        code = csti_job_shape_make(job->config, csti_steps_shape(steps), &job->arena,
                                   &job->stages[0].shape, err);
    if (code == CST_OK) code = then_open(job, err);
    if (code == CST_OK) {
        job->shape_made = true;
        job->totals = job->config->totals && !job->settling;
        stage_fill(job, &job->stages[0], &csti_steps_shape(steps)->schema,
                   job->config->key_bytes_max);
        job->stages[0].block.ops = job->config->operators_count > 0;
        job->partition_budget_bytes = partition_budget(job);
        for (uint32_t p = 0; p < job->partitions; p++)
            job->groups_first[p] = csti_partition_group_first(p, job->partitions);
        code = csti_job_device_open(job, err);
    }
    job->device_node = -1;
    if (code == CST_OK) {
        cst_capabilities can;

        cst_device_capabilities(job->device, &can);
        job->device_node = can.numa_node;
    }
    if (code == CST_OK && job->totals && !job->published) code = csti_job_totals_open(job, err);
    csti_steps_close(steps);
    operators_close(operators);
    return code;
}

cst_code csti_job_readers_settle(csti_job *job, cst_err *err) {
    const csti_manifest *manifest = &job->plan.manifest;
    uint32_t splits_count = csti_source_splits_count(job->source);
    cst_code code = CST_OK;

    // Rows were dealt out to as many splits as there were partitions then. Of files they are what
    // there is.
    if (manifest->id > 0 && job->config->source.kind != CSTI_SOURCE_FILE &&
        !job->config->splits_given && manifest->splits_count != splits_count &&
        manifest->splits_count > 0) {
        csti_source_close(job->source);
        job->source = NULL;
        code = source_open(job, manifest->splits_count, err);
        if (code != CST_OK) return code;
        splits_count = csti_source_splits_count(job->source);
    }
    job->readers_count = splits_count < job->partitions ? splits_count : job->partitions;
    if (job->readers_count == 0) job->readers_count = 1;
    return CST_OK;
}

// ---- Channels -----------------------------------------------------------------------------------

// A kernel, or a container's filter, that lets nobody choose costs speed and no more.
static int node_given(const csti_job *job, int node) {
    const csti_pages_options options = {.numa_node = node};
    csti_pages trial = {0};
    cst_err why = {0};
    const cst_code code =
        node < 0 ? (cst_code)CST_OK : csti_pages_reserve(&trial, CSTI_PAGE_BYTES, &options, &why);

    csti_pages_release(&trial);
    if (code == CST_OK) return node;
    CSTI_LOG_LIMITED(job->options.logger, CSTI_LOG_WARN, 1, "memory_not_placed",
                     csti_log_u64("node", (uint64_t)node),
                     csti_log_text("code", cst_code_name(code)), csti_log_text("why", why.text));
    return -1;
}

// Jobs beside each other begin at places of their own, as their names have it: else all of them
// would share the first processors, and leave the others idle.
static void worker_place(const csti_job *job, job_worker *worker) {
    const uint32_t count = job->workers_count;
    const uint32_t places = csti_topology_turns(&job->topology, job->device_node) / count;
    const uint32_t name = csti_crc32c(0, job->config->name, strlen(job->config->name));
    const uint32_t first = places > 1 ? name % places * count : 0;
    const csti_topology_place place =
        csti_topology_place_of(&job->topology, job->device_node, first + worker->number);

    worker->cpu = place.cpu;
    worker->node = node_given(job, place.node);
}

// Where there is a choice.
static void placement_say(const csti_job *job) {
    const int wanted = job->device_node;
    const csti_topology_node *node = csti_topology_node_of(&job->topology, wanted);

    if (wanted >= 0 && (!node || node->cpus_count == 0))
        CSTI_LOG(job->options.logger, CSTI_LOG_WARN, "device_node_not_ours",
                 csti_log_u64("node", (uint64_t)wanted),
                 csti_log_text("why", node ? "none of its processors may be used"
                                           : "neither its memory nor its processors may be used"));
    if (wanted < 0 && job->topology.nodes_count < 2) return;
    for (uint32_t n = 0; n < job->topology.nodes_count; n++) {
        const int number = job->topology.nodes[n].number;
        uint64_t workers = 0;

        for (uint32_t w = 0; w < job->workers_count; w++) workers += job->workers[w].node == number;
        CSTI_LOG(job->options.logger, CSTI_LOG_INFO, "node_taken",
                 csti_log_u64("node", (uint64_t)number), csti_log_u64("workers", workers));
    }
}

// From each of so many senders to each partition of the stage.
static cst_code stage_channels_open(csti_job *job, uint32_t stage, uint32_t senders,
                                    csti_channel ***out, cst_err *err) {
    const size_t count = (size_t)senders * job->partitions;
    const job_worker *receivers = job->workers + (size_t)stage * job->partitions;
    cst_code code = CST_OK;

    *out = calloc(count, sizeof **out);
    if (!*out) return cst_fail(err, CST_NO_MEMORY, "%zu channels", count);
    for (size_t c = 0; c < count && code == CST_OK; c++)
        code = csti_channel_open(&job->stages[stage].block, blocks_of_a_channel(job),
                                 receivers[c % job->partitions].node, &(*out)[c], err);
    return code;
}

cst_code csti_job_channels_open(csti_job *job, cst_err *err) {
    cst_code code = CST_OK;

    job->workers = aligned_alloc(_Alignof(job_worker), job->workers_count * sizeof *job->workers);
    if (job->workers) memset(job->workers, 0, job->workers_count * sizeof *job->workers);
    if (!job->workers)
        return cst_fail(err, CST_NO_MEMORY, "%" PRIu32 " workers", job->workers_count);
    for (uint32_t w = 0; w < job->workers_count; w++) {
        job_worker *worker = &job->workers[w];

        worker->job = job;
        worker->number = w;
        worker->stage = w / job->partitions;
        csti_parker_init(&worker->parker);
        csti_barrier_cell_init(&worker->barriers);
        worker_place(job, worker);
    }
    placement_say(job);
    code = csti_job_unaligned_open(job, err);
    if (code == CST_OK) code = stage_channels_open(job, 0, job->readers_count, &job->channels, err);
    if (code == CST_OK && job->stages_count > 1)
        code = stage_channels_open(job, 1, job->partitions, &job->then_channels, err);
    return code;
}

// ---- A partition --------------------------------------------------------------------------------

static const csti_manifest_partition *recovered(const job_worker *worker) {
    const csti_manifest *manifest = &worker->job->plan.manifest;

    return manifest->id > 0 ? &manifest->partitions[worker->number] : NULL;
}

// Whoever asked the job to end does not wait for the rest.
static cst_code restore_step(void *context, uint64_t bytes_read, cst_err *err) {
    job_worker *worker = context;

    // Relaxed: a number that is shown.
    atomic_store_explicit(&worker->restored_bytes, bytes_read, memory_order_relaxed);
    if (!csti_job_is_ending(worker->job)) return CST_OK;
    return cst_fail(err, CST_AGAIN, "the job ends");
}

static cst_code table_restore(job_worker *worker, cst_err *err) {
    const csti_chain *chain = &worker->job->plan.chains[worker->number];
    cst_table *image = cst_device_table_image(worker->table);
    const job_stage *stage = &worker->job->stages[worker->stage];
    const bool wide = stage->shape.table.layout == CST_TABLE_WIDE;
    const cst_restore_options options = {.step = restore_step, .step_context = worker};
    cst_code code;

    if (!image)
        return cst_fail(err, CST_UNSUPPORTED, "%s: its tables cannot be restored into",
                        cst_device_uri(worker->job->device));
    code = cst_segment_restore(chain->segments, chain->segments_count, wide ? NULL : image,
                               wide ? image : NULL, &options, &worker->restored, err);
    CSTI_FAULT_POINT(recovery_restore);
    return code;
}

// A chain has the rows of all windows: they are restored into one table, and parted from there.
// What is left of one that was closed in part shares bits, and finds its places in a table as large
// as its own was: the first that has them all is taken.
static cst_code panes_restore(job_worker *worker, const cst_table_options *options, cst_err *err) {
    cst_table_options sized = *options;
    cst_code code = CST_TABLE_SKEW;

    for (int turn = 0; turn < RESTORES_MAX && code == CST_TABLE_SKEW; turn++) {
        cst_device_table_close(worker->table);
        worker->table = NULL;
        code = cst_device_table_open(worker->queue, &sized, NULL, &worker->table, err);
        if (code == CST_OK) code = table_restore(worker, err);
        sized.rows_hint = (sized.rows_hint + 1) * RESTORE_STEP;
    }
    if (code == CST_OK)
        code = csti_panes_fill(worker->panes, cst_device_table_image(worker->table), err);
    cst_device_table_close(worker->table);
    worker->table = NULL;
    return code;
}

static cst_code panes_open(job_worker *worker, const cst_table_options *table,
                           const csti_manifest_partition *before, cst_err *err) {
    const csti_job *job = worker->job;
    const job_stage *stage = &job->stages[worker->stage];
    const csti_panes_options options = {
        .partition = worker->number,
        .window = stage->window,
        .late_aside = worker->stage == 0 && job->config->late == CSTI_LATE_SIDE,
        .queue = worker->queue,
        .table = *table,
        .shape = &stage->block,
        .last_offset = stage->shape.render.last_offset,
        .emitter = worker->emitter,
        .watermark_us = before ? before->watermark_us : CSTI_WATERMARK_NONE,
        .metrics = job->metrics,
    };
    const cst_code code = csti_panes_open(&options, &worker->panes, err);

    if (code != CST_OK || !before || before->segments_count == 0) return code;
    return panes_restore(worker, table, err);
}

static cst_code table_open(job_worker *worker, const cst_table_options *options,
                           const csti_manifest_partition *before, cst_err *err) {
    cst_code code = cst_device_table_open(worker->queue, options, NULL, &worker->table, err);

    if (code == CST_OK && before && before->segments_count > 0) code = table_restore(worker, err);
    if (code == CST_OK && worker->job->totals)
        code = csti_job_totals_make(worker, NULL, worker->epoch_next - 1,
                                    before ? before->rows_count : 0, err);
    return code;
}

static cst_code memory_open(job_worker *worker, const cst_restore_options *restore, cst_err *err) {
    const csti_job *job = worker->job;
    const csti_manifest_partition *before = recovered(worker);
    const job_stage *stage = &job->stages[worker->stage];
    cst_table_options options = stage->shape.table;
    bool split = false;
    cst_code code = csti_job_keys_fit(worker, &split, err);

    if (code != CST_OK) return code;
    options.hash_key = stage->key.hash_key;
    options.budget_bytes = job->partition_budget_bytes + reserve_bytes(worker);
    options.numa_node = worker->node;
    options.background = true;
    if (before) {
        const csti_chain *chain = &job->plan.chains[worker->number];

        options.rows_hint =
            cst_restore_rows_hint(chain->segments, chain->segments_count, options.layout);
    }
    if (split) return csti_job_long_keys_open(worker, &options, restore, err);
    code = stage->window.size_us > 0 ? panes_open(worker, &options, before, err)
                                     : table_open(worker, &options, before, err);
    if (code == CST_OK)
        code = csti_keeper_table_open(worker->queue, worker->table, &worker->keeper, err);
    return code;
}

// Rows where the job keeps them, as its checkpoint has them.
static cst_code keeper_open(job_worker *worker, cst_err *err) {
    const csti_job *job = worker->job;
    const csti_manifest_partition *before = recovered(worker);
    const cst_restore_options restore = {.step = restore_step, .step_context = worker};

    worker->epoch_next = before ? before->epoch_to + 1 : 1;
    if (!job->config->state_folder) return memory_open(worker, &restore, err);
    return csti_job_state_open(worker, &restore,
                               job->partition_budget_bytes + reserve_bytes(worker), err);
}

static cst_code sealed(void *context, const csti_sealed *sealed, cst_err *err) {
    job_worker *worker = context;
    csti_job *job = worker->job;
    job_cut **last = &worker->cuts;
    const csti_pane_cut *panes = sealed->panes;
    size_t ranges_count = 0;
    job_cut *cut;
    cst_code code;

    if (!panes) csti_keeper_delta_ranges(worker->keeper, &sealed->delta, NULL, 0, &ranges_count);
    cut = calloc(1, sizeof *cut + ranges_count * sizeof *cut->ranges);
    if (!cut) return cst_fail(err, CST_NO_MEMORY, "%zu ranges of a delta", ranges_count);
    cut->given = (csti_released){.delta = sealed->delta, .panes = panes};
    cut->ranges_count = ranges_count;
    if (!panes)
        csti_keeper_delta_ranges(worker->keeper, &sealed->delta, cut->ranges, ranges_count,
                                 &cut->ranges_count);
    for (size_t r = 0; r < cut->ranges_count; r++) cut->bytes += cut->ranges[r].count;
    while (*last) last = &(*last)->next;
    *last = cut;
    if (job->totals) csti_job_totals_publish(worker, worker->epoch_next, sealed->rows_count);
    const csti_cut given = {.epoch = worker->epoch_next++,
                            .ranges[0] = panes ? panes->ranges : cut->ranges, // of one part
                            .ranges_count[0] = panes ? panes->ranges_count : cut->ranges_count,
                            .delta_bytes = panes ? panes->bytes : cut->bytes,
                            .watermark_us = sealed->watermark_us,
                            .rows_count = sealed->rows_count,
                            .rows_follow = sealed->rows_follow,
                            .token = cut};
    code = csti_checkpointer_partition(job->checkpointer, sealed->barrier.id, worker->number,
                                       &given, err);
    if (code == CST_CHECKPOINT_ABORTED) code = CST_OK; // it goes with the next
    if (code == CST_OK) code = csti_job_unaligned_sealed(worker, sealed, err);
    // Relaxed, both: the coordinator looks at the number alone, the second one's when it is
    // committed.
    if (sealed->closing)
        atomic_store_explicit(&worker->closing_id, sealed->barrier.id, memory_order_relaxed);
    atomic_store_explicit(&worker->sealed_id, sealed->barrier.id, memory_order_relaxed);
    csti_unpark(&job->uploaders[worker->number % job->uploaders_count].parker);
    return code;
}

static cst_code stored(void *context, uint64_t id, csti_stored_rows *rows, cst_err *err) {
    job_worker *worker = context;
    csti_job *job = worker->job;
    const uint64_t rows_count = rows->rows_count;
    cst_code code = csti_checkpointer_rows(job->checkpointer, id, worker->number, rows, err);

    if (code == CST_CHECKPOINT_ABORTED) code = CST_OK; // they are in the next cut
    if (code == CST_OK && rows_count > 0)
        CSTI_LOG(job->options.logger, CSTI_LOG_DEBUG, "rows_stored", csti_log_u64("checkpoint", id),
                 csti_log_u64("partition", worker->number), csti_log_u64("rows", rows_count));
    csti_unpark(&job->uploaders[worker->number % job->uploaders_count].parker);
    csti_unpark(&job->committer.parker);
    return code;
}

static bool released(void *context, csti_released *out) {
    job_worker *worker = context;
    // Acquire pairs with the release of the committer: the release is there when the count is.
    const uint64_t commits =
        atomic_load_explicit(&worker->job->commits_count, memory_order_acquire);
    job_cut **link = &worker->cuts;
    csti_cut cut;

    if (commits == worker->released_seen) return false;
    if (!csti_checkpointer_released(worker->job->checkpointer, worker->number, &cut)) {
        worker->released_seen = commits;
        return false;
    }
    while (*link && *link != cut.token) link = &(*link)->next;
    assert(*link);
    *link = (*link)->next;
    *out = ((job_cut *)cut.token)->given;
    csti_keeper_committed(worker->keeper, cut.checksum);
    free(cut.token);
    return true;
}

// An input is a reader, whose first split has its number, or a partition of the first stage.
static void input_name(const job_worker *worker, uint32_t input, char out[CSTI_SPLIT_NAME_BYTES]) {
    if (input >= senders_count(worker)) return;
    if (worker->stage == 0)
        (void)snprintf(out, CSTI_SPLIT_NAME_BYTES, "%s",
                       csti_source_split_name(worker->job->source, input));
    else
        (void)snprintf(out, CSTI_SPLIT_NAME_BYTES, "partition %" PRIu32, input);
}

static void given_up(void *context, csti_barrier barrier, cst_code code, uint32_t input) {
    job_worker *worker = context;
    char name[CSTI_SPLIT_NAME_BYTES] = "";

    input_name(worker, input, name);
    CSTI_LOG(worker->job->options.logger, CSTI_LOG_WARN, "barrier_given_up",
             csti_log_u64("checkpoint", barrier.id), csti_log_u64("partition", worker->number),
             csti_log_text("why", cst_code_name(code)), csti_log_text("waited_for", name));
    // Release pairs with the acquire of the committer, which tells the metadata.
    atomic_store_explicit(&worker->given_up_id, barrier.id, memory_order_release);
    csti_unpark(&worker->job->committer.parker);
}

static void applied(void *context, uint32_t rows_count, uint64_t read_ns, uint64_t applied_ns) {
    const job_worker *worker = context;
    const csti_job_observer *observer = &worker->job->options.observer;

    // Relaxed: a number that is shown.
    if (atomic_load_explicit(&worker->job->fallback.unseen_ns, memory_order_relaxed) > 0)
        csti_job_device_row_seen(worker->job);
    if (observer->applied)
        observer->applied(observer->context, worker->number, rows_count, read_ns, applied_ns);
}

// Rows of each split that the partition has of those that are read again; NULL: none.
static cst_code applied_before(const job_worker *worker, uint64_t **out, cst_err *err) {
    const csti_job *job = worker->job;
    const uint32_t splits_count = csti_source_splits_count(job->source);

    *out = NULL;
    if (job->plan.manifest.id == 0 || !csti_manifest_is_unaligned(&job->plan.manifest))
        return CST_OK;
    *out = calloc((size_t)splits_count + 1, sizeof **out);
    if (!*out) return cst_fail(err, CST_NO_MEMORY, "%" PRIu32 " splits", splits_count);
    for (uint32_t s = 0; s < splits_count; s++) {
        const csti_manifest_split *before =
            csti_job_split_before(job, csti_source_split_name(job->source, s));

        if (before && before->skips) (*out)[s] = before->skips[worker->number];
    }
    return CST_OK;
}

// Its channels, and who is woken when a block goes back: no thread wakes itself.
static void inputs_take(const job_worker *worker, csti_channel **inputs, csti_parker **senders) {
    const csti_job *job = worker->job;
    csti_channel *const *channels = worker->stage == 0 ? job->channels : job->then_channels;

    for (uint32_t s = 0; s < senders_count(worker); s++) {
        inputs[s] = channels[(size_t)s * job->partitions + worker->number % job->partitions];
        senders[s] = s == worker->number ? NULL : &job->workers[s].parker;
    }
}

// A copy: the plan ends before rows flow.
static cst_code replay_open(job_worker *worker, cst_err *err) {
    const csti_job *job = worker->job;
    const csti_chain *chain = job->plan.manifest.id > 0 ? &job->plan.chains[worker->number] : NULL;
    const csti_block_shape *shape = &job->stages[worker->stage].block;
    cst_code code;

    if (!chain || !chain->rows_body.bytes) return CST_OK;
    worker->replay = chain->rows;
    code = csti_stored_fits(&worker->replay, shape, err);
    if (code != CST_OK) return code;
    worker->replay_bytes = malloc(worker->replay.count);
    if (!worker->replay_bytes)
        return cst_fail(err, CST_NO_MEMORY, "%" PRIu64 " bytes of stored rows",
                        worker->replay.count);
    memcpy(worker->replay_bytes, chain->rows.bytes, worker->replay.count);
    worker->replay.bytes = worker->replay_bytes;
    CSTI_LOG(job->options.logger, CSTI_LOG_INFO, "rows_replayed",
             csti_log_u64("partition", worker->number),
             csti_log_u64("rows", worker->replay.rows_count));
    return csti_channel_open(shape, BLOCKS_MANY, worker->node, &worker->replay_blocks, err);
}

// A partition's share of what may wait for its checkpoint, or what may be held of late inputs.
static uint64_t stored_bytes_max(const csti_job *job) {
    const uint64_t share = job->config->staged_bytes_max / job->partitions;
    const uint64_t held = job->config->align_bytes_max;

    return held > 0 && held < share ? held : share;
}

static uint64_t state_bytes_max(const csti_job *job) {
    if (job->config->state_folder) return 0; // on disk it takes no memory
    return job->partition_budget_bytes - job->partition_budget_bytes / LOG_SHARE;
}

// The segment in which it comes to its bound is within the budget.
static uint64_t log_bytes_max(const job_worker *worker) {
    const csti_job *job = worker->job;

    if (job->config->state_folder) return csti_job_state_changes_max(job, under_way_bytes(worker));
    return job->partition_budget_bytes / LOG_SHARE - LOG_SEGMENT_BYTES;
}

static cst_code partition_open(job_worker *worker, cst_err *err) {
    csti_job *job = worker->job;
    const job_stage *stage = &job->stages[worker->stage];
    const csti_manifest_partition *before = recovered(worker);
    csti_channel *inputs[CSTI_JOB_PARTITIONS_MAX];
    csti_parker *senders[CSTI_JOB_PARTITIONS_MAX];
    const csti_aligner_options align = {.inputs_count = senders_count(worker),
                                        .rows_max = job->config->align_rows_max,
                                        .bytes_max = job->config->align_bytes_max,
                                        .time_max_ns = job->config->align_deadline_us * 1000};

    inputs_take(worker, inputs, senders);
    uint64_t *has_before = NULL;
    cst_code code = applied_before(worker, &has_before, err);
    if (code != CST_OK) return code;
    const csti_partition_options options = {
        .partition = worker->number,
        .clock = job->clock,
        .guard = &job->guard,
        .keeper = worker->keeper,
        .queue = worker->queue,
        .table = worker->table,
        .panes = worker->panes,
        .emitter = worker->emitter,
        .key = &stage->key.schema,
        .inputs = inputs,
        .senders = senders,
        .align = &align,
        .state_bytes_max = state_bytes_max(job),
        .log_bytes_max = log_bytes_max(worker),
        .paused = &job->paused,
        .paused_then = worker->stage > 0 ? &job->paused_then : NULL,
        .aborted_id = &job->aborted_id,
        .unaligned_id = job->unaligned ? &job->unaligned_id : NULL,
        .splits_count = worker->stage == 0 ? csti_source_splits_count(job->source) : 0,
        .applied_before = has_before,
        .totals = job->totals ? &worker->totals : NULL,
        .rows_before = before ? before->rows_count : 0,
        .watermark_us = before ? before->watermark_us : CSTI_WATERMARK_NONE,
        .ttl_us = stage->shape.program.ttl_us,
        .clock_source = stage->shape.clock_source,
        .block_rows_max = stage->block.rows_capacity,
        .shape = &stage->block,
        .stored_rows_max = job->config->align_rows_max,
        .stored_bytes_max = stored_bytes_max(job),
        .replay = worker->replay_bytes ? &worker->replay : NULL,
        .replay_blocks = worker->replay_blocks,
        .events = {.sealed = sealed,
                   .released = released,
                   .given_up = given_up,
                   .stored = worker->stage > 0 && job->unaligned ? stored : NULL,
                   .applied = worker->stage == 0 ? applied : NULL,
                   .context = worker},
        .metrics = job->metrics,
    };
    code = csti_partition_open(&options, &worker->partition, err);
    free(has_before);
    return code;
}

// ---- Both ---------------------------------------------------------------------------------------

// From a partition of the first stage to those of the second.
static cst_code emitter_open(job_worker *worker, cst_err *err) {
    csti_job *job = worker->job;
    const job_stage *then = &job->stages[1];
    csti_parker *receivers[CSTI_JOB_PARTITIONS_MAX];

    if (worker->stage + 1 == job->stages_count) return CST_OK;
    for (uint32_t p = 0; p < job->partitions; p++)
        receivers[p] = &job->workers[job->partitions + p].parker;
    const csti_router_options route = {
        .partitions_count = job->partitions,
        .groups_first = job->groups_first,
        .channels = &job->then_channels[(size_t)worker->number * job->partitions],
        .receivers = receivers,
        .shape = &then->block,
    };
    const csti_emitter_options options = {
        .partition = worker->number,
        .clock = job->clock,
        .from = &job->stages[0].shape.render,
        .window = then->window,
        .key = &then->key,
        .source_columns = then->shape.source_columns,
        .route = &route,
        .rows_max = rows_emitted(job),
        .paused = &job->paused_then,
        .metrics = job->metrics,
    };
    return csti_emitter_open(&options, &worker->emitter, err);
}

cst_code csti_job_tasks_open(job_worker *worker, cst_err *err) {
    csti_job *job = worker->job;
    cst_code code = csti_job_queue_open(job, &worker->queue, err);

    if (code == CST_OK) code = emitter_open(worker, err);
    if (code == CST_OK) code = keeper_open(worker, err);
    if (code == CST_OK) code = replay_open(worker, err);
    if (code == CST_OK) code = partition_open(worker, err);
    if (code != CST_OK) return cst_fail_at(err, code, "partition %" PRIu32, worker->number);
    return worker->number < job->readers_count ? csti_job_reader_open(worker, err) : CST_OK;
}

void csti_job_tasks_close(job_worker *worker) {
    cst_queue_close(worker->reader_queue); // what it encodes is the reader's
    cst_queue_close(worker->processor_queue);
    csti_reader_close(worker->reader);
    operators_close(worker->operators);
    csti_partition_close(worker->partition);
    csti_channel_close(worker->replay_blocks);
    free(worker->replay_bytes);
    csti_keeper_close(worker->keeper);
    csti_panes_close(worker->panes);
    csti_emitter_close(worker->emitter);
    cst_device_table_close(worker->table);
    cst_table_close(worker->longs);
    cst_queue_close(worker->queue);
    for (job_cut *next = worker->cuts; next;) {
        job_cut *cut = next;

        next = cut->next;
        free(cut);
    }
    worker->cuts = NULL;
}

static void channels_close(csti_channel ***channels, size_t count) {
    for (size_t c = 0; *channels && c < count; c++) csti_channel_close((*channels)[c]);
    free(*channels);
    *channels = NULL;
}

void csti_job_rows_close(csti_job *job) {
    channels_close(&job->channels, (size_t)job->readers_count * job->partitions);
    channels_close(&job->then_channels, (size_t)job->partitions * job->partitions);
    csti_job_unaligned_close(job);
    free(job->workers);
    job->workers = NULL;
    cst_device_close(job->device);
    cst_device_close(job->processor);
    job->device = job->processor = NULL;
    csti_source_close(job->source);
    job->source = NULL;
}
