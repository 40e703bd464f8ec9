// ndjson_rows.h: NDJSON as rows of columns, at the speed of memory.
//
//   {"auction":7,"price":250,"note":{"a":[]}}       one object a line
//    ^ guess[0]  ^ guess[1]  ^ guess[2]: no column  the names of the last line, and their columns
//
// Lines mostly have the same names in the same order: each is compared with the guess for its
// place, and only looked for where that fails. A value is first tried as what its column is.
//
//   column                    takes
//   integers                  a number without point and exponent
//   date, timestamp           the same (days, microseconds since 1970), or a string of value_text.h
//   f32, f64                  a number, "nan", "inf", "-inf"
//   decimal128                a number without exponent, or a string
//   bool                      true, false
//   string, uuid, fixed, binary   a string, as value_text.h has it
//   any that is nullable      null, or no member of that name
//
// A member without a column is passed over, but must be well formed. A column named twice is
// refused, and so is a line that is no object. A line of blanks holds no row.
//
// Thread     one. Ring 1: no allocation after open.
// Errors     SOURCE_RECORD: text->bad and *err say where and why; rows before it are whole.
#ifndef CST_STREAM_NDJSON_ROWS_H
#define CST_STREAM_NDJSON_ROWS_H

#include "stream/rows_text.h"

enum { CSTI_GUESSES_MAX = 64, CSTI_GUESS_BYTES = 32 };

typedef struct csti_ndjson_guess {
    char text[CSTI_GUESS_BYTES]; // "auction":   quotes and colon included
    uint64_t words[2];           // the first 16 bytes, and which of their bits count
    uint64_t masks[2];
    uint32_t bytes; // 0: none
    int32_t column; // -1: none
} csti_ndjson_guess;

typedef struct csti_ndjson_rows {
    const csti_row_shape *shape;
    uint32_t all_columns; // bit a column
    uint32_t nullable_columns;
    char *scratch; // a string that is no string column's
    csti_ndjson_guess guesses[CSTI_GUESSES_MAX];
} csti_ndjson_rows;

// `shape` is borrowed.
CST_CHECK_RESULT cst_code csti_ndjson_rows_open(csti_ndjson_rows *json, const csti_row_shape *shape,
                                                cst_err *err);
void csti_ndjson_rows_close(csti_ndjson_rows *json); // a zeroed one is allowed

// Takes rows until there are rows_max, or no text is left; *rows_out of them are in `out`.
CST_CHECK_RESULT cst_code csti_ndjson_rows_next(csti_ndjson_rows *json, csti_text *text,
                                                csti_row_columns *out, uint32_t rows_max,
                                                uint32_t *rows_out, cst_err *err);

// A row's object alone, inside a line of something else: from its brace at `at` to behind its end.
// NULL: text->bad and *err say why. text->at, where an error is that has no other place, and the
// count of lines stay.
const char *csti_ndjson_object_take(csti_ndjson_rows *json, csti_text *text, const char *at,
                                    csti_row_columns *out, uint32_t row, cst_err *err);

#endif
