// system_calls.h: the store's own system calls, seen and made to fail.
//
// The test that includes it defines the functions of libc that file: uses; the linker takes them
// before libc's. Each call is counted and noted; the one chosen by calls_fail_at fails.
//
//   calls_fail_at(3, EIO);  ...  if (calls_end()) the third call came, and failed
//
// Thread     one.
#ifndef CST_TEST_SYSTEM_CALLS_H
#define CST_TEST_SYSTEM_CALLS_H

#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

enum { CALLS_LOG_BYTES = 4096 };

static uint64_t calls_count;
static uint64_t calls_failing; // 0: none
static int calls_error;
static char calls_failed[16];           // the name of the one that failed
static char calls_log[CALLS_LOG_BYTES]; // names, each followed by a blank
static long calls_file_system;          // what fstatfs says; 0: the truth

static inline void calls_fail_at(uint64_t n, int error) {
    calls_count = 0;
    calls_failing = n;
    calls_error = error;
    calls_failed[0] = '\0';
    calls_log[0] = '\0';
}

// True: the call came, and failed.
static inline bool calls_end(void) {
    calls_failing = 0;
    return calls_failed[0] != '\0';
}

static inline bool call_fails(const char *name) {
    const size_t used = strlen(calls_log);

    (void)snprintf(calls_log + used, sizeof calls_log - used, "%s ", name);
    if (++calls_count != calls_failing) return false;
    (void)snprintf(calls_failed, sizeof calls_failed, "%s", name);
    errno = calls_error;
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

int open(const char *path, int flags, ...) {
    unsigned mode = 0;
    va_list more;

    va_start(more, flags);
    if (flags & O_CREAT) mode = va_arg(more, unsigned);
    va_end(more);
    if (call_fails("open")) return -1;
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

int mkdir(const char *path, mode_t mode) {
    return call_fails("mkdir") ? -1 : (int)syscall(SYS_mkdir, path, mode);
}

int mkdirat(int folder, const char *path, mode_t mode) {
    return call_fails("mkdirat") ? -1 : (int)syscall(SYS_mkdirat, folder, path, mode);
}

ssize_t write(int file, const void *bytes, size_t count) {
    if (file <= 2) return syscall(SYS_write, file, bytes, count); // the harness
    return call_fails("write") ? -1 : syscall(SYS_write, file, bytes, count);
}

ssize_t pread(int file, void *bytes, size_t count, off_t offset) {
    return call_fails("pread") ? -1 : syscall(SYS_pread64, file, bytes, count, offset);
}

int fsync(int file) {
    struct stat status;

    (void)fstatat(file, "", &status, AT_EMPTY_PATH);
    if (call_fails(S_ISDIR(status.st_mode) ? "fsync_folder" : "fsync")) return -1;
    return 0; // the disk is not what is tested
}

int futimens(int file, const struct timespec times[2]) {
    return call_fails("futimens") ? -1 : (int)syscall(SYS_utimensat, file, NULL, times, 0);
}

int linkat(int from_folder, const char *from, int to_folder, const char *to, int flags) {
    if (call_fails("linkat")) return -1;
    return (int)syscall(SYS_linkat, from_folder, from, to_folder, to, flags);
}

int renameat(int from_folder, const char *from, int to_folder, const char *to) {
    if (call_fails("renameat")) return -1;
    return (int)syscall(SYS_renameat, from_folder, from, to_folder, to);
}

int unlinkat(int folder, const char *path, int flags) {
    if (call_fails(flags & AT_REMOVEDIR ? "rmdir" : "unlinkat")) return -1;
    return (int)syscall(SYS_unlinkat, folder, path, flags);
}

int fcntl(int file, int what, ...) {
    va_list more;
    void *argument;

    va_start(more, what);
    argument = va_arg(more, void *);
    va_end(more);
    if (what == F_OFD_SETLK && call_fails("lock")) return -1;
    return (int)syscall(SYS_fcntl, file, what, argument);
}

void *mmap(void *at, size_t bytes, int protection, int flags, int file, off_t offset) {
    if (file >= 0 && call_fails("mmap")) return MAP_FAILED;
    return (void *)syscall(SYS_mmap, at, bytes, protection, flags, file, offset);
}

int fstatfs(int file, struct statfs *out) {
    if (call_fails("fstatfs") || syscall(SYS_fstatfs, file, out) != 0) return -1;
    if (calls_file_system != 0) out->f_type = calls_file_system;
    return 0;
}

#endif
