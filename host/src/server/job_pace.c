#include "server/job_internal.h"

enum { RECORD_HEAD_BYTES = 16 };

// Relaxed loads: numbers that are looked at.
static csti_pace_facts facts_read(const csti_job *job) {
    csti_pace_facts facts = {.chain_bytes_all =
                                 atomic_load_explicit(&job->chains_bytes, memory_order_relaxed),
                             .chain_bytes_max =
                                 atomic_load_explicit(&job->chain_bytes_max, memory_order_relaxed),
                             .rows = csti_job_rows(job)};

    for (uint32_t w = 0; w < job->workers_count; w++) {
        const uint64_t busy_ns =
            atomic_load_explicit(&job->workers[w].busy_ns, memory_order_relaxed);

        facts.busy_all_ns += busy_ns;
        if (busy_ns > facts.busy_ns) facts.busy_ns = busy_ns;
    }
    return facts;
}

void csti_job_pace_chains(csti_job *job, const csti_manifest *manifest) {
    uint64_t all = 0, most = 0;

    for (uint32_t p = 0; p < manifest->partitions_count; p++) {
        const csti_manifest_partition *partition = &manifest->partitions[p];
        uint64_t bytes = 0;

        for (uint32_t s = 0; s < partition->segments_count; s++)
            bytes += partition->segments[s].bytes;
        all += bytes;
        if (bytes > most) most = bytes;
    }
    atomic_store_explicit(&job->chains_bytes, all, memory_order_relaxed);
    atomic_store_explicit(&job->chain_bytes_max, most, memory_order_relaxed);
}

void csti_job_pace_begin(csti_job *job) {
    const uint32_t cpus = job->topology.cpus_count > 0 ? job->topology.cpus_count : 1;
    const uint64_t all_ns = job->started_ns - job->began_ns;
    const uint64_t restore_ns = job->recovery.restore_ns;
    // The next start has this number of partitions already.
    const uint64_t others_ns = restore_ns + job->rescaled.ns;
    const csti_pace_start start = {
        .target_ns = job->config->recovery_target_us * 1000,
        .threads = cpus < job->workers_count ? cpus : job->workers_count,
        .record_bytes = RECORD_HEAD_BYTES + job->stages[0].shape.table.key_bytes +
                        job->stages[0].shape.program.value_bytes,
        .begin_ns = all_ns > others_ns ? all_ns - others_ns : 0,
        .restore_ns = restore_ns,
        .now_ns = job->started_ns,
    };
    csti_pace_facts restored;

    if (job->plan.manifest.id > 0) csti_job_pace_chains(job, &job->plan.manifest);
    restored = facts_read(job);
    csti_pace_init(&job->pace, &start, &restored);
}

void csti_job_pace_sent(csti_job *job, uint64_t id) {
    csti_pace_sent(&job->pace, id, csti_clock_now_ns(job->clock), facts_read(job).busy_ns);
}

static void missed_say(csti_job *job) {
    const csti_pace_facts facts = facts_read(job);
    const bool missed = csti_pace_is_out_of_reach(&job->pace, &facts);

    atomic_store_explicit(&job->folds_eager, missed, memory_order_relaxed);
    if (missed && !job->pace_missed)
        CSTI_LOG_LIMITED(job->options.logger, CSTI_LOG_WARN, 1, "recovery_target_missed",
                         csti_log_u64("target_ms", job->config->recovery_target_us / 1000),
                         csti_log_u64("estimate_ms",
                                      csti_pace_estimate_ns(&job->pace, &facts) / 1000000),
                         csti_log_u64("chain_bytes", facts.chain_bytes_all));
    job->pace_missed = missed;
}

void csti_job_pace_look(csti_job *job, const csti_checkpointer_stats *stats) {
    if (stats->last_committed_id > job->paced_id) {
        csti_pace_committed(&job->pace, stats->last_committed_id, csti_clock_now_ns(job->clock),
                            facts_read(job).busy_ns);
        job->paced_id = stats->last_committed_id;
    }
    if (job->config->every_kind == CSTI_EVERY_AUTO) missed_say(job);
}

bool csti_job_pace_is_due(const csti_job *job) {
    const csti_pace_facts facts = facts_read(job);

    return csti_pace_is_due(&job->pace, &facts, csti_clock_now_ns(job->clock));
}

uint64_t csti_job_recovery_estimate_ns(const csti_job *job) {
    const csti_pace_facts facts = facts_read(job);

    return csti_pace_estimate_ns(&job->pace, &facts);
}
