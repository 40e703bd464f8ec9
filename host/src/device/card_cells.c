// card_cells.c: keys of columns of any type by the circuit: rows into cells, keys and hashes back.
//
//   a row    [ a byte a column | cell | cell | cell ]   the byte: bytes of its value; 255: null
//            [ cell | cell | cell | cell ] ...          16 bytes of a value, or its last ones
//   result   code, 0, key bytes, 0, row, hash, key      in a beat keys of up to 48 bytes, in two
//   any
//
// All rows of a piece take as many beats, those of the longest. What the circuit refuses, since its
// key has more bytes or its row more cells, the processor encodes.
#include "codec/batch_read.h"
#include "codec/types.h"
#include "device/card_internal.h"

#include <assert.h>

enum {
    CELL_BYTES = 16,
    CELL_NULL = 255,
    CELLS_A_BEAT = CARD_BEAT_BYTES / CELL_BYTES,
    ROW_BEATS_MAX = 8,
};

// Rows of a command that go to the card at once.
typedef struct cells_piece {
    const cst_command *command;
    uint32_t from, to;
    uint32_t beats; // of a row
    bool is_long;   // two beats a result
} cells_piece;

// What a row needs: cells, and its key's bytes without and with every byte escaped.
typedef struct cells_need {
    uint32_t cells, least, most;
} cells_need;

// The value's first byte; NULL: it has none, and the buffer may be NULL.
static const uint8_t *value_of(const cst_batch *batch, uint32_t c, uint32_t row,
                               uint32_t *bytes_out) {
    const cst_column_data *data = &batch->columns[c];
    const uint32_t width = cst_column_value_bytes(&batch->schema->columns[c]);
    const size_t from = width ? (size_t)row * width : csti_offset_at(&data->offsets, row);

    *bytes_out = width ? width : csti_offset_at(&data->offsets, row + 1) - (uint32_t)from;
    return *bytes_out ? (const uint8_t *)data->values.data + from : NULL;
}

static uint32_t cells_of(uint32_t bytes) {
    return bytes == 0 ? 1 : (bytes + CELL_BYTES - 1) / CELL_BYTES;
}

static cells_need row_measure(const cst_batch *batch, uint32_t row) {
    cells_need need = {0};

    for (uint32_t c = 0; c < batch->schema->columns_count; c++) {
        const cst_column *column = &batch->schema->columns[c];
        const bool is_variable = cst_column_value_bytes(column) == 0;
        uint32_t bytes = 0;

        need.least += column->nullable ? CSTI_KEY_MARKER_BYTES : 0;
        need.most += column->nullable ? CSTI_KEY_MARKER_BYTES : 0;
        if (csti_row_is_valid(&batch->columns[c].validity, row)) {
            (void)value_of(batch, c, row, &bytes);
            need.least += bytes + (is_variable ? CSTI_KEY_END_BYTES : 0);
            need.most += is_variable ? 2 * bytes + CSTI_KEY_END_BYTES : bytes;
        }
        need.cells += cells_of(bytes);
    }
    return need;
}

static uint32_t rows_at_once(uint32_t beats, bool is_long) {
    const uint32_t rows = CARD_CELLS_BEATS / beats, results = CARD_CELLS_RESULTS >> is_long;

    return rows < results ? rows : results;
}

// From row `from` on, as many as go at once. Rows that are the processor's in any case have the
// place that the others need.
static cells_piece piece_at(const cst_command *command, uint32_t from) {
    cells_piece piece = {.command = command, .from = from, .to = from, .beats = 1};

    while (piece.to < command->rows.rows_count) {
        const cells_need need = row_measure(command->batch, piece.to);
        const uint32_t needed = need.cells / CELLS_A_BEAT + 1; // with a cell for the head
        const bool is_processors = need.least > CARD_LONG_KEY_BYTES;
        const uint32_t beats = !is_processors && needed > piece.beats ? needed : piece.beats;
        const bool is_long = piece.is_long || (!is_processors && need.most > CARD_RESULT_KEY_BYTES);

        if (piece.to - from == rows_at_once(beats, is_long)) break;
        assert(beats <= ROW_BEATS_MAX); // 20 cells hold any key of 64 bytes
        piece.beats = beats;
        piece.is_long = is_long;
        piece.to++;
    }
    return piece;
}

// As much of the row as its beats hold. A value's count ends at 254: its key is too long then.
static void row_pack(const cst_batch *batch, uint32_t row, uint32_t beats, uint8_t *at) {
    const size_t row_bytes = (size_t)beats * CARD_BEAT_BYTES;
    size_t used = CELL_BYTES;

    memset(at, 0, CELL_BYTES);
    for (uint32_t c = 0; c < batch->schema->columns_count; c++) {
        const size_t left = row_bytes - used;
        uint32_t bytes = 0;

        if (!csti_row_is_valid(&batch->columns[c].validity, row)) {
            at[c] = CELL_NULL;
        } else {
            const uint8_t *value = value_of(batch, c, row, &bytes);

            at[c] = bytes < CELL_NULL ? (uint8_t)bytes : CELL_NULL - 1;
            if (value && left > 0) memcpy(at + used, value, bytes < left ? bytes : left);
        }
        used += (size_t)cells_of(bytes) * CELL_BYTES;
        if (used > row_bytes) used = row_bytes;
    }
}

static card_descriptor piece_pack(const card_queue *queue, const cells_piece *piece) {
    uint8_t *rows = card_batch_at(queue, CARD_ROWS_AT);

    for (uint32_t row = piece->from; row < piece->to; row++)
        row_pack(piece->command->batch, row, piece->beats,
                 rows + (size_t)(row - piece->from) * piece->beats * CARD_BEAT_BYTES);
    return (card_descriptor){
        .op = CARD_OP_KEYS,
        .flags = (uint8_t)(CARD_FLAG_CELLS | CARD_FLAG_ENCODE | CARD_FLAG_HASH |
                           (piece->is_long ? CARD_FLAG_LONG : 0)),
        .count = piece->to - piece->from,
        .row = piece->from,
        .address = CARD_ROWS_AT,
        .results = CARD_RESULTS_AT,
        .at = piece->beats,
    };
}

// ---- Keys and hashes back -----------------------------------------------------------------------

static const uint8_t *result_of(const cells_piece *piece, const uint8_t *results, uint32_t row,
                                card_result *out) {
    const uint8_t *at = results + ((size_t)(row - piece->from) * CARD_BEAT_BYTES << piece->is_long);

    memcpy(out, at, sizeof *out);
    return at + offsetof(card_result, key);
}

// A key's place follows from the one before. CST_DEVICE_LOST: the circuit says what cannot be.
static cst_code key_take(const cells_piece *piece, uint32_t row, const card_result *result,
                         const uint8_t *key) {
    const cst_command *command = piece->command;
    cst_keys *keys = command->keys_out;
    const size_t at = keys->stride ? (size_t)row * keys->stride : keys->offsets[row];
    const size_t most = piece->is_long ? CARD_LONG_KEY_BYTES : CARD_RESULT_KEY_BYTES;

    if (result->key_bytes > most || at + result->key_bytes > keys->bytes_capacity)
        return CST_DEVICE_LOST;
    memcpy(keys->bytes + at, key, result->key_bytes);
    if (!keys->stride) keys->offsets[row + 1] = (uint32_t)at + result->key_bytes;
    if (command->hashes_out) command->hashes_out[row] = result->hash;
    return CST_OK;
}

static cst_code rows_encode(card_queue *queue, const cst_command *command, uint32_t from,
                            uint32_t to) {
    cst_command rows = *command;
    cst_completion done = {0};

    rows.rows.first_row = from;
    rows.rows.rows_count = to;
    return csti_cpu_command(&queue->executor, &rows, &done);
}

static cst_code piece_take(card_queue *queue, const cells_piece *piece) {
    const uint8_t *results = queue->results_at;
    cst_code code = CST_OK;

    for (uint32_t row = piece->from; row < piece->to && code == CST_OK; row++) {
        const uint32_t first = row;
        card_result result;
        const uint8_t *key = result_of(piece, results, row, &result);

        if (result.code == CST_OK) {
            code = key_take(piece, row, &result, key);
            continue;
        }
        while (row + 1 < piece->to) {
            (void)result_of(piece, results, row + 1, &result);
            if (result.code == CST_OK) break;
            row++;
        }
        code = rows_encode(queue, piece->command, first, row + 1);
    }
    return code;
}

// ---- The command --------------------------------------------------------------------------------

// No key of the schema is too long in any case, and the caller's place suffices for the bytes that
// the processor would ask for: else it says what there is to say.
bool card_cells_fit(const cst_command *command) {
    const cst_keys *keys = command->keys_out;
    const uint32_t first = command->rows.first_row & ~7u;
    const cst_schema *schema;
    uint32_t least = 0;
    size_t used;

    if (!(command->ops & CST_OP_ENCODE)) return false;
    schema = command->batch->schema;
    for (uint32_t c = 0; c < schema->columns_count; c++) {
        const uint32_t width = cst_column_value_bytes(&schema->columns[c]);

        if (width > CARD_LONG_KEY_BYTES) return false;
        least += schema->columns[c].nullable ? CSTI_KEY_MARKER_BYTES
                 : width                     ? width
                                             : CSTI_KEY_END_BYTES;
    }
    if (least > CARD_LONG_KEY_BYTES) return false;
    used = (size_t)first * cst_schema_key_bytes(schema);
    if (used == 0 && first > 0) used = keys->offsets[first];
    used += cst_keys_bytes_bound(command->batch);
    return used <= keys->bytes_capacity && used <= UINT32_MAX;
}

cst_code card_cells_run(card_queue *queue, const cst_command *command, cst_completion *out) {
    const cst_schema *schema = command->batch->schema;
    cst_keys *keys = command->keys_out;
    cst_code code =
        card_run_load_keys(queue, schema,
                           command->table ? &command->table->options.hash_key : &command->hash_key);

    out->rows_done = command->rows.first_row & ~7u;
    keys->stride = cst_schema_key_bytes(schema);
    if (!keys->stride && out->rows_done == 0) keys->offsets[0] = 0;
    while (code == CST_OK && out->rows_done < command->rows.rows_count) {
        const cells_piece piece = piece_at(command, out->rows_done);
        const card_descriptor rows = piece_pack(queue, &piece);
        card_completion done;

        code = card_run(queue, &rows, &done);
        if (code != CST_OK) queue->keys_loaded = false; // the card has stopped: it is loaded again
        // Of a row: each has its own. Stopped, the card goes on with keys.
        if (code == CST_KEY_TOO_LONG || code == CST_BATCH) code = CST_OK;
        if (code == CST_OK) code = piece_take(queue, &piece);
        if (code == CST_OK) out->rows_done = piece.to;
    }
    return code;
}
