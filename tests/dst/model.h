// model.h: which rows the sources have, and what the state is after so many of them.
//
//   split s, row n ──► {key, id} ──► partition of the key's group, of so many as the job has then
//   state of a key:  count of its rows, sum of their ids: one row lost or twice shows
//
// Thread     one.
#ifndef DST_MODEL_H
#define DST_MODEL_H

#include "checkpoint/manifest.h"

enum {
    MODEL_SPLITS = 2,
    MODEL_PARTITIONS_MAX = 4, // a job has 1 to so many, and may change
    MODEL_KEYS = 24,
    MODEL_ROWS = 120, // of a split
};

typedef struct model_value {
    uint64_t count, sum;
} model_value;

typedef struct model_row {
    uint64_t key, id;
} model_row;

typedef struct model_state {
    model_value values[MODEL_KEYS];
} model_state;

extern const csti_job_identity model_job;
extern const char *const model_splits[MODEL_SPLITS];

model_row model_row_at(uint32_t split, uint64_t number);
uint32_t model_partition_of(uint64_t key, uint32_t count);
uint64_t model_hash_of(uint64_t key);
// Rows of the split from `from` on, and before `to`, that are for the partition of `count`.
uint64_t model_rows_between(uint32_t split, uint64_t from, uint64_t to, uint32_t partition,
                            uint32_t count);
// Behind the next `rows` rows of the partition from `from` on.
uint64_t model_row_behind(uint32_t split, uint64_t from, uint64_t rows, uint32_t partition,
                          uint32_t count);
// After the partition's rows among the first offsets[s] of each split; its keys of `count`, the
// others stay 0.
model_state model_state_at(const uint64_t offsets[MODEL_SPLITS], uint32_t partition,
                           uint32_t count);
// Puts a segment's rows over the state. False: a row is none of this partition's.
bool model_state_put(model_state *state, const cst_segment *segment, uint32_t partition,
                     uint32_t count);
// A digest of the segment's rows, in order.
uint64_t model_digest(const cst_segment *segment);
// {"row":7}
bool model_offset_read(const char *text, uint64_t *out);

#endif
