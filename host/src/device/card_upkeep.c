// card_upkeep.c: RELEASE, EXPIRE, SCAN and RESTORE by the circuit.
#include "device/card_internal.h"
#include "table/internal.h"

cst_code card_release(card_queue *queue, card_table *table, const cst_delta *delta) {
    const card_descriptor release = {.op = CARD_OP_RELEASE, .epoch = delta->epoch, .at = delta->to};
    card_completion done;
    cst_code code = card_run_load(queue, table);

    if (code == CST_OK) code = card_run(queue, &release, &done);
    if (code == CST_DEVICE_LOST) return code;
    table->loaded = code == CST_OK;
    if (card_image_release(table, delta, &done) != code) return CST_DEVICE_LOST;
    return code;
}

// One command to the card: buckets from out->position on, no bucket twice.
static cst_code expire_piece(card_queue *queue, card_table *table, const cst_command *command,
                             uint64_t buckets_all, cst_completion *out) {
    const csti_control *control = table->cpu.image->control;
    const uint64_t rows_before = control->rows_count;
    uint64_t left = command->expire_buckets_count - out->rows_done;
    card_descriptor expire = {.op = CARD_OP_EXPIRE, .now = (uint64_t)command->rows.now_us};
    card_completion done;
    cst_code code = card_run_load(queue, table);

    if (code != CST_OK) return code;
    if (left > CARD_ROWS_MAX) left = CARD_ROWS_MAX;
    if (left > buckets_all) left = buckets_all;
    expire.at = out->position;
    expire.count = (uint32_t)left;
    code = card_run(queue, &expire, &done);
    if (code == CST_DEVICE_LOST) return code;
    table->loaded = code == CST_OK;
    if (card_image_take(table, &done) != CST_OK) return CST_DEVICE_LOST;
    out->count += rows_before - control->rows_count;
    out->rows_done += done.row;
    out->position = (out->position + done.row) % buckets_all;
    return code;
}

cst_code card_expire(card_queue *queue, card_table *table, const cst_command *command,
                     cst_completion *out) {
    const csti_control *control = table->cpu.image->control;
    const uint64_t buckets_all = (uint64_t)control->chunks_frontier * CSTI_CHUNK_BUCKETS;
    cst_code code = CST_OK;

    out->position = command->expire_bucket;
    if (command->expire_buckets_count == 0) return CST_OK;
    if (out->position >= buckets_all) out->position = 0;
    while (code == CST_OK && out->rows_done < command->expire_buckets_count)
        code = expire_piece(queue, table, command, buckets_all, out);
    return code;
}

// One command to the card: rows from command->scan on, until its results are full, or its buckets
// done. A row is a record in one beat or two; the caller gets them without what lies between.
static cst_code scan_piece(card_queue *queue, card_table *table, const cst_command *command,
                           uint64_t buckets_all, uint64_t rows_max, cst_completion *out) {
    const uint32_t bytes = table->cpu.image->entry_bytes;
    const uint32_t stride = bytes > CARD_BEAT_BYTES ? 2 * CARD_BEAT_BYTES : CARD_BEAT_BYTES;
    const uint8_t *results = queue->results_at;
    cst_scan *scan = command->scan;
    const uint64_t buckets_left = buckets_all - scan->position / CSTI_BUCKET_SLOTS;
    const card_descriptor descriptor = {
        .op = CARD_OP_SCAN,
        .count = (uint32_t)(buckets_left < CARD_ROWS_MAX ? buckets_left : CARD_ROWS_MAX),
        .row = (uint32_t)(rows_max < CARD_ROWS_MAX ? rows_max : CARD_ROWS_MAX),
        .results = CARD_RESULTS_AT,
        .now = (uint64_t)scan->now_us,
        .at = scan->position,
    };
    card_completion done;
    cst_code code = card_run_load(queue, table);

    if (code == CST_OK) code = card_run(queue, &descriptor, &done);
    if (code != CST_OK) return code;
    if (done.row > descriptor.row || done.from < scan->position) return CST_DEVICE_LOST;
    for (uint32_t i = 0; i < done.row; i++)
        memcpy(command->scan_out + out->position + (size_t)i * bytes, results + (size_t)i * stride,
               bytes);
    out->position += (uint64_t)done.row * bytes;
    out->count += done.row;
    scan->position = done.from;
    return CST_OK;
}

cst_code card_scan(card_queue *queue, card_table *table, const cst_command *command,
                   cst_completion *out) {
    const csti_control *control = table->cpu.image->control;
    const uint64_t buckets_all = (uint64_t)control->chunks_frontier * CSTI_CHUNK_BUCKETS;
    cst_code code = CST_OK;

    while (code == CST_OK) {
        uint64_t rows_max = 0;

        code = csti_cpu_scan_rows(&table->cpu, command, out, &rows_max);
        if (code != CST_OK || rows_max == 0) return code;
        code = scan_piece(queue, table, command, buckets_all, rows_max, out);
    }
    return code;
}

// One command to the card: whole units from out->position on. A record that they cut is left for
// the next command.
static cst_code restore_piece(card_queue *queue, card_table *table, const cst_command *command,
                              cst_completion *out) {
    const size_t units_left = (command->restore_bytes - out->position) / CARD_ENTRY_UNIT_BYTES;
    const uint32_t units = units_left < CARD_UNITS_MAX ? (uint32_t)units_left : CARD_UNITS_MAX;
    const card_descriptor restore = {.op = CARD_OP_RESTORE,
                                     .flags = units < units_left ? CARD_FLAG_MORE : 0,
                                     .count = units,
                                     .address = CARD_RECORDS_AT};
    card_completion done;
    cst_code code = card_run_load(queue, table);

    if (code != CST_OK) return code;
    memcpy(card_batch_at(queue, CARD_RECORDS_AT), command->restore + out->position,
           (size_t)units * CARD_ENTRY_UNIT_BYTES);
    code = card_run(queue, &restore, &done);
    if (code == CST_DEVICE_LOST) return code;
    table->loaded = code == CST_OK;
    if (card_image_take(table, &done) != CST_OK) return CST_DEVICE_LOST;
    if (done.row > units || (code == CST_OK && done.row == 0)) return CST_DEVICE_LOST;
    out->position += (uint64_t)done.row * CARD_ENTRY_UNIT_BYTES;
    return code;
}

cst_code card_restore(card_queue *queue, card_table *table, const cst_command *command,
                      cst_completion *out) {
    cst_code code = CST_OK;

    if ((uintptr_t)command->restore % 8 != 0) return CST_USAGE;
    while (code == CST_OK && command->restore_bytes - out->position >= CARD_ENTRY_UNIT_BYTES)
        code = restore_piece(queue, table, command, out);
    if (code == CST_TABLE_FULL)
        memcpy(&out->hash, command->restore + out->position, sizeof out->hash);
    if (code == CST_OK && out->position < command->restore_bytes) code = CST_SEGMENT_RECORD;
    return code;
}
