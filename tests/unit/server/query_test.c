#define _GNU_SOURCE 1 // nftw

#include "server/query.h"

#include "unit/server/stored.h"

enum { KEYS = 3000 };

#define JOB                                                                                        \
    "[job]\nname = \"q\"\npartitions = 2\n[source]\nkind = \"file\"\npath = \"in\"\n"              \
    "format = \"csv\"\ncolumns = [\"id u64\", \"name string\", \"day nullable date\", "            \
    "\"price u64\"]\n"
#define COUNT_AND_TOP                                                                              \
    "[[aggregate]]\nas = \"n\"\nop = \"count\"\n"                                                  \
    "[[aggregate]]\nas = \"top\"\nop = \"max\"\ncolumn = \"price\"\n"
#define BY_ID JOB "[key]\ncolumns = [\"id\"]\n" COUNT_AND_TOP
#define BY_NAME JOB "[key]\ncolumns = [\"name desc\", \"id\"]\n" COUNT_AND_TOP

typedef struct answer {
    bytes_sink lines;
    csti_query_report report;
    cst_err err;
} answer;

static cst_code ask(stored *s, const char *key, const char *prefix, uint64_t id, answer *out) {
    const csti_query_options options = {
        .config = &s->config,
        .store = s->store,
        .meta = s->meta,
        .clock = &s->clock.clock,
        .random = &s->random.random,
        .checkpoint_id = id,
        .key = key,
        .prefix = prefix,
        .write = sink_write,
        .context = &out->lines,
    };
    cst_code code;

    sink_free(&out->lines);
    out->report = (csti_query_report){0};
    out->err = (cst_err){.code = CST_OK};
    code = csti_query(&options, &out->report, &out->err);
    sink_add(&out->lines, "", 1);
    return code;
}

static void check_answer(stored *s, const char *key, const char *prefix, uint64_t id,
                         const char *wanted) {
    answer got = {0};

    if (ask(s, key, prefix, id, &got) != CST_OK) TEST_FAIL("%s", got.err.text);
    CHECK_TEXT((const char *)got.lines.bytes, wanted);
    sink_free(&got.lines);
}

static void check_fails(stored *s, const char *key, const char *prefix, uint64_t id, cst_code code,
                        const char *why) {
    answer got = {0};

    CHECK_CODE(ask(s, key, prefix, id, &got), code);
    if (!strstr(got.err.text, why)) TEST_FAIL("'%s' does not say '%s'", got.err.text, why);
    sink_free(&got.lines);
}

static void put_id(stored *s, uint64_t id, uint64_t price) {
    uint8_t key[8];

    cst_key_encode_u64(id, key);
    stored_row(s, key, 8, CST_ROW_UPSERT, price);
}

static void delete_id(stored *s, uint64_t id) {
    uint8_t key[8];

    cst_key_encode_u64(id, key);
    stored_row(s, key, 8, CST_ROW_DELETE, 0);
}

static void put_name(stored *s, const char *name, uint64_t id, uint64_t price) {
    cst_value values[2] = {{.is_null = false}, {.u128 = id}};
    uint8_t key[64];
    uint32_t key_bytes = 0;

    values[0].bytes = (const uint8_t *)name;
    values[0].bytes_count = (uint32_t)strlen(name);
    CHECK_OK(cst_key_encode(&s->shape.key, values, key, sizeof key, &key_bytes, NULL));
    stored_row(s, key, key_bytes, CST_ROW_UPSERT, price);
}

TEST(the_newest_value_of_a_key_is_answered_from_chain_and_fold) {
    stored *s = stored_open(BY_ID);

    put_id(s, 7, 100);
    put_id(s, 8, 5);
    stored_commit(s);
    check_answer(s, "7", NULL, 0, "{\"id\":7,\"n\":1,\"top\":100,\"_op\":\"upsert\"}\n");
    put_id(s, 7, 300);
    stored_commit(s);
    check_answer(s, "7", NULL, 0, "{\"id\":7,\"n\":2,\"top\":300,\"_op\":\"upsert\"}\n");
    check_answer(s, "8", NULL, 0, "{\"id\":8,\"n\":1,\"top\":5,\"_op\":\"upsert\"}\n");
    stored_fold(s, 0);
    stored_fold(s, 1);
    put_id(s, 7, 200);
    stored_commit(s);
    check_answer(s, "7", NULL, 0, "{\"id\":7,\"n\":3,\"top\":300,\"_op\":\"upsert\"}\n");
    check_answer(s, "8", NULL, 0, "{\"id\":8,\"n\":1,\"top\":5,\"_op\":\"upsert\"}\n");
    stored_close(s);
}

TEST(a_key_that_is_not_there_or_was_deleted_gives_no_row) {
    stored *s = stored_open(BY_ID);

    put_id(s, 7, 100);
    stored_commit(s);
    check_answer(s, "9", NULL, 0, "");
    delete_id(s, 7);
    stored_commit(s);
    check_answer(s, "7", NULL, 0, "");
    check_answer(s, NULL, NULL, 0, "");
    check_answer(s, "7", NULL, 1, "{\"id\":7,\"n\":1,\"top\":100,\"_op\":\"upsert\"}\n");
    stored_close(s);
}

TEST(an_earlier_checkpoint_answers_as_it_was) {
    stored *s = stored_open(BY_ID);

    for (uint64_t price = 1; price <= 4; price++) {
        put_id(s, 7, price);
        stored_commit(s);
    }
    check_answer(s, "7", NULL, 1, "{\"id\":7,\"n\":1,\"top\":1,\"_op\":\"upsert\"}\n");
    check_answer(s, "7", NULL, 3, "{\"id\":7,\"n\":3,\"top\":3,\"_op\":\"upsert\"}\n");
    check_fails(s, "7", NULL, 5, CST_NOT_FOUND, "checkpoint 5");
    stored_close(s);
}

TEST(all_rows_come_in_the_order_of_their_keys) {
    stored *s = stored_open(BY_ID);
    bytes_sink wanted = {0};
    answer got = {0};
    char line[128];

    for (uint64_t i = 0; i < KEYS; i++) put_id(s, (i * 7919) % KEYS, i);
    stored_commit(s);
    for (uint64_t i = 0; i < KEYS; i += 3) put_id(s, i, KEYS);
    for (uint64_t i = 1; i < KEYS; i += 3) delete_id(s, i);
    stored_commit(s);
    CHECK_OK(ask(s, NULL, NULL, 0, &got));
    CHECK_EQ(got.report.rows, KEYS - KEYS / 3);
    for (uint64_t id = 0; id < KEYS; id++) {
        uint64_t price = 0;

        while (price * 7919 % KEYS != id) price++;
        if (id % 3 == 1) continue;
        if (id % 3 == 0) price = KEYS;
        sink_add(&wanted, line,
                 (size_t)sprintf(line,
                                 "{\"id\":%" PRIu64 ",\"n\":%d,\"top\":%" PRIu64
                                 ",\"_op\":\"upsert\"}\n",
                                 id, id % 3 == 0 ? 2 : 1, price));
    }
    sink_add(&wanted, "", 1);
    CHECK_TEXT((const char *)got.lines.bytes, (const char *)wanted.bytes);
    sink_free(&wanted);
    sink_free(&got.lines);
    stored_close(s);
}

TEST(one_key_of_a_fold_reads_one_key_group) {
    stored *s = stored_open(BY_ID);
    answer all = {0};
    answer one = {0};

    for (uint64_t i = 0; i < KEYS; i++) put_id(s, i, i);
    stored_commit(s);
    stored_commit(s); // changes nothing: what is folded is the one before
    stored_fold(s, 0);
    stored_fold(s, 1);
    stored_commit(s);
    CHECK_OK(ask(s, NULL, NULL, 0, &all));
    CHECK_OK(ask(s, "17", NULL, 0, &one));
    CHECK_EQ(one.report.rows, 1);
    CHECK(one.report.bytes_read > 0);
    CHECK(one.report.bytes_read * 100 < all.report.bytes_read);
    sink_free(&all.lines);
    sink_free(&one.lines);
    stored_close(s);
}

TEST(a_prefix_is_the_first_columns_and_the_beginning_of_a_text) {
    stored *s = stored_open(BY_NAME);

    put_name(s, "ann", 2, 1);
    put_name(s, "anna", 1, 1);
    put_name(s, "ann", 1, 1);
    put_name(s, "bob", 1, 1);
    put_name(s, "", 5, 1);
    stored_commit(s);
    // Descending: longer before shorter, b before a.
    check_answer(s, NULL, "ann", 0,
                 "{\"name\":\"anna\",\"id\":1,\"n\":1,\"top\":1,\"_op\":\"upsert\"}\n"
                 "{\"name\":\"ann\",\"id\":1,\"n\":1,\"top\":1,\"_op\":\"upsert\"}\n"
                 "{\"name\":\"ann\",\"id\":2,\"n\":1,\"top\":1,\"_op\":\"upsert\"}\n");
    check_answer(s, NULL, "ann,1", 0,
                 "{\"name\":\"ann\",\"id\":1,\"n\":1,\"top\":1,\"_op\":\"upsert\"}\n");
    check_answer(s, "anna,1", NULL, 0,
                 "{\"name\":\"anna\",\"id\":1,\"n\":1,\"top\":1,\"_op\":\"upsert\"}\n");
    check_answer(s, "\"\",5", NULL, 0,
                 "{\"name\":\"\",\"id\":5,\"n\":1,\"top\":1,\"_op\":\"upsert\"}\n");
    check_answer(s, NULL, "c", 0, "");
    stored_close(s);
}

TEST(text_that_is_no_key_is_refused) {
    stored *s = stored_open(BY_NAME);

    put_name(s, "ann", 2, 1);
    stored_commit(s);
    check_fails(s, "ann", NULL, 0, CST_SCHEMA_MISMATCH, "1 fields for a key of 2 columns");
    check_fails(s, "ann,x", NULL, 0, CST_PARSE, "column 2");
    check_fails(s, NULL, "ann,1,2", 0, CST_SCHEMA_MISMATCH, "3 fields");
    check_fails(s, "ann,1\nbob,1", NULL, 0, CST_PARSE, "more than one line");
    check_fails(s, "\"ann", NULL, 0, CST_PARSE, "");
    stored_close(s);
}

TEST(a_count_of_nulls_is_0_and_every_other_aggregate_of_them_null) {
    stored *s = stored_open(JOB "[key]\ncolumns = [\"id\"]\n"
                                "[[aggregate]]\nas = \"days\"\nop = \"count\"\ncolumn = \"day\"\n"
                                "[[aggregate]]\nas = \"day\"\nop = \"max\"\ncolumn = \"day\"\n");
    const uint8_t nothing = 0;
    const int32_t day = 20454;
    cst_source source = {.values = &day, .validity = &nothing, .type = CST_TYPE_DATE};
    uint8_t key[8];

    cst_key_encode_u64(7, key);
    stored_apply(s, key, 8, CST_ROW_UPSERT, &source);
    stored_commit(s);
    check_answer(s, "7", NULL, 0, "{\"id\":7,\"days\":0,\"day\":null,\"_op\":\"upsert\"}\n");
    source.validity = NULL;
    stored_apply(s, key, 8, CST_ROW_UPSERT, &source);
    stored_commit(s);
    check_answer(s, "7", NULL, 0,
                 "{\"id\":7,\"days\":1,\"day\":\"2026-01-01\",\"_op\":\"upsert\"}\n");
    stored_close(s);
}

TEST(a_store_without_a_checkpoint_says_so) {
    stored *s = stored_open(BY_ID);

    check_fails(s, "7", NULL, 0, CST_NOT_FOUND, "no checkpoint is committed");
    check_fails(s, NULL, NULL, 3, CST_NOT_FOUND, "checkpoint 3");
    stored_close(s);
}

TEST(a_job_that_keeps_something_else_is_not_asked) {
    stored *s = stored_open(BY_ID);

    put_id(s, 7, 100);
    stored_commit(s);
    // The same bytes would fit: only what they mean is another.
    stored_job(s, JOB "[key]\ncolumns = [\"price\"]\n" COUNT_AND_TOP);
    check_fails(s, "7", NULL, 0, CST_JOB_MISMATCH,
                "keeps \"by id u64: n = count, top = max(price u64)\", not \"by price u64: ");
    stored_job(s, BY_NAME);
    check_fails(s, "a,7", NULL, 0, CST_JOB_MISMATCH, "");
    stored_close(s);
}

TEST(damage_is_named_and_nothing_is_answered) {
    stored *s = stored_open(BY_ID);
    char path[600];
    FILE *file;
    answer got = {0};

    for (uint64_t i = 0; i < KEYS; i++) put_id(s, i, i);
    stored_commit(s);
    (void)snprintf(path, sizeof path, "%s/store/%s", s->folder.path, s->parts[0].names[0]);
    file = fopen(path, "r+b");
    CHECK(file);
    CHECK_EQ(fseek(file, 4096, SEEK_SET), 0);
    CHECK(fputs("damage", file) >= 0);
    CHECK_EQ(fclose(file), 0);
    CHECK_CODE(ask(s, NULL, NULL, 0, &got), CST_SEGMENT_CHECKSUM);
    CHECK_EQ(got.lines.count, 1);
    CHECK(strstr(got.err.text, s->parts[0].names[0]));
    CHECK(strstr(got.err.text, "partition 0"));
    sink_free(&got.lines);
    stored_close(s);
}

TEST(a_reader_leaves_no_pin_behind) {
    stored *s = stored_open(BY_ID);
    csti_meta_view view;
    cst_err err;

    put_id(s, 7, 100);
    stored_commit(s);
    check_answer(s, "7", NULL, 0, "{\"id\":7,\"n\":1,\"top\":100,\"_op\":\"upsert\"}\n");
    CHECK_OK(csti_meta_read(s->meta, &s->arena, &view, &err));
    CHECK_EQ(view.pins_count, 0);
    stored_close(s);
}

TEST(what_the_writer_of_lines_fails_with_comes_back) {
    stored *s = stored_open(BY_ID);
    answer got = {.lines = {.fail_at = 1}};
    const csti_query_options options = {.config = &s->config,
                                        .store = s->store,
                                        .meta = s->meta,
                                        .clock = &s->clock.clock,
                                        .random = &s->random.random,
                                        .write = sink_write,
                                        .context = &got.lines};

    put_id(s, 7, 100);
    stored_commit(s);
    CHECK_CODE(csti_query(&options, &got.report, &got.err), CST_IO);
    CHECK_TEXT(got.err.text, "the sink is full");
    sink_free(&got.lines);
    stored_close(s);
}

TEST_MAIN
