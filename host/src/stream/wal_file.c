#define _GNU_SOURCE 1 // fallocate
#include "stream/wal_file.h"

#include "base/fault_point.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_FORMAT "%020" PRIu64 "-%020" PRIu64
#define NAME_ENDING ".wal"
#define NEW_ENDING ".new"

enum {
    NUMBER_DIGITS = 20,
    NAME_LENGTH = 2 * NUMBER_DIGITS + 1 + 4,
    PREPARE_SHARE = 8, // of a file: what a killed owner leaves unused at most
    PIECES_MAX = 4,
};

cst_code csti_wal_fail(const csti_wal_folder *folder, const char *file, const char *doing,
                       int error, cst_err *err) {
    const bool full = error == ENOSPC || error == EDQUOT;
    const cst_code code = full ? CST_STORE_FULL : error == ENOMEM ? CST_NO_MEMORY : CST_IO;

    return cst_fail(err, code, "%s/%s: %s: %s%s", folder->path, file, doing, strerror(error),
                    full ? ". Make room on its disk, and start the job again" : "");
}

// ---- Names --------------------------------------------------------------------------------------

static void name_write(csti_wal_name name, const char *ending, char out[CSTI_WAL_NAME_BYTES]) {
    (void)snprintf(out, CSTI_WAL_NAME_BYTES, NAME_FORMAT "%s", name.tenure, name.base, ending);
}

void csti_wal_name_write(csti_wal_name name, char out[CSTI_WAL_NAME_BYTES]) {
    name_write(name, NAME_ENDING, out);
}

// Exactly as written: 20 digits, a hyphen, 20 digits.
static bool name_read(const char *text, const char *ending, csti_wal_name *out) {
    char again[CSTI_WAL_NAME_BYTES];

    if (strlen(text) != NAME_LENGTH) return false;
    out->tenure = strtoull(text, NULL, 10);
    out->base = strtoull(text + NUMBER_DIGITS + 1, NULL, 10);
    name_write(*out, ending, again);
    return strcmp(text, again) == 0;
}

static int by_name(const void *a, const void *b) {
    const csti_wal_name *x = a;
    const csti_wal_name *y = b;

    if (x->tenure != y->tenure) return x->tenure < y->tenure ? -1 : 1;
    return x->base < y->base ? -1 : x->base > y->base;
}

// ---- The folder ---------------------------------------------------------------------------------

// The entry of a folder that was just made, in the one above.
static cst_code entry_sync(const csti_wal_folder *folder, cst_err *err) {
    const int above = openat(folder->fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cst_code code = CST_OK;

    if (above < 0 || fsync(above) != 0)
        code = csti_wal_fail(folder, "..", "syncing the folder above", errno, err);
    if (above >= 0) (void)close(above);
    return code;
}

cst_code csti_wal_folder_open(const char *path, csti_wal_folder *out, cst_err *err) {
    csti_wal_folder folder = {.fd = -1};
    const bool made = mkdir(path, 0777) == 0;
    cst_code code = CST_OK;

    (void)snprintf(folder.path, sizeof folder.path, "%s", path);
    if (!made && errno != EEXIST) return csti_wal_fail(&folder, "", "making it", errno, err);
    folder.fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder.fd < 0) return csti_wal_fail(&folder, "", "opening it", errno, err);
    // Whether it was made or not: who made it may have died before it was durable.
    code = entry_sync(&folder, err);
    if (code != CST_OK) {
        csti_wal_folder_close(&folder);
        return code;
    }
    *out = folder;
    return CST_OK;
}

void csti_wal_folder_close(csti_wal_folder *folder) {
    if (folder->fd >= 0) (void)close(folder->fd);
    folder->fd = -1;
}

typedef struct listing {
    csti_wal_name *names;
    size_t count, capacity;
} listing;

static cst_code listing_add(listing *found, const csti_wal_folder *folder, csti_wal_name name,
                            cst_err *err) {
    if (found->count == CSTI_WAL_FILES_MAX)
        return cst_fail(err, CST_LIMIT, "%s: more than %d files", folder->path, CSTI_WAL_FILES_MAX);
    if (found->count == found->capacity) {
        const size_t capacity = found->capacity ? 2 * found->capacity : 16;
        csti_wal_name *names = realloc(found->names, capacity * sizeof *names);

        if (!names) return cst_fail(err, CST_NO_MEMORY, "the names in %s", folder->path);
        found->names = names;
        found->capacity = capacity;
    }
    found->names[found->count++] = name;
    return CST_OK;
}

static cst_code listing_take(listing *found, const csti_wal_folder *folder, uint64_t tenure,
                             const char *entry, cst_err *err) {
    csti_wal_name name;

    if (name_read(entry, NAME_ENDING, &name)) return listing_add(found, folder, name, err);
    if (!name_read(entry, NEW_ENDING, &name) || name.tenure >= tenure) return CST_OK;
    if (unlinkat(folder->fd, entry, 0) == 0 || errno == ENOENT) return CST_OK;
    return csti_wal_fail(folder, entry, "deleting it", errno, err);
}

cst_code csti_wal_folder_list(const csti_wal_folder *folder, uint64_t tenure, csti_wal_name **out,
                              size_t *count_out, cst_err *err) {
    const int fd = openat(folder->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *listed = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;
    listing found = {0};
    cst_code code = CST_OK;

    if (!listed) {
        code = csti_wal_fail(folder, "", "listing it", errno, err);
        if (fd >= 0) (void)close(fd);
        return code;
    }
    for (errno = 0; code == CST_OK && (entry = readdir(listed)) != NULL; errno = 0)
        code = listing_take(&found, folder, tenure, entry->d_name, err);
    if (code == CST_OK && errno != 0) code = csti_wal_fail(folder, "", "listing it", errno, err);
    (void)closedir(listed);
    if (code != CST_OK) {
        free(found.names);
        return code;
    }
    if (found.count > 0) qsort(found.names, found.count, sizeof *found.names, by_name);
    *out = found.names;
    *count_out = found.count;
    return CST_OK;
}

cst_code csti_wal_folder_delete(const csti_wal_folder *folder, csti_wal_name name, cst_err *err) {
    char text[CSTI_WAL_NAME_BYTES];

    csti_wal_name_write(name, text);
    if (unlinkat(folder->fd, text, 0) == 0 || errno == ENOENT) return CST_OK;
    return csti_wal_fail(folder, text, "deleting it", errno, err);
}

// ---- A file -------------------------------------------------------------------------------------

cst_code csti_wal_file_create(const csti_wal_folder *folder, const csti_wal_header *header,
                              csti_wal_file *out, cst_err *err) {
    const struct iovec piece = {(void *)(uintptr_t)header, sizeof *header};
    csti_wal_file file = {.fd = -1,
                          .seed = header->crc32c,
                          .name = {.tenure = header->tenure, .base = header->base}};
    cst_code code;

    name_write(file.name, NEW_ENDING, file.text);
    file.fd = openat(folder->fd, file.text, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (file.fd < 0) return csti_wal_fail(folder, file.text, "making it", errno, err);
    code = csti_wal_file_write(folder, &file, &piece, 1, err);
    if (code != CST_OK) {
        csti_wal_file_close(folder, &file);
        return code;
    }
    *out = file;
    return CST_OK;
}

cst_code csti_wal_file_name(const csti_wal_folder *folder, csti_wal_file *file, cst_err *err) {
    char text[CSTI_WAL_NAME_BYTES];

    csti_wal_name_write(file->name, text);
    if (fsync(file->fd) != 0) return csti_wal_fail(folder, file->text, "syncing it", errno, err);
    CSTI_FAULT_POINT(wal_file_written);
    if (linkat(folder->fd, file->text, folder->fd, text, 0) != 0)
        return errno == EEXIST
                   ? cst_fail(err, CST_EXISTS, "%s/%s is there already", folder->path, text)
                   : csti_wal_fail(folder, text, "giving it its name", errno, err);
    (void)unlinkat(folder->fd, file->text, 0); // else the next listing does
    memcpy(file->text, text, sizeof text);
    if (fsync(folder->fd) != 0) return csti_wal_fail(folder, text, "syncing its name", errno, err);
    CSTI_FAULT_POINT(wal_file_named);
    return CST_OK;
}

void csti_wal_file_close(const csti_wal_folder *folder, csti_wal_file *file) {
    csti_wal_name name;

    if (file->fd < 0) return;
    if (name_read(file->text, NEW_ENDING, &name)) (void)unlinkat(folder->fd, file->text, 0);
    (void)close(file->fd);
    file->fd = -1;
}

// Blocks that are there already spare each sync the work of finding some. A disk that is nearly
// full, or cannot prepare, is written to as it is.
static void prepare(csti_wal_file *file, uint64_t bytes) {
    while (file->prepared_bytes < bytes && file->prepared_bytes < file->prepared_bytes_max) {
        const uint64_t left = file->prepared_bytes_max - file->prepared_bytes;
        const uint64_t step = file->prepared_bytes_max / PREPARE_SHARE + 1;
        const uint64_t more = left < step ? left : step;

        if (fallocate(file->fd, 0, (off_t)file->prepared_bytes, (off_t)more) == 0)
            file->prepared_bytes += more;
        else if (errno != EINTR)
            file->prepared_bytes_max = 0;
    }
}

static uint64_t pieces_bytes(const struct iovec *pieces, int count) {
    uint64_t bytes = 0;

    for (int i = 0; i < count; i++) bytes += pieces[i].iov_len;
    return bytes;
}

cst_code csti_wal_file_write(const csti_wal_folder *folder, csti_wal_file *file,
                             const struct iovec *pieces, int pieces_count, cst_err *err) {
    struct iovec left[PIECES_MAX];
    struct iovec *first = left;

    assert(pieces_count <= PIECES_MAX);
    memcpy(left, pieces, (size_t)pieces_count * sizeof *pieces);
    prepare(file, file->bytes + pieces_bytes(pieces, pieces_count));
    while (pieces_count > 0) {
        const ssize_t done = pwritev(file->fd, first, pieces_count, (off_t)file->bytes);
        size_t past = done < 0 ? 0 : (size_t)done;

        if (done < 0 && errno == EINTR) continue;
        if (done == 0) errno = EIO;
        if (done <= 0) return csti_wal_fail(folder, file->text, "writing", errno, err);
        file->bytes += past;
        while (pieces_count > 0 && past >= first->iov_len) {
            past -= first->iov_len;
            first++, pieces_count--;
        }
        if (pieces_count == 0) break;
        first->iov_base = (uint8_t *)first->iov_base + past;
        first->iov_len -= past;
    }
    return CST_OK;
}

cst_code csti_wal_file_sync(const csti_wal_folder *folder, csti_wal_file *file, cst_err *err) {
    errno = EIO; // what an armed fault point stands for
    if (CSTI_FAULT_FAILS(wal_written) || fdatasync(file->fd) != 0)
        return csti_wal_fail(folder, file->text, "syncing", errno, err);
    CSTI_FAULT_POINT(wal_synced);
    return CST_OK;
}

void csti_wal_file_trim(csti_wal_file *file) {
    if (ftruncate(file->fd, (off_t)file->bytes) == 0) file->prepared_bytes = file->bytes;
}
