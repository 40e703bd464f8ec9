#include "table/log.h"

static uint64_t segment_bytes(const cst_table *table) {
    return UINT64_C(1) << table->log_segment_shift;
}

// Where a record of `bytes` goes when the tail is `tail`: behind the gaps of docs/formats.md.
static uint64_t record_offset(const cst_table *table, uint64_t tail, uint32_t bytes) {
    const uint64_t line_rest = CSTI_LOG_LINE - (tail & (CSTI_LOG_LINE - 1));
    const uint64_t segment = segment_bytes(table);

    if (bytes <= CSTI_LOG_LINE && bytes > line_rest) tail += line_rest;
    if ((tail & (segment - 1)) + bytes > segment) tail = (tail | (segment - 1)) + 1;
    return tail;
}

// Segments are taken when their first byte is written; the log begins behind its first line.
uint64_t csti_log_mapped_end(const cst_table *table, uint64_t tail) {
    const uint64_t segment = segment_bytes(table);

    return tail == CSTI_LOG_BEGIN ? 0 : (tail + segment - 1) & ~(segment - 1);
}

cst_code csti_log_check_slow(const cst_table *table, uint32_t bytes) {
    const csti_control *control = table->control;
    const uint64_t end = record_offset(table, control->log_tail, bytes) + bytes;
    const uint64_t live =
        ((end - 1) >> table->log_segment_shift) - (control->log_floor >> table->log_segment_shift);

    if (end <= csti_log_mapped_end(table, control->log_tail) || control->log_free_count > 0)
        return live < table->log_segments_max ? CST_OK : CST_TABLE_BUDGET;
    if (live >= table->log_segments_max ||
        control->log_segments_frontier >= table->log_segments_max ||
        csti_used_bytes(table) + segment_bytes(table) > table->budget_bytes)
        return CST_TABLE_BUDGET;
    if ((control->log_segments_frontier + UINT64_C(1)) * segment_bytes(table) >
        csti_ready_bytes(table, CSTI_REGION_LOG))
        return CST_TABLE_NOT_READY;
    return CST_OK;
}

static void take_segment(cst_table *table, uint64_t segment) {
    csti_control *control = table->control;
    uint32_t place;

    if (control->log_free_count > 0) {
        place = table->log_free[control->log_free_first];
        control->log_free_first = (control->log_free_first + 1) & (table->log_segments_max - 1);
        control->log_free_count--;
    } else {
        place = control->log_segments_frontier++;
        table->nudge = true;
        atomic_store_explicit(&table->used[CSTI_REGION_LOG],
                              control->log_segments_frontier * segment_bytes(table),
                              memory_order_relaxed);
    }
    table->log_map[segment & (table->log_segments_max - 1)] = place;
}

static void write_gap(cst_table *table, uint64_t from, uint64_t to) {
    csti_record *gap = csti_log_record(table, from);

    assert(to > from && (to - from) / CSTI_LOG_UNIT <= UINT16_MAX);
    memset(gap, 0, to - from);
    gap->units = (uint16_t)((to - from) / CSTI_LOG_UNIT);
    gap->value_flags = CSTI_RECORD_GAP;
}

uint64_t csti_log_open_slow(cst_table *table, uint32_t bytes) {
    csti_control *control = table->control;
    const uint64_t offset = record_offset(table, control->log_tail, bytes);
    const uint64_t line_end = (control->log_tail | (CSTI_LOG_LINE - 1)) + 1;

    if (offset > control->log_tail) { // gaps lie in the segment that is open
        const bool ends_line = bytes <= CSTI_LOG_LINE;

        write_gap(table, control->log_tail, ends_line ? line_end : offset);
        if (ends_line && offset > line_end) write_gap(table, line_end, offset);
    }
    if (offset + bytes > csti_log_mapped_end(table, control->log_tail))
        take_segment(table, offset >> table->log_segment_shift);
    return offset;
}

void csti_log_extend(cst_table *table, uint64_t tail) {
    csti_control *control = table->control;
    const uint32_t shift = table->log_segment_shift;
    uint64_t segment = csti_log_mapped_end(table, control->log_tail) >> shift;

    for (; segment < csti_log_mapped_end(table, tail) >> shift; segment++)
        take_segment(table, segment);
    control->log_tail = tail;
}

cst_delta cst_table_seal(cst_table *table) {
    csti_control *control = table->control;
    const uint64_t tail = (control->log_tail + 63) & ~UINT64_C(63);
    const cst_delta delta = {control->epoch, control->epoch_first, tail};

    if (tail != control->log_tail) write_gap(table, control->log_tail, tail);
    control->log_tail = tail;
    control->epoch_first = tail;
    control->epoch++;
    return delta;
}

cst_code cst_table_release(cst_table *table, const cst_delta *delta) {
    csti_control *control = table->control;
    const uint32_t mask = table->log_segments_max - 1;

    if (delta->epoch >= control->epoch || delta->to > control->epoch_first) return CST_EPOCH;
    if (delta->to <= control->log_floor) return CST_OK;
    for (uint64_t segment = control->log_floor >> table->log_segment_shift;
         segment < delta->to >> table->log_segment_shift; segment++) {
        const uint32_t last = (control->log_free_first + control->log_free_count) & mask;

        assert(control->log_free_count < table->log_segments_max);
        table->log_free[last] = table->log_map[segment & mask];
        control->log_free_count++;
    }
    control->log_floor = delta->to;
    return CST_OK;
}

void cst_table_delta_ranges(const cst_table *table, const cst_delta *delta, cst_bytes *ranges,
                            size_t capacity, size_t *count_out) {
    const uint64_t segment = segment_bytes(table);
    size_t count = 0;

    for (uint64_t from = delta->from; from < delta->to; count++) {
        const uint64_t segment_end = (from | (segment - 1)) + 1;
        const uint64_t to = segment_end < delta->to ? segment_end : delta->to;

        if (count < capacity)
            ranges[count] =
                (cst_bytes){(const uint8_t *)csti_log_record(table, from), (size_t)(to - from)};
        from = to;
    }
    *count_out = count;
}
