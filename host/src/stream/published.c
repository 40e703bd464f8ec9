#include "stream/published.h"

#include "table/program.h"

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
    _Atomic uint64_t epoch, state;
    _Atomic uint64_t words[WORDS_MAX];
} place;

typedef struct part {
    // Even: places[0] is read. The other one is written before it rises.
    _Alignas(LINE_BYTES) _Atomic uint64_t version;
    _Alignas(LINE_BYTES) place places[2];
} part;

typedef struct copy {
    uint64_t epoch;
    state state;
    uint64_t words[WORDS_MAX];
} copy;

struct csti_published {
    uint32_t partitions_count, words_count;
    cst_program merge; // its source i is a partition's accumulator i
    part parts[];
};

// A partition's value as one row of sources: counts are summed, everything else merges as it folds.
static cst_code make_merge(const cst_program *program, cst_program *out, cst_err *err) {
    cst_code code = csti_program_check(program, err);

    if (code != CST_OK) return code;
    if (program->accumulators_count == 0)
        return cst_fail(err, CST_USAGE, "published: values without accumulators do not merge");
    *out = *program;
    for (uint16_t i = 0; i < program->accumulators_count; i++) {
        if (program->accumulators[i].op == CST_LAST)
            return cst_fail(err, CST_UNSUPPORTED,
                            "published: accumulator %u: last has no order across partitions", i);
        if (program->accumulators[i].op == CST_COUNT) out->accumulators[i].op = CST_SUM;
        out->accumulators[i].source = i;
    }
    return CST_OK;
}

cst_code csti_published_open(const cst_program *program, uint32_t partitions_count,
                             csti_published **out, cst_err *err) {
    cst_program merge;
    csti_published *p;
    size_t bytes;
    cst_code code;

    if (partitions_count == 0) return cst_fail(err, CST_USAGE, "published: no partitions");
    if (partitions_count > CSTI_PUBLISHED_PARTITIONS_MAX)
        return cst_fail(err, CST_LIMIT, "published: %u partitions: %d are possible",
                        partitions_count, CSTI_PUBLISHED_PARTITIONS_MAX);
    code = make_merge(program, &merge, err);
    if (code != CST_OK) return code;
    bytes = sizeof *p + partitions_count * sizeof p->parts[0];
    p = aligned_alloc(LINE_BYTES, bytes);
    if (!p) return cst_fail(err, CST_NO_MEMORY, "published: %zu bytes", bytes);
    memset(p, 0, bytes);
    p->partitions_count = partitions_count;
    p->words_count = (program->value_bytes + 7) / 8;
    p->merge = merge;
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
    atomic_store_explicit(&to->epoch, from->epoch, memory_order_release);
    atomic_store_explicit(&to->state, from->state, memory_order_release);
    for (uint32_t i = 0; from->state == STATE_VALUE && i < p->words_count; i++)
        atomic_store_explicit(&to->words[i], from->words[i], memory_order_release);
    atomic_store_explicit(&own->version, version, memory_order_release);
}

void csti_published_write(csti_published *p, uint32_t partition, uint64_t epoch,
                          const uint8_t *value) {
    copy said;

    said.epoch = epoch;
    said.state = value ? STATE_VALUE : STATE_NO_ROWS;
    if (value) {
        said.words[p->words_count - 1] = 0; // what a value leaves of its last word
        memcpy(said.words, value, p->merge.value_bytes);
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
        out->epoch = atomic_load_explicit(&from->epoch, memory_order_acquire);
        out->state = (state)atomic_load_explicit(&from->state, memory_order_acquire);
        for (uint32_t i = 0; out->state == STATE_VALUE && i < p->words_count; i++)
            out->words[i] = atomic_load_explicit(&from->words[i], memory_order_acquire);
        if (atomic_load_explicit(&own->version, memory_order_relaxed) == version) return CST_OK;
    }
    return CST_AGAIN;
}

static void see(csti_published_view *view, uint32_t partition, const copy *said) {
    if (said->state == STATE_ABSENT) return;
    if (view->present == 0 || said->epoch < view->oldest_epoch) view->oldest_epoch = said->epoch;
    if (view->present == 0 || said->epoch > view->newest_epoch) view->newest_epoch = said->epoch;
    view->present |= UINT64_C(1) << partition;
    view->any = view->any || said->state == STATE_VALUE;
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
    if (view.any) memcpy(value_out, said.words, p->merge.value_bytes);
    *out = view;
    return CST_OK;
}

static cst_type type_of(const cst_accumulator *accumulator) {
    switch ((cst_number)accumulator->number) {
    case CST_U64:
        return CST_TYPE_U64;
    case CST_I64:
        return CST_TYPE_I64;
    case CST_F64:
        return CST_TYPE_F64;
    case CST_DECIMAL128:
        return CST_TYPE_DECIMAL128;
    }
    assert(false && "the program was checked");
    return CST_TYPE_U64;
}

// The accumulators of `said` are the sources of one row, whatever is copied into it.
typedef struct row {
    cst_source sources[CST_ACCUMULATORS_MAX];
    uint8_t valid[CST_ACCUMULATORS_MAX];
} row;

static void row_init(row *r, const cst_program *merge, const copy *said) {
    for (uint32_t i = 0; i < merge->accumulators_count; i++) {
        const cst_accumulator *accumulator = &merge->accumulators[i];

        r->valid[i] = 1;
        r->sources[i] =
            (cst_source){.values = (const uint8_t *)said->words + accumulator->value_offset,
                         .validity = &r->valid[i],
                         .type = type_of(accumulator)};
    }
}

static cst_code fold(const cst_program *merge, const copy *said, row *r, bool fresh,
                     uint8_t *value) {
    uint64_t presence;

    if (merge->presence_offset != CST_NO_OFFSET) {
        memcpy(&presence, (const uint8_t *)said->words + merge->presence_offset, sizeof presence);
        for (uint32_t i = 0; i < merge->accumulators_count; i++) r->valid[i] = presence >> i & 1;
    }
    return csti_program_fold(merge, &(cst_rows){.rows_count = 1, .sources = r->sources}, 0, fresh,
                             value);
}

cst_code csti_published_merge(const csti_published *p, uint8_t *value_out,
                              csti_published_view *out) {
    uint8_t value[CST_INLINE_ENTRY_BYTES_MAX] = {0};
    csti_published_view view = {0};
    copy said = {0};
    row r;

    row_init(&r, &p->merge, &said);
    for (uint32_t i = 0; i < p->partitions_count; i++) {
        const bool fresh = !view.any;
        cst_code code = get(p, i, &said);

        if (code != CST_OK) return code;
        see(&view, i, &said);
        if (said.state == STATE_VALUE) code = fold(&p->merge, &said, &r, fresh, value);
        if (code != CST_OK) return code;
    }
    memcpy(value_out, value, view.any ? p->merge.value_bytes : 0);
    *out = view;
    return CST_OK;
}
