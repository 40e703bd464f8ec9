// dispatch.h: the codec's inner loops, once for each instruction set, and which one to take.
//
//   csti_codec_best() --> { scalar | avx2 | avx512 } --> hash_*, key_*
//
// The public functions take the best one. Tests and `cpu:scalar|avx2|avx512` name theirs.
//
// Promises   every set gives the same bits; a set the processor lacks is never returned.
// Thread     constant tables; what the processor has is asked for once, by whoever comes first.
// Ring       0.
#ifndef CST_CODEC_DISPATCH_H
#define CST_CODEC_DISPATCH_H

#include <constellation/hash.h>

#include "base/cpu.h"
#include "codec/key_transform.h"

typedef struct csti_codec {
    const char *name;
    void (*hash_fixed)(const cst_hash_key *key, const uint8_t *keys, size_t key_bytes,
                       size_t stride, size_t rows, uint64_t *hashes_out);
    void (*hash_variable)(const cst_hash_key *key, const uint8_t *bytes, const uint32_t *offsets,
                          size_t rows_count, uint64_t *hashes_out);
    // `count` values of a fixed-width column, back to back, to key parts, back to back.
    void (*key_transform)(const csti_key_plan *plan, const uint8_t *values, size_t count,
                          uint8_t *out);
    // Two columns of CSTI_KEY_SWAP8 to keys of 16 bytes.
    void (*key_pair8)(const csti_key_plan *plans, const uint8_t *a, const uint8_t *b, size_t count,
                      uint8_t *out);
    // One value and its terminator; returns the key's new end. `readable` bytes lie at value, at
    // least 2 * count + 2 at key; bytes between the new end and key_end may be overwritten.
    uint8_t *(*key_escape)(uint8_t complement, const uint8_t *value, size_t count, size_t readable,
                           uint8_t *key, const uint8_t *key_end);
} csti_codec;

const csti_codec *csti_codec_best(void);
// NULL if this processor cannot run it.
const csti_codec *csti_codec_for(csti_cpu_level level);

#define CSTI_CODEC_DECLARE(set)                                                                    \
    void csti_##set##_hash_fixed(const cst_hash_key *key, const uint8_t *keys, size_t key_bytes,   \
                                 size_t stride, size_t rows, uint64_t *hashes_out);                \
    void csti_##set##_hash_variable(const cst_hash_key *key, const uint8_t *bytes,                 \
                                    const uint32_t *offsets, size_t rows_count,                    \
                                    uint64_t *hashes_out);                                         \
    void csti_##set##_key_transform(const csti_key_plan *plan, const uint8_t *values,              \
                                    size_t count, uint8_t *out);                                   \
    void csti_##set##_key_pair8(const csti_key_plan *plans, const uint8_t *a, const uint8_t *b,    \
                                size_t count, uint8_t *out);                                       \
    uint8_t *csti_##set##_key_escape(uint8_t complement, const uint8_t *value, size_t count,       \
                                     size_t readable, uint8_t *key, const uint8_t *key_end);
CSTI_CODEC_DECLARE(scalar)
CSTI_CODEC_DECLARE(avx2)
CSTI_CODEC_DECLARE(avx512)
#undef CSTI_CODEC_DECLARE

// The parts of an escape that every set shares.
uint8_t *csti_key_escape_some(uint8_t complement, const uint8_t *value, size_t count, uint8_t *key);
uint8_t *csti_key_escape_end(uint8_t complement, uint8_t *key);

#endif
