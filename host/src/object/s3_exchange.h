// s3_exchange.h: one exchange as libcurl sees it: what it reads, writes and may not take too long
// for.
//
// Promises   a body is never longer than its bound; redirects are not followed; no other protocol
// than
//            HTTP is spoken.
// Thread     the loop of s3_http.c.
// Ring       1.
#ifndef CST_OBJECT_S3_EXCHANGE_H
#define CST_OBJECT_S3_EXCHANGE_H

#include "object/s3_http.h"

// Tells its handle, a fresh one, what is asked. false: no memory.
bool csti_s3_exchange_prepare(csti_s3_exchange *exchange, const csti_s3_http_options *options,
                              uint64_t left_ms);
// Makes a used handle a fresh one, but for its buffers. false: it cannot be used again.
bool csti_s3_exchange_renew(CURL *easy);

#endif
