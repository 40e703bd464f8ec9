// schema_test.c: what a schema's text may be, and what its errors name.
#include "test.h"

#include <constellation/schema.h>

#include "codec/types.h"
#include "unit/codec/random_batch.h"

static void check_refused(const char *text, const char *wanted) {
    cst_schema schema = {.columns_count = 77};
    cst_err err = {.text = ""};

    CHECK_CODE(cst_schema_parse(text, &schema, &err), CST_SCHEMA);
    CHECK_TEXT(err.text, wanted);
    CHECK_EQ(schema.columns_count, 77); // written only on success
    CHECK_CODE(cst_schema_parse(text, &schema, NULL), CST_SCHEMA);
}

static void check_canonical(const char *text, const char *wanted) {
    cst_schema schema;
    char out[256];

    CHECK_OK(cst_schema_parse(text, &schema, NULL));
    CHECK_OK(cst_schema_format(&schema, out, sizeof out));
    CHECK_TEXT(out, wanted);
}

TEST(text_is_read_column_by_column) {
    cst_schema schema;

    CHECK_OK(cst_schema_parse("u64,desc string,nullable i32 nulls last,decimal128(2),fixed(12)",
                              &schema, NULL));
    CHECK_EQ(schema.columns_count, 5);
    CHECK_EQ(schema.columns[0].type, CST_TYPE_U64);
    CHECK_EQ(schema.columns[1].type, CST_TYPE_STRING);
    CHECK(schema.columns[1].descending);
    CHECK(!schema.columns[1].nullable);
    CHECK(schema.columns[2].nullable);
    CHECK(schema.columns[2].nulls_last);
    CHECK_EQ(schema.columns[3].scale, 2);
    CHECK_EQ(schema.columns[4].width, 12);
}

TEST(other_spellings_become_canonical) {
    check_canonical("  u64 , asc\tstring ", "u64,string");
    check_canonical("nullable desc u8 nulls first", "desc nullable u8");
    check_canonical("decimal128 ( 38 ) , fixed( 256 )", "decimal128(38),fixed(256)");
    check_canonical("nullable fixed(1)nulls last", "nullable fixed(1) nulls last");
}

TEST(every_type_is_parsed_and_formatted) {
    for (int round = 0; round < 2000; round++) {
        cst_schema schema = random_schema(CST_COLUMNS_MAX, false);
        cst_schema parsed;
        char text[1024];
        char again[1024];
        CHECK_OK(cst_schema_check(&schema, NULL));
        CHECK_OK(cst_schema_format(&schema, text, sizeof text));
        CHECK_OK(cst_schema_parse(text, &parsed, NULL));
        CHECK_OK(cst_schema_format(&parsed, again, sizeof again));
        CHECK_TEXT(again, text);
        for (uint32_t i = 0; i < schema.columns_count; i++) {
            CHECK_EQ(parsed.columns[i].type, schema.columns[i].type);
            CHECK_EQ(parsed.columns[i].width, schema.columns[i].width);
            CHECK_EQ(parsed.columns[i].scale, schema.columns[i].scale);
            CHECK_EQ(parsed.columns[i].descending, schema.columns[i].descending);
            CHECK_EQ(parsed.columns[i].nullable, schema.columns[i].nullable);
            CHECK_EQ(parsed.columns[i].nulls_last, schema.columns[i].nulls_last);
        }
    }
}

TEST(errors_name_the_column_and_the_word) {
    check_refused("u64,desc strin",
                  "schema failed: column 1: 'strin' is not a type. Did you mean 'string'?");
    check_refused("u65", "schema failed: column 0: 'u65' is not a type. Did you mean 'u64'?");
    check_refused("decs u64",
                  "schema failed: column 0: 'decs' is not a type. Did you mean 'desc'?");
    check_refused("elephant", "schema failed: column 0: 'elephant' is not a type");
    check_refused(
        "a_word_that_is_far_too_long_for_a_guess",
        "schema failed: column 0: 'a_word_that_is_far_too_long_for_a_guess' is not a type");
    check_refused("", "schema failed: column 0: a type is missing");
    check_refused("u64,", "schema failed: column 1: a type is missing");
    check_refused("desc", "schema failed: column 0: a type is missing");
    check_refused("desc asc u8", "schema failed: column 0: 'asc': a direction is given twice");
    check_refused("nullable nullable u8", "schema failed: column 0: 'nullable' is given twice");
    check_refused("u8 null", "schema failed: column 0: 'null' is not 'nulls' or the end of the "
                             "column. Did you mean 'nulls'?");
    check_refused("nullable u8 nulls", "schema failed: column 0: 'first' or 'last' is missing");
    check_refused("nullable u8 nulls lost",
                  "schema failed: column 0: 'lost' is not 'first' or 'last'. Did you mean 'last'?");
    check_refused("u8 nulls last", "schema failed: column 0: nulls are placed, but the column is "
                                   "not nullable. Write 'nullable' before the type");
    check_refused("u8 desc", "schema failed: column 0: 'desc' is misplaced. A column is "
                             "[desc] [nullable] TYPE [nulls last]");
    check_refused("nullable u8 nulls last u8",
                  "schema failed: column 0: 'u8' is not expected here");
    check_refused("u8)", "schema failed: column 0: ')' is not expected here");
}

TEST(a_guess_may_be_as_far_off_as_the_word_is_long) {
    check_refused("ux", "schema failed: column 0: 'ux' is not a type. Did you mean 'u8'?");
    check_refused("xx", "schema failed: column 0: 'xx' is not a type");
    check_refused("bxxl", "schema failed: column 0: 'bxxl' is not a type. Did you mean 'bool'?");
    check_refused("bxxx", "schema failed: column 0: 'bxxx' is not a type");
    check_refused("binxyz",
                  "schema failed: column 0: 'binxyz' is not a type. Did you mean 'binary'?");
    check_refused("timestxyz",
                  "schema failed: column 0: 'timestxyz' is not a type. Did you mean 'timestamp'?");
    check_refused("timesxxxx", "schema failed: column 0: 'timesxxxx' is not a type");
}

TEST(numbers_are_checked) {
    check_refused("fixed", "schema failed: column 0: fixed needs a number, as in fixed(12)");
    check_refused("decimal128 u8",
                  "schema failed: column 0: decimal128 needs a number, as in decimal128(2)");
    check_refused("fixed()", "schema failed: column 0: fixed( needs a number and ')'");
    check_refused("fixed(3", "schema failed: column 0: fixed( needs a number and ')'");
    check_refused("fixed(x)", "schema failed: column 0: 'x' is no number for fixed");
    check_refused("fixed(12345)", "schema failed: column 0: '12345' is no number for fixed");
    check_refused("fixed(0)", "schema failed: column 0: fixed(0): a width is 1 to 256 bytes");
    check_refused("fixed(257)", "schema failed: column 0: fixed(257): a width is 1 to 256 bytes");
    check_refused("decimal128(39)", "schema failed: column 0: decimal128(39): a scale is 0 to 38");
    check_refused("decimal128(999)",
                  "schema failed: column 0: decimal128(255): a scale is 0 to 38");
    check_refused("u8(3)", "schema failed: column 0: '(3)' is not expected here");
}

TEST(at_most_16_columns) {
    cst_schema schema;

    CHECK_OK(cst_schema_parse("u8,u8,u8,u8,u8,u8,u8,u8,u8,u8,u8,u8,u8,u8,u8,u8", &schema, NULL));
    check_refused("u8,u8,u8,u8,u8,u8,u8,u8,u8,u8,u8,u8,u8,u8,u8,u8,u8",
                  "schema failed: column 16: a schema has 1 to 16");
}

TEST(a_schema_made_by_hand_is_checked) {
    static const cst_column bad[] = {
        {.type = (cst_type)0},
        {.type = (cst_type)21},
        {.type = CST_TYPE_U8, .width = 1},
        {.type = CST_TYPE_U8, .scale = 1},
        {.type = CST_TYPE_FIXED},
        {.type = CST_TYPE_FIXED, .width = 257},
        {.type = CST_TYPE_DECIMAL128, .scale = 39},
        {.type = CST_TYPE_U8, .nulls_last = true},
    };
    cst_schema schema = {.columns_count = 0};
    char text[64];

    CHECK_CODE(cst_schema_check(&schema, NULL), CST_SCHEMA);
    schema.columns_count = CST_COLUMNS_MAX + 1;
    CHECK_CODE(cst_schema_check(&schema, NULL), CST_SCHEMA);
    schema.columns_count = 1;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        schema.columns[0] = bad[i];
        CHECK_CODE(cst_schema_check(&schema, NULL), CST_SCHEMA);
    }
    schema.columns[0] = bad[0];
    CHECK_CODE(cst_schema_format(&schema, text, sizeof text), CST_SCHEMA);
    CHECK_EQ(cst_column_value_bytes(&bad[1]), 0);
}

TEST(format_stops_at_its_room) {
    cst_schema schema;
    char text[11];

    CHECK_OK(cst_schema_parse("u64,string", &schema, NULL));
    CHECK_OK(cst_schema_format(&schema, text, 11));
    CHECK_TEXT(text, "u64,string");
    CHECK_CODE(cst_schema_format(&schema, text, 10), CST_LIMIT);
    CHECK_CODE(cst_schema_format(&schema, text, 3), CST_LIMIT);
}

TEST(key_lengths_follow_from_the_schema) {
    cst_schema schema;

    CHECK_OK(cst_schema_parse("u64,fixed(3),bool", &schema, NULL));
    CHECK_EQ(cst_schema_key_bytes(&schema), 12);
    CHECK_EQ(cst_schema_key_bytes_max(&schema), 12);
    CHECK_OK(cst_schema_parse("u64,nullable u8", &schema, NULL));
    CHECK_EQ(cst_schema_key_bytes(&schema), 0);
    CHECK_EQ(cst_schema_key_bytes_max(&schema), 10);
    CHECK_OK(cst_schema_parse("string", &schema, NULL));
    CHECK_EQ(cst_schema_key_bytes(&schema), 0);
    CHECK_EQ(cst_schema_key_bytes_max(&schema), 2 * 32768 + 2);
}

TEST(utf8_is_what_unicode_says) {
    static const struct {
        const char *bytes;
        size_t count, error_at;
    } cases[] = {
        {"", 0, 0},
        {"plain text of more than eight", 29, 29},
        {"\x7f\xc2\x80\xdf\xbf", 5, 5},
        {"\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf", 12, 12},
        {"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", 8, 8},
        {"a\x80", 2, 1},
        {"a\xc0\x80", 3, 1},
        {"\xc1\xbf", 2, 0},
        {"\xe0\x9f\xbf", 3, 0},
        {"\xed\xa0\x80", 3, 0},
        {"\xf0\x8f\xbf\xbf", 4, 0},
        {"\xf4\x90\x80\x80", 4, 0},
        {"\xf5\x80\x80\x80", 4, 0},
        {"ab\xc2", 3, 2},
        {"ab\xe2\x82", 4, 2},
        {"\xe2\x82\x41", 3, 0},
        {"\xf0\x9f\x98\x41", 4, 0},
        {"\xff", 1, 0},
        {"12345678\xff", 9, 8},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        CHECK_EQ(csti_utf8_error_at((const uint8_t *)cases[i].bytes, cases[i].count),
                 cases[i].error_at);
}

TEST_MAIN
