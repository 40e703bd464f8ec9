// changes.h: the newest value of each key that changed in epochs that are not durable yet.
//
//   index   hash ─► number of the key's newest record          open addressing; grows with its keys
//   log     | 0 | 1 | 2 | 3 |   | 4 | 5 | 6 | 7 |   | 8 | 9 |  chunks of records of one width
//             ^ floor               ^ sealed              ^ tail
//             delta(e) = records [0, 5)   delta(e + 1), open = [5, 10)
//
// A key's first touch in an epoch appends a record, later ones rewrite it in place; a key that was
// deleted and comes again in one epoch has two. So a delta has the records that a table's has
// (docs/formats.md, Change log), in the same order, without its gaps.
//
// Promises   records below a seal never change until they are forgotten. Seal is O(1).
// Thread     one owner; any thread may read a sealed delta's ranges until they are dropped.
// Ring       1: allocates chunks, and the index where it grows.
// Owner      the caller owns the pointer until close; records are the set's.
// Errors     TABLE_BUDGET: a chunk or an index more is above budget_bytes; NO_MEMORY. Nothing was
//            appended.
#ifndef CST_STATE_CHANGES_H
#define CST_STATE_CHANGES_H

#include "state/record.h"

enum { CSTI_CHANGES_CHUNK_BYTES = 256 << 10 };

typedef struct csti_changes csti_changes;

typedef struct csti_changes_options {
    cst_segment_part part; // inline
    uint64_t epoch;        // the first one
    uint64_t budget_bytes;
} csti_changes_options;

typedef struct csti_changes_stats {
    uint64_t log_bytes, index_bytes;
    uint64_t keys_count; // in the index
} csti_changes_stats;

CST_CHECK_RESULT cst_code csti_changes_open(const csti_changes_options *options, csti_changes **out,
                                            cst_err *err);
void csti_changes_close(csti_changes *changes); // NULL is allowed
const csti_record_shape *csti_changes_shape(const csti_changes *changes);
void csti_changes_stats_read(const csti_changes *changes, csti_changes_stats *out);

// The key's newest record, a row or a tombstone; NULL: it did not change. *open_out: it is of the
// open epoch, and may be rewritten.
uint8_t *csti_changes_find(const csti_changes *changes, uint64_t hash, const uint8_t *key,
                           uint32_t key_bytes, bool *open_out);
// A record of the open epoch, the key's newest: a row whose value is the caller's to write, or a
// tombstone.
CST_CHECK_RESULT cst_code csti_changes_append(csti_changes *changes, uint64_t hash,
                                              const uint8_t *key, uint32_t key_bytes,
                                              bool tombstone, uint8_t **record_out);
// A row of the open epoch becomes its tombstone.
void csti_changes_bury(const csti_changes *changes, uint8_t *record);

// Ends the open epoch. `from` and `to` are record numbers in bytes of records.
cst_delta csti_changes_seal(csti_changes *changes);
void csti_changes_ranges(const csti_changes *changes, const cst_delta *delta, cst_bytes *ranges,
                         size_t capacity, size_t *count_out);

// ---- Records that are kept elsewhere from now on: oldest first ----------------------------------

static inline uint64_t csti_changes_number(const csti_changes *changes, uint64_t offset) {
    return offset / csti_changes_shape(changes)->record_bytes;
}
const uint8_t *csti_changes_record(const csti_changes *changes, uint64_t number);
uint64_t csti_changes_end(const csti_changes *changes); // number of the next one
// The key is looked for elsewhere, unless it has a newer record.
void csti_changes_forget(csti_changes *changes, uint64_t number);
// All records below the number are forgotten: their memory is free.
void csti_changes_drop(csti_changes *changes, uint64_t number);

#endif
