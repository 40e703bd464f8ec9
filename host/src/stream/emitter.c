#include "stream/emitter.h"

#include "base/bytes.h"
#include "base/fault_point.h"
#include "stream/row_columns.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TIMES = 3 }; // window_start, window_end, window_time

struct csti_emitter {
    uint32_t partition;
    const csti_clock *clock;
    const csti_reader_key *key;
    const _Atomic uint32_t *paused;
    csti_render_plan from;
    uint32_t keys_count; // columns of the key, without the window's start
    csti_row_shape shape;
    csti_row_columns columns;
    uint32_t rows_max, rows_count;
    uint32_t source_columns[CSTI_BLOCK_SOURCES_MAX];
    uint32_t sources_count;
    csti_window_step *windows; // NULL: none
    csti_router *router;
    uint32_t keyed_max; // rows of a batch at the key
    cst_column_data key_columns[CST_COLUMNS_MAX];
    cst_keys keys;
    uint64_t *hashes;
    cst_source sources[CSTI_BLOCK_SOURCES_MAX];
    bool routes; // a batch is in the router
    bool has_barrier;
    csti_barrier barrier;
    int64_t watermark_us; // sent
    csti_metric *rows;    // constellation_emitted_rows_total
};

// ---- Columns ------------------------------------------------------------------------------------

static cst_column field_column(const csti_render_field *field) {
    cst_column column = {.nullable = field->nullable, .scale = field->scale};

    switch ((cst_number)field->number) {
    case CST_U64:
        column.type = CST_TYPE_U64;
        break;
    case CST_I64:
        column.type = field->moment ? (cst_type)field->moment : CST_TYPE_I64;
        break;
    case CST_F64:
        column.type = CST_TYPE_F64;
        break;
    case CST_DECIMAL128:
        column.type = CST_TYPE_DECIMAL128;
        break;
    }
    return column;
}

static void column_add(csti_row_shape *shape, cst_column column, const char *name) {
    const uint32_t to = shape->schema.columns_count++;

    shape->schema.columns[to] = column;
    (void)snprintf(shape->names[to], sizeof shape->names[to], "%s", name);
}

cst_code csti_emitter_shape(const csti_render_plan *from, csti_row_shape *out, cst_err *err) {
    static const char *const times[TIMES] = {CSTI_WINDOW_START, CSTI_WINDOW_END, CSTI_WINDOW_TIME};
    const uint32_t keys_count = from->key.columns_count - 1;
    const uint32_t count = keys_count + TIMES + from->fields_count;

    assert(from->window_us > 0); // its start is the last column of the key
    memset(out, 0, sizeof *out);
    if (count > CST_COLUMNS_MAX)
        return cst_fail(err, CST_LIMIT, "%" PRIu32 " columns, at most %d", count, CST_COLUMNS_MAX);
    for (uint32_t c = 0; c < keys_count; c++) {
        cst_column column = from->key.columns[c];

        column.descending = column.nulls_last = false;
        column_add(out, column, from->key_names[c]);
    }
    for (uint32_t t = 0; t < TIMES; t++)
        column_add(out, (cst_column){.type = CST_TYPE_TIMESTAMP}, times[t]);
    for (uint32_t f = 0; f < from->fields_count; f++)
        column_add(out, field_column(&from->fields[f]), from->fields[f].name);
    return CST_OK;
}

// ---- Open ---------------------------------------------------------------------------------------

static cst_code steps_open(csti_emitter *emitter, const csti_emitter_options *options,
                           cst_err *err) {
    const size_t text_bytes_max = (size_t)options->rows_max * CST_INLINE_KEY_BYTES_MAX;
    const uint32_t time_column = emitter->keys_count + TIMES - 1;
    cst_code code = csti_columns_open(&emitter->columns, &emitter->shape.schema, options->rows_max,
                                      text_bytes_max, err);

    emitter->keyed_max = options->rows_max;
    if (code != CST_OK || options->window.size_us == 0) return code;
    emitter->keyed_max *= csti_window_overlap(options->window);
    return csti_window_step_open(options->window, &emitter->shape, time_column, options->rows_max,
                                 &emitter->windows, err);
}

static cst_code keys_open(csti_emitter *emitter, cst_err *err) {
    const size_t rows = emitter->keyed_max;
    const uint32_t key_bytes = emitter->key->key_bytes;

    emitter->hashes = malloc(rows * sizeof *emitter->hashes);
    emitter->keys.offsets = malloc((rows + 1) * sizeof *emitter->keys.offsets);
    emitter->keys.bytes_capacity = key_bytes > 0 ? rows * key_bytes : 1;
    emitter->keys.bytes = malloc(emitter->keys.bytes_capacity);
    if (emitter->hashes && emitter->keys.offsets && emitter->keys.bytes) return CST_OK;
    return cst_fail(err, CST_NO_MEMORY, "keys of %zu rows", rows);
}

static cst_code metrics_open(csti_emitter *emitter, csti_metrics *metrics, cst_err *err) {
    char labels[32];

    (void)snprintf(labels, sizeof labels, "partition=\"%" PRIu32 "\"", emitter->partition);
    return csti_metrics_register(metrics, CSTI_METRIC_COUNTER, "constellation_emitted_rows_total",
                                 "Rows of closed windows that went to the second stage.", labels,
                                 &emitter->rows, err);
}

static cst_code parts_open(csti_emitter *emitter, const csti_emitter_options *options,
                           cst_err *err) {
    csti_router_options route = *options->route;
    cst_code code = csti_emitter_shape(options->from, &emitter->shape, err);

    if (code == CST_OK) code = steps_open(emitter, options, err);
    if (code == CST_OK) code = keys_open(emitter, err);
    if (code == CST_OK) code = metrics_open(emitter, options->metrics, err);
    if (code != CST_OK) return code;
    route.rows_max = emitter->keyed_max;
    return csti_router_open(&route, &emitter->router, err);
}

cst_code csti_emitter_open(const csti_emitter_options *options, csti_emitter **out, cst_err *err) {
    csti_emitter *emitter = calloc(1, sizeof *emitter);
    cst_code code;

    assert(options->rows_max > 0);
    if (!emitter) return cst_fail(err, CST_NO_MEMORY, "rows of closed windows");
    emitter->partition = options->partition;
    emitter->clock = options->clock;
    emitter->key = options->key;
    emitter->paused = options->paused;
    emitter->from = *options->from;
    emitter->keys_count = options->from->key.columns_count - 1;
    emitter->rows_max = options->rows_max;
    emitter->watermark_us = CSTI_WATERMARK_NONE;
    emitter->sources_count = options->route->shape->sources_count;
    memcpy(emitter->source_columns, options->source_columns,
           emitter->sources_count * sizeof *emitter->source_columns);
    code = parts_open(emitter, options, err);
    if (code != CST_OK) {
        csti_emitter_close(emitter);
        return code;
    }
    *out = emitter;
    return CST_OK;
}

void csti_emitter_close(csti_emitter *emitter) {
    if (!emitter) return;
    csti_router_close(emitter->router);
    csti_window_step_close(emitter->windows);
    csti_columns_close(&emitter->columns);
    free(emitter->keys.bytes);
    free(emitter->keys.offsets);
    free(emitter->hashes);
    free(emitter);
}

// ---- A row into columns -------------------------------------------------------------------------

static void bytes_put(csti_column_rows *to, uint32_t row, const uint8_t *bytes, uint32_t count) {
    if (!to->offsets) {
        assert(count == to->width);
        memcpy(to->values + (size_t)row * to->width, bytes, count);
        return;
    }
    memcpy(csti_columns_string(to, row), bytes, count);
    to->offsets[row + 1] = to->offsets[row] + (int32_t)count;
}

static cst_code value_put(csti_column_rows *to, uint32_t row, const cst_value *value,
                          cst_err *err) {
    const float narrow = to->column.type == CST_TYPE_F32 && !value->is_null ? (float)value->f64 : 0;

    if (value->is_null) return csti_columns_put_null(to, row, err);
    switch (to->column.type) {
    case CST_TYPE_UUID:
    case CST_TYPE_FIXED:
    case CST_TYPE_STRING:
    case CST_TYPE_BINARY:
        bytes_put(to, row, value->bytes, value->bytes_count);
        break;
    case CST_TYPE_F32:
        memcpy(to->values + (size_t)row * sizeof narrow, &narrow, sizeof narrow);
        break;
    default: // little endian: its low bytes are the value
        memcpy(to->values + (size_t)row * to->width, value, to->width);
        break;
    }
    return CST_OK;
}
_Static_assert(offsetof(cst_value, u128) == 0 && offsetof(cst_value, f64) == 0,
               "a number's bytes come first");

static void time_put(csti_column_rows *to, uint32_t row, int64_t time_us) {
    memcpy(to->values + (size_t)row * sizeof time_us, &time_us, sizeof time_us);
}

static int64_t window_end(const csti_render_plan *from, const cst_row_ref *row, int64_t start_us) {
    if (!from->sessions) return start_us + from->window_us;
    return (int64_t)csti_load_le64(row->value + from->last_offset) + from->window_us;
}

static cst_code field_put(csti_column_rows *to, uint32_t row, const csti_render_field *field,
                          const uint8_t *value, uint64_t presence, cst_err *err) {
    const uint8_t *from = value + field->value_offset;
    const bool there =
        field->accumulator == CSTI_ALWAYS_PRESENT || (presence >> field->accumulator & 1) != 0;

    if (!there) return csti_columns_put_null(to, row, err);
    // A date is narrower than what its greatest is kept in.
    memcpy(to->values + (size_t)row * to->width, from, to->width);
    return CST_OK;
}

static cst_code row_put(csti_emitter *emitter, const cst_row_ref *row, cst_err *err) {
    const csti_render_plan *from = &emitter->from;
    csti_column_rows *to = emitter->columns.columns;
    const uint32_t at = emitter->rows_count;
    const int64_t start_us = csti_window_of_key(row->key, row->key_bytes);
    const int64_t end_us = window_end(from, row, start_us);
    uint8_t scratch[CST_INLINE_KEY_BYTES_MAX];
    cst_value values[CST_COLUMNS_MAX];
    uint64_t presence = UINT64_MAX;
    cst_code code = cst_key_decode(&from->key, row->key, row->key_bytes, values, scratch, err);

    assert(row->key_bytes <= sizeof scratch);
    for (uint32_t c = 0; c < emitter->keys_count && code == CST_OK; c++)
        code = value_put(to++, at, &values[c], err);
    if (code != CST_OK) return code;
    time_put(to++, at, start_us);
    time_put(to++, at, end_us);
    time_put(to++, at, end_us - 1);
    if (from->presence_offset != CST_NO_OFFSET)
        presence = csti_load_le64(row->value + from->presence_offset);
    for (uint32_t f = 0; f < from->fields_count && code == CST_OK; f++)
        code = field_put(to++, at, &from->fields[f], row->value, presence, err);
    return code;
}

// ---- A batch to its channels --------------------------------------------------------------------

static cst_code keys_reserve(csti_emitter *emitter, const cst_batch *keys, cst_err *err) {
    const size_t bound = emitter->key->key_bytes ? 0 : cst_keys_bytes_bound(keys);
    uint8_t *bytes;

    if (bound <= emitter->keys.bytes_capacity) return CST_OK;
    bytes = realloc(emitter->keys.bytes, bound);
    if (!bytes) return cst_fail(err, CST_NO_MEMORY, "keys of %zu bytes", bound);
    emitter->keys.bytes = bytes;
    emitter->keys.bytes_capacity = bound;
    return CST_OK;
}

static cst_code key_fail(const csti_emitter *emitter, uint32_t bytes, cst_err *err) {
    if (bytes > CST_INLINE_KEY_BYTES_MAX)
        return cst_fail(err, CST_KEY_TOO_LONG,
                        "its encoded key has %" PRIu32 " bytes, and no job takes more than %d",
                        bytes, CST_INLINE_KEY_BYTES_MAX);
    return cst_fail(err, CST_KEY_TOO_LONG,
                    "its encoded key has %" PRIu32 " bytes, the job takes %" PRIu32
                    ": [then.key] key_bytes_max = %" PRIu32 " takes it, in a new store",
                    bytes, emitter->key->key_bytes_max, bytes);
}

static cst_code keys_hash(csti_emitter *emitter, uint32_t rows_count, cst_err *err) {
    const csti_reader_key *key = emitter->key;
    const uint32_t *offsets = emitter->keys.offsets;

    if (key->key_bytes) {
        cst_hash_fixed(&key->hash_key, emitter->keys.bytes, key->key_bytes, key->key_bytes,
                       rows_count, emitter->hashes);
        return CST_OK;
    }
    for (uint32_t r = 0; r < rows_count; r++) {
        const uint32_t bytes = offsets[r + 1] - offsets[r];

        if (bytes > key->key_bytes_max) return key_fail(emitter, bytes, err);
        emitter->hashes[r] = cst_hash(&key->hash_key, emitter->keys.bytes + offsets[r], bytes);
    }
    return CST_OK;
}

static cst_code keys_make(csti_emitter *emitter, const cst_batch *batch, cst_err *err) {
    const csti_reader_key *key = emitter->key;
    const cst_batch keys = {.schema = &key->schema,
                            .rows_count = batch->rows_count,
                            .columns = emitter->key_columns};
    cst_code code;

    for (uint32_t c = 0; c < key->schema.columns_count; c++)
        emitter->key_columns[c] = batch->columns[key->columns[c]];
    code = keys_reserve(emitter, &keys, err);
    if (code != CST_OK) return code;
    code = cst_keys_encode(&keys, &emitter->keys);
    if (code != CST_OK) return cst_fail(err, code, "encoding %" PRIu32 " keys", keys.rows_count);
    return keys_hash(emitter, keys.rows_count, err);
}

static void sources_take(csti_emitter *emitter, const cst_batch *batch) {
    for (uint32_t s = 0; s < emitter->sources_count; s++) {
        const uint32_t column = emitter->source_columns[s];
        const cst_column_data *data = &batch->columns[column];

        emitter->sources[s] =
            (cst_source){.values = data->values.data,
                         .validity = data->validity.bytes ? data->validity.data : NULL,
                         .type = batch->schema->columns[column].type};
    }
}

static cst_code batch_begin(csti_emitter *emitter, cst_err *err) {
    const uint32_t key_bytes = emitter->key->key_bytes;
    cst_batch rows, keyed;
    cst_code code = CST_OK;

    assert(!emitter->routes);
    csti_columns_batch(&emitter->columns, emitter->rows_count, &rows);
    keyed = rows;
    if (emitter->windows) code = csti_window_step_run(emitter->windows, &rows, &keyed, err);
    if (code == CST_OK) code = keys_make(emitter, &keyed, err);
    if (code != CST_OK)
        return cst_fail_at(err, code, "partition %" PRIu32 ": a row of a closed window",
                           emitter->partition);
    sources_take(emitter, &keyed);
    csti_router_begin(emitter->router,
                      &(cst_rows){.rows_count = keyed.rows_count,
                                  .key_stride = key_bytes,
                                  .key_bytes = key_bytes,
                                  .hashes = emitter->hashes,
                                  .keys = emitter->keys.bytes,
                                  .key_offsets = key_bytes ? NULL : emitter->keys.offsets,
                                  .sources = emitter->sources},
                      csti_clock_now_ns(emitter->clock));
    emitter->routes = true;
    return CST_OK;
}

static void batch_push(csti_emitter *emitter, bool *worked) {
    if (!emitter->routes) return;
    if (csti_router_push(emitter->router) > 0) *worked = true;
    if (!csti_router_is_done(emitter->router)) return;
    csti_metric_add(emitter->rows, emitter->rows_count);
    CSTI_FAULT_POINT(then_emitted);
    csti_columns_reset(&emitter->columns);
    emitter->rows_count = 0;
    emitter->routes = false;
}

// ---- What its partition calls -------------------------------------------------------------------

bool csti_emitter_is_paused(const csti_emitter *emitter) {
    // Relaxed: a batch more is within the reserve of whoever paused it.
    return atomic_load_explicit(emitter->paused, memory_order_relaxed) != 0;
}

bool csti_emitter_waits(const csti_emitter *emitter) {
    return emitter->routes || emitter->has_barrier;
}

uint32_t csti_emitter_room(const csti_emitter *emitter) {
    if (csti_emitter_waits(emitter) || csti_emitter_is_paused(emitter)) return 0;
    return emitter->rows_max - emitter->rows_count;
}

cst_code csti_emitter_put(csti_emitter *emitter, const cst_row_ref *row, cst_err *err) {
    bool worked = false;
    cst_code code;

    assert(!csti_emitter_waits(emitter));
    assert(emitter->rows_count < emitter->rows_max);
    code = row_put(emitter, row, err);
    if (code != CST_OK)
        return cst_fail_at(err, code, "partition %" PRIu32 ": a row of a closed window",
                           emitter->partition);
    emitter->rows_count++;
    if (emitter->rows_count < emitter->rows_max) return CST_OK;
    code = batch_begin(emitter, err);
    if (code == CST_OK) batch_push(emitter, &worked);
    return code;
}

void csti_emitter_push(csti_emitter *emitter, bool *worked) {
    batch_push(emitter, worked);
    if (!emitter->has_barrier) return;
    emitter->has_barrier = !csti_router_send_barrier(emitter->router, emitter->barrier);
    if (!emitter->has_barrier) *worked = true;
}

cst_code csti_emitter_flush(csti_emitter *emitter, cst_err *err) {
    bool worked = false;
    cst_code code = CST_OK;

    if (emitter->has_barrier) return CST_AGAIN;
    if (!emitter->routes && emitter->rows_count > 0) code = batch_begin(emitter, err);
    if (code != CST_OK) return code;
    batch_push(emitter, &worked);
    if (emitter->routes) return CST_AGAIN;
    csti_router_flush(emitter->router);
    return CST_OK;
}

cst_code csti_emitter_watermark(csti_emitter *emitter, int64_t watermark_us, bool *worked,
                                cst_err *err) {
    cst_code code;

    if (watermark_us <= emitter->watermark_us) return CST_OK;
    code = csti_emitter_flush(emitter, err);
    if (code != CST_OK) return code == CST_AGAIN ? CST_OK : code;
    csti_router_send_watermark(emitter->router, watermark_us);
    emitter->watermark_us = watermark_us;
    *worked = true;
    return CST_OK;
}

void csti_emitter_barrier(csti_emitter *emitter, csti_barrier barrier) {
    bool worked = false;

    assert(!csti_emitter_waits(emitter));
    assert(emitter->rows_count == 0);
    CSTI_FAULT_POINT(then_barrier);
    emitter->barrier = barrier;
    emitter->has_barrier = true;
    csti_emitter_push(emitter, &worked);
}
