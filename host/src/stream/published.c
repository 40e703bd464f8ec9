#include "stream/published.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum {
    WORDS_MAX = CST_INLINE_ENTRY_BYTES_MAX / 8,
    LINE_BYTES = 128,
};
_Static_assert(CSTI_PUBLISHED_PARTITIONS_MAX == 64, "a bit each in csti_published_view.present");

typedef enum state { STATE_ABSENT = 0, STATE_NO_ROWS = 1, STATE_VALUE = 2 } state;

// What a partition said, as it lies in a place.
typedef struct place {
    _Atomic uint64_t epoch, rows, overflowed, state;
    _Atomic uint64_t words[WORDS_MAX];
} place;

typedef struct part {
    // Even: places[0] is read. The other one is written before it rises.
    _Alignas(LINE_BYTES) _Atomic uint64_t version;
    _Alignas(LINE_BYTES) place places[2];
} part;

typedef struct copy {
    csti_published_mark mark;
    state state;
    uint64_t words[WORDS_MAX];
} copy;

struct csti_published {
    uint32_t partitions_count, words_count;
    csti_totals none; // what a merge begins with
    part parts[];
};

cst_code csti_published_open(const cst_program *program, uint32_t partitions_count,
                             csti_published **out, cst_err *err) {
    csti_totals none;
    csti_published *p;
    size_t bytes;
    cst_code code;

    if (partitions_count == 0) return cst_fail(err, CST_USAGE, "published: no partitions");
    if (partitions_count > CSTI_PUBLISHED_PARTITIONS_MAX)
        return cst_fail(err, CST_LIMIT, "published: %u partitions: %d are possible",
                        partitions_count, CSTI_PUBLISHED_PARTITIONS_MAX);
    code = csti_totals_init(&none, program, err);
    if (code != CST_OK) return code;
    bytes = sizeof *p + partitions_count * sizeof p->parts[0];
    p = aligned_alloc(LINE_BYTES, bytes);
    if (!p) return cst_fail(err, CST_NO_MEMORY, "published: %zu bytes", bytes);
    memset(p, 0, bytes);
    p->partitions_count = partitions_count;
    p->words_count = (program->value_bytes + 7) / 8;
    p->none = none;
    *out = p;
    return CST_OK;
}

void csti_published_close(csti_published *p) {
    free(p);
}

// ---- Owners ----

// Every store is a release: whoever sees one of them sees the version that made this place the one
// that is not read. The version's own release comes after all of them.
static void put(csti_published *p, uint32_t partition, const copy *from) {
    part *own = &p->parts[partition];
    const uint64_t version = atomic_load_explicit(&own->version, memory_order_relaxed) + 1;
    place *to = &own->places[version % 2];

    assert(partition < p->partitions_count);
    atomic_store_explicit(&to->epoch, from->mark.epoch, memory_order_release);
    atomic_store_explicit(&to->rows, from->mark.rows, memory_order_release);
    atomic_store_explicit(&to->overflowed, from->mark.overflowed, memory_order_release);
    atomic_store_explicit(&to->state, from->state, memory_order_release);
    for (uint32_t i = 0; from->state == STATE_VALUE && i < p->words_count; i++)
        atomic_store_explicit(&to->words[i], from->words[i], memory_order_release);
    atomic_store_explicit(&own->version, version, memory_order_release);
}

void csti_published_write(csti_published *p, uint32_t partition, const csti_published_mark *mark,
                          const uint8_t *value) {
    copy said;

    said.mark = *mark;
    said.state = value ? STATE_VALUE : STATE_NO_ROWS;
    if (value) {
        said.words[p->words_count - 1] = 0; // what a value leaves of its last word
        memcpy(said.words, value, p->none.program.value_bytes);
    }
    put(p, partition, &said);
}

void csti_published_clear(csti_published *p, uint32_t partition) {
    put(p, partition, &(copy){.state = STATE_ABSENT});
}

// ---- Readers ----

static cst_code get(const csti_published *p, uint32_t partition, copy *out) {
    const part *own = &p->parts[partition];

    for (int tries = 0; tries < CSTI_PUBLISHED_TRIES; tries++) {
        // Acquire pairs with the release of the version in put: the place is as it was written.
        const uint64_t version = atomic_load_explicit(&own->version, memory_order_acquire);
        const place *from = &own->places[version % 2];

        // Acquire pairs with the place's next writing: who sees that sees a later version below.
        out->mark.epoch = atomic_load_explicit(&from->epoch, memory_order_acquire);
        out->mark.rows = atomic_load_explicit(&from->rows, memory_order_acquire);
        out->mark.overflowed = atomic_load_explicit(&from->overflowed, memory_order_acquire);
        out->state = (state)atomic_load_explicit(&from->state, memory_order_acquire);
        for (uint32_t i = 0; out->state == STATE_VALUE && i < p->words_count; i++)
            out->words[i] = atomic_load_explicit(&from->words[i], memory_order_acquire);
        if (atomic_load_explicit(&own->version, memory_order_relaxed) == version) return CST_OK;
    }
    return CST_AGAIN;
}

static void see(csti_published_view *view, uint32_t partition, const copy *said) {
    const uint64_t epoch = said->mark.epoch;

    if (said->state == STATE_ABSENT) return;
    if (view->present == 0 || epoch < view->oldest_epoch) view->oldest_epoch = epoch;
    if (view->present == 0 || epoch > view->newest_epoch) view->newest_epoch = epoch;
    view->present |= UINT64_C(1) << partition;
    view->any = view->any || said->state == STATE_VALUE;
    view->rows += said->mark.rows;
    view->overflowed |= said->mark.overflowed;
}

cst_code csti_published_read(const csti_published *p, uint32_t partition, uint8_t *value_out,
                             csti_published_view *out) {
    csti_published_view view = {0};
    copy said;
    cst_code code;

    assert(partition < p->partitions_count);
    code = get(p, partition, &said);
    if (code != CST_OK) return code;
    see(&view, partition, &said);
    if (view.any) memcpy(value_out, said.words, p->none.program.value_bytes);
    *out = view;
    return CST_OK;
}

cst_code csti_published_merge(const csti_published *p, uint8_t *value_out,
                              csti_published_view *out) {
    csti_totals all = p->none;
    csti_published_view view = {0};
    copy said;

    for (uint32_t i = 0; i < p->partitions_count; i++) {
        const cst_code code = get(p, i, &said);

        if (code != CST_OK) return code;
        see(&view, i, &said);
        if (said.state == STATE_VALUE)
            csti_totals_add_value(&all, (const uint8_t *)said.words, said.mark.overflowed);
    }
    view.overflowed = csti_totals_overflowed(&all);
    if (view.any) memcpy(value_out, all.value, all.program.value_bytes);
    *out = view;
    return CST_OK;
}
