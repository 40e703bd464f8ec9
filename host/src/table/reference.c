#include "table/reference.h"

#include "table/reference_parts.h"

#include <string.h>

// ---- Rows in slots ------------------------------------------------------------------------------

reference_row csti_reference_read(const cst_table *table, const csti_entry *entry) {
    const uint8_t *bytes = (const uint8_t *)entry;
    reference_row row = {.hash = entry->hash};

    if (csti_reference_is_wide(table)) {
        const csti_wide_entry *wide = (const csti_wide_entry *)entry;

        row.key = table->slab + wide->block;
        row.key_bytes = wide->key_bytes;
        row.value = row.key + csti_reference_round_up(wide->key_bytes, 8);
        row.value_bytes = wide->value_bytes;
    } else {
        row.key = bytes + 16;
        row.key_bytes = entry->change & 0xff;
        row.value = bytes + 16 + table->key_area_bytes;
        row.value_bytes = table->control->value_bytes;
    }
    return row;
}

void csti_reference_write(cst_table *table, csti_entry *entry, const reference_row *row,
                          uint64_t change_offset, uint64_t block, uint32_t block_class) {
    uint8_t *bytes = (uint8_t *)entry;
    const uint64_t change = change_offset / CSTI_LOG_UNIT << 8;

    if (csti_reference_is_wide(table)) {
        *(csti_wide_entry *)entry = (csti_wide_entry){.hash = row->hash,
                                                      .change = change,
                                                      .block = block,
                                                      .key_bytes = (uint16_t)row->key_bytes,
                                                      .block_class = (uint8_t)block_class,
                                                      .value_bytes = row->value_bytes};
        csti_reference_slab_write(table, block, block_class, row);
        return;
    }
    memset(bytes, 0, table->entry_bytes);
    *entry = (csti_entry){.hash = row->hash, .change = change | row->key_bytes};
    if (row->key_bytes > 0) memcpy(bytes + 16, row->key, row->key_bytes);
    if (row->value_bytes > 0)
        memcpy(bytes + 16 + table->key_area_bytes, row->value, row->value_bytes);
}

static uint64_t change_offset(const csti_entry *entry) {
    return (entry->change >> 8) * CSTI_LOG_UNIT;
}

static bool search_bucket(const cst_table *table, const csti_directory_row *segment,
                          uint32_t bucket, const reference_row *row, reference_place *out) {
    csti_control_line *line = csti_bucket_line(table, segment, bucket);

    for (uint32_t slot = 0; slot < CSTI_BUCKET_SLOTS; slot++) {
        csti_entry *entry = csti_slot(table, csti_bucket_slots(table, segment, bucket), slot);
        reference_row there;

        if ((line->occupied >> slot & 1) == 0) continue;
        if (line->tag[slot] != csti_hash_tag(row->hash)) continue;
        there = csti_reference_read(table, entry);
        if (there.hash != row->hash) continue;
        if (there.key_bytes != row->key_bytes) continue;
        if (row->key_bytes > 0 && memcmp(there.key, row->key, row->key_bytes) != 0) continue;
        *out = (reference_place){.line = line, .slot = slot, .entry = entry};
        return true;
    }
    return false;
}

static bool filter_has(const csti_control_line *line, uint64_t hash) {
    const uint32_t bit = csti_hash_tag(hash) % 128;

    return (line->overflow[bit / 64] >> bit % 64 & 1) != 0;
}

bool csti_reference_search(const cst_table *table, const reference_row *row, reference_place *out) {
    const csti_directory_row *segment = csti_directory_find(table, row->hash);
    const uint32_t buckets = segment->chunks * (uint32_t)CSTI_CHUNK_BUCKETS;
    const uint32_t first = csti_hash_bucket_first(row->hash, buckets);

    if (search_bucket(table, segment, first, row, out)) return true;
    if (!filter_has(csti_bucket_line(table, segment, first), row->hash)) return false;
    return search_bucket(table, segment, csti_hash_bucket_second(row->hash, buckets, first), row,
                         out);
}

bool csti_reference_expired(const cst_table *table, const reference_row *row, int64_t now_us) {
    const cst_program *program = &table->control->program;
    int64_t time_us;

    if (program->ttl_us == CST_TTL_NONE) return false;
    memcpy(&time_us, row->value + program->time_offset, sizeof time_us);
    return (__extension__(__int128) time_us) + program->ttl_us <= now_us;
}

cst_code csti_reference_find_place(const cst_table *table, uint64_t hash, reference_place *out,
                                   csti_control_line **overflowed_out) {
    const csti_directory_row *segment = csti_directory_find(table, hash);
    const uint32_t buckets = segment->chunks * (uint32_t)CSTI_CHUNK_BUCKETS;
    const uint32_t first = csti_hash_bucket_first(hash, buckets);
    const uint32_t second = csti_hash_bucket_second(hash, buckets, first);
    csti_control_line *first_line = csti_bucket_line(table, segment, first);
    csti_control_line *second_line = csti_bucket_line(table, segment, second);
    const int first_count = __builtin_popcount(first_line->occupied);
    const int second_count = __builtin_popcount(second_line->occupied);
    uint32_t bucket = first;
    uint32_t slot = 0;

    if (first_count >= CSTI_FIRST_UNTIL && second_count < first_count) bucket = second;
    out->line = bucket == first ? first_line : second_line;
    while (slot < CSTI_BUCKET_SLOTS && (out->line->occupied >> slot & 1) != 0) slot++;
    if (slot == CSTI_BUCKET_SLOTS) return CST_TABLE_FULL;
    out->slot = slot;
    out->entry = csti_slot(table, csti_bucket_slots(table, segment, bucket), slot);
    *overflowed_out = bucket == first ? NULL : first_line;
    return CST_OK;
}

void csti_reference_occupy(cst_table *table, const reference_place *place,
                           csti_control_line *overflowed, uint64_t hash) {
    const uint32_t bit = csti_hash_tag(hash) % 128;

    if (overflowed) overflowed->overflow[bit / 64] |= UINT64_C(1) << bit % 64;
    place->line->tag[place->slot] = (uint16_t)csti_hash_tag(hash);
    place->line->occupied |= (uint16_t)(1u << place->slot);
    table->control->rows_count++;
}

void csti_reference_vacate(cst_table *table, const reference_place *place) {
    if (csti_reference_is_wide(table)) {
        const csti_wide_entry *wide = (const csti_wide_entry *)place->entry;

        csti_reference_slab_free(table, wide->block, wide->block_class);
    }
    memset(place->entry, 0, table->entry_bytes);
    place->line->tag[place->slot] = 0;
    place->line->occupied &= (uint16_t) ~(1u << place->slot);
    table->control->rows_count--;
}

// ---- APPLY --------------------------------------------------------------------------------------

static reference_row row_key(const cst_table *table, const cst_rows *rows, uint32_t r) {
    reference_row row = {0};

    if (rows->key_offsets) {
        row.key = rows->keys + rows->key_offsets[r];
        row.key_bytes = rows->key_offsets[r + 1] - rows->key_offsets[r];
    } else {
        row.key = rows->keys + (size_t)r * rows->key_stride;
        row.key_bytes = rows->key_bytes;
    }
    row.hash = rows->hashes ? rows->hashes[r] : cst_hash(&table->hash_key, row.key, row.key_bytes);
    return row;
}

static bool key_too_long(const cst_table *table, uint32_t key_bytes) {
    if (csti_reference_is_wide(table)) return key_bytes > CST_WIDE_KEY_BYTES_MAX;
    return key_bytes > table->control->key_bytes;
}

// The bytes that a replacing upsert brings. CST_VALUE_TOO_LONG.
static cst_code bring_value(const cst_table *table, const cst_rows *rows, uint32_t r,
                            reference_row *row) {
    const uint32_t longest_record = table->control->log_segment_bytes - CSTI_LOG_LINE;

    if (csti_reference_is_wide(table)) {
        row->value = rows->values + rows->value_offsets[r];
        row->value_bytes = rows->value_offsets[r + 1] - rows->value_offsets[r];
        if (row->value_bytes > CST_WIDE_VALUE_BYTES_MAX) return CST_VALUE_TOO_LONG;
        if (csti_reference_record_bytes(table, row->key_bytes, row->value_bytes) > longest_record)
            return CST_VALUE_TOO_LONG;
    } else {
        row->value = rows->values + (size_t)r * rows->value_stride;
        row->value_bytes = table->control->value_bytes;
    }
    return CST_OK;
}

// Puts the row, whose value is the new one, where `place` says; `found`: it has that slot already.
static cst_code store(cst_table *table, const reference_row *row, reference_place *place,
                      bool found) {
    const bool is_wide = csti_reference_is_wide(table);
    const uint64_t old_offset = found ? change_offset(place->entry) : 0;
    const csti_wide_entry old_wide =
        is_wide && found ? *(const csti_wide_entry *)place->entry : (csti_wide_entry){0};
    const uint32_t record_bytes =
        csti_reference_record_bytes(table, row->key_bytes, row->value_bytes);
    const uint32_t block_class =
        is_wide ? csti_reference_class(row->key_bytes, row->value_bytes) : 0;
    const bool needs_block = is_wide && !(found && old_wide.block_class == block_class);
    uint64_t block = old_wide.block;
    uint64_t used_more = 0;
    csti_control_line *overflowed = NULL;
    uint64_t offset;
    cst_code code = CST_OK;

    // All that can refuse the row comes first.
    if (!found) code = csti_reference_find_place(table, row->hash, place, &overflowed);
    if (code == CST_OK && needs_block)
        code = csti_reference_slab_check(table, block_class, &used_more);
    if (code == CST_OK && csti_reference_log_appends(table, old_offset, record_bytes))
        code = csti_reference_log_check(table, record_bytes, used_more);
    if (code != CST_OK) return code;

    if (needs_block) block = csti_reference_slab_take(table, block_class);
    if (needs_block && found) csti_reference_slab_free(table, old_wide.block, old_wide.block_class);
    offset = csti_reference_log_write(table, old_offset, row, CSTI_RECORD_PRESENT);
    csti_reference_write(table, place->entry, row, offset, block, block_class);
    if (!found) csti_reference_occupy(table, place, overflowed, row->hash);
    return CST_OK;
}

static cst_code apply_upsert(cst_table *table, const cst_rows *rows, uint32_t r) {
    const cst_program *program = &table->control->program;
    const bool replaces = program->accumulators_count == 0;
    reference_row row = row_key(table, rows, r);
    uint8_t value[CST_INLINE_ENTRY_BYTES_MAX];
    reference_place place;
    reference_row old = {0};
    bool found, lives;
    cst_code code = CST_OK;

    if (key_too_long(table, row.key_bytes)) return CST_KEY_TOO_LONG;
    if (replaces) code = bring_value(table, rows, r, &row);
    if (code != CST_OK) return code;

    found = csti_reference_search(table, &row, &place);
    if (found) old = csti_reference_read(table, place.entry);
    lives = found && !csti_reference_expired(table, &old, rows->now_us);
    if (!replaces) {
        assert(program->value_bytes <= sizeof value);
        code = csti_reference_accumulate(program, rows, r, lives ? old.value : NULL, value);
        if (code != CST_OK) return code;
        row.value = value;
        row.value_bytes = program->value_bytes;
    }
    return store(table, &row, &place, found);
}

// Deletes the row at `place`: its tombstone first, then its slot.
static cst_code remove_row(cst_table *table, const reference_place *place) {
    const reference_row row = csti_reference_read(table, place->entry);
    const uint32_t record_bytes = csti_reference_record_bytes(table, row.key_bytes, 0);
    const uint64_t old_offset = change_offset(place->entry);
    cst_code code = CST_OK;

    if (csti_reference_log_appends(table, old_offset, record_bytes))
        code = csti_reference_log_check(table, record_bytes, 0);
    if (code != CST_OK) return code;
    (void)csti_reference_log_write(table, old_offset, &row, CSTI_RECORD_TOMBSTONE);
    csti_reference_vacate(table, place);
    return CST_OK;
}

static cst_code apply_delete(cst_table *table, const cst_rows *rows, uint32_t r) {
    const reference_row row = row_key(table, rows, r);
    reference_place place;
    reference_row old;

    if (key_too_long(table, row.key_bytes)) return CST_KEY_TOO_LONG;
    if (!csti_reference_search(table, &row, &place)) return CST_OK;
    old = csti_reference_read(table, place.entry);
    if (csti_reference_expired(table, &old, rows->now_us)) return CST_OK;
    return remove_row(table, &place);
}

cst_code csti_reference_apply(cst_table *table, const cst_rows *rows, uint32_t *applied_out) {
    cst_code code = csti_reference_sources_check(&table->control->program, rows);
    uint32_t r = rows->first_row;

    while (code == CST_OK && r < rows->rows_count) {
        if (rows->ops && rows->ops[r] == CST_ROW_DELETE)
            code = apply_delete(table, rows, r);
        else
            code = apply_upsert(table, rows, r);
        if (code == CST_OK) r++;
    }
    *applied_out = r - rows->first_row;
    return code;
}

// ---- LOOKUP -------------------------------------------------------------------------------------

cst_code csti_reference_lookup_refs(cst_table *table, const cst_rows *keys, cst_bytes *out) {
    for (uint32_t r = keys->first_row; r < keys->rows_count; r++) {
        const reference_row row = row_key(table, keys, r);
        reference_place place;
        reference_row found;

        out[r] = (cst_bytes){0};
        if (!csti_reference_search(table, &row, &place)) continue;
        found = csti_reference_read(table, place.entry);
        if (csti_reference_expired(table, &found, keys->now_us)) continue;
        out[r] = (cst_bytes){.data = found.value, .count = found.value_bytes};
    }
    return CST_OK;
}

cst_code csti_reference_lookup(cst_table *table, const cst_rows *keys, uint8_t *values_out,
                               uint32_t values_stride, uint8_t *found_out) {
    if (csti_reference_is_wide(table)) return CST_UNSUPPORTED;
    for (uint32_t r = keys->first_row; r < keys->rows_count; r++) {
        const reference_row row = row_key(table, keys, r);
        reference_place place;
        reference_row found;

        found_out[r] = 0;
        if (!csti_reference_search(table, &row, &place)) continue;
        found = csti_reference_read(table, place.entry);
        if (csti_reference_expired(table, &found, keys->now_us)) continue;
        found_out[r] = 1;
        if (found.value_bytes > 0)
            memcpy(values_out + (size_t)r * values_stride, found.value, found.value_bytes);
    }
    return CST_OK;
}

// ---- EXPIRE -------------------------------------------------------------------------------------

// Deletes what has expired in one bucket, counted over all chunks.
static cst_code expire_bucket(cst_table *table, uint64_t bucket, int64_t now_us,
                              uint32_t *expired_out) {
    const uint64_t chunk = bucket / CSTI_CHUNK_BUCKETS;
    const uint64_t in_chunk = bucket % CSTI_CHUNK_BUCKETS;
    csti_control_line *line = csti_chunk_lines(table, (uint32_t)chunk) + in_chunk;
    csti_entry *first = (csti_entry *)(table->slots + chunk * table->chunk_slot_bytes +
                                       in_chunk * CSTI_BUCKET_SLOTS * table->entry_bytes);

    for (uint32_t slot = 0; slot < CSTI_BUCKET_SLOTS; slot++) {
        const reference_place place = {.line = line,
                                       .slot = slot,
                                       .entry = csti_slot(table, first, slot)};
        reference_row row;
        cst_code code;

        if ((line->occupied >> slot & 1) == 0) continue;
        row = csti_reference_read(table, place.entry);
        if (!csti_reference_expired(table, &row, now_us)) continue;
        code = remove_row(table, &place);
        if (code != CST_OK) return code;
        (*expired_out)++;
    }
    return CST_OK;
}

cst_code csti_reference_expire(cst_table *table, uint64_t *bucket, uint32_t buckets_count,
                               int64_t now_us, uint32_t *expired_out) {
    const uint64_t buckets_all = (uint64_t)table->control->chunks_frontier * CSTI_CHUNK_BUCKETS;

    *expired_out = 0;
    if (table->control->program.ttl_us == CST_TTL_NONE) return CST_UNSUPPORTED;
    for (uint64_t i = 0; i < buckets_count && i < buckets_all; i++) {
        cst_code code;

        if (*bucket >= buckets_all) *bucket = 0;
        code = expire_bucket(table, *bucket, now_us, expired_out);
        if (code != CST_OK) return code;
        *bucket = (*bucket + 1) % buckets_all;
    }
    return CST_OK;
}
