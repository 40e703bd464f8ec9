// opencl_pack.c: what of a command a piece's kernels read: columns, keys, hashes, operations,
// values, sources and where the log's segments lie, one behind the other.
#include "device/opencl_internal.h"

#include "codec/batch_read.h"
#include "codec/key_transform.h"
#include "table/internal.h"
#include "table/program.h"

#include <assert.h>
#include <string.h>

enum { DECIMAL_BYTES = 16 };

// Room for `bytes`, and for a word read across their end.
static uint64_t room_take(uint64_t *end, uint64_t bytes) {
    const uint64_t at = *end;

    *end = (at + bytes + OCL_SLACK_BYTES + OCL_ALIGN - 1) / OCL_ALIGN * OCL_ALIGN;
    return at;
}

static uint32_t part_put(ocl_piece *piece, const void *from, size_t bytes) {
    const uint32_t at = (uint32_t)room_take(&piece->input_bytes, bytes);

    assert(piece->parts_count < OCL_PARTS_MAX);
    piece->parts[piece->parts_count++] = (ocl_part){from, bytes, at};
    return at;
}

static uint32_t validity_put(ocl_piece *piece, const uint8_t *bits) {
    const uint32_t rows = piece->to - piece->from;

    if (!bits) return OCL_NONE;
    return part_put(piece, bits + piece->from / 8, (rows + 7) / 8);
}

// ---- Keys ---------------------------------------------------------------------------------------

static void column_put(ocl_piece *piece, uint32_t index) {
    const cst_batch *batch = piece->command->batch;
    const cst_column_data *data = &batch->columns[index];
    const csti_key_plan plan = csti_key_plan_of(&batch->schema->columns[index]);
    const uint8_t *values = data->values.data;
    const uint32_t rows = piece->to - piece->from;
    ocl_column *column = &piece->pass.columns[index];

    *column = (ocl_column){.kind = plan.kind,
                           .width = plan.width,
                           .head = plan.head,
                           .rest = plan.rest,
                           .nullable = plan.nullable,
                           .null_marker = plan.null_marker,
                           .offsets = OCL_NONE,
                           .validity = OCL_NONE};
    if (plan.nullable && data->validity.bytes > 0)
        column->validity = validity_put(piece, data->validity.data);
    piece->pass.loose_base += plan.width + (plan.nullable ? CSTI_KEY_MARKER_BYTES : 0);
    if (plan.kind != CSTI_KEY_VARIABLE) {
        column->values =
            part_put(piece, values + (size_t)piece->from * plan.width, (size_t)rows * plan.width);
        return;
    }
    column->base = csti_offset_at(&data->offsets, piece->from);
    const uint32_t bytes = csti_offset_at(&data->offsets, piece->to) - column->base;

    column->values = part_put(piece, bytes ? values + column->base : NULL, bytes);
    column->offsets = part_put(piece, (const uint8_t *)data->offsets.data + (size_t)piece->from * 4,
                               (rows + 1) * sizeof(int32_t));
    piece->pass.loose_base += CSTI_KEY_END_BYTES;
    piece->keys_bytes += 2 * (uint64_t)bytes;
}

static void keys_encoded_put(ocl_piece *piece) {
    const cst_schema *schema = piece->command->batch->schema;
    const uint32_t rows = piece->to - piece->from;
    ocl_pass *pass = &piece->pass;

    pass->columns_count = schema->columns_count;
    for (uint32_t c = 0; c < schema->columns_count; c++) column_put(piece, c);
    piece->key_bytes = pass->key_stride = pass->key_bytes = cst_schema_key_bytes(schema);
    pass->keys_mode = piece->key_bytes ? OCL_KEYS_ENCODED : OCL_KEYS_LOOSE;
    piece->keys_bytes += (uint64_t)rows * pass->loose_base;
}

static void keys_given_put(ocl_piece *piece) {
    const cst_rows *rows = &piece->command->rows;
    const uint32_t count = piece->to - piece->from;
    ocl_pass *pass = &piece->pass;

    if (rows->key_offsets) {
        const uint32_t *offsets = rows->key_offsets + piece->from;
        const uint32_t bytes = offsets[count] - offsets[0];

        pass->keys_mode = OCL_KEYS_OFFSETS;
        // Offsets are into all of the keys: the first is moved to where it would lie.
        pass->keys = part_put(piece, bytes ? rows->keys + offsets[0] : NULL, bytes) - offsets[0];
        pass->key_offsets = part_put(piece, offsets, (count + (size_t)1) * sizeof *offsets);
        return;
    }
    pass->keys_mode = OCL_KEYS_STRIDE;
    pass->key_stride = rows->key_stride;
    pass->key_bytes = rows->key_bytes;
    if (count == 0 || rows->key_bytes == 0) return;
    pass->keys = part_put(piece, rows->keys + (size_t)piece->from * rows->key_stride,
                          (size_t)(count - 1) * rows->key_stride + rows->key_bytes);
}

// ---- Values -------------------------------------------------------------------------------------

static uint32_t source_kind(cst_type type) {
    switch (type) {
    case CST_TYPE_U8:
    case CST_TYPE_BOOL:
        return OCL_U8;
    case CST_TYPE_U16:
        return OCL_U16;
    case CST_TYPE_U32:
        return OCL_U32;
    case CST_TYPE_I8:
        return OCL_I8;
    case CST_TYPE_I16:
        return OCL_I16;
    case CST_TYPE_I32:
    case CST_TYPE_DATE:
        return OCL_I32;
    case CST_TYPE_I64:
    case CST_TYPE_TIMESTAMP:
        return OCL_I64;
    case CST_TYPE_F32:
        return OCL_F32;
    case CST_TYPE_F64:
        return OCL_F64;
    case CST_TYPE_DECIMAL128:
        return OCL_DECIMAL;
    default:
        return OCL_U64;
    }
}

static size_t source_bytes(uint32_t kind) {
    static const uint8_t bytes[] = {[OCL_U8] = 1,
                                    [OCL_U16] = 2,
                                    [OCL_U32] = 4,
                                    [OCL_U64] = 8,
                                    [OCL_I8] = 1,
                                    [OCL_I16] = 2,
                                    [OCL_I32] = 4,
                                    [OCL_I64] = 8,
                                    [OCL_F32] = 4,
                                    [OCL_F64] = 8,
                                    [OCL_DECIMAL] = DECIMAL_BYTES};

    return bytes[kind];
}

// Of a source that only counts look at, nulls alone.
static void source_put(ocl_piece *piece, uint32_t index, bool has_values) {
    const cst_source *from = &piece->command->rows.sources[index];
    const uint32_t kind = source_kind(from->type), rows = piece->to - piece->from;
    ocl_source *source = &piece->pass.sources[index];

    source->kind = kind;
    if (source->validity == OCL_NONE) source->validity = validity_put(piece, from->validity);
    if (!has_values || source->values != OCL_NONE) return;
    source->values =
        part_put(piece, (const uint8_t *)from->values + piece->from * source_bytes(kind),
                 rows * source_bytes(kind));
}

// Whether fold_plain may fold them.
static bool is_plain(const ocl_pass *pass) {
    if (pass->presence_word != OCL_NONE || pass->ttl_us != 0) return false;
    for (uint32_t i = 0; i < pass->accumulators_count; i++) {
        const ocl_accumulator *accumulator = &pass->accumulators[i];
        const bool has_source = accumulator->source != OCL_NONE;
        const ocl_source *source = has_source ? &pass->sources[accumulator->source] : NULL;

        if (accumulator->number != CST_U64 || (source && source->validity != OCL_NONE))
            return false;
        if (accumulator->op != CST_COUNT && (!source || source->kind != OCL_U64)) return false;
    }
    return true;
}

static void sources_put(ocl_piece *piece) {
    const cst_program *program = &piece->table->cpu.image->control->program;
    ocl_pass *pass = &piece->pass;

    for (uint32_t s = 0; s < OCL_COLUMNS_MAX; s++)
        pass->sources[s] = (ocl_source){.values = OCL_NONE, .validity = OCL_NONE};
    for (uint32_t i = 0; i < program->accumulators_count; i++)
        if (program->accumulators[i].source != CST_NO_COLUMN)
            source_put(piece, program->accumulators[i].source,
                       program->accumulators[i].op != CST_COUNT);
    pass->plain = is_plain(pass);
}

static void values_put(ocl_piece *piece) {
    const cst_rows *rows = &piece->command->rows;
    const uint32_t count = piece->to - piece->from;
    const uint32_t bytes = piece->pass.value_bytes;
    ocl_pass *pass = &piece->pass;

    if (rows->ops) pass->row_ops = part_put(piece, rows->ops + piece->from, count);
    if (pass->accumulators_count > 0) {
        sources_put(piece);
        return;
    }
    pass->value_stride = rows->value_stride;
    if (!rows->values || bytes == 0) return;
    pass->values = part_put(piece, rows->values + (size_t)piece->from * rows->value_stride,
                            (size_t)(count - 1) * rows->value_stride + bytes);
}

// ---- The table ----------------------------------------------------------------------------------

static void table_describe(ocl_piece *piece) {
    const cst_table *image = piece->table->cpu.image;
    const csti_control *control = image->control;
    const cst_program *program = &control->program;
    ocl_pass *pass = &piece->pass;

    pass->k0 = image->hash_key.k0;
    pass->k1 = image->hash_key.k1;
    pass->table_key_bytes = image->key_bytes;
    pass->entry_words = image->entry_bytes / 8;
    pass->value_word = image->value_offset / 8;
    pass->value_bytes = image->value_bytes;
    pass->accumulators_count = program->accumulators_count;
    pass->presence_word =
        program->presence_offset == CST_NO_OFFSET ? OCL_NONE : program->presence_offset / 8u;
    pass->time_offset = program->time_offset;
    pass->ttl_us = program->ttl_us;
    pass->now_us = piece->command->rows.now_us;
    pass->directory_mask = (UINT64_C(1) << control->depth_max) - 1;
    pass->chunk_scale = (UINT64_C(1) << (32 + piece->table->queue->device->partitions_bits)) /
                        control->chunks_frontier;
    pass->epoch_first = control->epoch_first;
    pass->log_shift = image->log_segment_shift;
    for (uint32_t i = 0; i < program->accumulators_count; i++) {
        const cst_accumulator *from = &program->accumulators[i];

        pass->accumulators[i] =
            (ocl_accumulator){from->op, from->number, from->value_offset / 8u,
                              from->source == CST_NO_COLUMN ? OCL_NONE : from->source};
    }
}

static void records_put(ocl_piece *piece) {
    const uint32_t bytes = piece->pass.entry_words * 8;
    ocl_pass *pass = &piece->pass;

    pass->ops = OCL_APPLY | OCL_RESTORE;
    pass->ttl_us = 0; // the clock is not asked
    pass->keys_mode = OCL_KEYS_RECORDS;
    pass->key_stride = pass->value_stride = bytes;
    pass->keys = part_put(piece, NULL, (size_t)(piece->to - piece->from) * bytes);
    pass->values = pass->keys + pass->value_word * 8;
    pass->row_ops = part_put(piece, NULL, piece->to - piece->from);
}

static uint32_t ops_of(uint32_t ops) {
    return (ops & CST_OP_ENCODE ? OCL_ENCODE : 0) | (ops & CST_OP_HASH ? OCL_HASH : 0) |
           (ops & CST_OP_APPLY ? OCL_APPLY : 0) | (ops & CST_OP_LOOKUP ? OCL_LOOKUP : 0);
}

static void parts_put(ocl_piece *piece) {
    const cst_command *command = piece->command;
    ocl_pass *pass = &piece->pass;

    pass->ops = ops_of(command->ops);
    pass->k0 = command->hash_key.k0;
    pass->k1 = command->hash_key.k1;
    pass->hashes = pass->row_ops = OCL_NONE;
    if (piece->table) table_describe(piece);
    if (piece->records) {
        records_put(piece);
        return;
    }
    if (command->ops & CST_OP_ENCODE)
        keys_encoded_put(piece);
    else
        keys_given_put(piece);
    if (!(command->ops & CST_OP_HASH) && command->rows.hashes)
        pass->hashes = part_put(piece, command->rows.hashes + piece->from,
                                (size_t)(piece->to - piece->from) * sizeof(uint64_t));
    if (command->ops & CST_OP_APPLY) values_put(piece);
}

static void work_place(const ocl_device *device, ocl_piece *piece) {
    ocl_pass *pass = &piece->pass;
    const uint64_t rows = pass->count;
    uint64_t *end = &piece->work_bytes;

    *end = OCL_ALIGN;
    pass->partitions_bits = device->partitions_bits;
    pass->tile_rows = (uint32_t)(rows + device->tiles - 1) / device->tiles;
    if (pass->tile_rows < OCL_ALIGN) pass->tile_rows = OCL_ALIGN;
    pass->tiles = (uint32_t)(rows - pass->first + pass->tile_rows - 1) / pass->tile_rows;
    pass->counts_count = pass->tiles << pass->partitions_bits;
    pass->work_hashes = room_take(end, rows * 8);
    pass->work_keys = room_take(end, piece->keys_bytes);
    pass->work_lengths = room_take(end, rows * 4);
    if (pass->ops & OCL_LOOKUP) {
        pass->work_found = room_take(end, rows);
        pass->work_values = room_take(end, rows * (pass->value_bytes + 7));
    }
    if (!(pass->ops & OCL_APPLY)) return;
    pass->work_parts = room_take(end, rows * 4);
    pass->work_order = room_take(end, rows * 4);
    pass->work_offsets = room_take(end, rows * 8);
    pass->work_state = room_take(end, rows);
    pass->work_places = room_take(end, rows * 8);
    pass->work_ordered = room_take(end, rows * 8);
    pass->undo_words = 1 + (pass->value_bytes + 7) / 8;
    pass->work_undo = room_take(end, rows * pass->undo_words * 8);
    pass->work_counts = room_take(end, (uint64_t)pass->counts_count * 4);
    pass->work_ends = room_take(end, sizeof(ocl_end) << pass->partitions_bits);
}

// ---- Pieces -------------------------------------------------------------------------------------

static uint64_t piece_bytes(const cst_command *command, uint32_t from, uint32_t to) {
    const cst_batch *batch = command->batch;
    uint64_t bytes = 0;

    if (command->ops & CST_OP_ENCODE) {
        for (uint32_t c = 0; c < batch->schema->columns_count; c++) {
            const cst_buffer *offsets = &batch->columns[c].offsets;

            if (csti_type_is_variable(batch->schema->columns[c].type))
                bytes += csti_offset_at(offsets, to) - csti_offset_at(offsets, from);
        }
    } else if (command->rows.key_offsets) {
        bytes = command->rows.key_offsets[to] - command->rows.key_offsets[from];
    }
    return bytes;
}

// Rows of a piece: until their keys are too many bytes.
static uint32_t piece_end(const ocl_queue *queue, const cst_command *command, uint32_t from) {
    uint32_t rows = command->rows.rows_count - from;

    if (rows > queue->rows_max) rows = queue->rows_max;
    while (rows > 8 && piece_bytes(command, from, from + rows) > OCL_PIECE_KEYS_BYTES)
        rows = (rows / 2 + 7) & ~7u;
    return from + rows;
}

cst_code ocl_piece_make(ocl_queue *queue, const cst_command *command, uint32_t from,
                        ocl_piece *out) {
    const uint8_t *const *records = out->records;
    const uint32_t records_count = out->to;
    cst_code code = CST_OK;

    *out = (ocl_piece){.command = command,
                       .table = (ocl_table *)command->table,
                       .records = records,
                       .from = records ? 0 : from & ~7u,
                       .first = from,
                       .input_bytes = (sizeof(ocl_pass) + OCL_ALIGN) / OCL_ALIGN * OCL_ALIGN};
    out->to = records ? records_count : piece_end(queue, command, out->from);
    out->pass.first = records ? 0 : from - out->from;
    out->pass.count = out->pass.limit = out->to - out->from;
    out->pass.codes[0] = CST_KEY_TOO_LONG;
    out->pass.codes[1] = CST_TABLE_FULL;
    out->pass.codes[2] = CST_SUM_OVERFLOW;
    parts_put(out);
    work_place(queue->device, out);
    if (out->pass.ops & OCL_APPLY) {
        code = ocl_log_plan(out->table, records ? 0 : out->pass.count - out->pass.first, &out->pass,
                            &out->places_count);
        if (code != CST_OK) return code;
        out->pass.log_places =
            part_put(out, queue->places, out->places_count * sizeof *queue->places);
    }
    if (out->input_bytes > UINT32_MAX) return CST_LIMIT;
    code = ocl_memory_reach(queue, &queue->input, out->input_bytes, false);
    return code == CST_OK ? ocl_memory_reach(queue, &queue->work, out->work_bytes, false) : code;
}

cst_code ocl_walk_make(ocl_queue *queue, const cst_command *command, uint64_t bucket,
                       uint32_t count, uint32_t rows_max, uint32_t appends, ocl_piece *out) {
    ocl_table *table = (ocl_table *)command->table;
    const csti_control *control = table->cpu.image->control;
    ocl_pass *pass = &out->pass;
    cst_code code;

    *out = (ocl_piece){.command = command,
                       .table = table,
                       .input_bytes = (sizeof(ocl_pass) + OCL_ALIGN) / OCL_ALIGN * OCL_ALIGN,
                       .work_bytes = OCL_ALIGN};
    table_describe(out);
    pass->scan_bucket = bucket;
    pass->scan_end = (uint64_t)control->chunks_frontier * CSTI_CHUNK_BUCKETS;
    pass->scan_buckets = count;
    pass->scan_rows_max = rows_max;
    pass->counts_count = count + 1;
    pass->work_counts = room_take(&out->work_bytes, (count + UINT64_C(1)) * 4);
    pass->work_order = room_take(&out->work_bytes, (uint64_t)count * 4);
    pass->work_values =
        room_take(&out->work_bytes, (uint64_t)rows_max * table->cpu.image->entry_bytes);
    code = ocl_log_plan(table, appends, pass, &out->places_count);
    if (code != CST_OK) return code;
    pass->log_places = part_put(out, queue->places, out->places_count * sizeof *queue->places);
    code = ocl_memory_reach(queue, &queue->input, out->input_bytes, false);
    return code == CST_OK ? ocl_memory_reach(queue, &queue->work, out->work_bytes, false) : code;
}

static void records_copy(const ocl_piece *piece, uint8_t *input) {
    const uint32_t bytes = piece->pass.entry_words * 8;

    for (uint32_t r = 0; r < piece->to; r++) {
        csti_record head;

        memcpy(&head, piece->records[r], sizeof head);
        memcpy(input + piece->pass.keys + (size_t)r * bytes, piece->records[r], bytes);
        input[piece->pass.row_ops + r] =
            head.value_flags & CSTI_RECORD_TOMBSTONE ? CST_ROW_DELETE : CST_ROW_UPSERT;
    }
}

cst_code ocl_piece_send(ocl_queue *queue, const ocl_piece *piece) {
    const ocl_calls *cl = &queue->device->cl;
    cl_int error = CL_SUCCESS;
    cl_event event = NULL;
    uint8_t *input;

    if (ocl_finish(queue) != CST_OK) return CST_DEVICE_LOST;
    input = cl->EnqueueMapBuffer(queue->commands, queue->input.mem, CL_TRUE,
                                 CL_MAP_WRITE_INVALIDATE_REGION, 0, piece->input_bytes, 0, NULL,
                                 NULL, &error);
    if (!ocl_went(queue, "clEnqueueMapBuffer", error)) return CST_DEVICE_LOST;
    memcpy(input, &piece->pass, sizeof piece->pass);
    for (uint32_t p = 0; p < piece->parts_count; p++)
        if (piece->parts[p].from && piece->parts[p].bytes)
            memcpy(input + piece->parts[p].at, piece->parts[p].from, piece->parts[p].bytes);
    if (piece->records) records_copy(piece, input);
    error = cl->EnqueueUnmapMemObject(queue->commands, queue->input.mem, input, 0, NULL, &event);
    if (!ocl_went(queue, "clEnqueueUnmapMemObject", error)) return CST_DEVICE_LOST;
    ocl_chain_put(queue, event, OCL_WRITES);
    queue->base.traffic.to_device_bytes += piece->input_bytes;
    return CST_OK;
}
