// job.h: a job in the hand of a test: partitions with made-up epochs, a store with faults, real
// metadata, and a model of what must be in the state and in the output.
//
//   job_open ─► job_round × n ─► job_settle ─► job_check
//                 begin, sources, cuts  uploads, commits    the newest manifest, read from the
//                                       until all is quiet  store as recovery would, gives the
//                                                           model's state; each output went out
//
// The store's clock stands still but for waits and lost answers; everything replays from the seed.
#ifndef CST_TEST_JOB_H
#define CST_TEST_JOB_H

#include "base/fault_point.h"
#include "checkpoint/checkpointer.h"
#include "checkpoint/names.h"
#include "object/sim.h"
#include "unit/state/segments.h"

enum {
    JOB_PARTITIONS_MAX = 4,
    JOB_EPOCHS_MAX = 256,
    JOB_KEYS = 16,
    JOB_ROWS = 3, // of an epoch
    JOB_OUTPUTS_MAX = 4096,
    JOB_STEPS_MAX = 100000,
    JOB_ARENA_BYTES = 1 << 30,
    JOB_SPLITS = 2,
};

typedef struct job_epoch {
    bytes_sink records;
    cst_bytes range;
    uint64_t value[JOB_KEYS]; // 0: the key is not touched
    bool is_released;
} job_epoch;

typedef struct job_output {
    uint64_t id, epoch;
    uint32_t partition, checksum;
} job_output;

// Which store calls of a client fail, and how.
typedef struct job_faults {
    uint64_t at, count;          // the calls at, at + 1, ..., counted from 1; count 0: none
    csti_object_sim_faults kind; // what they get
    const char *call, *part;     // only those of this call (NULL: any), with this in their name
    uint64_t seen;
} job_faults;

typedef struct test_job test_job;
struct test_job {
    csti_clock_sim clock;
    csti_random_sim random;
    csti_object_sim_world *world;
    cst_object_store *store;
    csti_meta *meta;
    csti_checkpointer *c;
    csti_checkpointer_options options;
    uint64_t owner, tenure;
    job_epoch epochs[JOB_PARTITIONS_MAX][JOB_EPOCHS_MAX]; // by epoch - 1
    uint64_t epochs_count[JOB_PARTITIONS_MAX];
    uint64_t released_count[JOB_PARTITIONS_MAX]; // tokens that came back
    uint64_t offset;
    job_output outputs[JOB_OUTPUTS_MAX];
    uint32_t outputs_count;
    uint32_t refuse_outputs; // so many releases fail
    job_faults faults;
    uint64_t writes_count; // of the client, begun
    uint64_t dies_at;      // this call and those behind it have no effect; 0: none
    bool is_dead;
    void (*before)(test_job *job, const char *call, const char *name);
    uint64_t aborted_count; // as commit said
    bool is_plain;          // what goes out is not verified: that needs memory
    bool is_threaded;       // nobody watches the store
    cst_err err;            // the last one
};

#define JOB_OK(CALL)                                                                               \
    do {                                                                                           \
        const cst_code job_code = (CALL);                                                          \
        if (job_code != CST_OK)                                                                    \
            TEST_FAIL("%s: %s: %s", #CALL, cst_code_name(job_code), job->err.text);                \
    } while (0)

// ---- The store ----------------------------------------------------------------------------------

static inline void job_yield(void *context, csti_object_sim_moment moment, const char *call,
                             const char *name) {
    static const csti_object_sim_faults NONE;
    test_job *job = context;

    if (moment == CSTI_OBJECT_SIM_AFTER) {
        if (job->faults.count > 0) csti_object_sim_client_faults(job->store, &NONE);
        return;
    }
    if (strcmp(call, "put") == 0 || strcmp(call, "upload_finish") == 0 ||
        strcmp(call, "delete") == 0)
        job->writes_count++;
    if (job->dies_at > 0 && --job->dies_at == 0) {
        csti_object_sim_client_kill(job->store);
        job->is_dead = true;
    }
    if (job->before) job->before(job, call, name);
    if (job->faults.count == 0 || (job->faults.call && strcmp(call, job->faults.call) != 0) ||
        (job->faults.part && !strstr(name, job->faults.part)))
        return;
    job->faults.seen++;
    if (job->faults.seen >= job->faults.at && job->faults.seen - job->faults.at < job->faults.count)
        csti_object_sim_client_faults(job->store, &job->faults.kind);
}

static const csti_object_sim_faults JOB_FAILS = {.error_before = 1000000};
static const csti_object_sim_faults JOB_FAILS_AFTER = {.error_after = 1000000};
static const csti_object_sim_faults JOB_LOST = {.lost = 1000000};

// Where there is no world: the URI of another store.
static const char *job_place;

static inline cst_object_store *job_client(test_job *job, csti_object_sim_world *world) {
    const csti_object_sim_options options = {.seed = test_random(),
                                             .clock = &job->clock,
                                             .deadline_us = 1000000,
                                             .yield = job->is_threaded ? NULL : job_yield,
                                             .yield_context = job};
    cst_object_store *store = NULL;

    if (!world) {
        JOB_OK(cst_object_store_open(job_place, NULL, &store, &job->err));
        return store;
    }
    CHECK_OK(csti_object_sim_client_open(world, &options, &store, NULL));
    return store;
}

// The simulated one is for one thread.
static inline csti_random *job_random(test_job *job) {
    return job->is_threaded ? csti_random_real() : &job->random.random;
}

static inline csti_meta *job_meta(test_job *job) {
    const csti_meta_log_options options = {.store = job->store,
                                           .clock = &job->clock.clock,
                                           .random = job_random(job),
                                           .create = true};
    csti_meta *meta = NULL;

    JOB_OK(csti_meta_open_log(&options, &meta, &job->err));
    return meta;
}

// ---- Open, close --------------------------------------------------------------------------------

static inline cst_code job_release(void *context, uint64_t id, uint32_t partition,
                                   cst_segment *segment, cst_err *err) {
    test_job *job = context;
    cst_segment_summary summary;
    cst_segment_info info;

    if (job->refuse_outputs > 0) {
        job->refuse_outputs--;
        return cst_fail(err, CST_IO, "the sink is full");
    }
    if (!job->is_plain) CHECK_OK(cst_segment_verify(segment, &TEST_HASH_KEY, NULL));
    cst_segment_info_read(segment, &info);
    cst_segment_summary_read(segment, &summary);
    CHECK(job->outputs_count < JOB_OUTPUTS_MAX);
    CHECK_EQ(info.epoch_from, info.epoch_to);
    job->outputs[job->outputs_count++] =
        (job_output){id, info.epoch_to, partition, summary.checksum};
    return CST_OK;
}

static inline void job_claim(test_job *job) {
    const csti_meta_command command = {.kind = CSTI_META_CLAIM,
                                       .name = "bids",
                                       .owner = job->owner,
                                       .count = job->options.partitions_count};
    csti_meta_result result;

    JOB_OK(csti_meta_propose(job->meta, &command, &result, &job->err));
    job->tenure = result.tenure;
}

// A checkpointer on what was committed last, as after a restart.
static inline void job_start(test_job *job, const csti_manifest *base, uint64_t id_floor) {
    job->options.store = job->store;
    job->options.meta = job->meta;
    job->options.owner = job->owner;
    job->options.tenure = job->tenure;
    job->options.base = base;
    job->options.id_floor = id_floor;
    JOB_OK(csti_checkpointer_open(&job->options, &job->c, &job->err));
}

static inline test_job *job_make(csti_object_sim_world *world, uint32_t partitions_count,
                                 bool is_threaded) {
    test_job *job = calloc(1, sizeof *job);

    CHECK(job);
    job->is_threaded = is_threaded;
    csti_clock_sim_init(&job->clock, 1700000000000000);
    csti_random_sim_init(&job->random, test_random());
    job->world = world;
    job->owner = test_random() | 1;
    job->options = (csti_checkpointer_options){
        .clock = &job->clock.clock,
        .random = job_random(job),
        .identity = {.job = "bids",
                     .key_schema = "u64",
                     .value = "bids=count,sum=sum(price)",
                     .program = {.value_bytes = TEST_VALUE_BYTES,
                                 .accumulators_count = 2,
                                 .presence_offset = CST_NO_OFFSET,
                                 .accumulators = {{CST_COUNT, CST_U64, 0, CST_NO_COLUMN, 0},
                                                  {CST_SUM, CST_U64, 8, 0, 0}}},
                     .table_id = 42,
                     .hash_key = TEST_HASH_KEY,
                     .sink = "file",
                     .steps_hash = 7,
                     .parts_count = 1,
                     .parts = {{CST_TABLE_INLINE, TEST_KEY_BYTES, TEST_VALUE_BYTES}}},
        .partitions_count = partitions_count,
        .splits_count = JOB_SPLITS,
        .release = job_release,
        .release_context = job,
    };
    job->store = job_client(job, world);
    job->meta = job_meta(job);
    return job;
}

static inline test_job *job_open_as(uint32_t partitions_count, bool is_threaded) {
    csti_object_sim_world *world = NULL;

    CHECK_OK(csti_object_sim_world_open(test_random(), &world, NULL));
    test_job *job = job_make(world, partitions_count, is_threaded);
    job_claim(job);
    job_start(job, NULL, 0);
    return job;
}

static inline test_job *job_open(uint32_t partitions_count) {
    return job_open_as(partitions_count, false);
}

// The process ends, the store stays.
static inline void job_kill(test_job *job) {
    csti_checkpointer_close(job->c);
    csti_meta_close(job->meta);
    cst_object_store_close(job->store);
    for (uint32_t p = 0; p < JOB_PARTITIONS_MAX; p++)
        for (uint32_t e = 0; e < JOB_EPOCHS_MAX; e++) sink_free(&job->epochs[p][e].records);
    free(job);
}

static inline void job_close(test_job *job) {
    csti_object_sim_world *world = job->world;

    job_kill(job);
    csti_object_sim_world_close(world);
}

// ---- One round ----------------------------------------------------------------------------------

static inline csti_cut job_seal(test_job *job, uint32_t p) {
    const uint64_t epoch = ++job->epochs_count[p];
    CHECK(epoch <= JOB_EPOCHS_MAX);
    job_epoch *made = &job->epochs[p][epoch - 1];

    for (uint32_t i = 0; i < JOB_ROWS; i++) {
        const uint64_t key = test_random_below(JOB_KEYS);

        if (made->value[key] != 0) continue; // one record a key and epoch
        made->value[key] = epoch * 1000 + i + 1;
        inline_row(&made->records, key, made->value[key]);
    }
    made->range = (cst_bytes){made->records.bytes, made->records.count};
    return (csti_cut){.epoch = epoch,
                      .ranges = {&made->range},
                      .ranges_count = {1},
                      .delta_bytes = made->records.count,
                      .watermark_us = (int64_t)epoch * 10,
                      .rows_count = epoch * JOB_ROWS,
                      .token = made};
}

static inline cst_code job_come(test_job *job, uint64_t id, uint32_t p) {
    const csti_cut cut = job_seal(job, p);

    return csti_checkpointer_partition(job->c, id, p, &cut, &job->err);
}

static inline void job_sources(test_job *job, uint64_t id) {
    char offset[64];

    snprintf(offset, sizeof offset, "{\"row\":%" PRIu64 "}", ++job->offset);
    const csti_manifest_split splits[JOB_SPLITS] = {{"b", offset, 1, false, NULL},
                                                    {"a", offset, INT64_MIN, true, NULL}};
    for (uint32_t i = 0; i < JOB_SPLITS; i++)
        JOB_OK(csti_checkpointer_source(job->c, id, &splits[i], &job->err));
}

static inline uint64_t job_begin(test_job *job) {
    uint64_t id = 0;

    JOB_OK(csti_checkpointer_begin(job->c, &id, &job->err));
    return id;
}

// Begins one, and everything comes.
static inline uint64_t job_round(test_job *job) {
    const uint64_t id = job_begin(job);

    job_sources(job, id);
    for (uint32_t p = 0; p < job->options.partitions_count; p++) JOB_OK(job_come(job, id, p));
    return id;
}

// ---- Until nothing happens any more -------------------------------------------------------------

static inline void job_take_released(test_job *job) {
    for (uint32_t p = 0; p < job->options.partitions_count; p++) {
        csti_cut cut;

        while (csti_checkpointer_released(job->c, p, &cut)) {
            CHECK_EQ(cut.epoch, job->released_count[p] + 1); // in order, once
            job->released_count[p] = cut.epoch;
            CHECK(cut.token == &job->epochs[p][cut.epoch - 1]);
        }
    }
}

static inline cst_code job_upload(test_job *job, uint32_t p) {
    return csti_checkpointer_upload(job->c, p, &job->err);
}

static inline cst_code job_commit(test_job *job, uint64_t *id_out) {
    const cst_code code = csti_checkpointer_commit(job->c, id_out, &job->err);

    if (code == CST_CHECKPOINT_ABORTED) job->aborted_count++;
    job_take_released(job);
    return code;
}

static inline void job_upload_all(test_job *job) {
    for (uint32_t p = 0; p < job->options.partitions_count; p++) {
        cst_code code = CST_OK;

        while (code == CST_OK) code = job_upload(job, p);
        CHECK_CODE(code, CST_AGAIN);
    }
}

// One call of everything. False: all of them said AGAIN.
static inline bool job_step(test_job *job) {
    bool any = false;
    uint64_t id;

    for (uint32_t p = 0; p < job->options.partitions_count; p++)
        any |= job_upload(job, p) != CST_AGAIN;
    any |= job_commit(job, &id) != CST_AGAIN;
    return any;
}

// Stops at FENCED too.
static inline void job_settle(test_job *job) {
    csti_checkpointer_stats stats;

    for (uint32_t steps = 0; steps < JOB_STEPS_MAX; steps++) {
        const bool any = job_step(job);
        const uint64_t retry_at = csti_checkpointer_retry_at_ns(job->c);
        const uint64_t now = csti_clock_now_ns(&job->clock.clock);

        csti_checkpointer_stats_read(job->c, &stats);
        if (stats.fenced) return;
        if (any) continue;
        if (retry_at <= now) return;
        csti_clock_sim_advance(&job->clock, retry_at - now);
    }
    TEST_FAIL("it does not come to rest: %s", job->err.text);
}

// One checkpoint of everything, as far as it comes.
static inline void job_checkpoint(test_job *job) {
    job_round(job);
    job_settle(job);
}

// For `before`: whether this is the call that it waits for, with `part` in its name. It was then
// the last that it is asked about.
static inline bool job_is_at(test_job *job, const char *call, const char *name, const char *wanted,
                             const char *part) {
    if (strcmp(call, wanted) != 0 || !strstr(name, part)) return false;
    job->before = NULL;
    return true;
}

static inline csti_checkpointer_stats job_stats(const test_job *job) {
    csti_checkpointer_stats stats;

    csti_checkpointer_stats_read(job->c, &stats);
    return stats;
}

// ---- What is in the store -----------------------------------------------------------------------

// Reads it anew, as recovery would; its arena is the caller's. False: nothing is committed.
static inline bool job_read_newest(test_job *job, csti_arena *arena, csti_manifest *out) {
    const csti_meta_checkpoint *newest = NULL;
    cst_object_body body = {.bytes = NULL};
    csti_meta_view view;

    csti_arena_init(arena, JOB_ARENA_BYTES);
    JOB_OK(csti_meta_refresh(job->meta, &job->err));
    JOB_OK(csti_meta_read(job->meta, arena, &view, &job->err));
    newest = csti_meta_view_newest(&view);
    if (!newest) return false;
    JOB_OK(cst_object_get(job->store, newest->manifest, 0, UINT64_MAX, &body, &job->err));
    CHECK_EQ(csti_crc32c(0, body.bytes, body.count), newest->crc);
    JOB_OK(csti_manifest_read(newest->manifest, body.bytes, body.count, arena, out, &job->err));
    cst_object_body_release(job->store, &body);
    CHECK_EQ(out->id, newest->id);
    CHECK_EQ(out->base_id, newest->base_id);
    return true;
}

static inline void job_apply(const cst_segment *segment, uint64_t value[JOB_KEYS]) {
    cst_segment_cursor cursor = {0};
    uint32_t count = 0;

    do {
        cst_segment_row row;
        uint64_t key;

        CHECK_OK(cst_segment_next(segment, &cursor, &row, 1, &count, NULL));
        if (count == 0) return;
        memcpy(&key, row.row.key, sizeof key);
        CHECK(key < JOB_KEYS);
        memcpy(&value[key], row.row.value, sizeof value[key]);
    } while (count > 0);
}

// As recovery does with the newest checkpoint.
static inline void job_release_again(test_job *job, uint64_t id,
                                     const csti_manifest_partition *partition) {
    for (uint32_t i = 0; i < job->outputs_count; i++) // released before it was committed?
        CHECK(job->outputs[i].partition != partition->partition ||
              job->outputs[i].epoch <= partition->epoch_to);
    for (uint32_t s = partition->outbox_first; s < partition->segments_count; s++) {
        const csti_manifest_segment *from = &partition->segments[s];
        cst_object_body body = {.bytes = NULL};
        cst_segment *segment = NULL;

        JOB_OK(cst_object_get(job->store, from->name, 0, UINT64_MAX, &body, &job->err));
        JOB_OK(
            cst_segment_open_bytes(from->name, body.bytes, body.count, NULL, &segment, &job->err));
        JOB_OK(job_release(job, id, partition->partition, segment, &job->err));
        cst_segment_close(segment);
        cst_object_body_release(job->store, &body);
    }
}

// Opens the chain of one partition, checks that it is one, and compares what it restores to.
static inline void job_check_partition(test_job *job, const csti_manifest_partition *partition) {
    cst_object_body bodies[JOB_EPOCHS_MAX];
    cst_segment *segments[JOB_EPOCHS_MAX];
    uint64_t value[JOB_KEYS] = {0};
    uint64_t wanted[JOB_KEYS] = {0};

    CHECK(partition->segments_count <= JOB_EPOCHS_MAX);
    for (uint32_t s = 0; s < partition->segments_count; s++) {
        const csti_manifest_segment *from = &partition->segments[s];
        const cst_segment_expect expect = {.table_id = 42,
                                           .epoch_from = from->epoch_from,
                                           .epoch_to = from->epoch_to,
                                           .checksum = from->checksum};

        JOB_OK(cst_object_get(job->store, from->name, 0, UINT64_MAX, &bodies[s], &job->err));
        CHECK_EQ(bodies[s].count, from->bytes);
        JOB_OK(cst_segment_open_bytes(from->name, bodies[s].bytes, bodies[s].count, &expect,
                                      &segments[s], &job->err));
        job_apply(segments[s], value);
    }
    JOB_OK(cst_segment_chain_check(segments, partition->segments_count, &job->err));
    for (uint64_t e = 0; e < partition->epoch_to; e++)
        for (uint32_t key = 0; key < JOB_KEYS; key++)
            if (job->epochs[partition->partition][e].value[key] != 0)
                wanted[key] = job->epochs[partition->partition][e].value[key];
    for (uint32_t key = 0; key < JOB_KEYS; key++) CHECK_EQ(value[key], wanted[key]);
    for (uint32_t s = 0; s < partition->segments_count; s++) {
        cst_segment_close(segments[s]);
        cst_object_body_release(job->store, &bodies[s]);
    }
}

// Another process goes on behind a dead one: claims, reads what is committed, lets its output go
// out again. What else the dead one had sealed is forgotten.
static inline void job_restart(test_job *job) {
    csti_manifest manifest = {.id = 0};
    csti_arena arena;
    const uint64_t committed_id = job_stats(job).last_committed_id;
    const uint64_t begun = job_stats(job).begun;

    csti_checkpointer_close(job->c);
    csti_meta_close(job->meta);
    cst_object_store_close(job->store);
    job->is_dead = false;
    job->store = job_client(job, job->world);
    job->meta = job_meta(job);
    job->owner++;
    job_claim(job);
    const bool is_there = job_read_newest(job, &arena, &manifest);
    CHECK(manifest.id >= committed_id); // what it said was committed, is
    for (uint32_t p = 0; p < job->options.partitions_count; p++) {
        const uint64_t last = is_there ? manifest.partitions[p].epoch_to : 0;

        for (uint64_t e = last; e < job->epochs_count[p]; e++) {
            sink_free(&job->epochs[p][e].records);
            memset(&job->epochs[p][e], 0, sizeof job->epochs[p][e]);
        }
        job->epochs_count[p] = job->released_count[p] = last;
        if (is_there) job_release_again(job, manifest.id, &manifest.partitions[p]);
    }
    job_start(job, is_there ? &manifest : NULL, begun);
    csti_arena_release(&arena);
}

// Each epoch up to `last` went out, in order; again only with the same bytes, by the same id.
static inline void job_check_outputs(const test_job *job, uint32_t p, uint64_t last) {
    job_output seen[JOB_EPOCHS_MAX] = {{0}};
    uint64_t highest = 0;

    for (uint32_t i = 0; i < job->outputs_count; i++) {
        const job_output *output = &job->outputs[i];

        if (output->partition != p) continue;
        job_output *first = &seen[output->epoch - 1];
        if (first->id == 0) {
            CHECK_EQ(output->epoch, highest + 1);
            highest = output->epoch;
            *first = *output;
        }
        CHECK_EQ(output->checksum, first->checksum);
        CHECK_EQ(output->id, first->id);
    }
    CHECK_EQ(highest, last);
}

// The newest committed checkpoint holds every epoch up to its own, and they all went out.
static inline void job_check(test_job *job) {
    csti_manifest manifest;
    csti_arena arena;

    if (job_read_newest(job, &arena, &manifest)) {
        CHECK_EQ(manifest.partitions_count, job->options.partitions_count);
        CHECK_EQ(job_stats(job).last_committed_id, manifest.id);
        for (uint32_t p = 0; p < manifest.partitions_count; p++) {
            job_check_partition(job, &manifest.partitions[p]);
            job_check_outputs(job, p, manifest.partitions[p].epoch_to);
            CHECK_EQ(job->released_count[p], manifest.partitions[p].epoch_to);
        }
    }
    csti_arena_release(&arena);
}

// Every epoch that was sealed is committed.
static inline void job_check_all_committed(test_job *job) {
    csti_manifest manifest;
    csti_arena arena;

    CHECK(job_read_newest(job, &arena, &manifest));
    for (uint32_t p = 0; p < manifest.partitions_count; p++)
        CHECK_EQ(manifest.partitions[p].epoch_to, job->epochs_count[p]);
    csti_arena_release(&arena);
    job_check(job);
    CHECK_EQ(job_stats(job).staged_epochs, 0);
    CHECK_EQ(job_stats(job).staged_bytes, 0);
}

typedef struct job_listing {
    char names[1024][CSTI_CHECKPOINT_NAME_BYTES];
    uint32_t count;
} job_listing;

static inline bool job_list_one(void *context, const char *name, const cst_object_info *info) {
    job_listing *listing = context;

    (void)info;
    CHECK(listing->count < 1024);
    snprintf(listing->names[listing->count++], CSTI_CHECKPOINT_NAME_BYTES, "%s", name);
    return true;
}

static inline uint32_t job_count(test_job *job, const char *prefix) {
    job_listing *listing = calloc(1, sizeof *listing);

    CHECK(listing);
    JOB_OK(cst_object_list(job->store, prefix, NULL, job_list_one, listing, &job->err));
    const uint32_t count = listing->count;
    free(listing);
    return count;
}

// Nothing is under checkpoints/ but manifests that count and what the newest of them names (the
// ones before it name a part of that, where nothing was folded).
static inline void job_check_no_litter(test_job *job) {
    csti_manifest manifest;
    csti_arena arena;
    uint32_t wanted = (uint32_t)job_stats(job).committed;

    CHECK(job_read_newest(job, &arena, &manifest));
    for (uint32_t p = 0; p < manifest.partitions_count; p++)
        wanted += manifest.partitions[p].segments_count;
    CHECK_EQ(job_count(job, CSTI_CHECKPOINTS_PREFIX), wanted);
    csti_arena_release(&arena);
}

#endif
