#include <constellation/schema.h>

#include <stdio.h>
#include <string.h>

#include "codec/types.h"

enum { WORD_BYTES_MAX = 24 };

static const char *const flag_words[] = {"asc", "desc", "nullable", "nulls", "first", "last"};

const char *csti_type_name(cst_type type) {
    switch (type) {
#define TYPE_NAME(name, number, text, bytes)                                                       \
    case CST_TYPE_##name:                                                                          \
        return text;
        CST_TYPE_MAP(TYPE_NAME)
#undef TYPE_NAME
    }
    return NULL;
}

static uint32_t type_bytes(cst_type type) {
    switch (type) {
#define TYPE_BYTES(name, number, text, bytes)                                                      \
    case CST_TYPE_##name:                                                                          \
        return bytes;
        CST_TYPE_MAP(TYPE_BYTES)
#undef TYPE_BYTES
    }
    return 0;
}

uint32_t cst_column_value_bytes(const cst_column *column) {
    return column->type == CST_TYPE_FIXED ? column->width : type_bytes(column->type);
}

static cst_code column_check(const cst_column *column, uint32_t index, cst_err *err) {
    const char *name = csti_type_name(column->type);

    if (!name)
        return cst_fail(err, CST_SCHEMA, "schema failed: column %u: type number %d is unknown",
                        index, (int)column->type);
    if (column->type == CST_TYPE_FIXED) {
        if (column->width < 1 || column->width > CST_FIXED_BYTES_MAX)
            return cst_fail(err, CST_SCHEMA,
                            "schema failed: column %u: fixed(%u): a width is 1 to %d bytes", index,
                            column->width, CST_FIXED_BYTES_MAX);
    } else if (column->width != 0) {
        return cst_fail(err, CST_SCHEMA, "schema failed: column %u: %s has no width", index, name);
    }
    if (column->type == CST_TYPE_DECIMAL128) {
        if (column->scale > CST_DECIMAL_DIGITS_MAX)
            return cst_fail(err, CST_SCHEMA,
                            "schema failed: column %u: decimal128(%u): a scale is 0 to %d", index,
                            column->scale, CST_DECIMAL_DIGITS_MAX);
    } else if (column->scale != 0) {
        return cst_fail(err, CST_SCHEMA, "schema failed: column %u: %s has no scale", index, name);
    }
    if (column->nulls_last && !column->nullable)
        return cst_fail(err, CST_SCHEMA,
                        "schema failed: column %u: nulls are placed, but %s is not nullable. "
                        "Write 'nullable %s nulls last'",
                        index, name, name);
    return CST_OK;
}

cst_code cst_schema_check(const cst_schema *schema, cst_err *err) {
    if (schema->columns_count < 1 || schema->columns_count > CST_COLUMNS_MAX)
        return cst_fail(err, CST_SCHEMA, "schema failed: %u columns: a schema has 1 to %d",
                        schema->columns_count, CST_COLUMNS_MAX);
    for (uint32_t i = 0; i < schema->columns_count; i++) {
        const cst_code code = column_check(&schema->columns[i], i, err);
        if (code != CST_OK) return code;
    }
    return CST_OK;
}

uint32_t cst_schema_key_bytes(const cst_schema *schema) {
    uint32_t bytes = 0;

    for (uint32_t i = 0; i < schema->columns_count; i++) {
        const uint32_t value_bytes = cst_column_value_bytes(&schema->columns[i]);
        if (value_bytes == 0 || schema->columns[i].nullable) return 0;
        bytes += value_bytes;
    }
    return bytes;
}

uint32_t cst_schema_key_bytes_max(const cst_schema *schema) {
    uint32_t bytes = 0;

    for (uint32_t i = 0; i < schema->columns_count; i++) {
        const uint32_t value_bytes = cst_column_value_bytes(&schema->columns[i]);
        bytes += value_bytes ? value_bytes : 2 * CST_VARIABLE_BYTES_MAX + CSTI_KEY_END_BYTES;
        bytes += schema->columns[i].nullable ? CSTI_KEY_MARKER_BYTES : 0;
    }
    return bytes;
}

// ---- text to schema -------------------------------------------------------------------------

typedef struct word {
    const char *text;
    size_t bytes;
} word;

static bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool word_is(word w, const char *text) {
    return strlen(text) == w.bytes && memcmp(w.text, text, w.bytes) == 0;
}

// Levenshtein's distance, for words of at most WORD_BYTES_MAX bytes.
static size_t word_distance(word a, const char *b) {
    const size_t b_bytes = strlen(b);
    size_t row[WORD_BYTES_MAX + 1];

    for (size_t j = 0; j <= b_bytes; j++) row[j] = j;
    for (size_t i = 1; i <= a.bytes; i++) {
        size_t corner = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_bytes; j++) {
            const size_t replaced = corner + (a.text[i - 1] != b[j - 1]);
            const size_t dropped = row[j] + 1;
            const size_t added = row[j - 1] + 1;
            corner = row[j];
            row[j] = replaced < dropped ? replaced : dropped;
            if (added < row[j]) row[j] = added;
        }
    }
    return row[b_bytes];
}

static const char *nearest_word(word w) {
    static const char *const type_words[] = {
#define TYPE_WORD(name, number, text, bytes) text,
        CST_TYPE_MAP(TYPE_WORD)
#undef TYPE_WORD
    };
    const char *nearest = NULL;
    size_t best = w.bytes < 4 ? 2 : w.bytes < 6 ? 3 : 4; // farther than this, a guess does not help

    if (w.bytes > WORD_BYTES_MAX) return NULL;
    for (size_t i = 0; i < sizeof type_words / sizeof type_words[0]; i++) {
        const size_t distance = word_distance(w, type_words[i]);
        if (distance < best) {
            best = distance;
            nearest = type_words[i];
        }
    }
    for (size_t i = 0; i < sizeof flag_words / sizeof flag_words[0]; i++) {
        const size_t distance = word_distance(w, flag_words[i]);
        if (distance < best) {
            best = distance;
            nearest = flag_words[i];
        }
    }
    return nearest;
}

static cst_code word_unknown(word w, uint32_t index, const char *wanted, cst_err *err) {
    const char *nearest = nearest_word(w);
    const int shown = w.bytes > 64 ? 64 : (int)w.bytes;

    if (w.bytes == 0)
        return cst_fail(err, CST_SCHEMA, "schema failed: column %u: %s is missing", index, wanted);
    if (nearest && word_is(w, nearest))
        return cst_fail(err, CST_SCHEMA,
                        "schema failed: column %u: '%s' is misplaced. A column is "
                        "[desc] [nullable] TYPE [nulls last]",
                        index, nearest);
    if (nearest)
        return cst_fail(err, CST_SCHEMA,
                        "schema failed: column %u: '%.*s' is not %s. Did you mean '%s'?", index,
                        shown, w.text, wanted, nearest);
    return cst_fail(err, CST_SCHEMA, "schema failed: column %u: '%.*s' is not %s", index, shown,
                    w.text, wanted);
}

// The next word of a column; a '(' or ')' parts words like a space. Empty at the column's end.
static word word_next(const char **at) {
    word w;

    while (is_space(**at)) (*at)++;
    w.text = *at;
    while (**at && **at != ',' && **at != '(' && **at != ')' && !is_space(**at)) (*at)++;
    w.bytes = (size_t)(*at - w.text);
    return w;
}

static cst_code type_parse(word w, uint32_t index, cst_column *column, cst_err *err) {
#define TYPE_PARSE(name, number, text, bytes)                                                      \
    if (word_is(w, text)) {                                                                        \
        column->type = CST_TYPE_##name;                                                            \
        return CST_OK;                                                                             \
    }
    CST_TYPE_MAP(TYPE_PARSE)
#undef TYPE_PARSE
    return word_unknown(w, index, "a type", err);
}

// "(12)" behind fixed or decimal128. `text` is what an error shows.
static cst_code number_parse(const char **at, uint32_t index, const cst_column *column,
                             uint32_t *number_out, cst_err *err) {
    const char *name = csti_type_name(column->type);
    uint32_t number = 0;
    word digits;

    while (is_space(**at)) (*at)++;
    if (**at != '(')
        return cst_fail(err, CST_SCHEMA, "schema failed: column %u: %s needs a number, as in %s",
                        index, name,
                        column->type == CST_TYPE_FIXED ? "fixed(12)" : "decimal128(2)");
    (*at)++;
    digits = word_next(at);
    for (size_t i = 0; i < digits.bytes; i++) {
        if (digits.text[i] < '0' || digits.text[i] > '9' || digits.bytes > 4)
            return cst_fail(err, CST_SCHEMA, "schema failed: column %u: '%.*s' is no number for %s",
                            index, digits.bytes > 64 ? 64 : (int)digits.bytes, digits.text, name);
        number = 10 * number + (uint32_t)(digits.text[i] - '0');
    }
    while (is_space(**at)) (*at)++;
    if (digits.bytes == 0 || **at != ')')
        return cst_fail(err, CST_SCHEMA, "schema failed: column %u: %s( needs a number and ')'",
                        index, name);
    (*at)++;
    *number_out = number;
    return CST_OK;
}

static cst_code nulls_parse(const char **at, uint32_t index, cst_column *column, cst_err *err) {
    const word w = word_next(at);

    if (w.bytes == 0) return CST_OK;
    if (!word_is(w, "nulls"))
        return word_unknown(w, index, "'nulls' or the end of the column", err);
    const word place = word_next(at);
    if (!word_is(place, "first") && !word_is(place, "last"))
        return word_unknown(place, index, "'first' or 'last'", err);
    if (!column->nullable)
        return cst_fail(err, CST_SCHEMA,
                        "schema failed: column %u: nulls are placed, but the column is not "
                        "nullable. Write 'nullable' before the type",
                        index);
    column->nulls_last = word_is(place, "last");
    return CST_OK;
}

static cst_code flags_parse(const char **at, uint32_t index, cst_column *column, word *type_out,
                            cst_err *err) {
    bool directed = false;
    word w;

    for (;;) {
        w = word_next(at);
        if (word_is(w, "asc") || word_is(w, "desc")) {
            if (directed)
                return cst_fail(err, CST_SCHEMA,
                                "schema failed: column %u: '%.*s': a direction "
                                "is given twice",
                                index, (int)w.bytes, w.text);
            directed = true;
            column->descending = word_is(w, "desc");
        } else if (word_is(w, "nullable")) {
            if (column->nullable)
                return cst_fail(err, CST_SCHEMA,
                                "schema failed: column %u: 'nullable' is given twice", index);
            column->nullable = true;
        } else {
            *type_out = w;
            return CST_OK;
        }
    }
}

static cst_code column_parse(const char **at, uint32_t index, cst_column *out, cst_err *err) {
    cst_column column = {.width = 0};
    uint32_t number = 0;
    cst_code code;
    word w = {"", 0};

    code = flags_parse(at, index, &column, &w, err);
    if (code == CST_OK) code = type_parse(w, index, &column, err);
    if (code != CST_OK) return code;
    if (column.type == CST_TYPE_FIXED || column.type == CST_TYPE_DECIMAL128) {
        code = number_parse(at, index, &column, &number, err);
        if (code != CST_OK) return code;
        if (column.type == CST_TYPE_FIXED)
            column.width = (uint16_t)number;
        else
            column.scale = (uint8_t)(number > UINT8_MAX ? UINT8_MAX : number);
    }
    code = nulls_parse(at, index, &column, err);
    *out = column;
    return code == CST_OK ? column_check(&column, index, err) : code;
}

cst_code cst_schema_parse(const char *text, cst_schema *out, cst_err *err) {
    cst_schema schema = {.columns_count = 0};
    const char *at = text;

    for (;;) {
        const uint32_t index = schema.columns_count;
        if (index == CST_COLUMNS_MAX)
            return cst_fail(err, CST_SCHEMA, "schema failed: column %u: a schema has 1 to %d",
                            index, CST_COLUMNS_MAX);
        const cst_code code = column_parse(&at, index, &schema.columns[index], err);
        if (code != CST_OK) return code;
        schema.columns_count++;
        while (is_space(*at)) at++;
        if (*at == '\0') break;
        if (*at != ',') {
            const word rest = {at, strcspn(at, ",")};
            return cst_fail(err, CST_SCHEMA,
                            "schema failed: column %u: '%.*s' is not expected here", index,
                            rest.bytes > 64 ? 64 : (int)rest.bytes, rest.text);
        }
        at++;
    }
    *out = schema;
    return CST_OK;
}

cst_code cst_schema_format(const cst_schema *schema, char *out, size_t bytes) {
    size_t used = 0;

    for (uint32_t i = 0; i < schema->columns_count; i++) {
        const cst_column *column = &schema->columns[i];
        const char *name = csti_type_name(column->type);
        char number[16] = "";
        int wrote;
        if (!name) return CST_SCHEMA;
        if (column->type == CST_TYPE_FIXED)
            (void)snprintf(number, sizeof number, "(%u)", column->width);
        if (column->type == CST_TYPE_DECIMAL128)
            (void)snprintf(number, sizeof number, "(%u)", column->scale);
        wrote = snprintf(out + used, bytes - used, "%s%s%s%s%s%s", i ? "," : "",
                         column->descending ? "desc " : "", column->nullable ? "nullable " : "",
                         name, number, column->nulls_last ? " nulls last" : "");
        if (wrote < 0 || (size_t)wrote >= bytes - used) return CST_LIMIT;
        used += (size_t)wrote;
    }
    return CST_OK;
}
