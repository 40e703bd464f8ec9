// dispatch.h: the codec's inner loops, once for each instruction set, and which one to take.
//
//   csti_codec_best() --> { scalar | avx2 | avx512 } --> hash_fixed, hash_variable, ...
//
// The public functions take the best one. Tests and `cpu:scalar|avx2|avx512` name theirs.
//
// Promises   every set gives the same bits; a set the processor lacks is never returned.
// Thread     constant tables.
// Ring       0.
#ifndef CST_CODEC_DISPATCH_H
#define CST_CODEC_DISPATCH_H

#include <constellation/hash.h>

typedef enum csti_codec_isa {
    CSTI_CODEC_SCALAR,
    CSTI_CODEC_AVX2,
    CSTI_CODEC_AVX512,
    CSTI_CODEC_ISA_COUNT,
} csti_codec_isa;

typedef struct csti_codec {
    const char *name;
    void (*hash_fixed)(const cst_hash_key *key, const uint8_t *keys, size_t key_bytes,
                       size_t stride, size_t rows, uint64_t *hashes_out);
    void (*hash_variable)(const cst_hash_key *key, const uint8_t *bytes, const uint32_t *offsets,
                          size_t rows_count, uint64_t *hashes_out);
} csti_codec;

const csti_codec *csti_codec_best(void);
// NULL if this processor cannot run it.
const csti_codec *csti_codec_for(csti_codec_isa isa);

#define CSTI_CODEC_DECLARE(set)                                                                    \
    void csti_##set##_hash_fixed(const cst_hash_key *key, const uint8_t *keys, size_t key_bytes,   \
                                 size_t stride, size_t rows, uint64_t *hashes_out);                \
    void csti_##set##_hash_variable(const cst_hash_key *key, const uint8_t *bytes,                 \
                                    const uint32_t *offsets, size_t rows_count,                    \
                                    uint64_t *hashes_out);
CSTI_CODEC_DECLARE(scalar)
CSTI_CODEC_DECLARE(avx2)
CSTI_CODEC_DECLARE(avx512)
#undef CSTI_CODEC_DECLARE

#endif
