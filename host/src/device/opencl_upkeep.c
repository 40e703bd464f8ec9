#include "device/opencl_internal.h"

#include "table/internal.h"
#include "table/restore.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static uint64_t buckets_all(const ocl_table *table) {
    return (uint64_t)table->cpu.image->control->chunks_frontier * CSTI_CHUNK_BUCKETS;
}

// Counts, sums the counts, and then does what is to be done in each bucket; the result is read.
static cst_code walk(ocl_queue *queue, ocl_kernel count, ocl_kernel write) {
    const ocl_piece *piece = &queue->piece;
    const ocl_result none = {.stop = piece->pass.scan_buckets};
    const cst_code code = ocl_piece_send(queue, piece);

    if (code != CST_OK) return code;
    ocl_write(queue, &queue->work, 0, &none, sizeof none);
    ocl_launch(queue, piece->table, count, piece->pass.scan_buckets);
    ocl_launch(queue, piece->table, OCL_KERNEL_prefix, 1);
    ocl_launch(queue, piece->table, write, piece->pass.scan_buckets);
    ocl_read(queue, &queue->work, 0, &queue->result, sizeof queue->result);
    return ocl_finish(queue);
}

// ---- Expiry -------------------------------------------------------------------------------------

static cst_code deleted_sum(ocl_queue *queue, uint64_t *sum_out) {
    static const size_t word = sizeof(uint32_t);
    const ocl_pass *pass = &queue->piece.pass;
    uint32_t *deleted = malloc(pass->scan_buckets * word);
    cst_code code;

    *sum_out = 0;
    if (!deleted) return CST_NO_MEMORY;
    ocl_read(queue, &queue->work, pass->work_order, deleted, pass->scan_buckets * word);
    code = ocl_finish(queue);
    for (uint32_t b = 0; b < pass->scan_buckets && code == CST_OK; b++) *sum_out += deleted[b];
    free(deleted);
    return code;
}

static cst_code expire_piece(ocl_queue *queue, const cst_command *command, cst_completion *out) {
    ocl_table *table = (ocl_table *)command->table;
    const uint64_t all = buckets_all(table);
    uint64_t count = command->expire_buckets_count - out->rows_done, deleted;
    cst_code code;

    if (count > OCL_SCAN_BUCKETS) count = OCL_SCAN_BUCKETS;
    if (count > all) count = all; // none twice
    code = ocl_walk_make(queue, command, out->position, (uint32_t)count, 0,
                         (uint32_t)count * CSTI_BUCKET_SLOTS, &queue->piece);
    if (code == CST_OK) code = walk(queue, OCL_KERNEL_expire_count, OCL_KERNEL_expire_write);
    if (code == CST_OK) code = deleted_sum(queue, &deleted);
    if (code != CST_OK) return code;
    if (queue->result.appends > queue->piece.pass.appends_max)
        queue->result.appends = queue->piece.pass.appends_max;
    table->device_newer = true;
    table->cpu.image->control->rows_count -= deleted;
    ocl_log_commit(table, queue->result.appends);
    out->count += deleted;
    out->rows_done += queue->result.stop;
    out->position = (out->position + queue->result.stop) % all;
    return queue->result.stop < count ? (cst_code)queue->piece.pass.appends_code : CST_OK;
}

cst_code ocl_expire(ocl_queue *queue, const cst_command *command, cst_completion *out) {
    ocl_table *table = (ocl_table *)command->table;
    cst_code code = ocl_image_load(table);

    out->position = command->expire_bucket;
    if (code != CST_OK || command->expire_buckets_count == 0) return code;
    if (out->position >= buckets_all(table)) out->position = 0;
    while (code == CST_OK && out->rows_done < command->expire_buckets_count)
        code = expire_piece(queue, command, out);
    return code;
}

// ---- Scan ---------------------------------------------------------------------------------------

static cst_code scan_piece(ocl_queue *queue, const cst_command *command, uint64_t rows_max,
                           cst_completion *out) {
    ocl_table *table = (ocl_table *)command->table;
    const uint32_t bytes = table->cpu.image->entry_bytes;
    cst_scan *scan = command->scan;
    const uint64_t bucket = scan->position / CSTI_BUCKET_SLOTS;
    uint64_t buckets = buckets_all(table) - bucket;
    uint32_t rows;
    cst_code code;

    if (buckets > OCL_SCAN_BUCKETS) buckets = OCL_SCAN_BUCKETS;
    if (rows_max > OCL_PIECE_ROWS_MAX) rows_max = OCL_PIECE_ROWS_MAX;
    code = ocl_walk_make(queue, command, bucket, (uint32_t)buckets, (uint32_t)rows_max, 0,
                         &queue->piece);
    if (code != CST_OK) return code;
    queue->piece.pass.scan_slot = (uint32_t)(scan->position % CSTI_BUCKET_SLOTS);
    queue->piece.pass.now_us = scan->now_us;
    code = walk(queue, OCL_KERNEL_scan_count, OCL_KERNEL_scan_write);
    if (code != CST_OK) return code;
    rows = queue->result.found < rows_max ? queue->result.found : (uint32_t)rows_max;
    ocl_read(queue, &queue->work, queue->piece.pass.work_values, command->scan_out + out->position,
             (size_t)rows * bytes);
    code = ocl_finish(queue);
    if (code != CST_OK) return code;
    out->position += (uint64_t)rows * bytes;
    out->count += rows;
    scan->position =
        rows == rows_max ? queue->result.position : (bucket + buckets) * CSTI_BUCKET_SLOTS;
    return CST_OK;
}

cst_code ocl_scan(ocl_queue *queue, const cst_command *command, cst_completion *out) {
    ocl_table *table = (ocl_table *)command->table;
    cst_code code = ocl_image_load(table);

    while (code == CST_OK) {
        uint64_t rows_max = 0;

        code = csti_cpu_scan_rows(&table->cpu, command, out, &rows_max);
        if (code != CST_OK || rows_max == 0) return code;
        code = scan_piece(queue, command, rows_max, out);
    }
    return code;
}

// ---- Restore ------------------------------------------------------------------------------------

// The records from out->position on that are rows, at most `capacity`; *to_out is where they end,
// before the first that breaks a rule.
static uint32_t records_find(const cst_table *image, const cst_command *command, uint64_t from,
                             const uint8_t **records, uint32_t capacity, uint64_t *to_out) {
    uint32_t count = 0;

    while (from < command->restore_bytes && count < capacity) {
        const csti_record *record = (const csti_record *)(command->restore + from);

        if (!csti_record_is_restorable(image, record, command->restore_bytes - from)) break;
        if (!(record->value_flags & CSTI_RECORD_GAP)) records[count++] = command->restore + from;
        from += (uint64_t)record->units * CSTI_LOG_UNIT;
    }
    *to_out = from;
    return count;
}

static cst_code restore_piece(ocl_queue *queue, const cst_command *command, const uint8_t **records,
                              cst_completion *out) {
    const ocl_table *table = (const ocl_table *)command->table;
    uint64_t to = 0;
    uint32_t rows_done = 0;
    const uint32_t count =
        records_find(table->cpu.image, command, out->position, records, queue->rows_max, &to);
    cst_code code = CST_OK;

    queue->piece.records = records;
    queue->piece.to = count;
    if (count > 0) code = ocl_records_apply(queue, command, &rows_done);
    if (code == CST_TABLE_FULL) {
        out->position = (uint64_t)(records[rows_done] - command->restore);
        memcpy(&out->hash, records[rows_done] + offsetof(csti_record, hash), sizeof out->hash);
    }
    if (code != CST_OK) return code;
    if (to == out->position) return CST_SEGMENT_RECORD;
    out->position = to;
    return CST_OK;
}

cst_code ocl_restore(ocl_queue *queue, const cst_command *command, cst_completion *out) {
    const uint8_t **records = malloc(OCL_PIECE_ROWS_MAX * sizeof *records);
    cst_code code = CST_OK;

    if (!records) return CST_NO_MEMORY;
    while (code == CST_OK && out->position < command->restore_bytes)
        code = restore_piece(queue, command, records, out);
    free(records);
    return code;
}
