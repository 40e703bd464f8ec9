// s3_probe.c: what a server has beyond conditional puts, seen on probes. Nothing of it is relied on
// for truth: it makes uploads cheaper, and is told.
//
//   a put with a wrong SHA-256, a wrong CRC32C   ─► refused: it looks
//   with the right CRC32C                        ─► taken: large bodies go so, where they may
//                                                   be unsigned
//   an upload in one part, over an object        ─► refused, if its CRC32C is wrong
//     completed, if absent                       ─► 412, or 200: the condition is passed over
//   the probes, in one request                   ─► gone: many are deleted at once
#include "object/s3_multipart.h"

#include <stdio.h>
#include <string.h>

enum { NAME_BYTES = 64 };

static const uint8_t probe_text[] = "probe";
static const cst_bytes probe_body = {probe_text, sizeof probe_text - 1};

// What a call that should fail says of the server.
static csti_s3_seen seen_of(const csti_s3_call *call) {
    switch (call->fault) {
    case CSTI_S3_GOOD:
        return CSTI_S3_PASSED_OVER;
    case CSTI_S3_CORRUPT:
    case CSTI_S3_CONDITION:
    case CSTI_S3_DENIED: // 400 or 403 with some code
        return CSTI_S3_HONOURED;
    default:
        return CSTI_S3_DECLINED;
    }
}

// What becomes of the body, by whatever vouches for it, well or badly.
static csti_s3_seen body_try(csti_s3_store *store, csti_s3_call *call, csti_s3_vouch vouch,
                             bool mistaken) {
    call->method = "PUT";
    call->ranges = &probe_body;
    call->ranges_count = 1;
    call->vouch = vouch;
    call->mistaken = mistaken;
    (void)csti_s3_ask(store, call);
    return seen_of(call);
}

static csti_s3_seen put_try(csti_s3_store *store, const char *name, csti_s3_vouch vouch,
                            bool mistaken) {
    csti_s3_call call = {.name = name};
    const csti_s3_seen seen = body_try(store, &call, vouch, mistaken);

    csti_s3_clear(&call);
    return seen;
}

// A wrong one refused, and the right one taken.
static csti_s3_seen check_try(csti_s3_store *store, const char *name, csti_s3_vouch vouch) {
    const csti_s3_seen wrong = put_try(store, name, vouch, true);

    if (wrong != CSTI_S3_HONOURED) return wrong;
    return put_try(store, name, vouch, false) == CSTI_S3_PASSED_OVER ? CSTI_S3_HONOURED
                                                                     : CSTI_S3_DECLINED;
}

// ---- An upload of one part ----------------------------------------------------------------------

typedef struct upload_try {
    csti_s3_store *store;
    const char *name; // of an object that is there
    char id[CSTI_S3_UPLOAD_ID_BYTES];
    csti_s3_part_mark mark;
    csti_s3_seen crc32c;
    csti_s3_seen condition;
} upload_try;

static csti_s3_seen part_try(upload_try *t, csti_s3_vouch vouch, bool mistaken) {
    csti_s3_call call = {.name = t->name};
    const char *etag = call.exchange.answer.etag;
    csti_s3_seen seen;

    call.query[call.query_count++] = (csti_s3_pair){"partNumber", "1"};
    call.query[call.query_count++] = (csti_s3_pair){"uploadId", t->id};
    seen = body_try(t->store, &call, vouch, mistaken);
    if (seen == CSTI_S3_PASSED_OVER) {
        (void)snprintf(t->mark.etag, sizeof t->mark.etag, "%.63s", etag);
        memcpy(t->mark.crc, call.crc, sizeof t->mark.crc);
    }
    csti_s3_clear(&call);
    return seen;
}

static cst_code complete_try(upload_try *t, bool *is_over_out, cst_err *err) {
    csti_s3_call call = {.name = t->name};
    const cst_code code = csti_s3_complete(t->store, &call, t->id, &t->mark, 1, true, err);

    if (code != CST_OK) return code;
    t->condition = seen_of(&call);
    *is_over_out = call.fault == CSTI_S3_GOOD;
    csti_s3_clear(&call);
    return CST_OK;
}

// By `vouch`; where that is not taken, nothing is said of the condition.
static cst_code upload_try_run(upload_try *t, csti_s3_vouch vouch, cst_err *err) {
    bool is_over = false;
    cst_code code = csti_s3_upload_begin(t->store, t->name, NULL, vouch, t->id, err);

    if (code != CST_OK) return code;
    if (vouch == CSTI_S3_CRC32C) t->crc32c = part_try(t, vouch, true);
    if (part_try(t, vouch, false) != CSTI_S3_PASSED_OVER)
        t->crc32c = CSTI_S3_DECLINED;
    else
        code = complete_try(t, &is_over, err);
    if (!is_over) { // a probe that stays is swept
        const cst_code dropped = csti_s3_upload_drop(t->store, t->name, t->id, err);

        if (code == CST_OK) code = dropped;
    }
    return code;
}

// ---- Whole --------------------------------------------------------------------------------------

static void keep(csti_s3_store *store, csti_s3_seen sha256, csti_s3_seen crc32c,
                 csti_s3_seen condition) {
    (void)pthread_mutex_lock(&store->mutex);
    store->sha256_checked = sha256;
    store->crc32c_checked = crc32c;
    store->complete_condition = condition;
    store->large = crc32c == CSTI_S3_HONOURED ? CSTI_S3_CRC32C : CSTI_S3_SIGNED;
    (void)pthread_mutex_unlock(&store->mutex);
}

cst_code csti_s3_probe(cst_object_store *base, const char *folder, cst_err *err) {
    csti_s3_store *store = csti_s3_self(base);
    csti_s3_seen crc32c = CSTI_S3_NOT_TRIED;
    char body[NAME_BYTES], upload[NAME_BYTES];
    const char *const names[] = {body, upload};
    upload_try t = {.store = store, .name = upload};
    csti_s3_seen sha256;
    cst_code code = CST_OK, deleted;

    (void)snprintf(body, sizeof body, "%.32s/body", folder);
    (void)snprintf(upload, sizeof upload, "%.32s/upload", folder);
    sha256 = check_try(store, body, CSTI_S3_SIGNED);
    if (store->may_be_unsigned) crc32c = check_try(store, body, CSTI_S3_CRC32C);
    (void)put_try(store, upload, CSTI_S3_SIGNED, false);
    if (crc32c == CSTI_S3_HONOURED) {
        code = upload_try_run(&t, CSTI_S3_CRC32C, err);
        crc32c = t.crc32c;
    }
    if (code == CST_OK && t.condition == CSTI_S3_NOT_TRIED)
        code = upload_try_run(&t, CSTI_S3_SIGNED, err);
    keep(store, sha256, crc32c, t.condition);
    deleted = csti_object_delete_many(base, names, sizeof names / sizeof names[0],
                                      code == CST_OK ? err : NULL);
    return code == CST_OK ? deleted : code;
}

// ---- For people ---------------------------------------------------------------------------------

void csti_s3_findings(cst_object_store *base, char *out, size_t capacity) {
    static const char *const matches[] = {
        [CSTI_S3_MATCH_QUOTED] = "If-None-Match and If-Match are honoured",
        [CSTI_S3_MATCH_PLAIN] = "If-None-Match is honoured, If-Match for etags without quotes",
        [CSTI_S3_MATCH_NONE] =
            "If-None-Match is honoured; there is no If-Match, and none is needed",
    };
    static const char *const completions[] = {
        [CSTI_S3_NOT_TRIED] = "",
        [CSTI_S3_HONOURED] = "; also when an upload is completed",
        [CSTI_S3_PASSED_OVER] = "; passed over when an upload is completed, and not relied on",
        [CSTI_S3_DECLINED] = "; declined when an upload is completed, and not relied on",
    };
    csti_s3_store *store = csti_s3_self(base);

    (void)pthread_mutex_lock(&store->mutex);
    (void)snprintf(out, capacity, "%s%s; large bodies %s%s", matches[store->match],
                   completions[store->complete_condition],
                   store->large == CSTI_S3_CRC32C ? "go with a CRC32C, which is checked"
                   : store->sha256_checked == CSTI_S3_HONOURED
                       ? "are signed, which is checked"
                       : "are signed, and nobody checks them",
                   store->no_batches ? "; objects are deleted one by one"
                                     : "; many are deleted at once");
    (void)pthread_mutex_unlock(&store->mutex);
}
