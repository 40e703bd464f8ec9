// recovery_attempt.h: one checkpoint being opened, and let go of if it is no good.
//
//   manifest ─► expect ─► chains ─► (its arena and chains become the plan's)
//        │          │        └─ damage: close, and the next one
//        └──────────┴─ note
//
// Thread     one.
// Ring       2.
// Owner      the attempt owns arena and chains until a plan takes them.
#ifndef CST_CHECKPOINT_RECOVERY_ATTEMPT_H
#define CST_CHECKPOINT_RECOVERY_ATTEMPT_H

#include "checkpoint/recovery.h"

typedef struct csti_attempt {
    const csti_recovery_options *options;
    csti_recovery_report *report;
    csti_arena arena;
    csti_manifest_object object;
    csti_chain *chains;
    uint32_t chains_count;          // opened
    uint64_t bytes_done, bytes_all; // for the step
} csti_attempt;

void csti_attempt_init(csti_attempt *attempt, const csti_recovery_options *options,
                       csti_recovery_report *report);
// Closes the chains; the manifest is gone too. The arena stays, empty.
void csti_attempt_close(csti_attempt *attempt);

CST_CHECK_RESULT cst_code csti_attempt_manifest(csti_attempt *attempt, uint64_t id,
                                                const char *name, const uint32_t *crc_wanted,
                                                cst_err *err);
// Whether the manifest is of the job that was asked for.
CST_CHECK_RESULT cst_code csti_attempt_expect(csti_attempt *attempt, cst_err *err);
// What the options' step says, with `bytes` more than bytes_done. The context is the attempt.
CST_CHECK_RESULT cst_code csti_attempt_step(void *context, uint64_t bytes, cst_err *err);
// Opens all chains; verifies them if the options say so. PIN_EXPIRED.
CST_CHECK_RESULT cst_code csti_attempt_chains(csti_attempt *attempt, cst_err *err);
// Whether the segments have the lengths of key and value that were asked for.
CST_CHECK_RESULT cst_code csti_attempt_parts(csti_attempt *attempt, cst_err *err);
// Whether the manifest, which was read, has output that is not known to be empty.
bool csti_attempt_has_output(csti_attempt *attempt);

// For an owner. Registered fulls take the place of the segments that they hold.
CST_CHECK_RESULT cst_code csti_attempt_use_fulls(csti_attempt *attempt, const csti_meta_view *view,
                                                 cst_err *err);
// Partition p's epochs go on behind `epoch_to`: an empty segment fills the gap.
CST_CHECK_RESULT cst_code csti_attempt_pass_epochs(csti_attempt *attempt, uint32_t p,
                                                   uint64_t epoch_to, cst_err *err);

void csti_attempt_note(csti_attempt *attempt, uint64_t id, cst_code code, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
