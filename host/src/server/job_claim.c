#include "server/job_internal.h"

#include "base/fault_point.h"
#include "base/random.h"
#include "object/backend.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

enum { JOB_FINDINGS_BYTES = 400 };

static cst_code store_prove(csti_job *job, cst_err *err) {
    char found[JOB_FINDINGS_BYTES];
    const cst_code code = cst_object_store_prove(job->store, err);

    cst_object_store_findings(job->store, found, sizeof found);
    if (code == CST_OK && found[0])
        CSTI_LOG(job->options.logger, CSTI_LOG_INFO, "store_proved",
                 csti_log_text("store", job->config->checkpoint_store),
                 csti_log_text("found", found));
    return code;
}

// A store that holds nothing is asked to show what it can do before anything relies on it; one
// behind a network at every start: what stands there may be another than yesterday.
static cst_code meta_open(csti_job *job, cst_err *err) {
    csti_meta_log_options options = {.store = job->store,
                                     .clock = job->clock,
                                     .random = job->random};
    cst_code code = csti_meta_open_log(&options, &job->meta, err);

    if (code == CST_OK && csti_object_store_is_remote(job->store)) return store_prove(job, err);
    if (code != CST_NOT_FOUND) return code;
    code = store_prove(job, err);
    if (code != CST_OK) return code;
    options.create = true;
    return csti_meta_open_log(&options, &job->meta, err);
}

static cst_code owner_draw(csti_job *job, cst_err *err) {
    cst_code code = CST_OK;

    while (code == CST_OK && job->owner == 0) {
        code = csti_random_fill(job->random, &job->owner, sizeof job->owner, err);
        job->owner &= INT64_MAX; // numbers in manifests are signed 64-bit ones
    }
    return code;
}

// Whether the newest committed checkpoint can be gone on from. What its manifest cannot be asked is
// for recovery to find, which may adopt a newer one or go back to an older.
static cst_code newest_check(const csti_job *job, const csti_meta_view *view, csti_arena *arena,
                             cst_err *err) {
    const csti_meta_checkpoint *newest = csti_meta_view_newest(view);
    csti_manifest_object object;
    cst_code code;

    if (!newest) return CST_OK;
    code = csti_manifest_fetch(job->store, newest->id, newest->manifest, &newest->crc, arena,
                               &object, err);
    if (csti_code_is_damage(code)) return CST_OK;
    if (code != CST_OK) return cst_fail_at(err, code, "checkpoint %" PRIu64, newest->id);
    code = csti_manifest_expect(&object.manifest, &job->stages[0].shape.identity, err);
    if (code != CST_OK) return code;
    return csti_job_sink_check(job, &object.manifest, err);
}

// A run that had to be made first has had the job; nobody else's is taken from him for that.
static cst_code run_before_check(const csti_job *job, const csti_meta_view *view, cst_err *err) {
    if (job->tenure_before == 0) return CST_OK;
    if (view->owner == job->owner_before && view->tenure == job->tenure_before) return CST_OK;
    return cst_fail(err, CST_FENCED, "job %s: tenure %" PRIu64 " has begun, ours was %" PRIu64,
                    job->config->name, view->tenure, job->tenure_before);
}

// What the claim is going to push aside, or must not. *heir_out: the owner before this one holds
// the lease of folds, and nobody will give it back if he is dead.
static cst_code predecessor_read(csti_job *job, bool *heir_out, cst_err *err) {
    csti_meta_view view;
    csti_arena arena;
    cst_code code;

    *heir_out = false;
    csti_arena_init(&arena, JOB_ARENA_BYTES_MAX);
    code = csti_meta_read(job->meta, &arena, &view, err);
    if (code == CST_OK) code = run_before_check(job, &view, err);
    if (code == CST_OK) code = newest_check(job, &view, &arena, err);
    for (uint32_t i = 0; i < view.leases_count && code == CST_OK; i++)
        if (strcmp(view.leases[i].name, CSTI_FOLD_LEASE) == 0)
            *heir_out = view.leases[i].holder != 0 && view.leases[i].holder == view.owner;
    csti_arena_release(&arena);
    return code;
}

// The lease is free again: what its holder folded can no longer be registered.
static cst_code folds_inherit(csti_job *job, cst_err *err) {
    const csti_meta_command raise = {.kind = CSTI_META_TOKEN_RAISE, .lease = CSTI_FOLD_LEASE};
    csti_meta_result result;

    return csti_meta_propose(job->meta, &raise, &result, err);
}

// What killed processes were writing; that it stays where it is stops nobody.
static void uploads_sweep(const csti_job *job) {
    cst_err err = {0};
    const cst_code code = cst_object_sweep_uploads(job->store, NULL, &err);

    if (code != CST_OK)
        CSTI_LOG(job->options.logger, CSTI_LOG_WARN, "uploads_not_swept",
                 csti_log_text("code", cst_code_name(code)), csti_log_text("text", err.text));
}

// Locked once it is known to be a folder whose locks hold.
static cst_code store_open(csti_job *job, cst_err *err) {
    const char *folder = csti_job_store_folder(job->config);
    cst_code code = folder ? csti_job_folders_make(folder, err) : CST_OK;

    if (code == CST_OK)
        code = cst_object_store_open(job->config->checkpoint_store, NULL, &job->store, err);
    return code == CST_OK ? csti_job_store_lock(job, err) : code;
}

cst_code csti_job_claim(csti_job *job, cst_err *err) {
    csti_meta_command claim = {.kind = CSTI_META_CLAIM,
                               .name = job->config->name,
                               .count = job->workers_count};
    csti_meta_result result = {0};
    bool heir = false;
    cst_code code = csti_job_lock(job, err);

    if (code == CST_OK) code = csti_job_state_claim(job, err);
    if (code == CST_OK) code = store_open(job, err);
    if (code == CST_OK) code = meta_open(job, err);
    if (code == CST_OK) code = predecessor_read(job, &heir, err);
    if (code == CST_OK) code = owner_draw(job, err);
    if (code != CST_OK) return code;
    claim.owner = job->owner;
    code = csti_meta_propose(job->meta, &claim, &result, err);
    if (code == CST_OK && heir) code = folds_inherit(job, err);
    if (code != CST_OK) return code;
    CSTI_FAULT_POINT(claim_after);
    uploads_sweep(job);
    job->tenure = result.tenure;
    code = csti_job_partitions_settle(job, err);
    if (code != CST_OK) return code;
    return csti_guard_init(&job->guard, job->owner, job->tenure);
}

// ---- Recovery -----------------------------------------------------------------------------------

// The secret of a stage's hash: drawn once, then as every manifest has it.
static cst_code hash_key_settle(csti_job *job, uint32_t stage, cst_err *err) {
    const csti_manifest *manifest = &job->plan.manifest;
    job_stage *of = &job->stages[stage];
    cst_hash_key *key = &of->shape.identity.hash_key;
    cst_code code = CST_OK;

    if (manifest->id > 0)
        *key =
            csti_manifest_stage_of(manifest, &(csti_manifest_partition){.stage = stage}).hash_key;
    else
        code = csti_random_fill(job->random, key, sizeof *key, err);
    of->key.hash_key = *key;
    of->shape.table.hash_key = *key;
    return code;
}

cst_code csti_job_read_step(void *context, uint64_t bytes_done, uint64_t bytes_all, cst_err *err) {
    csti_job *job = context;

    job->checked_bytes = bytes_done;
    job->checked_bytes_all = bytes_all;
    csti_job_report(job, true);
    if (csti_job_stops_early(job)) return cst_fail(err, CST_ABORTED, "the job ends");
    return CST_OK;
}

cst_code csti_job_recover(csti_job *job, cst_err *err) {
    csti_recovery_options options = {
        .store = job->store,
        .meta = job->meta,
        .clock = job->clock,
        .logger = job->options.logger,
        .expect = &job->stages[0].shape.identity,
        .owner = job->owner,
        .tenure = job->tenure,
        .accept_repeats = job->options.accept_repeats,
        .verify_all = job->options.verify_all,
        .output_seen = csti_job_output_seen,
        .output_context = job,
        .step = csti_job_read_step,
        .step_context = job,
    };
    cst_code code = csti_job_sink_open(job, err);

    if (code != CST_OK) return code;
    code = csti_recovery_plan_open(&options, &job->plan, &job->recovery, err);
    if (code != CST_OK) return code;
    job->plan_open = true;
    job->base_id = job->plan.manifest.id;
    code = csti_job_sink_check(job, &job->plan.manifest, err);
    for (uint32_t s = 0; s < job->stages_count && code == CST_OK; s++)
        code = hash_key_settle(job, s, err);
    return code == CST_OK ? csti_job_rescale(job, err) : code;
}

// ---- Output -------------------------------------------------------------------------------------

// Results are the last stage's, late rows the first one's.
static cst_code stage_release(csti_job *job, uint64_t checkpoint_id, uint32_t stage,
                              uint32_t partition, cst_segment *segment, cst_err *err) {
    cst_code code = CST_OK;

    if (stage + 1 == job->stages_count)
        code = csti_sink_release(job->sink, partition, segment, err);
    if (code == CST_OK && stage == 0 && job->side)
        code = csti_sink_release(job->side, partition, segment, err);
    return code == CST_OK ? CST_OK : cst_fail_at(err, code, "checkpoint %" PRIu64, checkpoint_id);
}

static cst_code release_output(void *context, uint64_t checkpoint_id, uint32_t partition,
                               cst_segment *segment, cst_err *err) {
    csti_job *job = context;

    return stage_release(job, checkpoint_id, job->workers[partition].stage, partition, segment,
                         err);
}

// Whether it is tried again: nobody else will, before rows flow.
static bool release_is_late(csti_job *job, cst_code code, const cst_err *err) {
    if (code != CST_DEADLINE || csti_job_stops_early(job)) return false;
    CSTI_LOG_LIMITED(job->options.logger, CSTI_LOG_WARN, 1, "checkpoint_step_failed",
                     csti_log_text("step", "release"), csti_log_text("code", cst_code_name(code)),
                     csti_log_text("why", err->text));
    csti_job_count_error(job, "release", code);
    return true;
}

cst_code csti_job_release_again(csti_job *job, cst_err *err) {
    const csti_manifest *manifest = &job->plan.manifest;
    cst_code code = CST_OK;

    // An older state was chosen only where nothing of the newest had gone out.
    if (manifest->id == 0 || job->plan.report.chosen_id != manifest->id) return CST_OK;
    if (job->config->sink == CSTI_SINK_NONE && !job->side) return CST_OK;
    for (uint32_t p = 0; p < manifest->partitions_count && code == CST_OK; p++) {
        const csti_manifest_partition *partition = &manifest->partitions[p];

        for (uint32_t s = partition->outbox_first; s < partition->segments_count && code == CST_OK;
             s++) {
            CSTI_FAULT_POINT(recovery_release);
            do
                code = stage_release(job, manifest->id, partition->stage, p,
                                     job->plan.chains[p].segments[s], err);
            while (release_is_late(job, code, err));
        }
    }
    return code;
}

cst_code csti_job_checkpointer_open(csti_job *job, cst_err *err) {
    const csti_checkpointer_options options = {
        .store = job->store,
        .meta = job->meta,
        .clock = job->clock,
        .random = job->random,
        .logger = job->options.logger,
        .identity = job->stages[0].shape.identity,
        .owner = job->owner,
        .tenure = job->tenure,
        .partitions_count = job->workers_count,
        .splits_count = csti_source_splits_count(job->source),
        .epochs_max = job->config->epochs_max,
        .staged_bytes_max = job->config->staged_bytes_max,
        .step_deadline_us = job->config->step_deadline_us,
        // Partitions that wait for each other say so first, and which input it is.
        .align_deadline_us = 2 * job->config->align_deadline_us,
        .base = job->plan.manifest.id > 0 ? &job->plan.manifest : NULL,
        .id_floor = job->plan.id_floor,
        .release = job->config->sink == CSTI_SINK_NONE && !job->side ? NULL : release_output,
        .release_first = job->side ? 0 : job->workers_count - job->partitions,
        .release_context = job,
    };

    return csti_checkpointer_open(&options, &job->checkpointer, err);
}

void csti_job_plan_close(csti_job *job) {
    if (job->plan_open) csti_recovery_plan_close(&job->plan);
    job->plan_open = false;
}

void csti_job_unclaim(csti_job *job) {
    if (job->checkpointer) csti_checkpointer_close(job->checkpointer);
    csti_job_plan_close(job);
    csti_sink_close(job->sink);
    csti_sink_close(job->side);
    csti_meta_close(job->meta);
    cst_object_store_close(job->store);
    csti_job_unlock(job);
    job->checkpointer = NULL;
    job->sink = NULL;
    job->side = NULL;
    job->meta = NULL;
    job->store = NULL;
}
