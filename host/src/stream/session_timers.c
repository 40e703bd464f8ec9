#include "stream/session_timers.h"

#include <assert.h>
#include <stdlib.h>

enum {
    CHUNK_TIMERS = 255,
    MOVES_A_STEP = 64, // take as long as one that is taken out
};

struct csti_timer_chunk {
    csti_timer_chunk *next;
    csti_timer timers[CHUNK_TIMERS];
};
_Static_assert(sizeof(csti_timer_chunk) <= 4096, "a chunk is a page");

void csti_timers_open(csti_timers *timers) {
    *timers = (csti_timers){.base_us = INT64_MIN};
}

static void chunks_free(csti_timer_chunk *first) {
    while (first) {
        csti_timer_chunk *next = first->next;

        free(first);
        first = next;
    }
}

void csti_timers_close(csti_timers *timers) {
    for (uint32_t b = 0; b < CSTI_TIMER_BUCKETS; b++) chunks_free(timers->buckets[b].first);
    chunks_free(timers->moving.first);
    chunks_free(timers->kept);
}

uint64_t csti_timers_bytes(const csti_timers *timers) {
    return timers->chunks_count * sizeof(csti_timer_chunk);
}

// ---- Lists --------------------------------------------------------------------------------------

static cst_code list_reserve(csti_timers *timers, csti_timer_list *list, cst_err *err) {
    csti_timer_chunk *chunk = timers->kept;

    if (list->first && list->first_count < CHUNK_TIMERS) return CST_OK;
    if (chunk)
        timers->kept = chunk->next;
    else
        chunk = malloc(sizeof *chunk);
    if (!chunk) return cst_fail(err, CST_NO_MEMORY, "timers of sessions");
    timers->chunks_count++;
    chunk->next = list->first;
    list->first = chunk;
    list->first_count = 0;
    return CST_OK;
}

static const csti_timer *list_last(const csti_timer_list *list) {
    assert(list->count > 0);
    return &list->first->timers[list->first_count - 1];
}

static void list_drop_last(csti_timers *timers, csti_timer_list *list) {
    csti_timer_chunk *chunk = list->first;

    list->count--;
    if (--list->first_count > 0) return;
    list->first = chunk->next;
    list->first_count = list->first ? CHUNK_TIMERS : 0;
    chunk->next = timers->kept;
    timers->kept = chunk;
    timers->chunks_count--;
}

// ---- Times --------------------------------------------------------------------------------------

// The highest bit that differs is the same in two's complement, but for the sign: times before base
// there are none.
static uint32_t bucket_of(const csti_timers *timers, int64_t due_us) {
    const uint64_t differs = (uint64_t)due_us ^ (uint64_t)timers->base_us;

    return differs == 0 ? 0 : 64 - (uint32_t)__builtin_clzll(differs);
}

cst_code csti_timers_put(csti_timers *timers, csti_timer put, cst_err *err) {
    csti_timer_list *list = &timers->buckets[bucket_of(timers, put.due_us)];
    const cst_code code = list_reserve(timers, list, err);

    assert(put.due_us >= timers->base_us);
    if (code != CST_OK) return code;
    if (list->count == 0 || put.due_us < list->least_us) list->least_us = put.due_us;
    list->first->timers[list->first_count++] = put;
    list->count++;
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

// What is left of a step's moves.
static cst_code some_move(csti_timers *timers, uint32_t *steps, cst_err *err) {
    csti_timer_list *moving = &timers->moving;

    while (moving->count > 0 && timers->moved < MOVES_A_STEP) {
        const cst_code code = csti_timers_put(timers, *list_last(moving), err);

        if (code != CST_OK) return code;
        list_drop_last(timers, moving);
        timers->moved++;
    }
    if (timers->moved < MOVES_A_STEP) return CST_OK;
    timers->moved = 0;
    (*steps)--;
    return CST_OK;
}

// The bucket's least time is the base from now on: each of its times goes to a lower one, that one
// to the lowest. So there are no more of these than times that are taken out.
static void move_begin(csti_timers *timers, uint32_t bucket) {
    assert(timers->moving.count == 0);
    timers->moving = timers->buckets[bucket];
    timers->buckets[bucket] = (csti_timer_list){0};
    timers->base_us = timers->moving.least_us;
}

cst_code csti_timers_take(csti_timers *timers, int64_t now_us, uint32_t *steps, csti_timer *out,
                          cst_err *err) {
    cst_code code = CST_OK;

    *out = (csti_timer){0};
    while (*steps > 0 && code == CST_OK) {
        const csti_timer_list *first;

        if (timers->moving.count > 0) {
            code = some_move(timers, steps, err);
            continue;
        }
        first = first_of(timers);
        if (!first || first->least_us > now_us) return CST_OK;
        if (first == &timers->buckets[0]) {
            *out = *list_last(first);
            list_drop_last(timers, &timers->buckets[0]);
            (*steps)--;
            return CST_OK;
        }
        move_begin(timers, (uint32_t)(first - timers->buckets));
    }
    return code;
}
