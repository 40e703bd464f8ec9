// clock.h: time as a value that is passed in, so that a simulation can own it.
//
//   csti_clock { now_ns, wall_us }          what everybody takes
//     ^-- csti_clock_real()                 the operating system's, a constant
//     ^-- csti_clock_sim.clock              stands still until told to move
//
// now_ns counts from an unspecified start and never goes back: for durations and deadlines.
// wall_us is microseconds since 1970 UTC and may jump either way: for people and file names only.
//
// Promises   now_ns never goes down, in one thread and across threads.
// Thread     any.
// Ring       0: one call through a pointer, no lock, no allocation.
// Owner      a csti_clock is borrowed; the simulated one belongs to the test that made it.
#ifndef CST_BASE_CLOCK_H
#define CST_BASE_CLOCK_H

#include <stdatomic.h>
#include <stdint.h>

typedef struct csti_clock csti_clock;
struct csti_clock {
    uint64_t (*now_ns)(const csti_clock *clock);
    int64_t (*wall_us)(const csti_clock *clock);
};

static inline uint64_t csti_clock_now_ns(const csti_clock *clock) {
    return clock->now_ns(clock);
}
static inline int64_t csti_clock_wall_us(const csti_clock *clock) {
    return clock->wall_us(clock);
}

const csti_clock *csti_clock_real(void);

typedef struct csti_clock_sim {
    csti_clock clock; // first: what is passed on
    _Atomic uint64_t now_ns;
    _Atomic int64_t wall_offset_us; // wall_us = wall_offset_us + now_ns / 1000
} csti_clock_sim;

// now_ns starts at 0.
void csti_clock_sim_init(csti_clock_sim *sim, int64_t wall_us);
// Both times move on together.
void csti_clock_sim_advance(csti_clock_sim *sim, uint64_t elapsed_ns);
// Only the wall clock jumps, back as well: somebody set it.
void csti_clock_sim_step_wall(csti_clock_sim *sim, int64_t step_us);

#endif
