// manifests.h: a manifest that tests begin with, and the golden ones.
//
//   SAMPLE ──► sample(&s)    two partitions; each test changes what it is about in its own copy
//
// Owner      samples point into themselves: they are not copied.
#ifndef CST_TEST_MANIFESTS_H
#define CST_TEST_MANIFESTS_H

#include "checkpoint/manifest.h"
#include "test.h"

enum { MANIFEST_ARENA_BYTES = 256 << 20 };

typedef struct sample {
    csti_manifest manifest;
    csti_manifest_partition partitions[2];
    csti_manifest_segment segments[2][3];
    csti_manifest_split splits[2];
    csti_manifest_stage then;
    csti_manifest_rows rows;
} sample;

// Partition 0: a fold (1 to 12), a delta before this checkpoint, one of it. Partition 1: a first
// checkpoint (1 to 4) and two deltas of this one.
static const csti_manifest_segment SAMPLE_SEGMENTS[2][3] = {
    {{"folds/4-00000000000000f4/0-12", 4096, 7, CST_SEGMENT_FULL_ORDERED, 1, 12},
     {"checkpoints/00000000000000000016/0-2-00000000000000aa/delta-13", 512, 8, CST_SEGMENT_DELTA,
      13, 13},
     {"checkpoints/00000000000000000017/0-2-00000000000000bb/delta-14", 256, 9, CST_SEGMENT_DELTA,
      14, 14}},
    {{"checkpoints/00000000000000000004/1-2-00000000000000cc/delta-4", 1024, 1,
      CST_SEGMENT_FULL_UNORDERED, 1, 4},
     {"checkpoints/00000000000000000017/1-2-00000000000000bb/delta-5", 256, 2, CST_SEGMENT_DELTA, 5,
      5},
     {"checkpoints/00000000000000000017/1-2-00000000000000bb/delta-6", 256, 3, CST_SEGMENT_DELTA, 6,
      6}},
};

static inline void sample_init(sample *s) {
    memset(s, 0, sizeof *s);
    memcpy(s->segments, SAMPLE_SEGMENTS, sizeof SAMPLE_SEGMENTS);
    s->partitions[0] = (csti_manifest_partition){0,    0, 2048, 0xa1,           2, 14,  14, 170,
                                                 1000, 3, 2,    s->segments[0], 0, NULL};
    s->partitions[1] =
        (csti_manifest_partition){1,  2048, 4096, 0xa1,           2, 5,   6, INT64_MIN,
                                  50, 3,    1,    s->segments[1], 0, NULL};
    s->splits[0] = (csti_manifest_split){"a", "{\"row\":1}", 170, false, NULL};
    s->splits[1] = (csti_manifest_split){"b", "{\"row\":2}", INT64_MIN, true, NULL};
    s->manifest = (csti_manifest){
        .incarnation = 1,
        .id = 17,
        .base_id = 16,
        .job = "bids",
        .owner = 0xa1,
        .tenure = 2,
        .created_us = 1700000000000000,
        .key_schema = "u64",
        .value = "bids=count",
        .program = {.value_bytes = 8,
                    .accumulators_count = 1,
                    .presence_offset = CST_NO_OFFSET,
                    .accumulators = {{CST_COUNT, CST_U64, 0, CST_NO_COLUMN, 0}}},
        .table_id = 0xb2,
        .hash_key = {1, 2},
        .key_groups_count = CST_KEY_GROUPS_COUNT,
        .sink = "file",
        .partitions_count = 2,
        .partitions = s->partitions,
        .splits_count = 2,
        .splits = s->splits,
    };
}

// The second partition becomes that of a second stage, with `then`.
static inline void sample_stages(sample *s, csti_manifest_stage *then) {
    *then = (csti_manifest_stage){.key_schema = s->manifest.key_schema,
                                  .value = "highest=max(bids)",
                                  .program = s->manifest.program,
                                  .table_id = 0xc3,
                                  .hash_key = {3, 4}};
    s->manifest.then = then;
    s->partitions[0].group_to = CST_KEY_GROUPS_COUNT;
    s->partitions[1].group_from = 0;
    s->partitions[1].stage = 1;
}

// Of two stages: the second partition has rows stored behind it.
static inline void sample_rows(sample *s) {
    s->rows =
        (csti_manifest_rows){.name = "checkpoints/00000000000000000017/1-2-00000000000000bb/rows-6",
                             .bytes = 200,
                             .rows_count = 3,
                             .checksum = 5,
                             .epoch = 6};
    s->partitions[1].rows = &s->rows;
}

// The whole file, with a zero behind it; freed by the caller.
static inline char *golden_text(const char *file_name, size_t *count_out) {
    char path[1024];

    snprintf(path, sizeof path, CST_VECTORS_DIR "/manifests/%s.json", file_name);
    FILE *file = fopen(path, "rb");
    CHECK(file);
    char *text = malloc(1 << 16);
    CHECK(text);
    *count_out = fread(text, 1, (1 << 16) - 1, file);
    text[*count_out] = '\0';
    fclose(file);
    return text;
}

#endif
