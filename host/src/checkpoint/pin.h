// pin.h: a reader's hold on a checkpoint: while it lasts, nothing that the checkpoint names is
// deleted.
//
//   take ──► read, hold, read, hold ... ──► end
//              │
//              └─ PIN_EXPIRED: too slow; what is read from here on may be gone: start again, once
//
// Thread     one at a time.
// Ring       2: calls propose to the metadata.
// Owner      the pin borrows meta and clock.
#ifndef CST_CHECKPOINT_PIN_H
#define CST_CHECKPOINT_PIN_H

#include "meta/meta.h"

#define CSTI_PIN_TTL_US ((uint64_t)60000000)

typedef struct csti_pin {
    csti_meta *meta;
    const csti_clock *clock;
    uint64_t reader, id; // id 0: not pinned
    uint64_t held_ns;    // when it was last confirmed
} csti_pin;

// Pins checkpoint `id`; 0: the newest. NOT_FOUND: no such one, or none at all; CHECKPOINT_RETIRED;
// store errors.
CST_CHECK_RESULT cst_code csti_pin_take(csti_meta *meta, const csti_clock *clock,
                                        csti_random *random, uint64_t id, csti_pin *out,
                                        cst_err *err);
// Asks for more time if a third of it is over. PIN_EXPIRED.
CST_CHECK_RESULT cst_code csti_pin_hold(csti_pin *pin, cst_err *err);
// All zeros is allowed. A pin that could not be given back ends by itself.
void csti_pin_end(csti_pin *pin);

#endif
