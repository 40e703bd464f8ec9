// deltas.h: what a keeper's deltas hold.
#ifndef CST_TEST_DELTAS_H
#define CST_TEST_DELTAS_H

#include "state/keeper.h"
#include "state/record.h"
#include "unit/state/segments.h"

enum { DELTA_RANGES_MAX = 256 };

// A delta's records without gaps, back to back.
static inline bytes_sink records_of(const csti_keeper *keeper, const cst_delta *delta) {
    cst_bytes ranges[DELTA_RANGES_MAX];
    bytes_sink out = {0};
    size_t count;

    csti_keeper_delta_ranges(keeper, delta, ranges, DELTA_RANGES_MAX, &count);
    CHECK(count <= DELTA_RANGES_MAX);
    for (size_t i = 0; i < count; i++)
        for (size_t at = 0; at < ranges[i].count;) {
            const csti_record head = csti_record_head(ranges[i].data + at);

            if (!(head.value_flags & CSTI_RECORD_GAP))
                sink_add(&out, ranges[i].data + at, csti_record_bytes(head));
            at += csti_record_bytes(head);
        }
    return out;
}

#endif
