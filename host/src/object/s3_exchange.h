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
bool csti_s3_exchange_prepare(csti_s3_exchange *exchange, const char *ca, const char *proxy,
                              uint64_t left_ms);
// That libcurl could not reach the server, or not be sure who it is, is known before a byte goes.
bool csti_s3_exchange_may_have_sent(const csti_s3_exchange *exchange, CURLcode result);

#endif
