#include "state/changes.h"

#include <assert.h>
#include <stdlib.h>

enum {
    INDEX_FIRST = 1 << 10,
    FULL_SHARE = 2,     // of the index is used before it grows: its inverse
    SHRINK_SHARE = 16,  // of it is used when it becomes a quarter: its inverse
    FULL_SHARE_MAX = 8, // less than this share stays free where it must not grow: its inverse
};

typedef struct index_entry {
    uint64_t hash;
    uint64_t number; // of the record, and 1; 0: free
} index_entry;

struct csti_changes {
    csti_record_shape shape;
    uint64_t budget_bytes;
    uint32_t chunk_records;
    uint64_t epoch;      // the open one
    uint64_t floor;      // number of the first record that is there
    uint64_t open_first; // of the open epoch
    uint64_t tail;       // of the next one
    uint8_t **chunks;    // of records from chunk_first * chunk_records on
    uint64_t chunk_first;
    size_t chunks_count, chunks_capacity;
    index_entry *index;
    uint64_t index_capacity; // a power of two
    uint64_t keys_count;
};

// ---- Open ---------------------------------------------------------------------------------------

cst_code csti_changes_open(const csti_changes_options *options, csti_changes **out, cst_err *err) {
    csti_changes *changes = calloc(1, sizeof *changes);

    assert(options->part.layout == CST_TABLE_INLINE);
    if (!changes) return cst_fail(err, CST_NO_MEMORY, "changes");
    changes->shape = csti_record_shape_of(&options->part);
    changes->budget_bytes = options->budget_bytes;
    changes->chunk_records = CSTI_CHANGES_CHUNK_BYTES / changes->shape.record_bytes;
    changes->epoch = options->epoch;
    changes->index_capacity = INDEX_FIRST;
    changes->index = calloc(INDEX_FIRST, sizeof *changes->index);
    if (!changes->index) {
        csti_changes_close(changes);
        return cst_fail(err, CST_NO_MEMORY, "changes: index");
    }
    *out = changes;
    return CST_OK;
}

void csti_changes_close(csti_changes *changes) {
    if (!changes) return;
    for (size_t i = 0; i < changes->chunks_count; i++) free(changes->chunks[i]);
    free(changes->chunks);
    free(changes->index);
    free(changes);
}

const csti_record_shape *csti_changes_shape(const csti_changes *changes) {
    return &changes->shape;
}

void csti_changes_stats_read(const csti_changes *changes, csti_changes_stats *out) {
    *out = (csti_changes_stats){
        .log_bytes = changes->chunks_count * (uint64_t)CSTI_CHANGES_CHUNK_BYTES,
        .index_bytes = changes->index_capacity * sizeof *changes->index,
        .keys_count = changes->keys_count,
    };
}

static bool fits(const csti_changes *changes, uint64_t more_bytes) {
    csti_changes_stats stats;

    csti_changes_stats_read(changes, &stats);
    return stats.log_bytes + stats.index_bytes + more_bytes <= changes->budget_bytes;
}

// ---- Index --------------------------------------------------------------------------------------

static uint8_t *record_at(const csti_changes *changes, uint64_t number) {
    const uint64_t chunk = number / changes->chunk_records - changes->chunk_first;

    assert(number >= changes->floor);
    assert(number < changes->tail);
    return changes->chunks[chunk] + number % changes->chunk_records * changes->shape.record_bytes;
}

const uint8_t *csti_changes_record(const csti_changes *changes, uint64_t number) {
    return record_at(changes, number);
}

uint64_t csti_changes_end(const csti_changes *changes) {
    return changes->tail;
}

// Where the key's entry is, or would be.
static uint64_t index_at(const csti_changes *changes, uint64_t hash, const uint8_t *key,
                         uint32_t key_bytes) {
    const uint64_t mask = changes->index_capacity - 1;

    // Ends: an eighth is always free.
    for (uint64_t at = hash & mask;; at = (at + 1) & mask) {
        const index_entry *entry = &changes->index[at];

        if (entry->number == 0) return at;
        if (entry->hash == hash) {
            const uint8_t *record = record_at(changes, entry->number - 1);

            if (csti_record_head(record).key_bytes == key_bytes &&
                memcmp(record + sizeof(csti_record), key, key_bytes) == 0)
                return at;
        }
    }
}

static cst_code index_resize(csti_changes *changes, uint64_t capacity) {
    const uint64_t mask = capacity - 1;
    index_entry *index = calloc(capacity, sizeof *index);

    if (!index) return CST_NO_MEMORY;
    for (uint64_t i = 0; i < changes->index_capacity; i++) {
        uint64_t at = changes->index[i].hash & mask;

        if (changes->index[i].number == 0) continue;
        while (index[at].number != 0) at = (at + 1) & mask;
        index[at] = changes->index[i];
    }
    free(changes->index);
    changes->index = index;
    changes->index_capacity = capacity;
    return CST_OK;
}

static cst_code index_grow(csti_changes *changes) {
    const uint64_t capacity = changes->index_capacity;
    const bool may_wait = changes->keys_count < capacity - capacity / FULL_SHARE_MAX;

    // Both are there while one becomes the other.
    if (!fits(changes, 2 * capacity * sizeof *changes->index))
        return may_wait ? CST_OK : CST_TABLE_BUDGET;
    return index_resize(changes, 2 * capacity);
}

// What stands behind the free place moves up, where its hash allows it.
static void index_remove(csti_changes *changes, uint64_t at) {
    const uint64_t mask = changes->index_capacity - 1;

    for (uint64_t next = (at + 1) & mask; changes->index[next].number != 0;
         next = (next + 1) & mask) {
        const uint64_t home = changes->index[next].hash & mask;

        if (((next - home) & mask) < ((next - at) & mask)) continue;
        changes->index[at] = changes->index[next];
        at = next;
    }
    changes->index[at].number = 0;
    changes->keys_count--;
}

uint8_t *csti_changes_find(const csti_changes *changes, uint64_t hash, const uint8_t *key,
                           uint32_t key_bytes, bool *open_out) {
    const index_entry *entry = &changes->index[index_at(changes, hash, key, key_bytes)];

    if (entry->number == 0) return NULL;
    *open_out = entry->number - 1 >= changes->open_first;
    return record_at(changes, entry->number - 1);
}

// ---- Log ----------------------------------------------------------------------------------------

static cst_code chunk_add(csti_changes *changes) {
    if (!fits(changes, CSTI_CHANGES_CHUNK_BYTES)) return CST_TABLE_BUDGET;
    if (changes->chunks_count == changes->chunks_capacity) {
        const size_t capacity = changes->chunks_capacity ? 2 * changes->chunks_capacity : 16;
        uint8_t **chunks = realloc(changes->chunks, capacity * sizeof *chunks);

        if (!chunks) return CST_NO_MEMORY;
        changes->chunks = chunks;
        changes->chunks_capacity = capacity;
    }
    changes->chunks[changes->chunks_count] = malloc(CSTI_CHANGES_CHUNK_BYTES);
    if (!changes->chunks[changes->chunks_count]) return CST_NO_MEMORY;
    changes->chunks_count++;
    return CST_OK;
}

static void record_write(const csti_changes *changes, uint8_t *record, uint64_t hash,
                         const uint8_t *key, uint32_t key_bytes, bool tombstone) {
    const csti_record head = {
        .hash = hash,
        .key_bytes = (uint16_t)key_bytes,
        .units = (uint16_t)(changes->shape.record_bytes / CSTI_LOG_UNIT),
        .value_flags =
            tombstone ? CSTI_RECORD_TOMBSTONE : CSTI_RECORD_PRESENT | changes->shape.value_bytes,
    };

    memset(record, 0, changes->shape.record_bytes);
    memcpy(record, &head, sizeof head);
    memcpy(record + sizeof head, key, key_bytes);
}

cst_code csti_changes_append(csti_changes *changes, uint64_t hash, const uint8_t *key,
                             uint32_t key_bytes, bool tombstone, uint8_t **record_out) {
    const uint64_t number = changes->tail;
    cst_code code = CST_OK;
    index_entry *entry;

    assert(key_bytes <= changes->shape.key_bytes);
    if (changes->keys_count >= changes->index_capacity / FULL_SHARE) code = index_grow(changes);
    if (code == CST_OK &&
        number / changes->chunk_records == changes->chunk_first + changes->chunks_count)
        code = chunk_add(changes);
    if (code != CST_OK) return code;
    entry = &changes->index[index_at(changes, hash, key, key_bytes)];
    changes->tail++;
    changes->keys_count += entry->number == 0;
    *entry = (index_entry){hash, number + 1};
    *record_out = record_at(changes, number);
    record_write(changes, *record_out, hash, key, key_bytes, tombstone);
    return CST_OK;
}

void csti_changes_bury(const csti_changes *changes, uint8_t *record) {
    csti_record head = csti_record_head(record);
    const uint32_t value_offset = csti_record_value_offset(&changes->shape, head);

    head.value_flags = CSTI_RECORD_TOMBSTONE;
    memcpy(record, &head, sizeof head);
    memset(record + value_offset, 0, changes->shape.record_bytes - value_offset);
}

// ---- Epochs -------------------------------------------------------------------------------------

cst_delta csti_changes_seal(csti_changes *changes) {
    const cst_delta delta = {.epoch = changes->epoch++,
                             .from = changes->open_first * changes->shape.record_bytes,
                             .to = changes->tail * changes->shape.record_bytes};

    changes->open_first = changes->tail;
    return delta;
}

void csti_changes_ranges(const csti_changes *changes, const cst_delta *delta, cst_bytes *ranges,
                         size_t capacity, size_t *count_out) {
    const uint64_t to = csti_changes_number(changes, delta->to);
    uint64_t number = csti_changes_number(changes, delta->from);
    size_t count = 0;

    while (number < to) {
        const uint64_t chunk_end = (number / changes->chunk_records + 1) * changes->chunk_records;
        const uint64_t end = chunk_end < to ? chunk_end : to;

        if (count < capacity)
            ranges[count] = (cst_bytes){record_at(changes, number),
                                        (size_t)(end - number) * changes->shape.record_bytes};
        count++;
        number = end;
    }
    *count_out = count;
}

void csti_changes_forget(csti_changes *changes, uint64_t number) {
    const uint8_t *record = record_at(changes, number);
    const csti_record head = csti_record_head(record);
    const uint64_t at = index_at(changes, head.hash, record + sizeof head, head.key_bytes);

    assert(number < changes->open_first);
    if (changes->index[at].number == number + 1) index_remove(changes, at);
}

void csti_changes_drop(csti_changes *changes, uint64_t number) {
    const uint64_t chunk = number / changes->chunk_records;
    const size_t count = (size_t)(chunk - changes->chunk_first);

    assert(number >= changes->floor);
    assert(number <= changes->open_first);
    changes->floor = number;
    // It has been larger: no memory now, it stays so.
    if (changes->index_capacity >= 4 * INDEX_FIRST &&
        changes->keys_count < changes->index_capacity / SHRINK_SHARE)
        (void)!index_resize(changes, changes->index_capacity / 4);
    if (count == 0) return;
    for (size_t i = 0; i < count && i < changes->chunks_count; i++) free(changes->chunks[i]);
    changes->chunks_count -= count < changes->chunks_count ? count : changes->chunks_count;
    memmove(changes->chunks, changes->chunks + count,
            changes->chunks_count * sizeof *changes->chunks);
    changes->chunk_first = chunk;
}
