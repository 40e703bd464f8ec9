// published.h: aggregates of all partitions of a process, read by anybody without a lock.
//
//   owner of partition 3, at each barrier          any thread
//   write(3, epoch, value) ──► | epoch | value |   merge: copies each partition's value, folds them
//                              | epoch | value |   as totals.h has it: counts and sums add
//                    version ──► which one is read
//
// A partition has two places. Its owner writes the one that is not read, then says so; a reader
// whose place was written again meanwhile reads once more. Each value is of one epoch, whole;
// values of different partitions may be of different epochs, and the view says which.
//
// Promises   a read sees each partition at one epoch, never an older one than before. Sums of
//            doubles are folded in order of partitions.
// Thread     write, clear: the partition's owner. read, merge: any.
// Ring       write: 0. read, merge: 0, without a lock or a wait: a reader that an owner overtakes
//            CSTI_PUBLISHED_TRIES times gets CST_AGAIN.
// Errors     open: USAGE (no accumulators, no partitions), CST_LIMIT, CST_NO_MEMORY.
#ifndef CST_STREAM_PUBLISHED_H
#define CST_STREAM_PUBLISHED_H

#include "stream/totals.h"

enum { CSTI_PUBLISHED_PARTITIONS_MAX = 64, CSTI_PUBLISHED_TRIES = 1000 };

typedef struct csti_published csti_published;

// Values are of this program, whose accumulators say how they merge.
CST_CHECK_RESULT cst_code csti_published_open(const cst_program *program, uint32_t partitions_count,
                                              csti_published **out, cst_err *err);
void csti_published_close(csti_published *published); // NULL is allowed

typedef struct csti_published_mark {
    uint64_t epoch;
    uint64_t rows;       // that the value is of
    uint64_t overflowed; // bit an accumulator: of no value
} csti_published_mark;

// `value`: program.value_bytes; NULL: no row has come yet.
void csti_published_write(csti_published *published, uint32_t partition,
                          const csti_published_mark *mark, const uint8_t *value);
// Nothing is known of it until its next write: its owner has lost it.
void csti_published_clear(csti_published *published, uint32_t partition);

typedef struct csti_published_view {
    uint64_t present;                    // bit a partition: it has been written
    bool any;                            // one of them had rows: there is a value
    uint64_t oldest_epoch, newest_epoch; // of those present
    uint64_t rows;                       // of all of them
    uint64_t overflowed;                 // bit an accumulator: of one of them, or of their sum
} csti_published_view;

// One partition. Without rows value_out is unchanged. CST_AGAIN.
CST_CHECK_RESULT cst_code csti_published_read(const csti_published *published, uint32_t partition,
                                              uint8_t *value_out, csti_published_view *out);
// All of them folded into one value, where those overflowed, and `last`, mean nothing. CST_AGAIN.
CST_CHECK_RESULT cst_code csti_published_merge(const csti_published *published, uint8_t *value_out,
                                               csti_published_view *out);

#endif
