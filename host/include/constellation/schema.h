// schema.h: column types, and a row's shape.
//
// A schema is a value: at most CST_COLUMNS_MAX columns, no pointers, free to copy.
// As text it is what users type and what manifests hold:
//
//   u64,desc string,nullable i32 nulls last,decimal128(2),fixed(12)
//
// Promises   cst_schema_parse and cst_schema_format are inverse for canonical text.
// Errors     CST_SCHEMA names the column and the word that is wrong.
#ifndef CONSTELLATION_SCHEMA_H
#define CONSTELLATION_SCHEMA_H

#include <constellation/error.h>
#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    CST_COLUMNS_MAX = 16,
    CST_FIXED_BYTES_MAX = 256, // widest fixed binary column
    CST_DECIMAL_DIGITS_MAX = 38,
    CST_VARIABLE_BYTES_MAX = 32768, // longest string or binary value in a key
};

// X(enumerator, number, name, bytes of a value in a batch; 0: offsets + bytes; fixed: from width)
#define CST_TYPE_MAP(X)                                                                            \
    X(U8, 1, "u8", 1)                                                                              \
    X(U16, 2, "u16", 2)                                                                            \
    X(U32, 3, "u32", 4)                                                                            \
    X(U64, 4, "u64", 8)                                                                            \
    X(U128, 5, "u128", 16)                                                                         \
    X(I8, 6, "i8", 1)                                                                              \
    X(I16, 7, "i16", 2)                                                                            \
    X(I32, 8, "i32", 4)                                                                            \
    X(I64, 9, "i64", 8)                                                                            \
    X(I128, 10, "i128", 16)                                                                        \
    X(F32, 11, "f32", 4)                                                                           \
    X(F64, 12, "f64", 8)                                                                           \
    X(BOOL, 13, "bool", 1)              /* one byte, 0 or 1 */                                     \
    X(DATE, 14, "date", 4)              /* i32, days since 1970-01-01 */                           \
    X(TIMESTAMP, 15, "timestamp", 8)    /* i64, microseconds since 1970-01-01 UTC */               \
    X(DECIMAL128, 16, "decimal128", 16) /* i128 of units 10^-scale, at most 38 digits */           \
    X(UUID, 17, "uuid", 16)             /* bytes in text order */                                  \
    X(FIXED, 18, "fixed", 0)            /* width bytes */                                          \
    X(STRING, 19, "string", 0)          /* UTF-8, i32 offsets + bytes */                           \
    X(BINARY, 20, "binary", 0)          /* i32 offsets + bytes */

typedef enum cst_type {
#define CST_TYPE_ENUM(name, number, text, bytes) CST_TYPE_##name = (number),
    CST_TYPE_MAP(CST_TYPE_ENUM)
#undef CST_TYPE_ENUM
} cst_type;

typedef struct cst_column {
    cst_type type;
    uint16_t width; // FIXED: bytes of a value, 1 to CST_FIXED_BYTES_MAX; else 0
    uint8_t scale;  // DECIMAL128: digits behind the point, 0 to 38; else 0
    bool descending;
    bool nullable;   // a nullable column carries a marker byte, others none
    bool nulls_last; // only with nullable; independent of descending
} cst_column;

typedef struct cst_schema {
    uint32_t columns_count;
    cst_column columns[CST_COLUMNS_MAX];
} cst_schema;

// Reads a schema from text. *out is written only on success.
CST_API CST_CHECK_RESULT cst_code cst_schema_parse(const char *text, cst_schema *out, cst_err *err);
// Checks one made by hand: counts, widths, scales, flags that contradict.
CST_API CST_CHECK_RESULT cst_code cst_schema_check(const cst_schema *schema, cst_err *err);
// Writes canonical text and a NUL; CST_LIMIT if it needs more than `bytes`.
CST_API CST_CHECK_RESULT cst_code cst_schema_format(const cst_schema *schema, char *out,
                                                    size_t bytes);
// Bytes a value of the column takes in a batch's fixed-width buffer; 0 for string and binary.
CST_API uint32_t cst_column_value_bytes(const cst_column *column);
// Bytes of an encoded key if every column is fixed-width and not nullable, or the same with every
// column present; 0 if the schema has string or binary columns or a nullable one.
CST_API uint32_t cst_schema_key_bytes(const cst_schema *schema);
// Longest encoding a row can have; UINT32_MAX is never returned (the limits bound it).
CST_API uint32_t cst_schema_key_bytes_max(const cst_schema *schema);

#ifdef __cplusplus
}
#endif
#endif
