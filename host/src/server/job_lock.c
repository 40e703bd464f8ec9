#define _GNU_SOURCE 1 // F_OFD_SETLK
#include "server/job_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OWNER_TEXT_BYTES = 32 };

// Who holds the lock has written its number into the file: for people, nothing is decided by it.
static void owner_read(int fd, char *out, size_t capacity) {
    const ssize_t count = pread(fd, out, capacity - 1, 0);

    out[count > 0 ? (size_t)count : 0] = 0;
    out[strcspn(out, "\n")] = 0;
}

static cst_code owner_write(int fd, const char *path, cst_err *err) {
    char text[OWNER_TEXT_BYTES];
    const int count = snprintf(text, sizeof text, "%ld\n", (long)getpid());

    if (ftruncate(fd, 0) == 0 && pwrite(fd, text, (size_t)count, 0) == count) return CST_OK;
    return cst_fail(err, CST_IO, "%s: %s", path, strerror(errno));
}

// Its entry in the folder above outlasts a crash: what will be kept in it does.
static cst_code entry_sync(const char *folder, cst_err *err) {
    char above[PATH_MAX + 4];
    cst_code code = CST_OK;
    int fd;

    (void)snprintf(above, sizeof above, "%s/..", folder);
    fd = open(above, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0)
        code = cst_fail(err, CST_IO, "syncing the folder above %s: %s", folder, strerror(errno));
    if (fd >= 0) (void)close(fd);
    return code;
}

cst_code csti_job_folders_make(const char *path, cst_err *err) {
    char folder[PATH_MAX];
    size_t count = strlen(path);

    if (count == 0 || count >= sizeof folder)
        return cst_fail(err, CST_LIMIT, "a folder's name of %zu bytes", count);
    memcpy(folder, path, count + 1);
    for (char *slash = strchr(folder + 1, '/');; slash = strchr(slash + 1, '/')) {
        cst_code code = CST_OK;

        if (slash) *slash = 0;
        if (mkdir(folder, 0777) == 0)
            code = entry_sync(folder, err);
        else if (errno != EEXIST)
            code = cst_fail(err, CST_IO, "making the folder %s: %s", folder, strerror(errno));
        if (code != CST_OK || !slash) return code;
        *slash = '/';
    }
}

cst_code csti_job_lock(const char *folder, const char *job, int *fd_out, cst_err *err) {
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    char path[PATH_MAX];
    char owner[OWNER_TEXT_BYTES];
    cst_code code = CST_OK;
    int fd;

    if ((size_t)snprintf(path, sizeof path, "%s/lock", folder) >= sizeof path)
        return cst_fail(err, CST_LIMIT, "a job folder's name of %zu bytes", strlen(folder));
    code = csti_job_folders_make(folder, err);
    if (code != CST_OK) return code;
    // The file stays for good: a name that is unlinked would be locked twice.
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0) return cst_fail(err, CST_IO, "%s: %s", path, strerror(errno));
    if (fcntl(fd, F_OFD_SETLK, &whole) != 0) {
        code = errno == EAGAIN || errno == EACCES ? CST_JOB_RUNNING : CST_IO;
        owner_read(fd, owner, sizeof owner);
        if (code == CST_JOB_RUNNING)
            code = cst_fail(err, code, "job %s: process %s holds %s", job, owner, path);
        else
            code = cst_fail(err, code, "%s: %s", path, strerror(errno));
    }
    if (code == CST_OK) code = owner_write(fd, path, err);
    if (code != CST_OK) {
        (void)close(fd);
        return code;
    }
    *fd_out = fd;
    return CST_OK;
}

void csti_job_unlock(int fd) {
    if (fd >= 0) (void)close(fd);
}
