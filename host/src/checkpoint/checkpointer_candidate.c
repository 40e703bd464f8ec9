// checkpointer_candidate.c: the manifest to be: the committed chains and what is new behind them.
#include "checkpoint/checkpointer_internal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

// What the chain of a partition stands on: the registered full if there is one, else what is
// committed. Returns how many segments were put into `out`.
static uint32_t put_base(const csti_checkpointer *c, uint32_t p, csti_manifest_segment *out) {
    const csti_manifest_segment *full = &c->queues[p].full;
    uint32_t count = 0;

    if (c->committed->manifest.id == 0) return 0;
    assert(c->committed->manifest.partitions);
    const csti_manifest_partition *chain = &c->committed->manifest.partitions[p];
    if (full->name) out[count++] = *full;
    for (uint32_t i = 0; i < chain->segments_count; i++)
        if (!full->name || chain->segments[i].epoch_from > full->epoch_to)
            out[count++] = chain->segments[i];
    return count;
}

static cst_code make_partition_locked(csti_checkpointer *c, const csti_checkpoint *checkpoint,
                                      uint32_t p, csti_manifest_partition *out, cst_err *err) {
    const csti_checkpoint_queue *queue = &c->queues[p];
    const uint32_t first_count = c->options.partitions_count / (c->options.identity.then ? 2 : 1);
    csti_arena *arena = &c->candidate->arena;
    const csti_manifest_partition *before =
        c->committed->manifest.id == 0 ? NULL : &c->committed->manifest.partitions[p];
    const size_t segments_max = (before ? before->segments_count : 0) + queue->count + 1;
    csti_manifest_segment *segments = NULL;
    const cst_code code =
        csti_arena_alloc(arena, segments_max * sizeof *segments, 8, (void **)&segments, err);

    if (code != CST_OK) return code;
    const uint32_t base_count = put_base(c, p, segments);
    const uint64_t tip = before ? before->epoch_to : 0;
    *out = (csti_manifest_partition){
        .partition = p,
        .stage = csti_job_stage_of(&c->options.identity, p, c->options.partitions_count),
        .group_from = csti_partition_group_first(p % first_count, first_count),
        .group_to = csti_partition_group_first(p % first_count + 1, first_count),
        .owner = c->options.owner,
        .tenure = c->options.tenure,
        .epoch_from = tip + 1,
        .epoch_to = tip,
        .watermark_us = before ? before->watermark_us : INT64_MIN,
        .rows_count = before ? before->rows_count : 0,
        .segments_count = base_count,
        .outbox_first = base_count,
        .segments = segments,
    };
    for (uint32_t i = 0; i < queue->count; i++) {
        const csti_checkpoint_cut *cut = &queue->cuts[i];

        if (cut->id != checkpoint->id) continue;
        assert(cut->is_uploaded);
        assert(cut->given.epoch == out->epoch_to + 1);
        segments[out->segments_count] = cut->segment;
        segments[out->segments_count++].name = cut->name;
        out->epoch_to = cut->given.epoch;
        out->watermark_us = cut->given.watermark_us;
        out->rows_count = cut->given.rows_count;
    }
    if (checkpoint->parts[p].rows.rows_count > 0) {
        assert(checkpoint->parts[p].rows_uploaded);
        assert(checkpoint->parts[p].object.epoch == out->epoch_to);
        out->rows = &checkpoint->parts[p].object;
    }
    return CST_OK;
}

// Under the lock, since names of cuts move as epochs come and go: so what is made is a copy.
static cst_code make_locked(csti_checkpointer *c, const csti_checkpoint *checkpoint,
                            csti_manifest *manifest, cst_err *err) {
    csti_manifest_partition *partitions = NULL;
    cst_code code =
        csti_arena_alloc(&c->candidate->arena, c->options.partitions_count * sizeof *partitions, 8,
                         (void **)&partitions, err);

    for (uint32_t p = 0; p < c->options.partitions_count && code == CST_OK; p++)
        code = make_partition_locked(c, checkpoint, p, &partitions[p], err);
    if (code != CST_OK) return code;
    manifest->partitions = partitions;
    manifest->partitions_count = c->options.partitions_count;
    return csti_manifest_copy(manifest, &c->candidate->arena, &c->candidate->manifest, err);
}

cst_code csti_candidate_make(csti_checkpointer *c, const csti_checkpoint *checkpoint,
                             uint64_t incarnation, uint64_t base_id, cst_err *err) {
    const csti_job_identity *identity = &c->options.identity;
    csti_manifest_stage then;
    csti_manifest manifest = {
        .incarnation = incarnation,
        .id = checkpoint->id,
        .base_id = base_id,
        .job = identity->job,
        .owner = c->options.owner,
        .tenure = c->options.tenure,
        .created_us = csti_clock_wall_us(c->options.clock),
        .key_schema = identity->key_schema,
        .value = identity->value,
        .program = identity->program,
        .table_id = identity->table_id,
        .hash_key = identity->hash_key,
        .key_groups_count = CST_KEY_GROUPS_COUNT,
        .sink = identity->sink,
        .splits_count = checkpoint->splits_seen,
        .splits = checkpoint->splits,
    };
    cst_code code;

    if (identity->then) {
        then = (csti_manifest_stage){.key_schema = identity->then->key_schema,
                                     .value = identity->then->value,
                                     .program = identity->then->program,
                                     .table_id = identity->then->table_id,
                                     .hash_key = identity->then->hash_key};
        manifest.then = &then;
    }
    for (uint32_t i = 0; i < manifest.splits_count; i++)
        if (manifest.splits[i].skips) manifest.steps_hash = identity->steps_hash;
    csti_owned_manifest_free(c->candidate);
    c->candidate = csti_owned_manifest_make();
    if (!c->candidate) return cst_fail(err, CST_NO_MEMORY, "checkpointer: manifest");
    csti_checkpointer_lock(c);
    code = make_locked(c, checkpoint, &manifest, err);
    csti_checkpointer_unlock(c);
    if (code != CST_OK) return code;
    csti_buffer_reset(&c->text);
    return csti_manifest_write(&c->candidate->manifest, &c->text, err);
}

void csti_candidate_drop_fulls_locked(csti_checkpointer *c) {
    for (uint32_t p = 0; p < c->options.partitions_count; p++) {
        csti_manifest_segment *full = &c->queues[p].full;

        // One that came since the candidate was made is not what was refused, or not what it has.
        if (!full->name ||
            strcmp(full->name, c->candidate->manifest.partitions[p].segments[0].name) != 0)
            continue;
        free((void *)(uintptr_t)full->name);
        *full = (csti_manifest_segment){.name = NULL};
    }
}

void csti_candidate_settle_locked(csti_checkpointer *c) {
    csti_candidate_drop_fulls_locked(c); // those it has are in the chain now
    csti_owned_manifest_free(c->committed);
    c->committed = c->candidate;
    c->candidate = NULL;
}
