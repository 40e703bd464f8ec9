// stored.h: a job's checkpoints in a store, made from tables, without a running job.
//
//   stored_open(text) ─► stored_put ... ─► stored_commit ─► stored_put ... ─► stored_fold ─► query
//
// Owner      the folder goes with stored_close.
#ifndef CST_TEST_STORED_H
#define CST_TEST_STORED_H

#include "base/crc32c.h"
#include "checkpoint/chain.h"
#include "checkpoint/compaction.h"
#include "checkpoint/names.h"
#include "server/config.h"
#include "unit/object/folder.h"
#include "unit/state/segments.h"

enum { STORED_PARTITIONS = 2, STORED_CHAIN = 16, STORED_RANGES = 64 };

typedef struct stored_part {
    cst_table *table;
    csti_manifest_segment segments[STORED_CHAIN];
    char names[STORED_CHAIN][CSTI_CHECKPOINT_NAME_BYTES];
    uint32_t count;
} stored_part;

typedef struct stored {
    test_folder folder;
    char job[256]; // the job file
    cst_object_store *store;
    csti_clock_sim clock;
    csti_random_sim random;
    csti_meta *meta;
    csti_job_config config;
    csti_job_shape shape;
    csti_arena arena;
    cst_hash_key hash_key;
    uint64_t owner, tenure, id;
    stored_part parts[STORED_PARTITIONS];
} stored;

static inline void stored_claim(stored *s) {
    const csti_meta_command command = {.kind = CSTI_META_CLAIM,
                                       .name = s->config.name,
                                       .owner = s->owner,
                                       .count = STORED_PARTITIONS};
    csti_meta_result result;
    cst_err err;

    if (csti_meta_propose(s->meta, &command, &result, &err) != CST_OK) TEST_FAIL("%s", err.text);
    s->tenure = result.tenure;
}

static inline void stored_tables(stored *s) {
    cst_table_options options = s->shape.table;
    cst_err err;

    options.hash_key = s->hash_key;
    options.background = false;
    for (uint32_t p = 0; p < STORED_PARTITIONS; p++)
        if (cst_table_open(&options, &s->parts[p].table, &err) != CST_OK) TEST_FAIL("%s", err.text);
}

// Reads another version of the job file.
static inline void stored_job(stored *s, const char *text) {
    cst_operator_shape rows;
    cst_err err;
    FILE *file = fopen(s->job, "wb");

    CHECK(file);
    CHECK(fputs(text, file) >= 0);
    CHECK_EQ(fclose(file), 0);
    csti_config_close(&s->config);
    if (csti_config_read(s->job, NULL, &s->config, &err) != CST_OK) TEST_FAIL("%s", err.text);
    CHECK_OK(csti_job_rows_shape(&s->config, &rows, &err));
    CHECK_OK(csti_job_shape_make(&s->config, &rows, &s->arena, &s->shape, &err));
}

static inline stored *stored_open(const char *text) {
    stored *s = calloc(1, sizeof *s);
    csti_meta_log_options options = {.create = true};
    cst_err err;

    CHECK(s);
    s->folder = folder_make();
    s->store = folder_store(&s->folder);
    s->hash_key = (cst_hash_key){7, 9};
    s->owner = 3;
    (void)snprintf(s->job, sizeof s->job, "%s/job.toml", s->folder.path);
    csti_clock_sim_init(&s->clock, 1700000000000000);
    csti_random_sim_init(&s->random, 5);
    csti_arena_init(&s->arena, 1 << 20);
    stored_job(s, text);
    options.store = s->store;
    options.clock = &s->clock.clock;
    options.random = &s->random.random;
    if (csti_meta_open_log(&options, &s->meta, &err) != CST_OK) TEST_FAIL("%s", err.text);
    stored_claim(s);
    stored_tables(s);
    return s;
}

static inline void stored_close(stored *s) {
    for (uint32_t p = 0; p < STORED_PARTITIONS; p++) cst_table_close(s->parts[p].table);
    csti_meta_close(s->meta);
    cst_object_store_close(s->store);
    csti_config_close(&s->config);
    csti_arena_release(&s->arena);
    folder_remove(&s->folder);
    free(s);
}

// A row of this encoded key, whose sources are all the same column.
static inline void stored_apply(stored *s, const void *key, uint32_t key_bytes, cst_row_op op,
                                const cst_source *source) {
    const uint64_t hash = cst_hash(&s->hash_key, key, key_bytes);
    const uint8_t operation = (uint8_t)op;
    const cst_rows rows = {.rows_count = 1,
                           .key_stride = key_bytes,
                           .key_bytes = key_bytes,
                           .ops = &operation,
                           .hashes = &hash,
                           .keys = key,
                           .sources = source};
    const uint32_t p = cst_key_group(hash) >= CST_KEY_GROUPS_COUNT / STORED_PARTITIONS;
    uint32_t applied = 0;

    CHECK_OK(cst_table_apply_all(s->parts[p].table, &rows, &applied));
    CHECK_EQ(applied, 1);
}

static inline void stored_row(stored *s, const void *key, uint32_t key_bytes, cst_row_op op,
                              uint64_t value) {
    const cst_source source = {.values = &value, .type = CST_TYPE_U64};

    stored_apply(s, key, key_bytes, op, &source);
}

static inline void stored_put(stored *s, const char *name, const void *bytes, size_t count) {
    const cst_bytes range = {bytes, count};
    const cst_put_options options = {.condition = CST_PUT_IF_ABSENT, .nonce = 1};
    cst_err err;

    if (cst_object_put(s->store, name, &range, 1, &options, NULL, &err) != CST_OK)
        TEST_FAIL("%s: %s", name, err.text);
}

static inline void stored_segment(stored *s, uint32_t p) {
    stored_part *part = &s->parts[p];
    csti_manifest_segment *segment = &part->segments[part->count];
    const cst_delta delta = cst_table_seal(part->table);
    const csti_job_identity *identity = &s->shape.identity;
    cst_segment_info info = {.kind = CST_SEGMENT_FULL_UNORDERED,
                             .table_id = identity->table_id,
                             .epoch_from = delta.epoch,
                             .epoch_to = delta.epoch,
                             .schema_hash = cst_segment_schema_hash(identity->key_schema),
                             .program_hash = cst_segment_program_hash(&identity->program),
                             .hash_key_check = cst_segment_hash_key_check(&s->hash_key),
                             .parts_count = 1,
                             .parts = {identity->parts[0]}};
    cst_bytes ranges[STORED_RANGES];
    const cst_bytes *parts[1] = {ranges};
    bytes_sink bytes = {0};
    cst_segment_summary summary;
    size_t count = 0;
    cst_err err;

    CHECK(part->count < STORED_CHAIN);
    if (part->count > 0) {
        info.kind = CST_SEGMENT_DELTA;
        info.base_epoch = delta.epoch - 1;
        info.base_checksum = part->segments[part->count - 1].checksum;
    }
    cst_table_delta_ranges(part->table, &delta, ranges, STORED_RANGES, &count);
    CHECK(count <= STORED_RANGES);
    if (cst_segment_write(&info, parts, &count, sink_write, &bytes, &summary, &err) != CST_OK)
        TEST_FAIL("%s", err.text);
    csti_checkpoint_name_format(&(csti_checkpoint_name){.kind = CSTI_NAME_DELTA,
                                                        .id = s->id,
                                                        .partition = p,
                                                        .tenure = s->tenure,
                                                        .nonce = 1,
                                                        .epoch = delta.epoch},
                                part->names[part->count]);
    stored_put(s, part->names[part->count], bytes.bytes, bytes.count);
    *segment = (csti_manifest_segment){part->names[part->count],
                                       summary.segment_bytes,
                                       summary.checksum,
                                       info.kind,
                                       delta.epoch,
                                       delta.epoch};
    part->count++;
    sink_free(&bytes);
}

static inline csti_manifest stored_manifest(stored *s, csti_manifest_partition *partitions) {
    for (uint32_t p = 0; p < STORED_PARTITIONS; p++) {
        const stored_part *part = &s->parts[p];

        partitions[p] = (csti_manifest_partition){
            .partition = p,
            .group_from = csti_partition_group_first(p, STORED_PARTITIONS),
            .group_to = csti_partition_group_first(p + 1, STORED_PARTITIONS),
            .owner = s->owner,
            .tenure = s->tenure,
            .epoch_from = part->segments[part->count - 1].epoch_to,
            .epoch_to = part->segments[part->count - 1].epoch_to,
            .watermark_us = INT64_MIN,
            .segments_count = part->count,
            .outbox_first = part->count - 1,
            .segments = part->segments,
        };
    }
    return (csti_manifest){
        .incarnation = 1,
        .id = s->id,
        .base_id = s->id - 1,
        .job = s->config.name,
        .owner = s->owner,
        .tenure = s->tenure,
        .created_us = 1700000000000000,
        .key_schema = s->shape.identity.key_schema,
        .value = s->shape.identity.value,
        .program = s->shape.program,
        .table_id = s->shape.identity.table_id,
        .hash_key = s->hash_key,
        .key_groups_count = CST_KEY_GROUPS_COUNT,
        .sink = s->shape.identity.sink,
        .partitions_count = STORED_PARTITIONS,
        .partitions = partitions,
    };
}

// What changed since the last one becomes the next checkpoint.
static inline void stored_commit(stored *s) {
    csti_manifest_partition partitions[STORED_PARTITIONS];
    char name[CSTI_CHECKPOINT_NAME_BYTES];
    uint64_t tenures[STORED_PARTITIONS];
    csti_meta_full_ref fulls[STORED_PARTITIONS];
    csti_meta_command command = {.kind = CSTI_META_COMMIT,
                                 .owner = s->owner,
                                 .tenure = s->tenure,
                                 .id = ++s->id,
                                 .base_id = s->id - 1,
                                 .name = name,
                                 .tenures = tenures,
                                 .tenures_count = STORED_PARTITIONS,
                                 .fulls = fulls};
    csti_manifest manifest;
    csti_buffer text;
    cst_err err;

    for (uint32_t p = 0; p < STORED_PARTITIONS; p++) {
        stored_segment(s, p);
        tenures[p] = s->tenure;
        if (s->parts[p].segments[0].kind == CST_SEGMENT_FULL_ORDERED)
            fulls[command.fulls_count++] = (csti_meta_full_ref){p, s->parts[p].segments[0].epoch_to,
                                                                s->parts[p].segments[0].name};
    }
    manifest = stored_manifest(s, partitions);
    csti_buffer_init(&text, CSTI_MANIFEST_BYTES_MAX);
    if (csti_manifest_write(&manifest, &text, &err) != CST_OK) TEST_FAIL("%s", err.text);
    command.crc = csti_crc32c(0, text.bytes, text.used_bytes);
    csti_checkpoint_name_format(&(csti_checkpoint_name){.kind = CSTI_NAME_MANIFEST,
                                                        .id = s->id,
                                                        .tenure = s->tenure,
                                                        .nonce =
                                                            csti_manifest_nonce(0, command.crc)},
                                name);
    stored_put(s, name, text.bytes, text.used_bytes);
    if (csti_meta_propose(s->meta, &command, NULL, &err) != CST_OK) TEST_FAIL("%s", err.text);
    csti_buffer_release(&text);
}

// The chain of partition `p`, but for the last checkpoint's, becomes an ordered full; the next
// checkpoint stands on it.
static inline void stored_fold(stored *s, uint32_t p) {
    const csti_compaction_options options = {.store = s->store,
                                             .meta = s->meta,
                                             .clock = &s->clock.clock,
                                             .random = &s->random.random,
                                             .owner = s->owner,
                                             .tenure = s->tenure,
                                             .keep = 3};
    csti_manifest_partition partitions[STORED_PARTITIONS];
    const csti_manifest manifest = stored_manifest(s, partitions);
    stored_part *part = &s->parts[p];
    csti_manifest_segment full;
    csti_arena arena;
    cst_err err;

    csti_arena_init(&arena, 1 << 20);
    if (csti_fold_partition(&options, &manifest, p, &arena, &full, &err) != CST_OK)
        TEST_FAIL("%s", err.text);
    CHECK_EQ(full.epoch_to + 1, part->segments[part->count - 1].epoch_to);
    (void)snprintf(part->names[0], sizeof part->names[0], "%s", full.name);
    memcpy(part->names[1], part->names[part->count - 1], sizeof part->names[1]);
    part->segments[1] = part->segments[part->count - 1];
    part->segments[0] = full;
    for (uint32_t i = 0; i < 2; i++) part->segments[i].name = part->names[i];
    part->count = 2;
    csti_arena_release(&arena);
}

#endif
