#include <constellation/error.h>

#include "test.h"

TEST(every_code_has_its_own_number_name_text_and_advice) {
    static const struct {
        const char *name;
        int number;
    } codes[] = {
#define ROW(name, number, text, advice) {"CST_" #name, number},
        CST_ERR_MAP(ROW)
#undef ROW
    };
    const size_t codes_count = sizeof codes / sizeof codes[0];

    for (size_t i = 0; i < codes_count; i++) {
        const cst_code code = (cst_code)codes[i].number;
        CHECK_TEXT(cst_code_name(code), codes[i].name);
        CHECK(strlen(cst_code_text(code)) > 0);
        CHECK(strlen(cst_code_advice(code)) > 0);
        for (size_t other = i + 1; other < codes_count; other++)
            CHECK(codes[i].number != codes[other].number);
    }
}

// Numbers are a promise to programs that stored them: these never change.
TEST(numbers_that_were_given_out_stay) {
    CHECK_EQ(CST_OK, 0);
    CHECK_EQ(CST_NO_MEMORY, 2);
    CHECK_EQ(CST_PLACEMENT, 17);
    CHECK_EQ(CST_KEY_TOO_LONG, 20);
    CHECK_EQ(CST_TABLE_FULL, 22);
    CHECK_EQ(CST_SEGMENT_MAGIC, 40);
    CHECK_EQ(CST_SEGMENT_CHECKSUM, 43);
    CHECK_EQ(CST_DEVICE_URI, 80);
    CHECK_EQ(CST_INTERNAL, 99);
}

TEST(a_number_that_is_no_code_is_said_to_be_none) {
    CHECK_TEXT(cst_code_name((cst_code)12345), "CST_UNKNOWN");
    CHECK_TEXT(cst_code_text((cst_code)12345), "an error code this version does not know");
    CHECK_TEXT(cst_code_advice((cst_code)12345), "use a newer program");
}

TEST(fail_returns_its_code_and_fills_the_text) {
    cst_err err = {0};
    CHECK_CODE(cst_fail(&err, CST_LIMIT, "segment %d: %s", 7, "too long"), CST_LIMIT);
    CHECK_EQ(err.code, CST_LIMIT);
    CHECK_TEXT(err.text, "segment 7: too long");
}

TEST(nobody_has_to_ask_for_the_text) {
    CHECK_CODE(cst_fail(NULL, CST_IO, "x"), CST_IO);
    CHECK_CODE(cst_fail_at(NULL, CST_IO, "x"), CST_IO);
}

TEST(an_outer_place_names_itself_in_front) {
    cst_err err = {0};
    CHECK_CODE(cst_fail(&err, CST_IO, "block 3: short read"), CST_IO);
    CHECK_CODE(cst_fail_at(&err, CST_SEGMENT_TRUNCATED, "segment %d", 12), CST_SEGMENT_TRUNCATED);
    CHECK_EQ(err.code, CST_SEGMENT_TRUNCATED);
    CHECK_TEXT(err.text, "segment 12: block 3: short read");
}

TEST(texts_too_long_are_cut_and_end_in_their_zero) {
    char longer[2 * CST_ERR_TEXT_BYTES];
    cst_err err = {0};

    memset(longer, 'x', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    CHECK_CODE(cst_fail(&err, CST_IO, "%s", longer), CST_IO);
    CHECK_EQ(strlen(err.text), CST_ERR_TEXT_BYTES - 1);
    CHECK_CODE(cst_fail_at(&err, CST_IO, "outer"), CST_IO);
    CHECK_EQ(strlen(err.text), CST_ERR_TEXT_BYTES - 1);
    CHECK_BYTES(err.text, "outer: xxx", 10);
    CHECK_CODE(cst_fail_at(&err, CST_IO, "%s", longer), CST_IO);
    CHECK_EQ(strlen(err.text), CST_ERR_TEXT_BYTES - 1);
}

TEST_MAIN
