// record_out.h: rows become records of a segment, through one buffer.
//
//   row ──► | head | key, zeros | value, zeros | ──► buffer, 2 MiB ──► cst_segment_writer_append
//
// Promises   records of the fewest units; the same bytes for the same rows.
// Thread     one. Ring 1. Owner: the caller owns the struct; release frees the buffer.
#ifndef CST_STATE_RECORD_OUT_H
#define CST_STATE_RECORD_OUT_H

#include "state/record.h"

enum { CSTI_RECORD_OUT_BYTES = 2 << 20 }; // the longest record fits

typedef struct csti_record_out {
    cst_segment_writer *writer;
    csti_record_shape shape;
    uint32_t part;
    uint8_t *buffer;
    size_t used;
} csti_record_out;

// CST_NO_MEMORY.
CST_CHECK_RESULT cst_code csti_record_out_open(csti_record_out *out, cst_segment_writer *writer,
                                               cst_err *err);
// Ends the part before.
CST_CHECK_RESULT cst_code csti_record_out_part(csti_record_out *out, uint32_t part,
                                               const cst_segment_part *shape, cst_err *err);
CST_CHECK_RESULT cst_code csti_record_out_row(csti_record_out *out, const cst_row_ref *row,
                                              cst_err *err);
CST_CHECK_RESULT cst_code csti_record_out_flush(csti_record_out *out, cst_err *err);
void csti_record_out_release(csti_record_out *out);

#endif
