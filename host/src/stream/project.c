#include "stream/project.h"

#include "codec/batch_read.h"
#include "codec/types.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

cst_code csti_projection_make(const csti_row_shape *shape, const char *names, uint32_t names_count,
                              csti_projection *out, cst_err *err) {
    if (names_count == 0) {
        out->shape = *shape;
        for (uint32_t c = 0; c < CST_COLUMNS_MAX; c++) out->columns[c] = c;
        return CST_OK;
    }
    assert(names_count <= CST_COLUMNS_MAX);
    *out = (csti_projection){.shape.schema.columns_count = names_count};
    for (uint32_t c = 0; c < names_count; c++) {
        const char *name = names + (size_t)c * CSTI_COLUMN_NAME_BYTES;
        uint32_t from = 0;

        while (from < shape->schema.columns_count && strcmp(shape->names[from], name) != 0) from++;
        if (from == shape->schema.columns_count)
            return cst_fail(err, CST_NOT_FOUND, "projection: there is no column '%s'", name);
        for (uint32_t before = 0; before < c; before++)
            if (out->columns[before] == from)
                return cst_fail(err, CST_USAGE, "projection: column '%s' twice", name);
        out->columns[c] = from;
        out->shape.schema.columns[c] = shape->schema.columns[from];
        memcpy(out->shape.names[c], shape->names[from], CSTI_COLUMN_NAME_BYTES);
    }
    return CST_OK;
}

void csti_project(const csti_projection *projection, const cst_batch *in,
                  cst_column_data columns_out[CST_COLUMNS_MAX], cst_batch *out) {
    for (uint32_t c = 0; c < projection->shape.schema.columns_count; c++)
        columns_out[c] = in->columns[projection->columns[c]];
    *out = (cst_batch){.schema = &projection->shape.schema,
                       .rows_count = in->rows_count,
                       .ops = in->ops,
                       .columns = columns_out};
}

// ---- Rows ---------------------------------------------------------------------------------------

cst_code csti_gather_open(const csti_projection *projection, uint32_t rows_capacity,
                          csti_gather *out, cst_err *err) {
    const cst_schema *schema = &projection->shape.schema;
    bool complete = true;

    assert(rows_capacity > 0);
    *out = (csti_gather){.rows_capacity = rows_capacity};
    out->ops = malloc(rows_capacity);
    complete = out->ops != NULL;
    for (uint32_t c = 0; c < schema->columns_count; c++) {
        const uint32_t width = cst_column_value_bytes(&schema->columns[c]);

        csti_buffer_init(&out->text[c], INT32_MAX);
        out->validity[c] = malloc((rows_capacity + 7) / 8);
        if (width)
            out->values[c] = malloc((size_t)rows_capacity * width);
        else
            out->offsets[c] = malloc(((size_t)rows_capacity + 1) * sizeof(int32_t));
        complete = complete && out->validity[c] && (out->values[c] || out->offsets[c]);
    }
    if (complete) return CST_OK;
    csti_gather_close(out);
    return cst_fail(err, CST_NO_MEMORY, "rows that filters keep: a batch of %u", rows_capacity);
}

void csti_gather_close(csti_gather *gather) {
    for (uint32_t c = 0; c < CST_COLUMNS_MAX; c++) {
        free(gather->values[c]);
        free(gather->validity[c]);
        free(gather->offsets[c]);
        if (gather->text[c].bytes_max) csti_buffer_release(&gather->text[c]);
    }
    free(gather->ops);
    *gather = (csti_gather){0};
}

// The width is a constant in each of these loops.
#define GATHER_LOOP(WIDTH)                                                                         \
    for (uint32_t i = 0; i < count; i++)                                                           \
    memcpy((uint8_t *)out + (size_t)i * (WIDTH), (const uint8_t *)in + (size_t)rows[i] * (WIDTH),  \
           (WIDTH))

void csti_gather_values(void *out, const void *in, uint32_t width, const uint32_t *rows,
                        uint32_t count) {
    switch (width) {
    case 1:
        GATHER_LOOP(1);
        break;
    case 2:
        GATHER_LOOP(2);
        break;
    case 4:
        GATHER_LOOP(4);
        break;
    case 8:
        GATHER_LOOP(8);
        break;
    case 16:
        GATHER_LOOP(16);
        break;
    default:
        GATHER_LOOP(width);
        break;
    }
}

void csti_gather_bits(uint8_t *out, uint32_t first, const uint8_t *in, const uint32_t *rows,
                      uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t at = first + i;
        const uint32_t bit = in ? in[rows[i] / 8] >> (rows[i] % 8) & 1u : 1u;
        const uint32_t others = out[at / 8] & ~(1u << (at % 8));

        out[at / 8] = (uint8_t)(others | bit << (at % 8));
    }
}

static cst_code gather_text(csti_gather *gather, uint32_t c, const cst_column_data *in,
                            const uint32_t *rows, uint32_t count, cst_err *err) {
    csti_buffer *text = &gather->text[c];
    const uint8_t *values = in->values.data;

    csti_buffer_reset(text);
    gather->offsets[c][0] = 0;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t from = csti_offset_at(&in->offsets, rows[i]);
        const uint32_t bytes = csti_offset_at(&in->offsets, rows[i] + 1) - from;
        const cst_code code =
            bytes ? csti_buffer_append(text, values + from, bytes, err) : (cst_code)CST_OK;

        if (code != CST_OK) return code;
        gather->offsets[c][i + 1] = (int32_t)text->used_bytes;
    }
    gather->columns[c].values = (cst_buffer){text->bytes, text->used_bytes};
    gather->columns[c].offsets =
        (cst_buffer){gather->offsets[c], ((size_t)count + 1) * sizeof(int32_t)};
    return CST_OK;
}

cst_code csti_gather_rows(csti_gather *gather, const csti_projection *projection,
                          const cst_batch *in, const uint32_t *rows, uint32_t count, cst_batch *out,
                          cst_err *err) {
    const cst_schema *schema = &projection->shape.schema;

    assert(count <= gather->rows_capacity);
    for (uint32_t c = 0; c < schema->columns_count; c++) {
        const cst_column_data *data = &in->columns[projection->columns[c]];
        const uint32_t width = cst_column_value_bytes(&schema->columns[c]);

        gather->columns[c] = (cst_column_data){0};
        if (width) {
            csti_gather_values(gather->values[c], data->values.data, width, rows, count);
            gather->columns[c].values = (cst_buffer){gather->values[c], (size_t)count * width};
        } else {
            const cst_code code = gather_text(gather, c, data, rows, count, err);
            if (code != CST_OK) return code;
        }
        if (data->validity.bytes == 0) continue;
        csti_gather_bits(gather->validity[c], 0, data->validity.data, rows, count);
        gather->columns[c].validity = (cst_buffer){gather->validity[c], (count + 7) / 8};
    }
    *out = (cst_batch){.schema = schema, .rows_count = count, .columns = gather->columns};
    if (in->ops.bytes == 0) return CST_OK;
    csti_gather_values(gather->ops, in->ops.data, 1, rows, count);
    out->ops = (cst_buffer){gather->ops, count};
    return CST_OK;
}
