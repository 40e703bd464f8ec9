// verify.h: reads every byte that checkpoints consist of, and says what is wrong with it.
//
//   newest ─► pin ─► manifest: crc, rules ─► chains: headers, tables, bases ─► blocks, records,
//   hashes of keys ─► end pin ─► the one before
//
// A segment that several checkpoints share is read once.
//
// Promises   works beside a running job and without one; a store that cannot be written to is read
//            without pins. Goes on behind damage, to find all of it.
// Thread     one.
// Ring       2.
#ifndef CST_CHECKPOINT_VERIFY_H
#define CST_CHECKPOINT_VERIFY_H

#include "checkpoint/pin.h"

typedef struct csti_verify_checkpoint {
    uint64_t id;
    uint64_t objects_count, bytes; // of its manifest and chains
    uint64_t damaged_count;        // chains, or the manifest
} csti_verify_checkpoint;

typedef struct csti_verify_options {
    cst_object_store *store;
    csti_meta *meta;
    const csti_clock *clock;
    csti_random *random;
    uint64_t id; // 0: all that are committed
    // All may be NULL.
    void (*damage)(void *context, uint64_t id, const cst_err *err);
    void (*checkpoint)(void *context, const csti_verify_checkpoint *checkpoint);
    void (*progress)(void *context, uint64_t bytes_done, uint64_t bytes_all);
    void *context;
} csti_verify_options;

typedef struct csti_verify_report {
    uint64_t checkpoints_count, damaged_count; // checkpoints
    uint64_t objects_count, bytes;             // that were read, each once
} csti_verify_report;

// The first damage, if there is any, naming object and offset. NOT_FOUND: no checkpoint at all, or
// none of this id. CHECKPOINT_RETIRED, PIN_EXPIRED (twice), store errors.
CST_CHECK_RESULT cst_code csti_verify(const csti_verify_options *options,
                                      csti_verify_report *report_out, cst_err *err);

#endif
