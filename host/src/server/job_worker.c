#include "server/job_internal.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

enum {
    IDLE_TURNS_MAX = 64, // before it sleeps
    LAST_TURNS_MAX = 64, // behind the job's end
    QUEUED_PERCENT = 80, // of a channel: from there on its reader rests
};

// How long a worker sleeps at most: files that are followed are looked at so often.
#define WORKER_NAP_NS UINT64_C(1000000)
#define RECOVERY_NAP_NS UINT64_C(100000000)

// One turn of both tasks. CST_AGAIN: neither had anything to do.
static cst_code turn(job_worker *worker, bool may_read, cst_err *err) {
    cst_code read = CST_AGAIN;
    cst_code applied;

    if (worker->reader && may_read) read = csti_reader_poll(worker->reader, err);
    if (read != CST_OK && read != CST_AGAIN) return read;
    applied = csti_partition_poll(worker->partition, err);
    if (applied != CST_AGAIN) return applied;
    return read;
}

// The same while folds, uploads or a device are behind: what has come is applied, new rows come the
// slower.
static cst_code slow_turn(job_worker *worker, uint32_t rest_percent, cst_err *err) {
    csti_job *job = worker->job;
    const uint64_t begun_ns = csti_clock_now_ns(job->clock);
    const bool may_read = begun_ns >= worker->rest_until_ns;
    const cst_code code = turn(worker, may_read, err);

    if (code == CST_OK && may_read && worker->reader) {
        const uint64_t now_ns = csti_clock_now_ns(job->clock);
        const uint64_t rest_ns = (now_ns - begun_ns) * rest_percent / 100;

        worker->rest_until_ns = now_ns + rest_ns;
        // Relaxed: a number that is looked at.
        atomic_fetch_add_explicit(&job->rested_ns, rest_ns, memory_order_relaxed);
    }
    return code;
}

// The coordinator waits for readers that have come to a cut or to their end.
static void reader_tell(const job_worker *worker) {
    csti_reader_stats stats;

    if (!worker->reader) return;
    csti_reader_stats_read(worker->reader, &stats);
    if (stats.at_cut || stats.ended) csti_unpark(&worker->job->coordinator);
}

// What a reader's failure means to an alignment is counted even where the job ended first.
static void last_turns(const job_worker *worker) {
    cst_err err = {0};
    int turns = 0;

    while (turns++ < LAST_TURNS_MAX && csti_partition_poll(worker->partition, &err) == CST_OK)
        continue;
}

// Relaxed: a number that is looked at, with one writer.
static void busy_add(job_worker *worker, uint64_t ns) {
    const uint64_t busy_ns = atomic_load_explicit(&worker->busy_ns, memory_order_relaxed);

    atomic_store_explicit(&worker->busy_ns, busy_ns + ns, memory_order_relaxed);
}

static uint32_t greater(uint32_t a, uint32_t b) {
    return a > b ? a : b;
}

// A device that is behind lets the channels to its partition fill: from 80% of one its reader
// rests, when it is full twice as long as it works.
static uint32_t devices_rest_percent(const job_worker *worker) {
    const csti_job *job = worker->job;
    csti_channel *const *channels = job->channels + (size_t)worker->number * job->partitions;
    uint64_t percent_max = 0;

    if (!worker->reader) return 0;
    for (uint32_t p = 0; p < job->partitions; p++) {
        csti_channel_stats stats;

        csti_channel_stats_read(channels[p], &stats);
        if (stats.queued * 100 > percent_max * stats.queued_max)
            percent_max = stats.queued * 100 / stats.queued_max;
    }
    return percent_max > QUEUED_PERCENT ? (uint32_t)(percent_max - QUEUED_PERCENT) * 10 : 0;
}

static uint32_t rest_percent_of(const job_worker *worker) {
    const csti_job *job = worker->job;
    // Relaxed: numbers that change with commits.
    const uint32_t folds = atomic_load_explicit(&job->folds_rest_percent, memory_order_relaxed);
    const uint32_t uploads = atomic_load_explicit(&job->uploads_rest_percent, memory_order_relaxed);

    return greater(greater(folds, uploads), devices_rest_percent(worker));
}

static void worker_run(job_worker *worker) {
    csti_job *job = worker->job;
    uint32_t idle_turns = 0;
    cst_err err = {0};

    while (!csti_job_is_ending(job)) {
        const uint32_t rest_percent = rest_percent_of(worker);
        const uint64_t begun_ns = csti_clock_now_ns(job->clock);
        cst_code code = csti_job_device_look(worker, begun_ns, &err);

        if (code == CST_OK)
            code = rest_percent == 0 ? turn(worker, true, &err)
                                     : slow_turn(worker, rest_percent, &err);
        if (csti_code_is_device_fault(code))
            code = cst_fail_at(&err, code, "worker %" PRIu32, worker->number);
        if (code != CST_OK && code != CST_AGAIN) {
            csti_job_fail(job, code, &err);
            break;
        }
        if (code == CST_OK) busy_add(worker, csti_clock_now_ns(job->clock) - begun_ns);
        idle_turns = code == CST_OK ? 0 : idle_turns + 1;
        if (idle_turns == 1) reader_tell(worker);
        // A sender, a commit or a barrier wakes it.
        if (idle_turns >= IDLE_TURNS_MAX)
            (void)csti_park_until(&worker->parker, csti_clock_now_ns(job->clock) + WORKER_NAP_NS);
    }
    last_turns(worker);
}

static void *worker_main(void *context) {
    job_worker *worker = context;
    csti_job *job = worker->job;
    cst_err err = {0};
    cst_code code = worker->cpu >= 0 ? csti_thread_pin(worker->cpu, &err) : (cst_code)CST_OK;

    // A processor that was taken away meanwhile costs speed, nothing else.
    if (code != CST_OK)
        CSTI_LOG(job->options.logger, CSTI_LOG_WARN, "worker_not_pinned",
                 csti_log_u64("worker", worker->number), csti_log_text("why", err.text));
    code = csti_job_tasks_open(worker, &err);
    // A restore that was left because the job ends is not why it ends.
    if (code != CST_OK && !(code == CST_AGAIN && csti_job_is_ending(job)))
        csti_job_fail(job, code, &err);
    // Release pairs with the acquire of the coordinator: the tasks are there.
    atomic_fetch_add_explicit(&job->ready_count, 1, memory_order_release);
    csti_unpark(&job->coordinator);
    while (!csti_job_is_ending(job) && !atomic_load_explicit(&job->running, memory_order_acquire))
        csti_park(&worker->parker);
    if (!csti_job_is_ending(job)) worker_run(worker);
    return NULL;
}

// Returns when every worker has its tasks, or one could not get them.
cst_code csti_job_workers_start(csti_job *job, cst_err *err) {
    for (uint32_t w = 0; w < job->workers_count; w++) {
        job_worker *worker = &job->workers[w];
        const int failed = pthread_create(&worker->thread, NULL, worker_main, worker);

        if (failed) return cst_fail(err, CST_IO, "worker %" PRIu32 ": %s", w, strerror(failed));
        worker->started = true;
    }
    while (atomic_load_explicit(&job->ready_count, memory_order_acquire) < job->workers_count &&
           !csti_job_is_ending(job)) {
        if (job->base_id > 0) {
            if (csti_job_stops_early(job)) break;
            csti_job_report(job, true);
        }
        (void)csti_park_until(&job->coordinator, csti_clock_now_ns(job->clock) + RECOVERY_NAP_NS);
    }
    return CST_OK;
}

void csti_job_workers_join(csti_job *job) {
    for (uint32_t w = 0; job->workers && w < job->workers_count; w++) {
        if (!job->workers[w].started) continue;
        (void)pthread_join(job->workers[w].thread, NULL);
        job->workers[w].started = false;
    }
}
