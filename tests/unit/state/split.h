// split.h: a keeper of two tables, parted by the length of keys, beside one of a table of all keys.
//
//   rows ─► both_apply ─┬─► one table of keys of up to 40 bytes ────► delta ─┐
//                       └─► tables of up to 16, and of the others ──► delta ─┴─ the same records
#ifndef CST_TEST_SPLIT_H
#define CST_TEST_SPLIT_H

#include "state/keeper_split.h"
#include "state/segment.h"
#include "unit/state/deltas.h"

enum {
    SPLIT_SHORT_BYTES = 16,
    SPLIT_LONG_BYTES = 40,
    SPLIT_ROWS_MAX = 512, // of a block
    SPLIT_BLOCKS_MAX = 4, // under way
    SPLIT_EPOCHS_MAX = 64,
    SPLIT_VALUE_BYTES = 56,
    SPLIT_TIMES = 500, // rows of a block differ by
};
#define SPLIT_BUDGET ((uint64_t)64 << 20)

static const cst_segment_part split_part = {CST_TABLE_INLINE, SPLIT_LONG_BYTES, SPLIT_VALUE_BYTES};

typedef struct split_block {
    uint8_t keys[SPLIT_ROWS_MAX * SPLIT_LONG_BYTES];
    uint32_t offsets[SPLIT_ROWS_MAX + 1];
    uint64_t hashes[SPLIT_ROWS_MAX], values[SPLIT_ROWS_MAX];
    uint8_t ops[SPLIT_ROWS_MAX], validity[SPLIT_ROWS_MAX / 8];
    int64_t times[SPLIT_ROWS_MAX];
    cst_source sources[2];
    cst_rows rows;
} split_block;

typedef struct split_both {
    cst_device *device;
    cst_queue *queues[2];
    cst_device_table *tables[2];
    cst_table *longs;
    csti_keeper *keepers[2]; // of one table; of two
    uint64_t ttl_us;
    int64_t now_us;
    uint64_t budgets[2]; // of the short keys' table, of the long ones'
    bytes_sink chain_bytes[SPLIT_EPOCHS_MAX];
    cst_segment *chain[SPLIT_EPOCHS_MAX];
    uint32_t checksum;
    size_t chain_count;
    split_block blocks[SPLIT_BLOCKS_MAX];
} split_both;

static inline cst_table_options split_options(const split_both *both, uint32_t key_bytes) {
    return (
        cst_table_options){.layout = CST_TABLE_INLINE,
                           .key_bytes = key_bytes,
                           .program = {.value_bytes = SPLIT_VALUE_BYTES,
                                       .accumulators_count = 6,
                                       .presence_offset = 40,
                                       .ttl_us = both->ttl_us,
                                       .time_offset = both->ttl_us ? 48 : CST_NO_OFFSET,
                                       .accumulators = {{CST_COUNT, CST_U64, 0, CST_NO_COLUMN, 0},
                                                        {CST_SUM, CST_U64, 8, 0, 0},
                                                        {CST_MIN, CST_U64, 16, 0, 0},
                                                        {CST_MAX, CST_U64, 24, 0, 0},
                                                        {CST_LAST, CST_U64, 32, 0, 0},
                                                        {CST_MAX, CST_I64, 48, 1, 0}}},
                           .hash_key = TEST_HASH_KEY,
                           .budget_bytes = SPLIT_BUDGET,
                           .log_segment_bytes = 64 << 10,
                           .numa_node = -1,
                           .small_pages = true};
}

// The two tables, empty, and their keeper.
static inline cst_code split_tables_open(split_both *both, cst_err *err) {
    cst_table_options shorts = split_options(both, SPLIT_SHORT_BYTES);
    cst_table_options longs = split_options(both, SPLIT_LONG_BYTES);
    cst_code code;

    if (both->budgets[0]) shorts.budget_bytes = both->budgets[0];
    if (both->budgets[1]) longs.budget_bytes = both->budgets[1];
    code = cst_device_table_open(both->queues[1], &shorts, NULL, &both->tables[1], err);
    if (code == CST_OK) code = cst_table_open(&longs, &both->longs, err);
    if (code != CST_OK) return code;
    const csti_keeper_split_options options = {both->queues[1], both->tables[1], both->longs};
    return csti_keeper_split_open(&options, &both->keepers[1], err);
}

static inline void split_tables_close(split_both *both) {
    csti_keeper_close(both->keepers[1]);
    cst_device_table_close(both->tables[1]);
    cst_table_close(both->longs);
    both->keepers[1] = NULL;
    both->tables[1] = NULL;
    both->longs = NULL;
}

// What is to be set of *both is set before; the rest is zeros.
static inline void both_open(split_both *both) {
    const cst_table_options options = split_options(both, SPLIT_LONG_BYTES);
    cst_err err;

    CHECK_OK(cst_device_open("cpu:", &both->device, NULL));
    for (int which = 0; which < 2; which++)
        CHECK_OK(cst_queue_open(both->device, NULL, &both->queues[which], NULL));
    CHECK_OK(cst_device_table_open(both->queues[0], &options, NULL, &both->tables[0], NULL));
    CHECK_OK(csti_keeper_table_open(both->queues[0], both->tables[0], &both->keepers[0], NULL));
    if (split_tables_open(both, &err) != CST_OK) TEST_FAIL("%s", err.text);
}

static inline void both_close(split_both *both) {
    split_tables_close(both);
    csti_keeper_close(both->keepers[0]);
    cst_device_table_close(both->tables[0]);
    for (int which = 0; which < 2; which++) cst_queue_close(both->queues[which]);
    cst_device_close(both->device);
    for (size_t i = 0; i < both->chain_count; i++) {
        cst_segment_close(both->chain[i]);
        sink_free(&both->chain_bytes[i]);
    }
}

// ---- Rows ---------------------------------------------------------------------------------------

// Around the limit, and far from it.
static inline uint32_t key_bytes_of(uint64_t number) {
    static const uint32_t lengths[] = {15, 16, 17, 40, 3, 24};

    return lengths[number % (sizeof lengths / sizeof *lengths)];
}

static inline void key_write(uint64_t number, uint8_t *out) {
    memset(out, 'k', key_bytes_of(number));
    out[0] = (uint8_t)number;
    out[1] = (uint8_t)(number >> 8);
    out[2] = (uint8_t)(number >> 16);
}

// The rows of `numbers`; deletes are one in `deletes_of`, 0: none.
static inline void rows_fill(const split_both *both, split_block *block, const uint64_t *numbers,
                             uint32_t count, uint64_t deletes_of) {
    memset(block->validity, 0, sizeof block->validity);
    block->offsets[0] = 0;
    for (uint32_t r = 0; r < count; r++) {
        uint8_t *key = block->keys + block->offsets[r];
        const uint32_t bytes = key_bytes_of(numbers[r]);

        key_write(numbers[r], key);
        block->offsets[r + 1] = block->offsets[r] + bytes;
        block->hashes[r] = cst_hash(&TEST_HASH_KEY, key, bytes);
        block->values[r] = test_random_below(1000);
        block->times[r] = both->now_us + (int64_t)test_random_below(SPLIT_TIMES);
        block->ops[r] =
            deletes_of && test_random_below(deletes_of) == 0 ? CST_ROW_DELETE : CST_ROW_UPSERT;
        if (test_random_below(10) > 0) block->validity[r / 8] |= (uint8_t)(1u << r % 8);
    }
    block->sources[0] = (cst_source){block->values, block->validity, CST_TYPE_U64};
    block->sources[1] = (cst_source){block->times, NULL, CST_TYPE_TIMESTAMP};
    block->rows = (cst_rows){.rows_count = count,
                             .ops = deletes_of ? block->ops : NULL,
                             .hashes = block->hashes,
                             .keys = block->keys,
                             .key_offsets = block->offsets,
                             .now_us = both->now_us,
                             .sources = block->sources};
}

// `kind` 0: of all lengths; 1: short keys alone; 2: long ones.
static inline void rows_draw(const split_both *both, split_block *block, uint32_t count,
                             uint64_t keys_max, uint64_t deletes_of, int kind) {
    uint64_t numbers[SPLIT_ROWS_MAX];

    for (uint32_t r = 0; r < count; r++) {
        do numbers[r] = test_random_below(keys_max);
        while (kind != 0 && (key_bytes_of(numbers[r]) > SPLIT_SHORT_BYTES) != (kind == 2));
    }
    rows_fill(both, block, numbers, count, deletes_of);
}

// ---- Commands -----------------------------------------------------------------------------------

// `count` commands, submitted one behind the other, to their ends.
static inline void keeper_run_all(csti_keeper *keeper, const cst_command *commands, uint32_t count,
                                  cst_completion *out) {
    uint32_t submitted = 0, done = 0;
    bool worked = false;
    cst_err err;

    for (int turn = 0; done < count; turn++) {
        uint32_t more = 0;
        cst_code code = CST_OK;

        CHECK(turn < 10000);
        while (submitted < count && code == CST_OK) {
            code = csti_keeper_submit(keeper, &commands[submitted], &err);
            if (code == CST_OK) submitted++;
            if (code != CST_OK && code != CST_AGAIN) TEST_FAIL("%s", err.text);
        }
        if (csti_keeper_poll(keeper, out + done, count - done, &more, &worked, &err) != CST_OK)
            TEST_FAIL("%s", err.text);
        done += more;
        if (more > 0 && out[done - 1].stopped) break;
    }
}

static inline cst_completion keeper_run_one(csti_keeper *keeper, const cst_command *command) {
    cst_completion done = {0};

    keeper_run_all(keeper, command, 1, &done);
    return done;
}

static inline cst_command apply_of(const split_both *both, int which, uint32_t block) {
    return (cst_command){.ops = CST_OP_APPLY,
                         .tag = 100 + block,
                         .table = both->tables[which],
                         .rows = both->blocks[block].rows};
}

// The first `count` blocks into both, which say the same.
static inline cst_code both_apply(split_both *both, uint32_t count) {
    cst_completion done[2][SPLIT_BLOCKS_MAX] = {{{0}}};
    cst_code code = CST_OK;

    for (int which = 0; which < 2; which++) {
        cst_command commands[SPLIT_BLOCKS_MAX];

        for (uint32_t b = 0; b < count; b++) commands[b] = apply_of(both, which, b);
        keeper_run_all(both->keepers[which], commands, count, done[which]);
    }
    for (uint32_t b = 0; b < count && code == CST_OK; b++) {
        CHECK_EQ(done[1][b].tag, 100 + b);
        CHECK_EQ(done[0][b].code, done[1][b].code);
        CHECK_EQ(done[0][b].stopped, done[1][b].stopped);
        CHECK_EQ(done[0][b].rows_done, done[1][b].rows_done);
        code = done[0][b].code;
    }
    return code;
}

static inline csti_keeper_stats keeper_stats_of(const split_both *both, int which) {
    csti_keeper_stats stats;

    CHECK(csti_keeper_is_idle(both->keepers[which]));
    CHECK(csti_keeper_stats_read(both->keepers[which], &stats));
    return stats;
}

// ---- Deltas -------------------------------------------------------------------------------------

static inline int split_records_compare(const void *a, const void *b) {
    return memcmp(a, b, csti_record_shape_of(&split_part).record_bytes);
}

// A delta's records without gaps, in an order of their own.
static inline bytes_sink sorted_records(const csti_keeper *keeper, const cst_delta *delta) {
    const size_t record_bytes = csti_record_shape_of(&split_part).record_bytes;
    bytes_sink out = records_of(keeper, delta);

    if (out.count > 0)
        qsort(out.bytes, out.count / record_bytes, record_bytes, split_records_compare);
    return out;
}

// What a job would write of it: a segment of one part, as wide as long keys need.
static inline void split_chain_add(split_both *both, const cst_delta *delta) {
    const cst_program program = split_options(both, SPLIT_LONG_BYTES).program;
    const size_t at = both->chain_count++;
    cst_bytes ranges[DELTA_RANGES_MAX];
    const cst_bytes *parts[1] = {ranges};
    cst_segment_info info =
        test_info(at == 0 ? CST_SEGMENT_FULL_UNORDERED : CST_SEGMENT_DELTA, at + 1, at + 1);
    cst_segment_summary summary;
    size_t count;
    cst_err err;

    CHECK(at < SPLIT_EPOCHS_MAX);
    info.base_checksum = both->checksum;
    info.program_hash = cst_segment_program_hash(&program);
    info.parts[0] = split_part;
    csti_keeper_delta_ranges(both->keepers[1], delta, ranges, DELTA_RANGES_MAX, &count);
    if (cst_segment_write(&info, parts, &count, sink_write, &both->chain_bytes[at], &summary,
                          &err) != CST_OK)
        TEST_FAIL("%s", err.text);
    both->chain[at] = open_or_die(&both->chain_bytes[at]);
    both->checksum = summary.checksum;
    CHECK_OK(cst_segment_verify(both->chain[at], &TEST_HASH_KEY, NULL));
}

// Seals both: equal records. The deltas are the caller's to release.
static inline void both_seal(split_both *both, cst_delta out[2]) {
    bytes_sink records[2];

    for (int which = 0; which < 2; which++) {
        const cst_command barrier = {.ops = CST_OP_BARRIER, .table = both->tables[which]};

        out[which] = keeper_run_one(both->keepers[which], &barrier).delta;
        records[which] = sorted_records(both->keepers[which], &out[which]);
    }
    CHECK_EQ(records[0].count, records[1].count);
    CHECK_BYTES(records[0].bytes, records[1].bytes, records[0].count);
    sink_free(&records[0]);
    sink_free(&records[1]);
    split_chain_add(both, &out[1]);
}

static inline void both_release(split_both *both, const cst_delta deltas[2]) {
    for (int which = 0; which < 2; which++) {
        const cst_command release = {.ops = CST_OP_RELEASE,
                                     .fixup = true,
                                     .tag = 7,
                                     .table = both->tables[which],
                                     .release = deltas[which]};
        const cst_completion done = keeper_run_one(both->keepers[which], &release);

        CHECK_OK(done.code);
        CHECK_EQ(done.tag, 7);
    }
}

#endif
