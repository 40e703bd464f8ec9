// bench_checkpoint_cost.c: what checkpoints cost a job in which 1% of the keys change from one to
// the next.
//
//   key space   |...[window]..............|   half a hundredth of the keys takes all rows, and
//               |......[window]...........|   slides by its own width from checkpoint to checkpoint
//
// It slides steadily: if it jumped, a jump's cold keys would be met while a checkpoint is in
// flight, and be counted as its cost.
//
// Two jobs take turns: what the one without checkpoints changes is not folded by the one with, so
// that chains grow, and folds follow, as they do where checkpoints never cease.
//
//   checkpoint.rate       rows of a turn with checkpoints, beside a turn of the same job without
//   checkpoint.latency    of blocks, from read to applied: in flight, between, without
//   checkpoint.in_flight  rows a second from barrier to commit over those without; the same of
//                         p99.9
#include "cli/bench_running.h"

#include <inttypes.h>
#include <string.h>

enum { WINDOW_SHARE = 200, ROWS_MADE = 1 << 20 };

typedef struct cost_side {
    bench_running *running;
    bench_turns *turns;
    bool checkpoints;
    bool warm;
} cost_side;

static cst_code cost_round(void *context, double *ns_per_row_out, cst_err *err) {
    cost_side *side = context;
    cst_code code = bench_running_turn(side->running, side->checkpoints,
                                       side->warm ? side->turns : NULL, ns_per_row_out, err);

    side->warm = true;
    // Its changes would fill the memory.
    if (code == CST_OK && !side->checkpoints) code = bench_running_settle(side->running, err);
    return code;
}

static double rate(const bench_turns *turns, bool in_flight) {
    return turns->ns[in_flight]
               ? (double)turns->rows[in_flight] / ((double)turns->ns[in_flight] / 1e9)
               : 0;
}

static void print_latencies(bench *b, const bench_params *params, const char *when,
                            const histogram *latency_ns) {
    bench_params more = *params;

    bench_params_text(&more, "while", when);
    bench_latencies_ns(b, "checkpoint.latency", &more, "constellation", latency_ns,
                       "\"from\":\"read\",\"until\":\"applied\"");
}

static void print_costs(bench *b, const bench_params *params, const bench_turns *with,
                        const bench_turns *without) {
    const double normal = rate(without, false);
    const double p999 = (double)histogram_percentile(&without->latency_ns[0], 0.999);
    const double p999_flying = (double)histogram_percentile(&with->latency_ns[1], 0.999);
    const double cpu_ns = (double)with->cpu_ns / (double)(with->rows[0] + with->rows[1]);
    const double cpu_ns_without = (double)without->cpu_ns / (double)without->rows[0];
    char fields[480];

    print_latencies(b, params, "a checkpoint is in flight", &with->latency_ns[1]);
    print_latencies(b, params, "between two checkpoints", &with->latency_ns[0]);
    print_latencies(b, params, "no checkpoint is made", &without->latency_ns[0]);
    (void)snprintf(fields, sizeof fields,
                   "\"checkpoints\":%" PRIu64 ",\"folds\":%" PRIu64
                   ",\"flight_share\":%.4g,\"rows_per_s_in_flight\":%.6g,"
                   "\"rows_per_s_without\":%.6g,\"rate_share\":%.4g,"
                   "\"p99.9_in_flight\":%.4g,\"p99.9_without\":%.4g,\"p99.9_ratio\":%.4g,"
                   "\"cpu_ns_per_row\":%.4g,\"cpu_ns_per_row_without\":%.4g,\"cpu_ratio\":%.4g",
                   with->checkpoints, with->folds,
                   (double)with->ns[1] / (double)(with->ns[0] + with->ns[1]), rate(with, true),
                   normal, normal > 0 ? rate(with, true) / normal : 0, p999_flying, p999,
                   p999 > 0 ? p999_flying / p999 : 0, cpu_ns, cpu_ns_without,
                   cpu_ns_without / cpu_ns);
    bench_numbers(b, "checkpoint.in_flight", params, "constellation", fields);
}

static cst_code measure(bench *b, uint64_t entries, cst_err *err) {
    static bench_running running[2];
    static bench_turns with, without;
    cost_side sides[2] = {{&running[0], &with, true, false}, {&running[1], &without, false, false}};
    const bench_side lines[] = {
        {BENCH_OURS, "constellation", cost_round, &sides[0]},
        {BENCH_PEER, "the same job without checkpoints", cost_round, &sides[1]},
    };
    const uint64_t window = entries > WINDOW_SHARE ? entries / WINDOW_SHARE : 1;
    bench_params params = {0};
    const bench_what what = {.name = "checkpoint.rate", .params = &params};
    bench_rows rows;
    cst_code code = bench_rows_make(&rows, b, "uniform", window, ROWS_MADE, err);
    bench_running_options options = {.workload = "uniform",
                                     .entries = entries,
                                     .rows = &rows,
                                     .window = window,
                                     .sink = CSTI_SINK_NONE,
                                     .name = "job-with"};

    if (code != CST_OK) return code;
    code = bench_running_open(&running[0], b, &options, err);
    options.name = "job-without";
    if (code == CST_OK) code = bench_running_open(&running[1], b, &options, err);
    memset(&with, 0, sizeof with);
    memset(&without, 0, sizeof without);
    bench_params_u64(&params, "entries", options.entries);
    bench_params_u64(&params, "key", BENCH_KEY_BYTES);
    bench_params_u64(&params, "aggregates", BENCH_AGGREGATES);
    bench_params_u64(&params, "partitions", b->partitions);
    bench_params_u64(&params, "changed_keys", 2 * window);
    bench_params_u64(&params, "checkpoint_every_us", bench_running_every_us(b));
    if (code == CST_OK) code = bench_compare(b, &what, lines, 2, err);
    if (code == CST_OK) print_costs(b, &params, &with, &without);
    for (int i = 0; i < 2; i++) bench_running_close(&running[i]);
    bench_rows_free(&rows);
    return code;
}

cst_code bench_checkpoint_cost(bench *b, cst_err *err) {
    cst_code code = CST_OK;

    for (size_t i = 0; i < b->sizes_count && code == CST_OK; i++)
        code = measure(b, b->sizes[i], err);
    return code;
}
