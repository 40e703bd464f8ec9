#include "object/s3_piece.h"

#include "object/s3_answer.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void csti_s3_piece_start(csti_s3_store *store, csti_s3_piece *p, const char *name, uint64_t offset,
                         uint64_t bytes, const char *etag, uint8_t *into) {
    memset(&p->call, 0, sizeof p->call);
    p->call.method = "GET";
    p->call.name = name;
    p->call.wait_us = p->wait_us;
    p->call.exchange.watcher = p->watcher;
    p->call.body_bytes_max = bytes > CSTI_S3_TEXT_BYTES_MAX ? bytes : CSTI_S3_TEXT_BYTES_MAX;
    if (into) p->call.body_bytes_max = bytes;
    p->call.into = into;
    p->offset = offset;
    p->bytes = bytes;
    p->under_way = true;
    (void)snprintf(p->range, sizeof p->range, "bytes=%" PRIu64 "-%" PRIu64, offset,
                   offset + bytes - 1);
    p->call.headers[p->call.headers_count++] = (csti_s3_pair){"range", p->range};
    if (etag) {
        (void)snprintf(p->match, sizeof p->match, "\"%s\"", etag);
        p->call.headers[p->call.headers_count++] = (csti_s3_pair){"if-match", p->match};
    }
    csti_s3_start(store, &p->call);
}

cst_code csti_s3_piece_finish(csti_s3_store *store, csti_s3_piece *p, uint64_t *total_out,
                              cst_err *err) {
    const csti_s3_exchange *e = &p->call.exchange;
    uint64_t first = 0;
    uint64_t last = 0;

    p->under_way = false;
    if (csti_s3_finish(store, &p->call) == CSTI_S3_CONDITION)
        return cst_fail(err, CST_OBJECT_UNAVAILABLE, "%.150s: %s changed while it was read",
                        store->base.uri, p->call.name);
    if (p->call.fault != CSTI_S3_GOOD) return csti_s3_fail(store, &p->call, err);
    if (e->status != 206 || !e->answer.etag[0] || strlen(e->answer.etag) >= CST_OBJECT_ETAG_BYTES ||
        !csti_s3_range_read(e->answer.range, &first, &last, total_out) || first != p->offset ||
        last - first + 1 != e->body_bytes || e->body_bytes > p->bytes ||
        (e->body_bytes < p->bytes && last + 1 != *total_out)) {
        p->call.fault = CSTI_S3_MALFORMED;
        return csti_s3_fail(store, &p->call, err);
    }
    return CST_OK;
}
