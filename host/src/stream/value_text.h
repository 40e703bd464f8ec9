// value_text.h: one value of a column, from and to text.
//
//   type              text
//   u8..u128          digits                       340282366920938463463374607431768211455
//   i8..i128          digits, '-' in front         -1
//   f32, f64          decimal, nan, inf, -inf      written with the fewest digits that read back
//   bool              true | false
//   date              YYYY-MM-DD                   outside years 0 to 9999: a sign, more digits
//   timestamp         YYYY-MM-DDTHH:MM:SS.ffffffZ  read: 'T' or ' ', 0 to 6 digits, then
//                     nothing, Z or an offset (+02:00), which is taken off: all times are UTC
//   decimal128(s)     digits, s of them behind the point (read: at most s)
//   uuid              8-4-4-4-12 hex digits
//   fixed, binary     hex digits, two a byte
//   string            the bytes as they are
//
// Promises   reading what was written gives the same value.
// Thread     pure functions; the program's locale must be "C" (nothing here or in the library
//            changes it).
// Ring       1.
// Errors     CST_PARSE: not the type's text; CST_VALUE_RANGE: outside the type; CST_LIMIT: does not
//            fit the caller's room.
#ifndef CST_STREAM_VALUE_TEXT_H
#define CST_STREAM_VALUE_TEXT_H

#include <constellation/keys.h>

// Longest text of a value that is not string, binary or fixed, with its NUL.
enum { CSTI_VALUE_TEXT_BYTES_MAX = 64 };

// Reads text (no NUL needed). Bytes of uuid, fixed and binary values are put into `scratch`; a
// string's point into `text`. *out is written only on success.
CST_CHECK_RESULT cst_code csti_value_read(const cst_column *column, const char *text, size_t bytes,
                                          uint8_t *scratch, size_t scratch_bytes, cst_value *out,
                                          cst_err *err);

// Writes a value that is not null, no NUL; *bytes_out is how much.
CST_CHECK_RESULT cst_code csti_value_write(const cst_column *column, const cst_value *value,
                                           char *text, size_t capacity, size_t *bytes_out);

// Reads hex digits, two a byte; *count_out bytes. CST_PARSE, CST_LIMIT.
CST_CHECK_RESULT cst_code csti_hex_read(const char *text, size_t bytes, uint8_t *out,
                                        size_t capacity, size_t *count_out);
// Writes 2 * count lower-case digits, no NUL.
void csti_hex_write(const uint8_t *bytes, size_t count, char *out);

#endif
