#include "stream/sink_part.h"

#include "base/fault_point.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { COMPARE_BYTES = 65536 };

static cst_code io_fail(const csti_part *part, const char *what, cst_err *err) {
    if (errno == ENOSPC || errno == EDQUOT)
        return cst_fail(err, CST_IO, "sink part %s/%s: %s: the disk is full. Make room; it goes on",
                        part->folder_path, part->name, what);
    return cst_fail(err, CST_IO, "sink part %s/%s: %s: %s", part->folder_path, part->name, what,
                    strerror(errno));
}

static cst_code differs(const csti_part *part, cst_err *err) {
    return cst_fail(err, CST_SINK,
                    "sink part %s/%s is there with other bytes, from byte %" PRIu64
                    " on. Two jobs write this folder, or somebody changed it",
                    part->folder_path, part->name, part->bytes);
}

cst_code csti_part_open(int folder, const char *folder_path, const char *name,
                        const char *temporary, csti_part *out, cst_err *err) {
    csti_part part = {.folder_path = folder_path, .folder = folder};

    (void)snprintf(part.name, sizeof part.name, "%s", name);
    (void)snprintf(part.temporary, sizeof part.temporary, "%s", temporary);
    part.file = openat(folder, name, O_RDONLY | O_CLOEXEC);
    part.there = part.file >= 0;
    if (!part.there && errno != ENOENT) return io_fail(&part, "opening", err);
    if (!part.there)
        part.file = openat(folder, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (part.file < 0) return io_fail(&part, "making a temporary", err);
    *out = part;
    return CST_OK;
}

static cst_code compare(csti_part *part, const uint8_t *bytes, size_t count, cst_err *err) {
    uint8_t there[COMPARE_BYTES];

    while (count > 0) {
        const size_t wanted = count < sizeof there ? count : sizeof there;
        const ssize_t got = pread(part->file, there, wanted, (off_t)part->bytes);

        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return io_fail(part, "reading", err);
        if (got == 0 || memcmp(there, bytes, (size_t)got) != 0) return differs(part, err);
        bytes += got;
        count -= (size_t)got;
        part->bytes += (uint64_t)got;
    }
    return CST_OK;
}

cst_code csti_part_write(csti_part *part, const void *bytes, size_t count, cst_err *err) {
    const uint8_t *at = bytes;

    assert(part->file >= 0);
    if (part->there) return compare(part, at, count, err);
    while (count > 0) {
        const ssize_t written = write(part->file, at, count);

        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return io_fail(part, "writing", err);
        at += written;
        count -= (size_t)written;
        part->bytes += (uint64_t)written;
    }
    return CST_OK;
}

static cst_code temporary_link(csti_part *part, cst_err *err) {
    if (fsync(part->file) != 0) return io_fail(part, "fsync", err);
    if (CSTI_FAULT_FAILS(sink_temporary))
        return cst_fail(err, CST_IO, "sink part %s: an injected fault", part->name);
    if (linkat(part->folder, part->temporary, part->folder, part->name, 0) != 0) {
        if (errno == EEXIST)
            return cst_fail(err, CST_EXISTS, "sink part %s: another writer was first", part->name);
        return io_fail(part, "giving it its name", err);
    }
    if (CSTI_FAULT_FAILS(sink_renamed))
        return cst_fail(err, CST_IO, "sink part %s: an injected fault", part->name);
    return CST_OK;
}

cst_code csti_part_finish(csti_part *part, cst_err *err) {
    struct stat status;
    cst_code code = CST_OK;

    assert(part->file >= 0);
    if (part->there) {
        if (fstat(part->file, &status) != 0) return io_fail(part, "its size", err);
        if ((uint64_t)status.st_size != part->bytes) return differs(part, err);
    } else {
        code = temporary_link(part, err);
    }
    if (code != CST_OK) return code;
    // Also for a part that was there: who linked it may not have come as far.
    if (fsync(part->folder) != 0) return io_fail(part, "fsync of the folder", err);
    return CST_OK;
}

void csti_part_close(csti_part *part) {
    if (part->file < 0) return;
    (void)close(part->file);
    part->file = -1;
    // Has its name, or is given up; one that cannot be removed goes at the next start.
    if (!part->there) (void)unlinkat(part->folder, part->temporary, 0);
}
