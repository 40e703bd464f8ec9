// calibrate.h: the models against what was measured on cards: traffic in, figures out.
//
//   hbm2, ddr4:  hit, closed, conflict          latency of one access at a time
//                sequential, stride, random  x  32, 64, 128 bytes  x  reads, writes, mixes
//                many channels, through the switch, out of a group
//   pcie:        DMA, a kernel's own accesses, commands
//
// A figure with a published one beside it is right within CST_SIM_OFF_PERCENT_MAX.
//
// Promises   the same seed gives the same figures on any machine. They are of simulated time.
// Thread     any. Errors: CST_NO_MEMORY.
#ifndef CST_SIM_CALIBRATE_H
#define CST_SIM_CALIBRATE_H

#include "memory/memory.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { CST_SIM_OFF_PERCENT_MAX = 15 };

typedef enum cst_sim_unit {
    CST_SIM_LATENCY_NS,
    CST_SIM_GB_PER_S,
    CST_SIM_MILLIONS_PER_S,
} cst_sim_unit;

typedef struct cst_sim_figure {
    const char *model, *what;
    uint32_t bytes, reads_percent, ports, outstanding;
    uint32_t clock_khz; // 0: without a clock (PCIe)
    uint64_t cycles;
    double latency_ns, gb_per_s, millions_per_s;
    cst_sim_unit unit; // of what was published
    double published;  // 0: nobody did
    const char *source;
} cst_sim_figure;

CST_CHECK_RESULT cst_code cst_sim_calibrate(uint64_t seed,
                                            void (*row)(void *context, const cst_sim_figure *),
                                            void *context, cst_err *err);
// How far it is from what was published, in percent of that; 0 where nothing was.
double cst_sim_off_percent(const cst_sim_figure *figure);

#ifdef __cplusplus
}
#endif

#endif
