#include "device/break_even.h"

#include <constellation/driver.h>

#include <stdlib.h>
#include <string.h>

enum {
    TRIES_MIN = 2, // the first finds nothing in caches, and programs that are not ready
    TRIES_MAX = 8,
    TRIES_NS = 2000000, // more than TRIES_MIN, while they take no longer
    SLOW_NS = 5000000,  // what no card takes for a few rows
    TEXT_BYTES = 8,
};

csti_encode_cost csti_encode_cost_of(uint64_t few_ns, uint64_t many_ns, uint32_t many) {
    const double rows = many - CSTI_BREAK_EVEN_FEW;

    if (few_ns > many_ns) few_ns = many_ns; // as little as many rows took it could have taken
    csti_encode_cost cost = {.command_ns = 0};

    if (many_ns > few_ns) cost.row_ns = (double)(many_ns - few_ns) / rows;
    if ((double)few_ns > cost.row_ns * CSTI_BREAK_EVEN_FEW)
        cost.command_ns = (double)few_ns - cost.row_ns * CSTI_BREAK_EVEN_FEW;
    return cost;
}

uint32_t csti_break_even_rows(const csti_encode_cost *device, const csti_encode_cost *processor) {
    const double ahead_ns = device->command_ns - processor->command_ns;
    const double gain_ns = processor->row_ns - device->row_ns;
    double rows;

    if (gain_ns <= 0) return CSTI_BREAK_EVEN_NEVER;
    if (ahead_ns <= 0) return 0;
    rows = ahead_ns / gain_ns;
    return rows < CSTI_BREAK_EVEN_NEVER - 1 ? (uint32_t)rows + 1 : CSTI_BREAK_EVEN_NEVER;
}

// ---- A batch ------------------------------------------------------------------------------------

typedef struct sample {
    cst_column_data columns[CST_COLUMNS_MAX];
    uint8_t *values; // of any column of a fixed width
    uint8_t *text;
    int32_t *offsets;
    uint64_t *hashes;
    cst_keys keys;
} sample;

static void sample_free(sample *s) {
    free(s->values);
    free(s->text);
    free(s->offsets);
    free(s->hashes);
    free(s->keys.bytes);
    free(s->keys.offsets);
}

// Zeros are values of every type.
static void columns_fill(sample *s, const cst_schema *keys) {
    const size_t rows = CSTI_BREAK_EVEN_MANY;

    for (uint32_t c = 0; c < keys->columns_count; c++) {
        const size_t width = cst_column_value_bytes(&keys->columns[c]);

        s->columns[c] = (cst_column_data){.values = {s->values, rows * width}};
        if (width > 0) continue;
        s->columns[c].values = (cst_buffer){s->text, rows * TEXT_BYTES};
        s->columns[c].offsets = (cst_buffer){s->offsets, (rows + 1) * sizeof *s->offsets};
    }
}

static cst_code sample_make(sample *s, const cst_schema *keys, cst_err *err) {
    const size_t rows = CSTI_BREAK_EVEN_MANY;
    const cst_batch batch = {.schema = keys, .rows_count = (uint32_t)rows, .columns = s->columns};

    size_t width_max = 1;

    for (uint32_t c = 0; c < keys->columns_count; c++)
        if (cst_column_value_bytes(&keys->columns[c]) > width_max)
            width_max = cst_column_value_bytes(&keys->columns[c]);
    s->values = calloc(rows, width_max);
    s->text = malloc(rows * TEXT_BYTES);
    s->offsets = calloc(rows + 1, sizeof *s->offsets);
    s->hashes = calloc(rows, sizeof *s->hashes);
    s->keys.offsets = calloc(rows + 1, sizeof *s->keys.offsets);
    if (!s->values || !s->text || !s->offsets || !s->hashes || !s->keys.offsets)
        return cst_fail(err, CST_NO_MEMORY, "a sample of %zu rows", rows);
    memset(s->text, 'a', rows * TEXT_BYTES);
    for (size_t r = 0; r <= rows; r++) s->offsets[r] = (int32_t)(r * TEXT_BYTES);
    columns_fill(s, keys);
    s->keys.bytes_capacity = cst_keys_bytes_bound(&batch);
    s->keys.bytes = malloc(s->keys.bytes_capacity + 1);
    return s->keys.bytes ? CST_OK : cst_fail(err, CST_NO_MEMORY, "a sample of %zu rows", rows);
}

// ---- Times --------------------------------------------------------------------------------------

static bool is_simulated(const cst_device *device) {
    cst_simulation simulation;

    cst_device_simulation(device, &simulation);
    return simulation.simulated;
}

static uint64_t now_ns(const cst_device *device, const csti_clock *clock) {
    cst_simulation simulation;

    cst_device_simulation(device, &simulation);
    if (!simulation.simulated) return csti_clock_now_ns(clock);
    return simulation.clocks * 1000000 / simulation.clock_khz + simulation.transfer_ns;
}

// What the command takes at best.
static cst_code best_of(cst_queue *queue, const cst_command *command, const csti_clock *clock,
                        uint64_t *best_out, cst_err *err) {
    const cst_device *device = cst_queue_device(queue);
    const int tries_max = is_simulated(device) ? TRIES_MIN : TRIES_MAX;
    const uint64_t until_ns = csti_clock_now_ns(clock) + TRIES_NS;
    cst_code code = CST_OK;

    *best_out = UINT64_MAX;
    for (int i = 0; i < tries_max && code == CST_OK; i++) {
        if (i >= TRIES_MIN && csti_clock_now_ns(clock) >= until_ns) break;
        const uint64_t begun_ns = now_ns(device, clock);
        cst_completion done;

        code = cst_device_run(queue, command, &done, err);
        const uint64_t took_ns = now_ns(device, clock) - begun_ns;
        if (took_ns < *best_out) *best_out = took_ns;
    }
    return code;
}

static cst_code batch_measure(cst_queue *queue, sample *s, const cst_schema *keys, uint32_t rows,
                              const csti_clock *clock, uint64_t *took_out, cst_err *err) {
    const cst_batch batch = {.schema = keys, .rows_count = rows, .columns = s->columns};
    const cst_command command = {.ops = CST_OP_ENCODE | CST_OP_HASH,
                                 .batch = &batch,
                                 .rows = {.rows_count = rows},
                                 .keys_out = &s->keys,
                                 .hashes_out = s->hashes};

    return best_of(queue, &command, clock, took_out, err);
}

static cst_code cost_measure(cst_device *device, sample *s, const cst_schema *keys,
                             const csti_clock *clock, csti_encode_cost *out, cst_err *err) {
    uint32_t many = is_simulated(device) ? CSTI_BREAK_EVEN_MANY_SLOW : CSTI_BREAK_EVEN_MANY;
    uint64_t few_ns = 0, many_ns = 0;
    cst_queue *queue = NULL;
    cst_code code = cst_queue_open(device, NULL, &queue, err);

    if (code == CST_OK)
        code = batch_measure(queue, s, keys, CSTI_BREAK_EVEN_FEW, clock, &few_ns, err);
    if (few_ns > SLOW_NS) many = CSTI_BREAK_EVEN_MANY_SLOW;
    if (code == CST_OK) code = batch_measure(queue, s, keys, many, clock, &many_ns, err);
    cst_queue_close(queue);
    if (code == CST_OK) *out = csti_encode_cost_of(few_ns, many_ns, many);
    return code;
}

cst_code csti_break_even_measure(cst_device *device, const cst_schema *keys,
                                 const csti_clock *clock, csti_break_even *out, cst_err *err) {
    cst_device *processor = NULL;
    csti_break_even found = {.rows_min = 0};
    sample s = {.values = NULL};
    cst_code code = sample_make(&s, keys, err);

    if (code == CST_OK) code = cst_device_open("cpu:", &processor, err);
    if (code == CST_OK) code = cost_measure(processor, &s, keys, clock, &found.processor, err);
    if (code == CST_OK) code = cost_measure(device, &s, keys, clock, &found.device, err);
    cst_device_close(processor);
    sample_free(&s);
    if (code != CST_OK) return code;
    found.device_modelled = is_simulated(device);
    found.rows_min = csti_break_even_rows(&found.device, &found.processor);
    *out = found;
    return CST_OK;
}
