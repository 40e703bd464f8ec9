// record.h: change records as segments hold them: where one ends, and whether it keeps the rules.
//
//   | head 16 | key, zeros to 8 | value | zeros to 32 |      table/image.h: csti_record
//
// Promises   csti_record_check lets no reader leave the bytes it was given.
// Thread     pure functions. Ring 0.
#ifndef CST_STATE_RECORD_H
#define CST_STATE_RECORD_H

#include "state/segment_format.h"
#include "table/image.h"

#include <string.h>

typedef struct csti_record_shape {
    uint32_t layout;
    uint32_t key_bytes;    // longest
    uint32_t value_bytes;  // inline
    uint32_t record_bytes; // inline
} csti_record_shape;

typedef struct csti_record_counts {
    uint64_t rows;
    uint64_t tombstones;
} csti_record_counts;

static inline csti_record_shape csti_record_shape_of(const cst_segment_part *part) {
    const bool wide = part->layout == CST_TABLE_WIDE;

    return (csti_record_shape){
        .layout = part->layout,
        .key_bytes = wide ? CST_WIDE_KEY_BYTES_MAX : part->key_bytes,
        .value_bytes = wide ? CST_WIDE_VALUE_BYTES_MAX : part->value_bytes,
        .record_bytes =
            wide ? 0 : csti_entry_bytes(CST_TABLE_INLINE, part->key_bytes, part->value_bytes),
    };
}

static inline csti_record csti_record_head(const uint8_t *record) {
    csti_record head;

    memcpy(&head, record, sizeof head); // segments in memory may lie at any address
    return head;
}

static inline uint32_t csti_record_bytes(csti_record head) {
    return (uint32_t)head.units * CSTI_LOG_UNIT;
}

// A row that no table took: whoever reads state passes over it, as over any gap.
static inline bool csti_record_is_aside(csti_record head) {
    return (head.value_flags & CSTI_RECORD_GAP) != 0 && head.key_bytes != 0;
}

// From the record's start to its value.
static inline uint32_t csti_record_value_offset(const csti_record_shape *shape, csti_record head) {
    const uint32_t key_bytes = shape->layout == CST_TABLE_WIDE ? head.key_bytes : shape->key_bytes;

    return (uint32_t)sizeof(csti_record) + ((key_bytes + 7) & ~7u);
}

static inline uint32_t csti_record_value_bytes(csti_record head) {
    return head.value_flags & CSTI_RECORD_VALUE_MASK;
}

typedef enum csti_record_state {
    CSTI_RECORD_GOOD,
    CSTI_RECORD_CUT, // begins well, but ends behind the bytes there are
    CSTI_RECORD_BAD,
} csti_record_state;

// One record at the start of `count` bytes. *why_out: a phrase for BAD, unchanged otherwise.
csti_record_state csti_record_check(const csti_record_shape *shape, const uint8_t *bytes,
                                    size_t count, const char **why_out);

// Whole good records from the start of `count` bytes; returns their bytes. *why_out: NULL if it
// ended at a cut record or at the end of the bytes, else why the next record is bad.
size_t csti_records_walk(const csti_record_shape *shape, const uint8_t *bytes, size_t count,
                         csti_record_counts *counts, const char **why_out);

// The same row or tombstone as a record of another inline shape, whose key has room for its key and
// whose values are as long; `out` is 8-byte aligned. Returns its bytes.
uint32_t csti_record_refit(const csti_record_shape *from, const uint8_t *record,
                           const csti_record_shape *to, uint8_t *out);

// Order of an ordered full: hash, then key as memcmp, shorter first.
int csti_record_key_compare(const uint8_t *record_a, const uint8_t *record_b);

#endif
