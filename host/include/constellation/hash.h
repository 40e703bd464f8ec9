// hash.h: SipHash-1-3, 64 bits out, 128-bit key: adversarial rows must not degrade a table.
//
// Promises   the same bits as the reference for every length, on every back end and lane width.
// Thread     pure functions. Ring 0.
#ifndef CONSTELLATION_HASH_H
#define CONSTELLATION_HASH_H

#include <constellation/error.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

// k0, k1 as the SipHash paper has them: bytes 0-7 and 8-15 of the key, little-endian.
typedef struct cst_hash_key {
    uint64_t k0, k1;
} cst_hash_key;

CST_API uint64_t cst_hash(const cst_hash_key *key, const void *bytes, size_t count);

// `rows` keys of `key_bytes` each, `stride` bytes apart; the best lanes this processor has.
CST_API void cst_hash_fixed(const cst_hash_key *key, const uint8_t *keys, size_t key_bytes,
                            size_t stride, size_t rows, uint64_t *hashes_out);

// Row r is bytes[offsets[r]..offsets[r + 1]). No byte outside those of all rows is read.
CST_API void cst_hash_variable(const cst_hash_key *key, const uint8_t *bytes,
                               const uint32_t *offsets, size_t rows, uint64_t *hashes_out);

// The top 12 bits: which of the 4096 key groups a row belongs to.
static inline uint32_t cst_key_group(uint64_t hash) {
#ifdef __cplusplus
    return static_cast<uint32_t>(hash >> 52);
#else
    return (uint32_t)(hash >> 52);
#endif
}

#ifdef __cplusplus
}
#endif
#endif
