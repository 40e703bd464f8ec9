// slow_rows.h: rows of CSV and NDJSON the obvious way: one byte, one field, one value at a time.
//
//   text ──► slow_csv | slow_ndjson ──► "7|web|\n1|-|\n"  the rows before the first that is refused
//   batch ──► rows_print            ──► the same form
//
// Promises   shares no code with the parsers under test but csv.h (the slow parser of CSV), the
//            values' own text (value_text.h) and the check of UTF-8.
// Owner      rows_free.
#ifndef CST_TEST_SLOW_ROWS_H
#define CST_TEST_SLOW_ROWS_H

#include "codec/types.h"
#include "stream/csv.h"
#include "stream/source.h"
#include "stream/value_text.h"

#include <constellation/keys.h>
#include <stdlib.h>
#include <string.h>

typedef struct rows {
    char *text;
    size_t used, capacity;
    uint64_t count;
    bool refused;
} rows;

static inline void rows_free(rows *out) {
    free(out->text);
    *out = (rows){0};
}

static inline void rows_add(rows *out, const void *bytes, size_t count) {
    if (out->used + count + 1 > out->capacity) {
        out->capacity = (out->used + count) * 2 + 256;
        out->text = realloc(out->text, out->capacity);
        if (!out->text) abort();
    }
    if (count) memcpy(out->text + out->used, bytes, count);
    out->used += count;
    out->text[out->used] = '\0';
}

static inline void rows_add_value(rows *out, const cst_column *column, const cst_value *value) {
    char text[CSTI_VALUE_TEXT_BYTES_MAX + 2 * CST_VARIABLE_BYTES_MAX];
    size_t bytes = 1;

    if (value->is_null)
        text[0] = '-';
    else if (csti_value_write(column, value, text, sizeof text, &bytes) != CST_OK)
        abort();
    rows_add(out, text, bytes);
    rows_add(out, "|", 1);
}

// ---- A batch ------------------------------------------------------------------------------------

static inline cst_value batch_value(const cst_batch *batch, uint32_t c, uint32_t row) {
    const cst_column *column = &batch->schema->columns[c];
    const cst_column_data *data = &batch->columns[c];
    const uint8_t *bits = data->validity.data;
    const int32_t *offsets = data->offsets.data;
    const uint32_t width = cst_column_value_bytes(column);
    const uint8_t *at = (const uint8_t *)data->values.data + (size_t)row * width;
    cst_value value = {.bytes = at, .bytes_count = width};
    float narrow;

    value.is_null = data->validity.bytes && !(bits[row / 8] >> row % 8 & 1);
    if (!width) {
        value.bytes = (const uint8_t *)data->values.data + offsets[row];
        value.bytes_count = (uint32_t)(offsets[row + 1] - offsets[row]);
    } else if (column->type == CST_TYPE_F32) {
        memcpy(&narrow, at, sizeof narrow);
        value.f64 = (double)narrow;
    } else if (column->type == CST_TYPE_F64) {
        memcpy(&value.f64, at, sizeof value.f64);
    } else if (width <= 16) {
        value.i128 = csti_type_is_signed(column->type) && at[width - 1] >> 7 ? -1 : 0;
        memcpy(&value.u128, at, width);
    }
    return value;
}

// The batch must hold what a source promises.
static inline void rows_print(rows *out, const cst_batch *batch) {
    if (batch->rows_count > 0 && cst_batch_check(batch, NULL) != CST_OK) abort();
    for (uint32_t r = 0; r < batch->rows_count; r++) {
        for (uint32_t c = 0; c < batch->schema->columns_count; c++) {
            const cst_value value = batch_value(batch, c, r);

            rows_add_value(out, &batch->schema->columns[c], &value);
        }
        rows_add(out, "\n", 1);
        out->count++;
    }
}

// ---- Values -------------------------------------------------------------------------------------

static inline bool slow_is_integer_text(const char *text, size_t bytes) {
    size_t i = bytes > 0 && text[0] == '-';

    if (i == bytes) return false;
    for (; i < bytes; i++)
        if (text[i] < '0' || text[i] > '9') return false;
    return true;
}

// Text as a value of the column; days and microseconds too, where `digits` allows them.
static inline bool slow_value(const cst_column *column, const char *text, size_t bytes, bool digits,
                              rows *line) {
    static uint8_t scratch[CST_VARIABLE_BYTES_MAX];
    cst_column as = *column;
    cst_value value = {0};

    if (column->type == CST_TYPE_STRING && csti_utf8_error_at((const uint8_t *)text, bytes) < bytes)
        return false;
    if (digits && slow_is_integer_text(text, bytes)) {
        if (column->type == CST_TYPE_DATE) as.type = CST_TYPE_I32;
        if (column->type == CST_TYPE_TIMESTAMP) as.type = CST_TYPE_I64;
    }
    if (csti_value_read(&as, text, bytes, scratch, sizeof scratch, &value, NULL) != CST_OK)
        return false;
    rows_add_value(line, column, &value);
    return true;
}

static inline void rows_add_line(rows *out, const rows *line) {
    rows_add(out, line->text, line->used);
    rows_add(out, "\n", 1);
    out->count++;
}

// ---- CSV ----------------------------------------------------------------------------------------

static inline int slow_column(const csti_row_shape *shape, const char *name, size_t bytes) {
    for (uint32_t c = 0; c < shape->schema.columns_count; c++)
        if (strlen(shape->names[c]) == bytes && memcmp(shape->names[c], name, bytes) == 0)
            return (int)c;
    return -1;
}

// map[c]: the field of column c.
static inline bool slow_header(const csti_row_shape *shape, const csti_csv *csv, size_t *map) {
    for (uint32_t c = 0; c < shape->schema.columns_count; c++) {
        size_t found = 0;

        for (size_t f = 0; f < csv->fields_count; f++)
            if (slow_column(shape, csv->fields[f].text, csv->fields[f].bytes) == (int)c) {
                map[c] = f;
                found++;
            }
        if (found != 1) return false;
    }
    return true;
}

static inline bool slow_record(const csti_row_shape *shape, const csti_csv *csv, const size_t *map,
                               rows *line) {
    for (uint32_t c = 0; c < shape->schema.columns_count; c++) {
        const cst_column *column = &shape->schema.columns[c];
        const csti_csv_field *field = &csv->fields[map[c]];

        if (field->bytes == 0 && !field->quoted && column->nullable) {
            rows_add(line, "-|", 2);
        } else if (!slow_value(column, field->text, field->bytes, true, line)) {
            return false;
        }
    }
    return true;
}

static inline void slow_csv(const csti_row_shape *shape, bool header, const char *text,
                            size_t bytes, rows *out) {
    FILE *in = bytes ? fmemopen((void *)(uintptr_t)text, bytes, "rb") : NULL;
    size_t map[CST_COLUMNS_MAX];
    size_t fields_count = shape->schema.columns_count;
    bool found = true;
    csti_csv csv;

    if (bytes && !in) abort();
    if (!in) return;
    csti_csv_open(&csv, in);
    for (size_t c = 0; c < CST_COLUMNS_MAX; c++) map[c] = c;
    while (!out->refused) {
        rows line = {0};

        out->refused = csti_csv_next(&csv, &found, NULL) != CST_OK;
        if (out->refused || !found) break;
        if (header) {
            header = false;
            out->refused = !slow_header(shape, &csv, map);
            fields_count = csv.fields_count;
            continue;
        }
        out->refused = csv.fields_count != fields_count || !slow_record(shape, &csv, map, &line);
        if (!out->refused) rows_add_line(out, &line);
        rows_free(&line);
    }
    csti_csv_close(&csv);
    fclose(in);
}

// ---- JSON ---------------------------------------------------------------------------------------

enum { SLOW_DEPTH_MAX = 64, SLOW_END = -1 };

typedef struct slow_json {
    const char *at, *end; // one line, without its LF
    bool bad;
    char *string; // the last one, unescaped
    size_t string_bytes;
} slow_json;

static inline int json_peek(const slow_json *json) {
    return json->at < json->end ? (unsigned char)*json->at : SLOW_END;
}

static inline int json_take(slow_json *json) {
    const int byte = json_peek(json);

    if (byte != SLOW_END) json->at++;
    return byte;
}

static inline void json_blanks(slow_json *json) {
    while (json_peek(json) == ' ' || json_peek(json) == '\t' || json_peek(json) == '\r') json->at++;
}

static inline bool json_word(slow_json *json, const char *word) {
    const size_t bytes = strlen(word);

    if ((size_t)(json->end - json->at) < bytes || memcmp(json->at, word, bytes) != 0) return false;
    json->at += bytes;
    return true;
}

static inline uint32_t json_hex4(slow_json *json) {
    uint32_t value = 0;

    for (int i = 0; i < 4; i++) {
        const int byte = json_take(json);
        const char *digits = "0123456789abcdefABCDEF";
        const char *digit = byte > 0 ? strchr(digits, byte) : NULL;
        uint32_t nibble;

        if (!digit) {
            json->bad = true;
            return 0;
        }
        nibble = (uint32_t)(digit - digits);
        value = value * 16 + (nibble < 16 ? nibble : nibble - 6);
    }
    return value;
}

static inline void json_add_point(slow_json *json, uint32_t point) {
    static const uint32_t bounds[] = {0x80, 0x800, 0x10000, 0x110000};
    static const uint32_t leads[] = {0, 0xc0, 0xe0, 0xf0};
    uint32_t more = 0;

    while (point >= bounds[more]) more++;
    if (more == 0) {
        json->string[json->string_bytes++] = (char)point;
        return;
    }
    json->string[json->string_bytes++] = (char)(leads[more] | point >> 6 * more);
    while (more-- > 0)
        json->string[json->string_bytes++] = (char)(0x80 | (point >> 6 * more & 0x3f));
}

static inline void json_escape(slow_json *json) {
    static const char from[] = "\"\\/bfnrt";
    static const char to[] = "\"\\/\b\f\n\r\t";
    const int byte = json_take(json);
    const char *simple = byte > 0 ? strchr(from, byte) : NULL;
    uint32_t point;

    if (simple) {
        json->string[json->string_bytes++] = to[simple - from];
        return;
    }
    json->bad = byte != 'u';
    if (json->bad) return;
    point = json_hex4(json);
    if (point >= 0xd800 && point <= 0xdbff) {
        const bool pair = json_word(json, "\\u");
        const uint32_t low = pair ? json_hex4(json) : 0;

        if (low < 0xdc00 || low > 0xdfff) json->bad = true;
        point = 0x10000 + (point - 0xd800) * 0x400 + (low - 0xdc00);
    } else if (point >= 0xdc00 && point <= 0xdfff) {
        json->bad = true;
    }
    if (!json->bad) json_add_point(json, point);
}

static inline void json_string(slow_json *json) {
    json->string_bytes = 0;
    json->bad = json->bad || json_take(json) != '"';
    while (!json->bad) {
        const int byte = json_take(json);

        if (byte == '"') break;
        if (byte < 0x20)
            json->bad = true; // SLOW_END too
        else if (byte == '\\')
            json_escape(json);
        else
            json->string[json->string_bytes++] = (char)byte;
    }
    if (csti_utf8_error_at((const uint8_t *)json->string, json->string_bytes) < json->string_bytes)
        json->bad = true;
}

static inline void json_digits(slow_json *json) {
    if (json_peek(json) < '0' || json_peek(json) > '9') json->bad = true;
    while (json_peek(json) >= '0' && json_peek(json) <= '9') json->at++;
}

static inline void json_number(slow_json *json) {
    if (json_peek(json) == '-') json->at++;
    if (json_peek(json) == '0')
        json->at++;
    else
        json_digits(json);
    if (json_peek(json) == '.') {
        json->at++;
        json_digits(json);
    }
    if (json_peek(json) == 'e' || json_peek(json) == 'E') {
        json->at++;
        if (json_peek(json) == '+' || json_peek(json) == '-') json->at++;
        json_digits(json);
    }
}

static inline void json_scalar(slow_json *json) {
    const int byte = json_peek(json);

    if (byte == '"')
        json_string(json);
    else if (byte == 't')
        json->bad = !json_word(json, "true");
    else if (byte == 'f')
        json->bad = !json_word(json, "false");
    else if (byte == 'n')
        json->bad = !json_word(json, "null");
    else
        json_number(json);
}

// A value of any depth: what is expected next is kept on a stack of brackets.
static inline void json_any(slow_json *json) {
    char open[SLOW_DEPTH_MAX];
    size_t depth = 0;
    bool value_due = true;
    bool name_due = false;

    do {
        json_blanks(json);
        if (name_due) {
            json_string(json);
            json_blanks(json);
            if (!json->bad) json->bad = json_take(json) != ':';
            name_due = false;
            value_due = true;
        } else if (value_due && (json_peek(json) == '{' || json_peek(json) == '[')) {
            if (depth == SLOW_DEPTH_MAX) {
                json->bad = true;
                break;
            }
            open[depth++] = (char)json_take(json);
            json_blanks(json);
            value_due = open[depth - 1] == '[' && json_peek(json) != ']';
            name_due = open[depth - 1] == '{' && json_peek(json) != '}';
        } else if (value_due) {
            json_scalar(json);
            value_due = false;
        } else {
            const int byte = json_take(json);

            if (byte == ',') {
                name_due = open[depth - 1] == '{';
                value_due = !name_due;
            } else if (byte == (open[depth - 1] == '{' ? '}' : ']')) {
                depth--;
            } else {
                json->bad = true;
            }
        }
    } while (!json->bad && (depth > 0 || value_due || name_due));
}

static inline bool json_takes_string(cst_type type, const char *text, size_t bytes) {
    if (type == CST_TYPE_F32 || type == CST_TYPE_F64)
        return (bytes == 3 && memcmp(text, "nan", 3) == 0) ||
               (bytes == 3 && memcmp(text, "inf", 3) == 0) ||
               (bytes == 4 && memcmp(text, "-inf", 4) == 0);
    return type == CST_TYPE_DATE || type == CST_TYPE_TIMESTAMP || type == CST_TYPE_DECIMAL128 ||
           type >= CST_TYPE_UUID;
}

// The value of a column, as text of a row.
static inline void json_value(slow_json *json, const cst_column *column, rows *value) {
    const char *from = json->at;
    const int byte = json_peek(json);
    const bool text_only = column->type >= CST_TYPE_UUID || column->type == CST_TYPE_BOOL;

    json->bad = byte == '{' || byte == '[';
    if (json->bad) return;
    json_scalar(json);
    if (json->bad) return;
    if (byte == 'n') {
        json->bad = !column->nullable;
        rows_add(value, "-|", 2);
    } else if (byte == '"') {
        json->bad = !json_takes_string(column->type, json->string, json->string_bytes) ||
                    !slow_value(column, json->string, json->string_bytes, false, value);
    } else if (byte == 't' || byte == 'f') {
        json->bad = column->type != CST_TYPE_BOOL ||
                    !slow_value(column, from, (size_t)(json->at - from), false, value);
    } else {
        json->bad = text_only || !slow_value(column, from, (size_t)(json->at - from), true, value);
    }
}

static inline void json_object(slow_json *json, const csti_row_shape *shape, rows *line) {
    rows values[CST_COLUMNS_MAX] = {{0}};
    bool more = true;

    json->bad = json_take(json) != '{';
    json_blanks(json);
    if (json_peek(json) == '}') {
        json->at++;
        more = false;
    }
    while (!json->bad && more) {
        int column;

        json_string(json);
        column = slow_column(shape, json->string, json->string_bytes);
        json_blanks(json);
        if (!json->bad) json->bad = json_take(json) != ':';
        json_blanks(json);
        if (json->bad) break;
        if (column < 0)
            json_any(json);
        else if (values[column].used)
            json->bad = true;
        else
            json_value(json, &shape->schema.columns[column], &values[column]);
        json_blanks(json);
        if (json->bad) break;
        more = json_peek(json) == ',';
        if (json_take(json) != (more ? ',' : '}')) json->bad = true;
        json_blanks(json);
    }
    json_blanks(json);
    if (json->at != json->end) json->bad = true;
    for (uint32_t c = 0; c < shape->schema.columns_count; c++) {
        if (values[c].used)
            rows_add(line, values[c].text, values[c].used);
        else if (shape->schema.columns[c].nullable)
            rows_add(line, "-|", 2);
        else
            json->bad = true;
        rows_free(&values[c]);
    }
}

static inline void slow_ndjson(const csti_row_shape *shape, const char *text, size_t bytes,
                               rows *out) {
    slow_json json = {.string = malloc(bytes + 1)};
    const char *at = text;

    if (!json.string) abort();
    while (at < text + bytes && !out->refused) {
        const char *end = memchr(at, '\n', (size_t)(text + bytes - at));
        rows line = {0};

        if (!end) end = text + bytes;
        json.at = at;
        json.end = end;
        json.bad = false;
        json_blanks(&json);
        if (json.at < json.end) {
            json_object(&json, shape, &line);
            out->refused = json.bad;
            if (!json.bad) rows_add_line(out, &line);
        }
        rows_free(&line);
        at = end + 1;
    }
    free(json.string);
}

#endif
