// rows_text.h: what the parsers of rows share: where they stand in the text, and what is wrong
// there.
//
//   at                                  end
//   | record \n | record \n | record \n |           bytes that may be read: CSTI_TEXT_SLACK_BYTES
//    whole records alone; the last byte of the text is a line's end           behind end
//
// Ring       1.
#ifndef CST_STREAM_ROWS_TEXT_H
#define CST_STREAM_ROWS_TEXT_H

#include "stream/row_columns.h"
#include "stream/source.h"

enum {
    CSTI_RECORD_BYTES_MAX = 4 << 20, // of a record, its line's end included
    CSTI_TEXT_SLACK_BYTES = 64,
};

typedef struct csti_text {
    const char *at;  // behind the last whole record that was taken
    const char *end; // end[-1] is LF, or at == end
    uint64_t lines;  // ends of lines before `at`
    const char *bad; // after an error: what is wrong is here, inside the record at `at`
} csti_text;

// The name of a column in front of what *err says.
static inline cst_code csti_column_fail(const csti_row_shape *shape, uint32_t column, cst_code code,
                                        cst_err *err) {
    return cst_fail_at(err, code, "column %s", shape->names[column]);
}

#endif
