// totals.h: aggregates over all keys of a partition, as if they were one.
//
//   restored ─► a key's value ─► csti_totals_add_value ─┐
//   applied  ─► rows          ─► csti_totals_add_rows  ─┴─► one value of the job's program
//
// `last` has no order across keys: its place in the value stays zero. A sum that would overflow is
// left out from then on, and marked; the others go on. What a deleted key had added cannot be taken
// out of a minimum or a maximum: with the first delete the totals are lost, until they are made
// anew from the keys.
//
// Promises   without deletes they equal a fold over all keys of the table, but for the order in
//            which doubles are summed: of rows, behind what was restored.
// Thread     one.
// Ring       0 after init.
// Errors     init: USAGE (no accumulators; what csti_program_check says).
#ifndef CST_STREAM_TOTALS_H
#define CST_STREAM_TOTALS_H

#include <constellation/table.h>

typedef struct csti_totals {
    cst_program program; // the job's
    cst_program merge;   // its source i is accumulator i of a value
    uint64_t last;       // bit an accumulator: has no total
    uint64_t left_out;   // those and the overflowed ones
    bool any;            // there is a value
    bool lost;
    uint8_t value[CST_INLINE_ENTRY_BYTES_MAX];
} csti_totals;

CST_CHECK_RESULT cst_code csti_totals_init(csti_totals *totals, const cst_program *program,
                                           cst_err *err);
void csti_totals_add_rows(csti_totals *totals, const cst_rows *rows);
// A key's value, or other totals and which of them had overflowed.
void csti_totals_add_value(csti_totals *totals, const uint8_t *value, uint64_t overflowed);
static inline uint64_t csti_totals_overflowed(const csti_totals *totals) {
    return totals->left_out & ~totals->last;
}

#endif
