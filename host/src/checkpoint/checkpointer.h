// checkpointer.h: from sealed epochs to committed checkpoints, in order, several at once.
//
//   begin(id) ─► source(id) × splits ─┐
//                partition(id) × P ───┤ all there: complete
//                                     ▼
//   upload(p)   segments of partition p, id after id        (a thread a partition, or fewer)
//                                     ▼ all parts of the oldest id are up
//   commit      guard (owner, tenure) ─► manifest ─► CommitCheckpoint ─► release ─► _latest
//                                     │
//   abort       AbortCheckpoint ─► its objects are deleted; its epochs stand first in the next id;
//               what was uploaded on top of it is cut again
//
// Released means: the output of the checkpoint went to the sink, and each partition may RELEASE its
// delta (csti_checkpointer_released). Commits are in order of ids; a release is over before the
// next commit begins, so that after a crash at most the newest committed one has to be released
// again (with identical bytes: it is rendered from the committed segments).
//
// At most `epochs_max` ids and `staged_bytes_max` of pinned delta are between begin and commit;
// at the cap begin says CST_AGAIN: barriers wait, rows go on.
//
// Promises   pins end by commit only. An aborted id is never used again. After FENCED nothing is
//            written any more. Every step has a deadline; one that passes it aborts the id.
// Thread     begin, source, partition, released, abort: any (a lock inside, never held while
//            the store is called). upload(p): one thread at a time a partition; commit: one thread.
// Ring       begin, source, partition, released: 1, they never wait for the store. The rest: 2.
// Owner      deltas stay pinned in their tables until released says so.
// Errors     FENCED: stop the job. CHECKPOINT_ABORTED: the id is gone, its changes go with the
//            next; the job goes on. Store errors abort the id and are counted by name.
#ifndef CST_CHECKPOINT_CHECKPOINTER_H
#define CST_CHECKPOINT_CHECKPOINTER_H

#include "base/log.h"
#include "checkpoint/manifest.h"
#include "meta/meta.h"

typedef struct csti_checkpointer csti_checkpointer;

// A sealed epoch of a partition, by reference. Ranges hold until it is released.
typedef struct csti_cut {
    uint64_t epoch; // the partition's, continuing over restarts
    const cst_bytes *ranges[CST_SEGMENT_PARTS_MAX];
    size_t ranges_count[CST_SEGMENT_PARTS_MAX];
    uint64_t delta_bytes;
    int64_t watermark_us;
    uint64_t rows_count;
    void *token; // the partition's own; comes back with the release
} csti_cut;

// The output of a committed checkpoint: its new segments of one partition, in order of epochs.
// Called by commit's thread, and again with the same bytes after a crash.
typedef cst_code (*csti_release_output)(void *context, uint64_t checkpoint_id, uint32_t partition,
                                        cst_segment *segment, cst_err *err);

typedef struct csti_checkpointer_options {
    cst_object_store *store;
    csti_meta *meta;
    const csti_clock *clock;
    csti_random *random;
    const csti_logger *logger; // NULL: none
    csti_job_identity identity;
    uint64_t owner, tenure; // as CLAIM gave them
    uint32_t partitions_count;
    uint32_t splits_count;
    uint32_t epochs_max;         // 0: 4
    uint64_t staged_bytes_max;   // 0: 512 MiB
    uint64_t step_deadline_us;   // of an upload, a manifest, a commit; 0: 60 s
    uint64_t align_deadline_us;  // from begin until complete; 0: 60 s
    const csti_manifest *base;   // what was recovered; NULL: nothing
    uint64_t id_floor;           // ids up to it were announced before
    csti_release_output release; // NULL: no output
    void *release_context;
} csti_checkpointer_options;

CST_CHECK_RESULT cst_code csti_checkpointer_open(const csti_checkpointer_options *options,
                                                 csti_checkpointer **out, cst_err *err);
// Nothing of it is running. What was not committed is forgotten; its objects are orphans.
void csti_checkpointer_close(csti_checkpointer *checkpointer);

// The next id. CST_AGAIN: at a cap; CST_FENCED.
CST_CHECK_RESULT cst_code csti_checkpointer_begin(csti_checkpointer *checkpointer, uint64_t *id_out,
                                                  cst_err *err);
// What a source had read up to the barrier of `id`. Copied.
CST_CHECK_RESULT cst_code csti_checkpointer_source(csti_checkpointer *checkpointer, uint64_t id,
                                                   const csti_manifest_split *split, cst_err *err);
// What a partition sealed at the barrier of `id`. CHECKPOINT_ABORTED: kept all the same, it goes
// with the next id.
CST_CHECK_RESULT cst_code csti_checkpointer_partition(csti_checkpointer *checkpointer, uint64_t id,
                                                      uint32_t partition, const csti_cut *cut,
                                                      cst_err *err);
// A partition's oldest released cut: true, and its token; false: none. That partition's thread.
bool csti_checkpointer_released(csti_checkpointer *checkpointer, uint32_t partition,
                                csti_cut *cut_out);

// Uploads what partition `partition` has to, oldest first; CST_AGAIN: nothing to do now.
CST_CHECK_RESULT cst_code csti_checkpointer_upload(csti_checkpointer *checkpointer,
                                                   uint32_t partition, cst_err *err);
// Commits the oldest id if all of it is up, releases it; also aborts what passed a deadline.
// CST_AGAIN: nothing to do now. *id_out: what was committed.
CST_CHECK_RESULT cst_code csti_checkpointer_commit(csti_checkpointer *checkpointer,
                                                   uint64_t *id_out, cst_err *err);
// Gives an id up: an alignment that failed, say.
CST_CHECK_RESULT cst_code csti_checkpointer_abort(csti_checkpointer *checkpointer, uint64_t id,
                                                  cst_err *err);
// A full that was registered: manifests from the next one on stand on it.
CST_CHECK_RESULT cst_code csti_checkpointer_use_full(csti_checkpointer *checkpointer,
                                                     uint32_t partition,
                                                     const csti_manifest_segment *full,
                                                     cst_err *err);
// The newest committed manifest, copied into `arena`. NOT_FOUND: none yet.
CST_CHECK_RESULT cst_code csti_checkpointer_newest(csti_checkpointer *checkpointer,
                                                   csti_arena *arena, csti_manifest *out,
                                                   cst_err *err);

typedef struct csti_checkpointer_stats {
    uint64_t begun, committed, aborted, released;
    uint64_t last_committed_id;
    uint64_t staged_epochs, staged_bytes;
    uint64_t uploaded_bytes, upload_ns, commit_ns, release_ns;
    uint64_t errors_count; // store errors; the last of them:
    cst_code last_error;
    bool fenced;
} csti_checkpointer_stats;
void csti_checkpointer_stats_read(csti_checkpointer *checkpointer, csti_checkpointer_stats *out);

#endif
