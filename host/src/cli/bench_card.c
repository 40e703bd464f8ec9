// bench_card.c: the circuit on the simulated card, in cycles; and how many rows a second whoever
// waits for the simulation gets.
//
//   image filled by the processor ─► card loads it ─► rows by its ring, several commands in flight
//
// A figure is the clocks of the card between two completions, with everything in the way that a
// card has but the host: the host's part takes no clocks.
#include "cli/bench.h"

#include "stream/zipf.h"

#include <constellation/driver.h>
#include <inttypes.h>
#include <string.h>

enum {
    COMMAND_ROWS = 4096,
    ROWS_MIN = 2 * COMMAND_ROWS, // of a figure
    ROWS_MAX = 16 * COMMAND_ROWS,
    COUNTERS = 16,
    BARRIERS = 8,
    FILL_EPOCH_ROWS = 1 << 20,
    CHANNELS = 16,
    DEPTH = 8,
    COLUMNS = 4, // of ROWS_MAX words
    STRING_ROWS_MAX = 8192,
};

// What a channel of HBM2 gives at random, reads and writes of 64 bytes mixed: measured on a U280 by
// Vitis_Accel_Examples, and what calibration compares the model with.
#define CHANNEL_ACCESSES_PER_S 180e6
static const char clock_source[] = "UG1393: the platforms' default; not placed";

typedef enum card_skew { UNIFORM, ZIPF, ONE_KEY, TWO_KEYS, SKEWS } card_skew;
static const char *const skew_names[SKEWS] = {"uniform", "zipf", "one-key", "two-keys"};

typedef struct card_bench {
    bench *b;
    cst_device *device;
    cst_queue *queue;
    cst_driver *driver;
    cst_device_table *table;
    cst_schema keys;
    uint64_t entries;
    uint32_t entry_bytes;
    bench_memory columns; // keys, amounts, sources' second column; what keys need besides
} card_bench;

static uint64_t *column_of(const card_bench *c, uint32_t column) {
    return (uint64_t *)(void *)c->columns.base + (size_t)column * ROWS_MAX;
}

// Rank r's key: spread over all 64 bits, and told from its neighbours'.
static uint64_t key_of(const card_bench *c, uint64_t rank) {
    return csti_splitmix64(c->b->seed + rank);
}

static uint64_t clocks_of(const card_bench *c) {
    cst_simulation simulation;

    cst_device_simulation(c->device, &simulation);
    return simulation.clocks;
}

static double clock_mhz(const card_bench *c) {
    cst_simulation simulation;

    cst_device_simulation(c->device, &simulation);
    return simulation.clock_khz / 1000.0;
}

static void line(const card_bench *c, const char *name, const bench_params *params, uint64_t cycles,
                 const char *fields) {
    char text[1024];

    (void)snprintf(text, sizeof text,
                   "\"cycles\":%" PRIu64
                   ",%s,\"clock_mhz\":%g,\"clock_source\":\"%s\",\"simulated\":true",
                   cycles, fields, clock_mhz(c), clock_source);
    bench_numbers(c->b, name, params, "circuit", text);
}

// ---- A table on the card ------------------------------------------------------------------------

// Entries of 64 bytes: 16 of head, 8 of key, 32 of value; of 96: one more column, 64 of value.
static cst_table_options table_options(const card_bench *c) {
    cst_table_options options = {
        .layout = CST_TABLE_INLINE,
        .key_bytes = 8,
        .program = {.value_bytes = 32,
                    .accumulators_count = 4,
                    .presence_offset = CST_NO_OFFSET,
                    .accumulators = {{CST_COUNT, CST_U64, 0, CST_NO_COLUMN, 0},
                                     {CST_SUM, CST_U64, 8, 0, 0},
                                     {CST_MIN, CST_U64, 16, 0, 0},
                                     {CST_MAX, CST_U64, 24, 0, 0},
                                     {CST_SUM, CST_U64, 32, 1, 0},
                                     {CST_MIN, CST_U64, 40, 1, 0},
                                     {CST_MAX, CST_U64, 48, 1, 0},
                                     {CST_LAST, CST_U64, 56, 1, 0}}},
        .hash_key = {1, 2},
        .budget_bytes = c->entries * 2 * c->entry_bytes + (UINT64_C(256) << 20),
        .rows_hint = c->entries,
        .numa_node = -1,
    };

    if (c->entry_bytes == 96) {
        options.program.accumulators_count = 8;
        options.program.value_bytes = 64;
    }
    return options;
}

// The processor puts the rows into the image, which is the card's memory.
static cst_code table_fill(const card_bench *c, cst_err *err) {
    cst_table *image = cst_device_table_image(c->table);
    const cst_hash_key *hash_key = &cst_device_table_options(c->table)->hash_key;
    const cst_source sources[2] = {{column_of(c, 1), NULL, CST_TYPE_U64},
                                   {column_of(c, 2), NULL, CST_TYPE_U64}};
    uint64_t keys[1024], hashes[1024];
    cst_code code = CST_OK;

    for (uint64_t at = 0; at < c->entries && code == CST_OK;) {
        const uint64_t left = c->entries - at;
        const uint32_t count = left < 1024 ? (uint32_t)left : 1024;
        const cst_rows rows = {.rows_count = count,
                               .key_stride = 8,
                               .key_bytes = 8,
                               .keys = (const uint8_t *)keys,
                               .hashes = hashes,
                               .sources = sources};
        uint32_t applied;

        for (uint32_t r = 0; r < count; r++) {
            keys[r] = __builtin_bswap64(key_of(c, at + r));
            hashes[r] = cst_hash(hash_key, (const uint8_t *)&keys[r], sizeof keys[r]);
        }
        code = cst_table_apply_all(image, &rows, &applied);
        at += count;
        if (code == CST_OK && (at % FILL_EPOCH_ROWS == 0 || at == c->entries)) {
            const cst_delta delta = cst_table_seal(image);

            code = cst_table_release(image, &delta);
        }
    }
    if (code != CST_OK) return cst_fail(err, code, "a table of %" PRIu64 " entries", c->entries);
    return cst_device_table_prepare(c->table, err);
}

static void table_close(card_bench *c) {
    cst_device_table_close(c->table);
    c->table = NULL;
}

static cst_code table_open(card_bench *c, uint64_t entries, uint32_t entry_bytes, cst_err *err) {
    cst_table_options options;
    cst_code code;

    c->entries = entries;
    c->entry_bytes = entry_bytes;
    options = table_options(c);
    code = bench_memory_check(entries * 2 * entry_bytes, err);
    if (code == CST_OK) code = cst_device_table_open(c->queue, &options, &c->keys, &c->table, err);
    if (code == CST_OK) code = table_fill(c, err);
    return code;
}

// ---- Updates ------------------------------------------------------------------------------------

static void rows_draw(const card_bench *c, card_skew skew, uint32_t rows) {
    uint64_t *keys = column_of(c, 0);
    csti_zipf zipf;

    csti_zipf_init(&zipf, c->entries, c->b->skew);
    for (uint32_t r = 0; r < rows; r++) {
        const uint64_t random = csti_splitmix64(c->b->seed ^ (UINT64_C(1) << 40 | r));
        uint64_t rank = 0;

        if (skew == UNIFORM) rank = random % c->entries;
        if (skew == ZIPF) rank = csti_zipf_rank(&zipf, random) - 1;
        if (skew == TWO_KEYS) rank = r & 1;
        keys[r] = key_of(c, rank);
    }
}

// Commands of rows [from, to), as many in flight as the queue takes.
static cst_code rows_apply(card_bench *c, uint32_t from, uint32_t to, cst_err *err) {
    const cst_source sources[2] = {{column_of(c, 1), NULL, CST_TYPE_U64},
                                   {column_of(c, 2), NULL, CST_TYPE_U64}};
    cst_column_data columns[ROWS_MAX / COMMAND_ROWS];
    cst_batch batches[ROWS_MAX / COMMAND_ROWS];
    uint32_t submitted = from, done = from;
    cst_code code = CST_OK;

    while (done < to && code == CST_OK) {
        cst_completion completion;
        uint32_t count = 0;

        while (submitted < to && submitted - done < DEPTH * COMMAND_ROWS) {
            const uint32_t n = submitted / COMMAND_ROWS;

            columns[n] = (cst_column_data){
                .values = {column_of(c, 0) + submitted, COMMAND_ROWS * sizeof(uint64_t)}};
            batches[n] =
                (cst_batch){.schema = &c->keys, .rows_count = COMMAND_ROWS, .columns = &columns[n]};
            code =
                cst_driver_submit(c->driver,
                                  &(cst_command){.ops = CST_OP_ENCODE | CST_OP_HASH | CST_OP_APPLY,
                                                 .table = c->table,
                                                 .batch = &batches[n],
                                                 .rows = {.rows_count = COMMAND_ROWS,
                                                          .sources = sources}},
                                  NULL, err);
            if (code != CST_OK) return code;
            submitted += COMMAND_ROWS;
        }
        code = cst_driver_poll(c->driver, UINT64_MAX, &completion, 1, &count, err);
        if (code == CST_OK && count == 1 && completion.code != CST_OK)
            return cst_fail(err, completion.code, "row %u of the card", completion.rows_done);
        done += count * COMMAND_ROWS;
    }
    return code;
}

static uint32_t rows_count_of(const card_bench *c) {
    const uint64_t rows = c->entries / COMMAND_ROWS * COMMAND_ROWS;

    return rows < ROWS_MIN ? ROWS_MIN : rows > ROWS_MAX ? ROWS_MAX : (uint32_t)rows;
}

static cst_code measure_update(card_bench *c, card_skew skew, cst_err *err) {
    const uint32_t rows = rows_count_of(c), counted = rows - COMMAND_ROWS;
    cst_counter before[COUNTERS], after[COUNTERS];
    bench_params params = {0};
    char fields[768];
    size_t counters = 0;
    uint64_t cycles, from_ns;
    double accesses, seconds;
    int used;
    cst_code code;

    rows_draw(c, skew, rows);
    code = rows_apply(c, 0, COMMAND_ROWS, err); // opens the card, loads the table
    if (code != CST_OK) return code;
    cst_queue_counters(c->queue, before, COUNTERS, &counters);
    cycles = clocks_of(c);
    from_ns = bench_now_ns();
    code = rows_apply(c, COMMAND_ROWS, rows, err);
    seconds = (double)(bench_now_ns() - from_ns) / 1e9;
    cycles = clocks_of(c) - cycles;
    cst_queue_counters(c->queue, after, COUNTERS, &counters);
    if (code != CST_OK) return code;
    for (size_t i = 0; i < counters && i < COUNTERS; i++) after[i].value -= before[i].value;
    accesses = (double)(after[14].value + after[15].value) / counted;
    used =
        snprintf(fields, sizeof fields, "\"updates_per_clock\":%.3f,\"updates_per_s_waited\":%.4g",
                 (double)counted / (double)cycles, counted / seconds);
    if (accesses > 0.01)
        used += snprintf(fields + used, sizeof fields - (size_t)used, ",\"bound_by_memory\":%.2f",
                         CHANNEL_ACCESSES_PER_S * CHANNELS / accesses / (clock_mhz(c) * 1e6));
    for (size_t i = 0; i < counters && i < COUNTERS; i++)
        used += snprintf(fields + used, sizeof fields - (size_t)used, ",\"%s\":%" PRIu64,
                         after[i].name, after[i].value);
    bench_params_u64(&params, "entries", c->entries);
    bench_params_u64(&params, "entry_bytes", c->entry_bytes);
    bench_params_text(&params, "workload", skew_names[skew]);
    bench_params_u64(&params, "rows", counted);
    line(c, "rtl.update", &params, cycles, fields);
    return CST_OK;
}

// ---- Barriers -----------------------------------------------------------------------------------

// From the completion of the rows before it to its own: it waits for what they left to be written.
static cst_code barrier_once(card_bench *c, uint32_t rows, uint64_t *cycles_out, cst_err *err) {
    cst_column_data column = {.values = {column_of(c, 0), rows * sizeof(uint64_t)}};
    const cst_batch batch = {.schema = &c->keys, .rows_count = rows, .columns = &column};
    const cst_source sources[2] = {{column_of(c, 1), NULL, CST_TYPE_U64},
                                   {column_of(c, 2), NULL, CST_TYPE_U64}};
    const cst_command commands[2] = {{.ops = CST_OP_ENCODE | CST_OP_HASH | CST_OP_APPLY,
                                      .table = c->table,
                                      .batch = &batch,
                                      .rows = {.rows_count = rows, .sources = sources}},
                                     {.ops = CST_OP_BARRIER, .table = c->table}};
    uint64_t clocks[2] = {0};
    cst_code code = CST_OK;

    for (uint32_t i = 0; i < 2 && code == CST_OK; i++)
        code = cst_driver_submit(c->driver, &commands[i], NULL, err);
    for (uint32_t i = 0; i < 2 && code == CST_OK;) {
        cst_completion done;
        uint32_t count = 0;

        code = cst_driver_poll(c->driver, UINT64_MAX, &done, 1, &count, err);
        if (code == CST_OK && count == 1 && done.code != CST_OK)
            code = cst_fail(err, done.code, "a barrier of the card");
        if (count == 1) clocks[i++] = done.clocks;
    }
    if (code == CST_OK) *cycles_out = clocks[1] - clocks[0];
    return code;
}

static cst_code measure_barrier(card_bench *c, uint32_t rows, cst_err *err) {
    uint64_t most = 0, least = UINT64_MAX;
    bench_params params = {0};
    char fields[128];

    rows_draw(c, UNIFORM, rows);
    for (uint32_t i = 0; i < BARRIERS; i++) {
        uint64_t cycles = 0;
        const cst_code code = barrier_once(c, rows, &cycles, err);

        if (code != CST_OK) return code;
        if (cycles > most) most = cycles;
        if (cycles < least) least = cycles;
    }
    bench_params_u64(&params, "entries", c->entries);
    bench_params_u64(&params, "rows_before", rows);
    (void)snprintf(fields, sizeof fields, "\"min\":%" PRIu64 ",\"max\":%" PRIu64 ",\"barriers\":%d",
                   least, most, BARRIERS);
    line(c, "rtl.barrier", &params, most, fields);
    return CST_OK;
}

// ---- Keys ---------------------------------------------------------------------------------------

// The clocks of a command for the keys and hashes of a batch of one column.
static cst_code keys_clocks(card_bench *c, const cst_batch *batch, uint64_t *cycles_out,
                            cst_err *err) {
    cst_keys keys = {.bytes = (uint8_t *)column_of(c, 2),
                     .bytes_capacity = (size_t)2 * ROWS_MAX * sizeof(uint64_t),
                     .offsets = (uint32_t *)(void *)(column_of(c, 1) + ROWS_MAX / 2)};
    const cst_command command = {.ops = CST_OP_ENCODE | CST_OP_HASH,
                                 .batch = batch,
                                 .hash_key = {1, 2},
                                 .rows = {.rows_count = batch->rows_count},
                                 .keys_out = &keys,
                                 .hashes_out = column_of(c, 1)};
    cst_completion done;
    cst_code code = CST_OK;

    for (uint32_t i = 0; i < 2 && code == CST_OK; i++) { // the first opens the card
        *cycles_out = clocks_of(c);
        code = cst_device_run(c->queue, &command, &done, err);
    }
    *cycles_out = clocks_of(c) - *cycles_out;
    return code;
}

static cst_code measure_keys(card_bench *c, const char *schema_text, cst_err *err) {
    const uint32_t rows = rows_count_of(c) / 2; // of up to 16 bytes
    cst_column_data column = {.values = {column_of(c, 0), 0}};
    cst_schema schema;
    const cst_batch batch = {.schema = &schema, .rows_count = rows, .columns = &column};
    bench_params params = {0};
    char fields[128];
    uint64_t cycles = 0;
    cst_code code = cst_schema_parse(schema_text, &schema, err);

    if (code != CST_OK) return code;
    column.values.bytes = (size_t)rows * cst_column_value_bytes(&schema.columns[0]);
    for (uint32_t r = 0; r < ROWS_MAX; r++) column_of(c, 0)[r] = key_of(c, r);
    code = keys_clocks(c, &batch, &cycles, err);
    if (code != CST_OK) return code;
    bench_params_text(&params, "schema", schema_text);
    bench_params_u64(&params, "keys", rows);
    (void)snprintf(fields, sizeof fields, "\"keys_per_clock\":%.3f", (double)rows / (double)cycles);
    line(c, "rtl.encode", &params, cycles, fields);
    return CST_OK;
}

// Strings of one length, in letters.
static cst_code measure_strings(card_bench *c, uint32_t bytes, cst_err *err) {
    const uint32_t wanted = rows_count_of(c) / 2;
    const uint32_t rows = wanted < STRING_ROWS_MAX ? wanted : STRING_ROWS_MAX;
    uint8_t *text = (uint8_t *)column_of(c, 0);
    int32_t *offsets = (int32_t *)(void *)(column_of(c, 1) + ROWS_MAX / 4);
    const cst_column_data column = {.values = {text, (size_t)rows * bytes},
                                    .offsets = {offsets, ((size_t)rows + 1) * sizeof *offsets}};
    cst_schema schema;
    const cst_batch batch = {.schema = &schema, .rows_count = rows, .columns = &column};
    bench_params params = {0};
    char fields[128];
    uint64_t cycles = 0;
    cst_code code = cst_schema_parse("string", &schema, err);

    if (code != CST_OK) return code;
    for (uint32_t i = 0; i < rows * bytes; i++) text[i] = (uint8_t)('a' + key_of(c, i) % 26);
    for (uint32_t r = 0; r <= rows; r++) offsets[r] = (int32_t)(r * bytes);
    code = keys_clocks(c, &batch, &cycles, err);
    if (code != CST_OK) return code;
    bench_params_text(&params, "schema", "string");
    bench_params_u64(&params, "bytes", bytes);
    bench_params_u64(&params, "keys", rows);
    (void)snprintf(fields, sizeof fields, "\"keys_per_clock\":%.3f,\"bytes_per_clock\":%.2f",
                   (double)rows / (double)cycles, (double)rows * bytes / (double)cycles);
    line(c, "rtl.encode", &params, cycles, fields);
    return CST_OK;
}

static cst_code measure_encode(card_bench *c, cst_err *err) {
    static const uint32_t lengths[] = {16, 48, 62}; // 62: the longest that has a key of 64 bytes
    cst_code code = measure_keys(c, "u64", err);

    if (code == CST_OK) code = measure_keys(c, "u128", err);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths && code == CST_OK; i++)
        code = measure_strings(c, lengths[i], err);
    return code;
}

// ---- All ----------------------------------------------------------------------------------------

static cst_code measure_table(card_bench *c, uint32_t entry_bytes, cst_err *err) {
    cst_code code = cst_driver_open(c->queue, &c->driver, err);

    for (card_skew skew = UNIFORM; skew < SKEWS && code == CST_OK; skew++)
        if (bench_wanted(c->b, "rtl.update")) code = measure_update(c, skew, err);
    if (code == CST_OK && entry_bytes == 64 && bench_wanted(c->b, "rtl.barrier")) {
        code = measure_barrier(c, COMMAND_ROWS / 16, err);
        if (code == CST_OK) code = measure_barrier(c, COMMAND_ROWS, err);
    }
    cst_driver_close(c->driver);
    c->driver = NULL;
    return code;
}

static cst_code measure_tables(card_bench *c, cst_err *err) {
    cst_code code = CST_OK;

    for (uint32_t r = 0; r < ROWS_MAX; r++) column_of(c, 1)[r] = column_of(c, 2)[r] = r & 1023;
    for (size_t i = 0; i < c->b->sizes_count && code == CST_OK; i++)
        for (uint32_t entry_bytes = 64; entry_bytes <= 96 && code == CST_OK; entry_bytes += 32) {
            code = table_open(c, c->b->sizes[i], entry_bytes, err);
            if (code == CST_OK) code = measure_table(c, entry_bytes, err);
            table_close(c);
        }
    return code;
}

cst_code bench_card(bench *b, cst_err *err) {
    const cst_queue_options options = {.depth = DEPTH};
    card_bench c = {.b = b};
    cst_code code = cst_device_open("sim:", &c.device, err);

    if (code != CST_OK) return code;
    code = bench_memory_take(&c.columns, (size_t)COLUMNS * ROWS_MAX * sizeof(uint64_t), err);
    if (code == CST_OK) code = cst_queue_open(c.device, &options, &c.queue, err);
    if (code == CST_OK) code = cst_schema_parse("u64", &c.keys, err);
    c.entries = b->sizes[0];
    if (code == CST_OK && bench_wanted(b, "rtl.encode")) code = measure_encode(&c, err);
    if (code == CST_OK && (bench_wanted(b, "rtl.update") || bench_wanted(b, "rtl.barrier")))
        code = measure_tables(&c, err);
    cst_queue_close(c.queue);
    bench_memory_give(&c.columns);
    cst_device_close(c.device);
    return code;
}
