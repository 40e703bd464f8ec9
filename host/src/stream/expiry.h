// expiry.h: the time of a table whose keys expire, and the walk that takes those out that have.
//
//   watermark, or clock ─► now ─► APPLY: a key with time + ttl <= now begins anew
//                           └───► EXPIRE, some buckets a step, round and round ─► tombstones
//
//   walk   due when `now` has come a CSTI_EXPIRY_SHARE-th of the TTL further than at the last one,
//          or when somebody wants it and `now` is another; then CSTI_EXPIRY_BUCKETS a step
//
// By the clock each row is given `now` as its time: the accumulator's source is no column, but an
// array of that one number.
//
// Promises   `now` never goes back. A key whose time was over when a walk began is gone when it has
//            ended, if the table has not grown meanwhile; the next walk finds it else.
// Thread     one: its partition's.
// Ring       0 after open.
// Owner      csti_expiry_close frees the array of times.
#ifndef CST_STREAM_EXPIRY_H
#define CST_STREAM_EXPIRY_H

#include <constellation/device.h>

enum {
    CSTI_EXPIRY_SHARE = 8,
    CSTI_EXPIRY_BUCKETS = 128, // of sixteen slots: a step leaves at most 1 MiB of tombstones
};

typedef struct csti_expiry {
    uint64_t ttl_us; // CST_TTL_NONE: nothing expires
    int64_t now_us;  // INT64_MIN: not known yet
    int64_t walk_us; // what it was when the last walk began
    uint64_t bucket; // the next one
    uint64_t buckets_left;
    bool in_flight;        // a step
    uint16_t clock_source; // of the program; CST_NO_COLUMN: rows bring their time
    uint32_t times_count;
    int64_t *times; // by the clock: `now` for each row of a block
} csti_expiry;

// `now_us` is that of an earlier life, or INT64_MIN. rows_max: of a block.
CST_CHECK_RESULT cst_code csti_expiry_open(csti_expiry *expiry, uint64_t ttl_us,
                                           uint16_t clock_source, uint32_t rows_max, int64_t now_us,
                                           cst_err *err);
void csti_expiry_close(csti_expiry *expiry);

static inline bool csti_expiry_by_clock(const csti_expiry *expiry) {
    return expiry->times != NULL;
}
// By the clock: only with no rows in flight, whose times these are.
void csti_expiry_advance(csti_expiry *expiry, int64_t now_us);
// The source of the rows' time, by the clock.
static inline cst_source csti_expiry_source(const csti_expiry *expiry) {
    return (cst_source){.values = expiry->times, .type = CST_TYPE_TIMESTAMP};
}
// Whether a walk is under way or due; `wanted`: due also for the least step of time.
bool csti_expiry_is_due(const csti_expiry *expiry, bool wanted);
// The next step, of a table with so many buckets. A walk that is due begins with it.
void csti_expiry_step(csti_expiry *expiry, uint64_t buckets_count, cst_command *out);
// The next step begins a walk.
void csti_expiry_restart(csti_expiry *expiry);
// Its completion, also of one that stopped for want of room and is given up.
void csti_expiry_stepped(csti_expiry *expiry, const cst_completion *done);

#endif
