#include "checkpoint/chain.h"

#include "base/crc32c.h"
#include "checkpoint/names.h"
#include "meta/machine.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

bool csti_code_is_damage(cst_code code) {
    switch (code) {
    case CST_NOT_FOUND:
    case CST_MANIFEST:
    case CST_SEGMENT_MAGIC:
    case CST_SEGMENT_VERSION: // the byte that says so may be the damaged one
    case CST_SEGMENT_TRUNCATED:
    case CST_SEGMENT_CHECKSUM:
    case CST_SEGMENT_IDENTITY:
    case CST_SEGMENT_SCHEMA:
    case CST_SEGMENT_HASH_KEY:
    case CST_SEGMENT_RECORD:
    case CST_SEGMENT_BASE:
        return true;
    default:
        return false;
    }
}

// ---- Manifests ----------------------------------------------------------------------------------

static cst_code bytes_read(const char *name, const cst_object_body *body,
                           const uint32_t *crc_wanted, csti_arena *arena,
                           csti_manifest_object *object, cst_err *err) {
    csti_checkpoint_name parsed;

    object->bytes = body->count;
    object->crc = csti_crc32c(0, body->bytes, body->count);
    if (!csti_checkpoint_name_parse(name, &parsed) || parsed.kind != CSTI_NAME_MANIFEST)
        return cst_fail(err, CST_MANIFEST, "manifest %s: is no name of one. %s", name,
                        cst_code_advice(CST_MANIFEST));
    if (csti_manifest_nonce(parsed.nonce, object->crc) != parsed.nonce)
        return cst_fail(err, CST_MANIFEST,
                        "manifest %s: bytes 0 to %zu: checksum %08" PRIx32
                        ", its name ends with another. %s",
                        name, body->count, object->crc, cst_code_advice(CST_MANIFEST));
    if (crc_wanted && object->crc != *crc_wanted)
        return cst_fail(err, CST_MANIFEST,
                        "manifest %s: bytes 0 to %zu: checksum %08" PRIx32
                        ", the metadata says %08" PRIx32 ". %s",
                        name, body->count, object->crc, *crc_wanted, cst_code_advice(CST_MANIFEST));
    return csti_manifest_read(name, body->bytes, body->count, arena, &object->manifest, err);
}

cst_code csti_manifest_fetch(cst_object_store *store, uint64_t id, const char *name,
                             const uint32_t *crc_wanted, csti_arena *arena,
                             csti_manifest_object *out, cst_err *err) {
    csti_manifest_object object = {.bytes = 0};
    cst_object_body body = {.bytes = NULL};
    cst_code code =
        cst_object_get(store, name, 0, (uint64_t)CSTI_MANIFEST_BYTES_MAX + 1, &body, err);

    if (code != CST_OK) return cst_fail_at(err, code, "manifest of checkpoint %" PRIu64, id);
    code = bytes_read(name, &body, crc_wanted, arena, &object, err);
    cst_object_body_release(store, &body);
    if (code != CST_OK) return code;
    if (object.manifest.id != id)
        return cst_fail(err, CST_MANIFEST,
                        "manifest %s: id: %" PRIu64 ", where %" PRIu64 " was to be. %s", name,
                        object.manifest.id, id, cst_code_advice(CST_MANIFEST));
    *out = object;
    return CST_OK;
}

cst_code csti_manifest_fulls(const csti_manifest *manifest, csti_arena *arena,
                             const csti_meta_full_ref **out, uint32_t *count_out, cst_err *err) {
    csti_meta_full_ref *refs = NULL;
    uint32_t count = 0;
    const cst_code code = csti_arena_alloc(arena, manifest->partitions_count * sizeof *refs,
                                           _Alignof(csti_meta_full_ref), (void **)&refs, err);

    if (code != CST_OK) return code;
    for (uint32_t i = 0; i < manifest->partitions_count; i++) {
        const csti_manifest_partition *partition = &manifest->partitions[i];
        csti_checkpoint_name name;

        if (partition->segments_count == 0) continue;
        if (!csti_checkpoint_name_parse(partition->segments[0].name, &name)) continue;
        if (name.kind != CSTI_NAME_FOLD) continue;
        refs[count++] = (csti_meta_full_ref){
            .partition = partition->partition,
            .epoch = partition->segments[0].epoch_to,
            .name = partition->segments[0].name,
        };
    }
    *out = refs;
    *count_out = count;
    return CST_OK;
}

// ---- Chains -------------------------------------------------------------------------------------

// What a segment's bytes end with, at most: its kind is not believed before it was read.
static uint64_t tail_bytes(uint64_t segment_bytes) {
    return csti_segment_bytes(CST_SEGMENT_FULL_ORDERED, CST_SEGMENT_PARTS_MAX, segment_bytes) -
           segment_bytes - CSTI_SEGMENT_HEADER_BYTES;
}

// Segments [from, to) of it begin to be fetched. `wants` is freed.
static cst_code ahead_open(cst_object_store *store, const csti_manifest_segment *segments,
                           uint32_t count, csti_ahead **out, cst_err *err) {
    csti_ahead_want *wants = calloc(count + 1, sizeof *wants);
    cst_code code;

    if (!wants) return cst_fail(err, CST_NO_MEMORY, "a chain of %u segments", count);
    for (uint32_t i = 0; i < count; i++)
        wants[i] = (csti_ahead_want){.name = segments[i].name,
                                     .bytes = segments[i].bytes,
                                     .tail_bytes = tail_bytes(segments[i].bytes)};
    code = csti_ahead_open(store, wants, count, out, err);
    free(wants);
    return code;
}

static cst_code segment_wait(void *context, uint64_t bytes, cst_err *err) {
    const csti_chain_link *link = context;
    const cst_code code = csti_ahead_wait(link->ahead, link->number, bytes, err);

    return code == CST_OK ? CST_OK : cst_fail_at(err, code, "segment %s", link->name);
}

static cst_code segment_open(const csti_manifest_stage *stage, const csti_manifest_segment *wanted,
                             csti_chain_link *link, cst_segment **out, cst_err *err) {
    const cst_segment_expect expect = {
        .table_id = stage->table_id,
        .epoch_from = wanted->epoch_from,
        .epoch_to = wanted->epoch_to,
        .checksum = wanted->checksum,
        .schema_hash = cst_segment_schema_hash(stage->key_schema),
        .program_hash = cst_segment_program_hash(&stage->program),
        .hash_key_check = cst_segment_hash_key_check(&stage->hash_key),
    };
    cst_object_body body = {.bytes = NULL};
    cst_code code = csti_ahead_body(link->ahead, link->number, &body, err);

    if (code != CST_OK) return cst_fail_at(err, code, "segment %s", wanted->name);
    code = cst_segment_open_bytes(wanted->name, body.bytes, body.count, &expect, out, err);
    if (code == CST_OK) csti_segment_arrive(*out, (csti_segment_arrival){segment_wait, link});
    return code;
}

static cst_code arrays_alloc(csti_chain *chain, uint32_t count, csti_arena *arena, cst_err *err) {
    cst_code code = csti_arena_alloc(arena, count * sizeof *chain->segments,
                                     _Alignof(cst_segment *), (void **)&chain->segments, err);

    if (code == CST_OK)
        code = csti_arena_alloc(arena, count * sizeof *chain->links, _Alignof(csti_chain_link),
                                (void **)&chain->links, err);
    return code;
}

cst_code csti_chain_open(cst_object_store *store, const csti_manifest *manifest, uint32_t partition,
                         uint32_t from, uint32_t to, csti_arena *arena, const csti_read_step *step,
                         csti_chain *out, cst_err *err) {
    const csti_manifest_partition *of = &manifest->partitions[partition];
    const csti_manifest_stage stage = csti_manifest_stage_of(manifest, of);
    const csti_manifest_segment *segments = of->segments + from;
    const uint32_t count = to - from;
    csti_chain chain = {.segments_count = 0};
    uint64_t bytes = 0;
    cst_code code;

    assert(partition < manifest->partitions_count);
    assert(from <= to);
    assert(to <= of->segments_count);
    code = arrays_alloc(&chain, count, arena, err);
    if (code == CST_OK) code = ahead_open(store, segments, count, &chain.ahead, err);
    for (uint32_t i = 0; code == CST_OK && i < count; i++) {
        chain.links[i] = (csti_chain_link){chain.ahead, i, segments[i].name};
        code = segment_open(&stage, &segments[i], &chain.links[i], &chain.segments[i], err);
        if (code == CST_OK) chain.segments_count = i + 1;
        bytes += segments[i].bytes;
        if (code == CST_OK) code = csti_read_step_call(step, bytes, err);
    }
    if (code == CST_OK && from == 0 && count > 0)
        code = cst_segment_chain_check(chain.segments, count, err);
    if (code != CST_OK) {
        csti_chain_close(store, &chain);
        return code;
    }
    *out = chain;
    return CST_OK;
}

static cst_code rows_open(const csti_manifest *manifest, const csti_manifest_partition *of,
                          const cst_object_body *body, csti_stored_reader *out, cst_err *err) {
    const csti_manifest_stage stage = csti_manifest_stage_of(manifest, of);
    const csti_stored_expect expect = {
        .table_id = stage.table_id,
        .epoch = of->rows->epoch,
        .schema_hash = cst_segment_schema_hash(stage.key_schema),
        .program_hash = cst_segment_program_hash(&stage.program),
        .hash_key = &stage.hash_key,
        .group_from = of->group_from,
        .group_to = of->group_to,
        .checksum = of->rows->checksum,
        .rows_count = of->rows->rows_count,
        .bytes = of->rows->bytes,
    };

    return csti_stored_open(of->rows->name, body->bytes, body->count, &expect, out, err);
}

cst_code csti_chain_open_rows(cst_object_store *store, const csti_manifest *manifest,
                              uint32_t partition, csti_chain *chain, cst_err *err) {
    const csti_manifest_partition *of = &manifest->partitions[partition];
    cst_object_body body = {.bytes = NULL};
    cst_code code;

    assert(!chain->rows_body.bytes);
    if (!of->rows) return CST_OK;
    code = cst_object_get(store, of->rows->name, 0, UINT64_MAX, &body, err);
    if (code != CST_OK) return cst_fail_at(err, code, "stored rows %s", of->rows->name);
    code = rows_open(manifest, of, &body, &chain->rows, err);
    if (code == CST_OK)
        chain->rows_body = body;
    else
        cst_object_body_release(store, &body);
    return code;
}

void csti_chain_close(cst_object_store *store, csti_chain *chain) {
    if (chain->rows_body.bytes) cst_object_body_release(store, &chain->rows_body);
    for (uint32_t i = 0; i < chain->segments_count; i++) cst_segment_close(chain->segments[i]);
    csti_ahead_close(chain->ahead);
    *chain = (csti_chain){.segments_count = 0};
}
