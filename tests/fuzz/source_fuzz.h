// source_fuzz.h: what the fuzzers of row parsers share: shapes, a text with room behind it, and the
// comparison with the slow parser.
//
//   input: one byte that chooses a shape (and a header), one that cuts batches, then the text
#ifndef CST_SOURCE_FUZZ_H
#define CST_SOURCE_FUZZ_H

#include "fuzz/fuzz.h"
#include "stream/rows_text.h"
#include "unit/stream/slow_rows.h"

#include <stdio.h>

enum { FUZZ_SHAPES_COUNT = 4, FUZZ_ROWS_MAX = 64 };

static inline csti_row_shape fuzz_shape(uint8_t choice) {
    static const char *const schemas[FUZZ_SHAPES_COUNT] = {
        "u64,u64,u64,string,timestamp",
        "nullable u8,nullable i64,nullable string,nullable binary,nullable decimal128(2)",
        "i8,u16,i32,u128,i128,date,bool",
        "f32,nullable f64,uuid,fixed(3),nullable timestamp,nullable bool",
    };
    csti_row_shape shape = {0};

    if (cst_schema_parse(schemas[choice % FUZZ_SHAPES_COUNT], &shape.schema, NULL) != CST_OK)
        abort();
    for (uint32_t c = 0; c < shape.schema.columns_count; c++)
        (void)snprintf(shape.names[c], sizeof shape.names[c], "%c", 'a' + (int)c);
    return shape;
}

// The text and an LF at its end, in a block that ends where readers may not read on.
static inline char *fuzz_text(const uint8_t *bytes, size_t count, csti_text *out) {
    char *block = malloc(count + 1 + CSTI_TEXT_SLACK_BYTES);
    size_t used = count;

    if (!block) abort();
    if (count) memcpy(block, bytes, count);
    if (count && block[count - 1] != '\n') block[used++] = '\n';
    memset(block + used, 0, CSTI_TEXT_SLACK_BYTES);
    *out = (csti_text){.at = block, .end = block + used};
    return block;
}

static inline void fuzz_compare(const rows *fast, const rows *slow) {
    if (fast->used != slow->used || fast->refused != slow->refused) abort();
    if (fast->used && memcmp(fast->text, slow->text, fast->used) != 0) abort();
}

#endif
