// s3_sign.h: AWS Signature Version 4: who asks, and that nobody changed the question.
//
//   method, path, query, headers, hash of the body ─► canonical request ─► SHA-256
//   scope: day / region / service / aws4_request                             │
//   secret ─► HMAC day ─► HMAC region ─► HMAC service ─► HMAC ─► HMAC ◄──────┘ ─► Authorization
//
// libcurl has a signer (CURLOPT_AWS_SIGV4). It is not used: what it canonicalises itself differs
// between its versions (7.88 signs path and query as they are, later ones sort and encode them
// again), it cannot be held against published vectors without a server, and it makes the day's key
// again for each request.
//
// Promises   the URL's path and query are sent exactly as they are signed.
// Thread     any: values.
// Ring       1.
// Errors     CST_LIMIT: it does not fit. CST_INTERNAL: OpenSSL refused.
#ifndef CST_OBJECT_S3_SIGN_H
#define CST_OBJECT_S3_SIGN_H

#include <constellation/table.h>

enum {
    CSTI_S3_HASH_BYTES = 65, // 64 digits and the end
    CSTI_S3_CRC_BYTES = 9,   // 8 of base64 and the end
    CSTI_S3_TIME_BYTES = 17, // 20150830T123600Z and the end
    CSTI_S3_QUERY_MAX = 8,
    CSTI_S3_HEADERS_MAX = 16,
};

#define CSTI_S3_UNSIGNED "UNSIGNED-PAYLOAD"

typedef struct csti_s3_pair {
    const char *name;
    const char *value;
} csti_s3_pair;

// All but A-Z a-z 0-9 - _ . ~ (and '/', in a path) as %XX. Like snprintf: the bytes that it takes.
size_t csti_s3_encode(const char *text, bool is_path, char *out, size_t capacity);
// name=value&name=value, encoded and in order of names, then of values.
CST_CHECK_RESULT cst_code csti_s3_query(const csti_s3_pair *pairs, size_t count, char *out,
                                        size_t capacity, cst_err *err);
void csti_s3_time(int64_t wall_us, char out[CSTI_S3_TIME_BYTES]);
CST_CHECK_RESULT cst_code csti_s3_hash(const cst_bytes *ranges, size_t ranges_count,
                                       char out[CSTI_S3_HASH_BYTES], cst_err *err);
// As S3 has it in headers: big endian, in base64.
void csti_s3_crc_text(uint32_t crc, char out[CSTI_S3_CRC_BYTES]);

// The keys that sign; the last one made is good for a day.
typedef struct csti_s3_signer {
    char scope[192]; // day/region/service
    uint8_t key[32];
} csti_s3_signer;
CST_CHECK_RESULT cst_code csti_s3_signer_make(const char *secret, const char *time,
                                              const char *region, const char *service,
                                              csti_s3_signer *out, cst_err *err);

typedef struct csti_s3_signing {
    const char *method;
    const char *path;            // encoded
    const char *query;           // as csti_s3_query makes it
    const csti_s3_pair *headers; // names in lower case; host and x-amz-date among them
    size_t headers_count;
    const char *payload; // its hash, or CSTI_S3_UNSIGNED
    const char *time;
    const char *access;
} csti_s3_signing;

// What stands behind "Authorization: ".
CST_CHECK_RESULT cst_code csti_s3_authorization(const csti_s3_signer *signer,
                                                const csti_s3_signing *signing, char *out,
                                                size_t capacity, cst_err *err);

#endif
