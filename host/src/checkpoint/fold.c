#include "base/fault_point.h"
#include "checkpoint/chain.h"
#include "checkpoint/compaction.h"
#include "checkpoint/names.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

enum {
    DELTAS_MAX_DEFAULT = 32,
    FOLD_ARENA_BYTES = 256 << 20,
    REGISTER_TRIES = 3, // of a proposal whose outcome is not known; a second one changes nothing
};
#define DELTA_SHARE_DEFAULT 0.5
#define LAG_BYTES_MIN (UINT64_C(4) << 20)
#define LEASE_TTL_US_DEFAULT ((uint64_t)60000000)

// ---- When ---------------------------------------------------------------------------------------

uint32_t csti_fold_segments(const csti_manifest_partition *partition) {
    const uint32_t count = partition->outbox_first;

    if (count == 0) return 0;
    // One full, in order: that is what a fold gives.
    if (count == 1 && partition->segments[0].kind == CST_SEGMENT_FULL_ORDERED) return 0;
    return count;
}

static uint32_t deltas_max_of(const csti_fold_policy *policy) {
    return policy->deltas_max ? policy->deltas_max : DELTAS_MAX_DEFAULT;
}

static double share_of(const csti_fold_policy *policy) {
    return policy->delta_share > 0 ? policy->delta_share : DELTA_SHARE_DEFAULT;
}

// Of the first `count` segments, without what they stand on.
static uint64_t delta_bytes_of(const csti_manifest_partition *partition, uint32_t count) {
    uint64_t sum = 0;

    for (uint32_t i = 1; i < count; i++) sum += partition->segments[i].bytes;
    return sum;
}

bool csti_fold_is_due(const csti_fold_policy *policy, const csti_manifest_partition *partition) {
    const uint32_t count = csti_fold_segments(partition);

    if (count < 2) return false;
    if (policy->every) return count - 1 >= policy->every;
    return count - 1 >= deltas_max_of(policy) ||
           (double)delta_bytes_of(partition, count) >
               share_of(policy) * (double)partition->segments[0].bytes;
}

double csti_fold_lag(const csti_fold_policy *policy, const csti_manifest_partition *partition) {
    const uint32_t count = partition->segments_count;
    const uint32_t deltas_max =
        policy->every > deltas_max_of(policy) ? policy->every : deltas_max_of(policy);
    uint64_t delta_bytes, state_bytes = 1;
    double by_count, by_bytes = 0;

    if (count < 2) return 0;
    by_count = (double)(count - 1) / deltas_max;
    delta_bytes = delta_bytes_of(partition, count);
    // A segment has each key once, so that the state is at least as large as any of them; the first
    // is far too small a measure while a table fills.
    for (uint32_t i = 0; i < count; i++)
        if (partition->segments[i].bytes > state_bytes) state_bytes = partition->segments[i].bytes;
    if (delta_bytes >= LAG_BYTES_MIN)
        by_bytes = (double)delta_bytes / (share_of(policy) * (double)state_bytes);
    return by_count > by_bytes ? by_count : by_bytes;
}

// ---- Deadlines ----------------------------------------------------------------------------------

void csti_compaction_begin(const csti_compaction_options *options, csti_compaction_watch *watch) {
    watch->since_ns = csti_clock_now_ns(options->clock);
}

cst_code csti_compaction_step(const csti_compaction_options *options, csti_compaction_watch *watch,
                              cst_err *err) {
    const uint64_t since_ns = watch->since_ns;

    csti_compaction_begin(options, watch);
    if (options->step_deadline_us == 0 ||
        watch->since_ns - since_ns <= options->step_deadline_us * 1000)
        return CST_OK;
    return cst_fail(err, CST_DEADLINE, "a step of it took longer than %" PRIu64 " us",
                    options->step_deadline_us);
}

// ---- One fold -----------------------------------------------------------------------------------

typedef struct fold_job {
    const csti_compaction_options *options;
    const csti_manifest *manifest;
    uint32_t p, count; // segments of partition p that go in
    uint64_t ttl_us, token, held_ns;
    csti_compaction_watch watch;
    csti_arena work; // what is needed only while it folds
    csti_chain chain;
    cst_object_upload *upload;
    char name[CSTI_CHECKPOINT_NAME_BYTES];
    csti_manifest_segment full;
} fold_job;

static cst_code lease_propose(fold_job *job, uint64_t *token_out, cst_err *err) {
    const csti_meta_command command = {
        .kind = CSTI_META_LEASE,
        .lease = CSTI_FOLD_LEASE,
        .owner = job->options->owner,
        .ttl_us = job->ttl_us,
    };
    const uint64_t asked_ns = csti_clock_now_ns(job->options->clock);
    csti_meta_result result = {.token = 0};
    const cst_code code = csti_meta_propose(job->options->meta, &command, &result, err);

    if (code != CST_OK) return cst_fail_at(err, code, "lease " CSTI_FOLD_LEASE);
    job->held_ns = asked_ns;
    *token_out = result.token;
    return CST_OK;
}

// Behind each step. Asks for more time when a third of it is over. The holder stops itself before
// its time ends.
static cst_code lease_hold(void *context, cst_err *err) {
    fold_job *job = context;
    const uint64_t ttl_ns = job->ttl_us * 1000;
    uint64_t age_ns = csti_clock_now_ns(job->options->clock) - job->held_ns;
    uint64_t token = 0;
    cst_code code = csti_compaction_step(job->options, &job->watch, err);

    if (code != CST_OK) return code;
    if (age_ns < ttl_ns / 3) return CST_OK;
    code = lease_propose(job, &token, err);
    if (code == CST_OK && token == job->token) return CST_OK;
    if (code == CST_OK || code == CST_LEASE)
        return cst_fail(err, CST_LEASE,
                        "lease " CSTI_FOLD_LEASE ": token %" PRIu64 " is no longer the current one",
                        job->token);
    age_ns = csti_clock_now_ns(job->options->clock) - job->held_ns;
    return age_ns < ttl_ns ? CST_OK : code;
}

static void lease_end(fold_job *job) {
    const csti_meta_command command = {
        .kind = CSTI_META_LEASE_END,
        .lease = CSTI_FOLD_LEASE,
        .owner = job->options->owner,
        .token = job->token,
    };
    csti_meta_result result;
    cst_err err;
    const cst_code code = csti_meta_propose(job->options->meta, &command, &result, &err);

    // It ends with its time all the same.
    if (code != CST_OK)
        CSTI_LOG(job->options->logger, CSTI_LOG_INFO, "fold_lease_kept",
                 csti_log_text("code", cst_code_name(code)), csti_log_text("text", err.text));
}

static cst_code fold_write(void *context, const void *bytes, size_t count, cst_err *err) {
    fold_job *job = context;
    const cst_code code = lease_hold(job, err);

    if (code != CST_OK) return code;
    return cst_object_upload_write(job->upload, bytes, count, err);
}

static cst_code fold_upload(fold_job *job, cst_err *err) {
    const csti_compaction_options *options = job->options;
    const cst_fold_options how = {.memory_bytes = options->fold_memory_bytes,
                                  .step = lease_hold,
                                  .step_context = job};
    const uint64_t epoch = job->manifest->partitions[job->p].segments[job->count - 1].epoch_to;
    csti_checkpoint_name name = {.kind = CSTI_NAME_FOLD,
                                 .token = job->token,
                                 .partition = job->p,
                                 .epoch = epoch};
    cst_segment_summary summary;
    cst_code code = csti_random_fill(options->random, &name.nonce, sizeof name.nonce, err);

    if (code != CST_OK) return code;
    csti_checkpoint_name_format(&name, job->name);
    code = cst_object_upload_open(options->store, job->name, name.nonce, &job->upload, err);
    if (code != CST_OK) return code;
    code = cst_segment_fold(job->chain.segments, job->count, &how, fold_write, job, &summary, err);
    if (code != CST_OK) {
        cst_object_upload_abort(job->upload);
        return code;
    }
    code = cst_object_upload_finish(job->upload, NULL, err);
    if (code != CST_OK) return code;
    job->full = (csti_manifest_segment){
        .name = job->name,
        .bytes = summary.segment_bytes,
        .checksum = summary.checksum,
        .kind = CST_SEGMENT_FULL_ORDERED,
        .epoch_from = 1,
        .epoch_to = epoch,
    };
    CSTI_FAULT_POINT(fold_uploaded);
    return CST_OK;
}

// The bytes as they came to lie in the store: all of them good, and a delta on segment `tip` of the
// chain stands on them.
static cst_code full_read_back(cst_object_store *store, const csti_manifest *manifest, uint32_t p,
                               const cst_segment *tip, const csti_manifest_segment *full,
                               csti_arena *arena, const csti_read_step *step, cst_err *err) {
    csti_manifest_partition folded = manifest->partitions[p];
    const csti_manifest_stage stage = csti_manifest_stage_of(manifest, &folded);
    csti_manifest alone = *manifest;
    csti_chain chain = {.segments_count = 0};
    cst_segment_info info, tip_info;
    cst_segment_summary tip_summary;
    cst_code code;

    folded.segments = full;
    folded.segments_count = 1;
    alone.partitions = &folded;
    alone.partitions_count = 1;
    code = csti_chain_open(store, &alone, 0, 0, 1, arena, NULL, &chain, err);
    if (code != CST_OK) return code;
    cst_segment_info_read(chain.segments[0], &info);
    cst_segment_info_read(tip, &tip_info);
    cst_segment_summary_read(tip, &tip_summary);
    if (info.tip_checksum != (tip_info.tip_checksum ? tip_info.tip_checksum : tip_summary.checksum))
        code =
            cst_fail(err, CST_SEGMENT_BASE, "segment %s: is not a fold of this chain", full->name);
    if (code == CST_OK) code = csti_segment_verify(chain.segments[0], &stage.hash_key, step, err);
    csti_chain_close(store, &chain);
    return code;
}

static bool is_unknown(cst_code code) {
    return code == CST_OBJECT_AMBIGUOUS || code == CST_DEADLINE;
}

// Whether the metadata has it, now that a later proposal was decided.
static cst_code registration_look(fold_job *job, bool *registered_out, cst_err *err) {
    csti_meta_view view;
    cst_code code = csti_meta_refresh(job->options->meta, err);

    if (code == CST_OK) code = csti_meta_read(job->options->meta, &job->work, &view, err);
    for (uint32_t i = 0; code == CST_OK && i < view.fulls_count; i++)
        if (strcmp(view.fulls[i].name, job->name) == 0) *registered_out = true;
    return code;
}

// *open_out: it may be registered all the same, or become so.
static cst_code full_register(fold_job *job, bool *open_out, cst_err *err) {
    const csti_meta_command command = {
        .kind = CSTI_META_REGISTER_FULL,
        .partition = job->p,
        .epoch = job->full.epoch_to,
        .name = job->name,
        .bytes = job->full.bytes,
        .crc = job->full.checksum,
        .lease = CSTI_FOLD_LEASE,
        .token = job->token,
    };
    csti_meta_result result = {.code = CST_OK};
    bool registered = false;
    cst_code code = CST_OBJECT_AMBIGUOUS;

    for (int try = 0; is_unknown(code) && try < REGISTER_TRIES; try++) {
        result.index = 0;
        code = csti_meta_propose(job->options->meta, &command, &result, err);
        *open_out = *open_out || is_unknown(code);
    }
    // A refusal can be that of the second of two, where the first took effect.
    if (code != CST_OK && *open_out && result.index > 0) {
        cst_err look;

        *open_out = registration_look(job, &registered, &look) != CST_OK;
    }
    if (registered) code = CST_OK;
    if (code == CST_OK) CSTI_FAULT_POINT(fold_registered);
    return code;
}

// What nobody will ever register: it goes at once, or as an orphan.
static void full_drop(const fold_job *job) {
    cst_err err;
    const cst_code code = cst_object_delete(job->options->store, job->name, &err);

    if (code != CST_OK)
        CSTI_LOG(job->options->logger, CSTI_LOG_INFO, "fold_orphan",
                 csti_log_text("object", job->name), csti_log_text("text", err.text));
}

static cst_code read_back_step(void *context, uint64_t bytes, cst_err *err) {
    (void)bytes;
    return lease_hold(context, err);
}

// Under the lease.
static cst_code fold_leased(fold_job *job, cst_err *err) {
    const csti_read_step step = {read_back_step, job};
    bool open = false;
    cst_code code;

    CSTI_FAULT_POINT(fold_leased);
    code = fold_upload(job, err);
    if (code != CST_OK) return code;
    code = full_read_back(job->options->store, job->manifest, job->p,
                          job->chain.segments[job->count - 1], &job->full, &job->work, &step, err);
    if (code == CST_OK) code = lease_hold(job, err);
    if (code == CST_OK) code = full_register(job, &open, err);
    if (code != CST_OK && !open) full_drop(job);
    return code;
}

// ---- One that is there --------------------------------------------------------------------------

static cst_code full_take(const csti_meta_full *full, csti_arena *arena, csti_manifest_segment *out,
                          cst_err *err) {
    const size_t name_bytes = strlen(full->name) + 1;
    char *name = NULL;
    const cst_code code = csti_arena_alloc(arena, name_bytes, 1, (void **)&name, err);

    if (code != CST_OK) return code;
    memcpy(name, full->name, name_bytes);
    *out = (csti_manifest_segment){
        .name = name,
        .bytes = full->bytes,
        .checksum = full->crc,
        .kind = CST_SEGMENT_FULL_ORDERED,
        .epoch_from = 1,
        .epoch_to = full->epoch,
    };
    return CST_OK;
}

cst_code csti_fold_find(cst_object_store *store, const csti_meta_view *view,
                        const csti_manifest *manifest, uint32_t p, const csti_chain *chain,
                        csti_arena *arena, const csti_read_step *step,
                        csti_manifest_segment *full_out, uint32_t *count_out, cst_err *err) {
    const csti_manifest_partition *partition = &manifest->partitions[p];

    for (uint32_t count = csti_fold_segments(partition); count > 0; count--) {
        const csti_manifest_segment *tip = &partition->segments[count - 1];

        if (count == 1 && tip->kind == CST_SEGMENT_FULL_ORDERED) break;
        for (uint32_t i = 0; i < view->fulls_count; i++) {
            csti_manifest_segment full;
            cst_code code;

            if (view->fulls[i].partition != p || view->fulls[i].epoch != tip->epoch_to) continue;
            code = full_take(&view->fulls[i], arena, &full, err);
            if (code == CST_OK)
                code = full_read_back(store, manifest, p, chain->segments[count - 1], &full, arena,
                                      step, err);
            if (csti_code_is_damage(code)) continue; // then another one, or none
            if (code != CST_OK) return code;
            *full_out = full;
            *count_out = count;
            return CST_OK;
        }
    }
    return CST_AGAIN;
}

static cst_code registered_find(fold_job *job, csti_arena *arena, const csti_read_step *step,
                                cst_err *err) {
    csti_meta_view view;
    uint32_t count = 0;
    cst_code code = csti_meta_refresh(job->options->meta, err);

    if (code == CST_OK) code = csti_meta_read(job->options->meta, &job->work, &view, err);
    if (code != CST_OK) return code;
    return csti_fold_find(job->options->store, &view, job->manifest, job->p, &job->chain, arena,
                          step, &job->full, &count, err);
}

// Before there is a lease to be held.
static cst_code chain_step(void *context, uint64_t bytes, cst_err *err) {
    fold_job *job = context;

    (void)bytes;
    return csti_compaction_step(job->options, &job->watch, err);
}

static cst_code fold_run(fold_job *job, csti_arena *arena, cst_err *err) {
    const csti_read_step step = {chain_step, job};
    char *name = NULL;
    cst_code code = csti_chain_open(job->options->store, job->manifest, job->p, 0, job->count,
                                    &job->work, &step, &job->chain, err);

    if (code == CST_OK) code = registered_find(job, arena, &step, err);
    if (code != CST_AGAIN) return code;
    code = csti_arena_alloc(arena, sizeof job->name, 1, (void **)&name, err);
    if (code == CST_OK) code = lease_propose(job, &job->token, err);
    if (code != CST_OK) return code;
    code = fold_leased(job, err);
    lease_end(job);
    memcpy(name, job->name, sizeof job->name);
    job->full.name = name;
    return code;
}

cst_code csti_fold_partition(const csti_compaction_options *options, const csti_manifest *manifest,
                             uint32_t p, csti_arena *arena, csti_manifest_segment *full_out,
                             cst_err *err) {
    fold_job job = {
        .options = options,
        .manifest = manifest,
        .p = p,
        .ttl_us = options->lease_ttl_us ? options->lease_ttl_us : LEASE_TTL_US_DEFAULT,
    };
    cst_code code;

    assert(p < manifest->partitions_count);
    assert(options->owner != 0);
    job.count = csti_fold_segments(&manifest->partitions[p]);
    if (job.count == 0) return cst_fail(err, CST_AGAIN, "partition %u has nothing to fold", p);
    csti_arena_init(&job.work, FOLD_ARENA_BYTES);
    csti_compaction_begin(options, &job.watch);
    code = fold_run(&job, arena, err);
    csti_chain_close(options->store, &job.chain);
    csti_arena_release(&job.work);
    if (code != CST_OK)
        return cst_fail_at(err, code, "fold of partition %u at checkpoint %" PRIu64, p,
                           manifest->id);
    *full_out = job.full;
    return CST_OK;
}
