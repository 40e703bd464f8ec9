#include "state/record.h"

#include <assert.h>

static bool is_zero(const uint8_t *bytes, size_t count) {
    uint64_t seen = 0;

    while (count >= 8) {
        uint64_t word;

        memcpy(&word, bytes, 8);
        seen |= word;
        bytes += 8;
        count -= 8;
    }
    while (count > 0) {
        seen |= *bytes++;
        count--;
    }
    return seen == 0;
}

static const char *gap_check(csti_record head, const uint8_t *bytes, size_t record_bytes) {
    if (head.hash != 0 || head.key_bytes != 0 || csti_record_value_bytes(head) != 0)
        return "a gap with content";
    if (!is_zero(bytes + sizeof head, record_bytes - sizeof head)) return "a gap that is not zeros";
    return NULL;
}

// Everything about lengths that the head alone can tell.
static const char *head_check(const csti_record_shape *shape, csti_record head) {
    const uint32_t flags = head.value_flags & CSTI_RECORD_FLAGS;
    const uint32_t value_bytes = csti_record_value_bytes(head);

    if (flags == 0 || (flags & (flags - 1)) != 0) return "not one of row, tombstone, gap";
    if (head.value_flags & ~(CSTI_RECORD_FLAGS | CSTI_RECORD_VALUE_MASK))
        return "reserved bits set";
    if (head.units == 0) return "no length";
    if (flags == CSTI_RECORD_GAP && head.key_bytes == 0) return NULL;
    if (head.key_bytes > shape->key_bytes) return "a key that is too long";
    if (shape->layout == CST_TABLE_INLINE) {
        if (csti_record_bytes(head) != shape->record_bytes)
            return "a length that is not its table's";
        if (flags == CSTI_RECORD_TOMBSTONE && value_bytes == 0) return NULL;
        if (value_bytes != shape->value_bytes) return "a value of another length";
        return NULL;
    }
    if (flags == CSTI_RECORD_GAP) return "a gap with content";
    if (flags == CSTI_RECORD_TOMBSTONE && value_bytes != 0) return "a tombstone with a value";
    if (value_bytes > shape->value_bytes) return "a value that is too long";
    if (csti_record_value_offset(shape, head) + value_bytes > csti_record_bytes(head))
        return "content longer than the record";
    return NULL;
}

csti_record_state csti_record_check(const csti_record_shape *shape, const uint8_t *bytes,
                                    size_t count, const char **why_out) {
    csti_record head;
    size_t record_bytes, key_end, value_offset, content_end;
    const char *why;

    if (count < CSTI_LOG_UNIT) return CSTI_RECORD_CUT;
    head = csti_record_head(bytes);
    why = head_check(shape, head);
    if (why) goto bad;
    record_bytes = csti_record_bytes(head);
    if (record_bytes > count) return CSTI_RECORD_CUT;
    if (head.value_flags & CSTI_RECORD_GAP && head.key_bytes == 0) {
        why = gap_check(head, bytes, record_bytes);
        if (why) goto bad;
        return CSTI_RECORD_GOOD;
    }
    key_end = sizeof head + head.key_bytes;
    value_offset = csti_record_value_offset(shape, head);
    content_end = value_offset + csti_record_value_bytes(head);
    why = "bytes beside key and value that are not zero";
    if (!is_zero(bytes + key_end, value_offset - key_end)) goto bad;
    if (!is_zero(bytes + content_end, record_bytes - content_end)) goto bad;
    return CSTI_RECORD_GOOD;
bad:
    *why_out = why;
    return CSTI_RECORD_BAD;
}

// Rows with the longest key, which inline segments are mostly full of, or tombstones that bring
// such a row's value: all of their heads but the hash is one word. Stops at anything else.
static size_t plain_rows_walk(const csti_record_shape *shape, uint32_t flag, const uint8_t *bytes,
                              size_t count) {
    const size_t record_bytes = shape->record_bytes;
    const csti_record row = {.key_bytes = (uint16_t)shape->key_bytes,
                             .units = (uint16_t)(record_bytes / CSTI_LOG_UNIT),
                             .value_flags = flag | shape->value_bytes};
    const uint64_t want = csti_record_kind((const uint8_t *)&row);
    const size_t key_end = sizeof row + shape->key_bytes;
    const size_t value_offset = csti_record_value_offset(shape, row);
    const size_t content_end = value_offset + shape->value_bytes;
    size_t used = 0;

    for (; count - used >= record_bytes; used += record_bytes) {
        const uint8_t *record = bytes + used;

        if (csti_record_kind(record) != want) break;
        if (!is_zero(record + key_end, value_offset - key_end) ||
            !is_zero(record + content_end, record_bytes - content_end))
            break;
    }
    return used;
}

size_t csti_records_walk(const csti_record_shape *shape, const uint8_t *bytes, size_t count,
                         csti_record_counts *counts, const char **why_out) {
    size_t used = 0;

    *why_out = NULL;
    while (used < count) {
        csti_record head;

        if (shape->layout == CST_TABLE_INLINE) {
            const size_t plain =
                plain_rows_walk(shape, CSTI_RECORD_PRESENT, bytes + used, count - used);
            const size_t closed = plain_rows_walk(shape, CSTI_RECORD_TOMBSTONE,
                                                  bytes + used + plain, count - used - plain);

            counts->rows += plain / shape->record_bytes;
            counts->tombstones += closed / shape->record_bytes;
            used += plain + closed;
            if (used == count) break;
        }
        if (csti_record_check(shape, bytes + used, count - used, why_out) != CSTI_RECORD_GOOD)
            break;
        head = csti_record_head(bytes + used);
        counts->rows += (head.value_flags & CSTI_RECORD_PRESENT) != 0;
        counts->tombstones += (head.value_flags & CSTI_RECORD_TOMBSTONE) != 0;
        used += csti_record_bytes(head);
    }
    return used;
}

uint32_t csti_record_refit(const csti_record_shape *from, const uint8_t *record,
                           const csti_record_shape *to, uint8_t *out) {
    csti_record head = csti_record_head(record);
    const uint32_t value_bytes = csti_record_value_bytes(head);

    assert(head.key_bytes <= to->key_bytes);
    assert(value_bytes <= to->value_bytes);
    memset(out, 0, to->record_bytes);
    memcpy(out + sizeof head, record + sizeof head, head.key_bytes);
    memcpy(out + csti_record_value_offset(to, head), record + csti_record_value_offset(from, head),
           value_bytes);
    head.units = (uint16_t)(to->record_bytes / CSTI_LOG_UNIT);
    memcpy(out, &head, sizeof head);
    return to->record_bytes;
}

int csti_record_key_compare(const uint8_t *record_a, const uint8_t *record_b) {
    const csti_record a = csti_record_head(record_a);
    const csti_record b = csti_record_head(record_b);
    const size_t common = a.key_bytes < b.key_bytes ? a.key_bytes : b.key_bytes;
    int order;

    if (a.hash != b.hash) return a.hash < b.hash ? -1 : 1;
    order = memcmp(record_a + sizeof a, record_b + sizeof b, common);
    if (order != 0) return order;
    return (a.key_bytes > b.key_bytes) - (a.key_bytes < b.key_bytes);
}
