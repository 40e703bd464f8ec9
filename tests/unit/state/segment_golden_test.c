#include "unit/state/segments.h"

#include "state/segment.h"

#include <constellation/store.h>

static uint8_t hex_digit(char digit) {
    return (uint8_t)(digit <= '9' ? digit - '0' : digit - 'a' + 10);
}

static bytes_sink golden(const char *name) {
    bytes_sink out = {0};
    char path[400];
    char line[100];
    FILE *file;

    (void)snprintf(path, sizeof path, "%s/segments/%s.txt", CST_VECTORS_DIR, name);
    file = fopen(path, "r");
    CHECK(file);
    CHECK(fgets(line, sizeof line, file));
    CHECK_TEXT(line, "# version 1\n");
    while (fgets(line, sizeof line, file)) {
        char *hex;
        unsigned long times = strtoul(line, &hex, 10);
        uint8_t word[8];
        size_t count = 0;

        CHECK(strncmp(hex, " | ", 3) == 0);
        for (hex += 3; *hex != '\n'; hex += 2)
            word[count++] = (uint8_t)(hex_digit(hex[0]) << 4 | hex_digit(hex[1]));
        while (times-- > 0) sink_add(&out, word, count);
    }
    CHECK_EQ(fclose(file), 0);
    return out;
}

typedef struct golden_chain {
    bytes_sink bytes[3];
    cst_segment *segments[3]; // full, delta, fold
} golden_chain;

static golden_chain chain_open(void) {
    static const char *const names[3] = {"full_unordered", "delta", "full_ordered"};
    golden_chain chain;

    for (int i = 0; i < 3; i++) {
        chain.bytes[i] = golden(names[i]);
        chain.segments[i] = open_or_die(&chain.bytes[i]);
    }
    return chain;
}

static void chain_close(golden_chain *chain) {
    for (int i = 0; i < 3; i++) {
        cst_segment_close(chain->segments[i]);
        sink_free(&chain->bytes[i]);
    }
}

TEST(segments_of_the_first_version_are_read) {
    golden_chain chain = chain_open();
    cst_segment_info info;
    cst_segment_summary summary;

    for (int i = 0; i < 3; i++)
        CHECK_OK(cst_segment_verify(chain.segments[i], &TEST_HASH_KEY, NULL));
    CHECK_OK(cst_segment_chain_check(chain.segments, 2, NULL));
    cst_segment_info_read(chain.segments[1], &info);
    CHECK_EQ(info.table_id, 0xC0FFEE);
    CHECK_EQ(info.epoch_from, 3);
    cst_segment_summary_read(chain.segments[1], &summary);
    CHECK_EQ(summary.rows[0], 100);
    CHECK_EQ(summary.tombstones[0], 400);
    CHECK_EQ(summary.rows[1], 1);
    CHECK_EQ(summary.tombstones[1], 1);
    chain_close(&chain);
}

TEST(closed_windows_leave_the_state_and_late_rows_never_enter_it) {
    golden_chain chain = chain_open();
    bytes_sink bytes = golden("delta_windows");
    cst_segment *windows = open_or_die(&bytes);
    cst_segment *const segments[] = {chain.segments[2], windows};
    const cst_table_options options = {.layout = CST_TABLE_INLINE,
                                       .key_bytes = 8,
                                       .program = {.value_bytes = 16,
                                                   .presence_offset = CST_NO_OFFSET,
                                                   .time_offset = CST_NO_OFFSET},
                                       .hash_key = TEST_HASH_KEY,
                                       .budget_bytes = (uint64_t)16 << 20,
                                       .numa_node = -1};
    const cst_table_options wide = {.layout = CST_TABLE_WIDE,
                                    .program = {.presence_offset = CST_NO_OFFSET,
                                                .time_offset = CST_NO_OFFSET},
                                    .hash_key = TEST_HASH_KEY,
                                    .budget_bytes = (uint64_t)16 << 20,
                                    .numa_node = -1};
    cst_table *table = NULL, *other = NULL;
    cst_segment_row rows[64];
    cst_segment_cursor cursor = {0}, aside = {0};
    cst_segment_summary summary;
    cst_table_stats before, behind;
    uint32_t count = 0;

    CHECK_OK(cst_segment_verify(windows, &TEST_HASH_KEY, NULL));
    cst_segment_summary_read(windows, &summary);
    CHECK_EQ(summary.rows[0], 10);
    CHECK_EQ(summary.tombstones[0], 30);
    CHECK_OK(cst_segment_next(windows, &cursor, rows, 64, &count, NULL));
    CHECK_EQ(count, 40);
    CHECK(rows[10].tombstone);
    CHECK_EQ(rows[10].row.value_bytes, 16);
    CHECK_EQ(rows[10].row.value[0], 8);
    CHECK_OK(csti_segment_next_aside(windows, &aside, rows, 64, &count, NULL));
    CHECK_EQ(count, 7);
    CHECK_EQ(rows[0].row.value[0], 9);
    for (uint32_t segments_count = 1; segments_count <= 2; segments_count++) {
        CHECK_OK(cst_table_open(&options, &table, NULL));
        CHECK_OK(cst_table_open(&wide, &other, NULL));
        CHECK_OK(cst_segment_restore(segments, segments_count, table, other, NULL, NULL, NULL));
        cst_table_stats_read(table, segments_count == 1 ? &before : &behind);
        cst_table_close(table);
        cst_table_close(other);
    }
    // Keys 1150 to 1249 had rows: 1201 to 1230 are closed.
    CHECK_EQ(behind.rows_count, before.rows_count - 30);
    cst_segment_close(windows);
    sink_free(&bytes);
    chain_close(&chain);
}

TEST(a_fold_gives_the_bytes_that_another_implementation_gives) {
    golden_chain chain = chain_open();
    bytes_sink folded = {0};

    CHECK_OK(cst_segment_fold(chain.segments, 2, NULL, sink_write, &folded, NULL, NULL));
    CHECK_EQ(folded.count, chain.bytes[2].count);
    CHECK_BYTES(folded.bytes, chain.bytes[2].bytes, folded.count);
    sink_free(&folded);
    chain_close(&chain);
}

TEST(a_writer_given_the_same_records_gives_the_same_bytes) {
    golden_chain chain = chain_open();

    for (int i = 0; i < 3; i++) {
        const uint8_t *body = chain.bytes[i].bytes + 128;
        cst_segment_info info;
        cst_segment_summary summary;
        bytes_sink out = {0};

        cst_segment_info_read(chain.segments[i], &info);
        cst_segment_summary_read(chain.segments[i], &summary);
        const cst_bytes part[2] = {{body, summary.part_bytes[0]},
                                   {body + summary.part_bytes[0], summary.part_bytes[1]}};
        const cst_bytes *ranges[2] = {&part[0], &part[1]};
        const size_t ranges_count[2] = {1, 1};
        CHECK_OK(cst_segment_write(&info, ranges, ranges_count, sink_write, &out, NULL, NULL));
        CHECK_EQ(out.count, chain.bytes[i].count);
        CHECK_BYTES(out.bytes, chain.bytes[i].bytes, out.count);
        sink_free(&out);
    }
    chain_close(&chain);
}

TEST(a_store_restores_the_chain_and_the_fold_to_equal_states) {
    golden_chain chain = chain_open();
    const cst_store_options options = {.table_id = 0xC0FFEE,
                                       .schema = "u64",
                                       .hash_key = TEST_HASH_KEY,
                                       .inline_rows = true,
                                       .inline_key_bytes = 8,
                                       .value_bytes = 16,
                                       .numa_node = -1,
                                       .budget_bytes = (uint64_t)64 << 20};
    bytes_sink full[2] = {{0}, {0}};

    for (int i = 0; i < 2; i++) {
        cst_store *store = NULL;

        CHECK_OK(cst_store_open("hash:", &options, &store, NULL));
        CHECK_OK(cst_store_restore(store, i ? &chain.segments[2] : chain.segments, i ? 1 : 2, NULL,
                                   NULL));
        CHECK_OK(cst_store_write_full(store, sink_write, &full[i], NULL, NULL));
        cst_store_close(store);
    }
    CHECK_EQ(full[0].count, full[1].count);
    CHECK_BYTES(full[0].bytes, full[1].bytes, full[0].count);
    for (int i = 0; i < 2; i++) sink_free(&full[i]);
    chain_close(&chain);
}

TEST_MAIN
