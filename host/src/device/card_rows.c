// card_rows.c: rows of a batch into those of the ring, and what comes back of them.
#include "codec/batch_read.h"
#include "device/card_internal.h"
#include "table/program.h"

#include <assert.h>

// Rows of a command go to the card in pieces of CARD_ROWS_MAX.
typedef struct card_piece {
    const cst_command *command;
    const card_table *table; // NULL: keys alone
    bool encode;
    uint32_t from, to;
    uint8_t flags; // of its command to the card: the form of its rows is in them
    uint64_t at;   // of the batch channel: its rows
} card_piece;

bool card_schema_fits(const cst_schema *schema) {
    for (uint32_t c = 0; c < schema->columns_count; c++)
        if (cst_column_value_bytes(&schema->columns[c]) == 0) return false;
    return cst_schema_key_bytes_max(schema) <= CARD_KEY_BYTES_MAX;
}

bool card_keys_fit(const cst_command *command) {
    if (command->ops & CST_OP_ENCODE)
        return card_schema_fits(command->batch->schema) &&
               cst_schema_key_bytes(command->batch->schema) > 0;
    return !command->rows.key_offsets && command->rows.key_bytes <= CARD_KEY_BYTES_MAX;
}

// ---- Pieces -------------------------------------------------------------------------------------

// Bytes of a key as its row has it: columns one behind the other, or encoded.
static uint32_t key_bytes_of(const cst_command *command, bool encode) {
    uint32_t bytes = 0;

    if (!encode)
        return command->table ? command->table->options.key_bytes : command->rows.key_bytes;
    for (uint32_t c = 0; c < command->batch->schema->columns_count; c++)
        bytes += cst_column_value_bytes(&command->batch->schema->columns[c]);
    return bytes;
}

// The smallest form that holds the rows: half a beat, if the circuit hashes; one; or two.
static uint8_t form_of(const card_table *table, const cst_command *command, bool encode) {
    const uint32_t words = table ? table->words_count : 0;
    const bool is_long = key_bytes_of(command, encode) > CARD_COMPACT_KEY_BYTES;
    const uint32_t fit = CARD_COMPACT_WORDS - is_long;
    const bool hashes = (command->ops & CST_OP_HASH) || !table;

    if (words > CARD_NARROW_LANES) return CARD_FLAG_WIDE;
    if (!hashes || words > fit) return 0;
    return (uint8_t)(CARD_FLAG_COMPACT | (is_long ? CARD_FLAG_LONG : 0));
}

// From row `from` on, as many as go at once, for the ring's next place.
static card_piece piece_at(const card_queue *queue, const card_table *table,
                           const cst_command *command, bool encode, uint32_t from) {
    const uint32_t left = command->rows.rows_count - from;
    const uint32_t slot = table ? queue->number & (CARD_RING - 1) : 0;
    const uint32_t most = table ? queue->piece_rows : CARD_KEYS_MAX;

    return (card_piece){.command = command,
                        .table = table,
                        .encode = encode,
                        .from = from,
                        .to = from + (left < most ? left : most),
                        .flags = (uint8_t)(form_of(table, command, encode) |
                                           (encode ? CARD_FLAG_ENCODE : 0) |
                                           (command->ops & CST_OP_HASH ? CARD_FLAG_HASH : 0)),
                        .at = CARD_ROWS_AT + (uint64_t)slot * CARD_ROWS_BYTES};
}

static card_descriptor piece_pack(const card_queue *queue, const card_piece *piece) {
    uint8_t *rows = card_batch_at(queue, piece->at);
    card_descriptor command = {
        .op = piece->table ? CARD_OP_ROWS : CARD_OP_KEYS,
        .flags = piece->flags,
        .count = piece->to - piece->from,
        .row = piece->from,
        .address = piece->at,
        .now = piece->table ? (uint64_t)piece->command->rows.now_us : 0,
    };

    if (!piece->table || (piece->command->ops & CST_OP_LOOKUP)) command.results = CARD_RESULTS_AT;
    card_rows_pack(piece->table, piece->command, piece->flags, piece->from, piece->to, rows);
    return command;
}

// ---- APPLY, LOOKUP ------------------------------------------------------------------------------

static void lookups_unpack(const card_piece *piece, const uint8_t *results, cst_completion *out) {
    const cst_command *command = piece->command;
    const uint32_t value_bytes = piece->table->cpu.base.options.program.value_bytes;

    for (uint32_t row = piece->from; row < piece->to; row++) {
        const uint8_t *at = results + (size_t)(row - piece->from) * 2 * CARD_BEAT_BYTES;
        card_result result;

        memcpy(&result, at, sizeof result);
        command->found_out[row] = result.found;
        out->count += result.found;
        if (result.found && value_bytes > 0)
            memcpy(command->values_out + (size_t)row * command->values_stride, at + CARD_BEAT_BYTES,
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

// The caller's, or made as the circuit made it.
uint64_t card_row_hash(const card_queue *queue, const cst_command *command, uint32_t row) {
    const cst_rows *rows = &command->rows;
    uint8_t encoded[4 * CARD_KEY_BYTES_MAX];
    const uint8_t *key = encoded;
    uint32_t bytes;

    if (!(command->ops & CST_OP_HASH)) return rows->hashes[row];
    if (command->ops & CST_OP_ENCODE) {
        bytes = row_encode(command->batch, row, encoded, sizeof encoded);
    } else {
        key = card_row_key(rows, row, &bytes);
    }
    return cst_hash(&queue->table->cpu.base.options.hash_key, key, bytes);
}

uint32_t card_rows_put(card_queue *queue, const cst_command *command, uint32_t from) {
    const card_table *table = (const card_table *)command->table;
    const card_piece piece = piece_at(queue, table, command, command->ops & CST_OP_ENCODE, from);
    const card_descriptor rows = piece_pack(queue, &piece);

    (void)card_run_put(queue, &rows);
    return piece.to;
}

cst_code card_rows_run(card_queue *queue, card_table *table, const cst_command *command,
                       bool encode, cst_completion *out) {
    const cst_program *program = &table->cpu.base.options.program;
    cst_code code = CST_OK;

    out->rows_done = command->rows.first_row;
    if (!csti_command_fits(command, program)) return CST_USAGE;
    while (code == CST_OK && out->rows_done < command->rows.rows_count) {
        card_completion done;
        card_descriptor rows;

        code = card_run_load(queue, table);
        if (code != CST_OK) return code;
        const card_piece piece = piece_at(queue, table, command, encode, out->rows_done);

        rows = piece_pack(queue, &piece);
        code = card_run(queue, &rows, &done);
        if (code == CST_DEVICE_LOST) return code;
        if (card_image_take(table, &done) != CST_OK) return CST_DEVICE_LOST;
        table->loaded = code == CST_OK; // a stopped unit goes on when it is loaded
        out->rows_done = code == CST_OK ? piece.to : done.row;
        card_pace(queue, code);
        if (code == CST_TABLE_FULL) out->hash = card_row_hash(queue, command, done.row);
        if (code == CST_OK && (command->ops & CST_OP_LOOKUP))
            lookups_unpack(&piece, queue->results_at, out);
    }
    return code;
}

// ---- Keys and hashes alone ----------------------------------------------------------------------

static cst_code keys_unpack(const card_piece *piece, const uint8_t *results) {
    const cst_command *command = piece->command;
    const bool encodes = command->ops & CST_OP_ENCODE;
    cst_keys *keys = command->keys_out;

    for (uint32_t row = piece->from; row < piece->to; row++) {
        card_result result;

        memcpy(&result, results + (size_t)(row - piece->from) * CARD_COMPACT_RESULT_BYTES,
               CARD_COMPACT_RESULT_BYTES);
        if (command->hashes_out) command->hashes_out[row] = result.hash;
        if (!encodes || !keys) continue;
        if ((size_t)(row + 1) * result.key_bytes > keys->bytes_capacity) return CST_LIMIT;
        memcpy(keys->bytes + (size_t)row * result.key_bytes, result.key, result.key_bytes);
    }
    return CST_OK;
}

cst_code card_keys_run(card_queue *queue, const cst_command *command, cst_completion *out) {
    const bool encodes = command->ops & CST_OP_ENCODE;
    const cst_schema *schema = encodes ? command->batch->schema : NULL;
    cst_code code =
        card_run_load_keys(queue, schema,
                           command->table ? &command->table->options.hash_key : &command->hash_key);

    out->rows_done = command->rows.first_row & ~7u;
    if (encodes && command->keys_out) command->keys_out->stride = cst_schema_key_bytes(schema);
    while (code == CST_OK && out->rows_done < command->rows.rows_count) {
        const card_piece piece = piece_at(queue, NULL, command, encodes, out->rows_done);
        card_completion done;
        card_descriptor rows;

        rows = piece_pack(queue, &piece);
        code = card_run(queue, &rows, &done);
        if (code != CST_OK) queue->keys_loaded = false; // the card has stopped: it is loaded again
        if (code == CST_OK) code = keys_unpack(&piece, queue->results_at);
        if (code == CST_OK) out->rows_done = piece.to;
    }
    return code;
}
