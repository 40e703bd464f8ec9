// s3_sweep.c: uploads that nobody will complete.
//
// A server says when an upload began, and not whether its writer lives. One that began a day ago,
// by the server's own clock, is nobody's: no upload of a job lasts so long, and one that does fails
// with "no such upload" and is made again.
#define _GNU_SOURCE 1 // strptime, timegm
#include "base/clock.h"
#include "object/s3_multipart.h"
#include "object/s3_xml.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { AGE_SECONDS_MIN = 24 * 60 * 60, ORPHANS_MAX = 1000, KEY_BYTES = 1025, TIME_BYTES = 40 };

typedef struct orphan {
    char key[KEY_BYTES];
    char id[CSTI_S3_UPLOAD_ID_BYTES];
} orphan;

typedef struct page {
    orphan *orphans; // ORPHANS_MAX, as many as a page has
    size_t count;
    time_t now;
    bool more;
    orphan next; // where the next page begins: behind this one
    orphan reading;
    char begun[TIME_BYTES];
} page;

// 2026-11-23T04:05:06.000Z
static bool time_read(const char *text, time_t *out) {
    struct tm parts = {.tm_sec = 0};
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%S", &parts);

    if (!end || (*end != '.' && *end != 'Z')) return false;
    *out = timegm(&parts);
    return true;
}

static bool keep(char *to, size_t capacity, const char *text) {
    const size_t bytes = strlen(text);

    if (bytes >= capacity) return false;
    memcpy(to, text, bytes + 1);
    return true;
}

static cst_code page_visit(void *context, const char *path, const char *text, cst_err *err) {
    static const char root[] = "ListMultipartUploadsResult/";
    page *p = context;
    const struct {
        const char *path;
        char *to;
        size_t capacity;
    } texts[] = {
        {"Upload/Key", p->reading.key, sizeof p->reading.key},
        {"Upload/UploadId", p->reading.id, sizeof p->reading.id},
        {"Upload/Initiated", p->begun, sizeof p->begun},
        {"NextKeyMarker", p->next.key, sizeof p->next.key},
        {"NextUploadIdMarker", p->next.id, sizeof p->next.id},
    };
    time_t begun;

    if (strncmp(path, root, sizeof root - 1) != 0) return CST_OK;
    path += sizeof root - 1;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (strcmp(path, texts[i].path) == 0 && !keep(texts[i].to, texts[i].capacity, text))
            return cst_fail(err, CST_LIMIT, "<%s> is too long", path);
    if (strcmp(path, "IsTruncated") == 0) p->more = strcmp(text, "true") == 0;
    if (strcmp(path, "Upload") != 0) return CST_OK;
    if (p->count < ORPHANS_MAX && time_read(p->begun, &begun) && p->now - begun >= AGE_SECONDS_MIN)
        p->orphans[p->count++] = p->reading;
    p->reading.key[0] = p->reading.id[0] = p->begun[0] = '\0';
    return CST_OK;
}

cst_code csti_s3_upload_drop(csti_s3_store *store, const char *name, const char *id, cst_err *err) {
    csti_s3_call call = {.method = "DELETE", .name = name};
    cst_code code = CST_OK;

    call.query[call.query_count++] = (csti_s3_pair){"uploadId", id};
    if (csti_s3_ask(store, &call) != CSTI_S3_GOOD && call.fault != CSTI_S3_ABSENT &&
        call.fault != CSTI_S3_NO_UPLOAD)
        code = csti_s3_fail(store, &call, err);
    csti_s3_clear(&call);
    return code;
}

// The server's own clock, from its answer; without one, ours.
static time_t now_of(const csti_s3_call *call) {
    const time_t server =
        call->exchange.answer.date[0] ? curl_getdate(call->exchange.answer.date, NULL) : (time_t)-1;

    return server != (time_t)-1 ? server
                                : (time_t)(csti_clock_wall_us(csti_clock_real()) / 1000000);
}

// The page behind p->next, which it moves on.
static cst_code page_ask(csti_s3_store *store, page *p, const char *prefix, cst_err *err) {
    csti_s3_call call = {.method = "GET"};
    const orphan from = p->next;
    cst_code code;

    p->count = 0;
    p->more = false;
    p->next = (orphan){.key = ""};
    call.query[call.query_count++] = (csti_s3_pair){"uploads", ""};
    call.query[call.query_count++] = (csti_s3_pair){"prefix", prefix};
    if (from.key[0]) call.query[call.query_count++] = (csti_s3_pair){"key-marker", from.key};
    if (from.id[0]) call.query[call.query_count++] = (csti_s3_pair){"upload-id-marker", from.id};
    if (csti_s3_ask(store, &call) != CSTI_S3_GOOD) {
        code = csti_s3_fail(store, &call, err);
    } else {
        p->now = now_of(&call);
        code = csti_s3_xml_walk(call.exchange.body, call.exchange.body_bytes, page_visit, p, err);
        // Each page begins behind the last, so that a list has an end.
        if (code == CST_OK && p->more && strcmp(p->next.key, from.key) <= 0 &&
            (strcmp(p->next.key, from.key) < 0 || strcmp(p->next.id, from.id) == 0))
            code = cst_fail(err, CST_PARSE, "a list that goes on says nothing of where");
        if (code == CST_PARSE || code == CST_LIMIT)
            code = cst_fail_at(err, CST_OBJECT_UNAVAILABLE, "%.150s: listing uploads",
                               store->base.uri);
    }
    csti_s3_clear(&call);
    return code;
}

static cst_code page_drop(csti_s3_store *store, const page *p, const char *prefix,
                          uint64_t *swept_out, cst_err *err) {
    const size_t prefix_bytes = strlen(prefix);
    cst_code code = CST_OK;

    for (size_t i = 0; i < p->count && code == CST_OK; i++) {
        const char *name = p->orphans[i].key + prefix_bytes;

        if (strncmp(p->orphans[i].key, prefix, prefix_bytes) != 0 ||
            !csti_object_name_is_good(name))
            continue; // other people's
        code = csti_s3_upload_drop(store, name, p->orphans[i].id, err);
        if (code == CST_OK) (*swept_out)++;
    }
    return code;
}

cst_code csti_s3_sweep(cst_object_store *base, uint64_t *swept_out, cst_err *err) {
    csti_s3_store *store = csti_s3_self(base);
    char prefix[CSTI_S3_PREFIX_BYTES + 1];
    page p = {.orphans = calloc(ORPHANS_MAX, sizeof(orphan)), .more = true};
    cst_code code = CST_OK;

    if (!p.orphans) return cst_fail(err, CST_NO_MEMORY, "%.150s: a list", base->uri);
    (void)snprintf(prefix, sizeof prefix, "%s%s", store->uri.prefix,
                   store->uri.prefix[0] ? "/" : "");
    while (p.more && code == CST_OK) {
        code = page_ask(store, &p, prefix, err);
        if (code == CST_OK) code = page_drop(store, &p, prefix, swept_out, err);
    }
    free(p.orphans);
    return code;
}
