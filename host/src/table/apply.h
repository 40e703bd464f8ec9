// apply.h: one row's change, decided and done; what APPLY, EXPIRE and the single forms share.
//
// Ring 0.
#ifndef CST_TABLE_APPLY_H
#define CST_TABLE_APPLY_H

#include "table/log.h"

// Deletes the row at `place`, leaving a tombstone. Codes of csti_log_check; then nothing changed.
cst_code csti_delete_at(cst_table *table, const csti_place *place);

// The place of a row's value, inline or wide.
static inline uint8_t *csti_entry_value(const cst_table *table, const csti_entry *entry) {
    if (table->control->layout == CST_TABLE_WIDE)
        return csti_wide_value(table, (const csti_wide_entry *)entry);
    return (uint8_t *)entry + table->value_offset;
}

static inline cst_row_ref csti_entry_row(const cst_table *table, const csti_entry *entry) {
    const csti_wide_entry *wide = (const csti_wide_entry *)entry;

    if (table->control->layout == CST_TABLE_WIDE)
        return (cst_row_ref){wide->hash, csti_wide_key(table, wide), csti_wide_value(table, wide),
                             wide->key_bytes, wide->value_bytes};
    return (cst_row_ref){entry->hash, (const uint8_t *)(entry + 1), csti_entry_value(table, entry),
                         (uint32_t)(entry->change & 0xff), table->value_bytes};
}

// Size of a wide row's record.
static inline uint32_t csti_wide_record_bytes(uint32_t key_bytes, uint32_t value_bytes) {
    return (16 + ((key_bytes + 7) & ~7u) + value_bytes + 31) & ~31u;
}

#endif
