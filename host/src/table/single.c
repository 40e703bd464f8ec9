// Ring 1: rows one by one, and batches with room made for them.
#include "codec/siphash.h"
#include "table/apply.h"
#include "table/open.h"
#include "table/pipeline.h"

enum { PREPARES_MAX = 2 }; // without a step forward: then the memory is not to be had

// GROW until the segment has grown: each CST_AGAIN copies directory rows, of which there is a
// finite number, and preparing again and again for one step is given up.
static cst_code grow(cst_table *table, uint64_t hash) {
    uint32_t prepares = 0;

    for (;;) {
        cst_code code = cst_table_grow(table, hash);

        if (code == CST_OK) return CST_OK;
        if (code == CST_TABLE_NOT_READY && prepares++ < PREPARES_MAX)
            code = cst_table_prepare(table, NULL);
        else if (code == CST_AGAIN)
            prepares = 0;
        if (code != CST_OK && code != CST_AGAIN) return code;
    }
}

static uint64_t row_hash(const cst_table *table, const cst_rows *rows, uint32_t row) {
    uint64_t hash;

    if (rows->hashes) return rows->hashes[row];
    csti_hash_rows(table, rows, row, 1, &hash);
    return hash;
}

cst_code cst_table_apply_all(cst_table *table, const cst_rows *rows, uint32_t *applied_out) {
    cst_rows rest = *rows;
    uint32_t prepares = 0;
    cst_code code;

    *applied_out = 0;
    for (;;) {
        uint32_t applied = 0;

        code = cst_table_apply(table, &rest, &applied);
        *applied_out += applied;
        rest.first_row += applied;
        if (applied > 0) prepares = 0;
        if (code == CST_TABLE_FULL)
            code = grow(table, row_hash(table, &rest, rest.first_row));
        else if (code == CST_TABLE_NOT_READY && prepares++ < PREPARES_MAX)
            code = cst_table_prepare(table, NULL);
        else
            break;
        if (code != CST_OK) break;
    }
    csti_table_nudge(table);
    return code;
}

// An empty key or value may be NULL, which memcpy and memcmp must never see.
CSTI_INLINE const void *some(const void *bytes) {
    return bytes ? bytes : "";
}

// The widths most keys have are hashed in line.
CSTI_INLINE uint64_t hash_one(const cst_table *table, const void *key, size_t key_bytes) {
    if (key_bytes == 16) return csti_siphash13_16(&table->hash_key, key);
    if (key_bytes == 8) return csti_siphash13_8(&table->hash_key, key);
    return cst_hash(&table->hash_key, key, key_bytes);
}

CSTI_INLINE const csti_entry *find_one(const cst_table *table, const void *key, size_t key_bytes,
                                       bool wide) {
    const csti_key wanted = {hash_one(table, key, key_bytes), key, (uint32_t)key_bytes};

    return csti_find(table, csti_directory_find(table, wanted.hash), &wanted, wide).entry;
}

// Not in line: few rows come here, and the others have fewer instructions between two calls.
static __attribute__((noinline)) const csti_entry *search_16(const cst_table *table,
                                                             const csti_key *key) {
    return csti_find(table, csti_directory_find(table, key->hash), key, false).entry;
}

// Keys of 16 bytes and values of 64: the first candidate of the first bucket, which nine rows in
// ten are, then the whole search. What a processor can overlap of two calls is what fits its window
// of a few hundred instructions; the hash alone takes a hundred.
static const csti_entry *find_16_64(const cst_table *table, const void *bytes) {
    const csti_view view = {
        .table = table,
        .directory = table->directory,
        .index = table->index,
        .slots = table->slots,
        .row_mask = (UINT64_C(1) << table->control->depth_max) - 1,
        .widths = CSTI_WIDTHS_16_64,
    };
    const csti_key key = {csti_siphash13_16(&table->hash_key, bytes), bytes, 16};
    const csti_directory_row *row = csti_view_row(&view, key.hash);
    const uint32_t buckets = row->chunks * (uint32_t)CSTI_CHUNK_BUCKETS;
    const csti_control_line *line =
        csti_view_line(&view, row, csti_hash_bucket_first(key.hash, buckets));
    const uint32_t match = csti_line_match(line, csti_hash_tag(key.hash));

    if (__builtin_expect(match != 0, 1)) {
        const csti_entry *entry = csti_view_entry(&view, line, (uint32_t)__builtin_ctz(match));

        if (__builtin_expect(csti_entry_holds(table, entry, &key, false), 1)) return entry;
    }
    return search_16(table, &key);
}

// A single form brings no time, without which a row with a time to live is neither there nor gone.
static bool has_ttl(const cst_table *table) {
    return table->control->program.ttl_us != CST_TTL_NONE;
}

cst_code cst_table_get_ref(cst_table *table, const void *key, size_t key_bytes, cst_bytes *out) {
    const bool wide = table->control->layout == CST_TABLE_WIDE;
    const csti_entry *entry = NULL;

    if (has_ttl(table)) return CST_UNSUPPORTED;
    key = some(key);
    if (key_bytes <= CST_WIDE_KEY_BYTES_MAX)
        entry =
            wide ? find_one(table, key, key_bytes, true) : find_one(table, key, key_bytes, false);
    if (!entry) return CST_NOT_FOUND;
    const cst_row_ref row = csti_entry_row(table, entry);
    *out = (cst_bytes){row.value, row.value_bytes};
    return CST_OK;
}

static __attribute__((noinline)) cst_code get_any(cst_table *table, const void *key,
                                                  size_t key_bytes, void *value_out,
                                                  size_t value_capacity, size_t *value_bytes_out) {
    cst_bytes value;
    const cst_code code = cst_table_get_ref(table, key, key_bytes, &value);

    if (code != CST_OK) return code;
    *value_bytes_out = value.count;
    if (value.count > value_capacity) return CST_LIMIT;
    if (value.count > 0) memcpy(value_out, value.data, value.count);
    return CST_OK;
}

cst_code cst_table_get(cst_table *table, const void *key, size_t key_bytes, void *value_out,
                       size_t value_capacity, size_t *value_bytes_out) {
    const csti_entry *entry;

    if (key_bytes != 16 || table->key_bytes != 16 || table->value_bytes != 64 ||
        value_capacity < 64 || has_ttl(table))
        return get_any(table, key, key_bytes, value_out, value_capacity, value_bytes_out);
    entry = find_16_64(table, key);
    if (!entry) return CST_NOT_FOUND;
    memcpy(value_out, (const uint8_t *)entry + 32, 64);
    *value_bytes_out = 64;
    return CST_OK;
}

static cst_code change_one(cst_table *table, const void *key, size_t key_bytes, cst_row_op op,
                           const void *value, size_t value_bytes) {
    const uint8_t ops[1] = {(uint8_t)op};
    uint64_t hash;
    uint32_t applied;

    if (key_bytes > CST_WIDE_KEY_BYTES_MAX) return CST_KEY_TOO_LONG;
    if (value_bytes > CST_WIDE_VALUE_BYTES_MAX) return CST_VALUE_TOO_LONG;
    key = some(key);
    hash = hash_one(table, key, key_bytes);
    const uint32_t offsets[2] = {0, (uint32_t)value_bytes};
    const cst_rows rows = {
        .rows_count = 1,
        .key_bytes = (uint32_t)key_bytes,
        .ops = op == CST_ROW_DELETE ? ops : NULL,
        .hashes = &hash,
        .keys = key,
        .values = some(value),
        .value_offsets = offsets,
    };
    return cst_table_apply_all(table, &rows, &applied);
}

cst_code cst_table_put(cst_table *table, const void *key, size_t key_bytes, const void *value,
                       size_t value_bytes) {
    if (table->control->program.accumulators_count != 0 || has_ttl(table)) return CST_UNSUPPORTED;
    if (table->control->layout == CST_TABLE_INLINE && value_bytes != table->value_bytes)
        return CST_VALUE_TOO_LONG;
    return change_one(table, key, key_bytes, CST_ROW_UPSERT, value, value_bytes);
}

cst_code cst_table_delete(cst_table *table, const void *key, size_t key_bytes) {
    if (has_ttl(table)) return CST_UNSUPPORTED;
    return change_one(table, key, key_bytes, CST_ROW_DELETE, NULL, 0);
}
