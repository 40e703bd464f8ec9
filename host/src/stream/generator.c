#include <constellation/generator.h>

#include "stream/zipf.h"

#include <constellation/keys.h>

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    GENERATOR_COLUMNS_MAX = 6,
    TEXT_BYTES_MAX = 10, // longest string value: "sku-000000"
    AT_STEP_US = 10,     // 100,000 rows a second of event time
    AT_LATE_US = 5000,   // a row is at most this late
    ITEMS_COUNT = 50000,
};

static const int64_t at_first_us = INT64_C(1767225600000000); // 2026-01-01T00:00:00Z

typedef struct workload workload;
typedef void (*workload_fill)(cst_generator *generator, uint64_t first_row, uint32_t rows_count);

struct workload {
    const char *name;
    const char *schema;
    const char *columns[GENERATOR_COLUMNS_MAX];
    double skew;      // default
    bool skew_chosen; // whether it can be
    uint64_t keys;    // default; 0: cannot be chosen
    workload_fill fill;
};

struct cst_generator {
    const workload *work;
    cst_schema schema;
    cst_generator_options chosen;
    uint64_t seed;
    uint64_t keys;
    uint64_t next_row;
    csti_zipf zipf;
    bool uniform;
    void *values[GENERATOR_COLUMNS_MAX];
    uint64_t *bases;  // see ranks_fill
    int32_t *offsets; // of the one string column
    cst_column_data columns[GENERATOR_COLUMNS_MAX];
};

// The draws of a row: each column has its own, so that adding a column changes no other.
typedef enum draw { DRAW_KEY, DRAW_TIME, DRAW_BIDDER, DRAW_PRICE, DRAW_CHANNEL, DRAW_ITEM } draw;

// What all draws of a row begin with.
static inline uint64_t row_base(const cst_generator *generator, uint64_t row) {
    return csti_splitmix64(generator->seed ^ csti_splitmix64(row));
}

static inline uint64_t row_draw(uint64_t base, draw which) {
    return csti_splitmix64(base + ((uint64_t)which << 56));
}

// Ranks of rows that follow each other, and what the other draws of these rows begin with.
static void ranks_fill(cst_generator *generator, uint64_t first_row, uint32_t rows_count,
                       uint64_t *out) {
    uint64_t *bases = generator->bases;

    _Static_assert(DRAW_KEY == 0, "a row's base is the state of its first draw");
    for (uint32_t i = 0; i < rows_count; i++) bases[i] = row_base(generator, first_row + i);
    if (!generator->uniform) {
        csti_zipf_ranks(&generator->zipf, bases, rows_count, out);
        return;
    }
    for (uint32_t i = 0; i < rows_count; i++)
        out[i] = 1 + csti_bounded(csti_splitmix64(bases[i]), generator->keys);
}

static inline int64_t row_at(uint64_t base, uint64_t row) {
    const uint64_t late_us = csti_bounded(row_draw(base, DRAW_TIME), AT_LATE_US);

    return at_first_us + (int64_t)(row * AT_STEP_US) - (int64_t)late_us;
}

static void fill_bids(cst_generator *generator, uint64_t first_row, uint32_t rows_count) {
    static const char channels[8][8] = {"web", "web", "web", "app", "app", "api", "tv", "partner"};
    uint64_t *auction = generator->values[0];
    uint64_t *bidder = generator->values[1];
    uint64_t *price = generator->values[2];
    char *channel = generator->values[3];
    int64_t *at = generator->values[4];
    int32_t used = 0;

    ranks_fill(generator, first_row, rows_count, auction);
    for (uint32_t i = 0; i < rows_count; i++) {
        const uint64_t row = first_row + i;
        const uint64_t base = generator->bases[i];
        const uint64_t random = row_draw(base, DRAW_PRICE);
        const char *name = channels[row_draw(base, DRAW_CHANNEL) >> 61];
        const size_t name_bytes = strnlen(name, sizeof channels[0]);

        auction[i] += 1000;
        bidder[i] = 1 + csti_bounded(row_draw(base, DRAW_BIDDER), generator->keys * 10);
        // The product of two draws: many small prices, few large, 1.00 to 10,000.99.
        price[i] = 100 + csti_bounded(random << 32, csti_bounded(random, 1000000) + 1);
        generator->offsets[i] = used;
        memcpy(channel + used, name, name_bytes);
        used += (int32_t)name_bytes;
        at[i] = row_at(base, row);
    }
    generator->offsets[rows_count] = used;
}

static void fill_orders(cst_generator *generator, uint64_t first_row, uint32_t rows_count) {
    uint64_t *order = generator->values[0];
    uint64_t *customer = generator->values[1];
    char *item = generator->values[2];
    uint32_t *quantity = generator->values[3];
    uint8_t *amount = generator->values[4];
    int64_t *at = generator->values[5];

    ranks_fill(generator, first_row, rows_count, customer);
    for (uint32_t i = 0; i < rows_count; i++) {
        const uint64_t row = first_row + i;
        const uint64_t base = generator->bases[i];
        const uint64_t random = row_draw(base, DRAW_ITEM);
        uint64_t number = csti_bounded(random, ITEMS_COUNT);
        const uint64_t unit_cents = 99 + 50 * (csti_splitmix64(number) & 0xff);
        char *text = item + (size_t)i * TEXT_BYTES_MAX;
        cst_i128 cents;

        order[i] = row + 1;
        quantity[i] = 1 + (uint32_t)(random & 7);
        cents = (cst_i128)(unit_cents * quantity[i]);
        memcpy(amount + (size_t)i * sizeof cents, &cents, sizeof cents);
        memcpy(text, "sku-", 4);
        for (int digit = TEXT_BYTES_MAX - 1; digit >= 4; digit--, number /= 10)
            text[digit] = (char)('0' + number % 10);
        generator->offsets[i] = (int32_t)i * TEXT_BYTES_MAX;
        at[i] = row_at(base, row);
    }
    generator->offsets[rows_count] = (int32_t)rows_count * TEXT_BYTES_MAX;
}

static void fill_pairs(cst_generator *generator, uint64_t first_row, uint32_t rows_count) {
    uint64_t *value = generator->values[1];
    int64_t *at = generator->values[2];

    ranks_fill(generator, first_row, rows_count, generator->values[0]);
    for (uint32_t i = 0; i < rows_count; i++) {
        const uint64_t row = first_row + i;
        const uint64_t base = generator->bases[i];

        value[i] = csti_bounded(row_draw(base, DRAW_PRICE), 1000000);
        at[i] = row_at(base, row);
    }
}

#define PAIR_COLUMNS                                                                               \
    .schema = "u64,u64,timestamp", .columns = {"key", "value", "at"}, .fill = fill_pairs
static const workload workloads[] = {
    {.name = "bids",
     .schema = "u64,u64,u64,string,timestamp",
     .columns = {"auction", "bidder", "price", "channel", "at"},
     .skew = 0.99,
     .skew_chosen = true,
     .keys = 100000,
     .fill = fill_bids},
    {.name = "orders",
     .schema = "u64,u64,string,u32,decimal128(2),timestamp",
     .columns = {"order", "customer", "item", "quantity", "amount", "at"},
     .skew = 0.99,
     .skew_chosen = true,
     .keys = 100000,
     .fill = fill_orders},
    {.name = "uniform", PAIR_COLUMNS, .keys = 1000000},
    {.name = "zipf", PAIR_COLUMNS, .keys = 1000000, .skew = 0.99, .skew_chosen = true},
    {.name = "one-key", PAIR_COLUMNS},
};
#undef PAIR_COLUMNS
enum { WORKLOADS_COUNT = sizeof workloads / sizeof *workloads };

const char *cst_generator_name(size_t index) {
    return index < WORKLOADS_COUNT ? workloads[index].name : NULL;
}

const cst_schema *cst_generator_schema(const cst_generator *generator) {
    return &generator->schema;
}

const char *cst_generator_column(const cst_generator *generator, uint32_t column) {
    return column < generator->schema.columns_count ? generator->work->columns[column] : NULL;
}

static const workload *workload_find(const char *name) {
    for (size_t i = 0; i < WORKLOADS_COUNT; i++)
        if (strcmp(name, workloads[i].name) == 0) return &workloads[i];
    return NULL;
}

static cst_code options_check(const workload *work, const cst_generator_options *options,
                              cst_err *err) {
    if (options->skew >= 0 && !work->skew_chosen)
        return cst_fail(err, CST_USAGE, "workload %s has no skew to choose", work->name);
    if (!(options->skew <= 10)) // NaN too
        return cst_fail(err, CST_USAGE, "a skew of %g: at most 10", options->skew);
    if (options->keys && !work->keys)
        return cst_fail(err, CST_USAGE, "workload %s has one key", work->name);
    if (options->keys > UINT64_C(1) << 40)
        return cst_fail(err, CST_USAGE, "%llu keys: at most 2^40",
                        (unsigned long long)options->keys);
    if (options->first_row > UINT64_C(1) << 56)
        return cst_fail(err, CST_USAGE, "first row %llu: at most 2^56",
                        (unsigned long long)options->first_row);
    return CST_OK;
}

static cst_code buffers_open(cst_generator *generator, cst_err *err) {
    generator->bases = malloc(CST_GENERATOR_ROWS_MAX * sizeof *generator->bases);
    if (!generator->bases) return cst_fail(err, CST_NO_MEMORY, "generator");
    for (uint32_t c = 0; c < generator->schema.columns_count; c++) {
        const uint32_t width = cst_column_value_bytes(&generator->schema.columns[c]);

        generator->values[c] =
            malloc((size_t)CST_GENERATOR_ROWS_MAX * (width ? width : (uint32_t)TEXT_BYTES_MAX));
        if (!generator->values[c]) return cst_fail(err, CST_NO_MEMORY, "generator column %u", c);
        if (width) continue;
        generator->offsets = malloc((CST_GENERATOR_ROWS_MAX + 1) * sizeof *generator->offsets);
        if (!generator->offsets) return cst_fail(err, CST_NO_MEMORY, "generator column %u", c);
    }
    return CST_OK;
}

cst_code cst_generator_open(const char *name, const cst_generator_options *options,
                            cst_generator **out, cst_err *err) {
    const workload *work = workload_find(name);
    cst_generator *generator = NULL;
    double skew;
    cst_code code;

    if (!work)
        return cst_fail(err, CST_NOT_FOUND,
                        "no workload '%s': there are bids, orders, uniform, zipf, one-key", name);
    code = options_check(work, options, err);
    if (code != CST_OK) return code;
    generator = calloc(1, sizeof *generator);
    if (!generator) return cst_fail(err, CST_NO_MEMORY, "generator %s", name);
    generator->work = work;
    generator->seed = options->seed;
    generator->next_row = options->first_row;
    generator->keys = options->keys ? options->keys : work->keys ? work->keys : 1;
    skew = options->skew >= 0 ? options->skew : work->skew;
    generator->uniform = !(skew > 0);
    generator->chosen = (cst_generator_options){.seed = options->seed,
                                                .skew = skew,
                                                .keys = generator->keys,
                                                .first_row = options->first_row};
    csti_zipf_init(&generator->zipf, generator->keys, skew);
    code = cst_schema_parse(work->schema, &generator->schema, err);
    if (code == CST_OK) code = buffers_open(generator, err);
    if (code != CST_OK) {
        cst_generator_close(generator);
        return code;
    }
    *out = generator;
    return CST_OK;
}

void cst_generator_close(cst_generator *generator) {
    if (!generator) return;
    for (size_t c = 0; c < GENERATOR_COLUMNS_MAX; c++) free(generator->values[c]);
    free(generator->offsets);
    free(generator->bases);
    free(generator);
}

cst_generator_options cst_generator_chosen(const cst_generator *generator) {
    return generator->chosen;
}

void cst_generator_seek(cst_generator *generator, uint64_t row) {
    generator->next_row = row;
}

cst_code cst_generator_next(cst_generator *generator, uint32_t rows_count, cst_batch *out) {
    if (rows_count == 0 || rows_count > CST_GENERATOR_ROWS_MAX) return CST_USAGE;
    generator->work->fill(generator, generator->next_row, rows_count);
    generator->next_row += rows_count;
    for (uint32_t c = 0; c < generator->schema.columns_count; c++) {
        const uint32_t width = cst_column_value_bytes(&generator->schema.columns[c]);
        cst_column_data *column = &generator->columns[c];

        *column = (cst_column_data){.values.data = generator->values[c]};
        column->values.bytes =
            width ? (size_t)width * rows_count : (size_t)generator->offsets[rows_count];
        if (width) continue;
        column->offsets.data = generator->offsets;
        column->offsets.bytes = (rows_count + 1) * sizeof *generator->offsets;
    }
    *out = (cst_batch){.schema = &generator->schema,
                       .rows_count = rows_count,
                       .columns = generator->columns};
    return CST_OK;
}
