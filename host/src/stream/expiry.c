#include "stream/expiry.h"

#include <assert.h>
#include <stdlib.h>

cst_code csti_expiry_open(csti_expiry *expiry, uint64_t ttl_us, uint16_t clock_source,
                          uint32_t rows_max, int64_t now_us, cst_err *err) {
    *expiry = (csti_expiry){.ttl_us = ttl_us,
                            .now_us = INT64_MIN,
                            .walk_us = INT64_MIN,
                            .clock_source = clock_source};
    if (ttl_us == CST_TTL_NONE) return CST_OK;
    if (clock_source != CST_NO_COLUMN) {
        assert(rows_max > 0);
        expiry->times_count = rows_max;
        expiry->times = calloc(rows_max, sizeof *expiry->times);
        if (!expiry->times) return cst_fail(err, CST_NO_MEMORY, "times of %u rows", rows_max);
    }
    csti_expiry_advance(expiry, now_us);
    return CST_OK;
}

void csti_expiry_close(csti_expiry *expiry) {
    free(expiry->times);
    expiry->times = NULL;
}

void csti_expiry_advance(csti_expiry *expiry, int64_t now_us) {
    if (now_us <= expiry->now_us) return;
    expiry->now_us = now_us;
    for (uint32_t r = 0; r < expiry->times_count; r++) expiry->times[r] = now_us;
}

bool csti_expiry_is_due(const csti_expiry *expiry, bool wanted) {
    int64_t due_us;

    if (expiry->ttl_us == CST_TTL_NONE || expiry->in_flight) return false;
    if (expiry->buckets_left > 0) return true;
    if (wanted || expiry->walk_us == INT64_MIN) return expiry->now_us > expiry->walk_us;
    if (__builtin_add_overflow(expiry->walk_us, expiry->ttl_us / CSTI_EXPIRY_SHARE, &due_us))
        return false; // beyond all time
    return expiry->now_us > due_us;
}

void csti_expiry_restart(csti_expiry *expiry) {
    expiry->walk_us = INT64_MIN;
    expiry->bucket = 0;
    expiry->buckets_left = 0;
}

void csti_expiry_step(csti_expiry *expiry, uint64_t buckets_count, cst_command *out) {
    assert(!expiry->in_flight);
    assert(buckets_count > 0);
    if (expiry->buckets_left == 0) {
        expiry->walk_us = expiry->now_us;
        expiry->buckets_left = buckets_count;
    }
    out->ops = CST_OP_EXPIRE;
    out->rows.now_us = expiry->now_us;
    out->expire_bucket = expiry->bucket;
    out->expire_buckets_count = expiry->buckets_left < CSTI_EXPIRY_BUCKETS
                                    ? (uint32_t)expiry->buckets_left
                                    : CSTI_EXPIRY_BUCKETS;
    expiry->in_flight = true;
}

void csti_expiry_stepped(csti_expiry *expiry, const cst_completion *done) {
    assert(expiry->in_flight);
    expiry->in_flight = false;
    expiry->bucket = done->position;
    expiry->buckets_left -=
        done->rows_done < expiry->buckets_left ? done->rows_done : expiry->buckets_left;
}
