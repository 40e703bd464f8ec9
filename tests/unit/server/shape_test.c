#include "unit/server/jobs.h"

#define FILE_JOB(REST)                                                                             \
    "[job]\nname = \"j\"\npartitions = 4\n[source]\nkind = \"file\"\npath = \"in\"\n"              \
    "format = \"csv\"\ncolumns = [\"id u64\", \"name string\", \"small i16\",\n"                   \
    "\"price decimal128(2)\", \"rate f32\", \"maybe nullable u32\", \"at timestamp\"]\n" REST

#define KEY_ID "[key]\ncolumns = [\"id\"]\n"
#define N_COUNT_ROWS "[[aggregate]]\nas = \"n\"\nop = \"count\"\n"
#define SPENT_SUM_PRICE "[[aggregate]]\nas = \"spent\"\nop = \"sum\"\ncolumn = \"price\"\n"
#define LEAST_MIN_SMALL "[[aggregate]]\nas = \"least\"\nop = \"min\"\ncolumn = \"small\"\n"
#define TOP_MAX_RATE "[[aggregate]]\nas = \"top\"\nop = \"max\"\ncolumn = \"rate\"\n"
#define SEEN_LAST_AT "[[aggregate]]\nas = \"seen\"\nop = \"last\"\ncolumn = \"at\"\n"
#define A_MIN_SMALL "[[aggregate]]\nas = \"a\"\nop = \"min\"\ncolumn = \"small\"\n"
#define B_SUM_PRICE "[[aggregate]]\nas = \"b\"\nop = \"sum\"\ncolumn = \"price\"\n"
#define C_MAX_SMALL "[[aggregate]]\nas = \"c\"\nop = \"max\"\ncolumn = \"small\"\n"
#define N_COUNT_MAYBE "[[aggregate]]\nas = \"n\"\nop = \"count\"\ncolumn = \"maybe\"\n"
#define N_MAX_MAYBE "[[aggregate]]\nas = \"n\"\nop = \"max\"\ncolumn = \"maybe\"\n"
#define A_MAX_SMALL "[[aggregate]]\nas = \"a\"\nop = \"max\"\ncolumn = \"small\"\n"

static csti_job_config config;
static csti_job_shape shape;
static cst_operator_shape rows;
static csti_arena arena;
static cst_err err;

static void forget(void) {
    csti_config_close(&config);
    csti_arena_release(&arena);
}

static void make(const char *text) {
    forget();
    csti_arena_init(&arena, 1 << 20);
    if (job_read(text, &config, &err) != CST_OK) TEST_FAIL("%s", err.text);
    CHECK_OK(csti_job_rows_shape(&config, &rows, &err));
    CHECK_OK(csti_job_shape_make(&config, &rows, &arena, &shape, &err));
}

// The table takes the program as it is.
static void check_opens(void) {
    cst_table *table = NULL;
    cst_table_options options = shape.table;

    options.hash_key = (cst_hash_key){1, 2};
    options.background = false;
    if (cst_table_open(&options, &table, &err) != CST_OK) TEST_FAIL("%s", err.text);
    cst_table_close(table);
}

TEST(accumulators_stand_one_behind_the_other_as_wide_as_their_numbers) {
    make(FILE_JOB(KEY_ID N_COUNT_ROWS SPENT_SUM_PRICE LEAST_MIN_SMALL TOP_MAX_RATE SEEN_LAST_AT));
    CHECK_EQ(shape.program.accumulators_count, 5);
    CHECK_EQ(shape.program.value_bytes, 8 + 16 + 8 + 8 + 8);
    CHECK_EQ(shape.program.accumulators[0].source, CST_NO_COLUMN);
    CHECK_EQ(shape.program.accumulators[1].number, CST_DECIMAL128);
    CHECK_EQ(shape.program.accumulators[1].value_offset, 8);
    CHECK_EQ(shape.program.accumulators[2].number, CST_I64);
    CHECK_EQ(shape.program.accumulators[2].value_offset, 24);
    CHECK_EQ(shape.program.accumulators[3].number, CST_F64);
    CHECK_EQ(shape.program.accumulators[4].number, CST_I64);
    CHECK_EQ(shape.program.presence_offset, CST_NO_OFFSET);
    CHECK_EQ(shape.render.fields[1].scale, 2);
    CHECK_EQ(shape.render.fields[2].moment, 0);
    CHECK_EQ(shape.render.fields[4].moment, CST_TYPE_TIMESTAMP);
    CHECK_EQ(shape.render.fields[4].value_offset, 40);
    CHECK_TEXT(shape.render.key_names[0], "id");
    CHECK_EQ(shape.key_bytes, 8);
    CHECK_EQ(shape.table.budget_bytes, UINT64_C(1) << 30);
    check_opens();
    forget();
}

TEST(a_column_is_a_source_once) {
    make(FILE_JOB(KEY_ID A_MIN_SMALL B_SUM_PRICE C_MAX_SMALL));
    CHECK_EQ(shape.sources_count, 2);
    CHECK_EQ(shape.source_columns[0], 2);
    CHECK_EQ(shape.source_columns[1], 3);
    CHECK_EQ(shape.program.accumulators[2].source, 0);
    check_opens();
    forget();
}

TEST(only_a_column_that_may_be_null_brings_a_presence_word) {
    make(FILE_JOB(KEY_ID N_COUNT_MAYBE));
    CHECK_EQ(shape.program.presence_offset, CST_NO_OFFSET);
    make(FILE_JOB(KEY_ID N_MAX_MAYBE));
    CHECK_EQ(shape.program.presence_offset, 8);
    CHECK_EQ(shape.render.presence_offset, 8);
    CHECK_EQ(shape.program.value_bytes, 16);
    check_opens();
    forget();
}

TEST(a_key_of_varying_length_has_room_for_what_the_file_says) {
    make(FILE_JOB("[key]\ncolumns = [\"name\", \"small desc\"]\n" N_COUNT_ROWS));
    CHECK_EQ(shape.key_bytes, 0);
    CHECK_EQ(shape.table.key_bytes, 64);
    CHECK_EQ(shape.key_columns[0], 1);
    CHECK_EQ(shape.key_columns[1], 2);
    CHECK(shape.key.columns[1].descending);
    CHECK_TEXT(shape.identity.key_schema, "string,desc i16");
    check_opens();
    make(FILE_JOB("[key]\ncolumns = [\"name\"]\nkey_bytes_max = 200\n" N_COUNT_ROWS));
    CHECK_EQ(shape.table.key_bytes, 200);
    CHECK_EQ(shape.identity.parts[0].key_bytes, 200);
    make(FILE_JOB("[key]\ncolumns = [\"maybe\"]\n" N_COUNT_ROWS));
    CHECK_EQ(shape.key_bytes, 0);
    CHECK_EQ(shape.table.key_bytes, 5); // a marker and 4 bytes, never more
    check_opens();
    forget();
}

TEST(equal_jobs_have_equal_meanings_and_others_have_others) {
    char first[512];
    uint64_t table_id;

    make(FILE_JOB(KEY_ID A_MIN_SMALL));
    (void)snprintf(first, sizeof first, "%s", shape.identity.value);
    table_id = shape.identity.table_id;
    CHECK_TEXT(first, "by id u64: a = min(small i16)");
    CHECK_EQ(shape.identity.parts_count, 1);
    make(FILE_JOB("[[filter]]\ncolumn = \"id\"\nop = \"=\"\nvalue = 3\n[project]\ncolumns = "
                  "[\"small\", \"id\"]\n[key]\ncolumns = [\"id\"]\n" A_MIN_SMALL));
    CHECK_TEXT(shape.identity.value, first);
    CHECK_EQ(shape.identity.table_id, table_id);
    CHECK_EQ(shape.key_columns[0], 1);
    make(FILE_JOB(KEY_ID A_MAX_SMALL));
    CHECK(strcmp(shape.identity.value, first) != 0);
    make(FILE_JOB("[key]\ncolumns = [\"maybe\"]\n" A_MIN_SMALL));
    CHECK(strcmp(shape.identity.value, first) != 0);
    forget();
}

TEST(event_time_is_the_column_that_reaches_the_key) {
    make(FILE_JOB("event_time = \"at\"\n[project]\ncolumns = [\"id\", \"at\"]\n[key]\ncolumns = "
                  "[\"id\"]\n" N_COUNT_ROWS));
    CHECK_EQ(shape.event_time_column, 1);
    make(FILE_JOB(KEY_ID N_COUNT_ROWS));
    CHECK_EQ(shape.event_time_column, UINT32_MAX);
    forget();
    CHECK_CODE(job_read(FILE_JOB("event_time = \"at\"\n[project]\ncolumns = "
                                 "[\"id\"]\n[key]\ncolumns = [\"id\"]\n" N_COUNT_ROWS),
                        &config, &err),
               CST_CONFIG);
    CHECK(strstr(err.text, "[source] event_time: there is no column 'at'"));
    forget();
}

#define FILE_JOB_AT(REST) FILE_JOB("event_time = \"at\"\n" REST)
#define TTL_HOUR "[state]\nttl = \"1h\"\n"
#define SEEN_MAX_AT "[[aggregate]]\nas = \"seen\"\nop = \"max\"\ncolumn = \"at\"\n"

TEST(a_ttl_adds_the_time_of_a_keys_last_row_which_no_result_shows) {
    make(FILE_JOB_AT(KEY_ID N_COUNT_ROWS TTL_HOUR));
    CHECK_EQ(shape.program.ttl_us, UINT64_C(3600000000));
    CHECK_EQ(shape.program.time_offset, 8);
    CHECK_EQ(shape.program.accumulators_count, 2);
    CHECK_EQ(shape.program.accumulators[1].op, CST_MAX);
    CHECK_EQ(shape.source_columns[shape.program.accumulators[1].source], 6);
    CHECK_EQ(shape.render.fields_count, 1);
    CHECK_EQ(shape.clock_source, CST_NO_COLUMN);
    CHECK_TEXT(shape.identity.value, "by id u64: n = count, kept for 1h by at");
    check_opens();
    forget();
}

TEST(a_maximum_of_the_event_time_is_a_keys_time_already) {
    make(FILE_JOB_AT(KEY_ID N_COUNT_ROWS SEEN_MAX_AT TTL_HOUR));
    CHECK_EQ(shape.program.accumulators_count, 2);
    CHECK_EQ(shape.program.time_offset, 8);
    CHECK_EQ(shape.render.fields_count, 2);
    check_opens();
    forget();
}

TEST(without_event_time_the_clock_is_one_source_more_and_no_column) {
    make(FILE_JOB(KEY_ID A_MIN_SMALL SEEN_MAX_AT TTL_HOUR));
    CHECK_EQ(shape.sources_count, 2);
    CHECK_EQ(shape.clock_source, 2);
    CHECK_EQ(shape.program.accumulators_count, 3);
    CHECK_EQ(shape.program.accumulators[2].source, 2);
    CHECK_EQ(shape.program.time_offset, 16);
    CHECK_EQ(shape.render.fields_count, 2);
    check_opens();
    forget();
}

TEST(no_member_of_a_result_is_called_as_its_kind) {
    static const char text[] = "[job]\nname = \"j\"\n[source]\nkind = \"file\"\npath = \"in\"\n"
                               "format = \"csv\"\ncolumns = [\"id u64\", \"_op u64\"]\n"
                               "[project]\ncolumns = [\"_op\", \"id\"]\n"
                               "[key]\ncolumns = [\"%s\"]\n"
                               "[[aggregate]]\nas = \"%s\"\nop = \"max\"\ncolumn = \"_op\"\n";
    static const struct {
        const char *key, *as, *why;
    } cases[] = {
        {"_op", "most", ":11:12: [key] columns: '_op' is taken by each result's kind"},
        {"_op desc", "most", ":11:12: [key] columns: '_op' is taken by each result's kind"},
        {"id", "_op", "[[aggregate]] as: '_op' is taken by each result's kind"},
    };
    char job[1024];

    forget();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        (void)snprintf(job, sizeof job, text, cases[i].key, cases[i].as);
        CHECK_CODE(job_read(job, &config, &err), CST_CONFIG);
        if (!strstr(err.text, cases[i].why)) TEST_FAIL("%s", err.text);
        forget();
    }
}

TEST(a_shape_made_from_other_columns_says_what_is_missing) {
    cst_operator_shape other = {.schema.columns_count = 1};

    make(FILE_JOB(KEY_ID N_COUNT_ROWS));
    other.schema.columns[0].type = CST_TYPE_U8;
    strcpy(other.names[0], "idd");
    CHECK_CODE(csti_job_shape_make(&config, &other, &arena, &shape, &err), CST_CONFIG);

    CHECK(strstr(err.text,
                 "job.toml:11:12: [key] columns: there is no column 'id'. Did you mean 'idd'?"));
    forget();
}

TEST_MAIN
