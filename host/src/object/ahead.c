#include "object/ahead.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

typedef struct ahead_object {
    csti_ahead_want want;
    cst_object_body body; // bytes NULL: not given yet
    bool whole;           // it was got at once
} ahead_object;

struct csti_ahead {
    cst_object_store *store;
    void *fetching; // the back end's; NULL: there is nothing to fetch
    pthread_mutex_t mutex;
    ahead_object *objects; // under the mutex
    size_t count;
};

cst_code csti_ahead_open(cst_object_store *store, const csti_ahead_want *wants, size_t count,
                         csti_ahead **out, cst_err *err) {
    csti_ahead *ahead = calloc(1, sizeof *ahead);
    bool fetches = store->ops->ahead_open && count > 0;
    cst_code code = CST_OK;

    if (ahead) ahead->objects = calloc(count + 1, sizeof *ahead->objects);
    if (!ahead || !ahead->objects) {
        free(ahead);
        return cst_fail(err, CST_NO_MEMORY, "%.150s: %zu objects to read", store->uri, count);
    }
    ahead->store = store;
    ahead->count = count;
    (void)pthread_mutex_init(&ahead->mutex, NULL);
    for (size_t i = 0; i < count; i++) {
        ahead->objects[i].want = wants[i];
        fetches = fetches && csti_object_name_is_good(wants[i].name); // else `get` says it
    }
    if (fetches) code = store->ops->ahead_open(store, wants, count, &ahead->fetching, err);
    if (code != CST_OK) {
        csti_ahead_close(ahead);
        return code;
    }
    *out = ahead;
    return CST_OK;
}

static cst_code body_take(csti_ahead *ahead, size_t number, cst_err *err) {
    ahead_object *object = &ahead->objects[number];
    cst_code code = CST_AGAIN;

    if (object->body.bytes) return CST_OK;
    if (ahead->fetching)
        code = ahead->store->ops->ahead_body(ahead->fetching, number, &object->body, err);
    if (code != CST_AGAIN) return code;
    code = cst_object_get(ahead->store, object->want.name, 0, UINT64_MAX, &object->body, err);
    object->whole = code == CST_OK;
    return code;
}

cst_code csti_ahead_body(csti_ahead *ahead, size_t number, cst_object_body *out, cst_err *err) {
    cst_code code;

    assert(number < ahead->count);
    (void)pthread_mutex_lock(&ahead->mutex);
    code = body_take(ahead, number, err);
    if (code == CST_OK) *out = ahead->objects[number].body;
    (void)pthread_mutex_unlock(&ahead->mutex);
    return code;
}

cst_code csti_ahead_wait(csti_ahead *ahead, size_t number, uint64_t bytes, cst_err *err) {
    assert(number < ahead->count);
    assert(ahead->objects[number].body.bytes);
    if (!ahead->fetching || ahead->objects[number].whole) return CST_OK;
    return ahead->store->ops->ahead_wait(ahead->fetching, number, bytes, err);
}

void csti_ahead_close(csti_ahead *ahead) {
    if (!ahead) return;
    for (size_t i = 0; i < ahead->count; i++)
        if (ahead->objects[i].whole) cst_object_body_release(ahead->store, &ahead->objects[i].body);
    if (ahead->fetching) ahead->store->ops->ahead_close(ahead->fetching);
    (void)pthread_mutex_destroy(&ahead->mutex);
    free(ahead->objects);
    free(ahead);
}
