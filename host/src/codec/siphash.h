// siphash.h: SipHash-1-3 as its paper writes it, inline; the text every other hash is compared
// with.
//
//   message    b bytes = w words of 8, little-endian, and one last word:
//   last word  the b % 8 bytes left over, zeros, and b % 256 in the top byte
//
//   v0..v3 <- key and constants;  for each word m:  v3 ^= m, 1 round, v0 ^= m
//   v2 ^= ff, 3 rounds,  hash = v0 ^ v1 ^ v2 ^ v3
//
// The fixed-length forms at the end are the same text with the loop unrolled, for single keys.
//
// Promises   equal to the reference for every length.
// Thread     pure functions.
// Ring       0.
#ifndef CST_CODEC_SIPHASH_H
#define CST_CODEC_SIPHASH_H

#include <constellation/hash.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "words are read as they lie in memory");

typedef struct csti_siphash {
    uint64_t v0, v1, v2, v3;
} csti_siphash;

static inline uint64_t csti_siphash_rotate(uint64_t x, unsigned bits) {
    return (x << bits) | (x >> (64 - bits));
}

static inline void csti_siphash_round(csti_siphash *s) {
    s->v0 += s->v1;
    s->v1 = csti_siphash_rotate(s->v1, 13) ^ s->v0;
    s->v0 = csti_siphash_rotate(s->v0, 32);
    s->v2 += s->v3;
    s->v3 = csti_siphash_rotate(s->v3, 16) ^ s->v2;
    s->v0 += s->v3;
    s->v3 = csti_siphash_rotate(s->v3, 21) ^ s->v0;
    s->v2 += s->v1;
    s->v1 = csti_siphash_rotate(s->v1, 17) ^ s->v2;
    s->v2 = csti_siphash_rotate(s->v2, 32);
}

static inline csti_siphash csti_siphash_begin(const cst_hash_key *key) {
    return (csti_siphash){
        .v0 = key->k0 ^ UINT64_C(0x736f6d6570736575), // "somepseudorandomlygeneratedbytes"
        .v1 = key->k1 ^ UINT64_C(0x646f72616e646f6d),
        .v2 = key->k0 ^ UINT64_C(0x6c7967656e657261),
        .v3 = key->k1 ^ UINT64_C(0x7465646279746573),
    };
}

static inline void csti_siphash_word(csti_siphash *s, uint64_t word) {
    s->v3 ^= word;
    csti_siphash_round(s);
    s->v0 ^= word;
}

static inline uint64_t csti_siphash_end(csti_siphash *s) {
    s->v2 ^= 0xff;
    csti_siphash_round(s);
    csti_siphash_round(s);
    csti_siphash_round(s);
    return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

static inline uint64_t csti_siphash_load(const uint8_t *bytes) {
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
    return word;
}

// The last word of a message of `count` bytes. Reads no byte outside it.
static inline uint64_t csti_siphash_last_word(const uint8_t *bytes, size_t count) {
    const size_t left = count % 8;
    uint64_t word = (uint64_t)count << 56;

    if (left == 0) return word;
    // The word that ends with the message holds the bytes left over in its top; count % 256 then
    // takes the place the shift has cleared.
    if (count >= 8) return word | csti_siphash_load(bytes + count - 8) >> (64 - 8 * left);
    for (size_t i = 0; i < left; i++) word |= (uint64_t)bytes[i] << (8 * i);
    return word;
}

static inline uint64_t csti_siphash13(const cst_hash_key *key, const uint8_t *bytes, size_t count) {
    csti_siphash s = csti_siphash_begin(key);

    for (size_t at = 0; at + 8 <= count; at += 8)
        csti_siphash_word(&s, csti_siphash_load(bytes + at));
    csti_siphash_word(&s, csti_siphash_last_word(bytes, count));
    return csti_siphash_end(&s);
}

// Keys of one or two words: a u64, a uuid, two u64.
static inline __attribute__((always_inline)) uint64_t csti_siphash13_8(const cst_hash_key *key,
                                                                       const uint8_t *bytes) {
    csti_siphash s = csti_siphash_begin(key);

    csti_siphash_word(&s, csti_siphash_load(bytes));
    csti_siphash_word(&s, UINT64_C(8) << 56);
    return csti_siphash_end(&s);
}

static inline __attribute__((always_inline)) uint64_t csti_siphash13_16(const cst_hash_key *key,
                                                                        const uint8_t *bytes) {
    csti_siphash s = csti_siphash_begin(key);

    csti_siphash_word(&s, csti_siphash_load(bytes));
    csti_siphash_word(&s, csti_siphash_load(bytes + 8));
    csti_siphash_word(&s, UINT64_C(16) << 56);
    return csti_siphash_end(&s);
}

#endif
