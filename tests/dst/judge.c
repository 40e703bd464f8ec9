#include "dst/judge.h"

#include "checkpoint/names.h"
#include "dst/world.h"
#include "meta/log.h"

#include "base/crc32c.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ARENA_BYTES = 256 << 20 };

// ---- Books --------------------------------------------------------------------------------------

const judged_checkpoint *judge_find(const judge *self, uint64_t id) {
    for (uint32_t i = 0; i < self->checkpoints_count; i++)
        if (self->checkpoints[i].id == id) return &self->checkpoints[i];
    return NULL;
}

const judged_checkpoint *judge_newest(const judge *self) {
    return self->checkpoints_count ? &self->checkpoints[self->checkpoints_count - 1] : NULL;
}

bool judge_pin_lasts(const judge *self, uint64_t reader) {
    for (uint32_t i = 0; i < self->pins_count; i++)
        if (self->pins[i].reader == reader) return self->pins[i].expires_us > self->now_us;
    return false;
}

bool judge_owns(const judge *self, uint64_t owner, uint64_t tenure) {
    return tenure <= self->tenure && self->owners[tenure] == owner;
}

static bool is_aborted(const judge *self, uint64_t id) {
    for (uint32_t i = 0; i < self->aborted_count; i++)
        if (self->aborted[i] == id) return true;
    return false;
}

static bool is_there(const judge *self, const char *name) {
    cst_object_info info;

    return cst_object_head(self->store, name, &info, NULL) == CST_OK;
}

static bool needs(const judged_checkpoint *checkpoint, const char *name) {
    for (uint32_t i = 0; i < checkpoint->names_count; i++)
        if (strcmp(checkpoint->names[i], name) == 0) return true;
    return false;
}

void judge_check_objects(const judge *self) {
    for (uint32_t i = 0; i < self->checkpoints_count; i++) {
        const judged_checkpoint *checkpoint = &self->checkpoints[i];

        for (uint32_t n = 0; !checkpoint->is_retired && n < checkpoint->names_count; n++)
            if (!is_there(self, checkpoint->names[n]))
                violation(self->in, "checkpoint %" PRIu64 " is kept, and %s is gone",
                          checkpoint->id, checkpoint->names[n]);
    }
}

// ---- A commit -----------------------------------------------------------------------------------

static void note_name(judged_checkpoint *to, const char *name) {
    to->names = realloc(to->names, (to->names_count + 1) * sizeof *to->names);
    if (!to->names) abort();
    to->names[to->names_count] = strdup(name);
    if (!to->names[to->names_count++]) abort();
}

typedef struct opened_chain {
    cst_object_body *bodies;
    cst_segment **segments;
    uint32_t count;
} opened_chain;

static void chain_close(const judge *self, opened_chain *chain) {
    for (uint32_t i = 0; i < chain->count; i++) {
        cst_segment_close(chain->segments[i]);
        cst_object_body_release(self->store, &chain->bodies[i]);
    }
    free(chain->bodies);
    free(chain->segments);
}

// Opens the chain, and looks at every byte of it.
static opened_chain chain_open(const judge *self, uint64_t id,
                               const csti_manifest_partition *partition) {
    opened_chain chain = {.bodies = calloc(partition->segments_count, sizeof *chain.bodies),
                          .segments = calloc(partition->segments_count, sizeof(cst_segment *))};
    cst_err err = {.code = CST_OK};

    if (!chain.bodies || !chain.segments) abort();
    for (uint32_t i = 0; i < partition->segments_count; i++) {
        const csti_manifest_segment *from = &partition->segments[i];
        const cst_segment_expect expect = {.table_id = model_job.table_id,
                                           .epoch_from = from->epoch_from,
                                           .epoch_to = from->epoch_to,
                                           .checksum = from->checksum};

        if (cst_object_get(self->store, from->name, 0, UINT64_MAX, &chain.bodies[i], &err) !=
            CST_OK)
            violation(self->in, "checkpoint %" PRIu64 " was committed without %s", id, from->name);
        if (cst_segment_open_bytes(from->name, chain.bodies[i].bytes, chain.bodies[i].count,
                                   &expect, &chain.segments[i], &err) != CST_OK ||
            cst_segment_verify(chain.segments[i], &model_job.hash_key, &err) != CST_OK)
            violation(self->in, "checkpoint %" PRIu64 ": %s", id, err.text);
        chain.count++;
    }
    if (cst_segment_chain_check(chain.segments, chain.count, &err) != CST_OK)
        violation(self->in, "checkpoint %" PRIu64 ": %s", id, err.text);
    return chain;
}

static void check_partition(const judge *self, judged_checkpoint *to,
                            const csti_manifest_partition *from) {
    const uint32_t p = from->partition;
    const model_state wanted = model_state_at(to->ats[p], p, to->partitions_count);
    model_state found = {0};
    opened_chain chain = chain_open(self, to->id, from);

    for (uint32_t i = 0; i < chain.count; i++) {
        note_name(to, from->segments[i].name);
        if (!model_state_put(&found, chain.segments[i], p, to->partitions_count))
            violation(self->in, "checkpoint %" PRIu64 ": %s has a row of somewhere else", to->id,
                      from->segments[i].name);
    }
    for (uint64_t key = 0; key < MODEL_KEYS; key++)
        if (memcmp(&wanted.values[key], &found.values[key], sizeof wanted.values[key]) != 0)
            violation(self->in,
                      "checkpoint %" PRIu64 ": key %" PRIu64 " has %" PRIu64 " rows of sum %" PRIu64
                      "; its offsets say %" PRIu64 " of %" PRIu64,
                      to->id, key, found.values[key].count, found.values[key].sum,
                      wanted.values[key].count, wanted.values[key].sum);
    to->epoch_from[p] = from->epoch_from;
    to->epoch_to[p] = from->epoch_to;
    chain_close(self, &chain);
}

// They go on behind those of the checkpoint before, of the same partition or of all.
static void check_epochs(const judge *self, const judged_checkpoint *to) {
    const judged_checkpoint *before = judge_newest(self);
    uint64_t highest = 0;

    for (uint32_t p = 0; before && p < before->partitions_count; p++)
        if (before->epoch_to[p] > highest) highest = before->epoch_to[p];
    for (uint32_t p = 0; p < to->partitions_count; p++) {
        const bool is_old = before && before->partitions_count == to->partitions_count;

        if (to->epoch_from[p] != (is_old ? before->epoch_to[p] : highest) + 1)
            violation(self->in,
                      "checkpoint %" PRIu64 ": partition %u of %u goes on with epoch %" PRIu64,
                      to->id, p, to->partitions_count, to->epoch_from[p]);
    }
}

// Where each split goes on, and what partitions have behind that.
static void check_splits(const judge *self, judged_checkpoint *to, const csti_manifest *manifest) {
    const judged_checkpoint *before = judge_newest(self);

    to->is_unaligned = csti_manifest_is_unaligned(manifest);
    for (uint32_t s = 0; s < MODEL_SPLITS; s++) {
        const csti_manifest_split *split = &manifest->splits[s];

        if (!model_offset_read(split->offset, &to->offsets[s]))
            violation(self->in, "offset %s", split->offset);
        if (before && to->offsets[s] < before->offsets[s])
            violation(self->in, "checkpoint %" PRIu64 ": split %s goes back to %" PRIu64, to->id,
                      split->split, to->offsets[s]);
        for (uint32_t p = 0; p < to->partitions_count; p++)
            to->ats[p][s] = model_row_behind(s, to->offsets[s], split->skips ? split->skips[p] : 0,
                                             p, to->partitions_count);
    }
}

static void check_manifest(const judge *self, judged_checkpoint *to,
                           const csti_meta_command *command) {
    cst_object_body body = {.bytes = NULL};
    cst_err err = {.code = CST_OK};
    csti_manifest manifest;
    csti_arena arena;

    csti_arena_init(&arena, ARENA_BYTES);
    if (cst_object_get(self->store, command->name, 0, UINT64_MAX, &body, NULL) != CST_OK)
        violation(self->in, "checkpoint %" PRIu64 " was committed without its manifest %s",
                  command->id, command->name);
    if (csti_crc32c(0, body.bytes, body.count) != command->crc ||
        csti_manifest_read(command->name, body.bytes, body.count, &arena, &manifest, &err) !=
            CST_OK)
        violation(self->in, "checkpoint %" PRIu64 ": its manifest is wrong: %s", command->id,
                  err.text);
    if (manifest.id != command->id || manifest.base_id != command->base_id ||
        manifest.splits_count != MODEL_SPLITS || manifest.partitions_count > MODEL_PARTITIONS_MAX)
        violation(self->in, "checkpoint %" PRIu64 ": its manifest is another's", command->id);
    note_name(to, command->name);
    if (command->kind == CSTI_META_COMMIT && manifest.partitions_count != self->partitions_count)
        violation(self->in, "checkpoint %" PRIu64 " has %u partitions, the job %u", command->id,
                  manifest.partitions_count, self->partitions_count);
    to->partitions_count = manifest.partitions_count;
    check_splits(self, to, &manifest);
    for (uint32_t p = 0; p < manifest.partitions_count; p++)
        check_partition(self, to, &manifest.partitions[p]);
    check_epochs(self, to);
    cst_object_body_release(self->store, &body);
    csti_arena_release(&arena);
}

static void take_commit(judge *self, const csti_meta_command *command) {
    const judged_checkpoint *newest = judge_newest(self);
    judged_checkpoint *to = &self->checkpoints[self->checkpoints_count];

    if (!judge_owns(self, command->owner, command->tenure) || command->tenure != self->tenure)
        violation(self->in,
                  "checkpoint %" PRIu64 " was committed by tenure %" PRIu64 " during %" PRIu64,
                  command->id, command->tenure, self->tenure);
    if (judge_find(self, command->id)) return; // again
    if (is_aborted(self, command->id))
        violation(self->in, "checkpoint %" PRIu64 " was committed after it was aborted",
                  command->id);
    if (newest && command->id <= newest->id)
        violation(self->in, "checkpoint %" PRIu64 " was committed after %" PRIu64, command->id,
                  newest->id);
    if (command->base_id != (newest ? newest->id : 0))
        violation(self->in, "checkpoint %" PRIu64 " stands on %" PRIu64 ", not on the newest",
                  command->id, command->base_id);
    if (self->checkpoints_count == JUDGE_CHECKPOINTS_MAX) abort();
    *to = (judged_checkpoint){.id = command->id,
                              .base_id = command->base_id,
                              .tenure = command->tenure};
    check_manifest(self, to, command);
    self->checkpoints_count++;
    self->unaligned_count += to->is_unaligned;
    world_note(self->in, "judge: checkpoint %" PRIu64 " is committed%s", to->id,
               to->is_unaligned ? ", not aligned" : "");
}

// ---- Other decisions ----------------------------------------------------------------------------

static void take_retire(judge *self, const csti_meta_command *command) {
    for (uint32_t i = 0; i < command->ids_count; i++) {
        judged_checkpoint *checkpoint = NULL;

        for (uint32_t k = 0; k + 1 < self->checkpoints_count; k++) // never the newest
            if (self->checkpoints[k].id == command->ids[i]) checkpoint = &self->checkpoints[k];
        if (!checkpoint)
            violation(self->in, "checkpoint %" PRIu64 " is retired, it must stay", command->ids[i]);
        for (uint32_t k = 0; !checkpoint->is_retired && k < self->pins_count; k++)
            if (self->pins[k].id == checkpoint->id && self->pins[k].expires_us > self->now_us)
                violation(self->in, "checkpoint %" PRIu64 " is retired, reader %" PRIx64 " pins it",
                          checkpoint->id, self->pins[k].reader);
        checkpoint->is_retired = true;
    }
    for (uint32_t n = 0; n < command->names_count; n++)
        for (uint32_t i = 0; i < self->checkpoints_count; i++)
            if (!self->checkpoints[i].is_retired && needs(&self->checkpoints[i], command->names[n]))
                violation(self->in, "%s is to be deleted, checkpoint %" PRIu64 " needs it",
                          command->names[n], self->checkpoints[i].id);
}

static void take_pin(judge *self, const csti_meta_command *command) {
    const int64_t expires_us = self->now_us + (int64_t)command->ttl_us;
    uint32_t at = 0;

    while (at < self->pins_count && self->pins[at].reader != command->reader) at++;
    if (at == JUDGE_PINS_MAX) abort();
    if (at == self->pins_count) {
        self->pins[self->pins_count++] =
            (csti_meta_pin){.reader = command->reader, .id = command->id, .expires_us = expires_us};
        return;
    }
    if (self->pins[at].expires_us <= self->now_us || self->pins[at].id != command->id)
        violation(self->in, "reader %" PRIx64 " holds a pin that it does not have",
                  command->reader);
    if (self->pins[at].expires_us < expires_us) self->pins[at].expires_us = expires_us;
}

static void take_unpin(judge *self, const csti_meta_command *command) {
    for (uint32_t i = 0; i < self->pins_count; i++)
        if (self->pins[i].reader == command->reader) self->pins[i] = self->pins[--self->pins_count];
}

static void take_token(judge *self, const csti_meta_result *result, bool goes_up) {
    if (result->token < self->fold_token || (goes_up && result->token == self->fold_token))
        violation(self->in, "the fold's token %" PRIu64 " comes after %" PRIu64, result->token,
                  self->fold_token);
    self->fold_token = result->token;
}

static void take_decision(judge *self, const csti_meta_command *command,
                          const csti_meta_result *result) {
    switch (command->kind) {
    case CSTI_META_CLAIM:
    case CSTI_META_PARTITIONS:
        if (result->tenure != self->tenure + 1)
            violation(self->in, "tenure %" PRIu64 " comes after %" PRIu64, result->tenure,
                      self->tenure);
        self->tenure = result->tenure;
        if (self->tenure == JUDGE_TENURES_MAX) abort();
        self->owners[self->tenure] = command->owner;
        if (command->kind == CSTI_META_PARTITIONS) self->changes_count++;
        if (command->kind == CSTI_META_PARTITIONS || self->partitions_count == 0)
            self->partitions_count = command->count;
        break;
    case CSTI_META_COMMIT:
    case CSTI_META_ADOPT:
        take_commit(self, command);
        break;
    case CSTI_META_ABORT:
        if (judge_find(self, command->id))
            violation(self->in, "checkpoint %" PRIu64 " is aborted, it is committed", command->id);
        if (self->aborted_count == JUDGE_ABORTED_MAX) abort();
        self->aborted[self->aborted_count++] = command->id;
        break;
    case CSTI_META_REGISTER_FULL:
        if (command->token != self->fold_token)
            violation(self->in, "%s is registered by token %" PRIu64 ", it is at %" PRIu64,
                      command->name, command->token, self->fold_token);
        if (!is_there(self, command->name))
            violation(self->in, "%s is registered and not there", command->name);
        break;
    case CSTI_META_RETIRE:
        take_retire(self, command);
        break;
    case CSTI_META_PIN:
        take_pin(self, command);
        break;
    case CSTI_META_UNPIN:
        take_unpin(self, command);
        break;
    case CSTI_META_LEASE:
    case CSTI_META_TOKEN_RAISE:
        if (strcmp(command->lease, "fold") == 0)
            take_token(self, result, command->kind == CSTI_META_TOKEN_RAISE);
        break;
    case CSTI_META_DELETED:
    case CSTI_META_LEASE_END:
        break;
    }
}

// ---- Steps --------------------------------------------------------------------------------------

// The entry behind the last one taken; false: there is none yet.
static bool take_entry(judge *self) {
    char name[CSTI_META_NAME_BYTES];
    cst_object_body body = {.bytes = NULL};
    csti_meta_command command;
    csti_meta_result result;
    csti_arena arena;
    cst_err err = {.code = CST_OK};

    csti_meta_name_write((csti_meta_object){1, self->index + 1, false}, name);
    if (cst_object_get(self->store, name, 0, UINT64_MAX, &body, NULL) != CST_OK) return false;
    csti_arena_init(&arena, ARENA_BYTES);
    if (csti_meta_entry_decode(1, self->index + 1, body.bytes, body.count, &arena, &command,
                               &err) != CST_OK ||
        csti_meta_machine_apply(self->machine, self->index + 1, &command, &result, &err) != CST_OK)
        violation(self->in, "%s: %s", name, err.text);
    self->index++;
    if (command.time_us > self->now_us) self->now_us = command.time_us;
    if (result.code == CST_OK) take_decision(self, &command, &result);
    csti_arena_release(&arena);
    cst_object_body_release(self->store, &body);
    return true;
}

static bool visit_snapshot(void *context, const char *name, const cst_object_info *info) {
    csti_meta_object object;

    (void)info;
    if (csti_meta_name_read(name, &object) && object.snapshot) *(uint64_t *)context = object.index;
    return true;
}

static void check_trim(const judge *self, const csti_meta_object *object) {
    uint64_t newest = 0;

    if (cst_object_list(self->store, "meta/", NULL, visit_snapshot, &newest, NULL) != CST_OK)
        abort();
    if (newest < object->index)
        violation(self->in,
                  "entry or snapshot %" PRIu64 " is deleted, the newest snapshot is %" PRIu64,
                  object->index, newest);
}

void judge_step(judge *self, const char *deleted) {
    csti_meta_object object;

    while (take_entry(self)) continue;
    if (!deleted || is_there(self, deleted)) return;
    if (csti_meta_name_read(deleted, &object)) check_trim(self, &object);
    for (uint32_t i = 0; i < self->checkpoints_count; i++)
        if (!self->checkpoints[i].is_retired && needs(&self->checkpoints[i], deleted))
            violation(self->in, "%s is deleted, checkpoint %" PRIu64 " needs it", deleted,
                      self->checkpoints[i].id);
}

void judge_open(judge *self, world *in) {
    const csti_object_sim_options options = {.seed = 1};

    *self = (judge){.in = in, .now_us = INT64_MIN};
    if (csti_object_sim_client_open(in->objects, &options, &self->store, NULL) != CST_OK) abort();
    if (csti_meta_machine_open(1, &self->machine, NULL) != CST_OK) abort();
}

void judge_close(judge *self) {
    for (uint32_t i = 0; i < self->checkpoints_count; i++) {
        for (uint32_t n = 0; n < self->checkpoints[i].names_count; n++)
            free(self->checkpoints[i].names[n]);
        free(self->checkpoints[i].names);
    }
    csti_meta_machine_close(self->machine);
    cst_object_store_close(self->store);
}

// ---- The end ------------------------------------------------------------------------------------

bool judge_is_done(const judge *self, const uint64_t offsets[MODEL_SPLITS]) {
    const judged_checkpoint *newest = judge_newest(self);

    if (!newest) return false;
    for (uint32_t s = 0; s < MODEL_SPLITS; s++)
        if (newest->offsets[s] != offsets[s]) return false;
    for (uint32_t p = 0; p < newest->partitions_count; p++)
        if (self->in->sink.partitions[p].epoch != newest->epoch_to[p]) return false;
    return true;
}

// What a process that starts now reads in the log is what was decided.
static void check_log(const judge *self) {
    const csti_meta_log_options options = {.store = self->store,
                                           .clock = &self->in->clock.clock,
                                           .random = &self->in->random.random};
    cst_err err = {.code = CST_OK};
    csti_meta *meta = NULL;
    csti_meta_view truth, view;
    csti_arena arena;

    csti_arena_init(&arena, ARENA_BYTES);
    if (csti_meta_open_log(&options, &meta, &err) != CST_OK ||
        csti_meta_read(meta, &arena, &view, &err) != CST_OK)
        violation(self->in, "the log cannot be read: %s", err.text);
    csti_meta_machine_view(self->machine, &truth);
    if (view.index != truth.index || view.tenure != truth.tenure || view.owner != truth.owner ||
        view.checkpoints_count != truth.checkpoints_count ||
        view.aborted_count != truth.aborted_count || view.fulls_count != truth.fulls_count ||
        view.pins_count != truth.pins_count || view.pending_count != truth.pending_count)
        violation(self->in, "the log gives another state than was decided");
    for (uint32_t i = 0; i < truth.checkpoints_count; i++)
        if (view.checkpoints[i].id != truth.checkpoints[i].id ||
            view.checkpoints[i].crc != truth.checkpoints[i].crc)
            violation(self->in, "the log gives another checkpoint %" PRIu64,
                      truth.checkpoints[i].id);
    csti_meta_close(meta);
    csti_arena_release(&arena);
}

typedef struct garbage {
    const judge *self;
    csti_meta_view view;
    csti_checkpoint_name newest; // its manifest's
    char name[CST_OBJECT_NAME_BYTES_MAX + 1];
} garbage;

// What nobody needs, and whoever wrote it can't commit any more.
static bool is_garbage(const garbage *at, const char *name) {
    csti_checkpoint_name parsed;

    for (uint32_t i = 0; i < at->self->checkpoints_count; i++)
        if (!at->self->checkpoints[i].is_retired && needs(&at->self->checkpoints[i], name))
            return false;
    for (uint32_t i = 0; i < at->view.fulls_count; i++)
        if (strcmp(at->view.fulls[i].name, name) == 0) return false;
    if (!csti_checkpoint_name_parse(name, &parsed)) return true;
    if (parsed.kind == CSTI_NAME_FOLD) return true;
    return parsed.tenure < at->newest.tenure ||
           (parsed.tenure == at->newest.tenure && parsed.id <= at->newest.id);
}

static bool visit_garbage(void *context, const char *name, const cst_object_info *info) {
    garbage *at = context;

    (void)info;
    if (!is_garbage(at, name)) return true;
    (void)snprintf(at->name, sizeof at->name, "%s", name);
    return false;
}

static void check_garbage(const judge *self) {
    garbage at = {.self = self};

    csti_meta_machine_view(self->machine, &at.view);
    if (!csti_checkpoint_name_parse(judge_newest(self)->names[0], &at.newest)) abort();
    if (cst_object_list(self->store, CSTI_CHECKPOINTS_PREFIX, NULL, visit_garbage, &at, NULL) !=
            CST_OK ||
        cst_object_list(self->store, CSTI_FOLDS_PREFIX, NULL, visit_garbage, &at, NULL) != CST_OK)
        abort();
    if (at.name[0]) violation(self->in, "%s is garbage, and stays", at.name);
    if (at.view.pending_count > 0)
        violation(self->in, "%s is to be deleted, and stays", at.view.pending[0]);
}

void judge_check_end(const judge *self) {
    judge_check_objects(self);
    check_garbage(self);
    check_log(self);
}

// ---- The sink -----------------------------------------------------------------------------------

static void check_sink_state(const world *in, const judged_checkpoint *checkpoint, uint32_t p) {
    const model_state wanted = model_state_at(checkpoint->ats[p], p, checkpoint->partitions_count);

    for (uint64_t key = 0; key < MODEL_KEYS; key++) {
        if (model_partition_of(key, checkpoint->partitions_count) != p) continue;
        if (memcmp(&wanted.values[key], &in->sink.state.values[key], sizeof wanted.values[key]))
            violation(in, "the output up to checkpoint %" PRIu64 ", partition %u, is not its state",
                      checkpoint->id, p);
    }
}

// Whether the committed one before it had as many partitions.
static bool is_of_before(const world *in, const judged_checkpoint *checkpoint) {
    const judged_checkpoint *before = judge_find(&in->judge, checkpoint->base_id);

    return before && before->partitions_count == checkpoint->partitions_count;
}

void sink_take(world *in, uint64_t checkpoint_id, uint32_t p, const cst_segment *segment) {
    const judged_checkpoint *checkpoint;
    const uint64_t digest = model_digest(segment);
    cst_segment_info info;

    judge_step(&in->judge, NULL);
    checkpoint = judge_find(&in->judge, checkpoint_id);
    cst_segment_info_read(segment, &info);
    if (!checkpoint)
        violation(in, "output of checkpoint %" PRIu64 " is released, it is not committed",
                  checkpoint_id);
    if (p >= checkpoint->partitions_count || info.epoch_from != info.epoch_to ||
        info.epoch_to < checkpoint->epoch_from[p] || info.epoch_to > checkpoint->epoch_to[p] ||
        info.epoch_to >= SINK_EPOCHS_MAX)
        violation(in, "checkpoint %" PRIu64 " releases epoch %" PRIu64 " of partition %u",
                  checkpoint_id, info.epoch_to, p);
    world_note(in, "sink: checkpoint %" PRIu64 ", partition %u, epoch %" PRIu64, checkpoint_id, p,
               info.epoch_to);
    if (info.epoch_to <= in->sink.partitions[p].epoch) {
        if (in->sink.partitions[p].digests[info.epoch_to] != digest)
            violation(in, "epoch %" PRIu64 " of partition %u is released again, and differs",
                      info.epoch_to, p);
        return;
    }
    // The first epoch of another number of partitions, check_epochs has looked at.
    if (info.epoch_to != in->sink.partitions[p].epoch + 1 &&
        (is_of_before(in, checkpoint) || info.epoch_to != checkpoint->epoch_from[p]))
        violation(in, "epoch %" PRIu64 " of partition %u is released after %" PRIu64, info.epoch_to,
                  p, in->sink.partitions[p].epoch);
    in->sink.partitions[p].epoch = info.epoch_to;
    in->sink.partitions[p].digests[info.epoch_to] = digest;
    if (!model_state_put(&in->sink.state, segment, p, checkpoint->partitions_count))
        violation(in, "output of partition %u has a row of somewhere else", p);
    if (info.epoch_to == checkpoint->epoch_to[p]) check_sink_state(in, checkpoint, p);
}
