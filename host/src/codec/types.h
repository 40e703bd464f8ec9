// types.h: what the codec's files share about column types and the bytes of a key.
//
//   nullable column   | marker | value ... |          null: the marker alone
//   string, binary    | bytes, 00 as 00 FF ... | 00 01 |
//
// Thread     pure functions and constants.
// Ring       0.
#ifndef CST_CODEC_TYPES_H
#define CST_CODEC_TYPES_H

#include <constellation/keys.h>

enum {
    CSTI_KEY_NULL_FIRST = 0x00,
    CSTI_KEY_VALUE = 0x01,
    CSTI_KEY_NULL_LAST = 0x02,
    CSTI_KEY_ESCAPE = 0x00, // introduces the two below, inside a string
    CSTI_KEY_ZERO = 0xff,   // 00 FF: a zero byte of the value
    CSTI_KEY_END = 0x01,    // 00 01: the end of the value
    CSTI_KEY_END_BYTES = 2,
    CSTI_KEY_MARKER_BYTES = 1,
};

#define CSTI_F64_SIGN UINT64_C(0x8000000000000000)
#define CSTI_F64_INFINITY UINT64_C(0x7ff0000000000000)
#define CSTI_F64_NAN UINT64_C(0x7ff8000000000000)
#define CSTI_F32_SIGN UINT32_C(0x80000000)
#define CSTI_F32_INFINITY UINT32_C(0x7f800000)
#define CSTI_F32_NAN UINT32_C(0x7fc00000)

// The name a schema's text has for it; NULL for a number that is no type.
const char *csti_type_name(cst_type type);

static inline bool csti_type_is_variable(cst_type type) {
    return type == CST_TYPE_STRING || type == CST_TYPE_BINARY;
}

static inline bool csti_type_is_signed(cst_type type) {
    switch (type) {
    case CST_TYPE_I8:
    case CST_TYPE_I16:
    case CST_TYPE_I32:
    case CST_TYPE_I64:
    case CST_TYPE_I128:
    case CST_TYPE_DATE:
    case CST_TYPE_TIMESTAMP:
    case CST_TYPE_DECIMAL128:
        return true;
    default:
        return false;
    }
}

// 10^38: a decimal128 is nearer to zero than this.
static inline cst_i128 csti_decimal_bound(void) {
    const cst_i128 ten19 = (cst_i128)UINT64_C(10000000000000000000);
    return ten19 * ten19;
}

// Where the first byte lies that no UTF-8 text can have there; `count` if there is none. Refuses
// overlong forms, surrogates and numbers above 10FFFF.
size_t csti_utf8_error_at(const uint8_t *bytes, size_t count);

#endif
