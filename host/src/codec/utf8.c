#include <string.h>

#include "codec/types.h"

// Bytes of the well-formed character at `bytes`, of which `left` may be read; 0: there is none.
// The table is Unicode's (chapter 3, well-formed UTF-8 byte sequences).
static size_t character_bytes(const uint8_t *bytes, size_t left) {
    const uint8_t lead = bytes[0];
    uint8_t low = 0x80;
    uint8_t high = 0xbf;
    size_t count;

    if (lead < 0x80) return 1;
    if (lead >= 0xc2 && lead <= 0xdf)
        count = 2;
    else if (lead >= 0xe0 && lead <= 0xef)
        count = 3;
    else if (lead >= 0xf0 && lead <= 0xf4)
        count = 4;
    else
        return 0;
    if (left < count) return 0;
    if (lead == 0xe0) low = 0xa0;  // overlong below
    if (lead == 0xed) high = 0x9f; // surrogates above
    if (lead == 0xf0) low = 0x90;  // overlong below
    if (lead == 0xf4) high = 0x8f; // past 10FFFF above
    if (bytes[1] < low || bytes[1] > high) return 0;
    for (size_t i = 2; i < count; i++)
        if ((bytes[i] & 0xc0) != 0x80) return 0;
    return count;
}

size_t csti_utf8_error_at(const uint8_t *bytes, size_t count) {
    size_t at = 0;

    while (at < count) {
        uint64_t word;
        if (count - at >= sizeof word) { // eight ASCII bytes at once
            memcpy(&word, bytes + at, sizeof word);
            if ((word & UINT64_C(0x8080808080808080)) == 0) {
                at += sizeof word;
                continue;
            }
        }
        const size_t character = character_bytes(bytes + at, count - at);
        if (character == 0) return at;
        at += character;
    }
    return count;
}
