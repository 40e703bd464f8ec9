// bench_offload_lines.c: the tables: a heading once, and a line for each device and batch size; the
// same columns as fields of JSON.
#include "cli/bench_offload.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

enum {
    MEASURED = 1 << OFFLOAD_TABLE_MEASURED,
    MODELLED = 1 << OFFLOAD_TABLE_MODELLED,
    HOST = 1 << OFFLOAD_TABLE_HOST
};

typedef struct column {
    const char *field, *heading;
    size_t offset;
    uint32_t tables;
    int width, decimals;
} column;

#define AT(NAME) offsetof(offload_line, NAME)
static const column columns[] = {
    {"ns_per_op", "ns/row", AT(ns_per_op), MEASURED | MODELLED, 9, 2},
    {"ops_per_s", "rows/s", AT(rows_per_s), MEASURED | MODELLED, 11, 0},
    {"p50_us", "p50 us", AT(p50_us), MEASURED | MODELLED, 9, 1},
    {"p99_us", "p99 us", AT(p99_us), MEASURED | MODELLED, 9, 1},
    {"max_us", "max us", AT(max_us), MEASURED | MODELLED, 9, 1},
    {"host_us", "host", AT(host_us), MEASURED | MODELLED, 8, 1},
    {"queue_us", "queue", AT(queue_us), MEASURED | MODELLED, 8, 1},
    {"transfer_us", "transfer", AT(transfer_us), MEASURED | MODELLED, 8, 1},
    {"encode_us", "encode", AT(encode_us), MEASURED, 8, 1},
    {"kernel_us", "kernel", AT(kernel_us), MEASURED | MODELLED, 8, 1},
    {"result_us", "result", AT(result_us), MEASURED | MODELLED, 8, 1},
    {"to_bytes", "B to", AT(to_bytes), MEASURED | MODELLED | HOST, 9, 0},
    {"from_bytes", "B from", AT(from_bytes), MEASURED | MODELLED | HOST, 8, 0},
    {"cycles", "cycles", AT(cycles), MODELLED, 8, 0},
    {"host_ns_per_batch", "host ns/batch", AT(host_ns_per_batch), HOST, 13, 0},
    {"host_ns_per_row", "ns/row", AT(host_ns_per_row), HOST, 8, 2},
};
enum { COLUMNS_COUNT = sizeof columns / sizeof *columns };

static const char *const names[] = {"offload.measured", "offload.modelled", "offload.host"};
static const char *const titles[] = {
    "Measured, by the clock of this machine. Rows a second with 8 batches in flight; times of one\n"
    "batch alone, in microseconds; where its time goes, each part's median.",
    "Modelled: the circuit's clocks, PCIe and launch by figures of cards, the host's part (host) "
    "by\n"
    "the clock of this machine. No card has run this. launch 0: through the kernel's ring.",
    "What the host's part of a back end takes of a processor, without calls into the device's "
    "library.",
};

static double value_of(const offload_line *line, const column *c) {
    double value;

    memcpy(&value, (const char *)line + c->offset, sizeof value);
    return value;
}

static void print_heading(offload_table table) {
    printf("\n%s\n%-12s %-9s %7s", titles[table], "device", "keys", "batch");
    if (table == OFFLOAD_TABLE_MODELLED) printf(" %6s", "launch");
    for (size_t i = 0; i < COLUMNS_COUNT; i++)
        if (columns[i].tables & 1u << table) printf(" %*s", columns[i].width, columns[i].heading);
    puts(table == OFFLOAD_TABLE_MODELLED ? " bound" : "");
}

static void print_people(bench *b, offload_table table, const char *device, const char *workload,
                         uint32_t batch, uint32_t launch_us, const offload_line *line) {
    printf("%-12s %-9s %7u", device, workload, batch);
    if (table == OFFLOAD_TABLE_MODELLED) printf(" %6u", launch_us);
    for (size_t i = 0; i < COLUMNS_COUNT; i++) {
        const double value = value_of(line, &columns[i]);

        if (!(columns[i].tables & 1u << table)) continue;
        if (isnan(value))
            printf(" %*s", columns[i].width, "-");
        else
            printf(" %*.*f", columns[i].width, columns[i].decimals, value);
    }
    if (table == OFFLOAD_TABLE_MODELLED) printf(" %s", line->bound);
    puts("");
    (void)fflush(stdout);
    b->lines_count++;
}

void offload_print(bench *b, offload_table table, const char *device, const char *workload,
                   uint64_t entries, uint32_t batch, uint32_t launch_us, const offload_line *line,
                   bool first) {
    bench_params params = {0};
    char fields[1536];
    int used = 0;

    if (!b->common->json) {
        if (first) print_heading(table);
        print_people(b, table, device, workload, batch, launch_us, line);
        return;
    }
    bench_params_text(&params, "workload", workload);
    bench_params_u64(&params, "entries", entries);
    bench_params_u64(&params, "batch", batch);
    if (table == OFFLOAD_TABLE_MODELLED) bench_params_u64(&params, "launch_us", launch_us);
    for (size_t i = 0; i < COLUMNS_COUNT; i++) {
        const double value = value_of(line, &columns[i]);

        if (!(columns[i].tables & 1u << table) || isnan(value)) continue;
        used += snprintf(fields + used, sizeof fields - (size_t)used, "%s\"%s\":%.*f",
                         used ? "," : "", columns[i].field, columns[i].decimals, value);
    }
    if (table == OFFLOAD_TABLE_MODELLED)
        (void)snprintf(fields + used, sizeof fields - (size_t)used,
                       ",\"bound\":\"%s\",\"clock_mhz\":%g,\"simulated\":true", line->bound,
                       line->clock_mhz);
    bench_numbers(b, names[table], &params, device, fields);
}
