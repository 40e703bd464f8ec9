// text_scan.h: digits eight at a time, and the bytes of text that end something sixteen at a time.
//
//   csti_digits    "1767225600000000,"  ──► two multiplications by tens, stops at the ','
//   csti_scan_json "web\",\"at\":..."   ──► bit i: byte i is a quote, a backslash or a control
//   csti_scan_csv  "web,17\n"           ──► bit i: byte i is a quote, a comma, CR or LF
//
// Promises   reads CSTI_SCAN_BYTES from its place on, whatever is there: texts have as much room
//            behind them. The vector and the plain form give the same bits.
// Thread     pure functions.
// Ring       1.
#ifndef CST_STREAM_TEXT_SCAN_H
#define CST_STREAM_TEXT_SCAN_H

#include "base/bytes.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

enum { CSTI_SCAN_BYTES = 16, CSTI_DIGITS_SURE = 19 /* as many never overflow a u64 */ };

typedef struct csti_scan {
    uint32_t stops; // bit i: byte i ends or changes what is being read
    uint32_t high;  // bit i: byte i is not ASCII
} csti_scan;

static inline csti_scan csti_scan_json_plain(const char *at) {
    csti_scan scan = {0, 0};

    for (uint32_t i = 0; i < CSTI_SCAN_BYTES; i++) {
        const uint8_t byte = (uint8_t)at[i];

        scan.stops |= (uint32_t)(byte == '"' || byte == '\\' || byte < 0x20) << i;
        scan.high |= (uint32_t)(byte >> 7) << i;
    }
    return scan;
}

static inline csti_scan csti_scan_csv_plain(const char *at) {
    csti_scan scan = {0, 0};

    for (uint32_t i = 0; i < CSTI_SCAN_BYTES; i++) {
        const uint8_t byte = (uint8_t)at[i];

        scan.stops |= (uint32_t)(byte == '"' || byte == ',' || byte == '\r' || byte == '\n') << i;
        scan.high |= (uint32_t)(byte >> 7) << i;
    }
    return scan;
}

#if defined(__SSE2__)
static inline csti_scan csti_scan_json(const char *at) {
    const __m128i block = _mm_loadu_si128((const __m128i *)(const void *)at);
    const __m128i quote = _mm_cmpeq_epi8(block, _mm_set1_epi8('"'));
    const __m128i escape = _mm_cmpeq_epi8(block, _mm_set1_epi8('\\'));
    const __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(block, _mm_set1_epi8(0x1f)), block);
    const __m128i stops = _mm_or_si128(_mm_or_si128(quote, escape), control);

    return (csti_scan){(uint32_t)_mm_movemask_epi8(stops), (uint32_t)_mm_movemask_epi8(block)};
}

static inline csti_scan csti_scan_csv(const char *at) {
    const __m128i block = _mm_loadu_si128((const __m128i *)(const void *)at);
    const __m128i quote = _mm_cmpeq_epi8(block, _mm_set1_epi8('"'));
    const __m128i comma = _mm_cmpeq_epi8(block, _mm_set1_epi8(','));
    const __m128i cr = _mm_cmpeq_epi8(block, _mm_set1_epi8('\r'));
    const __m128i lf = _mm_cmpeq_epi8(block, _mm_set1_epi8('\n'));
    const __m128i stops = _mm_or_si128(_mm_or_si128(quote, comma), _mm_or_si128(cr, lf));

    return (csti_scan){(uint32_t)_mm_movemask_epi8(stops), (uint32_t)_mm_movemask_epi8(block)};
}
#else
static inline csti_scan csti_scan_json(const char *at) {
    return csti_scan_json_plain(at);
}

static inline csti_scan csti_scan_csv(const char *at) {
    return csti_scan_csv_plain(at);
}
#endif

// Number of the digits that the eight bytes begin with; *value_out is what they say.
static inline uint32_t csti_digits8(const char *at, uint64_t *value_out) {
    uint64_t t = csti_load_le64(at) ^ UINT64_C(0x3030303030303030);
    // A byte that is no digit has a high bit now, or gets one by 6 more. A carry out of it reaches
    // later bytes alone.
    const uint64_t others = ((t + UINT64_C(0x0606060606060606)) | t) & UINT64_C(0xf0f0f0f0f0f0f0f0);
    const uint32_t count = others ? (uint32_t)__builtin_ctzll(others) / 8 : 8;

    if (count == 0) {
        *value_out = 0;
        return 0;
    }
    t <<= 64 - 8 * count; // zeros in front
    t = t * 10 + (t >> 8);
    t = ((t & UINT64_C(0x000000ff000000ff)) * UINT64_C(0x000f424000000064) +
         (t >> 16 & UINT64_C(0x000000ff000000ff)) * UINT64_C(0x0000271000000001)) >>
        32;
    *value_out = t;
    return count;
}

// Digits up to the first byte that is none; returns how many. *value_out is meant if there are at
// most CSTI_DIGITS_SURE.
static inline size_t csti_digits(const char *at, uint64_t *value_out) {
    static const uint64_t tens[] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000};
    size_t count = csti_digits8(at, value_out);
    uint64_t value = *value_out;
    uint32_t more = (uint32_t)count;

    while (more == 8) { // seldom: most numbers are short
        uint64_t part = 0;

        more = csti_digits8(at + count, &part);
        value = value * tens[more] + part;
        count += more;
    }
    *value_out = value;
    return count;
}

#endif
