#include "base/spsc_ring.h"

#include <assert.h>
#include <stdlib.h>

cst_code csti_spsc_ring_open(csti_spsc_ring *ring, uint64_t capacity_count, size_t item_bytes,
                             cst_err *err) {
    uint64_t capacity = 1;
    size_t bytes;
    void *items;

    if (capacity_count == 0 || item_bytes == 0 || item_bytes > CSTI_SPSC_BYTES_MAX ||
        capacity_count > CSTI_SPSC_BYTES_MAX / 2 / item_bytes)
        return cst_fail(err, CST_LIMIT,
                        "ring of %llu items of %zu bytes: 1 byte to %zu are possible",
                        (unsigned long long)capacity_count, item_bytes, CSTI_SPSC_BYTES_MAX / 2);
    while (capacity < capacity_count) capacity *= 2;
    bytes = capacity * item_bytes;
    bytes = (bytes + CSTI_SPSC_LINE_BYTES - 1) / CSTI_SPSC_LINE_BYTES * CSTI_SPSC_LINE_BYTES;
    assert(bytes <= CSTI_SPSC_BYTES_MAX);
    items = aligned_alloc(CSTI_SPSC_LINE_BYTES, bytes);
    if (!items) return cst_fail(err, CST_NO_MEMORY, "ring of %zu bytes", bytes);

    memset(items, 0, bytes); // faulted in here, not by the producer
    ring->items = items;
    ring->mask = capacity - 1;
    ring->item_bytes = item_bytes;
    atomic_init(&ring->tail, 0);
    ring->head_seen = 0;
    atomic_init(&ring->head, 0);
    ring->tail_seen = 0;
    return CST_OK;
}

void csti_spsc_ring_close(csti_spsc_ring *ring) {
    free(ring->items);
    ring->items = NULL;
}
