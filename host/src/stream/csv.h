// csv.h: records of comma-separated text, by RFC 4180.
//
//   1,"say ""hi""",,""\r\n
//   └┬┘└────┬─────┘ ^ ^ └─ LF, CRLF, or the end of input
//    |   quoted:    | quoted and empty: an empty string
//    field  "" is " └ empty without quotes: a null where the column may hold one
//
// A quoted field may hold line ends. Bytes are passed on as they are; nothing is trimmed.
//
// Thread     one at a time.
// Ring       1.
// Owner      the reader borrows its stream; fields hold until the next call.
// Errors     CST_PARSE: a quote inside a field, or one never closed; CST_LIMIT: a record above
//            CSTI_CSV_RECORD_BYTES_MAX or of too many fields. These name the line. CST_IO: reading
//            failed. After an error the reader is not used again.
#ifndef CST_STREAM_CSV_H
#define CST_STREAM_CSV_H

#include <constellation/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { CSTI_CSV_RECORD_BYTES_MAX = 4 << 20, CSTI_CSV_FIELDS_MAX = 256 };

typedef struct csti_csv_field {
    const char *text; // no NUL behind it
    size_t bytes;
    bool quoted;
} csti_csv_field;

typedef struct csti_csv {
    FILE *in;
    uint64_t line;        // where the record of the last call began, from 1
    uint64_t lines_ended; // line ends read so far
    char *record;
    size_t record_bytes, record_capacity;
    size_t starts[CSTI_CSV_FIELDS_MAX]; // into record: it moves while it grows
    csti_csv_field fields[CSTI_CSV_FIELDS_MAX];
    size_t fields_count;
} csti_csv;

void csti_csv_open(csti_csv *csv, FILE *in);
void csti_csv_close(csti_csv *csv);

// The next record into csv->fields; *found_out is false at the end of input.
CST_CHECK_RESULT cst_code csti_csv_next(csti_csv *csv, bool *found_out, cst_err *err);

// Writes a field so that csti_csv_next gives it back: in quotes where it needs them, or where it is
// empty (an empty field without quotes is a null).
void csti_csv_write(FILE *out, const char *text, size_t bytes);

#endif
