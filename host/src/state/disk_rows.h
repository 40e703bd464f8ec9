// disk_rows.h: rows of one partition in LMDB, at the end of an epoch that is committed elsewhere.
//
//   FOLDER/data.mdb   "rows": key -> value, CRC32C of both
//                     "mark": which state that is
//   FOLDER/lock       locked while it is open
//   FOLDER/boot       on which boot of the machine it was written, or "synced"
//
//   mark    whole ── epoch 17 ── every row as it was at its end
//           reach ── epoch 19 ── some rows may be as they were at the end of a later one, up
//                             to this
//
//   changes of 18 in batches:  | write, reach 18 | write, reach 18 | write, whole 18 |
//
// Each batch is one transaction, the mark in it, so that a process that dies leaves what a mark
// says. Nothing is synced before close: what the machine loses with its power is found by the boot
// and made anew. What is here is a copy: the segments are the truth, and a state is called by epoch
// and by the checksum of the segment that ends with it, as a delta calls its base.
//
// Promises   a row that is read is the row that was written, or STORE_CORRUPT. A file that was cut
//            is found when it is opened.
// Thread     one.
// Ring       1.
// Owner      the caller owns the pointer until close; values hold until the next write.
// Errors     STORE_FULL (the disk; the map grows by itself), STORE_CORRUPT, IO, NO_MEMORY. After an
//            error of a write nothing of it is there. STORE_CORRUPT makes the next open begin anew.
#ifndef CST_STATE_DISK_ROWS_H
#define CST_STATE_DISK_ROWS_H

#include <constellation/segment.h>

typedef struct csti_disk_rows csti_disk_rows;

// What rows mean; rows of another meaning are not used.
typedef struct csti_disk_identity {
    uint64_t table_id;
    uint64_t schema_hash, program_hash, hash_key_check;
    uint32_t value_bytes;
    uint32_t group_from, group_to; // key groups [from, to)
} csti_disk_identity;

typedef struct csti_disk_point {
    uint64_t epoch; // 0: no rows
    uint32_t checksum;
} csti_disk_point;

typedef struct csti_disk_mark {
    csti_disk_point whole, reach; // reach.epoch >= whole.epoch
} csti_disk_mark;

enum {
    CSTI_DISK_WHY_BYTES = 256,
    CSTI_DISK_BATCH_ROWS_MIN = 512,
    CSTI_DISK_ROW_BYTES = 5120, // LMDB's while it writes: a page for each row, and a part of others
};

typedef struct csti_disk_options {
    csti_disk_identity identity;
    const char *boot; // of the machine, as it calls this one
} csti_disk_options;

// Opens what is there, or nothing at epoch 0. What cannot be used is thrown away, and why_out says
// why; it is empty else. AGAIN: another process has it open.
CST_CHECK_RESULT cst_code csti_disk_rows_open(const char *folder, const csti_disk_options *options,
                                              char why_out[CSTI_DISK_WHY_BYTES],
                                              csti_disk_rows **out, cst_err *err);
// Throws all rows away.
CST_CHECK_RESULT cst_code csti_disk_rows_clear(csti_disk_rows *rows, cst_err *err);
// Syncs what is there. NULL is allowed.
void csti_disk_rows_close(csti_disk_rows *rows);
// The folder with all that was here in it goes, unless somebody has it open or it holds something
// else.
void csti_disk_rows_remove(const char *folder);

csti_disk_mark csti_disk_rows_mark(const csti_disk_rows *rows);
uint64_t csti_disk_rows_count(const csti_disk_rows *rows);

// Key order is the fast one. NOT_FOUND.
CST_CHECK_RESULT cst_code csti_disk_rows_get(csti_disk_rows *rows, const uint8_t *key,
                                             uint32_t key_bytes, const uint8_t **value_out,
                                             cst_err *err);

typedef struct csti_disk_change {
    const uint8_t *key;
    const uint8_t *value; // NULL: the key is deleted, if it is there
    uint32_t key_bytes;
    uint32_t order; // among changes of one key, the highest counts
} csti_disk_change;

// Brings the changes into the order of keys, and writes them and the mark.
CST_CHECK_RESULT cst_code csti_disk_rows_write(csti_disk_rows *rows, csti_disk_change *changes,
                                               size_t changes_count, const csti_disk_mark *mark,
                                               cst_err *err);

typedef cst_code csti_disk_visit(void *context, const cst_row_ref *row, cst_err *err);

// Every row, in key order. An error of `visit` ends it.
CST_CHECK_RESULT cst_code csti_disk_rows_scan(csti_disk_rows *rows, csti_disk_visit *visit,
                                              void *context, cst_err *err);
// Up to rows_max of the rows behind this key, which need not be there; of none: from the first on.
// *end_out: there are no more.
CST_CHECK_RESULT cst_code csti_disk_rows_scan_on(csti_disk_rows *rows, cst_bytes after,
                                                 uint64_t rows_max, csti_disk_visit *visit,
                                                 void *context, bool *end_out, cst_err *err);

// Brings rows to the end of the chain: with the segments behind what they hold, or with all of
// them, if they hold a state that is not on the chain (why_out says so then; it is empty else).
// A transaction writes batch_rows, at least CSTI_DISK_BATCH_ROWS_MIN. *report_out: what was read.
CST_CHECK_RESULT cst_code csti_disk_rows_restore(csti_disk_rows *rows, cst_segment *const *segments,
                                                 size_t segments_count,
                                                 const cst_restore_options *options,
                                                 uint32_t batch_rows,
                                                 char why_out[CSTI_DISK_WHY_BYTES],
                                                 cst_restore_report *report_out, cst_err *err);

#endif
