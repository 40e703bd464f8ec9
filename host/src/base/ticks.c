#include "base/ticks.h"

enum { CALIBRATION_NS = 10 * 1000 * 1000 };

double csti_ticks_per_ns(void) {
    const csti_clock *clock = csti_clock_real();
    const uint64_t from_ns = csti_clock_now_ns(clock);
    const uint64_t from = csti_ticks();
    uint64_t now_ns;

    do now_ns = csti_clock_now_ns(clock);
    while (now_ns - from_ns < CALIBRATION_NS);
    return (double)(csti_ticks() - from) / (double)(now_ns - from_ns);
}

uint64_t csti_ticks_spin_cycles(uint64_t cycles) {
    uint64_t sum = 0;
    uint64_t step = 1;

    // Between registers: some cores fold adds of a constant.
    for (uint64_t i = 0; i < cycles; i += 16) {
        for (int j = 0; j < 16; j++) {
#if defined(__x86_64__)
            __asm__ volatile("add %1, %0" : "+r"(sum) : "r"(step));
#else
            __asm__ volatile("" : "+r"(sum));
            sum += step;
#endif
        }
    }
    return sum;
}
