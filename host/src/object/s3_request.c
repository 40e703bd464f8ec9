#include "object/s3_request.h"

#include "base/clock.h"
#include "base/crc32c.h"
#include "base/park.h"
#include "base/random.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ATTEMPTS_MAX = 8,
    RETRIES_MAX = 500,
    RETRY_COST = 10,
    BACKOFF_US = 50 * 1000,
    BACKOFF_US_MAX = 5 * 1000 * 1000,
    ATTEMPT_US_MIN = 100 * 1000, // with less left none is begun: what the last one said is told
    BYTES_PER_US = 1,            // a deadline grows with what is sent: as if it were 1 MB a second
    HEADER_LINE_BYTES = CSTI_S3_TOKEN_BYTES + 64,
};

// ---- One attempt --------------------------------------------------------------------------------

static cst_code append(char *to, size_t capacity, const char *text, bool encode, cst_err *err) {
    const size_t at = strlen(to);
    size_t bytes = strlen(text);

    if (encode)
        bytes = csti_s3_encode(text, true, to + at, capacity - at);
    else if (bytes < capacity - at)
        memcpy(to + at, text, bytes + 1);
    return bytes < capacity - at ? CST_OK : cst_fail(err, CST_LIMIT, "a URL is too long");
}

// Origin, then the path as it is signed; *path_out points into the URL.
static cst_code url_make(const csti_s3_store *store, csti_s3_call *call, const char *origin,
                         size_t *path_out, cst_err *err) {
    const size_t room = sizeof call->url;
    cst_code code;

    call->url[0] = '\0';
    code = append(call->url, room, origin, false, err);
    *path_out = strlen(call->url);
    if (code == CST_OK) code = append(call->url, room, "/", false, err);
    if (code == CST_OK && !store->virtual_host)
        code = append(call->url, room, store->uri.bucket, true, err);
    if (code != CST_OK || !call->name) return code;
    if (!store->virtual_host) code = append(call->url, room, "/", false, err);
    if (code == CST_OK && store->uri.prefix[0]) {
        code = append(call->url, room, store->uri.prefix, true, err);
        if (code == CST_OK) code = append(call->url, room, "/", false, err);
    }
    return code == CST_OK ? append(call->url, room, call->name, true, err) : code;
}

// Keys, region and time as they are now; the day's signing key is made once.
static cst_code signer_get(csti_s3_store *store, csti_s3_call *call, char time[CSTI_S3_TIME_BYTES],
                           csti_s3_signer *out, char origin[CSTI_S3_PLACE_BYTES], cst_err *err) {
    char scope[sizeof out->scope];
    cst_code code = csti_s3_credentials_get(store->credentials, &call->keys, err);

    if (code != CST_OK) return code;
    (void)pthread_mutex_lock(&store->mutex);
    csti_s3_time(csti_clock_wall_us(csti_clock_real()) + store->skew_us, time);
    memcpy(origin, store->origin, sizeof store->origin);
    (void)snprintf(scope, sizeof scope, "%.8s/%s/s3", time, store->region);
    if (strcmp(scope, store->signer.scope) != 0 ||
        strcmp(call->keys.access, store->signer_access) != 0) {
        code =
            csti_s3_signer_make(call->keys.secret, time, store->region, "s3", &store->signer, err);
        memcpy(store->signer_access, call->keys.access, sizeof store->signer_access);
        if (code != CST_OK) store->signer.scope[0] = '\0';
    }
    *out = store->signer;
    (void)pthread_mutex_unlock(&store->mutex);
    return code;
}

static cst_code header_add(struct curl_slist **list, const char *name, const char *value,
                           cst_err *err) {
    char line[HEADER_LINE_BYTES];
    const int bytes = snprintf(line, sizeof line, "%s: %s", name, value);
    struct curl_slist *longer;

    if (bytes < 0 || (size_t)bytes >= sizeof line)
        return cst_fail(err, CST_LIMIT, "the header %s is too long", name);
    longer = curl_slist_append(*list, line);
    if (!longer) return cst_fail(err, CST_NO_MEMORY, "a request's headers");
    *list = longer;
    return CST_OK;
}

static cst_code headers_make(csti_s3_call *call, const csti_s3_signer *signer,
                             csti_s3_signing *signing, const csti_s3_pair *pairs, size_t count,
                             cst_err *err) {
    struct curl_slist *list = NULL;
    char authorization[1024];
    cst_code code;

    signing->headers = pairs;
    signing->headers_count = count;
    code = csti_s3_authorization(signer, signing, authorization, sizeof authorization, err);
    if (code == CST_OK) code = header_add(&list, "authorization", authorization, err);
    for (size_t i = 1; i < count && code == CST_OK; i++) // without host, which libcurl sends
        code = header_add(&list, pairs[i].name, pairs[i].value, err);
    // What libcurl would add: a wait for 100, and a type.
    if (code == CST_OK) {
        struct curl_slist *longer = curl_slist_append(list, "Expect:");

        if (longer)
            list = longer;
        else
            code = cst_fail(err, CST_NO_MEMORY, "a request's headers");
    }
    curl_slist_free_all(call->exchange.headers);
    call->exchange.headers = code == CST_OK ? list : NULL;
    if (code != CST_OK) curl_slist_free_all(list);
    return code;
}

static cst_code prepare(csti_s3_store *store, csti_s3_call *call, cst_err *err) {
    csti_s3_pair pairs[CSTI_S3_HEADERS_MAX] = {{"host", NULL}};
    csti_s3_signing signing = {.method = call->method, .payload = call->payload};
    char query[CSTI_S3_URL_BYTES / 2];
    char path[CSTI_S3_URL_BYTES];
    char time[CSTI_S3_TIME_BYTES];
    char origin[CSTI_S3_PLACE_BYTES];
    csti_s3_signer signer;
    size_t path_at = 0;
    size_t count = 1;
    cst_code code = signer_get(store, call, time, &signer, origin, err);

    if (code == CST_OK) code = url_make(store, call, origin, &path_at, err);
    if (code == CST_OK)
        code = csti_s3_query(call->query, call->query_count, query, sizeof query, err);
    if (code != CST_OK) return code;
    memcpy(path, call->url + path_at, strlen(call->url + path_at) + 1);
    if (query[0]) code = append(call->url, sizeof call->url, "?", false, err);
    if (code == CST_OK) code = append(call->url, sizeof call->url, query, false, err);
    if (code != CST_OK) return code;
    pairs[0].value = strstr(origin, "://") + 3;
    pairs[count++] = (csti_s3_pair){"x-amz-date", time};
    pairs[count++] = (csti_s3_pair){"x-amz-content-sha256", call->payload};
    if (call->keys.token[0])
        pairs[count++] = (csti_s3_pair){"x-amz-security-token", call->keys.token};
    if (call->vouch == CSTI_S3_CRC32C)
        pairs[count++] = (csti_s3_pair){CSTI_S3_CRC_HEADER, call->crc};
    for (size_t i = 0; i < call->headers_count; i++) pairs[count++] = call->headers[i];
    signing.path = path;
    signing.query = query;
    signing.time = time;
    signing.access = call->keys.access;
    return headers_make(call, &signer, &signing, pairs, count, err);
}

static void attempt(csti_s3_store *store, csti_s3_call *call) {
    csti_s3_exchange *e = &call->exchange;

    call->attempts++;
    free(e->body);
    e->body = NULL;
    call->error = (csti_s3_error){.code = ""};
    call->stopped = prepare(store, call, &call->why);
    if (call->stopped != CST_OK) return;
    e->method = call->method;
    e->url = call->url;
    e->ranges = call->ranges;
    e->ranges_count = call->ranges_count;
    e->deadline_ns = call->deadline_ns;
    e->into = call->into;
    e->cuts = call->cuts;
    e->body_bytes_max = call->body_bytes_max ? call->body_bytes_max : CSTI_S3_TEXT_BYTES_MAX;
    csti_s3_http_start(store->http, e);
}

csti_s3_vouch csti_s3_vouch_for(csti_s3_store *store, uint64_t bytes) {
    csti_s3_vouch vouch;

    (void)pthread_mutex_lock(&store->mutex);
    vouch = bytes > CSTI_S3_SIGNED_BYTES_MAX ? store->large : CSTI_S3_SIGNED;
    (void)pthread_mutex_unlock(&store->mutex);
    return vouch;
}

static cst_code vouch(csti_s3_call *call) {
    uint32_t crc = 0;
    cst_code code = CST_OK;

    if (call->vouch == CSTI_S3_SIGNED) {
        code = csti_s3_hash(call->ranges, call->ranges_count, call->payload, &call->why);
        if (code == CST_OK && call->mistaken)
            call->payload[0] = call->payload[0] == '0' ? '1' : '0';
        return code;
    }
    memcpy(call->payload, CSTI_S3_UNSIGNED, sizeof CSTI_S3_UNSIGNED);
    if (call->has_crc) return code;
    for (size_t i = 0; i < call->ranges_count; i++)
        crc = csti_crc32c(crc, call->ranges[i].data, call->ranges[i].count);
    csti_s3_crc_text(call->mistaken ? ~crc : crc, call->crc);
    return code;
}

void csti_s3_start(csti_s3_store *store, csti_s3_call *call) {
    const uint64_t wait_us = call->wait_us ? call->wait_us : store->base.deadline_us;
    uint64_t bytes = 0;

    assert(call->headers_count <= CSTI_S3_EXTRA_MAX);
    for (size_t i = 0; i < call->ranges_count; i++) bytes += call->ranges[i].count;
    call->deadline_ns =
        csti_clock_now_ns(csti_clock_real()) + (wait_us + bytes / BYTES_PER_US) * 1000;
    call->stopped = vouch(call);
    if (call->stopped == CST_OK) attempt(store, call);
}

// ---- What came of it ----------------------------------------------------------------------------

static csti_s3_fault fault_of_transport(const csti_s3_exchange *e) {
    switch (e->result) {
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_ABORTED_BY_CALLBACK:
        return CSTI_S3_TIMEOUT;
    case CURLE_OUT_OF_MEMORY:
        return CSTI_S3_NO_MEMORY;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
        return CSTI_S3_NOT_SECURE;
    case CURLE_WRITE_ERROR:
        return e->too_long ? CSTI_S3_MALFORMED : CSTI_S3_NO_MEMORY;
    default:
        return CSTI_S3_UNAVAILABLE;
    }
}

static void judge(csti_s3_call *call) {
    csti_s3_exchange *e = &call->exchange;
    const bool has_body = strcmp(call->method, "HEAD") != 0;

    if (call->stopped != CST_OK) {
        call->fault = CSTI_S3_STOPPED;
        return;
    }
    csti_s3_http_wait(e);
    if (e->result != CURLE_OK) {
        call->fault = fault_of_transport(e);
        call->unsure = call->unsure || e->sent;
        return;
    }
    if (e->status / 100 != 2)
        csti_s3_error_read(e->body, e->body ? e->body_bytes : 0, &call->error);
    call->fault = csti_s3_fault_of(e->status, call->error.code, has_body);
    // A server that fails may have done it; what is no S3 server's answer says nothing.
    if (call->fault == CSTI_S3_UNAVAILABLE || call->fault == CSTI_S3_TIMEOUT ||
        call->fault == CSTI_S3_MALFORMED)
        call->unsure = true;
}

// The server's time less ours; false: its answer has none.
static bool skew_learn(csti_s3_store *store, const csti_s3_call *call) {
    const time_t server = curl_getdate(call->exchange.answer.date, NULL);
    const int64_t now_us = csti_clock_wall_us(csti_clock_real());

    if (call->exchange.answer.date[0] == '\0' || server == -1) return false;
    (void)pthread_mutex_lock(&store->mutex);
    store->skew_us = (int64_t)server * 1000000 - now_us;
    (void)pthread_mutex_unlock(&store->mutex);
    return true;
}

static bool is_region(const char *text) {
    const size_t bytes = strlen(text);

    return bytes > 0 && bytes < CSTI_S3_WORD_BYTES &&
           strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-") == bytes;
}

static bool region_learn(csti_s3_store *store, const csti_s3_call *call) {
    const char *header = call->exchange.answer.region;
    const char *region = header[0] ? header : call->error.region;
    bool new;

    if (!is_region(region)) return false;
    (void)pthread_mutex_lock(&store->mutex);
    new = strcmp(region, store->region) != 0;
    (void)snprintf(store->region, sizeof store->region, "%s", region);
    if (store->amazon)
        (void)snprintf(store->origin, sizeof store->origin, "https://%s%ss3.%s.amazonaws.com",
                       store->virtual_host ? store->uri.bucket : "", store->virtual_host ? "." : "",
                       region);
    (void)pthread_mutex_unlock(&store->mutex);
    return new || call->attempts == 1;
}

// Something was learnt that makes another answer likely, once of each kind.
static bool learns(csti_s3_store *store, csti_s3_call *call) {
    bool *once = NULL;

    if (call->fault == CSTI_S3_SKEW) once = &call->skewed;
    if (call->fault == CSTI_S3_REGION) once = &call->moved;
    if (call->fault == CSTI_S3_EXPIRED) once = &call->renewed;
    if (!once || *once) return false;
    *once = true;
    if (call->fault == CSTI_S3_SKEW) return skew_learn(store, call);
    if (call->fault == CSTI_S3_REGION) return region_learn(store, call);
    csti_s3_credentials_spoil(store->credentials, &call->keys);
    return true;
}

static bool budget_take(csti_s3_store *store) {
    bool good;

    (void)pthread_mutex_lock(&store->mutex);
    good = store->retries_left >= RETRY_COST;
    if (good) store->retries_left -= RETRY_COST;
    (void)pthread_mutex_unlock(&store->mutex);
    return good;
}

static void budget_give(csti_s3_store *store) {
    (void)pthread_mutex_lock(&store->mutex);
    if (store->retries_left < RETRIES_MAX) store->retries_left++;
    (void)pthread_mutex_unlock(&store->mutex);
}

// Sleeps a random part of what doubles with each attempt; false: the deadline comes first.
static bool backs_off(const csti_s3_call *call) {
    const uint64_t now_ns = csti_clock_now_ns(csti_clock_real());
    uint64_t most_us = (uint64_t)BACKOFF_US << (call->attempts - 1);
    uint64_t random = 0;
    csti_parker parker;
    uint64_t wake_ns;

    if (most_us > BACKOFF_US_MAX) most_us = BACKOFF_US_MAX;
    if (csti_random_fill(csti_random_real(), &random, sizeof random, NULL) != CST_OK) random = 0;
    wake_ns = now_ns + random % (most_us + 1) * 1000;
    if (wake_ns + ATTEMPT_US_MIN * UINT64_C(1000) >= call->deadline_ns) return false;
    csti_parker_init(&parker);
    (void)csti_park_until(&parker, wake_ns);
    return true;
}

csti_s3_fault csti_s3_finish(csti_s3_store *store, csti_s3_call *call) {
    for (;;) {
        judge(call);
        if (call->fault == CSTI_S3_GOOD) budget_give(store);
        if (!learns(store, call) &&
            (!csti_s3_fault_passes(call->fault) || call->exchange.cancelled ||
             (call->mistaken && call->fault == CSTI_S3_CORRUPT) || call->attempts >= ATTEMPTS_MAX ||
             !budget_take(store) || !backs_off(call)))
            return call->fault;
        attempt(store, call);
    }
}

csti_s3_fault csti_s3_ask(csti_s3_store *store, csti_s3_call *call) {
    csti_s3_start(store, call);
    return csti_s3_finish(store, call);
}

bool csti_s3_is_done(csti_s3_call *call) {
    return call->stopped != CST_OK || csti_s3_http_is_done(&call->exchange);
}

void csti_s3_cancel(csti_s3_call *call) {
    if (call->stopped == CST_OK) csti_s3_http_cancel(&call->exchange);
}

void csti_s3_clear(csti_s3_call *call) {
    free(call->exchange.body);
    call->exchange.body = NULL;
    curl_slist_free_all(call->exchange.headers);
    call->exchange.headers = NULL;
}

static const char *advice_of(csti_s3_fault fault) {
    switch (fault) {
    case CSTI_S3_NO_BUCKET:
        return ". Make the bucket first";
    case CSTI_S3_DENIED:
        return ". See docs/s3.md for the rights that it takes";
    case CSTI_S3_SKEW:
        return ". Set this machine's clock";
    case CSTI_S3_REGION:
        return ". Give the bucket's region: ?region=";
    case CSTI_S3_NOT_SECURE:
        return ". Give the server's certificate authority: ?ca=FILE";
    default:
        return "";
    }
}

// Of what the server says, without the end of its sentence: ours goes on.
static int message_bytes(const char *message) {
    size_t count = strlen(message);

    while (count > 0 && strchr(".!? \n", message[count - 1])) count--;
    return (int)count;
}

cst_code csti_s3_fail(const csti_s3_store *store, const csti_s3_call *call, cst_err *err) {
    const csti_s3_exchange *e = &call->exchange;
    const char *name = call->name ? call->name : "the bucket";
    const cst_code code = csti_s3_fault_code(call->fault);

    if (call->fault == CSTI_S3_STOPPED) {
        if (err) *err = call->why;
        return cst_fail_at(err, call->stopped, "%.150s", store->base.uri);
    }
    if (e->result != CURLE_OK)
        return cst_fail(err, code, "%.150s: %s %.80s: no answer: %s%s", store->base.uri,
                        call->method, name,
                        e->problem[0] ? e->problem : curl_easy_strerror(e->result),
                        advice_of(call->fault));
    return cst_fail(err, code, "%.150s: %s %.80s: %ld%s%s%s%.*s%s", store->base.uri, call->method,
                    name, e->status, call->error.code[0] ? " " : "", call->error.code,
                    call->error.message[0] ? ": " : "", message_bytes(call->error.message),
                    call->error.message, advice_of(call->fault));
}
