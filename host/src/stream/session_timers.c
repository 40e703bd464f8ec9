#include "stream/session_timers.h"

#include <assert.h>
#include <stdlib.h>

enum {
    LIST_FIRST = 64,
    MOVES_A_STEP = 64, // take as long as one that is taken out
};

void csti_timers_open(csti_timers *timers) {
    *timers = (csti_timers){.base_us = INT64_MIN};
}

void csti_timers_close(csti_timers *timers) {
    for (uint32_t b = 0; b < CSTI_TIMER_BUCKETS; b++) free(timers->buckets[b].timers);
    free(timers->moving.timers);
}

// The highest bit that differs is the same in two's complement, but for the sign: times before base
// there are none.
static uint32_t bucket_of(const csti_timers *timers, int64_t due_us) {
    const uint64_t differs = (uint64_t)due_us ^ (uint64_t)timers->base_us;

    return differs == 0 ? 0 : 64 - (uint32_t)__builtin_clzll(differs);
}

cst_code csti_timers_put(csti_timers *timers, csti_timer put, cst_err *err) {
    csti_timer_list *list = &timers->buckets[bucket_of(timers, put.due_us)];

    assert(put.due_us >= timers->base_us);
    if (list->count == list->capacity) {
        const size_t capacity = list->capacity > 0 ? 2 * list->capacity : (size_t)LIST_FIRST;
        csti_timer *grown = realloc(list->timers, capacity * sizeof *grown);

        if (!grown) return cst_fail(err, CST_NO_MEMORY, "timers of sessions");
        list->timers = grown;
        list->capacity = capacity;
    }
    if (list->count == 0 || put.due_us < list->least_us) list->least_us = put.due_us;
    list->timers[list->count++] = put;
    return CST_OK;
}

// The first bucket that has any; NULL: there is nothing.
static const csti_timer_list *first_of(const csti_timers *timers) {
    for (uint32_t b = 0; b < CSTI_TIMER_BUCKETS; b++)
        if (timers->buckets[b].count > 0) return &timers->buckets[b];
    return NULL;
}

bool csti_timers_are_due(const csti_timers *timers, int64_t now_us) {
    const csti_timer_list *first = first_of(timers);

    return timers->moving.count > 0 || (first && first->least_us <= now_us);
}

static cst_code some_move(csti_timers *timers, cst_err *err) {
    csti_timer_list *moving = &timers->moving;
    cst_code code = CST_OK;

    for (uint32_t i = 0; i < MOVES_A_STEP && moving->count > 0 && code == CST_OK; i++) {
        code = csti_timers_put(timers, moving->timers[moving->count - 1], err);
        if (code == CST_OK) moving->count--;
    }
    return code;
}

// The bucket's least time is the base from now on: each of its times goes to a lower one.
static void move_begin(csti_timers *timers, uint32_t bucket) {
    const csti_timer_list empty = timers->moving;

    assert(empty.count == 0);
    timers->moving = timers->buckets[bucket];
    timers->buckets[bucket] = empty;
    timers->base_us = timers->moving.least_us;
}

cst_code csti_timers_take(csti_timers *timers, int64_t now_us, uint32_t *steps, csti_timer *out,
                          cst_err *err) {
    cst_code code = CST_OK;

    *out = (csti_timer){0};
    for (; *steps > 0 && code == CST_OK; (*steps)--) {
        const csti_timer_list *first;
        csti_timer_list *now = &timers->buckets[0];

        if (timers->moving.count > 0) {
            code = some_move(timers, err);
            continue;
        }
        first = first_of(timers);
        if (!first || first->least_us > now_us) return CST_OK;
        if (first == now) {
            *out = now->timers[--now->count];
            (*steps)--;
            return CST_OK;
        }
        move_begin(timers, (uint32_t)(first - timers->buckets));
    }
    return code;
}
