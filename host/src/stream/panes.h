// panes.h: the windows of a partition: a table for each that is open, and what comes of the others.
//
//   block ──► rows by window ──► pane 10:00 │ table │   a window that ends at the
//                  │             pane 10:01 │ table │   watermark, or before, is closed
//                  │             pane 10:02 │ table │
//                  └─ closed ──► late: counted, or set aside
//
//   closing   SCAN of the oldest pane, some rows at a time ──► outbox; then its table goes, by a
//             thread that waits for the kernel
//   seal      deltas of the panes that changed | outbox      ──► a cut: one segment
//
//   outbox    a record a row, of the width of a slot, in the segment's form (table/image.h):
//               the last value of a closed window's key, as a tombstone: a line of the results
//               a late row, as a gap with a key: a line of what is set aside
//
// A key ends with the start of its window (window.h), so a record says which pane it is of, and a
// partition's panes share its chain of segments. A tombstone takes the row out of the chain: folds
// and restores know nothing of windows. A window that was closed in part when its partition was
// cut goes on closing behind a restore, with the rows that are left.
//
// With an emitter (emitter.h) the rows go to a second stage, too, as they go into the outbox: what
// a cut has taken out is in front of its barrier. Closing waits while it has no room.
//
// Sessions (sessions.h) take the panes' place where windows are that: one set of them, and no table
// of the device's. All below is then about them: a session is a window of one key.
//
// Promises   a row is in a cut as a tombstone once at most, and never comes back behind it. Rows of
//            a window are applied in their order. Closing does as many rows as it is asked for.
// Thread     the partition's; csti_panes_lines any.
// Ring       1; rows of a block that are all of one window are not copied.
// Owner      a cut is the panes' until it is released or they are closed. Queue and metrics are
//            borrowed.
// Errors     LIMIT: more than CSTI_PANES_MAX windows are open; those of tables, of the keeper and
//            of sessions.
#ifndef CST_STREAM_PANES_H
#define CST_STREAM_PANES_H

#include "base/metrics.h"
#include "stream/emitter.h"
#include "stream/message.h"
#include "stream/window.h"

#include "state/keeper.h"

enum { CSTI_PANES_MAX = 2048 };

typedef struct csti_panes csti_panes;

typedef struct csti_panes_metrics {
    csti_metric *late, *open, *closed, *lines;
} csti_panes_metrics;

typedef struct csti_panes_options {
    uint32_t partition;
    csti_window window;
    bool late_aside;         // else late rows are counted only
    cst_queue *queue;        // with nothing in flight
    cst_table_options table; // of each pane
    const csti_block_shape *shape;
    uint32_t last_offset;  // with sessions: where a value has the time of its last row
    int64_t watermark_us;  // of an earlier life
    csti_emitter *emitter; // NULL: there is no second stage
    csti_metrics *metrics;
} csti_panes_options;

CST_CHECK_RESULT cst_code csti_panes_open(const csti_panes_options *options, csti_panes **out,
                                          cst_err *err);
// Nothing is in flight. NULL is allowed.
void csti_panes_close(csti_panes *panes);
// The rows of a table that a chain was restored into.
CST_CHECK_RESULT cst_code csti_panes_fill(csti_panes *panes, cst_table *from, cst_err *err);

// ---- Rows ---------------------------------------------------------------------------------------

// What a command of theirs has as its tag.
typedef struct csti_pane_rows {
    cst_rows rows;
    cst_device_table *table;
} csti_pane_rows;

// Submits a block's rows. CST_AGAIN: commands are in flight, or the keeper is full; the same block
// again. *done_out: there was nothing to submit, or all is done: the block is over.
CST_CHECK_RESULT cst_code csti_panes_rows(csti_panes *panes, csti_keeper *keeper, csti_block *block,
                                          bool *done_out, cst_err *err);
// A command of rows has completed: the block, with the last of them; NULL: not yet.
csti_block *csti_panes_rows_done(csti_panes *panes);
// With sessions: the row that it failed at, UINT32_MAX if it was none.
uint32_t csti_panes_failed_row(const csti_panes *panes);
// Rows of the block that was over last which are in no table.
uint32_t csti_panes_late_rows(const csti_panes *panes);

// ---- Closing ------------------------------------------------------------------------------------

void csti_panes_watermark(csti_panes *panes, int64_t watermark_us);
// Whether rows of closed windows are still in tables.
bool csti_panes_is_closing(const csti_panes *panes);
// As many of them as delay no batch: to close a session takes longer than a row of a pane.
uint32_t csti_panes_piece(const csti_panes *panes);
// Puts as many of them into the outbox, nearly, and as the emitter has room for. Nothing, while
// commands are in flight.
CST_CHECK_RESULT cst_code csti_panes_close_some(csti_panes *panes, uint32_t rows_count,
                                                cst_err *err);
// Records that ever went into the outbox: what changes calls for a barrier.
uint64_t csti_panes_lines(const csti_panes *panes);

// ---- Epochs -------------------------------------------------------------------------------------

typedef struct csti_pane_cut {
    const cst_bytes *ranges;
    size_t ranges_count;
    uint64_t bytes;
} csti_pane_cut;

// Ends the epoch. Nothing is in flight (csti_panes_are_quiet).
bool csti_panes_are_quiet(const csti_panes *panes);
CST_CHECK_RESULT cst_code csti_panes_seal(csti_panes *panes, const csti_pane_cut **out,
                                          cst_err *err);
// Frees a cut, and what of its panes nothing needs any more. CST_AGAIN: the same again, later. Its
// commands have the tag; csti_panes_release_done for each that completes.
CST_CHECK_RESULT cst_code csti_panes_release(csti_panes *panes, csti_keeper *keeper,
                                             const csti_pane_cut *cut, uint64_t tag, cst_err *err);
void csti_panes_release_done(csti_panes *panes);

// Sums over all tables; log_bytes with outbox and cuts. Nothing is in flight.
void csti_panes_stats_read(const csti_panes *panes, cst_table_stats *out);

#endif
