// Two tables, parted by the length of keys: what their keeper says and leaves is what one table of
// all keys does.
#include "state/short_rows.h"
#include "unit/state/split.h"

// ---- Rows of tables -----------------------------------------------------------------------------

static uint64_t rows_of(cst_table *table) {
    cst_table_stats stats;

    CHECK_OK(cst_table_check(table, NULL));
    cst_table_stats_read(table, &stats);
    return stats.rows_count;
}

// Each row of `of` is the same in the table of its length.
static void check_same_rows(cst_table *of, cst_table *shorts, cst_table *longs) {
    cst_row_ref rows[64];
    cst_scan scan = {.now_us = INT64_MIN};
    uint32_t count = 0;

    do {
        CHECK_OK(cst_table_scan(of, &scan, rows, 64, &count));
        for (uint32_t r = 0; r < count; r++) {
            const cst_rows row = {.rows_count = 1,
                                  .key_bytes = rows[r].key_bytes,
                                  .key_stride = rows[r].key_bytes,
                                  .hashes = &rows[r].hash,
                                  .keys = rows[r].key,
                                  .now_us = INT64_MIN};
            cst_bytes value;

            CHECK_OK(cst_table_lookup_refs(rows[r].key_bytes <= SPLIT_SHORT_BYTES ? shorts : longs,
                                           &row, &value));
            CHECK_EQ(value.count, SPLIT_VALUE_BYTES);
            CHECK_BYTES(rows[r].value, value.data, SPLIT_VALUE_BYTES);
        }
    } while (count > 0);
    CHECK_EQ(rows_of(of), rows_of(shorts) + rows_of(longs));
}

static void check_both(split_both *both) {
    check_same_rows(cst_device_table_image(both->tables[0]),
                    cst_device_table_image(both->tables[1]), both->longs);
}

// The chain, in one table of all keys, and parted again in two.
static void check_chain(split_both *both) {
    const cst_table_options options[2] = {split_options(both, SPLIT_LONG_BYTES),
                                          split_options(both, SPLIT_SHORT_BYTES)};
    cst_table *one = NULL, *shorts = NULL, *longs = NULL;
    cst_restore_report report;

    CHECK_OK(cst_table_open(&options[0], &one, NULL));
    CHECK_OK(cst_table_open(&options[0], &longs, NULL));
    CHECK_OK(cst_table_open(&options[1], &shorts, NULL));
    CHECK_OK(cst_segment_restore(both->chain, both->chain_count, one, NULL, NULL, NULL, NULL));
    CHECK_OK(csti_segment_restore_two(both->chain, both->chain_count, shorts, longs, NULL, &report,
                                      NULL));
    CHECK(report.records_count >= rows_of(one));
    check_same_rows(one, shorts, longs);
    check_same_rows(cst_device_table_image(both->tables[0]), shorts, longs);
    cst_table_close(one);
    cst_table_close(shorts);
    cst_table_close(longs);
}

// ---- Streams ------------------------------------------------------------------------------------

TEST(any_stream_gives_the_records_and_rows_of_one_table) {
    static const uint64_t keys_max[] = {12, 300, 5000};
    static split_both both;

    for (int size = 0; size < 3; size++) {
        cst_delta waiting[3][2];
        int waiting_count = 0;
        uint64_t long_rows = 0;

        memset(&both, 0, sizeof both);
        both_open(&both);
        for (int epoch = 0; epoch < 16; epoch++) {
            const uint32_t blocks = (uint32_t)test_random_below(SPLIT_BLOCKS_MAX + 1);

            for (uint32_t b = 0; b < blocks; b++) {
                const int kind = (int)test_random_below(4) % 3;
                const cst_rows *rows = &both.blocks[b].rows;

                rows_draw(&both, &both.blocks[b], 1 + (uint32_t)test_random_below(SPLIT_ROWS_MAX),
                          keys_max[size], epoch % 3 ? 5 : 0, kind);
                for (uint32_t r = 0; r < rows->rows_count; r++)
                    long_rows += rows->key_offsets[r + 1] - rows->key_offsets[r] > 16;
            }
            CHECK_OK(both_apply(&both, blocks));
            CHECK_EQ(keeper_stats_of(&both, 0).rows_count, keeper_stats_of(&both, 1).rows_count);
            CHECK_EQ(keeper_stats_of(&both, 1).long_rows, long_rows);
            CHECK_EQ(keeper_stats_of(&both, 1).long_keys, rows_of(both.longs));
            both_seal(&both, waiting[waiting_count++]);
            if (waiting_count < 3 && test_random_below(2)) continue;
            for (int i = 0; i < waiting_count; i++) both_release(&both, waiting[i]);
            waiting_count = 0;
        }
        check_both(&both);
        check_chain(&both);
        both_close(&both);
    }
}

TEST(barriers_between_blocks_under_way_seal_both_tables_behind_the_same_rows) {
    static split_both both;
    cst_completion done[2][4];
    uint32_t rows_count = 0;

    memset(&both, 0, sizeof both);
    both_open(&both);
    for (uint32_t b = 0; b < 2; b++) rows_draw(&both, &both.blocks[b], 200, 5000, 0, 0);
    for (int which = 0; which < 2; which++) {
        const cst_command barrier = {.ops = CST_OP_BARRIER, .table = both.tables[which]};
        const cst_command commands[4] = {apply_of(&both, which, 0), barrier,
                                         apply_of(&both, which, 1), barrier};

        keeper_run_all(both.keepers[which], commands, 4, done[which]);
    }
    for (int epoch = 0; epoch < 2; epoch++) {
        bytes_sink one = sorted_records(both.keepers[0], &done[0][2 * epoch + 1].delta);
        bytes_sink two = sorted_records(both.keepers[1], &done[1][2 * epoch + 1].delta);

        CHECK(one.count > 0);
        CHECK_EQ(one.count, two.count);
        CHECK_BYTES(one.bytes, two.bytes, one.count);
        rows_count += (uint32_t)(one.count / csti_record_shape_of(&split_part).record_bytes);
        sink_free(&one);
        sink_free(&two);
    }
    CHECK(rows_count <= 400);
    both_close(&both);
}

// ---- Rows that cannot be ------------------------------------------------------------------------

// Row `second` has the key of `first`, and the two overflow.
static void overflow_put(split_block *block, uint32_t first, uint32_t second) {
    block->values[first] = block->values[second] = UINT64_MAX;
    block->validity[first / 8] |= (uint8_t)(1u << first % 8);
    block->validity[second / 8] |= (uint8_t)(1u << second % 8);
}

TEST(a_row_that_overflows_is_the_one_that_one_table_names) {
    // Lengths go by the number: 0 and 1 have 15 and 16 bytes, 2 and 3 have 17 and 40.
    static const uint64_t cases[][8] = {
        {0, 2, 1, 0, 3, 2, 1, 3}, // short: row 3
        {2, 0, 3, 2, 0, 1, 3, 1}, // long: row 3
        {2, 0, 0, 1, 1, 2, 3, 3}, // short in front of long
        {0, 2, 2, 3, 3, 0, 1, 1}, // long in front of short
    };
    static const uint32_t pairs[][4] = {{0, 3, 0, 3}, {0, 3, 0, 3}, {1, 2, 0, 5}, {1, 2, 0, 5}};
    static split_both both;

    for (int c = 0; c < 4; c++) {
        memset(&both, 0, sizeof both);
        both_open(&both);
        rows_fill(&both, &both.blocks[0], cases[c], 8, 0);
        overflow_put(&both.blocks[0], pairs[c][0], pairs[c][1]);
        overflow_put(&both.blocks[0], pairs[c][2], pairs[c][3]);
        CHECK_CODE(both_apply(&both, 1), CST_SUM_OVERFLOW);
        CHECK(csti_keeper_is_idle(both.keepers[1]));
        both_close(&both);
    }
}

TEST(a_block_that_overflows_stops_those_behind_it) {
    const uint64_t numbers[4] = {2, 0, 2, 8}; // 8 has 17 bytes, and a key of its own
    static split_both both;

    memset(&both, 0, sizeof both);
    both_open(&both);
    rows_fill(&both, &both.blocks[0], numbers, 4, 0);
    overflow_put(&both.blocks[0], 0, 2);
    rows_fill(&both, &both.blocks[1], &numbers[3], 1, 0);
    CHECK_CODE(both_apply(&both, 2), CST_SUM_OVERFLOW);
    CHECK_EQ(keeper_stats_of(&both, 1).long_rows, 1);
    CHECK_EQ(rows_of(both.longs), 1); // neither the key of row 3, nor of the next block
    both_close(&both);
}

TEST(a_key_that_is_too_long_for_both_stops_in_front_of_it) {
    const uint64_t numbers[3] = {0, 2, 3};
    static split_both both;
    cst_completion done;
    cst_command apply;

    memset(&both, 0, sizeof both);
    both_open(&both);
    rows_fill(&both, &both.blocks[0], numbers, 3, 0);
    both.blocks[0].offsets[3] += 1;
    apply = apply_of(&both, 1, 0);
    done = keeper_run_one(both.keepers[1], &apply);
    CHECK_CODE(done.code, CST_KEY_TOO_LONG);
    CHECK(done.stopped);
    CHECK_EQ(done.rows_done, 2);
    CHECK_EQ(keeper_stats_of(&both, 1).rows_count, 2);
    both_close(&both);
}

// ---- Memory -------------------------------------------------------------------------------------

// The next one, of what was submitted before.
static cst_completion keeper_await(csti_keeper *keeper) {
    cst_completion done;
    uint32_t count = 0;
    bool worked = false;

    for (int turn = 0; count == 0; turn++) {
        CHECK(turn < 10000);
        CHECK_OK(csti_keeper_poll(keeper, &done, 1, &count, &worked, NULL));
    }
    return done;
}

// One of the two tables has little memory; epochs that nobody releases fill it.
static void check_waits(int full) {
    const cst_command barrier = {.ops = CST_OP_BARRIER};
    static split_both both;
    cst_command apply, release = {.ops = CST_OP_RELEASE, .fixup = true};
    cst_completion done = {.code = CST_OK};
    uint32_t behind;

    memset(&both, 0, sizeof both);
    both.budgets[full] = (uint64_t)1 << 20;
    both_open(&both);
    for (int epoch = 0; done.code == CST_OK; epoch++) {
        CHECK(epoch < 1000);
        if (epoch > 0) release.release = keeper_run_one(both.keepers[1], &barrier).delta;
        rows_draw(&both, &both.blocks[0], SPLIT_ROWS_MAX, 2000, 0, 0);
        apply = apply_of(&both, 1, 0);
        done = keeper_run_one(both.keepers[1], &apply);
    }
    CHECK_CODE(done.code, CST_TABLE_BUDGET);
    CHECK(done.stopped);
    behind = done.rows_done;
    CHECK(behind < SPLIT_ROWS_MAX);
    CHECK_EQ(csti_rows_key_length(&apply.rows, behind) > SPLIT_SHORT_BYTES, full == 1);
    CHECK(keeper_stats_of(&both, 1).log_bytes > release.release.to);
    CHECK_OK(keeper_run_one(both.keepers[1], &release).code);
    CHECK_OK(csti_keeper_retry(both.keepers[1], NULL));
    CHECK_CODE(csti_keeper_retry(both.keepers[1], NULL), CST_USAGE);
    done = keeper_await(both.keepers[1]);
    CHECK_OK(done.code);
    CHECK_EQ(done.tag, apply.tag);
    CHECK_EQ(done.rows_done, SPLIT_ROWS_MAX);
    both_close(&both);
}

TEST(a_table_that_is_full_waits_for_a_release) {
    check_waits(0);
    check_waits(1);
}

// ---- Keys whose time is over --------------------------------------------------------------------

enum { EXPIRE_BUCKETS = 3, TTL = 2000 };

// A whole walk; how many keys were over.
static uint64_t expire_all(split_both *both, int which) {
    uint64_t left = keeper_stats_of(both, which).chunks_count * CSTI_CHUNK_BUCKETS;
    uint64_t bucket = 0, expired = 0;

    CHECK(left > 0);
    while (left > 0) {
        const cst_command step = {.ops = CST_OP_EXPIRE,
                                  .fixup = true,
                                  .tag = 3,
                                  .table = both->tables[which],
                                  .rows.now_us = both->now_us,
                                  .expire_bucket = bucket,
                                  .expire_buckets_count =
                                      left < EXPIRE_BUCKETS ? (uint32_t)left : EXPIRE_BUCKETS};
        const cst_completion done = keeper_run_one(both->keepers[which], &step);

        CHECK_EQ(done.tag, 3);
        if (done.code == CST_TABLE_NOT_READY)
            CHECK_OK(cst_device_table_prepare(both->tables[which], NULL));
        else
            CHECK_OK(done.code);
        CHECK(done.rows_done <= left);
        bucket = done.position;
        left -= done.rows_done;
        expired += done.count;
    }
    CHECK_EQ(bucket, 0);
    return expired;
}

TEST(keys_that_are_over_go_as_those_of_one_table_do) {
    static split_both both;
    uint64_t expired = 0;

    memset(&both, 0, sizeof both);
    both.ttl_us = TTL;
    both_open(&both);
    for (int epoch = 0; epoch < 30; epoch++) {
        cst_delta deltas[2];

        rows_draw(&both, &both.blocks[0], SPLIT_ROWS_MAX, 3000, epoch % 3 ? 5 : 0, 0);
        CHECK_OK(both_apply(&both, 1));
        both.now_us += (int64_t)test_random_below(TTL);
        if (epoch % 2) {
            const uint64_t over = expire_all(&both, 0);

            CHECK_EQ(expire_all(&both, 1), over);
            CHECK_EQ(keeper_stats_of(&both, 0).rows_count, keeper_stats_of(&both, 1).rows_count);
            expired += over;
        }
        both_seal(&both, deltas);
        both_release(&both, deltas);
    }
    CHECK(expired > 0);
    check_chain(&both);
    both_close(&both);
}

// ---- Refusals -----------------------------------------------------------------------------------

TEST(what_it_does_not_do_it_refuses) {
    static split_both both;
    csti_keeper *keeper = NULL;
    cst_device_table *table = NULL;
    cst_table_options replaced;

    memset(&both, 0, sizeof both);
    both_open(&both);
    CHECK_CODE(csti_keeper_submit(both.keepers[1], &(cst_command){.ops = CST_OP_SCAN}, NULL),
               CST_UNSUPPORTED);
    CHECK_CODE(csti_keeper_submit(both.keepers[1],
                                  &(cst_command){.ops = CST_OP_RELEASE, .release.epoch = 1}, NULL),
               CST_EPOCH);
    replaced = split_options(&both, SPLIT_SHORT_BYTES);
    replaced.program = (cst_program){.value_bytes = SPLIT_VALUE_BYTES,
                                     .presence_offset = CST_NO_OFFSET,
                                     .time_offset = CST_NO_OFFSET};
    CHECK_OK(cst_device_table_open(both.queues[0], &replaced, NULL, &table, NULL));
    const csti_keeper_split_options options = {both.queues[0], table, both.longs};
    CHECK_CODE(csti_keeper_split_open(&options, &keeper, NULL), CST_UNSUPPORTED);
    cst_device_table_close(table);
    both_close(&both);
}

TEST(a_chain_of_another_width_is_refused) {
    static split_both both;
    cst_table_options options;
    cst_table *shorts = NULL, *longs = NULL;
    cst_delta deltas[2];

    memset(&both, 0, sizeof both);
    both_open(&both);
    rows_draw(&both, &both.blocks[0], 100, 300, 0, 0);
    CHECK_OK(both_apply(&both, 1));
    both_seal(&both, deltas);
    options = split_options(&both, SPLIT_SHORT_BYTES);
    CHECK_OK(cst_table_open(&options, &shorts, NULL));
    options.key_bytes = SPLIT_LONG_BYTES + 32;
    CHECK_OK(cst_table_open(&options, &longs, NULL));
    CHECK_CODE(csti_segment_restore_two(both.chain, 1, shorts, longs, NULL, NULL, NULL),
               CST_SEGMENT_SCHEMA);
    cst_table_close(shorts);
    cst_table_close(longs);
    both_close(&both);
}

TEST_MAIN
