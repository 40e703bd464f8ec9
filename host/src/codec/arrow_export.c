// arrow_export.c: a copy of a batch as a struct array.
#include <constellation/arrow.h>

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "codec/batch_read.h"
#include "codec/types.h"

enum {
    BUFFER_ALIGN = 64, // what Arrow recommends
    BUFFERS_MAX = 3,
};

// One block holds the children and all buffers. Children can be moved out and outlive their parent,
// so the last of all releases frees it.
//
//   | array_block | bitmap | values | bitmap | offsets | bytes | ...     each from a multiple of 64
typedef struct array_block {
    _Alignas(BUFFER_ALIGN) atomic_uint owners;
    const void *no_bitmap[1]; // the struct's own buffer: no row is null as a whole
    struct ArrowArray *pointers[CST_COLUMNS_MAX];
    struct ArrowArray children[CST_COLUMNS_MAX];
    const void *buffers[CST_COLUMNS_MAX][BUFFERS_MAX];
} array_block;

static void array_release(struct ArrowArray *array) {
    array_block *block = array->private_data;

    for (int64_t i = 0; i < array->n_children; i++)
        if (array->children[i]->release) array->children[i]->release(array->children[i]);
    array->release = NULL;
    // Release our reads, acquire all others' before the free.
    if (atomic_fetch_sub_explicit(&block->owners, 1, memory_order_acq_rel) == 1) free(block);
}

static size_t aligned(size_t bytes) {
    return (bytes + BUFFER_ALIGN - 1) / BUFFER_ALIGN * BUFFER_ALIGN;
}

static size_t bitmap_bytes(uint32_t rows) {
    return aligned((rows + 7u) / 8u);
}

static uint32_t null_count(const cst_column_data *data, uint32_t rows) {
    uint32_t count = 0;
    for (uint32_t row = 0; row < rows; row++) count += !csti_row_is_valid(&data->validity, row);
    return count;
}

// Of a string column: where its first row begins and its last ends.
static void text_range(const cst_column_data *data, uint32_t rows, uint32_t *from, uint32_t *to) {
    *from = rows ? csti_offset_at(&data->offsets, 0) : 0;
    *to = rows ? csti_offset_at(&data->offsets, rows) : 0;
}

static size_t column_bytes(const cst_column *column, const cst_column_data *data, uint32_t rows) {
    uint32_t from, to;

    if (column->type == CST_TYPE_BOOL) return 2 * bitmap_bytes(rows);
    if (!csti_type_is_variable(column->type))
        return bitmap_bytes(rows) + aligned((size_t)rows * cst_column_value_bytes(column));
    text_range(data, rows, &from, &to);
    return bitmap_bytes(rows) + aligned(4 * ((size_t)rows + 1)) + aligned(to - from);
}

static void text_export(const cst_column_data *data, uint32_t rows, uint8_t *at,
                        const void **buffers) {
    uint32_t from, to;
    uint32_t *offsets = (uint32_t *)(void *)at;

    text_range(data, rows, &from, &to);
    for (uint32_t row = 0; row < rows; row++)
        offsets[row + 1] = csti_offset_at(&data->offsets, row + 1) - from;
    buffers[1] = at;
    at += aligned(4 * ((size_t)rows + 1));
    if (to > from) memcpy(at, (const uint8_t *)data->values.data + from, to - from);
    buffers[2] = at;
}

// Copies one column to `at`, which is zeroed; returns the bytes behind it.
static uint8_t *column_export(const cst_column *column, const cst_column_data *data, uint32_t rows,
                              uint8_t *at, array_block *block, uint32_t index) {
    struct ArrowArray *child = &block->children[index];
    const void **buffers = block->buffers[index];
    uint8_t *end = at + column_bytes(column, data, rows);
    const uint8_t *values = data->values.data;

    child->null_count = null_count(data, rows);
    if (child->null_count > 0) {
        memcpy(at, data->validity.data, (rows + 7u) / 8u);
        buffers[0] = at;
    }
    at += bitmap_bytes(rows);
    if (csti_type_is_variable(column->type)) {
        text_export(data, rows, at, buffers);
    } else {
        buffers[1] = at;
        for (uint32_t row = 0; column->type == CST_TYPE_BOOL && row < rows; row++)
            at[row / 8] |= (uint8_t)((values[row] & 1) << (row % 8));
        if (column->type != CST_TYPE_BOOL && rows > 0)
            memcpy(at, values, (size_t)rows * cst_column_value_bytes(column));
    }
    child->length = rows;
    child->n_buffers = csti_type_is_variable(column->type) ? 3 : 2;
    child->buffers = buffers;
    child->release = array_release;
    child->private_data = block;
    block->pointers[index] = child;
    return end;
}

cst_code cst_arrow_export(const cst_batch *batch, struct ArrowArray *out, cst_err *err) {
    const uint32_t columns_count = batch->schema->columns_count;
    size_t bytes = sizeof(array_block);
    array_block *block;

    for (uint32_t i = 0; i < columns_count; i++)
        bytes += column_bytes(&batch->schema->columns[i], &batch->columns[i], batch->rows_count);
    block = aligned_alloc(BUFFER_ALIGN, bytes);
    if (!block) return cst_fail(err, CST_NO_MEMORY, "arrow export failed: %zu bytes", bytes);
    memset(block, 0, bytes);
    atomic_init(&block->owners, columns_count + 1);
    uint8_t *at = (uint8_t *)(block + 1);
    for (uint32_t i = 0; i < columns_count; i++)
        at = column_export(&batch->schema->columns[i], &batch->columns[i], batch->rows_count, at,
                           block, i);
    *out = (struct ArrowArray){
        .length = batch->rows_count,
        .n_buffers = 1,
        .n_children = columns_count,
        .buffers = block->no_bitmap,
        .children = block->pointers,
        .release = array_release,
        .private_data = block,
    };
    return CST_OK;
}
