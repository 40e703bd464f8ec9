// arrow_test.c: batches through Arrow's C data interface and back, and every lie a producer can
// tell.
#include "test.h"

#include <constellation/arrow.h>

#include "unit/codec/random_batch.h"

// ---- round trips ----------------------------------------------------------------------------

static void *encode(const cst_batch *batch, cst_keys *keys) {
    keys->bytes_capacity = cst_keys_bytes_bound(batch);
    keys->bytes = test_block(keys->bytes_capacity);
    keys->offsets = test_block(4 * ((size_t)batch->rows_count + 1));
    CHECK_OK(cst_keys_encode(batch, keys));
    return keys->bytes;
}

static void check_same_keys(const cst_batch *a, const cst_batch *b) {
    cst_keys keys_a = {.stride = 0};
    cst_keys keys_b = {.stride = 0};

    CHECK_EQ(a->rows_count, b->rows_count);
    encode(a, &keys_a);
    encode(b, &keys_b);
    CHECK_BYTES(keys_a.offsets, keys_b.offsets, 4 * ((size_t)a->rows_count + 1));
    CHECK_BYTES(keys_a.bytes, keys_b.bytes, keys_a.offsets[a->rows_count]);
    free(keys_a.bytes);
    free(keys_a.offsets);
    free(keys_b.bytes);
    free(keys_b.offsets);
}

TEST(what_is_exported_is_imported_equal) {
    for (int round = 0; round < 600; round++) {
        random_batch random = {.schema = random_schema(5, false)};
        struct ArrowSchema schema;
        struct ArrowArray array;
        cst_arrow_batch *imported = NULL;
        cst_schema seen;
        random_batch_fill(&random, (uint32_t)test_random_below(70));
        CHECK_OK(cst_arrow_schema_export(&random.schema, &schema, NULL));
        CHECK_OK(cst_arrow_export(&random.batch, &array, NULL));
        CHECK_OK(cst_arrow_schema_import(&schema, &seen, NULL));
        for (uint32_t i = 0; i < seen.columns_count; i++) {
            CHECK_EQ(seen.columns[i].type, random.schema.columns[i].type);
            CHECK_EQ(seen.columns[i].width, random.schema.columns[i].width);
            CHECK_EQ(seen.columns[i].scale, random.schema.columns[i].scale);
            CHECK_EQ(seen.columns[i].nullable, random.schema.columns[i].nullable);
        }
        CHECK_OK(cst_arrow_import(&schema, &array, &random.schema, &imported, NULL));
        CHECK(!array.release); // moved
        check_same_keys(cst_arrow_batch_get(imported), &random.batch);
        cst_arrow_batch_free(imported);
        schema.release(&schema);
        CHECK(!schema.release);
        random_batch_free(&random);
    }
}

// A slice of a producer's array: parent and child have offsets of their own, and both count.
TEST(slices_import_as_their_rows) {
    for (int round = 0; round < 600; round++) {
        random_batch random = {.schema = random_schema(4, false)};
        struct ArrowSchema schema;
        struct ArrowArray whole;
        struct ArrowArray slice;
        cst_arrow_batch *a = NULL;
        cst_arrow_batch *b = NULL;
        const uint32_t parent = (uint32_t)test_random_below(20);
        const uint32_t child = (uint32_t)test_random_below(20);
        const uint32_t rows = (uint32_t)test_random_below(20);
        random_batch_fill(&random, 60);
        CHECK_OK(cst_arrow_schema_export(&random.schema, &schema, NULL));
        CHECK_OK(cst_arrow_export(&random.batch, &whole, NULL));
        CHECK_OK(cst_arrow_export(&random.batch, &slice, NULL));
        slice.offset = parent;
        slice.length = rows;
        for (int64_t i = 0; i < slice.n_children; i++) {
            slice.children[i]->offset = child;
            slice.children[i]->length = parent + rows;
            if (slice.children[i]->null_count > 0) slice.children[i]->null_count = -1;
        }
        CHECK_OK(cst_arrow_import(&schema, &whole, &random.schema, &a, NULL));
        CHECK_OK(cst_arrow_import(&schema, &slice, &random.schema, &b, NULL));
        for (uint32_t row = 0; row < rows; row++) {
            static uint8_t key_a[1 << 16];
            static uint8_t key_b[1 << 16];
            cst_value values[CST_COLUMNS_MAX];
            uint32_t bytes_a = 0;
            uint32_t bytes_b = 0;
            row_values(cst_arrow_batch_get(a), parent + child + row, values);
            CHECK_OK(cst_key_encode(&random.schema, values, key_a, sizeof key_a, &bytes_a, NULL));
            row_values(cst_arrow_batch_get(b), row, values);
            CHECK_OK(cst_key_encode(&random.schema, values, key_b, sizeof key_b, &bytes_b, NULL));
            CHECK_EQ(bytes_a, bytes_b);
            CHECK_BYTES(key_a, key_b, bytes_a);
        }
        cst_arrow_batch_free(a);
        cst_arrow_batch_free(b);
        schema.release(&schema);
        random_batch_free(&random);
    }
}

static void (*released_by)(struct ArrowArray *array);
static int releases_count;

static void count_release(struct ArrowArray *array) {
    releases_count++;
    released_by(array);
}

TEST(an_imported_array_is_released_once_when_the_batch_is_freed) {
    random_batch random = {.schema = random_schema(3, false)};
    struct ArrowSchema schema;
    struct ArrowArray array;
    cst_arrow_batch *imported = NULL;

    random_batch_fill(&random, 20);
    CHECK_OK(cst_arrow_schema_export(&random.schema, &schema, NULL));
    CHECK_OK(cst_arrow_export(&random.batch, &array, NULL));
    released_by = array.release;
    array.release = count_release;
    CHECK_OK(cst_arrow_import(&schema, &array, &random.schema, &imported, NULL));
    CHECK_EQ(releases_count, 0);
    cst_arrow_batch_free(imported);
    CHECK_EQ(releases_count, 1);
    cst_arrow_batch_free(NULL);
    schema.release(&schema);
    random_batch_free(&random);
}

TEST(children_moved_out_outlive_their_parents) {
    random_batch random = {.schema = {.columns_count = 2}};
    struct ArrowSchema schema;
    struct ArrowArray array;

    random.schema.columns[0] = (cst_column){.type = CST_TYPE_U32};
    random.schema.columns[1] = (cst_column){.type = CST_TYPE_UUID};
    random_batch_fill(&random, 10);
    CHECK_OK(cst_arrow_schema_export(&random.schema, &schema, NULL));
    CHECK_OK(cst_arrow_export(&random.batch, &array, NULL));
    struct ArrowArray moved = *array.children[0];
    array.children[0]->release = NULL;
    array.release(&array);
    CHECK(!array.release);
    CHECK_BYTES(moved.buffers[1], random.columns[0].values.data, 40);
    moved.release(&moved);
    struct ArrowSchema moved_schema = *schema.children[1];
    schema.children[1]->release = NULL;
    schema.release(&schema);
    CHECK_TEXT(moved_schema.format, "w:16");
    moved_schema.release(&moved_schema);
    random_batch_free(&random);
}

TEST(fixed_width_values_and_byte_aligned_bitmaps_are_not_copied) {
    random_batch random = {.schema = {.columns_count = 2}};
    struct ArrowSchema schema;
    struct ArrowArray array;
    cst_arrow_batch *imported = NULL;

    random.schema.columns[0] = (cst_column){.type = CST_TYPE_U64, .nullable = true};
    random.schema.columns[1] = (cst_column){.type = CST_TYPE_STRING};
    do {
        random_batch_fill(&random, 40);
        if (!random.columns[0].validity.data) random_batch_free(&random);
    } while (!random.columns[0].validity.data);
    CHECK_OK(cst_arrow_schema_export(&random.schema, &schema, NULL));
    CHECK_OK(cst_arrow_export(&random.batch, &array, NULL));
    array.offset = 8;
    array.length = 32;
    const void **numbers = array.children[0]->buffers;
    const void **texts = array.children[1]->buffers;
    CHECK_OK(cst_arrow_import(&schema, &array, &random.schema, &imported, NULL));
    const cst_column_data *columns = cst_arrow_batch_get(imported)->columns;
    CHECK(columns[0].values.data == (const uint8_t *)numbers[1] + 64);
    CHECK(columns[0].validity.data == (const uint8_t *)numbers[0] + 1);
    CHECK(columns[1].offsets.data == (const uint8_t *)texts[1] + 32);
    CHECK(columns[1].values.data == texts[2]);
    CHECK_EQ(columns[1].offsets.bytes, 4 * (32 + 1));
    cst_arrow_batch_free(imported);
    schema.release(&schema);
    random_batch_free(&random);
}

TEST(a_batch_of_no_rows_may_have_no_buffers) {
    const cst_schema wanted = {.columns_count = 1, .columns = {{.type = CST_TYPE_STRING}}};
    const cst_column_data none = {.values = {NULL, 0}};
    const cst_batch empty = {&wanted, 0, {NULL, 0}, &none};
    struct ArrowSchema schema;
    struct ArrowArray array;
    cst_arrow_batch *imported = NULL;

    CHECK_OK(cst_arrow_schema_export(&wanted, &schema, NULL));
    CHECK_OK(cst_arrow_export(&empty, &array, NULL));
    array.children[0]->buffers[1] = NULL;
    array.children[0]->buffers[2] = NULL;
    CHECK_OK(cst_arrow_import(&schema, &array, &wanted, &imported, NULL));
    CHECK_EQ(cst_arrow_batch_get(imported)->rows_count, 0);
    cst_arrow_batch_free(imported);
    cst_arrow_batch_free(NULL);
    schema.release(&schema);
}

// ---- formats --------------------------------------------------------------------------------

static void no_release(struct ArrowSchema *schema) {
    schema->release = NULL;
}

// A struct of one column of this format.
static cst_code import_format(const char *format, const char *metadata, cst_column *out,
                              cst_err *err) {
    struct ArrowSchema column = {.format = format, .metadata = metadata, .release = no_release};
    struct ArrowSchema *children[] = {&column};
    const struct ArrowSchema arrow = {.format = "+s",
                                      .n_children = 1,
                                      .children = children,
                                      .release = no_release};
    cst_schema schema = {.columns_count = 0};
    const cst_code code = cst_arrow_schema_import(&arrow, &schema, err);
    *out = schema.columns[0];
    return code;
}

TEST(formats_become_types) {
    static const struct {
        const char *format;
        cst_type type;
        int width, scale;
    } cases[] = {
        {"C", CST_TYPE_U8, 0, 0},        {"l", CST_TYPE_I64, 0, 0},
        {"tdD", CST_TYPE_DATE, 0, 0},    {"tsu:", CST_TYPE_TIMESTAMP, 0, 0},
        {"b", CST_TYPE_BOOL, 0, 0},      {"tsu:Europe/Berlin", CST_TYPE_TIMESTAMP, 0, 0},
        {"w:1", CST_TYPE_FIXED, 1, 0},   {"w:256", CST_TYPE_FIXED, 256, 0},
        {"w:16", CST_TYPE_FIXED, 16, 0}, {"d:38,38", CST_TYPE_DECIMAL128, 0, 38},
        {"u", CST_TYPE_STRING, 0, 0},    {"d:10,2,128", CST_TYPE_DECIMAL128, 0, 2},
    };
    cst_column column;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CHECK_OK(import_format(cases[i].format, NULL, &column, NULL));
        CHECK_EQ(column.type, cases[i].type);
        CHECK_EQ(column.width, cases[i].width);
        CHECK_EQ(column.scale, cases[i].scale);
    }
}

TEST(formats_without_a_type_say_what_helps) {
    static const struct {
        const char *format, *wanted;
    } cases[] = {
        {"U", "'U' has no column type. Cast large_string to string"},
        {"Z", "'Z' has no column type. Cast large_binary to binary"},
        {"vu", "'vu' has no column type. Cast string_view to string"},
        {"tsn:UTC", "'tsn:UTC' has no column type. Cast the timestamp to microseconds"},
        {"tdm", "'tdm' has no column type. Cast date64 to date32"},
        {"e", "'e' has no column type. Cast float16 to float32"},
        {"d:39,2", "'d:39,2' has no column type. Cast the decimal to decimal128 with a scale of 0 "
                   "to 38"},
        {"d:10,-2", "'d:10,-2' has no column type. Cast the decimal to decimal128 with a scale of "
                    "0 to 38"},
        {"d:10,2,256", "'d:10,2,256' has no column type. Cast the decimal to decimal128 with a "
                       "scale of 0 to 38"},
        {"w:0", "'w:0' has no column type. Widths are 1 to 256 bytes"},
        {"w:257", "'w:257' has no column type. Widths are 1 to 256 bytes"},
        {"w:99999999", "'w:99999999' has no column type. Widths are 1 to 256 bytes"},
        {"+l", "'+l' has no column type"},
        {"", "'' has no column type"},
    };
    cst_column column;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cst_err err = {.text = ""};
        char wanted[256];
        CHECK_CODE(import_format(cases[i].format, NULL, &column, &err), CST_UNSUPPORTED);
        (void)snprintf(wanted, sizeof wanted, "arrow import failed: column 0: format %s",
                       cases[i].wanted);
        CHECK_TEXT(err.text, wanted);
    }
}

static const char *metadata(int32_t pairs, const char *key, const char *value) {
    static char out[256];
    char *at = out;
    const int32_t key_bytes = (int32_t)strlen(key);
    const int32_t value_bytes = (int32_t)strlen(value);

    memcpy(at, &pairs, 4);
    memcpy(at += 4, &key_bytes, 4);
    memcpy(at += 4, key, (size_t)key_bytes);
    memcpy(at += key_bytes, &value_bytes, 4);
    memcpy(at + 4, value, (size_t)value_bytes);
    return out;
}

TEST(sixteen_bytes_are_what_their_extension_says) {
    static const char key[] = "ARROW:extension:name";
    cst_column column;

    CHECK_OK(import_format("w:16", metadata(1, key, "arrow.uuid"), &column, NULL));
    CHECK_EQ(column.type, CST_TYPE_UUID);
    CHECK_OK(import_format("w:16", metadata(1, key, "constellation.i128"), &column, NULL));
    CHECK_EQ(column.type, CST_TYPE_I128);
    CHECK_OK(import_format("w:16", metadata(1, "other", "arrow.uuid"), &column, NULL));
    CHECK_EQ(column.type, CST_TYPE_FIXED);
    CHECK_OK(import_format("w:16", metadata(0, "", ""), &column, NULL));
    CHECK_EQ(column.type, CST_TYPE_FIXED);
    CHECK_OK(import_format("w:15", metadata(1, key, "arrow.uuid"), &column, NULL));
    CHECK_EQ(column.width, 15);
    CHECK_OK(import_format("w:16",
                           metadata(1, key,
                                    "a.name.that.is.longer.than.any.that.we.know.of.and."
                                    "is.cut.before.it.is.compared"),
                           &column, NULL));
    CHECK_EQ(column.type, CST_TYPE_FIXED);
    CHECK_CODE(import_format("w:16", metadata(-1, key, "x"), &column, NULL), CST_USAGE);
    CHECK_CODE(import_format("w:16", metadata(100000, key, "x"), &column, NULL), CST_USAGE);
    const int32_t lie[2] = {1, -5};
    CHECK_CODE(import_format("w:16", (const char *)lie, &column, NULL), CST_USAGE);
}

// ---- lies -----------------------------------------------------------------------------------

typedef struct fixture {
    random_batch random;
    struct ArrowSchema schema;
    struct ArrowArray array;
} fixture;

// Two columns, u64 and string, without nulls, of ten rows.
static void fixture_open(fixture *f) {
    *f = (fixture){.random = {.schema = {.columns_count = 2}}};
    f->random.schema.columns[0] = (cst_column){.type = CST_TYPE_U64};
    f->random.schema.columns[1] = (cst_column){.type = CST_TYPE_STRING};
    random_batch_fill(&f->random, 10);
    CHECK_OK(cst_arrow_schema_export(&f->random.schema, &f->schema, NULL));
    CHECK_OK(cst_arrow_export(&f->random.batch, &f->array, NULL));
}

static void fixture_close(fixture *f) {
    f->schema.release(&f->schema);
    f->array.release(&f->array);
    random_batch_free(&f->random);
}

// Breaks one field, sees the import refused with this text and nothing moved, and mends it again.
#define REFUSED(FIELD, LIE, CODE, TEXT)                                                            \
    do {                                                                                           \
        fixture f;                                                                                 \
        cst_err err = {.text = ""};                                                                \
        cst_arrow_batch *imported = NULL;                                                          \
        fixture_open(&f);                                                                          \
        __typeof__(FIELD) truth = FIELD;                                                           \
        FIELD = LIE;                                                                               \
        CHECK_CODE(cst_arrow_import(&f.schema, &f.array, &f.random.schema, &imported, &err),       \
                   CODE);                                                                          \
        CHECK_TEXT(err.text, "arrow import failed: " TEXT);                                        \
        CHECK(!imported);                                                                          \
        FIELD = truth;                                                                             \
        fixture_close(&f);                                                                         \
    } while (0)

TEST(a_struct_that_lies_is_refused_and_stays_the_callers) {
    REFUSED(f.schema.release, NULL, CST_USAGE, "the schema is released");
    REFUSED(f.schema.format, "u", CST_USAGE, "format 'u' is not a struct of columns, '+s'");
    REFUSED(f.schema.format, NULL, CST_USAGE, "format 'NULL' is not a struct of columns, '+s'");
    REFUSED(f.schema.n_children, 0, CST_SCHEMA, "0 columns, a schema has 1 to 16");
    REFUSED(f.schema.n_children, -1, CST_SCHEMA, "-1 columns, a schema has 1 to 16");
    REFUSED(f.schema.n_children, 17, CST_SCHEMA, "17 columns, a schema has 1 to 16");
    REFUSED(f.schema.n_children, 1, CST_SCHEMA_MISMATCH, "1 columns, the schema has 2");
    REFUSED(f.schema.children, NULL, CST_USAGE, "the schema's children are NULL");
    REFUSED(f.array.release, NULL, CST_USAGE, "the array is released");
    REFUSED(f.array.length, -1, CST_BATCH, "the length is negative");
    REFUSED(f.array.length, 1048577, CST_LIMIT, "1048577 rows, a batch has at most 1048576");
    REFUSED(f.array.offset, -1, CST_BATCH, "the offset is negative or absurd");
    REFUSED(f.array.offset, INT64_MAX, CST_BATCH, "the offset is negative or absurd");
    REFUSED(f.array.n_buffers, 0, CST_BATCH, "a struct has one buffer");
    REFUSED(f.array.buffers, NULL, CST_BATCH, "a struct has one buffer");
    REFUSED(f.array.dictionary, &f.array, CST_BATCH, "a struct has no dictionary");
    REFUSED(f.array.n_children, 1, CST_BATCH, "the array's children are not the schema's");
    REFUSED(f.array.children, NULL, CST_BATCH, "the array's children are not the schema's");
    REFUSED(f.array.null_count, 11, CST_BATCH, "null_count is out of range");
    REFUSED(f.array.null_count, 1, CST_BATCH, "there are nulls, but no bitmap");
}

TEST(rows_that_are_null_as_a_whole_are_refused) {
    static const uint8_t bits[2] = {0xf7, 0x03};
    static const uint8_t all[2] = {0xff, 0x03};
    fixture f;
    cst_err err = {.text = ""};
    cst_arrow_batch *imported = NULL;

    fixture_open(&f);
    f.array.buffers[0] = bits;
    f.array.null_count = -1;
    CHECK_CODE(cst_arrow_import(&f.schema, &f.array, &f.random.schema, &imported, &err),
               CST_SCHEMA_MISMATCH);
    CHECK_TEXT(err.text, "arrow import failed: row 3 is null as a whole");
    f.array.buffers[0] = all;
    CHECK_OK(cst_arrow_import(&f.schema, &f.array, &f.random.schema, &imported, &err));
    f.array = (struct ArrowArray){.release = NULL};
    cst_arrow_batch_free(imported);
    f.schema.release(&f.schema);
    random_batch_free(&f.random);
}

TEST(a_column_that_lies_is_refused_and_stays_the_callers) {
    REFUSED(f.schema.children[1], NULL, CST_USAGE, "column 1: its schema is NULL");
    REFUSED(f.schema.children[1]->release, NULL, CST_USAGE, "column 1: its schema is released");
    REFUSED(f.schema.children[1]->format, NULL, CST_USAGE, "column 1: format is NULL");
    REFUSED(f.schema.children[1]->dictionary, &f.schema, CST_UNSUPPORTED,
            "column 1: dictionaries have no column type. Decode the dictionary");
    REFUSED(f.schema.children[1]->metadata, "\xff\xff\xff\xff", CST_USAGE,
            "column 1: metadata is malformed");
    REFUSED(f.schema.children[1]->format, "l", CST_SCHEMA_MISMATCH,
            "column 1: format 'l', the schema says string");
    REFUSED(f.array.children[0], NULL, CST_USAGE, "column 0: the array is NULL");
    REFUSED(f.array.children[0]->release, NULL, CST_USAGE, "column 0: the array is released");
    REFUSED(f.array.children[0]->offset, -1, CST_BATCH,
            "column 0: the offset is negative or absurd");
    REFUSED(f.array.children[0]->offset, INT64_MAX, CST_BATCH,
            "column 0: the offset is negative or absurd");
    REFUSED(f.array.children[0]->length, 9, CST_BATCH, "column 0: shorter than the rows");
    REFUSED(f.array.children[0]->length, -1, CST_BATCH, "column 0: shorter than the rows");
    REFUSED(f.array.offset, 1, CST_BATCH, "column 0: shorter than the rows");
    REFUSED(f.array.children[0]->n_buffers, 3, CST_BATCH,
            "column 0: not the type's number of buffers");
    REFUSED(f.array.children[1]->n_buffers, 2, CST_BATCH,
            "column 1: not the type's number of buffers");
    REFUSED(f.array.children[0]->buffers, NULL, CST_BATCH,
            "column 0: not the type's number of buffers");
    REFUSED(f.array.children[0]->n_children, 1, CST_BATCH, "column 0: it has children");
    REFUSED(f.array.children[0]->dictionary, &f.array, CST_BATCH, "column 0: it has a dictionary");
    REFUSED(f.array.children[0]->null_count, -2, CST_BATCH, "column 0: null_count is out of range");
    REFUSED(f.array.children[0]->null_count, 11, CST_BATCH, "column 0: null_count is out of range");
    REFUSED(f.array.children[0]->null_count, 2, CST_BATCH,
            "column 0: there are nulls, but no bitmap");
    REFUSED(f.array.children[0]->buffers[1], NULL, CST_BATCH, "column 0: values is NULL");
    REFUSED(f.array.children[1]->buffers[1], NULL, CST_BATCH, "column 1: offsets is NULL");
}

TEST(what_the_batch_check_finds_is_an_error_of_the_import) {
    static const int32_t negative[11] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, -1};
    static const int32_t down[11] = {0, 5, 4, 5, 5, 5, 5, 5, 5, 5, 5};
    static const int32_t five[11] = {0, 5, 5, 5, 5, 5, 5, 5, 5, 5, 5};
    fixture f;
    cst_arrow_batch *imported = NULL;

    fixture_open(&f);
    f.array.children[1]->buffers[1] = negative;
    CHECK_CODE(cst_arrow_import(&f.schema, &f.array, &f.random.schema, &imported, NULL), CST_BATCH);
    f.array.children[1]->buffers[1] = down;
    f.array.children[1]->buffers[2] = "abcde";
    CHECK_CODE(cst_arrow_import(&f.schema, &f.array, &f.random.schema, &imported, NULL), CST_BATCH);
    f.array.children[1]->buffers[1] = five;
    f.array.children[1]->buffers[2] = NULL;
    CHECK_CODE(cst_arrow_import(&f.schema, &f.array, &f.random.schema, &imported, NULL), CST_BATCH);
    f.array.children[1]->buffers[2] = "abcd\xff";
    CHECK_CODE(cst_arrow_import(&f.schema, &f.array, &f.random.schema, &imported, NULL), CST_UTF8);
    f.random.schema.columns[1].width = 1;
    CHECK_CODE(cst_arrow_import(&f.schema, &f.array, &f.random.schema, &imported, NULL),
               CST_SCHEMA);
    f.random.schema.columns[1].width = 0;
    CHECK_CODE(cst_arrow_import(NULL, &f.array, &f.random.schema, &imported, NULL), CST_USAGE);
    CHECK_CODE(cst_arrow_import(&f.schema, NULL, &f.random.schema, &imported, NULL), CST_USAGE);
    CHECK(!imported);
    fixture_close(&f);
}

TEST(a_bad_schema_is_not_exported) {
    const cst_schema schema = {.columns_count = 0};
    struct ArrowSchema arrow;
    CHECK_CODE(cst_arrow_schema_export(&schema, &arrow, NULL), CST_SCHEMA);
}

TEST_MAIN
