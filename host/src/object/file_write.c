#define _GNU_SOURCE 1 // F_OFD_SETLK
#include "object/file.h"

#include "base/clock.h"
#include "base/fault_point.h"
#include "base/random.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NS_PER_SECOND INT64_C(1000000000)

enum {
    TEMPORARY_ATTEMPTS_MAX = 16, // a fresh random name each
    PLACE_ATTEMPTS_MAX = 64,     // folders vanish only where others delete without pause
    TEMPORARY_PATH_BYTES = sizeof CSTI_FILE_TEMPORARIES + 1 + 16,
    COARSE_SECONDS = 2, // the coarsest file times there are
    WRITE_BYTES_MAX = 1 << 30,
};

// A file that is being written. Its lock is held as long as `fd` is open.
typedef struct temporary {
    int fd;
    char path[TEMPORARY_PATH_BYTES]; // from the root
} temporary;

typedef struct file_upload {
    cst_object_upload base;
    temporary file;
    bool failed; // a write was refused: no finish can mend that
} file_upload;

// ---- Temporaries --------------------------------------------------------------------------------

// The lock of an open temporary; 0: taken, so nobody else writes it. EAGAIN: somebody has it.
static int lock_take(int fd) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    return fcntl(fd, F_OFD_SETLK, &lock) == 0 ? 0 : errno;
}

static bool is_linked(int fd) {
    struct stat status;

    return fstat(fd, &status) == 0 && status.st_nlink > 0;
}

// Its name goes, if it still has one; what was linked stays.
static void temporary_close(const csti_file_store *store, temporary *file) {
    (void)unlinkat(store->root, file->path, 0);
    (void)close(file->fd);
}

static int temporary_create(const csti_file_store *store, const char *path) {
    const int flags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC;
    int fd = openat(store->root, path, flags, 0666);

    if (fd >= 0 || errno != ENOENT) return fd;
    if (mkdirat(store->root, CSTI_FILE_TEMPORARIES, 0777) != 0 && errno != EEXIST) return -1;
    return openat(store->root, path, flags, 0666);
}

static cst_code temporary_open(csti_file_store *store, const char *name, temporary *out,
                               cst_err *err) {
    for (int attempt = 0; attempt < TEMPORARY_ATTEMPTS_MAX; attempt++) {
        uint64_t nonce;
        int error;
        const cst_code code = csti_random_fill(csti_random_real(), &nonce, sizeof nonce, err);

        if (code != CST_OK) return code;
        (void)snprintf(out->path, sizeof out->path, "%s/%016" PRIx64, CSTI_FILE_TEMPORARIES, nonce);
        out->fd = temporary_create(store, out->path);
        if (out->fd < 0 && errno == EEXIST) continue;
        if (out->fd < 0) return csti_file_fail(store, name, "making a temporary", errno, err);
        error = lock_take(out->fd);
        if (error == 0 && is_linked(out->fd)) return CST_OK;
        if (error != 0 && error != EAGAIN) {
            temporary_close(store, out);
            return csti_file_fail(store, name, "locking a temporary", error, err);
        }
        (void)close(out->fd); // a sweep took it between its making and its lock
    }
    return cst_fail(err, CST_IO,
                    "file:%s: %s: no temporary could be kept in %s: others remove them",
                    store->folder, name, CSTI_FILE_TEMPORARIES);
}

static cst_code temporary_write(const csti_file_store *store, const char *name, int fd,
                                const uint8_t *bytes, size_t count, cst_err *err) {
    while (count > 0) {
        const ssize_t done = write(fd, bytes, count < WRITE_BYTES_MAX ? count : WRITE_BYTES_MAX);

        if (done < 0 && errno == EINTR) continue;
        if (done < 0) return csti_file_fail(store, name, "writing", errno, err);
        bytes += done;
        count -= (size_t)done;
    }
    return CST_OK;
}

static int64_t changed_ns(const struct stat *status) {
    return (int64_t)status->st_mtim.tv_sec * NS_PER_SECOND + status->st_mtim.tv_nsec;
}

static int changed_set(int fd, int64_t at_ns, struct stat *status_out) {
    const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT},
                                      {.tv_sec = (time_t)(at_ns / NS_PER_SECOND),
                                       .tv_nsec = (long)(at_ns % NS_PER_SECOND)}};

    if (futimens(fd, times) != 0) return -1;
    return fstat(fd, status_out);
}

// Gives the temporary a time above `before_ns` (what it replaces; 0: nothing), and makes all of it
// durable. A failed fsync is final: the kernel may have dropped the bytes it could not write.
static cst_code temporary_seal(const csti_file_store *store, const char *name, int fd,
                               int64_t before_ns, struct stat *status_out, cst_err *err) {
    int64_t at_ns = csti_clock_wall_us(csti_clock_real()) * 1000;
    int done;

    if (at_ns <= before_ns) at_ns = before_ns + 1;
    done = changed_set(fd, at_ns, status_out);
    if (done == 0 && changed_ns(status_out) <= before_ns)
        done = changed_set(fd, (before_ns / NS_PER_SECOND + COARSE_SECONDS) * NS_PER_SECOND,
                           status_out);
    if (done != 0) return csti_file_fail(store, name, "setting its time", errno, err);
    if (changed_ns(status_out) <= before_ns)
        return cst_fail(err, CST_OBJECT_REFUSED,
                        "file:%s: %s: the file system keeps no times, so no change can be seen",
                        store->folder, name);
    errno = EIO; // what an armed fault point stands for
    if (fsync(fd) != 0 || CSTI_FAULT_FAILS(file_temporary))
        return csti_file_fail(store, name, "syncing", errno, err);
    return CST_OK;
}

// ---- Folders ------------------------------------------------------------------------------------

// Opens the folder of a name, making those that miss. All of their entries are durable then: one
// that was there may be another process's that has not come to its fsync. AGAIN: a folder vanished.
static cst_code parent_open(const csti_file_store *store, const char *name, int *fd_out,
                            cst_err *err) {
    const char *part = name;
    const char *slash;
    int fd = openat(store->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0) return csti_file_fail(store, name, "opening the folder", errno, err);
    for (; (slash = strchr(part, '/')) != NULL; part = slash + 1) {
        char text[CSTI_OBJECT_PART_BYTES_MAX + 1];
        cst_code code = CST_OK;
        int next = -1;

        memcpy(text, part, (size_t)(slash - part));
        text[slash - part] = '\0';
        if (mkdirat(fd, text, 0777) != 0 && errno != EEXIST)
            code = errno == ENOENT ? CST_AGAIN
                                   : csti_file_fail(store, name, "making a folder", errno, err);
        if (code == CST_OK) {
            next = openat(fd, text, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
            if (next < 0)
                code = errno == ENOENT
                           ? CST_AGAIN
                           : csti_file_fail(store, name, "opening a folder", errno, err);
        }
        if (code == CST_OK && fsync(fd) != 0)
            code = csti_file_fail(store, name, "syncing a folder", errno, err);
        (void)close(fd);
        fd = next;
        if (code != CST_OK) {
            if (fd >= 0) (void)close(fd);
            return code;
        }
    }
    *fd_out = fd;
    return CST_OK;
}

static const char *last_part(const char *name) {
    const char *slash = strrchr(name, '/');

    return slash ? slash + 1 : name;
}

static int place_once(const csti_file_store *store, const temporary *file, int parent,
                      const char *last, cst_put_condition condition) {
    if (condition == CST_PUT_IF_ABSENT) return linkat(store->root, file->path, parent, last, 0);
    return renameat(store->root, file->path, parent, last);
}

static cst_code place_fail(const csti_file_store *store, const char *name, int error,
                           cst_err *err) {
    struct stat status;

    if (error != EEXIST) return csti_file_fail(store, name, "placing", error, err);
    if (fstatat(store->root, name, &status, 0) == 0 && S_ISDIR(status.st_mode))
        return csti_file_fail(store, name, "placing", EISDIR, err);
    return cst_fail(err, CST_EXISTS, "file:%s: %s is there already", store->folder, name);
}

// The moment of truth: after the link or rename the object is there, for everybody. If then the
// folder cannot be synced, nobody knows whether it stays: it may have been seen already, so it is
// not taken away again.
static cst_code place(const csti_file_store *store, const char *name, const temporary *file,
                      cst_put_condition condition, cst_err *err) {
    cst_code code = CST_AGAIN;
    int parent = -1;
    int error = 0;

    for (int attempt = 0; attempt < PLACE_ATTEMPTS_MAX && code == CST_AGAIN; attempt++) {
        code = parent_open(store, name, &parent, err);
        if (code == CST_AGAIN) continue;
        if (code != CST_OK) return code;
        if (place_once(store, file, parent, last_part(name), condition) == 0) break;
        error = errno;
        (void)close(parent);
        code = error == ENOENT ? CST_AGAIN : place_fail(store, name, error, err);
    }
    if (code == CST_AGAIN)
        return cst_fail(err, CST_IO, "file:%s: %s: its folder vanishes again and again",
                        store->folder, name);
    if (code != CST_OK) return code;
    errno = EIO; // what an armed fault point stands for
    if (CSTI_FAULT_FAILS(file_linked) || fsync(parent) != 0)
        code = cst_fail(err, CST_OBJECT_AMBIGUOUS,
                        "file:%s: %s is there, but syncing its folder failed: %s. It may be gone "
                        "after a power loss",
                        store->folder, name, strerror(errno));
    (void)close(parent);
    return code;
}

// ---- Put ----------------------------------------------------------------------------------------

// What is there under the name. CST_OBJECT_CONFLICT: it is not what the etag says.
static cst_code before_read(const csti_file_store *store, const char *name,
                            const cst_put_options *options, int64_t *before_ns, cst_err *err) {
    struct stat status;
    cst_object_info info;

    if (fstatat(store->root, name, &status, 0) != 0) {
        if (errno != ENOENT && errno != ENOTDIR)
            return csti_file_fail(store, name, "reading its etag", errno, err);
        if (options->condition == CST_PUT_REPLACE) return CST_OK;
        return cst_fail(err, CST_OBJECT_CONFLICT, "file:%s: %s is not there any more",
                        store->folder, name);
    }
    if (!S_ISREG(status.st_mode)) return csti_file_fail(store, name, "placing", EISDIR, err);
    csti_file_info(&status, &info);
    *before_ns = changed_ns(&status);
    if (options->condition == CST_PUT_REPLACE || strcmp(info.etag, options->etag) == 0)
        return CST_OK;
    return cst_fail(err, CST_OBJECT_CONFLICT, "file:%s: %s has etag %s, not %s", store->folder,
                    name, info.etag, options->etag);
}

// From a written temporary to an object. The temporary's name is gone afterwards, its lock too.
static cst_code publish(csti_file_store *store, const char *name, temporary *file,
                        const cst_put_options *options, cst_object_info *info_out, cst_err *err) {
    struct stat status = {0};
    int64_t before_ns = 0;
    int lock = -1;
    cst_code code = CST_OK;

    if (options->condition == CST_PUT_IF_MATCH) code = csti_file_lock(store, name, &lock, err);
    if (code == CST_OK && options->condition != CST_PUT_IF_ABSENT)
        code = before_read(store, name, options, &before_ns, err);
    if (code == CST_OK) code = temporary_seal(store, name, file->fd, before_ns, &status, err);
    if (code == CST_OK) {
        code = place(store, name, file, options->condition, err);
        if (code != CST_OK && code != CST_OBJECT_AMBIGUOUS) csti_file_prune(store, name);
    }
    if (lock >= 0) (void)close(lock);
    temporary_close(store, file);
    if (code == CST_OK) csti_file_info(&status, info_out);
    return code;
}

cst_code csti_file_put(cst_object_store *base, const char *name, const cst_bytes *ranges,
                       size_t ranges_count, const cst_put_options *options,
                       cst_object_info *info_out, cst_err *err) {
    csti_file_store *store = csti_file_self(base);
    temporary file;
    cst_code code = temporary_open(store, name, &file, err);

    if (code != CST_OK) return code;
    for (size_t i = 0; i < ranges_count && code == CST_OK; i++)
        code = temporary_write(store, name, file.fd, ranges[i].data, ranges[i].count, err);
    if (code == CST_OK) return publish(store, name, &file, options, info_out, err);
    temporary_close(store, &file);
    return code;
}

// ---- Uploads ------------------------------------------------------------------------------------

cst_code csti_file_upload_open(cst_object_store *base, const char *name, uint64_t nonce,
                               cst_object_upload **out, cst_err *err) {
    csti_file_store *store = csti_file_self(base);
    file_upload *upload = calloc(1, sizeof *upload);
    cst_code code;

    (void)nonce; // nothing that asks for one is left open here: see place
    if (!upload) return cst_fail(err, CST_NO_MEMORY, "upload of %s", name);
    code = temporary_open(store, name, &upload->file, err);
    if (code != CST_OK) {
        free(upload);
        return code;
    }
    *out = &upload->base;
    return CST_OK;
}

cst_code csti_file_upload_write(cst_object_upload *base, const void *bytes, size_t count,
                                cst_err *err) {
    file_upload *upload = (file_upload *)base;
    const cst_code code = temporary_write(csti_file_self(base->store), base->name, upload->file.fd,
                                          bytes, count, err);

    if (code != CST_OK) upload->failed = true;
    return code;
}

void csti_file_upload_abort(cst_object_upload *base) {
    file_upload *upload = (file_upload *)base;

    temporary_close(csti_file_self(base->store), &upload->file);
    free(upload);
}

cst_code csti_file_upload_finish(cst_object_upload *base, cst_object_info *info_out, cst_err *err) {
    const cst_put_options options = {.condition = CST_PUT_IF_ABSENT};
    file_upload *upload = (file_upload *)base;
    csti_file_store *store = csti_file_self(base->store);
    cst_code code;

    if (upload->failed) {
        code = cst_fail(err, CST_IO, "file:%s: %s: an earlier write of this upload failed",
                        store->folder, base->name);
        csti_file_upload_abort(base);
        return code;
    }
    code = publish(store, base->name, &upload->file, &options, info_out, err);
    free(upload);
    return code;
}

// ---- Sweep --------------------------------------------------------------------------------------

// Whoever can lock a temporary has no living writer before him.
static bool sweep_one(const csti_file_store *store, const char *entry) {
    char path[sizeof CSTI_FILE_TEMPORARIES + 1 + CSTI_OBJECT_PART_BYTES_MAX + 1];
    bool swept = false;
    int fd;

    (void)snprintf(path, sizeof path, "%s/%s", CSTI_FILE_TEMPORARIES, entry);
    fd = openat(store->root, path, O_RDWR | O_CLOEXEC);
    if (fd < 0) return false;
    if (lock_take(fd) == 0) swept = unlinkat(store->root, path, 0) == 0;
    (void)close(fd);
    return swept;
}

cst_code csti_file_sweep(cst_object_store *base, uint64_t *swept_out, cst_err *err) {
    csti_file_store *store = csti_file_self(base);
    const int fd = openat(store->root, CSTI_FILE_TEMPORARIES, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const struct dirent *entry;
    cst_code code = CST_OK;
    DIR *folder;

    if (fd < 0 && errno == ENOENT) return CST_OK;
    folder = fd < 0 ? NULL : fdopendir(fd);
    if (!folder) {
        code = csti_file_fail(store, CSTI_FILE_TEMPORARIES, "opening", errno, err);
        if (fd >= 0) (void)close(fd);
        return code;
    }
    for (errno = 0; (entry = readdir(folder)) != NULL; errno = 0)
        if (entry->d_name[0] != '.' && sweep_one(store, entry->d_name)) (*swept_out)++;
    if (errno != 0) code = csti_file_fail(store, CSTI_FILE_TEMPORARIES, "reading", errno, err);
    (void)closedir(folder);
    return code;
}
