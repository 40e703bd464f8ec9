// barrier.h: a barrier on its way, and the cell in which a source finds one.
//
//   injector            cell (16 bytes, one compare-exchange)            source, between batches
//   inject(17, 9) ──►  | id 17 | epoch 9 : 48 | mode : 16 |  ◄── poll: one relaxed load of `id`
//                        from empty only: else BARRIER_BUSY             take: empties it
//
//   empty    | id 0  | last id: 64             |    so that a repeated id cannot slip in: "empty,
//                                                   and nothing at or above mine" is one compare
//
// Promises   id, epoch and mode are of one injection, never mixed; none is lost. Ids taken rise: a
//            repeated one (not above the last taken or withdrawn) is ignored and counted.
// Thread     inject, withdraw: any, several at once. poll and take: the cell's source.
// Ring       0: no lock, no system call. An idle poll is one relaxed 64-bit load.
// Errors     inject: USAGE: id 0, an epoch of 2^48 or more, an unknown mode; BARRIER_BUSY: one is
//            pending, *pending_out is its id; EXISTS: a repeated id, nothing was injected.
#ifndef CST_STREAM_BARRIER_H
#define CST_STREAM_BARRIER_H

#include "base/bytes.h"

#include <constellation/error.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

typedef enum csti_barrier_mode {
    CSTI_BARRIER_ALIGNED = 1,
    CSTI_BARRIER_FINAL = 2, // aligned; sources end behind it
    CSTI_BARRIER_UNALIGNED = 3,
} csti_barrier_mode;

#define CSTI_EPOCH_LIMIT (UINT64_C(1) << 48)

typedef struct csti_barrier {
    uint64_t id;    // 0: none
    uint64_t epoch; // below CSTI_EPOCH_LIMIT; only the cell packs it
    csti_barrier_mode mode;
} csti_barrier;

typedef struct csti_barrier_cell {
    _Alignas(128) union {
        struct {
            _Atomic uint64_t id;   // 0: empty
            _Atomic uint64_t word; // epoch << 16 | mode; empty: the last id
        };
        csti_u128 both;
    };
    // Away from what the source polls: injectors write it.
    _Alignas(128) _Atomic uint64_t claimed_id; // where there is no 128-bit compare-exchange
    _Atomic uint64_t repeated_count, busy_count;
} csti_barrier_cell;
_Static_assert(sizeof(csti_barrier_cell) == 256, "two pairs of lines");

void csti_barrier_cell_init(csti_barrier_cell *cell);
CST_CHECK_RESULT cst_code csti_barrier_inject(csti_barrier_cell *cell, csti_barrier barrier,
                                              uint64_t *pending_out);
static inline bool csti_barrier_pending(const csti_barrier_cell *cell) {
    // Relaxed: take does the ordering.
    return atomic_load_explicit(&cell->id, memory_order_relaxed) != 0;
}
// False: none is pending, *out is unchanged.
bool csti_barrier_take(csti_barrier_cell *cell, csti_barrier *out);
// Takes back a pending barrier, so that an abort need not wait for its source; false: too late. A
// withdrawn id counts as used.
bool csti_barrier_withdraw(csti_barrier_cell *cell, uint64_t id);

#endif
