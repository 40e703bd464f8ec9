// GROW is one bounded step: what it may touch is counted, not timed.
#include "unit/table/fixture.h"

static uint64_t hash_of(uint64_t number) {
    return cst_hash(&FIXTURE_KEY, &number, 8);
}

// Puts rows, of those whose hash ends in zeros where `mask` is 1, until there is no place for one.
static void fill_until_full_of(cst_table *table, uint64_t *number, uint64_t mask) {
    static fixture_rows batch;
    uint32_t applied = 0;

    for (;;) {
        cst_code code;

        while ((hash_of(*number) & mask) != 0) ++*number;
        fixture_fill(&batch, *number, 1);
        code = cst_table_apply(table, &batch.rows, &applied);
        if (code == CST_TABLE_FULL) return;
        if (code == CST_TABLE_NOT_READY)
            CHECK_OK(cst_table_prepare(table, NULL));
        else
            CHECK_OK(code);
        if (applied == 1) ++*number;
    }
}

static void fill_until_full(cst_table *table, uint64_t *number) {
    fill_until_full_of(table, number, 0);
}

typedef struct before {
    uint32_t chunks_frontier;
    uint32_t directory_rows;
    csti_directory_row *directory;
    uint8_t *index;
} before;

static before remember(const cst_table *table) {
    before b = {.chunks_frontier = table->control->chunks_frontier,
                .directory_rows = table->control->directory_rows};
    const size_t index_bytes = (size_t)b.chunks_frontier * 512;

    b.directory = malloc(b.directory_rows * sizeof *b.directory);
    b.index = malloc(index_bytes);
    CHECK(b.directory && b.index);
    memcpy(b.directory, table->directory, b.directory_rows * sizeof *b.directory);
    memcpy(b.index, table->index, index_bytes);
    return b;
}

// How many chunks and directory rows differ from before, new ones too; ends the memory.
static void count_touched(const cst_table *table, before *b, uint32_t *chunks_out,
                          uint32_t *rows_out) {
    const uint32_t rows_old = b->directory_rows;

    *chunks_out = table->control->chunks_frontier - b->chunks_frontier;
    for (uint32_t c = 0; c < b->chunks_frontier; c++)
        *chunks_out += memcmp(table->index + (size_t)c * 512, b->index + (size_t)c * 512, 512) != 0;
    *rows_out = table->control->directory_rows - rows_old;
    for (uint32_t r = 0; r < rows_old; r++)
        *rows_out += memcmp(&table->directory[r], &b->directory[r], sizeof *b->directory) != 0;
    free(b->directory);
    free(b->index);
}

TEST(a_step_touches_one_segment_and_a_bounded_part_of_the_directory) {
    cst_table_options options = fixture_options();
    cst_table *table;
    uint64_t number = 0;

    options.budget_bytes = UINT64_C(256) << 20;
    table = fixture_open(&options);
    for (int step = 0; step < 600; step++) {
        uint32_t chunks, rows;
        uint32_t segment_rows;
        before b;
        cst_code code;

        fill_until_full(table, &number);
        segment_rows = 1u << (table->control->directory_depth + 1 -
                              csti_directory_find(table, hash_of(number))->depth);
        b = remember(table);
        code = cst_table_grow(table, hash_of(number));
        count_touched(table, &b, &chunks, &rows);
        // At most 7 chunks are left, and 7 + 7 are new; the directory's rows of one segment change,
        // and 1,024 are copied ahead.
        CHECK(chunks <= 7 + 7 + 7);
        CHECK(rows <= segment_rows + CSTI_EXTEND_ROWS);
        if (code == CST_TABLE_NOT_READY)
            CHECK_OK(cst_table_prepare(table, NULL));
        else if (code != CST_AGAIN)
            CHECK_OK(code);
    }
    CHECK(table->control->splits_count > 20);
    fixture_check(table);
    cst_table_close(table);
}

// Rows whose hashes end in zeros split the first segment again and again, and the directory
// follows.
TEST(a_directory_of_thousands_of_rows_doubles_1024_at_a_time) {
    const cst_table_options options = fixture_options();
    cst_table *table = fixture_open(&options);
    const csti_control *control = table->control;
    uint32_t pieces = 0;

    for (uint64_t number = 0; control->directory_depth < 12;) {
        const uint32_t rows = control->directory_rows;
        cst_code code;

        fill_until_full_of(table, &number, (1u << table->directory[0].depth) - 1);
        code = cst_table_grow(table, hash_of(number));
        if (code == CST_TABLE_NOT_READY)
            CHECK_OK(cst_table_prepare(table, NULL));
        else if (code != CST_AGAIN)
            CHECK_OK(code);
        if (rows >= CSTI_EXTEND_ROWS && control->directory_rows != rows) {
            CHECK_EQ(control->directory_rows, rows + CSTI_EXTEND_ROWS);
            pieces++;
        }
    }
    CHECK_EQ(pieces, 1 + 2);
    fixture_check(table);
    cst_table_close(table);
}

TEST(a_segment_grows_chunk_by_chunk_and_then_splits) {
    const cst_table_options options = fixture_options();
    cst_table *table = fixture_open(&options);
    uint64_t number = 0;

    for (uint32_t chunks = 5; chunks <= 7; chunks++) {
        fill_until_full(table, &number);
        CHECK_OK(cst_table_grow(table, hash_of(number)));
        CHECK_EQ(table->directory[0].chunks, chunks);
        CHECK_EQ(table->control->splits_count, 0);
    }
    fill_until_full(table, &number);
    CHECK_OK(cst_table_grow(table, hash_of(number)));
    CHECK_EQ(table->control->splits_count, 1);
    CHECK_EQ(table->control->segments_count, 2);
    CHECK_EQ(table->control->grows_count, 4);
    CHECK_EQ(table->control->directory_depth, 1);
    CHECK_EQ(table->directory[0].depth, 1);
    CHECK_EQ(table->control->chunks_free_count, 7);
    fixture_check(table);
    cst_table_close(table);
}

TEST(a_segment_below_a_quarter_full_does_not_grow) {
    const cst_table_options options = fixture_options();
    cst_table *table = fixture_open(&options);
    fixture_file before_it;

    fixture_put(table, 0, 127);                           // 4 chunks hold 512
    CHECK_CODE(cst_table_grow(table, 0), CST_TABLE_SKEW); // the directory doubles all the same
    before_it = fixture_save(table);
    CHECK_CODE(cst_table_grow(table, 0), CST_TABLE_SKEW);
    fixture_unchanged(&before_it, table);
    fixture_put(table, 127, 1);
    CHECK_OK(cst_table_grow(table, 0));
    cst_table_close(table);
}

TEST(a_scan_notices_growth) {
    const cst_table_options options = fixture_options();
    cst_table *table = fixture_open(&options);
    cst_scan scan = {0};
    cst_row_ref rows[8];
    uint32_t count;

    fixture_put(table, 0, 200);
    CHECK_OK(cst_table_scan(table, &scan, rows, 8, &count));
    CHECK_EQ(count, 8);
    CHECK_OK(cst_table_grow(table, 0));
    CHECK_CODE(cst_table_scan(table, &scan, rows, 8, &count), CST_AGAIN);
    cst_table_close(table);
}

TEST_MAIN
