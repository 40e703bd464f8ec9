#include "unit/stream/stored_rows.h"

static size_t golden_read(const char *name, uint8_t *out) {
    char path[400], line[100];
    size_t count = 0;
    FILE *file;

    (void)snprintf(path, sizeof path, "%s/rows/%s.txt", CST_VECTORS_DIR, name);
    file = fopen(path, "r");
    CHECK(file);
    CHECK(fgets(line, sizeof line, file));
    CHECK_TEXT(line, "# version 1\n");
    while (fgets(line, sizeof line, file))
        for (const char *hex = line; *hex != '\n'; hex += 2) {
            unsigned byte;

            CHECK_EQ(sscanf(hex, "%2x", &byte), 1);
            out[count++] = (uint8_t)byte;
        }
    CHECK_EQ(fclose(file), 0);
    return count;
}

TEST(the_golden_objects_of_the_first_version_are_written_and_read) {
    static uint8_t wanted[OBJECT_BYTES_MAX], object[OBJECT_BYTES_MAX];
    csti_channel *channel = blocks_open(&SHAPE);
    csti_stored_rows rows = rows_kept(channel);
    csti_stored_reader reader;
    csti_block *block = csti_channel_block(channel);
    uint32_t checksum;
    const size_t count = object_make(&rows, object, &checksum);

    CHECK_EQ(golden_read("varied", wanted), count);
    CHECK_BYTES(object, wanted, count);
    const csti_stored_expect expect = expected(&rows, checksum);
    CHECK_OK(csti_stored_open("golden", wanted, count, &expect, &reader, NULL));
    CHECK_OK(csti_stored_fits(&reader, &SHAPE, NULL));
    CHECK(csti_stored_fill(&reader, block));
    CHECK_EQ(block->rows_count, ROWS_COUNT);
    for (uint32_t r = 0; r < ROWS_COUNT; r++) check_row(block, r, &ROWS[r]);
    csti_channel_recycle(channel, block);
    csti_stored_end(&rows);
    csti_channel_close(channel);
}

TEST(keys_of_one_length_and_no_sources_come_back_from_the_golden_object) {
    static uint8_t object[OBJECT_BYTES_MAX];
    const csti_block_shape shape = {.rows_capacity = BLOCK_ROWS, .key_bytes = 8};
    const size_t count = golden_read("fixed", object);
    csti_stored_expect expect = {.table_id = 0xC0FFEE,
                                 .epoch = 7,
                                 .schema_hash = 0x5C4E3A,
                                 .program_hash = 0x960642,
                                 .hash_key = &HASH_KEY,
                                 .group_to = 4096,
                                 .rows_count = 3,
                                 .bytes = count};
    csti_channel *channel = blocks_open(&shape);
    csti_block *block = csti_channel_block(channel);
    csti_stored_reader reader;

    CHECK_OK(csti_stored_open("golden", object, count, &expect, &reader, NULL));
    CHECK_OK(csti_stored_fits(&reader, &shape, NULL));
    CHECK(csti_stored_fill(&reader, block));
    CHECK_EQ(block->rows_count, 3);
    CHECK_EQ(block->keys[23], 2);
    block->rows_count = 0;
    CHECK(!csti_stored_fill(&reader, block));
    CHECK_CODE(csti_stored_fits(&reader, &SHAPE, NULL), CST_SEGMENT_SCHEMA);
    csti_channel_recycle(channel, block);
    csti_channel_close(channel);
}

TEST(rows_come_back_in_their_order_in_as_many_blocks_as_they_need) {
    static uint8_t object[OBJECT_BYTES_MAX];
    enum { MANY = 37 };
    csti_channel *channel = blocks_open(&SHAPE);
    csti_stored_reader reader;
    csti_stored_rows rows;
    uint32_t checksum, seen = 0;
    csti_block *block = csti_channel_block(channel);

    csti_stored_begin(&rows, &SHAPE, 0, BYTES_MAX);
    for (uint64_t i = 0; i < MANY; i++) {
        block->rows_count = 0;
        block_put(block, &(stored_row){"key", 3, i, i % 2 ? &LATER : NULL, i % 3 == 0});
        CHECK_OK(csti_stored_put(&rows, block, NULL));
    }
    const size_t count = object_make(&rows, object, &checksum);
    const csti_stored_expect expect = expected(&rows, checksum);
    CHECK_OK(csti_stored_open("many", object, count, &expect, &reader, NULL));
    for (block->rows_count = 0; csti_stored_fill(&reader, block); block->rows_count = 0)
        for (uint32_t r = 0; r < block->rows_count; r++, seen++)
            check_row(block, r,
                      &(stored_row){"key", 3, seen, seen % 2 ? &LATER : NULL, seen % 3 == 0});
    CHECK_EQ(seen, MANY);
    csti_channel_recycle(channel, block);
    csti_stored_end(&rows);
    csti_channel_close(channel);
}

TEST(above_a_bound_nothing_of_the_block_is_kept) {
    csti_channel *channel = blocks_open(&SHAPE);
    csti_block *block = csti_channel_block(channel);
    csti_stored_rows rows;
    cst_err err = {.code = CST_OK};

    for (int r = 0; r < ROWS_COUNT; r++) block_put(block, &ROWS[r]);
    csti_stored_begin(&rows, &SHAPE, 2 * ROWS_COUNT - 1, BYTES_MAX);
    CHECK_OK(csti_stored_put(&rows, block, NULL));
    CHECK_CODE(csti_stored_put(&rows, block, &err), CST_ALIGN_LIMIT);
    CHECK(strstr(err.text, "more than 5 rows"));
    CHECK_EQ(rows.rows_count, ROWS_COUNT);
    const uint64_t bytes = rows.bytes.used_bytes;
    csti_stored_end(&rows);
    csti_stored_begin(&rows, &SHAPE, 0, 2 * bytes - 1);
    CHECK_OK(csti_stored_put(&rows, block, NULL));
    CHECK_CODE(csti_stored_put(&rows, block, &err), CST_ALIGN_LIMIT);
    CHECK(strstr(err.text, "bytes of rows under way"));
    CHECK_EQ(rows.rows_count, ROWS_COUNT);
    CHECK_EQ(rows.bytes.used_bytes, bytes);
    csti_stored_end(&rows);
    csti_channel_recycle(channel, block);
    csti_channel_close(channel);
}

// ---- Damage -------------------------------------------------------------------------------------

typedef struct object {
    uint8_t bytes[OBJECT_BYTES_MAX];
    size_t count;
    csti_stored_expect expect;
    cst_err err;
} object;

static void object_open(object *o) {
    csti_channel *channel = blocks_open(&SHAPE);
    csti_stored_rows rows = rows_kept(channel);
    uint32_t checksum;

    memset(o, 0, sizeof *o);
    o->count = object_make(&rows, o->bytes, &checksum);
    o->expect = expected(&rows, checksum);
    csti_stored_end(&rows);
    csti_channel_close(channel);
}

static cst_code object_read(object *o) {
    csti_stored_reader reader;

    return csti_stored_open("rows-7", o->bytes, o->count, &o->expect, &reader, &o->err);
}

// Its checksums are right again.
static void object_mend(object *o) {
    const uint32_t rows =
        csti_crc32c(0, o->bytes + CSTI_STORED_HEADER_BYTES, o->count - CSTI_STORED_HEADER_BYTES);

    memcpy(o->bytes + 120, &rows, sizeof rows);
    const uint32_t head = csti_crc32c(0, o->bytes, 124);
    memcpy(o->bytes + 124, &head, sizeof head);
    o->expect.checksum = 0;
}

static bool is_damage(cst_code code) {
    return code == CST_SEGMENT_MAGIC || code == CST_SEGMENT_VERSION ||
           code == CST_SEGMENT_CHECKSUM || code == CST_SEGMENT_TRUNCATED;
}

TEST(every_flipped_bit_is_found_and_the_object_is_named) {
    static object o;

    object_open(&o);
    CHECK_OK(object_read(&o));
    for (size_t at = 0; at < o.count; at++)
        for (int bit = 0; bit < 8; bit++) {
            o.bytes[at] ^= (uint8_t)(1 << bit);
            CHECK(is_damage(object_read(&o)));
            CHECK(strstr(o.err.text, "stored rows rows-7: offset "));
            o.bytes[at] ^= (uint8_t)(1 << bit);
        }
}

TEST(what_is_cut_or_longer_is_found) {
    static object o;

    object_open(&o);
    const size_t count = o.count;
    for (o.count = 0; o.count < count; o.count++) CHECK(is_damage(object_read(&o)));
    o.count = count + 8;
    CHECK_CODE(object_read(&o), CST_SEGMENT_RECORD);
}

TEST(a_newer_version_is_not_read) {
    static object o;

    object_open(&o);
    o.bytes[8] = CSTI_STORED_VERSION + 1;
    object_mend(&o);
    CHECK_CODE(object_read(&o), CST_SEGMENT_VERSION);
}

TEST(rows_of_something_else_are_told_from_those_expected) {
    static object o;

    object_open(&o);
    o.expect.epoch++;
    CHECK_CODE(object_read(&o), CST_SEGMENT_IDENTITY);
    object_open(&o);
    o.expect.table_id++;
    CHECK_CODE(object_read(&o), CST_SEGMENT_IDENTITY);
    object_open(&o);
    o.expect.checksum++;
    CHECK_CODE(object_read(&o), CST_SEGMENT_IDENTITY);
    object_open(&o);
    o.expect.rows_count++;
    CHECK_CODE(object_read(&o), CST_SEGMENT_IDENTITY);
    object_open(&o);
    o.expect.program_hash++;
    CHECK_CODE(object_read(&o), CST_SEGMENT_SCHEMA);
    object_open(&o);
    o.expect.hash_key = &(cst_hash_key){1, 2};
    CHECK_CODE(object_read(&o), CST_SEGMENT_HASH_KEY);
    object_open(&o);
    o.expect.group_to = 0;
    CHECK_CODE(object_read(&o), CST_SEGMENT_RECORD); // of another partition's key groups
}

TEST(checksums_that_are_right_make_no_row_of_what_is_none) {
    // Of the header: version, its length, reserved, sources, a type, a number of rows. Of the first
    // row: hash, length of the key, nulls of what has none, reserved, padding.
    static const size_t places[] = {8, 12, 96, 76, 83, 56, 128, 136, 138, 140, 159};
    static object o;

    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        object_open(&o);
        o.bytes[places[i]] ^= places[i] == 8 ? 1 : 0x21; // 0 is no version
        object_mend(&o);
        o.expect.rows_count = o.bytes[56];
        CHECK_CODE(object_read(&o), CST_SEGMENT_RECORD);
    }
}

TEST_MAIN
