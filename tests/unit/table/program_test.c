// What an upsert does to a value: accumulators by themselves, and all of them together.
#include "table/program.h"

#include "test.h"

enum { ROWS = 64, VALUE_BYTES = 64, ROUNDS = 400 };

// Random accumulators over columns with and without nulls, a presence word behind them.
typedef struct drawn {
    cst_program program;
    uint64_t columns[CST_ACCUMULATORS_MAX][ROWS];
    uint8_t validity[CST_ACCUMULATORS_MAX][ROWS / 8];
    cst_source sources[CST_ACCUMULATORS_MAX];
    cst_rows rows;
} drawn;

static void draw(drawn *d, uint64_t values_below) {
    const uint16_t count = (uint16_t)(1 + test_random_below(6));

    memset(d, 0, sizeof *d);
    d->program = (cst_program){.value_bytes = VALUE_BYTES,
                               .accumulators_count = count,
                               .presence_offset = VALUE_BYTES - 8};
    for (uint16_t i = 0; i < count; i++) {
        d->program.accumulators[i] =
            (cst_accumulator){.op = (uint8_t)(CST_COUNT + test_random_below(CST_LAST)),
                              .number = CST_U64,
                              .value_offset = (uint16_t)(i * 8),
                              .source = i};
        for (uint32_t r = 0; r < ROWS; r++) d->columns[i][r] = test_random_below(values_below);
        for (uint32_t b = 0; b < ROWS / 8; b++) d->validity[i][b] = (uint8_t)test_random();
        d->sources[i] = (cst_source){.values = d->columns[i],
                                     .validity = test_random_below(2) ? d->validity[i] : NULL,
                                     .type = CST_TYPE_U64};
    }
    d->rows = (cst_rows){.rows_count = ROWS, .sources = d->sources};
    CHECK_OK(csti_program_check(&d->program, NULL));
}

TEST(one_by_one_they_fold_to_what_they_fold_to_together) {
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t each[VALUE_BYTES / 8] = {0}, all[VALUE_BYTES / 8] = {0};
        uint64_t left_out = 0;
        drawn d;

        draw(&d, 1000);
        for (uint32_t r = 0; r < ROWS; r++) {
            csti_program_fold_each(&d.program, &d.rows, r, r == 0, &left_out, (uint8_t *)each);
            CHECK_OK(csti_program_fold(&d.program, &d.rows, r, r == 0, (uint8_t *)all));
            CHECK_BYTES(each, all, VALUE_BYTES);
        }
        CHECK_EQ(left_out, 0);
        CHECK(each[VALUE_BYTES / 8 - 1] != 0);
    }
}

TEST(one_that_would_overflow_stays_as_it_is_and_the_others_go_on) {
    bool any = false;

    for (int round = 0; round < ROUNDS; round++) {
        uint64_t value[VALUE_BYTES / 8] = {0}, before[VALUE_BYTES / 8];
        uint64_t left_out = 0;
        drawn d;

        draw(&d, UINT64_MAX / 8);
        for (uint32_t r = 0; r < ROWS; r++) {
            const uint64_t out = left_out;

            memcpy(before, value, sizeof before);
            csti_program_fold_each(&d.program, &d.rows, r, r == 0, &left_out, (uint8_t *)value);
            CHECK_EQ(left_out & out, out); // who is out stays out
            for (uint32_t i = 0; i < d.program.accumulators_count; i++) {
                const cst_accumulator *accumulator = &d.program.accumulators[i];
                uint64_t sum;

                if (!(left_out >> i & 1)) continue;
                CHECK_EQ(value[i], before[i]);
                CHECK_EQ(accumulator->op, CST_SUM);
                if (out >> i & 1) continue;
                CHECK(__builtin_add_overflow(before[i], d.columns[i][r], &sum));
            }
            any |= left_out != 0;
        }
    }
    CHECK(any);
}

// Other numbers than u64, whose sums are exact; no `last`.
static void numbers_draw(drawn *d) {
    static const cst_type types[] = {
        [CST_U64] = CST_TYPE_U64, [CST_I64] = CST_TYPE_I64, [CST_F64] = CST_TYPE_F64};

    draw(d, 1000);
    for (uint16_t i = 0; i < d->program.accumulators_count; i++) {
        cst_accumulator *accumulator = &d->program.accumulators[i];

        if (accumulator->op == CST_LAST) accumulator->op = CST_MAX;
        if (accumulator->op == CST_COUNT) continue;
        accumulator->number = (uint8_t)(CST_U64 + test_random_below(3));
        d->sources[i].type = types[accumulator->number];
        for (uint32_t r = 0; accumulator->number == CST_F64 && r < ROWS; r++) {
            const double number = (double)d->columns[i][r] - 500;

            memcpy(&d->columns[i][r], &number, sizeof number);
        }
    }
}

TEST(values_of_two_parts_of_the_rows_merge_to_the_value_of_all) {
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t all[VALUE_BYTES / 8] = {0}, parts[2][VALUE_BYTES / 8] = {{0}};
        bool any[2] = {false, false};
        drawn d;

        numbers_draw(&d);
        for (uint32_t r = 0; r < ROWS; r++) {
            const uint32_t part = r < 2 ? r : (uint32_t)test_random_below(2);

            CHECK_OK(csti_program_fold(&d.program, &d.rows, r, r == 0, (uint8_t *)all));
            CHECK_OK(csti_program_fold(&d.program, &d.rows, r, !any[part], (uint8_t *)parts[part]));
            any[part] = true;
        }
        CHECK_OK(csti_program_merge(&d.program, (uint8_t *)parts[1], (uint8_t *)parts[0]));
        CHECK_BYTES(parts[0], all, VALUE_BYTES);
    }
}

TEST(a_merge_of_decimals_takes_both_words_and_says_where_it_overflows) {
    const cst_program program = {
        .value_bytes = 16,
        .accumulators_count = 1,
        .presence_offset = CST_NO_OFFSET,
        .accumulators = {
            {.op = CST_SUM, .number = CST_DECIMAL128, .value_offset = 0, .source = 0}}};
    const uint64_t most[2] = {0, UINT64_C(0x4b3b4ca85a86c479)}; // just below 10^38
    uint64_t value[2] = {1, 2};
    const uint64_t more[2] = {UINT64_MAX, 3};
    const uint64_t sum[2] = {0, 6}; // with what is carried

    CHECK_OK(csti_program_merge(&program, (const uint8_t *)more, (uint8_t *)value));
    CHECK_BYTES(value, sum, sizeof sum);
    CHECK_CODE(csti_program_merge(&program, (const uint8_t *)most, (uint8_t *)value),
               CST_SUM_OVERFLOW);
}

TEST(a_rows_operand_is_its_value_and_of_a_count_that_there_is_one) {
    static const int64_t numbers[] = {-5, 7};
    static const double doubles[] = {0, -2.5};
    static const uint64_t units[][2] = {{0, 0}, {3, UINT64_MAX}}; // the low words first
    static const uint8_t second_alone = 2;
    const cst_accumulator sum_i64 = {.op = CST_SUM, .number = CST_I64};
    const cst_accumulator sum_f64 = {.op = CST_SUM, .number = CST_F64};
    const cst_accumulator sum_decimal = {.op = CST_SUM, .number = CST_DECIMAL128};
    const cst_accumulator count = {.op = CST_COUNT, .number = CST_U64};
    const cst_source some_i64 = {.values = numbers,
                                 .validity = &second_alone,
                                 .type = CST_TYPE_I64};
    const cst_source all_f64 = {.values = doubles, .type = CST_TYPE_F64};
    const cst_source all_decimal = {.values = units, .type = CST_TYPE_DECIMAL128};
    uint64_t words[2] = {1, 1};

    CHECK(!csti_program_operand(&sum_i64, &some_i64, 0, words));
    CHECK_EQ(words[0], 0);
    CHECK(csti_program_operand(&sum_i64, &some_i64, 1, words));
    CHECK_EQ(words[0], 7);
    CHECK(!csti_program_operand(&count, &some_i64, 0, words));
    CHECK(csti_program_operand(&count, &some_i64, 1, words));
    CHECK_EQ(words[0], 0); // not the value
    CHECK(csti_program_operand(&sum_f64, &all_f64, 1, words));
    CHECK_BYTES(words, &doubles[1], sizeof doubles[1]);
    CHECK(csti_program_operand(&sum_decimal, &all_decimal, 1, words));
    CHECK_BYTES(words, &units[1], sizeof units[1]);
}

TEST_MAIN
