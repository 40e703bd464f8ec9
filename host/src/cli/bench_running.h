// bench_running.h: a job that runs in this process, in turns: it gets rows while it is measured,
// and waits for more while others are.
//
//   this thread     open ─► fill ─► turn ─► (others' turn) ─► turn ─► ... ─► close
//   job's threads   readers ◄─ bench_feed        partitions ─► applied: rows, latencies
//                   coordinator, committer, compactor ─► in flight from barrier to commit
//
// A turn with checkpoints has one every `every_us`, and ends, some time after its seconds are over,
// when the last of them is committed and nothing is being folded: rows flow until then, so that
// what checkpoints cost falls into the turn that they belong to.
//
// Keys have 16 encoded bytes: the workload's key, ascending, and again, descending.
//
// Thread     one, besides the job's.
// Ring       2.
// Owner      borrows `b` and the feed's rows. The job's files lie in b->folder, in one of its name,
//            and go at close.
// Errors     of the job: then it has ended.
#ifndef CST_CLI_BENCH_RUNNING_H
#define CST_CLI_BENCH_RUNNING_H

#include "cli/bench_feed.h"
#include "cli/bench_own_job.h"

#include <pthread.h>

enum { BENCH_BATCH_ROWS = 8192, BENCH_AGGREGATES = 5 };

// Rows and times of one or several turns; [1]: while a checkpoint was in flight, [0]: the rest.
typedef struct bench_turns {
    uint64_t ns[2];
    uint64_t cpu_ns; // of the whole process, what runs behind the rows included
    uint64_t rows[2];
    histogram latency_ns[2]; // of blocks of rows, from the read of the first row until applied
    uint64_t checkpoints, folds;
} bench_turns;

typedef struct bench_running_part { // of one partition, written by its thread
    _Alignas(64) _Atomic uint64_t rows;
    uint64_t turn_rows[2];
    histogram latency_ns[2];
} bench_running_part;

typedef struct bench_running {
    const bench *b;
    const char *name; // of its folder
    bench_feed feed;
    bench_own_job own;
    uint64_t rows_fed;
    uint64_t window; // how far keys slide in `every_us`
    bench_running_part parts[BENCH_PARTITIONS_MAX];

    _Alignas(64) _Atomic bool in_flight; // a checkpoint, for the partitions' threads
    pthread_mutex_t flight_lock;         // of what follows
    uint64_t begun_id, ended_id;
    uint64_t flight_from_ns, flight_ns;
    _Atomic uint64_t checkpoints, folds;
} bench_running;

typedef struct bench_running_options {
    const char *workload; // uniform, zipf
    uint64_t entries;
    const bench_rows *rows; // NULL: the generator's
    uint64_t window; // how far keys slide from checkpoint to checkpoint, see bench_feed.h; 0: not
    uint64_t tumbling_us; // windows, of rows a microsecond apart; 0: none
    uint64_t session_us;  // the gap of sessions, of such rows; 0: none
    csti_sink_kind sink;
    const char *name;  // apart from other jobs'; NULL: there is none
    const char *store; // of its checkpoints; NULL: in its folder
} bench_running_options;

// Starts the job and fills it: every key once, a checkpoint behind them.
CST_CHECK_RESULT cst_code bench_running_open(bench_running *r, const bench *b,
                                             const bench_running_options *options, cst_err *err);
void bench_running_close(bench_running *r); // a zeroed one is allowed
// Rows for b->seconds, and somewhat longer with checkpoints. What came of it is added to `turns`
// (NULL: nobody asks). *ns_per_row_out: of the turn.
CST_CHECK_RESULT cst_code bench_running_turn(bench_running *r, bool checkpoints, bench_turns *turns,
                                             double *ns_per_row_out, cst_err *err);

// A side of a comparison whose rounds are turns with checkpoints; the first only warms it.
typedef struct bench_running_side {
    bench_running *running;
    bench_turns *turns;
    bool warm;
} bench_running_side;

CST_CHECK_RESULT cst_code bench_running_round(void *side, double *ns_per_row_out, cst_err *err);

// One checkpoint between turns, and all that follows it.
CST_CHECK_RESULT cst_code bench_running_settle(bench_running *r, cst_err *err);
// How far apart checkpoints are.
uint64_t bench_running_every_us(const bench *b);

#endif
