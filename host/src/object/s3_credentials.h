// s3_credentials.h: who we are to an S3 server, and for how long.
//
//   1 AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN
//   2 AWS_WEB_IDENTITY_TOKEN_FILE, AWS_ROLE_ARN                    ─► STS      with an end
//   3 the shared files' profile: keys; or its web identity         ─► STS
//   4 AWS_CONTAINER_CREDENTIALS_FULL_URI, _RELATIVE_URI            ─► HTTP     with an end
//   5 the machine: IMDSv2 (not with AWS_EC2_METADATA_DISABLED=true) ─► HTTP    with an end
//
// The first that has keys is taken. A profile in the URI comes before the environment.
//
// Promises   keys with an end are fetched anew five minutes before it, or when a server said that
//            they are over; meanwhile the old ones serve. Keys are in no message and no log.
// Thread     any; of several that find keys old, one fetches.
// Ring       2: may wait for a server.
// Owner      the HTTP pool outlives it.
// Errors     CST_OBJECT_DENIED: nobody has keys, or their source refuses; says which was asked.
#ifndef CST_OBJECT_S3_CREDENTIALS_H
#define CST_OBJECT_S3_CREDENTIALS_H

#include "object/s3_http.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    CSTI_S3_ACCESS_BYTES = 160,
    CSTI_S3_SECRET_BYTES = 256,
    CSTI_S3_TOKEN_BYTES = 4096,
};

typedef struct csti_s3_keys {
    char access[CSTI_S3_ACCESS_BYTES];
    char secret[CSTI_S3_SECRET_BYTES];
    char token[CSTI_S3_TOKEN_BYTES]; // "": none
    int64_t ends_us;                 // of the wall clock; 0: never
} csti_s3_keys;

typedef struct csti_s3_credentials csti_s3_credentials;

// `profile`: of the URI, or "". Nothing is asked yet.
CST_CHECK_RESULT cst_code csti_s3_credentials_open(const char *profile, const char *region,
                                                   csti_s3_http *http, csti_s3_credentials **out,
                                                   cst_err *err);
void csti_s3_credentials_close(csti_s3_credentials *credentials); // NULL is allowed
CST_CHECK_RESULT cst_code csti_s3_credentials_get(csti_s3_credentials *credentials,
                                                  csti_s3_keys *out, cst_err *err);
// A server says that these are over: the next get fetches others, if these are still the newest.
void csti_s3_credentials_spoil(csti_s3_credentials *credentials, const csti_s3_keys *keys);

// s3_credentials_web.c. CST_NOT_FOUND: this source is not set up.
CST_CHECK_RESULT cst_code csti_s3_keys_web_identity(csti_s3_http *http, const char *region,
                                                    const char *token_file, const char *role,
                                                    csti_s3_keys *out, cst_err *err);
CST_CHECK_RESULT cst_code csti_s3_keys_container(csti_s3_http *http, csti_s3_keys *out,
                                                 cst_err *err);
CST_CHECK_RESULT cst_code csti_s3_keys_machine(csti_s3_http *http, csti_s3_keys *out, cst_err *err);

#endif
