// checkpointer.c: which ids are announced, what came for them, and which cuts go with which.
#include "checkpoint/checkpointer.h"

#include "base/mistake.h"
#include "checkpoint/checkpointer_internal.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { EPOCHS_MAX_DEFAULT = 4, EPOCHS_MAX_LIMIT = 1024 };
static const uint64_t STAGED_BYTES_DEFAULT = UINT64_C(512) << 20;
static const uint64_t DEADLINE_US_DEFAULT = UINT64_C(60) * 1000 * 1000;
static const size_t MANIFEST_ARENA_BYTES_MAX = (size_t)256 << 20;

// ---- Open, close --------------------------------------------------------------------------------

csti_owned_manifest *csti_owned_manifest_make(void) {
    csti_owned_manifest *owned = calloc(1, sizeof *owned);

    if (owned) csti_arena_init(&owned->arena, MANIFEST_ARENA_BYTES_MAX);
    return owned;
}

void csti_owned_manifest_free(csti_owned_manifest *owned) {
    if (!owned) return;
    csti_arena_release(&owned->arena);
    free(owned);
}

static cst_code options_check(const csti_checkpointer_options *options, cst_err *err) {
    const csti_job_identity *identity = &options->identity;

    assert(options->store && options->meta && options->clock && options->random);
    assert(identity->job && identity->key_schema && identity->value && identity->sink);
    if (options->owner == 0 || options->tenure == 0)
        return cst_fail(err, CST_USAGE, "checkpointer: owner and tenure come from CLAIM");
    for (const csti_job_identity *of = identity; of; of = of->then)
        if (of->table_id == 0 || of->parts_count == 0 || of->parts_count > CST_SEGMENT_PARTS_MAX)
            return cst_fail(err, CST_USAGE, "checkpointer: table %" PRIu64 " of %u parts",
                            of->table_id, of->parts_count);
    if (identity->then && options->partitions_count % 2 != 0)
        return cst_fail(err, CST_USAGE, "checkpointer: %u partitions of two stages",
                        options->partitions_count);
    if (options->partitions_count == 0 ||
        options->partitions_count > CSTI_MANIFEST_PARTITIONS_MAX ||
        options->splits_count > CSTI_MANIFEST_SPLITS_MAX)
        return cst_fail(err, CST_USAGE, "checkpointer: %u partitions, %u splits",
                        options->partitions_count, options->splits_count);
    if (options->epochs_max > EPOCHS_MAX_LIMIT)
        return cst_fail(err, CST_USAGE, "checkpointer: %u epochs at once, at most %d",
                        options->epochs_max, EPOCHS_MAX_LIMIT);
    if (options->base && options->base->partitions_count != options->partitions_count)
        return cst_fail(err, CST_USAGE, "checkpointer: %u partitions stand on %u",
                        options->partitions_count, options->base->partitions_count);
    return options->base ? csti_manifest_expect(options->base, identity, err) : CST_OK;
}

static cst_segment_expect expect_of(const csti_job_identity *identity) {
    return (cst_segment_expect){
        .table_id = identity->table_id,
        .schema_hash = cst_segment_schema_hash(identity->key_schema),
        .program_hash = cst_segment_program_hash(&identity->program),
        .hash_key_check = cst_segment_hash_key_check(&identity->hash_key),
    };
}

static void options_take(csti_checkpointer *c, const csti_checkpointer_options *options) {
    c->options = *options;
    if (c->options.epochs_max == 0) c->options.epochs_max = EPOCHS_MAX_DEFAULT;
    if (c->options.staged_bytes_max == 0) c->options.staged_bytes_max = STAGED_BYTES_DEFAULT;
    c->stats.staged_bytes_max = c->options.staged_bytes_max;
    if (c->options.step_deadline_us == 0) c->options.step_deadline_us = DEADLINE_US_DEFAULT;
    if (c->options.align_deadline_us == 0) c->options.align_deadline_us = DEADLINE_US_DEFAULT;
    c->options.base = NULL; // it is copied
    c->expect[0] = expect_of(&options->identity);
    if (options->identity.then) c->expect[1] = expect_of(options->identity.then);
    c->last_id = options->id_floor;
    if (options->base && options->base->id > c->last_id) c->last_id = options->base->id;
}

// Nobody uploads them.
static void rows_free(csti_checkpointer *c, csti_checkpoint *checkpoint) {
    for (uint32_t p = 0; p < c->options.partitions_count; p++) {
        c->stats.staged_bytes -= checkpoint->parts[p].rows.bytes.used_bytes;
        csti_stored_end(&checkpoint->parts[p].rows);
    }
}

static cst_code checkpoints_open(csti_checkpointer *c, cst_err *err) {
    const size_t texts_max =
        (size_t)c->options.splits_count * 2 * (CSTI_MANIFEST_TEXT_BYTES_MAX + 1) +
        (size_t)c->options.splits_count * c->options.partitions_count * sizeof(uint64_t) +
        2 * (size_t)CSTI_ARENA_CHUNK_BYTES + CSTI_MANIFEST_BYTES_MAX;

    c->checkpoints = calloc(c->options.epochs_max, sizeof *c->checkpoints);
    c->order = calloc(c->options.epochs_max, sizeof(csti_checkpoint *));
    if (!c->checkpoints || !c->order) goto no_memory;
    for (uint32_t i = 0; i < c->options.epochs_max; i++) {
        csti_checkpoint *checkpoint = &c->checkpoints[i];

        c->order[i] = checkpoint;
        csti_arena_init(&checkpoint->texts, 2 * texts_max);
        checkpoint->splits = calloc(c->options.splits_count + 1, sizeof *checkpoint->splits);
        checkpoint->parts = calloc(c->options.partitions_count, sizeof *checkpoint->parts);
        if (!checkpoint->splits || !checkpoint->parts) goto no_memory;
    }
    return CST_OK;
no_memory:
    return cst_fail(err, CST_NO_MEMORY, "checkpointer: %u checkpoints", c->options.epochs_max);
}

static cst_code queues_open(csti_checkpointer *c, cst_err *err) {
    c->queues = calloc(c->options.partitions_count, sizeof *c->queues);
    if (!c->queues) goto no_memory;
    for (uint32_t p = 0; p < c->options.partitions_count; p++) {
        csti_checkpoint_queue *queue = &c->queues[p];

        queue->capacity = 2 * c->options.epochs_max;
        queue->cuts = calloc(queue->capacity, sizeof *queue->cuts);
        if (!queue->cuts) goto no_memory;
        if (c->committed->manifest.id != 0)
            queue->last_epoch = c->committed->manifest.partitions[p].epoch_to;
    }
    return CST_OK;
no_memory:
    return cst_fail(err, CST_NO_MEMORY, "checkpointer: %u partitions", c->options.partitions_count);
}

cst_code csti_checkpointer_open(const csti_checkpointer_options *options, csti_checkpointer **out,
                                cst_err *err) {
    csti_checkpointer *c = NULL;
    cst_code code = options_check(options, err);

    if (code != CST_OK) return code;
    c = calloc(1, sizeof *c);
    if (!c) return cst_fail(err, CST_NO_MEMORY, "checkpointer");
    (void)pthread_mutex_init(&c->lock, NULL); // cannot fail without attributes
    options_take(c, options);
    csti_buffer_init(&c->text, 2 * CSTI_MANIFEST_BYTES_MAX);
    csti_arena_init(&c->view, 2 * (size_t)CSTI_META_STATE_BYTES_MAX);
    c->committed = csti_owned_manifest_make();
    if (!c->committed) code = cst_fail(err, CST_NO_MEMORY, "checkpointer: manifest");
    if (code == CST_OK && options->base)
        code =
            csti_manifest_copy(options->base, &c->committed->arena, &c->committed->manifest, err);
    if (code == CST_OK) code = checkpoints_open(c, err);
    if (code == CST_OK) code = queues_open(c, err);
    if (code != CST_OK) {
        csti_checkpointer_close(c);
        return code;
    }
    c->stats.last_committed_id = c->committed->manifest.id;
    *out = c;
    return CST_OK;
}

void csti_checkpointer_close(csti_checkpointer *checkpointer) {
    csti_checkpointer *c = checkpointer;

    if (!c) return;
    for (uint32_t i = 0; c->checkpoints && i < c->options.epochs_max; i++) {
        assert(c->checkpoints[i].uploads_running == 0);
        if (c->checkpoints[i].parts) rows_free(c, &c->checkpoints[i]);
        csti_arena_release(&c->checkpoints[i].texts);
        free(c->checkpoints[i].splits);
        free(c->checkpoints[i].parts);
    }
    for (uint32_t p = 0; c->queues && p < c->options.partitions_count; p++) {
        free((void *)(uintptr_t)c->queues[p].full.name);
        free(c->queues[p].cuts);
    }
    free(c->queues);
    free((void *)c->order);
    free(c->checkpoints);
    csti_owned_manifest_free(c->committed);
    csti_owned_manifest_free(c->candidate);
    csti_buffer_release(&c->text);
    csti_arena_release(&c->view);
    (void)pthread_mutex_destroy(&c->lock);
    free(c);
}

// ---- Bookkeeping (under the lock) ---------------------------------------------------------------

csti_checkpoint *csti_checkpoint_find_locked(const csti_checkpointer *c, uint64_t id) {
    for (uint32_t i = 0; i < c->order_count; i++)
        if (c->order[i]->id == id) return c->order[i];
    return NULL;
}

bool csti_checkpoint_is_complete_locked(const csti_checkpointer *c,
                                        const csti_checkpoint *checkpoint) {
    return checkpoint->splits_seen == c->options.splits_count &&
           checkpoint->parts_seen == c->options.partitions_count && checkpoint->rows_awaited == 0;
}

bool csti_checkpoint_is_up_locked(const csti_checkpointer *c, const csti_checkpoint *checkpoint) {
    if (!csti_checkpoint_is_complete_locked(c, checkpoint)) return false;
    for (uint32_t p = 0; p < c->options.partitions_count; p++) {
        const csti_checkpoint_part *part = &checkpoint->parts[p];

        if (part->rows.rows_count > 0 && !part->rows_uploaded) return false;
        for (uint32_t i = 0; i < c->queues[p].count; i++)
            if (c->queues[p].cuts[i].id == checkpoint->id && !c->queues[p].cuts[i].is_uploaded)
                return false;
    }
    return true;
}

bool csti_checkpoint_base_locked(const csti_checkpointer *c, uint32_t partition, uint64_t epoch,
                                 uint32_t *checksum_out) {
    const csti_checkpoint_queue *queue = &c->queues[partition];

    if (epoch == 1) return false;
    for (uint32_t i = 0; i < queue->count; i++)
        if (queue->cuts[i].given.epoch == epoch - 1) {
            assert(queue->cuts[i].has_checksum);
            *checksum_out = queue->cuts[i].segment.checksum;
            return true;
        }
    const csti_manifest_partition *chain = &c->committed->manifest.partitions[partition];
    assert(chain->epoch_to == epoch - 1);
    *checksum_out = chain->segments[chain->segments_count - 1].checksum;
    return true;
}

void csti_checkpointer_back_off_locked(csti_checkpointer *c, cst_code code) {
    c->stats.errors_count++;
    c->stats.last_error = code;
    c->backoff_us = c->backoff_us == 0 ? CSTI_BACKOFF_FIRST_US : 2 * c->backoff_us;
    if (c->backoff_us > CSTI_BACKOFF_LAST_US) c->backoff_us = CSTI_BACKOFF_LAST_US;
    c->retry_at_ns = csti_checkpointer_now(c) + c->backoff_us * 1000;
}

void csti_checkpoint_doom_locked(csti_checkpointer *c, csti_checkpoint *checkpoint, cst_code code,
                                 const char *why) {
    if (checkpoint->state != CSTI_CHECKPOINT_OPEN &&
        checkpoint->state != CSTI_CHECKPOINT_COMMITTING)
        return;
    checkpoint->state = CSTI_CHECKPOINT_DOOMED;
    (void)cst_fail(&checkpoint->why, code, "%s", why);
    CSTI_LOG(c->options.logger, CSTI_LOG_WARN, "checkpoint_fails",
             csti_log_u64("id", checkpoint->id), csti_log_text("code", cst_code_name(code)),
             csti_log_text("why", why));
}

// The next live id above `id` whose barrier has come to the partition; 0: none yet.
static uint64_t next_id_locked(const csti_checkpointer *c, uint64_t id, uint32_t partition) {
    for (uint32_t i = 0; i < c->order_count; i++)
        if (c->order[i]->id > id && c->order[i]->state != CSTI_CHECKPOINT_ABORTED &&
            c->order[i]->parts[partition].has_come)
            return c->order[i]->id;
    return 0;
}

void csti_checkpoint_carry_locked(csti_checkpointer *c, const csti_checkpoint *checkpoint) {
    for (uint32_t p = 0; p < c->options.partitions_count; p++) {
        const uint64_t next =
            checkpoint->heir ? checkpoint->heir : next_id_locked(c, checkpoint->id, p);

        for (uint32_t i = 0; i < c->queues[p].count; i++) {
            csti_checkpoint_cut *cut = &c->queues[p].cuts[i];

            if (cut->id != checkpoint->id) continue;
            if (CSTI_MISTAKE(aborted_rows_dropped)) {
                c->queues[p].count--;
                memmove(cut, cut + 1, (c->queues[p].count - i) * sizeof *cut);
                continue;
            }
            cut->id = next;
            cut->is_uploaded = false;
        }
    }
}

// What came for the aborted one is the heir's: offsets, cuts and rows, none of which is uploaded.
static void inherit_locked(csti_checkpointer *c, csti_checkpoint *checkpoint) {
    checkpoint->id = checkpoint->heir;
    checkpoint->nonce = checkpoint->heir_nonce;
    checkpoint->heir = 0;
    checkpoint->state = CSTI_CHECKPOINT_OPEN;
    checkpoint->begun_ns = checkpoint->progress_ns = csti_checkpointer_now(c);
    checkpoint->manifest_tried = checkpoint->commit_tried = false;
    for (uint32_t p = 0; p < c->options.partitions_count; p++) {
        csti_checkpoint_part *part = &checkpoint->parts[p];

        part->tried_from = part->tried_to = 0;
        part->rows_tried = part->rows_uploaded = false;
    }
}

void csti_checkpoint_end_locked(csti_checkpointer *c, csti_checkpoint *checkpoint) {
    uint32_t at = 0;

    assert(checkpoint->uploads_running == 0);
    if (checkpoint->heir) {
        inherit_locked(c, checkpoint);
        return;
    }
    rows_free(c, checkpoint);
    while (c->order[at] != checkpoint) at++;
    assert(at < c->order_count);
    c->order_count--;
    for (; at < c->order_count; at++) c->order[at] = c->order[at + 1];
    c->order[at] = checkpoint;
    if (c->order_count > 0) c->order[0]->progress_ns = csti_checkpointer_now(c);
}

cst_code csti_checkpointer_fence(csti_checkpointer *c, cst_err *err) {
    // Relaxed: it only ever becomes true; an upload that misses it ends at the next look.
    if (!atomic_exchange_explicit(&c->is_fenced, true, memory_order_relaxed))
        CSTI_LOG(c->options.logger, CSTI_LOG_ERROR, "fenced",
                 csti_log_u64("tenure", c->options.tenure));
    return cst_fail(err, CST_FENCED, "job \"%s\": another process owns it since tenure %" PRIu64,
                    c->options.identity.job, c->options.tenure);
}

// FENCED, if that was found out before.
static cst_code check_fence(csti_checkpointer *c, cst_err *err) {
    if (!atomic_load_explicit(&c->is_fenced, memory_order_relaxed)) return CST_OK;
    return csti_checkpointer_fence(c, err);
}

// Locked, unless it is fenced, with what there is of the checkpoint (NULL: nothing).
static cst_code enter(csti_checkpointer *c, uint64_t id, csti_checkpoint **out, cst_err *err) {
    const cst_code code = check_fence(c, err);

    if (code != CST_OK) return code;
    csti_checkpointer_lock(c);
    *out = csti_checkpoint_find_locked(c, id);
    return CST_OK;
}

static cst_code gone(uint64_t id, cst_err *err) {
    return cst_fail(err, CST_CHECKPOINT_ABORTED, "checkpoint %" PRIu64 " was given up", id);
}

// ---- Begin, source, partition -------------------------------------------------------------------

// The most epochs that any partition holds or is about to hold.
static uint32_t epochs_staged_locked(const csti_checkpointer *c) {
    uint32_t most = 0;

    for (uint32_t p = 0; p < c->options.partitions_count; p++) {
        uint32_t count = 0;

        for (uint32_t i = 0; i < c->queues[p].count; i++)
            count += !c->queues[p].cuts[i].is_released;
        for (uint32_t i = 0; i < c->order_count; i++) count += !c->order[i]->parts[p].has_come;
        if (count > most) most = count;
    }
    return most;
}

// One id is always let in: carried epochs need it to get out.
static bool is_at_cap_locked(const csti_checkpointer *c) {
    return c->order_count > 0 && (epochs_staged_locked(c) >= c->options.epochs_max ||
                                  c->order_count == c->options.epochs_max ||
                                  c->stats.staged_bytes >= c->options.staged_bytes_max);
}

void csti_checkpoint_name_heir_locked(csti_checkpointer *c, csti_checkpoint *checkpoint) {
    assert(checkpoint->state == CSTI_CHECKPOINT_ABORTED);
    for (uint32_t i = 0; i < c->order_count; i++) // of the others none takes its epochs
        if (c->order[i]->state != CSTI_CHECKPOINT_ABORTED) return;
    if (!csti_checkpoint_is_complete_locked(c, checkpoint) || !is_at_cap_locked(c) ||
        c->last_id >= CSTI_MANIFEST_NUMBER_MAX)
        return;
    // Without a name of its own it waits for the next barrier, like any other.
    if (csti_random_fill(c->options.random, &checkpoint->heir_nonce, sizeof checkpoint->heir_nonce,
                         NULL) != CST_OK)
        return;
    checkpoint->heir = ++c->last_id;
    c->stats.begun++;
}

static cst_code begin_locked(csti_checkpointer *c, uint64_t *id_out, cst_err *err) {
    csti_checkpoint *checkpoint = c->order[c->order_count];
    csti_checkpoint_part *parts = checkpoint->parts;
    csti_manifest_split *splits = checkpoint->splits;
    csti_arena texts = checkpoint->texts;
    const uint64_t now = csti_checkpointer_now(c);
    uint64_t nonce = 0;

    if (c->last_id >= CSTI_MANIFEST_NUMBER_MAX)
        return cst_fail(err, CST_LIMIT, "checkpoint ids are used up");
    const cst_code code = csti_random_fill(c->options.random, &nonce, sizeof nonce, err);
    if (code != CST_OK) return code;
    memset(parts, 0, c->options.partitions_count * sizeof *parts);
    csti_arena_reset(&texts);
    *checkpoint = (csti_checkpoint){
        .id = ++c->last_id,
        .nonce = nonce,
        .state = CSTI_CHECKPOINT_OPEN,
        .begun_ns = now,
        .progress_ns = now,
        .splits = splits,
        .texts = texts,
        .parts = parts,
    };
    c->order_count++;
    c->stats.begun++;
    *id_out = checkpoint->id;
    return CST_OK;
}

cst_code csti_checkpointer_begin(csti_checkpointer *checkpointer, uint64_t *id_out, cst_err *err) {
    csti_checkpointer *c = checkpointer;
    cst_code code = check_fence(c, err);

    if (code != CST_OK) return code;
    csti_checkpointer_lock(c);
    if (is_at_cap_locked(c))
        code = cst_fail(err, CST_AGAIN, "%u checkpoints and %" PRIu64 " bytes are under way",
                        c->order_count, c->stats.staged_bytes);
    else
        code = begin_locked(c, id_out, err);
    csti_checkpointer_unlock(c);
    return code;
}

static cst_code source_locked(csti_checkpointer *c, csti_checkpoint *checkpoint,
                              const csti_manifest_split *split, cst_err *err) {
    csti_manifest_split copy = *split;
    uint32_t at = checkpoint->splits_seen;
    cst_code code;

    if (at == c->options.splits_count)
        return cst_fail(err, CST_USAGE, "checkpoint %" PRIu64 ": split %s is one too many",
                        checkpoint->id, split->split);
    while (at > 0 && strcmp(checkpoint->splits[at - 1].split, split->split) > 0) at--;
    if (at > 0 && strcmp(checkpoint->splits[at - 1].split, split->split) == 0)
        return cst_fail(err, CST_EXISTS, "checkpoint %" PRIu64 ": split %s was here before",
                        checkpoint->id, split->split);
    code = csti_manifest_copy_text(split->split, &checkpoint->texts, &copy.split, err);
    if (code == CST_OK)
        code = csti_manifest_copy_text(split->offset, &checkpoint->texts, &copy.offset, err);
    if (code == CST_OK)
        code = csti_manifest_copy_skips(split->skips, c->options.partitions_count,
                                        &checkpoint->texts, &copy.skips, err);
    if (code != CST_OK) return code;
    for (uint32_t i = checkpoint->splits_seen; i > at; i--)
        checkpoint->splits[i] = checkpoint->splits[i - 1];
    checkpoint->splits[at] = copy;
    checkpoint->splits_seen++;
    checkpoint->progress_ns = csti_checkpointer_now(c);
    return CST_OK;
}

cst_code csti_checkpointer_source(csti_checkpointer *checkpointer, uint64_t id,
                                  const csti_manifest_split *split, cst_err *err) {
    csti_checkpointer *c = checkpointer;
    csti_checkpoint *checkpoint = NULL;
    cst_code code = enter(c, id, &checkpoint, err);

    if (code != CST_OK) return code;
    if (id == 0 || id > c->last_id)
        code = cst_fail(err, CST_USAGE, "checkpoint %" PRIu64 " was not begun", id);
    else if (!checkpoint || checkpoint->state != CSTI_CHECKPOINT_OPEN)
        code = gone(id, err);
    else if (!checkpoint->is_unaligned)
        code = source_locked(c, checkpoint, split, err);
    csti_checkpointer_unlock(c);
    return code;
}

cst_code csti_checkpointer_unalign(csti_checkpointer *checkpointer, uint64_t id, cst_err *err) {
    csti_checkpointer *c = checkpointer;
    csti_checkpoint *checkpoint = NULL;
    cst_code code = enter(c, id, &checkpoint, err);

    if (code != CST_OK) return code;
    if (!checkpoint || checkpoint->state != CSTI_CHECKPOINT_OPEN ||
        csti_checkpoint_is_complete_locked(c, checkpoint)) {
        code = cst_fail(err, CST_NOT_FOUND, "checkpoint %" PRIu64 " waits for nothing", id);
    } else {
        checkpoint->is_unaligned = !CSTI_MISTAKE(cut_as_aligned);
        checkpoint->splits_seen = 0;
        csti_arena_reset(&checkpoint->texts);
    }
    csti_checkpointer_unlock(c);
    return code;
}

cst_code csti_checkpointer_sources(csti_checkpointer *checkpointer, uint64_t id,
                                   const csti_manifest_split *splits, uint32_t splits_count,
                                   cst_err *err) {
    csti_checkpointer *c = checkpointer;
    csti_checkpoint *checkpoint = NULL;
    cst_code code = enter(c, id, &checkpoint, err);

    assert(splits_count == c->options.splits_count);
    if (code != CST_OK) return code;
    if (!checkpoint || checkpoint->state != CSTI_CHECKPOINT_OPEN) code = gone(id, err);
    for (uint32_t i = 0; i < splits_count && code == CST_OK; i++)
        code = source_locked(c, checkpoint, &splits[i], err);
    if (code != CST_OK && checkpoint) checkpoint->splits_seen = 0; // never some of them
    csti_checkpointer_unlock(c);
    return code;
}

static cst_code queue_reserve(csti_checkpoint_queue *queue, cst_err *err) {
    if (queue->count < queue->capacity) return CST_OK;
    csti_checkpoint_cut *cuts = realloc(queue->cuts, 2 * (size_t)queue->capacity * sizeof *cuts);
    if (!cuts) return cst_fail(err, CST_NO_MEMORY, "checkpointer: %u cuts", queue->capacity * 2);
    queue->cuts = cuts;
    queue->capacity *= 2;
    return CST_OK;
}

// All cuts of the partition that waited for an id go with this one.
static void partition_comes_locked(csti_checkpointer *c, csti_checkpoint *checkpoint,
                                   uint32_t partition, bool rows_follow) {
    csti_checkpoint_queue *queue = &c->queues[partition];

    for (uint32_t i = 0; i < queue->count; i++)
        if (queue->cuts[i].id == 0) queue->cuts[i].id = checkpoint->id;
    checkpoint->parts[partition].has_come = true;
    checkpoint->parts[partition].awaits_rows = rows_follow;
    checkpoint->parts[partition].object.epoch = queue->last_epoch;
    checkpoint->parts_seen++;
    checkpoint->rows_awaited += rows_follow;
    checkpoint->progress_ns = csti_checkpointer_now(c);
}

static cst_code partition_locked(csti_checkpointer *c, uint64_t id, uint32_t partition,
                                 const csti_cut *cut, cst_err *err) {
    csti_checkpoint *checkpoint = csti_checkpoint_find_locked(c, id);
    csti_checkpoint_queue *queue = &c->queues[partition];
    cst_code code;

    if (id == 0 || id > c->last_id)
        return cst_fail(err, CST_USAGE, "checkpoint %" PRIu64 " was not begun", id);
    if (checkpoint && checkpoint->parts[partition].has_come)
        return cst_fail(err, CST_USAGE, "checkpoint %" PRIu64 ": partition %u was here before", id,
                        partition);
    if (cut->epoch != queue->last_epoch + 1)
        return cst_fail(err, CST_EPOCH, "partition %u: epoch %" PRIu64 " behind %" PRIu64,
                        partition, cut->epoch, queue->last_epoch);
    code = queue_reserve(queue, err);
    if (code != CST_OK) return code;
    queue->cuts[queue->count++] = (csti_checkpoint_cut){.given = *cut};
    queue->last_epoch = cut->epoch;
    c->stats.staged_epochs++;
    c->stats.staged_bytes += cut->delta_bytes;
    if (!checkpoint || checkpoint->state != CSTI_CHECKPOINT_OPEN) return gone(id, err);
    partition_comes_locked(c, checkpoint, partition, cut->rows_follow);
    return CST_OK;
}

cst_code csti_checkpointer_partition(csti_checkpointer *checkpointer, uint64_t id,
                                     uint32_t partition, const csti_cut *cut, cst_err *err) {
    csti_checkpointer *c = checkpointer;
    cst_code code = check_fence(c, err);

    assert(partition < c->options.partitions_count);
    if (code != CST_OK) return code;
    csti_checkpointer_lock(c);
    code = partition_locked(c, id, partition, cut, err);
    csti_checkpointer_unlock(c);
    return code;
}

static cst_code rows_locked(csti_checkpointer *c, csti_checkpoint *checkpoint, uint64_t id,
                            uint32_t partition, csti_stored_rows *rows, cst_err *err) {
    csti_checkpoint_part *part;

    if (id == 0 || id > c->last_id)
        return cst_fail(err, CST_USAGE, "checkpoint %" PRIu64 " was not begun", id);
    if (!checkpoint || checkpoint->state != CSTI_CHECKPOINT_OPEN) return gone(id, err);
    part = &checkpoint->parts[partition];
    if (!part->awaits_rows)
        return cst_fail(err, CST_USAGE, "checkpoint %" PRIu64 ": partition %u awaits no rows", id,
                        partition);
    part->awaits_rows = false;
    checkpoint->rows_awaited--;
    checkpoint->progress_ns = csti_checkpointer_now(c);
    if (rows->rows_count == 0) return CST_OK;
    part->rows = *rows;
    c->stats.staged_bytes += rows->bytes.used_bytes;
    *rows = (csti_stored_rows){.rows_count = 0}; // the checkpoint's now
    return CST_OK;
}

cst_code csti_checkpointer_rows(csti_checkpointer *checkpointer, uint64_t id, uint32_t partition,
                                csti_stored_rows *rows, cst_err *err) {
    csti_checkpointer *c = checkpointer;
    csti_checkpoint *checkpoint = NULL;
    cst_code code = enter(c, id, &checkpoint, err);

    assert(partition < c->options.partitions_count);
    if (code == CST_OK) {
        code = rows_locked(c, checkpoint, id, partition, rows, err);
        csti_checkpointer_unlock(c);
    }
    csti_stored_end(rows);
    return code;
}

bool csti_checkpointer_released(csti_checkpointer *checkpointer, uint32_t partition,
                                csti_cut *cut_out) {
    csti_checkpointer *c = checkpointer;
    csti_checkpoint_queue *queue = &c->queues[partition];
    bool is_there = false;

    assert(partition < c->options.partitions_count);
    csti_checkpointer_lock(c);
    if (queue->count > 0 && queue->cuts[0].is_released) {
        *cut_out = queue->cuts[0].given;
        cut_out->checksum = queue->cuts[0].segment.checksum;
        queue->count--;
        memmove(queue->cuts, queue->cuts + 1, queue->count * sizeof *queue->cuts);
        is_there = true;
    }
    csti_checkpointer_unlock(c);
    return is_there;
}

// ---- Abort, fulls, what there is ----------------------------------------------------------------

cst_code csti_checkpointer_abort(csti_checkpointer *checkpointer, uint64_t id, cst_err *err) {
    csti_checkpointer *c = checkpointer;
    csti_checkpoint *checkpoint = NULL;
    cst_code code = enter(c, id, &checkpoint, err);

    if (code != CST_OK) return code;
    if (!checkpoint)
        code = cst_fail(err, CST_NOT_FOUND, "checkpoint %" PRIu64 " is not under way", id);
    else if (checkpoint->state == CSTI_CHECKPOINT_COMMITTING ||
             checkpoint->state == CSTI_CHECKPOINT_COMMITTED)
        code = cst_fail(err, CST_CHECKPOINT_ORDER, "checkpoint %" PRIu64 " is being committed", id);
    else
        csti_checkpoint_doom_locked(c, checkpoint, CST_CHECKPOINT_ABORTED, "given up by its job");
    csti_checkpointer_unlock(c);
    return code;
}

static cst_code use_full_locked(csti_checkpointer *c, uint32_t partition,
                                const csti_manifest_segment *full, cst_err *err) {
    csti_checkpoint_queue *queue = &c->queues[partition];
    const csti_manifest_partition *chain = NULL;
    uint32_t at = 0;

    if (c->committed->manifest.id != 0) chain = &c->committed->manifest.partitions[partition];
    while (chain && at < chain->segments_count && chain->segments[at].epoch_to != full->epoch_to)
        at++;
    if (!chain || full->kind != CST_SEGMENT_FULL_ORDERED || full->epoch_from != 1)
        return cst_fail(err, CST_USAGE, "%s is no full of what is committed", full->name);
    if (full->epoch_to < chain->segments[0].epoch_to) return CST_OK; // a newer one is in use
    if (at == chain->segments_count)
        return cst_fail(err, CST_USAGE,
                        "%s ends with epoch %" PRIu64 ": no segment of partition %u does",
                        full->name, full->epoch_to, partition);
    if (queue->full.name && queue->full.epoch_to > full->epoch_to) return CST_OK;
    char *name = strdup(full->name);
    if (!name) return cst_fail(err, CST_NO_MEMORY, "checkpointer: %s", full->name);
    free((void *)(uintptr_t)queue->full.name);
    queue->full = *full;
    queue->full.name = name;
    return CST_OK;
}

cst_code csti_checkpointer_use_full(csti_checkpointer *checkpointer, uint32_t partition,
                                    const csti_manifest_segment *full, cst_err *err) {
    csti_checkpointer *c = checkpointer;
    cst_code code;

    assert(partition < c->options.partitions_count);
    csti_checkpointer_lock(c);
    code = use_full_locked(c, partition, full, err);
    csti_checkpointer_unlock(c);
    return code;
}

cst_code csti_checkpointer_newest(csti_checkpointer *checkpointer, csti_arena *arena,
                                  csti_manifest *out, cst_err *err) {
    csti_checkpointer *c = checkpointer;
    cst_code code;

    csti_checkpointer_lock(c);
    if (c->committed->manifest.id == 0)
        code =
            cst_fail(err, CST_NOT_FOUND, "job \"%s\" has no checkpoint", c->options.identity.job);
    else
        code = csti_manifest_copy(&c->committed->manifest, arena, out, err);
    csti_checkpointer_unlock(c);
    return code;
}

uint64_t csti_checkpointer_retry_at_ns(csti_checkpointer *checkpointer) {
    uint64_t at;

    csti_checkpointer_lock(checkpointer);
    at = checkpointer->retry_at_ns;
    csti_checkpointer_unlock(checkpointer);
    return at;
}

void csti_checkpointer_stats_read(csti_checkpointer *checkpointer, csti_checkpointer_stats *out) {
    csti_checkpointer_lock(checkpointer);
    *out = checkpointer->stats;
    for (uint32_t p = 0; p < checkpointer->options.partitions_count; p++)
        for (uint32_t i = 0; i < checkpointer->queues[p].count; i++)
            if (!checkpointer->queues[p].cuts[i].is_uploaded)
                out->upload_left_bytes += checkpointer->queues[p].cuts[i].given.delta_bytes;
    csti_checkpointer_unlock(checkpointer);
    // Relaxed: a sum that people look at.
    out->sent_bytes = atomic_load_explicit(&checkpointer->sent_bytes, memory_order_relaxed);
    out->fenced = atomic_load_explicit(&checkpointer->is_fenced, memory_order_relaxed);
}
