// image.h: the table image, byte by byte. docs/formats.md says the same in prose and pictures.
//
//   control block   4 KiB: shape, counters, free lists
//   directory       rows of 32 bytes, 2^depth of them, one a hash suffix
//   index           chunks of 8 control lines (512 bytes)
//   slots           chunks of 128 entries
//   log             segments of change records, and a map from log offset to segment
//   slab            wide tables: blocks of size classes
//
//   hash  63      52 51        36 35          22 21          0
//        +----------+------------+--------------+-------------+
//        | key group|    tag     |   bucket     |  directory  |
//        +----------+------------+--------------+-------------+
//
//   directory[hash mod 2^depth] ──► {chunks: 4..7, chunk ids}      a segment: 32..56 buckets
//       bucket 1 = bucket bits * buckets / 2^14
//       bucket 2 = an other one, its lowest bit opposite             16 slots a bucket
//            └──► control line {16 tags, occupied, overflow filter}
//                      └──► slot {hash, change, key, value}
//                                      └──► log record of the open epoch, or none
//
// Every position is an offset or an index: the image means the same at any address.
// Little endian. Reserved bytes are 0 and checked.
#ifndef CST_TABLE_IMAGE_H
#define CST_TABLE_IMAGE_H

#include <assert.h>
#include <constellation/table.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
    CSTI_IMAGE_VERSION = 1,
    CSTI_BUCKET_SLOTS = 16,
    CSTI_FIRST_UNTIL = 14, // a row goes to its first bucket while that holds fewer
    CSTI_CHUNK_BUCKETS = 8,
    CSTI_CHUNK_SLOTS = CSTI_CHUNK_BUCKETS * CSTI_BUCKET_SLOTS,
    CSTI_SEGMENT_CHUNKS_MIN = 4, // a split leaves two segments of at least this
    CSTI_SEGMENT_CHUNKS_MAX = 7, // beyond it a segment splits
    CSTI_SEGMENT_SLOTS_MAX = CSTI_SEGMENT_CHUNKS_MAX * CSTI_CHUNK_SLOTS,
    CSTI_DIRECTORY_DEPTH_MAX = 22,
    CSTI_BUCKET_BITS = 14,
    CSTI_TAG_SHIFT = 36,
    CSTI_CHUNKS_FREE_MAX = 16, // GROW frees at most 7 and takes at least 5
    CSTI_EXTEND_ROWS = 1024,   // directory rows copied ahead by one GROW
    CSTI_LOG_UNIT = 32,
    CSTI_LOG_LINE = 1024, // no record up to this long crosses a multiple of it
    CSTI_SLAB_CLASSES = 40,
};

typedef struct csti_directory_row {
    uint8_t depth;  // hash bits that all rows of this segment share
    uint8_t chunks; // 4 to 7
    uint16_t reserved;
    uint32_t chunk[CSTI_SEGMENT_CHUNKS_MAX]; // ids; those past `chunks` are 0
} csti_directory_row;
_Static_assert(sizeof(csti_directory_row) == 32, "a directory row is 32 bytes");

typedef struct csti_control_line {
    uint16_t tag[CSTI_BUCKET_SLOTS]; // 0 where not occupied
    uint16_t occupied;               // bit i: slot i
    uint16_t reserved16;
    uint32_t reserved32[3];
    uint64_t overflow[2]; // bit (tag mod 128): a row of this first bucket went to its second
} csti_control_line;
_Static_assert(sizeof(csti_control_line) == 64, "a control line is one cache line");
_Static_assert(offsetof(csti_control_line, overflow) == 48, "the filter ends the line");

// The first 16 bytes of a slot; key area (key_bytes rounded up to 8) and value follow (inline).
typedef struct csti_entry {
    uint64_t hash;
    uint64_t change; // bits 8..63: log offset / 32 of its newest record; bits 0..7: key length
} csti_entry;
_Static_assert(sizeof(csti_entry) == 16, "an entry's head is 16 bytes");

// A wide table's whole slot.
typedef struct csti_wide_entry {
    uint64_t hash;
    uint64_t change; // bits 0..7 are 0
    uint64_t block;  // slab offset: key, padded to 8, then value
    uint16_t key_bytes;
    uint8_t block_class;
    uint8_t reserved;
    uint32_t value_bytes;
} csti_wide_entry;
_Static_assert(sizeof(csti_wide_entry) == 32, "a wide entry is 32 bytes");

#define CSTI_RECORD_PRESENT (UINT32_C(1) << 31) // a row follows
#define CSTI_RECORD_TOMBSTONE (UINT32_C(1) << 30)
#define CSTI_RECORD_GAP (UINT32_C(1) << 29) // nothing: zeros up to the record's end
#define CSTI_RECORD_VALUE_MASK ((UINT32_C(1) << 24) - 1)
#define CSTI_RECORD_FLAGS (CSTI_RECORD_PRESENT | CSTI_RECORD_TOMBSTONE | CSTI_RECORD_GAP)

// In the segments of windowed jobs, which write these themselves (stream/panes.h): a tombstone may
// bring the value that its row had at last, and a gap with a key is a row that no table took.
// Whoever reads state passes over both values.

// The head of a change record. Exactly one of PRESENT, TOMBSTONE, GAP is set.
// Inline tables: every row's record has the slot's width, so key and value stand where they stand
// in the slot. Wide: key, padded to 8, then value, padded to 32.
typedef struct csti_record {
    uint64_t hash;
    uint16_t key_bytes;
    uint16_t units;       // whole record, in units of 32 bytes
    uint32_t value_flags; // bits 0..23 value bytes, 29..31 flags, the rest 0
} csti_record;
_Static_assert(sizeof(csti_record) == 16, "a record's head is 16 bytes");

// All of a head but its hash, as one word: equal words, equal lengths and flags.
static inline uint64_t csti_record_kind(const uint8_t *record) {
    uint64_t kind;

    memcpy(&kind, record + offsetof(csti_record, key_bytes), sizeof kind);
    return kind;
}

enum { CSTI_CONTROL_BYTES = 4096 };
#define CSTI_IMAGE_MAGIC UINT64_C(0x314c425454534321) // "!CSTTBL1"

typedef struct csti_control {
    uint64_t magic;
    uint32_t version;
    uint32_t layout;
    uint32_t key_bytes;
    uint32_t value_bytes;
    uint32_t entry_bytes; // 32-byte classes
    uint32_t log_segment_bytes;
    uint64_t hash_key_check; // cst_hash of the 16 bytes "constellation-hk" under the key
    cst_program program;

    uint64_t rows_count;
    uint64_t grows_count;
    uint64_t splits_count;
    uint64_t segments_count;

    uint32_t directory_depth;
    uint32_t directory_rows;  // 2^depth, or more while the next doubling is copied ahead
    uint32_t depth_max;       // deepest segment
    uint32_t chunks_frontier; // chunks ever taken
    uint32_t chunks_free_count;
    uint32_t chunks_free[CSTI_CHUNKS_FREE_MAX]; // a stack

    uint32_t log_segments_frontier; // log segments ever taken
    uint32_t log_free_first;        // ring of free ones: next to take
    uint32_t log_free_count;
    uint64_t epoch;       // the open one, from 1
    uint64_t epoch_first; // log offset where it begins
    uint64_t log_tail;
    uint64_t log_floor; // first offset not released

    uint64_t slab_frontier;
    uint64_t slab_free[CSTI_SLAB_CLASSES]; // first free block + 1, 0: none
} csti_control;
_Static_assert(sizeof(csti_control) <= CSTI_CONTROL_BYTES, "the control block is one page");

// ---- What a hash says ---------------------------------------------------------------------------

static inline uint32_t csti_hash_tag(uint64_t hash) {
    return (uint32_t)(hash >> CSTI_TAG_SHIFT) & 0xffff;
}

static inline uint32_t csti_hash_bucket_first(uint64_t hash, uint32_t buckets) {
    const uint32_t bits =
        (uint32_t)(hash >> CSTI_DIRECTORY_DEPTH_MAX) & ((1u << CSTI_BUCKET_BITS) - 1);

    return bits * buckets >> CSTI_BUCKET_BITS;
}

// The tag's top bits choose the pair, the first bucket's lowest bit the member.
static inline uint32_t csti_hash_bucket_second(uint64_t hash, uint32_t buckets, uint32_t first) {
    const uint32_t pair = csti_hash_tag(hash) * (buckets / 2) >> 16;

    return pair * 2 + (~first & 1);
}

static inline uint32_t csti_entry_bytes(cst_table_layout layout, uint32_t key_bytes,
                                        uint32_t value_bytes) {
    if (layout == CST_TABLE_WIDE) return (uint32_t)sizeof(csti_wide_entry);
    return (16 + ((key_bytes + 7) & ~7u) + value_bytes + 31) & ~31u;
}

#endif
