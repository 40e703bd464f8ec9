#include <constellation/batch.h>

#include <string.h>

#include "codec/batch_read.h"
#include "codec/types.h"

static cst_code column_fail(cst_err *err, uint32_t column, const char *why) {
    return cst_fail(err, CST_BATCH, "batch check failed: column %u: %s", column, why);
}

static cst_code row_fail(cst_err *err, cst_code code, uint32_t column, uint32_t row,
                         const char *why) {
    return cst_fail(err, code, "batch check failed: column %u: row %u: %s", column, row, why);
}

static cst_code buffer_check(const cst_buffer *buffer, uint64_t needed, uint32_t column,
                             const char *name, cst_err *err) {
    if (buffer->bytes < needed)
        return cst_fail(err, CST_BATCH,
                        "batch check failed: column %u: %s has %zu bytes, the rows need %llu",
                        column, name, buffer->bytes, (unsigned long long)needed);
    if (needed > 0 && !buffer->data)
        return cst_fail(err, CST_BATCH, "batch check failed: column %u: %s is NULL", column, name);
    return CST_OK;
}

static cst_code validity_check(const cst_batch *batch, uint32_t index, cst_err *err) {
    const cst_buffer *validity = &batch->columns[index].validity;

    if (validity->bytes == 0) return CST_OK;
    const cst_code code =
        buffer_check(validity, (batch->rows_count + 7u) / 8u, index, "validity", err);
    if (code != CST_OK || batch->schema->columns[index].nullable) return code;
    for (uint32_t row = 0; row < batch->rows_count; row++)
        if (!csti_row_is_valid(validity, row))
            return row_fail(err, CST_SCHEMA_MISMATCH, index, row,
                            "null, and the column is not nullable");
    return CST_OK;
}

static cst_code ops_check(const cst_batch *batch, cst_err *err) {
    const uint8_t *ops = batch->ops.data;

    if (batch->ops.bytes == 0) return CST_OK;
    if (batch->ops.bytes < batch->rows_count || (!ops && batch->rows_count > 0))
        return cst_fail(err, CST_BATCH, "batch check failed: ops: %zu bytes for %u rows",
                        batch->ops.bytes, batch->rows_count);
    for (uint32_t row = 0; row < batch->rows_count; row++)
        if (ops[row] != CST_ROW_UPSERT && ops[row] != CST_ROW_DELETE)
            return cst_fail(err, CST_BATCH, "batch check failed: ops: row %u: %u is no operation",
                            row, ops[row]);
    return CST_OK;
}

static cst_code fixed_check(const cst_batch *batch, uint32_t index, cst_err *err) {
    const cst_column *column = &batch->schema->columns[index];
    const cst_column_data *data = &batch->columns[index];
    const uint32_t width = cst_column_value_bytes(column);
    const uint8_t *values = data->values.data;
    const cst_i128 bound = csti_decimal_bound();

    if (data->offsets.bytes != 0)
        return column_fail(err, index, "a fixed-width type has no offsets");
    const cst_code code =
        buffer_check(&data->values, (uint64_t)batch->rows_count * width, index, "values", err);
    if (code != CST_OK) return code;
    if (column->type == CST_TYPE_BOOL) {
        for (uint32_t row = 0; row < batch->rows_count; row++)
            if (values[row] > 1 && csti_row_is_valid(&data->validity, row))
                return row_fail(err, CST_VALUE_RANGE, index, row, "a bool is 0 or 1");
    }
    if (column->type == CST_TYPE_DECIMAL128) {
        for (uint32_t row = 0; row < batch->rows_count; row++) {
            cst_i128 units;
            memcpy(&units, values + 16 * (size_t)row, sizeof units);
            if ((units >= bound || units <= -bound) && csti_row_is_valid(&data->validity, row))
                return row_fail(err, CST_VALUE_RANGE, index, row, "more than 38 digits");
        }
    }
    return CST_OK;
}

// Every row's text is checked alone: a character must not reach over into the next row.
static cst_code text_check(const cst_batch *batch, uint32_t index, cst_err *err) {
    const cst_column_data *data = &batch->columns[index];
    const uint8_t *bytes = data->values.data;
    const bool is_text = batch->schema->columns[index].type == CST_TYPE_STRING;

    for (uint32_t row = 0; row < batch->rows_count; row++) {
        const uint32_t from = csti_offset_at(&data->offsets, row);
        const uint32_t count = csti_offset_at(&data->offsets, row + 1) - from;
        if (!csti_row_is_valid(&data->validity, row)) continue;
        if (count > CST_VARIABLE_BYTES_MAX)
            return row_fail(err, CST_VALUE_RANGE, index, row, "longer than 32768 bytes");
        if (is_text && count > 0 && csti_utf8_error_at(bytes + from, count) < count)
            return row_fail(err, CST_UTF8, index, row, "not UTF-8");
    }
    return CST_OK;
}

static cst_code variable_check(const cst_batch *batch, uint32_t index, cst_err *err) {
    const cst_column_data *data = &batch->columns[index];
    int64_t before = 0;

    if (batch->rows_count == 0) return CST_OK; // Arrow may leave out the one offset
    cst_code code =
        buffer_check(&data->offsets, 4 * ((uint64_t)batch->rows_count + 1), index, "offsets", err);
    if (code != CST_OK) return code;
    for (uint32_t row = 0; row <= batch->rows_count; row++) {
        const int64_t offset = (int32_t)csti_offset_at(&data->offsets, row);
        if (offset < before)
            return row_fail(err, CST_BATCH, index, row, "an offset is negative or goes down");
        before = offset;
    }
    code = buffer_check(&data->values, (uint64_t)before, index, "values", err);
    return code == CST_OK ? text_check(batch, index, err) : code;
}

cst_code cst_batch_check(const cst_batch *batch, cst_err *err) {
    cst_code code;

    if (!batch->schema) return cst_fail(err, CST_BATCH, "batch check failed: there is no schema");
    code = cst_schema_check(batch->schema, err);
    if (code != CST_OK) return code;
    if (batch->rows_count > CST_BATCH_ROWS_MAX)
        return cst_fail(err, CST_LIMIT, "batch check failed: %u rows, a batch has at most %d",
                        batch->rows_count, CST_BATCH_ROWS_MAX);
    if (!batch->columns) return cst_fail(err, CST_BATCH, "batch check failed: columns is NULL");
    code = ops_check(batch, err);
    for (uint32_t i = 0; i < batch->schema->columns_count && code == CST_OK; i++) {
        code = validity_check(batch, i, err);
        if (code != CST_OK) break;
        code = csti_type_is_variable(batch->schema->columns[i].type) ? variable_check(batch, i, err)
                                                                     : fixed_check(batch, i, err);
    }
    return code;
}
