// guard.h: whether this process still owns a partition; one load a batch.
//
//   meta sees a higher tenure ──► fence: tenure 0 ──► executors stop at their next batch
//
// The cell is a hint that comes early. The truth is asked before every manifest, and decided by the
// state machine in CommitCheckpoint: valid only if owner and tenure both match.
//
// Thread     fence: any. holds: any.
// Ring       holds: 0.
#ifndef CST_STREAM_GUARD_H
#define CST_STREAM_GUARD_H

#include <constellation/error.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct csti_guard {
    _Alignas(64) _Atomic uint64_t tenure; // 0: fenced
    uint64_t owner;
} csti_guard;

// USAGE: owner 0 or tenure 0.
CST_CHECK_RESULT static inline cst_code csti_guard_init(csti_guard *guard, uint64_t owner,
                                                        uint64_t tenure) {
    if (owner == 0 || tenure == 0) return CST_USAGE;
    guard->owner = owner;
    atomic_init(&guard->tenure, tenure);
    return CST_OK;
}

static inline bool csti_guard_holds(const csti_guard *guard) {
    // Relaxed: a late look costs one batch, which the commit refuses.
    return atomic_load_explicit(&guard->tenure, memory_order_relaxed) != 0;
}

static inline void csti_guard_fence(csti_guard *guard) {
    atomic_store_explicit(&guard->tenure, 0, memory_order_relaxed);
}

#endif
