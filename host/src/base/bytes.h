// bytes.h: numbers from and to bytes, in a byte order that is named and at any alignment.
//
//   csti_load_le32(from)   bytes 78 56 34 12 -> 0x12345678
//   csti_load_be32(from)   bytes 12 34 56 78 -> 0x12345678
//
// Promises   one move (and at most a byte swap) each; the same on a machine of either order.
// Thread     any. Ring 0.
#ifndef CST_BASE_BYTES_H
#define CST_BASE_BYTES_H

#include <stdint.h>
#include <string.h>

__extension__ typedef unsigned __int128 csti_u128;
__extension__ typedef __int128 csti_i128;

static inline csti_u128 csti_bswap128(csti_u128 value) {
    return (csti_u128)__builtin_bswap64((uint64_t)value) << 64 |
           __builtin_bswap64((uint64_t)(value >> 64));
}

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define CSTI_LE(bits, value) (value)
#define CSTI_BE(bits, value) CSTI_SWAP##bits(value)
#else
#define CSTI_LE(bits, value) CSTI_SWAP##bits(value)
#define CSTI_BE(bits, value) (value)
#endif
#define CSTI_SWAP16(value) __builtin_bswap16(value)
#define CSTI_SWAP32(value) __builtin_bswap32(value)
#define CSTI_SWAP64(value) __builtin_bswap64(value)
#define CSTI_SWAP128(value) csti_bswap128(value)

#define CSTI_BYTES_DEFINE(order, ORDER, bits, type)                                                \
    static inline type csti_load_##order##bits(const void *from) {                                 \
        type value;                                                                                \
        memcpy(&value, from, sizeof value);                                                        \
        return CSTI_##ORDER(bits, value);                                                          \
    }                                                                                              \
    static inline void csti_store_##order##bits(void *to, type value) {                            \
        const type ordered = CSTI_##ORDER(bits, value);                                            \
        memcpy(to, &ordered, sizeof ordered);                                                      \
    }

CSTI_BYTES_DEFINE(le, LE, 16, uint16_t)
CSTI_BYTES_DEFINE(le, LE, 32, uint32_t)
CSTI_BYTES_DEFINE(le, LE, 64, uint64_t)
CSTI_BYTES_DEFINE(le, LE, 128, csti_u128)
CSTI_BYTES_DEFINE(be, BE, 16, uint16_t)
CSTI_BYTES_DEFINE(be, BE, 32, uint32_t)
CSTI_BYTES_DEFINE(be, BE, 64, uint64_t)
CSTI_BYTES_DEFINE(be, BE, 128, csti_u128)

#undef CSTI_BYTES_DEFINE
#undef CSTI_LE
#undef CSTI_BE
#undef CSTI_SWAP16
#undef CSTI_SWAP32
#undef CSTI_SWAP64
#undef CSTI_SWAP128

#endif
