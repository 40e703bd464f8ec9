// compaction.h: folds of chains into fulls, and the deletion of what nothing needs any more.
//
//   fold   lease "fold" ─► read a partition's committed chain ─► cst_segment_fold ─► upload
//          ─► read back and verify ─► REGISTER_FULL {token} ─► checkpointer uses it
//   gc     keep the newest K ─► names that no kept manifest has ─► RETIRE (one command: ids and
//          names) ─► delete objects ─► DELETED
//
//   folded        full(1..9) ◄── delta(10) ◄── delta(11) │ ◄── delta(12)     output of the newest
//                 \____________ folds/…/0-11 ___________/ │       checkpoint: left to the next fold
//
// Promises   neither delays a checkpoint. One unreadable record ends a fold, and the chain stays.
//            gc deletes an object only if no kept manifest names it and its (tenure, id) is below
//            the newest committed of its partition, or its fold token is below the lease's current
//            one, which gc raises first: never by age. A full that was registered and that the next
//            checkpoint may stand on stays. Both are idempotent and may be killed at any step:
//            pending names are in the metadata.
// Thread     one at a time, each.
// Ring       2.
#ifndef CST_CHECKPOINT_COMPACTION_H
#define CST_CHECKPOINT_COMPACTION_H

#include "checkpoint/chain.h"
#include "checkpoint/checkpointer.h"

#define CSTI_FOLD_LEASE "fold" // its token stands in the names of fulls

typedef struct csti_fold_policy {
    uint32_t every;      // checkpoints; 0: auto
    uint32_t deltas_max; // auto: at most so many deltas a chain; 0: 32
    double delta_share;  // auto: deltas above this part of the base; 0: 0.5
} csti_fold_policy;

typedef struct csti_compaction_options {
    cst_object_store *store;
    csti_meta *meta;
    const csti_clock *clock;
    csti_random *random;
    const csti_logger *logger;
    uint64_t owner, tenure;
    csti_fold_policy fold;
    uint32_t keep;              // checkpoints; at least 1
    uint64_t lease_ttl_us;      // 0: 60 s
    uint64_t fold_memory_bytes; // 0: 64 MiB
    // Of each step: a read, a write, a command, a deletion. One that takes longer ends the fold or
    // gc with DEADLINE, also if it succeeds: the store is too slow now. 0: none.
    uint64_t step_deadline_us;
} csti_compaction_options;

// When the step at work began.
typedef struct csti_compaction_watch {
    uint64_t since_ns;
} csti_compaction_watch;

void csti_compaction_begin(const csti_compaction_options *options, csti_compaction_watch *watch);
// A step has ended, and the next one begins.
CST_CHECK_RESULT cst_code csti_compaction_step(const csti_compaction_options *options,
                                               csti_compaction_watch *watch, cst_err *err);

// How many segments of the chain a fold takes in: all but the output of the manifest's checkpoint,
// which may have to be released again. 0: nothing to fold.
uint32_t csti_fold_segments(const csti_manifest_partition *partition);
// Whether the policy wants the partition folded now.
bool csti_fold_is_due(const csti_fold_policy *policy, const csti_manifest_partition *partition);
// How far folds are behind: 1 is where one is due by count or share, 2 where it was due twice. What
// is small and short counts as little, however often the policy wants it folded.
double csti_fold_lag(const csti_fold_policy *policy, const csti_manifest_partition *partition);
// Folds partition `p` of a committed manifest: *full_out (its name in `arena`) is registered. One
// that was registered before is taken as it is, and may hold less. AGAIN: nothing to fold; LEASE:
// another process folds, or took over; SEGMENT_*, NOT_FOUND: damage; DEADLINE: the chain stays;
// store errors.
CST_CHECK_RESULT cst_code csti_fold_partition(const csti_compaction_options *options,
                                              const csti_manifest *manifest, uint32_t p,
                                              csti_arena *arena, csti_manifest_segment *full_out,
                                              cst_err *err);

// The registered full that stands for the most segments of the chain, which is open: all of its
// bytes are good. *count_out: how many. `step` (may be NULL) hears the bytes of the one at work.
// AGAIN: there is none.
CST_CHECK_RESULT cst_code csti_fold_find(cst_object_store *store, const csti_meta_view *view,
                                         const csti_manifest *manifest, uint32_t p,
                                         const csti_chain *chain, csti_arena *arena,
                                         const csti_read_step *step,
                                         csti_manifest_segment *full_out, uint32_t *count_out,
                                         cst_err *err);

typedef struct csti_gc_report {
    uint64_t retired_checkpoints;
    uint64_t deleted_objects;
    uint64_t deleted_bytes;   // of those whose size a manifest says
    uint64_t pending_objects; // left over from before
    uint64_t pinned;          // checkpoints that a reader kept
    uint64_t swept_uploads;
} csti_gc_report;

// dry: says what it would do, and does nothing.
typedef enum csti_gc_mode { CSTI_GC_DRY, CSTI_GC_RETIRE, CSTI_GC_ORPHANS } csti_gc_mode;
// RETIRE: what kept manifests no longer name, and pending deletions. ORPHANS: also lists the store
// for what no manifest ever named, and sweeps uploads that were abandoned. `visit` (may be NULL)
// sees each object before it goes. FENCED; MANIFEST, NOT_FOUND: a manifest that is to be kept
// cannot be read, so that nothing is known to be garbage; PINNED, USAGE: others were faster;
// DEADLINE: what was deleted is not pending any more; store errors: what is pending stays so.
CST_CHECK_RESULT cst_code csti_gc(const csti_compaction_options *options, csti_gc_mode mode,
                                  void (*visit)(void *context, const char *name), void *context,
                                  csti_gc_report *report_out, cst_err *err);

#endif
