#include "stream/row_columns.h"

#include "codec/types.h"
#include "stream/value_text.h"

#include <assert.h>
#include <stdlib.h>

static bool is_integer(cst_type type) {
    switch (type) {
    case CST_TYPE_U8:
    case CST_TYPE_U16:
    case CST_TYPE_U32:
    case CST_TYPE_U64:
    case CST_TYPE_I8:
    case CST_TYPE_I16:
    case CST_TYPE_I32:
    case CST_TYPE_I64:
    case CST_TYPE_DATE:
    case CST_TYPE_TIMESTAMP:
        return true;
    default:
        return false;
    }
}

static cst_code column_open(csti_column_rows *to, const cst_column *column, uint32_t rows_max,
                            size_t text_bytes_max) {
    const uint32_t width = cst_column_value_bytes(column);
    const size_t values_bytes = width ? (size_t)width * rows_max : text_bytes_max;

    to->column = *column;
    to->width = width;
    to->integer = is_integer(column->type);
    if (to->integer) {
        const bool is_signed = csti_type_is_signed(column->type);

        assert(width >= 1 && width <= 8);
        to->negative_max = is_signed ? UINT64_C(1) << (8 * width - 1) : 0;
        to->positive_max = is_signed ? to->negative_max - 1 : UINT64_MAX >> (64 - 8 * width);
    }
    to->values = malloc(values_bytes + CSTI_COLUMNS_SLACK_BYTES);
    if (!to->values) return CST_NO_MEMORY;
    if (!width) {
        to->offsets = malloc(((size_t)rows_max + 1) * sizeof *to->offsets);
        if (!to->offsets) return CST_NO_MEMORY;
        to->offsets[0] = 0;
    }
    if (column->nullable) {
        to->validity = malloc(((size_t)rows_max + 7) / 8);
        if (!to->validity) return CST_NO_MEMORY;
    }
    return CST_OK;
}

cst_code csti_columns_open(csti_row_columns *columns, const cst_schema *schema, uint32_t rows_max,
                           size_t text_bytes_max, cst_err *err) {
    assert(rows_max >= 1 && rows_max <= CST_BATCH_ROWS_MAX);
    assert(text_bytes_max <= INT32_MAX - CSTI_COLUMNS_SLACK_BYTES);
    *columns = (csti_row_columns){.schema = schema,
                                  .rows_max = rows_max,
                                  .text_bytes_max = text_bytes_max};
    for (uint32_t c = 0; c < schema->columns_count; c++)
        if (column_open(&columns->columns[c], &schema->columns[c], rows_max, text_bytes_max) !=
            CST_OK) {
            csti_columns_close(columns);
            return cst_fail(err, CST_NO_MEMORY, "column %u of %u rows", c, rows_max);
        }
    csti_columns_reset(columns);
    return CST_OK;
}

void csti_columns_close(csti_row_columns *columns) {
    for (uint32_t c = 0; c < CST_COLUMNS_MAX; c++) {
        free(columns->columns[c].values);
        free(columns->columns[c].offsets);
        free(columns->columns[c].validity);
    }
    *columns = (csti_row_columns){0};
}

void csti_columns_reset(csti_row_columns *columns) {
    for (uint32_t c = 0; c < columns->schema->columns_count; c++) {
        csti_column_rows *to = &columns->columns[c];

        if (to->validity) memset(to->validity, 0xff, ((size_t)columns->rows_max + 7) / 8);
        to->any_null = false;
    }
}

void csti_columns_row_undo(csti_row_columns *columns, uint32_t row) {
    for (uint32_t c = 0; c < columns->schema->columns_count; c++)
        if (columns->columns[c].validity)
            columns->columns[c].validity[row / 8] |= (uint8_t)(1u << row % 8);
}

void csti_columns_batch(csti_row_columns *columns, uint32_t rows_count, cst_batch *out) {
    assert(rows_count <= columns->rows_max);
    for (uint32_t c = 0; c < columns->schema->columns_count; c++) {
        const csti_column_rows *from = &columns->columns[c];
        cst_column_data *data = &columns->data[c];

        *data = (cst_column_data){.values = {from->values, (size_t)from->width * rows_count}};
        if (from->offsets) {
            data->values.bytes = (size_t)from->offsets[rows_count];
            data->offsets =
                (cst_buffer){from->offsets, ((size_t)rows_count + 1) * sizeof *from->offsets};
        }
        if (from->any_null)
            data->validity = (cst_buffer){from->validity, ((size_t)rows_count + 7) / 8};
    }
    *out =
        (cst_batch){.schema = columns->schema, .rows_count = rows_count, .columns = columns->data};
}

cst_code csti_columns_put_null(csti_column_rows *to, uint32_t row, cst_err *err) {
    if (!to->validity)
        return cst_fail(err, CST_SCHEMA_MISMATCH, "it is null, and the column takes no nulls");
    to->validity[row / 8] &= (uint8_t) ~(1u << row % 8);
    to->any_null = true;
    if (to->offsets)
        to->offsets[row + 1] = to->offsets[row];
    else
        memset(to->values + (size_t)row * to->width, 0, to->width);
    return CST_OK;
}

static cst_code variable_put(csti_column_rows *to, uint32_t row, size_t bytes, cst_err *err) {
    if (bytes > CST_VARIABLE_BYTES_MAX)
        return cst_fail(err, CST_LIMIT, "%zu bytes: at most %d", bytes, CST_VARIABLE_BYTES_MAX);
    to->offsets[row + 1] = to->offsets[row] + (int32_t)bytes;
    return CST_OK;
}

cst_code csti_columns_put_string(csti_column_rows *to, uint32_t row, size_t bytes, bool ascii,
                                 cst_err *err) {
    const uint8_t *at = (const uint8_t *)csti_columns_string(to, row);

    assert(to->column.type == CST_TYPE_STRING);
    if (!ascii) {
        const size_t wrong = csti_utf8_error_at(at, bytes);

        if (wrong < bytes)
            return cst_fail(err, CST_UTF8, "byte %zu of the string, %02x, is not UTF-8", wrong,
                            at[wrong]);
    }
    return variable_put(to, row, bytes, err);
}

// A value of any type that has a width.
static void value_store(csti_column_rows *to, uint32_t row, const cst_value *value) {
    uint8_t *at = to->values + (size_t)row * to->width;
    float narrow;

    switch (to->column.type) {
    case CST_TYPE_F32:
        narrow = (float)value->f64;
        memcpy(at, &narrow, sizeof narrow);
        break;
    case CST_TYPE_F64:
        memcpy(at, &value->f64, sizeof value->f64);
        break;
    case CST_TYPE_U128:
    case CST_TYPE_I128:
    case CST_TYPE_DECIMAL128:
        memcpy(at, &value->u128, sizeof value->u128);
        break;
    case CST_TYPE_UUID:
    case CST_TYPE_FIXED:
        memcpy(at, value->bytes, to->width);
        break;
    default:
        csti_columns_store(to, row, (uint64_t)value->u128);
        break;
    }
}

cst_code csti_columns_put_text(csti_column_rows *to, uint32_t row, const char *text, size_t bytes,
                               cst_err *err) {
    uint8_t scratch[CST_FIXED_BYTES_MAX];
    cst_value value = {0};
    cst_code code;

    if (to->column.type == CST_TYPE_STRING) {
        if (bytes > CST_VARIABLE_BYTES_MAX) return variable_put(to, row, bytes, err);
        if (bytes) memcpy(csti_columns_string(to, row), text, bytes);
        return csti_columns_put_string(to, row, bytes, false, err);
    }
    if (to->column.type == CST_TYPE_BINARY) {
        code = csti_value_read(&to->column, text, bytes, (uint8_t *)csti_columns_string(to, row),
                               bytes / 2, &value, err);
        return code == CST_OK ? variable_put(to, row, value.bytes_count, err) : code;
    }
    code = csti_value_read(&to->column, text, bytes, scratch, sizeof scratch, &value, err);
    if (code == CST_OK) value_store(to, row, &value);
    return code;
}
