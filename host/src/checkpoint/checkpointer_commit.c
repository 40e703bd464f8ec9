// checkpointer_commit.c: the steps that decide: guard, manifest, command, release; or the abort.
#include "base/crc32c.h"
#include "base/fault_point.h"
#include "base/mistake.h"
#include "checkpoint/checkpointer_internal.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

// ---- The guard, and what the metadata says ------------------------------------------------------

// A fresh copy of the metadata; FENCED if job or any partition is another's by now.
static cst_code read_guard(csti_checkpointer *c, csti_meta_view *view, cst_err *err) {
    bool is_ours = true;
    cst_code code = csti_meta_refresh(c->options.meta, err);

    csti_arena_reset(&c->view);
    if (code == CST_OK) code = csti_meta_read(c->options.meta, &c->view, view, err);
    if (code == CST_FENCED) return csti_checkpointer_fence(c, err); // a later incarnation
    if (code != CST_OK) return code;
    is_ours = view->owner == c->options.owner && view->tenure == c->options.tenure &&
              view->partitions_count == c->options.partitions_count;
    for (uint32_t p = 0; is_ours && p < view->partitions_count; p++)
        is_ours = view->partitions[p].owner == c->options.owner &&
                  view->partitions[p].tenure == c->options.tenure;
    if (CSTI_MISTAKE(stale_commits)) is_ours = true;
    return is_ours ? CST_OK : csti_checkpointer_fence(c, err);
}

static bool is_committed(const csti_meta_view *view, const csti_checkpoint *checkpoint) {
    for (uint32_t i = 0; i < view->checkpoints_count; i++)
        if (view->checkpoints[i].id == checkpoint->id)
            return view->checkpoints[i].crc == checkpoint->manifest_crc &&
                   strcmp(view->checkpoints[i].manifest, checkpoint->manifest) == 0;
    return false;
}

static cst_code propose(csti_checkpointer *c, csti_meta_command *command, cst_err *err) {
    csti_meta_result result = {.code = CST_OK};

    command->owner = c->options.owner;
    command->tenure = c->options.tenure;
    const cst_code code = csti_meta_propose(c->options.meta, command, &result, err);
    return code == CST_FENCED ? csti_checkpointer_fence(c, err) : code;
}

// ---- Release ------------------------------------------------------------------------------------

// What goes out is what was committed: it is read back, and checked.
static cst_code release_segment(csti_checkpointer *c, uint64_t id, uint32_t partition,
                                const csti_manifest_segment *from, cst_err *err) {
    cst_segment_expect expect =
        c->expect[csti_job_stage_of(&c->options.identity, partition, c->options.partitions_count)];
    cst_object_body body = {.bytes = NULL};
    cst_segment *segment = NULL;
    cst_code code = cst_object_get(c->options.store, from->name, 0, UINT64_MAX, &body, err);

    if (code != CST_OK) return code;
    expect.epoch_from = from->epoch_from;
    expect.epoch_to = from->epoch_to;
    expect.checksum = from->checksum;
    code = cst_segment_open_bytes(from->name, body.bytes, body.count, &expect, &segment, err);
    if (code == CST_OK)
        code = c->options.release(c->options.release_context, id, partition, segment, err);
    cst_segment_close(segment);
    cst_object_body_release(c->options.store, &body);
    return code;
}

static cst_code release_outputs(csti_checkpointer *c, const csti_manifest *manifest, cst_err *err) {
    cst_code code = CST_OK;
    bool is_first = true;

    if (!c->options.release) return CST_OK;
    for (uint32_t p = c->options.release_first; p < manifest->partitions_count; p++) {
        const csti_manifest_partition *partition = &manifest->partitions[p];

        for (uint32_t s = partition->outbox_first; s < partition->segments_count; s++) {
            if (!is_first) CSTI_FAULT_POINT(release_part);
            is_first = false;
            code = release_segment(c, manifest->id, p, &partition->segments[s], err);
            if (code != CST_OK) return code;
        }
    }
    CSTI_FAULT_POINT(release_after);
    return CST_OK;
}

// ---- Commit -------------------------------------------------------------------------------------

static cst_code put_manifest(csti_checkpointer *c, csti_checkpoint *checkpoint, cst_err *err) {
    const cst_bytes range = {c->text.bytes, c->text.used_bytes};
    const cst_put_options options = {.condition = CST_PUT_IF_ABSENT, .nonce = checkpoint->nonce};

    checkpoint->manifest_crc = csti_crc32c(0, c->text.bytes, c->text.used_bytes);
    csti_checkpoint_name_format(
        &(csti_checkpoint_name){.kind = CSTI_NAME_MANIFEST,
                                .id = checkpoint->id,
                                .tenure = c->options.tenure,
                                .nonce = csti_manifest_nonce(checkpoint->nonce,
                                                             checkpoint->manifest_crc)},
        checkpoint->manifest);
    checkpoint->manifest_tried = true;
    const cst_code code =
        cst_object_put(c->options.store, checkpoint->manifest, &range, 1, &options, NULL, err);
    if (!csti_code_is_ambiguous(code)) return code;
    if (CSTI_MISTAKE(ambiguous_is_done)) return CST_OK;
    return csti_checkpointer_settle(c, checkpoint->manifest, checkpoint->nonce, c->text.used_bytes,
                                    err);
}

// The folds that the candidate's chains stand on.
static cst_code list_fulls(const csti_checkpointer *c, csti_arena *arena,
                           csti_meta_full_ref **refs_out, uint32_t *count_out, cst_err *err) {
    const csti_manifest *manifest = &c->candidate->manifest;
    csti_meta_full_ref *refs = NULL;
    uint32_t count = 0;
    const cst_code code =
        csti_arena_alloc(arena, manifest->partitions_count * sizeof *refs, 8, (void **)&refs, err);

    if (code != CST_OK) return code;
    for (uint32_t p = 0; p < manifest->partitions_count; p++) {
        const csti_manifest_segment *first = manifest->partitions[p].segments;
        csti_checkpoint_name name;

        assert(manifest->partitions[p].segments_count > 0);
        if (!csti_checkpoint_name_parse(first->name, &name) || name.kind != CSTI_NAME_FOLD)
            continue;
        refs[count++] = (csti_meta_full_ref){p, first->epoch_to, first->name};
    }
    *refs_out = refs;
    *count_out = count;
    return CST_OK;
}

// OK: it is committed. Anything else: it is not, or it is not known.
static cst_code propose_commit(csti_checkpointer *c, csti_checkpoint *checkpoint, cst_err *err) {
    const uint32_t partitions_count = c->options.partitions_count;
    csti_meta_full_ref *refs = NULL;
    uint64_t *tenures = NULL;
    csti_meta_command command = {
        .kind = CSTI_META_COMMIT,
        .id = checkpoint->id,
        .base_id = c->candidate->manifest.base_id,
        .name = checkpoint->manifest,
        .crc = checkpoint->manifest_crc,
        .tenures_count = partitions_count,
    };
    cst_code code = list_fulls(c, &c->view, &refs, &command.fulls_count, err);

    if (code == CST_OK)
        code = csti_arena_alloc(&c->view, partitions_count * sizeof *tenures, 8, (void **)&tenures,
                                err);
    if (code != CST_OK) return code;
    for (uint32_t p = 0; p < partitions_count; p++) tenures[p] = c->options.tenure;
    command.fulls = refs;
    command.tenures = tenures;
    checkpoint->commit_tried = true;
    return propose(c, &command, err);
}

// Of a proposal: the log has no such entry, or this is what it was answered with.
static bool is_refusal(cst_code code) {
    return code == CST_FENCED || code == CST_CHECKPOINT_ORDER || code == CST_CHECKPOINT_ABORTED ||
           code == CST_CHECKPOINT_RETIRED || code == CST_LIMIT || code == CST_USAGE;
}

static cst_code decide(csti_checkpointer *c, csti_checkpoint *checkpoint, cst_err *err) {
    csti_meta_view view = {0};
    cst_code code = propose_commit(c, checkpoint, err);

    if (code == CST_OK || is_refusal(code)) return code;
    // Not known: look. What can't be seen now is decided by the abort, which a commit refuses.
    const cst_code seen = read_guard(c, &view, NULL);
    if (seen == CST_FENCED) return csti_checkpointer_fence(c, err);
    return seen == CST_OK && is_committed(&view, checkpoint) ? CST_OK : code;
}

static cst_code check_step_deadline(const csti_checkpointer *c, uint64_t begun_ns, cst_err *err) {
    if (csti_checkpointer_now(c) - begun_ns <= c->options.step_deadline_us * 1000) return CST_OK;
    return cst_fail(err, CST_DEADLINE, "its manifest took longer than %" PRIu64 " us",
                    c->options.step_deadline_us);
}

static uint64_t base_of(const csti_checkpointer *c, const csti_meta_view *view) {
    if (c->stats.committed > 0) return c->committed->manifest.id; // only commit's thread writes it
    return view->checkpoints_count == 0 ? 0 : view->checkpoints[view->checkpoints_count - 1].id;
}

static cst_code commit_steps(csti_checkpointer *c, csti_checkpoint *checkpoint, cst_err *err) {
    const uint64_t begun_ns = csti_checkpointer_now(c);
    csti_meta_view view = {0};
    cst_code code;

    CSTI_FAULT_POINT(commit_before_guard);
    code = read_guard(c, &view, err);
    if (code == CST_OK)
        code = csti_candidate_make(c, checkpoint, view.incarnation, base_of(c, &view), err);
    if (code != CST_OK) return code;
    CSTI_FAULT_POINT(commit_before_manifest);
    code = put_manifest(c, checkpoint, err);
    if (code != CST_OK) return code;
    CSTI_FAULT_POINT(commit_after_manifest);
    if (CSTI_MISTAKE(release_before_commit))
        code = release_outputs(c, &c->candidate->manifest, err);
    if (code == CST_OK) code = check_step_deadline(c, begun_ns, err);
    if (code == CST_OK) code = decide(c, checkpoint, err);
    if (code != CST_OK) return code;
    CSTI_FAULT_POINT(commit_after_command);
    if (csti_manifest_has_rows(&c->candidate->manifest)) CSTI_FAULT_POINT(then_committed);
    return CST_OK;
}

static void committed_locked(csti_checkpointer *c, csti_checkpoint *checkpoint) {
    csti_candidate_settle_locked(c);
    checkpoint->state = CSTI_CHECKPOINT_COMMITTED;
    c->retry_at_ns = 0;
    c->backoff_us = 0;
    c->stats.committed++;
    c->stats.last_committed_id = checkpoint->id;
    CSTI_LOG(c->options.logger, CSTI_LOG_INFO, "checkpoint_committed",
             csti_log_u64("id", checkpoint->id),
             csti_log_u64("manifest_bytes", c->text.used_bytes));
}

static cst_code commit_checkpoint(csti_checkpointer *c, csti_checkpoint *checkpoint, cst_err *err) {
    const uint64_t begun_ns = csti_checkpointer_now(c);
    cst_err why = {.code = CST_OK};
    const cst_code code = commit_steps(c, checkpoint, &why);

    csti_checkpointer_lock(c);
    c->stats.commit_ns += csti_checkpointer_now(c) - begun_ns;
    if (code == CST_OK) {
        committed_locked(c, checkpoint);
    } else if (code != CST_FENCED) {
        if (code == CST_CHECKPOINT_RETIRED) csti_candidate_drop_fulls_locked(c);
        csti_checkpointer_back_off_locked(c, code);
        csti_checkpoint_doom_locked(c, checkpoint, code, why.text);
    }
    csti_checkpointer_unlock(c);
    if (code == CST_OK) return CST_OK;
    return cst_fail(err, code, "checkpoint %" PRIu64 ": %s", checkpoint->id, why.text);
}

// ---- Released ----------------------------------------------------------------------------------

static void released_locked(csti_checkpointer *c, csti_checkpoint *checkpoint) {
    for (uint32_t p = 0; p < c->options.partitions_count; p++)
        for (uint32_t i = 0; i < c->queues[p].count; i++) {
            csti_checkpoint_cut *cut = &c->queues[p].cuts[i];

            if (cut->id != checkpoint->id || cut->is_released) continue;
            assert(cut->is_uploaded);
            cut->is_released = true;
            c->stats.staged_epochs--;
            c->stats.staged_bytes -= cut->given.delta_bytes;
        }
    c->stats.released++;
    csti_checkpoint_end_locked(c, checkpoint);
}

// A hint, so an error is counted and nothing else.
static void put_latest(csti_checkpointer *c, const char *manifest) {
    char text[CSTI_CHECKPOINT_NAME_BYTES + 1];
    const int count = snprintf(text, sizeof text, "%s\n", manifest);
    const cst_bytes range = {(const uint8_t *)text, (size_t)count};
    const cst_put_options options = {.condition = CST_PUT_REPLACE};
    const cst_code code =
        cst_object_put(c->options.store, CSTI_LATEST_NAME, &range, 1, &options, NULL, NULL);

    if (code == CST_OK) return;
    csti_checkpointer_lock(c);
    c->stats.errors_count++;
    c->stats.last_error = code;
    csti_checkpointer_unlock(c);
}

static cst_code release_checkpoint(csti_checkpointer *c, csti_checkpoint *checkpoint,
                                   uint64_t *id_out, cst_err *err) {
    const uint64_t begun_ns = csti_checkpointer_now(c);
    const uint64_t id = checkpoint->id;
    char manifest[CSTI_CHECKPOINT_NAME_BYTES];
    cst_err why = {.code = CST_OK};
    const cst_code code = release_outputs(c, &c->committed->manifest, &why);

    memcpy(manifest, checkpoint->manifest, sizeof manifest);
    csti_checkpointer_lock(c);
    c->stats.release_ns += csti_checkpointer_now(c) - begun_ns;
    if (code == CST_OK)
        released_locked(c, checkpoint);
    else
        csti_checkpointer_back_off_locked(c, code);
    csti_checkpointer_unlock(c);
    if (code != CST_OK)
        return cst_fail(err, code, "checkpoint %" PRIu64 " is committed, its output is not out: %s",
                        id, why.text);
    put_latest(c, manifest);
    *id_out = id;
    return CST_OK;
}

// ---- Abort --------------------------------------------------------------------------------------

static void delete_object(csti_checkpointer *c, const char *name) {
    const cst_code code = cst_object_delete(c->options.store, name, NULL);

    CSTI_FAULT_POINT(abort_cleaning);
    if (code == CST_OK) return;
    csti_checkpointer_lock(c); // it is an orphan now, which gc finds
    c->stats.errors_count++;
    c->stats.last_error = code;
    csti_checkpointer_unlock(c);
}

static void delete_part(csti_checkpointer *c, const csti_checkpoint *checkpoint, uint32_t p,
                        csti_checkpoint_name_kind kind, uint64_t epoch) {
    char name[CSTI_CHECKPOINT_NAME_BYTES];

    csti_checkpoint_name_format(&(csti_checkpoint_name){.kind = kind,
                                                        .id = checkpoint->id,
                                                        .partition = p,
                                                        .tenure = c->options.tenure,
                                                        .nonce = checkpoint->nonce,
                                                        .epoch = epoch},
                                name);
    delete_object(c, name);
}

// The checkpoint is aborted and nobody uploads for it: it changes no more.
static void clean(csti_checkpointer *c, csti_checkpoint *checkpoint) {
    for (uint32_t p = 0; p < c->options.partitions_count; p++) {
        const csti_checkpoint_part *part = &checkpoint->parts[p];

        for (uint64_t epoch = part->tried_from; epoch != 0 && epoch <= part->tried_to; epoch++)
            delete_part(c, checkpoint, p, CSTI_NAME_DELTA, epoch);
        if (part->rows_tried) delete_part(c, checkpoint, p, CSTI_NAME_ROWS, part->object.epoch);
    }
    if (checkpoint->manifest_tried) delete_object(c, checkpoint->manifest);
    csti_checkpointer_lock(c);
    csti_checkpoint_end_locked(c, checkpoint);
    csti_checkpointer_unlock(c);
}

// The abort was refused: the commit that was not known to have worked has.
static cst_code find_committed(csti_checkpointer *c, csti_checkpoint *checkpoint, cst_err *err) {
    csti_meta_view view = {0};
    const cst_code code = read_guard(c, &view, err);

    if (code != CST_OK) return code;
    if (!checkpoint->commit_tried || !is_committed(&view, checkpoint))
        return cst_fail(err, CST_INTERNAL, "it can be neither aborted nor committed");
    csti_checkpointer_lock(c);
    committed_locked(c, checkpoint);
    csti_checkpointer_unlock(c);
    return CST_OK;
}

static cst_code abort_checkpoint(csti_checkpointer *c, csti_checkpoint *checkpoint,
                                 uint64_t *id_out, cst_err *err) {
    csti_meta_command command = {.kind = CSTI_META_ABORT, .id = checkpoint->id};
    const cst_err why = checkpoint->why; // a doomed one's stays as it is
    cst_err failed = {.code = CST_OK};
    cst_code code;

    CSTI_FAULT_POINT(abort_before_command);
    code = CSTI_MISTAKE(base_unchecked) ? CST_OK : propose(c, &command, &failed);
    if (code == CST_OK) CSTI_FAULT_POINT(abort_after_command);
    if (code == CST_CHECKPOINT_ORDER) {
        code = find_committed(c, checkpoint, &failed);
        if (code == CST_OK) return release_checkpoint(c, checkpoint, id_out, err);
    }
    csti_checkpointer_lock(c);
    if (code == CST_OK) {
        checkpoint->state = CSTI_CHECKPOINT_ABORTED;
        if (CSTI_MISTAKE(aborted_id_reused)) c->last_id = checkpoint->id - 1;
        csti_checkpoint_name_heir_locked(c, checkpoint);
        csti_checkpoint_carry_locked(c, checkpoint);
        c->stats.aborted++;
    } else if (code != CST_FENCED) {
        csti_checkpointer_back_off_locked(c, code);
    }
    const bool is_quiet = checkpoint->uploads_running == 0;
    csti_checkpointer_unlock(c);
    *id_out = checkpoint->id;
    if (code != CST_OK)
        return cst_fail(err, code, "checkpoint %" PRIu64 " is to be aborted: %s", *id_out,
                        failed.text);
    if (is_quiet) clean(c, checkpoint);
    return cst_fail(err, CST_CHECKPOINT_ABORTED, "checkpoint %" PRIu64 ": %s: %s", *id_out,
                    cst_code_name(why.code), why.text);
}

// ---- One step -----------------------------------------------------------------------------------

static void doom_late_locked(csti_checkpointer *c, csti_checkpoint *checkpoint, bool is_oldest) {
    const uint64_t now = csti_checkpointer_now(c);
    char why[160];

    if (checkpoint->state != CSTI_CHECKPOINT_OPEN) return;
    if (!csti_checkpoint_is_complete_locked(c, checkpoint)) {
        if (now - checkpoint->begun_ns <= c->options.align_deadline_us * 1000) return;
        (void)snprintf(why, sizeof why,
                       "%u of %u splits, %u of %u partitions came within %" PRIu64 " us%s",
                       checkpoint->splits_seen, c->options.splits_count, checkpoint->parts_seen,
                       c->options.partitions_count, c->options.align_deadline_us,
                       checkpoint->rows_awaited > 0 ? "; rows are still under way" : "");
    } else {
        if (!is_oldest || now - checkpoint->progress_ns <= c->options.step_deadline_us * 1000 ||
            csti_checkpoint_is_up_locked(c, checkpoint))
            return;
        (void)snprintf(why, sizeof why, "nothing of it was uploaded for %" PRIu64 " us",
                       c->options.step_deadline_us);
    }
    csti_checkpoint_doom_locked(c, checkpoint, CST_DEADLINE, why);
}

// What is to be done next, by its state; NULL: nothing now. What is taken to be committed is
// COMMITTING behind this.
static csti_checkpoint *next_locked(csti_checkpointer *c) {
    for (uint32_t i = 0; i < c->order_count; i++) doom_late_locked(c, c->order[i], i == 0);
    for (uint32_t i = 0; i < c->order_count; i++)
        if (c->order[i]->state == CSTI_CHECKPOINT_ABORTED && c->order[i]->uploads_running == 0)
            return c->order[i];
    if (csti_checkpointer_now(c) < c->retry_at_ns) return NULL;
    for (uint32_t i = 0; i < c->order_count; i++)
        if (c->order[i]->state == CSTI_CHECKPOINT_COMMITTED ||
            c->order[i]->state == CSTI_CHECKPOINT_DOOMED)
            return c->order[i];
    if (c->order_count == 0 || c->order[0]->state != CSTI_CHECKPOINT_OPEN ||
        !csti_checkpoint_is_up_locked(c, c->order[0]))
        return NULL;
    c->order[0]->state = CSTI_CHECKPOINT_COMMITTING;
    return c->order[0];
}

static csti_checkpoint *next_step(csti_checkpointer *c, csti_checkpoint_state *state_out) {
    csti_checkpointer_lock(c);
    csti_checkpoint *checkpoint = next_locked(c);
    if (checkpoint) *state_out = checkpoint->state;
    csti_checkpointer_unlock(c);
    return checkpoint;
}

cst_code csti_checkpointer_commit(csti_checkpointer *checkpointer, uint64_t *id_out, cst_err *err) {
    csti_checkpointer *c = checkpointer;
    csti_checkpoint_state state = CSTI_CHECKPOINT_OPEN;
    csti_checkpoint *checkpoint = NULL;
    cst_code code;

    *id_out = 0;
    // Relaxed: set by this thread, or seen at the next call.
    if (atomic_load_explicit(&c->is_fenced, memory_order_relaxed))
        return csti_checkpointer_fence(c, err);
    for (checkpoint = next_step(c, &state); checkpoint && state == CSTI_CHECKPOINT_ABORTED;
         checkpoint = next_step(c, &state))
        clean(c, checkpoint); // an upload had kept it waiting
    if (!checkpoint) return cst_fail(err, CST_AGAIN, "no checkpoint is ready");
    if (state == CSTI_CHECKPOINT_DOOMED) return abort_checkpoint(c, checkpoint, id_out, err);
    if (state == CSTI_CHECKPOINT_COMMITTING) {
        *id_out = checkpoint->id;
        code = commit_checkpoint(c, checkpoint, err);
        if (code != CST_OK) return code;
    }
    return release_checkpoint(c, checkpoint, id_out, err);
}
