// The image's layout, as docs/formats.md has it: a number that moves here breaks every stored
// image.
#include "unit/table/fixture.h"

TEST(a_directory_row_lies_as_documented) {
    CHECK_EQ(sizeof(csti_directory_row), 32);
    CHECK_EQ(offsetof(csti_directory_row, depth), 0);
    CHECK_EQ(offsetof(csti_directory_row, chunks), 1);
    CHECK_EQ(offsetof(csti_directory_row, reserved), 2);
    CHECK_EQ(offsetof(csti_directory_row, chunk), 4);
}

TEST(a_control_line_lies_as_documented) {
    CHECK_EQ(sizeof(csti_control_line), 64);
    CHECK_EQ(offsetof(csti_control_line, tag), 0);
    CHECK_EQ(offsetof(csti_control_line, occupied), 32);
    CHECK_EQ(offsetof(csti_control_line, reserved16), 34);
    CHECK_EQ(offsetof(csti_control_line, overflow), 48);
}

TEST(entries_and_records_lie_as_documented) {
    CHECK_EQ(sizeof(csti_entry), 16);
    CHECK_EQ(offsetof(csti_entry, change), 8);
    CHECK_EQ(sizeof(csti_wide_entry), 32);
    CHECK_EQ(offsetof(csti_wide_entry, block), 16);
    CHECK_EQ(offsetof(csti_wide_entry, key_bytes), 24);
    CHECK_EQ(offsetof(csti_wide_entry, block_class), 26);
    CHECK_EQ(offsetof(csti_wide_entry, reserved), 27);
    CHECK_EQ(offsetof(csti_wide_entry, value_bytes), 28);
    CHECK_EQ(sizeof(csti_record), 16);
    CHECK_EQ(offsetof(csti_record, key_bytes), 8);
    CHECK_EQ(offsetof(csti_record, units), 10);
    CHECK_EQ(offsetof(csti_record, value_flags), 12);
    CHECK_EQ(CSTI_RECORD_PRESENT, 0x80000000);
    CHECK_EQ(CSTI_RECORD_TOMBSTONE, 0x40000000);
    CHECK_EQ(CSTI_RECORD_GAP, 0x20000000);
    CHECK_EQ(CSTI_RECORD_VALUE_MASK, 0x00ffffff);
}

enum { DOCUMENT_BYTES_MAX = 1 << 20 };

// docs/formats.md, all of it.
static const char *formats(void) {
    static char text[DOCUMENT_BYTES_MAX];
    FILE *file = fopen(CST_VECTORS_DIR "/../../docs/formats.md", "rb");

    CHECK(file);
    CHECK(fread(text, 1, sizeof text - 1, file) > 0);
    CHECK(feof(file));
    CHECK_EQ(fclose(file), 0);
    return text;
}

// Checks that the table's next row is "| at | bytes | `field`" and begins where the last one ended.
static void documented(const char **row, size_t *offset, size_t at, size_t bytes,
                       const char *field) {
    char wanted[96];

    CHECK_EQ(*offset, at);
    (void)snprintf(wanted, sizeof wanted, "\n| %zu | %zu | `%s`", at, bytes, field);
    if (strncmp(*row, wanted, strlen(wanted)) != 0)
        TEST_FAIL("%.*s is not '%s'", (int)strcspn(*row + 1, "\n"), *row + 1, wanted + 1);
    *row += 1 + strcspn(*row + 1, "\n");
    *offset += bytes;
}

// The first row behind the table's head.
static const char *documented_table(const char *table) {
    char head[96];
    const char *row;

    (void)snprintf(head, sizeof head, "\n| %s: offset | size | field |\n|---|---|---|", table);
    row = strstr(formats(), head);
    if (!row) TEST_FAIL("docs/formats.md has no table '%s'", table);
    return row + strlen(head);
}

#define DOCUMENTED(TYPE, FIELD)                                                                    \
    documented(&row, &offset, offsetof(TYPE, FIELD), sizeof(((TYPE *)0)->FIELD), #FIELD)

TEST(the_control_block_lies_as_documented) {
    const char *row = documented_table("control block");
    size_t offset = 0;

    DOCUMENTED(csti_control, magic);
    DOCUMENTED(csti_control, version);
    DOCUMENTED(csti_control, layout);
    DOCUMENTED(csti_control, key_bytes);
    DOCUMENTED(csti_control, value_bytes);
    DOCUMENTED(csti_control, entry_bytes);
    DOCUMENTED(csti_control, log_segment_bytes);
    DOCUMENTED(csti_control, hash_key_check);
    DOCUMENTED(csti_control, program);
    DOCUMENTED(csti_control, rows_count);
    DOCUMENTED(csti_control, grows_count);
    DOCUMENTED(csti_control, splits_count);
    DOCUMENTED(csti_control, segments_count);
    DOCUMENTED(csti_control, directory_depth);
    DOCUMENTED(csti_control, directory_rows);
    DOCUMENTED(csti_control, depth_max);
    DOCUMENTED(csti_control, chunks_frontier);
    DOCUMENTED(csti_control, chunks_free_count);
    DOCUMENTED(csti_control, chunks_free);
    DOCUMENTED(csti_control, log_segments_frontier);
    DOCUMENTED(csti_control, log_free_first);
    DOCUMENTED(csti_control, log_free_count);
    DOCUMENTED(csti_control, epoch);
    DOCUMENTED(csti_control, epoch_first);
    DOCUMENTED(csti_control, log_tail);
    DOCUMENTED(csti_control, log_floor);
    DOCUMENTED(csti_control, slab_frontier);
    DOCUMENTED(csti_control, slab_free);
    CHECK_EQ(offset, 680);
    CHECK_EQ(sizeof(csti_control), 680);
    CHECK(strncmp(row, "\n\n", 2) == 0); // the table ends with it
}

TEST(an_update_program_lies_as_documented) {
    const char *row = documented_table("update program");
    size_t offset = 0;

    DOCUMENTED(cst_program, value_bytes);
    DOCUMENTED(cst_program, accumulators_count);
    DOCUMENTED(cst_program, presence_offset);
    DOCUMENTED(cst_program, ttl_us);
    DOCUMENTED(cst_program, time_offset);
    DOCUMENTED(cst_program, reserved);
    DOCUMENTED(cst_program, accumulators);
    CHECK_EQ(offset, sizeof(cst_program));
    CHECK(strncmp(row, "\n\n", 2) == 0);
    row = documented_table("accumulator");
    offset = 0;
    DOCUMENTED(cst_accumulator, op);
    DOCUMENTED(cst_accumulator, number);
    DOCUMENTED(cst_accumulator, value_offset);
    DOCUMENTED(cst_accumulator, source);
    DOCUMENTED(cst_accumulator, reserved);
    CHECK_EQ(offset, sizeof(cst_accumulator));
    CHECK(strncmp(row, "\n\n", 2) == 0);
}

TEST(a_hash_is_cut_as_documented) {
    const uint64_t hash = UINT64_C(0xabc1234f00200005); // group abc, tag 1234, bucket 3c00, ...

    CHECK_EQ(cst_key_group(hash), 0xabc);
    CHECK_EQ(csti_hash_tag(hash), 0x1234);
    CHECK_EQ(hash >> 22 & 0x3fff, 0x3c00);
    CHECK_EQ(csti_hash_bucket_first(hash, 32), 30);     // 15360 * 32 / 16384
    CHECK_EQ(csti_hash_bucket_first(hash, 40), 37);     // 37.5
    CHECK_EQ(csti_hash_bucket_first(hash, 56), 52);     // 52.5
    CHECK_EQ(csti_hash_bucket_second(hash, 32, 30), 3); // pair 4660 * 16 / 65536 = 1, odd
    CHECK_EQ(csti_hash_bucket_second(hash, 40, 37), 2); // pair 1, even
    CHECK_EQ(csti_hash_bucket_second(hash, 56, 52), 3); // pair 1, odd
}

TEST(the_two_buckets_of_a_hash_are_never_one) {
    for (int i = 0; i < 100000; i++) {
        const uint64_t hash = test_random();
        const uint32_t buckets = 32 + 8 * (uint32_t)test_random_below(4);
        const uint32_t first = csti_hash_bucket_first(hash, buckets);
        const uint32_t second = csti_hash_bucket_second(hash, buckets, first);

        CHECK(first < buckets);
        CHECK(second < buckets);
        CHECK_EQ((first ^ second) & 1, 1);
    }
}

TEST(entries_come_in_classes_of_32_bytes) {
    CHECK_EQ(csti_entry_bytes(CST_TABLE_INLINE, 0, 0), 32);
    CHECK_EQ(csti_entry_bytes(CST_TABLE_INLINE, 8, 8), 32);
    CHECK_EQ(csti_entry_bytes(CST_TABLE_INLINE, 8, 9), 64);
    CHECK_EQ(csti_entry_bytes(CST_TABLE_INLINE, 9, 0), 32);
    CHECK_EQ(csti_entry_bytes(CST_TABLE_INLINE, 16, 64), 96);
    CHECK_EQ(csti_entry_bytes(CST_TABLE_INLINE, 248, 248), 512);
    CHECK_EQ(csti_entry_bytes(CST_TABLE_WIDE, 0, 0), 32);
}

TEST(an_open_table_is_one_empty_segment) {
    const cst_table_options options = fixture_options();
    cst_table *table = fixture_open(&options);
    const csti_control *control = table->control;
    const csti_directory_row row = {.chunks = 4, .chunk = {0, 1, 2, 3}};

    CHECK_EQ(control->magic, UINT64_C(0x314c425454534321));
    CHECK_EQ(control->version, 1);
    CHECK_EQ(control->layout, 1);
    CHECK_EQ(control->entry_bytes, 32);
    CHECK_EQ(control->segments_count, 1);
    CHECK_EQ(control->directory_depth, 0);
    CHECK_EQ(control->directory_rows, 1);
    CHECK_EQ(control->chunks_frontier, 4);
    CHECK_EQ(control->log_segments_frontier, 0);
    CHECK_EQ(control->epoch, 1);
    CHECK_EQ(control->epoch_first, 1024);
    CHECK_EQ(control->log_tail, 1024);
    CHECK_EQ(control->log_floor, 1024);
    CHECK_BYTES(table->directory, &row, sizeof row);
    fixture_check(table);
    cst_table_close(table);
}

TEST(memory_that_is_not_where_it_was_asked_for_is_said) {
    cst_table_options options = fixture_options();
    cst_table_stats stats;
    cst_table *table = fixture_open(&options);
    cst_err err = {0};

    CHECK_OK(cst_table_check_placement(table, &err)); // no node was asked for
    cst_table_close(table);
    options.numa_node = 0;
    table = fixture_open(&options);
    fixture_put(table, 0, 1000);
    CHECK_OK(cst_table_check_placement(table, &err));
    table->pages[CSTI_REGION_SLOTS].options.numa_node = 5; // where nothing can lie
    CHECK_CODE(cst_table_check_placement(table, &err), CST_PLACEMENT);
    CHECK(strstr(err.text, "table: "));
    CHECK(strstr(err.text, " bytes are on NUMA node 0, not on 5"));
    cst_table_stats_read(table, &stats);
    CHECK_EQ(stats.misplaced_bytes, 0); // what was made ready before came from node 0
    for (uint64_t first = 1000; first < 20000; first += 1000) fixture_put(table, first, 1000);
    cst_table_stats_read(table, &stats);
    CHECK(stats.misplaced_bytes > 0);
    cst_table_close(table);
}

TEST(one_row_is_a_line_an_entry_and_a_record) {
    const cst_table_options options = fixture_options();
    cst_table *table = fixture_open(&options);
    const uint64_t key = UINT64_C(0x8877665544332211), value = UINT64_C(0x1122334455667788);
    const uint64_t hash = UINT64_C(0xabc1234f00200005); // bucket 30 of 32: line 6 of chunk 3
    const cst_rows rows = {.rows_count = 1,
                           .key_bytes = 8,
                           .value_stride = 8,
                           .hashes = &hash,
                           .keys = (const uint8_t *)&key,
                           .values = (const uint8_t *)&value};
    const uint64_t entry[4] = {hash, 1024 / 32 << 8 | 8, key, value};
    const uint64_t record[4] = {hash, UINT64_C(0x8000000800010008), key, value};
    csti_control_line line = {.tag = {0x1234}, .occupied = 1};
    uint32_t applied;

    CHECK_OK(cst_table_apply(table, &rows, &applied));
    CHECK_BYTES(table->index + (3 * 8 + 6) * 64, &line, sizeof line);
    CHECK_BYTES(table->slots + ((3 * 8 + 6) * 16) * 32, entry, sizeof entry);
    CHECK_BYTES(table->log + 1024, record, sizeof record);
    CHECK_EQ(table->control->log_tail, 1056);
    CHECK_EQ(table->control->log_segments_frontier, 1);
    CHECK_EQ(table->control->rows_count, 1);
    cst_table_close(table);
}

TEST_MAIN
