#include "table/reference.h"

#include "table/reference_parts.h"

#include <string.h>

// ---- SCAN ---------------------------------------------------------------------------------------

cst_code csti_reference_scan(cst_table *table, cst_scan *scan, cst_row_ref *out, uint32_t capacity,
                             uint32_t *count_out) {
    const uint64_t slots_all = (uint64_t)table->control->chunks_frontier * CSTI_CHUNK_SLOTS;
    uint32_t count = 0;

    if (scan->position == 0) scan->grows = table->control->grows_count;
    if (scan->grows != table->control->grows_count) return CST_AGAIN;
    for (; scan->position < slots_all && count < capacity; scan->position++) {
        const uint64_t chunk = scan->position / CSTI_CHUNK_SLOTS;
        const uint64_t in_chunk = scan->position % CSTI_CHUNK_SLOTS;
        const csti_control_line *line =
            csti_chunk_lines(table, (uint32_t)chunk) + in_chunk / CSTI_BUCKET_SLOTS;
        const csti_entry *entry =
            (const csti_entry *)(table->slots + chunk * table->chunk_slot_bytes +
                                 in_chunk * table->entry_bytes);
        reference_row row;

        if ((line->occupied >> in_chunk % CSTI_BUCKET_SLOTS & 1) == 0) continue;
        row = csti_reference_read(table, entry);
        if (csti_reference_expired(table, &row, scan->now_us)) continue;
        out[count++] = (cst_row_ref){.hash = row.hash,
                                     .key = row.key,
                                     .value = row.value,
                                     .key_bytes = row.key_bytes,
                                     .value_bytes = row.value_bytes};
    }
    *count_out = count;
    return CST_OK;
}

// ---- RESTORE ------------------------------------------------------------------------------------

static bool is_zero(const uint8_t *bytes, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (bytes[i] != 0) return false;
    return true;
}

// Rules that the head alone can break.
static bool head_is_right(const cst_table *table, const csti_record *head) {
    const uint32_t flags = head->value_flags & CSTI_RECORD_FLAGS;
    const uint32_t value_bytes = head->value_flags & CSTI_RECORD_VALUE_MASK;

    if (__builtin_popcount(flags) != 1) return false;
    if ((head->value_flags & ~(CSTI_RECORD_FLAGS | CSTI_RECORD_VALUE_MASK)) != 0) return false;
    if (head->units == 0) return false;
    if (flags == CSTI_RECORD_GAP && head->key_bytes == 0)
        return head->hash == 0 && value_bytes == 0;
    if (csti_reference_is_wide(table))
        return (flags == CSTI_RECORD_PRESENT ||
                (flags == CSTI_RECORD_TOMBSTONE && value_bytes == 0)) &&
               value_bytes <= CST_WIDE_VALUE_BYTES_MAX &&
               csti_reference_record_bytes(table, head->key_bytes, value_bytes) <=
                   head->units * (uint32_t)CSTI_LOG_UNIT;
    if (head->units * (uint32_t)CSTI_LOG_UNIT != table->entry_bytes) return false;
    if (head->key_bytes > table->control->key_bytes) return false;
    if (flags == CSTI_RECORD_TOMBSTONE && value_bytes == 0) return true;
    return value_bytes == table->control->value_bytes;
}

// Everything between and behind key and value is zeros.
static bool padding_is_zero(const reference_row *row, const uint8_t *end) {
    const uint8_t *key_end = row->key + row->key_bytes;
    const uint8_t *value_end = row->value + row->value_bytes;

    return is_zero(key_end, (size_t)(row->value - key_end)) &&
           is_zero(value_end, (size_t)(end - value_end));
}

// A gap without a key is a row of nothing: all of it is padding.
static reference_row record_row(const cst_table *table, const csti_record *head) {
    const uint8_t *key = (const uint8_t *)(head + 1);
    const uint32_t value_bytes = head->value_flags & CSTI_RECORD_VALUE_MASK;
    uint64_t key_area = table->key_area_bytes;

    if (csti_reference_is_wide(table)) key_area = csti_reference_round_up(head->key_bytes, 8);
    if ((head->value_flags & CSTI_RECORD_GAP) != 0 && head->key_bytes == 0) key_area = 0;
    return (reference_row){.hash = head->hash,
                           .key = key,
                           .key_bytes = head->key_bytes,
                           .value = key + key_area,
                           .value_bytes = value_bytes};
}

// `left`: the bytes there are.
static bool record_is_right(const cst_table *table, const csti_record *head, size_t left) {
    reference_row row;

    if (left < sizeof *head) return false;
    if (head->units * (size_t)CSTI_LOG_UNIT > left) return false;
    if (!head_is_right(table, head)) return false;
    row = record_row(table, head);
    return padding_is_zero(&row, (const uint8_t *)head + head->units * (size_t)CSTI_LOG_UNIT);
}

static cst_code restore_row(cst_table *table, const reference_row *row) {
    const bool is_wide = csti_reference_is_wide(table);
    const uint32_t block_class =
        is_wide ? csti_reference_class(row->key_bytes, row->value_bytes) : 0;
    csti_control_line *overflowed = NULL;
    csti_wide_entry old = {0};
    reference_place place;
    uint64_t block, used_more;
    cst_code code = CST_OK;
    const bool found = csti_reference_search(table, row, &place);

    if (!found) code = csti_reference_find_place(table, row->hash, &place, &overflowed);
    if (code != CST_OK) return code;
    if (is_wide && found) old = *(const csti_wide_entry *)place.entry;
    block = old.block;
    if (is_wide && !(found && old.block_class == block_class)) {
        code = csti_reference_slab_check(table, block_class, &used_more);
        if (code != CST_OK) return code;
        block = csti_reference_slab_take(table, block_class);
        if (found) csti_reference_slab_free(table, old.block, old.block_class);
    }
    csti_reference_write(table, place.entry, row, 0, block, block_class);
    if (!found) csti_reference_occupy(table, &place, overflowed, row->hash);
    return CST_OK;
}

static cst_code restore_record(cst_table *table, const reference_row *row, uint32_t flags) {
    reference_place place;

    if (flags == CSTI_RECORD_GAP) return CST_OK;
    if (csti_reference_record_bytes(table, row->key_bytes, row->value_bytes) >
        table->control->log_segment_bytes - CSTI_LOG_LINE)
        return CST_VALUE_TOO_LONG;
    if (flags == CSTI_RECORD_PRESENT) return restore_row(table, row);
    if (csti_reference_search(table, row, &place)) csti_reference_vacate(table, &place);
    return CST_OK;
}

cst_code csti_reference_restore_records(cst_table *table, const uint8_t *bytes, size_t count,
                                        size_t *used_out) {
    cst_code code = CST_OK;

    *used_out = 0;
    if ((uintptr_t)bytes % 8 != 0) return CST_USAGE;
    while (code == CST_OK && *used_out < count) {
        const uint8_t *at = bytes + *used_out;
        const csti_record *head = (const csti_record *)at;

        code = CST_SEGMENT_RECORD;
        if (record_is_right(table, head, count - *used_out)) {
            const reference_row row = record_row(table, head);

            code = restore_record(table, &row, head->value_flags & CSTI_RECORD_FLAGS);
        }
        if (code == CST_OK) *used_out += head->units * (size_t)CSTI_LOG_UNIT;
    }
    return code;
}
