#include "state/keeper_split.h"

#include "device/backend.h"
#include "state/record.h"
#include "state/short_rows.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    POLLED_MAX = 32,
    RELEASES_MAX = 16,
    RANGES_MAX = 64, // of a delta, at a time
    EXPIRE_TURNS_MAX = 8,
};

// Tags of the device's commands; those of blocks and barriers are places of `work`.
#define TAG_RELEASE (UINT64_MAX)
#define TAG_EXPIRE (UINT64_MAX - 1)
// In the number of a bucket: it is one of `longs`, whose walk comes behind the device's.
#define BUCKET_OF_LONGS (UINT64_C(1) << 63)

// A block or a barrier, as it was submitted.
typedef struct split_work {
    cst_command command;
    bool has_longs;
    bool has_shorts; // a copy of its short rows is on the device, not the block itself
    bool answered;   // by the device, or it was not asked
    cst_completion answer;
    uint32_t row; // rows in front of it are in, as far as they are of `longs`
    csti_short_rows shorts;
} split_work;

// A delta that is sealed and not released.
typedef struct split_seal split_seal;
struct split_seal {
    split_seal *next;
    cst_delta of_device, of_longs;
    uint8_t *records; // of_device's, as wide as those of `longs`
    size_t bytes;
};

typedef struct split_release {
    uint64_t tag, epoch;
} split_release;

typedef enum split_halt { HALT_NONE, HALT_DEVICE, HALT_LONGS } split_halt;

typedef struct split_keeper {
    csti_keeper base;
    cst_queue *queue;
    cst_device_table *table;
    cst_table *longs;
    cst_driver *driver;
    csti_record_shape shape, shape_longs;
    uint32_t sources_count;
    split_work *work; // a ring of `depth`
    uint32_t depth, work_first, work_count;
    split_halt halted; // by the first of the work
    split_seal *seals; // oldest first
    size_t seals_bytes;
    split_release releases[RELEASES_MAX]; // on the device, oldest first
    uint32_t releases_count;
    cst_command expire; // under way, if `expires`
    bool expires, expired_longs;
    cst_completion expired; // with expired_longs: to be handed over
    uint64_t long_rows;
} split_keeper;

static split_keeper *self(csti_keeper *keeper) {
    return (split_keeper *)keeper;
}

static split_work *work_at(const split_keeper *keeper, uint32_t index) {
    return &keeper->work[(keeper->work_first + index) % keeper->depth];
}

// ---- Rows and barriers on their way in ----------------------------------------------------------

// Asks the device for what of the work is its own. CST_AGAIN: its queue is full.
static cst_code work_send(split_keeper *keeper, split_work *work, cst_err *err) {
    const cst_rows *rows = &work->command.rows;
    const uint32_t all = rows->rows_count - rows->first_row;
    cst_command command = work->command;
    cst_code code = CST_OK;

    command.table = keeper->table;
    command.tag = (uint64_t)(work - keeper->work);
    if (command.ops == CST_OP_APPLY) {
        const uint32_t count = csti_short_rows_count(rows, keeper->shape.key_bytes);

        work->has_longs = count < all;
        work->has_shorts = count > 0 && count < all;
        work->answered = count == 0 && all > 0;
        if (work->answered) return CST_OK;
        if (work->has_shorts)
            code = csti_short_rows_take(&work->shorts, rows, keeper->shape.key_bytes,
                                        keeper->sources_count);
        if (code != CST_OK) return cst_fail(err, code, "a block of %u rows", all);
        if (work->has_shorts) command.rows = work->shorts.rows;
    }
    return cst_driver_submit(keeper->driver, &command, NULL, err);
}

static cst_code work_submit(split_keeper *keeper, const cst_command *command, cst_err *err) {
    split_work *work = work_at(keeper, keeper->work_count);
    cst_code code;

    if (keeper->work_count == keeper->depth) return CST_AGAIN;
    if (command->ops == CST_OP_APPLY &&
        !csti_program_takes(&cst_device_table_options(keeper->table)->program, &command->rows))
        return cst_fail(err, CST_USAGE, "rows whose sources the table does not take");
    work->command = *command;
    work->has_longs = work->has_shorts = work->answered = false;
    work->row = command->rows.first_row;
    code = work_send(keeper, work, err);
    if (code == CST_OK) keeper->work_count++;
    return code;
}

static split_seal *seal_find(const split_keeper *keeper, uint64_t epoch) {
    split_seal *seal = keeper->seals;

    while (seal && seal->of_device.epoch != epoch) seal = seal->next;
    return seal;
}

static cst_code release_submit(split_keeper *keeper, const cst_command *command, cst_err *err) {
    const split_seal *seal = seal_find(keeper, command->release.epoch);
    cst_command own = *command;
    cst_code code;

    if (!seal)
        return cst_fail(err, CST_EPOCH, "release of epoch %llu: it is not one that is sealed here",
                        (unsigned long long)command->release.epoch);
    if (keeper->releases_count == RELEASES_MAX) return CST_AGAIN;
    own.table = keeper->table;
    own.tag = TAG_RELEASE;
    own.release = seal->of_device;
    code = cst_driver_submit(keeper->driver, &own, NULL, err);
    if (code == CST_OK)
        keeper->releases[keeper->releases_count++] =
            (split_release){command->tag, command->release.epoch};
    return code;
}

// ---- Keys whose time is over --------------------------------------------------------------------

static uint64_t buckets_of(const cst_table *table) {
    cst_table_stats stats;

    cst_table_stats_read(table, &stats);
    return stats.chunks_count * CSTI_CHUNK_BUCKETS;
}

static void longs_expire(split_keeper *keeper) {
    const cst_command *command = &keeper->expire;
    const uint64_t from = command->expire_bucket & ~BUCKET_OF_LONGS;
    const uint64_t left = buckets_of(keeper->longs) - from;
    uint32_t asked = command->expire_buckets_count;
    uint64_t bucket = from;
    cst_completion *out = &keeper->expired;

    if (asked > left) asked = (uint32_t)left;
    *out = (cst_completion){.tag = command->tag};
    for (int turn = 0; turn < EXPIRE_TURNS_MAX && out->rows_done < asked; turn++) {
        uint32_t expired = 0;

        out->code = cst_table_expire(keeper->longs, &bucket, asked - out->rows_done,
                                     command->rows.now_us, &expired);
        out->count += expired;
        out->rows_done = out->code == CST_OK ? asked : (uint32_t)(bucket - from);
        if (out->code != CST_TABLE_NOT_READY || cst_table_prepare(keeper->longs, NULL) != CST_OK)
            break;
    }
    out->position = out->rows_done == left ? 0 : bucket | BUCKET_OF_LONGS;
    keeper->expired_longs = true;
}

static cst_code expire_submit(split_keeper *keeper, const cst_command *command, cst_err *err) {
    const uint64_t buckets = buckets_of(cst_device_table_view(keeper->table));
    const uint64_t left = buckets - command->expire_bucket;
    cst_command own = *command;
    cst_code code = CST_OK;

    if (keeper->expires) return CST_AGAIN;
    keeper->expire = *command;
    if (command->expire_bucket & BUCKET_OF_LONGS) {
        longs_expire(keeper);
    } else {
        assert(command->expire_bucket < buckets);
        if (own.expire_buckets_count > left) own.expire_buckets_count = (uint32_t)left;
        own.table = keeper->table;
        own.tag = TAG_EXPIRE;
        code = cst_driver_submit(keeper->driver, &own, NULL, err);
    }
    keeper->expires = code == CST_OK;
    return code;
}

// Behind the device's last bucket comes the first one of `longs`.
static void device_expired(split_keeper *keeper, const cst_completion *done, cst_completion *out) {
    const uint64_t buckets = buckets_of(cst_device_table_view(keeper->table));

    *out = *done;
    out->tag = keeper->expire.tag;
    if (keeper->expire.expire_bucket + done->rows_done >= buckets) out->position = BUCKET_OF_LONGS;
    keeper->expires = false;
}

// ---- Deltas -------------------------------------------------------------------------------------

static void seal_free(split_keeper *keeper, split_seal *seal) {
    keeper->seals_bytes -= seal->bytes;
    free(seal->records);
    free(seal);
}

static void records_widen(split_keeper *keeper, split_seal *seal, cst_bytes range) {
    for (size_t at = 0; at < range.count;) {
        const csti_record head = csti_record_head(range.data + at);

        assert(head.units > 0);
        if (!(head.value_flags & CSTI_RECORD_GAP))
            seal->bytes += csti_record_refit(&keeper->shape, range.data + at, &keeper->shape_longs,
                                             seal->records + seal->bytes);
        at += csti_record_bytes(head);
    }
}

static cst_code device_delta_take(split_keeper *keeper, split_seal *seal, cst_err *err) {
    const cst_table *view = cst_device_table_view(keeper->table);
    const uint64_t narrow_bytes = seal->of_device.to - seal->of_device.from;
    const uint64_t bytes =
        narrow_bytes / keeper->shape.record_bytes * keeper->shape_longs.record_bytes;
    cst_bytes few[RANGES_MAX], *ranges = few;
    size_t count = 0;

    if (narrow_bytes == 0) return CST_OK;
    seal->records = malloc(bytes);
    cst_table_delta_ranges(view, &seal->of_device, few, RANGES_MAX, &count);
    if (count > RANGES_MAX) {
        ranges = malloc(count * sizeof *ranges);
        if (ranges) cst_table_delta_ranges(view, &seal->of_device, ranges, count, &count);
    }
    for (size_t r = 0; seal->records && ranges && r < count; r++)
        records_widen(keeper, seal, ranges[r]);
    if (ranges != few) free(ranges);
    if (!seal->records || !ranges)
        return cst_fail(err, CST_NO_MEMORY, "a delta of %llu bytes", (unsigned long long)bytes);
    assert(seal->bytes <= bytes);
    return CST_OK;
}

// The device has sealed its table behind the same rows.
static cst_code barrier_end(split_keeper *keeper, const split_work *work, cst_completion *out,
                            cst_err *err) {
    split_seal *seal = calloc(1, sizeof *seal);
    split_seal **last = &keeper->seals;
    cst_code code;

    if (!seal) return cst_fail(err, CST_NO_MEMORY, "a delta");
    seal->of_device = work->answer.delta;
    code = device_delta_take(keeper, seal, err);
    if (code != CST_OK) {
        free(seal->records);
        free(seal);
        return code;
    }
    seal->of_longs = cst_table_seal(keeper->longs);
    assert(seal->of_longs.epoch == seal->of_device.epoch);
    keeper->seals_bytes += seal->bytes;
    while (*last) last = &(*last)->next;
    *last = seal;
    out->delta = (cst_delta){.epoch = seal->of_device.epoch,
                             .to = seal->bytes + (seal->of_longs.to - seal->of_longs.from)};
    return CST_OK;
}

static void device_released(split_keeper *keeper, const cst_completion *done, cst_completion *out) {
    const split_release first = keeper->releases[0];

    assert(keeper->releases_count > 0);
    *out = *done;
    out->tag = first.tag;
    keeper->releases_count--;
    memmove(keeper->releases, keeper->releases + 1,
            keeper->releases_count * sizeof *keeper->releases);
    while (out->code == CST_OK && keeper->seals && keeper->seals->of_device.epoch <= first.epoch) {
        split_seal *seal = keeper->seals;

        out->code = cst_table_release(keeper->longs, &seal->of_longs);
        keeper->seals = seal->next;
        seal_free(keeper, seal);
    }
}

// ---- What becomes of the work -------------------------------------------------------------------

// Long rows in front of row `end`.
static cst_code longs_apply(split_keeper *keeper, split_work *work, uint32_t end) {
    const cst_rows *rows = &work->command.rows;
    cst_code code = CST_OK;

    while (code == CST_OK && work->row < end) {
        cst_rows run = *rows;
        uint32_t applied = 0;

        for (run.first_row = work->row; run.first_row < end; run.first_row++)
            if (csti_rows_key_length(rows, run.first_row) > keeper->shape.key_bytes) break;
        for (run.rows_count = run.first_row; run.rows_count < end; run.rows_count++)
            if (csti_rows_key_length(rows, run.rows_count) <= keeper->shape.key_bytes) break;
        if (run.first_row < end) code = cst_table_apply_all(keeper->longs, &run, &applied);
        work->row = run.first_row + applied;
        keeper->long_rows += applied;
    }
    return code;
}

// The first of the work, which the device has answered, comes to its end or halts the keeper.
static cst_code work_end(split_keeper *keeper, cst_completion *out, cst_err *err) {
    split_work *work = work_at(keeper, 0);
    const cst_rows *rows = &work->command.rows;
    const bool applies = work->command.ops == CST_OP_APPLY;
    const bool stopped = work->answer.stopped;
    uint32_t end = rows->rows_count;
    cst_code code = CST_OK;

    *out = work->answer;
    out->tag = work->command.tag;
    if (applies && stopped)
        end = work->has_shorts ? work->shorts.numbers[out->rows_done] : out->rows_done;
    if (work->has_longs) code = longs_apply(keeper, work, end);
    if (applies) out->rows_done = end;
    if (code != CST_OK) {
        out->code = code;
        out->rows_done = work->row;
        out->stopped = true;
        keeper->halted = HALT_LONGS;
        return CST_OK;
    }
    if (stopped) {
        keeper->halted = HALT_DEVICE;
        return CST_OK;
    }
    if (work->command.ops == CST_OP_BARRIER && out->code == CST_OK)
        code = barrier_end(keeper, work, out, err);
    keeper->work_first = (keeper->work_first + 1) % keeper->depth;
    keeper->work_count--;
    return code;
}

static void device_answered(split_keeper *keeper, const cst_completion *done) {
    split_work *work = &keeper->work[done->tag];

    assert(done->tag < keeper->depth);
    assert(!work->answered);
    work->answered = true;
    work->answer = *done;
}

// ---- Calls --------------------------------------------------------------------------------------

static cst_code split_submit(csti_keeper *base, const cst_command *command, cst_err *err) {
    split_keeper *keeper = self(base);

    switch (command->ops) {
    case CST_OP_APPLY:
    case CST_OP_BARRIER:
        return work_submit(keeper, command, err);
    case CST_OP_RELEASE:
        return release_submit(keeper, command, err);
    case CST_OP_EXPIRE:
        return expire_submit(keeper, command, err);
    default:
        return cst_fail(err, CST_UNSUPPORTED, "two tables: command %u", command->ops);
    }
}

// What the device has done.
static cst_code device_poll(split_keeper *keeper, cst_completion *out, uint32_t count_max,
                            uint32_t *count_out, bool *worked, cst_err *err) {
    cst_completion done[POLLED_MAX];
    uint32_t count = 0;
    const cst_code code =
        cst_driver_poll(keeper->driver, 0, done, count_max < POLLED_MAX ? count_max : POLLED_MAX,
                        &count, err);

    for (uint32_t i = 0; i < count; i++) {
        if (done[i].tag == TAG_RELEASE)
            device_released(keeper, &done[i], &out[(*count_out)++]);
        else if (done[i].tag == TAG_EXPIRE)
            device_expired(keeper, &done[i], &out[(*count_out)++]);
        else
            device_answered(keeper, &done[i]);
    }
    if (count > 0) *worked = true;
    return code;
}

static cst_code split_poll(csti_keeper *base, cst_completion *out, uint32_t count_max,
                           uint32_t *count_out, bool *worked, cst_err *err) {
    split_keeper *keeper = self(base);
    cst_code code;

    *count_out = 0;
    code = device_poll(keeper, out, count_max, count_out, worked, err);
    if (code == CST_OK && keeper->expired_longs && *count_out < count_max) {
        out[(*count_out)++] = keeper->expired;
        keeper->expires = keeper->expired_longs = false;
    }
    while (code == CST_OK && *count_out < count_max && keeper->halted == HALT_NONE &&
           keeper->work_count > 0 && work_at(keeper, 0)->answered) {
        code = work_end(keeper, &out[*count_out], err);
        if (code == CST_OK) ++*count_out;
    }
    *worked = *worked || *count_out > 0;
    return code;
}

static cst_code split_retry(csti_keeper *base, cst_err *err) {
    split_keeper *keeper = self(base);
    const split_halt halted = keeper->halted;

    if (halted == HALT_NONE) return cst_fail(err, CST_USAGE, "the keeper is not halted");
    keeper->halted = HALT_NONE;
    if (halted == HALT_LONGS) return CST_OK; // the next poll tries that row again
    work_at(keeper, 0)->answered = false;
    return cst_driver_retry(keeper->driver, err);
}

static bool split_is_idle(const csti_keeper *base) {
    const split_keeper *keeper = (const split_keeper *)base;

    return cst_queue_in_flight(keeper->queue) == 0 && !keeper->expires &&
           (keeper->halted != HALT_NONE || keeper->work_count == 0);
}

static bool split_stats(const csti_keeper *base, csti_keeper_stats *out) {
    const split_keeper *keeper = (const split_keeper *)base;
    cst_table_stats stats;
    csti_keeper_stats of_longs;

    cst_table_stats_read(cst_device_table_view(keeper->table), &stats);
    *out = csti_keeper_stats_of(&stats);
    cst_table_stats_read(keeper->longs, &stats);
    of_longs = csti_keeper_stats_of(&stats);
    out->rows_count += of_longs.rows_count;
    out->state_bytes += of_longs.state_bytes;
    out->log_bytes += of_longs.log_bytes + keeper->seals_bytes;
    out->used_bytes += of_longs.used_bytes + keeper->seals_bytes;
    out->chunks_count += of_longs.chunks_count;
    out->misplaced_bytes += of_longs.misplaced_bytes;
    out->long_keys = of_longs.rows_count;
    out->long_rows = keeper->long_rows;
    return true;
}

static void split_delta_ranges(const csti_keeper *base, const cst_delta *delta, cst_bytes *ranges,
                               size_t capacity, size_t *count_out) {
    const split_keeper *keeper = (const split_keeper *)base;
    const split_seal *seal = seal_find(keeper, delta->epoch);
    const size_t used = seal && seal->bytes > 0;
    const size_t room = capacity > used ? capacity - used : 0;
    size_t count = 0;

    assert(seal);
    if (used > 0 && capacity > 0) ranges[0] = (cst_bytes){seal->records, seal->bytes};
    cst_table_delta_ranges(keeper->longs, &seal->of_longs, room > 0 ? ranges + used : NULL, room,
                           &count);
    *count_out = used + count;
}

static void split_close(csti_keeper *base) {
    split_keeper *keeper = self(base);

    cst_driver_close(keeper->driver);
    while (keeper->seals) {
        split_seal *seal = keeper->seals;

        keeper->seals = seal->next;
        seal_free(keeper, seal);
    }
    for (uint32_t i = 0; keeper->work && i < keeper->depth; i++)
        csti_short_rows_end(&keeper->work[i].shorts);
    free(keeper->work);
    free(keeper);
}

static const csti_keeper_ops split_ops = {
    .submit = split_submit,
    .poll = split_poll,
    .retry = split_retry,
    .is_idle = split_is_idle,
    .stats = split_stats,
    .delta_ranges = split_delta_ranges,
    .close = split_close,
};

static csti_record_shape shape_of(uint32_t key_bytes, const cst_program *program) {
    const cst_segment_part part = {CST_TABLE_INLINE, key_bytes, program->value_bytes};

    return csti_record_shape_of(&part);
}

cst_code csti_keeper_split_open(const csti_keeper_split_options *options, csti_keeper **out,
                                cst_err *err) {
    const cst_table_options *table = cst_device_table_options(options->table);
    const cst_program *program = &table->program;
    split_keeper *keeper;
    cst_code code;

    if (table->layout != CST_TABLE_INLINE || program->accumulators_count == 0)
        return cst_fail(err, CST_UNSUPPORTED, "two tables, of wide rows or values to be replaced");
    if (options->table->sources_count > CSTI_SHORT_SOURCES_MAX)
        return cst_fail(err, CST_UNSUPPORTED, "two tables, of rows with %u sources",
                        options->table->sources_count);
    keeper = calloc(1, sizeof *keeper);
    if (!keeper) return cst_fail(err, CST_NO_MEMORY, "keeper");
    *keeper = (split_keeper){.base = {&split_ops},
                             .queue = options->queue,
                             .table = options->table,
                             .longs = options->longs,
                             .shape = shape_of(table->key_bytes, program),
                             .sources_count = options->table->sources_count,
                             .depth = cst_queue_depth(options->queue)};
    keeper->shape_longs = shape_of(options->longs->key_bytes, program);
    keeper->work = calloc(keeper->depth, sizeof *keeper->work);
    code = keeper->work ? cst_driver_open(options->queue, &keeper->driver, err)
                        : cst_fail(err, CST_NO_MEMORY, "keeper");
    if (code != CST_OK) {
        split_close(&keeper->base);
        return code;
    }
    *out = &keeper->base;
    return CST_OK;
}
