// batch_read.h: how a batch's buffers are read. Buffers may lie at any address.
//
// Needs      a batch that passed cst_batch_check, or a caller that has checked what it reads.
// Ring       0.
#ifndef CST_CODEC_BATCH_READ_H
#define CST_CODEC_BATCH_READ_H

#include <constellation/batch.h>
#include <string.h>

static inline bool csti_row_is_valid(const cst_buffer *validity, uint32_t row) {
    const uint8_t *bits = validity->data;
    return validity->bytes == 0 || (bits[row / 8] >> (row % 8) & 1) != 0;
}

static inline uint32_t csti_offset_at(const cst_buffer *offsets, uint32_t row) {
    uint32_t offset;
    memcpy(&offset, (const uint8_t *)offsets->data + 4 * (size_t)row, sizeof offset);
    return offset;
}

#endif
