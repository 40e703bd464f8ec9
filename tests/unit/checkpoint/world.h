// world.h: a store with checkpoints in it, made step by step, and what each of them holds as maps.
//
//   world_open ─► world_claim ─► world_checkpoint(COMMITTED) ─► ... ─► damage ─► what is tested
//
// The steps are the checkpointer's, without the checkpointer: a test can stop between any two.
//
// Promises   the maps know nothing of segments; states of past checkpoints stay, by id.
#ifndef CST_TEST_WORLD_H
#define CST_TEST_WORLD_H

#include "checkpoint/chain.h"
#include "checkpoint/compaction.h"
#include "checkpoint/names.h"
#include "object/sim.h"
#include "unit/object/folder.h"
#include "unit/state/model.h"
#include "unit/state/segments.h"

#include <sys/stat.h>

enum { WORLD_PARTITIONS = 2, WORLD_CHAIN = 40, WORLD_IDS = 64 };

typedef struct world_part {
    csti_manifest_segment segments[WORLD_CHAIN];
    char names[WORLD_CHAIN][CSTI_CHECKPOINT_NAME_BYTES];
    uint32_t count;
    uint64_t epoch;
    model rows;
} world_part;

typedef struct world {
    test_folder folder;
    csti_object_sim_world *sim; // NULL: the store is in the folder
    cst_object_store *store;
    csti_clock_sim clock;
    csti_random_sim random;
    csti_meta *meta;
    uint64_t owner, tenure, incarnation;
    uint64_t id, base_id; // last used, last committed
    const char *sink;
    world_part parts[WORLD_PARTITIONS];
    world_part past[WORLD_IDS][WORLD_PARTITIONS]; // by id
    char manifests[WORLD_IDS][CSTI_CHECKPOINT_NAME_BYTES];
} world;

static const cst_program WORLD_PROGRAM = {.value_bytes = TEST_VALUE_BYTES,
                                          .presence_offset = CST_NO_OFFSET};

static inline csti_job_identity world_identity(const world *w) {
    return (csti_job_identity){
        .job = "bids",
        .key_schema = "u64",
        .value = "replace",
        .program = WORLD_PROGRAM,
        .table_id = 42,
        .hash_key = TEST_HASH_KEY,
        .sink = w->sink,
        .parts_count = 1,
        .parts = {{CST_TABLE_INLINE, TEST_KEY_BYTES, TEST_VALUE_BYTES}},
    };
}

// ---- Open, claim --------------------------------------------------------------------------------

static inline csti_meta_log_options world_meta_options(world *w) {
    return (csti_meta_log_options){.store = w->store,
                                   .clock = &w->clock.clock,
                                   .random = &w->random.random,
                                   .create = true};
}

static inline void world_meta_open(world *w) {
    const csti_meta_log_options options = world_meta_options(w);
    cst_err err;

    if (csti_meta_open_log(&options, &w->meta, &err) != CST_OK) TEST_FAIL("%s", err.text);
}

static inline world *world_open(void) {
    world *w = calloc(1, sizeof *w);

    CHECK(w);
    // A disk has nothing to add to these tests but the time that fsync takes.
    if (access("/dev/shm", W_OK | X_OK) == 0) CHECK_EQ(setenv("TMPDIR", "/dev/shm", 0), 0);
    w->folder = folder_make();
    w->store = folder_store(&w->folder);
    w->incarnation = 1;
    w->sink = "file";
    csti_clock_sim_init(&w->clock, 1700000000000000);
    csti_random_sim_init(&w->random, test_random());
    world_meta_open(w);
    return w;
}

// The same in memory, where calls can fail.
static inline world *world_open_in_memory(void) {
    world *w = world_open();
    csti_object_sim_options options = {.seed = test_random(), .clock = &w->clock};

    cst_object_store_close(w->store);
    csti_meta_close(w->meta);
    CHECK_OK(csti_object_sim_world_open(test_random(), &w->sim, NULL));
    CHECK_OK(csti_object_sim_client_open(w->sim, &options, &w->store, NULL));
    world_meta_open(w);
    return w;
}

static const csti_object_sim_faults WORLD_NO_FAULTS;

static inline void world_parts_free(world_part *parts) {
    for (uint32_t p = 0; p < WORLD_PARTITIONS; p++) model_free(&parts[p].rows);
    memset(parts, 0, WORLD_PARTITIONS * sizeof *parts);
}

static inline void world_close(world *w) {
    csti_meta_close(w->meta);
    cst_object_store_close(w->store);
    csti_object_sim_world_close(w->sim);
    folder_remove(&w->folder);
    world_parts_free(w->parts);
    for (uint32_t id = 0; id < WORLD_IDS; id++) world_parts_free(w->past[id]);
    free(w);
}

static inline cst_code world_propose(world *w, const csti_meta_command *command,
                                     csti_meta_result *result_out) {
    csti_meta_result result;
    cst_err err;

    return csti_meta_propose(w->meta, command, result_out ? result_out : &result, &err);
}

// Another process takes over.
static inline void world_claim(world *w) {
    csti_meta_result result;

    w->owner = test_random() | 1;
    CHECK_OK(world_propose(w,
                           &(csti_meta_command){.kind = CSTI_META_CLAIM,
                                                .name = "bids",
                                                .owner = w->owner,
                                                .count = WORLD_PARTITIONS},
                           &result));
    w->tenure = result.tenure;
}

static inline world *world_owned(void) {
    world *w = world_open();

    world_claim(w);
    return w;
}

static inline void world_abort(world *w, uint64_t id) {
    const csti_meta_command command = {.kind = CSTI_META_ABORT,
                                       .owner = w->owner,
                                       .tenure = w->tenure,
                                       .id = id};

    CHECK_OK(world_propose(w, &command, NULL));
}

static inline void world_retire(world *w, uint64_t id) {
    const csti_meta_command command = {.kind = CSTI_META_RETIRE,
                                       .owner = w->owner,
                                       .tenure = w->tenure,
                                       .ids = &id,
                                       .ids_count = 1};

    CHECK_OK(world_propose(w, &command, NULL));
}

// A view in an arena of the test's; released with it.
static inline csti_meta_view world_view(world *w, csti_arena *arena) {
    csti_meta_view view;

    csti_arena_init(arena, 64 << 20);
    CHECK_OK(csti_meta_refresh(w->meta, NULL));
    CHECK_OK(csti_meta_read(w->meta, arena, &view, NULL));
    return view;
}

// ---- Checkpoints --------------------------------------------------------------------------------

static inline void world_parts_copy(world_part *to, const world_part *from) {
    world_parts_free(to);
    for (uint32_t p = 0; p < WORLD_PARTITIONS; p++) {
        to[p] = from[p];
        to[p].rows = (model){NULL, 0, 0};
        model_copy_all(&to[p].rows, &from[p].rows);
        for (uint32_t s = 0; s < to[p].count; s++) to[p].segments[s].name = to[p].names[s];
    }
}

// The next owner goes on from the state of checkpoint `id`.
static inline void world_take(world *w, uint64_t id) {
    world_parts_copy(w->parts, w->past[id]);
    w->base_id = id;
}

// The next owner goes on from these chains, which hold what checkpoint `id` held.
static inline void world_go_on(world *w, const csti_manifest *manifest, uint64_t id) {
    world_take(w, id);
    w->base_id = manifest->id;
    for (uint32_t p = 0; p < WORLD_PARTITIONS; p++) {
        const csti_manifest_partition *from = &manifest->partitions[p];
        world_part *part = &w->parts[p];

        CHECK(from->segments_count <= WORLD_CHAIN);
        part->count = from->segments_count;
        part->epoch = from->epoch_to;
        for (uint32_t s = 0; s < part->count; s++) {
            (void)snprintf(part->names[s], sizeof part->names[s], "%s", from->segments[s].name);
            part->segments[s] = from->segments[s];
            part->segments[s].name = part->names[s];
        }
    }
}

static inline void world_put(world *w, const char *name, const void *bytes, size_t count) {
    const cst_bytes range = {bytes, count};
    const cst_put_options options = {.condition = CST_PUT_IF_ABSENT, .nonce = test_random()};
    cst_err err;

    if (cst_object_put(w->store, name, &range, 1, &options, NULL, &err) != CST_OK)
        TEST_FAIL("%s: %s", name, err.text);
}

// Rows and tombstones of random keys below 200, and the same to the map.
static inline bytes_sink world_changes(world_part *part, uint32_t changes) {
    bytes_sink out = {0};

    for (uint32_t i = 0; i < changes; i++) {
        const uint64_t key = test_random_below(200);
        const uint64_t value = test_random();
        const uint64_t values[2] = {value, ~value};

        if (test_random_below(4) == 0) {
            inline_tombstone(&out, key);
            model_delete(&part->rows, &key, 8);
        } else {
            inline_row(&out, key, value);
            model_put(&part->rows, &key, 8, values, 16);
        }
    }
    return out;
}

static inline void world_segment(world *w, uint32_t p, uint64_t id, uint64_t nonce,
                                 uint32_t changes) {
    world_part *part = &w->parts[p];
    csti_manifest_segment *segment = &part->segments[part->count];
    const bool first = part->count == 0;
    const csti_checkpoint_name name = {.kind = CSTI_NAME_DELTA,
                                       .id = id,
                                       .partition = p,
                                       .tenure = w->tenure,
                                       .nonce = nonce,
                                       .epoch = part->epoch + 1};
    cst_segment_info info;
    cst_segment_summary summary;
    bytes_sink records = world_changes(part, changes), bytes = {0};

    CHECK(part->count < WORLD_CHAIN);
    part->epoch++;
    info =
        test_info(first ? CST_SEGMENT_FULL_UNORDERED : CST_SEGMENT_DELTA, part->epoch, part->epoch);
    info.program_hash = cst_segment_program_hash(&WORLD_PROGRAM);
    if (!first) info.base_checksum = part->segments[part->count - 1].checksum;
    summary = write_parts(&bytes, &info, &records, NULL);
    csti_checkpoint_name_format(&name, part->names[part->count]);
    world_put(w, part->names[part->count], bytes.bytes, bytes.count);
    *segment = (csti_manifest_segment){part->names[part->count],
                                       summary.segment_bytes,
                                       summary.checksum,
                                       info.kind,
                                       part->epoch,
                                       part->epoch};
    part->count++;
    sink_free(&records);
    sink_free(&bytes);
}

static inline uint32_t world_manifest(world *w, uint64_t id, uint64_t nonce, uint32_t outbox_less,
                                      char name_out[CSTI_CHECKPOINT_NAME_BYTES]) {
    const csti_job_identity identity = world_identity(w);
    csti_checkpoint_name name = {.kind = CSTI_NAME_MANIFEST, .id = id, .tenure = w->tenure};
    csti_manifest_partition partitions[WORLD_PARTITIONS];
    char offset[40];
    const csti_manifest_split split = {"generator-0", offset, INT64_MIN, false, NULL};
    csti_buffer text;
    cst_err err;
    uint32_t crc;

    (void)snprintf(offset, sizeof offset, "{\"row\":%" PRIu64 "}", id * 1000);
    for (uint32_t p = 0; p < WORLD_PARTITIONS; p++)
        partitions[p] = (csti_manifest_partition){
            .partition = p,
            .group_from = csti_partition_group_first(p, WORLD_PARTITIONS),
            .group_to = csti_partition_group_first(p + 1, WORLD_PARTITIONS),
            .owner = w->owner,
            .tenure = w->tenure,
            .epoch_from = w->parts[p].epoch + 1 - outbox_less,
            .epoch_to = w->parts[p].epoch,
            .watermark_us = INT64_MIN,
            .segments_count = w->parts[p].count,
            .outbox_first = w->parts[p].count - outbox_less,
            .segments = w->parts[p].segments,
        };
    const csti_manifest manifest = {
        .incarnation = w->incarnation,
        .id = id,
        .base_id = w->base_id,
        .job = identity.job,
        .owner = w->owner,
        .tenure = w->tenure,
        .created_us = 1700000000000000,
        .key_schema = identity.key_schema,
        .value = identity.value,
        .program = identity.program,
        .table_id = identity.table_id,
        .hash_key = identity.hash_key,
        .key_groups_count = CST_KEY_GROUPS_COUNT,
        .sink = w->sink,
        .partitions_count = WORLD_PARTITIONS,
        .partitions = partitions,
        .splits_count = 1,
        .splits = &split,
    };
    csti_buffer_init(&text, CSTI_MANIFEST_BYTES_MAX);
    if (csti_manifest_write(&manifest, &text, &err) != CST_OK) TEST_FAIL("%s", err.text);
    crc = csti_crc32c(0, text.bytes, text.used_bytes);
    name.nonce = csti_manifest_nonce(nonce, crc);
    csti_checkpoint_name_format(&name, name_out);
    world_put(w, name_out, text.bytes, text.used_bytes);
    csti_buffer_release(&text);
    return crc;
}

static inline cst_code world_commit(world *w, uint64_t id, uint32_t crc) {
    uint64_t tenures[WORLD_PARTITIONS];
    csti_meta_full_ref fulls[WORLD_PARTITIONS];
    csti_meta_command command = {
        .kind = CSTI_META_COMMIT,
        .owner = w->owner,
        .tenure = w->tenure,
        .id = id,
        .base_id = w->base_id,
        .name = w->manifests[id],
        .crc = crc,
        .tenures = tenures,
        .tenures_count = WORLD_PARTITIONS,
        .fulls = fulls,
    };

    for (uint32_t p = 0; p < WORLD_PARTITIONS; p++) {
        csti_checkpoint_name name;

        tenures[p] = w->tenure;
        CHECK(csti_checkpoint_name_parse(w->parts[p].segments[0].name, &name));
        if (name.kind != CSTI_NAME_FOLD) continue;
        fulls[command.fulls_count++] =
            (csti_meta_full_ref){p, w->parts[p].segments[0].epoch_to, w->parts[p].segments[0].name};
    }
    return world_propose(w, &command, NULL);
}

// How far it comes: segments only; with its manifest, a candidate; committed.
typedef enum world_how { UPLOADED, CANDIDATE, COMMITTED } world_how;

// The next checkpoint, each partition changed `changes` times. One that was not committed leaves
// the world as it was, but for the id and the objects; world_take makes it the state.
static inline uint64_t world_checkpoint(world *w, uint32_t changes, world_how how) {
    const uint64_t id = ++w->id;
    const uint64_t nonce = test_random();
    world_part before[WORLD_PARTITIONS];
    uint32_t crc = 0;

    CHECK(id < WORLD_IDS);
    memset(before, 0, sizeof before);
    world_parts_copy(before, w->parts);
    for (uint32_t p = 0; p < WORLD_PARTITIONS; p++) world_segment(w, p, id, nonce, changes);
    if (how >= CANDIDATE) crc = world_manifest(w, id, nonce, 1, w->manifests[id]);
    world_parts_copy(w->past[id], w->parts);
    if (how == COMMITTED) {
        CHECK_OK(world_commit(w, id, crc));
        w->base_id = id;
    } else {
        world_parts_copy(w->parts, before);
    }
    world_parts_free(before);
    return id;
}

// The next checkpoints stand on this full instead of what it was folded from.
static inline void world_use_full(world *w, uint32_t p, const csti_manifest_segment *full) {
    world_part *part = &w->parts[p];
    uint32_t folded = 0;

    while (folded < part->count && part->segments[folded].epoch_to <= full->epoch_to) folded++;
    CHECK(folded > 0);
    memmove(part->segments + 1, part->segments + folded,
            (part->count - folded) * sizeof part->segments[0]);
    memmove(part->names + 1, part->names + folded, (part->count - folded) * sizeof part->names[0]);
    part->count -= folded - 1;
    (void)snprintf(part->names[0], sizeof part->names[0], "%s", full->name);
    part->segments[0] = *full;
    for (uint32_t s = 0; s < part->count; s++) part->segments[s].name = part->names[s];
}

// ---- Compaction ---------------------------------------------------------------------------------

static inline csti_compaction_options world_compaction(world *w) {
    return (csti_compaction_options){
        .store = w->store,
        .meta = w->meta,
        .clock = &w->clock.clock,
        .random = &w->random.random,
        .owner = w->owner,
        .tenure = w->tenure,
        .keep = 3,
    };
}

static inline void world_manifest_read(world *w, uint64_t id, csti_arena *arena,
                                       csti_manifest *out) {
    csti_manifest_object object;
    cst_err err;

    if (csti_manifest_fetch(w->store, id, w->manifests[id], NULL, arena, &object, &err) != CST_OK)
        TEST_FAIL("%s", err.text);
    *out = object.manifest;
}

// Folds partition p as checkpoint `id` has it.
static inline cst_code world_fold(world *w, uint64_t id, uint32_t p, csti_arena *arena,
                                  csti_manifest_segment *full_out, cst_err *err) {
    const csti_compaction_options options = world_compaction(w);
    csti_manifest manifest;

    world_manifest_read(w, id, arena, &manifest);
    return csti_fold_partition(&options, &manifest, p, arena, full_out, err);
}

// ---- What is read back --------------------------------------------------------------------------

static inline void chain_apply(model *rows, const cst_segment *segment) {
    cst_segment_cursor cursor = {0};
    cst_segment_row row;
    uint32_t count = 0;

    for (;;) {
        CHECK_OK(cst_segment_next(segment, &cursor, &row, 1, &count, NULL));
        if (count == 0) return;
        if (row.tombstone)
            model_delete(rows, row.row.key, row.row.key_bytes);
        else
            model_put(rows, row.row.key, row.row.key_bytes, row.row.value, row.row.value_bytes);
    }
}

static inline bool models_equal(const model *a, const model *b) {
    if (a->count != b->count) return false;
    for (size_t i = 0; i < a->count; i++)
        if (a->rows[i].key_bytes != b->rows[i].key_bytes ||
            a->rows[i].value_bytes != b->rows[i].value_bytes ||
            memcmp(a->rows[i].key, b->rows[i].key, a->rows[i].key_bytes) != 0 ||
            memcmp(a->rows[i].value, b->rows[i].value, a->rows[i].value_bytes) != 0)
            return false;
    return true;
}

// Whether the chains hold what checkpoint `id` held.
static inline bool world_chains_hold(const world *w, const csti_chain *chains, uint64_t id) {
    bool same = true;

    for (uint32_t p = 0; p < WORLD_PARTITIONS; p++) {
        model rows = {NULL, 0, 0};

        for (uint32_t s = 0; s < chains[p].segments_count; s++)
            chain_apply(&rows, chains[p].segments[s]);
        same = same && models_equal(&rows, &w->past[id][p].rows);
        model_free(&rows);
    }
    return same;
}

static inline bool world_has(world *w, const char *name) {
    cst_object_info info;

    return cst_object_head(w->store, name, &info, NULL) == CST_OK;
}

// ---- Damage -------------------------------------------------------------------------------------

static inline void world_path(const world *w, const char *name, char path[1024]) {
    (void)snprintf(path, 1024, "%s/store/%s", w->folder.path, name);
}

static inline void world_flip(const world *w, const char *name, long offset) {
    char path[1024];
    FILE *file;
    int byte;

    world_path(w, name, path);
    CHECK_EQ(chmod(path, 0600), 0);
    file = fopen(path, "r+b");
    CHECK(file);
    CHECK_EQ(fseek(file, offset, offset < 0 ? SEEK_END : SEEK_SET), 0);
    byte = fgetc(file);
    CHECK(byte != EOF);
    CHECK_EQ(fseek(file, -1, SEEK_CUR), 0);
    CHECK(fputc(byte ^ 0x10, file) != EOF);
    CHECK_EQ(fclose(file), 0);
}

static inline void world_truncate(const world *w, const char *name, long bytes) {
    char path[1024];

    world_path(w, name, path);
    CHECK_EQ(truncate(path, bytes), 0);
}

static inline void world_remove(const world *w, const char *name) {
    char path[1024];

    world_path(w, name, path);
    CHECK_EQ(unlink(path), 0);
}

static inline void world_swap(const world *w, const char *a, const char *b) {
    char path_a[1024], path_b[1024], path_c[1024];

    world_path(w, a, path_a);
    world_path(w, b, path_b);
    world_path(w, "swap", path_c);
    CHECK_EQ(rename(path_a, path_c), 0);
    CHECK_EQ(rename(path_b, path_a), 0);
    CHECK_EQ(rename(path_c, path_b), 0);
}

#endif
