// session_rows.h: sessions, rows for them made by hand, and the chain that their cuts make.
#ifndef CST_TEST_SESSION_ROWS_H
#define CST_TEST_SESSION_ROWS_H

#include "codec/group_hash.h"
#include "state/record.h"
#include "stream/sessions.h"

#include "test.h"

#include <constellation/hash.h>

enum {
    GAP = 10, // microseconds
    ROWS = 64,
    KEY_BYTES = 16,
    VALUE_BYTES = 40, // count, sum, least, last time, presence
    RECORD_BYTES = 16 + KEY_BYTES + VALUE_BYTES + 24,
    CHAIN_MAX = 4096,
};
_Static_assert(RECORD_BYTES % 32 == 0, "records are of whole units");

typedef struct line {
    uint64_t key;
    int64_t start_us, last_us;
    uint64_t count, sum, least;
    bool any; // a row that was not null
} line;

typedef struct fixture {
    csti_metrics *metrics;
    csti_panes_metrics named;
    csti_sessions *sessions;
    uint8_t keys[ROWS * KEY_BYTES];
    uint64_t hashes[ROWS];
    uint64_t values[ROWS];
    uint8_t valid[ROWS / 8];
    int64_t times[ROWS];
    cst_source sources[2];
    cst_rows rows;
    // What cuts made.
    uint8_t chain[CHAIN_MAX][RECORD_BYTES];
    uint32_t chain_count;
    line closed[CHAIN_MAX], aside[CHAIN_MAX];
    uint32_t closed_count, aside_count, gaps_count, removed_count;
} fixture;

static const cst_hash_key hash_key = {1, 2};

static inline cst_table_options table_options(void) {
    return (cst_table_options){
        .layout = CST_TABLE_INLINE,
        .key_bytes = KEY_BYTES,
        .program = {.value_bytes = VALUE_BYTES,
                    .accumulators_count = 4,
                    .presence_offset = 32,
                    .time_offset = CST_NO_OFFSET,
                    .accumulators = {{CST_COUNT, CST_U64, 0, CST_NO_COLUMN, 0},
                                     {CST_SUM, CST_U64, 8, 0, 0},
                                     {CST_MIN, CST_U64, 16, 0, 0},
                                     {CST_MAX, CST_I64, 24, 1, 0}}},
        .hash_key = hash_key,
        .budget_bytes = 64 << 20,
        .numa_node = -1,
    };
}

static inline cst_code sessions_make(fixture *f, int64_t watermark_us, cst_err *err) {
    const csti_panes_options options = {
        .window = {.size_us = GAP, .hop_us = GAP, .sessions = true},
        .late_aside = true,
        .table = table_options(),
        .last_offset = 24,
        .watermark_us = watermark_us,
    };

    return csti_sessions_open(&options, &f->named, &f->sessions, err);
}

static inline fixture *fixture_open(void) {
    fixture *f = calloc(1, sizeof *f);
    const csti_metric_row wanted[] = {
        {&f->named.late, CSTI_METRIC_COUNTER, "constellation_late_total", "Rows."},
        {&f->named.open, CSTI_METRIC_GAUGE, "constellation_open", "Sessions."},
        {&f->named.closed, CSTI_METRIC_COUNTER, "constellation_closed_total", "Sessions."},
        {&f->named.lines, CSTI_METRIC_COUNTER, "constellation_lines_total", "Lines."},
    };

    CHECK(f);
    CHECK_OK(csti_metrics_open(&f->metrics, NULL));
    CHECK_OK(csti_metrics_register_rows(f->metrics, wanted, 4, "", NULL));
    f->sources[0] = (cst_source){.values = f->values, .validity = f->valid, .type = CST_TYPE_U64};
    f->sources[1] = (cst_source){.values = f->times, .type = CST_TYPE_TIMESTAMP};
    f->rows = (cst_rows){.key_stride = KEY_BYTES,
                         .key_bytes = KEY_BYTES,
                         .hashes = f->hashes,
                         .keys = f->keys,
                         .sources = f->sources};
    return f;
}

static inline void fixture_close(fixture *f) {
    csti_sessions_close(f->sessions);
    csti_metrics_close(f->metrics);
    free(f);
}

// A null, where `value` is UINT64_MAX.
static inline void row_add(fixture *f, uint64_t key, int64_t time_us, uint64_t value) {
    const uint32_t row = f->rows.rows_count++;
    uint8_t *to = f->keys + (size_t)row * KEY_BYTES;
    const uint64_t word = __builtin_bswap64(key);

    memcpy(to, &word, sizeof word);
    csti_window_to_key(time_us, to + sizeof word);
    f->hashes[row] = cst_hash(&hash_key, to, sizeof word);
    f->values[row] = value == UINT64_MAX ? 0 : value;
    f->valid[row / 8] = (uint8_t)((f->valid[row / 8] & ~(1u << row % 8)) |
                                  (unsigned)(value != UINT64_MAX) << row % 8);
    f->times[row] = time_us;
}

static inline cst_code rows_send(fixture *f, cst_err *err) {
    uint32_t done = 0;
    const cst_code code = csti_sessions_rows(f->sessions, &f->rows, &done, err);

    if (code == CST_OK) CHECK_EQ(done, f->rows.rows_count);
    f->rows.rows_count = 0;
    return code;
}

static inline line line_of(const uint8_t *record) {
    uint64_t words[5];
    uint64_t key;
    line out = {0};

    memcpy(&key, record + 16, sizeof key);
    memcpy(words, record + 16 + KEY_BYTES, sizeof words);
    out.key = __builtin_bswap64(key);
    out.start_us = csti_window_of_key(record + 16, KEY_BYTES);
    out.count = words[0];
    out.sum = words[1];
    out.least = words[2];
    out.last_us = (int64_t)words[3];
    out.any = (words[4] & 2) != 0;
    return out;
}

static inline uint32_t chain_find(const fixture *f, const uint8_t *record) {
    uint32_t at = 0;

    while (at < f->chain_count && memcmp(f->chain[at] + 16, record + 16, KEY_BYTES) != 0) at++;
    return at;
}

static inline void record_take(fixture *f, const uint8_t *record) {
    const csti_record head = csti_record_head(record);
    const uint32_t at = chain_find(f, record);

    if (head.key_bytes == 0) {
        f->gaps_count++;
        return;
    }
    CHECK_EQ(head.hash, csti_group_hash(&hash_key, record + 16, KEY_BYTES, 8));
    if (csti_record_is_aside(head)) {
        f->aside[f->aside_count++] = line_of(record);
        return;
    }
    if (head.value_flags & CSTI_RECORD_PRESENT) {
        CHECK(at < CHAIN_MAX);
        memcpy(f->chain[at], record, RECORD_BYTES);
        if (at == f->chain_count) f->chain_count++;
        return;
    }
    if (csti_record_value_bytes(head) > 0)
        f->closed[f->closed_count++] = line_of(record);
    else
        CHECK(at < f->chain_count); // nobody needs any other tombstone
    f->removed_count++;
    if (at == f->chain_count) return;
    memcpy(f->chain[at], f->chain[--f->chain_count], RECORD_BYTES);
}

// Of one cut: no key has two records.
static inline void key_is_new(const csti_pane_cut *cut, const uint8_t *record,
                              size_t record_range) {
    if (csti_record_head(record).value_flags & CSTI_RECORD_GAP) return;
    for (size_t r = 0; r <= record_range; r++)
        for (size_t at = 0; at < cut->ranges[r].count; at += RECORD_BYTES) {
            const uint8_t *other = cut->ranges[r].data + at;

            if (other == record) return;
            if (csti_record_head(other).value_flags & CSTI_RECORD_GAP) continue;
            CHECK(memcmp(other + 16, record + 16, KEY_BYTES) != 0);
        }
}

static inline const csti_pane_cut *seal(fixture *f) {
    const cst_segment_part part = {CST_TABLE_INLINE, KEY_BYTES, VALUE_BYTES};
    const csti_record_shape shape = csti_record_shape_of(&part);
    const csti_pane_cut *cut = NULL;

    CHECK_EQ(shape.record_bytes, RECORD_BYTES);
    CHECK_OK(csti_sessions_seal(f->sessions, &cut, NULL));
    for (size_t r = 0; r < cut->ranges_count; r++)
        for (size_t at = 0; at < cut->ranges[r].count; at += RECORD_BYTES) {
            const uint8_t *record = cut->ranges[r].data + at;
            const char *why = "";

            if (csti_record_check(&shape, record, cut->ranges[r].count - at, &why) !=
                CSTI_RECORD_GOOD)
                TEST_FAIL("%s", why);
            key_is_new(cut, record, r);
            record_take(f, record);
        }
    return cut;
}

static inline void seal_release(fixture *f) {
    csti_sessions_release(f->sessions, seal(f));
}

static inline void close_all(fixture *f) {
    while (csti_sessions_is_closing(f->sessions))
        CHECK_OK(csti_sessions_close_some(f->sessions, 3, NULL));
}

static inline void record_restore(cst_table *table, const uint8_t *record) {
    const uint64_t hash = csti_record_head(record).hash;
    size_t used = 0;
    cst_code code = cst_table_restore_records(table, record, RECORD_BYTES, &used);

    while (code == CST_TABLE_FULL || code == CST_TABLE_NOT_READY || code == CST_AGAIN) {
        CHECK_OK(cst_table_prepare(table, NULL));
        code = cst_table_grow(table, hash);
        if (code == CST_OK) code = cst_table_restore_records(table, record, RECORD_BYTES, &used);
    }
    CHECK_OK(code);
}

// A new life, from the chain.
static inline void restore(fixture *f, int64_t watermark_us) {
    const cst_table_options options = table_options();
    cst_table *table = NULL;

    csti_sessions_close(f->sessions);
    f->sessions = NULL;
    CHECK_OK(cst_table_open(&options, &table, NULL));
    for (uint32_t at = 0; at < f->chain_count; at++) record_restore(table, f->chain[at]);
    CHECK_OK(sessions_make(f, watermark_us, NULL));
    CHECK_OK(csti_sessions_fill(f->sessions, table, NULL));
    cst_table_close(table);
}

#endif
