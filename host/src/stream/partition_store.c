// partition_store.c: rows under way: what came in front of barriers that were not waited for.
#include "stream/partition_internal.h"

bool csti_partition_rows_follow(const csti_partition *partition) {
    return partition->options.events.stored && partition->aligned.late;
}

void csti_partition_store_end(csti_partition *partition) {
    csti_stored_end(&partition->store.rows);
    partition->store = (partition_store){.is_sealed = false};
    csti_metric_set(partition->metrics.stored_rows, 0);
    csti_metric_set(partition->metrics.stored_bytes, 0);
}

// What was kept for an older one was given up: another barrier comes when the last one is over.
void csti_partition_store_begin(csti_partition *partition, csti_barrier barrier) {
    if (!csti_partition_rows_follow(partition)) return;
    csti_partition_store_end(partition);
    partition->store.barrier = barrier;
    csti_stored_begin(&partition->store.rows, partition->options.shape,
                      partition->options.stored_rows_max, partition->options.stored_bytes_max);
}

void csti_partition_rows_store(csti_partition *partition) {
    const csti_aligned *aligned = &partition->aligned;
    partition_store *store = &partition->store;
    const csti_barrier barrier = store->barrier;
    cst_err err = {.code = CST_OK};
    cst_code code;

    if (barrier.id == 0 || !aligned->late) return;
    code = csti_stored_put(&store->rows, aligned->message.block, &err);
    partition->aligned.late = false;
    if (code == CST_OK) {
        csti_metric_set(partition->metrics.stored_rows, (int64_t)store->rows.rows_count);
        csti_metric_set(partition->metrics.stored_bytes, (int64_t)store->rows.bytes.used_bytes);
        return;
    }
    partition->stored_limit_count++;
    csti_partition_store_end(partition);
    csti_partition_align_set(partition);
    partition->options.events.given_up(partition->options.events.context, barrier, code,
                                       aligned->input);
}

cst_code csti_partition_store_look(csti_partition *partition, bool *worked, cst_err *err) {
    partition_store *store = &partition->store;
    csti_aligner_stats align;
    uint64_t rows_count;
    cst_code code;

    if (store->barrier.id == 0 || !store->is_sealed) return CST_OK;
    csti_aligner_stats_read(partition->aligner, &align);
    if (align.flowed_id < store->barrier.id) return CST_OK;
    rows_count = store->rows.rows_count;
    code = partition->options.events.stored(partition->options.events.context, store->barrier.id,
                                            &store->rows, err);
    csti_metric_add(partition->metrics.stored_total, rows_count);
    csti_partition_store_end(partition);
    *worked = true;
    return code;
}
