// s3_http.h: a thread that moves bytes: libcurl's multi interface behind calls that wait.
//
//   caller ─► start ─► queue ─► at most `window` at once ─► libcurl ─► answer ─► wait ─► caller
//                                  ▲                                     │
//                                  └── 503 or 429: half; else one more ──┘
//
// An upload's bytes are read where they lie: libcurl's own send buffer is the only copy.
//
// Promises   an answer, or a reason why there is none, by the deadline. Nothing of an exchange is
//            touched after its wait has returned. At most `connections` requests at once, on at
//            most as many sockets; with HTTP/2 many are streams of one. Redirects are never
//            followed. `sent` is false only if no byte can have reached the server.
// Thread     start, wait: any; one exchange: one. The loop is a thread of its own.
// Ring       1.
// Owner      callers own method, url, headers and ranges until the wait returns, and free the body.
// Errors     of open: CST_NO_MEMORY. An exchange's are in its answer.
#ifndef CST_OBJECT_S3_HTTP_H
#define CST_OBJECT_S3_HTTP_H

#include "base/park.h"

#include <constellation/table.h>
#include <curl/curl.h>
#include <pthread.h>
#include <stdbool.h>

enum { CSTI_S3_HEADER_BYTES = 160 };

typedef struct csti_s3_http csti_s3_http;

typedef struct csti_s3_http_options {
    uint32_t connections;
    const char *ca;    // "": the system's
    const char *proxy; // "": the environment's
    bool http2;        // where the server offers it over TLS
} csti_s3_http_options;

// Headers of an answer that somebody needs; empty where it had none.
typedef struct csti_s3_headers {
    char etag[CSTI_S3_HEADER_BYTES]; // without quotes
    char nonce[CSTI_S3_HEADER_BYTES];
    char date[CSTI_S3_HEADER_BYTES];
    char region[CSTI_S3_HEADER_BYTES];
    char range[CSTI_S3_HEADER_BYTES]; // Content-Range
    uint64_t length;                  // Content-Length; UINT64_MAX: none
} csti_s3_headers;

typedef struct csti_s3_exchange {
    // What is asked.
    const char *method;
    const char *url;
    struct curl_slist *headers;
    const cst_bytes *ranges;
    size_t ranges_count;
    uint64_t deadline_ns; // of csti_clock_real
    uint8_t *into;        // a good answer's body goes here; NULL: it is allocated
    uint64_t body_bytes_max;
    bool cuts;            // of a good answer's longer body its beginning is wanted
    csti_parker *watcher; // woken when the answer is there; NULL: nobody
    // The answer.
    CURLcode result; // CURLE_OK: status and headers are whole
    bool sent;
    bool too_long; // more than body_bytes_max
    bool was_cut;  // more, and it cuts: CURLE_OK
    long status;
    csti_s3_headers answer;
    uint8_t *body; // 64-byte aligned; NULL: empty, or `into`
    size_t body_bytes;
    char problem[CURL_ERROR_SIZE];
    // The loop's.
    csti_s3_http *http;
    CURL *easy;
    struct csti_s3_exchange *next;
    pthread_cond_t ended;
    bool done;
    bool cancelled;
    size_t body_capacity;
    size_t range_at; // where reading is
    size_t range_offset;
} csti_s3_exchange;

CST_CHECK_RESULT cst_code csti_s3_http_open(const csti_s3_http_options *options, csti_s3_http **out,
                                            cst_err *err);
void csti_s3_http_close(csti_s3_http *http); // nothing is under way. NULL is allowed
void csti_s3_http_start(csti_s3_http *http, csti_s3_exchange *exchange);
void csti_s3_http_wait(csti_s3_exchange *exchange);
bool csti_s3_http_is_done(csti_s3_exchange *exchange); // a wait would not wait
// Ends it soon; it is still waited for.
void csti_s3_http_cancel(csti_s3_exchange *exchange);
// How many may be under way now.
uint32_t csti_s3_http_window(csti_s3_http *http);

#endif
