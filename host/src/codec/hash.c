#include "codec/dispatch.h"
#include "codec/siphash.h"

uint64_t cst_hash(const cst_hash_key *key, const void *bytes, size_t count) {
    return csti_siphash13(key, bytes, count);
}

void cst_hash_fixed(const cst_hash_key *key, const uint8_t *keys, size_t key_bytes, size_t stride,
                    size_t rows, uint64_t *hashes_out) {
    csti_codec_best()->hash_fixed(key, keys, key_bytes, stride, rows, hashes_out);
}

void cst_hash_variable(const cst_hash_key *key, const uint8_t *bytes, const uint32_t *offsets,
                       size_t rows, uint64_t *hashes_out) {
    csti_codec_best()->hash_variable(key, bytes, offsets, rows, hashes_out);
}

void csti_scalar_hash_fixed(const cst_hash_key *key, const uint8_t *keys, size_t key_bytes,
                            size_t stride, size_t rows, uint64_t *hashes_out) {
    if (key_bytes == 16) {
        for (size_t row = 0; row < rows; row++)
            hashes_out[row] = csti_siphash13_16(key, keys + row * stride);
    } else if (key_bytes == 8) {
        for (size_t row = 0; row < rows; row++)
            hashes_out[row] = csti_siphash13_8(key, keys + row * stride);
    } else {
        for (size_t row = 0; row < rows; row++)
            hashes_out[row] = csti_siphash13(key, keys + row * stride, key_bytes);
    }
}

void csti_scalar_hash_variable(const cst_hash_key *key, const uint8_t *bytes,
                               const uint32_t *offsets, size_t rows_count, uint64_t *hashes_out) {
    for (size_t row = 0; row < rows_count; row++)
        hashes_out[row] =
            csti_siphash13(key, bytes + offsets[row], offsets[row + 1] - offsets[row]);
}
