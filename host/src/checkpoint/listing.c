#include "checkpoint/listing.h"

#include "checkpoint/manifest.h"
#include "checkpoint/names.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct reading {
    csti_arena *arena;
    csti_listing listing;
    uint32_t capacity;
    cst_code code;
    cst_err *err;
} reading;

static cst_code manifest_add(reading *at, const csti_checkpoint_name *name, const char *text) {
    csti_listing *listing = &at->listing;
    const size_t text_bytes = strlen(text) + 1;
    char *copy = NULL;
    cst_code code;

    if (listing->manifests_count == at->capacity) {
        const uint32_t wanted = at->capacity ? at->capacity * 2 : 64;
        csti_listed_manifest *more = NULL;

        if (at->capacity == CSTI_LISTING_MANIFESTS_MAX)
            return cst_fail(at->err, CST_LIMIT, "more than %u manifests under %s", at->capacity,
                            CSTI_CHECKPOINTS_PREFIX);
        code = csti_arena_alloc(at->arena, wanted * sizeof *more, _Alignof(csti_listed_manifest),
                                (void **)&more, at->err);
        if (code != CST_OK) return code;
        if (at->capacity) memcpy(more, listing->manifests, at->capacity * sizeof *more);
        listing->manifests = more;
        at->capacity = wanted;
    }
    code = csti_arena_alloc(at->arena, text_bytes, 1, (void **)&copy, at->err);
    if (code != CST_OK) return code;
    memcpy(copy, text, text_bytes);
    listing->manifests[listing->manifests_count++] =
        (csti_listed_manifest){.id = name->id, .tenure = name->tenure, .name = copy};
    return CST_OK;
}

static bool name_see(void *context, const char *text, const cst_object_info *info) {
    reading *at = context;
    csti_listing *listing = &at->listing;
    csti_checkpoint_name name;

    (void)info;
    if (!csti_checkpoint_name_parse(text, &name)) return true;
    // Numbers above what a manifest can hold are no writer's of ours. A tenure is followed by one.
    if (name.id > CSTI_MANIFEST_NUMBER_MAX || name.epoch > CSTI_MANIFEST_NUMBER_MAX ||
        name.tenure >= CSTI_MANIFEST_NUMBER_MAX)
        return true;
    if (name.id > listing->id_max) listing->id_max = name.id;
    if (name.epoch > listing->epoch_max) listing->epoch_max = name.epoch;
    if (name.tenure > listing->tenure_max) listing->tenure_max = name.tenure;
    if (name.kind != CSTI_NAME_MANIFEST && name.partition < CSTI_MANIFEST_PARTITIONS_MAX &&
        name.partition >= listing->partitions_count)
        listing->partitions_count = name.partition + 1;
    if (name.kind == CSTI_NAME_MANIFEST) at->code = manifest_add(at, &name, text);
    return at->code == CST_OK;
}

cst_code csti_listing_read(cst_object_store *store, uint64_t id, csti_arena *arena,
                           csti_listing *out, cst_err *err) {
    reading at = {.arena = arena, .code = CST_OK, .err = err};
    char after[CSTI_CHECKPOINT_NAME_BYTES];
    cst_code code;

    _Static_assert('/' < '0', "all names of a checkpoint sort before its number with a digit more");
    (void)snprintf(after, sizeof after, CSTI_CHECKPOINTS_PREFIX "%020" PRIu64 "0", id);
    code = cst_object_list(store, CSTI_CHECKPOINTS_PREFIX, id ? after : NULL, name_see, &at, err);
    if (at.code != CST_OK) return at.code;
    if (code != CST_OK) return code;
    *out = at.listing;
    return CST_OK;
}
