#include "state/keeper_lmdb.h"

#include "state/changes.h"
#include "state/store.h"
#include "table/program.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    WORK_MAX = 16,     // commands that wait for a retry, and completions
    RELEASES_MAX = 64, // as many epochs may be under way
    KEY_BYTES_MAX = CST_INLINE_ENTRY_BYTES_MAX,
};

// A row whose key did not change lately: what the disk has of it.
typedef struct fetch {
    csti_disk_change key; // with the row's number as order
} fetch;

typedef struct released {
    cst_delta delta;
    uint64_t tag;
    uint32_t checksum;
} released;

// Where EXPIRE is.
typedef struct walk {
    uint64_t number, end; // of changes: below it they are done, up to here they are looked at
    uint32_t key_bytes;   // of the disk: rows up to this key are done
    uint8_t key[KEY_BYTES_MAX];
    uint64_t steps;
} walk;

typedef struct lmdb_keeper {
    csti_keeper base;
    csti_disk_rows *rows;
    csti_changes *changes;
    cst_program program;
    cst_hash_key hash_key;
    uint32_t key_bytes_max;
    uint64_t rows_count;
    bool halted;
    cst_command work[WORK_MAX]; // oldest first; the first of them runs, or has halted it
    uint32_t work_count;

    released releases[RELEASES_MAX]; // oldest first; the first is being settled
    uint32_t releases_count;
    uint64_t settled; // number of the first record that is not on the disk
    uint32_t checksum_next;
    uint32_t settle_rows;
    csti_disk_change *settling; // settle_rows of them

    fetch *fetches; // of a block
    const uint8_t **values;
    uint32_t rows_capacity;

    cst_command expire;
    bool expires; // `expire` is to be run
    walk walk;
} lmdb_keeper;

static lmdb_keeper *self(csti_keeper *keeper) {
    return (lmdb_keeper *)keeper;
}

// ---- Rows ---------------------------------------------------------------------------------------

static cst_code block_fits(lmdb_keeper *keeper, uint32_t rows_count) {
    fetch *fetches;
    const uint8_t **values;

    if (rows_count <= keeper->rows_capacity) return CST_OK;
    fetches = realloc(keeper->fetches, rows_count * sizeof *fetches);
    if (fetches) keeper->fetches = fetches;
    values = realloc(keeper->values, rows_count * sizeof *values);
    if (values) keeper->values = values;
    if (!fetches || !values) return CST_NO_MEMORY;
    keeper->rows_capacity = rows_count;
    return CST_OK;
}

static int fetch_compare(const void *a, const void *b) {
    const csti_disk_change *left = &((const fetch *)a)->key;
    const csti_disk_change *right = &((const fetch *)b)->key;
    const uint32_t common = left->key_bytes < right->key_bytes ? left->key_bytes : right->key_bytes;
    const int order = memcmp(left->key, right->key, common);

    if (order != 0) return order;
    return (left->key_bytes > right->key_bytes) - (left->key_bytes < right->key_bytes);
}

// Values of the rows whose keys did not change, in key order: neighbours lie on one page.
static cst_code values_fetch(lmdb_keeper *keeper, const cst_rows *rows, cst_err *err) {
    cst_code code = block_fits(keeper, rows->rows_count);
    const uint8_t *value = NULL;
    uint32_t count = 0;

    if (code != CST_OK) return cst_fail(err, code, "a block of %u rows", rows->rows_count);
    for (uint32_t row = rows->first_row; row < rows->rows_count; row++) {
        const cst_bytes key = csti_rows_key(rows, row);
        bool open;

        keeper->values[row] = NULL;
        if (key.count > keeper->key_bytes_max) break;
        if (!csti_changes_find(keeper->changes, rows->hashes[row], key.data, (uint32_t)key.count,
                               &open))
            keeper->fetches[count++] =
                (fetch){{.key = key.data, .key_bytes = (uint32_t)key.count, .order = row}};
    }
    if (count > 1) qsort(keeper->fetches, count, sizeof *keeper->fetches, fetch_compare);
    for (uint32_t i = 0; i < count; i++) {
        const csti_disk_change *key = &keeper->fetches[i].key;

        if (i == 0 || fetch_compare(&keeper->fetches[i - 1], &keeper->fetches[i]) != 0) {
            value = NULL;
            code = csti_disk_rows_get(keeper->rows, key->key, key->key_bytes, &value, err);
            if (code != CST_OK && code != CST_NOT_FOUND) return code;
        }
        keeper->values[key->order] = value;
    }
    return CST_OK;
}

static uint32_t value_offset(const lmdb_keeper *keeper) {
    return csti_record_value_offset(csti_changes_shape(keeper->changes), (csti_record){0});
}

// A row that is there goes.
static cst_code row_bury(lmdb_keeper *keeper, uint64_t hash, cst_bytes key, uint8_t *record,
                         bool open) {
    cst_code code = CST_OK;

    if (record && open)
        csti_changes_bury(keeper->changes, record);
    else
        code = csti_changes_append(keeper->changes, hash, key.data, (uint32_t)key.count, true,
                                   &record);
    keeper->rows_count -= code == CST_OK;
    return code;
}

// What the row is folded into; its time may be over. NULL: there is no row.
static const uint8_t *value_before(const lmdb_keeper *keeper, const uint8_t *record, uint32_t row) {
    if (!record) return keeper->values[row];
    if (!(csti_record_head(record).value_flags & CSTI_RECORD_PRESENT)) return NULL;
    return record + value_offset(keeper);
}

static cst_code row_delete(lmdb_keeper *keeper, const cst_rows *rows, uint32_t row, cst_bytes key,
                           uint8_t *record, bool open) {
    const uint8_t *before = value_before(keeper, record, row);

    if (!before || csti_program_expired(&keeper->program, before, rows->now_us))
        return CST_OK; // it leaves nothing
    return row_bury(keeper, rows->hashes[row], key, record, open);
}

static cst_code row_fold(lmdb_keeper *keeper, const cst_rows *rows, uint32_t row, cst_bytes key,
                         uint8_t *record, bool open) {
    const uint8_t *before = value_before(keeper, record, row);
    const bool fresh = !before || csti_program_expired(&keeper->program, before, rows->now_us);
    const bool rewrites = before && record && open;
    uint8_t value[CST_INLINE_ENTRY_BYTES_MAX] = {0};
    cst_code code;

    if (!fresh) memcpy(value, before, keeper->program.value_bytes);
    code = csti_program_fold(&keeper->program, rows, row, fresh, value);
    if (code == CST_OK && !rewrites)
        code = csti_changes_append(keeper->changes, rows->hashes[row], key.data,
                                   (uint32_t)key.count, false, &record);
    if (code != CST_OK) return code;
    memcpy(record + value_offset(keeper), value, keeper->program.value_bytes);
    keeper->rows_count += !before;
    return CST_OK;
}

// Rows from the first on until one cannot be; *done_out is its number, or rows_count.
static cst_code rows_apply(lmdb_keeper *keeper, const cst_rows *rows, uint32_t *done_out,
                           cst_err *err) {
    cst_code code = CST_OK;
    uint32_t row = rows->first_row;

    if (!csti_program_takes(&keeper->program, rows)) code = CST_USAGE;
    if (code == CST_OK) code = values_fetch(keeper, rows, err);
    for (; code == CST_OK && row < rows->rows_count; row++) {
        const cst_bytes key = csti_rows_key(rows, row);
        uint8_t *record = NULL;
        bool open = false;

        if (key.count > keeper->key_bytes_max) {
            code = CST_KEY_TOO_LONG;
            break;
        }
        record = csti_changes_find(keeper->changes, rows->hashes[row], key.data,
                                   (uint32_t)key.count, &open);
        code = csti_rows_is_delete(rows, row) ? row_delete(keeper, rows, row, key, record, open)
                                              : row_fold(keeper, rows, row, key, record, open);
        if (code != CST_OK) break;
    }
    *done_out = row;
    return code;
}

// ---- Keys whose time is over --------------------------------------------------------------------

// Changes first: what settles meanwhile was looked at, or is seen on the disk.
static cst_code changes_expire(lmdb_keeper *keeper, uint64_t *rows_left, uint64_t *expired_out) {
    walk *at = &keeper->walk;

    if (at->number < keeper->settled) at->number = keeper->settled;
    for (; at->number<at->end && * rows_left> 0; at->number++, --*rows_left) {
        const uint8_t *record = csti_changes_record(keeper->changes, at->number);
        const csti_record head = csti_record_head(record);
        const cst_bytes key = {record + sizeof head, head.key_bytes};
        uint8_t *newest;
        bool open = false;
        cst_code code;

        if (!(head.value_flags & CSTI_RECORD_PRESENT) ||
            !csti_program_expired(&keeper->program, record + value_offset(keeper),
                                  keeper->expire.rows.now_us))
            continue;
        newest = csti_changes_find(keeper->changes, head.hash, key.data, head.key_bytes, &open);
        if (newest != record) continue;
        code = row_bury(keeper, head.hash, key, newest, open);
        if (code != CST_OK) return code;
        ++*expired_out;
    }
    return CST_OK;
}

typedef struct expiring {
    lmdb_keeper *keeper;
    uint64_t expired;
} expiring;

static cst_code disk_row_expire(void *context, const cst_row_ref *row, cst_err *err) {
    expiring *under_way = context;
    lmdb_keeper *keeper = under_way->keeper;
    const cst_bytes key = {row->key, row->key_bytes};
    bool open = false;

    (void)err; // a completion has no text
    if (csti_program_expired(&keeper->program, row->value, keeper->expire.rows.now_us)) {
        const uint64_t hash = cst_hash(&keeper->hash_key, row->key, row->key_bytes);

        if (!csti_changes_find(keeper->changes, hash, row->key, row->key_bytes, &open)) {
            const cst_code code = row_bury(keeper, hash, key, NULL, false);

            if (code != CST_OK) return code;
            under_way->expired++;
        }
    }
    assert(row->key_bytes <= KEY_BYTES_MAX);
    memcpy(keeper->walk.key, row->key, row->key_bytes);
    keeper->walk.key_bytes = row->key_bytes;
    return CST_OK;
}

// A step of the walk. A tombstone that finds no room ends it there.
static cst_code expire_run(lmdb_keeper *keeper, cst_completion *out, cst_err *err) {
    walk *at = &keeper->walk;
    uint64_t rows_left = (uint64_t)keeper->expire.expire_buckets_count * CSTI_BUCKET_SLOTS;
    expiring under_way = {keeper, 0};
    bool end = false;
    cst_code code;

    if (keeper->expire.expire_bucket == 0)
        *at = (walk){.number = keeper->settled, .end = csti_changes_end(keeper->changes)};
    keeper->expires = false;
    code = changes_expire(keeper, &rows_left, &under_way.expired);
    if (code == CST_OK && rows_left > 0)
        code = csti_disk_rows_scan_on(keeper->rows, (cst_bytes){at->key, at->key_bytes}, rows_left,
                                      disk_row_expire, &under_way, &end, err);
    if (code == CST_STORE_CORRUPT || code == CST_IO) return code; // the disk's, no row's
    *out = (cst_completion){.tag = keeper->expire.tag,
                            .code = code,
                            .rows_done = end ? UINT32_MAX : 0,
                            .count = under_way.expired,
                            .position = end ? 0 : ++at->steps};
    return CST_OK;
}

// ---- What is committed goes to the disk ---------------------------------------------------------

// The next batch of the oldest delta that was released.
static cst_code settle(lmdb_keeper *keeper, cst_err *err) {
    const released *first = &keeper->releases[0];
    const uint32_t offset = value_offset(keeper);
    const uint64_t to = csti_changes_number(keeper->changes, first->delta.to);
    const uint64_t left = to - keeper->settled;
    const uint32_t count = left < keeper->settle_rows ? (uint32_t)left : keeper->settle_rows;
    csti_disk_mark mark = csti_disk_rows_mark(keeper->rows);
    cst_code code;

    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *record = csti_changes_record(keeper->changes, keeper->settled + i);
        const csti_record head = csti_record_head(record);
        const bool tombstone = (head.value_flags & CSTI_RECORD_TOMBSTONE) != 0;

        keeper->settling[i] = (csti_disk_change){.key = record + sizeof head,
                                                 .value = tombstone ? NULL : record + offset,
                                                 .key_bytes = head.key_bytes,
                                                 .order = i};
    }
    mark.reach = (csti_disk_point){first->delta.epoch, first->checksum};
    if (count == left) mark.whole = mark.reach;
    code = csti_disk_rows_write(keeper->rows, keeper->settling, count, &mark, err);
    if (code != CST_OK) return code;
    for (uint32_t i = 0; i < count; i++) csti_changes_forget(keeper->changes, keeper->settled + i);
    keeper->settled += count;
    csti_changes_drop(keeper->changes, keeper->settled);
    return CST_OK;
}

static bool is_settled(const lmdb_keeper *keeper) {
    return csti_disk_rows_mark(keeper->rows).whole.epoch == keeper->releases[0].delta.epoch;
}

static void release_end(lmdb_keeper *keeper, cst_completion *out) {
    *out = (cst_completion){.tag = keeper->releases[0].tag};
    keeper->releases_count--;
    memmove(keeper->releases, keeper->releases + 1,
            keeper->releases_count * sizeof *keeper->releases);
}

// ---- Calls --------------------------------------------------------------------------------------

static cst_code lmdb_submit(csti_keeper *base, const cst_command *command, cst_err *err) {
    lmdb_keeper *keeper = self(base);

    if (command->ops == CST_OP_RELEASE) {
        if (keeper->releases_count == RELEASES_MAX) return CST_AGAIN;
        keeper->releases[keeper->releases_count++] =
            (released){command->release, command->tag, keeper->checksum_next};
        return CST_OK;
    }
    if (command->ops == CST_OP_EXPIRE && keeper->program.ttl_us != CST_TTL_NONE) {
        if (keeper->expires) return CST_AGAIN;
        keeper->expire = *command;
        keeper->expires = true;
        return CST_OK;
    }
    if (command->ops != CST_OP_APPLY && command->ops != CST_OP_BARRIER)
        return cst_fail(err, CST_UNSUPPORTED, "lmdb: command %u", command->ops);
    if (keeper->work_count == WORK_MAX) return CST_AGAIN;
    keeper->work[keeper->work_count++] = *command;
    return CST_OK;
}

// Runs the oldest command. A row that finds no room halts it, others end the partition.
static cst_code work_run(lmdb_keeper *keeper, cst_completion *out, cst_err *err) {
    cst_command *command = &keeper->work[0];
    cst_code code;

    *out = (cst_completion){.tag = command->tag};
    if (command->ops == CST_OP_BARRIER) {
        out->delta = csti_changes_seal(keeper->changes);
    } else {
        out->code = rows_apply(keeper, &command->rows, &out->rows_done, err);
        command->rows.first_row = out->rows_done;
    }
    code = out->code;
    // What the disk says goes out as it is: no row is to blame.
    if (code == CST_STORE_FULL || code == CST_STORE_CORRUPT || code == CST_IO) return code;
    out->stopped = code != CST_OK;
    keeper->halted = out->stopped;
    if (keeper->halted) return CST_OK;
    keeper->work_count--;
    memmove(keeper->work, keeper->work + 1, keeper->work_count * sizeof *keeper->work);
    return CST_OK;
}

static cst_code lmdb_poll(csti_keeper *base, cst_completion *out, uint32_t count_max,
                          uint32_t *count_out, bool *worked, cst_err *err) {
    lmdb_keeper *keeper = self(base);
    uint32_t count = 0;
    cst_code code = CST_OK;

    *count_out = 0;
    if (keeper->expires) {
        code = expire_run(keeper, &out[count], err);
        if (code == CST_OK) *count_out = ++count;
    }
    while (code == CST_OK && !keeper->halted && keeper->work_count > 0 && count < count_max - 1) {
        code = work_run(keeper, &out[count], err);
        if (code == CST_OK) *count_out = ++count;
    }
    if (code == CST_OK && keeper->releases_count > 0) {
        *worked = true;
        code = settle(keeper, err);
        if (code == CST_OK && is_settled(keeper)) release_end(keeper, &out[count++]);
        if (code == CST_OK) *count_out = count;
    }
    *worked = *worked || count > 0;
    return code;
}

static cst_code lmdb_retry(csti_keeper *base, cst_err *err) {
    lmdb_keeper *keeper = self(base);

    if (!keeper->halted) return cst_fail(err, CST_USAGE, "the keeper is not halted");
    keeper->halted = false;
    return CST_OK;
}

static bool lmdb_is_idle(const csti_keeper *base) {
    const lmdb_keeper *keeper = (const lmdb_keeper *)base;

    return (keeper->halted || keeper->work_count == 0) && !keeper->expires;
}

static bool lmdb_stats(const csti_keeper *base, csti_keeper_stats *out) {
    const lmdb_keeper *keeper = (const lmdb_keeper *)base;
    const bool expires = keeper->program.ttl_us != CST_TTL_NONE;
    // What a walk looks at.
    const uint64_t rows =
        csti_changes_end(keeper->changes) - keeper->settled + csti_disk_rows_count(keeper->rows);
    csti_changes_stats stats;

    csti_changes_stats_read(keeper->changes, &stats);
    *out = (csti_keeper_stats){.rows_count = keeper->rows_count,
                               .log_bytes = stats.index_bytes + stats.log_bytes,
                               .used_bytes = stats.index_bytes + stats.log_bytes,
                               .chunks_count = expires ? rows / CSTI_CHUNK_SLOTS + 1 : 0};
    return true;
}

static void lmdb_delta_ranges(const csti_keeper *base, const cst_delta *delta, cst_bytes *ranges,
                              size_t capacity, size_t *count_out) {
    csti_changes_ranges(((const lmdb_keeper *)base)->changes, delta, ranges, capacity, count_out);
}

static void lmdb_committed(csti_keeper *base, uint32_t checksum) {
    self(base)->checksum_next = checksum;
}

static void lmdb_close(csti_keeper *base) {
    lmdb_keeper *keeper = self(base);
    cst_err ignored;

    // What was released goes to the disk, so that the next start has less to read.
    while (keeper->releases_count > 0 && settle(keeper, &ignored) == CST_OK) {
        cst_completion done;

        if (is_settled(keeper)) release_end(keeper, &done);
    }
    csti_disk_rows_close(keeper->rows);
    csti_changes_close(keeper->changes);
    free(keeper->settling);
    free(keeper->fetches);
    free(keeper->values);
    free(keeper);
}

static const csti_keeper_ops lmdb_ops = {
    .submit = lmdb_submit,
    .poll = lmdb_poll,
    .retry = lmdb_retry,
    .is_idle = lmdb_is_idle,
    .stats = lmdb_stats,
    .delta_ranges = lmdb_delta_ranges,
    .committed = lmdb_committed,
    .close = lmdb_close,
};

cst_code csti_keeper_lmdb_open(const csti_keeper_lmdb_options *options, csti_keeper **out,
                               cst_err *err) {
    const csti_changes_options changes = {.part = options->part,
                                          .epoch = options->epoch,
                                          .budget_bytes = options->budget_bytes};
    lmdb_keeper *keeper;
    cst_code code;

    if (options->program.accumulators_count == 0)
        return cst_fail(err, CST_UNSUPPORTED, "lmdb: a program that replaces values");
    code = csti_program_check(&options->program, err);
    if (code != CST_OK) return code;
    keeper = calloc(1, sizeof *keeper);
    if (!keeper) return cst_fail(err, CST_NO_MEMORY, "keeper");
    *keeper = (lmdb_keeper){.base = {&lmdb_ops},
                            .program = options->program,
                            .hash_key = options->hash_key,
                            .key_bytes_max = options->part.key_bytes,
                            .settle_rows = options->settle_rows,
                            .rows_count = csti_disk_rows_count(options->rows)};
    keeper->settling = malloc(keeper->settle_rows * sizeof *keeper->settling);
    code = keeper->settling ? csti_changes_open(&changes, &keeper->changes, err)
                            : cst_fail(err, CST_NO_MEMORY, "keeper");
    if (code != CST_OK) {
        lmdb_close(&keeper->base); // without the rows
        return code;
    }
    keeper->rows = options->rows;
    *out = &keeper->base;
    return CST_OK;
}
