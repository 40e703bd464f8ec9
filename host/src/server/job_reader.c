// job_reader.c: the source of a job, and a worker's reader of its splits.
#include "server/job_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static cst_code cut(void *context, csti_barrier barrier, const csti_reader_position *position,
                    cst_err *err) {
    job_worker *worker = context;
    const csti_job *job = worker->job;
    uint64_t skips[2 * CSTI_JOB_PARTITIONS_MAX] = {0}; // those of a second stage stay 0
    const csti_manifest_split split = {.split = position->split,
                                       .offset = position->offset,
                                       .watermark_us = position->watermark_us,
                                       .ended = position->ended,
                                       .skips = position->skips ? skips : NULL};
    cst_code code = csti_job_unaligned_note(worker->job, position, err);

    if (position->skips) memcpy(skips, position->skips, job->partitions * sizeof *skips);
    if (code != CST_OK || barrier.id == 0) return code;
    code = csti_checkpointer_source(job->checkpointer, barrier.id, &split, err);
    return code == CST_CHECKPOINT_ABORTED ? CST_OK : code;
}

const csti_manifest_split *csti_job_split_before(const csti_job *job, const char *name) {
    const csti_manifest *manifest = &job->plan.manifest;

    for (uint32_t s = 0; manifest->id > 0 && s < manifest->splits_count; s++)
        if (strcmp(manifest->splits[s].split, name) == 0) return &manifest->splits[s];
    return NULL;
}

static const char *offset_of(void *context, const char *split) {
    const csti_manifest_split *before = csti_job_split_before(context, split);

    return before ? before->offset : NULL;
}

static cst_code place_check(void *context, cst_err *err) {
    return csti_job_place_check(context, err);
}

static void source_failed(void *context, cst_code code, const cst_err *err) {
    csti_job_fail(context, code, err);
}

cst_code csti_job_source_begin(csti_job *job, cst_err *err) {
    csti_source_life life = {
        .job = job->config->name,
        .tenure = job->tenure,
        .patient = job->options.takeover,
        .checkpoints_kept = job->config->keep,
        .clock = job->clock,
        .logger = job->options.logger,
        .metrics = job->metrics,
        .offset_of = offset_of,
        .place_check = place_check,
        .failed = source_failed,
        .context = job,
    };
    csti_meta_view view;
    csti_arena arena;
    cst_code code;

    csti_arena_init(&arena, JOB_ARENA_BYTES_MAX);
    code = csti_meta_read(job->meta, &arena, &view, err);
    if (code == CST_OK) life.incarnation = view.incarnation;
    csti_arena_release(&arena);
    return code == CST_OK ? csti_source_begin(job->source, &life, err) : code;
}

cst_code csti_job_source_serve(csti_job *job, cst_err *err) {
    const cst_code code = csti_source_serve(job->source, err);
    const char *address = code == CST_OK ? csti_source_address(job->source) : NULL;

    if (address && job->options.listening)
        job->options.listening(job->options.listening_context, address);
    return code;
}

static uint64_t rows_every(const csti_job *job) {
    const uint32_t splits_count = csti_source_splits_count(job->source);
    const uint64_t splits = splits_count ? splits_count : 1;

    if (job->config->every_kind != CSTI_EVERY_ROWS) return 0;
    return (job->config->every + splits - 1) / splits;
}

// Every readers_count-th split, from its own number on.
static uint32_t splits_take(const job_worker *worker, csti_reader_split *splits) {
    const csti_job *job = worker->job;
    uint32_t count = 0;

    for (uint32_t i = worker->number; i < csti_source_splits_count(job->source);
         i += job->readers_count) {
        const char *name = csti_source_split_name(job->source, i);
        const csti_manifest_split *before = csti_job_split_before(job, name);

        splits[count++] =
            (csti_reader_split){.name = name,
                                .offset = before ? before->offset : NULL,
                                .watermark_us = before ? before->watermark_us : CSTI_WATERMARK_NONE,
                                .number = i,
                                .skips = before ? before->skips : NULL};
    }
    return count;
}

static cst_code reader_open(job_worker *worker, const csti_reader_split *splits,
                            uint32_t splits_count, cst_err *err) {
    csti_job *job = worker->job;
    csti_parker *receivers[CSTI_JOB_PARTITIONS_MAX];
    csti_steps *steps = NULL;
    cst_code code;

    for (uint32_t p = 0; p < job->partitions; p++)
        receivers[p] = p == worker->number ? NULL : &job->workers[p].parker;
    code = csti_job_steps_open(job, worker->operators, &steps, err);
    if (code != CST_OK) return code;
    const csti_router_options route = {
        .partitions_count = job->partitions,
        .groups_first = job->groups_first,
        .channels = &job->channels[(size_t)worker->number * job->partitions],
        .receivers = receivers,
        .shape = &job->stages[0].block,
        .rows_max = csti_job_rows_keyed(job, 0),
    };
    const csti_reader_options options = {
        .reader = worker->number,
        .clock = job->clock,
        .source = job->source,
        .splits = splits,
        .splits_count = splits_count,
        .steps = steps,
        .key = &job->stages[0].key,
        .source_columns = job->stages[0].shape.source_columns,
        .event_time_column = job->stages[0].shape.event_time_column,
        .lateness_us = job->config->watermark_us,
        .idle_us = job->config->idle_us,
        // What is settled has not been read to its end, though nothing more is read of it now.
        .end_closes = job->config->at_end == CSTI_AT_END_CLOSE && !job->settling,
        .rows_max = csti_job_rows_read(job),
        .queue = worker->reader_queue,
        .processor = worker->processor_queue,
        .device_rows_min = job->encode.rows_min,
        .proves_hashes = !csti_job_device_is_processor(job),
        .route = &route,
        .rows_every = rows_every(job),
        .barriers = &worker->barriers,
        .paused = &job->paused,
        .cut = cut,
        .context = worker,
    };
    return csti_reader_open(&options, &worker->reader, err);
}

cst_code csti_job_reader_open(job_worker *worker, cst_err *err) {
    const uint32_t splits_count = csti_source_splits_count(worker->job->source);
    csti_reader_split *splits = malloc((splits_count + 1) * sizeof *splits);
    cst_code code;

    if (!splits) return cst_fail(err, CST_NO_MEMORY, "%" PRIu32 " splits", splits_count);
    code = csti_job_queue_open(worker->job, &worker->reader_queue, err);
    if (code == CST_OK && worker->job->processor)
        code = cst_queue_open(worker->job->processor, NULL, &worker->processor_queue, err);
    if (code == CST_OK) code = reader_open(worker, splits, splits_take(worker, splits), err);
    free(splits);
    if (code == CST_OK && worker->job->unaligned) code = csti_reader_tell(worker->reader, err);
    return code;
}
