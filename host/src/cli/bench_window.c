// bench_window.c: windows beside the same job without, and what closing one holds up.
//
//   window.rate    ours: tumbling windows of 4 rows a key; peer: the plain aggregate, same rows
//   window.turns   what of processors and lines those turns took, of both
//   window.sessions, window.sessions_turns   the same of sessions of 4.5 rows, about
//   window.close   one window of all keys is closed, in steps between which a batch could go: its
//                  first batch, which opens it, the longest step, the seal behind them, the release
//                  that gives the table back
#include "cli/bench_running.h"
#include "stream/panes.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    ROWS_A_KEY = 4, // of a window
    ROWS_MADE_MAX = 1 << 24,
    KEY_BYTES = 16, // of window.close: key, window
    VALUE_BYTES = 16,
    RELEASE = 2, // a tag
    ROUNDS = 5,
};

// ---- A whole job --------------------------------------------------------------------------------

static double cpu_per_row(const bench_turns *turns) {
    const uint64_t rows = turns->rows[0] + turns->rows[1];

    return rows > 0 ? (double)turns->cpu_ns / (double)rows : 0;
}

// Rows that cost next to nothing: there should be none.
static uint64_t late_rows(const bench *b, const bench_running *r) {
    uint64_t rows = 0;

    for (uint32_t p = 0; p < b->partitions; p++) {
        char labels[32];

        (void)snprintf(labels, sizeof labels, "partition=\"%" PRIu32 "\"", p);
        rows += bench_own_job_counter(&r->own, "constellation_rows_late_total", labels);
    }
    return rows;
}

static void turns_print(bench *b, const bench_params *params, const bench_turns *windowed,
                        const bench_turns *plain, uint64_t late, const char *name) {
    char fields[300];

    (void)snprintf(fields, sizeof fields,
                   "\"rows\":%" PRIu64 ",\"late_rows\":%" PRIu64 ",\"checkpoints\":%" PRIu64
                   ",\"folds\":%" PRIu64
                   ",\"cpu_ns_per_row\":%.4g,\"plain_cpu_ns_per_row\":%.4g,\"cpu_ratio\":%.4g",
                   windowed->rows[0] + windowed->rows[1], late, windowed->checkpoints,
                   windowed->folds, cpu_per_row(windowed), cpu_per_row(plain),
                   cpu_per_row(plain) / cpu_per_row(windowed));
    bench_numbers(b, name, params, "constellation", fields);
}

// The names of its two lines, and the windows.
typedef struct rate {
    const char *rate, *turns;
    uint64_t tumbling_us, session_us;
} rate;

static cst_code measure_rate(bench *b, uint64_t entries, const rate *of, cst_err *err) {
    static bench_running windowed, plain;
    static bench_turns windowed_turns, plain_turns;
    bench_running_side ours = {.running = &windowed, .turns = &windowed_turns};
    bench_running_side peer = {.running = &plain, .turns = &plain_turns};
    const uint64_t wanted = entries * ROWS_A_KEY;
    const uint64_t made = wanted < ROWS_MADE_MAX ? wanted : (uint64_t)ROWS_MADE_MAX;
    bench_params params = {0};
    const bench_what line = {.name = of->rate, .params = &params};
    const bench_side sides[] = {
        {BENCH_OURS, "constellation", bench_running_round, &ours},
        {BENCH_PEER, "the same job without windows", bench_running_round, &peer},
    };
    bench_rows rows;
    cst_code code = bench_rows_make(&rows, b, "uniform", entries, made, err);
    bench_running_options options = {.workload = "uniform",
                                     .entries = entries,
                                     .rows = &rows,
                                     .name = "plain"};

    bench_params_u64(&params, "entries", entries);
    bench_params_u64(&params, "rows_a_key", ROWS_A_KEY);
    bench_params_u64(&params, "partitions", b->partitions);
    bench_params_u64(&params, "checkpoint_every_us", bench_running_every_us(b));
    if (code == CST_OK) code = bench_running_open(&plain, b, &options, err);
    options.name = "windowed";
    options.tumbling_us = of->tumbling_us;
    options.session_us = of->session_us;
    if (code == CST_OK) code = bench_running_open(&windowed, b, &options, err);
    memset(&windowed_turns, 0, sizeof windowed_turns);
    memset(&plain_turns, 0, sizeof plain_turns);
    if (code == CST_OK) code = bench_compare(b, &line, sides, 2, err);
    if (code == CST_OK)
        turns_print(b, &params, &windowed_turns, &plain_turns, late_rows(b, &windowed), of->turns);
    bench_running_close(&windowed);
    bench_running_close(&plain);
    bench_rows_free(&rows);
    return code;
}

// ---- One window ---------------------------------------------------------------------------------

typedef struct closing {
    csti_metrics *metrics;
    cst_device *device;
    cst_queue *queue;
    csti_keeper *keeper;
    csti_panes *panes;
    cst_hash_key hash_key;
    uint8_t keys[BENCH_BATCH_ROWS * KEY_BYTES];
    uint64_t hashes[BENCH_BATCH_ROWS];
    uint64_t values[BENCH_BATCH_ROWS];
    uint64_t open_ns, step_ns_max, close_ns, seal_ns, release_ns; // of the last round
    uint64_t steps;
} closing;

static cst_code closing_open(closing *c, uint64_t entries, cst_err *err) {
    const csti_block_shape shape = {.rows_capacity = BENCH_BATCH_ROWS,
                                    .key_bytes = KEY_BYTES,
                                    .key_bytes_max = KEY_BYTES,
                                    .sources_count = 1,
                                    .source_types = {CST_TYPE_U64}};
    const csti_panes_options options = {
        .window = {.size_us = 1, .hop_us = 1},
        .table = {.layout = CST_TABLE_INLINE,
                  .key_bytes = KEY_BYTES,
                  .program = {.value_bytes = VALUE_BYTES,
                              .accumulators_count = 2,
                              .presence_offset = CST_NO_OFFSET,
                              .time_offset = CST_NO_OFFSET,
                              .accumulators = {{CST_COUNT, CST_U64, 0, CST_NO_COLUMN, 0},
                                               {CST_SUM, CST_U64, 8, 0, 0}}},
                  .hash_key = c->hash_key,
                  .budget_bytes = (UINT64_C(1) << 30) + entries * 512,
                  .numa_node = -1},
        .queue = c->queue,
        .shape = &shape,
        .watermark_us = CSTI_WATERMARK_NONE,
        .metrics = c->metrics,
    };

    return csti_panes_open(&options, &c->panes, err);
}

static cst_code completions_take(closing *c, cst_err *err) {
    cst_completion done[64];
    uint32_t count = 0;
    bool worked = false;
    const cst_code code = csti_keeper_poll(c->keeper, done, 64, &count, &worked, err);

    for (uint32_t i = 0; i < count; i++) {
        if (done[i].code != CST_OK) return cst_fail(err, done[i].code, "a window's rows");
        if (done[i].tag == RELEASE)
            csti_panes_release_done(c->panes);
        else
            (void)csti_panes_rows_done(c->panes);
    }
    return code;
}

static cst_code block_apply(closing *c, uint64_t first, uint32_t count, int64_t start_us,
                            cst_err *err) {
    const uint64_t start = __builtin_bswap64((uint64_t)start_us ^ UINT64_C(1) << 63);
    csti_block block = {.rows_count = count,
                        .rows_capacity = BENCH_BATCH_ROWS,
                        .key_bytes = KEY_BYTES,
                        .keys = c->keys,
                        .hashes = c->hashes,
                        .sources_count = 1};
    bool over = false;
    cst_code code;

    block.sources[0] = (cst_source){.values = c->values, .type = CST_TYPE_U64};
    for (uint32_t r = 0; r < count; r++) {
        const uint64_t key = __builtin_bswap64(first + r);

        memcpy(c->keys + (size_t)r * KEY_BYTES, &key, sizeof key);
        memcpy(c->keys + (size_t)r * KEY_BYTES + sizeof key, &start, sizeof start);
        c->values[r] = first + r;
    }
    cst_hash_fixed(&c->hash_key, c->keys, KEY_BYTES, KEY_BYTES, count, c->hashes);
    do {
        code = csti_panes_rows(c->panes, c->keeper, &block, &over, err);
        if (code == CST_OK || code == CST_AGAIN) {
            const cst_code polled = completions_take(c, err);

            if (polled != CST_OK) return polled;
        }
    } while (code == CST_AGAIN || (code == CST_OK && !csti_panes_are_quiet(c->panes)));
    return code;
}

// As a partition does it between two batches.
static cst_code close_steps(closing *c, cst_err *err) {
    cst_code code = CST_OK;

    c->step_ns_max = c->close_ns = c->steps = 0;
    while (csti_panes_is_closing(c->panes) && code == CST_OK) {
        const uint64_t from_ns = bench_now_ns();
        uint64_t ns;

        code = csti_panes_close_some(c->panes, BENCH_BATCH_ROWS, err);
        ns = bench_now_ns() - from_ns;
        c->close_ns += ns;
        if (ns > c->step_ns_max) c->step_ns_max = ns;
        c->steps++;
    }
    return code;
}

// A window of all keys: half of its changes were cut before it closed.
static cst_code close_round(closing *c, uint64_t entries, int64_t start_us, cst_err *err) {
    const csti_pane_cut *cuts[2] = {NULL, NULL};
    uint64_t from_ns;
    cst_code code = CST_OK;

    for (uint64_t at = 0; at < entries && code == CST_OK; at += BENCH_BATCH_ROWS) {
        const uint64_t left = entries - at;

        from_ns = bench_now_ns();
        code = block_apply(c, at,
                           left < BENCH_BATCH_ROWS ? (uint32_t)left : (uint32_t)BENCH_BATCH_ROWS,
                           start_us, err);
        if (at == 0) c->open_ns = bench_now_ns() - from_ns;
        if (code == CST_OK && !cuts[0] && at >= entries / 2)
            code = csti_panes_seal(c->panes, &cuts[0], err);
    }
    if (code != CST_OK) return code;
    csti_panes_watermark(c->panes, start_us + 1);
    code = close_steps(c, err);
    from_ns = bench_now_ns();
    if (code == CST_OK) code = csti_panes_seal(c->panes, &cuts[1], err);
    c->seal_ns = bench_now_ns() - from_ns;
    from_ns = bench_now_ns();
    for (int i = 0; i < 2 && code == CST_OK; i++)
        if (cuts[i]) code = csti_panes_release(c->panes, c->keeper, cuts[i], RELEASE, err);
    if (code == CST_OK) code = completions_take(c, err);
    c->release_ns = bench_now_ns() - from_ns;
    return code;
}

static void close_print(bench *b, const closing *rounds, uint64_t entries) {
    double open[ROUNDS], step[ROUNDS], all[ROUNDS], seal[ROUNDS], release[ROUNDS];
    bench_params params = {0};
    double longest = 0;
    char fields[400];

    for (int i = 0; i < ROUNDS; i++) {
        open[i] = (double)rounds[i].open_ns / 1e3;
        step[i] = (double)rounds[i].step_ns_max / 1e3;
        all[i] = (double)rounds[i].close_ns / 1e6;
        seal[i] = (double)rounds[i].seal_ns / 1e3;
        release[i] = (double)rounds[i].release_ns / 1e3;
        if (step[i] > longest) longest = step[i];
    }
    bench_params_u64(&params, "entries", entries);
    bench_params_u64(&params, "rows_a_step", BENCH_BATCH_ROWS);
    (void)snprintf(fields, sizeof fields,
                   "\"open_us\":%.4g,\"steps\":%" PRIu64 ",\"close_ms\":%.4g,\"step_us_max\":%.4g,"
                   "\"step_us_max_of_all\":%.4g,\"seal_us\":%.4g,\"release_us\":%.4g",
                   bench_median(open, ROUNDS), rounds[0].steps, bench_median(all, ROUNDS),
                   bench_median(step, ROUNDS), longest, bench_median(seal, ROUNDS),
                   bench_median(release, ROUNDS));
    bench_numbers(b, "window.close", &params, "constellation", fields);
}

static cst_code measure_close(bench *b, uint64_t entries, cst_err *err) {
    closing *c = calloc(1 + ROUNDS, sizeof *c); // the last ones for what each round gave
    cst_code code;

    if (!c) return cst_fail(err, CST_NO_MEMORY, "a window");
    c->hash_key = (cst_hash_key){b->seed, 1};
    code = csti_metrics_open(&c->metrics, err);
    if (code == CST_OK) code = cst_device_open("cpu:", &c->device, err);
    if (code == CST_OK) code = cst_queue_open(c->device, NULL, &c->queue, err);
    if (code == CST_OK) code = csti_keeper_table_open(c->queue, NULL, &c->keeper, err);
    if (code == CST_OK) code = closing_open(c, entries, err);
    for (int round = 0; round <= ROUNDS && code == CST_OK; round++) {
        code = close_round(c, entries, round, err);
        if (round > 0) c[round] = *c; // the first one warms up
    }
    if (code == CST_OK) close_print(b, c + 1, entries);
    csti_keeper_close(c->keeper);
    csti_panes_close(c->panes);
    cst_queue_close(c->queue);
    cst_device_close(c->device);
    csti_metrics_close(c->metrics);
    free(c);
    return code;
}

cst_code bench_window(bench *b, cst_err *err) {
    cst_code code = CST_OK;

    for (size_t i = 0; i < b->sizes_count && code == CST_OK; i++) {
        const uint64_t entries = b->sizes[i];
        // A row a microsecond: a key comes every `entries`, and 2 of 9 times in more than 1.5 of
        // it.
        const rate windows = {"window.rate", "window.turns", entries * ROWS_A_KEY, 0};
        const rate sessions = {"window.sessions", "window.sessions_turns", 0,
                               entries + entries / 2};

        if (bench_wanted(b, "window.close")) code = measure_close(b, entries, err);
        if (code == CST_OK && bench_wanted(b, windows.rate))
            code = measure_rate(b, entries, &windows, err);
        if (code == CST_OK && bench_wanted(b, sessions.rate))
            code = measure_rate(b, entries, &sessions, err);
    }
    return code;
}
