#include "server/job_internal.h"

#include <assert.h>

#define COORDINATOR_NAP_NS UINT64_C(20000000)
#define RETRY_NAP_NS UINT64_C(1000000) // a barrier is due and cannot go

// What the readers say, together.
typedef struct job_readers {
    bool all_ended;  // there is nothing more to read
    bool all_at_cut; // one at least has its rows, and no other can read on
    bool all_passed; // the last barrier: the next one may go
} job_readers;

static job_readers readers_read(const csti_job *job) {
    job_readers out = {.all_ended = true, .all_at_cut = true, .all_passed = true};
    bool any_at_cut = false;

    for (uint32_t r = 0; r < job->readers_count; r++) {
        csti_reader_stats stats;

        csti_reader_stats_read(job->workers[r].reader, &stats);
        out.all_ended = out.all_ended && stats.ended;
        out.all_at_cut = out.all_at_cut && (stats.at_cut || stats.ended || stats.waits);
        any_at_cut = any_at_cut || stats.at_cut;
        out.all_passed = out.all_passed && stats.passed_id == job->barrier_id;
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

// False: not now.
static bool barrier_send(csti_job *job, const job_readers *readers, csti_barrier_mode mode,
                         uint64_t *id_out) {
    const uint64_t changes = csti_job_changes(job);
    const uint64_t lines = lines_of(job);
    csti_barrier barrier = {.mode = mode, .epoch = job->barriers_count + 1};
    uint64_t id = 0;
    cst_err err = {0};
    cst_code code;

    if (!readers->all_passed) return false;
    code = csti_checkpointer_begin(job->checkpointer, &id, &err);
    if (code == CST_AGAIN) return false;
    if (code != CST_OK) {
        csti_job_fail(job, code, &err);
        return false;
    }
    atomic_store_explicit(&job->settled, false, memory_order_relaxed);
    barrier.id = job->barrier_id = id;
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
    // Also without changes since the last barrier, if it went for another reason: who waits for
    // this one could never read on.
    const bool cut_is_due =
        job->config->every_kind == CSTI_EVERY_ROWS && readers->all_at_cut && readers->all_passed;

    if (is_to_be_settled(job, stats) && job->barriers_count == 0 &&
        job->config->every_kind != CSTI_EVERY_ROWS)
        return true;
    // Windows are closed without rows, too.
    if (csti_job_changes(job) == job->changes_at_barrier &&
        lines_of(job) == job->lines_at_barrier && !left_behind && !cut_is_due)
        return false;
    // Memory is short: what is sealed and committed can be freed.
    if (atomic_load_explicit(&job->paused, memory_order_relaxed) > 0 && none_under_way) return true;
    if (none_under_way && csti_source_waits(job->source, csti_clock_now_ns(job->clock)))
        return true;
    if (atomic_load_explicit(&job->held, memory_order_relaxed)) return false;
    if (job->config->every_kind == CSTI_EVERY_ROWS) return readers->all_at_cut;
    if (job->config->every_kind == CSTI_EVERY_AUTO) return csti_job_pace_is_due(job);
    return csti_clock_now_ns(job->clock) >= job->next_barrier_ns;
}

// All is read, or the job was asked to stop: one more checkpoint, then the end. True: it is over.
static bool finish(csti_job *job, const job_readers *readers,
                   const csti_checkpointer_stats *stats) {
    // By the clock keys expire though no row comes, and windows may close.
    if (csti_job_rows(job) == 0 && job->base_id > 0 && job->shape.clock_source == CST_NO_COLUMN &&
        job->config->window.size_us == 0) {
        // Nothing new.
        if (!is_to_be_settled(job, stats)) return stats->released >= stats->committed;
        if (stats->begun > stats->aborted) return false; // it is under way
    }
    if (job->final_id > 0 && stats->last_committed_id >= job->final_id)
        return stats->released >= stats->committed;
    // It was given up, and its changes wait for another.
    if (job->final_id > 0 && stats->begun == stats->committed + stats->aborted) job->final_id = 0;
    if (job->final_id == 0) (void)barrier_send(job, readers, CSTI_BARRIER_FINAL, &job->final_id);
    return false;
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
        csti_job_pace_look(job, &stats);
        if (stops > 0 || readers.all_ended) {
            if (finish(job, &readers, &stats)) {
                job->caught_up = readers.all_ended;
                job->finished = true;
                return;
            }
        } else if (barrier_is_due(job, &readers, &stats) &&
                   !barrier_send(job, &readers, CSTI_BARRIER_ALIGNED, &id)) {
            nap_ns = RETRY_NAP_NS;
        }
        csti_job_report(job, false);
        (void)csti_park_until(&job->coordinator, csti_clock_now_ns(job->clock) + nap_ns);
    }
}
