// wal_format.h: a file of the write-ahead log, byte by byte. docs/formats.md has the pictures.
//
//   0     header, 256 bytes
//   256   frames, each a multiple of 8 bytes; behind the last one zeros, or nothing
//
//   frame  | head, 24 bytes | payload | zeros to a multiple of 8 |
//   a record's payload is its caller's; a mark's says which records were durable when it was
//   written. A group is a mark and the records that were written with it.
//
// A frame's checksum is begun with its file's, which holds a random nonce: bytes that a producer
// chose, or that are left of another file, are no frame. Little endian; reserved bytes are 0 and
// checked.
//
// Promises   what encode made, decode takes, and nothing else passes.
// Thread     pure functions. Ring 1.
// Errors     WAL_CORRUPT, WAL_VERSION. Frames: NULL, or the phrase that says what is wrong.
#ifndef CST_STREAM_WAL_FORMAT_H
#define CST_STREAM_WAL_FORMAT_H

#include "stream/wal.h"

#define CSTI_WAL_MAGIC UINT64_C(0x0a314c4157545343) // "CSTWAL1\n"

enum {
    CSTI_WAL_VERSION = 1,
    CSTI_WAL_HEADER_BYTES = 256,
    CSTI_WAL_HEAD_BYTES = 24,
    CSTI_WAL_MARK_BYTES = CSTI_WAL_HEAD_BYTES + 8,
    CSTI_WAL_FRAME_ALIGNMENT = 8,
    CSTI_WAL_RECORD = 1, // a frame's type
    CSTI_WAL_MARK = 2,
};

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "structs are the format");

typedef struct csti_wal_header {
    uint64_t magic;
    uint32_t version;
    uint16_t header_bytes;
    uint16_t job_bytes;
    uint64_t nonce;
    uint64_t schema;
    uint64_t incarnation;
    uint64_t tenure;
    uint64_t base;           // position of its first record: where the file it follows ends
    uint64_t follows_tenure; // 0: it follows none
    uint64_t follows_base;
    uint8_t reserved0[52];
    char job[CSTI_WAL_JOB_BYTES_MAX]; // zeros behind
    uint32_t crc32c;                  // of the 252 bytes before
} csti_wal_header;
_Static_assert(sizeof(csti_wal_header) == CSTI_WAL_HEADER_BYTES, "header");
_Static_assert(offsetof(csti_wal_header, job_bytes) == 14, "header");
_Static_assert(offsetof(csti_wal_header, tenure) == 40, "header");
_Static_assert(offsetof(csti_wal_header, follows_base) == 64, "header");
_Static_assert(offsetof(csti_wal_header, job) == 124, "header");
_Static_assert(offsetof(csti_wal_header, crc32c) == 252, "header");

typedef struct csti_wal_head {
    uint32_t crc32c; // of the 20 bytes behind, begun with the header's
    uint32_t payload_bytes;
    uint64_t position; // a mark's: of the record that comes next
    uint16_t kind;     // a mark's: 0
    uint8_t type;
    uint8_t reserved0;
    uint32_t payload_crc32c;
} csti_wal_head;
_Static_assert(sizeof(csti_wal_head) == CSTI_WAL_HEAD_BYTES, "head");
_Static_assert(offsetof(csti_wal_head, position) == 8, "head");
_Static_assert(offsetof(csti_wal_head, payload_crc32c) == 20, "head");

static inline uint64_t csti_wal_frame_bytes(uint32_t payload_bytes) {
    const uint64_t bytes = CSTI_WAL_HEAD_BYTES + (uint64_t)payload_bytes;

    return (bytes + CSTI_WAL_FRAME_ALIGNMENT - 1) & ~(uint64_t)(CSTI_WAL_FRAME_ALIGNMENT - 1);
}

// Fills in what follows from the rest: magic, version, lengths, checksum.
void csti_wal_header_seal(csti_wal_header *header);
// `path` is for the error's text.
CST_CHECK_RESULT cst_code csti_wal_header_check(const csti_wal_header *header, const char *path,
                                                cst_err *err);

// Fills in the head's own checksum.
void csti_wal_head_seal(csti_wal_head *head, uint32_t seed);
// A whole mark.
void csti_wal_mark_make(uint64_t position, uint64_t durable, uint32_t seed,
                        uint8_t out[CSTI_WAL_MARK_BYTES]);
// What stands where nothing was written.
bool csti_wal_head_is_zero(const csti_wal_head *head);
// The head alone. NULL: so many bytes of payload may be believed.
const char *csti_wal_head_check(const csti_wal_head *head, uint32_t seed);
// The payload (with the zeros behind it) of a head that was believed.
const char *csti_wal_payload_check(const csti_wal_head *head, const uint8_t *payload);
// Whether these bytes are a mark, and of what.
bool csti_wal_mark_read(const uint8_t bytes[CSTI_WAL_MARK_BYTES], uint32_t seed,
                        uint64_t *position_out, uint64_t *durable_out);

#endif
