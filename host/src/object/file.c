#define _GNU_SOURCE 1 // F_OFD_SETLK
#include "object/file.h"

#include "base/clock.h"
#include "base/crc32c.h"
#include "base/park.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

enum {
    ALIGNMENT = 64,
    MAP_BYTES_MIN = 64 << 10,     // below, reading is cheaper than page tables
    POPULATE_BYTES_MAX = 1 << 30, // above, pages come as they are touched
    LOCK_WAIT_NS = 1000 * 1000,   // between two looks at a lock that is taken
    READ_BYTES_MAX = 1 << 30,     // of one read call
};

static const uint8_t nothing[ALIGNMENT] __attribute__((aligned(ALIGNMENT))) = {0};

// ---- Errors -------------------------------------------------------------------------------------

static const char *advice_of(int error) {
    switch (error) {
    case ENOSPC:
    case EDQUOT:
        return ". Free disk space; nothing was left behind";
    case EFBIG:
        return ". Raise the limit on file sizes; nothing was left behind";
    case EMFILE:
    case ENFILE:
        return ". Raise the limit on open files (ulimit -n)";
    case EROFS:
        return ". Mount it writable, or use another folder";
    case EACCES:
    case EPERM:
        return ". Give this user the right to it, or use another folder";
    case EXDEV:
        return ". A store lies on one file system: nothing may be mounted inside it";
    default:
        return "";
    }
}

cst_code csti_file_fail(const csti_file_store *store, const char *name, const char *what, int error,
                        cst_err *err) {
    cst_code code = CST_IO;

    if (error == EROFS || error == EACCES || error == EPERM) code = CST_OBJECT_DENIED;
    if (error == ENOMEM) code = CST_NO_MEMORY;
    if (error == ENOTDIR || error == EISDIR)
        return cst_fail(err, CST_OBJECT_NAME,
                        "file:%s: %s: %s failed: an object and a folder cannot share a name",
                        store->folder, name, what);
    return cst_fail(err, code, "file:%s: %s: %s failed: %s%s", store->folder, name, what,
                    strerror(error), advice_of(error));
}

void csti_file_info(const struct stat *status, cst_object_info *out) {
    const int64_t changed_ns =
        (int64_t)status->st_mtim.tv_sec * 1000000000 + status->st_mtim.tv_nsec;

    *out = (cst_object_info){.bytes = (uint64_t)status->st_size};
    (void)snprintf(out->etag, sizeof out->etag, "%" PRIx64 "-%" PRIx64 "-%" PRIx64,
                   (uint64_t)status->st_ino, (uint64_t)changed_ns, (uint64_t)status->st_size);
}

// ---- Locks --------------------------------------------------------------------------------------

cst_code csti_file_lock(csti_file_store *store, const char *name, int *fd_out, cst_err *err) {
    const csti_clock *clock = csti_clock_real();
    const uint64_t deadline_ns = csti_clock_now_ns(clock) + store->base.deadline_us * 1000;
    struct flock lock = {.l_type = F_WRLCK,
                         .l_whence = SEEK_SET,
                         .l_start = (off_t)csti_crc32c(0, name, strlen(name)),
                         .l_len = 1};
    // Of this call's own: locks of one description do not exclude each other.
    const int fd = openat(store->root, CSTI_FILE_LOCK, O_RDWR | O_CREAT | O_CLOEXEC, 0666);

    if (fd < 0) return csti_file_fail(store, name, "opening the lock", errno, err);
    while (fcntl(fd, F_OFD_SETLK, &lock) != 0) {
        const int error = errno;
        const uint64_t now_ns = csti_clock_now_ns(clock);
        csti_parker parker;

        if ((error == EAGAIN || error == EINTR) && now_ns < deadline_ns) {
            csti_parker_init(&parker);
            (void)csti_park_until(&parker, now_ns + LOCK_WAIT_NS);
            continue;
        }
        (void)close(fd);
        if (error != EAGAIN) return csti_file_fail(store, name, "locking", error, err);
        return cst_fail(err, CST_DEADLINE,
                        "file:%s: %s: another process holds its lock for longer than %" PRIu64
                        " ms. See whether one is stopped",
                        store->folder, name, store->base.deadline_us / 1000);
    }
    *fd_out = fd;
    return CST_OK;
}

// ---- Open ---------------------------------------------------------------------------------------

const char *csti_file_network(uint64_t number) {
    static const struct {
        uint64_t number;
        const char *name;
    } known[] = {
        {NFS_SUPER_MAGIC, "NFS"},
        {SMB_SUPER_MAGIC, "SMB"},
        {0xff534d42, "CIFS"},
        {0xfe534d42, "SMB2"},
        {0x65735546, "FUSE"},
        {V9FS_MAGIC, "9p"},
        {CEPH_SUPER_MAGIC, "Ceph"},
        {0x0bd00bd0, "Lustre"},
        {0x47504653, "GPFS"},
        {0x19830326, "BeeGFS"},
        {0x20030528, "OrangeFS"},
        {0xaad7aaea, "PanFS"},
        {0x01161970, "GFS2"},
        {0x7461636f, "OCFS2"},
        {AFS_SUPER_MAGIC, "AFS"},
        {0x6b414653, "AFS"},
        {CODA_SUPER_MAGIC, "Coda"},
        {0x786f4256, "a VirtualBox folder"},
        {0xbacbacbc, "a VMware folder"},
    };

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (known[i].number == number) return known[i].name;
    return NULL;
}

static cst_code local_check(const csti_file_store *store, cst_err *err) {
    struct statfs status;
    const char *network;

    if (fstatfs(store->root, &status) != 0)
        return csti_file_fail(store, ".", "asking for the file system", errno, err);
    network = csti_file_network((uint64_t)status.f_type & UINT32_MAX);
    if (!network) return CST_OK;
    return cst_fail(err, CST_OBJECT_REFUSED,
                    "file:%s lies on %s, whose locks and links cannot be trusted. Use a local disk",
                    store->folder, network);
}

// DIR is made if its parent is there; its own entry in that parent is durable before anything is
// written.
static cst_code folder_open(csti_file_store *store, cst_err *err) {
    const bool made = mkdir(store->folder, 0777) == 0;
    const int error = made ? 0 : errno;
    int parent;
    cst_code code = CST_OK;

    if (!made && error == ENOENT)
        return cst_fail(err, CST_NOT_FOUND, "file:%s: its parent folder does not exist. Make it",
                        store->folder);
    if (!made && error != EEXIST)
        return csti_file_fail(store, ".", "making the folder", error, err);
    store->root = open(store->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (store->root < 0) return csti_file_fail(store, ".", "opening the folder", errno, err);
    parent = openat(store->root, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (parent < 0 && !made) return CST_OK; // not ours to look into
    if (parent < 0 || fsync(parent) != 0)
        code = csti_file_fail(store, ".", "syncing its parent folder", errno, err);
    if (parent >= 0) (void)close(parent);
    return code;
}

static void file_close(cst_object_store *base) {
    csti_file_store *store = csti_file_self(base);

    if (store->root >= 0) (void)close(store->root);
    free(store->folder);
    free(store);
}

static cst_code file_open(const char *place, const cst_object_store_options *options,
                          cst_object_store **out, cst_err *err) {
    csti_file_store *store = NULL;
    cst_code code = CST_OK;

    if (place[0] == '\0')
        return cst_fail(err, CST_OBJECT_NAME, "object store 'file:': name a folder, file:DIR");
    if (strlen(place) >= PATH_MAX)
        return cst_fail(err, CST_OBJECT_NAME, "object store 'file:%.80s…': the path is too long",
                        place);
    store = calloc(1, sizeof *store);
    if (!store) return cst_fail(err, CST_NO_MEMORY, "object store file:%s", place);
    store->root = -1;
    store->folder = strdup(place);
    if (!store->folder) code = cst_fail(err, CST_NO_MEMORY, "object store file:%s", place);
    if (code == CST_OK) code = folder_open(store, err);
    if (code == CST_OK && !options->allow_network_files) code = local_check(store, err);
    if (code != CST_OK) {
        file_close(&store->base);
        return code;
    }
    *out = &store->base;
    return CST_OK;
}

// ---- Delete -------------------------------------------------------------------------------------

void csti_file_prune(const csti_file_store *store, const char *name) {
    char path[CST_OBJECT_NAME_BYTES_MAX + 1];
    char *slash;

    memcpy(path, name, strlen(name) + 1);
    while ((slash = strrchr(path, '/')) != NULL) {
        *slash = '\0';
        if (unlinkat(store->root, path, AT_REMOVEDIR) != 0) return;
    }
}

static cst_code file_remove(cst_object_store *base, const char *name, cst_err *err) {
    csti_file_store *store = csti_file_self(base);
    int lock = -1;
    int error = 0;
    cst_code code = csti_file_lock(store, name, &lock, err);

    if (code != CST_OK) return code;
    if (unlinkat(store->root, name, 0) != 0) error = errno;
    (void)close(lock);
    if (error == 0) csti_file_prune(store, name);
    // A folder of that name, or a file where a folder should be: there is no such object.
    if (error == 0 || error == ENOENT || error == EISDIR || error == ENOTDIR) return CST_OK;
    return csti_file_fail(store, name, "deleting", error, err);
}

// ---- Read ---------------------------------------------------------------------------------------

static cst_code missing(const csti_file_store *store, const char *name, cst_err *err) {
    return cst_fail(err, CST_NOT_FOUND, "file:%s: there is no object %s", store->folder, name);
}

// Only a regular file is an object.
static cst_code object_open(const csti_file_store *store, const char *name, int *fd_out,
                            struct stat *status_out, cst_err *err) {
    const int fd = openat(store->root, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    cst_code code = CST_OK;

    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR)) return missing(store, name, err);
    if (fd < 0) return csti_file_fail(store, name, "opening", errno, err);
    if (fstat(fd, status_out) != 0)
        code = csti_file_fail(store, name, "reading its size", errno, err);
    else if (!S_ISREG(status_out->st_mode))
        code = missing(store, name, err);
    if (code == CST_OK)
        *fd_out = fd;
    else
        (void)close(fd);
    return code;
}

static cst_code body_read(const csti_file_store *store, const char *name, int fd, uint64_t offset,
                          size_t count, cst_object_body *out, cst_err *err) {
    const size_t whole_bytes = (count + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    uint8_t *bytes = aligned_alloc(ALIGNMENT, whole_bytes);
    size_t done = 0;
    cst_code code = CST_OK;

    if (!bytes) return cst_fail(err, CST_NO_MEMORY, "%zu bytes of object %s", count, name);
    while (done < count && code == CST_OK) {
        const size_t wanted = count - done < READ_BYTES_MAX ? count - done : READ_BYTES_MAX;
        const ssize_t got = pread(fd, bytes + done, wanted, (off_t)(offset + done));

        if (got > 0)
            done += (size_t)got;
        else if (got == 0)
            code =
                cst_fail(err, CST_IO, "file:%s: %s was cut while it was read", store->folder, name);
        else if (errno != EINTR)
            code = csti_file_fail(store, name, "reading", errno, err);
    }
    if (code != CST_OK) {
        free(bytes);
        return code;
    }
    out->bytes = bytes;
    out->handle = bytes;
    return CST_OK;
}

// The page that a mapping of `offset` begins in, and how far in it lies.
static uint64_t page_rest(uint64_t offset) {
    return offset % (uint64_t)sysconf(_SC_PAGESIZE);
}

// The handle is the store: a mapping, against the bytes' own address for what body_read allocated.
static cst_code body_map(csti_file_store *store, const char *name, int fd, uint64_t offset,
                         size_t count, cst_object_body *out, cst_err *err) {
    const uint64_t rest = page_rest(offset);
    const size_t whole_bytes = count + (size_t)rest;
    uint8_t *map = mmap(NULL, whole_bytes, PROT_READ, MAP_PRIVATE, fd, (off_t)(offset - rest));

    if (map == MAP_FAILED) return csti_file_fail(store, name, "mapping", errno, err);
    // An unreadable disk is an error here, and not a signal later. Older kernels do not know it.
    if (whole_bytes <= POPULATE_BYTES_MAX && madvise(map, whole_bytes, MADV_POPULATE_READ) != 0 &&
        errno != EINVAL) {
        const int error = errno == EFAULT ? EIO : errno;

        (void)munmap(map, whole_bytes);
        return csti_file_fail(store, name, "reading", error, err);
    }
    out->bytes = map + rest;
    out->handle = store;
    return CST_OK;
}

static cst_code file_get(cst_object_store *base, const char *name, uint64_t offset, uint64_t count,
                         cst_object_body *out, cst_err *err) {
    csti_file_store *store = csti_file_self(base);
    struct stat status = {0};
    int fd = -1;
    cst_code code = object_open(store, name, &fd, &status, err);

    if (code != CST_OK) return code;
    csti_file_info(&status, &out->info);
    if (offset > out->info.bytes) {
        code = cst_fail(err, CST_LIMIT, "file:%s: %s has %" PRIu64 " bytes, asked from %" PRIu64,
                        store->folder, name, out->info.bytes, offset);
        goto done;
    }
    out->count = (size_t)(count < out->info.bytes - offset ? count : out->info.bytes - offset);
    if (out->count == 0)
        out->bytes = nothing;
    else if (out->count >= MAP_BYTES_MIN && offset % ALIGNMENT == 0)
        code = body_map(store, name, fd, offset, out->count, out, err);
    else
        code = body_read(store, name, fd, offset, out->count, out, err);
done:
    (void)close(fd);
    return code;
}

static void file_body_release(cst_object_store *store, cst_object_body *body) {
    if (body->handle != store) {
        assert(body->handle == body->bytes);
        free(body->handle);
        return;
    }
    const uint64_t rest = page_rest((uint64_t)(uintptr_t)body->bytes);
    (void)munmap((void *)(uintptr_t)(body->bytes - rest), body->count + (size_t)rest);
}

static cst_code file_head(cst_object_store *base, const char *name, cst_object_info *out,
                          cst_err *err) {
    const csti_file_store *store = csti_file_self(base);
    struct stat status;

    if (fstatat(store->root, name, &status, 0) != 0) {
        if (errno == ENOENT || errno == ENOTDIR) return missing(store, name, err);
        return csti_file_fail(store, name, "reading its size", errno, err);
    }
    if (!S_ISREG(status.st_mode)) return missing(store, name, err);
    csti_file_info(&status, out);
    return CST_OK;
}

const csti_object_ops csti_object_file = {
    .scheme = "file",
    .racers = 4,
    .rounds = 1,
    .open = file_open,
    .close = file_close,
    .put = csti_file_put,
    .upload_open = csti_file_upload_open,
    .upload_write = csti_file_upload_write,
    .upload_finish = csti_file_upload_finish,
    .upload_abort = csti_file_upload_abort,
    .remove = file_remove,
    .get = file_get,
    .body_release = file_body_release,
    .head = file_head,
    .list = csti_file_list,
    .sweep_uploads = csti_file_sweep,
};
