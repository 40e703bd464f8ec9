// Where a batch's keys are made: what is measured, and what follows from it.
#include "device/break_even.h"

#include "unit/device/fixture.h"

TEST(a_line_goes_through_few_rows_and_many) {
    csti_encode_cost cost =
        csti_encode_cost_of(7000 + 3 * CSTI_BREAK_EVEN_FEW, 7000 + 3 * 1000, 1000);

    CHECK_EQ(cost.command_ns, 7000);
    CHECK_EQ(cost.row_ns, 3);
    cost = csti_encode_cost_of(5000, 4000, 1000); // the more rows the sooner: noise
    CHECK_EQ(cost.command_ns, 4000);
    CHECK_EQ(cost.row_ns, 0);
    cost = csti_encode_cost_of(0, 936, 1000); // a command that costs nothing costs no less
    CHECK_EQ(cost.command_ns, 0);
    CHECK_EQ(cost.row_ns, 1);
}

TEST(a_device_gets_what_it_does_sooner) {
    static const struct {
        csti_encode_cost device, processor;
        uint32_t rows_min;
    } cases[] = {
        {{50000, 2}, {500, 12}, 4951},
        {{50000, 12}, {500, 12}, CSTI_BREAK_EVEN_NEVER},
        {{50000, 13}, {500, 12}, CSTI_BREAK_EVEN_NEVER},
        {{100, 13}, {500, 12}, CSTI_BREAK_EVEN_NEVER}, // sooner with the fewest rows alone
        {{100, 2}, {500, 12}, 0},
        {{1e15, 2}, {500, 12}, CSTI_BREAK_EVEN_NEVER},
    };

    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        const uint32_t rows = csti_break_even_rows(&cases[c].device, &cases[c].processor);

        CHECK_EQ(rows, cases[c].rows_min);
        if (rows == 0 || rows == CSTI_BREAK_EVEN_NEVER) continue;
        CHECK(cases[c].device.command_ns + rows * cases[c].device.row_ns <
              cases[c].processor.command_ns + rows * cases[c].processor.row_ns);
    }
}

// Keys of every kind of column, of which none is out of range.
TEST(keys_of_all_kinds_are_measured) {
    static const char *const schemas[] = {"u64", "string", "bool, desc i128, f64",
                                          "fixed(70), string, nullable u8", "decimal128(20)"};
    const csti_clock *clock = csti_clock_real();
    cst_device *device = NULL;

    CHECK_OK(cst_device_open("cpu:", &device, NULL));
    for (size_t s = 0; s < sizeof schemas / sizeof *schemas; s++) {
        csti_break_even found = {.device_modelled = true};
        cst_schema keys;
        cst_err err = {0};

        if (cst_schema_parse(schemas[s], &keys, &err) != CST_OK) TEST_FAIL("%s", err.text);
        if (csti_break_even_measure(device, &keys, clock, &found, &err) != CST_OK)
            TEST_FAIL("%s: %s", schemas[s], err.text);
        CHECK(!found.device_modelled);
        CHECK(found.device.row_ns + found.device.command_ns > 0);
        CHECK(found.processor.row_ns + found.processor.command_ns > 0);
    }
    cst_device_close(device);
}

TEST(a_device_that_is_lost_meanwhile_says_so) {
    csti_break_even found = {.rows_min = 7};
    cst_device *device = NULL;
    cst_schema keys;
    cst_err err = {0};

    CHECK_OK(cst_schema_parse("u64", &keys, NULL));
    CHECK_OK(cst_device_open("fault:cpu:?fail=2", &device, NULL));
    CHECK_CODE(csti_break_even_measure(device, &keys, csti_clock_real(), &found, &err),
               CST_DEVICE_LOST);
    CHECK(strstr(err.text, "lost by fail"));
    CHECK_EQ(found.rows_min, 7);
    cst_device_close(device);
}

#ifdef CST_HAS_SIM
// A clock on which each look takes a microsecond.
typedef struct ticking {
    csti_clock clock;
    uint64_t looks;
} ticking;

static uint64_t ticking_now(const csti_clock *clock) {
    return ++((ticking *)(uintptr_t)clock)->looks * 1000;
}

// The host's clock says nothing of a simulated device, whose own gives the same each time.
TEST(a_simulated_device_is_measured_by_its_clocks) {
    const ticking slow = {.clock = {.now_ns = ticking_now}};
    csti_break_even found[2];
    cst_schema keys;

    CHECK_OK(cst_schema_parse("u64", &keys, NULL));
    for (int i = 0; i < 2; i++) {
        cst_device *device = NULL;

        CHECK_OK(cst_device_open("sim:", &device, NULL));
        CHECK_OK(csti_break_even_measure(device, &keys, i ? &slow.clock : csti_clock_real(),
                                         &found[i], NULL));
        cst_device_close(device);
        CHECK(found[i].device_modelled);
    }
    printf("%.0f ns a command, %.2f a row; ", found[0].device.command_ns, found[0].device.row_ns);
    CHECK(found[0].device.command_ns == found[1].device.command_ns);
    CHECK(found[0].device.row_ns == found[1].device.row_ns);
    CHECK(found[0].device.row_ns > 1 && found[0].device.row_ns < 100);
    // On a processor that takes a microsecond for any batch nothing is won.
    CHECK_EQ(found[1].rows_min, CSTI_BREAK_EVEN_NEVER);
}
#endif

TEST_MAIN
