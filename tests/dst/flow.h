// flow.h: rows on their way from splits to partitions, and a barrier among them.
//
//   split s       ── start ───────── pass ───────── read ►        its reader
//                      │ rows, rows   7   rows, rows  │           a channel a partition
//   partition p        └───────────── at ►                        has its rows before here
//
// Behind a checkpoint that was not aligned a reader begins before partitions: what is between
// `read` and `at` then, it reads again, and it goes no further.
//
// Thread     one.
#ifndef DST_FLOW_H
#define DST_FLOW_H

#include "dst/model.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct flow {
    uint32_t partitions_count;
    uint64_t starts[MODEL_SPLITS], reads[MODEL_SPLITS];
    uint64_t ats[MODEL_PARTITIONS_MAX][MODEL_SPLITS];
    // The last barrier
    uint64_t id; // 0: none is under way
    bool is_unaligned, passed[MODEL_SPLITS], sealed[MODEL_PARTITIONS_MAX];
    uint64_t passes[MODEL_SPLITS]; // where readers put it among their rows
    uint32_t told_count;           // partitions whose seal of it was told
} flow;

// The split goes on at `offset`; partition p has skips[p] rows of it behind that already.
void flow_start(flow *self, uint32_t split, uint64_t offset, const uint64_t *skips);
// The next row for the partition that it may take now: its number. False: there is none.
bool flow_next(flow *self, uint32_t partition, uint32_t split, uint64_t *number_out);
// Everybody has everything that was read, and no barrier is waited for.
bool flow_is_drained(const flow *self);
// Rows of the split that the partition has behind where the reader stands; false: none has any.
bool flow_skips(const flow *self, uint32_t split, uint64_t skips[MODEL_PARTITIONS_MAX]);
// Since the start: rows of the split that went to each partition, or were left out there.
void flow_routed(const flow *self, uint32_t split, uint64_t routed[MODEL_PARTITIONS_MAX]);
// The same of what the partition has.
void flow_applied(const flow *self, uint32_t partition, uint64_t applied[MODEL_SPLITS]);

void flow_barrier(flow *self, uint64_t id, bool is_unaligned);
bool flow_all_passed(const flow *self);
// Whether the partition seals now: it waits no longer, or has nothing left to wait for.
bool flow_is_due(const flow *self, uint32_t partition);

#endif
