#include "object/s3.h"

#include "base/random.h"
#include "object/s3_answer.h"
#include "object/s3_multipart.h"
#include "object/s3_profile.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RETRIES_AT_FIRST = 500, SETTLE_US_MAX = 10 * 1000 * 1000 };

// ---- Open ---------------------------------------------------------------------------------------

static const char *first_of(const char *const *variables) {
    for (; *variables; variables++) {
        const char *value = getenv(*variables);

        if (value && value[0]) return value;
    }
    return NULL;
}

// What the URI leaves open, in the order of Amazon's own programs.
static void region_settle(csti_s3_store *store) {
    static const char *const variables[] = {"AWS_REGION", "AWS_DEFAULT_REGION", NULL};
    const char *profile = store->uri.profile[0] ? store->uri.profile : getenv("AWS_PROFILE");
    const char *value = store->uri.region[0] ? store->uri.region : first_of(variables);

    if (value) {
        (void)snprintf(store->region, sizeof store->region, "%s", value);
        return;
    }
    if (csti_s3_profile_setting(profile && profile[0] ? profile : "default", "region",
                                store->region, sizeof store->region, NULL) != CST_OK)
        (void)snprintf(store->region, sizeof store->region, "us-east-1");
}

static void origin_settle(csti_s3_store *store) {
    static const char *const variables[] = {"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", NULL};
    const char *given = store->uri.endpoint[0] ? store->uri.endpoint : first_of(variables);
    const char *scheme = given && strncmp(given, "http:", 5) == 0 ? "http://" : "https://";
    const char *host = given ? strstr(given, "://") : NULL;
    const char *bucket = store->uri.bucket;

    store->amazon = !given;
    store->virtual_host =
        store->uri.style == CSTI_S3_VIRTUAL ||
        (store->uri.style == CSTI_S3_STYLE_AUTO && !given && !strchr(bucket, '.'));
    if (!store->virtual_host) bucket = "";
    if (given)
        (void)snprintf(store->origin, sizeof store->origin, "%s%s%s%s", scheme, bucket,
                       bucket[0] ? "." : "", host ? host + 3 : given);
    else
        (void)snprintf(store->origin, sizeof store->origin, "https://%s%ss3.%s.amazonaws.com",
                       bucket, bucket[0] ? "." : "", store->region);
    if (store->origin[strlen(store->origin) - 1] == '/')
        store->origin[strlen(store->origin) - 1] = '\0';
}

// 127.x.y.z, as numbers alone: a name that begins so may be anybody's.
static bool is_loopback(const char *host) {
    const size_t bytes = strcspn(host, ":");

    if (strncmp(host, "[::1]", 5) == 0) return host[5] == '\0' || host[5] == ':';
    if (bytes == 9 && memcmp(host, "localhost", 9) == 0) return true;
    return strncmp(host, "127.", 4) == 0 && strspn(host, "0123456789.") == bytes;
}

// TLS lets nobody between, and on loopback there is nobody; with a proxy there may be.
static void payload_settle(csti_s3_store *store) {
    static const char *const proxies[] = {"http_proxy", "all_proxy", "ALL_PROXY", NULL};
    const bool tls = strncmp(store->origin, "https:", 6) == 0;
    const bool near =
        is_loopback(strstr(store->origin, "://") + 3) && !store->uri.proxy[0] && !first_of(proxies);

    store->may_be_unsigned = store->uri.payload == CSTI_S3_PAYLOAD_UNSIGNED ||
                             (store->uri.payload == CSTI_S3_PAYLOAD_AUTO && (tls || near));
}

static void s3_close(cst_object_store *base) {
    csti_s3_store *store = csti_s3_self(base);

    csti_s3_credentials_close(store->credentials);
    csti_s3_http_close(store->http);
    csti_s3_buffers_close(&store->buffers);
    csti_s3_blocks_close(&store->blocks);
    (void)pthread_mutex_destroy(&store->mutex);
    free(store);
}

static cst_code s3_open(const char *place, const cst_object_store_options *options,
                        cst_object_store **out, cst_err *err) {
    const char *bundle = getenv("AWS_CA_BUNDLE");
    csti_s3_store *store = calloc(1, sizeof *store);
    csti_s3_http_options http = {.connections = 0};
    cst_code code;

    (void)options;
    if (!store) return cst_fail(err, CST_NO_MEMORY, "object store 's3:%.200s'", place);
    (void)pthread_mutex_init(&store->mutex, NULL);
    csti_s3_blocks_open(&store->blocks);
    store->retries_left = RETRIES_AT_FIRST;
    code = csti_s3_uri_parse(place, &store->uri, err);
    csti_s3_buffers_open(&store->buffers,
                         code == CST_OK ? store->uri.upload_mib : CSTI_S3_BUFFERS_MIB);
    if (code == CST_OK) {
        region_settle(store);
        origin_settle(store);
        payload_settle(store);
        http = (csti_s3_http_options){.connections = store->uri.connections,
                                      .ca = store->uri.ca[0] ? store->uri.ca
                                            : bundle         ? bundle
                                                             : "",
                                      .proxy = store->uri.proxy,
                                      .http2 = store->uri.http == CSTI_S3_HTTP_2};
        code = csti_s3_http_open(&http, &store->http, err);
    }
    if (code == CST_OK)
        code = csti_s3_credentials_open(store->uri.profile, store->region, store->http,
                                        &store->credentials, err);
    if (code != CST_OK) {
        s3_close(&store->base);
        return code;
    }
    *out = &store->base;
    return CST_OK;
}

// ---- Head ---------------------------------------------------------------------------------------

static csti_s3_fault head_ask(csti_s3_store *store, csti_s3_call *call, const char *name,
                              uint64_t wait_us, cst_object_info *out) {
    *call = (csti_s3_call){.method = "HEAD", .name = name, .wait_us = wait_us};
    if (csti_s3_ask(store, call) != CSTI_S3_GOOD) return call->fault;
    // Every S3 server has these for an object; a page of something else has not.
    if (!call->exchange.answer.etag[0] || call->exchange.answer.length == UINT64_MAX ||
        strlen(call->exchange.answer.etag) >= sizeof out->etag)
        return call->fault = CSTI_S3_MALFORMED;
    *out = (cst_object_info){.bytes = call->exchange.answer.length,
                             .nonce = csti_s3_nonce_of(call->exchange.answer.nonce)};
    memcpy(out->etag, call->exchange.answer.etag, strlen(call->exchange.answer.etag) + 1);
    return CSTI_S3_GOOD;
}

// A HEAD has no body that could say whether it is the object or the bucket that misses.
static cst_code bucket_check(csti_s3_store *store, const char *name, cst_err *err) {
    csti_s3_call call = {.method = "HEAD"};
    cst_code code;

    if (csti_s3_ask(store, &call) == CSTI_S3_ABSENT) call.fault = CSTI_S3_NO_BUCKET;
    if (call.fault == CSTI_S3_GOOD || call.fault == CSTI_S3_DENIED) // listing may be denied to us
        code = cst_fail(err, CST_NOT_FOUND, "%.150s: %s is not there", store->base.uri, name);
    else
        code = csti_s3_fail(store, &call, err);
    csti_s3_clear(&call);
    return code;
}

cst_code csti_s3_head(cst_object_store *base, const char *name, cst_object_info *out,
                      cst_err *err) {
    csti_s3_store *store = csti_s3_self(base);
    csti_s3_call call;
    cst_code code = CST_OK;

    switch (head_ask(store, &call, name, 0, out)) {
    case CSTI_S3_GOOD:
        break;
    case CSTI_S3_ABSENT:
        code = bucket_check(store, name, err);
        break;
    default:
        code = csti_s3_fail(store, &call, err);
    }
    csti_s3_clear(&call);
    return code;
}

// ---- Put ----------------------------------------------------------------------------------------

typedef struct put {
    csti_s3_call call;
    char match[CST_OBJECT_ETAG_BYTES + 2];
    char nonce_text[17];
    uint64_t nonce;
} put;

cst_code csti_s3_nonce_draw(uint64_t nonce, uint64_t *out, char text[17], cst_err *err) {
    cst_code code = CST_OK;

    while (nonce == 0 && code == CST_OK)
        code = csti_random_fill(csti_random_real(), &nonce, sizeof nonce, err);
    if (code != CST_OK) return code;
    *out = nonce;
    (void)snprintf(text, 17, "%016" PRIx64, nonce);
    return CST_OK;
}

static cst_code put_prepare(csti_s3_store *store, const cst_put_options *options, put *p,
                            cst_err *err) {
    csti_s3_match match;
    cst_code code;

    (void)pthread_mutex_lock(&store->mutex);
    match = store->match;
    (void)pthread_mutex_unlock(&store->mutex);
    if (options->condition == CST_PUT_IF_MATCH && match == CSTI_S3_MATCH_NONE)
        return cst_fail(err, CST_UNSUPPORTED, "%.150s: this server has no If-Match",
                        store->base.uri);
    code = csti_s3_nonce_draw(options->nonce, &p->nonce, p->nonce_text, err);
    if (code != CST_OK) return code;
    p->call.headers[p->call.headers_count++] = (csti_s3_pair){CSTI_S3_NONCE_HEADER, p->nonce_text};
    if (options->condition == CST_PUT_IF_ABSENT)
        p->call.headers[p->call.headers_count++] = (csti_s3_pair){"if-none-match", "*"};
    if (options->condition == CST_PUT_IF_MATCH) {
        (void)snprintf(p->match, sizeof p->match, match == CSTI_S3_MATCH_PLAIN ? "%s" : "\"%s\"",
                       options->etag);
        p->call.headers[p->call.headers_count++] = (csti_s3_pair){"if-match", p->match};
    }
    return CST_OK;
}

static cst_code unknown(const csti_s3_store *store, const csti_s3_call *call, cst_err *err) {
    cst_err why = {.code = CST_OK};

    (void)csti_s3_fail(store, call, &why);
    return cst_fail(err, CST_OBJECT_AMBIGUOUS, "%.400s. It is not known whether it was written",
                    why.text);
}

cst_code csti_s3_settle(csti_s3_store *store, csti_s3_call *call, uint64_t nonce,
                        cst_put_condition condition, cst_object_info *info_out, cst_err *err) {
    const bool refused = call->fault == CSTI_S3_CONDITION && !call->unsure;
    cst_object_info there = {0};
    csti_s3_call head;
    const uint64_t wait_us = store->base.deadline_us;
    const csti_s3_fault fault = head_ask(store, &head, call->name,
                                         wait_us < SETTLE_US_MAX ? wait_us : SETTLE_US_MAX, &there);

    csti_s3_clear(&head);
    if (fault == CSTI_S3_GOOD && there.nonce == nonce) {
        *info_out = there;
        return CST_OK;
    }
    if (condition == CST_PUT_IF_ABSENT && (refused || fault == CSTI_S3_GOOD))
        return cst_fail(err, CST_EXISTS, "%.150s: %s is there already", store->base.uri,
                        call->name);
    if (condition == CST_PUT_IF_MATCH && refused)
        return cst_fail(err, CST_OBJECT_CONFLICT, "%.150s: %s is another than the etag says",
                        store->base.uri, call->name);
    return unknown(store, call, err);
}

static cst_code put_judge(csti_s3_store *store, put *p, cst_put_condition condition, uint64_t bytes,
                          cst_object_info *info_out, cst_err *err) {
    const csti_s3_headers *answer = &p->call.exchange.answer;

    switch (p->call.fault) {
    case CSTI_S3_GOOD:
        if (!answer->etag[0] || strlen(answer->etag) >= sizeof info_out->etag) {
            p->call.fault = CSTI_S3_MALFORMED;
            return csti_s3_settle(store, &p->call, p->nonce, condition, info_out, err);
        }
        *info_out = (cst_object_info){.bytes = bytes, .nonce = p->nonce};
        memcpy(info_out->etag, answer->etag, strlen(answer->etag) + 1);
        return CST_OK;
    case CSTI_S3_CONDITION:
        return csti_s3_settle(store, &p->call, p->nonce, condition, info_out, err);
    case CSTI_S3_ABSENT:
        if (condition != CST_PUT_IF_MATCH) break;
        return cst_fail(err, CST_OBJECT_CONFLICT, "%.150s: %s is not there any more",
                        store->base.uri, p->call.name);
    case CSTI_S3_REFUSED:
        if (condition == CST_PUT_IF_ABSENT) break;
        (void)csti_s3_fail(store, &p->call, err);
        return cst_fail_at(err, CST_UNSUPPORTED, "If-Match");
    default:
        if (p->call.unsure)
            return csti_s3_settle(store, &p->call, p->nonce, condition, info_out, err);
    }
    return csti_s3_fail(store, &p->call, err);
}

cst_code csti_s3_put(cst_object_store *base, const char *name, const cst_bytes *ranges,
                     size_t ranges_count, const cst_put_options *options, cst_object_info *info_out,
                     cst_err *err) {
    csti_s3_store *store = csti_s3_self(base);
    put p = {
        .call = {.method = "PUT", .name = name, .ranges = ranges, .ranges_count = ranges_count}};
    cst_code code = put_prepare(store, options, &p, err);
    uint64_t bytes = 0;

    if (code != CST_OK) return code;
    for (size_t i = 0; i < ranges_count; i++) bytes += ranges[i].count;
    p.call.vouch = csti_s3_vouch_for(store, bytes);
    (void)csti_s3_ask(store, &p.call);
    code = put_judge(store, &p, options->condition, bytes, info_out, err);
    csti_s3_clear(&p.call);
    return code;
}

// ---- Delete -------------------------------------------------------------------------------------

static cst_code s3_remove(cst_object_store *base, const char *name, cst_err *err) {
    csti_s3_store *store = csti_s3_self(base);
    csti_s3_call call = {.method = "DELETE", .name = name};
    cst_code code = CST_OK;

    if (csti_s3_ask(store, &call) != CSTI_S3_GOOD && call.fault != CSTI_S3_ABSENT) {
        code = csti_s3_fail(store, &call, err);
        if (call.unsure && (code == CST_OBJECT_UNAVAILABLE || code == CST_DEADLINE))
            code = cst_fail_at(err, CST_OBJECT_AMBIGUOUS, "it may be deleted");
    }
    csti_s3_clear(&call);
    return code;
}

// ---- Proof --------------------------------------------------------------------------------------

static bool match_other(cst_object_store *base) {
    csti_s3_store *store = csti_s3_self(base);
    bool another;

    (void)pthread_mutex_lock(&store->mutex);
    store->match = store->match == CSTI_S3_MATCH_QUOTED ? CSTI_S3_MATCH_PLAIN : CSTI_S3_MATCH_NONE;
    another = store->match != CSTI_S3_MATCH_NONE;
    (void)pthread_mutex_unlock(&store->mutex);
    return another;
}

static void buffered(cst_object_store *base, uint64_t *bytes_out, uint64_t *most_out) {
    csti_s3_buffers_held(&csti_s3_self(base)->buffers, bytes_out, most_out);
}

const csti_object_ops csti_object_s3 = {
    .scheme = "s3",
    .racers = 16,
    .rounds = 20,
    .is_remote = true,
    .open = s3_open,
    .close = s3_close,
    .put = csti_s3_put,
    .upload_open = csti_s3_upload_open,
    .upload_write = csti_s3_upload_write,
    .upload_refer = csti_s3_upload_refer,
    .upload_finish = csti_s3_upload_finish,
    .upload_abort = csti_s3_upload_abort,
    .remove = s3_remove,
    .remove_many = csti_s3_remove_many,
    .remove_count = csti_s3_remove_count,
    .get = csti_s3_get,
    .body_release = csti_s3_body_release,
    .ahead_open = csti_s3_ahead_open,
    .ahead_body = csti_s3_ahead_body,
    .ahead_wait = csti_s3_ahead_wait,
    .ahead_close = csti_s3_ahead_close,
    .head = csti_s3_head,
    .list = csti_s3_list,
    .sweep_uploads = csti_s3_sweep,
    .match_other = match_other,
    .rights = csti_s3_rights,
    .probe = csti_s3_probe,
    .buffered = buffered,
    .findings = csti_s3_findings,
};
