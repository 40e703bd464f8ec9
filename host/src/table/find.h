// find.h: from a hash to the slot that holds its row, or to the one that would.
//
// Ring 0, inline: the batched and the single paths are made of these few steps.
#ifndef CST_TABLE_FIND_H
#define CST_TABLE_FIND_H

#include "table/internal.h"

#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define CSTI_LINE_BYTES 64u
#define CSTI_INLINE static inline __attribute__((always_inline))

// A table's widths. Paths for common tables pass constants, so that copies and compares unroll.
typedef struct csti_widths {
    uint32_t key;          // longest key
    uint32_t value_offset; // 16 + key area
    uint32_t value;
    uint32_t entry;
} csti_widths;

CSTI_INLINE csti_widths csti_table_widths(const cst_table *table) {
    return (csti_widths){table->key_bytes, table->value_offset, table->value_bytes,
                         table->entry_bytes};
}

// Two u64 or a uuid with eight accumulators; one u64 with four.
static const csti_widths CSTI_WIDTHS_16_64 = {16, 32, 64, 96};
static const csti_widths CSTI_WIDTHS_8_32 = {8, 24, 32, 64};

CSTI_INLINE bool csti_widths_equal(csti_widths a, csti_widths b) {
    return a.key == b.key && a.value == b.value; // the others follow
}

// A key as a caller gives it.
typedef struct csti_key {
    uint64_t hash;
    const uint8_t *bytes;
    uint32_t count;
} csti_key;

CSTI_INLINE csti_key csti_row_key(const cst_rows *rows, uint32_t row, uint32_t key_bytes,
                                  uint64_t hash) {
    if (!rows->key_offsets)
        return (csti_key){hash, rows->keys + (size_t)row * rows->key_stride, key_bytes};
    const uint32_t from = rows->key_offsets[row];
    return (csti_key){hash, rows->keys + from, rows->key_offsets[row + 1] - from};
}

// Where a row is. `line == NULL`: nowhere.
typedef struct csti_place {
    csti_control_line *line;
    csti_entry *entry;
    uint32_t slot;
} csti_place;

// Occupied slots whose tag is `tag`, a bit each.
CSTI_INLINE uint32_t csti_line_match(const csti_control_line *line, uint32_t tag) {
#ifdef __SSE2__
    const __m128i want = _mm_set1_epi16((short)tag);
    const __m128i low = _mm_cmpeq_epi16(_mm_load_si128((const __m128i *)line->tag), want);
    const __m128i high = _mm_cmpeq_epi16(_mm_load_si128((const __m128i *)(line->tag + 8)), want);

    return (uint32_t)_mm_movemask_epi8(_mm_packs_epi16(low, high)) & line->occupied;
#else
    uint32_t match = 0;

    for (uint32_t slot = 0; slot < CSTI_BUCKET_SLOTS; slot++)
        match |= (uint32_t)(line->tag[slot] == tag) << slot;
    return match & line->occupied;
#endif
}

// How many slots are occupied. In line: the baseline processor has no such instruction.
CSTI_INLINE uint32_t csti_line_count(const csti_control_line *line) {
    uint32_t bits = line->occupied;

    bits -= bits >> 1 & 0x5555;
    bits = (bits & 0x3333) + (bits >> 2 & 0x3333);
    bits = (bits + (bits >> 4)) & 0x0f0f;
    return (bits + (bits >> 8)) & 0x1f;
}

CSTI_INLINE bool csti_line_overflowed(const csti_control_line *line, uint32_t tag) {
    return line->overflow[tag >> 6 & 1] >> (tag & 63) & 1;
}

CSTI_INLINE void csti_line_set_overflow(csti_control_line *line, uint32_t tag) {
    line->overflow[tag >> 6 & 1] |= UINT64_C(1) << (tag & 63);
}

CSTI_INLINE bool csti_bytes_equal(const uint8_t *a, const uint8_t *b, uint32_t count) {
    uint64_t a0, a1, b0, b1;

    if (count == 16) { // the common widths without a call
        memcpy(&a0, a, 8), memcpy(&a1, a + 8, 8);
        memcpy(&b0, b, 8), memcpy(&b1, b + 8, 8);
        return ((a0 ^ b0) | (a1 ^ b1)) == 0;
    }
    if (count == 8) {
        memcpy(&a0, a, 8), memcpy(&b0, b, 8);
        return a0 == b0;
    }
    return memcmp(a, b, count) == 0;
}

CSTI_INLINE uint8_t *csti_wide_key(const cst_table *table, const csti_wide_entry *entry) {
    return table->slab + entry->block;
}

CSTI_INLINE uint8_t *csti_wide_value(const cst_table *table, const csti_wide_entry *entry) {
    return table->slab + entry->block + ((entry->key_bytes + 7u) & ~7u);
}

CSTI_INLINE bool csti_entry_holds(const cst_table *table, const csti_entry *entry,
                                  const csti_key *key, bool wide) {
    if (entry->hash != key->hash) return false;
    if (wide) {
        const csti_wide_entry *row = (const csti_wide_entry *)entry;

        return row->key_bytes == key->count &&
               csti_bytes_equal(csti_wide_key(table, row), key->bytes, key->count);
    }
    return (entry->change & 0xff) == key->count &&
           csti_bytes_equal((const uint8_t *)(entry + 1), key->bytes, key->count);
}

CSTI_INLINE csti_place csti_bucket_search(const cst_table *table, csti_control_line *line,
                                          csti_entry *slots, const csti_key *key, bool wide) {
    uint32_t match = csti_line_match(line, csti_hash_tag(key->hash));

    for (; match; match &= match - 1) {
        const uint32_t slot = (uint32_t)__builtin_ctz(match);
        csti_entry *entry = csti_slot(table, slots, slot);

        if (csti_entry_holds(table, entry, key, wide)) return (csti_place){line, entry, slot};
    }
    return (csti_place){0};
}

CSTI_INLINE csti_place csti_find(const cst_table *table, const csti_directory_row *row,
                                 const csti_key *key, bool wide) {
    const uint32_t buckets = row->chunks * (uint32_t)CSTI_CHUNK_BUCKETS;
    const uint32_t first = csti_hash_bucket_first(key->hash, buckets);
    csti_control_line *line = csti_bucket_line(table, row, first);
    csti_place place =
        csti_bucket_search(table, line, csti_bucket_slots(table, row, first), key, wide);

    if (place.line || !csti_line_overflowed(line, csti_hash_tag(key->hash))) return place;
    const uint32_t second = csti_hash_bucket_second(key->hash, buckets, first);
    return csti_bucket_search(table, csti_bucket_line(table, row, second),
                              csti_bucket_slots(table, row, second), key, wide);
}

// Which of a row's two buckets a new row goes to, by how full they are.
CSTI_INLINE bool csti_goes_second(uint32_t first_count, uint32_t second_count) {
    return first_count >= CSTI_FIRST_UNTIL && second_count < first_count;
}

// A free slot for a row that is in neither bucket; `line == NULL`: there is none.
// *first_line_out is the first bucket's: its filter must learn of a row that went to the second.
CSTI_INLINE csti_place csti_find_free(const cst_table *table, const csti_directory_row *row,
                                      uint64_t hash, csti_control_line **first_line_out) {
    const uint32_t buckets = row->chunks * (uint32_t)CSTI_CHUNK_BUCKETS;
    uint32_t bucket = csti_hash_bucket_first(hash, buckets);
    csti_control_line *line = csti_bucket_line(table, row, bucket);
    uint32_t count = csti_line_count(line);

    *first_line_out = line;
    if (count >= CSTI_FIRST_UNTIL) {
        const uint32_t second = csti_hash_bucket_second(hash, buckets, bucket);
        csti_control_line *second_line = csti_bucket_line(table, row, second);
        const uint32_t second_count = csti_line_count(second_line);

        if (csti_goes_second(count, second_count)) {
            bucket = second;
            line = second_line;
            count = second_count;
        }
        if (count == CSTI_BUCKET_SLOTS) return (csti_place){0};
    }
    const uint32_t slot = (uint32_t)__builtin_ctz(~(uint32_t)line->occupied);
    return (csti_place){line, csti_slot(table, csti_bucket_slots(table, row, bucket), slot), slot};
}

CSTI_INLINE void csti_place_occupy(const csti_place *place, uint64_t hash,
                                   csti_control_line *first_line) {
    const uint32_t tag = csti_hash_tag(hash);

    if (place->line != first_line) csti_line_set_overflow(first_line, tag);
    place->line->tag[place->slot] = (uint16_t)tag;
    place->line->occupied = (uint16_t)(place->line->occupied | 1u << place->slot);
}

CSTI_INLINE void csti_place_vacate(const cst_table *table, const csti_place *place) {
    memset(place->entry, 0, table->entry_bytes);
    place->line->tag[place->slot] = 0;
    place->line->occupied = (uint16_t)(place->line->occupied & ~(1u << place->slot));
}

#endif
