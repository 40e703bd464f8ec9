#include "stream/json_text.h"

#include "codec/types.h"

static const char *json_fail(csti_json_fail *fail, const char *at, const char *why) {
    *fail = (csti_json_fail){at, why};
    return NULL;
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static const char *digits_end(const char *at) {
    while (is_digit(*at)) at++;
    return at;
}

const char *csti_json_number_end(const char *at) {
    at += *at == '-';
    if (!is_digit(*at)) return NULL;
    at = *at == '0' ? at + 1 : digits_end(at);
    if (*at == '.') {
        if (!is_digit(at[1])) return NULL;
        at = digits_end(at + 1);
    }
    if (*at == 'e' || *at == 'E') {
        at++;
        at += *at == '+' || *at == '-';
        if (!is_digit(*at)) return NULL;
        at = digits_end(at);
    }
    return is_digit(*at) ? NULL : at;
}

// ---- Strings ------------------------------------------------------------------------------------

// Four hex digits; UINT32_MAX: they are not.
static uint32_t hex4(const char *at) {
    uint32_t value = 0;

    for (int i = 0; i < 4; i++) {
        const char c = at[i];
        uint32_t digit;

        if (is_digit(c))
            digit = (uint32_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            digit = (uint32_t)(c - 'a') + 10;
        else if (c >= 'A' && c <= 'F')
            digit = (uint32_t)(c - 'A') + 10;
        else
            return UINT32_MAX;
        value = value << 4 | digit;
    }
    return value;
}

static char *utf8_write(char *out, uint32_t point) {
    if (point < 0x80) {
        *out++ = (char)point;
    } else if (point < 0x800) {
        *out++ = (char)(0xc0 | point >> 6);
        *out++ = (char)(0x80 | (point & 0x3f));
    } else if (point < 0x10000) {
        *out++ = (char)(0xe0 | point >> 12);
        *out++ = (char)(0x80 | (point >> 6 & 0x3f));
        *out++ = (char)(0x80 | (point & 0x3f));
    } else {
        *out++ = (char)(0xf0 | point >> 18);
        *out++ = (char)(0x80 | (point >> 12 & 0x3f));
        *out++ = (char)(0x80 | (point >> 6 & 0x3f));
        *out++ = (char)(0x80 | (point & 0x3f));
    }
    return out;
}

// What \uXXXX (or a pair of them) stands for; `at` is behind the u. Returns behind it.
static const char *point_take(const char *at, uint32_t *out, csti_json_fail *fail) {
    uint32_t point = hex4(at);

    if (point == UINT32_MAX) return json_fail(fail, at - 2, "\\u without four hex digits");
    at += 4;
    if (point >= 0xdc00 && point < 0xe000)
        return json_fail(fail, at - 6, "half of a surrogate pair");
    if (point >= 0xd800 && point < 0xdc00) {
        const uint32_t low = at[0] == '\\' && at[1] == 'u' ? hex4(at + 2) : UINT32_MAX;

        if (low < 0xdc00 || low >= 0xe000)
            return json_fail(fail, at - 6, "half of a surrogate pair");
        point = 0x10000 + ((point - 0xd800) << 10 | (low - 0xdc00));
        at += 6;
    }
    *out = point;
    return at;
}

// The escape whose backslash is at[-1]: at most 4 bytes to *out, which moves behind them.
static const char *escape_take(const char *at, char **out, csti_json_fail *fail) {
    uint32_t point = 0;

    switch (*at++) {
    case '"':
    case '\\':
    case '/':
        point = (uint8_t)at[-1];
        break;
    case 'b':
        point = '\b';
        break;
    case 'f':
        point = '\f';
        break;
    case 'n':
        point = '\n';
        break;
    case 'r':
        point = '\r';
        break;
    case 't':
        point = '\t';
        break;
    case 'u':
        at = point_take(at, &point, fail);
        break;
    default:
        return json_fail(fail, at - 2, "an escape that JSON has not");
    }
    if (at) *out = utf8_write(*out, point);
    return at;
}

static const char *control_fail(const char *at, csti_json_fail *fail) {
    return json_fail(fail, at,
                     *at == '\n' ? "the line ends inside a string" : "a control byte in a string");
}

const char *csti_json_string(const char *at, char *out, size_t *bytes_out, bool *ascii_out,
                             csti_json_fail *fail) {
    char *to = out;
    uint32_t high = 0;

    for (;;) {
        const csti_scan scan = csti_scan_json(at);
        uint32_t count;

        memcpy(to, at, CSTI_SCAN_BYTES);
        if (!scan.stops) {
            high |= scan.high;
            at += CSTI_SCAN_BYTES;
            to += CSTI_SCAN_BYTES;
            continue;
        }
        count = (uint32_t)__builtin_ctz(scan.stops);
        high |= scan.high & ((1u << count) - 1);
        at += count;
        to += count;
        if (*at == '"') break;
        if (*at != '\\') return control_fail(at, fail);
        at = escape_take(at + 1, &to, fail);
        if (!at) return NULL;
    }
    *bytes_out = (size_t)(to - out);
    *ascii_out = high == 0;
    return at + 1;
}

const char *csti_json_string_skip(const char *at, csti_json_fail *fail) {
    const char *from = at;
    uint32_t high = 0;
    size_t wrong;

    for (;;) {
        const csti_scan scan = csti_scan_json(at);
        char ignored[4];
        char *to = ignored;

        high |= scan.high; // perhaps of bytes behind it: then the check below says so
        if (!scan.stops) {
            at += CSTI_SCAN_BYTES;
            continue;
        }
        at += __builtin_ctz(scan.stops);
        if (*at == '"') break;
        if (*at != '\\') return control_fail(at, fail);
        at = escape_take(at + 1, &to, fail);
        if (!at) return NULL;
    }
    if (high) { // escapes are ASCII: the text is UTF-8 if and only if the string is
        wrong = csti_utf8_error_at((const uint8_t *)from, (size_t)(at - from));
        if (from + wrong < at) return json_fail(fail, from + wrong, "a string is not UTF-8");
    }
    return at + 1;
}

// ---- Any value ----------------------------------------------------------------------------------

static const char *scalar_skip(const char *at, csti_json_fail *fail) {
    const char *end;

    switch (*at) {
    case '"':
        return csti_json_string_skip(at + 1, fail);
    case 't':
        if (memcmp(at, "true", 4) == 0) return at + 4;
        break;
    case 'f':
        if (memcmp(at, "false", 5) == 0) return at + 5;
        break;
    case 'n':
        if (memcmp(at, "null", 4) == 0) return at + 4;
        break;
    default:
        end = csti_json_number_end(at);
        if (end) return end;
        break;
    }
    return json_fail(fail, at, *at == '\n' ? "the line ends before a value" : "no JSON value");
}

// A member's name and its colon.
static const char *name_skip(const char *at, csti_json_fail *fail) {
    if (*at != '"') return json_fail(fail, at, "a name was expected");
    at = csti_json_string_skip(at + 1, fail);
    if (!at) return NULL;
    at = csti_json_blank(at);
    if (*at != ':') return json_fail(fail, at, "a colon was expected");
    return csti_json_blank(at + 1);
}

// Behind a value inside brackets: closes what ends here, up to the next value or the end of all.
static const char *closers_skip(const char *at, uint64_t *objects, uint32_t *depth,
                                csti_json_fail *fail) {
    while (*depth > 0) {
        const bool object = *objects & 1;

        at = csti_json_blank(at);
        if (*at == ',') {
            at = csti_json_blank(at + 1);
            return object ? name_skip(at, fail) : at;
        }
        if (*at != (object ? '}' : ']'))
            return json_fail(fail, at, "a comma or a closing bracket was expected");
        at++;
        *objects >>= 1;
        --*depth;
    }
    return at;
}

const char *csti_json_skip(const char *at, csti_json_fail *fail) {
    uint64_t objects = 0; // lowest bit: the innermost bracket is that of an object
    uint32_t depth = 0;
    _Static_assert(CSTI_JSON_DEPTH_MAX <= 64, "a bit for each bracket that is open");

    do {
        if (*at == '{' || *at == '[') {
            const bool object = *at == '{';

            if (depth == CSTI_JSON_DEPTH_MAX) return json_fail(fail, at, "nested too deep");
            objects = objects << 1 | object;
            depth++;
            at = csti_json_blank(at + 1);
            if (*at != (object ? '}' : ']')) {
                if (object) at = name_skip(at, fail);
                if (!at) return NULL;
                continue;
            }
        } else {
            at = scalar_skip(at, fail);
            if (!at) return NULL;
        }
        at = closers_skip(at, &objects, &depth, fail);
        if (!at) return NULL;
    } while (depth > 0);
    return at;
}
