// filter.h: which rows of a batch a job keeps: one column, one comparison, one constant.
//
//   rows      0 1 2 3 4 5 6 7          price >= 100
//   selected  0   2     5 6            ascending; the next filter looks at these only
//
// Values compare as keys do: -0.0 is +0.0, every NaN is one NaN above infinity, strings by bytes. A
// null is neither equal nor unequal to anything: its row is dropped.
//
// Thread     a filter: any, read only. Pure functions.
// Ring       1: no allocation.
// Owner      a filter borrows the constant's text.
// Errors     NOT_FOUND: no such column; PARSE, VALUE_RANGE: the constant is not of its type;
//            LIMIT: a binary constant of more than CST_FIXED_BYTES_MAX bytes.
#ifndef CST_STREAM_FILTER_H
#define CST_STREAM_FILTER_H

#include "stream/source.h"

#include <constellation/keys.h>

typedef enum csti_compare {
    CSTI_EQUAL = 1,
    CSTI_NOT_EQUAL,
    CSTI_LESS,
    CSTI_LESS_EQUAL,
    CSTI_GREATER,
    CSTI_GREATER_EQUAL,
} csti_compare;

typedef struct csti_filter {
    uint32_t column; // of the batch
    cst_column type;
    bool keep_less, keep_equal, keep_greater;
    cst_value value; // its bytes: in `bytes`, or a string's own text
    uint8_t bytes[CST_FIXED_BYTES_MAX];
} csti_filter;

// *out is not to be moved: its value may point into it.
CST_CHECK_RESULT cst_code csti_filter_make(const csti_row_shape *shape, const char *column,
                                           csti_compare compare, const char *value,
                                           csti_filter *out, cst_err *err);

// `rows` holds `count` ascending row numbers of the batch; those that stay are moved to its front.
// How many they are.
uint32_t csti_filter_rows(const csti_filter *filter, const cst_batch *batch, uint32_t *rows,
                          uint32_t count);

#endif
