// stored_rows.h: rows between two stages that a checkpoint takes along, since it did not wait for
// them.
//
//   block of a late input ─► put ─► row | row | row ─► object: header, rows      written once
//                                                         │
//   partition ◄── block ◄── fill ◄────────────── open ◄───┘                      behind a restore
//
// Header, 128 bytes, little endian:
//   offset size field
//        0    8 magic "CSTROWS\n"
//        8    4 version
//       12    4 header bytes
//       16    8 table id            as a segment of the partition has these; the epoch is the one
//       24    8 epoch               that they come behind
//       32    8 schema hash
//       40    8 program hash
//       48    8 hash key check
//       56    8 rows
//       64    8 bytes of the rows
//       72    4 bytes of each key; 0: they vary
//       76    2 sources
//       78    2 bit s: source s may be null
//       80   16 types of the sources, 0 behind the last
//       96   24 reserved
//      120    4 CRC32C of the rows
//      124    4 CRC32C of bytes 0 to 123: the object's checksum
//
// Row, 8-byte aligned, in the order in which they came:
//        0    8 hash
//        8    2 key bytes           at least 1
//       10    2 nulls: bit s: source s is null
//       12    4 reserved
//       16      key, values of the sources (of a type without a fixed width: nothing), zeros to 8
//
// Promises   rows of an input keep their order. What was opened is whole: checksums, lengths, and
//            the hash of every key.
// Thread     one.
// Ring       1.
// Owner      the caller of open frees it; it refers to the bytes.
// Errors     put: ALIGN_LIMIT, NO_MEMORY: nothing of the block. open: SEGMENT_MAGIC, _VERSION,
//            _TRUNCATED, _CHECKSUM, _RECORD, _IDENTITY, _SCHEMA, _HASH_KEY, as of a segment, naming
//            object and offset.
#ifndef CST_STREAM_STORED_ROWS_H
#define CST_STREAM_STORED_ROWS_H

#include "base/buffer.h"
#include "stream/message.h"

#include <constellation/segment.h>

enum { CSTI_STORED_VERSION = 1, CSTI_STORED_HEADER_BYTES = 128, CSTI_STORED_ROW_BYTES = 16 };

// ---- Kept, until their checkpoint has them ------------------------------------------------------

typedef struct csti_stored_rows {
    csti_buffer bytes; // of the rows
    uint64_t rows_count;
    uint64_t rows_max;             // 0: no bound but bytes_max
    const csti_block_shape *shape; // of the blocks
} csti_stored_rows;

void csti_stored_begin(csti_stored_rows *rows, const csti_block_shape *shape, uint64_t rows_max,
                       uint64_t bytes_max);
CST_CHECK_RESULT cst_code csti_stored_put(csti_stored_rows *rows, const csti_block *block,
                                          cst_err *err);
void csti_stored_end(csti_stored_rows *rows); // frees them; all zeros is allowed

// ---- An object ----------------------------------------------------------------------------------

// What an object under a name has to be; `checksum` 0 is not compared.
typedef struct csti_stored_expect {
    uint64_t table_id, epoch, schema_hash, program_hash;
    const cst_hash_key *hash_key;
    uint32_t group_from, group_to; // key groups of its partition
    uint32_t checksum;
    uint64_t rows_count, bytes; // of all of it
} csti_stored_expect;

// The header of what is kept. Returns the object's checksum.
uint32_t csti_stored_head(const csti_stored_rows *rows, const csti_stored_expect *identity,
                          uint8_t out[CSTI_STORED_HEADER_BYTES]);

typedef struct csti_stored_reader {
    const char *name;
    const uint8_t *bytes; // of the rows
    uint64_t count, at;
    uint32_t key_bytes, key_bytes_max; // the longest there is
    uint32_t sources_count;
    uint32_t nullable;
    uint8_t types[CSTI_BLOCK_SOURCES_MAX];
    uint32_t checksum;
    uint64_t rows_count;
} csti_stored_reader;

// Reads and checks all of it.
CST_CHECK_RESULT cst_code csti_stored_open(const char *name, const void *bytes, size_t count,
                                           const csti_stored_expect *expect,
                                           csti_stored_reader *out, cst_err *err);
// Whether its rows fit such blocks. SEGMENT_SCHEMA.
CST_CHECK_RESULT cst_code csti_stored_fits(const csti_stored_reader *reader,
                                           const csti_block_shape *shape, cst_err *err);
// Moves its next rows into an empty block, as many as there is room for. False: none is left.
bool csti_stored_fill(csti_stored_reader *reader, csti_block *block);

#endif
