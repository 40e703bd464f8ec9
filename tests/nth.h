// nth.h: makes the Nth allocation fail, for N = 1, 2, 3, ... until the code passes untouched.
//
//   for (uint64_t n = 1;; n++) {
//       nth_fail_at(n);
//       code = thing_open(&thing, &err);
//       if (!nth_end()) break;                  // fewer than n allocations: nothing failed
//       CHECK_CODE(code, CST_NO_MEMORY);        // and look that nothing changed, nothing leaks
//   }
//   CHECK_OK(code);
//
// Include it in one file named *_nth_test.c: those are linked with --wrap for malloc, calloc,
// realloc, aligned_alloc, posix_memalign, strdup and mmap, as called by our own objects. Once
// nth_count_pages() was called, mprotect counts too: what a table's next pages are made ready with.
// What libc
// allocates inside (fopen, hwloc) is not seen. Exactly one allocation fails; later ones succeed, so
// that code that tries again is found out too.
//
// Thread     any thread allocates; one thread counts. An allocation of a background thread counts
//            as well, so its place in the order may vary.
#ifndef CST_NTH_H
#define CST_NTH_H

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/types.h>

static _Atomic uint64_t nth_seen_count;
static _Atomic uint64_t nth_failing; // 0: none

// From here on the nth allocation (from 1) fails; 0: none does, they are only counted.
static inline void nth_fail_at(uint64_t n) {
    atomic_store(&nth_seen_count, 0);
    atomic_store(&nth_failing, n);
}

// Allocations tried since nth_fail_at.
static inline uint64_t nth_count(void) {
    return atomic_load(&nth_seen_count);
}

// Ends the counting of failures. True: the nth allocation came, and failed.
static inline bool nth_end(void) {
    const uint64_t failing = atomic_exchange(&nth_failing, 0);
    return failing != 0 && nth_count() >= failing;
}

static _Atomic bool nth_pages_too;

static inline void nth_count_pages(void) {
    atomic_store(&nth_pages_too, true);
}

static inline bool nth_is_this(void) {
    const uint64_t number = atomic_fetch_add(&nth_seen_count, 1) + 1;
    if (number != atomic_load(&nth_failing)) return false;
    errno = ENOMEM;
    return true;
}

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
void *__real_aligned_alloc(size_t alignment, size_t bytes);
int __real_posix_memalign(void **out, size_t alignment, size_t bytes);
char *__real_strdup(const char *text);
void *__real_mmap(void *at, size_t bytes, int protection, int flags, int file, off_t offset);

void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);
void *__wrap_aligned_alloc(size_t alignment, size_t bytes);
int __wrap_posix_memalign(void **out, size_t alignment, size_t bytes);
char *__wrap_strdup(const char *text);
void *__wrap_mmap(void *at, size_t bytes, int protection, int flags, int file, off_t offset);

int __real_mprotect(void *at, size_t bytes, int protection);
int __wrap_mprotect(void *at, size_t bytes, int protection);

int __wrap_mprotect(void *at, size_t bytes, int protection) {
    if (atomic_load(&nth_pages_too) && nth_is_this()) return -1;
    return __real_mprotect(at, bytes, protection);
}

void *__wrap_malloc(size_t bytes) {
    return nth_is_this() ? NULL : __real_malloc(bytes);
}

void *__wrap_calloc(size_t count, size_t bytes) {
    return nth_is_this() ? NULL : __real_calloc(count, bytes);
}

void *__wrap_realloc(void *old, size_t bytes) {
    return nth_is_this() ? NULL : __real_realloc(old, bytes);
}

void *__wrap_aligned_alloc(size_t alignment, size_t bytes) {
    return nth_is_this() ? NULL : __real_aligned_alloc(alignment, bytes);
}

int __wrap_posix_memalign(void **out, size_t alignment, size_t bytes) {
    return nth_is_this() ? ENOMEM : __real_posix_memalign(out, alignment, bytes);
}

char *__wrap_strdup(const char *text) {
    return nth_is_this() ? NULL : __real_strdup(text);
}

void *__wrap_mmap(void *at, size_t bytes, int protection, int flags, int file, off_t offset) {
    return nth_is_this() ? MAP_FAILED : __real_mmap(at, bytes, protection, flags, file, offset);
}

#endif
