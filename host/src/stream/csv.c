#include "stream/csv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

// Where the scanner stands in a field.
typedef enum csv_state {
    AT_START,     // of a field
    IN_PLAIN,     // inside one without quotes
    IN_QUOTED,    // inside quotes
    BEHIND_QUOTE, // behind a quote inside quotes: its end, or the first half of ""
    AT_END,       // of the record
} csv_state;

void csti_csv_open(csti_csv *csv, FILE *in) {
    *csv = (csti_csv){.in = in};
}

void csti_csv_close(csti_csv *csv) {
    free(csv->record);
    csv->record = NULL;
}

static cst_code record_append(csti_csv *csv, char byte, cst_err *err) {
    if (csv->record_bytes == csv->record_capacity) {
        const size_t capacity = csv->record_capacity ? csv->record_capacity * 2 : 256;
        char *grown;

        if (capacity > CSTI_CSV_RECORD_BYTES_MAX)
            return cst_fail(err, CST_LIMIT, "line %llu: a record above %d bytes",
                            (unsigned long long)csv->line, CSTI_CSV_RECORD_BYTES_MAX);
        grown = realloc(csv->record, capacity);
        if (!grown) return cst_fail(err, CST_NO_MEMORY, "a record of %zu bytes", capacity);
        csv->record = grown;
        csv->record_capacity = capacity;
    }
    csv->record[csv->record_bytes++] = byte;
    return CST_OK;
}

static cst_code field_open(csti_csv *csv, cst_err *err) {
    if (csv->fields_count == CSTI_CSV_FIELDS_MAX)
        return cst_fail(err, CST_LIMIT, "line %llu: more than %d fields",
                        (unsigned long long)csv->line, CSTI_CSV_FIELDS_MAX);
    csv->starts[csv->fields_count] = csv->record_bytes;
    csv->fields[csv->fields_count++].quoted = false;
    return CST_OK;
}

// A line end behind a field. A CR counts as one only in front of an LF or the end of input.
static bool ends_record(csti_csv *csv, int *byte) {
    if (*byte == '\r') {
        const int next = getc_unlocked(csv->in);

        if (next == '\n' || next == EOF)
            *byte = next;
        else
            ungetc(next, csv->in);
    }
    if (*byte == '\n') csv->lines_ended++;
    return *byte == '\n' || *byte == EOF;
}

static cst_code quoted_step(csti_csv *csv, int byte, csv_state *state, cst_err *err) {
    if (byte == EOF)
        return cst_fail(err, CST_PARSE, "line %llu, field %zu: a quote is never closed",
                        (unsigned long long)csv->line, csv->fields_count);
    if (byte == '"') {
        *state = BEHIND_QUOTE;
        return CST_OK;
    }
    if (byte == '\n') csv->lines_ended++;
    return record_append(csv, (char)byte, err);
}

static cst_code plain_step(csti_csv *csv, int byte, csv_state *state, cst_err *err) {
    if (byte == '"' && *state == AT_START) {
        csv->fields[csv->fields_count - 1].quoted = true;
        *state = IN_QUOTED;
        return CST_OK;
    }
    if (byte == '"' && *state == BEHIND_QUOTE) {
        *state = IN_QUOTED;
        return record_append(csv, '"', err);
    }
    if (byte == ',') {
        *state = AT_START;
        return field_open(csv, err);
    }
    if (ends_record(csv, &byte)) {
        *state = AT_END;
        return CST_OK;
    }
    if (byte == '"' || *state == BEHIND_QUOTE)
        return cst_fail(err, CST_PARSE, "line %llu, field %zu: text beside a quoted part",
                        (unsigned long long)csv->line, csv->fields_count);
    *state = IN_PLAIN;
    return record_append(csv, (char)byte, err);
}

static cst_code read_check(const csti_csv *csv, cst_err *err) {
    if (!ferror(csv->in)) return CST_OK;
    return cst_fail(err, CST_IO, "reading: %s", strerror(errno));
}

cst_code csti_csv_next(csti_csv *csv, bool *found_out, cst_err *err) {
    csv_state state = AT_START;
    int byte = getc_unlocked(csv->in);
    cst_code code;

    *found_out = false;
    csv->line = csv->lines_ended + 1;
    csv->fields_count = 0;
    csv->record_bytes = 0;
    if (byte == EOF) return read_check(csv, err);
    code = field_open(csv, err);
    while (code == CST_OK) {
        code = state == IN_QUOTED ? quoted_step(csv, byte, &state, err)
                                  : plain_step(csv, byte, &state, err);
        if (code != CST_OK || state == AT_END) break;
        byte = getc_unlocked(csv->in);
    }
    // Half a record in front of an error is none, and no quote that is never closed.
    if (ferror(csv->in)) code = read_check(csv, err);
    if (code != CST_OK) return code;
    for (size_t i = 0; i < csv->fields_count; i++) {
        const size_t end = i + 1 < csv->fields_count ? csv->starts[i + 1] : csv->record_bytes;

        csv->fields[i].text = csv->record ? csv->record + csv->starts[i] : "";
        csv->fields[i].bytes = end - csv->starts[i];
    }
    *found_out = true;
    return CST_OK;
}

void csti_csv_write(FILE *out, const char *text, size_t bytes) {
    bool quotes = bytes == 0;

    for (size_t i = 0; i < bytes && !quotes; i++)
        quotes = text[i] == '"' || text[i] == ',' || text[i] == '\n' || text[i] == '\r';
    if (!quotes) {
        (void)fwrite(text, 1, bytes, out);
        return;
    }
    putc('"', out);
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] == '"') putc('"', out);
        putc(text[i], out);
    }
    putc('"', out);
}
