// key_text.h: a key, or the beginning of one, as fields of a CSV record.
//
//   schema u64,string   fields 7,"Oslo"   ──► values ──► encoded key
//
// A field that is empty and without quotes is a null where the column may hold one.
//
// Thread     pure functions.
// Ring       1.
// Errors     SCHEMA_MISMATCH: another number of fields; PARSE, VALUE_RANGE, UTF8, LIMIT name the
//            column.
#ifndef CST_STREAM_KEY_TEXT_H
#define CST_STREAM_KEY_TEXT_H

#include "base/buffer.h"
#include "stream/csv.h"

#include <constellation/keys.h>

// One value a field, of the schema's first `count` columns. Strings point into the fields, other
// bytes into `scratch`: count * CST_FIXED_BYTES_MAX bytes and one for each two of the record are
// enough.
CST_CHECK_RESULT cst_code csti_key_fields_read(const cst_schema *schema,
                                               const csti_csv_field *fields, size_t count,
                                               uint8_t *scratch, size_t scratch_bytes,
                                               cst_value *values_out, cst_err *err);

typedef enum csti_key_extent {
    CSTI_KEY_WHOLE,     // every column
    CSTI_KEY_BEGINNING, // the first columns; if the last of them is text or binary, its beginning
} csti_key_extent;

// Appends the encoded key that `text` stands for, or what all keys that begin so begin with.
CST_CHECK_RESULT cst_code csti_key_text_encode(const cst_schema *schema, const char *text,
                                               csti_key_extent extent, csti_buffer *out,
                                               cst_err *err);

#endif
