#include "checkpoint/pin.h"

#include <inttypes.h>

enum {
    PIN_TRIES = 4, // the newest checkpoint may be retired between reading its id and pinning it
    PIN_ARENA_BYTES = 64 << 20,
};

static cst_code newest_id(csti_meta *meta, uint64_t *out, cst_err *err) {
    const csti_meta_checkpoint *newest = NULL;
    csti_arena arena;
    csti_meta_view view;
    cst_code code;

    csti_arena_init(&arena, PIN_ARENA_BYTES);
    code = csti_meta_refresh(meta, err);
    if (code == CST_OK) code = csti_meta_read(meta, &arena, &view, err);
    if (code == CST_OK) newest = csti_meta_view_newest(&view);
    if (code == CST_OK && !newest)
        code = cst_fail(err, CST_NOT_FOUND, "no checkpoint is committed");
    if (code == CST_OK) *out = newest->id;
    csti_arena_release(&arena);
    return code;
}

static cst_code pin_propose(csti_pin *pin, cst_err *err) {
    const csti_meta_command command = {
        .kind = CSTI_META_PIN,
        .reader = pin->reader,
        .id = pin->id,
        .ttl_us = CSTI_PIN_TTL_US,
    };
    const uint64_t asked_ns = csti_clock_now_ns(pin->clock);
    csti_meta_result result;
    const cst_code code = csti_meta_propose(pin->meta, &command, &result, err);

    if (code == CST_OK) pin->held_ns = asked_ns;
    return code;
}

cst_code csti_pin_take(csti_meta *meta, const csti_clock *clock, csti_random *random, uint64_t id,
                       csti_pin *out, cst_err *err) {
    csti_pin pin = {.meta = meta, .clock = clock, .id = id};
    cst_code code = csti_random_fill(random, &pin.reader, sizeof pin.reader, err);

    if (code != CST_OK) return code;
    pin.reader |= 1; // 0 is nobody
    code = CST_CHECKPOINT_RETIRED;
    for (int try = 0; code == CST_CHECKPOINT_RETIRED && try < PIN_TRIES; try++) {
        code = id ? CST_OK : newest_id(meta, &pin.id, err);
        if (code == CST_OK) code = pin_propose(&pin, err);
        if (id) break;
    }
    if (code != CST_OK) return code;
    *out = pin;
    return CST_OK;
}

cst_code csti_pin_hold(csti_pin *pin, cst_err *err) {
    const uint64_t age_ns = csti_clock_now_ns(pin->clock) - pin->held_ns;

    if (age_ns < CSTI_PIN_TTL_US * 1000 / 3) return CST_OK;
    return pin_propose(pin, err);
}

void csti_pin_end(csti_pin *pin) {
    const csti_meta_command command = {.kind = CSTI_META_UNPIN, .reader = pin->reader};
    csti_meta_result result;
    cst_err err;

    if (!pin->id) return;
    // Nothing depends on it: a pin that stays ends with its time.
    if (csti_meta_propose(pin->meta, &command, &result, &err) != CST_OK) pin->held_ns = 0;
    *pin = (csti_pin){.id = 0};
}
