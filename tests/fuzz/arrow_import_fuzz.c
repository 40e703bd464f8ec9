// arrow_import_fuzz.c: a schema's text, a newline, and what a producer makes of it.
//
// The bytes behind the newline choose lengths, offsets, null counts, missing buffers and wrong
// counts, and fill the buffers. What the interface cannot check is kept: each buffer is as long as
// format, length and offset say, and the last string offset lies inside its bytes. What is accepted
// must encode, and every key must decode.
#include "fuzz/fuzz.h"

#include <constellation/arrow.h>
#include <constellation/keys.h>
#include <stdlib.h>
#include <string.h>

enum { SCHEMA_BYTES_MAX = 400, ROWS_MAX = 48, TEXT_BYTES = 200, BUFFERS_MAX = 3 };

static void require(int condition) {
    if (!condition) abort();
}

// The input as an endless tape: zeros behind its end.
typedef struct tape {
    const uint8_t *bytes;
    size_t count;
} tape;

static uint8_t take(tape *in) {
    if (in->count == 0) return 0;
    in->count--;
    return *in->bytes++;
}

typedef struct producer {
    struct ArrowArray array;
    struct ArrowArray children[CST_COLUMNS_MAX];
    struct ArrowArray *pointers[CST_COLUMNS_MAX];
    const void *buffers[CST_COLUMNS_MAX][BUFFERS_MAX];
    void *blocks[CST_COLUMNS_MAX][BUFFERS_MAX];
    const void *no_bitmap[1];
    int64_t rows; // what the buffers hold
    int released_count;
} producer;

static void producer_release(struct ArrowArray *array) {
    producer *p = array->private_data;
    p->released_count++;
    array->release = NULL;
}

static void child_release(struct ArrowArray *array) {
    array->release = NULL;
}

static void *filled(size_t bytes, tape *in) {
    uint8_t *block = malloc(bytes ? bytes : 1);
    if (!block) abort();
    for (size_t i = 0; i < bytes; i++) block[i] = take(in);
    return block;
}

static int32_t *offsets_filled(size_t count, tape *in) {
    int32_t *offsets = malloc(4 * count);
    int32_t at = 0;

    if (!offsets) abort();
    for (size_t i = 0; i < count; i++) {
        const int8_t step = (int8_t)take(in); // mostly forwards, sometimes back
        at += step < -120 ? step : step & 7;
        offsets[i] = at > TEXT_BYTES ? TEXT_BYTES : at; // any of them may be a slice's last
    }
    return offsets;
}

static void child_fill(producer *p, uint32_t index, const cst_column *column, size_t rows,
                       tape *in) {
    struct ArrowArray *child = &p->children[index];
    const size_t offset = take(in) % 20;
    const size_t values = offset + rows; // parent's offset included by the caller
    const uint32_t width = cst_column_value_bytes(column);

    if (width == 0) {
        p->blocks[index][1] = offsets_filled(values + 1, in);
        p->blocks[index][2] = filled(TEXT_BYTES, in);
    } else {
        p->blocks[index][1] =
            filled(column->type == CST_TYPE_BOOL ? (values + 7) / 8 : values * width, in);
    }
    if (take(in) % 2) p->blocks[index][0] = filled((values + 7) / 8, in);
    for (int i = 0; i < BUFFERS_MAX; i++) p->buffers[index][i] = p->blocks[index][i];
    *child = (struct ArrowArray){.length = (int64_t)rows,
                                 .null_count = take(in) % 2 ? -1 : 0,
                                 .offset = (int64_t)offset,
                                 .n_buffers = width ? 2 : 3,
                                 .buffers = p->buffers[index],
                                 .release = child_release};
    p->pointers[index] = child;
}

static void producer_fill(producer *p, const cst_schema *schema, tape *in) {
    const size_t rows = take(in) % ROWS_MAX;
    const size_t offset = take(in) % 20;

    p->rows = (int64_t)rows;
    for (uint32_t i = 0; i < schema->columns_count; i++)
        child_fill(p, i, &schema->columns[i], offset + rows, in);
    p->array = (struct ArrowArray){.length = (int64_t)rows,
                                   .offset = (int64_t)offset,
                                   .n_buffers = 1,
                                   .n_children = schema->columns_count,
                                   .buffers = p->no_bitmap,
                                   .children = p->pointers,
                                   .release = producer_release,
                                   .private_data = p};
}

static int64_t lie(tape *in) {
    static const int64_t lies[] = {-1, -2, 1, 2, 3, 21, INT64_MAX, INT64_MIN};
    return lies[take(in) % 8];
}

// One field is made a lie, one that an importer can see through.
static void producer_lie(producer *p, uint32_t columns_count, tape *in) {
    const uint8_t choice = take(in);
    struct ArrowArray *child = &p->children[choice / 16 % columns_count];

    switch (choice % 16) {
    case 0:
        p->array.length = lie(in);
        break;
    case 1:
        p->array.null_count = lie(in);
        break;
    case 2:
        p->array.n_buffers = lie(in);
        break;
    case 3:
        p->array.n_children = lie(in);
        break;
    case 4:
        p->array.buffers = NULL;
        break;
    case 5:
        p->array.children = NULL;
        break;
    case 6:
        p->pointers[0] = NULL;
        break;
    case 7:
        child->null_count = lie(in);
        break;
    case 8:
        child->n_buffers = lie(in);
        break;
    case 9:
        child->n_children = lie(in);
        break;
    case 10:
        child->buffers = NULL;
        break;
    case 11:
        p->buffers[choice / 16 % columns_count][1] = NULL;
        break;
    case 12:
        child->release = NULL;
        break;
    case 13:
        child->dictionary = child;
        break;
    case 14:
        child->length = -1;
        break;
    default:
        child->offset = -1;
        break;
    }
    // Rows above the limit are refused; between that and what the buffers hold lies a lie that
    // nobody can see: it is not told.
    if (p->array.length > p->rows && p->array.length <= CST_BATCH_ROWS_MAX)
        p->array.length = p->rows;
}

static void use(const cst_batch *batch) {
    const uint32_t rows = batch->rows_count;
    cst_keys keys = {.bytes_capacity = cst_keys_bytes_bound(batch)};
    cst_value values[CST_COLUMNS_MAX];
    uint8_t *scratch = malloc(keys.bytes_capacity + 1);

    keys.bytes = malloc(keys.bytes_capacity + 1);
    keys.offsets = malloc(4 * ((size_t)rows + 1));
    require(keys.bytes && keys.offsets && scratch);
    require(cst_keys_encode(batch, &keys) == CST_OK);
    for (uint32_t row = 0; row < rows; row++)
        require(cst_key_decode(batch->schema, keys.bytes + keys.offsets[row],
                               keys.offsets[row + 1] - keys.offsets[row], values, scratch,
                               NULL) == CST_OK);
    free(keys.bytes);
    free(keys.offsets);
    free(scratch);
}

static void produce(const cst_schema *schema, tape *in) {
    producer *p = calloc(1, sizeof *p);
    struct ArrowSchema arrow;
    cst_arrow_batch *imported = NULL;
    cst_err err;

    require(p != NULL);
    require(cst_arrow_schema_export(schema, &arrow, NULL) == CST_OK);
    const uint8_t lies_count = take(in) % 3;
    producer_fill(p, schema, in);
    for (uint8_t i = 0; i < lies_count; i++) producer_lie(p, schema->columns_count, in);
    if (cst_arrow_import(&arrow, &p->array, schema, &imported, &err) == CST_OK) {
        require(!p->array.release && p->released_count == 0);
        use(cst_arrow_batch_get(imported));
        cst_arrow_batch_free(imported);
        require(p->released_count == 1);
    } else {
        require(p->array.release && !imported);
    }
    arrow.release(&arrow);
    for (uint32_t i = 0; i < CST_COLUMNS_MAX; i++)
        for (int buffer = 0; buffer < BUFFERS_MAX; buffer++) free(p->blocks[i][buffer]);
    free(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    const uint8_t *newline = count ? memchr(bytes, '\n', count) : NULL;
    char text[SCHEMA_BYTES_MAX + 1];
    cst_schema schema;

    if (!newline || newline - bytes > SCHEMA_BYTES_MAX) return 0;
    memcpy(text, bytes, (size_t)(newline - bytes));
    text[newline - bytes] = '\0';
    if (cst_schema_parse(text, &schema, NULL) != CST_OK) return 0;
    tape in = {newline + 1, count - (size_t)(newline + 1 - bytes)};
    produce(&schema, &in);
    return 0;
}
