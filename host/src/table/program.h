// program.h: what an upsert does to a value.
//
//   value   | count | sum    | max    | presence |     offsets fixed at open
//             ^ +1    ^ source 0        ^ bit i: accumulator i has seen a value
//
// Promises   the value is changed only if every accumulator could take its source.
// Ring       0.
#ifndef CST_TABLE_PROGRAM_H
#define CST_TABLE_PROGRAM_H

#include "table/internal.h"

#include <string.h>

// CST_USAGE names the accumulator or field that contradicts.
cst_code csti_program_check(const cst_program *program, cst_err *err);

// Whether every source has a type that can be read as its accumulator's number.
bool csti_program_takes(const cst_program *program, const cst_rows *rows);

// Folds row `row` into `value` (program->value_bytes; all zeros with `fresh`), in place.
// CST_SUM_OVERFLOW: `value` is undefined, so the caller folds into a copy.
cst_code csti_program_fold(const cst_program *program, const cst_rows *rows, uint32_t row,
                           bool fresh, uint8_t *value);

// The same for each accumulator by itself, but those in *left_out, a bit each: one that would
// overflow stays as it is and joins them.
void csti_program_fold_each(const cst_program *program, const cst_rows *rows, uint32_t row,
                            bool fresh, uint64_t *left_out, uint8_t *value);

// What two values of rows would be if the rows were of one key: into `value`, in place. Both have a
// row at least. No accumulator is CST_LAST, whose order of rows nobody knows. CST_SUM_OVERFLOW:
// `value` is undefined.
cst_code csti_program_merge(const cst_program *program, const uint8_t *from, uint8_t *value);

// 64-bit words that an accumulator has of the value, and is given of a source.
static inline uint32_t csti_program_words(const cst_accumulator *accumulator) {
    return accumulator->number == CST_DECIMAL128 && accumulator->op != CST_COUNT ? 2 : 1;
}

// What accumulator gets of a source's row, as a device is given it: widened, a double's bits, a
// decimal128's low word and high word; false: null, and words of zeros.
bool csti_program_operand(const cst_accumulator *accumulator, const cst_source *source,
                          uint32_t row, uint64_t *words_out);

// Whether a row with this value is past its time.
static inline bool csti_program_expired(const cst_program *program, const uint8_t *value,
                                        int64_t now_us) {
    int64_t time_us, end_us;

    if (program->ttl_us == CST_TTL_NONE) return false;
    memcpy(&time_us, value + program->time_offset, sizeof time_us);
    if (__builtin_add_overflow(time_us, program->ttl_us, &end_us)) return false; // beyond all time
    return end_us <= now_us;
}

#endif
