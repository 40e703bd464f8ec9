// operator.h: an operator of a job's own, from a shared library.
//
//   [[operator]] library ─► dlopen ─► cst_operator_v1 ─► open(options, columns in) ─► columns out
//
// Promises   what it says of its columns is checked before a row goes in, and every batch that
//            comes out: its columns are those, and it passes cst_batch_check. Errors name the
//            operator.
// Thread     an instance: one.
// Ring       1; open and close: 2.
// Owner      the library stays loaded until the instance is closed.
// Errors     OPERATOR: no such library, no operator in it, another version, what it answered with;
//            NO_MEMORY.
#ifndef CST_SERVER_OPERATOR_H
#define CST_SERVER_OPERATOR_H

#include "server/config.h"

typedef struct csti_operator csti_operator;

CST_CHECK_RESULT cst_code csti_operator_open(const csti_operator_config *config,
                                             const cst_operator_shape *in, csti_operator **out,
                                             cst_err *err);
void csti_operator_close(csti_operator *instance); // NULL is allowed
const char *csti_operator_name(const csti_operator *instance);
// What comes out of it.
const cst_operator_shape *csti_operator_shape_out(const csti_operator *instance);
// *out holds until the next call, or as long as *in, whichever is shorter.
CST_CHECK_RESULT cst_code csti_operator_process(csti_operator *instance, const cst_batch *in,
                                                cst_batch *out, cst_err *err);

#endif
