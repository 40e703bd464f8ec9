// Every rule of docs/formats.md, The table image, looked up in a whole image. Ring 2.
#include "table/apply.h"
#include "table/program.h"
#include "table/slab.h"

#include <stdlib.h>

typedef struct checker {
    const cst_table *table;
    cst_err *err;
    uint8_t *chunk_used; // a byte a chunk
    uint8_t *block_used; // a byte for 16 bytes of slab
    uint64_t rows_count;
    uint64_t segments_count;
    uint32_t depth_max;
} checker;

#define CORRUPT(CHECK, ...) cst_fail((CHECK)->err, CST_TABLE_CORRUPT, __VA_ARGS__)

static bool all_zero(const void *bytes, size_t count) {
    const uint8_t *at = bytes;

    for (size_t i = 0; i < count; i++)
        if (at[i] != 0) return false;
    return true;
}

static cst_code check_shape(const checker *check) {
    const cst_table *table = check->table;
    const csti_control *control = table->control;
    const char probe[] = "constellation-hk";

    if (control->magic != CSTI_IMAGE_MAGIC) return CORRUPT(check, "image: magic");
    if (control->version != CSTI_IMAGE_VERSION)
        return CORRUPT(check, "image: version %u, this is %d", control->version,
                       CSTI_IMAGE_VERSION);
    if (control->layout != CST_TABLE_INLINE && control->layout != CST_TABLE_WIDE)
        return CORRUPT(check, "image: layout %u", control->layout);
    if (control->key_bytes != table->key_bytes || control->value_bytes != table->value_bytes ||
        control->entry_bytes != table->entry_bytes ||
        control->log_segment_bytes != UINT32_C(1) << table->log_segment_shift)
        return CORRUPT(check, "image: widths differ from the table's");
    if (control->hash_key_check != cst_hash(&table->hash_key, probe, sizeof probe - 1))
        return CORRUPT(check, "image: made with another hash key");
    if (control->program.value_bytes != control->value_bytes ||
        (control->layout == CST_TABLE_INLINE &&
         csti_program_check(&control->program, NULL) != CST_OK))
        return CORRUPT(check, "image: update program");
    if (!all_zero((const uint8_t *)control + sizeof *control, CSTI_CONTROL_BYTES - sizeof *control))
        return CORRUPT(check, "image: reserved bytes of the control block");
    return CST_OK;
}

static cst_code check_counters(const checker *check) {
    const cst_table *table = check->table;
    const csti_control *control = table->control;
    const uint64_t segment = UINT64_C(1) << table->log_segment_shift;
    const uint64_t live = ((control->log_tail + segment - 1) >> table->log_segment_shift) -
                          (control->log_floor >> table->log_segment_shift);

    if (control->directory_depth > CSTI_DIRECTORY_DEPTH_MAX ||
        control->depth_max > control->directory_depth ||
        control->directory_rows < UINT32_C(1) << control->directory_depth ||
        control->directory_rows >= UINT64_C(2) << control->directory_depth)
        return CORRUPT(check, "image: directory of %u rows, depth %u", control->directory_rows,
                       control->directory_depth);
    if (control->chunks_free_count > CSTI_CHUNKS_FREE_MAX)
        return CORRUPT(check, "image: %u free chunks", control->chunks_free_count);
    if (!all_zero(control->chunks_free + control->chunks_free_count,
                  (CSTI_CHUNKS_FREE_MAX - control->chunks_free_count) * sizeof(uint32_t)))
        return CORRUPT(check, "image: entries behind the free chunks");
    if (control->epoch == 0 || control->log_floor < CSTI_LOG_BEGIN ||
        control->log_floor > control->epoch_first || control->epoch_first > control->log_tail ||
        control->log_floor % 64 || control->epoch_first % 64 || control->log_tail % CSTI_LOG_UNIT)
        return CORRUPT(check, "image: log offsets");
    if (control->log_segments_frontier > table->log_segments_max ||
        control->log_free_first >= table->log_segments_max ||
        control->log_free_count > control->log_segments_frontier)
        return CORRUPT(check, "image: log segments");
    if (control->log_tail != CSTI_LOG_BEGIN &&
        live + control->log_free_count != control->log_segments_frontier)
        return CORRUPT(check, "image: %llu live and %u free log segments of %u",
                       (unsigned long long)live, control->log_free_count,
                       control->log_segments_frontier);
    if (control->slab_frontier % 16 != 0 || control->slab_frontier > table->budget_bytes)
        return CORRUPT(check, "image: slab of %llu bytes",
                       (unsigned long long)control->slab_frontier);
    if (csti_used_bytes(table) > table->budget_bytes)
        return CORRUPT(check, "image: larger than its budget");
    return CST_OK;
}

// ---- Directory and slots ------------------------------------------------------------------------

static cst_code check_row(checker *check, uint32_t index) {
    const cst_table *table = check->table;
    const csti_control *control = table->control;
    const csti_directory_row *row = &table->directory[index];

    if (row->depth > control->depth_max || row->chunks < CSTI_SEGMENT_CHUNKS_MIN ||
        row->chunks > CSTI_SEGMENT_CHUNKS_MAX || row->reserved != 0)
        return CORRUPT(check, "directory row %u: depth %u, chunks %u", index, row->depth,
                       row->chunks);
    for (uint32_t c = 0; c < CSTI_SEGMENT_CHUNKS_MAX; c++)
        if (c < row->chunks ? row->chunk[c] >= control->chunks_frontier : row->chunk[c] != 0)
            return CORRUPT(check, "directory row %u: chunk %u", index, c);
    const uint32_t home = index & ((UINT32_C(1) << row->depth) - 1);
    if (home != index) {
        if (memcmp(row, &table->directory[home], sizeof *row) != 0)
            return CORRUPT(check, "directory row %u differs from row %u", index, home);
        return CST_OK;
    }
    check->segments_count++;
    if (row->depth > check->depth_max) check->depth_max = row->depth;
    for (uint32_t c = 0; c < row->chunks; c++)
        if (check->chunk_used[row->chunk[c]]++ != 0)
            return CORRUPT(check, "directory row %u: chunk %u is used twice", index, row->chunk[c]);
    return CST_OK;
}

static cst_code check_block(checker *check, uint64_t block, uint32_t class, const char *what) {
    const uint64_t frontier = check->table->control->slab_frontier;

    if (class >= CSTI_SLAB_CLASSES || block % 16 != 0 || block > frontier ||
        csti_slab_class_bytes(class) > frontier - block)
        return CORRUPT(check, "%s: slab block %llu of class %u", what, (unsigned long long)block,
                       class);
    for (uint32_t i = 0; i < csti_slab_class_bytes(class) / 16; i++)
        if (check->block_used[block / 16 + i]++ != 0)
            return CORRUPT(check, "%s: slab block %llu overlaps another", what,
                           (unsigned long long)block);
    return CST_OK;
}

static cst_code check_wide_entry(checker *check, const csti_wide_entry *entry) {
    const uint32_t bytes = ((entry->key_bytes + 7u) & ~7u) + entry->value_bytes;

    if (entry->reserved != 0 || (entry->change & 0xff) != 0 ||
        entry->value_bytes > CST_WIDE_VALUE_BYTES_MAX)
        return CORRUPT(check, "wide entry: reserved bits or lengths");
    if (csti_slab_class(bytes) != entry->block_class)
        return CORRUPT(check, "wide entry: %u bytes in a block of class %u", bytes,
                       entry->block_class);
    const cst_code code = check_block(check, entry->block, entry->block_class, "wide entry");
    if (code != CST_OK) return code;
    const uint8_t *block = check->table->slab + entry->block;
    if (!all_zero(block + entry->key_bytes, ((entry->key_bytes + 7u) & ~7u) - entry->key_bytes) ||
        !all_zero(block + bytes, csti_slab_class_bytes(entry->block_class) - bytes))
        return CORRUPT(check, "wide entry: padding of its block");
    return CST_OK;
}

static cst_code check_inline_entry(const checker *check, const csti_entry *entry) {
    const cst_table *table = check->table;
    const uint8_t *bytes = (const uint8_t *)entry;
    const uint32_t key_bytes = (uint32_t)(entry->change & 0xff);
    const uint32_t end = table->value_offset + table->value_bytes;

    if (key_bytes > table->key_bytes) return CORRUPT(check, "entry: key of %u bytes", key_bytes);
    if (!all_zero(bytes + 16 + key_bytes, table->key_area_bytes - key_bytes) ||
        !all_zero(bytes + end, table->entry_bytes - end))
        return CORRUPT(check, "entry: padding");
    return CST_OK;
}

// The record that the entry names holds the very row.
static cst_code check_open_record(const checker *check, const csti_entry *entry) {
    const cst_table *table = check->table;
    const uint64_t offset = (entry->change >> 8) * CSTI_LOG_UNIT;
    const csti_record *record;
    cst_row_ref row = csti_entry_row(table, entry);

    if (offset >= table->control->log_tail) return CORRUPT(check, "entry: change behind the tail");
    if (csti_entry_open_record(table, entry) == 0) return CST_OK;
    record = csti_log_record(table, offset);
    if (record->hash != row.hash || record->key_bytes != row.key_bytes ||
        record->value_flags != (row.value_bytes | CSTI_RECORD_PRESENT) ||
        memcmp(record + 1, row.key, row.key_bytes) != 0)
        return CORRUPT(check, "entry: its record at %llu is another row's",
                       (unsigned long long)offset);
    const uint32_t value_at = table->control->layout == CST_TABLE_WIDE
                                  ? 16 + ((row.key_bytes + 7) & ~7u)
                                  : table->value_offset;
    if (row.value_bytes > 0 &&
        memcmp((const uint8_t *)record + value_at, row.value, row.value_bytes) != 0)
        return CORRUPT(check, "entry: its record at %llu has another value",
                       (unsigned long long)offset);
    return CST_OK;
}

static cst_code check_entry(checker *check, uint32_t suffix, uint32_t bucket,
                            const csti_place *place) {
    const cst_table *table = check->table;
    const bool wide = table->control->layout == CST_TABLE_WIDE;
    const csti_directory_row *row = &table->directory[suffix];
    const uint64_t hash = place->entry->hash;
    const uint32_t buckets = row->chunks * (uint32_t)CSTI_CHUNK_BUCKETS;
    const uint32_t first = csti_hash_bucket_first(hash, buckets);
    cst_code code = wide ? check_wide_entry(check, (const csti_wide_entry *)place->entry)
                         : check_inline_entry(check, place->entry);

    if (code != CST_OK) return code;
    const cst_row_ref ref = csti_entry_row(table, place->entry);
    const csti_key key = {hash, ref.key, ref.key_bytes};
    if (cst_hash(&table->hash_key, key.bytes, key.count) != hash)
        return CORRUPT(check, "entry: its hash is not its key's");
    if ((hash & ((UINT64_C(1) << row->depth) - 1)) != suffix)
        return CORRUPT(check, "entry: belongs to another segment");
    if (bucket != first && bucket != csti_hash_bucket_second(hash, buckets, first))
        return CORRUPT(check, "entry: belongs to another bucket");
    if (place->line->tag[place->slot] != csti_hash_tag(hash))
        return CORRUPT(check, "entry: its tag is another");
    if (csti_find(table, row, &key, wide).entry != place->entry)
        return CORRUPT(check, "entry: a search for its key ends elsewhere");
    check->rows_count++;
    return check_open_record(check, place->entry);
}

static cst_code check_bucket(checker *check, uint32_t suffix, uint32_t bucket) {
    const cst_table *table = check->table;
    const csti_directory_row *row = &table->directory[suffix];
    csti_control_line *line = csti_bucket_line(table, row, bucket);
    csti_entry *slots = csti_bucket_slots(table, row, bucket);

    if (line->reserved16 != 0 || !all_zero(line->reserved32, sizeof line->reserved32))
        return CORRUPT(check, "segment %u bucket %u: reserved bytes", suffix, bucket);
    for (uint32_t slot = 0; slot < CSTI_BUCKET_SLOTS; slot++) {
        const csti_place place = {line, csti_slot(table, slots, slot), slot};
        cst_code code;

        if (!(line->occupied >> slot & 1)) {
            if (line->tag[slot] != 0 || !all_zero(place.entry, table->entry_bytes))
                return CORRUPT(check, "segment %u bucket %u slot %u: free, yet not clear", suffix,
                               bucket, slot);
            continue;
        }
        code = check_entry(check, suffix, bucket, &place);
        if (code != CST_OK)
            return cst_fail_at(check->err, code, "segment %u bucket %u slot %u", suffix, bucket,
                               slot);
    }
    return CST_OK;
}

static cst_code check_segments(checker *check) {
    const csti_control *control = check->table->control;
    cst_code code = CST_OK;

    for (uint32_t i = 0; i < control->directory_rows; i++) {
        code = check_row(check, i);
        if (code != CST_OK) return code;
    }
    for (uint32_t i = 0; i < control->chunks_free_count; i++) {
        const uint32_t chunk = control->chunks_free[i];

        if (chunk >= control->chunks_frontier || check->chunk_used[chunk]++ != 0)
            return CORRUPT(check, "free chunk %u", chunk);
        if (!all_zero(csti_chunk_lines(check->table, chunk), 512) ||
            !all_zero(check->table->slots + (size_t)chunk * check->table->chunk_slot_bytes,
                      check->table->chunk_slot_bytes))
            return CORRUPT(check, "free chunk %u is not clear", chunk);
    }
    if (check->depth_max != control->depth_max)
        return CORRUPT(check, "image: deepest segment %u, not %u", check->depth_max,
                       control->depth_max);
    if (memchr(check->chunk_used, 0, control->chunks_frontier))
        return CORRUPT(check, "a chunk is neither used nor free");
    for (uint32_t i = 0; i < UINT32_C(1) << control->directory_depth; i++) {
        const csti_directory_row *row = &check->table->directory[i];

        if (i >> row->depth != 0) continue; // not the segment's first row
        for (uint32_t b = 0; b < row->chunks * (uint32_t)CSTI_CHUNK_BUCKETS; b++) {
            code = check_bucket(check, i, b);
            if (code != CST_OK) return code;
        }
    }
    if (check->rows_count != control->rows_count ||
        check->segments_count != control->segments_count)
        return CORRUPT(check, "image: counts %llu rows in %llu segments, holds %llu in %llu",
                       (unsigned long long)control->rows_count,
                       (unsigned long long)control->segments_count,
                       (unsigned long long)check->rows_count,
                       (unsigned long long)check->segments_count);
    return CST_OK;
}

// ---- Log and slab -------------------------------------------------------------------------------

static cst_code check_record(const checker *check, const csti_record *record, uint64_t rest) {
    const cst_table *table = check->table;
    const uint32_t value_bytes = record->value_flags & CSTI_RECORD_VALUE_MASK;
    const uint64_t bytes = (uint64_t)record->units * CSTI_LOG_UNIT;
    const bool row = record->value_flags == (value_bytes | CSTI_RECORD_PRESENT);

    if (bytes == 0 || bytes > rest) return CORRUPT(check, "%u units", record->units);
    if (record->value_flags == CSTI_RECORD_GAP) {
        if (record->hash != 0 || record->key_bytes != 0 || !all_zero(record + 1, bytes - 16))
            return CORRUPT(check, "a gap that is not clear");
        return CST_OK;
    }
    if (!row && record->value_flags != CSTI_RECORD_TOMBSTONE)
        return CORRUPT(check, "flags %08x", record->value_flags);
    if (table->control->layout == CST_TABLE_INLINE &&
        (bytes != table->entry_bytes || record->key_bytes > table->key_bytes ||
         (row && value_bytes != table->value_bytes)))
        return CORRUPT(check, "widths");
    if (table->control->layout == CST_TABLE_WIDE &&
        csti_wide_record_bytes(record->key_bytes, value_bytes) > bytes)
        return CORRUPT(check, "lengths");
    if (cst_hash(&table->hash_key, record + 1, record->key_bytes) != record->hash)
        return CORRUPT(check, "its hash is not its key's");
    const uint8_t *key = (const uint8_t *)(record + 1);
    const uint32_t key_area = table->control->layout == CST_TABLE_WIDE
                                  ? (record->key_bytes + 7u) & ~7u
                                  : table->key_area_bytes;
    if (!all_zero(key + record->key_bytes, key_area - record->key_bytes) ||
        !all_zero(key + key_area + value_bytes, bytes - 16 - key_area - value_bytes))
        return CORRUPT(check, "padding");
    return CST_OK;
}

static cst_code check_log(const checker *check) {
    const cst_table *table = check->table;
    const csti_control *control = table->control;
    const uint64_t segment = UINT64_C(1) << table->log_segment_shift;
    uint64_t offset = control->log_floor;

    for (uint64_t n = offset >> table->log_segment_shift;
         n << table->log_segment_shift < control->log_tail && control->log_tail > CSTI_LOG_BEGIN;
         n++)
        if (table->log_map[n & (table->log_segments_max - 1)] >= control->log_segments_frontier)
            return CORRUPT(check, "log segment %llu has no place", (unsigned long long)n);
    while (offset < control->log_tail) {
        const csti_record *record = csti_log_record(table, offset);
        const uint64_t segment_rest = segment - (offset & (segment - 1));
        const uint64_t tail_rest = control->log_tail - offset;
        const cst_code code =
            check_record(check, record, segment_rest < tail_rest ? segment_rest : tail_rest);

        if (code != CST_OK)
            return cst_fail_at(check->err, code, "log record at %llu", (unsigned long long)offset);
        offset += (uint64_t)record->units * CSTI_LOG_UNIT;
    }
    return CST_OK;
}

static cst_code check_slab(checker *check) {
    const cst_table *table = check->table;
    const csti_control *control = table->control;

    for (uint32_t class = 0; class < CSTI_SLAB_CLASSES; class ++) {
        for (uint64_t next = control->slab_free[class]; next != 0;) {
            const cst_code code = check_block(check, next - 1, class, "free list");

            if (code != CST_OK) return code; // a ring in the list is an overlap
            if (!all_zero(table->slab + next - 1 + 8, csti_slab_class_bytes(class) - 8))
                return CORRUPT(check, "free block %llu is not clear",
                               (unsigned long long)(next - 1));
            memcpy(&next, table->slab + next - 1, 8);
        }
    }
    if (memchr(check->block_used, 0, control->slab_frontier / 16))
        return CORRUPT(check, "slab: a block is neither used nor free");
    return CST_OK;
}

cst_code cst_table_check(const cst_table *table, cst_err *err) {
    checker check = {.table = table, .err = err};
    cst_code code = check_shape(&check);

    if (code == CST_OK) code = check_counters(&check);
    if (code != CST_OK) return code;
    check.chunk_used = calloc(table->control->chunks_frontier + 1, 1);
    check.block_used = calloc(table->control->slab_frontier / 16 + 1, 1);
    if (!check.chunk_used || !check.block_used) code = cst_fail(err, CST_NO_MEMORY, "table check");
    if (code == CST_OK) code = check_log(&check);
    if (code == CST_OK) code = check_segments(&check);
    if (code == CST_OK) code = check_slab(&check);
    free(check.chunk_used);
    free(check.block_used);
    return code;
}

// ---- Comparison ---------------------------------------------------------------------------------

static cst_code compare_bytes(const char *what, const void *a, const void *b, size_t count,
                              cst_err *err) {
    const uint8_t *x = a, *y = b;

    if (count == 0 || memcmp(a, b, count) == 0) return CST_OK;
    for (size_t i = 0;; i++)
        if (x[i] != y[i])
            return cst_fail(err, CST_TABLE_CORRUPT, "%s: byte %zu is %02x and %02x", what, i, x[i],
                            y[i]);
}

static cst_code compare_log(const cst_table *a, const cst_table *b, cst_err *err) {
    const uint64_t segment = UINT64_C(1) << a->log_segment_shift;
    const uint64_t tail = a->control->log_tail;

    for (uint64_t from = a->control->log_floor; from < tail;) {
        const uint64_t end = (from | (segment - 1)) + 1;
        const uint64_t to = end < tail ? end : tail;
        const cst_code code = compare_bytes("log", csti_log_record(a, from),
                                            csti_log_record(b, from), to - from, err);
        const uint64_t place = (from >> a->log_segment_shift) & (a->log_segments_max - 1);

        if (code != CST_OK) return code;
        if (a->log_map[place] != b->log_map[place])
            return cst_fail(err, CST_TABLE_CORRUPT, "log map %llu: %u and %u",
                            (unsigned long long)place, a->log_map[place], b->log_map[place]);
        from = to;
    }
    for (uint32_t i = 0; i < a->control->log_free_count; i++) {
        const uint32_t at = (a->control->log_free_first + i) & (a->log_segments_max - 1);

        if (a->log_free[at] != b->log_free[at])
            return cst_fail(err, CST_TABLE_CORRUPT, "free log segment %u: %u and %u", i,
                            a->log_free[at], b->log_free[at]);
    }
    return CST_OK;
}

cst_code cst_table_compare(const cst_table *a, const cst_table *b, cst_err *err) {
    const csti_control *control = a->control;
    cst_code code = compare_bytes("control block", a->control, b->control, CSTI_CONTROL_BYTES, err);

    if (code == CST_OK && a->log_segments_max != b->log_segments_max)
        code = cst_fail(err, CST_TABLE_CORRUPT, "log maps of %u and %u", a->log_segments_max,
                        b->log_segments_max);
    if (code == CST_OK)
        code = compare_bytes("directory", a->directory, b->directory,
                             control->directory_rows * sizeof(csti_directory_row), err);
    if (code == CST_OK)
        code = compare_bytes("index", a->index, b->index,
                             (size_t)control->chunks_frontier * CSTI_CHUNK_BUCKETS * 64, err);
    if (code == CST_OK)
        code = compare_bytes("slots", a->slots, b->slots,
                             (size_t)control->chunks_frontier * a->chunk_slot_bytes, err);
    if (code == CST_OK) code = compare_bytes("slab", a->slab, b->slab, control->slab_frontier, err);
    if (code == CST_OK) code = compare_log(a, b, err);
    return code;
}
