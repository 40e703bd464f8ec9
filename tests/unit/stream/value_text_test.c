#include "stream/value_text.h"
#include "test.h"

// "type|text|what is written", or "type|text|CODE".
static const char *const cases[] = {
    "u8|255|255",
    "u8|256|CST_VALUE_RANGE",
    "u8|-1|CST_VALUE_RANGE",
    "u8||CST_PARSE",
    "u8|+1|CST_PARSE",
    "u8| 1|CST_PARSE",
    "u8|00007|7",
    "u8|-|CST_PARSE",
    "u128|340282366920938463463374607431768211455|340282366920938463463374607431768211455",
    "u128|340282366920938463463374607431768211456|CST_VALUE_RANGE",
    "i8|-128|-128",
    "i8|-129|CST_VALUE_RANGE",
    "i8|128|CST_VALUE_RANGE",
    "i8|-0|0",
    "i64|-9223372036854775808|-9223372036854775808",
    "i64|9223372036854775808|CST_VALUE_RANGE",
    "i128|-170141183460469231731687303715884105728|-170141183460469231731687303715884105728",
    "i128|170141183460469231731687303715884105728|CST_VALUE_RANGE",
    "timestamp|2026-01-01T00:00:00+02:00|2025-12-31T22:00:00.000000Z",
    "timestamp|2026-01-01T00:00:00.5-23:59|2026-01-01T23:59:00.500000Z",
    "timestamp|2026-01-01T00:00:00-00:00|2026-01-01T00:00:00.000000Z",
    "timestamp|2026-01-01T00:00:00+24:00|CST_PARSE",
    "timestamp|2026-01-01T00:00:00+2:00|CST_PARSE",
    "timestamp|2026-01-01T00:00:00+0200|CST_PARSE",
    "timestamp|2026-01-01T00:00:00+02:00Z|CST_PARSE",
    "f64|100|100",
    "f64|1e300|1e+300",
    "f32|0.1|0.1",
    "f64|0.1|0.1",
    "f64|1e400|CST_VALUE_RANGE",
    "f64|nan|nan",
    "f64|-inf|-inf",
    "f64|NaN|CST_PARSE",
    "f64|0x1p3|CST_PARSE",
    "f64|1.5.|CST_PARSE",
    "f64|infinity|CST_PARSE",
    "f64| 1|CST_PARSE",
    "f64|1e-400|0",
    "f32|16777217|16777216",
    "f32|1e39|CST_VALUE_RANGE",
    "f64||CST_PARSE",
    "f64|nanf|CST_PARSE",
    "bool|true|true",
    "bool|1|CST_PARSE",
    "date|1970-01-01|1970-01-01",
    "date|1900-02-29|CST_VALUE_RANGE",
    "date|2000-02-29|2000-02-29",
    "date|2024-13-01|CST_VALUE_RANGE",
    "date|2024-00-01|CST_VALUE_RANGE",
    "date|2024-1-1|CST_PARSE",
    "date|+5881580-07-11|+5881580-07-11",
    "date|+5881580-07-12|CST_VALUE_RANGE",
    "date|-5877641-06-23|-5877641-06-23",
    "date|-5877641-06-22|CST_VALUE_RANGE",
    "date|+99999999-01-01|CST_VALUE_RANGE",
    "date|12345-01-01|CST_PARSE",
    "date|2024-01-01x|CST_PARSE",
    "timestamp|1970-01-01T00:00:00.000001Z|1970-01-01T00:00:00.000001Z",
    "timestamp|1969-12-31 23:59:59|1969-12-31T23:59:59.000000Z",
    "timestamp|2024-01-01T24:00:00|CST_VALUE_RANGE",
    "timestamp|2024-01-01T00:60:00|CST_VALUE_RANGE",
    "timestamp|2024-01-01T00:00:60|CST_VALUE_RANGE",
    "timestamp|2024-01-01|CST_PARSE",
    "timestamp|2024-01-01T00:00:00.|CST_PARSE",
    "timestamp|2024-01-01T00:00:00.1234567|CST_PARSE",
    "timestamp|2024-01-01T00:00:00+01:00|2023-12-31T23:00:00.000000Z",
    "timestamp|+294247-01-10T04:00:54.775807Z|+294247-01-10T04:00:54.775807Z",
    "timestamp|+294247-01-10T04:00:54.775808Z|CST_VALUE_RANGE",
    "timestamp|-290308-12-21T19:59:05.224192Z|-290308-12-21T19:59:05.224192Z",
    "timestamp|-290308-12-21T19:59:05.224191Z|CST_VALUE_RANGE",
    "decimal128(2)|1.2|1.20",
    "decimal128(2)|-0.01|-0.01",
    "decimal128(2)|.5|CST_PARSE",
    "decimal128(2)|1.234|CST_VALUE_RANGE",
    "decimal128(2)|1.|CST_PARSE",
    "decimal128(0)|12|12",
    "decimal128(2)|1..2|CST_PARSE",
    "decimal128(2)|-|CST_PARSE",
    "decimal128(2)||CST_PARSE",
    ("decimal128(38)|0.99999999999999999999999999999999999999"
     "|0.99999999999999999999999999999999999999"), // a decimal's most digits
    "decimal128(38)|1|CST_VALUE_RANGE",
    "decimal128(0)|99999999999999999999999999999999999999|99999999999999999999999999999999999999",
    "decimal128(0)|100000000000000000000000000000000000000|CST_VALUE_RANGE",
    "decimal128(0)|0000000000000000000000000000000000000000000000000005|5",
    "uuid|00112233-4455-6677-8899-AABBCCDDEEFF|00112233-4455-6677-8899-aabbccddeeff",
    "uuid|0011223344556677-8899-aabbccddeeff----|CST_PARSE",
    "uuid|0|CST_PARSE",
    "uuid|00112233-4455-6677-8899-aabbccddeefg|CST_PARSE",
    "fixed(2)|0AfF|0aff",
    "fixed(2)|0a|CST_VALUE_RANGE",
    "fixed(2)|0a0|CST_PARSE",
    "binary||",
    "binary|0g|CST_PARSE",
    "string|any text|any text",
};

TEST(texts_are_read_and_written) {
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char copy[256];
        char *type = copy;
        char *text;
        char *wanted;
        cst_schema schema;
        cst_value value = {0};
        cst_err err = {0};
        uint8_t scratch[64];
        char out[256];
        size_t bytes = 0;
        cst_code code;

        (void)snprintf(copy, sizeof copy, "%s", cases[i]);
        text = strchr(copy, '|');
        *text++ = '\0';
        wanted = strchr(text, '|');
        *wanted++ = '\0';
        CHECK_OK(cst_schema_parse(type, &schema, NULL));
        code = csti_value_read(&schema.columns[0], text, strlen(text), scratch, sizeof scratch,
                               &value, &err);
        if (strncmp(wanted, "CST_", 4) == 0) {
            if (strcmp(cst_code_name(code), wanted) != 0)
                TEST_FAIL("%s: %s", cases[i], cst_code_name(code));
            continue;
        }
        if (code != CST_OK) TEST_FAIL("%s: %s", cases[i], err.text);
        CHECK_OK(csti_value_write(&schema.columns[0], &value, out, sizeof out, &bytes));
        out[bytes] = '\0';
        CHECK_TEXT(out, wanted);
    }
}

TEST(doubles_are_written_with_the_digits_that_read_back) {
    const cst_column column = {.type = CST_TYPE_F64};

    for (int i = 0; i < 20000; i++) {
        const uint64_t bits = test_random();
        double number;
        cst_value value = {0};
        cst_value back = {0};
        char text[CSTI_VALUE_TEXT_BYTES_MAX];
        size_t bytes = 0;

        memcpy(&number, &bits, sizeof number);
        if (number != number) continue;
        value.f64 = number;
        CHECK_OK(csti_value_write(&column, &value, text, sizeof text, &bytes));
        CHECK_OK(csti_value_read(&column, text, bytes, NULL, 0, &back, NULL));
        CHECK_BYTES(&back.f64, &number, sizeof number);
    }
}

TEST(decimals_of_few_places_are_written_as_fifteen_digits_would) {
    const cst_column column = {.type = CST_TYPE_F64};

    for (int i = 0; i < 200000; i++) {
        const double tens[] = {1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e9};
        const double whole = (double)(test_random() >> (14 + test_random_below(50)));
        const double power = tens[test_random_below(sizeof tens / sizeof *tens)];
        const cst_value value = {.f64 = (i % 2 ? -whole : whole) / power};
        char text[CSTI_VALUE_TEXT_BYTES_MAX], wanted[CSTI_VALUE_TEXT_BYTES_MAX];
        size_t bytes = 0;

        for (int digits = 15; digits <= 17; digits++) {
            (void)snprintf(wanted, sizeof wanted, "%.*g", digits, value.f64);
            if (strtod(wanted, NULL) == value.f64) break;
        }
        CHECK_OK(csti_value_write(&column, &value, text, sizeof text, &bytes));
        text[bytes] = '\0';
        CHECK_TEXT(text, wanted);
    }
}

TEST(dates_follow_each_other) {
    const cst_column column = {.type = CST_TYPE_DATE};
    char before[CSTI_VALUE_TEXT_BYTES_MAX] = "";

    // 400 years and some from 1599 on: each day has another text, and reads back.
    for (int32_t day = -135500; day < 20000; day++) {
        const cst_value value = {.i128 = day};
        cst_value back = {0};
        char text[CSTI_VALUE_TEXT_BYTES_MAX];
        size_t bytes = 0;

        CHECK_OK(csti_value_write(&column, &value, text, sizeof text, &bytes));
        text[bytes] = '\0';
        CHECK(strcmp(before, text) < 0);
        CHECK_OK(csti_value_read(&column, text, bytes, NULL, 0, &back, NULL));
        CHECK_EQ(back.i128, day);
        memcpy(before, text, sizeof before);
    }
}

TEST(room_is_checked) {
    const cst_column string = {.type = CST_TYPE_STRING};
    const cst_column binary = {.type = CST_TYPE_BINARY};
    const cst_column number = {.type = CST_TYPE_U8};
    cst_value value = {.bytes = (const uint8_t *)"abc", .bytes_count = 3};
    char out[CSTI_VALUE_TEXT_BYTES_MAX];
    uint8_t scratch[2];
    size_t bytes = 0;

    CHECK_CODE(csti_value_write(&string, &value, out, 2, &bytes), CST_LIMIT);
    CHECK_CODE(csti_value_write(&binary, &value, out, 5, &bytes), CST_LIMIT);
    CHECK_CODE(csti_value_write(&number, &value, out, 3, &bytes), CST_LIMIT);
    CHECK_CODE(csti_value_read(&binary, "010203", 6, scratch, 2, &value, NULL), CST_LIMIT);
}

TEST_MAIN
