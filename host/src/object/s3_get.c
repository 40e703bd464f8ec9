// s3_get.c: a body, in ranges at once where it is large.
//
//   [ first MiB ] ─► says how long the object is, and its etag
//                    [ 8 MiB ][ 8 MiB ][ 8 MiB ] ...   of that etag, straight into their place
#include "object/s3_answer.h"
#include "object/s3_piece.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 64, FIRST_BYTES = 1 << 20 };

static const uint8_t nothing[ALIGNMENT] __attribute__((aligned(ALIGNMENT))) = {0};

// ---- The rest of a large one --------------------------------------------------------------------

typedef struct rest {
    csti_s3_store *store;
    const char *name;
    const cst_object_info *info;
    uint64_t offset; // of the object, of the first byte of `into`
    uint8_t *into;
    uint64_t begun; // bytes of `into` that are there or asked for
    uint64_t count;
} rest;

static void rest_start(rest *r, csti_s3_piece *p) {
    const uint64_t left = r->count - r->begun;
    const uint64_t bytes = left < CSTI_S3_PIECE_BYTES ? left : CSTI_S3_PIECE_BYTES;

    csti_s3_piece_start(r->store, p, r->name, r->offset + r->begun, bytes, r->info->etag,
                        r->into + r->begun);
    r->begun += bytes;
}

static cst_code rest_read(rest *r, csti_s3_piece *pieces, cst_err *err) {
    cst_code code = CST_OK;
    bool any = true;

    for (size_t i = 0; i < CSTI_S3_PIECES_MAX && r->begun < r->count; i++)
        rest_start(r, &pieces[i]);
    while (any) {
        any = false;
        for (size_t i = 0; i < CSTI_S3_PIECES_MAX; i++) {
            uint64_t total = 0;
            cst_err why = {.code = CST_OK};
            cst_code one;

            if (!pieces[i].under_way) continue;
            if (code != CST_OK) csti_s3_cancel(&pieces[i].call);
            one = csti_s3_piece_finish(r->store, &pieces[i], &total, &why);
            csti_s3_clear(&pieces[i].call);
            if (one == CST_OK && total != r->info->bytes)
                one = cst_fail(&why, CST_OBJECT_UNAVAILABLE, "%.150s: %s changed while it was read",
                               r->store->base.uri, r->name);
            if (one != CST_OK && code == CST_OK) {
                code = one;
                if (err) *err = why;
            }
            if (code == CST_OK && r->begun < r->count) rest_start(r, &pieces[i]);
            any = true;
        }
    }
    return code;
}

static cst_code large(csti_s3_store *store, const char *name, uint64_t offset, uint64_t count,
                      csti_s3_piece *first, cst_object_body *out, cst_err *err) {
    const uint64_t had = first->call.exchange.body_bytes;
    csti_s3_piece *pieces = calloc(CSTI_S3_PIECES_MAX, sizeof *pieces);
    rest r = {store, name, &out->info, offset, csti_s3_block_take(&store->blocks, (size_t)count),
              had,   count};
    cst_code code = CST_OK;

    if (!pieces || !r.into)
        code = cst_fail(err, CST_NO_MEMORY, "%.150s: %s: %" PRIu64 " bytes", store->base.uri, name,
                        count);
    if (code == CST_OK) {
        memcpy(r.into, first->call.exchange.body, (size_t)had);
        code = rest_read(&r, pieces, err);
    }
    free(pieces);
    if (code != CST_OK) {
        csti_s3_block_give(&store->blocks, r.into, (size_t)count);
        return code;
    }
    out->bytes = out->handle = r.into;
    out->count = (size_t)count;
    return CST_OK;
}

// ---- Whole --------------------------------------------------------------------------------------

// Nothing lies there to be read: behind the end, at it, or nothing was asked for.
static cst_code empty(cst_object_store *base, const char *name, uint64_t offset,
                      cst_object_body *out, cst_err *err) {
    cst_code code = csti_s3_head(base, name, &out->info, err);

    if (code == CST_OK && offset > out->info.bytes)
        code = cst_fail(err, CST_LIMIT, "%.150s: %s has %" PRIu64 " bytes, %" PRIu64 " is behind",
                        base->uri, name, out->info.bytes, offset);
    out->bytes = nothing;
    return code;
}

cst_code csti_s3_get(cst_object_store *base, const char *name, uint64_t offset, uint64_t count,
                     cst_object_body *out, cst_err *err) {
    csti_s3_store *store = csti_s3_self(base);
    csti_s3_piece *first;
    uint64_t left;
    cst_code code;

    if (count == 0 || offset > INT64_MAX) return empty(base, name, offset, out, err);
    first = calloc(1, sizeof *first);
    if (!first) return cst_fail(err, CST_NO_MEMORY, "%.150s: %s", base->uri, name);
    csti_s3_piece_start(store, first, name, offset, count < FIRST_BYTES ? count : FIRST_BYTES, NULL,
                        NULL);
    code = csti_s3_piece_finish(store, first, &out->info.bytes, err);
    if (first->call.fault == CSTI_S3_RANGE) {
        code = empty(base, name, offset, out, err);
    } else if (code == CST_OK) {
        const csti_s3_exchange *e = &first->call.exchange;

        out->info.nonce = csti_s3_nonce_of(e->answer.nonce);
        memcpy(out->info.etag, e->answer.etag, strlen(e->answer.etag) + 1);
        left = out->info.bytes - offset;
        if (count > left) count = left;
        if (count > e->body_bytes) {
            code = large(store, name, offset, count, first, out, err);
        } else {
            out->bytes = out->handle = first->call.exchange.body;
            out->count = (size_t)count;
            first->call.exchange.body = NULL;
        }
    }
    csti_s3_clear(&first->call);
    free(first);
    return code;
}

void csti_s3_body_release(cst_object_store *store, cst_object_body *body) {
    csti_s3_block_give(&csti_s3_self(store)->blocks, body->handle, body->count);
}
