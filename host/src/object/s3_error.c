#include "object/s3_error.h"

#include "object/s3_xml.h"

#include <stdint.h>
#include <string.h>

// ---- Bodies -------------------------------------------------------------------------------------

static void keep(char *to, size_t capacity, const char *text) {
    size_t bytes = strlen(text);

    if (bytes >= capacity) bytes = capacity - 1;
    for (size_t i = 0; i < bytes; i++) to[i] = (uint8_t)text[i] < 0x20 ? ' ' : text[i];
    to[bytes] = '\0';
}

static cst_code error_visit(void *context, const char *path, const char *text, cst_err *err) {
    csti_s3_error *to = context;

    (void)err;
    // Amazon's and Ceph's root is Error; STS puts it into an ErrorResponse.
    if (strncmp(path, "ErrorResponse/", 14) == 0) path += 14;
    if (strcmp(path, "Error/Code") == 0) keep(to->code, sizeof to->code, text);
    if (strcmp(path, "Error/Message") == 0) keep(to->message, sizeof to->message, text);
    if (strcmp(path, "Error/Region") == 0) keep(to->region, sizeof to->region, text);
    return CST_OK;
}

void csti_s3_error_read(const void *bytes, size_t count, csti_s3_error *out) {
    csti_s3_error error = {.code = ""};

    if (count > 0 && csti_s3_xml_walk(bytes, count, error_visit, &error, NULL) == CST_OK)
        *out = error;
    else
        *out = (csti_s3_error){.code = ""};
}

// ---- Meaning ------------------------------------------------------------------------------------

// A code says more than the status that it comes with.
static const struct {
    const char *code;
    csti_s3_fault fault;
} codes[] = {
    {"AuthorizationHeaderMalformed", CSTI_S3_REGION},
    {"BadDigest", CSTI_S3_CORRUPT},
    {"BucketRegionError", CSTI_S3_REGION},
    {"ConditionalRequestConflict", CSTI_S3_CONFLICT},
    {"ExpiredToken", CSTI_S3_EXPIRED},
    {"ExpiredTokenException", CSTI_S3_EXPIRED},
    {"IllegalLocationConstraintException", CSTI_S3_REGION},
    {"IncompleteBody", CSTI_S3_CORRUPT},
    {"InternalError", CSTI_S3_UNAVAILABLE},
    {"InvalidDigest", CSTI_S3_CORRUPT},
    {"NoSuchBucket", CSTI_S3_NO_BUCKET},
    {"NoSuchKey", CSTI_S3_ABSENT},
    {"NoSuchUpload", CSTI_S3_NO_UPLOAD},
    {"NotImplemented", CSTI_S3_REFUSED},
    {"OperationAborted", CSTI_S3_CONFLICT},
    {"PermanentRedirect", CSTI_S3_REGION},
    {"PreconditionFailed", CSTI_S3_CONDITION},
    {"QuotaExceeded", CSTI_S3_FULL},
    {"RequestTimeTooSkewed", CSTI_S3_SKEW},
    {"RequestTimeout", CSTI_S3_TIMEOUT},
    {"RequestTimeoutException", CSTI_S3_TIMEOUT},
    {"ServiceUnavailable", CSTI_S3_UNAVAILABLE},
    {"SlowDown", CSTI_S3_THROTTLED},
    {"TemporaryRedirect", CSTI_S3_REGION},
    {"Throttling", CSTI_S3_THROTTLED},
    {"ThrottlingException", CSTI_S3_THROTTLED},
    {"TokenRefreshRequired", CSTI_S3_EXPIRED},
    {"TooManyRequests", CSTI_S3_THROTTLED},
    {"XAmzContentChecksumMismatch", CSTI_S3_CORRUPT},
    {"XAmzContentSHA256Mismatch", CSTI_S3_CORRUPT},
};

csti_s3_fault csti_s3_fault_of(long status, const char *code, bool has_body) {
    if (status >= 200 && status <= 299) return CSTI_S3_GOOD;
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (strcmp(codes[i].code, code) == 0) return codes[i].fault;
    switch (status) {
    case 301:
    case 302:
    case 307:
    case 308:
        return CSTI_S3_REGION;
    case 400:
        return code[0] || !has_body ? CSTI_S3_DENIED : CSTI_S3_MALFORMED;
    case 401:
    case 403:
    case 405:
        return CSTI_S3_DENIED;
    case 404:
        // A page of some other server says nothing of an object.
        return has_body ? CSTI_S3_MALFORMED : CSTI_S3_ABSENT;
    case 408:
        return CSTI_S3_TIMEOUT;
    case 409:
        return CSTI_S3_CONFLICT;
    case 412:
        return CSTI_S3_CONDITION;
    case 416:
        return CSTI_S3_RANGE;
    case 429:
        return CSTI_S3_THROTTLED;
    case 501:
        return CSTI_S3_REFUSED;
    case 500:
    case 502:
    case 503:
    case 504:
        return CSTI_S3_UNAVAILABLE;
    case 507:
        return CSTI_S3_FULL;
    default:
        return CSTI_S3_MALFORMED;
    }
}

bool csti_s3_fault_passes(csti_s3_fault fault) {
    switch (fault) {
    case CSTI_S3_CONFLICT:
    case CSTI_S3_THROTTLED:
    case CSTI_S3_UNAVAILABLE:
    case CSTI_S3_TIMEOUT:
    case CSTI_S3_CORRUPT:
    case CSTI_S3_MALFORMED:
        return true;
    default:
        return false;
    }
}

cst_code csti_s3_fault_code(csti_s3_fault fault) {
    switch (fault) {
    case CSTI_S3_GOOD:
        return CST_OK;
    case CSTI_S3_ABSENT:
    case CSTI_S3_NO_UPLOAD:
        return CST_NOT_FOUND;
    case CSTI_S3_NO_BUCKET:
    case CSTI_S3_SKEW:
    case CSTI_S3_EXPIRED:
    case CSTI_S3_DENIED:
    case CSTI_S3_REGION:
        return CST_OBJECT_DENIED;
    case CSTI_S3_CONDITION:
        return CST_OBJECT_CONFLICT;
    case CSTI_S3_REFUSED:
        return CST_OBJECT_REFUSED;
    case CSTI_S3_FULL:
        return CST_IO;
    case CSTI_S3_RANGE:
        return CST_LIMIT;
    case CSTI_S3_NOT_SECURE:
        return CST_TLS;
    case CSTI_S3_NO_MEMORY:
        return CST_NO_MEMORY;
    case CSTI_S3_TIMEOUT:
        return CST_DEADLINE;
    case CSTI_S3_CONFLICT:
    case CSTI_S3_THROTTLED:
    case CSTI_S3_UNAVAILABLE:
    case CSTI_S3_CORRUPT:
    case CSTI_S3_MALFORMED:
    case CSTI_S3_STOPPED:
        return CST_OBJECT_UNAVAILABLE;
    }
    return CST_OBJECT_UNAVAILABLE;
}
