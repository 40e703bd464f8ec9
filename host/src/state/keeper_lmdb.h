// keeper_lmdb.h: rows on disk, as of a committed epoch; what changed since, in memory.
//
//   row ─► changes (changes.h) ─ there: fold in place, or a record more in a new epoch
//              │ not there
//              ▼
//          disk rows (disk_rows.h) ─ its value, or none ─► a record of the open epoch
//
//   seal ─► delta ─► segment ─► committed ─► RELEASE ─► settle: delta into the disk rows,
//                                                       batch by batch; then its memory is free
//
// The disk never holds what is not committed: after a kill it stands at a committed epoch, or
// between two of them, and the segments behind that bring it to the one that the job goes on from.
// Memory is what one change log of the epochs under way takes, however many keys there are.
//
// EXPIRE walks over the changes, then over the disk in the order of keys, and at expire_bucket 0
// begins anew; a bucket stands for sixteen rows. Its completion has done all buckets when the walk
// has ended, and none before.
//
// Promises   deltas hold what a table's hold: the same records in the same order, but for the order
// of
//            an EXPIRE's. A key that is over when a walk begins is gone at its end.
// Thread     its partition's.
// Ring       1.
// Errors     of rows: SUM_OVERFLOW, KEY_TOO_LONG, TABLE_BUDGET (a release makes room), NO_MEMORY;
//            what disk rows fail with.
#ifndef CST_STATE_KEEPER_LMDB_H
#define CST_STATE_KEEPER_LMDB_H

#include "state/disk_rows.h"
#include "state/keeper.h"

enum {
    CSTI_SETTLE_SHARE = 4, // of the budget: its inverse
    CSTI_SETTLE_ROWS_MAX = 8192,
    CSTI_RESTORE_ROWS_MAX = 1 << 17,
};

static inline uint32_t csti_batch_rows(uint64_t bytes, uint32_t rows_max) {
    const uint64_t rows = bytes / CSTI_DISK_ROW_BYTES;

    if (rows < CSTI_DISK_BATCH_ROWS_MIN) return CSTI_DISK_BATCH_ROWS_MIN;
    return rows < rows_max ? (uint32_t)rows : rows_max;
}

// Rows of a batch: more at once cost less, and take more memory beside the changes.
static inline uint32_t csti_settle_rows(uint64_t budget_bytes) {
    return csti_batch_rows(budget_bytes / CSTI_SETTLE_SHARE, CSTI_SETTLE_ROWS_MAX);
}

// The same before there are changes: the budget is the batch's.
static inline uint32_t csti_restore_rows(uint64_t budget_bytes) {
    return csti_batch_rows(budget_bytes, CSTI_RESTORE_ROWS_MAX);
}

typedef struct csti_keeper_lmdb_options {
    csti_disk_rows *rows; // closed with the keeper
    cst_segment_part part;
    cst_program program;
    cst_hash_key hash_key; // of the rows' hashes
    uint64_t epoch;        // the open one
    uint64_t budget_bytes; // of changes
    uint32_t settle_rows;  // of a batch
} csti_keeper_lmdb_options;

// UNSUPPORTED: a program that replaces values. After an error the rows are the caller's.
CST_CHECK_RESULT cst_code csti_keeper_lmdb_open(const csti_keeper_lmdb_options *options,
                                                csti_keeper **out, cst_err *err);

#endif
