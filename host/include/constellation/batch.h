// batch.h: rows on their way through the hot path, a column at a time.
//
//   rows_count = 4
//   ops        U U D U                         one byte a row; NULL: every row is an upsert
//   column 0   [ 7 | 9 | 7 | 3 ]               fixed width: values back to back
//   column 1   offsets [0,3,3,5,9] + bytes     string, binary: Arrow's i32 offsets
//   validity   bit r of byte r/8, 1 = present  NULL: no nulls
//
// The layout is Arrow's C data layout, except that bool is one byte a value (Arrow's bits are
// expanded on import). A batch only borrows: it never owns a buffer.
//
// Buffers may lie at any address: none has to be aligned. What stands in a null row's place is not
// looked at, but its offsets are. Rows and columns count from 0, in errors too.
//
// Promises   cst_batch_check finds every contradiction that could make a reader leave a buffer.
// Ring       0 trusts a checked batch.
#ifndef CONSTELLATION_BATCH_H
#define CONSTELLATION_BATCH_H

#include <constellation/schema.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { CST_BATCH_ROWS_MAX = 1 << 20 };

typedef enum cst_row_op { CST_ROW_UPSERT = 0, CST_ROW_DELETE = 1 } cst_row_op;

typedef struct cst_buffer {
    const void *data; // may be NULL if bytes is 0
    size_t bytes;
} cst_buffer;

typedef struct cst_column_data {
    cst_buffer values;   // fixed width: rows_count values; string, binary: the bytes
    cst_buffer offsets;  // string, binary: rows_count + 1 int32_t; else empty
    cst_buffer validity; // (rows_count + 7) / 8 bytes, or empty: no nulls
} cst_column_data;

typedef struct cst_batch {
    const cst_schema *schema;
    uint32_t rows_count;
    cst_buffer ops;                 // rows_count bytes of cst_row_op, or empty
    const cst_column_data *columns; // schema->columns_count of them
} cst_batch;

// CST_BATCH: buffers too short or missing, offsets that are negative, go down or point outside, an
// unknown operation. CST_UTF8; CST_VALUE_RANGE (bool, decimal128, a value over
// CST_VARIABLE_BYTES_MAX); CST_SCHEMA_MISMATCH (a null where the schema has none): naming column
// and row. CST_SCHEMA: the schema itself is bad. CST_LIMIT: more than CST_BATCH_ROWS_MAX rows.
CST_API CST_CHECK_RESULT cst_code cst_batch_check(const cst_batch *batch, cst_err *err);

#ifdef __cplusplus
}
#endif
#endif
