// tcp_server.h: rows over TCP, from many producers, into the write-ahead log.
//
//   loop, one thread                                                      log: its writer's thread
//   epoll ─► read a chunk of each ─► lines ─► rows of open batches ─► append, submit ─► safe rises
//     ▲                                                                                    │ wakes
//     └── answers: records below `safe` ◄── place_check: still the owner? ◄────────────────┘
//
//   a connection    NEW ── first line ──► OPEN ── its end ──► ENDS, until all is answered
//                    └──────┴── an error ──► FAILS, until what came before it is answered (at most
//                                            ANSWER_NS) ──► says why ──► DRAINS what still comes
//
// With TLS a connection begins with its handshake, in the time that its first line has. Whoever
// does not come through it is told by TLS alone; plain text is answered as such, and so is TLS to a
// server without. Who is turned away before its handshake is closed without a word.
//
// What a client is told: {"next":N} behind its id; {"ack":N}: its rows up to N survive what `ack`
// says; {"error":"CST_...","seq":N,"message":"..."}: the last line, then the connection is closed.
// No row of the line with the error, nor of one behind it, was taken; seq is that line's, 0 if it
// has none.
//
// Bounds   connections, fewer where the job's files would have no descriptors; a line; a chunk a
//          turn and connection; parts of lines of all connections together; an answer waits for
//          the one before it to go out. In time: the first line, the rest of a line, an answer
//          that is not taken, what is drained.
// Slower   from CSTI_WAL_SLOW_PERCENT of the log's bytes on the loop rests between turns and reads
//          less in each; a full log stops it. Full for FULL_NS, or a new connection to a full log:
//          refused with CST_WAL_FULL.
//
// Promises   a row is acknowledged behind its safe position and a place_check that came after it
//            (ack = wal), or behind the checkpoint that has it. A fenced server answers nothing but
//            CST_FENCED.
// Thread     turn: one at a time. wake: any.
// Ring       1; place_check is ring 2, in the loop.
// Owner      borrows all its options point to. The producers are the loop's while it is open.
// Errors     IO of open names the address (in use, not here); CONFIG: it is none. turn: what ended
//            it: FENCED, what the log failed with, IO, NO_MEMORY.
#ifndef CST_STREAM_TCP_SERVER_H
#define CST_STREAM_TCP_SERVER_H

#include "base/clock.h"
#include "base/log.h"
#include "stream/producers.h"
#include "stream/source.h"
#include "stream/tls.h"
#include "stream/wal.h"

enum { CSTI_TCP_ADDRESS_BYTES = 64 };

#define CSTI_TCP_FIRST_LINE_NS UINT64_C(10000000000)
#define CSTI_TCP_LINE_NS UINT64_C(30000000000)
#define CSTI_TCP_OUT_NS UINT64_C(30000000000)
#define CSTI_TCP_ENDS_NS UINT64_C(60000000000)
#define CSTI_TCP_ANSWER_NS UINT64_C(1000000000)
#define CSTI_TCP_DRAIN_NS UINT64_C(2000000000)
#define CSTI_TCP_FULL_NS UINT64_C(10000000000)

typedef struct csti_tcp_server csti_tcp_server;

typedef struct csti_tcp_server_options {
    const char *listen; // "127.0.0.1:7000", "[::1]:0"
    csti_wal *wal;
    csti_producers *producers;
    const csti_row_shape *shape;
    uint32_t splits_count;
    uint32_t rows_max; // of a record
    csti_push_ack ack;
    const _Atomic uint64_t *committed; // of each split: records below are in a checkpoint
    uint32_t connections_max, producers_max, line_bytes_max;
    csti_tls_context *tls; // NULL: none
    const csti_clock *clock;
    const csti_logger *logger; // NULL: none
    csti_metrics *metrics;
    // Whether rows may still be acknowledged: FENCED ends the server; any other error is asked
    // again.
    cst_code (*place_check)(void *context, cst_err *err);
    void *context;
} csti_tcp_server_options;

CST_CHECK_RESULT cst_code csti_tcp_server_open(const csti_tcp_server_options *options,
                                               csti_tcp_server **out, cst_err *err);
// Closes every connection; those of a fenced owner are told so. NULL is allowed.
void csti_tcp_server_close(csti_tcp_server *server);
// Where it listens, with the port that it got.
const char *csti_tcp_server_address(const csti_tcp_server *server);
// Whether it is one that open would take; CONFIG says what is wrong.
CST_CHECK_RESULT cst_code csti_tcp_address_check(const char *listen, cst_err *err);

// Waits up to timeout_ms for something to do, and does it.
CST_CHECK_RESULT cst_code csti_tcp_server_turn(csti_tcp_server *server, int timeout_ms,
                                               cst_err *err);
// The last turn: what was taken is made durable and answered.
void csti_tcp_server_finish(csti_tcp_server *server);
void csti_tcp_server_wake(csti_tcp_server *server);
// Rows of the split that went to the log. Any thread.
uint64_t csti_tcp_server_rows(const csti_tcp_server *server, uint32_t split);
// Since when somebody waits for a checkpoint: rows that none has acknowledged, or a log that is
// nearly full; 0: nobody. Any thread.
uint64_t csti_tcp_server_waits_ns(const csti_tcp_server *server);

#endif
