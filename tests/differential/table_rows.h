// table_rows.h: the knobs of a random stream, and batches drawn by them.
//
// A key is made from its number, and its hash from its bytes, so that one key always has one hash;
// the knob `hashes` bends that hash until rows collide as its name says. (cst_table_check asks for
// the hash key's own hashes: bent ones it refuses.)
#ifndef TESTS_DIFFERENTIAL_TABLE_ROWS_H
#define TESTS_DIFFERENTIAL_TABLE_ROWS_H

#include "table/image.h"

#include "test.h"

#include <math.h>

enum { ROWS_BATCH_MAX = 300, ROWS_SOURCES_MAX = CST_ACCUMULATORS_MAX };

typedef enum rows_skew {
    ROWS_UNIFORM,
    ROWS_ZIPF,
    ROWS_ONE_KEY,
    ROWS_TWO_KEYS,
    ROWS_SKEWS
} rows_skew;

typedef enum rows_hashes {
    ROWS_HASH_FREE,
    ROWS_HASH_ONE_SEGMENT, // few directory bits differ
    ROWS_HASH_FEW_BUCKETS,
    ROWS_HASH_FEW_TAGS,
    ROWS_HASH_EQUAL,       // many keys, sixteen hashes
    ROWS_HASH_TWO_BUCKETS, // half of the rows fall in one pair
    ROWS_HASHES
} rows_hashes;

typedef struct rows_knobs {
    uint64_t seed;
    cst_table_options options;
    bool keys_fixed;
    uint32_t keys_longest;   // the stream's; may exceed the table's
    uint32_t values_longest; // wide
    uint32_t keys_count;
    rows_skew skew;
    rows_hashes hashes;
    uint32_t batch_max;
    uint32_t deletes_percent;
    uint32_t nulls_percent;
    uint32_t extremes_percent; // of numbers
    uint32_t seals_percent;    // of steps
    uint32_t release_lag;
    bool prepare_eager; // before each step; else only when asked
    uint32_t steps;
} rows_knobs;

typedef struct rows_batch {
    cst_rows rows;
    uint8_t ops[ROWS_BATCH_MAX];
    uint64_t hashes[ROWS_BATCH_MAX];
    uint32_t key_offsets[ROWS_BATCH_MAX + 1];
    uint32_t value_offsets[ROWS_BATCH_MAX + 1];
    uint8_t *keys;
    uint8_t *values;
    cst_source sources[ROWS_SOURCES_MAX];
    uint8_t source_values[ROWS_SOURCES_MAX][ROWS_BATCH_MAX * 16] __attribute__((aligned(16)));
    uint8_t validity[ROWS_SOURCES_MAX][(ROWS_BATCH_MAX + 7) / 8];
} rows_batch;

static inline bool rows_chance(uint32_t percent) {
    return test_random_below(100) < percent;
}

static inline uint64_t rows_mix(uint64_t z) {
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

// ---- Keys and hashes ----------------------------------------------------------------------------

// The key with this number; its length is returned.
static inline uint32_t rows_key(const rows_knobs *knobs, uint64_t number, uint8_t *key) {
    const uint64_t drawn = rows_mix(number + 1);
    uint32_t key_bytes = knobs->keys_longest;

    if (!knobs->keys_fixed) key_bytes = (uint32_t)(drawn >> 32) % (knobs->keys_longest + 1);
    for (uint32_t i = 0; i < key_bytes; i++)
        key[i] = (uint8_t)(i < 4 ? number >> 8 * i : rows_mix(number + i) & 3);
    return key_bytes;
}

static inline uint64_t rows_hash(const rows_knobs *knobs, const uint8_t *key, uint32_t key_bytes) {
    const uint64_t low = (UINT64_C(1) << 22) - 1;
    uint64_t hash = cst_hash(&knobs->options.hash_key, key, key_bytes);
    uint64_t tag = hash >> 36 & 0xffff;
    uint64_t bucket = hash >> 22 & 0x3fff;

    switch (knobs->hashes) {
    case ROWS_HASH_ONE_SEGMENT:
        return (hash & ~low) | (hash & 0xa0) | 0x11;
    case ROWS_HASH_FEW_BUCKETS:
        bucket &= 0x3000;
        break;
    case ROWS_HASH_FEW_TAGS:
        tag &= 0x8003;
        break;
    case ROWS_HASH_EQUAL:
        return (hash >> 60) * UINT64_C(0x1111111111111111);
    case ROWS_HASH_TWO_BUCKETS:
        if ((hash >> 60 & 1) == 0) break;
        tag = 0x1234;
        bucket = 0x2222;
        break;
    default:
        return hash;
    }
    return (hash & low) | bucket << 22 | tag << 36 | (hash >> 52 << 52);
}

static inline uint64_t rows_key_number(const rows_knobs *knobs, uint32_t r) {
    switch (knobs->skew) {
    case ROWS_ZIPF: { // the logarithm of the rank is uniform
        const double u = (double)(test_random() >> 11) / 9007199254740992.0;
        return (uint64_t)pow((double)knobs->keys_count, u) - 1;
    }
    case ROWS_ONE_KEY:
        return rows_chance(95) ? 0 : test_random_below(knobs->keys_count);
    case ROWS_TWO_KEYS:
        return rows_chance(95) ? r % 2 : test_random_below(knobs->keys_count);
    default:
        return test_random_below(knobs->keys_count);
    }
}

static inline void rows_draw_keys(const rows_knobs *knobs, rows_batch *batch, uint32_t count) {
    const uint32_t stride = knobs->keys_longest + (uint32_t)test_random_below(3);
    uint32_t end = 0;

    batch->keys = realloc(batch->keys, (size_t)count * stride + 1);
    CHECK(batch->keys);
    for (uint32_t r = 0; r < count; r++) {
        uint8_t *key = batch->keys + (knobs->keys_fixed ? (size_t)r * stride : end);
        const uint32_t key_bytes = rows_key(knobs, rows_key_number(knobs, r), key);

        batch->key_offsets[r] = end;
        end += key_bytes;
        batch->hashes[r] = rows_hash(knobs, key, key_bytes);
    }
    batch->key_offsets[count] = end;
    batch->rows.keys = batch->keys;
    // Where the hash is cst_hash's, a batch may leave hashing to the table.
    if (knobs->hashes != ROWS_HASH_FREE || rows_chance(60)) batch->rows.hashes = batch->hashes;
    batch->rows.key_stride = knobs->keys_fixed ? stride : 0;
    batch->rows.key_bytes = knobs->keys_fixed ? knobs->keys_longest : 0;
    batch->rows.key_offsets = knobs->keys_fixed ? NULL : batch->key_offsets;
}

// ---- Values -------------------------------------------------------------------------------------

static inline void rows_fill(uint8_t *to, size_t count) {
    for (size_t i = 0; i < count; i++) to[i] = (uint8_t)test_random();
}

// A value's time: mostly alive, some already over.
static inline int64_t rows_time(const rows_knobs *knobs, int64_t now_us) {
    return now_us - (int64_t)test_random_below(knobs->options.program.ttl_us * 5 / 4 + 1);
}

static inline uint32_t rows_wide_bytes(const rows_knobs *knobs) {
    const cst_program *program = &knobs->options.program;
    const uint32_t least = program->ttl_us ? program->time_offset + 8u : 0;

    if (rows_chance(2)) return least + (uint32_t)test_random_below(70000); // some too long
    return least + (uint32_t)test_random_below(knobs->values_longest + 1);
}

static inline void rows_draw_values(const rows_knobs *knobs, rows_batch *batch, uint32_t count,
                                    int64_t now_us) {
    const cst_program *program = &knobs->options.program;
    const bool is_wide = knobs->options.layout == CST_TABLE_WIDE;
    const uint32_t stride = program->value_bytes + (uint32_t)test_random_below(9);
    size_t bytes = (size_t)count * stride;

    batch->value_offsets[0] = 0;
    for (uint32_t r = 0; is_wide && r < count; r++)
        batch->value_offsets[r + 1] = batch->value_offsets[r] + rows_wide_bytes(knobs);
    if (is_wide) bytes = batch->value_offsets[count];
    batch->values = realloc(batch->values, bytes + 1);
    CHECK(batch->values);
    rows_fill(batch->values, bytes);
    for (uint32_t r = 0; program->ttl_us && r < count; r++) {
        const int64_t time_us = rows_time(knobs, now_us);
        const size_t at = is_wide ? batch->value_offsets[r] : (size_t)r * stride;

        memcpy(batch->values + at + program->time_offset, &time_us, sizeof time_us);
    }
    batch->rows.values = batch->values;
    batch->rows.value_stride = is_wide ? 0 : stride;
    batch->rows.value_offsets = is_wide ? batch->value_offsets : NULL;
}

// ---- Sources ------------------------------------------------------------------------------------

static inline double rows_double(bool extreme) {
    static const uint64_t odd[] = {UINT64_C(0x8000000000000000), 0,
                                   UINT64_C(0x7ff0000000000000), UINT64_C(0xfff0000000000000),
                                   UINT64_C(0x7ff8000000000000), UINT64_C(0xfff8000000000123),
                                   UINT64_C(0x7ff0000000000001), 1,
                                   UINT64_C(0x7fefffffffffffff), UINT64_C(0xffefffffffffffff)};
    double value = (double)(int64_t)test_random() / 1099511627776.0;

    if (extreme) memcpy(&value, &odd[test_random_below(10)], sizeof value);
    return value;
}

__extension__ typedef __int128 rows_i128;

// A number of any integer type, small or within reach of its limits.
static inline rows_i128 rows_integer(cst_type type, bool extreme) {
    const rows_i128 small = (rows_i128)(test_random_below(2000)) - 1000;
    const uint64_t near = test_random_below(3);
    const bool negative = (test_random() & 1) != 0;

    if (type == CST_TYPE_DECIMAL128) {
        const rows_i128 limit =
            (rows_i128)UINT64_C(10000000000000000000) * UINT64_C(10000000000000000000) - 1;
        return !extreme ? small : negative ? -(limit - near) : limit - near;
    }
    if (!extreme) return type == CST_TYPE_BOOL ? small & 1 : small;
    switch (type) {
    case CST_TYPE_BOOL:
        return 1;
    case CST_TYPE_I64:
    case CST_TYPE_TIMESTAMP:
        return negative ? (rows_i128)INT64_MIN + near : (rows_i128)INT64_MAX - near;
    default:
        return (rows_i128)UINT64_MAX - near; // cut to the type's width
    }
}

static inline size_t rows_width(cst_type type) {
    switch (type) {
    case CST_TYPE_U8:
    case CST_TYPE_I8:
    case CST_TYPE_BOOL:
        return 1;
    case CST_TYPE_U16:
    case CST_TYPE_I16:
        return 2;
    case CST_TYPE_U32:
    case CST_TYPE_I32:
    case CST_TYPE_DATE:
    case CST_TYPE_F32:
        return 4;
    case CST_TYPE_DECIMAL128:
        return 16;
    default:
        return 8;
    }
}

static inline void rows_draw_sources(const rows_knobs *knobs, rows_batch *batch, uint32_t count,
                                     int64_t now_us) {
    const cst_program *program = &knobs->options.program;

    for (uint32_t i = 0; i < program->accumulators_count; i++) {
        const bool is_time = program->ttl_us && i == 0;
        cst_source *source = &batch->sources[i];
        uint8_t *values = batch->source_values[i];

        memset(batch->validity[i], 0, sizeof batch->validity[i]);
        for (uint32_t r = 0; r < count; r++) {
            const bool extreme = rows_chance(knobs->extremes_percent);
            rows_i128 integer =
                is_time ? rows_time(knobs, now_us) : rows_integer(source->type, extreme);
            const double f64 = rows_double(extreme);
            const float f32 = (float)f64;

            if (source->type == CST_TYPE_F64)
                memcpy(values + (size_t)r * 8, &f64, 8);
            else if (source->type == CST_TYPE_F32)
                memcpy(values + (size_t)r * 4, &f32, 4);
            else
                memcpy(values + r * rows_width(source->type), &integer, rows_width(source->type));
            if (!rows_chance(knobs->nulls_percent))
                batch->validity[i][r / 8] |= (uint8_t)(1u << r % 8);
        }
        source->values = values;
        source->validity =
            program->presence_offset != CST_NO_OFFSET && !is_time ? batch->validity[i] : NULL;
    }
    batch->rows.sources = batch->sources;
}

static inline void rows_draw(const rows_knobs *knobs, rows_batch *batch, int64_t now_us) {
    const uint32_t count = 1 + (uint32_t)test_random_below(knobs->batch_max);

    batch->rows = (cst_rows){.rows_count = count, .now_us = now_us};
    rows_draw_keys(knobs, batch, count);
    if (knobs->options.program.accumulators_count == 0)
        rows_draw_values(knobs, batch, count, now_us);
    else
        rows_draw_sources(knobs, batch, count, now_us);
    for (uint32_t r = 0; r < count; r++)
        batch->ops[r] = rows_chance(knobs->deletes_percent) ? CST_ROW_DELETE : CST_ROW_UPSERT;
    batch->rows.ops = knobs->deletes_percent > 0 ? batch->ops : NULL;
}

#endif
