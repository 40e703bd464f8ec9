// store_lmdb.c: rows in LMDB, a memory-mapped B+tree: ordered, on disk, crash-safe.
//
//   DIR/data.mdb   "rows": 01 key -> value          (LMDB has no empty keys, we do)
//                  "meta": "store" -> lmdb_meta      identity, and the epoch sealed last
//   DIR/lock.mdb   LMDB's; DIR/owner: locked while a store is open
//
//   open epoch = one write transaction:   begin ── put, delete, get, scan ── seal: commit, begin
//                                                                        └── rollback: abort, begin
//
// So a process that dies, at any moment, leaves the store at the epoch sealed last.
//
// A change that might not fit the map runs in a transaction of its own inside the epoch's, so that
// failing it undoes nothing else. That costs as much as the epoch has touched pages, so it is done
// only once the pages left in the map could run out (lmdb_room.h).
#include "base/pages.h"
#include "state/lmdb_error.h"
#include "state/lmdb_room.h"
#include "state/record_out.h"
#include "state/segment.h"
#include "state/store.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    LMDB_META_VERSION = 1,
    KEY_PREFIX = 1,
    PATH_BYTES_MAX = 4000,
    RESTORE_ROWS = 256,
    PAGES_RESERVED = 256, // for the list of free pages that a commit writes
};
#define LMDB_META_MAGIC UINT64_C(0x31424d444c545343) // "CSTLDMB1"

typedef struct lmdb_meta {
    uint64_t magic;
    uint32_t version;
    uint32_t reserved;
    uint64_t table_id;
    uint64_t schema_hash;
    uint64_t hash_key_check;
    uint64_t epoch; // sealed last
} lmdb_meta;
_Static_assert(sizeof(lmdb_meta) == 48, "meta");

typedef struct lmdb_store {
    cst_store base;
    MDB_env *env;
    MDB_txn *epoch_txn; // NULL while the store is aborted
    MDB_dbi rows, meta;
    csti_lmdb_room room;
    uint32_t page_bytes;
    int owner_file;
    char directory[PATH_BYTES_MAX];
} lmdb_store;

static lmdb_store *self(cst_store *store) {
    return (lmdb_store *)store;
}

// ---- Errors -------------------------------------------------------------------------------------

static cst_code code_of(const lmdb_store *store, int error) {
    return csti_lmdb_code(error, store->env, store->directory);
}

static cst_code fail_lmdb(const lmdb_store *store, int error, const char *what, cst_err *err) {
    const cst_code code = code_of(store, error);

    return cst_fail(err, code, "%s: %s: %s. %s", store->directory, what, mdb_strerror(error),
                    cst_code_advice(code));
}

// ---- Transactions -------------------------------------------------------------------------------

// Begins the open epoch's transaction.
static int epoch_begin(lmdb_store *store) {
    MDB_envinfo info;
    uint64_t pages;
    int error = mdb_txn_begin(store->env, NULL, 0, &store->epoch_txn);

    if (error != 0) {
        store->epoch_txn = NULL;
        return error;
    }
    error = mdb_env_info(store->env, &info);
    pages = info.me_mapsize / store->page_bytes;
    csti_lmdb_room_begin(&store->room, pages > info.me_last_pgno + 1 + PAGES_RESERVED
                                           ? pages - info.me_last_pgno - 1 - PAGES_RESERVED
                                           : 0);
    return error;
}

// The epoch is undone: nothing goes on until rollback has said so to the caller.
static void epoch_abort(lmdb_store *store) {
    if (store->epoch_txn) mdb_txn_abort(store->epoch_txn);
    store->epoch_txn = NULL;
    store->base.aborted = true;
}

// A value so long may lie in pages of its own, and is counted as if it did.
static uint64_t value_pages(const lmdb_store *store, size_t value_bytes) {
    return value_bytes > store->page_bytes / 4 ? value_bytes / store->page_bytes + 2 : 0;
}

// Whether a change surely fits the map: a copy and a split on each level, and the value's own
// pages.
static bool fits(lmdb_store *store, size_t value_bytes, uint64_t *pages_out) {
    const uint64_t own = value_pages(store, value_bytes);
    MDB_stat stat;

    if (mdb_stat(store->epoch_txn, store->rows, &stat) != 0) return false;
    *pages_out = 2 * ((uint64_t)stat.ms_depth + 2) + own + 2;
    return csti_lmdb_room_take(&store->room, *pages_out, own,
                               stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages);
}

typedef struct key_buffer {
    uint8_t bytes[1 + CST_STORE_LMDB_KEY_BYTES_MAX];
} key_buffer;

static MDB_val key_of(key_buffer *buffer, const void *key, size_t key_bytes) {
    buffer->bytes[0] = KEY_PREFIX;
    memcpy(buffer->bytes + 1, key, key_bytes);
    return (MDB_val){1 + key_bytes, buffer->bytes};
}

// `value` NULL deletes.
static int change_in(lmdb_store *store, MDB_txn *txn, MDB_val *key, MDB_val *value) {
    int error;

    if (value) return mdb_put(txn, store->rows, key, value, 0);
    error = mdb_del(txn, store->rows, key, NULL);
    return error == MDB_NOTFOUND ? 0 : error;
}

static cst_code change(lmdb_store *store, MDB_val *key, MDB_val *value) {
    MDB_txn *inner = NULL;
    uint64_t pages = 0;
    int error;

    if (fits(store, value ? value->mv_size : 0, &pages)) {
        error = change_in(store, store->epoch_txn, key, value);
        if (error != 0) epoch_abort(store);
        return code_of(store, error);
    }
    error = mdb_txn_begin(store->env, store->epoch_txn, 0, &inner);
    if (error == 0) {
        error = change_in(store, inner, key, value);
        if (error != 0)
            mdb_txn_abort(inner);
        else
            error = mdb_txn_commit(inner);
        csti_lmdb_room_took_inside(&store->room, pages);
    }
    if (error != 0 && error != MDB_MAP_FULL && error != MDB_TXN_FULL && error != ENOMEM)
        epoch_abort(store);
    return code_of(store, error);
}

// ---- Open ---------------------------------------------------------------------------------------

static void lmdb_close(cst_store *base) {
    lmdb_store *store = self(base);

    if (store->epoch_txn) mdb_txn_abort(store->epoch_txn);
    if (store->env) mdb_env_close(store->env);
    if (store->owner_file >= 0) (void)close(store->owner_file);
    free(store);
}

static cst_code directory_open(lmdb_store *store, const char *place, cst_err *err) {
    char path[PATH_BYTES_MAX + 16];

    if (place[0] == '\0') return cst_fail(err, CST_USAGE, "no folder behind lmdb:");
    if (strlen(place) >= PATH_BYTES_MAX) return cst_fail(err, CST_USAGE, "the path is too long");
    (void)snprintf(store->directory, sizeof store->directory, "%s", place);
    if (mkdir(place, 0777) != 0 && errno != EEXIST)
        return cst_fail(err, CST_IO, "mkdir: %s", strerror(errno));
    (void)snprintf(path, sizeof path, "%s/owner", place);
    store->owner_file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (store->owner_file < 0)
        return cst_fail(err, errno == ENOSPC ? CST_STORE_FULL : CST_IO, "%s: %s", path,
                        strerror(errno));
    // LMDB would wait here for the other owner's epoch, for ever.
    if (flock(store->owner_file, LOCK_EX | LOCK_NB) != 0)
        return cst_fail(err, errno == EWOULDBLOCK ? CST_AGAIN : CST_IO, "%s: already open", path);
    return CST_OK;
}

static cst_code env_open(lmdb_store *store, const cst_store_options *options, cst_err *err) {
    const uint64_t pages = options->map_bytes / CSTI_PAGE_BYTES;
    unsigned flags = MDB_NOTLS | MDB_NORDAHEAD;
    MDB_stat stat;
    int error = mdb_env_create(&store->env);

    if (error != 0) {
        store->env = NULL;
        return fail_lmdb(store, error, "mdb_env_create", err);
    }
    if (options->no_sync) flags |= MDB_NOSYNC;
    error = mdb_env_set_mapsize(store->env, (size_t)(pages * CSTI_PAGE_BYTES));
    if (error == 0) error = mdb_env_set_maxdbs(store->env, 2);
    if (error == 0) error = mdb_env_open(store->env, store->directory, flags, 0666);
    if (error == 0) error = mdb_env_stat(store->env, &stat);
    if (error != 0) return fail_lmdb(store, error, "mdb_env_open", err);
    store->page_bytes = stat.ms_psize;
    error = epoch_begin(store);
    if (error == 0) error = mdb_dbi_open(store->epoch_txn, "rows", MDB_CREATE, &store->rows);
    if (error == 0) error = mdb_dbi_open(store->epoch_txn, "meta", MDB_CREATE, &store->meta);
    if (error != 0) return fail_lmdb(store, error, "databases", err);
    return CST_OK;
}

static lmdb_meta meta_make(const cst_store_options *options, uint64_t epoch) {
    return (lmdb_meta){
        .magic = LMDB_META_MAGIC,
        .version = LMDB_META_VERSION,
        .table_id = options->table_id,
        .schema_hash = cst_segment_schema_hash(options->schema),
        .hash_key_check = cst_segment_hash_key_check(&options->hash_key),
        .epoch = epoch,
    };
}

static int meta_put(lmdb_store *store, lmdb_meta *meta) {
    MDB_val key = {5, (void *)(uintptr_t) "store"}; // LMDB does not write to it
    MDB_val value = {sizeof *meta, meta};

    return mdb_put(store->epoch_txn, store->meta, &key, &value, 0);
}

// Reads who the store is, or writes it into a new one; both leave a fresh transaction open.
static cst_code meta_open(lmdb_store *store, const cst_store_options *options, cst_err *err) {
    lmdb_meta wanted = meta_make(options, 0);
    MDB_val key = {5, (void *)(uintptr_t) "store"};
    MDB_val value;
    lmdb_meta found;
    int error = mdb_get(store->epoch_txn, store->meta, &key, &value);

    if (error == MDB_NOTFOUND) {
        error = meta_put(store, &wanted);
        if (error != 0) return fail_lmdb(store, error, "meta", err);
        error = mdb_txn_commit(store->epoch_txn);
        store->epoch_txn = NULL;
        if (error == 0) error = epoch_begin(store);
        if (error != 0) return fail_lmdb(store, error, "first commit", err);
        store->base.epoch = 1;
        return CST_OK;
    }
    if (error != 0) return fail_lmdb(store, error, "meta", err);
    if (value.mv_size != sizeof found) return fail_lmdb(store, MDB_INVALID, "meta", err);
    memcpy(&found, value.mv_data, sizeof found);
    if (found.magic != wanted.magic || found.version != wanted.version || found.reserved != 0)
        return fail_lmdb(store, MDB_INVALID, "meta", err);
    if (found.table_id != wanted.table_id)
        return cst_fail(err, CST_SEGMENT_IDENTITY, "holds table %016llx, wanted %016llx",
                        (unsigned long long)found.table_id, (unsigned long long)wanted.table_id);
    if (found.schema_hash != wanted.schema_hash)
        return cst_fail(err, CST_SCHEMA_MISMATCH, "holds keys of another schema");
    if (found.hash_key_check != wanted.hash_key_check)
        return cst_fail(err, CST_SEGMENT_HASH_KEY, "was made with another hash key");
    store->base.epoch = found.epoch + 1;
    store->base.epoch_released = found.epoch;
    return CST_OK;
}

static cst_code lmdb_open(const char *place, const cst_store_options *options, cst_store **out,
                          cst_err *err) {
    lmdb_store *store = calloc(1, sizeof *store);
    cst_code code;

    if (!store) return cst_fail(err, CST_NO_MEMORY, "store");
    store->owner_file = -1;
    store->base.capabilities = (cst_store_capabilities){
        .scheme = "lmdb",
        .ordered = true,
        .zero_copy = true,
        .persistent = true,
        .key_bytes_max = CST_STORE_LMDB_KEY_BYTES_MAX,
        .value_bytes_max = CST_WIDE_VALUE_BYTES_MAX,
    };
    code = directory_open(store, place, err);
    if (code == CST_OK) code = env_open(store, options, err);
    if (code == CST_OK) code = meta_open(store, options, err);
    if (code != CST_OK) {
        lmdb_close(&store->base);
        return code;
    }
    *out = &store->base;
    return CST_OK;
}

static void lmdb_stats(const cst_store *base, cst_store_stats *out) {
    const lmdb_store *store = (const lmdb_store *)base;
    MDB_envinfo info;
    MDB_stat stat;

    if (store->epoch_txn && mdb_stat(store->epoch_txn, store->rows, &stat) == 0)
        out->rows_count = stat.ms_entries;
    if (mdb_env_info(store->env, &info) == 0) {
        out->used_bytes = (info.me_last_pgno + 1) * (uint64_t)store->page_bytes;
        out->budget_bytes = info.me_mapsize;
    }
    out->pinned_epochs = 0; // nothing waits for a release
}

// ---- Rows ---------------------------------------------------------------------------------------

static cst_code lmdb_get_ref(cst_store *base, const void *key, size_t key_bytes, cst_bytes *out) {
    lmdb_store *store = self(base);
    key_buffer buffer;
    MDB_val wanted = key_of(&buffer, key, key_bytes);
    MDB_val value;
    const int error = mdb_get(store->epoch_txn, store->rows, &wanted, &value);

    if (error != 0) return code_of(store, error);
    *out = (cst_bytes){value.mv_data, value.mv_size};
    return CST_OK;
}

static cst_code lmdb_put(cst_store *base, const void *key, size_t key_bytes, const void *value,
                         size_t value_bytes) {
    key_buffer buffer;
    MDB_val stored_key = key_of(&buffer, key, key_bytes);
    MDB_val stored = {value_bytes, (void *)(uintptr_t)value}; // LMDB only reads it

    return change(self(base), &stored_key, &stored);
}

static cst_code lmdb_delete(cst_store *base, const void *key, size_t key_bytes) {
    key_buffer buffer;
    MDB_val stored_key = key_of(&buffer, key, key_bytes);

    return change(self(base), &stored_key, NULL);
}

static cst_code lmdb_multi_put(cst_store *base, const cst_rows *rows, uint32_t *applied_out) {
    for (uint32_t row = rows->first_row; row < rows->rows_count; row++) {
        const cst_bytes key = csti_rows_key(rows, row);
        cst_code code;

        if (csti_rows_is_delete(rows, row)) {
            code = cst_store_delete(base, key.data, key.count);
        } else {
            const cst_bytes value = csti_rows_value(rows, row, base->options.value_bytes);

            code = cst_store_put(base, key.data, key.count, value.data, value.count);
        }
        if (code != CST_OK) return code;
        *applied_out = row + 1 - rows->first_row;
    }
    return CST_OK;
}

static cst_code lmdb_multi_get(cst_store *base, const cst_rows *keys, uint8_t *values_out,
                               uint32_t values_stride, uint32_t *value_bytes_out,
                               uint8_t *found_out) {
    for (uint32_t row = keys->first_row; row < keys->rows_count; row++) {
        const cst_bytes key = csti_rows_key(keys, row);
        size_t value_bytes = 0;
        const cst_code code =
            cst_store_get(base, key.data, key.count, values_out + (size_t)row * values_stride,
                          values_stride, &value_bytes);

        if (code != CST_OK && code != CST_NOT_FOUND) return code;
        found_out[row] = code == CST_OK;
        if (value_bytes_out) value_bytes_out[row] = (uint32_t)value_bytes;
    }
    return CST_OK;
}

// ---- Scans --------------------------------------------------------------------------------------

// Whether the row at the cursor still belongs to the scan.
static bool in_scan(const MDB_val *key, const cst_bytes *prefix, const cst_bytes *to) {
    const uint8_t *bytes = (const uint8_t *)key->mv_data + 1;
    const size_t count = key->mv_size - 1;
    size_t common;
    int order;

    if (prefix)
        return count >= prefix->count &&
               (prefix->count == 0 || memcmp(bytes, prefix->data, prefix->count) == 0);
    if (!to) return true;
    assert(to->data || to->count == 0);
    common = count < to->count ? count : to->count;
    order = common ? memcmp(bytes, to->data, common) : 0;
    return order != 0 ? order < 0 : count < to->count;
}

static cst_code lmdb_scan(cst_store *base, const cst_bytes *prefix, const cst_bytes *from,
                          const cst_bytes *to, cst_store_visit visit, void *context) {
    lmdb_store *store = self(base);
    const cst_bytes *begin = prefix ? prefix : from;
    const size_t begin_bytes =
        begin->count < CST_STORE_LMDB_KEY_BYTES_MAX ? begin->count : CST_STORE_LMDB_KEY_BYTES_MAX;
    key_buffer buffer;
    MDB_val key = key_of(&buffer, begin->data ? begin->data : (const uint8_t *)"", begin_bytes);
    MDB_val value;
    MDB_cursor *cursor = NULL;
    int error = mdb_cursor_open(store->epoch_txn, store->rows, &cursor);

    assert(begin->data || begin->count == 0);
    if (error != 0) return code_of(store, error);
    error = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
    // A longer `from` begins behind the longest key that is its prefix.
    if (error == 0 && begin->count > begin_bytes && key.mv_size == 1 + begin_bytes &&
        memcmp((const uint8_t *)key.mv_data + 1, begin->data, begin_bytes) == 0)
        error = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    while (error == 0) {
        const cst_bytes row_key = {(const uint8_t *)key.mv_data + 1, key.mv_size - 1};
        const cst_bytes row_value = {value.mv_data, value.mv_size};

        base->scan_visited_count++;
        if (!in_scan(&key, prefix, to)) break;
        if (!visit(context, &row_key, &row_value)) break;
        error = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
    }
    mdb_cursor_close(cursor);
    return error == MDB_NOTFOUND ? CST_OK : code_of(store, error);
}

// ---- Epochs -------------------------------------------------------------------------------------

static cst_code lmdb_seal(cst_store *base, cst_err *err) {
    lmdb_store *store = self(base);
    cst_code code = CST_OK;
    MDB_val key = {5, (void *)(uintptr_t) "store"};
    MDB_val value;
    lmdb_meta meta;
    int error = mdb_get(store->epoch_txn, store->meta, &key, &value);

    if (error == 0) {
        memcpy(&meta, value.mv_data, sizeof meta);
        meta.epoch = base->epoch;
        error = meta_put(store, &meta);
    }
    if (error == 0) {
        error = mdb_txn_commit(store->epoch_txn); // frees the transaction, whatever it returns
        store->epoch_txn = NULL;
    }
    if (error != 0) {
        code = fail_lmdb(store, error, "commit; the epoch is undone", err);
        epoch_abort(store);
        return code;
    }
    error = epoch_begin(store);
    if (error != 0) epoch_abort(store); // sealed all the same; the next call says so
    return CST_OK;
}

static cst_code lmdb_rollback(cst_store *base, cst_err *err) {
    lmdb_store *store = self(base);
    int error;

    epoch_abort(store);
    error = epoch_begin(store);
    if (error != 0) return fail_lmdb(store, error, "rollback", err);
    return CST_OK;
}

static cst_code lmdb_write_full(cst_store *base, cst_write write, void *context,
                                cst_segment_summary *summary_out, cst_err *err) {
    lmdb_store *store = self(base);
    const cst_segment_info info =
        csti_store_info(base, CST_SEGMENT_FULL_UNORDERED, 1, base->epoch - 1);
    const uint32_t part = info.parts_count - 1; // the wide one
    csti_record_out out = {.writer = NULL};
    cst_segment_writer *writer = NULL;
    MDB_cursor *cursor = NULL;
    MDB_val key, value;
    int error = mdb_cursor_open(store->epoch_txn, store->rows, &cursor);
    cst_code code = error ? fail_lmdb(store, error, "cursor", err) : CST_OK;

    if (code == CST_OK) code = cst_segment_writer_open(&info, write, context, &writer, err);
    if (code == CST_OK) code = csti_record_out_open(&out, writer, err);
    if (code == CST_OK) code = csti_record_out_part(&out, part, &info.parts[part], err);
    while (code == CST_OK) {
        cst_row_ref row;

        error = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
        if (error == MDB_NOTFOUND) break;
        if (error != 0) {
            code = fail_lmdb(store, error, "scan", err);
            break;
        }
        row = (cst_row_ref){.key = (const uint8_t *)key.mv_data + 1,
                            .value = value.mv_data,
                            .key_bytes = (uint32_t)key.mv_size - 1,
                            .value_bytes = (uint32_t)value.mv_size};
        row.hash = cst_hash(&base->options.hash_key, row.key, row.key_bytes);
        code = csti_record_out_row(&out, &row, err);
    }
    if (code == CST_OK) code = csti_record_out_flush(&out, err);
    if (code == CST_OK) code = cst_segment_writer_finish(writer, summary_out, err);
    cst_segment_writer_close(writer);
    csti_record_out_release(&out);
    if (cursor) mdb_cursor_close(cursor);
    return code;
}

// ---- Restore ------------------------------------------------------------------------------------

static bool wants_group(const cst_restore_options *options, uint64_t hash) {
    const uint32_t group = cst_key_group(hash);

    if (!options || options->group_to == 0) return true;
    return group >= options->group_from && group < options->group_to;
}

static cst_code segment_apply(cst_store *base, const cst_segment *segment,
                              const cst_restore_options *options, uint64_t bytes_before,
                              cst_err *err) {
    cst_segment_cursor cursor = {0, 0, 0};
    cst_segment_row rows[RESTORE_ROWS];
    uint32_t count = 0;

    do {
        const uint64_t at = cursor.verified_blocks * CST_SEGMENT_BLOCK_BYTES;
        cst_code code =
            csti_restore_step(options, bytes_before + (at < segment->count ? at : segment->count),
                              err);

        if (code == CST_OK)
            code = cst_segment_next(segment, &cursor, rows, RESTORE_ROWS, &count, err);

        for (uint32_t i = 0; code == CST_OK && i < count; i++) {
            const cst_row_ref *row = &rows[i].row;

            if (!wants_group(options, row->hash)) continue;
            if (row->key_bytes > CST_STORE_LMDB_KEY_BYTES_MAX)
                return cst_fail(err, CST_KEY_TOO_LONG, "restore: a key of %u bytes",
                                row->key_bytes);
            code = rows[i].tombstone
                       ? lmdb_delete(base, row->key, row->key_bytes)
                       : lmdb_put(base, row->key, row->key_bytes, row->value, row->value_bytes);
            if (code != CST_OK) code = cst_fail(err, code, "restore: %s", cst_code_text(code));
        }
        if (code != CST_OK) return code;
    } while (count > 0);
    return CST_OK;
}

// One transaction: killed half-way, the store is still empty.
static cst_code lmdb_restore(cst_store *base, cst_segment *const *segments, size_t segments_count,
                             const cst_restore_options *options, cst_err *err) {
    lmdb_store *store = self(base);
    cst_code code = CST_OK;
    uint64_t bytes_before = 0;
    cst_err ignored;

    csti_lmdb_room_begin(&store->room, UINT64_MAX); // what does not fit undoes everything anyway
    for (size_t i = 0; code == CST_OK && i < segments_count; i++) {
        code = segment_apply(base, segments[i], options, bytes_before, err);
        bytes_before += segments[i]->count;
    }
    if (code == CST_OK) code = lmdb_seal(base, err);
    if (code == CST_OK) return CST_OK;
    if (lmdb_rollback(base, &ignored) == CST_OK) base->aborted = false;
    return code;
}

const csti_store_ops csti_store_lmdb_ops = {
    .open = lmdb_open,
    .close = lmdb_close,
    .stats = lmdb_stats,
    .get_ref = lmdb_get_ref,
    .put = lmdb_put,
    .delete_key = lmdb_delete,
    .multi_put = lmdb_multi_put,
    .multi_get = lmdb_multi_get,
    .scan = lmdb_scan,
    .seal = lmdb_seal,
    .rollback = lmdb_rollback,
    .write_full = lmdb_write_full,
    .restore = lmdb_restore,
};
