#include "cli/bench_feed.h"

#include "stream/source_kind.h"
#include "stream/source_offset.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { MAKE_ROWS = 8192 };

// ---- Rows made before ---------------------------------------------------------------------------

cst_code bench_rows_make(bench_rows *rows, const bench *b, const char *workload, uint64_t entries,
                         uint64_t count, cst_err *err) {
    const bool zipf = strcmp(workload, "zipf") == 0;
    const cst_generator_options options = {.seed = b->seed,
                                           .skew = zipf ? b->skew : -1,
                                           .keys = entries};
    cst_generator *generator = NULL;
    cst_code code = cst_generator_open(workload, &options, &generator, err);

    *rows = (bench_rows){.count = count};
    if (code == CST_OK) code = bench_memory_take(&rows->memory, count * 2 * sizeof(uint64_t), err);
    if (code == CST_OK) {
        rows->keys = (uint64_t *)(void *)rows->memory.base;
        rows->values = rows->keys + count;
    }
    for (uint64_t at = 0; at < count && code == CST_OK; at += MAKE_ROWS) {
        const uint64_t n = count - at < MAKE_ROWS ? count - at : MAKE_ROWS;
        cst_batch batch;

        code = cst_generator_next(generator, (uint32_t)n, &batch);
        if (code != CST_OK) break;
        memcpy(rows->keys + at, batch.columns[0].values.data, n * sizeof(uint64_t));
        memcpy(rows->values + at, batch.columns[1].values.data, n * sizeof(uint64_t));
    }
    cst_generator_close(generator);
    if (code != CST_OK) bench_rows_free(rows);
    return code;
}

void bench_rows_free(bench_rows *rows) {
    bench_memory_give(&rows->memory);
    *rows = (bench_rows){0};
}

// ---- A source -----------------------------------------------------------------------------------

typedef struct feed_source {
    csti_source source;
    bench_feed *feed;
    csti_source *generator;
} feed_source;

enum { COLUMN_KEY, COLUMN_VALUE, COLUMN_AT, COLUMNS };

typedef struct feed_split {
    csti_split split;
    bench_feed *feed;
    csti_split *generator;
    uint64_t from, to, at; // of feed->rows
    csti_split_stats stats;
    uint64_t *keys; // of a batch: where they are not taken as they lie
    int64_t *times; // of a batch
    cst_column_data columns[COLUMNS];
} feed_split;

static void split_close(csti_split *base) {
    feed_split *split = (feed_split *)base;

    csti_split_close(split->generator);
    free(split->keys);
    free(split->times);
    free(split);
}

static cst_code split_open(csti_source *base, uint32_t index, const char *offset, csti_split **out,
                           cst_err *err) {
    const feed_source *source = (const feed_source *)base;
    const uint64_t count = source->feed->rows ? source->feed->rows->count : 0;
    feed_split *split = calloc(1, sizeof *split);
    cst_code code = CST_NO_MEMORY;

    if (!split) return cst_fail(err, code, "a split");
    split->split = (csti_split){.source = base, .index = index};
    split->feed = source->feed;
    split->from = split->at = count * index / base->splits_count;
    split->to = count * (index + 1) / base->splits_count;
    split->keys = malloc(base->batch_rows * sizeof *split->keys);
    split->times = calloc(base->batch_rows, sizeof *split->times);
    if (split->keys && split->times)
        code =
            csti_split_open(source->generator, base->names[index], offset, &split->generator, err);
    else
        (void)cst_fail(err, code, "a split's columns");
    if (code != CST_OK) {
        split_close(&split->split);
        return code;
    }
    *out = &split->split;
    return CST_OK;
}

// How many rows may go now, at most rows_max.
static uint32_t rows_take(bench_feed *feed, uint32_t rows_max) {
    // Acquire pairs with the release of who lets rows go: what he had set is seen.
    int64_t left = atomic_load_explicit(&feed->left, memory_order_acquire);
    int64_t taken;

    do {
        if (left <= 0) return 0;
        taken = left < (int64_t)rows_max ? left : (int64_t)rows_max;
    } while (!atomic_compare_exchange_weak_explicit(&feed->left, &left, left - taken,
                                                    memory_order_acquire, memory_order_acquire));
    return (uint32_t)taken;
}

static void rows_return(bench_feed *feed, uint32_t count) {
    if (count > 0) atomic_fetch_add_explicit(&feed->left, count, memory_order_relaxed);
}

static void columns_set(feed_split *split, const uint64_t *keys, const uint64_t *values,
                        uint32_t count, cst_batch *out) {
    const void *const data[COLUMNS] = {keys, values, split->times};

    for (int c = 0; c < COLUMNS; c++)
        split->columns[c] =
            (cst_column_data){.values = {.data = data[c], .bytes = count * sizeof(uint64_t)}};
    *out = (cst_batch){.schema = &split->split.source->shape.schema,
                       .rows_count = count,
                       .columns = split->columns};
}

static void times_set(feed_split *split, uint32_t count) {
    const uint64_t first =
        atomic_fetch_add_explicit(&split->feed->next_time, count, memory_order_relaxed);

    for (uint32_t i = 0; i < count; i++) split->times[i] = (int64_t)(first + i);
}

static uint32_t next_keys(feed_split *split, uint32_t count, cst_batch *out) {
    const uint64_t first =
        atomic_fetch_add_explicit(&split->feed->next_key, count, memory_order_relaxed);

    for (uint32_t i = 0; i < count; i++) split->keys[i] = first + i + 1;
    columns_set(split, split->keys, split->keys, count, out);
    return count;
}

static uint32_t next_rows(feed_split *split, uint32_t count, cst_batch *out) {
    const bench_rows *rows = split->feed->rows;
    const uint64_t all = split->feed->slide_keys;
    const uint64_t *keys = rows->keys + split->at;
    const uint64_t *values = rows->values + split->at;

    if (count > split->to - split->at) count = (uint32_t)(split->to - split->at);
    if (all) {
        const uint64_t first =
            atomic_load_explicit(&split->feed->first, memory_order_relaxed) % all;

        for (uint32_t i = 0; i < count; i++) {
            const uint64_t key = keys[i] - 1 + first;

            split->keys[i] = 1 + (key < all ? key : key - all);
        }
        keys = split->keys;
    }
    columns_set(split, keys, values, count, out);
    split->at += count;
    if (split->at == split->to) split->at = split->from;
    return count;
}

static cst_code split_next(csti_split *base, uint32_t rows_max, cst_batch *out, bool *ended_out,
                           cst_err *err) {
    feed_split *split = (feed_split *)base;
    bench_feed *feed = split->feed;
    const uint32_t allowed = rows_take(feed, rows_max);
    uint32_t count = 0;
    cst_code code = CST_OK;

    *ended_out = false;
    *out = (cst_batch){.schema = &base->source->shape.schema};
    if (allowed == 0) return CST_AGAIN;
    switch ((bench_feed_kind)atomic_load_explicit(&feed->kind, memory_order_relaxed)) {
    case BENCH_FEED_KEYS:
        count = next_keys(split, allowed, out);
        break;
    case BENCH_FEED_ROWS:
        count = next_rows(split, allowed, out);
        break;
    case BENCH_FEED_GENERATOR:
        code = csti_split_next(split->generator, allowed, out, ended_out, err);
        count = out->rows_count;
        break;
    }
    if (feed->times) times_set(split, count);
    rows_return(feed, allowed - count);
    split->stats.rows += count;
    split->stats.bytes += (uint64_t)count * COLUMNS * sizeof(uint64_t);
    return code;
}

static const char *split_offset(csti_split *base) {
    return csti_split_offset(((feed_split *)base)->generator);
}

static void split_stats(const csti_split *base, csti_split_stats *out) {
    *out = ((const feed_split *)base)->stats;
}

static void source_close(csti_source *base) {
    csti_source_close(((feed_source *)base)->generator);
    free(base->names);
    free(base);
}

static const csti_source_ops feed_ops = {
    .close = source_close,
    .split_open = split_open,
    .split_close = split_close,
    .split_next = split_next,
    .split_offset = split_offset,
    .split_stats = split_stats,
};

cst_code bench_feed_open(void *context, const csti_source_options *options, csti_source **out,
                         cst_err *err) {
    feed_source *source = calloc(1, sizeof *source);
    cst_code code;

    if (!source) return cst_fail(err, CST_NO_MEMORY, "a source");
    source->feed = context;
    source->source.ops = &feed_ops;
    code = csti_source_open(options, &source->generator, err);
    if (code == CST_OK) {
        source->source.shape = *csti_source_shape(source->generator);
        source->source.batch_rows = options->batch_rows;
        source->source.splits_count = csti_source_splits_count(source->generator);
        source->source.names = calloc(source->source.splits_count, sizeof *source->source.names);
        if (!source->source.names) code = cst_fail(err, CST_NO_MEMORY, "names of splits");
    }
    for (uint32_t s = 0; s < source->source.splits_count && code == CST_OK; s++)
        memcpy(source->source.names[s], source->generator->names[s],
               sizeof source->source.names[s]);
    if (code != CST_OK) {
        source_close(&source->source);
        return code;
    }
    assert(source->source.shape.schema.columns_count == COLUMNS);
    *out = &source->source;
    return CST_OK;
}
