// csv_rows.h: CSV as rows of columns, at the speed of memory; the rules are csv.h's.
//
//   auction,price,channel        fields[] = {0, 2, 3}: a field's column, or none
//   7,250,"web, late"            digits ──► number;  bytes ──► string, sixteen at a time
//
// A field is first tried as what its column most often is (digits, text without quotes); whatever
// that does not settle goes the slow way: the field's text is found, unquoted, and read by
// value_text.h, which also says what is wrong with it.
//
// Beyond csv.h: a date or timestamp may be digits (days, microseconds since 1970). A field without
// a column is passed over, but must be well formed. Every record has as many fields as the header,
// or as the shape has columns.
//
// Promises   rows and refusals as the slow parser with csv.h and value_text.h has them.
// Thread     one. Ring 1: no allocation after open.
// Errors     SOURCE_RECORD: text->bad and *err say where and why; rows before it are whole.
//            AGAIN: the text ends inside quotes.
#ifndef CST_STREAM_CSV_ROWS_H
#define CST_STREAM_CSV_ROWS_H

#include "stream/csv.h"
#include "stream/rows_text.h"

enum { CSTI_NO_COLUMN = -1 };

typedef struct csti_csv_rows {
    const csti_row_shape *shape;
    uint32_t fields_count;
    int16_t fields[CSTI_CSV_FIELDS_MAX]; // the column, or CSTI_NO_COLUMN
    char *scratch;                       // an unquoted field
} csti_csv_rows;

// Fields are the columns, in their order, until a header says otherwise. `shape` is borrowed.
CST_CHECK_RESULT cst_code csti_csv_rows_open(csti_csv_rows *csv, const csti_row_shape *shape,
                                             cst_err *err);
void csti_csv_rows_close(csti_csv_rows *csv); // a zeroed one is allowed

// Takes the line of names: each column once, in any order; other names are passed over.
CST_CHECK_RESULT cst_code csti_csv_rows_header(csti_csv_rows *csv, csti_text *text, cst_err *err);
// Takes rows until there are rows_max, or no text is left; *rows_out of them are in `out`.
CST_CHECK_RESULT cst_code csti_csv_rows_next(csti_csv_rows *csv, csti_text *text,
                                             csti_row_columns *out, uint32_t rows_max,
                                             uint32_t *rows_out, cst_err *err);

#endif
