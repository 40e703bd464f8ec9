#include "checkpoint/rescale.h"

#include "base/fault_point.h"
#include "base/mistake.h"
#include "base/park.h"
#include "checkpoint/names.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

enum {
    PLAN_ARENA_BYTES = 256 << 20,
    THREAD_MEMORY_BYTES = 64 << 20,
    THREAD_MEMORY_BYTES_MIN = 8 << 20,
};

static const uint64_t CALLER_NAP_NS = UINT64_C(50000000);

// The old partitions of a stage that have any chain, ascending.
typedef struct rescale_stage {
    csti_spread_chain *chains;
    uint32_t chains_count; // 0: there is nothing to be spread
} rescale_stage;

typedef struct rescale {
    const csti_rescale_options *options;
    const csti_recovery_plan *from;
    uint32_t partitions_count; // to be made, of all stages
    rescale_stage stages[2];
    uint64_t id, nonce, memory_bytes;
    uint64_t epoch_to; // of all stages
    uint64_t bytes_before;

    csti_recovery_plan *plan; // that is made
    csti_manifest_partition *partitions;
    csti_manifest_segment *fulls; // of each partition
    char (*names)[CSTI_CHECKPOINT_NAME_BYTES];

    _Atomic uint32_t next;    // partition to be made
    _Atomic uint32_t helpers; // at work
    csti_parker caller;       // that waits for them
    _Atomic bool stop;
    _Atomic uint64_t bytes_read, bytes_written; // of partitions that are done
    pthread_mutex_t lock;                       // for `failure`
    cst_err failure;                            // the first
} rescale;

// A thread's turn at one partition.
typedef struct rescale_turn {
    rescale *of;
    uint32_t partition;
    bool is_caller; // its steps are told
    cst_object_upload *upload;
} rescale_turn;

// ---- One full -----------------------------------------------------------------------------------

static cst_code turn_step(void *context, cst_err *err) {
    const rescale_turn *turn = context;
    const csti_rescale_options *options = turn->of->options;

    // Relaxed: a thread more or less goes on for a step.
    if (atomic_load_explicit(&turn->of->stop, memory_order_relaxed))
        return cst_fail(err, CST_ABORTED, "another partition could not be made");
    if (!turn->is_caller || !options->step) return CST_OK;
    return options->step(options->step_context,
                         atomic_load_explicit(&turn->of->bytes_read, memory_order_relaxed),
                         turn->of->bytes_before, err);
}

static cst_code turn_write(void *context, const void *bytes, size_t count, cst_err *err) {
    const rescale_turn *turn = context;
    const cst_code code = turn_step(context, err);

    return code == CST_OK ? cst_object_upload_write(turn->upload, bytes, count, err) : code;
}

// Whether a write took effect whose outcome is not known: nobody else has the nonce.
static cst_code full_settle(const rescale *at, const char *name, uint64_t bytes, cst_err *err) {
    cst_object_info info;
    const cst_code code = cst_object_head(at->options->store, name, &info, err);

    if (code != CST_OK) return code;
    if (info.nonce != at->nonce || info.bytes != bytes)
        return cst_fail(err, CST_EXISTS, "%s was written by somebody else", name);
    return CST_OK;
}

static cst_code full_upload(rescale_turn *turn, const csti_spread *spread,
                            csti_spread_report *report_out, cst_err *err) {
    const rescale *at = turn->of;
    const char *name = at->names[turn->partition];
    const cst_fold_options how = {.memory_bytes = at->memory_bytes,
                                  .step = turn_step,
                                  .step_context = turn};
    cst_code code = cst_object_upload_open(at->options->store, name, at->nonce, &turn->upload, err);

    if (code != CST_OK) return code;
    code = csti_segment_spread(spread, &how, turn_write, turn, report_out, err);
    if (code != CST_OK) {
        cst_object_upload_abort(turn->upload);
        return code;
    }
    code = cst_object_upload_finish(turn->upload, NULL, err);
    if (code == CST_OBJECT_AMBIGUOUS || code == CST_DEADLINE || code == CST_EXISTS)
        code = full_settle(at, name, report_out->summary.segment_bytes, err);
    return code;
}

static cst_code partition_make(rescale *at, uint32_t p, bool is_caller, cst_err *err) {
    const csti_manifest_partition *partition = &at->partitions[p];
    const rescale_stage *stage = &at->stages[partition->stage];
    const csti_spread spread = {.chains = stage->chains,
                                .chains_count = stage->chains_count,
                                .group_from = partition->group_from,
                                .group_to = partition->group_to,
                                .epoch_to = at->epoch_to};
    const csti_checkpoint_name name = {.kind = CSTI_NAME_DELTA,
                                       .id = at->id,
                                       .partition = p,
                                       .tenure = at->options->tenure,
                                       .nonce = at->nonce,
                                       .epoch = at->epoch_to};
    rescale_turn turn = {.of = at, .partition = p, .is_caller = is_caller};
    csti_spread_report report;
    cst_code code;

    if (stage->chains_count == 0) return CST_OK;
    csti_checkpoint_name_format(&name, at->names[p]);
    code = full_upload(&turn, &spread, &report, err);
    if (code != CST_OK) return cst_fail_at(err, code, "partition %" PRIu32, p);
    at->fulls[p] = (csti_manifest_segment){.name = at->names[p],
                                           .bytes = report.summary.segment_bytes,
                                           .checksum = report.summary.checksum,
                                           .kind = CST_SEGMENT_FULL_ORDERED,
                                           .epoch_from = 1,
                                           .epoch_to = at->epoch_to};
    atomic_fetch_add_explicit(&at->bytes_read, report.bytes_read, memory_order_relaxed);
    atomic_fetch_add_explicit(&at->bytes_written, report.summary.segment_bytes,
                              memory_order_relaxed);
    CSTI_FAULT_POINT(rescale_full);
    return CST_OK;
}

// ---- All of them --------------------------------------------------------------------------------

static void failure_note(rescale *at, cst_code code, const cst_err *err) {
    (void)pthread_mutex_lock(&at->lock); // cannot fail: no attributes, never taken twice
    if (at->failure.code == CST_OK) {
        at->failure = *err;
        at->failure.code = code;
    }
    (void)pthread_mutex_unlock(&at->lock);
    atomic_store_explicit(&at->stop, true, memory_order_relaxed);
}

static void partitions_make(rescale *at, bool is_caller) {
    for (;;) {
        const uint32_t p = atomic_fetch_add_explicit(&at->next, 1, memory_order_relaxed);
        cst_err err = {.code = CST_OK};
        cst_code code;

        if (p >= at->partitions_count) return;
        if (atomic_load_explicit(&at->stop, memory_order_relaxed)) return;
        code = partition_make(at, p, is_caller, &err);
        if (code != CST_OK) failure_note(at, code, &err);
    }
}

static void *helper_main(void *context) {
    rescale *at = context;

    partitions_make(at, false);
    // Release pairs with the acquire of the caller.
    atomic_fetch_sub_explicit(&at->helpers, 1, memory_order_release);
    csti_unpark(&at->caller);
    return NULL;
}

// Meanwhile the step is asked as before: whoever wants it to end does not wait for a partition.
static void helpers_wait(rescale *at) {
    rescale_turn turn = {.of = at, .is_caller = true};

    while (atomic_load_explicit(&at->helpers, memory_order_acquire) > 0) {
        cst_err err = {.code = CST_OK};
        const cst_code code = turn_step(&turn, &err);

        if (code != CST_OK) failure_note(at, code, &err);
        (void)csti_park_until(&at->caller, csti_clock_now_ns(at->options->clock) + CALLER_NAP_NS);
    }
}

static cst_code fulls_make(rescale *at, cst_err *err) {
    pthread_t threads[CSTI_RESCALE_THREADS_MAX];
    uint32_t wanted = at->options->threads_count;
    uint32_t started = 0;

    if (at->epoch_to == 0) return CST_OK;
    if (wanted >= at->partitions_count) wanted = at->partitions_count - 1;
    // Fewer than asked for is slower, not wrong.
    atomic_store_explicit(&at->helpers, wanted, memory_order_relaxed);
    while (started < wanted && pthread_create(&threads[started], NULL, helper_main, at) == 0)
        started++;
    atomic_fetch_sub_explicit(&at->helpers, wanted - started, memory_order_relaxed);
    partitions_make(at, true);
    helpers_wait(at);
    for (uint32_t t = 0; t < started; t++) (void)pthread_join(threads[t], NULL);
    if (at->failure.code == CST_OK) return CST_OK;
    if (err) *err = at->failure;
    return at->failure.code;
}

// ---- The plan -----------------------------------------------------------------------------------

static uint64_t body_bytes(const csti_chain *chain) {
    uint64_t bytes = 0;

    for (uint32_t s = 0; s < chain->segments_count; s++)
        bytes += chain->segments[s]->footer.body_bytes;
    return bytes;
}

static cst_code chains_take(rescale *at, cst_err *err) {
    const csti_manifest *manifest = &at->from->manifest;
    csti_spread_chain *chains = NULL;
    const cst_code code =
        csti_arena_alloc(&at->plan->arena, manifest->partitions_count * sizeof *chains,
                         _Alignof(csti_spread_chain), (void **)&chains, err);

    for (uint32_t p = 0; code == CST_OK && p < manifest->partitions_count; p++) {
        const csti_manifest_partition *partition = &manifest->partitions[p];
        const csti_chain *chain = &at->from->chains[p];
        rescale_stage *stage = &at->stages[partition->stage];

        if (chain->segments_count == 0) continue; // nothing was ever cut there
        if (stage->chains_count == 0) stage->chains = chains + p;
        stage->chains[stage->chains_count++] =
            (csti_spread_chain){.segments = chain->segments,
                                .segments_count = chain->segments_count,
                                .group_from = partition->group_from,
                                .group_to = partition->group_to};
        if (partition->epoch_to > at->epoch_to) at->epoch_to = partition->epoch_to;
        at->bytes_before += body_bytes(chain);
    }
    if (CSTI_MISTAKE(rescale_epochs_anew) && at->epoch_to > 0) at->epoch_to = 1;
    if (CSTI_MISTAKE(rescale_loses_chain) && at->stages[0].chains_count > 1)
        at->stages[0].chains_count--;
    return code;
}

// What the old partitions that have some of its groups say of it.
static void partition_inherit(const csti_manifest *before, csti_manifest_partition *to) {
    bool any = false;

    for (uint32_t p = 0; p < before->partitions_count; p++) {
        const csti_manifest_partition *from = &before->partitions[p];

        if (from->stage != to->stage) continue;
        if (from->group_from >= to->group_to || from->group_to <= to->group_from) continue;
        if (!any || from->watermark_us < to->watermark_us) to->watermark_us = from->watermark_us;
        any = true;
        if (from->group_from >= to->group_from) to->rows_count += from->rows_count;
    }
    assert(any);
}

static cst_code arrays_alloc(rescale *at, cst_err *err) {
    const uint32_t count = at->partitions_count;
    csti_arena *arena = &at->plan->arena;
    cst_code code =
        csti_arena_alloc(arena, count * sizeof *at->partitions, _Alignof(csti_manifest_partition),
                         (void **)&at->partitions, err);

    if (code == CST_OK)
        code = csti_arena_alloc(arena, count * sizeof *at->fulls, _Alignof(csti_manifest_segment),
                                (void **)&at->fulls, err);
    if (code == CST_OK)
        code = csti_arena_alloc(arena, count * sizeof *at->names, 1, (void **)&at->names, err);
    if (code == CST_OK)
        code = csti_arena_alloc(arena, count * sizeof *at->plan->chains, _Alignof(csti_chain),
                                (void **)&at->plan->chains, err);
    if (code == CST_OK) memset(at->plan->chains, 0, count * sizeof *at->plan->chains);
    return code;
}

static void partitions_fill(rescale *at) {
    const uint32_t count = at->options->partitions_count;

    for (uint32_t p = 0; p < at->partitions_count; p++) {
        csti_manifest_partition *partition = &at->partitions[p];
        const uint32_t stage = p / count;
        const bool any = at->stages[stage].chains_count > 0;

        *partition = (csti_manifest_partition){
            .partition = p,
            .stage = stage,
            .group_from = csti_partition_group_first(p % count, count),
            .group_to = csti_partition_group_first(p % count + 1, count),
            .owner = at->options->owner,
            .tenure = at->options->tenure,
            .epoch_from = any ? at->epoch_to + 1 : 1,
            .epoch_to = any ? at->epoch_to : 0,
            .segments_count = any,
            .outbox_first = any,
            .segments = &at->fulls[p],
        };
        partition_inherit(&at->from->manifest, partition);
    }
}

static cst_code plan_fill(rescale *at, cst_err *err) {
    csti_recovery_plan *plan = at->plan;
    cst_code code = csti_manifest_copy(&at->from->manifest, &plan->arena, &plan->manifest, err);

    plan->manifest.partitions_count = 0; // opened, below
    for (uint32_t p = 0; code == CST_OK && p < at->partitions_count; p++) {
        csti_manifest all = plan->manifest;

        all.partitions = at->partitions;
        all.partitions_count = at->partitions_count;
        code = csti_chain_open(at->options->store, &all, p, 0, at->partitions[p].segments_count,
                               &plan->arena, NULL, &plan->chains[p], err);
        if (code == CST_OK) plan->manifest.partitions_count = p + 1;
    }
    plan->manifest.partitions = at->partitions;
    plan->store = at->options->store;
    plan->id_floor = at->from->id_floor;
    plan->report = at->from->report;
    return code;
}

static cst_code rescale_run(rescale *at, cst_err *err) {
    const csti_rescale_options *options = at->options;
    const uint64_t threads = 1 + (uint64_t)options->threads_count;
    cst_code code = csti_random_fill(options->random, &at->nonce, sizeof at->nonce, err);

    at->memory_bytes =
        options->memory_bytes ? options->memory_bytes / threads : THREAD_MEMORY_BYTES;
    if (at->memory_bytes < THREAD_MEMORY_BYTES_MIN) at->memory_bytes = THREAD_MEMORY_BYTES_MIN;
    if (code == CST_OK) code = chains_take(at, err);
    if (code == CST_OK) code = arrays_alloc(at, err);
    if (code != CST_OK) return code;
    partitions_fill(at);
    code = fulls_make(at, err);
    return code == CST_OK ? plan_fill(at, err) : code;
}

cst_code csti_rescale(const csti_rescale_options *options, const csti_recovery_plan *from,
                      csti_recovery_plan *out, csti_rescale_report *report_out, cst_err *err) {
    const uint64_t began_ns = csti_clock_now_ns(options->clock);
    csti_recovery_plan plan = {.chains = NULL};
    const uint32_t stages_count = csti_manifest_stages_count(&from->manifest);
    rescale at = {.options = options,
                  .from = from,
                  .partitions_count = stages_count * options->partitions_count,
                  .id = from->manifest.id,
                  .plan = &plan};
    cst_code code;

    assert(from->manifest.id > 0);
    assert(!csti_manifest_has_rows(&from->manifest)); // it was settled first
    assert(options->owner != 0 && options->tenure != 0);
    assert(options->partitions_count > 0);
    assert(at.partitions_count <= CSTI_MANIFEST_PARTITIONS_MAX);
    assert(options->threads_count <= CSTI_RESCALE_THREADS_MAX);
    (void)pthread_mutex_init(&at.lock, NULL); // cannot fail without attributes
    csti_parker_init(&at.caller);
    csti_arena_init(&plan.arena, PLAN_ARENA_BYTES);
    code = rescale_run(&at, err);
    (void)pthread_mutex_destroy(&at.lock);
    if (code != CST_OK) {
        csti_recovery_plan_close(&plan);
        return code;
    }
    *out = plan;
    *report_out = (csti_rescale_report){
        .partitions_before = from->manifest.partitions_count / stages_count,
        .partitions_count = options->partitions_count,
        .epoch = at.epoch_to,
        .bytes_before = at.bytes_before,
        .bytes_read = atomic_load_explicit(&at.bytes_read, memory_order_relaxed),
        .bytes_written = atomic_load_explicit(&at.bytes_written, memory_order_relaxed),
        .ns = csti_clock_now_ns(options->clock) - began_ns,
    };
    return CST_OK;
}
