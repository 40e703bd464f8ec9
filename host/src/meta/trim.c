// Snapshots of the machine, and what may go behind them.
#include "base/fault_point.h"
#include "base/mistake.h"
#include "meta/log.h"

#include <stdio.h>
#include <string.h>

// CST_OK: those bytes are there; EXISTS: others are; NOT_FOUND.
static cst_code compare_stored(cst_object_store *store, const char *name, const csti_buffer *bytes,
                               cst_err *err) {
    cst_object_body body;
    cst_code code = cst_object_get(store, name, 0, UINT64_MAX, &body, err);

    if (code != CST_OK) return code;
    if (body.count != bytes->used_bytes || memcmp(body.bytes, bytes->bytes, body.count) != 0)
        code = cst_fail(err, CST_EXISTS, "%s: there are other bytes", name);
    cst_object_body_release(store, &body);
    return code;
}

cst_code csti_meta_put_settled(cst_object_store *store, const char *name, uint64_t nonce,
                               const csti_buffer *bytes, cst_err *err) {
    const cst_bytes range = {bytes->bytes, bytes->used_bytes};
    const cst_put_options options = {.condition = CST_PUT_IF_ABSENT, .nonce = nonce};
    cst_code code = CST_OBJECT_AMBIGUOUS;

    for (int i = 0; i < CSTI_META_SETTLES_MAX; i++) {
        code = cst_object_put(store, name, &range, 1, &options, NULL, err);
        if (code != CST_EXISTS && code != CST_OBJECT_AMBIGUOUS && code != CST_DEADLINE) return code;
        code = compare_stored(store, name, bytes, err);
        if (code == CST_OK || code == CST_EXISTS) return code;
    }
    return cst_fail(err, CST_OBJECT_AMBIGUOUS, "%s: it is not known whether it was written", name);
}

cst_code csti_meta_snapshot_read(csti_meta *meta, uint64_t index, csti_meta_machine **out,
                                 cst_err *err) {
    char name[CSTI_META_NAME_BYTES];
    csti_meta_machine *machine = NULL;
    csti_meta_view view;
    cst_object_body body;
    cst_code code;

    csti_meta_name_write((csti_meta_object){meta->incarnation, index, true}, name);
    code = cst_object_get(meta->store, name, 0, UINT64_MAX, &body, err);
    if (code != CST_OK) return code;
    code = csti_meta_machine_decode(body.bytes, body.count, &machine, err);
    cst_object_body_release(meta->store, &body);
    if (code != CST_OK) return cst_fail_at(err, code, "%s", name);
    csti_meta_machine_view(machine, &view);
    if (view.incarnation != meta->incarnation || view.index != index) {
        csti_meta_machine_close(machine);
        return cst_fail(err, CST_META_CORRUPT, "%s: it is snapshot %llu of incarnation %llu", name,
                        (unsigned long long)view.index, (unsigned long long)view.incarnation);
    }
    *out = machine;
    return CST_OK;
}

// ---- Trim ---------------------------------------------------------------------------------------

// Entries below `index`, which is what the next ones follow, and snapshots below it but for the
// newest of them: a list that runs while a snapshot is written and an older one deleted must see
// one of the two.
typedef struct trimming {
    uint64_t index;
    uint64_t before; // the newest snapshot below index so far; 0: none
    uint32_t count;
    csti_meta_object objects[CSTI_META_TRIM_MAX];
} trimming;

static bool visit_trimming(void *context, const char *name, const cst_object_info *info) {
    trimming *trim = context;
    csti_meta_object object;

    (void)info;
    if (!csti_meta_name_read(name, &object)) return true;
    if (object.snapshot) {
        const uint64_t older = trim->before;

        if (object.index >= trim->index) return false;
        trim->before = object.index;
        if (older == 0) return true;
        object.index = older;
    } else if (object.index >= trim->index) {
        return true;
    }
    trim->objects[trim->count++] = object;
    return trim->count < CSTI_META_TRIM_MAX;
}

static cst_code trim_behind(csti_meta *meta, uint64_t index, cst_err *err) {
    char name[CSTI_META_NAME_BYTES];
    trimming trim = {.index = index};
    cst_code code;

    (void)snprintf(name, sizeof name, "meta/%016llx/", (unsigned long long)meta->incarnation);
    code = cst_object_list(meta->store, name, NULL, visit_trimming, &trim, err);
    for (uint32_t i = 0; i < trim.count && code == CST_OK; i++) {
        csti_meta_name_write(trim.objects[i], name);
        code = cst_object_delete(meta->store, name, err);
        CSTI_FAULT_POINT(meta_trim);
    }
    return code;
}

cst_code csti_meta_snapshot_write(csti_meta *meta, cst_err *err) {
    char name[CSTI_META_NAME_BYTES];
    csti_buffer bytes;
    csti_meta_view view;
    uint64_t nonce = 0;
    cst_code code;

    csti_buffer_init(&bytes, CSTI_META_STATE_BYTES_MAX);
    csti_meta_machine_view(meta->machine, &view);
    csti_meta_name_write((csti_meta_object){view.incarnation, view.index, true}, name);
    code = csti_meta_machine_encode(meta->machine, &bytes, err);
    if (code == CST_OK) code = csti_random_fill(meta->random, &nonce, sizeof nonce, err);
    if (code == CST_OK && !CSTI_MISTAKE(trim_without_snapshot))
        code = csti_meta_put_settled(meta->store, name, nonce, &bytes, err);
    CSTI_FAULT_POINT(meta_snapshot);
    // All that is left of the commands behind it: looked at before they go.
    if (code == CST_OK && !CSTI_MISTAKE(trim_without_snapshot))
        code = compare_stored(meta->store, name, &bytes, err);
    csti_buffer_release(&bytes);
    if (code == CST_EXISTS)
        return cst_fail(err, CST_META_CORRUPT, "%s: it is not the state that the log gives", name);
    if (code != CST_OK) return code;
    meta->snapshot_index = view.index;
    return trim_behind(meta, view.index, err);
}
