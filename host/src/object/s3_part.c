#include "object/s3_part.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    RANGES_FIRST = 16,
    OWN_FIRST_BYTES = 64 << 10, // it doubles: most uploads are small
};

static cst_bytes *range_last(const csti_s3_part *part) {
    return part->ranges_count ? &part->ranges[part->ranges_count - 1] : NULL;
}

// One more range; what goes on where the last one ends makes that longer.
static bool range_add(csti_s3_part *part, const uint8_t *bytes, size_t count) {
    cst_bytes *last = range_last(part);

    if (last && (bytes ? last->data && last->data + last->count == bytes : !last->data)) {
        last->count += count;
        return true;
    }
    if (part->ranges_count == part->ranges_capacity) {
        const size_t capacity = part->ranges_capacity ? part->ranges_capacity * 2 : RANGES_FIRST;
        cst_bytes *ranges = realloc(part->ranges, capacity * sizeof *ranges);

        if (!ranges) return false;
        part->ranges = ranges;
        part->ranges_capacity = capacity;
    }
    assert(part->ranges);
    part->ranges[part->ranges_count++] = (cst_bytes){bytes, count};
    return true;
}

bool csti_s3_part_refer(csti_s3_part *part, const void *bytes, size_t count) {
    assert(bytes);
    if (!range_add(part, bytes, count)) return false;
    part->bytes += count;
    return true;
}

static bool own_reach(csti_s3_part *part, size_t bytes) {
    size_t capacity = part->own_capacity ? part->own_capacity : OWN_FIRST_BYTES;
    uint8_t *own;

    if (bytes <= part->own_capacity) return true;
    while (capacity < bytes) capacity *= 2;
    own = realloc(part->own, capacity);
    if (!own) return false;
    part->own = own;
    part->own_capacity = capacity;
    return true;
}

bool csti_s3_part_copy(csti_s3_part *part, const void *bytes, size_t count) {
    if (!own_reach(part, part->own_bytes + count) || !range_add(part, NULL, count)) return false;
    memcpy(part->own + part->own_bytes, bytes, count);
    part->own_bytes += count;
    part->bytes += count;
    return true;
}

void csti_s3_part_seal(csti_s3_part *part) {
    size_t at = 0;

    for (size_t i = 0; i < part->ranges_count; i++) {
        if (part->ranges[i].data) continue;
        part->ranges[i].data = part->own + at;
        at += part->ranges[i].count;
    }
    assert(at == part->own_bytes);
}

void csti_s3_part_release(csti_s3_part *part) {
    free(part->ranges);
    free(part->own);
    *part = (csti_s3_part){.ranges = NULL};
}
