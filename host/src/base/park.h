// park.h: one thread sleeps until another wakes it; a wake that comes first is kept.
//
//            unpark                     park
//   EMPTY ------------> TOKEN      EMPTY ------------> PARKED (in the kernel)
//     ^                   |                              |
//     +------ park -------+        TOKEN <-- unpark -----+  and one futex wake
//
//   csti_parker      by futex: for threads that do nothing else but wait
//   csti_park_fd     by eventfd: for threads that wait in poll or epoll for other things too
//
// Any number of wakes before a park are one token. What was written before a wake is seen after
// the park that it ends.
//
// Promises   no wake is lost; unpark makes no system call unless the thread sleeps (futex).
// Thread     one thread parks; any thread unparks. The struct outlives both.
// Ring       unpark: 0 (no lock, no allocation). park: 1.
// Errors     CST_IO where the kernel has no eventfd to give.
#ifndef CST_BASE_PARK_H
#define CST_BASE_PARK_H

#include <constellation/error.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { CSTI_PARK_EMPTY = 0, CSTI_PARK_TOKEN = 1, CSTI_PARK_PARKED = 2 };

typedef struct csti_parker {
    _Atomic uint32_t state;
} csti_parker;

static inline void csti_parker_init(csti_parker *parker) {
    atomic_init(&parker->state, CSTI_PARK_EMPTY);
}
// Returns with the token taken.
void csti_park(csti_parker *parker);
// The same, but gives up at `deadline_ns` of csti_clock_real(); true: the token was taken.
bool csti_park_until(csti_parker *parker, uint64_t deadline_ns);
void csti_unpark(csti_parker *parker);

typedef struct csti_park_fd {
    int fd; // readable while a token is there; -1: closed
} csti_park_fd;

CST_CHECK_RESULT cst_code csti_park_fd_open(csti_park_fd *parker, cst_err *err);
void csti_park_fd_close(csti_park_fd *parker);
// Waits up to timeout_ms (-1: for ever) and takes the token; true: it was there. After another
// poll said that fd is readable, a timeout of 0 takes it.
bool csti_park_fd_wait(csti_park_fd *parker, int timeout_ms);
void csti_park_fd_wake(csti_park_fd *parker);

#endif
