// session_timers.h: when to look at a session again: a radix heap of times.
//
//   base 1000   buckets by the highest bit in which a time differs from it
//               [1000] [1001] [101x] [11xx] [0xxx: none, times are not before base] ...
//
//   the least time of the first bucket that has any becomes the base, when it is due; what was in
//   that bucket goes to lower ones, some at a time. So a time moves down a few dozen times at most,
//   in runs of memory, where a heap of a million times misses the caches at each of its levels.
//
//   bucket ──► chunk │ 255 times │ ──► chunk │ 255 times │       chunks that are empty are any
//                                                               bucket's
//
// Promises   a time comes when it is due and not before. Put is O(1). A step takes one time out, or
//            moves 64 of them. Memory is as much as there ever were times, and a chunk a bucket.
// Thread     its partition's.
// Ring       1: it allocates.
// Owner      what a time is of is borrowed, and never looked at.
// Errors     NO_MEMORY: of put, nothing was put.
#ifndef CST_STREAM_SESSION_TIMERS_H
#define CST_STREAM_SESSION_TIMERS_H

#include <constellation/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CSTI_TIMER_BUCKETS = 65 };

typedef struct csti_timer {
    int64_t due_us;
    void *of;
} csti_timer;

typedef struct csti_timer_chunk csti_timer_chunk;

typedef struct csti_timer_list {
    csti_timer_chunk *first; // the others are full
    uint32_t first_count;
    uint64_t count;
    int64_t least_us; // with a count
} csti_timer_list;

typedef struct csti_timers {
    int64_t base_us; // no time is before it
    csti_timer_list buckets[CSTI_TIMER_BUCKETS];
    csti_timer_list moving; // out of a bucket into lower ones
    uint32_t moved;         // of the step under way
    csti_timer_chunk *kept; // empty
    uint64_t chunks_count;  // that are not
} csti_timers;

void csti_timers_open(csti_timers *timers);
void csti_timers_close(csti_timers *timers);

// Not before a time that was asked for (csti_timers_take).
CST_CHECK_RESULT cst_code csti_timers_put(csti_timers *timers, csti_timer put, cst_err *err);
// Whether a time is due, nearly: one that is not may stand among those that are moving.
bool csti_timers_are_due(const csti_timers *timers, int64_t now_us);
// Takes the next time that is due out. *out.of NULL: none is, or *steps came to 0.
CST_CHECK_RESULT cst_code csti_timers_take(csti_timers *timers, int64_t now_us, uint32_t *steps,
                                           csti_timer *out, cst_err *err);

uint64_t csti_timers_bytes(const csti_timers *timers); // not what is kept for others

#endif
