#include "object/s3_uri.h"

#include "object/s3_buffers.h"

#include "object/backend.h"

#include <stdlib.h>
#include <string.h>

enum { URI_BYTES_MAX = 2048 };

static cst_code fail(cst_err *err, const char *place, const char *why) {
    return cst_fail(err, CST_OBJECT_NAME, "object store 's3:%.200s': %s", place, why);
}

static bool is_bucket(const char *text, size_t bytes) {
    if (bytes < 3 || bytes >= CSTI_S3_BUCKET_BYTES) return false;
    for (size_t i = 0; i < bytes; i++) {
        const bool edge = i == 0 || i == bytes - 1;
        const bool plain = (text[i] >= 'a' && text[i] <= 'z') || (text[i] >= '0' && text[i] <= '9');

        if (!plain && (edge || (text[i] != '-' && text[i] != '.'))) return false;
        if (text[i] == '.' && text[i - 1] == '.') return false;
    }
    return true;
}

// ---- Values -------------------------------------------------------------------------------------

static int digit(char byte) {
    if (byte >= '0' && byte <= '9') return byte - '0';
    if (byte >= 'a' && byte <= 'f') return byte - 'a' + 10;
    if (byte >= 'A' && byte <= 'F') return byte - 'A' + 10;
    return -1;
}

// %XX becomes a byte, printable ones only: a value ends up in a header or a file's name.
static bool value_decode(const char *from, size_t bytes, char *out, size_t capacity) {
    size_t at = 0;

    for (size_t i = 0; i < bytes; i++) {
        int byte = (unsigned char)from[i];

        if (byte == '%') {
            if (bytes - i < 3 || digit(from[i + 1]) < 0 || digit(from[i + 2]) < 0) return false;
            byte = digit(from[i + 1]) * 16 + digit(from[i + 2]);
            i += 2;
        }
        if (byte < 0x20 || byte == 0x7f || at + 1 >= capacity) return false;
        out[at++] = (char)byte;
    }
    out[at] = '\0';
    return at > 0;
}

// Scheme, host and port, and nothing else.
static bool is_endpoint(const char *text) {
    const char *host = NULL;
    size_t bytes;

    if (strncmp(text, "http://", 7) == 0) host = text + 7;
    if (strncmp(text, "https://", 8) == 0) host = text + 8;
    if (!host || host[0] == '\0' || host[0] == ':') return false;
    bytes = strspn(host, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_[]:");
    return host[bytes] == '\0';
}

typedef struct parameter {
    const char *name;
    size_t offset; // of a text in csti_s3_uri
    size_t capacity;
} parameter;

#define TEXT(NAME)                                                                                 \
    { #NAME, offsetof(csti_s3_uri, NAME), sizeof((csti_s3_uri *)NULL)->NAME }
static const parameter texts[] = {TEXT(endpoint), TEXT(region), TEXT(profile), TEXT(ca),
                                  TEXT(proxy)};
#undef TEXT

static bool number_take(const char *value, uint32_t min, uint32_t max, uint32_t *out) {
    char *end = NULL;
    const unsigned long long number = strtoull(value, &end, 10);

    if (value[0] < '0' || value[0] > '9' || *end != '\0' || number < min || number > max)
        return false;
    *out = (uint32_t)number;
    return true;
}

// Which of a parameter's two words it is: 1, 2; 0: neither.
static int word_of(const char *value, const char *first, const char *second) {
    if (strcmp(value, first) == 0) return 1;
    return strcmp(value, second) == 0 ? 2 : 0;
}

static cst_code parameter_take(const char *place, const char *name, size_t name_bytes,
                               const char *value, csti_s3_uri *out, cst_err *err) {
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char *to = (char *)out + texts[i].offset;

        if (strlen(texts[i].name) != name_bytes || memcmp(texts[i].name, name, name_bytes) != 0)
            continue;
        if (to[0] != '\0') return fail(err, place, "a parameter is given twice");
        if (strlen(value) >= texts[i].capacity) return fail(err, place, "a value is too long");
        memcpy(to, value, strlen(value) + 1);
        return CST_OK;
    }
    if (name_bytes == 5 && memcmp(name, "style", 5) == 0) {
        out->style = (csti_s3_style)word_of(value, "path", "virtual");
        return out->style ? CST_OK : fail(err, place, "style is path or virtual");
    }
    if (name_bytes == 7 && memcmp(name, "payload", 7) == 0) {
        out->payload = (csti_s3_payload)word_of(value, "signed", "unsigned");
        return out->payload ? CST_OK : fail(err, place, "payload is signed or unsigned");
    }
    if (name_bytes == 4 && memcmp(name, "http", 4) == 0) {
        out->http = (csti_s3_version)word_of(value, "1.1", "2");
        return out->http ? CST_OK : fail(err, place, "http is 1.1 or 2");
    }
    if (name_bytes == 11 && memcmp(name, "connections", 11) == 0)
        return number_take(value, 1, CSTI_S3_CONNECTIONS_MAX, &out->connections)
                   ? CST_OK
                   : fail(err, place, "connections is a number from 1 to 256");
    if (name_bytes == 10 && memcmp(name, "upload_mib", 10) == 0)
        return number_take(value, CSTI_S3_BUFFERS_MIB_MIN, CSTI_S3_BUFFERS_MIB_MAX,
                           &out->upload_mib)
                   ? CST_OK
                   : fail(err, place, "upload_mib is a number from 16 to 65536");
    return fail(
        err, place,
        "its parameters are endpoint, region, style, profile, ca, proxy, connections, payload, "
        "upload_mib and http. "
        "Keys come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the shared files");
}

// ---- Whole --------------------------------------------------------------------------------------

static cst_code parameters_parse(const char *place, const char *at, csti_s3_uri *out,
                                 cst_err *err) {
    while (*at) {
        const size_t bytes = strcspn(at, "&");
        const char *equals = memchr(at, '=', bytes);
        char value[CSTI_S3_PLACE_BYTES];
        cst_code code;

        if (!equals) return fail(err, place, "a parameter has no '='");
        if (!value_decode(equals + 1, bytes - (size_t)(equals + 1 - at), value, sizeof value))
            return fail(err, place, "a value is empty, too long or no text");
        code = parameter_take(place, at, (size_t)(equals - at), value, out, err);
        if (code != CST_OK) return code;
        at += bytes;
        if (*at == '&') at++;
    }
    if (out->endpoint[0] && !is_endpoint(out->endpoint))
        return fail(err, place, "endpoint is http://HOST:PORT or https://HOST:PORT");
    return CST_OK;
}

cst_code csti_s3_uri_parse(const char *place, csti_s3_uri *out, cst_err *err) {
    csti_s3_uri uri = {.connections = CSTI_S3_CONNECTIONS, .upload_mib = CSTI_S3_BUFFERS_MIB};
    const char *bucket = place + 2;
    size_t bucket_bytes;
    size_t prefix_bytes = 0;
    const char *at;
    cst_code code;

    if (strncmp(place, "//", 2) != 0 || strlen(place) > URI_BYTES_MAX)
        return fail(err, place, "it is s3://BUCKET/PREFIX");
    bucket_bytes = strcspn(bucket, "/?");
    if (!is_bucket(bucket, bucket_bytes))
        return fail(err, place,
                    "a bucket is 3 to 63 of a-z 0-9 . - with a letter or digit at "
                    "either end");
    memcpy(uri.bucket, bucket, bucket_bytes);
    at = bucket + bucket_bytes;
    if (*at == '/') {
        at++;
        prefix_bytes = strcspn(at, "?");
        if (prefix_bytes >= sizeof uri.prefix) return fail(err, place, "the prefix is too long");
        memcpy(uri.prefix, at, prefix_bytes);
        at += prefix_bytes;
    }
    if (prefix_bytes > 0 && uri.prefix[prefix_bytes - 1] == '/') uri.prefix[--prefix_bytes] = '\0';
    if (prefix_bytes > 0 && !csti_object_name_is_good(uri.prefix))
        return fail(err, place,
                    "the prefix is A-Z a-z 0-9 . _ - in parts, none beginning with "
                    "'.'");
    code = *at == '?' ? parameters_parse(place, at + 1, &uri, err) : CST_OK;
    if (code == CST_OK) *out = uri;
    return code;
}
