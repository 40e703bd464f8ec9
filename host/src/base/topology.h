// topology.h: which processors are near which memory, and where a thread runs.
//
//   nodes   [ 0: 16 GiB ] [ 1: 16 GiB ]                          as the system numbers them
//   cpus    [ 0: node 0, core 0, thread 0 ] [ 8: node 0, core 0, thread 1 ] ...
//           in the order of nodes, then cores, then a core's threads
//
// A description is taken once and is a plain value; hwloc reads the machine, and is not needed
// afterwards. Tests pass hwloc's synthetic form instead: "node:2 core:4 pu:2".
//
// Promises   only processors that the calling thread may use are listed (cpusets, containers,
//            sched_setaffinity).
//            csti_thread_pin has looked where it runs when it says success.
// Thread     the value is constant once taken; pin and current are about the calling thread.
// Ring       1, 2. csti_topology_current_node: a call without a system call on most machines.
// Errors     CST_LIMIT (more nodes or processors than there is room for), CST_PARSE (a synthetic
//            description), CST_IO, CST_NOT_FOUND (no such processor), CST_PLACEMENT.
#ifndef CST_BASE_TOPOLOGY_H
#define CST_BASE_TOPOLOGY_H

#include <constellation/error.h>
#include <stdint.h>

enum { CSTI_TOPOLOGY_NODES_MAX = 64, CSTI_TOPOLOGY_CPUS_MAX = 1024 };

typedef struct csti_topology_node {
    int number;            // what csti_pages_options.numa_node takes
    uint64_t memory_bytes; // 0: the system does not say
    uint32_t first_cpu;    // into cpus
    uint32_t cpus_count;
} csti_topology_node;

typedef struct csti_topology_cpu {
    int number; // what csti_thread_pin takes
    int node;   // its node's number
    int core;   // threads of one core have the same one
    int thread; // 0: the first of its core. Owners of partitions want one of these each
} csti_topology_cpu;

typedef struct csti_topology {
    uint32_t nodes_count; // at least 1
    uint32_t cpus_count;
    csti_topology_node nodes[CSTI_TOPOLOGY_NODES_MAX];
    csti_topology_cpu cpus[CSTI_TOPOLOGY_CPUS_MAX];
} csti_topology;

// synthetic: NULL for this machine.
CST_CHECK_RESULT cst_code csti_topology_take(const char *synthetic, csti_topology *out,
                                             cst_err *err);

// The processor of the turn: a thread of each core first, then the cores' other threads, then from
// the first again. NULL: there is none at all.
const csti_topology_cpu *csti_topology_turn(const csti_topology *topology, uint32_t turn);

// The node of the processor that the calling thread runs on now; it may move unless pinned.
CST_CHECK_RESULT cst_code csti_topology_current_node(int *node_out, cst_err *err);
// The calling thread runs on this processor only, from now on.
CST_CHECK_RESULT cst_code csti_thread_pin(int cpu, cst_err *err);

#endif
