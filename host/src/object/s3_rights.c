// s3_rights.c: which rights the keys have, asked one by one on a probe.
#include "object/s3_multipart.h"

#include "base/random.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { NAME_BYTES = 64 };

static cst_code try_put(cst_object_store *store, const char *name, cst_err *err) {
    const cst_put_options options = {.condition = CST_PUT_IF_ABSENT};
    const cst_bytes range = {(const uint8_t *)"probe", 5};

    return cst_object_put(store, name, &range, 1, &options, NULL, err);
}

static cst_code try_get(cst_object_store *store, const char *name, cst_err *err) {
    cst_object_body body;
    const cst_code code = cst_object_get(store, name, 0, UINT64_MAX, &body, err);

    if (code == CST_OK) cst_object_body_release(store, &body);
    return code;
}

static bool see(void *context, const char *name, const cst_object_info *info) {
    (void)context;
    (void)name;
    (void)info;
    return false;
}

static cst_code try_list(cst_object_store *store, const char *name, cst_err *err) {
    return cst_object_list(store, name, NULL, see, NULL, err);
}

// Begun and given up: what the listing of uploads shows is what an abort takes away.
static cst_code try_parts(cst_object_store *store, const char *name, cst_err *err) {
    char id[CSTI_S3_UPLOAD_ID_BYTES];
    const cst_code code =
        csti_s3_upload_begin(csti_s3_self(store), name, NULL, CSTI_S3_SIGNED, id, err);

    return code == CST_OK ? csti_s3_upload_drop(csti_s3_self(store), name, id, err) : code;
}

static cst_code try_uploads(cst_object_store *store, const char *name, cst_err *err) {
    (void)name;
    return cst_object_sweep_uploads(store, NULL, err);
}

static cst_code try_delete(cst_object_store *store, const char *name, cst_err *err) {
    return cst_object_delete(store, name, err);
}

static const struct {
    const char *right;
    cst_code (*run)(cst_object_store *store, const char *name, cst_err *err);
} tries[] = {
    {"s3:PutObject", try_put},
    {"s3:GetObject", try_get},
    {"s3:ListBucket", try_list},
    {"s3:AbortMultipartUpload", try_parts},
    {"s3:ListBucketMultipartUploads", try_uploads},
    {"s3:DeleteObject", try_delete},
};

cst_code csti_s3_rights(cst_object_store *store, cst_err *err) {
    char name[NAME_BYTES];
    uint64_t nonce;
    cst_code code = csti_random_fill(csti_random_real(), &nonce, sizeof nonce, err);

    if (code != CST_OK) return code;
    (void)snprintf(name, sizeof name, "probe/%016" PRIx64 "/rights", nonce);
    for (size_t i = 0; i < sizeof tries / sizeof tries[0] && code == CST_OK; i++) {
        code = tries[i].run(store, name, err);
        if (code == CST_OBJECT_DENIED)
            code = cst_fail_at(err, code, "the right %s misses", tries[i].right);
    }
    return code;
}
