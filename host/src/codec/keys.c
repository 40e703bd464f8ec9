// keys.c: batches to keys. Fixed-width schemas go a column at a time, in blocks that stay in the
// first cache; others a row at a time, since a row's place follows from the one before.
#include <constellation/keys.h>

#include <string.h>

#include "codec/batch_read.h"
#include "codec/dispatch.h"
#include "codec/key_transform.h"
#include "codec/keys_encode.h"

enum { BLOCK_ROWS = 256, BLOCK_VALUE_BYTES = 16 };

size_t cst_keys_bytes_bound(const cst_batch *batch) {
    const size_t rows = batch->rows_count;
    size_t bytes = 0;

    for (uint32_t i = 0; i < batch->schema->columns_count && rows > 0; i++) {
        const cst_column *column = &batch->schema->columns[i];
        const cst_buffer *offsets = &batch->columns[i].offsets;
        if (column->nullable) bytes += rows * CSTI_KEY_MARKER_BYTES;
        if (csti_type_is_variable(column->type))
            bytes +=
                2 * (size_t)(csti_offset_at(offsets, (uint32_t)rows) - csti_offset_at(offsets, 0)) +
                rows * CSTI_KEY_END_BYTES;
        else
            bytes += rows * cst_column_value_bytes(column);
    }
    return bytes;
}

// ---- the scalar set ---------------------------------------------------------------------------

void csti_scalar_key_transform(const csti_key_plan *plan, const uint8_t *values, size_t count,
                               uint8_t *out) {
    for (size_t i = 0; i < count; i++)
        csti_key_put(plan, values + i * plan->width, out + i * plan->width);
}

void csti_scalar_key_pair8(const csti_key_plan *plans, const uint8_t *a, const uint8_t *b,
                           size_t count, uint8_t *out) {
    for (size_t row = 0; row < count; row++) {
        csti_key_put(&plans[0], a + 8 * row, out + 16 * row);
        csti_key_put(&plans[1], b + 8 * row, out + 16 * row + 8);
    }
}

uint8_t *csti_key_escape_some(uint8_t complement, const uint8_t *value, size_t count,
                              uint8_t *key) {
    const uint64_t ones = UINT64_C(0x0101010101010101);
    size_t at = 0;

    while (at < count) {
        uint64_t word;
        if (count - at >= sizeof word) {
            memcpy(&word, value + at, sizeof word);
            if (((word - ones) & ~word & (ones << 7)) == 0) { // none of the eight bytes is 00
                word ^= ones * complement;
                memcpy(key, &word, sizeof word);
                key += sizeof word;
                at += sizeof word;
                continue;
            }
        }
        *key++ = value[at] ^ complement;
        if (value[at] == CSTI_KEY_ESCAPE) *key++ = CSTI_KEY_ZERO ^ complement;
        at++;
    }
    return key;
}

uint8_t *csti_key_escape_end(uint8_t complement, uint8_t *key) {
    key[0] = CSTI_KEY_ESCAPE ^ complement;
    key[1] = CSTI_KEY_END ^ complement;
    return key + CSTI_KEY_END_BYTES;
}

uint8_t *csti_scalar_key_escape(uint8_t complement, const uint8_t *value, size_t count,
                                size_t readable, uint8_t *key, const uint8_t *key_end) {
    (void)readable;
    (void)key_end;
    key = csti_key_escape_some(complement, value, count, key);
    return csti_key_escape_end(complement, key);
}

// ---- fixed-width schemas ----------------------------------------------------------------------

// Key parts of `width` bytes, back to back, to their places in keys `stride` apart.
static void scatter(const uint8_t *parts, uint32_t width, size_t rows, uint8_t *out,
                    size_t stride) {
    switch (width) {
#define SCATTER(WIDTH)                                                                             \
    case WIDTH:                                                                                    \
        for (size_t row = 0; row < rows; row++)                                                    \
            memcpy(out + row * stride, parts + row * (WIDTH), WIDTH);                              \
        break;
        SCATTER(1)
        SCATTER(2)
        SCATTER(4)
        SCATTER(8)
        SCATTER(16)
#undef SCATTER
    default: // wide binary columns come a row at a time
        for (size_t row = 0; row < rows; row++)
            memcpy(out + row * stride, parts + row * width, width);
    }
}

static void encode_block(const csti_codec *codec, const csti_key_plan *plan, const uint8_t *values,
                         size_t rows, uint8_t *out, size_t stride) {
    uint8_t parts[BLOCK_ROWS * BLOCK_VALUE_BYTES];

    if (plan->width <= BLOCK_VALUE_BYTES) {
        codec->key_transform(plan, values, rows, parts);
        scatter(parts, plan->width, rows, out, stride);
        return;
    }
    for (size_t row = 0; row < rows; row++)
        codec->key_transform(plan, values + row * plan->width, 1, out + row * stride);
}

static void encode_fixed(const csti_codec *codec, const csti_key_plan *plans,
                         const cst_batch *batch, uint8_t *out, size_t stride) {
    const uint32_t columns_count = batch->schema->columns_count;
    const uint8_t *first = batch->columns[0].values.data;
    const size_t rows_count = batch->rows_count;

    if (columns_count == 1) {
        codec->key_transform(&plans[0], first, rows_count, out);
        return;
    }
    if (columns_count == 2 && plans[0].kind == CSTI_KEY_SWAP8 && plans[1].kind == CSTI_KEY_SWAP8) {
        codec->key_pair8(plans, first, batch->columns[1].values.data, rows_count, out);
        return;
    }
    for (size_t row = 0; row < rows_count; row += BLOCK_ROWS) {
        const size_t rows = rows_count - row < BLOCK_ROWS ? rows_count - row : BLOCK_ROWS;
        uint8_t *part = out + row * stride;
        for (uint32_t i = 0; i < columns_count; i++) {
            const uint8_t *values = batch->columns[i].values.data;
            encode_block(codec, &plans[i], values + row * plans[i].width, rows, part, stride);
            part += plans[i].width;
        }
    }
}

// ---- schemas with nulls, strings, binary ------------------------------------------------------

static uint8_t *encode_variable_value(const csti_codec *codec, const csti_key_plan *plan,
                                      const cst_column_data *data, uint32_t row, uint8_t *key,
                                      const uint8_t *key_end) {
    const uint8_t *bytes = data->values.data;
    const uint32_t from = csti_offset_at(&data->offsets, row);
    const uint32_t to = csti_offset_at(&data->offsets, row + 1);

    if (from == to) return csti_key_escape_end(plan->rest, key); // bytes may be NULL
    return codec->key_escape(plan->rest, bytes + from, to - from, data->values.bytes - from, key,
                             key_end);
}

static uint8_t *encode_row(const csti_codec *codec, const csti_key_plan *plans,
                           const cst_batch *batch, uint32_t row, uint8_t *key,
                           const uint8_t *key_end) {
    for (uint32_t i = 0; i < batch->schema->columns_count; i++) {
        const csti_key_plan *plan = &plans[i];
        const cst_column_data *data = &batch->columns[i];
        const bool is_valid = !plan->nullable || csti_row_is_valid(&data->validity, row);
        *key = is_valid ? CSTI_KEY_VALUE : plan->null_marker;
        key += plan->nullable ? CSTI_KEY_MARKER_BYTES : 0;
        if (plan->kind != CSTI_KEY_VARIABLE) {
            // A null's value is written too, and then written over: cheaper than a branch, and
            // there is room, since the capacity is that of a batch without nulls.
            const uint8_t *values = data->values.data;
            csti_key_put(plan, values + (size_t)row * plan->width, key);
            key += plan->width & (0u - (uint32_t)is_valid);
        } else if (is_valid) {
            key = encode_variable_value(codec, plan, data, row, key, key_end);
        }
    }
    return key;
}

static void encode_variable(const csti_codec *codec, const csti_key_plan *plans,
                            const cst_batch *batch, cst_keys *out) {
    const uint8_t *key_end = out->bytes + out->bytes_capacity;
    uint8_t *key = out->bytes;

    out->offsets[0] = 0;
    for (uint32_t row = 0; row < batch->rows_count; row++) {
        key = encode_row(codec, plans, batch, row, key, key_end);
        out->offsets[row + 1] = (uint32_t)(key - out->bytes);
    }
}

cst_code csti_keys_encode(const csti_codec *codec, const cst_batch *batch, cst_keys *out) {
    const uint32_t stride = cst_schema_key_bytes(batch->schema);
    const size_t bound = cst_keys_bytes_bound(batch);
    csti_key_plan plans[CST_COLUMNS_MAX];

    if (bound > out->bytes_capacity) return CST_LIMIT;
    if (out->offsets && bound > UINT32_MAX) return CST_LIMIT; // an offset could not say where
    if (stride == 0 && !out->offsets) return CST_USAGE;
    out->stride = stride;
    for (uint32_t i = 0; i < batch->schema->columns_count; i++)
        plans[i] = csti_key_plan_of(&batch->schema->columns[i]);
    if (stride == 0) {
        encode_variable(codec, plans, batch, out);
        return CST_OK;
    }
    if (batch->rows_count > 0) encode_fixed(codec, plans, batch, out->bytes, stride);
    for (uint32_t row = 0; out->offsets && row <= batch->rows_count; row++)
        out->offsets[row] = row * stride;
    return CST_OK;
}

cst_code cst_keys_encode(const cst_batch *batch, cst_keys *out) {
    return csti_keys_encode(csti_codec_best(), batch, out);
}
