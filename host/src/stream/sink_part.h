// sink_part.h: one part of a file sink, written whole or found to be there already.
//
//   not there   temporary ◄─ bytes ─► fsync ─► link under its name ─► folder fsync
//   there       compared with the bytes: equal, or SINK
//
// A link never replaces: of two writers of one part the later finds it there, and compares.
//
// Thread     one.
// Ring       2.
// Owner      csti_part_close removes what was not finished.
// Errors     SINK: the part is there with other bytes; IO (a full disk: try again).
#ifndef CST_STREAM_SINK_PART_H
#define CST_STREAM_SINK_PART_H

#include "base/buffer.h"

#include <stdbool.h>

enum { CSTI_PART_NAME_BYTES = 80 };

typedef struct csti_part {
    const char *folder_path; // for errors
    int folder;
    int file; // the temporary, or the part that is there; -1: none
    bool there;
    uint64_t bytes; // so far
    char name[CSTI_PART_NAME_BYTES];
    char temporary[CSTI_PART_NAME_BYTES];
} csti_part;

// `folder` is an open directory; the names are borrowed.
CST_CHECK_RESULT cst_code csti_part_open(int folder, const char *folder_path, const char *name,
                                         const char *temporary, csti_part *out, cst_err *err);
CST_CHECK_RESULT cst_code csti_part_write(csti_part *part, const void *bytes, size_t count,
                                          cst_err *err);
// CST_EXISTS: another writer was first; write all of it again, to compare.
CST_CHECK_RESULT cst_code csti_part_finish(csti_part *part, cst_err *err);
void csti_part_close(csti_part *part);

#endif
