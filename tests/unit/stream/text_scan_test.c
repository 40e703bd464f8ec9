#include "stream/text_scan.h"

#include "stream/json_text.h"
#include "test.h"

TEST(the_vector_form_finds_what_the_plain_one_finds) {
    static const char special[] = "\"\\,\r\n\x1f\x20\x7f\x80\xff{}a";

    for (int i = 0; i < 100000; i++) {
        char text[CSTI_SCAN_BYTES];
        csti_scan vector, plain;

        for (size_t c = 0; c < sizeof text; c++)
            text[c] = test_random_below(2) ? special[test_random_below(sizeof special)]
                                           : (char)test_random();
        vector = csti_scan_json(text);
        plain = csti_scan_json_plain(text);
        CHECK_EQ(vector.stops, plain.stops);
        CHECK_EQ(vector.high, plain.high);
        vector = csti_scan_csv(text);
        plain = csti_scan_csv_plain(text);
        CHECK_EQ(vector.stops, plain.stops);
        CHECK_EQ(vector.high, plain.high);
    }
}

TEST(digits_stop_at_the_first_byte_that_is_none) {
    for (int behind = 0; behind < 256; behind++) {
        char text[64];
        uint64_t value = 0;

        if (behind >= '0' && behind <= '9') continue;
        memset(text, behind, sizeof text);
        for (size_t count = 0; count <= CSTI_DIGITS_SURE; count++) {
            uint64_t wanted = 0;

            for (size_t i = 0; i < count; i++) {
                text[i] = (char)('0' + test_random_below(10));
                wanted = wanted * 10 + (uint64_t)(text[i] - '0');
            }
            CHECK_EQ(csti_digits(text, &value), count);
            CHECK_EQ(value, wanted);
        }
    }
}

TEST(every_byte_behind_digits_is_told_from_one) {
    for (int a = 0; a < 256; a++)
        for (int b = 0; b < 256; b++) {
            const char text[32] = {'1', '2', '3', (char)a, (char)b, '4'};
            const bool first = a >= '0' && a <= '9';
            const bool second = b >= '0' && b <= '9';
            uint64_t value = 0;

            CHECK_EQ(csti_digits(text, &value), first ? second ? 6 : 4 : 3);
        }
}

TEST(numbers_end_where_json_says) {
    static const struct {
        const char *text;
        int bytes; // -1: no number
    } cases[] = {
        {"0,", 1},        {"-0,", 2},  {"10}", 2},    {"1.5,", 3},  {"1e5 ", 3}, {"1E+5,", 4},
        {"-1.0e-10]", 8}, {"01,", -1}, {"-,", -1},    {".5,", -1},  {"1.,", -1}, {"1e,", -1},
        {"1e+,", -1},     {"+1,", -1}, {"1.e1,", -1}, {"-01,", -1}, {"00,", -1}, {"Infinity,", -1},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *end = csti_json_number_end(cases[i].text);

        CHECK_EQ(end ? end - cases[i].text : -1, cases[i].bytes);
    }
}

TEST_MAIN
