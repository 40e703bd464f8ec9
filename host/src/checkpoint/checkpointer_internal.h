// checkpointer_internal.h: what the files of the checkpointer share.
//
//   order[]       5        6        7              ids that are announced and not over,
//                 |        |        |              oldest first
//   partition 0   e8 ok    e9 ok    e10 uploading        a queue of cuts; each belongs to an id,
//   partition 1   e4 ok    e5       -                    or waits for the next one (id 0)
//
//   id 6 aborted: e9 of partition 0 belongs to 7 now, and is uploaded again under 7's name, with
//   equal bytes: e10, which names its checksum, stays as it is. e5 of partition 1 waits: 7 has not
//   come to it yet. At the cap nothing comes: an id that is aborted then has an heir, which stands
//   on the same barrier.
//
//   checkpointer.c            begin, source, partition, released: bookkeeping
//   checkpointer_upload.c     a cut becomes a segment
//   checkpointer_candidate.c  the manifest to be
//   checkpointer_commit.c     guard, manifest, command; or the abort; release
//
// Promises   a queue holds consecutive epochs; what is released is a prefix, what is committed too.
//            Ids of a queue's cuts ascend; those that wait for an id are last.
// Thread     everything under `lock`, unless a field says otherwise; functions named ..._locked are
//            called with it.
#ifndef CST_CHECKPOINT_CHECKPOINTER_INTERNAL_H
#define CST_CHECKPOINT_CHECKPOINTER_INTERNAL_H

#include "checkpoint/checkpointer.h"
#include "checkpoint/names.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
    CSTI_BACKOFF_FIRST_US = 10 * 1000,
    CSTI_BACKOFF_LAST_US = 5 * 1000 * 1000,
};

typedef struct csti_checkpoint_cut {
    csti_cut given;
    uint64_t id;       // whose checkpoint it goes with; 0: of the next one that comes to it
    bool has_checksum; // it was uploaded at least once: the next cut can name it
    bool is_uploaded;  // as `segment`, of checkpoint `id`
    bool is_released;
    csti_manifest_segment segment; // its name is the array below
    char name[CSTI_CHECKPOINT_NAME_BYTES];
} csti_checkpoint_cut;

typedef struct csti_checkpoint_queue {
    csti_checkpoint_cut *cuts; // oldest first
    uint32_t count, capacity;
    uint64_t last_epoch;        // handed over so far
    csti_manifest_segment full; // name NULL: none; what manifests stand on from the next one on
} csti_checkpoint_queue;

typedef enum csti_checkpoint_state {
    CSTI_CHECKPOINT_OPEN = 1,   // barriers are on their way, or segments
    CSTI_CHECKPOINT_COMMITTING, // by commit's thread
    CSTI_CHECKPOINT_COMMITTED,  // its output is not out yet
    CSTI_CHECKPOINT_DOOMED,     // to be aborted: the command is not decided
    CSTI_CHECKPOINT_ABORTED,    // decided; its objects are to be deleted
} csti_checkpoint_state;

typedef struct csti_checkpoint_part {
    bool has_come;                 // this partition's cut
    uint64_t tried_from, tried_to; // epochs whose upload was begun, and all between; 0: none
    bool awaits_rows;
    csti_stored_rows rows; // rows_count 0: there are none
    bool rows_tried, rows_uploaded;
    csti_manifest_rows object; // of the rows: its name is the array below
    char rows_name[CSTI_CHECKPOINT_NAME_BYTES];
} csti_checkpoint_part;

typedef struct csti_checkpoint {
    uint64_t id, nonce;
    csti_checkpoint_state state;
    uint64_t begun_ns, progress_ns; // progress: the last step of it that was done
    uint32_t splits_seen, parts_seen;
    uint32_t rows_awaited; // parts that wait for theirs
    uint32_t uploads_running;
    bool is_unaligned;           // its splits come all at once, behind its partitions
    csti_manifest_split *splits; // ascending; texts in `texts`
    csti_arena texts;
    csti_checkpoint_part *parts;
    cst_err why;               // of one that is doomed
    uint64_t heir, heir_nonce; // of one that is aborted: what is announced in its place; 0: nothing
    // Of commit's thread alone:
    bool manifest_tried, commit_tried;
    char manifest[CSTI_CHECKPOINT_NAME_BYTES];
    uint32_t manifest_crc;
} csti_checkpoint;

// A manifest with what it points to.
typedef struct csti_owned_manifest {
    csti_arena arena;
    csti_manifest manifest;
} csti_owned_manifest;

struct csti_checkpointer {
    csti_checkpointer_options options; // with its defaults
    cst_segment_expect expect[2];      // of a stage's segments, but epochs and checksum
    pthread_mutex_t lock;
    _Atomic bool is_fenced; // for uploads under way; set once
    _Atomic uint64_t sent_bytes;
    uint64_t last_id; // announced
    csti_checkpoint *checkpoints;
    csti_checkpoint **order; // all of them: order_count in use, then free ones
    uint32_t order_count;
    csti_checkpoint_queue *queues;    // one a partition
    csti_owned_manifest *committed;   // the newest; its id 0: none
    uint64_t retry_at_ns, backoff_us; // 0: nothing failed of late
    csti_checkpointer_stats stats;
    // Of commit's thread alone:
    csti_owned_manifest *candidate;
    csti_buffer text; // of the candidate
    csti_arena view;  // of the metadata
};

static inline uint64_t csti_checkpointer_now(const csti_checkpointer *c) {
    return csti_clock_now_ns(c->options.clock);
}

static inline void csti_checkpointer_lock(csti_checkpointer *c) {
    (void)pthread_mutex_lock(&c->lock); // cannot fail: no attributes, never taken twice
}

static inline void csti_checkpointer_unlock(csti_checkpointer *c) {
    (void)pthread_mutex_unlock(&c->lock);
}

// NULL: it is over, or never was.
csti_checkpoint *csti_checkpoint_find_locked(const csti_checkpointer *c, uint64_t id);
// Whether all has come, and all that belongs to it is uploaded.
bool csti_checkpoint_is_up_locked(const csti_checkpointer *c, const csti_checkpoint *checkpoint);
bool csti_checkpoint_is_complete_locked(const csti_checkpointer *c,
                                        const csti_checkpoint *checkpoint);
// Of the cut that stands on it: the checksum of the cut before, or of the committed chain's end.
// False: it has none, since the epoch is the first.
bool csti_checkpoint_base_locked(const csti_checkpointer *c, uint32_t partition, uint64_t epoch,
                                 uint32_t *checksum_out);
// It will be aborted by commit's thread, for this reason.
void csti_checkpoint_doom_locked(csti_checkpointer *c, csti_checkpoint *checkpoint, cst_code code,
                                 const char *why);
// A call on store or metadata failed: the next ones wait a little, then longer.
void csti_checkpointer_back_off_locked(csti_checkpointer *c, cst_code code);
// At the cap, the barrier of a decided abort is announced again under another id, since a new one
// would bring an epoch more each time that the store fails. Before carry; the heir lives behind
// end.
void csti_checkpoint_name_heir_locked(csti_checkpointer *c, csti_checkpoint *checkpoint);
// Its cuts go with its heir or the next id that has come to their partition, or wait for it.
void csti_checkpoint_carry_locked(csti_checkpointer *c, const csti_checkpoint *checkpoint);
// Its place is free, or its heir's.
void csti_checkpoint_end_locked(csti_checkpointer *c, csti_checkpoint *checkpoint);
// Another owner has taken the place: nothing is written any more.
cst_code csti_checkpointer_fence(csti_checkpointer *c, cst_err *err);

// Whether an ambiguous write took effect: the object is there and bears the nonce. NOT_FOUND: it
// is not there; it may still come.
CST_CHECK_RESULT cst_code csti_checkpointer_settle(csti_checkpointer *c, const char *name,
                                                   uint64_t nonce, uint64_t bytes, cst_err *err);
static inline bool csti_code_is_ambiguous(cst_code code) {
    return code == CST_OBJECT_AMBIGUOUS || code == CST_DEADLINE || code == CST_EXISTS;
}

csti_owned_manifest *csti_owned_manifest_make(void); // NULL: no memory
void csti_owned_manifest_free(csti_owned_manifest *owned);
// The manifest of a checkpoint that is up, from the committed one, into c->candidate and c->text.
// base_id is the last id that the metadata has as committed: where recovery had to go back behind
// it, that is not the one whose chains it stands on.
CST_CHECK_RESULT cst_code csti_candidate_make(csti_checkpointer *c,
                                              const csti_checkpoint *checkpoint,
                                              uint64_t incarnation, uint64_t base_id, cst_err *err);
// It is committed: it takes the committed one's place.
void csti_candidate_settle_locked(csti_checkpointer *c);
// The fulls that it stands on are not there any more: the next one stands on the old chain.
void csti_candidate_drop_fulls_locked(csti_checkpointer *c);

#endif
