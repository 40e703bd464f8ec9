// bench_rtl.c: the models that simulated devices stand on: their parameters, and with --calibrate
// what traffic finds in them beside what was measured on cards; and, where this build has it, the
// circuit on the simulated card (bench_card.c). Simulated time throughout.
#include "cli/bench.h"

#include <inttypes.h>
#include <math.h>
#include <memory/calibrate.h>

static const char *const unit_names[] = {"latency_ns", "gb_per_s", "millions_per_s"};

static const char *name_of(const char *model, char name[32]) {
    (void)snprintf(name, 32, "rtl.%s", model);
    return name;
}

static void print_parameters(bench *b) {
    const cst_sim_parameter *table = NULL;
    const size_t count = cst_sim_parameters(&table);

    for (size_t i = 0; i < count; i++) {
        bench_params params = {0};
        char name[32], fields[256];

        if (!bench_wanted(b, name_of(table[i].model, name))) continue;
        bench_params_text(&params, "parameter", table[i].name);
        (void)snprintf(fields, sizeof fields,
                       "\"value\":%" PRIu64 ",\"what\":\"%s\",\"source\":\"%s\"", table[i].value,
                       table[i].what, table[i].source);
        bench_numbers(b, name, &params, "parameter", fields);
    }
}

typedef struct calibration {
    bench *b;
    uint32_t off; // figures that are too far from what was published
    char worst[96];
} calibration;

static void print_figure(void *context, const cst_sim_figure *figure) {
    calibration *c = context;
    const double off = cst_sim_off_percent(figure);
    bench_params params = {0};
    char name[32], fields[480];
    int used;

    if (!bench_wanted(c->b, name_of(figure->model, name))) return;
    bench_params_text(&params, "traffic", figure->what);
    bench_params_u64(&params, "bytes", figure->bytes);
    bench_params_u64(&params, "ports", figure->ports);
    bench_params_u64(&params, "outstanding", figure->outstanding);
    used = snprintf(fields, sizeof fields,
                    "\"latency_ns\":%.1f,\"gb_per_s\":%.4g,\"millions_per_s\":%.4g",
                    figure->latency_ns, figure->gb_per_s, figure->millions_per_s);
    if (figure->published > 0)
        used += snprintf(fields + used, sizeof fields - (size_t)used,
                         ",\"unit\":\"%s\",\"published\":%g,\"off_percent\":%.1f,\"source\":\"%s\"",
                         unit_names[figure->unit], figure->published, off, figure->source);
    if (figure->clock_khz > 0)
        used += snprintf(fields + used, sizeof fields - (size_t)used,
                         ",\"cycles\":%" PRIu64 ",\"clock_mhz\":%g", figure->cycles,
                         figure->clock_khz / 1000.0);
    (void)snprintf(fields + used, sizeof fields - (size_t)used, ",\"simulated\":true");
    bench_numbers(c->b, name, &params, "model", fields);
    if (fabs(off) <= CST_SIM_OFF_PERCENT_MAX) return;
    if (c->off++ == 0)
        (void)snprintf(c->worst, sizeof c->worst, "%s: %s, %.1f%%", figure->model, figure->what,
                       off);
}

cst_code bench_rtl(bench *b, cst_err *err) {
    calibration c = {.b = b};
    cst_code code;

    if (!b->calibrate) {
        const size_t lines_before = b->lines_count;

        print_parameters(b);
        code = bench_card(b, err);
        // A build without Verilator has the models alone.
        return code == CST_UNSUPPORTED && b->lines_count > lines_before ? CST_OK : code;
    }
    code = cst_sim_calibrate(b->seed, print_figure, &c, err);
    if (code == CST_OK && c.off > 0)
        code = cst_fail(err, CST_INTERNAL,
                        "%u figures are more than %d%% off what was published: first %s", c.off,
                        CST_SIM_OFF_PERCENT_MAX, c.worst);
    return code;
}
