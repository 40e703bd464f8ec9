// job_rescale.c: another number of partitions than the checkpoint's.
//
//   CLAIM ─► PARTITIONS ─► recover (2) ─► a full a new partition (4) ─► release (2) ─► restore (4)
//
// Where the checkpoint is not aligned, its partitions have not the same rows of the source, nor the
// same watermark: the job runs with the old ones first, until all have, and takes an aligned
// checkpoint (csti_job_run). An aligned one's have not the same watermark where an input was idle.
//
// What is killed in between leaves the old checkpoint as it is, and fulls that nobody names: the
// next start does all of it again, to whatever number it is told.
#include "server/job_internal.h"

#include "base/fault_point.h"

#include <assert.h>
#include <inttypes.h>

cst_code csti_job_partitions_settle(csti_job *job, cst_err *err) {
    const csti_meta_command command = {.kind = CSTI_META_PARTITIONS,
                                       .owner = job->owner,
                                       .tenure = job->tenure,
                                       .count = job->workers_count};
    csti_meta_result result = {0};
    csti_meta_view view;
    csti_arena arena;
    uint32_t before = 0;
    cst_code code;

    csti_arena_init(&arena, JOB_ARENA_BYTES_MAX);
    code = csti_meta_read(job->meta, &arena, &view, err);
    if (code == CST_OK) before = view.partitions_count;
    csti_arena_release(&arena);
    if (code != CST_OK || before == job->workers_count) return code;
    code = csti_meta_propose(job->meta, &command, &result, err);
    if (code != CST_OK)
        return cst_fail_at(err, code, "from %" PRIu32 " partitions to %" PRIu32, before,
                           job->workers_count);
    job->tenure = result.tenure;
    CSTI_FAULT_POINT(rescale_command);
    return CST_OK;
}

static void rescaled_say(const csti_job *job) {
    const csti_rescale_report *report = &job->rescaled;

    CSTI_LOG(job->options.logger, CSTI_LOG_INFO, "rescaled",
             csti_log_u64("checkpoint", job->plan.manifest.id),
             csti_log_u64("from", report->partitions_before),
             csti_log_u64("to", report->partitions_count), csti_log_u64("epoch", report->epoch),
             csti_log_u64("bytes_before", report->bytes_before),
             csti_log_u64("bytes_read", report->bytes_read),
             csti_log_u64("bytes_written", report->bytes_written));
}

// Beside the caller's.
static uint32_t threads_of(const csti_job *job) {
    const uint32_t cpus = job->topology.cpus_count;

    if (cpus < 2) return 0;
    return cpus - 1 < CSTI_RESCALE_THREADS_MAX ? cpus - 1 : CSTI_RESCALE_THREADS_MAX;
}

// What was closed, or over, by one partition's watermark would be open again by another's.
static bool closes_by_watermark(const csti_job *job) {
    return job->config->window.size_us > 0 || (job->config->ttl_us != CST_TTL_NONE &&
                                               job->stages[0].shape.clock_source == CST_NO_COLUMN);
}

static int64_t watermark_highest(const csti_manifest *manifest, uint32_t stage) {
    int64_t highest_us = INT64_MIN;

    for (uint32_t p = 0; p < manifest->partitions_count; p++)
        if (manifest->partitions[p].stage == stage &&
            manifest->partitions[p].watermark_us > highest_us)
            highest_us = manifest->partitions[p].watermark_us;
    return highest_us;
}

static bool watermarks_differ(const csti_manifest *manifest) {
    for (uint32_t p = 0; p < manifest->partitions_count; p++) {
        const csti_manifest_partition *partition = &manifest->partitions[p];

        if (partition->watermark_us != watermark_highest(manifest, partition->stage)) return true;
    }
    return false;
}

// Once: where the source has no rows that raise them, they stay as they are.
static bool is_to_be_settled(const csti_job *job) {
    const csti_manifest *manifest = &job->plan.manifest;

    return csti_manifest_is_unaligned(manifest) || csti_manifest_has_rows(manifest) ||
           (job->runs_count == 0 && closes_by_watermark(job) && watermarks_differ(manifest));
}

cst_code csti_job_rescale(csti_job *job, cst_err *err) {
    const csti_rescale_options options = {
        .store = job->store,
        .clock = job->clock,
        .random = job->random,
        .owner = job->owner,
        .tenure = job->tenure,
        .partitions_count = job->partitions,
        .threads_count = threads_of(job),
        .memory_bytes = job->config->budget_bytes,
        .step = csti_job_read_step,
        .step_context = job,
    };
    csti_recovery_plan plan;
    cst_code code;

    assert(job->plan_open);
    job->settle_watermark_us = job->settling && closes_by_watermark(job)
                                   ? watermark_highest(&job->plan.manifest, 0)
                                   : INT64_MIN;
    if (job->plan.manifest.id == 0 || job->plan.manifest.partitions_count == job->workers_count)
        return CST_OK;
    if (is_to_be_settled(job)) {
        job->partitions_to_settle =
            job->plan.manifest.partitions_count / csti_manifest_stages_count(&job->plan.manifest);
        return cst_fail(err, CST_ABORTED, "checkpoint %" PRIu64 " is to be settled first",
                        job->plan.manifest.id);
    }
    code = csti_rescale(&options, &job->plan, &plan, &job->rescaled, err);
    if (code != CST_OK)
        return cst_fail_at(err, code,
                           "checkpoint %" PRIu64 ": from %" PRIu32 " partitions to %" PRIu32,
                           job->plan.manifest.id, job->plan.manifest.partitions_count,
                           job->workers_count);
    CSTI_FAULT_POINT(rescale_spread);
    // All of it is verified now, as it is behind a restore.
    code = csti_job_release_again(job, err);
    if (code == CST_OK) {
        const csti_recovery_plan before = job->plan;

        job->plan = plan;
        plan = before;
        rescaled_say(job);
        csti_job_count_rescale(job);
    }
    csti_recovery_plan_close(&plan);
    // A part that was not taken in time, and the job was told to end: nobody waits for it.
    if (code == CST_DEADLINE && csti_job_is_ending(job))
        return cst_fail(err, CST_ABORTED, "the job ends");
    return code;
}
