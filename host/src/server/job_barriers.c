#include "server/job_internal.h"

#include <assert.h>
#include <inttypes.h>

#define COORDINATOR_NAP_NS UINT64_C(20000000)
#define RETRY_NAP_NS UINT64_C(1000000) // a barrier is due and cannot go

// A barrier is waited for so long between two looks: by then it is made unaligned.
#define UNALIGN_NAP_NS UINT64_C(1000000)

// What the readers say, together.
typedef struct job_readers {
    bool all_ended;       // there is nothing more to read
    bool all_at_cut;      // one at least has its rows, and no other can read on
    bool all_passed;      // the last barrier: the next one may go
    bool any_skips;       // rows ahead that a partition has already
    int64_t watermark_us; // the lowest of those that read on
} job_readers;

static job_readers readers_read(const csti_job *job) {
    job_readers out = {.all_ended = true,
                       .all_at_cut = true,
                       .all_passed = true,
                       .watermark_us = INT64_MAX};
    bool any_at_cut = false;

    for (uint32_t r = 0; r < job->readers_count; r++) {
        csti_reader_stats stats;

        csti_reader_stats_read(job->workers[r].reader, &stats);
        out.all_ended = out.all_ended && stats.ended;
        out.all_at_cut = out.all_at_cut && (stats.at_cut || stats.ended || stats.waits);
        any_at_cut = any_at_cut || stats.at_cut;
        out.all_passed = out.all_passed && stats.passed_id == job->barrier_id;
        out.any_skips = out.any_skips || stats.skips;
        if (!stats.ended && stats.watermark_us < out.watermark_us)
            out.watermark_us = stats.watermark_us;
    }
    out.all_at_cut = out.all_at_cut && any_at_cut;
    return out;
}

// What went out of windows.
static uint64_t lines_of(const csti_job *job) {
    uint64_t lines = 0;

    for (uint32_t w = 0; w < job->workers_count; w++)
        if (job->workers[w].panes) lines += csti_panes_lines(job->workers[w].panes);
    return lines;
}

// With every = "auto": at once, as far as this is concerned.
static uint64_t next_barrier(const csti_job *job) {
    return csti_clock_now_ns(job->clock) + job->config->every * 1000;
}

// ---- Not aligned --------------------------------------------------------------------------------

static bool sealed_everywhere(const csti_job *job) {
    for (uint32_t w = 0; w < job->workers_count; w++)
        if (atomic_load_explicit(&job->workers[w].sealed_id, memory_order_relaxed) <
            job->barrier_id)
            return false;
    return true;
}

// Whether the last barrier has come through every channel, be it late.
static bool has_flowed(const csti_job *job, const job_readers *readers) {
    for (uint32_t w = 0; w < job->workers_count; w++)
        if (csti_partition_flowed_id(job->workers[w].partition) < job->barrier_id) return false;
    return readers->all_passed;
}

// Whether what was on its way to the second stage in front of the last barrier is there.
static bool then_has_flowed(const csti_job *job) {
    for (uint32_t w = job->partitions; w < job->workers_count; w++)
        if (csti_partition_flowed_id(job->workers[w].partition) < job->barrier_id) return false;
    return true;
}

static csti_barrier_mode next_mode(csti_job *job, const job_readers *readers) {
    if (!job->unaligned) return CSTI_BARRIER_ALIGNED;
    if (job->config->unaligned_after_us == 0) return CSTI_BARRIER_UNALIGNED;
    if (csti_job_is_stalled(job) && has_flowed(job, readers)) {
        atomic_store_explicit(&job->stalled, false, memory_order_relaxed);
        CSTI_LOG(job->options.logger, CSTI_LOG_INFO, "checkpoints_aligned",
                 csti_log_u64("behind", job->barrier_id));
    }
    return csti_job_is_stalled(job) ? CSTI_BARRIER_UNALIGNED : CSTI_BARRIER_ALIGNED;
}

static void unaligned_count(csti_job *job) {
    job->unaligned_count++;
    job->barrier_mode = CSTI_BARRIER_UNALIGNED;
}

// Whether the last barrier's checkpoint is over, and not by a commit.
static bool is_given_up(const csti_job *job) {
    csti_checkpointer_stats stats;

    csti_checkpointer_stats_read(job->checkpointer, &stats);
    return stats.begun == stats.committed + stats.aborted &&
           stats.last_committed_id < job->barrier_id;
}

// Nobody waits for the last barrier any longer. One that was given up and has not come through
// since would hold up the next one.
static void unalign(csti_job *job) {
    cst_err err = {0};
    const cst_code code = csti_job_unalign(job, job->barrier_id, &err);

    if (code == CST_NOT_FOUND && !is_given_up(job)) return; // sealed, or about to be given up
    if (code == CST_OK)
        unaligned_count(job);
    else if (code != CST_NOT_FOUND)
        csti_job_fail(job, code, &err);
    job->barrier_mode = CSTI_BARRIER_UNALIGNED; // not looked at again
    atomic_store_explicit(&job->stalled, true, memory_order_relaxed);
    CSTI_LOG(job->options.logger, CSTI_LOG_WARN, "checkpoints_unaligned",
             csti_log_u64("from", job->barrier_id),
             csti_log_u64("after_us", job->config->unaligned_after_us));
}

// The last barrier is not waited for at all.
static void unaligned_begin(csti_job *job) {
    cst_err err = {0};
    const cst_code code = csti_job_unalign(job, job->barrier_id, &err);

    if (code == CST_OK)
        unaligned_count(job);
    else if (code != CST_NOT_FOUND) // every input has passed it, as soon as it went
        csti_job_fail(job, code, &err);
}

static void unaligned_look(csti_job *job, uint64_t *nap_ns) {
    const uint64_t now_ns = csti_clock_now_ns(job->clock);

    if (!job->unaligned || job->barrier_id == 0) return;
    if (job->barrier_mode != CSTI_BARRIER_ALIGNED || sealed_everywhere(job)) return;
    if (now_ns - job->barrier_sent_ns >= job->config->unaligned_after_us * 1000)
        unalign(job);
    else if (*nap_ns > UNALIGN_NAP_NS)
        *nap_ns = UNALIGN_NAP_NS;
}

// One that a reader has not come to yet makes way for the next.
static void barriers_withdraw(csti_job *job) {
    for (uint32_t r = 0; r < job->readers_count; r++)
        (void)csti_barrier_withdraw(&job->workers[r].barriers, job->barrier_id);
}

// Whether another may follow the last one. Where not all are aligned, partitions have at most one
// to seal, and one whose rows they keep; readers that stand still hold up none.
static bool has_way(csti_job *job, const job_readers *readers, csti_barrier_mode mode) {
    csti_checkpointer_stats stats;

    if (!job->unaligned) return readers->all_passed;
    csti_checkpointer_stats_read(job->checkpointer, &stats);
    if (stats.begun != stats.committed + stats.aborted &&
        !(sealed_everywhere(job) && then_has_flowed(job)))
        return false;
    return readers->all_passed || mode == CSTI_BARRIER_UNALIGNED;
}

// ---- Barriers -----------------------------------------------------------------------------------

// False: not now.
static bool barrier_send(csti_job *job, const job_readers *readers, csti_barrier_mode mode,
                         uint64_t *id_out) {
    const uint64_t changes = csti_job_changes(job);
    const uint64_t lines = lines_of(job);
    csti_barrier barrier = {.mode = mode, .epoch = job->barriers_count + 1};
    uint64_t id = 0;
    cst_err err = {0};
    cst_code code;

    if (!has_way(job, readers, mode)) return false;
    code = csti_checkpointer_begin(job->checkpointer, &id, &err);
    if (code == CST_AGAIN) return false;
    if (code != CST_OK) {
        csti_job_fail(job, code, &err);
        return false;
    }
    atomic_store_explicit(&job->settled, false, memory_order_relaxed);
    if (!readers->all_passed) barriers_withdraw(job);
    barrier.id = job->barrier_id = id;
    job->barrier_mode = mode;
    job->barrier_sent_ns = csti_clock_now_ns(job->clock);
    job->barriers_count++;
    job->changes_at_barrier = changes;
    job->lines_at_barrier = lines;
    job->next_barrier_ns = next_barrier(job);
    csti_job_pace_sent(job, id);
    for (uint32_t r = 0; r < job->readers_count; r++) {
        // The cells are empty, nobody else fills them, and ids only rise.
        code = csti_barrier_inject(&job->workers[r].barriers, barrier, NULL);
        assert(code == CST_OK);
    }
    for (uint32_t w = 0; w < job->workers_count; w++) csti_unpark(&job->workers[w].parker);
    if (mode == CSTI_BARRIER_UNALIGNED) unaligned_begin(job);
    csti_job_tell(job, CSTI_JOB_BEGAN, id);
    *id_out = id;
    return true;
}

// State that was spread anew stands nowhere but in this run, until its first checkpoint.
static bool is_to_be_settled(const csti_job *job, const csti_checkpointer_stats *stats) {
    return job->rescaled.partitions_count > 0 && stats->committed == 0;
}

static bool barrier_is_due(const csti_job *job, const job_readers *readers,
                           const csti_checkpointer_stats *stats) {
    const bool none_under_way = stats->begun == stats->committed + stats->aborted;
    // The last one was given up: its changes wait for another, whether or not rows come.
    const bool left_behind = none_under_way && job->barrier_id > stats->last_committed_id;
    const bool source_waits =
        none_under_way && csti_source_waits(job->source, csti_clock_now_ns(job->clock));
    // Also without changes since the last barrier, if it went for another reason: who waits for
    // this one could never read on.
    const bool cut_is_due =
        job->config->every_kind == CSTI_EVERY_ROWS && readers->all_at_cut && readers->all_passed;

    if (is_to_be_settled(job, stats) && job->barriers_count == 0 &&
        job->config->every_kind != CSTI_EVERY_ROWS)
        return true;
    // Also without rows: a log that is full of what a checkpoint has takes none until one of this
    // run makes room.
    if (source_waits && stats->committed == 0) return true;
    // Windows are closed without rows, too.
    if (csti_job_changes(job) == job->changes_at_barrier &&
        lines_of(job) == job->lines_at_barrier && !left_behind && !cut_is_due)
        return false;
    // Memory is short: what is sealed and committed can be freed.
    if (atomic_load_explicit(&job->paused, memory_order_relaxed) > 0 && none_under_way) return true;
    if (source_waits) return true;
    if (atomic_load_explicit(&job->held, memory_order_relaxed)) return false;
    if (job->config->every_kind == CSTI_EVERY_ROWS) return readers->all_at_cut;
    if (job->config->every_kind == CSTI_EVERY_AUTO) return csti_job_pace_is_due(job);
    return csti_clock_now_ns(job->clock) >= job->next_barrier_ns;
}

// Whether the last final barrier was sealed with windows to be closed, for want of memory in the
// second stage.
static bool windows_left(const csti_job *job) {
    for (uint32_t w = 0; job->final_id > 0 && w < job->workers_count; w++)
        if (atomic_load_explicit(&job->workers[w].closing_id, memory_order_relaxed) ==
            job->final_id)
            return true;
    return false;
}

// What a commit frees will not do: only a larger budget helps.
static bool is_starved(const csti_job *job) {
    for (uint32_t w = 0; w < job->workers_count; w++)
        if (csti_partition_is_starved(job->workers[w].partition)) return true;
    return false;
}

// All is read, or the job was asked to stop: one more checkpoint, then the end. True: it is over.
static bool finish(csti_job *job, const job_readers *readers,
                   const csti_checkpointer_stats *stats) {
    // By the clock keys expire though no row comes, and windows may close.
    if (csti_job_rows(job) == 0 && job->base_id > 0 &&
        job->stages[0].shape.clock_source == CST_NO_COLUMN && job->config->window.size_us == 0) {
        // Nothing new.
        if (!is_to_be_settled(job, stats)) return stats->released >= stats->committed;
        if (stats->begun > stats->aborted) return false; // it is under way
    }
    if (job->final_id > 0 && stats->last_committed_id >= job->final_id) {
        if (stats->released < stats->committed) return false;
        if (!windows_left(job)) return true;
        // Whoever stops it finds them in the state of the next run.
        if (atomic_load_explicit(&job->stops_count, memory_order_relaxed) > 0 && is_starved(job))
            return true;
        if (atomic_load_explicit(&job->paused_then, memory_order_relaxed) > 0) return false;
        job->final_id = 0;
    }
    // It was given up, and its changes wait for another.
    if (job->final_id > 0 && stats->begun == stats->committed + stats->aborted) job->final_id = 0;
    if (job->final_id == 0) (void)barrier_send(job, readers, CSTI_BARRIER_FINAL, &job->final_id);
    return false;
}

// What is to be settled stays as it is.
static void rows_gone_fail(csti_job *job) {
    cst_err err = {0};
    const cst_code code =
        cst_fail(&err, CST_SOURCE_CHANGED,
                 "checkpoint %" PRIu64 " is not aligned, and its partitions have rows that the "
                 "source has no more: put them back, or go on with %" PRIu32 " partitions",
                 job->base_id, job->partitions);

    csti_job_fail(job, code, &err);
}

// Every partition has what any has.
static bool is_settled(const csti_job *job, const job_readers *readers) {
    return job->settling && !readers->any_skips &&
           readers->watermark_us >= job->settle_watermark_us;
}

// Until the next barrier is due, if that is soon.
static uint64_t nap_of(const csti_job *job) {
    const uint64_t now_ns = csti_clock_now_ns(job->clock);

    if (job->config->every_kind != CSTI_EVERY_TIME || job->next_barrier_ns <= now_ns ||
        job->next_barrier_ns - now_ns > COORDINATOR_NAP_NS)
        return COORDINATOR_NAP_NS;
    return job->next_barrier_ns - now_ns;
}

static void settled_look(csti_job *job, const csti_checkpointer_stats *stats) {
    const bool settled =
        stats->begun == stats->committed + stats->aborted && stats->released == stats->committed &&
        atomic_load_explicit(&job->commits_count, memory_order_relaxed) == stats->committed &&
        atomic_load_explicit(&job->compacted_count, memory_order_relaxed) == stats->committed;

    atomic_store_explicit(&job->settled, settled, memory_order_relaxed);
}

void csti_job_coordinate(csti_job *job) {
    job->next_barrier_ns = next_barrier(job);
    while (!csti_job_is_ending(job)) {
        const uint32_t stops = atomic_load_explicit(&job->stops_count, memory_order_relaxed);
        const job_readers readers = readers_read(job);
        uint64_t nap_ns = nap_of(job);
        csti_checkpointer_stats stats;
        uint64_t id;

        if (stops > 1) return;
        csti_checkpointer_stats_read(job->checkpointer, &stats);
        settled_look(job, &stats);
        csti_job_uploads_look(job, &stats);
        csti_job_pace_look(job, &stats);
        unaligned_look(job, &nap_ns);
        if (job->settling && stops == 0 && readers.all_ended && readers.any_skips) {
            rows_gone_fail(job);
            return;
        }
        if (stops > 0 || readers.all_ended || is_settled(job, &readers)) {
            if (finish(job, &readers, &stats)) {
                job->caught_up = readers.all_ended && !windows_left(job);
                job->finished = true;
                return;
            }
        } else if (csti_job_device_comes_back(job, &stats)) {
            return;
        } else if (barrier_is_due(job, &readers, &stats) &&
                   !barrier_send(job, &readers, next_mode(job, &readers), &id)) {
            nap_ns = RETRY_NAP_NS;
        }
        csti_job_report(job, job->settling);
        (void)csti_park_until(&job->coordinator, csti_clock_now_ns(job->clock) + nap_ns);
    }
}
