// shared.h: what the host and the kernels agree on. The C compiler and OpenCL's both read it.
//
//   input   [pass | columns, keys, hashes, ops, values, sources, log places]   the host writes
//   work    [result | hashes | keys | order | state | undo | ...]              kernels write
//
// A pass is a command's piece of rows: row 0 is the piece's first, at a multiple of 8 of the
// command's rows. Positions are bytes from the beginning of input or of work.
#ifndef CST_KERNELS_SHARED_H
#define CST_KERNELS_SHARED_H

#ifdef __OPENCL_VERSION__
typedef uchar ocl_u8;
typedef ushort ocl_u16;
typedef uint ocl_u32;
typedef ulong ocl_u64;
typedef long ocl_i64;
#else
#include <stdint.h>
typedef uint8_t ocl_u8;
typedef uint16_t ocl_u16;
typedef uint32_t ocl_u32;
typedef uint64_t ocl_u64;
typedef int64_t ocl_i64;
#endif

enum {
    OCL_COLUMNS_MAX = 16,
    OCL_ACCUMULATORS_MAX = 16,
    OCL_GROUP_ITEMS_MAX = 256, // of a work-group that shares sums
    OCL_SLACK_BYTES = 8,       // behind each part: words are read whole
};
#define OCL_NONE 0xffffffffu
#define OCL_MARK                                                                                   \
    ((ocl_u64)1 << 63) // of a slot's change: bits 8.. are the row that touched it first, by `order`

enum { OCL_ENCODE = 1, OCL_HASH = 2, OCL_APPLY = 4, OCL_LOOKUP = 8, OCL_RESTORE = 16 };

// Where the keys are.
enum {
    OCL_KEYS_STRIDE = 0,  // input, key_stride apart
    OCL_KEYS_OFFSETS = 1, // input, from offset to offset
    OCL_KEYS_ENCODED = 2, // work, key_stride apart
    OCL_KEYS_LOOSE = 3,   // work, at the most that the rows before can have; their lengths beside
    OCL_KEYS_RECORDS = 4, // input: in records of entry_bytes
};

// How a column's value becomes part of a key: codec/key_transform.h, in its order.
enum {
    OCL_KEY_BYTES,
    OCL_KEY_SWAP2,
    OCL_KEY_SWAP4,
    OCL_KEY_SWAP8,
    OCL_KEY_SWAP16,
    OCL_KEY_F32,
    OCL_KEY_F64,
    OCL_KEY_VARIABLE,
};

enum { OCL_LOG_LINE = 1024 }; // no record crosses a multiple of it

#ifdef __OPENCL_VERSION__
#define OCL_INLINE static
#else
#define OCL_INLINE static inline
#endif

// Offset of the n-th record, from 0, behind the tail: all are of `bytes`, at most 512.
OCL_INLINE ocl_u64 ocl_record_offset(ocl_u64 tail, ocl_u32 bytes, ocl_u32 n) {
    const ocl_u32 in_line = (ocl_u32)tail & (OCL_LOG_LINE - 1);
    const ocl_u32 a_line = OCL_LOG_LINE / bytes;
    const ocl_u32 here = in_line == 0 ? 0 : (OCL_LOG_LINE - in_line) / bytes;

    if (n < here) return tail + (ocl_u64)n * bytes;
    n -= here;
    tail = (tail + OCL_LOG_LINE - 1) & ~(ocl_u64)(OCL_LOG_LINE - 1);
    return tail + (ocl_u64)(n / a_line) * OCL_LOG_LINE + (ocl_u64)(n % a_line) * bytes;
}

typedef struct ocl_column {
    ocl_u32 kind, width, head, rest;
    ocl_u32 nullable, null_marker;
    ocl_u32 values, offsets, validity; // positions; OCL_NONE: none
    ocl_u32 base;                      // offset of the first of `values`
} ocl_column;

typedef enum ocl_source_kind {
    OCL_U8,
    OCL_U16,
    OCL_U32,
    OCL_U64,
    OCL_I8,
    OCL_I16,
    OCL_I32,
    OCL_I64,
    OCL_F32,
    OCL_F64,
    OCL_DECIMAL,
} ocl_source_kind;

typedef struct ocl_source {
    ocl_u32 kind, values, validity, reserved;
} ocl_source;

typedef struct ocl_accumulator {
    ocl_u32 op, number, word, source; // cst_accumulate, cst_number; source OCL_NONE: none
} ocl_accumulator;

// What a row did: bits of a byte.
enum {
    OCL_APPEND = 1,      // its key's first change of the epoch
    OCL_REWRITE = 2,     // its key's first of the pass, and not of the epoch
    OCL_PLAIN = 4,       // its key's first of a pass that leaves no records
    OCL_DELETED = 8,     // and its key was deleted in the pass
    OCL_INSERTED = 16,   // the slot was free
    OCL_OVERFLOWED = 32, // and the first bucket's filter had not its bit
};

typedef struct ocl_pass {
    ocl_u32 ops;
    ocl_u32 first, count, limit; // rows [first, limit) are worked on; keys are made of [0, count)
    ocl_u64 k0, k1;

    ocl_u32 keys_mode, keys, key_stride, key_bytes, key_offsets;
    ocl_u32 hashes; // OCL_NONE: not given
    ocl_u32 columns_count, loose_base;
    ocl_u32 row_ops, values, value_stride, sources_count;

    ocl_u32 table_key_bytes, entry_words, value_word, value_bytes;
    ocl_u32 accumulators_count, presence_word, time_offset, log_shift;
    ocl_u32 plain, undo_words; // plain: all are u64 of sources without nulls, and no TTL
    ocl_u64 ttl_us;
    ocl_i64 now_us;
    ocl_u64 directory_mask;

    ocl_u64 epoch_first, log_tail, log_first; // log_first: the segment of the first of log_places
    ocl_u32 log_places, appends_max, appends_code;
    ocl_u32 partitions_bits, tiles, tile_rows;
    ocl_u64 chunk_scale; // of a chunk's number to that of its partition, times 2^32
    ocl_u32 codes[4]; // of a key too long, a table full, a sum's overflow

    ocl_u64 work_hashes, work_keys, work_lengths, work_parts, work_order, work_ordered;
    ocl_u64 work_offsets;
    ocl_u64 work_state, work_places, work_undo, work_counts, work_ends, work_found, work_values;
    ocl_u32 counts_count, scan_slot;
    ocl_u64 scan_bucket, scan_end; // EXPIRE, SCAN: the first bucket, and one behind the last of all
    ocl_u32 scan_buckets, scan_rows_max;

    ocl_accumulator accumulators[OCL_ACCUMULATORS_MAX];
    ocl_source sources[OCL_COLUMNS_MAX];
    ocl_column columns[OCL_COLUMNS_MAX];
} ocl_pass;

// The first bytes of work.
typedef struct ocl_result {
    ocl_u32 stop; // the first row that cannot be; limit: none
    ocl_u32 code;
    ocl_u32 appends;
    ocl_u32 found;
    ocl_i64 rows; // inserted less deleted
    ocl_u64 position;
    ocl_u64 reserved[4];
} ocl_result;

// What became of a partition's rows.
typedef struct ocl_end {
    ocl_u32 row, code; // row: OCL_NONE: none failed
    ocl_i64 rows;
} ocl_end;

#endif
