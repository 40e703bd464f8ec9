#define _GNU_SOURCE 1 // memrchr
#include "stream/source_text.h"

#include "base/crc32c.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_BYTES = 1 << 20 };

static cst_code io_fail(const csti_source_text *text, const char *what, cst_err *err) {
    return cst_fail(err, errno == ENOENT ? CST_NOT_FOUND : CST_IO, "%s: %s: %s", text->path, what,
                    strerror(errno));
}

static uint64_t consumed(const csti_source_text *text) {
    // The LF that was added is not the file's.
    return text->base + (text->at > text->used ? text->used : text->at);
}

static cst_code shrank(const csti_source_text *text, uint64_t read, cst_err *err) {
    return cst_fail(err, CST_SOURCE_CHANGED,
                    "%s: it shrank: %" PRIu64 " bytes of it had been read, now it has %" PRIu64
                    ": a gap of %" PRIu64 " bytes. Restore the file, or start the job anew",
                    text->path, read, text->size, read - text->size);
}

static cst_code replaced(const csti_source_text *text, const csti_file_place *was, uint64_t device,
                         uint64_t inode, cst_err *err) {
    return cst_fail(err, CST_SOURCE_CHANGED,
                    "%s: another file has its name: it was inode %" PRIu64 " of device %" PRIu64
                    ", read up to byte %" PRIu64 "; now it is inode %" PRIu64 " of device %" PRIu64
                    ". What followed in the first one is missing. Restore it, or start anew",
                    text->path, was->inode, was->device, was->byte, inode, device);
}

static cst_code rewritten(const csti_source_text *text, cst_err *err) {
    return cst_fail(
        err, CST_SOURCE_CHANGED,
        "%s: it was written anew: its first %zu bytes are not those that were read; %" PRIu64
        " bytes had been. Restore the file, or start the job anew",
        text->path, text->head_bytes, consumed(text));
}

// Reads until `count` bytes are there or the file ends.
static cst_code file_read(const csti_source_text *text, void *out, size_t count, uint64_t from,
                          size_t *count_out, cst_err *err) {
    size_t used = 0;

    while (used < count) {
        const ssize_t got =
            pread(text->file, (char *)out + used, count - used, (off_t)(from + used));

        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return io_fail(text, "reading", err);
        if (got == 0) break;
        used += (size_t)got;
    }
    *count_out = used;
    return CST_OK;
}

// ---- Is it still that file? ---------------------------------------------------------------------

static cst_code size_look(csti_source_text *text, cst_err *err) {
    const uint64_t read = text->base + text->used;
    struct stat status;

    if (fstat(text->file, &status) != 0) return io_fail(text, "its size", err);
    text->size = (uint64_t)status.st_size;
    return text->size < read ? shrank(text, read, err) : CST_OK;
}

// Its first bytes are compared: one that was cut and written again may be as long as it was.
static cst_code head_look(const csti_source_text *text, cst_err *err) {
    uint8_t head[CSTI_HEAD_BYTES_MAX];
    size_t count = 0;
    const cst_code code = file_read(text, head, text->head_bytes, 0, &count, err);

    if (code != CST_OK) return code;
    return count == text->head_bytes && memcmp(head, text->head, count) == 0 ? CST_OK
                                                                             : rewritten(text, err);
}

// A followed file whose name is another's now gets no more lines.
static cst_code name_look(const csti_source_text *text, cst_err *err) {
    const csti_file_place was = {.device = text->device,
                                 .inode = text->inode,
                                 .byte = consumed(text)};
    struct stat status;

    if (stat(text->path, &status) != 0) {
        if (errno != ENOENT) return io_fail(text, "looking at it", err);
        return cst_fail(err, CST_SOURCE_CHANGED,
                        "%s: it is gone: %" PRIu64 " bytes of it had been read. Restore it",
                        text->path, was.byte);
    }
    if ((uint64_t)status.st_dev == text->device && (uint64_t)status.st_ino == text->inode)
        return CST_OK;
    return replaced(text, &was, (uint64_t)status.st_dev, (uint64_t)status.st_ino, err);
}

// ---- Open ---------------------------------------------------------------------------------------

static cst_code place_take(csti_source_text *text, const csti_file_place *place, cst_err *err) {
    size_t count = 0;
    cst_code code;

    if (place->device != text->device || place->inode != text->inode)
        return replaced(text, place, text->device, text->inode, err);
    if (place->byte > text->size) return shrank(text, place->byte, err);
    text->base = place->byte;
    text->lines = place->line;
    text->unended = place->unended;
    text->head_bytes =
        place->byte < CSTI_HEAD_BYTES_MAX ? (size_t)place->byte : CSTI_HEAD_BYTES_MAX;
    code = file_read(text, text->head, text->head_bytes, 0, &count, err);
    if (code != CST_OK) return code;
    if (count < text->head_bytes || csti_crc32c(0, text->head, count) != place->head)
        return rewritten(text, err);
    return CST_OK;
}

static cst_code file_open(csti_source_text *text, cst_err *err) {
    struct stat status;

    text->file = open(text->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); // a pipe's open would wait
    if (text->file < 0) return io_fail(text, "opening", err);
    if (fstat(text->file, &status) != 0) return io_fail(text, "opening", err);
    if (!S_ISREG(status.st_mode))
        return cst_fail(err, CST_UNSUPPORTED, "%s: a source must be a regular file.", text->path);
    text->device = (uint64_t)status.st_dev;
    text->inode = (uint64_t)status.st_ino;
    text->size = (uint64_t)status.st_size;
    (void)posix_fadvise(text->file, 0, 0, POSIX_FADV_SEQUENTIAL); // a hint: it may fail
    text->buffer = malloc(CSTI_RECORD_BYTES_MAX + CSTI_TEXT_SLACK_BYTES);
    if (!text->buffer) return cst_fail(err, CST_NO_MEMORY, "%s: a buffer", text->path);
    memset(text->buffer + CSTI_RECORD_BYTES_MAX, 0, CSTI_TEXT_SLACK_BYTES);
    return CST_OK;
}

cst_code csti_source_text_open(csti_source_text *text, const char *path, csti_file_end end,
                               const csti_file_place *place, cst_err *err) {
    cst_code code;

    *text = (csti_source_text){.path = path, .end = end, .file = -1};
    code = file_open(text, err);
    if (code == CST_OK && place) code = place_take(text, place, err);
    if (code == CST_OK && text->unended) code = csti_source_text_more(text, err);
    if (code == CST_AGAIN) code = CST_OK;
    if (code != CST_OK) csti_source_text_close(text);
    return code;
}

void csti_source_text_close(csti_source_text *text) {
    if (text->file >= 0) (void)close(text->file);
    text->file = -1;
    free(text->buffer);
    text->buffer = NULL;
}

// ---- Read ---------------------------------------------------------------------------------------

// Some editors put it in front of a file; it says only "UTF-8".
static size_t mark_bytes(const csti_source_text *text) {
    static const char mark[] = {'\xef', '\xbb', '\xbf'};

    if (text->base + text->at > 0 || text->used < sizeof mark) return 0;
    return memcmp(text->buffer, mark, sizeof mark) == 0 ? sizeof mark : 0;
}

static void end_reach(csti_source_text *text) {
    text->ended = true;
    if (text->end == CSTI_FILE_STOPS || text->unended) return;
    if (text->whole == text->used || text->at + mark_bytes(text) == text->used) return;
    text->buffer[text->used] = '\n';
    text->whole = text->used + 1;
}

// Everything before `at` is done. The file's first bytes lie in the buffer while they are wanted.
static void step_to(csti_source_text *text, size_t at) {
    if (text->head_bytes < CSTI_HEAD_BYTES_MAX) {
        const size_t from = text->head_bytes - (size_t)text->base;
        const size_t real = at < text->used ? at : text->used;
        const size_t room = CSTI_HEAD_BYTES_MAX - text->head_bytes;
        const size_t count = real - from < room ? real - from : room;

        memcpy(text->head + text->head_bytes, text->buffer + from, count);
        text->head_bytes += count;
    }
    text->at = at;
}

// A row was made of a line without an end, and that row cannot be taken back.
static cst_code line_end_skip(csti_source_text *text, cst_err *err) {
    const char *first = text->buffer + text->at;
    const size_t count = text->used - text->at;
    const bool cr = count > 0 && first[0] == '\r';

    if (count == (size_t)cr) return CST_OK; // nothing yet, or half of CR LF
    if (first[cr] != '\n')
        return cst_fail(err, CST_SOURCE_CHANGED,
                        "%s: byte %" PRIu64 ": the file's last line ended here, without a line "
                        "end, and was taken as a row; now it goes on. Put a line end there, or "
                        "start the job anew, with follow = true if the file grows.",
                        text->path, consumed(text));
    text->unended = false;
    step_to(text, text->at + cr + 1);
    return CST_OK;
}

cst_code csti_source_text_more(csti_source_text *text, cst_err *err) {
    const char *last;
    size_t count = 0;
    size_t room;
    size_t from;
    cst_code code;

    if (text->ended) return CST_AGAIN;
    if (text->at > 0) {
        memmove(text->buffer, text->buffer + text->at, text->used - text->at);
        text->base += text->at;
        text->used -= text->at;
        text->whole -= text->at < text->whole ? text->at : text->whole;
        text->at = 0;
    }
    if (text->used == CSTI_RECORD_BYTES_MAX)
        return cst_fail(err, CST_SOURCE_RECORD, "a record above %d bytes", CSTI_RECORD_BYTES_MAX);
    code = size_look(text, err);
    if (code == CST_OK) code = head_look(text, err);
    from = text->used;
    room = CSTI_RECORD_BYTES_MAX - from;
    if (room > READ_BYTES) room = READ_BYTES;
    if (code == CST_OK)
        code = file_read(text, text->buffer + from, room, text->base + from, &count, err);
    if (code != CST_OK) return code;
    text->used += count;
    last = memrchr(text->buffer + from, '\n', count);
    if (last) text->whole = (size_t)(last - text->buffer) + 1;
    if (text->unended) code = line_end_skip(text, err);
    if (code != CST_OK) return code;
    if (count < room && text->end != CSTI_FILE_GROWS) end_reach(text);
    if (count > 0 || text->ended) return CST_OK;
    code = name_look(text, err);
    return code == CST_OK ? CST_AGAIN : code;
}

csti_text csti_source_text_lines(const csti_source_text *text) {
    return (csti_text){.at = text->buffer + text->at + mark_bytes(text),
                       .end = text->buffer + text->whole,
                       .lines = text->lines};
}

void csti_source_text_consume(csti_source_text *text, const csti_text *taken) {
    const size_t at = (size_t)(taken->at - text->buffer);

    if (taken->lines == text->lines) return;
    assert(at > text->at);
    assert(at <= text->whole);
    step_to(text, at);
    text->lines = taken->lines;
}

bool csti_source_text_has_lines(const csti_source_text *text) {
    return text->at < text->whole;
}

uint64_t csti_source_text_byte(const csti_source_text *text) {
    return consumed(text);
}

void csti_source_text_place(const csti_source_text *text, csti_file_place *out) {
    *out = (csti_file_place){.device = text->device,
                             .inode = text->inode,
                             .byte = consumed(text),
                             .head = csti_crc32c(0, text->head, text->head_bytes),
                             .line = text->lines,
                             .unended = text->unended || text->at > text->used};
}
