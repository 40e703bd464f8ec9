// barrier.h: a barrier on its way, and the cell in which a source finds one.
//
//   injector            cell (16 bytes, one compare-exchange)            source, between batches
//   inject(17, 9) ──►  | id 17 | epoch 9 : 48 | mode : 16 |  ◄── poll: one relaxed load of `id`
//                        from empty only: else BARRIER_BUSY             take: empties it
//
// Promises   id, epoch and mode are of one injection, never mixed; none is lost. A repeated id
//            (not above the last one taken) is ignored and counted.
// Thread     inject: any, several at once. poll and take: the cell's source.
// Ring       0: no lock, no system call. An idle poll is one relaxed 64-bit load.
// Errors     inject: USAGE: id 0, an epoch of 2^48 or more, an unknown mode; BARRIER_BUSY: one is
//            pending, *pending_out is its id; EXISTS: a repeated id, nothing was injected.
#ifndef CST_STREAM_BARRIER_H
#define CST_STREAM_BARRIER_H

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
    uint64_t id; // 0: none
    uint64_t epoch : 48;
    uint64_t mode : 16;
} csti_barrier;
_Static_assert(sizeof(csti_barrier) == 16, "a barrier is one 128-bit word");

typedef struct csti_barrier_cell csti_barrier_cell;
struct csti_barrier_cell {
    _Alignas(128) _Atomic uint64_t id; // 0: empty; with `word` one 128-bit cell
    uint64_t word;
    _Alignas(128) _Atomic uint64_t taken_id; // the last one
    _Atomic uint64_t repeated_count, busy_count;
};

void csti_barrier_cell_init(csti_barrier_cell *cell);
CST_CHECK_RESULT cst_code csti_barrier_inject(csti_barrier_cell *cell, csti_barrier barrier,
                                              uint64_t *pending_out);
static inline bool csti_barrier_pending(const csti_barrier_cell *cell) {
    // Relaxed: take does the ordering.
    return atomic_load_explicit(&cell->id, memory_order_relaxed) != 0;
}
// False: none is pending.
bool csti_barrier_take(csti_barrier_cell *cell, csti_barrier *out);
// Takes back a pending barrier, so that an abort need not wait for its source; false: too late.
bool csti_barrier_withdraw(csti_barrier_cell *cell, uint64_t id);

#endif
