// tcp_internal.h: what the files of the TCP server share.
//
//   tcp_server.c       listening, turns, answers, time
//   tcp_connection.c   one connection: its bytes, its lines, what it is told
//   tcp_tls.c          what TLS adds to its bytes
//
// Thread     the loop.
// Ring       1.
#ifndef CST_STREAM_TCP_INTERNAL_H
#define CST_STREAM_TCP_INTERNAL_H

#include "base/park.h"
#include "stream/ndjson_rows.h"
#include "stream/push_batches.h"
#include "stream/tcp_server.h"

enum {
    TCP_MARKS_MAX = 16,
    TCP_OUT_BYTES_MAX = 4096,
    TCP_CHUNK_BYTES = 64 << 10,     // read of a connection in a turn
    TCP_CHUNK_BYTES_MIN = 4 << 10,  // of a nearly full log
    TCP_HELD_BYTES_MAX = 256 << 20, // parts of lines, of all connections
    TCP_MESSAGE_BYTES_MAX = 480,    // of an error
};

typedef enum tcp_state { TCP_NEW, TCP_OPEN, TCP_ENDS, TCP_FAILS, TCP_DRAINS } tcp_state;

// Rows up to seq are in records up to position.
typedef struct tcp_mark {
    uint64_t position, seq;
} tcp_mark;

typedef struct tcp_connection tcp_connection;
struct tcp_connection {
    csti_tcp_server *server;
    tcp_connection *waits_next, *waits_before; // of those with marks
    bool waits;
    int fd;
    csti_tls *tls;   // NULL: none
    bool tls_begun;  // it has sent something, and that looks like TLS
    bool read_waits; // TLS goes on with reading when it can write
    uint32_t slot;
    tcp_state state;
    uint32_t events; // that epoll looks for
    uint32_t split;
    csti_producer *producer; // of the table, or &nobody; NULL: it has not said anything
    csti_producer nobody;
    char *held; // the beginning of a line that is not whole
    size_t held_bytes, held_capacity;
    csti_buffer out; // not sent yet
    size_t out_sent;
    char *failure; // FAILS: what is said at last; malloc
    tcp_mark marks[TCP_MARKS_MAX];
    uint32_t marks_count;
    uint64_t acked;       // told
    uint64_t due;         // may be told
    uint64_t deadline_ns; // of its state, or of the line that is not whole; 0: none
    uint64_t out_ns;      // since when `out` does not move; 0: it is empty
};

typedef struct tcp_slot {
    tcp_connection *connection; // NULL: free
    uint32_t life;              // of the slot: an event of an earlier one is nobody's
    uint32_t next_free;
} tcp_slot;

typedef struct tcp_gauges {
    csti_metric *connections, *accepted, *rows, *repeated, *bytes, *acks, *producers, *forgotten;
    csti_metric *held_bytes, *stalled_ns;
} tcp_gauges;

struct csti_tcp_server {
    csti_tcp_server_options options;
    char address[CSTI_TCP_ADDRESS_BYTES];
    int listener, epoll, spare; // spare: a descriptor to refuse one more with
    csti_park_fd wake;
    csti_push_batches *batches;
    csti_ndjson_rows json;
    char *chunk; // of the connection that is read
    tcp_slot *slots;
    uint32_t slots_count, connections_count, first_free, serial;
    tcp_connection *waiting;
    size_t held_bytes;
    tcp_connection *stalled; // the one whose lines wait for room in the log
    bool blocked;            // nothing is read
    uint64_t full_since_ns;  // 0: the log is not full
    uint64_t blocked_since_ns;
    uint64_t rest_until_ns, timers_ns, place_again_ns;
    uint64_t checked;  // records below may be answered
    cst_code end_code; // what ended it; CST_OK: it works
    _Atomic uint64_t waits_ns;
    tcp_gauges gauges;
    uint64_t now_ns;
};

// ---- tcp_connection.c
// What can be read now. AGAIN, WAL_FULL: its lines wait for room in the log.
CST_CHECK_RESULT cst_code csti_tcp_read(tcp_connection *c, size_t bytes_max, cst_err *err);
// The lines that waited, once there is room.
CST_CHECK_RESULT cst_code csti_tcp_resume(tcp_connection *c, cst_err *err);
void csti_tcp_write(tcp_connection *c);
// Marks below the limit are answered.
void csti_tcp_answer(tcp_connection *c, uint64_t limit);
void csti_tcp_mark(tcp_connection *c, uint64_t position, uint64_t seq);
// The connection ends with this error, behind what is still to be answered.
void csti_tcp_refuse(tcp_connection *c, cst_code code, uint64_t seq, const char *message);
// The same without waiting for anything.
void csti_tcp_refuse_now(tcp_connection *c, cst_code code, uint64_t seq, const char *message);
// Its time: what is too late, what is due. It may be closed by it.
void csti_tcp_look(tcp_connection *c);
void csti_tcp_close(tcp_connection *c);

// What came from the client is over. Half a line is none.
void csti_tcp_input_end(tcp_connection *c);
// What was to be said at last goes out, and the rest is drained.
void csti_tcp_fails_now(tcp_connection *c);

// ---- tcp_tls.c: connections that have TLS
// Whether the handshake is over; else it has gone on as far as it could.
bool csti_tcp_handshake(tcp_connection *c);
// As much as there is of bytes_max, and the rest of the last record; 0: nothing now. An end, and a
// failure, are for the look, behind the rows that came with them.
size_t csti_tcp_tls_receive(tcp_connection *c, char *to, size_t bytes_max);
// What TLS has come to: the client's end, or a failure.
void csti_tcp_tls_look(tcp_connection *c);
// The events that it is to be read at, now that it can write.
uint32_t csti_tcp_tls_can_write(tcp_connection *c);
void csti_tcp_tls_fail(tcp_connection *c, csti_tls_failure failure, const char *why);

// ---- tcp_server.c
void csti_tcp_count_refusal(csti_tcp_server *server, cst_code code);
// One more in a counter that has a line for each value of its label.
void csti_tcp_count(csti_tcp_server *server, const char *name, const char *help, const char *label,
                    const char *value);
void csti_tcp_events(tcp_connection *c, uint32_t events);
void csti_tcp_slot_free(tcp_connection *c);
// Room for one more producer with rows: the oldest whom nobody holds is forgotten. LIMIT: all are
// held; AGAIN, WAL_FULL, see push_batches.h.
CST_CHECK_RESULT cst_code csti_tcp_producer_room(csti_tcp_server *server, cst_err *err);
uint32_t csti_tcp_split_of(const csti_tcp_server *server, const char *id, uint32_t bytes);

#endif
