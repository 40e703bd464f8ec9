#include "device/uri.h"
#include "test.h"

TEST(a_name_comes_in_parts) {
    csti_uri uri;
    uint64_t value = 7;
    char rest[64];

    CHECK_OK(csti_uri_parse("fault:cpu:avx2?worker=1&drop=3", &uri, NULL));
    CHECK_TEXT(uri.scheme, "fault");
    CHECK_TEXT(uri.path, "cpu:avx2");
    CHECK_OK(csti_uri_take_u64(&uri, "absent", 9, &value, NULL));
    CHECK_EQ(value, 7);
    CHECK_OK(csti_uri_take_u64(&uri, "drop", 9, &value, NULL));
    CHECK_EQ(value, 3);
    CHECK_OK(csti_uri_rest(&uri, rest, sizeof rest, NULL));
    CHECK_TEXT(rest, "cpu:avx2?worker=1");
    CHECK_CODE(csti_uri_check_empty(&uri, "drop", NULL), CST_DEVICE_URI);
    CHECK_OK(csti_uri_take_u64(&uri, "worker", 1, &value, NULL));
    CHECK_OK(csti_uri_check_empty(&uri, "drop", NULL));
    CHECK_OK(csti_uri_rest(&uri, rest, sizeof rest, NULL));
    CHECK_TEXT(rest, "cpu:avx2");
    CHECK_CODE(csti_uri_rest(&uri, rest, 5, NULL), CST_DEVICE_URI);
}

TEST(malformed_names_are_refused) {
    static const char *const names[] = {"",        ":cpu",         "cpu",       "cpu:?worker",
                                        "cpu:?=1", "cpu:?a=1&a=2", "cpu:?a=1&b"};
    char text[CSTI_URI_BYTES_MAX + 1];
    csti_uri uri;

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        CHECK_CODE(csti_uri_parse(names[i], &uri, NULL), CST_DEVICE_URI);
    memset(text, 'a', sizeof text);
    text[1] = ':';
    text[sizeof text - 1] = '\0';
    CHECK_CODE(csti_uri_parse(text, &uri, NULL), CST_DEVICE_URI);
    text[sizeof text - 2] = '\0';
    CHECK_OK(csti_uri_parse(text, &uri, NULL));
    CHECK_CODE(csti_uri_parse("c:?a=1&b=1&c=1&d=1&e=1&f=1&g=1&h=1&i=1&j=1&k=1&l=1&m=1&n=1&o=1&p=1"
                              "&q=1",
                              &uri, NULL),
               CST_DEVICE_URI);
}

TEST(parameters_are_numbers_in_range) {
    static const char *const names[] = {
        "c:?n=", "c:?n=x", "c:?n=-1", "c:?n=+1", "c:?n=10", "c:?n=1x", "c:?n=99999999999999999999"};
    csti_uri uri;
    uint64_t value = 5;

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        CHECK_OK(csti_uri_parse(names[i], &uri, NULL));
        CHECK_CODE(csti_uri_take_u64(&uri, "n", 9, &value, NULL), CST_DEVICE_URI);
        CHECK_EQ(value, 5);
    }
}

TEST(a_word_is_one_of_those_there_are) {
    static const char *const words[] = {"one", "two"};
    csti_uri uri;
    size_t place = 7;
    cst_err err = {0};

    CHECK_OK(csti_uri_parse("c:?a=1&w=two", &uri, NULL));
    CHECK_OK(csti_uri_take_word(&uri, "v", words, 2, &place, NULL));
    CHECK_EQ(place, 7);
    CHECK_OK(csti_uri_take_word(&uri, "w", words, 2, &place, NULL));
    CHECK_EQ(place, 1);
    CHECK_EQ(uri.parameters_count, 1);
    CHECK_OK(csti_uri_parse("c:?w=three", &uri, NULL));
    CHECK_CODE(csti_uri_take_word(&uri, "w", words, 2, &place, &err), CST_DEVICE_URI);
    CHECK(strstr(err.text, "w=three: not one of one, two"));
    CHECK_EQ(place, 1);
}

TEST_MAIN
