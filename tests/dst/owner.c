// owner.c: a process that owns the job: reads rows, cuts epochs, commits checkpoints.
//
//   life:  claim ─► recover, rescale ─► restore tables ─► release the newest output again ─► rounds
//          main: rows, barriers, reports · an uploader a partition · a committer
//
// With unaligned checkpoints rows and barriers are under way (flow.h), and where splits go on is
// found by the job's own code (job_unaligned.c); else all is cut at one place.
#include "dst/flow.h"
#include "dst/world.h"
#include "unaligned_job.h"

#include "checkpoint/checkpointer.h"
#include "checkpoint/rescale.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ROWS_AT_ONCE = 5,
    MOVES = 3, // in a round, of rows that are under way
    REPORTS_MAX = 64,
    RANGES_MAX = 8,
    CLAIM_TRIES = 3,
    STEP_DEADLINE_US = 3 * SECOND_US,
    TABLE_BYTES = 8 << 20,
    LOG_SEGMENT_BYTES = 64 << 10,
    VIEW_BYTES = 256 << 20,
    PAUSE_US = 20000,
    IDLE_US = 80000,
};

// A sealed epoch of a table.
typedef struct sealed {
    cst_delta delta;
    cst_bytes ranges[RANGES_MAX];
    struct sealed *next; // of all that the life has
} sealed;

// What a source or a partition has to say of a checkpoint, on its way.
typedef struct report {
    uint64_t id;
    bool is_split;
    uint32_t number;
    uint64_t offset;
    bool skips_any;
    uint64_t skips[MODEL_PARTITIONS_MAX];
    csti_cut cut;
    uint64_t applied[MODEL_SPLITS];
} report;

typedef struct life {
    process own;
    world *in;
    uint64_t tenure, ends_ns;
    csti_checkpointer *c;
    uint32_t partitions_count;
    cst_table *tables[MODEL_PARTITIONS_MAX];
    flow flow;
    unaligned_job *unaligned;              // NULL: all is cut at one place
    bool settles;                          // until a checkpoint is aligned, all of them are
    uint64_t epochs[MODEL_PARTITIONS_MAX]; // sealed
    sealed *sealed;                        // all, until the life is over
    report reports[REPORTS_MAX];
    uint32_t reports_count;
    uint64_t last_id; // begun
    bool stops;       // helpers should end
    uint32_t helpers_count;
    struct helper {
        struct life *of;
        uint32_t partition;
    } helpers[MODEL_PARTITIONS_MAX];
    cst_err err;
} life;

static bool goes_on(const life *self) {
    return !self->own.dead && !self->stops;
}

// FENCED is for those who are: somebody else has claimed since.
static void note_code(life *self, const char *what, cst_code code) {
    process_expect(&self->own, what, code, &self->err);
    if (code == CST_OK || code == CST_AGAIN) return;
    if (code == CST_FENCED) {
        judge_step(&self->in->judge, NULL);
        if (self->in->judge.tenure == self->tenure)
            violation(self->in, "%s is fenced, and nobody else has claimed", self->own.name);
        self->stops = true;
    }
}

// ---- Where splits go on -------------------------------------------------------------------------

// What a reader says where it stands: that is looked for later.
static void note_split(life *self, uint32_t split) {
    uint64_t routed[MODEL_PARTITIONS_MAX];
    char offset[32];

    flow_routed(&self->flow, split, routed);
    (void)snprintf(offset, sizeof offset, "{\"row\":%" PRIu64 "}", self->flow.reads[split]);
    note_code(self, "note", unaligned_job_note(self->unaligned, split, offset, routed, &self->err));
}

static void unaligned_begin(life *self) {
    if (!self->in->profile.is_unaligned || self->settles) return;
    self->unaligned =
        unaligned_job_make(self->c, model_splits, MODEL_SPLITS, self->partitions_count);
    note_code(self, "unaligned", csti_job_unaligned_open(&self->unaligned->job, &self->err));
    for (uint32_t s = 0; s < MODEL_SPLITS; s++) note_split(self, s);
}

// Nobody waits for the barrier any longer.
static void unalign(life *self) {
    flow *rows = &self->flow;
    const cst_code code = csti_job_unalign(&self->unaligned->job, rows->id, &self->err);

    if (code == CST_NOT_FOUND) return; // it is complete, or over
    note_code(self, "unalign", code);
    if (code == CST_OK) rows->is_unaligned = true;
}

// ---- The begin of a life ------------------------------------------------------------------------

// CLAIM, or PARTITIONS behind it: a tenure more.
static cst_code take_place(life *self, const csti_meta_command *command, const char *what) {
    csti_meta_result result = {.tenure = 0};
    cst_code code = CST_OBJECT_AMBIGUOUS;

    for (int i = 0; i < CLAIM_TRIES && code == CST_OBJECT_AMBIGUOUS; i++)
        code = csti_meta_propose(self->own.meta, command, &result, &self->err);
    process_expect(&self->own, what, code, &self->err);
    if (code != CST_OK) return code;
    self->tenure = result.tenure;
    judge_step(&self->in->judge, NULL);
    if (!judge_owns(&self->in->judge, self->own.owner, self->tenure))
        violation(self->in, "%s has claimed tenure %" PRIu64 ", it was not decided so",
                  self->own.name, self->tenure);
    world_note(self->in, "%s: tenure %" PRIu64, what, self->tenure);
    return CST_OK;
}

static cst_code claim(life *self) {
    const csti_meta_command command = {.kind = CSTI_META_CLAIM,
                                       .name = model_job.job,
                                       .owner = self->own.owner,
                                       .count = self->partitions_count};

    return take_place(self, &command, "claim");
}

// As many partitions as the job file says.
static cst_code partitions_settle(life *self) {
    const csti_meta_command command = {.kind = CSTI_META_PARTITIONS,
                                       .owner = self->own.owner,
                                       .tenure = self->tenure,
                                       .count = self->partitions_count};
    csti_meta_view view;
    csti_arena arena;
    uint32_t before = 0;
    cst_code code;

    csti_arena_init(&arena, VIEW_BYTES);
    code = csti_meta_read(self->own.meta, &arena, &view, &self->err);
    if (code == CST_OK) before = view.partitions_count;
    csti_arena_release(&arena);
    if (code != CST_OK || before == self->partitions_count) return code;
    return take_place(self, &command, "partitions");
}

static void tables_open(life *self) {
    const cst_table_options options = {
        .layout = CST_TABLE_INLINE,
        .key_bytes = sizeof(uint64_t),
        .program = model_job.program,
        .hash_key = model_job.hash_key,
        .budget_bytes = TABLE_BYTES,
        .log_segment_bytes = LOG_SEGMENT_BYTES,
        .numa_node = -1,
    };

    for (uint32_t p = 0; p < self->partitions_count; p++)
        if (cst_table_open(&options, &self->tables[p], &self->err) != CST_OK)
            violation(self->in, "table: %s", self->err.text);
}

static void restore(life *self, const csti_recovery_plan *plan) {
    const csti_manifest *manifest = &plan->manifest;

    for (uint32_t p = 0; p < manifest->partitions_count; p++) {
        const cst_code code =
            cst_segment_restore(plan->chains[p].segments, plan->chains[p].segments_count,
                                self->tables[p], NULL, NULL, NULL, &self->err);

        if (code != CST_OK) violation(self->in, "restore: %s", self->err.text);
        self->epochs[p] = manifest->partitions[p].epoch_to;
    }
    for (uint32_t s = 0; s < manifest->splits_count; s++) {
        uint64_t offset = 0;

        if (model_offset_read(manifest->splits[s].offset, &offset))
            flow_start(&self->flow, s, offset, manifest->splits[s].skips);
        else
            violation(self->in, "offset %s", manifest->splits[s].offset);
    }
}

// Whoever ran before may have been killed in the middle of it.
static void release_again(life *self, const csti_recovery_plan *plan) {
    for (uint32_t p = 0; p < plan->manifest.partitions_count; p++) {
        const csti_manifest_partition *partition = &plan->manifest.partitions[p];

        for (uint32_t i = partition->outbox_first; i < partition->segments_count; i++) {
            if (!goes_on(self)) return;
            sink_take(self->in, plan->manifest.id, p, plan->chains[p].segments[i]);
            world_pause(self->in, 1);
        }
    }
}

static cst_code release(void *context, uint64_t id, uint32_t partition, cst_segment *segment,
                        cst_err *err) {
    life *self = context;

    if (self->own.dead) return cst_fail(err, CST_IO, "killed");
    if (!self->in->is_quiet && world_chance(self->in, 20))
        return cst_fail(err, CST_IO, "the sink is full");
    sink_take(self->in, id, partition, segment);
    return CST_OK;
}

static cst_code checkpointer_open(life *self, const csti_recovery_plan *plan) {
    const csti_checkpointer_options options = {
        .store = self->own.store,
        .meta = self->own.meta,
        .clock = &self->own.clock.clock,
        .random = &self->own.random.random,
        .identity = model_job,
        .owner = self->own.owner,
        .tenure = self->tenure,
        .partitions_count = self->partitions_count,
        .splits_count = MODEL_SPLITS,
        .step_deadline_us = STEP_DEADLINE_US * (uint64_t)self->in->profile.slow,
        .align_deadline_us = STEP_DEADLINE_US * (uint64_t)self->in->profile.slow,
        .base = plan->manifest.id ? &plan->manifest : NULL,
        .id_floor = plan->id_floor,
        .release = release,
        .release_context = self,
    };

    return csti_checkpointer_open(&options, &self->c, &self->err);
}

// A plan of the number of partitions that this life has takes the place of another's.
static cst_code rescale(life *self, csti_recovery_plan *plan) {
    const csti_rescale_options options = {.store = self->own.store,
                                          .clock = &self->own.clock.clock,
                                          .random = &self->own.random.random,
                                          .owner = self->own.owner,
                                          .tenure = self->tenure,
                                          .partitions_count = self->partitions_count};
    csti_rescale_report done;
    csti_recovery_plan made;
    cst_code code;

    if (plan->manifest.id == 0 || plan->manifest.partitions_count == self->partitions_count)
        return CST_OK;
    if (csti_manifest_is_unaligned(&plan->manifest)) { // with the old ones first
        self->in->settle_count = plan->manifest.partitions_count;
        return CST_ABORTED;
    }
    code = csti_rescale(&options, plan, &made, &done, &self->err);
    // Objects of one that was fenced off may be collected under its hands.
    if (code == CST_NOT_FOUND && self->in->judge.tenure > self->tenure) code = CST_FENCED;
    note_code(self, "rescale", code);
    if (code != CST_OK) return code;
    world_note(self->in, "%u partitions become %u, behind epoch %" PRIu64, done.partitions_before,
               done.partitions_count, done.epoch);
    release_again(self, plan);
    csti_recovery_plan_close(plan);
    *plan = made;
    return CST_OK;
}

static cst_code recover(life *self) {
    const csti_recovery_options options = {
        .store = self->own.store,
        .meta = self->own.meta,
        .clock = &self->own.clock.clock,
        .expect = &model_job,
        .owner = self->own.owner,
        .tenure = self->tenure,
        .verify_all = true,
    };
    csti_recovery_plan plan;
    cst_code code = csti_recovery_plan_open(&options, &plan, NULL, &self->err);

    note_code(self, "recover", code);
    if (code != CST_OK) return code;
    world_note(self->in, "recovered checkpoint %" PRIu64 "%s", plan.manifest.id,
               plan.report.adopted ? ", adopted" : "");
    judge_step(&self->in->judge, NULL);
    if (plan.manifest.id && !judge_find(&self->in->judge, plan.manifest.id))
        violation(self->in, "checkpoint %" PRIu64 " is recovered, it is not committed",
                  plan.manifest.id);
    code = rescale(self, &plan);
    if (code != CST_OK) {
        csti_recovery_plan_close(&plan);
        return code;
    }
    tables_open(self);
    restore(self, &plan);
    release_again(self, &plan);
    if (code == CST_OK) code = checkpointer_open(self, &plan);
    note_code(self, "open", code);
    if (code == CST_OK) unaligned_begin(self);
    self->last_id = plan.id_floor;
    csti_recovery_plan_close(&plan);
    return code;
}

// ---- Helpers ------------------------------------------------------------------------------------

static void upload_run(void *context) {
    const struct helper *helper = context;
    life *self = helper->of;

    while (goes_on(self)) {
        cst_err err = {.code = CST_OK};
        const cst_code code = csti_checkpointer_upload(self->c, helper->partition, &err);

        self->err = err;
        note_code(self, "upload", code);
        if (code != CST_OK) world_pause(self->in, 1 + world_random(self->in) % IDLE_US);
    }
    self->helpers_count--;
}

static void commit_run(void *context) {
    life *self = context;

    while (goes_on(self)) {
        cst_err err = {.code = CST_OK};
        uint64_t id = 0;
        const cst_code code = csti_checkpointer_commit(self->c, &id, &err);

        self->err = err;
        note_code(self, "commit", code);
        judge_step(&self->in->judge, NULL);
        if (code == CST_OK && !judge_find(&self->in->judge, id))
            violation(self->in, "%s has committed %" PRIu64 ", it was not decided so",
                      self->own.name, id);
        if (code != CST_OK) world_pause(self->in, 1 + world_random(self->in) % IDLE_US);
    }
    self->helpers_count--;
}

static void helpers_start(life *self) {
    static const char *const names[2][MODEL_PARTITIONS_MAX + 1] = {
        {"a-upload-0", "a-upload-1", "a-upload-2", "a-upload-3", "a-commit"},
        {"b-upload-0", "b-upload-1", "b-upload-2", "b-upload-3", "b-commit"}};
    const char *const *own = names[self->own.name[6] == 'b'];

    for (uint32_t p = 0; p < self->partitions_count; p++) {
        self->helpers[p] = (struct helper){self, p};
        world_actor(self->in, own[p], upload_run, &self->helpers[p]);
    }
    world_actor(self->in, own[MODEL_PARTITIONS_MAX], commit_run, self);
    self->helpers_count = self->partitions_count + 1;
}

// ---- Rounds -------------------------------------------------------------------------------------

static void apply_row(life *self, uint32_t p, uint32_t split, uint64_t number) {
    const model_row row = model_row_at(split, number);
    const uint64_t hash = model_hash_of(row.key);
    const cst_source source = {.values = &row.id, .type = CST_TYPE_U64};
    const cst_source sources[1] = {source};
    const cst_rows rows = {
        .rows_count = 1,
        .key_stride = sizeof row.key,
        .key_bytes = sizeof row.key,
        .hashes = &hash,
        .keys = (const uint8_t *)&row.key,
        .sources = sources,
    };
    uint32_t applied = 0;

    if (cst_table_apply_all(self->tables[p], &rows, &applied) != CST_OK || applied != 1)
        violation(self->in, "a row was not applied");
}

static void apply_rows(life *self, uint32_t p, uint32_t split, uint64_t count) {
    uint64_t number;

    while (count-- > 0 && flow_next(&self->flow, p, split, &number))
        apply_row(self, p, split, number);
}

// All that is under way; a barrier that is, is given up.
static void drain(life *self) {
    self->flow.id = 0;
    for (uint32_t s = 0; s < MODEL_SPLITS; s++)
        for (uint32_t p = 0; p < self->partitions_count; p++) apply_rows(self, p, s, MODEL_ROWS);
    assert(flow_is_drained(&self->flow));
}

static void read_rows(life *self) {
    const uint32_t split = (uint32_t)(world_random(self->in) % MODEL_SPLITS);
    uint64_t *read = &self->flow.reads[split];

    for (uint64_t n = world_random(self->in) % ROWS_AT_ONCE; n > 0; n--)
        *read += *read < MODEL_ROWS;
    if (!self->unaligned) drain(self);
}

static csti_cut seal(life *self, uint32_t p) {
    sealed *made = calloc(1, sizeof *made);
    size_t ranges_count = 0;
    cst_table_stats stats;

    if (!made) abort();
    made->next = self->sealed;
    self->sealed = made;
    made->delta = cst_table_seal(self->tables[p]);
    cst_table_delta_ranges(self->tables[p], &made->delta, made->ranges, RANGES_MAX, &ranges_count);
    if (ranges_count > RANGES_MAX) abort();
    cst_table_stats_read(self->tables[p], &stats);
    return (csti_cut){
        .epoch = ++self->epochs[p],
        .ranges = {made->ranges},
        .ranges_count = {ranges_count},
        .delta_bytes = made->delta.to - made->delta.from,
        .watermark_us = INT64_MIN,
        .rows_count = self->flow.ats[p][0] + self->flow.ats[p][1],
        .token = made,
    };
}

static void report_split(life *self, uint64_t id, uint32_t s) {
    report *made = &self->reports[self->reports_count++];

    *made = (report){.id = id, .is_split = true, .number = s, .offset = self->flow.reads[s]};
    made->skips_any = flow_skips(&self->flow, s, made->skips);
}

static void report_seal(life *self, uint64_t id, uint32_t p) {
    report *made = &self->reports[self->reports_count++];

    *made = (report){.id = id, .number = p, .cut = seal(self, p)};
    flow_applied(&self->flow, p, made->applied);
}

// The next id; 0: not now.
static uint64_t begin_id(life *self) {
    uint64_t id = 0;
    cst_code code;

    if (self->reports_count + MODEL_SPLITS + self->partitions_count > REPORTS_MAX) return 0;
    code = csti_checkpointer_begin(self->c, &id, &self->err);
    note_code(self, "begin", code);
    if (code != CST_OK) return 0;
    judge_step(&self->in->judge, NULL);
    for (uint32_t i = 0; i < self->in->judge.aborted_count; i++)
        if (self->in->judge.aborted[i] == id && self->in->judge.tenure == self->tenure)
            violation(self->in, "id %" PRIu64 " is begun again, it was aborted", id);
    world_note(self->in, "begun %" PRIu64 " at %" PRIu64 ", %" PRIu64, id, self->flow.reads[0],
               self->flow.reads[1]);
    self->last_id = id;
    return id;
}

// A barrier: all splits and partitions at one place; what they say of it comes when it comes.
static void begin(life *self) {
    const uint64_t id = begin_id(self);

    if (id == 0) return;
    for (uint32_t s = 0; s < MODEL_SPLITS; s++) report_split(self, id, s);
    for (uint32_t p = 0; p < self->partitions_count; p++) report_seal(self, id, p);
}

// A barrier that goes among the rows: partitions have at most one to seal, and readers that have
// not come to it make way for one that nobody waits for.
static void send(life *self) {
    flow *rows = &self->flow;
    const bool is_unaligned = world_chance(self->in, 3);
    csti_checkpointer_stats stats;
    uint64_t id;

    csti_checkpointer_stats_read(self->c, &stats);
    if (rows->id != 0 && rows->told_count < self->partitions_count &&
        stats.begun != stats.committed + stats.aborted)
        return;
    if (rows->id != 0 && !is_unaligned && !flow_all_passed(rows)) return;
    id = begin_id(self);
    if (id == 0) return;
    flow_barrier(rows, id, false);
    if (is_unaligned) unalign(self);
}

static void pass(life *self, uint32_t s) {
    flow *rows = &self->flow;

    if (rows->id == 0 || rows->passed[s] || self->reports_count == REPORTS_MAX) return;
    note_split(self, s);
    rows->passed[s] = true;
    rows->passes[s] = rows->reads[s];
    report_split(self, rows->id, s);
}

// A turn of a reader, a partition, or whoever looks at the time.
static void move(life *self) {
    const uint64_t choice = world_random(self->in) % 8;
    const uint32_t s = (uint32_t)(world_random(self->in) % MODEL_SPLITS);
    const uint32_t p = (uint32_t)(world_random(self->in) % self->partitions_count);

    if (choice < 2)
        pass(self, s);
    else if (choice < 7)
        apply_rows(self, p, s, 1 + world_random(self->in) % ROWS_AT_ONCE);
    else if (self->flow.id != 0 && !self->flow.is_unaligned)
        unalign(self);
    if (!flow_is_due(&self->flow, p) || self->reports_count == REPORTS_MAX) return;
    report_seal(self, self->flow.id, p);
    self->flow.sealed[p] = true;
}

static void tell_seal(life *self, const report *now) {
    if (!self->unaligned) return;
    note_code(self, "sealed",
              unaligned_job_sealed(self->unaligned, now->id, now->number, now->applied,
                                   &self->err));
    if (now->id == self->flow.id) self->flow.told_count++;
}

// One that is on its way comes; those of one partition in order.
static void deliver(life *self) {
    uint32_t at =
        self->reports_count ? (uint32_t)(world_random(self->in) % self->reports_count) : 0;
    char offset[32];
    report now;
    cst_code code;

    if (self->reports_count == 0) return;
    for (uint32_t i = 0; i < at; i++)
        if (self->reports[i].is_split == self->reports[at].is_split &&
            self->reports[i].number == self->reports[at].number)
            at = i;
    now = self->reports[at];
    self->reports_count--;
    memmove(&self->reports[at], &self->reports[at + 1],
            (self->reports_count - at) * sizeof self->reports[0]);
    if (now.is_split) {
        (void)snprintf(offset, sizeof offset, "{\"row\":%" PRIu64 "}", now.offset);
        code = csti_checkpointer_source(self->c, now.id,
                                        &(csti_manifest_split){.split = model_splits[now.number],
                                                               .offset = offset,
                                                               .watermark_us = INT64_MIN,
                                                               .skips = now.skips_any ? now.skips
                                                                                      : NULL},
                                        &self->err);
    } else {
        code = csti_checkpointer_partition(self->c, now.id, now.number, &now.cut, &self->err);
        if (code == CST_OK || code == CST_CHECKPOINT_ABORTED) tell_seal(self, &now);
    }
    note_code(self, now.is_split ? "source" : "partition", code);
}

// A delta may go when its checkpoint is committed, and no sooner.
static void take_released(life *self) {
    for (uint32_t p = 0; p < self->partitions_count; p++) {
        const judged_checkpoint *newest;
        csti_cut cut;

        while (csti_checkpointer_released(self->c, p, &cut)) {
            const sealed *made = cut.token;

            judge_step(&self->in->judge, NULL);
            newest = judge_newest(&self->in->judge);
            if (!newest || newest->epoch_to[p] < cut.epoch)
                violation(self->in, "epoch %" PRIu64 " of partition %u is let go, not committed",
                          cut.epoch, p);
            if (cst_table_release(self->tables[p], &made->delta) != CST_OK)
                violation(self->in, "epoch %" PRIu64 " of partition %u cannot be let go", cut.epoch,
                          p);
        }
    }
}

static void take_mail(life *self) {
    world *in = self->in;

    if (in->mail.tenure != self->tenure) return;
    in->mail.tenure = 0;
    note_code(self, "use full",
              csti_checkpointer_use_full(self->c, in->mail.partition, &in->mail.full, &self->err));
}

static void abort_some(life *self) {
    const uint64_t id = self->last_id - world_random(self->in) % 3;
    const cst_code code = csti_checkpointer_abort(self->c, id, &self->err);

    if (code != CST_NOT_FOUND && code != CST_CHECKPOINT_ORDER) note_code(self, "abort", code);
}

static bool is_done(const life *self) {
    static const uint64_t all[MODEL_SPLITS] = {MODEL_ROWS, MODEL_ROWS};

    return self->in->is_quiet && judge_is_done(&self->in->judge, all);
}

// While all is quiet, one checkpoint after the other, until nothing is left to commit.
static void quiet_round(life *self) {
    csti_checkpointer_stats stats;

    for (uint32_t s = 0; s < MODEL_SPLITS; s++) self->flow.reads[s] = MODEL_ROWS;
    drain(self);
    csti_checkpointer_stats_read(self->c, &stats);
    if (self->reports_count == 0 && stats.begun == stats.aborted + stats.released) begin(self);
    while (self->reports_count > 0 && goes_on(self)) deliver(self);
}

static void round_of(life *self) {
    const uint64_t choice = world_random(self->in) % 10;

    if (choice < 4)
        read_rows(self);
    else if (choice >= 6)
        deliver(self);
    else if (self->unaligned)
        send(self);
    else
        begin(self);
    for (int i = 0; self->unaligned && i < MOVES; i++) move(self);
    if (world_chance(self->in, 3)) take_released(self);
    if (world_chance(self->in, self->in->profile.abort_one_in)) abort_some(self);
    if (world_chance(self->in, self->in->profile.mail_one_in)) take_mail(self);
}

static void live(life *self) {
    const csti_meta_log_options options = {
        .store = self->own.store,
        .clock = &self->own.clock.clock,
        .random = &self->own.random.random,
        .snapshot_every = self->in->profile.snapshot_every,
        .create = true,
    };
    cst_code code = csti_meta_open_log(&options, &self->own.meta, &self->err);

    process_expect(&self->own, "open the log", code, &self->err);
    if (code == CST_OK) code = claim(self);
    if (code == CST_OK) code = partitions_settle(self);
    if (code == CST_OK) code = recover(self);
    if (code != CST_OK) return;
    helpers_start(self);
    while (goes_on(self) && !is_done(self)) {
        if (self->in->is_quiet)
            quiet_round(self);
        else
            round_of(self);
        if (self->in->is_quiet) take_released(self);
        if (!self->in->is_quiet && atomic_load(&self->in->clock.now_ns) > self->ends_ns) break;
        world_pause(self->in, 1 + world_random(self->in) % PAUSE_US);
    }
    self->stops = true;
    while (self->helpers_count > 0) world_pause(self->in, PAUSE_US);
}

static void life_end(life *self) {
    unaligned_job_close(self->unaligned);
    csti_checkpointer_close(self->c);
    for (uint32_t p = 0; p < self->partitions_count; p++) cst_table_close(self->tables[p]);
    while (self->sealed) {
        sealed *first = self->sealed;

        self->sealed = first->next;
        free(first);
    }
    process_close(&self->own);
    free(self);
}

void owner_run(void *context) {
    const owner_slot *slot = context;
    world *in = slot->in;
    static const uint64_t all[MODEL_SPLITS] = {MODEL_ROWS, MODEL_ROWS};

    if (!slot->is_last && !in->profile.has_rival) return;
    while (!(in->is_quiet && (!slot->is_last || judge_is_done(&in->judge, all)))) {
        const judged_checkpoint *newest;
        life *made = calloc(1, sizeof *made);

        if (!made) abort();
        if (!slot->is_last) world_pause(in, world_random(in) % in->profile.life_us);
        if (in->is_quiet && !slot->is_last) {
            free(made);
            break;
        }
        made->in = in;
        made->ends_ns = atomic_load(&in->clock.now_ns) +
                        world_random(in) % (1000 * in->profile.slow * in->profile.life_us);
        if (!in->is_quiet && world_chance(in, in->profile.change_one_in))
            in->partitions_count = 1 + (uint32_t)(world_random(in) % MODEL_PARTITIONS_MAX);
        newest = judge_newest(&in->judge);
        if (newest && !newest->is_unaligned) in->settle_count = 0;
        made->settles = in->settle_count > 0;
        made->partitions_count = made->settles ? in->settle_count : in->partitions_count;
        made->flow.partitions_count = made->partitions_count;
        process_open(&made->own, in, slot->name);
        in->lives++;
        live(made);
        life_end(made);
        world_pause(in, 1 + world_random(in) % (SECOND_US / 4));
    }
}
