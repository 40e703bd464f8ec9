// producer.h: rows to a job with a tcp source, each of them counted once.
//
//   cst_producer_open ──► connects, says its id, learns which number comes next
//   put, put, put     ──► lines in memory, until they are acknowledged
//   wait              ──► all of them are
//        a connection that is lost is made anew; what was not acknowledged goes out again
//
//   cst_producer_options options = {.address = "127.0.0.1:7000", .id = "shop-1"};
//   code = cst_producer_open(&options, &producer, &err);
//   code = cst_producer_put(producer, "{\"auction\":7,\"price\":250}", 25, &number, &err);
//   code = cst_producer_wait(producer, 10000, &err);
//
// A producer that begins anew, after its own end, puts from the row behind cst_producer_next - 1
// on: rows before that are in the job's log already.
//
// Promises   a row that put took is kept until it is acknowledged. Nothing is sent twice to one
//            server life but what it asks for.
// Thread     a producer: one at a time.
// Owner      the caller keeps nothing that it gave: texts are copied.
// Errors     those of the server, by their code: CST_SOURCE_RECORD, CST_PRODUCER_GAP,
//            CST_PRODUCER_EXPIRED, CST_PRODUCER_REPLACED, CST_FENCED, CST_LIMIT, ...: the producer
//            is of no use any more. CST_DEADLINE: not all was acknowledged in time; wait again.
//            CST_IO: open could not connect. CST_TLS: a file is of no use, the server has not the
//            certificate that it should have, or does not take this one's; with CST_IO and
//            CST_NOT_FOUND the file cannot be read. CST_USAGE, CST_NO_MEMORY.
#ifndef CONSTELLATION_PRODUCER_H
#define CONSTELLATION_PRODUCER_H

#include <constellation/error.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { CST_PRODUCER_ID_BYTES_MAX = 64 };

typedef struct cst_producer cst_producer;

// To a server with TLS. Files are PEM; NULL: none, or as said.
typedef struct cst_producer_tls {
    const char *ca;     // whoever signed the server's certificate is in it; NULL: those that the
                        // system trusts. With the server's own in it no other one is taken
    const char *server; // the name or address that the certificate is of; NULL: that of `address`
    const char *cert;   // shown to a server that asks for one; needs `key`
    const char *key;    // without a password
} cst_producer_tls;

typedef struct cst_producer_options {
    const char *address;         // "127.0.0.1:7000", "[::1]:7000"
    const char *id;              // letters, digits, '.', '_', ':' and '-'; nobody else's
    size_t bytes_max;            // of rows that are not acknowledged; 0: 64 MiB
    const cst_producer_tls *tls; // NULL: rows go in plain
} cst_producer_options;

CST_API CST_CHECK_RESULT cst_code cst_producer_open(const cst_producer_options *options,
                                                    cst_producer **out, cst_err *err);
// What is not acknowledged is forgotten. NULL is allowed.
CST_API void cst_producer_close(cst_producer *producer);
// The number of the next row that is put: behind what the server had at open, and what came since.
CST_API uint64_t cst_producer_next(const cst_producer *producer);
// The number of the last row that is acknowledged; 0: none.
CST_API uint64_t cst_producer_acknowledged(const cst_producer *producer);
// Takes a row, a JSON object of one line, and sends what the connection takes. CST_AGAIN: bytes_max
// is used up, wait first. *number_out (may be NULL): the row's.
CST_API CST_CHECK_RESULT cst_code cst_producer_put(cst_producer *producer, const char *row,
                                                   size_t bytes, uint64_t *number_out,
                                                   cst_err *err);
// Until every row that was put is acknowledged, at most timeout_ms.
CST_API CST_CHECK_RESULT cst_code cst_producer_wait(cst_producer *producer, uint32_t timeout_ms,
                                                    cst_err *err);

#ifdef __cplusplus
}
#endif
#endif
