// source_text.h: a file's text on its way through one buffer, and whether it is still that file.
//
//   file     |......consumed......|== whole lines ==|= part of one =|......not read yet......
//   buffer                        at               whole           used            capacity
//                                 ^ byte = base + at: what an offset holds
//
// Read with pread: a mapped file that shrinks would end the process. At the end of a file that
// does not grow, a last line without LF gets one in the buffer; it is not part of the file. Its
// place says so (unended): what a later life finds there first must be that line's end.
//
// Promises   what is handed out is whole lines; their bytes were in the file when they were read.
// Thread     one.
// Ring       1.
// Owner      owns buffer and descriptor; borrows `path`.
// Errors     IO, NOT_FOUND, UNSUPPORTED (no regular file); SOURCE_CHANGED: what was, what is, and
//            the size of the gap; or that an unended line goes on; SOURCE_RECORD: a line longer
//            than CSTI_RECORD_BYTES_MAX.
#ifndef CST_STREAM_SOURCE_TEXT_H
#define CST_STREAM_SOURCE_TEXT_H

#include "stream/rows_text.h"

#include <sys/types.h>

enum { CSTI_HEAD_BYTES_MAX = 4096 };

typedef struct csti_file_place {
    uint64_t device, inode;
    uint64_t byte; // consumed
    uint64_t head; // CRC32C of the file's first bytes, at most CSTI_HEAD_BYTES_MAX of the consumed
    uint64_t line; // ends of lines consumed
    bool unended;  // the last of these is still to come
} csti_file_place;

typedef enum csti_file_end {
    CSTI_FILE_IS_WHOLE, // its end ends its last line
    CSTI_FILE_GROWS,    // there may be more at any time
    CSTI_FILE_STOPS,    // it grows, but nobody waits: a last line without LF stays unread
} csti_file_end;

typedef struct csti_source_text {
    const char *path;
    csti_file_end end;
    int file; // -1: none
    uint64_t device, inode;
    uint64_t base; // byte of the file at buffer[0]
    uint64_t size; // of the file, when it was last looked at
    uint64_t lines;
    char *buffer; // CSTI_RECORD_BYTES_MAX and slack
    size_t at, whole, used;
    bool ended;   // read up to its end, and nobody waits for more
    bool unended; // of the place that it was opened at, until its line's end has come
    size_t head_bytes;
    uint8_t head[CSTI_HEAD_BYTES_MAX]; // the first bytes that were consumed
} csti_source_text;

// At the beginning (place NULL), or where an earlier life stopped.
CST_CHECK_RESULT cst_code csti_source_text_open(csti_source_text *text, const char *path,
                                                csti_file_end end, const csti_file_place *place,
                                                cst_err *err);
void csti_source_text_close(csti_source_text *text); // a zeroed one must have file -1

// Reads on: what is not consumed stays, more may follow. AGAIN: there is nothing new; with
// text->ended there never will be. Called with less than CSTI_RECORD_BYTES_MAX left over, or to get
// the rest of a record: SOURCE_RECORD, if the buffer is full of it.
CST_CHECK_RESULT cst_code csti_source_text_more(csti_source_text *text, cst_err *err);
bool csti_source_text_has_lines(const csti_source_text *text); // whole ones, in the buffer
// They, for a parser; what it took is then consumed.
csti_text csti_source_text_lines(const csti_source_text *text);
void csti_source_text_consume(csti_source_text *text, const csti_text *taken);
uint64_t csti_source_text_byte(const csti_source_text *text); // consumed of the file
void csti_source_text_place(const csti_source_text *text, csti_file_place *out);

#endif
