// operator.h: a step between source and key, of your own.
//
//   source ──► filter ──► project ──► your operator ──► key ──► aggregate
//              batch in, batch out: fewer rows, other columns
//
// A shared library exports `const cst_operator_type cst_operator_v1`. A job names it:
//
//   [[operator]]
//   library = "./liblocal_time.so"      # found beside the job file
//   options = "zone=UTC+1"
//
// docs/examples/operator_local_time.c is one to start from.
//
// Promises   an operator sees each row of its reader once between two restores, in order; after a
//            restart rows since the last checkpoint come again. It keeps no state that outlives it.
// Needs      with unaligned_after (docs/jobs.md): what it gives for a row follows from that row.
//            What was counted is left out by its number when the row comes again.
// Thread     an instance: one reader's. Several instances may run at the same time.
// Ring       1: `process` should not block: it holds its reader up.
// Owner      what `process` hands out holds until its next call.
#ifndef CONSTELLATION_OPERATOR_H
#define CONSTELLATION_OPERATOR_H

#include <constellation/batch.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { CST_OPERATOR_VERSION = 1, CST_OPERATOR_NAME_BYTES = 64 };

// Columns by name, as they come in or go out.
typedef struct cst_operator_shape {
    cst_schema schema;
    char names[CST_COLUMNS_MAX][CST_OPERATOR_NAME_BYTES];
} cst_operator_shape;

typedef struct cst_operator_type {
    uint32_t version; // CST_OPERATOR_VERSION
    const char *name; // in errors and metrics
    // Says what goes out for what comes in, or refuses. *state_out is the instance.
    cst_code (*open)(const char *options, const cst_operator_shape *in, cst_operator_shape *out,
                     void **state_out, cst_err *err);
    // `out` may borrow columns of `in`. An error stops the job, naming the operator.
    cst_code (*process)(void *state, const cst_batch *in, cst_batch *out, cst_err *err);
    void (*close)(void *state);
} cst_operator_type;

#ifdef __cplusplus
}
#endif
#endif
