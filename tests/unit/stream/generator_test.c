#include "stream/row_text.h"
#include "stream/zipf.h"
#include "test.h"

#include <constellation/generator.h>
#include <constellation/keys.h>
#include <math.h>

enum { TEXT_BYTES = 1 << 20 };

// All rows of a run as text, made in batches of the given size.
static size_t rows_text(const char *name, uint64_t first_row, uint32_t rows_count,
                        uint32_t batch_rows, csti_row_format format, char *out) {
    const cst_generator_options options = {.seed = 5, .skew = -1, .first_row = first_row};
    cst_generator *generator = NULL;
    const char *names[CST_COLUMNS_MAX];
    size_t used = 0;

    CHECK_OK(cst_generator_open(name, &options, &generator, NULL));
    for (uint32_t c = 0; c < CST_COLUMNS_MAX; c++) names[c] = cst_generator_column(generator, c);
    while (rows_count > 0) {
        const uint32_t count = rows_count < batch_rows ? rows_count : batch_rows;
        cst_batch batch;
        uint32_t row = 0;

        CHECK_OK(cst_generator_next(generator, count, &batch));
        CHECK_OK(cst_batch_check(&batch, NULL));
        while (row < count) {
            size_t bytes = 0;
            CHECK_OK(csti_rows_write(&batch, names, format, &row, out + used, TEXT_BYTES - used,
                                     &bytes));
            used += bytes;
        }
        rows_count -= count;
    }
    cst_generator_close(generator);
    return used;
}

TEST(ranks_by_fours_are_those_that_come_one_by_one) {
    enum { COUNT = 4099 };
    static const double skews[] = {0.01, 0.5, 0.99, 1, 1.2, 3, 10}; // 0: another way altogether
    static const uint64_t keys[] = {1, 2, 3, 1000, 10000000, UINT64_C(1) << 40};
    static uint64_t states[COUNT], ranks[COUNT];

    for (size_t s = 0; s < sizeof skews / sizeof *skews; s++)
        for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) {
            csti_zipf zipf;

            csti_zipf_init(&zipf, keys[k], skews[s]);
            for (int i = 0; i < COUNT; i++) states[i] = test_random();
            memset(ranks, 0xff, sizeof ranks);
            csti_zipf_ranks(&zipf, states, COUNT, ranks);
            for (int i = 0; i < COUNT; i++) CHECK_EQ(ranks[i], csti_zipf_rank(&zipf, states[i]));
            zipf.by_fours = false; // as on a processor without AVX2
            csti_zipf_ranks(&zipf, states, COUNT, ranks);
            for (int i = 0; i < COUNT; i++) CHECK_EQ(ranks[i], csti_zipf_rank(&zipf, states[i]));
        }
}

TEST(batches_of_any_size_hold_the_same_rows) {
    char *a = malloc(TEXT_BYTES);
    char *b = malloc(TEXT_BYTES);

    CHECK(a && b);
    for (size_t i = 0; cst_generator_name(i); i++) {
        const size_t bytes = rows_text(cst_generator_name(i), 17, 3000, 3000, CSTI_ROW_CSV, a);
        CHECK_EQ(rows_text(cst_generator_name(i), 17, 3000, 7, CSTI_ROW_CSV, b), bytes);
        CHECK_BYTES(a, b, bytes);
    }
    free(a);
    free(b);
}

TEST(the_largest_batch_fits) {
    for (size_t i = 0; cst_generator_name(i); i++) {
        const cst_generator_options options = {.seed = 5, .skew = -1};
        cst_generator *generator = NULL;
        cst_batch batch;

        CHECK_OK(cst_generator_open(cst_generator_name(i), &options, &generator, NULL));
        CHECK_CODE(cst_generator_next(generator, 0, &batch), CST_USAGE);
        CHECK_CODE(cst_generator_next(generator, CST_GENERATOR_ROWS_MAX + 1, &batch), CST_USAGE);
        CHECK_OK(cst_generator_next(generator, CST_GENERATOR_ROWS_MAX, &batch));
        CHECK_OK(cst_batch_check(&batch, NULL));
        cst_generator_close(generator);
    }
    CHECK(!cst_generator_name(99));
}

TEST(ranks_stay_in_range_at_the_ends) {
    static const double skews[] = {0, 0.5, 0.9999999, 1, 1.0000001, 2, 10};
    static const uint64_t counts[] = {1, 2, 3, 1000, UINT64_C(1) << 40};

    for (size_t s = 0; s < sizeof skews / sizeof *skews; s++) {
        for (size_t n = 0; n < sizeof counts / sizeof *counts; n++) {
            csti_zipf zipf;
            csti_zipf_init(&zipf, counts[n], skews[s]);
            for (int i = 0; i < 2000; i++) {
                const uint64_t rank = csti_zipf_rank(&zipf, test_random());
                CHECK(rank >= 1 && rank <= counts[n]);
            }
        }
    }
}

TEST(every_type_has_its_text) {
    const cst_schema schema = {.columns_count = 6,
                               .columns = {{.type = CST_TYPE_F64},
                                           {.type = CST_TYPE_BOOL},
                                           {.type = CST_TYPE_FIXED, .width = 2},
                                           {.type = CST_TYPE_STRING, .nullable = true},
                                           {.type = CST_TYPE_I8},
                                           {.type = CST_TYPE_DECIMAL128, .scale = 1}}};
    const double f64[2] = {0.5, (double)INFINITY};
    const uint8_t yes[2] = {1, 0};
    const uint8_t fixed[4] = {1, 2, 3, 4};
    const int32_t offsets[3] = {0, 4, 4};
    const uint8_t present[1] = {1};
    const int8_t small[2] = {-128, 0};
    const cst_i128 decimal[2] = {-5, 105};
    const cst_column_data columns[6] = {{.values = {f64, sizeof f64}},
                                        {.values = {yes, sizeof yes}},
                                        {.values = {fixed, sizeof fixed}},
                                        {.values = {"a\"\n,", 4},
                                         .offsets = {offsets, sizeof offsets},
                                         .validity = {present, 1}},
                                        {.values = {small, sizeof small}},
                                        {.values = {decimal, sizeof decimal}}};
    const cst_batch batch = {.schema = &schema, .rows_count = 2, .columns = columns};
    const char *const names[6] = {"f", "b", "x", "s", "i", "d"};
    char out[4096];
    size_t bytes = 0;
    uint32_t row = 0;

    CHECK_OK(cst_batch_check(&batch, NULL));
    CHECK_OK(csti_rows_write(&batch, names, CSTI_ROW_NDJSON, &row, out, sizeof out, &bytes));
    out[bytes] = '\0';
    CHECK_TEXT(
        out, "{\"f\":0.5,\"b\":true,\"x\":\"0102\",\"s\":\"a\\\"\\u000a,\",\"i\":-128,\"d\":-0.5}\n"
             "{\"f\":\"inf\",\"b\":false,\"x\":\"0304\",\"s\":null,\"i\":0,\"d\":10.5}\n");
    row = 0;
    CHECK_OK(csti_rows_write(&batch, names, CSTI_ROW_CSV, &row, out, sizeof out, &bytes));
    out[bytes] = '\0';
    CHECK_TEXT(out, "0.5,true,0102,\"a\"\"\n,\",-128,-0.5\ninf,false,0304,,0,10.5\n");
    row = 0;
    CHECK_CODE(csti_rows_write(&batch, names, CSTI_ROW_CSV, &row, out, 10, &bytes), CST_LIMIT);
    CHECK_CODE(csti_rows_write_header(&schema, names, out, 5, &bytes), CST_LIMIT);
    CHECK_OK(csti_rows_write_header(&schema, names, out, sizeof out, &bytes));
    CHECK_BYTES(out, "f,b,x,s,i,d\n", 12);
}

TEST_MAIN
