// pages.h: an address range that is reserved at once and made ready piece by piece, so that the
// thread that owns it never takes a page fault.
//
//   guard   base                     ready_bytes                    reserved_bytes   guard
//   | - - - |########################|. . . . . . . . . . . . . . . . . . . . . . . .| - - - |
//           readable, zeroed, mapped  no access; a touch is SIGSEGV, never a silent fault
//           ----- prepare() moves the border right only -----> one store, release order
//
//   csti_pages pages;
//   code = csti_pages_reserve(&pages, 1u << 30, &(csti_pages_options){.numa_node = -1}, err);
//   code = csti_pages_prepare(&pages, 2u << 20, err);         // any one thread, e.g. a helper
//   if (csti_pages_ready(&pages) >= need) use(pages.base);    // the owner: one load
//
// Huge pages come in whole aligned 2 MiB; a piece that does not fill one gets small pages and keeps
// them, because a later collapse by the kernel would make the owner fault. So prepare in steps of
// 2 MiB where hugepages matter. `numa_node` is a preference: when that node is full, memory comes
// from the next one that has some, and prepare, which asks the kernel about each page that it made
// ready, counts it (csti_pages_misplaced). Without a node, pages come from the node of the thread
// that prepares them, and nothing is asked.
//
// Promises   base never moves; what is ready is zeroed before it is published, and stays ready;
//            no neighbour touches the range: both ends have a guard.
// Thread     one thread at a time prepares; any thread reads csti_pages_ready, and what is below
//            it; reserve and release while nobody else uses the range.
// Ring       0: csti_pages_ready, csti_pages_misplaced and the memory. 1: all the rest.
// Owner      the caller owns the struct; release gives the range back, and may be called twice.
// Errors     CST_NO_MEMORY, CST_LIMIT (past reserved_bytes), CST_NOT_FOUND (no such node):
//            nothing changed.
#ifndef CST_BASE_PAGES_H
#define CST_BASE_PAGES_H

#include <constellation/error.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CSTI_PAGE_BYTES ((size_t)4096)
#define CSTI_HUGEPAGE_BYTES ((size_t)2 << 20)
enum { CSTI_PAGES_NODES_MAX = 64 };
#define CSTI_PAGES_RESERVED_BYTES_MAX ((size_t)1 << 46) // half of a process's 47 bits

typedef struct csti_pages_options {
    int numa_node;  // -1: where the preparing thread runs
    bool hugepages; // ask for them; csti_pages_where says how many there are
    bool dma;       // lock in memory and keep out of forked children; see csti_pages_pinned
} csti_pages_options;

typedef struct csti_pages {
    uint8_t *base;                  // 2 MiB aligned
    size_t reserved_bytes;          // a multiple of a page
    _Atomic size_t ready_bytes;     // written by prepare (release), read by the owner (acquire)
    _Atomic size_t pinned_bytes;    // of those, locked in memory
    _Atomic size_t misplaced_bytes; // of those, not on options.numa_node when they were made ready
    uint8_t *mapping;               // with the guards; NULL: nothing is reserved
    size_t mapping_bytes;
    csti_pages_options options;
    int pin_errno;   // why pinning failed first, or 0; the preparing thread's
    int where_errno; // why the kernel first did not say where pages are, or 0; the same thread's
} csti_pages;

// Where bytes are, by asking the kernel page by page.
typedef struct csti_pages_place {
    size_t ready_bytes;  // asked about, in whole pages
    size_t absent_bytes; // not mapped now: swapped out or never touched
    size_t huge_bytes;   // in huge pages
    size_t node_bytes[CSTI_PAGES_NODES_MAX];
} csti_pages_place;

// NULL options: any node, small pages, not pinned. reserved_bytes is rounded up to a page.
CST_CHECK_RESULT cst_code csti_pages_reserve(csti_pages *pages, size_t reserved_bytes,
                                             const csti_pages_options *options, cst_err *err);
// Makes at least the first ready_bytes ready (rounded up to a page). Less than what is ready
// already is success and does nothing.
CST_CHECK_RESULT cst_code csti_pages_prepare(csti_pages *pages, size_t ready_bytes, cst_err *err);
void csti_pages_release(csti_pages *pages);

// Pairs with the release store in csti_pages_prepare: what it returns may be read and written.
static inline size_t csti_pages_ready(const csti_pages *pages) {
    return atomic_load_explicit(&pages->ready_bytes, memory_order_acquire);
}

// Whether all that is ready is locked in memory. A locked page is never swapped out; a driver
// that does DMA still pins the frames itself.
static inline bool csti_pages_pinned(const csti_pages *pages) {
    const size_t pinned_bytes = atomic_load_explicit(&pages->pinned_bytes, memory_order_acquire);
    return pages->options.dma && pinned_bytes == csti_pages_ready(pages);
}

// Of the ready bytes, those that came from another node than was asked for; 0 where none was asked
// for, and where the kernel does not say. Any thread.
static inline size_t csti_pages_misplaced(const csti_pages *pages) {
    return atomic_load_explicit(&pages->misplaced_bytes, memory_order_relaxed); // a number
}

// Memory that is filled once, 64-byte aligned: of huge pages as far as it fills such, because a
// fault for 4 KiB costs more than to write them. free() takes it. NULL: there is none.
void *csti_pages_block(size_t bytes);

// Any memory of this process: the pages that have a byte of it, with huge_bytes left 0.
// CST_UNSUPPORTED where the kernel (or a container's filter) has no move_pages.
CST_CHECK_RESULT cst_code csti_pages_count(const void *from, size_t bytes,
                                           csti_pages_place *place_out, cst_err *err);
// The same of what is ready here, with huge_bytes.
CST_CHECK_RESULT cst_code csti_pages_where(const csti_pages *pages, csti_pages_place *place_out,
                                           cst_err *err);
// CST_PLACEMENT, with the bytes and the node they are on, unless every ready byte is on `node`.
CST_CHECK_RESULT cst_code csti_pages_verify_node(const csti_pages *pages, int node, cst_err *err);

#endif
