#include "stream/row_text.h"

#include "stream/text_write.h"
#include "stream/value_text.h"

#include <math.h>

static char *text_write_csv(char *out, const char *text, size_t bytes) {
    bool quotes = bytes == 0;

    for (size_t i = 0; i < bytes && !quotes; i++)
        quotes = text[i] == '"' || text[i] == ',' || text[i] == '\n' || text[i] == '\r';
    if (!quotes) {
        memcpy(out, text, bytes);
        return out + bytes;
    }
    *out++ = '"';
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] == '"') *out++ = '"';
        *out++ = text[i];
    }
    *out++ = '"';
    return out;
}

static bool is_present(const cst_column_data *data, uint32_t row) {
    const uint8_t *bits = data->validity.data;

    return data->validity.bytes == 0 || (bits[row / 8] >> (row % 8) & 1);
}

// The value of any type as cst_value; the slow way, for the types that rows seldom have.
static cst_value value_of(const cst_column *column, const uint8_t *at) {
    cst_value value = {0};
    float narrow;

    switch (column->type) {
    case CST_TYPE_F32:
        memcpy(&narrow, at, sizeof narrow);
        value.f64 = (double)narrow;
        break;
    case CST_TYPE_F64:
        memcpy(&value.f64, at, sizeof value.f64);
        break;
    case CST_TYPE_BOOL:
        value.u128 = *at != 0;
        break;
    case CST_TYPE_U128:
        memcpy(&value.u128, at, sizeof value.u128);
        break;
    case CST_TYPE_I128:
    case CST_TYPE_DECIMAL128:
        memcpy(&value.i128, at, sizeof value.i128);
        break;
    default:
        value.bytes = at;
        value.bytes_count = cst_column_value_bytes(column);
        break;
    }
    return value;
}

static char *odd_write(const cst_column *column, csti_row_format format, const uint8_t *at,
                       char *out) {
    const cst_value value = value_of(column, at);
    const bool bytes = column->type == CST_TYPE_UUID || column->type == CST_TYPE_FIXED;
    const bool no_number =
        (column->type == CST_TYPE_F32 || column->type == CST_TYPE_F64) && !isfinite(value.f64);
    const bool quotes = format == CSTI_ROW_NDJSON && (bytes || no_number);
    size_t count = 0;

    if (quotes) *out++ = '"';
    if (csti_value_write(column, &value, out, 2 * CST_FIXED_BYTES_MAX, &count) == CST_OK)
        out += count;
    if (quotes) *out++ = '"';
    return out;
}

static char *fixed_write(const cst_column *column, csti_row_format format, const void *values,
                         uint32_t row, char *out) {
    switch (column->type) {
    case CST_TYPE_U8:
        return csti_u64_text(out, ((const uint8_t *)values)[row]);
    case CST_TYPE_U16:
        return csti_u64_text(out, ((const uint16_t *)values)[row]);
    case CST_TYPE_U32:
        return csti_u64_text(out, ((const uint32_t *)values)[row]);
    case CST_TYPE_U64:
        return csti_u64_text(out, ((const uint64_t *)values)[row]);
    case CST_TYPE_I8:
        return csti_i64_text(out, ((const int8_t *)values)[row]);
    case CST_TYPE_I16:
        return csti_i64_text(out, ((const int16_t *)values)[row]);
    case CST_TYPE_DATE:
    case CST_TYPE_I32:
        return csti_i64_text(out, ((const int32_t *)values)[row]);
    case CST_TYPE_TIMESTAMP:
    case CST_TYPE_I64:
        return csti_i64_text(out, ((const int64_t *)values)[row]);
    default:
        return odd_write(column, format,
                         (const uint8_t *)values + (size_t)row * cst_column_value_bytes(column),
                         out);
    }
}

static char *variable_write(const cst_column *column, const cst_column_data *data,
                            csti_row_format format, uint32_t row, char *out) {
    const int32_t *offsets = data->offsets.data;
    const char *bytes = data->values.data;
    const size_t from = (size_t)offsets[row];
    const size_t count = (size_t)(offsets[row + 1] - offsets[row]);

    if (column->type == CST_TYPE_STRING)
        return format == CSTI_ROW_NDJSON ? csti_json_text(out, bytes + from, count)
                                         : text_write_csv(out, bytes + from, count);
    *out++ = '"';
    csti_hex_write((const uint8_t *)bytes + from, count, out);
    out += 2 * count;
    *out++ = '"';
    return out;
}

// Most bytes a row can take.
static size_t row_bound(const cst_batch *batch, size_t names_bytes, uint32_t row) {
    size_t bound = names_bytes + 4;

    for (uint32_t c = 0; c < batch->schema->columns_count; c++) {
        const cst_column_data *data = &batch->columns[c];
        const int32_t *offsets = data->offsets.data;
        const uint32_t width = cst_column_value_bytes(&batch->schema->columns[c]);

        bound += width ? CSTI_VALUE_TEXT_BYTES_MAX + 2 * (size_t)width
                       : 6 * (size_t)(offsets[row + 1] - offsets[row]);
        bound += 8;
    }
    return bound;
}

static size_t names_bytes(const cst_schema *schema, const char *const *names) {
    size_t bytes = 0;

    for (uint32_t c = 0; c < schema->columns_count; c++) bytes += 6 * strlen(names[c]);
    return bytes;
}

static char *row_write(const cst_batch *batch, const char *const *names, csti_row_format format,
                       uint32_t row, char *out) {
    const bool json = format == CSTI_ROW_NDJSON;

    if (json) *out++ = '{';
    for (uint32_t c = 0; c < batch->schema->columns_count; c++) {
        const cst_column *column = &batch->schema->columns[c];
        const cst_column_data *data = &batch->columns[c];

        if (c > 0) *out++ = ',';
        if (json) {
            out = csti_json_text(out, names[c], strlen(names[c]));
            *out++ = ':';
        }
        if (!is_present(data, row)) {
            if (json) out = (char *)memcpy(out, "null", 4) + 4;
        } else if (data->offsets.bytes) {
            out = variable_write(column, data, format, row, out);
        } else {
            out = fixed_write(column, format, data->values.data, row, out);
        }
    }
    if (json) *out++ = '}';
    *out++ = '\n';
    return out;
}

cst_code csti_rows_write(const cst_batch *batch, const char *const *names, csti_row_format format,
                         uint32_t *row, char *out, size_t capacity, size_t *bytes_out) {
    const size_t named = format == CSTI_ROW_NDJSON ? names_bytes(batch->schema, names) : 0;
    const uint32_t first_row = *row;
    char *to = out;

    while (*row < batch->rows_count) {
        if (row_bound(batch, named, *row) > capacity - (size_t)(to - out)) break;
        to = row_write(batch, names, format, *row, to);
        ++*row;
    }
    *bytes_out = (size_t)(to - out);
    return *row == first_row && first_row < batch->rows_count ? CST_LIMIT : CST_OK;
}

cst_code csti_rows_write_header(const cst_schema *schema, const char *const *names, char *out,
                                size_t capacity, size_t *bytes_out) {
    char *to = out;

    if (names_bytes(schema, names) + 3 * (size_t)schema->columns_count + 1 > capacity)
        return CST_LIMIT;
    for (uint32_t c = 0; c < schema->columns_count; c++) {
        if (c > 0) *to++ = ',';
        to = text_write_csv(to, names[c], strlen(names[c]));
    }
    *to++ = '\n';
    *bytes_out = (size_t)(to - out);
    return CST_OK;
}
