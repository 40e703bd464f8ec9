#include "codec/batch_read.h"
#include "device/sim_internal.h"
#include "table/program.h"

#include <assert.h>

// Rows of a command go to the card in pieces of SIM_ROWS_MAX.
typedef struct sim_piece {
    const cst_command *command;
    const sim_table *table; // NULL: keys alone
    bool encode;
    uint32_t from, to;
    uint8_t *out; // records
} sim_piece;

bool sim_schema_fits(const cst_schema *schema) {
    for (uint32_t c = 0; c < schema->columns_count; c++)
        if (cst_column_value_bytes(&schema->columns[c]) == 0) return false;
    return cst_schema_key_bytes_max(schema) <= SIM_KEY_BYTES_MAX;
}

bool sim_keys_fit(const cst_command *command) {
    if (command->ops & CST_OP_ENCODE)
        return sim_schema_fits(command->batch->schema) &&
               cst_schema_key_bytes(command->batch->schema) > 0;
    return !command->rows.key_offsets && command->rows.key_bytes <= SIM_KEY_BYTES_MAX;
}

// ---- Rows into records --------------------------------------------------------------------------

static void columns_pack(const cst_batch *batch, uint32_t row, sim_row *out) {
    uint32_t at = 0;

    for (uint32_t c = 0; c < batch->schema->columns_count; c++) {
        const cst_column_data *data = &batch->columns[c];
        const uint32_t bytes = cst_column_value_bytes(&batch->schema->columns[c]);

        if (!csti_row_is_valid(&data->validity, row))
            out->key_nulls |= (uint16_t)(1u << c);
        else
            memcpy(out->key + at, (const uint8_t *)data->values.data + (size_t)row * bytes, bytes);
        at += bytes;
    }
}

static void key_pack(const cst_rows *rows, uint32_t row, sim_row *out) {
    const uint8_t *key = rows->keys;
    uint32_t bytes = rows->key_bytes;

    if (rows->key_offsets) {
        key += rows->key_offsets[row];
        bytes = rows->key_offsets[row + 1] - rows->key_offsets[row];
    } else if (key) {
        key += (size_t)row * rows->key_stride;
    }
    out->key_bytes = (uint8_t)(bytes < UINT8_MAX ? bytes : UINT8_MAX);
    if (key && bytes > 0)
        memcpy(out->key, key, bytes < SIM_KEY_BYTES_MAX ? bytes : SIM_KEY_BYTES_MAX);
}

static void operands_pack(const cst_program *program, const cst_rows *rows, uint32_t row,
                          uint8_t *nulls, uint64_t *operands) {
    if (program->accumulators_count == 0) {
        memcpy(operands, rows->values + (size_t)row * rows->value_stride, program->value_bytes);
        return;
    }
    for (uint32_t i = 0; i < program->accumulators_count; i++) {
        const cst_accumulator *accumulator = &program->accumulators[i];
        const uint32_t lane = accumulator->value_offset / 8u;

        if (accumulator->source == CST_NO_COLUMN) continue;
        if (!csti_program_operand(accumulator, &rows->sources[accumulator->source], row,
                                  &operands[lane]))
            *nulls |= (uint8_t)(1u << lane);
    }
}

static void row_pack(const sim_piece *piece, uint32_t row, uint8_t *at) {
    const cst_rows *rows = &piece->command->rows;
    uint64_t operands[SIM_LANES] = {0};
    sim_row record = {.kind = SIM_KIND_UPSERT};

    if (piece->encode)
        columns_pack(piece->command->batch, row, &record);
    else
        key_pack(rows, row, &record);
    if (piece->table) {
        if (piece->command->ops & CST_OP_LOOKUP)
            record.kind = SIM_KIND_LOOKUP;
        else if (rows->ops && rows->ops[row] == CST_ROW_DELETE)
            record.kind = SIM_KIND_DELETE;
        if (!(piece->command->ops & CST_OP_HASH)) record.hash = rows->hashes[row];
        if (record.kind == SIM_KIND_UPSERT)
            operands_pack(&piece->table->cpu.base.options.program, rows, row, &record.nulls,
                          operands);
    }
    memcpy(record.operands, operands, sizeof record.operands);
    memcpy(at, &record, sizeof record);
    if (!piece->table || !piece->table->wide) return;
    memset(at + SIM_BEAT_BYTES, 0, SIM_BEAT_BYTES);
    memcpy(at + SIM_BEAT_BYTES, operands + SIM_NARROW_LANES, sizeof record.operands);
}

// From row `from` on, as many as go at once.
static sim_piece piece_at(const sim_queue *queue, const sim_table *table,
                          const cst_command *command, bool encode, uint32_t from) {
    const uint32_t left = command->rows.rows_count - from;

    return (sim_piece){.command = command,
                       .table = table,
                       .encode = encode,
                       .from = from,
                       .to = from + (left < SIM_ROWS_MAX ? left : SIM_ROWS_MAX),
                       .out = queue->ops->memory(queue->card) + SIM_ROWS_AT};
}

static sim_descriptor piece_pack(const sim_piece *piece) {
    const bool wide = piece->table && piece->table->wide;
    const size_t stride = wide ? 2 * SIM_BEAT_BYTES : SIM_BEAT_BYTES;
    sim_descriptor command = {
        .op = piece->table ? SIM_OP_ROWS : SIM_OP_KEYS,
        .flags = (uint8_t)((piece->encode ? SIM_FLAG_ENCODE : 0) |
                           (piece->command->ops & CST_OP_HASH ? SIM_FLAG_HASH : 0) |
                           (wide ? SIM_FLAG_WIDE : 0)),
        .count = piece->to - piece->from,
        .row = piece->from,
        .address = SIM_ROWS_AT,
        .now = piece->table ? (uint64_t)piece->command->rows.now_us : 0,
    };

    if (!piece->table || (piece->command->ops & CST_OP_LOOKUP)) command.results = SIM_RESULTS_AT;
    for (uint32_t row = piece->from; row < piece->to; row++)
        row_pack(piece, row, piece->out + (row - piece->from) * stride);
    return command;
}

// ---- APPLY, LOOKUP ------------------------------------------------------------------------------

static void lookups_unpack(const sim_piece *piece, const uint8_t *results, cst_completion *out) {
    const cst_command *command = piece->command;
    const uint32_t value_bytes = piece->table->cpu.base.options.program.value_bytes;

    for (uint32_t row = piece->from; row < piece->to; row++) {
        const uint8_t *at = results + (size_t)(row - piece->from) * 2 * SIM_BEAT_BYTES;
        sim_result result;

        memcpy(&result, at, sizeof result);
        command->found_out[row] = result.found;
        out->count += result.found;
        if (result.found && value_bytes > 0)
            memcpy(command->values_out + (size_t)row * command->values_stride, at + SIM_BEAT_BYTES,
                   value_bytes);
    }
}

// The row's key as the processor encodes it: of a batch of that row alone.
static uint32_t row_encode(const cst_batch *batch, uint32_t row, uint8_t *key, size_t capacity) {
    static const uint8_t present[2] = {0, 1};
    cst_column_data columns[CST_COLUMNS_MAX] = {0};
    uint32_t offsets[2] = {0};
    cst_keys keys = {.bytes = key, .bytes_capacity = capacity, .offsets = offsets};

    for (uint32_t c = 0; c < batch->schema->columns_count; c++) {
        const uint32_t bytes = cst_column_value_bytes(&batch->schema->columns[c]);
        const cst_buffer *validity = &batch->columns[c].validity;
        const bool there = csti_row_is_valid(validity, row);

        columns[c].values =
            (cst_buffer){(const uint8_t *)batch->columns[c].values.data + (size_t)row * bytes,
                         bytes};
        if (validity->bytes > 0) columns[c].validity = (cst_buffer){&present[there], 1};
    }
    const cst_batch one = {.schema = batch->schema, .rows_count = 1, .columns = columns};

    if (cst_keys_encode(&one, &keys) != CST_OK) return 0;
    return keys.stride ? keys.stride : offsets[1];
}

// The hash that GROW wants: the caller's, or made as the circuit made it.
static uint64_t row_hash(const sim_table *table, const sim_piece *piece, uint32_t row) {
    const cst_rows *rows = &piece->command->rows;
    uint8_t key[4 * SIM_KEY_BYTES_MAX];
    sim_row record = {0};
    uint32_t bytes;

    if (!(piece->command->ops & CST_OP_HASH)) return rows->hashes[row];
    if (piece->encode) {
        bytes = row_encode(piece->command->batch, row, key, sizeof key);
    } else {
        key_pack(rows, row, &record);
        memcpy(key, record.key, sizeof record.key);
        bytes = record.key_bytes;
    }
    return cst_hash(&table->cpu.base.options.hash_key, key, bytes);
}

cst_code sim_rows_run(sim_queue *queue, sim_table *table, const cst_command *command, bool encode,
                      cst_completion *out) {
    const cst_program *program = &table->cpu.base.options.program;
    const uint8_t *memory = queue->ops->memory(queue->card);
    cst_code code = CST_OK;

    out->rows_done = command->rows.first_row;
    if ((command->ops & CST_OP_APPLY) && program->accumulators_count > 0 &&
        !csti_program_takes(program, &command->rows))
        return CST_USAGE;
    while (code == CST_OK && out->rows_done < command->rows.rows_count) {
        const sim_piece piece = piece_at(queue, table, command, encode, out->rows_done);
        sim_completion done;
        sim_descriptor rows;

        code = sim_run_load(queue, table);
        if (code != CST_OK) return code;
        rows = piece_pack(&piece);
        code = sim_run(queue, &rows, &done);
        if (code == CST_DEVICE_LOST) return code;
        if (sim_image_take(table, &done) != CST_OK) return CST_DEVICE_LOST;
        table->loaded = code == CST_OK; // a stopped unit goes on when it is loaded
        out->rows_done = code == CST_OK ? piece.to : done.row;
        if (code == CST_TABLE_FULL) out->hash = row_hash(table, &piece, done.row);
        if (code == CST_OK && (command->ops & CST_OP_LOOKUP))
            lookups_unpack(&piece, memory + SIM_RESULTS_AT, out);
    }
    return code;
}

// ---- Keys and hashes alone ----------------------------------------------------------------------

static cst_code keys_unpack(const sim_piece *piece, const uint8_t *results) {
    const cst_command *command = piece->command;
    const bool encodes = command->ops & CST_OP_ENCODE;
    cst_keys *keys = command->keys_out;

    for (uint32_t row = piece->from; row < piece->to; row++) {
        sim_result result;

        memcpy(&result, results + (size_t)(row - piece->from) * SIM_BEAT_BYTES, sizeof result);
        if (command->hashes_out) command->hashes_out[row] = result.hash;
        if (!encodes || !keys) continue;
        if ((size_t)(row + 1) * result.key_bytes > keys->bytes_capacity) return CST_LIMIT;
        memcpy(keys->bytes + (size_t)row * result.key_bytes, result.key, result.key_bytes);
    }
    return CST_OK;
}

cst_code sim_keys_run(sim_queue *queue, const cst_command *command, cst_completion *out) {
    const bool encodes = command->ops & CST_OP_ENCODE;
    const cst_schema *schema = encodes ? command->batch->schema : NULL;
    const uint8_t *memory = queue->ops->memory(queue->card);
    cst_code code =
        sim_run_load_keys(queue, schema,
                          command->table ? &command->table->options.hash_key : &command->hash_key);

    out->rows_done = command->rows.first_row & ~7u;
    if (encodes && command->keys_out) command->keys_out->stride = cst_schema_key_bytes(schema);
    while (code == CST_OK && out->rows_done < command->rows.rows_count) {
        const sim_piece piece = piece_at(queue, NULL, command, encodes, out->rows_done);
        sim_completion done;
        sim_descriptor rows;

        rows = piece_pack(&piece);
        code = sim_run(queue, &rows, &done);
        if (code == CST_OK) code = keys_unpack(&piece, memory + SIM_RESULTS_AT);
        if (code == CST_OK) out->rows_done = piece.to;
    }
    return code;
}
