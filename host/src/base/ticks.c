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

    for (uint64_t i = 0; i < cycles; i += 16) {
#if defined(__x86_64__)
        // Between registers: some cores fold adds of a constant.
        __asm__ volatile(".rept 16\n\tadd %1, %0\n\t.endr" : "+r"(sum) : "r"(step));
#else
        __asm__ volatile("" : "+r"(sum));
        sum += 16 * step;
#endif
    }
    return sum;
}
