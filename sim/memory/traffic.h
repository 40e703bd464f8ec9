// traffic.h: accesses played into a simulated memory, and how long they took.
//
//   port p: [read 64 at a0] [write 64 at a1] ... at most `outstanding` of a kind unanswered
//
// Used by the calibration and by tests. Bytes that are read are not looked at.
#ifndef CST_SIM_TRAFFIC_H
#define CST_SIM_TRAFFIC_H

#include "memory/memory.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum cst_sim_pattern {
    CST_SIM_SEQUENTIAL,
    CST_SIM_STRIDE, // every access `stride_bytes` further
    CST_SIM_RANDOM, // aligned to its own size
} cst_sim_pattern;

typedef struct cst_sim_traffic {
    cst_sim_pattern pattern;
    uint32_t bytes;        // of an access: a multiple of the beat
    uint64_t stride_bytes; // CST_SIM_STRIDE
    uint64_t span_bytes;   // each port has so much for itself; a power of two
    uint64_t port_bytes;   // and begins so much behind the one before
    uint32_t reads_in_256; // 256: nothing but reads
    uint32_t outstanding;  // a port, reads and writes each
    uint32_t accesses;     // a port
    uint64_t seed;
} cst_sim_traffic;

typedef struct cst_sim_played {
    uint64_t cycles;
    double accesses_per_us; // millions a second, all ports
    double gb_per_s;
    double latency_ns; // from address to last answer, the median
} cst_sim_played;

// Into all ports of a memory. Returns when all are answered.
cst_sim_played cst_sim_play(cst_sim_memory *memory, const cst_sim_memory_config *config,
                            const cst_sim_traffic *traffic);

#ifdef __cplusplus
}
#endif

#endif
