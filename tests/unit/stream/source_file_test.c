#include "unit/stream/source_files.h"

enum { TEXT_BYTES = 1 << 20 };
static char rows_text[TEXT_BYTES];

static const char *const bid_names[] = {"auction", "channel"};

static source_files bids_make(csti_file_format format) {
    const csti_row_shape shape = shape_of("u64,nullable string", bid_names);

    return files_make(format, &shape);
}

// Reads until there is nothing more; the code that said so (OK: ended), rows in rows_text.
static cst_code split_read(csti_split *split, cst_err *err) {
    rows_text[0] = '\0';
    for (;;) {
        bool ended = false;
        cst_batch batch;
        const cst_code code = csti_split_next(split, 0, &batch, &ended, err);

        if (code != CST_OK || ended) return code;
        batch_text(&batch, rows_text, sizeof rows_text);
    }
}

// All rows of the one file "a" in a new source; its error's text goes to err.
static cst_code file_read(source_files *files, const char *offset, cst_err *err) {
    csti_source *source = files_open(files);
    csti_split *split = NULL;
    cst_code code = csti_split_open(source, "file-a", offset, &split, err);

    rows_text[0] = '\0';
    if (code == CST_OK) code = split_read(split, err);
    csti_split_close(split);
    csti_source_close(source);
    return code;
}

static void text_is_read_as(csti_file_format format, const char *text, const char *wanted) {
    source_files files = bids_make(format);
    cst_err err = {0};

    files_put(&files, "a", text);
    if (file_read(&files, NULL, &err) != CST_OK) TEST_FAIL("%s: %s", text, err.text);
    CHECK_TEXT(rows_text, wanted);
    folder_remove(files.folder);
}

// The error names the place, and the rows before it are given.
static void text_is_refused(csti_file_format format, const char *text, const char *wanted,
                            const char *place, const char *why) {
    source_files files = bids_make(format);
    cst_err err = {0};

    files_put(&files, "a", text);
    CHECK_CODE(file_read(&files, NULL, &err), CST_SOURCE_RECORD);
    CHECK_TEXT(rows_text, wanted);
    if (!strstr(err.text, files.folder) || !strstr(err.text, place) || !strstr(err.text, why))
        TEST_FAIL("%s: '%s', wanted '%s' and '%s'", text, err.text, place, why);
    folder_remove(files.folder);
}

// ---- NDJSON -------------------------------------------------------------------------------------

TEST(a_line_of_json_is_a_row) {
    text_is_read_as(CSTI_FILE_NDJSON,
                    "{\"auction\":7,\"channel\":\"web\"}\n"
                    "{\"channel\":\"app\",\"auction\":18446744073709551615}\r\n"
                    " { \"auction\" : 0 , \"channel\" : null } \n"
                    "{\"auction\":1}\n"
                    "\n \t\r\n"
                    "{\"auction\":2,\"channel\":\"\"}",
                    "7|web|\n18446744073709551615|app|\n0|-|\n1|-|\n2||\n");
}

TEST(names_and_strings_may_be_escaped) {
    text_is_read_as(CSTI_FILE_NDJSON,
                    "{\"auc\\u0074ion\":7,\"channel\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uD83d"
                    "\\udE00\xc3\xa9\"}\n",
                    "7|\"\\/\b\f\n\r\t\xc3\xa9\xf0\x9f\x98\x80\xc3\xa9|\n");
}

TEST(a_member_without_a_column_is_passed_over) {
    text_is_read_as(CSTI_FILE_NDJSON,
                    "{\"x\":{\"auction\":[1,{\"a\":[]},\"}\",{}],\"b\":-1.5e+3},\"auction\":7,"
                    "\"y\":[[[true,false,null]]],\"x\":\"]\\\"}\",\"z\":0}\n"
                    "{\"x\":\"twice\",\"auction\":8,\"x\":0}\n",
                    "7|-|\n8|-|\n");
}

TEST(what_is_no_json_is_refused_with_its_place) {
    static const char first[] = "{\"auction\":7}\n";
    static const struct {
        const char *line, *byte, *why;
    } cases[] = {
        {"{\"auction\":8", "line 2, byte 26", "comma"},
        {"{\"auction\":", "byte 25", "column auction: the line ends before its value"},
        {"{\"auction\"", "byte 24", "colon"},
        {"{\"auction", "byte 23", "inside a string"},
        {"{", "byte 15", "inside its object"},
        {"[1]", "byte 14", "no JSON object"},
        {"{\"auction\":8}}", "byte 27", "behind the object"},
        {"{\"auction\":8}{\"auction\":9}", "byte 27", "behind the object"},
        {"{\"auction\":8,}", "byte 27", "a name was expected"},
        {"{\"auction\":08}", "byte 25", "column auction: no JSON value"},
        {"{\"auction\":+8}", "byte 25", "no JSON value"},
        {"{\"auction\":8.}", "byte 25", "no JSON value"},
        {"{\"auction\":NaN}", "byte 25", "no JSON value"},
        {"{\"auction\":1e1}", "byte 25", "'1e1' is not text of a u64"},
        {"{\"auction\":8.0}", "byte 25", "'8.0' is not text of a u64"},
        {"{\"auction\":-8}", "byte 25", "'-8' is outside type u64"},
        {"{\"auction\":18446744073709551616}", "byte 25", "outside type u64"},
        {"{\"auction\":\"8\"}", "byte 25", "a string, where a u64 was expected"},
        {"{\"auction\":true}", "byte 25", "a bool, where a u64 was expected"},
        {"{\"auction\":[8]}", "byte 25", "an object or array, where a u64"},
        {"{\"auction\":null}", "byte 25", "takes no nulls"},
        {"{\"channel\":\"x\"}", "line 2, byte 14", "column auction is missing"},
        {"{}", "byte 14", "column auction is missing"},
        {"{\"auction\":8,\"auction\":8}", "byte 27", "column auction stands there twice"},
        {"{\"auction\":8,\"channel\":9}", "byte 37", "column channel: a number, where a string"},
        {"{\"auction\":8,\"channel\":\"\\ud800\"}", "byte 37", "surrogate"},
        {"{\"auction\":8,\"channel\":\"\\udc00\"}", "byte 37", "surrogate"},
        {"{\"auction\":8,\"channel\":\"\\ud800\\u0041\"}", "byte 37", "surrogate"},
        {"{\"auction\":8,\"channel\":\"\\u12g4\"}", "byte 37", "four hex digits"},
        {"{\"auction\":8,\"channel\":\"\\x\"}", "byte 37", "an escape that JSON has not"},
        {"{\"auction\":8,\"channel\":\"\t\"}", "byte 37", "a control byte"},
        {"{\"auction\":8,\"channel\":\"\xff\"}", "byte 37", "not UTF-8"},
        {"{\"auction\":8,\"channel\":\"\xc0\x80\"}", "byte 37", "not UTF-8"},
        {"{\"auction\":8,\"x\":[1,]}", "byte 34", "no JSON value"},
        {"{\"auction\":8,\"x\":[1}", "byte 33", "closing bracket"},
        {"{\"auction\":8,\"x\":{1:2}}", "byte 32", "a name was expected"},
        {"{\"auction\":8,\"x\":{\"a\" 2}}", "byte 36", "a colon"},
        {"{\"auction\":8,\"x\":tru}", "byte 31", "no JSON value"},
        {"{\"auction\":8,\"x\":\"\xff\"}", "byte 32", "not UTF-8"},
        {"{\"auction\":8,\"\xff\":1}", "byte 27", "a name is not UTF-8"},
        {"{'auction':8}", "byte 15", "a name was expected"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[256];

        (void)snprintf(text, sizeof text, "%s%s\n%s", first, cases[i].line, first);
        text_is_refused(CSTI_FILE_NDJSON, text, "7|-|\n", cases[i].byte, cases[i].why);
    }
}

TEST(nesting_is_bounded) {
    char text[400] = "{\"auction\":8,\"x\":";
    size_t used = strlen(text);

    memset(text + used, '[', 65);
    used += 65;
    memset(text + used, ']', 65);
    (void)snprintf(text + used + 65, 8, "}\n");
    text_is_refused(CSTI_FILE_NDJSON, text, "", "byte 81", "nested too deep");
    memmove(text + used - 1, text + used, 64); // one less of each
    (void)snprintf(text + used + 63, 8, "}\n");
    text_is_read_as(CSTI_FILE_NDJSON, text, "8|-|\n");
}

TEST(every_type_is_read_from_json) {
    static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"};
    const csti_row_shape shape =
        shape_of("i8,u128,i128,f32,f64,bool,date,timestamp,decimal128(2),uuid,fixed(2),binary",
                 names);
    source_files files = files_make(CSTI_FILE_NDJSON, &shape);
    cst_err err = {0};

    files_put(
        &files, "a",
        "{\"a\":-128,\"b\":340282366920938463463374607431768211455,\"c\":-1,\"d\":0.1,"
        "\"e\":-1.5E2,\"f\":true,\"g\":-1,\"h\":1767225600000001,\"i\":-0.5,"
        "\"j\":\"12345678-9abc-def0-0102-030405060708\",\"k\":\"12ab\",\"l\":\"\"}\n"
        "{\"a\":127,\"b\":0,\"c\":1,\"d\":\"nan\",\"e\":\"-inf\",\"f\":false,"
        "\"g\":\"1970-01-02\",\"h\":\"2026-01-01T01:00:00+01:00\",\"i\":\"12.34\","
        "\"j\":\"00000000-0000-0000-0000-000000000000\",\"k\":\"0000\",\"l\":\"00\\u0066f\"}");
    if (file_read(&files, NULL, &err) != CST_OK) TEST_FAIL("%s", err.text);
    CHECK_TEXT(rows_text, "-128|340282366920938463463374607431768211455|-1|0.1|-150|true|"
                          "1969-12-31|2026-01-01T00:00:00.000001Z|-0.50|"
                          "12345678-9abc-def0-0102-030405060708|12ab||\n"
                          "127|0|1|nan|-inf|false|1970-01-02|2026-01-01T00:00:00.000000Z|12.34|"
                          "00000000-0000-0000-0000-000000000000|0000|00ff|\n");
    folder_remove(files.folder);
}

TEST(a_string_over_its_limit_is_refused) {
    enum { LONG = CST_VARIABLE_BYTES_MAX };
    source_files files = bids_make(CSTI_FILE_NDJSON);
    char *text = malloc(2 * LONG);
    size_t used;
    cst_err err = {0};

    CHECK(text);
    used = (size_t)sprintf(text, "{\"auction\":1,\"channel\":\"");
    memset(text + used, 'x', LONG + 1);
    memcpy(text + used + LONG, "\"}\n", 4);
    files_put(&files, "a", text);
    CHECK_OK(file_read(&files, NULL, &err));
    CHECK_EQ(strlen(rows_text), LONG + 4);
    memcpy(text + used + LONG, "x\"}\n", 5);
    files_put(&files, "a", text);
    CHECK_CODE(file_read(&files, NULL, &err), CST_SOURCE_RECORD);
    CHECK(strstr(err.text, "column channel: 32769 bytes"));
    free(text);
    folder_remove(files.folder);
}

// ---- CSV ----------------------------------------------------------------------------------------

TEST(a_record_of_csv_is_a_row) {
    text_is_read_as(CSTI_FILE_CSV,
                    "7,web\n"
                    "007,\"a \"\"b\"\", c\n d\"\r\n"
                    "1,\n"
                    "2,\"\"\n"
                    "\"3\",a\rb\n"
                    "4,\"x\"",
                    "7|web|\n7|a \"b\", c\n d|\n1|-|\n2||\n3|a\rb|\n4|x|\n");
}

TEST(zeros_in_front_are_no_digits_too_many) {
    static const char *const names[] = {"a", "b"};
    const csti_row_shape shape = shape_of("u64,timestamp", names);
    source_files files = files_make(CSTI_FILE_CSV, &shape);
    cst_err err = {0};

    files_put(&files, "a",
              "00000000000018446744073709551615,000000000000000000000000000001\n"
              "0000000000000000000000000000,-00000000000000000000000000000001\n");
    if (file_read(&files, NULL, &err) != CST_OK) TEST_FAIL("%s", err.text);
    CHECK_TEXT(rows_text, "18446744073709551615|1970-01-01T00:00:00.000001Z|\n"
                          "0|1969-12-31T23:59:59.999999Z|\n");
    folder_remove(files.folder);
}

TEST(what_is_no_csv_is_refused_with_its_place) {
    static const struct {
        const char *record, *place, *why;
    } cases[] = {
        {"8", "line 2, byte 7", "after field 1 of 2"},
        {"", "line 2, byte 6", "column auction: '' is not text of a u64"},
        {"8,x,9", "byte 9", "more than 2 fields"},
        {"x,web", "byte 6", "column auction: 'x' is not text of a u64"},
        {"-1,web", "byte 6", "outside type u64"},
        {" 1,web", "byte 6", "not text of a u64"},
        {"8,a\"b", "byte 9", "a quote inside a field"},
        {"8,\"a\"b", "byte 11", "text beside a quoted part"},
        {"8,\"a", "byte 6", "the file ends inside quotes"},
        {"8,\xff", "byte 8", "column channel: byte 0 of the string, ff, is not UTF-8"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[256];

        (void)snprintf(text, sizeof text, "7,web\n%s\n7,web\n", cases[i].record);
        text_is_refused(CSTI_FILE_CSV, text, "7|web|\n", cases[i].place, cases[i].why);
    }
    text_is_refused(CSTI_FILE_CSV, "7,\"\n\n\"\nx,\n", "7|\n\n|\n", "line 4", "column auction");
}

TEST(a_header_names_the_columns) {
    source_files files = bids_make(CSTI_FILE_CSV);
    cst_err err = {0};

    files.options.csv_header = true;
    files_put(&files, "a",
              "more,\"chan\"\"nel\",channel,\"auction\"\r\n,\"\n\",web,7\n\"x\",,,8\n");
    if (file_read(&files, NULL, &err) != CST_OK) TEST_FAIL("%s", err.text);
    CHECK_TEXT(rows_text, "7|web|\n8|-|\n");
    files_put(&files, "a", "auction,channel");
    CHECK_OK(file_read(&files, NULL, &err));
    CHECK_TEXT(rows_text, "");
    files_put(&files, "a", "");
    CHECK_OK(file_read(&files, NULL, &err));
    files_put(&files, "a", "auction,Channel\n");
    CHECK_CODE(file_read(&files, NULL, &err), CST_SOURCE_RECORD);
    CHECK(strstr(err.text, "line 1, byte 0") && strstr(err.text, "names no column channel"));
    files_put(&files, "a", "auction,channel,auction\n");
    CHECK_CODE(file_read(&files, NULL, &err), CST_SOURCE_RECORD);
    CHECK(strstr(err.text, "byte 16") && strstr(err.text, "named twice"));
    files_put(&files, "a", "auction,channel\n7\n");
    CHECK_CODE(file_read(&files, NULL, &err), CST_SOURCE_RECORD);
    CHECK(strstr(err.text, "line 2, byte 17") && strstr(err.text, "field 1 of 2"));
    folder_remove(files.folder);
}

// ---- Bytes and lines ----------------------------------------------------------------------------

TEST(a_mark_of_utf8_is_passed_over_at_the_beginning_alone) {
    source_files files = bids_make(CSTI_FILE_CSV);
    cst_err err = {0};

    text_is_read_as(CSTI_FILE_NDJSON, "\xef\xbb\xbf{\"auction\":7}\n", "7|-|\n");
    text_is_read_as(CSTI_FILE_CSV, "\xef\xbb\xbf", "");
    text_is_read_as(CSTI_FILE_NDJSON, "", "");
    text_is_refused(CSTI_FILE_NDJSON, "{\"auction\":7}\n\xef\xbb\xbf{}\n", "7|-|\n", "byte 14",
                    "no JSON object");
    files.options.csv_header = true;
    files_put(&files, "a",
              "\xef\xbb\xbf"
              "auction,channel\n7,web\n");
    CHECK_OK(file_read(&files, NULL, &err));
    CHECK_TEXT(rows_text, "7|web|\n");
    folder_remove(files.folder);
}

TEST(a_record_of_any_legal_length_is_read_and_a_longer_one_refused) {
    enum { RECORD = 4 << 20 };
    source_files files = bids_make(CSTI_FILE_NDJSON);
    char *text = malloc(RECORD + 8);
    cst_err err = {0};

    CHECK(text);
    memset(text, ' ', RECORD + 8);
    memcpy(text, "{\"auction\":7}", 13);
    text[RECORD - 1] = '\n';
    files_write(&files, "a", "wb", text, RECORD);
    files_add(&files, "a", "{\"auction\":8}\n");
    CHECK_OK(file_read(&files, NULL, &err));
    CHECK_TEXT(rows_text, "7|-|\n8|-|\n");
    text[RECORD - 1] = ' ';
    text[RECORD] = '\n';
    files_put(&files, "a", "{\"auction\":6}\n");
    files_write(&files, "a", "ab", text, RECORD + 1);
    CHECK_CODE(file_read(&files, NULL, &err), CST_SOURCE_RECORD);
    CHECK_TEXT(rows_text, "6|-|\n");
    CHECK(strstr(err.text, "line 2, byte 14") && strstr(err.text, "a record above 4194304 bytes"));
    free(text);
    folder_remove(files.folder);
}

TEST(after_a_bad_record_the_split_stands_before_it) {
    source_files files = bids_make(CSTI_FILE_NDJSON);
    char before[CSTI_OFFSET_BYTES_MAX], after[CSTI_OFFSET_BYTES_MAX];
    csti_source *source;
    csti_split *split = NULL;
    cst_err err = {0};

    files_put(&files, "a", "{\"auction\":7}\n{\"auction\":x}\n");
    source = files_open(&files);
    CHECK_OK(csti_split_open(source, "file-a", NULL, &split, NULL));
    CHECK_CODE(split_read(split, &err), CST_SOURCE_RECORD);
    CHECK_TEXT(rows_text, "7|-|\n");
    (void)snprintf(before, CSTI_OFFSET_BYTES_MAX, "%s", csti_split_offset(split));
    CHECK(strstr(before, "\"byte\":14,") && strstr(before, "\"line\":1}"));
    CHECK_CODE(split_read(split, &err), CST_SOURCE_RECORD);
    CHECK_TEXT(rows_text, "");
    (void)snprintf(after, CSTI_OFFSET_BYTES_MAX, "%s", csti_split_offset(split));
    CHECK_TEXT(before, after);
    csti_split_close(split);
    csti_source_close(source);
    files_put(&files, "a", "{\"auction\":7}\n{\"auction\":8}\n"); // mended in place
    CHECK_OK(file_read(&files, before, &err));
    CHECK_TEXT(rows_text, "8|-|\n");
    folder_remove(files.folder);
}

// What is wrong with a row of the first batch, by its number.
static void row_stands_at(csti_file_format format, bool header, const char *text, uint32_t row,
                          const char *wanted) {
    source_files files = bids_make(format);
    csti_source *source;
    csti_split *split = NULL;
    cst_batch batch;
    bool ended;
    cst_err err = {.text = "why"};
    char place[300];

    files.options.csv_header = header;
    files_put(&files, "a", text);
    source = files_open(&files);
    CHECK_OK(csti_split_open(source, "file-a", NULL, &split, NULL));
    CHECK_OK(csti_split_next(split, 0, &batch, &ended, NULL));
    CHECK(batch.rows_count > row);
    CHECK_CODE(csti_split_row_fail(split, row, CST_KEY_TOO_LONG, &err), CST_KEY_TOO_LONG);
    (void)snprintf(place, sizeof place, "%s/a, %s: why", files.folder, wanted);
    CHECK_TEXT(err.text, place);
    csti_split_close(split);
    csti_source_close(source);
    folder_remove(files.folder);
}

TEST(a_row_of_a_batch_is_found_again_by_line_and_byte) {
    static const char csv[] = "1,x\n2,\"\n\"\n3,y";
    static const char json[] = "\n{\"auction\":1}\n \r\n\n\t{\"auction\":2}\n";

    row_stands_at(CSTI_FILE_CSV, false, csv, 0, "line 1, byte 0");
    row_stands_at(CSTI_FILE_CSV, false, csv, 1, "line 2, byte 4");
    row_stands_at(CSTI_FILE_CSV, false, csv, 2, "line 4, byte 10");
    row_stands_at(CSTI_FILE_CSV, true, "channel,auction\n,1\n,2\n", 1, "line 3, byte 19");
    row_stands_at(CSTI_FILE_CSV, false, "\xef\xbb\xbf\x31,x\n", 0, "line 1, byte 3");
    row_stands_at(CSTI_FILE_NDJSON, false, json, 0, "line 2, byte 1");
    row_stands_at(CSTI_FILE_NDJSON, false, json, 1, "line 5, byte 19");
}

// ---- Offsets ------------------------------------------------------------------------------------

// A file read in batches of one to three rows, opened again after each: every row once, and lines
// of errors counted from its beginning.
static void reopened_reads_equal(csti_file_format format, bool header, const char *text,
                                 const char *wanted) {
    source_files files = bids_make(format);
    char offset[CSTI_OFFSET_BYTES_MAX];
    csti_source *source;
    csti_split *split = NULL;
    bool ended = false;
    csti_split_stats stats;

    files.options.csv_header = header;
    files_put(&files, "a", text);
    source = files_open(&files);
    CHECK_OK(csti_split_open(source, "file-a", NULL, &split, NULL));
    (void)snprintf(offset, CSTI_OFFSET_BYTES_MAX, "%s", csti_split_offset(split));
    rows_text[0] = '\0';
    for (uint32_t i = 0; !ended; i++) {
        cst_batch batch;

        csti_split_close(split);
        CHECK_OK(csti_split_open(source, "file-a", offset, &split, NULL));
        CHECK_OK(csti_split_next(split, 1 + i % 3, &batch, &ended, NULL));
        if (!ended) batch_text(&batch, rows_text, sizeof rows_text);
        (void)snprintf(offset, CSTI_OFFSET_BYTES_MAX, "%s", csti_split_offset(split));
    }
    CHECK_TEXT(rows_text, wanted);
    csti_split_stats_read(split, &stats);
    CHECK_EQ(stats.lag_bytes, 0);
    csti_split_close(split);
    csti_source_close(source);
    folder_remove(files.folder);
}

TEST(a_split_opened_at_an_offset_gives_what_is_behind_it) {
    reopened_reads_equal(CSTI_FILE_NDJSON, false,
                         "{\"auction\":1}\n{\"auction\":2}\n\n{\"auction\":3}\n{\"auction\":4}\n"
                         "{\"auction\":5}",
                         "1|-|\n2|-|\n3|-|\n4|-|\n5|-|\n");
    reopened_reads_equal(CSTI_FILE_CSV, false, "1,\"\n\"\n2,\n3,x\n4,y",
                         "1|\n|\n2|-|\n3|x|\n4|y|\n");
    reopened_reads_equal(CSTI_FILE_CSV, true, "channel,\"\n\",auction\n\"\n\",,1\n,,2\nx,,3\ny,,4",
                         "1|\n|\n2|-|\n3|x|\n4|y|\n");
    reopened_reads_equal(CSTI_FILE_CSV, true,
                         "\xef\xbb\xbf"
                         "auction,channel\n1,x\n2,y\n",
                         "1|x|\n2|y|\n");
}

// The offset behind everything, when all that "a" holds is `text`.
static void offset_behind(source_files *files, const char *text, char out[CSTI_OFFSET_BYTES_MAX]) {
    csti_source *source;
    csti_split *split = NULL;

    files_put(files, "a", text);
    source = files_open(files);
    CHECK_OK(csti_split_open(source, "file-a", NULL, &split, NULL));
    CHECK_OK(split_read(split, NULL));
    (void)snprintf(out, CSTI_OFFSET_BYTES_MAX, "%s", csti_split_offset(split));
    csti_split_close(split);
    csti_source_close(source);
}

// Reads "a" up to its end, changes it, and opens it at its offset again.
static cst_code changed_read(source_files *files, const char *first, const char *second,
                             bool replaced, cst_err *err) {
    char offset[CSTI_OFFSET_BYTES_MAX];

    offset_behind(files, first, offset);
    if (replaced) {
        char from[600], to[600];

        files_put(files, "b", second);
        (void)snprintf(from, sizeof from, "%s/b", files->folder);
        (void)snprintf(to, sizeof to, "%s/a", files->folder);
        CHECK_EQ(rename(from, to), 0);
    } else {
        files_put(files, "a", second);
    }
    return file_read(files, offset, err);
}

TEST(a_file_that_changed_is_refused_with_the_gap) {
    source_files files = bids_make(CSTI_FILE_CSV);
    cst_err err = {0};

    CHECK_OK(changed_read(&files, "1,x\n", "1,x\n2,y\n", false, &err)); // it grew
    CHECK_TEXT(rows_text, "2|y|\n");
    CHECK_CODE(changed_read(&files, "1,x\n2,y\n", "1,x\n", false, &err), CST_SOURCE_CHANGED);
    CHECK(strstr(err.text, "8 bytes of it had been read, now it has 4: a gap of 4 bytes"));
    CHECK_CODE(changed_read(&files, "1,x\n", "1,x\n2,y\n", true, &err), CST_SOURCE_CHANGED);
    CHECK(strstr(err.text, "another file has its name") && strstr(err.text, "up to byte 4"));
    CHECK_CODE(changed_read(&files, "1,x\n", "2,x\n2,y\n", false, &err), CST_SOURCE_CHANGED);
    CHECK(strstr(err.text, "its first 4 bytes are not those"));
    folder_remove(files.folder);
}

// Reads "a" up to its end, adds to it, and goes on at the offset.
static cst_code grown_read(source_files *files, const char *first, const char *more,
                           char offset[CSTI_OFFSET_BYTES_MAX], cst_err *err) {
    offset_behind(files, first, offset);
    files_add(files, "a", more);
    return file_read(files, offset, err);
}

TEST(the_end_of_a_line_that_was_a_row_without_one_is_passed_over) {
    static const char *const ends[] = {"\n", "\r\n"};
    source_files files = bids_make(CSTI_FILE_CSV);
    char offset[CSTI_OFFSET_BYTES_MAX], text[64];
    cst_err err = {0};

    CHECK_OK(grown_read(&files, "1,x\n2,y", "", offset, &err));
    CHECK_TEXT(rows_text, "");
    CHECK(strstr(offset, "\"byte\":7,") && strstr(offset, "\"line\":2,\"unended\":1}"));
    files_add(&files, "a", "\r"); // half an end
    CHECK_OK(file_read(&files, offset, &err));
    CHECK_TEXT(rows_text, "");
    files_add(&files, "a", "\n3,z\n");
    CHECK_OK(file_read(&files, offset, &err));
    CHECK_TEXT(rows_text, "3|z|\n");
    for (size_t i = 0; i < 2; i++) {
        CHECK_OK(grown_read(&files, "1,x\n2,y", ends[i], offset, &err));
        CHECK_TEXT(rows_text, "");
        (void)snprintf(text, sizeof text, "%s\n3,z\n", ends[i]); // an empty line is a line still
        CHECK_CODE(grown_read(&files, "1,x\n2,y", text, offset, &err), CST_SOURCE_RECORD);
        CHECK(strstr(err.text, "line 3,"));
        (void)snprintf(text, sizeof text, "%s3,z\n", ends[i]);
        CHECK_OK(grown_read(&files, "1,x\n2,y", text, offset, &err));
        CHECK_TEXT(rows_text, "3|z|\n");
        files.options.csv_header = true;
        (void)snprintf(text, sizeof text, "%s3,z\n", ends[i]);
        CHECK_OK(grown_read(&files, "auction,channel", text, offset, &err));
        CHECK_TEXT(rows_text, "3|z|\n");
        files.options.csv_header = false;
    }
    files.options.format = CSTI_FILE_NDJSON;
    CHECK_OK(grown_read(&files, "{\"auction\":7}", "\n{\"auction\":8}\n", offset, &err));
    CHECK_TEXT(rows_text, "8|-|\n");
    folder_remove(files.folder);
}

TEST(a_line_that_was_a_row_and_goes_on_is_refused) {
    source_files files = bids_make(CSTI_FILE_CSV);
    char offset[CSTI_OFFSET_BYTES_MAX], place[300];
    cst_err err = {0};

    (void)snprintf(place, sizeof place, "%s/a: byte 7: ", files.folder);
    CHECK_CODE(grown_read(&files, "1,x\n2,y", "y\n3,z\n", offset, &err), CST_SOURCE_CHANGED);
    CHECK(strstr(err.text, place));
    CHECK_CODE(grown_read(&files, "1,x\n2,y", "\rz\n", offset, &err), CST_SOURCE_CHANGED);
    CHECK(strstr(err.text, place));
    files.options.follow = true; // from now on
    CHECK_CODE(file_read(&files, offset, &err), CST_SOURCE_CHANGED);
    folder_remove(files.folder);
}

TEST(the_offset_of_a_file_with_an_unended_line_comes_back_as_it_was) {
    source_files files = bids_make(CSTI_FILE_CSV);
    char offset[CSTI_OFFSET_BYTES_MAX], again[CSTI_OFFSET_BYTES_MAX];
    csti_source *source;
    csti_split *split = NULL;

    CHECK_OK(grown_read(&files, "1,x\n2,y", "", offset, NULL));
    files.options.follow = true;
    source = files_open(&files);
    CHECK_OK(csti_split_open(source, "file-a", offset, &split, NULL));
    CHECK_CODE(split_read(split, NULL), CST_AGAIN);
    (void)snprintf(again, CSTI_OFFSET_BYTES_MAX, "%s", csti_split_offset(split));
    CHECK_TEXT(again, offset);
    files_add(&files, "a", "\n3,");
    CHECK_CODE(split_read(split, NULL), CST_AGAIN);
    (void)snprintf(again, CSTI_OFFSET_BYTES_MAX, "%s", csti_split_offset(split));
    CHECK(strstr(again, "\"byte\":8,") && strstr(again, "\"line\":2}"));
    csti_split_close(split);
    CHECK_OK(csti_split_open(source, "file-a", again, &split, NULL)); // its head is of 8 bytes
    files_add(&files, "a", "z\n");
    CHECK_CODE(split_read(split, NULL), CST_AGAIN);
    CHECK_TEXT(rows_text, "3|z|\n");
    csti_split_close(split);
    csti_source_close(source);
    folder_remove(files.folder);
}

TEST(an_offset_without_the_mark_of_an_unended_line_is_taken_as_it_is) {
    source_files files = bids_make(CSTI_FILE_CSV);
    char offset[CSTI_OFFSET_BYTES_MAX];
    cst_err err = {0};
    char *mark;

    CHECK_OK(grown_read(&files, "1,x\n2,y", "", offset, &err));
    mark = strstr(offset, ",\"unended\"");
    CHECK(mark);
    memcpy(mark, "}", 2);
    files_add(&files, "a", "3,z\n");
    CHECK_OK(file_read(&files, offset, &err));
    CHECK_TEXT(rows_text, "3|z|\n");
    folder_remove(files.folder);
}

TEST(an_offset_that_is_none_is_refused) {
    source_files files = bids_make(CSTI_FILE_CSV);
    cst_err err = {0};

    files_put(&files, "a", "1,x\n");
    CHECK_CODE(file_read(&files, "{\"row\":1}", &err), CST_PARSE);
    CHECK_CODE(file_read(&files, "", &err), CST_PARSE);
    folder_remove(files.folder);
}

TEST(an_offset_inside_a_header_is_refused) {
    source_files files = bids_make(CSTI_FILE_CSV);
    char offset[CSTI_OFFSET_BYTES_MAX];
    csti_source *source;
    csti_split *split = NULL;
    cst_batch batch;
    bool ended;
    cst_err err = {0};

    files_put(&files, "a", "1,x\n2,y\n");
    source = files_open(&files);
    CHECK_OK(csti_split_open(source, "file-a", NULL, &split, NULL));
    CHECK_OK(csti_split_next(split, 1, &batch, &ended, NULL));
    (void)snprintf(offset, CSTI_OFFSET_BYTES_MAX, "%s", csti_split_offset(split));
    csti_split_close(split);
    csti_source_close(source);
    files.options.csv_header = true;
    CHECK_CODE(file_read(&files, offset, &err), CST_SOURCE_RECORD); // "1" is no column
    folder_remove(files.folder);
}

// ---- Files that grow ----------------------------------------------------------------------------

TEST(a_followed_file_gives_lines_when_they_are_whole) {
    source_files files = bids_make(CSTI_FILE_CSV);
    csti_source *source;
    csti_split *split = NULL;
    csti_split_stats stats;
    cst_err err = {0};

    files.options.follow = true;
    files.options.csv_header = true;
    files_put(&files, "a", "auct");
    source = files_open(&files);
    CHECK_OK(csti_split_open(source, "file-a", NULL, &split, NULL));
    CHECK_CODE(split_read(split, &err), CST_AGAIN);
    files_add(&files, "a", "ion,channel\n1,x");
    CHECK_CODE(split_read(split, &err), CST_AGAIN);
    CHECK_TEXT(rows_text, "");
    csti_split_stats_read(split, &stats);
    CHECK_EQ(stats.lag_bytes, 3);
    files_add(&files, "a", "\n2,\"y\n");
    CHECK_CODE(split_read(split, &err), CST_AGAIN);
    CHECK_TEXT(rows_text, "1|x|\n");
    files_add(&files, "a", "z\"\n3,\n");
    CHECK_CODE(split_read(split, &err), CST_AGAIN);
    CHECK_TEXT(rows_text, "2|y\nz|\n3|-|\n");
    csti_split_stats_read(split, &stats);
    CHECK_EQ(stats.rows, 3);
    CHECK_EQ(stats.bytes, strlen("auction,channel\n1,x\n2,\"y\nz\"\n3,\n"));
    CHECK_EQ(stats.lag_bytes, 0);
    csti_split_close(split);
    csti_source_close(source);
    folder_remove(files.folder);
}

TEST(a_followed_file_that_is_read_to_its_end_keeps_an_unended_line_for_later) {
    static const char *const tails[] = {"2,y", "2,\"y\n"};
    source_files files = bids_make(CSTI_FILE_CSV);
    char offset[CSTI_OFFSET_BYTES_MAX];
    cst_err err = {0};

    files.options.follow = true;
    files.options.until_end = true;
    for (size_t i = 0; i < 2; i++) {
        char text[64];

        (void)snprintf(text, sizeof text, "1,x\n%s", tails[i]);
        files_put(&files, "a", text);
        CHECK_OK(file_read(&files, NULL, &err));
        CHECK_TEXT(rows_text, "1|x|\n");
        CHECK_OK(grown_read(&files, text, i ? "z\"\n" : "z\n", offset, &err));
        CHECK(strstr(offset, "\"byte\":4,") && strstr(offset, "\"line\":1}"));
        CHECK_TEXT(rows_text, i ? "2|y\nz|\n" : "2|yz|\n");
    }
    files.options.csv_header = true;
    files_put(&files, "a", "auction,channel");
    CHECK_OK(file_read(&files, NULL, &err));
    CHECK_OK(grown_read(&files, "auct", "ion,channel\n1,x\n", offset, &err));
    CHECK_TEXT(rows_text, "1|x|\n");
    folder_remove(files.folder);
}

// A followed file read up to its end, then changed: what the next read says.
static cst_code followed_change(const char *then, bool gone, cst_err *err) {
    source_files files = bids_make(CSTI_FILE_CSV);
    csti_source *source;
    csti_split *split = NULL;
    char path[600];
    cst_code code;

    files.options.follow = true;
    files_put(&files, "a", "1,x\n2,y\n");
    source = files_open(&files);
    CHECK_OK(csti_split_open(source, "file-a", NULL, &split, NULL));
    CHECK_CODE(split_read(split, err), CST_AGAIN);
    (void)snprintf(path, sizeof path, "%s/a", files.folder);
    if (gone) CHECK_EQ(unlink(path), 0);
    if (then) files_put(&files, "a", then);
    code = split_read(split, err);
    csti_split_close(split);
    csti_source_close(source);
    folder_remove(files.folder);
    return code;
}

TEST(a_followed_file_that_changes_is_an_error) {
    cst_err err = {0};

    CHECK_CODE(followed_change("1,x\n", false, &err), CST_SOURCE_CHANGED);
    CHECK(strstr(err.text, "a gap of 4 bytes"));
    CHECK_CODE(followed_change("3,z\n4,y\n5,z\n", false, &err), CST_SOURCE_CHANGED);
    CHECK(strstr(err.text, "written anew"));
    CHECK_CODE(followed_change("1,x\n2,y\n3,z\n", true, &err), CST_SOURCE_CHANGED);
    CHECK(strstr(err.text, "another file has its name"));
    CHECK_CODE(followed_change(NULL, true, &err), CST_SOURCE_CHANGED);
    CHECK(strstr(err.text, "it is gone"));
    CHECK_CODE(followed_change("1,x\n2,y\n", false, &err), CST_AGAIN);
}

// ---- Sources ------------------------------------------------------------------------------------

TEST(each_file_of_a_folder_is_a_split) {
    source_files files = bids_make(CSTI_FILE_CSV);
    char path[600];
    csti_source *source;
    csti_split *split = NULL;

    files_put(&files, "b.csv", "2,\n");
    files_put(&files, "a.csv", "1,\n");
    files_put(&files, ".hidden", "x");
    (void)snprintf(path, sizeof path, "%s/folder", files.folder);
    CHECK_EQ(mkdir(path, 0700), 0);
    source = files_open(&files);
    CHECK_EQ(csti_source_splits_count(source), 2);
    CHECK_TEXT(csti_source_split_name(source, 0), "file-a.csv");
    CHECK_TEXT(csti_source_split_name(source, 1), "file-b.csv");
    CHECK(csti_source_split_name(source, 2) == NULL);
    CHECK_TEXT(csti_source_shape(source)->names[1], "channel");
    CHECK_CODE(csti_split_open(source, "file-c.csv", NULL, &split, NULL), CST_NOT_FOUND);
    CHECK_CODE(csti_split_open(source, "file-c.csv", "{}", &split, NULL), CST_SOURCE_CHANGED);
    csti_source_close(source);
    CHECK_EQ(rmdir(path), 0);
    (void)snprintf(path, sizeof path, "%s/.hidden", files.folder);
    CHECK_EQ(unlink(path), 0);
    (void)snprintf(path, sizeof path, "%s/b.csv", files.folder);
    files.options.path = path;
    CHECK_OK(csti_source_open(&files.options, &source, NULL));
    CHECK_EQ(csti_source_splits_count(source), 1);
    CHECK_OK(csti_split_open(source, "file-b.csv", NULL, &split, NULL));
    CHECK_OK(split_read(split, NULL));
    CHECK_TEXT(rows_text, "2|-|\n");
    csti_split_close(split);
    csti_source_close(source);
    folder_remove(files.folder);
}

TEST(what_is_no_source_is_refused) {
    source_files files = bids_make(CSTI_FILE_CSV);
    csti_source *source = NULL;
    csti_split *split = NULL;
    char path[600];
    cst_err err = {0};

    files.options.path = files.folder;
    CHECK_CODE(csti_source_open(&files.options, &source, &err), CST_NOT_FOUND); // empty
    files.options.path = "/nowhere/at/all";
    CHECK_CODE(csti_source_open(&files.options, &source, &err), CST_NOT_FOUND);
    files.options.path = NULL;
    CHECK_CODE(csti_source_open(&files.options, &source, &err), CST_USAGE);
    files.options.path = files.folder;
    files.options.csv_header = true;
    files.options.format = CSTI_FILE_NDJSON;
    CHECK_CODE(csti_source_open(&files.options, &source, &err), CST_USAGE);
    files.options.csv_header = false;
    (void)snprintf(path, sizeof path, "%s/pipe", files.folder);
    CHECK_EQ(mkfifo(path, 0600), 0);
    CHECK_OK(csti_source_open(&files.options, &source, &err));
    CHECK_CODE(csti_split_open(source, "file-pipe", NULL, &split, &err), CST_UNSUPPORTED);
    CHECK(strstr(err.text, "a source must be a regular file"));
    csti_source_close(source);
    folder_remove(files.folder);
}

TEST_MAIN
