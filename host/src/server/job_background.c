#include "server/job_internal.h"

#include "base/arena.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

enum {
    TROUBLES_MAX = 3,     // in a row, of those that waiting does not cure
    GC_EVERY_COMMITS = 4, // each costs two commands
    REST_PERCENT_MAX = 700,
    STAGED_PERCENT = 80, // of staged_max: from there on readers rest
    BACKGROUND_NICE = 5, // a third of a partition's weight
};

#define LAG_ALLOWED 4.0 // deltas of twice the state, or 128 of them, by the default policy

#define EAGER_SHARE 0.125         // deltas of so much of the state, where a recovery takes too long
#define NAP_NS UINT64_C(50000000) // deadlines are looked at so often
#define WATCH_NS UINT64_C(1000000000)

static void nap(csti_job *job, csti_parker *parker, uint64_t ns) {
    (void)csti_park_until(parker, csti_clock_now_ns(job->clock) + ns);
}

// A store that has taken a commit of this run and takes none now is full, broken or shut: somebody
// mends it, and until then barriers wait and rows go on. One that never took any is set up wrong.
static bool may_mend(const csti_job *job, cst_code code) {
    return (code == CST_IO || code == CST_OBJECT_DENIED) &&
           atomic_load_explicit(&job->commits_count, memory_order_relaxed) > 0;
}

// A step of a checkpoint did not succeed. What it held goes with the next one; the job goes on,
// unless it has lost its place, or this machine's disk or rights will not get better by waiting.
static void trouble(csti_job *job, const char *step, cst_code code, const cst_err *err) {
    CSTI_LOG_LIMITED(job->options.logger, CSTI_LOG_WARN, 5, "checkpoint_step_failed",
                     csti_log_text("step", step), csti_log_text("code", cst_code_name(code)),
                     csti_log_text("why", err->text));
    csti_job_count_error(job, step, code);
    // What was begun may lie about; and what nothing needs may be in the way.
    atomic_store_explicit(&job->orphans_due, true, memory_order_relaxed);
    if (code == CST_IO) {
        atomic_store_explicit(&job->room_wanted, true, memory_order_relaxed);
        csti_unpark(&job->compactor.parker);
    }
    if (may_mend(job, code)) return;
    switch (code) {
    case CST_CHECKPOINT_ABORTED:
    case CST_CHECKPOINT_RETIRED:
    case CST_OBJECT_UNAVAILABLE:
    case CST_OBJECT_AMBIGUOUS:
    case CST_DEADLINE:
    case CST_EXISTS:
        return;
    case CST_IO:
    case CST_OBJECT_DENIED:
    case CST_SINK:
    case CST_NO_MEMORY:
    case CST_LIMIT:
        if (atomic_fetch_add_explicit(&job->troubles_count, 1, memory_order_relaxed) + 1 <
            TROUBLES_MAX)
            return;
        break;
    default:
        break;
    }
    csti_job_fail(job, code, err);
}

// On processors that are all taken by rows, what follows them gets about a quarter of one, and does
// not hold up a partition for a whole turn of the scheduler. Where a processor is free it changes
// nothing.
static void stand_back(void) {
    (void)!nice(BACKGROUND_NICE); // of this thread; refused: it goes on as it was
}

// ---- Uploads ------------------------------------------------------------------------------------

static bool uploads_do(job_uploader *uploader) {
    csti_job *job = uploader->job;
    bool worked = false;

    for (uint32_t p = uploader->number; p < job->workers_count; p += job->uploaders_count) {
        cst_err err = {0};
        const uint64_t begun_ns = csti_clock_now_ns(job->clock);
        const cst_code code = csti_checkpointer_upload(job->checkpointer, p, &err);

        if (code == CST_AGAIN) continue;
        csti_metric_observe(job->workers[p].upload_ns, csti_clock_now_ns(job->clock) - begun_ns);
        if (code == CST_OK)
            worked = true;
        else
            trouble(job, "upload", code, &err);
        csti_unpark(&job->committer.parker);
    }
    return worked;
}

static void *uploader_main(void *context) {
    job_uploader *uploader = context;

    stand_back();
    while (!csti_job_is_ending(uploader->job))
        if (!uploads_do(uploader)) nap(uploader->job, &uploader->parker, NAP_NS);
    return NULL;
}

// ---- Chains that grow -------------------------------------------------------------------------

// What is in a checkpoint need not be kept to be read again.
static void source_tell(csti_job *job, const csti_manifest *manifest) {
    for (uint32_t s = 0; s < manifest->splits_count; s++)
        csti_source_committed(job->source, manifest->splits[s].split, manifest->splits[s].offset);
    csti_source_truncate(job->source);
}

// Folds that do not keep up let chains grow, and with them what is stored and what a recovery
// reads. Sources slow down the more the further folds are behind, long before anything has to be
// refused: at twice what is allowed a reader rests twice as long as it works.
static void newest_look(csti_job *job) {
    double lag_max = 0, rest_percent;
    csti_manifest manifest = {.id = 0};
    csti_arena arena;

    csti_arena_init(&arena, JOB_ARENA_BYTES_MAX);
    // What cannot be read now is looked at behind the next commit.
    if (csti_checkpointer_newest(job->checkpointer, &arena, &manifest, NULL) == CST_OK) {
        for (uint32_t p = 0; p < manifest.partitions_count; p++) {
            const double lag = csti_fold_lag(&job->config->fold, &manifest.partitions[p]);

            if (lag > lag_max) lag_max = lag;
        }
        source_tell(job, &manifest);
        if (manifest.id > 0) csti_job_pace_chains(job, &manifest);
    }
    csti_arena_release(&arena);
    rest_percent = lag_max > LAG_ALLOWED ? (lag_max - LAG_ALLOWED) * 50 : 0;
    if (rest_percent > REST_PERCENT_MAX) rest_percent = REST_PERCENT_MAX;
    // Relaxed: readers see it sooner or later.
    atomic_store_explicit(&job->folds_rest_percent, (uint32_t)rest_percent, memory_order_relaxed);
    if (rest_percent > 0)
        CSTI_LOG_LIMITED(job->options.logger, CSTI_LOG_WARN, 1, "sources_slowed",
                         csti_log_text("why", "folds are behind"),
                         csti_log_u64("rest_percent", (uint64_t)rest_percent));
}

// Changes that wait for their commit: from 80% of what may wait a reader rests, at the bound, where
// barriers begin to wait, twice as long as it works.
void csti_job_uploads_look(csti_job *job, const csti_checkpointer_stats *stats) {
    const uint64_t percent = stats->staged_bytes * 100 / stats->staged_bytes_max;
    uint64_t rest_percent = percent > STAGED_PERCENT ? (percent - STAGED_PERCENT) * 10 : 0;

    if (rest_percent > REST_PERCENT_MAX) rest_percent = REST_PERCENT_MAX;
    // Relaxed: readers see it sooner or later.
    atomic_store_explicit(&job->uploads_rest_percent, (uint32_t)rest_percent, memory_order_relaxed);
    if (rest_percent > 0)
        CSTI_LOG_LIMITED(job->options.logger, CSTI_LOG_WARN, 1, "sources_slowed",
                         csti_log_text("why", "uploads are behind"),
                         csti_log_u64("staged_bytes", stats->staged_bytes),
                         csti_log_u64("rest_percent", rest_percent));
}

// ---- Commits ------------------------------------------------------------------------------------

static void commit_seen(csti_job *job, uint64_t id) {
    csti_job_tell(job, CSTI_JOB_COMMITTED, id);
    atomic_store_explicit(&job->troubles_count, 0, memory_order_relaxed);
    // Release pairs with the acquire in `released`.
    atomic_fetch_add_explicit(&job->commits_count, 1, memory_order_release);
    newest_look(job);
    for (uint32_t w = 0; w < job->workers_count; w++) csti_unpark(&job->workers[w].parker);
    csti_unpark(&job->compactor.parker);
}

static void given_up_tell(csti_job *job) {
    for (uint32_t w = 0; w < job->workers_count; w++) {
        // Acquire pairs with the release in `given_up`.
        const uint64_t id =
            atomic_exchange_explicit(&job->workers[w].given_up_id, 0, memory_order_acquire);
        cst_err err = {0};
        cst_code code;

        if (id == 0) continue;
        code = csti_checkpointer_abort(job->checkpointer, id, &err);
        // It may be over already, one way or the other.
        if (code != CST_OK && code != CST_NOT_FOUND && code != CST_CHECKPOINT_ORDER)
            trouble(job, "abort", code, &err);
    }
}

// Nobody has to align it any more.
static void abort_seen(csti_job *job, uint64_t id) {
    // Relaxed: nothing else goes with the number.
    atomic_store_explicit(&job->aborted_id, id, memory_order_relaxed);
    for (uint32_t w = 0; w < job->workers_count; w++) csti_unpark(&job->workers[w].parker);
}

// A release is over before the next commit begins.
static const char *step_of_commit(const csti_job *job) {
    csti_checkpointer_stats stats;

    csti_checkpointer_stats_read(job->checkpointer, &stats);
    return stats.released < stats.committed ? "release" : "commit";
}

static void *committer_main(void *context) {
    csti_job *job = context;

    while (!csti_job_is_ending(job)) {
        uint64_t id = 0;
        cst_err err = {0};
        cst_code code;

        given_up_tell(job);
        code = csti_checkpointer_commit(job->checkpointer, &id, &err);
        if (code == CST_OK)
            commit_seen(job, id);
        else if (code != CST_AGAIN)
            trouble(job, step_of_commit(job), code, &err);
        if (code == CST_CHECKPOINT_ABORTED) abort_seen(job, id);
        csti_unpark(&job->coordinator);
        if (code != CST_OK) nap(job, &job->committer.parker, NAP_NS);
    }
    return NULL;
}

// ---- Folds and gc -------------------------------------------------------------------------------

static void compaction_trouble(csti_job *job, const char *step, cst_code code, const cst_err *err) {
    if (code == CST_FENCED) {
        csti_job_fail(job, code, err);
        return;
    }
    csti_job_count_error(job, step, code);
    // Another process folds, or did when it died, or the store does not answer: the chain stays.
    CSTI_LOG_LIMITED(job->options.logger, code == CST_LEASE ? CSTI_LOG_INFO : CSTI_LOG_WARN, 1,
                     "compaction_failed", csti_log_text("step", step),
                     csti_log_text("code", cst_code_name(code)), csti_log_text("why", err->text));
}

typedef struct compactor {
    csti_job *job;
    csti_compaction_options options;
    uint64_t folded_at, collected_at; // commits by then
} compactor;

// Behind the first commit of a run nobody can commit any more what a dead process left: so that gc,
// and the one behind anything that failed, looks for orphans too. A full disk needs no commit.
static void collect(compactor *at) {
    csti_job *job = at->job;
    // Acquire pairs with the release in `commit_seen`.
    const uint64_t commits = atomic_load_explicit(&job->commits_count, memory_order_acquire);
    const bool due = commits - at->collected_at >= (at->collected_at ? GC_EVERY_COMMITS : 1);
    csti_gc_mode mode = CSTI_GC_RETIRE;
    csti_gc_report report;
    cst_err err = {0};
    cst_code code;

    if (csti_job_is_ending(job)) return;
    if (!atomic_exchange_explicit(&job->room_wanted, false, memory_order_relaxed) && !due) return;
    if (due && atomic_exchange_explicit(&job->orphans_due, false, memory_order_relaxed))
        mode = CSTI_GC_ORPHANS;
    if (due) at->collected_at = commits;
    code = csti_gc(&at->options, mode, NULL, NULL, &report, &err);
    if (code == CST_OK) return;
    if (mode == CSTI_GC_ORPHANS)
        atomic_store_explicit(&job->orphans_due, true, memory_order_relaxed);
    compaction_trouble(job, "gc", code, &err);
}

// Where a recovery takes too long, a chain is folded for less.
static bool fold_is_due(const compactor *at, const csti_manifest_partition *partition) {
    csti_fold_policy policy = at->options.fold;

    if (atomic_load_explicit(&at->job->folds_eager, memory_order_relaxed) && policy.every == 0)
        policy.delta_share = EAGER_SHARE;
    return csti_fold_is_due(&policy, partition);
}

// Of the newest checkpoint, since gc may take the others meanwhile.
static cst_code fold_one(compactor *at, uint32_t p, csti_arena *arena, cst_err *err) {
    csti_job *job = at->job;
    const uint64_t from_ns = csti_clock_now_ns(job->clock);
    csti_manifest manifest;
    csti_manifest_segment full;
    cst_code code = csti_checkpointer_newest(job->checkpointer, arena, &manifest, err);

    if (code != CST_OK || !fold_is_due(at, &manifest.partitions[p])) return code;
    code = csti_fold_partition(&at->options, &manifest, p, arena, &full, err);
    if (code == CST_OK) code = csti_checkpointer_use_full(job->checkpointer, p, &full, err);
    if (code != CST_OK) return code;
    csti_job_count_fold(job, full.bytes, csti_clock_now_ns(job->clock) - from_ns);
    csti_job_tell(job, CSTI_JOB_FOLDED, p);
    collect(at); // it took long
    return CST_OK;
}

static void folds_do(compactor *at) {
    cst_code code = CST_OK;
    csti_arena arena;
    cst_err err = {0};

    csti_arena_init(&arena, JOB_ARENA_BYTES_MAX);
    for (uint32_t p = 0; p < at->job->workers_count && code == CST_OK; p++) {
        if (csti_job_is_ending(at->job)) break;
        csti_arena_reset(&arena);
        code = fold_one(at, p, &arena, &err);
    }
    if (code != CST_OK && code != CST_NOT_FOUND) compaction_trouble(at->job, "fold", code, &err);
    csti_arena_release(&arena);
}

static void *compactor_main(void *context) {
    csti_job *job = context;
    compactor at = {
        .job = job,
        .options =
            {
                .store = job->store,
                .meta = job->meta,
                .clock = job->clock,
                .random = job->random,
                .logger = job->options.logger,
                .owner = job->owner,
                .tenure = job->tenure,
                .fold = job->config->fold,
                .keep = job->config->keep,
                .step_deadline_us = job->config->step_deadline_us,
            },
    };

    stand_back();
    while (!csti_job_is_ending(job)) {
        const uint64_t commits = atomic_load_explicit(&job->commits_count, memory_order_acquire);

        collect(&at);
        // Relaxed: a number that is looked at.
        atomic_store_explicit(&job->compacted_count, at.folded_at, memory_order_relaxed);
        if (commits == at.folded_at) {
            csti_unpark(&job->coordinator);
            nap(job, &job->compactor.parker, WATCH_NS);
            continue;
        }
        at.folded_at = commits;
        folds_do(&at);
    }
    return NULL;
}

// ---- The watch ----------------------------------------------------------------------------------

cst_code csti_job_place_check(csti_job *job, cst_err *err) {
    csti_meta_view view;
    csti_arena arena;
    cst_code code;

    csti_arena_init(&arena, JOB_ARENA_BYTES_MAX);
    code = csti_meta_refresh(job->meta, err);
    if (code == CST_OK) code = csti_meta_read(job->meta, &arena, &view, err);
    if (code == CST_OK && (view.owner != job->owner || view.tenure != job->tenure))
        code = cst_fail(err, CST_FENCED, "job %s: tenure %" PRIu64 " has begun, ours was %" PRIu64,
                        job->config->name, view.tenure, job->tenure);
    csti_arena_release(&arena);
    return code;
}

static void place_watch(csti_job *job) {
    cst_err err = {0};
    const cst_code code = csti_job_place_check(job, &err);

    if (code == CST_FENCED)
        csti_job_fail(job, code, &err);
    else if (code != CST_OK) // commits ask again, and commit nothing without an answer
        CSTI_LOG_LIMITED(job->options.logger, CSTI_LOG_WARN, 1, "place_not_known",
                         csti_log_text("code", cst_code_name(code)),
                         csti_log_text("why", err.text));
}

static void *watch_main(void *context) {
    csti_job *job = context;

    while (!csti_job_is_ending(job)) {
        nap(job, &job->watch.parker, WATCH_NS);
        if (csti_job_is_ending(job)) break;
        place_watch(job);
        // After a takeover the locks come free when the one before has gone.
        if (job->lock_fd < 0) (void)!csti_job_lock(job, NULL);
        if (job->store_lock_fd < 0) (void)!csti_job_store_lock(job, NULL);
    }
    return NULL;
}

// ---- All of them --------------------------------------------------------------------------------

static cst_code thread_start(job_thread *thread, void *(*main)(void *), csti_job *job,
                             const char *name, cst_err *err) {
    int failed;

    csti_parker_init(&thread->parker);
    failed = pthread_create(&thread->thread, NULL, main, job);
    if (failed) return cst_fail(err, CST_IO, "the %s thread: %s", name, strerror(failed));
    thread->started = true;
    return CST_OK;
}

static void thread_join(job_thread *thread) {
    if (thread->started) (void)pthread_join(thread->thread, NULL);
    thread->started = false;
}

cst_code csti_job_background_start(csti_job *job, cst_err *err) {
    cst_code code = thread_start(&job->committer, committer_main, job, "commit", err);

    if (code == CST_OK) code = thread_start(&job->compactor, compactor_main, job, "fold", err);
    if (code == CST_OK) code = thread_start(&job->watch, watch_main, job, "watch", err);
    if (code == CST_OK && csti_job_device_is_away(job))
        code = thread_start(&job->mender, csti_job_device_mend, job, "device", err);
    for (uint32_t u = 0; u < job->uploaders_count && code == CST_OK; u++) {
        job_uploader *uploader = &job->uploaders[u];
        const int failed = pthread_create(&uploader->thread, NULL, uploader_main, uploader);

        if (failed)
            code = cst_fail(err, CST_IO, "uploader %" PRIu32 ": %s", u, strerror(failed));
        else
            uploader->started = true;
    }
    return code;
}

void csti_job_background_join(csti_job *job) {
    for (uint32_t u = 0; u < job->uploaders_count; u++) {
        if (job->uploaders[u].started) (void)pthread_join(job->uploaders[u].thread, NULL);
        job->uploaders[u].started = false;
    }
    thread_join(&job->committer);
    thread_join(&job->compactor);
    thread_join(&job->watch);
    thread_join(&job->mender);
}
