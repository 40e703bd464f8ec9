#include "base/clock.h"

#include <assert.h>
#include <stddef.h>
#include <time.h>

static uint64_t real_now_ns(const csti_clock *clock) {
    struct timespec now;

    (void)clock;
    // Cannot fail: the clock exists and the pointer is good.
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

static int64_t real_wall_us(const csti_clock *clock) {
    struct timespec now;

    (void)clock;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

const csti_clock *csti_clock_real(void) {
    static const csti_clock real = {real_now_ns, real_wall_us};
    return &real;
}

_Static_assert(offsetof(csti_clock_sim, clock) == 0, "a csti_clock * is cast to its simulation");

// Relaxed throughout: the clock orders nothing but itself.
static uint64_t sim_now_ns(const csti_clock *clock) {
    const csti_clock_sim *sim = (const csti_clock_sim *)(const void *)clock;
    return atomic_load_explicit(&sim->now_ns, memory_order_relaxed);
}

static int64_t sim_wall_us(const csti_clock *clock) {
    const csti_clock_sim *sim = (const csti_clock_sim *)(const void *)clock;
    return atomic_load_explicit(&sim->wall_offset_us, memory_order_relaxed) +
           (int64_t)(sim_now_ns(clock) / 1000);
}

void csti_clock_sim_init(csti_clock_sim *sim, int64_t wall_us) {
    sim->clock = (csti_clock){sim_now_ns, sim_wall_us};
    atomic_init(&sim->now_ns, 0);
    atomic_init(&sim->wall_offset_us, wall_us);
}

void csti_clock_sim_advance(csti_clock_sim *sim, uint64_t elapsed_ns) {
    (void)atomic_fetch_add_explicit(&sim->now_ns, elapsed_ns, memory_order_relaxed);
}

void csti_clock_sim_step_wall(csti_clock_sim *sim, int64_t step_us) {
    (void)atomic_fetch_add_explicit(&sim->wall_offset_us, step_us, memory_order_relaxed);
}
