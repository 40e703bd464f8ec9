// push_batches.h: rows on their way into the write-ahead log, a batch a split.
//
//   line ──► row of its split's open batch ──► full, or the turn is over ──► one record
//   (push_record.h)
//              runs: whose rows they are          of kind = the split
//
//   row_begin ──► columns, row ──► parsed there ──► row_end: it counts, or nothing: it never was
//
// Promises   a record's rows stand in the order in which they ended; of one giver too.
// Thread     one, the loop.
// Ring       1: no allocation for a row, but where the batch has more runs than ever before.
// Owner      borrows log and shape; a giver until its rows are told of by `placed`, or it leaves.
// Errors     AGAIN, WAL_FULL: the batch stays as it is, and takes no more rows until it is in the
//            log; NO_MEMORY; what the log failed with.
#ifndef CST_STREAM_PUSH_BATCHES_H
#define CST_STREAM_PUSH_BATCHES_H

#include "stream/push_record.h"
#include "stream/row_columns.h"
#include "stream/source.h"
#include "stream/wal.h"

typedef struct csti_push_batches csti_push_batches;

typedef struct csti_push_batches_options {
    csti_wal *wal;
    const csti_row_shape *shape;
    uint32_t splits_count;
    uint32_t rows_max; // of a batch; fewer, where a record of so many would not fit the log
    uint32_t line_bytes_max;
    // Rows of the giver, the last of them `seq`, stand in the record at `position`.
    void (*placed)(void *context, csti_producer *giver, uint64_t position, uint64_t seq);
    void *context;
} csti_push_batches_options;

CST_CHECK_RESULT cst_code csti_push_batches_open(const csti_push_batches_options *options,
                                                 csti_push_batches **out, cst_err *err);
void csti_push_batches_close(csti_push_batches *batches); // NULL is allowed

// Where the next row of the split, of so many bytes of text, is parsed to. A full batch goes to the
// log first.
CST_CHECK_RESULT cst_code csti_push_row_begin(csti_push_batches *batches, uint32_t split,
                                              size_t text_bytes, csti_row_columns **columns_out,
                                              uint32_t *row_out, cst_err *err);
// The row that was begun last counts. `id` holds until the batch is in the log, or its giver
// leaves.
CST_CHECK_RESULT cst_code csti_push_row_end(csti_push_batches *batches, uint32_t split,
                                            size_t text_bytes, csti_push_id id, uint64_t seq,
                                            csti_producer *giver, cst_err *err);
// The giver is told of nothing any more.
void csti_push_giver_leaves(csti_push_batches *batches, uint32_t split, const csti_producer *giver);
// The next record of the split says first that nobody knows the id any more. Rows of before are in
// the log.
CST_CHECK_RESULT cst_code csti_push_forget(csti_push_batches *batches, uint32_t split,
                                           csti_push_id id, cst_err *err);
// Appends every open batch and submits.
CST_CHECK_RESULT cst_code csti_push_batches_flush(csti_push_batches *batches, cst_err *err);
// Rows of the split in the log, of this life.
uint64_t csti_push_rows_logged(const csti_push_batches *batches, uint32_t split);

#endif
