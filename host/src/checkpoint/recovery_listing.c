// recover --from-listing: metadata that is lost, made anew from the manifests that are there.
#include "checkpoint/compaction.h"
#include "checkpoint/listing.h"
#include "checkpoint/names.h"
#include "checkpoint/recovery_attempt.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { LISTING_ARENA_BYTES = 256 << 20, COMMANDS_EXTRA = 3 }; // CLAIM, TOKEN_RAISE, ADOPT

typedef struct found {
    csti_listed_manifest listed;
    uint64_t incarnation; // 0, at first: the manifest cannot be read
} found;

typedef struct rebuild {
    const csti_listing_options *options;
    csti_recovery_options recovery; // what the attempts go by
    csti_attempt attempt;
    csti_arena arena;
    csti_listing listing;
    found *manifests; // the highest first
    uint64_t incarnation_max, token_max;
    uint32_t skipped_count;
    bool may_repeat;
    cst_err first; // why the highest was skipped
    cst_err *err;
} rebuild;

// ---- What is there ------------------------------------------------------------------------------

// CST_OK: there is none that can be read.
static cst_code metadata_check(const rebuild *at) {
    csti_meta_log_options options = at->options->meta;
    csti_meta *meta = NULL;
    cst_code code;

    options.create = false;
    code = csti_meta_open_log(&options, &meta, at->err);
    csti_meta_close(meta);
    if (code == CST_META_MISSING || code == CST_META_CORRUPT) return CST_OK;
    if (code == CST_OK)
        return cst_fail(at->err, CST_EXISTS,
                        "the metadata is there and good: nothing is to be recovered");
    return code;
}

static bool token_see(void *context, const char *text, const cst_object_info *info) {
    uint64_t *token_max = context;
    csti_checkpoint_name name;

    (void)info;
    if (csti_checkpoint_name_parse(text, &name) && name.kind == CSTI_NAME_FOLD &&
        name.token <= CSTI_MANIFEST_NUMBER_MAX && name.token > *token_max)
        *token_max = name.token;
    return true;
}

static int by_rank_down(const void *a, const void *b) {
    const found *x = a, *y = b;

    if (x->incarnation != y->incarnation) return x->incarnation < y->incarnation ? 1 : -1;
    if (x->listed.tenure != y->listed.tenure) return x->listed.tenure < y->listed.tenure ? 1 : -1;
    if (x->listed.id != y->listed.id) return x->listed.id < y->listed.id ? 1 : -1;
    return strcmp(x->listed.name, y->listed.name);
}

// Those that cannot be read may have been the newest: they stand where their tenure puts them,
// because an incarnation begins above all tenures before it.
static void unreadable_place(rebuild *at) {
    const uint32_t count = at->listing.manifests_count;

    for (uint32_t i = 0; i < count; i++) {
        uint64_t incarnation = 1;

        if (at->manifests[i].incarnation) continue;
        for (uint32_t k = 0; k < count; k++)
            if (at->manifests[k].listed.tenure <= at->manifests[i].listed.tenure &&
                at->manifests[k].incarnation > incarnation)
                incarnation = at->manifests[k].incarnation;
        at->manifests[i].incarnation = incarnation;
    }
}

static cst_code manifests_rank(rebuild *at) {
    const uint32_t count = at->listing.manifests_count;
    cst_code code = csti_arena_alloc(&at->arena, count * sizeof *at->manifests, _Alignof(found),
                                     (void **)&at->manifests, at->err);

    for (uint32_t i = 0; code == CST_OK && i < count; i++) {
        found *manifest = &at->manifests[i];

        *manifest = (found){.listed = at->listing.manifests[i]};
        code = csti_attempt_manifest(&at->attempt, manifest->listed.id, manifest->listed.name, NULL,
                                     at->err);
        if (code == CST_OK) manifest->incarnation = at->attempt.object.manifest.incarnation;
        if (manifest->incarnation > at->incarnation_max)
            at->incarnation_max = manifest->incarnation;
        csti_attempt_close(&at->attempt);
        if (csti_code_is_damage(code)) code = CST_OK;
    }
    if (code != CST_OK) return code;
    unreadable_place(at);
    qsort(at->manifests, count, sizeof *at->manifests, by_rank_down);
    return CST_OK;
}

static cst_code store_read(rebuild *at) {
    cst_object_store *store = at->options->meta.store;
    uint64_t highest = 0;
    cst_code code = csti_listing_read(store, 0, &at->arena, &at->listing, at->err);

    if (code == CST_OK && at->listing.manifests_count == 0)
        code = cst_fail(at->err, CST_NOT_FOUND, "no manifest is in the store");
    if (code == CST_OK)
        code = cst_object_list(store, CSTI_FOLDS_PREFIX, NULL, token_see, &at->token_max, at->err);
    if (code == CST_OK) code = csti_meta_incarnation_highest(store, &highest, at->err);
    if (code == CST_OK) code = manifests_rank(at);
    if (highest > at->incarnation_max) at->incarnation_max = highest;
    return code;
}

// ---- Which one ----------------------------------------------------------------------------------

// CST_AGAIN: it is damaged, which is noted.
static cst_code manifest_try(rebuild *at, const csti_listed_manifest *listed) {
    csti_attempt *attempt = &at->attempt;
    cst_code code = csti_attempt_manifest(attempt, listed->id, listed->name, NULL, at->err);
    const bool known = code == CST_OK;

    if (code == CST_OK) code = csti_attempt_chains(attempt, at->err);
    if (!csti_code_is_damage(code)) return code;
    if (at->skipped_count++ == 0) at->first = *at->err;
    csti_attempt_note(attempt, listed->id, code, "%s", at->err->text);
    if (!known || csti_attempt_has_output(attempt)) at->may_repeat = true;
    csti_attempt_close(attempt);
    return CST_AGAIN;
}

static cst_code choose(rebuild *at, const csti_listed_manifest **out) {
    for (uint32_t i = 0; i < at->listing.manifests_count; i++) {
        const csti_listed_manifest *listed = &at->manifests[i].listed;
        const cst_code code = manifest_try(at, listed);

        if (code == CST_AGAIN) continue;
        if (code != CST_OK) return cst_fail_at(at->err, code, "checkpoint %" PRIu64, listed->id);
        if (at->may_repeat && !at->options->accept_repeats)
            return cst_fail(at->err, CST_CHECKPOINT_REPEATS,
                            "checkpoint %" PRIu64 ": %.300s. Checkpoint %" PRIu64
                            " is good, but output behind it may have been seen. %s",
                            at->manifests[0].listed.id, at->first.text, listed->id,
                            cst_code_advice(CST_CHECKPOINT_REPEATS));
        *out = listed;
        return CST_OK;
    }
    return cst_fail(at->err, CST_CHECKPOINT_UNUSABLE, "%u manifests, the highest: %.400s",
                    at->listing.manifests_count, at->first.text);
}

// ---- The new metadata ---------------------------------------------------------------------------

static csti_meta_command full_register(const rebuild *at, uint32_t p) {
    const csti_manifest_segment *full = &at->attempt.object.manifest.partitions[p].segments[0];

    return (csti_meta_command){
        .kind = CSTI_META_REGISTER_FULL,
        .partition = p,
        .epoch = full->epoch_to,
        .name = full->name,
        .bytes = full->bytes,
        .crc = full->checksum,
        .lease = CSTI_FOLD_LEASE,
        .token = at->token_max + 1, // what TOKEN_RAISE makes of it
    };
}

// The first state: the job is ours, at a tenure above all that any name has; its checkpoint is
// there, and the fulls that it stands on.
static cst_code commands_make(rebuild *at, const csti_listed_manifest *chosen,
                              csti_meta_command **out, uint32_t *count_out) {
    const csti_manifest_object *object = &at->attempt.object;
    const csti_meta_full_ref *fulls = NULL;
    csti_meta_command *commands = NULL;
    uint32_t fulls_count = 0, count = 0;
    cst_code code =
        csti_manifest_fulls(&object->manifest, &at->arena, &fulls, &fulls_count, at->err);

    if (code != CST_OK) return code;
    code = csti_arena_alloc(&at->arena, (fulls_count + COMMANDS_EXTRA) * sizeof *commands,
                            _Alignof(csti_meta_command), (void **)&commands, at->err);
    if (code != CST_OK) return code;
    commands[count++] = (csti_meta_command){
        .kind = CSTI_META_CLAIM,
        .name = object->manifest.job,
        .owner = at->options->owner,
        .tenure = at->listing.tenure_max,
        .count = object->manifest.partitions_count,
    };
    commands[count++] = (csti_meta_command){.kind = CSTI_META_TOKEN_RAISE,
                                            .lease = CSTI_FOLD_LEASE,
                                            .token = at->token_max};
    for (uint32_t i = 0; i < fulls_count; i++)
        commands[count++] = full_register(at, fulls[i].partition);
    commands[count++] = (csti_meta_command){
        .kind = CSTI_META_ADOPT,
        .owner = at->options->owner,
        .tenure = at->listing.tenure_max + 1, // what CLAIM makes of it
        .id = object->manifest.id,
        .name = chosen->name,
        .crc = object->crc,
        .fulls = fulls,
        .fulls_count = fulls_count,
    };
    *out = commands;
    *count_out = count;
    return CST_OK;
}

static cst_code metadata_begin(rebuild *at, const csti_listed_manifest *chosen) {
    csti_meta_command *commands = NULL;
    csti_meta *meta = NULL;
    uint32_t count = 0;
    cst_code code = commands_make(at, chosen, &commands, &count);

    if (code == CST_OK)
        code = csti_meta_open_incarnation(&at->options->meta, at->incarnation_max + 1, commands,
                                          count, &meta, at->err);
    csti_meta_close(meta);
    if (code != CST_OK) return code;
    at->attempt.report->chosen_id = chosen->id;
    at->attempt.report->adopted = true;
    csti_attempt_note(&at->attempt, chosen->id, CST_OK, "chosen: the highest that verifies");
    return CST_OK;
}

cst_code csti_recover_from_listing(const csti_listing_options *options,
                                   csti_recovery_report *report_out, cst_err *err) {
    csti_recovery_report report = {.chosen_id = 0};
    cst_err own = {.code = CST_OK};
    rebuild at = {
        .options = options,
        .recovery = {.store = options->meta.store,
                     .clock = options->meta.clock,
                     .verify_all = true,
                     .step = options->step,
                     .step_context = options->step_context},
        .err = err ? err : &own,
    };
    const csti_listed_manifest *chosen = NULL;
    cst_code code;

    assert(options->owner != 0);
    csti_arena_init(&at.arena, LISTING_ARENA_BYTES);
    csti_attempt_init(&at.attempt, &at.recovery, &report);
    code = metadata_check(&at);
    if (code == CST_OK) code = store_read(&at);
    if (code == CST_OK) code = choose(&at, &chosen);
    if (code == CST_OK) code = metadata_begin(&at, chosen);
    csti_attempt_close(&at.attempt);
    csti_arena_release(&at.attempt.arena);
    csti_arena_release(&at.arena);
    if (report_out) *report_out = report;
    return code;
}
