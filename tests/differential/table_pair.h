// table_pair.h: two tables that get the same commands, one by the library's batched functions, one
// by the reference; every answer is compared, and their images byte by byte.
//
//   command ──┬──► cst_table_*      ──► code, rows ──┐
//             └──► csti_reference_* ──► code, rows ──┴── equal, or the test ends
//
// Budget and readiness are part of the comparison: no helper thread runs, and both are prepared at
// the same points of the stream.
#ifndef TESTS_DIFFERENTIAL_TABLE_PAIR_H
#define TESTS_DIFFERENTIAL_TABLE_PAIR_H

#include "table/reference.h"

#include "test.h"

typedef struct table_pair {
    cst_table *fast;
    cst_table *reference;
    bool hashes_bent; // not cst_hash's: cst_table_check and cst_table_load would refuse them
} table_pair;

// How often each code came back: a stream that never meets a refusal proves nothing about it.
static uint64_t pair_codes_seen[128];

static inline void pair_open(table_pair *pair, const cst_table_options *options) {
    cst_err err = {0};

    if (cst_table_open(options, &pair->fast, &err) != CST_OK) TEST_FAIL("open: %s", err.text);
    if (cst_table_open(options, &pair->reference, &err) != CST_OK) TEST_FAIL("open: %s", err.text);
}

static inline void pair_close(table_pair *pair) {
    cst_table_close(pair->fast);
    cst_table_close(pair->reference);
    *pair = (table_pair){0};
}

static inline cst_code pair_code(const char *what, cst_code fast, cst_code reference) {
    if (fast != reference)
        TEST_FAIL("%s: fast %s, reference %s", what, cst_code_name(fast), cst_code_name(reference));
    pair_codes_seen[fast]++;
    return fast;
}

static inline void pair_prepare(table_pair *pair) {
    cst_err err = {0};

    if (cst_table_prepare(pair->fast, &err) != CST_OK) TEST_FAIL("prepare: %s", err.text);
    if (cst_table_prepare(pair->reference, &err) != CST_OK) TEST_FAIL("prepare: %s", err.text);
}

// ---- The image, byte by byte --------------------------------------------------------------------

static inline void image_region(const char *name, const void *a, const void *b, size_t bytes) {
    const uint8_t *x = a, *y = b;

    if (bytes == 0 || memcmp(x, y, bytes) == 0) return;
    for (size_t i = 0; i < bytes; i++)
        if (x[i] != y[i])
            TEST_FAIL("image, %s: byte %zu of %zu is %02x (fast) and %02x (reference)", name, i,
                      bytes, x[i], y[i]);
}

// Log bytes [from, to) by the map, piece by piece.
static inline void image_log(const cst_table *a, const cst_table *b, uint64_t from, uint64_t to) {
    const uint64_t segment_bytes = UINT64_C(1) << a->log_segment_shift;

    while (from < to) {
        const uint64_t left = segment_bytes - from % segment_bytes;
        const uint64_t count = to - from < left ? to - from : left;
        char name[64];

        (void)snprintf(name, sizeof name, "log from offset %" PRIu64, from);
        image_region(name, csti_log_record(a, from), csti_log_record(b, from), count);
        from += count;
    }
}

static inline void image_log_places(const cst_table *a, const cst_table *b) {
    const csti_control *control = a->control;
    const uint32_t mask = a->log_segments_max - 1;
    const uint64_t first = control->log_floor >> a->log_segment_shift;
    const uint64_t end =
        (control->log_tail + (UINT64_C(1) << a->log_segment_shift) - 1) >> a->log_segment_shift;

    for (uint64_t n = first; n < end; n++)
        if (control->log_tail > 1024) CHECK_EQ(a->log_map[n & mask], b->log_map[n & mask]);
    for (uint32_t i = 0; i < control->log_free_count; i++)
        CHECK_EQ(a->log_free[(control->log_free_first + i) & mask],
                 b->log_free[(control->log_free_first + i) & mask]);
}

// Independent of cst_table_compare: plain memcmp of what is in use.
static inline void image_equal(const cst_table *a, const cst_table *b) {
    const csti_control x = *a->control;

    image_region("control block", a->control, b->control, CSTI_CONTROL_BYTES);
    image_region("directory", a->directory, b->directory,
                 x.directory_rows * sizeof(csti_directory_row));
    image_region("index", a->index, b->index,
                 (size_t)x.chunks_frontier * CSTI_CHUNK_BUCKETS * sizeof(csti_control_line));
    image_region("slots", a->slots, b->slots, (size_t)x.chunks_frontier * a->chunk_slot_bytes);
    image_region("slab", a->slab, b->slab, x.slab_frontier);
    image_log_places(a, b);
    image_log(a, b, x.log_floor, x.log_tail);
    for (int region = CSTI_REGION_DIRECTORY; region < CSTI_REGIONS_COUNT; region++)
        CHECK_EQ(atomic_load(&a->used[region]), atomic_load(&b->used[region]));
}

static inline void pair_compare(const table_pair *pair) {
    cst_err err = {0};

    image_equal(pair->fast, pair->reference);
    if (!pair->hashes_bent && cst_table_check(pair->fast, &err) != CST_OK)
        TEST_FAIL("check: %s", err.text);
    if (cst_table_compare(pair->fast, pair->reference, &err) != CST_OK)
        TEST_FAIL("compare: %s", err.text);
}

// ---- Commands -----------------------------------------------------------------------------------

static inline cst_code pair_apply(table_pair *pair, const cst_rows *rows, uint32_t *applied_out) {
    uint32_t fast = UINT32_MAX, reference = UINT32_MAX;
    const cst_code code = pair_code("apply", cst_table_apply(pair->fast, rows, &fast),
                                    csti_reference_apply(pair->reference, rows, &reference));

    CHECK_EQ(fast, reference);
    *applied_out = fast;
    return code;
}

static inline cst_code pair_grow(table_pair *pair, uint64_t hash) {
    return pair_code("grow", cst_table_grow(pair->fast, hash),
                     csti_reference_grow(pair->reference, hash));
}

static inline cst_delta pair_seal(table_pair *pair) {
    const cst_delta fast = cst_table_seal(pair->fast);
    const cst_delta reference = csti_reference_seal(pair->reference);

    CHECK_EQ(fast.epoch, reference.epoch);
    CHECK_EQ(fast.from, reference.from);
    CHECK_EQ(fast.to, reference.to);
    image_log(pair->fast, pair->reference, fast.from, fast.to);
    return fast;
}

static inline cst_code pair_release(table_pair *pair, const cst_delta *delta) {
    return pair_code("release", cst_table_release(pair->fast, delta),
                     csti_reference_release(pair->reference, delta));
}

static inline cst_code pair_expire(table_pair *pair, uint64_t *bucket, uint32_t buckets_count,
                                   int64_t now_us, uint32_t *expired_out) {
    uint64_t fast_bucket = *bucket, reference_bucket = *bucket;
    uint32_t fast = 0, reference = 0;
    const cst_code code =
        pair_code("expire",
                  cst_table_expire(pair->fast, &fast_bucket, buckets_count, now_us, &fast),
                  csti_reference_expire(pair->reference, &reference_bucket, buckets_count, now_us,
                                        &reference));

    CHECK_EQ(fast, reference);
    CHECK_EQ(fast_bucket, reference_bucket);
    *bucket = fast_bucket;
    *expired_out = fast;
    return code;
}

static inline cst_code pair_restore(table_pair *pair, const uint8_t *bytes, size_t count,
                                    size_t *used_out) {
    size_t fast = 0, reference = 0;
    const cst_code code =
        pair_code("restore", cst_table_restore_records(pair->fast, bytes, count, &fast),
                  csti_reference_restore_records(pair->reference, bytes, count, &reference));

    CHECK_EQ(fast, reference);
    *used_out = fast;
    return code;
}

static inline void pair_lookup(table_pair *pair, const cst_rows *keys, uint32_t value_bytes) {
    const uint32_t stride = value_bytes + 3; // unaligned, with a gap that stays as it is
    const size_t bytes = (size_t)keys->rows_count * stride + 1;
    uint8_t *values[2] = {malloc(bytes), malloc(bytes)};
    uint8_t *found[2] = {malloc(keys->rows_count + 1u), malloc(keys->rows_count + 1u)};
    cst_bytes *refs[2] = {calloc(keys->rows_count + 1u, sizeof(cst_bytes)),
                          calloc(keys->rows_count + 1u, sizeof(cst_bytes))};

    for (int i = 0; i < 2; i++) {
        CHECK(values[i] && found[i] && refs[i]);
        memset(values[i], 0xee, bytes);
        memset(found[i], 0xee, keys->rows_count + 1u);
    }
    (void)pair_code("lookup", cst_table_lookup(pair->fast, keys, values[0], stride, found[0]),
                    csti_reference_lookup(pair->reference, keys, values[1], stride, found[1]));
    CHECK_BYTES(found[0], found[1], keys->rows_count + 1u);
    CHECK_BYTES(values[0], values[1], bytes);
    CHECK_OK(pair_code("lookup_refs", cst_table_lookup_refs(pair->fast, keys, refs[0]),
                       csti_reference_lookup_refs(pair->reference, keys, refs[1])));
    for (uint32_t r = 0; r < keys->rows_count; r++) {
        CHECK_EQ(refs[0][r].data == NULL, refs[1][r].data == NULL);
        CHECK_EQ(refs[0][r].count, refs[1][r].count);
        CHECK_BYTES(refs[0][r].data, refs[1][r].data, refs[0][r].count);
    }
    for (int i = 0; i < 2; i++) {
        free(values[i]);
        free(found[i]);
        free(refs[i]);
    }
}

static inline void pair_row_equal(const cst_row_ref *a, const cst_row_ref *b) {
    CHECK_EQ(a->hash, b->hash);
    CHECK_EQ(a->key_bytes, b->key_bytes);
    CHECK_EQ(a->value_bytes, b->value_bytes);
    CHECK_BYTES(a->key, b->key, a->key_bytes);
    CHECK_BYTES(a->value, b->value, a->value_bytes);
}

// A whole scan in steps of `capacity`; returns how many rows there are.
static inline uint64_t pair_scan(table_pair *pair, uint32_t capacity, int64_t now_us) {
    cst_scan scans[2] = {{.now_us = now_us}, {.now_us = now_us}};
    cst_row_ref rows[2][64];
    uint32_t counts[2];
    uint64_t rows_count = 0;

    CHECK(capacity >= 1 && capacity <= 64);
    do {
        CHECK_OK(cst_table_scan(pair->fast, &scans[0], rows[0], capacity, &counts[0]));
        CHECK_OK(csti_reference_scan(pair->reference, &scans[1], rows[1], capacity, &counts[1]));
        CHECK_EQ(counts[0], counts[1]);
        for (uint32_t i = 0; i < counts[0]; i++) pair_row_equal(&rows[0][i], &rows[1][i]);
        rows_count += counts[0];
    } while (counts[0] > 0);
    return rows_count;
}

#endif
