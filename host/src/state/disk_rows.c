#include "state/disk_rows.h"

#include "base/crc32c.h"
#include "base/pages.h"
#include "state/lmdb_error.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    MARK_VERSION = 1,
    PATH_BYTES_MAX = 4000,
    NAME_BYTES_MAX = 16,
    BOOT_BYTES_MAX = 64,
    CHECK_BYTES = 4, // behind a value: CRC32C of key and value
    MAP_GROWS_MAX = 30,
};
#define MARK_MAGIC UINT64_C(0x31574f5244545343) // "CSTDROW1"
#define MAP_BYTES_FIRST ((uint64_t)64 << 20)
#define BOOT_SYNCED "synced"
#define MARK_KEY "mark"

typedef struct stored_mark {
    uint64_t magic;
    uint32_t version;
    uint32_t value_bytes;
    uint64_t table_id, schema_hash, program_hash, hash_key_check;
    uint32_t group_from, group_to;
    uint64_t whole_epoch, reach_epoch;
    uint32_t whole_checksum, reach_checksum;
    uint32_t reserved;
    uint32_t crc32c; // of the 84 bytes before
} stored_mark;
_Static_assert(sizeof(stored_mark) == 88, "docs/formats.md");
_Static_assert(offsetof(stored_mark, crc32c) == 84, "docs/formats.md");

struct csti_disk_rows {
    csti_disk_identity identity;
    char boot[BOOT_BYTES_MAX];
    int lock_file;
    MDB_env *env;
    MDB_txn *read_txn; // reset while it is not reading
    MDB_cursor *cursor;
    bool reading;
    bool damaged;
    MDB_dbi rows, mark_db;
    csti_disk_mark mark;
    uint64_t rows_count;
    char folder[PATH_BYTES_MAX];
};

typedef struct path_text {
    char text[PATH_BYTES_MAX + NAME_BYTES_MAX];
} path_text;

static path_text path_of(const csti_disk_rows *rows, const char *name) {
    path_text path;

    (void)snprintf(path.text, sizeof path.text, "%s/%s", rows->folder, name);
    return path;
}

// ---- Errors -------------------------------------------------------------------------------------

static cst_code fail_lmdb(csti_disk_rows *rows, int error, const char *what, cst_err *err) {
    const cst_code code = csti_lmdb_code(error, rows->env, rows->folder);

    if (code == CST_STORE_CORRUPT) {
        rows->damaged = true;
        (void)unlink(path_of(rows, "boot").text); // the next open begins anew
    }
    return cst_fail(err, code, "%s: %s: %s. %s", rows->folder, what, mdb_strerror(error),
                    cst_code_advice(code));
}

static cst_code fail_file(const csti_disk_rows *rows, const char *name, cst_err *err) {
    const cst_code code = errno == ENOSPC || errno == EDQUOT ? CST_STORE_FULL : CST_IO;

    return cst_fail(err, code, "%s/%s: %s", rows->folder, name, strerror(errno));
}

// ---- Boots --------------------------------------------------------------------------------------

// What the machine's last stop left of unsynced files nobody knows.
static bool boot_is_trusted(const csti_disk_rows *rows) {
    char text[BOOT_BYTES_MAX] = "";
    const int file = open(path_of(rows, "boot").text, O_RDONLY | O_CLOEXEC);
    const ssize_t count = file < 0 ? -1 : read(file, text, sizeof text - 1);

    if (file >= 0) (void)close(file);
    if (count <= 0) return false;
    return strcmp(text, BOOT_SYNCED) == 0 || (rows->boot[0] && strcmp(text, rows->boot) == 0);
}

static bool folder_sync(const csti_disk_rows *rows) {
    const int folder = open(rows->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool synced = folder >= 0 && fsync(folder) == 0;

    if (folder >= 0) (void)close(folder);
    return synced;
}

// On the disk when it returns: before anything is written that is not.
static cst_code boot_write(const csti_disk_rows *rows, const char *text, cst_err *err) {
    const path_text temporary = path_of(rows, "boot.new");
    const ssize_t count = (ssize_t)strlen(text);
    const int file = open(temporary.text, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    bool written;

    if (file < 0) return fail_file(rows, "boot.new", err);
    written = write(file, text, (size_t)count) == count && fsync(file) == 0;
    (void)close(file);
    if (!written || rename(temporary.text, path_of(rows, "boot").text) != 0 || !folder_sync(rows))
        return fail_file(rows, "boot", err);
    return CST_OK;
}

// ---- The environment ----------------------------------------------------------------------------

static void env_close(csti_disk_rows *rows) {
    if (rows->cursor) mdb_cursor_close(rows->cursor);
    if (rows->read_txn) mdb_txn_abort(rows->read_txn);
    if (rows->env) mdb_env_close(rows->env);
    rows->cursor = NULL;
    rows->read_txn = NULL;
    rows->env = NULL;
    rows->reading = false;
}

static uint64_t file_bytes(const csti_disk_rows *rows, uint64_t otherwise) {
    struct stat status;

    return stat(path_of(rows, "data.mdb").text, &status) == 0 ? (uint64_t)status.st_size
                                                              : otherwise;
}

// Whether a page that is in use lies behind the end of the file: touching it would end the process.
static bool is_cut(const csti_disk_rows *rows) {
    MDB_envinfo info;
    MDB_stat stat;

    if (mdb_env_info(rows->env, &info) != 0 || mdb_env_stat(rows->env, &stat) != 0) return true;
    return file_bytes(rows, 0) < (info.me_last_pgno + 1) * (uint64_t)stat.ms_psize;
}

// LMDB ends the process over pages that make no sense: the next one shall not meet them.
static void assert_failed(MDB_env *env, const char *text) {
    const csti_disk_rows *rows = mdb_env_get_userctx(env);

    (void)text;
    (void)unlink(path_of(rows, "boot").text);
}

// Without locks of LMDB's own: the folder has one owner, who reads nothing while it writes.
static cst_code env_open(csti_disk_rows *rows, cst_err *err) {
    const uint64_t wanted = 2 * file_bytes(rows, 0);
    const uint64_t bytes = wanted > MAP_BYTES_FIRST ? wanted : MAP_BYTES_FIRST;
    MDB_txn *txn = NULL;
    int error = mdb_env_create(&rows->env);

    if (error != 0) rows->env = NULL;
    if (error == 0)
        error = mdb_env_set_mapsize(rows->env, (bytes + CSTI_PAGE_BYTES - 1) / CSTI_PAGE_BYTES *
                                                   CSTI_PAGE_BYTES);
    if (error == 0) error = mdb_env_set_maxdbs(rows->env, 2);
    if (error == 0) error = mdb_env_set_userctx(rows->env, rows);
    if (error == 0) error = mdb_env_set_assert(rows->env, assert_failed);
    if (error == 0)
        error = mdb_env_open(rows->env, rows->folder,
                             MDB_NOLOCK | MDB_NOTLS | MDB_NORDAHEAD | MDB_NOSYNC, 0666);
    if (error == 0 && wanted > 0 && is_cut(rows)) error = MDB_CORRUPTED;
    if (error == 0) error = mdb_txn_begin(rows->env, NULL, 0, &txn);
    if (error == 0) error = mdb_dbi_open(txn, "rows", MDB_CREATE, &rows->rows);
    if (error == 0) error = mdb_dbi_open(txn, "mark", MDB_CREATE, &rows->mark_db);
    if (error == 0) {
        error = mdb_txn_commit(txn);
        txn = NULL;
    }
    if (txn) mdb_txn_abort(txn);
    if (error == 0) error = mdb_txn_begin(rows->env, NULL, MDB_RDONLY, &rows->read_txn);
    if (error != 0) {
        rows->read_txn = NULL;
        return fail_lmdb(rows, error, "opening it", err);
    }
    rows->reading = true;
    error = mdb_cursor_open(rows->read_txn, rows->rows, &rows->cursor);
    return error == 0 ? CST_OK : fail_lmdb(rows, error, "cursor", err);
}

// ---- The mark -----------------------------------------------------------------------------------

static stored_mark mark_make(const csti_disk_rows *rows, const csti_disk_mark *mark) {
    const csti_disk_identity *identity = &rows->identity;
    stored_mark stored = {
        .magic = MARK_MAGIC,
        .version = MARK_VERSION,
        .value_bytes = identity->value_bytes,
        .table_id = identity->table_id,
        .schema_hash = identity->schema_hash,
        .program_hash = identity->program_hash,
        .hash_key_check = identity->hash_key_check,
        .group_from = identity->group_from,
        .group_to = identity->group_to,
        .whole_epoch = mark->whole.epoch,
        .reach_epoch = mark->reach.epoch,
        .whole_checksum = mark->whole.checksum,
        .reach_checksum = mark->reach.checksum,
    };

    stored.crc32c = csti_crc32c(0, &stored, offsetof(stored_mark, crc32c));
    return stored;
}

// What of another meaning, as a phrase; NULL: it is ours.
static const char *mark_differs(const csti_disk_rows *rows, const stored_mark *found) {
    const csti_disk_identity *identity = &rows->identity;

    if (found->hash_key_check != identity->hash_key_check)
        return "it is of a job that was begun anew since";
    if (found->table_id != identity->table_id || found->schema_hash != identity->schema_hash ||
        found->program_hash != identity->program_hash ||
        found->value_bytes != identity->value_bytes)
        return "it has other keys or aggregates";
    if (found->group_from != identity->group_from || found->group_to != identity->group_to)
        return "it has other key groups";
    return NULL;
}

static cst_code mark_read(csti_disk_rows *rows, char *why_out, cst_err *err) {
    MDB_val key = {sizeof MARK_KEY - 1, (void *)(uintptr_t)MARK_KEY}; // LMDB only reads it
    MDB_val value;
    MDB_stat stat;
    stored_mark found;
    const char *differs;
    int error = mdb_get(rows->read_txn, rows->mark_db, &key, &value);

    if (error == MDB_NOTFOUND) error = MDB_CORRUPTED; // whoever made it died over it
    if (error == 0 && value.mv_size != sizeof found) error = MDB_CORRUPTED;
    if (error == 0) {
        memcpy(&found, value.mv_data, sizeof found);
        if (found.magic != MARK_MAGIC || found.version != MARK_VERSION || found.reserved != 0 ||
            found.crc32c != csti_crc32c(0, &found, offsetof(stored_mark, crc32c)))
            error = MDB_CORRUPTED;
    }
    if (error == 0) error = mdb_stat(rows->read_txn, rows->rows, &stat);
    if (error != 0) return fail_lmdb(rows, error, "its mark", err);
    differs = mark_differs(rows, &found);
    if (differs) (void)snprintf(why_out, CSTI_DISK_WHY_BYTES, "%s", differs);
    rows->mark = (csti_disk_mark){{found.whole_epoch, found.whole_checksum},
                                  {found.reach_epoch, found.reach_checksum}};
    rows->rows_count = stat.ms_entries;
    return CST_OK;
}

// ---- Open ---------------------------------------------------------------------------------------

static cst_code folder_open(csti_disk_rows *rows, cst_err *err) {
    if (mkdir(rows->folder, 0777) != 0 && errno != EEXIST) return fail_file(rows, "", err);
    rows->lock_file = open(path_of(rows, "lock").text, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (rows->lock_file < 0) return fail_file(rows, "lock", err);
    if (flock(rows->lock_file, LOCK_EX | LOCK_NB) != 0)
        return cst_fail(err, errno == EWOULDBLOCK ? CST_AGAIN : CST_IO,
                        "%s: another process has it", rows->folder);
    return CST_OK;
}

static cst_code begin_anew(csti_disk_rows *rows, cst_err *err) {
    static const char *const names[] = {"boot", "boot.new", "data.mdb"};
    const csti_disk_mark nothing = {0};
    cst_code code;

    env_close(rows);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (unlink(path_of(rows, names[i]).text) != 0 && errno != ENOENT)
            return fail_file(rows, names[i], err);
    rows->damaged = false;
    rows->rows_count = 0;
    code = boot_write(rows, rows->boot[0] ? rows->boot : "unknown", err);
    if (code == CST_OK) code = env_open(rows, err);
    return code == CST_OK ? csti_disk_rows_write(rows, NULL, 0, &nothing, err) : code;
}

// What is there is used, or why_out says why not.
static cst_code look(csti_disk_rows *rows, char *why_out, cst_err *err) {
    cst_code code;

    if (!boot_is_trusted(rows)) {
        (void)snprintf(why_out, CSTI_DISK_WHY_BYTES,
                       "it was not synced before the machine stopped, or was damaged");
        return CST_OK;
    }
    code = env_open(rows, err);
    if (code == CST_OK) code = mark_read(rows, why_out, err);
    if (code != CST_STORE_CORRUPT) return code;
    (void)snprintf(why_out, CSTI_DISK_WHY_BYTES, "%.250s", err->text);
    return CST_OK;
}

cst_code csti_disk_rows_open(const char *folder, const csti_disk_options *options,
                             char why_out[CSTI_DISK_WHY_BYTES], csti_disk_rows **out,
                             cst_err *err) {
    csti_disk_rows *rows = calloc(1, sizeof *rows);
    cst_err local = {.code = CST_OK};
    cst_code code;

    if (!rows) return cst_fail(err, CST_NO_MEMORY, "%s", folder);
    *why_out = 0;
    rows->lock_file = -1;
    rows->identity = options->identity;
    assert(options->identity.value_bytes <= CST_INLINE_ENTRY_BYTES_MAX);
    (void)snprintf(rows->boot, sizeof rows->boot, "%s", options->boot);
    if (strlen(folder) >= sizeof rows->folder)
        code = cst_fail(&local, CST_LIMIT, "a folder's name of %zu bytes", strlen(folder));
    else {
        (void)snprintf(rows->folder, sizeof rows->folder, "%s", folder);
        code = folder_open(rows, &local);
    }
    if (code == CST_OK && file_bytes(rows, UINT64_MAX) != UINT64_MAX)
        code = look(rows, why_out, &local);
    if (code == CST_OK && (!rows->env || *why_out))
        code = begin_anew(rows, &local);
    else if (code == CST_OK)
        code = boot_write(rows, rows->boot[0] ? rows->boot : "unknown", &local);
    if (code != CST_OK) {
        rows->damaged = true; // nothing is known to be synced
        csti_disk_rows_close(rows);
        return cst_fail(err, code, "%s", local.text);
    }
    *out = rows;
    return CST_OK;
}

cst_code csti_disk_rows_clear(csti_disk_rows *rows, cst_err *err) {
    return begin_anew(rows, err);
}

void csti_disk_rows_close(csti_disk_rows *rows) {
    cst_err ignored;

    if (!rows) return;
    // What cannot be synced is made anew behind the machine's next stop.
    if (rows->env && !rows->damaged && mdb_env_sync(rows->env, 1) == 0)
        (void)!boot_write(rows, BOOT_SYNCED, &ignored);
    env_close(rows);
    if (rows->lock_file >= 0) (void)close(rows->lock_file);
    free(rows);
}

void csti_disk_rows_remove(const char *folder) {
    static const char *const names[] = {"boot", "boot.new", "data.mdb", "lock"};
    path_text path;
    int lock_file;

    (void)snprintf(path.text, sizeof path.text, "%.4000s/lock", folder);
    lock_file = open(path.text, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (lock_file >= 0 && flock(lock_file, LOCK_EX | LOCK_NB) == 0) {
        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
            (void)snprintf(path.text, sizeof path.text, "%.4000s/%s", folder, names[i]);
            (void)unlink(path.text);
        }
        (void)rmdir(folder);
    }
    if (lock_file >= 0) (void)close(lock_file);
}

csti_disk_mark csti_disk_rows_mark(const csti_disk_rows *rows) {
    return rows->mark;
}

uint64_t csti_disk_rows_count(const csti_disk_rows *rows) {
    return rows->rows_count;
}

// ---- Reading ------------------------------------------------------------------------------------

static uint32_t check_of(const MDB_val *key, const void *value, size_t value_bytes) {
    return csti_crc32c(csti_crc32c(0, key->mv_data, key->mv_size), value, value_bytes);
}

static int read_begin(csti_disk_rows *rows) {
    int error;

    if (rows->reading) return 0;
    error = mdb_txn_renew(rows->read_txn);
    if (error == 0) error = mdb_cursor_renew(rows->read_txn, rows->cursor);
    rows->reading = error == 0;
    return error;
}

static void read_end(csti_disk_rows *rows) {
    if (rows->reading) mdb_txn_reset(rows->read_txn);
    rows->reading = false;
}

static bool is_whole(const csti_disk_rows *rows, const MDB_val *key, const MDB_val *value) {
    const uint32_t value_bytes = rows->identity.value_bytes;
    uint32_t check;

    if (value->mv_size != value_bytes + CHECK_BYTES) return false;
    memcpy(&check, (const uint8_t *)value->mv_data + value_bytes, sizeof check);
    return check == check_of(key, value->mv_data, value_bytes);
}

cst_code csti_disk_rows_get(csti_disk_rows *rows, const uint8_t *key, uint32_t key_bytes,
                            const uint8_t **value_out, cst_err *err) {
    MDB_val wanted = {key_bytes, (void *)(uintptr_t)key}; // LMDB only reads it
    MDB_val value;
    int error = read_begin(rows);

    assert(key_bytes > 0);
    if (error == 0) error = mdb_cursor_get(rows->cursor, &wanted, &value, MDB_SET);
    if (error == MDB_NOTFOUND) return CST_NOT_FOUND;
    if (error == 0 && !is_whole(rows, &wanted, &value)) error = MDB_CORRUPTED;
    if (error != 0) return fail_lmdb(rows, error, "reading a row", err);
    *value_out = value.mv_data;
    return CST_OK;
}

// The first row behind the key.
static int cursor_pass(const csti_disk_rows *rows, cst_bytes after, MDB_val *key, MDB_val *value) {
    int error;

    if (after.count == 0) return mdb_cursor_get(rows->cursor, key, value, MDB_FIRST);
    *key = (MDB_val){after.count, (void *)(uintptr_t)after.data}; // LMDB only reads it
    error = mdb_cursor_get(rows->cursor, key, value, MDB_SET_RANGE);
    if (error == 0 && key->mv_size == after.count &&
        memcmp(key->mv_data, after.data, after.count) == 0)
        error = mdb_cursor_get(rows->cursor, key, value, MDB_NEXT);
    return error;
}

cst_code csti_disk_rows_scan_on(csti_disk_rows *rows, cst_bytes after, uint64_t rows_max,
                                csti_disk_visit *visit, void *context, bool *end_out,
                                cst_err *err) {
    MDB_val key, value;
    int error = read_begin(rows);

    if (error == 0) error = cursor_pass(rows, after, &key, &value);
    while (error == 0 && rows_max-- > 0) {
        if (!is_whole(rows, &key, &value)) {
            error = MDB_CORRUPTED;
            break;
        }
        const cst_row_ref row = {.key = key.mv_data,
                                 .value = value.mv_data,
                                 .key_bytes = (uint32_t)key.mv_size,
                                 .value_bytes = rows->identity.value_bytes};
        const cst_code code = visit(context, &row, err);

        if (code != CST_OK) return code;
        error = mdb_cursor_get(rows->cursor, &key, &value, MDB_NEXT);
    }
    *end_out = error == MDB_NOTFOUND;
    return error == 0 || *end_out ? CST_OK : fail_lmdb(rows, error, "reading all rows", err);
}

cst_code csti_disk_rows_scan(csti_disk_rows *rows, csti_disk_visit *visit, void *context,
                             cst_err *err) {
    bool end = false;

    return csti_disk_rows_scan_on(rows, (cst_bytes){0}, UINT64_MAX, visit, context, &end, err);
}

// ---- Writing ------------------------------------------------------------------------------------

static int change_compare(const void *a, const void *b) {
    const csti_disk_change *left = a;
    const csti_disk_change *right = b;
    const uint32_t common = left->key_bytes < right->key_bytes ? left->key_bytes : right->key_bytes;
    const int order = memcmp(left->key, right->key, common);

    if (order != 0) return order;
    if (left->key_bytes != right->key_bytes) return left->key_bytes < right->key_bytes ? -1 : 1;
    return (left->order > right->order) - (left->order < right->order);
}

static int change_write(const csti_disk_rows *rows, MDB_cursor *cursor,
                        const csti_disk_change *change) {
    const uint32_t value_bytes = rows->identity.value_bytes;
    MDB_val key = {change->key_bytes, (void *)(uintptr_t)change->key}; // LMDB only reads it
    uint8_t stored[CST_INLINE_ENTRY_BYTES_MAX + CHECK_BYTES];
    MDB_val value = {value_bytes + CHECK_BYTES, stored};
    uint32_t check;
    int error;

    if (change->value) {
        check = check_of(&key, change->value, value_bytes);
        memcpy(stored, change->value, value_bytes);
        memcpy(stored + value_bytes, &check, sizeof check);
        return mdb_cursor_put(cursor, &key, &value, 0);
    }
    error = mdb_cursor_get(cursor, &key, &value, MDB_SET);
    if (error == 0) error = mdb_cursor_del(cursor, 0);
    return error == MDB_NOTFOUND ? 0 : error;
}

static int changes_write(csti_disk_rows *rows, MDB_txn *txn, const csti_disk_change *changes,
                         size_t changes_count, const stored_mark *mark, uint64_t *count_out) {
    MDB_val key = {sizeof MARK_KEY - 1, (void *)(uintptr_t)MARK_KEY}; // LMDB only reads both
    MDB_val value = {sizeof *mark, (void *)(uintptr_t)mark};
    MDB_cursor *cursor = NULL;
    MDB_stat stat;
    int error = mdb_cursor_open(txn, rows->rows, &cursor);

    for (size_t i = 0; error == 0 && i < changes_count; i++)
        error = change_write(rows, cursor, &changes[i]);
    if (cursor) mdb_cursor_close(cursor);
    if (error == 0) error = mdb_put(txn, rows->mark_db, &key, &value, 0);
    if (error == 0) error = mdb_stat(txn, rows->rows, &stat);
    if (error == 0) *count_out = stat.ms_entries;
    return error;
}

static int map_grow(const csti_disk_rows *rows) {
    MDB_envinfo info;
    const int error = mdb_env_info(rows->env, &info);

    return error == 0 ? mdb_env_set_mapsize(rows->env, 2 * info.me_mapsize) : error;
}

// Pages that a transaction took and did not need are in no file yet: is_cut must not miss them.
static int file_extend(const csti_disk_rows *rows) {
    MDB_envinfo info;
    MDB_stat stat;
    mdb_filehandle_t file;
    int error = mdb_env_info(rows->env, &info);

    if (error == 0) error = mdb_env_stat(rows->env, &stat);
    if (error == 0) error = mdb_env_get_fd(rows->env, &file);
    if (error != 0 || !is_cut(rows)) return error;
    return ftruncate(file, (off_t)((info.me_last_pgno + 1) * stat.ms_psize)) == 0 ? 0 : errno;
}

cst_code csti_disk_rows_write(csti_disk_rows *rows, csti_disk_change *changes, size_t changes_count,
                              const csti_disk_mark *mark, cst_err *err) {
    const stored_mark stored = mark_make(rows, mark);
    uint64_t rows_count = 0;
    int error = 0;

    assert(mark->whole.epoch <= mark->reach.epoch);
    read_end(rows);
    if (changes_count > 1) qsort(changes, changes_count, sizeof *changes, change_compare);
    for (int grows = 0; grows <= MAP_GROWS_MAX; grows++) {
        MDB_txn *txn = NULL;

        error = mdb_txn_begin(rows->env, NULL, 0, &txn);
        if (error == 0)
            error = changes_write(rows, txn, changes, changes_count, &stored, &rows_count);
        if (error == 0)
            error = mdb_txn_commit(txn); // frees the transaction, whatever it returns
        else if (txn)
            mdb_txn_abort(txn);
        if (error != MDB_MAP_FULL) break;
        error = map_grow(rows);
        if (error != 0) break;
        error = MDB_MAP_FULL; // unless the next turn succeeds
    }
    if (error == 0) error = file_extend(rows);
    if (error != 0) return fail_lmdb(rows, error, "writing rows", err);
    rows->mark = *mark;
    rows->rows_count = rows_count;
    return CST_OK;
}
