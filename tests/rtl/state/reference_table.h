// reference_table.h: the table's scalar reference and the bytes of its image, for benches in C++,
// which cannot read the C11 atomics of the headers inside.
#ifndef TESTS_RTL_STATE_REFERENCE_TABLE_H
#define TESTS_RTL_STATE_REFERENCE_TABLE_H

#include <constellation/table.h>

#ifdef __cplusplus
extern "C" {
#endif

// Where the image lies, and how much of it is in use.
typedef struct table_view {
    const uint8_t *directory, *index, *slots, *log;
    size_t directory_bytes, index_bytes, slots_bytes, log_bytes;
    uint32_t *log_map, *log_free;
    uint32_t log_segments_max, log_segment_shift;
    uint32_t log_segments_ready;  // that have memory
    uint32_t log_segments_budget; // that the budget pays for, with all else as it is
    uint32_t depth_max, log_segments_frontier, log_free_first, log_free_count;
    uint64_t rows_count, epoch, epoch_first, log_tail, log_floor;
    uint32_t chunks; // below the frontier
} table_view;

table_view table_view_of(const cst_table *table);
// Says that so many bytes of the log have memory; returns how many were said to have before.
size_t table_set_log_ready(cst_table *table, size_t bytes);
cst_code table_reference_apply(cst_table *table, const cst_rows *rows, uint32_t *applied_out);
cst_code table_reference_lookup(cst_table *table, const cst_rows *keys, uint8_t *values_out,
                                uint32_t values_stride, uint8_t *found_out);
cst_delta table_reference_seal(cst_table *table);
cst_code table_reference_release(cst_table *table, const cst_delta *delta);
cst_code table_reference_expire(cst_table *table, uint64_t *bucket, uint32_t buckets_count,
                                int64_t now_us, uint32_t *expired_out);
cst_code table_reference_restore(cst_table *table, const uint8_t *bytes, size_t count,
                                 size_t *used_out);
cst_code table_reference_grow(cst_table *table, uint64_t hash);

#ifdef __cplusplus
}
#endif
#endif
