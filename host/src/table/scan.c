#include "table/apply.h"
#include "table/program.h"

static uint64_t buckets_end(const cst_table *table) {
    return (uint64_t)table->control->chunks_frontier * CSTI_CHUNK_BUCKETS;
}

static csti_control_line *bucket_line(const cst_table *table, uint64_t bucket) {
    return (csti_control_line *)table->index + bucket;
}

static csti_entry *bucket_slot(const cst_table *table, uint64_t bucket, uint32_t slot) {
    return (csti_entry *)(table->slots +
                          (bucket * CSTI_BUCKET_SLOTS + slot) * (size_t)table->entry_bytes);
}

static bool entry_expired(const cst_table *table, const csti_entry *entry, int64_t now_us) {
    return table->control->layout == CST_TABLE_INLINE &&
           csti_program_expired(&table->control->program, csti_entry_value(table, entry), now_us);
}

cst_code cst_table_scan(cst_table *table, cst_scan *scan, cst_row_ref *out, uint32_t capacity,
                        uint32_t *count_out) {
    const uint64_t end = buckets_end(table) * CSTI_BUCKET_SLOTS;
    uint32_t count = 0;

    *count_out = 0;
    if (scan->position == 0) scan->grows = table->control->grows_count;
    if (scan->grows != table->control->grows_count) return CST_AGAIN;
    while (scan->position < end && count < capacity) {
        const uint64_t bucket = scan->position / CSTI_BUCKET_SLOTS;
        const uint32_t slot = (uint32_t)(scan->position % CSTI_BUCKET_SLOTS);
        const uint32_t rest = (uint32_t)bucket_line(table, bucket)->occupied >> slot;

        if (rest == 0) {
            scan->position = (bucket + 1) * CSTI_BUCKET_SLOTS;
            continue;
        }
        scan->position += (uint32_t)__builtin_ctz(rest);
        const csti_entry *entry =
            bucket_slot(table, bucket, (uint32_t)(scan->position % CSTI_BUCKET_SLOTS));
        scan->position++;
        if (!entry_expired(table, entry, scan->now_us)) out[count++] = csti_entry_row(table, entry);
    }
    *count_out = count;
    return CST_OK;
}

cst_code cst_table_expire(cst_table *table, uint64_t *bucket, uint32_t buckets_count,
                          int64_t now_us, uint32_t *expired_out) {
    const uint64_t end = buckets_end(table);

    *expired_out = 0;
    if (table->control->program.ttl_us == CST_TTL_NONE) return CST_UNSUPPORTED;
    for (uint32_t i = 0; i < buckets_count && i < end; i++) {
        if (*bucket >= end) *bucket = 0;
        csti_control_line *line = bucket_line(table, *bucket);

        for (uint32_t occupied = line->occupied; occupied; occupied &= occupied - 1) {
            const uint32_t slot = (uint32_t)__builtin_ctz(occupied);
            const csti_place place = {line, bucket_slot(table, *bucket, slot), slot};

            if (!entry_expired(table, place.entry, now_us)) continue;
            const cst_code code = csti_delete_at(table, &place);
            if (code != CST_OK) return code;
            (*expired_out)++;
        }
        (*bucket)++;
    }
    if (*bucket >= end) *bucket = 0;
    return CST_OK;
}
