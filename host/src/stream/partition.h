// partition.h: the task that owns a shard's rows: takes what readers send, applies, seals.
//
//   channel of reader 0 ─╖
//   channel of reader 1 ─╫─► aligner ─► APPLY ─► keeper ─► rows        blocks go back
//                        ╨               BARRIER ─────────► delta ─► sealed
//                                        RELEASE ◄───────────────── released
//
// With windows it has panes in place of the table (panes.h): a seal cuts all of them, and closing
// goes on between messages, a bounded number of rows a poll.
//
// Budget: with more state or more change log than it may have, the partition counts itself into
// `paused`: readers start nothing new, while all that is under way is still applied (the table's
// own budget has room for it), so that barriers arrive, commit and free. The two have bounds of
// their own because a table does not give one's memory to the other. Should the table refuse a row
// all the same, the keeper halts, and tries again behind each release. `starved` says that nothing
// is pinned any more and it is still too little: only a larger budget helps. A table keeps what it
// has grown to, so where keys went (they expired, or were deleted) the pause ends when a sixteenth
// of them has.
//
// Time to live (expiry.h): `now` is the watermark, or the clock where rows have no event time; then
// that is what sealed.watermark_us says, too. EXPIRE goes between two blocks, and while nothing
// comes. In front of a final barrier a whole walk is made, as far as the change log has room.
//
// Not aligned: an id in `unaligned_id` is cut where the partition stands when it sees it, and
// `applied` says how far that is: rows of each split that are in the state.
//
// In front of a second stage: rows of closed windows go on through the emitter (emitter.h), then
// the watermark, then the barrier, once it is sealed here. While the emitter waits for a full
// channel neither are windows closed nor, if any is to be, messages taken. A final barrier waits
// for the windows that its rows have closed, but not while the second stage has no room for theirs:
// then sealed.closing says that some are left.
//
// Between two stages: what is on its way to a partition when it is cut so comes from no source
// again. A copy of the rows that come in front of a barrier that is late is kept, up to the last of
// these barriers (stored_rows.h), and `stored` has them; they are in the state as well, behind the
// cut. With more than stored_bytes_max of them the checkpoint is given up, ALIGN_LIMIT. Rows that a
// checkpoint has stored, `replay`, are applied before any message is taken.
//
// Promises   a delta that is sealed at a barrier holds exactly the rows in front of it; at one that
//            is not aligned, exactly the first applied[s] rows of each split s that are for the
//            partition, or, with `replay` and `stored`, exactly the rows that were taken before it:
//            what was sent in front of the barrier is there or stored. A row that cannot be applied
//            (SUM_OVERFLOW, TABLE_SKEW ...) stops the partition with nothing of it or behind it in
//            the table. poll never waits; it does a bounded piece of work.
// Thread     poll: one. Metrics: any.
// Ring       1: the row path inside it is ring 0.
// Owner      borrows keeper, table, panes, queue, channels, parkers, guard and metrics; arrays
//            until open returns.
// Errors     FENCED; DEVICE_LOST; the code of a row that cannot be applied, naming partition and
//            key. Every later poll gives it again.
#ifndef CST_STREAM_PARTITION_H
#define CST_STREAM_PARTITION_H

#include "base/clock.h"
#include "base/metrics.h"
#include "base/park.h"
#include "state/keeper.h"
#include "stream/aligner.h"
#include "stream/guard.h"
#include "stream/panes.h"
#include "stream/stored_rows.h"
#include "stream/totals.h"

enum {
    CSTI_PARTITION_BARRIERS_MAX = 64,
    CSTI_BUDGET_NEAR_PERCENT = 80, // of the budget: somebody is warned
    CSTI_BUDGET_FAR_PERCENT = 75,  // below it the warning is over
};

typedef struct csti_partition csti_partition;

// What a barrier cut.
typedef struct csti_sealed {
    csti_barrier barrier;
    cst_delta delta;
    const csti_pane_cut *panes; // with windows, in place of the delta; else NULL
    int64_t watermark_us;
    bool closing;            // of closed windows rows are left
    uint64_t rows_count;     // applied to the partition so far, `rows_before` included
    const uint64_t *applied; // splits_count of them, until `sealed` returns
    bool rows_follow;        // `stored` will be called for it, unless it is given up
} csti_sealed;

// What `sealed` gave.
typedef struct csti_released {
    cst_delta delta;
    const csti_pane_cut *panes;
} csti_released;

// What a partition tells its owner, on its own thread.
typedef struct csti_partition_events {
    // An error stops the partition.
    cst_code (*sealed)(void *context, const csti_sealed *sealed, cst_err *err);
    // The oldest one whose checkpoint is over; false: none.
    bool (*released)(void *context, csti_released *out);
    // A barrier was given up while it was aligned; `input` was waited for (aligner.h).
    void (*given_up)(void *context, csti_barrier barrier, cst_code code, uint32_t input);
    // Behind `sealed`: the rows of that barrier that were late, all of them; taken over. An error
    // stops the partition. NULL: they are not kept.
    cst_code (*stored)(void *context, uint64_t id, csti_stored_rows *rows, cst_err *err);
    // A block whose first row was read at read_ns is in the table; may be NULL.
    void (*applied)(void *context, uint32_t rows_count, uint64_t read_ns, uint64_t applied_ns);
    void *context;
} csti_partition_events;

typedef struct csti_partition_options {
    uint32_t partition;
    const csti_clock *clock;
    const csti_guard *guard;
    csti_keeper *keeper;     // NULL: one of its own, for the table or the panes
    cst_queue *queue;        // of its own, with nothing in flight
    cst_device_table *table; // NULL: panes
    csti_panes *panes;       // NULL: a table
    csti_emitter *emitter;   // the panes', NULL: none
    const cst_schema *key;   // to name a key in an error; NULL: hex
    csti_channel *const *inputs;
    csti_parker *const *senders;       // woken when a block goes back; may be NULL, one may be NULL
    const csti_aligner_options *align; // inputs_count among them
    uint64_t state_bytes_max;          // slots, index, slab
    uint64_t log_bytes_max;            // of the open epoch and of those that are not released
    _Atomic uint32_t *paused;          // partitions above their budget
    _Atomic uint32_t *paused_then;     // those of a second stage, for emitters; NULL: it is of none
    const _Atomic uint64_t *aborted_id; // the last one that was given up elsewhere; may be NULL
    // What is to be cut without waiting for its barrier; may be NULL. Ids rise.
    const _Atomic uint64_t *unaligned_id;
    uint32_t splits_count;          // of all inputs; blocks name them
    const uint64_t *applied_before; // rows of each, of earlier lives; NULL: none
    csti_totals *totals;            // every row applied is added to them; NULL: none
    uint64_t rows_before;           // of earlier lives
    const csti_block_shape *shape;  // of its blocks, with `stored`
    uint64_t stored_rows_max;       // 0: no bound but bytes
    uint64_t stored_bytes_max;
    csti_stored_reader *replay;  // rows that come first; NULL: none
    csti_channel *replay_blocks; // to carry them
    int64_t watermark_us;        // of an earlier life; CSTI_WATERMARK_NONE
    uint64_t ttl_us;             // of the table's program
    uint16_t clock_source;       // with a TTL: as csti_expiry_open
    uint32_t block_rows_max;     // with a clock_source
    csti_partition_events events;
    csti_metrics *metrics;
} csti_partition_options;

// Names and labels that are registered with, for who looks them up: partition="N".
typedef struct csti_partition_metrics {
    csti_metric *rows;         // constellation_rows_total
    csti_metric *bytes;        // constellation_bytes_total
    csti_metric *barriers;     // constellation_barriers_total
    csti_metric *batch_ns;     // constellation_batch_latency_seconds: from read to applied
    csti_metric *align_ns;     // constellation_align_seconds
    csti_metric *waits_for;    // constellation_align_waits_for: an input; -1: none
    csti_metric *delta_bytes;  // constellation_delta_bytes: of the last seal
    csti_metric *watermark_us; // constellation_watermark_timestamp_seconds
    csti_metric *keys;         // constellation_keys
    csti_metric *expired;      // constellation_expired_keys_total
    csti_metric *long_keys;    // constellation_long_keys: that the device does not take
    csti_metric *long_rows;    // constellation_long_key_rows_total
    csti_metric *used_bytes;   // constellation_table_bytes
    csti_metric *misplaced;    // constellation_misplaced_bytes: of it and of its channels
    csti_metric *paused;       // constellation_paused: 1 above the budget, 2 starved
    csti_metric *pauses;       // constellation_pauses_total
    csti_metric *near;         // constellation_near_budget: 1 from CSTI_BUDGET_NEAR_PERCENT on
    csti_metric *near_count;   // constellation_near_budget_total: how often it came there
    csti_metric *budget_bytes; // constellation_budget_bytes
    csti_metric *queued;       // constellation_channel_messages: in its channels, now
    csti_metric *held;         // constellation_align_held_rows
    csti_metric *ignored;      // constellation_barriers_ignored_total: twice, old or given up
    csti_metric *failed;       // constellation_inputs_failed_total
    csti_metric *stored_rows;  // constellation_stored_rows: kept now
    csti_metric *stored_bytes; // constellation_stored_row_bytes: the same
    csti_metric *stored_total; // constellation_stored_rows_total: that a checkpoint was given
    csti_metric *replayed;     // constellation_replayed_rows_total
    // constellation_barriers_given_up_total, with the label `why`
    csti_metric *superseded, *aborted, *limit, *timeout, *input_failed;
} csti_partition_metrics;

CST_CHECK_RESULT cst_code csti_partition_open(const csti_partition_options *options,
                                              csti_partition **out, cst_err *err);
// Waits for what the device has. NULL is allowed.
void csti_partition_close(csti_partition *partition);

// CST_OK: something was done; CST_AGAIN: nothing to do now; else why the partition has stopped.
// `err` is not NULL.
CST_CHECK_RESULT cst_code csti_partition_poll(csti_partition *partition, cst_err *err);
// Whether its table refuses rows though nothing of it is pinned. Any thread.
bool csti_partition_is_starved(const csti_partition *partition);
// The newest barrier that has come in on all inputs, also of those that were not waited for; 0:
// none. Any thread.
uint64_t csti_partition_flowed_id(const csti_partition *partition);
const csti_partition_metrics *csti_partition_metrics_of(const csti_partition *partition);

#endif
