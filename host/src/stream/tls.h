// tls.h: TLS on a socket, by OpenSSL, for the server of a tcp source and for producers.
//
//   context      certificate and key, whom to trust: one for all connections
//     │
//     ▼
//   connection   handshake ──► recv, send, as of the socket ──► end: nothing more is said ──► close
//                    └────────────┴──► a failure, by reason
//
// Nothing waits. What cannot go on now is tried again when the socket can be read, or written, if
// csti_tls_waits_to_write says so: a handshake writes, too.
//
// Promises   TLS 1.2 or newer; no renegotiation, no session that is resumed, no early data: every
//            connection proves anew who it is. A call of recv takes one record from the socket at
//            most, and gives all of it to a buffer of CSTI_TLS_RECORD_BYTES: so nothing is left
//            that the socket does not tell of. No SIGPIPE, no question for a password.
// Bounds     a record each way, while bytes are under way; a certificate chain, OpenSSL's bound.
// Thread     a context: any, once it is open. A connection: one at a time.
// Ring       1; contexts 2.
// Owner      a connection borrows its socket and its context.
// Errors     of contexts: IO, NOT_FOUND: a file; TLS: what is in it; NO_MEMORY. Of connections:
// TLS,
//            with csti_tls_failure_of.
#ifndef CST_STREAM_TLS_H
#define CST_STREAM_TLS_H

#include <constellation/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { CSTI_TLS_RECORD_BYTES = 16 << 10, CSTI_TLS_TIME_BYTES = 24, CSTI_TLS_WHY_BYTES = 200 };

// Files of PEM text. A server has the first two; `trusted` are those that sign for the other side.
typedef enum csti_tls_file { CSTI_TLS_CERT, CSTI_TLS_KEY, CSTI_TLS_TRUSTED } csti_tls_file;
enum { CSTI_TLS_FILES = 3 };

typedef struct csti_tls_files {
    const char *paths[CSTI_TLS_FILES]; // NULL: none
} csti_tls_files;

// What a job file calls them.
#define CSTI_TLS_SETTINGS "tls_cert", "tls_key", "tls_clients"

// X(name, as a metric's label)
#define CSTI_TLS_FAILURES(X)                                                                       \
    X(NONE, "none")                                                                                \
    X(PLAIN, "plain_text")            /* no TLS at all */                                          \
    X(TIME, "time")                   /* no handshake in time */                                   \
    X(ENDED, "ended")                 /* the other side went in the handshake */                   \
    X(PROTOCOL, "protocol")           /* no version or cipher in common, or nonsense */            \
    X(CERTIFICATE, "certificate")     /* the other side's: none, or not one that is trusted */     \
    X(ALERT, "alert")                 /* the other side says that it will not */                   \
    X(RENEGOTIATION, "renegotiation") /* the other side asks for it */                             \
    X(RECORD, "record")               /* a damaged one, behind the handshake */                    \
    X(LOST, "lost")                   /* the socket, behind the handshake */

typedef enum csti_tls_failure {
#define CSTI_TLS_FAILURE_ENUM(name, label) CSTI_TLS_##name,
    CSTI_TLS_FAILURES(CSTI_TLS_FAILURE_ENUM)
#undef CSTI_TLS_FAILURE_ENUM
        CSTI_TLS_FAILURES_COUNT
} csti_tls_failure;

const char *csti_tls_failure_name(csti_tls_failure failure);

typedef struct csti_tls_context csti_tls_context;

// With `trusted` a client has to show a certificate. *wrong_out: which file an error is of.
CST_CHECK_RESULT cst_code csti_tls_server_open(const csti_tls_files *files, csti_tls_context **out,
                                               csti_tls_file *wrong_out, cst_err *err);
// Takes servers whose certificate is of `server`, a name or an address, and leads to `trusted`;
// without: to those that the system trusts. Shows its own if it has one and is asked.
CST_CHECK_RESULT cst_code csti_tls_client_open(const csti_tls_files *files, const char *server,
                                               csti_tls_context **out, csti_tls_file *wrong_out,
                                               cst_err *err);
void csti_tls_context_close(csti_tls_context *context); // NULL is allowed

typedef struct csti_tls_validity {
    bool early, over;                                           // at the time given
    char from[CSTI_TLS_TIME_BYTES], until[CSTI_TLS_TIME_BYTES]; // "2026-11-22T16:00:00Z"
} csti_tls_validity;
// Of the context's own certificate.
csti_tls_validity csti_tls_validity_at(const csti_tls_context *context, int64_t wall_us);

typedef struct csti_tls csti_tls;

CST_CHECK_RESULT cst_code csti_tls_open(csti_tls_context *context, int fd, csti_tls **out,
                                        cst_err *err);
// Says that it ends, if it can. The socket stays. NULL is allowed.
void csti_tls_close(csti_tls *tls);
// AGAIN: it goes on later. Behind OK it is OK.
CST_CHECK_RESULT cst_code csti_tls_handshake(csti_tls *tls, cst_err *err);
bool csti_tls_is_ready(const csti_tls *tls); // the handshake is over
// As recv and send of a socket that does not block: 0 of recv: the end; -1: errno is EAGAIN, or
// EPROTO, a failure. Before the handshake is over: -1, ENOTCONN.
ssize_t csti_tls_recv(csti_tls *tls, void *to, size_t bytes);
ssize_t csti_tls_send(csti_tls *tls, const void *from, size_t bytes);
void csti_tls_end(csti_tls *tls);
bool csti_tls_waits_to_write(const csti_tls *tls);
bool csti_tls_has_ended(const csti_tls *tls); // recv has given all there was, and its end
csti_tls_failure csti_tls_failure_of(const csti_tls *tls);
// A sentence; "" without a failure.
const char *csti_tls_why(const csti_tls *tls);

#endif
