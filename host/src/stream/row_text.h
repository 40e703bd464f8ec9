// row_text.h: rows of a batch as lines of text, into a buffer.
//
//   ndjson   {"auction":1007,"price":250,"channel":"web","at":1767225600000000}
//   csv      1007,250,web,1767225600000000          a header line names the columns
//
//   type                              ndjson                 csv
//   integers                          digits                 digits
//   date, timestamp                   days, microseconds since 1970, as digits: for machines
//   f32, f64                          shortest, "nan" ...    the same without quotes
//   decimal128                        digits and point       the same
//   bool                              true | false           the same
//   uuid, fixed, binary               a string, as value_text.h has it
//   string                            escaped                quoted where it must be, or if empty
//   null                              null                   nothing
//
// Promises   equal batches give equal bytes.
// Thread     pure functions.
// Ring       1: no allocation.
#ifndef CST_STREAM_ROW_TEXT_H
#define CST_STREAM_ROW_TEXT_H

#include <constellation/batch.h>

typedef enum csti_row_format { CSTI_ROW_NDJSON, CSTI_ROW_CSV } csti_row_format;

// Writes rows from *row on while they fit and moves *row behind the last one written; *bytes_out
// is how much. CST_LIMIT: not even one row fits. The batch must have passed cst_batch_check.
CST_CHECK_RESULT cst_code csti_rows_write(const cst_batch *batch, const char *const *names,
                                          csti_row_format format, uint32_t *row, char *out,
                                          size_t capacity, size_t *bytes_out);

// The CSV header line. CST_LIMIT: does not fit.
CST_CHECK_RESULT cst_code csti_rows_write_header(const cst_schema *schema, const char *const *names,
                                                 char *out, size_t capacity, size_t *bytes_out);

#endif
