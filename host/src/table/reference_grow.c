#include "table/reference.h"

#include "table/reference_parts.h"

#include <string.h>

enum { BUCKETS_MAX = CSTI_SEGMENT_CHUNKS_MAX * CSTI_CHUNK_BUCKETS };

// A segment that is being filled, before it has chunks: how many rows each bucket holds, where each
// row goes, and which filter bits that sets.
typedef struct plan {
    uint32_t chunks;
    uint32_t rows_count;
    uint32_t bucket_rows[BUCKETS_MAX];
    csti_control_line lines[BUCKETS_MAX];
    const csti_entry *rows[CSTI_SEGMENT_SLOTS_MAX];
    uint16_t place[CSTI_SEGMENT_SLOTS_MAX]; // bucket * 16 + slot
} plan;

// ---- 1. The directory ---------------------------------------------------------------------------

static cst_code extend_directory(cst_table *table) {
    csti_control *control = table->control;
    const uint32_t rows_now = 1u << control->directory_depth;
    uint32_t rows_end = control->directory_rows + CSTI_EXTEND_ROWS;
    uint64_t bytes_more;

    if (control->depth_max != control->directory_depth) return CST_OK;
    if (control->directory_depth == CSTI_DIRECTORY_DEPTH_MAX) return CST_OK;
    if (rows_end > 2 * rows_now) rows_end = 2 * rows_now;
    bytes_more = (rows_end - control->directory_rows) * sizeof(csti_directory_row);
    if (csti_used_bytes(table) + bytes_more > table->budget_bytes) return CST_TABLE_BUDGET;
    if (rows_end * sizeof(csti_directory_row) > csti_ready_bytes(table, CSTI_REGION_DIRECTORY))
        return CST_TABLE_NOT_READY;

    for (uint32_t r = control->directory_rows; r < rows_end; r++)
        table->directory[r] = table->directory[r - rows_now];
    control->directory_rows = rows_end;
    atomic_store_explicit(&table->used[CSTI_REGION_DIRECTORY],
                          rows_end * sizeof(csti_directory_row), memory_order_relaxed);
    if (rows_end == 2 * rows_now) control->directory_depth++;
    return CST_OK;
}

// ---- 3, 4. Placing rows anew --------------------------------------------------------------------

static bool plan_place(plan *p, const csti_entry *row) {
    const uint32_t buckets = p->chunks * CSTI_CHUNK_BUCKETS;
    const uint32_t first = csti_hash_bucket_first(row->hash, buckets);
    const uint32_t second = csti_hash_bucket_second(row->hash, buckets, first);
    const uint32_t tag = csti_hash_tag(row->hash);
    uint32_t bucket = first;
    uint32_t slot;

    if (p->bucket_rows[first] >= CSTI_FIRST_UNTIL && p->bucket_rows[second] < p->bucket_rows[first])
        bucket = second;
    slot = p->bucket_rows[bucket];
    if (slot == CSTI_BUCKET_SLOTS) return false;

    if (bucket != first) p->lines[first].overflow[tag % 128 / 64] |= UINT64_C(1) << tag % 64;
    p->lines[bucket].tag[slot] = (uint16_t)tag;
    p->lines[bucket].occupied |= (uint16_t)(1u << slot);
    p->bucket_rows[bucket]++;
    p->rows[p->rows_count] = row;
    p->place[p->rows_count] = (uint16_t)(bucket * CSTI_BUCKET_SLOTS + slot);
    p->rows_count++;
    return true;
}

// Which rows of a segment a plan takes: all, or those with a certain hash bit.
typedef struct choice {
    uint64_t mask, wanted;
} choice;

static bool plan_all(plan *p, const cst_table *table, const csti_directory_row *segment,
                     choice chosen, uint32_t chunks) {
    memset(p, 0, sizeof *p);
    p->chunks = chunks;
    for (uint32_t bucket = 0; bucket < segment->chunks * (uint32_t)CSTI_CHUNK_BUCKETS; bucket++) {
        const csti_control_line *line = csti_bucket_line(table, segment, bucket);
        csti_entry *first = csti_bucket_slots(table, segment, bucket);

        for (uint32_t slot = 0; slot < CSTI_BUCKET_SLOTS; slot++) {
            const csti_entry *row = csti_slot(table, first, slot);

            if ((line->occupied >> slot & 1) == 0) continue;
            if ((row->hash & chosen.mask) != chosen.wanted) continue;
            if (!plan_place(p, row)) return false;
        }
    }
    return true;
}

// The fewest chunks from `chunks_min` on that take the chosen rows.
static bool plan_fewest(plan *p, const cst_table *table, const csti_directory_row *segment,
                        choice chosen, uint32_t chunks_min) {
    for (uint32_t chunks = chunks_min; chunks <= CSTI_SEGMENT_CHUNKS_MAX; chunks++)
        if (plan_all(p, table, segment, chosen, chunks)) return true;
    return false;
}

static uint32_t segment_rows(const cst_table *table, const csti_directory_row *segment) {
    uint32_t rows_count = 0;

    for (uint32_t bucket = 0; bucket < segment->chunks * (uint32_t)CSTI_CHUNK_BUCKETS; bucket++)
        rows_count +=
            (uint32_t)__builtin_popcount(csti_bucket_line(table, segment, bucket)->occupied);
    return rows_count;
}

// ---- Carrying it out ----------------------------------------------------------------------------

static cst_code chunks_check(const cst_table *table, uint32_t chunks) {
    const csti_control *control = table->control;
    const uint64_t lines_bytes = CSTI_CHUNK_BUCKETS * sizeof(csti_control_line);
    uint64_t frontier_more, frontier;

    if (chunks <= control->chunks_free_count) return CST_OK;
    frontier_more = chunks - control->chunks_free_count;
    frontier = control->chunks_frontier + frontier_more;
    if (csti_used_bytes(table) + frontier_more * (lines_bytes + table->chunk_slot_bytes) >
        table->budget_bytes)
        return CST_TABLE_BUDGET;
    if (frontier * lines_bytes > csti_ready_bytes(table, CSTI_REGION_INDEX))
        return CST_TABLE_NOT_READY;
    if (frontier * table->chunk_slot_bytes > csti_ready_bytes(table, CSTI_REGION_SLOTS))
        return CST_TABLE_NOT_READY;
    return CST_OK;
}

static uint32_t chunk_take(cst_table *table) {
    csti_control *control = table->control;

    if (control->chunks_free_count > 0) {
        const uint32_t top = --control->chunks_free_count;
        const uint32_t chunk = control->chunks_free[top];

        control->chunks_free[top] = 0;
        return chunk;
    }
    atomic_store_explicit(&table->used[CSTI_REGION_INDEX],
                          (control->chunks_frontier + UINT64_C(1)) * CSTI_CHUNK_BUCKETS *
                              sizeof(csti_control_line),
                          memory_order_relaxed);
    atomic_store_explicit(&table->used[CSTI_REGION_SLOTS],
                          (control->chunks_frontier + UINT64_C(1)) * table->chunk_slot_bytes,
                          memory_order_relaxed);
    return control->chunks_frontier++;
}

static void chunk_free(cst_table *table, uint32_t chunk) {
    csti_control *control = table->control;

    memset(csti_chunk_lines(table, chunk), 0, CSTI_CHUNK_BUCKETS * sizeof(csti_control_line));
    memset(table->slots + (size_t)chunk * table->chunk_slot_bytes, 0, table->chunk_slot_bytes);
    assert(control->chunks_free_count < CSTI_CHUNKS_FREE_MAX);
    control->chunks_free[control->chunks_free_count++] = chunk;
}

// Gives the plan its chunks and copies lines and rows into them.
static csti_directory_row plan_build(cst_table *table, const plan *p, uint32_t depth) {
    csti_directory_row segment = {.depth = (uint8_t)depth, .chunks = (uint8_t)p->chunks};

    for (uint32_t i = 0; i < p->chunks; i++) segment.chunk[i] = chunk_take(table);
    for (uint32_t bucket = 0; bucket < p->chunks * CSTI_CHUNK_BUCKETS; bucket++)
        *csti_bucket_line(table, &segment, bucket) = p->lines[bucket];
    for (uint32_t i = 0; i < p->rows_count; i++) {
        csti_entry *first = csti_bucket_slots(table, &segment, p->place[i] / CSTI_BUCKET_SLOTS);

        memcpy(csti_slot(table, first, p->place[i] % CSTI_BUCKET_SLOTS), p->rows[i],
               table->entry_bytes);
    }
    return segment;
}

static void directory_write(cst_table *table, uint64_t hash, const csti_directory_row *segment) {
    const uint64_t step = UINT64_C(1) << segment->depth;

    for (uint64_t r = hash % step; r < table->control->directory_rows; r += step)
        table->directory[r] = *segment;
}

static void segment_free(cst_table *table, const csti_directory_row *segment) {
    for (uint32_t i = 0; i < segment->chunks; i++) chunk_free(table, segment->chunk[i]);
}

static cst_code split(cst_table *table, uint64_t hash, const csti_directory_row *old) {
    csti_control *control = table->control;
    const uint64_t bit = UINT64_C(1) << old->depth;
    csti_directory_row made[2];
    plan half[2];
    cst_code code;

    if (old->depth == CSTI_DIRECTORY_DEPTH_MAX) return CST_LIMIT;
    for (uint32_t i = 0; i < 2; i++)
        if (!plan_fewest(&half[i], table, old, (choice){.mask = bit, .wanted = i ? bit : 0},
                         CSTI_SEGMENT_CHUNKS_MIN))
            return CST_TABLE_SKEW;
    if (old->depth == control->directory_depth) return CST_AGAIN;
    code = chunks_check(table, half[0].chunks + half[1].chunks);
    if (code != CST_OK) return code;

    for (uint32_t i = 0; i < 2; i++) made[i] = plan_build(table, &half[i], old->depth + 1u);
    for (uint32_t i = 0; i < 2; i++)
        directory_write(table, (hash & ~bit) | (i ? bit : 0), &made[i]);
    segment_free(table, old);
    if (control->depth_max < old->depth + 1u) control->depth_max = old->depth + 1u;
    control->segments_count++;
    control->splits_count++;
    control->grows_count++;
    return CST_OK;
}

cst_code csti_reference_grow(cst_table *table, uint64_t hash) {
    const choice all = {.mask = 0, .wanted = 0};
    csti_directory_row old, made;
    plan bigger;
    cst_code code = extend_directory(table);

    if (code != CST_OK) return code;
    old = *csti_directory_find(table, hash);
    if (segment_rows(table, &old) * 4 < old.chunks * (uint32_t)CSTI_CHUNK_SLOTS)
        return CST_TABLE_SKEW;
    if (!plan_fewest(&bigger, table, &old, all, old.chunks + 1u)) return split(table, hash, &old);
    code = chunks_check(table, bigger.chunks);
    if (code != CST_OK) return code;

    made = plan_build(table, &bigger, old.depth);
    directory_write(table, hash, &made);
    segment_free(table, &old);
    table->control->grows_count++;
    return CST_OK;
}
