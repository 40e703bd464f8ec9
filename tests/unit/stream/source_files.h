// source_files.h: files of a test's own, and a source that reads them.
#ifndef CST_TEST_SOURCE_FILES_H
#define CST_TEST_SOURCE_FILES_H

#include "stream/source.h"
#include "test.h"
#include "unit/state/folder.h"
#include "unit/stream/slow_rows.h"

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
    if (bytes) CHECK_EQ(fwrite(text, 1, bytes, out), bytes);
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
    const size_t used = strlen(out);
    rows printed = {0};

    rows_print(&printed, batch);
    CHECK(used + printed.used < capacity);
    memcpy(out + used, printed.text, printed.used + 1);
    rows_free(&printed);
}

#endif
