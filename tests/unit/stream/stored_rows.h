// stored_rows.h: blocks made by hand, rows kept of them, and the object that they become.
//
//   key city string; sources: rows u64, least nullable date, note nullable string (counted only)
#ifndef CST_TEST_STORED_ROWS_H
#define CST_TEST_STORED_ROWS_H

#include "base/crc32c.h"
#include "stream/stored_rows.h"

#include "test.h"

#include <stdlib.h>

enum { BLOCK_ROWS = 4, BLOCKS = 2, BYTES_MAX = 1 << 20, OBJECT_BYTES_MAX = 1 << 16 };

static const cst_hash_key HASH_KEY = {UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)};

static const csti_block_shape SHAPE = {.rows_capacity = BLOCK_ROWS,
                                       .key_bytes_max = 16,
                                       .sources_count = 3,
                                       .source_types = {CST_TYPE_U64, CST_TYPE_DATE,
                                                        CST_TYPE_STRING},
                                       .source_nullable = {false, true, true}};

// A row: null where `least` is NULL, or `noted` false.
typedef struct stored_row {
    const char *key;
    uint32_t key_bytes;
    uint64_t rows;
    const int32_t *least;
    bool noted;
} stored_row;

static const int32_t BEFORE = -1, LATER = 20000;
// Those of tests/vectors/rows/varied.txt.
static const stored_row ROWS[] = {{"a\0\1", 3, 5, &BEFORE, true},
                                  {"city\0\1", 6, UINT64_MAX, NULL, false},
                                  {"a\0\1", 3, 6, &LATER, false}};
enum { ROWS_COUNT = 3 };

static inline csti_channel *blocks_open(const csti_block_shape *shape) {
    csti_channel *channel = NULL;

    CHECK_OK(csti_channel_open(shape, BLOCKS, -1, &channel, NULL));
    return channel;
}

static inline void bit_put(const uint8_t *validity, uint32_t row, bool there) {
    uint8_t *bits = (uint8_t *)(uintptr_t)validity;
    const uint8_t bit = (uint8_t)(1u << row % 8);

    bits[row / 8] = (uint8_t)(there ? bits[row / 8] | bit : bits[row / 8] & ~bit);
}

static inline void block_put(csti_block *block, const stored_row *row) {
    const uint32_t at = block->rows_count++;
    const uint32_t used = block->key_offsets[at];

    memcpy(block->keys + used, row->key, row->key_bytes);
    block->key_offsets[at + 1] = used + row->key_bytes;
    block->hashes[at] = cst_hash(&HASH_KEY, row->key, row->key_bytes);
    memcpy((uint8_t *)(uintptr_t)block->sources[0].values + at * sizeof row->rows, &row->rows,
           sizeof row->rows);
    if (row->least)
        memcpy((uint8_t *)(uintptr_t)block->sources[1].values + at * sizeof *row->least, row->least,
               sizeof *row->least);
    bit_put(block->sources[1].validity, at, row->least);
    bit_put(block->sources[2].validity, at, row->noted);
}

static inline void check_row(const csti_block *block, uint32_t at, const stored_row *row) {
    const uint32_t from = block->key_offsets[at];
    const bool least_is_there = block->sources[1].validity[at / 8] >> at % 8 & 1;

    CHECK_EQ(block->key_offsets[at + 1] - from, row->key_bytes);
    CHECK_BYTES(block->keys + from, row->key, row->key_bytes);
    CHECK_EQ(block->hashes[at], cst_hash(&HASH_KEY, row->key, row->key_bytes));
    CHECK_EQ(((const uint64_t *)block->sources[0].values)[at], row->rows);
    CHECK_EQ(least_is_there, row->least != NULL);
    if (row->least) CHECK_EQ(((const int32_t *)block->sources[1].values)[at], *row->least);
    CHECK_EQ(block->sources[2].validity[at / 8] >> at % 8 & 1, row->noted);
}

// The rows above, kept.
static inline csti_stored_rows rows_kept(csti_channel *channel) {
    csti_block *block = csti_channel_block(channel);
    csti_stored_rows rows;

    csti_stored_begin(&rows, &SHAPE, 0, BYTES_MAX);
    for (int r = 0; r < ROWS_COUNT; r++) block_put(block, &ROWS[r]);
    CHECK_OK(csti_stored_put(&rows, block, NULL));
    csti_channel_recycle(channel, block);
    return rows;
}

static inline csti_stored_expect expected(const csti_stored_rows *rows, uint32_t checksum) {
    return (csti_stored_expect){.table_id = 0xC0FFEE,
                                .epoch = 7,
                                .schema_hash = 0x5C4E3A,
                                .program_hash = 0x960642,
                                .hash_key = &HASH_KEY,
                                .group_to = 4096,
                                .checksum = checksum,
                                .rows_count = rows->rows_count,
                                .bytes = CSTI_STORED_HEADER_BYTES + rows->bytes.used_bytes};
}

// All of the object, into `out`; how many bytes. *checksum_out is the object's.
static inline size_t object_make(const csti_stored_rows *rows, uint8_t *out,
                                 uint32_t *checksum_out) {
    const csti_stored_expect identity = expected(rows, 0);

    CHECK(CSTI_STORED_HEADER_BYTES + rows->bytes.used_bytes <= OBJECT_BYTES_MAX);
    *checksum_out = csti_stored_head(rows, &identity, out);
    memcpy(out + CSTI_STORED_HEADER_BYTES, rows->bytes.bytes, rows->bytes.used_bytes);
    return CSTI_STORED_HEADER_BYTES + rows->bytes.used_bytes;
}

#endif
