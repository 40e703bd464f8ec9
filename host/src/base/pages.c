#include "base/pages.h"

#include <assert.h>
#include <errno.h>
#include <linux/mempolicy.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

// Linux 5.14; older headers lack the name, older kernels answer EINVAL.
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

enum {
    PAGES_ASKED_AT_ONCE = 512, // one move_pages call: 6 KiB of stack
    POPULATE_RETRIES_MAX = 16, // EAGAIN, EINTR
    SMAPS_LINE_BYTES = 512,
};

static size_t round_up(size_t value, size_t unit) {
    return (value + unit - 1) / unit * unit;
}
static size_t round_down(size_t value, size_t unit) {
    return value / unit * unit;
}
static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

// A preference, not MPOL_BIND: a full node must cost speed, not the process. The explicit "local"
// for no node is no idle call: a range with a policy of its own is left alone by automatic NUMA
// balancing, whose hinting faults would hit the owner.
static cst_code prefer_node(const csti_pages *pages, int node, cst_err *err) {
    uint64_t mask = node < 0 ? 0 : UINT64_C(1) << node;
    const unsigned long mask_bits =
        node < 0 ? 0 : CSTI_PAGES_NODES_MAX + 1; // the kernel takes 1 off

    if (syscall(SYS_mbind, pages->mapping, pages->mapping_bytes, MPOL_PREFERRED,
                node < 0 ? NULL : &mask, mask_bits, 0) == 0)
        return CST_OK;
    if (node < 0) return CST_OK;
    if (errno == EINVAL) return cst_fail(err, CST_NOT_FOUND, "NUMA node %d: no such node", node);
    return cst_fail(err, CST_UNSUPPORTED, "NUMA node %d: mbind: %s", node, strerror(errno));
}

cst_code csti_pages_reserve(csti_pages *pages, size_t reserved_bytes,
                            const csti_pages_options *options, cst_err *err) {
    const csti_pages_options any = {.numa_node = -1};
    csti_pages made = {.options = options ? *options : any};
    cst_code code = CST_OK;
    void *mapping;

    if (reserved_bytes == 0 || reserved_bytes > CSTI_PAGES_RESERVED_BYTES_MAX)
        return cst_fail(err, CST_LIMIT, "reserving %zu bytes: 1 to %zu are possible",
                        reserved_bytes, CSTI_PAGES_RESERVED_BYTES_MAX);
    if (made.options.numa_node < -1 || made.options.numa_node >= CSTI_PAGES_NODES_MAX)
        return cst_fail(err, CST_NOT_FOUND, "NUMA node %d: no such node", made.options.numa_node);

    made.reserved_bytes = round_up(reserved_bytes, CSTI_PAGE_BYTES);
    // At most 2 MiB to the aligned base, of which at least a page is guard, and a guard behind.
    made.mapping_bytes = made.reserved_bytes + CSTI_HUGEPAGE_BYTES + 2 * CSTI_PAGE_BYTES;
    mapping = mmap(NULL, made.mapping_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);
    if (mapping == MAP_FAILED)
        return cst_fail(err, CST_NO_MEMORY, "reserving %zu bytes of addresses: %s",
                        made.mapping_bytes, strerror(errno));
    made.mapping = mapping;
    made.base =
        made.mapping +
        (round_up((uintptr_t)mapping + CSTI_PAGE_BYTES, CSTI_HUGEPAGE_BYTES) - (uintptr_t)mapping);
    assert(made.base + made.reserved_bytes + CSTI_PAGE_BYTES <= made.mapping + made.mapping_bytes);

    code = prefer_node(&made, made.options.numa_node, err);
    if (code != CST_OK) goto done;
    // A card that writes by DMA and a child that copies on write would part ways.
    if (made.options.dma) (void)madvise(made.mapping, made.mapping_bytes, MADV_DONTFORK);

    pages->base = made.base;
    pages->reserved_bytes = made.reserved_bytes;
    atomic_init(&pages->ready_bytes, 0);
    atomic_init(&pages->pinned_bytes, 0);
    atomic_init(&pages->misplaced_bytes, 0);
    pages->mapping = made.mapping;
    pages->mapping_bytes = made.mapping_bytes;
    pages->options = made.options;
    pages->pin_errno = 0;
    pages->where_errno = 0;
    made.mapping = NULL; // *pages has it now
done:
    if (made.mapping) (void)munmap(made.mapping, made.mapping_bytes);
    return code;
}

// Writes to each page; only for memory nobody else sees yet.
static void touch(uint8_t *from, size_t bytes) {
    for (size_t at = 0; at < bytes; at += CSTI_PAGE_BYTES) ((volatile uint8_t *)from)[at] = 0;
}

static cst_code fault_in(uint8_t *from, size_t bytes, cst_err *err) {
    for (int attempt = 0; attempt < POPULATE_RETRIES_MAX; attempt++) {
        if (madvise(from, bytes, MADV_POPULATE_WRITE) == 0) return CST_OK;
        if (errno == EINVAL) { // a kernel before 5.14
            touch(from, bytes);
            return CST_OK;
        }
        if (errno != EAGAIN && errno != EINTR) break;
    }
    return cst_fail(err, CST_NO_MEMORY, "faulting in %zu bytes: %s", bytes, strerror(errno));
}

// Only whole aligned huge pages may be huge; see the header for why the rest must stay small.
static void advise(const csti_pages *pages, size_t from, size_t to) {
    const size_t huge_from = round_up(from, CSTI_HUGEPAGE_BYTES);
    const size_t huge_to = round_down(to, CSTI_HUGEPAGE_BYTES);
    const bool huge = pages->options.hugepages && huge_from < huge_to;

    // All are advice: a kernel without huge pages has none, and csti_pages_where says so.
    (void)madvise(pages->base + from, to - from, MADV_NOHUGEPAGE);
    if (huge) (void)madvise(pages->base + huge_from, huge_to - huge_from, MADV_HUGEPAGE);
}

// Locks [ready, to) if all before it is locked: pinned_bytes is one border, without holes.
// By syscall: the sanitizers replace mlock() with a success that does nothing.
static void pin(csti_pages *pages, size_t ready_bytes, size_t to) {
    if (atomic_load_explicit(&pages->pinned_bytes, memory_order_relaxed) != ready_bytes) return;
    if (syscall(SYS_mlock, pages->base + ready_bytes, to - ready_bytes) != 0) {
        pages->pin_errno = errno;
        return;
    }
    // Pairs with the load in csti_pages_pinned.
    atomic_store_explicit(&pages->pinned_bytes, to, memory_order_release);
}

// `from` and `bytes` are of whole pages. 0, or the errno of the call that failed.
static int count_by_node(const uint8_t *from, size_t bytes, csti_pages_place *place) {
    const void *addresses[PAGES_ASKED_AT_ONCE];
    int nodes[PAGES_ASKED_AT_ONCE];

    for (size_t at = 0; at < bytes;) {
        const size_t count = smaller((bytes - at) / CSTI_PAGE_BYTES, PAGES_ASKED_AT_ONCE);

        for (size_t i = 0; i < count; i++) addresses[i] = from + at + i * CSTI_PAGE_BYTES;
        // No target nodes: the call moves nothing and reports.
        if (syscall(SYS_move_pages, 0, count, addresses, NULL, nodes, 0) != 0) return errno;
        for (size_t i = 0; i < count; i++) {
            if (nodes[i] >= 0 && nodes[i] < CSTI_PAGES_NODES_MAX)
                place->node_bytes[nodes[i]] += CSTI_PAGE_BYTES;
            else
                place->absent_bytes += CSTI_PAGE_BYTES;
        }
        at += count * CSTI_PAGE_BYTES;
    }
    place->ready_bytes += bytes;
    return 0;
}

// What was just made ready, while nobody else sees it. A page that is in no memory is not counted:
// nothing says where it will come back.
static void check_node(csti_pages *pages, size_t from, size_t to) {
    const int node = pages->options.numa_node;
    csti_pages_place place = {0};
    int failed;

    if (node < 0) return;
    failed = count_by_node(pages->base + from, to - from, &place);
    if (failed && !pages->where_errno) pages->where_errno = failed;
    if (failed) return;
    // Relaxed, both: one writer, and readers need no order.
    atomic_store_explicit(&pages->misplaced_bytes,
                          atomic_load_explicit(&pages->misplaced_bytes, memory_order_relaxed) +
                              place.ready_bytes - place.absent_bytes - place.node_bytes[node],
                          memory_order_relaxed);
}

cst_code csti_pages_prepare(csti_pages *pages, size_t ready_bytes, cst_err *err) {
    // Relaxed: only this thread writes it.
    const size_t from = atomic_load_explicit(&pages->ready_bytes, memory_order_relaxed);
    const size_t to = smaller(ready_bytes, SIZE_MAX - CSTI_PAGE_BYTES);
    const size_t end = round_up(to, CSTI_PAGE_BYTES);
    cst_code code;

    assert(pages->mapping);
    assert(from <= pages->reserved_bytes);
    if (ready_bytes <= from) return CST_OK;
    if (end > pages->reserved_bytes)
        return cst_fail(err, CST_LIMIT, "preparing %zu bytes: %zu are reserved", ready_bytes,
                        pages->reserved_bytes);

    if (mprotect(pages->base + from, end - from, PROT_READ | PROT_WRITE) != 0)
        return cst_fail(err, CST_NO_MEMORY, "preparing %zu bytes: mprotect: %s", end - from,
                        strerror(errno));
    advise(pages, from, end);
    code = fault_in(pages->base + from, end - from, err);
    if (code != CST_OK) {
        // Back to untouched addresses. Should this fail, they are writable and unpublished.
        (void)madvise(pages->base + from, end - from, MADV_DONTNEED);
        (void)mprotect(pages->base + from, end - from, PROT_NONE);
        return code;
    }
    if (pages->options.dma) pin(pages, from, end);
    check_node(pages, from, end);
    // Pairs with the acquire load in csti_pages_ready: the zeroes come before the border.
    atomic_store_explicit(&pages->ready_bytes, end, memory_order_release);
    return CST_OK;
}

void csti_pages_release(csti_pages *pages) {
    if (!pages->mapping) return;
    (void)munmap(pages->mapping, pages->mapping_bytes);
    pages->base = NULL;
    pages->mapping = NULL;
    pages->mapping_bytes = 0;
    pages->reserved_bytes = 0;
    atomic_store_explicit(&pages->ready_bytes, 0, memory_order_relaxed);
    atomic_store_explicit(&pages->pinned_bytes, 0, memory_order_relaxed);
    atomic_store_explicit(&pages->misplaced_bytes, 0, memory_order_relaxed);
}

// The guards keep our mappings apart from others': each line of smaps is all ours or not at all.
static cst_code count_huge(const csti_pages *pages, csti_pages_place *place, cst_err *err) {
    const uintptr_t from = (uintptr_t)pages->base;
    const uintptr_t to = from + place->ready_bytes;
    char line[SMAPS_LINE_BYTES];
    FILE *smaps = fopen("/proc/self/smaps", "re");
    bool ours = false;

    if (!smaps) return cst_fail(err, CST_IO, "/proc/self/smaps: %s", strerror(errno));
    while (fgets(line, sizeof line, smaps)) {
        unsigned long first, last, kilobytes;

        if (sscanf(line, "%lx-%lx ", &first, &last) == 2)
            ours = first >= from && first < to;
        else if (ours && sscanf(line, "AnonHugePages: %lu kB", &kilobytes) == 1)
            place->huge_bytes += kilobytes * 1024;
    }
    (void)fclose(smaps);
    return CST_OK;
}

cst_code csti_pages_count(const void *from, size_t bytes, csti_pages_place *place_out,
                          cst_err *err) {
    const uint8_t *first = (const uint8_t *)from - (uintptr_t)from % CSTI_PAGE_BYTES;
    const size_t whole = round_up((uintptr_t)from % CSTI_PAGE_BYTES + bytes, CSTI_PAGE_BYTES);
    csti_pages_place place = {0};
    const int failed = count_by_node(first, whole, &place);

    if (failed)
        return cst_fail(err, CST_UNSUPPORTED, "where pages are: move_pages: %s", strerror(failed));
    *place_out = place;
    return CST_OK;
}

cst_code csti_pages_where(const csti_pages *pages, csti_pages_place *place_out, cst_err *err) {
    csti_pages_place place = {0};
    cst_code code = csti_pages_count(pages->base, csti_pages_ready(pages), &place, err);

    if (code != CST_OK) return code;
    code = count_huge(pages, &place, err);
    if (code == CST_OK) *place_out = place;
    return code;
}

cst_code csti_pages_verify_node(const csti_pages *pages, int node, cst_err *err) {
    csti_pages_place place = {0};
    cst_code code;

    if (node < 0 || node >= CSTI_PAGES_NODES_MAX)
        return cst_fail(err, CST_NOT_FOUND, "NUMA node %d: no such node", node);
    code = csti_pages_where(pages, &place, err);
    if (code != CST_OK || place.node_bytes[node] == place.ready_bytes) return code;
    for (int other = 0; other < CSTI_PAGES_NODES_MAX; other++)
        if (other != node && place.node_bytes[other] > 0)
            return cst_fail(err, CST_PLACEMENT, "%zu of %zu bytes are on NUMA node %d, not on %d",
                            place.node_bytes[other], place.ready_bytes, other, node);
    return cst_fail(err, CST_PLACEMENT, "%zu of %zu bytes are not in memory", place.absent_bytes,
                    place.ready_bytes);
}

// ---- Blocks -------------------------------------------------------------------------------------

void *csti_pages_block(size_t bytes) {
    const bool large = bytes >= CSTI_HUGEPAGE_BYTES;
    void *block = NULL;

    if (posix_memalign(&block, large ? CSTI_HUGEPAGE_BYTES : 64, bytes > 0 ? bytes : 1) != 0)
        return NULL;
    // Without huge pages it is slower, and nothing else.
    if (large)
        (void)madvise(block, bytes / CSTI_HUGEPAGE_BYTES * CSTI_HUGEPAGE_BYTES, MADV_HUGEPAGE);
    return block;
}
