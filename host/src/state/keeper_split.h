// keeper_split.h: a keeper of rows whose device takes short keys alone; the others have a table of
// the processor's beside it.
//
//   block ─┬─ keys that the device takes ──► its table ──► delta ─► as wide as of the other ─┐
//          └─ longer ones ─────────────────► longs ───────► delta ───────────────────────────┴─►
//          one
//
// A key is always in the same table, so the rows of a key stay in their order. What comes out is
// what one table of all keys would give, but for the order of records in a delta: those of the
// device's table come first. So checkpoints do not know of the two, and any device reads them.
//
// Of a block the device's rows go first; when they are in, the longer ones of the same block
// follow, and a row that one of the two cannot take stops the other in front of it, too: but for
// rows of the device's that were on their way. The keeper is to be given up then, or waits for
// memory and goes on with that row.
//
// Promises   as keeper.h. A barrier seals both tables behind the same rows.
// Thread     its partition's.
// Ring       1: records of the device's deltas are copied once, when they are sealed.
// Owner      queue, table and `longs` are borrowed, and nothing else uses them.
// Errors     as keeper.h; NO_MEMORY also where a delta is sealed.
#ifndef CST_STATE_KEEPER_SPLIT_H
#define CST_STATE_KEEPER_SPLIT_H

#include "state/keeper.h"

typedef struct csti_keeper_split_options {
    cst_queue *queue;
    cst_device_table *table; // of inline rows, whose upserts fold; its key_bytes part the rows
    cst_table *longs;        // the same, but for longer keys; both are at the same epoch
} csti_keeper_split_options;

// CST_UNSUPPORTED: upserts that replace values; USAGE, NO_MEMORY.
CST_CHECK_RESULT cst_code csti_keeper_split_open(const csti_keeper_split_options *options,
                                                 csti_keeper **out, cst_err *err);

#endif
