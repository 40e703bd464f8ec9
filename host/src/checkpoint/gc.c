#include "base/fault_point.h"
#include "base/mistake.h"
#include "checkpoint/chain.h"
#include "checkpoint/compaction.h"
#include "checkpoint/name_list.h"
#include "checkpoint/names.h"
#include "object/backend.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    GC_ARENA_BYTES = 1 << 30,
    GC_REFUSALS_MAX = 3,     // what was planned no longer fits: others were faster
    GC_ROUNDS_MAX = 64,      // what others add meanwhile is left to the next call
    GC_COMMAND_NAMES = 8192, // of one command: a quarter of what its bytes allow
};

typedef struct gc {
    const csti_compaction_options *options;
    csti_gc_mode mode;
    void (*visit)(void *context, const char *name);
    void *context;
    csti_gc_report report;
    bool all_pins; // a pin that looks expired is not
    uint32_t refusals_count;
    csti_compaction_watch watch;
    cst_err *err;
    // Of one round:
    csti_arena arena;
    csti_meta_view view;
    csti_manifest newest; // id 0: none is committed
    csti_name_list kept, doomed;
    uint64_t *ids; // to be retired
    uint32_t ids_count;
} gc;

// Behind each call of the store.
static cst_code step_end(gc *at) {
    return csti_compaction_step(at->options, &at->watch, at->err);
}

// ---- What stays ---------------------------------------------------------------------------------

static int64_t now_us(const gc *at) {
    const int64_t wall_us = csti_clock_wall_us(at->options->clock);

    return wall_us > at->view.now_us ? wall_us : at->view.now_us;
}

static bool is_pinned(const gc *at, uint64_t id) {
    if (CSTI_MISTAKE(gc_pinned)) return false;
    for (uint32_t i = 0; i < at->view.pins_count; i++)
        if (at->view.pins[i].id == id && (at->all_pins || at->view.pins[i].expires_us > now_us(at)))
            return true;
    return false;
}

static bool is_retiring(const gc *at, uint64_t id) {
    for (uint32_t i = 0; i < at->ids_count; i++)
        if (at->ids[i] == id) return true;
    return false;
}

// All but the newest `keep`, and those that readers hold.
static cst_code ids_choose(gc *at) {
    const csti_meta_view *view = &at->view;
    uint32_t alive = 0;
    cst_code code = csti_arena_alloc(&at->arena, view->checkpoints_count * sizeof *at->ids,
                                     _Alignof(uint64_t), (void **)&at->ids, at->err);

    if (code != CST_OK) return code;
    at->ids_count = 0;
    at->report.pinned = 0;
    for (uint32_t i = 0; i < view->checkpoints_count; i++) alive += !view->checkpoints[i].deleting;
    for (uint32_t i = 0; i < view->checkpoints_count && alive > at->options->keep; i++) {
        if (view->checkpoints[i].deleting) continue;
        alive--;
        if (is_pinned(at, view->checkpoints[i].id))
            at->report.pinned++;
        else
            at->ids[at->ids_count++] = view->checkpoints[i].id;
    }
    return CST_OK;
}

static cst_code manifest_names(gc *at, const csti_manifest *manifest, csti_name_list *to) {
    cst_code code = CST_OK;

    for (uint32_t p = 0; p < manifest->partitions_count; p++) {
        const csti_manifest_partition *partition = &manifest->partitions[p];

        for (uint32_t s = 0; code == CST_OK && s < partition->segments_count; s++)
            code = csti_name_list_add(to, partition->segments[s].name, partition->segments[s].bytes,
                                      at->err);
        if (code == CST_OK && partition->rows)
            code = csti_name_list_add(to, partition->rows->name, partition->rows->bytes, at->err);
    }
    return code;
}

static cst_code manifest_load(gc *at, const csti_meta_checkpoint *checkpoint,
                              csti_manifest_object *out) {
    const cst_code code =
        csti_manifest_fetch(at->options->store, checkpoint->id, checkpoint->manifest,
                            &checkpoint->crc, &at->arena, out, at->err);

    return code == CST_OK ? step_end(at) : code;
}

// Without it nobody knows what it names: then nothing is garbage.
static cst_code kept_read(gc *at) {
    for (uint32_t i = 0; i < at->view.checkpoints_count; i++) {
        const csti_meta_checkpoint *checkpoint = &at->view.checkpoints[i];
        csti_manifest_object object = {.bytes = 0};
        cst_code code;

        if (checkpoint->deleting || is_retiring(at, checkpoint->id)) continue;
        code = manifest_load(at, checkpoint, &object);
        if (code == CST_OK)
            code = csti_name_list_add(&at->kept, checkpoint->manifest, object.bytes, at->err);
        if (code == CST_OK) code = manifest_names(at, &object.manifest, &at->kept);
        if (code != CST_OK)
            return cst_fail_at(at->err, code, "checkpoint %" PRIu64 " is to be kept",
                               checkpoint->id);
        at->newest = object.manifest; // ascending
    }
    csti_name_list_sort(&at->kept);
    return CST_OK;
}

// ---- What goes ----------------------------------------------------------------------------------

static cst_code doom(gc *at, const char *name, uint64_t bytes) {
    if (csti_name_list_find(&at->kept, name)) return CST_OK;
    return csti_name_list_add(&at->doomed, name, bytes, at->err);
}

static cst_code retiring_doom(gc *at, const csti_meta_checkpoint *checkpoint) {
    csti_manifest_object object = {.bytes = 0};
    csti_name_list names = {.count = 0};
    cst_code code = manifest_load(at, checkpoint, &object);

    if (csti_code_is_damage(code)) { // what only it named is an orphan
        CSTI_LOG(at->options->logger, CSTI_LOG_WARN, "gc_manifest_damaged",
                 csti_log_u64("id", checkpoint->id), csti_log_text("text", at->err->text));
        return doom(at, checkpoint->manifest, 0);
    }
    if (code == CST_OK) code = doom(at, checkpoint->manifest, object.bytes);
    if (code == CST_OK) code = manifest_names(at, &object.manifest, &names);
    for (size_t i = 0; code == CST_OK && i < names.count; i++)
        code = doom(at, names.items[i].name, names.items[i].bytes);
    csti_name_list_release(&names);
    return code;
}

// A full that no kept manifest names is still wanted if the next checkpoint may stand on it: it is
// newer than what that stands on now.
static bool is_wanted(const gc *at, const csti_meta_full *full) {
    const csti_manifest_segment *base;

    if (CSTI_MISTAKE(full_unchecked)) return false;
    if (full->partition >= at->newest.partitions_count) return false;
    if (at->newest.partitions[full->partition].segments_count == 0) return true;
    base = &at->newest.partitions[full->partition].segments[0];
    return full->epoch > base->epoch_to ||
           (full->epoch == base->epoch_to && base->kind == CST_SEGMENT_FULL_UNORDERED);
}

static cst_code fulls_doom(gc *at) {
    cst_code code = CST_OK;

    for (uint32_t i = 0; code == CST_OK && i < at->view.fulls_count; i++)
        if (!is_wanted(at, &at->view.fulls[i]))
            code = doom(at, at->view.fulls[i].name, at->view.fulls[i].bytes);
    return code;
}

// ---- Orphans ------------------------------------------------------------------------------------

typedef struct orphans {
    gc *at;
    uint64_t token;     // the lease's current one
    uint64_t token_max; // of fulls that nobody registered
    cst_code code;
} orphans;

static cst_code doom_copy(gc *at, const char *name, uint64_t bytes) {
    const size_t name_bytes = strlen(name) + 1;
    char *copy = NULL;
    cst_code code;

    if (csti_name_list_find(&at->kept, name)) return CST_OK;
    code = csti_arena_alloc(&at->arena, name_bytes, 1, (void **)&copy, at->err);
    if (code != CST_OK) return code;
    memcpy(copy, name, name_bytes);
    return csti_name_list_add(&at->doomed, copy, bytes, at->err);
}

// Whether whoever writes under this (tenure, id) can't commit any more.
static bool is_below_newest(const csti_manifest *newest, const csti_checkpoint_name *name) {
    uint64_t tenure = newest->tenure;

    if (name->kind != CSTI_NAME_MANIFEST && name->partition < newest->partitions_count)
        tenure = newest->partitions[name->partition].tenure;
    return name->tenure < tenure || (name->tenure == tenure && name->id < newest->id) ||
           CSTI_MISTAKE(gc_by_age);
}

static bool checkpoint_see(void *context, const char *text, const cst_object_info *info) {
    orphans *found = context;
    csti_checkpoint_name name;

    found->code = step_end(found->at);
    if (found->code == CST_OK && csti_checkpoint_name_parse(text, &name) &&
        is_below_newest(&found->at->newest, &name))
        found->code = doom_copy(found->at, text, info->bytes);
    return found->code == CST_OK;
}

static bool is_registered(const csti_meta_view *view, const char *name) {
    for (uint32_t i = 0; i < view->fulls_count; i++)
        if (strcmp(view->fulls[i].name, name) == 0) return true;
    return false;
}

static bool fold_see(void *context, const char *text, const cst_object_info *info) {
    orphans *found = context;
    csti_checkpoint_name name;

    found->code = step_end(found->at);
    if (found->code != CST_OK) return false;
    if (!csti_checkpoint_name_parse(text, &name) || name.token > CSTI_MANIFEST_NUMBER_MAX ||
        is_registered(&found->at->view, text))
        return true;
    if (name.token < found->token)
        found->code = doom_copy(found->at, text, info->bytes);
    else if (name.token > found->token_max)
        found->token_max = name.token;
    return found->code == CST_OK;
}

// Fulls of the current token are a live folder's, or nobody's: then the token is raised, and they
// are looked at again (CST_AGAIN).
static cst_code token_settle(gc *at, const csti_meta_lease *lease, uint64_t token_max) {
    const csti_meta_command command = {.kind = CSTI_META_TOKEN_RAISE,
                                       .lease = CSTI_FOLD_LEASE,
                                       .token = token_max};
    csti_meta_result result;
    cst_code code;

    if (lease && lease->holder != 0 && lease->expires_us > now_us(at)) return CST_OK;
    code = csti_meta_propose(at->options->meta, &command, &result, at->err);
    return code == CST_OK ? CST_AGAIN : code;
}

static cst_code orphans_doom(gc *at) {
    orphans found = {.at = at, .code = CST_OK};
    const csti_meta_lease *lease = NULL;
    cst_code code = CST_OK;

    for (uint32_t i = 0; i < at->view.leases_count; i++)
        if (strcmp(at->view.leases[i].name, CSTI_FOLD_LEASE) == 0) lease = &at->view.leases[i];
    found.token = lease ? lease->token : 0;
    if (at->newest.id > 0)
        code = cst_object_list(at->options->store, CSTI_CHECKPOINTS_PREFIX, NULL, checkpoint_see,
                               &found, at->err);
    if (code == CST_OK && found.code == CST_OK)
        code =
            cst_object_list(at->options->store, CSTI_FOLDS_PREFIX, NULL, fold_see, &found, at->err);
    if (found.code != CST_OK) return found.code;
    if (code != CST_OK || found.token_max == 0) return code;
    return token_settle(at, lease, found.token_max);
}

// ---- Deletion -----------------------------------------------------------------------------------

static bool is_manifest(const char *text) {
    csti_checkpoint_name name;

    return csti_checkpoint_name_parse(text, &name) && name.kind == CSTI_NAME_MANIFEST;
}

// As many as the store takes at once; what lies in one request has no order, so manifests do not go
// with what they stand on.
static size_t names_take(gc *at, const csti_listed_name *items, size_t count,
                         const char *names[CSTI_OBJECT_DELETE_MAX]) {
    const size_t most = csti_object_delete_count(at->options->store);
    size_t taken = 0;

    while (taken < count && taken < most &&
           is_manifest(items[taken].name) == is_manifest(items[0].name)) {
        names[taken] = items[taken].name;
        if (at->visit) at->visit(at->context, items[taken].name);
        taken++;
    }
    return taken;
}

// In their order; *done_out of them, also after an error.
static cst_code objects_delete(gc *at, const csti_listed_name *items, size_t count,
                               size_t *done_out) {
    for (*done_out = 0; *done_out < count;) {
        const char *names[CSTI_OBJECT_DELETE_MAX];
        const size_t first = *done_out;
        const size_t taken = names_take(at, items + first, count - first, names);
        cst_code code;

        CSTI_FAULT_POINT(gc_deleting);
        code = csti_object_delete_many(at->options->store, names, taken, at->err);
        if (code == CST_OK) {
            *done_out += taken;
            at->report.deleted_objects += taken;
            for (size_t i = first; i < *done_out; i++) at->report.deleted_bytes += items[i].bytes;
            code = step_end(at);
        }
        if (code != CST_OK) return cst_fail_at(at->err, code, "%s", names[0]);
    }
    return CST_OK;
}

// Manifests first: what is left after a kill then looks like no checkpoint.
static cst_code manifests_first(gc *at, const csti_listed_name *items, size_t count,
                                csti_listed_name **out) {
    csti_listed_name *ordered = NULL;
    size_t used = 0;
    const cst_code code = csti_arena_alloc(&at->arena, count * sizeof *ordered,
                                           _Alignof(csti_listed_name), (void **)&ordered, at->err);

    if (code != CST_OK) return code;
    for (int manifests = 1; manifests >= 0; manifests--)
        for (size_t i = 0; i < count; i++)
            if (is_manifest(items[i].name) == (manifests == 1)) ordered[used++] = items[i];
    *out = ordered;
    return CST_OK;
}

// A RETIRE or DELETED of all the names, a part of them a command; the ids go with the first or the
// last part.
static cst_code names_propose(gc *at, csti_meta_kind kind, const csti_listed_name *items,
                              size_t count, const uint64_t *ids, uint32_t ids_count) {
    const char **names = NULL;
    size_t done = 0;
    cst_code code = csti_arena_alloc(&at->arena, count * sizeof *names, _Alignof(char *),
                                     (void **)&names, at->err);

    if (code != CST_OK) return code;
    for (size_t i = 0; i < count; i++) names[i] = items[i].name;
    do {
        const size_t part = count - done < GC_COMMAND_NAMES ? count - done : GC_COMMAND_NAMES;
        const bool with_ids = kind == CSTI_META_RETIRE ? done == 0 : done + part == count;
        const csti_meta_command command = {
            .kind = kind,
            .owner = kind == CSTI_META_RETIRE ? at->options->owner : 0,
            .tenure = kind == CSTI_META_RETIRE ? at->options->tenure : 0,
            .names = names + done,
            .names_count = (uint32_t)part,
            .ids = with_ids ? ids : NULL,
            .ids_count = with_ids ? ids_count : 0,
        };
        csti_meta_result result;

        code = csti_meta_propose(at->options->meta, &command, &result, at->err);
        done += part;
    } while (code == CST_OK && done < count);
    return code == CST_OK ? step_end(at) : code; // all of them are one step: not half of a decision
}

static cst_code doomed_delete(gc *at, const csti_listed_name *items, size_t count,
                              const uint64_t *ids, uint32_t ids_count) {
    csti_listed_name *ordered = NULL;
    size_t done = 0;
    cst_code code = manifests_first(at, items, count, &ordered);

    if (code == CST_OK) code = objects_delete(at, ordered, count, &done);
    if (code == CST_DEADLINE && done > 0) {
        const cst_err why = *at->err;

        // However slow the store is, the next gc has less to do. Failing, it does it again.
        (void)!names_propose(at, CSTI_META_DELETED, ordered, done, NULL, 0);
        *at->err = why;
    }
    if (code != CST_OK) return code;
    return names_propose(at, CSTI_META_DELETED, ordered, count, ids, ids_count);
}

// What somebody decided before and did not come to the end of. CST_AGAIN: done, look again.
static cst_code pending_delete(gc *at) {
    const csti_meta_view *view = &at->view;
    csti_name_list pending = {.count = 0};
    uint64_t *ids = NULL;
    uint32_t ids_count = 0;
    cst_code code = csti_arena_alloc(&at->arena, view->checkpoints_count * sizeof *ids,
                                     _Alignof(uint64_t), (void **)&ids, at->err);

    for (uint32_t i = 0; code == CST_OK && i < view->checkpoints_count; i++)
        if (view->checkpoints[i].deleting) ids[ids_count++] = view->checkpoints[i].id;
    for (uint32_t i = 0; code == CST_OK && i < view->pending_count; i++)
        code = csti_name_list_add(&pending, view->pending[i], 0, at->err);
    if (code == CST_OK) at->report.pending_objects += pending.count;
    if (code == CST_OK && at->mode == CSTI_GC_DRY) {
        for (size_t i = 0; at->visit && i < pending.count; i++)
            at->visit(at->context, pending.items[i].name);
    } else if (code == CST_OK && pending.count + ids_count > 0) {
        code = doomed_delete(at, pending.items, pending.count, ids, ids_count);
        if (code == CST_OK) code = CST_AGAIN;
    }
    csti_name_list_release(&pending);
    return code;
}

// ---- Rounds -------------------------------------------------------------------------------------

static cst_code plan(gc *at) {
    cst_code code = ids_choose(at);

    if (code != CST_OK) return code;
    if (at->ids_count == 0 && at->mode != CSTI_GC_ORPHANS) return CST_OK;
    code = kept_read(at);
    for (uint32_t i = 0; code == CST_OK && i < at->view.checkpoints_count; i++)
        if (is_retiring(at, at->view.checkpoints[i].id))
            code = retiring_doom(at, &at->view.checkpoints[i]);
    if (code == CST_OK) code = fulls_doom(at);
    if (code == CST_OK && at->mode == CSTI_GC_ORPHANS) code = orphans_doom(at);
    csti_name_list_sort(&at->doomed);
    // What is beyond that is left as orphans.
    if (at->doomed.count > CSTI_META_PENDING_MAX) at->doomed.count = CSTI_META_PENDING_MAX;
    return code;
}

// Whether the code can come from somebody who was faster: then it is planned anew, a few times.
static cst_code refusal_settle(gc *at, cst_code code) {
    const bool overtaken = csti_code_is_damage(code) || code == CST_PINNED || code == CST_USAGE ||
                           code == CST_CHECKPOINT_RETIRED;

    if (!overtaken || ++at->refusals_count > GC_REFUSALS_MAX) return code;
    if (code == CST_PINNED) at->all_pins = true;
    return CST_AGAIN;
}

static cst_code retire(gc *at) {
    cst_code code;

    CSTI_FAULT_POINT(gc_before_retire);
    code = names_propose(at, CSTI_META_RETIRE, at->doomed.items, at->doomed.count, at->ids,
                         at->ids_count);
    if (code != CST_OK) return refusal_settle(at, code);
    at->report.retired_checkpoints += at->ids_count;
    CSTI_FAULT_POINT(gc_retired);
    code = doomed_delete(at, at->doomed.items, at->doomed.count, at->ids, at->ids_count);
    return code == CST_OK ? CST_AGAIN : code;
}

static void dry_report(gc *at) {
    at->report.retired_checkpoints = at->ids_count;
    at->report.deleted_objects = at->doomed.count;
    for (size_t i = 0; i < at->doomed.count; i++) {
        at->report.deleted_bytes += at->doomed.items[i].bytes;
        if (at->visit) at->visit(at->context, at->doomed.items[i].name);
    }
}

// CST_AGAIN: something was done, or no longer fitted; look again.
static cst_code round_run(gc *at) {
    cst_code code = csti_meta_refresh(at->options->meta, at->err);

    if (code == CST_OK) code = csti_meta_read(at->options->meta, &at->arena, &at->view, at->err);
    if (code == CST_OK) code = pending_delete(at);
    if (code != CST_OK) return code;
    code = plan(at);
    if (code != CST_OK && code != CST_AGAIN) return refusal_settle(at, code);
    if (code == CST_AGAIN) return code;
    if (at->mode == CSTI_GC_DRY) {
        dry_report(at);
        return CST_OK;
    }
    if (at->ids_count == 0 && at->doomed.count == 0) return CST_OK;
    return retire(at);
}

cst_code csti_gc(const csti_compaction_options *options, csti_gc_mode mode,
                 void (*visit)(void *context, const char *name), void *context,
                 csti_gc_report *report_out, cst_err *err) {
    cst_err own = {.code = CST_OK};
    gc at = {.options = options,
             .mode = mode,
             .visit = visit,
             .context = context,
             .err = err ? err : &own};
    cst_code code = CST_AGAIN;

    assert(options->keep >= 1);
    csti_arena_init(&at.arena, GC_ARENA_BYTES);
    csti_compaction_begin(options, &at.watch);
    for (int round = 0; code == CST_AGAIN && round < GC_ROUNDS_MAX; round++) {
        csti_arena_reset(&at.arena);
        csti_name_list_reset(&at.kept);
        csti_name_list_reset(&at.doomed);
        at.newest = (csti_manifest){.id = 0};
        code = round_run(&at);
    }
    if (code == CST_AGAIN) code = CST_OK;
    if (code == CST_OK && mode == CSTI_GC_ORPHANS)
        code = cst_object_sweep_uploads(options->store, &at.report.swept_uploads, at.err);
    csti_name_list_release(&at.kept);
    csti_name_list_release(&at.doomed);
    csti_arena_release(&at.arena);
    if (report_out) *report_out = at.report;
    return code;
}
