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
//            description, a card's name), CST_IO, CST_NOT_FOUND (no such processor or card),
//            CST_PLACEMENT.
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

// The processor of a turn: of `node`, or, where that is -1 or has none, of any node. Turns are
// dealt over the nodes one by one; on each a thread of each core comes first, then the cores' other
// threads; behind the last they begin again:
//
//   node:2 core:2 pu:2   turn  0 1 2 3 4 5 6 7 8
//                         cpu  0 4 2 6 1 5 3 7 0       of node 0 1 0 1 0 1 0 1 0
//
// NULL: there is no processor at all.
const csti_topology_cpu *csti_topology_turn(const csti_topology *topology, int node, uint32_t turn);
// How many turns there are before they begin again.
uint32_t csti_topology_turns(const csti_topology *topology, int node);

// Where a thread of the turn runs, and where its memory is to come from, if it works with a device
// on device_node (-1: one that is on none): both on that node; without processors there, its memory
// alone; without that node, both on a node of the turn's. Of a machine with one node none is asked
// for.
typedef struct csti_topology_place {
    int cpu, node; // -1: wherever
} csti_topology_place;
csti_topology_place csti_topology_place_of(const csti_topology *topology, int device_node,
                                           uint32_t turn);

// NULL: this process may not use it, or it is not there.
const csti_topology_node *csti_topology_node_of(const csti_topology *topology, int node);

// The node that a PCIe card is nearest to, as the system knows it; -1: it does not say, or all
// nodes are as near. `bdf` is as lspci has it, "3b:00.1" or "0000:3b:00.1"; `sysfs` is CSTI_SYSFS,
// or another tree of its form. CST_PARSE: no such form, or the file has no number; CST_NOT_FOUND:
// no such card; CST_LIMIT: a node that there is no room for; CST_IO.
#define CSTI_SYSFS "/sys"
CST_CHECK_RESULT cst_code csti_topology_card_node(const char *sysfs, const char *bdf, int *node_out,
                                                  cst_err *err);

// The node of the processor that the calling thread runs on now; it may move unless pinned.
CST_CHECK_RESULT cst_code csti_topology_current_node(int *node_out, cst_err *err);
// The calling thread runs on this processor only, from now on.
CST_CHECK_RESULT cst_code csti_thread_pin(int cpu, cst_err *err);

#endif
