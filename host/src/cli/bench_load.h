// bench_load.h: clients that send batches of rows over TCP, each one batch at a time.
//
//   batch_send ──► rows of its batch ──► answers to all of them ──► the next one, until time is up
//                                          of any client, as they come: one thread for all
//
// A kind says how rows and answers look: of producers (bench_source.c), of Redis (bench_redis.c).
// Rows are lines of `bids` as NDJSON, made before; each client begins at another one.
//
// Thread     one.
// Ring       2.
// Owner      the caller owns rows; clients live as long as a turn.
// Errors     IO: a connection that could not be made, or that ended; DEADLINE: an answer that did
//            not come; what an answer says.
#ifndef CST_CLI_BENCH_LOAD_H
#define CST_CLI_BENCH_LOAD_H

#include "cli/bench.h"

enum {
    BENCH_LOAD_CLIENTS_MAX = 64,
    BENCH_LOAD_BATCH_ROWS = 100,
    BENCH_LOAD_HELLO_BYTES = 64,
    BENCH_LOAD_HEAD_BYTES = 64, // round a row
};

typedef struct bench_load_rows {
    char *text;
    uint32_t *offsets; // count + 1
    uint32_t count;
} bench_load_rows;

CST_CHECK_RESULT cst_code bench_load_rows_make(const bench *b, bench_load_rows *out, cst_err *err);
void bench_load_rows_free(bench_load_rows *rows); // zeroed ones are allowed

typedef struct bench_load_kind {
    // What a client says first; NULL: nothing.
    size_t (*hello)(char out[BENCH_LOAD_HELLO_BYTES], uint64_t client);
    // Behind the row, its client's `number` from 1 on: its bytes and at most
    // BENCH_LOAD_HEAD_BYTES more.
    char *(*row)(char *out, uint64_t number, const char *row, size_t bytes);
    // A whole line of an answer, without its end: raises *answered to what is answered by it.
    cst_code (*answer)(const char *line, size_t bytes, uint64_t *answered, cst_err *err);
} bench_load_kind;

typedef struct bench_load_options {
    const bench_load_kind *kind;
    const bench_load_rows *rows;
    uint16_t port; // of 127.0.0.1
    uint32_t clients;
    uint64_t first_client; // its number; a number is given once
    double seconds;
} bench_load_options;

typedef struct bench_load_turn {
    uint64_t rows;   // answered
    uint64_t ns;     // from the first row until the last answer
    uint64_t cpu_ns; // of this thread
} bench_load_turn;

CST_CHECK_RESULT cst_code bench_load_run(const bench_load_options *options, bench_load_turn *out,
                                         cst_err *err);

// A connection to 127.0.0.1. IO.
CST_CHECK_RESULT cst_code bench_load_connect(uint16_t port, int *fd_out, cst_err *err);
CST_CHECK_RESULT cst_code bench_load_send(int fd, const char *bytes, size_t count, cst_err *err);

#endif
