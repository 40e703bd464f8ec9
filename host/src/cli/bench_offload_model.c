// bench_offload_model.c: what a card would take, by figures of cards and the circuit's own clocks.
//
//   a batch alone      host ─► launch ─► to the card ─► circuit ─► from the card, in commands of
//                      4,096 rows: one crosses while another is in the circuit
//   many in flight     each of them works on another batch: the slowest one says how many
//
// Nothing of this was measured on a card of ours. Each input is printed with its source.
#include "cli/bench_offload.h"

#include <inttypes.h>
#include <math.h>
#include <memory/parameters.h>
#include <string.h>

enum {
    COMMAND_ROWS = 4096, // that cross at once: docs/hardware.md, The simulated card
    UNIT_CHANNELS = 16,  // of the image, of a unit
    CARD_CHANNELS = 32,  // of a U55C
};

// As bench_card.c has it: Vitis_Accel_Examples, random reads of 64 bytes, U50.
#define CHANNEL_ACCESSES_PER_S 180e6

const uint32_t offload_launches_us[OFFLOAD_LAUNCHES] = {0, 20, 50, 100};

static double larger(double a, double b) {
    return a > b ? a : b;
}

// A batch goes in commands, and while one is in the circuit the next one crosses.
double offload_alone_ns(const offload_modelled *t, double kernel_ns) {
    const double slowest = larger(larger(t->host, t->transfer), larger(kernel_ns, t->result));
    const double once = t->host + t->transfer + kernel_ns + t->result;

    return t->launch + (once + (t->commands - 1) * slowest) / t->commands;
}

offload_modelled offload_model(const offload_run *alone, const offload_run *flight, double host_ns,
                               double clock_mhz, uint32_t launch_us) {
    const cst_sim_pcie_parameters pcie = cst_sim_pcie_gen3x16();
    const double commands = ceil((double)alone->rows / alone->batches / COMMAND_ROWS);
    const double to_bytes = (double)alone->to_bytes / alone->batches;
    const double from_bytes = (double)alone->from_bytes / alone->batches;
    offload_modelled t = {.host = host_ns,
                          .launch = launch_us * 1e3,
                          .commands = commands,
                          .bound = "circuit"};

    t.transfer =
        commands * (double)pcie.descriptor_ps / 1e3 + to_bytes * 1e3 / (double)pcie.to_card_mb_s;
    t.kernel = (double)alone->cycles / alone->batches * 1e3 / clock_mhz;
    t.result = commands * (double)pcie.access_ps / 1e3 +
               from_bytes * 1e3 / (double)pcie.write_mb_s + (double)pcie.trip_ps / 1e3;
    t.alone = offload_alone_ns(&t, t.kernel);
    t.apart = (double)flight->cycles / (flight->batches - 1) * 1e3 / clock_mhz;
    if (t.transfer > t.apart) t.apart = t.transfer, t.bound = "PCIe";
    if (t.host > t.apart) t.apart = t.host, t.bound = "host";
    if (launch_us > 0) { // commands of XRT are queued, and as many as a queue is deep are under way
        const double between = larger((double)pcie.command_ps / 1e3, t.alone / OFFLOAD_DEPTH);

        if (between > t.apart) t.apart = between, t.bound = "launch";
    }
    return t;
}

// ---- Inputs -------------------------------------------------------------------------------------

static void print_input(bench *b, const char *name, double value, const char *what,
                        const char *source) {
    const bench_params none = {0};
    char fields[320];

    (void)snprintf(fields, sizeof fields, "\"value\":%.10g,\"what\":\"%s\",\"source\":\"%s\"",
                   value, what, source);
    bench_numbers(b, "offload.input", &none, name, fields);
}

void offload_print_inputs(bench *b, double clock_mhz) {
    const cst_sim_parameter *table = NULL;
    const size_t count = cst_sim_parameters(&table);

    for (size_t i = 0; i < count; i++)
        if (strcmp(table[i].model, "pcie") == 0)
            print_input(b, table[i].name, (double)table[i].value, table[i].what, table[i].source);
    print_input(b, "clock_mhz", clock_mhz, "the circuit's",
                "UG1393: the platforms' default; not placed");
    print_input(b, "channel_accesses_per_s", CHANNEL_ACCESSES_PER_S,
                "64 bytes at random, a channel of HBM2", "VAE hbm_bandwidth_pseudo_random, U50");
    print_input(b, "unit_channels", UNIT_CHANNELS, "of HBM2, that a unit's image lies over",
                "the circuit");
    print_input(b, "card_channels", CARD_CHANNELS, "of HBM2, of a U55C", "UG1120");
    print_input(b, "depth", OFFLOAD_DEPTH, "batches in flight", "own choice");
}

// ---- What bounds a card -------------------------------------------------------------------------

typedef struct bounds {
    double pipeline, circuit, hbm, dma, reads,
        packed; // rows a second, 0: no bound; `packed`: without a form around them
} bounds;

static bounds bounds_of(const offload_run *run, const cst_schema *schema, double clock_mhz) {
    const cst_sim_pcie_parameters pcie = cst_sim_pcie_gen3x16();
    const double commands = ceil((double)run->rows / run->batches / COMMAND_ROWS) * run->batches;
    const double row_bytes = (double)run->to_bytes / (double)run->rows;
    const double accesses = (double)run->accesses / (double)run->rows;
    const double counted = (double)run->rows / run->batches * (run->batches - 1);
    const double dma_ns = (double)run->to_bytes * 1e3 / (double)pcie.to_card_mb_s +
                          commands * (double)pcie.descriptor_ps / 1e3;

    return (bounds){
        .pipeline = clock_mhz * 1e6,
        .circuit = counted / (double)run->cycles * clock_mhz * 1e6,
        .hbm = accesses > 0.01 ? UNIT_CHANNELS * CHANNEL_ACCESSES_PER_S / accesses : 0,
        .dma = (double)run->rows * 1e9 / dma_ns,
        .reads = (double)pcie.read_mb_s * 1e6 / row_bytes,
        .packed = (double)pcie.read_mb_s * 1e6 / offload_row_bytes(schema),
    };
}

static const char *bound_name(const bounds *is, double pcie) {
    const double memory = is->hbm > 0 ? is->hbm : INFINITY;

    if (pcie <= memory && pcie <= is->circuit) return "PCIe";
    if (memory < is->pipeline) return "HBM";
    // Memory would give more than the circuit takes: what is lost waits for it all the same.
    return is->circuit < 0.95 * is->pipeline ? "pipeline, waiting for HBM" : "pipeline";
}

void offload_print_model(bench *b, const char *device, const char *workload,
                         const cst_schema *schema, const offload_run *run, double clock_mhz) {
    const bounds is = bounds_of(run, schema, clock_mhz);
    const double unit = is.hbm > 0 && is.hbm < is.circuit ? is.hbm : is.circuit;
    bench_params params = {0};
    char fields[1024];
    int used;

    bench_params_text(&params, "workload", workload);
    bench_params_u64(&params, "row_bytes", offload_row_bytes(schema));
    used = snprintf(fields, sizeof fields,
                    "\"crossing_bytes\":%.4g,\"accesses\":%.3g,\"rows_per_clock\":%.3f,"
                    "\"pipeline_rows_per_s\":%.4g,\"circuit_rows_per_s\":%.4g",
                    (double)run->to_bytes / (double)run->rows,
                    (double)run->accesses / (double)run->rows, is.circuit / is.pipeline,
                    is.pipeline, is.circuit);
    if (is.hbm > 0)
        used += snprintf(fields + used, sizeof fields - (size_t)used, ",\"hbm_rows_per_s\":%.4g",
                         is.hbm);
    (void)snprintf(fields + used, sizeof fields - (size_t)used,
                   ",\"dma_rows_per_s\":%.4g,\"kernel_read_rows_per_s\":%.4g,"
                   "\"packed_rows_per_s\":%.4g,\"units_fed_by_dma\":%.2f,"
                   "\"units_fed_by_kernel_reads\":%.2f,\"units_fed_packed\":%.2f,"
                   "\"units_of_hbm\":%d,\"bound_by_dma\":\"%s\",\"bound_by_kernel_reads\":\"%s\","
                   "\"simulated\":true,\"cycles\":%" PRIu64 ",\"clock_mhz\":%g",
                   is.dma, is.reads, is.packed, is.dma / unit, is.reads / unit, is.packed / unit,
                   CARD_CHANNELS / UNIT_CHANNELS, bound_name(&is, is.dma),
                   bound_name(&is, is.reads), run->cycles, clock_mhz);
    bench_numbers(b, "offload.model", &params, device, fields);
}
