// ticks.h: the processor's own counter, for what is too short for a clock.
//
//   const uint64_t from = csti_ticks();      // what came before is done, what follows not begun
//   ...                                      // (on x86-64; elsewhere it is the clock)
//   ns = (double)(csti_ticks() - from) / csti_ticks_per_ns();
//
// Promises   never goes down in one thread; runs at one rate whatever the core's frequency.
// Thread     any; two threads' ticks are not compared.
// Ring       0: csti_ticks. 1: csti_ticks_per_ns measures for about 10 ms.
#ifndef CST_BASE_TICKS_H
#define CST_BASE_TICKS_H

#include "base/clock.h"

static inline uint64_t csti_ticks(void) {
#if defined(__x86_64__)
    unsigned processor;
    const uint64_t ticks = __builtin_ia32_rdtscp(&processor);

    __builtin_ia32_lfence();
    return ticks;
#else
    return csti_clock_now_ns(csti_clock_real());
#endif
}

double csti_ticks_per_ns(void);

// Adds that each wait for the last, one a cycle: how the core's frequency is found without
// counters. Returns something that depends on them.
uint64_t csti_ticks_spin_cycles(uint64_t cycles);

#endif
