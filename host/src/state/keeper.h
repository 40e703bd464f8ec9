// keeper.h: what keeps a partition's rows: applies blocks, seals epochs, lets go of what is
// durable.
//
//   partition ── submit(APPLY, BARRIER, RELEASE) ──► keeper ── poll ──► completions, in order
//                   table   a driver on a device's queue; rows are a table image    hash:
//                   split   the same, and a table of the processor's for keys that are too
//                           long for the device (keeper_split.h)
//                   lmdb    rows on disk, changes in memory (keeper_lmdb.h)         lmdb:DIR
//
// A completion that says `stopped` halts the keeper as it halts a driver (constellation/driver.h):
// what was submitted waits for retry; a RELEASE still runs.
//
// Promises   commands complete in the order of submission, but for RELEASE, which completes when
//            the memory is free again. The delta of a BARRIER has every row submitted before it.
// Thread     its partition's.
// Ring       1: the row path inside it is ring 0 where rows are a table.
// Owner      what a command points to stays until it completes; a delta's ranges hold until its
//            RELEASE is submitted.
// Errors     of a row: in its completion. What submit, poll and retry fail with ends the keeper.
#ifndef CST_STATE_KEEPER_H
#define CST_STATE_KEEPER_H

#include <constellation/driver.h>

typedef struct csti_keeper csti_keeper;

typedef struct csti_keeper_stats {
    uint64_t rows_count;
    uint64_t state_bytes;     // of memory, that no release frees
    uint64_t log_bytes;       // of memory, for changes until their release
    uint64_t used_bytes;      // of memory, all
    uint64_t chunks_count;    // of buckets that EXPIRE walks through; 0: it has none
    uint64_t misplaced_bytes; // of memory, on another node than was asked for
    uint64_t long_keys;       // of the rows_count, those that are too long for the device
    uint64_t long_rows;       // that were applied to such keys
} csti_keeper_stats;

static inline csti_keeper_stats csti_keeper_stats_of(const cst_table_stats *stats) {
    return (csti_keeper_stats){.rows_count = stats->rows_count,
                               .state_bytes = stats->slots_bytes + stats->index_bytes +
                                              stats->directory_bytes + stats->slab_bytes,
                               .log_bytes = stats->log_bytes,
                               .used_bytes = stats->used_bytes,
                               .chunks_count = stats->chunks_count,
                               .misplaced_bytes = stats->misplaced_bytes};
}

typedef struct csti_keeper_ops {
    cst_code (*submit)(csti_keeper *keeper, const cst_command *command, cst_err *err);
    cst_code (*poll)(csti_keeper *keeper, cst_completion *out, uint32_t count_max,
                     uint32_t *count_out, bool *worked, cst_err *err);
    cst_code (*retry)(csti_keeper *keeper, cst_err *err);
    bool (*is_idle)(const csti_keeper *keeper);
    bool (*stats)(const csti_keeper *keeper, csti_keeper_stats *out);
    void (*delta_ranges)(const csti_keeper *keeper, const cst_delta *delta, cst_bytes *ranges,
                         size_t capacity, size_t *count_out);
    void (*committed)(csti_keeper *keeper, uint32_t checksum); // NULL: it does not matter to it
    void (*close)(csti_keeper *keeper);
} csti_keeper_ops;

struct csti_keeper {
    const csti_keeper_ops *ops;
};

// Rows in a table: queue and table are borrowed, nothing else uses the queue meanwhile. table NULL:
// commands name theirs, and there are no stats. USAGE: something is in flight; NO_MEMORY.
CST_CHECK_RESULT cst_code csti_keeper_table_open(cst_queue *queue, cst_device_table *table,
                                                 csti_keeper **out, cst_err *err);

// CST_AGAIN: poll first.
static inline cst_code csti_keeper_submit(csti_keeper *keeper, const cst_command *command,
                                          cst_err *err) {
    return keeper->ops->submit(keeper, command, err);
}

// Never waits. *worked is set where something was done, completions or not.
static inline cst_code csti_keeper_poll(csti_keeper *keeper, cst_completion *out,
                                        uint32_t count_max, uint32_t *count_out, bool *worked,
                                        cst_err *err) {
    return keeper->ops->poll(keeper, out, count_max, count_out, worked, err);
}

static inline cst_code csti_keeper_retry(csti_keeper *keeper, cst_err *err) {
    return keeper->ops->retry(keeper, err);
}

// Nothing of it runs: its stats are of one moment.
static inline bool csti_keeper_is_idle(const csti_keeper *keeper) {
    return keeper->ops->is_idle(keeper);
}

// While it is idle. False: nobody can tell.
static inline bool csti_keeper_stats_read(const csti_keeper *keeper, csti_keeper_stats *out) {
    return keeper->ops->stats(keeper, out);
}

// As cst_table_delta_ranges.
static inline void csti_keeper_delta_ranges(const csti_keeper *keeper, const cst_delta *delta,
                                            cst_bytes *ranges, size_t capacity, size_t *count_out) {
    keeper->ops->delta_ranges(keeper, delta, ranges, capacity, count_out);
}

// The delta that is released next is committed as a segment with this checksum.
static inline void csti_keeper_committed(csti_keeper *keeper, uint32_t checksum) {
    if (keeper->ops->committed) keeper->ops->committed(keeper, checksum);
}

// Waits for what the device has. NULL is allowed.
static inline void csti_keeper_close(csti_keeper *keeper) {
    if (keeper) keeper->ops->close(keeper);
}

#endif
