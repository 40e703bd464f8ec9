// project.h: chosen columns and chosen rows of a batch.
//
//   in     auction bidder price channel at          rows 0 1 2 3 4
//   map    [2, 0]                                   rows   1   3
//   out    price auction                            gathered: 2 rows, back to back
//
// Without chosen rows nothing is copied: the columns go on where they lie.
//
// Promises   values, nulls and operations of the chosen rows come out as they went in.
// Thread     one.
// Ring       1: strings may need more room than any batch before.
// Owner      the gather owns what it copied; it holds until its next call.
// Errors     NOT_FOUND: no such column; USAGE: one column twice; NO_MEMORY; LIMIT: the strings of a
//            batch are above 2^31 bytes.
#ifndef CST_STREAM_PROJECT_H
#define CST_STREAM_PROJECT_H

#include "base/buffer.h"
#include "stream/source.h"

typedef struct csti_projection {
    csti_row_shape shape; // what goes out
    uint32_t columns[CST_COLUMNS_MAX];
} csti_projection;

// Names lie CSTI_COLUMN_NAME_BYTES apart; names_count 0: all columns, as they are.
CST_CHECK_RESULT cst_code csti_projection_make(const csti_row_shape *shape, const char *names,
                                               uint32_t names_count, csti_projection *out,
                                               cst_err *err);
// All rows: out's columns are written to columns_out, which the batch refers to.
void csti_project(const csti_projection *projection, const cst_batch *in,
                  cst_column_data columns_out[CST_COLUMNS_MAX], cst_batch *out);

typedef struct csti_gather {
    uint32_t rows_capacity;
    uint8_t *values[CST_COLUMNS_MAX];
    uint8_t *validity[CST_COLUMNS_MAX];
    csti_buffer text[CST_COLUMNS_MAX];
    int32_t *offsets[CST_COLUMNS_MAX];
    uint8_t *ops;
    cst_column_data columns[CST_COLUMNS_MAX];
} csti_gather;

CST_CHECK_RESULT cst_code csti_gather_open(const csti_projection *projection,
                                           uint32_t rows_capacity, csti_gather *out, cst_err *err);
void csti_gather_close(csti_gather *gather); // may be called twice
CST_CHECK_RESULT cst_code csti_gather_rows(csti_gather *gather, const csti_projection *projection,
                                           const cst_batch *in, const uint32_t *rows,
                                           uint32_t count, cst_batch *out, cst_err *err);

// values[i] = in[rows[i]], each `width` bytes.
void csti_gather_values(void *out, const void *in, uint32_t width, const uint32_t *rows,
                        uint32_t count);
// Bits [first, first + count) of `out` become in's bits of these rows; no `in`: all ones.
void csti_gather_bits(uint8_t *out, uint32_t first, const uint8_t *in, const uint32_t *rows,
                      uint32_t count);

#endif
