#define _GNU_SOURCE 1 // nftw
#include "stream/push_batches.h"

#include "unit/stream/wal_files.h"

enum { WIDE_ROWS = 3000, ROWS_MAX = 8192, LINE_BYTES = 1024, FORGOTTEN = 500 };

typedef struct fixture {
    wal_folder folder;
    csti_wal *wal;
    csti_push_batches *batches;
    csti_row_shape shape;
} fixture;

static void placed(void *context, csti_producer *giver, uint64_t position, uint64_t seq) {
    (void)context;
    (void)giver;
    (void)position;
    (void)seq;
}

// Of the widest columns there are, all of which may be null.
static void fixture_open(fixture *f) {
    csti_push_batches_options options = {.shape = &f->shape,
                                         .splits_count = 1,
                                         .rows_max = ROWS_MAX,
                                         .line_bytes_max = LINE_BYTES,
                                         .placed = placed};
    csti_wal_report report;

    *f = (fixture){.folder = wal_folder_make()};
    f->shape.schema.columns_count = CST_COLUMNS_MAX;
    for (uint32_t c = 0; c < CST_COLUMNS_MAX; c++)
        f->shape.schema.columns[c] =
            (cst_column){.type = CST_TYPE_FIXED, .width = CST_FIXED_BYTES_MAX, .nullable = true};
    CHECK_OK(csti_wal_open(&(csti_wal_options){.folder = f->folder.path,
                                               .job = "j",
                                               .schema = 1,
                                               .tenure = 1,
                                               .incarnation = 1},
                           &f->wal, &report, NULL));
    options.wal = f->wal;
    CHECK_OK(csti_push_batches_open(&options, &f->batches, NULL));
}

static void fixture_close(fixture *f) {
    csti_push_batches_close(f->batches);
    csti_wal_close(f->wal);
    wal_folder_remove(&f->folder);
}

// As the loop does: where memory is full it waits for the log.
static void again(const fixture *f, cst_code code) {
    CHECK_CODE(code, CST_AGAIN);
    CHECK_OK(csti_wal_flush(f->wal, NULL));
}

static void row_put(const fixture *f, uint64_t seq) {
    csti_row_columns *columns = NULL;
    uint32_t row = 0;
    cst_code code;

    while ((code = csti_push_row_begin(f->batches, 0, 1, &columns, &row, NULL)) != CST_OK)
        again(f, code);
    for (uint32_t c = 0; c < CST_COLUMNS_MAX; c++)
        CHECK_OK(csti_columns_put_null(&columns->columns[c], row, NULL));
    CHECK_OK(csti_push_row_end(f->batches, 0, 1, (csti_push_id){"a", 1}, seq, NULL, NULL));
}

static void flush(const fixture *f) {
    cst_code code;

    while ((code = csti_push_batches_flush(f->batches, NULL)) != CST_OK) again(f, code);
    CHECK_OK(csti_wal_flush(f->wal, NULL));
}

TEST(rows_of_few_bytes_that_take_many_go_to_the_log_in_records_that_fit_it) {
    fixture f;

    fixture_open(&f);
    for (uint64_t seq = 1; seq <= WIDE_ROWS; seq++) row_put(&f, seq);
    flush(&f);
    CHECK_EQ(csti_push_rows_logged(f.batches, 0), WIDE_ROWS);
    CHECK(csti_wal_durable(f.wal) > 1);
    fixture_close(&f);
}

TEST(many_who_are_forgotten_go_to_the_log_in_several_records) {
    fixture f;
    cst_code code;

    fixture_open(&f);
    for (uint32_t i = 0; i < FORGOTTEN; i++)
        while ((code = csti_push_forget(f.batches, 0, (csti_push_id){"old", 3}, NULL)) != CST_OK)
            again(&f, code);
    flush(&f);
    CHECK(csti_wal_durable(f.wal) > 1);
    fixture_close(&f);
}

TEST_MAIN
