// s3_request.h: one question to an S3 server, signed, and asked again where that helps.
//
//   start ─► keys, time, region ─► Authorization ─► exchange
//   finish ─► wait ─► fault ─┬─ GOOD or final ─────────────────────────► caller
//                            ├─ SKEW, REGION, EXPIRED: learn, once each ─┐
//                            └─ passes: sleep 0 to 50 ms x 2^n, at most ─┴─► start again
//                                       5 s, while attempts, budget
//                                       and deadline allow
//
// The budget is the store's: a retry takes ten, a success gives one back, 500 at most. While a
// server fails for everybody, nobody waits long.
//
// Promises   a call that was started is finished, once. `unsure`: some attempt may have taken
//            effect without an answer that says so.
// Thread     one a call.
// Owner      clear frees the answer's body; names and ranges are the caller's.
#ifndef CST_OBJECT_S3_REQUEST_H
#define CST_OBJECT_S3_REQUEST_H

#include "object/s3.h"
#include "object/s3_error.h"

enum { CSTI_S3_URL_BYTES = 6144, CSTI_S3_EXTRA_MAX = 4, CSTI_S3_TEXT_BYTES_MAX = 8 << 20 };
#define CSTI_S3_CRC_HEADER "x-amz-checksum-crc32c"

typedef struct csti_s3_call {
    // What is asked; the rest is zero.
    const char *method;
    const char *name; // NULL: the bucket
    csti_s3_pair query[CSTI_S3_QUERY_MAX];
    size_t query_count;
    csti_s3_pair headers[CSTI_S3_EXTRA_MAX]; // names in lower case
    size_t headers_count;
    const cst_bytes *ranges;
    size_t ranges_count;
    uint8_t *into;
    uint64_t body_bytes_max; // 0: CSTI_S3_TEXT_BYTES_MAX
    bool cuts;               // of a longer body the beginning is enough
    uint64_t wait_us;        // 0: the store's deadline
    csti_s3_vouch vouch;
    bool has_crc;  // `crc` is there already
    bool mistaken; // what vouches is wrong, to see whether the server looks; asked once
    // What came of it.
    csti_s3_fault fault;
    csti_s3_error error;
    bool unsure;
    csti_s3_exchange exchange;
    // Between.
    cst_code stopped; // it could not even be asked
    cst_err why;
    uint32_t attempts;
    bool skewed, moved, renewed;
    uint64_t deadline_ns;
    char payload[CSTI_S3_HASH_BYTES];
    char crc[CSTI_S3_CRC_BYTES]; // of CSTI_S3_CRC32C
    char url[CSTI_S3_URL_BYTES];
    csti_s3_keys keys;
} csti_s3_call;

void csti_s3_start(csti_s3_store *store, csti_s3_call *call);
csti_s3_fault csti_s3_finish(csti_s3_store *store, csti_s3_call *call);
// It was answered: finish does not wait, unless to ask again.
bool csti_s3_is_done(csti_s3_call *call);
// Ends it soon, without another attempt; it is still finished.
void csti_s3_cancel(csti_s3_call *call);
// Both.
csti_s3_fault csti_s3_ask(csti_s3_store *store, csti_s3_call *call);
void csti_s3_clear(csti_s3_call *call);
// By what a body of so many bytes goes.
csti_s3_vouch csti_s3_vouch_for(csti_s3_store *store, uint64_t bytes);
// From a fault to a code and a sentence.
cst_code csti_s3_fail(const csti_s3_store *store, const csti_s3_call *call, cst_err *err);

#endif
