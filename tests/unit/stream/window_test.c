// Which windows rows are in, and the column that says so.
#include "stream/window.h"

#include "test.h"

#include <constellation/keys.h>

enum { ROWS_MAX = 8, SECOND = 1000000 };

typedef struct fixture {
    csti_row_shape shape;
    csti_window_step *step;
    int64_t times[ROWS_MAX];
    uint64_t prices[ROWS_MAX];
    cst_column_data columns[2];
    cst_batch batch;
} fixture;

static void fixture_open(fixture *f, int64_t size_us, int64_t hop_us) {
    memset(f, 0, sizeof *f);
    CHECK_OK(cst_schema_parse("u64, timestamp", &f->shape.schema, NULL));
    (void)snprintf(f->shape.names[0], sizeof f->shape.names[0], "price");
    (void)snprintf(f->shape.names[1], sizeof f->shape.names[1], "at");
    CHECK_OK(csti_window_step_open((csti_window){.size_us = size_us, .hop_us = hop_us}, &f->shape,
                                   1, ROWS_MAX, &f->step, NULL));
}

static void rows_set(fixture *f, const int64_t *times, uint32_t count) {
    for (uint32_t r = 0; r < count; r++) {
        f->times[r] = times[r];
        f->prices[r] = 100 + r;
    }
    f->columns[0].values = (cst_buffer){f->prices, count * sizeof *f->prices};
    f->columns[1].values = (cst_buffer){f->times, count * sizeof *f->times};
    f->batch = (cst_batch){.schema = &f->shape.schema, .rows_count = count, .columns = f->columns};
}

static int64_t value_at(const cst_batch *batch, uint32_t column, uint32_t row) {
    int64_t value;

    memcpy(&value, (const uint8_t *)batch->columns[column].values.data + row * sizeof value,
           sizeof value);
    return value;
}

TEST(a_tumbling_window_holds_its_start_and_not_its_end) {
    static const int64_t times[] = {0, 9, 10, 19, 20, -1, -10, -11};
    static const int64_t wanted[] = {0, 0, 10, 10, 20, -10, -10, -20};
    fixture f;
    cst_batch out;

    fixture_open(&f, 10, 10);
    rows_set(&f, times, 8);
    CHECK_OK(csti_window_step_run(f.step, &f.batch, &out, NULL));
    CHECK_OK(cst_batch_check(&out, NULL));
    CHECK_EQ(out.rows_count, 8);
    CHECK_EQ(out.schema->columns_count, 3);
    CHECK_TEXT(csti_window_step_shape(f.step)->names[2], "window_start");
    for (uint32_t r = 0; r < 8; r++) CHECK_EQ(value_at(&out, 2, r), wanted[r]);
    CHECK(out.columns[0].values.data == f.batch.columns[0].values.data); // nothing is copied
    csti_window_step_close(f.step);
}

TEST(a_row_goes_on_once_for_each_of_its_windows_earliest_first) {
    static const int64_t times[] = {34, -1};
    static const int64_t starts[] = {10, 20, 30, -30, -20, -10};
    fixture f;
    cst_batch out;

    fixture_open(&f, 30, 10);
    rows_set(&f, times, 2);
    CHECK_OK(csti_window_step_run(f.step, &f.batch, &out, NULL));
    CHECK_OK(cst_batch_check(&out, NULL));
    CHECK_EQ(out.rows_count, 6);
    for (uint32_t r = 0; r < 6; r++) {
        CHECK_EQ(value_at(&out, 0, r), 100 + r / 3);
        CHECK_EQ(value_at(&out, 1, r), times[r / 3]);
        CHECK_EQ(value_at(&out, 2, r), starts[r]);
    }
    csti_window_step_close(f.step);
}

TEST(a_time_beyond_all_windows_names_its_row) {
    const int64_t times[] = {0, CSTI_WINDOW_TIME_MAX_US, CSTI_WINDOW_TIME_MAX_US + 1};
    const int64_t early[] = {-CSTI_WINDOW_TIME_MAX_US - 1};
    fixture f;
    cst_batch out;
    uint32_t row = 99;

    fixture_open(&f, 10 * SECOND, SECOND);
    rows_set(&f, times, 3);
    CHECK_CODE(csti_window_step_run(f.step, &f.batch, &out, NULL), CST_SOURCE_RECORD);
    CHECK(csti_window_step_bad_row(f.step, &row));
    CHECK_EQ(row, 2);
    rows_set(&f, early, 1);
    CHECK_CODE(csti_window_step_run(f.step, &f.batch, &out, NULL), CST_SOURCE_RECORD);
    CHECK(csti_window_step_bad_row(f.step, &row));
    CHECK_EQ(row, 0);
    rows_set(&f, times, 2);
    CHECK_OK(csti_window_step_run(f.step, &f.batch, &out, NULL));
    CHECK(!csti_window_step_bad_row(f.step, &row));
    csti_window_step_close(f.step);
}

static void sessions_open(fixture *f) {
    fixture_open(f, 10, 10);
    csti_window_step_close(f->step);
    CHECK_OK(csti_window_step_open((csti_window){.size_us = 10, .hop_us = 10, .sessions = true},
                                   &f->shape, 1, ROWS_MAX, &f->step, NULL));
}

TEST(a_row_that_may_be_of_a_session_starts_at_its_own_time) {
    static const int64_t times[] = {34, -1, 34};
    fixture f;
    cst_batch out;

    sessions_open(&f);
    rows_set(&f, times, 3);
    CHECK_OK(csti_window_step_run(f.step, &f.batch, &out, NULL));
    CHECK_OK(cst_batch_check(&out, NULL));
    for (uint32_t r = 0; r < 3; r++) CHECK_EQ(value_at(&out, 2, r), times[r]);
    csti_window_step_close(f.step);
}

TEST(a_row_that_deletes_is_of_no_session_and_is_named) {
    static const int64_t times[] = {1, 2, 3};
    static const uint8_t ops[] = {CST_ROW_UPSERT, CST_ROW_DELETE, CST_ROW_UPSERT};
    fixture f;
    cst_batch out;
    uint32_t row = 99;

    sessions_open(&f);
    rows_set(&f, times, 3);
    f.batch.ops = (cst_buffer){ops, sizeof ops};
    CHECK_CODE(csti_window_step_run(f.step, &f.batch, &out, NULL), CST_SOURCE_RECORD);
    CHECK(csti_window_step_bad_row(f.step, &row));
    CHECK_EQ(row, 1);
    csti_window_step_close(f.step);
}

TEST(sixteen_columns_leave_no_place) {
    csti_row_shape shape = {.schema = {.columns_count = CST_COLUMNS_MAX}};
    csti_window_step *step = NULL;

    for (uint32_t c = 0; c < CST_COLUMNS_MAX; c++)
        shape.schema.columns[c].type = CST_TYPE_TIMESTAMP;
    CHECK_CODE(csti_window_step_open((csti_window){.size_us = 10, .hop_us = 10}, &shape, 0, 8,
                                     &step, NULL),
               CST_LIMIT);
}

TEST(an_encoded_key_ends_with_its_window) {
    static const int64_t starts[] = {0, 1, -1, SECOND, -SECOND, INT64_MAX, INT64_MIN};
    cst_schema fixed, varying;

    CHECK_OK(cst_schema_parse("u64, timestamp", &fixed, NULL));
    CHECK_OK(cst_schema_parse("string, timestamp", &varying, NULL));
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
        cst_value values[2] = {{.u128 = 7}, {.i128 = starts[i]}};
        uint8_t key[64], again[CSTI_WINDOW_KEY_BYTES];
        uint32_t bytes = 0;

        CHECK_OK(cst_key_encode(&fixed, values, key, sizeof key, &bytes, NULL));
        CHECK_EQ(csti_window_of_key(key, bytes), starts[i]);
        csti_window_to_key(starts[i], again);
        CHECK_BYTES(key + bytes - CSTI_WINDOW_KEY_BYTES, again, CSTI_WINDOW_KEY_BYTES);
        values[0] = (cst_value){.bytes = (const uint8_t *)"ab", .bytes_count = 2};
        CHECK_OK(cst_key_encode(&varying, values, key, sizeof key, &bytes, NULL));
        CHECK_EQ(csti_window_of_key(key, bytes), starts[i]);
    }
}

TEST_MAIN
