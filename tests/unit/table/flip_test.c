// One flipped bit, anywhere: in a saved image it is refused, in a live one it is found by the check
// or is one of the few places that only a comparison can know.
#include "unit/table/fixture.h"

// A small table with everything in it: rows of older epochs and of this one, overflowed buckets, a
// tombstone, free chunks, released log segments.
static cst_table *full_inline(cst_table_options *options) {
    cst_table *table;
    uint64_t key = 3;
    cst_delta delta;

    *options = fixture_options();
    options->budget_bytes = UINT64_C(1) << 20;
    table = fixture_open(options);
    for (int epoch = 0; epoch < 5; epoch++) {
        fixture_put(table, 0, 500);
        delta = cst_table_seal(table);
    }
    CHECK_OK(cst_table_release(table, &delta));
    CHECK_OK(cst_table_delete(table, &key, 8));
    fixture_put(table, 10, 5);
    (void)cst_table_seal(table);
    CHECK_OK(cst_table_delete(table, &key, 8));
    fixture_put(table, 100, 5);
    CHECK(table->control->chunks_free_count > 0);
    fixture_check(table);
    return table;
}

static cst_table *full_wide(cst_table_options *options) {
    cst_table *table;
    cst_delta delta;
    uint64_t key;

    *options = fixture_wide_options();
    options->budget_bytes = UINT64_C(1) << 20;
    table = fixture_open(options);
    for (uint64_t number = 0; number < 60; number++) fixture_put_wide(table, number, number * 5);
    delta = cst_table_seal(table);
    for (uint64_t number = 0; number < 60; number += 3) fixture_put_wide(table, number, number * 2);
    for (key = 1; key < 60; key += 9) CHECK_OK(cst_table_delete(table, &key, 1 + key % 8));
    CHECK_OK(cst_table_release(table, &delta));
    fixture_check(table);
    return table;
}

// ---- Saved images -------------------------------------------------------------------------------

// One segment and few records: every byte can be flipped, each flip being a load.
static cst_table *small_inline(cst_table_options *options) {
    cst_table *table;
    uint64_t key = 3;

    *options = fixture_options();
    options->budget_bytes = 160 << 10;
    table = fixture_open(options);
    fixture_put(table, 0, 30);
    (void)cst_table_seal(table);
    CHECK_OK(cst_table_delete(table, &key, 8));
    return table;
}

// A random bit of every `step`th byte of the file; with CST_FLIP_EACH=8 of every eighth of these.
static void each_file_flip_is_refused(cst_table *(*make)(cst_table_options *), size_t step) {
    const char *each = getenv("CST_FLIP_EACH");
    cst_table_options options;
    cst_table *table = make(&options);
    fixture_file file = fixture_save(table);

    if (each) step *= strtoull(each, NULL, 0);
    for (size_t i = 0; i < file.count; i += step) {
        const uint8_t bit = (uint8_t)(1u << test_random_below(8));
        cst_table *loaded = NULL;
        cst_err err = {0};
        cst_code code;

        file.bytes[i] ^= bit;
        file.read = 0;
        code = cst_table_load(&options, fixture_read, &file, &loaded, &err);
        if (code == CST_OK || loaded || err.text[0] == 0)
            TEST_FAIL("bit %02x of byte %zu: %s", bit, i, cst_code_name(code));
        file.bytes[i] ^= bit;
    }
    file.read = 0;
    {
        cst_table *loaded = NULL;
        cst_err err = {0};

        CHECK_OK(cst_table_load(&options, fixture_read, &file, &loaded, &err));
        CHECK_OK(cst_table_compare(table, loaded, &err));
        cst_table_close(loaded);
    }
    free(file.bytes);
    cst_table_close(table);
}

TEST(a_flipped_byte_of_a_saved_image_is_refused) {
    each_file_flip_is_refused(small_inline, TEST_EACH(1));
}

TEST(a_flipped_byte_of_a_saved_wide_image_is_refused) {
    each_file_flip_is_refused(full_wide, TEST_EACH(13));
}

TEST(a_saved_image_that_was_cut_is_refused) {
    cst_table_options options;
    cst_table *table = full_wide(&options);
    fixture_file file = fixture_save(table);
    const size_t whole = file.count;

    for (size_t count = 0; count < whole; count += 1 + whole / 500) {
        cst_table *loaded = NULL;
        cst_err err = {0};

        file.count = count;
        file.read = 0;
        CHECK_CODE(cst_table_load(&options, fixture_read, &file, &loaded, &err),
                   CST_SEGMENT_TRUNCATED);
    }
    free(file.bytes);
    cst_table_close(table);
}

TEST(an_image_of_other_options_is_refused) {
    cst_table_options options;
    cst_table *table = full_inline(&options), *loaded = NULL;
    fixture_file file = fixture_save(table);
    cst_table_options other[5];
    cst_err err = {0};

    for (int i = 0; i < 5; i++) other[i] = options;
    other[0].key_bytes = 7;
    other[1].program.value_bytes = 7;
    other[2].hash_key.k0++;
    other[3].budget_bytes = UINT64_C(1) << 16;
    other[4].log_segment_bytes = 131072;
    for (int i = 0; i < 5; i++) {
        file.read = 0;
        CHECK(cst_table_load(&other[i], fixture_read, &file, &loaded, &err) != CST_OK);
        CHECK(loaded == NULL);
    }
    free(file.bytes);
    cst_table_close(table);
}

static cst_code write_little(void *context, const void *bytes, size_t count, cst_err *err) {
    size_t *left = context;

    (void)bytes;
    if (count > *left) return cst_fail(err, CST_IO, "full");
    *left -= count;
    return CST_OK;
}

TEST(a_write_that_fails_ends_the_save) {
    cst_table_options options;
    cst_table *table = full_wide(&options);
    fixture_file file = fixture_save(table);
    cst_err err = {0};

    for (size_t room = 0; room < file.count; room += 1 + file.count / 300) {
        size_t left = room;

        CHECK_CODE(cst_table_save(table, write_little, &left, &err), CST_IO);
    }
    free(file.bytes);
    cst_table_close(table);
}

// ---- Live images --------------------------------------------------------------------------------

// Where cst_table_check cannot know: what only the past says. Epochs and the log begin and end at
// any record (a last tombstone leaves no other trace), counts of steps are only counts, and the
// ring of free segments may begin anywhere.
static bool check_is_blind(const cst_table *table, const uint8_t *at) {
    const csti_control *control = table->control;
    const size_t in_control = (size_t)(at - (const uint8_t *)control);

    if (at >= (const uint8_t *)control && in_control < CSTI_CONTROL_BYTES)
        return (in_control >= offsetof(csti_control, program) + 4 &&
                in_control < offsetof(csti_control, rows_count)) ||
               (in_control >= offsetof(csti_control, grows_count) &&
                in_control < offsetof(csti_control, segments_count)) ||
               (in_control >= offsetof(csti_control, epoch) &&
                in_control < offsetof(csti_control, slab_frontier)) ||
               (in_control >= offsetof(csti_control, log_free_first) &&
                in_control < offsetof(csti_control, log_free_count));
    return false;
}

// Index: only the filter, where one bit too many costs a search and no row.
static bool line_is_blind(const cst_table *table, const uint8_t *at) {
    const size_t in_line = (size_t)(at - table->index) % sizeof(csti_control_line);

    return in_line >= offsetof(csti_control_line, overflow);
}

typedef bool (*blind)(const cst_table *table, const uint8_t *at);

static void flip_region(cst_table *table, const cst_table *same, uint8_t *bytes, size_t count,
                        size_t step, blind may_be_blind, const char *name) {
    size_t found_count = 0;

    for (size_t i = 0; i < count; i += step) {
        const uint8_t bit = (uint8_t)(1u << test_random_below(8));
        cst_err err = {0};
        cst_code code;

        bytes[i] ^= bit;
        code = cst_table_check(table, &err);
        found_count += code != CST_OK;
        if (code == CST_OK && !may_be_blind(table, bytes + i))
            TEST_FAIL("%s: bit %02x of byte %zu is not found", name, bit, i);
        // Whatever it was, a comparison knows.
        if (code == CST_OK) CHECK_CODE(cst_table_compare(table, same, &err), CST_TABLE_CORRUPT);
        bytes[i] ^= bit;
    }
    if (count > 0) CHECK(found_count > 0);
}

// Values of rows that this epoch has not touched are anything; so are older offsets in `change`.
static bool slot_is_blind(const cst_table *table, const uint8_t *at) {
    const size_t slot = (size_t)(at - table->slots) / table->entry_bytes;
    const size_t in_slot = (size_t)(at - table->slots) % table->entry_bytes;
    const csti_control_line *line = (const csti_control_line *)table->index + slot / 16;

    if ((line->occupied >> slot % 16 & 1) == 0) return false;
    if (in_slot >= 8 && in_slot < 16) return true;
    // A wide value's length may reach into the zeros behind it.
    if (table->control->layout == CST_TABLE_WIDE)
        return in_slot >= offsetof(csti_wide_entry, value_bytes);
    return in_slot >= table->value_offset && in_slot < table->value_offset + table->value_bytes;
}

// Records of sealed epochs are checked for form and key, not for their value.
static bool record_is_blind(const cst_table *table, const uint8_t *at) {
    (void)table;
    (void)at;
    return true;
}

static cst_table *loaded_twin(const cst_table *table, const cst_table_options *options) {
    fixture_file file = fixture_save(table);
    cst_table *twin = NULL;
    cst_err err = {0};

    CHECK_OK(cst_table_load(options, fixture_read, &file, &twin, &err));
    free(file.bytes);
    return twin;
}

static void each_live_flip_is_found(cst_table *(*make)(cst_table_options *), blind slab_blind) {
    cst_table_options options;
    cst_table *table = make(&options);
    cst_table *twin = loaded_twin(table, &options);
    const csti_control *control = table->control;
    const size_t index_bytes = (size_t)control->chunks_frontier * 512;
    const size_t slots_bytes = (size_t)control->chunks_frontier * table->chunk_slot_bytes;

    flip_region(table, twin, (uint8_t *)table->control, 720, 1, check_is_blind, "control block");
    flip_region(table, twin, (uint8_t *)table->directory, control->directory_rows * 32u, 1,
                check_is_blind, "directory");
    flip_region(table, twin, table->index, index_bytes, 3, line_is_blind, "index");
    flip_region(table, twin, table->slots, slots_bytes, 41, slot_is_blind, "slots");
    flip_region(table, twin, (uint8_t *)csti_log_record(table, control->log_floor),
                control->log_tail - control->log_floor, 1, record_is_blind, "log");
    flip_region(table, twin, table->slab, control->slab_frontier, 3, slab_blind, "slab");
    cst_table_close(twin);
    cst_table_close(table);
}

TEST(a_flipped_byte_of_a_live_image_is_found) {
    each_live_flip_is_found(full_inline, check_is_blind);
}

// Blocks hold values, which may be anything; keys, padding and lists are checked.
TEST(a_flipped_byte_of_a_live_wide_image_is_found) {
    each_live_flip_is_found(full_wide, record_is_blind);
}

TEST_MAIN
