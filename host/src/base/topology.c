#define _GNU_SOURCE 1 // sched_setaffinity, getcpu
#include "base/topology.h"

#include <assert.h>
#include <errno.h>
#include <hwloc.h>
#include <sched.h>
#include <stdbool.h>
#include <string.h>

// A processor unit's place among the units of its core, as a count of those before it.
static int thread_of(hwloc_topology_t topology, hwloc_obj_t core, hwloc_obj_t unit) {
    int before_count = 0;
    hwloc_obj_t other = NULL;

    if (!core) return 0;
    while ((other = hwloc_get_next_obj_inside_cpuset_by_type(topology, core->cpuset, HWLOC_OBJ_PU,
                                                             other)) != NULL &&
           other != unit)
        before_count++;
    return before_count;
}

static cst_code add_cpus(hwloc_topology_t topology, hwloc_obj_t memory, csti_topology *made,
                         cst_err *err) {
    csti_topology_node *node = &made->nodes[made->nodes_count];
    hwloc_obj_t unit = NULL;

    *node = (csti_topology_node){.number = (int)memory->os_index,
                                 .memory_bytes = memory->attr->numanode.local_memory,
                                 .first_cpu = made->cpus_count};
    // A node without processors (memory only) is listed with none.
    while ((unit = hwloc_get_next_obj_inside_cpuset_by_type(topology, memory->cpuset, HWLOC_OBJ_PU,
                                                            unit)) != NULL) {
        hwloc_obj_t core = hwloc_get_ancestor_obj_by_type(topology, HWLOC_OBJ_CORE, unit);

        if (made->cpus_count == CSTI_TOPOLOGY_CPUS_MAX)
            return cst_fail(err, CST_LIMIT, "processors: more than %d", CSTI_TOPOLOGY_CPUS_MAX);
        made->cpus[made->cpus_count++] = (csti_topology_cpu){
            .number = (int)unit->os_index,
            .node = node->number,
            .core = (int)(core ? core->logical_index : unit->logical_index),
            .thread = thread_of(topology, core, unit),
        };
        node->cpus_count++;
    }
    made->nodes_count++;
    return CST_OK;
}

// What taskset and its like leave; hwloc itself heeds cpusets alone.
static cst_code restrict_to_affinity(hwloc_topology_t topology, cst_err *err) {
    hwloc_bitmap_t allowed = hwloc_bitmap_alloc();
    cst_code code = CST_OK;

    if (!allowed) return cst_fail(err, CST_NO_MEMORY, "topology: hwloc");
    if (hwloc_get_cpubind(topology, allowed, HWLOC_CPUBIND_THREAD) != 0 ||
        hwloc_topology_restrict(topology, allowed, 0) != 0)
        code = cst_fail(err, CST_IO, "processors of this process: %s", strerror(errno));
    hwloc_bitmap_free(allowed);
    return code;
}

static cst_code load(hwloc_topology_t topology, const char *synthetic, cst_err *err) {
    if (synthetic && hwloc_topology_set_synthetic(topology, synthetic) != 0)
        return cst_fail(err, CST_PARSE, "topology \"%s\": hwloc cannot read it", synthetic);
    if (hwloc_topology_load(topology) != 0)
        return cst_fail(err, CST_IO, "topology of this machine: %s", strerror(errno));
    return synthetic ? CST_OK : restrict_to_affinity(topology, err);
}

cst_code csti_topology_take(const char *synthetic, csti_topology *out, cst_err *err) {
    hwloc_topology_t topology = NULL;
    cst_code code = CST_OK;
    int nodes_count;

    if (hwloc_topology_init(&topology) != 0) return cst_fail(err, CST_NO_MEMORY, "topology: hwloc");
    code = load(topology, synthetic, err);
    if (code != CST_OK) goto done;
    nodes_count = hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_NUMANODE);
    assert(nodes_count >= 1); // hwloc 2 makes one where the system has none
    if (nodes_count > CSTI_TOPOLOGY_NODES_MAX) {
        code = cst_fail(err, CST_LIMIT, "NUMA nodes: %d, at most %d", nodes_count,
                        CSTI_TOPOLOGY_NODES_MAX);
        goto done;
    }

    out->nodes_count = 0;
    out->cpus_count = 0;
    for (int i = 0; i < nodes_count && code == CST_OK; i++) {
        hwloc_obj_t memory = hwloc_get_obj_by_type(topology, HWLOC_OBJ_NUMANODE, (unsigned)i);
        code = add_cpus(topology, memory, out, err);
    }
done:
    hwloc_topology_destroy(topology);
    return code;
}

const csti_topology_cpu *csti_topology_turn(const csti_topology *topology, uint32_t turn) {
    uint32_t left = topology->cpus_count ? turn % topology->cpus_count : 0;

    for (int second = 0; second < 2; second++)
        for (uint32_t c = 0; c < topology->cpus_count; c++) {
            const csti_topology_cpu *cpu = &topology->cpus[c];

            if ((cpu->thread > 0) == second && left-- == 0) return cpu;
        }
    return NULL;
}

cst_code csti_topology_current_node(int *node_out, cst_err *err) {
    unsigned cpu, node;

    if (getcpu(&cpu, &node) != 0)
        return cst_fail(err, CST_IO, "current NUMA node: %s", strerror(errno));
    *node_out = (int)node;
    return CST_OK;
}

cst_code csti_thread_pin(int cpu, cst_err *err) {
    cpu_set_t wanted;
    int now;

    if (cpu < 0 || cpu >= CPU_SETSIZE)
        return cst_fail(err, CST_NOT_FOUND, "processor %d: no such processor", cpu);
    CPU_ZERO(&wanted);
    CPU_SET((unsigned)cpu, &wanted);
    if (sched_setaffinity(0, sizeof wanted, &wanted) != 0) {
        if (errno == EINVAL)
            return cst_fail(err, CST_NOT_FOUND, "processor %d: none that this process may use",
                            cpu);
        return cst_fail(err, CST_IO, "processor %d: %s", cpu, strerror(errno));
    }
    // The kernel moves the thread before the call returns; anything else is a lying sandbox.
    now = sched_getcpu();
    if (now != cpu)
        return cst_fail(err, CST_PLACEMENT, "thread pinned to processor %d runs on %d", cpu, now);
    return CST_OK;
}
