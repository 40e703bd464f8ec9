// others.c: those who do not own the job: a folder, a collector of garbage, readers with pins.
#include "dst/world.h"

#include "checkpoint/compaction.h"
#include "checkpoint/names.h"
#include "checkpoint/recovery.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    VIEW_BYTES = 256 << 20,
    LEASE_TTL_US = 2 * SECOND_US,
    LAST_ROUNDS = 3,  // also what late writes bring back
    SLOW_ONE_IN = 20, // pauses of a reader: those that its pin may not outlast
    SLOW_US = 12 * SECOND_US,
};

// A process that looks at a job that is there; false: not now.
static bool other_open(process *self, world *in, const char *name) {
    csti_meta_log_options options;
    cst_err err = {.code = CST_OK};
    cst_code code;

    process_open(self, in, name);
    options = (csti_meta_log_options){
        .store = self->store,
        .clock = &self->clock.clock,
        .random = &self->random.random,
        .snapshot_every = in->profile.snapshot_every,
    };
    code = csti_meta_open_log(&options, &self->meta, &err);
    process_expect(self, "open the log", code, &err);
    if (code == CST_OK) return true;
    process_close(self);
    return false;
}

// The job's present owner, in whose name its other processes work. False: there is none, or not
// now.
static bool look(process *self, csti_arena *arena, csti_meta_view *out) {
    cst_err err = {.code = CST_OK};
    cst_code code = csti_meta_refresh(self->meta, &err);

    if (code == CST_OK) code = csti_meta_read(self->meta, arena, out, &err);
    process_expect(self, "look", code, &err);
    return code == CST_OK && out->tenure > 0;
}

static csti_compaction_options compaction(process *self, const csti_meta_view *view) {
    return (csti_compaction_options){
        .store = self->store,
        .meta = self->meta,
        .clock = &self->clock.clock,
        .random = &self->random.random,
        .owner = view->owner,
        .tenure = view->tenure,
        .fold = {.every = self->in->profile.fold_every},
        .keep = self->in->profile.keep,
        .lease_ttl_us = LEASE_TTL_US,
    };
}

// A life of one of these: rounds until it is killed, or all is quiet.
static void live(world *in, const char *name, void (*round)(process *self, csti_arena *arena)) {
    while (!in->is_quiet) {
        process self;

        world_pause(in, 1 + world_random(in) % in->profile.pause_us);
        if (!other_open(&self, in, name)) continue;
        while (!self.dead && !in->is_quiet) {
            csti_arena arena;

            csti_arena_init(&arena, VIEW_BYTES);
            round(&self, &arena);
            csti_arena_release(&arena);
            world_pause(in, 1 + world_random(in) % in->profile.pause_us);
        }
        process_close(&self);
    }
}

// ---- Fold ---------------------------------------------------------------------------------------

static void mail(world *in, uint64_t tenure, uint32_t partition,
                 const csti_manifest_segment *full) {
    in->mail.tenure = tenure;
    in->mail.partition = partition;
    in->mail.full = *full;
    (void)snprintf(in->mail.name, sizeof in->mail.name, "%s", full->name);
    in->mail.full.name = in->mail.name;
}

// What was kept may be retired while it is read: only then is it no damage.
static void expect_unless_retired(process *self, uint64_t id, const char *what, cst_code code,
                                  const cst_err *err) {
    const judged_checkpoint *checkpoint;

    judge_step(&self->in->judge, NULL);
    checkpoint = judge_find(&self->in->judge, id);
    if (csti_code_is_damage(code) && checkpoint && checkpoint->is_retired) return;
    process_expect(self, what, code, err);
    if (code == CST_NOT_FOUND) violation(self->in, "%s: %s: %s", self->name, what, err->text);
}

static void fold_round(process *self, csti_arena *arena) {
    uint32_t p = (uint32_t)(world_random(self->in) % MODEL_PARTITIONS_MAX);
    const csti_meta_checkpoint *newest;
    csti_compaction_options options;
    csti_manifest_object object;
    csti_manifest_segment full;
    csti_meta_view view;
    cst_err err = {.code = CST_OK};
    uint64_t token;
    cst_code code;

    if (!look(self, arena, &view)) return;
    newest = csti_meta_view_newest(&view);
    if (!newest) return;
    options = compaction(self, &view);
    code = csti_manifest_fetch(self->store, newest->id, newest->manifest, &newest->crc, arena,
                               &object, &err);
    expect_unless_retired(self, newest->id, "manifest", code, &err);
    if (code != CST_OK) return;
    p %= object.manifest.partitions_count;
    if (!csti_fold_is_due(&options.fold, &object.manifest.partitions[p])) return;
    token = self->in->judge.fold_token;
    code = csti_fold_partition(&options, &object.manifest, p, arena, &full, &err);
    judge_step(&self->in->judge, NULL);
    // Who sleeps beyond its token finds its full collected.
    if (code == CST_NOT_FOUND && self->in->judge.fold_token > token) return;
    expect_unless_retired(self, newest->id, "fold", code, &err);
    // Of another number of partitions it is nothing that the owner stands on.
    if (object.manifest.partitions_count != view.partitions_count) return;
    if (code == CST_OK && !self->dead) mail(self->in, view.tenure, p, &full);
}

void folder_run(void *in) {
    live(in, "folder", fold_round);
}

// ---- Garbage ------------------------------------------------------------------------------------

static void gc_round(process *self, csti_arena *arena) {
    csti_compaction_options options;
    csti_meta_view view;
    cst_err err = {.code = CST_OK};
    cst_code code;

    if (!look(self, arena, &view)) return;
    options = compaction(self, &view);
    code = csti_gc(&options, world_chance(self->in, 2) ? CSTI_GC_ORPHANS : CSTI_GC_RETIRE, NULL,
                   NULL, NULL, &err);
    process_expect(self, "gc", code, &err);
}

void gc_run(void *in) {
    live(in, "gc", gc_round);
}

// When all else is over: whatever is garbage goes.
void gc_finish(world *in) {
    process self;
    csti_arena arena;

    csti_clock_sim_advance(&in->clock, 3600 * (uint64_t)SECOND_US * 1000); // no pin, no lease
    if (!other_open(&self, in, "last gc")) violation(in, "the last collector cannot open the log");
    for (int round = 0; round < LAST_ROUNDS; round++) {
        csti_compaction_options options;
        csti_meta_view view;
        cst_err err = {.code = CST_OK};

        csti_arena_init(&arena, VIEW_BYTES);
        if (!look(&self, &arena, &view)) violation(in, "the last collector cannot read the log");
        options = compaction(&self, &view);
        if (csti_gc(&options, CSTI_GC_ORPHANS, NULL, NULL, NULL, &err) != CST_OK)
            violation(in, "the last collector: %s", err.text);
        csti_arena_release(&arena);
    }
    process_close(&self);
    judge_step(&in->judge, NULL);
}

// ---- Read ---------------------------------------------------------------------------------------

static void check_read(const process *self, const csti_recovery_plan *plan) {
    const judged_checkpoint *checkpoint = judge_find(&self->in->judge, plan->manifest.id);

    if (!checkpoint)
        violation(self->in, "checkpoint %" PRIu64 " is read, it is not committed",
                  plan->manifest.id);
    for (uint32_t p = 0; p < checkpoint->partitions_count; p++) {
        const model_state wanted =
            model_state_at(checkpoint->ats[p], p, checkpoint->partitions_count);
        model_state found = {0};

        for (uint32_t i = 0; i < plan->chains[p].segments_count; i++)
            if (!model_state_put(&found, plan->chains[p].segments[i], p,
                                 checkpoint->partitions_count))
                violation(self->in, "a reader finds a row of somewhere else");
        if (memcmp(&wanted, &found, sizeof wanted) != 0)
            violation(self->in, "a reader finds another state of checkpoint %" PRIu64,
                      checkpoint->id);
    }
}

static cst_code slow_reader(void *context, uint64_t done, uint64_t all, cst_err *err) {
    world *in = context;

    (void)done;
    (void)all;
    (void)err;
    world_pause(in, 1 + world_random(in) %
                            (world_chance(in, SLOW_ONE_IN) ? SLOW_US : in->profile.pause_us));
    return CST_OK;
}

static void read_round(process *self, csti_arena *arena) {
    csti_recovery_options options = {
        .store = self->store,
        .meta = self->meta,
        .clock = &self->clock.clock,
        .expect = &model_job,
        .verify_all = true,
        .step = slow_reader,
        .step_context = self->in,
    };
    csti_recovery_plan plan;
    csti_pin pin = {.id = 0};
    cst_err err = {.code = CST_OK};
    cst_code code =
        csti_pin_take(self->meta, &self->clock.clock, &self->random.random, 0, &pin, &err);

    (void)arena;
    process_expect(self, "pin", code, &err);
    if (code == CST_NOT_FOUND) world_pause(self->in, SECOND_US); // nothing is committed
    if (code != CST_OK) return;
    options.pin = &pin;
    options.checkpoint_id = pin.id;
    code = csti_recovery_plan_open(&options, &plan, NULL, &err);
    judge_step(&self->in->judge, NULL);
    world_note(self->in, "read checkpoint %" PRIu64 ": %s", pin.id, cst_code_name(code));
    if (code == CST_OK) {
        check_read(self, &plan);
        csti_recovery_plan_close(&plan);
    } else if (code != CST_PIN_EXPIRED && !is_fault(code) && !self->dead &&
               judge_pin_lasts(&self->in->judge, pin.reader)) {
        violation(self->in, "a reader holds checkpoint %" PRIu64 " and cannot read it: %s: %s",
                  pin.id, cst_code_name(code), err.text);
    }
    csti_pin_end(&pin);
}

void reader_run(void *in) {
    live(in, "reader", read_round);
}
