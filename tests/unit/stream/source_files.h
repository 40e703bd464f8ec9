// source_files.h: files of a test's own, and a source that reads them.
#ifndef CST_TEST_SOURCE_FILES_H
#define CST_TEST_SOURCE_FILES_H

#include "stream/source.h"
#include "stream/value_text.h"
#include "test.h"
#include "unit/state/folder.h"

#include <fcntl.h>

typedef struct source_files {
    char folder[256];
    csti_source_options options;
} source_files;

// "auction u64, note nullable string" and so on, as shape.
static inline csti_row_shape shape_of(const char *schema, const char *const *names) {
    csti_row_shape shape = {0};

    CHECK_OK(cst_schema_parse(schema, &shape.schema, NULL));
    for (uint32_t c = 0; c < shape.schema.columns_count; c++)
        (void)snprintf(shape.names[c], sizeof shape.names[c], "%s", names[c]);
    return shape;
}

static inline source_files files_make(csti_file_format format, const csti_row_shape *shape) {
    source_files files = {.options = {.kind = CSTI_SOURCE_FILE, .format = format, .shape = *shape}};

    folder_make(files.folder, sizeof files.folder);
    return files;
}

static inline void files_write(const source_files *files, const char *name, const char *mode,
                               const void *text, size_t bytes) {
    char path[600];
    FILE *out;

    (void)snprintf(path, sizeof path, "%s/%s", files->folder, name);
    out = fopen(path, mode);
    CHECK(out);
    CHECK_EQ(fwrite(text, 1, bytes, out), bytes);
    CHECK_EQ(fclose(out), 0);
}

static inline void files_put(const source_files *files, const char *name, const char *text) {
    files_write(files, name, "wb", text, strlen(text));
}

static inline void files_add(const source_files *files, const char *name, const char *text) {
    files_write(files, name, "ab", text, strlen(text));
}

static inline csti_source *files_open(source_files *files) {
    csti_source *source = NULL;
    cst_err err = {0};

    files->options.path = files->folder;
    if (csti_source_open(&files->options, &source, &err) != CST_OK) TEST_FAIL("%s", err.text);
    return source;
}

// Rows as "7|web|\n", a null as "-", behind what is in `out` already.
static inline void batch_text(const cst_batch *batch, char *out, size_t capacity) {
    size_t used = strlen(out);

    CHECK_OK(cst_batch_check(batch, NULL));
    for (uint32_t r = 0; r < batch->rows_count; r++) {
        for (uint32_t c = 0; c < batch->schema->columns_count; c++) {
            const cst_column *column = &batch->schema->columns[c];
            const cst_column_data *data = &batch->columns[c];
            const uint8_t *bits = data->validity.data;
            const uint32_t width = cst_column_value_bytes(column);
            const uint8_t *at = (const uint8_t *)data->values.data + (size_t)r * width;
            cst_value value = {.bytes = at, .bytes_count = width};
            size_t bytes = 0;
            float narrow;

            if (data->validity.bytes && !(bits[r / 8] >> r % 8 & 1)) {
                out[used++] = '-';
                out[used++] = '|';
                continue;
            }
            if (!width) {
                const int32_t *offsets = data->offsets.data;

                value.bytes = (const uint8_t *)data->values.data + offsets[r];
                value.bytes_count = (uint32_t)(offsets[r + 1] - offsets[r]);
            } else if (column->type == CST_TYPE_F32) {
                memcpy(&narrow, at, sizeof narrow);
                value.f64 = (double)narrow;
            } else if (column->type == CST_TYPE_F64) {
                memcpy(&value.f64, at, sizeof value.f64);
            } else if (width <= 16) {
                const bool negative =
                    (column->type >= CST_TYPE_I8 && column->type <= CST_TYPE_I128) ||
                    column->type == CST_TYPE_DATE || column->type == CST_TYPE_TIMESTAMP ||
                    column->type == CST_TYPE_DECIMAL128;

                value.i128 = negative && at[width - 1] >> 7 ? -1 : 0;
                memcpy(&value.u128, at, width);
            }
            CHECK(used + value.bytes_count * 2 + 80 < capacity);
            CHECK_OK(csti_value_write(column, &value, out + used, capacity - used - 2, &bytes));
            used += bytes;
            out[used++] = '|';
        }
        out[used++] = '\n';
    }
    out[used] = '\0';
}

#endif
