// job_internal.h: what the files of a running job share.
//
//   job.c             open, run, stop, close; the first reason to stop
//   job_lock.c        the lock files that say that an owner lives
//   job_claim.c       store, metadata, tenure, recovery, sink
//   job_rescale.c     another number of partitions than the checkpoint's
//   job_tasks.c       shape, channels, and a worker's partition
//   job_reader.c      the source, and a worker's reader
//   job_device.c      the device, and the runs that follow when it is lost
//   job_long_keys.c   a partition whose keys are not all for its device
//   job_state.c       rows on disk: whose folder, which state, the keeper
//   job_worker.c      the worker threads
//   job_background.c  uploaders, committer, folds and gc, the watch on the metadata
//   job_barriers.c    the coordinator: when barriers go, when the job is over
//   job_unaligned.c   where rows are read again behind a checkpoint that is not aligned
//   job_pace.c        how long a recovery would take, and what follows for the barriers
//   job_report.c      progress, metrics, result
//   job_totals.c      the aggregates over all keys
//
// Ends are one-way: `ending` is set once, by the first failure, by a second stop, or when all is
// committed; every thread looks at it and returns; run joins them all and then takes down, in the
// opposite order, what it had put up.
#ifndef CST_SERVER_JOB_INTERNAL_H
#define CST_SERVER_JOB_INTERNAL_H

#include "base/park.h"
#include "base/topology.h"
#include "device/break_even.h"
#include "server/job.h"
#include "server/operator.h"
#include "server/pace.h"
#include "state/disk_rows.h"
#include "stream/partition.h"
#include "stream/published.h"
#include "stream/reader.h"

#include <pthread.h>

enum {
    JOB_UPLOADERS_MAX = 4,
    JOB_ARENA_BYTES_MAX = 64 << 20,
    JOB_FILTERS_MAX = CSTI_CONFIG_FILTERS_MAX,
    JOB_DEVICE_TRIES_MAX = 10,
    // Beside the last one: what settles comes before each, and each try may bring the device back.
    JOB_RUNS_MAX = 3 * (2 * JOB_DEVICE_TRIES_MAX + 2),
};

// A sealed delta that its checkpointer still needs.
typedef struct job_cut job_cut;
struct job_cut {
    job_cut *next;
    csti_released given; // comes back to the partition
    uint64_t bytes;
    size_t ranges_count;
    cst_bytes ranges[]; // with windows the cut has them
};

// A keyed stage: what its rows become.
typedef struct job_stage {
    csti_job_shape shape;
    csti_reader_key key;
    csti_block_shape block;
    csti_window window; // size_us 0: none
} job_stage;

// How long a queue has had commands in flight and completed none.
typedef struct job_silence {
    uint64_t polled_count, ns;
} job_silence;

// What has become of the config's device, over all runs.
typedef struct job_fallback {
    bool away;      // cpu: stands in for it
    bool returning; // the run has ended because it is back
    uint64_t returns_count;
    _Atomic uint64_t faults_count;
    _Atomic uint32_t tries_count; // to come back
    uint64_t lost_ns;             // the newest fault was noticed
    uint64_t ended_ns;            // its run had ended
    _Atomic uint64_t unseen_ns;   // lost_ns, until a row is in behind it; 0: none is waited for
    _Atomic uint64_t recovery_ns; // from lost_ns to that row, of the newest fault
    uint64_t try_at_ns;           // the mender's, while it runs
    cst_device *mended;           // the mender's until it has passed; then the next run's
} job_fallback;

// A thread, and the reader and the partition that take turns on it. Partitions of a second stage
// have their numbers behind those of the first, and no reader.
typedef struct job_worker {
    csti_job *job;
    uint32_t number; // of its partition, and of its reader
    uint32_t stage;
    int cpu, node; // -1: wherever
    pthread_t thread;
    bool started;
    csti_parker parker;
    uint64_t looked_ns; // at its device
    job_silence silence, reader_silence;
    uint64_t rest_until_ns; // its reader takes no rows before; see job->rest_percent

    csti_operator *operators[CSTI_CONFIG_OPERATORS_MAX];
    cst_queue *reader_queue;
    cst_queue *processor_queue; // the reader's, for small batches; NULL: none are
    csti_reader *reader;        // NULL: there are fewer splits than partitions
    csti_barrier_cell barriers;

    cst_queue *queue;
    cst_device_table *table; // NULL: panes, but for a restore
    cst_table *longs;        // of keys that the device does not take; NULL: it takes all
    csti_keeper *keeper;     // of its rows; with panes the way to their tables
    csti_panes *panes;       // with windows; else NULL
    csti_emitter *emitter;   // to a second stage; NULL: there is none behind it
    csti_partition *partition;
    csti_stored_reader replay; // rows that its checkpoint has stored
    uint8_t *replay_bytes;     // NULL: none
    csti_channel *replay_blocks;
    uint64_t epoch_next;
    job_cut *cuts; // oldest first
    uint64_t released_seen;
    _Atomic uint64_t given_up_id;    // by its aligner; for the committer. 0: none
    _Atomic uint64_t sealed_id;      // the newest; for the coordinator
    _Atomic uint64_t closing_id;     // the newest that was sealed with windows to be closed
    _Atomic uint64_t restored_bytes; // so far
    cst_restore_report restored;
    csti_totals totals;       // with job->totals
    csti_metric *upload_ns;   // a histogram; its uploader's to write
    csti_metric *lag;         // of its reader; NULL: it has none
    _Atomic uint64_t busy_ns; // in turns that did something; written by its thread
    uint64_t near_said;       // the coordinator's: warnings of its memory that are logged
    bool misplaced_said;      // the coordinator's: that some of it is on another node
} job_worker;

typedef struct job_uploader {
    csti_job *job;
    uint32_t number;
    pthread_t thread;
    bool started;
    csti_parker parker;
} job_uploader;

// A thread that there is one of.
typedef struct job_thread {
    pthread_t thread;
    bool started;
    csti_parker parker;
} job_thread;

typedef struct job_unaligned job_unaligned; // job_unaligned.c

struct csti_job {
    const csti_job_config *config;
    csti_job_options options;
    const csti_clock *clock;
    csti_random *random;
    csti_metrics *metrics;
    csti_parker coordinator;
    _Atomic uint32_t stops_count;
    _Atomic bool held;    // no checkpoint begins
    _Atomic bool settled; // see csti_job_is_settled; the coordinator's to write
    pthread_mutex_t failure_lock;
    csti_arena arena;
    uint32_t stages_count;
    job_stage stages[2];
    bool shape_made;
    csti_published *_Atomic published; // NULL: no totals; until close
    // Of runs that this one had to make first, see csti_job_run; others may look at them.
    csti_metrics *metrics_before[JOB_RUNS_MAX];
    uint32_t runs_count;
    job_fallback fallback;
    uint64_t owner_before, tenure_before; // of the run before in this process; 0: none claimed it

    // From here on all is new in each of its runs.
    cst_err failure;      // the first one; under failure_lock
    _Atomic bool ending;  // every thread returns
    _Atomic bool running; // workers go
    _Atomic uint32_t ready_count;

    // Who owns the job
    int lock_fd, store_lock_fd; // -1: not held
    cst_object_store *store;
    csti_meta *meta;
    uint64_t owner, tenure;
    csti_guard guard;
    csti_recovery_plan plan; // until the tables are restored
    bool plan_open;
    uint64_t base_id; // the committed checkpoint that the next one stands on; 0: none
    csti_recovery_report recovery;
    csti_rescale_report rescaled; // partitions_count 0: nothing was
    csti_checkpointer *checkpointer;
    csti_sink *sink;
    csti_sink *side; // late rows; NULL: they are not set aside

    // What its rows become
    csti_source *source;
    csti_filter filters[JOB_FILTERS_MAX];
    csti_topology topology;
    int device_node; // that its partitions are on; -1: dealt over all
    cst_device *device;
    csti_break_even encode; // from how many rows on keys are made on it
    cst_device *processor;  // where smaller batches' are; NULL: there are none
    uint64_t partition_budget_bytes;
    uint32_t groups_first[CSTI_JOB_PARTITIONS_MAX]; // of each stage
    uint32_t partitions; // of each stage in this run: the config's, or those of the checkpoint
    uint32_t partitions_to_settle; // not 0: the checkpoint has so many, and has to be settled first
    bool settling;                 // this run reads what its partitions do not all have, and ends
    int64_t settle_watermark_us;   // and they come to it; INT64_MIN: there is none
    bool totals;                   // are kept
    uint32_t workers_count;        // partitions of all stages
    uint32_t readers_count;
    job_worker *workers;
    csti_channel **channels;      // [reader * partitions + partition]
    csti_channel **then_channels; // [partition * partitions + partition of the second stage]; NULL
    _Atomic uint32_t paused;
    _Atomic uint32_t paused_then; // of them, partitions of the second stage

    uint32_t uploaders_count;
    job_uploader uploaders[JOB_UPLOADERS_MAX];
    job_thread committer, compactor, watch, mender;
    _Atomic bool mended;              // the device has passed; the run ends behind the next commit
    _Atomic uint64_t commits_count;   // raised behind each commit and its release
    _Atomic uint64_t compacted_count; // commits that the compactor has done with
    _Atomic uint32_t troubles_count;  // steps that failed since the last commit, for good reasons
    _Atomic bool orphans_due;         // gc looks for what no manifest ever named
    _Atomic bool room_wanted;         // and does not wait for commits
    // Of the time a turn takes: readers rest so long behind it, by the greater of the two. Written
    // by the committer, and by the coordinator.
    _Atomic uint32_t folds_rest_percent, uploads_rest_percent;
    _Atomic uint64_t rested_ns; // all readers
    // Of the newest checkpoint: bytes of its chains, and of the longest one. The committer's.
    _Atomic uint64_t chains_bytes, chain_bytes_max;
    _Atomic bool folds_eager;      // a recovery takes too long
    _Atomic uint64_t aborted_id;   // the last one; partitions stop waiting for its barrier
    _Atomic uint64_t unaligned_id; // the last one; partitions are cut where they stand
    job_unaligned *unaligned;      // NULL: all checkpoints are aligned

    // The coordinator's
    uint64_t began_ns, started_ns, next_barrier_ns, progress_ns; // started: rows flow
    uint64_t checked_bytes, checked_bytes_all;                   // of the checkpoint, by recovery
    uint64_t barriers_count, barrier_id;                         // the last one
    csti_barrier_mode barrier_mode; // its; UNALIGNED from when it was made so
    uint64_t barrier_sent_ns;
    // Barriers have not come through of late: the next one is not aligned either.
    _Atomic bool stalled;
    uint64_t unaligned_count;
    uint64_t changes_at_barrier, lines_at_barrier;
    csti_pace pace;
    uint64_t paced_id; // the last commit that it was told of
    bool pace_missed;
    uint64_t final_id;
    double recovery_seconds;
    uint32_t starved_said;
    uint64_t upload_rate_at_ns, upload_rate_sent, upload_rate; // as of the report before
    bool caught_up, finished;
    bool return_due; // the device has passed: behind so many commits
    uint64_t return_behind;
    struct job_gauges *gauges;
};

// ---- job.c
// Ends the job with this reason, unless it has one.
void csti_job_fail(csti_job *job, cst_code code, const cst_err *err);
void csti_job_end(csti_job *job); // every thread returns
// Whether it was told to stop while it recovered. Nothing is read that a checkpoint could hold: it
// ends then.
static inline bool csti_job_stops_early(csti_job *job) {
    if (atomic_load_explicit(&job->stops_count, memory_order_relaxed) == 0) return false;
    job->finished = true;
    csti_job_end(job);
    return true;
}
static inline bool csti_job_is_ending(const csti_job *job) {
    // Acquire pairs with the release in csti_job_end.
    return atomic_load_explicit(&job->ending, memory_order_acquire);
}

static inline void csti_job_tell(const csti_job *job, csti_job_moment moment, uint64_t number) {
    const csti_job_observer *observer = &job->options.observer;

    if (observer->passed) observer->passed(observer->context, moment, number);
}

// ---- job_lock.c
// The folder and every one above it that is missing.
CST_CHECK_RESULT cst_code csti_job_folders_make(const char *path, cst_err *err);
// The lock of the job's `dir`, which is made. JOB_RUNNING: another process holds it; err names it
// and the job that it runs. With --takeover that is CST_OK, and lock_fd stays -1.
CST_CHECK_RESULT cst_code csti_job_lock(csti_job *job, cst_err *err);
// The same for the folder of a file: store, which is there: two jobs of one store may have a `dir`
// each.
CST_CHECK_RESULT cst_code csti_job_store_lock(csti_job *job, cst_err *err);
const char *csti_job_store_folder(const csti_job_config *config); // NULL: no file: store
void csti_job_unlock(csti_job *job);

// ---- job_sink.c
CST_CHECK_RESULT cst_code csti_job_sink_open(csti_job *job, cst_err *err);
// Whether the checkpoint's output went to the sink that the job has. A manifest of id 0: whether
// the sink, which is open, has nothing. CONFIG, SINK.
CST_CHECK_RESULT cst_code csti_job_sink_check(const csti_job *job, const csti_manifest *manifest,
                                              cst_err *err);
// The context is the job.
CST_CHECK_RESULT cst_code csti_job_output_seen(void *context, uint32_t partition, uint64_t epoch,
                                               bool *out, cst_err *err);

// ---- job_claim.c
CST_CHECK_RESULT cst_code csti_job_claim(csti_job *job, cst_err *err);
CST_CHECK_RESULT cst_code csti_job_recover(csti_job *job, cst_err *err);
// The newest committed output again, before anything new is committed.
CST_CHECK_RESULT cst_code csti_job_release_again(csti_job *job, cst_err *err);
// So much of a checkpoint is read; `context` is the job. ABORTED: it is told to end.
CST_CHECK_RESULT cst_code csti_job_read_step(void *context, uint64_t bytes_done, uint64_t bytes_all,
                                             cst_err *err);
CST_CHECK_RESULT cst_code csti_job_checkpointer_open(csti_job *job, cst_err *err);
// What was read for the restore is no longer needed.
void csti_job_plan_close(csti_job *job);
void csti_job_unclaim(csti_job *job);

// ---- job_rescale.c
// Behind CLAIM: the metadata says as many partitions as the job file; the tenure goes up again.
CST_CHECK_RESULT cst_code csti_job_partitions_settle(csti_job *job, cst_err *err);
// Where the plan is of another number of partitions, its output is released, and a plan of this
// number takes its place.
CST_CHECK_RESULT cst_code csti_job_rescale(csti_job *job, cst_err *err);

// ---- job_unaligned.c
CST_CHECK_RESULT cst_code csti_job_unaligned_open(csti_job *job, cst_err *err);
void csti_job_unaligned_close(csti_job *job);
// Where a split stands at a barrier, or at its beginning. Its reader.
CST_CHECK_RESULT cst_code csti_job_unaligned_note(csti_job *job,
                                                  const csti_reader_position *position,
                                                  cst_err *err);
// What a partition has sealed. Behind the last one the checkpoint is told where its splits go on.
CST_CHECK_RESULT cst_code csti_job_unaligned_sealed(job_worker *worker, const csti_sealed *sealed,
                                                    cst_err *err);
// Nobody waits for its barrier any more. NOT_FOUND: nobody did.
CST_CHECK_RESULT cst_code csti_job_unalign(csti_job *job, uint64_t id, cst_err *err);

// ---- job_tasks.c
// Source, shape, filters: all that the job file alone decides.
CST_CHECK_RESULT cst_code csti_job_rows_open(csti_job *job, cst_err *err);
// As many readers as the splits of the checkpoint, which is recovered, ask for. SOURCE_CHANGED.
CST_CHECK_RESULT cst_code csti_job_readers_settle(csti_job *job, cst_err *err);
CST_CHECK_RESULT cst_code csti_job_channels_open(csti_job *job, cst_err *err);
// On the worker's own thread: table, restore, reader.
CST_CHECK_RESULT cst_code csti_job_tasks_open(job_worker *worker, cst_err *err);
void csti_job_tasks_close(job_worker *worker);
void csti_job_rows_close(csti_job *job);
// Of a batch: from the source; and at the key of a stage.
uint32_t csti_job_rows_read(const csti_job *job);
uint32_t csti_job_rows_keyed(const csti_job *job, uint32_t stage);
// Filters, projection and operators, which are the caller's to close, after the steps, also if this
// fails.
CST_CHECK_RESULT cst_code csti_job_steps_open(const csti_job *job, csti_operator **operators,
                                              csti_steps **out, cst_err *err);

// ---- job_reader.c
// A source that rows are pushed to has what was pushed before; and then takes more.
CST_CHECK_RESULT cst_code csti_job_source_begin(csti_job *job, cst_err *err);
CST_CHECK_RESULT cst_code csti_job_source_serve(csti_job *job, cst_err *err);
// Where the split stood at the checkpoint that the job goes on from; NULL: it is new.
const csti_manifest_split *csti_job_split_before(const csti_job *job, const char *name);
CST_CHECK_RESULT cst_code csti_job_reader_open(job_worker *worker, cst_err *err);

// ---- job_long_keys.c
// *split_out: some of the worker's keys, rows of a table, may be too long for the job's device,
// which takes the others. KEY_TOO_LONG: it takes none of them, or they are of windows.
CST_CHECK_RESULT cst_code csti_job_keys_fit(const job_worker *worker, bool *split_out,
                                            cst_err *err);
// Both tables, with what the checkpoint has, and their keeper.
CST_CHECK_RESULT cst_code csti_job_long_keys_open(job_worker *worker,
                                                  const cst_table_options *options,
                                                  const cst_restore_options *restore, cst_err *err);

// ---- job_state.c
// Makes the folder of [state] store, and leaves the job's name in it. JOB_MISMATCH: it has another.
CST_CHECK_RESULT cst_code csti_job_state_claim(const csti_job *job, cst_err *err);
// Of the partition's budget, what changes may take before sources wait.
uint64_t csti_job_state_changes_max(const csti_job *job, uint64_t rows_under_way_bytes);
// Rows that stand where the job goes on, and their keeper, on the worker's own thread.
// JOB_RUNNING: another process has the folder.
CST_CHECK_RESULT cst_code csti_job_state_open(job_worker *worker,
                                              const cst_restore_options *restore,
                                              uint64_t changes_bytes, cst_err *err);

// ---- job_worker.c
CST_CHECK_RESULT cst_code csti_job_workers_start(csti_job *job, cst_err *err);
void csti_job_workers_join(csti_job *job);

// ---- job_background.c
CST_CHECK_RESULT cst_code csti_job_background_start(csti_job *job, cst_err *err);
void csti_job_background_join(csti_job *job);
// FENCED: somebody else has claimed the job since, or began its metadata anew; nothing of this run
// may be told to anybody. Anything else but OK: not known.
CST_CHECK_RESULT cst_code csti_job_place_check(csti_job *job, cst_err *err);

// Readers slow down while changes wait for their commit; the coordinator's.
void csti_job_uploads_look(csti_job *job, const csti_checkpointer_stats *stats);

// ---- job_pace.c
// Rows may flow: what the start took is known. Chains of what was restored: of the plan.
void csti_job_pace_begin(csti_job *job);
void csti_job_pace_sent(csti_job *job, uint64_t id);
// Looks at commits; the coordinator's.
void csti_job_pace_look(csti_job *job, const csti_checkpointer_stats *stats);
bool csti_job_pace_is_due(const csti_job *job);
uint64_t csti_job_recovery_estimate_ns(const csti_job *job);
// What its chains hold; the committer's.
void csti_job_pace_chains(csti_job *job, const csti_manifest *manifest);

// ---- job_barriers.c
// Until the job is over.
void csti_job_coordinate(csti_job *job);

// ---- job_device.c
// What [device] policy is for.
static inline bool csti_code_is_device_fault(cst_code code) {
    return code == CST_DEVICE_LOST || code == CST_DEVICE_SELFTEST;
}
bool csti_job_device_is_processor(const csti_job *job); // of this run
// The config's, which has passed its self-test, or what stands in for it.
CST_CHECK_RESULT cst_code csti_job_device_open(csti_job *job, cst_err *err);
CST_CHECK_RESULT cst_code csti_job_queue_open(const csti_job *job, cst_queue **out, cst_err *err);
// DEVICE_LOST: a queue of the worker's has been silent for too long. Between two of its turns.
CST_CHECK_RESULT cst_code csti_job_device_look(job_worker *worker, uint64_t now_ns, cst_err *err);
// Its commands have completed or failed; behind the workers.
void csti_job_device_quiet(csti_job *job);
// Behind a run that ended so: whether another one follows, on the device or what stands in for it.
bool csti_job_device_again(csti_job *job, cst_code code, const cst_err *err);
void csti_job_device_row_seen(csti_job *job);      // a row is in, behind a fault; any worker
bool csti_job_device_is_away(const csti_job *job); // and is to be tried
void *csti_job_device_mend(void *job);             // a thread's
// Whether the run is to end for it; the coordinator's.
bool csti_job_device_comes_back(csti_job *job, const csti_checkpointer_stats *stats);
void csti_job_device_close(csti_job *job);

// ---- job_totals.c
CST_CHECK_RESULT cst_code csti_job_totals_open(csti_job *job, cst_err *err);
// From the keys of the worker's table, or those on disk if `disk` is not NULL, as they were at the
// end of `epoch`.
CST_CHECK_RESULT cst_code csti_job_totals_make(job_worker *worker, csti_disk_rows *disk,
                                               uint64_t epoch, uint64_t rows, cst_err *err);
void csti_job_totals_publish(job_worker *worker, uint64_t epoch, uint64_t rows);

// ---- job_report.c
CST_CHECK_RESULT cst_code csti_job_report_open(csti_job *job, cst_err *err);
// What partitions and readers have of their own, once it is known how many there are.
CST_CHECK_RESULT cst_code csti_job_report_workers(csti_job *job, cst_err *err);
void csti_job_report(csti_job *job, bool recovering);
// By name, and where it happened. Any thread.
void csti_job_count_error(csti_job *job, const char *step, cst_code code);
void csti_job_count_rescale(csti_job *job);
void csti_job_count_fold(csti_job *job, uint64_t bytes, uint64_t ns); // the compactor
void csti_job_result_read(csti_job *job, csti_job_result *out);
uint64_t csti_job_rows(const csti_job *job); // read in this run
// Rows read and keys expired: while it stays, a checkpoint has nothing to say.
uint64_t csti_job_changes(const csti_job *job);

#endif
