// job.h: a job, running in this process.
//
//   coordinator thread       claims, recovers, injects barriers, watches the guard, reports
//   worker threads           one a partition: reader r and partition r take turns on it
//   uploaders                one a partition, at most 4; one committer; one for folds and gc
//
//   split ─► filter, project, operators ─► encode, hash ─► route ─╥─► channel ─► aligner ─► apply
//    reader r                                                     ╟─► ...          partition p
//                                                                 ╙─► ...             │ seal
//                                              checkpointer ◄──── delta by reference ─┘
//
// Promises   started again, it resumes from the newest checkpoint. A fenced one commits nothing
//            more. Stopped by csti_job_stop it takes a final checkpoint; stopped twice, or while it
//            recovers, it ends.
// Thread     open, run, close: one. stop: any, also a signal handler. The others say.
// Ring       2.
// Errors     run returns the first reason to stop: FENCED, JOB_RUNNING, CONFIG, CHECKPOINT_*,
//            store, source, sink, table and operator codes, each naming its place.
#ifndef CST_SERVER_JOB_H
#define CST_SERVER_JOB_H

#include "base/log.h"
#include "base/metrics.h"
#include "checkpoint/rescale.h"
#include "server/config.h"

#include <constellation/device.h>

typedef enum csti_until { CSTI_UNTIL_STOPPED, CSTI_UNTIL_CAUGHT_UP } csti_until;

typedef struct csti_job_progress {
    uint64_t rows, rows_all; // rows_all 0: not known
    double seconds;          // of rows; while it recovers, since the start
    uint64_t checkpoints, last_checkpoint_id;
    uint64_t keys;
    int64_t watermark_us;
    uint64_t used_bytes;
    uint32_t paused;  // partitions above their memory budget
    uint32_t starved; // of them, those that no checkpoint can help: the budget is too small
    uint64_t upload_left_bytes; // that no upload has brought to the store yet
    uint64_t upload_rate;       // bytes a second, of late
    bool recovering;
    uint64_t device_faults; // how often its device was lost
    bool device_away;       // cpu: stands in for it
    // While it recovers: first a checkpoint is read and checked, then the tables are restored.
    uint64_t checked_bytes, checked_bytes_all;
    uint64_t restored_bytes, restored_bytes_all; // all is 0 until the first is over
} csti_job_progress;

typedef enum csti_job_moment {
    CSTI_JOB_BEGAN,     // a checkpoint: its barrier is on its way
    CSTI_JOB_COMMITTED, // a checkpoint, its output released
    CSTI_JOB_FOLDED,    // a partition's chain
} csti_job_moment;

// What a job tells its observer, from its own threads: the observer returns at once.
typedef struct csti_job_observer {
    // A block of rows is in the state of a partition. On that partition's thread; may be NULL.
    void (*applied)(void *context, uint32_t partition, uint32_t rows_count, uint64_t read_ns,
                    uint64_t applied_ns);
    // `number` is the checkpoint's id, or the partition. Any thread, in turn; may be NULL.
    void (*passed)(void *context, csti_job_moment moment, uint64_t number);
    void *context;
} csti_job_observer;

typedef struct csti_job_options {
    const csti_logger *logger; // NULL: none
    csti_until until;
    // Opens a source in place of the one that the config names, with the same columns; the job
    // closes it. NULL: as the config says.
    cst_code (*source_open)(void *context, const csti_source_options *options, csti_source **out,
                            cst_err *err);
    void *source_context;
    // Where producers find it, once it listens there; NULL: nobody asks.
    void (*listening)(void *context, const char *address);
    void *listening_context;
    csti_job_observer observer;
    bool takeover; // push a live owner aside
    bool accept_repeats;
    bool verify_all; // every byte of the checkpoint is checked before anything is restored
    // Called by the coordinator, at most once in progress_us; 0: never.
    uint64_t progress_us;
    void (*progress)(void *context, const csti_job_progress *progress);
    void *progress_context;
} csti_job_options;

typedef struct csti_job_result {
    uint64_t rows; // of this run; again those that were read again behind a device's loss
    uint64_t rows_dropped_by_filters;
    uint64_t keys;
    double seconds;
    uint64_t checkpoints; // committed by this run
    uint64_t last_checkpoint_id;
    uint64_t recovered_from; // checkpoint id; 0: a fresh start
    double recovery_seconds;
    bool caught_up; // every split has ended, and all of it is committed
    bool finished;  // all that it read is committed; false: stopped twice, or failed
    // Damage was met while the state was restored, and the job never began. Run with verify_all it
    // goes back to an older checkpoint, or says why it must not.
    bool damaged;
    csti_recovery_report recovery;
    csti_rescale_report rescaled; // partitions_count 0: the number is what it was
    uint64_t long_keys;           // of the keys, those that its device does not take
    uint64_t long_rows;           // of the rows, those of such keys
    cst_simulation simulation;    // what its device simulated
    uint64_t device_faults;       // how often its device was lost
    uint64_t device_returns;      // and how often it went back to it
    bool device_away;             // in the end cpu: stood in for it
    double device_seconds;        // from the last loss until the first row behind it
} csti_job_result;

typedef struct csti_job csti_job;
CST_CHECK_RESULT cst_code csti_job_open(const csti_job_config *config,
                                        const csti_job_options *options, csti_job **out,
                                        cst_err *err);
CST_CHECK_RESULT cst_code csti_job_run(csti_job *job, csti_job_result *result_out, cst_err *err);
// The first: a final checkpoint, then the end. The second, or one while the job recovers: the end
// at once.
void csti_job_stop(csti_job *job);
// While held no checkpoint begins, but for want of memory and for the last one; a job that has one
// every so many rows waits for it. Any thread.
void csti_job_hold_checkpoints(csti_job *job, bool held);
// For tests and benchmarks: what a reader has sent to a partition does not arrive. While rows flow;
// any thread.
void csti_job_stall_channel(csti_job *job, uint32_t reader, uint32_t partition, bool stalled);
// The same between two stages, of each of which these are partitions.
void csti_job_stall_then_channel(csti_job *job, uint32_t from, uint32_t to, bool stalled);
// Whether barriers have not come through of late, so that checkpoints do not wait for them. Any
// thread.
bool csti_job_is_stalled(const csti_job *job);
// Whether no checkpoint is under way, nor a fold, nor what follows them; as the coordinator last
// saw it. Any thread.
bool csti_job_is_settled(const csti_job *job);
csti_metrics *csti_job_metrics(csti_job *job);
// What the start found, once rows flow; the same as in the result.
const csti_recovery_report *csti_job_recovery(const csti_job *job);
const csti_rescale_report *csti_job_rescaled(const csti_job *job);

typedef struct csti_job_total {
    const char *name; // of the aggregate; the job's
    bool overflowed;
    char text[CSTI_AGGREGATE_TEXT_BYTES_MAX + 1]; // as JSON; "null": overflowed, or there is none
} csti_job_total;

// The aggregates over all keys, but `last`: each partition's as of its last barrier.
typedef struct csti_job_totals {
    uint32_t partitions, partitions_all; // covered; all
    uint64_t oldest_epoch, newest_epoch; // of those covered
    uint64_t rows;
    uint32_t count;
    csti_job_total list[CST_ACCUMULATORS_MAX];
} csti_job_totals;

// UNSUPPORTED: the job has no `totals = true`; AGAIN: not now. Any thread, without a lock, while
// the job is open.
CST_CHECK_RESULT cst_code csti_job_totals_read(const csti_job *job, csti_job_totals *out);
void csti_job_close(csti_job *job);

#endif
