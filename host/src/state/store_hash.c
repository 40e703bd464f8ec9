// store_hash.c: rows in cst_table images; a key is in exactly one of the two.
//
//   key of at most inline_key_bytes, value of exactly value_bytes ──► inline table
//   any other row ──────────────────────────────────────────────────► wide table, opened when
//   needed
//
//   sealed:  | epoch 4: inline delta, wide delta | epoch 5: ... |      a ring, until released
//
// The wide table is opened by its first row, so its own epochs count from there; the ring keeps
// what each table answered to each seal, and nothing else is ever asked for by epoch.
#include "state/record_out.h"
#include "state/sort.h"
#include "state/store.h"

#include <stdlib.h>

enum {
    BATCH_ROWS = 256,
    SCAN_ROWS = 256,
    RANGES_INLINE = 16, // more are allocated: 32 MiB of log and up
};

typedef struct sealed_epoch {
    cst_delta delta[CST_TABLE_WIDE + 1]; // by layout
    bool present[CST_TABLE_WIDE + 1];
} sealed_epoch;

typedef struct hash_store {
    cst_store base;
    cst_table *tables[CST_TABLE_WIDE + 1];     // by layout; NULL: not opened
    sealed_epoch sealed[CST_STORE_EPOCHS_MAX]; // of epoch e at e mod CST_STORE_EPOCHS_MAX
} hash_store;

static hash_store *self(cst_store *store) {
    return (hash_store *)store;
}

static uint64_t rows_count(const cst_table *table) {
    cst_table_stats stats;

    if (!table) return 0;
    cst_table_stats_read(table, &stats);
    return stats.rows_count;
}

// ---- Open ---------------------------------------------------------------------------------------

static cst_code table_open(const cst_store_options *options, cst_table_layout layout,
                           uint64_t rows_hint, cst_table **out, cst_err *err) {
    const bool is_inline = layout == CST_TABLE_INLINE;
    const cst_table_options table = {
        .layout = layout,
        .key_bytes = is_inline ? options->inline_key_bytes : 0,
        .program = {.value_bytes = is_inline ? options->value_bytes : 0,
                    .presence_offset = CST_NO_OFFSET,
                    .time_offset = CST_NO_OFFSET},
        .hash_key = options->hash_key,
        .budget_bytes = options->budget_bytes,
        .rows_hint = rows_hint,
        .numa_node = options->numa_node,
        .background = options->background,
    };

    return cst_table_open(&table, out, err);
}

static void hash_close(cst_store *store) {
    cst_table_close(self(store)->tables[CST_TABLE_INLINE]);
    cst_table_close(self(store)->tables[CST_TABLE_WIDE]);
    free(store);
}

static cst_code hash_open(const char *place, const cst_store_options *options, cst_store **out,
                          cst_err *err) {
    hash_store *store = NULL;
    cst_code code = CST_OK;

    if (place[0] != '\0') return cst_fail(err, CST_USAGE, "nothing may follow hash:");
    store = calloc(1, sizeof *store);
    if (!store) return cst_fail(err, CST_NO_MEMORY, "store");
    store->base.capabilities = (cst_store_capabilities){
        .scheme = "hash",
        .incremental = true,
        .zero_copy = true,
        .key_bytes_max = CST_WIDE_KEY_BYTES_MAX,
        .value_bytes_max = CST_WIDE_VALUE_BYTES_MAX,
    };
    store->base.epoch = 1;
    if (options->inline_rows)
        code = table_open(options, CST_TABLE_INLINE, options->rows_hint,
                          &store->tables[CST_TABLE_INLINE], err);
    if (code != CST_OK) {
        hash_close(&store->base);
        return code;
    }
    *out = &store->base;
    return CST_OK;
}

static cst_code wide_need(hash_store *store) {
    if (store->tables[CST_TABLE_WIDE]) return CST_OK;
    return table_open(&store->base.options, CST_TABLE_WIDE, 0, &store->tables[CST_TABLE_WIDE],
                      NULL);
}

static void hash_stats(const cst_store *store, cst_store_stats *out) {
    const hash_store *hash = (const hash_store *)store;

    for (int layout = CST_TABLE_INLINE; layout <= CST_TABLE_WIDE; layout++) {
        cst_table_stats stats;

        if (!hash->tables[layout]) continue;
        cst_table_stats_read(hash->tables[layout], &stats);
        out->rows_count += stats.rows_count;
        out->used_bytes += stats.used_bytes;
        out->budget_bytes += stats.budget_bytes;
    }
}

// ---- Single rows --------------------------------------------------------------------------------

static bool fits_inline(const hash_store *store, size_t key_bytes) {
    return store->tables[CST_TABLE_INLINE] && key_bytes <= store->base.options.inline_key_bytes;
}

static cst_code hash_get_ref(cst_store *store, const void *key, size_t key_bytes, cst_bytes *out) {
    hash_store *hash = self(store);
    cst_code code = CST_NOT_FOUND;

    if (fits_inline(hash, key_bytes))
        code = cst_table_get_ref(hash->tables[CST_TABLE_INLINE], key, key_bytes, out);
    if (code == CST_NOT_FOUND && hash->tables[CST_TABLE_WIDE])
        code = cst_table_get_ref(hash->tables[CST_TABLE_WIDE], key, key_bytes, out);
    return code;
}

static cst_code hash_put(cst_store *store, const void *key, size_t key_bytes, const void *value,
                         size_t value_bytes) {
    hash_store *hash = self(store);
    const bool may_be_inline = fits_inline(hash, key_bytes);
    const bool is_inline = may_be_inline && value_bytes == store->options.value_bytes;
    cst_table *to, *from;
    cst_code code = is_inline ? CST_OK : wide_need(hash);

    if (code != CST_OK) return code;
    to = hash->tables[is_inline ? CST_TABLE_INLINE : CST_TABLE_WIDE];
    from = hash->tables[is_inline ? CST_TABLE_WIDE : CST_TABLE_INLINE];
    code = cst_table_put(to, key, key_bytes, value, value_bytes);
    if (code != CST_OK || !may_be_inline || rows_count(from) == 0) return code;
    // The other table may hold the key's row. If it cannot take the tombstone, the row just put was
    // new where it is, and its record of this epoch can always become a tombstone.
    code = cst_table_delete(from, key, key_bytes);
    if (code != CST_OK) {
        const cst_code undone = cst_table_delete(to, key, key_bytes);

        if (undone != CST_OK) return CST_INTERNAL;
    }
    return code;
}

static cst_code hash_delete(cst_store *store, const void *key, size_t key_bytes) {
    hash_store *hash = self(store);
    cst_code code = CST_OK;

    if (fits_inline(hash, key_bytes))
        code = cst_table_delete(hash->tables[CST_TABLE_INLINE], key, key_bytes);
    if (code == CST_OK && hash->tables[CST_TABLE_WIDE])
        code = cst_table_delete(hash->tables[CST_TABLE_WIDE], key, key_bytes);
    return code;
}

// ---- Batches ------------------------------------------------------------------------------------

// A run of at most BATCH_ROWS rows, as a batch of its own with hashes.
static cst_rows run_of(const hash_store *store, const cst_rows *rows, uint32_t first,
                       uint64_t hashes[BATCH_ROWS]) {
    const uint32_t rest = rows->rows_count - first;
    cst_rows run = *rows;

    run.first_row = 0;
    run.rows_count = rest < BATCH_ROWS ? rest : BATCH_ROWS;
    if (rows->ops) run.ops += first;
    if (rows->key_offsets)
        run.key_offsets += first;
    else
        run.keys += (size_t)first * rows->key_stride;
    if (rows->value_offsets)
        run.value_offsets += first;
    else if (rows->values)
        run.values += (size_t)first * rows->value_stride;
    if (rows->hashes) {
        run.hashes += first;
        return run;
    }
    if (run.key_offsets)
        cst_hash_variable(&store->base.options.hash_key, run.keys, run.key_offsets, run.rows_count,
                          hashes);
    else
        cst_hash_fixed(&store->base.options.hash_key, run.keys, run.key_bytes, run.key_stride,
                       run.rows_count, hashes);
    run.hashes = hashes;
    return run;
}

// Whether one table can take the run as it is; CST_TABLE_WIDE + 1: none can.
static int run_layout(const hash_store *store, const cst_rows *run) {
    const cst_store_options *options = &store->base.options;

    if (!store->tables[CST_TABLE_INLINE]) return run->value_offsets ? CST_TABLE_WIDE : 3;
    if (rows_count(store->tables[CST_TABLE_WIDE]) > 0 || run->value_offsets) return 3;
    if (!run->key_offsets)
        return run->key_bytes <= options->inline_key_bytes ? CST_TABLE_INLINE : 3;
    for (uint32_t row = 0; row < run->rows_count; row++)
        if (run->key_offsets[row + 1] - run->key_offsets[row] > options->inline_key_bytes) return 3;
    return CST_TABLE_INLINE;
}

// Row by row, each into the table it belongs to.
static cst_code run_put_mixed(cst_store *store, const cst_rows *run, uint32_t *applied_out) {
    for (uint32_t row = 0; row < run->rows_count; row++) {
        const cst_bytes key = csti_rows_key(run, row);
        cst_code code;

        if (csti_rows_is_delete(run, row)) {
            code = cst_store_delete(store, key.data, key.count);
        } else {
            const cst_bytes value = csti_rows_value(run, row, store->options.value_bytes);

            code = cst_store_put(store, key.data, key.count, value.data, value.count);
        }
        if (code != CST_OK) return code;
        *applied_out = row + 1;
    }
    return CST_OK;
}

static cst_code hash_multi_put(cst_store *store, const cst_rows *rows, uint32_t *applied_out) {
    hash_store *hash = self(store);
    uint64_t hashes[BATCH_ROWS];
    uint32_t done = 0;
    cst_code code = CST_OK;

    for (uint32_t first = rows->first_row; code == CST_OK && first < rows->rows_count;) {
        const cst_rows run = run_of(hash, rows, first, hashes);
        const int layout = run_layout(hash, &run);
        uint32_t applied = 0;

        if (layout == CST_TABLE_WIDE) code = wide_need(hash);
        if (code != CST_OK) break;
        code = layout > CST_TABLE_WIDE ? run_put_mixed(store, &run, &applied)
                                       : cst_table_apply_all(hash->tables[layout], &run, &applied);
        done += applied;
        first += run.rows_count;
    }
    *applied_out = done;
    return code;
}

// Those that the fast path did not find, or all of a run it cannot take.
static cst_code run_get_single(cst_store *store, const cst_rows *run, uint8_t *values_out,
                               uint32_t values_stride, uint32_t *value_bytes_out,
                               uint8_t *found_out) {
    for (uint32_t row = 0; row < run->rows_count; row++) {
        const cst_bytes key = csti_rows_key(run, row);
        size_t value_bytes = 0;
        const cst_code code =
            cst_store_get(store, key.data, key.count, values_out + (size_t)row * values_stride,
                          values_stride, &value_bytes);

        if (code != CST_OK && code != CST_NOT_FOUND) return code;
        found_out[row] = code == CST_OK;
        if (value_bytes_out) value_bytes_out[row] = (uint32_t)value_bytes;
    }
    return CST_OK;
}

static cst_code hash_multi_get(cst_store *store, const cst_rows *keys, uint8_t *values_out,
                               uint32_t values_stride, uint32_t *value_bytes_out,
                               uint8_t *found_out) {
    hash_store *hash = self(store);
    const uint32_t value_bytes = store->options.value_bytes;
    uint64_t hashes[BATCH_ROWS];

    for (uint32_t first = keys->first_row; first < keys->rows_count; first += BATCH_ROWS) {
        uint8_t *values = values_out + (size_t)first * values_stride;
        uint32_t *lengths = value_bytes_out ? value_bytes_out + first : NULL;
        cst_rows run = run_of(hash, keys, first, hashes);
        cst_code code;

        run.value_offsets = NULL; // of values, which a reader has not
        if (run_layout(hash, &run) == CST_TABLE_INLINE && values_stride >= value_bytes) {
            code = cst_table_lookup(hash->tables[CST_TABLE_INLINE], &run, values, values_stride,
                                    found_out + first);
            for (uint32_t row = 0; lengths && row < run.rows_count; row++)
                lengths[row] = found_out[first + row] ? value_bytes : 0;
        } else {
            code = run_get_single(store, &run, values, values_stride, lengths, found_out + first);
        }
        if (code != CST_OK) return code;
    }
    return CST_OK;
}

// ---- Epochs -------------------------------------------------------------------------------------

static cst_code hash_seal(cst_store *store, cst_err *err) {
    hash_store *hash = self(store);
    sealed_epoch *sealed = &hash->sealed[store->epoch % CST_STORE_EPOCHS_MAX];

    if (store->epoch - store->epoch_released > CST_STORE_EPOCHS_MAX)
        return cst_fail(err, CST_LIMIT, "seal of epoch %llu: %d epochs wait for release",
                        (unsigned long long)store->epoch, CST_STORE_EPOCHS_MAX);
    memset(sealed, 0, sizeof *sealed);
    for (int layout = CST_TABLE_INLINE; layout <= CST_TABLE_WIDE; layout++) {
        if (!hash->tables[layout]) continue;
        sealed->delta[layout] = cst_table_seal(hash->tables[layout]);
        sealed->present[layout] = true;
    }
    return CST_OK;
}

static cst_code hash_release(cst_store *store, uint64_t epoch, cst_err *err) {
    hash_store *hash = self(store);
    const sealed_epoch *sealed = &hash->sealed[epoch % CST_STORE_EPOCHS_MAX];

    for (int layout = CST_TABLE_INLINE; layout <= CST_TABLE_WIDE; layout++) {
        cst_code code;

        if (!sealed->present[layout]) continue;
        code = cst_table_release(hash->tables[layout], &sealed->delta[layout]);
        if (code != CST_OK)
            return cst_fail(err, code, "release of epoch %llu", (unsigned long long)epoch);
    }
    return CST_OK;
}

// The log of the epochs behind `from` up to `to` is one run: a seal ends where the next begins.
static cst_delta delta_span(const hash_store *store, int layout, uint64_t from, uint64_t to) {
    const sealed_epoch *last = &store->sealed[to % CST_STORE_EPOCHS_MAX];
    cst_delta span = last->delta[layout];

    for (uint64_t epoch = from + 1; epoch < to; epoch++) {
        const sealed_epoch *first = &store->sealed[epoch % CST_STORE_EPOCHS_MAX];

        if (!first->present[layout]) continue;
        span.from = first->delta[layout].from;
        break;
    }
    return span;
}

static cst_code delta_append(hash_store *store, cst_segment_writer *writer, uint32_t part,
                             int layout, const cst_delta *span, cst_err *err) {
    cst_table *table = store->tables[layout];
    cst_bytes few[RANGES_INLINE];
    cst_bytes *ranges = few;
    size_t count = 0;
    cst_code code = CST_OK;

    if (!table) return CST_OK;
    cst_table_delta_ranges(table, span, few, RANGES_INLINE, &count);
    if (count > RANGES_INLINE) {
        ranges = malloc(count * sizeof *ranges);
        if (!ranges) return cst_fail(err, CST_NO_MEMORY, "delta: %zu ranges", count);
        cst_table_delta_ranges(table, span, ranges, count, &count);
    }
    for (size_t i = 0; code == CST_OK && i < count; i++)
        code = cst_segment_writer_append(writer, part, ranges[i].data, ranges[i].count, err);
    if (ranges != few) free(ranges);
    return code;
}

static cst_code hash_write_delta(cst_store *store, cst_store_base base, uint64_t epoch_to,
                                 cst_write write, void *context, cst_segment_summary *summary_out,
                                 cst_err *err) {
    hash_store *hash = self(store);
    cst_segment_info info =
        csti_store_info(store, base.epoch ? CST_SEGMENT_DELTA : CST_SEGMENT_FULL_UNORDERED,
                        base.epoch + 1, epoch_to);
    cst_segment_writer *writer = NULL;
    cst_code code;

    info.base_epoch = base.epoch;
    info.base_checksum = base.epoch ? base.checksum : 0;
    code = cst_segment_writer_open(&info, write, context, &writer, err);
    for (uint32_t part = 0; code == CST_OK && part < info.parts_count; part++) {
        const int layout = (int)info.parts[part].layout;
        const cst_delta span = delta_span(hash, layout, base.epoch, epoch_to);

        code = delta_append(hash, writer, part, layout, &span, err);
    }
    if (code == CST_OK) code = cst_segment_writer_finish(writer, summary_out, err);
    cst_segment_writer_close(writer);
    return code;
}

// ---- Fulls --------------------------------------------------------------------------------------

// All rows of a table, in the order of an ordered full. 64 bytes a row while it lasts.
typedef struct sorted_rows {
    cst_row_ref *refs;
    csti_sort_item *items;
    csti_sort_item *sorted; // by group, then by hash
    csti_sort_counts counts;
    uint64_t starts[CST_KEY_GROUPS_COUNT + 1];
    size_t count;
} sorted_rows;

static const cst_row_ref *item_row(const csti_sort_item *item) {
    const void *row = item->record;

    return row;
}

static bool row_before(const cst_row_ref *a, const cst_row_ref *b) {
    const uint32_t common = a->key_bytes < b->key_bytes ? a->key_bytes : b->key_bytes;
    const int order = memcmp(a->key, b->key, common);

    return order != 0 ? order < 0 : a->key_bytes < b->key_bytes;
}

static void sorted_free(sorted_rows *rows) {
    if (!rows) return;
    free(rows->refs);
    free(rows->items);
    free(rows->sorted);
    free(rows);
}

static cst_code sorted_collect(sorted_rows *rows, cst_table *table, cst_err *err) {
    const uint64_t count = rows_count(table);
    cst_scan scan = {0, 0, 0};
    uint32_t step = 0;

    free(rows->refs);
    free(rows->items);
    free(rows->sorted);
    rows->count = 0;
    rows->refs = malloc((size_t)(count + 1) * sizeof *rows->refs);
    rows->items = malloc((size_t)(count + 1) * sizeof *rows->items);
    rows->sorted = malloc((size_t)(count + 1) * sizeof *rows->sorted);
    if (!rows->refs || !rows->items || !rows->sorted)
        return cst_fail(err, CST_NO_MEMORY, "full: %llu rows", (unsigned long long)count);
    do {
        const uint64_t rest = count - rows->count;
        const cst_code code = cst_table_scan(table, &scan, rows->refs + rows->count,
                                             rest < SCAN_ROWS ? (uint32_t)rest : SCAN_ROWS, &step);

        if (code != CST_OK) return cst_fail(err, code, "full: scan");
        rows->count += step;
    } while (step > 0 && rows->count < count);
    return CST_OK;
}

static void sorted_sort(sorted_rows *rows) {
    uint64_t *starts = rows->starts;
    uint64_t sum = 0;

    memset(starts, 0, sizeof rows->starts);
    for (size_t i = 0; i < rows->count; i++) starts[cst_key_group(rows->refs[i].hash)]++;
    for (uint32_t group = 0; group <= CST_KEY_GROUPS_COUNT; group++) {
        const uint64_t here = starts[group];

        starts[group] = sum;
        sum += here;
    }
    for (size_t i = 0; i < rows->count; i++) {
        const cst_row_ref *row = &rows->refs[i];

        rows->sorted[starts[cst_key_group(row->hash)]++] =
            (csti_sort_item){row->hash, (const uint8_t *)row};
    }
    sum = 0; // starts hold ends now
    for (uint32_t group = 0; group < CST_KEY_GROUPS_COUNT; group++) {
        csti_sort_by_hash(rows->sorted + sum, rows->items, (size_t)(starts[group] - sum),
                          &rows->counts);
        sum = starts[group];
    }
    // Keys of one hash are as rare as 64-bit collisions: insertion orders them.
    for (size_t i = 1; i < rows->count; i++)
        for (size_t at = i;
             at > 0 && rows->sorted[at].hash == rows->sorted[at - 1].hash &&
             row_before(item_row(&rows->sorted[at]), item_row(&rows->sorted[at - 1]));
             at--) {
            const csti_sort_item item = rows->sorted[at];

            rows->sorted[at] = rows->sorted[at - 1];
            rows->sorted[at - 1] = item;
        }
}

static cst_code hash_write_full(cst_store *store, cst_write write, void *context,
                                cst_segment_summary *summary_out, cst_err *err) {
    hash_store *hash = self(store);
    const cst_segment_info info =
        csti_store_info(store, CST_SEGMENT_FULL_ORDERED, 1, store->epoch - 1);
    sorted_rows *rows = calloc(1, sizeof *rows);
    csti_record_out out = {.writer = NULL};
    cst_segment_writer *writer = NULL;
    cst_code code = rows ? CST_OK : cst_fail(err, CST_NO_MEMORY, "full");

    if (code == CST_OK) code = cst_segment_writer_open(&info, write, context, &writer, err);
    if (code == CST_OK) code = csti_record_out_open(&out, writer, err);
    for (uint32_t part = 0; code == CST_OK && part < info.parts_count; part++) {
        cst_table *table = hash->tables[info.parts[part].layout];

        if (!table) continue;
        code = sorted_collect(rows, table, err);
        if (code != CST_OK) break;
        sorted_sort(rows);
        code = csti_record_out_part(&out, part, &info.parts[part], err);
        for (size_t i = 0; code == CST_OK && i < rows->count; i++)
            code = csti_record_out_row(&out, item_row(&rows->sorted[i]), err);
        if (code == CST_OK) code = csti_record_out_flush(&out, err);
    }
    if (code == CST_OK) code = cst_segment_writer_finish(writer, summary_out, err);
    cst_segment_writer_close(writer);
    csti_record_out_release(&out);
    sorted_free(rows);
    return code;
}

static bool any_records(cst_segment *const *segments, size_t segments_count, int layout) {
    for (size_t i = 0; i < segments_count; i++) {
        cst_segment_info info;
        cst_segment_summary summary;

        cst_segment_info_read(segments[i], &info);
        cst_segment_summary_read(segments[i], &summary);
        for (uint32_t part = 0; part < info.parts_count; part++)
            if ((int)info.parts[part].layout == layout && summary.part_bytes[part] > 0) return true;
    }
    return false;
}

static cst_code hash_restore(cst_store *store, cst_segment *const *segments, size_t segments_count,
                             const cst_restore_options *options, cst_err *err) {
    hash_store *hash = self(store);
    cst_table *tables[CST_TABLE_WIDE + 1] = {NULL, NULL, NULL};
    cst_code code = CST_OK;

    // Into new tables: what fails half-way leaves the empty ones.
    for (int layout = CST_TABLE_INLINE; code == CST_OK && layout <= CST_TABLE_WIDE; layout++) {
        uint64_t hint = cst_restore_rows_hint(segments, segments_count, (cst_table_layout)layout);

        if (layout == CST_TABLE_INLINE && !store->options.inline_rows) continue;
        if (layout == CST_TABLE_WIDE && !any_records(segments, segments_count, layout)) continue;
        if (layout == CST_TABLE_INLINE && hint < store->options.rows_hint)
            hint = store->options.rows_hint;
        code = table_open(&store->options, (cst_table_layout)layout, hint, &tables[layout], err);
    }
    if (code == CST_OK)
        code = cst_segment_restore(segments, segments_count, tables[CST_TABLE_INLINE],
                                   tables[CST_TABLE_WIDE], options, NULL, err);
    for (int layout = CST_TABLE_INLINE; layout <= CST_TABLE_WIDE; layout++) {
        if (code == CST_OK) {
            cst_table *old = hash->tables[layout];

            hash->tables[layout] = tables[layout];
            tables[layout] = old;
        }
        cst_table_close(tables[layout]);
    }
    return code;
}

const csti_store_ops csti_store_hash_ops = {
    .open = hash_open,
    .close = hash_close,
    .stats = hash_stats,
    .get_ref = hash_get_ref,
    .put = hash_put,
    .delete_key = hash_delete,
    .multi_put = hash_multi_put,
    .multi_get = hash_multi_get,
    .seal = hash_seal,
    .release = hash_release,
    .write_delta = hash_write_delta,
    .write_full = hash_write_full,
    .restore = hash_restore,
};
