// reference_parts.h: what the files of the reference share with each other, and with nobody else.
//
//   key ──search──► place {line, slot, entry} ──► row {hash, key, value}
//                                            ├──► record in the log (reference_log.c)
//                                            └──► block in the slab (reference_slab.c, wide)
//
// Promises   a check function changes nothing; after it says CST_OK, its doer cannot fail.
// Thread     the table's owner.
// Ring       0.
// Owner      rows point into the caller's buffers or into the image.
// Errors     codes only.
#ifndef CST_TABLE_REFERENCE_PARTS_H
#define CST_TABLE_REFERENCE_PARTS_H

#include "table/internal.h"

typedef struct reference_row {
    uint64_t hash;
    const uint8_t *key;
    uint32_t key_bytes;
    const uint8_t *value;
    uint32_t value_bytes;
} reference_row;

// A slot, and the line that speaks for it.
typedef struct reference_place {
    csti_control_line *line;
    uint32_t slot;
    csti_entry *entry;
} reference_place;

static inline bool csti_reference_is_wide(const cst_table *table) {
    return table->control->layout == CST_TABLE_WIDE;
}

static inline uint64_t csti_reference_round_up(uint64_t count, uint64_t unit) {
    return (count + unit - 1) / unit * unit;
}

// ---- reference.c: rows in slots -----------------------------------------------------------------

// The row that a slot holds.
reference_row csti_reference_read(const cst_table *table, const csti_entry *entry);
bool csti_reference_search(const cst_table *table, const reference_row *row, reference_place *out);
bool csti_reference_expired(const cst_table *table, const reference_row *row, int64_t now_us);
// Where a row that is not there goes. CST_TABLE_FULL: nowhere.
cst_code csti_reference_find_place(const cst_table *table, uint64_t hash, reference_place *out,
                                   csti_control_line **overflowed_out);
void csti_reference_occupy(cst_table *table, const reference_place *place,
                           csti_control_line *overflowed, uint64_t hash);
void csti_reference_vacate(cst_table *table, const reference_place *place);
// Writes a whole slot; `block` and `block_class` count in wide tables.
void csti_reference_write(cst_table *table, csti_entry *entry, const reference_row *row,
                          uint64_t change_offset, uint64_t block, uint32_t block_class);

// ---- reference_program.c ------------------------------------------------------------------------

// CST_USAGE: a source's type cannot be read as its accumulator's number.
cst_code csti_reference_sources_check(const cst_program *program, const cst_rows *rows);
// The value after row r of `rows`; `old` is NULL if there is none. CST_SUM_OVERFLOW.
cst_code csti_reference_accumulate(const cst_program *program, const cst_rows *rows, uint32_t r,
                                   const uint8_t *old, uint8_t *value_out);

// ---- reference_log.c ----------------------------------------------------------------------------

uint32_t csti_reference_record_bytes(const cst_table *table, uint32_t key_bytes,
                                     uint32_t value_bytes);
// `used_more`: bytes of the budget that the same row takes elsewhere.
cst_code csti_reference_log_check(const cst_table *table, uint32_t record_bytes,
                                  uint64_t used_more);
// Leaves `row` (or its tombstone) in the log: in `old_offset` if that is of this epoch and large
// enough, else at the tail. Returns where.
uint64_t csti_reference_log_write(cst_table *table, uint64_t old_offset, const reference_row *row,
                                  uint32_t flags);
// Whether csti_reference_log_write would append.
bool csti_reference_log_appends(const cst_table *table, uint64_t old_offset, uint32_t record_bytes);

// ---- reference_slab.c ---------------------------------------------------------------------------

uint32_t csti_reference_class(uint32_t key_bytes, uint32_t value_bytes);
uint64_t csti_reference_class_bytes(uint32_t block_class);
// *used_more_out: what taking it adds to the used bytes.
cst_code csti_reference_slab_check(const cst_table *table, uint32_t block_class,
                                   uint64_t *used_more_out);
uint64_t csti_reference_slab_take(cst_table *table, uint32_t block_class);
void csti_reference_slab_free(cst_table *table, uint64_t block, uint32_t block_class);
void csti_reference_slab_write(cst_table *table, uint64_t block, uint32_t block_class,
                               const reference_row *row);

#endif
