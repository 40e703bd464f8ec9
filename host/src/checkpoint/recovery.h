// recovery.h: the newest checkpoint that can be used, and why not a newer one.
//
//   claim (tenures up; the caller's) ─► adopt the candidate above the newest, if there is one
//        ─► newest committed: read manifest, open and check every segment of every chain
//              damaged ─► named in the report; the one before it, only if the newer one's output
//                         is empty, unseen by the sink, or the caller accepts repeats
//        ─► plan: manifest and opened segments; the caller restores tables from them
//
// A candidate is a manifest above the newest committed one that stands on it and was never
// committed: its owner died between the two. It is adopted by one command before any of it is read
// as state, and only if all of it is there and good.
//
// Promises   idempotent, and may be killed at any step. Checkpoints exist and none can be used:
//            CHECKPOINT_UNUSABLE with the list, never a fresh start. A checkpoint that was gone
//            back to is pinned, so that nothing it names is deleted before the next one commits.
// Thread     one.
// Ring       2.
// Owner      the plan owns bodies and segments until closed.
#ifndef CST_CHECKPOINT_RECOVERY_H
#define CST_CHECKPOINT_RECOVERY_H

#include "base/log.h"
#include "checkpoint/chain.h"
#include "checkpoint/checkpointer.h"
#include "checkpoint/pin.h"

enum { CSTI_RECOVERY_NOTES_MAX = 64, CSTI_RECOVERY_NOTE_BYTES = 256 };

typedef struct csti_recovery_note {
    uint64_t id;
    cst_code code; // why it was skipped; CST_OK: chosen, or adopted
    char text[CSTI_RECOVERY_NOTE_BYTES];
} csti_recovery_note;

typedef struct csti_recovery_report {
    uint64_t chosen_id; // 0: a fresh start
    bool adopted;
    uint64_t bytes_read, objects_read;
    uint64_t claim_ns, restore_ns; // the caller's
    uint64_t adopt_ns, read_ns, verify_ns;
    uint32_t notes_count; // those beyond the last are counted in notes_lost
    uint32_t notes_lost;
    csti_recovery_note notes[CSTI_RECOVERY_NOTES_MAX];
} csti_recovery_report;

// Called behind each segment that is opened, and often while one is verified, with the bytes of the
// checkpoint that are done: of the one at work, so that they begin anew with the next one. What it
// fails with ends the recovery; that is ABORTED, which nothing else here fails with.
typedef cst_code (*csti_recovery_step)(void *context, uint64_t bytes_done, uint64_t bytes_all,
                                       cst_err *err);

typedef struct csti_recovery_options {
    cst_object_store *store;
    csti_meta *meta;
    const csti_clock *clock;
    const csti_logger *logger;       // NULL: none
    const csti_job_identity *expect; // hash_key all zeros: taken from the manifest; NULL: any job
    uint64_t owner, tenure;          // as CLAIM gave them; 0: read only, nothing is adopted
    uint64_t checkpoint_id;          // this one and no other; 0: the newest
    csti_pin *pin;                   // read only: held while it reads; NULL: none
    bool accept_repeats;
    // Every block now; else blocks are verified as they are restored, and whoever meets damage then
    // opens the plan again with this: it will choose another checkpoint, or say why it cannot.
    bool verify_all;
    // Whether the sink has anything of this epoch or a later one; NULL: nobody can tell. Asked only
    // where there is something newer than what is chosen: whether that may be gone back behind, and
    // from which epoch on, so that a part which is there is never sent again with other rows.
    cst_code (*output_seen)(void *context, uint32_t partition, uint64_t epoch, bool *out,
                            cst_err *err);
    void *output_context;
    csti_recovery_step step; // NULL: none
    void *step_context;
} csti_recovery_options;

typedef struct csti_recovery_plan {
    // What the state is restored from, and what the next checkpoint stands on. manifest.id 0:
    // nothing to restore. It is the newest committed id, which the next one's base_id has to be,
    // also if the state is an older one's: whose it is says report.chosen_id.
    csti_manifest manifest;
    csti_chain *chains; // of manifest.partitions[i]
    uint64_t id_floor;  // the highest id that any object or command names
    csti_recovery_report report;
    csti_arena arena;
    cst_object_store *store;
} csti_recovery_plan;

// *report_out (may be NULL) is filled on errors too. Codes: CHECKPOINT_UNUSABLE,
// CHECKPOINT_REPEATS, JOB_MISMATCH, SEGMENT_SCHEMA, SEGMENT_HASH_KEY, MANIFEST_VERSION, FENCED,
// NOT_FOUND, CHECKPOINT_RETIRED (a named id), PIN_EXPIRED, ABORTED (the step), store errors.
CST_CHECK_RESULT cst_code csti_recovery_plan_open(const csti_recovery_options *options,
                                                  csti_recovery_plan *out,
                                                  csti_recovery_report *report_out, cst_err *err);
void csti_recovery_plan_close(csti_recovery_plan *plan);

typedef struct csti_listing_options {
    csti_meta_log_options meta; // its store, clock and random are used for all
    uint64_t owner;             // a random instance id
    bool accept_repeats;
    csti_recovery_step step; // NULL: none
    void *step_context;
} csti_listing_options;

// The metadata is lost, or damaged: finds the highest (incarnation, tenure, id) of which every byte
// verifies, and begins a new incarnation with it, in one step. EXISTS: the metadata is there and
// good; NOT_FOUND: no manifest either; CHECKPOINT_UNUSABLE: none verifies; CHECKPOINT_REPEATS: a
// higher one is damaged and may have had output.
CST_CHECK_RESULT cst_code csti_recover_from_listing(const csti_listing_options *options,
                                                    csti_recovery_report *report_out, cst_err *err);

#endif
