// job_device.c: the device of a job's runs, and what becomes of them when it is lost.
//
//   run on the device ─ lost ─► its end ─► run on cpu: ─ the device passes ─► the next commit ─┐
//       ▲                                     ▲                                                │
//       │                                     └── lost ──┐                                     │
//       └────────────────────────────── run on the device ◄────────────────────────────────────┘
//
// A run is taken down in order and the next one recovers as any start does, in the same process:
// what was not committed was not released, and comes again from the sources.
#include "server/job_internal.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define STAND_IN "cpu:"
#define RETURN_NS_MAX UINT64_C(60000000000)
// Of the time between two turns of a worker: one that is stopped sees nothing, and no device is
// silent for that.
#define GAP_NS_MAX UINT64_C(100000000)

bool csti_job_device_is_processor(const csti_job *job) {
    return job->fallback.away || strncmp(job->config->device, STAND_IN, strlen(STAND_IN)) == 0;
}

// ---- A run's device -----------------------------------------------------------------------------

// Opened, and known to give the right bits.
static cst_code device_prove(const csti_job *job, cst_device **out, cst_err *err) {
    cst_device *device = NULL;
    cst_code code = cst_device_open(job->config->device, &device, err);

    if (code != CST_OK) return code;
    code = cst_device_reset(device, err);
    if (code == CST_OK) code = cst_device_selftest(device, err);
    if (code == CST_DEVICE_SELFTEST) code = cst_fail_at(err, code, "%s", job->config->device);
    if (code == CST_OK)
        *out = device;
    else
        cst_device_close(device);
    return code;
}

static cst_code device_take(csti_job *job, cst_err *err) {
    job_fallback *fallback = &job->fallback;

    if (fallback->away) return cst_device_open(STAND_IN, &job->device, err);
    if (csti_job_device_is_processor(job))
        return cst_device_open(job->config->device, &job->device, err);
    if (!fallback->mended) return device_prove(job, &job->device, err);
    job->device = fallback->mended;
    fallback->mended = NULL;
    return CST_OK;
}

static cst_code encode_measure(csti_job *job, cst_err *err) {
    csti_break_even *found = &job->encode;
    const cst_code code = csti_break_even_measure(job->device, &job->stages[0].key.schema,
                                                  csti_clock_real(), found, err);

    if (code != CST_OK) return code;
    CSTI_LOG(job->options.logger, CSTI_LOG_INFO, "encode_measured",
             csti_log_text("device", cst_device_uri(job->device)),
             csti_log_u64("rows_min", found->rows_min),
             csti_log_u64("device_command_ns", (uint64_t)found->device.command_ns),
             csti_log_u64("device_row_ps", (uint64_t)(found->device.row_ns * 1000)),
             csti_log_u64("processor_command_ns", (uint64_t)found->processor.command_ns),
             csti_log_u64("processor_row_ps", (uint64_t)(found->processor.row_ns * 1000)));
    return CST_OK;
}

// Faults are of a device as it is: nothing is asked of it but what the job asks.
static bool is_measured(const csti_job *job) {
    return job->config->device_encode == CSTI_DEVICE_ENCODE_AUTO &&
           strncmp(job->config->device, "fault:", strlen("fault:")) != 0;
}

cst_code csti_job_device_open(csti_job *job, cst_err *err) {
    cst_code code = device_take(job, err);

    job->encode = (csti_break_even){.rows_min = 0};
    if (code != CST_OK || csti_job_device_is_processor(job)) return code;
    if (job->config->device_encode == CSTI_DEVICE_ENCODE_NONE)
        job->encode.rows_min = CSTI_BREAK_EVEN_NEVER;
    else if (is_measured(job))
        code = encode_measure(job, err);
    if (code == CST_OK && job->encode.rows_min > 0)
        code = cst_device_open(STAND_IN, &job->processor, err);
    return code;
}

cst_code csti_job_queue_open(const csti_job *job, cst_queue **out, cst_err *err) {
    const cst_queue_options options = {.timeout_us = job->config->device_timeout_us};

    return cst_queue_open(job->device, &options, out, err);
}

// ---- A loss -------------------------------------------------------------------------------------

static cst_code silence_look(const csti_job *job, cst_queue *queue, job_silence *silence,
                             uint64_t gap_ns, cst_err *err) {
    const uint64_t polled_count = cst_queue_polled(queue);
    char why[48];

    if (cst_queue_in_flight(queue) == 0 || polled_count != silence->polled_count) {
        *silence = (job_silence){.polled_count = polled_count};
        return CST_OK;
    }
    silence->ns += gap_ns;
    if (silence->ns < job->config->device_timeout_us * 1000) return CST_OK;
    (void)snprintf(why, sizeof why, "no completion within %.3g s",
                   (double)job->config->device_timeout_us / 1e6);
    return cst_queue_give_up(queue, why, err);
}

cst_code csti_job_device_look(job_worker *worker, uint64_t now_ns, cst_err *err) {
    const uint64_t gone_ns = worker->looked_ns ? now_ns - worker->looked_ns : 0;
    const uint64_t gap_ns = gone_ns < GAP_NS_MAX ? gone_ns : GAP_NS_MAX;
    cst_code code;

    worker->looked_ns = now_ns;
    code = silence_look(worker->job, worker->queue, &worker->silence, gap_ns, err);
    if (code != CST_OK || !worker->reader_queue) return code;
    return silence_look(worker->job, worker->reader_queue, &worker->reader_silence, gap_ns, err);
}

void csti_job_device_quiet(csti_job *job) {
    cst_err err = {0};
    cst_code code;

    if (!job->device) return;
    code = cst_device_reset(job->device, &err);
    if (code != CST_OK)
        CSTI_LOG(job->options.logger, CSTI_LOG_WARN, "device_not_reset",
                 csti_log_text("device", cst_device_uri(job->device)),
                 csti_log_text("why", err.text));
}

static const char *policy_text(csti_device_policy policy) {
    static const char *const texts[] = {"return", "stay", "stop"};

    return texts[policy];
}

// How long behind the last try, or the loss, the next one is.
static uint64_t pause_ns(const csti_job *job) {
    const uint64_t first_ns = job->config->device_return_us * 1000;
    const uint64_t most_ns = first_ns > RETURN_NS_MAX ? first_ns : RETURN_NS_MAX;
    const uint64_t ns = first_ns << job->fallback.tries_count;

    assert(job->fallback.tries_count <= JOB_DEVICE_TRIES_MAX);
    return ns < most_ns ? ns : most_ns;
}

static bool is_to_be_tried(const csti_job *job) {
    return job->fallback.away && job->config->device_policy == CSTI_DEVICE_RETURN &&
           job->fallback.tries_count < JOB_DEVICE_TRIES_MAX;
}

bool csti_job_device_again(csti_job *job, cst_code code, const cst_err *err) {
    job_fallback *fallback = &job->fallback;

    if (code == CST_OK && !fallback->returning) return false;
    if (code != CST_OK && (!csti_code_is_device_fault(code) || fallback->away)) return false;
    fallback->ended_ns = csti_clock_now_ns(job->clock);
    if (code == CST_OK) {
        fallback->returning = fallback->away = false;
        fallback->returns_count++;
        CSTI_LOG(job->options.logger, CSTI_LOG_WARN, "device_returned",
                 csti_log_text("device", job->config->device),
                 csti_log_u64("returns", fallback->returns_count));
        return true;
    }
    CSTI_LOG(job->options.logger, CSTI_LOG_ERROR, "device_lost",
             csti_log_text("device", job->config->device),
             csti_log_text("code", cst_code_name(code)), csti_log_text("why", err->text),
             csti_log_text("policy", policy_text(job->config->device_policy)),
             csti_log_u64("faults", atomic_load(&fallback->faults_count)),
             csti_log_u64("last_checkpoint", job->base_id));
    if (job->config->device_policy == CSTI_DEVICE_STOP) return false;
    fallback->away = true;
    fallback->try_at_ns = fallback->lost_ns + pause_ns(job);
    atomic_store_explicit(&fallback->unseen_ns, fallback->lost_ns, memory_order_relaxed);
    return true;
}

void csti_job_device_row_seen(csti_job *job) {
    job_fallback *fallback = &job->fallback;
    const uint64_t now_ns = csti_clock_now_ns(job->clock);
    // Relaxed, all: numbers that are shown; one thread of all takes it.
    const uint64_t lost_ns =
        atomic_exchange_explicit(&fallback->unseen_ns, 0, memory_order_relaxed);

    if (lost_ns == 0) return;
    atomic_store_explicit(&fallback->recovery_ns, now_ns - lost_ns, memory_order_relaxed);
    CSTI_LOG(job->options.logger, CSTI_LOG_INFO, "device_recovered",
             csti_log_u64("checkpoint", job->base_id),
             csti_log_u64("ended_us", (fallback->ended_ns - lost_ns) / 1000),
             csti_log_u64("claimed_us", job->recovery.claim_ns / 1000),
             csti_log_u64("read_us", job->recovery.read_ns / 1000),
             csti_log_u64("restored_us", job->recovery.restore_ns / 1000),
             csti_log_u64("first_row_us", (now_ns - lost_ns) / 1000));
}

// ---- The way back -------------------------------------------------------------------------------

bool csti_job_device_is_away(const csti_job *job) {
    return is_to_be_tried(job);
}

static bool device_try(csti_job *job) {
    job_fallback *fallback = &job->fallback;
    cst_err err = {0};
    const cst_code code = device_prove(job, &fallback->mended, &err);

    fallback->tries_count++;
    if (code == CST_OK) return true;
    fallback->try_at_ns = csti_clock_now_ns(job->clock) + pause_ns(job);
    CSTI_LOG(job->options.logger, CSTI_LOG_WARN,
             is_to_be_tried(job) ? "device_not_back" : "device_given_up",
             csti_log_text("device", job->config->device),
             csti_log_text("code", cst_code_name(code)), csti_log_text("why", err.text),
             csti_log_u64("tries", fallback->tries_count));
    return false;
}

void *csti_job_device_mend(void *context) {
    csti_job *job = context;
    job_fallback *fallback = &job->fallback;

    while (!csti_job_is_ending(job) && is_to_be_tried(job)) {
        if (csti_clock_now_ns(job->clock) < fallback->try_at_ns) {
            (void)csti_park_until(&job->mender.parker, fallback->try_at_ns);
            continue;
        }
        if (!device_try(job)) continue;
        // Release pairs with the acquire in csti_job_device_comes_back: it has passed.
        atomic_store_explicit(&job->mended, true, memory_order_release);
        csti_unpark(&job->coordinator);
        break;
    }
    return NULL;
}

bool csti_job_device_comes_back(csti_job *job, const csti_checkpointer_stats *stats) {
    if (!atomic_load_explicit(&job->mended, memory_order_acquire)) return false;
    if (!job->return_due) {
        job->return_due = true;
        job->return_behind = stats->committed;
    }
    job->fallback.returning =
        stats->committed > job->return_behind && stats->released == stats->committed;
    return job->fallback.returning;
}

void csti_job_device_close(csti_job *job) {
    cst_device_close(job->fallback.mended);
    job->fallback.mended = NULL;
}
