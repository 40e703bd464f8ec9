#include "stream/filter.h"

#include "codec/batch_read.h"
#include "codec/types.h"
#include "stream/value_text.h"

#include <assert.h>
#include <math.h>
#include <string.h>

cst_code csti_filter_make(const csti_row_shape *shape, const char *column, csti_compare compare,
                          const char *value, csti_filter *out, cst_err *err) {
    uint32_t c = 0;
    cst_code code;

    assert(compare >= CSTI_EQUAL);
    assert(compare <= CSTI_GREATER_EQUAL);
    while (c < shape->schema.columns_count && strcmp(shape->names[c], column) != 0) c++;
    if (c == shape->schema.columns_count)
        return cst_fail(err, CST_NOT_FOUND, "filter: there is no column '%s'", column);
    *out = (csti_filter){
        .column = c,
        .type = shape->schema.columns[c],
        .keep_less =
            compare == CSTI_LESS || compare == CSTI_LESS_EQUAL || compare == CSTI_NOT_EQUAL,
        .keep_equal =
            compare == CSTI_EQUAL || compare == CSTI_LESS_EQUAL || compare == CSTI_GREATER_EQUAL,
        .keep_greater =
            compare == CSTI_GREATER || compare == CSTI_GREATER_EQUAL || compare == CSTI_NOT_EQUAL,
    };
    code = csti_value_read(&out->type, value, strlen(value), out->bytes, sizeof out->bytes,
                           &out->value, err);
    return code == CST_OK ? CST_OK : cst_fail_at(err, code, "filter on column '%s'", column);
}

// ---- Loops, one a type --------------------------------------------------------------------------

// NaN is above everything and equal to itself.
static bool double_less(double a, double b) {
    return isnan(b) ? !isnan(a) : a < b;
}

#define PLAIN_LESS(A, B) ((A) < (B))

// Moves the rows that stay to the front. No branch depends on a value.
#define FILTER_LOOP(NAME, TYPE, MEMBER, LESS)                                                      \
    static uint32_t NAME(const csti_filter *filter, const uint8_t *values, uint32_t *rows,         \
                         uint32_t count) {                                                         \
        const TYPE constant = (TYPE)filter->value.MEMBER;                                          \
        uint32_t kept = 0;                                                                         \
                                                                                                   \
        for (uint32_t i = 0; i < count; i++) {                                                     \
            TYPE value;                                                                            \
            memcpy(&value, values + (size_t)rows[i] * sizeof value, sizeof value);                 \
            const bool less = LESS(value, constant);                                               \
            const bool greater = LESS(constant, value);                                            \
            rows[kept] = rows[i];                                                                  \
            kept += (less & filter->keep_less) | (greater & filter->keep_greater) |                \
                    (!less & !greater & filter->keep_equal);                                       \
        }                                                                                          \
        return kept;                                                                               \
    }

FILTER_LOOP(filter_u8, uint8_t, u128, PLAIN_LESS)
FILTER_LOOP(filter_u16, uint16_t, u128, PLAIN_LESS)
FILTER_LOOP(filter_u32, uint32_t, u128, PLAIN_LESS)
FILTER_LOOP(filter_u64, uint64_t, u128, PLAIN_LESS)
FILTER_LOOP(filter_u128, cst_u128, u128, PLAIN_LESS)
FILTER_LOOP(filter_i8, int8_t, i128, PLAIN_LESS)
FILTER_LOOP(filter_i16, int16_t, i128, PLAIN_LESS)
FILTER_LOOP(filter_i32, int32_t, i128, PLAIN_LESS)
FILTER_LOOP(filter_i64, int64_t, i128, PLAIN_LESS)
FILTER_LOOP(filter_i128, cst_i128, i128, PLAIN_LESS)
FILTER_LOOP(filter_f32, float, f64, double_less)
FILTER_LOOP(filter_f64, double, f64, double_less)

// Fixed width, or by offsets.
static uint32_t filter_bytes(const csti_filter *filter, const cst_column_data *data, uint32_t *rows,
                             uint32_t count) {
    const uint8_t *values = data->values.data;
    const uint32_t width = cst_column_value_bytes(&filter->type);
    uint32_t kept = 0;

    for (uint32_t i = 0; i < count; i++) {
        const uint32_t row = rows[i];
        const uint32_t from = width ? row * width : csti_offset_at(&data->offsets, row);
        const uint32_t bytes = width ? width : csti_offset_at(&data->offsets, row + 1) - from;
        const uint32_t common =
            bytes < filter->value.bytes_count ? bytes : filter->value.bytes_count;
        int order = common ? memcmp(values + from, filter->value.bytes, common) : 0;

        if (order == 0)
            order = (bytes > filter->value.bytes_count) - (bytes < filter->value.bytes_count);
        rows[kept] = row;
        kept += order < 0   ? filter->keep_less
                : order > 0 ? filter->keep_greater
                            : filter->keep_equal;
    }
    return kept;
}

static uint32_t drop_nulls(const cst_buffer *validity, uint32_t *rows, uint32_t count) {
    uint32_t kept = 0;

    for (uint32_t i = 0; i < count; i++) {
        rows[kept] = rows[i];
        kept += csti_row_is_valid(validity, rows[i]);
    }
    return kept;
}

uint32_t csti_filter_rows(const csti_filter *filter, const cst_batch *batch, uint32_t *rows,
                          uint32_t count) {
    const cst_column_data *data = &batch->columns[filter->column];
    const uint8_t *values = data->values.data;

    assert(filter->column < batch->schema->columns_count);
    assert(batch->schema->columns[filter->column].type == filter->type.type);
    if (data->validity.bytes) count = drop_nulls(&data->validity, rows, count);
    if (count == 0) return 0;
    switch (filter->type.type) {
    case CST_TYPE_U8:
    case CST_TYPE_BOOL:
        return filter_u8(filter, values, rows, count);
    case CST_TYPE_U16:
        return filter_u16(filter, values, rows, count);
    case CST_TYPE_U32:
        return filter_u32(filter, values, rows, count);
    case CST_TYPE_U64:
        return filter_u64(filter, values, rows, count);
    case CST_TYPE_U128:
        return filter_u128(filter, values, rows, count);
    case CST_TYPE_I8:
        return filter_i8(filter, values, rows, count);
    case CST_TYPE_I16:
        return filter_i16(filter, values, rows, count);
    case CST_TYPE_I32:
    case CST_TYPE_DATE:
        return filter_i32(filter, values, rows, count);
    case CST_TYPE_I64:
    case CST_TYPE_TIMESTAMP:
        return filter_i64(filter, values, rows, count);
    case CST_TYPE_I128:
    case CST_TYPE_DECIMAL128:
        return filter_i128(filter, values, rows, count);
    case CST_TYPE_F32:
        return filter_f32(filter, values, rows, count);
    case CST_TYPE_F64:
        return filter_f64(filter, values, rows, count);
    case CST_TYPE_UUID:
    case CST_TYPE_FIXED:
    case CST_TYPE_STRING:
    case CST_TYPE_BINARY:
        return filter_bytes(filter, data, rows, count);
    }
    assert(false && "a type of a checked schema");
    return 0;
}
