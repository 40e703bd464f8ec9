// message.h: what flows from a reader to a partition: blocks of rows, watermarks, barriers, an end.
//
//   reader ──► channel [ rows | rows | watermark | rows | (slot kept for a barrier) ] ──► partition
//      ▲                                                                                    │
//      └──────────────────────────── blocks that are free again ◄───────────────────────────┘
//
// A block holds rows that one partition gets from one reader: keys encoded and hashed, and the
// columns that the update program reads, copied there by the router.
//
//   ring item   | watermark and idleness so far | rows, barrier or end |
//   cell        | position | watermark | idle |     what no item has carried yet
//
// A watermark takes no slot: it waits in the channel's cell, where a higher one replaces it, and
// travels with the next item. A consumer that has read everything before the cell's position reads
// the cell. Rows have a slot because they have a block; barrier and end have one of their own.
//
// Promises   order kept, for watermarks too: after all that was sent before, before all that was
//            sent later. Never blocks; a barrier, a watermark or an end always fits. Of watermarks
//            with nothing between them only the highest comes out; a lower one never does. A block
//            goes back to its reader.
// Thread     one producer (the reader), one consumer (the partition); stats: any.
// Ring       0 after open: every page of the blocks is there.
// Errors     CST_AGAIN: the last barrier is still on its way; CST_NO_MEMORY, CST_LIMIT, CST_USAGE
//            (keys_bytes below one key's) from open.
#ifndef CST_STREAM_MESSAGE_H
#define CST_STREAM_MESSAGE_H

#include "stream/barrier.h"

#include <constellation/table.h>

enum {
    CSTI_BLOCK_SOURCES_MAX = CST_ACCUMULATORS_MAX,
    CSTI_BLOCK_RUNS_MAX = 16,
    CSTI_CHANNEL_BLOCKS_MAX = 1 << 16,
};
#define CSTI_CHANNEL_BYTES_MAX ((size_t)1 << 36)
#define CSTI_WATERMARK_NONE INT64_MIN
#define CSTI_WATERMARK_END INT64_MAX

// Rows of one split that lie behind each other.
typedef struct csti_block_run {
    uint32_t split, rows_count;
} csti_block_run;

typedef struct csti_block {
    uint32_t rows_count, rows_capacity;
    uint32_t key_bytes;     // of each; 0: of variable length, by offsets
    uint32_t keys_capacity; // bytes
    uint8_t *keys;
    uint32_t *key_offsets; // rows_capacity + 1, the first one 0; or NULL
    uint64_t *hashes;
    uint8_t *ops; // NULL: all upserts
    uint32_t sources_count;
    cst_source sources[CSTI_BLOCK_SOURCES_MAX]; // values and validity are the block's own
    uint32_t runs_count;                        // of which splits its rows are, in order
    csti_block_run runs[CSTI_BLOCK_RUNS_MAX];
    uint64_t created_ns;       // when its first row was read: for latencies
    uint64_t bytes;            // of its rows, for bounds and metrics
    struct csti_channel *home; // where it goes back to
} csti_block;

// As a table takes them.
static inline cst_rows csti_block_rows(const csti_block *block) {
    return (cst_rows){.rows_count = block->rows_count,
                      .key_stride = block->key_bytes,
                      .key_bytes = block->key_bytes,
                      .ops = block->ops,
                      .hashes = block->hashes,
                      .keys = block->keys,
                      .key_offsets = block->key_bytes ? NULL : block->key_offsets,
                      .sources = block->sources};
}

typedef enum csti_message_kind {
    CSTI_MESSAGE_ROWS = 1,
    CSTI_MESSAGE_WATERMARK, // no row with an earlier time follows on this channel
    CSTI_MESSAGE_BARRIER,
    CSTI_MESSAGE_IDLE,   // this input holds no watermark back until its next rows, or
    CSTI_MESSAGE_LIVE,   // it does again: it has rows, for others so far
    CSTI_MESSAGE_END,    // nothing follows
    CSTI_MESSAGE_FAILED, // nothing follows: `code` says why
} csti_message_kind;

typedef struct csti_message {
    csti_message_kind kind;
    cst_code code;        // FAILED
    csti_block *block;    // ROWS: the consumer's until it is recycled
    int64_t watermark_us; // WATERMARK
    csti_barrier barrier; // BARRIER
} csti_message;

typedef struct csti_block_shape {
    uint32_t rows_capacity;
    uint32_t key_bytes;     // fixed; 0: variable
    uint32_t key_bytes_max; // of a row, variable
    uint32_t keys_bytes;    // of all rows, variable; 0: rows_capacity * key_bytes_max
    uint32_t sources_count;
    // Of a type without a fixed width only the nulls travel: a count looks at nothing else.
    cst_type source_types[CSTI_BLOCK_SOURCES_MAX];
    bool source_nullable[CSTI_BLOCK_SOURCES_MAX];
    bool ops;
} csti_block_shape;

typedef struct csti_channel csti_channel;

// `blocks_count` blocks of that shape belong to it; it holds at most as many row messages.
CST_CHECK_RESULT cst_code csti_channel_open(const csti_block_shape *shape, uint32_t blocks_count,
                                            int numa_node, csti_channel **out, cst_err *err);
void csti_channel_close(csti_channel *channel); // NULL is allowed; its blocks go with it

// Producer: an empty block to fill, or NULL: the channel is full, all are under way. It is the
// producer's until sent.
csti_block *csti_channel_block(csti_channel *channel);
void csti_channel_send_rows(csti_channel *channel, csti_block *block);
// CSTI_WATERMARK_NONE says nothing.
void csti_channel_send_watermark(csti_channel *channel, int64_t watermark_us);
// Until the next rows. A watermark may follow.
void csti_channel_send_idle(csti_channel *channel);
void csti_channel_send_live(csti_channel *channel);
// CST_AGAIN: the last barrier has not been received yet; nothing happened.
CST_CHECK_RESULT cst_code csti_channel_send_barrier(csti_channel *channel, csti_barrier barrier);
// Nothing is sent after it. CST_OK: END, else FAILED.
void csti_channel_send_end(csti_channel *channel, cst_code code);

// Consumer: the next message; false: none now.
bool csti_channel_receive(csti_channel *channel, csti_message *out);
void csti_channel_recycle(csti_channel *channel, csti_block *block);
// Any thread, for tests and benchmarks: while stalled nothing is received, as if what is sent were
// long on its way.
void csti_channel_stall(csti_channel *channel, bool stalled);

typedef struct csti_channel_stats {
    uint64_t blocks, rows, bytes; // ever sent
    uint64_t queued;              // sent and not received, now
    uint64_t queued_max;          // its blocks
    uint64_t full_count;          // how often there was no block
    uint64_t misplaced_bytes;     // of its blocks, on another node than was asked for
} csti_channel_stats;
void csti_channel_stats_read(const csti_channel *channel, csti_channel_stats *out);

#endif
