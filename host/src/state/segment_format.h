// segment_format.h: a segment, byte by byte. docs/formats.md, Segments, has the pictures.
//
//   0      header, 128 bytes
//   128    body: part 0's records, then part 1's; body_bytes in all, cut in blocks of 64 KiB
//   ...    key groups (ordered fulls): for each part 4097 u64: where each group's records begin
//   ...    block table: a u32 CRC32C for each block; padded with zeros to a multiple of 8
//   ...    footer, 128 bytes
//
// A block's CRC covers {header CRC, block index} and then its bytes: a block in another place, or
// in another segment, does not fit. Little endian; reserved bytes are 0 and checked.
#ifndef CST_STATE_SEGMENT_FORMAT_H
#define CST_STATE_SEGMENT_FORMAT_H

#include <constellation/segment.h>

#define CSTI_SEGMENT_MAGIC UINT64_C(0x0a31474553545343)     // "CSTSEG1\n"
#define CSTI_SEGMENT_END_MAGIC UINT64_C(0x0a31444e45545343) // "CSTEND1\n"

enum {
    CSTI_SEGMENT_VERSION = 1,
    CSTI_SEGMENT_HEADER_BYTES = 128,
    CSTI_SEGMENT_FOOTER_BYTES = 128,
    CSTI_GROUPS_ENTRIES = CST_KEY_GROUPS_COUNT + 1,
    CSTI_GROUPS_BYTES = CSTI_GROUPS_ENTRIES * 8, // of one part
};
#define CSTI_SEGMENT_BODY_BYTES_MAX ((uint64_t)1 << 47)

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "structs are the format");

typedef struct csti_segment_part_head {
    uint32_t layout;
    uint32_t key_bytes;
    uint32_t value_bytes;
    uint32_t record_bytes; // inline: of every row and tombstone; wide: 0
} csti_segment_part_head;

typedef struct csti_segment_header {
    uint64_t magic;
    uint32_t version;
    uint16_t header_bytes;
    uint8_t kind;
    uint8_t parts_count;
    uint32_t block_bytes;
    uint32_t base_checksum;
    uint64_t table_id;
    uint64_t epoch_from;
    uint64_t epoch_to;
    uint64_t base_epoch;
    uint64_t schema_hash;
    uint64_t program_hash;
    uint64_t hash_key_check;
    uint32_t tip_checksum;
    uint32_t reserved0;
    csti_segment_part_head parts[CST_SEGMENT_PARTS_MAX];
    uint32_t reserved1;
    uint32_t crc32c; // of the 124 bytes before
} csti_segment_header;
_Static_assert(sizeof(csti_segment_header) == CSTI_SEGMENT_HEADER_BYTES, "header");
_Static_assert(offsetof(csti_segment_header, kind) == 14, "header");
_Static_assert(offsetof(csti_segment_header, block_bytes) == 16, "header");
_Static_assert(offsetof(csti_segment_header, table_id) == 24, "header");
_Static_assert(offsetof(csti_segment_header, base_epoch) == 48, "header");
_Static_assert(offsetof(csti_segment_header, hash_key_check) == 72, "header");
_Static_assert(offsetof(csti_segment_header, parts) == 88, "header");
_Static_assert(offsetof(csti_segment_header, crc32c) == 124, "header");

typedef struct csti_segment_part_foot {
    uint64_t bytes;
    uint64_t rows;
    uint64_t tombstones;
} csti_segment_part_foot;

typedef struct csti_segment_footer {
    uint32_t header_crc32c;
    uint32_t groups_crc32c; // 0 without key groups
    uint32_t blocks_crc32c; // of the block table, its padding included
    uint32_t reserved0;
    uint64_t segment_bytes;
    uint64_t body_bytes;
    uint64_t blocks_count;
    csti_segment_part_foot parts[CST_SEGMENT_PARTS_MAX];
    uint8_t reserved1[28];
    uint32_t checksum; // CRC32C of the 116 bytes before
    uint64_t end_magic;
} csti_segment_footer;
_Static_assert(sizeof(csti_segment_footer) == CSTI_SEGMENT_FOOTER_BYTES, "footer");
_Static_assert(offsetof(csti_segment_footer, segment_bytes) == 16, "footer");
_Static_assert(offsetof(csti_segment_footer, parts) == 40, "footer");
_Static_assert(offsetof(csti_segment_footer, checksum) == 116, "footer");
_Static_assert(offsetof(csti_segment_footer, end_magic) == 120, "footer");

// What a block's CRC begins with.
typedef struct csti_block_seed {
    uint32_t header_crc32c;
    uint32_t index;
} csti_block_seed;
_Static_assert(sizeof(csti_block_seed) == 8, "block seed");

static inline uint64_t csti_blocks_count(uint64_t body_bytes) {
    return (body_bytes + CST_SEGMENT_BLOCK_BYTES - 1) / CST_SEGMENT_BLOCK_BYTES;
}

static inline uint64_t csti_block_table_bytes(uint64_t blocks_count) {
    return (blocks_count * 4 + 7) & ~UINT64_C(7);
}

static inline uint64_t csti_segment_bytes(cst_segment_kind kind, uint32_t parts_count,
                                          uint64_t body_bytes) {
    const uint64_t groups_bytes =
        kind == CST_SEGMENT_FULL_ORDERED ? (uint64_t)parts_count * CSTI_GROUPS_BYTES : 0;

    return CSTI_SEGMENT_HEADER_BYTES + body_bytes + groups_bytes +
           csti_block_table_bytes(csti_blocks_count(body_bytes)) + CSTI_SEGMENT_FOOTER_BYTES;
}

#endif
