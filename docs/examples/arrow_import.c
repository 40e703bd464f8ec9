// arrow_import.c: a batch from an Arrow producer, taken over without a copy, into keys.
//
//   producer ──ArrowSchema, ArrowArray──► cst_arrow_import ──► cst_batch ──► cst_keys_encode
//                                              │
//                                release is ours from here on, and called by cst_arrow_batch_free
//
// The producer is played by this file: what pyarrow or a database driver hands out looks the same.
//
// usage: example.arrow_import
#include <constellation/constellation.h>
#include <stdio.h>
#include <string.h>

enum { ROWS = 3, KEY_BYTES_MAX = 256 };

// ---- The producer
// -----------------------------------------------------------------------------------

static const int32_t ids[ROWS] = {7, -7, 0};
static const char names[] = "sevennone";
static const int32_t name_offsets[ROWS + 1] = {0, 5, 9, 9};
static const uint8_t names_present[1] = {0x03}; // the third is null
static int released_count;

static void array_release(struct ArrowArray *array) {
    for (int64_t i = 0; i < array->n_children; i++)
        if (array->children[i]->release) array->children[i]->release(array->children[i]);
    array->release = NULL;
    released_count++;
}

static void schema_release(struct ArrowSchema *schema) {
    schema->release = NULL;
}

static struct ArrowSchema column_schema(const char *format, int64_t flags) {
    return (struct ArrowSchema){.format = format,
                                .name = "",
                                .flags = flags,
                                .release = schema_release};
}

// ---- The consumer
// -----------------------------------------------------------------------------------

static cst_code keys_print(const cst_batch *batch, cst_err *err) {
    uint8_t bytes[KEY_BYTES_MAX];
    uint32_t offsets[ROWS + 1];
    cst_keys keys = {.bytes = bytes, .bytes_capacity = sizeof bytes, .offsets = offsets};
    const cst_code code = cst_keys_encode(batch, &keys);

    if (code != CST_OK) return cst_fail(err, code, "encode");
    for (uint32_t r = 0; r < batch->rows_count; r++) {
        for (uint32_t i = offsets[r]; i < offsets[r + 1]; i++) printf("%02x", bytes[i]);
        putchar('\n');
    }
    return CST_OK;
}

int main(void) {
    const void *id_buffers[2] = {NULL, ids};
    const void *name_buffers[3] = {names_present, name_offsets, names};
    const void *no_buffers[1] = {NULL};
    struct ArrowArray id = {.length = ROWS,
                            .n_buffers = 2,
                            .buffers = id_buffers,
                            .release = array_release};
    struct ArrowArray name = {.length = ROWS,
                              .null_count = 1,
                              .n_buffers = 3,
                              .buffers = name_buffers,
                              .release = array_release};
    struct ArrowArray *columns[2] = {&id, &name};
    struct ArrowArray rows = {.length = ROWS,
                              .n_buffers = 1,
                              .buffers = no_buffers,
                              .n_children = 2,
                              .children = columns,
                              .release = array_release};
    struct ArrowSchema id_schema = column_schema("i", 0);
    struct ArrowSchema name_schema = column_schema("u", ARROW_FLAG_NULLABLE);
    struct ArrowSchema *column_schemas[2] = {&id_schema, &name_schema};
    struct ArrowSchema rows_schema = column_schema("+s", 0);
    cst_arrow_batch *imported = NULL;
    cst_schema schema;
    cst_err err = {0};
    cst_code code;

    rows_schema.n_children = 2;
    rows_schema.children = column_schemas;
    code = cst_arrow_schema_import(&rows_schema, &schema, &err);
    if (code == CST_OK) code = cst_arrow_import(&rows_schema, &rows, &schema, &imported, &err);
    if (code == CST_OK) code = keys_print(cst_arrow_batch_get(imported), &err);
    cst_arrow_batch_free(imported);
    if (code == CST_OK && released_count != 3) // the struct and its two columns
        code = cst_fail(&err, CST_INTERNAL, "%d arrays were released", released_count);
    if (code != CST_OK) fprintf(stderr, "example.arrow_import: %s\n", err.text);
    return code == CST_OK ? 0 : 1;
}
