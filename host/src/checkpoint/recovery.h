// recovery.h: the newest checkpoint that can be used, and why not a newer one.
//
//   claim (tenures up) ─► adopt the candidate above the newest, if there is one
//        ─► newest committed: read manifest, open and verify every segment of every chain
//              damaged ─► named in the report; the one before it, only if the newer one's output
//                         is empty or the caller accepts repeats
//        ─► plan: manifest and opened segments; the caller restores tables from them
//
// Promises   idempotent, and may be killed at any step. Checkpoints exist and none can be used:
//            CHECKPOINT_UNUSABLE with the list, never a fresh start.
// Thread     one.
// Ring       2.
// Owner      the plan owns bodies and segments until closed.
#ifndef CST_CHECKPOINT_RECOVERY_H
#define CST_CHECKPOINT_RECOVERY_H

#include "base/log.h"
#include "checkpoint/checkpointer.h"

enum { CSTI_RECOVERY_NOTES_MAX = 64 };

typedef struct csti_recovery_note {
    uint64_t id;
    cst_code code; // why it was skipped; CST_OK: chosen, or adopted
    char text[256];
} csti_recovery_note;

typedef struct csti_recovery_report {
    uint64_t chosen_id; // 0: a fresh start
    bool adopted;
    uint64_t bytes_read, objects_read;
    uint64_t claim_ns, adopt_ns, read_ns, verify_ns;
    uint32_t notes_count;
    csti_recovery_note notes[CSTI_RECOVERY_NOTES_MAX];
} csti_recovery_report;

typedef struct csti_recovery_options {
    cst_object_store *store;
    csti_meta *meta;
    const csti_clock *clock;
    const csti_logger *logger;
    const csti_job_identity *expect; // hash_key all zeros: taken from the manifest
    uint64_t owner, tenure;          // as CLAIM gave them; 0: read only, nothing is adopted
    uint64_t checkpoint_id;          // this one and no other; 0: the newest
    bool accept_repeats;
    bool verify_all; // every block now; else blocks are verified as they are restored
    void (*progress)(void *context, uint64_t bytes_done, uint64_t bytes_all); // may be NULL
    void *progress_context;
} csti_recovery_options;

typedef struct csti_recovery_chain {
    cst_segment **segments;
    uint32_t segments_count;
} csti_recovery_chain;

typedef struct csti_recovery_plan {
    csti_manifest manifest;      // id 0: nothing to restore
    csti_recovery_chain *chains; // of manifest.partitions[i]
    uint64_t id_floor;           // the highest id that any object or command names
    csti_recovery_report report;
    csti_arena arena;
    cst_object_store *store;
    cst_object_body *bodies;
    size_t bodies_count;
} csti_recovery_plan;

// *report_out (may be NULL) is filled on errors too. Codes: CHECKPOINT_UNUSABLE,
// CHECKPOINT_REPEATS, JOB_MISMATCH, SEGMENT_SCHEMA, SEGMENT_HASH_KEY, FENCED, NOT_FOUND (a named
// id), store errors.
CST_CHECK_RESULT cst_code csti_recovery_plan_open(const csti_recovery_options *options,
                                                  csti_recovery_plan *out,
                                                  csti_recovery_report *report_out, cst_err *err);
void csti_recovery_plan_close(csti_recovery_plan *plan);

// The metadata is lost: finds the highest (incarnation, tenure, id) of which everything verifies,
// and begins a new incarnation with it. EXISTS: the metadata is there.
CST_CHECK_RESULT cst_code csti_recover_from_listing(const csti_meta_log_options *options,
                                                    uint64_t owner,
                                                    csti_recovery_report *report_out, cst_err *err);

#endif
