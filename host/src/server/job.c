#include "server/job_internal.h"

#include "base/random.h"

#include <assert.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

// What each of its runs begins with.
static cst_code run_open(csti_job *job, cst_err *err) {
    cst_code code;

    job->partitions = job->config->partitions;
    job->lock_fd = -1;
    job->store_lock_fd = -1;
    job->orphans_due = true; // of whoever ran it before
    job->uploaders_count =
        job->partitions < JOB_UPLOADERS_MAX ? job->partitions : JOB_UPLOADERS_MAX;
    for (uint32_t u = 0; u < job->uploaders_count; u++) {
        job->uploaders[u].job = job;
        job->uploaders[u].number = u;
        csti_parker_init(&job->uploaders[u].parker);
    }
    code = csti_metrics_open(&job->metrics, err);
    return code == CST_OK ? csti_job_report_open(job, err) : code;
}

cst_code csti_job_open(const csti_job_config *config, const csti_job_options *options,
                       csti_job **out, cst_err *err) {
    csti_job *job = aligned_alloc(_Alignof(csti_job), sizeof *job);
    cst_code code;

    if (!job) return cst_fail(err, CST_NO_MEMORY, "job %s", config->name);
    memset(job, 0, sizeof *job);
    job->config = config;
    job->options = *options;
    job->clock = csti_clock_real();
    job->random = csti_random_real();
    csti_parker_init(&job->coordinator);
    csti_arena_init(&job->arena, JOB_ARENA_BYTES_MAX);
    (void)pthread_mutex_init(&job->failure_lock, NULL); // cannot fail without attributes
    code = run_open(job, err);
    if (code != CST_OK) {
        csti_job_close(job);
        return code;
    }
    *out = job;
    return CST_OK;
}

void csti_job_close(csti_job *job) {
    if (!job) return;
    csti_metrics_close(job->metrics);
    for (uint32_t r = 0; r < job->runs_count; r++) csti_metrics_close(job->metrics_before[r]);
    csti_published_close(job->published);
    csti_job_device_close(job);
    free(job->gauges);
    csti_arena_release(&job->arena);
    (void)pthread_mutex_destroy(&job->failure_lock);
    free(job);
}

const csti_recovery_report *csti_job_recovery(const csti_job *job) {
    return &job->recovery;
}

const csti_rescale_report *csti_job_rescaled(const csti_job *job) {
    return &job->rescaled;
}

csti_metrics *csti_job_metrics(csti_job *job) {
    return job->metrics;
}

// ---- Ends ---------------------------------------------------------------------------------------

void csti_job_end(csti_job *job) {
    // Release pairs with the acquire in csti_job_is_ending.
    atomic_store_explicit(&job->ending, true, memory_order_release);
    csti_unpark(&job->coordinator);
    for (uint32_t w = 0; job->workers && w < job->workers_count; w++)
        csti_unpark(&job->workers[w].parker);
    for (uint32_t u = 0; u < job->uploaders_count; u++) csti_unpark(&job->uploaders[u].parker);
    csti_unpark(&job->committer.parker);
    csti_unpark(&job->compactor.parker);
    csti_unpark(&job->watch.parker);
    csti_unpark(&job->mender.parker);
}

void csti_job_fail(csti_job *job, cst_code code, const cst_err *err) {
    (void)pthread_mutex_lock(&job->failure_lock);
    if (job->failure.code == CST_OK) {
        job->failure = *err;
        job->failure.code = code;
        csti_job_count_error(job, "job", code);
        if (csti_code_is_device_fault(code)) {
            // Relaxed: a number that is shown.
            atomic_fetch_add_explicit(&job->fallback.faults_count, 1, memory_order_relaxed);
            job->fallback.lost_ns = csti_clock_now_ns(job->clock);
        }
    }
    (void)pthread_mutex_unlock(&job->failure_lock);
    if (code == CST_FENCED && job->tenure > 0) csti_guard_fence(&job->guard);
    csti_job_end(job);
}

void csti_job_stop(csti_job *job) {
    // Relaxed: a number that the coordinator looks at when it wakes.
    atomic_fetch_add_explicit(&job->stops_count, 1, memory_order_relaxed);
    csti_unpark(&job->coordinator);
}

void csti_job_hold_checkpoints(csti_job *job, bool held) {
    // Relaxed: a barrier that is about to go still goes.
    atomic_store_explicit(&job->held, held, memory_order_relaxed);
    csti_unpark(&job->coordinator);
}

bool csti_job_is_settled(const csti_job *job) {
    return atomic_load_explicit(&job->settled, memory_order_relaxed);
}

void csti_job_stall_channel(csti_job *job, uint32_t reader, uint32_t partition, bool stalled) {
    assert(reader < job->readers_count);
    assert(partition < job->partitions);
    csti_channel_stall(job->channels[(size_t)reader * job->partitions + partition], stalled);
}

void csti_job_stall_then_channel(csti_job *job, uint32_t from, uint32_t to, bool stalled) {
    assert(job->then_channels);
    assert(from < job->partitions);
    assert(to < job->partitions);
    csti_channel_stall(job->then_channels[(size_t)from * job->partitions + to], stalled);
}

bool csti_job_is_stalled(const csti_job *job) {
    return atomic_load_explicit(&job->stalled, memory_order_relaxed);
}

static cst_code failure_read(csti_job *job, cst_err *err) {
    cst_code code;

    (void)pthread_mutex_lock(&job->failure_lock);
    code = job->failure.code;
    if (code != CST_OK && err) *err = job->failure;
    (void)pthread_mutex_unlock(&job->failure_lock);
    return code;
}

// Whoever has lost the job finds objects gone and files changed: that is the reason then, whatever
// failed of it first. Nobody else is running.
static void failure_settle(csti_job *job) {
    cst_err err = {0};

    if (job->failure.code == CST_OK || job->tenure == 0) return;
    if (csti_job_place_check(job, &err) == CST_FENCED) job->failure = err;
}

// ---- Run ----------------------------------------------------------------------------------------

// A split that the checkpoint knows and that is not there any more is rows that nobody will read.
static cst_code splits_check(const csti_job *job, cst_err *err) {
    const csti_manifest *manifest = &job->plan.manifest;

    for (uint32_t m = 0; manifest->id > 0 && m < manifest->splits_count; m++) {
        const uint32_t count = csti_source_splits_count(job->source);
        uint32_t s = 0;

        while (s < count &&
               strcmp(csti_source_split_name(job->source, s), manifest->splits[m].split) != 0)
            s++;
        if (s == count)
            return cst_fail(err, CST_SOURCE_CHANGED,
                            "split %s of checkpoint %" PRIu64 " is gone (it stood at %s)",
                            manifest->splits[m].split, manifest->id, manifest->splits[m].offset);
    }
    return CST_OK;
}

// Everything up to the moment in which rows may flow.
static cst_code start(csti_job *job, cst_err *err) {
    const uint64_t began_ns = csti_clock_now_ns(job->clock);
    uint64_t claimed_ns, read_ns;
    cst_code code = csti_job_rows_open(job, err);

    job->began_ns = began_ns;
    if (code == CST_OK) code = csti_job_claim(job, err);
    claimed_ns = csti_clock_now_ns(job->clock);
    if (code == CST_OK) code = csti_job_recover(job, err);
    job->recovery.claim_ns = claimed_ns - began_ns;
    if (code == CST_ABORTED && csti_job_is_ending(job)) return CST_OK; // it was told so
    if (code == CST_ABORTED && job->partitions_to_settle > 0) return CST_OK;
    if (code == CST_OK) code = csti_job_readers_settle(job, err);
    if (code == CST_OK) code = splits_check(job, err);
    if (code == CST_OK) code = csti_job_checkpointer_open(job, err);
    if (code == CST_OK) code = csti_job_source_begin(job, err);
    if (code == CST_OK) code = csti_job_channels_open(job, err);
    if (code == CST_OK) code = csti_job_report_workers(job, err);
    read_ns = csti_clock_now_ns(job->clock);
    if (code == CST_OK) code = csti_job_workers_start(job, err);
    job->recovery.restore_ns = csti_clock_now_ns(job->clock) - read_ns;
    if (code == CST_OK) code = failure_read(job, err);
    if (code == CST_OK && csti_job_is_ending(job)) return CST_OK; // the same
    // Behind the restore, which has verified every block: what is released of a checkpoint that
    // turns out to be damaged would bar the way back.
    if (code == CST_OK) code = csti_job_release_again(job, err);
    if (code == CST_DEADLINE && csti_job_is_ending(job)) return CST_OK;
    if (code == CST_OK) code = csti_job_background_start(job, err);
    if (code != CST_OK) return code;
    job->started_ns = csti_clock_now_ns(job->clock);
    job->progress_ns = 0; // what was found is told at once
    csti_job_pace_begin(job);
    csti_job_plan_close(job);
    if (job->base_id > 0) job->recovery_seconds = (double)(job->started_ns - began_ns) / 1e9;
    // Release pairs with the acquire of the workers.
    atomic_store_explicit(&job->running, true, memory_order_release);
    for (uint32_t w = 0; w < job->workers_count; w++) csti_unpark(&job->workers[w].parker);
    return job->settling ? CST_OK : csti_job_source_serve(job, err);
}

static cst_code run_once(csti_job *job, csti_job_result *result_out, cst_err *err) {
    cst_err reason = {0};
    cst_code code = start(job, &reason);

    if (code != CST_OK)
        csti_job_fail(job, code, &reason);
    else if (!csti_job_is_ending(job) && job->partitions_to_settle == 0)
        csti_job_coordinate(job);
    csti_job_end(job);
    csti_job_workers_join(job);
    csti_job_background_join(job);
    failure_settle(job);
    code = failure_read(job, err);
    csti_job_result_read(job, result_out);
    result_out->damaged = job->plan_open && !job->options.verify_all && csti_code_is_damage(code);
    if (csti_code_is_device_fault(code)) csti_job_device_quiet(job);
    if (job->workers)
        for (uint32_t w = 0; w < job->workers_count; w++) csti_job_tasks_close(&job->workers[w]);
    csti_job_rows_close(job);
    csti_job_unclaim(job);
    return code;
}

// Another run, of the config's partitions, or of those that are to be settled.
static cst_code run_anew(csti_job *job, uint32_t settle_partitions, cst_err *err) {
    cst_code code;

    assert(job->runs_count < JOB_RUNS_MAX);
    if (job->tenure > 0) {
        job->owner_before = job->owner;
        job->tenure_before = job->tenure;
    }
    free(job->gauges);
    job->metrics_before[job->runs_count++] = job->metrics;
    job->metrics = NULL;
    memset(&job->failure, 0, sizeof *job - offsetof(csti_job, failure));
    code = run_open(job, err);
    if (settle_partitions == 0) return code;
    job->partitions = settle_partitions;
    job->settling = true;
    return code;
}

// A checkpoint that is not aligned, of another number of partitions: a run of theirs comes first.
static cst_code settle(csti_job *job, uint32_t partitions, csti_job_result *result_out,
                       cst_err *err) {
    csti_job_result settled;
    cst_code code;

    CSTI_LOG(job->options.logger, CSTI_LOG_INFO, "settles", csti_log_u64("partitions", partitions));
    code = run_anew(job, partitions, err);
    if (code != CST_OK) return code;
    code = run_once(job, result_out, err);
    // Relaxed: it was told to stop, or it was not.
    if (code != CST_OK || !result_out->finished ||
        atomic_load_explicit(&job->stops_count, memory_order_relaxed) > 0)
        return code;
    settled = *result_out;
    code = run_anew(job, 0, err);
    if (code != CST_OK) return code;
    code = run_once(job, result_out, err);
    result_out->rows += settled.rows;
    result_out->long_rows += settled.long_rows;
    result_out->checkpoints += settled.checkpoints;
    return code;
}

static cst_code run_settled(csti_job *job, csti_job_result *result_out, cst_err *err) {
    const cst_code code = run_once(job, result_out, err);
    const uint32_t partitions = job->partitions_to_settle;

    return code == CST_OK && partitions > 0 ? settle(job, partitions, result_out, err) : code;
}

// Rows that are read again count again.
static void result_add(csti_job_result *result, const csti_job_result *before) {
    result->rows += before->rows;
    result->rows_dropped_by_filters += before->rows_dropped_by_filters;
    result->long_rows += before->long_rows;
    result->seconds += before->seconds;
    result->checkpoints += before->checkpoints;
    if (!result->simulation.simulated) result->simulation = before->simulation;
}

cst_code csti_job_run(csti_job *job, csti_job_result *result_out, cst_err *err) {
    cst_err why = {0};
    cst_code code = run_settled(job, result_out, &why);

    while (csti_job_device_again(job, code, &why)) {
        const csti_job_result before = *result_out;

        code = run_anew(job, 0, &why);
        if (code != CST_OK) break;
        code = run_settled(job, result_out, &why);
        result_add(result_out, &before);
    }
    if (code != CST_OK && err) *err = why;
    return code;
}
