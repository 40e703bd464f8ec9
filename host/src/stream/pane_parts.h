// pane_parts.h: the rows of a block, parted: those of a part side by side.
//
//   slots   0 1 0 - 1 0      ──►   part 0: rows 0 2 5, part 1: rows 1 4; row 3 is in none
//
// Promises   rows of a part keep their order.
// Thread     its partition's.
// Ring       1: a counting sort, and a copy of what a row brings.
// Owner      parts are borrowed until the next cut.
// Errors     NO_MEMORY of open.
#ifndef CST_STREAM_PANE_PARTS_H
#define CST_STREAM_PANE_PARTS_H

#include "stream/message.h"

enum { CSTI_PART_NONE = UINT16_MAX };

// Each part's rows begin at a multiple of 8, for their bits.
typedef struct csti_pane_parts {
    csti_block_shape shape;
    uint32_t parts_max;
    uint32_t rows_capacity;
    uint16_t *slots; // of each row of the block: the caller's to fill
    uint32_t *order;
    uint8_t *keys;
    uint32_t *key_offsets;
    uint64_t *hashes;
    uint8_t *ops;
    void *values[CSTI_BLOCK_SOURCES_MAX];
    uint8_t *validity[CSTI_BLOCK_SOURCES_MAX];
    cst_source *sources; // of each part, sources_count apart
    uint32_t *starts;    // of each part
    uint32_t keys_used;
} csti_pane_parts;

CST_CHECK_RESULT cst_code csti_pane_parts_open(csti_pane_parts *parts,
                                               const csti_block_shape *shape, uint32_t parts_max,
                                               cst_err *err);
void csti_pane_parts_close(csti_pane_parts *parts);
// Begins the next cut. `counts`: how many rows each part has.
void csti_pane_parts_order(csti_pane_parts *parts, const cst_rows *rows, const uint32_t *counts,
                           uint32_t parts_count);
// Each part in turn, from the first on.
cst_rows csti_pane_parts_take(csti_pane_parts *parts, const cst_rows *rows, uint32_t part,
                              uint32_t count);

static inline cst_bytes csti_key_at(const cst_rows *rows, uint32_t row) {
    if (!rows->key_offsets)
        return (cst_bytes){rows->keys + (size_t)row * rows->key_stride, rows->key_bytes};
    return (cst_bytes){rows->keys + rows->key_offsets[row],
                       rows->key_offsets[row + 1] - rows->key_offsets[row]};
}

#endif
