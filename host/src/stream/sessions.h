// sessions.h: the sessions of a partition: rows of a key that follow each other in less than a gap.
//
//   gap 10       0    10    20    30    40    50    60
//   rows at        5     14              41                 sessions 5 to 14, which ends at 24, and
//                  [---------)           [----)             41, which ends at 51
//   row at 22            [---------)                        joins the first, which ends at 32 then
//   row at 33      [----------------------------)           is near both: one session
//
//   key ──► session_set ──► joins one, or two, which become one, or begins one
//                │                │
//                │                └──► record of the open epoch ──┐
//                └─ timer ──► closed: its record is its line ─────┴──► outbox ──► a cut
//
//   the key of a record ends with its session's start: a session that begins earlier than it did,
//   or is another's now, leaves a tombstone if the chain has a row of it
//
// A row is late when the session that it would be alone is closed: its time + gap is at the
// watermark, or before. So no session that was closed comes again, nor one with its start; and of a
// key none begins in what a closed one covers.
//
// Key groups are of the key without its start, so that a key's sessions are in one partition, and
// stay together where their number changes (codec/group_hash.h).
//
// Promises   a row is in one session, and each session in the chain once: a key has one record of
//            an epoch at most. Rows that are not late make the same sessions in any order; sums of
//            doubles are by the order of rows and of joining. Closing does as many as it is asked.
// Thread     the partition's; csti_sessions_lines any.
// Ring       1.
// Owner      a cut is the sessions' until it is released or they are closed. Metrics are borrowed.
// Errors     SUM_OVERFLOW of a row or of two sessions that it joins; NO_MEMORY; of fill,
//            SEGMENT_RECORD: a session that ends before it starts.
#ifndef CST_STREAM_SESSIONS_H
#define CST_STREAM_SESSIONS_H

#include "stream/panes.h"

typedef struct csti_sessions csti_sessions;

// Of the options: window, late_aside, table, last_offset, watermark_us, emitter.
CST_CHECK_RESULT cst_code csti_sessions_open(const csti_panes_options *options,
                                             const csti_panes_metrics *metrics, csti_sessions **out,
                                             cst_err *err);
void csti_sessions_close(csti_sessions *sessions); // NULL is allowed
CST_CHECK_RESULT cst_code csti_sessions_fill(csti_sessions *sessions, cst_table *from,
                                             cst_err *err);

// Rows whose hashes are of their keys without a start, and whose starts are their times. None
// deletes (window.h). *done_out: how many are in sessions, or late; the one behind them is why it
// failed.
CST_CHECK_RESULT cst_code csti_sessions_rows(csti_sessions *sessions, const cst_rows *rows,
                                             uint32_t *done_out, cst_err *err);
uint32_t csti_sessions_late_rows(const csti_sessions *sessions); // of these

void csti_sessions_watermark(csti_sessions *sessions, int64_t watermark_us);
bool csti_sessions_is_closing(const csti_sessions *sessions);
CST_CHECK_RESULT cst_code csti_sessions_close_some(csti_sessions *sessions, uint32_t count,
                                                   cst_err *err);
uint64_t csti_sessions_lines(const csti_sessions *sessions);

CST_CHECK_RESULT cst_code csti_sessions_seal(csti_sessions *sessions, const csti_pane_cut **out,
                                             cst_err *err);
void csti_sessions_release(csti_sessions *sessions, const csti_pane_cut *given);

void csti_sessions_stats_read(const csti_sessions *sessions, cst_table_stats *out);

#endif
