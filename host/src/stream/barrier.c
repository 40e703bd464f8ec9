#include "stream/barrier.h"

#include <assert.h>

enum { MODE_BITS = 16 };
_Static_assert(CSTI_EPOCH_LIMIT == UINT64_C(1) << (64 - MODE_BITS), "an epoch fits");

#if defined(__GCC_HAVE_SYNC_COMPARE_AND_SWAP_16) && !defined(CSTI_BARRIER_PORTABLE)
#define HAVE_128 1
#elif defined(__x86_64__) && !defined(CSTI_BARRIER_PORTABLE)
#error "compile this file with -mcx16"
#else
#define HAVE_128 0
#endif

typedef union pair {
    struct {
        uint64_t id, word;
    };
    csti_u128 both;
} pair;

void csti_barrier_cell_init(csti_barrier_cell *cell) {
    assert((uintptr_t)cell % sizeof(csti_u128) == 0);
    atomic_init(&cell->id, 0);
    atomic_init(&cell->word, 0);
    atomic_init(&cell->claimed_id, 0);
    atomic_init(&cell->repeated_count, 0);
    atomic_init(&cell->busy_count, 0);
}

#if HAVE_128

// What was there before; `wanted` is there now if that equals `seen`. A full barrier.
static pair exchange(csti_barrier_cell *cell, pair seen, pair wanted) {
    return (pair){.both = __sync_val_compare_and_swap(&cell->both, seen.both, wanted.both)};
}

static pair look(const csti_barrier_cell *cell) {
    // A guess, perhaps of two moments: the exchange that follows finds out.
    return (pair){.id = atomic_load_explicit(&cell->id, memory_order_relaxed),
                  .word = atomic_load_explicit(&cell->word, memory_order_relaxed)};
}

static cst_code put(csti_barrier_cell *cell, pair barrier, uint64_t *pending_out) {
    pair seen = look(cell);

    for (seen.id = 0;;) {
        const bool repeated = barrier.id <= seen.word;
        // A repeated id changes nothing, and the exchange shows that it was no guess.
        const pair before = exchange(cell, seen, repeated ? seen : barrier);

        if (before.both == seen.both) return repeated ? CST_EXISTS : CST_OK;
        if (before.id != 0) {
            *pending_out = before.id;
            return CST_BARRIER_BUSY;
        }
        seen = before;
    }
}

// Empties the cell if `id` is in it, or whatever is (0).
static bool empty(csti_barrier_cell *cell, uint64_t id, pair *out) {
    pair seen = look(cell);

    while (seen.id != 0 && (id == 0 || seen.id == id)) {
        const pair before = exchange(cell, seen, (pair){.id = 0, .word = seen.id});

        if (before.both == seen.both) {
            *out = seen;
            return true;
        }
        seen = before;
    }
    return false;
}

#else

// Two words: who has claimed the cell owns `word`, until who has emptied it lets go of the claim.
//
//   claimed_id 0 ─► 17     word ◄ epoch, mode     id 0 ─► 17     id 17 ─► 0     word ◄ 17
//   claimed_id 17 ─► 0     |--------- injector -------------|    |---- source or withdrawer ----|

static cst_code put(csti_barrier_cell *cell, pair barrier, uint64_t *pending_out) {
    uint64_t claimed_id = 0;

    // Acquire pairs with the release of the claim: `word` is the last id.
    if (!atomic_compare_exchange_strong_explicit(&cell->claimed_id, &claimed_id, barrier.id,
                                                 memory_order_acquire, memory_order_relaxed)) {
        *pending_out = claimed_id;
        return CST_BARRIER_BUSY;
    }
    if (barrier.id <= atomic_load_explicit(&cell->word, memory_order_relaxed)) {
        atomic_store_explicit(&cell->claimed_id, 0, memory_order_release);
        return CST_EXISTS;
    }
    atomic_store_explicit(&cell->word, barrier.word, memory_order_relaxed);
    // Release pairs with the acquire in empty: the word comes before its id.
    atomic_store_explicit(&cell->id, barrier.id, memory_order_release);
    return CST_OK;
}

static bool empty(csti_barrier_cell *cell, uint64_t id, pair *out) {
    uint64_t seen = atomic_load_explicit(&cell->id, memory_order_relaxed);

    if (seen == 0 || (id != 0 && seen != id)) return false;
    // Fails only if the other one emptied it, and perhaps a third filled it again since.
    if (!atomic_compare_exchange_strong_explicit(&cell->id, &seen, 0, memory_order_acquire,
                                                 memory_order_relaxed))
        return false;
    *out = (pair){.id = seen, .word = atomic_load_explicit(&cell->word, memory_order_relaxed)};
    atomic_store_explicit(&cell->word, seen, memory_order_relaxed);
    atomic_store_explicit(&cell->claimed_id, 0, memory_order_release);
    return true;
}

#endif

cst_code csti_barrier_inject(csti_barrier_cell *cell, csti_barrier barrier, uint64_t *pending_out) {
    const pair wanted = {.id = barrier.id, .word = barrier.epoch << MODE_BITS | barrier.mode};
    cst_code code;

    if (barrier.id == 0 || barrier.epoch >= CSTI_EPOCH_LIMIT) return CST_USAGE;
    if (barrier.mode < CSTI_BARRIER_ALIGNED || barrier.mode > CSTI_BARRIER_UNALIGNED)
        return CST_USAGE;
    code = put(cell, wanted, pending_out);
    if (code == CST_EXISTS)
        (void)atomic_fetch_add_explicit(&cell->repeated_count, 1, memory_order_relaxed);
    else if (code == CST_BARRIER_BUSY)
        (void)atomic_fetch_add_explicit(&cell->busy_count, 1, memory_order_relaxed);
    return code;
}

bool csti_barrier_take(csti_barrier_cell *cell, csti_barrier *out) {
    pair taken;

    if (!empty(cell, 0, &taken)) return false;
    *out = (csti_barrier){.id = taken.id,
                          .epoch = taken.word >> MODE_BITS,
                          .mode = (csti_barrier_mode)(taken.word & ((1 << MODE_BITS) - 1))};
    assert(out->mode >= CSTI_BARRIER_ALIGNED && out->mode <= CSTI_BARRIER_UNALIGNED);
    return true;
}

bool csti_barrier_withdraw(csti_barrier_cell *cell, uint64_t id) {
    pair withdrawn;

    return id != 0 && empty(cell, id, &withdrawn);
}
