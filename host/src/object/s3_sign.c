#include "object/s3_sign.h"

#include <assert.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { DIGEST_BYTES = 32, PAIR_BYTES_MAX = 4096 };

static const char hex_digits[] = "0123456789abcdef";

static void hex(const uint8_t digest[DIGEST_BYTES], char out[CSTI_S3_HASH_BYTES]) {
    for (size_t i = 0; i < DIGEST_BYTES; i++) {
        out[2 * i] = hex_digits[digest[i] >> 4];
        out[2 * i + 1] = hex_digits[digest[i] & 15];
    }
    out[2 * DIGEST_BYTES] = '\0';
}

static cst_code crypto_fail(cst_err *err) {
    return cst_fail(err, CST_INTERNAL, "signing a request: OpenSSL has no SHA-256");
}

// ---- Text ---------------------------------------------------------------------------------------

size_t csti_s3_encode(const char *text, bool is_path, char *out, size_t capacity) {
    size_t bytes = 0;

    for (; *text; text++) {
        const uint8_t byte = (uint8_t)*text;
        const bool plain = (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') ||
                           (byte >= '0' && byte <= '9') || byte == '-' || byte == '_' ||
                           byte == '.' || byte == '~' || (is_path && byte == '/');
        const size_t taken = plain ? 1 : 3;

        if (bytes + taken < capacity) {
            if (plain)
                out[bytes] = (char)byte;
            else
                (void)snprintf(out + bytes, 4, "%%%02X", byte);
            out[bytes + taken] = '\0';
        }
        bytes += taken;
    }
    if (bytes == 0 && capacity > 0) out[0] = '\0';
    return bytes;
}

static int text_compare(const void *a, const void *b) {
    return strcmp(a, b);
}

// '=' sorts among the bytes of names, so it is written last: as \1 it stands before all of them.
cst_code csti_s3_query(const csti_s3_pair *pairs, size_t count, char *out, size_t capacity,
                       cst_err *err) {
    char texts[CSTI_S3_QUERY_MAX][PAIR_BYTES_MAX];
    size_t bytes = 0;

    assert(count <= CSTI_S3_QUERY_MAX);
    assert(capacity > 0);
    for (size_t i = 0; i < count; i++) {
        size_t name = csti_s3_encode(pairs[i].name, false, texts[i], sizeof texts[i]);

        if (name < sizeof texts[i] - 1) {
            texts[i][name++] = '\1';
            name += csti_s3_encode(pairs[i].value, false, texts[i] + name, sizeof texts[i] - name);
        }
        if (name >= sizeof texts[i]) return cst_fail(err, CST_LIMIT, "a query is too long");
    }
    qsort(texts, count, sizeof texts[0], text_compare);
    out[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        const size_t more = strlen(texts[i]);

        if (bytes + more + 2 > capacity) return cst_fail(err, CST_LIMIT, "a query is too long");
        *strchr(texts[i], '\1') = '=';
        if (i > 0) out[bytes++] = '&';
        memcpy(out + bytes, texts[i], more + 1);
        bytes += more;
    }
    return CST_OK;
}

void csti_s3_time(int64_t wall_us, char out[CSTI_S3_TIME_BYTES]) {
    const time_t seconds = (time_t)(wall_us / 1000000);
    struct tm parts;

    (void)gmtime_r(&seconds, &parts);
    if (strftime(out, CSTI_S3_TIME_BYTES, "%Y%m%dT%H%M%SZ", &parts) == 0) out[0] = '\0';
}

// ---- Hashes -------------------------------------------------------------------------------------

cst_code csti_s3_hash(const cst_bytes *ranges, size_t ranges_count, char out[CSTI_S3_HASH_BYTES],
                      cst_err *err) {
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    uint8_t digest[EVP_MAX_MD_SIZE];
    bool good = context && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1;

    for (size_t i = 0; i < ranges_count && good; i++)
        good = EVP_DigestUpdate(context, ranges[i].data, ranges[i].count) == 1;
    good = good && EVP_DigestFinal_ex(context, digest, NULL) == 1;
    EVP_MD_CTX_free(context);
    if (!good) return crypto_fail(err);
    hex(digest, out);
    return CST_OK;
}

void csti_s3_crc_text(uint32_t crc, char out[CSTI_S3_CRC_BYTES]) {
    const uint8_t bytes[4] = {(uint8_t)(crc >> 24), (uint8_t)(crc >> 16), (uint8_t)(crc >> 8),
                              (uint8_t)crc};

    (void)EVP_EncodeBlock((uint8_t *)out, bytes, sizeof bytes);
}

static bool hmac(const uint8_t *key, size_t key_bytes, const char *text,
                 uint8_t out[DIGEST_BYTES]) {
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned bytes = 0;

    if (!HMAC(EVP_sha256(), key, (int)key_bytes, (const uint8_t *)text, strlen(text), digest,
              &bytes) ||
        bytes != DIGEST_BYTES)
        return false;
    memcpy(out, digest, DIGEST_BYTES);
    return true;
}

cst_code csti_s3_signer_make(const char *secret, const char *time, const char *region,
                             const char *service, csti_s3_signer *out, cst_err *err) {
    csti_s3_signer signer = {.key = {0}};
    char first[4 + CSTI_S3_HASH_BYTES * 4];
    char day[9];
    int bytes;

    memcpy(day, time, 8);
    day[8] = '\0';
    bytes = snprintf(signer.scope, sizeof signer.scope, "%s/%s/%s", day, region, service);
    if (bytes < 0 || (size_t)bytes >= sizeof signer.scope)
        return cst_fail(err, CST_LIMIT, "region '%.40s' is too long", region);
    bytes = snprintf(first, sizeof first, "AWS4%s", secret);
    if (bytes < 0 || (size_t)bytes >= sizeof first)
        return cst_fail(err, CST_LIMIT, "the secret key is too long");
    if (!hmac((const uint8_t *)first, strlen(first), day, signer.key) ||
        !hmac(signer.key, sizeof signer.key, region, signer.key) ||
        !hmac(signer.key, sizeof signer.key, service, signer.key) ||
        !hmac(signer.key, sizeof signer.key, "aws4_request", signer.key))
        return crypto_fail(err);
    *out = signer;
    return CST_OK;
}

// ---- The canonical request ----------------------------------------------------------------------

static int pair_compare(const void *a, const void *b) {
    return strcmp(((const csti_s3_pair *)a)->name, ((const csti_s3_pair *)b)->name);
}

static bool add(EVP_MD_CTX *context, const char *text) {
    return EVP_DigestUpdate(context, text, strlen(text)) == 1;
}

// Without spaces at its ends, and one where several stood.
static bool add_value(EVP_MD_CTX *context, const char *value) {
    bool good = true;

    value += strspn(value, " ");
    while (*value && good) {
        const size_t bytes = strcspn(value, " ");

        good = EVP_DigestUpdate(context, value, bytes) == 1;
        value += bytes;
        value += strspn(value, " ");
        if (*value && good) good = add(context, " ");
    }
    return good;
}

static bool canonical(const csti_s3_signing *signing, const csti_s3_pair *sorted, const char *names,
                      char out[CSTI_S3_HASH_BYTES]) {
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    uint8_t digest[EVP_MAX_MD_SIZE];
    bool good = context && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1;

    good = good && add(context, signing->method) && add(context, "\n") &&
           add(context, signing->path) && add(context, "\n") && add(context, signing->query) &&
           add(context, "\n");
    for (size_t i = 0; i < signing->headers_count && good; i++)
        good = add(context, sorted[i].name) && add(context, ":") &&
               add_value(context, sorted[i].value) && add(context, "\n");
    good = good && add(context, "\n") && add(context, names) && add(context, "\n") &&
           add(context, signing->payload) && EVP_DigestFinal_ex(context, digest, NULL) == 1;
    EVP_MD_CTX_free(context);
    if (good) hex(digest, out);
    return good;
}

cst_code csti_s3_authorization(const csti_s3_signer *signer, const csti_s3_signing *signing,
                               char *out, size_t capacity, cst_err *err) {
    csti_s3_pair sorted[CSTI_S3_HEADERS_MAX];
    char names[512] = "";
    char text[CSTI_S3_HASH_BYTES + sizeof signer->scope + 64];
    char request[CSTI_S3_HASH_BYTES];
    char signature[CSTI_S3_HASH_BYTES];
    uint8_t digest[DIGEST_BYTES];
    size_t at = 0;
    int bytes;

    assert(signing->headers_count <= CSTI_S3_HEADERS_MAX);
    memcpy(sorted, signing->headers, signing->headers_count * sizeof sorted[0]);
    qsort(sorted, signing->headers_count, sizeof sorted[0], pair_compare);
    for (size_t i = 0; i < signing->headers_count; i++) {
        bytes = snprintf(names + at, sizeof names - at, "%s%s", i ? ";" : "", sorted[i].name);
        if (bytes < 0 || (size_t)bytes >= sizeof names - at)
            return cst_fail(err, CST_LIMIT, "a request has too many headers");
        at += (size_t)bytes;
    }
    if (!canonical(signing, sorted, names, request)) return crypto_fail(err);
    (void)snprintf(text, sizeof text, "AWS4-HMAC-SHA256\n%s\n%s/aws4_request\n%s", signing->time,
                   signer->scope, request);
    if (!hmac(signer->key, sizeof signer->key, text, digest)) return crypto_fail(err);
    hex(digest, signature);
    bytes = snprintf(out, capacity,
                     "AWS4-HMAC-SHA256 Credential=%s/%s/aws4_request, SignedHeaders=%s, "
                     "Signature=%s",
                     signing->access, signer->scope, names, signature);
    if (bytes < 0 || (size_t)bytes >= capacity)
        return cst_fail(err, CST_LIMIT, "the access key is too long");
    return CST_OK;
}
