// arrow_schema.c: column types and Arrow's format strings, both ways.
#include <constellation/arrow.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/arrow_internal.h"
#include "codec/types.h"

enum {
    EXTENSION_BYTES_MAX = 64, // of a name we compare with
    METADATA_PAIRS_MAX = 256,
    METADATA_BYTES_MAX = 1 << 20, // of one key or value
    FORMAT_BYTES_MAX = 32,
    NAME_BYTES_MAX = 8,
    METADATA_OUT_BYTES = 96,
};

static const char extension_key[] = "ARROW:extension:name";

typedef struct type_format {
    cst_type type;
    const char *format;
} type_format;

// Types that one format says all about.
static const type_format plain_formats[] = {
    {CST_TYPE_U8, "C"},     {CST_TYPE_U16, "S"},    {CST_TYPE_U32, "I"},  {CST_TYPE_U64, "L"},
    {CST_TYPE_I8, "c"},     {CST_TYPE_I16, "s"},    {CST_TYPE_I32, "i"},  {CST_TYPE_I64, "l"},
    {CST_TYPE_F32, "f"},    {CST_TYPE_F64, "g"},    {CST_TYPE_BOOL, "b"}, {CST_TYPE_DATE, "tdD"},
    {CST_TYPE_STRING, "u"}, {CST_TYPE_BINARY, "z"},
};

static const struct {
    cst_type type;
    const char *extension;
} extensions[] = {
    {CST_TYPE_UUID, "arrow.uuid"},
    {CST_TYPE_U128, "constellation.u128"},
    {CST_TYPE_I128, "constellation.i128"},
};

static const struct {
    const char *prefix, *advice;
} unsupported[] = {
    {"U", "Cast large_string to string"},
    {"Z", "Cast large_binary to binary"},
    {"vu", "Cast string_view to string"},
    {"vz", "Cast binary_view to binary"},
    {"tdm", "Cast date64 to date32"},
    {"ts", "Cast the timestamp to microseconds"},
    {"tt", "Cast the time of day to an integer"},
    {"tD", "Cast the duration to an integer"},
    {"e", "Cast float16 to float32"},
    {"d:", "Cast the decimal to decimal128 with a scale of 0 to 38"},
    {"w:", "Widths are 1 to 256 bytes"},
};

// ---- import ---------------------------------------------------------------------------------

// Reads a decimal number below 10^6 and moves on; false where there is none.
static bool number_read(const char **at, uint32_t *out) {
    uint32_t number = 0;
    int digits = 0;

    for (; **at >= '0' && **at <= '9'; (*at)++) {
        if (++digits > 6) return false;
        number = 10 * number + (uint32_t)(**at - '0');
    }
    *out = number;
    return digits > 0;
}

static bool decimal_read(const char *at, uint32_t *scale_out) {
    uint32_t precision = 0;
    uint32_t bits = 128;

    if (!number_read(&at, &precision) || *at++ != ',') return false;
    if (!number_read(&at, scale_out)) return false;
    if (*at == ',') {
        at++;
        if (!number_read(&at, &bits)) return false;
    }
    return *at == '\0' && bits == 128 && precision >= 1 && precision <= CST_DECIMAL_DIGITS_MAX &&
           *scale_out <= CST_DECIMAL_DIGITS_MAX;
}

// The extension's name, or "" without one; false for metadata that is no metadata.
static bool extension_read(const char *metadata, char out[EXTENSION_BYTES_MAX]) {
    int32_t pairs;

    out[0] = '\0';
    if (!metadata) return true;
    memcpy(&pairs, metadata, sizeof pairs);
    metadata += sizeof pairs;
    if (pairs < 0 || pairs > METADATA_PAIRS_MAX) return false;
    for (int32_t pair = 0; pair < pairs; pair++) {
        const char *texts[2];
        int32_t bytes[2];
        for (int i = 0; i < 2; i++) {
            memcpy(&bytes[i], metadata, sizeof bytes[i]);
            if (bytes[i] < 0 || bytes[i] > METADATA_BYTES_MAX) return false;
            texts[i] = metadata + sizeof bytes[i];
            metadata = texts[i] + bytes[i];
        }
        if (bytes[0] != (int32_t)strlen(extension_key) ||
            memcmp(texts[0], extension_key, strlen(extension_key)) != 0)
            continue;
        if (bytes[1] >= EXTENSION_BYTES_MAX) bytes[1] = EXTENSION_BYTES_MAX - 1; // none of ours
        memcpy(out, texts[1], (size_t)bytes[1]);
        out[bytes[1]] = '\0';
    }
    return true;
}

static cst_code type_unsupported(const char *format, uint32_t index, cst_err *err) {
    for (size_t i = 0; i < sizeof unsupported / sizeof unsupported[0]; i++)
        if (strncmp(format, unsupported[i].prefix, strlen(unsupported[i].prefix)) == 0)
            return cst_fail(err, CST_UNSUPPORTED,
                            "arrow import failed: column %u: format '%.32s' has no column type. %s",
                            index, format, unsupported[i].advice);
    return cst_fail(err, CST_UNSUPPORTED,
                    "arrow import failed: column %u: format '%.32s' has no column type", index,
                    format);
}

static cst_code format_read(const char *format, const char *extension, uint32_t index,
                            cst_column *out, cst_err *err) {
    uint32_t number = 0;

    for (size_t i = 0; i < sizeof plain_formats / sizeof plain_formats[0]; i++) {
        if (strcmp(format, plain_formats[i].format) == 0) {
            out->type = plain_formats[i].type;
            return CST_OK;
        }
    }
    if (strncmp(format, "tsu:", 4) == 0) {
        out->type = CST_TYPE_TIMESTAMP;
        return CST_OK;
    }
    if (strncmp(format, "d:", 2) == 0 && decimal_read(format + 2, &number)) {
        out->type = CST_TYPE_DECIMAL128;
        out->scale = (uint8_t)number;
        return CST_OK;
    }
    if (strncmp(format, "w:", 2) == 0) {
        const char *at = format + 2;
        if (!number_read(&at, &number) || *at || number < 1 || number > CST_FIXED_BYTES_MAX)
            return type_unsupported(format, index, err);
        out->type = CST_TYPE_FIXED;
        out->width = (uint16_t)number;
        for (size_t i = 0; i < sizeof extensions / sizeof extensions[0] && number == 16; i++) {
            if (strcmp(extension, extensions[i].extension) != 0) continue;
            out->type = extensions[i].type;
            out->width = 0;
        }
        return CST_OK;
    }
    return type_unsupported(format, index, err);
}

static cst_code column_import(const struct ArrowSchema *arrow, uint32_t index, cst_column *out,
                              cst_err *err) {
    char extension[EXTENSION_BYTES_MAX];
    cst_column column = {.width = 0};

    if (!arrow || !arrow->release)
        return cst_fail(err, CST_USAGE, "arrow import failed: column %u: its schema is %s", index,
                        arrow ? "released" : "NULL");
    if (!arrow->format)
        return cst_fail(err, CST_USAGE, "arrow import failed: column %u: format is NULL", index);
    if (arrow->dictionary)
        return cst_fail(err, CST_UNSUPPORTED,
                        "arrow import failed: column %u: dictionaries have no column type. "
                        "Decode the dictionary",
                        index);
    if (!extension_read(arrow->metadata, extension))
        return cst_fail(err, CST_USAGE, "arrow import failed: column %u: metadata is malformed",
                        index);
    const cst_code code = format_read(arrow->format, extension, index, &column, err);
    if (code != CST_OK) return code;
    column.nullable = (arrow->flags & ARROW_FLAG_NULLABLE) != 0;
    *out = column;
    return CST_OK;
}

cst_code cst_arrow_schema_import(const struct ArrowSchema *arrow, cst_schema *out, cst_err *err) {
    cst_schema schema = {.columns_count = 0};

    if (!arrow || !arrow->release)
        return cst_fail(err, CST_USAGE, "arrow import failed: the schema is %s",
                        arrow ? "released" : "NULL");
    if (!arrow->format || strcmp(arrow->format, "+s") != 0)
        return cst_fail(err, CST_USAGE,
                        "arrow import failed: format '%.32s' is not a struct of columns, '+s'",
                        arrow->format ? arrow->format : "NULL");
    if (arrow->n_children < 1 || arrow->n_children > CST_COLUMNS_MAX)
        return cst_fail(err, CST_SCHEMA, "arrow import failed: %lld columns, a schema has 1 to %d",
                        (long long)arrow->n_children, CST_COLUMNS_MAX);
    if (!arrow->children)
        return cst_fail(err, CST_USAGE, "arrow import failed: the schema's children are NULL");
    schema.columns_count = (uint32_t)arrow->n_children;
    for (uint32_t i = 0; i < schema.columns_count; i++) {
        const cst_code code = column_import(arrow->children[i], i, &schema.columns[i], err);
        if (code != CST_OK) return code;
    }
    *out = schema;
    return CST_OK;
}

static bool is_16_bytes(const cst_column *column) {
    return column->type == CST_TYPE_UUID || column->type == CST_TYPE_U128 ||
           column->type == CST_TYPE_I128;
}

// A column of the producer fits one of the schema. Without an extension name, 16 bytes are what the
// schema says; nulls are compared later, value by value.
static bool column_fits(const cst_column *theirs, const cst_column *ours) {
    if (theirs->type == CST_TYPE_FIXED && theirs->width == 16 && is_16_bytes(ours)) return true;
    return theirs->type == ours->type && theirs->width == ours->width &&
           theirs->scale == ours->scale;
}

cst_code csti_arrow_schema_fits(const struct ArrowSchema *arrow, const cst_schema *schema,
                                cst_err *err) {
    cst_schema theirs = {.columns_count = 0};
    const cst_code code = cst_arrow_schema_import(arrow, &theirs, err);

    if (code != CST_OK) return code;
    if (theirs.columns_count != schema->columns_count)
        return cst_fail(err, CST_SCHEMA_MISMATCH,
                        "arrow import failed: %u columns, the schema has %u", theirs.columns_count,
                        schema->columns_count);
    for (uint32_t i = 0; i < schema->columns_count; i++)
        if (!column_fits(&theirs.columns[i], &schema->columns[i]))
            return cst_fail(err, CST_SCHEMA_MISMATCH,
                            "arrow import failed: column %u: format '%.32s', the schema says %s", i,
                            arrow->children[i]->format, csti_type_name(schema->columns[i].type));
    return CST_OK;
}

// ---- export ---------------------------------------------------------------------------------

// One block holds the struct's schema, its children and their texts. Children can be moved out and
// outlive their parent, so the last of all releases frees it.
typedef struct schema_block {
    atomic_uint owners;
    struct ArrowSchema *pointers[CST_COLUMNS_MAX];
    struct ArrowSchema children[CST_COLUMNS_MAX];
    char formats[CST_COLUMNS_MAX][FORMAT_BYTES_MAX];
    char names[CST_COLUMNS_MAX][NAME_BYTES_MAX];
    char metadata[CST_COLUMNS_MAX][METADATA_OUT_BYTES];
} schema_block;

static void schema_release(struct ArrowSchema *arrow) {
    schema_block *block = arrow->private_data;

    for (int64_t i = 0; i < arrow->n_children; i++)
        if (arrow->children[i]->release) arrow->children[i]->release(arrow->children[i]);
    arrow->release = NULL;
    // Release our writes, acquire all others' before the free.
    if (atomic_fetch_sub_explicit(&block->owners, 1, memory_order_acq_rel) == 1) free(block);
}

static const char *extension_of(cst_type type) {
    for (size_t i = 0; i < sizeof extensions / sizeof extensions[0]; i++)
        if (extensions[i].type == type) return extensions[i].extension;
    return NULL;
}

static char *metadata_text(char *at, const char *text) {
    const int32_t bytes = (int32_t)strlen(text);
    memcpy(at, &bytes, sizeof bytes);
    memcpy(at + sizeof bytes, text, (size_t)bytes);
    return at + sizeof bytes + bytes;
}

static void metadata_write(char out[METADATA_OUT_BYTES], const char *extension) {
    const int32_t pairs = 2; // the extension's name, and that it has no parameters
    char *at = out;

    memcpy(at, &pairs, sizeof pairs);
    at = metadata_text(at + sizeof pairs, extension_key);
    at = metadata_text(at, extension);
    at = metadata_text(at, "ARROW:extension:metadata");
    (void)metadata_text(at, "");
}

static void format_write(char out[FORMAT_BYTES_MAX], const cst_column *column) {
    for (size_t i = 0; i < sizeof plain_formats / sizeof plain_formats[0]; i++)
        if (plain_formats[i].type == column->type)
            (void)snprintf(out, FORMAT_BYTES_MAX, "%s", plain_formats[i].format);
    if (column->type == CST_TYPE_TIMESTAMP) (void)snprintf(out, FORMAT_BYTES_MAX, "tsu:UTC");
    if (column->type == CST_TYPE_DECIMAL128)
        (void)snprintf(out, FORMAT_BYTES_MAX, "d:%d,%u", CST_DECIMAL_DIGITS_MAX, column->scale);
    if (column->type == CST_TYPE_FIXED || is_16_bytes(column))
        (void)snprintf(out, FORMAT_BYTES_MAX, "w:%u", cst_column_value_bytes(column));
}

cst_code cst_arrow_schema_export(const cst_schema *schema, struct ArrowSchema *out, cst_err *err) {
    schema_block *block;
    const cst_code code = cst_schema_check(schema, err);

    if (code != CST_OK) return code;
    block = calloc(1, sizeof *block);
    if (!block) return cst_fail(err, CST_NO_MEMORY, "arrow export failed: schema");
    atomic_init(&block->owners, schema->columns_count + 1);
    for (uint32_t i = 0; i < schema->columns_count; i++) {
        const cst_column *column = &schema->columns[i];
        const char *extension = extension_of(column->type);
        format_write(block->formats[i], column);
        (void)snprintf(block->names[i], NAME_BYTES_MAX, "c%u", i);
        if (extension) metadata_write(block->metadata[i], extension);
        block->pointers[i] = &block->children[i];
        block->children[i] = (struct ArrowSchema){
            .format = block->formats[i],
            .name = block->names[i],
            .metadata = extension ? block->metadata[i] : NULL,
            .flags = column->nullable ? ARROW_FLAG_NULLABLE : 0,
            .release = schema_release,
            .private_data = block,
        };
    }
    *out = (struct ArrowSchema){
        .format = "+s",
        .name = "",
        .n_children = schema->columns_count,
        .children = block->pointers,
        .release = schema_release,
        .private_data = block,
    };
    return CST_OK;
}
