// verb_device_place.c: of `constellation device probe`, which nodes this machine has, and on which
// of them a buffer of the device lies.
#include "base/pages.h"
#include "base/topology.h"
#include "cli/cli.h"

#include <inttypes.h>
#include <string.h>

enum { BUFFER_BYTES = 4 << 20 };

typedef struct placement {
    csti_topology machine;
    int32_t node; // the device's
    csti_pages_place place;
    cst_code code; // of the buffer, or of the question where it is
    cst_err err;
} placement;

static size_t misplaced_bytes(const placement *p) {
    return p->node < 0
               ? 0
               : p->place.ready_bytes - p->place.absent_bytes - p->place.node_bytes[p->node];
}

static void print_nodes(const placement *p) {
    for (uint32_t n = 0; n < p->machine.nodes_count; n++) {
        const csti_topology_node *node = &p->machine.nodes[n];

        printf("%-14s %d: %" PRIu32 " processors, %" PRIu64 " MiB\n", n == 0 ? "nodes here" : "",
               node->number, node->cpus_count, node->memory_bytes >> 20);
    }
}

static void print_buffer(const placement *p) {
    if (p->code != CST_OK) {
        printf("buffer         %s\n", p->err.text);
        return;
    }
    printf("buffer         %zu KiB", p->place.ready_bytes >> 10);
    for (int node = 0; node < CSTI_PAGES_NODES_MAX; node++)
        if (p->place.node_bytes[node] > 0)
            printf(", %zu KiB on node %d", p->place.node_bytes[node] >> 10, node);
    if (p->node >= 0) printf(", %zu KiB misplaced", misplaced_bytes(p) >> 10);
    putchar('\n');
}

static void print_json(const placement *p) {
    const char *comma = "";

    fputs(",\"nodes\":[", stdout);
    for (uint32_t n = 0; n < p->machine.nodes_count; n++) {
        const csti_topology_node *node = &p->machine.nodes[n];

        printf("%s{\"node\":%d,\"processors\":%" PRIu32 ",\"memory_bytes\":%" PRIu64 "}",
               n == 0 ? "" : ",", node->number, node->cpus_count, node->memory_bytes);
    }
    fputs("],\"buffer\":{", stdout);
    if (p->code != CST_OK) {
        fputs("\"why\":", stdout);
        cli_json_text(stdout, p->err.text, strlen(p->err.text));
        putchar('}');
        return;
    }
    printf("\"bytes\":%zu,\"misplaced_bytes\":%zu,\"node_bytes\":{", p->place.ready_bytes,
           misplaced_bytes(p));
    for (int node = 0; node < CSTI_PAGES_NODES_MAX; node++) {
        if (p->place.node_bytes[node] == 0) continue;
        printf("%s\"%d\":%zu", comma, node, p->place.node_bytes[node]);
        comma = ",";
    }
    fputs("}}", stdout);
}

static void buffer_place(cst_device *device, placement *p) {
    cst_device_buffer buffer = {0};

    p->code = cst_device_buffer_alloc(device, BUFFER_BYTES, &buffer, &p->err);
    if (p->code != CST_OK) return;
    p->code = csti_pages_count(buffer.host, buffer.bytes, &p->place, &p->err);
    cst_device_buffer_free(device, &buffer);
}

cst_code cli_device_place(cst_device *device, bool json, cst_err *err) {
    placement p = {0};
    cst_capabilities can;
    const cst_code code = csti_topology_take(NULL, &p.machine, err);

    if (code != CST_OK) return code;
    cst_device_capabilities(device, &can);
    p.node = can.numa_node;
    buffer_place(device, &p);
    if (json) {
        print_json(&p);
        return CST_OK;
    }
    print_nodes(&p);
    print_buffer(&p);
    return CST_OK;
}
