// keys.h: memcomparable keys. memcmp of two encoded rows gives the order of the rows.
//
//   column          bytes                                    descending
//   u8..u128        big-endian                               complemented
//   i8..i128        big-endian, sign bit flipped             complemented
//   f32, f64        big-endian IEEE order transform          complemented
//   string, binary  inner 00 becomes 00 FF, ends in 00 01    complemented, terminator too
//   nullable        marker 00 null first | 01 value | 02 null last, never complemented
//
// A column that is not nullable has no marker. -0.0 encodes as +0.0, every NaN as one NaN above
// +infinity: decode returns those canonical values. docs/formats.md holds every byte.
//
// Thread     pure functions.
// Ring       0 after the caller has checked batch and capacity: no allocation, no text.
#ifndef CONSTELLATION_KEYS_H
#define CONSTELLATION_KEYS_H

#include <constellation/batch.h>

#ifdef __cplusplus
extern "C" {
#endif

// Encoded keys of a batch. Fixed: row r at bytes + r * stride. Variable: bytes[offsets[r]..[r+1]).
typedef struct cst_keys {
    uint8_t *bytes;
    size_t bytes_capacity;
    uint32_t *offsets; // rows + 1; may be NULL when the schema's keys have one length
    uint32_t stride;   // set by encode: the key's length when all have one, else 0
} cst_keys;

// Bytes that encoding this batch needs at most (exact for fixed-width schemas).
CST_API size_t cst_keys_bytes_bound(const cst_batch *batch);

// Encodes every row with the best code this processor has; all of `capacity` may be written over.
// `batch` must have passed cst_batch_check. CST_LIMIT: the capacity is below
// cst_keys_bytes_bound(batch), or offsets of 32 bits could not reach (split the batch). CST_USAGE:
// keys of several lengths need offsets. Nothing is written then.
CST_API CST_CHECK_RESULT cst_code cst_keys_encode(const cst_batch *batch, cst_keys *out);

__extension__ typedef unsigned __int128 cst_u128;
__extension__ typedef __int128 cst_i128;

// One value of a decoded key.
typedef struct cst_value {
    union {
        cst_u128 u128; // unsigned types, bool
        cst_i128 i128; // signed types, date, timestamp, decimal128
        double f64;    // f32 (exactly), f64
    };
    const uint8_t *bytes; // uuid, fixed, string, binary: into the caller's scratch
    uint32_t bytes_count;
    bool is_null; // the rest is then not looked at
} cst_value;

// Encodes one row: the text anybody can check, the reference every faster path is compared with.
// *key_bytes_out is the length. CST_LIMIT if `capacity` is too small; CST_VALUE_RANGE, CST_UTF8,
// CST_SCHEMA_MISMATCH (null in a column that is not nullable) name the column in *err.
CST_API CST_CHECK_RESULT cst_code cst_key_encode(const cst_schema *schema, const cst_value *values,
                                                 uint8_t *key, size_t capacity,
                                                 uint32_t *key_bytes_out, cst_err *err);

// Decodes one key. Variable and fixed bytes are written to scratch (>= key_bytes). Anything that
// encode cannot have produced is CST_KEY_CORRUPT, naming column and offset; trailing bytes too.
CST_API CST_CHECK_RESULT cst_code cst_key_decode(const cst_schema *schema, const uint8_t *key,
                                                 size_t key_bytes, cst_value *values_out,
                                                 uint8_t *scratch, cst_err *err);

// A key of one number, inline: what a loop over single rows takes. Not nullable, ascending.
static inline void cst_key_encode_u64(uint64_t number, uint8_t key[8]) {
    number = __builtin_bswap64(number);
    __builtin_memcpy(key, &number, sizeof number);
}

static inline void cst_key_encode_i64(int64_t number, uint8_t key[8]) {
    uint64_t bits;

    __builtin_memcpy(&bits, &number, sizeof bits); // a cast that C and C++ write alike
    cst_key_encode_u64(bits ^ UINT64_C(0x8000000000000000), key);
}

#ifdef __cplusplus
}
#endif
#endif
