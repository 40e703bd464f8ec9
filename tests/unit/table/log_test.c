// The change log: where records, gaps and seals lie, and what a release gives back.
#include "unit/table/fixture.h"

#include <sys/mman.h>

static const csti_record *record_at(const cst_table *table, uint64_t offset) {
    return csti_log_record(table, offset);
}

TEST(seals_pad_to_64) {
    const cst_table_options options = fixture_options();
    cst_table *table = fixture_open(&options);
    cst_delta delta = cst_table_seal(table);

    CHECK_EQ(delta.epoch, 1); // nothing changed: nothing lies between
    CHECK_EQ(delta.from, 1024);
    CHECK_EQ(delta.to, 1024);
    fixture_put(table, 0, 3);
    delta = cst_table_seal(table);
    CHECK_EQ(delta.epoch, 2);
    CHECK_EQ(delta.from, 1024);
    CHECK_EQ(delta.to, 1024 + 128); // three records and a gap
    CHECK_EQ(record_at(table, 1024 + 96)->value_flags, CSTI_RECORD_GAP);
    CHECK_EQ(record_at(table, 1024 + 96)->units, 1);
    fixture_put(table, 0, 2);
    delta = cst_table_seal(table);
    CHECK_EQ(delta.from, 1152);
    CHECK_EQ(delta.to, 1216);
    CHECK_EQ(table->control->epoch, 4);
    fixture_check(table);
    cst_table_close(table);
}

// All but the control block and the page of the tail is out of reach while it seals.
static void reach(const cst_table *table, int protection) {
    const size_t page = 4096;
    const uint64_t tail =
        (uint64_t)((const uint8_t *)record_at(table, table->control->log_tail - 32) -
                   table->pages[CSTI_REGION_LOG].base);

    for (int region = CSTI_REGION_DIRECTORY; region <= CSTI_REGION_SLOTS; region++)
        CHECK_EQ(mprotect(table->pages[region].base, table->pages[region].reserved_bytes,
                          protection),
                 0);
    CHECK_EQ(mprotect(table->pages[CSTI_REGION_LOG].base, tail / page * page, protection), 0);
}

TEST(a_seal_touches_no_row_however_many_there_are) {
    cst_table_options options = fixture_options();
    cst_table *table;
    cst_delta delta;

    options.budget_bytes = UINT64_C(64) << 20;
    table = fixture_open(&options);
    for (uint64_t first = 0; first < 50 * FIXTURE_ROWS_MAX; first += FIXTURE_ROWS_MAX)
        fixture_put(table, first, FIXTURE_ROWS_MAX);
    fixture_put(table, 1 << 30, 1); // a gap is to be written
    CHECK(table->control->log_tail > 50 * FIXTURE_ROWS_MAX * 32);
    reach(table, PROT_NONE);
    delta = cst_table_seal(table);
    reach(table, PROT_READ | PROT_WRITE);
    CHECK_EQ(delta.epoch, 1);
    CHECK_EQ(delta.to, table->control->log_tail);
    CHECK_EQ(table->control->rows_count, 50 * FIXTURE_ROWS_MAX + 1);
    fixture_check(table);
    cst_table_close(table);
}

TEST(a_row_has_one_record_an_epoch) {
    const cst_table_options options = fixture_options();
    cst_table *table = fixture_open(&options);

    fixture_put(table, 0, 1);
    fixture_put(table, 0, 1);
    CHECK_EQ(table->control->log_tail, 1056);
    (void)cst_table_seal(table);
    fixture_put(table, 0, 1);
    CHECK_EQ(table->control->log_tail, 1024 + 64 + 32);
    cst_table_close(table);
}

TEST(a_key_deleted_and_put_again_has_two_records) {
    const cst_table_options options = fixture_options();
    cst_table *table = fixture_open(&options);
    const uint64_t key = 5;

    fixture_put(table, key, 1);
    CHECK_OK(cst_table_delete(table, &key, 8));
    CHECK_EQ(record_at(table, 1024)->value_flags, CSTI_RECORD_TOMBSTONE);
    fixture_put(table, key, 1);
    CHECK_EQ(table->control->log_tail, 1024 + 64);
    CHECK_EQ(record_at(table, 1056)->value_flags, CSTI_RECORD_PRESENT | 8);
    CHECK_OK(cst_table_delete(table, &key, 8));
    CHECK_OK(cst_table_delete(table, &key, 8)); // not there: nothing
    CHECK_EQ(table->control->log_tail, 1024 + 64);
    CHECK_EQ(table->control->rows_count, 0);
    cst_table_close(table);
}

TEST(a_record_crosses_no_line) {
    cst_table_options options = fixture_options();
    cst_table *table;

    options.program.value_bytes = 60; // entries of 96: ten to a line of 1,024, 64 over
    table = fixture_open(&options);
    fixture_put(table, 0, 11);
    CHECK_EQ(record_at(table, 1024 + 960)->value_flags, CSTI_RECORD_GAP);
    CHECK_EQ(record_at(table, 1024 + 960)->units, 2);
    CHECK_EQ(record_at(table, 2048)->value_flags, CSTI_RECORD_PRESENT | 60);
    CHECK_EQ(table->control->log_tail, 2048 + 96);
    cst_table_close(table);
}

TEST(a_long_record_goes_to_the_next_segment_with_one_gap_before_it) {
    const cst_table_options options = fixture_wide_options();
    cst_table *table = fixture_open(&options);
    static uint8_t value[40000];
    const uint8_t keys[2] = {1, 2};

    CHECK_OK(cst_table_put(table, &keys[0], 1, value, 40000)); // 16 + 8 + 40,000: 40,032
    CHECK_EQ(table->control->log_tail, 1024 + 40032);
    CHECK_OK(cst_table_put(table, &keys[1], 1, value, 40000));
    CHECK_EQ(record_at(table, 1024 + 40032)->value_flags, CSTI_RECORD_GAP);
    CHECK_EQ(record_at(table, 1024 + 40032)->units, (65536 - 1024 - 40032) / 32);
    CHECK_EQ(table->control->log_tail, 65536 + 40032);
    CHECK_EQ(table->control->log_segments_frontier, 2);
    fixture_check(table);
    cst_table_close(table);
}

TEST(a_wide_row_that_outgrows_its_record_gets_another) {
    const cst_table_options options = fixture_wide_options();
    cst_table *table = fixture_open(&options);
    const uint8_t key = 9, value[64] = {7};

    CHECK_OK(cst_table_put(table, &key, 1, value, 40)); // 64
    CHECK_OK(cst_table_put(table, &key, 1, value, 3));  // fits: 2 units stay
    CHECK_EQ(record_at(table, 1024)->units, 2);
    CHECK_EQ(table->control->log_tail, 1024 + 64);
    CHECK_OK(cst_table_put(table, &key, 1, value, 41)); // 65 bytes: 3 units
    CHECK_EQ(table->control->log_tail, 1024 + 64 + 96);
    CHECK_EQ(record_at(table, 1024)->value_flags, CSTI_RECORD_PRESENT | 3);
    CHECK_EQ(record_at(table, 1088)->value_flags, CSTI_RECORD_PRESENT | 41);
    fixture_check(table);
    cst_table_close(table);
}

// 2,016 records of 32 bytes fill the first segment, which begins at 1,024.
TEST(segments_come_back_oldest_first) {
    const cst_table_options options = fixture_options();
    cst_table *table = fixture_open(&options);
    cst_delta deltas[4];

    for (int i = 0; i < 4; i++) {
        fixture_put(table, 0, 2048);
        deltas[i] = cst_table_seal(table);
    }
    CHECK_EQ(deltas[3].to, 1024 + 4 * 65536);
    CHECK_EQ(table->control->log_segments_frontier, 5);
    CHECK_OK(cst_table_release(table, &deltas[2]));
    CHECK_EQ(table->control->log_floor, 1024 + 3 * 65536);
    CHECK_EQ(table->control->log_free_count, 3);
    for (uint32_t i = 0; i < 3; i++) CHECK_EQ(table->log_free[i], i);
    fixture_put(table, 0, 2048);
    CHECK_EQ(table->control->log_free_count, 2);
    CHECK_EQ(table->log_map[5], 0); // the oldest place again
    CHECK_EQ(table->control->log_segments_frontier, 5);
    fixture_check(table);
    cst_table_close(table);
}

TEST(a_delta_that_was_not_sealed_cannot_be_released) {
    const cst_table_options options = fixture_options();
    cst_table *table = fixture_open(&options);
    cst_delta delta, open;

    fixture_put(table, 0, 10);
    delta = cst_table_seal(table);
    open = (cst_delta){.epoch = 2, .from = delta.to, .to = delta.to};
    CHECK_CODE(cst_table_release(table, &open), CST_EPOCH);
    open = (cst_delta){.epoch = 1, .from = delta.from, .to = delta.to + 64};
    CHECK_CODE(cst_table_release(table, &open), CST_EPOCH);
    CHECK_EQ(table->control->log_floor, 1024);
    CHECK_OK(cst_table_release(table, &delta));
    CHECK_OK(cst_table_release(table, &delta)); // twice changes nothing
    CHECK_EQ(table->control->log_floor, delta.to);
    cst_table_close(table);
}

TEST(a_deltas_ranges_are_its_bytes) {
    const cst_table_options options = fixture_options();
    cst_table *table = fixture_open(&options);
    cst_bytes ranges[3];
    size_t count;
    cst_delta delta;

    fixture_put(table, 0, 3000);
    delta = cst_table_seal(table);
    cst_table_delta_ranges(table, &delta, ranges, 1, &count); // too little room: says how much
    CHECK_EQ(count, 2);
    cst_table_delta_ranges(table, &delta, ranges, 3, &count);
    CHECK_EQ(count, 2);
    CHECK_EQ(ranges[0].count, 65536 - 1024);
    CHECK_EQ(ranges[1].count, 3000 * 32 - (65536 - 1024));
    CHECK(ranges[0].data == table->log + 1024);
    CHECK(ranges[1].data == table->log + 65536);
    delta = cst_table_seal(table);
    cst_table_delta_ranges(table, &delta, ranges, 3, &count);
    CHECK_EQ(count, 0);
    cst_table_close(table);
}

TEST(deltas_restore_the_table) {
    const cst_table_options options = fixture_options();
    cst_table *table = fixture_open(&options), *restored = fixture_open(&options);
    cst_bytes ranges[8];
    size_t count, used;
    cst_delta delta;
    uint64_t key = 7, value;

    fixture_put(table, 0, 20); // small enough for one segment: nothing has to grow
    CHECK_OK(cst_table_delete(table, &key, 8));
    delta = cst_table_seal(table);
    cst_table_delta_ranges(table, &delta, ranges, 8, &count);
    for (size_t i = 0; i < count; i++) {
        CHECK_OK(cst_table_restore_records(restored, ranges[i].data, ranges[i].count, &used));
        CHECK_EQ(used, ranges[i].count);
    }
    CHECK_EQ(restored->control->rows_count, 19);
    CHECK_EQ(restored->control->log_tail, 1024); // restoring logs nothing
    CHECK_CODE(cst_table_get(restored, &key, 8, &value, 8, &used), CST_NOT_FOUND);
    key = 19;
    CHECK_OK(cst_table_get(restored, &key, 8, &value, 8, &used));
    CHECK_EQ(value, 57);
    fixture_check(restored);
    cst_table_close(table);
    cst_table_close(restored);
}

TEST_MAIN
