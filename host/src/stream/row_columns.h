// row_columns.h: columns that rows of text are parsed into.
//
//   text of a field ──► csti_columns_put_* (column, row) ──► values, offsets, validity ──►
//   cst_batch
//
// A row that fails half-way is simply written over: nothing of it was counted.
//
// Promises   a batch made of rows that were put whole passes cst_batch_check.
// Thread     one.
// Ring       1: no allocation after open.
// Owner      the columns own their buffers; a batch borrows them until the next reset.
// Errors     PARSE, VALUE_RANGE, UTF8, LIMIT, SCHEMA_MISMATCH (a null): why a field is refused.
#ifndef CST_STREAM_ROW_COLUMNS_H
#define CST_STREAM_ROW_COLUMNS_H

#include "stream/text_scan.h"

#include <assert.h>
#include <constellation/keys.h>

enum {
    CSTI_COLUMNS_SLACK_BYTES = 64, // behind the strings: they are copied in blocks
    CSTI_FIELD_TEXT_BYTES_MAX = 2 * CST_VARIABLE_BYTES_MAX, // of a value that is no string: hex
};

typedef struct csti_column_rows {
    cst_column column;
    uint32_t width;        // of a value; 0: offsets
    bool integer;          // u8..u64, i8..i64, date, timestamp: digits are stored as they are
    uint64_t positive_max; // integer: the largest magnitude
    uint64_t negative_max; // 0: no sign
    uint8_t *values;       // or the strings' bytes
    int32_t *offsets;      // rows_max + 1, or NULL
    uint8_t *validity;     // nullable: bit a row, set where nothing was put
    bool any_null;
} csti_column_rows;

typedef struct csti_row_columns {
    const cst_schema *schema;
    uint32_t rows_max;
    size_t text_bytes_max;
    csti_column_rows columns[CST_COLUMNS_MAX];
    cst_column_data data[CST_COLUMNS_MAX];
} csti_row_columns;

// The rows of a batch together come from at most text_bytes_max bytes of text. `schema` is
// borrowed.
CST_CHECK_RESULT cst_code csti_columns_open(csti_row_columns *columns, const cst_schema *schema,
                                            uint32_t rows_max, size_t text_bytes_max, cst_err *err);
void csti_columns_close(csti_row_columns *columns); // a zeroed one is allowed
void csti_columns_reset(csti_row_columns *columns);
void csti_columns_batch(csti_row_columns *columns, uint32_t rows_count, cst_batch *out);

// The row was put, whole or in part, and does not count: another one takes its place.
void csti_columns_row_undo(csti_row_columns *columns, uint32_t row);

// Any type, from text as value_text.h reads it; a string's bytes are checked and copied.
CST_CHECK_RESULT cst_code csti_columns_put_text(csti_column_rows *to, uint32_t row,
                                                const char *text, size_t bytes, cst_err *err);
// SCHEMA_MISMATCH: the column takes none.
CST_CHECK_RESULT cst_code csti_columns_put_null(csti_column_rows *to, uint32_t row, cst_err *err);
// A string that has been copied to csti_columns_string already.
CST_CHECK_RESULT cst_code csti_columns_put_string(csti_column_rows *to, uint32_t row, size_t bytes,
                                                  bool ascii, cst_err *err);

// Where a string of the row goes; CSTI_COLUMNS_SLACK_BYTES behind its end may be written over.
static inline char *csti_columns_string(const csti_column_rows *to, uint32_t row) {
    return (char *)to->values + to->offsets[row];
}

static inline void csti_columns_store(csti_column_rows *to, uint32_t row, uint64_t value) {
    switch (to->width) {
    case 1:
        to->values[row] = (uint8_t)value;
        break;
    case 2:
        ((uint16_t *)(void *)to->values)[row] = (uint16_t)value;
        break;
    case 4:
        ((uint32_t *)(void *)to->values)[row] = (uint32_t)value;
        break;
    default:
        assert(to->width == 8);
        ((uint64_t *)(void *)to->values)[row] = value;
        break;
    }
}

// The digits without the zeros in front; 0: there are none at all, or too many for a u64.
static inline size_t csti_digits_sure(const char *at, size_t count) {
    size_t zeros = 0;

    while (zeros + 1 < count && at[zeros] == '0') zeros++;
    return count - zeros <= CSTI_DIGITS_SURE ? count - zeros : 0;
}

// The integer at `at`, its sign included: returns behind it, or NULL if it is none that this column
// takes, or one that needs a closer look. What follows the digits is the caller's to judge.
//
// Always inline: a call of it saves and restores more registers than most numbers have digits.
static inline __attribute__((always_inline)) const char *
csti_columns_put_digits(csti_column_rows *to, uint32_t row, const char *at) {
    const bool negative = *at == '-';
    uint64_t magnitude = 0;
    size_t count;

    if (!to->integer) return NULL;
    at += negative;
    count = csti_digits(at, &magnitude);
    if (count - 1 >= CSTI_DIGITS_SURE && csti_digits_sure(at, count) == 0) return NULL;
    if (magnitude > (negative ? to->negative_max : to->positive_max)) return NULL;
    if (negative && to->negative_max == 0) return NULL;
    csti_columns_store(to, row, negative ? 0 - magnitude : magnitude);
    return at + count;
}

#endif
