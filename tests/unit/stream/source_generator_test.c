#include "stream/source.h"
#include "stream/source_offset.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>

static csti_source_options options_of(uint64_t rows, uint32_t stripes, uint32_t batch_rows) {
    return (csti_source_options){.kind = CSTI_SOURCE_GENERATOR,
                                 .generator = "orders", // its first column is the row's number + 1
                                 .generate = {.seed = 5, .skew = -1},
                                 .rows = rows,
                                 .stripes = stripes,
                                 .batch_rows = batch_rows};
}

// Counts each row of the split in seen[]; reopens it at its offset after every `reopen` batches.
static void split_read(csti_source *source, const char *name, uint8_t *seen, uint64_t rows,
                       int reopen) {
    char offset[CSTI_OFFSET_BYTES_MAX] = "";
    csti_split *split = NULL;
    bool ended = false;
    int batches = 0;

    CHECK_OK(csti_split_open(source, name, NULL, &split, NULL));
    while (!ended) {
        cst_batch batch;
        const uint64_t *orders;

        CHECK_OK(csti_split_next(split, (uint32_t)(batches % 3) * 700, &batch, &ended, NULL));
        if (batches % 3) CHECK(batch.rows_count <= (uint32_t)(batches % 3) * 700);
        if (!ended) CHECK_OK(cst_batch_check(&batch, NULL));
        orders = batch.rows_count ? batch.columns[0].values.data : NULL;
        for (uint32_t r = 0; r < batch.rows_count; r++) {
            CHECK(orders[r] >= 1 && orders[r] <= rows);
            CHECK_EQ(seen[orders[r] - 1], 0);
            seen[orders[r] - 1] = 1;
        }
        CHECK_EQ(ended, batch.rows_count == 0);
        if (++batches % reopen != 0) continue;
        (void)snprintf(offset, CSTI_OFFSET_BYTES_MAX, "%s", csti_split_offset(split));
        csti_split_close(split);
        CHECK_OK(csti_split_open(source, name, offset, &split, NULL));
    }
    csti_split_close(split);
}

TEST(every_row_comes_once_whatever_the_stripes_and_batches) {
    static const uint64_t rows[] = {1, 8191, 8192, 8193, 100000};
    static const uint32_t batches[] = {1000, 8192, 20000};

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (uint32_t stripes = 1; stripes <= 5; stripes += 2)
            for (size_t b = 0; b < sizeof batches / sizeof *batches; b++) {
                const csti_source_options options = options_of(rows[i], stripes, batches[b]);
                uint8_t *seen = calloc(rows[i], 1);
                csti_source *source = NULL;

                CHECK(seen);
                CHECK_OK(csti_source_open(&options, &source, NULL));
                CHECK_EQ(csti_source_splits_count(source), stripes);
                for (uint32_t s = 0; s < stripes; s++)
                    split_read(source, csti_source_split_name(source, s), seen, rows[i],
                               1 + (int)s);
                for (uint64_t r = 0; r < rows[i]; r++) CHECK_EQ(seen[r], 1);
                csti_source_close(source);
                free(seen);
            }
}

TEST(a_stripe_has_the_blocks_of_its_number) {
    const csti_source_options options = options_of(0, 3, 0);
    csti_source *source = NULL;
    csti_split *split = NULL;
    bool ended = false;
    cst_batch batch;

    CHECK_OK(csti_source_open(&options, &source, NULL));
    CHECK_OK(csti_split_open(source, "generator-2", NULL, &split, NULL));
    for (uint64_t block = 2; block < 20; block += 3) {
        CHECK_OK(csti_split_next(split, 0, &batch, &ended, NULL));
        CHECK_EQ(batch.rows_count, CSTI_STRIPE_ROWS);
        CHECK_EQ(*(const uint64_t *)batch.columns[0].values.data, block * CSTI_STRIPE_ROWS + 1);
    }
    csti_split_close(split);
    csti_source_close(source);
}

TEST(the_rows_left_are_counted) {
    const csti_source_options options = options_of(30000, 2, 5000);
    uint64_t rows = 0;
    csti_source *source = NULL;
    csti_split_stats stats;

    CHECK_OK(csti_source_open(&options, &source, NULL));
    for (uint32_t s = 0; s < 2; s++) {
        csti_split *split = NULL;
        bool ended = false;

        CHECK_OK(csti_split_open(source, csti_source_split_name(source, s), NULL, &split, NULL));
        csti_split_stats_read(split, &stats);
        rows += stats.lag_bytes;
        while (!ended) {
            const uint64_t left = stats.lag_bytes;
            cst_batch batch;

            CHECK_OK(csti_split_next(split, 0, &batch, &ended, NULL));
            csti_split_stats_read(split, &stats);
            CHECK_EQ(stats.lag_bytes, left - batch.rows_count);
        }
        CHECK_EQ(stats.lag_bytes, 0);
        csti_split_close(split);
    }
    CHECK_EQ(rows, 30000);
    csti_source_close(source);
}

TEST(an_offset_of_other_stripes_is_refused) {
    const csti_source_options options = options_of(30000, 2, 0);
    csti_source *source = NULL;
    csti_split *split = NULL;
    cst_err err = {0};

    CHECK_OK(csti_source_open(&options, &source, NULL));
    CHECK_CODE(csti_split_open(source, "generator-0", "{\"row\":0,\"stripes\":3}", &split, &err),
               CST_SOURCE_CHANGED);
    CHECK(strstr(err.text, "generator-0") && strstr(err.text, "3 stripes"));
    CHECK_CODE(csti_split_open(source, "generator-2", "{\"row\":0,\"stripes\":3}", &split, &err),
               CST_SOURCE_CHANGED);
    CHECK_CODE(csti_split_open(source, "generator-2", NULL, &split, &err), CST_NOT_FOUND);
    CHECK_CODE(csti_split_open(source, "generator-0", "{\"row\":0}", &split, &err), CST_PARSE);
    CHECK(split == NULL);
    csti_source_close(source);
}

// Opens the only split of the options' source at the offset; out: the offset behind its first
// batch.
static cst_code goes_on(const csti_source_options *options, const char *offset,
                        char out[CSTI_OFFSET_BYTES_MAX], cst_err *err) {
    csti_source *source = NULL;
    csti_split *split = NULL;
    bool ended = false;
    cst_batch batch;
    cst_code code;

    CHECK_OK(csti_source_open(options, &source, NULL));
    code = csti_split_open(source, "generator-0", offset, &split, err);
    if (code == CST_OK) {
        CHECK_OK(csti_split_next(split, 0, &batch, &ended, NULL));
        (void)snprintf(out, CSTI_OFFSET_BYTES_MAX, "%s", csti_split_offset(split));
    }
    csti_split_close(split);
    csti_source_close(source);
    return code;
}

TEST(an_offset_of_another_stream_is_refused_and_says_what_differs) {
    static const struct {
        const char *workload;
        cst_generator_options generate;
        const char *wanted;
    } cases[] = {
        {"bids", {.seed = 5, .skew = -1}, "its name was orders, now it is bids"},
        {"orders", {.seed = 6, .skew = -1}, "its seed was 5, now it is 6"},
        {"orders", {.seed = 5, .skew = -1, .keys = 7}, "its keys was 100000, now it is 7"},
        {"orders", {.seed = 5, .skew = 0.5}, "its skew was 0.99, now it is 0.5"},
    };
    csti_source_options options = options_of(30000, 1, 0);
    char offset[CSTI_OFFSET_BYTES_MAX], behind[CSTI_OFFSET_BYTES_MAX];
    cst_err err = {0};

    CHECK_OK(goes_on(&options, NULL, offset, &err));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        options.generator = cases[i].workload;
        options.generate = cases[i].generate;
        CHECK_CODE(goes_on(&options, offset, behind, &err), CST_SOURCE_CHANGED);
        if (!strstr(err.text, "generator-0") || !strstr(err.text, cases[i].wanted))
            TEST_FAIL("'%s', wanted '%s'", err.text, cases[i].wanted);
    }
    options.generate = (cst_generator_options){.seed = 5, .skew = 0.99, .keys = 100000};
    options.generator = "orders"; // its own keys and skew, by their names
    options.rows = 60000;
    CHECK_OK(goes_on(&options, offset, behind, &err));
    CHECK(strstr(behind, "{\"row\":16384,\"stripes\":1,"));
}

TEST(an_offset_that_does_not_say_of_what_stream_is_taken_as_it_is) {
    csti_source_options options = options_of(30000, 1, 0);
    char behind[CSTI_OFFSET_BYTES_MAX];
    cst_err err = {0};

    options.generate.seed = 6;
    CHECK_OK(goes_on(&options, "{\"row\":8192,\"stripes\":1}", behind, &err));
    CHECK(strstr(behind, "\"seed\":6,"));
    CHECK_CODE(goes_on(&options, "{\"row\":8192,\"stripes\":1,\"seed\":5}", behind, &err),
               CST_SOURCE_CHANGED);
}

TEST(options_out_of_range_are_refused) {
    csti_source_options options = options_of(1, 0, 0);
    csti_source *source = NULL;

    CHECK_CODE(csti_source_open(&options, &source, NULL), CST_USAGE);
    options.stripes = CSTI_STRIPES_MAX + 1;
    CHECK_CODE(csti_source_open(&options, &source, NULL), CST_USAGE);
    options.stripes = 1;
    options.batch_rows = CSTI_SOURCE_BATCH_ROWS_MAX + 1;
    CHECK_CODE(csti_source_open(&options, &source, NULL), CST_USAGE);
    options.batch_rows = 0;
    options.generator = "nothing";
    CHECK_CODE(csti_source_open(&options, &source, NULL), CST_NOT_FOUND);
    CHECK(source == NULL);
}

TEST(offsets_are_read_as_written_and_strictly) {
    static const char *const names[] = {"row", "row_of", "x"};
    static const char *const bad[] = {
        "",
        "{}",
        "{\"row\":1,\"row_of\":2}",
        "{\"row\":1,\"row_of\":2,\"x\":3,\"y\":4}",
        "{\"row\":1,\"row_of\":2,\"y\":3}",
        "{\"row\":1,\"row\":2,\"x\":3}",
        "{\"row\":-1,\"row_of\":2,\"x\":3}",
        "{\"row\":1.0,\"row_of\":2,\"x\":3}",
        "{\"row\":\"1\",\"row_of\":2,\"x\":3}",
        "{\"row\":18446744073709551616,\"row_of\":2,\"x\":3}",
        "{\"row\":1,\"row_of\":2,\"x\":3",
        "{\"row\":1,\"row_of\":2,\"x\":3}}",
    };
    const uint64_t values[] = {0, UINT64_MAX, 7};
    uint64_t back[3] = {0};
    char text[CSTI_OFFSET_BYTES_MAX];

    csti_offset_write(names, values, 3, text);
    CHECK_TEXT(text, "{\"row\":0,\"row_of\":18446744073709551615,\"x\":7}");
    CHECK_OK(csti_offset_read(text, names, back, 3, 3, NULL));
    CHECK_BYTES(values, back, sizeof values);
    CHECK_OK(
        csti_offset_read(" { \"x\" : 3 ,\n\"row_of\":2,\"row\": 1 } ", names, back, 3, 3, NULL));
    CHECK(back[0] == 1 && back[1] == 2 && back[2] == 3);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK_CODE(csti_offset_read(bad[i], names, back, 3, 3, NULL), CST_PARSE);
    CHECK_EQ(back[0], 1);
    back[2] = 9; // may be missing now
    CHECK_OK(csti_offset_read("{\"row_of\":4,\"row\":3}", names, back, 2, 3, NULL));
    CHECK(back[0] == 3 && back[1] == 4 && back[2] == 9);
    CHECK_OK(csti_offset_read("{\"x\":5,\"row_of\":4,\"row\":3}", names, back, 2, 3, NULL));
    CHECK_EQ(back[2], 5);
    CHECK_CODE(csti_offset_read("{\"row\":3,\"x\":5}", names, back, 2, 3, NULL), CST_PARSE);
}

TEST_MAIN
