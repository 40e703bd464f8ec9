#include "stream/ndjson_rows.h"

#include "codec/types.h"
#include "stream/json_text.h"

#include <assert.h>
#include <stdlib.h>

enum { NO_COLUMN = -1 };

cst_code csti_ndjson_rows_open(csti_ndjson_rows *json, const csti_row_shape *shape, cst_err *err) {
    *json = (csti_ndjson_rows){.shape = shape};
    for (uint32_t c = 0; c < shape->schema.columns_count; c++) {
        json->all_columns |= 1u << c;
        if (shape->schema.columns[c].nullable) json->nullable_columns |= 1u << c;
    }
    json->scratch = malloc(CSTI_RECORD_BYTES_MAX + CSTI_TEXT_SLACK_BYTES);
    return json->scratch ? CST_OK : cst_fail(err, CST_NO_MEMORY, "a string of JSON");
}

void csti_ndjson_rows_close(csti_ndjson_rows *json) {
    free(json->scratch);
    json->scratch = NULL;
}

static cst_code line_fail(csti_text *text, const char *bad, const char *why, cst_err *err) {
    text->bad = bad;
    return cst_fail(err, CST_SOURCE_RECORD, "%s", why);
}

static cst_code json_fail(csti_text *text, const csti_json_fail *fail, cst_err *err) {
    return line_fail(text, fail->at, fail->why, err);
}

// ---- Names --------------------------------------------------------------------------------------

static inline bool guess_fits(const csti_ndjson_guess *guess, const char *at) {
    if (((csti_load_le64(at) ^ guess->words[0]) & guess->masks[0]) != 0) return false;
    if (((csti_load_le64(at + 8) ^ guess->words[1]) & guess->masks[1]) != 0) return false;
    if (guess->bytes > 16) return memcmp(at + 16, guess->text + 16, guess->bytes - 16) == 0;
    return guess->bytes > 0;
}

static void guess_make(csti_ndjson_guess *guess, const char *at, size_t bytes, int column) {
    *guess = (csti_ndjson_guess){.bytes = 0};
    if (bytes > CSTI_GUESS_BYTES) return;
    memcpy(guess->text, at, bytes);
    guess->bytes = (uint32_t)bytes;
    guess->column = column;
    for (size_t i = 0; i < bytes && i < 16; i++)
        guess->masks[i / 8] |= UINT64_C(0xff) << 8 * (i % 8);
    guess->words[0] = csti_load_le64(guess->text);
    guess->words[1] = csti_load_le64(guess->text + 8);
}

static int column_find(const csti_row_shape *shape, const char *name, size_t bytes) {
    for (uint32_t c = 0; c < shape->schema.columns_count; c++)
        if (strlen(shape->names[c]) == bytes && memcmp(shape->names[c], name, bytes) == 0)
            return (int)c;
    return NO_COLUMN;
}

// The name at `at` and its colon, by looking for it; the guess for its place is made anew.
static const char *name_read(csti_ndjson_rows *json, const char *at, csti_ndjson_guess *guess,
                             int *column_out, csti_json_fail *fail) {
    const char *from = at;
    size_t bytes = 0;
    bool ascii = true;

    if (*at != '"') {
        *fail = (csti_json_fail){at, *at == '\n' ? "the line ends inside its object"
                                                 : "a name was expected"};
        return NULL;
    }
    at = csti_json_string(at + 1, json->scratch, &bytes, &ascii, fail);
    if (!at) return NULL;
    if (!ascii && csti_utf8_error_at((const uint8_t *)json->scratch, bytes) < bytes) {
        *fail = (csti_json_fail){from, "a name is not UTF-8"};
        return NULL;
    }
    *column_out = column_find(json->shape, json->scratch, bytes);
    if (guess) guess_make(guess, from, (size_t)(at - from) + (*at == ':'), *column_out);
    at = csti_json_blank(at);
    if (*at != ':') {
        *fail = (csti_json_fail){at, "a colon was expected"};
        return NULL;
    }
    return at + 1;
}

// Behind the colon; *column_out is the name's column, or NO_COLUMN.
static inline const char *name_take(csti_ndjson_rows *json, const char *at, uint32_t place,
                                    int *column_out, csti_json_fail *fail) {
    csti_ndjson_guess *guess;

    if (place >= CSTI_GUESSES_MAX) return name_read(json, at, NULL, column_out, fail);
    guess = &json->guesses[place];
    if (!guess_fits(guess, at)) return name_read(json, at, guess, column_out, fail);
    *column_out = guess->column;
    at += guess->bytes;
    if (at[-1] == ':') return at;
    at = csti_json_blank(at);
    if (*at == ':') return at + 1;
    *fail = (csti_json_fail){at, "a colon was expected"};
    return NULL;
}

// ---- Values -------------------------------------------------------------------------------------

static bool takes_numbers(cst_type type) {
    switch (type) {
    case CST_TYPE_BOOL:
    case CST_TYPE_UUID:
    case CST_TYPE_FIXED:
    case CST_TYPE_STRING:
    case CST_TYPE_BINARY:
        return false;
    default:
        return true;
    }
}

static bool takes_strings(cst_type type, const char *text, size_t bytes) {
    switch (type) {
    case CST_TYPE_F32:
    case CST_TYPE_F64: // those that JSON has no number for
        return (bytes == 3 && (memcmp(text, "nan", 3) == 0 || memcmp(text, "inf", 3) == 0)) ||
               (bytes == 4 && memcmp(text, "-inf", 4) == 0);
    case CST_TYPE_DATE:
    case CST_TYPE_TIMESTAMP:
    case CST_TYPE_DECIMAL128:
    case CST_TYPE_UUID:
    case CST_TYPE_FIXED:
    case CST_TYPE_BINARY:
    case CST_TYPE_STRING:
        return true;
    default:
        return false;
    }
}

static const char *kind_fail(const csti_column_rows *to, const char *what, cst_err *err) {
    (void)cst_fail(err, CST_SOURCE_RECORD, "%s, where a %s was expected", what,
                   csti_type_name(to->column.type));
    return NULL;
}

static const char *string_slow(csti_ndjson_rows *json, const char *at, csti_column_rows *to,
                               uint32_t row, cst_err *err) {
    csti_json_fail fail = {0};
    size_t bytes = 0;
    bool ascii = true;

    at = csti_json_string(at + 1, json->scratch, &bytes, &ascii, &fail);
    if (!at) {
        (void)cst_fail(err, CST_SOURCE_RECORD, "%s", fail.why);
        return NULL;
    }
    if (!takes_strings(to->column.type, json->scratch, bytes))
        return kind_fail(to, "a string", err);
    return csti_columns_put_text(to, row, json->scratch, bytes, err) == CST_OK ? at : NULL;
}

// Any value for any column. NULL: *err says why.
static __attribute__((noinline)) const char *value_slow(csti_ndjson_rows *json, const char *at,
                                                        csti_column_rows *to, uint32_t row,
                                                        cst_err *err) {
    const cst_type type = to->column.type;
    const char *end;

    if (*at == '"') return string_slow(json, at, to, row, err);
    if (*at == '{' || *at == '[') return kind_fail(to, "an object or array", err);
    if (memcmp(at, "null", 4) == 0)
        return csti_columns_put_null(to, row, err) == CST_OK ? at + 4 : NULL;
    if (memcmp(at, "true", 4) == 0 || memcmp(at, "false", 5) == 0) {
        const size_t bytes = *at == 't' ? 4 : 5;

        if (type != CST_TYPE_BOOL) return kind_fail(to, "a bool", err);
        return csti_columns_put_text(to, row, at, bytes, err) == CST_OK ? at + bytes : NULL;
    }
    end = csti_json_number_end(at);
    if (!end) {
        (void)cst_fail(err, CST_SOURCE_RECORD, "%s",
                       *at == '\n' ? "the line ends before its value" : "no JSON value");
        return NULL;
    }
    if (!takes_numbers(type)) return kind_fail(to, "a number", err);
    if (csti_columns_put_digits(to, row, at) == end) return end; // days and microseconds too
    return csti_columns_put_text(to, row, at, (size_t)(end - at), err) == CST_OK ? end : NULL;
}

static inline const char *value_take(csti_ndjson_rows *json, const char *at, csti_column_rows *to,
                                     uint32_t row, cst_err *err) {
    if (to->integer) {
        const char *digits = at + (*at == '-');
        const char *end = csti_columns_put_digits(to, row, at);

        // Only what may stand behind a number: a point or an exponent goes the slow way.
        if (end && (*end == ',' || *end == '}' || *end == ' ') &&
            (*digits != '0' || end == digits + 1))
            return end;
    } else if (to->column.type == CST_TYPE_STRING && *at == '"') {
        csti_json_fail fail = {0};
        size_t bytes = 0;
        bool ascii = true;
        const char *end =
            csti_json_string(at + 1, csti_columns_string(to, row), &bytes, &ascii, &fail);

        if (!end) {
            (void)cst_fail(err, CST_SOURCE_RECORD, "%s", fail.why);
            return NULL;
        }
        return csti_columns_put_string(to, row, bytes, ascii, err) == CST_OK ? end : NULL;
    }
    return value_slow(json, at, to, row, err);
}

// ---- Lines --------------------------------------------------------------------------------------

static cst_code missing_put(const csti_ndjson_rows *json, csti_text *text, csti_row_columns *out,
                            uint32_t row, uint32_t missing, cst_err *err) {
    for (; missing; missing &= missing - 1) {
        const uint32_t column = (uint32_t)__builtin_ctz(missing);

        if (!(json->nullable_columns >> column & 1) ||
            csti_columns_put_null(&out->columns[column], row, NULL) != CST_OK) {
            text->bad = text->at;
            return cst_fail(err, CST_SOURCE_RECORD, "column %s is missing",
                            json->shape->names[column]);
        }
    }
    return CST_OK;
}

// A member's value, for a column or for none. NULL: text->bad and *err say why.
static const char *member_take(csti_ndjson_rows *json, csti_text *text, const char *at, int column,
                               csti_row_columns *out, uint32_t row, cst_err *err) {
    csti_json_fail fail = {0};
    const char *end;

    if (column == NO_COLUMN) {
        end = csti_json_skip(at, &fail);
        if (!end) (void)json_fail(text, &fail, err);
        return end;
    }
    end = value_take(json, at, &out->columns[column], row, err);
    if (!end) {
        text->bad = at;
        (void)csti_column_fail(json->shape, (uint32_t)column, CST_SOURCE_RECORD, err);
    }
    return end;
}

// The members behind the opening brace, up to behind the closing one.
static const char *members_take(csti_ndjson_rows *json, csti_text *text, const char *at,
                                csti_row_columns *out, uint32_t row, uint32_t *seen, cst_err *err) {
    csti_json_fail fail = {0};

    for (uint32_t place = 0;; place++) {
        int column = NO_COLUMN;
        const char *name = at;

        at = name_take(json, at, place, &column, &fail);
        if (!at) break;
        if (column != NO_COLUMN) {
            if (*seen >> column & 1) {
                text->bad = name;
                (void)cst_fail(err, CST_SOURCE_RECORD, "column %s stands there twice",
                               json->shape->names[column]);
                return NULL;
            }
            *seen |= 1u << column;
        }
        at = member_take(json, text, csti_json_blank(at), column, out, row, err);
        if (!at) return NULL;
        at = csti_json_blank(at);
        if (*at == '}') return at + 1;
        if (*at != ',') {
            fail = (csti_json_fail){at, "a comma or the object's end was expected"};
            break;
        }
        at = csti_json_blank(at + 1);
    }
    (void)json_fail(text, &fail, err);
    return NULL;
}

const char *csti_ndjson_object_take(csti_ndjson_rows *json, csti_text *text, const char *at,
                                    csti_row_columns *out, uint32_t row, cst_err *err) {
    uint32_t seen = 0;

    assert(*at == '{');
    at = csti_json_blank(at + 1);
    if (*at == '}')
        at++;
    else
        at = members_take(json, text, at, out, row, &seen, err);
    if (at && seen != json->all_columns &&
        missing_put(json, text, out, row, json->all_columns & ~seen, err) != CST_OK)
        return NULL;
    return at;
}

// One line; text->at moves behind it if it is right. *row_out: whether it holds a row.
static cst_code line_take(csti_ndjson_rows *json, csti_text *text, csti_row_columns *out,
                          uint32_t row, bool *row_out, cst_err *err) {
    const char *at = csti_json_blank(text->at);

    *row_out = *at != '\n';
    if (*row_out) {
        if (*at != '{') return line_fail(text, at, "the line is no JSON object", err);
        at = csti_ndjson_object_take(json, text, at, out, row, err);
        if (!at) return CST_SOURCE_RECORD;
        at = csti_json_blank(at);
        if (*at != '\n') return line_fail(text, at, "text behind the object", err);
    }
    text->at = at + 1;
    text->lines++;
    return CST_OK;
}

cst_code csti_ndjson_rows_next(csti_ndjson_rows *json, csti_text *text, csti_row_columns *out,
                               uint32_t rows_max, uint32_t *rows_out, cst_err *err) {
    cst_code code = CST_OK;
    uint32_t row = 0;

    while (code == CST_OK && row < rows_max && text->at < text->end) {
        bool is_row = false;

        code = line_take(json, text, out, row, &is_row, err);
        row += code == CST_OK && is_row;
    }
    *rows_out = row;
    return code;
}
