// s3_multipart.c: many bytes as they come, in parts that travel at the same time.
//
//   write ─► part being filled ─► full ─► one of PARTS_MAX under way ─► its etag
//   finish ─► never full: a put, if absent
//          ─► else  HEAD: is the name taken? ─► complete, if absent ─► HEAD: is it ours?
//
// Many servers do not look at a condition on "complete" (Ceph 16 does not), so it is asked for and
// not relied on: what must be decided by the store is a plain put. Large objects have a nonce in
// their names, and nobody else writes there.
//
// Memory     what is referred to stays where its owner has it; the rest, being filled or under way,
//            is s3_buffers.h's: of all uploads of the store.
#include "object/s3_multipart.h"

#include "base/crc32c.h"
#include "base/pages.h"
#include "object/s3_answer.h"
#include "object/s3_part.h"
#include "object/s3_xml.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PART_BYTES = CSTI_S3_LARGE_BYTES,
    PARTS_MAX = 4,          // of one upload, under way
    PIECE_BYTES = 64 << 10, // at once, so that they are near when they are summed
    NUMBERS_MAX = 10000,    // S3's own
    NUMBER_BYTES = 12,
    MARK_LINE_BYTES = 224, // of the list of parts
};

typedef struct hold { // of the store's memory for uploads
    bool is_held;
    csti_s3_size size;
} hold;

typedef struct part {
    csti_s3_call call;
    csti_s3_part made;
    hold held;
    uint32_t number;
    char number_text[NUMBER_BYTES];
    bool under_way;
} part;

typedef struct s3_upload {
    cst_object_upload base;
    csti_s3_part filling;
    hold held; // for what is filled
    uint64_t sent_bytes;
    uint32_t numbers_count;
    part *parts; // PARTS_MAX; NULL: nothing was sent
    csti_s3_part_mark *marks;
    csti_s3_vouch vouch;
    uint32_t crc; // of what is filled, of CSTI_S3_CRC32C
    char nonce_text[17];
    char id[CSTI_S3_UPLOAD_ID_BYTES]; // "": none yet
    cst_code failed;
    cst_err why;
} s3_upload;

static s3_upload *self(cst_object_upload *upload) {
    return (s3_upload *)upload;
}

// What failed once fails for good: a part is missing.
static cst_code fails(s3_upload *u, cst_code code, const cst_err *why, cst_err *err) {
    if (u->failed == CST_OK) u->why = *why;
    if (u->failed == CST_OK) u->failed = code;
    if (err) *err = u->why;
    return u->failed;
}

// ---- Parts --------------------------------------------------------------------------------------

static void hold_end(csti_s3_store *store, hold *held) {
    if (held->is_held) csti_s3_buffers_give(&store->buffers, held->size);
    held->is_held = false;
}

static void mark_set(csti_s3_part_mark *mark, const csti_s3_call *call) {
    const char *etag = call->exchange.answer.etag;

    memcpy(mark->etag, etag, strlen(etag) + 1);
    mark->crc[0] = '\0';
    if (call->vouch == CSTI_S3_CRC32C) memcpy(mark->crc, call->crc, sizeof mark->crc);
}

static cst_code part_finish(csti_s3_store *store, s3_upload *u, part *p) {
    const char *etag = p->call.exchange.answer.etag;
    cst_err why = {.code = CST_OK};
    cst_code code = CST_OK;

    if (!p->under_way) return CST_OK;
    p->under_way = false;
    if (csti_s3_finish(store, &p->call) == CSTI_S3_GOOD &&
        (!etag[0] || strlen(etag) >= CST_OBJECT_ETAG_BYTES || strpbrk(etag, "<>&\"")))
        p->call.fault = CSTI_S3_MALFORMED;
    if (p->call.fault == CSTI_S3_GOOD)
        mark_set(&u->marks[p->number - 1], &p->call);
    else
        code = csti_s3_fail(store, &p->call, &why);
    csti_s3_clear(&p->call);
    csti_s3_part_release(&p->made);
    hold_end(store, &p->held);
    return code == CST_OK ? CST_OK : fails(u, code, &why, NULL);
}

// A place for one more part: one that is free, one that has ended, else the oldest is waited for.
static part *part_free(csti_s3_store *store, s3_upload *u) {
    part *oldest = NULL;

    for (size_t i = 0; i < PARTS_MAX; i++) {
        part *p = &u->parts[i];

        if (p->under_way && csti_s3_is_done(&p->call)) (void)part_finish(store, u, p);
        if (p->under_way && (!oldest || p->number < oldest->number)) oldest = p;
    }
    for (size_t i = 0; i < PARTS_MAX; i++)
        if (!u->parts[i].under_way) return &u->parts[i];
    (void)part_finish(store, u, oldest);
    return oldest;
}

// A large buffer for what is filled next. Its own parts are waited for before those of others:
// who waits for others holds nothing that they wait for.
static void large_take(csti_s3_store *store, s3_upload *u) {
    while (!csti_s3_buffers_try(&store->buffers, CSTI_S3_LARGE)) {
        part *oldest = NULL;

        for (size_t i = 0; i < PARTS_MAX && u->parts; i++)
            if (u->parts[i].under_way && (!oldest || u->parts[i].number < oldest->number))
                oldest = &u->parts[i];
        if (!oldest) {
            csti_s3_buffers_wait(&store->buffers, CSTI_S3_LARGE);
            break;
        }
        (void)part_finish(store, u, oldest);
    }
    hold_end(store, &u->held);
    u->held = (hold){true, CSTI_S3_LARGE};
}

static cst_code begin_visit(void *context, const char *path, const char *text, cst_err *err) {
    char *id = context;

    if (strcmp(path, "InitiateMultipartUploadResult/UploadId") != 0) return CST_OK;
    if (strlen(text) >= CSTI_S3_UPLOAD_ID_BYTES)
        return cst_fail(err, CST_LIMIT, "an upload id is too long");
    memcpy(id, text, strlen(text) + 1);
    return CST_OK;
}

cst_code csti_s3_upload_begin(csti_s3_store *store, const char *name, const char *nonce,
                              csti_s3_vouch vouch, char id[CSTI_S3_UPLOAD_ID_BYTES], cst_err *err) {
    csti_s3_call call = {.method = "POST", .name = name};
    cst_code code = CST_OK;

    id[0] = '\0';
    call.query[call.query_count++] = (csti_s3_pair){"uploads", ""};
    if (nonce) call.headers[call.headers_count++] = (csti_s3_pair){CSTI_S3_NONCE_HEADER, nonce};
    if (vouch == CSTI_S3_CRC32C)
        call.headers[call.headers_count++] = (csti_s3_pair){"x-amz-checksum-algorithm", "CRC32C"};
    if (csti_s3_ask(store, &call) == CSTI_S3_GOOD &&
        (csti_s3_xml_walk(call.exchange.body, call.exchange.body_bytes, begin_visit, id, NULL) !=
             CST_OK ||
         !id[0]))
        call.fault = CSTI_S3_MALFORMED;
    if (call.fault != CSTI_S3_GOOD) {
        id[0] = '\0';
        code = csti_s3_fail(store, &call, err);
    }
    csti_s3_clear(&call);
    return code;
}

static cst_code create(csti_s3_store *store, s3_upload *u, cst_err *err) {
    u->parts = calloc(PARTS_MAX, sizeof *u->parts);
    u->marks = calloc(NUMBERS_MAX, sizeof *u->marks); // pages come as they are touched
    if (!u->parts || !u->marks)
        return cst_fail(err, CST_NO_MEMORY, "%.150s: %s", store->base.uri, u->base.name);
    return csti_s3_upload_begin(store, u->base.name, u->nonce_text, u->vouch, u->id, err);
}

// What is filled goes off; the next bytes have a buffer of their own.
static cst_code part_send(csti_s3_store *store, s3_upload *u, cst_err *err) {
    cst_err why = {.code = CST_OK};
    cst_code code = u->parts ? CST_OK : create(store, u, &why);
    part *p;

    if (code == CST_OK && u->numbers_count == NUMBERS_MAX)
        code = cst_fail(&why, CST_LIMIT, "%.150s: %s has more than %d parts of %d bytes",
                        store->base.uri, u->base.name, NUMBERS_MAX, PART_BYTES);
    if (code != CST_OK) return fails(u, code, &why, err);
    p = part_free(store, u);
    p->held = u->held;
    u->held.is_held = false;
    memset(&p->call, 0, sizeof p->call);
    p->number = ++u->numbers_count;
    csti_s3_part_seal(&u->filling);
    p->made = u->filling;
    u->sent_bytes += u->filling.bytes;
    u->filling = (csti_s3_part){.ranges = NULL};
    (void)snprintf(p->number_text, sizeof p->number_text, "%" PRIu32, p->number);
    p->call.method = "PUT";
    p->call.name = u->base.name;
    p->call.ranges = p->made.ranges;
    p->call.ranges_count = p->made.ranges_count;
    p->call.vouch = u->vouch;
    p->call.has_crc = u->vouch == CSTI_S3_CRC32C;
    csti_s3_crc_text(u->crc, p->call.crc);
    u->crc = 0;
    p->call.query[p->call.query_count++] = (csti_s3_pair){"partNumber", p->number_text};
    p->call.query[p->call.query_count++] = (csti_s3_pair){"uploadId", u->id};
    p->under_way = true;
    csti_s3_start(store, &p->call);
    return u->failed == CST_OK ? CST_OK : fails(u, u->failed, &u->why, err);
}

// ---- Open, write --------------------------------------------------------------------------------

cst_code csti_s3_upload_open(cst_object_store *base, const char *name, uint64_t nonce,
                             cst_object_upload **out, cst_err *err) {
    s3_upload *u = calloc(1, sizeof *u);
    cst_code code;

    if (!u) return cst_fail(err, CST_NO_MEMORY, "%.150s: upload of %s", base->uri, name);
    u->vouch = csti_s3_vouch_for(csti_s3_self(base), PART_BYTES);
    code = csti_s3_nonce_draw(nonce, &u->base.nonce, u->nonce_text, err);
    if (code != CST_OK) {
        free(u);
        return code;
    }
    *out = &u->base;
    return CST_OK;
}

// Each part takes what it has room for.
static cst_code fill(s3_upload *u, const uint8_t *from, size_t count,
                     bool (*add)(s3_upload *, const void *, size_t), cst_err *err) {
    csti_s3_store *store = csti_s3_self(u->base.store);

    if (u->failed != CST_OK) return fails(u, u->failed, &u->why, err);
    while (count > 0) {
        const size_t room = PART_BYTES - u->filling.bytes;
        size_t now = room < count ? room : count;
        cst_code code = CST_OK;

        if (room == 0) {
            code = part_send(store, u, err);
            if (code != CST_OK) return code;
            continue;
        }
        if (now > PIECE_BYTES) now = PIECE_BYTES;
        if (!add(u, from, now)) {
            cst_err why;

            code = cst_fail(&why, CST_NO_MEMORY, "%.150s: upload of %s", store->base.uri,
                            u->base.name);
            return fails(u, code, &why, err);
        }
        if (u->vouch == CSTI_S3_CRC32C) u->crc = csti_crc32c(u->crc, from, now);
        from += now;
        count -= now;
    }
    return CST_OK;
}

// Memory for so many bytes of its own in what is filled.
static void own_hold(csti_s3_store *store, s3_upload *u, size_t bytes) {
    const bool large = u->parts || bytes > CSTI_S3_SMALL_BYTES;
    csti_s3_part *filling = &u->filling;

    if (u->held.is_held && (!large || u->held.size == CSTI_S3_LARGE)) return;
    if (large) {
        large_take(store, u);
    } else {
        csti_s3_buffers_wait(&store->buffers, CSTI_S3_SMALL);
        u->held = (hold){true, CSTI_S3_SMALL};
    }
    if (!large || filling->own) return; // it grows by itself
    filling->own = csti_pages_block(PART_BYTES);
    if (filling->own) filling->own_capacity = PART_BYTES;
}

static bool copy_some(s3_upload *u, const void *bytes, size_t count) {
    own_hold(csti_s3_self(u->base.store), u, u->filling.own_bytes + count);
    return csti_s3_part_copy(&u->filling, bytes, count);
}

static bool refer_some(s3_upload *u, const void *bytes, size_t count) {
    return csti_s3_part_refer(&u->filling, bytes, count);
}

cst_code csti_s3_upload_write(cst_object_upload *base, const void *bytes, size_t count,
                              cst_err *err) {
    return fill(self(base), bytes, count, copy_some, err);
}

cst_code csti_s3_upload_refer(cst_object_upload *base, const void *bytes, size_t count,
                              cst_err *err) {
    return fill(self(base), bytes, count, refer_some, err);
}

// ---- End ----------------------------------------------------------------------------------------

static void release(csti_s3_store *store, s3_upload *u) {
    csti_s3_part_release(&u->filling);
    hold_end(store, &u->held);
    free(u->parts);
    free(u->marks);
    free(u);
}

static void parts_finish(csti_s3_store *store, s3_upload *u, bool cancel) {
    for (size_t i = 0; i < PARTS_MAX && u->parts && cancel; i++)
        if (u->parts[i].under_way) csti_s3_cancel(&u->parts[i].call);
    for (size_t i = 0; i < PARTS_MAX && u->parts; i++) (void)part_finish(store, u, &u->parts[i]);
}

void csti_s3_upload_abort(cst_object_upload *base) {
    csti_s3_store *store = csti_s3_self(base->store);
    s3_upload *u = self(base);

    parts_finish(store, u, true);
    // What stays is swept.
    if (u->id[0]) (void)csti_s3_upload_drop(store, u->base.name, u->id, NULL);
    release(store, u);
}

// The list of parts, as the server wants it.
static cst_code complete_body(const csti_s3_part_mark *marks, uint32_t marks_count, char **out,
                              size_t *bytes_out, cst_err *err) {
    static const char head[] = "<CompleteMultipartUpload>";
    static const char tail[] = "</CompleteMultipartUpload>";
    const size_t room = sizeof head + sizeof tail + (size_t)marks_count * MARK_LINE_BYTES;
    char *text = malloc(room);
    size_t at = sizeof head - 1;

    if (!text) return cst_fail(err, CST_NO_MEMORY, "a list of parts");
    memcpy(text, head, sizeof head);
    for (uint32_t i = 0; i < marks_count; i++) {
        at += (size_t)snprintf(text + at, room - at,
                               "<Part><PartNumber>%" PRIu32 "</PartNumber><ETag>&quot;%s&quot;"
                               "</ETag>",
                               i + 1, marks[i].etag);
        if (marks[i].crc[0])
            at += (size_t)snprintf(text + at, room - at, "<ChecksumCRC32C>%s</ChecksumCRC32C>",
                                   marks[i].crc);
        at += (size_t)snprintf(text + at, room - at, "</Part>");
    }
    at += (size_t)snprintf(text + at, room - at, "%s", tail);
    assert(at < room);
    *out = text;
    *bytes_out = at;
    return CST_OK;
}

// Whether the answer says for sure that nothing was completed. "No such upload" may be the answer
// to our own repetition, and a good one is looked at again: the server need not have asked for
// absence.
static bool is_final(const csti_s3_call *call) {
    return call->fault != CSTI_S3_GOOD && call->fault != CSTI_S3_CONDITION &&
           call->fault != CSTI_S3_NO_UPLOAD && !call->unsure && !csti_s3_fault_passes(call->fault);
}

// It may answer 200 and bring an error in its body: the head was sent while it still worked.
cst_code csti_s3_complete(csti_s3_store *store, csti_s3_call *call, const char *id,
                          const csti_s3_part_mark *marks, uint32_t marks_count, bool conditional,
                          cst_err *err) {
    cst_bytes range = {NULL, 0};
    char *text = NULL;
    const cst_code code = complete_body(marks, marks_count, &text, &range.count, err);

    if (code != CST_OK) return code;
    range.data = (const uint8_t *)text;
    call->method = "POST";
    call->ranges = &range;
    call->ranges_count = 1;
    call->query[call->query_count++] = (csti_s3_pair){"uploadId", id};
    if (conditional) call->headers[call->headers_count++] = (csti_s3_pair){"if-none-match", "*"};
    if (csti_s3_ask(store, call) == CSTI_S3_GOOD) {
        csti_s3_error_read(call->exchange.body, call->exchange.body_bytes, &call->error);
        if (call->error.code[0]) call->fault = csti_s3_fault_of(500, call->error.code, true);
    }
    call->ranges = NULL;
    call->ranges_count = 0;
    free(text);
    return CST_OK;
}

static bool takes_condition(csti_s3_store *store) {
    bool takes;

    (void)pthread_mutex_lock(&store->mutex);
    takes = store->complete_condition != CSTI_S3_DECLINED;
    (void)pthread_mutex_unlock(&store->mutex);
    return takes;
}

static cst_code complete(csti_s3_store *store, s3_upload *u, cst_object_info *info_out,
                         cst_err *err) {
    csti_s3_call call = {.name = u->base.name};
    cst_code code = csti_s3_complete(store, &call, u->id, u->marks, u->numbers_count,
                                     takes_condition(store), err);

    if (code == CST_OK && call.fault == CSTI_S3_REFUSED && call.headers_count > 0) {
        csti_s3_clear(&call); // a server that has no condition here says so
        call = (csti_s3_call){.name = u->base.name};
        code = csti_s3_complete(store, &call, u->id, u->marks, u->numbers_count, false, err);
    }
    if (code != CST_OK) return code;
    if (is_final(&call)) {
        code = csti_s3_fail(store, &call, err);
    } else {
        if (call.fault != CSTI_S3_CONDITION) call.unsure = true;
        code = csti_s3_settle(store, &call, u->base.nonce, CST_PUT_IF_ABSENT, info_out, err);
    }
    if (code == CST_OK && info_out->bytes != u->sent_bytes)
        code = cst_fail(err, CST_OBJECT_UNAVAILABLE,
                        "%.150s: %s has %" PRIu64 " bytes, and %" PRIu64 " were sent",
                        store->base.uri, u->base.name, info_out->bytes, u->sent_bytes);
    csti_s3_clear(&call);
    return code;
}

static cst_code finish_parts(csti_s3_store *store, s3_upload *u, cst_object_info *info_out,
                             cst_err *err) {
    cst_object_info there;
    cst_code code;

    if (u->filling.bytes > 0) (void)part_send(store, u, NULL);
    parts_finish(store, u, false);
    if (u->failed != CST_OK) return fails(u, u->failed, &u->why, err);
    code = csti_s3_head(&store->base, u->base.name, &there, err);
    if (code == CST_OK)
        return cst_fail(err, CST_EXISTS, "%.150s: %s is there already", store->base.uri,
                        u->base.name);
    return code == CST_NOT_FOUND ? complete(store, u, info_out, err) : code;
}

// Nothing was sent so far.
static cst_code finish_whole(s3_upload *u, cst_object_info *info_out, cst_err *err) {
    const cst_put_options options = {.condition = CST_PUT_IF_ABSENT, .nonce = u->base.nonce};
    csti_s3_part *all = &u->filling;

    csti_s3_part_seal(all);
    return csti_s3_put(u->base.store, u->base.name, all->ranges, all->ranges_count, &options,
                       info_out, err);
}

cst_code csti_s3_upload_finish(cst_object_upload *base, cst_object_info *info_out, cst_err *err) {
    csti_s3_store *store = csti_s3_self(base->store);
    s3_upload *u = self(base);
    cst_code code;

    if (u->failed != CST_OK)
        code = fails(u, u->failed, &u->why, err);
    else if (!u->parts)
        code = finish_whole(u, info_out, err);
    else
        code = finish_parts(store, u, info_out, err);
    // Where it is not known whether it was completed it is not dropped: a sweep will find it.
    if (code == CST_OK || code == CST_OBJECT_AMBIGUOUS || code == CST_DEADLINE) u->id[0] = '\0';
    csti_s3_upload_abort(base);
    return code;
}
