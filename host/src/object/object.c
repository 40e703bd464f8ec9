// object.c: from the public calls to a back end: schemes, names, and what all back ends check
// alike.
#include "object/backend.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { DEADLINE_US_DEFAULT = 30 * 1000 * 1000 };

static const csti_object_ops *const backends[] = {&csti_object_file, &csti_object_s3,
                                                  &csti_object_sim};
enum { BACKENDS_COUNT = sizeof backends / sizeof backends[0] };

// ---- Open ---------------------------------------------------------------------------------------

static const csti_object_ops *backend_of(const char *uri, const char **place_out) {
    for (size_t i = 0; i < BACKENDS_COUNT; i++) {
        const size_t bytes = strlen(backends[i]->scheme);

        if (strncmp(uri, backends[i]->scheme, bytes) != 0 || uri[bytes] != ':') continue;
        *place_out = uri + bytes + 1;
        return backends[i];
    }
    return NULL;
}

cst_code cst_object_store_open(const char *uri, const cst_object_store_options *options,
                               cst_object_store **out, cst_err *err) {
    const cst_object_store_options none = {0};
    const cst_object_store_options *chosen = options ? options : &none;
    const char *place = NULL;
    const csti_object_ops *ops = backend_of(uri, &place);
    cst_object_store *store = NULL;
    char *copy = NULL;
    cst_code code;

    if (!ops)
        return cst_fail(err, CST_OBJECT_NAME,
                        "object store '%s': no such scheme. Use file:DIR or s3://BUCKET", uri);
    copy = strdup(uri);
    if (!copy) return cst_fail(err, CST_NO_MEMORY, "object store '%s'", uri);
    code = ops->open(place, chosen, &store, err);
    if (code != CST_OK) {
        free(copy);
        return code;
    }
    store->ops = ops;
    store->uri = copy;
    store->deadline_us = chosen->deadline_us ? chosen->deadline_us : DEADLINE_US_DEFAULT;
    *out = store;
    return CST_OK;
}

void cst_object_store_close(cst_object_store *store) {
    char *uri;

    if (!store) return;
    uri = store->uri;
    store->ops->close(store);
    free(uri);
}

cst_code cst_object_store_rights(cst_object_store *store, cst_err *err) {
    return store->ops->rights ? store->ops->rights(store, err) : CST_OK;
}

void cst_object_store_findings(cst_object_store *store, char *out, size_t capacity) {
    assert(capacity > 0);
    out[0] = '\0';
    if (store->ops->findings) store->ops->findings(store, out, capacity);
}

const char *cst_object_store_uri(const cst_object_store *store) {
    return store->uri;
}

// ---- Names --------------------------------------------------------------------------------------

static bool is_name_byte(char byte) {
    return (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') ||
           (byte >= '0' && byte <= '9') || byte == '.' || byte == '_' || byte == '-';
}

bool csti_object_name_is_good(const char *name) {
    size_t part_bytes = 0;
    size_t at = 0;

    for (; name[at] != '\0'; at++) {
        if (at == CST_OBJECT_NAME_BYTES_MAX) return false;
        if (name[at] == '/') {
            if (part_bytes == 0) return false;
            part_bytes = 0;
            continue;
        }
        if (!is_name_byte(name[at]) || (name[at] == '.' && part_bytes == 0)) return false;
        if (++part_bytes > CSTI_OBJECT_PART_BYTES_MAX) return false;
    }
    return part_bytes > 0;
}

static cst_code name_check(const cst_object_store *store, const char *name, cst_err *err) {
    if (csti_object_name_is_good(name)) return CST_OK;
    return cst_fail(err, CST_OBJECT_NAME,
                    "%s: object name '%.80s' is malformed: 1 to %d of A-Z a-z 0-9 . _ - in parts "
                    "of 1 to %d, none beginning with '.'",
                    store->uri, name, CST_OBJECT_NAME_BYTES_MAX, CSTI_OBJECT_PART_BYTES_MAX);
}

// ---- Write --------------------------------------------------------------------------------------

static cst_code put_check(const cst_object_store *store, const char *name,
                          const cst_put_options *options, cst_err *err) {
    const bool matches = options->condition == CST_PUT_IF_MATCH;

    if (options->condition < CST_PUT_IF_ABSENT || options->condition > CST_PUT_REPLACE)
        return cst_fail(err, CST_USAGE, "%s: put of %s: condition %d is none", store->uri, name,
                        (int)options->condition);
    if (matches && (!options->etag || options->etag[0] == '\0' ||
                    strlen(options->etag) >= CST_OBJECT_ETAG_BYTES))
        return cst_fail(err, CST_USAGE, "%s: put of %s: if match needs an etag", store->uri, name);
    return CST_OK;
}

cst_code cst_object_put(cst_object_store *store, const char *name, const cst_bytes *ranges,
                        size_t ranges_count, const cst_put_options *options,
                        cst_object_info *info_out, cst_err *err) {
    cst_object_info info = {0};
    cst_code code = name_check(store, name, err);

    if (code == CST_OK) code = put_check(store, name, options, err);
    if (code != CST_OK) return code;
    for (size_t i = 0; i < ranges_count; i++) assert(ranges[i].data || ranges[i].count == 0);
    code = store->ops->put(store, name, ranges, ranges_count, options, &info, err);
    if (code == CST_OK && info_out) *info_out = info;
    return code;
}

cst_code cst_object_upload_open(cst_object_store *store, const char *name, uint64_t nonce,
                                cst_object_upload **out, cst_err *err) {
    cst_object_upload *upload = NULL;
    cst_code code = name_check(store, name, err);

    if (code == CST_OK) code = store->ops->upload_open(store, name, nonce, &upload, err);
    if (code != CST_OK) return code;
    upload->store = store;
    if (upload->nonce == 0) upload->nonce = nonce;
    memcpy(upload->name, name, strlen(name) + 1);
    *out = upload;
    return CST_OK;
}

cst_code cst_object_upload_write(void *upload, const void *bytes, size_t count, cst_err *err) {
    cst_object_upload *to = upload;

    assert(bytes || count == 0);
    return to->store->ops->upload_write(to, bytes, count, err);
}

cst_code cst_object_upload_refer(void *upload, const void *bytes, size_t count, cst_err *err) {
    cst_object_upload *to = upload;
    const csti_object_ops *ops = to->store->ops;

    assert(bytes || count == 0);
    return (ops->upload_refer ? ops->upload_refer : ops->upload_write)(to, bytes, count, err);
}

cst_code cst_object_upload_finish(cst_object_upload *upload, cst_object_info *info_out,
                                  cst_err *err) {
    cst_object_info info = {0};
    const cst_code code = upload->store->ops->upload_finish(upload, &info, err);

    if (code == CST_OK && info_out) *info_out = info;
    return code;
}

void cst_object_upload_abort(cst_object_upload *upload) {
    if (upload) upload->store->ops->upload_abort(upload);
}

cst_code cst_object_delete(cst_object_store *store, const char *name, cst_err *err) {
    const cst_code code = name_check(store, name, err);

    return code == CST_OK ? store->ops->remove(store, name, err) : code;
}

size_t csti_object_delete_count(cst_object_store *store) {
    return store->ops->remove_count ? store->ops->remove_count(store) : 1;
}

cst_code csti_object_delete_many(cst_object_store *store, const char *const *names, size_t count,
                                 cst_err *err) {
    bool deleted[CSTI_OBJECT_DELETE_MAX] = {false};
    cst_code code = CST_OK;

    assert(count <= CSTI_OBJECT_DELETE_MAX);
    for (size_t i = 0; i < count && code == CST_OK; i++) code = name_check(store, names[i], err);
    if (code == CST_OK && count > 1 && store->ops->remove_many)
        code = store->ops->remove_many(store, names, count, deleted, err);
    for (size_t i = 0; i < count && code == CST_OK; i++)
        if (!deleted[i]) code = store->ops->remove(store, names[i], err);
    return code;
}

// ---- Read ---------------------------------------------------------------------------------------

cst_code cst_object_get(cst_object_store *store, const char *name, uint64_t offset, uint64_t count,
                        cst_object_body *out, cst_err *err) {
    cst_object_body body = {0};
    cst_code code = name_check(store, name, err);

    if (code == CST_OK) code = store->ops->get(store, name, offset, count, &body, err);
    if (code != CST_OK) return code;
    assert(body.bytes && (uintptr_t)body.bytes % 64 == 0);
    assert(body.count <= count && body.count <= body.info.bytes - offset);
    *out = body;
    return CST_OK;
}

void cst_object_body_release(cst_object_store *store, cst_object_body *body) {
    if (body->handle) store->ops->body_release(store, body);
    *body = (cst_object_body){0};
}

cst_code cst_object_head(cst_object_store *store, const char *name, cst_object_info *out,
                         cst_err *err) {
    cst_object_info info = {0};
    cst_code code = name_check(store, name, err);

    if (code == CST_OK) code = store->ops->head(store, name, &info, err);
    if (code == CST_OK) *out = info;
    return code;
}

// Whether a good name can begin so.
static bool prefix_is_good(const char *prefix) {
    char name[CST_OBJECT_NAME_BYTES_MAX + 1];
    const size_t bytes = strlen(prefix);

    if (bytes == 0) return true;
    if (bytes >= sizeof name) return false;
    memcpy(name, prefix, bytes + 1);
    if (name[bytes - 1] != '/') return csti_object_name_is_good(name);
    name[bytes - 1] = '\0';
    return bytes < CST_OBJECT_NAME_BYTES_MAX && csti_object_name_is_good(name);
}

cst_code cst_object_list(cst_object_store *store, const char *prefix, const char *after,
                         cst_object_visit visit, void *context, cst_err *err) {
    if (!prefix_is_good(prefix)) return CST_OK;
    return store->ops->list(store, prefix, after ? after : "", visit, context, err);
}

cst_code cst_object_sweep_uploads(cst_object_store *store, uint64_t *swept_out, cst_err *err) {
    uint64_t swept = 0;
    const cst_code code = store->ops->sweep_uploads(store, &swept, err);

    if (swept_out) *swept_out = swept;
    return code;
}
