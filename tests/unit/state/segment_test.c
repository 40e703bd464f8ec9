#include "unit/state/segments.h"

#include "state/record.h"

#include <sys/stat.h>
#include <unistd.h>

// ---- Small segments the cases start from --------------------------------------------------------

static bytes_sink small_delta(void) {
    cst_segment_info info = test_info_two(CST_SEGMENT_DELTA, 3, 4);
    bytes_sink rows = {0};
    bytes_sink wides = {0};
    bytes_sink out = {0};

    info.base_checksum = 0x11223344;
    inline_row(&rows, 1, 100);
    inline_row(&rows, 2, 200);
    inline_tombstone(&rows, 3);
    gap(&rows, 32);
    gap(&rows, 32);
    wide_row(&wides, "long key", 8, "value", 5, 0);
    wide_tombstone(&wides, "gone", 4);
    write_parts(&out, &info, &rows, &wides);
    sink_free(&rows);
    sink_free(&wides);
    return out;
}

static int by_hash(const void *a, const void *b) {
    return csti_record_key_compare((const uint8_t *)a, (const uint8_t *)b);
}

// Inline rows with keys first, first + 1, ...: in hash order if asked.
static bytes_sink some_rows(uint64_t first, uint64_t count, bool ordered) {
    bytes_sink rows = {0};

    for (uint64_t key = first; key < first + count; key++) inline_row(&rows, key, key * 3);
    if (ordered) qsort(rows.bytes, count, TEST_RECORD_BYTES, by_hash);
    return rows;
}

static bytes_sink segment_of(cst_segment_kind kind, uint64_t first, uint64_t count) {
    const cst_segment_info info = test_info(kind, kind == CST_SEGMENT_DELTA ? 2 : 1, 2);
    bytes_sink rows = some_rows(first, count, kind == CST_SEGMENT_FULL_ORDERED);
    bytes_sink out = {0};

    write_parts(&out, &info, &rows, NULL);
    sink_free(&rows);
    return out;
}

// Opens and verifies every byte.
static cst_code read_all(const uint8_t *bytes, size_t count, const cst_segment_expect *expect,
                         cst_err *err) {
    cst_segment *segment = NULL;
    cst_code code = cst_segment_open_bytes("test", bytes, count, expect, &segment, err);

    if (code == CST_OK) code = cst_segment_verify(segment, NULL, err);
    cst_segment_close(segment);
    return code;
}

// The segment with byte `at` changed and its checksums made right again.
static cst_code read_changed(const bytes_sink *from, size_t at, uint8_t value, cst_err *err) {
    bytes_sink copy = sink_copy(from);
    cst_code code;

    CHECK(at < copy.count);
    copy.bytes[at] = value;
    segment_fix(copy.bytes, copy.count);
    code = read_all(copy.bytes, copy.count, NULL, err);
    sink_free(&copy);
    return code;
}

// ---- Writing ------------------------------------------------------------------------------------

TEST(an_epoch_without_changes_gives_a_valid_empty_delta) {
    const cst_segment_info info = test_info(CST_SEGMENT_DELTA, 2, 2);
    bytes_sink out = {0};
    cst_segment_row row;
    cst_segment_cursor cursor = {0};
    uint32_t count = 9;
    const cst_segment_summary summary = write_parts(&out, &info, NULL, NULL);
    cst_segment *segment = open_or_die(&out);

    CHECK_EQ(out.count, 256);
    CHECK_EQ(summary.segment_bytes, 256);
    CHECK_EQ(summary.body_bytes, 0);
    CHECK_OK(cst_segment_verify(segment, &TEST_HASH_KEY, NULL));
    CHECK_OK(cst_segment_next(segment, &cursor, &row, 1, &count, NULL));
    CHECK_EQ(count, 0);
    cst_segment_close(segment);
    sink_free(&out);
}

TEST(equal_records_give_equal_bytes_however_they_are_cut_into_ranges) {
    const cst_segment_info info = test_info(CST_SEGMENT_DELTA, 2, 2);
    bytes_sink rows = some_rows(0, 5000, false);
    bytes_sink whole = {0};
    bytes_sink pieces = {0};
    cst_segment_writer *writer = NULL;
    cst_segment_summary a, b;

    a = write_parts(&whole, &info, &rows, NULL);
    CHECK_OK(cst_segment_writer_open(&info, sink_write, &pieces, &writer, NULL));
    for (size_t at = 0; at < rows.count;) {
        const size_t rest = (rows.count - at) / TEST_RECORD_BYTES;
        const size_t count = 1 + test_random_below(rest < 700 ? rest : 700);

        CHECK_OK(
            cst_segment_writer_append(writer, 0, rows.bytes + at, count * TEST_RECORD_BYTES, NULL));
        at += count * TEST_RECORD_BYTES;
    }
    CHECK_OK(cst_segment_writer_finish(writer, &b, NULL));
    cst_segment_writer_close(writer);
    CHECK_EQ(whole.count, pieces.count);
    CHECK_BYTES(whole.bytes, pieces.bytes, whole.count);
    CHECK_EQ(a.checksum, b.checksum);
    CHECK_EQ(a.rows[0], 5000);
    sink_free(&rows);
    sink_free(&whole);
    sink_free(&pieces);
}

TEST(the_body_is_the_ranges_bytes_by_reference) {
    const cst_segment_info info = test_info(CST_SEGMENT_DELTA, 2, 2);
    bytes_sink rows = some_rows(0, 10, false);
    bytes_sink out = {0};

    write_parts(&out, &info, &rows, NULL);
    CHECK_BYTES(out.bytes + 128, rows.bytes, rows.count);
    CHECK_EQ(out.calls, 5); // header, range, block table, its padding, footer
    sink_free(&rows);
    sink_free(&out);
}

TEST(a_record_that_breaks_a_rule_is_never_written) {
    const cst_segment_info info = test_info(CST_SEGMENT_DELTA, 2, 2);
    bytes_sink rows = some_rows(0, 2, false);
    bytes_sink out = {0};
    cst_segment_writer *writer = NULL;
    cst_err err;

    rows.bytes[64 + 15] |= 0x01; // a reserved bit of the second record
    CHECK_OK(cst_segment_writer_open(&info, sink_write, &out, &writer, NULL));
    CHECK_CODE(cst_segment_writer_append(writer, 0, rows.bytes, rows.count, &err),
               CST_SEGMENT_RECORD);
    CHECK(strstr(err.text, "offset 64"));
    CHECK_EQ(out.count, 128);
    CHECK_CODE(cst_segment_writer_append(writer, 0, rows.bytes, 64, NULL), CST_ABORTED);
    CHECK_CODE(cst_segment_writer_finish(writer, NULL, NULL), CST_ABORTED);
    cst_segment_writer_close(writer);
    sink_free(&rows);
    sink_free(&out);
}

TEST(a_range_that_cuts_a_record_is_refused) {
    const cst_segment_info info = test_info(CST_SEGMENT_DELTA, 2, 2);
    bytes_sink rows = some_rows(0, 2, false);
    bytes_sink out = {0};
    cst_segment_writer *writer = NULL;

    CHECK_OK(cst_segment_writer_open(&info, sink_write, &out, &writer, NULL));
    CHECK_CODE(cst_segment_writer_append(writer, 0, rows.bytes, 96, NULL), CST_SEGMENT_RECORD);
    cst_segment_writer_close(writer);
    sink_free(&rows);
    sink_free(&out);
}

TEST(parts_are_written_in_order) {
    const cst_segment_info info = test_info_two(CST_SEGMENT_DELTA, 2, 2);
    bytes_sink rows = some_rows(0, 1, false);
    bytes_sink wides = {0};
    bytes_sink out = {0};
    cst_segment_writer *writer = NULL;

    wide_row(&wides, "k", 1, "v", 1, 0);
    CHECK_OK(cst_segment_writer_open(&info, sink_write, &out, &writer, NULL));
    CHECK_OK(cst_segment_writer_append(writer, 0, rows.bytes, rows.count, NULL));
    CHECK_OK(cst_segment_writer_append(writer, 1, wides.bytes, wides.count, NULL));
    CHECK_CODE(cst_segment_writer_append(writer, 0, rows.bytes, rows.count, NULL), CST_USAGE);
    CHECK_CODE(cst_segment_writer_append(writer, 2, rows.bytes, rows.count, NULL), CST_USAGE);
    CHECK_OK(cst_segment_writer_finish(writer, NULL, NULL));
    CHECK_CODE(cst_segment_writer_finish(writer, NULL, NULL), CST_ABORTED);
    cst_segment_writer_close(writer);
    sink_free(&rows);
    sink_free(&wides);
    sink_free(&out);
}

TEST(an_ordered_full_refuses_disorder_tombstones_and_gaps) {
    const cst_segment_info info = test_info(CST_SEGMENT_FULL_ORDERED, 1, 1);
    bytes_sink rows = some_rows(0, 100, true);
    bytes_sink out = {0};
    bytes_sink odd[5] = {{0}, {0}, {0}, {0}, {0}};
    const uint64_t values[2] = {1, 2};

    sink_add(&odd[0], rows.bytes + 64, 64);
    sink_add(&odd[0], rows.bytes, 64);
    inline_tombstone(&odd[1], 7);
    gap(&odd[2], 64);
    inline_row_hashed(&odd[3], 5, "b", 1, values); // one hash, keys descending
    inline_row_hashed(&odd[3], 5, "a", 1, values);
    sink_add(&odd[4], rows.bytes, 64); // the same twice
    sink_add(&odd[4], rows.bytes, 64);
    for (int i = 0; i < 5; i++) {
        cst_segment_writer *writer = NULL;

        CHECK_OK(cst_segment_writer_open(&info, sink_write, &out, &writer, NULL));
        CHECK_CODE(cst_segment_writer_append(writer, 0, odd[i].bytes, odd[i].count, NULL),
                   CST_SEGMENT_RECORD);
        cst_segment_writer_close(writer);
        sink_free(&odd[i]);
    }
    sink_free(&rows);
    sink_free(&out);
}

TEST(an_ordered_full_checks_order_between_appends_too) {
    const cst_segment_info info = test_info(CST_SEGMENT_FULL_ORDERED, 1, 1);
    bytes_sink rows = some_rows(0, 2, true);
    bytes_sink out = {0};
    cst_segment_writer *writer = NULL;

    CHECK_OK(cst_segment_writer_open(&info, sink_write, &out, &writer, NULL));
    CHECK_OK(cst_segment_writer_append(writer, 0, rows.bytes + 64, 64, NULL));
    CHECK_CODE(cst_segment_writer_append(writer, 0, rows.bytes, 64, NULL), CST_SEGMENT_RECORD);
    cst_segment_writer_close(writer);
    sink_free(&rows);
    sink_free(&out);
}

TEST(an_info_that_contradicts_itself_is_refused) {
    cst_segment_info infos[16];
    int count = 0;

#define BAD(KIND, FROM, TO, CHANGE)                                                                \
    infos[count] = test_info_two(KIND, FROM, TO);                                                  \
    infos[count] CHANGE;                                                                           \
    count++
    BAD((cst_segment_kind)0, 1, 1, .table_id = 1);
    BAD((cst_segment_kind)4, 1, 1, .table_id = 1);
    BAD(CST_SEGMENT_DELTA, 1, 1, .table_id = 1); // stands on epoch 0
    BAD(CST_SEGMENT_DELTA, 3, 2, .table_id = 1);
    BAD(CST_SEGMENT_DELTA, 3, 3, .base_epoch = 1);
    BAD(CST_SEGMENT_DELTA, 3, 3, .tip_checksum = 1);
    BAD(CST_SEGMENT_FULL_ORDERED, 2, 3, .table_id = 1);
    BAD(CST_SEGMENT_FULL_ORDERED, 1, 3, .base_checksum = 1);
    BAD(CST_SEGMENT_FULL_ORDERED, 1, 3, .base_epoch = 1);
    BAD(CST_SEGMENT_FULL_UNORDERED, 1, 3, .tip_checksum = 1);
    BAD(CST_SEGMENT_FULL_UNORDERED, 1, 3, .parts_count = 0);
    BAD(CST_SEGMENT_FULL_UNORDERED, 1, 3, .parts_count = 3);
    BAD(CST_SEGMENT_FULL_UNORDERED, 1, 3, .parts[0].layout = CST_TABLE_WIDE);
    BAD(CST_SEGMENT_FULL_UNORDERED, 1, 3, .parts[0].key_bytes = CST_INLINE_KEY_BYTES_MAX + 1);
    BAD(CST_SEGMENT_FULL_UNORDERED, 1, 3, .parts[0].value_bytes = CST_INLINE_ENTRY_BYTES_MAX);
    BAD(CST_SEGMENT_FULL_UNORDERED, 1, 3, .parts[1].layout = 3);
#undef BAD
    CHECK_EQ(count, 16);
    for (int i = 0; i < count; i++) {
        bytes_sink out = {0};
        cst_segment_writer *writer = NULL;
        cst_err err;

        CHECK_CODE(cst_segment_writer_open(&infos[i], sink_write, &out, &writer, &err), CST_USAGE);
        CHECK_EQ(out.calls, 0);
    }
}

TEST(a_sink_that_fails_ends_the_segment_with_its_code) {
    const cst_segment_info info = test_info(CST_SEGMENT_FULL_ORDERED, 1, 1);
    bytes_sink rows = some_rows(0, 4, true);
    const cst_bytes range = {rows.bytes, rows.count};
    const cst_bytes *ranges[1] = {&range};
    const size_t ranges_count[1] = {1};
    uint64_t fail_at = 1;
    cst_code code = CST_IO;

    for (; code == CST_IO; fail_at++) {
        bytes_sink out = {.fail_at = fail_at};
        cst_segment *segment = NULL;

        code = cst_segment_write(&info, ranges, ranges_count, sink_write, &out, NULL, NULL);
        if (code == CST_IO)
            CHECK(cst_segment_open_bytes("cut", out.bytes, out.count, NULL, &segment, NULL) !=
                  CST_OK);
        sink_free(&out);
    }
    CHECK_OK(code);
    CHECK_EQ(fail_at, 8); // six writes: header, range, groups, blocks, padding, footer
    sink_free(&rows);
}

// ---- Reading ------------------------------------------------------------------------------------

TEST(records_come_back_as_they_were_written) {
    bytes_sink out = small_delta();
    cst_segment *segment = open_or_die(&out);
    cst_segment_cursor cursor = {0};
    cst_segment_row rows[3];
    cst_segment_info info;
    cst_segment_summary summary;
    uint32_t count;
    uint64_t key = 2;

    cst_segment_info_read(segment, &info);
    cst_segment_summary_read(segment, &summary);
    CHECK_EQ(info.kind, CST_SEGMENT_DELTA);
    CHECK_EQ(info.table_id, 42);
    CHECK_EQ(info.epoch_from, 3);
    CHECK_EQ(info.epoch_to, 4);
    CHECK_EQ(info.base_epoch, 2);
    CHECK_EQ(info.base_checksum, 0x11223344);
    CHECK_EQ(info.parts[0].value_bytes, TEST_VALUE_BYTES);
    CHECK_EQ(info.parts[1].layout, CST_TABLE_WIDE);
    CHECK_EQ(summary.rows[0], 2);
    CHECK_EQ(summary.tombstones[0], 1);
    CHECK_EQ(summary.rows[1], 1);
    CHECK_EQ(summary.tombstones[1], 1);
    CHECK_OK(cst_segment_next(segment, &cursor, rows, 3, &count, NULL));
    CHECK_EQ(count, 3);
    CHECK_EQ(rows[1].row.key_bytes, 8);
    CHECK_BYTES(rows[1].row.key, &key, 8);
    CHECK_EQ(load64(rows[1].row.value), 200);
    CHECK(rows[2].tombstone);
    CHECK_OK(cst_segment_next(segment, &cursor, rows, 3, &count, NULL));
    CHECK_EQ(count, 2);
    CHECK_EQ(rows[0].part, 1);
    CHECK_BYTES(rows[0].row.key, "long key", 8);
    CHECK_BYTES(rows[0].row.value, "value", 5);
    CHECK(rows[1].tombstone);
    CHECK_OK(cst_segment_next(segment, &cursor, rows, 3, &count, NULL));
    CHECK_EQ(count, 0);
    CHECK_OK(cst_segment_verify(segment, &TEST_HASH_KEY, NULL));
    cst_segment_close(segment);
    sink_free(&out);
}

TEST(records_longer_than_a_block_come_back) {
    const cst_segment_info info = test_info_two(CST_SEGMENT_FULL_UNORDERED, 1, 1);
    uint8_t *value = calloc(1, CST_WIDE_VALUE_BYTES_MAX);
    uint8_t *key = calloc(1, CST_WIDE_KEY_BYTES_MAX);
    bytes_sink wides = {0};
    bytes_sink out = {0};
    cst_segment_cursor cursor = {0};
    cst_segment_row rows[4];
    uint32_t count;

    CHECK(value && key);
    for (size_t i = 0; i < CST_WIDE_VALUE_BYTES_MAX; i++) value[i] = (uint8_t)test_random();
    wide_row(&wides, "", 0, "", 0, 0);
    wide_row(&wides, key, CST_WIDE_KEY_BYTES_MAX, value, CST_WIDE_VALUE_BYTES_MAX, 64);
    gap(&wides, 65535 * 32);
    wide_row(&wides, "z", 1, value, 300000, 0);
    write_parts(&out, &info, NULL, &wides);
    cst_segment *segment = open_or_die(&out);
    CHECK_OK(cst_segment_next(segment, &cursor, rows, 4, &count, NULL));
    CHECK_EQ(count, 3);
    CHECK_EQ(rows[0].row.key_bytes, 0);
    CHECK_EQ(rows[1].row.value_bytes, CST_WIDE_VALUE_BYTES_MAX);
    CHECK_BYTES(rows[1].row.value, value, CST_WIDE_VALUE_BYTES_MAX);
    CHECK_EQ(rows[2].row.value_bytes, 300000);
    CHECK_OK(cst_segment_verify(segment, &TEST_HASH_KEY, NULL));
    cst_segment_close(segment);
    sink_free(&wides);
    sink_free(&out);
    free(value);
    free(key);
}

TEST(every_flipped_byte_is_refused) {
    bytes_sink segments[2] = {small_delta(), segment_of(CST_SEGMENT_FULL_ORDERED, 0, 3)};

    for (int i = 0; i < 2; i++) {
        CHECK_OK(read_all(segments[i].bytes, segments[i].count, NULL, NULL));
        for (size_t at = 0; at < segments[i].count; at++) {
            cst_err err = {.code = CST_OK};

            segments[i].bytes[at] ^= (uint8_t)(1u << (at % 8));
            CHECK(read_all(segments[i].bytes, segments[i].count, NULL, &err) != CST_OK);
            CHECK(strstr(err.text, "segment test: "));
            CHECK(strstr(err.text, "offset "));
            segments[i].bytes[at] ^= (uint8_t)(1u << (at % 8));
        }
        sink_free(&segments[i]);
    }
}

TEST(every_truncation_is_refused) {
    bytes_sink segment = small_delta();

    for (size_t count = 0; count < segment.count; count++) {
        // The exact bytes: a reader that goes past them is seen by the sanitizers.
        uint8_t *cut = malloc(count + 1);

        CHECK(cut);
        memcpy(cut, segment.bytes, count);
        CHECK_CODE(read_all(cut, count, NULL, NULL), CST_SEGMENT_TRUNCATED);
        free(cut);
    }
    sink_add(&segment, "x", 1);
    CHECK_CODE(read_all(segment.bytes, segment.count, NULL, NULL), CST_SEGMENT_TRUNCATED);
    sink_free(&segment);
}

static void swap_bytes(uint8_t *a, uint8_t *b, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const uint8_t byte = a[i];

        a[i] = b[i];
        b[i] = byte;
    }
}

TEST(blocks_swapped_with_their_checksums_are_refused) {
    bytes_sink out = segment_of(CST_SEGMENT_FULL_UNORDERED, 0, 4096);
    cst_segment *segment = NULL;
    cst_err err;
    uint8_t *table;

    CHECK_EQ(load64(out.bytes + out.count - 128 + 32), 4);
    table = out.bytes + out.count - 128 - 16;
    swap_bytes(out.bytes + 128 + 65536, out.bytes + 128 + 2 * 65536, 65536);
    swap_bytes(table + 4, table + 8, 4);
    // Whoever swaps them fixes the table's and the footer's checksum too.
    store32(out.bytes + out.count - 128 + 8, csti_crc32c(0, table, 16));
    store32(out.bytes + out.count - 12, csti_crc32c(0, out.bytes + out.count - 128, 116));
    CHECK_OK(cst_segment_open_bytes("swapped", out.bytes, out.count, NULL, &segment, NULL));
    CHECK_CODE(cst_segment_verify(segment, NULL, &err), CST_SEGMENT_CHECKSUM);
    CHECK(strstr(err.text, "segment swapped: block 1 at offset 65664"));
    cst_segment_close(segment);
    sink_free(&out);
}

TEST(a_duplicated_block_is_refused) {
    bytes_sink out = segment_of(CST_SEGMENT_FULL_UNORDERED, 0, 4096);

    memcpy(out.bytes + 128 + 65536, out.bytes + 128, 65536);
    CHECK_CODE(read_all(out.bytes, out.count, NULL, NULL), CST_SEGMENT_CHECKSUM);
    sink_free(&out);
}

TEST(whole_records_swapped_are_refused) {
    bytes_sink out = segment_of(CST_SEGMENT_FULL_UNORDERED, 0, 10);

    swap_bytes(out.bytes + 128, out.bytes + 128 + 64, 64);
    CHECK_CODE(read_all(out.bytes, out.count, NULL, NULL), CST_SEGMENT_CHECKSUM);
    sink_free(&out);
}

TEST(the_body_of_another_segment_is_refused) {
    bytes_sink a = segment_of(CST_SEGMENT_FULL_UNORDERED, 0, 10);
    bytes_sink b = segment_of(CST_SEGMENT_DELTA, 0, 10);

    CHECK_EQ(a.count, b.count);
    memcpy(b.bytes, a.bytes, 128); // a's header over b's body, tables and footer
    CHECK_CODE(read_all(b.bytes, b.count, NULL, NULL), CST_SEGMENT_CHECKSUM);
    sink_free(&a);
    sink_free(&b);
}

TEST(the_cursor_stops_at_a_damaged_block_and_hands_out_what_is_before) {
    bytes_sink out = segment_of(CST_SEGMENT_FULL_UNORDERED, 0, 2048);
    cst_segment_cursor cursor = {0};
    cst_segment_row rows[1024];
    cst_segment *segment;
    uint32_t count;
    cst_err err;

    out.bytes[128 + 65536 + 100] ^= 1;
    segment = open_or_die(&out);
    CHECK_OK(cst_segment_next(segment, &cursor, rows, 1024, &count, NULL));
    CHECK_EQ(count, 1024);
    CHECK_CODE(cst_segment_next(segment, &cursor, rows, 1, &count, &err), CST_SEGMENT_CHECKSUM);
    CHECK(strstr(err.text, "block 1"));
    cst_segment_close(segment);
    sink_free(&out);
}

// ---- Right checksums, wrong content -------------------------------------------------------------

TEST(a_bad_header_with_a_right_checksum_is_refused) {
    bytes_sink out = small_delta();
    static const size_t places[] = {12, 14, 15, 16, 32, 48, 80, 84, 88, 92, 96, 100, 104, 108, 120};

    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        cst_err err = {.code = CST_OK};

        CHECK_CODE(read_changed(&out, places[i], 0xf7, &err), CST_SEGMENT_RECORD);
    }
    CHECK_CODE(read_changed(&out, 8, 0, NULL), CST_SEGMENT_RECORD); // version 0
    CHECK_CODE(read_changed(&out, 8, 2, NULL), CST_SEGMENT_VERSION);
    CHECK_CODE(read_changed(&out, 0, 'X', NULL), CST_SEGMENT_MAGIC);
    sink_free(&out);
}

TEST(fields_of_an_absent_part_are_refused) {
    bytes_sink out = segment_of(CST_SEGMENT_DELTA, 0, 1);

    CHECK_CODE(read_changed(&out, 104, 1, NULL), CST_SEGMENT_RECORD);
    CHECK_CODE(read_changed(&out, out.count - 128 + 64, 32, NULL), CST_SEGMENT_RECORD);
    sink_free(&out);
}

TEST(a_bad_footer_with_a_right_checksum_is_refused) {
    bytes_sink out = small_delta();
    const size_t footer = out.count - 128;
    static const size_t places[] = {12, 24, 29, 31, 32, 40, 47, 48, 56, 64, 72, 80, 88, 115};

    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
        CHECK_CODE(read_changed(&out, footer + places[i], 0xe0, NULL), CST_SEGMENT_RECORD);
    CHECK_CODE(read_changed(&out, footer + 16, 1, NULL), CST_SEGMENT_TRUNCATED);
    CHECK_CODE(read_changed(&out, footer + 120, 0, NULL), CST_SEGMENT_TRUNCATED);
    sink_free(&out);
}

TEST(counts_that_are_not_the_records_are_refused) {
    bytes_sink out = small_delta();
    const size_t footer = out.count - 128;

    CHECK_CODE(read_changed(&out, footer + 48, 1, NULL), CST_SEGMENT_RECORD); // rows of part 0
    CHECK_CODE(read_changed(&out, footer + 80, 0, NULL),
               CST_SEGMENT_RECORD); // tombstones of part 1
    sink_free(&out);
}

TEST(a_bad_block_table_padding_is_refused) {
    bytes_sink out = segment_of(CST_SEGMENT_DELTA, 0, 1);

    CHECK_CODE(read_changed(&out, out.count - 128 - 1, 1, NULL), CST_SEGMENT_RECORD);
    sink_free(&out);
}

TEST(a_key_group_offset_that_is_not_the_records_is_refused) {
    bytes_sink out = segment_of(CST_SEGMENT_FULL_ORDERED, 0, 3);
    const size_t groups = out.count - 128 - 8 - 4097 * 8;
    cst_err err;

    CHECK_CODE(read_changed(&out, groups, 64, &err), CST_SEGMENT_RECORD);
    CHECK_CODE(read_changed(&out, groups + 8, 64, &err), CST_SEGMENT_RECORD);
    CHECK_CODE(read_changed(&out, groups + 8, 3, &err), CST_SEGMENT_RECORD);
    CHECK_CODE(read_changed(&out, groups + 4096 * 8, 64, &err), CST_SEGMENT_RECORD);
    CHECK_CODE(read_changed(&out, groups + 4096 * 8 + 1, 64, &err), CST_SEGMENT_RECORD);
    CHECK_CODE(read_changed(&out, groups + 4095 * 8, 64, &err), CST_SEGMENT_RECORD);
    sink_free(&out);
}

TEST(group_offsets_moved_together_are_refused) {
    bytes_sink out = segment_of(CST_SEGMENT_FULL_ORDERED, 0, 3);
    uint8_t *groups = out.bytes + out.count - 128 - 8 - 4097 * 8;

    // Every group begins at the end: in order, within the part, and wrong.
    for (int group = 1; group < 4096; group++) memcpy(groups + group * 8, groups + 4096 * 8, 8);
    segment_fix(out.bytes, out.count);
    CHECK_CODE(read_all(out.bytes, out.count, NULL, NULL), CST_SEGMENT_RECORD);
    // Every group begins at the start.
    for (int group = 1; group < 4096; group++) memset(groups + group * 8, 0, 8);
    segment_fix(out.bytes, out.count);
    CHECK_CODE(read_all(out.bytes, out.count, NULL, NULL), CST_SEGMENT_RECORD);
    sink_free(&out);
}

TEST(a_bad_record_with_right_checksums_is_refused_at_its_offset) {
    bytes_sink out = small_delta();
    static const struct {
        size_t at;
        uint8_t value;
    } changes[] = {
        {128 + 8, 9},           // a key longer than the table's
        {128 + 10, 0},          // no length
        {128 + 10, 1},          // a length that is not the table's
        {128 + 10, 9},          // beyond the part
        {128 + 12, 17},         // a value of another length
        {128 + 15, 0xc0},       // row and tombstone
        {128 + 15, 0},          // none of the three
        {128 + 15, 0x81},       // reserved bit
        {128 + 50, 1},          // behind the value
        {128 + 128 + 12, 1},    // a tombstone with a value
        {128 + 128 + 40, 1},    // a tombstone with bytes where a value would be
        {128 + 192, 1},         // a gap with a hash
        {128 + 192 + 8, 1},     // a gap with a key
        {128 + 192 + 12, 1},    // a gap with a value
        {128 + 192 + 30, 1},    // a gap with content
        {128 + 256 + 8, 60},    // wide: a key that leaves the record
        {128 + 256 + 14, 0xff}, // wide: a value longer than any
        {128 + 256 + 12, 100},  // wide: a value that leaves the record
        {128 + 256 + 31, 1},    // wide: behind the value
        {128 + 256 + 42, 2},    // wide: the last record leaves the part
    };
    cst_segment *segment = NULL;

    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        bytes_sink copy = sink_copy(&out);
        cst_segment_cursor cursor = {0};
        cst_segment_row rows[9];
        uint32_t count;
        cst_err err = {.code = CST_OK};

        CHECK(copy.bytes[changes[i].at] != changes[i].value);
        copy.bytes[changes[i].at] = changes[i].value;
        segment_fix(copy.bytes, copy.count);
        segment = open_or_die(&copy);
        CHECK_CODE(cst_segment_verify(segment, NULL, &err), CST_SEGMENT_RECORD);
        CHECK(strstr(err.text, "segment test: offset "));
        CHECK_CODE(cst_segment_next(segment, &cursor, rows, 9, &count, NULL), CST_SEGMENT_RECORD);
        cst_segment_close(segment);
        sink_free(&copy);
    }
    sink_free(&out);
}

TEST(an_ordered_full_with_tombstone_gap_or_disorder_is_refused) {
    bytes_sink out = segment_of(CST_SEGMENT_FULL_ORDERED, 0, 3);
    bytes_sink copy = sink_copy(&out);

    swap_bytes(copy.bytes + 128, copy.bytes + 128 + 64, 64);
    segment_fix(copy.bytes, copy.count);
    CHECK_CODE(read_all(copy.bytes, copy.count, NULL, NULL), CST_SEGMENT_RECORD);
    sink_free(&copy);
    for (int flag = 0; flag < 2; flag++) {
        copy = sink_copy(&out);
        CHECK(copy.bytes);
        memset(copy.bytes + 128 + 12, 0, 52);
        memset(copy.bytes + 128, 0, flag ? 10 : 0);
        copy.bytes[128 + 15] = flag ? 0x20 : 0x40;
        memset(copy.bytes + 128 + 8, 0, 2);
        segment_fix(copy.bytes, copy.count);
        CHECK_CODE(read_all(copy.bytes, copy.count, NULL, NULL), CST_SEGMENT_RECORD);
        sink_free(&copy);
    }
    sink_free(&out);
}

TEST(a_hash_that_is_not_its_keys_is_found_with_the_hash_key) {
    bytes_sink out = small_delta();
    const cst_hash_key other = {1, 2};
    cst_segment *segment;

    out.bytes[128 + 16] ^= 1; // the first key
    segment_fix(out.bytes, out.count);
    segment = open_or_die(&out);
    CHECK_OK(cst_segment_verify(segment, NULL, NULL));
    CHECK_CODE(cst_segment_verify(segment, &TEST_HASH_KEY, NULL), CST_SEGMENT_RECORD);
    CHECK_CODE(cst_segment_verify(segment, &other, NULL), CST_SEGMENT_HASH_KEY);
    cst_segment_close(segment);
    sink_free(&out);
}

// ---- The wrong segment under the right name -----------------------------------------------------

TEST(each_expectation_that_is_not_met_has_its_code) {
    bytes_sink out = small_delta();
    const cst_segment_expect good = {
        .table_id = 42,
        .epoch_from = 3,
        .epoch_to = 4,
        .schema_hash = cst_segment_schema_hash("u64"),
        .program_hash = 7,
        .hash_key_check = cst_segment_hash_key_check(&TEST_HASH_KEY),
        .parts_count = 2,
        .parts = {{CST_TABLE_INLINE, 8, 16}, {CST_TABLE_WIDE, 0, 0}},
    };
    cst_segment_expect expect = good;
    cst_segment_summary summary;
    cst_segment *segment = open_or_die(&out);
    cst_err err;

    cst_segment_summary_read(segment, &summary);
    cst_segment_close(segment);
    expect.checksum = summary.checksum;
    CHECK_OK(read_all(out.bytes, out.count, &expect, NULL));
#define WRONG(FIELD, VALUE, CODE)                                                                  \
    expect = good;                                                                                 \
    expect.FIELD = (VALUE);                                                                        \
    CHECK_CODE(read_all(out.bytes, out.count, &expect, &err), CODE);                               \
    CHECK(strstr(err.text, "segment test: offset "))
    WRONG(table_id, 43, CST_SEGMENT_IDENTITY);
    WRONG(epoch_from, 2, CST_SEGMENT_IDENTITY);
    WRONG(epoch_to, 5, CST_SEGMENT_IDENTITY);
    WRONG(checksum, summary.checksum + 1, CST_SEGMENT_IDENTITY);
    WRONG(schema_hash, 1, CST_SEGMENT_SCHEMA);
    WRONG(program_hash, 8, CST_SEGMENT_SCHEMA);
    WRONG(hash_key_check, 1, CST_SEGMENT_HASH_KEY);
    WRONG(parts[0].key_bytes, 16, CST_SEGMENT_SCHEMA);
    WRONG(parts[0].value_bytes, 24, CST_SEGMENT_SCHEMA);
    WRONG(parts_count, 1, CST_SEGMENT_SCHEMA);
#undef WRONG
    sink_free(&out);
}

static cst_segment *chain_segment(bytes_sink *out, cst_segment_kind kind, uint64_t from,
                                  uint64_t to, uint32_t base_checksum) {
    cst_segment_info info = test_info(kind, from, to);

    info.base_checksum = base_checksum;
    write_parts(out, &info, NULL, NULL);
    return open_or_die(out);
}

static uint32_t checksum_of(const cst_segment *segment) {
    cst_segment_summary summary;

    cst_segment_summary_read(segment, &summary);
    return summary.checksum;
}

TEST(a_delta_is_refused_on_any_other_base) {
    bytes_sink bytes[5] = {{0}, {0}, {0}, {0}, {0}};
    cst_segment *full = chain_segment(&bytes[0], CST_SEGMENT_FULL_UNORDERED, 1, 3, 0);
    cst_segment *next = chain_segment(&bytes[1], CST_SEGMENT_DELTA, 4, 4, checksum_of(full));
    cst_segment *late = chain_segment(&bytes[2], CST_SEGMENT_DELTA, 5, 5, checksum_of(full));
    cst_segment *other = chain_segment(&bytes[3], CST_SEGMENT_DELTA, 4, 4, checksum_of(full) + 1);
    cst_segment *last = chain_segment(&bytes[4], CST_SEGMENT_DELTA, 5, 5, checksum_of(next));
    cst_err err;

    CHECK_OK(cst_segment_chain_check((cst_segment *[]){full, next, last}, 3, NULL));
    CHECK_CODE(cst_segment_chain_check((cst_segment *[]){full, late}, 2, &err), CST_SEGMENT_BASE);
    CHECK(strstr(err.text, "stands on epoch 4"));
    CHECK_CODE(cst_segment_chain_check((cst_segment *[]){full, other}, 2, NULL), CST_SEGMENT_BASE);
    CHECK_CODE(cst_segment_chain_check((cst_segment *[]){full, last, next}, 3, NULL),
               CST_SEGMENT_BASE);
    CHECK_CODE(cst_segment_chain_check((cst_segment *[]){full, next, next}, 3, NULL),
               CST_SEGMENT_BASE);
    CHECK_CODE(cst_segment_chain_check((cst_segment *[]){next, last}, 2, NULL), CST_SEGMENT_BASE);
    CHECK_CODE(cst_segment_chain_check((cst_segment *[]){full, full}, 2, NULL), CST_SEGMENT_BASE);
    CHECK_CODE(cst_segment_chain_check(NULL, 0, NULL), CST_USAGE);
    cst_segment_close(full);
    cst_segment_close(next);
    cst_segment_close(late);
    cst_segment_close(other);
    cst_segment_close(last);
    for (int i = 0; i < 5; i++) sink_free(&bytes[i]);
}

TEST(a_chain_of_two_tables_histories_is_refused) {
    bytes_sink full_bytes = {0};
    cst_segment *full = chain_segment(&full_bytes, CST_SEGMENT_FULL_UNORDERED, 1, 1, 0);

#define OTHER(CHANGE, CODE)                                                                        \
    do {                                                                                           \
        bytes_sink bytes = {0};                                                                    \
        cst_segment_info info = test_info(CST_SEGMENT_DELTA, 2, 2);                                \
        cst_segment *delta;                                                                        \
                                                                                                   \
        info.base_checksum = checksum_of(full);                                                    \
        info CHANGE;                                                                               \
        write_parts(&bytes, &info, NULL, NULL);                                                    \
        delta = open_or_die(&bytes);                                                               \
        CHECK_CODE(cst_segment_chain_check((cst_segment *[]){full, delta}, 2, NULL), CODE);        \
        cst_segment_close(delta);                                                                  \
        sink_free(&bytes);                                                                         \
    } while (0)
    OTHER(.table_id = 42, CST_OK);
    OTHER(.table_id = 43, CST_SEGMENT_IDENTITY);
    OTHER(.schema_hash = 1, CST_SEGMENT_SCHEMA);
    OTHER(.program_hash = 1, CST_SEGMENT_SCHEMA);
    OTHER(.parts[0].value_bytes = 24, CST_SEGMENT_SCHEMA);
    OTHER(.hash_key_check = 1, CST_SEGMENT_HASH_KEY);
#undef OTHER
    cst_segment_close(full);
    sink_free(&full_bytes);
}

// ---- Files --------------------------------------------------------------------------------------

TEST(a_file_is_mapped_and_read) {
    const char *path = CST_BINARY_DIR "/segment_test.seg";
    bytes_sink out = small_delta();
    cst_segment *segment = NULL;
    FILE *file = fopen(path, "wb");
    cst_err err;

    CHECK(file);
    CHECK_EQ(fwrite(out.bytes, 1, out.count, file), out.count);
    CHECK_EQ(fclose(file), 0);
    CHECK_OK(cst_segment_open_file(path, NULL, &segment, NULL));
    CHECK_OK(cst_segment_verify(segment, &TEST_HASH_KEY, NULL));
    cst_segment_close(segment);
    CHECK_EQ(truncate(path, 100), 0);
    CHECK_CODE(cst_segment_open_file(path, NULL, &segment, &err), CST_SEGMENT_TRUNCATED);
    CHECK_EQ(truncate(path, 0), 0);
    CHECK_CODE(cst_segment_open_file(path, NULL, &segment, &err), CST_SEGMENT_TRUNCATED);
    CHECK_EQ(unlink(path), 0);
    CHECK_CODE(cst_segment_open_file(path, NULL, &segment, &err), CST_NOT_FOUND);
    CHECK_CODE(cst_segment_open_file(CST_BINARY_DIR, NULL, &segment, &err), CST_IO);
    cst_segment_close(NULL);
    sink_free(&out);
}

TEST(bytes_at_an_odd_address_are_refused) {
    bytes_sink out = small_delta();
    cst_segment *segment = NULL;

    CHECK_CODE(cst_segment_open_bytes("odd", out.bytes + 1, out.count - 1, NULL, &segment, NULL),
               CST_USAGE);
    sink_free(&out);
}

TEST(names_hash_as_documented) {
    const cst_hash_key zero = {0, 0};
    cst_program a = {.value_bytes = 16};
    cst_program b = {.value_bytes = 16, .accumulators_count = 1};

    CHECK(cst_segment_schema_hash("u64") == cst_hash(&zero, "u64", 3));
    CHECK(cst_segment_schema_hash("u64") != cst_segment_schema_hash("i64"));
    CHECK(cst_segment_program_hash(&a) != cst_segment_program_hash(&b));
    b.accumulators_count = 0;
    b.accumulators[3].op = 9; // past the count: not part of the program
    CHECK(cst_segment_program_hash(&a) == cst_segment_program_hash(&b));
    b.accumulators_count = 99;
    (void)cst_segment_program_hash(&b); // reads no accumulator past the array
}

TEST_MAIN
