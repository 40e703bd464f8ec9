// manifest.h: what one checkpoint consists of, complete in itself.
//
//   manifest 17, partition 0:  full(1..12) ◄── delta(13) ◄── delta(14) ◄── delta(15)
//                              in folds/    in checkpoints/15, 16, 17
//
// What the objects are called is names.h. A manifest names the whole chain of every partition, so
// that one object and what it names are enough to recover. It is created, never replaced; only
// CommitCheckpoint makes it count.
//
// Promises   equal manifests give equal bytes. Reading checks every rule: a manifest that was read
//            can be walked without looking for NULL or for a number out of range.
// Thread     values; one at a time.
// Ring       2.
// Owner      everything in a manifest lies in the arena that it was read or built in.
// Errors     MANIFEST names the path of the field (partitions[1].segments[0].epoch_to) and what is
//            wrong with it; MANIFEST_VERSION; JOB_MISMATCH, SEGMENT_SCHEMA, SEGMENT_HASH_KEY from
//            csti_manifest_expect.
#ifndef CST_CHECKPOINT_MANIFEST_H
#define CST_CHECKPOINT_MANIFEST_H

#include "base/arena.h"
#include "base/buffer.h"

#include <constellation/object.h>
#include <constellation/segment.h>

enum {
    CSTI_MANIFEST_VERSION = 4,
    CSTI_MANIFEST_VERSION_ALIGNED = 1,   // of one whose splits have no `skips`
    CSTI_MANIFEST_VERSION_UNALIGNED = 2, // and of one where some have
    CSTI_MANIFEST_VERSION_STAGES = 3,    // of a job with two stages, aligned
    CSTI_MANIFEST_VERSION_ROWS = 4,      // and of one where splits have `skips`, or partitions rows
    CSTI_MANIFEST_BYTES_MAX = 16 << 20,
    CSTI_MANIFEST_PARTITIONS_MAX = 4096,
    CSTI_MANIFEST_SPLITS_MAX = 4096,
    CSTI_MANIFEST_TEXT_BYTES_MAX = 4096,      // of each text; names are object names
    CSTI_MANIFEST_OFFSET_BYTES_MAX = 8 << 20, // of a split's offset: it may name many producers
};
#define CSTI_MANIFEST_NUMBER_MAX ((uint64_t)INT64_MAX) // of ids, epochs, tenures, counts

typedef struct csti_manifest_segment {
    const char *name;
    uint64_t bytes;
    uint32_t checksum; // the footer's: the base of the next delta
    cst_segment_kind kind;
    uint64_t epoch_from, epoch_to;
} csti_manifest_segment;

// Rows that were on their way to a partition of the second stage when it was cut: they come behind
// its segments.
typedef struct csti_manifest_rows {
    const char *name;
    uint64_t bytes;
    uint64_t rows_count; // at least 1
    uint32_t checksum;   // its header's
    uint64_t epoch;      // the partition's last one
} csti_manifest_rows;

typedef struct csti_manifest_partition {
    uint32_t partition;
    uint32_t group_from, group_to; // its key groups, [from, to)
    uint64_t owner, tenure;
    uint64_t epoch_from, epoch_to; // new in this checkpoint; from = to + 1: nothing was cut
    int64_t watermark_us;          // INT64_MIN: none yet
    uint64_t rows_count;           // rows ever applied to it, for reports
    uint32_t segments_count;
    uint32_t outbox_first; // segments from here on are this checkpoint's output: [epoch_from, to]
    const csti_manifest_segment *segments; // a chain: a full first
    uint32_t stage;                        // 1: of the second stage
    const csti_manifest_rows *rows;        // NULL: none
} csti_manifest_partition;

// What the partitions of a keyed stage keep.
typedef struct csti_manifest_stage {
    const char *key_schema; // canonical text
    const char *value;      // what was aggregated, as the job said it: for people
    cst_program program;    // what `value` stands for; compared by cst_segment_program_hash
    uint64_t table_id;
    cst_hash_key hash_key;
} csti_manifest_stage;

// Where a source goes on. `offset` is the source's own text: JSON without line ends. Of an
// unaligned checkpoint a partition may have rows behind it: of the split's rows behind the offset
// that are for its key groups, the first skips[p] are in partition p.
typedef struct csti_manifest_split {
    const char *split;
    const char *offset;
    int64_t watermark_us;
    bool ended;
    const uint64_t *skips; // partitions_count, not all of them 0; NULL: none
} csti_manifest_split;

typedef struct csti_manifest {
    uint64_t incarnation;
    uint64_t id, base_id; // base_id: the committed checkpoint before it; 0: none
    const char *job;
    uint64_t owner, tenure; // of the job
    int64_t created_us;
    const char *key_schema; // these five as csti_manifest_stage has them, of the first stage
    const char *value;
    cst_program program;
    uint64_t table_id;
    cst_hash_key hash_key;
    const csti_manifest_stage *then; // of the second stage; NULL: there is one
    uint32_t key_groups_count;       // CST_KEY_GROUPS_COUNT
    const char *sink;    // "none", "stdout", "file:out": what the output was promised to; a
                         // job that resumes keeps it
    uint64_t steps_hash; // where a split has `skips`: of what decides which rows these are; else 0
    uint32_t partitions_count;
    // 0, 1, ...; their groups cover all, in order; with two stages twice, half of them each.
    const csti_manifest_partition *partitions;
    uint32_t splits_count;
    const csti_manifest_split *splits; // ascending by name
} csti_manifest;

static inline bool csti_manifest_is_unaligned(const csti_manifest *manifest) {
    return manifest->steps_hash != 0;
}

static inline bool csti_manifest_has_rows(const csti_manifest *manifest) {
    for (uint32_t p = 0; p < manifest->partitions_count; p++)
        if (manifest->partitions[p].rows) return true;
    return false;
}

static inline uint32_t csti_manifest_stages_count(const csti_manifest *manifest) {
    return manifest->then ? 2 : 1;
}

// What the segments of a partition, which is the manifest's or a copy of one, keep.
static inline csti_manifest_stage csti_manifest_stage_of(const csti_manifest *manifest,
                                                         const csti_manifest_partition *partition) {
    if (partition->stage > 0) return *manifest->then;
    return (csti_manifest_stage){.key_schema = manifest->key_schema,
                                 .value = manifest->value,
                                 .program = manifest->program,
                                 .table_id = manifest->table_id,
                                 .hash_key = manifest->hash_key};
}

// Appends the text. USAGE: *manifest breaks a rule. LIMIT: CSTI_MANIFEST_BYTES_MAX.
CST_CHECK_RESULT cst_code csti_manifest_write(const csti_manifest *manifest, csti_buffer *out,
                                              cst_err *err);
// `name` is for errors.
CST_CHECK_RESULT cst_code csti_manifest_read(const char *name, const void *bytes, size_t count,
                                             csti_arena *arena, csti_manifest *out, cst_err *err);
// Every rule of docs/formats.md, Manifest, that is not about text; `code` is what breaking one is.
CST_CHECK_RESULT cst_code csti_manifest_check(const char *name, const csti_manifest *manifest,
                                              cst_code code, cst_err *err);

// All of it, texts and arrays too, into `arena`.
CST_CHECK_RESULT cst_code csti_manifest_copy(const csti_manifest *manifest, csti_arena *arena,
                                             csti_manifest *out, cst_err *err);
CST_CHECK_RESULT cst_code csti_manifest_copy_text(const char *text, csti_arena *arena,
                                                  const char **out, cst_err *err);

// NULL stays NULL.
CST_CHECK_RESULT cst_code csti_manifest_copy_skips(const uint64_t *skips, uint32_t partitions_count,
                                                   csti_arena *arena, const uint64_t **out,
                                                   cst_err *err);

// What the partitions of a job have in common, for segments and manifests.
typedef struct csti_job_identity csti_job_identity;
struct csti_job_identity {
    const char *job;
    const char *key_schema;
    const char *value;
    cst_program program;
    uint64_t table_id;
    cst_hash_key hash_key;
    const char *sink;
    uint64_t steps_hash; // of filters and operators; 0: it is not compared
    uint32_t parts_count;
    cst_segment_part parts[CST_SEGMENT_PARTS_MAX];
    // Of a second stage what its partitions have in common, but for job, sink and steps; NULL:
    // there is one stage.
    const csti_job_identity *then;
};

// Of what stage a partition is, where there are so many of all stages together.
static inline uint32_t csti_job_stage_of(const csti_job_identity *identity, uint32_t partition,
                                         uint32_t partitions_count) {
    return identity->then && partition >= partitions_count / 2 ? 1 : 0;
}

// Of that partition.
static inline const csti_job_identity *csti_job_identity_of(const csti_job_identity *identity,
                                                            uint32_t partition,
                                                            uint32_t partitions_count) {
    return csti_job_stage_of(identity, partition, partitions_count) ? identity->then : identity;
}

// Whether the manifest is of this job and its state can be read with this schema and program. A
// table_id of 0 and a hash key of zeros are not compared; texts `value` and `sink` never are, and
// steps_hash only where the manifest has one.
CST_CHECK_RESULT cst_code csti_manifest_expect(const csti_manifest *manifest,
                                               const csti_job_identity *identity, cst_err *err);

// The key groups of partition `p` of `count`, those of one stage: [p * 4096 / count, (p + 1) * 4096
// / count).
static inline uint32_t csti_partition_group_first(uint32_t partition, uint32_t count) {
    return (uint32_t)((uint64_t)partition * CST_KEY_GROUPS_COUNT / count);
}

#endif
