// job_long_keys.c: a partition whose device takes short keys alone: the longer ones have a table of
// the processor's beside the device's (state/keeper_split.h). Checkpoints do not show it.
#include "server/job_internal.h"

#include "base/fault_point.h"
#include "state/keeper_split.h"
#include "state/segment.h"

// Windows have a table each, and no second one.
cst_code csti_job_keys_fit(const job_worker *worker, bool *split_out, cst_err *err) {
    const job_stage *stage = &worker->job->stages[worker->stage];
    const bool has_windows = stage->window.size_us > 0;
    cst_capabilities can;

    cst_device_capabilities(worker->job->device, &can);
    *split_out = stage->shape.table.key_bytes > can.key_bytes_max;
    if (!*split_out || (stage->shape.key_bytes == 0 && !has_windows)) return CST_OK;
    return cst_fail(err, CST_KEY_TOO_LONG,
                    "%s takes keys of up to %u bytes, [%skey] has some of %u%s: run the job with "
                    "--device cpu:.",
                    cst_device_uri(worker->job->device), can.key_bytes_max,
                    worker->stage > 0 ? "then." : "", stage->shape.table.key_bytes,
                    has_windows ? ", 8 of them when their window begins" : "");
}

static cst_code tables_restore(job_worker *worker, const cst_restore_options *restore,
                               cst_err *err) {
    const csti_chain *chain = &worker->job->plan.chains[worker->number];
    cst_table *image = cst_device_table_image(worker->table);
    cst_code code;

    if (!image)
        return cst_fail(err, CST_UNSUPPORTED, "%s: its tables cannot be restored into",
                        cst_device_uri(worker->job->device));
    code = csti_segment_restore_two(chain->segments, chain->segments_count, image, worker->longs,
                                    restore, &worker->restored, err);
    CSTI_FAULT_POINT(recovery_restore);
    return code;
}

cst_code csti_job_long_keys_open(job_worker *worker, const cst_table_options *options,
                                 const cst_restore_options *restore, cst_err *err) {
    const csti_job *job = worker->job;
    const csti_manifest_partition *before =
        job->plan.manifest.id > 0 ? &job->plan.manifest.partitions[worker->number] : NULL;
    cst_table_options of_device = *options, of_longs = *options;
    csti_keeper_split_options tables = {.queue = worker->queue};
    cst_capabilities can;
    cst_code code;

    cst_device_capabilities(job->device, &can);
    of_device.key_bytes = can.key_bytes_max;
    // Nobody knows how many of the rows are of which: both grow as they come.
    of_device.rows_hint = of_longs.rows_hint = 0;
    code = cst_device_table_open(worker->queue, &of_device, NULL, &worker->table, err);
    if (code == CST_OK) code = cst_table_open(&of_longs, &worker->longs, err);
    if (code == CST_OK && before && before->segments_count > 0)
        code = tables_restore(worker, restore, err);
    if (code == CST_OK && job->totals)
        code = csti_job_totals_make(worker, NULL, worker->epoch_next - 1,
                                    before ? before->rows_count : 0, err);
    if (code != CST_OK) return code;
    tables.table = worker->table;
    tables.longs = worker->longs;
    CSTI_LOG(job->options.logger, CSTI_LOG_INFO, "long_keys_apart",
             csti_log_u64("partition", worker->number),
             csti_log_text("device", cst_device_uri(job->device)),
             csti_log_u64("device_key_bytes_max", can.key_bytes_max),
             csti_log_u64("key_bytes_max", options->key_bytes));
    return csti_keeper_split_open(&tables, &worker->keeper, err);
}
