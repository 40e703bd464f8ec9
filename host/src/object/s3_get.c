// s3_get.c: a body, in ranges at once where it is large.
//
//   [ first MiB ] ─► says how long the object is, and its etag
//                    [ 8 MiB ][ 8 MiB ][ 8 MiB ] ...   of that etag, straight into their place
//
// What is wanted whole is asked for without a range, and left behind its first MiB: Ceph's gateway
// reads an object twice where a range is asked for. That costs a connection where there is more, so
// an object behind a large one is taken for another, and two requests where the answer is not sure,
// so that it is not done again.
#include "object/s3_answer.h"
#include "object/s3_piece.h"

#include <assert.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 64, FIRST_BYTES = 1 << 20, MD5_TEXT_BYTES = 32 };

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

static bool is_md5_of_body(const csti_s3_exchange *e) {
    static const char digits[] = "0123456789abcdef";
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned bytes = 0;
    bool same = strlen(e->answer.etag) == MD5_TEXT_BYTES &&
                EVP_Digest(e->body_bytes > 0 ? e->body : nothing, e->body_bytes, digest, &bytes,
                           EVP_md5(), NULL) == 1;

    for (unsigned i = 0; i < bytes && same; i++)
        same = e->answer.etag[2 * i] == digits[digest[i] >> 4] &&
               e->answer.etag[2 * i + 1] == digits[digest[i] & 15];
    return same;
}

// An answer without a range can be anybody's page, and of any length that it says. Our puts' nonce
// says that it is not, the etag of most servers that it is all of the object; of more than the
// first MiB the ranges behind it say so.
static bool is_surely_whole(const csti_s3_exchange *e) {
    if (e->status != 200 || !csti_s3_nonce_of(e->answer.nonce)) return false;
    if (!e->was_cut) return is_md5_of_body(e);
    return e->answer.etag[0] && strlen(e->answer.etag) < CST_OBJECT_ETAG_BYTES &&
           e->answer.length <= INT64_MAX && e->answer.length > e->body_bytes;
}

// The first MiB, if there is as much.
static cst_code first_read(csti_s3_store *store, csti_s3_piece *first, const char *name,
                           uint64_t offset, uint64_t count, uint64_t *total_out, cst_err *err) {
    const csti_s3_exchange *e = &first->call.exchange;

    if (offset == 0 && count > FIRST_BYTES &&
        !atomic_load_explicit(&store->last_was_large, memory_order_relaxed) &&
        !atomic_load_explicit(&store->whole_was_unsure, memory_order_relaxed)) {
        first->call = (csti_s3_call){.method = "GET",
                                     .name = name,
                                     .body_bytes_max = FIRST_BYTES,
                                     .cuts = true};
        if (csti_s3_ask(store, &first->call) != CSTI_S3_GOOD)
            return csti_s3_fail(store, &first->call, err);
        if (is_surely_whole(e)) {
            *total_out = e->was_cut ? e->answer.length : e->body_bytes;
            return CST_OK;
        }
        atomic_store_explicit(&store->whole_was_unsure, true, memory_order_relaxed);
        csti_s3_clear(&first->call);
    }
    csti_s3_piece_start(store, first, name, offset, count < FIRST_BYTES ? count : FIRST_BYTES, NULL,
                        NULL);
    return csti_s3_piece_finish(store, first, total_out, err);
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
    code = first_read(store, first, name, offset, count, &out->info.bytes, err);
    if (first->call.fault == CSTI_S3_RANGE) {
        code = empty(base, name, offset, out, err);
    } else if (code == CST_OK) {
        const csti_s3_exchange *e = &first->call.exchange;

        out->info.nonce = csti_s3_nonce_of(e->answer.nonce);
        memcpy(out->info.etag, e->answer.etag, strlen(e->answer.etag) + 1);
        if (count > FIRST_BYTES)
            atomic_store_explicit(&store->last_was_large, out->info.bytes > FIRST_BYTES,
                                  memory_order_relaxed);
        left = out->info.bytes - offset;
        if (count > left) count = left;
        if (count > e->body_bytes) {
            code = large(store, name, offset, count, first, out, err);
        } else {
            out->handle = first->call.exchange.body;
            out->bytes = out->handle ? out->handle : nothing;
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
