// bench_redis.h: redis-server as a peer: rows are entries of a stream, on disk before they are
// answered.
//
//   this process ──fork──► redis-server, a port of its own, appendonly, appendfsync always
//                XADD bids * row {...}   pipelined, a batch at a time ──► ids
//
// It ends with this process, however that ends. Its files lie in a folder of the caller's.
//
// Thread     one.
// Ring       2.
// Errors     NOT_FOUND: it does not start. IO.
#ifndef CST_CLI_BENCH_REDIS_H
#define CST_CLI_BENCH_REDIS_H

#include "cli/bench_load.h"

#include <sys/types.h>

typedef struct bench_redis {
    pid_t process; // 0: none
    uint16_t port;
    int control;
} bench_redis;

CST_CHECK_RESULT cst_code bench_redis_open(const char *folder, bench_redis *out, cst_err *err);
void bench_redis_close(bench_redis *redis); // a zeroed one is allowed
// The stream begins anew.
CST_CHECK_RESULT cst_code bench_redis_clear(const bench_redis *redis, cst_err *err);
// Of processors, by all threads of it so far.
CST_CHECK_RESULT cst_code bench_redis_cpu_ns(const bench_redis *redis, uint64_t *out, cst_err *err);

extern const bench_load_kind bench_redis_rows;

#endif
