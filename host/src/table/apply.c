#include "table/apply.h"
#include "table/pipeline.h"
#include "table/program.h"
#include "table/slab.h"

// ---- Inline rows --------------------------------------------------------------------------------

// The slot's row as a record: hash, key area and value stand at the same offsets in both.
CSTI_INLINE void record_write(csti_record *record, const csti_entry *entry, csti_widths widths) {
    memcpy((uint8_t *)record + 16, (const uint8_t *)entry + 16, widths.entry - 16);
    record->hash = entry->hash;
    record->key_bytes = (uint16_t)(entry->change & 0xff);
    record->units = (uint16_t)(widths.entry / CSTI_LOG_UNIT);
    record->value_flags = widths.value | CSTI_RECORD_PRESENT;
}

CSTI_INLINE void record_bury(const cst_table *table, csti_record *record, const csti_entry *entry) {
    const uint32_t key_bytes = (uint32_t)(entry->change & 0xff);

    memcpy((uint8_t *)record + 16, (const uint8_t *)entry + 16, table->key_area_bytes);
    memset((uint8_t *)record + table->value_offset, 0, table->entry_bytes - table->value_offset);
    record->hash = entry->hash;
    record->key_bytes = (uint16_t)key_bytes;
    record->units = (uint16_t)(table->entry_bytes / CSTI_LOG_UNIT);
    record->value_flags = CSTI_RECORD_TOMBSTONE;
}

// What a batch's rows share.
typedef struct apply_pass {
    cst_table *table;
    const cst_rows *rows;
    cst_code code; // why the pass stopped
} apply_pass;

CSTI_INLINE cst_code upsert_found(const apply_pass *pass, uint32_t row, csti_entry *entry,
                                  csti_record *record, csti_widths widths, bool replace) {
    cst_table *table = pass->table;
    const cst_rows *rows = pass->rows;
    uint8_t *value = (uint8_t *)entry + widths.value_offset;
    uint8_t folded[CST_INLINE_ENTRY_BYTES_MAX];
    const uint8_t *source = folded;
    uint64_t offset;

    if (replace) {
        source = rows->values + (size_t)row * rows->value_stride;
    } else {
        const cst_program *program = &table->control->program;
        const bool fresh = csti_program_expired(program, value, rows->now_us);

        if (fresh)
            memset(folded, 0, widths.value);
        else
            memcpy(folded, value, widths.value);
        const cst_code code = csti_program_fold(program, rows, row, fresh, folded);
        if (__builtin_expect(code != CST_OK, 0)) return code;
    }
    if (record) { // the open epoch's: it has everything but the new value
        memcpy((uint8_t *)record + widths.value_offset, source, widths.value);
        memcpy(value, source, widths.value);
        return CST_OK;
    }
    const cst_code code = csti_log_check(table, widths.entry);
    if (__builtin_expect(code != CST_OK, 0)) return code;
    record = csti_log_append(table, widths.entry, &offset);
    entry->change = csti_change_word(offset, (uint32_t)(entry->change & 0xff));
    memcpy(value, source, widths.value);
    record_write(record, entry, widths);
    return CST_OK;
}

CSTI_INLINE cst_code upsert_new(const apply_pass *pass, uint32_t row, const csti_key *key,
                                const csti_directory_row *segment, csti_widths widths,
                                bool replace) {
    cst_table *table = pass->table;
    const cst_rows *rows = pass->rows;
    uint8_t folded[CST_INLINE_ENTRY_BYTES_MAX];
    const uint8_t *source = folded;
    csti_control_line *first_line;
    uint64_t offset;
    cst_code code;

    if (replace) {
        source = rows->values + (size_t)row * rows->value_stride;
    } else {
        memset(folded, 0, widths.value);
        code = csti_program_fold(&table->control->program, rows, row, true, folded);
        if (code != CST_OK) return code;
    }
    const csti_place place = csti_find_free(table, segment, key->hash, &first_line);
    if (!place.line) return CST_TABLE_FULL;
    code = csti_log_check(table, widths.entry);
    if (code != CST_OK) return code;

    csti_record *record = csti_log_append(table, widths.entry, &offset);
    place.entry->hash = key->hash;
    place.entry->change = csti_change_word(offset, key->count);
    memcpy(place.entry + 1, key->bytes, key->count);
    memcpy((uint8_t *)place.entry + widths.value_offset, source, widths.value);
    csti_place_occupy(&place, key->hash, first_line);
    record_write(record, place.entry, widths);
    table->control->rows_count++;
    return CST_OK;
}

// ---- Wide rows ----------------------------------------------------------------------------------

static void wide_record_write(csti_record *record, const cst_row_ref *row, uint32_t units,
                              uint32_t flag) {
    uint8_t *key = (uint8_t *)(record + 1);
    const uint32_t key_area = (row->key_bytes + 7) & ~7u;

    memset(record, 0, (size_t)units * CSTI_LOG_UNIT);
    record->hash = row->hash;
    record->key_bytes = (uint16_t)row->key_bytes;
    record->units = (uint16_t)units;
    record->value_flags = row->value_bytes | flag;
    memcpy(key, row->key, row->key_bytes);
    if (row->value_bytes > 0) memcpy(key + key_area, row->value, row->value_bytes);
}

// The record that `bytes` may be written to: the open epoch's own if it is large enough, or none.
static csti_record *wide_open_record(const cst_table *table, const csti_entry *entry,
                                     uint32_t bytes) {
    const uint64_t offset = csti_entry_open_record(table, entry);
    csti_record *record = offset != 0 ? csti_log_record(table, offset) : NULL;

    return record && record->units * (uint32_t)CSTI_LOG_UNIT >= bytes ? record : NULL;
}

static void wide_block_write(cst_table *table, csti_wide_entry *entry, const cst_row_ref *row,
                             uint32_t class) {
    uint8_t *block = table->slab + entry->block;
    const uint32_t key_area = (row->key_bytes + 7) & ~7u;

    memset(block, 0, csti_slab_class_bytes(class));
    memcpy(block, row->key, row->key_bytes);
    if (row->value_bytes > 0) memcpy(block + key_area, row->value, row->value_bytes);
    entry->hash = row->hash;
    entry->key_bytes = (uint16_t)row->key_bytes;
    entry->block_class = (uint8_t) class;
    entry->value_bytes = row->value_bytes;
}

static cst_code wide_upsert(cst_table *table, const cst_row_ref *row, const csti_place *found,
                            const csti_directory_row *segment) {
    const uint32_t block_bytes = ((row->key_bytes + 7) & ~7u) + row->value_bytes;
    const uint32_t record_bytes = csti_wide_record_bytes(row->key_bytes, row->value_bytes);
    const uint32_t class = csti_slab_class(block_bytes);
    csti_control_line *first_line = NULL;
    csti_place place = *found;
    csti_record *record = NULL;
    uint64_t offset = 0;

    if (!found->line) place = csti_find_free(table, segment, row->hash, &first_line);
    if (!place.line) return CST_TABLE_FULL;
    csti_wide_entry *entry = (csti_wide_entry *)place.entry;
    const bool moves = !found->line || entry->block_class != class;

    if (moves) {
        const cst_code code = csti_slab_check(table, class);
        if (code != CST_OK) return code;
    }
    if (found->line) record = wide_open_record(table, place.entry, record_bytes);
    if (!record) {
        // Block and segment may both be new: the budget must hold both.
        const uint64_t budget_bytes = table->budget_bytes;
        const bool carves = moves && table->control->slab_free[class] == 0;

        if (carves) table->budget_bytes -= csti_slab_class_bytes(class);
        const cst_code code = csti_log_check(table, record_bytes);
        table->budget_bytes = budget_bytes;
        if (code != CST_OK) return code;
        record = csti_log_append(table, record_bytes, &offset);
        record->units = (uint16_t)(record_bytes / CSTI_LOG_UNIT);
    }
    wide_record_write(record, row, record->units, CSTI_RECORD_PRESENT);
    if (moves) {
        const uint64_t block = csti_slab_take(table, class);

        if (found->line) csti_slab_give(table, entry->block, entry->block_class);
        entry->block = block;
    }
    wide_block_write(table, entry, row, class);
    if (offset != 0) entry->change = csti_change_word(offset, 0);
    if (!found->line) {
        csti_place_occupy(&place, row->hash, first_line);
        table->control->rows_count++;
    }
    return CST_OK;
}

static cst_code wide_delete_at(cst_table *table, const csti_place *place) {
    csti_wide_entry *entry = (csti_wide_entry *)place->entry;
    cst_row_ref row = csti_entry_row(table, place->entry);
    const uint32_t bytes = csti_wide_record_bytes(row.key_bytes, 0);
    csti_record *record = wide_open_record(table, place->entry, bytes);
    uint64_t offset;

    if (!record) {
        const cst_code code = csti_log_check(table, bytes);
        if (code != CST_OK) return code;
        record = csti_log_append(table, bytes, &offset);
        record->units = (uint16_t)(bytes / CSTI_LOG_UNIT);
    }
    row.value_bytes = 0;
    wide_record_write(record, &row, record->units, CSTI_RECORD_TOMBSTONE);
    csti_slab_give(table, entry->block, entry->block_class);
    csti_place_vacate(table, place);
    table->control->rows_count--;
    return CST_OK;
}

// ---- Rows ---------------------------------------------------------------------------------------

cst_code csti_delete_at(cst_table *table, const csti_place *place) {
    uint64_t offset = csti_entry_open_record(table, place->entry);
    csti_record *record;

    if (table->control->layout == CST_TABLE_WIDE) return wide_delete_at(table, place);
    if (offset == 0) {
        const cst_code code = csti_log_check(table, table->entry_bytes);
        if (code != CST_OK) return code;
        record = csti_log_append(table, table->entry_bytes, &offset);
    } else {
        record = csti_log_record(table, offset);
    }
    record_bury(table, record, place->entry);
    csti_place_vacate(table, place);
    table->control->rows_count--;
    return CST_OK;
}

CSTI_INLINE bool is_delete(const cst_rows *rows, uint32_t row) {
    return rows->ops && rows->ops[row] == CST_ROW_DELETE;
}

static cst_code delete_inline(const apply_pass *pass, const csti_view *view, const csti_key *key) {
    cst_table *table = pass->table;
    const csti_place place = csti_find(table, csti_view_row(view, key->hash), key, false);

    if (!place.line) return CST_OK;
    if (csti_program_expired(&table->control->program, csti_entry_value(table, place.entry),
                             pass->rows->now_us))
        return CST_OK;
    return csti_delete_at(table, &place);
}

// key_bytes: of every key, a constant; 0: as the rows say.
CSTI_INLINE cst_code apply_inline(const apply_pass *pass, const csti_view *view, uint32_t row,
                                  uint64_t hash, const csti_probe *probe, uint32_t key_bytes,
                                  bool replace) {
    const cst_rows *rows = pass->rows;
    const csti_widths widths = view->widths;
    csti_key key = {hash, rows->keys + (size_t)row * rows->key_stride, key_bytes};

    if (key_bytes == 0) key = csti_row_key(rows, row, rows->key_bytes, hash);
    if (__builtin_expect(key.count > widths.key, 0)) return CST_KEY_TOO_LONG;
    csti_entry *entry = csti_probe_find(view, probe, &key, false);
    if (__builtin_expect(is_delete(rows, row), 0)) return delete_inline(pass, view, &key);
    if (__builtin_expect(entry != NULL, 1))
        return upsert_found(pass, row, entry, csti_probe_record(view, probe, entry), widths,
                            replace);
    return upsert_new(pass, row, &key, csti_view_row(view, hash), widths, replace);
}

static cst_code apply_wide(const apply_pass *pass, const csti_view *view, uint32_t row,
                           uint64_t hash) {
    cst_table *table = pass->table;
    const cst_rows *rows = pass->rows;
    const csti_key key = csti_row_key(rows, row, rows->key_bytes, hash);
    const csti_directory_row *segment = csti_view_row(view, hash);
    cst_row_ref ref = {.hash = key.hash, .key = key.bytes, .key_bytes = key.count};

    if (key.count > CST_WIDE_KEY_BYTES_MAX) return CST_KEY_TOO_LONG;
    if (!is_delete(rows, row)) {
        ref.value = rows->values + rows->value_offsets[row];
        ref.value_bytes = rows->value_offsets[row + 1] - rows->value_offsets[row];
        if (ref.value_bytes > CST_WIDE_VALUE_BYTES_MAX) return CST_VALUE_TOO_LONG;
        if (csti_wide_record_bytes(ref.key_bytes, ref.value_bytes) >
            (UINT32_C(1) << table->log_segment_shift) - CSTI_LOG_LINE)
            return CST_VALUE_TOO_LONG;
    }
    const csti_place place = csti_find(table, segment, &key, true);
    if (!is_delete(rows, row)) return wide_upsert(table, &ref, &place, segment);
    return place.line ? wide_delete_at(table, &place) : CST_OK;
}

#define APPLY_FINISH(NAME, CALL)                                                                   \
    CSTI_INLINE bool NAME(void *context, const csti_view *view, uint32_t row, uint64_t hash,       \
                          const csti_probe *probe) {                                               \
        apply_pass *pass = context;                                                                \
        const cst_code code = CALL;                                                                \
        (void)probe; /* a wide row is searched */                                                  \
                                                                                                   \
        if (__builtin_expect(code == CST_OK, 1)) return true;                                      \
        pass->code = code;                                                                         \
        return false;                                                                              \
    }

APPLY_FINISH(finish_wide, apply_wide(pass, view, row, hash))
APPLY_FINISH(finish_replace, apply_inline(pass, view, row, hash, probe, 0, true))
APPLY_FINISH(finish_fold, apply_inline(pass, view, row, hash, probe, 0, false))
APPLY_FINISH(finish_replace_16, apply_inline(pass, view, row, hash, probe, 16, true))
APPLY_FINISH(finish_fold_16, apply_inline(pass, view, row, hash, probe, 16, false))
APPLY_FINISH(finish_fold_8, apply_inline(pass, view, row, hash, probe, 8, false))

cst_code cst_table_apply(cst_table *table, const cst_rows *rows, uint32_t *applied_out) {
    apply_pass pass = {table, rows, CST_OK};
    const csti_widths widths = csti_table_widths(table);
    const bool replace = table->control->program.accumulators_count == 0;
    const uint32_t key_bytes = rows->key_offsets ? 0 : rows->key_bytes;
    const csti_pipeline_kind kind = {.inserts = true, .writes = true};
    const csti_pipeline_kind kind_wide = {.inserts = true, .wide = true, .writes = true};
    uint32_t stop;

    *applied_out = 0;
    if (!replace && !csti_program_takes(&table->control->program, rows)) return CST_USAGE;
    if (table->control->layout == CST_TABLE_WIDE)
        stop = csti_pipeline(table, rows, widths, kind_wide, finish_wide, &pass);
    else if (replace && key_bytes == 16 && csti_widths_equal(widths, CSTI_WIDTHS_16_64))
        stop = csti_pipeline(table, rows, CSTI_WIDTHS_16_64, kind, finish_replace_16, &pass);
    else if (replace)
        stop = csti_pipeline(table, rows, widths, kind, finish_replace, &pass);
    else if (key_bytes == 16 && csti_widths_equal(widths, CSTI_WIDTHS_16_64))
        stop = csti_pipeline(table, rows, CSTI_WIDTHS_16_64, kind, finish_fold_16, &pass);
    else if (key_bytes == 8 && csti_widths_equal(widths, CSTI_WIDTHS_8_32))
        stop = csti_pipeline(table, rows, CSTI_WIDTHS_8_32, kind, finish_fold_8, &pass);
    else
        stop = csti_pipeline(table, rows, widths, kind, finish_fold, &pass);
    *applied_out = stop - rows->first_row;
    return pass.code;
}
