// message.h: what flows from a reader to a partition: blocks of rows, watermarks, barriers, an end.
//
//   reader ──► channel [ rows | rows | watermark | rows | (slot kept for a barrier) ] ──► partition
//      ▲                                                                                    │
//      └──────────────────────────── blocks that are free again ◄───────────────────────────┘
//
// A block holds rows that one partition gets from one reader: keys encoded and hashed, and the
// columns that the update program reads, copied there by the router.
//
// Promises   order kept; never blocks; a barrier, a watermark or an end always fits (a watermark
//            that finds no room waits in the channel's own cell and is merged with the next: it
//            goes out before anything later of its channel). A block goes back to its reader.
// Thread     one producer (the reader), one consumer (the partition).
// Ring       0 after open.
// Errors     CST_AGAIN: full, nothing happened; CST_NO_MEMORY, CST_LIMIT from open.
#ifndef CST_STREAM_MESSAGE_H
#define CST_STREAM_MESSAGE_H

#include "base/spsc_ring.h"
#include "stream/barrier.h"

#include <constellation/table.h>

enum { CSTI_BLOCK_SOURCES_MAX = CST_ACCUMULATORS_MAX };
#define CSTI_WATERMARK_NONE INT64_MIN
#define CSTI_WATERMARK_END INT64_MAX

typedef struct csti_block {
    uint32_t rows_count, rows_capacity;
    uint32_t key_bytes;    // of each; 0: of variable length, by offsets
    uint8_t *keys;         // rows_capacity * key_bytes_max
    uint32_t *key_offsets; // rows_capacity + 1, or NULL
    uint64_t *hashes;
    uint8_t *ops; // NULL: all upserts
    uint32_t sources_count;
    cst_source sources[CSTI_BLOCK_SOURCES_MAX]; // values and validity are the block's own
    uint64_t created_ns;                        // when its first row was read: for latencies
    uint64_t bytes;                             // of its rows, for bounds and metrics
    struct csti_channel *home;
} csti_block;

typedef enum csti_message_kind {
    CSTI_MESSAGE_ROWS = 1,
    CSTI_MESSAGE_WATERMARK, // no row with an earlier time follows on this channel
    CSTI_MESSAGE_BARRIER,
    CSTI_MESSAGE_IDLE,   // this input holds no watermark back until its next rows
    CSTI_MESSAGE_END,    // nothing follows
    CSTI_MESSAGE_FAILED, // nothing follows: `code` says why
} csti_message_kind;

typedef struct csti_message {
    csti_message_kind kind;
    cst_code code;
    csti_block *block;
    int64_t watermark_us;
    csti_barrier barrier;
} csti_message;

typedef struct csti_block_shape {
    uint32_t rows_capacity;
    uint32_t key_bytes;     // fixed; 0: variable
    uint32_t key_bytes_max; // a row, variable
    uint32_t sources_count;
    cst_type source_types[CSTI_BLOCK_SOURCES_MAX];
    bool source_nullable[CSTI_BLOCK_SOURCES_MAX];
    bool ops;
} csti_block_shape;

typedef struct csti_channel csti_channel;

// `blocks_count` blocks of that shape belong to it; it holds at most as many row messages.
CST_CHECK_RESULT cst_code csti_channel_open(const csti_block_shape *shape, uint32_t blocks_count,
                                            int numa_node, csti_channel **out, cst_err *err);
void csti_channel_close(csti_channel *channel); // NULL is allowed

// Producer: an empty block to fill, or NULL: all are under way. It is the producer's until sent.
csti_block *csti_channel_block(csti_channel *channel);
CST_CHECK_RESULT cst_code csti_channel_send_rows(csti_channel *channel, csti_block *block);
void csti_channel_send_watermark(csti_channel *channel, int64_t watermark_us);
void csti_channel_send_idle(csti_channel *channel);
// CST_AGAIN: the last barrier has not been taken yet.
CST_CHECK_RESULT cst_code csti_channel_send_barrier(csti_channel *channel, csti_barrier barrier);
void csti_channel_send_end(csti_channel *channel, cst_code code); // CST_OK: END, else FAILED

// Consumer: the next message; false: none now.
bool csti_channel_receive(csti_channel *channel, csti_message *out);
void csti_channel_recycle(csti_channel *channel, csti_block *block);

typedef struct csti_channel_stats {
    uint64_t messages, rows, bytes; // ever sent
    uint64_t queued;                // now
    uint64_t full_count;            // CST_AGAIN to a sender
} csti_channel_stats;
void csti_channel_stats_read(const csti_channel *channel, csti_channel_stats *out);

#endif
