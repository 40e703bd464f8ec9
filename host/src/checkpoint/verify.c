#include "checkpoint/verify.h"

#include "checkpoint/chain.h"
#include "checkpoint/name_list.h"

#include <inttypes.h>
#include <string.h>

enum { VERIFY_ARENA_BYTES = 512 << 20, VERIFY_TRIES = 2 };

typedef struct verifier {
    const csti_verify_options *options;
    csti_verify_report report;
    csti_name_list done; // segments that were read and are good
    csti_arena names;    // theirs
    csti_arena work;     // of one checkpoint
    csti_pin pin;
    csti_verify_checkpoint checkpoint;
    uint64_t bytes_all;
    cst_err first; // damage
    cst_err *err;
} verifier;

static void damage_note(verifier *at) {
    const cst_err *err = at->err;

    if (at->first.code == CST_OK) at->first = *err;
    at->checkpoint.damaged_count++;
    if (at->options->damage) at->options->damage(at->options->context, at->checkpoint.id, err);
}

// CST_OK: go on; PIN_EXPIRED: what is missing may have been deleted since.
static cst_code hold(verifier *at) {
    return at->pin.id ? csti_pin_hold(&at->pin, at->err) : CST_OK;
}

// Good ones are not read again, of whichever checkpoint.
static cst_code done_add(verifier *at, const char *name) {
    const size_t name_bytes = strlen(name) + 1;
    char *copy = NULL;
    const cst_code code = csti_arena_alloc(&at->names, name_bytes, 1, (void **)&copy, at->err);

    if (code != CST_OK) return code;
    memcpy(copy, name, name_bytes);
    return csti_name_list_add(&at->done, copy, 0, at->err);
}

static cst_code segment_verify(verifier *at, const cst_hash_key *hash_key,
                               const csti_manifest_segment *wanted, const cst_segment *segment) {
    cst_code code;

    if (csti_name_list_find(&at->done, wanted->name)) return CST_OK;
    code = cst_segment_verify(segment, hash_key, at->err);
    if (code != CST_OK) return code;
    at->report.objects_count++;
    at->report.bytes += wanted->bytes;
    if (at->options->progress)
        at->options->progress(at->options->context, at->report.bytes, at->bytes_all);
    return done_add(at, wanted->name);
}

static cst_code rows_verify(verifier *at, const csti_manifest *manifest, uint32_t p,
                            csti_chain *chain) {
    const csti_manifest_rows *rows = manifest->partitions[p].rows;
    cst_code code;

    if (csti_name_list_find(&at->done, rows->name)) return CST_OK;
    code = csti_chain_open_rows(at->options->store, manifest, p, chain, at->err);
    if (code != CST_OK) return code;
    at->report.objects_count++;
    at->report.bytes += rows->bytes;
    code = done_add(at, rows->name);
    return code == CST_OK ? hold(at) : code;
}

static cst_code chain_verify(verifier *at, const csti_manifest *manifest, uint32_t p) {
    const csti_manifest_partition *partition = &manifest->partitions[p];
    const csti_manifest_stage stage = csti_manifest_stage_of(manifest, partition);
    csti_chain chain = {.segments_count = 0};
    cst_code code = csti_chain_open(at->options->store, manifest, p, 0, partition->segments_count,
                                    &at->work, NULL, &chain, at->err);

    for (uint32_t i = 0; code == CST_OK && i < chain.segments_count; i++) {
        code = segment_verify(at, &stage.hash_key, &partition->segments[i], chain.segments[i]);
        if (code == CST_OK) code = hold(at);
    }
    if (code == CST_OK && partition->rows) code = rows_verify(at, manifest, p, &chain);
    csti_chain_close(at->options->store, &chain);
    return code;
}

static uint64_t bytes_left(const verifier *at, const csti_manifest *manifest) {
    uint64_t bytes = 0;

    for (uint32_t p = 0; p < manifest->partitions_count; p++)
        for (uint32_t i = 0; i < manifest->partitions[p].segments_count; i++)
            if (!csti_name_list_find(&at->done, manifest->partitions[p].segments[i].name))
                bytes += manifest->partitions[p].segments[i].bytes;
    for (uint32_t p = 0; p < manifest->partitions_count; p++) {
        const csti_manifest_rows *rows = manifest->partitions[p].rows;

        if (rows && !csti_name_list_find(&at->done, rows->name)) bytes += rows->bytes;
    }
    return bytes;
}

// Damage is noted and passed over; what ends the reading comes back.
static cst_code damage_settle(verifier *at, cst_code code) {
    const cst_err damage = *at->err;

    if (!csti_code_is_damage(code)) return code;
    code = hold(at);
    if (code != CST_OK) return code;
    *at->err = damage;
    damage_note(at);
    return CST_OK;
}

static cst_code checkpoint_read(verifier *at, const csti_meta_checkpoint *checkpoint) {
    csti_manifest_object object = {.bytes = 0};
    cst_code code = csti_manifest_fetch(at->options->store, checkpoint->id, checkpoint->manifest,
                                        &checkpoint->crc, &at->work, &object, at->err);

    if (code != CST_OK) return damage_settle(at, code);
    at->report.objects_count++;
    at->report.bytes += object.bytes;
    at->checkpoint.objects_count++;
    at->checkpoint.bytes += object.bytes;
    at->bytes_all = at->report.bytes + bytes_left(at, &object.manifest);
    for (uint32_t p = 0; p < object.manifest.partitions_count; p++) {
        const csti_manifest_partition *partition = &object.manifest.partitions[p];

        for (uint32_t i = 0; i < partition->segments_count; i++) {
            at->checkpoint.objects_count++;
            at->checkpoint.bytes += partition->segments[i].bytes;
        }
        if (partition->rows) {
            at->checkpoint.objects_count++;
            at->checkpoint.bytes += partition->rows->bytes;
        }
        code = chain_verify(at, &object.manifest, p);
        if (code != CST_OK) code = damage_settle(at, code);
        if (code != CST_OK) return code;
        csti_name_list_sort(&at->done);
    }
    return CST_OK;
}

// A store that is only read, or whose disk is full, has no pins, and nothing is deleted from it
// either, unless somebody else may.
static cst_code pin_try(verifier *at, uint64_t id) {
    const csti_verify_options *options = at->options;
    const cst_code code =
        csti_pin_take(options->meta, options->clock, options->random, id, &at->pin, at->err);

    return code == CST_OBJECT_DENIED || code == CST_IO ? CST_OK : code;
}

static cst_code checkpoint_verify(verifier *at, const csti_meta_checkpoint *checkpoint) {
    cst_code code = CST_PIN_EXPIRED;

    for (int try = 0; code == CST_PIN_EXPIRED && try < VERIFY_TRIES; try++) {
        at->checkpoint = (csti_verify_checkpoint){.id = checkpoint->id};
        at->pin = (csti_pin){.id = 0};
        csti_arena_reset(&at->work);
        code = pin_try(at, checkpoint->id);
        if (code == CST_OK) code = checkpoint_read(at, checkpoint);
        csti_pin_end(&at->pin);
    }
    if (code != CST_OK) return code;
    at->report.checkpoints_count++;
    at->report.damaged_count += at->checkpoint.damaged_count > 0;
    if (at->options->checkpoint) at->options->checkpoint(at->options->context, &at->checkpoint);
    return CST_OK;
}

static cst_code verify(verifier *at, const csti_meta_view *view) {
    const uint64_t id = at->options->id;

    for (uint32_t i = view->checkpoints_count; i > 0; i--) {
        const csti_meta_checkpoint *checkpoint = &view->checkpoints[i - 1];
        cst_code code;

        if (id ? checkpoint->id != id : checkpoint->deleting) continue;
        code = checkpoint_verify(at, checkpoint);
        // One of many that was retired since is none any more.
        if (!id && (code == CST_CHECKPOINT_RETIRED || code == CST_NOT_FOUND)) continue;
        if (code != CST_OK)
            return cst_fail_at(at->err, code, "checkpoint %" PRIu64, checkpoint->id);
    }
    if (at->report.checkpoints_count == 0 && id)
        return cst_fail(at->err, CST_NOT_FOUND, "checkpoint %" PRIu64 " is not in the metadata",
                        id);
    if (at->report.checkpoints_count == 0)
        return cst_fail(at->err, CST_NOT_FOUND, "no checkpoint is committed");
    return CST_OK;
}

cst_code csti_verify(const csti_verify_options *options, csti_verify_report *report_out,
                     cst_err *err) {
    cst_err own = {.code = CST_OK};
    verifier at = {.options = options, .err = err ? err : &own};
    csti_arena view_arena;
    csti_meta_view view;
    cst_code code;

    csti_arena_init(&view_arena, VERIFY_ARENA_BYTES);
    csti_arena_init(&at.names, VERIFY_ARENA_BYTES);
    csti_arena_init(&at.work, VERIFY_ARENA_BYTES);
    code = csti_meta_refresh(options->meta, at.err);
    if (code == CST_OK) code = csti_meta_read(options->meta, &view_arena, &view, at.err);
    if (code == CST_OK) code = verify(&at, &view);
    if (code == CST_OK && at.first.code != CST_OK) {
        *at.err = at.first;
        code = at.first.code;
    }
    if (report_out) *report_out = at.report;
    csti_name_list_release(&at.done);
    csti_arena_release(&at.work);
    csti_arena_release(&at.names);
    csti_arena_release(&view_arena);
    return code;
}
