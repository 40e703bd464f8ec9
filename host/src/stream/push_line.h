// push_line.h: what a producer may say, a line at a time.
//
//   {"producer":"shop-7"}                          who sends; the first line, or never
//   {"seq":17,"row":{"auction":7,"price":250}}     a row and its number; members in any order
//
// Strict: each member once, no others, seq a whole number from 1 to 2^63 - 1, an id as
// producers.h has it, and the row as ndjson_rows.h has it. Lines of blanks say nothing.
//
// Thread     one. Ring 1: no allocation.
// Errors     SOURCE_RECORD: *err says what is wrong, and at which byte of the line.
#ifndef CST_STREAM_PUSH_LINE_H
#define CST_STREAM_PUSH_LINE_H

#include "stream/ndjson_rows.h"
#include "stream/producers.h"

typedef enum csti_push_said {
    CSTI_PUSH_NOTHING,
    CSTI_PUSH_PRODUCER,
    CSTI_PUSH_ROW, // it is row `row` of the columns
} csti_push_said;

typedef struct csti_push_line {
    csti_push_said said;
    uint64_t seq;   // 0: none was read; after an error, too
    const char *id; // in the text
    uint32_t id_bytes;
} csti_push_line;

// The line at text->at, whose end is in the text; text->at moves behind it, if it is right.
CST_CHECK_RESULT cst_code csti_push_line_read(csti_ndjson_rows *json, csti_text *text,
                                              csti_row_columns *columns, uint32_t row,
                                              csti_push_line *out, cst_err *err);

#endif
