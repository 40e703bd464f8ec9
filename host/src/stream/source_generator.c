// source_generator.c: a workload's rows, dealt out to stripes in blocks.
//
//   block   0    1    2    3    4    5        rows 0.. | 8192.. | 16384.. | ...
//   S = 2   s0   s1   s0   s1   s0   s1
#include "base/crc32c.h"
#include "stream/source_kind.h"
#include "stream/source_offset.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct generator_source {
    csti_source source;
    char workload[CSTI_COLUMN_NAME_BYTES];
    cst_generator_options generate;
    cst_generator_options chosen;
    uint64_t rows_end; // UINT64_MAX: none
} generator_source;

typedef struct generator_split {
    csti_split split;
    cst_generator *generator;
    uint64_t row;       // the next; always one of this stripe's
    uint64_t batch_row; // the first of the last batch
    csti_split_stats stats;
    char offset[CSTI_OFFSET_BYTES_MAX]; // as it was asked for last
} generator_split;

#define GENERATOR_ROW_MAX (UINT64_C(1) << 56)
static const char *const offset_names[] = {"row", "stripes", "workload", "seed", "keys", "skew"};
enum {
    OFFSET_ROW,
    OFFSET_STRIPES,
    OFFSET_WORKLOAD, // the CRC32C of its name; this and the others may be missing
    OFFSET_SEED,
    OFFSET_KEYS,
    OFFSET_SKEW, // the bits of a double
    OFFSET_FIELDS,
    OFFSET_NEEDED = OFFSET_WORKLOAD
};

static const generator_source *source_of(const generator_split *split) {
    return (const generator_source *)split->split.source;
}

// The first row at or behind `row` that is the stripe's.
static uint64_t stripe_row(const generator_split *split, uint64_t row) {
    const uint64_t stripes = split->split.source->splits_count;
    const uint64_t block = row / CSTI_STRIPE_ROWS;
    const uint64_t ahead = (split->split.index + stripes - block % stripes) % stripes;

    return ahead ? (block + ahead) * CSTI_STRIPE_ROWS : row;
}

// Rows of the stripe before `end`.
static uint64_t stripe_rows_before(const generator_split *split, uint64_t end) {
    const uint64_t stripes = split->split.source->splits_count;
    const uint64_t rounds = end / (CSTI_STRIPE_ROWS * stripes);
    const uint64_t rest = end % (CSTI_STRIPE_ROWS * stripes);
    const uint64_t from = (uint64_t)split->split.index * CSTI_STRIPE_ROWS;
    const uint64_t more = rest > from ? rest - from : 0;

    return rounds * CSTI_STRIPE_ROWS + (more < CSTI_STRIPE_ROWS ? more : CSTI_STRIPE_ROWS);
}

static void split_close(csti_split *base) {
    generator_split *split = (generator_split *)base;

    cst_generator_close(split->generator);
    free(split);
}

static uint64_t workload_crc(const char *name) {
    return csti_crc32c(0, name, strlen(name));
}

static double skew_of(uint64_t bits) {
    double skew;

    memcpy(&skew, &bits, sizeof skew);
    return skew;
}

static void offset_fill(const generator_split *split, uint64_t out[OFFSET_FIELDS]) {
    const generator_source *source = source_of(split);

    out[OFFSET_ROW] = split->row;
    out[OFFSET_STRIPES] = source->source.splits_count;
    out[OFFSET_WORKLOAD] = workload_crc(source->workload);
    out[OFFSET_SEED] = source->chosen.seed;
    out[OFFSET_KEYS] = source->chosen.keys;
    memcpy(&out[OFFSET_SKEW], &source->chosen.skew, sizeof out[OFFSET_SKEW]);
}

// The rows behind the offset would be those of another stream.
static cst_code stream_compare(const generator_source *source, const uint64_t *was,
                               const uint64_t *now, cst_err *err) {
    static const char rule[] = "its rows are others from here on. Put it back, or start anew.";
    const char *name = NULL;

    if (was[OFFSET_WORKLOAD] != now[OFFSET_WORKLOAD]) {
        for (size_t i = 0; (name = cst_generator_name(i)) != NULL; i++)
            if (workload_crc(name) == was[OFFSET_WORKLOAD]) break;
        return cst_fail(err, CST_SOURCE_CHANGED, "its name was %s, now it is %s: %s",
                        name ? name : "another one", source->workload, rule);
    }
    if (was[OFFSET_SKEW] != now[OFFSET_SKEW])
        return cst_fail(err, CST_SOURCE_CHANGED, "its skew was %g, now it is %g: %s",
                        skew_of(was[OFFSET_SKEW]), skew_of(now[OFFSET_SKEW]), rule);
    for (uint32_t f = OFFSET_SEED; f <= OFFSET_KEYS; f++)
        if (was[f] != now[f])
            return cst_fail(err, CST_SOURCE_CHANGED,
                            "its %s was %" PRIu64 ", now it is %" PRIu64 ": %s", offset_names[f],
                            was[f], now[f], rule);
    return CST_OK;
}

static cst_code offset_take(generator_split *split, const char *offset, cst_err *err) {
    const uint32_t stripes = split->split.source->splits_count;
    uint64_t values[OFFSET_FIELDS];
    uint64_t now[OFFSET_FIELDS];
    cst_code code;

    offset_fill(split, now);
    memcpy(values, now, sizeof values);
    code = csti_offset_read(offset, offset_names, values, OFFSET_NEEDED, OFFSET_FIELDS, err);
    if (code == CST_OK) code = stream_compare(source_of(split), values, now, err);
    if (code != CST_OK) return code;
    if (values[OFFSET_STRIPES] != stripes)
        return cst_fail(err, CST_SOURCE_CHANGED,
                        "its rows were dealt to %" PRIu64 " stripes, now to %u. Use as many again",
                        values[OFFSET_STRIPES], stripes);
    if (values[OFFSET_ROW] > GENERATOR_ROW_MAX)
        return cst_fail(err, CST_PARSE, "row %" PRIu64 " is none", values[OFFSET_ROW]);
    split->row = values[OFFSET_ROW];
    return CST_OK;
}

static cst_code split_open(csti_source *base, uint32_t index, const char *offset, csti_split **out,
                           cst_err *err) {
    const generator_source *source = (const generator_source *)base;
    generator_split *split = calloc(1, sizeof *split);
    cst_code code = CST_OK;

    if (!split) return cst_fail(err, CST_NO_MEMORY, "a split");
    split->split = (csti_split){.source = base, .index = index};
    if (offset) code = offset_take(split, offset, err);
    if (code == CST_OK)
        code = cst_generator_open(source->workload, &source->generate, &split->generator, err);
    if (code != CST_OK) {
        split_close(&split->split);
        return code;
    }
    split->row = stripe_row(split, split->row);
    *out = &split->split;
    return CST_OK;
}

static uint64_t batch_bytes(const cst_batch *batch) {
    uint64_t bytes = 0;

    for (uint32_t c = 0; c < batch->schema->columns_count; c++)
        bytes += batch->columns[c].values.bytes + batch->columns[c].offsets.bytes;
    return bytes;
}

static cst_code split_next(csti_split *base, uint32_t rows_max, cst_batch *out, bool *ended_out,
                           cst_err *err) {
    generator_split *split = (generator_split *)base;
    const generator_source *source = source_of(split);
    const uint64_t block_end = (split->row / CSTI_STRIPE_ROWS + 1) * CSTI_STRIPE_ROWS;
    uint64_t end = split->row + rows_max;
    cst_code code;

    *ended_out = split->row >= source->rows_end;
    if (*ended_out) {
        *out = (cst_batch){.schema = &base->source->shape.schema};
        return CST_OK;
    }
    if (base->source->splits_count > 1 && end > block_end) end = block_end;
    if (end > source->rows_end) end = source->rows_end;
    cst_generator_seek(split->generator, source->generate.first_row + split->row);
    code = cst_generator_next(split->generator, (uint32_t)(end - split->row), out);
    if (code != CST_OK) return cst_fail(err, code, "generator %s", source->workload);
    out->schema = &base->source->shape.schema;
    split->stats.rows += out->rows_count;
    split->stats.bytes += batch_bytes(out);
    split->batch_row = split->row;
    split->row = stripe_row(split, end);
    return CST_OK;
}

static cst_code split_row_fail(csti_split *base, uint32_t row, cst_code code, cst_err *err) {
    return cst_fail_at(err, code, "row %" PRIu64, ((generator_split *)base)->batch_row + row);
}

static const char *split_offset(csti_split *base) {
    generator_split *split = (generator_split *)base;
    uint64_t values[OFFSET_FIELDS];

    offset_fill(split, values);
    csti_offset_write(offset_names, values, OFFSET_FIELDS, split->offset);
    return split->offset;
}

static void split_stats(const csti_split *base, csti_split_stats *out) {
    const generator_split *split = (const generator_split *)base;
    const uint64_t end = source_of(split)->rows_end;

    *out = split->stats;
    if (end != UINT64_MAX && split->row < end)
        out->lag_bytes = stripe_rows_before(split, end) - stripe_rows_before(split, split->row);
}

static void source_close(csti_source *base) {
    free(base->names);
    free(base);
}

static const csti_source_ops generator_ops = {
    .close = source_close,
    .split_open = split_open,
    .split_close = split_close,
    .split_next = split_next,
    .split_offset = split_offset,
    .split_stats = split_stats,
};

// The workload's own columns; opening it also checks the options.
static cst_code shape_fill(generator_source *source, cst_err *err) {
    csti_row_shape *shape = &source->source.shape;
    cst_generator *generator = NULL;
    const cst_code code = cst_generator_open(source->workload, &source->generate, &generator, err);

    if (code != CST_OK) return code;
    source->chosen = cst_generator_chosen(generator);
    shape->schema = *cst_generator_schema(generator);
    for (uint32_t c = 0; c < shape->schema.columns_count; c++)
        (void)snprintf(shape->names[c], sizeof shape->names[c], "%s",
                       cst_generator_column(generator, c));
    cst_generator_close(generator);
    return CST_OK;
}

cst_code csti_generator_source_open(const csti_source_options *options, csti_source **out,
                                    cst_err *err) {
    generator_source *source = NULL;
    cst_code code = CST_OK;

    if (options->stripes < 1 || options->stripes > CSTI_STRIPES_MAX)
        return cst_fail(err, CST_USAGE, "generator %s: %u stripes: 1 to %d", options->generator,
                        options->stripes, CSTI_STRIPES_MAX);
    source = calloc(1, sizeof *source);
    if (!source) return cst_fail(err, CST_NO_MEMORY, "a source");
    source->source = csti_source_base(options, &generator_ops, split_row_fail);
    source->source.splits_count = options->stripes;
    source->generate = options->generate;
    source->rows_end = options->rows ? options->rows : UINT64_MAX;
    (void)snprintf(source->workload, sizeof source->workload, "%s", options->generator);
    source->source.names = calloc(options->stripes, sizeof *source->source.names);
    if (!source->source.names) code = cst_fail(err, CST_NO_MEMORY, "names of splits");
    if (code == CST_OK) code = shape_fill(source, err);
    for (uint32_t s = 0; code == CST_OK && s < options->stripes; s++)
        (void)snprintf(source->source.names[s], sizeof source->source.names[s], "generator-%u", s);
    return csti_source_give(&source->source, code, out);
}
