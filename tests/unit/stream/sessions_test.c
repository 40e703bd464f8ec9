// Sessions of a partition: against a plain list of them, with rows and cuts at random; and what a
// merge leaves in the chain.
#include "unit/stream/session_rows.h"

static int by_key_then_start(const void *a, const void *b) {
    const line *x = a;
    const line *y = b;

    if (x->key != y->key) return x->key < y->key ? -1 : 1;
    return (x->start_us > y->start_us) - (x->start_us < y->start_us);
}

static void lines_equal(line *got, uint32_t got_count, line *wanted, uint32_t wanted_count) {
    CHECK_EQ(got_count, wanted_count);
    qsort(got, got_count, sizeof *got, by_key_then_start);
    qsort(wanted, wanted_count, sizeof *wanted, by_key_then_start);
    for (uint32_t i = 0; i < got_count; i++) {
        CHECK_EQ(got[i].key, wanted[i].key);
        CHECK_EQ(got[i].start_us, wanted[i].start_us);
        CHECK_EQ(got[i].last_us, wanted[i].last_us);
        CHECK_EQ(got[i].count, wanted[i].count);
        CHECK_EQ(got[i].any, wanted[i].any);
        if (!got[i].any) continue;
        CHECK_EQ(got[i].sum, wanted[i].sum);
        CHECK_EQ(got[i].least, wanted[i].least);
    }
}

// ---- A plain list -------------------------------------------------------------------------------

typedef struct model {
    line open[CHAIN_MAX], closed[CHAIN_MAX], late[CHAIN_MAX];
    uint32_t open_count, closed_count, late_count;
    int64_t watermark_us;
} model;

static line line_of_row(uint64_t key, int64_t time_us, uint64_t value) {
    const bool any = value != UINT64_MAX;

    return (line){key, time_us, time_us, 1, any ? value : 0, any ? value : 0, any};
}

static void line_join(line *to, const line *from) {
    if (from->any) to->least = !to->any || from->least < to->least ? from->least : to->least;
    if (from->any) to->sum = to->any ? to->sum + from->sum : from->sum;
    to->any |= from->any;
    to->count += from->count;
    if (from->start_us < to->start_us) to->start_us = from->start_us;
    if (from->last_us > to->last_us) to->last_us = from->last_us;
}

static void model_row(model *m, uint64_t key, int64_t time_us, uint64_t value) {
    line joined = line_of_row(key, time_us, value);

    if (time_us + GAP <= m->watermark_us) {
        m->late[m->late_count++] = joined;
        return;
    }
    for (uint32_t at = 0; at < m->open_count;) {
        line *open = &m->open[at];

        if (open->key != key || open->start_us - time_us >= GAP || time_us - open->last_us >= GAP) {
            at++;
            continue;
        }
        line_join(&joined, open);
        *open = m->open[--m->open_count];
    }
    m->open[m->open_count++] = joined;
}

static void model_watermark(model *m, int64_t watermark_us) {
    if (watermark_us > m->watermark_us) m->watermark_us = watermark_us;
    for (uint32_t at = 0; at < m->open_count;) {
        if (m->open[at].last_us + GAP > m->watermark_us) {
            at++;
            continue;
        }
        m->closed[m->closed_count++] = m->open[at];
        m->open[at] = m->open[--m->open_count];
    }
}

static void chain_is_model(fixture *f, model *m) {
    static line got[CHAIN_MAX];

    for (uint32_t at = 0; at < f->chain_count; at++) got[at] = line_of(f->chain[at]);
    lines_equal(got, f->chain_count, m->open, m->open_count);
}

static void round_run(uint32_t steps, uint32_t keys, int64_t spread_us, int64_t step_us) {
    static model m;
    fixture *f = fixture_open();

    m = (model){.watermark_us = CSTI_WATERMARK_NONE};
    CHECK_OK(sessions_make(f, m.watermark_us, NULL));
    for (uint32_t step = 0; step < steps; step++) {
        const int64_t now_us = (int64_t)step * step_us;
        const uint32_t rows = (uint32_t)test_random_below(ROWS);

        for (uint32_t r = 0; r < rows; r++) {
            const uint64_t key = test_random_below(keys);
            const int64_t time_us = now_us + (int64_t)test_random_below((uint64_t)spread_us);
            const uint64_t value = test_random_below(5) ? test_random_below(1000) : UINT64_MAX;

            row_add(f, key, time_us, value);
            model_row(&m, key, time_us, value);
        }
        CHECK_OK(rows_send(f, NULL));
        if (test_random_below(2)) {
            const int64_t watermark_us = now_us + (int64_t)test_random_below(20);

            csti_sessions_watermark(f->sessions, watermark_us);
            model_watermark(&m, watermark_us);
        }
        CHECK_OK(csti_sessions_close_some(f->sessions, (uint32_t)test_random_below(6), NULL));
        if (test_random_below(3) == 0) seal_release(f);
        if (test_random_below(20) == 0) {
            seal_release(f);
            restore(f, m.watermark_us);
        }
        if (test_random_below(10) > 0) continue;
        close_all(f);
        seal_release(f);
        chain_is_model(f, &m);
    }
    csti_sessions_watermark(f->sessions, CSTI_WATERMARK_END);
    model_watermark(&m, CSTI_WATERMARK_END);
    close_all(f);
    seal_release(f);
    CHECK_EQ(f->chain_count, 0);
    lines_equal(f->closed, f->closed_count, m.closed, m.closed_count);
    lines_equal(f->aside, f->aside_count, m.late, m.late_count);
    fixture_close(f);
}

TEST(random_rows_make_the_sessions_of_a_plain_list) {
    for (int round = 0; round < 20; round++) {
        round_run(60, 1, 60, 8);     // one key, merges
        round_run(60, 5, 200, 20);   // late rows
        round_run(30, 200, 400, 50); // many keys
    }
}

TEST(rows_in_any_order_make_the_same_sessions) {
    enum { COUNT = 40, TURNS = 50 };
    static line first[CHAIN_MAX];
    int64_t times[COUNT];
    uint32_t first_count = 0;

    for (uint32_t i = 0; i < COUNT; i++) times[i] = (int64_t)test_random_below(500);
    for (uint32_t turn = 0; turn < TURNS; turn++) {
        fixture *f = fixture_open();

        CHECK_OK(sessions_make(f, CSTI_WATERMARK_NONE, NULL));
        for (uint32_t i = COUNT - 1; i > 0; i--) {
            const uint32_t other = (uint32_t)test_random_below(i + 1);
            const int64_t time_us = times[i];

            times[i] = times[other];
            times[other] = time_us;
        }
        for (uint32_t i = 0; i < COUNT; i++) row_add(f, 1, times[i], (uint64_t)times[i]);
        CHECK_OK(rows_send(f, NULL));
        csti_sessions_watermark(f->sessions, CSTI_WATERMARK_END);
        close_all(f);
        seal_release(f);
        if (turn == 0) {
            memcpy(first, f->closed, sizeof first);
            first_count = f->closed_count;
        }
        lines_equal(f->closed, f->closed_count, first, first_count);
        fixture_close(f);
    }
    CHECK(first_count > 1);
}

// ---- One thing each -----------------------------------------------------------------------------

static fixture *begun(void) {
    fixture *f = fixture_open();

    CHECK_OK(sessions_make(f, CSTI_WATERMARK_NONE, NULL));
    return f;
}

TEST(a_row_a_gap_behind_the_last_begins_another_session) {
    fixture *f = begun();

    row_add(f, 1, 0, 1);
    row_add(f, 1, GAP - 1, 1);
    row_add(f, 1, 2 * GAP - 1, 1); // where the first ends
    CHECK_OK(rows_send(f, NULL));
    seal_release(f);
    CHECK_EQ(f->chain_count, 2);
    fixture_close(f);
}

TEST(a_row_between_two_sessions_takes_one_of_them_out_of_the_chain) {
    fixture *f = begun();

    row_add(f, 1, 0, 5);
    row_add(f, 1, 15, 3);
    CHECK_OK(rows_send(f, NULL));
    seal_release(f);
    CHECK_EQ(f->chain_count, 2);
    row_add(f, 1, 8, 4);
    CHECK_OK(rows_send(f, NULL));
    seal_release(f);
    CHECK_EQ(f->removed_count, 1);
    CHECK_EQ(f->chain_count, 1);
    CHECK_EQ(line_of(f->chain[0]).count, 3);
    CHECK_EQ(line_of(f->chain[0]).sum, 12);
    CHECK_EQ(line_of(f->chain[0]).least, 3);
    CHECK_EQ(line_of(f->chain[0]).last_us, 15);
    fixture_close(f);
}

TEST(a_session_that_begins_earlier_has_another_key_in_the_chain) {
    fixture *f = begun();

    row_add(f, 1, 20, 1);
    CHECK_OK(rows_send(f, NULL));
    seal_release(f);
    row_add(f, 1, 15, 1);
    row_add(f, 1, 12, 1);
    CHECK_OK(rows_send(f, NULL));
    seal_release(f);
    CHECK_EQ(f->removed_count, 1);
    CHECK_EQ(f->gaps_count, 0);
    CHECK_EQ(f->chain_count, 1);
    CHECK_EQ(line_of(f->chain[0]).start_us, 12);
    fixture_close(f);
}

TEST(what_joined_within_an_epoch_leaves_no_tombstone) {
    fixture *f = begun();

    row_add(f, 1, 0, 1);
    row_add(f, 1, 15, 1);
    row_add(f, 1, 8, 1);
    CHECK_OK(rows_send(f, NULL));
    seal_release(f);
    CHECK_EQ(f->removed_count, 0);
    CHECK_EQ(f->gaps_count, 1);
    CHECK_EQ(f->chain_count, 1);
    fixture_close(f);
}

TEST(a_closed_session_never_opens_again_not_even_behind_a_restore) {
    fixture *f = begun();

    row_add(f, 1, 0, 1);
    row_add(f, 1, 5, 1);
    CHECK_OK(rows_send(f, NULL));
    seal_release(f);
    csti_sessions_watermark(f->sessions, 15);
    restore(f, 15); // closed, and not yet gone
    row_add(f, 1, 5, 1);
    row_add(f, 1, 6, 1); // it would have joined
    CHECK_OK(rows_send(f, NULL));
    CHECK_EQ(csti_sessions_late_rows(f->sessions), 1);
    close_all(f);
    seal_release(f);
    CHECK_EQ(f->closed_count, 1);
    CHECK_EQ(f->closed[0].count, 2);
    CHECK_EQ(f->chain_count, 1);
    CHECK_EQ(line_of(f->chain[0]).start_us, 6);
    fixture_close(f);
}

TEST(closing_does_a_bounded_piece) {
    fixture *f = begun();

    for (uint64_t key = 0; key < ROWS; key++) row_add(f, key, 0, 1);
    CHECK_OK(rows_send(f, NULL));
    csti_sessions_watermark(f->sessions, GAP);
    CHECK_OK(csti_sessions_close_some(f->sessions, 10, NULL));
    CHECK(csti_sessions_lines(f->sessions) > 0);
    CHECK(csti_sessions_lines(f->sessions) <= 15);
    CHECK(csti_sessions_is_closing(f->sessions));
    seal_release(f);
    CHECK_EQ(f->chain_count, ROWS - csti_sessions_lines(f->sessions));
    close_all(f);
    seal_release(f);
    CHECK_EQ(f->closed_count, ROWS);
    CHECK_EQ(f->chain_count, 0);
    fixture_close(f);
}

TEST(memory_of_sessions_that_are_over_counts_no_more) {
    fixture *f = begun();
    cst_table_stats stats;

    for (uint64_t key = 0; key < ROWS; key++) row_add(f, key, 0, 1);
    CHECK_OK(rows_send(f, NULL));
    csti_sessions_stats_read(f->sessions, &stats);
    CHECK_EQ(stats.rows_count, ROWS);
    CHECK(stats.slots_bytes > 0);
    csti_sessions_watermark(f->sessions, GAP);
    close_all(f);
    seal_release(f);
    csti_sessions_stats_read(f->sessions, &stats);
    CHECK_EQ(stats.rows_count, 0);
    CHECK_EQ(stats.slots_bytes, 0);
    CHECK_EQ(stats.log_bytes, 0);
    fixture_close(f);
}

TEST(a_sum_that_overflows_where_two_sessions_join_says_so) {
    fixture *f = begun();
    cst_err err = {0};

    row_add(f, 1, 0, UINT64_MAX - 1);
    row_add(f, 1, 15, 7);
    CHECK_OK(rows_send(f, NULL));
    row_add(f, 1, 8, 0);
    CHECK_CODE(rows_send(f, &err), CST_SUM_OVERFLOW);
    CHECK(strstr(err.text, "joins"));
    fixture_close(f);
}

TEST(a_session_that_ends_before_it_starts_is_no_state) {
    fixture *f = begun();
    const int64_t last_us = -1;
    const cst_table_options options = table_options();
    cst_table *table = NULL;
    cst_err err = {0};

    row_add(f, 1, 0, 1);
    CHECK_OK(rows_send(f, NULL));
    seal_release(f);
    memcpy(f->chain[0] + 16 + KEY_BYTES + 24, &last_us, sizeof last_us);
    CHECK_OK(cst_table_open(&options, &table, NULL));
    record_restore(table, f->chain[0]);
    CHECK_CODE(csti_sessions_fill(f->sessions, table, &err), CST_SEGMENT_RECORD);
    cst_table_close(table);
    fixture_close(f);
}

TEST_MAIN
