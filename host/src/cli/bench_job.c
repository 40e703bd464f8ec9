// bench_job.c: the whole job beside its own table and beside a store that one would take instead.
//
//   job.rate      ours: source ─► route ─► partitions ─► table, checkpoints to a folder
//                 peers: the table's loops alone; a peer's store in the same loops
//   job.latency   of blocks of rows, from read to applied, in the same turns
//   job.turns     rows a second and core, checkpoints, bytes written, folds
#include "cli/bench_loops.h"

#include <inttypes.h>
#include <string.h>

enum { ROWS_A_KEY = 2, ROWS_MADE_MAX = 1 << 24, FILE_ENTRIES_MAX = 1 << 20 };

typedef struct job_what {
    const char *workload;
    uint64_t entries;
    bool made_before; // rows from memory; else the generator's
    csti_sink_kind sink;
} job_what;

static void params_fill(bench_params *params, const bench *b, const job_what *what) {
    bench_params_u64(params, "entries", what->entries);
    bench_params_u64(params, "key", BENCH_KEY_BYTES);
    bench_params_u64(params, "aggregates", BENCH_AGGREGATES);
    bench_params_u64(params, "partitions", b->partitions);
    bench_params_text(params, "workload", what->workload);
    if (strcmp(what->workload, "zipf") == 0) bench_params_f64(params, "skew", b->skew);
    bench_params_text(params, "rows", what->made_before ? "made before" : "generator");
    bench_params_text(params, "sink", what->sink == CSTI_SINK_FILE ? "file" : "none");
    bench_params_u64(params, "checkpoint_every_us", bench_running_every_us(b));
}

static double per_row(uint64_t ns, uint64_t rows) {
    return rows > 0 ? (double)ns / (double)rows : 0;
}

static void print_turns(bench *b, const bench_running *r, const bench_params *params,
                        const bench_turns *turns, const bench_loops *loops) {
    static histogram latency_ns;
    const double seconds = (double)(turns->ns[0] + turns->ns[1]) / 1e9;
    const uint64_t rows = turns->rows[0] + turns->rows[1];
    const uint64_t uploaded_bytes =
        bench_own_job_counter(&r->own, "constellation_uploaded_bytes_total", "");
    const uint64_t folded_bytes =
        bench_own_job_counter(&r->own, "constellation_folded_bytes_total", "");
    char fields[400];
    int used;

    latency_ns = turns->latency_ns[0];
    histogram_merge(&latency_ns, &turns->latency_ns[1]);
    bench_latencies_ns(b, "job.latency", params, "constellation", &latency_ns,
                       "\"from\":\"read\",\"until\":\"applied\"");
    used = snprintf(fields, sizeof fields,
                    "\"rows\":%" PRIu64 ",\"seconds\":%.4g,\"rows_per_s_a_core\":%.6g,"
                    "\"checkpoints\":%" PRIu64 ",\"folds\":%" PRIu64
                    ",\"uploaded_mb\":%.4g,\"folded_mb\":%.4g,\"cpu_ns_per_row\":%.4g",
                    rows, seconds, (double)rows / seconds / b->partitions, turns->checkpoints,
                    turns->folds, (double)uploaded_bytes / 1e6, (double)folded_bytes / 1e6,
                    per_row(turns->cpu_ns, rows));
    if (loops)
        (void)snprintf(fields + used, sizeof fields - (size_t)used,
                       ",\"table_cpu_ns_per_row\":%.4g,\"cpu_ratio\":%.4g",
                       per_row(loops->table_cpu_ns, loops->table_rows),
                       per_row(loops->table_cpu_ns, loops->table_rows) /
                           per_row(turns->cpu_ns, rows));
    bench_numbers(b, "job.turns", params, "constellation", fields);
}

// `loops`: NULL where the job is measured by itself.
static cst_code measure(bench *b, const job_what *what, const bench_rows *rows, bench_loops *loops,
                        cst_err *err) {
    static bench_running running;
    static bench_turns turns;
    const bench_running_options options = {.workload = what->workload,
                                           .entries = what->entries,
                                           .rows = what->made_before ? rows : NULL,
                                           .sink = what->sink};
    bench_running_side side = {.running = &running, .turns = &turns};
    bench_params params = {0};
    const bench_what line = {.name = "job.rate", .params = &params};
    bench_side sides[3] = {{BENCH_OURS, "constellation", bench_running_round, &side}};
    size_t count = 1;
    cst_code code = bench_running_open(&running, b, &options, err);

    if (code != CST_OK) return code;
    memset(&turns, 0, sizeof turns);
    if (loops) loops->table_rows = loops->table_cpu_ns = 0;
    params_fill(&params, b, what);
    if (loops)
        sides[count++] = (bench_side){BENCH_PEER, "the table's loops alone, rows made before",
                                      bench_loops_table_round, loops};
    // A store that is slow enough to be measured once is not measured again.
    if (loops && loops->peer && !what->made_before)
        sides[count++] = (bench_side){BENCH_PEER, loops->peer->name, bench_loops_peer_round, loops};
    code = bench_compare(b, &line, sides, count, err);
    if (code == CST_OK) print_turns(b, &running, &params, &turns, loops);
    bench_running_close(&running);
    return code;
}

static cst_code measure_workload(bench *b, const char *workload, uint64_t entries, cst_err *err) {
    static bench_loops loops;
    const uint64_t wanted = entries * ROWS_A_KEY;
    const uint64_t made = wanted < ROWS_MADE_MAX ? wanted : ROWS_MADE_MAX;
    const job_what generated = {workload, entries, false, CSTI_SINK_NONE};
    const job_what made_before = {workload, entries, true, CSTI_SINK_NONE};
    const job_what to_files = {workload, entries < FILE_ENTRIES_MAX ? entries : FILE_ENTRIES_MAX,
                               false, CSTI_SINK_FILE};
    bench_rows rows;
    cst_code code = bench_rows_make(&rows, b, workload, entries, made, err);

    if (code == CST_OK) code = bench_loops_open(&loops, b, &rows, entries, err);
    if (code == CST_OK) code = measure(b, &generated, &rows, &loops, err);
    if (code == CST_OK) code = measure(b, &made_before, &rows, &loops, err);
    bench_loops_close(&loops);
    bench_rows_free(&rows);
    // Output stays where it is: as long as files are few.
    return code == CST_OK ? measure(b, &to_files, NULL, NULL, err) : code;
}

cst_code bench_job(bench *b, cst_err *err) {
    static const char *const workloads[] = {"uniform", "zipf"};
    cst_code code = CST_OK;

    for (size_t i = 0; i < b->sizes_count; i++)
        for (size_t w = 0; w < sizeof workloads / sizeof *workloads && code == CST_OK; w++)
            code = measure_workload(b, workloads[w], b->sizes[i], err);
    return code;
}
