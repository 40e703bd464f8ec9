#include "server/job_internal.h"

#include "object/backend.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

// Metrics and what the log says of memory are kept up also where nobody asks for progress.
#define REPORT_US UINT64_C(1000000)
#define RATE_S 4.0 // what the rate of uploads is mostly of

// Of the job as a whole; partitions have their own (stream/partition.h).
typedef struct job_gauges {
    csti_metric *read;      // rows
    csti_metric *dropped;   // rows
    csti_metric *lag;       // of the sources
    csti_metric *committed; // checkpoints
    csti_metric *aborted;   // checkpoints
    csti_metric *last_id;
    csti_metric *staged_epochs;
    csti_metric *staged_bytes;
    csti_metric *uploaded_bytes;
    csti_metric *upload_ns;
    csti_metric *commit_ns;
    csti_metric *release_ns;
    csti_metric *folds;
    csti_metric *folded_bytes;
    csti_metric *fold_ns;
    csti_metric *rest_ns;
    csti_metric *errors;
    csti_metric *paused;
    csti_metric *partitions, *unaligned;
    csti_metric *rescaled_bytes;
    csti_metric *rescale_ns;
    csti_metric *estimate; // of a recovery
    csti_metric *upload_left, *upload_rate, *upload_left_ns, *upload_memory, *upload_memory_most;
    csti_metric *device_faults, *device_tries, *device_returns, *device_away, *device_recovery;
    csti_metric *downloads, *download_bytes, *download_beside;
    csti_metric *encode_rows_min, *encoded_near;
} job_gauges;

static cst_code fallback_open(csti_job *job, job_gauges *g, cst_err *err) {
    const csti_metric_row wanted[] = {
        {&g->device_faults, CSTI_METRIC_COUNTER, "constellation_device_faults_total",
         "Times that the job's device was lost."},
        {&g->device_tries, CSTI_METRIC_COUNTER, "constellation_device_tries_total",
         "Times that a lost device was tried."},
        {&g->device_returns, CSTI_METRIC_COUNTER, "constellation_device_returns_total",
         "Times that the job went back to its device."},
        {&g->device_away, CSTI_METRIC_GAUGE, "constellation_device_away",
         "1 while cpu: stands in for the job's device."},
        {&g->device_recovery, CSTI_METRIC_GAUGE, "constellation_device_recovery_seconds",
         "From the last loss of the device until the first row behind it."},
        {&g->encode_rows_min, CSTI_METRIC_GAUGE, "constellation_device_encode_rows_min",
         "Batches of so many rows and more have their keys made on the device; -1: none have."},
        {&g->encoded_near, CSTI_METRIC_COUNTER, "constellation_processor_encoded_rows_total",
         "Rows whose keys were made on the processor, as their batch was too small for the "
         "device."},
        {&g->downloads, CSTI_METRIC_COUNTER, "constellation_device_deltas_total",
         "Sealed deltas that came from memory of the device's own."},
        {&g->download_bytes, CSTI_METRIC_COUNTER, "constellation_device_delta_bytes_total",
         "Bytes of these deltas."},
        {&g->download_beside, CSTI_METRIC_COUNTER, "constellation_device_beside_deltas_total",
         "Commands of the next epochs that the device did while a delta was on its way."},
    };

    return csti_metrics_register_rows(job->metrics, wanted, sizeof wanted / sizeof *wanted, "",
                                      err);
}

// What uploads have before them, how fast they are, and the memory that they take.
static cst_code uploads_open(csti_job *job, job_gauges *g, cst_err *err) {
    const csti_metric_row wanted[] = {
        {&g->upload_left, CSTI_METRIC_GAUGE, "constellation_upload_left_bytes",
         "Bytes of deltas that are not in the store yet."},
        {&g->upload_rate, CSTI_METRIC_GAUGE, "constellation_upload_rate_bytes",
         "Bytes a second that uploads have handed to the store of late."},
        {&g->upload_left_ns, CSTI_METRIC_GAUGE, "constellation_upload_left_seconds",
         "How long what is left takes at that rate; 0 without one."},
        {&g->upload_memory, CSTI_METRIC_GAUGE, "constellation_upload_memory_bytes",
         "Memory that uploads hold; at most upload_mib of the store's URI."},
        {&g->upload_memory_most, CSTI_METRIC_GAUGE, "constellation_upload_memory_bytes_max",
         "The most that they have held at once."},
    };

    return csti_metrics_register_rows(job->metrics, wanted, sizeof wanted / sizeof *wanted, "",
                                      err);
}

cst_code csti_job_report_open(csti_job *job, cst_err *err) {
    job_gauges *g = calloc(1, sizeof *g);
    cst_code code;

    if (!g) return cst_fail(err, CST_NO_MEMORY, "a job's metrics");
    job->gauges = g;

    const csti_metric_row wanted[] = {
        {&g->read, CSTI_METRIC_COUNTER, "constellation_source_rows_total", "Rows read."},
        {&g->dropped, CSTI_METRIC_COUNTER, "constellation_filtered_rows_total",
         "Rows that filters dropped."},
        {&g->lag, CSTI_METRIC_GAUGE, "constellation_source_lag",
         "What sources still have: rows of a generator, bytes of files."},
        {&g->committed, CSTI_METRIC_COUNTER, "constellation_checkpoints_total",
         "Checkpoints committed."},
        {&g->aborted, CSTI_METRIC_COUNTER, "constellation_checkpoints_aborted_total",
         "Checkpoints given up; their changes went with the next."},
        {&g->last_id, CSTI_METRIC_GAUGE, "constellation_checkpoint_last_id",
         "The newest committed checkpoint."},
        {&g->staged_epochs, CSTI_METRIC_GAUGE, "constellation_checkpoints_staged",
         "Checkpoints between barrier and commit."},
        {&g->staged_bytes, CSTI_METRIC_GAUGE, "constellation_staged_bytes",
         "Bytes of deltas that are not committed."},
        {&g->uploaded_bytes, CSTI_METRIC_COUNTER, "constellation_uploaded_bytes_total",
         "Bytes of segments written."},
        {&g->upload_ns, CSTI_METRIC_COUNTER, "constellation_upload_seconds_total",
         "Time in uploads."},
        {&g->commit_ns, CSTI_METRIC_COUNTER, "constellation_commit_seconds_total",
         "Time in commits."},
        {&g->release_ns, CSTI_METRIC_COUNTER, "constellation_release_seconds_total",
         "Time in sinks."},
        {&g->folds, CSTI_METRIC_COUNTER, "constellation_folds_total",
         "Chains of a partition folded into a full."},
        {&g->folded_bytes, CSTI_METRIC_COUNTER, "constellation_folded_bytes_total",
         "Bytes of the fulls that folds wrote."},
        {&g->fold_ns, CSTI_METRIC_COUNTER, "constellation_fold_seconds_total", "Time in folds."},
        {&g->rest_ns, CSTI_METRIC_COUNTER, "constellation_source_rest_seconds_total",
         "Time that readers were held back because folds or uploads are behind."},
        {&g->errors, CSTI_METRIC_COUNTER, "constellation_store_errors_total",
         "Store calls that failed."},
        {&g->paused, CSTI_METRIC_GAUGE, "constellation_partitions_paused",
         "Partitions above their memory budget."},
        {&g->unaligned, CSTI_METRIC_COUNTER, "constellation_unaligned_checkpoints_total",
         "Checkpoints begun or gone on with that do not wait for barriers."},
        {&g->partitions, CSTI_METRIC_GAUGE, "constellation_partitions", "Partitions of the job."},
        {&g->rescaled_bytes, CSTI_METRIC_COUNTER, "constellation_rescaled_bytes_total",
         "Bytes of the fulls that another number of partitions began with."},
        {&g->rescale_ns, CSTI_METRIC_COUNTER, "constellation_rescale_seconds_total",
         "Time in which they were made."},
        {&g->estimate, CSTI_METRIC_GAUGE, "constellation_recovery_estimate_seconds",
         "How long a recovery would take, if the process died now."},
    };
    code =
        csti_metrics_register_rows(job->metrics, wanted, sizeof wanted / sizeof *wanted, "", err);
    if (code == CST_OK) code = uploads_open(job, g, err);
    return code == CST_OK ? fallback_open(job, g, err) : code;
}

// Mostly of the last RATE_S: bytes go off in parts of megabytes.
static void upload_rate_look(csti_job *job, uint64_t now_ns, uint64_t sent_bytes) {
    const double seconds = (double)(now_ns - job->upload_rate_at_ns) / 1e9;

    if (job->upload_rate_at_ns > 0 && seconds > 0) {
        const double now = (double)(sent_bytes - job->upload_rate_sent) / seconds;
        const double share = job->upload_rate == 0 ? 1 : seconds / (seconds + RATE_S);

        job->upload_rate = (uint64_t)((double)job->upload_rate * (1 - share) + now * share);
    }
    job->upload_rate_at_ns = now_ns;
    job->upload_rate_sent = sent_bytes;
}

static void uploads_set(csti_job *job, const csti_checkpointer_stats *stats) {
    const job_gauges *g = job->gauges;
    uint64_t bytes = 0, most = 0;

    upload_rate_look(job, csti_clock_now_ns(job->clock), stats->sent_bytes);
    if (job->store) csti_object_store_buffered(job->store, &bytes, &most);
    csti_metric_set(g->upload_left, (int64_t)stats->upload_left_bytes);
    csti_metric_set(g->upload_rate, (int64_t)job->upload_rate);
    csti_metric_set(g->upload_left_ns, job->upload_rate == 0
                                           ? 0
                                           : (int64_t)((double)stats->upload_left_bytes /
                                                       (double)job->upload_rate * 1e9));
    csti_metric_set(g->upload_memory, (int64_t)bytes);
    csti_metric_set(g->upload_memory_most, (int64_t)most);
}

cst_code csti_job_report_workers(csti_job *job, cst_err *err) {
    cst_code code = CST_OK;

    for (uint32_t w = 0; w < job->workers_count && code == CST_OK; w++) {
        char labels[32];

        (void)snprintf(labels, sizeof labels, "partition=\"%" PRIu32 "\"", w);
        code =
            csti_metrics_register(job->metrics, CSTI_METRIC_HISTOGRAM,
                                  "constellation_upload_seconds", "A segment's way to the store.",
                                  labels, &job->workers[w].upload_ns, err);
        if (code != CST_OK || w >= job->readers_count) continue;
        (void)snprintf(labels, sizeof labels, "reader=\"%" PRIu32 "\"", w);
        code =
            csti_metrics_register(job->metrics, CSTI_METRIC_GAUGE, "constellation_reader_lag",
                                  "What a reader still has: rows of a generator, bytes of files.",
                                  labels, &job->workers[w].lag, err);
    }
    return code;
}

void csti_job_count_error(csti_job *job, const char *step, cst_code code) {
    csti_metric *metric = NULL;
    char labels[96];

    (void)snprintf(labels, sizeof labels, "step=\"%s\",code=\"%s\"", step, cst_code_name(code));
    // One that cannot be counted, for want of memory, is in the log.
    if (csti_metrics_register(job->metrics, CSTI_METRIC_COUNTER, "constellation_errors_total",
                              "What failed, by step and code.", labels, &metric, NULL) != CST_OK)
        return;
    // Several threads count, now and then.
    atomic_fetch_add_explicit(&metric->value, 1, memory_order_relaxed);
}

typedef struct job_sums {
    uint64_t rows, dropped, lag;
    uint64_t keys, expired, used_bytes;
    uint64_t long_keys, long_rows;
    int64_t watermark_us;
    uint32_t starved;
} job_sums;

static int64_t gauge_read(const csti_metric *metric) {
    return (int64_t)atomic_load_explicit(&metric->value, memory_order_relaxed);
}

static job_sums sums_read(const csti_job *job) {
    job_sums sums = {.watermark_us = CSTI_WATERMARK_NONE};

    if (!job->started_ns) return sums; // the workers are at making their tasks
    sums.watermark_us = INT64_MAX;
    for (uint32_t r = 0; r < job->readers_count; r++) {
        csti_reader_stats stats;

        csti_reader_stats_read(job->workers[r].reader, &stats);
        sums.rows += stats.rows;
        sums.dropped += stats.dropped;
        sums.lag += stats.lag;
        if (stats.watermark_us < sums.watermark_us) sums.watermark_us = stats.watermark_us;
    }
    for (uint32_t p = 0; p < job->workers_count; p++) {
        const csti_partition_metrics *metrics;

        metrics = csti_partition_metrics_of(job->workers[p].partition);
        sums.keys += (uint64_t)gauge_read(metrics->keys);
        sums.expired += (uint64_t)gauge_read(metrics->expired);
        sums.long_keys += (uint64_t)gauge_read(metrics->long_keys);
        sums.long_rows += (uint64_t)gauge_read(metrics->long_rows);
        sums.used_bytes += (uint64_t)gauge_read(metrics->used_bytes);
        sums.starved += csti_partition_is_starved(job->workers[p].partition);
    }
    if (sums.watermark_us == INT64_MAX) sums.watermark_us = CSTI_WATERMARK_NONE;
    return sums;
}

uint64_t csti_job_rows(const csti_job *job) {
    return sums_read(job).rows;
}

uint64_t csti_job_changes(const csti_job *job) {
    const job_sums sums = sums_read(job);

    return sums.rows + sums.expired;
}

// Relaxed, all: numbers that are shown.
static void fallback_set(const csti_job *job, const job_gauges *g) {
    const job_fallback *fallback = &job->fallback;

    csti_metric_set(g->device_faults,
                    (int64_t)atomic_load_explicit(&fallback->faults_count, memory_order_relaxed));
    csti_metric_set(g->device_tries,
                    atomic_load_explicit(&fallback->tries_count, memory_order_relaxed));
    csti_metric_set(g->device_returns, (int64_t)fallback->returns_count);
    csti_metric_set(g->device_away, fallback->away);
    csti_metric_set(g->device_recovery,
                    (int64_t)atomic_load_explicit(&fallback->recovery_ns, memory_order_relaxed));
}

static void downloads_set(const csti_job *job) {
    const job_gauges *g = job->gauges;
    cst_queue_downloads sum = {0};

    for (uint32_t w = 0; job->started_ns && w < job->workers_count; w++) {
        cst_queue_downloads of;

        cst_queue_downloads_read(job->workers[w].queue, &of);
        sum.deltas += of.deltas;
        sum.bytes += of.bytes;
        sum.beside += of.beside;
    }
    csti_metric_set(g->downloads, (int64_t)sum.deltas);
    csti_metric_set(g->download_bytes, (int64_t)sum.bytes);
    csti_metric_set(g->download_beside, (int64_t)sum.beside);
}

static void encode_set(const csti_job *job, uint64_t processor_rows) {
    const uint32_t rows_min = job->encode.rows_min;

    csti_metric_set(job->gauges->encode_rows_min,
                    rows_min == CSTI_BREAK_EVEN_NEVER ? -1 : (int64_t)rows_min);
    csti_metric_set(job->gauges->encoded_near, (int64_t)processor_rows);
}

static void gauges_set(csti_job *job, const job_sums *sums, const csti_checkpointer_stats *stats) {
    job_gauges *g = job->gauges;
    uint64_t processor_rows = 0;

    for (uint32_t r = 0; job->started_ns && r < job->readers_count; r++) {
        csti_reader_stats reader;

        csti_reader_stats_read(job->workers[r].reader, &reader);
        csti_metric_set(job->workers[r].lag, (int64_t)reader.lag);
        processor_rows += reader.processor_rows;
    }
    downloads_set(job);
    encode_set(job, processor_rows);
    csti_metric_set(g->read, (int64_t)sums->rows);
    csti_metric_set(g->dropped, (int64_t)sums->dropped);
    csti_metric_set(g->lag, (int64_t)sums->lag);
    csti_metric_set(g->committed, (int64_t)stats->committed);
    csti_metric_set(g->aborted, (int64_t)stats->aborted);
    csti_metric_set(g->last_id, (int64_t)stats->last_committed_id);
    csti_metric_set(g->staged_epochs, (int64_t)stats->staged_epochs);
    csti_metric_set(g->staged_bytes, (int64_t)stats->staged_bytes);
    csti_metric_set(g->uploaded_bytes, (int64_t)stats->uploaded_bytes);
    csti_metric_set(g->upload_ns, (int64_t)stats->upload_ns);
    csti_metric_set(g->commit_ns, (int64_t)stats->commit_ns);
    csti_metric_set(g->release_ns, (int64_t)stats->release_ns);
    csti_metric_set(g->rest_ns,
                    (int64_t)atomic_load_explicit(&job->rested_ns, memory_order_relaxed));
    csti_metric_set(g->errors, (int64_t)stats->errors_count);
    csti_metric_set(g->partitions, job->partitions);
    csti_metric_set(g->unaligned, (int64_t)job->unaligned_count);
    fallback_set(job, g);
    if (job->started_ns) csti_metric_set(g->estimate, (int64_t)csti_job_recovery_estimate_ns(job));
    csti_metric_set(g->paused, atomic_load_explicit(&job->paused, memory_order_relaxed));
}

void csti_job_count_rescale(csti_job *job) {
    csti_metric_add(job->gauges->rescaled_bytes, job->rescaled.bytes_written);
    csti_metric_add(job->gauges->rescale_ns, job->rescaled.ns);
}

void csti_job_count_fold(csti_job *job, uint64_t bytes, uint64_t ns) {
    csti_metric_add(job->gauges->folds, 1);
    csti_metric_add(job->gauges->folded_bytes, bytes);
    csti_metric_add(job->gauges->fold_ns, ns);
}

static double seconds_since(const csti_job *job, uint64_t from_ns) {
    return (double)(csti_clock_now_ns(job->clock) - from_ns) / 1e9;
}

static void recovery_read(const csti_job *job, csti_job_progress *out) {
    out->seconds = seconds_since(job, job->began_ns);
    out->checked_bytes = job->checked_bytes;
    out->checked_bytes_all = job->checked_bytes_all;
    // Before there are workers the plan may be of another number of partitions.
    for (uint32_t p = 0; job->plan_open && job->workers && p < job->workers_count; p++) {
        const csti_manifest_partition *partition = &job->plan.manifest.partitions[p];

        out->restored_bytes +=
            atomic_load_explicit(&job->workers[p].restored_bytes, memory_order_relaxed);
        for (uint32_t s = 0; s < partition->segments_count; s++)
            out->restored_bytes_all += partition->segments[s].bytes;
    }
}

// Once each time that a partition comes near its budget.
static void budgets_warn(csti_job *job) {
    for (uint32_t p = 0; job->started_ns && p < job->workers_count; p++) {
        const csti_partition_metrics *metrics =
            csti_partition_metrics_of(job->workers[p].partition);
        const uint64_t count = (uint64_t)gauge_read(metrics->near_count);

        if (count == job->workers[p].near_said) continue;
        job->workers[p].near_said = count;
        CSTI_LOG_LIMITED(job->options.logger, CSTI_LOG_WARN, 5, "memory_budget_near",
                         csti_log_u64("partition", p),
                         csti_log_u64("used_bytes", (uint64_t)gauge_read(metrics->used_bytes)),
                         csti_log_u64("budget_bytes", (uint64_t)gauge_read(metrics->budget_bytes)),
                         csti_log_u64("percent", CSTI_BUDGET_NEAR_PERCENT));
    }
}

// A node that was full costs speed and no more: it is said once a partition, and the job runs.
static void placement_warn(csti_job *job) {
    for (uint32_t p = 0; job->started_ns && p < job->workers_count; p++) {
        job_worker *worker = &job->workers[p];
        const csti_partition_metrics *metrics = csti_partition_metrics_of(worker->partition);
        const int64_t bytes = gauge_read(metrics->misplaced);

        if (bytes <= 0 || worker->misplaced_said) continue;
        worker->misplaced_said = true;
        CSTI_LOG(job->options.logger, CSTI_LOG_WARN, "memory_misplaced",
                 csti_log_u64("partition", p), csti_log_u64("node", (uint64_t)worker->node),
                 csti_log_u64("misplaced_bytes", (uint64_t)bytes));
    }
}

void csti_job_report(csti_job *job, bool recovering) {
    const uint64_t now_ns = csti_clock_now_ns(job->clock);
    const csti_source_options *source = &job->config->source;
    csti_checkpointer_stats stats = {0};
    csti_job_progress progress;
    job_sums sums;

    if (now_ns < job->progress_ns) return;
    job->progress_ns =
        now_ns + (job->options.progress_us ? job->options.progress_us : REPORT_US) * 1000;
    sums = sums_read(job);
    if (job->checkpointer) csti_checkpointer_stats_read(job->checkpointer, &stats);
    gauges_set(job, &sums, &stats);
    uploads_set(job, &stats);
    budgets_warn(job);
    placement_warn(job);
    if (sums.starved > job->starved_said)
        CSTI_LOG(job->options.logger, CSTI_LOG_ERROR, "memory_budget_too_small",
                 csti_log_u64("partitions", sums.starved),
                 csti_log_u64("budget_bytes", job->config->budget_bytes));
    job->starved_said = sums.starved;
    if (!job->options.progress || job->options.progress_us == 0) return;
    progress = (csti_job_progress){
        .rows = sums.rows,
        .seconds = job->started_ns ? seconds_since(job, job->started_ns) : 0,
        .checkpoints = stats.committed,
        .last_checkpoint_id = stats.last_committed_id,
        .keys = sums.keys,
        .watermark_us = sums.watermark_us,
        .used_bytes = sums.used_bytes,
        .paused = atomic_load_explicit(&job->paused, memory_order_relaxed),
        .starved = sums.starved,
        .upload_left_bytes = stats.upload_left_bytes,
        .upload_rate = job->upload_rate,
        .recovering = recovering,
        .device_faults = atomic_load_explicit(&job->fallback.faults_count, memory_order_relaxed),
        .device_away = job->fallback.away,
    };
    if (recovering) recovery_read(job, &progress);
    if (source->kind == CSTI_SOURCE_GENERATOR && source->rows > 0)
        progress.rows_all = sums.rows + sums.lag;
    job->options.progress(job->options.progress_context, &progress);
}

void csti_job_result_read(csti_job *job, csti_job_result *out) {
    const job_sums sums = sums_read(job);
    csti_checkpointer_stats stats = {0};

    if (job->checkpointer) csti_checkpointer_stats_read(job->checkpointer, &stats);
    if (job->gauges) gauges_set(job, &sums, &stats);
    placement_warn(job);
    *out = (csti_job_result){
        .rows = sums.rows,
        .rows_dropped_by_filters = sums.dropped,
        .keys = sums.keys,
        .seconds = job->started_ns ? seconds_since(job, job->started_ns) : 0,
        .checkpoints = stats.committed,
        .last_checkpoint_id = stats.last_committed_id,
        .recovery_seconds = job->recovery_seconds,
        .caught_up = job->caught_up,
        .finished = job->finished,
    };
    out->long_keys = sums.long_keys;
    out->long_rows = sums.long_rows;
    out->recovered_from = job->recovery.chosen_id;
    out->recovery = job->recovery;
    out->rescaled = job->rescaled;
    if (job->device) cst_device_simulation(job->device, &out->simulation);
    out->device_faults = atomic_load_explicit(&job->fallback.faults_count, memory_order_relaxed);
    out->device_returns = job->fallback.returns_count;
    out->device_away = job->fallback.away;
    out->device_seconds =
        (double)atomic_load_explicit(&job->fallback.recovery_ns, memory_order_relaxed) / 1e9;
    if (out->last_checkpoint_id == 0) out->last_checkpoint_id = job->base_id;
}
