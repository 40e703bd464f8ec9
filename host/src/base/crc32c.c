#include "base/crc32c.h"

#include "base/bytes.h"
#include "base/crc32c_table.h"

enum { POWERS_COUNT = sizeof crc32c_power / sizeof crc32c_power[0] };

// Slicing by 8 (Kounavis and Berry 2005): eight look-ups that do not wait for one another.
uint32_t csti_crc32c_by_table(uint32_t crc, const void *data, size_t bytes) {
    const uint8_t *from = data;
    uint32_t state = ~crc;

    for (; bytes >= 8; from += 8, bytes -= 8) {
        const uint64_t word = csti_load_le64(from) ^ state;
        state = crc32c_table[7][word & 0xff] ^ crc32c_table[6][word >> 8 & 0xff] ^
                crc32c_table[5][word >> 16 & 0xff] ^ crc32c_table[4][word >> 24 & 0xff] ^
                crc32c_table[3][word >> 32 & 0xff] ^ crc32c_table[2][word >> 40 & 0xff] ^
                crc32c_table[1][word >> 48 & 0xff] ^ crc32c_table[0][word >> 56];
    }
    for (; bytes > 0; from++, bytes--) state = state >> 8 ^ crc32c_table[0][(state ^ *from) & 0xff];
    return ~state;
}

uint32_t csti_crc32c(uint32_t crc, const void *data, size_t bytes) {
    // The compiler's runtime asked the processor before main: two loads here.
    if (__builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul"))
        return csti_crc32c_sse42(crc, data, bytes);
    return csti_crc32c_by_table(crc, data, bytes);
}

// a times b modulo the polynomial, bit 31 being x^0.
static uint32_t multiply(uint32_t a, uint32_t b) {
    uint32_t product = 0;

    for (int bit = 31; bit >= 0; bit--) {
        if (a >> bit & 1) product ^= b;
        b = b >> 1 ^ (b & 1 ? UINT32_C(0x82f63b78) : 0);
    }
    return product;
}

uint32_t csti_crc32c_combine(uint32_t crc_a, uint32_t crc_b, uint64_t b_bytes) {
    uint32_t shifted = crc_a;

    // Times x^(8 * b_bytes): one factor for each set bit of the exponent.
    for (unsigned bit = 0; b_bytes >> bit != 0; bit++) {
        if (b_bytes >> bit & 1) shifted = multiply(crc32c_power[(bit + 3) % POWERS_COUNT], shifted);
        if (bit == 63) break;
    }
    // The inversions of A's end and of B's start cancel.
    return shifted ^ crc_b;
}
