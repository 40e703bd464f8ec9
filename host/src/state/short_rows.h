// short_rows.h: the rows of a block whose keys are short enough for a device, together.
//
//   block     r0 long | r1 short | r2 short | r3 long | r4 short
//   shorts    r1 | r2 | r4                              numbers 1 2 4 | 5
//
// Promises   the rows keep their order; numbers[i] is row i's in the block, and behind the last
//            one stands how many rows the block has: where a command stopped is always a number.
// Thread     its keeper's.
// Ring       0, but for a block that is larger than any before.
// Owner      a copy of all that APPLY reads of these rows.
#ifndef CST_STATE_SHORT_ROWS_H
#define CST_STATE_SHORT_ROWS_H

#include <constellation/table.h>

enum { CSTI_SHORT_SOURCES_MAX = CST_ACCUMULATORS_MAX };

typedef struct csti_short_rows { // all zeros: empty
    cst_rows rows;
    uint32_t *numbers; // rows.rows_count + 1
    uint32_t capacity;
    uint32_t key_bytes_max, sources_count; // that there is room for
    cst_source sources[CSTI_SHORT_SOURCES_MAX];
    uint8_t *values[CSTI_SHORT_SOURCES_MAX], *validity[CSTI_SHORT_SOURCES_MAX];
    uint8_t *keys, *ops;
    uint32_t *key_offsets;
    uint64_t *hashes;
    void *memory;
} csti_short_rows;

static inline uint32_t csti_rows_key_length(const cst_rows *rows, uint32_t row) {
    return rows->key_offsets ? rows->key_offsets[row + 1] - rows->key_offsets[row]
                             : rows->key_bytes;
}

// How many of the rows from first_row on have a key of at most so many bytes.
uint32_t csti_short_rows_count(const cst_rows *rows, uint32_t key_bytes_max);
// Takes these rows of a block whose upserts fold the first `sources_count` sources. What *shorts
// held before is gone. CST_NO_MEMORY: it holds nothing.
CST_CHECK_RESULT cst_code csti_short_rows_take(csti_short_rows *shorts, const cst_rows *rows,
                                               uint32_t key_bytes_max, uint32_t sources_count);
void csti_short_rows_end(csti_short_rows *shorts);

#endif
