// bench_s3.h: what the benchmarks of a bucket share.
//
// Thread     one.
// Ring       2.
#ifndef CST_CLI_BENCH_S3_H
#define CST_CLI_BENCH_S3_H

#include "cli/bench.h"

#include <constellation/object.h>

enum { BENCH_S3_NAME_BYTES = 96 };

// Of a segment's bytes, without a store.
CST_CHECK_RESULT cst_code bench_s3_send(bench *b, const uint8_t *bytes, size_t count, cst_err *err);
// From a proved store.
CST_CHECK_RESULT cst_code bench_s3_recovery(bench *b, cst_object_store *store, cst_err *err);
CST_CHECK_RESULT cst_code bench_s3_job(bench *b, cst_object_store *store, cst_err *err);

#endif
