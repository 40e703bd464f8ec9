#include "reference_table.h"

#include "table/reference.h"

table_view table_view_of(const cst_table *table) {
    const csti_control *control = table->control;
    const uint64_t segment_bytes = UINT64_C(1) << table->log_segment_shift;
    const uint64_t used = csti_used_bytes(table);
    const uint64_t left = used < table->budget_bytes ? table->budget_bytes - used : 0;

    return (table_view){
        .directory = (const uint8_t *)table->directory,
        .index = table->index,
        .slots = table->slots,
        .log = table->log,
        .directory_bytes = control->directory_rows * sizeof(csti_directory_row),
        .index_bytes =
            (size_t)control->chunks_frontier * CSTI_CHUNK_BUCKETS * sizeof(csti_control_line),
        .slots_bytes = (size_t)control->chunks_frontier * table->chunk_slot_bytes,
        .log_bytes = control->log_segments_frontier * segment_bytes,
        .log_map = table->log_map,
        .log_free = table->log_free,
        .log_segments_max = table->log_segments_max,
        .log_segment_shift = table->log_segment_shift,
        .log_segments_ready = (uint32_t)(csti_ready_bytes(table, CSTI_REGION_LOG) / segment_bytes),
        .log_segments_budget = control->log_segments_frontier + (uint32_t)(left / segment_bytes),
        .depth_max = control->depth_max,
        .log_segments_frontier = control->log_segments_frontier,
        .log_free_first = control->log_free_first,
        .log_free_count = control->log_free_count,
        .rows_count = control->rows_count,
        .epoch = control->epoch,
        .epoch_first = control->epoch_first,
        .log_tail = control->log_tail,
        .log_floor = control->log_floor,
        .chunks = control->chunks_frontier,
    };
}

size_t table_set_log_ready(cst_table *table, size_t bytes) {
    return atomic_exchange(&table->pages[CSTI_REGION_LOG].ready_bytes, bytes);
}

cst_code table_reference_apply(cst_table *table, const cst_rows *rows, uint32_t *applied_out) {
    return csti_reference_apply(table, rows, applied_out);
}

cst_code table_reference_lookup(cst_table *table, const cst_rows *keys, uint8_t *values_out,
                                uint32_t values_stride, uint8_t *found_out) {
    return csti_reference_lookup(table, keys, values_out, values_stride, found_out);
}

cst_delta table_reference_seal(cst_table *table) {
    return csti_reference_seal(table);
}

cst_code table_reference_release(cst_table *table, const cst_delta *delta) {
    return csti_reference_release(table, delta);
}

cst_code table_reference_expire(cst_table *table, uint64_t *bucket, uint32_t buckets_count,
                                int64_t now_us, uint32_t *expired_out) {
    return csti_reference_expire(table, bucket, buckets_count, now_us, expired_out);
}

cst_code table_reference_restore(cst_table *table, const uint8_t *bytes, size_t count,
                                 size_t *used_out) {
    return csti_reference_restore_records(table, bytes, count, used_out);
}

cst_code table_reference_grow(cst_table *table, uint64_t hash) {
    return csti_reference_grow(table, hash);
}
