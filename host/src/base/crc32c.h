// crc32c.h: CRC32C (Castagnoli, as in RFC 3720), by the processor's instruction or by tables.
//
//   crc = csti_crc32c(0, header, 64);
//   crc = csti_crc32c(crc, body, body_bytes);                    // of header and body together
//   crc = csti_crc32c_combine(crc_a, crc_b, b_bytes);            // of a and b, from their own
//
//   hardware, in blocks of three equal streams, because the instruction takes three cycles and one
//   can start in each:
//     | ---- a ---- | ---- b ---- | ---- c ---- |     crc = shift(a, 2n) ^ shift(b, n) ^ c
//                                                     shift: a carry-less multiplication each
//
// Promises   both ways give equal values for every length and alignment; reads nothing outside
//            [data, data + bytes).
// Thread     any. Ring 1 (0 takes no checksums).
#ifndef CST_BASE_CRC32C_H
#define CST_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

// `crc` is 0 to start, or the value of what comes before. Data may be NULL if bytes is 0.
uint32_t csti_crc32c(uint32_t crc, const void *data, size_t bytes);
// The CRC of A followed by B, given that of A, that of B and B's length.
uint32_t csti_crc32c_combine(uint32_t crc_a, uint32_t crc_b, uint64_t b_bytes);

// The two ways, for tests and benchmarks. The second needs csti_cpu_features.sse42_pclmul.
uint32_t csti_crc32c_by_table(uint32_t crc, const void *data, size_t bytes);
uint32_t csti_crc32c_sse42(uint32_t crc, const void *data, size_t bytes);

#endif
