// arrow_import.c: a struct array to a batch that points into it.
#include <constellation/arrow.h>

#include <stdlib.h>
#include <string.h>

#include "codec/arrow_internal.h"
#include "codec/types.h"

// Offsets above this are refused: no producer has them, and sums of two cannot overflow.
static const int64_t offset_max = INT64_C(1) << 40;

// One block: this, then the bytes of bool columns and of null bitmaps that had to move.
struct cst_arrow_batch {
    cst_batch batch;
    cst_column_data columns[CST_COLUMNS_MAX];
    struct ArrowArray array;
    uint8_t copies[];
};

static cst_code refuse(cst_err *err, cst_code code, const char *why) {
    return cst_fail(err, code, "arrow import failed: %s", why);
}

static cst_code refuse_column(cst_err *err, cst_code code, uint32_t column, const char *why) {
    return cst_fail(err, code, "arrow import failed: column %u: %s", column, why);
}

static bool bit_at(const void *bits, int64_t index) {
    return (((const uint8_t *)bits)[index / 8] >> (index % 8) & 1) != 0;
}

// The struct itself; its columns are looked at one by one.
static cst_code array_check(const struct ArrowArray *array, const cst_schema *schema,
                            cst_err *err) {
    if (!array || !array->release)
        return refuse(err, CST_USAGE, array ? "the array is released" : "the array is NULL");
    if (array->length < 0) return refuse(err, CST_BATCH, "the length is negative");
    if (array->length > CST_BATCH_ROWS_MAX)
        return cst_fail(err, CST_LIMIT, "arrow import failed: %lld rows, a batch has at most %d",
                        (long long)array->length, CST_BATCH_ROWS_MAX);
    if (array->offset < 0 || array->offset > offset_max)
        return refuse(err, CST_BATCH, "the offset is negative or absurd");
    if (array->n_buffers != 1 || !array->buffers)
        return refuse(err, CST_BATCH, "a struct has one buffer");
    if (array->dictionary) return refuse(err, CST_BATCH, "a struct has no dictionary");
    if (array->n_children != schema->columns_count || !array->children)
        return refuse(err, CST_BATCH, "the array's children are not the schema's");
    if (array->null_count < -1 || array->null_count > array->length)
        return refuse(err, CST_BATCH, "null_count is out of range");
    if (array->null_count > 0 && !array->buffers[0])
        return refuse(err, CST_BATCH, "there are nulls, but no bitmap");
    for (int64_t row = 0; array->null_count != 0 && array->buffers[0] && row < array->length; row++)
        if (!bit_at(array->buffers[0], array->offset + row))
            return cst_fail(err, CST_SCHEMA_MISMATCH,
                            "arrow import failed: row %lld is null as a whole", (long long)row);
    return CST_OK;
}

static cst_code child_check(const struct ArrowArray *array, uint32_t index,
                            const cst_column *column, cst_err *err) {
    const struct ArrowArray *child = array->children[index];
    const bool is_variable = csti_type_is_variable(column->type);

    if (!child || !child->release)
        return refuse_column(err, CST_USAGE, index,
                             child ? "the array is released" : "the array is NULL");
    if (child->offset < 0 || child->offset > offset_max)
        return refuse_column(err, CST_BATCH, index, "the offset is negative or absurd");
    if (child->length < 0 || child->length < array->offset + array->length)
        return refuse_column(err, CST_BATCH, index, "shorter than the rows");
    if (child->n_buffers != (is_variable ? 3 : 2) || !child->buffers)
        return refuse_column(err, CST_BATCH, index, "not the type's number of buffers");
    if (child->n_children != 0) return refuse_column(err, CST_BATCH, index, "it has children");
    if (child->dictionary) return refuse_column(err, CST_BATCH, index, "it has a dictionary");
    if (child->null_count < -1 || child->null_count > child->length)
        return refuse_column(err, CST_BATCH, index, "null_count is out of range");
    if (child->null_count > 0 && !child->buffers[0])
        return refuse_column(err, CST_BATCH, index, "there are nulls, but no bitmap");
    if (array->length > 0 && !child->buffers[1])
        return refuse_column(err, CST_BATCH, index,
                             is_variable ? "offsets is NULL" : "values is NULL");
    return CST_OK;
}

// Bits from `first` on, moved to begin at a byte.
static void bits_move(const void *bits, int64_t first, uint32_t count, uint8_t *out) {
    memset(out, 0, (count + 7) / 8);
    for (uint32_t i = 0; i < count; i++)
        out[i / 8] |= (uint8_t)(bit_at(bits, first + i) << (i % 8));
}

// Bytes that column needs behind the handle.
static size_t copy_bytes(const struct ArrowArray *array, uint32_t index, const cst_column *column) {
    const struct ArrowArray *child = array->children[index];
    const size_t rows = (size_t)array->length;
    const bool moves = child->buffers[0] && (array->offset + child->offset) % 8 != 0;

    return (column->type == CST_TYPE_BOOL ? rows : 0) + (moves ? (rows + 7) / 8 : 0);
}

static void variable_import(const struct ArrowArray *child, int64_t first, uint32_t rows,
                            cst_column_data *out) {
    const uint8_t *offsets = (const uint8_t *)child->buffers[1] + 4 * first;
    int32_t end;

    memcpy(&end, offsets + 4 * (size_t)rows, sizeof end);
    out->offsets = (cst_buffer){offsets, 4 * ((size_t)rows + 1)};
    // A negative end leaves no bytes at all: cst_batch_check names the row.
    out->values = (cst_buffer){child->buffers[2], end > 0 ? (size_t)end : 0};
}

// Fills in one column; returns where the next copy goes. The batch has rows.
static uint8_t *column_import(const struct ArrowArray *array, uint32_t index,
                              const cst_column *column, uint8_t *copies, cst_column_data *out) {
    const struct ArrowArray *child = array->children[index];
    const int64_t first = array->offset + child->offset;
    const uint32_t rows = (uint32_t)array->length;
    const uint32_t width = cst_column_value_bytes(column);

    if (column->type == CST_TYPE_BOOL) {
        for (uint32_t row = 0; row < rows; row++)
            copies[row] = bit_at(child->buffers[1], first + row);
        out->values = (cst_buffer){copies, rows};
        copies += rows;
    } else if (csti_type_is_variable(column->type)) {
        variable_import(child, first, rows, out);
    } else {
        out->values =
            (cst_buffer){(const uint8_t *)child->buffers[1] + first * width, (size_t)rows * width};
    }
    if (!child->buffers[0] || child->null_count == 0) return copies;
    const size_t bitmap_bytes = (rows + 7u) / 8u;
    if (first % 8 == 0) {
        out->validity = (cst_buffer){(const uint8_t *)child->buffers[0] + first / 8, bitmap_bytes};
        return copies;
    }
    bits_move(child->buffers[0], first, rows, copies);
    out->validity = (cst_buffer){copies, bitmap_bytes};
    return copies + bitmap_bytes;
}

cst_code cst_arrow_import(const struct ArrowSchema *arrow_schema, struct ArrowArray *array,
                          const cst_schema *schema, cst_arrow_batch **out, cst_err *err) {
    cst_arrow_batch *imported;
    size_t bytes = sizeof *imported;
    cst_code code = cst_schema_check(schema, err);

    if (code == CST_OK) code = csti_arrow_schema_fits(arrow_schema, schema, err);
    if (code == CST_OK) code = array_check(array, schema, err);
    for (uint32_t i = 0; code == CST_OK && i < schema->columns_count; i++)
        code = child_check(array, i, &schema->columns[i], err);
    if (code != CST_OK) return code;

    for (uint32_t i = 0; i < schema->columns_count; i++)
        bytes += copy_bytes(array, i, &schema->columns[i]);
    imported = calloc(1, bytes);
    if (!imported) return cst_fail(err, CST_NO_MEMORY, "arrow import failed: %zu bytes", bytes);
    imported->batch = (cst_batch){.schema = schema,
                                  .rows_count = (uint32_t)array->length,
                                  .columns = imported->columns};
    uint8_t *copies = imported->copies;
    for (uint32_t i = 0; array->length > 0 && i < schema->columns_count; i++)
        copies = column_import(array, i, &schema->columns[i], copies, &imported->columns[i]);
    code = cst_batch_check(&imported->batch, err);
    if (code != CST_OK) {
        free(imported);
        return code;
    }
    imported->array = *array; // the array's owner now
    array->release = NULL;
    *out = imported;
    return CST_OK;
}

const cst_batch *cst_arrow_batch_get(const cst_arrow_batch *imported) {
    return &imported->batch;
}

void cst_arrow_batch_free(cst_arrow_batch *imported) {
    if (!imported) return;
    imported->array.release(&imported->array);
    free(imported);
}
