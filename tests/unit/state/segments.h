// segments.h: segments made by hand for the tests, and damage done to them.
//
// Promises   records_* write what docs/formats.md says, without the code under test.
//            segment_fix gives a damaged segment right checksums again, so that what lies behind
//            them is reached; it changes nothing but checksums.
#ifndef CST_TEST_SEGMENTS_H
#define CST_TEST_SEGMENTS_H

#include "base/crc32c.h"
#include "state/segment_format.h"
#include "test.h"

// ---- A growing run of bytes, 8-byte aligned -----------------------------------------------------

typedef struct bytes_sink {
    uint8_t *bytes;
    size_t count;
    size_t capacity;
    uint64_t calls;
    uint64_t fail_at; // this call (from 1) fails; 0: none
} bytes_sink;

static inline void sink_add(bytes_sink *sink, const void *bytes, size_t count) {
    if (sink->count + count > sink->capacity) {
        sink->capacity = (sink->count + count) * 2 + 64;
        sink->bytes = realloc(sink->bytes, sink->capacity);
        if (!sink->bytes) abort();
    }
    if (count > 0) memcpy(sink->bytes + sink->count, bytes, count);
    sink->count += count;
}

static inline cst_code sink_write(void *context, const void *bytes, size_t count, cst_err *err) {
    bytes_sink *sink = context;

    if (++sink->calls == sink->fail_at) return cst_fail(err, CST_IO, "the sink is full");
    sink_add(sink, bytes, count);
    return CST_OK;
}

static inline void sink_free(bytes_sink *sink) {
    free(sink->bytes);
    *sink = (bytes_sink){NULL, 0, 0, 0, 0};
}

static inline bytes_sink sink_copy(const bytes_sink *from) {
    bytes_sink copy = {NULL, 0, 0, 0, 0};

    sink_add(&copy, from->bytes, from->count);
    return copy;
}

// ---- Records ------------------------------------------------------------------------------------

enum { FLAG_ROW = 0, FLAG_TOMBSTONE, FLAG_GAP };

static inline void record_add(bytes_sink *out, uint64_t hash, const void *key, uint16_t key_bytes,
                              size_t key_area, const void *value, uint32_t value_bytes,
                              size_t record_bytes, int flag) {
    static const uint32_t bits[] = {UINT32_C(1) << 31, UINT32_C(1) << 30, UINT32_C(1) << 29};
    const uint16_t units = (uint16_t)(record_bytes / 32);
    const uint32_t value_flags = value_bytes | bits[flag];
    uint8_t *record = calloc(1, record_bytes + 1);

    if (!record) abort();
    memcpy(record, &hash, 8);
    memcpy(record + 8, &key_bytes, 2);
    memcpy(record + 10, &units, 2);
    memcpy(record + 12, &value_flags, 4);
    if (key_bytes) memcpy(record + 16, key, key_bytes);
    if (value_bytes) memcpy(record + 16 + key_area, value, value_bytes);
    sink_add(out, record, record_bytes);
    free(record);
}

static inline size_t round_up(size_t count, size_t unit) {
    return (count + unit - 1) / unit * unit;
}

// Inline tables of these tests: keys up to 8 bytes, values of 16: records of 64 bytes.
enum { TEST_KEY_BYTES = 8, TEST_VALUE_BYTES = 16, TEST_RECORD_BYTES = 64 };
static const cst_hash_key TEST_HASH_KEY = {UINT64_C(0x0706050403020100),
                                           UINT64_C(0x0f0e0d0c0b0a0908)};

static inline void inline_row_hashed(bytes_sink *out, uint64_t hash, const void *key,
                                     uint16_t key_bytes, const void *value) {
    record_add(out, hash, key, key_bytes, 8, value, TEST_VALUE_BYTES, TEST_RECORD_BYTES, FLAG_ROW);
}

static inline void inline_row(bytes_sink *out, uint64_t key, uint64_t value) {
    const uint64_t values[2] = {value, ~value};

    inline_row_hashed(out, cst_hash(&TEST_HASH_KEY, &key, 8), &key, 8, values);
}

static inline void inline_tombstone(bytes_sink *out, uint64_t key) {
    record_add(out, cst_hash(&TEST_HASH_KEY, &key, 8), &key, 8, 8, NULL, 0, TEST_RECORD_BYTES,
               FLAG_TOMBSTONE);
}

// What windowed jobs write: a row's last value, and a row that is in no table.
static inline void inline_last_value(bytes_sink *out, uint64_t key, uint64_t value) {
    const uint64_t values[2] = {value, ~value};

    record_add(out, cst_hash(&TEST_HASH_KEY, &key, 8), &key, 8, 8, values, TEST_VALUE_BYTES,
               TEST_RECORD_BYTES, FLAG_TOMBSTONE);
}

static inline void inline_set_aside(bytes_sink *out, uint64_t key, uint64_t value) {
    const uint64_t values[2] = {value, ~value};

    record_add(out, cst_hash(&TEST_HASH_KEY, &key, 8), &key, 8, 8, values, TEST_VALUE_BYTES,
               TEST_RECORD_BYTES, FLAG_GAP);
}

static inline void gap(bytes_sink *out, size_t record_bytes) {
    record_add(out, 0, NULL, 0, 0, NULL, 0, record_bytes, FLAG_GAP);
}

static inline void wide_row(bytes_sink *out, const void *key, size_t key_bytes, const void *value,
                            size_t value_bytes, size_t spare_bytes) {
    const size_t key_area = round_up(key_bytes, 8);

    record_add(out, cst_hash(&TEST_HASH_KEY, key, key_bytes), key, (uint16_t)key_bytes, key_area,
               value, (uint32_t)value_bytes,
               round_up(16 + key_area + value_bytes, 32) + spare_bytes, FLAG_ROW);
}

static inline void wide_tombstone(bytes_sink *out, const void *key, size_t key_bytes) {
    const size_t key_area = round_up(key_bytes, 8);

    record_add(out, cst_hash(&TEST_HASH_KEY, key, key_bytes), key, (uint16_t)key_bytes, key_area,
               NULL, 0, round_up(16 + key_area, 32), FLAG_TOMBSTONE);
}

// ---- Segments -----------------------------------------------------------------------------------

static inline cst_segment_info test_info(cst_segment_kind kind, uint64_t from, uint64_t to) {
    return (cst_segment_info){
        .kind = kind,
        .table_id = 42,
        .epoch_from = from,
        .epoch_to = to,
        .base_epoch = kind == CST_SEGMENT_DELTA ? from - 1 : 0,
        .schema_hash = cst_segment_schema_hash("u64"),
        .program_hash = 7,
        .hash_key_check = cst_segment_hash_key_check(&TEST_HASH_KEY),
        .parts_count = 1,
        .parts = {{CST_TABLE_INLINE, TEST_KEY_BYTES, TEST_VALUE_BYTES}},
    };
}

static inline cst_segment_info test_info_two(cst_segment_kind kind, uint64_t from, uint64_t to) {
    cst_segment_info info = test_info(kind, from, to);

    info.parts_count = 2;
    info.parts[1] = (cst_segment_part){CST_TABLE_WIDE, 0, 0};
    return info;
}

static inline cst_segment_summary write_parts(bytes_sink *out, const cst_segment_info *info,
                                              const bytes_sink *part0, const bytes_sink *part1) {
    const cst_bytes range0 = {part0 ? part0->bytes : NULL, part0 ? part0->count : 0};
    const cst_bytes range1 = {part1 ? part1->bytes : NULL, part1 ? part1->count : 0};
    const cst_bytes *ranges[2] = {&range0, &range1};
    const size_t ranges_count[2] = {1, 1};
    cst_segment_summary summary;
    cst_err err;

    if (cst_segment_write(info, ranges, ranges_count, sink_write, out, &summary, &err) != CST_OK)
        TEST_FAIL("%s", err.text);
    return summary;
}

static inline cst_segment *open_or_die(const bytes_sink *from) {
    cst_segment *segment = NULL;
    cst_err err;

    if (cst_segment_open_bytes("test", from->bytes, from->count, NULL, &segment, &err) != CST_OK)
        TEST_FAIL("%s", err.text);
    return segment;
}

// ---- Checksums made right again -----------------------------------------------------------------

static inline uint64_t load64(const uint8_t *at) {
    uint64_t value;

    memcpy(&value, at, 8);
    return value;
}

static inline void store32(uint8_t *at, uint32_t value) {
    memcpy(at, &value, 4);
}

// Trusts nothing but the count: a segment too odd to fix is left as it is.
static inline void segment_fix(uint8_t *bytes, size_t count) {
    uint8_t *footer;
    uint64_t body_bytes, blocks_count, table_bytes;
    uint32_t header_crc;

    if (count < 256) return;
    footer = bytes + count - 128;
    header_crc = csti_crc32c(0, bytes, 124);
    store32(bytes + 124, header_crc);
    store32(footer, header_crc);
    body_bytes = load64(footer + 24);
    blocks_count = load64(footer + 32);
    if (body_bytes <= count - 256 && blocks_count == (body_bytes + 65535) / 65536) {
        table_bytes = round_up((size_t)blocks_count * 4, 8);
        if (body_bytes + table_bytes <= count - 256) {
            uint8_t *table = footer - table_bytes;
            const uint8_t *groups = bytes + 128 + body_bytes;

            for (uint32_t block = 0; block < blocks_count; block++) {
                const uint64_t at = (uint64_t)block * 65536;
                const uint64_t rest = body_bytes - at;
                uint8_t seed[8];

                store32(seed, header_crc);
                store32(seed + 4, block);
                store32(table + block * 4, csti_crc32c(csti_crc32c(0, seed, 8), bytes + 128 + at,
                                                       rest < 65536 ? (size_t)rest : 65536));
            }
            store32(footer + 8, csti_crc32c(0, table, (size_t)table_bytes));
            store32(footer + 4, csti_crc32c(0, groups, (size_t)(table - groups)));
        }
    }
    store32(footer + 116, csti_crc32c(0, footer, 116));
}

#endif
