#include "stream/reader.h"

#include "base/spsc_ring.h"
#include "codec/batch_read.h"

#include <constellation/table.h>

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

typedef struct reader_split {
    csti_split *split;
    const char *name;
    uint32_t number;
    int64_t watermark_us;
    uint64_t rows_to_cut; // with rows_every
    csti_split_stats stats;
    uint64_t empty_ns; // since when it has had no rows, while `empty`
    bool empty, ended;
} reader_split;

typedef enum reader_stage {
    READER_READS,
    READER_ENCODES, // a batch is on `encoder`
    READER_ROUTES,  // a batch waits for blocks
    READER_CUTS,    // a barrier waits for its place in channels
    READER_FAILED,
} reader_stage;

// What any thread may look at; written by the reader.
typedef struct reader_shown {
    _Atomic uint64_t rows, bytes, dropped, lag, processor_rows, full_count, passed_id;
    _Atomic int64_t watermark_us;
    _Atomic bool ended, at_cut, waits, finished, skips;
} reader_shown;

struct csti_reader {
    csti_reader_options options;
    reader_stage stage;
    cst_err failure;
    reader_split *splits;
    uint32_t splits_count;
    uint32_t next_split;
    csti_router *router;
    csti_barrier barrier;       // while READER_CUTS
    csti_reader_position place; // of a split, on its way to `cut`
    int64_t watermark_us;       // last sent
    uint64_t flushed_ns;
    bool idle_sent;
    bool has_skips;
    uint32_t rows_max;
    uint32_t sources_count;
    uint32_t source_columns[CSTI_BLOCK_SOURCES_MAX];

    // The batch under way.
    cst_batch batch; // out of the steps
    cst_batch key_batch;
    cst_column_data key_columns[CST_COLUMNS_MAX];
    cst_source sources[CSTI_BLOCK_SOURCES_MAX];
    cst_keys keys;
    uint64_t *hashes;
    cst_queue *encoder;
    uint64_t read_ns;
    const reader_split *split;

    _Alignas(CSTI_SPSC_LINE_BYTES) reader_shown shown;
};

// ---- What others see ----------------------------------------------------------------------------

// Relaxed, but for passed_id and what is said of an end: each value stands for itself.
static void show_u64(_Atomic uint64_t *at, uint64_t value) {
    atomic_store_explicit(at, value, memory_order_relaxed);
}

static void show_added(_Atomic uint64_t *at, uint64_t more) {
    show_u64(at, atomic_load_explicit(at, memory_order_relaxed) + more);
}

void csti_reader_stats_read(const csti_reader *reader, csti_reader_stats *out) {
    const reader_shown *shown = &reader->shown;
    // First of all, see cut_end; then those that others are as of, see nothing_to_read.
    const uint64_t passed_id = atomic_load_explicit(&shown->passed_id, memory_order_acquire);
    const bool ended = atomic_load_explicit(&shown->ended, memory_order_acquire);
    const bool at_cut = atomic_load_explicit(&shown->at_cut, memory_order_acquire);
    const bool waits = atomic_load_explicit(&shown->waits, memory_order_acquire);

    *out = (csti_reader_stats){
        .passed_id = passed_id,
        .rows = atomic_load_explicit(&shown->rows, memory_order_relaxed),
        .bytes = atomic_load_explicit(&shown->bytes, memory_order_relaxed),
        .dropped = atomic_load_explicit(&shown->dropped, memory_order_relaxed),
        .lag = atomic_load_explicit(&shown->lag, memory_order_relaxed),
        .processor_rows = atomic_load_explicit(&shown->processor_rows, memory_order_relaxed),
        .full_count = atomic_load_explicit(&shown->full_count, memory_order_relaxed),
        .watermark_us = atomic_load_explicit(&shown->watermark_us, memory_order_relaxed),
        .ended = ended,
        .at_cut = at_cut,
        .waits = waits,
        .finished = atomic_load_explicit(&shown->finished, memory_order_relaxed),
        .skips = atomic_load_explicit(&shown->skips, memory_order_relaxed),
    };
}

static void split_show(csti_reader *reader, reader_split *split) {
    const csti_split_stats before = split->stats;

    csti_split_stats_read(split->split, &split->stats);
    show_added(&reader->shown.bytes, split->stats.bytes - before.bytes);
    show_added(&reader->shown.lag, split->stats.lag_bytes - before.lag_bytes); // may go down
}

// ---- Open ---------------------------------------------------------------------------------------

static cst_code splits_open(csti_reader *reader, const csti_reader_options *options, cst_err *err) {
    reader->splits =
        calloc(options->splits_count ? options->splits_count : 1, sizeof *reader->splits);
    if (!reader->splits) return cst_fail(err, CST_NO_MEMORY, "%u splits", options->splits_count);
    for (uint32_t i = 0; i < options->splits_count; i++) {
        const csti_reader_split *from = &options->splits[i];
        reader_split *split = &reader->splits[i];
        cst_code code;

        *split = (reader_split){.name = from->name,
                                .number = from->number,
                                .watermark_us = from->watermark_us,
                                .rows_to_cut = options->rows_every};
        code = csti_split_open(options->source, from->name, from->offset, &split->split, err);
        if (code != CST_OK) return cst_fail_at(err, code, "split %s", from->name);
        reader->splits_count = i + 1;
        split_show(reader, split);
    }
    return CST_OK;
}

static cst_code buffers_open(csti_reader *reader, const csti_reader_key *key, cst_err *err) {
    const size_t rows = reader->options.route->rows_max;

    reader->hashes = malloc(rows * sizeof *reader->hashes);
    if (key->key_bytes) {
        reader->keys.bytes_capacity = rows * key->key_bytes;
        reader->keys.bytes = malloc(reader->keys.bytes_capacity);
    } else {
        reader->keys.offsets = malloc((rows + 1) * sizeof *reader->keys.offsets);
    }
    if (reader->hashes && (reader->keys.bytes || reader->keys.offsets)) return CST_OK;
    return cst_fail(err, CST_NO_MEMORY, "keys of %zu rows", rows);
}

static void skips_show(csti_reader *reader) {
    bool any = false;

    for (uint32_t i = 0; i < reader->splits_count; i++)
        any = any || csti_router_skips(reader->router, i);
    reader->has_skips = any;
    atomic_store_explicit(&reader->shown.skips, any, memory_order_relaxed);
}

static cst_code router_open(csti_reader *reader, const csti_reader_options *options, cst_err *err) {
    csti_router_options route = *options->route;
    csti_router_split *splits = calloc(options->splits_count + 1, sizeof *splits);
    cst_code code;

    if (!splits) return cst_fail(err, CST_NO_MEMORY, "%u splits", options->splits_count);
    for (uint32_t i = 0; i < options->splits_count; i++)
        splits[i] = (csti_router_split){.number = options->splits[i].number,
                                        .skips = options->splits[i].skips};
    route.splits = splits;
    route.splits_count = options->splits_count;
    code = csti_router_open(&route, &reader->router, err);
    free(splits);
    if (code == CST_OK) skips_show(reader);
    return code;
}

cst_code csti_reader_open(const csti_reader_options *options, csti_reader **out, cst_err *err) {
    csti_reader *reader = aligned_alloc(_Alignof(csti_reader), sizeof *reader);
    cst_code code;

    assert(options->route->shape->sources_count <= CSTI_BLOCK_SOURCES_MAX);
    if (!reader) {
        csti_steps_close(options->steps);
        return cst_fail(err, CST_NO_MEMORY, "a reader");
    }
    memset(reader, 0, sizeof *reader);
    reader->options = *options;
    reader->rows_max = options->rows_max ? options->rows_max : options->route->rows_max;
    reader->watermark_us = CSTI_WATERMARK_NONE;
    reader->flushed_ns = csti_clock_now_ns(options->clock);
    atomic_init(&reader->shown.watermark_us, CSTI_WATERMARK_NONE);
    reader->sources_count = options->route->shape->sources_count;
    memcpy(reader->source_columns, options->source_columns,
           reader->sources_count * sizeof *reader->source_columns);
    code = splits_open(reader, options, err);
    if (code == CST_OK) code = buffers_open(reader, options->key, err);
    if (code == CST_OK) code = router_open(reader, options, err);
    if (code != CST_OK) {
        csti_reader_close(reader);
        return code;
    }
    // These hold until the end of this call only.
    reader->options.route = NULL;
    reader->options.splits = NULL;
    reader->options.source_columns = NULL;
    *out = reader;
    return CST_OK;
}

void csti_reader_close(csti_reader *reader) {
    if (!reader) return;
    csti_router_close(reader->router);
    for (uint32_t i = 0; i < reader->splits_count; i++) csti_split_close(reader->splits[i].split);
    csti_steps_close(reader->options.steps);
    free(reader->splits);
    free(reader->hashes);
    free(reader->keys.bytes);
    free(reader->keys.offsets);
    free(reader);
}

// ---- Watermarks ---------------------------------------------------------------------------------

static int64_t event_time_max(const cst_column_data *column, uint32_t rows_count) {
    const uint8_t *values = column->values.data;
    int64_t greatest = INT64_MIN;

    for (uint32_t r = 0; r < rows_count; r++) {
        int64_t time;

        memcpy(&time, values + (size_t)r * sizeof time, sizeof time);
        if (column->validity.bytes && !csti_row_is_valid(&column->validity, r)) continue;
        greatest = time > greatest ? time : greatest;
    }
    return greatest;
}

static void split_watermark_raise(csti_reader *reader, reader_split *split,
                                  const cst_batch *batch) {
    const uint32_t column = reader->options.event_time_column;
    int64_t watermark_us;

    if (column == UINT32_MAX || batch->rows_count == 0) return;
    watermark_us = event_time_max(&batch->columns[column], batch->rows_count);
    if (watermark_us < INT64_MIN + reader->options.lateness_us) return; // none, or too early to say
    watermark_us -= reader->options.lateness_us;
    if (watermark_us > split->watermark_us) split->watermark_us = watermark_us;
}

static bool split_is_idle(const csti_reader *reader, const reader_split *split, uint64_t now_ns) {
    return split->empty && now_ns - split->empty_ns >= reader->options.idle_us * 1000;
}

// The least of the live splits; with none alive that of those that have ended, if all have.
static int64_t watermark_of(const csti_reader *reader, uint64_t now_ns, bool *live_out) {
    int64_t live_us = INT64_MAX;
    int64_t ended_us = INT64_MAX;
    bool idle = false;

    *live_out = false;
    for (uint32_t i = 0; i < reader->splits_count; i++) {
        const reader_split *split = &reader->splits[i];
        int64_t *least_us = split->ended ? &ended_us : &live_us;

        if (!split->ended && split_is_idle(reader, split, now_ns)) {
            idle = true;
            continue;
        }
        *live_out = *live_out || !split->ended;
        if (split->watermark_us < *least_us) *least_us = split->watermark_us;
    }
    if (*live_out) return live_us;
    if (reader->options.end_closes && !idle && reader->splits_count > 0) return CSTI_WATERMARK_END;
    return idle || reader->splits_count == 0 ? CSTI_WATERMARK_NONE : ended_us;
}

// Sends what is due: rows that wait in open blocks, then the watermark that they raised, and
// whether anybody has to wait for this reader.
static void flush(csti_reader *reader, uint64_t now_ns) {
    bool live = false;
    const int64_t watermark_us = watermark_of(reader, now_ns, &live);

    csti_router_flush(reader->router);
    reader->flushed_ns = now_ns;
    if (watermark_us > reader->watermark_us) {
        reader->watermark_us = watermark_us;
        atomic_store_explicit(&reader->shown.watermark_us, watermark_us, memory_order_relaxed);
        csti_router_send_watermark(reader->router, watermark_us);
    }
    if (!live && !reader->idle_sent) csti_router_send_idle(reader->router);
    if (live && reader->idle_sent) csti_router_send_live(reader->router);
    reader->idle_sent = !live;
}

// ---- Barriers -----------------------------------------------------------------------------------

static cst_code positions_give(csti_reader *reader, cst_err *err) {
    for (uint32_t i = 0; i < reader->splits_count; i++) {
        const reader_split *split = &reader->splits[i];
        csti_reader_position *place = &reader->place;
        cst_code code;

        place->split = split->name;
        place->watermark_us = split->watermark_us;
        place->ended = split->ended;
        place->number = split->number;
        place->routed = csti_router_routed(reader->router, i);
        place->skips = csti_router_skips(reader->router, i);
        place->offset = csti_split_offset(split->split);
        if (!place->offset)
            return cst_fail(err, CST_NO_MEMORY, "split %s: its offset", split->name);
        code = reader->options.cut(reader->options.context, reader->barrier, place, err);
        if (code != CST_OK) return cst_fail_at(err, code, "split %s", split->name);
    }
    return CST_OK;
}

cst_code csti_reader_tell(csti_reader *reader, cst_err *err) {
    assert(reader->barrier.id == 0);
    return positions_give(reader, err);
}

static void cut_end(csti_reader *reader) {
    reader->stage = READER_READS;
    if (reader->barrier.mode == CSTI_BARRIER_FINAL)
        atomic_store_explicit(&reader->shown.finished, true, memory_order_relaxed);
    if (atomic_load_explicit(&reader->shown.at_cut, memory_order_relaxed))
        for (uint32_t i = 0; i < reader->splits_count; i++)
            reader->splits[i].rows_to_cut = reader->options.rows_every;
    atomic_store_explicit(&reader->shown.at_cut, false, memory_order_relaxed);
    atomic_store_explicit(&reader->shown.waits, false, memory_order_relaxed);
    // Release pairs with the acquire in csti_reader_stats_read: who sees that the barrier is passed
    // does not see this reader at the cut before it, or without rows there.
    atomic_store_explicit(&reader->shown.passed_id, reader->barrier.id, memory_order_release);
}

static cst_code cut(csti_reader *reader, uint64_t now_ns, cst_err *err) {
    cst_code code;

    flush(reader, now_ns);
    code = positions_give(reader, err);
    if (code != CST_OK) return code;
    reader->stage = READER_CUTS;
    if (csti_router_send_barrier(reader->router, reader->barrier)) cut_end(reader);
    return CST_OK;
}

// ---- Reading ------------------------------------------------------------------------------------

// The keys' bytes are bounded by the batch: room for it, at the most it can take.
static cst_code keys_reserve(csti_reader *reader, cst_err *err) {
    const size_t bound = cst_keys_bytes_bound(&reader->key_batch);
    uint8_t *bytes;

    if (reader->options.key->key_bytes || bound <= reader->keys.bytes_capacity) return CST_OK;
    bytes = realloc(reader->keys.bytes, bound);
    if (!bytes) return cst_fail(err, CST_NO_MEMORY, "keys of %zu bytes", bound);
    reader->keys.bytes = bytes;
    reader->keys.bytes_capacity = bound;
    return CST_OK;
}

// A command costs a device more than the processor, a row perhaps less.
static void encoder_choose(csti_reader *reader) {
    const csti_reader_options *o = &reader->options;
    const uint32_t rows_count = reader->batch.rows_count;

    reader->encoder = o->queue;
    if (!o->processor || rows_count >= o->device_rows_min) return;
    reader->encoder = o->processor;
    show_added(&reader->shown.processor_rows, rows_count);
}

static cst_code encode_begin(csti_reader *reader, cst_err *err) {
    const csti_reader_key *key = reader->options.key;
    cst_command command;
    cst_code code;

    for (uint32_t c = 0; c < key->schema.columns_count; c++)
        reader->key_columns[c] = reader->batch.columns[key->columns[c]];
    for (uint32_t s = 0; s < reader->sources_count; s++) {
        const uint32_t column = reader->source_columns[s];
        const cst_column_data *data = &reader->batch.columns[column];

        reader->sources[s] =
            (cst_source){.values = data->values.data,
                         .validity = data->validity.bytes ? data->validity.data : NULL,
                         .type = reader->batch.schema->columns[column].type};
    }
    reader->key_batch = (cst_batch){.schema = &key->schema,
                                    .rows_count = reader->batch.rows_count,
                                    .columns = reader->key_columns};
    code = keys_reserve(reader, err);
    if (code != CST_OK) return code;
    command = (cst_command){.ops = CST_OP_ENCODE | (key->hash_tail_bytes ? 0 : CST_OP_HASH),
                            .batch = &reader->key_batch,
                            .rows = {.rows_count = reader->batch.rows_count},
                            .hash_key = key->hash_key,
                            .keys_out = &reader->keys,
                            .hashes_out = reader->hashes};
    encoder_choose(reader);
    code = cst_queue_submit(reader->encoder, &command, NULL, err);
    if (code == CST_OK) reader->stage = READER_ENCODES;
    return code;
}

// Where the row of what came out of the steps is in its source.
static cst_code row_fail(const csti_reader *reader, uint32_t row, cst_code code, cst_err *err) {
    uint32_t row_before = 0;

    if (!csti_steps_row_before(reader->options.steps, row, &row_before))
        code = cst_fail_at(err, code, "an operator made a row of this one or one behind it");
    return csti_split_row_fail(reader->split->split, row_before, code, err);
}

static cst_code key_fail(const csti_reader *reader, uint32_t row, uint32_t bytes, cst_err *err) {
    const uint32_t bytes_max = reader->options.key->key_bytes_max;
    cst_code code;

    if (bytes > CST_INLINE_KEY_BYTES_MAX)
        code = cst_fail(err, CST_KEY_TOO_LONG,
                        "its encoded key has %u bytes, and no job takes more than %d. A [[filter]] "
                        "keeps the row out.",
                        bytes, CST_INLINE_KEY_BYTES_MAX);
    else
        code = cst_fail(err, CST_KEY_TOO_LONG,
                        "its encoded key has %u bytes, the job takes %u. A [[filter]] keeps the "
                        "row out; [key] key_bytes_max = %u takes it, in a new store.",
                        bytes, bytes_max, bytes);
    return row_fail(reader, row, code, err);
}

static cst_code keys_check(const csti_reader *reader, cst_err *err) {
    const csti_reader_key *key = reader->options.key;

    if (key->key_bytes) return CST_OK;
    for (uint32_t r = 0; r < reader->batch.rows_count; r++) {
        const uint32_t bytes = reader->keys.offsets[r + 1] - reader->keys.offsets[r];

        if (bytes > key->key_bytes_max) return key_fail(reader, r, bytes, err);
    }
    return CST_OK;
}

// Of keys of which the device hashed nothing, as it takes whole ones alone.
static void heads_hash(csti_reader *reader) {
    const csti_reader_key *key = reader->options.key;
    const uint32_t rows_count = reader->batch.rows_count;
    const uint32_t *offsets = reader->keys.offsets;

    if (key->key_bytes) {
        cst_hash_fixed(&key->hash_key, reader->keys.bytes, key->key_bytes - key->hash_tail_bytes,
                       key->key_bytes, rows_count, reader->hashes);
        return;
    }
    for (uint32_t r = 0; r < rows_count; r++)
        reader->hashes[r] = cst_hash(&key->hash_key, reader->keys.bytes + offsets[r],
                                     offsets[r + 1] - offsets[r] - key->hash_tail_bytes);
}

static cst_code hash_prove(const csti_reader *reader, uint32_t row, cst_err *err) {
    const csti_reader_key *key = reader->options.key;
    const uint32_t *offsets = reader->keys.offsets;
    const uint8_t *bytes =
        reader->keys.bytes + (key->key_bytes ? (size_t)row * key->key_bytes : (size_t)offsets[row]);
    const uint32_t count = key->key_bytes ? key->key_bytes : offsets[row + 1] - offsets[row];
    const uint64_t hash = cst_hash(&key->hash_key, bytes, count);

    if (hash == reader->hashes[row]) return CST_OK;
    return cst_fail(err, CST_DEVICE_SELFTEST,
                    "%s: hash %" PRIu32 " of a batch of %" PRIu32 " is %016" PRIx64
                    ", not %016" PRIx64,
                    cst_device_uri(cst_queue_device(reader->encoder)), row,
                    reader->batch.rows_count, reader->hashes[row], hash);
}

// A device that errs errs at the ends of what it sends, or everywhere.
static cst_code hashes_prove(const csti_reader *reader, cst_err *err) {
    const uint32_t rows_count = reader->batch.rows_count;
    cst_code code;

    if (!reader->options.proves_hashes || reader->options.key->hash_tail_bytes || rows_count == 0)
        return CST_OK;
    if (reader->encoder == reader->options.processor) return CST_OK;
    code = hash_prove(reader, 0, err);
    return code == CST_OK ? hash_prove(reader, rows_count - 1, err) : code;
}

// CST_AGAIN: the device is not done.
static cst_code encode_end(csti_reader *reader, cst_err *err) {
    const csti_reader_key *key = reader->options.key;
    cst_completion done;
    cst_code code;

    if (cst_queue_poll(reader->encoder, &done, 1) == 0) return CST_AGAIN;
    if (done.code == CST_DEVICE_LOST) return cst_queue_lost(reader->encoder, err);
    code = done.code == CST_OK
               ? keys_check(reader, err)
               : cst_fail(err, done.code, "encoding %u keys", reader->batch.rows_count);
    if (code == CST_OK) code = hashes_prove(reader, err);
    if (code != CST_OK) return cst_fail_at(err, code, "split %s", reader->split->name);
    if (key->hash_tail_bytes) heads_hash(reader);
    const cst_rows rows = {
        .rows_count = reader->batch.rows_count,
        .key_stride = key->key_bytes,
        .key_bytes = key->key_bytes,
        .ops = reader->batch.ops.bytes ? reader->batch.ops.data : NULL,
        .hashes = reader->hashes,
        .keys = reader->keys.bytes,
        .key_offsets = key->key_bytes ? NULL : reader->keys.offsets,
        .sources = reader->sources,
    };
    csti_router_turn(reader->router, (uint32_t)(reader->split - reader->splits));
    csti_router_begin(reader->router, &rows, reader->read_ns);
    if (reader->has_skips) skips_show(reader);
    reader->stage = READER_ROUTES;
    return CST_OK;
}

static cst_code route(csti_reader *reader) {
    const uint32_t moved = csti_router_push(reader->router);

    if (csti_router_is_done(reader->router))
        reader->stage = READER_READS;
    else if (moved == 0) {
        show_added(&reader->shown.full_count, 1);
        return CST_AGAIN;
    }
    return CST_OK;
}

static bool split_waits_for_cut(const csti_reader *reader, const reader_split *split) {
    return reader->options.rows_every > 0 && split->rows_to_cut == 0;
}

static cst_code batch_take(csti_reader *reader, reader_split *split, const cst_batch *batch,
                           uint64_t now_ns, cst_err *err) {
    uint32_t bad_row = 0;
    cst_code code;

    reader->read_ns = now_ns;
    reader->split = split;
    split->empty = false;
    atomic_store_explicit(&reader->shown.waits, false, memory_order_relaxed);
    if (reader->options.rows_every > 0) {
        assert(batch->rows_count <= split->rows_to_cut);
        split->rows_to_cut -= batch->rows_count;
    }
    show_added(&reader->shown.rows, batch->rows_count);
    split_show(reader, split);
    code = csti_steps_run(reader->options.steps, batch, &reader->batch, err);
    if (code != CST_OK)
        return csti_steps_bad_row(reader->options.steps, &bad_row)
                   ? row_fail(reader, bad_row, code, err)
                   : code;
    show_u64(&reader->shown.dropped, csti_steps_dropped_count(reader->options.steps));
    split_watermark_raise(reader, split, &reader->batch);
    return reader->batch.rows_count > 0 ? encode_begin(reader, err) : CST_OK;
}

// One split's next rows. CST_AGAIN: none now.
static cst_code split_read(csti_reader *reader, reader_split *split, uint64_t now_ns,
                           cst_err *err) {
    uint32_t rows_max = reader->rows_max;
    cst_batch batch = {0};
    cst_code code;

    if (split->ended || split_waits_for_cut(reader, split)) return CST_AGAIN;
    if (reader->options.rows_every > 0 && split->rows_to_cut < rows_max)
        rows_max = (uint32_t)split->rows_to_cut;
    code = csti_split_next(split->split, rows_max, &batch, &split->ended, err);
    if (code == CST_AGAIN) split_show(reader, split);
    if (code == CST_AGAIN && !split->empty) {
        split->empty = true;
        split->empty_ns = now_ns;
    }
    if (code == CST_OK && split->ended) return CST_AGAIN;
    if (code == CST_OK) code = batch_take(reader, split, &batch, now_ns, err);
    if (code != CST_OK && code != CST_AGAIN) return cst_fail_at(err, code, "split %s", split->name);
    return code;
}

// Nothing to read now: what waits goes out, and the others are not held back.
static void nothing_to_read(csti_reader *reader, uint64_t now_ns) {
    bool all_ended = true;
    bool any_at_cut = false;

    flush(reader, now_ns);
    // Each of them has ended, is at its cut or has nothing now.
    for (uint32_t i = 0; i < reader->splits_count; i++) {
        all_ended = all_ended && reader->splits[i].ended;
        any_at_cut = any_at_cut || split_waits_for_cut(reader, &reader->splits[i]);
    }
    // Release pairs with the acquire in csti_reader_stats_read: what else is shown is of all rows.
    if (all_ended) atomic_store_explicit(&reader->shown.ended, true, memory_order_release);
    atomic_store_explicit(&reader->shown.waits, true, memory_order_release);
    if (any_at_cut) atomic_store_explicit(&reader->shown.at_cut, true, memory_order_release);
}

static cst_code read_any(csti_reader *reader, uint64_t now_ns, cst_err *err) {
    cst_code code = CST_AGAIN;

    // Splits take turns.
    for (uint32_t i = 0; i < reader->splits_count && code == CST_AGAIN; i++) {
        reader_split *split = &reader->splits[reader->next_split];

        reader->next_split = (reader->next_split + 1) % reader->splits_count;
        code = split_read(reader, split, now_ns, err);
    }
    if (code == CST_AGAIN) nothing_to_read(reader, now_ns);
    return code;
}

// One step from where the reader stands.
static cst_code step(csti_reader *reader, uint64_t now_ns, cst_err *err) {
    switch (reader->stage) {
    case READER_ENCODES:
        return encode_end(reader, err);
    case READER_ROUTES:
        return route(reader);
    case READER_CUTS:
        if (!csti_router_send_barrier(reader->router, reader->barrier)) return CST_AGAIN;
        cut_end(reader);
        return CST_OK;
    case READER_FAILED:
        *err = reader->failure;
        return reader->failure.code;
    case READER_READS:
        break;
    }
    if (csti_barrier_pending(reader->options.barriers) &&
        csti_barrier_take(reader->options.barriers, &reader->barrier))
        return cut(reader, now_ns, err);
    if (atomic_load_explicit(&reader->shown.finished, memory_order_relaxed)) return CST_AGAIN;
    // Relaxed: a pause that comes a batch later is within the reserve.
    if (atomic_load_explicit(reader->options.paused, memory_order_relaxed) != 0) {
        flush(reader, now_ns);
        return CST_AGAIN;
    }
    return read_any(reader, now_ns, err);
}

cst_code csti_reader_poll(csti_reader *reader, cst_err *err) {
    const uint64_t now_ns = csti_clock_now_ns(reader->options.clock);

    assert(err);
    cst_code code = step(reader, now_ns, err);

    // A batch that a processor encoded at once goes on at once.
    while (code == CST_OK && (reader->stage == READER_ENCODES || reader->stage == READER_ROUTES)) {
        code = step(reader, now_ns, err);
        if (code == CST_AGAIN) return CST_OK; // something was done
    }
    if (code == CST_OK && reader->stage == READER_READS &&
        now_ns - reader->flushed_ns >= CSTI_READER_FLUSH_NS)
        flush(reader, now_ns);
    if (code == CST_OK || code == CST_AGAIN || reader->stage == READER_FAILED) return code;
    reader->stage = READER_FAILED;
    reader->failure = *err;
    reader->failure.code = code;
    csti_router_send_end(reader->router, code);
    return code;
}
