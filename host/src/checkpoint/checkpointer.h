// checkpointer.h: from sealed epochs to committed checkpoints, in order, several at once.
//
//   begin(id) ─► source(id) × splits ─┐
//                partition(id) × P ───┤ all there: complete
//                                     ▼
//                rows(id), of partitions whose cut said that they follow
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
// At most `epochs_max` ids, as many epochs of each partition, and `staged_bytes_max` of pinned
// delta are between begin and commit; at the cap begin says CST_AGAIN: barriers wait, rows go on.
// An id that is aborted at the cap, with no other under way, is announced again under a new id by
// the checkpointer itself: the same barrier, offsets and epochs, so that a store that fails for
// long holds no more than the cap. Where its barrier had not come everywhere, the next id is let
// in.
//
// An epoch's segment does not depend on the id it goes with: written again it has the same bytes.
// So what stands on an aborted id's epochs stays up; those epochs alone are uploaded again.
//
// Promises   pins end by commit only. An aborted id is never used again. After FENCED nothing is
//            written any more. Every step has a deadline; one that passes it aborts the id. The
//            deadline of a release is the sink's: what it does not take is offered again. Whether
//            a commit took effect is never guessed: what is not known is decided by the abort.
// Thread     upload(p): one thread at a time a partition; commit: one thread; the rest: any (a lock
//            inside, never held while store or metadata are called).
// Ring       upload, commit: 2. The rest: 1, they never wait for the store.
// Owner      deltas stay pinned in their tables until released says so. Options are copied; the
//            identity's texts, store, metadata, clock, random and logger are borrowed until close.
// Errors     FENCED: stop the job. CHECKPOINT_ABORTED: the id is gone, its changes go with the
//            next; the job goes on. Store errors, NO_MEMORY and the metadata's refusals doom an id:
//            they are returned and counted, and a later commit aborts it. SEGMENT_*, EPOCH, USAGE,
//            INTERNAL: a mistake of the caller's or ours, which trying again does not mend.
#ifndef CST_CHECKPOINT_CHECKPOINTER_H
#define CST_CHECKPOINT_CHECKPOINTER_H

#include "base/log.h"
#include "checkpoint/manifest.h"
#include "meta/meta.h"
#include "stream/stored_rows.h"

typedef struct csti_checkpointer csti_checkpointer;

// A sealed epoch of a partition, by reference. Ranges hold until it is released.
typedef struct csti_cut {
    uint64_t epoch; // the partition's, continuing over restarts
    const cst_bytes *ranges[CST_SEGMENT_PARTS_MAX];
    size_t ranges_count[CST_SEGMENT_PARTS_MAX];
    uint64_t delta_bytes;
    int64_t watermark_us;
    uint64_t rows_count;
    bool rows_follow;  // csti_checkpointer_rows, of the same id
    void *token;       // the partition's own; comes back with the release
    uint32_t checksum; // with the release: of the segment that it is now
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
    uint64_t owner, tenure;    // as CLAIM gave them
    uint32_t partitions_count; // of all stages
    uint32_t splits_count;
    uint32_t epochs_max;         // 0: 4
    uint64_t staged_bytes_max;   // 0: 512 MiB
    uint64_t step_deadline_us;   // of an upload, a manifest, a commit; 0: 60 s
    uint64_t align_deadline_us;  // from begin until complete; 0: 60 s
    const csti_manifest *base;   // what was recovered, the newest or one before; NULL: nothing
    uint64_t id_floor;           // ids up to it were announced before
    csti_release_output release; // NULL: no output
    uint32_t release_first;      // partitions before it have none
    void *release_context;
} csti_checkpointer_options;

CST_CHECK_RESULT cst_code csti_checkpointer_open(const csti_checkpointer_options *options,
                                                 csti_checkpointer **out, cst_err *err);
// Nothing of it is running. What was not committed is forgotten; its objects are orphans.
void csti_checkpointer_close(csti_checkpointer *checkpointer);

// The next id. CST_AGAIN: at a cap; CST_FENCED.
CST_CHECK_RESULT cst_code csti_checkpointer_begin(csti_checkpointer *checkpointer, uint64_t *id_out,
                                                  cst_err *err);
// What a source had read up to the barrier of `id`. Copied. EXISTS: it was here before;
// CHECKPOINT_ABORTED.
CST_CHECK_RESULT cst_code csti_checkpointer_source(csti_checkpointer *checkpointer, uint64_t id,
                                                   const csti_manifest_split *split, cst_err *err);
// The partitions of `id` are cut where each of them stands: what sources gave for it is forgotten,
// what they still give is ignored, and `sources` brings it. NOT_FOUND: it is complete, or over.
CST_CHECK_RESULT cst_code csti_checkpointer_unalign(csti_checkpointer *checkpointer, uint64_t id,
                                                    cst_err *err);
// All splits of such an id, with what each partition has of them. CHECKPOINT_ABORTED.
CST_CHECK_RESULT cst_code csti_checkpointer_sources(csti_checkpointer *checkpointer, uint64_t id,
                                                    const csti_manifest_split *splits,
                                                    uint32_t splits_count, cst_err *err);
// What a partition sealed at the barrier of `id`. CHECKPOINT_ABORTED: kept all the same, it goes
// with the next id that comes to the partition. EPOCH: not the one behind the last, NO_MEMORY: not
// kept.
CST_CHECK_RESULT cst_code csti_checkpointer_partition(csti_checkpointer *checkpointer, uint64_t id,
                                                      uint32_t partition, const csti_cut *cut,
                                                      cst_err *err);
// What was on its way to a partition that was cut, and is not in the cut, up to the last barrier
// that came late: none, or some. Taken over, also on errors. CHECKPOINT_ABORTED: not kept, the rows
// are in the partition's next cut.
CST_CHECK_RESULT cst_code csti_checkpointer_rows(csti_checkpointer *checkpointer, uint64_t id,
                                                 uint32_t partition, csti_stored_rows *rows,
                                                 cst_err *err);
// A partition's oldest released cut: true, and its token; false: none. That partition's thread.
bool csti_checkpointer_released(csti_checkpointer *checkpointer, uint32_t partition,
                                csti_cut *cut_out);

// Uploads one epoch of partition `partition`, the oldest that is not up, or its rows; CST_AGAIN:
// nothing to do now. Any other error dooms the id it goes with.
CST_CHECK_RESULT cst_code csti_checkpointer_upload(csti_checkpointer *checkpointer,
                                                   uint32_t partition, cst_err *err);
// One step: aborts a doomed id (CHECKPOINT_ABORTED says why it was), or commits the oldest id, if
// all of it is up, and releases it. CST_AGAIN: nothing to do now. An error before the commit dooms
// the id; one of the release leaves it committed, and the next calls release it again. *id_out: the
// id that the answer is about; 0: none.
CST_CHECK_RESULT cst_code csti_checkpointer_commit(csti_checkpointer *checkpointer,
                                                   uint64_t *id_out, cst_err *err);
// Gives an id up: an alignment that failed, say. The next commit decides it. CHECKPOINT_ORDER: it
// is being committed; NOT_FOUND: it is over.
CST_CHECK_RESULT cst_code csti_checkpointer_abort(csti_checkpointer *checkpointer, uint64_t id,
                                                  cst_err *err);
// A full that was registered: manifests from the next one on stand on it. An older one than is in
// use changes nothing. USAGE: it does not end with a committed segment of the partition.
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
    uint64_t staged_bytes_max; // the bound
    uint64_t uploaded_bytes, upload_ns, commit_ns, release_ns;
    uint64_t upload_left_bytes; // of deltas that are not up; what has gone off of one is not taken
                                // away before all of it has
    uint64_t sent_bytes;        // that uploads have handed to the store, also those that failed
    uint64_t errors_count;      // steps that failed; the last of them:
    cst_code last_error;
    bool fenced;
} csti_checkpointer_stats;
// A step failed of late: until then (the clock's now_ns) upload and commit only say CST_AGAIN, and
// the wait doubles, from 10 ms to 5 s, until something commits. 0: nothing failed.
uint64_t csti_checkpointer_retry_at_ns(csti_checkpointer *checkpointer);
void csti_checkpointer_stats_read(csti_checkpointer *checkpointer, csti_checkpointer_stats *out);

#endif
