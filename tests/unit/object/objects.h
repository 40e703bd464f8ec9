// objects.h: small objects whose bytes are text, and names that were listed.
#ifndef CST_TEST_OBJECTS_H
#define CST_TEST_OBJECTS_H

#include "test.h"

#include <constellation/object.h>
#include <stdatomic.h>

static inline cst_code put_text(cst_object_store *store, const char *name, const char *text,
                                cst_put_condition condition, const char *etag,
                                cst_object_info *info_out) {
    const cst_bytes range = {(const uint8_t *)text, strlen(text)};
    // Each write has its own, as object.h wants it; small ones are for tests that name theirs.
    static _Atomic uint64_t nonces = UINT64_C(1) << 32;
    const cst_put_options options = {.condition = condition,
                                     .etag = etag,
                                     .nonce = atomic_fetch_add(&nonces, 1) + 1};

    return cst_object_put(store, name, &range, 1, &options, info_out, NULL);
}

// Whether the object is there with exactly that text.
static inline bool object_is(cst_object_store *store, const char *name, const char *text) {
    cst_object_body body;
    bool same;

    if (cst_object_get(store, name, 0, UINT64_MAX, &body, NULL) != CST_OK) return false;
    same = body.count == strlen(text) && body.info.bytes == body.count &&
           memcmp(body.bytes, text, body.count) == 0;
    cst_object_body_release(store, &body);
    return same;
}

#define CHECK_OBJECT(STORE, NAME, TEXT) CHECK(object_is(STORE, NAME, TEXT))

enum { NAME_LIST_MAX = 1000 };

typedef struct name_list {
    char names[NAME_LIST_MAX][CST_OBJECT_NAME_BYTES_MAX + 1];
    size_t count;
} name_list;

static inline bool name_list_add(void *context, const char *name, const cst_object_info *info) {
    name_list *to = context;

    (void)info;
    CHECK(to->count < NAME_LIST_MAX);
    memcpy(to->names[to->count++], name, strlen(name) + 1);
    return true;
}

static inline bool name_count(void *context, const char *name, const cst_object_info *info) {
    (void)name;
    (void)info;
    (*(size_t *)context)++;
    return true;
}

static inline size_t objects_count(cst_object_store *store) {
    size_t count = 0;

    CHECK_OK(cst_object_list(store, "", NULL, name_count, &count, NULL));
    return count;
}

#endif
