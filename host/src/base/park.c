#define _GNU_SOURCE 1 // syscall
#include "base/park.h"

#include "base/clock.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_SECOND UINT64_C(1000000000)
#define NS_PER_MS UINT64_C(1000000)

// Waits while *word is PARKED, at most until the deadline on CLOCK_MONOTONIC. It may return at any
// time; the caller looks again.
static void futex_wait(_Atomic uint32_t *word, const uint64_t *deadline_ns) {
    const uint64_t at_ns = deadline_ns ? *deadline_ns : 0;
    const struct timespec deadline = {.tv_sec = (time_t)(at_ns / NS_PER_SECOND),
                                      .tv_nsec = (long)(at_ns % NS_PER_SECOND)};

    (void)syscall(SYS_futex, word, FUTEX_WAIT_BITSET_PRIVATE, CSTI_PARK_PARKED,
                  deadline_ns ? &deadline : NULL, NULL, FUTEX_BITSET_MATCH_ANY);
}

static bool take_token(csti_parker *parker, uint32_t otherwise) {
    // Acquire pairs with the release in csti_unpark. TOKEN becomes EMPTY; anything else becomes
    // `otherwise`: only this thread leaves EMPTY or PARKED for anything but TOKEN.
    uint32_t token = CSTI_PARK_TOKEN;
    uint32_t seen;

    if (atomic_compare_exchange_strong_explicit(&parker->state, &token, CSTI_PARK_EMPTY,
                                                memory_order_acquire, memory_order_relaxed))
        return true;
    seen = token;
    if (seen == otherwise) return false;
    if (atomic_compare_exchange_strong_explicit(&parker->state, &seen, otherwise,
                                                memory_order_relaxed, memory_order_relaxed))
        return false;
    // An unpark came between the two.
    assert(seen == CSTI_PARK_TOKEN);
    (void)atomic_exchange_explicit(&parker->state, CSTI_PARK_EMPTY, memory_order_acquire);
    return true;
}

static bool park(csti_parker *parker, const uint64_t *deadline_ns) {
    while (!take_token(parker, CSTI_PARK_PARKED)) {
        if (deadline_ns && csti_clock_now_ns(csti_clock_real()) >= *deadline_ns)
            return take_token(parker, CSTI_PARK_EMPTY);
        futex_wait(&parker->state, deadline_ns);
    }
    return true;
}

void csti_park(csti_parker *parker) {
    (void)park(parker, NULL);
}

bool csti_park_until(csti_parker *parker, uint64_t deadline_ns) {
    return park(parker, &deadline_ns);
}

void csti_unpark(csti_parker *parker) {
    // Release pairs with the acquire in take_token. Always written, also over a token: a thread
    // that takes an older token without seeing this write would not see what came before it.
    const uint32_t before =
        atomic_exchange_explicit(&parker->state, CSTI_PARK_TOKEN, memory_order_release);

    if (before == CSTI_PARK_PARKED)
        (void)syscall(SYS_futex, &parker->state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

cst_code csti_park_fd_open(csti_park_fd *parker, cst_err *err) {
    const int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    if (fd < 0) return cst_fail(err, CST_IO, "eventfd: %s", strerror(errno));
    parker->fd = fd;
    return CST_OK;
}

void csti_park_fd_close(csti_park_fd *parker) {
    if (parker->fd < 0) return;
    (void)close(parker->fd);
    parker->fd = -1;
}

bool csti_park_fd_wait(csti_park_fd *parker, int timeout_ms) {
    const csti_clock *clock = csti_clock_real();
    const uint64_t start_ns = csti_clock_now_ns(clock);
    struct pollfd entry = {.fd = parker->fd, .events = POLLIN};
    int left_ms = timeout_ms;
    uint64_t tokens_count;

    // Ends: poll either says readable, or the time that is left shrinks with each signal.
    for (;;) {
        if (read(parker->fd, &tokens_count, sizeof tokens_count) == (ssize_t)sizeof tokens_count)
            return true;
        if (left_ms == 0) return false;
        (void)poll(&entry, 1, left_ms);
        if (timeout_ms > 0) {
            const uint64_t past_ms = (csti_clock_now_ns(clock) - start_ns) / NS_PER_MS;
            left_ms = past_ms >= (uint64_t)timeout_ms ? 0 : timeout_ms - (int)past_ms;
        }
    }
}

void csti_park_fd_wake(csti_park_fd *parker) {
    const uint64_t one = 1;
    // EAGAIN: the counter is full, so the token is there.
    const ssize_t written = write(parker->fd, &one, sizeof one);
    (void)written;
}
