// rescale.h: the state of one number of partitions becomes that of another.
//
//   checkpoint 17, 2 partitions             the plan to go on from, 4 partitions
//   0: full(1..12) ◄─ delta(13)     ..2047  ──► 0: full(1..14)  ..1023
//   1: full(1..11) ◄─ delta(14)     ..4095  ──► 1: full(1..14)  ..2047
//                                           ──► 2, 3            ..4095
//
// Each gets a full of its key groups alone, and the next checkpoint stands on that. Every
// new partition begins behind the highest epoch of all old ones, so that no part of a sink has the
// name of an older one; with the lowest of their watermarks; its rows are those of the partitions
// that began where it does. Fulls are objects of their own, under the tenure of whoever goes on;
// until a checkpoint names them they are orphans, and the old checkpoint is what counts.
//
// With two stages each is spread among the partitions of its own.
//
// Promises   all that the old chains hold of a key group is read and checked, once for each new
//            partition that has it; of an ordered full only the new partition's groups. Equal state
//            gives equal fulls. May be killed at any step: nothing that was there changes.
// Thread     one; `threads_count` more fold beside it.
// Ring       2.
// Owner      *out owns its bodies and segments, as every plan; the old plan stays its owner's.
// Errors     SEGMENT_*: damage of the old chains; what the step fails with; store errors.
#ifndef CST_CHECKPOINT_RESCALE_H
#define CST_CHECKPOINT_RESCALE_H

#include "checkpoint/recovery.h"

enum { CSTI_RESCALE_THREADS_MAX = 16 };

typedef struct csti_rescale_options {
    cst_object_store *store;
    const csti_clock *clock;
    csti_random *random;
    uint64_t owner, tenure;    // of the job, behind CLAIM and PARTITIONS
    uint32_t partitions_count; // of each stage
    uint32_t threads_count;    // beside the caller
    uint64_t memory_bytes;     // of all threads together; 0: 64 MiB each
    csti_recovery_step step;   // the caller's thread alone, with bytes of bodies; NULL: none
    void *step_context;
} csti_rescale_options;

typedef struct csti_rescale_report {
    uint32_t partitions_before, partitions_count; // of each stage
    uint64_t epoch;                               // the fulls' last
    uint64_t bytes_before;                        // bodies of all chains
    uint64_t bytes_read;                          // of them, over all new partitions
    uint64_t bytes_written;                       // fulls
    uint64_t ns;
} csti_rescale_report;

// `from` has a manifest (its id is not 0). *out and *report_out only on success.
CST_CHECK_RESULT cst_code csti_rescale(const csti_rescale_options *options,
                                       const csti_recovery_plan *from, csti_recovery_plan *out,
                                       csti_rescale_report *report_out, cst_err *err);

#endif
