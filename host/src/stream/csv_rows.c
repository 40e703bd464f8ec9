#include "stream/csv_rows.h"

#include <stdlib.h>

enum { SCRATCH_BYTES = CSTI_FIELD_TEXT_BYTES_MAX + 64 };

// One field as it stands in the text.
typedef struct csv_field {
    const char *text; // between the quotes
    size_t bytes;
    bool quoted;
    bool doubled;       // "" is in it
    const char *behind; // the comma, CR or LF behind it
} csv_field;

cst_code csti_csv_rows_open(csti_csv_rows *csv, const csti_row_shape *shape, cst_err *err) {
    *csv = (csti_csv_rows){.shape = shape, .fields_count = shape->schema.columns_count};
    for (uint32_t f = 0; f < csv->fields_count; f++) csv->fields[f] = (int16_t)f;
    csv->scratch = malloc(SCRATCH_BYTES);
    return csv->scratch ? CST_OK : cst_fail(err, CST_NO_MEMORY, "a field of CSV");
}

void csti_csv_rows_close(csti_csv_rows *csv) {
    free(csv->scratch);
    csv->scratch = NULL;
}

static cst_code record_fail(csti_text *text, const char *bad, cst_err *err, const char *why) {
    text->bad = bad;
    return cst_fail(err, CST_SOURCE_RECORD, "%s", why);
}

// ---- Any field ----------------------------------------------------------------------------------

// Whether a line ends here: LF, or CR in front of it.
static bool line_ends(const char *at) {
    return *at == '\n' || (*at == '\r' && at[1] == '\n');
}

static const char *plain_end(const char *at) {
    for (;;) {
        uint32_t stops = csti_scan_csv(at).stops;

        for (; stops; stops &= stops - 1) {
            const char *stop = at + __builtin_ctz(stops);

            if (*stop != '\r' || stop[1] == '\n') return stop;
        }
        at += CSTI_SCAN_BYTES;
    }
}

// AGAIN: its quote is not closed in this text.
static cst_code quoted_find(csti_text *text, const char *at, csv_field *out, cst_err *err) {
    *out = (csv_field){.text = at + 1, .quoted = true};
    for (at++;; at += 2) {
        at = memchr(at, '"', (size_t)(text->end - at));
        if (!at) {
            text->bad = out->text - 1;
            return CST_AGAIN;
        }
        if (at[1] != '"') break; // what lies behind the text is no quote
        out->doubled = true;
    }
    out->bytes = (size_t)(at - out->text);
    out->behind = at + 1;
    if (*out->behind == ',' || line_ends(out->behind)) return CST_OK;
    return record_fail(text, out->behind, err, "text beside a quoted part");
}

static cst_code field_find(csti_text *text, const char *at, csv_field *out, cst_err *err) {
    const char *end;

    if (*at == '"') return quoted_find(text, at, out, err);
    end = plain_end(at);
    if (*end == '"') return record_fail(text, end, err, "a quote inside a field");
    *out = (csv_field){.text = at, .bytes = (size_t)(end - at), .behind = end};
    return CST_OK;
}

// "" becomes ".
static size_t undouble(char *out, const char *text, size_t bytes) {
    size_t used = 0;

    for (size_t i = 0; i < bytes; i++) {
        out[used++] = text[i];
        if (text[i] == '"') i++;
    }
    return used;
}

static cst_code field_put(csti_csv_rows *csv, const csv_field *field, csti_column_rows *to,
                          uint32_t row, cst_err *err) {
    const char *text = field->text;
    size_t bytes = field->bytes;

    if (bytes == 0 && !field->quoted && to->column.nullable)
        return csti_columns_put_null(to, row, err);
    if (field->doubled && to->column.type == CST_TYPE_STRING) {
        char *string = csti_columns_string(to, row);

        return csti_columns_put_string(to, row, undouble(string, text, bytes), false, err);
    }
    if (field->doubled) {
        if (bytes > SCRATCH_BYTES) return cst_fail(err, CST_LIMIT, "a field of %zu bytes", bytes);
        bytes = undouble(csv->scratch, text, bytes);
        text = csv->scratch;
    }
    if (to->integer) {
        const char *behind = csti_columns_put_digits(to, row, text);

        if (behind == text + bytes) return CST_OK;
    }
    return csti_columns_put_text(to, row, text, bytes, err);
}

// The way of every field that the quick ones below do not take. Returns behind it, or NULL.
static const char *field_slow(csti_csv_rows *csv, csti_text *text, const char *at, int column,
                              csti_row_columns *out, uint32_t row, cst_err *err) {
    csv_field field = {0};
    cst_code code = field_find(text, at, &field, err);

    if (code == CST_OK && column != CSTI_NO_COLUMN) {
        code = field_put(csv, &field, &out->columns[column], row, err);
        if (code != CST_OK) text->bad = at;
    }
    if (code == CST_OK) return field.behind;
    if (err) err->code = code;
    if (code != CST_AGAIN && column != CSTI_NO_COLUMN)
        (void)csti_column_fail(csv->shape, (uint32_t)column, CST_SOURCE_RECORD, err);
    return NULL;
}

// ---- The quick ways -----------------------------------------------------------------------------

// A string without quotes, copied while its end is looked for. NULL: the slow way.
static const char *string_quick(csti_column_rows *to, uint32_t row, const char *at) {
    char *from = csti_columns_string(to, row);
    char *string = from;
    uint32_t high = 0;

    for (;;) {
        const csti_scan scan = csti_scan_csv(at);

        memcpy(string, at, CSTI_SCAN_BYTES);
        if (scan.stops) {
            const uint32_t count = (uint32_t)__builtin_ctz(scan.stops);

            at += count;
            string += count;
            high |= scan.high & ((1u << count) - 1);
            break;
        }
        high |= scan.high;
        at += CSTI_SCAN_BYTES;
        string += CSTI_SCAN_BYTES;
    }
    if (*at != ',' && *at != '\n') return NULL;
    if (string == from && to->column.nullable) return NULL;
    if (csti_columns_put_string(to, row, (size_t)(string - from), high == 0, NULL) != CST_OK)
        return NULL;
    return at;
}

static const char *field_quick(csti_column_rows *to, uint32_t row, const char *at) {
    const char *behind = NULL;

    if (to->integer)
        behind = csti_columns_put_digits(to, row, at);
    else if (to->column.type == CST_TYPE_STRING && *at != '"')
        behind = string_quick(to, row, at);
    return behind && (*behind == ',' || line_ends(behind)) ? behind : NULL;
}

// ---- Records ------------------------------------------------------------------------------------

static uint64_t lines_count(const char *at, const char *end) {
    uint64_t lines = 0;

    while ((at = memchr(at, '\n', (size_t)(end - at))) != NULL) {
        lines++;
        at++;
    }
    return lines;
}

static cst_code fields_count_fail(const csti_csv_rows *csv, csti_text *text, const char *bad,
                                  uint32_t fields, cst_err *err) {
    text->bad = bad;
    if (fields < csv->fields_count)
        return cst_fail(err, CST_SOURCE_RECORD, "it ends after field %u of %u", fields,
                        csv->fields_count);
    return cst_fail(err, CST_SOURCE_RECORD, "it has more than %u fields", csv->fields_count);
}

// One record; text->at moves behind it if it is whole and right.
static cst_code record_take(csti_csv_rows *csv, csti_text *text, csti_row_columns *out,
                            uint32_t row, cst_err *err) {
    const uint32_t fields_count = csv->fields_count;
    const char *at = text->at;
    bool slow = false;

    for (uint32_t f = 0;; at++) {
        const int column = csv->fields[f];
        const char *behind = NULL;

        if (column != CSTI_NO_COLUMN) behind = field_quick(&out->columns[column], row, at);
        if (!behind) {
            cst_err why = {0};

            slow = true;
            behind = field_slow(csv, text, at, column, out, row, &why);
            if (!behind && why.code == CST_AGAIN) return CST_AGAIN;
            if (!behind) return cst_fail(err, CST_SOURCE_RECORD, "%s", why.text);
        }
        at = behind;
        if (++f == fields_count) break;
        if (*at != ',') return fields_count_fail(csv, text, at, f, err);
    }
    if (*at == ',') return fields_count_fail(csv, text, at, fields_count + 1, err);
    at += *at == '\r';
    assert(*at == '\n');
    at++;
    text->lines += slow ? lines_count(text->at, at) : 1; // quotes may hold line ends
    text->at = at;
    return CST_OK;
}

cst_code csti_csv_rows_next(csti_csv_rows *csv, csti_text *text, csti_row_columns *out,
                            uint32_t rows_max, uint32_t *rows_out, cst_err *err) {
    cst_code code = CST_OK;
    uint32_t row = 0;

    for (; row < rows_max && text->at < text->end; row++) {
        code = record_take(csv, text, out, row, err);
        if (code != CST_OK) break;
    }
    *rows_out = row;
    return code;
}

// ---- Header -------------------------------------------------------------------------------------

static int column_find(const csti_csv_rows *csv, const csv_field *field) {
    const size_t bytes = field->doubled && field->bytes <= SCRATCH_BYTES
                             ? undouble(csv->scratch, field->text, field->bytes)
                             : field->bytes;
    const char *name = field->doubled ? csv->scratch : field->text;

    for (uint32_t c = 0; c < csv->shape->schema.columns_count; c++)
        if (strlen(csv->shape->names[c]) == bytes && memcmp(csv->shape->names[c], name, bytes) == 0)
            return (int)c;
    return CSTI_NO_COLUMN;
}

cst_code csti_csv_rows_header(csti_csv_rows *csv, csti_text *text, cst_err *err) {
    const uint32_t columns_count = csv->shape->schema.columns_count;
    int16_t fields[CSTI_CSV_FIELDS_MAX];
    uint32_t count = 0;
    uint32_t seen = 0;
    csv_field field;

    if (text->at == text->end) return CST_AGAIN;
    for (const char *at = text->at;; at = field.behind + 1) {
        const cst_code code = field_find(text, at, &field, err);
        int column;

        if (code != CST_OK) return code;
        if (count == CSTI_CSV_FIELDS_MAX) return record_fail(text, at, err, "too many fields");
        column = column_find(csv, &field);
        if (column != CSTI_NO_COLUMN && seen >> column & 1)
            return record_fail(text, at, err, "a column is named twice");
        if (column != CSTI_NO_COLUMN) seen |= 1u << column;
        fields[count++] = (int16_t)column;
        if (*field.behind != ',') break;
    }
    for (uint32_t c = 0; c < columns_count; c++)
        if (!(seen >> c & 1)) {
            text->bad = text->at;
            return cst_fail(err, CST_SOURCE_RECORD, "the header names no column %s",
                            csv->shape->names[c]);
        }
    memcpy(csv->fields, fields, count * sizeof *fields);
    csv->fields_count = count;
    field.behind += *field.behind == '\r';
    text->lines += lines_count(text->at, field.behind + 1);
    text->at = field.behind + 1;
    return CST_OK;
}
