#include "server/operator.h"

#include "test.h"

#include <constellation/batch.h>

enum { ROWS = 3 };

static cst_err err;

static csti_operator_config config_of(const char *library, const char *options) {
    static char path[512];

    (void)snprintf(path, sizeof path, "%s/lib/lib%s.so", CST_BINARY_DIR, library);
    return (csti_operator_config){.library = path, .options = options};
}

static cst_operator_shape shape_of(const char *schema, const char *first, const char *second) {
    cst_operator_shape shape = {.schema.columns_count = 0};

    CHECK_OK(cst_schema_parse(schema, &shape.schema, NULL));
    (void)snprintf(shape.names[0], sizeof shape.names[0], "%s", first);
    (void)snprintf(shape.names[1], sizeof shape.names[1], "%s", second);
    return shape;
}

static cst_code open_module(const char *library, const char *options, csti_operator **out) {
    const csti_operator_config config = config_of(library, options);
    const cst_operator_shape in = shape_of("u64,timestamp", "id", "at");

    err = (cst_err){.code = CST_OK};
    return csti_operator_open(&config, &in, out, &err);
}

static void check_refused(const char *library, const char *options, const char *why) {
    csti_operator *instance = NULL;

    CHECK_CODE(open_module(library, options, &instance), CST_OPERATOR);
    CHECK(!instance);
    if (!strstr(err.text, why)) TEST_FAIL("'%s' does not say '%s'", err.text, why);
}

static void check_process(const char *options, cst_code wanted, const char *why) {
    static const uint64_t ids[ROWS] = {7, 8, 9};
    // An hour before 1970, and two moments of 2026-01-01.
    static const int64_t at[ROWS] = {-INT64_C(3600000000), INT64_C(1767225600000000),
                                     INT64_C(1767308399999999)};
    const cst_column_data columns[2] = {{.values = {ids, sizeof ids}}, {.values = {at, sizeof at}}};
    const cst_operator_shape in = shape_of("u64,timestamp", "id", "at");
    const cst_batch batch = {.schema = &in.schema, .rows_count = ROWS, .columns = columns};
    csti_operator *instance = NULL;
    cst_batch out = {0};

    CHECK_OK(open_module("test.operator_plain", options, &instance));
    CHECK_CODE(csti_operator_process(instance, &batch, &out, &err), wanted);
    if (wanted == CST_OK)
        CHECK_EQ(out.rows_count, ROWS);
    else if (!strstr(err.text, why))
        TEST_FAIL("'%s' does not say '%s'", err.text, why);
    csti_operator_close(instance);
}

TEST(a_library_that_is_no_operator_is_refused) {
    check_refused("nothing", "", "cannot open shared object");
    check_refused("test.operator_no_type", "", "exports no cst_operator_v1");
    check_refused("test.operator_other_version", "", "operators of version 2");
    check_refused("test.operator_no_function", "", "NULL");
}

TEST(an_operator_may_refuse_its_options) {
    check_refused("test.operator_plain", "refuse", "operator module: it does not like them");
    check_refused("test.operator_plain", "refuse silently", "operator module: ");
}

TEST(columns_that_contradict_are_refused) {
    check_refused("test.operator_plain", "no columns", "0 columns");
    check_refused("test.operator_plain", "too many columns", "17 columns");
    check_refused("test.operator_plain", "no name", "column 0 that comes out has no name");
    check_refused("test.operator_plain", "endless name", "column 0 that comes out has no name");
    check_refused("test.operator_plain", "one name twice", "two columns 'id'");
}

TEST(rows_that_are_not_as_announced_are_refused) {
    check_process("", CST_OK, "");
    check_process("fail", CST_OPERATOR, "operator module: enough rows");
    check_process("no schema", CST_OPERATOR, "not the columns it said");
    check_process("fewer columns", CST_OPERATOR, "not the columns it said");
    check_process("another type", CST_OPERATOR, "column 'id' is not of its type");
    check_process("short buffer", CST_OPERATOR, "operator module: what came out");
}

TEST(the_example_gives_local_days_and_hours) {
    static const int64_t at[ROWS] = {-INT64_C(3600000001), INT64_C(1767225600000000),
                                     INT64_C(1767308399999999)};
    const csti_operator_config config = config_of("operator_local_time", "zone=UTC+1");
    cst_operator_shape in = shape_of("timestamp", "at", "");
    const cst_column_data column = {.values = {at, sizeof at}};
    const cst_batch batch = {.schema = &in.schema, .rows_count = ROWS, .columns = &column};
    csti_operator *instance = NULL;
    cst_batch out = {0};

    CHECK_OK(csti_operator_open(&config, &in, &instance, &err));
    CHECK_TEXT(csti_operator_name(instance), "local_time");
    CHECK_EQ(csti_operator_shape_out(instance)->schema.columns_count, 3);
    CHECK_TEXT(csti_operator_shape_out(instance)->names[2], "local_hour");
    CHECK_OK(csti_operator_process(instance, &batch, &out, &err));
    const int32_t *days = out.columns[1].values.data;
    const uint8_t *hours = out.columns[2].values.data;

    CHECK_EQ(days[0], -1);
    CHECK_EQ(hours[0], 23);
    CHECK_EQ(days[1], 20454);
    CHECK_EQ(hours[1], 1);
    CHECK_EQ(days[2], 20454);
    CHECK_EQ(hours[2], 23);
    csti_operator_close(instance);
}

TEST(the_example_refuses_what_it_cannot_use) {
    cst_operator_shape in = shape_of("timestamp", "at", "");
    csti_operator_config config = config_of("operator_local_time", "zone=Mars");
    csti_operator *instance = NULL;

    CHECK_CODE(csti_operator_open(&config, &in, &instance, &err), CST_OPERATOR);
    config.options = "zone=UTC+15";
    CHECK_CODE(csti_operator_open(&config, &in, &instance, &err), CST_OPERATOR);
    config.options = "zone=UTC+1";
    in.schema.columns[0].nullable = true;
    CHECK_CODE(csti_operator_open(&config, &in, &instance, &err), CST_OPERATOR);
    in = shape_of("u64", "at", "");
    CHECK_CODE(csti_operator_open(&config, &in, &instance, &err), CST_OPERATOR);
}

TEST_MAIN
