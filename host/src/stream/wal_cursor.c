#include "stream/wal_cursor.h"

#include "base/bytes.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

// At a time, but for a longer record: what is read twice is short.
enum { READ_BYTES = 16 << 10 };

static const char it_ends[] = "the file ends";

cst_code csti_wal_cursor_fail(const csti_wal_cursor *cursor, cst_code code, const char *why,
                              cst_err *err) {
    return cst_fail(err, code, "%s/%s: record %" PRIu64 ", at byte %" PRIu64 ": %s",
                    cursor->folder->path, cursor->text, cursor->position, cursor->offset, why);
}

// Up to `count` bytes; fewer only at the end of the file.
static cst_code read_at(csti_wal_cursor *cursor, uint64_t offset, void *out, size_t count,
                        size_t *read_out, cst_err *err) {
    size_t done = 0;

    while (done < count) {
        const ssize_t more =
            pread(cursor->fd, (uint8_t *)out + done, count - done, (off_t)(offset + done));

        if (more < 0 && errno == EINTR) continue;
        if (more < 0) return csti_wal_fail(cursor->folder, cursor->text, "reading", errno, err);
        if (more == 0) break;
        done += (size_t)more;
    }
    *read_out = done;
    return CST_OK;
}

static cst_code header_read(csti_wal_cursor *cursor, csti_wal_name name, cst_err *err) {
    char path[CSTI_WAL_PATH_BYTES + CSTI_WAL_NAME_BYTES];
    size_t read_bytes = 0;
    cst_code code = read_at(cursor, 0, &cursor->header, sizeof cursor->header, &read_bytes, err);

    (void)snprintf(path, sizeof path, "%s/%s", cursor->folder->path, cursor->text);
    if (code != CST_OK) return code;
    if (read_bytes < sizeof cursor->header)
        return cst_fail(err, CST_WAL_CORRUPT, "%s: it has %zu bytes, and its header %d", path,
                        read_bytes, CSTI_WAL_HEADER_BYTES);
    code = csti_wal_header_check(&cursor->header, path, err);
    if (code != CST_OK) return code;
    if (cursor->header.tenure != name.tenure || cursor->header.base != name.base)
        return cst_fail(err, CST_WAL_CORRUPT,
                        "%s: its header says tenure %" PRIu64 ", record %" PRIu64, path,
                        cursor->header.tenure, cursor->header.base);
    cursor->position = cursor->durable = cursor->header.base;
    cursor->offset = CSTI_WAL_HEADER_BYTES;
    return CST_OK;
}

cst_code csti_wal_cursor_take(const csti_wal_folder *folder, csti_wal_name name, int fd,
                              csti_wal_cursor *out, cst_err *err) {
    csti_wal_cursor cursor = {.folder = folder, .fd = fd};
    cst_code code;

    csti_wal_name_write(name, cursor.text);
    code = header_read(&cursor, name, err);
    if (code == CST_OK) {
        cursor.bytes = malloc(READ_BYTES);
        cursor.capacity = READ_BYTES;
        if (!cursor.bytes) code = cst_fail(err, CST_NO_MEMORY, "reading %s", cursor.text);
    }
    if (code != CST_OK) {
        csti_wal_cursor_close(&cursor);
        return code;
    }
    *out = cursor;
    return CST_OK;
}

cst_code csti_wal_cursor_open(const csti_wal_folder *folder, csti_wal_name name,
                              csti_wal_cursor *out, cst_err *err) {
    char text[CSTI_WAL_NAME_BYTES];
    int fd;

    csti_wal_name_write(name, text);
    fd = openat(folder->fd, text, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return cst_fail(err, CST_WAL_GAP, "%s/%s is missing", folder->path, text);
    if (fd < 0) return csti_wal_fail(folder, text, "opening it", errno, err);
    return csti_wal_cursor_take(folder, name, fd, out, err);
}

void csti_wal_cursor_close(csti_wal_cursor *cursor) {
    free(cursor->bytes);
    cursor->bytes = NULL;
    if (cursor->fd >= 0) (void)close(cursor->fd);
    cursor->fd = -1;
}

// ---- Frames -------------------------------------------------------------------------------------

// Reads anew from `offset` on: at least `needed` bytes, if the file has them.
static cst_code refill(csti_wal_cursor *cursor, size_t needed, cst_err *err) {
    const size_t wanted = needed > READ_BYTES ? needed : READ_BYTES;

    if (needed > cursor->capacity) {
        uint8_t *bytes = realloc(cursor->bytes, needed);

        if (!bytes)
            return cst_fail(err, CST_NO_MEMORY, "a record of %zu bytes in %s", needed,
                            cursor->text);
        cursor->bytes = bytes;
        cursor->capacity = needed;
    }
    cursor->at = cursor->filled = 0;
    return read_at(cursor, cursor->offset, cursor->bytes, wanted, &cursor->filled, err);
}

// Whether its payload is nobody's here: its head is valid.
static bool is_skipped(const csti_wal_cursor *cursor, const csti_wal_head *head) {
    return cursor->chooses && head->type == CSTI_WAL_RECORD && head->kind != cursor->kind;
}

// Of the bytes that are in memory. *needed_out: so many would have to be there, to say more.
static const char *frame_check(const csti_wal_cursor *cursor, csti_wal_head *head,
                               size_t *needed_out) {
    const uint8_t *at = cursor->bytes + cursor->at;
    const size_t there = cursor->filled - cursor->at;
    const char *why;

    *needed_out = sizeof *head;
    if (there < sizeof *head) return it_ends;
    memcpy(head, at, sizeof *head);
    why = csti_wal_head_check(head, cursor->header.crc32c);
    if (why) return why;
    if (is_skipped(cursor, head) && head->position == cursor->position) return NULL;
    *needed_out = csti_wal_frame_bytes(head->payload_bytes);
    if (there < *needed_out) return it_ends;
    why = csti_wal_payload_check(head, at + sizeof *head);
    if (why) return why;
    if (head->position != cursor->position) return "a record of another position stands there";
    if (head->type == CSTI_WAL_MARK && csti_load_le64(at + sizeof *head) < cursor->durable)
        return "a mark says less than one before";
    return NULL;
}

// A frame in memory that is valid. NOT_FOUND: there is none, also when read anew.
static cst_code frame_find(csti_wal_cursor *cursor, csti_wal_head *head, cst_err *err) {
    size_t needed;

    cursor->why = frame_check(cursor, head, &needed);
    if (!cursor->why) return CST_OK;
    for (;;) {
        const size_t asked = needed;
        const cst_code code = refill(cursor, asked, err);

        if (code != CST_OK) return code;
        cursor->why = frame_check(cursor, head, &needed);
        if (!cursor->why) return CST_OK;
        if (cursor->why == it_ends && needed > asked) continue;
        cursor->is_empty =
            cursor->filled - cursor->at < sizeof *head || csti_wal_head_is_zero(head);
        return CST_NOT_FOUND;
    }
}

static void frame_pass(csti_wal_cursor *cursor, const csti_wal_head *head) {
    const size_t bytes = csti_wal_frame_bytes(head->payload_bytes);

    if (head->type == CSTI_WAL_MARK)
        cursor->durable = csti_load_le64(cursor->bytes + cursor->at + sizeof *head);
    else
        cursor->position++;
    cursor->offset += bytes;
    cursor->at += bytes;
    if (cursor->at > cursor->filled) cursor->at = cursor->filled = 0; // skipped: it was not read
}

cst_code csti_wal_cursor_marks(csti_wal_cursor *cursor, cst_err *err) {
    csti_wal_head head;
    cst_code code;

    while ((code = frame_find(cursor, &head, err)) == CST_OK && head.type == CSTI_WAL_MARK)
        frame_pass(cursor, &head);
    return code == CST_NOT_FOUND ? CST_OK : code;
}

cst_code csti_wal_cursor_next(csti_wal_cursor *cursor, csti_wal_record *out, cst_err *err) {
    csti_wal_head head;
    cst_code code;

    while ((code = frame_find(cursor, &head, err)) == CST_OK && head.type == CSTI_WAL_MARK)
        frame_pass(cursor, &head);
    if (code != CST_OK) return code;
    *out = (csti_wal_record){.position = head.position,
                             .kind = head.kind,
                             .payload = is_skipped(cursor, &head)
                                            ? NULL
                                            : cursor->bytes + cursor->at + sizeof head,
                             .payload_bytes = head.payload_bytes};
    frame_pass(cursor, &head);
    return CST_OK;
}

// ---- The rest -----------------------------------------------------------------------------------

static size_t zeros_at(const uint8_t *bytes, size_t from, size_t count) {
    size_t at = from;

    while (at + sizeof(uint64_t) <= count && csti_load_le64(bytes + at) == 0)
        at += sizeof(uint64_t);
    return at - from;
}

// Every place of a chunk where a mark may begin, and its last byte that is not 0.
static void rest_look(const csti_wal_cursor *cursor, uint64_t offset, const uint8_t *bytes,
                      size_t count, csti_wal_rest *rest) {
    for (size_t at = 0; at < count; at += CSTI_WAL_FRAME_ALIGNMENT) {
        uint64_t position, durable;

        at += zeros_at(bytes, at, count);
        if (at >= count) break;
        for (size_t i = at; i < count && i < at + CSTI_WAL_FRAME_ALIGNMENT; i++)
            if (bytes[i] != 0) rest->cut_bytes = offset + i + 1 - cursor->offset;
        if (count - at < CSTI_WAL_MARK_BYTES ||
            !csti_wal_mark_read(bytes + at, cursor->header.crc32c, &position, &durable) ||
            durable <= rest->mark_durable)
            continue;
        rest->mark_offset = offset + at;
        rest->mark_durable = durable;
    }
}

cst_code csti_wal_cursor_rest(csti_wal_cursor *cursor, csti_wal_rest *out, cst_err *err) {
    csti_wal_rest rest = {0};
    uint64_t offset = cursor->offset;
    size_t filled = 0;

    assert(offset % CSTI_WAL_FRAME_ALIGNMENT == 0);
    cursor->at = cursor->filled = 0; // the memory is used for other bytes
    do {
        const cst_code code =
            read_at(cursor, offset, cursor->bytes, cursor->capacity, &filled, err);

        if (code != CST_OK) return code;
        rest_look(cursor, offset, cursor->bytes, filled, &rest);
        if (filled < cursor->capacity) break;
        // A mark that the chunk's end cuts begins in what is read again.
        offset += filled - (CSTI_WAL_MARK_BYTES - CSTI_WAL_FRAME_ALIGNMENT);
    } while (filled > 0);
    *out = rest;
    return CST_OK;
}
