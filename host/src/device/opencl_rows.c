// opencl_rows.c: a piece of rows on the device.
//
//   send ─► keys ─► part_count ─► prefix ─► part_scatter ─► apply ─► plan ─► records ─► result
//              └──► look_up
//   a row failed:   undo ─► apply ─► plan ─► records, up to that row
#include "device/opencl_internal.h"

#include "table/internal.h"
#include "table/program.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

// ---- The table ----------------------------------------------------------------------------------

static void apply_launch(ocl_queue *queue) {
    const ocl_piece *piece = &queue->piece;
    const ocl_pass *pass = &piece->pass;

    ocl_launch(queue, piece->table, OCL_KERNEL_apply, UINT64_C(1) << pass->partitions_bits);
    ocl_launch(queue, piece->table, OCL_KERNEL_plan, 1);
    ocl_launch(queue, piece->table, OCL_KERNEL_records, pass->limit - pass->first);
    ocl_read(queue, &queue->work, 0, &queue->result, sizeof queue->result);
}

static void partition_launch(ocl_queue *queue) {
    const ocl_piece *piece = &queue->piece;

    ocl_launch(queue, piece->table, OCL_KERNEL_part_count, piece->pass.tiles);
    ocl_launch(queue, piece->table, OCL_KERNEL_prefix, 1);
    ocl_launch(queue, piece->table, OCL_KERNEL_part_scatter, piece->pass.tiles);
}

// After a row that failed: as if the piece ended before it.
static cst_code apply_again(ocl_queue *queue, uint32_t stop) {
    ocl_piece *piece = &queue->piece;
    ocl_pass *pass = &piece->pass;

    ocl_launch(queue, piece->table, OCL_KERNEL_undo, UINT64_C(1) << pass->partitions_bits);
    pass->limit = stop;
    queue->result = (ocl_result){.stop = stop};
    if (stop > pass->first) {
        ocl_write(queue, &queue->input, 0, pass, sizeof *pass);
        apply_launch(queue);
    }
    return ocl_finish(queue);
}

// A table that grows stops often, and what is behind the stop is done in vain.
static void pace(ocl_queue *queue, cst_code code) {
    if (code == CST_TABLE_FULL && queue->rows_max > OCL_PIECE_ROWS_MIN)
        queue->rows_max = OCL_PIECE_ROWS_MIN;
    else if (code == CST_OK && queue->rows_max < queue->device->piece_rows)
        queue->rows_max *= 2;
    if (queue->rows_max > queue->device->piece_rows) queue->rows_max = queue->device->piece_rows;
}

// The result is there: what the table's control block is now, and what stopped the rows, if so.
static cst_code apply_settle(ocl_queue *queue) {
    ocl_table *table = queue->piece.table;
    const ocl_result first = queue->result;
    cst_code code = CST_OK;

    if (first.stop != queue->piece.pass.limit) {
        if (first.stop > queue->piece.pass.limit) return CST_DEVICE_LOST;
        code = apply_again(queue, first.stop);
        if (code != CST_OK) return code;
        if (queue->result.stop != first.stop) return CST_DEVICE_LOST; // it did not do the same
        code = (cst_code)first.code;
    }
    table->device_newer = true;
    table->cpu.image->control->rows_count += (uint64_t)queue->result.rows;
    ocl_log_commit(table, queue->result.appends);
    pace(queue, code);
    return code;
}

// ---- Look-ups -----------------------------------------------------------------------------------

static cst_code lookups_take(ocl_queue *queue, const cst_command *command) {
    const ocl_piece *piece = &queue->piece;
    const ocl_pass *pass = &piece->pass;
    const uint32_t first = piece->from + pass->first, words_bytes = (pass->value_bytes + 7) & ~7u;
    const size_t rows = pass->count - pass->first;
    uint8_t *values = malloc(rows * words_bytes + 1);
    cst_code code;

    if (!values) return CST_NO_MEMORY;
    ocl_read(queue, &queue->work, pass->work_found + pass->first, command->found_out + first, rows);
    ocl_read(queue, &queue->work, pass->work_values + (uint64_t)pass->first * words_bytes, values,
             rows * words_bytes);
    code = ocl_finish(queue);
    for (size_t r = 0; r < rows && code == CST_OK; r++) {
        if (!command->found_out[first + r]) continue;
        queue->done.count++;
        if (pass->value_bytes > 0)
            memcpy(command->values_out + (first + r) * (size_t)command->values_stride,
                   values + r * words_bytes, pass->value_bytes);
    }
    free(values);
    return code;
}

// ---- Keys and hashes for the caller -------------------------------------------------------------

// The caller's keys before the piece's, and whether the piece's have their place.
static cst_code keys_check(const ocl_piece *piece) {
    const cst_keys *keys = piece->command->keys_out;
    size_t used, room;

    if (!(piece->pass.ops & OCL_ENCODE) || !keys) return CST_OK;
    if (piece->key_bytes)
        used = (size_t)piece->from * piece->key_bytes;
    else
        used = piece->from ? keys->offsets[piece->from] : 0;
    if (used > keys->bytes_capacity) return CST_LIMIT;
    room = keys->bytes_capacity - used;
    if (!piece->key_bytes && room > UINT32_MAX - used) room = UINT32_MAX - used;
    return piece->keys_bytes > room ? CST_LIMIT : CST_OK;
}

static void keys_read(ocl_queue *queue) {
    const ocl_piece *piece = &queue->piece;
    const cst_command *command = piece->command;
    const ocl_pass *pass = &piece->pass;
    cst_keys *keys = command->keys_out;

    if ((pass->ops & OCL_HASH) && command->hashes_out)
        ocl_read(queue, &queue->work, pass->work_hashes, command->hashes_out + piece->from,
                 pass->count * sizeof(uint64_t));
    if (!(pass->ops & OCL_ENCODE) || !keys) return;
    keys->stride = piece->key_bytes;
    if (piece->key_bytes)
        ocl_read(queue, &queue->work, pass->work_keys,
                 keys->bytes + (size_t)piece->from * piece->key_bytes,
                 (size_t)pass->count * piece->key_bytes);
}

// Keys of several lengths lie apart on the device.
static void keys_close_up(const ocl_piece *piece, const uint8_t *loose, const uint32_t *lengths) {
    const cst_command *command = piece->command;
    const cst_schema *schema = command->batch->schema;
    cst_keys *keys = command->keys_out;
    uint32_t used = piece->from ? keys->offsets[piece->from] : 0;

    keys->offsets[piece->from] = used;
    for (uint32_t r = 0; r < piece->pass.count; r++) {
        size_t at = (size_t)r * piece->pass.loose_base;

        for (uint32_t c = 0; c < schema->columns_count; c++) {
            const uint32_t *offsets = command->batch->columns[c].offsets.data;

            if (piece->pass.columns[c].kind == OCL_KEY_VARIABLE)
                at += 2 * (size_t)(offsets[piece->from + r] - piece->pass.columns[c].base);
        }
        memcpy(keys->bytes + used, loose + at, lengths[r]);
        used += lengths[r];
        keys->offsets[piece->from + r + 1] = used;
    }
}

static cst_code keys_take(ocl_queue *queue) {
    const ocl_piece *piece = &queue->piece;
    const ocl_pass *pass = &piece->pass;
    uint32_t *lengths;
    uint8_t *loose;
    cst_code code;

    if (!(pass->ops & OCL_ENCODE) || !piece->command->keys_out || piece->key_bytes) return CST_OK;
    lengths = malloc(pass->count * sizeof *lengths + 1);
    loose = malloc(piece->keys_bytes + 1);
    code = lengths && loose ? CST_OK : CST_NO_MEMORY;
    if (code == CST_OK) {
        ocl_read(queue, &queue->work, pass->work_lengths, lengths, pass->count * sizeof *lengths);
        ocl_read(queue, &queue->work, pass->work_keys, loose, piece->keys_bytes);
        code = ocl_finish(queue);
    }
    if (code == CST_OK) keys_close_up(piece, loose, lengths);
    free(lengths);
    free(loose);
    return code;
}

// ---- Pieces -------------------------------------------------------------------------------------

static cst_code piece_begin(ocl_queue *queue, const cst_command *command, uint32_t from) {
    ocl_piece *piece = &queue->piece;
    ocl_table *table = (ocl_table *)command->table;
    cst_code code = table ? ocl_image_load(table) : CST_OK;

    if (code == CST_OK) code = ocl_piece_make(queue, command, from, piece);
    if (code == CST_OK) code = keys_check(piece);
    if (code == CST_OK) code = ocl_piece_send(queue, piece);
    if (code != CST_OK) return code;
    ocl_launch(queue, table, OCL_KERNEL_keys, piece->pass.count);
    keys_read(queue);
    if (piece->pass.ops & OCL_APPLY) {
        partition_launch(queue);
        apply_launch(queue);
    } else if (piece->pass.ops & OCL_LOOKUP) {
        ocl_launch(queue, table, OCL_KERNEL_look_up, piece->pass.count - piece->pass.first);
    }
    return queue->lost ? CST_DEVICE_LOST : CST_OK;
}

cst_code ocl_rows_check(const cst_command *command) {
    const ocl_table *table = (const ocl_table *)command->table;

    if (!(command->ops & CST_OP_APPLY)) return CST_OK; // keys and hashes need no table
    return csti_command_fits(command, &table->cpu.image->control->program) ? CST_OK : CST_USAGE;
}

cst_code ocl_rows_begin(ocl_queue *queue, const cst_command *command) {
    cst_code code;

    queue->piece.records = NULL;
    code = piece_begin(queue, command, queue->done.rows_done);
    if (code != CST_OK) return code;
    (void)ocl_went(queue, "clFlush", queue->device->cl.Flush(queue->commands));
    queue->running = true;
    return CST_OK;
}

void ocl_rows_end(ocl_queue *queue, const cst_command *command, cst_code *code_out) {
    const ocl_piece *piece = &queue->piece;
    cst_completion *done = &queue->done;
    uint32_t to = piece->to;
    cst_code code = keys_take(queue);

    if (code == CST_OK && (command->ops & CST_OP_APPLY)) {
        code = apply_settle(queue);
        to = piece->from + queue->result.stop;
        if (code == CST_TABLE_FULL) {
            ocl_read(queue, &queue->work,
                     piece->pass.work_hashes + (uint64_t)queue->result.stop * sizeof done->hash,
                     &done->hash, sizeof done->hash);
            if (ocl_finish(queue) != CST_OK) code = CST_DEVICE_LOST;
        }
    } else if (code == CST_OK && (command->ops & CST_OP_LOOKUP)) {
        code = lookups_take(queue, command);
    }
    if (code != CST_DEVICE_LOST) done->rows_done = to;
    *code_out = code;
}

cst_code ocl_records_apply(ocl_queue *queue, const cst_command *command, uint32_t *rows_done) {
    cst_code code = piece_begin(queue, command, 0);

    *rows_done = 0;
    if (code == CST_OK) code = ocl_finish(queue);
    if (code == CST_OK) code = apply_settle(queue);
    if (code != CST_DEVICE_LOST) *rows_done = queue->result.stop;
    return code;
}
