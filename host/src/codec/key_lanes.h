// key_lanes.h: keys of many rows at once; the one text of the 32- and the 64-byte encoder.
//
//   transform   a column of values, back to back, to a column of key parts, back to back
//   pair8       two columns of 8 bytes to keys of 16: a0 b0 a1 b1 ...
//   escape      one string or binary value, a vector of bytes at a time up to the next 00
//
// A file defines KEY_VECTOR (32 or 64 bytes) and KEY_NAME(x), and includes this once. Written in
// vector extensions, so that the 64-byte text also runs where there is no AVX-512.
//
// Promises   equal to csti_key_put, value for value; escape equal to the reference.
// Ring       0.
#ifndef KEY_VECTOR
#error "define KEY_VECTOR and KEY_NAME first"
#endif

#include <immintrin.h>

#include "codec/dispatch.h"
#include "codec/key_transform.h"

// All functions with vector arguments are inlined, so there is no ABI to agree on. The warning
// comes when the including file ends: it is not switched on again.
#pragma GCC diagnostic ignored "-Wpsabi"

#define KEY_INLINE static inline __attribute__((always_inline))

typedef uint8_t key_octets __attribute__((vector_size(KEY_VECTOR)));
typedef uint32_t key_words4 __attribute__((vector_size(KEY_VECTOR)));
typedef uint64_t key_words8 __attribute__((vector_size(KEY_VECTOR)));
typedef int32_t key_signed4 __attribute__((vector_size(KEY_VECTOR)));
typedef int64_t key_signed8 __attribute__((vector_size(KEY_VECTOR)));

#define KEY_TURN2(b) (b) + 1, (b)
#define KEY_TURN4(b) (b) + 3, (b) + 2, (b) + 1, (b)
#define KEY_TURN8(b) KEY_TURN4((b) + 4), KEY_TURN4(b)
#define KEY_TURN16(b) KEY_TURN8((b) + 8), KEY_TURN8(b)
#define KEY_IN16_2(b)                                                                              \
    KEY_TURN2(b), KEY_TURN2((b) + 2), KEY_TURN2((b) + 4), KEY_TURN2((b) + 6), KEY_TURN2((b) + 8),  \
        KEY_TURN2((b) + 10), KEY_TURN2((b) + 12), KEY_TURN2((b) + 14)
#define KEY_IN16_4(b) KEY_TURN4(b), KEY_TURN4((b) + 4), KEY_TURN4((b) + 8), KEY_TURN4((b) + 12)
#define KEY_IN16_8(b) KEY_TURN8(b), KEY_TURN8((b) + 8)
#define KEY_UP4(b) (b), (b) + 1, (b) + 2, (b) + 3
#define KEY_UP16(b) KEY_UP4(b), KEY_UP4((b) + 4), KEY_UP4((b) + 8), KEY_UP4((b) + 12)
#if KEY_VECTOR == 32
#define KEY_PLACES ((key_octets){KEY_UP16(0), KEY_UP16(16)})
#define KEY_TURN(x, in16) __builtin_shufflevector(x, x, in16(0), in16(16))
#else
#define KEY_PLACES ((key_octets){KEY_UP16(0), KEY_UP16(16), KEY_UP16(32), KEY_UP16(48)})
#define KEY_TURN(x, in16) __builtin_shufflevector(x, x, in16(0), in16(16), in16(32), in16(48))
#endif

KEY_INLINE key_octets key_load(const uint8_t *bytes) {
    key_octets v;
    memcpy(&v, bytes, sizeof v);
    return v;
}

KEY_INLINE void key_store(uint8_t *bytes, key_octets v) {
    memcpy(bytes, &v, sizeof v);
}

// head at every `width` bytes, a power of two; rest between. An array would do, but gcc 12 loads it
// as if it were aligned to 64 bytes, which it is not in the frames that AddressSanitizer makes
// (gcc's bug 110027).
KEY_INLINE key_octets key_mask(uint8_t head, uint8_t rest, uint8_t width) {
    const key_octets zero = {0};
    const key_octets is_head = (key_octets)((KEY_PLACES & (zero + (uint8_t)(width - 1))) == zero);

    return ((zero + head) & is_head) | ((zero + rest) & ~is_head);
}

KEY_INLINE key_octets key_order_f64(key_octets octets) {
    const key_words8 zero = {0};
    const key_words8 sign = zero + CSTI_F64_SIGN;
    key_words8 x = (key_words8)octets;
    const key_words8 size = x & ~sign;
    const key_words8 is_nan =
        (key_words8)((key_signed8)size > (key_signed8)(zero + CSTI_F64_INFINITY));
    const key_words8 is_zero = (key_words8)(size == zero);

    x = (x & ~is_nan & ~is_zero) | (is_nan & (zero + CSTI_F64_NAN));
    const key_words8 is_negative = (key_words8)((key_signed8)x < (key_signed8)zero);
    return (key_octets)(x ^ (is_negative | sign));
}

KEY_INLINE key_octets key_order_f32(key_octets octets) {
    const key_words4 zero = {0};
    const key_words4 sign = zero + CSTI_F32_SIGN;
    key_words4 x = (key_words4)octets;
    const key_words4 size = x & ~sign;
    const key_words4 is_nan =
        (key_words4)((key_signed4)size > (key_signed4)(zero + CSTI_F32_INFINITY));
    const key_words4 is_zero = (key_words4)(size == zero);

    x = (x & ~is_nan & ~is_zero) | (is_nan & (zero + CSTI_F32_NAN));
    const key_words4 is_negative = (key_words4)((key_signed4)x < (key_signed4)zero);
    return (key_octets)(x ^ (is_negative | sign));
}

KEY_INLINE key_octets key_turn(key_octets x, csti_key_kind kind) {
    switch (kind) {
    case CSTI_KEY_SWAP2:
        return KEY_TURN(x, KEY_IN16_2);
    case CSTI_KEY_SWAP4:
        return KEY_TURN(x, KEY_IN16_4);
    case CSTI_KEY_SWAP8:
        return KEY_TURN(x, KEY_IN16_8);
    case CSTI_KEY_SWAP16:
        return KEY_TURN(x, KEY_TURN16);
    case CSTI_KEY_F32:
        x = key_order_f32(x);
        return KEY_TURN(x, KEY_IN16_4);
    case CSTI_KEY_F64:
        x = key_order_f64(x);
        return KEY_TURN(x, KEY_IN16_8);
    default:
        return x;
    }
}

// `kind` is a constant where this is inlined, so each kind gets a loop of its own.
KEY_INLINE void key_column(csti_key_kind kind, uint8_t width, const csti_key_plan *plan,
                           const uint8_t *values, size_t count, uint8_t *out) {
    const key_octets mask =
        key_mask(kind == CSTI_KEY_BYTES ? plan->rest : plan->head, plan->rest, width);
    const size_t bytes = count * plan->width;
    size_t at = 0;

    for (; at + 2 * KEY_VECTOR <= bytes; at += 2 * KEY_VECTOR) {
        const key_octets x = key_load(values + at);
        const key_octets y = key_load(values + at + KEY_VECTOR);
        key_store(out + at, key_turn(x, kind) ^ mask);
        key_store(out + at + KEY_VECTOR, key_turn(y, kind) ^ mask);
    }
    if (kind == CSTI_KEY_BYTES) {
        for (; at < bytes; at++) out[at] = values[at] ^ plan->rest;
    } else {
        for (; at < bytes; at += width) csti_key_put(plan, values + at, out + at);
    }
}

void KEY_NAME(key_transform)(const csti_key_plan *plan, const uint8_t *values, size_t count,
                             uint8_t *out) {
    switch (plan->kind) {
    case CSTI_KEY_BYTES:
        key_column(CSTI_KEY_BYTES, 1, plan, values, count, out);
        break;
    case CSTI_KEY_SWAP2:
        key_column(CSTI_KEY_SWAP2, 2, plan, values, count, out);
        break;
    case CSTI_KEY_SWAP4:
        key_column(CSTI_KEY_SWAP4, 4, plan, values, count, out);
        break;
    case CSTI_KEY_SWAP8:
        key_column(CSTI_KEY_SWAP8, 8, plan, values, count, out);
        break;
    case CSTI_KEY_SWAP16:
        key_column(CSTI_KEY_SWAP16, 16, plan, values, count, out);
        break;
    case CSTI_KEY_F32:
        key_column(CSTI_KEY_F32, 4, plan, values, count, out);
        break;
    case CSTI_KEY_F64:
        key_column(CSTI_KEY_F64, 8, plan, values, count, out);
        break;
    case CSTI_KEY_VARIABLE:
        break; // has an escape, not a transform
    }
}

#if KEY_VECTOR == 32
#define KEY_PAIR_LOW(a, b) __builtin_shufflevector(a, b, 0, 4, 1, 5)
#define KEY_PAIR_HIGH(a, b) __builtin_shufflevector(a, b, 2, 6, 3, 7)
#else
#define KEY_PAIR_LOW(a, b) __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
#define KEY_PAIR_HIGH(a, b) __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15)
#endif

void KEY_NAME(key_pair8)(const csti_key_plan *plans, const uint8_t *a, const uint8_t *b,
                         size_t count, uint8_t *out) {
    const key_words8 mask_a = (key_words8)key_mask(plans[0].head, plans[0].rest, 8);
    const key_words8 mask_b = (key_words8)key_mask(plans[1].head, plans[1].rest, 8);
    const size_t rows_step = KEY_VECTOR / 8;
    size_t row = 0;

    for (; row + rows_step <= count; row += rows_step) {
        const key_octets ox = key_load(a + 8 * row);
        const key_octets oy = key_load(b + 8 * row);
        const key_words8 x = (key_words8)KEY_TURN(ox, KEY_IN16_8) ^ mask_a;
        const key_words8 y = (key_words8)KEY_TURN(oy, KEY_IN16_8) ^ mask_b;
        key_store(out + 16 * row, (key_octets)KEY_PAIR_LOW(x, y));
        key_store(out + 16 * row + KEY_VECTOR, (key_octets)KEY_PAIR_HIGH(x, y));
    }
    for (; row < count; row++) {
        csti_key_put(&plans[0], a + 8 * row, out + 16 * row);
        csti_key_put(&plans[1], b + 8 * row, out + 16 * row + 8);
    }
}

// Bit i: byte i is 00.
KEY_INLINE uint64_t key_zeros(key_octets x) {
#if KEY_VECTOR == 32 && defined(__AVX2__)
    const __m256i v = (__m256i)x;
    return (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(v, _mm256_setzero_si256()));
#elif KEY_VECTOR == 64 && defined(__AVX512BW__)
    return _mm512_testn_epi8_mask((__m512i)x, (__m512i)x);
#else
    uint64_t zeros = 0;
    for (uint32_t i = 0; i < KEY_VECTOR; i++) zeros |= (uint64_t)(x[i] == 0) << i;
    return zeros;
#endif
}

uint8_t *KEY_NAME(key_escape)(uint8_t complement, const uint8_t *value, size_t count,
                              size_t readable, uint8_t *key, const uint8_t *key_end) {
    const key_octets mask = (key_octets){0} + complement;
    size_t at = 0;

    // A whole vector is moved though fewer bytes may be wanted: what is too much is written over.
    while (at < count && readable - at >= KEY_VECTOR && (size_t)(key_end - key) >= KEY_VECTOR) {
        const key_octets x = key_load(value + at);
        const uint64_t zeros = key_zeros(x);
        const size_t clean = zeros ? (size_t)__builtin_ctzll(zeros) : KEY_VECTOR;
        key_store(key, x ^ mask);
        if (clean >= count - at) { // what follows is not this value's
            key += count - at;
            return csti_key_escape_end(complement, key);
        }
        key += clean;
        at += clean;
        if (clean == KEY_VECTOR) continue;
        *key++ = CSTI_KEY_ESCAPE ^ complement;
        *key++ = CSTI_KEY_ZERO ^ complement;
        at++;
    }
    key = csti_key_escape_some(complement, value + at, count - at, key);
    return csti_key_escape_end(complement, key);
}
