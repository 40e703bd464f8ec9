// bench_opencl.c: rows through the same table on an OpenCL device and on the processor: encoded,
// hashed and applied, in batches of 64k. What a batch costs is by the clock, with everything that
// crosses to the device and back; kernels are built before.
#include "cli/bench.h"

#include "stream/zipf.h"

#include <constellation/driver.h>
#include <stdlib.h>

enum {
    BATCH_ROWS = 65536,
    BATCHES = 4, // of a round, different ones
    EPOCH_BATCHES = 16,
    SOURCES = 3,
    SIDES = 3,
};

typedef struct opencl_rows {
    uint64_t keys[BATCH_ROWS];
    uint64_t sources[SOURCES][BATCH_ROWS];
} opencl_rows;

typedef struct opencl_side {
    cst_device *device;
    cst_queue *queue;
    cst_device_table *table;
    opencl_rows *rows; // BATCHES of them, both sides'
    uint32_t batches_count;
    cst_delta delta;
} opencl_side;

static cst_code command_run(opencl_side *s, const cst_command *command, cst_err *err) {
    cst_completion done;
    const cst_code code = cst_device_run(s->queue, command, &done, err);

    if (code == CST_OK && command->ops == CST_OP_BARRIER) s->delta = done.delta;
    return code;
}

static cst_code batch_run(opencl_side *s, const opencl_rows *rows, cst_err *err) {
    static const cst_column column = {.type = CST_TYPE_U64};
    const cst_schema schema = {.columns_count = 1, .columns = {column}};
    const cst_column_data data = {.values = {rows->keys, sizeof rows->keys}};
    const cst_batch batch = {.schema = &schema, .rows_count = BATCH_ROWS, .columns = &data};
    const cst_source sources[SOURCES] = {{rows->sources[0], NULL, CST_TYPE_U64},
                                         {rows->sources[1], NULL, CST_TYPE_U64},
                                         {rows->sources[2], NULL, CST_TYPE_U64}};
    const cst_command apply = {.ops = CST_OP_ENCODE | CST_OP_HASH | CST_OP_APPLY,
                               .table = s->table,
                               .batch = &batch,
                               .rows = {.rows_count = BATCH_ROWS, .sources = sources}};
    const cst_command barrier = {.ops = CST_OP_BARRIER, .table = s->table};
    cst_code code = command_run(s, &apply, err);

    if (code != CST_OK || ++s->batches_count % EPOCH_BATCHES != 0) return code;
    code = command_run(s, &barrier, err);
    if (code != CST_OK) return code;
    return command_run(
        s, &(cst_command){.ops = CST_OP_RELEASE, .table = s->table, .release = s->delta}, err);
}

static cst_code opencl_round(void *context, double *ns_per_op_out, cst_err *err) {
    opencl_side *s = context;
    const uint64_t from_ns = bench_now_ns();
    cst_code code = CST_OK;

    for (uint32_t i = 0; i < BATCHES && code == CST_OK; i++) code = batch_run(s, &s->rows[i], err);
    *ns_per_op_out = (double)(bench_now_ns() - from_ns) / ((double)BATCHES * BATCH_ROWS);
    return code;
}

// ---- Sides --------------------------------------------------------------------------------------

static void side_close(opencl_side *s) {
    cst_device_table_close(s->table);
    cst_queue_close(s->queue);
    cst_device_close(s->device);
}

// All keys are there before the first round.
static cst_code side_fill(opencl_side *s, uint64_t entries, opencl_rows *rows, cst_err *err) {
    cst_code code = CST_OK;

    for (uint64_t at = 0; at < entries && code == CST_OK; at += BATCH_ROWS) {
        for (uint32_t r = 0; r < BATCH_ROWS; r++) {
            rows->keys[r] = (at + r) % entries;
            for (int i = 0; i < SOURCES; i++) rows->sources[i][r] = r;
        }
        code = batch_run(s, rows, err);
    }
    return code;
}

static cst_code side_open(opencl_side *s, const char *uri, uint64_t entries, opencl_rows *rows,
                          cst_err *err) {
    const cst_table_options options = {
        .layout = CST_TABLE_INLINE,
        .key_bytes = 8,
        .program = {.value_bytes = 32,
                    .accumulators_count = 4,
                    .presence_offset = CST_NO_OFFSET,
                    .accumulators = {{CST_COUNT, CST_U64, 0, CST_NO_COLUMN, 0},
                                     {CST_SUM, CST_U64, 8, 0, 0},
                                     {CST_MIN, CST_U64, 16, 1, 0},
                                     {CST_MAX, CST_U64, 24, 2, 0}}},
        .hash_key = {1, 2},
        .budget_bytes = (UINT64_C(512) << 20) + entries * 512,
        .rows_hint = entries,
        .numa_node = -1,
        .background = true,
    };
    cst_schema keys;
    cst_code code = cst_schema_parse("u64", &keys, err);

    s->rows = rows;
    if (code == CST_OK) code = cst_device_open(uri, &s->device, err);
    if (code == CST_OK) code = cst_queue_open(s->device, NULL, &s->queue, err);
    if (code == CST_OK) code = cst_device_table_open(s->queue, &options, &keys, &s->table, err);
    return code == CST_OK ? side_fill(s, entries, rows, err) : code;
}

static void rows_draw(opencl_rows *rows, uint64_t entries, uint64_t seed) {
    for (uint32_t b = 0; b < BATCHES; b++)
        for (uint32_t r = 0; r < BATCH_ROWS; r++) {
            seed = csti_splitmix64(seed);
            rows[b].keys[r] = seed % entries;
            for (int i = 0; i < SOURCES; i++) rows[b].sources[i][r] = seed >> (20 + 4 * i);
        }
}

// Where there is no OpenCL device the others are measured.
static cst_code sides_open(opencl_side *sides, bench_side *contenders, size_t *count_out,
                           uint64_t entries, opencl_rows *rows, cst_err *err) {
    static const char *const uris[SIDES] = {"opencl:", "cpu:scalar", "cpu:"};
    cst_code code = CST_OK;

    *count_out = 0;
    for (size_t u = 0; u < SIDES && code == CST_OK; u++) {
        opencl_side *side = &sides[*count_out];

        code = side_open(side, uris[u], entries, rows, err);
        if (code == CST_UNSUPPORTED && !side->device) {
            code = CST_OK;
            continue;
        }
        contenders[*count_out] =
            (bench_side){*count_out == 0 ? BENCH_OURS : BENCH_PEER, uris[u], opencl_round, side};
        ++*count_out;
    }
    return code;
}

static cst_code measure(bench *b, uint64_t entries, cst_err *err) {
    opencl_rows *rows = calloc(BATCHES, sizeof *rows);
    opencl_side sides[SIDES] = {0};
    bench_side contenders[SIDES];
    bench_params params = {0};
    const bench_what what = {.name = "opencl.apply", .params = &params};
    size_t count = 0;
    cst_code code = rows ? CST_OK : cst_fail(err, CST_NO_MEMORY, "rows");

    bench_params_u64(&params, "entries", entries);
    bench_params_u64(&params, "batch", BATCH_ROWS);
    if (code == CST_OK) code = sides_open(sides, contenders, &count, entries, rows, err);
    if (code == CST_OK) {
        rows_draw(rows, entries, b->seed);
        code = bench_compare(b, &what, contenders, count, err);
    }
    for (int s = 0; s < SIDES; s++) side_close(&sides[s]);
    free(rows);
    return code;
}

cst_code bench_opencl(bench *b, cst_err *err) {
    cst_code code = CST_OK;

    for (size_t i = 0; i < b->sizes_count && code == CST_OK; i++)
        code = measure(b, b->sizes[i], err);
    return code;
}
