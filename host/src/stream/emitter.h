// emitter.h: rows of closed windows, on their way to the partitions of a second keyed stage.
//
//   key, value ──► columns ──► windows of its own ──► encode, hash ──► router ──► channels
//   put            a batch at a time                                   a full one holds it up
//
//   columns   of the key | window_start | window_end | window_time | aggregates
//                                           its event time: a microsecond in front of the end
//
// A watermark goes on when no window that it closes has rows left. What is put behind it is of
// windows that end behind it, so its time is at the watermark or above: nothing is late in the
// second stage.
//
//   put put put | barrier | put     what was put in front of a barrier is in the channels before
//   it:
//                                   the cut that the barrier ends has taken these rows out
//
// While `paused` it has no room: a second stage above its budget gets what is under way, its
// barrier, and nothing more.
//
// Promises   every row that was put goes out once, in order, before the next barrier. Nothing
// waits. Thread     its partition's. Ring       1: keys of variable length may need more memory
// than any batch before. Owner      borrows key, channels, parkers, clock, paused and metrics; the
// rest until open returns. Errors     KEY_TOO_LONG, and how long; SOURCE_RECORD: a time beyond all
// windows; KEY_CORRUPT,
//            NO_MEMORY.
#ifndef CST_STREAM_EMITTER_H
#define CST_STREAM_EMITTER_H

#include "base/clock.h"
#include "base/metrics.h"
#include "stream/reader.h"
#include "stream/render.h"
#include "stream/window.h"

#define CSTI_WINDOW_TIME "window_time"

typedef struct csti_emitter csti_emitter;

typedef struct csti_emitter_options {
    uint32_t partition;
    const csti_clock *clock;
    const csti_render_plan *from; // how keys and values of closed windows read
    csti_window window;           // of the second stage; size_us 0: none
    const csti_reader_key *key;   // its key
    const uint32_t *source_columns;
    const csti_router_options *route; // rows_max is not looked at
    uint32_t rows_max;                // that wait for a batch
    const _Atomic uint32_t *paused;   // not 0: no room
    csti_metrics *metrics;
} csti_emitter_options;

// The columns of its rows, without those of windows. LIMIT: more than CST_COLUMNS_MAX.
CST_CHECK_RESULT cst_code csti_emitter_shape(const csti_render_plan *from, csti_row_shape *out,
                                             cst_err *err);

CST_CHECK_RESULT cst_code csti_emitter_open(const csti_emitter_options *options, csti_emitter **out,
                                            cst_err *err);
void csti_emitter_close(csti_emitter *emitter); // NULL is allowed

// How many rows may be put now. 0: a channel is full, a barrier waits, or it is paused.
uint32_t csti_emitter_room(const csti_emitter *emitter);
bool csti_emitter_is_paused(const csti_emitter *emitter);
// Whether rows or a barrier wait for a channel.
bool csti_emitter_waits(const csti_emitter *emitter);

CST_CHECK_RESULT cst_code csti_emitter_put(csti_emitter *emitter, const cst_row_ref *row,
                                           cst_err *err);
// What waits goes on, as far as channels have room.
void csti_emitter_push(csti_emitter *emitter, bool *worked);
// CST_OK: all that was put is in the channels; CST_AGAIN: not yet.
CST_CHECK_RESULT cst_code csti_emitter_flush(csti_emitter *emitter, cst_err *err);
// No row with an earlier time will be put. It may go later, with the next call; a lower one than
// before says nothing.
CST_CHECK_RESULT cst_code csti_emitter_watermark(csti_emitter *emitter, int64_t watermark_us,
                                                 bool *worked, cst_err *err);
// Behind a flush. It goes to every channel, now or with a push.
void csti_emitter_barrier(csti_emitter *emitter, csti_barrier barrier);

#endif
