// s3_ahead.c: objects that a reader is going to need, in pieces, PIECES_MAX of them under way.
//
//   first   the head and the tail of each object, in order; a small one whole
//   then    [1 MiB][1 MiB] ... [8 MiB] ... [1 MiB]   of the rest, in order, from the object on that
//           was waited for last, AHEAD_BYTES before the reader at most
//
//   fetcher  starts, settles what was answered ──► `arrived` of the object ──► reader
//
// Pieces are small at both ends of what is read: the reader has soon something to do, and little
// left to do when the last one has come.
//
// Promises   an object's pieces are all of one version: of the etag that its first answer had.
//            `arrived` covers whole pieces only, so that a piece which is asked for a second time
//            is never written under a reader's eyes.
#include "object/s3_answer.h"
#include "object/s3_piece.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    WHOLE_BYTES = 1 << 20, // objects up to this are not worth three requests
    REST_BYTES_MIN = 1 << 20,
    SHARE = 8,              // a piece, of what was begun before it or is left
    AHEAD_BYTES = 64 << 20, // fetched for a reader who has not come for it
    BYTES_PER_US = 1,       // a deadline grows with what is on its way: as if it were 1 MB a second
};

typedef enum piece_kind { WHOLE, HEAD, TAIL, REST } piece_kind;

typedef struct fetch { // one piece under way
    csti_s3_piece piece;
    size_t number; // of its object
    piece_kind kind;
} fetch;

typedef struct object {
    csti_ahead_want want;
    bool is_other;  // than was wanted: longer, shorter, changed
    uint8_t *head;  // until the tail is there too
    uint8_t *tail;  // and the other way round
    uint8_t *bytes; // all of it; NULL: not yet
    cst_object_info info;
    uint64_t begun;    // bytes from the start that are there or asked for
    uint64_t rest_end; // where the tail begins
    uint64_t wanted;   // bytes that the reader has come for
    uint64_t arrived;  // bytes from the start that are there
    cst_code failed;
    cst_err why;
} object;

typedef struct s3_ahead {
    csti_s3_store *store;
    csti_parker parker; // the fetcher's
    pthread_t thread;
    pthread_mutex_t mutex; // of all that follows
    pthread_cond_t came;
    bool closing;
    object *objects;
    size_t count;
    size_t opening; // the first of which not all ends were asked for
    bool tail_next;
    size_t at; // the object that was waited for last
    size_t waiting_count;
    uint64_t rest_begun, rest_left;
    fetch fetches[CSTI_S3_PIECES_MAX]; // the fetcher's alone
} s3_ahead;

static bool is_small(const csti_ahead_want *want) {
    return want->bytes <= WHOLE_BYTES ||
           want->bytes <= (uint64_t)CSTI_AHEAD_HEAD_BYTES + want->tail_bytes;
}

// ---- Start --------------------------------------------------------------------------------------

static void fetch_start(s3_ahead *a, fetch *f, size_t number, piece_kind kind, uint64_t offset,
                        uint64_t bytes) {
    object *o = &a->objects[number];
    const uint64_t before = atomic_fetch_add_explicit(&a->store->ahead_bytes, bytes,
                                                      memory_order_relaxed); // a number

    f->number = number;
    f->kind = kind;
    f->piece.watcher = &a->parker;
    f->piece.wait_us = a->store->base.deadline_us + (before + bytes) / BYTES_PER_US;
    csti_s3_piece_start(a->store, &f->piece, o->want.name, offset, bytes,
                        kind == REST ? o->info.etag : NULL,
                        kind == REST ? o->bytes + offset : NULL);
}

static bool end_start(s3_ahead *a, fetch *f) {
    while (a->opening < a->count && a->objects[a->opening].is_other) a->opening++;
    if (a->opening == a->count) return false;
    const csti_ahead_want *want = &a->objects[a->opening].want;

    if (is_small(want)) {
        fetch_start(a, f, a->opening++, WHOLE, 0, want->bytes);
    } else if (!a->tail_next) {
        fetch_start(a, f, a->opening, HEAD, 0, CSTI_AHEAD_HEAD_BYTES);
        a->tail_next = true;
    } else {
        fetch_start(a, f, a->opening++, TAIL, want->bytes - want->tail_bytes, want->tail_bytes);
        a->tail_next = false;
    }
    return true;
}

static uint64_t rest_size(const s3_ahead *a, const object *o) {
    const uint64_t left = o->rest_end - o->begun;
    uint64_t bytes = (a->rest_begun < a->rest_left ? a->rest_begun : a->rest_left) / SHARE;

    if (bytes < REST_BYTES_MIN) bytes = REST_BYTES_MIN;
    if (bytes > CSTI_S3_PIECE_BYTES) bytes = CSTI_S3_PIECE_BYTES;
    return bytes < left ? bytes : left;
}

static void rest_begin(s3_ahead *a, fetch *f, size_t number) {
    object *o = &a->objects[number];
    const uint64_t bytes = rest_size(a, o);

    fetch_start(a, f, number, REST, o->begun, bytes);
    o->begun += bytes;
    a->rest_begun += bytes;
    a->rest_left -= bytes;
}

static bool rest_start(s3_ahead *a, fetch *f) {
    uint64_t ahead_bytes = 0;

    // Several may read, each somewhere else: what one of them stands and waits for goes first.
    for (size_t i = 0; i < a->count && a->waiting_count > 0; i++) {
        const object *o = &a->objects[i];

        if (!o->bytes || o->failed != CST_OK) continue;
        if (o->begun >= o->rest_end || o->begun >= o->wanted) continue;
        rest_begin(a, f, i);
        return true;
    }

    for (size_t i = a->at; i < a->count && ahead_bytes < AHEAD_BYTES; i++) {
        const object *o = &a->objects[i];

        if (!o->bytes || o->failed != CST_OK) continue;
        if (o->begun > o->wanted) ahead_bytes += o->begun - o->wanted;
        if (o->begun >= o->rest_end || ahead_bytes >= AHEAD_BYTES) continue;
        rest_begin(a, f, i);
        return true;
    }
    return false;
}

static void start(s3_ahead *a) {
    for (size_t i = 0; i < CSTI_S3_PIECES_MAX; i++) {
        fetch *f = &a->fetches[i];

        if (f->piece.under_way) continue;
        if (!end_start(a, f) && !rest_start(a, f)) return;
    }
}

// ---- What came ----------------------------------------------------------------------------------

static void arrived_raise(object *o, uint64_t bytes) {
    assert(bytes > o->arrived);
    o->arrived = bytes == o->rest_end ? o->want.bytes : bytes;
}

// Head and tail are there: room for what lies between them.
static cst_code object_open(const s3_ahead *a, object *o, cst_err *err) {
    o->bytes = csti_s3_block_take(&a->store->blocks, (size_t)o->want.bytes);
    if (!o->bytes)
        return cst_fail(err, CST_NO_MEMORY, "%.150s: %s: %" PRIu64 " bytes", a->store->base.uri,
                        o->want.name, o->want.bytes);
    memcpy(o->bytes, o->head, CSTI_AHEAD_HEAD_BYTES);
    if (o->want.tail_bytes > 0) memcpy(o->bytes + o->rest_end, o->tail, (size_t)o->want.tail_bytes);
    free(o->head);
    free(o->tail);
    o->head = o->tail = NULL;
    o->begun = CSTI_AHEAD_HEAD_BYTES;
    arrived_raise(o, CSTI_AHEAD_HEAD_BYTES);
    return CST_OK;
}

static cst_code end_take(const s3_ahead *a, fetch *f, object *o, uint64_t total, cst_err *err) {
    csti_s3_exchange *e = &f->piece.call.exchange;

    // Of another length, or of two versions: what it is now, a get will say.
    if (total != o->want.bytes || (o->info.etag[0] && strcmp(o->info.etag, e->answer.etag) != 0)) {
        o->is_other = true;
        return CST_OK;
    }
    o->info.bytes = total;
    o->info.nonce = csti_s3_nonce_of(e->answer.nonce);
    memcpy(o->info.etag, e->answer.etag, strlen(e->answer.etag) + 1);
    if (f->kind == WHOLE) {
        o->bytes = e->body;
        o->begun = o->arrived = total;
    } else if (f->kind == HEAD) {
        o->head = e->body;
    } else {
        o->tail = e->body;
    }
    e->body = NULL;
    return f->kind != WHOLE && o->head && o->tail ? object_open(a, o, err) : CST_OK;
}

static cst_code rest_take(const s3_ahead *a, const fetch *f, object *o, uint64_t total,
                          cst_err *err) {
    if (total != o->want.bytes)
        return cst_fail(err, CST_OBJECT_UNAVAILABLE, "%.150s: %s changed while it was read",
                        a->store->base.uri, o->want.name);
    arrived_raise(o, f->piece.offset + f->piece.bytes);
    return CST_OK;
}

// What it says is taken in the object's order: pieces that overtook others wait.
static bool is_next(const s3_ahead *a, fetch *f) {
    const object *o = &a->objects[f->number];

    if (!f->piece.under_way) return false;
    if (a->closing || o->failed != CST_OK || o->is_other) return true;
    if (f->kind == REST && f->piece.offset != o->arrived) return false;
    return csti_s3_is_done(&f->piece.call);
}

// Asking again takes its time, in which the reader may look at what there is.
static void settle(s3_ahead *a, fetch *f) {
    object *o = &a->objects[f->number];
    const bool unwanted = a->closing || o->failed != CST_OK || o->is_other;
    uint64_t total = 0;
    cst_err why = {.code = CST_OK};
    cst_code code;

    (void)pthread_mutex_unlock(&a->mutex);
    if (unwanted) csti_s3_cancel(&f->piece.call);
    code = csti_s3_piece_finish(a->store, &f->piece, &total, &why);
    (void)pthread_mutex_lock(&a->mutex);
    (void)atomic_fetch_sub_explicit(&a->store->ahead_bytes, f->piece.bytes, memory_order_relaxed);
    if (!unwanted) {
        if (code != CST_OK && f->kind != REST && f->piece.call.fault == CSTI_S3_RANGE) {
            o->is_other = true; // shorter than that
            code = CST_OK;
        } else if (code == CST_OK) {
            code =
                f->kind == REST ? rest_take(a, f, o, total, &why) : end_take(a, f, o, total, &why);
        }
        o->failed = code;
        o->why = why;
        (void)pthread_cond_broadcast(&a->came);
    }
    csti_s3_clear(&f->piece.call);
}

static bool settle_any(s3_ahead *a) {
    bool any = false;

    for (size_t i = 0; i < CSTI_S3_PIECES_MAX; i++) {
        if (!is_next(a, &a->fetches[i])) continue;
        settle(a, &a->fetches[i]);
        any = true;
    }
    return any;
}

static void *fetcher(void *context) {
    s3_ahead *a = context;

    (void)pthread_mutex_lock(&a->mutex);
    while (!a->closing) {
        start(a);
        if (settle_any(a)) continue;
        (void)pthread_mutex_unlock(&a->mutex);
        csti_park(&a->parker); // until something was answered, or somebody came
        (void)pthread_mutex_lock(&a->mutex);
    }
    // All at once are told to end, then each is waited for.
    for (size_t i = 0; i < CSTI_S3_PIECES_MAX; i++)
        if (a->fetches[i].piece.under_way) csti_s3_cancel(&a->fetches[i].piece.call);
    (void)settle_any(a);
    (void)pthread_mutex_unlock(&a->mutex);
    return NULL;
}

// ---- Calls --------------------------------------------------------------------------------------

static void release(s3_ahead *a) {
    for (size_t i = 0; a->objects && i < a->count; i++) {
        free(a->objects[i].head);
        free(a->objects[i].tail);
        csti_s3_block_give(&a->store->blocks, a->objects[i].bytes,
                           (size_t)a->objects[i].want.bytes);
    }
    (void)pthread_cond_destroy(&a->came);
    (void)pthread_mutex_destroy(&a->mutex);
    free(a->objects);
    free(a);
}

static void object_init(s3_ahead *a, object *o, const csti_ahead_want *want) {
    o->want = *want;
    o->is_other = want->bytes == 0 || want->bytes > INT64_MAX || want->tail_bytes == 0;
    if (o->is_other || is_small(want)) return;
    o->rest_end = want->bytes - want->tail_bytes;
    a->rest_left += o->rest_end - CSTI_AHEAD_HEAD_BYTES;
}

cst_code csti_s3_ahead_open(cst_object_store *base, const csti_ahead_want *wants, size_t count,
                            void **out, cst_err *err) {
    s3_ahead *a = calloc(1, sizeof *a);

    if (!a) return cst_fail(err, CST_NO_MEMORY, "%.150s: %zu objects to read", base->uri, count);
    a->store = csti_s3_self(base);
    a->count = count;
    (void)pthread_mutex_init(&a->mutex, NULL);
    (void)pthread_cond_init(&a->came, NULL);
    csti_parker_init(&a->parker);
    a->objects = calloc(count, sizeof *a->objects);
    for (size_t i = 0; a->objects && i < count; i++) object_init(a, &a->objects[i], &wants[i]);
    if (!a->objects || pthread_create(&a->thread, NULL, fetcher, a) != 0) {
        release(a);
        return cst_fail(err, CST_NO_MEMORY, "%.150s: %zu objects to read", base->uri, count);
    }
    *out = a;
    return CST_OK;
}

static cst_code failed(const object *o, cst_err *err) {
    if (err) *err = o->why;
    return o->failed;
}

cst_code csti_s3_ahead_body(void *context, size_t number, cst_object_body *out, cst_err *err) {
    s3_ahead *a = context;
    object *o = &a->objects[number];
    cst_code code = CST_OK;

    (void)pthread_mutex_lock(&a->mutex);
    while (!o->bytes && !o->is_other && o->failed == CST_OK)
        (void)pthread_cond_wait(&a->came, &a->mutex);
    if (o->failed != CST_OK)
        code = failed(o, err);
    else if (o->is_other)
        code = CST_AGAIN;
    else
        *out = (cst_object_body){o->bytes, (size_t)o->want.bytes, o->info, NULL};
    (void)pthread_mutex_unlock(&a->mutex);
    return code;
}

cst_code csti_s3_ahead_wait(void *context, size_t number, uint64_t bytes, cst_err *err) {
    s3_ahead *a = context;
    object *o = &a->objects[number];
    cst_code code = CST_OK;

    assert(bytes <= o->want.bytes);
    (void)pthread_mutex_lock(&a->mutex);
    a->at = number;
    if (o->wanted < bytes) {
        o->wanted = bytes;
        csti_unpark(&a->parker); // there is room behind it
    }
    a->waiting_count++;
    while (o->arrived < bytes && o->failed == CST_OK) (void)pthread_cond_wait(&a->came, &a->mutex);
    a->waiting_count--;
    if (o->arrived < bytes) code = failed(o, err);
    (void)pthread_mutex_unlock(&a->mutex);
    return code;
}

void csti_s3_ahead_close(void *context) {
    s3_ahead *a = context;

    (void)pthread_mutex_lock(&a->mutex);
    a->closing = true;
    (void)pthread_mutex_unlock(&a->mutex);
    csti_unpark(&a->parker);
    (void)pthread_join(a->thread, NULL);
    release(a);
}
