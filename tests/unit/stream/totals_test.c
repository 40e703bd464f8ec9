#include "stream/totals.h"

#include "table/program.h"
#include "test.h"

enum { KEYS = 20, VALUE_BYTES = 48, ROWS = 500 };

// count, sum of i64, min and max of u64, last of u64; sources may be null.
static const cst_program program = {
    .value_bytes = VALUE_BYTES,
    .accumulators_count = 5,
    .presence_offset = 40,
    .accumulators = {
        {.op = CST_COUNT, .number = CST_U64, .value_offset = 0, .source = CST_NO_COLUMN},
        {.op = CST_SUM, .number = CST_I64, .value_offset = 8, .source = 0},
        {.op = CST_MIN, .number = CST_U64, .value_offset = 16, .source = 1},
        {.op = CST_MAX, .number = CST_U64, .value_offset = 24, .source = 1},
        {.op = CST_LAST, .number = CST_U64, .value_offset = 32, .source = 1}}};

typedef struct rows {
    int64_t amounts[ROWS];
    uint64_t heights[ROWS];
    uint8_t valid[2][(ROWS + 7) / 8];
    cst_source sources[2];
    cst_rows rows;
} rows;

static void rows_draw(rows *r, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        r->amounts[i] = (int64_t)test_random() >> 30;
        r->heights[i] = test_random() >> test_random_below(64);
    }
    for (size_t i = 0; i < sizeof r->valid[0]; i++) {
        r->valid[0][i] = (uint8_t)test_random();
        r->valid[1][i] = (uint8_t)test_random();
    }
    r->sources[0] = (cst_source){r->amounts, r->valid[0], CST_TYPE_I64};
    r->sources[1] = (cst_source){r->heights, r->valid[1], CST_TYPE_U64};
    r->rows = (cst_rows){.rows_count = count, .sources = r->sources};
}

static void init(csti_totals *totals, const cst_program *of) {
    CHECK_OK(csti_totals_init(totals, of, NULL));
}

// Some rows as values of their keys, as if restored, then the others as rows.
TEST(totals_of_restored_keys_and_of_rows_equal_a_fold_of_all_rows) {
    for (int round = 0; round < 200; round++) {
        uint8_t keys[KEYS][VALUE_BYTES] = {{0}}, all[VALUE_BYTES] = {0};
        bool filled[KEYS] = {false};
        static rows before, behind;
        csti_totals totals;
        const uint64_t nothing = 0;

        rows_draw(&before, (uint32_t)test_random_below(ROWS + 1));
        rows_draw(&behind, (uint32_t)test_random_below(ROWS + 1));
        init(&totals, &program);
        for (uint32_t r = 0; r < before.rows.rows_count; r++) {
            const uint32_t key = (uint32_t)test_random_below(KEYS);

            CHECK_OK(csti_program_fold(&program, &before.rows, r, !filled[key], keys[key]));
            CHECK_OK(csti_program_fold(&program, &before.rows, r, r == 0, all));
            filled[key] = true;
        }
        for (uint32_t r = 0; r < behind.rows.rows_count; r++)
            CHECK_OK(csti_program_fold(&program, &behind.rows, r, false, all));
        for (uint32_t k = 0; k < KEYS; k++)
            if (filled[k]) csti_totals_add_value(&totals, keys[k], 0);
        csti_totals_add_rows(&totals, &behind.rows);
        CHECK_EQ(totals.any, before.rows.rows_count + behind.rows.rows_count > 0);
        CHECK_EQ(csti_totals_overflowed(&totals), 0);
        CHECK(!totals.lost);
        CHECK_BYTES(totals.value, all, 32);
        CHECK_BYTES(totals.value + 32, &nothing, 8); // last
    }
}

TEST(a_sum_that_overflows_is_left_out_and_the_others_go_on) {
    static rows r;
    csti_totals totals;
    uint64_t count;

    init(&totals, &program);
    rows_draw(&r, 3);
    memset(r.valid, 0xff, sizeof r.valid);
    r.amounts[0] = r.amounts[1] = INT64_MAX;
    r.amounts[2] = -INT64_MAX; // the sum would fit again: it stays marked
    csti_totals_add_rows(&totals, &r.rows);
    CHECK_EQ(csti_totals_overflowed(&totals), 1 << 1);
    memcpy(&count, totals.value, sizeof count);
    CHECK_EQ(count, 3);
    CHECK(!totals.lost);
}

TEST(what_overflowed_elsewhere_is_left_out_here) {
    uint8_t value[VALUE_BYTES] = {1};
    csti_totals totals;

    init(&totals, &program);
    csti_totals_add_value(&totals, value, 1 << 1);
    CHECK_EQ(csti_totals_overflowed(&totals), 1 << 1);
}

TEST(a_delete_loses_the_totals) {
    static const uint8_t ops[2] = {CST_ROW_UPSERT, CST_ROW_DELETE};
    static rows r;
    csti_totals totals;

    init(&totals, &program);
    rows_draw(&r, 2);
    r.rows.ops = ops;
    csti_totals_add_rows(&totals, &r.rows);
    CHECK(totals.lost);
}

TEST(programs_that_cannot_be_are_refused) {
    cst_program other = program;
    csti_totals totals;

    other.accumulators_count = 0;
    CHECK_CODE(csti_totals_init(&totals, &other, NULL), CST_USAGE);
    other = program;
    other.accumulators[0].op = 9;
    CHECK_CODE(csti_totals_init(&totals, &other, NULL), CST_USAGE);
}

TEST_MAIN
