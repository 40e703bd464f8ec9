// partition_metrics.c: what a partition shows.
#include "stream/partition_internal.h"

#include <stdio.h>

#define GAUGES_EVERY_NS UINT64_C(1000000)

// long: a table.
static cst_code gauges_open(csti_partition *partition, cst_err *err) {
    csti_partition_metrics *m = &partition->metrics;
    const csti_metric_row wanted[] = {
        {&m->rows, CSTI_METRIC_COUNTER, "constellation_rows_total", "Rows applied."},
        {&m->bytes, CSTI_METRIC_COUNTER, "constellation_bytes_total", "Bytes of rows applied."},
        {&m->barriers, CSTI_METRIC_COUNTER, "constellation_barriers_total", "Epochs sealed."},
        {&m->batch_ns, CSTI_METRIC_HISTOGRAM, "constellation_batch_latency_seconds",
         "From a block's first row read to the block applied."},
        {&m->align_ns, CSTI_METRIC_HISTOGRAM, "constellation_align_seconds",
         "From the first input's barrier to the last one's."},
        {&m->waits_for, CSTI_METRIC_GAUGE, "constellation_align_waits_for",
         "The input whose barrier is missing; -1: none."},
        {&m->delta_bytes, CSTI_METRIC_GAUGE, "constellation_delta_bytes",
         "Bytes of the epoch last sealed."},
        {&m->watermark_us, CSTI_METRIC_GAUGE, "constellation_watermark_timestamp_seconds",
         "Event time up to which rows are complete; not there without any."},
        {&m->keys, CSTI_METRIC_GAUGE, "constellation_keys", "Keys in the table."},
        {&m->expired, CSTI_METRIC_COUNTER, "constellation_expired_keys_total",
         "Keys taken out of the table because their time was over."},
        {&m->long_keys, CSTI_METRIC_GAUGE, "constellation_long_keys",
         "Keys in the table that are too long for the device: the processor has them."},
        {&m->long_rows, CSTI_METRIC_COUNTER, "constellation_long_key_rows_total",
         "Rows applied to such keys."},
        {&m->used_bytes, CSTI_METRIC_GAUGE, "constellation_table_bytes",
         "Memory of the table, its change log included."},
        {&m->misplaced, CSTI_METRIC_GAUGE, "constellation_misplaced_bytes",
         "Memory of the table and of the partition's channels on another NUMA node than its own."},
        {&m->paused, CSTI_METRIC_GAUGE, "constellation_paused",
         "1: above the memory budget; 2: and nothing is left that could be freed."},
        {&m->pauses, CSTI_METRIC_COUNTER, "constellation_pauses_total",
         "Times that the memory came above its budget."},
        {&m->near, CSTI_METRIC_GAUGE, "constellation_near_budget",
         "1: at 80% of the memory budget or above, until it is below 75%."},
        {&m->near_count, CSTI_METRIC_COUNTER, "constellation_near_budget_total",
         "Times that the memory came to 80% of its budget."},
        {&m->budget_bytes, CSTI_METRIC_GAUGE, "constellation_budget_bytes",
         "What the partition takes of the memory budget before it pauses."},
        {&m->queued, CSTI_METRIC_GAUGE, "constellation_channel_messages",
         "Messages in the partition's channels."},
        {&m->held, CSTI_METRIC_GAUGE, "constellation_align_held_rows",
         "Rows that wait for the barriers of other inputs."},
        {&m->ignored, CSTI_METRIC_COUNTER, "constellation_barriers_ignored_total",
         "Barriers that came twice, late, or after they were given up."},
        {&m->failed, CSTI_METRIC_COUNTER, "constellation_inputs_failed_total",
         "Inputs that ended with an error."},
        {&m->stored_rows, CSTI_METRIC_GAUGE, "constellation_stored_rows",
         "Rows under way that are kept for a checkpoint that did not wait for them."},
        {&m->stored_bytes, CSTI_METRIC_GAUGE, "constellation_stored_row_bytes",
         "Bytes of these rows."},
        {&m->stored_total, CSTI_METRIC_COUNTER, "constellation_stored_rows_total",
         "Rows under way that a checkpoint took along."},
        {&m->replayed, CSTI_METRIC_COUNTER, "constellation_replayed_rows_total",
         "Rows that the checkpoint had taken along, applied at the start."},
    };
    char labels[32];
    cst_code code;

    (void)snprintf(labels, sizeof labels, "partition=\"%u\"", partition->options.partition);
    code = csti_metrics_register_rows(partition->options.metrics, wanted,
                                      sizeof wanted / sizeof *wanted, labels, err);
    if (code != CST_OK) return code;
    csti_metric_set(m->waits_for, -1);
    csti_metric_set(m->budget_bytes, (int64_t)(partition->options.state_bytes_max +
                                               partition->options.log_bytes_max));
    return CST_OK;
}

// What becomes of barriers that are not sealed: one name, a label for each outcome of the aligner.
static cst_code outcomes_open(csti_partition *partition, cst_err *err) {
    csti_partition_metrics *m = &partition->metrics;
    const struct {
        csti_metric **out;
        const char *why;
    } wanted[] = {
        {&m->superseded, "superseded"}, {&m->aborted, "aborted"},           {&m->limit, "limit"},
        {&m->timeout, "timeout"},       {&m->input_failed, "input_failed"},
    };
    char labels[64];

    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
        cst_code code;

        (void)snprintf(labels, sizeof labels, "partition=\"%u\",why=\"%s\"",
                       partition->options.partition, wanted[i].why);
        code = csti_metrics_register(partition->options.metrics, CSTI_METRIC_COUNTER,
                                     "constellation_barriers_given_up_total",
                                     "Barriers given up while they were aligned.", labels,
                                     wanted[i].out, err);
        if (code != CST_OK) return code;
    }
    return CST_OK;
}

cst_code csti_partition_metrics_open(csti_partition *partition, cst_err *err) {
    const int64_t watermark_us = partition->watermark_us;
    const cst_code code = gauges_open(partition, err);

    if (code != CST_OK) return code;
    csti_metric_set(partition->metrics.watermark_us,
                    watermark_us == CSTI_WATERMARK_NONE ? CSTI_METRIC_ABSENT : watermark_us);
    return outcomes_open(partition, err);
}

void csti_partition_align_set(csti_partition *partition) {
    const csti_partition_metrics *m = &partition->metrics;
    csti_aligner_stats align;

    csti_aligner_stats_read(partition->aligner, &align);
    csti_metric_set(m->held, (int64_t)align.held_rows);
    csti_metric_set(m->waits_for,
                    align.waits_for == CSTI_ALIGNER_NO_INPUT ? -1 : (int64_t)align.waits_for);
    csti_metric_set(m->ignored, (int64_t)align.duplicates);
    csti_metric_set(m->failed, (int64_t)align.inputs_failed);
    csti_metric_set(m->superseded, (int64_t)align.superseded);
    csti_metric_set(m->aborted, (int64_t)align.aborted);
    csti_metric_set(m->limit, (int64_t)(align.limit_reached + partition->stored_limit_count));
    csti_metric_set(m->timeout, (int64_t)align.timed_out);
    csti_metric_set(m->input_failed, (int64_t)align.given_up_for_failure);
}

void csti_partition_gauges_set(csti_partition *partition, uint64_t now_ns) {
    uint64_t queued = 0;

    if (now_ns - partition->shown_ns < GAUGES_EVERY_NS) return;
    partition->shown_ns = now_ns;
    for (uint32_t i = 0; i < partition->inputs_count; i++) {
        csti_channel_stats channel;

        csti_channel_stats_read(partition->inputs[i], &channel);
        queued += channel.queued;
    }
    csti_metric_set(partition->metrics.queued, (int64_t)queued);
    csti_partition_align_set(partition);
}

void csti_partition_align_observe(csti_partition *partition) {
    csti_aligner_stats align;

    csti_aligner_stats_read(partition->aligner, &align);
    csti_metric_observe(partition->metrics.align_ns, align.align_ns - partition->align_ns_seen);
    partition->align_ns_seen = align.align_ns;
}
