// A view's copy, in an arena of its reader.
#include "meta/log.h"

#include <string.h>

// A failure sticks; what is copied after it is nothing.
typedef struct copying {
    csti_arena *arena;
    cst_code code;
    cst_err *err;
} copying;

// `bytes` of `from`, aligned for any struct.
static void *copied(copying *copy, const void *from, size_t bytes) {
    void *to = NULL;

    if (copy->code == CST_OK)
        copy->code = csti_arena_alloc(copy->arena, bytes, _Alignof(max_align_t), &to, copy->err);
    if (copy->code != CST_OK) return NULL;
    if (bytes > 0) memcpy(to, from, bytes);
    return to;
}

static const char *text_copied(copying *copy, const char *text) {
    return copied(copy, text, strlen(text) + 1);
}

static void copy_checkpoints(copying *copy, csti_meta_view *out) {
    csti_meta_checkpoint *checkpoints =
        copied(copy, out->checkpoints, out->checkpoints_count * sizeof *checkpoints);

    for (uint32_t i = 0; i < out->checkpoints_count && copy->code == CST_OK; i++) {
        csti_meta_full_ref *refs =
            copied(copy, checkpoints[i].fulls, checkpoints[i].fulls_count * sizeof *refs);

        checkpoints[i].manifest = text_copied(copy, checkpoints[i].manifest);
        for (uint32_t k = 0; k < checkpoints[i].fulls_count && copy->code == CST_OK; k++)
            refs[k].name = text_copied(copy, refs[k].name);
        checkpoints[i].fulls = refs;
    }
    out->checkpoints = checkpoints;
}

static void copy_fulls(copying *copy, csti_meta_view *out) {
    csti_meta_full *fulls = copied(copy, out->fulls, out->fulls_count * sizeof *fulls);

    for (uint32_t i = 0; i < out->fulls_count && copy->code == CST_OK; i++)
        fulls[i].name = text_copied(copy, fulls[i].name);
    out->fulls = fulls;
}

static void copy_leases(copying *copy, csti_meta_view *out) {
    csti_meta_lease *leases = copied(copy, out->leases, out->leases_count * sizeof *leases);

    for (uint32_t i = 0; i < out->leases_count && copy->code == CST_OK; i++)
        leases[i].name = text_copied(copy, leases[i].name);
    out->leases = leases;
}

static void copy_pending(copying *copy, csti_meta_view *out) {
    const char **pending = copied(copy, out->pending, out->pending_count * sizeof *pending);

    for (uint32_t i = 0; i < out->pending_count && copy->code == CST_OK; i++)
        pending[i] = text_copied(copy, pending[i]);
    out->pending = pending;
}

cst_code csti_meta_view_copy(const csti_meta_view *view, csti_arena *arena, csti_meta_view *out,
                             cst_err *err) {
    copying copy = {.arena = arena, .code = CST_OK, .err = err};
    csti_meta_view result = *view;

    result.job = text_copied(&copy, view->job);
    result.partitions =
        copied(&copy, view->partitions, view->partitions_count * sizeof *view->partitions);
    result.aborted = copied(&copy, view->aborted, view->aborted_count * sizeof *view->aborted);
    result.pins = copied(&copy, view->pins, view->pins_count * sizeof *view->pins);
    copy_checkpoints(&copy, &result);
    copy_fulls(&copy, &result);
    copy_leases(&copy, &result);
    copy_pending(&copy, &result);
    if (copy.code == CST_OK) *out = result;
    return copy.code;
}
