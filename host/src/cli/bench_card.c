// bench_card.c: the circuit on the simulated card, in cycles; and how many rows a second whoever
// waits for the simulation gets.
//
//   image filled by the processor ─► card loads it ─► rows by its ring, several commands in flight
//
// A figure is the clocks of the card between two completions, with everything in the way that a
// card has but the host: the host's part takes no clocks.
#include "cli/bench.h"

#include "stream/zipf.h"
#include "table/image.h"

#include <assert.h>
#include <constellation/driver.h>
#include <inttypes.h>
#include <memory/parameters.h>
#include <string.h>

enum {
    COMMAND_ROWS = 4096,
    ROWS_MIN = 2 * COMMAND_ROWS, // of a figure
    ROWS_MAX = 32 * COMMAND_ROWS,
    COMMANDS_MAX = ROWS_MAX / COMMAND_ROWS,
    SEAL_COMMANDS = 24, // a seal behind each 98,304 rows
    KEYS_MAX = 8 * COMMAND_ROWS,
    COUNTERS = 25,
    BARRIERS = 8,
    LOOKUPS = 64,
    ADVERSARIES = 40, // keys of a few buckets of one segment
    FILL_EPOCH_ROWS = 1 << 20,
    CHANNELS = 16,
    DEPTH = 8,
    COLUMNS = 6, // of ROWS_MAX words; keys of 16 bytes take the last two
    LONG_KEYS = 4,
    STRING_ROWS_MAX = 8192,
};

// What a channel of HBM2 gives at random, reads and writes of 64 bytes mixed: measured on a U280 by
// Vitis_Accel_Examples, and what calibration compares the model with.
#define CHANNEL_ACCESSES_PER_S 180e6
// KV-Direct (SOSP 2017, abstract): up to 180 M operations a second, a programmable NIC; keys and
// values of 8 bytes.
#define KV_DIRECT_PER_S 180e6
static const char clock_source[] = "UG1393: the platforms' default; not placed";

typedef enum card_skew { UNIFORM, ZIPF, ONE_KEY, TWO_KEYS, ADVERSARIAL, SKEWS } card_skew;
static const char *const skew_names[SKEWS] = {"uniform", "zipf", "one-key", "two-keys",
                                              "adversarial"};

// Entries: 16 bytes of head, key, value. Keys of 8 bytes leave a row's half beat room for two
// words, those of 16 for one.
typedef struct card_shape {
    uint32_t key_bytes, value_bytes, entry_bytes, accumulators;
    card_skew skews; // so many of them
} card_shape;
static const card_shape shapes[] = {{8, 32, 64, 4, SKEWS},
                                    {8, 64, 96, 8, SKEWS},
                                    {16, 64, 96, 8, ZIPF},
                                    {8, 8, 32, 1, ZIPF}};
static const card_shape uniform_shape = {8, 32, 64, 4, ZIPF}; // the first one's uniform updates

typedef struct card_memory {
    const char *uri, *name;
    uint32_t channels;
    double accesses_per_s; // of a channel, 0: nobody has published it
} card_memory;
static const card_memory memories[] = {
    {"sim:", "hbm2", 16, CHANNEL_ACCESSES_PER_S},
    {"sim:?channels=8", "hbm2", 8, CHANNEL_ACCESSES_PER_S},
    {"sim:?channels=4", "hbm2", 4, CHANNEL_ACCESSES_PER_S},
    {"sim:?memory=ddr4&channels=4", "ddr4", 4, 0},
};

typedef struct card_bench {
    bench *b;
    const card_memory *memory;
    const card_shape *shape;
    cst_device *device;
    cst_queue *queue;
    cst_driver *driver;
    cst_device_table *table;
    cst_schema keys;
    uint64_t entries;
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

static cst_table_options table_options(const card_bench *c) {
    cst_table_options options = {
        .layout = CST_TABLE_INLINE,
        .key_bytes = c->shape->key_bytes,
        .program = {.value_bytes = c->shape->value_bytes,
                    .accumulators_count = (uint16_t)c->shape->accumulators,
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
        .budget_bytes = c->entries * 2 * c->shape->entry_bytes + (UINT64_C(256) << 20),
        .rows_hint = c->entries,
        .numa_node = -1,
    };

    if (c->shape->key_bytes == 16)
        for (uint32_t i = 4; i < 8; i++) options.program.accumulators[i].source = 0;
    return options;
}

// What stands in the table and is hashed: the key's values, high byte first.
static void key_encode(const card_bench *c, uint64_t rank, uint64_t out[2]) {
    const uint64_t key = key_of(c, rank);

    out[0] = __builtin_bswap64(key);
    out[1] = __builtin_bswap64(~key);
}

static uint64_t hash_of(const card_bench *c, uint64_t rank) {
    static const cst_hash_key hash_key = {1, 2}; // table_options
    uint64_t key[2];

    key_encode(c, rank, key);
    return cst_hash(&hash_key, (const uint8_t *)key, c->shape->key_bytes);
}

// The processor puts the rows into the image, which is the card's memory.
static cst_code table_fill(const card_bench *c, cst_err *err) {
    cst_table *image = cst_device_table_image(c->table);
    const cst_source sources[2] = {{column_of(c, 1), NULL, CST_TYPE_U64},
                                   {column_of(c, 2), NULL, CST_TYPE_U64}};
    const uint32_t words = c->shape->key_bytes / 8;
    uint64_t keys[2 * 1024 + 1], hashes[1024];
    cst_code code = CST_OK;

    for (uint64_t at = 0; at < c->entries && code == CST_OK;) {
        const uint64_t left = c->entries - at;
        const uint32_t count = left < 1024 ? (uint32_t)left : 1024;
        const cst_rows rows = {.rows_count = count,
                               .key_stride = c->shape->key_bytes,
                               .key_bytes = c->shape->key_bytes,
                               .keys = (const uint8_t *)keys,
                               .hashes = hashes,
                               .sources = sources};
        uint32_t applied;

        for (uint32_t r = 0; r < count; r++) {
            key_encode(c, at + r, &keys[(size_t)r * words]);
            hashes[r] = hash_of(c, at + r);
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

static cst_code table_open(card_bench *c, uint64_t entries, const card_shape *shape, cst_err *err) {
    cst_table_options options;
    cst_code code;

    c->entries = entries;
    c->shape = shape;
    options = table_options(c);
    code = bench_memory_check(entries * 2 * shape->entry_bytes, err);
    if (code == CST_OK)
        code = cst_schema_parse(shape->key_bytes == 16 ? "u128" : "u64", &c->keys, err);
    if (code == CST_OK) code = cst_device_table_open(c->queue, &options, &c->keys, &c->table, err);
    if (code == CST_OK) code = table_fill(c, err);
    return code;
}

// ---- Updates ------------------------------------------------------------------------------------

// Who knows the hash's key finds keys that share a segment and a few of its buckets: so many low
// bits alike that the table has some hundreds of such keys, and an eighth of the segment's buckets.
static void adversaries_find(const card_bench *c, uint64_t ranks[ADVERSARIES]) {
    const uint64_t target = hash_of(c, 0);
    uint64_t mask = 1;
    uint32_t found = 0;

    while (c->entries / (mask + 1) >= 16 * ADVERSARIES) mask = mask * 2 + 1;
    for (uint64_t rank = 0; rank < c->entries && found < ADVERSARIES; rank++) {
        const uint64_t differs = hash_of(c, rank) ^ target;
        const uint64_t bucket =
            differs >> CSTI_DIRECTORY_DEPTH_MAX & ((1u << CSTI_BUCKET_BITS) - 1);

        if ((differs & mask) == 0 && bucket >> (CSTI_BUCKET_BITS - 3) == 0) ranks[found++] = rank;
    }
    assert(found > 0); // rank 0 is one
    for (uint32_t i = found; i < ADVERSARIES; i++) ranks[i] = ranks[i % found];
}

static void key_put(const card_bench *c, uint32_t r, uint64_t rank) {
    const uint64_t key = key_of(c, rank);

    if (c->shape->key_bytes == 8) {
        column_of(c, 0)[r] = key;
    } else { // the low half first
        column_of(c, LONG_KEYS)[2 * r] = ~key;
        column_of(c, LONG_KEYS)[2 * r + 1] = key;
    }
}

static void rows_draw(const card_bench *c, card_skew skew, uint32_t rows) {
    uint64_t adversaries[ADVERSARIES];
    csti_zipf zipf;

    csti_zipf_init(&zipf, c->entries, c->b->skew);
    if (skew == ADVERSARIAL) adversaries_find(c, adversaries);
    for (uint32_t r = 0; r < rows; r++) {
        const uint64_t random = csti_splitmix64(c->b->seed ^ (UINT64_C(1) << 40 | r));
        uint64_t rank = 0;

        if (skew == UNIFORM) rank = random % c->entries;
        if (skew == ZIPF) rank = csti_zipf_rank(&zipf, random) - 1;
        if (skew == TWO_KEYS) rank = r & 1;
        if (skew == ADVERSARIAL) rank = adversaries[random % ADVERSARIES];
        key_put(c, r, rank);
    }
}

// Rows [from, from + rows) of the keys that were drawn.
static cst_column_data key_column(const card_bench *c, uint32_t from, uint32_t rows) {
    const uint64_t *keys = c->shape->key_bytes == 8 ? column_of(c, 0) + from
                                                    : column_of(c, LONG_KEYS) + 2 * (size_t)from;

    return (cst_column_data){.values = {keys, (size_t)rows * c->shape->key_bytes}};
}

// Commands of rows [from, to), as many in flight as the queue takes; a seal behind every
// SEAL_COMMANDS of them.
static cst_code rows_apply(card_bench *c, uint32_t from, uint32_t to, cst_err *err) {
    const cst_source sources[2] = {{column_of(c, 1), NULL, CST_TYPE_U64},
                                   {column_of(c, 2), NULL, CST_TYPE_U64}};
    cst_column_data columns[COMMANDS_MAX];
    cst_batch batches[COMMANDS_MAX];
    uint32_t submitted = from, flying = 0;
    bool seals = false;
    cst_code code = CST_OK;

    while ((submitted < to || seals || flying > 0) && code == CST_OK) {
        cst_completion completion;
        uint32_t count = 0;

        while ((submitted < to || seals) && flying < DEPTH) {
            const uint32_t n = submitted / COMMAND_ROWS;
            cst_command command = {.ops = CST_OP_BARRIER, .table = c->table};

            if (!seals) {
                columns[n] = key_column(c, submitted, COMMAND_ROWS);
                batches[n] = (cst_batch){.schema = &c->keys,
                                         .rows_count = COMMAND_ROWS,
                                         .columns = &columns[n]};
                command = (cst_command){.ops = CST_OP_ENCODE | CST_OP_HASH | CST_OP_APPLY,
                                        .table = c->table,
                                        .batch = &batches[n],
                                        .rows = {.rows_count = COMMAND_ROWS, .sources = sources}};
                submitted += COMMAND_ROWS;
            }
            seals = !seals && submitted / COMMAND_ROWS % SEAL_COMMANDS == 0;
            code = cst_driver_submit(c->driver, &command, NULL, err);
            if (code != CST_OK) return code;
            flying++;
        }
        code = cst_driver_poll(c->driver, UINT64_MAX, &completion, 1, &count, err);
        if (code == CST_OK && count == 1 && completion.code != CST_OK)
            return cst_fail(err, completion.code, "row %u of the card", completion.rows_done);
        flying -= count;
    }
    return code;
}

static uint32_t rows_count_of(const card_bench *c) {
    const uint64_t rows = c->entries / COMMAND_ROWS * COMMAND_ROWS;

    return rows < ROWS_MIN ? ROWS_MIN : rows > ROWS_MAX ? ROWS_MAX : (uint32_t)rows;
}

static void params_of(const card_bench *c, bench_params *params) {
    bench_params_u64(params, "entries", c->entries);
    bench_params_u64(params, "entry_bytes", c->shape->entry_bytes);
    bench_params_u64(params, "key_bytes", c->shape->key_bytes);
    bench_params_text(params, "memory", c->memory->name);
    bench_params_u64(params, "channels", c->memory->channels);
}

// What each clock was in which no operation was issued: docs/hardware.md, Counters.
static void update_line(const card_bench *c, card_skew skew, uint32_t rows, uint64_t cycles,
                        double seconds, const cst_counter *counted, size_t counters) {
    const double clock_hz = clock_mhz(c) * 1e6;
    const double accesses = (double)(counted[14].value + counted[15].value) / rows;
    const double memory_rate = c->memory->accesses_per_s * c->memory->channels / clock_hz;
    bench_params params = {0};
    char fields[1536];
    int used =
        snprintf(fields, sizeof fields,
                 "\"updates_per_clock\":%.3f,\"updates_per_s\":%.4g,"
                 "\"updates_per_s_waited\":%.4g",
                 (double)rows / (double)cycles, rows / (double)cycles * clock_hz, rows / seconds);

    if (accesses > 0.01 && memory_rate > 0) {
        const double bound = memory_rate / accesses;

        used += snprintf(fields + used, sizeof fields - (size_t)used,
                         ",\"bound_by_memory\":%.2f,\"share_of_bound\":%.3f", bound,
                         rows / (double)cycles / (bound < 1 ? bound : 1));
    }
    for (size_t i = 0; i < counters && i < COUNTERS; i++)
        used += snprintf(fields + used, sizeof fields - (size_t)used, ",\"%s\":%" PRIu64,
                         counted[i].name, counted[i].value);
    params_of(c, &params);
    bench_params_text(&params, "workload", skew_names[skew]);
    bench_params_u64(&params, "rows", rows);
    line(c, "rtl.update", &params, cycles, fields);
}

static cst_code measure_update(card_bench *c, card_skew skew, cst_err *err) {
    const uint32_t rows = rows_count_of(c), counted = rows - COMMAND_ROWS;
    cst_counter before[COUNTERS] = {0}, after[COUNTERS] = {0};
    size_t counters = 0;
    uint64_t cycles, from_ns;
    cst_code code;

    rows_draw(c, skew, rows);
    code = rows_apply(c, 0, COMMAND_ROWS, err); // opens the card, loads the table
    if (code != CST_OK) return code;
    cst_queue_counters(c->queue, before, COUNTERS, &counters);
    cycles = clocks_of(c);
    from_ns = bench_now_ns();
    code = rows_apply(c, COMMAND_ROWS, rows, err);
    cycles = clocks_of(c) - cycles;
    cst_queue_counters(c->queue, after, COUNTERS, &counters);
    if (code != CST_OK) return code;
    for (size_t i = 0; i < counters && i < COUNTERS; i++) after[i].value -= before[i].value;
    update_line(c, skew, counted, cycles, (double)(bench_now_ns() - from_ns) / 1e9, after,
                counters);
    return CST_OK;
}

// ---- Look-ups at low load -----------------------------------------------------------------------

// One at a time: the clocks in which the unit has it. Those whose directory row is on chip wait for
// memory twice, for lines and for an entry.
static cst_code lookup_once(card_bench *c, uint32_t row, uint64_t *cycles_out, bool *row_read_out,
                            cst_err *err) {
    const cst_column_data column = key_column(c, row, 1);
    const cst_batch batch = {.schema = &c->keys, .rows_count = 1, .columns = &column};
    cst_counter before[COUNTERS] = {0}, after[COUNTERS] = {0};
    uint8_t value[64], found = 0;
    cst_completion done;
    size_t counters = 0;
    cst_code code;

    cst_queue_counters(c->queue, before, COUNTERS, &counters);
    code = cst_device_run(c->queue,
                          &(cst_command){.ops = CST_OP_ENCODE | CST_OP_HASH | CST_OP_LOOKUP,
                                         .table = c->table,
                                         .batch = &batch,
                                         .rows = {.rows_count = 1},
                                         .values_out = value,
                                         .values_stride = sizeof value,
                                         .found_out = &found},
                          &done, err);
    if (code == CST_OK && (done.code != CST_OK || !found))
        return cst_fail(err, CST_INTERNAL, "a look-up of the card found nothing");
    cst_queue_counters(c->queue, after, COUNTERS, &counters);
    *cycles_out = after[24].value - before[24].value;
    *row_read_out = after[8].value != before[8].value;
    return code;
}

// A read that finds its bank closed, from the port's own channel.
static double memory_latency_clocks(const card_bench *c) {
    const cst_sim_parameter *table = NULL;
    const size_t count = cst_sim_parameters(&table);
    static const char *const parts[] = {"path_ps", "shell_ps", "switch_ps", "rcd_ps", "cl_ps"};
    double ps = 0;

    for (size_t i = 0; i < count; i++) {
        if (strcmp(table[i].model, c->memory->name) != 0) continue;
        for (size_t p = 0; p < sizeof parts / sizeof *parts; p++)
            if (strcmp(table[i].name, parts[p]) == 0) ps += (double)table[i].value;
        if (strcmp(table[i].name, "burst_ps") == 0) // a beat of 64 bytes
            ps += (double)table[i].value * (strcmp(c->memory->name, "hbm2") == 0 ? 2 : 1);
    }
    return ps * clock_mhz(c) / 1e6;
}

static cst_code measure_lookup(card_bench *c, cst_err *err) {
    const double latency = memory_latency_clocks(c);
    uint64_t sum = 0, most = 0, count = 0;
    bench_params params = {0};
    char fields[256];

    rows_draw(c, UNIFORM, 2 * LOOKUPS);
    for (uint32_t r = 0; r < 2 * LOOKUPS; r++) {
        uint64_t cycles = 0;
        bool row_read = false;
        // A key's first look-up brings its row on chip, the second is counted.
        const cst_code code = lookup_once(c, r / 2, &cycles, &row_read, err);

        if (code != CST_OK) return code;
        if (r % 2 == 0 || row_read) continue;
        sum += cycles;
        count++;
        if (cycles > most) most = cycles;
    }
    if (count == 0) return CST_OK;
    params_of(c, &params);
    (void)snprintf(fields, sizeof fields,
                   "\"mean\":%.1f,\"max\":%" PRIu64 ",\"lookups\":%" PRIu64
                   ",\"memory_latency\":%.1f,\"target\":%.0f",
                   (double)sum / (double)count, most, count, latency, 2 * latency + 64);
    line(c, "rtl.lookup", &params, most, fields);
    return CST_OK;
}

// ---- Barriers -----------------------------------------------------------------------------------

// From the completion of the rows before it to its own: it waits for what they left to be written.
static cst_code barrier_once(card_bench *c, uint32_t rows, uint64_t *cycles_out, cst_err *err) {
    const cst_column_data column = key_column(c, 0, rows);
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
    const uint32_t wanted = rows_count_of(c) / 2; // of up to 16 bytes
    const uint32_t rows = wanted < KEYS_MAX ? wanted : KEYS_MAX;
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

// Look-ups and barriers stand for all entries that the first shape has.
static cst_code measure_table(card_bench *c, cst_err *err) {
    cst_code code = cst_driver_open(c->queue, &c->driver, err);

    for (card_skew skew = UNIFORM; skew < c->shape->skews && code == CST_OK; skew++)
        if (bench_wanted(c->b, "rtl.update")) code = measure_update(c, skew, err);
    if (code == CST_OK && c->shape == shapes && bench_wanted(c->b, "rtl.barrier")) {
        code = measure_barrier(c, COMMAND_ROWS / 16, err);
        if (code == CST_OK) code = measure_barrier(c, COMMAND_ROWS, err);
    }
    cst_driver_close(c->driver);
    c->driver = NULL;
    if (code == CST_OK && c->shape == shapes && bench_wanted(c->b, "rtl.lookup"))
        code = measure_lookup(c, err);
    return code;
}

static cst_code measure_tables(card_bench *c, cst_err *err) {
    cst_code code = CST_OK;

    for (uint32_t r = 0; r < ROWS_MAX; r++) column_of(c, 1)[r] = column_of(c, 2)[r] = r & 1023;
    for (size_t i = 0; i < c->b->sizes_count && code == CST_OK; i++)
        for (size_t s = 0; s < sizeof shapes / sizeof *shapes && code == CST_OK; s++) {
            code = table_open(c, c->b->sizes[i], &shapes[s], err);
            if (code == CST_OK) code = measure_table(c, err);
            table_close(c);
        }
    return code;
}

// Uniform updates over less memory: what units that share it would get.
static cst_code measure_memory(card_bench *c, cst_err *err) {
    cst_code code = table_open(c, c->b->sizes[0], &uniform_shape, err);

    if (code == CST_OK) code = measure_table(c, err);
    table_close(c);
    return code;
}

static void print_peer(bench *b) {
    bench_params params = {0};
    char fields[256];

    bench_params_u64(&params, "key_bytes", 8);
    bench_params_u64(&params, "value_bytes", 8);
    (void)snprintf(fields, sizeof fields,
                   "\"updates_per_s\":%.4g,\"published\":true,\"source\":\"KV-Direct, SOSP 2017, "
                   "abstract: up to 180 M operations a second of one NIC\"",
                   KV_DIRECT_PER_S);
    bench_numbers(b, "rtl.update", &params, "kv-direct", fields);
}

static cst_code measure_card(card_bench *c, const card_memory *memory, cst_err *err) {
    const cst_queue_options options = {.depth = DEPTH};
    const bool first = memory == memories;
    bench *b = c->b;
    cst_code code = cst_device_open(memory->uri, &c->device, err);

    if (code != CST_OK) return code;
    c->memory = memory;
    code = cst_queue_open(c->device, &options, &c->queue, err);
    c->entries = b->sizes[0];
    if (code == CST_OK && first && bench_wanted(b, "rtl.encode")) code = measure_encode(c, err);
    if (code == CST_OK && first &&
        (bench_wanted(b, "rtl.update") || bench_wanted(b, "rtl.barrier") ||
         bench_wanted(b, "rtl.lookup")))
        code = measure_tables(c, err);
    if (code == CST_OK && !first && bench_wanted(b, "rtl.update")) code = measure_memory(c, err);
    cst_queue_close(c->queue);
    cst_device_close(c->device);
    return code;
}

cst_code bench_card(bench *b, cst_err *err) {
    card_bench c = {.b = b, .shape = shapes};
    cst_code code =
        bench_memory_take(&c.columns, (size_t)COLUMNS * ROWS_MAX * sizeof(uint64_t), err);

    for (size_t m = 0; m < sizeof memories / sizeof *memories && code == CST_OK; m++)
        code = measure_card(&c, &memories[m], err);
    if (code == CST_OK && bench_wanted(b, "rtl.update")) print_peer(b);
    bench_memory_give(&c.columns);
    return code;
}
