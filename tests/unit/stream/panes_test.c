// Windows of a partition: rows to their tables, closing bit by bit, cuts that hold each line once.
#include "state/record.h"
#include "unit/stream/pane_rows.h"

static void record_take(fixture *f, const uint8_t *record) {
    const csti_record head = csti_record_head(record);
    uint64_t words[2], value[2];

    if (head.key_bytes == 0) return; // a gap of the log
    memcpy(words, record + sizeof head, sizeof words);
    memcpy(value, record + sizeof head + KEY_BYTES, sizeof value);
    CHECK_EQ(head.hash, cst_hash(&hash_key, words, sizeof words));
    if (head.value_flags & CSTI_RECORD_PRESENT) {
        f->present++;
    } else if (csti_record_is_aside(head)) {
        f->aside++;
        CHECK_EQ(value[0], 1);
    } else if (csti_record_value_bytes(head) == 0) {
        f->deleted++;
    } else {
        const uint64_t key = __builtin_bswap64(words[0]);
        const int64_t start_us = csti_window_of_key(record + sizeof head, KEY_BYTES);

        CHECK(key < KEYS);
        CHECK(start_us / SIZE < WINDOWS);
        CHECK_EQ(f->closed_count[key][start_us / SIZE], 0); // no line comes twice
        f->closed_count[key][start_us / SIZE] = value[0];
        f->closed_sum[key][start_us / SIZE] = value[1];
        f->closed++;
    }
}

static const csti_pane_cut *seal(fixture *f) {
    const cst_segment_part part = {CST_TABLE_INLINE, KEY_BYTES, VALUE_BYTES};
    const csti_record_shape shape = csti_record_shape_of(&part);
    const csti_pane_cut *cut = NULL;
    uint64_t bytes = 0;

    CHECK_OK(csti_panes_seal(f->panes, &cut, NULL));
    f->present = f->deleted = 0;
    for (size_t r = 0; r < cut->ranges_count; r++) {
        const cst_bytes range = cut->ranges[r];

        bytes += range.count;
        for (size_t at = 0; at < range.count;) {
            const char *why = "";

            if (csti_record_check(&shape, range.data + at, range.count - at, &why) !=
                CSTI_RECORD_GOOD)
                TEST_FAIL("%s", why);
            record_take(f, range.data + at);
            at += csti_record_bytes(csti_record_head(range.data + at));
        }
    }
    CHECK_EQ(bytes, cut->bytes);
    return cut;
}

static void release(fixture *f, const csti_pane_cut *cut) {
    bool over = false;
    cst_code code;

    do {
        code = csti_panes_release(f->panes, f->keeper, cut, RELEASE, NULL);
        completions_take(f, &over);
    } while (code == CST_AGAIN);
    CHECK_OK(code);
    while (!csti_panes_are_quiet(f->panes)) completions_take(f, &over);
}

static void close_all(fixture *f) {
    while (csti_panes_is_closing(f->panes)) CHECK_OK(csti_panes_close_some(f->panes, 1000, NULL));
}

TEST(rows_of_a_block_go_to_their_windows) {
    fixture *f = fixture_open(false, false);

    for (uint64_t r = 0; r < ROWS; r++) row_add(f, r % 7, (int64_t)(r % 3) * SIZE, r);
    block_send(f);
    for (uint64_t r = 0; r < ROWS; r++) row_add(f, 9, 0, 1); // one window alone
    block_send(f);
    csti_panes_watermark(f->panes, 2 * SIZE - 1);
    close_all(f);
    (void)seal(f);
    CHECK_EQ(f->closed, 8); // of window 0
    CHECK_EQ(f->closed_count[9][0], ROWS);
    csti_panes_watermark(f->panes, CSTI_WATERMARK_END);
    close_all(f);
    (void)seal(f);
    CHECK_EQ(f->closed, 7 * 3 + 1);
    for (uint64_t key = 0; key < 7; key++)
        for (uint64_t w = 0; w < 3; w++) {
            uint64_t count = 0, sum = 0;

            for (uint64_t r = 0; r < ROWS; r++)
                if (r % 7 == key && r % 3 == w) {
                    count++;
                    sum += r;
                }
            CHECK_EQ(f->closed_count[key][w], count);
            CHECK_EQ(f->closed_sum[key][w], sum);
        }
    fixture_close(f);
}

TEST(late_rows_are_in_no_table) {
    fixture *f = fixture_open(false, false);

    csti_panes_watermark(f->panes, SIZE);
    row_add(f, 1, 0, 5); // ends at the watermark
    row_add(f, 1, SIZE, 6);
    row_add(f, 2, 0, 7);
    block_send(f);
    CHECK_EQ(csti_panes_late_rows(f->panes), 2);
    row_add(f, 2, 0, 7);
    block_send(f); // nothing is left to submit
    CHECK_EQ(csti_panes_late_rows(f->panes), 1);
    CHECK_EQ(csti_panes_lines(f->panes), 0);
    csti_panes_watermark(f->panes, 0); // it never falls
    row_add(f, 1, 0, 5);
    block_send(f);
    CHECK_EQ(csti_panes_late_rows(f->panes), 1);
    (void)seal(f);
    CHECK_EQ(f->present, 1);
    CHECK_EQ(f->aside, 0);
    fixture_close(f);
}

TEST(late_rows_are_set_aside_each_alone) {
    fixture *f = fixture_open(true, true);

    csti_panes_watermark(f->panes, SIZE);
    row_add(f, 1, 0, 5);
    row_add(f, 1, 0, 6);
    row_add(f, 1, 0, 7);
    f->ops[2] = CST_ROW_DELETE; // has no line
    block_send(f);
    CHECK_EQ(csti_panes_late_rows(f->panes), 3);
    CHECK_EQ(csti_panes_lines(f->panes), 2);
    (void)seal(f);
    CHECK_EQ(f->aside, 2);
    CHECK_EQ(f->present, 0);
    fixture_close(f);
}

TEST(closing_does_a_bounded_piece_and_goes_on_behind_a_cut) {
    fixture *f = fixture_open(false, false);
    const csti_pane_cut *first;
    const csti_pane_cut *second;

    for (uint64_t key = 0; key < KEYS; key++) {
        row_add(f, key, 0, key);
        if (f->block.rows_count == ROWS) block_send(f);
    }
    block_send(f);
    csti_panes_watermark(f->panes, SIZE);
    CHECK_OK(csti_panes_close_some(f->panes, 300, NULL));
    CHECK(csti_panes_is_closing(f->panes));
    CHECK(csti_panes_lines(f->panes) >= 300);
    CHECK(csti_panes_lines(f->panes) < 900);
    first = seal(f);
    CHECK_EQ(f->present, KEYS); // what is left has to outlast this epoch
    CHECK_EQ(f->closed, csti_panes_lines(f->panes));
    close_all(f);
    second = seal(f);
    CHECK_EQ(f->present, 0);
    CHECK_EQ(f->closed, KEYS);
    release(f, first);
    release(f, second);
    fixture_close(f);
}

TEST(a_window_that_closed_within_its_epoch_leaves_lines_alone) {
    fixture *f = fixture_open(false, true);
    cst_table_stats stats;
    const csti_pane_cut *cut;

    row_add(f, 1, 0, 5);
    row_add(f, 2, SIZE, 5);
    block_send(f);
    release(f, seal(f));
    CHECK_EQ(f->present, 2);
    row_add(f, 1, 0, 6);
    row_add(f, 3, 0, 6);
    row_add(f, 3, 0, 6);
    f->ops[2] = CST_ROW_DELETE;
    block_send(f);
    csti_panes_watermark(f->panes, SIZE);
    close_all(f);
    cut = seal(f);
    CHECK_EQ(f->closed, 1);
    CHECK_EQ(f->closed_sum[1][0], 11);
    CHECK_EQ(f->deleted, 1); // or key 3 would be there again behind a restore
    csti_panes_stats_read(f->panes, &stats);
    CHECK_EQ(stats.rows_count, 2); // the table waits for the cut
    release(f, cut);
    csti_panes_stats_read(f->panes, &stats);
    CHECK_EQ(stats.rows_count, 1);
    fixture_close(f);
}

TEST(tables_and_lines_are_freed_behind_their_cut) {
    fixture *f = fixture_open(false, false);
    cst_table_stats stats;
    const csti_pane_cut *first;
    const csti_pane_cut *second;

    for (uint64_t key = 0; key < ROWS; key++) row_add(f, key, 0, key);
    block_send(f);
    first = seal(f);
    csti_panes_watermark(f->panes, SIZE);
    close_all(f);
    second = seal(f);
    csti_panes_stats_read(f->panes, &stats);
    CHECK(stats.log_bytes > 0);
    release(f, first);
    release(f, second);
    csti_panes_stats_read(f->panes, &stats);
    CHECK_EQ(stats.used_bytes, 0);
    fixture_close(f);
}

TEST(rows_that_were_restored_are_parted_by_window) {
    fixture *f = fixture_open(false, false);
    const csti_block_shape shape = {.rows_capacity = ROWS, .key_bytes = KEY_BYTES};
    const csti_panes_options options = options_of(f, &shape, false);
    cst_table *from = NULL;
    uint32_t applied = 0;

    CHECK_OK(cst_table_open(&options.table, &from, NULL));
    for (uint64_t r = 0; r < ROWS; r++) row_add(f, r, (int64_t)(r % 5) * SIZE, r);
    const cst_rows rows = {.rows_count = ROWS,
                           .key_stride = KEY_BYTES,
                           .key_bytes = KEY_BYTES,
                           .hashes = f->hashes,
                           .keys = f->keys,
                           .sources = &f->source};
    CHECK_OK(cst_table_apply_all(from, &rows, &applied));
    csti_panes_watermark(f->panes, 2 * SIZE); // two of them were closing when it was cut
    CHECK_OK(csti_panes_fill(f->panes, from, NULL));
    cst_table_close(from);
    f->block.rows_count = 0;
    close_all(f);
    (void)seal(f);
    CHECK_EQ(f->present, 0); // nothing has changed but what was closed
    CHECK_EQ(f->closed, (ROWS + 4) / 5 + (ROWS + 3) / 5);
    row_add(f, 2, 2 * SIZE, 1);
    block_send(f);
    csti_panes_watermark(f->panes, 5 * SIZE);
    close_all(f);
    (void)seal(f);
    CHECK_EQ(f->closed, ROWS);
    CHECK_EQ(f->closed_count[2][2], 2);
    CHECK_EQ(f->closed_sum[2][2], 3);
    fixture_close(f);
}

static void apply_all(fixture *f, cst_table *to) {
    const cst_rows rows = {.rows_count = f->block.rows_count,
                           .key_stride = KEY_BYTES,
                           .key_bytes = KEY_BYTES,
                           .hashes = f->hashes,
                           .keys = f->keys,
                           .sources = &f->source};
    uint32_t applied = 0;

    CHECK_OK(cst_table_apply_all(to, &rows, &applied));
    f->block.rows_count = 0;
}

// Its rows went out bucket by bucket: those that are left have bits in common.
TEST(a_large_window_that_was_closed_in_part_is_restored) {
    enum { ALL = 60000, LEFT = 3000 };
    fixture *f = fixture_open(false, false);
    const csti_block_shape shape = {.rows_capacity = ROWS, .key_bytes = KEY_BYTES};
    cst_table_options table = options_of(f, &shape, false).table;
    cst_table *whole = NULL, *from = NULL;
    cst_scan scan = {0};
    uint32_t count = 1;

    CHECK_OK(cst_table_open(&table, &whole, NULL));
    table.rows_hint = ALL;
    CHECK_OK(cst_table_open(&table, &from, NULL));
    for (uint64_t key = 0; key < ALL; key++) {
        row_add(f, key, 0, 1);
        if (f->block.rows_count == ROWS || key + 1 == ALL) apply_all(f, whole);
    }
    for (uint32_t seen = 0; count > 0; seen += count) {
        cst_row_ref rows[8];

        CHECK_OK(cst_table_scan(whole, &scan, rows, 8, &count));
        for (uint32_t r = 0; r < count && seen >= ALL - LEFT; r++) {
            uint64_t key;

            memcpy(&key, rows[r].key, sizeof key);
            row_add(f, __builtin_bswap64(key), 0, 1);
            if (f->block.rows_count == ROWS) apply_all(f, from);
        }
    }
    apply_all(f, from);
    csti_panes_watermark(f->panes, SIZE);
    CHECK_OK(csti_panes_fill(f->panes, from, NULL));
    close_all(f);
    CHECK_EQ(csti_panes_lines(f->panes), LEFT);
    cst_table_close(from);
    cst_table_close(whole);
    fixture_close(f);
}

TEST(an_earlier_window_finds_its_place_and_a_closed_one_never_opens) {
    fixture *f = fixture_open(false, false);
    cst_code code = CST_OK;
    bool over = false;
    uint32_t windows = 0;

    for (; windows < 40; windows++) row_add(f, 1, (int64_t)windows * SIZE, 1);
    block_send(f);
    row_add(f, 1, -SIZE, 1);
    block_send(f);
    csti_panes_watermark(f->panes, CSTI_WATERMARK_END);
    close_all(f);
    row_add(f, 1, 5, 1);
    code = csti_panes_rows(f->panes, f->keeper, &f->block, &over, NULL);
    CHECK_OK(code);
    CHECK(over); // nothing opens any more
    CHECK_EQ(csti_panes_lines(f->panes), windows + 1);
    fixture_close(f);
}

TEST_MAIN
