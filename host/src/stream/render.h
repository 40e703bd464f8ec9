// render.h: rows of state as JSON.
//
//   key bytes ──► decode ──► {"auction":17,            each key column; of a windowed job
//                             "window_start": .., "window_end": ..,
//   value     ──► loads  ──►  "bids":3,"highest":900,  each aggregate
//                             "_op":"upsert"}
//
//   type                     JSON
//   integers                 digits, however many: above 2^53 some readers lose the last ones
//   f32, f64                 the fewest digits that read back; "nan", "inf", "-inf"
//   decimal128               a string, SCALE digits behind the point
//   date, timestamp          a string: YYYY-MM-DD, YYYY-MM-DDTHH:MM:SS.ffffffZ
//   uuid, fixed, binary      a string, as value_text.h has it
//   string                   escaped; bool true | false; null null
//
// Promises   equal rows give equal bytes.
// Thread     pure functions.
// Ring       1.
// Errors     KEY_CORRUPT; SEGMENT_RECORD: a value too short for its fields; LIMIT, NO_MEMORY.
#ifndef CST_STREAM_RENDER_H
#define CST_STREAM_RENDER_H

#include "base/buffer.h"

#include <constellation/keys.h>
#include <constellation/table.h>

enum { CSTI_ALWAYS_PRESENT = 0xff, CSTI_AGGREGATE_TEXT_BYTES_MAX = 66 };
enum { CSTI_FIELD_NAME_BYTES = 64, CSTI_FIELDS_MAX = CST_COLUMNS_MAX + CST_ACCUMULATORS_MAX };

// How a row of state reads as JSON.
typedef struct csti_render_field {
    char name[CSTI_FIELD_NAME_BYTES];
    uint8_t number;        // cst_number, of an aggregate
    uint8_t scale;         // DECIMAL128
    uint16_t value_offset; // in the value
    uint8_t accumulator;   // its bit in the presence word: absent gives null; CSTI_ALWAYS_PRESENT
    uint8_t moment; // of an i64: CST_TYPE_DATE, _TIMESTAMP: rendered as its text; 0: a number
    bool nullable;  // it may be absent
} csti_render_field;

typedef struct csti_render_plan {
    cst_schema key; // decoded from the encoded key
    char key_names[CST_COLUMNS_MAX][CSTI_FIELD_NAME_BYTES];
    int64_t window_us;        // 0: none; else the key ends with the start of a window so long
    bool sessions;            // then it is the gap behind the last row,
    uint16_t last_offset;     // whose time the value has there
    uint16_t presence_offset; // CST_NO_OFFSET: everything is there
    uint32_t fields_count;
    csti_render_field fields[CST_ACCUMULATORS_MAX];
} csti_render_plan;

// One aggregate of a value as JSON, without a NUL: at most CSTI_AGGREGATE_TEXT_BYTES_MAX.
char *csti_render_aggregate(const csti_render_field *field, const uint8_t *value, char *out);

// Appends one line with its newline. KEY_CORRUPT, SEGMENT_RECORD: nothing was appended.
CST_CHECK_RESULT cst_code csti_render_row(const csti_render_plan *plan, const cst_row_ref *row,
                                          bool tombstone, csti_buffer *out, cst_err *err);

#endif
