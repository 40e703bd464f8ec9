// siphash_lanes.h: SipHash-1-3 of several keys at once; the one text of the 4- and the 8-lane hash.
//
//   lane        0    1    2    3          two groups in flight, so that the
//   group a   row 0 row 1 row 2 row 3     latency of one is hidden by the other
//   group b   row 4 row 5 row 6 row 7
//
//   v0..v3 of a group are four vectors; word w of every lane's key is gathered into one vector.
//
// A file defines SIP_LANES (4 or 8) and SIP_NAME(x), and includes this once. It is written in
// vector extensions, so the 8-lane text also runs, split in two, where the processor has no
// AVX-512: that is how the tests reach it there.
//
// Promises   equal to csti_siphash13 for every length; reads no byte outside the buffer of keys.
// Ring       0.
#ifndef SIP_LANES
#error "define SIP_LANES and SIP_NAME first"
#endif

#include "codec/siphash.h"

// All functions with vector arguments are inlined, so there is no ABI to agree on. The warning
// comes when the including file ends: it is not switched on again.
#pragma GCC diagnostic ignored "-Wpsabi"

#define SIP_INLINE static inline __attribute__((always_inline))
#define SIP_GROUP_ROWS ((size_t)SIP_LANES)
#define SIP_BLOCK_ROWS (2 * SIP_GROUP_ROWS)

typedef uint64_t sip_vector __attribute__((vector_size(8 * SIP_LANES)));
typedef int64_t sip_signed __attribute__((vector_size(8 * SIP_LANES)));
typedef uint8_t sip_octets __attribute__((vector_size(8 * SIP_LANES)));
typedef uint32_t sip_halves __attribute__((vector_size(8 * SIP_LANES)));

typedef struct sip_state {
    sip_vector v0, v1, v2, v3;
} sip_state;

#if SIP_LANES == 4
#define SIP_ALL(x)                                                                                 \
    { (x), (x), (x), (x) }
#define SIP_EACH(f)                                                                                \
    { f(0), f(1), f(2), f(3) }
#else
#define SIP_ALL(x)                                                                                 \
    { (x), (x), (x), (x), (x), (x), (x), (x) }
#define SIP_EACH(f)                                                                                \
    { f(0), f(1), f(2), f(3), f(4), f(5), f(6), f(7) }
#endif

SIP_INLINE sip_vector sip_rotate(sip_vector x, int bits) {
    return (x << bits) | (x >> (64 - bits));
}

// AVX2 has no rotate: by 16 and 32 one byte shuffle is cheaper than two shifts and an or.
// AVX-512 has one, and compilers find it in the shifts.
#if SIP_LANES == 4
#define SIP_TURN16(b) b + 6, b + 7, b, b + 1, b + 2, b + 3, b + 4, b + 5
SIP_INLINE sip_vector sip_rotate16(sip_vector x) {
    const sip_octets o = (sip_octets)x;
    return (sip_vector)__builtin_shufflevector(o, o, SIP_TURN16(0), SIP_TURN16(8), SIP_TURN16(16),
                                               SIP_TURN16(24));
}
SIP_INLINE sip_vector sip_rotate32(sip_vector x) {
    const sip_halves h = (sip_halves)x;
    return (sip_vector)__builtin_shufflevector(h, h, 1, 0, 3, 2, 5, 4, 7, 6);
}
#else
SIP_INLINE sip_vector sip_rotate16(sip_vector x) {
    return sip_rotate(x, 16);
}
SIP_INLINE sip_vector sip_rotate32(sip_vector x) {
    return sip_rotate(x, 32);
}
#endif

SIP_INLINE void sip_round(sip_state *s) {
    s->v0 += s->v1;
    s->v1 = sip_rotate(s->v1, 13) ^ s->v0;
    s->v0 = sip_rotate32(s->v0);
    s->v2 += s->v3;
    s->v3 = sip_rotate16(s->v3) ^ s->v2;
    s->v0 += s->v3;
    s->v3 = sip_rotate(s->v3, 21) ^ s->v0;
    s->v2 += s->v1;
    s->v1 = sip_rotate(s->v1, 17) ^ s->v2;
    s->v2 = sip_rotate32(s->v2);
}

SIP_INLINE sip_state sip_begin(const cst_hash_key *key) {
    const csti_siphash s = csti_siphash_begin(key);
    return (sip_state){SIP_ALL(s.v0), SIP_ALL(s.v1), SIP_ALL(s.v2), SIP_ALL(s.v3)};
}

SIP_INLINE void sip_word(sip_state *s, sip_vector word) {
    s->v3 ^= word;
    sip_round(s);
    s->v0 ^= word;
}

SIP_INLINE sip_vector sip_end(sip_state *s) {
    s->v2 ^= (sip_vector)SIP_ALL(0xff);
    sip_round(s);
    sip_round(s);
    sip_round(s);
    return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

SIP_INLINE void sip_store(uint64_t *out, sip_vector hashes) {
    memcpy(out, &hashes, sizeof hashes);
}

SIP_INLINE sip_vector sip_load(const uint8_t *bytes) {
    sip_vector v;
    memcpy(&v, bytes, sizeof v);
    return v;
}

// Word `at` of each lane's key, keys `stride` apart.
SIP_INLINE sip_vector sip_gather(const uint8_t *keys, size_t stride, size_t at) {
#define SIP_LOAD_LANE(lane) csti_siphash_load(keys + (lane)*stride + at)
    return (sip_vector)SIP_EACH(SIP_LOAD_LANE);
#undef SIP_LOAD_LANE
}

SIP_INLINE sip_vector sip_gather_last(const uint8_t *keys, size_t stride, size_t key_bytes) {
#define SIP_LAST_LANE(lane) csti_siphash_last_word(keys + (lane)*stride, key_bytes)
    return (sip_vector)SIP_EACH(SIP_LAST_LANE);
#undef SIP_LAST_LANE
}

// 16-byte keys back to back: two loads hold a group, and two shuffles that stay inside 128 bits
// part first from second words. Lanes then lie in the order 0 2 1 3 (0 4 1 5 2 6 3 7), which is put
// right once, in the result.
#if SIP_LANES == 4
#define SIP_FIRST_WORDS(x, y) __builtin_shufflevector(x, y, 0, 4, 2, 6)
#define SIP_SECOND_WORDS(x, y) __builtin_shufflevector(x, y, 1, 5, 3, 7)
#define SIP_IN_ORDER(h) __builtin_shufflevector(h, h, 0, 2, 1, 3)
#else
#define SIP_FIRST_WORDS(x, y) __builtin_shufflevector(x, y, 0, 8, 2, 10, 4, 12, 6, 14)
#define SIP_SECOND_WORDS(x, y) __builtin_shufflevector(x, y, 1, 9, 3, 11, 5, 13, 7, 15)
#define SIP_IN_ORDER(h) __builtin_shufflevector(h, h, 0, 2, 4, 6, 1, 3, 5, 7)
#endif

static size_t sip_packed16(const cst_hash_key *key, const uint8_t *keys, size_t rows,
                           uint64_t *hashes_out) {
    const sip_vector last = SIP_ALL(UINT64_C(16) << 56);
    const sip_state begin = sip_begin(key);
    size_t row = 0;

    for (; row + SIP_BLOCK_ROWS <= rows; row += SIP_BLOCK_ROWS) {
        const uint8_t *at = keys + 16 * row;
        const sip_vector ax = sip_load(at);
        const sip_vector ay = sip_load(at + sizeof(sip_vector));
        const sip_vector bx = sip_load(at + 2 * sizeof(sip_vector));
        const sip_vector by = sip_load(at + 3 * sizeof(sip_vector));
        sip_state a = begin;
        sip_state b = begin;
        sip_word(&a, SIP_FIRST_WORDS(ax, ay));
        sip_word(&b, SIP_FIRST_WORDS(bx, by));
        sip_word(&a, SIP_SECOND_WORDS(ax, ay));
        sip_word(&b, SIP_SECOND_WORDS(bx, by));
        sip_word(&a, last);
        sip_word(&b, last);
        const sip_vector hash_a = sip_end(&a);
        const sip_vector hash_b = sip_end(&b);
        sip_store(hashes_out + row, SIP_IN_ORDER(hash_a));
        sip_store(hashes_out + row + SIP_GROUP_ROWS, SIP_IN_ORDER(hash_b));
    }
    return row;
}

static size_t sip_packed8(const cst_hash_key *key, const uint8_t *keys, size_t rows,
                          uint64_t *hashes_out) {
    const sip_vector last = SIP_ALL(UINT64_C(8) << 56);
    const sip_state begin = sip_begin(key);
    size_t row = 0;

    for (; row + SIP_BLOCK_ROWS <= rows; row += SIP_BLOCK_ROWS) {
        const uint8_t *at = keys + 8 * row;
        sip_state a = begin;
        sip_state b = begin;
        sip_word(&a, sip_load(at));
        sip_word(&b, sip_load(at + sizeof(sip_vector)));
        sip_word(&a, last);
        sip_word(&b, last);
        sip_store(hashes_out + row, sip_end(&a));
        sip_store(hashes_out + row + SIP_GROUP_ROWS, sip_end(&b));
    }
    return row;
}

static size_t sip_strided(const cst_hash_key *key, const uint8_t *keys, size_t key_bytes,
                          size_t stride, size_t rows, uint64_t *hashes_out) {
    const sip_state begin = sip_begin(key);
    size_t row = 0;

    for (; row + SIP_BLOCK_ROWS <= rows; row += SIP_BLOCK_ROWS) {
        const uint8_t *group_a = keys + row * stride;
        const uint8_t *group_b = group_a + SIP_GROUP_ROWS * stride;
        sip_state a = begin;
        sip_state b = begin;
        for (size_t at = 0; at + 8 <= key_bytes; at += 8) {
            sip_word(&a, sip_gather(group_a, stride, at));
            sip_word(&b, sip_gather(group_b, stride, at));
        }
        sip_word(&a, sip_gather_last(group_a, stride, key_bytes));
        sip_word(&b, sip_gather_last(group_b, stride, key_bytes));
        sip_store(hashes_out + row, sip_end(&a));
        sip_store(hashes_out + row + SIP_GROUP_ROWS, sip_end(&b));
    }
    return row;
}

void SIP_NAME(hash_fixed)(const cst_hash_key *key, const uint8_t *keys, size_t key_bytes,
                          size_t stride, size_t rows, uint64_t *hashes_out) {
    size_t row;

    if (key_bytes == 16 && stride == 16)
        row = sip_packed16(key, keys, rows, hashes_out);
    else if (key_bytes == 8 && stride == 8)
        row = sip_packed8(key, keys, rows, hashes_out);
    else
        row = sip_strided(key, keys, key_bytes, stride, rows, hashes_out);
    for (; row < rows; row++) hashes_out[row] = csti_siphash13(key, keys + row * stride, key_bytes);
}

// Rows of uneven length. Each lane's words: full ones, then the last, which is loaded whole (its
// tail belongs to the rows behind) and masked.
//
//   bytes       |aaaaaaaa|aaa|bbbbbbbb|bbbbbbbb|b|cc| ...        offsets 0 11 28 30
//   word 1 of lane 0:     aaabbbbb  & mask(3 bytes) | 11 << 56
//
// A lane that has no more words keeps its state until the longest one has finished.
typedef struct sip_rows {
    const uint8_t *bytes[SIP_LANES];
    size_t last[SIP_LANES]; // where the last word starts
    sip_vector last_v;
    sip_vector last_mask;
    sip_vector last_top; // the count in the top byte
} sip_rows;

typedef uint32_t sip_offsets __attribute__((vector_size(4 * SIP_LANES)));

SIP_INLINE sip_vector sip_widen(const uint32_t *offsets) {
    sip_offsets narrow;
    memcpy(&narrow, offsets, sizeof narrow);
    return __builtin_convertvector(narrow, sip_vector);
}

SIP_INLINE void sip_rows_at(sip_rows *rows, const uint8_t *bytes, const uint32_t *offsets) {
    const sip_vector counts = sip_widen(offsets + 1) - sip_widen(offsets);

    for (size_t lane = 0; lane < SIP_LANES; lane++) {
        rows->bytes[lane] = bytes + offsets[lane];
        rows->last[lane] = (offsets[lane + 1] - offsets[lane]) & ~(size_t)7;
    }
    rows->last_v = counts & ~(sip_vector)SIP_ALL(7);
    rows->last_mask = ((sip_vector)SIP_ALL(1) << ((counts & 7) * 8)) - 1;
    rows->last_top = counts << 56;
}

SIP_INLINE sip_vector sip_select(sip_vector mask, sip_vector yes, sip_vector no) {
    return (mask & yes) | (~mask & no);
}

SIP_INLINE void sip_rows_word(sip_state *s, const sip_rows *rows, size_t at) {
#define SIP_LOAD_LANE(lane)                                                                        \
    csti_siphash_load(rows->bytes[lane] + (at < rows->last[lane] ? at : rows->last[lane]))
    const sip_vector loaded = SIP_EACH(SIP_LOAD_LANE);
#undef SIP_LOAD_LANE
    const sip_vector at_v = SIP_ALL(at);
    const sip_vector is_last = (sip_vector)(at_v == rows->last_v);
    const sip_vector is_live = (sip_vector)((sip_signed)at_v <= (sip_signed)rows->last_v);
    const sip_vector last = (loaded & rows->last_mask) | rows->last_top;
    sip_state next = *s;

    sip_word(&next, sip_select(is_last, last, loaded));
    s->v0 = sip_select(is_live, next.v0, s->v0);
    s->v1 = sip_select(is_live, next.v1, s->v1);
    s->v2 = sip_select(is_live, next.v2, s->v2);
    s->v3 = sip_select(is_live, next.v3, s->v3);
}

void SIP_NAME(hash_variable)(const cst_hash_key *key, const uint8_t *bytes, const uint32_t *offsets,
                             size_t rows_count, uint64_t *hashes_out) {
    const sip_state begin = sip_begin(key);
    const uint32_t end = offsets[rows_count];
    size_t row = 0;

    // A last word may be loaded as long as 8 bytes follow its row's end.
    for (; row + SIP_BLOCK_ROWS <= rows_count && offsets[row + SIP_BLOCK_ROWS] + 8u <= end;
         row += SIP_BLOCK_ROWS) {
        size_t last_max = 0;
        size_t last_sum = 0;
        for (size_t lane = 0; lane < SIP_BLOCK_ROWS; lane++) {
            const size_t last = (offsets[row + lane + 1] - offsets[row + lane]) & ~(size_t)7;
            last_sum += last;
            if (last > last_max) last_max = last;
        }
        if (last_max > 64 && 2 * last_sum < SIP_BLOCK_ROWS * last_max) {
            // One long row among short ones: idle lanes would cost more than they save.
            csti_scalar_hash_variable(key, bytes, offsets + row, SIP_BLOCK_ROWS, hashes_out + row);
            continue;
        }
        sip_rows rows_a;
        sip_rows rows_b;
        sip_state a = begin;
        sip_state b = begin;
        sip_rows_at(&rows_a, bytes, offsets + row);
        sip_rows_at(&rows_b, bytes, offsets + row + SIP_GROUP_ROWS);
        for (size_t at = 0; at <= last_max; at += 8) {
            sip_rows_word(&a, &rows_a, at);
            sip_rows_word(&b, &rows_b, at);
        }
        sip_store(hashes_out + row, sip_end(&a));
        sip_store(hashes_out + row + SIP_GROUP_ROWS, sip_end(&b));
    }
    csti_scalar_hash_variable(key, bytes, offsets + row, rows_count - row, hashes_out + row);
}
