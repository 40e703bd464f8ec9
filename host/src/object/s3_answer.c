#include "object/s3_answer.h"

#include <string.h>
#include <strings.h>

static bool is_number(const char *text, size_t bytes, uint64_t *out) {
    uint64_t number = 0;

    if (bytes == 0 || bytes > 19) return false; // below 2^63
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] < '0' || text[i] > '9') return false;
        number = number * 10 + (uint64_t)(text[i] - '0');
    }
    *out = number;
    return true;
}

static void keep(char to[CSTI_S3_HEADER_BYTES], const char *text, size_t bytes) {
    if (bytes >= CSTI_S3_HEADER_BYTES) return;
    for (size_t i = 0; i < bytes; i++)
        if ((uint8_t)text[i] < 0x20 || (uint8_t)text[i] > 0x7e) return;
    memcpy(to, text, bytes);
    to[bytes] = '\0';
}

static void etag_keep(csti_s3_headers *to, const char *text, size_t bytes) {
    if (bytes >= 2 && text[0] == '"' && text[bytes - 1] == '"') {
        text++;
        bytes -= 2;
    }
    keep(to->etag, text, bytes);
}

void csti_s3_answer_line(csti_s3_headers *to, const char *line, size_t count) {
    const char *colon;
    const char *value;
    size_t name_bytes;
    size_t bytes;

    if (count >= 5 && memcmp(line, "HTTP/", 5) == 0) {
        *to = (csti_s3_headers){.length = UINT64_MAX};
        return;
    }
    colon = memchr(line, ':', count);
    if (!colon) return;
    name_bytes = (size_t)(colon - line);
    value = colon + 1;
    bytes = count - name_bytes - 1;
    while (bytes > 0 && (*value == ' ' || *value == '\t')) value++, bytes--;
    while (bytes > 0 && strchr(" \t\r\n", value[bytes - 1])) bytes--;

#define IS(NAME) (name_bytes == sizeof(NAME) - 1 && strncasecmp(line, NAME, name_bytes) == 0)
    if (IS("etag"))
        etag_keep(to, value, bytes);
    else if (IS("content-length"))
        (void)is_number(value, bytes, &to->length);
    else if (IS("content-range"))
        keep(to->range, value, bytes);
    else if (IS("date"))
        keep(to->date, value, bytes);
    else if (IS("x-amz-bucket-region"))
        keep(to->region, value, bytes);
    else if (IS(CSTI_S3_NONCE_HEADER))
        keep(to->nonce, value, bytes);
#undef IS
}

bool csti_s3_range_read(const char *range, uint64_t *first, uint64_t *last, uint64_t *total) {
    const char *dash = strchr(range, '-');
    const char *slash = strchr(range, '/');

    return strncasecmp(range, "bytes ", 6) == 0 && dash && slash && dash > range + 6 &&
           slash > dash && is_number(range + 6, (size_t)(dash - range - 6), first) &&
           is_number(dash + 1, (size_t)(slash - dash - 1), last) &&
           is_number(slash + 1, strlen(slash + 1), total) && *first <= *last && *last < *total;
}

uint64_t csti_s3_nonce_of(const char *text) {
    uint64_t nonce = 0;

    if (strlen(text) != 16) return 0;
    for (size_t i = 0; i < 16; i++) {
        static const char digits[] = "0123456789abcdef";
        const char *at = memchr(digits, text[i], 16);

        if (!at) return 0;
        nonce = nonce << 4 | (uint64_t)(at - digits);
    }
    return nonce;
}
