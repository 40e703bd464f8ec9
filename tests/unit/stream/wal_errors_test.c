// Every system call of the write-ahead log fails once: what was said to be durable stays, nothing
// is said after a failure, and nothing is tried again.
#define _GNU_SOURCE 1 // nftw
#include "unit/stream/wal_files.h"

#include <errno.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <sys/uio.h>

// ---- System calls -------------------------------------------------------------------------------

enum { NAME_BYTES = 16, CALLS_MAX = 300 };

static _Atomic uint64_t calls_count, calls_failing; // 0: none fails
static _Atomic int calls_error;
static const char *_Atomic calls_only;             // NULL: calls of every name count
static char calls_failed[NAME_BYTES];              // read when the writer has told that it failed
static _Atomic uint64_t writes_count, syncs_count; // of the files themselves
static _Atomic bool syncs_wait, sync_waits;        // a sync does not end; one has begun

static void calls_fail_at(uint64_t n, const char *only, int error) {
    atomic_store(&calls_only, only);
    atomic_store(&calls_error, error);
    calls_failed[0] = 0;
    atomic_store(&calls_count, 0);
    atomic_store(&calls_failing, n);
}

static bool calls_end(void) {
    const uint64_t failing = atomic_exchange(&calls_failing, 0);

    return failing != 0 && atomic_load(&calls_count) >= failing;
}

static bool call_fails(const char *name) {
    const char *only = atomic_load(&calls_only);

    if (only && strcmp(only, name) != 0) return false;
    if (atomic_fetch_add(&calls_count, 1) + 1 != atomic_load(&calls_failing)) return false;
    (void)snprintf(calls_failed, sizeof calls_failed, "%s", name);
    errno = atomic_load(&calls_error);
    return true;
}

int openat(int folder, const char *path, int flags, ...) {
    unsigned mode = 0;
    va_list more;

    va_start(more, flags);
    if (flags & O_CREAT) mode = va_arg(more, unsigned);
    va_end(more);
    if (call_fails("openat")) return -1;
    return (int)syscall(SYS_openat, folder, path, flags, mode);
}

ssize_t pread(int fd, void *bytes, size_t count, off_t offset) {
    return call_fails("pread") ? -1 : syscall(SYS_pread64, fd, bytes, count, offset);
}

ssize_t pwritev(int fd, const struct iovec *pieces, int count, off_t offset) {
    atomic_fetch_add(&writes_count, 1);
    if (call_fails("pwritev")) return -1;
    return syscall(SYS_pwritev, fd, pieces, count, offset, 0);
}

int fdatasync(int fd) {
    (void)fd;
    atomic_fetch_add(&syncs_count, 1);
    atomic_store(&sync_waits, true);
    TEST_WAIT_UNTIL(!atomic_load(&syncs_wait));
    return call_fails("fdatasync") ? -1 : 0;
}

int fsync(int fd) {
    (void)fd;
    return call_fails("fsync") ? -1 : 0;
}

int linkat(int from_folder, const char *from, int to_folder, const char *to, int flags) {
    if (call_fails("linkat")) return -1;
    return (int)syscall(SYS_linkat, from_folder, from, to_folder, to, flags);
}

int unlinkat(int folder, const char *path, int flags) {
    return call_fails("unlinkat") ? -1 : (int)syscall(SYS_unlinkat, folder, path, flags);
}

int ftruncate(int fd, off_t bytes) {
    return call_fails("ftruncate") ? -1 : (int)syscall(SYS_ftruncate, fd, bytes);
}

// Nothing depends on what it prepares.
int fallocate(int fd, int mode, off_t from, off_t bytes) {
    (void)fd;
    (void)mode;
    (void)from;
    (void)bytes;
    return call_fails("fallocate") ? -1 : 0;
}

// ---- Each of them fails -------------------------------------------------------------------------

static const int errors[] = {EIO, ENOSPC, EDQUOT};
enum { ERRORS_COUNT = sizeof errors / sizeof errors[0], OLD_RECORDS = 20, NEW_RECORDS = 1600 };

static void old_make(const wal_folder *folder) {
    static wal_bytes file;

    bytes_begin(&file, 1, 0, 0, 0);
    bytes_group(&file, 12);
    bytes_group(&file, 8);
    bytes_put(&file, folder);
}

// An owner's life: opens, appends, rolls, truncates. *durable_out: what it was told.
static cst_code live(const csti_wal_options *options, uint64_t *durable_out, cst_err *err) {
    csti_wal *wal = NULL;
    cst_code code = csti_wal_open(options, &wal, NULL, err);

    *durable_out = OLD_RECORDS;
    for (uint64_t i = OLD_RECORDS; i < NEW_RECORDS && code == CST_OK; i++) {
        uint8_t payload[64];
        const uint32_t bytes = wal_payload(i, payload);
        uint64_t position;

        code = csti_wal_append(wal, (uint16_t)(i % 5), payload, bytes, &position, err);
        if (code == CST_OK && i % 400 == 0) code = csti_wal_flush(wal, err);
    }
    if (code == CST_OK) code = csti_wal_flush(wal, err);
    if (code == CST_OK) code = csti_wal_truncate(wal, OLD_RECORDS, err);
    if (wal) *durable_out = csti_wal_durable(wal);
    if (wal && code != CST_OK && csti_wal_failure(wal, NULL) != CST_OK) {
        CHECK_CODE(csti_wal_append(wal, 0, "", 0, &(uint64_t){0}, NULL), code);
        CHECK_CODE(csti_wal_flush(wal, NULL), code);
        CHECK_EQ(csti_wal_durable(wal), *durable_out);
    }
    csti_wal_close(wal);
    return code;
}

TEST(every_system_call_may_fail) {
    for (size_t e = 0; e < ERRORS_COUNT; e++) {
        const bool full = errors[e] == ENOSPC || errors[e] == EDQUOT;
        uint64_t n = 1;

        for (; n < CALLS_MAX; n++) {
            const wal_folder folder = wal_folder_make();
            csti_wal_options options = wal_options_of(&folder, 2, 0, NULL);
            uint64_t durable = 0;
            wal_seen seen = {0};
            cst_err err = {0};
            cst_code code;
            bool failed;

            options.memory_bytes = 32 << 10;
            options.file_bytes = 40 << 10;
            old_make(&folder);
            calls_fail_at(n, NULL, errors[e]);
            code = live(&options, &durable, &err);
            failed = calls_end();
            if (code != CST_OK) {
                CHECK_CODE(code, full ? CST_STORE_FULL : CST_IO);
                CHECK(strstr(err.text, folder.path) && strstr(err.text, strerror(errors[e])));
            }
            CHECK_OK(wal_look(&folder, 3, durable < OLD_RECORDS ? 0 : 20, &seen, NULL, &err));
            CHECK(durable == OLD_RECORDS || seen.next >= durable);
            wal_folder_remove(&folder);
            if (failed) continue;
            CHECK_OK(code);
            CHECK_EQ(durable, NEW_RECORDS);
            break;
        }
        CHECK(n > 30 && n < CALLS_MAX);
    }
}

// ---- A sync that fails --------------------------------------------------------------------------

TEST(after_a_failed_sync_nothing_is_written_or_said) {
    for (int interval = 0; interval < 2; interval++) {
        const wal_folder folder = wal_folder_make();
        csti_wal_options options = wal_options_of(&folder, 1, 0, NULL);
        uint64_t position, writes, syncs;
        wal_seen seen = {0};
        cst_err err = {0};
        csti_wal *wal = NULL;

        options.interval_ns = interval ? UINT64_C(3600000000000) : 0;
        CHECK_OK(csti_wal_open(&options, &wal, NULL, NULL));
        wal_put_all(wal, 0, 5);
        calls_fail_at(1, "fdatasync", EIO);
        (void)wal_put(wal, 5);
        CHECK_CODE(csti_wal_flush(wal, &err), CST_IO);
        CHECK(calls_end());
        CHECK(strstr(err.text, "syncing") && strstr(err.text, folder.path));
        writes = atomic_load(&writes_count);
        syncs = atomic_load(&syncs_count);
        CHECK_CODE(csti_wal_append(wal, 0, "", 0, &position, NULL), CST_IO);
        CHECK_CODE(csti_wal_flush(wal, NULL), CST_IO);
        CHECK_EQ(csti_wal_durable(wal), 5);
        CHECK_EQ(csti_wal_safe(wal), interval ? 6 : 5);
        csti_wal_close(wal);
        CHECK_EQ(atomic_load(&writes_count), writes);
        CHECK_EQ(atomic_load(&syncs_count), syncs);
        // It may still be read from memory: the next owner writes it again, and syncs that.
        CHECK_OK(wal_look(&folder, 2, 0, &seen, NULL, NULL));
        CHECK_EQ(seen.next, 6);
        CHECK(wal_has_file(&folder, 2, interval ? 0 : 5) || wal_has_file(&folder, 2, 5));
        wal_folder_remove(&folder);
    }
}

// ---- Groups -------------------------------------------------------------------------------------

static void wake(void *context) {
    atomic_fetch_add((_Atomic uint64_t *)context, 1);
}

TEST(what_comes_during_a_sync_is_one_group) {
    const wal_folder folder = wal_folder_make();
    csti_wal_options options = wal_options_of(&folder, 1, 0, NULL);
    _Atomic uint64_t wakes = 0;
    csti_wal_stats stats;
    csti_wal *wal = NULL;

    options.woken = wake;
    options.context = &wakes;
    CHECK_OK(csti_wal_open(&options, &wal, NULL, NULL));
    atomic_store(&sync_waits, false);
    atomic_store(&syncs_wait, true);
    (void)wal_put(wal, 0);
    csti_wal_submit(wal);
    TEST_WAIT_UNTIL(atomic_load(&sync_waits));
    for (uint64_t i = 1; i < 513; i++) {
        (void)wal_put(wal, i);
        csti_wal_submit(wal);
    }
    CHECK_EQ(csti_wal_written(wal), 1);
    CHECK_EQ(csti_wal_durable(wal), 0);
    CHECK_EQ(csti_wal_safe(wal), 0);
    atomic_store(&syncs_wait, false);
    CHECK_OK(csti_wal_flush(wal, NULL));
    csti_wal_stats_read(wal, &stats);
    CHECK_EQ(stats.syncs, 2);
    csti_wal_close(wal); // the log's thread calls behind what it wakes, and at its own end
    CHECK_EQ(atomic_load(&wakes), 3);
    wal_folder_remove(&folder);
}

TEST(memory_that_is_full_says_again_and_wakes_up_when_it_has_room) {
    const wal_folder folder = wal_folder_make();
    csti_wal_options options = wal_options_of(&folder, 1, 0, NULL);
    static const uint8_t payload[5000];
    _Atomic uint64_t wakes = 0;
    uint64_t position = 0, woken;
    csti_wal_stats stats;
    csti_wal *wal = NULL;
    cst_code code;

    options.woken = wake;
    options.context = &wakes;
    CHECK_OK(csti_wal_open(&options, &wal, NULL, NULL));
    atomic_store(&sync_waits, false);
    atomic_store(&syncs_wait, true);
    CHECK_OK(csti_wal_append(wal, 0, payload, sizeof payload, &position, NULL));
    csti_wal_submit(wal);
    TEST_WAIT_UNTIL(atomic_load(&sync_waits));
    while ((code = csti_wal_append(wal, 0, payload, sizeof payload, &position, NULL)) == CST_OK)
        csti_wal_submit(wal);
    CHECK_CODE(code, CST_AGAIN);
    CHECK_EQ(position, (64 << 10) / (sizeof payload + CSTI_WAL_HEAD_BYTES));
    CHECK_CODE(csti_wal_append(wal, 0, payload, sizeof payload, &position, NULL), CST_AGAIN);
    csti_wal_stats_read(wal, &stats);
    CHECK(stats.memory_used_bytes <= stats.memory_bytes);
    woken = atomic_load(&wakes);
    atomic_store(&syncs_wait, false);
    TEST_WAIT_UNTIL(atomic_load(&wakes) > woken + 1); // the sync, and the room behind it
    CHECK_OK(csti_wal_append(wal, 0, payload, sizeof payload, &position, NULL));
    csti_wal_close(wal);
    wal_folder_remove(&folder);
}

TEST_MAIN
