// partition_internal.h: what the parts of a partition share.
//
//   partition.c         opening, messages, barriers, the poll
//   partition_done.c    completions of the table, and releases
//   partition_room.c    the memory budget, the clock, and keys whose time is over
//   partition_store.c   rows under way, kept for a checkpoint that does not wait for them
//   partition_metrics.c what is shown
//
// All of it runs on the partition's thread, but for what is atomic.
#ifndef CST_STREAM_PARTITION_INTERNAL_H
#define CST_STREAM_PARTITION_INTERNAL_H

#include "base/spsc_ring.h"
#include "stream/expiry.h"
#include "stream/partition.h"

enum { // tags of commands; a block's address is no such number
    TAG_BARRIER = 1,
    TAG_RELEASE = 2,
    TAG_EXPIRE = 3,
    TAGS_COUNT,
};

typedef struct partition_barrier {
    csti_barrier barrier;
    int64_t watermark_us;
    bool rows_follow;
} partition_barrier;

// Rows that came in front of a barrier that was not waited for.
typedef struct partition_store {
    csti_barrier barrier; // id 0: none are kept
    bool is_sealed;       // `sealed` was told
    csti_stored_rows rows;
} partition_store;

struct csti_partition {
    csti_partition_options options;
    csti_partition_metrics metrics;
    uint32_t inputs_count;
    csti_channel *inputs[CSTI_ALIGNER_INPUTS_MAX];
    csti_parker *senders[CSTI_ALIGNER_INPUTS_MAX];
    csti_aligner *aligner;
    csti_keeper *keeper;
    bool keeper_is_own;
    cst_code failed;
    cst_err failure;
    uint32_t next_input;
    bool ended;       // nothing comes any more
    bool has_aligned; // `aligned` waits for the keeper
    csti_aligned aligned;
    partition_barrier barriers[CSTI_PARTITION_BARRIERS_MAX]; // in the keeper
    uint32_t barriers_first, barriers_count;
    uint64_t rows_count;
    uint64_t sealed_count, released_count;
    uint64_t released_seen;   // when a halted keeper was last looked at
    uint64_t rows_since_seal; // and keys that expired
    uint32_t blocks_since_look;
    uint32_t rows_since_close;
    uint64_t shown_ns; // when the gauges were last set
    uint64_t align_ns_seen;
    uint64_t aborted_seen, unaligned_seen;
    uint64_t *applied; // rows of each split that are in the state
    int64_t watermark_us;
    csti_released release; // with has_release: waits for the keeper
    bool has_release;
    partition_store store;
    uint64_t stored_limit_count; // given up for their number
    csti_expiry expiry;
    int64_t final_us; // the time of the final barrier that waits; CSTI_WATERMARK_NONE: none does
    uint64_t state_bytes; // when its memory was last looked at
    uint64_t log_bytes;
    uint64_t chunks_count;
    uint64_t rows_full; // keys there were when the state last grew above its bound
    bool halted;        // the keeper: it has no room
    bool paused;        // counted in options.paused
    bool state_full;
    bool near; // the budget
    _Alignas(CSTI_SPSC_LINE_BYTES) _Atomic bool starved;
    _Atomic uint64_t flowed_id;
};

// ---- partition_done.c

CST_CHECK_RESULT cst_code csti_partition_completions_take(csti_partition *partition, bool *worked,
                                                          cst_err *err);
CST_CHECK_RESULT cst_code csti_partition_releases_take(csti_partition *partition, bool *worked,
                                                       cst_err *err);
// The block is applied, and goes back.
void csti_partition_block_end(csti_partition *partition, csti_block *block);
CST_CHECK_RESULT cst_code csti_partition_sealed_give(csti_partition *partition,
                                                     const csti_sealed *sealed, uint64_t bytes,
                                                     cst_err *err);
// Fails with `code`, naming the key of that row.
CST_CHECK_RESULT cst_code csti_partition_fail_row(const csti_partition *partition,
                                                  const cst_rows *rows, uint32_t row, cst_code code,
                                                  cst_err *err);

// ---- partition_room.c

void csti_partition_room_look(csti_partition *partition);
void csti_partition_clock_look(csti_partition *partition);
// Whether a final barrier waits until what is over is gone from the results.
bool csti_partition_final_walk_wanted(csti_partition *partition);
// With nothing in flight.
CST_CHECK_RESULT cst_code csti_partition_expiry_turn(csti_partition *partition, bool *worked,
                                                     cst_err *err);

// ---- partition_store.c

// Whether rows of the barrier that is being sealed may come behind it.
bool csti_partition_rows_follow(const csti_partition *partition);
void csti_partition_store_begin(csti_partition *partition, csti_barrier barrier);
void csti_partition_store_end(csti_partition *partition);
// A row of an input whose barrier is late; once, however often its block is offered to the keeper.
void csti_partition_rows_store(csti_partition *partition);
// Complete, when the last late barrier has come.
CST_CHECK_RESULT cst_code csti_partition_store_look(csti_partition *partition, bool *worked,
                                                    cst_err *err);

// ---- partition_metrics.c

CST_CHECK_RESULT cst_code csti_partition_metrics_open(csti_partition *partition, cst_err *err);
void csti_partition_align_set(csti_partition *partition);
void csti_partition_align_observe(csti_partition *partition);
void csti_partition_gauges_set(csti_partition *partition, uint64_t now_ns);

#endif
