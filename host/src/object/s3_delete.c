// s3_delete.c: many names in one request, and what became of each.
//
//   <Delete> <Object><Key>…       POST ?delete ─► <DeleteResult> <Deleted><Key>…
//   <Error><Key>…<Code>…
//
// Only what the server names as deleted is; the rest is asked for alone. A server that refuses the
// request, or answers with something else, is not asked so again.
#include "object/s3_request.h"
#include "object/s3_xml.h"

#include <assert.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MD5_TEXT_BYTES = 4 * ((EVP_MAX_MD_SIZE + 2) / 3) + 1 };

typedef struct batch {
    const char *const *names;
    size_t count;
    bool *deleted;
    const char *prefix; // of the store: "" or with its '/'
    size_t prefix_bytes;
    size_t at; // answers come in the order of the request, as far as was seen
    bool is_result;
    char key[CSTI_S3_XML_TEXT_MAX + 1];
    char code[CSTI_S3_CODE_BYTES];
} batch;

// ---- The request --------------------------------------------------------------------------------

static char *text_put(char *to, const char *text) {
    const size_t bytes = strlen(text);

    memcpy(to, text, bytes);
    return to + bytes;
}

// Keys are of letters, digits and . _ - /: nothing in them has to be escaped.
static cst_code body_make(const batch *b, cst_bytes *out, cst_err *err) {
    static const char head[] = "<Delete>", tail[] = "</Delete>";
    static const char before[] = "<Object><Key>", after[] = "</Key></Object>";
    size_t bytes = sizeof head + sizeof tail;
    char *text;
    char *to;

    for (size_t i = 0; i < b->count; i++)
        bytes += sizeof before + sizeof after + b->prefix_bytes + strlen(b->names[i]);
    text = malloc(bytes);
    if (!text) return cst_fail(err, CST_NO_MEMORY, "a list of %zu names", b->count);
    to = text_put(text, head);
    for (size_t i = 0; i < b->count; i++) {
        to = text_put(to, before);
        to = text_put(to, b->prefix);
        to = text_put(to, b->names[i]);
        to = text_put(to, after);
    }
    to = text_put(to, tail);
    assert((size_t)(to - text) < bytes);
    *out = (cst_bytes){(const uint8_t *)text, (size_t)(to - text)};
    return CST_OK;
}

// The interface asks for it here, whatever else vouches for the body.
static bool md5_make(const cst_bytes *body, char out[MD5_TEXT_BYTES]) {
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned bytes = 0;

    if (EVP_Digest(body->data, body->count, digest, &bytes, EVP_md5(), NULL) != 1) return false;
    (void)EVP_EncodeBlock((uint8_t *)out, digest, (int)bytes);
    return true;
}

// ---- The answer ---------------------------------------------------------------------------------

static void mark(batch *b) {
    if (strncmp(b->key, b->prefix, b->prefix_bytes) != 0) return;
    for (size_t tried = 0; tried < b->count; tried++, b->at = (b->at + 1) % b->count)
        if (strcmp(b->names[b->at], b->key + b->prefix_bytes) == 0) {
            b->deleted[b->at] = true;
            return;
        }
}

static cst_code answer_visit(void *context, const char *path, const char *text, cst_err *err) {
    static const char root[] = "DeleteResult";
    batch *b = context;

    (void)err;
    if (strncmp(path, root, sizeof root - 1) != 0) return CST_OK;
    path += sizeof root - 1;
    if (path[0] == '\0') b->is_result = true;
    if (strcmp(path, "/Deleted/Key") == 0 || strcmp(path, "/Error/Key") == 0)
        memcpy(b->key, text, strlen(text) + 1);
    if (strcmp(path, "/Error/Code") == 0) (void)snprintf(b->code, sizeof b->code, "%s", text);
    if (strcmp(path, "/Deleted") == 0 ||
        (strcmp(path, "/Error") == 0 && strcmp(b->code, "NoSuchKey") == 0))
        mark(b);
    if (strcmp(path, "/Deleted") == 0 || strcmp(path, "/Error") == 0) b->key[0] = b->code[0] = '\0';
    return CST_OK;
}

static void give_up(csti_s3_store *store) {
    (void)pthread_mutex_lock(&store->mutex);
    store->no_batches = true;
    (void)pthread_mutex_unlock(&store->mutex);
}

size_t csti_s3_remove_count(cst_object_store *base) {
    csti_s3_store *store = csti_s3_self(base);
    size_t count;

    (void)pthread_mutex_lock(&store->mutex);
    count = store->no_batches ? 1 : CSTI_OBJECT_DELETE_MAX;
    (void)pthread_mutex_unlock(&store->mutex);
    return count;
}

cst_code csti_s3_remove_many(cst_object_store *base, const char *const *names, size_t count,
                             bool *deleted, cst_err *err) {
    csti_s3_store *store = csti_s3_self(base);
    csti_s3_call call = {.method = "POST"};
    char prefix[CSTI_S3_PREFIX_BYTES + 1];
    batch b = {names, count, deleted, prefix, .code = ""};
    cst_bytes body = {NULL, 0};
    char md5[MD5_TEXT_BYTES];
    cst_code code;

    if (csti_s3_remove_count(base) == 1) return CST_OK;
    b.prefix_bytes = (size_t)snprintf(prefix, sizeof prefix, "%s%s", store->uri.prefix,
                                      store->uri.prefix[0] ? "/" : "");
    code = body_make(&b, &body, err);
    if (code != CST_OK) return code;
    call.query[call.query_count++] = (csti_s3_pair){"delete", ""};
    call.ranges = &body;
    call.ranges_count = 1;
    if (md5_make(&body, md5))
        call.headers[call.headers_count++] = (csti_s3_pair){"content-md5", md5};
    if (csti_s3_ask(store, &call) == CSTI_S3_GOOD) {
        code =
            csti_s3_xml_walk(call.exchange.body, call.exchange.body_bytes, answer_visit, &b, err);
        if (code == CST_PARSE || code == CST_LIMIT) code = CST_OK; // not even XML
        if (code == CST_OK && !b.is_result) give_up(store);
    } else if (call.fault == CSTI_S3_STOPPED || call.fault == CSTI_S3_NO_BUCKET ||
               (csti_s3_fault_passes(call.fault) && call.fault != CSTI_S3_MALFORMED)) {
        code = csti_s3_fail(store, &call, err);
    } else {
        give_up(store);
    }
    csti_s3_clear(&call);
    free((void *)(uintptr_t)body.data);
    return code;
}
