// RESTORE: log records become rows, unlogged. Parsed in groups, so that the same pipeline as
// APPLY's hides the misses.
#include "table/restore.h"
#include "table/apply.h"
#include "table/pipeline.h"
#include "table/slab.h"

enum {
    RESTORE_ROWS = 256,
    RECORDS_AHEAD = 64, // of those that lie anywhere
};

typedef struct restore_pass {
    cst_table *table;
    uint64_t hashes[RESTORE_ROWS];
    const csti_record *records[RESTORE_ROWS];
    uint32_t count;
    uint32_t applied;
    cst_code code;
} restore_pass;

// Whether the record at `bytes` keeps every rule that needs no table content.
static bool record_is_sound(const cst_table *table, const csti_record *record, size_t rest) {
    const uint32_t flags = record->value_flags & CSTI_RECORD_FLAGS;
    const uint32_t value_bytes = record->value_flags & CSTI_RECORD_VALUE_MASK;
    const size_t bytes = (size_t)record->units * CSTI_LOG_UNIT;

    if (record->units == 0 || bytes > rest) return false;
    if (record->value_flags & ~(CSTI_RECORD_FLAGS | CSTI_RECORD_VALUE_MASK)) return false;
    if (flags == CSTI_RECORD_GAP && record->key_bytes == 0)
        return record->hash == 0 && value_bytes == 0;
    if (flags == 0 || (flags & (flags - 1)) != 0) return false;
    if (table->control->layout == CST_TABLE_INLINE)
        return bytes == table->entry_bytes && record->key_bytes <= table->key_bytes &&
               (value_bytes == table->value_bytes ||
                (flags == CSTI_RECORD_TOMBSTONE && value_bytes == 0));
    if (flags == CSTI_RECORD_GAP || (flags == CSTI_RECORD_TOMBSTONE && value_bytes != 0))
        return false;
    return value_bytes <= CST_WIDE_VALUE_BYTES_MAX &&
           csti_wide_record_bytes(record->key_bytes, value_bytes) <= bytes;
}

// Zeros between key and value and behind it, as the slot will hold them.
CSTI_INLINE bool padding_is_zero(const csti_record *record, uint32_t key_area) {
    const uint8_t *key = (const uint8_t *)(record + 1);
    const uint8_t *end = (const uint8_t *)record + record->units * (size_t)CSTI_LOG_UNIT;
    const uint8_t *value_end = key + key_area + (record->value_flags & CSTI_RECORD_VALUE_MASK);
    uint8_t seen = 0;

    for (const uint8_t *at = key + record->key_bytes; at < key + key_area; at++) seen |= *at;
    for (const uint8_t *at = value_end; at < end; at++) seen |= *at;
    return seen == 0;
}

CSTI_INLINE bool is_tombstone(const csti_record *record) {
    return (record->value_flags & CSTI_RECORD_TOMBSTONE) != 0;
}

CSTI_INLINE csti_key record_key(const csti_record *record) {
    return (csti_key){record->hash, (const uint8_t *)(record + 1), record->key_bytes};
}

static void forget(cst_table *table, const csti_place *place) {
    if (table->control->layout == CST_TABLE_WIDE) {
        const csti_wide_entry *entry = (const csti_wide_entry *)place->entry;
        csti_slab_give(table, entry->block, entry->block_class);
    }
    csti_place_vacate(table, place);
    table->control->rows_count--;
}

CSTI_INLINE cst_code restore_inline(cst_table *table, const csti_record *record,
                                    const csti_view *view, const csti_probe *probe,
                                    uint32_t entry_bytes) {
    const csti_key key = record_key(record);
    const csti_directory_row *segment = csti_view_row(view, key.hash);
    csti_entry *entry;
    csti_control_line *first_line;

    if (!padding_is_zero(record, table->key_area_bytes)) return CST_SEGMENT_RECORD;
    if (is_tombstone(record)) {
        const csti_place place = csti_find(table, segment, &key, false);

        if (place.line) forget(table, &place);
        return CST_OK;
    }
    entry = csti_probe_find(view, probe, &key, false);
    if (!entry) {
        const csti_place place = csti_find_free(table, segment, key.hash, &first_line);

        if (!place.line) return CST_TABLE_FULL;
        csti_place_occupy(&place, key.hash, first_line);
        table->control->rows_count++;
        entry = place.entry;
    }
    memcpy(entry, record, entry_bytes);
    entry->change = key.count;
    return CST_OK;
}

static cst_code restore_wide(cst_table *table, const csti_record *record, const csti_view *view) {
    const csti_key key = record_key(record);
    const csti_directory_row *segment = csti_view_row(view, key.hash);
    const uint32_t value_bytes = record->value_flags & CSTI_RECORD_VALUE_MASK;
    const uint32_t key_area = (key.count + 7) & ~7u;
    const uint32_t class = csti_slab_class(key_area + value_bytes);
    csti_place place = csti_find(table, segment, &key, true);
    csti_control_line *first_line = NULL;
    uint64_t block;

    if (!padding_is_zero(record, key_area)) return CST_SEGMENT_RECORD;
    // A later tombstone or record of the row must fit this table's log.
    if (csti_wide_record_bytes(key.count, value_bytes) >
        (UINT32_C(1) << table->log_segment_shift) - CSTI_LOG_LINE)
        return CST_VALUE_TOO_LONG;
    if (is_tombstone(record)) {
        if (place.line) forget(table, &place);
        return CST_OK;
    }
    const bool found = place.line != NULL;
    if (!found) place = csti_find_free(table, segment, key.hash, &first_line);
    if (!place.line) return CST_TABLE_FULL;
    csti_wide_entry *entry = (csti_wide_entry *)place.entry;
    if (found && entry->block_class == class) {
        block = entry->block;
    } else {
        const cst_code code = csti_slab_check(table, class);
        if (code != CST_OK) return code;
        block = csti_slab_take(table, class);
        if (found) csti_slab_give(table, entry->block, entry->block_class);
    }
    memset(table->slab + block, 0, csti_slab_class_bytes(class));
    memcpy(table->slab + block, key.bytes, key_area + value_bytes);
    *entry = (csti_wide_entry){.hash = key.hash,
                               .block = block,
                               .key_bytes = (uint16_t)key.count,
                               .block_class = (uint8_t) class,
                               .value_bytes = value_bytes};
    if (!found) {
        csti_place_occupy(&place, key.hash, first_line);
        table->control->rows_count++;
    }
    return CST_OK;
}

#define RESTORE_FINISH(NAME, CALL)                                                                 \
    CSTI_INLINE bool NAME(void *context, const csti_view *view, uint32_t row, uint64_t hash,       \
                          const csti_probe *probe) {                                               \
        restore_pass *pass = context;                                                              \
        const cst_code code = CALL;                                                                \
        (void)hash, (void)probe; /* the record has the one, a wide row needs not the other */      \
                                                                                                   \
        if (__builtin_expect(code == CST_OK, 1)) return true;                                      \
        pass->code = code;                                                                         \
        return false;                                                                              \
    }

RESTORE_FINISH(finish_wide, restore_wide(pass->table, pass->records[row], view))
RESTORE_FINISH(finish_inline,
               restore_inline(pass->table, pass->records[row], view, probe, view->widths.entry))

static void run(restore_pass *pass) {
    const csti_pipeline_kind kind = {.inserts = true};
    const csti_pipeline_kind kind_wide = {.inserts = true, .wide = true};
    const cst_rows rows = {.rows_count = pass->count, .hashes = pass->hashes};
    const csti_widths widths = csti_table_widths(pass->table);

    pass->code = CST_OK;
    if (pass->table->control->layout == CST_TABLE_WIDE)
        pass->applied = csti_pipeline(pass->table, &rows, widths, kind_wide, finish_wide, pass);
    else if (csti_widths_equal(widths, CSTI_WIDTHS_16_64))
        pass->applied =
            csti_pipeline(pass->table, &rows, CSTI_WIDTHS_16_64, kind, finish_inline, pass);
    else if (csti_widths_equal(widths, CSTI_WIDTHS_8_32))
        pass->applied =
            csti_pipeline(pass->table, &rows, CSTI_WIDTHS_8_32, kind, finish_inline, pass);
    else
        pass->applied = csti_pipeline(pass->table, &rows, widths, kind, finish_inline, pass);
}

// The kind of a row with the longest key; of a wide table: of no record.
static uint64_t plain_kind(const cst_table *table) {
    const csti_record row = {.key_bytes = (uint16_t)table->key_bytes,
                             .units = (uint16_t)(table->entry_bytes / CSTI_LOG_UNIT),
                             .value_flags = CSTI_RECORD_PRESENT | table->value_bytes};

    if (table->control->layout == CST_TABLE_WIDE) return UINT64_MAX;
    return csti_record_kind((const uint8_t *)&row);
}

// Of `rest` bytes: nearly always a row with the longest key, known by one word.
CSTI_INLINE bool record_is_good(const cst_table *table, const csti_record *record, uint64_t plain,
                                size_t rest) {
    if (rest >= table->entry_bytes && csti_record_kind((const uint8_t *)record) == plain)
        return true;
    return rest >= sizeof *record && record_is_sound(table, record, rest);
}

CSTI_INLINE bool is_gap(const csti_record *record) {
    return (record->value_flags & CSTI_RECORD_GAP) != 0;
}

// All of it, or what is beside the key and the value of a row that was set aside.
static bool gap_is_zero(const cst_table *table, const csti_record *record) {
    return padding_is_zero(record, record->key_bytes ? table->key_area_bytes : 0);
}

bool csti_record_is_restorable(const cst_table *table, const csti_record *record, size_t rest) {
    if (rest < sizeof *record || !record_is_sound(table, record, rest)) return false;
    return is_gap(record) ? gap_is_zero(table, record)
                          : padding_is_zero(record, table->key_area_bytes);
}

cst_code cst_table_restore_records(cst_table *table, const uint8_t *bytes, size_t count,
                                   size_t *used_out) {
    const uint64_t plain = plain_kind(table);
    restore_pass pass = {.table = table};
    size_t used = 0;

    *used_out = 0;
    if ((uintptr_t)bytes % 8 != 0) return CST_USAGE;
    while (used < count) {
        uint32_t rows_count = 0;
        bool sound = true;

        while (used < count && rows_count < RESTORE_ROWS) {
            const csti_record *record = (const csti_record *)(bytes + used);

            sound = record_is_good(table, record, plain, count - used) &&
                    (!is_gap(record) || gap_is_zero(table, record));
            if (!sound) break;
            used += (size_t)record->units * CSTI_LOG_UNIT;
            if (is_gap(record)) continue;
            pass.records[rows_count] = record;
            pass.hashes[rows_count++] = record->hash;
        }
        pass.count = rows_count;
        run(&pass);
        if (pass.code != CST_OK) {
            *used_out = (size_t)((const uint8_t *)pass.records[pass.applied] - bytes);
            return pass.code;
        }
        *used_out = used;
        if (!sound) return CST_SEGMENT_RECORD;
    }
    return CST_OK;
}

cst_code csti_table_restore_each(cst_table *table, const uint8_t *const *records, size_t count,
                                 size_t *used_out) {
    const uint64_t plain = plain_kind(table);
    restore_pass pass = {.table = table};
    size_t used = 0;

    *used_out = 0;
    while (used < count) {
        uint32_t rows_count = 0;
        bool sound = true;

        for (; used < count && rows_count < RESTORE_ROWS; used++) {
            const csti_record *record = (const csti_record *)records[used];

            if (used + RECORDS_AHEAD < count) {
                __builtin_prefetch(records[used + RECORDS_AHEAD]);
                __builtin_prefetch(records[used + RECORDS_AHEAD] + 64);
            }
            sound = record_is_good(table, record, plain, SIZE_MAX) && !is_gap(record);
            if (!sound) break;
            pass.records[rows_count] = record;
            pass.hashes[rows_count++] = record->hash;
        }
        pass.count = rows_count;
        run(&pass);
        *used_out = used - rows_count + pass.applied;
        if (pass.code != CST_OK) return pass.code;
        if (!sound) return CST_SEGMENT_RECORD;
    }
    return CST_OK;
}
