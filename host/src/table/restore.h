// restore.h: RESTORE of records that lie anywhere, for who chooses their order.
//
//   records, as read     r0 r1 r2 r3 r4 ...        each at another end of the table
//   by neighbourhood     r2 r0 | r4 r1 | r3 ...    those of one side find the same few pages
//
// Ring 0.
#ifndef CST_TABLE_RESTORE_H
#define CST_TABLE_RESTORE_H

#include "table/internal.h"

enum { CSTI_NEIGHBOURHOOD_BITS = 12, CSTI_NEIGHBOURHOODS = 1 << CSTI_NEIGHBOURHOOD_BITS };

// Rows of one are near each other in a table that was opened for so many; all of one hash are in
// one.
static inline uint32_t csti_table_neighbourhood(const cst_table *table, uint64_t hash) {
    const uint32_t depth = table->control->directory_depth;
    const uint64_t row = hash & ((UINT64_C(1) << depth) - 1);

    return (uint32_t)(depth > CSTI_NEIGHBOURHOOD_BITS ? row >> (depth - CSTI_NEIGHBOURHOOD_BITS)
                                                      : row);
}

// As cst_table_restore_records, of whole records, no gaps, at multiples of 8. *used_out: records.
CST_CHECK_RESULT cst_code csti_table_restore_each(cst_table *table, const uint8_t *const *records,
                                                  size_t count, size_t *used_out);

// Whether the first of `rest` bytes are a record that cst_table_restore_records takes, or a gap.
bool csti_record_is_restorable(const cst_table *table, const csti_record *record, size_t rest);

#endif
