// meta.h: a job's metadata, wherever its command log lives.
//
//   propose(command) ──► log ──► apply ──► result: CST_OK or a typed refusal
//
//   csti_meta_open_log   the log is objects in the job's own store: no server, no lock
//                          meta/{incarnation:016x}/{index:020}         one command, put if absent
//                          meta/{incarnation:016x}/snapshot-{index:020}
//   (replicated metadata implements the same calls over Raft)
//
// Processes that share a store share the log: the slower one loses the race for an index, reads
// what it missed, and proposes again at the next; the state machine decides what that means. A log
// is trimmed behind a snapshot; an append counts only if no snapshot at or above its index exists
// afterwards: else a process that slept could write an index anew that was trimmed. So the store's
// lists must show what was written before they began.
//
// Promises   a proposal that returned CST_OK or a refusal was decided once, at one index, for all
//            processes. One whose outcome is not known returns CST_OBJECT_AMBIGUOUS: it may have
//            been decided, or still be; refresh, then look whether it took effect.
// Thread     any; proposals and refreshes wait for one another, reads do not wait for the store.
// Ring       2: calls block on the store.
// Owner      the meta borrows store, clock and random.
#ifndef CST_META_META_H
#define CST_META_META_H

#include "base/arena.h"
#include "base/clock.h"
#include "base/random.h"
#include "meta/machine.h"

typedef struct csti_meta csti_meta;

typedef struct csti_meta_log_options {
    cst_object_store *store;
    const csti_clock *clock;
    csti_random *random;
    uint32_t snapshot_every; // commands; 0: 256
    bool create;             // a store without metadata begins incarnation 1; else META_MISSING if
                             // it holds checkpoints, NOT_FOUND if it holds nothing
} csti_meta_log_options;

// Reads snapshot and log. META_CORRUPT names the object; META_VERSION; META_MISSING: the store
// holds checkpoints and no metadata.
CST_CHECK_RESULT cst_code csti_meta_open_log(const csti_meta_log_options *options, csti_meta **out,
                                             cst_err *err);
// Begins `incarnation` anew, in one put if absent: its first state is what the `first` commands
// (request_id 0; time_us is filled in) make of an empty one. recover --from-listing brings CLAIM,
// TOKEN_RAISE, LEASE, REGISTER_FULL, ADOPT. The caller has chosen it above every incarnation that a
// manifest names. EXISTS: the store has this one or a higher one; what a first command was refused
// with.
CST_CHECK_RESULT cst_code csti_meta_open_incarnation(const csti_meta_log_options *options,
                                                     uint64_t incarnation,
                                                     const csti_meta_command *first,
                                                     uint32_t first_count, csti_meta **out,
                                                     cst_err *err);
// The highest incarnation of which the store has any object; 0: none.
CST_CHECK_RESULT cst_code csti_meta_incarnation_highest(cst_object_store *store, uint64_t *out,
                                                        cst_err *err);
void csti_meta_close(csti_meta *meta); // NULL is allowed

// request_id and time_us are filled in. The code returned is the result's if it was decided; only
// then *result_out (may be NULL) is written. Else:
//   CST_OBJECT_AMBIGUOUS                not known, see above
//   FENCED, META_CORRUPT, META_VERSION  a later incarnation has begun, or the log is damaged: stop
//   any other                           not decided, and will not be: USAGE or LIMIT (malformed),
//                                       store errors, CST_AGAIN (too many races lost)
CST_CHECK_RESULT cst_code csti_meta_propose(csti_meta *meta, const csti_meta_command *command,
                                            csti_meta_result *result_out, cst_err *err);
// Applies what others appended.
CST_CHECK_RESULT cst_code csti_meta_refresh(csti_meta *meta, cst_err *err);

// A copy of the state as of the last call, in `arena`.
CST_CHECK_RESULT cst_code csti_meta_read(csti_meta *meta, csti_arena *arena, csti_meta_view *out,
                                         cst_err *err);

typedef struct csti_meta_counters {
    uint64_t proposals, conflicts, refusals, entries_read;
    uint64_t snapshots, snapshot_errors; // one that failed is tried again after the next proposal
} csti_meta_counters;
void csti_meta_counters_read(csti_meta *meta, csti_meta_counters *out);

#endif
