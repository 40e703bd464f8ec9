#include "stream/push_line.h"

#include "stream/json_text.h"

typedef struct line_reader {
    csti_ndjson_rows *json;
    csti_text *text;
    csti_row_columns *columns;
    uint32_t row;
    bool has_row;
    csti_push_line *out;
    cst_err *err;
} line_reader;

static const char *line_fail(const line_reader *line, const char *at, const char *why) {
    line->text->bad = at;
    (void)cst_fail(line->err, CST_SOURCE_RECORD, "%s", why);
    return NULL;
}

// Behind the number at `at`.
static const char *seq_take(const line_reader *line, const char *at) {
    uint64_t value = 0;
    const size_t count = csti_digits(at, &value);

    if (count == 0 || count > CSTI_DIGITS_SURE || *at == '0' || value > CSTI_PRODUCER_SEQ_MAX)
        return line_fail(line, at, "seq is a whole number from 1 to 2^63 - 1");
    if (at[count] == '.' || at[count] == 'e' || at[count] == 'E')
        return line_fail(line, at, "seq is a whole number from 1 to 2^63 - 1");
    line->out->seq = value;
    return at + count;
}

static const char *id_take(const line_reader *line, const char *at) {
    const char *const from = at + 1;
    size_t bytes = 0;

    if (*at != '"') return line_fail(line, at, "producer is a string");
    while (from[bytes] != '"' && from[bytes] != '\n' && bytes <= CSTI_PRODUCER_ID_BYTES_MAX)
        bytes++;
    if (from[bytes] != '"' || !csti_producer_id_is_good(from, bytes))
        return line_fail(line, at, "producer is 1 to 64 letters, digits, '.', '_', ':' and '-'");
    line->out->id = from;
    line->out->id_bytes = (uint32_t)bytes;
    return from + bytes + 1;
}

static const char *row_take(line_reader *line, const char *at) {
    if (*at != '{') return line_fail(line, at, "row is an object");
    line->has_row = true;
    return csti_ndjson_object_take(line->json, line->text, at, line->columns, line->row, line->err);
}

// Whether the name stands at *at; it is behind its colon then.
static inline bool name_is(const char **at, const char *name, size_t bytes) {
    const char *behind;

    if (memcmp(*at, name, bytes) != 0) return false; // a text has so much room behind it
    behind = csti_json_blank(*at + bytes);
    if (*behind != ':') return false;
    *at = csti_json_blank(behind + 1);
    return true;
}

#define NAME_IS(at, name) name_is(at, "\"" name "\"", sizeof(name) + 1)

static const char *member_take(line_reader *line, const char *at) {
    const char *const from = at;

    if (NAME_IS(&at, "seq"))
        return line->out->seq ? line_fail(line, from, "seq stands there twice")
                              : seq_take(line, at);
    if (NAME_IS(&at, "row"))
        return line->has_row ? line_fail(line, from, "row stands there twice") : row_take(line, at);
    if (NAME_IS(&at, "producer"))
        return line->out->id ? line_fail(line, from, "producer stands there twice")
                             : id_take(line, at);
    return line_fail(line, from, "seq, row or producer was expected");
}

static const char *members_take(line_reader *line, const char *at) {
    for (;;) {
        at = member_take(line, at);
        if (!at) return NULL;
        at = csti_json_blank(at);
        if (*at == '}') return at + 1;
        if (*at != ',') return line_fail(line, at, "a comma or the object's end was expected");
        at = csti_json_blank(at + 1);
    }
}

static const char *object_take(line_reader *line, const char *at) {
    const csti_push_line *out = line->out;

    if (*at != '{') return line_fail(line, at, "the line is no JSON object");
    at = csti_json_blank(at + 1);
    at = members_take(line, at);
    if (!at) return NULL;
    if (out->id && (out->seq || line->has_row))
        return line_fail(line, line->text->at, "a producer stands in a line of its own");
    if (!out->id && !out->seq) return line_fail(line, line->text->at, "seq is missing");
    if (!out->id && !line->has_row) return line_fail(line, line->text->at, "row is missing");
    return at;
}

cst_code csti_push_line_read(csti_ndjson_rows *json, csti_text *text, csti_row_columns *columns,
                             uint32_t row, csti_push_line *out, cst_err *err) {
    line_reader line = {
        .json = json, .text = text, .columns = columns, .row = row, .out = out, .err = err};
    const char *at = csti_json_blank(text->at);

    *out = (csti_push_line){.said = CSTI_PUSH_NOTHING};
    if (*at != '\n') {
        text->bad = at;
        at = object_take(&line, at);
        if (at) at = csti_json_blank(at);
        if (at && *at != '\n') at = line_fail(&line, at, "text behind the object");
        if (!at)
            return cst_fail_at(err, CST_SOURCE_RECORD, "byte %zu", (size_t)(text->bad - text->at));
        out->said = out->id ? CSTI_PUSH_PRODUCER : CSTI_PUSH_ROW;
    }
    text->at = at + 1;
    text->lines++;
    return CST_OK;
}
