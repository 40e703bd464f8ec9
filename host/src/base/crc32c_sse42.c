// The hardware side of crc32c.h; compiled with -msse4.2 -mpclmul, called only where both exist.
#include "base/crc32c.h"

#include <nmmintrin.h>
#include <stdint.h>
#include <string.h>
#include <wmmintrin.h>

#define LINE_BYTES 64

// A stream's length in a block of three, and the factors that move a CRC over one and two of them:
// x^(8n - 33) modulo the polynomial, bit 31 being x^0. The missing 33 come from the multiplication
// of reflected numbers (1) and from the crc32 instruction that reduces the product (32).
#define LONG_BYTES 2048
#define LONG_SHIFT_ONE 0xa51b6135
#define LONG_SHIFT_TWO 0x82f89c77
#define SHORT_BYTES 128
#define SHORT_SHIFT_ONE 0x0d3b6092
#define SHORT_SHIFT_TWO 0xb9e02b86

static inline uint64_t load(const uint8_t *from) {
    uint64_t word;
    memcpy(&word, from, sizeof word);
    return word;
}

static inline uint64_t shift(uint64_t crc, int64_t factor) {
    const __m128i product =
        _mm_clmulepi64_si128(_mm_cvtsi64_si128((int64_t)crc), _mm_cvtsi64_si128(factor), 0);
    return _mm_crc32_u64(0, (uint64_t)_mm_cvtsi128_si64(product));
}

// Asks for three lines of the block behind this one, in the order of addresses: ahead of three
// streams that begin anew after 32 lines a processor reads nothing by itself.
static inline void ask_ahead(const uint8_t *from, size_t stream_bytes, size_t at) {
    const uintptr_t ahead = (uintptr_t)from + 3 * stream_bytes + 3 * at;

    _mm_prefetch((const char *)ahead, _MM_HINT_T0);
    _mm_prefetch((const char *)(ahead + LINE_BYTES), _MM_HINT_T0);
    _mm_prefetch((const char *)(ahead + 2 * LINE_BYTES), _MM_HINT_T0);
}

static inline uint64_t three_streams(uint64_t state, const uint8_t *from, size_t stream_bytes,
                                     int64_t shift_one, int64_t shift_two) {
    uint64_t b = 0, c = 0;

    for (size_t line = 0; line < stream_bytes; line += LINE_BYTES) {
        if (stream_bytes == LONG_BYTES) ask_ahead(from, stream_bytes, line);
        for (size_t at = line; at < line + LINE_BYTES; at += 8) {
            state = _mm_crc32_u64(state, load(from + at));
            b = _mm_crc32_u64(b, load(from + stream_bytes + at));
            c = _mm_crc32_u64(c, load(from + 2 * stream_bytes + at));
        }
    }
    return shift(state, shift_two) ^ shift(b, shift_one) ^ c;
}

uint32_t csti_crc32c_sse42(uint32_t crc, const void *data, size_t bytes) {
    const uint8_t *from = data;
    uint64_t state = (uint32_t)~crc;

    for (; bytes >= 3 * LONG_BYTES; from += 3 * LONG_BYTES, bytes -= 3 * LONG_BYTES)
        state = three_streams(state, from, LONG_BYTES, LONG_SHIFT_ONE, LONG_SHIFT_TWO);
    for (; bytes >= 3 * SHORT_BYTES; from += 3 * SHORT_BYTES, bytes -= 3 * SHORT_BYTES)
        state = three_streams(state, from, SHORT_BYTES, SHORT_SHIFT_ONE, SHORT_SHIFT_TWO);
    for (; bytes >= 8; from += 8, bytes -= 8) state = _mm_crc32_u64(state, load(from));
    for (; bytes > 0; from++, bytes--) state = _mm_crc32_u8((uint32_t)state, *from);
    return ~(uint32_t)state;
}
