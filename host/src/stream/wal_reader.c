#include "stream/wal_internal.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>

struct csti_wal_reader {
    csti_wal *wal;
    uint64_t position; // of the record that comes next
    uint64_t end;      // of the file, as it was known when it was opened
    bool chooses;
    uint16_t kind;
    csti_wal_cursor cursor;
};

// The file that holds the next record, at that record.
static cst_code file_open(csti_wal_reader *reader, cst_err *err) {
    csti_wal_part part;
    cst_code code;

    if (!csti_wal_part_find(reader->wal, reader->position, &part))
        return cst_fail(err, CST_WAL_GAP, "%s: record %" PRIu64 " is not there any more",
                        reader->wal->folder.path, reader->position);
    csti_wal_cursor_close(&reader->cursor);
    code = csti_wal_cursor_open(&reader->wal->folder, part.name, &reader->cursor, err);
    if (code != CST_OK) reader->cursor.fd = -1;
    reader->end = part.end;
    reader->cursor.chooses = reader->chooses;
    reader->cursor.kind = reader->kind;
    // What is read ahead of the writer is zeros.
    if (code == CST_OK && part.end == CSTI_WAL_NO_END)
        (void)posix_fadvise(reader->cursor.fd, 0, 0, POSIX_FADV_RANDOM);
    return code;
}

// Marks and records before it are passed. NOT_FOUND: the file ends.
static cst_code record_read(csti_wal_reader *reader, csti_wal_record *out, cst_err *err) {
    cst_code code;

    do code = csti_wal_cursor_next(&reader->cursor, out, err);
    while (code == CST_OK && out->position < reader->position);
    return code;
}

cst_code csti_wal_reader_open(csti_wal *wal, uint64_t from, csti_wal_reader **out, cst_err *err) {
    csti_wal_reader *reader = calloc(1, sizeof *reader);
    cst_code code;

    if (!reader) return cst_fail(err, CST_NO_MEMORY, "a reader of %s", wal->folder.path);
    *reader = (csti_wal_reader){.wal = wal, .position = from, .cursor = {.fd = -1}};
    code = file_open(reader, err);
    if (code != CST_OK) {
        csti_wal_reader_close(reader);
        return code;
    }
    *out = reader;
    return CST_OK;
}

void csti_wal_reader_choose(csti_wal_reader *reader, uint16_t kind) {
    reader->chooses = reader->cursor.chooses = true;
    reader->kind = reader->cursor.kind = kind;
}

cst_code csti_wal_reader_next(csti_wal_reader *reader, csti_wal_record *out, cst_err *err) {
    cst_code code = CST_OK;

    if (reader->position >= csti_wal_written(reader->wal)) return CST_AGAIN;
    if (reader->cursor.fd < 0 || reader->position >= reader->end) code = file_open(reader, err);
    if (code == CST_OK) code = record_read(reader, out, err);
    if (code == CST_NOT_FOUND) { // the writer has gone on to another file since
        code = file_open(reader, err);
        if (code == CST_OK) code = record_read(reader, out, err);
    }
    if (code == CST_NOT_FOUND)
        return csti_wal_cursor_fail(&reader->cursor, CST_WAL_CORRUPT, reader->cursor.why, err);
    if (code == CST_OK) reader->position++;
    return code;
}

uint64_t csti_wal_reader_position(const csti_wal_reader *reader) {
    return reader->position;
}

void csti_wal_reader_close(csti_wal_reader *reader) {
    if (!reader) return;
    csti_wal_cursor_close(&reader->cursor);
    free(reader);
}
