// route.h: rows of one reader, each to the partition that owns its key group.
//
//   hashes   ─► partition of each row ─► order: rows by partition, in their own order
//                 0 1 0 0 1                       | 0 2 3 | 1 4 |
//                                                   ▲ next    ▲ next
//   next rows ─► keys, hashes, operations, sources into the open block of their channel
//                a block goes out when it is full, and at a flush
//
// A partition whose channel has no block keeps its rows waiting; the others go on. With one
// partition there is nothing to order, and columns are copied as they lie.
//
// For checkpoints that are not aligned it counts the rows of each split that went to each
// partition. Behind such a checkpoint a split is read from where no partition had more of it, and
// `skips` says how many of its next rows each has already: these are left out. Which rows of a
// split go to a partition, and in which order, does not depend on how it is cut into batches.
//
// Promises   rows of one partition keep their order. Between begin and the end of push the rows
//            stay where they are; nothing of them is left behind when push has ended.
// Thread     one.
// Ring       0 after open.
// Owner      borrows channels and parkers.
// Errors     open: NO_MEMORY.
#ifndef CST_STREAM_ROUTE_H
#define CST_STREAM_ROUTE_H

#include "base/park.h"
#include "stream/message.h"

enum { CSTI_ROUTE_PARTITIONS_MAX = 128, CSTI_ROUTE_GROUPS_COUNT = 4096 };

typedef struct csti_router_split {
    uint32_t number;       // what blocks call it
    const uint64_t *skips; // a partition each; NULL: none
} csti_router_split;

typedef struct csti_router_options {
    uint32_t partitions_count;
    const uint32_t *groups_first;  // a partition's first key group, ascending; [0] is 0
    csti_channel *const *channels; // one a partition
    csti_parker *const *receivers; // woken when something was sent; may be NULL, one may be NULL
    const csti_block_shape *shape; // of their blocks
    uint32_t rows_max;             // of one begin
    const csti_router_split *splits;
    uint32_t splits_count; // 0: one, of number 0
} csti_router_options;

typedef struct csti_router csti_router;

CST_CHECK_RESULT cst_code csti_router_open(const csti_router_options *options, csti_router **out,
                                           cst_err *err);
void csti_router_close(csti_router *router); // NULL is allowed

// Takes a batch whose keys are encoded and hashed; the one before has been pushed. No key is longer
// than the blocks' key_bytes_max. `read_ns` is when it was read.
void csti_router_begin(csti_router *router, const cst_rows *rows, uint64_t read_ns);
// The batches that follow are of this split, by its place in the options. Before: the first.
void csti_router_turn(csti_router *router, uint32_t split);
// Rows of the split that were begun, a partition each, those that were left out too.
const uint64_t *csti_router_routed(const csti_router *router, uint32_t split);
// How many of its next rows each partition has; NULL: none has any.
const uint64_t *csti_router_skips(const csti_router *router, uint32_t split);
// Moves rows into blocks while there are blocks; how many.
uint32_t csti_router_push(csti_router *router);
bool csti_router_is_done(const csti_router *router); // nothing of the batch is left
// Sends the blocks that are begun.
void csti_router_flush(csti_router *router);

// To every channel. A barrier: false, if one channel still holds the one before; call it again.
void csti_router_send_watermark(csti_router *router, int64_t watermark_us);
void csti_router_send_idle(csti_router *router);
void csti_router_send_live(csti_router *router);
bool csti_router_send_barrier(csti_router *router, csti_barrier barrier);
void csti_router_send_end(csti_router *router, cst_code code);

#endif
