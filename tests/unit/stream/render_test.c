#include "stream/render.h"
#include "test.h"

#include <math.h>

static csti_render_plan plan_of(const char *schema, const char *const *names) {
    csti_render_plan plan = {.presence_offset = CST_NO_OFFSET};

    CHECK_OK(cst_schema_parse(schema, &plan.key, NULL));
    for (uint32_t c = 0; c < plan.key.columns_count; c++)
        (void)snprintf(plan.key_names[c], sizeof plan.key_names[c], "%s", names[c]);
    return plan;
}

static void field_add(csti_render_plan *plan, const char *name, cst_number number,
                      uint16_t value_offset) {
    csti_render_field *field = &plan->fields[plan->fields_count];

    *field = (csti_render_field){.number = (uint8_t)number,
                                 .value_offset = value_offset,
                                 .accumulator = (uint8_t)plan->fields_count};
    (void)snprintf(field->name, sizeof field->name, "%s", name);
    plan->fields_count++;
}

// The line of a row whose key has these values.
static const char *line_of(const csti_render_plan *plan, const cst_value *values, const void *value,
                           uint32_t value_bytes, bool tombstone) {
    static char line[4096];
    uint8_t key[1024];
    cst_row_ref row = {.key = key, .value = value, .value_bytes = value_bytes};
    csti_buffer out;
    cst_err err = {0};

    CHECK_OK(cst_key_encode(&plan->key, values, key, sizeof key, &row.key_bytes, NULL));
    csti_buffer_init(&out, 1 << 20);
    if (csti_render_row(plan, &row, tombstone, &out, &err) != CST_OK) TEST_FAIL("%s", err.text);
    CHECK(out.used_bytes < sizeof line);
    memcpy(line, out.bytes, out.used_bytes);
    line[out.used_bytes] = '\0';
    csti_buffer_release(&out);
    return line;
}

TEST(a_row_is_its_key_columns_and_aggregates) {
    static const char *const names[] = {"auction"};
    csti_render_plan plan = plan_of("u64", names);
    const uint64_t numbers[3] = {3, 900, (uint64_t)-5};
    const cst_value key = {.u128 = 17};

    field_add(&plan, "bids", CST_U64, 0);
    field_add(&plan, "highest", CST_U64, 8);
    field_add(&plan, "sum", CST_I64, 16);
    CHECK_TEXT(line_of(&plan, &key, numbers, sizeof numbers, false),
               "{\"auction\":17,\"bids\":3,\"highest\":900,\"sum\":-5,\"_op\":\"upsert\"}\n");
    CHECK_TEXT(line_of(&plan, &key, NULL, 0, true), "{\"auction\":17,\"_op\":\"delete\"}\n");
}

TEST(every_type_of_key_column_is_rendered) {
    static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g", "h",
                                        "i", "j", "k", "l", "m", "n", "o", "p"};
    static const uint8_t uuid[16] = {0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf0,
                                     1,    2,    3,    4,    5,    6,    7,    8};
    const csti_render_plan plan =
        plan_of("u8,desc u64,u128,i8,i64,i128,f32,f64,bool,date,timestamp,decimal128(3),uuid,"
                "fixed(2),nullable string,binary",
                names);
    const cst_value values[16] = {{.u128 = 255},
                                  {.u128 = UINT64_MAX},
                                  {.u128 = ~(cst_u128)0},
                                  {.i128 = -128},
                                  {.i128 = INT64_MIN},
                                  {.i128 = -1},
                                  {.f64 = 0.5},
                                  {.f64 = 100},
                                  {.u128 = 1},
                                  {.i128 = -1},
                                  {.i128 = 1767225600000001},
                                  {.i128 = -5},
                                  {.bytes = uuid, .bytes_count = 16},
                                  {.bytes = uuid, .bytes_count = 2},
                                  {.is_null = true},
                                  {.bytes = uuid, .bytes_count = 3}};

    CHECK_TEXT(line_of(&plan, values, NULL, 0, false),
               "{\"a\":255,\"b\":18446744073709551615,"
               "\"c\":340282366920938463463374607431768211455,\"d\":-128,"
               "\"e\":-9223372036854775808,\"f\":-1,\"g\":0.5,\"h\":100,\"i\":true,"
               "\"j\":\"1969-12-31\",\"k\":\"2026-01-01T00:00:00.000001Z\",\"l\":\"-0.005\","
               "\"m\":\"12345678-9abc-def0-0102-030405060708\",\"n\":\"1234\",\"o\":null,"
               "\"p\":\"123456\",\"_op\":\"upsert\"}\n");
}

TEST(strings_and_names_are_escaped) {
    static const char *const names[] = {"a \"b\"\\"};
    static const char text[] = "\"\\\n\x01 \xc3\xa9";
    const csti_render_plan plan = plan_of("string", names);
    const cst_value key = {.bytes = (const uint8_t *)text, .bytes_count = sizeof text};

    CHECK_TEXT(line_of(&plan, &key, NULL, 0, false),
               "{\"a \\\"b\\\"\\\\\":\"\\\"\\\\\\u000a\\u0001 \xc3\xa9\\u0000\","
               "\"_op\":\"upsert\"}\n");
}

TEST(a_key_of_nothing_but_escapes_fits) {
    static const char *const names[] = {"k"};
    const csti_render_plan plan = plan_of("string", names);
    uint8_t text[400] = {0};
    const cst_value key = {.bytes = text, .bytes_count = sizeof text};

    CHECK_EQ(strlen(line_of(&plan, &key, NULL, 0, false)),
             sizeof text * 6 + strlen("{\"k\":\"\",\"_op\":\"upsert\"}\n"));
}

TEST(numbers_that_json_lacks_are_strings) {
    static const char *const names[] = {"k"};
    csti_render_plan plan = plan_of("f64", names);
    const double numbers[4] = {(double)NAN, (double)-INFINITY, -0.0, 0.1};
    const cst_value key = {.f64 = (double)INFINITY};

    for (uint16_t i = 0; i < 4; i++) field_add(&plan, "x", CST_F64, (uint16_t)(i * 8));
    CHECK_TEXT(line_of(&plan, &key, numbers, sizeof numbers, false),
               "{\"k\":\"inf\",\"x\":\"nan\",\"x\":\"-inf\",\"x\":-0,\"x\":0.1,"
               "\"_op\":\"upsert\"}\n");
}

TEST(decimals_and_times_are_strings) {
    static const char *const names[] = {"k"};
    csti_render_plan plan = plan_of("u8", names);
    struct {
        cst_i128 amount;
        int64_t at;
    } value = {.amount = -123456, .at = 0};
    const cst_value key = {.u128 = 0};

    field_add(&plan, "amount", CST_DECIMAL128, 0);
    plan.fields[0].scale = 2;
    field_add(&plan, "at", CST_I64, 16);
    plan.fields[1].moment = CST_TYPE_TIMESTAMP;
    CHECK_TEXT(line_of(&plan, &key, &value, sizeof value, false),
               "{\"k\":0,\"amount\":\"-1234.56\",\"at\":\"1970-01-01T00:00:00.000000Z\","
               "\"_op\":\"upsert\"}\n");
}

TEST(an_accumulator_that_has_seen_nothing_is_null) {
    static const char *const names[] = {"k"};
    csti_render_plan plan = plan_of("u8", names);
    const uint64_t value[3] = {2, 11, 12}; // presence: the second alone
    const cst_value key = {.u128 = 1};

    plan.presence_offset = 0;
    field_add(&plan, "a", CST_U64, 8);
    field_add(&plan, "b", CST_U64, 16);
    CHECK_TEXT(line_of(&plan, &key, value, sizeof value, false),
               "{\"k\":1,\"a\":null,\"b\":12,\"_op\":\"upsert\"}\n");
}

TEST(a_damaged_key_or_a_short_value_is_refused) {
    static const char *const names[] = {"k"};
    csti_render_plan plan = plan_of("u32", names);
    const uint8_t bytes[8] = {0};
    cst_row_ref row = {.key = bytes, .key_bytes = 3, .value = bytes, .value_bytes = 8};
    csti_buffer out;

    field_add(&plan, "a", CST_U64, 0);
    csti_buffer_init(&out, 1 << 20);
    CHECK_CODE(csti_render_row(&plan, &row, false, &out, NULL), CST_KEY_CORRUPT);
    row.key_bytes = 4;
    row.value_bytes = 7;
    CHECK_CODE(csti_render_row(&plan, &row, false, &out, NULL), CST_SEGMENT_RECORD);
    plan.fields[0].number = CST_DECIMAL128;
    row.value_bytes = 8;
    CHECK_CODE(csti_render_row(&plan, &row, false, &out, NULL), CST_SEGMENT_RECORD);
    plan.fields_count = 0;
    plan.presence_offset = 8;
    CHECK_CODE(csti_render_row(&plan, &row, false, &out, NULL), CST_SEGMENT_RECORD);
    CHECK_EQ(out.used_bytes, 0);
    csti_buffer_release(&out);
}

TEST_MAIN
