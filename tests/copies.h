// copies.h: what the processor copies out of bytes that a test watches, and out of whose hands they
// leave the process.
//
//   copies_watch(range) ─► what is tested ─► copies.out, copies.in    by memcpy and memmove
//                                            copies.written           given to write() as they lie
//                                            copies.sent              given to libcurl as they lie
//
// Include it in one file named handover_test.c: those are linked with --wrap for memcpy, memmove,
// write and the call that hands a request to libcurl, as called by our own objects. A loop that
// copies word by word is not seen, but where it copies to is neither written nor sent as it lies.
//
// Thread     one watches and reads, with none of the others at work; any copies.
#ifndef CST_COPIES_H
#define CST_COPIES_H

#include "object/s3_exchange.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <sys/types.h>

enum { COPIES_RANGES_MAX = 256 };

static struct {
    cst_bytes ranges[COPIES_RANGES_MAX];
    size_t ranges_count;
    _Atomic uint64_t out, in, written, sent; // bytes of the ranges
} copies;

static inline void copies_watch_nothing(void) {
    copies.ranges_count = 0;
    atomic_store(&copies.out, 0);
    atomic_store(&copies.in, 0);
    atomic_store(&copies.written, 0);
    atomic_store(&copies.sent, 0);
}

static inline void copies_watch(const cst_bytes *ranges, size_t count) {
    copies_watch_nothing();
    for (; copies.ranges_count < count; copies.ranges_count++) {
        if (copies.ranges_count == COPIES_RANGES_MAX) abort();
        copies.ranges[copies.ranges_count] = ranges[copies.ranges_count];
    }
}

// Of [bytes, bytes + count), how many are watched.
static inline uint64_t copies_watched(const void *bytes, size_t count) {
    const uintptr_t from = (uintptr_t)bytes, to = from + count;
    uint64_t watched = 0;

    for (size_t i = 0; i < copies.ranges_count; i++) {
        const uintptr_t first = (uintptr_t)copies.ranges[i].data;
        const uintptr_t end = first + copies.ranges[i].count;

        if (from < end && first < to)
            watched += (to < end ? to : end) - (from > first ? from : first);
    }
    return watched;
}

static inline void copies_note(const void *to, const void *from, size_t count) {
    if (copies.ranges_count == 0) return;
    atomic_fetch_add(&copies.out, copies_watched(from, count));
    atomic_fetch_add(&copies.in, copies_watched(to, count));
}

void *__real_memcpy(void *to, const void *from, size_t count);
void *__real_memmove(void *to, const void *from, size_t count);
ssize_t __real_write(int file, const void *bytes, size_t count);
bool __real_csti_s3_exchange_prepare(csti_s3_exchange *exchange, const char *ca, const char *proxy,
                                     uint64_t left_ms);
void *__wrap_memcpy(void *to, const void *from, size_t count);
void *__wrap_memmove(void *to, const void *from, size_t count);
ssize_t __wrap_write(int file, const void *bytes, size_t count);
bool __wrap_csti_s3_exchange_prepare(csti_s3_exchange *exchange, const char *ca, const char *proxy,
                                     uint64_t left_ms);

void *__wrap_memcpy(void *to, const void *from, size_t count) {
    copies_note(to, from, count);
    return __real_memcpy(to, from, count);
}

void *__wrap_memmove(void *to, const void *from, size_t count) {
    copies_note(to, from, count);
    return __real_memmove(to, from, count);
}

ssize_t __wrap_write(int file, const void *bytes, size_t count) {
    const ssize_t done = __real_write(file, bytes, count);

    if (done > 0) atomic_fetch_add(&copies.written, copies_watched(bytes, (size_t)done));
    return done;
}

bool __wrap_csti_s3_exchange_prepare(csti_s3_exchange *exchange, const char *ca, const char *proxy,
                                     uint64_t left_ms) {
    for (size_t i = 0; i < exchange->ranges_count; i++)
        atomic_fetch_add(&copies.sent,
                         copies_watched(exchange->ranges[i].data, exchange->ranges[i].count));
    return __real_csti_s3_exchange_prepare(exchange, ca, proxy, left_ms);
}

#endif
