// key_decode_fuzz.c: a schema's text, a newline, and the bytes of a key.
//
// Nothing reads past the key; a key that is accepted encodes to the very same bytes; a schema that
// is accepted is formatted and parsed to itself.
#include "fuzz/fuzz.h"

#include <constellation/keys.h>
#include <stdlib.h>
#include <string.h>

enum { SCHEMA_BYTES_MAX = 400 };

static void require(int condition) {
    if (!condition) abort();
}

static void check_text(const cst_schema *schema) {
    char text[1024];
    char again[1024];
    cst_schema parsed;

    require(cst_schema_check(schema, NULL) == CST_OK);
    require(cst_schema_format(schema, text, sizeof text) == CST_OK);
    require(cst_schema_parse(text, &parsed, NULL) == CST_OK);
    require(cst_schema_format(&parsed, again, sizeof again) == CST_OK);
    require(strcmp(text, again) == 0);
}

static void check_key(const cst_schema *schema, const uint8_t *bytes, size_t count) {
    cst_value values[CST_COLUMNS_MAX];
    uint8_t *key = malloc(count ? count : 1); // of its exact size: a byte too far is seen
    uint8_t *scratch = malloc(count ? count : 1);
    uint8_t *again = malloc(count ? count : 1);
    uint32_t again_bytes = 0;
    cst_err err = {.code = CST_OK};

    require(key && scratch && again);
    memcpy(key, bytes, count);
    const cst_code code = cst_key_decode(schema, key, count, values, scratch, &err);
    require(code == CST_OK || code == CST_KEY_CORRUPT);
    require(code == err.code);
    if (code == CST_OK) {
        require(cst_key_encode(schema, values, again, count, &again_bytes, NULL) == CST_OK);
        require(again_bytes == count && memcmp(key, again, count) == 0);
    }
    free(key);
    free(scratch);
    free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count) {
    const uint8_t *newline = count ? memchr(bytes, '\n', count) : NULL;
    char text[SCHEMA_BYTES_MAX + 1];
    cst_schema schema;

    if (!newline || newline - bytes > SCHEMA_BYTES_MAX) return 0;
    memcpy(text, bytes, (size_t)(newline - bytes));
    text[newline - bytes] = '\0';
    if (cst_schema_parse(text, &schema, NULL) != CST_OK) return 0;
    check_text(&schema);
    check_key(&schema, newline + 1, count - (size_t)(newline + 1 - bytes));
    return 0;
}
