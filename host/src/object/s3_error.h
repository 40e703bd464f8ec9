// s3_error.h: what an answer means: by its status and its code, never by its message.
//
//   status  <Error><Code>                   fault          for a caller
//   404     NoSuchKey                       ABSENT         CST_NOT_FOUND
//   404     NoSuchBucket                    NO_BUCKET      CST_OBJECT_DENIED
//   412     PreconditionFailed              CONDITION      CST_EXISTS, CST_OBJECT_CONFLICT
//   409     ConditionalRequestConflict      CONFLICT       asked again
//   403     RequestTimeTooSkewed            SKEW           asked again with the server's time, once
//   400,403 ExpiredToken                    EXPIRED        asked again with new keys, once
//   403     else, 400, 401, 405             DENIED         CST_OBJECT_DENIED
//   301,307 400 with a region               REGION         asked again in the right one, once
//   503     SlowDown, 429                   THROTTLED      asked again, with fewer at once
//   500, 502, 503, 504                      UNAVAILABLE    asked again
//   408     RequestTimeout                  TIMEOUT        asked again
//   400     BadDigest and the like          CORRUPT        asked again: bytes changed on their way
//   501                                     REFUSED        CST_OBJECT_REFUSED, CST_UNSUPPORTED
//   507     QuotaExceeded                   FULL           CST_IO
//   404     NoSuchUpload                    NO_UPLOAD      CST_NOT_FOUND
//   416                                     RANGE          CST_LIMIT
//   else                                    MALFORMED      asked again; no S3 server's answer
//
// "Asked again" ends in CST_OBJECT_UNAVAILABLE, TIMEOUT in CST_DEADLINE.
//
// Thread     any: values.
// Ring       1.
#ifndef CST_OBJECT_S3_ERROR_H
#define CST_OBJECT_S3_ERROR_H

#include <constellation/error.h>
#include <stdbool.h>
#include <stddef.h>

typedef enum csti_s3_fault {
    CSTI_S3_GOOD,
    CSTI_S3_ABSENT,
    CSTI_S3_NO_BUCKET,
    CSTI_S3_NO_UPLOAD,
    CSTI_S3_CONDITION,
    CSTI_S3_CONFLICT,
    CSTI_S3_SKEW,
    CSTI_S3_EXPIRED,
    CSTI_S3_DENIED,
    CSTI_S3_REGION,
    CSTI_S3_THROTTLED,
    CSTI_S3_UNAVAILABLE,
    CSTI_S3_TIMEOUT,
    CSTI_S3_CORRUPT,
    CSTI_S3_REFUSED,
    CSTI_S3_FULL,
    CSTI_S3_RANGE,
    CSTI_S3_MALFORMED,
    CSTI_S3_NOT_SECURE, // TLS: no answer was let through
    CSTI_S3_NO_MEMORY,
    CSTI_S3_STOPPED, // it was never asked
} csti_s3_fault;

enum { CSTI_S3_CODE_BYTES = 64, CSTI_S3_MESSAGE_BYTES = 160 };

// What a body says of an error; texts are empty where it does not.
typedef struct csti_s3_error {
    char code[CSTI_S3_CODE_BYTES];
    char message[CSTI_S3_MESSAGE_BYTES]; // for people; cut
    char region[CSTI_S3_CODE_BYTES];
} csti_s3_error;

// A body that is no S3 error leaves *out empty.
void csti_s3_error_read(const void *bytes, size_t count, csti_s3_error *out);
// has_body: the method is not HEAD, so that an error without a code is not from an S3 server.
csti_s3_fault csti_s3_fault_of(long status, const char *code, bool has_body);
// Whether the same question may get another answer soon.
bool csti_s3_fault_passes(csti_s3_fault fault);
// Of a put: CONDITION is left to it.
cst_code csti_s3_fault_code(csti_s3_fault fault);

#endif
