#include "object/s3_exchange.h"

#include "object/s3_answer.h"

#include <stdlib.h>
#include <string.h>

enum {
    ALIGNMENT = 64,
    CONNECT_MS = 5000,
    SLOW_SECONDS = 10, // without SLOW_BYTES in each of them: it hangs
    SLOW_BYTES = 512,
    BUFFER_BYTES = 512 << 10, // libcurl's: fewer, larger system calls
    BODY_BYTES_MIN = 4 << 10,
};

// ---- What libcurl calls -------------------------------------------------------------------------

// A connection is there, and the request is next. libcurl may get here again on another connection,
// when one that it kept ends under it: whatever the last attempt came to, the first one was sent.
static int on_begin(void *context, char *ip, char *own_ip, int port, int own_port) {
    csti_s3_exchange *e = context;

    (void)ip;
    (void)own_ip;
    (void)port;
    (void)own_port;
    e->sent = true;
    return CURL_PREREQFUNC_OK;
}

static size_t on_read(char *out, size_t size, size_t count, void *context) {
    csti_s3_exchange *e = context;
    size_t room = size * count;
    size_t done = 0;

    while (room > 0 && e->range_at < e->ranges_count) {
        const cst_bytes *range = &e->ranges[e->range_at];
        const size_t left = range->count - e->range_offset;
        const size_t now = left < room ? left : room;

        if (now > 0) memcpy(out + done, range->data + e->range_offset, now);
        done += now;
        room -= now;
        e->range_offset += now;
        if (e->range_offset < range->count) continue;
        e->range_at++;
        e->range_offset = 0;
    }
    return done;
}

// It asks for the start only: when it sends a body a second time, on another connection.
static int on_seek(void *context, curl_off_t offset, int origin) {
    csti_s3_exchange *e = context;

    if (offset != 0 || origin != SEEK_SET) return CURL_SEEKFUNC_CANTSEEK;
    e->range_at = 0;
    e->range_offset = 0;
    return CURL_SEEKFUNC_OK;
}

static size_t on_header(char *line, size_t size, size_t count, void *context) {
    csti_s3_exchange *e = context;

    csti_s3_answer_line(&e->answer, line, size * count);
    return size * count;
}

// Room for `wanted` bytes of body; `known`: there will be that many.
static bool body_reserve(csti_s3_exchange *e, size_t wanted, bool known) {
    size_t capacity = e->body_capacity ? e->body_capacity * 2 : BODY_BYTES_MIN;
    uint8_t *larger;

    if (wanted <= e->body_capacity) return true;
    if (known || capacity < wanted) capacity = wanted;
    capacity = (capacity + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    larger = aligned_alloc(ALIGNMENT, capacity);
    if (!larger) return false;
    if (e->body_bytes > 0) memcpy(larger, e->body, e->body_bytes);
    free(e->body);
    e->body = larger;
    e->body_capacity = capacity;
    return true;
}

static bool is_good(csti_s3_exchange *e) {
    if (e->status == 0 &&
        curl_easy_getinfo(e->easy, CURLINFO_RESPONSE_CODE, &e->status) != CURLE_OK)
        e->status = 0;
    return e->status / 100 == 2;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *context) {
    csti_s3_exchange *e = context;
    const size_t came = size * count;
    const uint64_t room = e->body_bytes_max - e->body_bytes;
    const size_t more = came > room && e->cuts ? (size_t)room : came;
    const size_t wanted = e->body_bytes + more;
    const bool known = e->answer.length >= wanted && e->answer.length <= e->body_bytes_max;

    if (came > room) {
        e->was_cut = e->cuts && is_good(e);
        e->too_long = !e->was_cut;
        if (e->too_long) return 0;
    }
    if (e->into && is_good(e)) {
        memcpy(e->into + e->body_bytes, bytes, more);
    } else {
        if (!body_reserve(e, known ? (size_t)e->answer.length : wanted, known)) return 0;
        memcpy(e->body + e->body_bytes, bytes, more);
    }
    e->body_bytes = wanted;
    return more; // less than came ends it
}

// ---- One exchange -------------------------------------------------------------------------------

static uint64_t bytes_of(const csti_s3_exchange *e) {
    uint64_t bytes = 0;

    for (size_t i = 0; i < e->ranges_count; i++) bytes += e->ranges[i].count;
    return bytes;
}

#define SET(OPTION, VALUE) good = good && curl_easy_setopt(e->easy, OPTION, VALUE) == CURLE_OK

static bool method_set(csti_s3_exchange *e) {
    const bool sends = strcmp(e->method, "PUT") == 0 || strcmp(e->method, "POST") == 0;
    bool good = true;

    if (strcmp(e->method, "HEAD") == 0) {
        SET(CURLOPT_NOBODY, 1L);
    } else if (sends) {
        SET(CURLOPT_UPLOAD, 1L);
        SET(CURLOPT_INFILESIZE_LARGE, (curl_off_t)bytes_of(e));
        SET(CURLOPT_READFUNCTION, on_read);
        SET(CURLOPT_READDATA, (void *)e);
        SET(CURLOPT_SEEKFUNCTION, on_seek);
        SET(CURLOPT_SEEKDATA, (void *)e);
        SET(CURLOPT_CUSTOMREQUEST, e->method);
    } else {
        SET(CURLOPT_CUSTOMREQUEST, e->method);
    }
    return good;
}

static bool options_set(csti_s3_exchange *e, const csti_s3_http_options *options,
                        uint64_t left_ms) {
    const long version = options->http2 ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1;
    bool good = true;

    SET(CURLOPT_URL, e->url);
    SET(CURLOPT_HTTPHEADER, e->headers);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_PATH_AS_IS, 1L);
    SET(CURLOPT_HTTP_VERSION, version);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    SET(CURLOPT_TIMEOUT_MS, (long)left_ms);
    SET(CURLOPT_LOW_SPEED_LIMIT, (long)SLOW_BYTES);
    SET(CURLOPT_LOW_SPEED_TIME, (long)SLOW_SECONDS);
    SET(CURLOPT_BUFFERSIZE, (long)BUFFER_BYTES);
    SET(CURLOPT_UPLOAD_BUFFERSIZE, (long)BUFFER_BYTES);
    SET(CURLOPT_ERRORBUFFER, e->problem);
    SET(CURLOPT_PREREQFUNCTION, on_begin);
    SET(CURLOPT_PREREQDATA, (void *)e);
    SET(CURLOPT_HEADERFUNCTION, on_header);
    SET(CURLOPT_HEADERDATA, (void *)e);
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_WRITEDATA, (void *)e);
    SET(CURLOPT_PRIVATE, (void *)e);
    if (options->ca[0]) SET(CURLOPT_CAINFO, options->ca);
    if (options->proxy[0]) SET(CURLOPT_PROXY, options->proxy);
    return good && method_set(e);
}
#undef SET

bool csti_s3_exchange_prepare(csti_s3_exchange *e, const csti_s3_http_options *options,
                              uint64_t left_ms) {
    return options_set(e, options, left_ms);
}

// A connection that never was, or that has other streams still, leaves its buffers with the handle,
// and libcurl refuses to be told of their size.
bool csti_s3_exchange_renew(CURL *easy) {
    curl_easy_reset(easy);
    return curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, (long)BUFFER_BYTES) == CURLE_OK;
}
