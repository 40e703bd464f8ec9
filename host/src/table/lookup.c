#include "table/apply.h"
#include "table/pipeline.h"
#include "table/program.h"

typedef struct lookup_pass {
    const cst_table *table;
    const cst_rows *keys;
    uint8_t *values;
    uint32_t values_stride;
    uint8_t *found;
    cst_bytes *refs;
} lookup_pass;

// The row's slot, or NULL where it is absent or past its time.
CSTI_INLINE const csti_entry *lookup_entry(const lookup_pass *pass, const csti_view *view,
                                           const csti_probe *probe, const csti_key *key,
                                           bool wide) {
    const cst_program *program = &pass->table->control->program;

    if (!probe->entry) return NULL; // nothing changes while a batch is read
    const csti_entry *entry = csti_probe_find(view, probe, key, wide);
    if (!entry || wide) return entry;
    if (csti_program_expired(program, (const uint8_t *)entry + view->widths.value_offset,
                             pass->keys->now_us))
        return NULL;
    return entry;
}

CSTI_INLINE bool copy_found(const lookup_pass *pass, const csti_view *view, uint32_t row,
                            uint64_t hash, const csti_probe *probe, uint32_t key_bytes) {
    csti_key key = {hash, pass->keys->keys + (size_t)row * pass->keys->key_stride, key_bytes};

    if (key_bytes == 0) key = csti_row_key(pass->keys, row, pass->keys->key_bytes, hash);
    const csti_entry *entry = lookup_entry(pass, view, probe, &key, false);

    pass->found[row] = entry != NULL;
    if (entry)
        memcpy(pass->values + (size_t)row * pass->values_stride,
               (const uint8_t *)entry + view->widths.value_offset, view->widths.value);
    return true;
}

CSTI_INLINE bool finish_copy(void *context, const csti_view *view, uint32_t row, uint64_t hash,
                             const csti_probe *probe) {
    return copy_found(context, view, row, hash, probe, 0);
}

CSTI_INLINE bool finish_copy_16(void *context, const csti_view *view, uint32_t row, uint64_t hash,
                                const csti_probe *probe) {
    return copy_found(context, view, row, hash, probe, 16);
}

CSTI_INLINE bool refer(const lookup_pass *pass, const csti_view *view, uint32_t row, uint64_t hash,
                       const csti_probe *probe, bool wide) {
    const csti_key key = csti_row_key(pass->keys, row, pass->keys->key_bytes, hash);
    const csti_entry *entry = lookup_entry(pass, view, probe, &key, wide);
    cst_row_ref ref;

    pass->refs[row] = (cst_bytes){0};
    if (!entry) return true;
    ref = csti_entry_row(pass->table, entry);
    pass->refs[row] = (cst_bytes){ref.value, ref.value_bytes};
    return true;
}

CSTI_INLINE bool finish_refer(void *context, const csti_view *view, uint32_t row, uint64_t hash,
                              const csti_probe *probe) {
    return refer(context, view, row, hash, probe, false);
}

CSTI_INLINE bool finish_refer_wide(void *context, const csti_view *view, uint32_t row,
                                   uint64_t hash, const csti_probe *probe) {
    return refer(context, view, row, hash, probe, true);
}

static const csti_pipeline_kind READS = {0};
static const csti_pipeline_kind READS_WIDE = {.wide = true};

cst_code cst_table_lookup(cst_table *table, const cst_rows *keys, uint8_t *values_out,
                          uint32_t values_stride, uint8_t *found_out) {
    lookup_pass pass = {.table = table,
                        .keys = keys,
                        .values = values_out,
                        .values_stride = values_stride,
                        .found = found_out};
    const csti_widths widths = csti_table_widths(table);

    if (table->control->layout == CST_TABLE_WIDE) return CST_UNSUPPORTED;
    if (!keys->key_offsets && keys->key_bytes == 16 && csti_widths_equal(widths, CSTI_WIDTHS_16_64))
        (void)csti_pipeline(table, keys, CSTI_WIDTHS_16_64, READS, finish_copy_16, &pass);
    else
        (void)csti_pipeline(table, keys, widths, READS, finish_copy, &pass);
    return CST_OK;
}

cst_code cst_table_lookup_refs(cst_table *table, const cst_rows *keys, cst_bytes *out) {
    lookup_pass pass = {.table = table, .keys = keys, .refs = out};
    const csti_widths widths = csti_table_widths(table);

    if (table->control->layout == CST_TABLE_WIDE)
        (void)csti_pipeline(table, keys, widths, READS_WIDE, finish_refer_wide, &pass);
    else
        (void)csti_pipeline(table, keys, widths, READS, finish_refer, &pass);
    return CST_OK;
}

void csti_hash_rows(const cst_table *table, const cst_rows *rows, uint32_t first, uint32_t count,
                    uint64_t *hashes_out) {
    if (rows->key_offsets)
        cst_hash_variable(&table->hash_key, rows->keys, rows->key_offsets + first, count,
                          hashes_out);
    else
        cst_hash_fixed(&table->hash_key, rows->keys + (size_t)first * rows->key_stride,
                       rows->key_bytes, rows->key_stride, count, hashes_out);
}
