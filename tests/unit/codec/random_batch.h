// random_batch.h: random schemas and batches of boundary-rich values, and a row of one as values.
//
// Each buffer is a block of its own and of its exact size, so that a sanitizer sees a byte too far.
#ifndef TESTS_UNIT_CODEC_RANDOM_BATCH_H
#define TESTS_UNIT_CODEC_RANDOM_BATCH_H

#include <constellation/keys.h>

#include "test.h"

typedef struct random_batch {
    cst_schema schema;
    cst_column_data columns[CST_COLUMNS_MAX];
    cst_batch batch; // points into this struct: it must not move
} random_batch;

static inline void *test_block(size_t bytes) {
    void *block = malloc(bytes ? bytes : 1);
    CHECK(block);
    memset(block, 0xee, bytes); // not the right answer of the block that was freed here
    return block;
}

static inline cst_column random_column(bool fixed_only) {
    cst_column column = {.type = (cst_type)(1 + test_random_below(20))};

    while (fixed_only && (column.type == CST_TYPE_STRING || column.type == CST_TYPE_BINARY))
        column.type = (cst_type)(1 + test_random_below(20));
    if (column.type == CST_TYPE_FIXED) column.width = (uint16_t)(1 + test_random_below(40));
    if (column.type == CST_TYPE_DECIMAL128) column.scale = (uint8_t)test_random_below(39);
    column.descending = test_random() % 2;
    if (!fixed_only) column.nullable = test_random() % 2;
    if (column.nullable) column.nulls_last = test_random() % 2;
    return column;
}

static inline cst_schema random_schema(uint32_t columns_max, bool fixed_only) {
    cst_schema schema = {.columns_count = 1 + (uint32_t)test_random_below(columns_max)};

    for (uint32_t i = 0; i < schema.columns_count; i++)
        schema.columns[i] = random_column(fixed_only);
    return schema;
}

// `bytes` little-endian bytes of a number that is likely a boundary.
static inline void random_number(uint8_t *out, uint32_t bytes) {
    cst_u128 number = (cst_u128)test_random() << 64 | test_random();

    switch (test_random_below(6)) {
    case 0:
        number = test_random_below(3) - (cst_u128)1;
        break; // -1, 0, 1
    case 1:
        number = (cst_u128)255 + test_random_below(2);
        break; // 255, 256
    case 2:
        number = ((cst_u128)1 << (8 * bytes - 1)) - test_random_below(2);
        break; // max, min
    case 3:
        number &= 0xff;
        break;
    default:
        break;
    }
    memcpy(out, &number, bytes);
}

static inline void random_decimal(uint8_t *out) {
    const cst_i128 ten19 = (cst_i128)UINT64_C(10000000000000000000);
    cst_i128 units = (cst_i128)((cst_u128)test_random() << 64 | test_random()) % (ten19 * ten19);

    if (test_random() % 8 == 0) units = ten19 * ten19 - 1;
    if (test_random() % 8 == 0) units = -(ten19 * ten19 - 1);
    memcpy(out, &units, sizeof units);
}

static inline void random_float(uint8_t *out, uint32_t bytes) {
    static const double doubles[] = {0.0, -0.0, 1.0, -1.0, 0.5, -2.25, 1e30, -1e30};
    static const uint64_t bits8[] = {0x7ff0000000000000, 0xfff0000000000000, 0x7ff8000000000000,
                                     0xfff8000000000001, 0x7ff0000000000001, 1,
                                     0x8000000000000001};
    static const uint32_t bits4[] = {0x7f800000, 0xff800000, 0x7fc00000, 0xffc00001,
                                     0x7f800001, 1,          0x80000001};
    const double number = doubles[test_random_below(8)];
    const float single = (float)number;
    const uint64_t index = test_random_below(7);

    if (test_random() % 4 == 0)
        random_number(out, bytes);
    else if (test_random() % 2)
        memcpy(out, bytes == 8 ? (const void *)&number : &single, bytes);
    else
        memcpy(out, bytes == 8 ? (const void *)&bits8[index] : &bits4[index], bytes);
}

static inline void random_value(const cst_column *column, uint8_t *out) {
    const uint32_t bytes = cst_column_value_bytes(column);

    switch (column->type) {
    case CST_TYPE_BOOL:
        *out = test_random() % 2;
        break;
    case CST_TYPE_F32:
    case CST_TYPE_F64:
        random_float(out, bytes);
        break;
    case CST_TYPE_DECIMAL128:
        random_decimal(out);
        break;
    case CST_TYPE_UUID:
    case CST_TYPE_FIXED:
        for (uint32_t i = 0; i < bytes; i++)
            out[i] = test_random() % 3 ? (uint8_t)test_random() : (uint8_t) - (test_random() % 2);
        break;
    default:
        random_number(out, bytes);
    }
}

// Text and bytes with zeros, FF, and characters of one to four bytes.
static inline uint32_t random_text(bool is_text, uint8_t *out, uint32_t pieces) {
    static const char *const texts[] = {"a",
                                        "b",
                                        "\x7f",
                                        "\xc3\xa4",
                                        "\xe2\x82\xac",
                                        "\xf0\x9f\x98\x80",
                                        "\xf4\x8f\xbf\xbf",
                                        "hello, world"};
    uint32_t count = 0;

    for (uint32_t i = 0; i < pieces; i++) {
        if (test_random() % 16 == 0) {
            out[count++] = 0;
        } else if (is_text) {
            const char *text = texts[test_random_below(8)];
            memcpy(out + count, text, strlen(text));
            count += (uint32_t)strlen(text);
        } else {
            out[count++] = test_random() % 4 ? (uint8_t)test_random() : 0xff;
        }
    }
    return count;
}

static inline void random_variable(const cst_column *column, uint32_t rows, cst_column_data *out) {
    const bool is_text = column->type == CST_TYPE_STRING;
    const uint32_t pieces_max = test_random() % 4 ? 6 : 60;
    uint8_t *bytes = test_block((size_t)rows * pieces_max * 12);
    int32_t *offsets = test_block(4 * ((size_t)rows + 1));
    uint32_t count = 0;

    offsets[0] = 0;
    for (uint32_t row = 0; row < rows; row++) {
        count += random_text(is_text, bytes + count, (uint32_t)test_random_below(pieces_max));
        offsets[row + 1] = (int32_t)count;
    }
    uint8_t *exact = test_block(count);
    memcpy(exact, bytes, count);
    free(bytes);
    out->values = (cst_buffer){exact, count};
    out->offsets = (cst_buffer){offsets, 4 * ((size_t)rows + 1)};
}

static inline void random_batch_fill(random_batch *out, uint32_t rows) {
    for (uint32_t i = 0; i < out->schema.columns_count; i++) {
        const cst_column *column = &out->schema.columns[i];
        cst_column_data *data = &out->columns[i];
        const uint32_t width = cst_column_value_bytes(column);
        *data = (cst_column_data){.values = {NULL, 0}};
        if (width == 0) {
            random_variable(column, rows, data);
        } else {
            uint8_t *values = test_block((size_t)rows * width);
            for (uint32_t row = 0; row < rows; row++)
                random_value(column, values + (size_t)row * width);
            data->values = (cst_buffer){values, (size_t)rows * width};
        }
        if (column->nullable && test_random() % 4) {
            uint8_t *bits = test_block((rows + 7) / 8);
            for (uint32_t at = 0; at < (rows + 7) / 8; at++) bits[at] = (uint8_t)test_random();
            data->validity = (cst_buffer){bits, (rows + 7) / 8};
        }
    }
    out->batch = (cst_batch){&out->schema, rows, {NULL, 0}, out->columns};
}

static inline void random_batch_free(random_batch *batch) {
    for (uint32_t i = 0; i < batch->schema.columns_count; i++) {
        free((void *)batch->columns[i].values.data);
        free((void *)batch->columns[i].offsets.data);
        free((void *)batch->columns[i].validity.data);
    }
}

static inline cst_value row_value(const cst_column *column, const uint8_t *at, uint32_t width) {
    cst_value value = {.is_null = false};
    cst_u128 raw = 0;
    float single;

    switch (column->type) {
    case CST_TYPE_F32:
        memcpy(&single, at, 4);
        value.f64 = (double)single;
        return value;
    case CST_TYPE_F64:
        memcpy(&value.f64, at, 8);
        return value;
    case CST_TYPE_UUID:
    case CST_TYPE_FIXED:
        value.bytes = at;
        value.bytes_count = width;
        return value;
    case CST_TYPE_I8:
    case CST_TYPE_I16:
    case CST_TYPE_I32:
    case CST_TYPE_I64:
    case CST_TYPE_I128:
    case CST_TYPE_DATE:
    case CST_TYPE_TIMESTAMP:
    case CST_TYPE_DECIMAL128: // to the top, and down again with the sign
        memcpy((uint8_t *)&raw + 16 - width, at, width);
        value.i128 = (cst_i128)raw >> (128 - 8 * width);
        return value;
    default:
        memcpy(&value.u128, at, width);
        return value;
    }
}

// Row `row` as cst_key_encode takes it.
static inline void row_values(const cst_batch *batch, uint32_t row, cst_value *out) {
    for (uint32_t i = 0; i < batch->schema->columns_count; i++) {
        const cst_column *column = &batch->schema->columns[i];
        const cst_column_data *data = &batch->columns[i];
        const uint8_t *values = data->values.data;
        const uint8_t *bits = data->validity.data;
        const uint32_t width = cst_column_value_bytes(column);
        if (bits && !(bits[row / 8] >> (row % 8) & 1)) {
            out[i] = (cst_value){.is_null = true};
        } else if (width) {
            out[i] = row_value(column, values + (size_t)row * width, width);
        } else {
            const int32_t *offsets = data->offsets.data;
            out[i] = (cst_value){.bytes = values + offsets[row],
                                 .bytes_count = (uint32_t)(offsets[row + 1] - offsets[row])};
        }
    }
}

#endif
