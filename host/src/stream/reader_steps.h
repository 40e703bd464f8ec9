// reader_steps.h: what a reader does to a batch before its key is taken.
//
//   source batch ─► filters: rows that stay ─► projection: columns that stay ─► operators, in order
//                     (nothing dropped: nothing copied)                    ─► windows (window.h)
//
// Promises   a batch that comes out passes cst_batch_check and has at most as many rows as came in,
//            times the windows of a row.
// Thread     one.
// Ring       1.
// Owner      borrows filters and operator types; owns the operators' instances. What comes out
//            holds until the next call.
// Errors     SOURCE_RECORD of windows (csti_steps_bad_row); OPERATOR, or the operator's own code:
//            which one, and what it said; NO_MEMORY; those of csti_projection_make and
//            csti_gather_rows.
#ifndef CST_STREAM_READER_STEPS_H
#define CST_STREAM_READER_STEPS_H

#include "stream/filter.h"
#include "stream/window.h"

#include <constellation/operator.h>

// An operator's instance.
typedef struct csti_step {
    const char *name;
    const cst_operator_shape *shape; // of what comes out
    cst_code (*process)(void *instance, const cst_batch *in, cst_batch *out, cst_err *err);
    void *instance;
} csti_step;

typedef struct csti_steps_options {
    const csti_row_shape *shape; // of the source
    const csti_filter *filters;
    uint32_t filters_count;
    const char *project; // names, CSTI_COLUMN_NAME_BYTES apart
    uint32_t project_count;
    const csti_step *operators;
    uint32_t operators_count;
    csti_window window;      // size_us 0: none
    const char *window_time; // the column, of what operators give; a timestamp that is never null
    uint32_t rows_max;       // of a batch that comes in
} csti_steps_options;

typedef struct csti_steps csti_steps;

CST_CHECK_RESULT cst_code csti_steps_open(const csti_steps_options *options, csti_steps **out,
                                          cst_err *err);
void csti_steps_close(csti_steps *steps);                            // NULL is allowed
const cst_operator_shape *csti_steps_shape(const csti_steps *steps); // of what comes out
CST_CHECK_RESULT cst_code csti_steps_run(csti_steps *steps, const cst_batch *in, cst_batch *out,
                                         cst_err *err);
// The row of the batch that went in last, of which this one of what came out was made. False:
// operators hide it; it is that one or one behind it.
bool csti_steps_row_before(const csti_steps *steps, uint32_t row, uint32_t *row_out);
// Whether the last run failed for the time of a row; *row_out: that row, as if it had come out.
bool csti_steps_bad_row(const csti_steps *steps, uint32_t *row_out);
uint64_t csti_steps_dropped_count(const csti_steps *steps); // rows, by filters

#endif
