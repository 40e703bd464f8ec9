// GROW: one segment at a time, planned on hashes alone, then done; nothing changes if the plan has
// no end.
//
//   5 chunks, a row without place      ──►  6 chunks, all rows placed anew
//   7 chunks                           ──►  4 chunks (hash bit 0) + 4 chunks (hash bit 1)
#include "table/apply.h"

enum { COPY_AHEAD_ROWS = 8 };

// What GROW would build from some of those rows.
typedef struct segment_plan {
    uint32_t chunks; // 0: none takes them
    uint32_t bit;    // the rows whose hash has this value in ...
    uint64_t mask;   // ... this bit (0: all rows)
} segment_plan;

static void collect(const cst_table *table, const csti_directory_row *row,
                    csti_segment_rows *rows) {
    rows->count = 0;
    for (uint32_t bucket = 0; bucket < row->chunks * (uint32_t)CSTI_CHUNK_BUCKETS; bucket++) {
        const csti_control_line *line = csti_bucket_line(table, row, bucket);
        csti_entry *slots = csti_bucket_slots(table, row, bucket);

        for (uint32_t slot = 0; slot < CSTI_BUCKET_SLOTS; slot++)
            __builtin_prefetch(csti_slot(table, slots, slot)); // all their misses at once
        for (uint32_t occupied = line->occupied; occupied; occupied &= occupied - 1) {
            csti_entry *entry = csti_slot(table, slots, (uint32_t)__builtin_ctz(occupied));

            rows->hash[rows->count] = entry->hash;
            rows->entry[rows->count++] = entry;
        }
    }
}

static bool in_plan(const segment_plan *plan, uint64_t hash) {
    return plan->mask == 0 || ((hash & plan->mask) != 0) == (plan->bit != 0);
}

// Whether `chunks` chunks have a place for all rows of the plan, by counting alone.
static bool fits(const csti_segment_rows *rows, const segment_plan *plan, uint32_t chunks) {
    uint8_t count[CSTI_SEGMENT_CHUNKS_MAX * CSTI_CHUNK_BUCKETS] = {0};
    const uint32_t buckets = chunks * (uint32_t)CSTI_CHUNK_BUCKETS;

    for (uint32_t i = 0; i < rows->count; i++) {
        if (!in_plan(plan, rows->hash[i])) continue;
        const uint32_t first = csti_hash_bucket_first(rows->hash[i], buckets);
        uint32_t bucket = first;

        if (count[first] >= CSTI_FIRST_UNTIL) {
            const uint32_t second = csti_hash_bucket_second(rows->hash[i], buckets, first);
            if (csti_goes_second(count[first], count[second])) bucket = second;
        }
        if (count[bucket] == CSTI_BUCKET_SLOTS) return false;
        count[bucket]++;
    }
    return true;
}

static segment_plan plan_from(const csti_segment_rows *rows, uint32_t chunks_min, uint64_t mask,
                              uint32_t bit) {
    segment_plan plan = {.bit = bit, .mask = mask};

    for (uint32_t chunks = chunks_min; chunks <= CSTI_SEGMENT_CHUNKS_MAX; chunks++) {
        if (!fits(rows, &plan, chunks)) continue;
        plan.chunks = chunks;
        break;
    }
    return plan;
}

static cst_code chunks_check(const cst_table *table, uint32_t count) {
    const csti_control *control = table->control;
    const uint64_t index_bytes = CSTI_CHUNK_BUCKETS * sizeof(csti_control_line);
    uint64_t fresh;

    if (count <= control->chunks_free_count) return CST_OK;
    fresh = count - control->chunks_free_count;
    if (csti_used_bytes(table) + fresh * (index_bytes + table->chunk_slot_bytes) >
        table->budget_bytes)
        return CST_TABLE_BUDGET;
    fresh += control->chunks_frontier;
    if (fresh * index_bytes > csti_ready_bytes(table, CSTI_REGION_INDEX) ||
        fresh * table->chunk_slot_bytes > csti_ready_bytes(table, CSTI_REGION_SLOTS))
        return CST_TABLE_NOT_READY;
    return CST_OK;
}

uint32_t csti_chunk_take(cst_table *table) {
    csti_control *control = table->control;

    if (control->chunks_free_count > 0) {
        const uint32_t last = --control->chunks_free_count;
        const uint32_t chunk = control->chunks_free[last];

        control->chunks_free[last] = 0;
        return chunk;
    }
    const uint64_t taken = ++control->chunks_frontier;
    table->nudge = true;
    atomic_store_explicit(&table->used[CSTI_REGION_INDEX],
                          taken * CSTI_CHUNK_BUCKETS * sizeof(csti_control_line),
                          memory_order_relaxed);
    atomic_store_explicit(&table->used[CSTI_REGION_SLOTS], taken * table->chunk_slot_bytes,
                          memory_order_relaxed);
    return control->chunks_frontier - 1;
}

static void chunk_give(cst_table *table, uint32_t chunk) {
    csti_control *control = table->control;

    assert(control->chunks_free_count < CSTI_CHUNKS_FREE_MAX);
    memset(csti_chunk_lines(table, chunk), 0, CSTI_CHUNK_BUCKETS * sizeof(csti_control_line));
    memset(table->slots + (size_t)chunk * table->chunk_slot_bytes, 0, table->chunk_slot_bytes);
    control->chunks_free[control->chunks_free_count++] = chunk;
}

// Gives each row of the plan its slot in a segment of fresh chunks; copy_rows() fills them.
static csti_directory_row build(cst_table *table, csti_segment_rows *rows, const segment_plan *plan,
                                uint8_t depth) {
    csti_directory_row row = {.depth = depth, .chunks = (uint8_t)plan->chunks};

    for (uint32_t i = 0; i < plan->chunks; i++) row.chunk[i] = csti_chunk_take(table);
    for (uint32_t i = 0; i < rows->count; i++) {
        if (!in_plan(plan, rows->hash[i])) continue;
        csti_control_line *first_line;
        const csti_place place = csti_find_free(table, &row, rows->hash[i], &first_line);

        assert(place.line); // fits() has counted
        rows->target[i] = place.entry;
        csti_place_occupy(&place, rows->hash[i], first_line);
    }
    return row;
}

// Source and target are asked for some rows ahead: a store that misses holds up those behind it.
static void copy_rows(const cst_table *table, const csti_segment_rows *rows) {
    const uint32_t bytes = table->entry_bytes;

    for (uint32_t i = 0; i < rows->count + COPY_AHEAD_ROWS; i++) {
        if (i < rows->count) {
            for (uint32_t at = 0; at < bytes; at += CSTI_LINE_BYTES) {
                __builtin_prefetch((const uint8_t *)rows->entry[i] + at);
                __builtin_prefetch((const uint8_t *)rows->target[i] + at, 1);
            }
        }
        if (i >= COPY_AHEAD_ROWS)
            memcpy(rows->target[i - COPY_AHEAD_ROWS], rows->entry[i - COPY_AHEAD_ROWS], bytes);
    }
}

// Every directory row that ends in `suffix` under the row's depth, those copied ahead too.
static void publish(cst_table *table, uint64_t suffix, const csti_directory_row *row) {
    const uint64_t step = UINT64_C(1) << row->depth;

    for (uint64_t i = suffix & (step - 1); i < table->control->directory_rows; i += step)
        table->directory[i] = *row;
}

static bool doubling_is_due(const csti_control *control) {
    return control->depth_max == control->directory_depth &&
           control->directory_depth < CSTI_DIRECTORY_DEPTH_MAX;
}

// Copies some directory rows ahead; the directory doubles when all are there.
static cst_code extend_directory(cst_table *table) {
    csti_control *control = table->control;
    const uint32_t half = UINT32_C(1) << control->directory_depth;
    uint32_t end = control->directory_rows + CSTI_EXTEND_ROWS;

    if (end > 2 * half) end = 2 * half;
    if (csti_used_bytes(table) + (end - control->directory_rows) * sizeof(csti_directory_row) >
        table->budget_bytes)
        return CST_TABLE_BUDGET;
    if (end * sizeof(csti_directory_row) > csti_ready_bytes(table, CSTI_REGION_DIRECTORY))
        return CST_TABLE_NOT_READY;
    memcpy(table->directory + control->directory_rows,
           table->directory + control->directory_rows - half,
           (end - control->directory_rows) * sizeof(csti_directory_row));
    control->directory_rows = end;
    if (end == 2 * half) control->directory_depth++;
    atomic_store_explicit(&table->used[CSTI_REGION_DIRECTORY], end * sizeof(csti_directory_row),
                          memory_order_relaxed);
    return CST_OK;
}

static void replace_segment(cst_table *table, const csti_directory_row *old, uint64_t hash,
                            csti_segment_rows *rows, const segment_plan *plans,
                            uint32_t plans_count) {
    csti_control *control = table->control;
    const uint8_t depth = (uint8_t)(old->depth + plans_count - 1);

    for (uint32_t i = 0; i < plans_count; i++) {
        const csti_directory_row row = build(table, rows, &plans[i], depth);
        const uint64_t bit = plans_count == 2 ? (uint64_t)i << old->depth : 0;

        publish(table, (hash & ((UINT64_C(1) << old->depth) - 1)) | bit, &row);
    }
    copy_rows(table, rows);
    for (uint32_t i = 0; i < old->chunks; i++) chunk_give(table, old->chunk[i]);
    control->grows_count++;
    if (plans_count == 2) {
        control->splits_count++;
        control->segments_count++;
        if (depth > control->depth_max) control->depth_max = depth;
    }
}

cst_code cst_table_grow(cst_table *table, uint64_t hash) {
    csti_segment_rows *rows = &table->grow_scratch;
    segment_plan plans[2];
    uint32_t plans_count = 1;
    cst_code code;

    if (doubling_is_due(table->control)) {
        code = extend_directory(table);
        if (code != CST_OK) return code;
    }
    const csti_directory_row old = *csti_directory_find(table, hash);
    collect(table, &old, rows);
    if (rows->count * 4 < old.chunks * (uint32_t)CSTI_CHUNK_SLOTS) return CST_TABLE_SKEW;

    plans[0] = plan_from(rows, old.chunks + 1u, 0, 0);
    if (plans[0].chunks == 0) {
        const uint64_t mask = UINT64_C(1) << old.depth;

        if (old.depth == CSTI_DIRECTORY_DEPTH_MAX) return CST_LIMIT;
        plans[0] = plan_from(rows, CSTI_SEGMENT_CHUNKS_MIN, mask, 0);
        plans[1] = plan_from(rows, CSTI_SEGMENT_CHUNKS_MIN, mask, 1);
        plans_count = 2;
        if (plans[0].chunks == 0 || plans[1].chunks == 0) return CST_TABLE_SKEW;
        if (old.depth == table->control->directory_depth) return CST_AGAIN;
    }
    code = chunks_check(table, plans[0].chunks + (plans_count == 2 ? plans[1].chunks : 0));
    if (code != CST_OK) return code;
    replace_segment(table, &old, hash, rows, plans, plans_count);
    return CST_OK;
}
