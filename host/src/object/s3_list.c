// s3_list.c: names, a page of a thousand after another.
#include "object/s3_page.h"
#include "object/s3_request.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static cst_code page_ask(csti_s3_store *store, csti_s3_page *p, const char *prefix,
                         const char *after, cst_err *err) {
    csti_s3_call call = {.method = "GET"};
    char token[CSTI_S3_PAGE_TOKEN_BYTES];
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
    if (csti_s3_ask(store, &call) != CSTI_S3_GOOD) {
        code = csti_s3_fail(store, &call, err);
    } else {
        code = csti_s3_page_read(p, call.exchange.body, call.exchange.body_bytes, err);
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
static bool key_make(const csti_s3_store *store, const char *name, char out[CSTI_S3_KEY_BYTES]) {
    const int bytes = snprintf(out, CSTI_S3_KEY_BYTES, "%s%s%s", store->uri.prefix,
                               store->uri.prefix[0] ? "/" : "", name);

    return bytes >= 0 && bytes < CSTI_S3_KEY_BYTES;
}

cst_code csti_s3_list(cst_object_store *base, const char *prefix, const char *after,
                      cst_object_visit visit, void *context, cst_err *err) {
    csti_s3_store *store = csti_s3_self(base);
    char key_prefix[CSTI_S3_KEY_BYTES];
    char key_after[CSTI_S3_KEY_BYTES] = "";
    csti_s3_page *p;
    cst_code code = CST_OK;

    if (!key_make(store, prefix, key_prefix) || (after[0] && !key_make(store, after, key_after)))
        return CST_OK; // no key is so long
    p = calloc(1, sizeof *p);
    if (!p) return cst_fail(err, CST_NO_MEMORY, "%.150s: a list", base->uri);
    p->visit = visit;
    p->context = context;
    p->prefix = key_prefix;
    p->after = key_after;
    p->skip_bytes = store->uri.prefix[0] ? strlen(store->uri.prefix) + 1 : 0;
    p->more = true;
    while (code == CST_OK && p->more && !p->stopped)
        code = page_ask(store, p, key_prefix, key_after, err);
    free(p);
    return code;
}
