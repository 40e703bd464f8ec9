// spsc_ring.h: a bounded queue of fixed-size items from one thread to one other.
//
//   items    | 4 | 5 | 6 |   |   |   | 2 | 3 |      capacity 8
//                      ^ tail          ^ head       tail - head = count, both only grow
//
//   line 0   items, mask, item_bytes         read by both, written by neither
//   line 1   tail, head_seen                 the producer's
//   line 2   head, tail_seen                 the consumer's
//
// Each side keeps the last value it saw of the other's index, and reads the other's line only when
// that says full (or empty): in steady state a line moves once a lap, not once an item.
//
// Promises   order kept, nothing lost or repeated; never blocks. Items are 16-byte aligned if
//            item_bytes is a multiple of 16, and 8-byte aligned if it is one of 8.
// Thread     one producer, one consumer; csti_spsc_ring_count: any.
// Ring       0, after open.
// Owner      the caller owns the struct; the ring owns its items.
// Errors     CST_LIMIT (no items, or too many), CST_NO_MEMORY.
#ifndef CST_BASE_SPSC_RING_H
#define CST_BASE_SPSC_RING_H

#include <constellation/error.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

// Two lines of 64 bytes: Intel's spatial prefetcher fetches them in pairs (optimization manual).
#define CSTI_SPSC_LINE_BYTES 128
#define CSTI_SPSC_BYTES_MAX ((size_t)1 << 32)

typedef struct csti_spsc_ring {
    _Alignas(CSTI_SPSC_LINE_BYTES) uint8_t *items;
    uint64_t mask; // capacity - 1
    size_t item_bytes;

    _Alignas(CSTI_SPSC_LINE_BYTES) _Atomic uint64_t tail; // written by the producer
    uint64_t head_seen;

    _Alignas(CSTI_SPSC_LINE_BYTES) _Atomic uint64_t head; // written by the consumer
    uint64_t tail_seen;
} csti_spsc_ring;

// The capacity is rounded up to a power of two.
CST_CHECK_RESULT cst_code csti_spsc_ring_open(csti_spsc_ring *ring, uint64_t capacity_count,
                                              size_t item_bytes, cst_err *err);
// May be called twice.
void csti_spsc_ring_close(csti_spsc_ring *ring);

// Producer: where the next item goes, or NULL: full. Nothing is visible before publish.
static inline void *csti_spsc_ring_slot(csti_spsc_ring *ring) {
    const uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed); // our own

    if (tail - ring->head_seen > ring->mask) {
        // Acquire pairs with the release in consume: the slot's old item is read.
        ring->head_seen = atomic_load_explicit(&ring->head, memory_order_acquire);
        if (tail - ring->head_seen > ring->mask) return NULL;
    }
    return ring->items + (tail & ring->mask) * ring->item_bytes;
}

// After csti_spsc_ring_slot gave a slot and it was filled.
static inline void csti_spsc_ring_publish(csti_spsc_ring *ring) {
    const uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    // Release pairs with the acquire in front: the item comes before its number.
    atomic_store_explicit(&ring->tail, tail + 1, memory_order_release);
}

// Consumer: the oldest item, or NULL: empty. It stays until consume.
static inline void *csti_spsc_ring_front(csti_spsc_ring *ring) {
    const uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed); // our own

    if (head == ring->tail_seen) {
        // Acquire pairs with the release in publish.
        ring->tail_seen = atomic_load_explicit(&ring->tail, memory_order_acquire);
        if (head == ring->tail_seen) return NULL;
    }
    return ring->items + (head & ring->mask) * ring->item_bytes;
}

// After csti_spsc_ring_front gave an item and it was read.
static inline void csti_spsc_ring_consume(csti_spsc_ring *ring) {
    const uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    // Release pairs with the acquire in slot: our reads come before the slot is free.
    atomic_store_explicit(&ring->head, head + 1, memory_order_release);
}

// False: full, nothing happened.
static inline bool csti_spsc_ring_push(csti_spsc_ring *ring, const void *item) {
    void *slot = csti_spsc_ring_slot(ring);

    if (!slot) return false;
    memcpy(slot, item, ring->item_bytes);
    csti_spsc_ring_publish(ring);
    return true;
}

// False: empty, *item_out is unchanged.
static inline bool csti_spsc_ring_pop(csti_spsc_ring *ring, void *item_out) {
    const void *item = csti_spsc_ring_front(ring);

    if (!item) return false;
    memcpy(item_out, item, ring->item_bytes);
    csti_spsc_ring_consume(ring);
    return true;
}

static inline uint64_t csti_spsc_ring_capacity(const csti_spsc_ring *ring) {
    return ring->mask + 1;
}

// How many were in it at some moment during the call; exact for a thread that stops the other.
static inline uint64_t csti_spsc_ring_count(const csti_spsc_ring *ring) {
    // Head first: tail may only have grown since, so the difference is no less than zero. It may
    // exceed the capacity by what was consumed and pushed in between.
    const uint64_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
    const uint64_t count = atomic_load_explicit(&ring->tail, memory_order_acquire) - head;
    return count <= ring->mask + 1 ? count : ring->mask + 1;
}

#endif
