// s3_list.c: names, a page of a thousand after another.
#include "object/s3_request.h"
#include "object/s3_xml.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_BYTES = 1024 + 1, TOKEN_BYTES = CSTI_S3_XML_TEXT_MAX + 1 };

typedef struct page {
    cst_object_visit visit;
    void *context;
    size_t prefix_bytes; // of the store, with its '/'
    bool stopped;        // by the visitor
    bool more;
    uint64_t keys_count;
    char token[TOKEN_BYTES];
    char last[KEY_BYTES]; // a list that is not in order is none
    // Of the entry that is being read.
    char key[KEY_BYTES];
    cst_object_info info;
} page;

// ---- A page -------------------------------------------------------------------------------------

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
static cst_code entry_end(page *p, cst_err *err) {
    const char *name = p->key + p->prefix_bytes;

    p->keys_count++;
    if (strcmp(p->key, p->last) <= 0)
        return cst_fail(err, CST_PARSE, "the list is not in order: '%.80s' behind '%.80s'", p->key,
                        p->last);
    memcpy(p->last, p->key, sizeof p->last);
    if (!p->stopped && strlen(p->key) > p->prefix_bytes && csti_object_name_is_good(name))
        p->stopped = !p->visit(p->context, name, &p->info);
    p->key[0] = '\0';
    p->info = (cst_object_info){.bytes = 0};
    return CST_OK;
}

static cst_code page_visit(void *context, const char *path, const char *text, cst_err *err) {
    static const char root[] = "ListBucketResult/";
    page *p = context;
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

// ---- Whole --------------------------------------------------------------------------------------

static cst_code page_ask(csti_s3_store *store, page *p, const char *prefix, const char *after,
                         cst_err *err) {
    csti_s3_call call = {.method = "GET"};
    const uint64_t before = p->keys_count;
    char token[TOKEN_BYTES];
    char most[16];
    cst_code code;

    memcpy(token, p->token, sizeof token);
    call.query[call.query_count++] = (csti_s3_pair){"list-type", "2"};
    call.query[call.query_count++] = (csti_s3_pair){"encoding-type", "url"};
    call.query[call.query_count++] = (csti_s3_pair){"prefix", prefix};
    if (token[0])
        call.query[call.query_count++] = (csti_s3_pair){"continuation-token", token};
    else if (after[0])
        call.query[call.query_count++] = (csti_s3_pair){"start-after", after};
    (void)snprintf(most, sizeof most, "%" PRIu32, store->page_keys);
    if (store->page_keys > 0) call.query[call.query_count++] = (csti_s3_pair){"max-keys", most};
    p->more = false;
    p->token[0] = '\0';
    if (csti_s3_ask(store, &call) != CSTI_S3_GOOD) {
        code = csti_s3_fail(store, &call, err);
    } else {
        code = csti_s3_xml_walk(call.exchange.body, call.exchange.body_bytes, page_visit, p, err);
        if (code == CST_OK && p->more && (!p->token[0] || p->keys_count == before))
            code = cst_fail(err, CST_PARSE, "a list that goes on says nothing of where");
        if (code == CST_PARSE || code == CST_LIMIT)
            code = cst_fail_at(err, CST_OBJECT_UNAVAILABLE,
                               "%.150s: listing: the answer is no S3 "
                               "server's",
                               store->base.uri);
    }
    csti_s3_clear(&call);
    return code;
}

// The prefix of the store, and what stands behind it.
static bool key_make(const csti_s3_store *store, const char *name, char out[KEY_BYTES]) {
    const int bytes = snprintf(out, KEY_BYTES, "%s%s%s", store->uri.prefix,
                               store->uri.prefix[0] ? "/" : "", name);

    return bytes >= 0 && bytes < KEY_BYTES;
}

cst_code csti_s3_list(cst_object_store *base, const char *prefix, const char *after,
                      cst_object_visit visit, void *context, cst_err *err) {
    csti_s3_store *store = csti_s3_self(base);
    char key_prefix[KEY_BYTES];
    char key_after[KEY_BYTES] = "";
    page *p;
    cst_code code = CST_OK;

    if (!key_make(store, prefix, key_prefix) || (after[0] && !key_make(store, after, key_after)))
        return CST_OK; // no key is so long
    p = calloc(1, sizeof *p);
    if (!p) return cst_fail(err, CST_NO_MEMORY, "%.150s: a list", base->uri);
    p->visit = visit;
    p->context = context;
    p->prefix_bytes = store->uri.prefix[0] ? strlen(store->uri.prefix) + 1 : 0;
    p->more = true;
    while (code == CST_OK && p->more && !p->stopped)
        code = page_ask(store, p, key_prefix, key_after, err);
    free(p);
    return code;
}
