// wal_cursor.h: one file of the write-ahead log, read frame by frame.
//
//   | header | mark | r7 | r8 | mark | r9 | ~~~ | 0 0 0 ...
//                               ^ offset, position 9     ^ where next says that nothing follows
//
// Bytes that are in the way are read once more before they are judged: a writer may have come
// further meanwhile.
//
// Promises   what it gives has passed every checksum (of a record of a kind that was not chosen,
//            its head's alone), and its position is the one that comes next. It never gives a
//            frame that begins at or behind a position it was not asked for.
// Thread     one a cursor. The file may be written to.
// Ring       1: reads files.
// Owner      payloads hold until the next call.
// Errors     WAL_CORRUPT, WAL_VERSION, WAL_GAP (no such file), IO, NO_MEMORY: with file and offset.
#ifndef CST_STREAM_WAL_CURSOR_H
#define CST_STREAM_WAL_CURSOR_H

#include "stream/wal_file.h"

typedef struct csti_wal_cursor {
    const csti_wal_folder *folder; // borrowed
    int fd;                        // -1: closed
    char text[CSTI_WAL_NAME_BYTES];
    csti_wal_header header;
    uint64_t position; // of the record that comes next
    uint64_t durable;  // below it, says the newest mark; at least the file's base
    uint64_t offset;   // in the file, of the frame that comes next
    const char *why;   // nothing follows: what stands there instead
    bool is_empty;     // zeros, or the end of the file
    uint8_t *bytes;    // [offset, offset + filled) of the file, from `at` on
    size_t capacity, at, filled;
    bool chooses; // payloads of records of `kind` alone are read; the caller's to set
    uint16_t kind;
} csti_wal_cursor;

// Reads and checks the header. `folder` outlives the cursor.
CST_CHECK_RESULT cst_code csti_wal_cursor_open(const csti_wal_folder *folder, csti_wal_name name,
                                               csti_wal_cursor *out, cst_err *err);
// The same of an open file, which is the cursor's now, whatever comes.
CST_CHECK_RESULT cst_code csti_wal_cursor_take(const csti_wal_folder *folder, csti_wal_name name,
                                               int fd, csti_wal_cursor *out, cst_err *err);
void csti_wal_cursor_close(csti_wal_cursor *cursor);
// The next record; NOT_FOUND, without a text: no valid frame follows, see `why`. Marks are passed.
// The payload of a kind that was not chosen is NULL.
CST_CHECK_RESULT cst_code csti_wal_cursor_next(csti_wal_cursor *cursor, csti_wal_record *out,
                                               cst_err *err);
// Marks that follow; nothing of what stands behind them.
CST_CHECK_RESULT cst_code csti_wal_cursor_marks(csti_wal_cursor *cursor, cst_err *err);

// What lies from `offset` on to the end of the file.
typedef struct csti_wal_rest {
    uint64_t cut_bytes; // up to the last one that is not 0
    uint64_t mark_offset;
    uint64_t mark_durable; // the highest that a valid mark there says; 0: there is none
} csti_wal_rest;
CST_CHECK_RESULT cst_code csti_wal_cursor_rest(csti_wal_cursor *cursor, csti_wal_rest *out,
                                               cst_err *err);
// "{path}: record P, at byte O: WHY" with this code.
cst_code csti_wal_cursor_fail(const csti_wal_cursor *cursor, cst_code code, const char *why,
                              cst_err *err);

#endif
