#include "object/s3_page.h"

#include <stdlib.h>
#include <string.h>

static int digit(char byte) {
    if (byte >= '0' && byte <= '9') return byte - '0';
    if (byte >= 'a' && byte <= 'f') return byte - 'a' + 10;
    if (byte >= 'A' && byte <= 'F') return byte - 'A' + 10;
    return -1;
}

// Keys come as in a URL, so that any byte has a place in XML.
static bool key_decode(const char *from, char *out, size_t capacity) {
    size_t at = 0;

    for (; *from; from++) {
        int byte = *from == '+' ? ' ' : (unsigned char)*from;

        if (*from == '%') {
            if (digit(from[1]) < 0 || digit(from[2]) < 0) return false;
            byte = digit(from[1]) * 16 + digit(from[2]);
            from += 2;
        }
        if (byte == 0 || at + 1 >= capacity) return false;
        out[at++] = (char)byte;
    }
    out[at] = '\0';
    return true;
}

static bool size_read(const char *text, uint64_t *out) {
    char *end = NULL;

    if (text[0] < '0' || text[0] > '9') return false;
    *out = strtoull(text, &end, 10);
    return *end == '\0' && *out <= INT64_MAX;
}

static void etag_read(const char *text, cst_object_info *out) {
    size_t bytes = strlen(text);

    if (bytes >= 2 && text[0] == '"' && text[bytes - 1] == '"') {
        text++;
        bytes -= 2;
    }
    if (bytes >= sizeof out->etag) bytes = 0;
    memcpy(out->etag, text, bytes);
    out->etag[bytes] = '\0';
}

// Keys that are no object's name are other people's.
static cst_code entry_end(csti_s3_page *p, cst_err *err) {
    const bool is_asked = strncmp(p->key, p->prefix, strlen(p->prefix)) == 0 &&
                          strcmp(p->key, p->after) > 0 && strlen(p->key) > p->skip_bytes;

    p->keys_count++;
    if (strcmp(p->key, p->last) <= 0)
        return cst_fail(err, CST_PARSE, "the list is not in order: '%.80s' behind '%.80s'", p->key,
                        p->last);
    memcpy(p->last, p->key, sizeof p->last);
    if (!p->stopped && is_asked && csti_object_name_is_good(p->key + p->skip_bytes))
        p->stopped = !p->visit(p->context, p->key + p->skip_bytes, &p->info);
    p->key[0] = '\0';
    p->info = (cst_object_info){.bytes = 0};
    return CST_OK;
}

static cst_code page_visit(void *context, const char *path, const char *text, cst_err *err) {
    static const char root[] = "ListBucketResult/";
    csti_s3_page *p = context;
    bool good = true;

    if (strcmp(path, "ListBucketResult") == 0) return CST_OK;
    if (strncmp(path, root, sizeof root - 1) != 0)
        return cst_fail(err, CST_PARSE, "no list, but <%s>", path);
    path += sizeof root - 1;
    if (strcmp(path, "Contents/Key") == 0)
        good = key_decode(text, p->key, sizeof p->key);
    else if (strcmp(path, "Contents/Size") == 0)
        good = size_read(text, &p->info.bytes);
    else if (strcmp(path, "Contents/ETag") == 0)
        etag_read(text, &p->info);
    else if (strcmp(path, "IsTruncated") == 0)
        p->more = strcmp(text, "true") == 0;
    else if (strcmp(path, "NextContinuationToken") == 0)
        memcpy(p->token, text, strlen(text) + 1);
    else if (strcmp(path, "Contents") == 0)
        return entry_end(p, err);
    return good ? CST_OK : cst_fail(err, CST_PARSE, "<%s> '%.80s'", path, text);
}

cst_code csti_s3_page_read(csti_s3_page *page, const void *bytes, size_t count, cst_err *err) {
    const uint64_t before = page->keys_count;
    cst_code code;

    page->more = false;
    page->token[0] = '\0';
    code = csti_s3_xml_walk(bytes, count, page_visit, page, err);
    if (code == CST_OK && page->more && (!page->token[0] || page->keys_count == before))
        return cst_fail(err, CST_PARSE, "a list that goes on says nothing of where");
    return code;
}
