#include "stream/push_record.h"

#include "stream/push_line.h"
#include "test.h"

#include <stdlib.h>

enum { ROWS_MAX = 64, TEXT_BYTES = 1 << 16 };

static const csti_row_shape shape = {
    .schema = {.columns_count = 3,
               .columns = {{.type = CST_TYPE_U64},
                           {.type = CST_TYPE_STRING},
                           {.type = CST_TYPE_I32, .nullable = true}}},
    .names = {"key", "name", "mark"},
};

typedef struct fixture {
    csti_ndjson_rows json;
    csti_row_columns columns;
    csti_buffer record;
    csti_push_record read;
    cst_err err;
} fixture;

static void fixture_open(fixture *f) {
    memset(f, 0, sizeof *f);
    CHECK_OK(csti_ndjson_rows_open(&f->json, &shape, NULL));
    CHECK_OK(csti_columns_open(&f->columns, &shape.schema, ROWS_MAX, TEXT_BYTES, NULL));
    csti_buffer_init(&f->record, 1 << 20);
}

static void fixture_close(fixture *f) {
    csti_ndjson_rows_close(&f->json);
    csti_columns_close(&f->columns);
    csti_buffer_release(&f->record);
}

static cst_code line_read(fixture *f, const char *line, uint32_t row, csti_push_line *out) {
    char text[512] = "";
    csti_text at = {.at = text};

    snprintf(text, sizeof text - CSTI_TEXT_SLACK_BYTES, "%s\n", line);
    at.end = text + strlen(text);
    return csti_push_line_read(&f->json, &at, &f->columns, row, out, &f->err);
}

static void rows_put(fixture *f, uint32_t count) {
    char line[200];
    csti_push_line said;

    for (uint32_t r = 0; r < count; r++) {
        snprintf(line, sizeof line, "{\"seq\":%u,\"row\":{\"key\":%u,\"name\":\"n%u\"%s}}", r + 1,
                 r, r * r, r % 3 ? ",\"mark\":-5" : "");
        CHECK_OK(line_read(f, line, r, &said));
        CHECK_EQ(said.said, CSTI_PUSH_ROW);
    }
}

static void record_write(fixture *f, uint32_t rows, const csti_push_run *runs, uint32_t runs_count,
                         const csti_push_id *forgotten, uint32_t forgotten_count) {
    cst_batch batch;

    csti_columns_batch(&f->columns, rows, &batch);
    csti_buffer_reset(&f->record);
    CHECK_OK(csti_push_record_write(&batch, runs, runs_count, forgotten, forgotten_count,
                                    &f->record, NULL));
}

static cst_code record_read(fixture *f) {
    return csti_push_record_read(f->record.bytes, f->record.used_bytes, &shape.schema, &f->read,
                                 &f->err);
}

static const csti_push_run two_runs[] = {{{"shop-1", 6}, 11, 3}, {{NULL, 0}, 0, 4}};
static const csti_push_id one_forgotten[] = {{"old", 3}};

TEST(a_record_gives_the_rows_and_runs_that_were_written) {
    csti_push_cursor at;
    csti_push_run run;
    csti_push_id id;
    cst_batch batch;
    fixture f;

    fixture_open(&f);
    rows_put(&f, 7);
    csti_columns_batch(&f.columns, 7, &batch);
    record_write(&f, 7, two_runs, 2, one_forgotten, 1);
    CHECK_OK(record_read(&f));
    CHECK_EQ(f.read.rows_count, 7);
    for (uint32_t c = 0; c < 3; c++) {
        CHECK_EQ(f.read.columns[c].values.bytes, batch.columns[c].values.bytes);
        CHECK_BYTES(f.read.columns[c].values.data, batch.columns[c].values.data,
                    batch.columns[c].values.bytes);
        CHECK_EQ(f.read.columns[c].validity.bytes, batch.columns[c].validity.bytes);
    }
    at = csti_push_record_begin(&f.read);
    CHECK(csti_push_run_next(&f.read, &at, &run));
    CHECK_EQ(run.seq_first, 11);
    CHECK_BYTES(run.id.text, "shop-1", 6);
    CHECK(csti_push_run_next(&f.read, &at, &run));
    CHECK_EQ(run.id.bytes, 0);
    CHECK_EQ(run.rows, 4);
    CHECK(!csti_push_run_next(&f.read, &at, &run));
    CHECK(csti_push_forgotten_next(&f.read, &at, &id));
    CHECK_BYTES(id.text, "old", 3);
    CHECK(!csti_push_forgotten_next(&f.read, &at, &id));
    fixture_close(&f);
}

TEST(a_part_of_a_records_rows_raises_its_producers_so_far) {
    static const csti_push_run runs[] = {{{"a", 1}, 1, 3}, {{"b", 1}, 5, 2}, {{"a", 1}, 4, 2}};
    csti_producers producers;
    fixture f;

    fixture_open(&f);
    rows_put(&f, 7);
    record_write(&f, 7, runs, 3, (const csti_push_id[]){{"a", 1}}, 1);
    CHECK_OK(record_read(&f));
    CHECK_OK(csti_producers_open(&producers, 4, NULL));
    CHECK_OK(csti_producers_note(&producers, "a", 1, 9, NULL)); // forgotten first
    CHECK_OK(csti_push_record_note(&f.read, 0, 2, &producers, NULL));
    CHECK_EQ(csti_producers_find(&producers, "a", 1)->seq, 2);
    CHECK(!csti_producers_find(&producers, "b", 1));
    CHECK_OK(csti_push_record_note(&f.read, 2, 6, &producers, NULL));
    CHECK_EQ(csti_producers_find(&producers, "a", 1)->seq, 4);
    CHECK_EQ(csti_producers_find(&producers, "b", 1)->seq, 6);
    CHECK_OK(csti_push_record_note(&f.read, 6, 7, &producers, NULL));
    CHECK_EQ(csti_producers_find(&producers, "a", 1)->seq, 5);
    csti_producers_close(&producers);
    fixture_close(&f);
}

TEST(a_record_without_rows_only_forgets) {
    fixture f;

    fixture_open(&f);
    record_write(&f, 0, NULL, 0, one_forgotten, 1);
    CHECK_OK(record_read(&f));
    CHECK_EQ(f.read.rows_count, 0);
    CHECK_EQ(f.read.forgotten_count, 1);
    fixture_close(&f);
}

TEST(every_cut_and_every_flipped_byte_of_a_record_is_refused_or_passes_the_check) {
    fixture f;

    fixture_open(&f);
    rows_put(&f, 7);
    record_write(&f, 7, two_runs, 2, one_forgotten, 1);
    const size_t bytes = f.record.used_bytes;
    for (size_t cut = 0; cut < bytes; cut++) {
        uint8_t *copy = malloc(cut + 1); // so that a sanitizer sees what is read behind it

        CHECK(copy);
        memcpy(copy, f.record.bytes, cut);
        CHECK_CODE(csti_push_record_read(copy, cut, &shape.schema, &f.read, NULL), CST_WAL_CORRUPT);
        free(copy);
    }
    for (size_t i = 0; i < bytes; i++) {
        f.record.bytes[i] ^= 0x41;
        if (record_read(&f) == CST_OK) {
            const cst_batch batch = {.schema = &shape.schema,
                                     .rows_count = f.read.rows_count,
                                     .columns = f.read.columns};

            if (f.read.rows_count > 0) CHECK_OK(cst_batch_check(&batch, NULL));
        }
        f.record.bytes[i] ^= 0x41;
    }
    fixture_close(&f);
}

TEST(a_line_says_who_sends_or_brings_a_row) {
    csti_push_line line;
    fixture f;

    fixture_open(&f);
    CHECK_OK(line_read(&f, "{\"producer\":\"shop-1\"}", 0, &line));
    CHECK_EQ(line.said, CSTI_PUSH_PRODUCER);
    CHECK_EQ(line.id_bytes, 6);
    CHECK_OK(line_read(&f, " { \"row\" : {\"name\":\"x\",\"key\":7} , \"seq\" : 12 } ", 0, &line));
    CHECK_EQ(line.said, CSTI_PUSH_ROW);
    CHECK_EQ(line.seq, 12);
    CHECK_OK(line_read(&f, "  \t", 0, &line));
    CHECK_EQ(line.said, CSTI_PUSH_NOTHING);
    fixture_close(&f);
}

TEST(a_malformed_line_is_refused_and_says_where) {
    static const struct {
        const char *line, *why;
    } wrong[] = {
        {"[]", "byte 0: the line is no JSON object"},
        {"{}", "byte 1: seq, row or producer was expected"},
        {"{\"seq\":1", "byte 8: a comma or the object's end was expected"},
        {"{\"seq\":-1,\"row\":{}}", "byte 7: seq is a whole number"},
        {"{\"seq\":007,\"row\":{}}", "byte 7: seq is a whole number"},
        {"{\"seq\":\"1\",\"row\":{}}", "byte 7: seq is a whole number"},
        {"{\"seq\":1e3,\"row\":{}}", "byte 7: seq is a whole number"},
        {"{\"row\":{\"key\":1,\"name\":\"\"},\"row\":{}}", "byte 27: row stands there twice"},
        {"{\"producer\":\"a\",\"producer\":\"a\"}", "producer stands there twice"},
        {"{\"producer\":\"a\",\"seq\":1}", "a producer stands in a line of its own"},
        {"{\"producer\":\"a\nb\"}", "producer is 1 to 64"},
        {"{\"seq\":1,\"row\":{\"key\":1,\"name\":\"\xff\"}}", "column name"},
        {"{\"\\u0073eq\":1}", "byte 1: seq, row or producer was expected"},
    };
    csti_push_line line;
    fixture f;

    fixture_open(&f);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        CHECK_CODE(line_read(&f, wrong[i].line, 0, &line), CST_SOURCE_RECORD);
        if (!strstr(f.err.text, wrong[i].why))
            TEST_FAIL("'%s' gave '%s', wanted '%s'", wrong[i].line, f.err.text, wrong[i].why);
    }
    fixture_close(&f);
}

TEST_MAIN
