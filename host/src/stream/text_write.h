// text_write.h: numbers and strings as text, straight into room that the caller has checked.
//
//   out ──► csti_u64_text ──► behind the digits         no NUL, no allocation, no bound but these:
//
//   u64 20, i64 20, JSON string 2 + 6 a byte
//
// Thread     pure functions.
// Ring       1.
#ifndef CST_STREAM_TEXT_WRITE_H
#define CST_STREAM_TEXT_WRITE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

// Digits of a u64, two at a time: this is most of what writing a row costs.
static inline char *csti_u64_text(char *out, uint64_t value) {
    static const char digit_pairs[] = "00010203040506070809101112131415161718192021222324"
                                      "25262728293031323334353637383940414243444546474849"
                                      "50515253545556575859606162636465666768697071727374"
                                      "75767778798081828384858687888990919293949596979899";
    char text[20];
    size_t at = sizeof text;

    while (value >= 100) {
        at -= 2;
        memcpy(text + at, digit_pairs + value % 100 * 2, 2);
        value /= 100;
    }
    if (value >= 10) {
        at -= 2;
        memcpy(text + at, digit_pairs + value * 2, 2);
    } else {
        text[--at] = (char)('0' + value);
    }
    memcpy(out, text + at, sizeof text - at);
    return out + (sizeof text - at);
}

static inline char *csti_i64_text(char *out, int64_t value) {
    if (value < 0) *out++ = '-';
    return csti_u64_text(out, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

// Quotes included. What is not ASCII passes as it is: the caller knows that it is UTF-8.
static inline char *csti_json_text(char *out, const char *text, size_t bytes) {
    static const char hex[] = "0123456789abcdef";

    *out++ = '"';
    for (size_t i = 0; i < bytes; i++) {
        const unsigned char byte = (unsigned char)text[i];

        if (byte == '"' || byte == '\\') {
            *out++ = '\\';
            *out++ = (char)byte;
        } else if (byte < 0x20) {
            memcpy(out, "\\u00", 4);
            out[4] = hex[byte >> 4];
            out[5] = hex[byte & 15];
            out += 6;
        } else {
            *out++ = (char)byte;
        }
    }
    *out++ = '"';
    return out;
}

#endif
