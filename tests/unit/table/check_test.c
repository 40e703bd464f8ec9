// What the check and the comparison of whole images find, and how they say where it is.
#include "unit/table/fixture.h"

// Rows in several segments, epochs in several log segments, the first of them free again.
static cst_table *lived_in(void) {
    const cst_table_options options = fixture_options();
    cst_table *table = fixture_open(&options);
    cst_delta first;

    fixture_put(table, 0, FIXTURE_ROWS_MAX);
    first = cst_table_seal(table);
    for (int epoch = 0; epoch < 3; epoch++) {
        fixture_put(table, 0, FIXTURE_ROWS_MAX);
        (void)cst_table_seal(table);
    }
    fixture_put(table, 7, 100);
    CHECK_OK(cst_table_release(table, &first));
    CHECK(table->control->directory_depth > 1);
    CHECK(table->control->log_free_count > 0);
    fixture_check(table);
    return table;
}

static void check_says(const cst_table *table, const char *wanted) {
    cst_err err = {0};

    CHECK_CODE(cst_table_check(table, &err), CST_TABLE_CORRUPT);
    if (!strstr(err.text, wanted)) TEST_FAIL("\"%s\" does not hold \"%s\"", err.text, wanted);
}

// With another value in a field the check says so; with the old one it passes.
#define ALTERED(FIELD, VALUE, WANTED)                                                              \
    do {                                                                                           \
        const __typeof__(FIELD) before = (FIELD);                                                  \
                                                                                                   \
        (FIELD) = (__typeof__(FIELD))(VALUE);                                                      \
        CHECK((FIELD) != before);                                                                  \
        check_says(table, WANTED);                                                                 \
        (FIELD) = before;                                                                          \
    } while (0)

TEST(a_control_block_of_another_shape_is_told_by_what_differs) {
    cst_table *table = lived_in();
    csti_control *control = table->control;

    ALTERED(control->magic, control->magic + 1, "image: magic");
    ALTERED(control->version, 7, "image: version 7");
    ALTERED(control->layout, 9, "image: layout 9");
    ALTERED(control->key_bytes, 9, "image: widths");
    ALTERED(control->value_bytes, 9, "image: widths");
    ALTERED(control->entry_bytes, 64, "image: widths");
    ALTERED(control->log_segment_bytes, 32768, "image: widths");
    ALTERED(control->hash_key_check, 5, "another hash key");
    ALTERED(control->program.value_bytes, 9, "image: update program");
    ALTERED(control->program.presence_offset, 3, "image: update program");
    fixture_check(table);
    cst_table_close(table);
}

TEST(counters_out_of_their_bounds_are_told_by_what_they_count) {
    cst_table *table = lived_in();
    csti_control *control = table->control;
    const uint32_t rows = UINT32_C(1) << control->directory_depth;

    ALTERED(control->directory_depth, CSTI_DIRECTORY_DEPTH_MAX + 1, "image: directory of");
    ALTERED(control->depth_max, control->directory_depth + 1, "image: directory of");
    ALTERED(control->directory_rows, rows - 1, "image: directory of");
    ALTERED(control->directory_rows, 2 * rows, "image: directory of");
    ALTERED(control->chunks_free_count, CSTI_CHUNKS_FREE_MAX + 1, "image: 17 free chunks");
    ALTERED(control->chunks_free[control->chunks_free_count], 1, "behind the free chunks");
    ALTERED(control->chunks_free[CSTI_CHUNKS_FREE_MAX - 1], 1, "behind the free chunks");
    ALTERED(control->epoch, 0, "image: log offsets");
    ALTERED(control->log_floor, CSTI_LOG_UNIT, "image: log offsets");
    ALTERED(control->log_floor, control->epoch_first + 64, "image: log offsets");
    ALTERED(control->log_floor, control->log_floor + CSTI_LOG_UNIT, "image: log offsets");
    ALTERED(control->epoch_first, (control->log_tail | 63) + 1, "image: log offsets");
    ALTERED(control->epoch_first, control->epoch_first + CSTI_LOG_UNIT, "image: log offsets");
    ALTERED(control->log_tail, control->log_tail + 1, "image: log offsets");
    ALTERED(control->log_segments_frontier, table->log_segments_max + 1, "image: log segments");
    ALTERED(control->log_free_first, table->log_segments_max, "image: log segments");
    ALTERED(control->log_free_count, control->log_segments_frontier + 1, "image: log segments");
    ALTERED(control->log_segments_frontier, control->log_segments_frontier + 1, "live and");
    ALTERED(control->log_free_count, control->log_free_count - 1, "live and");
    ALTERED(control->slab_frontier, 8, "image: slab of 8 bytes");
    ALTERED(control->slab_frontier, table->budget_bytes + 16, "image: slab of");
    ALTERED(table->budget_bytes, csti_used_bytes(table) - 1, "larger than its budget");
    ALTERED(control->depth_max, control->depth_max - 1, "directory row");
    ALTERED(control->rows_count, 1, "image: counts 1 rows");
    ALTERED(control->segments_count, 1, " rows in 1 segments");
    fixture_check(table);
    cst_table_close(table);
}

TEST(a_table_may_fill_its_budget) {
    cst_table *table = lived_in();

    table->budget_bytes = csti_used_bytes(table);
    fixture_check(table);
    cst_table_close(table);
}

TEST(directory_rows_are_told_by_their_number) {
    cst_table *table = lived_in();
    const uint32_t frontier = table->control->chunks_frontier;
    csti_directory_row *row = table->directory;
    uint32_t copy = 0; // the first row that stands for an earlier one
    char text[64];

    ALTERED(row->depth, table->control->depth_max + 1, "directory row 0: depth");
    ALTERED(row->chunks, CSTI_SEGMENT_CHUNKS_MIN - 1, "directory row 0: depth");
    ALTERED(row->chunks, CSTI_SEGMENT_CHUNKS_MAX + 1, "directory row 0: depth");
    ALTERED(row->reserved, 1, "directory row 0: depth");
    ALTERED(row->chunk[0], frontier, "directory row 0: chunk 0");
    ALTERED(row->chunk[0], row->chunk[1], "is used twice");
    while (copy >> table->directory[copy].depth == 0) copy++;
    CHECK(copy < table->control->directory_rows);
    (void)snprintf(text, sizeof text, "directory row %u differs from row", copy);
    row = &table->directory[copy];
    ALTERED(row->chunk[0], row->chunk[1], text);
    fixture_check(table);
    cst_table_close(table);
}

TEST(a_log_segment_without_a_place_is_told_by_its_number) {
    cst_table *table = lived_in();
    const csti_control *control = table->control;
    const uint64_t first = control->log_floor >> table->log_segment_shift;
    const uint64_t last = (control->log_tail - 1) >> table->log_segment_shift;
    uint32_t *map = table->log_map;
    char text[64];

    for (uint64_t n = first; n <= last; n++) {
        (void)snprintf(text, sizeof text, "log segment %" PRIu64 " has no place", n);
        ALTERED(map[n & (table->log_segments_max - 1)], control->log_segments_frontier, text);
    }
    fixture_check(table);
    cst_table_close(table);
}

// ---- Comparison ---------------------------------------------------------------------------------

static void compare_says(const cst_table *a, const cst_table *b, const char *wanted) {
    cst_err err = {0};

    CHECK_CODE(cst_table_compare(a, b, &err), CST_TABLE_CORRUPT);
    CHECK_TEXT(err.text, wanted);
}

// One byte of b's is another: the region's name, which byte, and both values are said.
static void byte_is_told(const cst_table *a, const cst_table *b, const char *region, uint8_t *at,
                         size_t index) {
    const uint8_t before = *at;
    char wanted[96];

    *at ^= 0x55;
    (void)snprintf(wanted, sizeof wanted, "%s: byte %zu is %02x and %02x", region, index, before,
                   *at);
    compare_says(a, b, wanted);
    *at = before;
    CHECK_OK(cst_table_compare(a, b, NULL));
}

// Its first and its last byte.
static void region_is_told(const cst_table *a, const cst_table *b, const char *region,
                           uint8_t *bytes, size_t count) {
    byte_is_told(a, b, region, bytes, 0);
    byte_is_told(a, b, region, bytes + count - 1, count - 1);
}

TEST(a_comparison_names_the_region_and_the_byte) {
    cst_table *a = lived_in(), *b = lived_in();
    const csti_control *control = b->control;
    const uint64_t segment = UINT64_C(1) << b->log_segment_shift;
    const uint64_t floor_rest = segment - control->log_floor % segment;
    const uint64_t last = control->log_tail - control->log_tail % segment;

    region_is_told(a, b, "control block", (uint8_t *)b->control, CSTI_CONTROL_BYTES);
    region_is_told(a, b, "directory", (uint8_t *)b->directory, control->directory_rows * 32u);
    region_is_told(a, b, "index", b->index, control->chunks_frontier * (size_t)512);
    region_is_told(a, b, "slots", b->slots, control->chunks_frontier * (size_t)b->chunk_slot_bytes);
    // The log, segment by segment: the first from its floor, the last to its tail.
    region_is_told(a, b, "log", (uint8_t *)csti_log_record(b, control->log_floor), floor_rest);
    region_is_told(a, b, "log", (uint8_t *)csti_log_record(b, last), control->log_tail - last);
    cst_table_close(a);
    cst_table_close(b);
}

TEST(a_comparison_names_the_byte_of_the_slab) {
    const cst_table_options options = fixture_wide_options();
    cst_table *tables[2];

    for (int i = 0; i < 2; i++) {
        tables[i] = fixture_open(&options);
        for (uint64_t number = 0; number < 20; number++) fixture_put_wide(tables[i], number, 100);
    }
    region_is_told(tables[0], tables[1], "slab", tables[1]->slab,
                   tables[1]->control->slab_frontier);
    for (int i = 0; i < 2; i++) cst_table_close(tables[i]);
}

TEST(a_comparison_names_log_segments_in_other_places) {
    cst_table *a = lived_in(), *b = lived_in();
    const csti_control *control = b->control;
    const uint64_t segment = UINT64_C(1) << b->log_segment_shift;
    const uint64_t first = control->log_floor >> b->log_segment_shift;
    const uint64_t place = first & (b->log_segments_max - 1);
    const uint32_t is = b->log_map[place];
    const uint32_t other = b->log_map[(first + 1) & (b->log_segments_max - 1)];
    const uint32_t last =
        (control->log_free_first + control->log_free_count - 1) & (b->log_segments_max - 1);
    char wanted[96];

    // The same bytes, and yet another place.
    memcpy(b->log + other * segment, b->log + is * segment, segment);
    b->log_map[place] = other;
    (void)snprintf(wanted, sizeof wanted, "log map %" PRIu64 ": %u and %u", place, is, other);
    compare_says(a, b, wanted);
    b->log_map[place] = is;
    memcpy(b->log + other * segment, a->log + other * segment, segment);
    CHECK_OK(cst_table_compare(a, b, NULL));

    (void)snprintf(wanted, sizeof wanted, "free log segment %u: %u and 77",
                   control->log_free_count - 1, b->log_free[last]);
    b->log_free[last] = 77;
    compare_says(a, b, wanted);
    cst_table_close(a);
    cst_table_close(b);
}

TEST(tables_of_other_budgets_differ_by_their_log_maps) {
    cst_table_options options = fixture_options();
    cst_table *a = fixture_open(&options), *b;
    char wanted[96];

    options.budget_bytes *= 4;
    b = fixture_open(&options);
    (void)snprintf(wanted, sizeof wanted, "log maps of %u and %u", a->log_segments_max,
                   b->log_segments_max);
    compare_says(a, b, wanted);
    cst_table_close(a);
    cst_table_close(b);
}

TEST_MAIN
