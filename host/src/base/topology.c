#define _GNU_SOURCE 1 // sched_setaffinity, getcpu
#include "base/topology.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <hwloc.h>
#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
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

const csti_topology_node *csti_topology_node_of(const csti_topology *topology, int node) {
    for (uint32_t n = 0; n < topology->nodes_count; n++)
        if (topology->nodes[n].number == node) return &topology->nodes[n];
    return NULL;
}

// The nodes whose processors are meant: [0] up to [1].
static void nodes_meant(const csti_topology *topology, int node, uint32_t bounds[2]) {
    const csti_topology_node *one = node < 0 ? NULL : csti_topology_node_of(topology, node);

    bounds[0] = one && one->cpus_count > 0 ? (uint32_t)(one - topology->nodes) : 0;
    bounds[1] = one && one->cpus_count > 0 ? bounds[0] + 1 : topology->nodes_count;
}

uint32_t csti_topology_turns(const csti_topology *topology, int node) {
    uint32_t bounds[2];
    uint32_t count = 0;

    nodes_meant(topology, node, bounds);
    for (uint32_t n = bounds[0]; n < bounds[1]; n++) count += topology->nodes[n].cpus_count;
    return count;
}

// Of the node's processors that are a core's first thread, or of those that are not, the one with
// so many before it.
static const csti_topology_cpu *
nth_of(const csti_topology *topology, const csti_topology_node *node, int second, uint32_t before) {
    for (uint32_t c = 0; c < node->cpus_count; c++) {
        const csti_topology_cpu *cpu = &topology->cpus[node->first_cpu + c];

        if ((cpu->thread > 0) == second && before-- == 0) return cpu;
    }
    return NULL;
}

const csti_topology_cpu *csti_topology_turn(const csti_topology *topology, int node,
                                            uint32_t turn) {
    const uint32_t turns = csti_topology_turns(topology, node);
    uint32_t left = turns ? turn % turns : 0;
    uint32_t bounds[2];

    nodes_meant(topology, node, bounds);
    for (int second = 0; second < 2; second++)
        for (uint32_t before = 0; before < turns; before++)
            for (uint32_t n = bounds[0]; n < bounds[1]; n++) {
                const csti_topology_cpu *cpu =
                    nth_of(topology, &topology->nodes[n], second, before);

                if (cpu && left-- == 0) return cpu;
            }
    return NULL;
}

csti_topology_place csti_topology_place_of(const csti_topology *topology, int device_node,
                                           uint32_t turn) {
    const csti_topology_cpu *cpu = csti_topology_turn(topology, device_node, turn);
    csti_topology_place place = {.cpu = cpu ? cpu->number : -1, .node = -1};

    if (csti_topology_node_of(topology, device_node))
        place.node = device_node;
    else if (cpu && topology->nodes_count > 1)
        place.node = cpu->node;
    return place;
}

// ---- Cards --------------------------------------------------------------------------------------

enum { CARD_NAME_BYTES = 16, CARD_LINE_BYTES = 32 };

// domain:bus:device.function, of four, two, two and one digits; a domain that is left out is 0.
static cst_code card_name(const char *bdf, char name[CARD_NAME_BYTES], cst_err *err) {
    static const char form[] = "hhhh:hh:hh.h";
    const size_t form_bytes = sizeof form - 1;
    const size_t domain_bytes = sizeof "hhhh:" - 1;
    const size_t bytes = strlen(bdf);
    bool fits = bytes == form_bytes || bytes == form_bytes - domain_bytes;

    if (fits) {
        (void)snprintf(name, CARD_NAME_BYTES, "%s%s", bytes < form_bytes ? "0000:" : "", bdf);
        for (size_t i = 0; i < form_bytes; i++)
            fits = fits &&
                   (form[i] == 'h' ? isxdigit((unsigned char)name[i]) != 0 : name[i] == form[i]);
        for (size_t i = 0; i < form_bytes; i++) name[i] = (char)tolower((unsigned char)name[i]);
    }
    if (!fits) return cst_fail(err, CST_PARSE, "card \"%.32s\": not of the form 0000:3b:00.1", bdf);
    return CST_OK;
}

cst_code csti_topology_card_node(const char *sysfs, const char *bdf, int *node_out, cst_err *err) {
    char name[CARD_NAME_BYTES];
    char path[PATH_MAX];
    char line[CARD_LINE_BYTES] = "";
    FILE *file = NULL;
    char *end = line;
    long node;
    cst_code code = card_name(bdf, name, err);

    if (code != CST_OK) return code;
    if (snprintf(path, sizeof path, "%s/bus/pci/devices/%s/numa_node", sysfs, name) >=
        (int)sizeof path)
        return cst_fail(err, CST_LIMIT, "card %s: a path of %zu bytes and more", name, sizeof path);
    file = fopen(path, "re");
    if (!file)
        return cst_fail(err, errno == ENOENT ? CST_NOT_FOUND : CST_IO, "card %s: %s: %s", name,
                        path, strerror(errno));
    if (!fgets(line, sizeof line, file) && ferror(file))
        code = cst_fail(err, CST_IO, "card %s: %s: %s", name, path, strerror(errno));
    (void)fclose(file);
    if (code != CST_OK) return code;
    node = strtol(line, &end, 10);
    if (end == line || (*end != '\n' && *end != '\0') || node < -1)
        return cst_fail(err, CST_PARSE, "card %s: %s: no node's number", name, path);
    if (node >= CSTI_TOPOLOGY_NODES_MAX)
        return cst_fail(err, CST_LIMIT, "card %s: NUMA node %ld: at most %d", name, node,
                        CSTI_TOPOLOGY_NODES_MAX - 1);
    *node_out = (int)node;
    return CST_OK;
}

// ---- Threads ------------------------------------------------------------------------------------

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
