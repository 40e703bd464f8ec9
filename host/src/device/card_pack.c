// card_pack.c: rows into the records that the card reads: a column at a time, over as many rows as
// the processor's nearest memory holds.
//
//   byte       0     1          2      4          8      16              32          64
//   row        kind  key bytes  nulls  key nulls  hash   key             words 0-3   words 4-7
//   half beat  kind  key bytes  nulls  key nulls  key    word 0  word 1
//   long half  kind  key bytes  nulls  key nulls  key    word 0  key's end
//
// What is not written is 0.
#include "codec/batch_read.h"
#include "device/card_internal.h"
#include "table/program.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

enum { CHUNK_ROWS = 256 };

// The next rows of a command, and where they go.
typedef struct chunk {
    const card_table *table; // NULL: keys alone
    const cst_command *command;
    uint8_t flags;
    size_t stride;
    uint32_t from, count;
    uint8_t *out;
} chunk;

static bool is_compact(const chunk *c) {
    return c->flags & CARD_FLAG_COMPACT;
}

static bool is_upsert(const chunk *c, uint32_t r) {
    const uint8_t *ops = c->command->rows.ops;

    return !ops || ops[c->from + r] != CST_ROW_DELETE;
}

size_t card_row_bytes(uint8_t flags) {
    if (flags & CARD_FLAG_COMPACT) return CARD_BEAT_BYTES / 2;
    return flags & CARD_FLAG_WIDE ? 2 * CARD_BEAT_BYTES : CARD_BEAT_BYTES;
}

const uint8_t *card_row_key(const cst_rows *rows, uint32_t row, uint32_t *bytes_out) {
    *bytes_out = rows->key_bytes;
    if (!rows->key_offsets) return rows->keys ? rows->keys + (size_t)row * rows->key_stride : NULL;
    *bytes_out = rows->key_offsets[row + 1] - rows->key_offsets[row];
    return rows->keys + rows->key_offsets[row];
}

// ---- A column of values, each to its row --------------------------------------------------------

static inline __attribute__((always_inline)) void
copy_each(const chunk *c, size_t at, const uint8_t *from, size_t from_stride, size_t bytes) {
    for (uint32_t r = 0; r < c->count; r++)
        memcpy(c->out + r * c->stride + at, from + r * from_stride, bytes);
}

// Widths that a processor moves at once are known to the compiler.
static void copy_column(const chunk *c, size_t at, const uint8_t *from, size_t from_stride,
                        size_t bytes) {
    switch (bytes) {
    case 4:
        copy_each(c, at, from, from_stride, 4);
        break;
    case 8:
        copy_each(c, at, from, from_stride, 8);
        break;
    case 16:
        copy_each(c, at, from, from_stride, 16);
        break;
    default:
        copy_each(c, at, from, from_stride, bytes);
        break;
    }
}

static size_t key_at(const chunk *c) {
    return is_compact(c) ? offsetof(card_compact, key) : offsetof(card_row, key);
}

// Values of a batch's columns, one behind the other.
static void key_columns_put(const chunk *c) {
    const cst_batch *batch = c->command->batch;
    size_t at = key_at(c);

    for (uint32_t column = 0; column < batch->schema->columns_count; column++) {
        const cst_column_data *data = &batch->columns[column];
        const uint32_t bytes = cst_column_value_bytes(&batch->schema->columns[column]);

        copy_column(c, at, (const uint8_t *)data->values.data + (size_t)c->from * bytes, bytes,
                    bytes);
        for (uint32_t r = 0; data->validity.bytes > 0 && r < c->count; r++) {
            uint8_t *row = c->out + r * c->stride;
            uint16_t nulls;

            if (csti_row_is_valid(&data->validity, c->from + r)) continue;
            memset(row + at, 0, bytes);
            memcpy(&nulls, row + offsetof(card_row, key_nulls), sizeof nulls);
            nulls |= (uint16_t)(1u << column);
            memcpy(row + offsetof(card_row, key_nulls), &nulls, sizeof nulls);
        }
        at += bytes;
    }
}

// Keys that are encoded. Of one that is too long the card is told so, and as much as has room.
static void keys_put(const chunk *c) {
    const cst_rows *rows = &c->command->rows;
    const uint32_t room =
        is_compact(c) && !(c->flags & CARD_FLAG_LONG) ? CARD_COMPACT_KEY_BYTES : CARD_KEY_BYTES_MAX;
    const size_t at = key_at(c);

    for (uint32_t r = 0; r < c->count; r++) {
        uint8_t *row = c->out + r * c->stride;
        uint32_t bytes;
        const uint8_t *key = card_row_key(rows, c->from + r, &bytes);

        row[offsetof(card_row, key_bytes)] = (uint8_t)(bytes < UINT8_MAX ? bytes : UINT8_MAX);
        if (key && bytes > 0) memcpy(row + at, key, bytes < room ? bytes : room);
    }
}

// A long key's end goes behind the word that stands where it was put.
static void key_ends_move(const chunk *c) {
    for (uint32_t r = 0; r < c->count; r++) {
        card_compact *half = (card_compact *)(void *)(c->out + r * c->stride);

        half->words[1] = half->words[0];
        half->words[0] = 0;
    }
}

// ---- Values -------------------------------------------------------------------------------------

static size_t word_at(const chunk *c, uint32_t word) {
    if (is_compact(c)) return offsetof(card_compact, words) + 8 * (size_t)word;
    if (word < CARD_NARROW_LANES) return offsetof(card_row, operands) + 8 * (size_t)word;
    return CARD_BEAT_BYTES + 8 * (size_t)(word - CARD_NARROW_LANES);
}

// Values that replace what is there, of which the fourth word is followed by the next beat.
static void values_put(const chunk *c) {
    const uint32_t bytes = c->table->cpu.base.options.program.value_bytes;
    const uint32_t first = bytes < 8 * CARD_NARROW_LANES ? bytes : 8 * CARD_NARROW_LANES;
    const cst_rows *rows = &c->command->rows;

    for (uint32_t r = 0; r < c->count; r++) {
        const uint8_t *value = rows->values + (size_t)(c->from + r) * rows->value_stride;
        uint8_t *row = c->out + r * c->stride;

        if (!is_upsert(c, r)) continue;
        memcpy(row + word_at(c, 0), value, first);
        if (bytes > first)
            memcpy(row + word_at(c, CARD_NARROW_LANES), value + first, bytes - first);
    }
}

static void operand_put(const chunk *c, const cst_accumulator *accumulator, uint32_t word,
                        uint32_t r) {
    const uint32_t words = csti_program_words(accumulator);
    uint8_t *row = c->out + r * c->stride;
    uint64_t operand[2] = {0};

    if (!csti_program_operand(accumulator, &c->command->rows.sources[accumulator->source],
                              c->from + r, operand))
        row[offsetof(card_row, nulls)] |= (uint8_t)(((1u << words) - 1) << word);
    for (uint32_t w = 0; w < words; w++)
        memcpy(row + word_at(c, word + w), &operand[w], sizeof operand[w]);
}

// Eight bytes that are the word as they stand.
static bool is_plain(const cst_accumulator *accumulator, const cst_source *source) {
    return accumulator->op != CST_COUNT && !source->validity &&
           ((accumulator->number == CST_U64 && source->type == CST_TYPE_U64) ||
            (accumulator->number == CST_I64 && source->type == CST_TYPE_I64));
}

static void words_put(const chunk *c) {
    const cst_program *program = &c->table->cpu.base.options.program;
    const cst_rows *rows = &c->command->rows;

    for (uint32_t word = 0; word < c->table->words_count;) {
        const cst_accumulator *accumulator = &program->accumulators[c->table->packs[word]];

        if (!rows->ops && is_plain(accumulator, &rows->sources[accumulator->source]))
            copy_column(c, word_at(c, word),
                        (const uint8_t *)rows->sources[accumulator->source].values +
                            sizeof(uint64_t) * c->from,
                        sizeof(uint64_t), sizeof(uint64_t));
        else
            for (uint32_t r = 0; r < c->count; r++)
                if (is_upsert(c, r)) operand_put(c, accumulator, word, r);
        word += csti_program_words(accumulator);
        assert(word <= CARD_LANES);
    }
}

// ---- All of it ----------------------------------------------------------------------------------

static void chunk_pack(const chunk *c) {
    const cst_command *command = c->command;
    const bool looks_up = command->ops & CST_OP_LOOKUP;

    memset(c->out, 0, c->count * c->stride);
    if (c->flags & CARD_FLAG_ENCODE)
        key_columns_put(c);
    else
        keys_put(c);
    if (c->flags & CARD_FLAG_LONG) key_ends_move(c);
    if (!c->table) return;
    for (uint32_t r = 0; (looks_up || command->rows.ops) && r < c->count; r++)
        c->out[r * c->stride] = looks_up          ? CARD_KIND_LOOKUP
                                : is_upsert(c, r) ? CARD_KIND_UPSERT
                                                  : CARD_KIND_DELETE;
    if (!(command->ops & CST_OP_HASH)) {
        assert(!is_compact(c));
        copy_column(c, offsetof(card_row, hash), (const uint8_t *)(command->rows.hashes + c->from),
                    sizeof(uint64_t), sizeof(uint64_t));
    }
    if (looks_up) return;
    if (c->table->cpu.base.options.program.accumulators_count == 0)
        values_put(c);
    else
        words_put(c);
}

void card_rows_pack(const card_table *table, const cst_command *command, uint8_t flags,
                    uint32_t from, uint32_t to, uint8_t *out) {
    const size_t stride = card_row_bytes(flags);

    for (uint32_t at = from; at < to; at += CHUNK_ROWS) {
        const uint32_t left = to - at;

        chunk_pack(&(chunk){.table = table,
                            .command = command,
                            .flags = flags,
                            .stride = stride,
                            .from = at,
                            .count = left < CHUNK_ROWS ? left : CHUNK_ROWS,
                            .out = out + (at - from) * stride});
    }
}
