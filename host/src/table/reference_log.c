#include "table/reference.h"

#include "table/reference_parts.h"

#include <string.h>

enum { LOG_BEGIN = 1024 };

static uint64_t segment_bytes(const cst_table *table) {
    return table->control->log_segment_bytes;
}

uint32_t csti_reference_record_bytes(const cst_table *table, uint32_t key_bytes,
                                     uint32_t value_bytes) {
    if (!csti_reference_is_wide(table)) return table->entry_bytes;
    return (uint32_t)csti_reference_round_up(16 + csti_reference_round_up(key_bytes, 8) +
                                                 value_bytes,
                                             CSTI_LOG_UNIT);
}

// Steps 1 and 2 of placing a record, without writing the gap.
static uint64_t place_of(const cst_table *table, uint32_t record_bytes) {
    uint64_t offset = table->control->log_tail;

    if (record_bytes <= CSTI_LOG_LINE &&
        offset / CSTI_LOG_LINE != (offset + record_bytes - 1) / CSTI_LOG_LINE)
        offset = csti_reference_round_up(offset, CSTI_LOG_LINE);
    if (offset / segment_bytes(table) != (offset + record_bytes - 1) / segment_bytes(table))
        offset = csti_reference_round_up(offset, segment_bytes(table));
    return offset;
}

static bool begins_segment(const cst_table *table, uint64_t offset) {
    return offset == LOG_BEGIN || offset % segment_bytes(table) == 0;
}

cst_code csti_reference_log_check(const cst_table *table, uint32_t record_bytes,
                                  uint64_t used_more) {
    const csti_control *control = table->control;

    if (!begins_segment(table, place_of(table, record_bytes))) return CST_OK;
    if (control->log_free_count > 0) return CST_OK;
    if (control->log_segments_frontier == table->log_segments_max) return CST_TABLE_BUDGET;
    if (csti_used_bytes(table) + used_more + segment_bytes(table) > table->budget_bytes)
        return CST_TABLE_BUDGET;
    if ((control->log_segments_frontier + UINT64_C(1)) * segment_bytes(table) >
        csti_ready_bytes(table, CSTI_REGION_LOG))
        return CST_TABLE_NOT_READY;
    return CST_OK;
}

static void take_segment(cst_table *table, uint64_t offset) {
    csti_control *control = table->control;
    const uint32_t mask = table->log_segments_max - 1;
    uint32_t place;

    if (control->log_free_count > 0) {
        place = table->log_free[control->log_free_first];
        control->log_free_first = (control->log_free_first + 1) & mask;
        control->log_free_count--;
    } else {
        place = control->log_segments_frontier++;
        atomic_store_explicit(&table->used[CSTI_REGION_LOG],
                              control->log_segments_frontier * segment_bytes(table),
                              memory_order_relaxed);
    }
    table->log_map[offset / segment_bytes(table) & mask] = place;
}

// Zeros from the tail to `offset`, with a gap's head.
static void write_gap(cst_table *table, uint64_t offset) {
    const uint64_t tail = table->control->log_tail;

    if (offset == tail) return;
    memset(csti_log_record(table, tail), 0, offset - tail);
    *csti_log_record(table, tail) =
        (csti_record){.units = (uint16_t)((offset - tail) / CSTI_LOG_UNIT),
                      .value_flags = CSTI_RECORD_GAP};
    table->control->log_tail = offset;
}

static void write_record(cst_table *table, uint64_t offset, uint32_t units,
                         const reference_row *row, uint32_t flags) {
    const bool is_tombstone = flags == CSTI_RECORD_TOMBSTONE;
    const uint32_t value_bytes = is_tombstone ? 0 : row->value_bytes;
    const uint64_t key_area = csti_reference_is_wide(table)
                                  ? csti_reference_round_up(row->key_bytes, 8)
                                  : table->key_area_bytes;
    uint8_t *bytes = (uint8_t *)csti_log_record(table, offset);

    memset(bytes, 0, (size_t)units * CSTI_LOG_UNIT);
    *(csti_record *)bytes = (csti_record){.hash = row->hash,
                                          .key_bytes = (uint16_t)row->key_bytes,
                                          .units = (uint16_t)units,
                                          .value_flags = value_bytes | flags};
    if (row->key_bytes > 0) memcpy(bytes + 16, row->key, row->key_bytes);
    if (value_bytes > 0) memcpy(bytes + 16 + key_area, row->value, value_bytes);
}

bool csti_reference_log_appends(const cst_table *table, uint64_t old_offset,
                                uint32_t record_bytes) {
    if (old_offset < table->control->epoch_first) return true; // an older epoch's, or none
    return record_bytes > csti_log_record(table, old_offset)->units * CSTI_LOG_UNIT;
}

uint64_t csti_reference_log_write(cst_table *table, uint64_t old_offset, const reference_row *row,
                                  uint32_t flags) {
    const uint32_t value_bytes = flags == CSTI_RECORD_TOMBSTONE ? 0 : row->value_bytes;
    const uint32_t record_bytes = csti_reference_record_bytes(table, row->key_bytes, value_bytes);
    uint64_t offset = old_offset;
    uint32_t units;

    if (csti_reference_log_appends(table, old_offset, record_bytes)) {
        offset = place_of(table, record_bytes);
        write_gap(table, offset);
        if (begins_segment(table, offset)) take_segment(table, offset);
        units = record_bytes / CSTI_LOG_UNIT;
        table->control->log_tail = offset + record_bytes;
    } else {
        units = csti_log_record(table, offset)->units;
    }
    write_record(table, offset, units, row, flags);
    return offset;
}

cst_delta csti_reference_seal(cst_table *table) {
    csti_control *control = table->control;
    cst_delta delta = {.epoch = control->epoch, .from = control->epoch_first};

    write_gap(table, csti_reference_round_up(control->log_tail, 64));
    delta.to = control->log_tail;
    control->epoch++;
    control->epoch_first = control->log_tail;
    return delta;
}

cst_code csti_reference_release(cst_table *table, const cst_delta *delta) {
    csti_control *control = table->control;
    const uint32_t mask = table->log_segments_max - 1;

    if (delta->epoch >= control->epoch) return CST_EPOCH;
    if (delta->to > control->epoch_first) return CST_EPOCH;
    if (delta->to <= control->log_floor) return CST_OK;

    for (uint64_t n = control->log_floor / segment_bytes(table);
         (n + 1) * segment_bytes(table) <= delta->to; n++) {
        table->log_free[(control->log_free_first + control->log_free_count) & mask] =
            table->log_map[n & mask];
        control->log_free_count++;
    }
    control->log_floor = delta->to;
    return CST_OK;
}
