// s3_piece.h: one range of an object, asked for by itself and checked to be that range.
//
//   start ─► GET, Range, If-Match where the etag is known ─► finish ─► its bytes, or why not
//
// Promises   a good piece is of exactly the range that was asked for, or of its part that lies
//            before the object's end.
// Thread     one a piece.
// Owner      names and `into` are the caller's until the finish; csti_s3_clear(&piece->call) frees
//            what was allocated.
// Errors     of finish: as cst_object_get's.
#ifndef CST_OBJECT_S3_PIECE_H
#define CST_OBJECT_S3_PIECE_H

#include "object/s3_request.h"

enum {
    CSTI_S3_PIECE_BYTES = 8 << 20,
    CSTI_S3_PIECES_MAX = 8, // of one reader, under way: 64 MiB
    CSTI_S3_RANGE_TEXT_BYTES = 64,
};

typedef struct csti_s3_piece {
    csti_s3_call call;
    char range[CSTI_S3_RANGE_TEXT_BYTES];
    char match[CST_OBJECT_ETAG_BYTES + 2];
    uint64_t offset;
    uint64_t bytes;
    bool under_way;
    // The caller's, before the start.
    uint64_t wait_us;     // 0: the store's deadline
    csti_parker *watcher; // woken whenever an answer is there; NULL: nobody
} csti_s3_piece;

// NULL etag: of any version. NULL into: its body is allocated.
void csti_s3_piece_start(csti_s3_store *store, csti_s3_piece *piece, const char *name,
                         uint64_t offset, uint64_t bytes, const char *etag, uint8_t *into);
// *total_out: the object's bytes.
CST_CHECK_RESULT cst_code csti_s3_piece_finish(csti_s3_store *store, csti_s3_piece *piece,
                                               uint64_t *total_out, cst_err *err);

#endif
