#include "server/job_internal.h"

#include <assert.h>
#include <string.h>

enum { SCAN_ROWS = 256 };

cst_code csti_job_totals_open(csti_job *job, cst_err *err) {
    csti_published *published = NULL;
    const cst_code code =
        csti_published_open(&job->stages[0].shape.program, job->workers_count, &published, err);

    // Release pairs with the acquire in csti_job_totals_read: the shape is there, too.
    if (code == CST_OK) atomic_store_explicit(&job->published, published, memory_order_release);
    return code;
}

void csti_job_totals_publish(job_worker *worker, uint64_t epoch, uint64_t rows) {
    // Relaxed: it was there before the workers were.
    csti_published *published = atomic_load_explicit(&worker->job->published, memory_order_relaxed);
    const csti_totals *totals = &worker->totals;
    const csti_published_mark mark = {.epoch = epoch,
                                      .rows = rows,
                                      .overflowed = csti_totals_overflowed(totals)};

    assert(published);
    if (totals->lost)
        csti_published_clear(published, worker->number);
    else
        csti_published_write(published, worker->number, &mark, totals->any ? totals->value : NULL);
}

static cst_code row_add(void *context, const cst_row_ref *row, cst_err *err) {
    (void)err;
    csti_totals_add_value(context, row->value, 0);
    return CST_OK;
}

static cst_code table_add(cst_table *table, csti_totals *totals, cst_err *err) {
    cst_row_ref refs[SCAN_ROWS];
    cst_scan scan = {0};
    uint32_t count = SCAN_ROWS;

    while (table && count > 0) {
        const cst_code code = cst_table_scan(table, &scan, refs, SCAN_ROWS, &count);

        if (code != CST_OK) return cst_fail(err, code, "the totals of what was restored");
        for (uint32_t r = 0; r < count; r++) csti_totals_add_value(totals, refs[r].value, 0);
    }
    return CST_OK;
}

cst_code csti_job_totals_make(job_worker *worker, csti_disk_rows *disk, uint64_t epoch,
                              uint64_t rows, cst_err *err) {
    cst_code code = csti_totals_init(&worker->totals, &worker->job->stages[0].shape.program, err);

    if (code == CST_OK && disk) code = csti_disk_rows_scan(disk, row_add, &worker->totals, err);
    if (code == CST_OK && !disk)
        code = table_add(cst_device_table_image(worker->table), &worker->totals, err);
    if (code == CST_OK && worker->longs) code = table_add(worker->longs, &worker->totals, err);
    if (code == CST_OK) csti_job_totals_publish(worker, epoch, rows);
    return code;
}

// ---- Readers ------------------------------------------------------------------------------------

static void total_fill(const csti_job *job, const csti_published_view *view, const uint8_t *value,
                       uint32_t index, csti_job_total *out) {
    const csti_render_plan *plan = &job->stages[0].shape.render;
    uint64_t presence = UINT64_MAX;

    if (plan->presence_offset != CST_NO_OFFSET)
        memcpy(&presence, value + plan->presence_offset, sizeof presence);
    if (job->stages[0].shape.program.accumulators[index].op == CST_COUNT)
        presence = UINT64_MAX; // 0 of none
    out->name = plan->fields[index].name;
    out->overflowed = view->overflowed >> index & 1;
    if (out->overflowed || !view->any || !(presence >> index & 1))
        memcpy(out->text, "null", sizeof "null");
    else
        *csti_render_aggregate(&plan->fields[index], value, out->text) = 0;
}

cst_code csti_job_totals_read(const csti_job *job, csti_job_totals *out) {
    // Acquire pairs with the release in csti_job_totals_open.
    const csti_published *published = atomic_load_explicit(&job->published, memory_order_acquire);
    uint8_t value[CST_INLINE_ENTRY_BYTES_MAX] = {0};
    csti_published_view view = {0};
    cst_code code;

    if (!published) return job->config->totals ? CST_AGAIN : CST_UNSUPPORTED;
    code = csti_published_merge(published, value, &view);
    if (code != CST_OK) return code;
    *out = (csti_job_totals){.partitions = (uint32_t)__builtin_popcountll(view.present),
                             .partitions_all = job->config->partitions,
                             .oldest_epoch = view.oldest_epoch,
                             .newest_epoch = view.newest_epoch,
                             .rows = view.rows};
    for (uint32_t i = 0; i < job->stages[0].shape.program.accumulators_count; i++)
        if (job->stages[0].shape.program.accumulators[i].op != CST_LAST)
            total_fill(job, &view, value, i, &out->list[out->count++]);
    return CST_OK;
}
