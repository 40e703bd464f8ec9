#define _GNU_SOURCE 1 // F_OFD_SETLK
#include "server/job_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_SCHEME "file:"
enum {
    FILE_SCHEME_BYTES = sizeof FILE_SCHEME - 1,
    NUMBER_TEXT_BYTES = 32,
    JOB_TEXT_BYTES = 160, // a name has at most 128
    OWNER_TEXT_BYTES = NUMBER_TEXT_BYTES + JOB_TEXT_BYTES,
};

// Who holds a lock has written "{process} {job}" into its file: for people, nothing is decided by
// it.
static cst_code held_fail(int fd, const char *path, const char *job, cst_err *err) {
    char text[OWNER_TEXT_BYTES], process[NUMBER_TEXT_BYTES], other[JOB_TEXT_BYTES];
    const ssize_t count = pread(fd, text, sizeof text - 1, 0);

    text[count > 0 ? (size_t)count : 0] = 0;
    text[strcspn(text, "\n")] = 0;
    if (sscanf(text, "%31s %159s", process, other) != 2)
        return cst_fail(err, CST_JOB_RUNNING, "job %s: another process holds %s", job, path);
    if (strcmp(job, other) == 0)
        return cst_fail(err, CST_JOB_RUNNING, "process %s runs job %s, and holds %s", process, job,
                        path);
    return cst_fail(err, CST_JOB_RUNNING,
                    "process %s runs job %s, and holds %s: job %s needs a folder of its own",
                    process, other, path, job);
}

static cst_code owner_write(int fd, const char *path, const char *job, cst_err *err) {
    char text[OWNER_TEXT_BYTES];
    const int count = snprintf(text, sizeof text, "%ld %s\n", (long)getpid(), job);

    if (pwrite(fd, text, (size_t)count, 0) == count && ftruncate(fd, count) == 0) return CST_OK;
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

// Takes the lock file of this path, unless it is held already; `denied` is the code where this user
// may not write it.
static cst_code lock_take(const csti_job *job, const char *path, cst_code denied, int *held,
                          cst_err *err) {
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    cst_code code = CST_OK;
    int fd;

    if (*held >= 0) return CST_OK;
    // The file stays for good: a name that is unlinked would be locked twice.
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0)
        return cst_fail(err, errno == EACCES || errno == EROFS ? denied : CST_IO, "%s: %s", path,
                        strerror(errno));
    if (fcntl(fd, F_OFD_SETLK, &whole) == 0)
        code = owner_write(fd, path, job->config->name, err);
    else if (errno == EAGAIN || errno == EACCES)
        code = held_fail(fd, path, job->config->name, err);
    else
        code = cst_fail(err, CST_IO, "%s: %s", path, strerror(errno));
    if (code == CST_OK)
        *held = fd;
    else
        (void)close(fd);
    // The lock says that an owner lives; the claim pushes it aside, whether it notices or not.
    return code == CST_JOB_RUNNING && job->options.takeover ? CST_OK : code;
}

cst_code csti_job_lock(csti_job *job, cst_err *err) {
    const char *folder = job->config->dir;
    char path[PATH_MAX];
    cst_code code;

    if ((size_t)snprintf(path, sizeof path, "%s/lock", folder) >= sizeof path)
        return cst_fail(err, CST_LIMIT, "a job folder's name of %zu bytes", strlen(folder));
    code = csti_job_folders_make(folder, err);
    return code == CST_OK ? lock_take(job, path, CST_IO, &job->lock_fd, err) : code;
}

cst_code csti_job_store_lock(csti_job *job, cst_err *err) {
    const char *folder = csti_job_store_folder(job->config);
    char path[PATH_MAX];

    if (!folder) return CST_OK;
    // No object has such a name: none begins with a dot.
    if ((size_t)snprintf(path, sizeof path, "%s/.owner", folder) >= sizeof path)
        return cst_fail(err, CST_LIMIT, "a store folder's name of %zu bytes", strlen(folder));
    return lock_take(job, path, CST_OBJECT_DENIED, &job->store_lock_fd, err);
}

const char *csti_job_store_folder(const csti_job_config *config) {
    const char *store = config->checkpoint_store;

    return strncmp(store, FILE_SCHEME, FILE_SCHEME_BYTES) == 0 ? store + FILE_SCHEME_BYTES : NULL;
}

void csti_job_unlock(csti_job *job) {
    if (job->store_lock_fd >= 0) (void)close(job->store_lock_fd);
    if (job->lock_fd >= 0) (void)close(job->lock_fd);
    job->store_lock_fd = -1;
    job->lock_fd = -1;
}
